/**
 * Snowflake's values on the wire (texts) as cells: JSON values that lose nothing (the rule is on `Cell` in
 * `Warehouse.ts`). Pure.
 *
 * Integers that a double holds are numbers, other integers and everything with a scale are texts; times
 * are ISO 8601 with a fraction of 3, 6 or 9 digits where there is one, whatever the formats of the session.
 *
 * @since 0.1.0
 */
import { integer, parseJson } from "../../embedded/cells.js"
import type { Cell } from "../../Warehouse.js"

/**
 * What the server says of a column.
 *
 * @since 0.1.0
 * @category models
 */
export interface ColumnInfo {
  /** As on the wire: `fixed`, `text`, `timestamp_ntz`, ... */
  readonly type: string
  readonly scale: number | null | undefined
  readonly precision: number | null | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
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
  return Number.isFinite(number) && value !== "" ? number : value
}

const fixed: Convert = (value) => (/^-?\d{1,15}$/.test(value) ? Number(value) : safe(value))

const safe = (value: string): Cell => (/^-?\d+$/.test(value) ? integer(BigInt(value)) : value)

// XML and the few values that have no JSON (`undefined`) stay what the server wrote.
const json: Convert = (value) => {
  try {
    return parseJson(value)
  } catch {
    return value
  }
}

const verbatim: Convert = (value) => value

/**
 * The conversion for a column's values; NULL never reaches it.
 *
 * @since 0.1.0
 * @category conversions
 */
export const converter = ({ scale, type }: ColumnInfo): Convert => {
  switch (type.toLowerCase()) {
    case "fixed":
      return (scale ?? 0) > 0 ? verbatim : fixed
    case "real":
      return real
    case "boolean":
      return (value) => value === "1" || value.toLowerCase() === "true"
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
    case "variant":
    case "object":
    case "array":
    case "map":
    case "vector":
    case "geography":
    case "geometry":
      return json
    default:
      return verbatim
  }
}

const scaled = (name: string, scale: ColumnInfo["scale"]) => `${name}(${scale ?? 9})`

/**
 * The declared type, as DESCRIBE writes it. How long a text may be is not told with a result.
 *
 * @since 0.1.0
 * @category conversions
 */
export const typeName = ({ precision, scale, type }: ColumnInfo): string => {
  switch (type.toLowerCase()) {
    case "fixed":
      return `NUMBER(${precision ?? 38},${scale ?? 0})`
    case "real":
      return "FLOAT"
    case "text":
      return "VARCHAR"
    case "time":
    case "timestamp_ntz":
    case "timestamp_ltz":
    case "timestamp_tz":
      return scaled(type.toUpperCase(), scale)
    default:
      return type.toUpperCase()
  }
}
