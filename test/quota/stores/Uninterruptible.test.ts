import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, TestClock } from "effect"
import * as QuotaStore from "../../../src/quota/QuotaStore.js"
import * as Outage from "../../../src/quota/stores/Outage.js"
import * as RedisLimiter from "../../../src/guard/RateLimiterRedis.js"
import * as RateLimiter from "../../../src/guard/RateLimiter.js"
import * as Redis from "../../../src/platform/Redis.js"

const charge = { key: "client:a", quota: "requests_per_hour", limit: 1000, amount: 1 } as const

const storeWith = (broken: Partial<QuotaStore.QuotaStore["Type"]>) =>
  Layer.effect(
    QuotaStore.QuotaStore,
    Effect.map(QuotaStore.makeMemory(), (store) => ({ ...store, ...broken }))
  )

describe("a store that does not answer, asked where nothing can be interrupted", () => {
  it.effect("is out of reach after the time that it has", () =>
    Effect.gen(function* () {
      const store = yield* QuotaStore.QuotaStore
      const asked = yield* Effect.fork(Effect.uninterruptible(Effect.either(store.reserve([charge], 1000))))
      yield* TestClock.adjust(199)
      assert.isNull(asked.unsafePoll())
      yield* TestClock.adjust(1)
      assert.isNotNull(asked.unsafePoll())
      const answer = yield* Fiber.join(asked)
      assert.strictEqual(answer._tag === "Left" ? answer.left._tag : "", "QuotaStoreError")
    }).pipe(
      Effect.provide(
        Outage.layer(storeWith({ reserve: () => Effect.uninterruptible(Effect.never) }), { timeoutMs: 200 })
      )
    )
  )
})

describe("a Redis that was never reached, asked where nothing can be interrupted", () => {
  const limits = {
    global: { rate: 10, burst: 10 },
    classes: {},
    tiers: { default: { client: { rate: 10, burst: 10 } } }
  }
  // Nobody listens on port 1.
  const unreachable = Layer.provide(RedisLimiter.layer(limits), Redis.layer({ url: "redis://127.0.0.1:1" }))

  it.scopedLive("leaves the limits to this server's share", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.RateLimiter
      const asked = yield* Effect.forkDaemon(
        Effect.uninterruptible(limiter.reserve({ client: "a", tier: "default", class: "query" }, 0))
      )
      const given = yield* Effect.timeout(Effect.disconnect(Fiber.join(asked)), "20 seconds")
      assert.deepInclude(given, { client: "a", waitMs: 0 })
    }).pipe(Effect.provide(unreachable))
  )
})
