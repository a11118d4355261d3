import { assert, describe, it } from "@effect/vitest"
import { Effect, TestClock } from "effect"
import * as EventLoop from "../../src/platform/EventLoop.js"

const BLOCKED_MS = 500

/** Holds the event loop, as a long computation does. */
const block = Effect.sync(() => {
  const until = performance.now() + BLOCKED_MS
  while (performance.now() < until);
})

/** The next turn of the real event loop: the monitor's timer is due there. */
const nextTurn = Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 1)))

const isLate = Effect.map(
  Effect.flatten(EventLoop.delayIfAny),
  (delay) => delay !== undefined && delay.maxMs > BLOCKED_MS / 2
)

describe("EventLoop", () => {
  it.effect("knows for one to two minutes that the event loop was held", () =>
    Effect.gen(function* () {
      // The first turn of the monitor's timer measures nothing.
      yield* Effect.repeat(Effect.zipRight(block, nextTurn), { until: () => isLate })
      yield* TestClock.adjust("1 minute")
      assert.isTrue(yield* isLate)
      yield* TestClock.adjust("1 minute")
      assert.isFalse(yield* isLate)
    }).pipe(Effect.provide(EventLoop.layer))
  )

  it.effect("is not known where it is not measured", () =>
    Effect.map(Effect.flatten(EventLoop.delayIfAny), (delay) => assert.isUndefined(delay))
  )
})
