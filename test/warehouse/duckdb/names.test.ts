import { expect, it } from "@effect/vitest"
import { Either } from "effect"
import { resultNames } from "../../../src/warehouse/duckdb/names.js"
import { duckdb } from "../../../src/sql/Dialect.js"
import { inDuckDb } from "../../../src/sql/Identifier.js"
import { tokenize } from "../../../src/sql/Lexer.js"

/** What a statement's columns are called when DuckDB calls them `names`. */
const named = (sql: string, ...names: ReadonlyArray<string>) =>
  resultNames(sql, Either.getOrThrow(tokenize(sql, duckdb)), names)

it("folds what is not quoted to upper case and keeps what is", () => {
  expect(
    named(`select id, t.name, total as sum, x "x", y as "Y y" from t`, "ID", "name", "sum", "x", "Y y")
  ).toEqual(["ID", "NAME", "SUM", "x", "Y y"])
})

it("names an expression by its text", () => {
  expect(
    named(
      "select count(*),  sum( total )\n n, a+1, 'x' || b, case when a then b end from t",
      "count_star()",
      "n",
      "(a + 1)",
      "('x' || b)",
      "CASE"
    )
  ).toEqual(["COUNT(*)", "N", "A+1", "'X' || B", "CASE WHEN A THEN B END"])
  expect(named("select listagg(x) within group (order by y), 1 is distinct from 2 from t", "a", "b")).toEqual(
    ["LISTAGG(X) WITHIN GROUP (ORDER BY Y)", "1 IS DISTINCT FROM 2"]
  )
})

it("folds letters beyond ASCII as names are folded, each to one letter", () => {
  expect(named(`select avg("GRÖßE"), sum("größe") from t`, "a", "b")).toEqual([
    `AVG("GRÖßE")`,
    `SUM("GRÖßE")`
  ])
  expect(named(`select "GRÖßE" from t`, "größe")).toEqual(["GRÖßE"])
  // Another name.
  expect(named(`select "x" as "Maße" from t`, "MASSE")).toEqual([`"X" AS "MAßE"`])
})

it("looks at the outermost list, also behind CTEs, brackets and set operators", () => {
  expect(named(`with a as (select "q" from t) select n, (select max(m) from u) k from a`, "n", "k")).toEqual([
    "N",
    "K"
  ])
  expect(named(`(select "a" from t) union (select b from u)`, "a")).toEqual(["a"])
  expect(named("select distinct top 3 a from t", "A")).toEqual(["A"])
})

it("uses DuckDB's names where the text does not say what the columns are", () => {
  expect(named("select *, count(*) over () from t", "ID", "name", "count_star()")).toEqual([
    "ID",
    "NAME",
    "COUNT(*)"
  ])
  expect(named(`select * from (select 1 "x", 2 y)`, inDuckDb("x"), "y")).toEqual(["x", "Y"])
  expect(named("select t.*, 1 from t", "A", "b", "1")).toEqual(["A", "B", "1"])
  expect(named("values (1)", "col0")).toEqual(["COL0"])
})
