/**
 * What the calls of this process are coming to: counts by outcome, times, and the clients seen last. Fed by
 * the audit of calls, which it passes on: every call that is written down is counted, and the other way round.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Entry } from "./Audit.js"
import { Audit, operatorPrefix } from "./Audit.js"
import * as CallStats from "./core/CallStats.js"
import { settledLater } from "./Metering.js"

/**
 * How a call ended, as the counts tell it apart.
 *
 * @since 0.1.0
 * @category models
 */
export type Outcome = CallStats.Outcome

/**
 * Calls by outcome: numbers of calls, never a rate.
 *
 * @since 0.1.0
 * @category models
 */
export type Counts = CallStats.Counts

/**
 * Times are upper bounds, at most twice the true ones.
 *
 * @since 0.1.0
 * @category models
 */
export type Interval = CallStats.Interval

/**
 * A client that called lately, with its counts and the tier that it had last.
 *
 * @since 0.1.0
 * @category models
 */
export type Client = CallStats.Client

/**
 * A limit that is observed, as a refusal would name it, and how often it would have refused.
 *
 * @since 0.1.0
 * @category models
 */
export interface WouldRefuse {
  readonly code: string
  readonly scope: string
  readonly count: number
  /** Milliseconds since 1970. */
  readonly lastAt: number
}

/**
 * A call that a limit which is observed would have refused.
 *
 * @since 0.1.0
 * @category models
 */
export interface Observed {
  readonly at: number
  readonly client: string
  readonly tool: string
  readonly code: string
  readonly scope: string
}

/**
 * Counts of the calls of this process. Nothing of it fails, and nothing of it outlives the process.
 *
 * @since 0.1.0
 * @category context
 */
export class Activity extends Context.Tag("snowguard/Activity")<
  Activity,
  {
    readonly record: (entry: Entry) => Effect.Effect<void>
    /** Since the start. */
    readonly totals: Effect.Effect<{ readonly counts: Counts; readonly bytes: number }>
    /** What has happened since this was asked last; for one reader. */
    readonly take: Effect.Effect<Interval>
    /** Refusals and errors since the start: by code, and the latest ones. */
    readonly unserved: Effect.Effect<{
      readonly codes: ReadonlyArray<CallStats.Code>
      readonly latest: ReadonlyArray<CallStats.Ending>
    }>
    /** What limits that are observed would have refused since the start: by limit, and the latest calls. */
    readonly observed: Effect.Effect<{
      readonly limits: ReadonlyArray<WouldRefuse>
      readonly latest: ReadonlyArray<Observed>
    }>
    /** The latest caller first. */
    readonly clients: (atMost: number) => Effect.Effect<ReadonlyArray<Client>>
  }
>() {}

/**
 * Every code with which a call can end without a result, and what that is as long as no statement was sent. A tool of
 * your own may have others.
 *
 * @since 0.1.0
 * @category constants
 */
export const codes = {
  RATE_LIMITED: "refused",
  OVERLOADED: "refused",
  QUOTA_EXCEEDED: "refused",
  SCAN_BUDGET_EXCEEDED: "refused",
  WAREHOUSE_SUSPENDED: "refused",
  CIRCUIT_OPEN: "refused",
  DEGRADED: "refused",
  DEADLINE_EXCEEDED: "refused",
  REPEATED_FAILURE: "refused",
  TOOL_DENIED: "refused",
  // Mistakes of the caller: its own, and those that the warehouse finds.
  STATEMENT_REJECTED: "rejected",
  INVALID_INPUT: "rejected",
  INVALID_PARAMS: "rejected",
  UNKNOWN_TOOL: "rejected",
  OBJECT_NOT_ALLOWED: "rejected",
  WAREHOUSE_INVALID_STATEMENT: "rejected",
  WAREHOUSE_NOT_FOUND: "rejected",
  WAREHOUSE_PERMISSION: "rejected",
  WAREHOUSE_RESULT_EXPIRED: "rejected",
  WAREHOUSE_STATEMENT_TIMEOUT: "rejected",
  WAREHOUSE_RESOURCES_EXCEEDED: "rejected",
  WAREHOUSE_CANCELLED: "failed",
  WAREHOUSE_AUTHENTICATION: "failed",
  WAREHOUSE_LOGIN_UNAVAILABLE: "failed",
  WAREHOUSE_CONFIGURATION: "failed",
  WAREHOUSE_UNAVAILABLE: "failed",
  WAREHOUSE_OVERLOADED: "failed",
  WAREHOUSE_SESSION_LOST: "failed",
  WAREHOUSE_UNREACHABLE: "failed",
  WAREHOUSE_PROTOCOL: "failed",
  WAREHOUSE_SERVER_FAULT: "failed",
  WAREHOUSE_UNKNOWN: "failed",
  QUOTA_STORE_UNAVAILABLE: "failed",
  RESULT_NOT_AVAILABLE: "failed",
  LOOK_UP_INCOMPLETE: "failed",
  SEARCH_NOT_READY: "failed",
  CANCELLED_BY_OPERATOR: "failed",
  SHUTTING_DOWN: "failed",
  INTERNAL: "failed"
} as const satisfies { readonly [code: string]: "refused" | "rejected" | "failed" }

/**
 * A code with which calls end that were not answered, as it is counted.
 *
 * @since 0.1.0
 * @category models
 */
export type Code = keyof typeof codes

const isCode = (decision: string): decision is Code => Object.hasOwn(codes, decision)

/**
 * What kind of end a code is. What refuses a call that had sent its statement before (a try of it
 * may have run, and is charged) is a failure, and so is what looks like a mistake of the caller while the same call may
 * work later (`retryable`): a statement that a slow warehouse did not end in time.
 *
 * @since 0.1.0
 * @category combinators
 */
export const endOf = (
  code: string,
  sent = false,
  retryable = false
): Exclude<Outcome, "ok" | "cancelled"> => {
  const outcome = isCode(code) ? codes[code] : "failed"
  return (sent && outcome === "refused") || (retryable && outcome === "rejected") ? "failed" : outcome
}

/**
 * The same of a decision of the audit log.
 *
 * @since 0.1.0
 * @category combinators
 */
export const outcomeOf = (decision: string, sent = false, retryable = false): Outcome =>
  decision === "ok" || decision === "cancelled" ? decision : endOf(decision, sent, retryable)

/** More than an operator looks at; some hundred bytes each. */
const MAX_CLIENTS = 1_000

/** The same of calls that would have been refused. */
const MAX_OBSERVED = 20

/**
 * Counts that begin at zero.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make: Effect.Effect<Context.Tag.Service<Activity>> = Effect.sync(() => {
  const stats = CallStats.make(MAX_CLIENTS)
  // As many entries as there are limits: their names are not the callers'.
  const limits = new Map<string, WouldRefuse>()
  const latest: Array<Observed> = []
  const note = (at: number, { client, tool, wouldRefuse = [] }: Entry): void => {
    for (const { code, scope } of wouldRefuse) {
      const key = `${code} ${scope}`
      limits.set(key, { code, scope, count: (limits.get(key)?.count ?? 0) + 1, lastAt: at })
      latest.unshift({ at, client, tool, code, scope })
    }
    latest.splice(MAX_OBSERVED)
  }
  return Activity.of({
    record: (entry) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        const { bytes = 0, client, decision, ms, outcome, role, tier, tool, user } = entry
        note(now, entry)
        CallStats.record(stats, now, {
          client,
          tier,
          tool,
          outcome: outcome ?? outcomeOf(decision),
          decision,
          ms,
          bytes,
          actsAs: user === undefined ? role : role === undefined ? user : `${user} (${role})`
        })
      }),
    observed: Effect.sync(() => ({
      limits: [...limits.values()].sort((a, b) => b.count - a.count),
      latest: [...latest]
    })),
    totals: Effect.sync(() => ({ counts: { ...stats.total }, bytes: stats.totalBytes })),
    take: Effect.sync(() => CallStats.take(stats)),
    unserved: Effect.sync(() => ({ codes: CallStats.codes(stats), latest: CallStats.latest(stats) })),
    clients: (atMost) => Effect.sync(() => CallStats.clients(stats, atMost))
  })
})

/**
 * Counts the calls that are given to the audit, and gives all to the one that is provided.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<Activity | Audit, never, Audit> = Layer.effectContext(
  Effect.gen(function* () {
    const audit = yield* Audit
    const activity = yield* make
    const record = (entry: Entry) =>
      // A call is counted with its first line.
      entry.tool.startsWith(operatorPrefix) || entry.decision === settledLater
        ? audit.record(entry)
        : Effect.zipRight(activity.record(entry), audit.record(entry))
    return Context.make(Activity, activity).pipe(
      Context.add(Audit, { record, withoutLimits: audit.withoutLimits })
    )
  })
)
