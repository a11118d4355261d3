import { describe, expect, it } from "@effect/vitest"
import { Effect, Either, Random, TestClock } from "effect"
import * as AdaptiveRate from "../src/AdaptiveRate.js"
import { monotonicMillis } from "../src/internal/monotonic.js"

const options: AdaptiveRate.Options = { ratePerSecond: 20, burst: 5 }

const acquireAll = (gate: typeof AdaptiveRate.AdaptiveRate.Service, n: number) =>
  Effect.map(
    Effect.all(Array.from({ length: n }, () => Effect.either(gate.acquire))),
    (all) => all.filter(Either.isRight).length
  )

const overloadNow = (gate: typeof AdaptiveRate.AdaptiveRate.Service) =>
  Effect.flatMap(monotonicMillis, gate.overloaded)

describe("AdaptiveRate", () => {
  it.effect("admits what the base rate admits while the warehouse is content", () =>
    Effect.gen(function* () {
      const gate = yield* AdaptiveRate.make(options)
      expect(yield* acquireAll(gate, 8)).toBe(5)
      yield* TestClock.adjust("1 second")
      expect(yield* acquireAll(gate, 30)).toBe(5)
      yield* TestClock.adjust("50 millis")
      expect(yield* acquireAll(gate, 2)).toBe(1)
    })
  )

  it.effect("refuses with the exact wait and a hint that is never shorter", () =>
    Effect.gen(function* () {
      const gate = yield* AdaptiveRate.make(options)
      yield* acquireAll(gate, 5)
      yield* overloadNow(gate)
      const refused = yield* Effect.flip(gate.acquire)
      // 1.5 calls too many, and one to come: 2.5 intervals of 50 ms at 0.7 of the rate, rounded up.
      expect(refused).toMatchObject({ _tag: "Throttled", factor: 0.7, ratePerSecond: 14, burst: 3 })
      expect(refused.retryAfterMs).toBe(Math.ceil((2.5 * 50) / 0.7))
      expect(refused.retryHintMs).toBeGreaterThanOrEqual(refused.retryAfterMs)
      expect(refused.retryHintMs).toBeLessThanOrEqual(refused.retryAfterMs * 1.2)
      expect(refused.message).toBe(
        `the warehouse is called 14 times a second at most, slowed to 70 % after an overload; retry in 179 ms`
      )
      yield* TestClock.adjust(refused.retryAfterMs - 1)
      expect((yield* Effect.flip(gate.acquire)).retryAfterMs).toBe(1)
      yield* TestClock.adjust(1)
      yield* gate.acquire
    })
  )

  it.effect("spreads those refused together by a hint that comes from Random", () =>
    Effect.gen(function* () {
      const gate = yield* AdaptiveRate.make({ ratePerSecond: 1, burst: 1 })
      yield* gate.acquire
      const hint = Effect.map(Effect.flip(gate.acquire), ({ retryHintMs }) => retryHintMs)
      expect(yield* Effect.withRandom(hint, Random.fixed([0]))).toBe(1_000)
      expect(yield* Effect.withRandom(hint, Random.fixed([0.5]))).toBe(1_100)
    })
  )

  it.effect("cuts its rate once for one overload and comes back a twentieth a second", () =>
    Effect.gen(function* () {
      const gate = yield* AdaptiveRate.make(options)
      yield* TestClock.adjust("1 minute")
      const sentAt = yield* monotonicMillis
      yield* TestClock.adjust("100 millis")
      yield* Effect.all(
        Array.from({ length: 10 }, () => gate.overloaded(sentAt)),
        { discard: true }
      )
      expect(yield* gate.factor).toBe(0.7)
      expect(yield* gate.status).toMatchObject({ ratePerSecond: 14, burst: 3, cuts: 1, staleSignals: 9 })
      yield* TestClock.adjust("1 second")
      expect(yield* gate.factor).toBe(0.75)
      yield* TestClock.adjust("5 seconds")
      expect(yield* gate.factor).toBe(1)
    })
  )

  it.effect("admits fewer calls in the seconds after an overload", () =>
    Effect.gen(function* () {
      const gate = yield* AdaptiveRate.make({ ...options, burst: 1 })
      const second = Effect.gen(function* () {
        let admitted = 0
        for (let i = 0; i < 20; i++) {
          admitted += yield* acquireAll(gate, 1)
          yield* TestClock.adjust("50 millis")
        }
        return admitted
      })
      expect(yield* second).toBe(20)
      for (let i = 0; i < 3; i++) {
        yield* overloadNow(gate)
        yield* TestClock.adjust(1)
      }
      // 0.343 of 20 a second.
      expect(yield* second).toBeLessThanOrEqual(7)
    })
  )

  it.effect("charges nothing for a refusal and gives back what was not sent", () =>
    Effect.gen(function* () {
      const gate = yield* AdaptiveRate.make(options)
      yield* acquireAll(gate, 5)
      yield* acquireAll(gate, 50)
      expect((yield* Effect.flip(gate.acquire)).retryAfterMs).toBe(50)
      yield* gate.refund
      expect(yield* acquireAll(gate, 3)).toBe(1)
      expect(yield* gate.status).toMatchObject({ remaining: 0, throttled: 53 })
    })
  )

  it.effect("says everything that is wrong with its options", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(AdaptiveRate.make({ cut: 2, floor: -1 }))
      expect(error.problems).toHaveLength(2)
    })
  )

  it.effect("has a layer that admits everything", () =>
    Effect.gen(function* () {
      const gate = yield* AdaptiveRate.AdaptiveRate
      yield* gate.overloaded(0)
      expect(yield* acquireAll(gate, 1_000)).toBe(1_000)
      expect(yield* gate.factor).toBe(1)
    }).pipe(Effect.provide(AdaptiveRate.layerNoop))
  )
})
