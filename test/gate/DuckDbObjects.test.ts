import { expect } from "@effect/vitest"
import { Effect, Either } from "effect"
import { functions, translate } from "../../src/warehouse/duckdb/dialect/snowflake.js"
import * as ReadOnly from "../../src/gate/ReadOnly.js"
import { embeddedGate } from "../utils/embeddedGate.js"
import { withLayer } from "../utils/withLayer.js"

const policy: ReadOnly.Policy = {
  allowFunctions: [],
  objects: { allow: [], deny: ["D.PUBLIC.SECRET", "D.PUBLIC.BANK", 'D.PUBLIC."\u00C4"'] },
  database: "D"
}

const roads = [
  "SELECT * FROM secret",
  'SELECT * FROM "Secret"',
  "SELECT * FROM d.public.SECRET",
  'SELECT * FROM "d"."Public"."secret"',
  "SELECT * FROM public.secret",
  "SELECT * FROM d.secret",
  "FROM secret",
  "FROM secret SELECT 1",
  "TABLE secret",
  "SUMMARIZE secret",
  "DESCRIBE secret",
  "DESCRIBE TABLE secret",
  "DESCRIBE VIEW d.public.secret",
  "EXPLAIN SELECT * FROM secret",
  "SELECT * FROM a, secret",
  "SELECT * FROM a ASOF JOIN secret USING (x)",
  "SELECT * FROM (a JOIN secret ON true)",
  "SELECT (SELECT max(x) FROM secret)",
  "SELECT 1 WHERE EXISTS (FROM secret)",
  "SELECT list_transform([1], x -> (SELECT max(y) FROM secret))",
  "SELECT a FROM b ORDER BY (SELECT x FROM secret)",
  "SELECT a FROM b LIMIT (SELECT x FROM secret)",
  "SELECT 1 UNION ALL FROM secret",
  "WITH x AS (FROM secret) FROM x",
  "WITH secret AS (SELECT * FROM secret) FROM secret",
  "WITH RECURSIVE secret AS (SELECT * FROM secret UNION ALL SELECT * FROM secret) FROM secret",
  "WITH RECURSIVE x AS (FROM secret), secret AS (SELECT 1) FROM x",
  // To DuckDB the name of the CTE is another one, and the table is read.
  'WITH "secret" AS (SELECT 1) SELECT * FROM secret',
  'WITH x AS (SELECT 1 AS "secret") SELECT * FROM x, SECRET',
  'WITH SECRET AS (SELECT 1) SELECT * FROM "Secret"',
  "SELECT * FROM (WITH secret AS (SELECT 1) FROM secret) a, secret",
  // The Kelvin sign is no K to DuckDB, nor the long s an S: JavaScript's lower and upper case make them one.
  'WITH "BAN\u212A" AS (SELECT 1) SELECT * FROM BANK',
  'WITH RECURSIVE "BAN\u212A" AS (SELECT 1 UNION ALL SELECT * FROM BANK) FROM "BAN\u212A"',
  'WITH "\u017FECRET" AS (SELECT 1) SELECT * FROM SECRET',
  'WITH "\u00E4" AS (SELECT 1) SELECT * FROM "\u00C4"',
  "SELECT * FROM secret PIVOT (sum(a) FOR b IN (1))",
  "SHOW TABLES",
  "SHOW COLUMNS IN TABLE secret",
  "SELECT * FROM INFORMATION_SCHEMA.TABLES",
  "SELECT * FROM d.INFORMATION_SCHEMA.COLUMNS",
  'SELECT * FROM d."_SNOWGUARD_INFORMATION_SCHEMA".TABLES',
  "SELECT * FROM d.information_schema.databases"
]

withLayer(embeddedGate({ functions, translate }))("the DuckDB gate with rules about objects", (it) => {
  const check = (sql: string, own: Partial<ReadOnly.Policy> = {}) =>
    Effect.flatMap(ReadOnly.ReadOnly, (gate) => Effect.either(gate.check(sql, { ...policy, ...own })))

  it.effect("refuses functions that read by a name in a string, unless an operator allows them", () =>
    Effect.gen(function* () {
      for (const sql of [
        "SELECT GET_DDL('TABLE', 'd.public.secret')",
        "SELECT GET_DDL('TABLE', 'SECRET') AS ddl",
        "SELECT (SELECT get_ddl('VIEW', 'secret'))"
      ]) {
        expect([sql, yield* check(sql)]).toMatchObject([sql, { left: { code: "FUNCTION_NOT_ALLOWED" } }])
        expect(Either.isRight(yield* check(sql, { objects: undefined }))).toBe(true)
        expect(Either.isRight(yield* check(sql, { allowFunctions: ["GET_DDL"] }))).toBe(true)
      }
    })
  )

  it.effect("refuses every road to a table that is denied", () =>
    Effect.gen(function* () {
      for (const sql of roads) {
        const verdict = yield* check(sql)
        expect([sql, Either.isLeft(verdict) ? verdict.left.code : "accepted"]).toEqual([
          sql,
          "OBJECT_NOT_ALLOWED"
        ])
      }
    })
  )

  it.effect("accepts what is beside it", () =>
    Effect.gen(function* () {
      for (const sql of [
        "SELECT secret FROM orders",
        "SELECT * FROM d.public.orders o JOIN orders p ON o.secret = p.secret",
        "WITH x AS (SELECT 1) FROM x",
        "WITH RECURSIVE x AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM x WHERE n < 5) FROM x",
        "SELECT * FROM d2.information_schema.tables",
        "SELECT * FROM range(3)",
        "DESCRIBE TABLE orders"
      ]) {
        expect([sql, Either.isRight(yield* check(sql))]).toEqual([sql, true])
      }
    })
  )

  it.effect("does not say what a view reads that tells the values of a type", () =>
    Effect.gen(function* () {
      const { readsOf } = yield* ReadOnly.ReadOnly
      for (const [query, isTold] of [
        ["SELECT * FROM orders PIVOT (max(id) FOR state IN states)", false],
        ["SELECT * FROM (DESCRIBE orders)", false],
        ["SELECT 1 WHERE EXISTS (FROM (SUMMARIZE orders))", false],
        ["SELECT * FROM d.Information_Schema.columns", false],
        ["SELECT * FROM orders PIVOT (max(id) FOR state IN ('a', 'b'))", true],
        ['SELECT * FROM columns, "information_schema"', true]
      ] as const) {
        const reads = yield* Effect.either(readsOf!(`CREATE VIEW v AS ${query}`, ["D", "PUBLIC", "V"]))
        expect([query, Either.isRight(reads)]).toEqual([query, isTold])
      }
    })
  )

  it.effect("takes the main schema alone for PUBLIC in the text of a view", () =>
    Effect.gen(function* () {
      const { readsOf } = yield* ReadOnly.ReadOnly
      const tables = (name: string) =>
        Effect.map(readsOf!(`CREATE VIEW v AS FROM ${name}`, ["D", "S", "V"]), (reads) => reads.tables)
      expect(yield* tables("t")).toEqual([
        [
          ["D", "S", "T"],
          ["D", "PUBLIC", "T"]
        ]
      ])
      expect(yield* tables("Main.t")).toEqual([
        [
          ["D", "PUBLIC", "T"],
          ["MAIN", "PUBLIC", "T"]
        ]
      ])
      expect(yield* tables("d.main.t")).toEqual([[["D", "PUBLIC", "T"]]])
      expect(yield* tables('d."ma\u0131n".t')).toEqual([[["D", "MAIN", "T"]]])
    })
  )

  it.effect("accepts only what is allowed, where something is, also by the name of nobody's schema", () =>
    Effect.gen(function* () {
      const own = { objects: { allow: ["d.public.orders"], deny: [] } }
      expect(yield* check("SELECT * FROM orders", own)).toMatchObject({ _tag: "Right" })
      for (const sql of [
        ...roads,
        "SELECT * FROM others",
        "SELECT * FROM x.orders",
        "SELECT * FROM d.x.orders"
      ]) {
        expect([sql, Either.isLeft(yield* check(sql, own))]).toEqual([sql, true])
      }
      expect(yield* check("SELECT * FROM orders", { ...own, database: undefined })).toMatchObject({
        left: { reason: "it is not known which database and schema orders is in; write DB.SCHEMA.TABLE" }
      })
    })
  )
})
