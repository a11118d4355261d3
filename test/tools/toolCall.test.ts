import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer, Option, TestClock } from "effect"
import * as ToolCall from "../../src/tools/toolCall.js"
import * as ResultCache from "../../src/tools/ResultCache.js"
import * as Fakes from "../utils/fakeGuards.js"

const low = {
  scope: "client",
  quota: "requests_per_hour",
  limit: 10,
  used: 9,
  remaining: 1,
  resetAt: 3_600_000
} as const

describe("a look-up in the catalog", () => {
  it.effect("shares its value with others and keeps to itself what it was told beside it", () =>
    Effect.gen(function* () {
      const cache = yield* ResultCache.make({ freshMs: 30_000 })
      const { layer } = yield* Fakes.services({ warnings: [low] })
      const calls = yield* Effect.provide(
        ToolCall.make,
        Layer.merge(layer, Layer.succeed(ResultCache.ResultCache, cache))
      )
      const ask = (client: string) =>
        calls.metadata("list_things", "all", () => Effect.succeed(["thing"])).pipe(Fakes.as(client))
      const first = yield* ask("ann")
      expect(first.meta.quota_warnings).toHaveLength(1)
      const kept = yield* cache.lookup(JSON.stringify(["default", "list_things", "all"]))
      expect(Option.getOrThrow(kept).value).toEqual(["thing"])
      yield* TestClock.adjust("2 seconds")
      expect(yield* ask("bob")).toEqual({ value: ["thing"], meta: { elapsed_ms: 0, age_seconds: 2 } })
    })
  )

  it.effect("waits no longer for another client's look-up than its own deadline", () =>
    Effect.gen(function* () {
      const cache = yield* ResultCache.make({ freshMs: 30_000 })
      const { layer } = yield* Fakes.services({ policy: { metadataTimeoutMs: 1_000 } })
      const calls = yield* Effect.provide(
        ToolCall.make,
        Layer.merge(layer, Layer.succeed(ResultCache.ResultCache, cache))
      )
      const ask = (client: string) =>
        calls.metadata("list_things", "all", () => Effect.never).pipe(Fakes.as(client))
      yield* Effect.fork(ask("ann"))
      yield* Effect.yieldNow()
      const follower = yield* Effect.fork(Effect.flip(ask("bob")))
      yield* Effect.yieldNow()
      yield* TestClock.adjust(2_000)
      expect(yield* follower).toMatchObject({
        _tag: "DeadlineExceeded",
        limitMs: 2_000,
        sent: false,
        of: "call"
      })
    })
  )
})
