/**
 * A query in Snowflake's SQL as one for DuckDB.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import { snowflake } from "../../../sql/Dialect.js"
import { tokenize } from "../../../sql/Lexer.js"
import { rewrite } from "./rewrite.js"
import { source } from "./source.js"

/**
 * The same query for DuckDB: a function of the text alone, so what the gate has checked is what runs. What
 * cannot be read as Snowflake's SQL is returned as it came, and DuckDB says what is wrong with it.
 *
 * @since 0.1.0
 * @category conversions
 */
export const translate = (sql: string): string => {
  const tokens = tokenize(sql, snowflake)
  return Either.isLeft(tokens) ? sql : rewrite(source(sql, tokens.right))
}
