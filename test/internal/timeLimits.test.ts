import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Ref, TestClock } from "effect"
import * as TimeLimits from "../../src/internal/timeLimits.js"

describe("TimeLimits", () => {
  it.scoped("an effect that never waits ends without a timer", () =>
    Effect.gen(function* () {
      const limits = yield* TimeLimits.make
      assert.strictEqual(
        yield* limits.within(
          1000,
          () => Effect.succeed(42),
          () => "late"
        ),
        42
      )
      assert.strictEqual(yield* limits.size, 0)
    })
  )

  it.scoped("a failure and a defect pass through", () =>
    Effect.gen(function* () {
      const limits = yield* TimeLimits.make
      assert.strictEqual(
        yield* limits
          .within(
            1000,
            () => Effect.fail("own"),
            () => "late"
          )
          .pipe(Effect.flip),
        "own"
      )
      const exit = yield* limits
        .within(
          1000,
          () => Effect.yieldNow().pipe(Effect.zipRight(Effect.die("bug"))),
          () => "late"
        )
        .pipe(Effect.exit)
      assert.deepStrictEqual(exit, Exit.die("bug"))
    })
  )

  it.scoped("fails at the limit, not a millisecond before, and interrupts the effect", () =>
    Effect.gen(function* () {
      const limits = yield* TimeLimits.make
      const interrupted = yield* Ref.make(false)
      const fiber = yield* Effect.fork(
        limits.within(
          1000,
          () => Effect.never.pipe(Effect.onInterrupt(() => Ref.set(interrupted, true))),
          () => "late"
        )
      )
      yield* TestClock.adjust(999)
      assert.isNull(fiber.unsafePoll())
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(yield* Fiber.await(fiber), Exit.fail("late"))
      assert.isTrue(yield* Ref.get(interrupted))
      assert.strictEqual(yield* limits.size, 0)
    })
  )

  it.scoped("answers at the limit although the effect takes long to wind down", () =>
    Effect.gen(function* () {
      const limits = yield* TimeLimits.make
      const wound = yield* Deferred.make<void>()
      const down = yield* Ref.make(false)
      const fiber = yield* Effect.fork(
        limits.within(
          10,
          () =>
            Effect.never.pipe(
              Effect.onInterrupt(() => Effect.zipRight(Deferred.await(wound), Ref.set(down, true)))
            ),
          () => "late"
        )
      )
      yield* TestClock.adjust(10)
      assert.deepStrictEqual(yield* Fiber.await(fiber), Exit.fail("late"))
      assert.isFalse(yield* Ref.get(down))
      yield* Deferred.succeed(wound, undefined)
      yield* TestClock.adjust(0)
      assert.isTrue(yield* Ref.get(down))
    })
  )

  it.scoped("a nearer limit that comes later is met in time", () =>
    Effect.gen(function* () {
      const limits = yield* TimeLimits.make
      const late = yield* Effect.fork(
        limits.within(
          5000,
          () => Effect.never,
          () => "5 s"
        )
      )
      const soon = yield* Effect.fork(
        limits.within(
          100,
          () => Effect.never,
          () => "0.1 s"
        )
      )
      yield* TestClock.adjust(100)
      assert.deepStrictEqual(yield* Fiber.await(soon), Exit.fail("0.1 s"))
      assert.isNull(late.unsafePoll())
      yield* TestClock.adjust(4900)
      assert.deepStrictEqual(yield* Fiber.await(late), Exit.fail("5 s"))
    })
  )

  it.scoped("the effect can tighten its limit, and only that", () =>
    Effect.gen(function* () {
      const limits = yield* TimeLimits.make
      const fiber = yield* Effect.fork(
        limits.within(
          1000,
          (limit) =>
            Effect.sleep(500).pipe(
              Effect.zipRight(Effect.sync(() => limit.tighten(2000))),
              Effect.zipRight(Effect.sync(() => limit.tighten(100))),
              Effect.zipRight(Effect.never)
            ),
          (limit) => (limit.tightened ? "attempt" : "call")
        )
      )
      yield* TestClock.adjust(599)
      assert.isNull(fiber.unsafePoll())
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(yield* Fiber.await(fiber), Exit.fail("attempt"))
    })
  )

  it.scoped("interrupting the caller interrupts the effect", () =>
    Effect.gen(function* () {
      const limits = yield* TimeLimits.make
      const started = yield* Deferred.make<void>()
      const interrupted = yield* Deferred.make<void>()
      const fiber = yield* Effect.fork(
        limits.within(
          1000,
          () =>
            Deferred.succeed(started, undefined).pipe(
              Effect.zipRight(Effect.never),
              Effect.onInterrupt(() => Deferred.succeed(interrupted, undefined))
            ),
          () => "late"
        )
      )
      yield* Deferred.await(started)
      yield* Fiber.interrupt(fiber)
      yield* Deferred.await(interrupted)
      assert.strictEqual(yield* limits.size, 0)
    })
  )

  it.scoped("no interruption at any yield point leaves the effect running or a limit watched", () =>
    Effect.gen(function* () {
      const limits = yield* TimeLimits.make
      const running = yield* Ref.make(0)
      const work = Effect.acquireUseRelease(
        Ref.update(running, (n) => n + 1),
        () => Effect.zipRight(Effect.yieldNow(), Effect.never),
        () => Ref.update(running, (n) => n - 1)
      )
      for (let budget = 14; budget <= 60; budget++) {
        for (let turn = 0; turn <= 8; turn++) {
          const fiber = yield* limits
            .within(
              1000,
              () => work,
              () => "late"
            )
            .pipe(Effect.withMaxOpsBeforeYield(budget), Effect.fork)
          for (let i = 0; i < turn; i++) yield* Effect.yieldNow()
          yield* Fiber.interrupt(fiber)
        }
      }
      for (let i = 0; i < 10; i++) yield* Effect.yieldNow()
      assert.strictEqual(yield* Ref.get(running), 0)
      assert.strictEqual(yield* limits.size, 0)
    })
  )
})
