/**
 * Rewrites what no macro can stand for: syntax of Snowflake that DuckDB reads differently or not at all.
 *
 * Works on tokens: only what a rule recognises is replaced, everything else stays as it is written, and
 * the content of string literals is never touched. Total: what no rule knows is returned as it came, and
 * DuckDB says what is wrong with it. Not a parser: it makes the everyday queries of analysts work, it does
 * not make DuckDB Snowflake.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import { duckdb } from "../../../sql/Dialect.js"
import { tokenize } from "../../../sql/Lexer.js"
import { apply, source } from "./edits.js"
import { functions } from "./functions.js"
import { syntax } from "./syntax.js"
import { types } from "./typeNames.js"
import { paths } from "./paths.js"

const step = (sql: string): string => {
  const tokens = tokenize(sql, duckdb)
  if (Either.isLeft(tokens)) return sql
  const from = source(sql, tokens.right)
  const edits = [...paths(from), ...types(from), ...functions(from), ...syntax(from)]
  return edits.length === 0 ? sql : apply(sql, edits)
}

/** More than a rule inside a rule inside a rule takes; text that still changes then is not SQL. */
const maxSteps = 10

/**
 * The same query for DuckDB. What it returns it leaves alone when it is given it again: the rules are
 * applied until nothing changes, which also reaches what another rule had moved.
 *
 * @since 0.1.0
 * @category conversions
 */
export const translate = (sql: string): string => {
  let before = sql
  for (let count = 0; count < maxSteps; count++) {
    const after = step(before)
    if (after === before) return after
    before = after
  }
  return sql
}
