import { assert, describe, it } from "@effect/vitest"
import { Clock, Deferred, Effect, Exit, Fiber, Layer, TestClock } from "effect"
import * as RateLimiter from "../../src/guard/RateLimiter.js"
import * as Live from "../../src/platform/Live.js"

const wide: RateLimiter.Bucket = { rate: 1000, burst: 10_000 }

const layerOf = (client: RateLimiter.Bucket, more: Partial<RateLimiter.Options> = {}) =>
  RateLimiter.layer({ global: wide, classes: {}, tiers: { default: { client } }, ...more })

const call = (client: string, cost?: number): RateLimiter.Request => ({
  client,
  tier: "default",
  class: "query",
  cost
})

const remaining = (client: string, scope: RateLimiter.Scope) =>
  Effect.gen(function* () {
    const limiter = yield* RateLimiter.RateLimiter
    const status = yield* limiter.status(client, "default")
    return status.find((one) => one.scope === scope)?.remaining
  })

describe("RateLimiter", () => {
  it.effect("admits a burst of 5, refuses the 6th, and admits again after 2 seconds", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.RateLimiter
      for (let i = 0; i < 5; i++)
        assert.strictEqual((yield* limiter.acquire(call("a"))).clientScope, "client")
      const refused = yield* Effect.flip(limiter.acquire(call("a")))
      assert.strictEqual(refused.scope, "client")
      assert.strictEqual(refused.remaining, 0)
      assert.strictEqual(refused.retryAfterMs, 2000)
      yield* TestClock.adjust("2 seconds")
      yield* limiter.acquire(call("a"))
      assert.isTrue(Exit.isFailure(yield* Effect.exit(limiter.acquire(call("a")))))
    }).pipe(Effect.provide(layerOf({ rate: 0.5, burst: 5 })))
  )

  it.effect("says exactly when: refused one millisecond before, admitted then", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.RateLimiter
      yield* limiter.acquire(call("a"))
      yield* TestClock.adjust("77 millis")
      const { retryAfterMs } = yield* Effect.flip(limiter.acquire(call("a")))
      // 1000/3 ms after the first call, counted in whole milliseconds from here.
      assert.strictEqual(retryAfterMs, 257)
      yield* TestClock.adjust(retryAfterMs - 1)
      yield* Effect.flip(limiter.acquire(call("a")))
      yield* TestClock.adjust(1)
      yield* limiter.acquire(call("a"))
    }).pipe(Effect.provide(layerOf({ rate: 3, burst: 1 })))
  )

  it.effect("does not let a refused client drain the shared bucket", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.RateLimiter
      for (let i = 0; i < 3; i++) yield* limiter.acquire(call("abuser"))
      for (let i = 0; i < 1000; i++) yield* Effect.flip(limiter.acquire(call("abuser")))
      assert.strictEqual(yield* remaining("innocent", "global"), 7)
      assert.strictEqual(yield* remaining("innocent", "class"), 7)
      for (let i = 0; i < 3; i++) yield* limiter.acquire(call("innocent"))
    }).pipe(
      Effect.provide(
        layerOf(
          { rate: 1, burst: 3 },
          { global: { rate: 1, burst: 10 }, classes: { query: { rate: 1, burst: 10 } } }
        )
      )
    )
  )

  it.effect("charges nothing of a client's own bucket when the shared bucket refuses", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.RateLimiter
      yield* limiter.acquire(call("a"))
      yield* limiter.acquire(call("b"))
      const refused = yield* Effect.flip(limiter.acquire(call("b")))
      assert.strictEqual(refused.scope, "global")
      assert.strictEqual(refused.message, "global rate limit of 1/s (burst 2) reached; retry in 1000 ms")
      assert.strictEqual(yield* remaining("b", "client"), 4)
    }).pipe(Effect.provide(layerOf({ rate: 1, burst: 5 }, { global: { rate: 1, burst: 2 } })))
  )

  it.effect("refuses for ever a call that costs more than the bucket holds", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.RateLimiter
      const refused = yield* Effect.flip(limiter.acquireWithin(call("a", 6), 3_600_000))
      assert.isTrue(refused.never)
      assert.include(refused.message, "can ever hold")
      assert.strictEqual(yield* Clock.currentTimeMillis, 0)
      assert.strictEqual(yield* remaining("a", "client"), 5)
    }).pipe(Effect.provide(layerOf({ rate: 1, burst: 5 })))
  )

  it.effect("shares a tier's total among the clients of that tier only", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.RateLimiter
      const gold = (client: string): RateLimiter.Request => ({ ...call(client), tier: "gold" })
      yield* limiter.acquire(gold("a"))
      const refused = yield* Effect.flip(limiter.acquire(gold("b")))
      assert.deepStrictEqual([refused.scope, refused.name], ["tier", "gold"])
      yield* limiter.acquire(call("c"))
    }).pipe(
      Effect.provide(
        layerOf(wide, {
          tiers: { default: { client: wide }, gold: { client: wide, total: { rate: 1, burst: 1 } } }
        })
      )
    )
  )

  it.effect("starts a new client with its initial tokens", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* remaining("a", "client"), 50)
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(yield* remaining("b", "client"), 50)
    }).pipe(Effect.provide(layerOf({ rate: 10, burst: 100, initial: 50 })))
  )

  it.effect("tells calls that are refused together one time after another, at which each is admitted", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.RateLimiter
      yield* limiter.acquire(call("a", 5))
      const refused = yield* Effect.all(Effect.replicate(Effect.flip(limiter.acquire(call("a"))), 5))
      assert.deepStrictEqual(
        refused.map(({ retryAfterMs, retryHintMs }) => [retryAfterMs, retryHintMs]),
        [100, 200, 300, 400, 500].map((hint) => [100, hint])
      )
      // Another client has a bucket of its own.
      yield* limiter.acquire(call("b", 5))
      assert.strictEqual((yield* Effect.flip(limiter.acquire(call("b")))).retryHintMs, 100)
      for (let n = 0; n < 5; n++) {
        yield* TestClock.adjust(100)
        yield* limiter.acquire(call("a"))
      }
      // Those times are over.
      const { retryAfterMs, retryHintMs } = yield* Effect.flip(limiter.acquire(call("a")))
      assert.strictEqual(retryHintMs, retryAfterMs)
    }).pipe(Effect.provide(layerOf({ rate: 10, burst: 5 })))
  )

  it.effect("spreads calls of a tool that weighs more by what each takes", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.RateLimiter
      const heavy = { ...call("a"), tool: "profile_table" }
      yield* limiter.acquire(call("a", 9))
      const refused = yield* Effect.all(Effect.replicate(Effect.flip(limiter.acquire(heavy)), 3))
      assert.deepStrictEqual(
        refused.map(({ retryHintMs }) => retryHintMs),
        [300, 600, 900]
      )
      for (let n = 0; n < 3; n++) {
        yield* TestClock.adjust(300)
        yield* limiter.acquire(heavy)
      }
    }).pipe(
      Effect.provide(
        layerOf(wide, {
          tiers: { default: { client: { rate: 10, burst: 9 }, tools: { profile_table: { weight: 3 } } } }
        })
      )
    )
  )

  it.effect("tells the exact time again to a client that comes back too early", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.RateLimiter
      yield* limiter.acquire(call("a", 5))
      for (let n = 0; n < 3; n++) {
        const { retryAfterMs, retryHintMs } = yield* Effect.flip(limiter.acquire(call("a")))
        assert.strictEqual(retryAfterMs, 1_000_000 - n * 60_000)
        assert.strictEqual(retryHintMs, retryAfterMs)
        yield* TestClock.adjust("1 minute")
      }
    }).pipe(Effect.provide(layerOf({ rate: 0.001, burst: 5 })))
  )

  it.effect("a client that does not wait is told no later than as many calls as the bucket holds", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.RateLimiter
      yield* limiter.acquire(call("a", 5))
      const refused = yield* Effect.all(Effect.replicate(Effect.flip(limiter.acquire(call("a"))), 1_000))
      assert.strictEqual(Math.max(...refused.map(({ retryHintMs }) => retryHintMs)), 600)
    }).pipe(Effect.provide(layerOf({ rate: 10, burst: 5 })))
  )

  it.effect("refuses without a stack trace, and leaves those of other errors alone", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.RateLimiter
      yield* limiter.acquire(call("a"))
      const refused = yield* Effect.flip(limiter.acquire(call("a")))
      assert.notInclude(refused.stack ?? "", "\n    at ")
      assert.include(new Error("other").stack ?? "", "\n    at ")
    }).pipe(Effect.provide(layerOf({ rate: 1, burst: 1 })))
  )

  describe("acquireWithin", () => {
    it.effect("waits for tokens exactly as long as they take to come", () =>
      Effect.gen(function* () {
        const limiter = yield* RateLimiter.RateLimiter
        yield* limiter.acquireWithin(call("a"), 0)
        const fiber = yield* Effect.fork(limiter.acquireWithin(call("a"), 1000))
        yield* TestClock.adjust("999 millis")
        assert.isNull(fiber.unsafePoll())
        yield* TestClock.adjust("1 millis")
        assert.strictEqual((yield* Fiber.join(fiber)).client, "a")
      }).pipe(Effect.provide(layerOf({ rate: 1, burst: 1 })))
    )

    it.effect("refuses at once when the tokens come too late, and charges nothing", () =>
      Effect.gen(function* () {
        const limiter = yield* RateLimiter.RateLimiter
        yield* limiter.acquire(call("a"))
        const refused = yield* Effect.flip(limiter.acquireWithin(call("a"), 900))
        // The same call, as patient as this one, is let in then.
        assert.strictEqual(refused.retryAfterMs, 100)
        yield* TestClock.adjust("1 seconds")
        yield* limiter.acquire(call("a"))
      }).pipe(Effect.provide(layerOf({ rate: 1, burst: 1 })))
    )

    it.effect("gives the tokens back before the interruption is over", () =>
      Effect.gen(function* () {
        const limiter = yield* RateLimiter.RateLimiter
        yield* limiter.acquire(call("a"))
        const fiber = yield* Effect.fork(limiter.acquireWithin(call("a"), 5000))
        yield* Effect.yieldNow()
        const behind = yield* Effect.flip(limiter.acquire(call("a")))
        assert.strictEqual(behind.retryAfterMs, 2000)
        yield* Fiber.interrupt(fiber)
        const alone = yield* Effect.flip(limiter.acquire(call("a")))
        assert.strictEqual(alone.retryAfterMs, 1000)
      }).pipe(Effect.provide(layerOf({ rate: 1, burst: 1 })))
    )

    it.effect("loses no token at whatever moment it is interrupted", () =>
      Effect.gen(function* () {
        const limiter = yield* RateLimiter.RateLimiter
        yield* limiter.acquire(call("a"))
        for (let ops = 14; ops <= 64; ops++) {
          for (let turn = 0; turn <= 6; turn++) {
            const fiber = yield* Effect.fork(
              Effect.withMaxOpsBeforeYield(limiter.acquireWithin(call("a"), 10_000), ops)
            )
            for (let i = 0; i < turn; i++) yield* Effect.yieldNow()
            yield* Fiber.interrupt(fiber)
          }
        }
        const refused = yield* Effect.flip(limiter.acquire(call("a")))
        assert.strictEqual(refused.retryAfterMs, 1000)
      }).pipe(Effect.provide(layerOf({ rate: 1, burst: 1 })))
    )
  })

  describe("refund", () => {
    it.effect("gives back to every scope, and once only", () =>
      Effect.gen(function* () {
        const limiter = yield* RateLimiter.RateLimiter
        const first = yield* limiter.acquire(call("a", 2))
        yield* limiter.acquire(call("a", 2))
        yield* limiter.refund(first)
        yield* limiter.refund(first)
        assert.strictEqual(yield* remaining("a", "client"), 3)
        assert.strictEqual(yield* remaining("a", "class"), 4)
        assert.strictEqual(yield* remaining("a", "global"), 5)
      }).pipe(
        Effect.provide(
          layerOf(
            { rate: 1, burst: 5 },
            { global: { rate: 1, burst: 7 }, classes: { query: { rate: 1, burst: 6 } } }
          )
        )
      )
    )

    const observing = (observe: ReadonlyArray<RateLimiter.Scope>): RateLimiter.Options => ({
      global: { rate: 1, burst: 7 },
      classes: {},
      tiers: { default: { client: { rate: 1, burst: 2 }, observe } }
    })

    it.effect("gives back what was charged, whatever the tier observes by then", () =>
      Effect.gen(function* () {
        const { live, set } = Live.make(observing(["client"]))
        const limiter = yield* RateLimiter.make(live)
        const left = Effect.map(limiter.status("a", "default"), (all) => all.map((one) => one.remaining))
        yield* limiter.acquire(call("a"))
        yield* limiter.acquire(call("a"))
        const unpaid = yield* limiter.acquire(call("a"))
        assert.strictEqual(unpaid.wouldRefuse?.scope, "client")
        assert.deepStrictEqual(yield* left, [0, 4])
        yield* set(observing([]))
        yield* limiter.refund(unpaid)
        assert.deepStrictEqual(yield* left, [0, 5])
      })
    )

    it.effect("gives back what is observed alone, and the rest later, each once", () =>
      Effect.gen(function* () {
        const limiter = yield* RateLimiter.make(observing(["client"]))
        const left = Effect.map(limiter.status("a", "default"), (all) => all.map((one) => one.remaining))
        const first = yield* limiter.acquire(call("a"))
        const second = yield* limiter.acquire(call("a"))
        const unpaid = yield* limiter.acquire(call("a"))
        yield* limiter.refund(unpaid, "observed")
        assert.deepStrictEqual(yield* left, [0, 4], "it was not charged there")
        for (const _ of [1, 2]) {
          yield* limiter.refund(first, "observed")
          assert.deepStrictEqual(yield* left, [1, 4])
        }
        for (const _ of [1, 2]) {
          yield* limiter.refund(first)
          assert.deepStrictEqual(yield* left, [1, 5])
        }
        yield* limiter.refund(second)
        yield* limiter.refund(second, "observed")
        yield* limiter.refund(unpaid)
        assert.deepStrictEqual(yield* left, [2, 7])
      })
    )

    it.effect("never lifts a bucket above its burst", () =>
      Effect.gen(function* () {
        const limiter = yield* RateLimiter.RateLimiter
        const admission = yield* limiter.acquire(call("a", 5))
        yield* TestClock.adjust("1 minute")
        yield* limiter.refund(admission)
        assert.strictEqual(yield* remaining("a", "client"), 5)
        yield* limiter.acquire(call("a", 5))
        yield* Effect.flip(limiter.acquire(call("a")))
      }).pipe(Effect.provide(layerOf({ rate: 1, burst: 5 })))
    )
  })

  describe("limit", () => {
    it.effect("runs the effect when admitted and does not touch it when refused", () =>
      Effect.gen(function* () {
        const limiter = yield* RateLimiter.RateLimiter
        const ran = yield* Deferred.make<void>()
        assert.strictEqual(yield* limiter.limit(call("a"), Effect.succeed("done")), "done")
        const refused = yield* Effect.flip(limiter.limit(call("a"), Deferred.succeed(ran, undefined)))
        assert.strictEqual(refused._tag, "RateLimited")
        assert.isFalse(yield* Deferred.isDone(ran))
      }).pipe(Effect.provide(layerOf({ rate: 1, burst: 1 })))
    )
  })

  it.effect("shows the buckets that a client passes, its own first, without charging", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.RateLimiter
      yield* limiter.acquire({ ...call("a"), tier: "gold" })
      const status = yield* limiter.status("a", "gold")
      assert.deepStrictEqual(status, [
        { scope: "client", name: undefined, ratePerSecond: 2, burst: 4, remaining: 3, resetMs: 500 },
        { scope: "tier", name: "gold", ratePerSecond: 4, burst: 8, remaining: 7, resetMs: 250, reserved: 2 },
        {
          scope: "class",
          name: "query",
          ratePerSecond: 5,
          burst: 9,
          remaining: 8,
          resetMs: 200,
          reserved: 2.25
        },
        {
          ...{ scope: "global", name: undefined, ratePerSecond: 10, burst: 20 },
          ...{ remaining: 19, resetMs: 100, reserved: 5 }
        }
      ])
      assert.deepStrictEqual(yield* limiter.status("a", "gold"), status)
    }).pipe(
      Effect.provide(
        RateLimiter.layer({
          global: { rate: 10, burst: 20 },
          classes: { query: { rate: 5, burst: 9 } },
          tiers: {
            default: { client: { rate: 1, burst: 1 } },
            gold: { client: { rate: 2, burst: 4 }, total: { rate: 4, burst: 8 } }
          }
        })
      )
    )
  )

  it.effect("fails to start with limits that make no sense, and names the service and every problem", () =>
    Effect.gen(function* () {
      const invalid = yield* Effect.flip(
        Effect.scoped(
          Layer.build(
            RateLimiter.layer({ global: { rate: -1, burst: 1 }, classes: {}, tiers: {}, maxClients: 1.5 })
          )
        )
      )
      assert.strictEqual(invalid._tag, "InvalidOptions")
      assert.strictEqual(invalid.problems.length, 3)
      assert.include(invalid.message, "RateLimiter")
      for (const problem of invalid.problems) assert.include(invalid.message, problem)
    })
  )

  it.effect("layerNoop admits everything", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.RateLimiter
      const admission = yield* limiter.acquire(call("a", 1e9))
      yield* limiter.refund(admission)
      yield* limiter.acquireWithin(call("a"), 0)
      assert.strictEqual(yield* limiter.limit(call("a"), Effect.succeed(1)), 1)
      assert.deepStrictEqual(yield* limiter.status("a", "default"), [])
    }).pipe(Effect.provide(RateLimiter.layerNoop))
  )
})
