import { assert, describe, it } from "@effect/vitest"
import { Clock, Context, Effect, Exit, Fiber, Layer, Random, Scope, TestClock } from "effect"
import * as Bulkhead from "../../src/guard/Bulkhead.js"
import * as CircuitBreaker from "../../src/guard/CircuitBreaker.js"
import * as Degradation from "../../src/guard/Degradation.js"
import * as Guard from "../../src/guard/Guard.js"
import * as Quota from "../../src/quota/Quota.js"
import * as QuotaStore from "../../src/quota/QuotaStore.js"
import * as RateLimiter from "../../src/guard/RateLimiter.js"
import * as Retry from "../../src/guard/Retry.js"

const pool = { permits: 4, maxQueue: 4, maxQueuePerClient: 4 }
const limits = {
  requests_per_hour: 1_000,
  bytes_per_day: 1e9,
  scan_bytes_per_day: 1e9,
  statement_seconds_per_day: 1e6,
  credits_per_day: 1e6
}

/** How often each reservation was finished. */
const finished = new Map<string, number>()
const count = (id: string) => Effect.sync(() => void finished.set(id, (finished.get(id) ?? 0) + 1))
const counting = Layer.effect(
  QuotaStore.QuotaStore,
  Effect.map(QuotaStore.makeMemory(), (store) => ({
    ...store,
    settle: (...args: Parameters<typeof store.settle>) =>
      Effect.zipRight(count(args[0]), store.settle(...args)),
    release: (id: string) => Effect.zipRight(count(id), store.release(id))
  }))
)

/** Tries once more after a time-out: beside the first statement, if that is slow to end. */
const retriesTimeouts = Layer.map(Retry.layerNoop, (context) =>
  Context.add(context, Retry.Retry, {
    ...Context.get(context, Retry.Retry),
    run: (attempt, request) =>
      Effect.catchAll(attempt(1), (error) => {
        request.decide(error)
        return attempt(2)
      })
  })
)

const guards = (retry: Layer.Layer<Retry.Retry>) =>
  Layer.mergeAll(
    RateLimiter.layerNoop,
    Layer.provideMerge(Quota.layer({ tiers: { default: limits } }), counting),
    Bulkhead.layer({ requests: pool, statements: pool }),
    CircuitBreaker.layerNoop,
    Degradation.layerNoop,
    retry
  )
const stackWith = (retry: Layer.Layer<Retry.Retry>) =>
  Layer.provideMerge(
    Guard.layer({ maxWaitMs: 1000, tiers: { default: { maxTokenWaitMs: 0, batch: false } } }),
    guards(retry)
  )
const stack = stackWith(retriesTimeouts)

const used = Effect.flatMap(QuotaStore.QuotaStore, (store) =>
  Effect.map(store.usage("client:local"), (all) => ({
    of: (name: QuotaStore.QuotaName) => all.find(({ quota }) => quota === name)?.used ?? 0,
    reserved: all.reduce((sum, { reserved }) => sum + reserved, 0)
  }))
)

/** Runs statements for ever; a cancelled one goes on for `cancelMs`, and then reports its end. */
const slowWarehouse = (cancelMs: number) => {
  const ran = { ms: 0, statements: 0, under: 0 }
  const work = (attempt: Guard.Attempt) =>
    Effect.gen(function* () {
      yield* Effect.sleep(100)
      yield* attempt.markSent
      const began = yield* Clock.currentTimeMillis
      ran.statements += 1
      ran.under += 1
      yield* Effect.onExit(Effect.never, () =>
        Effect.gen(function* () {
          yield* Effect.sleep(cancelMs)
          yield* attempt.addScan(1_000)
          yield* attempt.addCredits(0.5)
          yield* attempt.addBytes(10)
          ran.ms += (yield* Clock.currentTimeMillis) - began
          ran.under -= 1
        })
      )
    })
  return { ran, work }
}

const operation: Guard.Operation = {
  tool: "execute_query",
  class: "query",
  deadlineMs: 6_000,
  timeoutMs: 2_000,
  estimatedBytes: 100,
  estimatedCredits: 4
}

describe("a call that is cancelled", () => {
  it.effect("is charged for its statements until they have ended, once, whenever it was cancelled", () =>
    Effect.gen(function* () {
      const guard = yield* Guard.Guard
      finished.clear()
      let statements = 0
      for (let round = 0; round < 40; round++) {
        const cancelMs = yield* Random.nextIntBetween(1, 3_000)
        const cancelAt = yield* Random.nextIntBetween(0, 4_500)
        const { ran, work } = slowWarehouse(cancelMs)
        const before = yield* used
        const call = yield* Effect.fork(guard.run(operation, work))
        yield* TestClock.adjust(cancelAt)
        yield* Fiber.interruptFork(call)
        yield* TestClock.adjust(10_000)
        const after = yield* used
        const what = `cancelled after ${cancelAt} ms, which took ${cancelMs} ms`
        const spent = (name: QuotaStore.QuotaName) => after.of(name) - before.of(name)
        assert.isNotNull(call.unsafePoll(), what)
        assert.strictEqual(ran.under, 0, what)
        assert.closeTo(spent("statement_seconds_per_day") * 1000, ran.ms, 0.01, what)
        assert.strictEqual(spent("bytes_per_day"), 10 * ran.statements, what)
        assert.strictEqual(spent("scan_bytes_per_day"), 1_000 * ran.statements, what)
        assert.strictEqual(spent("credits_per_day"), 0.5 * ran.statements, what)
        assert.strictEqual(spent("requests_per_hour"), ran.statements > 0 ? 1 : 0, what)
        assert.strictEqual(after.reserved, 0, what)
        statements += ran.statements
      }
      assert.isAbove(statements, 40)
      assert.strictEqual(finished.size, 40)
      assert.deepStrictEqual([...new Set(finished.values())], [1])
    }).pipe(Effect.provide(stack), Effect.withRandom(Random.make("cancelled")))
  )

  for (const [what, gateMs] of [
    ["", 0],
    [", also when the gate had to be waited for", 50]
  ] as const)
    it.effect(`ends its statement wherever it is cancelled${what}`, () =>
      Effect.gen(function* () {
        const guard = yield* Guard.Guard
        for (const cancelAt of [0, 20, 49, 50, 100, 149, 150, 151, 1_000, 2_100]) {
          const { ran, work } = slowWarehouse(10)
          const gate = Effect.as(gateMs === 0 ? Effect.void : Effect.sleep(gateMs), work)
          const call = yield* Effect.fork(guard.run(operation, gate))
          yield* TestClock.adjust(cancelAt)
          yield* Fiber.interruptFork(call)
          yield* TestClock.adjust(10)
          assert.isNotNull(call.unsafePoll(), `cancelled after ${cancelAt} ms`)
          assert.strictEqual(ran.under, 0, `cancelled after ${cancelAt} ms`)
          assert.strictEqual(ran.statements, cancelAt >= gateMs + 100 ? 1 : 0)
          assert.strictEqual((yield* used).reserved, 0)
        }
      }).pipe(Effect.provide(stackWith(Layer.orDie(Retry.layer()))))
    )

  it.effect("is answered at once, and charged when its statement has ended", () =>
    Effect.gen(function* () {
      const guard = yield* Guard.Guard
      const { work } = slowWarehouse(1_500)
      const call = yield* Effect.fork(guard.run(operation, work))
      yield* TestClock.adjust(1_000)
      yield* Fiber.interruptFork(call)
      yield* TestClock.adjust(1_000)
      const under = yield* used
      assert.strictEqual(under.of("statement_seconds_per_day"), 0)
      assert.isAbove(under.reserved, 0)
      yield* TestClock.adjust(1_500)
      const after = yield* used
      assert.strictEqual(after.of("statement_seconds_per_day"), 0.9 + 1.5)
      assert.strictEqual(after.reserved, 0)
    }).pipe(Effect.provide(stack))
  )

  it.effect("has two seconds to cancel its statement when the server ends, and is charged once", () =>
    Effect.gen(function* () {
      for (const [cancelMs, seconds] of [
        [1_500, 1 + 1.5],
        [5_000, 0]
      ] as const) {
        const scope = yield* Scope.make()
        const context = yield* Layer.buildWithScope(stack, scope)
        finished.clear()
        yield* Effect.gen(function* () {
          const guard = yield* Guard.Guard
          const { work } = slowWarehouse(cancelMs)
          yield* Effect.fork(guard.run(operation, work))
          yield* TestClock.adjust(1_100)
          const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
          yield* TestClock.adjust(1_999)
          assert.strictEqual(closing.unsafePoll() !== null, cancelMs < 2_000)
          yield* TestClock.adjust(1)
          assert.isNotNull(closing.unsafePoll())
          // What is not settled by then is held until it expires, and charged at its estimate.
          assert.strictEqual((yield* used).of("statement_seconds_per_day"), seconds)
          assert.lengthOf([...finished.values()], cancelMs < 2_000 ? 1 : 0)
        }).pipe(Effect.provide(context))
      }
    })
  )
})
