/** What each part of the guard costs: the whole without it, and it alone. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Runtime from "effect/Runtime"
import * as Scope from "effect/Scope"
import * as Bulkhead from "../../src/guard/Bulkhead.js"
import * as CircuitBreaker from "../../src/guard/CircuitBreaker.js"
import * as Degradation from "../../src/guard/Degradation.js"
import * as Deadline from "../../src/guard/Deadline.js"
import * as Quota from "../../src/quota/Quota.js"
import * as RateLimiter from "../../src/guard/RateLimiter.js"
import * as Retry from "../../src/guard/Retry.js"
import * as RetryPolicy from "../../src/guard/RetryPolicy.js"
import type { Case, Samples } from "./harness.js"
import { interleaved } from "./harness.js"
import { operation, parts, sent, start, times } from "./stack.js"

const request = { client: "client", tier: "default", class: "query" } as const

type Call = () => Effect.Effect<unknown, unknown>

const alone = Effect.gen(function* () {
  const limiter = yield* RateLimiter.RateLimiter
  const quota = yield* Quota.Quota
  const bulkhead = yield* Bulkhead.Bulkhead
  const breaker = yield* CircuitBreaker.CircuitBreaker
  const deadlines = yield* Deadline.make(0)
  const slot = { client: "client", tier: "default", maxWaitMs: 1_000 }
  const degradation = yield* Degradation.Degradation
  const retry = yield* Retry.Retry
  const calls: { readonly [part: string]: Call } = {
    degradation: () => degradation.protect("query", Effect.void),
    limiter: () => limiter.acquire(request),
    quota: () =>
      Effect.flatMap(
        quota.reserve({ ...request, estimatedBytes: 4_096, deadlineMs: 65_000 }),
        (reservation) =>
          Effect.zipRight(quota.submitted(reservation), quota.settle(reservation, { bytes: 0 }))
      ),
    retry: () =>
      retry.run(() => Effect.void, { class: "query", deadline: undefined, decide: () => RetryPolicy.never }),
    "bulkhead (1 of 2)": () => Bulkhead.withSlot(bulkhead, "requests", slot, Effect.void),
    breaker: () => Effect.zipRight(breaker.peek, CircuitBreaker.protect(breaker, Effect.void)),
    deadline: () => deadlines.answerBy(Number.MAX_SAFE_INTEGER, Effect.never, () => Effect.void)
  }
  return calls
})

export const measureParts = async (rounds: number, ops: number): Promise<Samples> => {
  const whole = await start()
  const ablated = await Promise.all(
    ([undefined, ...parts, "all"] as const).map(async (without) => ({
      name: without === undefined ? "whole" : `without ${without}`,
      started: await start({ without })
    }))
  )
  const cases = ablated.map(({ name, started: { guard, runtime } }): Case => ({
    name,
    ops,
    run: (n) => Runtime.runPromise(runtime)(times(n, () => guard.run(operation, sent)))
  }))
  const run = Runtime.runPromise(whole.runtime)
  const scope = await Effect.runPromise(Scope.make())
  const singles = Object.entries(await run(Scope.extend(alone, scope))).map(([name, call]): Case => ({
    name: `alone ${name}`,
    ops,
    run: (n) => run(times(n, call))
  }))
  const samples = await interleaved([...cases, ...singles], rounds)
  await Effect.runPromise(
    Effect.all([Scope.close(scope, Exit.void), whole.stop, ...ablated.map(({ started }) => started.stop)], {
      discard: true
    })
  )
  return samples
}
