/**
 * Layers that are broken on purpose, each in a way that real ones have been: what the invariants are for.
 */
import { Effect, Layer } from "effect"
import * as Bulkhead from "../../src/Bulkhead.js"
import { CircuitBreaker } from "../../src/CircuitBreaker.js"
import * as Quota from "../../src/Quota.js"
import * as QuotaStore from "../../src/QuotaStore.js"
import * as RateLimiter from "../../src/RateLimiter.js"
import type { Scenario } from "./scenarios.js"
import * as Server from "./server.js"
import type { Replacements } from "./server.js"

type Broken = (scenario: Scenario) => Replacements

const limiter = (
  { server }: Scenario,
  f: (real: RateLimiter.RateLimiter["Type"]) => Partial<RateLimiter.RateLimiter["Type"]>
): Replacements => ({
  limiter: Layer.effect(
    RateLimiter.RateLimiter,
    Effect.map(RateLimiter.RateLimiter, (real) => ({ ...real, ...f(real) }))
  ).pipe(Layer.provide(RateLimiter.layer(server.limiter)))
})

const bulkhead = (
  { server }: Scenario,
  f: (real: Bulkhead.Bulkhead["Type"]) => Partial<Bulkhead.Bulkhead["Type"]>
): Replacements => ({
  bulkhead: Layer.effect(
    Bulkhead.Bulkhead,
    Effect.map(Bulkhead.Bulkhead, (real) => ({ ...real, ...f(real) }))
  ).pipe(Layer.provide(Bulkhead.layer(server.bulkhead)))
})

const breaker = (
  { server }: Scenario,
  f: (real: CircuitBreaker["Type"]) => Partial<CircuitBreaker["Type"]>
): Replacements => ({
  breaker: Layer.effect(
    CircuitBreaker,
    Effect.map(CircuitBreaker, (real) => ({ ...real, ...f(real) }))
  ).pipe(Layer.provide(Server.breakerLayer(server)))
})

const quota = (
  { server }: Scenario,
  f: (real: Quota.Quota["Type"]) => Partial<Quota.Quota["Type"]>
): Replacements => ({
  quota: Layer.effect(
    Quota.Quota,
    Effect.map(Quota.Quota, (real) => ({ ...real, ...f(real) }))
  ).pipe(Layer.provide(Layer.provide(Quota.layer(server.quota), QuotaStore.layerMemory)))
})

/** One refused call in a hundred slips through. */
export const limiterThatSlips: Broken = (scenario) =>
  limiter(scenario, (real) => {
    let refused = 0
    return {
      reserve: (request, maxWaitMs) =>
        Effect.catchAll(real.reserve(request, maxWaitMs), (error) =>
          ++refused % 100 === 0
            ? Effect.succeed({ ...request, cost: 1, clientScope: "client" as const, waitMs: 0 })
            : Effect.fail(error)
        )
    }
  })

/** A refusal pays like an admission, as where the shared buckets are asked before the client's own. */
export const limiterThatChargesRefusals: Broken = (scenario) =>
  limiter(scenario, (real) => ({
    reserve: (request, maxWaitMs) =>
      Effect.tapError(real.reserve(request, maxWaitMs), () =>
        Effect.ignore(real.reserve({ ...request, client: "nobody" }, 0))
      )
  }))

/** Tokens of calls that were never sent are gone. */
export const limiterThatKeepsRefunds: Broken = (scenario) =>
  limiter(scenario, () => ({ refund: () => Effect.void }))

/** The wait is a guess, rounded to seconds. */
export const limiterThatGuesses: Broken = (scenario) =>
  limiter(scenario, (real) => ({
    reserve: (request, maxWaitMs) =>
      Effect.mapError(
        real.reserve(request, maxWaitMs),
        (error) =>
          new RateLimiter.RateLimited({
            ...error,
            retryAfterMs: Math.floor(error.retryAfterMs / 1000) * 1000
          })
      )
  }))

/** The slot is free when its time is over, and not when the work has ended. */
export const bulkheadThatFreesAtTimeout: Broken = (scenario) =>
  bulkhead(scenario, (real) => {
    const freed = new WeakSet<Bulkhead.Slot>()
    const release = (slot: Bulkhead.Slot) =>
      Effect.suspend(() => {
        if (freed.has(slot)) return Effect.void
        freed.add(slot)
        return real.release(slot)
      })
    return {
      acquire: (pool, request) =>
        Effect.tap(real.acquire(pool, request), (slot) =>
          Effect.forkDaemon(Effect.interruptible(Effect.delay(release(slot), HELD_AT_MOST)))
        ),
      release
    }
  })

const HELD_AT_MOST = "5 seconds"

/** First come first served over all clients together: whoever has the most in the queue is served most. */
export const bulkheadThatIsUnfair: Broken = (scenario) =>
  bulkhead(scenario, (real) => ({
    acquire: (pool, request) => real.acquire(pool, { ...request, client: "everybody" })
  }))

/** One slot in a hundred never comes back. */
export const bulkheadThatLeaks: Broken = (scenario) =>
  bulkhead(scenario, (real) => {
    let released = 0
    return { release: (slot) => (++released % 100 === 0 ? Effect.void : real.release(slot)) }
  })

/** A permit that no breaker has given. */
const forged = (real: CircuitBreaker["Type"]) =>
  Effect.map(real.status, ({ generation }) => ({ generation, startedAt: 0 }))

/** Half-open lets everybody through, and the warehouse that has just come back is run over. */
export const breakerThatStampedes: Broken = (scenario) =>
  breaker(scenario, (real) => ({
    peek: Effect.catchAll(real.peek, (error) =>
      error.phase === "half-open" ? Effect.void : Effect.fail(error)
    ),
    acquire: Effect.flatMap(real.status, ({ phase }) => (phase === "half-open" ? forged(real) : real.acquire))
  }))

/** It sees no failure at all. */
export const breakerThatSleeps: Broken = (scenario) =>
  breaker(scenario, (real) => ({ settle: (permit) => real.settle(permit, "ignored") }))

/** It says that it is open, and lets calls through all the same. */
export const breakerThatLeaks: Broken = (scenario) =>
  breaker(scenario, (real) => ({
    peek: Effect.void,
    acquire: Effect.flatMap(real.status, ({ phase }) => (phase === "open" ? forged(real) : real.acquire))
  }))

/** What was delivered is never charged. */
export const quotaThatForgets: Broken = (scenario) => quota(scenario, (real) => ({ settle: real.release }))

/** Reservations of refused calls stay. */
export const quotaThatHoards: Broken = (scenario) => quota(scenario, () => ({ release: () => Effect.void }))
