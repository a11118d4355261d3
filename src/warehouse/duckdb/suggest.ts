/**
 * What a statement may have meant by a name that DuckDB did not find. Pure.
 *
 * @since 0.1.0
 */
import { nearest } from "../../platform/core/Nearest.js"
import type { Token } from "../../sql/Lexer.js"
import type { Catalog, Missing, Namespace } from "./catalog.js"
import { findRelation } from "./catalog.js"
import { known } from "./dialect/library.js"
import type { Failure } from "./errors.js"

const isName = (token: Token | undefined): token is Token =>
  token?.kind === "word" || token?.kind === "quoted"

/** The dotted name around the first token that is `part`. */
const reference = (tokens: ReadonlyArray<Token>, part: string): ReadonlyArray<string> | undefined => {
  const at = tokens.findIndex((token) => isName(token) && token.value.toUpperCase() === part.toUpperCase())
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
  const name = reference(tokens, part) ?? failure.missing.name.split(".").map((word) => word.toUpperCase())
  const found = findRelation(catalog, name, namespace)
  return "_tag" in found ? found : undefined
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
  return nearest(failure.missing.name, [...columns, ...failure.missing.candidates])
}
