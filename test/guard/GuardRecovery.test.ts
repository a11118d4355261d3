import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Layer, Ref, TestClock } from "effect"
import * as Audit from "../../src/observe/Audit.js"
import * as Bulkhead from "../../src/guard/Bulkhead.js"
import * as CallPolicy from "../../src/tools/CallPolicy.js"
import * as CircuitBreaker from "../../src/guard/CircuitBreaker.js"
import * as Cursors from "../../src/tools/Cursors.js"
import * as Degradation from "../../src/guard/Degradation.js"
import * as Guard from "../../src/guard/Guard.js"
import * as LoopGuard from "../../src/guard/LoopGuard.js"
import * as Quota from "../../src/quota/Quota.js"
import * as QuotaStore from "../../src/quota/QuotaStore.js"
import * as RateLimiter from "../../src/guard/RateLimiter.js"
import * as ResultCache from "../../src/tools/ResultCache.js"
import * as Retry from "../../src/guard/Retry.js"
import * as SearchIndex from "../../src/tools/SearchIndex.js"
import * as Toolbox from "../../src/tools/Toolbox.js"
import type { Reason } from "../../src/warehouse/Warehouse.js"
import { Warehouse, WarehouseError } from "../../src/warehouse/Warehouse.js"
import { readOnly } from "../utils/fakeGuards.js"
import * as FakeWarehouse from "../utils/fakeWarehouse.js"
import { shortOrLong } from "../utils/long.js"

const pool = { permits: 4, maxQueue: 4, maxQueuePerClient: 4 }

const health = Layer.merge(
  Bulkhead.layer({ requests: pool, statements: pool }),
  CircuitBreaker.layer({
    consecutiveFailures: 3,
    openTimes: CircuitBreaker.openTimes({ firstMs: 30_000, factor: 2, capMs: 300_000 })
  })
)

/** Every guard, as real as in the server. */
const guards = Layer.mergeAll(
  Layer.provideMerge(Degradation.layer(), health),
  RateLimiter.layer({
    global: { rate: 1000, burst: 1000 },
    classes: {},
    tiers: { default: { client: { rate: 1, burst: 5 } } }
  }),
  Quota.layer({ tiers: { default: { requests_per_hour: 100, queries_per_hour: 50 } } }).pipe(
    Layer.provide(QuotaStore.layerMemory)
  ),
  Retry.layer(),
  ResultCache.layer({ freshMs: 0 })
)

const stack = Layer.provideMerge(
  Guard.layer({ maxWaitMs: 1000, tiers: { default: { maxTokenWaitMs: 2_000, batch: false } } }),
  guards
)

const operation: Guard.Operation = {
  tool: "list_tables",
  class: "metadata",
  deadlineMs: 30_000,
  timeoutMs: 10_000,
  estimatedBytes: 100
}

const failing = (reason: Reason, sent: "no" | "yes" | "unknown" = "unknown") =>
  Effect.fail(new WarehouseError({ reason, description: "no", sent }))

describe("Guard, with every layer", () => {
  it.effect("a short fault is retried under the same request id, and costs the caller one call", () =>
    Effect.gen(function* () {
      const guard = yield* Guard.Guard
      const ids = yield* Ref.make<ReadonlyArray<string>>([])
      const fiber = yield* Effect.fork(
        guard.run(operation, (attempt) =>
          attempt.markSent.pipe(
            Effect.zipRight(Ref.updateAndGet(ids, (all) => [...all, attempt.requestId])),
            Effect.flatMap((all) => (all.length < 3 ? failing("Unreachable") : Effect.succeed("rows")))
          )
        )
      )
      yield* TestClock.adjust("20 seconds")
      assert.strictEqual((yield* Fiber.join(fiber)).value, "rows")
      const seen = yield* Ref.get(ids)
      assert.strictEqual(seen.length, 3)
      assert.strictEqual(new Set(seen).size, 1)
      const quota = yield* Effect.flatMap(Quota.Quota, (_) => _.status("local", "default"))
      assert.deepInclude(
        quota.find(({ quota }) => quota === "requests_per_hour"),
        { used: 1 }
      )
    }).pipe(Effect.provide(stack))
  )

  it.effect(
    "attempts that were never sent according to the driver cost nothing, however many there were",
    () =>
      Effect.gen(function* () {
        const guard = yield* Guard.Guard
        const attempts = yield* Ref.make(0)
        const fiber = yield* Effect.fork(
          guard.run(operation, (attempt) =>
            attempt.markSent.pipe(
              Effect.zipRight(Ref.update(attempts, (n) => n + 1)),
              Effect.zipRight(failing("Unreachable", "no"))
            )
          )
        )
        yield* TestClock.adjust("20 seconds")
        assert.strictEqual((yield* Effect.flip(Fiber.join(fiber)))._tag, "WarehouseError")
        assert.isAbove(yield* Ref.get(attempts), 1)
        const used = (yield* Effect.flatMap(Quota.Quota, (_) => _.status("local", "default"))).map(
          ({ used }) => used
        )
        assert.deepStrictEqual(new Set(used), new Set([0]))
      }).pipe(Effect.provide(stack))
  )

  it.effect("no slot is held between attempts", () =>
    Effect.gen(function* () {
      const guard = yield* Guard.Guard
      const bulkhead = yield* Bulkhead.Bulkhead
      const fiber = yield* Effect.fork(
        guard.run(operation, (attempt) => Effect.zipRight(attempt.markSent, failing("Overloaded")))
      )
      yield* Effect.yieldNow()
      yield* TestClock.adjust(1)
      assert.isNull(fiber.unsafePoll())
      assert.deepStrictEqual(
        (yield* bulkhead.status).map(({ inUse }) => inUse),
        [0, 0]
      )
      yield* Fiber.interrupt(fiber)
    }).pipe(Effect.provide(stack))
  )

  it.effect(
    "a call without a token waits for it, reports the wait, and gives its place back when interrupted",
    () =>
      Effect.gen(function* () {
        const guard = yield* Guard.Guard
        const limiter = yield* RateLimiter.RateLimiter
        const reported = yield* Ref.make<ReadonlyArray<string>>([])
        const call = guard.run(
          { ...operation, waiting: (message) => Ref.update(reported, (all) => [...all, message]) },
          () => Effect.void
        )
        for (let i = 0; i < 5; i++) yield* call
        const first = yield* Effect.fork(call)
        yield* TestClock.adjust(999)
        assert.isNull(first.unsafePoll())
        assert.deepStrictEqual(yield* Ref.get(reported), ["waiting 1000 ms for the rate limit"])
        const second = yield* Effect.fork(call)
        yield* Effect.yieldNow()
        yield* Fiber.interrupt(second)
        yield* TestClock.adjust(1)
        yield* Fiber.join(first)
        const client = (yield* limiter.status("local", "default")).find(({ scope }) => scope === "client")
        assert.strictEqual(client?.remaining, 0)
        yield* TestClock.adjust("1 second")
        yield* call
      }).pipe(Effect.provide(stack))
  )

  it.effect("a look-up without an answer is tried once more; a query is not", () =>
    Effect.gen(function* () {
      const guard = yield* Guard.Guard
      const asked = yield* Ref.make({ metadata: 0, query: 0 })
      const hang = (kind: "metadata" | "query") =>
        guard.run({ ...operation, class: kind }, (attempt) =>
          attempt.markSent.pipe(
            Effect.zipRight(Ref.update(asked, (count) => ({ ...count, [kind]: count[kind] + 1 }))),
            Effect.zipRight(Effect.never)
          )
        )
      const lookUp = yield* Effect.fork(Effect.flip(hang("metadata")))
      const query = yield* Effect.fork(Effect.flip(hang("query")))
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual((yield* Fiber.join(lookUp))._tag, "DeadlineExceeded")
      assert.strictEqual((yield* Fiber.join(query))._tag, "DeadlineExceeded")
      assert.deepStrictEqual(yield* Ref.get(asked), { metadata: 2, query: 1 })
    }).pipe(Effect.provide(stack))
  )

  it.effect("no interruption at any yield point of retried, concurrent calls leaks anything", () =>
    Effect.gen(function* () {
      const guard = yield* Guard.Guard
      const bulkhead = yield* Bulkhead.Bulkhead
      const quota = yield* Quota.Quota
      const limiter = yield* RateLimiter.RateLimiter
      let sent = 0
      const call = (n: number) => {
        let left = false
        const send = Effect.sync(() => {
          if (!left) sent += 1
          left = true
        })
        return guard
          .run({ ...operation, class: n % 2 === 0 ? "query" : "metadata" }, (attempt) =>
            Effect.yieldNow().pipe(
              Effect.zipRight(Effect.uninterruptible(Effect.zipRight(send, attempt.markSent))),
              Effect.zipRight(Effect.yieldNow()),
              Effect.zipRight(n % 3 === 0 ? failing("Overloaded") : Effect.void)
            )
          )
          .pipe(Effect.exit)
      }
      for (let budget = 14; budget <= 64; budget += shortOrLong(10, 2)) {
        for (let turn = 0; turn <= 12; turn++) {
          // More calls than slots: some are interrupted while they run, wait for a slot, or pause.
          const fibers = yield* Effect.forEach([0, 1, 2, 3, 4, 5], (n) =>
            Effect.fork(Effect.withMaxOpsBeforeYield(call(n), budget))
          )
          for (let i = 0; i < turn; i++) yield* Effect.yieldNow()
          yield* Fiber.interruptAll(fibers)
        }
      }
      for (let i = 0; i < 50; i++) yield* Effect.yieldNow()
      for (const { inUse, queued } of yield* bulkhead.status) assert.deepStrictEqual([inUse, queued], [0, 0])
      assert.isAbove(sent, shortOrLong(20, 100))
      const used = yield* quota.status("local", "default")
      assert.deepStrictEqual(
        used.map(({ used }) => used),
        [sent]
      )
      const scopes = yield* limiter.status("local", "default")
      assert.strictEqual(scopes.find(({ scope }) => scope === "client")?.remaining, 100_000 - sent)
    }).pipe(
      Effect.provide(
        Layer.provideMerge(
          Guard.layer({ maxWaitMs: 1000, tiers: { default: { maxTokenWaitMs: 0, batch: false } } }),
          Layer.mergeAll(
            Layer.provideMerge(
              Degradation.layer({ refusalRatio: { constrained: 2, cacheOnly: 2, emergency: 2 } }),
              Layer.merge(
                Bulkhead.layer({ requests: pool, statements: { ...pool, permits: 2 } }),
                CircuitBreaker.layer()
              )
            ),
            RateLimiter.layer({
              global: { rate: 1e5, burst: 1e6 },
              classes: {},
              tiers: { default: { client: { rate: 10, burst: 100_000 } } }
            }),
            Quota.layer({ tiers: { default: { requests_per_hour: 1e6 } } }).pipe(
              Layer.provide(QuotaStore.layerMemory)
            ),
            Retry.layer()
          )
        )
      )
    )
  )

  it.effect(
    "a look-up that the warehouse leaves without an answer is answered from the cache at its deadline",
    () =>
      Effect.gen(function* () {
        const hangs = yield* Ref.make(false)
        const show = yield* FakeWarehouse.make([
          { when: /^SHOW DATABASES/, then: FakeWarehouse.records([{ name: "SHOP", created_on: "2026" }]) }
        ])
        const warehouse = Layer.effect(
          Warehouse,
          Effect.map(Effect.provide(Warehouse, show.layer), (real) => ({
            dialect: real.dialect,
            execute: (statement) =>
              Effect.flatMap(Ref.get(hangs), (silent) => (silent ? Effect.never : real.execute(statement)))
          }))
        )
        yield* Effect.gen(function* () {
          const tool = (yield* Toolbox.Toolbox).get("list_databases")
          const call =
            tool === undefined
              ? Effect.dieMessage("no tool")
              : tool.handler({}, { progress: () => Effect.void })
          const fresh = yield* call
          assert.notProperty(fresh, "stale")
          yield* Ref.set(hangs, true)
          yield* TestClock.adjust("10 minutes")
          const fiber = yield* Effect.fork(call)
          yield* TestClock.adjust("1 minute")
          assert.deepInclude(yield* Fiber.join(fiber), {
            databases: [{ name: "SHOP", created_on: "2026" }],
            stale: true,
            stale_reason: "the warehouse did not answer in time"
          })
          assert.strictEqual(
            (yield* Effect.flatMap(CircuitBreaker.CircuitBreaker, (_) => _.status)).phase,
            "closed"
          )
        }).pipe(
          Effect.provide(
            Toolbox.layerDefault.pipe(
              Layer.provide(LoopGuard.layer()),
              Layer.provideMerge(stack),
              Layer.provide([CallPolicy.layer(), Cursors.layer(), readOnly(), warehouse]),
              Layer.provide([Audit.layerNoop, SearchIndex.layerNoop])
            )
          )
        )
      })
  )

  it.effect(
    "while the warehouse is out of reach, look-ups are answered from the cache with their age and the reason",
    () =>
      Effect.gen(function* () {
        const healthy = yield* Ref.make(true)
        const fake = yield* FakeWarehouse.make([
          {
            when: /^SHOW DATABASES/,
            then: FakeWarehouse.records([{ name: "SHOP", comment: "a shop", created_on: "2026" }])
          }
        ])
        const warehouse = Layer.map(fake.layer, (context) => context).pipe(
          Layer.flatMap((context) =>
            Layer.effect(
              Warehouse,
              Effect.map(Effect.provide(Warehouse, context), (real) => ({
                dialect: real.dialect,
                execute: (statement) =>
                  Effect.flatMap(Ref.get(healthy), (up) =>
                    up ? real.execute(statement) : failing("Unreachable")
                  )
              }))
            )
          )
        )
        yield* Effect.gen(function* () {
          const toolbox = yield* Toolbox.Toolbox
          const call = (name: string, input: unknown) => {
            const tool = toolbox.get(name)
            return tool === undefined
              ? Effect.die(name)
              : tool.handler(input, { progress: () => Effect.void })
          }
          const fresh = yield* call("list_databases", {})
          assert.notProperty(fresh, "stale")

          yield* Ref.set(healthy, false)
          yield* TestClock.adjust("10 minutes")
          const fiber = yield* Effect.fork(call("list_databases", {}))
          yield* TestClock.adjust("10 seconds")
          const stale = yield* Fiber.join(fiber)
          assert.deepInclude(stale, {
            databases: [{ name: "SHOP", comment: "a shop", created_on: "2026" }],
            stale: true
          })
          // The look-up was tried again before, and the pause between has a chance in it.
          assert.include(
            [600, 601, 602, 603, 604, 605],
            (stale as { readonly age_seconds: number }).age_seconds
          )
          assert.property(stale, "stale_reason")

          // The tries of one call are one failure: two calls more, and the breaker has opened.
          for (let n = 0; n < 2; n++) {
            const again = yield* Effect.fork(call("list_databases", {}))
            yield* TestClock.adjust("10 seconds")
            assert.deepInclude(yield* Fiber.join(again), { stale: true })
          }
          // No call is sent now, and the answer says why and until when.
          const degraded = yield* call("list_databases", {})
          assert.deepInclude(degraded, { stale: true })
          assert.deepInclude((degraded as { degraded: object }).degraded, { mode: "cache-only" })
          const refused = yield* Effect.flip(call("execute_query", { sql: "select 1" }))
          assert(refused._tag === "Degraded")
          assert.isTrue((refused.retryAfterMs ?? 0) > 0)
          const limits = yield* call("get_limits", {})
          assert.deepInclude((limits as { mode: object }).mode, { mode: "cache-only" })

          yield* Ref.set(healthy, true)
          yield* TestClock.adjust("2 minutes")
          assert.notProperty(yield* call("list_databases", {}), "stale")
        }).pipe(
          Effect.provide(
            Toolbox.layerDefault.pipe(
              Layer.provide(LoopGuard.layer()),
              Layer.provide(stack),
              Layer.provide([CallPolicy.layer(), Cursors.layer(), readOnly(), warehouse]),
              Layer.provide([Audit.layerNoop, SearchIndex.layerNoop])
            )
          )
        )
      })
  )

  it.effect("a caller whose statement cannot be read loses no slot and no permit", () =>
    Effect.gen(function* () {
      const { run } = yield* Guard.Guard
      const bulkhead = yield* Bulkhead.Bulkhead
      const unreadable = {
        ...operation,
        class: "query" as const,
        statement: () => {
          throw new Error("no text")
        }
      }
      for (let i = 0; i < 2 * pool.permits; i++) {
        const call = yield* Effect.fork(run(unreadable, () => failing("ServerFault", "yes")))
        yield* TestClock.adjust("1 minute")
        const exit = yield* Fiber.await(call)
        assert.isTrue(Exit.isFailure(exit) && !Cause.isDie(exit.cause), String(exit))
      }
      for (const { inUse, queued } of yield* bulkhead.status) assert.deepStrictEqual([inUse, queued], [0, 0])
    }).pipe(Effect.provide(stack))
  )

  it.effect("a statement that keeps failing the same way is not sent a fourth time, until it changes", () =>
    Effect.gen(function* () {
      const fake = yield* FakeWarehouse.make([
        { when: /nothing/i, then: FakeWarehouse.fails("NotFound") },
        { when: /.*/, then: FakeWarehouse.rows({ A: "NUMBER(38,0)" }, [[1]]) }
      ])
      yield* Effect.gen(function* () {
        const tool = (yield* Toolbox.Toolbox).get("execute_query")
        assert(tool !== undefined)
        const call = (sql: string) => tool.handler({ sql }, { progress: () => Effect.void })
        for (let i = 0; i < 3; i++) {
          yield* TestClock.adjust("2 seconds")
          assert.strictEqual((yield* Effect.flip(call("select * from nothing")))._tag, "WarehouseError")
        }
        const executed = (yield* fake.counts).executed
        const refused = yield* Effect.flip(call("SELECT  *  FROM nothing -- again"))
        assert(refused._tag === "RepeatedFailure")
        assert.deepInclude(refused, { attempts: 3, code: "WAREHOUSE_NOT_FOUND" })
        assert.strictEqual((yield* fake.counts).executed, executed)
        yield* call("select * from something")
        yield* TestClock.adjust(refused.retryAfterMs)
        assert.strictEqual((yield* Effect.flip(call("select * from nothing")))._tag, "WarehouseError")
      }).pipe(
        Effect.provide(
          Toolbox.layerDefault.pipe(
            Layer.provide(LoopGuard.layer()),
            Layer.provide(stack),
            Layer.provide([CallPolicy.layer(), Cursors.layer(), readOnly(), fake.layer]),
            Layer.provide([Audit.layerNoop, SearchIndex.layerNoop])
          )
        )
      )
    })
  )
})
