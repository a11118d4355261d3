/** What statements are expected to scan, held against a daily quota before they run. */
import { describe, expect, it } from "@effect/vitest"
import { Context, Deferred, Effect, Exit, FastCheck as fc, Fiber, Layer, Logger, TestClock } from "effect"
import * as Bulkhead from "../../src/guard/Bulkhead.js"
import * as CircuitBreaker from "../../src/guard/CircuitBreaker.js"
import * as Degradation from "../../src/guard/Degradation.js"
import * as ErrorReport from "../../src/mcp/ErrorReport.js"
import * as Guard from "../../src/guard/Guard.js"
import * as Quota from "../../src/quota/Quota.js"
import * as QuotaStore from "../../src/quota/QuotaStore.js"
import * as RateLimiter from "../../src/guard/RateLimiter.js"
import * as Retry from "../../src/guard/Retry.js"
import { WarehouseError } from "../../src/warehouse/Warehouse.js"

const HOUR = 3_600_000
const DAY = 24 * HOUR

/** A store whose answers are a while on their way. */
const distant = Layer.map(QuotaStore.layerMemory, (context) => {
  const store = Context.get(context, QuotaStore.QuotaStore)
  const slow = <A, E>(effect: Effect.Effect<A, E>) => Effect.tap(effect, Effect.sleep("1 second"))
  return Context.make(QuotaStore.QuotaStore, {
    ...store,
    reserve: (charges, ttlMs) => slow(store.reserve(charges, ttlMs)),
    settle: (id, actual) => slow(store.settle(id, actual)),
    release: (id) => slow(store.release(id))
  })
})

const quotas = (limit: number, global?: number, store = QuotaStore.layerMemory) =>
  Quota.layer({
    tiers: { default: { scan_bytes_per_day: limit, queries_per_hour: 100_000 } },
    ...(global === undefined ? {} : { global: { scan_bytes_per_day: global } })
  }).pipe(Layer.provideMerge(store))

const pool = { permits: 10, maxQueue: 4, maxQueuePerClient: 4 }

const guarded = (limit: number, store = QuotaStore.layerMemory) =>
  Layer.provideMerge(
    Guard.layer(),
    Layer.mergeAll(
      RateLimiter.layer({
        global: { rate: 1000, burst: 100_000 },
        classes: {},
        tiers: { default: { client: { rate: 100, burst: 100_000 } } }
      }),
      Bulkhead.layer({ requests: pool, statements: pool }),
      CircuitBreaker.layer(),
      quotas(limit, undefined, store),
      Degradation.layerNoop,
      Retry.layerNoop,
      Logger.remove(Logger.defaultLogger)
    )
  )

const operation: Guard.Operation = {
  tool: "execute_query",
  class: "query",
  deadlineMs: 60_000,
  estimatedBytes: 0
}

/** A statement that was explained before it runs. */
const statement = <A, E>(estimate: number, work: Effect.Effect<A, E>) =>
  Effect.flatMap(Guard.Guard, (guard) =>
    guard.run<A, E | Quota.QuotaExceeded | QuotaStore.QuotaStoreError, never>(operation, (attempt) =>
      attempt.markSent.pipe(
        Effect.zipRight(attempt.holdScan(estimate)),
        Effect.zipRight(attempt.beginScan),
        Effect.zipRight(work)
      )
    )
  )

const used = (quota: QuotaStore.QuotaName = "scan_bytes_per_day") =>
  Effect.map(
    Effect.flatMap(Quota.Quota, (service) => service.status("local", "default")),
    (status) => status.find((one) => one.quota === quota)?.used
  )

/** Until its statement is running. */
const running = (estimate: number) =>
  Effect.gen(function* () {
    const started = yield* Deferred.make<void>()
    const done = yield* Deferred.make<void, WarehouseError>()
    const fiber = yield* Effect.fork(
      statement(estimate, Effect.zipRight(Deferred.succeed(started, undefined), Deferred.await(done)))
    )
    yield* Deferred.await(started)
    return { fiber, done }
  })

/** The answer comes first, the settlement follows it. */
const settlement = Effect.repeatN(Effect.yieldNow(), 30)

describe("bytes to be scanned", () => {
  it.effect("are held while the statement runs: another that does not fit beside it is refused first", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust(10 * HOUR)
      const first = yield* running(600)
      expect(yield* used()).toBe(600)
      let ran = false
      const work = Effect.sync(() => (ran = true))
      const error = yield* Effect.flip(statement(600, work))
      expect(error).toMatchObject({
        _tag: "QuotaExceeded",
        quota: "scan_bytes_per_day",
        limit: 1000,
        used: 600,
        remaining: 400,
        estimate: 600,
        resetAt: DAY,
        retryAfterMs: 14 * HOUR
      })
      expect(ran).toBe(false)
      yield* statement(400, work)
      expect(ran).toBe(true)
      yield* Deferred.succeed(first.done, undefined)
      yield* Fiber.join(first.fiber)
      expect(yield* used()).toBe(1000)
      // Refused calls were explained, so they count as queries.
      expect(yield* used("queries_per_hour")).toBe(3)
    }).pipe(Effect.provide(guarded(1000)))
  )

  it.effect("fit again at exactly the named time", () =>
    Effect.gen(function* () {
      yield* statement(1000, Effect.void)
      const error = yield* Effect.flip(Effect.flatMap(Quota.Quota, (quota) => quota.reserveScan(scan(1))))
      if (error._tag !== "QuotaExceeded") throw error
      yield* TestClock.adjust(error.retryAfterMs - 1)
      expect((yield* Effect.exit(statement(1, Effect.void)))._tag).toBe("Failure")
      yield* TestClock.adjust(1)
      yield* statement(1, Effect.void)
      expect(yield* used()).toBe(1)
    }).pipe(Effect.provide(guarded(1000)))
  )

  it.effect("are settled with the bytes that the warehouse reports, and else with the estimate", () =>
    Effect.gen(function* () {
      const guard = yield* Guard.Guard
      yield* guard.run<void, Quota.QuotaExceeded | QuotaStore.QuotaStoreError, never>(operation, (attempt) =>
        Effect.gen(function* () {
          yield* attempt.markSent
          yield* attempt.holdScan(500)
          yield* attempt.beginScan
          yield* attempt.addScan(100)
          yield* attempt.addScan(20)
        })
      )
      expect(yield* used()).toBe(120)
      yield* statement(300, Effect.void)
      expect(yield* used()).toBe(420)
    }).pipe(Effect.provide(guarded(1000)))
  )

  it.effect("are given back when the statement did not begin, whatever the reason", () =>
    Effect.gen(function* () {
      const guard = yield* Guard.Guard
      const held = yield* Deferred.make<void>()
      const fiber = yield* Effect.fork(
        guard.run<never, Quota.QuotaExceeded | QuotaStore.QuotaStoreError, never>(operation, (attempt) =>
          attempt.markSent.pipe(
            Effect.zipRight(attempt.holdScan(700)),
            Effect.zipRight(Deferred.succeed(held, undefined)),
            Effect.zipRight(Effect.never)
          )
        )
      )
      yield* Deferred.await(held)
      expect(yield* used()).toBe(700)
      expect(Exit.isInterrupted(yield* Fiber.interrupt(fiber))).toBe(true)
      yield* settlement
      expect(yield* used()).toBe(0)
      const unsent = new WarehouseError({ reason: "Unreachable", description: "refused", sent: "no" })
      yield* Effect.flip(statement(700, unsent))
      yield* settlement
      expect(yield* used()).toBe(0)
    }).pipe(Effect.provide(guarded(1000)))
  )

  it.effect("are charged when the statement was interrupted while it ran, or failed", () =>
    Effect.gen(function* () {
      const first = yield* running(300)
      yield* Fiber.interrupt(first.fiber)
      yield* settlement
      expect(yield* used()).toBe(300)
      const second = yield* running(200)
      const broken = new WarehouseError({ reason: "Unreachable", description: "reset", sent: "unknown" })
      yield* Deferred.fail(second.done, broken)
      yield* Effect.exit(Fiber.join(second.fiber))
      yield* settlement
      expect(yield* used()).toBe(500)
    }).pipe(Effect.provide(guarded(1000)))
  )

  it.effect(
    "are not held after an interruption at any point, and charged only where a statement had begun",
    () =>
      Effect.gen(function* () {
        const guard = yield* Guard.Guard
        const store = yield* QuotaStore.QuotaStore
        let begun = 0
        let held = 0
        for (let budget = 10; budget <= 40; budget++) {
          for (let turn = 0; turn <= 12; turn++) {
            let began = false
            const fiber = yield* guard
              .run<void, Quota.QuotaExceeded | QuotaStore.QuotaStoreError, never>(operation, (attempt) =>
                Effect.gen(function* () {
                  yield* attempt.markSent
                  yield* Effect.yieldNow()
                  yield* attempt.holdScan(10)
                  held += 1
                  yield* Effect.yieldNow()
                  yield* Effect.sync(() => {
                    began = true
                  })
                  yield* attempt.beginScan
                  yield* Effect.yieldNow()
                }).pipe(Effect.zipRight(Effect.yieldNow()))
              )
              .pipe(Effect.withMaxOpsBeforeYield(budget), Effect.fork)
            for (let i = 0; i < turn; i++) yield* Effect.yieldNow()
            yield* Fiber.interrupt(fiber)
            yield* settlement
            if (began) begun += 1
          }
        }
        yield* settlement
        expect(begun).toBeGreaterThan(20)
        expect(held).toBeGreaterThan(begun)
        const usage = yield* store.usage("client:local")
        const scanned = usage.find(({ quota }) => quota === "scan_bytes_per_day")
        expect(scanned?.reserved).toBe(0)
        // One that was interrupted between the mark and the hand-over never began.
        expect(scanned?.used).toBeLessThanOrEqual(begun * 10)
        expect(scanned?.used).toBeGreaterThan(begun * 5)
      }).pipe(Effect.provide(guarded(1e9)))
  )

  it.effect("are not lost when the caller leaves while a store far away is granting them", () =>
    Effect.gen(function* () {
      const fiber = yield* Effect.fork(statement(500, Effect.void))
      // The call's own reservation takes the first second.
      yield* TestClock.adjust("1500 millis")
      expect(yield* used()).toBe(500)
      const interrupting = yield* Effect.fork(Fiber.interrupt(fiber))
      yield* TestClock.adjust("5 seconds")
      expect(Exit.isInterrupted(yield* Fiber.join(interrupting))).toBe(true)
      expect(yield* used()).toBe(0)
    }).pipe(Effect.provide(guarded(1000, distant)))
  )

  it.effect("of a process that died are charged once they had begun, and free otherwise", () =>
    Effect.gen(function* () {
      const quota = yield* Quota.Quota
      yield* quota.reserveScan(scan(300))
      yield* quota.submitted(yield* quota.reserveScan(scan(200)))
      yield* TestClock.adjust(HOUR)
      expect(yield* used()).toBe(200)
    }).pipe(Effect.provide(quotas(1000)))
  )

  it.effect("count for all clients together, too, and are all held or none", () =>
    Effect.gen(function* () {
      const quota = yield* Quota.Quota
      yield* quota.reserveScan(scan(800, "ann"))
      const error = yield* Effect.flip(quota.reserveScan(scan(800, "ben")))
      expect(error).toMatchObject({ scope: "global", limit: 1500, used: 800 })
      expect((yield* quota.status("ben", "default"))[1]).toMatchObject({ scope: "client", used: 0 })
      yield* quota.reserveScan(scan(700, "ben"))
    }).pipe(Effect.provide(quotas(1000, 1500)))
  )

  it.effect("are refused with the estimate, what is left, and how to narrow the statement", () =>
    Effect.gen(function* () {
      const quota = yield* Quota.Quota
      yield* quota.reserveScan(scan(1024))
      const { message, retryable, retryAt } = ErrorReport.fromError(
        yield* Effect.flip(quota.reserveScan(scan(2048))),
        0
      )
      expect(message).toContain("would scan about 2.0 KiB")
      expect(message).toContain("this client has 1.0 KiB left of 2.0 KiB (scan bytes per day)")
      expect(message).toContain("It did not run")
      expect(message).toContain("filter, say by date")
      expect([retryable, retryAt]).toEqual([true, "1970-01-02T00:00:00.000Z"])
      const never = ErrorReport.fromError(yield* Effect.flip(quota.reserveScan(scan(4096))), 0)
      expect(never).toMatchObject({ retryable: false, limit: 2048 })
      expect(never).not.toHaveProperty("retryAt")
      expect(never.message).toContain("always be refused")
    }).pipe(Effect.provide(quotas(2048)))
  )

  it.effect("hold nothing where there is no such quota", () =>
    Effect.gen(function* () {
      const quota = yield* Quota.Quota
      const store = yield* QuotaStore.QuotaStore
      expect((yield* quota.reserveScan(scan(1e15))).id).toBe("")
      expect(yield* store.usage("client:local")).toEqual([])
    }).pipe(
      Effect.provide(
        Quota.layer({ tiers: { default: { queries_per_hour: 1 } } }).pipe(
          Layer.provideMerge(QuotaStore.layerMemory)
        )
      )
    )
  )

  it.effect.prop(
    "of all admitted statements together never pass the limit, whatever they are settled with below it",
    { steps: fc.array(fc.record({ estimate: fc.nat(700), share: fc.nat(100), end: fc.nat(3) })) },
    ({ steps }) =>
      Effect.gen(function* () {
        const quota = yield* Quota.Quota
        const open: Array<{ readonly reservation: Quota.Reservation; readonly estimate: number }> = []
        let paid = 0
        for (const { end, estimate, share } of steps) {
          const admitted = yield* Effect.option(quota.reserveScan(scan(estimate)))
          const held = open.reduce((sum, one) => sum + one.estimate, 0)
          expect(admitted._tag).toBe(paid + held + estimate <= 1000 ? "Some" : "None")
          if (admitted._tag === "Some") open.push({ reservation: admitted.value, estimate })
          const first = end === 0 ? undefined : open.shift()
          if (first === undefined) continue
          if (end === 1) yield* quota.release(first.reservation)
          else {
            const scanBytes = end === 2 ? first.estimate : Math.floor((first.estimate * share) / 100)
            yield* quota.settle(first.reservation, { bytes: 0, scanBytes })
            paid += scanBytes
          }
          expect(yield* used()).toBe(paid + open.reduce((sum, one) => sum + one.estimate, 0))
        }
      }).pipe(Effect.provide(quotas(1000))),
    { fastCheck: { numRuns: 60 } }
  )
})

const scan = (estimatedBytes: number, client = "local"): Quota.ScanRequest => ({
  client,
  tier: "default",
  estimatedBytes,
  deadlineMs: 60_000
})
