/**
 * Rows as text, for readers who want a table and not JSON. Both forms are exact: what JSON would say can
 * be read back from them, but for the types.
 *
 * @since 0.1.0
 */
import type { Json, Row } from "../../platform/core/ResultShape.js"

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
 *
 * @since 0.1.0
 * @category formats
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
 *
 * @since 0.1.0
 * @category formats
 */
export const markdown = (columns: ReadonlyArray<string>, rows: ReadonlyArray<Row>): string => {
  const line = (cells: ReadonlyArray<string>) => `| ${cells.join(" | ")} |\n`
  return (
    line(columns.map(markdownCell)) +
    line(columns.map(() => "---")) +
    rows.map((row) => line(row.map(markdownCell))).join("")
  )
}
