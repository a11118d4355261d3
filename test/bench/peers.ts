/**
 * What one would put together from packages for the same protection: four limiters of
 * rate-limiter-flexible (global, class, client, client's hour), then cockatiel's or opossum's policies
 * with the time limit per attempt. Configured like our stack: nothing is ever refused.
 *
 * They do less: no quota is settled with the truth, a refusal by one limiter leaves the others charged,
 * and there is no fairness between clients.
 */
import {
  bulkhead,
  circuitBreaker,
  ExponentialBackoff,
  handleAll,
  retry,
  SamplingBreaker,
  timeout,
  TimeoutStrategy,
  wrap
} from "cockatiel"
import Opossum from "opossum"
import { RateLimiterMemory } from "rate-limiter-flexible"

const PLENTY = 1e9
const ATTEMPT_MS = 60_000
const SLOTS = 1024

export const limiters = (clientPoints = PLENTY) => {
  const global = new RateLimiterMemory({ points: PLENTY, duration: 1 })
  const byClass = new RateLimiterMemory({ points: PLENTY, duration: 1 })
  const client = new RateLimiterMemory({ points: clientPoints, duration: clientPoints === PLENTY ? 1 : 3600 })
  const hour = new RateLimiterMemory({ points: PLENTY, duration: 3600 })
  return async (key: string): Promise<void> => {
    await client.consume(key)
    await byClass.consume("query")
    await global.consume("all")
    await hour.consume(key)
  }
}

export interface Peer {
  readonly call: (key: string) => Promise<void>
  readonly stop: () => void
}

const retrying = () =>
  retry(handleAll, { maxAttempts: 4, backoff: new ExponentialBackoff({ initialDelay: 1_000 }) })

const breaking = () =>
  circuitBreaker(handleAll, {
    halfOpenAfter: 30_000,
    breaker: new SamplingBreaker({ threshold: 0.3, duration: 300_000, minimumRps: 1 })
  })

const withLimiters = (execute: () => Promise<void>, stop: () => void = () => {}): Peer => {
  const consume = limiters()
  return {
    call: async (key) => {
      await consume(key)
      await execute()
    },
    stop
  }
}

export const cockatielStack = (work: () => Promise<void>): Peer => {
  const policy = wrap(
    retrying(),
    breaking(),
    bulkhead(SLOTS, SLOTS),
    timeout(ATTEMPT_MS, TimeoutStrategy.Aggressive)
  )
  return withLimiters(() => policy.execute(work))
}

export const opossumStack = (work: () => Promise<void>): Peer => {
  const breaker = new Opossum(work, {
    timeout: ATTEMPT_MS,
    capacity: SLOTS,
    errorThresholdPercentage: 30,
    volumeThreshold: 10
  })
  return withLimiters(
    () => breaker.fire(),
    () => breaker.shutdown()
  )
}
