/**
 * DuckDB's values as cells: JSON values that lose nothing (the rule is on `Cell` in `Warehouse.ts`).
 *
 * The conversion is chosen once per column; only values inside semi-structured ones are converted by what
 * they turn out to be. A chunk is read row by row, so that reading can stop wherever there is enough.
 *
 * @since 0.1.0
 */
import type * as DuckDb from "@duckdb/node-api"
import { fromDuckDb } from "../../sql/Identifier.js"
import type { Cell, Row } from "../Warehouse.js"
import { members } from "./dialect/values.js"

type Api = typeof DuckDb
type Value = DuckDb.DuckDBValue
type Convert = (value: Value) => Cell

const two = (n: number): string => (n < 10 ? `0${n}` : String(n))

/** `.5` -> `.500`, `.123456` as it is, nothing when zero. */
const fraction = (value: bigint, digits: number): string => {
  if (value === 0n) return ""
  const all = value.toString().padStart(digits, "0").padEnd(9, "0")
  return `.${all.endsWith("000000") ? all.slice(0, 3) : all.endsWith("000") ? all.slice(0, 6) : all}`
}

const floorDivide = (value: bigint, by: bigint): bigint =>
  value < 0n ? -((by - 1n - value) / by) : value / by

/** Beyond this a JavaScript date does not reach. */
const maxDateMillis = 8_640_000_000_000_000n

const dateOf = (millis: number): string => new Date(millis).toISOString().split("T", 1)[0]!

/** `2025-01-02T03:04:05.678`, or undefined where the year is out of reach (or infinite). */
const timestamp = (units: bigint, perSecond: bigint, digits: number): string | undefined => {
  const seconds = floorDivide(units, perSecond)
  if (seconds * 1000n > maxDateMillis || seconds * 1000n < -maxDateMillis) return undefined
  return `${new Date(Number(seconds) * 1000).toISOString().slice(0, -5)}${fraction(units - seconds * perSecond, digits)}`
}

const time = (units: bigint, perSecond: bigint, digits: number): string => {
  const seconds = Number(units / perSecond)
  const clock = `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`
  return clock + fraction(units % perSecond, digits)
}

/**
 * An integer as a number where a double holds it exactly, as a string otherwise.
 *
 * @since 0.1.0
 * @category conversions
 */
export const integer = (value: bigint | number): number | string => {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value.toString()
}

const float = (value: number): number | string => {
  if (Number.isFinite(value)) return value
  return Number.isNaN(value) ? "NaN" : value > 0 ? "inf" : "-inf"
}

/** A string, a number, or a word that is none of JSON's. */
const jsonParts =
  /"[^"\\]*(?:\\[^][^"\\]*)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|undefined|NaN|[+-]?inf(?:inity)?/gi

/** The digits without zeros at either end, and where the point is: the same for the same value. */
const valueOf = (number: string): string => {
  const [, sign = "", whole = "", part = "", exponent = "0"] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(number) ?? []
  const digits = `${whole}${part}`.replace(/^0+/, "")
  const trimmed = digits.replace(/0+$/, "")
  if (trimmed === "") return "0"
  return `${sign}${trimmed}e${BigInt(exponent) - BigInt(part.length) + BigInt(digits.length - trimmed.length)}`
}

/** A number that JSON would change is a string; so is every integer beyond those that are safe. */
const exactPart = (text: string): string => {
  switch (text.charAt(text.startsWith("-") || text.startsWith("+") ? 1 : 0)) {
    case '"':
      return text
    case "u":
      return "null"
    case "N":
    case "n":
      return '"NaN"'
    case "I":
    case "i":
      return text.startsWith("-") ? '"-inf"' : '"inf"'
  }
  const number = Number(text)
  const isExact = /^-?\d+$/.test(text)
    ? Number.isSafeInteger(number)
    : Number.isFinite(number) && valueOf(String(number)) === valueOf(text)
  return isExact ? text : `"${text}"`
}

/** More digits than every double keeps, or an exponent beyond it. */
const mayLose = /\d[\d.]{15}|\d[eE][+-]?\d{3}/

/** Deeper ones cannot be written again without running out of stack. */
const MAX_DEPTH = 1_000

const hasMany = (text: string, bracket: string): boolean => {
  let at = -1
  for (let count = 0; count <= MAX_DEPTH / 2; count++) {
    at = text.indexOf(bracket, at + 1)
    if (at < 0) return false
  }
  return true
}

const isTooDeep = (text: string): boolean => {
  if (text.length < MAX_DEPTH || !(hasMany(text, "[") || hasMany(text, "{"))) return false
  let depth = 0
  for (const [part] of text.matchAll(/"[^"\\]*(?:\\[^][^"\\]*)*"|[[\]{}]/g)) {
    if (part === "[" || part === "{") depth++
    else if (part === "]" || part === "}") depth--
    if (depth > MAX_DEPTH) return true
  }
  return false
}

const parsed = (text: string): Cell => {
  const value: Cell = JSON.parse(text)
  return value
}

/**
 * Parses JSON as it stands in a semi-structured value: `undefined` is null, NaN and the infinities are strings,
 * and so is each number that a double does not hold. What is nested too deep stays the text that it is.
 *
 * @since 0.1.0
 * @category conversions
 */
export const parseJson = (text: string): Cell => {
  if (isTooDeep(text)) return text
  if (!mayLose.test(text)) {
    try {
      return parsed(text)
    } catch {
      // Not JSON, or one of the words.
    }
  }
  return parsed(text.replace(jsonParts, exactPart))
}

const hex = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex").toUpperCase()

/**
 * A JSON object; `__proto__` is a key like any other.
 */
const object = (entries: Iterable<readonly [string, Cell]>): Cell => Object.fromEntries(entries)

/**
 * @since 0.1.0
 * @category models
 */
export interface Reader {
  /** The rows of a chunk of a result whose columns have these types. */
  readonly rows: (chunk: DuckDb.DuckDBDataChunk) => ReadonlyArray<Row>
  /**
   * Some of them, from `from` on: at least one, at most `most`, and no more once they weigh `maxBytes`. A
   * chunk of wide rows is many times as large as what is read of it.
   */
  readonly some: (
    chunk: DuckDb.DuckDBDataChunk,
    from: number,
    most: number,
    maxBytes: number
  ) => ReadonlyArray<Row>
}

/**
 * About what a cell takes of memory, in bytes.
 *
 * @since 0.1.0
 * @category sizes
 */
export const weight = (cell: Cell): number => {
  if (typeof cell === "string") return 16 + cell.length
  if (typeof cell !== "object" || cell === null) return 8
  let sum = 16
  if (Array.isArray(cell)) for (const item of cell as ReadonlyArray<Cell>) sum += weight(item)
  else for (const [key, item] of Object.entries(cell)) sum += 16 + key.length + weight(item)
  return sum
}

/**
 * Conversions need the driver's classes, and the driver is loaded late.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (api: Api) => {
  /** A value whose column's type does not say what it is, or that is inside another. */
  const plain: Convert = (value) => {
    switch (typeof value) {
      case "string":
      case "boolean":
        return value
      case "number":
        return float(value)
      case "bigint":
        return integer(value)
    }
    if (value === null) return null
    if (value instanceof api.DuckDBVariantValue) return plain(value.value)
    if (value instanceof api.DuckDBStructValue) {
      return object(Object.entries(value.entries).map(([key, item]) => [fromDuckDb(key), plain(item)]))
    }
    if (value instanceof api.DuckDBListValue || value instanceof api.DuckDBArrayValue)
      return value.items.map(plain)
    if (value instanceof api.DuckDBMapValue) {
      return object(value.entries.map((entry) => [String(plain(entry.key)), plain(entry.value)]))
    }
    if (value instanceof api.DuckDBUnionValue) return semiStructured(value)
    // Inside JSON a fraction is a number, as Snowflake shows it, unless that would change it.
    if (value instanceof api.DuckDBDecimalValue) return shortest(value.toString())
    return scalar(value)
  }

  /** A time inside a semi-structured value is shown without a fraction, as Snowflake does. */
  const shownText = (kind: string | undefined, text = ""): string =>
    kind === "TIME" ? text.replace(/\.\d+$/, "") : text

  /** A member of the union that stands for VARIANT (`dialect/values.ts`), or of any other one. */
  const semiStructured = ({ tag, value }: DuckDb.DuckDBUnionValue): Cell => {
    const inside = (name: string): string | undefined => {
      const part = value instanceof api.DuckDBStructValue ? value.entries[name] : undefined
      return typeof part === "string" ? part : undefined
    }
    switch (tag) {
      case members.none:
        return null
      case members.json:
        return parseJson(inside("a") ?? "null")
      case members.other:
        return inside("k") === "NUMBER" || inside("k") === "DOUBLE"
          ? parseJson(inside("v") ?? "null")
          : shownText(inside("k"), inside("v"))
      default:
        return plain(value)
    }
  }

  const shortest = (decimal: string): number | string => {
    const trimmed = decimal.includes(".") ? decimal.replace(/\.?0+$/, "") : decimal
    const number = Number(decimal)
    return String(number) === trimmed ? number : decimal
  }

  const scalar: Convert = (value) => {
    if (value instanceof api.DuckDBTimestampValue)
      return timestamp(value.micros, 1_000_000n, 6) ?? value.toString()
    if (value instanceof api.DuckDBTimestampTZValue) {
      const text = timestamp(value.micros, 1_000_000n, 6)
      return text === undefined ? new api.DuckDBTimestampValue(value.micros).toString() : `${text}Z`
    }
    if (value instanceof api.DuckDBDateValue) {
      const millis = value.days * 86_400_000
      return Math.abs(millis) <= Number(maxDateMillis) ? dateOf(millis) : value.toString()
    }
    if (value instanceof api.DuckDBTimeValue) return time(value.micros, 1_000_000n, 6)
    if (value instanceof api.DuckDBTimeNSValue) return time(value.nanos, 1_000_000_000n, 9)
    if (value instanceof api.DuckDBTimestampNanosecondsValue) {
      return timestamp(value.nanos, 1_000_000_000n, 9) ?? value.toString()
    }
    if (value instanceof api.DuckDBTimestampMillisecondsValue) {
      return timestamp(value.millis, 1000n, 3) ?? value.toString()
    }
    if (value instanceof api.DuckDBTimestampSecondsValue)
      return timestamp(value.seconds, 1n, 1) ?? value.toString()
    if (value instanceof api.DuckDBBlobValue || value instanceof api.DuckDBGeometryValue)
      return hex(value.bytes)
    return String(value)
  }

  const nullable =
    (convert: Convert): Convert =>
    (value) =>
      value === null ? null : convert(value)

  const decimal = (scale: number): Convert =>
    scale === 0
      ? (value) => (value instanceof api.DuckDBDecimalValue ? integer(value.value) : plain(value))
      : (value) => String(value)

  const json: Convert = (value) => (typeof value === "string" ? parseJson(value) : plain(value))

  const converter = (type: DuckDb.DuckDBType): Convert => {
    if (type instanceof api.DuckDBDecimalType) return nullable(decimal(type.scale))
    if (type instanceof api.DuckDBVarCharType)
      return type.alias === "JSON" ? nullable(json) : (value) => plain(value)
    return plain
  }

  /**
   * @since 0.1.0
   * @category constructors
   */
  const reader = (types: ReadonlyArray<DuckDb.DuckDBType>): Reader => {
    const converters = types.map(converter)
    const some: Reader["some"] = (chunk, from, most, maxBytes) => {
      const end = Math.min(chunk.rowCount, from + most)
      const vectors = converters.map((_, column) => chunk.getColumnVector(column))
      const rows: Array<Row> = []
      let bytes = 0
      for (let at = from; at < end && (bytes < maxBytes || rows.length === 0); at++) {
        const row = converters.map((convert, column) => convert(vectors[column]!.getItem(at)))
        for (const cell of row) bytes += weight(cell)
        rows.push(row)
      }
      return rows
    }
    return {
      some,
      rows: (chunk) => some(chunk, 0, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY)
    }
  }

  return { reader, value: plain }
}
