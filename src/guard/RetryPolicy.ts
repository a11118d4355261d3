/**
 * Which errors are worth another attempt, how many, and how long to wait before each.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as ScheduleDecision from "effect/ScheduleDecision"
import * as ScheduleInterval from "effect/ScheduleInterval"
import * as ScheduleIntervals from "effect/ScheduleIntervals"
import { WarehouseError } from "../warehouse/Warehouse.js"
import type { Reason } from "../warehouse/Warehouse.js"

/**
 * Kinds of faults with a policy of their own. `transient`: short. `connection`: nothing answers. `overload`: the warehouse
 * answers, and asks for less load. `once`: one retry.
 *
 * @since 0.1.0
 * @category models
 */
export type Preset = "transient" | "connection" | "overload" | "once"

/**
 * How often one kind of fault is tried again, and after which pauses in milliseconds.
 *
 * @since 0.1.0
 * @category models
 */
export interface Policy {
  /** Attempts because of this kind of fault, the first one included, >= 1. */
  readonly attempts: number
  /** Pauses between them; the attempts end with the schedule. Its input is the error, its time monotonic. */
  readonly delays: Schedule.Schedule<unknown, unknown>
}

/**
 * The policy of each kind of fault.
 *
 * @since 0.1.0
 * @category models
 */
export type Policies = { readonly [P in Preset]: Policy }

/**
 * Whether and how an error is retried.
 *
 * @since 0.1.0
 * @category models
 */
export type Decision =
  | { readonly _tag: "No" }
  | {
      readonly _tag: "Retry"
      readonly preset: Preset
      /** Milliseconds the warehouse asked us to wait. */
      readonly serverDelayMs?: number | undefined
      /** No answer came: the failed attempt may still be running in the warehouse, and its retry costs more. */
      readonly afterTimeout?: boolean | undefined
      /** The warehouse has no part in it, and so its budget has none: what failed has limits of its own. */
      readonly unbudgeted?: boolean | undefined
    }

/**
 * For every refusal of this server: limits, quotas, an open circuit and deadlines have decided already.
 *
 * @since 0.1.0
 * @category constants
 */
export const never: Decision = { _tag: "No" }

const retry = (preset: Preset): Decision => ({ _tag: "Retry", preset })

/** The column "retried" of the table in `Warehouse.ts`. */
const decisions: { readonly [R in Reason]: Decision } = {
  InvalidStatement: never,
  NotFound: never,
  Permission: never,
  StatementTimeout: never,
  ResourcesExceeded: never,
  Cancelled: never,
  ResultExpired: never,
  Authentication: never,
  // Of an identity provider, which may fail for some callers only.
  LoginUnavailable: { _tag: "Retry", preset: "connection", unbudgeted: true },
  Configuration: never,
  Unavailable: never,
  Overloaded: retry("overload"),
  SessionLost: retry("once"),
  Unreachable: retry("connection"),
  Protocol: retry("once"),
  ServerFault: retry("once"),
  Unknown: never
}

/** HTTP 403: a wrong configuration when it persists, but a proxy may refuse one request and pass the next. */
const isForbidden = ({ code, reason }: WarehouseError): boolean =>
  reason === "Configuration" && code === "403"

/**
 * The decision for any error of a guarded call: failures of the warehouse by their reason; other errors are never
 * retried.
 *
 * @since 0.1.0
 * @category models
 */
export const decide = (error: unknown): Decision => {
  if (!(error instanceof WarehouseError)) return never
  const decision = isForbidden(error) ? retry("connection") : decisions[error.reason]
  return decision._tag === "No"
    ? decision
    : {
        ...decision,
        ...(error.ownBound === true ? { unbudgeted: true } : {}),
        serverDelayMs: error.retryAfterMs,
        afterTimeout: error.sent === "unknown"
      }
}

/**
 * Milliseconds: the first pause, and the longest.
 *
 * @since 0.1.0
 * @category models
 */
export interface Exponential {
  readonly firstMs: number
  readonly factor: number
  readonly capMs: number
}

/**
 * Milliseconds: the shortest pause, and the longest.
 *
 * @since 0.1.0
 * @category models
 */
export interface Adaptive {
  readonly firstMs: number
  readonly capMs: number
}

/**
 * `firstMs`, then `factor` times as long each time up to `capMs`, with equal jitter: between half of the exponential
 * delay and all of it (M. Brooker, "Exponential Backoff And Jitter", 2015). Full jitter, from zero on, spreads callers
 * wider, but all attempts of a call could meet the same moment of a warehouse that restarts.
 *
 * @since 0.1.0
 * @category constructors
 */
export const exponential = ({
  capMs,
  factor,
  firstMs
}: Exponential): Schedule.Schedule<Duration.Duration> => {
  const cap = Duration.millis(capMs)
  return Schedule.exponential(Duration.millis(firstMs), factor).pipe(
    Schedule.modifyDelay((_, delay) => Duration.min(delay, cap)),
    Schedule.jitteredWith({ min: 0.5, max: 1 })
  )
}

/**
 * Decorrelated jitter: between `firstMs` and three times the last delay. The cap bounds the range and not the result, or
 * callers that have waited long would all wait exactly `capMs`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const adaptive = ({ capMs, firstMs }: Adaptive): Schedule.Schedule<Duration.Duration> =>
  Schedule.makeWithState(firstMs, (now: number, _: unknown, last: number) =>
    Effect.map(Random.nextRange(firstMs, Math.max(firstMs, Math.min(capMs, last * 3))), (ms) => [
      ms,
      Duration.millis(ms),
      ScheduleDecision.continueWith(ScheduleInterval.after(now + ms))
    ])
  )

/**
 * For interactive callers with a deadline of seconds. Most lost connections and replaced servers are back within tenths
 * of a second: four pauses from 100 ms on take 1.1 s on average; from 1 s on ({@link patient}) they take 11 s, most of
 * the time of a look-up.
 *
 * @since 0.1.0
 * @category models
 */
export const interactive: Policies = {
  transient: { attempts: 5, delays: exponential({ firstMs: 100, factor: 2, capMs: 5_000 }) },
  // A new connection is slow in itself; after three failures in a row the fault lasts.
  connection: { attempts: 3, delays: exponential({ firstMs: 200, factor: 2, capMs: 5_000 }) },
  overload: { attempts: 3, delays: adaptive({ firstMs: 500, capMs: 5_000 }) },
  once: { attempts: 2, delays: exponential({ firstMs: 100, factor: 2, capMs: 5_000 }) }
}

/**
 * {@link interactive}, but statements give an overloaded warehouse more time: they are the load.
 *
 * @since 0.1.0
 * @category models
 */
export const statements: Policies = {
  ...interactive,
  overload: { attempts: 4, delays: adaptive({ firstMs: 1_000, capMs: 20_000 }) }
}

/**
 * For batch work without a deadline: 1 s doubling to 60 s, five attempts; connections 2 s, half as long again each time
 * up to 120 s, three attempts.
 *
 * @since 0.1.0
 * @category models
 */
export const patient: Policies = {
  transient: { attempts: 5, delays: exponential({ firstMs: 1_000, factor: 2, capMs: 60_000 }) },
  connection: { attempts: 3, delays: exponential({ firstMs: 2_000, factor: 1.5, capMs: 120_000 }) },
  overload: { attempts: 5, delays: adaptive({ firstMs: 1_000, capMs: 60_000 }) },
  once: { attempts: 2, delays: exponential({ firstMs: 1_000, factor: 2, capMs: 60_000 }) }
}

/**
 * A schedule whose delays are read one at a time, without sleeping: a delay can be refused before it begins, which
 * `Schedule.driver` and `Effect.retry` do not allow.
 *
 * @internal
 */
export interface Course<In> {
  /** The delay in milliseconds, undefined when the schedule has ended, and the rest of the course. */
  readonly next: (
    now: number,
    input: In
  ) => Effect.Effect<readonly [delayMs: number | undefined, rest: Course<In>]>
}

/** @internal */
export const course = <In>(schedule: Schedule.Schedule<unknown, In>): Course<In> => {
  const from = (state: unknown): Course<In> => ({
    next: (now, input) =>
      Effect.map(
        Effect.suspend(() => schedule.step(now, input, state)),
        ([next, _, decision]) => [
          ScheduleDecision.isDone(decision)
            ? undefined
            : Math.max(0, ScheduleIntervals.start(decision.intervals) - now),
          from(next)
        ]
      )
  })
  return from(schedule.initial)
}
