/**
 * Columns and cells as they travel in Snowflake's JSON result format. Pure.
 *
 * Every cell is text or null: numbers as written, booleans `1` and `0`, dates as days since 1970, times and
 * timestamps as seconds with nine decimals, a TIMESTAMP_TZ followed by its offset in minutes plus 1440,
 * binary as upper-case hex, semi-structured values as JSON, in which an SQL NULL in an array is `undefined`.
 */
import type { Cell, Column, Row } from "../warehouse/Warehouse.js"

export interface WireColumn {
  readonly name: string
  readonly database: string
  readonly schema: string
  readonly table: string
  readonly type: string
  /** Of a type that travels as another one. */
  readonly extTypeName?: string
  readonly precision: number | null
  readonly scale: number | null
  readonly length: number | null
  readonly byteLength: number | null
  readonly nullable: boolean
  readonly collation: null
}

export type WireRow = ReadonlyArray<string | null>

const declared = /^([A-Z_]+)(?:\((\d+)(?:,(\d+))?\))?$/

export const column = ({ name, nullable, type }: Column): WireColumn => {
  const [, base = "VARCHAR", first, second] = declared.exec(type) ?? []
  const wire = (
    type: string,
    sizes: Partial<Pick<WireColumn, "precision" | "scale" | "length" | "byteLength">> = {}
  ): WireColumn => ({
    name,
    database: "",
    schema: "",
    table: "",
    type,
    precision: null,
    scale: null,
    length: null,
    byteLength: null,
    ...sizes,
    nullable,
    collation: null
  })
  switch (base) {
    case "NUMBER":
      return wire("fixed", { precision: Number(first ?? 38), scale: Number(second ?? 0) })
    case "FLOAT":
      return wire("real")
    case "BOOLEAN":
    case "DATE":
    case "VARIANT":
    case "OBJECT":
    case "ARRAY":
      return wire(base.toLowerCase())
    case "TIME":
    case "TIMESTAMP_NTZ":
    case "TIMESTAMP_LTZ":
    case "TIMESTAMP_TZ":
      // Values are written with nine decimals whatever the declared precision.
      return wire(base.toLowerCase(), { precision: 0, scale: 9 })
    case "BINARY": {
      const length = Number(first ?? 8_388_608)
      return wire("binary", { length, byteLength: length })
    }
    case "GEOGRAPHY":
      return { ...wire("object"), extTypeName: base }
    default: {
      const length = Number(first ?? 16_777_216)
      return wire("text", { length, byteLength: Math.min(length * 4, 16_777_216) })
    }
  }
}

const nanos = (text: string): bigint => BigInt(text.slice(0, 9).padEnd(9, "0"))

/** Seconds with nine decimals; below zero the fraction counts away from it. */
const decimalSeconds = (total: bigint): string => {
  const size = total < 0n ? -total : total
  const fraction = (size % 1_000_000_000n).toString().padStart(9, "0")
  return `${total < 0n ? "-" : ""}${size / 1_000_000_000n}.${fraction}`
}

const clock = (text: string): string | undefined => {
  const match = /^(\d+):(\d\d):(\d\d)(?:\.(\d+))?/.exec(text)
  if (match === null) return undefined
  const [, hours, minutes, seconds, fraction = ""] = match
  const whole = Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds)
  return decimalSeconds(BigInt(whole) * 1_000_000_000n + nanos(fraction))
}

const instant = (text: string): string | undefined => {
  const match = /^([+-]?\d+-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?Z?$/.exec(text)
  const millis = match === null ? Number.NaN : Date.parse(`${match[1]!}Z`)
  return Number.isNaN(millis)
    ? undefined
    : decimalSeconds(BigInt(millis) * 1_000_000n + nanos(match?.[2] ?? ""))
}

const days = (text: string): string | undefined => {
  const millis = Date.parse(`${text}T00:00:00Z`)
  return Number.isNaN(millis) ? undefined : String(Math.floor(millis / 86_400_000))
}

type Encode = (cell: Exclude<Cell, null>) => string | null

const text: Encode = (cell) => (typeof cell === "object" ? JSON.stringify(cell) : String(cell))

/** What has no place on the wire (infinite dates) arrives as NULL. */
const textual =
  (convert: (text: string) => string | undefined): Encode =>
  (cell) =>
    convert(String(cell)) ?? null

/** Snowflake writes semi-structured values over several lines. */
const pretty: Encode = (cell) => JSON.stringify(cell, null, 2)

/** An SQL NULL that became an element is not JSON's null. */
const array: Encode = (cell) =>
  Array.isArray(cell) && cell.length > 0
    ? `[\n  ${cell.map((item: Cell) => (item === null ? "undefined" : JSON.stringify(item, null, 2).replaceAll("\n", "\n  "))).join(",\n  ")}\n]`
    : pretty(cell)

const encoder = (type: string): Encode => {
  switch (type) {
    case "boolean":
      return (cell) => (cell === true ? "1" : "0")
    case "date":
      return textual(days)
    case "time":
      return textual(clock)
    case "timestamp_ntz":
    case "timestamp_ltz":
      return textual(instant)
    case "timestamp_tz":
      return textual((value) => {
        const seconds = instant(value)
        return seconds === undefined ? undefined : `${seconds} 1440`
      })
    case "variant":
    case "object":
      return pretty
    case "array":
      return array
    default:
      return text
  }
}

/**
 * Encodes rows of these columns.
 */
export const rows = (columns: ReadonlyArray<WireColumn>): ((rows: ReadonlyArray<Row>) => Array<WireRow>) => {
  const encoders = columns.map((column) => encoder(column.type))
  return (rows) =>
    rows.map((row) =>
      encoders.map((encode, index) => {
        const cell = row[index] ?? null
        return cell === null ? null : encode(cell)
      })
    )
}

const micros = (seconds: string): string => `((${seconds})::DECIMAL(38,9) * 1000000)::BIGINT`

/** A stored result as a relation that the engine can read: RESULT_SCAN. */
const typed = (cell: string, column: WireColumn): string => {
  switch (column.type) {
    case "fixed":
      return `${cell}::DECIMAL(${column.precision ?? 38}, ${column.scale ?? 0})`
    case "real":
      return `${cell}::DOUBLE`
    case "boolean":
      return `(${cell} = '1')`
    case "date":
      // INT4, not INTEGER, which the dialect widens: a date and a BIGINT cannot be added.
      return `(DATE '1970-01-01' + ${cell}::INT4)`
    case "time":
      return `make_timestamp(${micros(cell)})::TIME`
    case "timestamp_ntz":
      return `make_timestamp(${micros(cell)})`
    case "timestamp_ltz":
      return `make_timestamp(${micros(cell)})::TIMESTAMPTZ`
    case "timestamp_tz":
      return `make_timestamp(${micros(`split_part(${cell}, ' ', 1)`)})::TIMESTAMPTZ`
    case "binary":
      return `unhex(${cell})`
    case "variant":
    case "object":
      return `${cell}::JSON`
    case "array":
      // No text has a line break in it there.
      return `system.main.regexp_replace(${cell}, '(\\\\n\\\\s*)undefined', '\\\\1null', 'g')::JSON`
    default:
      return cell
  }
}

/**
 * The relation whose rows are in the bind of that number: JSON of the cells as they are on the wire, so neither
 * their number nor their content touches the text of the statement.
 */
export const relation = (columns: ReadonlyArray<WireColumn>, bind: number): string => {
  const items = columns.map(
    (column, index) =>
      `${typed(`list_extract(sg_row, ${index + 1})`, column)} AS "${column.name.replaceAll('"', '""')}"`
  )
  return `(SELECT ${items.join(", ")} FROM (SELECT unnest(from_json($bind${bind}::VARCHAR, '[["VARCHAR"]]')) AS sg_row))`
}
