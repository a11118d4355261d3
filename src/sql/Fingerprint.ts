/**
 * A text that two statements share when they differ in nothing but comments, spacing and the case of
 * unquoted words. It is the whole statement and no hash, so equal texts are equal statements.
 */
import * as Either from "effect/Either"
import type { Dialect } from "./Dialect.js"
import { tokenize } from "./Lexer.js"

/** Quotes, and what may start or end a comment. */
const delicate = /['"`$#\\]|--|\/\/|\/\*/

export const fingerprint = (sql: string, dialect: Dialect): string => {
  const tokens = tokenize(sql, dialect)
  if (Either.isRight(tokens)) {
    // Words are told from quoted names and literals by the quotes that stay in the text of those.
    return tokens.right.map((token) => (token.kind === "word" ? token.value : token.text)).join(" ")
  }
  // Not SQL to the lexer. Nothing is known then of what is inside a quote, and inside it everything counts.
  return delicate.test(sql) ? sql.trim() : sql.trim().replace(/\s+/g, " ").toUpperCase()
}
