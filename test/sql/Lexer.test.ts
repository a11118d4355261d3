import { describe, expect, it } from "@effect/vitest"
import { Either } from "effect"
import { duckdb, snowflake } from "../../src/sql/Dialect.js"
import type { Dialect } from "../../src/sql/Dialect.js"
import { tokenize } from "../../src/sql/Lexer.js"

const tokens = (sql: string, dialect: Dialect = snowflake) =>
  Either.getOrThrowWith(tokenize(sql, dialect), (error) => new Error(error.message))
const texts = (sql: string, dialect: Dialect = snowflake) => tokens(sql, dialect).map((token) => token.text)
const values = (sql: string, dialect: Dialect = snowflake) => tokens(sql, dialect).map((token) => token.value)
const kinds = (sql: string, dialect: Dialect = snowflake) => tokens(sql, dialect).map((token) => token.kind)
const problem = (sql: string, dialect: Dialect = snowflake) => {
  const result = tokenize(sql, dialect)
  return Either.isLeft(result) ? result.left : undefined
}

describe("the lexer", () => {
  it("splits a statement into its tokens, with their places and depths", () => {
    expect(tokens('SELECT f(a) , "B""c" -- d\n')).toEqual([
      { kind: "word", text: "SELECT", value: "SELECT", start: 0, end: 6, depth: 0 },
      { kind: "word", text: "f", value: "F", start: 7, end: 8, depth: 0 },
      { kind: "open", text: "(", value: "(", start: 8, end: 9, depth: 0 },
      { kind: "word", text: "a", value: "A", start: 9, end: 10, depth: 1 },
      { kind: "close", text: ")", value: ")", start: 10, end: 11, depth: 0 },
      { kind: "operator", text: ",", value: ",", start: 12, end: 13, depth: 0 },
      { kind: "quoted", text: '"B""c"', value: 'B"c', start: 14, end: 20, depth: 0 }
    ])
  })

  it("reads the operators of each dialect, longest first", () => {
    expect(texts("a->>b->c=>d::e||f<>g!=h<=i>=j=k<l>m+n-o*p/q%r&s^t~u@v:w!x")).toEqual(
      "a ->> b -> c => d :: e || f <> g != h <= i >= j = k < l > m + n - o * p / q % r & s ^ t ~ u @ v : w ! x".split(
        " "
      )
    )
    expect(texts("a//b**c!~~*d<<e<=>f", duckdb)).toEqual("a // b ** c !~~* d << e <=> f".split(" "))
    expect(texts("- >>")).toEqual(["-", ">", ">"])
  })

  it("reads numbers, also those of DuckDB, and none that runs into a word", () => {
    expect(texts("1 1.5 .5 1. 1e3 1E-3 1.5e+3")).toEqual(["1", "1.5", ".5", "1.", "1e3", "1E-3", "1.5e+3"])
    expect(kinds("1 .5")).toEqual(["number", "number"])
    expect(texts("1_000 0xFF 0b01", duckdb)).toEqual(["1_000", "0xFF", "0b01"])
    for (const sql of ["1a", "0xFF", "1_000", "1..2", "1.a", "1e", "1$", "a.5", "f(1).5", '"a".5']) {
      expect([sql, problem(sql)?.code]).toEqual([sql, "SYNTAX"])
    }
  })

  it("decodes Snowflake's strings with their escapes", () => {
    expect(values("'it''s' 'it\\'s' 'a\\\\' '\\n\\t\\x41\\u00e9\\101\\q' ''")).toEqual([
      "it's",
      "it's",
      "a\\",
      "\n\tA\u00e9Aq",
      ""
    ])
    expect(values("$$it's \\ $ ; -- $$")).toEqual(["it's \\ $ ; -- "])
    expect(values("'a';'b'")).toEqual(["a", ";", "b"])
  })

  it("decodes DuckDB's strings: escapes only after E, dollar strings with a tag", () => {
    expect(values("'a\\'", duckdb)).toEqual(["a\\"])
    expect(values("E'a\\'b\\n'", duckdb)).toEqual(["a'b\n"])
    expect(values("e'\\U0001F600'", duckdb)).toEqual(["\u{1F600}"])
    expect(values("$t$ $$ ' $t$", duckdb)).toEqual([" $$ ' "])
    expect(kinds("'a' $$b$$", snowflake)).toEqual(["string", "dollar"])
    expect(problem("'a' 'b'", duckdb)?.message).toContain("two string literals in a row")
    expect(problem("E'\\0'", duckdb)?.code).toBe("SYNTAX")
    expect(problem("E'\\xff'", duckdb)?.code).toBe("SYNTAX")
    expect(problem("$a$ $b$", duckdb)?.message).toContain("not closed")
  })

  it("reads variables, binds and hexadecimal literals", () => {
    expect(tokens("$a $1 ?").map((token) => token.kind)).toEqual(["variable", "variable", "variable"])
    expect(values("X'0aFF' x''")).toEqual(["0AFF", ""])
    for (const sql of ["X'0'", "X'0G'", "X'00''00'", "X'00"]) expect(problem(sql)?.code).toBe("SYNTAX")
  })

  it("drops comments of the dialect, and only those", () => {
    expect(texts("a -- ' \n b // \" /* \n c /* ; ' é */ d --")).toEqual(["a", "b", "c", "d"])
    expect(texts("a -- x\r\nb")).toEqual(["a", "b"])
    expect(texts("a // b", duckdb)).toEqual(["a", "//", "b"])
    expect(texts("a /* ** / */ b")).toEqual(["a", "b"])
  })

  it("keeps what stands inside quotes, whatever it is", () => {
    expect(values("'-- /* ; \u00a0 列 \u2028 \r `#'")).toEqual(["-- /* ; \u00a0 列 \u2028 \r `#"])
    expect(values('"列 ; -- $$"')).toEqual(["列 ; -- $$"])
  })

  const refused: ReadonlyArray<readonly [what: string, sql: string, position: number]> = [
    ["a string that is not closed", "SELECT 'a", 7],
    ["a string whose end is escaped", "SELECT 'a\\'", 7],
    ["a quoted identifier that is not closed", 'SELECT "a', 7],
    ["a dollar string that is not closed", "SELECT $$a", 7],
    ["a comment that is not closed", "SELECT /* a", 7],
    ["a comment that was never opened", "SELECT 1 */", 9],
    ["a comment in a comment", "SELECT /* /* */ */ 1", 10],
    ["a comment that starts with a slash", "SELECT /*/ 1 */", 7],
    ["a comment that is executed elsewhere", "SELECT /*! 1 */", 7],
    ["a bare CR in a line comment", "SELECT 1 -- a\rb", 13],
    ["a bare CR in a block comment", "SELECT 1 /* a\rb */", 13],
    ["a vertical tab in a comment", "SELECT 1 -- a\u000bb", 13],
    ["a form feed in a comment", "SELECT 1 -- a\fb", 13],
    ["a NEL in a comment", "SELECT 1 -- a\u0085b", 13],
    ["a line separator in a comment", "SELECT 1 -- a\u2028b", 13],
    ["a NUL in a comment", "SELECT 1 -- a\0b", 13],
    ["a NUL in a string", "SELECT 'a\0b'", 7],
    ["a NUL in a quoted identifier", 'SELECT "a\0b"', 7],
    ["a NUL in a dollar string", "SELECT $$a\0b$$", 7],
    ["a NUL", "SELECT\0", 6],
    ["a no-break space", "SELECT\u00a01", 6],
    ["a zero-width space", "SELECT 1\u200b", 8],
    ["a byte order mark", "\ufeffSELECT 1", 0],
    ["a Cyrillic letter", "SELECT \u0430", 7],
    ["a letter outside ASCII", "SELECT é", 7],
    ["a vertical tab", "SELECT\u000b1", 6],
    ["a form feed", "SELECT\f1", 6],
    ["an escape character", "SELECT \u001b1", 7],
    ["half a surrogate pair", "SELECT '\ud800'", 8],
    ["a backtick", "SELECT `a`", 7],
    ["a hash", "SELECT 1 # a", 9],
    ["a backslash", "SELECT \\a", 7],
    ["a backslash in a quoted identifier", 'SELECT "a\\"', 7],
    ["an empty quoted identifier", 'SELECT ""', 7],
    ["a word before a quote", "SELECT r'a'", 8],
    ["a word before a quoted identifier", 'SELECT r"a"', 8],
    ["a number before a quote", "SELECT 1'a'", 8],
    ["a Unicode escape string", "SELECT U&'\\0027'", 8],
    ["a tagged dollar string", "SELECT $a$; $a$", 7],
    ["a dollar string that a dollar follows", "SELECT $$a$$$", 12],
    ["a dollar string that a word follows", "SELECT $$a$$b", 12],
    ["a word with two dollar signs", "SELECT x$a$", 7],
    ["a dollar sign", "SELECT $", 7],
    ["a bracket that is not closed", "SELECT (1", 7],
    ["a bracket that was never opened", "SELECT 1)", 8],
    ["brackets of two kinds", "SELECT (1]", 9],
    ["an assignment", "SELECT a := 1", 9],
    ["a template", "SELECT {{ a }}", 7]
  ]
  for (const [what, sql, position] of refused) {
    it(`refuses ${what}`, () => {
      expect(problem(sql)).toMatchObject({ code: "SYNTAX", position })
    })
  }

  it("names the character that it refuses", () => {
    expect(problem("SELECT GRÖSSE FROM t")?.message).toContain("Ö (U+00D6)")
    expect(problem("SELECT GRÖSSE FROM t")?.message).toMatch(/in double quotes.*describe_table.*: "GRÖSSE"$/)
    expect(problem("SELECT t.größe$2 FROM t")?.message).toMatch(/: "GRÖßE\$2"$/)
    expect(problem("SELECT 1 AS стул")?.message).toMatch(/: "СТУЛ"$/)
    expect(problem(`SELECT ${"ö".repeat(500)}`)?.message.length).toBeLessThan(300)
    expect(problem("SELECT ‘a’")?.message).toMatch(/quotes are ' around a text and " around a name/)
    // A name that is too long is not repeated, nor a part of it.
    for (const long of [
      `${"A".repeat(64)}Ö`,
      `Ö${"A".repeat(64)}`,
      `${"A".repeat(40)}Ö${"A".repeat(40)}`,
      "𝒜".repeat(33)
    ])
      expect(problem(`SELECT ${long} FROM t`)?.message).toMatch(/that describe_table shows$/)
    expect(problem("SELECT a – b")?.message).toMatch(/only ASCII/)
    expect(problem("SELECT\u00a01")?.message).toContain("U+00A0")
    expect(problem("SELECT \u{1F600}")?.message).toContain("U+1F600")
  })

  it("holds the limits: bytes, tokens and depth", () => {
    const limits = { bytes: 20, tokens: 5, depth: 2 }
    const code = (sql: string) => {
      const result = tokenize(sql, snowflake, limits)
      return Either.isLeft(result) ? result.left.code : "tokens"
    }
    expect(code("a".repeat(20))).toBe("tokens")
    expect(code("a".repeat(21))).toBe("TOO_LARGE")
    expect(code(`'${"é".repeat(9)}'`)).toBe("tokens")
    expect(code(`'${"é".repeat(9)} '`)).toBe("TOO_LARGE")
    expect(code(`'${"\u{1F600}".repeat(4)}'`)).toBe("tokens")
    expect(code(`'${"\u{1F600}".repeat(5)}'`)).toBe("TOO_LARGE")
    expect(code("a b c d e")).toBe("tokens")
    expect(code("a b c d e f")).toBe("TOO_LARGE")
    expect(code("((a))")).toBe("tokens")
    expect(code("(((a)))")).toBe("TOO_LARGE")
  })
})
