import { describe, expect, it } from "@effect/vitest"
import { Either, FastCheck as fc } from "effect"
import { readFileSync } from "node:fs"
import { duckdb, snowflake } from "../../../src/sql/Dialect.js"
import type { Dialect } from "../../../src/sql/Dialect.js"
import { emit, sourceOffset } from "../../../src/gate/core/Emit.js"
import { tokenize } from "../../../src/sql/Lexer.js"
import type { Token } from "../../../src/sql/Lexer.js"
import { shortOrLong } from "../../utils/long.js"

const canonical = (sql: string, dialect: Dialect = snowflake) => {
  const tokens = tokenize(sql, dialect)
  return Either.isRight(tokens) ? emit(tokens.right, dialect) : undefined
}

describe("the canonical text", () => {
  const cases: ReadonlyArray<readonly [sql: string, text: string | undefined]> = [
    ["select  1 -- c", "select 1"],
    ["SELECT\ta/**/,\nb", "SELECT a, b"],
    ["f ( a , b [ 1 ] )", "f (a, b [1])"],
    ["f(a)[1].b . c", "f(a)[1].b.c"],
    ["a::int, (b)::text, 'x' :: date", "a::int, (b)::text, 'x'::date"],
    ["src:a.b[0]::string", "src:a.b[0]::string"],
    ["{'a': 1}", "{ 'a': 1 }"],
    ["a--b\n-1", "a - 1"],
    ["a>-1, - -1, -a", "a > -1, - -1, - a"],
    ["a- -1", "a - -1"],
    ["a/ /b", "a / / b"],
    ["a/ *b", "a / * b"],
    ["'x'OR'y'", "'x' OR 'y'"],
    ["date'2024-01-31'", "date '2024-01-31'"],
    ["n'x'", undefined],
    ["'x'OR 'y'", "'x' OR 'y'"],
    ["'it\\'s' $$it's \\d$$", "'it''s' 'it''s \\\\d'"],
    ["'\\\\' '\\n'", "'\\\\' '\\n'"],
    ["x'0a'", "X'0A'"],
    ["t.*, t.$1", "t.*, t.$1"],
    ["t1.id = t2.id (+)", "t1.id = t2.id (+)"],
    ["(^ a+? b{2,3} (c|d)? $ )", "(^ a +? b{2, 3} (c | d)? $)"],
    ["(a + ? b { 2 })", "(a + ? b { 2 })"]
  ]
  for (const [sql, text] of cases)
    it(`of ${sql.replaceAll("\n", "\\n")}`, () => expect(canonical(sql)).toBe(text))

  it("of DuckDB's strings is the plain form of each", () => {
    expect(canonical("SELECT E'it\\'s\\\\', $t$it's$t$, 'a\\'", duckdb)).toBe(
      "SELECT 'it''s\\', 'it''s', 'a\\'"
    )
  })

  it("leads back to the token that stood at an offset, in bytes", () => {
    const sql = "SELECT  /* c */ 'é', f(x)"
    const tokens = Either.getOrThrow(tokenize(sql, duckdb))
    const text = emit(tokens, duckdb)
    const offset = Buffer.byteLength(text.slice(0, text.indexOf("f(")))
    expect(sourceOffset(tokens, duckdb, offset)).toBe(sql.indexOf("f("))
    expect(sourceOffset(tokens, duckdb, offset - 1)).toBe(sql.indexOf(","))
  })
})

// Pieces that lexers disagree about, glued at random.
const piece = fc.constantFrom(
  ..."' '' \" \"\" \\ \\' $$ $a$ $ -- // /* */ /*! # ` ; ( ) [ ] { } . : :: , - + * / ->> -> > = ? ! @ & ~ | % a B1 x$y X'0A' E'b' r'c' U&'d' 1 .5 1e3 SELECT DROP".split(
    " "
  ),
  " ",
  "\n",
  "\r",
  "\r\n",
  "\u00a0",
  "é",
  "\0"
)
const text = fc.array(piece, { maxLength: 24 }).map((pieces) => pieces.join(""))
const literal = fc
  .array(fc.constantFrom("'", "''", "\\", "\\'", "$", "--", ";", "/*", "\n", "a", "é"), { maxLength: 6 })
  .map((parts) => parts.join(""))
const statement = fc
  .array(
    fc.oneof(
      literal.map((body) => `'${body}'`),
      literal.map((body) => `$$${body}$$`),
      literal.map((body) => `"${body}"`),
      literal.map((body) => `/* ${body} */`),
      literal.map((body) => `-- ${body}\n`),
      piece
    ),
    { maxLength: 10 }
  )
  .map((parts) => parts.join(" "))

interface Variant {
  readonly backslash: boolean
  readonly nested: boolean
  readonly slashes: boolean
  readonly hash: boolean
  readonly backtick: boolean
  readonly crEndsLine: boolean
  readonly tags: boolean
  readonly bracketNames: boolean
}

const variants = (fixed: Partial<Variant>): ReadonlyArray<Variant> =>
  Array.from({ length: 256 }, (_, bits) => ({
    backslash: (bits & 1) > 0,
    nested: (bits & 2) > 0,
    slashes: (bits & 4) > 0,
    hash: (bits & 8) > 0,
    backtick: (bits & 16) > 0,
    crEndsLine: (bits & 32) > 0,
    tags: (bits & 64) > 0,
    bracketNames: false,
    ...fixed
  })).filter((_, bits) => bits < 128)

/** Another lexer's idea of the text: where quoted things are, what is a comment, how many statements. */
const scan = (sql: string, variant: Variant): string => {
  const spans: Array<string> = []
  let at = 0
  while (at < sql.length) {
    const rest = sql.slice(at, at + 2)
    const char = sql.charAt(at)
    const start = at
    if (rest === "--" || (variant.slashes && rest === "//") || (variant.hash && char === "#")) {
      while (at < sql.length && sql.charAt(at) !== "\n" && !(variant.crEndsLine && sql.charAt(at) === "\r"))
        at++
      spans.push("comment")
    } else if (rest === "/*") {
      let depth = 1
      at += 2
      while (at < sql.length && depth > 0) {
        if (sql.startsWith("*/", at)) depth--
        else if (variant.nested && sql.startsWith("/*", at)) depth++
        at += sql.startsWith("*/", at) || sql.startsWith("/*", at) ? 2 : 1
      }
      spans.push("comment")
    } else if (char === "'" || char === '"' || (variant.backtick && char === "`")) {
      at++
      for (; at < sql.length; at++) {
        if (variant.backslash && char === "'" && sql.charAt(at) === "\\") at++
        else if (sql.charAt(at) === char) {
          if (sql.charAt(at + 1) !== char) break
          at++
        }
      }
      at++
      spans.push(`${start}-${at}`)
    } else {
      const tag = variant.tags ? (/^\$(?:[A-Za-z_]\w*)?\$/.exec(sql.slice(at, at + 40))?.[0] ?? "") : ""
      if (tag !== "") {
        const close = sql.indexOf(tag, at + tag.length)
        at = close < 0 ? sql.length : close + tag.length
        spans.push(`${start}-${at}`)
      } else {
        if (char === ";") spans.push("end")
        at++
      }
    }
  }
  return spans.join(" ")
}

const isQuoted = (token: Token) => token.kind === "string" || token.kind === "quoted" || token.kind === "hex"
const ours = (tokens: ReadonlyArray<Token>): string =>
  tokens
    .flatMap((token) => {
      if (token.text === ";") return ["end"]
      return isQuoted(token) ? [`${token.kind === "hex" ? token.start + 1 : token.start}-${token.end}`] : []
    })
    .join(" ")

/** Whether the text could be read at all; throws where its canonical form is another one to some lexer. */
const agrees = (dialect: Dialect, lexers: ReadonlyArray<Variant>, sql: string): boolean => {
  const first = tokenize(sql, dialect)
  if (Either.isLeft(first)) return false
  const text = emit(first.right, dialect)
  const second = Either.getOrThrowWith(
    tokenize(text, dialect),
    (error) => new Error(`${text}: ${error.message}`)
  )
  const plain = (token: Token) => [token.kind === "dollar" ? "string" : token.kind, token.value]
  expect(second.map(plain)).toEqual(first.right.map(plain))
  expect(emit(second, dialect)).toBe(text)
  const expected = ours(second)
  for (const lexer of lexers)
    if (scan(text, lexer) !== expected) expect([text, lexer, scan(text, lexer)]).toEqual(expected)
  return true
}

/** How many of 2,000 texts could be read. */
const readable = (dialect: Dialect, lexers: ReadonlyArray<Variant>): number => {
  let count = 0
  const property = fc.property(fc.oneof(text, statement), (sql) => {
    if (agrees(dialect, lexers, sql)) count++
  })
  fc.assert(property, { numRuns: shortOrLong(300, 2000) })
  return count
}

describe("the canonical text, whatever the lexer that reads it", () => {
  it("of Snowflake has the same literals, no comment and the same statements for 128 lexers", () => {
    expect(readable(snowflake, variants({}))).toBeGreaterThan(shortOrLong(30, 200))
  })

  it("of DuckDB has them for every lexer without backslash escapes", () => {
    const lexers = variants({ backslash: false, slashes: false })
    expect(readable(duckdb, lexers)).toBeGreaterThan(shortOrLong(30, 200))
  })

  it("of every statement that is known to be a read keeps its tokens", () => {
    const rows = readFileSync(new URL("../../fixtures/hand_reads.jsonl", import.meta.url), "utf8")
      .trim()
      .split("\n")
    for (const row of rows) {
      const { sql } = JSON.parse(row) as { readonly sql: string }
      expect([sql, agrees(snowflake, variants({}), sql)]).toEqual([sql, true])
    }
  })
})
