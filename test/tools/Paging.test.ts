import { expect } from "@effect/vitest"
import { Effect, Layer } from "effect"
import type * as CallPolicy from "../../src/tools/CallPolicy.js"
import { functions, translate } from "../../src/warehouse/duckdb/dialect/snowflake.js"
import { ReadOnly } from "../../src/gate/ReadOnly.js"
import * as ExecuteQuery from "../../src/tools/ExecuteQuery.js"
import * as GetQueryResults from "../../src/tools/GetQueryResults.js"
import * as QueryView from "../../src/tools/QueryView.js"
import { Warehouse } from "../../src/warehouse/Warehouse.js"
import * as DuckDb from "../../src/warehouse/DuckDb.js"
import { embeddedGate } from "../utils/embeddedGate.js"
import { withLayer } from "../utils/withLayer.js"
import * as Fakes from "../utils/fakeGuards.js"

const gate = embeddedGate({
  functions,
  translate,
  namespace: { database: "SNOWGUARD_SAMPLE", schema: "PUBLIC" }
})

/** The tools over the embedded warehouse, with the fakes' other guards. */
const tools = (policy: Partial<CallPolicy.TierPolicy> = {}) =>
  Effect.gen(function* () {
    const warehouse = yield* Warehouse
    const readOnly = Layer.succeed(ReadOnly, yield* ReadOnly)
    const { guard, layer } = yield* Fakes.services({ policy, readOnly, dialect: "duckdb" })
    const made = Effect.all({ execute: ExecuteQuery.make, next: GetQueryResults.make, view: QueryView.make })
    const { execute, next, view } = yield* Effect.provide(
      made,
      Layer.merge(layer, Layer.succeed(Warehouse, warehouse))
    )
    return {
      guard,
      execute: (sql: string, more: { readonly limit?: number; readonly database?: string } = {}) =>
        execute.handler({ sql, ...more }, Fakes.quietContext),
      view: (view_name: string, limit: number) =>
        view.handler(
          { database: "SNOWGUARD_SAMPLE", schema: "PUBLIC", view_name, limit },
          Fakes.quietContext
        ),
      next: (query_id: string, cursor?: string, limit?: number) =>
        next.handler({ query_id, cursor, limit }, Fakes.quietContext)
    }
  })

const numbers = (count: number) => `SELECT range AS n FROM range(${count}) ORDER BY n`

withLayer(Layer.merge(DuckDb.layer(), gate))("reading on in a result", (it) => {
  it.effect("gives every row once, in order, and runs the statement once", () =>
    Effect.gen(function* () {
      const { execute, guard, next } = yield* tools()
      const first = yield* execute(numbers(250), { limit: 100 })
      expect(first).toMatchObject({ row_count: 100, truncated: true, truncated_reason: "rows" })
      expect(first.next_step).toContain("get_query_results")
      const second = yield* next(first.query_id, first.next_cursor)
      const third = yield* next(first.query_id, second.next_cursor, 1000)
      expect(third).toMatchObject({ row_count: 50, truncated: false, query_id: first.query_id })
      expect(third).not.toHaveProperty("next_cursor")
      const seen = [first, second, third].flatMap(({ rows }) => rows.map(([n]) => n))
      expect(seen).toEqual(Array.from({ length: 250 }, (_, n) => n))
      expect(second.columns).toEqual(first.columns)
      expect((yield* guard.seen).operations.map((operation) => operation.class)).toEqual([
        "query",
        "metadata",
        "metadata"
      ])
    })
  )

  it.effect("starts over without a cursor, as often as asked, for the client that ran it only", () =>
    Effect.gen(function* () {
      const { execute, next } = yield* tools()
      const first = yield* execute(numbers(5), { limit: 3 }).pipe(Fakes.as("ann"))
      for (let i = 0; i < 2; i++) {
        expect((yield* next(first.query_id).pipe(Fakes.as("ann"))).rows).toHaveLength(5)
      }
      for (const cursor of [undefined, first.next_cursor]) {
        expect(yield* Effect.flip(next(first.query_id, cursor).pipe(Fakes.as("ben")))).toMatchObject({
          code: "RESULT_NOT_AVAILABLE"
        })
      }
    })
  )

  it.effect("ends where the tier's rows end, and says so", () =>
    Effect.gen(function* () {
      const { execute, next } = yield* tools({ maxRows: 30, defaultRows: 20 })
      const first = yield* execute(numbers(1000))
      expect(first.rows).toHaveLength(20)
      const last = yield* next(first.query_id, first.next_cursor)
      expect(last).toMatchObject({ row_count: 10, truncated: true, truncated_reason: "rows" })
      expect(last).not.toHaveProperty("next_cursor")
      const all = yield* execute(numbers(1000), { limit: 30 })
      expect(all).not.toHaveProperty("next_cursor")
      expect(all.next_step).toContain("Filter or aggregate")
    })
  )

  it.effect("cuts pages at the bytes of the tier and loses no row between them", () =>
    Effect.gen(function* () {
      const { execute, next } = yield* tools({ maxResultBytes: 2048 })
      let page = yield* execute(`SELECT range AS n, repeat('x', 90) AS t FROM range(60) ORDER BY n`)
      const seen = page.rows.map(([n]) => n)
      let pages = 1
      while (page.next_cursor !== undefined) {
        expect(page).toMatchObject({ truncated: true, truncated_reason: "bytes" })
        page = yield* next(page.query_id, page.next_cursor)
        seen.push(...page.rows.map(([n]) => n))
        pages++
      }
      expect(seen).toEqual(Array.from({ length: 60 }, (_, n) => n))
      expect(pages).toBeGreaterThan(2)
    })
  )

  it.effect("works for query_view, and has no cursor where there is no more", () =>
    Effect.gen(function* () {
      const { next, view } = yield* tools()
      const first = yield* view("ORDERS", 4)
      expect((yield* next(first.query_id, first.next_cursor, 4)).rows).toHaveLength(4)
      expect(yield* view("ORDERS", 10_000)).not.toHaveProperty("next_cursor")
    })
  )

  it.effect("stops a result of ten million rows in constant memory", () =>
    Effect.gen(function* () {
      const { execute } = yield* tools()
      yield* execute(numbers(10))
      const before = process.memoryUsage().rss
      for (const sql of [
        "SELECT range AS n, 'a text that makes the row wider' AS t FROM range(10000000)",
        "SELECT range AS n, 'a text that makes the row wider' AS t FROM range(10000000) LIMIT 10000000",
        "SELECT 1 AS n FROM TABLE(GENERATOR(ROWCOUNT => 10000000)) LIMIT 10000000"
      ]) {
        expect(yield* execute(sql, { limit: 1000 })).toMatchObject({ row_count: 1000, truncated: true })
      }
      const grown = (process.memoryUsage().rss - before) / 1024 ** 2
      console.log(`ten million rows, three times: ${grown.toFixed(1)} MiB more resident memory`)
      // The rows themselves would be more than a gigabyte.
      expect(grown).toBeLessThan(200)
    })
  )

  it.effect("keeps the scan within the tier's budget, and runs nothing beyond it", () =>
    Effect.gen(function* () {
      const { execute, guard, view } = yield* tools({ maxScanBytes: 20_000 })
      const error = yield* Effect.flip(
        execute("SELECT * FROM ORDERS a JOIN ORDERS b ON a.ORDER_ID = b.ORDER_ID")
      )
      expect(error).toMatchObject({ _tag: "ScanBudgetExceeded", limit: 20_000 })
      expect(error).toHaveProperty("tables", expect.arrayContaining([expect.stringContaining("ORDERS")]))
      expect(yield* Effect.flip(view("ORDERS", 1))).toMatchObject({ _tag: "ScanBudgetExceeded" })
      expect(yield* execute("SELECT 1 AS a")).toMatchObject({ rows: [[1]] })
      expect(yield* execute("SELECT COUNT(*) > 0 AS a FROM INFORMATION_SCHEMA.TABLES")).toMatchObject({
        rows: [[true]]
      })
      expect((yield* guard.seen).operations.every((operation) => operation.class === "query")).toBe(true)
      const wide = yield* tools({ maxScanBytes: 1e9 })
      expect(yield* wide.execute("SELECT COUNT(*) AS c FROM ORDERS")).toMatchObject({ row_count: 1 })
    })
  )

  it.effect("charges what a statement would scan, once and only when it runs", () =>
    Effect.gen(function* () {
      const { execute, guard } = yield* tools({ chargeScans: true })
      yield* execute("SELECT SUM(TOTAL_AMOUNT) AS c FROM ORDERS")
      const { scanned } = yield* guard.seen
      expect(scanned).toBeGreaterThan(20_000)
      yield* Effect.flip(execute("SELECT NO_SUCH_COLUMN FROM ORDERS"))
      yield* execute("SELECT SUM(a.TOTAL_AMOUNT) AS c FROM ORDERS a, ORDERS b")
      expect((yield* guard.seen).scanned).toBe(3 * scanned)
    })
  )

  it.effect("refuses chains where there is a budget, since they cannot be explained without running", () =>
    Effect.gen(function* () {
      const { execute } = yield* tools({ maxScanBytes: 1 })
      expect(yield* Effect.flip(execute("SELECT 1 ->> SELECT * FROM $1"))).toMatchObject({
        _tag: "StatementRejected"
      })
    })
  )
})
