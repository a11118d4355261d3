import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer, Ref, TestClock } from "effect"
import * as Bulkhead from "../../src/guard/Bulkhead.js"
import * as CircuitBreaker from "../../src/guard/CircuitBreaker.js"
import * as Degradation from "../../src/guard/Degradation.js"
import * as Guard from "../../src/guard/Guard.js"
import * as Quota from "../../src/quota/Quota.js"
import * as QuotaStore from "../../src/quota/QuotaStore.js"
import * as RateLimiter from "../../src/guard/RateLimiter.js"
import * as Retry from "../../src/guard/Retry.js"

type Store = QuotaStore.QuotaStore["Type"]
type Limiter = RateLimiter.RateLimiter["Type"]

const pool = { permits: 4, maxQueue: 4, maxQueuePerClient: 4 }
const bucket = { rate: 0.001, burst: 5 }

/** The whole path of a call, with a limiter and a store that are as they are made. */
const stack = (parts: {
  readonly store?: (store: Store) => Store
  readonly limiter?: (limiter: Limiter) => Limiter
  readonly degradation?: Layer.Layer<Degradation.Degradation>
}) => {
  const store = Layer.effect(
    QuotaStore.QuotaStore,
    Effect.map(QuotaStore.makeMemory(), parts.store ?? ((store) => store))
  )
  const limiter = Layer.effect(
    RateLimiter.RateLimiter,
    Effect.map(
      RateLimiter.make({
        global: { rate: 1000, burst: 1000 },
        classes: {},
        tiers: { default: { client: bucket } }
      }),
      parts.limiter ?? ((limiter) => limiter)
    )
  )
  const quota = Quota.layer({
    tiers: { default: { requests_per_hour: 10, statement_seconds_per_day: 1000 } }
  })
  const guards = Layer.mergeAll(
    limiter,
    Layer.provideMerge(quota, store),
    Bulkhead.layer({ requests: pool, statements: pool }),
    CircuitBreaker.layer({}),
    parts.degradation ?? Degradation.layerNoop,
    Retry.layerNoop
  )
  return Layer.provideMerge(
    Guard.layer({ maxWaitMs: 1000, windDownMs: 0, tiers: { default: { maxTokenWaitMs: 0, batch: false } } }),
    guards
  )
}

const operation: Guard.Operation = {
  tool: "execute_query",
  class: "query",
  deadlineMs: 3_000,
  estimatedBytes: 100
}

const tokens = Effect.flatMap(RateLimiter.RateLimiter, (limiter) =>
  Effect.map(limiter.status("local", "default"), (scopes) =>
    Math.round(scopes.find(({ scope }) => scope === "client")?.remaining ?? NaN)
  )
)
const usage = Effect.flatMap(QuotaStore.QuotaStore, (store) =>
  Effect.map(store.usage("client:local"), (all) => {
    const { reserved = 0, used = 0 } = all.find(({ quota }) => quota === "requests_per_hour") ?? {}
    return { reserved, used }
  })
)

const run = Effect.flatMap(Guard.Guard, (guard) =>
  guard.run(operation, (attempt) => Effect.as(attempt.markSent, "rows"))
)

/** Answers after `released`. */
const late = <A>(answer: Effect.Effect<A>) =>
  Effect.gen(function* () {
    const released = yield* Deferred.make<void>()
    return { released, answer: Effect.uninterruptible(Effect.zipRight(Deferred.await(released), answer)) }
  })

describe("Guard, with ports that do not answer", () => {
  for (const port of ["limiter", "store"] as const) {
    const never =
      port === "limiter"
        ? stack({ limiter: (limiter) => ({ ...limiter, reserve: () => Effect.never }) })
        : stack({ store: (store) => ({ ...store, reserve: () => Effect.never }) })

    it.effect(`a ${port} that never answers costs a call its deadline, and no more`, () =>
      Effect.gen(function* () {
        const call = yield* Effect.fork(Effect.either(run))
        yield* TestClock.adjust(2_999)
        assert.isNull(call.unsafePoll())
        yield* TestClock.adjust(1)
        const answer = yield* Fiber.join(call)
        assert.deepInclude(answer, { _tag: "Left" })
        assert.deepInclude(answer._tag === "Left" ? { ...answer.left } : {}, {
          _tag: "DeadlineExceeded",
          sent: false,
          limitMs: 3_000
        })
      }).pipe(Effect.provide(never))
    )

    it.effect(`a caller can leave while it waits for a ${port} that never answers`, () =>
      Effect.gen(function* () {
        const call = yield* Effect.fork(run)
        yield* TestClock.adjust(10)
        const exit = yield* Fiber.interrupt(call)
        assert.isTrue(Exit.isInterrupted(exit))
      }).pipe(Effect.provide(never))
    )

    it.effect(
      `what a ${port} grants too late is given back once, in whatever order the caller and the deadline end`,
      () =>
        Effect.gen(function* () {
          for (const how of ["deadline", "interruption"] as const) {
            const { answer, released } = yield* late(Effect.void)
            const given = yield* Ref.make(0)
            const count = Effect.zipLeft(Ref.update(given, (n) => n + 1))
            const parts =
              port === "limiter"
                ? stack({
                    limiter: (limiter) => ({
                      ...limiter,
                      reserve: (...args) => Effect.zipRight(answer, limiter.reserve(...args)),
                      refund: (admission) => count(limiter.refund(admission))
                    })
                  })
                : stack({
                    store: (store) => ({
                      ...store,
                      reserve: (...args) => Effect.zipRight(answer, store.reserve(...args)),
                      release: (id) => count(store.release(id))
                    })
                  })
            yield* Effect.gen(function* () {
              const call = yield* Effect.fork(Effect.exit(run))
              yield* TestClock.adjust(10)
              if (how === "deadline") yield* TestClock.adjust(3_000)
              else yield* Fiber.interrupt(call)
              assert.isTrue(Exit.isFailure(Exit.flatten(yield* Fiber.await(call))))
              assert.strictEqual(yield* Ref.get(given), 0)
              yield* Deferred.succeed(released, undefined)
              yield* TestClock.adjust(1)
              assert.strictEqual(yield* Ref.get(given), 1)
              assert.strictEqual(yield* tokens, 5)
              assert.deepStrictEqual(yield* usage, { reserved: 0, used: 0 })
            }).pipe(Effect.provide(parts))
          }
        })
    )
  }

  it.effect("a store that does not answer a settlement delays neither the result nor the caller", () =>
    Effect.gen(function* () {
      const call = yield* Effect.fork(run)
      yield* TestClock.adjust(2_000)
      assert.deepInclude(yield* Fiber.join(call), { value: "rows" })
      const refused = yield* Effect.fork(
        Effect.flatMap(Guard.Guard, (guard) => guard.run(operation, () => Effect.interrupt))
      )
      yield* TestClock.adjust(2_000)
      assert.isTrue(Exit.isFailure(yield* Fiber.await(refused)))
    }).pipe(
      Effect.provide(
        stack({
          store: (store) => ({ ...store, settle: () => Effect.never, release: () => Effect.never }),
          limiter: (limiter) => ({ ...limiter, refund: () => Effect.never })
        })
      )
    )
  )

  it.effect("a late settlement of a call happens once", () =>
    Effect.gen(function* () {
      const { answer, released } = yield* late(Effect.void)
      const settled = yield* Ref.make(0)
      yield* Effect.gen(function* () {
        const call = yield* Effect.fork(run)
        yield* TestClock.adjust(2_000)
        yield* Fiber.join(call)
        assert.strictEqual(yield* Ref.get(settled), 0)
        yield* Deferred.succeed(released, undefined)
        yield* TestClock.adjust(1)
        assert.strictEqual(yield* Ref.get(settled), 1)
        assert.deepStrictEqual(yield* usage, { reserved: 0, used: 1 })
      }).pipe(
        Effect.provide(
          stack({
            store: (store) => ({
              ...store,
              settle: (...args) =>
                answer.pipe(
                  Effect.zipRight(Ref.update(settled, (n) => n + 1)),
                  Effect.zipRight(store.settle(...args))
                )
            })
          })
        )
      )
    })
  )

  it.effect("a call can be cancelled behind a custom degradation that takes several steps", () =>
    Effect.gen(function* () {
      const guard = yield* Guard.Guard
      const call = yield* Effect.fork(guard.run(operation, () => Effect.never))
      yield* TestClock.adjust(10)
      yield* Fiber.interruptFork(call)
      yield* TestClock.adjust(1)
      assert.isNotNull(call.unsafePoll())
    }).pipe(
      Effect.provide(
        stack({
          degradation: Layer.effect(
            Degradation.Degradation,
            Effect.map(Effect.provide(Degradation.Degradation, Degradation.layerNoop), (own) => ({
              ...own,
              protect: (_: unknown, effect) => Effect.zipRight(Effect.yieldNow(), effect)
            }))
          )
        })
      )
    )
  )
})
