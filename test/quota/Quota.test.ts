import { describe, expect, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Exit, Fiber, Layer, Logger, TestClock } from "effect"
import * as Quota from "../../src/quota/Quota.js"
import * as QuotaStore from "../../src/quota/QuotaStore.js"

const HOUR = 3_600_000

const layer = (options: Quota.Options) =>
  Quota.layer(options).pipe(
    Layer.provideMerge(QuotaStore.layerMemory),
    Layer.merge(Logger.remove(Logger.defaultLogger))
  )
const tiers = (limits: Quota.Limits): Quota.Options => ({ tiers: { default: limits } })

const request = (overrides: Partial<Quota.Request> = {}): Quota.Request => ({
  client: "ada",
  tier: "default",
  class: "query",
  estimatedBytes: 0,
  deadlineMs: 60_000,
  ...overrides
})

/** What is used and left of a quota, as the client may see it. */
const see = (quota: QuotaStore.QuotaName, scope: "client" | "global" = "client", client = "ada") =>
  Effect.gen(function* () {
    const { status } = yield* Quota.Quota
    const found = (yield* status(client, "default")).find((s) => s.quota === quota && s.scope === scope)
    return [found?.used, found?.remaining]
  })

describe("reserve", () => {
  it.effect("a quota of 10 lets 10 calls through, then refuses with used 10 and remaining 0", () =>
    Effect.gen(function* () {
      const quota = yield* Quota.Quota
      yield* TestClock.adjust("90 minutes")
      for (let i = 0; i < 10; i++) {
        yield* quota.settle(yield* quota.reserve(request()), { bytes: 0 })
      }
      expect(yield* see("requests_per_hour")).toEqual([10, 0])
      const error = yield* Effect.flip(quota.reserve(request()))
      expect(error).toMatchObject({
        _tag: "QuotaExceeded",
        scope: "client",
        quota: "requests_per_hour",
        limit: 10,
        used: 10,
        remaining: 0,
        resetAt: 2 * HOUR,
        retryAfterMs: HOUR / 2
      })
      expect(error.message).toBe("client quota requests_per_hour: 10 of 10 used")
      expect(error.stack ?? "").not.toContain("    at ")
    }).pipe(Effect.provide(layer(tiers({ requests_per_hour: 10 }))))
  )

  it.effect("is admitted again after exactly the named time", () =>
    Effect.gen(function* () {
      const quota = yield* Quota.Quota
      yield* TestClock.adjust(Duration.millis(12_345))
      yield* quota.settle(yield* quota.reserve(request()), { bytes: 0 })
      const error = yield* Effect.flip(quota.reserve(request()))
      if (error._tag !== "QuotaExceeded") throw error
      yield* TestClock.adjust(Duration.millis(error.retryAfterMs - 1))
      expect(yield* Effect.flip(quota.reserve(request()))).toMatchObject({ retryAfterMs: 1 })
      yield* TestClock.adjust(Duration.millis(1))
      yield* quota.reserve(request())
    }).pipe(Effect.provide(layer(tiers({ requests_per_hour: 1 }))))
  )

  it.effect("waits for the day when hour and day are both used up", () =>
    Effect.gen(function* () {
      const quota = yield* Quota.Quota
      yield* quota.settle(yield* quota.reserve(request()), { bytes: 0 })
      expect(yield* Effect.flip(quota.reserve(request()))).toMatchObject({
        quota: "requests_per_day",
        retryAfterMs: 24 * HOUR
      })
    }).pipe(Effect.provide(layer(tiers({ requests_per_hour: 1, requests_per_day: 1 }))))
  )

  it.effect("admits no more than the limit of concurrent calls", () =>
    Effect.gen(function* () {
      const quota = yield* Quota.Quota
      const exits = yield* Effect.all(
        Array.from({ length: 40 }, () => Effect.exit(quota.reserve(request()))),
        { concurrency: "unbounded" }
      )
      expect(exits.filter(Exit.isSuccess).length).toBe(10)
    }).pipe(Effect.provide(layer(tiers({ requests_per_hour: 10 }))))
  )

  it.effect("charges a refused call to neither the client nor the server", () =>
    Effect.gen(function* () {
      const quota = yield* Quota.Quota
      yield* quota.reserve(request({ client: "bob" }))
      for (let i = 0; i < 20; i++) {
        expect(yield* Effect.flip(quota.reserve(request()))).toMatchObject({ scope: "global", used: 1 })
      }
      expect(yield* see("requests_per_hour")).toEqual([0, 100])
      expect(yield* see("queries_per_hour", "global")).toEqual([1, 0])
    }).pipe(Effect.provide(layer({ ...tiers({ requests_per_hour: 100 }), global: { queries_per_hour: 1 } })))
  )

  it.effect("charges control nothing, metadata no queries, and queries everything", () =>
    Effect.gen(function* () {
      const quota = yield* Quota.Quota
      const control = yield* quota.reserve(request({ class: "control" }))
      expect(control).toMatchObject({ status: [], bytesLeft: Infinity })
      yield* Effect.all([
        quota.submitted(control),
        quota.settle(control, { bytes: 5 }),
        quota.release(control)
      ])
      yield* quota.reserve(request({ class: "metadata", estimatedBytes: 7 }))
      expect(yield* see("requests_per_hour")).toEqual([1, 9])
      expect(yield* see("queries_per_hour")).toEqual([0, 10])
      expect(yield* see("bytes_per_day")).toEqual([7, 93])
      yield* quota.reserve(request({ class: "query", estimatedBytes: 7 }))
      expect(yield* see("requests_per_hour")).toEqual([2, 8])
      expect(yield* see("queries_per_hour")).toEqual([1, 9])
      expect(yield* see("bytes_per_day")).toEqual([14, 86])
    }).pipe(Effect.provide(layer(tiers({ requests_per_hour: 10, queries_per_hour: 10, bytes_per_day: 100 }))))
  )

  it.effect("reports the quotas after it, fullest first", () =>
    Effect.gen(function* () {
      const quota = yield* Quota.Quota
      const { status } = yield* quota.reserve(request())
      expect(status.map(({ quota, remaining, scope }) => [scope, quota, remaining])).toEqual([
        ["global", "queries_per_day", 1],
        ["client", "queries_per_hour", 3],
        ["client", "requests_per_hour", 99]
      ])
    }).pipe(
      Effect.provide(
        layer({ ...tiers({ requests_per_hour: 100, queries_per_hour: 4 }), global: { queries_per_day: 2 } })
      )
    )
  )
})

describe("bytes", () => {
  it.effect("are charged afterwards: a call is admitted while any are left, and knows how many", () =>
    Effect.gen(function* () {
      const quota = yield* Quota.Quota
      const first = yield* quota.reserve(request({ estimatedBytes: 60 }))
      expect(first.bytesLeft).toBe(100)
      const second = yield* quota.reserve(request({ estimatedBytes: 5000 }))
      expect(second.bytesLeft).toBe(40)
      expect(yield* Effect.flip(quota.reserve(request()))).toMatchObject({ quota: "bytes_per_day" })
      yield* quota.settle(first, { bytes: 10 })
      yield* quota.settle(second, { bytes: 40 })
      expect(yield* see("bytes_per_day")).toEqual([50, 50])
      expect(yield* see("bytes_per_day", "global")).toEqual([50, 950])
    }).pipe(Effect.provide(layer({ ...tiers({ bytes_per_day: 100 }), global: { bytes_per_day: 1000 } })))
  )

  it.effect("scanned, and seconds in the warehouse, count where they are known", () =>
    Effect.gen(function* () {
      const quota = yield* Quota.Quota
      yield* quota.settle(yield* quota.reserve(request()), { bytes: 0, scanBytes: 500, statementSeconds: 3 })
      yield* quota.settle(yield* quota.reserve(request()), { bytes: 0 })
      expect(yield* see("scan_bytes_per_day")).toEqual([500, 500])
      yield* quota.settle(yield* quota.reserve(request()), { bytes: 0, statementSeconds: 9 })
      expect(yield* Effect.flip(quota.reserve(request()))).toMatchObject({
        quota: "statement_seconds_per_day"
      })
    }).pipe(Effect.provide(layer(tiers({ scan_bytes_per_day: 1000, statement_seconds_per_day: 10 }))))
  )
})

describe("credits", () => {
  const credits = (estimatedCredits?: number) => request({ estimatedCredits })

  it.effect("have to fit in advance, and are settled with what the statement cost", () =>
    Effect.gen(function* () {
      const quota = yield* Quota.Quota
      yield* TestClock.adjust("45 minutes")
      const first = yield* quota.reserve(credits(0.75))
      const refused = yield* Effect.flip(quota.reserve(credits(0.5)))
      expect(refused).toMatchObject({
        quota: "credits_per_hour",
        limit: 1,
        used: 0.75,
        remaining: 0.25,
        estimate: 0.5,
        retryAfterMs: HOUR / 4
      })
      yield* quota.settle(first, { bytes: 0, credits: 0.125 })
      expect(yield* see("credits_per_hour")).toEqual([0.125, 0.875])
      expect(yield* see("credits_per_day")).toEqual([0.125, 9.875])
      expect(yield* see("credits_per_day", "global")).toEqual([0.125, 99.875])
      yield* quota.release(yield* quota.reserve(credits(0.5)))
      expect(yield* see("credits_per_hour")).toEqual([0.125, 0.875])
    }).pipe(
      Effect.provide(
        layer({ ...tiers({ credits_per_hour: 1, credits_per_day: 10 }), global: { credits_per_day: 100 } })
      )
    )
  )

  it.effect("are admitted again after exactly the named time", () =>
    Effect.gen(function* () {
      const quota = yield* Quota.Quota
      yield* TestClock.adjust(Duration.millis(12_345))
      yield* quota.settle(yield* quota.reserve(credits(0.5)), { bytes: 0, credits: 0.3 })
      const error = yield* Effect.flip(quota.reserve(credits(0.8)))
      if (error._tag !== "QuotaExceeded") throw error
      yield* TestClock.adjust(Duration.millis(error.retryAfterMs - 1))
      expect(yield* Effect.flip(quota.reserve(credits(0.8)))).toMatchObject({ retryAfterMs: 1 })
      yield* TestClock.adjust(Duration.millis(1))
      yield* quota.reserve(credits(0.8))
    }).pipe(Effect.provide(layer(tiers({ credits_per_hour: 1 }))))
  )

  it.effect("leave nothing behind of what was held and given back, whatever the fractions", () =>
    Effect.gen(function* () {
      const quota = yield* Quota.Quota
      const store = yield* QuotaStore.QuotaStore
      const held = yield* Effect.forEach([0.1, 0.2, 0.3, 1 / 3, 0.7, 1e-9], (amount) =>
        quota.reserve(credits(amount))
      )
      for (const one of held) yield* quota.release(one)
      for (const { reserved, used } of yield* store.usage("client:ada"))
        expect([reserved, used]).toEqual([0, 0])
      // Nothing is rounded down to nothing.
      yield* quota.settle(yield* quota.reserve(credits(1)), { bytes: 0, credits: 1e-9 })
      expect((yield* store.usage("client:ada"))[0]?.used).toBe(2 ** -20)
    }).pipe(Effect.provide(layer(tiers({ credits_per_day: 10 }))))
  )

  it.effect(
    "that are not estimated ask only that some are left, and those of catalog look-ups are none",
    () =>
      Effect.gen(function* () {
        const quota = yield* Quota.Quota
        yield* quota.settle(yield* quota.reserve(credits()), { bytes: 0 })
        expect(yield* see("credits_per_day")).toEqual([0, 1])
        yield* quota.settle(yield* quota.reserve(credits(1)), { bytes: 0 })
        expect(yield* see("credits_per_day")).toEqual([1, 0])
        expect(yield* Effect.flip(quota.reserve(credits()))).toMatchObject({ quota: "credits_per_day" })
        yield* quota.reserve(request({ class: "metadata", estimatedCredits: 5 }))
      }).pipe(Effect.provide(layer(tiers({ credits_per_day: 1 }))))
  )

  it.effect("may have a limit below one", () =>
    Effect.gen(function* () {
      expect(Quota.problems(tiers({ credits_per_hour: 0.001 }))).toEqual([])
      expect(Quota.problems(tiers({ credits_per_hour: 0 }))).toHaveLength(1)
      expect(Quota.problems(tiers({ requests_per_hour: 0.5 }))).toHaveLength(1)
    })
  )

  it.effect("that are observed refuse nothing, and are charged where they fit", () =>
    Effect.gen(function* () {
      const quota = yield* Quota.Quota
      const fits = yield* quota.reserve(credits(0.75))
      const over = yield* quota.reserve(credits(0.5))
      expect(fits.wouldRefuse).toBeUndefined()
      expect(over.wouldRefuse).toMatchObject({ scope: "client", quota: "credits_per_hour" })
      yield* quota.settle(fits, { bytes: 0, credits: 0.25 })
      yield* quota.settle(over, { bytes: 0, credits: 0.25 })
      expect(yield* see("credits_per_hour")).toEqual([0.25, 0.75])
    }).pipe(
      Effect.provide(layer({ ...tiers({ credits_per_hour: 1 }), observe: { default: ["credits_per_hour"] } }))
    )
  )
})

describe("time", () => {
  it.effect("a call over the full hour is charged to the hour in which it began", () =>
    Effect.gen(function* () {
      const quota = yield* Quota.Quota
      yield* TestClock.adjust(Duration.millis(HOUR - 1))
      const reservation = yield* quota.reserve(request())
      yield* TestClock.adjust(Duration.millis(1))
      yield* quota.settle(reservation, { bytes: 0 })
      expect(yield* see("requests_per_hour")).toEqual([0, 1])
    }).pipe(Effect.provide(layer(tiers({ requests_per_hour: 1 }))))
  )

  it.effect("a clock that steps back refills nothing, and the named wait still holds", () =>
    Effect.gen(function* () {
      const quota = yield* Quota.Quota
      yield* TestClock.setTime(HOUR)
      yield* quota.settle(yield* quota.reserve(request()), { bytes: 0 })
      yield* TestClock.setTime(HOUR / 2)
      expect(yield* Effect.flip(quota.reserve(request()))).toMatchObject({
        resetAt: HOUR,
        retryAfterMs: HOUR / 2
      })
      yield* TestClock.setTime(HOUR)
      yield* quota.reserve(request())
    }).pipe(Effect.provide(layer(tiers({ requests_per_hour: 1 }))))
  )

  it.effect(
    "an unfinished call is released after its deadline and `graceMs`, or charged if it was sent",
    () =>
      Effect.gen(function* () {
        const quota = yield* Quota.Quota
        yield* quota.reserve(request())
        yield* quota.submitted(yield* quota.reserve(request()))
        yield* TestClock.adjust(Duration.millis(60_000 + 999))
        expect(yield* see("requests_per_hour")).toEqual([2, 8])
        yield* TestClock.adjust(Duration.millis(1))
        expect(yield* see("requests_per_hour")).toEqual([1, 9])
      }).pipe(Effect.provide(layer({ ...tiers({ requests_per_hour: 10 }), graceMs: 1000 })))
  )
})

describe("limits", () => {
  const options: Quota.Options = {
    tiers: { default: { requests_per_hour: 10, queries_per_hour: 5 }, gold: { requests_per_hour: 100 } },
    clients: { bob: { requests_per_hour: 50 } }
  }
  const limitsOf = (client: string, tier: string) =>
    Effect.gen(function* () {
      const { status } = yield* Quota.Quota
      return Object.fromEntries((yield* status(client, tier)).map(({ limit, quota }) => [quota, limit]))
    })

  it.effect("are the tier's, then the client's own, and the default tier's where a tier is unknown", () =>
    Effect.gen(function* () {
      expect(yield* limitsOf("ada", "default")).toEqual({ requests_per_hour: 10, queries_per_hour: 5 })
      expect(yield* limitsOf("ada", "gold")).toEqual({ requests_per_hour: 100 })
      expect(yield* limitsOf("ada", "no such tier")).toEqual({ requests_per_hour: 10, queries_per_hour: 5 })
      expect(yield* limitsOf("bob", "default")).toEqual({ requests_per_hour: 50, queries_per_hour: 5 })
    }).pipe(Effect.provide(layer(options)))
  )

  it.effect("can be changed while it runs, without losing what was used", () =>
    Effect.gen(function* () {
      const quota = yield* Quota.Quota
      for (let i = 0; i < 5; i++) yield* quota.settle(yield* quota.reserve(request()), { bytes: 0 })
      yield* quota.setLimits("ada", { queries_per_hour: 6 })
      expect(yield* see("queries_per_hour")).toEqual([5, 1])
      yield* quota.reserve(request())
      expect(yield* Effect.flip(quota.reserve(request()))).toMatchObject({ limit: 6, used: 6 })
      yield* quota.setLimits("ada", { queries_per_hour: 2 })
      expect(yield* see("queries_per_hour")).toEqual([6, 0])
      expect(yield* see("queries_per_hour", "client", "eve")).toEqual([0, 5])
      yield* quota.setLimits("ada", {})
      expect(yield* limitsOf("ada", "default")).toEqual({ requests_per_hour: 10, queries_per_hour: 5 })
    }).pipe(Effect.provide(layer(options)))
  )

  it.effect("that make no sense are refused, all problems at once", () =>
    Effect.gen(function* () {
      const misspelt: object = { request_per_hour: 3 }
      const error = yield* Quota.make({
        tiers: { gold: { requests_per_hour: 0, bytes_per_day: Number.NaN } },
        clients: { bob: { queries_per_day: -1, ...misspelt } },
        global: { requests_per_day: Number.POSITIVE_INFINITY }
      }).pipe(Effect.provide(QuotaStore.layerMemory), Effect.flip)
      expect(error._tag).toBe("InvalidOptions")
      expect(error.problems).toEqual([
        "tiers: there is no tier named default",
        "tier gold: requests_per_hour must be a number of at least 1, not 0",
        "tier gold: bytes_per_day must be a number of at least 1, not NaN",
        "client bob: queries_per_day must be a number of at least 1, not -1",
        "client bob: there is no quota request_per_hour",
        "global: requests_per_day must be a number of at least 1, not Infinity"
      ])
    })
  )

  it.effect("that make no sense are refused at run time too, and change nothing", () =>
    Effect.gen(function* () {
      const quota = yield* Quota.Quota
      expect((yield* Effect.flip(quota.setLimits("ada", { queries_per_hour: 0 }))).problems.length).toBe(1)
      expect(yield* limitsOf("ada", "default")).toEqual({ requests_per_hour: 10, queries_per_hour: 5 })
    }).pipe(Effect.provide(layer(options)))
  )
})

describe("enforce", () => {
  const options = tiers({ requests_per_hour: 2, bytes_per_day: 100 })

  it.effect("reserves, runs, and settles with the bytes of the result", () =>
    Effect.gen(function* () {
      const quota = yield* Quota.Quota
      const result = yield* quota.enforce(
        request({ estimatedBytes: 90 }),
        Effect.succeed("twelve bytes"),
        (text) => text.length
      )
      expect(result).toBe("twelve bytes")
      expect(yield* see("bytes_per_day")).toEqual([12, 88])
    }).pipe(Effect.provide(layer(options)))
  )

  it.effect("does not run a refused effect", () =>
    Effect.gen(function* () {
      const quota = yield* Quota.Quota
      let runs = 0
      const call = quota.enforce(
        request(),
        Effect.sync(() => {
          runs += 1
        }),
        () => 0
      )
      yield* Effect.repeatN(call, 1)
      expect(yield* Effect.flip(call)).toMatchObject({ _tag: "QuotaExceeded" })
      expect(runs).toBe(2)
    }).pipe(Effect.provide(layer(options)))
  )

  it.effect("charges the call but no bytes when it fails, dies, or is interrupted at work", () =>
    Effect.gen(function* () {
      const quota = yield* Quota.Quota
      const call = <A, E>(effect: Effect.Effect<A, E>) =>
        quota.enforce(request({ estimatedBytes: 20 }), effect, () => 20)
      expect(yield* Effect.flip(call(Effect.fail("boom")))).toBe("boom")
      const started = yield* Deferred.make<void>()
      const fiber = yield* Effect.fork(
        call(Effect.zipRight(Deferred.succeed(started, undefined), Effect.never))
      )
      yield* Deferred.await(started)
      yield* Fiber.interrupt(fiber)
      expect(yield* see("requests_per_hour")).toEqual([2, 0])
      expect(yield* see("bytes_per_day")).toEqual([0, 100])
    }).pipe(Effect.provide(layer(options)))
  )

  it.effect("holds nothing after an interruption at any point, and charges what had begun", () =>
    Effect.gen(function* () {
      const quota = yield* Quota.Quota
      const store = yield* QuotaStore.QuotaStore
      let began = 0
      const work = Effect.zipRight(
        Effect.sync(() => {
          began += 1
        }),
        Effect.zipRight(Effect.repeatN(Effect.yieldNow(), 4), Effect.never)
      )
      let interrupts = 0
      for (let budget = 14; budget <= 64; budget += 2) {
        for (let turn = 0; turn <= 12; turn++) {
          const fiber = yield* Effect.fork(
            quota
              .enforce(request({ estimatedBytes: 7 }), work, () => 7)
              .pipe(Effect.withMaxOpsBeforeYield(budget))
          )
          for (let i = 0; i < turn; i++) yield* Effect.yieldNow()
          yield* Fiber.interrupt(fiber)
          interrupts += 1
        }
      }
      const usage = yield* store.usage("client:ada")
      expect(usage.map(({ reserved }) => reserved).every((reserved) => reserved === 0)).toBe(true)
      const used = usage.find((entry) => entry.quota === "requests_per_hour")?.used
      // An interruption can still fall between our last step and the first of the work.
      expect(used).toBeGreaterThanOrEqual(began)
      expect(used).toBeLessThan(began + 10)
      expect(began).toBeGreaterThan(0)
      expect(began).toBeLessThan(interrupts - 10)
    }).pipe(Effect.provide(layer(tiers({ requests_per_hour: 1e6, bytes_per_day: 1e9 }))))
  )

  it.effect("returns the result when the store is out of reach at the end", () =>
    Effect.gen(function* () {
      const memory = yield* QuotaStore.makeMemory()
      const down = new QuotaStore.QuotaStoreError({ operation: "settle", description: "gone" })
      const quota = yield* Quota.make(options).pipe(
        Effect.provideService(QuotaStore.QuotaStore, { ...memory, settle: () => Effect.fail(down) })
      )
      expect(yield* quota.enforce(request(), Effect.succeed(1), () => 1)).toBe(1)
    }).pipe(Effect.provide(Logger.remove(Logger.defaultLogger)))
  )

  it.effect("does not run when the store is out of reach at the start, and holds nothing", () =>
    Effect.gen(function* () {
      const memory = yield* QuotaStore.makeMemory()
      const down = new QuotaStore.QuotaStoreError({ operation: "submitted", description: "gone" })
      const quota = yield* Quota.make(options).pipe(
        Effect.provideService(QuotaStore.QuotaStore, { ...memory, submitted: () => Effect.fail(down) })
      )
      let ran = false
      const work = Effect.sync(() => {
        ran = true
      })
      expect(yield* Effect.flip(quota.enforce(request(), work, () => 1))).toBe(down)
      expect(ran).toBe(false)
      expect(yield* memory.usage("client:ada")).toEqual([])
    })
  )
})

describe("layerNoop", () => {
  it.effect("limits nothing", () =>
    Effect.gen(function* () {
      const quota = yield* Quota.Quota
      const reservation = yield* quota.reserve(request({ estimatedBytes: 1e15 }))
      yield* quota.settle(reservation, { bytes: 1e15 })
      expect(reservation.bytesLeft).toBe(Infinity)
      expect(yield* quota.status("ada", "default")).toEqual([])
    }).pipe(Effect.provide(Quota.layerNoop))
  )
})
