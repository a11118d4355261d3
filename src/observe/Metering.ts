/**
 * What a call asked of the rate limits and quotas, as it is in the audit log (`limits`): enough to take the same
 * decisions again, under these limits or others (`snowguard limits simulate`).
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/** What a date can hold, before and after 1970. */
const Millis = Schema.Number.pipe(Schema.between(-8.64e15, 8.64e15))
const Count = Schema.Finite
/** Milliseconds since the buckets of the server were made; exact on the grid of the rate limits. */
const At = Millis
/** Milliseconds by which the wall clock differs from `started` plus `at`, rounded down; nearly always 0. */
const Drift = Millis

const step = <const What extends string, Rest extends Schema.TupleType.Elements>(what: What, ...rest: Rest) =>
  Schema.Tuple(Count, At, Drift, Schema.Literal(what), ...rest)

/** `SCOPE` of a rate limit, `SCOPE:QUOTA` of a quota. */
const By = Schema.String
/** Null where waiting would not help. */
const RetryAfter = Schema.NullOr(Schema.Finite)
/** 0: the reservation of the call; 1 and on: those of its scans, in the order in which they were made. */
const Of = Schema.Finite

/**
 * One decision or booking: its number among those of the server, its time, what it was.
 *
 * @since 0.1.0
 * @category models
 */
export const Step = Schema.Union(
  /** Admitted by the rate limits, after so many milliseconds. */
  step("rate", Schema.Finite),
  step("rate_refused", By, RetryAfter),
  /** The quotas hold what the call may use. */
  step("quota"),
  step("quota_refused", By, RetryAfter),
  /** The store of the quotas did not answer. */
  step("quota_lost"),
  /** The quotas hold so many bytes for a scan. */
  step("scan", Schema.Finite),
  step("scan_refused", Schema.Finite, By, RetryAfter),
  step("scan_lost", Schema.Finite),
  /** What is reserved is charged from here on, also when the server ends. */
  step("sent", Of),
  /** Used: result bytes, bytes scanned, seconds in the warehouse; null where it is not known. Credits where they are. */
  step(
    "settled",
    Of,
    Schema.Finite,
    Schema.NullOr(Schema.Finite),
    Schema.NullOr(Schema.Finite),
    Schema.optionalElement(Schema.Finite)
  ),
  step("released", Of),
  /** The tokens were given back. */
  step("refunded"),
  /** Those of the limits that are observed alone, because an observed quota would have refused the call. */
  step("observed_refunded")
)
/**
 * @since 0.1.0
 * @category models
 */
export type Step = typeof Step.Type

/**
 * One guarded operation of a call. A line that was written before its end has a part of the steps, and a later line
 * with the same `server` and `operation` has the others.
 *
 * @since 0.1.0
 * @category models
 */
export const Operation = Schema.Struct({
  /** One start of a server. */
  server: Schema.String,
  /** When its buckets were made, milliseconds since 1970. */
  started: Millis,
  /** Number of the operation among those of the server. */
  operation: Schema.Finite,
  class: Schema.Literal("query", "metadata", "control"),
  /** Milliseconds that the call had. */
  deadline: Schema.Finite,
  /** Result bytes expected. */
  estimate: Schema.Finite,
  /** Credits that it may cost at most, where they are estimated. */
  credits: Schema.optional(Schema.Finite),
  /** The tier is the one that the settings give the client; the credential names none. */
  assigned: Schema.optional(Schema.Literal(true)),
  steps: Schema.Array(Step)
})
/**
 * @since 0.1.0
 * @category models
 */
export type Operation = typeof Operation.Type

/**
 * The decision of a line that follows that of a call: what it did with its limits after it was answered.
 *
 * @since 0.1.0
 * @category constants
 */
export const settledLater = "settled"

/**
 * Milliseconds in hundred thousandths, rounded up: finer than the grid of 2^-16 ms on which the rate limits decide, so
 * that rounding down to the grid gives the same time again.
 *
 * @since 0.1.0
 * @category combinators
 */
export const decimal = (ms: number): number => {
  const units = Math.ceil(ms * 1e5)
  return (units / 1e5 < ms ? units + 1 : units) / 1e5
}
