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
import type { Token } from "../../sql/Lexer.js"
import { apply, source } from "./edits.js"
import { functions } from "./functions.js"
import { syntax } from "./syntax.js"
import { types } from "./typeNames.js"
import { paths } from "./paths.js"

/**
 * `tokens` are those of `sql`.
 *
 * @since 0.1.0
 * @category conversions
 */
export const translate = (sql: string, tokens: ReadonlyArray<Token>): string => {
  const from = source(sql, tokens)
  const edits = [...paths(from), ...types(from), ...functions(from), ...syntax(from)]
  return edits.length === 0 ? sql : apply(sql, edits)
}
