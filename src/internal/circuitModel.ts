/** The words of the circuit breaker, and its refusal. */
import * as Schema from "effect/Schema"
import type * as BreakerModel from "../core/BreakerModel.js"
import type * as BreakerState from "../core/BreakerState.js"

/**
 * What a finished call says about the health of the warehouse. `alive`: it answered, though with the
 * caller's own mistake; counts as a success. `ignored`: says nothing (cancelled, refused by ourselves).
 *
 * @since 0.1.0
 * @category models
 */
export type Verdict = BreakerModel.Verdict

/**
 * @since 0.1.0
 * @category models
 */
export const Phase = Schema.Literal("closed", "open", "half-open", "forced-open", "disabled")
/**
 * @since 0.1.0
 * @category models
 */
export type Phase = typeof Phase.Type

/**
 * The right to make one call, stamped with the generation it belongs to: a verdict of an older
 * generation never changes the state.
 *
 * @since 0.1.0
 * @category models
 */
export type Permit = BreakerModel.Permit

/**
 * What is known of a failure. Silence, where nothing answered at all, counts once a call. What was reported
 * counts once a client and statement, and opens the circuit when two clients have seen it or only one calls.
 *
 * @since 0.1.0
 * @category models
 */
export type Failure = BreakerModel.Failure

/**
 * @since 0.1.0
 * @category models
 */
export type Status = BreakerState.Status

/**
 * @since 0.1.0
 * @category models
 */
export type Transition = BreakerModel.Transition

/**
 * @since 0.1.0
 * @category errors
 */
export class CircuitOpen extends Schema.TaggedError<CircuitOpen>("snowguard/CircuitOpen")("CircuitOpen", {
  phase: Schema.Literal("open", "half-open", "forced-open"),
  /**
   * Milliseconds until a call may get through: exact while it is open, an estimate while it is tried; absent
   * when an operator holds it open.
   */
  retryAfterMs: Schema.optional(Schema.Number),
  failures: Schema.Number,
  calls: Schema.Number,
  cause: Schema.String
}) {
  override get message(): string {
    return `circuit ${this.phase}: ${this.cause}`
  }
}
