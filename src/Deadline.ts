/**
 * The time a call may take, and what it fails with when it took longer.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Schema from "effect/Schema"

/**
 * When the request of the current call was received, in monotonic milliseconds: deadlines count from then.
 * Undefined outside of a request; then they count from when the guard is asked.
 *
 * @since 0.1.0
 * @category context
 */
export class Received extends Context.Reference<Received>()("snowguard/Deadline/Received", {
  defaultValue: (): number | undefined => undefined
}) {}

/**
 * The call ran out of time, in a queue or in the warehouse.
 *
 * @since 0.1.0
 * @category errors
 */
export class DeadlineExceeded extends Schema.TaggedError<DeadlineExceeded>("snowguard/DeadlineExceeded")(
  "DeadlineExceeded",
  {
    /** The limit that was reached, milliseconds. */
    limitMs: Schema.Number,
    /** Was the statement sent? If so its cancellation has been requested. */
    sent: Schema.Boolean,
    /** Has the warehouse confirmed that? */
    cancelled: Schema.optional(Schema.Boolean),
    /** `attempt`: the warehouse took too long. `call`: what was left of the caller's own time. */
    of: Schema.Literal("attempt", "call"),
    /** Milliseconds until the warehouse is called again, when it is not called now. */
    retryAfterMs: Schema.optional(Schema.Number)
  }
) {
  override get message(): string {
    return `the ${this.of} did not finish within ${this.limitMs} ms`
  }
}
