import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer, Ref, Scope, TestClock } from "effect"
import * as Bulkhead from "../../src/guard/Bulkhead.js"
import * as CircuitBreaker from "../../src/guard/CircuitBreaker.js"
import * as Degradation from "../../src/guard/Degradation.js"
import * as Guard from "../../src/guard/Guard.js"
import * as Quota from "../../src/quota/Quota.js"
import * as QuotaStore from "../../src/quota/QuotaStore.js"
import * as RateLimiter from "../../src/guard/RateLimiter.js"
import * as Retry from "../../src/guard/Retry.js"
import { StatementRejected } from "../../src/gate/ReadOnly.js"
import { WarehouseError } from "../../src/warehouse/Warehouse.js"

const pool = (permits: number) => ({ permits, maxQueue: 4, maxQueuePerClient: 4 })

const stack = (
  options: { readonly burst?: number; readonly statements?: number; readonly quota?: Quota.Limits } = {}
) => {
  const bucket = { rate: 10, burst: options.burst ?? 5 }
  const guards = Layer.mergeAll(
    RateLimiter.layer({
      global: { rate: 1000, burst: 1000 },
      classes: {},
      tiers: { default: { client: bucket } }
    }),
    Bulkhead.layer({ requests: pool(10), statements: pool(options.statements ?? 2) }),
    CircuitBreaker.layer({ consecutiveFailures: 3 }),
    Quota.layer({ tiers: { default: options.quota ?? { requests_per_hour: 10, bytes_per_day: 1000 } } }).pipe(
      Layer.provide(QuotaStore.layerMemory)
    )
  )
  const off = Layer.mergeAll(Degradation.layerNoop, Retry.layerNoop)
  return Layer.provideMerge(
    Guard.layer({ maxWaitMs: 1000, tiers: { default: { maxTokenWaitMs: 0, batch: false } } }),
    Layer.merge(guards, off)
  )
}

const operation: Guard.Operation = {
  tool: "execute_query",
  class: "query",
  deadlineMs: 10_000,
  timeoutMs: 5_000,
  estimatedBytes: 100
}

const sentThen =
  <A, E>(effect: Effect.Effect<A, E>) =>
  (attempt: Guard.Attempt) =>
    Effect.zipRight(attempt.markSent, effect)

const unreachable = new WarehouseError({ reason: "Unreachable", description: "reset", sent: "unknown" })

/** Everything that a finished call must have given back. */
const ledger = Effect.gen(function* () {
  const limiter = yield* RateLimiter.RateLimiter
  const bulkhead = yield* Bulkhead.Bulkhead
  const quota = yield* Quota.Quota
  const scopes = yield* limiter.status("local", "default")
  const pools = yield* bulkhead.status
  const quotas = yield* quota.status("local", "default")
  return {
    tokens: scopes.find(({ scope }) => scope === "client")?.remaining,
    global: scopes.find(({ scope }) => scope === "global")?.remaining,
    inUse: pools.map(({ inUse }) => inUse),
    queued: pools.map(({ queued }) => queued),
    used: Object.fromEntries(quotas.map(({ quota, used }) => [quota, used]))
  }
})

const untouched = {
  tokens: 5,
  global: 1000,
  inUse: [0, 0],
  queued: [0, 0],
  used: { requests_per_hour: 0, bytes_per_day: 0 }
}

describe("Guard", () => {
  it.effect("a call that succeeds is charged one token, one request and the bytes it delivered", () =>
    Effect.gen(function* () {
      const guard = yield* Guard.Guard
      const { value, warnings } = yield* guard.run(operation, (attempt) =>
        attempt.markSent.pipe(
          Effect.zipRight(attempt.addBytes(30)),
          Effect.zipRight(attempt.addBytes(12)),
          Effect.as("rows")
        )
      )
      assert.strictEqual(value, "rows")
      assert.deepStrictEqual(warnings, [])
      assert.deepStrictEqual(yield* ledger, {
        ...untouched,
        tokens: 4,
        global: 999,
        used: { requests_per_hour: 1, bytes_per_day: 42 }
      })
    }).pipe(Effect.provide(stack()))
  )

  it.effect("the seconds that its statements ran in the warehouse are charged, over all attempts", () =>
    Effect.gen(function* () {
      const guard = yield* Guard.Guard
      const seconds = Effect.map(ledger, ({ used }) => used["statement_seconds_per_day"])
      const before = guard.run(operation, (attempt) =>
        Effect.zipRight(Effect.sleep(500), Effect.zipRight(attempt.markSent, Effect.sleep(1_500)))
      )
      const running = yield* Effect.fork(before)
      yield* TestClock.adjust(2_000)
      yield* Fiber.join(running)
      assert.strictEqual(yield* seconds, 1.5)
      const hanging = yield* Effect.fork(Effect.exit(guard.run(operation, sentThen(Effect.never))))
      yield* TestClock.adjust(10_000)
      yield* Fiber.join(hanging)
      assert.strictEqual(yield* seconds, 1.5 + 5)
    }).pipe(Effect.provide(stack({ quota: { statement_seconds_per_day: 100 } })))
  )

  it.effect("a call refused by the rate limit charges nothing, and its wait is exact", () =>
    Effect.gen(function* () {
      const guard = yield* Guard.Guard
      const call = guard.run(operation, sentThen(Effect.void))
      for (let i = 0; i < 5; i++) yield* call
      const before = yield* ledger
      const refused = yield* Effect.flip(call)
      assert(refused._tag === "RateLimited")
      assert.deepStrictEqual(yield* ledger, before)
      yield* TestClock.adjust(refused.retryAfterMs - 1)
      assert.strictEqual((yield* Effect.flip(call))._tag, "RateLimited")
      yield* TestClock.adjust(1)
      yield* call
    }).pipe(Effect.provide(stack()))
  )

  it.effect("a call refused by the quota gives its token back", () =>
    Effect.gen(function* () {
      const guard = yield* Guard.Guard
      const call = guard.run(operation, sentThen(Effect.void))
      for (let i = 0; i < 10; i++) yield* call
      const before = yield* ledger
      const refused = yield* Effect.flip(call)
      assert(refused._tag === "QuotaExceeded")
      assert.strictEqual(refused.used, 10)
      assert.strictEqual(refused.remaining, 0)
      assert.strictEqual(refused.retryAfterMs, 3_600_000)
      assert.deepStrictEqual(yield* ledger, before)
      yield* TestClock.adjust("1 hour")
      yield* call
    }).pipe(Effect.provide(stack({ burst: 100 })))
  )

  it.effect("a call refused by the bulkhead charges nothing", () =>
    Effect.gen(function* () {
      const guard = yield* Guard.Guard
      const release = yield* Deferred.make<void>()
      const holder = yield* Effect.fork(guard.run(operation, sentThen(Deferred.await(release))))
      yield* Effect.yieldNow()
      const waiting = yield* Effect.fork(guard.run(operation, sentThen(Effect.void)))
      yield* TestClock.adjust(1000)
      const refused = yield* Effect.flip(Fiber.join(waiting))
      assert(refused._tag === "Overloaded")
      assert.strictEqual(refused.waitedMs, 1000)
      yield* Deferred.succeed(release, undefined)
      yield* Fiber.join(holder)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* ledger, {
        ...untouched,
        used: { requests_per_hour: 1, bytes_per_day: 0 }
      })
    }).pipe(Effect.provide(stack({ statements: 1 })))
  )

  it.effect("an open breaker refuses a call at once, and nothing is charged", () =>
    Effect.gen(function* () {
      const guard = yield* Guard.Guard
      const failing = guard.run(operation, sentThen(Effect.fail(unreachable)))
      for (let i = 0; i < 3; i++) assert.strictEqual((yield* Effect.flip(failing))._tag, "WarehouseError")
      const before = yield* ledger
      let asked = false
      const refused = yield* Effect.flip(guard.run(operation, () => Effect.sync(() => void (asked = true))))
      assert(refused._tag === "CircuitOpen")
      assert.isTrue((refused.retryAfterMs ?? 0) > 0)
      assert.isFalse(asked)
      assert.deepStrictEqual(yield* ledger, before)
    }).pipe(Effect.provide(stack()))
  )

  it.effect("the caller's mistakes, cancellations and refusals of the guard never open the breaker", () =>
    Effect.gen(function* () {
      const guard = yield* Guard.Guard
      const breaker = yield* CircuitBreaker.CircuitBreaker
      const reasons = [
        "InvalidStatement",
        "NotFound",
        "Permission",
        "Authentication",
        "Overloaded",
        "Cancelled"
      ] as const
      for (let round = 0; round < 5; round++) {
        for (const reason of reasons) {
          yield* guard
            .run(operation, () => Effect.fail(new WarehouseError({ reason, description: "no", sent: "yes" })))
            .pipe(Effect.exit)
        }
        yield* guard
          .run(operation, () => Effect.fail(new StatementRejected({ code: "NOT_A_READ", reason: "DROP" })))
          .pipe(Effect.exit)
        const fiber = yield* Effect.fork(guard.run(operation, sentThen(Effect.never)))
        yield* Effect.yieldNow()
        yield* Fiber.interrupt(fiber)
      }
      assert.strictEqual((yield* breaker.status).phase, "closed")
      assert.strictEqual((yield* breaker.status).failures, 0)
    }).pipe(Effect.provide(stack({ burst: 1000, quota: {} })))
  )

  it.effect("a defect of this program never counts against the warehouse", () =>
    Effect.gen(function* () {
      const guard = yield* Guard.Guard
      const breaker = yield* CircuitBreaker.CircuitBreaker
      for (let i = 0; i < 20; i++) yield* Effect.exit(guard.run(operation, () => Effect.die("driver bug")))
      assert.deepInclude(yield* breaker.status, { phase: "closed", failures: 0 })
    }).pipe(Effect.provide(stack({ burst: 100, quota: {} })))
  )

  it.effect("an attempt that hangs ends at its time limit, counts against the warehouse and is charged", () =>
    Effect.gen(function* () {
      const guard = yield* Guard.Guard
      const breaker = yield* CircuitBreaker.CircuitBreaker
      const cancelled = yield* Ref.make(false)
      const fiber = yield* Effect.fork(
        guard.run(operation, sentThen(Effect.never.pipe(Effect.onInterrupt(() => Ref.set(cancelled, true)))))
      )
      yield* TestClock.adjust(4_999)
      assert.isNull(fiber.unsafePoll())
      yield* TestClock.adjust(1)
      const error = yield* Effect.flip(Fiber.join(fiber))
      assert(error._tag === "DeadlineExceeded")
      assert.deepInclude(error, { limitMs: 5_000, sent: true, of: "attempt" })
      assert.isTrue(yield* Ref.get(cancelled))
      assert.strictEqual((yield* breaker.status).consecutiveFailures, 1)
      assert.deepInclude(yield* ledger, { inUse: [0, 0], used: { requests_per_hour: 1, bytes_per_day: 0 } })
    }).pipe(Effect.provide(stack()))
  )

  it.effect("a caller with a short deadline is answered at it, and the warehouse is not blamed", () =>
    Effect.gen(function* () {
      const guard = yield* Guard.Guard
      const breaker = yield* CircuitBreaker.CircuitBreaker
      const fiber = yield* Effect.fork(guard.run({ ...operation, deadlineMs: 100 }, sentThen(Effect.never)))
      yield* TestClock.adjust(100)
      const error = yield* Effect.flip(Fiber.join(fiber))
      assert(error._tag === "DeadlineExceeded")
      assert.deepInclude(error, { limitMs: 100, sent: true, of: "call" })
      assert.strictEqual((yield* breaker.status).failures, 0)
    }).pipe(Effect.provide(stack()))
  )

  it.effect("a slot is freed when the attempt has ended, not when its time is up", () =>
    Effect.gen(function* () {
      const guard = yield* Guard.Guard
      const gone = yield* Deferred.make<void>()
      const fiber = yield* Effect.fork(
        guard.run(operation, sentThen(Effect.never.pipe(Effect.onInterrupt(() => Deferred.await(gone)))))
      )
      yield* TestClock.adjust(9_999)
      assert.isNull(fiber.unsafePoll())
      // The cancellation takes longer than the call may take: its caller is answered, and the slots stay taken.
      yield* TestClock.adjust(1)
      assert.strictEqual((yield* Effect.flip(Fiber.join(fiber)))._tag, "DeadlineExceeded")
      assert.deepStrictEqual((yield* ledger).inUse, [1, 1])
      yield* Deferred.succeed(gone, undefined)
      yield* TestClock.adjust(0)
      assert.deepStrictEqual((yield* ledger).inUse, [0, 0])
    }).pipe(Effect.provide(stack()))
  )

  it.effect("a rejected statement keeps its token and gives the quota back", () =>
    Effect.gen(function* () {
      const guard = yield* Guard.Guard
      yield* guard
        .run(operation, () => Effect.fail(new StatementRejected({ code: "NOT_A_READ", reason: "DROP" })))
        .pipe(Effect.flip)
      assert.deepStrictEqual(yield* ledger, { ...untouched, tokens: 4, global: 999 })
    }).pipe(Effect.provide(stack()))
  )

  it.effect("a statement that was never sent according to the driver is refunded in full", () =>
    Effect.gen(function* () {
      const guard = yield* Guard.Guard
      const refused = new WarehouseError({ reason: "Unreachable", description: "refused", sent: "no" })
      yield* Effect.flip(guard.run(operation, sentThen(Effect.fail(refused))))
      assert.deepStrictEqual(yield* ledger, untouched)
    }).pipe(Effect.provide(stack()))
  )

  it.effect("quotas of which less than a fifth is left come as warnings with the result", () =>
    Effect.gen(function* () {
      const guard = yield* Guard.Guard
      const results = []
      for (let i = 0; i < 10; i++) results.push(yield* guard.run(operation, sentThen(Effect.void)))
      assert.deepStrictEqual(
        results.map(({ warnings }) => warnings.map(({ quota, remaining }) => `${quota}:${remaining}`)),
        [...Array.from({ length: 8 }, () => []), ["requests_per_hour:1"], ["requests_per_hour:0"]]
      )
    }).pipe(Effect.provide(stack({ burst: 100, quota: { requests_per_hour: 10 } })))
  )

  it.effect("no interruption at any yield point leaks a token, a slot, a reservation or a permit", () =>
    Effect.gen(function* () {
      const guard = yield* Guard.Guard
      const breaker = yield* CircuitBreaker.CircuitBreaker
      const work = (attempt: Guard.Attempt) =>
        Effect.yieldNow().pipe(Effect.zipRight(attempt.markSent), Effect.zipRight(Effect.yieldNow()))
      const flags: Array<{ sent: boolean }> = []
      for (let budget = 14; budget <= 64; budget++) {
        for (let turn = 0; turn <= 10; turn++) {
          const flag = { sent: false }
          flags.push(flag)
          const fiber = yield* guard
            .run(operation, (attempt) =>
              work({
                ...attempt,
                markSent: Effect.zipRight(
                  Effect.sync(() => void (flag.sent = true)),
                  attempt.markSent
                )
              })
            )
            .pipe(Effect.withMaxOpsBeforeYield(budget), Effect.fork)
          for (let i = 0; i < turn; i++) yield* Effect.yieldNow()
          yield* Fiber.interrupt(fiber)
        }
      }
      for (let i = 0; i < 50; i++) yield* Effect.yieldNow()
      const sent = flags.filter((flag) => flag.sent).length
      const after = yield* ledger
      assert.deepStrictEqual(after.inUse, [0, 0])
      assert.deepStrictEqual(after.queued, [0, 0])
      assert.isTrue(sent > 0)
      assert.strictEqual(after.used["requests_per_hour"], sent)
      assert.strictEqual(after.tokens, 10_000 - sent)
      assert.strictEqual((yield* breaker.status).phase, "closed")
    }).pipe(Effect.provide(stack({ burst: 10_000, quota: { requests_per_hour: 100_000 } })))
  )

  it.effect("a call whose guard has closed, or whose caller left before it began, is not under way", () =>
    Effect.gen(function* () {
      const under = yield* Ref.make({ begun: 0, ended: 0 })
      const metered: Guard.Operation["metered"] = {
        begin: () => Ref.update(under, (all) => ({ ...all, begun: all.begun + 1 })),
        end: Ref.update(under, (all) => ({ ...all, ended: all.ended + 1 }))
      }
      const scope = yield* Scope.make()
      const services = yield* Layer.buildWithScope(stack(), scope)
      const run = Effect.provide(
        Effect.flatMap(Guard.Guard, (guard) => guard.run({ ...operation, metered }, () => Effect.void)),
        services
      )
      yield* run
      assert.deepStrictEqual(yield* Ref.get(under), { begun: 1, ended: 1 })
      // At whatever moment it is left.
      for (let turns = 0; turns < 12; turns++) {
        const fiber = yield* Effect.fork(run)
        for (let i = 0; i < turns; i++) yield* Effect.yieldNow()
        yield* Fiber.interrupt(fiber)
      }
      yield* Scope.close(scope, Exit.void)
      assert.isTrue(Exit.isFailure(yield* Effect.exit(run)))
      const { begun, ended } = yield* Ref.get(under)
      assert.strictEqual(ended, begun)
    })
  )

  it.effect("the work sees the services of its caller", () =>
    Effect.gen(function* () {
      const guard = yield* Guard.Guard
      const exit = yield* guard
        .run(operation, () => Effect.map(RateLimiter.RateLimiter, (_) => typeof _.acquire))
        .pipe(Effect.exit)
      assert.deepStrictEqual(exit, Exit.succeed({ value: "function", warnings: [] }))
    }).pipe(Effect.provide(stack()))
  )
})
