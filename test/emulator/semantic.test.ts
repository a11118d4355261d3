import { expect } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { sample } from "../../src/emulator/semantic.js"
import { withLayer } from "../utils/withLayer.js"
import * as Driver from "./driver.js"
import * as Shared from "./shared.js"

const full = "SNOWGUARD_SAMPLE.PUBLIC.SALES_ANALYSIS"

const names = ({ statement }: Driver.Answer) =>
  (statement.getColumns() ?? []).map((column) => column.getName())

const ask = (sql: string) =>
  Effect.gen(function* () {
    return yield* Driver.query(yield* Driver.connect(yield* Shared.Shared), sql)
  })

const rows = (sql: string) => Effect.map(ask(sql), (answer) => answer.rows)

/** The metrics of the sample as they are computed by hand, over the tables that stand behind them. */
const joined = "FROM orders o LEFT JOIN customers c ON o.customer_id = c.customer_id"
const dimensions = [
  { name: "customers.country", by: "c.country", ofCustomers: true },
  { name: "customers.customer_segment", by: "c.segment", ofCustomers: true },
  { name: "orders.order_status", by: "o.status", ofCustomers: false },
  { name: "order_year", by: "YEAR(o.ordered_at)", ofCustomers: false }
]
const metrics = [
  { name: "orders.revenue", by: `SUM(o.total_amount)`, from: joined },
  { name: "order_count", by: "COUNT(o.order_id)", from: joined },
  { name: "orders.average_order_value", by: "AVG(o.total_amount)", from: joined },
  { name: "customers.customer_count", by: "COUNT(c.customer_id)", from: "FROM customers c" }
]

withLayer(Shared.layer({}))("semantic views of the emulator", (it) => {
  it.effect("are listed with Snowflake's columns, in full and in short", () =>
    Effect.gen(function* () {
      const whole = yield* ask("SHOW SEMANTIC VIEWS IN DATABASE snowguard_sample")
      expect(names(whole)).toEqual(
        "created_on name database_name schema_name comment owner owner_role_type extension".split(" ")
      )
      expect(whole.rows.map((row) => row.slice(1, 4))).toEqual([
        ["SALES_ANALYSIS", "SNOWGUARD_SAMPLE", "PUBLIC"]
      ])
      const short = yield* ask(`SHOW TERSE SEMANTIC VIEWS LIKE 'sales%' IN SCHEMA public`)
      expect(names(short)).toEqual(["created_on", "name", "kind", "database_name", "schema_name"])
      expect(short.rows[0]?.[2]).toBe("SEMANTIC_VIEW")
      expect(yield* rows("SHOW SEMANTIC VIEWS LIKE 'x%'")).toEqual([])
      expect(yield* rows("SHOW SEMANTIC VIEWS IN SCHEMA snowguard_sample.web")).toEqual([])
      expect(yield* Effect.flip(rows("SHOW SEMANTIC VIEWS IN DATABASE nowhere"))).toMatchObject({
        code: "002043"
      })
    })
  )

  it.effect("are described property by property, in Snowflake's form", () =>
    Effect.gen(function* () {
      const described = yield* ask("DESCRIBE SEMANTIC VIEW sales_analysis")
      expect(names(described)).toEqual([
        ...["object_kind", "object_name", "parent_entity", "property", "property_value"]
      ])
      expect(described.rows).toEqual(
        expect.arrayContaining([
          [null, null, null, "COMMENT", sample.comment],
          ["TABLE", "ORDERS", null, "BASE_TABLE_NAME", "ORDERS"],
          ["TABLE", "ORDERS", null, "PRIMARY_KEY", '["ORDER_ID"]'],
          ["RELATIONSHIP", "ORDERS_TO_CUSTOMERS", "ORDERS", "REF_TABLE", "CUSTOMERS"],
          ["DIMENSION", "COUNTRY", "CUSTOMERS", "SYNONYMS", '["nation","market"]'],
          ["METRIC", "REVENUE", "ORDERS", "EXPRESSION", "SUM(orders.order_amount)"],
          ["FACT", "DISCOUNT_CODE", "ORDERS", "ACCESS_MODIFIER", "PRIVATE"],
          ["DERIVED_METRIC", "REVENUE_PER_CUSTOMER", null, "DATA_TYPE", "NUMBER(38,8)"],
          [
            "AI_VERIFIED_QUERY",
            "REVENUE_BY_COUNTRY",
            null,
            "QUESTION",
            "Which countries bring the most revenue?"
          ]
        ])
      )
      expect(yield* Effect.flip(rows("DESC SEMANTIC VIEW orders"))).toMatchObject({ code: "002003" })
    })
  )

  it.effect("list their members, and the dimensions that go with a metric", () =>
    Effect.gen(function* () {
      const names = (sql: string) => Effect.map(rows(sql), (all) => all.map((row) => row[4]))
      expect(yield* names("SHOW SEMANTIC METRICS IN sales_analysis")).toEqual(
        sample.members.filter(({ kind }) => kind === "METRIC").map(({ name }) => name)
      )
      expect(yield* names(`SHOW SEMANTIC FACTS IN ${full} STARTS WITH 'ORDER'`)).toEqual(["ORDER_AMOUNT"])
      const near = yield* rows("SHOW SEMANTIC DIMENSIONS IN sales_analysis FOR METRIC customer_count")
      expect(near.map((row) => row[0])).toEqual(["CUSTOMERS", "CUSTOMERS", "CUSTOMERS"])
    })
  )

  it.effect("answer each metric by each dimension as the same query of the tables does", () =>
    Effect.gen(function* () {
      let compared = 0
      for (const metric of metrics) {
        for (const dimension of dimensions) {
          if (metric.name.endsWith("customer_count") && !dimension.ofCustomers) continue
          const semantic = yield* rows(
            `SELECT * FROM SEMANTIC_VIEW(${full} DIMENSIONS ${dimension.name} METRICS ${metric.name}) ORDER BY 1`
          )
          expect(semantic).toEqual(
            yield* rows(`SELECT ${dimension.by}, ${metric.by} ${metric.from} GROUP BY 1 ORDER BY 1`)
          )
          expect(semantic.length).toBeGreaterThan(1)
          compared++
        }
      }
      expect(compared).toBe(14)
    })
  )

  it.effect(
    "filter before they aggregate, in expressions, aliases, stars and the order that is asked for",
    () =>
      Effect.gen(function* () {
        const filtered = yield* ask(
          `SELECT * FROM SEMANTIC_VIEW(sales_analysis METRICS revenue r, orders.order_count AS n
          DIMENSIONS DATE_TRUNC('month', orders.order_date) AS month
          WHERE orders.order_date >= '2026-01-01' AND (country = 'Germany' OR country = 'Japan')) ORDER BY month`
        )
        expect(names(filtered)).toEqual(["R", "N", "MONTH"])
        expect(filtered.rows).toEqual(
          yield* rows(
            `SELECT SUM(o.total_amount), COUNT(*), DATE_TRUNC('month', TO_DATE(o.ordered_at)) ${joined}
           WHERE o.ordered_at >= '2026-01-01' AND c.country IN ('Germany', 'Japan') GROUP BY 3 ORDER BY 3`
          )
        )
        const starred = yield* ask(
          "SELECT * FROM SEMANTIC_VIEW(sales_analysis DIMENSIONS customers.* METRICS customers.*) ORDER BY ALL LIMIT 1"
        )
        expect(names(starred)).toEqual(["COUNTRY", "CUSTOMER_SEGMENT", "CUSTOMER_NAME", "CUSTOMER_COUNT"])
        const [[twice, sum] = []] = yield* rows(
          "SELECT * FROM SEMANTIC_VIEW(sales_analysis METRICS (orders.revenue + 0) * 2 AS twice, SUM(order_amount) AS sum)"
        )
        expect(twice).toBe(2 * Number(sum))
      })
  )

  it.effect("compute metrics of two tables each over its own rows, and what is derived from both", () =>
    Effect.gen(function* () {
      const all = yield* rows(
        `SELECT * FROM SEMANTIC_VIEW(sales_analysis DIMENSIONS country
          METRICS orders.revenue, customers.customer_count, revenue_per_customer) ORDER BY 1`
      )
      const byHand = yield* rows(
        `SELECT c.country, SUM(o.total_amount), COUNT(DISTINCT c.customer_id)
         FROM customers c LEFT JOIN orders o ON o.customer_id = c.customer_id GROUP BY 1 ORDER BY 1`
      )
      expect(all.map((row) => row.slice(0, 3))).toEqual(byHand)
      for (const [, revenue, customers, each] of all) {
        expect(Number(each)).toBeCloseTo(Number(revenue) / Number(customers), 6)
      }
    })
  )

  it.effect("give facts row by row, and are a relation like any other", () =>
    Effect.gen(function* () {
      const semantic = yield* rows(
        `WITH large AS (SELECT * FROM SEMANTIC_VIEW(sales_analysis FACTS orders.order_amount
          WHERE orders.order_amount > 1500) AS f (amount))
         SELECT COUNT(*), SUM(amount) FROM large JOIN (SELECT 1 AS one) ON one = 1`
      )
      expect(semantic).toEqual(
        yield* rows("SELECT COUNT(*), SUM(total_amount) FROM orders WHERE total_amount > 1500")
      )
    })
  )

  it.effect("are queried by their name with AGG", () =>
    Effect.gen(function* () {
      const plain = yield* ask(
        "SELECT country, AGG(revenue) * 2 AS twice, AGG(revenue) FROM sales_analysis AS s WHERE country LIKE 'G%' GROUP BY country HAVING AGG(order_count) > 1"
      )
      expect(names(plain)).toEqual(["COUNTRY", "TWICE", "AGG(REVENUE)"])
      const [[, revenue] = []] = yield* rows(
        "SELECT * FROM SEMANTIC_VIEW(sales_analysis DIMENSIONS country METRICS revenue WHERE country = 'Germany')"
      )
      expect(plain.rows).toEqual([["Germany", 2 * Number(revenue), revenue]])
    })
  )

  for (const [what, sql, code] of [
    ["a dimension that is finer than the metric", "DIMENSIONS order_date METRICS customer_count", "010234"],
    ["metrics beside facts", "METRICS revenue FACTS order_amount", "010234"],
    ["nothing", "", "010234"],
    ["a private fact", "FACTS orders.discount_code", "000904"],
    ["a column that is no member", "DIMENSIONS customers.email", "000904"],
    ["such a column without its table", "DIMENSIONS email", "000904"],
    ["a metric as a dimension", "DIMENSIONS revenue", "010234"]
  ] as const) {
    it.effect(`refuse ${what}`, () =>
      Effect.gen(function* () {
        const failed = yield* Effect.flip(rows(`SELECT * FROM SEMANTIC_VIEW(sales_analysis ${sql})`))
        expect(failed).toMatchObject({ code })
      })
    )
  }
})

withLayer(
  Shared.layer({
    directory: {
      users: {
        ANA: { password: "p", roles: ["SALES"], defaultSecondaryRoles: "NONE" },
        BEN: { password: "p", roles: ["VIEWER"], defaultSecondaryRoles: "NONE" }
      },
      roles: {
        SALES: { reads: ["SNOWGUARD_SAMPLE.PUBLIC.ORDERS"] },
        VIEWER: { reads: [full] }
      }
    }
  })
)("semantic views of an account with grants", (it) => {
  const asked = (username: string, sql: string) =>
    Effect.gen(function* () {
      const connection = yield* Driver.connect(yield* Shared.Shared, { username, password: "p" })
      return yield* Effect.either(Driver.rows(connection, sql))
    })
  const metric = `SELECT * FROM SEMANTIC_VIEW(${full} METRICS orders.revenue)`

  it.effect("are not listed, described or queried where no role may read them", () =>
    Effect.gen(function* () {
      expect(yield* asked("ANA", "SHOW SEMANTIC VIEWS IN ACCOUNT")).toMatchObject({ right: [] })
      for (const sql of [metric, `DESCRIBE SEMANTIC VIEW ${full}`, `SELECT AGG(revenue) FROM ${full}`]) {
        expect(yield* asked("ANA", sql)).toMatchObject({ left: { code: "002003" } })
      }
    })
  )

  it.effect("are read without a grant on their tables, which stay closed beside them", () =>
    Effect.gen(function* () {
      expect(yield* asked("BEN", metric)).toMatchObject({ right: [[7476704.3]] })
      const beside = `${metric} v JOIN SNOWGUARD_SAMPLE.PUBLIC.CUSTOMERS c ON TRUE`
      expect(yield* asked("BEN", beside)).toMatchObject({ left: { code: "002003" } })
    })
  )
})
