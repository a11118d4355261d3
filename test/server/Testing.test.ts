import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Effect, Layer, Ref, TestClock } from "effect"
import * as Audit from "../../src/observe/Audit.js"
import * as Bulkhead from "../../src/guard/Bulkhead.js"
import * as CircuitBreaker from "../../src/guard/CircuitBreaker.js"
import * as Degradation from "../../src/guard/Degradation.js"
import * as Guard from "../../src/guard/Guard.js"
import * as Quota from "../../src/quota/Quota.js"
import * as QuotaStore from "../../src/quota/QuotaStore.js"
import * as RateLimiter from "../../src/guard/RateLimiter.js"
import * as Retry from "../../src/guard/Retry.js"
import type * as Stack from "../../src/server/Stack.js"
import * as Testing from "../../src/server/Testing.js"
import * as ReadOnly from "../../src/gate/ReadOnly.js"
import * as SearchIndex from "../../src/tools/SearchIndex.js"
import * as Toolbox from "../../src/tools/Toolbox.js"
import { WarehouseError } from "../../src/warehouse/Warehouse.js"

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

  it.effect(
    "a warehouse in front of which stands a gate of another dialect is refused when the stack is built",
    () =>
      Effect.gen(function* () {
        const readOnly = Layer.effect(
          ReadOnly.ReadOnly,
          Effect.map(ReadOnly.ReadOnly, (gate) => ({ ...gate, dialect: "duckdb" as const }))
        ).pipe(Layer.provide(Testing.layerReadOnlyNoop))
        const exit = yield* Effect.exit(Effect.scoped(Layer.build(Testing.layer(answers, { readOnly }))))
        assert(exit._tag === "Failure")
        assert.match(
          String(Cause.squash(exit.cause)),
          /the warehouse speaks snowflake and the read-only gate duckdb: replace warehouse and readOnly together/
        )
      })
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

const text = (name: string) => ({ name, type: "VARCHAR", nullable: true })
const listed = (record: { readonly [column: string]: string }) => ({
  columns: Object.keys(record).map(text),
  rows: [Object.values(record)]
})
const place = { database_name: "SHOP", schema_name: "PUBLIC" }
const names = {
  "SHOW TABLES IN ACCOUNT": listed({ name: "ORDERS", ...place, kind: "TABLE" }),
  "SHOW VIEWS IN ACCOUNT": listed({ name: "TOTALS", ...place }),
  "SHOW SEMANTIC VIEWS IN ACCOUNT": listed({ name: "SALES", ...place }),
  "SHOW COLUMNS IN ACCOUNT": listed({
    table_name: "ORDERS",
    column_name: "STATUS",
    data_type: "TEXT",
    ...place
  })
}

describe("what is kept for search_objects", () => {
  const used = (client: string) =>
    Effect.gen(function* () {
      const quotas = yield* Effect.flatMap(Quota.Quota, (_) => _.status(client, "default"))
      return quotas.find(({ quota, scope }) => scope === "client" && quota === "requests_per_hour")?.used
    })

  const search = Effect.gen(function* () {
    const tool = (yield* Toolbox.Toolbox).get("search_objects")
    assert(tool !== undefined)
    return yield* tool.handler(
      { query: "status", kinds: undefined, database: undefined, limit: 5 },
      { progress: () => Effect.void }
    )
  })

  it.effect("is counted by the codes of the errors where it cannot be read", () =>
    Effect.gen(function* () {
      const lines: Array<Audit.Entry> = []
      const audit = Layer.succeed(Audit.Audit, {
        record: (entry) => Effect.sync(() => void lines.push(entry))
      })
      const error = new WarehouseError({ reason: "Unreachable", description: "gone", sent: "no" })
      const failing = Object.fromEntries(Object.keys(names).map((sql) => [sql, error]))
      yield* Effect.gen(function* () {
        yield* run("SELECT 1")
        for (let n = 0; n < 20; n++) yield* TestClock.adjust("1 second")
        const [line] = lines
        assert.deepInclude(line, {
          client: "snowguard:search",
          decision: "WAREHOUSE_UNREACHABLE",
          outcome: "failed"
        })
      }).pipe(
        Effect.provide(Testing.layer({ ...answers, ...failing }, { audit, searchIndex: SearchIndex.layer() }))
      )
    })
  )

  it.effect("is read after a client's first answer, as calls of a client of its own in the audit log", () =>
    Effect.gen(function* () {
      const lines: Array<Audit.Entry> = []
      const audit = Layer.succeed(Audit.Audit, {
        record: (entry) => Effect.sync(() => void lines.push(entry))
      })
      yield* Effect.gen(function* () {
        yield* run("SELECT 1")
        yield* TestClock.adjust("2 seconds")
        assert.strictEqual(yield* used("snowguard:search"), 0)
        for (let n = 0; n < 20; n++) yield* TestClock.adjust("1 second")
        assert.deepStrictEqual([yield* used("local"), yield* used("snowguard:search")], [1, 4])
        assert.deepStrictEqual(
          lines.map(({ client, decision, statement }) => [client, statement, decision]),
          Object.keys(names).map((sql) => ["snowguard:search", sql, "ok"])
        )
        assert.isTrue(lines.every(({ limits }) => limits !== undefined && limits.length > 0))
        // A search is a request of its client, and sends nothing.
        assert.deepInclude(yield* search, { count: 1, truncated: false, age_seconds: 19 })
        assert.deepStrictEqual([yield* used("local"), yield* used("snowguard:search")], [2, 4])
      }).pipe(
        Effect.provide(Testing.layer({ ...answers, ...names }, { audit, searchIndex: SearchIndex.layer() }))
      )
    })
  )

  it.effect("answers while the circuit is open, in every mode, and within the rate limit", () =>
    Effect.gen(function* () {
      yield* run("SELECT 1")
      for (let n = 0; n < 20; n++) yield* TestClock.adjust("1 second")
      yield* Effect.flatMap(CircuitBreaker.CircuitBreaker, (_) => _.forceOpen("test"))
      yield* Effect.flatMap(Degradation.Degradation, (_) => _.pin("emergency", "test"))
      assert.deepInclude(yield* search, { count: 1 })
      const { calls } = yield* Effect.flatMap(CircuitBreaker.CircuitBreaker, (_) => _.status)
      const before = calls
      for (let n = 0; n < 99; n++) yield* search
      assert.strictEqual((yield* Effect.flip(search))._tag, "RateLimited")
      assert.strictEqual(
        (yield* Effect.flatMap(CircuitBreaker.CircuitBreaker, (_) => _.status)).calls,
        before
      )
    }).pipe(
      Effect.scoped,
      Effect.provide(
        Testing.layer(
          { ...answers, ...names },
          { searchIndex: SearchIndex.layer(), degradation: Degradation.layer() }
        )
      )
    )
  )
})
