import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Ref, Stream, TestClock } from "effect"
import { readdirSync, readFileSync } from "node:fs"
import * as AdaptiveRate from "../../src/AdaptiveRate.js"
import * as Bulkhead from "../../src/Bulkhead.js"
import * as CallPolicy from "../../src/CallPolicy.js"
import * as CircuitBreaker from "../../src/CircuitBreaker.js"
import * as Cursors from "../../src/Cursors.js"
import * as Degradation from "../../src/Degradation.js"
import * as Guard from "../../src/Guard.js"
import * as LoopGuard from "../../src/LoopGuard.js"
import * as Quota from "../../src/Quota.js"
import * as RateLimiter from "../../src/RateLimiter.js"
import * as ResultCache from "../../src/ResultCache.js"
import * as Retry from "../../src/Retry.js"
import { ReadOnly } from "../../src/ReadOnly.js"
import * as Toolbox from "../../src/Toolbox.js"
import { Warehouse } from "../../src/Warehouse.js"
import * as GuardAnything from "./guardAnything.js"
import * as OwnQuotaStore from "./ownQuotaStore.js"
import * as OwnTool from "./ownTool.js"

describe("the examples of the README", () => {
  it("each is under 50 lines", () => {
    for (const file of readdirSync(import.meta.dirname).filter((name) => !name.endsWith(".test.ts"))) {
      const lines = readFileSync(`${import.meta.dirname}/${file}`, "utf8")
        .trimEnd()
        .split("\n").length
      assert.isBelow(lines, 50, file)
    }
  })

  it.effect("a QuotaStore of your own is the one that quotas use", () =>
    Effect.gen(function* () {
      const trail = yield* Ref.make<ReadonlyArray<string>>([])
      const results = yield* Effect.gen(function* () {
        const quota = yield* Quota.Quota
        const request = {
          client: "ann",
          tier: "default",
          class: "metadata",
          estimatedBytes: 0,
          deadlineMs: 1
        } as const
        return yield* Effect.forEach(Array.from({ length: 11 }), () => Effect.exit(quota.reserve(request)))
      }).pipe(Effect.provide(OwnQuotaStore.quotas(trail)))
      assert.strictEqual(results.filter((exit) => exit._tag === "Success").length, 10)
      const lines = yield* Ref.get(trail)
      assert.strictEqual(lines.length, 11)
      assert.strictEqual(lines[0], "client:ann Granted")
      assert.strictEqual(lines[10], "client:ann Refused")
    })
  )

  it.effect("a tool of your own stands beside ours and goes through the same guard", () =>
    Effect.gen(function* () {
      const toolbox = yield* Toolbox.Toolbox
      assert.strictEqual(toolbox.tools.length, Toolbox.builtin.length + 1)
      const tool = toolbox.get("count_orders")
      assert.isDefined(tool)
      const result = yield* tool?.handler({}, { progress: () => Effect.void }) ?? Effect.die("no tool")
      assert.deepStrictEqual(result, { orders: 4200 })
    }).pipe(
      Effect.provide(
        OwnTool.layer.pipe(
          Layer.provideMerge(Guard.layer()),
          Layer.provide([
            RateLimiter.layerNoop,
            Bulkhead.layerNoop,
            CircuitBreaker.layerNoop,
            Quota.layerNoop,
            AdaptiveRate.layerNoop,
            Degradation.layerNoop,
            LoopGuard.layerNoop,
            ResultCache.layerNoop,
            Retry.layerNoop,
            CallPolicy.layer(),
            Cursors.layer(),
            Layer.mock(ReadOnly, { dialect: "duckdb" }),
            Layer.succeed(Warehouse, {
              dialect: "duckdb",
              execute: () => Effect.succeed({ queryId: "q", columns: [], rows: Stream.make([[4200]]) })
            })
          ])
        )
      )
    )
  )

  it.effect("our breaker and limiter stand in front of somebody else's effect; a refusal costs nothing", () =>
    Effect.gen(function* () {
      const ok = GuardAnything.protect("ann", Effect.succeed("body"))
      const missing = GuardAnything.protect("bob", Effect.fail(new GuardAnything.ApiError(404)))
      const broken = GuardAnything.protect("cem", Effect.fail(new GuardAnything.ApiError(503)))
      for (let i = 0; i < 3; i++) assert.strictEqual(yield* ok, "body")
      const refused = yield* Effect.flip(ok)
      assert(refused._tag === "RateLimited")
      yield* TestClock.adjust(refused.retryAfterMs)
      assert.strictEqual(yield* ok, "body")
      for (let i = 0; i < 3; i++) assert.strictEqual((yield* Effect.flip(missing))._tag, "ApiError")
      for (let i = 0; i < 3; i++) assert.strictEqual((yield* Effect.flip(broken))._tag, "ApiError")
      yield* TestClock.adjust("10 seconds")
      // More refusals than there are tokens: the open circuit charges none of them ...
      for (let i = 0; i < 9; i++) assert.strictEqual((yield* Effect.flip(ok))._tag, "CircuitOpen")
      const limiter = yield* RateLimiter.RateLimiter
      const [bucket] = yield* limiter.status("ann", "default")
      assert.strictEqual(bucket?.remaining, 3)
      // ... and our own refusals say nothing of the API.
      yield* Effect.flatMap(CircuitBreaker.CircuitBreaker, ({ reset }) => reset)
      for (let i = 0; i < 3; i++) assert.strictEqual(yield* ok, "body")
      for (let i = 0; i < 9; i++) assert.strictEqual((yield* Effect.flip(ok))._tag, "RateLimited")
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* ok, "body")
    }).pipe(Effect.provide(GuardAnything.layer))
  )
})
