import { describe, expect, it } from "@effect/vitest"
import { Effect, Either, Exit } from "effect"
import * as ReadOnly from "../../src/gate/ReadOnly.js"
import { translate as fromSnowflake } from "../../src/warehouse/duckdb/dialect/snowflake.js"
import { embeddedGate } from "../utils/embeddedGate.js"
import { withLayer } from "../utils/withLayer.js"

const check = (sql: string, policy: Partial<ReadOnly.Policy> = {}) =>
  Effect.flatMap(ReadOnly.ReadOnly, (gate) => gate.check(sql, { ...ReadOnly.defaultPolicy, ...policy }))
const rejection = (sql: string, policy: Partial<ReadOnly.Policy> = {}) => Effect.flip(check(sql, policy))
const allowing = (...allowFunctions: ReadonlyArray<string>) => ({ allowFunctions })

withLayer(embeddedGate())("the DuckDB gate", (it) => {
  it.effect("says which dialect it checks", () =>
    Effect.map(ReadOnly.ReadOnly, (gate) => expect(gate.dialect).toBe("duckdb"))
  )

  it.effect("writes the statement without comments and with single spaces", () =>
    Effect.gen(function* () {
      const sql =
        "/* a */ select  a,-- b\n\tCOUNT( * ) AS n\r\nFROM  db . \"my t\"\nWHERE x='it''s' and y>-1 ;;"
      const { canonical } = yield* check(sql)
      expect(canonical).toBe(`select a, COUNT(*) AS n FROM db."my t" WHERE x = 'it''s' and y > -1`)
    })
  )

  it.effect("writes every form of string as a plain one", () =>
    Effect.gen(function* () {
      const { canonical } = yield* check("SELECT $$it's$$, E'it\\'s\\t', 'it''s'")
      expect(canonical).toBe("SELECT 'it''s', 'it''s\t', 'it''s'")
    })
  )

  it.effect("names tables as written, without CTEs, and functions without operators", () =>
    Effect.gen(function* () {
      const sql =
        'WITH x AS (SELECT * FROM db.sch.Orders), y AS (SELECT * FROM x) SELECT sum(a + 1), upper(b) FROM y, "T 1", x'
      expect(yield* check(sql)).toMatchObject({
        kind: "select",
        tables: ["db.sch.Orders", '"T 1"'],
        functions: ["sum", "upper"]
      })
    })
  )

  it.effect("does not let a CTE hide the table of the same name outside its scope", () =>
    Effect.gen(function* () {
      expect((yield* check("WITH secret AS (SELECT * FROM secret) SELECT * FROM secret")).tables).toEqual([
        "secret"
      ])
      expect((yield* check("SELECT * FROM (WITH secret AS (SELECT 1) FROM secret), secret")).tables).toEqual([
        "secret"
      ])
      expect((yield* check("WITH a AS (FROM secret), secret AS (SELECT 1) FROM a")).tables).toEqual([
        "secret"
      ])
      expect((yield* check("WITH secret AS (SELECT 1) FROM db.secret")).tables).toEqual(["db.secret"])
    })
  )

  it.effect("tells where a refused function stands, which are similar, and how to allow it", () =>
    Effect.gen(function* () {
      const sql = "/* note */ SELECT 'ü',\n  strposs(a, 'x') FROM t"
      const error = yield* rejection(sql)
      expect(error.code).toBe("FUNCTION_NOT_ALLOWED")
      expect(error.position).toBe(sql.indexOf("strposs"))
      expect(error.reason).toMatch(/^the function STRPOSS is unknown; did you mean .*STRPOS\b/)
      expect(error.hint).toContain("adding STRPOSS to the allowed functions")
    })
  )

  it.effect("says what there is in place of each kind of function that is refused", () =>
    Effect.gen(function* () {
      const kinds: ReadonlyArray<readonly [sql: string, reason: RegExp, way: RegExp]> = [
        ["SELECT * FROM read_csv('x.csv')", /reads files/, /^no statement reads files.*duckdb\.load/],
        ["SELECT * FROM parquet_metadata('x')", /reads files/, /list_tables shows them$/],
        ["SELECT read_text('x')", /reads files/, /duckdb\.load/],
        ["SELECT * FROM glob('*')", /reads files/, /duckdb\.load/],
        ["SELECT * FROM sqlite_scan('x', 'y')", /reads files/, /duckdb\.load/],
        ["SELECT * FROM 'x.csv'", /could be read as a file/, /duckdb\.load/],
        ["SELECT * FROM duckdb_settings()", /tells of the engine/, /SHOW TABLES.*INFORMATION_SCHEMA/],
        ["SELECT * FROM pragma_table_info('t')", /tells of the engine/, /SHOW TABLES/],
        ["SELECT nextval('s')", /is not allowed$/, /cannot be allowed$/],
        ["SELECT current_query()", /tells of the engine/, /SHOW TABLES/],
        ["SELECT my_fn(1)", /is unknown/, /an operator can allow it by adding MY_FN/],
        ['SELECT "my$&_fn"(1)', /is unknown/, /an operator can allow it by adding MY\$&_FN to/],
        ["SELECT daily_query(1)", /is unknown/, /adding DAILY_QUERY to .*; no statement reads files/]
      ]
      for (const [sql, reason, way] of kinds) {
        const error = yield* rejection(sql)
        expect(error.reason, sql).toMatch(reason)
        expect(error.hint, sql).toMatch(way)
      }
    })
  )

  it.effect("promises an operator nothing: what it says cannot be allowed is refused when it is", () =>
    Effect.gen(function* () {
      for (const name of [
        "read_csv",
        "duckdb_settings",
        "glob",
        "query",
        "sqlite_query",
        "my_fn",
        "daily_query"
      ]) {
        const sql = `SELECT * FROM ${name}('x')`
        const { hint = "" } = yield* rejection(sql)
        const allowed = yield* Effect.either(check(sql, allowing(name)))
        expect([name, allowed._tag === "Right"]).toEqual([name, /an operator can allow it/.test(hint)])
      }
    })
  )

  it.effect("tells where a syntax error stands", () =>
    Effect.gen(function* () {
      const sql = "SELECT  'é😀' /* c */ , a FROM WHERE x"
      expect((yield* rejection(sql)).position).toBe(sql.indexOf("WHERE"))
      expect((yield* rejection("SELECT a FROM t; DROP TABLE t")).position).toBe(15)
      expect(yield* rejection("DROP TABLE t")).toMatchObject({ code: "NOT_A_READ", position: 0 })
    })
  )

  it.effect("says what is allowed when a statement is no read", () =>
    Effect.gen(function* () {
      const { reason } = yield* rejection("DROP TABLE t")
      expect(reason).toMatch(/^DROP is not a read; allowed are SELECT, .* SHOW .* DESCRIBE .* EXPLAIN/)
    })
  )

  it.effect("allows functions that the policy adds, unqualified and by their full name only", () =>
    Effect.gen(function* () {
      expect((yield* check("SELECT my_fn(1)", allowing("MY_FN"))).functions).toEqual(["my_fn"])
      yield* check("SELECT db.sch.my_fn(1)", allowing("db.sch.my_fn"))
      yield* check("SELECT * FROM my_tf(1)", allowing("MY_TF"))
      expect((yield* rejection("SELECT db.sch.my_fn(1)", allowing("MY_FN"))).code).toBe(
        "FUNCTION_NOT_ALLOWED"
      )
      expect((yield* rejection("SELECT my_fn(1)", allowing("DB.SCH.MY_FN"))).code).toBe(
        "FUNCTION_NOT_ALLOWED"
      )
    })
  )

  it.effect("never allows a function that runs text as SQL or changes state", () =>
    Effect.gen(function* () {
      const statements = ["SELECT * FROM query('x')", "SELECT nextval('s')", "SELECT * FROM enable_logging()"]
      for (const sql of statements) {
        const error = yield* rejection(sql, allowing("QUERY", "NEXTVAL", "ENABLE_LOGGING"))
        expect(error.code).toBe("FUNCTION_NOT_ALLOWED")
        expect(error.hint).toContain("cannot be allowed")
      }
    })
  )

  it.effect("appends a limit where there is none at the top", () =>
    Effect.gen(function* () {
      const limited = [
        "SELECT * FROM t ORDER BY a",
        "SELECT * FROM (SELECT * FROM t LIMIT 5) x",
        "SELECT a FROM t UNION ALL SELECT a FROM u",
        "WITH x AS (SELECT 1 LIMIT 1) SELECT * FROM x",
        "VALUES (1), (2)",
        "FROM t",
        "TABLE t",
        'SELECT a AS "limit" FROM t',
        "SELECT * FROM t TABLESAMPLE 10 %"
      ]
      for (const sql of limited) {
        const accepted = yield* check(sql, { appendLimit: 101 })
        expect([accepted.canonical, accepted.appendedLimit]).toEqual([`${sql} LIMIT 101`, 101])
      }
    })
  )

  it.effect("says of semantic views that there are none, and lists none", () =>
    Effect.gen(function* () {
      for (const sql of [
        "SELECT * FROM SEMANTIC_VIEW(v DIMENSIONS a.b METRICS c.d WHERE a.b > 1)",
        "WITH x AS (SELECT * FROM semantic_view (v METRICS m)) SELECT * FROM x",
        "EXPLAIN SELECT * FROM SEMANTIC_VIEW(v METRICS m)",
        "DESCRIBE SEMANTIC VIEW d.s.v",
        "DESC SEMANTIC VIEW v",
        "SHOW SEMANTIC METRICS IN v",
        "SHOW SEMANTIC DIMENSIONS IN v FOR METRIC m"
      ]) {
        expect(yield* rejection(sql)).toMatchObject({
          code: "OBJECT_NOT_ALLOWED",
          reason: expect.stringContaining("no semantic views")
        })
      }
      expect(yield* check("SHOW SEMANTIC VIEWS IN DATABASE d")).toMatchObject({ kind: "show" })
      // Names like any other.
      yield* check("SELECT semantic_view, semantic FROM t AS semantic")
    })
  )

  it.effect("leaves a statement alone that has its own limit, or cannot take one", () =>
    Effect.gen(function* () {
      const unlimited = [
        "SELECT * FROM t LIMIT 5",
        "SELECT * FROM t LIMIT 10 %",
        "SELECT * FROM t OFFSET 5",
        "SELECT * FROM t ORDER BY a LIMIT 5 OFFSET 5",
        "(SELECT * FROM t LIMIT 5)",
        "SELECT * FROM t USING SAMPLE 10 ROWS",
        "DESCRIBE SELECT 1",
        "SUMMARIZE t",
        "SHOW TABLES",
        "DESCRIBE TABLE t",
        "EXPLAIN SELECT * FROM t"
      ]
      for (const sql of unlimited) {
        const accepted = yield* check(sql, { appendLimit: 101 })
        expect(accepted.canonical).toBe(sql)
        expect(accepted.appendedLimit).toBeUndefined()
      }
    })
  )

  it.effect("refuses numbers that no JSON can carry", () =>
    Effect.gen(function* () {
      for (const sql of [`SELECT ${"9".repeat(400)}`, "SELECT 1e999", "SELECT -1e999"]) {
        expect((yield* rejection(sql)).code).toBe("SYNTAX")
      }
      yield* check("SELECT 'Infinity'::DOUBLE, 'NaN'")
    })
  )

  it.effect("dies of a limit that is no number of rows", () =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(check("SELECT 1", { appendLimit: 1.5 }))
      expect(Exit.isFailure(exit) && exit.cause._tag).toBe("Die")
    })
  )

  it.effect("answers many callers at once", () =>
    Effect.gen(function* () {
      const answers = yield* Effect.forEach(
        Array.from({ length: 200 }, (_, i) => i),
        (i) => Effect.either(check(i % 2 === 0 ? `SELECT ${i} AS a FROM t${i}` : `SELECT getenv('${i}')`)),
        { concurrency: "unbounded" }
      )
      answers.forEach((answer, i) =>
        i % 2 === 0
          ? expect(Either.getOrThrow(answer)).toMatchObject({
              canonical: `SELECT ${i} AS a FROM t${i}`,
              tables: [`t${i}`]
            })
          : expect(Either.isLeft(answer)).toBe(true)
      )
    })
  )
})

describe("the DuckDB gate with a translation", () => {
  const translate = (sql: string) => sql.replaceAll("SNOW(", "main.duck(").replaceAll("BAD(", "getenv(")
  const withTranslation = Effect.provide(embeddedGate({ translate, functions: ["DUCK"] }))

  it.effect("checks what the translation wrote, and returns the statement in its own words", () =>
    Effect.gen(function* () {
      const accepted = yield* check("SELECT SNOW(a) -- c\n FROM t", { appendLimit: 5 })
      expect(accepted.canonical).toBe("SELECT SNOW(a) FROM t LIMIT 5")
      expect(accepted.functions).toEqual(["duck"])
      expect((yield* check("EXPLAIN SELECT SNOW(a)")).canonical).toBe("EXPLAIN SELECT SNOW(a)")
    }).pipe(withTranslation)
  )

  it.effect("names a function in double quotes as the statement does, and keeps the texts in a reason", () =>
    Effect.gen(function* () {
      const error = yield* rejection('SELECT "strposs"(a)')
      expect(error.reason).toMatch(/^the function "strposs" is unknown/)
      expect(error.hint).toContain('adding "strposs" to the allowed functions')
      expect((yield* rejection('SELECT 1 AS "abc" "def"')).reason).toBe('syntax error at or near ""def""')
      expect((yield* rejection("SELECT 1 AS a 'v\uE0001f'")).reason).toContain("v\uE0001f")
    }).pipe(Effect.provide(embeddedGate({ translate: fromSnowflake })))
  )

  it.effect("reads the statement as Snowflake's", () =>
    Effect.gen(function* () {
      expect((yield* check("SELECT 'it\\'s', '\\\\d' // c")).canonical).toBe("SELECT 'it''s', '\\\\d'")
    }).pipe(Effect.provide(embeddedGate({ translate: () => "SELECT 1" })))
  )

  it.effect("refuses what the translation must not write, without a position in a text nobody sent", () =>
    Effect.gen(function* () {
      const error = yield* rejection("SELECT BAD('HOME')")
      expect([error.code, error.position]).toEqual(["FUNCTION_NOT_ALLOWED", undefined])
    }).pipe(withTranslation)
  )

  it.effect("refuses several statements, comments left open and parameters that a translation wrote", () =>
    Effect.gen(function* () {
      for (const [output, code] of [
        ["SELECT 1; DROP TABLE t", "MULTIPLE_STATEMENTS"],
        ["SELECT 1 /*", "SYNTAX"],
        ["SELECT ?", "SYNTAX"],
        ["SELECT X'AB'", "SYNTAX"],
        ["DROP TABLE t", "NOT_A_READ"],
        ["", "EMPTY"]
      ] as const) {
        const error = yield* rejection("SELECT 1").pipe(
          Effect.provide(embeddedGate({ translate: () => output }))
        )
        expect([output, error.code]).toEqual([output, code])
      }
    })
  )

  it.effect("does not translate SHOW and DESCRIBE", () =>
    Effect.gen(function* () {
      const accepted = yield* check("SHOW TABLES LIKE 'BAD('")
      expect(accepted.canonical).toBe("SHOW TABLES LIKE 'BAD('")
    }).pipe(withTranslation)
  )
})
