import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Effect, Exit, Fiber, Layer, Option, Ref, TestClock } from "effect"
import { lazyService } from "../../src/platform/lazily.js"

class Engine extends Context.Tag("test/Engine")<Engine, { readonly id: number }>() {}

describe("a service that is built lazily", () => {
  it.effect("is built by the first caller, once, and released with the scope", () =>
    Effect.gen(function* () {
      const built = yield* Ref.make(0)
      const released = yield* Ref.make(0)
      const layer = Layer.scoped(
        Engine,
        Effect.acquireRelease(Ref.updateAndGet(built, (n) => n + 1).pipe(Effect.map((id) => ({ id }))), () =>
          Ref.update(released, (n) => n + 1)
        )
      )
      yield* Effect.scoped(
        Effect.gen(function* () {
          const engine = yield* lazyService(Engine, Effect.succeed(layer))
          assert.strictEqual(yield* Ref.get(built), 0)
          const all = yield* Effect.all([engine, engine, engine], { concurrency: "unbounded" })
          assert.deepStrictEqual(
            all.map(({ id }) => id),
            [1, 1, 1]
          )
          assert.strictEqual((yield* engine).id, 1)
          assert.strictEqual(yield* Ref.get(released), 0)
        })
      )
      assert.strictEqual(yield* Ref.get(released), 1)
    })
  )

  it.scoped("an interrupted first caller does not take the others' service away", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      const started = yield* Deferred.make<void>()
      const layer = Layer.effect(
        Engine,
        Deferred.succeed(started, undefined).pipe(Effect.zipRight(Deferred.await(gate)), Effect.as({ id: 7 }))
      )
      const engine = yield* lazyService(Engine, Effect.succeed(layer))
      const first = yield* Effect.fork(engine)
      yield* Deferred.await(started)
      const second = yield* Effect.fork(engine)
      yield* Fiber.interrupt(first)
      yield* Deferred.succeed(gate, undefined)
      assert.deepStrictEqual(yield* Fiber.await(second), Exit.succeed({ id: 7 }))
    })
  )

  it.effect("neither a build under way nor a fiber of the service holds up the end of the scope", () =>
    Effect.gen(function* () {
      const running = Layer.scoped(Engine, Effect.as(Effect.forkScoped(Effect.never), { id: 1 }))
      const building = Layer.effect(Engine, Effect.never)
      for (const layer of [running, building]) {
        const used = Effect.scoped(
          Effect.flatMap(lazyService(Engine, Effect.succeed(layer)), (engine) =>
            Effect.timeoutOption(engine, "1 second")
          )
        )
        const ended = yield* Effect.forkDaemon(used)
        yield* TestClock.adjust("1 second")
        assert.isTrue(Option.isSome(yield* Fiber.poll(ended)))
      }
    })
  )

  it.scoped("a failed build fails its callers and is tried again by the next", () =>
    Effect.gen(function* () {
      const tries = yield* Ref.make(0)
      const engine = yield* lazyService(
        Engine,
        Effect.map(
          Ref.updateAndGet(tries, (n) => n + 1),
          (n): Layer.Layer<Engine, string> =>
            n === 1 ? Layer.fail("no driver") : Layer.succeed(Engine, { id: n })
        )
      )
      assert.strictEqual(yield* Effect.flip(engine), "no driver")
      assert.deepStrictEqual(yield* engine, { id: 2 })
    })
  )
})
