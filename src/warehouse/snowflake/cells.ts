/**
 * Snowflake's values on the wire (texts) as cells: JSON values that lose nothing (the rule is on `Cell` in
 * `Warehouse.ts`). Pure.
 *
 * Integers that a double holds are numbers, other integers and everything with a scale are texts; times
 * are ISO 8601 with a fraction of 3, 6 or 9 digits where there is one, whatever the formats of the session.
 */
import { integer, parseJson } from "../duckdb/cells.js"
import type { Cell } from "../Warehouse.js"
import type { WireType } from "./answer.js"

export type Convert = (value: string) => Cell

/** Beyond this a JavaScript date does not reach. */
const MAX_SECONDS = 8_640_000_000_000

const DAY = 86_400

const instant = (seconds: number): string | undefined =>
  Math.abs(seconds) <= MAX_SECONDS ? new Date(seconds * 1000).toISOString().slice(0, -5) : undefined

/** `-1.25` is a quarter before a second: -2 s and 750,000,000 ns. */
const split = (value: string): { readonly seconds: number; readonly nanos: number } | undefined => {
  const match = /^(-?)(\d{1,15})(?:\.(\d{0,9})\d*)?$/.exec(value)
  if (match === null) return undefined
  const [, sign = "", whole = "", fraction = ""] = match
  const seconds = Number(whole)
  const nanos = Number(fraction.padEnd(9, "0"))
  if (sign === "") return { seconds, nanos }
  return nanos === 0 ? { seconds: -seconds, nanos } : { seconds: -seconds - 1, nanos: 1_000_000_000 - nanos }
}

const fraction = (nanos: number): string => {
  if (nanos === 0) return ""
  const digits = String(nanos).padStart(9, "0")
  return `.${digits.endsWith("000000") ? digits.slice(0, 3) : digits.endsWith("000") ? digits.slice(0, 6) : digits}`
}

const two = (value: number): string => String(value).padStart(2, "0")

const zone = (minutes: number): string => {
  if (minutes === 0) return "Z"
  const size = Math.abs(minutes)
  return `${minutes < 0 ? "-" : "+"}${two(Math.floor(size / 60))}:${two(size % 60)}`
}

const timestamp =
  (suffix: string): Convert =>
  (value) => {
    const parts = split(value)
    const text = parts === undefined ? undefined : instant(parts.seconds)
    return text === undefined || parts === undefined ? value : `${text}${fraction(parts.nanos)}${suffix}`
  }

/** `<seconds> <minutes + 1440>`; older servers put both into one number, the zone in its lowest 14 bits. */
const zoned =
  (scale: number): Convert =>
  (value) => {
    const [first = "", second] = value.split(" ")
    if (second === undefined) return packed(value, scale)
    return shifted(first, Number(second) - 1440) ?? value
  }

const shifted = (seconds: string, minutes: number): string | undefined => {
  const parts = split(seconds)
  if (parts === undefined || !Number.isInteger(minutes)) return undefined
  const text = instant(parts.seconds + minutes * 60)
  return text === undefined ? undefined : `${text}${fraction(parts.nanos)}${zone(minutes)}`
}

const packed = (value: string, scale: number): Cell => {
  const match = /^(-?\d+)(?:\.(\d+))?$/.exec(value)
  if (match === null) return value
  const units = BigInt(`${match[1] ?? "0"}${(match[2] ?? "").padEnd(scale, "0").slice(0, scale)}`)
  const rest = ((units % 16_384n) + 16_384n) % 16_384n
  const base = 10n ** BigInt(scale)
  const time = (units - rest) / 16_384n
  const nanos = ((time % base) + base) % base
  const whole = (time - nanos) / base
  return (
    shifted(`${whole}`, Number(rest) - 1440)?.replace(
      /(?=Z$|[+-]\d\d:\d\d$)/,
      fraction(Number(nanos * 10n ** BigInt(9 - scale)))
    ) ?? value
  )
}

const time: Convert = (value) => {
  const parts = split(value)
  if (parts === undefined || parts.seconds < 0 || parts.seconds >= DAY) return value
  const { nanos, seconds } = parts
  return `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}${fraction(nanos)}`
}

const date: Convert = (value) => {
  const days = Number(value)
  const text = Number.isInteger(days) ? instant(days * DAY) : undefined
  return text === undefined ? value : text.slice(0, text.indexOf("T"))
}

const real: Convert = (value) => {
  const number = Number(value)
  if (Number.isFinite(number) && value.trim() !== "") return number
  const infinite = /^([+-]?)inf(?:inity)?$/i.exec(value)
  return infinite === null ? value : infinite[1] === "-" ? "-inf" : "inf"
}

const boolean: Convert = (value) => {
  if (/^(?:1|true)$/i.test(value)) return true
  return /^(?:0|false)$/i.test(value) ? false : value
}

/** Months and nanoseconds, as durations of ISO 8601: `-P1Y2M`, `P1DT2H3M4.500S`. */
const months: Convert = (value) => {
  const match = /^([+-]?)(\d+)$/.exec(value)
  if (match === null) return value
  const all = BigInt(match[2] ?? "0")
  const text = `${part(all / 12n, "Y")}${part(all % 12n, "M")}`
  return `${match[1] === "-" && all > 0n ? "-" : ""}P${text === "" ? "0M" : text}`
}

const NANOS = 1_000_000_000n

const nanoseconds: Convert = (value) => {
  const match = /^([+-]?)(\d+)$/.exec(value)
  if (match === null) return value
  const all = BigInt(match[2] ?? "0")
  const seconds = all / NANOS
  const rest = fraction(Number(all % NANOS))
  const clock = seconds % 86_400n
  const second = clock % 60n
  const time =
    part(clock / 3600n, "H") +
    part((clock / 60n) % 60n, "M") +
    (second === 0n && rest === "" ? "" : `${second}${rest}S`)
  const day = part(seconds / 86_400n, "D")
  const text = `${day}${time === "" ? "" : `T${time}`}`
  return `${match[1] === "-" && all > 0n ? "-" : ""}P${text === "" ? "T0S" : text}`
}

const part = (amount: bigint, unit: string): string => (amount === 0n ? "" : `${amount}${unit}`)

const fixed: Convert = (value) => (/^-?\d{1,15}$/.test(value) ? Number(value) : safe(value))

const safe = (value: string): Cell => (/^-?\d+$/.test(value) ? integer(BigInt(value)) : value)

// XML, and text that is no JSON, stay what the server wrote.
const json: Convert = (value) => {
  try {
    return parseJson(value)
  } catch {
    return value
  }
}

const verbatim: Convert = (value) => value

/** The types whose values are JSON. */
const isJson = (type: string): boolean =>
  /^(?:variant|object|array|map|vector|geography|geometry|file)$/.test(type)

/**
 * The conversion for a column's values; NULL never reaches it.
 */
export const converter = ({ scale, type: declared }: WireType): Convert => {
  const type = declared.toLowerCase()
  switch (type) {
    case "fixed":
      return (scale ?? 0) > 0 ? verbatim : fixed
    case "real":
      return real
    case "boolean":
      return boolean
    case "date":
      return date
    case "time":
      return time
    case "timestamp_ntz":
      return timestamp("")
    case "timestamp_ltz":
      return timestamp("Z")
    case "timestamp_tz":
      return zoned(scale ?? 9)
  }
  if (/^interval.*month/.test(type)) return months
  if (/^interval/.test(type)) return nanoseconds
  return isJson(type) ? json : verbatim
}

const scaled = (name: string, scale: WireType["scale"]) => `${name}(${scale ?? 9})`

const fieldName = (name: string | null | undefined): string =>
  name !== null && name !== undefined && /^[A-Z_][A-Z0-9_$]*$/.test(name)
    ? name
    : `"${(name ?? "").replaceAll('"', '""')}"`

const inner = (type: WireType): string => `${typeName(type)}${type.nullable === false ? " NOT NULL" : ""}`

const structured = (name: string, { fields }: WireType): string => {
  if (fields === null || fields === undefined || fields.length === 0) return name
  const parts =
    name === "OBJECT" ? fields.map((field) => `${fieldName(field.name)} ${inner(field)}`) : fields.map(inner)
  return `${name}(${parts.join(", ")})`
}

const vector = ({ fields, vectorDimension }: WireType): string => {
  const element = fields?.[0]?.type.toLowerCase() === "fixed" ? "INT" : "FLOAT"
  return vectorDimension === null || vectorDimension === undefined
    ? "VECTOR"
    : `VECTOR(${element}, ${vectorDimension})`
}

/**
 * The declared type, as DESCRIBE writes it. How long a text may be is not said.
 */
export const typeName = (column: WireType): string => {
  const { extTypeName, precision, scale, type } = column
  const name = type.toUpperCase()
  // A geography travels as an object, a text or a binary, whatever the session's format is.
  if (extTypeName !== null && extTypeName !== undefined && extTypeName !== "")
    return extTypeName.toUpperCase()
  switch (name) {
    case "FIXED":
      return `NUMBER(${precision ?? 38},${scale ?? 0})`
    case "REAL":
      return "FLOAT"
    case "TEXT":
      return "VARCHAR"
    case "TIME":
    case "TIMESTAMP_NTZ":
    case "TIMESTAMP_LTZ":
    case "TIMESTAMP_TZ":
      return scaled(name, scale)
    case "ARRAY":
    case "OBJECT":
    case "MAP":
      return structured(name, column)
    case "VECTOR":
      return vector(column)
  }
  if (/^INTERVAL.*MONTH/.test(name)) return "INTERVAL YEAR TO MONTH"
  return name.startsWith("INTERVAL") ? "INTERVAL DAY TO SECOND" : name
}
