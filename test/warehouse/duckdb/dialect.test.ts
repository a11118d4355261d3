/**
 * Everyday queries in Snowflake's SQL, answered by DuckDB through the macros and the translation.
 */
import { expect } from "@effect/vitest"
import { Chunk, Effect, Stream } from "effect"
import { names } from "../../../src/warehouse/duckdb/dialect/library.js"
import type { Cell } from "../../../src/warehouse/Warehouse.js"
import { Warehouse } from "../../../src/warehouse/Warehouse.js"
import * as DuckDb from "../../../src/warehouse/DuckDb.js"
import { withLayer } from "../../utils/withLayer.js"

const read = (sql: string) =>
  Effect.scoped(
    Effect.gen(function* () {
      const warehouse = yield* Warehouse
      const result = yield* warehouse.execute({ sql, timeoutMs: 20_000, requestId: "dialect" })
      const chunks = yield* Stream.runCollect(result.rows)
      return { ...result, values: Chunk.toReadonlyArray(chunks).flat() }
    })
  )

/** A list of expressions and the row they make. */
const expressions: Readonly<Record<string, ReadonlyArray<readonly [string, Cell]>>> = {
  conditions: [
    ["IFF(1 = 1, 'a', 'b')", "a"],
    ["NVL(NULL, 2)", 2],
    ["NVL2(NULL, 1, 2)", 2],
    ["ZEROIFNULL(NULL)", 0],
    ["NULLIFZERO(0)", null],
    ["DECODE(3, 1, 'a', 3, 'c', 'z')", "c"],
    ["DECODE(NULL, NULL, 'same', 'z')", "same"],
    ["EQUAL_NULL(NULL, NULL)", true],
    ["DIV0(1, 0)", "0.000000"],
    ["DIV0NULL(1, NULL)", "0.000000"],
    ["'abc' ILIKE ANY ('X%', 'A%')", true],
    ["'abc' NOT LIKE ALL ('a%', '%c')", false],
    ["'abc' RLIKE 'a.*'", true]
  ],
  numbers: [
    ["SQUARE(3)", 9],
    ["TRUNC(1.239, 2)", "1.23"],
    ["BITAND(6, 3)", 2],
    ["BITXOR(6, 3)", 5],
    ["WIDTH_BUCKET(5, 0, 10, 5)", 3],
    ["'12.6'::NUMBER", 13],
    ["'1.25'::NUMBER(10,1)", "1.3"],
    ["TO_NUMBER('12.4')", 12],
    ["TRY_TO_NUMBER('x')", null],
    ["TRY_CAST('x' AS INT)", null],
    ["1::FLOAT / 4", 0.25]
  ],
  dates: [
    ["DATEADD(day, 7, '2025-01-31'::DATE)", "2025-02-07"],
    ["DATEADD('month', 1, DATE '2025-01-31')", "2025-02-28"],
    ["DATEADD(hour, -1, '2025-01-01')", "2024-12-31T23:00:00"],
    ["DATEADD(quarter, 2, DATE '2025-01-15')", "2025-07-15"],
    ["DATEDIFF(month, '2025-01-31', '2025-02-01')", 1],
    ["DATEDIFF('minute', '2025-01-01', '2025-01-02')", 1440],
    ["DATE_TRUNC(month, DATE '2025-02-14')", "2025-02-01"],
    ["DATE_TRUNC('hour', TIMESTAMP '2025-02-14 10:30:00')", "2025-02-14T10:00:00"],
    ["LAST_DAY(DATE '2024-02-03')", "2024-02-29"],
    ["LAST_DAY(DATE '2025-02-03', quarter)", "2025-03-31"],
    ["NEXT_DAY(DATE '2025-01-01', 'Friday')", "2025-01-03"],
    ["PREVIOUS_DAY(DATE '2025-01-01', 'we')", "2024-12-25"],
    ["ADD_MONTHS(DATE '2025-01-31', 1)", "2025-02-28"],
    ["DAYNAME(DATE '2025-01-01')", "Wed"],
    ["MONTHNAME(DATE '2025-01-01')", "Jan"],
    ["DATE_FROM_PARTS(2025, 2, 1)", "2025-02-01"],
    ["TO_DATE('31/12/2025', 'DD/MM/YYYY')", "2025-12-31"],
    ["TO_TIMESTAMP('05-Mar-2025 17:08:09', 'DD-MON-YYYY HH24:MI:SS')", "2025-03-05T17:08:09"],
    ["TRY_TO_DATE('2025-13-01', 'YYYY-MM-DD')", null],
    ["TO_TIMESTAMP(86400)", "1970-01-02T00:00:00"],
    [
      "TO_CHAR(TIMESTAMP '2025-03-05 17:08:09', 'YYYY/MM/DD HH12:MI AM, MON DY')",
      "2025/03/05 05:08 PM, Mar Wed"
    ],
    ["CONVERT_TIMEZONE('UTC', 'America/New_York', TIMESTAMP '2025-01-01 00:00:00')", "2024-12-31T19:00:00"],
    ["'2025-01-01'::TIMESTAMP_NTZ(9)", "2025-01-01T00:00:00"],
    ["'2025-01-01'::TIMESTAMP_LTZ", "2025-01-01T00:00:00Z"]
  ],
  texts: [
    ["CHARINDEX('b', 'abc')", 2],
    ["POSITION('b', 'abc')", 2],
    ["STARTSWITH('abc', 'a')", true],
    ["CONTAINS('abc', 'b')", true],
    ["INITCAP('hello big world')", "Hello Big World"],
    ["LPAD('7', 3, '0')", "007"],
    ["SPLIT('a-b', '-')", ["a", "b"]],
    ["STRTOK('a.b', '.', 2)", "b"],
    ["REGEXP_LIKE('abc', 'b')", false],
    ["REGEXP_SUBSTR('a1b22', '[0-9]+')", "1"],
    ["REGEXP_REPLACE('a1b2', '[0-9]', '#')", "a#b#"],
    ["REGEXP_COUNT('a1b2', '[0-9]')", 2],
    ["TO_CHAR(1234567.891, '9,999,990.00')", " 1,234,567.89"],
    ["TO_VARCHAR(5)", "5"],
    ["SHA2('a')", "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"],
    ["BASE64_DECODE_STRING(BASE64_ENCODE('hi'))", "hi"],
    ["INSERT('abcdef', 3, 2, 'zzz')", "abzzzef"]
  ],
  "semi-structured values": [
    [`PARSE_JSON('{"a":[1,{"b":"x"}]}'):a[1].b::STRING`, "x"],
    [`PARSE_JSON('{"a":[1,{"b":"x"}]}'):a::STRING`, '[1,{"b":"x"}]'],
    [`PARSE_JSON('{"a":5}'):a + 1`, 6],
    [`PARSE_JSON('{"a":5}'):b`, null],
    [`TRY_PARSE_JSON('{')`, null],
    [`GET(PARSE_JSON('[5,6]'), 1)`, 6],
    [`GET_PATH(PARSE_JSON('{"a":{"b":7}}'), 'a.b')`, 7],
    [`OBJECT_KEYS(PARSE_JSON('{"a":1,"b":2}'))`, ["a", "b"]],
    [`ARRAY_SIZE(PARSE_JSON('[1,2,3]'))`, 3],
    [`ARRAY_SIZE(PARSE_JSON('{}'))`, null],
    [`OBJECT_CONSTRUCT('a', 1, 'b', NULL, 'c', PARSE_JSON('{"d":[2]}'))`, { a: 1, c: { d: [2] } }],
    ["ARRAY_CONSTRUCT(1, 'a', NULL)", [1, "a", null]],
    ["ARRAY_CONTAINS('a'::VARIANT, ARRAY_CONSTRUCT('a', 'b'))", true],
    ["ARRAY_TO_STRING(ARRAY_CONSTRUCT(1, 'x'), '-')", "1-x"],
    ["ARRAY_SLICE(ARRAY_CONSTRUCT(1, 2, 3), 0, 2)", [1, 2]],
    [`TYPEOF(PARSE_JSON('{}'))`, "OBJECT"],
    [`TYPEOF(PARSE_JSON('1'))`, "INTEGER"],
    [`TO_JSON(PARSE_JSON('{"a": 1}'))`, '{"a":1}']
  ],
  session: [
    ["CURRENT_DATABASE()", "SNOWGUARD_SAMPLE"],
    ["CURRENT_SCHEMA()", "PUBLIC"],
    ["CURRENT_ROLE()", "SYSADMIN"],
    ["CURRENT_TIMESTAMP() >= GETDATE()", true]
  ]
}

const queries: ReadonlyArray<readonly [string, string, ReadonlyArray<ReadonlyArray<Cell>>]> = [
  ["TOP", "SELECT TOP 2 ORDER_ID FROM ORDERS ORDER BY 1 DESC", [[20000], [19999]]],
  [
    "QUALIFY",
    "SELECT ORDER_ID, LINE_NUMBER FROM ORDER_LINES WHERE ORDER_ID < 3 QUALIFY ROW_NUMBER() OVER (PARTITION BY ORDER_ID ORDER BY LINE_NUMBER DESC) = 1 ORDER BY 1",
    [
      [1, 2],
      [2, 3]
    ]
  ],
  [
    "a path into a VARIANT",
    "SELECT PAYLOAD:device.type::STRING AS T, PAYLOAD:cart[0].id FROM WEB.EVENTS WHERE EVENT_ID = 3",
    [["tablet", 104]]
  ],
  [
    "FLATTEN of a list",
    "SELECT f.INDEX, f.VALUE:id::INT FROM WEB.EVENTS e, LATERAL FLATTEN(INPUT => e.PAYLOAD:cart) f WHERE e.EVENT_ID = 3",
    [[0, 104]]
  ],
  [
    "FLATTEN of an object",
    "SELECT f.KEY FROM WEB.EVENTS e, TABLE(FLATTEN(e.PAYLOAD)) f WHERE e.EVENT_ID = 3 ORDER BY 1",
    [["cart"], ["device"]]
  ],
  [
    "FLATTEN in FLATTEN",
    "SELECT g.VALUE:quantity FROM WEB.EVENTS e, LATERAL FLATTEN(e.PAYLOAD) f, LATERAL FLATTEN(f.VALUE) g WHERE e.EVENT_ID = 3 AND f.KEY = 'cart'",
    [[3]]
  ],
  [
    "FLATTEN by a path",
    "SELECT f.VALUE:id FROM WEB.EVENTS e, LATERAL FLATTEN(INPUT => e.PAYLOAD, PATH => 'cart') f WHERE e.EVENT_ID = 3",
    [[104]]
  ],
  [
    "FLATTEN with OUTER",
    "SELECT e.EVENT_ID, f.VALUE FROM WEB.EVENTS e, LATERAL FLATTEN(INPUT => e.PAYLOAD:none, OUTER => TRUE) f WHERE e.EVENT_ID = 3",
    [[3, null]]
  ],
  [
    "LISTAGG",
    "SELECT LISTAGG(DISTINCT CATEGORY, '|') WITHIN GROUP (ORDER BY CATEGORY) FROM PRODUCTS",
    [["Accessories|Apparel|Camping|Footwear|Packs"]]
  ],
  [
    "ARRAY_AGG",
    "SELECT ARRAY_AGG(PRODUCT_ID) WITHIN GROUP (ORDER BY PRODUCT_ID DESC) FROM PRODUCTS WHERE PRODUCT_ID < 4",
    [[[3, 2, 1]]]
  ],
  [
    "RATIO_TO_REPORT",
    "SELECT RATIO_TO_REPORT(X) OVER () FROM (VALUES (1), (3)) AS T (X) ORDER BY 1",
    [["0.250000"], ["0.750000"]]
  ],
  [
    "VALUES",
    "SELECT * FROM VALUES (1, 'a'), (2, 'b') AS T (X, Y) ORDER BY X",
    [
      [1, "a"],
      [2, "b"]
    ]
  ],
  ["MINUS", "SELECT 1 MINUS SELECT 2", [[1]]],
  ["GENERATOR", "SELECT COUNT(*) FROM TABLE(GENERATOR(ROWCOUNT => 7))", [[7]]],
  ["SAMPLE", "SELECT COUNT(*) FROM ORDERS SAMPLE (10 ROWS)", [[10]]],
  ["NULL order", "SELECT X FROM (VALUES (1), (NULL), (2)) AS T (X) ORDER BY X DESC", [[null], [2], [1]]],
  [
    "an alias in GROUP BY",
    "SELECT IFF(TOTAL_AMOUNT > 100, 'big', 'small') AS SIZE, COUNT(*) > 0 FROM ORDERS GROUP BY SIZE ORDER BY 1",
    [
      ["big", true],
      ["small", true]
    ]
  ],
  [
    "INFORMATION_SCHEMA",
    "SELECT TABLE_NAME, ROW_COUNT FROM INFORMATION_SCHEMA.TABLES WHERE TABLE_SCHEMA = 'WEB' ORDER BY 1",
    [
      ["DAILY_FUNNEL", null],
      ["EVENTS", 100000]
    ]
  ],
  [
    "INFORMATION_SCHEMA of a database",
    "SELECT DATA_TYPE FROM SNOWGUARD_SAMPLE.INFORMATION_SCHEMA.COLUMNS WHERE TABLE_NAME = 'ORDERS' AND COLUMN_NAME = 'TOTAL_AMOUNT'",
    [["NUMBER"]]
  ]
]

withLayer(DuckDb.layer())("dialect", (it) => {
  for (const [group, list] of Object.entries(expressions)) {
    it.effect(`computes ${group}`, () =>
      Effect.gen(function* () {
        const { columns, values } = yield* read(`SELECT ${list.map(([sql]) => sql).join(", ")}`)
        expect(list.map(([sql], index) => [sql, values[0]?.[index]])).toEqual(
          list.map(([sql, cell]) => [sql, cell])
        )
        // Named by their text, as Snowflake does.
        expect(columns.map((column) => column.name)).toEqual(list.map(([sql]) => sql.toUpperCase()))
      })
    )
  }

  for (const [name, sql, rows] of queries) {
    it.effect(`understands ${name}`, () =>
      Effect.gen(function* () {
        const { values } = yield* read(sql)
        expect(values).toEqual(rows)
      })
    )
  }

  it.effect("reads the same names of the caller's inside a macro as outside", () =>
    Effect.gen(function* () {
      // A macro's own names are pasted into the statement; these would be mistaken for one another.
      const { values } = yield* read(
        `SELECT p.NAME ILIKE ANY ('%tent'), INITCAP(w.X), ARRAY_TO_STRING(e.X, '-'), sg.VALUE
         FROM PRODUCTS p, (SELECT 'ab' AS X) w, (SELECT PARSE_JSON('[1]') AS X) e, LATERAL FLATTEN(e.X) sg WHERE p.PRODUCT_ID = 1`
      )
      expect(values).toEqual([[true, "Ab", "1", 1]])
    })
  )

  it.effect("explains a query in Snowflake's three formats, without running it", () =>
    Effect.gen(function* () {
      const sql =
        "SELECT TOP 3 COUNTRY, COUNT(*) FROM CUSTOMERS WHERE SEGMENT = 'CLUB' GROUP BY 1 ORDER BY 2 DESC"
      const table = yield* read(`EXPLAIN ${sql}`)
      expect(table.columns.map((column) => column.name).slice(0, 5)).toEqual([
        "step",
        "id",
        "parentOperators",
        "operation",
        "objects"
      ])
      expect(table.values.map((row) => row[3])).toEqual(
        expect.arrayContaining(["GlobalStats", "Aggregate", "TableScan"])
      )
      expect(table.values.map((row) => row[4])).toContain("SNOWGUARD_SAMPLE.PUBLIC.CUSTOMERS")
      const json = yield* read(`EXPLAIN USING JSON ${sql}`)
      expect(JSON.parse(String(json.values[0]?.[0])).Operations[0][0]).toMatchObject({
        id: 0,
        operation: "SortWithLimit"
      })
      const text = yield* read("EXPLAIN USING TEXT SELECT count(*) FROM range(1000000000000)")
      expect(text.values[0]?.[0]).toContain("Aggregate")
    })
  )

  it.effect("lists every function that it adds", () =>
    Effect.gen(function* () {
      const { values } = yield* read(
        "SELECT DISTINCT UPPER(function_name) FROM duckdb_functions() WHERE database_name = 'memory' AND schema_name = 'main' AND NOT internal"
      )
      const known = new Set<Cell>(names)
      expect(values.map((row) => row[0] ?? null).filter((name) => !known.has(name))).toEqual([])
    })
  )
})
