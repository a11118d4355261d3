/**
 * The contract of the `Warehouse` port, and what an adapter shows of the sample database besides. Run in real time: a real
 * warehouse stands behind it.
 */
import type { Layer } from "effect"
import { Deferred, Effect, Exit, Fiber, Stream } from "effect"
import { expect } from "vitest"
import type { Warehouse } from "../../src/warehouse/Warehouse.js"
import * as WarehouseContract from "../../src/warehouse/WarehouseContract.js"
import { withLayer } from "../utils/withLayer.js"

const { failure, open, read, records } = WarehouseContract

/** More statements than are run at the same time: while too many others run, this does not return. */
const stillAnswers = Effect.gen(function* () {
  const results = yield* Effect.all(
    Array.from({ length: 8 }, (_, n) => read(`SELECT ${n} AS N`)),
    { concurrency: "unbounded" }
  )
  expect(results.map((result) => result.rows)).toEqual(Array.from({ length: 8 }, (_, n) => [[n]]))
})

/** What is asked of a warehouse that holds the sample database. */
const options: WarehouseContract.Options = {
  rows: (count) => `SELECT range AS N FROM range(${count})`,
  endless: "SELECT count(*) FROM range(1000000000000) t(i) WHERE i % 7 = 3",
  failsLate: "SELECT CASE WHEN i = 300000 THEN CAST('x' || i AS INTEGER) ELSE i END FROM range(1000000) t(i)",
  cells: [
    [
      "SELECT 9007199254740991, -9007199254740991, 9007199254740993, CAST('1.10' AS DECIMAL(5,2))",
      [9007199254740991, -9007199254740991, "9007199254740993", "1.10"]
    ],
    [
      "SELECT CAST('12345678901234567890123456789012345678' AS DECIMAL(38,0)), CAST('-0.000001' AS DECIMAL(10,6))",
      ["12345678901234567890123456789012345678", "-0.000001"]
    ],
    ["SELECT CAST(0.1 AS DOUBLE), NULL, true", [0.1, null, true]]
  ],
  catalog: { database: "SNOWGUARD_SAMPLE", schema: "PUBLIC", table: "ORDERS", view: "ORDER_SUMMARY" }
}

export const contract = (
  name: string,
  layer: Layer.Layer<Warehouse, unknown>,
  { streams }: { readonly streams: boolean } = { streams: true }
): void => {
  withLayer(layer)(`Warehouse contract: ${name}`, (it) => {
    for (const each of WarehouseContract.cases({ ...options, streams })) it.effect(each.name, () => each.run)

    it.effect("lists databases, schemas, tables and views with Snowflake's columns", () =>
      Effect.gen(function* () {
        const databases = yield* read("SHOW DATABASES")
        expect(databases.columns).toEqual(
          expect.arrayContaining(["created_on", "name", "is_current", "owner", "comment", "kind"])
        )
        expect(records(databases).map((row) => row["name"])).toContain("SNOWGUARD_SAMPLE")
        const schemas = yield* read('SHOW SCHEMAS IN DATABASE "SNOWGUARD_SAMPLE"')
        expect(records(schemas).map((row) => row["name"])).toEqual(["INFORMATION_SCHEMA", "PUBLIC", "WEB"])
        const tables = yield* read('SHOW TABLES IN SCHEMA "SNOWGUARD_SAMPLE"."PUBLIC"')
        expect(records(tables).map((row) => [row["name"], row["kind"], typeof row["rows"]])).toEqual([
          ["CUSTOMERS", "TABLE", "number"],
          ["ORDERS", "TABLE", "number"],
          ["ORDER_LINES", "TABLE", "number"],
          ["PRODUCTS", "TABLE", "number"]
        ])
        const views = yield* read('SHOW VIEWS IN DATABASE "SNOWGUARD_SAMPLE"')
        expect(records(views).map((row) => `${String(row["schema_name"])}.${String(row["name"])}`)).toEqual([
          "PUBLIC.CUSTOMER_LIFETIME_VALUE",
          "PUBLIC.ORDER_SUMMARY",
          "WEB.DAILY_FUNNEL"
        ])
        expect(records(views)[1]?.["text"]).toMatch(/^CREATE OR REPLACE VIEW ORDER_SUMMARY/)
      })
    )

    it.effect("filters a listing without regard to case, and limits it", () =>
      Effect.gen(function* () {
        const like = yield* read(`SHOW TABLES LIKE 'order%' IN DATABASE "SNOWGUARD_SAMPLE"`)
        expect(records(like).map((row) => row["name"])).toEqual(["ORDERS", "ORDER_LINES"])
        const limited = yield* read("SHOW TABLES IN ACCOUNT LIMIT 2")
        expect(limited.rows).toHaveLength(2)
      })
    )

    it.effect("describes a table and a view under Snowflake's type names", () =>
      Effect.gen(function* () {
        const table = yield* read('DESCRIBE TABLE "SNOWGUARD_SAMPLE"."WEB"."EVENTS"')
        // Snowflake has more of them behind these.
        expect(table.columns.slice(0, 10)).toEqual([
          "name",
          "type",
          "kind",
          "null?",
          "default",
          "primary key",
          "unique key",
          "check",
          "expression",
          "comment"
        ])
        expect(records(table).map((row) => [row["name"], row["type"], row["null?"]])).toEqual([
          ["EVENT_ID", "NUMBER(38,0)", "N"],
          ["SESSION_ID", "VARCHAR(16777216)", "N"],
          ["CUSTOMER_ID", "NUMBER(38,0)", "Y"],
          ["EVENT_TYPE", "VARCHAR(16777216)", "N"],
          ["OCCURRED_AT", "TIMESTAMP_LTZ(9)", "N"],
          ["PAYLOAD", "VARIANT", "Y"]
        ])
        const view = yield* read('DESCRIBE VIEW "SNOWGUARD_SAMPLE"."PUBLIC"."CUSTOMER_LIFETIME_VALUE"')
        expect(records(view).map((row) => row["type"])).toContain("NUMBER(14,2)")
        const ddl = yield* read(`SELECT GET_DDL('VIEW', '"SNOWGUARD_SAMPLE"."WEB"."DAILY_FUNNEL"')`)
        expect(ddl.rows[0]?.[0]).toMatch(
          /^CREATE OR REPLACE VIEW DAILY_FUNNEL[^]*FROM SNOWGUARD_SAMPLE\.WEB\.EVENTS/i
        )
      })
    )

    it.effect("answers a query with typed columns and exact cells", () =>
      Effect.gen(function* () {
        const result = yield* read(
          `SELECT ORDER_ID, ORDERED_AT, SHIPPED_AT, TOTAL_AMOUNT, STATUS = 'DELIVERED' AS DONE
           FROM SNOWGUARD_SAMPLE.PUBLIC.ORDERS WHERE ORDER_ID IN (2, 20000) ORDER BY ORDER_ID`
        )
        expect(result.columns).toEqual(["ORDER_ID", "ORDERED_AT", "SHIPPED_AT", "TOTAL_AMOUNT", "DONE"])
        expect(result.types).toEqual([
          "NUMBER(38,0)",
          "TIMESTAMP_NTZ(9)",
          "TIMESTAMP_NTZ(9)",
          "NUMBER(12,2)",
          "BOOLEAN"
        ])
        expect(result.rows[0]).toEqual([2, "2025-01-01T04:44:24", "2025-01-02T22:33:24", "171.40", true])
        expect(result.rows[1]).toEqual([
          20_000,
          expect.stringMatching(/^2026-06-29T/),
          null,
          expect.any(String),
          false
        ])
        expect(result.queryId).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
      })
    )

    it.effect("shows dates, times and semi-structured values as JSON", () =>
      Effect.gen(function* () {
        const { rows } = yield* read(
          `SELECT DATE '2024-02-29' AS A, CAST('2025-01-01 00:00:00.5' AS TIMESTAMP) AS B, CAST(NULL AS DATE) AS C, e.OCCURRED_AT, e.PAYLOAD
           FROM SNOWGUARD_SAMPLE.WEB.EVENTS e WHERE e.EVENT_ID = 3`
        )
        expect(rows).toEqual([
          [
            "2024-02-29",
            "2025-01-01T00:00:00.500",
            null,
            expect.stringMatching(/^2025-01-01T00:0\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/),
            { device: { type: "tablet", browser: "Chrome" }, cart: [{ id: 104, quantity: 3 }] }
          ]
        ])
      })
    )

    it.effect("binds a value that rows are compared with", () =>
      Effect.gen(function* () {
        const counted = yield* read(
          "SELECT COUNT(*) FROM SNOWGUARD_SAMPLE.PUBLIC.PRODUCTS WHERE CATEGORY = ?",
          {
            binds: ["Camping"]
          }
        )
        expect(counted.rows).toEqual([[30]])
      })
    )

    it.effect("resolves unqualified names in the namespace of the statement", () =>
      Effect.gen(function* () {
        const web = { database: "SNOWGUARD_SAMPLE", schema: "WEB" }
        const events = yield* read("SELECT COUNT(*) FROM EVENTS", web)
        expect(events.rows).toEqual([[100_000]])
        const orders = yield* read("SELECT COUNT(*) FROM ORDERS", { database: "SNOWGUARD_SAMPLE" })
        expect(orders.rows).toEqual([[20_000]])
        const wrong = yield* failure("SELECT COUNT(*) FROM ORDERS", web)
        expect(wrong.reason).toBe("NotFound")
        // The namespace of one statement is not that of the next.
        const again = yield* Effect.all(
          [
            read("SELECT COUNT(*) FROM EVENTS", web),
            read("SELECT COUNT(*) FROM ORDERS", { ...web, schema: "PUBLIC" })
          ],
          { concurrency: "unbounded" }
        )
        expect(again.map((result) => result.rows)).toEqual([[[100_000]], [[20_000]]])
      })
    )

    if (streams)
      it.effect("cancels a statement whose rows are being fetched", () =>
        Effect.gen(function* () {
          const sparse = "SELECT i FROM range(1000000000000) t(i) WHERE i < 500000 OR i % 999999999999 = 7"
          for (let round = 0; round < 4; round++) {
            const started = yield* Deferred.make<void>()
            const fiber = yield* Effect.fork(
              Effect.scoped(
                Effect.flatMap(open(sparse, { timeoutMs: 600_000 }), (result) =>
                  Stream.runForEach(result.rows, () => Deferred.succeed(started, undefined))
                )
              )
            )
            // The first rows are there; the others are hours away.
            yield* Deferred.await(started)
            yield* stillAnswers
            expect(Exit.isInterrupted(yield* Fiber.interrupt(fiber))).toBe(true)
          }
          yield* stillAnswers
        })
      )

    it.effect("says whose fault a failure is, in Snowflake's codes", () =>
      Effect.gen(function* () {
        const failures: ReadonlyArray<readonly [string, string, string]> = [
          ["SELECT 1 FROM", "InvalidStatement", "001003"],
          ["SELEC 1", "InvalidStatement", "001003"],
          ["SELECT NO_SUCH_FUNCTION(1)", "InvalidStatement", "002140"],
          ["SELECT CAST('x' AS INTEGER)", "InvalidStatement", "100038"],
          ["SELECT NO_SUCH_COLUMN FROM SNOWGUARD_SAMPLE.PUBLIC.ORDERS", "InvalidStatement", "000904"],
          ["SELECT o.NO_SUCH_COLUMN FROM SNOWGUARD_SAMPLE.PUBLIC.ORDERS o", "InvalidStatement", "000904"],
          ["WITH t AS (SELECT 1 AS a) SELECT t.NO_SUCH_COLUMN FROM t", "InvalidStatement", "000904"],
          ["SELECT UPPER('a', 'b')", "InvalidStatement", "001044"],
          ["SELECT CAST('x' AS NUMBER)", "InvalidStatement", "100038"],
          ["SELECT * FROM SNOWGUARD_SAMPLE.PUBLIC.NO_SUCH_TABLE", "NotFound", "002003"],
          ["DESCRIBE TABLE SNOWGUARD_SAMPLE.PUBLIC.NO_SUCH_TABLE", "NotFound", "002003"],
          ["SHOW TABLES IN DATABASE NO_SUCH_DATABASE", "NotFound", "002043"]
        ]
        for (const [sql, reason, code] of failures) {
          const error = yield* failure(sql)
          expect([sql, error.reason, error.code]).toEqual([sql, reason, code])
          expect(error.description).not.toMatch(/LINE \d|\^|memory\.|sg_|Values list|DuckDB|Catalog Error/)
          expect(error.queryId).toMatch(/^[0-9a-f-]{36}$/)
        }
      })
    )

    it.effect("offers the nearest names for one that is not there", () =>
      Effect.gen(function* () {
        const suggestions: ReadonlyArray<readonly [string, string]> = [
          ["SELECT * FROM SNOWGUARD_SAMPLE.PUBLIC.ORDER", "SNOWGUARD_SAMPLE.PUBLIC.ORDERS"],
          ["SELECT * FROM CUSTMERS", "SNOWGUARD_SAMPLE.PUBLIC.CUSTOMERS"],
          ["SELECT * FROM SNOWGUARD_SAMPLE.PUBLIC.EVENTS", "SNOWGUARD_SAMPLE.WEB.EVENTS"],
          ["SELECT * FROM SNOWGUARD_SAMPLE.WEBB.EVENTS", "SNOWGUARD_SAMPLE.WEB"],
          ["SELECT * FROM SNOWGARD_SAMPLE.PUBLIC.ORDERS", "SNOWGUARD_SAMPLE"],
          ["DESCRIBE VIEW SNOWGUARD_SAMPLE.PUBLIC.ORDER_SUMARY", "SNOWGUARD_SAMPLE.PUBLIC.ORDER_SUMMARY"],
          ["SHOW SCHEMAS IN DATABASE SNOWGUARD_SAMPEL", "SNOWGUARD_SAMPLE"],
          ["SELECT CUSTOMERID FROM SNOWGUARD_SAMPLE.PUBLIC.ORDERS", "CUSTOMER_ID"],
          ["SELECT o.CUSTOMERID FROM SNOWGUARD_SAMPLE.PUBLIC.ORDERS o", "CUSTOMER_ID"],
          ["SELECT s.CUSTOMERNAME FROM SNOWGUARD_SAMPLE.PUBLIC.ORDER_SUMMARY s", "CUSTOMER_NAME"]
        ]
        for (const [sql, nearest] of suggestions) {
          const error = yield* failure(sql)
          expect([sql, error.suggestions?.[0]]).toEqual([sql, nearest])
          expect(error.suggestions!.length).toBeLessThanOrEqual(3)
        }
      })
    )
  })
}
