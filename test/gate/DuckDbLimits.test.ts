import { expect } from "@effect/vitest"
import { Clock, Effect, Either } from "effect"
import * as ReadOnly from "../../src/gate/ReadOnly.js"
import { embeddedGate } from "../utils/embeddedGate.js"
import { withLayer } from "../utils/withLayer.js"

const verdict = (sql: string) =>
  Effect.flatMap(ReadOnly.ReadOnly, (gate) => Effect.either(gate.check(sql, ReadOnly.defaultPolicy)))

const times = (n: number, f: (i: number) => string) => Array.from({ length: n }, (_, i) => f(i)).join("")
const nest = (n: number, open: string, inner: string, close: string) =>
  open.repeat(n) + inner + close.repeat(n)

withLayer(embeddedGate())("the limits of the DuckDB gate", (it) => {
  it.effect("wide and costly statements pass: what they cost is bounded where they run", () =>
    Effect.gen(function* () {
      const wide = {
        columns: `SELECT 1${", 1".repeat(5000)}`,
        conditions: `SELECT 1 WHERE 1 = 1${" AND 1 = 1".repeat(3000)}`,
        list: `SELECT 1 IN (1${", 1".repeat(10_000)})`,
        values: `VALUES (1)${", (1)".repeat(5000)}`,
        unions: `SELECT 1${" UNION ALL SELECT 1".repeat(500)}`,
        whens: `SELECT CASE x${times(150, (i) => ` WHEN ${i} THEN ${i}`)} END FROM t`,
        joins: `SELECT 1 FROM t${times(60, (i) => ` JOIN t t${i} USING (a)`)}`,
        sum: `SELECT 1${" + 1".repeat(140)}`,
        ctes: `WITH a0 AS (SELECT 1)${times(100, (i) => `, a${i + 1} AS (SELECT * FROM a${i})`)} SELECT * FROM a100`,
        lambdas: `SELECT ${nest(20, "list_transform([1], x -> ", "1", ")")}`,
        between: `SELECT ${nest(20, "(", "1", " BETWEEN 0 AND 2)::INT")}`,
        "columns that build on columns": `SELECT 1 a0${times(50, (i) => `, a${i} + a${i} a${i + 1}`)}`,
        "long texts": "SELECT damerau_levenshtein(repeat('a', 50000), repeat('b', 50000))",
        "long lists": "SELECT len(range(2000000000))",
        conversions: "SELECT TO_CHAR(1), TO_DATE(TO_TIMESTAMP(0)), LAST_DAY(x) FROM t",
        windows: `SELECT 1${times(300, (i) => `, sum(x) OVER (ORDER BY y + ${i})`)} FROM t`,
        "grouping sets": "SELECT 1 FROM t GROUP BY CUBE (a, b, c, d, e, f, g, h, i, j)"
      }
      for (const [name, sql] of Object.entries(wide)) {
        const answer = yield* verdict(sql)
        expect([name, Either.isRight(answer) ? "accepted" : answer.left.message]).toEqual([name, "accepted"])
      }
    })
  )

  it.effect("what is too large, too deep or too wide is refused as such", () =>
    Effect.gen(function* () {
      const large = {
        bytes: `SELECT '${"x".repeat(100_000)}'`,
        "bytes of UTF-8": `SELECT '${"列".repeat(40_000)}'`,
        tokens: `SELECT 1${",1".repeat(30_000)}`,
        brackets: `SELECT ${nest(201, "(", "1", ")")}`,
        sum: `SELECT 1${"+1".repeat(1000)}`,
        windows: `SELECT 1${", sum(x) OVER w".repeat(3000)} FROM t WINDOW w AS (ORDER BY x${", x".repeat(3000)})`,
        "windows in CASE": `SELECT CASE sum(x) OVER w${" WHEN 1 THEN 2".repeat(300)} END FROM t WINDOW w AS (ORDER BY x${", x".repeat(300)})`
      }
      for (const [name, sql] of Object.entries(large)) {
        const answer = yield* verdict(sql)
        expect([name, Either.isLeft(answer) ? answer.left.code : "accepted"]).toEqual([name, "TOO_LARGE"])
      }
    })
  )
})

// The real clock: the time of a native parser is what is measured.
withLayer(embeddedGate())("the time the DuckDB gate takes", (it) => {
  it.effect("every text is decided in time that grows with its length, not faster", () =>
    Effect.gen(function* () {
      const texts: Readonly<Record<string, (n: number) => string>> = {
        "comment openers": (n) => "/*/".repeat(n / 3),
        "opened comments": (n) => "SELECT 1 " + "/* ".repeat(n / 3),
        brackets: (n) => "(".repeat(n),
        quotes: (n) => "SELECT " + "'".repeat(n),
        "opened quotes": (n) => "SELECT '" + "a".repeat(n),
        "doubled quotes": (n) => "SELECT '" + "''".repeat(n / 2),
        "dollar signs": (n) => "SELECT " + "$".repeat(n),
        tags: (n) => "SELECT " + times(n / 6, (i) => `$a${i % 999}$ `),
        dashes: (n) => "-".repeat(n),
        "line comments": (n) => "--\n".repeat(n / 3),
        semicolons: (n) => ";".repeat(n),
        conditions: (n) => "SELECT 1 WHERE 1" + " AND 1".repeat(n / 10),
        digits: (n) => "SELECT " + "1".repeat(n),
        words: (n) => "SELECT " + "a".repeat(n),
        cases: (n) => "SELECT " + "CASE ".repeat(n / 5),
        "cases with END": (n) => "SELECT " + "CASE a END ".repeat(n / 11),
        windows: (n) => "SELECT 1 WINDOW " + "w AS (x), ".repeat(n / 10),
        escapes: (n) => "SELECT E'" + "\\'".repeat(n / 2) + "'",
        operators: (n) => "SELECT 1" + "~".repeat(n),
        dots: (n) => "SELECT a" + ".b".repeat(n / 10),
        ctes: (n) =>
          "WITH a AS (SELECT 1)" + times(n / 40, (i) => `, a${i} AS (SELECT 1 FROM a)`) + " FROM a",
        surrogates: (n) => "SELECT '" + "\u{1F600}".repeat(n / 5) + "'"
      }
      const millis = (sql: string) =>
        Effect.gen(function* () {
          const before = yield* Clock.currentTimeNanos
          yield* verdict(sql)
          return Number((yield* Clock.currentTimeNanos) - before) / 1e6
        })
      yield* verdict("SELECT 1")
      for (const [name, text] of Object.entries(texts)) {
        let linear = false
        // Quadratic is 16 times; the constant and the second and third try forgive a slow moment of the machine.
        for (let attempt = 0; attempt < 3 && !linear; attempt++) {
          const quarter = yield* millis(text(24_000))
          linear = (yield* millis(text(96_000))) < 8 * quarter + 400
        }
        expect([name, linear]).toEqual([name, true])
      }
    })
  )
})
