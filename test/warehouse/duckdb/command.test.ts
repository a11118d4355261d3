import { describe, expect, it } from "@effect/vitest"
import { Either, FastCheck } from "effect"
import { parse } from "../../../src/warehouse/duckdb/command.js"

const parsed = (sql: string) => Either.getOrThrowWith(parse(sql), (problem) => new Error(problem.message))
const problem = (sql: string) => Either.getOrThrow(Either.flip(parse(sql))).message

describe("SHOW", () => {
  const show = {
    _tag: "Show",
    terse: false,
    like: undefined,
    startsWith: undefined,
    limit: undefined,
    from: undefined
  }

  it("reads every kind and every place to look", () => {
    expect(parsed("SHOW DATABASES")).toEqual({ ...show, kind: "DATABASES", scope: { _tag: "Current" } })
    expect(parsed("show tables in account;")).toEqual({ ...show, kind: "TABLES", scope: { _tag: "Account" } })
    expect(parsed('SHOW SCHEMAS IN DATABASE "d"')).toEqual({
      ...show,
      kind: "SCHEMAS",
      scope: { _tag: "Database", name: ["d"] }
    })
    expect(parsed("SHOW SCHEMAS IN d")).toMatchObject({ scope: { _tag: "Database", name: ["D"] } })
    expect(parsed('SHOW VIEWS IN SCHEMA d."s"')).toEqual({
      ...show,
      kind: "VIEWS",
      scope: { _tag: "Schema", name: ["D", "s"] }
    })
    expect(parsed("SHOW TABLES IN d.s")).toMatchObject({ scope: { _tag: "Schema", name: ["D", "S"] } })
    expect(parsed("SHOW COLUMNS IN TABLE d.s.t")).toMatchObject({
      kind: "COLUMNS",
      scope: { _tag: "Object", name: ["D", "S", "T"] }
    })
    expect(parsed("SHOW TABLES IN DATABASE LIMIT 3")).toMatchObject({ scope: { _tag: "Current" }, limit: 3 })
  })

  it("reads the clauses in Snowflake's order", () => {
    expect(
      parsed("SHOW TERSE TABLES HISTORY LIKE '%o''x%' IN DATABASE D STARTS WITH 'O' LIMIT 10 FROM 'OA'")
    ).toEqual({
      _tag: "Show",
      kind: "TABLES",
      terse: true,
      like: "%o'x%",
      startsWith: "O",
      scope: { _tag: "Database", name: ["D"] },
      limit: 10,
      from: "OA"
    })
  })

  it("says what is wrong with the rest", () => {
    expect(problem("SHOW ROLES")).toContain("SHOW ROLES is not supported here")
    expect(problem("SHOW TABLES IN DATABASE a.b")).toContain("SHOW ... IN needs")
    expect(problem("SHOW TABLES LIKE x")).toContain("unexpected 'x'")
    expect(problem("SHOW TABLES IN SCHEMA a.b.c")).toContain("SHOW ... IN needs")
    expect(problem("SHOW TABLES LIMIT 1 2")).toContain("unexpected '2'")
  })
})

describe("DESCRIBE and GET_DDL", () => {
  it("keeps quoted names and folds the others", () => {
    expect(parsed('DESCRIBE TABLE "D"."s".t')).toEqual({
      _tag: "Describe",
      kind: "TABLE",
      name: ["D", "s", "T"]
    })
    expect(parsed("DESC VIEW v")).toEqual({ _tag: "Describe", kind: "VIEW", name: ["V"] })
    expect(parsed('DESC "a""b"')).toEqual({ _tag: "Describe", kind: "TABLE", name: ['a"b'] })
  })

  it("reads the name inside GET_DDL and names the column as Snowflake does", () => {
    expect(parsed(`SELECT GET_DDL('VIEW', '"D"."S"."v"')`)).toEqual({
      _tag: "GetDdl",
      kind: "VIEW",
      name: ["D", "S", "v"],
      column: `GET_DDL('VIEW', '"D"."S"."V"')`
    })
    expect(parsed("select get_ddl('table', 't', true) as ddl")).toMatchObject({
      kind: "TABLE",
      column: "DDL"
    })
    expect(parsed(`select get_ddl('view', 'v') "text"`)).toMatchObject({ column: "text" })
    // As the gate bounds it.
    expect(parsed("SELECT GET_DDL('VIEW', 'v') LIMIT 1001")).toMatchObject({ column: "GET_DDL('VIEW', 'V')" })
    expect(parsed("SELECT GET_DDL('VIEW', 'v') AS ddl LIMIT 1001")).toMatchObject({ column: "DDL" })
  })

  it("refuses what it cannot answer, and leaves other queries to the warehouse", () => {
    expect(problem("SELECT GET_DDL('SCHEMA', 's')")).toContain("'SCHEMA' is not supported")
    expect(problem("SELECT GET_DDL('VIEW', 'a b')")).toContain("not the name of an object")
    expect(problem("SELECT GET_DDL('VIEW')")).toContain("GET_DDL needs")
    expect(problem("SELECT GET_DDL('VIEW', 'v') FROM t WHERE 1 = 1")).toContain("unexpected")
    expect(problem("DESCRIBE SELECT 1")).toContain("unexpected '1'")
    expect(parsed("SELECT 1, GET_DDL('VIEW', 'v')")).toMatchObject({ _tag: "Select" })
  })
})

describe("queries", () => {
  it("lets through what begins like one, without the last semicolon", () => {
    expect(parsed("SELECT 1;")).toMatchObject({ _tag: "Select", sql: "SELECT 1" })
    for (const sql of [
      "WITH x AS (SELECT 1) SELECT * FROM x",
      "VALUES (1)",
      "(SELECT 1) UNION (SELECT 2)",
      "FROM t"
    ]) {
      expect(parsed(sql)).toMatchObject({ _tag: "Select", sql })
    }
  })

  it("reads EXPLAIN of a query and of nothing else", () => {
    expect(parsed("EXPLAIN SELECT 1")).toMatchObject({
      _tag: "Explain",
      format: "TABULAR",
      select: { sql: "SELECT 1" }
    })
    expect(parsed("EXPLAIN USING JSON SELECT 1")).toMatchObject({ format: "JSON" })
    expect(problem("EXPLAIN USING XML SELECT 1")).toContain("TABULAR, JSON and TEXT")
    expect(problem("EXPLAIN SHOW TABLES")).toContain("queries only")
    expect(problem("EXPLAIN DROP TABLE t")).toContain("unexpected 'DROP'")
    expect(problem("EXPLAIN")).toContain("needs a statement")
  })

  it("refuses everything else", () => {
    for (const sql of [
      "",
      "  -- nothing",
      "DROP TABLE t",
      "PRAGMA x",
      "SET a = 1",
      "CALL f()",
      "COPY t TO 'x'",
      "("
    ]) {
      expect(Either.isLeft(parse(sql))).toBe(true)
    }
    expect(problem("SELECT 1; SELECT 2")).toContain("One statement at a time")
    expect(problem("SELECT 'a")).toContain("syntax error")
  })

  it.prop("never throws, whatever it is given", [FastCheck.string({ unit: "binary" })], ([text]) => {
    for (const prefix of ["", "SHOW ", "DESCRIBE ", "SELECT GET_DDL(", "EXPLAIN "]) {
      expect(Either.isEither(parse(prefix + text))).toBe(true)
    }
  })
})
