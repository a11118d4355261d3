/**
 * Sessions and the tokens they are known by.
 *
 *     login -> token live -> expired (answer: renew) -> renewed: a new token, the old one stays expired
 *                        \-> session removed (answer: gone)
 *
 * Invariants: a token that was once given out is never "unknown" (clients drop their connection on that)
 * until the oldest of many are forgotten; a session has one live token. State changes synchronously.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Ids from "./ids.js"
import type { SecondaryRoles } from "./parser.js"

export interface Session {
  readonly id: number
  readonly user: string
  readonly application: string
  role: string
  /** Where a user's default was never set, all of them are active. */
  secondaryRoles: SecondaryRoles
  warehouse: string | undefined
  database: string | undefined
  schema: string | undefined
  readonly parameters: Map<string, string>
  readonly queryIds: Array<string>
  token: string
  readonly master: string
  expiresAt: number
  /** When the token of the user ends that it was opened with: the session ends with it. */
  readonly endsAt: number
  closed: boolean
}

type Lookup =
  | { readonly _tag: "Live"; readonly session: Session }
  | { readonly _tag: "Expired" | "Gone" | "Unknown" | "Ended" }

export interface Sessions {
  readonly open: (
    fields: Pick<
      Session,
      | "user"
      | "application"
      | "role"
      | "secondaryRoles"
      | "endsAt"
      | "warehouse"
      | "database"
      | "schema"
      | "parameters"
    >
  ) => Effect.Effect<Session>
  readonly find: (token: string | undefined) => Effect.Effect<Lookup>
  /** A new token for the master token of a living session. */
  readonly renew: (master: string | undefined) => Effect.Effect<Session | undefined>
  readonly expire: (session: Session) => void
  readonly close: (session: Session) => void
  readonly all: () => ReadonlyArray<Session>
  /** Those whose user's token has not ended: the others are sessions no more, whether a request finds out or not. */
  readonly alive: Effect.Effect<number>
  readonly opened: () => number
  readonly ttlMs: number
}

/** Tokens that are remembered beyond their sessions. */
const maxTokens = 2_000

export const make = (ttlMs: number): Sessions => {
  const live = new Map<number, Session>()
  const tokens = new Map<string, Session>()
  const masters = new Map<string, Session>()
  let opened = 0

  const remember = (token: string, session: Session) => {
    tokens.set(token, session)
    if (tokens.size <= maxTokens) return
    for (const [old, of] of tokens) {
      if (of.token === old && !of.closed) continue
      tokens.delete(old)
      return
    }
  }

  const forget = (session: Session) => {
    live.delete(session.id)
    masters.delete(session.master)
  }

  return {
    open: (fields) =>
      Effect.gen(function* () {
        const now = yield* Clock.currentTimeMillis
        for (const session of live.values()) if (now >= session.endsAt) forget(session)
        const token = yield* Ids.hex(64)
        const master = yield* Ids.hex(64)
        const session: Session = {
          ...fields,
          id: ++opened,
          queryIds: [],
          token,
          master,
          expiresAt: now + ttlMs,
          closed: false
        }
        live.set(session.id, session)
        masters.set(master, session)
        remember(token, session)
        return session
      }),
    find: (token) =>
      Effect.map(Clock.currentTimeMillis, (now): Lookup => {
        const session = token === undefined ? undefined : tokens.get(token)
        if (session === undefined) return { _tag: "Unknown" }
        if (session.closed) return { _tag: "Gone" }
        if (now >= session.endsAt) {
          // It is no session any more, and a logout cannot say so.
          forget(session)
          return { _tag: "Ended" }
        }
        return session.token === token && now < session.expiresAt
          ? { _tag: "Live", session }
          : { _tag: "Expired" }
      }),
    renew: (master) =>
      Effect.gen(function* () {
        const session = master === undefined ? undefined : masters.get(master)
        if (session === undefined) return undefined
        session.token = yield* Ids.hex(64)
        session.expiresAt = (yield* Clock.currentTimeMillis) + ttlMs
        remember(session.token, session)
        return session
      }),
    expire: (session) => {
      session.expiresAt = 0
    },
    close: (session) => {
      session.closed = true
      forget(session)
    },
    all: () => [...live.values()],
    alive: Effect.map(
      Clock.currentTimeMillis,
      (now) => [...live.values()].filter(({ endsAt }) => now < endsAt).length
    ),
    opened: () => opened,
    ttlMs
  }
}
