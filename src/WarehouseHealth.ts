/**
 * What an operator has to mend at the warehouse: a login that is refused, a warehouse that is stopped, a
 * configuration that is wrong. Waiting mends none of it, so that the circuit breaker does not count it.
 *
 * ```
 *   login accepted ──> free ──login refused──> latched (no login is tried) ──latchMs later──> one is tried
 *                       ^                         |
 *                       +-------unlatch-----------+
 * ```
 *
 * Invariants
 * 1. After a login that was refused for who we are, no other is tried before `latchMs` have passed or an
 *    operator says so: an account locks after a few.
 * 2. The log has one line when the latch closes and one when a login works again; what else goes wrong it
 *    has once a minute at most, each kind.
 * 3. Time is the monotonic clock's: a wall clock that is set does not open the latch.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { iso, sentence } from "./internal/errorWords.js"
import { monotonicMillis } from "./internal/monotonic.js"
import type { Reason, WarehouseError } from "./Warehouse.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Status {
  /** Why no login is tried; absent while logins are. */
  readonly latched?:
    | { readonly reason: string; readonly code?: string | undefined; readonly nextLoginInMs: number }
    | undefined
  /** What else failed last for a reason of this kind, for some minutes. */
  readonly trouble?:
    { readonly reason: Reason; readonly description: string; readonly agoMs: number } | undefined
}

/**
 * @since 0.1.0
 * @category context
 */
export class WarehouseHealth extends Context.Tag("snowguard/WarehouseHealth")<
  WarehouseHealth,
  {
    /** Fails with the refusal while no login is to be tried. */
    readonly login: Effect.Effect<void, WarehouseError>
    readonly loginFailed: (error: WarehouseError) => Effect.Effect<void>
    readonly loginAccepted: Effect.Effect<void>
    /** A statement has failed; what an operator must mend is told. */
    readonly failed: (error: WarehouseError) => Effect.Effect<void>
    readonly status: Effect.Effect<Status>
    /** The next login is tried at once; false when it would have been. */
    readonly unlatch: Effect.Effect<boolean>
  }
>() {}

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Milliseconds after a refused login before the next one. Default 600,000. */
  readonly latchMs?: number | undefined
}

const LATCH_MS = 600_000

/** Milliseconds between two lines about the same kind of trouble. */
const TELL_EVERY_MS = 60_000

/** Milliseconds that trouble is shown: nobody tells when it is over. */
const SHOWN_MS = 300_000

const advice: { readonly [R in Reason]?: string } = {
  Unavailable:
    "Queries fail until it is mended in Snowflake: resume the warehouse (ALTER WAREHOUSE ... RESUME, or AUTO_RESUME = TRUE), " +
    "raise the quota of its resource monitor, or name another one in snowflake.warehouse.",
  Configuration: "Queries fail until the settings are mended; snowguard check says more."
}

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = ({ latchMs = LATCH_MS }: Options = {}): Effect.Effect<
  Context.Tag.Service<WarehouseHealth>
> =>
  Effect.sync(() => {
    // Touched in synchronous steps only.
    let refused: { readonly error: WarehouseError; readonly until: number } | undefined
    let trouble: { readonly error: WarehouseError; readonly at: number } | undefined
    const toldAt = new Map<Reason, number>()

    const held = (now: number) => (refused !== undefined && now < refused.until ? refused : undefined)

    const failed = (error: WarehouseError): Effect.Effect<void> => {
      const what = advice[error.reason]
      if (what === undefined) return Effect.void
      return Effect.flatMap(monotonicMillis, (now) => {
        trouble = { error, at: now }
        const before = toldAt.get(error.reason)
        if (before !== undefined && now - before < TELL_EVERY_MS) return Effect.void
        toldAt.set(error.reason, now)
        const kind = error.reason === "Unavailable" ? "is not available" : "is set up wrongly"
        return Effect.annotateLogs(
          Effect.logWarning(`the warehouse ${kind}: ${sentence(error.description)} ${what}`),
          noted(error)
        )
      })
    }

    return {
      login: Effect.flatMap(monotonicMillis, (now) => {
        const latch = held(now)
        return latch === undefined ? Effect.void : Effect.fail(latch.error)
      }),
      loginFailed: (error) =>
        Effect.flatMap(monotonicMillis, (now) => {
          if (error.reason !== "Authentication") return failed(error)
          if (held(now) !== undefined) return Effect.void
          refused = { error, until: now + latchMs }
          return Effect.clockWith((clock) =>
            Effect.annotateLogs(
              Effect.logError(
                `the login to the warehouse was refused: ${sentence(error.description)} ` +
                  `Next login at ${iso(clock.unsafeCurrentTimeMillis() + latchMs)}, so that the account is not locked. ` +
                  "Mend the credentials, then run: snowguard admin warehouse unlatch"
              ),
              noted(error)
            )
          )
        }),
      loginAccepted: Effect.suspend(() => {
        if (refused === undefined) return Effect.void
        refused = undefined
        return Effect.logInfo("the login to the warehouse works again")
      }),
      failed,
      status: Effect.map(monotonicMillis, (now): Status => {
        const latch = held(now)
        return {
          ...(latch === undefined
            ? {}
            : {
                latched: {
                  reason: latch.error.description,
                  code: latch.error.code,
                  nextLoginInMs: Math.ceil(latch.until - now)
                }
              }),
          ...(trouble === undefined || now - trouble.at > SHOWN_MS
            ? {}
            : {
                trouble: {
                  reason: trouble.error.reason,
                  description: trouble.error.description,
                  agoMs: Math.floor(now - trouble.at)
                }
              })
        }
      }),
      unlatch: Effect.map(monotonicMillis, (now) => {
        const latch = held(now)
        // Still remembered, so that the log tells when a login works again.
        if (latch !== undefined) refused = { ...latch, until: now }
        return latch !== undefined
      })
    }
  })

const noted = ({ code, reason }: WarehouseError) => ({ reason, ...(code === undefined ? {} : { code }) })

/**
 * Lets every login be tried and tells nobody: for one that is made to see how it goes.
 *
 * @since 0.1.0
 * @category constructors
 */
export const silent: Context.Tag.Service<WarehouseHealth> = {
  login: Effect.void,
  loginFailed: () => Effect.void,
  loginAccepted: Effect.void,
  failed: () => Effect.void,
  status: Effect.succeed({}),
  unlatch: Effect.succeed(false)
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
 * @since 0.1.0
 * @category layers
 */
export const layer = (options?: Options): Layer.Layer<WarehouseHealth> =>
  Layer.effect(WarehouseHealth, make(options))
