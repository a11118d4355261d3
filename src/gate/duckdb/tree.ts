/**
 * Reads the JSON that DuckDB's parser writes, of which nothing is taken for granted.
 *
 * @since 0.1.0
 */

export interface Tree {
  readonly [key: string]: unknown
}

export const isTree = (value: unknown): value is Tree =>
  typeof value === "object" && value !== null && !Array.isArray(value)
export const list = (value: unknown): ReadonlyArray<unknown> => (Array.isArray(value) ? value : [])
export const text = (value: unknown): string => (typeof value === "string" ? value : "")

/** `"A b".c`, with quotes where the name needs them. */
export const spelled = (parts: ReadonlyArray<string>): string =>
  parts
    .map((part) => (/^[A-Za-z_][A-Za-z0-9_$]*$/.test(part) ? part : `"${part.replaceAll('"', '""')}"`))
    .join(".")

/** The literal of a constant, also behind a minus; undefined for everything else. */
export const literal = (value: unknown): string | number | undefined => {
  if (!isTree(value)) return undefined
  if (value["class"] === "CONSTANT" && isTree(value["value"])) {
    const constant = value["value"]["value"]
    return typeof constant === "string" || typeof constant === "number" ? constant : undefined
  }
  if (
    value["class"] === "FUNCTION" &&
    value["function_name"] === "-" &&
    list(value["children"]).length === 1
  ) {
    const positive = literal(list(value["children"])[0])
    return typeof positive === "number" ? -positive : undefined
  }
  return undefined
}

/** Where it stands in the text, in bytes; an unknown location is written as the largest unsigned integer. */
export const locationOf = (at: Tree | undefined): number | undefined => {
  const location = at?.["query_location"]
  return typeof location === "number" && location < 1e9 ? location : undefined
}
