/**
 * What a statement may have meant by a name that DuckDB did not find. Pure.
 *
 * @since 0.1.0
 */
import { nearest } from "../../platform/core/Nearest.js"
import { sameInDuckDb, upper, written } from "../../sql/Identifier.js"
import type { Token } from "../../sql/Lexer.js"
import type { Catalog, Missing, Namespace } from "./catalog.js"
import { findRelation } from "./catalog.js"
import { known } from "./dialect/library.js"
import type { Failure } from "./errors.js"

const isName = (token: Token | undefined): token is Token =>
  token?.kind === "word" || token?.kind === "quoted"

/** The dotted name around the first token that is `part`. */
const reference = (tokens: ReadonlyArray<Token>, part: string): ReadonlyArray<string> | undefined => {
  const at = tokens.findIndex((token) => isName(token) && sameInDuckDb(token.value, part))
  if (at < 0) return undefined
  let start = at
  while (tokens[start - 1]?.text === "." && isName(tokens[start - 2])) start -= 2
  const parts = [tokens[start]!.value]
  for (let next = start; tokens[next + 1]?.text === "." && isName(tokens[next + 2]); next += 2) {
    parts.push(tokens[next + 2]!.value)
  }
  return parts
}

/**
 * The database, schema or object that a failure is about, with its full name and what resembles it;
 * undefined for other failures.
 *
 * @since 0.1.0
 * @category lookups
 */
export const missingIn = (
  catalog: Catalog,
  failure: Failure,
  namespace: Namespace,
  tokens: ReadonlyArray<Token>
): Missing | undefined => {
  if (failure.missing === undefined || failure.reason !== "NotFound") return undefined
  const [part = failure.missing.name] = failure.missing.name.split(".").slice(-1)
  const name = reference(tokens, part) ?? failure.missing.name.split(".").map(upper)
  const found = findRelation(catalog, name, namespace)
  return "_tag" in found ? found : undefined
}

/** Shorter words stand in many names, and tell nothing. */
const SHORTEST_WORD = 4

const wordsOf = (name: string): ReadonlyArray<string> =>
  name
    .toUpperCase()
    .split(/[^\p{L}\p{N}]+/u)
    .filter(({ length }) => length >= SHORTEST_WORD)

/** Words of a name that are looked for: each is compared with each word of all columns. */
const MOST_WORDS = 8

/** `ORDER_PRICE` -> `PRICE_OF_ORDER`: the columns that have most of its words, at most three. */
const sharingWords = (name: string, columns: Iterable<string>): ReadonlyArray<string> => {
  const asked = wordsOf(name).slice(0, MOST_WORDS)
  return [...columns]
    .map((column) => {
      const words = wordsOf(column)
      return {
        column,
        shared: asked.filter((word) => words.some((own) => nearest(word, [own]).length > 0)).length
      }
    })
    .filter(({ shared }) => shared > 0)
    .sort((a, b) => b.shared - a.shared)
    .slice(0, 3)
    .map(({ column }) => column)
}

/**
 * Columns that resemble the one that a failure is about, from the tables that the statement names; functions
 * where it is about one.
 *
 * @since 0.1.0
 * @category lookups
 */
export const columnsNear = (
  catalog: Catalog,
  failure: Failure,
  tokens: ReadonlyArray<Token>
): ReadonlyArray<string> => {
  if (failure.missing?.kind === "Function") return nearest(failure.missing.name, known)
  if (failure.missing?.kind !== "Column") return []
  const words = new Set(tokens.map((token) => token.value))
  const { visible = () => true } = catalog
  const columns = catalog.relations
    .filter(({ database, name, schema }) => words.has(name) && visible([database, schema, name]))
    .flatMap((relation) => relation.columns.map((column) => column.name))
  const told = new Set(columns)
  const { candidates, name } = failure.missing
  const offered = new Map(candidates.map((one) => [one.replaceAll('"', ""), one]))
  const near = nearest(name, [...columns, ...offered.keys()])
  // As it is written into SQL: a name that needs quotes would be refused, or be missing again, without them.
  return (near.length > 0 ? near : sharingWords(name, told)).map((one) =>
    told.has(one) ? written(one) : (offered.get(one) ?? one)
  )
}
