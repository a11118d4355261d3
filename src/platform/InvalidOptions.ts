/**
 * What a service fails with when its options make no sense.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/**
 * The options of a service make no sense. Names every problem at once; correct the options and build the layer again.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidOptions extends Schema.TaggedError<InvalidOptions>("snowguard/InvalidOptions")(
  "InvalidOptions",
  {
    /** Name of the service: `RateLimiter`, `Bulkhead`, `Retry`, `Quota`, `CircuitBreaker`. */
    service: Schema.String,
    problems: Schema.Array(Schema.String)
  }
) {
  override get message(): string {
    return `invalid options of ${this.service}: ${this.problems.join("; ")}`
  }
}

/**
 * Fails when there is a problem.
 *
 * @since 0.1.0
 * @category combinators
 */
export const check = (
  service: string,
  problems: ReadonlyArray<string>
): Effect.Effect<void, InvalidOptions> =>
  problems.length === 0 ? Effect.void : Effect.fail(new InvalidOptions({ service, problems }))
