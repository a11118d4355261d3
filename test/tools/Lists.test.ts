import { describe, expect, it } from "@effect/vitest"
import { Effect, TestClock } from "effect"
import { CircuitOpen } from "../../src/guard/CircuitBreaker.js"
import * as ListDatabases from "../../src/tools/ListDatabases.js"
import * as ListSchemas from "../../src/tools/ListSchemas.js"
import * as ListTables from "../../src/tools/ListTables.js"
import * as ListViews from "../../src/tools/ListViews.js"
import * as Fakes from "../utils/fakeGuards.js"
import * as Fake from "../utils/fakeWarehouse.js"

const answer = Fake.records([
  { created_on: "2026-01-02T03:04:05Z", name: "SALES", is_default: "N", comment: "orders" },
  { created_on: null, name: "Raw Data", is_default: "N", comment: "" }
])

describe("list_databases", () => {
  it.effect("lists names, and comments and dates where there are any", () =>
    Effect.gen(function* () {
      const { call, warehouse } = yield* Fakes.harness(ListDatabases.make, {
        rules: [{ when: "SHOW DATABASES LIMIT 201", then: answer }]
      })
      const result = yield* call({})
      expect(result.databases).toEqual([
        { name: "SALES", comment: "orders", created_on: "2026-01-02T03:04:05Z" },
        { name: '"Raw Data"' }
      ])
      expect(result).toMatchObject({ count: 2, truncated: false })
      expect(yield* warehouse.counts).toMatchObject({ executed: 1, finished: 1, cancelled: 0 })
    })
  )

  it.effect("passes the pattern on as one string, whatever is in it", () =>
    Effect.gen(function* () {
      const { call, warehouse } = yield* Fakes.harness(ListDatabases.make, {
        rules: [{ when: /./, then: answer }]
      })
      yield* call({ pattern: "x'; DROP TABLE t; --" })
      yield* call({ pattern: "a\\_b" })
      expect(yield* warehouse.sql).toEqual([
        "SHOW DATABASES LIKE 'x''; DROP TABLE t; --' LIMIT 201",
        "SHOW DATABASES LIKE 'a\\\\_b' LIMIT 201"
      ])
    })
  )

  it.effect("writes a backslash for the embedded warehouse as for Snowflake, whose text rules it has", () =>
    Effect.gen(function* () {
      const { call, warehouse } = yield* Fakes.harness(ListDatabases.make, {
        dialect: "duckdb",
        rules: [{ when: /./, then: answer }]
      })
      yield* call({ pattern: "a\\_b" })
      expect(yield* warehouse.sql).toEqual(["SHOW DATABASES LIKE 'a\\\\_b' LIMIT 201"])
    })
  )

  it.effect("shows as many as are asked for and stops reading there", () =>
    Effect.gen(function* () {
      const { call, warehouse } = yield* Fakes.harness(ListDatabases.make, {
        rules: [{ when: /./, then: Fake.endless({ name: "VARCHAR" }, (i) => [`D${i}`]) }]
      })
      const result = yield* call({ limit: 1000 })
      expect(result).toMatchObject({ count: 1000, truncated: true, truncated_reason: "rows" })
      expect(result.next_step).toContain("pattern")
      expect(yield* warehouse.counts).toMatchObject({ cancelled: 1, finished: 0, pulled: 1100 })
    })
  )

  it.effect("tells about quotas that run low and how long the call took", () =>
    Effect.gen(function* () {
      const { call } = yield* Fakes.harness(ListDatabases.make, {
        rules: [{ when: /./, then: Fake.slow("3 seconds", answer) }],
        warnings: [
          {
            scope: "client",
            quota: "requests_per_hour",
            limit: 3600,
            used: 3500,
            remaining: 100,
            resetAt: Date.UTC(2026, 0, 1, 13)
          }
        ]
      })
      const fiber = yield* Effect.fork(call({}))
      yield* TestClock.adjust("3 seconds")
      const result = yield* fiber
      expect(result.elapsed_ms).toBe(3000)
      expect(result.quota_warnings).toEqual([
        {
          scope: "client",
          quota: "requests_per_hour",
          limit: 3600,
          used: 3500,
          remaining: 100,
          resets_at: "2026-01-01T13:00:00.000Z"
        }
      ])
    })
  )

  it.effect("hands a refusal of the guard on as it is", () =>
    Effect.gen(function* () {
      const refuse = new CircuitOpen({ phase: "open", retryAfterMs: 5, failures: 3, calls: 3, cause: "down" })
      const { call, warehouse } = yield* Fakes.harness(ListDatabases.make, { refuse })
      expect(yield* Effect.flip(call({}))).toBe(refuse)
      expect(yield* warehouse.sql).toEqual([])
    })
  )

  it.effect("cancels the statement when the caller goes away", () =>
    Effect.gen(function* () {
      const { call, warehouse } = yield* Fakes.harness(ListDatabases.make, {
        rules: [{ when: /./, then: Fake.hangs }]
      })
      const fiber = yield* Effect.fork(call({}))
      yield* TestClock.adjust(1)
      yield* fiber.interruptAsFork(fiber.id())
      yield* Effect.exit(fiber)
      expect(yield* warehouse.counts).toMatchObject({ executed: 1, cancelled: 1 })
    })
  )
})

describe("list_schemas", () => {
  it.effect("lists the schemas of one database", () =>
    Effect.gen(function* () {
      const { call, warehouse } = yield* Fakes.harness(ListSchemas.make, {
        rules: [
          {
            when: /./,
            then: Fake.records([{ name: "PUBLIC", comment: "c", created_on: "2026-01-01T00:00:00Z" }])
          }
        ]
      })
      const result = yield* call({ database: "sales", pattern: "pub%" })
      expect(yield* warehouse.sql).toEqual([`SHOW SCHEMAS LIKE 'pub%' IN DATABASE "SALES" LIMIT 201`])
      expect(result.schemas).toEqual([{ name: "PUBLIC", comment: "c", created_on: "2026-01-01T00:00:00Z" }])
    })
  )

  it.effect("hands on the suggestions of the warehouse for a name that does not exist", () =>
    Effect.gen(function* () {
      const { call } = yield* Fakes.harness(ListSchemas.make, {
        rules: [{ when: /./, then: Fake.fails("NotFound", { suggestions: ["SALES"], queryId: "q1" }) }]
      })
      expect(yield* Effect.flip(call({ database: "sale" }))).toMatchObject({
        _tag: "WarehouseError",
        reason: "NotFound",
        suggestions: ["SALES"],
        queryId: "q1"
      })
    })
  )

  it.effect("cannot be made to leave the identifier", () =>
    Effect.gen(function* () {
      const { call, warehouse } = yield* Fakes.harness(ListSchemas.make, {
        rules: [{ when: /./, then: Fake.records([]) }]
      })
      yield* call({ database: `x"; DROP TABLE t; --` })
      expect(yield* warehouse.sql).toEqual([`SHOW SCHEMAS IN DATABASE "x""; DROP TABLE t; --" LIMIT 201`])
    })
  )
})

const orders = {
  created_on: "2026-01-02T03:04:05Z",
  name: "ORDERS",
  database_name: "SALES",
  schema_name: "PUBLIC",
  kind: "TABLE",
  comment: "",
  rows: 12,
  bytes: "9007199254740993",
  owner: "ADMIN"
}

describe("list_tables", () => {
  it.effect(
    "asks for the tables of a database, 200 by default and one more to know whether there are more",
    () =>
      Effect.gen(function* () {
        const { call, warehouse } = yield* Fakes.harness(ListTables.make, {
          rules: [{ when: /./, then: Fake.records([orders]) }]
        })
        const result = yield* call({ database: "sales" })
        expect(yield* warehouse.sql).toEqual([`SHOW TABLES IN DATABASE "SALES" LIMIT 201`])
        expect(result.tables).toEqual([
          { name: "ORDERS", schema: "PUBLIC", kind: "TABLE", rows: 12, bytes: 9007199254740992 }
        ])
        expect(result).toMatchObject({ count: 1, truncated: false })
      })
  )

  it.effect("puts LIKE before IN and IN before LIMIT", () =>
    Effect.gen(function* () {
      const { call, warehouse } = yield* Fakes.harness(ListTables.make, {
        rules: [{ when: /./, then: Fake.records([orders]) }]
      })
      yield* call({ database: "sales", schema: '"Raw"', pattern: "o'%", limit: 5 })
      expect(yield* warehouse.sql).toEqual([`SHOW TABLES LIKE 'o''%' IN SCHEMA "SALES"."Raw" LIMIT 6`])
    })
  )

  it.effect("says that there are more, and how to see them", () =>
    Effect.gen(function* () {
      const many = Array.from({ length: 3 }, (_, i) => ({ ...orders, name: `T${i}` }))
      const { call } = yield* Fakes.harness(ListTables.make, {
        rules: [{ when: /./, then: Fake.records(many) }]
      })
      const result = yield* call({ database: "sales", limit: 2 })
      expect(result.tables.map(({ name }) => name)).toEqual(["T0", "T1"])
      expect(result).toMatchObject({ count: 2, truncated: true, truncated_reason: "rows" })
      expect(result.next_step).toContain("raise limit (at most 1000)")
      const enough = yield* call({ database: "sales", limit: 3 })
      expect(enough).toMatchObject({ count: 3, truncated: false })
      expect(enough).not.toHaveProperty("next_step")
    })
  )

  it.effect("stops at the bytes of the tier and counts what the answer really holds", () =>
    Effect.gen(function* () {
      const many = Array.from({ length: 500 }, (_, i) => ({
        ...orders,
        name: `T${i}`,
        comment: "c".repeat(100)
      }))
      const { call, guard } = yield* Fakes.harness(ListTables.make, {
        rules: [{ when: /./, then: Fake.records(many) }],
        policy: { maxResultBytes: 10_000 }
      })
      const result = yield* call({ database: "sales", limit: 1000 })
      expect(result).toMatchObject({ truncated: true, truncated_reason: "bytes" })
      const bytes = JSON.stringify(result.tables).length
      expect(bytes).toBeLessThanOrEqual(10_000)
      expect(bytes).toBeGreaterThan(9_000)
      expect((yield* guard.seen).bytes).toBeGreaterThanOrEqual(bytes)
    })
  )

  it.effect("refuses a limit out of bounds and a misspelt argument", () =>
    Effect.gen(function* () {
      const { call, guard } = yield* Fakes.harness(ListTables.make)
      for (const input of [
        { database: "d", limit: 0 },
        { database: "d", limit: 1001 },
        { database: "d", limit: 1.5 },
        { database: "" },
        { database: "d", schema_name: "s" },
        {}
      ]) {
        expect(yield* Effect.flip(call(input))).toMatchObject({ code: "INVALID_INPUT" })
      }
      expect((yield* guard.seen).operations).toEqual([])
    })
  )

  it.effect("is a metadata operation with time for two attempts", () =>
    Effect.gen(function* () {
      const { call, guard, warehouse } = yield* Fakes.harness(ListTables.make, {
        rules: [{ when: /./, then: Fake.records([]) }],
        policy: { metadataTimeoutMs: 7000 }
      })
      yield* call({ database: "d" })
      expect((yield* guard.seen).operations).toMatchObject([
        { tool: "list_tables", class: "metadata", timeoutMs: 7000, deadlineMs: 14_000 }
      ])
      expect(yield* warehouse.statements).toMatchObject([
        {
          timeoutMs: 7000,
          maxRows: 201,
          requestId: Fakes.requestId,
          tag: { tool: "list_tables", client: "local" }
        }
      ])
    })
  )
})

const view = {
  created_on: "2026-01-01T00:00:00Z",
  name: "TOP_CUSTOMERS",
  database_name: "SALES",
  schema_name: "PUBLIC",
  comment: "best",
  text: "create view ...",
  is_secure: "true",
  is_materialized: "false"
}

const semantic = {
  created_on: "2026-01-01T00:00:00Z",
  name: "SALES_ANALYSIS",
  database_name: "SALES",
  schema_name: "PUBLIC",
  comment: "metrics"
}
const semanticViews = (then: Fake.Rule["then"]): Fake.Rule => ({ when: /^SHOW SEMANTIC VIEWS/, then })
const noSemanticViews = semanticViews(Fake.records([]))

describe("list_views", () => {
  it.effect("lists the views of a database or of one schema, semantic views first", () =>
    Effect.gen(function* () {
      const { call, guard, warehouse } = yield* Fakes.harness(ListViews.make, {
        rules: [
          semanticViews(Fake.records([semantic])),
          // Some accounts list a semantic view as a view, too.
          { when: /./, then: Fake.records([{ ...view, name: "SALES_ANALYSIS" }, view]) }
        ]
      })
      const result = yield* call({ database: "sales" })
      yield* call({ database: "sales", schema: "public", pattern: "top%", limit: 2 })
      expect(yield* warehouse.sql).toEqual([
        `SHOW SEMANTIC VIEWS IN DATABASE "SALES" LIMIT 201`,
        `SHOW VIEWS IN DATABASE "SALES" LIMIT 200`,
        `SHOW SEMANTIC VIEWS LIKE 'top%' IN SCHEMA "SALES"."PUBLIC" LIMIT 3`,
        `SHOW VIEWS LIKE 'top%' IN SCHEMA "SALES"."PUBLIC" LIMIT 2`
      ])
      expect(result.views).toEqual([
        { name: "SALES_ANALYSIS", schema: "PUBLIC", kind: "SEMANTIC VIEW", comment: "metrics" },
        { name: "TOP_CUSTOMERS", schema: "PUBLIC", comment: "best", is_secure: true }
      ])
      expect(result.count).toBe(2)
      expect((yield* guard.seen).operations).toHaveLength(2)
    })
  )

  it.effect("copes with columns that a warehouse does not have", () =>
    Effect.gen(function* () {
      const { call } = yield* Fakes.harness(ListViews.make, {
        rules: [noSemanticViews, { when: /./, then: Fake.records([{ schema_name: "S", name: "V" }]) }]
      })
      expect((yield* call({ database: "d" })).views).toEqual([{ name: "V", schema: "S" }])
    })
  )

  it.effect("asks the embedded warehouse for views alone", () =>
    Effect.gen(function* () {
      const { call, warehouse } = yield* Fakes.harness(ListViews.make, {
        dialect: "duckdb",
        rules: [{ when: /./, then: Fake.records([view]) }]
      })
      expect((yield* call({ database: "d" })).count).toBe(1)
      expect(yield* warehouse.sql).toEqual([`SHOW VIEWS IN DATABASE "D" LIMIT 201`])
    })
  )

  it.effect("lists the views of an account that does not know semantic views", () =>
    Effect.gen(function* () {
      const { call } = yield* Fakes.harness(ListViews.make, {
        rules: [semanticViews(Fake.fails("InvalidStatement")), { when: /./, then: Fake.records([view]) }]
      })
      expect(yield* call({ database: "d" })).toMatchObject({ count: 1, truncated: false })
    })
  )

  it.effect("fails where the semantic views cannot be listed for another reason", () =>
    Effect.gen(function* () {
      const { call } = yield* Fakes.harness(ListViews.make, {
        rules: [semanticViews(Fake.fails("Unreachable")), { when: /./, then: Fake.records([view]) }]
      })
      expect(yield* Effect.flip(call({ database: "d" }))).toMatchObject({ reason: "Unreachable" })
    })
  )

  it.effect("says that there is more when the semantic views alone are as many as were asked for", () =>
    Effect.gen(function* () {
      const { call, warehouse } = yield* Fakes.harness(ListViews.make, {
        rules: [
          semanticViews(Fake.records([semantic, { ...semantic, name: "T" }])),
          { when: /./, then: Fake.records([view]) }
        ]
      })
      expect(yield* call({ database: "d", limit: 2 })).toMatchObject({
        count: 2,
        truncated: true,
        truncated_reason: "rows"
      })
      expect((yield* warehouse.sql)[1]).toBe(`SHOW VIEWS IN DATABASE "D" LIMIT 1`)
      const one = yield* call({ database: "d", limit: 1 })
      expect(one).toMatchObject({ count: 1, truncated: true })
      expect(yield* warehouse.sql).toHaveLength(3)
    })
  )

  it.effect("leaves out the semantic views that the tier may not read", () =>
    Effect.gen(function* () {
      const { call } = yield* Fakes.harness(ListViews.make, {
        policy: { objects: { allow: [], deny: ["SALES.PUBLIC.SALES_ANALYSIS"] } },
        rules: [
          semanticViews(Fake.records([semantic, { ...semantic, name: "T" }])),
          { when: /./, then: Fake.records([view]) }
        ]
      })
      expect((yield* call({ database: "sales" })).views.map(({ name }) => name)).toEqual([
        "T",
        "TOP_CUSTOMERS"
      ])
    })
  )
})

describe("what a tier may not read", () => {
  const policy = { objects: { allow: ["SALES", "HR.PUBLIC.STAFF"], deny: ["SALES.PAY", "*.*.SECRET"] } }

  it.effect("is not listed, and does not use up the limit", () =>
    Effect.gen(function* () {
      const { call, warehouse } = yield* Fakes.harness(ListTables.make, {
        policy,
        rules: [
          {
            when: /SHOW TABLES/,
            then: Fake.records([
              { name: "SECRET", schema_name: "PUBLIC" },
              { name: "JANUARY", schema_name: "PAY" },
              { name: "ORDERS", schema_name: "PUBLIC" },
              { name: "secret", schema_name: "PUBLIC" },
              { name: "lower", schema_name: "PUBLIC" }
            ])
          }
        ]
      })
      const result = yield* call({ database: "sales", limit: 2 })
      expect(result.tables.map(({ name }) => name)).toEqual(["ORDERS", '"lower"'])
      expect(result).toMatchObject({ count: 2, truncated: false })
      expect(yield* warehouse.sql).toEqual([`SHOW TABLES IN DATABASE "SALES"`])
    })
  )

  it.effect("leaves the databases and schemas in which something may be read", () =>
    Effect.gen(function* () {
      const names = Fake.records(["SALES", "HR", "PAY", "PUBLIC", "SNOWFLAKE"].map((name) => ({ name })))
      const databases = yield* Fakes.harness(ListDatabases.make, {
        policy,
        rules: [{ when: /./, then: names }]
      })
      expect((yield* databases.call({})).databases.map(({ name }) => name)).toEqual(["SALES", "HR"])
      const schemas = yield* Fakes.harness(ListSchemas.make, { policy, rules: [{ when: /./, then: names }] })
      expect((yield* schemas.call({ database: "hr" })).schemas.map(({ name }) => name)).toEqual(["PUBLIC"])
      expect((yield* schemas.call({ database: "sales" })).schemas).toHaveLength(4)
    })
  )

  it.effect("is refused by name before anything is sent", () =>
    Effect.gen(function* () {
      const schemas = yield* Fakes.harness(ListSchemas.make, { policy })
      const views = yield* Fakes.harness(ListViews.make, { policy })
      const tables = yield* Fakes.harness(ListTables.make, { policy })
      const failures = [
        yield* Effect.flip(schemas.call({ database: "other" })),
        yield* Effect.flip(views.call({ database: "sales", schema: "pay" })),
        yield* Effect.flip(tables.call({ database: '"sales"' }))
      ]
      for (const failure of failures) expect(failure).toMatchObject({ code: "OBJECT_NOT_ALLOWED" })
      for (const { guard, warehouse } of [schemas, views, tables]) {
        expect((yield* guard.seen).operations).toEqual([])
        expect(yield* warehouse.sql).toEqual([])
      }
    })
  )
})
