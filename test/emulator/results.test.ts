import { expect } from "@effect/vitest"
import { Effect } from "effect"
import type { RowStatement } from "snowflake-sdk"
import * as Driver from "./driver.js"
import * as Shared from "./shared.js"
import { withLayer } from "../utils/withLayer.js"

const types = (statement: RowStatement) =>
  (statement.getColumns() ?? []).map((column) => [column.getName(), column.getType(), column.getScale()])

/** The driver's own kind of buffer, as text. */
const plain = (cell: unknown) => (Buffer.isBuffer(cell) ? cell.toString("hex") : cell)

withLayer(Shared.layer({ inlineRows: 100, chunkRows: 1000 }))(
  "results of the emulator, read by the driver",
  (it) => {
    it.effect("carry the values of every type as Snowflake does", () =>
      Effect.gen(function* () {
        const connection = yield* Driver.connect(yield* Shared.Shared)
        const sql = `SELECT 42 AS I, 12345678901234567890123456789012345678::NUMBER(38,0) AS BIG, 12.30::NUMBER(10,2) AS D,
          -0.5::FLOAT AS F, 'ä''\\n' AS S, TRUE AS B, FALSE AS B2, X'00ff' AS BIN, NULL AS N,
          '1969-12-31'::DATE AS DT, '01:02:03.5'::TIME AS T,
          '1969-12-31 23:59:58.25'::TIMESTAMP_NTZ AS NTZ, '2025-06-01 12:00:00'::TIMESTAMP_LTZ AS LTZ,
          '2025-06-01 10:00:00+00:00'::TIMESTAMP_TZ AS TZ, PARSE_JSON('{"a":[1,"x",null]}') AS V,
          OBJECT_CONSTRUCT('k', 1) AS O, [1, 2] AS A`
        const { rows, statement } = yield* Driver.query(connection, sql, {
          fetchAsString: ["Number", "Date"]
        })
        expect(types(statement)).toEqual([
          ["I", "fixed", 0],
          ["BIG", "fixed", 0],
          ["D", "fixed", 2],
          ["F", "real", null],
          ["S", "text", null],
          ["B", "boolean", null],
          ["B2", "boolean", null],
          ["BIN", "binary", null],
          ["N", expect.any(String), expect.anything()],
          ["DT", "date", null],
          ["T", "time", 9],
          ["NTZ", "timestamp_ntz", 9],
          ["LTZ", "timestamp_ltz", 9],
          ["TZ", "timestamp_tz", 9],
          ["V", "variant", null],
          ["O", "object", null],
          // Declared as what the engine keeps a computed array in; its values are an array's.
          ["A", "variant", null]
        ])
        expect(rows.map((row) => row.map(plain))).toEqual([
          [
            "42",
            "12345678901234567890123456789012345678",
            "12.30",
            "-0.5",
            "ä'\n",
            true,
            false,
            "00ff",
            null,
            "1969-12-31",
            "01:02:03.500000000",
            "1969-12-31 23:59:58.250000000",
            "2025-06-01 12:00:00.000000000 +0000",
            "2025-06-01 10:00:00.000000000 +0000",
            { a: [1, "x", null] },
            { k: 1 },
            [1, 2]
          ]
        ])
      })
    )

    it.effect("can be scanned again, NULLs in arrays and all", () =>
      Effect.gen(function* () {
        const connection = yield* Driver.connect(yield* Shared.Shared)
        const sql = "SELECT ARRAY_CONSTRUCT(1, NULL, 'undefined') AS A"
        const first = yield* Driver.query(connection, sql)
        expect(first.rows).toEqual([['[\n  1,\n  undefined,\n  "undefined"\n]']])
        const again = yield* Driver.query(
          connection,
          "SELECT A[0], A[2] FROM TABLE(RESULT_SCAN(LAST_QUERY_ID()))"
        )
        expect(again.rows.map((row) => row.map(String))).toEqual([["1", "undefined"]])
      })
    )

    it.effect("arrive complete and in order over several gzipped chunks", () =>
      Effect.gen(function* () {
        const emulator = yield* Shared.Shared
        const connection = yield* Driver.connect(emulator)
        const before = (yield* emulator.state).requests["Chunk"] ?? 0
        const rows = yield* Driver.rows(connection, "SELECT i AS N, 'row ' || i AS T FROM range(4321) t(i)")
        expect(rows.length).toBe(4321)
        expect(rows.every((row, index) => row[0] === index && row[1] === `row ${index}`)).toBe(true)
        expect(((yield* emulator.state).requests["Chunk"] ?? 0) - before).toBe(5)
      })
    )

    it.effect("are capped by ROWS_PER_RESULTSET", () =>
      Effect.gen(function* () {
        const connection = yield* Driver.connect(yield* Shared.Shared)
        const rows = yield* Driver.rows(connection, "SELECT * FROM range(5000)", {
          parameters: { ROWS_PER_RESULTSET: 7 }
        })
        expect(rows.length).toBe(7)
      })
    )

    it.effect("can be read again by their query id, and queried with RESULT_SCAN", () =>
      Effect.gen(function* () {
        const connection = yield* Driver.connect(yield* Shared.Shared)
        const { statement } = yield* Driver.query(
          connection,
          "SELECT i AS N, DATEADD(day, i, '2025-01-01')::DATE AS D, i % 2 = 0 AS EVEN FROM range(3000) t(i)"
        )
        const queryId = statement.getQueryId()
        const again = yield* Effect.promise(() => connection.getResultsFromQueryId({ queryId, sqlText: "" }))
        expect((yield* Driver.rowsOf(again)).length).toBe(3000)
        const scanned = yield* Driver.rows(
          connection,
          `SELECT count(*) AS C, sum(N), max(D)::VARCHAR AS LAST, count_if(EVEN) FROM TABLE(RESULT_SCAN('${queryId}')) WHERE N >= ?`,
          { binds: [1000] }
        )
        expect(scanned).toEqual([[2000, 3_999_000, "2033-03-19", 1000]])
        yield* Driver.rows(connection, "SHOW TABLES IN DATABASE SNOWGUARD_SAMPLE")
        const names = yield* Driver.rows(
          connection,
          `SELECT "name", "rows" FROM TABLE(RESULT_SCAN(LAST_QUERY_ID())) WHERE "name" = 'ORDERS'`
        )
        expect(names).toEqual([["ORDERS", 20_000]])
      })
    )

    it.effect("of unknown ids do not exist", () =>
      Effect.gen(function* () {
        const connection = yield* Driver.connect(yield* Shared.Shared)
        const id = "01aaaaaa-0000-0000-0000-000000000000"
        const error = yield* Effect.flip(Driver.rows(connection, `SELECT * FROM TABLE(RESULT_SCAN('${id}'))`))
        expect(error).toMatchObject({ code: "000709", sqlState: "02000" })
      })
    )

    it.effect("answer metadata questions from the catalog", () =>
      Effect.gen(function* () {
        const connection = yield* Driver.connect(yield* Shared.Shared)
        const { rows, statement } = yield* Driver.query(
          connection,
          "SHOW VIEWS IN SCHEMA SNOWGUARD_SAMPLE.PUBLIC"
        )
        expect(rows.map((row) => row[1])).toEqual(["CUSTOMER_LIFETIME_VALUE", "ORDER_SUMMARY"])
        expect(statement.getColumns()?.[0]?.getType()).toBe("timestamp_ltz")
        const described = yield* Driver.rows(connection, "DESCRIBE TABLE PUBLIC.ORDERS")
        expect(described[0]?.slice(0, 2)).toEqual(["ORDER_ID", "NUMBER(38,0)"])
        const ddl = yield* Driver.rows(connection, "SELECT GET_DDL('VIEW', 'PUBLIC.ORDER_SUMMARY')")
        expect(ddl[0]?.[0]).toMatch(/^CREATE OR REPLACE VIEW ORDER_SUMMARY/)
        const tables = yield* Driver.rows(
          connection,
          "SELECT TABLE_NAME FROM INFORMATION_SCHEMA.TABLES WHERE TABLE_SCHEMA = 'WEB' ORDER BY 1"
        )
        expect(tables).toEqual([["DAILY_FUNNEL"], ["EVENTS"]])
        const plan = yield* Driver.rows(connection, "EXPLAIN USING JSON SELECT count(*) FROM ORDERS")
        const parsed: unknown = JSON.parse(String(plan[0]?.[0]))
        expect(parsed).toMatchObject({ GlobalStats: { partitionsTotal: expect.anything() } })
      })
    )
  }
)
