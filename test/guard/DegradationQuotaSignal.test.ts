import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger, LogLevel, Ref, TestClock } from "effect"
import * as Degradation from "../../src/guard/Degradation.js"
import type { QuotaStatus } from "../../src/quota/Quota.js"
import { Quota } from "../../src/quota/Quota.js"
import { QuotaStoreError } from "../../src/quota/QuotaStore.js"

const status = (scope: QuotaStatus["scope"], used: number): QuotaStatus => ({
  scope,
  quota: "requests_per_hour",
  limit: 100,
  used,
  remaining: 100 - used,
  resetAt: 0
})

const ladder = (all: Ref.Ref<ReadonlyArray<QuotaStatus> | "gone">, asked: Ref.Ref<number>) =>
  Layer.provideMerge(
    Degradation.layerQuotaSignal,
    Layer.merge(
      Layer.scoped(Degradation.Degradation, Degradation.make()),
      Layer.mock(Quota, {
        status: () =>
          Effect.zipRight(
            Ref.update(asked, (n) => n + 1),
            Effect.flatMap(Ref.get(all), (now) =>
              now === "gone"
                ? new QuotaStoreError({ operation: "usage", description: "gone" })
                : Effect.succeed(now)
            )
          )
      })
    )
  )

const mode = Effect.flatMap(Degradation.Degradation, (_) => Effect.map(_.status, (now) => now.mode))
const quiet = Effect.provide(Logger.minimumLogLevel(LogLevel.None))

describe("the quota as a signal", () => {
  it.effect("the end of the quota of all sheds batch work, and its renewal brings it back", () =>
    Effect.gen(function* () {
      const quotas = yield* Ref.make<ReadonlyArray<QuotaStatus> | "gone">([
        status("client", 100),
        status("global", 20)
      ])
      const asked = yield* Ref.make(0)
      yield* Effect.gen(function* () {
        yield* TestClock.adjust("5 seconds")
        // A client's own quota says nothing about the others.
        assert.strictEqual(yield* mode, "normal")
        yield* Ref.set(quotas, [status("global", 20), status("global", 96)])
        yield* TestClock.adjust("5 seconds")
        assert.strictEqual(yield* mode, "constrained")
        // Not known is not the same as none.
        yield* Ref.set(quotas, "gone")
        yield* TestClock.adjust("2 minutes")
        assert.strictEqual(yield* mode, "constrained")
        yield* Ref.set(quotas, [status("global", 0)])
        yield* TestClock.adjust("5 seconds")
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(yield* mode, "normal")
      }).pipe(Effect.provide(ladder(quotas, asked)))
    }).pipe(quiet)
  )

  it.effect("without such a quota the store is read once", () =>
    Effect.gen(function* () {
      const quotas = yield* Ref.make<ReadonlyArray<QuotaStatus> | "gone">([status("client", 99)])
      const asked = yield* Ref.make(0)
      yield* TestClock.adjust("1 hour").pipe(Effect.provide(ladder(quotas, asked)))
      assert.strictEqual(yield* Ref.get(asked), 1)
    }).pipe(quiet)
  )
})
