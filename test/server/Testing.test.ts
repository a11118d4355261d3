import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Ref } from "effect"
import * as Bulkhead from "../../src/guard/Bulkhead.js"
import * as Guard from "../../src/guard/Guard.js"
import * as Quota from "../../src/quota/Quota.js"
import * as QuotaStore from "../../src/quota/QuotaStore.js"
import * as RateLimiter from "../../src/guard/RateLimiter.js"
import * as Retry from "../../src/guard/Retry.js"
import type * as Stack from "../../src/server/Stack.js"
import * as Testing from "../../src/server/Testing.js"
import * as Toolbox from "../../src/tools/Toolbox.js"

const answers = {
  "SELECT 1": { columns: [{ name: "1", type: "NUMBER(1,0)", nullable: false }], rows: [[1]] }
}

const run = (sql: string) =>
  Effect.gen(function* () {
    const tool = (yield* Toolbox.Toolbox).get("execute_query")
    assert(tool !== undefined)
    return yield* tool.handler({ sql }, { progress: () => Effect.void })
  })

describe("Testing", () => {
  it.effect("serves the built-in tools from a list of answers, within the default limits", () =>
    Effect.gen(function* () {
      for (let i = 0; i < 50; i++)
        assert.deepInclude(yield* run("SELECT 1"), { rows: [[1]], truncated: false })
      assert.strictEqual((yield* Effect.flip(run("SELECT 1")))._tag, "RateLimited")
    }).pipe(Effect.provide(Layer.provide(Toolbox.layerDefault, Testing.layer(answers))))
  )

  it.effect("a statement without an answer is not found", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(run("SELECT 2"))
      assert(error._tag === "WarehouseError")
      assert.strictEqual(error.reason, "NotFound")
    }).pipe(Effect.provide(Layer.provide(Toolbox.layerDefault, Testing.layer(answers))))
  )

  it.effect("a part that is replaced is the one that the guard uses", () =>
    Effect.gen(function* () {
      const asked = yield* Ref.make(0)
      const refused = new RateLimiter.RateLimited({
        scope: "client",
        ratePerSecond: 0,
        burst: 0,
        remaining: 0,
        retryAfterMs: 1_000,
        retryHintMs: 1_000,
        never: false
      })
      const never = Effect.zipRight(
        Ref.update(asked, (n) => n + 1),
        Effect.fail(refused)
      )
      const rateLimiter = Layer.succeed(RateLimiter.RateLimiter, {
        acquire: () => never,
        reserve: () => never,
        acquireWithin: () => never,
        refund: () => Effect.succeed(undefined),
        limit: () => never,
        status: () => Effect.succeed([])
      })
      const error = yield* Effect.flip(run("SELECT 1")).pipe(
        Effect.provide(Testing.layer(answers, { rateLimiter }))
      )
      assert.strictEqual(error._tag, "RateLimited")
      assert.strictEqual(yield* Ref.get(asked), 1)
    })
  )

  it.effect(
    "a store that is replaced is the one that the quotas use, and it may fail and need what it likes",
    () =>
      Effect.gen(function* () {
        class Database extends Context.Tag("test/Database")<Database, Array<string>>() {}
        const quotaStore = Layer.effect(
          QuotaStore.QuotaStore,
          Effect.gen(function* () {
            const rows = yield* Database
            const store = yield* QuotaStore.makeMemory()
            if (rows.length > 0) return yield* Effect.fail("locked" as const)
            return {
              ...store,
              reserve: (charges: ReadonlyArray<QuotaStore.Charge>, ttlMs: number) => {
                rows.push(...charges.map(({ quota }) => quota))
                return store.reserve(charges, ttlMs)
              }
            }
          })
        )
        const stack: Layer.Layer<Stack.Service, "locked", Database> = Testing.layer(answers, { quotaStore })
        const rows: Array<string> = []
        yield* run("SELECT 1").pipe(Effect.provide(stack), Effect.provideService(Database, rows))
        assert.include(rows, "queries_per_hour")
        const failed = yield* Effect.flip(
          run("SELECT 1").pipe(Effect.provide(stack), Effect.provideService(Database, rows))
        )
        assert.strictEqual(failed, "locked")
      })
  )

  it("what is no part, or not that part, does not compile", () => {
    // @ts-expect-error: a bulkhead is no rate limiter
    Testing.layer(answers, { rateLimiter: Bulkhead.layerNoop })
    // @ts-expect-error: no part has this name
    Testing.layer(answers, { ratelimiter: RateLimiter.layerNoop })
    // @ts-expect-error: of two parts one is misspelt
    Testing.layer(answers, { bulkhead: Bulkhead.layerNoop, quotas: Quota.layerNoop })
    // @ts-expect-error: the ground asks for nothing above it, so the guard is still missing
    const complete: Layer.Layer<Stack.Service> = Testing.layer(answers, {
      retry: Layer.effect(Retry.Retry, Effect.zipRight(Guard.Guard, Retry.make())).pipe(Layer.orDie)
    })
    assert.isDefined(complete)
  })
})
