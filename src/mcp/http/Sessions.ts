/**
 * The sessions of the shared server: one MCP server for each, in a scope of its own. Opened by
 * `initialize`, ended by `DELETE`, by being idle for too long, by making room for a younger one, or with
 * the scope of this registry, which first lets the calls in flight answer.
 *
 * ```
 *   id of a request --> known: its session, for its owner alone
 *                   --> ended here, or of another owner: none
 *                   --> unknown (of a server before this one): a session of that id, unless `strict`
 * ```
 *
 * A session carries no rights and holds no state: only its owner finds it, and every request is authenticated. So a
 * session of an earlier server goes on, within the same bounds; many clients do not recover from a 404.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import { randomUUID } from "node:crypto"
import type { Connection } from "../McpServer.js"
import { McpServer } from "../McpServer.js"
import * as Observed from "../Observed.js"
import type { Identity } from "../auth/Auth.js"
import * as Table from "../core/SessionTable.js"
import * as Lru from "../../platform/core/Lru.js"
import type { FairTurns } from "../../platform/fairTurns.js"
import { monotonicReader } from "../../platform/monotonic.js"
import { withoutStack } from "../../platform/withoutStack.js"
import * as Metrics from "./Metrics.js"
import { SessionTransport } from "./SessionTransport.js"

/**
 * There is no room for another session, and nothing idle that could make room.
 *
 * @since 0.1.0
 * @category errors
 */
export class SessionsFull extends Schema.TaggedError<SessionsFull>("snowguard/SessionsFull")("SessionsFull", {
  bound: Schema.Literal("owner", "total"),
  limit: Schema.Number
}) {}

/**
 * An id that is known already, and not as this caller's.
 *
 * @since 0.1.0
 * @category errors
 */
export class SessionUnknown extends Schema.TaggedError<SessionUnknown>("snowguard/SessionUnknown")(
  "SessionUnknown",
  {}
) {}

export interface Options extends Table.Bounds {
  /** A session that this server did not open does not exist. */
  readonly strict?: boolean | undefined
  readonly turns: FairTurns
}

/** What the registry keeps of a session. */
export interface Handle {
  readonly transport: SessionTransport
  readonly connection: Connection
  readonly scope: Scope.CloseableScope
}

export interface Sessions {
  /** A new session of the caller's; it is kept if its first request is accepted. */
  readonly open: <A extends { readonly ok: boolean }, E>(
    identity: Identity,
    first: (transport: SessionTransport) => Effect.Effect<A, E>
  ) => Effect.Effect<A, E | SessionsFull>
  /** The same with an id that the caller has from an earlier server. */
  readonly resume: <A extends { readonly ok: boolean }, E>(
    id: string,
    identity: Identity,
    first: (transport: SessionTransport) => Effect.Effect<A, E>
  ) => Effect.Effect<A, E | SessionsFull | SessionUnknown>
  /** Undefined for a session that does not exist or is of another owner. */
  readonly find: (id: string, identity: Identity) => SessionTransport | undefined
  /** Ends a session and whatever runs in it. */
  readonly close: (id: string, identity: Identity) => Effect.Effect<boolean>
  readonly size: Effect.Effect<number>
}

const SWEEPS_PER_IDLE_TIME = 10

/** Sessions that ended here; of one that is forgotten, the client may begin anew. */
const MAX_ENDED = 20_000

/** As the protocol has it: visible ASCII. */
const idPattern = /^[\x21-\x7e]{1,128}$/

export const make = ({
  strict = false,
  turns,
  ...bounds
}: Options): Effect.Effect<Sessions, never, McpServer | Scope.Scope> =>
  Effect.gen(function* () {
    const server = yield* McpServer
    const table = Table.make<Handle>(bounds)
    const ended = Lru.make<true>({ maxEntries: MAX_ENDED, maxBytes: MAX_ENDED })
    const remember = (id: string): void => void Lru.set(ended, id, true, 1)
    const now = yield* monotonicReader

    const closeAll = (sessions: Iterable<Table.Session<Handle>>) =>
      Effect.forEach(sessions, ({ value }) => Scope.close(value.scope, Exit.void), {
        concurrency: "unbounded",
        discard: true
      })
    // What is closed beside the requests is closed by the registry's own fibers, not by the requests'.
    const background = yield* Scope.Scope
    yield* Effect.addFinalizer(() =>
      Effect.suspend(() => {
        const sessions = [...table.all.values()]
        for (const { id } of sessions) Table.remove(table, id)
        Metrics.session("closed", sessions.length)
        Metrics.sessions(0)
        return closeAll(sessions)
      })
    )
    yield* Effect.sync(() => {
      const expired = Table.sweep(table, now())
      for (const { id } of expired) remember(id)
      Metrics.session("expired", expired.length)
      Metrics.sessions(Table.size(table))
      return expired
    }).pipe(
      Effect.tap((expired) =>
        expired.length === 0
          ? Effect.void
          : Effect.zipRight(
              closeAll(expired),
              Effect.logDebug("idle sessions ended").pipe(Effect.annotateLogs({ sessions: expired.length }))
            )
      ),
      Effect.repeat(
        Schedule.spaced(Math.min(60_000, Math.max(1, Math.ceil(bounds.idleMs / SWEEPS_PER_IDLE_TIME))))
      ),
      Effect.forkScoped
    )

    const touch = (session: Table.Session<Handle> | undefined) => {
      if (session === undefined) return
      Table.begin(table, now(), session)
      Table.end(table, now(), session.id)
    }

    const take = (id: string) => {
      const session = Table.remove(table, id)
      Metrics.sessions(Table.size(table))
      return session === undefined ? [] : [session]
    }

    const register = (identity: Identity, id: string) =>
      Effect.gen(function* () {
        const transport: SessionTransport = new SessionTransport({
          sessionId: id,
          onStarted: () => {
            const session = Table.find(table, id, identity.owner)
            if (session !== undefined) Table.begin(table, now(), session)
          },
          onSettled: () => Table.end(table, now(), id),
          turn: turns.run
        })
        const scope = yield* Scope.make()
        const connection = yield* Observed.make(transport, { via: "tcp", tools: server.tools }).pipe(
          Effect.flatMap((observed) => server.connect(observed, identity.principal)),
          Scope.extend(scope)
        )
        // Another request may have come with the same id meanwhile.
        if (table.all.has(id) || Lru.get(ended, id) !== undefined) {
          yield* Scope.close(scope, Exit.void)
          return undefined
        }
        const opening = Table.open(table, now(), {
          id,
          owner: identity.owner,
          value: { transport, connection, scope }
        })
        if (opening._tag === "Full") {
          yield* Scope.close(scope, Exit.void)
          const limit = opening.bound === "owner" ? bounds.maxPerOwner : bounds.maxSessions
          return yield* withoutStack(() => new SessionsFull({ bound: opening.bound, limit }))
        }
        Metrics.sessions(Table.size(table))
        if (opening.evicted !== undefined) {
          remember(opening.evicted.id)
          Metrics.session("evicted")
          yield* Effect.forkIn(closeAll([opening.evicted]), background)
        }
        return transport
      })

    const find: Sessions["find"] = (id, identity) => {
      const session = Table.find(table, id, identity.owner)
      touch(session)
      return session?.value.transport
    }

    /** Undefined for an id that is known. */
    const openAs = <A extends { readonly ok: boolean }, E>(
      id: string,
      identity: Identity,
      first: (transport: SessionTransport) => Effect.Effect<A, E>
    ) =>
      Effect.acquireUseRelease(
        register(identity, id),
        (transport) => (transport === undefined ? Effect.succeed(undefined) : first(transport)),
        (transport, exit) =>
          transport === undefined
            ? Effect.void
            : Exit.isSuccess(exit) && exit.value?.ok === true
              ? Effect.sync(() => {
                  Metrics.session("opened")
                  Table.end(table, now(), id)
                })
              : Effect.suspend(() => closeAll(take(id)))
      )

    return {
      open: (identity, first) =>
        Effect.flatMap(
          Effect.suspend(() => openAs(randomUUID(), identity, first)),
          (answer) =>
            answer === undefined
              ? Effect.dieMessage("a new session had an id that was known")
              : Effect.succeed(answer)
        ),
      resume: (id, identity, first) =>
        Effect.gen(function* () {
          if (strict || !idPattern.test(id)) return yield* new SessionUnknown()
          const answer = yield* openAs(id, identity, first)
          if (answer !== undefined) return answer
          const transport = find(id, identity)
          return yield* transport === undefined ? new SessionUnknown() : first(transport)
        }),
      find,
      close: (id, identity) =>
        Effect.suspend(() => {
          const session = Table.find(table, id, identity.owner)
          if (session === undefined) return Effect.succeed(false)
          take(id)
          remember(id)
          Metrics.session("closed")
          return session.value.connection.abandon.pipe(
            Effect.zipRight(Scope.close(session.value.scope, Exit.void)),
            Effect.uninterruptible,
            Effect.as(true)
          )
        }),
      size: Effect.sync(() => Table.size(table))
    }
  })
