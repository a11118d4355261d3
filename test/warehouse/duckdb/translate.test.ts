/**
 * Whatever is asked, the translation writes a statement: what is wrong with it is said by DuckDB, or by the refusal.
 */
import { describe, expect, it } from "@effect/vitest"
import { calls, names } from "../../../src/warehouse/duckdb/dialect/library.js"
import { inDuckDb } from "../../../src/sql/Identifier.js"
import { translate } from "../../../src/warehouse/duckdb/dialect/translate.js"

const functions = [...new Set([...Object.keys(calls), ...names.map((name) => name.toUpperCase())])]

describe("the translation", () => {
  it("writes a call of each function, with no argument and with many", () => {
    expect(functions.length).toBeGreaterThan(300)
    const failed = functions.flatMap((name) =>
      ["", "a", "a, 1", "'x', a, day", "*", "a, a, a, a, a, a, a, a"].flatMap((args) =>
        ["", " WITHIN GROUP (ORDER BY x)", " OVER (ORDER BY x)"].flatMap((behind) => {
          const sql = `SELECT ${name}(${args})${behind}`
          try {
            return translate(sql).startsWith("SELECT ") ? [] : [sql]
          } catch (thrown) {
            return [`${sql}: ${String(thrown)}`]
          }
        })
      )
    )
    expect(failed).toEqual([])
  })

  it.each(["TO_DOUBLE", "TRY_TO_DOUBLE", "BOOLAND_AGG", "BITXOR_AGG", "HLL", "SKEW"])(
    "says that %s needs an argument",
    (name) => {
      expect(translate(`SELECT ${name}()`)).toContain(`not enough arguments for function ${name}`)
    }
  )

  it("refuses a name in double quotes with the character that marks names for DuckDB", () => {
    expect(translate('SELECT "a\uE0003" FROM t')).toMatch(/^SELECT sgj_refuse\('A name in double quotes/)
    expect(translate("SELECT 'a\uE0003' FROM t")).not.toContain("sgj_refuse")
  })

  it("translates a statement that its names make longer than a statement may be", () => {
    const sql = `SELECT ${Array.from({ length: 9_000 }, () => '"a"').join(", ")} FROM t LIMIT 1`
    expect(translate(`${sql}${" ".repeat(99_000 - sql.length)}`)).toContain(inDuckDb("a"))
  })

  it.each([
    ["SELECT a LIKE ANY ('x') ESCAPE", "ESCAPE"],
    ["SELECT * FROM t UNPIVOT (a FOR b IN )", "UNPIVOT"],
    ["SELECT * FROM t PIVOT (SUM(a) FOR b IN )", "PIVOT"],
    ["SELECT a FROM t CONNECT BY PRIOR", "PRIOR"],
    ["SELECT a FROM t CONNECT BY a.", "sg_t.a"],
    ["SELECT a CONNECT BY PRIOR a = b FROM t", "CONNECT BY works on one table"],
    ["SELECT a FROM CONNECT BY PRIOR a = b", "CONNECT BY works on one table"]
  ])("writes what is unfinished: %s", (sql, part) => {
    expect(translate(sql)).toContain(part)
  })
})
