/**
 * The text beside a structured result, in the form that the caller asked for: JSON, CSV or a table. All are
 * exact: what JSON would say can be read back from them, but for the types.
 */
import * as Schema from "effect/Schema"
import type { Json, Row } from "../platform/core/ResultShape.js"
import type { QueryResult } from "./schemas.js"

const asText = (cell: Json): string =>
  cell === null ? "" : typeof cell === "object" ? JSON.stringify(cell) : String(cell)

/** An empty text is `""`, so that it is not taken for NULL, which is nothing. */
const csvField = (cell: Json): string => {
  const text = asText(cell)
  return (text === "" && cell !== null) || /[",\r\n]|^\s|\s$/.test(text)
    ? `"${text.replaceAll('"', '""')}"`
    : text
}

/**
 * RFC 4180: a header, CRLF after each record, quotes where they are needed. Nothing is added to a value
 * that a spreadsheet would take for a formula (`=1+1`): that would be another value.
 */
export const csv = (columns: ReadonlyArray<string>, rows: ReadonlyArray<Row>): string => {
  const record = (cells: ReadonlyArray<Json>) => `${cells.map(csvField).join(",")}\r\n`
  // A line that is empty would be no record.
  const lines = columns.length === 0 ? [] : rows.map(record)
  return record(columns) + lines.join("")
}

const markdownCell = (cell: Json): string =>
  cell === null
    ? "NULL"
    : asText(cell)
        .replaceAll("\\", "\\\\")
        .replaceAll("|", "\\|")
        .replaceAll("&", "&amp;")
        .replaceAll("<", "&lt;")
        .replace(/\r\n|\n|\r/g, "<br>")

/**
 * A table of GitHub's Markdown. `|`, `\`, `<` and `&` are escaped, line ends become `<br>`.
 */
export const markdown = (columns: ReadonlyArray<string>, rows: ReadonlyArray<Row>): string => {
  const line = (cells: ReadonlyArray<string>) => `| ${cells.join(" | ")} |\n`
  return (
    line(columns.map(markdownCell)) +
    line(columns.map(() => "---")) +
    rows.map((row) => line(row.map(markdownCell))).join("")
  )
}

/** Of the text; JSON where it is not given. */
export const Format = Schema.optional(Schema.Literal("json", "csv", "markdown"))

/** The rows, and then what else is to be said; undefined for plain JSON. */
export const render = (
  result: QueryResult,
  { format }: { readonly format?: "json" | "csv" | "markdown" | undefined }
): ReadonlyArray<string> | undefined => {
  if (format === undefined || format === "json") return undefined
  const { columns, rows, ...rest } = result
  const names = columns.map((column) => column.name)
  return [(format === "csv" ? csv : markdown)(names, rows), JSON.stringify(rest)]
}
