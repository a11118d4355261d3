/**
 * The text beside a structured result, in the form that the caller asked for.
 */
import * as Schema from "effect/Schema"
import * as ResultText from "./core/ResultText.js"
import type { QueryResult } from "./schemas.js"

export const Format = Schema.optional(
  Schema.Literal("json", "csv", "markdown").annotations({
    description: "Of the text content, json by default."
  })
)

/** The rows, and then what else is to be said; undefined for plain JSON. */
export const render = (
  result: QueryResult,
  { format }: { readonly format?: "json" | "csv" | "markdown" | undefined }
): ReadonlyArray<string> | undefined => {
  if (format === undefined || format === "json") return undefined
  const { columns, rows, ...rest } = result
  const names = columns.map((column) => column.name)
  return [ResultText[format](names, rows), JSON.stringify(rest)]
}
