// Our breaker and limiter in front of any Effect: here any call of an HTTP API.
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as CircuitBreaker from "snowguard/CircuitBreaker"
import * as RateLimiter from "snowguard/RateLimiter"

export class ApiError {
  readonly _tag = "ApiError"
  constructor(readonly status: number) {}
}

/** Only the API's own faults count against it. */
const verdict = (exit: Exit.Exit<unknown, ApiError | RateLimiter.RateLimited>): CircuitBreaker.Verdict => {
  if (exit._tag === "Success" || exit.cause._tag !== "Fail") return CircuitBreaker.defaultVerdict(exit)
  const { error } = exit.cause
  // Refused by ourselves, it says nothing of the API; a 404 is an answer.
  return error._tag === "RateLimited" ? "ignored" : error.status < 500 ? "alive" : "failure"
}

/**
 * At most two calls a second (bursts of three) for each user, none while the API is failing. The breaker
 * stands outside: a call that it refuses has cost its user no token.
 */
export const protect = <A, R>(user: string, call: Effect.Effect<A, ApiError, R>) =>
  Effect.gen(function* () {
    const limiter = yield* RateLimiter.RateLimiter
    const breaker = yield* CircuitBreaker.CircuitBreaker
    const limited = limiter.limit({ client: user, tier: "default", class: "query" }, call)
    return yield* CircuitBreaker.protect(breaker, limited, { verdict })
  })

export const layer = Layer.merge(
  RateLimiter.layer({
    global: { rate: 100, burst: 100 },
    classes: {},
    tiers: { default: { client: { rate: 2, burst: 3 } } }
  }),
  CircuitBreaker.layer({ name: "api", consecutiveFailures: 3 })
)
