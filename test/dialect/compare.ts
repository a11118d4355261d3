/**
 * Whether the rows of the embedded warehouse are those that an example of Snowflake's documentation shows.
 *
 * An example shows cells as text: numbers in any spelling of the same value, booleans in capitals, dates and
 * times with a blank or a `T`, semi-structured values as JSON.
 */
import type { Cell } from "../../src/warehouse/Warehouse.js"

export type Shown = ReadonlyArray<ReadonlyArray<string | null>>

const numeric = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i

const sameNumber = (a: string, b: string): boolean => {
  const [x, y] = [Number(a), Number(b)]
  // Beyond what a double holds the digits decide.
  if (/^-?\d{16,}$/.test(a) || /^-?\d{16,}$/.test(b)) return a === b
  return x === y || Math.abs(x - y) <= 1e-12 * Math.max(Math.abs(x), Math.abs(y))
}

const instant = (text: string): string =>
  text
    .replace(/^(\d{4,}-\d\d-\d\d) (?=\d\d:)/, "$1T")
    .replace(/(\.\d*?)0+(?=$|[Z+-])/, "$1")
    .replace(/\.(?=$|[Z+-])/, "")
    .replace(/ ?([+-]\d\d):?(\d\d)$/, "$1:$2")
    .replace(/ ?[+]00:00$/, "Z")

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const sameJson = (a: unknown, b: unknown): boolean => {
  if (Array.isArray(a) && Array.isArray(b))
    return a.length === b.length && a.every((item, index) => sameJson(item, b[index]))
  if (isRecord(a) && isRecord(b)) {
    const keys = Object.keys(a)
    return (
      keys.length === Object.keys(b).length &&
      keys.every((key) => Object.hasOwn(b, key) && sameJson(a[key], b[key]))
    )
  }
  if (typeof a === "number" || typeof b === "number") return sameNumber(String(a), String(b))
  return a === b || (typeof a === "string" && typeof b === "string" && instant(a) === instant(b))
}

export const sameCell = (cell: Cell, shown: string | null): boolean => {
  if (cell === null) return shown === null || shown === "null" || shown === "undefined"
  if (shown === null) return false
  if (typeof cell === "boolean") return String(cell) === shown.toLowerCase()
  const text = typeof cell === "object" ? JSON.stringify(cell) : String(cell)
  if (text === shown) return true
  const bare = shown.toLowerCase()
  if (/^-?(?:nan|inf)/.test(bare)) return text.toLowerCase() === bare
  if (numeric.test(text) && numeric.test(shown)) return sameNumber(text, shown)
  if (instant(text) === instant(shown)) return true
  const value = parsed(shown)
  return (
    value !== undefined &&
    (typeof cell === "object" ? sameJson(cell, value) : typeof value !== "number" && sameJson(cell, value))
  )
}

const sameRow = (row: ReadonlyArray<Cell>, shown: ReadonlyArray<string | null>): boolean =>
  row.length === shown.length && row.every((cell, index) => sameCell(cell, shown[index] ?? null))

/**
 * The same rows, with those columns in the order of the example by which the statement sorts. Rows that are equal in
 * these may come in any order.
 */
export const sameRows = (
  rows: ReadonlyArray<ReadonlyArray<Cell>>,
  shown: Shown,
  sortedBy: ReadonlyArray<number> = []
): boolean => {
  if (rows.length !== shown.length) return false
  const left = [...shown]
  return rows.every((row, index) => {
    if (!sortedBy.every((column) => sameCell(row[column] ?? null, shown[index]![column] ?? null)))
      return false
    const at = left.findIndex((other) => sameRow(row, other))
    if (at >= 0) left.splice(at, 1)
    return at >= 0
  })
}
