/**
 * The translation runs in the server's own process, beside the calls of all clients: what one statement can make it do is
 * bounded.
 */
import { describe, expect, it } from "@effect/vitest"
import { translate } from "../../../src/warehouse/duckdb/dialect/translate.js"

const nested = (call: string, rest: string, depth: number) =>
  `${call}(`.repeat(depth) + "a" + rest.repeat(depth)
const list = (unit: string, times: number, between = ", ") =>
  Array.from({ length: times }, () => unit).join(between)
const windows = (n: number) =>
  Array.from(
    { length: n },
    (_, at) => `w${at + 1} AS (ORDER BY SUM(a) OVER w${at}, SUM(b) OVER w${at})`
  ).join(", ")

/** Small texts of a long translation, and texts that are looked at again and again. */
const hostile: ReadonlyArray<readonly [string, string]> = [
  ["arguments that stand twice", `SELECT ${nested("GREATEST", ", 2)", 40)}`],
  ["an argument that stands several times", `SELECT ${nested("COUNT", ", b)", 60)}`],
  ["aggregates in each other", `SELECT ${nested("AVG", ")", 60)}`],
  ["formats", `SELECT ${nested("TO_CHAR", ", b)", 60)}`],
  ["least values that are read twice", `SELECT ${nested("MIN", " + 1)", 60)}`],
  ["many of a bearable length", `SELECT ${list(nested("GREATEST", ", 2)", 13), 400)}`],
  ["a chain of differences", `SELECT ${list("a", 20_000, " - ")}`],
  ["a chain of differences of numbers", `SELECT ${list("1", 20_000, " - ")}`],
  ["a name of many parts in double quotes", `SELECT ${list('"a"', 20_000, ".")}`],
  ["names of many parts in double quotes", `SELECT ${list(list('"a"', 6_000, "."), 4)}`],
  ["a chain of casts", `SELECT 1${"::INT".repeat(16_000)}`],
  ["a chain of products", `SELECT ${list("a * b / c", 8_000, " / ")}`],
  ["a chain of dates", `SELECT d${" + INTERVAL '1 day'".repeat(4_000)}`],
  ["an INTERVAL of many parts", `SELECT d + INTERVAL '${list("1 day", 10_000)}'`],
  [
    "long rows that are compared with many",
    `SELECT (${"x".repeat(40_000)}, b) IN (${list("(1, 2)", 6_000)})`
  ],
  ["a long list by many names", `SELECT ${list("a", 3_000)} FROM t ORDER BY ${list("b", 3_000)}`],
  ["windows of windows", `SELECT SUM(a) OVER w40 FROM t WINDOW w0 AS (ORDER BY a), ${windows(40)}`],
  ["a window of itself", "SELECT SUM(a) OVER w FROM t WINDOW w AS (ORDER BY SUM(a) OVER w)"],
  [
    "names of windows behind many tokens",
    `SELECT ${list("SUM(a) OVER w", 6_000)} FROM t WINDOW w AS (ORDER BY a)`
  ]
]

describe("the translation", () => {
  it.each(hostile)("refuses %s before it is written out", { timeout: 10_000 }, (_, sql) => {
    expect(sql.length).toBeLessThan(100_000)
    expect(translate(sql).slice(0, 200)).toMatch(
      /^SELECT sgj_refuse\('The statement is too much for the embedded warehouse/
    )
  })

  it.each([
    ["a long list", `SELECT ${list("a", 30_000)} FROM t`],
    ["many calls", `SELECT ${list("IFF(a = b, GREATEST(c, 1), TO_CHAR(d))", 2_000)} FROM t`],
    ["many operators", `SELECT ${list("a + b * c || d", 5_000)} FROM t`],
    ["many differences", `SELECT ${list("a - b - c", 8_000)} FROM t`],
    ["many joins", `SELECT 1 FROM t ${list("JOIN u USING (a)", 3_000, " ")}`],
    ["many queries", list("SELECT a, SUM(b) FROM t JOIN u ON t.a = u.a GROUP BY a", 1_500, " UNION ALL ")],
    ["many windows", `SELECT ${list("SUM(a) OVER (PARTITION BY b ORDER BY c)", 2_000)} FROM t`],
    [
      "windows by name",
      `SELECT ${list("SUM(a) OVER w", 500)} FROM t WINDOW w AS (PARTITION BY b ORDER BY c)`
    ],
    ["deep brackets", `SELECT ${list(`${"(".repeat(100)}a + 1${")".repeat(100)}`, 300)}`],
    ["deep calls", `SELECT ${list(`${"IFF(a, b, ".repeat(90)}c${")".repeat(90)}`, 80)}`],
    ["deep CASE", `SELECT ${list(`${"CASE WHEN a THEN ".repeat(60)}1${" END".repeat(60)}`, 60)}`],
    ["queries in queries", `${"SELECT * FROM (".repeat(190)}SELECT 1${")".repeat(190)}`],
    ["calls in each other", `SELECT ${nested("ABS", ")", 190)}`]
  ])("takes %s", (_, sql) => {
    expect(translate(sql).slice(0, 200)).not.toMatch(/^SELECT sgj_refuse/)
  })

  it.each([`1${"1".repeat(60)}!`, `${"1 ".repeat(40)}!`, "1 day 2 hours, , 3", "a", "", "1 day;"])(
    "refuses INTERVAL '%s' at once",
    { timeout: 2_000 },
    (text) => {
      expect(translate(`SELECT d + INTERVAL '${text}'`)).toMatch(/^SELECT sgj_refuse\('INTERVAL /)
    }
  )

  it.each([
    ["1 year, 2 days", "INTERVAL '1 year 2 day'"],
    ["1y 2d", "INTERVAL '1 year 2 day'"],
    [" 3 , 4 hours ,", "INTERVAL '3 second 4 hour'"],
    ["+1 month -2 days", "INTERVAL '+1 month -2 day'"]
  ])("reads INTERVAL '%s' as before", (text, read) => {
    expect(
      translate(`SELECT SUM(a) OVER (ORDER BY d RANGE BETWEEN INTERVAL '${text}' PRECEDING AND CURRENT ROW)`)
    ).toContain(`BETWEEN ${read} PRECEDING`)
  })
})
