/**
 * What an operator has to mend at the warehouse: a login that is refused, a warehouse that is stopped, a
 * configuration that is wrong. Waiting mends none of it, so that the circuit breaker does not count it.
 *
 * ```
 *   login accepted ──> free ──login refused──> latched (no login is tried) ──some time later──> one is tried
 *                       ^                         |
 *                       +--unlatch, or another credential
 * ```
 *
 * Latched is what was refused: the credential, its role, or the namespace, of the user that logged in (the owner): what
 * is refused to one says nothing of another. Sessions that live are not asked.
 *
 * Invariants
 * 1. After a login whose credential was refused, no other with the same credential is tried before `latchMs`
 *    have passed or an operator says so: an account locks after a few.
 * 2. What may pass sooner (a refusal of an unknown kind, of a role, of a namespace) is tried again after
 *    {@link FIRST_LATCH_MS}, and later each time that it is refused again. Unknown refusals hold the credential
 *    back unless it is known to be good, and then from the third in a row on.
 * 3. Another credential is tried at once, and what was refused to the former one is forgotten.
 * 4. The log has one line when a latch closes and one when a login works again; what else goes wrong it
 *    has once a minute at most, each kind, and so its end.
 * 5. Trouble is over, and shown as that, when a success proves it: that of a stopped warehouse a SELECT of the same user
 *    with the same warehouse, that of a configuration a statement at the same place, that of logins a login. A statement
 *    that had begun before the trouble proves nothing: what runs goes on where a resource monitor refuses what is new.
 *    Limit: a SELECT that Snowflake answers from its result cache or from metadata needs no warehouse, cannot be told
 *    apart, and ends the trouble of one until the next statement fails.
 * 6. Time is the monotonic clock's: a wall clock that is set does not open a latch.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Lru from "../platform/core/Lru.js"
import { iso, sentence } from "../platform/core/format.js"
import { monotonicMillis } from "../platform/monotonic.js"
import type { Reason, WarehouseError } from "./Warehouse.js"

/**
 * What waits for an operator; times in milliseconds.
 *
 * @since 0.1.0
 * @category models
 */
export interface Status {
  /** Why no login is tried; absent while logins are. */
  readonly latched?:
    | {
        readonly reason: string
        readonly code?: string | undefined
        readonly nextLoginInMs: number
        /** It is of some users, and the others may be served. */
        readonly onlySome?: boolean | undefined
      }
    | undefined
  /** Of how many users no login is tried, where callers have users of their own; `latched` is one of them. */
  readonly latchedUsers?: number | undefined
  /** They by name, as far as they have one, the next ones to be tried first. */
  readonly refusedUsers?: ReadonlyArray<RefusedUser> | undefined
  /** How long the approval of the login by a person has been waited for. */
  readonly approvalForMs?: number | undefined
  /** What else failed last for a reason of this kind, for some minutes. */
  readonly trouble?:
    | {
        readonly reason: Reason
        /** The warehouse's own, where it gave one. */
        readonly code?: string | undefined
        readonly description: string
        readonly agoMs: number
        /** How long ago a statement was answered that shows that it is over. */
        readonly recoveredAgoMs?: number | undefined
        /** Whose trouble it is, where it is not that of all. */
        readonly user?: string | undefined
      }
    | undefined
}

/**
 * A user of which no login is tried.
 *
 * @since 0.1.0
 * @category models
 */
export interface RefusedUser {
  readonly user: string
  readonly reason: string
  readonly nextLoginInMs: number
}

/**
 * The user that something is about.
 *
 * @since 0.1.0
 * @category models
 */
export interface Whose {
  /** Tells users apart; absent or empty where all callers are one user. */
  readonly owner?: string | undefined
  /** By what name an operator knows that user. */
  readonly user?: string | undefined
  /** The virtual warehouse; the default one of the user when absent. */
  readonly warehouse?: string | undefined
  /** Role, virtual warehouse and namespace, as one text. */
  readonly place?: string | undefined
}

/**
 * A statement that has been answered.
 *
 * @since 0.1.0
 * @category models
 */
export interface Answered extends Whose {
  /** It needed a virtual warehouse. */
  readonly computes: boolean
  /** When it was sent, by the monotonic clock. */
  readonly begunAt: number
}

/**
 * Identity, role and namespace of a login: texts that are the same when these are.
 *
 * @since 0.1.0
 * @category models
 */
export interface Attempt extends Whose {
  readonly identity: string
  readonly role: string
  readonly place: string
}

/**
 * What a refusal of a login is about. `unknown` where nothing tells.
 *
 * @since 0.1.0
 * @category models
 */
export type Refused = "identity" | "role" | "place" | "unknown"

/**
 * Remembers a refused login, so that no account is locked by repeating it.
 *
 * @since 0.1.0
 * @category context
 */
export class WarehouseHealth extends Context.Tag("snowguard/WarehouseHealth")<
  WarehouseHealth,
  {
    /** Fails with the refusal while this login is not to be tried. */
    readonly login: (attempt: Attempt) => Effect.Effect<void, WarehouseError>
    /** `refused`: what no login is to be tried for; absent where the next one may be. */
    readonly loginFailed: (
      attempt: Attempt,
      error: WarehouseError,
      refused: Refused | undefined
    ) => Effect.Effect<void>
    readonly loginAccepted: (attempt: Attempt) => Effect.Effect<void>
    /** A person has to approve a login, from now on until what is returned is run. */
    readonly awaitApproval: Effect.Effect<Effect.Effect<void>>
    /** A statement has failed; what an operator must mend is told. */
    readonly failed: (error: WarehouseError, whose?: Whose) => Effect.Effect<void>
    /** Whether there is any that a success could end: what is answered needs no notice while there is none. */
    readonly hasTrouble: () => boolean
    /** A statement has been answered: the trouble that it disproves is over. */
    readonly answered: (it: Answered) => Effect.Effect<void>
    readonly status: Effect.Effect<Status>
    /** The next login is tried at once; false when it would have been. */
    readonly unlatch: Effect.Effect<boolean>
    /** The same for this user alone, whatever the case of its name. */
    readonly unlatchUser: (user: string) => Effect.Effect<boolean>
  }
>() {}

/**
 * For how long a login that was refused is not repeated.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Milliseconds after a refused login before the next one. Default 600,000. */
  readonly latchMs?: number | undefined
}

const LATCH_MS = 600_000

/** Milliseconds of the first latch for what may pass. */
const FIRST_LATCH_MS = 15_000

/** Refusals of an unknown kind in a row after which they count as the credential's. */
const UNKNOWN_IN_A_ROW = 3

/** Callers name namespaces, so that what is remembered of them has a bound. */
const LATCHES = { maxEntries: 200, maxBytes: Number.MAX_SAFE_INTEGER }

/** A refusal, and until when no login is tried for it; remembered after that, to know how often it was. */
interface Latch {
  readonly error: WarehouseError
  readonly until: number
  readonly times: number
}

/** What is remembered of one user. Touched in synchronous steps only. */
interface Owner {
  user: string | undefined
  identity: string | undefined
  accepted: boolean
  unknownInARow: number
  /** By what was refused. */
  latches: Lru.Lru<Latch>
}

const newOwner = (): Owner => ({
  user: undefined,
  identity: undefined,
  accepted: false,
  unknownInARow: 0,
  latches: Lru.make<Latch>(LATCHES)
})

/** Users that are remembered. */
const OWNERS = { maxEntries: 10_000, maxBytes: Number.MAX_SAFE_INTEGER }

/** Users that are named among those that were refused. */
const SHOWN_USERS = 20

/** For the credential as a whole. */
const IDENTITY = ""

/** Milliseconds between two lines about the same kind of trouble. */
const TELL_EVERY_MS = 60_000

/** Kinds of trouble that are remembered. */
const TROUBLES = { maxEntries: 100, maxBytes: Number.MAX_SAFE_INTEGER }

interface Trouble {
  readonly error: WarehouseError
  readonly at: number
  readonly user: string
}

/** What a success has to have in common with trouble to end it. */
const troubleKey = (reason: Reason, { owner = "", place, warehouse }: Whose): string =>
  JSON.stringify([
    reason,
    owner,
    reason === "Unavailable" ? warehouse : reason === "Configuration" ? place : undefined
  ])

/** Milliseconds that trouble is shown, and its end: that it has ended shows only where there are calls. */
const SHOWN_MS = 300_000

/** Milliseconds after which trouble that no success has ended is forgotten. */
const FORGOTTEN_MS = 3_600_000

const kinds: { readonly [R in Reason]?: string } = {
  Unavailable: "is not available",
  LoginUnavailable: "cannot be logged in to now",
  Configuration: "is set up wrongly"
}

const advice: { readonly [R in Reason]?: (queries: string) => string } = {
  Unavailable: (queries) =>
    `${queries} fail until it is mended in Snowflake: resume the warehouse (ALTER WAREHOUSE ... RESUME, or AUTO_RESUME = TRUE), ` +
    "raise the quota of its resource monitor, or name another one in snowflake.warehouse.",
  LoginUnavailable: () =>
    "Sessions that are open are used meanwhile; new ones are tried again with each call.",
  Configuration: (queries) => `${queries} fail until the settings are mended; snowguard check says more.`
}

const isOfOne = ({ owner = "" }: Whose): boolean => owner !== ""

/** The user, where it is one of several; empty where it is that of all. */
const nameOf = (whose: Whose): string => (isOfOne(whose) ? (whose.user ?? "one user") : "")

/**
 * Nothing is refused at first.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = ({ latchMs = LATCH_MS }: Options = {}): Effect.Effect<
  Context.Tag.Service<WarehouseHealth>
> =>
  Effect.sync(() => {
    // Touched in synchronous steps only.
    const owners = Lru.make<Owner>(OWNERS)
    let approvalSince: number | undefined
    const troubles = Lru.make<Trouble>(TROUBLES)
    /** The latest that is over. */
    let past: (Trouble & { readonly overAt: number }) | undefined
    /** By the kind, those of single users apart from those of all. */
    const toldAt = new Map<string, number>()
    const toldOverAt = new Map<Reason, number>()

    const keyOf = {
      identity: () => IDENTITY,
      role: (it: Attempt) => `role ${it.role}`,
      place: (it: Attempt) => `place ${it.place}`
    }
    const held = (now: number, { latches }: Owner, key: string): Latch | undefined => {
      const latch = Lru.get(latches, key)
      return latch !== undefined && now < latch.until ? latch : undefined
    }
    const forget = (owner: Owner) => {
      owner.latches = Lru.make<Latch>(LATCHES)
      owner.unknownInARow = 0
    }
    const ownerOf = ({ owner: key = "", user }: Attempt): Owner => {
      const found = Lru.get(owners, key) ?? newOwner()
      found.user = user ?? found.user
      Lru.set(owners, key, found, 1)
      return found
    }
    const isOf = (owner: Owner, attempt: Attempt): void => {
      if (attempt.identity === owner.identity) return
      // Another credential: what was refused to the former one says nothing of it.
      owner.identity = attempt.identity
      owner.accepted = false
      forget(owner)
    }

    const unlatched = (now: number, isMeant: (owner: Owner) => boolean): boolean => {
      let was = false
      for (const { value: owner } of owners.entries.values()) {
        if (!isMeant(owner)) continue
        was ||= [...owner.latches.entries.values()].some(({ value }) => now < value.until)
        const ofIdentity = Lru.get(owner.latches, IDENTITY)
        forget(owner)
        // Still remembered, so that the log tells when a login works again.
        if (ofIdentity !== undefined) {
          Lru.set(owner.latches, IDENTITY, { ...ofIdentity, until: now, times: 0 }, 1)
        }
      }
      return was
    }

    const failed = (error: WarehouseError, whose: Whose = {}): Effect.Effect<void> => {
      const what = advice[error.reason]
      if (what === undefined) return Effect.void
      const name = nameOf(whose)
      const kind = `${error.reason}${isOfOne(whose) ? " of one" : ""}`
      return Effect.flatMap(monotonicMillis, (now) => {
        Lru.set(troubles, troubleKey(error.reason, whose), { error, at: now, user: name }, 1)
        const before = toldAt.get(kind)
        if (before !== undefined && now - before < TELL_EVERY_MS) return Effect.void
        toldAt.set(kind, now)
        return Effect.annotateLogs(
          Effect.logWarning(
            `the warehouse ${kinds[error.reason] ?? "fails"}${name === "" ? "" : ` for ${name}`}: ` +
              `${sentence(error.description)} ${what(name === "" ? "Queries" : `Queries of ${name}`)}`
          ),
          noted(error)
        )
      })
    }

    /** Ends what a success disproves that had begun at that time. */
    const recovered = (
      whose: Whose,
      reasons: ReadonlyArray<Reason>,
      begunAt = Number.POSITIVE_INFINITY
    ): Effect.Effect<void> =>
      Effect.flatMap(monotonicMillis, (now) => {
        const told: Array<Reason> = []
        for (const reason of reasons) {
          const key = troubleKey(reason, whose)
          const found = Lru.get(troubles, key)
          if (found === undefined || found.at >= begunAt) continue
          Lru.remove(troubles, key)
          past = { ...found, overAt: now }
          const before = toldOverAt.get(reason)
          if (before !== undefined && now - before < TELL_EVERY_MS) continue
          toldOverAt.set(reason, now)
          told.push(reason)
        }
        for (const [key, { value }] of troubles.entries) {
          if (now - value.at > FORGOTTEN_MS) Lru.remove(troubles, key)
        }
        return told.length === 0
          ? Effect.void
          : Effect.logInfo(`statements are answered again: ${told.join(", ")}`)
      })
    /** The latest that goes on, else the latest that is over; for some minutes. */
    const shownTrouble = (now: number): (Trouble & { readonly overAt?: number }) | undefined => {
      const [latest] = [...troubles.entries.values()]
        .map(({ value }) => value)
        .filter(({ at }) => now - at <= SHOWN_MS)
        .sort((a, b) => b.at - a.at)
      return latest ?? (past !== undefined && now - past.overAt <= SHOWN_MS ? past : undefined)
    }

    return {
      login: (attempt) =>
        Effect.flatMap(monotonicMillis, (now) => {
          const owner = ownerOf(attempt)
          isOf(owner, attempt)
          const latch =
            held(now, owner, IDENTITY) ??
            held(now, owner, keyOf.role(attempt)) ??
            held(now, owner, keyOf.place(attempt))
          return latch === undefined ? Effect.void : Effect.fail(latch.error)
        }),
      loginFailed: (attempt, error, refused) =>
        Effect.flatMap(monotonicMillis, (now) => {
          if (refused === undefined) return failed(error, attempt)
          const owner = ownerOf(attempt)
          // Of a credential that has been exchanged in the meantime.
          if (owner.identity !== undefined && attempt.identity !== owner.identity)
            return failed(error, attempt)
          isOf(owner, attempt)
          owner.unknownInARow = refused === "unknown" ? owner.unknownInARow + 1 : 0
          const of =
            refused !== "unknown"
              ? refused
              : owner.accepted && owner.unknownInARow < UNKNOWN_IN_A_ROW
                ? ("place" as const)
                : ("identity" as const)
          const key = keyOf[of](attempt)
          if (held(now, owner, key) !== undefined) return Effect.void
          const times = (Lru.get(owner.latches, key)?.times ?? 0) + 1
          const forMs =
            refused === "identity" && error.reason === "Authentication"
              ? latchMs
              : Math.min(latchMs, FIRST_LATCH_MS * 2 ** Math.min(times - 1, 20))
          Lru.set(owner.latches, key, { error, until: now + forMs, times }, 1)
          if (of !== "identity") return failed(error, attempt)
          const name = nameOf(attempt)
          return Effect.flatMap(Clock.currentTimeMillis, (wall) =>
            Effect.annotateLogs(
              Effect.logError(
                `the login${name === "" ? "" : ` of ${name}`} to the warehouse was refused: ${sentence(error.description)} ` +
                  `Next login at ${iso(wall + forMs)}, so that the account is not locked. ` +
                  "Mend the credentials, then run: snowguard admin warehouse unlatch"
              ),
              noted(error)
            )
          )
        }),
      loginAccepted: (attempt) =>
        Effect.suspend(() => {
          const owner = ownerOf(attempt)
          if (owner.identity !== undefined && attempt.identity !== owner.identity) return Effect.void
          isOf(owner, attempt)
          owner.accepted = true
          owner.unknownInARow = 0
          const before = Lru.get(owner.latches, IDENTITY)
          const noted = recovered(attempt, ["LoginUnavailable", "Configuration"])
          for (const of of ["identity", "role", "place"] as const) {
            Lru.remove(owner.latches, keyOf[of](attempt))
          }
          if (before === undefined) return noted
          const name = nameOf(attempt)
          return Effect.zipRight(
            noted,
            Effect.logInfo(`the login${name === "" ? "" : ` of ${name}`} to the warehouse works again`)
          )
        }),
      awaitApproval: Effect.flatMap(monotonicMillis, (now) => {
        approvalSince = now
        return Effect.as(
          tellApproval,
          Effect.sync(() => {
            approvalSince = undefined
          })
        )
      }),
      failed,
      hasTrouble: () => Lru.size(troubles) > 0,
      answered: (it) =>
        recovered(it, it.computes ? ["Unavailable", "Configuration"] : ["Configuration"], it.begunAt),
      status: Effect.map(monotonicMillis, (now): Status => {
        const latched: Array<Latch> = []
        const refused: Array<RefusedUser> = []
        for (const { value: owner } of owners.entries.values()) {
          const latch = held(now, owner, IDENTITY)
          if (latch === undefined) continue
          latched.push(latch)
          if (owner.user === undefined) continue
          refused.push({
            user: owner.user,
            reason: latch.error.description,
            nextLoginInMs: Math.ceil(latch.until - now)
          })
        }
        refused.sort((a, b) => a.nextLoginInMs - b.nextLoginInMs)
        const [latch] = latched
        // One user of several says nothing of the others, also before they are known.
        const isOfAll =
          latched.length === owners.entries.size && (latched.length > 1 || owners.entries.has(""))
        const trouble = shownTrouble(now)
        const several = owners.entries.size > (owners.entries.has("") ? 1 : 0)
        return {
          ...(several && latched.length > 0 ? { latchedUsers: latched.length } : {}),
          ...(several && refused.length > 0 ? { refusedUsers: refused.slice(0, SHOWN_USERS) } : {}),
          ...(latch === undefined
            ? {}
            : {
                latched: {
                  reason: latch.error.description,
                  code: latch.error.code,
                  nextLoginInMs: Math.ceil(latch.until - now),
                  ...(!isOfAll ? { onlySome: true as const } : {})
                }
              }),
          ...(approvalSince === undefined ? {} : { approvalForMs: Math.floor(now - approvalSince) }),
          ...(trouble === undefined
            ? {}
            : {
                trouble: {
                  reason: trouble.error.reason,
                  ...(trouble.error.code === undefined ? {} : { code: trouble.error.code }),
                  description: trouble.error.description,
                  agoMs: Math.floor(now - trouble.at),
                  ...(trouble.overAt === undefined
                    ? {}
                    : { recoveredAgoMs: Math.floor(now - trouble.overAt) }),
                  ...(trouble.user === "" ? {} : { user: trouble.user })
                }
              })
        }
      }),
      unlatch: Effect.map(monotonicMillis, (now) => unlatched(now, () => true)),
      unlatchUser: (user) =>
        Effect.map(monotonicMillis, (now) =>
          unlatched(now, (owner) => owner.user?.toUpperCase() === user.toUpperCase())
        )
    }
  })

const tellApproval = Effect.logWarning(
  "a person has to approve the login to the warehouse: on the user's phone (push notification) or in the browser"
)

const noted = ({ code, reason }: WarehouseError) => ({ reason, ...(code === undefined ? {} : { code }) })

/**
 * Lets every login be tried and logs nothing: for a login that is a test.
 *
 * @since 0.1.0
 * @category constructors
 */
export const silent: Context.Tag.Service<WarehouseHealth> = {
  login: () => Effect.void,
  loginFailed: () => Effect.void,
  loginAccepted: () => Effect.void,
  awaitApproval: Effect.as(tellApproval, Effect.void),
  failed: () => Effect.void,
  hasTrouble: () => false,
  answered: () => Effect.void,
  status: Effect.succeed({}),
  unlatch: Effect.succeed(false),
  unlatchUser: () => Effect.succeed(false)
}

/**
 * What it says where there is one: an embedded warehouse has no login.
 *
 * @since 0.1.0
 * @category combinators
 */
export const statusIfAny: Effect.Effect<Effect.Effect<Status>> = Effect.map(
  Effect.serviceOption(WarehouseHealth),
  Option.match({ onNone: () => Effect.succeed({}), onSome: ({ status }) => status })
)

/**
 * Nothing is refused at first.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options?: Options): Layer.Layer<WarehouseHealth> =>
  Layer.effect(WarehouseHealth, make(options))
