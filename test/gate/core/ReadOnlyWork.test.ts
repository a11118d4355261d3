import { describe, expect, it } from "@effect/vitest"
import { Either, FastCheck as fc } from "effect"
import { snowflake } from "../../../src/sql/Dialect.js"
import { emit } from "../../../src/gate/core/Emit.js"
import { snowflakeLimits, tokenize } from "../../../src/sql/Lexer.js"
import type { Token } from "../../../src/sql/Lexer.js"
import { check } from "../../../src/gate/core/ReadOnly.js"
import type { Policy } from "../../../src/gate/core/ReadOnly.js"
import { none } from "../../../src/gate/core/SnowflakeNames.js"
import { inspect } from "../../../src/gate/core/SnowflakeScan.js"
import * as Show from "../../../src/gate/core/SnowflakeShow.js"
import { shortOrLong } from "../../utils/long.js"

const rules: Policy = {
  allowFunctions: [],
  objects: { allow: [], deny: ["D.S.SECRET", "*.HR", '"x"'] },
  database: "D",
  schema: "S"
}

/** Texts that make a careless reader go back and forth; each grows with its argument. */
const hostile: ReadonlyArray<readonly [name: string, text: (n: number) => string]> = [
  [
    "open brackets",
    (n) => `SELECT ${"(".repeat(Math.min(n, 199))}1${")".repeat(Math.min(n, 199))}${", (1)".repeat(n)}`
  ],
  ["deep brackets side by side", (n) => `SELECT ${`${"(".repeat(50)}1${")".repeat(50)}, `.repeat(n / 25)}1`],
  ["names with many parts", (n) => `SELECT ${"a.b.c.d.e.f(1), ".repeat(n / 4)}1`],
  ["one name with many parts", (n) => `SELECT a${".a".repeat(n)}(1)`],
  ["tables", (n) => `SELECT * FROM t0${", a.b.c x".repeat(n)}`],
  ["joins", (n) => `SELECT * FROM t0${" JOIN (a x (b, c)) ON TRUE".repeat(n / 4)}`],
  ["CTEs that are used", (n) => `WITH ${"a AS (SELECT 1 FROM a), ".repeat(n / 4)}b AS (SELECT 1) SELECT 1`],
  ["set operators", (n) => `SELECT 1${" UNION ALL SELECT 1".repeat(n)}`],
  ["WITH behind set operators", (n) => `SELECT 1${" UNION WITH a AS (SELECT 1) SELECT 1".repeat(n / 4)}`],
  ["rows of VALUES", (n) => `SELECT * FROM VALUES ${"(1, 2), ".repeat(n)}(3, 4)`],
  ["stars with columns left out", (n) => `SELECT * ${"EXCLUDE (a) ".repeat(n)}FROM t`],
  ["aliases with columns", (n) => `SELECT * FROM ${"t x (a, b, c, d, e), ".repeat(n / 4)}t`],
  ["chains", (n) => `SELECT 1${" ->> SELECT * FROM $1".repeat(n)}`],
  ["arrays and objects", (n) => `SELECT ${"[{'a': [1]}], ".repeat(n)}1`],
  ["TABLE calls", (n) => `SELECT * FROM ${"TABLE(a.b.c.d.e(1)), ".repeat(n / 4)}t`],
  ["SHOW with many words", (n) => `SHOW TABLES IN ${"a.".repeat(n)}a`],
  ["strings", (n) => `SELECT ${"'it''s' || ".repeat(n)}''`],
  ["escapes", (n) => `SELECT '${"\\'\\\\".repeat(n)}'`],
  ["dollar strings", (n) => `SELECT ${"$$a$$ || ".repeat(n)}1`],
  ["comments", (n) => `SELECT ${"/* a */ ".repeat(n)}1`],
  ["dashes", (n) => `SELECT ${"- ".repeat(n)}1`],
  ["casts", (n) => `SELECT 1${"::NUMBER(1)".repeat(n)}`],
  ["paths", (n) => `SELECT a${":b[0]".repeat(n)} FROM t`],
  ["CASE", (n) => `SELECT ${"CASE WHEN ".repeat(n)}1`]
]

/** How often a token is looked at. */
const looks = (sql: string): number => {
  const read = tokenize(sql, snowflake)
  if (Either.isLeft(read)) throw new Error(`${read.left.message}: ${sql.slice(0, 80)}`)
  let count = 0
  const tokens: ReadonlyArray<Token> = new Proxy([...read.right], {
    get: (target, key, self) => {
      if (typeof key === "string" && /^\d+$/.test(key)) count++
      const value: unknown = Reflect.get(target, key, self)
      return value
    }
  })
  if (Show.parse(tokens) === undefined) inspect(tokens, 0, { functions: new Set(), stages: false }, none())
  emit(tokens, snowflake)
  return count
}

describe("the work of the Snowflake gate", () => {
  it.each(hostile)("doubles at most when the text doubles: %s", (_, text) => {
    const [small, large] = [looks(text(1000)), looks(text(2000))]
    expect(large).toBeLessThanOrEqual(small * 2.2 + 200)
  })

  it(
    "is the same for each WITH behind a set operator, whatever is defined before it",
    { timeout: 8_000 },
    () => {
      const before = Array.from({ length: 10_000 }, (_, at) => `c${at} AS (SELECT 1)`).join(", ")
      const sql = `WITH ${before} SELECT 1${" UNION WITH a AS (SELECT 1) SELECT 1".repeat(9_000)}`
      const verdict = check(sql, { allowFunctions: [] })
      expect(Either.isRight(verdict)).toBe(true)
    }
  )

  it.each([
    // Behind the next set operator the name is a table again, and what was defined before stays.
    [
      "WITH a AS (SELECT 1) SELECT 1 UNION WITH b AS (SELECT 1) SELECT * FROM a, b UNION SELECT * FROM a, b",
      ["b"]
    ],
    ["WITH a AS (SELECT 1) SELECT 1 UNION WITH a AS (SELECT 2) SELECT * FROM a UNION SELECT * FROM a", []],
    [
      "SELECT 1 UNION WITH a AS (SELECT 1) SELECT * FROM a UNION WITH b AS (SELECT 1) SELECT * FROM a, b",
      ["a"]
    ]
  ])("ends a WITH behind a set operator with the next one: %s", (sql, tables) => {
    expect(Either.map(check(sql, { allowFunctions: [] }), (accepted) => accepted.tables)).toEqual(
      Either.right(tables)
    )
  })

  it("is printed for the longest of these texts that the limits take", () => {
    // The measure of all of them is the long form's.
    const longest = shortOrLong(
      hostile.filter((_, i) => i % 8 === 0),
      hostile
    ).map(([name, text]) => {
      let n = 25
      const fits = (sql: string) =>
        Buffer.byteLength(sql) <= snowflakeLimits.bytes &&
        Either.isRight(tokenize(sql, snowflake, snowflakeLimits))
      while (n < 100_000 && fits(text(n * 2))) n *= 2
      const sql = text(n)
      const start = performance.now()
      check(sql, { ...rules, appendLimit: 9 })
      return { name, ms: performance.now() - start, bytes: Buffer.byteLength(sql) }
    })
    longest.sort((a, b) => b.ms - a.ms)
    for (const { bytes, ms, name } of longest.slice(0, 3)) {
      console.log(`slowest at the limit: ${name}, ${bytes} bytes, ${ms.toFixed(1)} ms (goal: 1 ms for 2 kB)`)
    }
    expect(longest.some(({ bytes }) => bytes > 400_000)).toBe(true)
  })
})

const word = fc.constantFrom(
  ..."SELECT FROM WITH RECURSIVE AS UNION ALL VALUES JOIN ON LATERAL TABLE secret orders x a 1 'a' ( ) ( ) , . ->> $1 AT SAMPLE IN EXISTS WHERE d.s.secret s.secret IDENTIFIER".split(
    " "
  )
)
const statement = fc.array(word, { maxLength: 14 }).map((words) => `SELECT * FROM ${words.join(" ")}`)

describe("rules about objects", () => {
  it("hold for every statement that is put together at random: what directly follows FROM or JOIN is checked", () => {
    let accepted = 0
    fc.assert(
      fc.property(statement, (sql) => {
        const verdict = check(sql, rules)
        if (Either.isLeft(verdict)) return
        accepted++
        expect(verdict.right.canonical).not.toMatch(
          /(?<!\.\s*)\b(?:FROM|JOIN|LATERAL)\s*\(*\s*(?:d\.)?(?:s\.)?secret\b(?!\s*\.)/i
        )
        expect(check(verdict.right.canonical, rules)).toMatchObject({
          right: { canonical: verdict.right.canonical }
        })
      }),
      { numRuns: shortOrLong(1000, 4000) }
    )
    expect(accepted).toBeGreaterThan(shortOrLong(50, 200))
  })
})
