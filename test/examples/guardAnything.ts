// Our limiter and breaker in front of somebody else's Effect: here any call of an HTTP API.
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as CircuitBreaker from "snowguard/CircuitBreaker"
import * as RateLimiter from "snowguard/RateLimiter"

export class ApiError {
  readonly _tag = "ApiError"
  constructor(readonly status: number) {}
}

/** At most two calls a second (bursts of three) for each user, none while the API is failing. */
export const protect = <A, R>(user: string, call: Effect.Effect<A, ApiError, R>) =>
  Effect.gen(function* () {
    const limiter = yield* RateLimiter.RateLimiter
    const breaker = yield* CircuitBreaker.CircuitBreaker
    return yield* limiter.limit(
      { client: user, tier: "default", class: "query" },
      CircuitBreaker.protect(breaker, call, {
        // A 404 is an answer; only the API's own faults count against it.
        verdict: (exit) =>
          exit._tag === "Failure" && exit.cause._tag === "Fail" && exit.cause.error.status < 500
            ? "alive"
            : CircuitBreaker.defaultVerdict(exit)
      })
    )
  })

export const layer = Layer.merge(
  RateLimiter.layer({
    global: { rate: 100, burst: 100 },
    classes: {},
    tiers: { default: { client: { rate: 2, burst: 3 } } }
  }),
  CircuitBreaker.layer({ consecutiveFailures: 3 })
)
