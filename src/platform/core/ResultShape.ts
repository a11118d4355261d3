/**
 * How much of a result is given back: rows arrive chunk by chunk and are kept while they fit a number of
 * rows and a number of bytes of JSON; one huge cell is cut so that it cannot take the place of all others.
 *
 * Invariants:
 *  - `bytes` is exactly the UTF-8 size of the JSON of the columns and of the rows kept, never above
 *    `maxBytes` unless the columns alone are;
 *  - the rows kept are the first ones, whole and in order, however the chunks were cut;
 *  - a row beyond the limit is only looked at to learn that it exists: `truncated` is never a guess;
 *  - once `truncated` is set nothing changes any more.
 */

export type Json = string | number | boolean | null | ReadonlyArray<Json> | { readonly [key: string]: Json }

export type Row = ReadonlyArray<Json>

export interface Limits {
  /** Rows kept at most, >= 0. */
  readonly maxRows: number
  /** Bytes of JSON, columns and rows together. */
  readonly maxBytes: number
  /** Bytes of JSON of one cell; a smaller number than 64 counts as 64, so that the marker fits. */
  readonly maxCellBytes: number
  /** The same of one column where it differs, by its position. */
  readonly columnBytes?: ReadonlyArray<number | undefined> | undefined
  /** Bytes a row has beside its cells and brackets, for example the keys when it is sent as an object. */
  readonly rowOverheadBytes?: ((row: Row) => number) | undefined
}

/**
 * Why there is more than what was kept, and the limit that said so.
 */
interface Truncated {
  readonly reason: "rows" | "bytes"
  readonly limit: number
}

interface Kept {
  readonly rows: ReadonlyArray<Row>
  readonly before: Kept | undefined
}

interface Shape {
  readonly limits: Limits
  readonly rowCount: number
  /** Bytes of JSON of the columns and the rows kept. */
  readonly bytes: number
  /** Cells that were cut. */
  readonly cutCells: number
  /** Set as soon as a row had to be left out: no need to read on. */
  readonly truncated: Truncated | undefined
  /** Chunks kept, last one first: appending costs the same however many there are. */
  readonly kept: Kept | undefined
}

const SMALLEST_CELL = 64

/**
 * Bytes of the UTF-8 encoding. Half a surrogate pair counts as the replacement character it is sent as.
 */
export const utf8Bytes = (text: string): number => {
  let bytes = text.length
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit < 0x80) continue
    if (unit < 0x800) bytes += 1
    else {
      bytes += 2
      // A pair is 4 bytes for two units: 2 + 2 more for the first, nothing more for the second.
      if (isPair(text, i)) i++
    }
  }
  return bytes
}

const isPair = (text: string, at: number): boolean => {
  const unit = text.charCodeAt(at)
  if (unit < 0xd800 || unit > 0xdbff) return false
  const next = text.charCodeAt(at + 1)
  return next >= 0xdc00 && next <= 0xdfff
}

/** Bytes of one character inside a JSON string, as `JSON.stringify` writes it. */
const escapedBytes = (text: string, at: number): number => {
  const unit = text.charCodeAt(at)
  if (unit >= 0x80) {
    if (unit < 0x800) return 2
    if (unit < 0xd800 || unit > 0xdfff) return 3
    return isPair(text, at) ? 4 : 6
  }
  if (unit === 0x22 || unit === 0x5c) return 2
  if (unit >= 0x20) return 1
  // \b \t \n \f \r have a short form, the other control characters do not.
  return unit >= 8 && unit <= 13 && unit !== 11 ? 2 : 6
}

/** Printable ASCII without what is escaped: most text, and tested in half the time of counting it. */
const plain = /^[ !#-[\]-~]*$/

export const jsonStringBytes = (text: string): number => {
  if (plain.test(text)) return text.length + 2
  let bytes = 2
  for (let i = 0; i < text.length; i++) {
    const size = escapedBytes(text, i)
    bytes += size
    if (size === 4) i++
  }
  return bytes
}

/**
 * Bytes of the JSON of a value, without writing it down where that can be avoided.
 */
export const jsonBytes = (value: Json): number => {
  if (value === null) return 4
  switch (typeof value) {
    case "string":
      return jsonStringBytes(value)
    case "boolean":
      return value ? 4 : 5
    case "number":
      return Number.isFinite(value) ? String(value).length : 4
    default:
      return utf8Bytes(JSON.stringify(value))
  }
}

/**
 * What is left of a text that may take `maxBytes` of JSON: its beginning and a marker that says how many
 * bytes of the text are missing. Of a text that was cut before, what was missing then counts too.
 */
export const cut = (cutBefore: string, maxBytes: number): string => {
  const [before, missing = "0"] = /…\[truncated (\d{1,15}) bytes\]$/.exec(cutBefore.slice(-64)) ?? []
  const text = before === undefined ? cutBefore : cutBefore.slice(0, -before.length)
  const total = utf8Bytes(text) + Number(missing)
  // Sized for the largest number it may have to hold; the ellipsis has three bytes.
  const room = Math.max(maxBytes, SMALLEST_CELL) - 2 - utf8Bytes(marker(total))
  let bytes = 0
  let end = 0
  while (end < text.length) {
    const size = escapedBytes(text, end)
    if (bytes + size > room) break
    bytes += size
    end += size === 4 ? 2 : 1
  }
  const head = text.slice(0, end)
  return head + marker(total - utf8Bytes(head))
}

const marker = (missing: number): string => `…[truncated ${missing} bytes]`

/**
 * The shape of a result with no rows yet.
 */
export const start = (limits: Limits, columns: Json = []): Shape => ({
  limits,
  rowCount: 0,
  bytes: jsonBytes(columns) + 2,
  cutCells: 0,
  truncated: undefined,
  kept: undefined
})

/**
 * Takes the next rows.
 */
export const push = (shape: Shape, chunk: ReadonlyArray<Row>): Shape => {
  if (shape.truncated !== undefined || chunk.length === 0) return shape
  const { maxBytes, maxRows, rowOverheadBytes } = shape.limits
  const { columnBytes, maxCellBytes } = shape.limits
  const rows: Array<Row> = []
  let { bytes, cutCells, rowCount } = shape
  let truncated: Truncated | undefined
  for (const row of chunk) {
    if (rowCount >= maxRows) {
      truncated = { reason: "rows", limit: maxRows }
      break
    }
    // Brackets, the commas inside, and the comma that separates the row from the one before.
    let rowBytes = 2 + (rowOverheadBytes?.(row) ?? 0) + Math.max(0, row.length - 1) + (rowCount > 0 ? 1 : 0)
    let cutHere: Array<Json> | undefined
    let cuts = 0
    for (let i = 0; i < row.length; i++) {
      const cell = row[i]!
      const size = jsonBytes(cell)
      const most = Math.max(columnBytes?.[i] ?? maxCellBytes, SMALLEST_CELL)
      if (size <= most) {
        rowBytes += size
        continue
      }
      const short = cut(typeof cell === "string" ? cell : JSON.stringify(cell), most)
      cutHere ??= row.slice()
      cutHere[i] = short
      cuts++
      rowBytes += jsonStringBytes(short)
    }
    if (bytes + rowBytes > maxBytes) {
      truncated = { reason: "bytes", limit: maxBytes }
      break
    }
    rows.push(cutHere ?? row)
    bytes += rowBytes
    cutCells += cuts
    rowCount++
  }
  const kept = rows.length === 0 ? shape.kept : { rows, before: shape.kept }
  return { limits: shape.limits, rowCount, bytes, cutCells, truncated, kept }
}

/**
 * The rows kept, in order.
 */
export const rows = (shape: Shape): ReadonlyArray<Row> => {
  const chunks: Array<ReadonlyArray<Row>> = []
  for (let link = shape.kept; link !== undefined; link = link.before) chunks.push(link.rows)
  return chunks.reverse().flat()
}
