import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, TestClock } from "effect"
import { stopWithin } from "../../src/internal/stopWithin.js"

describe("a limit for stopping", () => {
  it.effect("changes nothing of work that ends by itself", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* stopWithin(1_000)(Effect.succeed(7)), 7)
      assert.deepStrictEqual(yield* Effect.exit(stopWithin(1_000)(Effect.fail("no"))), Exit.fail("no"))
    })
  )

  it.effect("waits for finalizers that end in time", () =>
    Effect.gen(function* () {
      const closed = yield* Deferred.make<void>()
      const close = Effect.zipRight(Effect.sleep(900), Deferred.succeed(closed, undefined))
      const fiber = yield* Effect.fork(stopWithin(1_000)(Effect.ensuring(Effect.never, close)))
      yield* TestClock.adjust(10)
      const stopping = yield* Effect.fork(Fiber.interrupt(fiber))
      yield* TestClock.adjust(899)
      assert.isNull(stopping.unsafePoll())
      yield* TestClock.adjust(1)
      assert.isTrue(Exit.isInterrupted(yield* Fiber.join(stopping)))
      assert.isTrue(yield* Deferred.isDone(closed))
    })
  )

  it.effect("does not wait for one that never ends", () =>
    Effect.gen(function* () {
      const fiber = yield* Effect.fork(stopWithin(1_000)(Effect.ensuring(Effect.never, Effect.never)))
      yield* TestClock.adjust(10)
      const stopping = yield* Effect.fork(Fiber.interrupt(fiber))
      yield* TestClock.adjust(999)
      assert.isNull(stopping.unsafePoll())
      yield* TestClock.adjust(1)
      assert.isTrue(Exit.isInterrupted(yield* Fiber.join(stopping)))
    })
  )
})
