import { describe, expect, it } from "@effect/vitest"
import { Clock, Effect, Exit, Layer, Scope, TestClock } from "effect"
import { afterAll, beforeAll } from "vitest"
import * as RedisStore from "../../../src/quota/stores/Redis.js"
import * as Redis from "../../../src/platform/Redis.js"
import { contract } from "../QuotaStore.contract.js"
import { charge, DAY, reserved } from "../../utils/charges.js"
import * as TestRedis from "../../utils/redis.js"
import * as Torture from "../../utils/redisTorture.js"

/** The machine of the tests may be busy; that a call ends in time is another test's business. */
const PATIENT_MS = 5000
const suite = describe.runIf(TestRedis.available())

suite("redis", () => {
  const scope = Effect.runSync(Scope.make())
  let shared: TestRedis.Server

  beforeAll(async () => {
    shared = await Effect.runPromise(Scope.extend(TestRedis.server(), scope))
  })
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

  let prefixes = 0
  const layer = (options: RedisStore.Options = {}) =>
    Layer.unwrapEffect(
      Effect.sync(() => {
        prefixes += 1
        return Layer.provideMerge(
          RedisStore.layer({ time: "clock", ...options }),
          Redis.layer({ url: shared.url, prefix: `t${prefixes}:`, commandTimeoutMs: PATIENT_MS })
        )
      })
    )

  contract("redis", layer(), { numRuns: 25 })

  const connect = (options: Partial<Redis.Options> = {}) => {
    prefixes += 1
    return Redis.make({ url: shared.url, prefix: `t${prefixes}:`, commandTimeoutMs: PATIENT_MS, ...options })
  }
  const storeOn = (redis: Redis.Redis["Type"], options: RedisStore.Options = {}) =>
    Effect.provideService(RedisStore.make(options), Redis.Redis, redis)
  const storeAt = (url: string, options: Partial<Redis.Options> = {}) =>
    Effect.flatMap(connect({ url, ...options }), (redis) => storeOn(redis))

  it.scopedLive("lets another server finish, once, what one has reserved", () =>
    Effect.gen(function* () {
      const prefix = "two:"
      const one = yield* storeAt(shared.url, { prefix })
      const two = yield* storeAt(shared.url, { prefix })
      const id = reserved(yield* one.reserve([charge("a", { amount: 4 }), charge("b")], DAY))
      yield* two.settle(id, [{ key: "a", quota: "requests_per_hour", amount: 2 }])
      yield* one.settle(id, [{ key: "a", quota: "requests_per_hour", amount: 4 }])
      yield* one.release(id)
      expect(yield* one.usage("a")).toMatchObject([{ used: 2, reserved: 0 }])
      expect(yield* one.usage("b")).toMatchObject([{ used: 1, reserved: 0 }])
    })
  )

  it.scopedLive("counts exactly to 2^53, and fractions as they are", () =>
    Effect.gen(function* () {
      const store = yield* storeAt(shared.url)
      const limit = Number.MAX_SAFE_INTEGER
      const bytes = (amount: number) => [charge("a", { quota: "bytes_per_day", limit, amount })]
      yield* store.settle(reserved(yield* store.reserve(bytes(limit - 2), DAY)), [])
      expect((yield* store.reserve(bytes(2), DAY))._tag).toBe("Granted")
      expect(yield* store.reserve(bytes(1), DAY)).toMatchObject({
        _tag: "Refused",
        used: limit - 2,
        reserved: 2
      })
      const seconds = charge("b", { quota: "statement_seconds_per_day", limit: 100, amount: 0.1 })
      yield* store.settle(reserved(yield* store.reserve([seconds], DAY)), [])
      yield* store.settle(reserved(yield* store.reserve([{ ...seconds, amount: 0.2 }], DAY)), [])
      expect((yield* store.usage("b"))[0]?.used).toBe(0.1 + 0.2)
    })
  )

  it.scopedLive("keeps names apart and whole, whatever characters are in them", () =>
    Effect.gen(function* () {
      const store = yield* storeAt(shared.url)
      const names = ["client:{a}", "client:a", "client:%7Ba%7D", "client:é 漢|:,", "client:a*?[b]"]
      for (const [i, key] of names.entries()) {
        const id = reserved(yield* store.reserve([charge(key, { amount: i + 1 })], DAY))
        yield* store.settle(id, [])
      }
      const { usage } = yield* store.list()
      expect(new Map(usage.map(({ key, used }) => [key, used]))).toEqual(
        new Map(names.map((key, i) => [key, i + 1]))
      )
    })
  )

  it.scopedLive("leaves no key behind that never goes away", () =>
    Effect.gen(function* () {
      const redis = yield* connect({ prefix: "ttl:" })
      const store = yield* storeOn(redis)
      const id = reserved(yield* store.reserve([charge("a"), charge("b")], DAY))
      yield* store.submitted(id)
      yield* store.settle(id, [])
      yield* store.settle("unknown", [{ key: "c", quota: "queries_per_day", amount: 1 }])
      yield* store.reserve([charge("a")], 1000)
      const keys = yield* redis.scan("ttl:*")
      expect(keys.length).toBeGreaterThanOrEqual(5)
      for (const key of keys) {
        const said = yield* Effect.promise(() => TestRedis.command(shared.port, `PTTL ${key}`))
        expect(Number(said.slice(1)), key).toBeGreaterThan(0)
        expect(Number(said.slice(1)), key).toBeLessThanOrEqual(3 * DAY)
      }
    })
  )

  it.scoped("with rolling windows never admits more than the limit in an hour", () =>
    Effect.gen(function* () {
      const redis = yield* Effect.withClock(connect(), Clock.make())
      const store = yield* storeOn(redis, { windows: "rolling", time: "clock" })
      yield* TestClock.setTime(Date.UTC(2031, 4, 5, 12, 30))
      const burst = Effect.map(
        Effect.all(Array.from({ length: 10 }, () => store.reserve([charge("a")], DAY))),
        (decisions) => decisions.filter(({ _tag }) => _tag === "Granted").length
      )
      yield* TestClock.adjust("59 minutes")
      expect(yield* burst).toBe(10)
      yield* TestClock.adjust("2 minutes")
      expect(yield* burst).toBe(0)
      yield* TestClock.adjust("59 minutes")
      expect(yield* burst).toBe(10)
      const fixed = yield* storeOn(redis, { time: "clock" })
      expect((yield* Effect.flip(fixed.usage("a"))).description).toContain("other windows")
    })
  )

  it.scopedLive("goes on after SCRIPT FLUSH as if nothing had happened", () =>
    Effect.gen(function* () {
      const store = yield* storeAt(shared.url)
      for (let i = 0; i < 5; i++) {
        yield* Effect.promise(() => TestRedis.command(shared.port, "SCRIPT FLUSH"))
        yield* store.settle(reserved(yield* store.reserve([charge("a")], DAY)), [])
      }
      expect(yield* store.usage("a")).toMatchObject([{ used: 5, reserved: 0 }])
    })
  )

  it.scopedLive("knows how many servers are alive", () =>
    Effect.gen(function* () {
      const options = { prefix: "alive:", heartbeatMs: 40 }
      const one = yield* connect(options)
      const leaving = yield* Scope.make()
      yield* Scope.extend(connect(options), leaving)
      yield* Effect.repeat(Effect.zipRight(Effect.sleep(10), one.replicas), { until: (n) => n === 2 })
      yield* Scope.close(leaving, Exit.void)
      yield* Effect.repeat(Effect.zipRight(Effect.sleep(10), one.replicas), { until: (n) => n === 1 })
    })
  )

  it("lets exactly the limit through, to the unit, whatever the number of processes", async () => {
    const { path: worker, remove } = await Torture.bundleWorker()
    try {
      const trial = { worker, url: shared.url, limit: 300, prefix: "x1:", processes: 4 }
      const granted = await Torture.trial(trial)
      expect(granted.reduce((sum, n) => sum + n, 0)).toBe(300)
    } finally {
      remove()
    }
  })
})
