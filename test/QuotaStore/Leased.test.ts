import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Layer, Scope, TestClock } from "effect"
import * as Leased from "../../src/QuotaStore/Leased.js"
import * as QuotaStore from "../../src/QuotaStore.js"
import { contract } from "../QuotaStore.contract.js"

const over = (options: Leased.Options = {}) =>
  Layer.provide(Leased.layer({ workers: 1, skewMs: 0, ...options }), QuotaStore.layerMemory)

contract("leased from memory", over(), { numRuns: 80 })
contract("the total leased from memory", over({ leases: (key) => key.endsWith("all") }), { numRuns: 40 })

type Store = typeof QuotaStore.QuotaStore.Service

const DAY = 86_400_000
const charge = (
  amount: number,
  limit: number,
  overrides: Partial<QuotaStore.Charge> = {}
): QuotaStore.Charge => ({
  key: "global",
  quota: "requests_per_hour",
  limit,
  amount,
  ...overrides
})

/** A store that counts the operations that reach it. */
const counting = (store: Store) => {
  const trips = { count: 0 }
  const counted = <A, E>(effect: Effect.Effect<A, E>) => {
    trips.count += 1
    return effect
  }
  const service = QuotaStore.QuotaStore.of({
    ...store,
    reserve: (charges, ttl) => Effect.suspend(() => counted(store.reserve(charges, ttl))),
    settle: (id, actual) => Effect.suspend(() => counted(store.settle(id, actual))),
    release: (id) => Effect.suspend(() => counted(store.release(id)))
  })
  return { service, trips }
}

const worker = (shared: Store, options: Leased.Options = {}) =>
  Effect.provideService(Leased.make({ workers: 4, ...options }), QuotaStore.QuotaStore, shared)

describe("leases", () => {
  it.scoped("four workers stay within the limit, save the trips, and leave next to nothing unspent", () =>
    Effect.gen(function* () {
      const limit = 20_000
      yield* TestClock.setTime(Date.UTC(2031, 4, 5, 12, 30))
      const shared = yield* QuotaStore.makeMemory()
      const { service, trips } = counting(shared)
      const workers = yield* Effect.all([1, 2, 3, 4].map(() => worker(service)))
      let granted = 0
      let denied = false
      // 10,000 calls a second: ten each millisecond, dealt out to the workers.
      for (let ms = 0; ms < 3000 && !denied; ms += 10) {
        yield* TestClock.adjust("10 millis")
        for (let i = 0; i < 100; i++) {
          const decision = yield* workers[i % 4]!.reserve([charge(1, limit)], DAY)
          if (decision._tag === "Refused") {
            denied = true
            break
          }
          granted += 1
          yield* workers[i % 4]!.settle(decision.reservation, [])
        }
      }
      expect(denied).toBe(true)
      expect(limit - granted).toBeGreaterThanOrEqual(0)
      expect(limit - granted).toBeLessThanOrEqual(limit / 100)
      // Each call would have been two trips.
      expect(1 - trips.count / (2 * granted)).toBeGreaterThanOrEqual(0.95)
      // What is left is spent by whoever holds it, and then all are refused.
      for (const each of workers) {
        for (;;) {
          const decision = yield* each.reserve([charge(1, limit)], DAY)
          if (decision._tag === "Refused") break
          granted += 1
        }
      }
      expect(granted).toBe(limit)
    })
  )

  it.scoped("are given back when the scope closes, and stay spent when a process dies", () =>
    Effect.gen(function* () {
      const shared = yield* QuotaStore.makeMemory()
      yield* TestClock.setTime(Date.UTC(2031, 4, 5, 12, 30))
      const scope = yield* Scope.make()
      const closing = yield* Scope.extend(worker(shared), scope)
      const dying = yield* worker(shared)
      for (const store of [closing, dying]) {
        for (let i = 0; i < 50; i++) {
          const decision = yield* store.reserve([charge(1, 10_000)], DAY)
          if (decision._tag === "Granted") yield* store.settle(decision.reservation, [])
        }
      }
      const before = yield* shared.usage("global")
      expect(before[0]!.used + before[0]!.reserved).toBeGreaterThan(100)
      const lost = (yield* dying.usage("global"))[0]!
      yield* Scope.close(scope, Exit.void)
      const after = (yield* shared.usage("global"))[0]!
      expect(after.used).toBeGreaterThanOrEqual(50)
      expect(after.used + after.reserved).toBeLessThan(before[0]!.used + before[0]!.reserved)
      expect(lost.used + lost.reserved).toBeGreaterThanOrEqual(100)
    })
  )

  it.scoped("tell the store at once what was used beyond them", () =>
    Effect.gen(function* () {
      const shared = yield* QuotaStore.makeMemory()
      yield* TestClock.setTime(Date.UTC(2031, 4, 5, 12, 30))
      const [one, two] = yield* Effect.all([worker(shared), worker(shared)])
      const bytes = { quota: "bytes_per_day", postPaid: true } as const
      const decision = yield* one.reserve([charge(10, 1000, bytes)], DAY)
      if (decision._tag === "Granted") {
        yield* one.settle(decision.reservation, [{ key: "global", quota: "bytes_per_day", amount: 5000 }])
      }
      expect(yield* shared.usage("global")).toMatchObject([{ used: 5000, reserved: 0 }])
      expect(yield* two.reserve([charge(1, 1000, bytes)], DAY)).toMatchObject({ _tag: "Refused", used: 5000 })
    })
  )

  it.scoped("are not used across the end of a slice of a rolling window", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(Date.UTC(2031, 4, 5, 12, 30))
      const shared = yield* QuotaStore.makeMemory({ windows: "rolling" })
      const options = { windows: "rolling", skewMs: 0 } as const
      const workers = yield* Effect.all([worker(shared, options), worker(shared, options)])
      const limit = 500
      const granted: Array<number> = []
      for (let minute = 0; minute < 130; minute++) {
        yield* TestClock.adjust("1 minute")
        let here = 0
        for (let i = 0; i < 24; i++) {
          const decision = yield* workers[i % 2]!.reserve([charge(1, limit)], DAY)
          if (decision._tag === "Refused") continue
          here += 1
          yield* workers[i % 2]!.settle(decision.reservation, [])
        }
        granted.push(here)
      }
      const hours = granted.map((_, i) => granted.slice(i, i + 60).reduce((sum, n) => sum + n, 0))
      expect(Math.max(...hours)).toBeLessThanOrEqual(limit)
      expect(Math.max(...hours)).toBeGreaterThan(limit * 0.9)
    })
  )

  it.scoped("pass calls on to the store so close to the end of a window that clocks may disagree", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(Date.UTC(2031, 4, 5, 12, 59, 59, 500))
      const { service, trips } = counting(yield* QuotaStore.makeMemory())
      const store = yield* worker(service, { skewMs: 1000 })
      for (let i = 0; i < 10; i++) yield* store.reserve([charge(1, 1000)], DAY)
      expect(trips.count).toBe(10)
    })
  )

  it.scoped("that cover several quotas leave nothing used behind when all of them are forgotten", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(Date.UTC(2031, 4, 5, 12, 30))
      const store = yield* worker(yield* QuotaStore.makeMemory(), { workers: 1, skewMs: 0 })
      yield* store.reserve([charge(0, 5)], DAY)
      yield* store.reserve([charge(2, 5), charge(0, 5, { quota: "bytes_per_day" })], DAY)
      yield* store.reset("global")
      const used = (yield* store.usage("global")).map(({ used }) => used)
      expect(used.every((amount) => amount === 0)).toBe(true)
    })
  )
})
