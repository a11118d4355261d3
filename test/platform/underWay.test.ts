import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Scope } from "effect"
import * as UnderWay from "../../src/platform/underWay.js"

const world = Effect.gen(function* () {
  const scope = yield* Scope.make()
  const at: UnderWay.UnderWay<string, string> = { underWay: undefined }
  const settled: Array<Exit.Exit<string, string>> = []
  const asked = (work: Effect.Effect<string, string>) =>
    Effect.flatMap(
      UnderWay.join(at, () => work, {
        scope,
        settled: (exit) => Effect.sync(() => void settled.push(exit)),
        stopped: "stopped"
      }),
      Deferred.await
    )
  return { asked, at, scope, settled }
})

describe("work that is under way", () => {
  it.effect(
    "is begun once for all that wait, goes on when the first has left, and is begun anew after it",
    () =>
      Effect.gen(function* () {
        const { asked, scope, settled } = yield* world
        const gate = yield* Deferred.make<string>()
        const first = yield* Effect.fork(asked(Deferred.await(gate)))
        yield* Effect.yieldNow()
        const second = yield* Effect.fork(asked(Effect.die("begun twice")))
        yield* Effect.yieldNow()
        yield* Fiber.interrupt(first)
        yield* Deferred.succeed(gate, "one")
        expect(yield* Fiber.join(second)).toBe("one")
        expect(yield* Effect.flip(asked(Effect.fail("two")))).toBe("two")
        expect(settled).toEqual([Exit.succeed("one"), Exit.fail("two")])
        yield* Scope.close(scope, Exit.void)
      })
  )

  it.effect("leaves nothing to wait for when it cannot be begun, or its end cannot be told", () =>
    Effect.gen(function* () {
      const { asked, at, scope } = yield* world
      const waits = (begin: () => Effect.Effect<string, string>, settled: Effect.Effect<void>) =>
        Effect.flatMap(
          UnderWay.join(at, begin, { scope, settled: () => settled, stopped: "stopped" }),
          Deferred.await
        )
      const thrown = yield* Effect.exit(
        waits(() => {
          throw new Error("not begun")
        }, Effect.void)
      )
      expect(Exit.isFailure(thrown)).toBe(true)
      expect(yield* waits(() => Effect.succeed("one"), Effect.die("not told"))).toBe("one")
      expect(yield* asked(Effect.succeed("two"))).toBe("two")
    })
  )

  it.effect("ends with the scope, and those that wait are told, also where nothing can be interrupted", () =>
    Effect.gen(function* () {
      const { asked, scope } = yield* world
      const waiting = yield* Effect.fork(Effect.uninterruptible(asked(Effect.never)))
      yield* Effect.yieldNow()
      yield* Scope.close(scope, Exit.void)
      expect(yield* Fiber.await(waiting)).toEqual(Exit.fail("stopped"))
    })
  )
})
