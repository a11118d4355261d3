import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, Either, Logger, Ref, Schedule } from "effect"
import { monitorEventLoopDelay } from "node:perf_hooks"
import { afterAll, beforeEach } from "vitest"
import * as CircuitBreaker from "../../../src/guard/CircuitBreaker.js"
import type * as QuotaStore from "../../../src/quota/QuotaStore.js"
import * as RedisStore from "../../../src/quota/stores/Redis.js"
import * as Redis from "../../../src/platform/Redis.js"
import { charge, DAY, reserved } from "../../utils/charges.js"
import * as TestRedis from "../../utils/redis.js"

/** A machine that is busy with something else stops this process now and then: that is no fault of ours. */
const delay = monitorEventLoopDelay({ resolution: 5 })
const paused = (): number => delay.max / 1e6
beforeEach(() => {
  delay.reset()
  delay.enable()
})
afterAll(() => void delay.disable())
const quiet = Logger.replace(Logger.defaultLogger, Logger.none)

describe.runIf(TestRedis.available())("redis that fails", () => {
  const storeAt = (url: string) =>
    Effect.flatMap(Redis.make({ url, circuit: CircuitBreaker.forConnection("redis") }), (redis) =>
      Effect.provideService(RedisStore.make(), Redis.Redis, redis)
    )

  it.scopedLive("charges once, to the current window, what was reserved before the data was lost", () =>
    Effect.gen(function* () {
      const own = yield* TestRedis.server()
      const store = yield* storeAt(own.url)
      const id = reserved(yield* store.reserve([charge("a", { amount: 2 })], DAY))
      const other = reserved(yield* store.reserve([charge("a", { amount: 2 })], DAY))
      yield* Effect.sleep(2)
      yield* Effect.promise(() => TestRedis.command(own.port, "FLUSHALL"))
      const truth = [{ key: "a", quota: "requests_per_hour" as const, amount: 3 }]
      yield* store.settle(id, truth)
      yield* store.settle(id, truth)
      yield* store.release(other)
      yield* store.settle(other, truth)
      expect(yield* store.usage("a")).toMatchObject([{ used: 3, reserved: 0 }])
    })
  )

  /** Failures, each with how long it took. */
  const failures = (store: QuotaStore.QuotaStore["Type"], count: number) =>
    Effect.forEach(Array.from({ length: count }), () =>
      Effect.map(
        Effect.timed(Effect.either(store.reserve([charge("a", { limit: 1e9 })], DAY))),
        ([took, answer]) => ({
          ms: Duration.toMillis(took),
          error: Either.isLeft(answer) ? answer.left : undefined
        })
      )
    )

  it.scopedLive("is built while Redis is down, fails fast, and says why without a secret", () =>
    Effect.gen(function* () {
      const own = yield* TestRedis.server()
      yield* Effect.promise(() => own.kill())
      const secret = "s3cret%40word"
      const url = own.url.replace("redis://", `redis://someone:${secret}@`)
      const store = yield* storeAt(url)
      const failed = yield* failures(store, 8)
      for (const { error, ms } of failed) {
        expect(error).toMatchObject({ _tag: "QuotaStoreError", operation: "reserve" })
        expect(ms).toBeLessThan(200 + paused())
        expect(`${String(error)} ${JSON.stringify(error)}`).not.toMatch(/s3cret|someone/)
      }
      expect(failed[7]?.error?.description).toContain("not asked again")
      expect(failed[7]?.error?.retryAfterMs).toBeGreaterThan(0)
      // The open circuit costs next to nothing.
      expect(failed[7]?.ms).toBeLessThan(20 + paused())
    }).pipe(Effect.provide(quiet))
  )

  it.scopedLive("fails in time when the server dies or freezes, sends nothing twice, and is back after", () =>
    Effect.gen(function* () {
      const own = yield* TestRedis.server()
      const store = yield* storeAt(own.url)
      const back = Effect.retry(
        Effect.flatMap(store.reserve([charge("a", { limit: 1e9 })], DAY), (decision) =>
          decision._tag === "Granted" ? Effect.void : Effect.fail("refused" as const)
        ),
        { until: () => false, times: 300, schedule: Schedule.spaced("20 millis") }
      )
      yield* back
      own.signal("SIGSTOP")
      const sent = yield* failures(store, 6)
      for (const { error, ms } of sent) {
        expect(error).toBeDefined()
        expect(ms).toBeLessThan(200 + paused())
      }
      own.signal("SIGCONT")
      yield* back
      yield* Effect.sleep(50)
      const [usage] = yield* store.usage("a")
      // Two were granted; what timed out has been done once or not at all.
      expect(usage?.reserved).toBeGreaterThanOrEqual(2)
      expect(usage?.reserved).toBeLessThanOrEqual(
        2 + sent.filter(({ error }) => error?.description.includes("may have")).length
      )

      yield* Effect.promise(() => own.kill())
      for (const { error, ms } of yield* failures(store, 6)) {
        expect(error).toBeDefined()
        expect(ms).toBeLessThan(200 + paused())
      }
      yield* Effect.promise(() => own.start())
      yield* back
      expect(yield* store.usage("a")).toMatchObject([{ used: 0, reserved: 1 }])
    }).pipe(Effect.provide(quiet))
  )

  it.scopedLive("says that it refuses the password, and never which", () =>
    Effect.gen(function* () {
      const own = yield* TestRedis.server()
      const rules = "on >r1ght-s3cret ~snowguard:* +@all"
      yield* Effect.promise(() => TestRedis.command(own.port, `ACL SETUSER guard ${rules}`))
      yield* Effect.promise(() => TestRedis.command(own.port, "ACL SETUSER default off"))
      const as = (user: string) => storeAt(own.url.replace("redis://", `redis://${user}@`))
      const right = yield* as("guard:r1ght-s3cret")
      expect((yield* right.reserve([charge("a")], DAY))._tag).toBe("Granted")
      for (const user of ["guard:wr0ng-s3cret", "nobody:wr0ng-s3cret"]) {
        const wrong = yield* as(user)
        for (const { error } of yield* failures(wrong, 2)) {
          expect(error?.message).toContain("Redis refuses the user or password of the Redis URL")
          expect(`${String(error)} ${JSON.stringify(error)}`).not.toMatch(/s3cret/)
        }
      }
    }).pipe(Effect.provide(quiet))
  )

  it.scopedLive("keeps to the limit and fails in time when it loses its data and dies under load", () =>
    Effect.gen(function* () {
      const own = yield* TestRedis.server()
      const stores = yield* Effect.all([storeAt(own.url), storeAt(own.url)])
      const limit = 1000
      const refusals = yield* Ref.make(0)
      let granted = 0
      let slowest = 0
      let failed = 0
      const call = (store: QuotaStore.QuotaStore["Type"]) =>
        Effect.gen(function* () {
          const charges = [charge("client:a", { limit: 1e9 }), charge("global", { limit })]
          const [took, answer] = yield* Effect.timed(Effect.either(store.reserve(charges, DAY)))
          if (Either.isLeft(answer)) {
            failed += 1
            slowest = Math.max(slowest, Duration.toMillis(took))
            yield* Effect.sleep(1)
          } else if (answer.right._tag === "Refused") {
            yield* Ref.update(refusals, (n) => n + 1)
            yield* Effect.sleep(1)
          } else {
            granted += 1
            yield* Effect.ignore(store.settle(answer.right.reservation, []))
          }
        })
      for (const store of stores) {
        yield* Effect.forkScoped(
          Effect.replicateEffect(Effect.forever(call(store)), 16, {
            concurrency: "unbounded",
            discard: true
          })
        )
      }
      const exhausted = Effect.gen(function* () {
        yield* Ref.set(refusals, 0)
        yield* Effect.repeat(Effect.zipRight(Effect.sleep(5), Ref.get(refusals)), { until: (n) => n > 64 })
      })
      yield* exhausted
      expect(granted).toBe(limit)
      yield* Effect.promise(() => TestRedis.command(own.port, "FLUSHALL"))
      yield* exhausted
      yield* Effect.promise(() => own.kill())
      yield* Effect.sleep(100)
      yield* Effect.promise(() => own.start())
      yield* exhausted
      // Three times empty, three times the limit: not more, and little less.
      expect(granted / (3 * limit)).toBeLessThanOrEqual(1.01)
      expect(granted / (3 * limit)).toBeGreaterThan(0.9)
      expect(failed).toBeGreaterThan(0)
      expect(slowest).toBeLessThan(200 + paused())
      console.log(
        `redis lost under load: ${failed} failures, the slowest after ${slowest.toFixed(0)} ms; ` +
          `longest pause of the event loop ${paused().toFixed(0)} ms; ` +
          `admitted ${(granted / (3 * limit)).toFixed(3)} of the limit`
      )
    }).pipe(Effect.provide(quiet))
  )
})
