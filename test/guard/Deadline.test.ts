import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, FiberRef, Ref, TestClock } from "effect"
import * as Deadline from "../../src/guard/Deadline.js"

const late = Effect.fail("late" as const)

describe("the time limit of an attempt", () => {
  it.scoped("leaves an effect alone that ends in time, with its value or its failure", () =>
    Effect.gen(function* () {
      const { endBy } = yield* Deadline.make(0)
      const working = yield* Effect.fork(endBy(1_000, late, Effect.delay(Effect.succeed(1), 999)))
      const failing = yield* Effect.fork(endBy(1_000, late, Effect.delay(Effect.fail("broken"), 999)))
      yield* TestClock.adjust(999)
      assert.deepStrictEqual(yield* Fiber.await(working), Exit.succeed(1))
      assert.deepStrictEqual(yield* Fiber.await(failing), Exit.fail("broken"))
    })
  )

  it.scoped("interrupts the effect at its time, and fails when the effect has ended", () =>
    Effect.gen(function* () {
      const { endBy } = yield* Deadline.make(0)
      const cancelled = yield* Deferred.make<void>()
      const work = Effect.onInterrupt(Effect.never, () => Deferred.await(cancelled))
      const running = yield* Effect.fork(endBy(1_000, late, work))
      yield* TestClock.adjust(2_000)
      assert.isTrue((yield* Fiber.poll(running))._tag === "None")
      yield* Deferred.succeed(cancelled, undefined)
      assert.deepStrictEqual(yield* Fiber.await(running), Exit.fail("late" as const))
    })
  )

  it.scoped("ends one after the other, whichever was begun first", () =>
    Effect.gen(function* () {
      const { endBy } = yield* Deadline.make(0)
      const ended = yield* Ref.make<ReadonlyArray<number>>([])
      for (const at of [300, 100, 200, 100])
        yield* Effect.fork(
          Effect.ignore(
            endBy(
              at,
              Effect.zipRight(
                Ref.update(ended, (all) => [...all, at]),
                late
              ),
              Effect.never
            )
          )
        )
      yield* TestClock.adjust(99)
      assert.deepStrictEqual(yield* Ref.get(ended), [])
      yield* TestClock.adjust(150)
      assert.deepStrictEqual(yield* Ref.get(ended), [100, 100, 200])
      yield* TestClock.adjust(100)
      assert.deepStrictEqual(yield* Ref.get(ended), [100, 100, 200, 300])
    })
  )

  it.scoped("a caller that is interrupted waits for the end of the effect", () =>
    Effect.gen(function* () {
      const { endBy } = yield* Deadline.make(0)
      const ended = yield* Ref.make(false)
      const work = Effect.onInterrupt(Effect.never, () => Effect.delay(Ref.set(ended, true), 500))
      const running = yield* Effect.fork(endBy(1_000, late, work))
      yield* Effect.yieldNow()
      const interruption = yield* Effect.fork(Fiber.interrupt(running))
      yield* TestClock.adjust(499)
      assert.isTrue((yield* Fiber.poll(interruption))._tag === "None")
      yield* TestClock.adjust(1)
      assert.isTrue(Exit.isInterrupted(yield* Fiber.join(interruption)))
      assert.isTrue(yield* Ref.get(ended))
    })
  )

  it.scoped("an effect that interrupts itself is not late", () =>
    Effect.gen(function* () {
      const { endBy } = yield* Deadline.make(0)
      assert.isTrue(Exit.isInterrupted(yield* Effect.exit(endBy(1_000, late, Effect.interrupt))))
    })
  )

  it.scoped("changes of FiberRefs come back with a success", () =>
    Effect.gen(function* () {
      const { endBy } = yield* Deadline.make(0)
      const ref = yield* FiberRef.make("before")
      yield* endBy(1_000, late, FiberRef.set(ref, "after"))
      assert.strictEqual(yield* FiberRef.get(ref), "after")
    })
  )
})
