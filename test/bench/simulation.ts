/**
 * Simulated hours per second of CPU, at ten calls a second: how long a day of traffic takes to play back.
 * `buckets` steps the pure rate limiter alone; `model` all the pure cores that a call goes through (buckets,
 * ledger of the quotas, breaker); `guard` runs the whole guard in a fiber on a clock that is moved by hand.
 */
import * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"
import * as Breaker from "../../src/guard/core/CircuitBreaker.js"
import * as BucketLimits from "../../src/guard/core/BucketLimits.js"
import * as Ledger from "../../src/quota/core/Ledger.js"
import * as TokenBucket from "../../src/guard/core/TokenBucket.js"
import * as CircuitBreaker from "../../src/guard/CircuitBreaker.js"
import { collectGarbage, median } from "./harness.js"
import { makeClock, operation, sent, start, times } from "./stack.js"

const CALLS_PER_HOUR = 36_000
const STEP_MS = 100

const timed = async (hours: number, run: () => Promise<unknown> | void): Promise<number> => {
  collectGarbage()
  const before = process.cpuUsage()
  await run()
  const { system, user } = process.cpuUsage(before)
  return hours / ((system + user) / 1e6)
}

const quotas = [
  ["requests_per_hour", 1],
  ["requests_per_day", 1],
  ["queries_per_hour", 1],
  ["queries_per_day", 1],
  ["bytes_per_day", 4_096]
] as const

const bucket = { rate: 20, burst: 200 }
const limits = BucketLimits.compile({
  global: bucket,
  classes: { query: bucket },
  tiers: { default: { client: bucket } }
})
const request = { client: "client", tier: "default", class: "query" }

const bucketHours = (calls: number): void => {
  let buckets = TokenBucket.initial(limits, 0)
  for (let i = 0; i < calls; i++) {
    const [decision, next] = TokenBucket.decide(buckets, i * STEP_MS, limits, request)
    buckets = next
    if (decision._tag === "Refused") throw new Error("the simulated client is within its limits")
  }
}

const modelHours = (breaker: Breaker.Config, calls: number): void => {
  const charges = quotas.map(([quota, amount]) => ({
    key: "client:client",
    quota,
    limit: 1e12,
    amount,
    postPaid: quota === "bytes_per_day"
  }))
  const actual = [{ key: "client:client", quota: "bytes_per_day" as const, amount: 100 }]
  const ledger = Ledger.make<(typeof quotas)[number][0]>("")
  let buckets = TokenBucket.initial(limits, 0)
  let health = Breaker.make([30_000])
  for (let i = 0; i < calls; i++) {
    const now = i * STEP_MS
    const [decision, next] = TokenBucket.decide(buckets, now, limits, request)
    buckets = next
    if (decision._tag === "Refused") throw new Error("the simulated client is within its limits")
    const reserved = Ledger.reserve(ledger, now, charges, 95_000)
    if (reserved._tag === "Refused") throw new Error("the simulated client is within its quotas")
    const [admission, busy] = Breaker.acquire(health, now, breaker)
    if (admission._tag === "Refused") throw new Error("the simulated warehouse is healthy")
    Ledger.submitted(ledger, now, reserved.reservation)
    Ledger.settle(ledger, now, reserved.reservation, actual)
    health = Breaker.settle(busy, now, breaker, admission.permit, "success")[1]
  }
}

export const measureSimulation = async (rounds: number, hours: number) => {
  const breaker = await Effect.runPromise(CircuitBreaker.resolve({}))
  const { advance, clock } = makeClock()
  const { guard, runtime, stop } = await start({}, clock)
  const guardHours = (calls: number) =>
    times(calls, () => {
      advance(STEP_MS)
      return guard.run(operation, sent)
    }).pipe(Effect.withClock(clock), Runtime.runPromise(runtime))
  const buckets: Array<number> = []
  const model: Array<number> = []
  const whole: Array<number> = []
  for (let round = -2; round < rounds; round++) {
    const few = await timed(hours * 16, () => bucketHours(hours * 16 * CALLS_PER_HOUR))
    const one = await timed(hours * 8, () => modelHours(breaker, hours * 8 * CALLS_PER_HOUR))
    const other = await timed(hours, () => guardHours(hours * CALLS_PER_HOUR))
    if (round < 0) continue
    buckets.push(few)
    model.push(one)
    whole.push(other)
  }
  await Effect.runPromise(stop)
  return { buckets: median(buckets), model: median(model), guard: median(whole) }
}
