/**
 * Reads the JSON that DuckDB's parser writes, of which nothing is taken for granted.
 *
 * @since 0.1.0
 */

import * as Predicate from "effect/Predicate"

export interface Tree {
  readonly [key: string]: unknown
}

export const isTree: (value: unknown) => value is Tree = Predicate.isRecord
export const list = (value: unknown): ReadonlyArray<unknown> => (Array.isArray(value) ? value : [])
export const text = (value: unknown): string => (typeof value === "string" ? value : "")

/** `"A b".c`, with quotes where the name needs them. */
export const spelled = (parts: ReadonlyArray<string>): string =>
  parts
    .map((part) => (/^[A-Za-z_][A-Za-z0-9_$]*$/.test(part) ? part : `"${part.replaceAll('"', '""')}"`))
    .join(".")

/** Where it stands in the text, in bytes; an unknown location is written as the largest unsigned integer. */
export const locationOf = (at: Tree | undefined): number | undefined => {
  const location = at?.["query_location"]
  return typeof location === "number" && location < 1e9 ? location : undefined
}
