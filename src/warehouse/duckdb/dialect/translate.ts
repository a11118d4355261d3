/**
 * A query in Snowflake's SQL as one for DuckDB.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import { snowflake } from "../../../sql/Dialect.js"
import { hasMark, inDuckDb, quoted } from "../../../sql/Identifier.js"
import { defaultLimits, tokenize } from "../../../sql/Lexer.js"
import { refuse, unlessRefused } from "./refusal.js"
import { rewrite } from "./rewrite.js"
import type { Edit, Source } from "./source.js"
import { apply, isName, source } from "./source.js"

/** Whether the `:` at an index is between a key and a value, as in `{'a': 1}`, and begins no path. */
const isPair = ({ tokens }: Source, opened: string | undefined, at: number): boolean =>
  opened === "{" && ["{", ","].includes(tokens[at - 2]?.text ?? "")

/**
 * Whether the name at an index is a key of a semi-structured value: after `:`, or further on in such a path. `keys` are
 * those before it.
 */
const isKey = (from: Source, opened: string | undefined, at: number, keys: ReadonlySet<number>): boolean => {
  const { partner, tokens } = from
  const before = tokens[at - 1]
  if (before?.text === ":") return !isPair(from, opened, at - 1)
  if (tokens[at + 1]?.text === ":" && isPair(from, opened, at + 1)) return true
  if (before?.text !== ".") return false
  const open = tokens[at - 2]?.text === "]" ? partner.get(at - 2) : undefined
  if (open !== undefined) return true
  return keys.has(at - 2)
}

/** The names in double quotes under what they are called in DuckDB. */
const names = (from: Source): ReadonlyArray<Edit> => {
  const open: Array<string> = []
  const keys = new Set<number>()
  return from.tokens.flatMap((token, at) => {
    if (token.kind === "open") open.push(token.text)
    if (token.kind === "close") open.pop()
    if (!isName(token)) return []
    const { end, kind, start, value } = token
    if (kind === "quoted" && hasMark(value))
      return refuse(
        "A name in double quotes has the character U+E000, which the embedded warehouse keeps for itself: leave it out"
      )
    if (isKey(from, open[open.length - 1], at, keys)) {
      keys.add(at)
      return []
    }
    const name = kind === "quoted" ? inDuckDb(value) : value
    return name === value ? [] : [{ start, end, text: quoted(name) }]
  })
}

/** A statement within the limits is so with the names that DuckDB has for its own: `"a"` gets five bytes more. */
const longer = { ...defaultLimits, bytes: 3 * defaultLimits.bytes }

/**
 * The same query for DuckDB: a function of the text alone, so what the gate has checked is what runs. What
 * cannot be read as Snowflake's SQL is returned as it came, and DuckDB says what is wrong with it.
 *
 * @since 0.1.0
 * @category conversions
 */
export const translate = (sql: string): string => {
  const tokens = tokenize(sql, snowflake)
  if (Either.isLeft(tokens)) return sql
  const from = source(sql, tokens.right)
  const named = unlessRefused(() => apply(sql, names(from)))
  if (Either.isLeft(named)) return `SELECT ${named.left}`
  if (named.right === sql) return rewrite(from)
  return Either.match(tokenize(named.right, snowflake, longer), {
    onLeft: () => sql,
    onRight: (again) => rewrite(source(named.right, again))
  })
}
