/**
 * Layers that are broken on purpose, each in a way that real ones have been: what the invariants are for.
 */
import { Effect, Layer } from "effect"
import * as Bulkhead from "../../src/guard/Bulkhead.js"
import { CircuitBreaker } from "../../src/guard/CircuitBreaker.js"
import * as Quota from "../../src/quota/Quota.js"
import * as QuotaStore from "../../src/quota/QuotaStore.js"
import * as BucketLimits from "../../src/guard/core/BucketLimits.js"
import * as FairShare from "../../src/guard/core/FairShare.js"
import * as TokenBucket from "../../src/guard/core/TokenBucket.js"
import { monotonicMillis } from "../../src/platform/monotonic.js"
import * as RateLimiter from "../../src/guard/RateLimiter.js"
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
        Effect.ignore(real.reserve({ ...request, client: "no client" }, 0))
      )
  }))

/** Tokens of calls that were never sent are gone. */
export const limiterThatKeepsRefunds: Broken = (scenario) =>
  limiter(scenario, () => ({ refund: () => Effect.succeed(undefined) }))

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

/** To be on the safe side, it tells twice the time and some more. */
export const limiterThatExaggerates: Broken = (scenario) =>
  limiter(scenario, (real) => ({
    reserve: (request, maxWaitMs) =>
      Effect.mapError(
        real.reserve(request, maxWaitMs),
        (error) => new RateLimiter.RateLimited({ ...error, retryAfterMs: 2 * error.retryAfterMs + 4_000 })
      )
  }))

/** One client never finds a token in the bucket that all share. */
export const limiterThatStarves: Broken = (scenario) =>
  limiter(scenario, (real) => ({
    reserve: (request, maxWaitMs) =>
      request.client === "greedy 1"
        ? Effect.fail(
            new RateLimiter.RateLimited({
              ...{ scope: "class", name: request.class, ratePerSecond: 1, burst: 1, remaining: 0 },
              ...{ retryAfterMs: 500, retryHintMs: 500, never: false }
            })
          )
        : real.reserve(request, maxWaitMs)
  }))

/** No reserve is kept. */
export const limiterThatKeepsNoShares: Broken = ({ server }) => ({
  limiter: RateLimiter.layer({ ...server.limiter, reserved: 0 })
})

/** The real decisions, on tables that are tampered with. */
const limiterOnTables = (
  { server }: Scenario,
  tamper: {
    readonly before?: (state: TokenBucket.State, now: number) => void
    readonly after?: (state: TokenBucket.State, now: number, client: string) => void
  }
): Replacements => ({
  limiter: Layer.effect(
    RateLimiter.RateLimiter,
    Effect.gen(function* () {
      const config = BucketLimits.compile({ reserved: 0.25, ...server.limiter })
      let state = TokenBucket.initial(config, yield* monotonicMillis)
      const reserve = (request: RateLimiter.Request, maxWaitMs: number) =>
        Effect.flatMap(
          monotonicMillis,
          (now): Effect.Effect<RateLimiter.Admission, RateLimiter.RateLimited> => {
            tamper.before?.(state, now)
            const [decision, next] = TokenBucket.decide(state, now, config, request, maxWaitMs)
            state = next
            tamper.after?.(state, now, request.client)
            if (decision._tag === "Admitted")
              return Effect.succeed({
                ...request,
                cost: 1,
                clientScope: decision.clientScope,
                waitMs: Math.ceil(decision.waitMs)
              })
            const { binding, never, retryAfterMs } = decision
            return Effect.fail(
              new RateLimiter.RateLimited({ ...binding, retryAfterMs, retryHintMs: retryAfterMs, never })
            )
          }
        )
      return {
        reserve,
        acquire: (request) => reserve(request, 0),
        acquireWithin: reserve,
        limit: (_, effect) => effect,
        refund: (admission) =>
          Effect.map(monotonicMillis, (now) => {
            state = TokenBucket.refund(state, now, config, admission, () => true)
            return state.last
          }),
        status: (client, tier) =>
          Effect.map(monotonicMillis, (now) => TokenBucket.status(state, now, config, client, tier))
      }
    })
  )
})

/** A client that has asked once keeps its share for ever: less and less is left to the others. */
export const limiterThatNeverLetsGo: Broken = (scenario) =>
  limiterOnTables(scenario, {
    before: ({ shares, table }, now) => {
      for (const each of shares)
        for (const row of table.rows.values())
          if ((each.until[row] ?? 0) > 0) FairShare.note(each, now, row, 0)
    }
  })

/** What a client ahead of its share owes is booked to another client, and it takes the reserve. */
export const limiterThatServesTheGreedy: Broken = (scenario) =>
  limiterOnTables(scenario, {
    after: ({ shares, table }, now, client) => {
      const own = table.rows.get(client) ?? 0
      for (const { paidAt, until } of shares) {
        const other = until.findIndex((tick, row) => row !== own && tick * FairShare.TICK_MS > now)
        if (other < 0 || !((paidAt[own] ?? 0) > now + FairShare.SLACK_MS)) continue
        paidAt[other] = paidAt[own] ?? 0
        paidAt[own] = 0
      }
    }
  })

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

/** First come first served over all clients together: the client with the most calls in the queue is served most. */
export const bulkheadThatIsUnfair: Broken = (scenario) =>
  bulkhead(scenario, (real) => ({
    acquire: (pool, request) => real.acquire(pool, { ...request, client: "all clients" })
  }))

/** No slot is kept for a client that has none. */
export const bulkheadThatKeepsNoReserve: Broken = ({ server }) => ({
  bulkhead: Bulkhead.layer({
    ...server.bulkhead,
    requests: { ...server.bulkhead.requests, reserve: 0 },
    statements: { ...server.bulkhead.statements, reserve: 0 }
  })
})

/** One slot in a hundred never comes back. */
export const bulkheadThatLeaks: Broken = (scenario) =>
  bulkhead(scenario, (real) => {
    let released = 0
    return { release: (slot) => (++released % 100 === 0 ? Effect.void : real.release(slot)) }
  })

/** A permit that no breaker has given. */
const forged = (real: CircuitBreaker["Type"]) =>
  Effect.map(real.status, ({ generation }) => ({ generation, startedAt: 0 }))

/** Half-open lets every call through, and the warehouse that has just come back is overrun. */
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

/** Each attempt of a call is a failure of its own, and one client's statements open the circuit for all. */
export const breakerThatTrustsEveryReport: Broken = (scenario) =>
  breaker(scenario, (real) => ({ settle: (permit, verdict) => real.settle(permit, verdict) }))

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
