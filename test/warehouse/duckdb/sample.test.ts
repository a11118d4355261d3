import { expect } from "@effect/vitest"
import { Chunk, Effect, Stream } from "effect"
import * as Sample from "../../../src/warehouse/duckdb/sample.js"
import { Warehouse } from "../../../src/warehouse/Warehouse.js"
import * as DuckDb from "../../../src/warehouse/DuckDb.js"
import { withLayer } from "../../utils/withLayer.js"

const read = (sql: string) =>
  Effect.scoped(
    Effect.gen(function* () {
      const warehouse = yield* Warehouse
      const result = yield* warehouse.execute({ sql, timeoutMs: 20_000, requestId: "sample" })
      return Chunk.toReadonlyArray(yield* Stream.runCollect(result.rows)).flat()
    })
  )

/** Queries that count what must not be there. */
const faults: Readonly<Record<string, string>> = {
  "orders without a customer": "ORDERS o ANTI JOIN CUSTOMERS c USING (CUSTOMER_ID)",
  "orders before their customer signed up":
    "ORDERS o JOIN CUSTOMERS c USING (CUSTOMER_ID) WHERE o.ORDERED_AT < c.SIGNED_UP_AT",
  "orders without lines": "ORDERS ANTI JOIN ORDER_LINES USING (ORDER_ID)",
  "lines without an order": "ORDER_LINES ANTI JOIN ORDERS USING (ORDER_ID)",
  "lines without a product": "ORDER_LINES ANTI JOIN PRODUCTS USING (PRODUCT_ID)",
  "products twice in an order":
    "(SELECT ORDER_ID FROM ORDER_LINES GROUP BY ORDER_ID, PRODUCT_ID HAVING COUNT(*) > 1)",
  "lines that are not quantity times price": "ORDER_LINES WHERE LINE_AMOUNT <> QUANTITY * UNIT_PRICE",
  "totals that are not the sum of their lines":
    "(SELECT ORDER_ID, SUM(LINE_AMOUNT) AS S FROM ORDER_LINES GROUP BY 1) JOIN ORDERS USING (ORDER_ID) WHERE S <> TOTAL_AMOUNT",
  "orders shipped too early or not as their status says":
    "ORDERS WHERE SHIPPED_AT <= ORDERED_AT OR (SHIPPED_AT IS NULL) <> (STATUS IN ('PENDING', 'CANCELLED'))",
  "orders out of sequence":
    "(SELECT ORDERED_AT < LAG(ORDERED_AT) OVER (ORDER BY ORDER_ID) AS B FROM ORDERS) WHERE B",
  "products sold below cost": "PRODUCTS WHERE UNIT_COST >= UNIT_PRICE",
  "events without a customer of that number":
    "WEB.EVENTS e ANTI JOIN CUSTOMERS USING (CUSTOMER_ID) WHERE CUSTOMER_ID IS NOT NULL",
  "addresses used twice": "(SELECT EMAIL FROM CUSTOMERS GROUP BY 1 HAVING COUNT(*) > 1)",
  "days outside 2025 and 2026": "ORDERS WHERE YEAR(ORDERED_AT) NOT IN (2025, 2026)"
}

withLayer(DuckDb.layer())("sample data", (it) => {
  for (const [name, from] of Object.entries(faults)) {
    it.effect(`has no ${name}`, () =>
      Effect.map(read(`SELECT COUNT(*) FROM ${from}`), (rows) => expect(rows).toEqual([[0]]))
    )
  }

  it.effect("is of the documented size, with some NULLs", () =>
    Effect.gen(function* () {
      const counts = yield* read(
        `SELECT (SELECT COUNT(*) FROM CUSTOMERS), (SELECT COUNT(*) FROM PRODUCTS), (SELECT COUNT(*) FROM ORDERS),
           (SELECT COUNT(*) FROM WEB.EVENTS), (SELECT COUNT(*) BETWEEN 40000 AND 50000 FROM ORDER_LINES)`
      )
      expect(counts).toEqual([[5000, 120, 20_000, 100_000, true]])
      const nulls = yield* read(
        "SELECT COUNT_IF(BIRTH_DATE IS NULL) BETWEEN 500 AND 1500, COUNT_IF(NEWSLETTER IS NULL) BETWEEN 300 AND 1000 FROM CUSTOMERS"
      )
      expect(nulls).toEqual([[true, true]])
    })
  )

  it.effect("is the same every time", () =>
    Effect.gen(function* () {
      const [here] = yield* read(
        "SELECT SUM(TOTAL_AMOUNT), COUNT(DISTINCT CUSTOMER_ID), MAX(ORDERED_AT) FROM ORDERS"
      )
      const [there] = yield* Effect.provide(
        read("SELECT SUM(TOTAL_AMOUNT), COUNT(DISTINCT CUSTOMER_ID), MAX(ORDERED_AT) FROM ORDERS"),
        DuckDb.layer({ threads: 1 })
      )
      expect(there).toEqual(here)
    })
  )

  it.effect("says of every table, every column of a table and every view what it is", () =>
    Effect.gen(function* () {
      for (const table of Sample.tables) {
        const rows = yield* read(`DESCRIBE TABLE ${Sample.database}.${table.schema}.${table.name}`)
        expect(rows.map((row) => [row[0], row[9]])).toEqual(
          table.columns.map((column) => [column.name, column.comment])
        )
        expect(rows.filter((row) => row[5] === "Y").map((row) => row[0])).toEqual(table.primaryKey)
      }
      const views = yield* read("SHOW VIEWS")
      expect(views.map((row) => row[6])).toEqual(
        expect.arrayContaining(Sample.views.map((view) => view.comment))
      )
    })
  )

  it.effect("answers its views", () =>
    Effect.gen(function* () {
      expect(yield* read("SELECT COUNT(*), SUM(TOTAL_AMOUNT) FROM ORDER_SUMMARY")).toEqual(
        yield* read("SELECT COUNT(*), SUM(TOTAL_AMOUNT) FROM ORDERS")
      )
      expect(yield* read("SELECT COUNT(*) FROM CUSTOMER_LIFETIME_VALUE")).toEqual([[5000]])
      expect(yield* read("SELECT SUM(PURCHASES) FROM WEB.DAILY_FUNNEL")).toEqual(
        yield* read("SELECT COUNT(*) FROM WEB.EVENTS WHERE EVENT_TYPE = 'purchase'")
      )
    })
  )
})
