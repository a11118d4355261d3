import { expect, it } from "@effect/vitest"
import { Either } from "effect"
import * as ChunkUrls from "../../src/emulator/chunkUrls.js"
import { declaredTypes } from "../../src/emulator/declaredTypes.js"
import { authenticate } from "../../src/emulator/login.js"
import * as Results from "../../src/emulator/results.js"
import * as SqlText from "../../src/emulator/parser.js"
import * as Wire from "../../src/emulator/wire.js"
import { duckdb } from "../../src/sql/Dialect.js"
import { tokenize } from "../../src/sql/Lexer.js"
import type { Cell } from "../../src/warehouse/Warehouse.js"

const split = (sql: string) => Either.getOrThrowWith(SqlText.split(sql), (problem) => new Error(problem))
const tokens = (sql: string) =>
  Either.getOrThrowWith(tokenize(sql, duckdb), (error) => new Error(error.message))

it("cells become text as Snowflake writes it", () => {
  const encode = (type: string, cell: Cell) => {
    const column = Wire.column({ name: "C", type, nullable: true })
    return Wire.rows([column])([[cell]])[0]![0]
  }
  expect(encode("NUMBER(38,0)", 42)).toBe("42")
  expect(encode("NUMBER(10,2)", "12.30")).toBe("12.30")
  expect(encode("FLOAT", "-inf")).toBe("-inf")
  expect(encode("BOOLEAN", false)).toBe("0")
  expect(encode("DATE", "1970-01-02")).toBe("1")
  expect(encode("DATE", "1969-12-31")).toBe("-1")
  expect(encode("DATE", "infinity")).toBe(null)
  expect(encode("TIME(9)", "01:00:00.000000001")).toBe("3600.000000001")
  expect(encode("TIMESTAMP_NTZ(9)", "1970-01-01T00:00:01.500")).toBe("1.500000000")
  expect(encode("TIMESTAMP_NTZ(9)", "1969-12-31T23:59:58.250")).toBe("-1.750000000")
  expect(encode("TIMESTAMP_LTZ(9)", "1969-12-31T23:59:59.750Z")).toBe("-0.250000000")
  expect(encode("TIMESTAMP_TZ(9)", "1970-01-01T00:00:00Z")).toBe("0.000000000 1440")
  expect(encode("BINARY(8388608)", "00FF")).toBe("00FF")
  expect(encode("VARIANT", "text")).toBe('"text"')
  expect(encode("OBJECT", { a: [1, null] })).toBe('{\n  "a": [\n    1,\n    null\n  ]\n}')
  expect(encode("ARRAY", [])).toBe("[]")
  expect(encode("ARRAY", [1, null, [null], "undefined"])).toBe(
    '[\n  1,\n  undefined,\n  [\n    null\n  ],\n  "undefined"\n]'
  )
  expect(encode("VARCHAR(16777216)", null)).toBe(null)
})

it("columns say type, precision and scale", () => {
  const column = (type: string) => Wire.column({ name: "C", type, nullable: false })
  expect(column("NUMBER(12,4)")).toMatchObject({ type: "fixed", precision: 12, scale: 4, nullable: false })
  expect(column("VARCHAR(10)")).toMatchObject({ type: "text", length: 10, byteLength: 40 })
  expect(column("TIMESTAMP_LTZ(3)")).toMatchObject({ type: "timestamp_ltz", scale: 9 })
})

it("texts are read as Snowflake reads them", () => {
  const [first, second] = split(
    "SELECT 'it\\'s; ok', $$a'b$$, x:a.b, :1 // comment ; not here\n, :2 ; select ?, ?;"
  )
  expect(first).toMatchObject({ binds: 2, usesWarehouse: true, typeId: 0x1000 })
  expect(first?.sql.replace(/\s+/g, " ")).toBe("SELECT 'it''s; ok', 'a''b', x:a.b, $bind1 , $bind2")
  expect(second).toMatchObject({ sql: "select $bind1, $bind2", original: "select ?, ?", binds: 2 })
  expect(Either.isLeft(SqlText.split("SELECT 'open"))).toBe(true)
  expect(Either.isLeft(SqlText.split(" -- nothing"))).toBe(true)
})

it("what the session answers is told from what the engine answers", () => {
  const command = (sql: string) => split(sql)[0]!.command
  expect(command('use schema a."b"')).toEqual({ _tag: "Use", kind: "SCHEMA", name: ["A", "b"] })
  expect(command("USE demo")).toEqual({ _tag: "Use", kind: "DATABASE", name: ["DEMO"] })
  expect(command("USE SECONDARY ROLES ALL")).toEqual({ _tag: "UseSecondary", roles: "ALL" })
  expect(command("use secondary roles none")).toEqual({ _tag: "UseSecondary", roles: "NONE" })
  expect(command('USE SECONDARY ROLES a, "b"')).toEqual({ _tag: "UseSecondary", roles: ["A", "b"] })
  expect(command("USE SECONDARY ROLES")._tag).toBe("Query")
  expect(command("ALTER SESSION SET A = 1 B='x', C = true")).toEqual({
    _tag: "SetParameters",
    entries: [
      ["A", "1"],
      ["B", "x"],
      ["C", "TRUE"]
    ]
  })
  expect(command("SELECT SYSTEM$WAIT(2, 'MINUTES') AS W")).toEqual({
    _tag: "Wait",
    seconds: 120,
    column: "W"
  })
  expect(command("CALL SYSTEM$WAIT(1)")).toEqual({ _tag: "Wait", seconds: 1, column: "SYSTEM$WAIT(1)" })
  expect(command("SHOW TABLES")).toEqual({ _tag: "Query" })
  expect(command("DROP TABLE x")).toEqual({ _tag: "Query" })
  const uses = (sql: string) => split(sql)[0]!.usesWarehouse
  expect(["SELECT 1", "(WITH a AS (SELECT 1) SELECT * FROM a)", "CALL f()"].map(uses)).toEqual([
    true,
    true,
    true
  ])
  expect(["SHOW TABLES", "EXPLAIN SELECT 1", "SELECT GET_DDL('VIEW', 'v')", "USE ROLE r"].map(uses)).toEqual([
    false,
    false,
    false,
    false
  ])
})

it("types that the engine does not know are read from the statement", () => {
  const types = (sql: string, engine: ReadonlyArray<string>) => declaredTypes(tokens(sql), engine)
  expect(
    types(
      "SELECT a::OBJECT x, CAST(b AS ARRAY) AS y, c::TIMESTAMP_TZ, OBJECT_CONSTRUCT('a', f(1)):a, d::OBJECT",
      ["VARIANT", "VARIANT", "TIMESTAMP_LTZ(9)", "VARIANT", "NUMBER(38,0)"]
    )
  ).toEqual(["OBJECT", "ARRAY", "TIMESTAMP_TZ(9)", "VARIANT", "NUMBER(38,0)"])
  expect(types("SELECT * FROM t", ["VARIANT"])).toEqual(["VARIANT"])
})

it("chunks hold every row once, and say how many", () => {
  const columns = [Wire.column({ name: "N", type: "NUMBER(38,0)", nullable: true })]
  const result = Results.builder(columns, 0x1000, { inlineRows: 3, chunkRows: 4 })
  const rows = Array.from({ length: 12 }, (_, n) => [String(n)])
  result.add(rows.slice(0, 5))
  result.add(rows.slice(5))
  const built = result.build()
  expect([built.inline.length, ...built.chunks.map((chunk) => chunk.rows)]).toEqual([3, 4, 4, 1])
  expect(built.total).toBe(12)
  expect(JSON.parse(Results.allJson(built))).toEqual(rows)
})

it("a chunk is read with its signature and its header, in time, and not otherwise", () => {
  const urls = ChunkUrls.make("secret")
  const url = new URL(urls.sign("http://127.0.0.1:1", "q", 0, 1000))
  const verify = (at: URL, headers: Record<string, unknown> = urls.headers, index = 0, now = 2000) =>
    urls.verify(at, headers, "q", index, now)
  expect(verify(url)).toBe(true)
  expect(verify(url, {})).toBe(false)
  expect(verify(url, urls.headers, 1)).toBe(false)
  expect(verify(url, urls.headers, 0, 1000 + 6 * 3_600_000)).toBe(false)
  expect(verify(new URL(url.href.replace(/Expires=\d/, "Expires=9")))).toBe(false)
})

it("a key pair's token has to be whole, of its user, and not expired", () => {
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url")
  const token = (claims: object, alg = "RS256") => `${encode({ alg })}.${encode(claims)}.c2ln`
  const login = (TOKEN: string, LOGIN_NAME = "ME") =>
    authenticate(
      { data: { AUTHENTICATOR: "SNOWFLAKE_JWT", TOKEN, LOGIN_NAME } },
      { users: {}, tokens: undefined, tokenTtlMs: 1 },
      { issued: new Set() },
      1_800_000_000_000
    )
  const claims = { iss: "ACC.ME.SHA256:abc", sub: "ACC.ME", exp: 1_800_000_001 }
  expect(login(token(claims))).toEqual({ _tag: "User", name: "ME" })
  expect(login(token({ ...claims, exp: 1_800_000_000_001 }))).toEqual({ _tag: "User", name: "ME" })
  const refused = { code: "390144" }
  expect(login(token({ ...claims, exp: 1_799_999_999 }))).toMatchObject(refused)
  expect(login(token(claims), "YOU")).toMatchObject(refused)
  expect(login(token(claims, "none"))).toMatchObject(refused)
  expect(login(token({ ...claims, iss: "ACC.YOU.SHA256:abc" }))).toMatchObject(refused)
  expect(login("a.b")).toMatchObject(refused)
})
