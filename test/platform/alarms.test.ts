import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger, LogLevel, Ref, TestClock } from "effect"
import * as Alarms from "../../src/platform/alarms.js"
import { monotonicMillis } from "../../src/platform/monotonic.js"

describe("alarms", () => {
  it.scoped("ring at their times, also after one that failed in an unexpected way", () =>
    Effect.gen(function* () {
      const set = yield* Alarms.make
      const rung = yield* Ref.make<ReadonlyArray<string>>([])
      const ring = (name: string) => Ref.update(rung, (all) => [...all, name])
      const now = yield* monotonicMillis
      yield* set(Alarms.at(now + 20, ring("second")))
      yield* set(Alarms.at(now + 10, Effect.die("broken")))
      yield* set(Alarms.at(now + 10, ring("first")))
      yield* TestClock.adjust(15)
      assert.deepStrictEqual(yield* Ref.get(rung), ["first"])
      yield* TestClock.adjust(10)
      assert.deepStrictEqual(yield* Ref.get(rung), ["first", "second"])
    }).pipe(Effect.provide(Logger.minimumLogLevel(LogLevel.None)))
  )
})
