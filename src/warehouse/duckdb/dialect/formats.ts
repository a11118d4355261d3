/**
 * Snowflake's formats: dates, times and numbers to text and back.
 *
 * @since 0.1.0
 */
import { refuse } from "./values.js"

/** A point in the calendar, and on the clock; the offset where the text has one, in minutes. */
export interface Moment {
  readonly year: number
  readonly month: number
  readonly day: number
  /** Nanoseconds since midnight. */
  readonly nanos: bigint
  readonly offset: number | undefined
}

const second = 1_000_000_000n
const dayNanos = 86_400n * second

const monthNames = [
  ...["January", "February", "March", "April", "May", "June", "July", "August", "September"],
  ...["October", "November", "December"]
]
const dayNames = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]

/** Days since 1970-01-01; months and days may be out of their range. */
export const daysOf = (year: number, month: number, day: number): number => {
  const date = new Date(0)
  date.setUTCFullYear(year, month - 1, day)
  return Math.round(date.getTime() / 86_400_000)
}

const dateOf = (days: number): Pick<Moment, "year" | "month" | "day"> => {
  const date = new Date(days * 86_400_000)
  return { year: date.getUTCFullYear(), month: date.getUTCMonth() + 1, day: date.getUTCDate() }
}

const floorDivide = (value: bigint, by: bigint): bigint =>
  value < 0n ? -((by - 1n - value) / by) : value / by

/** Nanoseconds since 1970-01-01 of what the clock shows. */
export const wallNanos = (moment: Moment): bigint =>
  BigInt(daysOf(moment.year, moment.month, moment.day)) * dayNanos + moment.nanos

export const momentOf = (nanos: bigint, offset?: number): Moment => {
  const days = floorDivide(nanos, dayNanos)
  if (days > 100_000_000n || days < -100_000_000n) return refuse("Timestamp is out of range")
  return { ...dateOf(Number(days)), nanos: nanos - days * dayNanos, offset }
}

const two = (value: number): string => String(value).padStart(2, "0")

export const dateText = ({ day, month, year }: Moment): string =>
  `${year < 0 ? "-" : ""}${String(Math.abs(year)).padStart(4, "0")}-${two(month)}-${two(day)}`

export const timeText = ({ nanos }: Moment): string => {
  const seconds = Number(nanos / second)
  const part = String(nanos % second)
    .padStart(9, "0")
    .slice(0, 6)
  const clock = `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`
  return part === "000000" ? clock : `${clock}.${part}`
}

export const offsetText = (minutes: number, colon = ":"): string =>
  `${minutes < 0 ? "-" : "+"}${two(Math.floor(Math.abs(minutes) / 60))}${colon}${two(Math.abs(minutes) % 60)}`

const isDate = (year: number, month: number, day: number): boolean => {
  if (month < 1 || month > 12 || day < 1 || day > 31) return false
  return dateOf(daysOf(year, month, day)).day === day
}

const monthOf = (name: string): number => {
  const lower = name.toLowerCase()
  const at = monthNames.findIndex(
    (month) => month.toLowerCase() === lower || month.slice(0, 3).toLowerCase() === lower
  )
  return at + 1
}

const clock = (
  h: string | undefined,
  m: string | undefined,
  s: string | undefined,
  f: string | undefined
) => {
  const [hour, minute, sec] = [Number(h ?? 0), Number(m ?? 0), Number(s ?? 0)]
  if (hour > 23 || minute > 59 || sec > 59) return undefined
  return (
    BigInt(hour * 3600 + minute * 60 + sec) * second + BigInt((f ?? "").padEnd(9, "0").slice(0, 9) || "0")
  )
}

const zone = (text: string | undefined): number | undefined => {
  if (text === undefined) return undefined
  if (text.toUpperCase() === "Z") return 0
  const [, sign, hours, minutes] = /^([+-])(\d\d?):?(\d\d)?$/.exec(text) ?? []
  return (sign === "-" ? -1 : 1) * (Number(hours) * 60 + Number(minutes ?? 0))
}

const clockPattern = "(\\d{1,2})(?::(\\d{1,2})(?::(\\d{1,2})(?:\\.(\\d{0,9}))?)?)?"
const zonePattern = " ?(Z|[+-]\\d{1,2}(?::?\\d\\d)?)"
const iso = new RegExp(`^(-?\\d{4})-(\\d{1,2})-(\\d{1,2})(?:[T ] *${clockPattern}(?:${zonePattern})?)?$`, "i")
const named = new RegExp(
  `^(\\d{1,2})-([A-Za-z]{3,9})-(\\d{4})(?: +${clockPattern}(?:${zonePattern})?)?$`,
  "i"
)
const american = new RegExp(`^(\\d{1,2})/(\\d{1,2})/(\\d{4})(?: +${clockPattern}(?:${zonePattern})?)?$`, "i")
const mail = new RegExp(
  `^(?:[A-Za-z]{3}, )?(\\d{1,2}) ([A-Za-z]{3}) (\\d{4}) ${clockPattern}(?:${zonePattern})?$`,
  "i"
)
const unix = new RegExp(
  `^[A-Za-z]{3} ([A-Za-z]{3}) (\\d{1,2}) ${clockPattern}(?:${zonePattern})? (\\d{4})$`,
  "i"
)

/** Seconds, or milliseconds, microseconds, nanoseconds, by how large it is. */
export const ofEpoch = (digits: string): Moment => {
  const size = BigInt(digits) < 0n ? -BigInt(digits) : BigInt(digits)
  const unit =
    size < 31_536_000_000n
      ? second
      : size < 31_536_000_000_000n
        ? 1_000_000n
        : size < 31_536_000_000_000_000n
          ? 1000n
          : 1n
  return momentOf(BigInt(digits) * unit)
}

/** A number of units of which 10^scale are a second. */
export const ofScaled = (text: string, scale: number): Moment => {
  const [, sign = "", whole = "0", part = ""] =
    /^(-?)(\d+)(?:\.(\d+))?$/.exec(text) ?? refuse(`Timestamp '${text}' is not recognized`)
  const nanos = BigInt(whole + part.padEnd(9, "0").slice(0, 9)) / 10n ** BigInt(scale)
  return momentOf(sign === "-" ? -nanos : nanos)
}

const made = (
  year: number,
  month: number,
  day: number,
  nanos: bigint | undefined,
  offset: number | undefined
): Moment | undefined =>
  nanos !== undefined && isDate(year, month, day) ? { year, month, day, nanos, offset } : undefined

/** What Snowflake recognises without a format. */
export const recognise = (written: string): Moment | undefined => {
  const text = written.trim()
  if (/^-?\d{1,18}$/.test(text)) return ofEpoch(text)
  let match = iso.exec(text)
  if (match !== null) {
    const [, y, mo, d, h, mi, s, f, tz] = match
    return made(Number(y), Number(mo), Number(d), clock(h, mi, s, f), zone(tz))
  }
  match = named.exec(text) ?? mail.exec(text)
  if (match !== null) {
    const [, d, mo, y, h, mi, s, f, tz] = match
    return made(Number(y), monthOf(mo!), Number(d), clock(h, mi, s, f), zone(tz))
  }
  match = american.exec(text)
  if (match !== null) {
    const [, mo, d, y, h, mi, s, f, tz] = match
    return made(Number(y), Number(mo), Number(d), clock(h, mi, s, f), zone(tz))
  }
  match = unix.exec(text)
  if (match !== null) {
    const [, mo, d, h, mi, s, f, tz, y] = match
    return made(Number(y), monthOf(mo!), Number(d), clock(h, mi, s, f), zone(tz))
  }
  return undefined
}

const timeOnly = new RegExp(
  `^(\\d{1,2}):(\\d{1,2})(?::(\\d{1,2})(?:\\.(\\d{0,9}))?)?(?: ?([AaPp][Mm]))?(?:${zonePattern})?$`,
  "i"
)

/** A time of day without a format. */
export const recogniseTime = (written: string): Moment | undefined => {
  const text = written.trim()
  const match = timeOnly.exec(text)
  if (match === null) {
    if (/^\d{1,18}$/.test(text)) return ofEpoch(text)
    return recognise(text)
  }
  const [, h, mi, s, f, half] = match
  const hour = half === undefined ? Number(h) : (Number(h) % 12) + (half.toLowerCase() === "pm" ? 12 : 0)
  const nanos = clock(String(hour), mi, s, f)
  return nanos === undefined ? undefined : { year: 1970, month: 1, day: 1, nanos, offset: undefined }
}

const element =
  /"([^"]*)"|YYYY|YY|MMMM|MON|MM|DD|DY|HH24|HH12|HH|AM|PM|MI|SS|FF[0-9]?|TZH:?TZM|TZH|TZM|T(?=HH)|[^]/gi

type Part = { readonly literal: string } | { readonly element: string }

const remembered = new Map<string, ReadonlyArray<Part>>()

const partsOf = (format: string): ReadonlyArray<Part> => {
  const known = remembered.get(format)
  if (known !== undefined) return known
  const parts = [...format.matchAll(element)].map(([whole, quoted]): Part => {
    if (quoted !== undefined) return { literal: quoted }
    return /^(?:[A-Z]{2,}.*|T)$/i.test(whole) && whole.length > 1
      ? { element: whole.toUpperCase() }
      : { literal: whole }
  })
  if (remembered.size > 200) remembered.clear()
  remembered.set(format, parts)
  return parts
}

const weekday = (moment: Moment): number =>
  (((daysOf(moment.year, moment.month, moment.day) + 4) % 7) + 7) % 7

/** The moment by a format of dates and times. */
export const show = (moment: Moment, format: string): string => {
  const seconds = Number(moment.nanos / second)
  const hour = Math.floor(seconds / 3600)
  const fraction = String(moment.nanos % second).padStart(9, "0")
  return partsOf(format)
    .map((part) => {
      if ("literal" in part) return part.literal
      switch (part.element) {
        case "YYYY":
          return String(moment.year).padStart(4, "0")
        case "YY":
          return two(moment.year % 100)
        case "MMMM":
          return monthNames[moment.month - 1]
        case "MON":
          return monthNames[moment.month - 1]!.slice(0, 3)
        case "MM":
          return two(moment.month)
        case "DD":
          return two(moment.day)
        case "DY":
          return dayNames[weekday(moment)]!.slice(0, 3)
        case "HH24":
        case "HH":
          return two(hour)
        case "HH12":
          return two(((hour + 11) % 12) + 1)
        case "AM":
        case "PM":
          return hour < 12 ? "AM" : "PM"
        case "MI":
          return two(Math.floor(seconds / 60) % 60)
        case "SS":
          return two(seconds % 60)
        case "TZH:TZM":
          return offsetText(moment.offset ?? 0)
        case "TZHTZM":
          return offsetText(moment.offset ?? 0, "")
        case "TZH":
          return offsetText(moment.offset ?? 0).slice(0, 3)
        case "TZM":
          return offsetText(moment.offset ?? 0).slice(4)
        default:
          return part.element === "FF" ? fraction : fraction.slice(0, Number(part.element.slice(2)))
      }
    })
    .join("")
}

const readers: Readonly<Record<string, RegExp>> = {
  YYYY: /-?\d{4}/y,
  YY: /\d{2}/y,
  MMMM: /[A-Za-z]{3,9}/y,
  MON: /[A-Za-z]{3,9}/y,
  MM: /\d{1,2}/y,
  DD: /\d{1,2}/y,
  DY: /[A-Za-z]{3,9}/y,
  HH24: /\d{1,2}/y,
  HH12: /\d{1,2}/y,
  HH: /\d{1,2}/y,
  AM: /[AaPp][Mm]/y,
  PM: /[AaPp][Mm]/y,
  MI: /\d{1,2}/y,
  SS: /\d{1,2}/y,
  "TZH:TZM": /Z|[+-]\d{1,2}:\d{2}/y,
  TZHTZM: /Z|[+-]\d{4}/y,
  TZH: /[+-]\d{1,2}/y,
  TZM: /\d{2}/y
}

/** Reads a text by a format of dates and times; undefined where it does not fit. */
export const read = (text: string, format: string): Moment | undefined => {
  if (/^AUTO$/i.test(format)) return recognise(text)
  const found = new Map<string, string>()
  let at = 0
  for (const part of partsOf(format)) {
    if ("literal" in part) {
      if (text.slice(at, at + part.literal.length) !== part.literal) return undefined
      at += part.literal.length
      continue
    }
    const pattern = readers[part.element] ?? /\d{1,9}/y
    pattern.lastIndex = at
    const match = pattern.exec(text)?.[0]
    if (match === undefined) return undefined
    found.set(part.element.startsWith("FF") ? "FF" : part.element, match)
    at += match.length
  }
  if (at !== text.length) return undefined
  const short = found.get("YY")
  const year =
    found.get("YYYY") ?? (short === undefined ? "1970" : Number(short) >= 70 ? `19${short}` : `20${short}`)
  const name = found.get("MON") ?? found.get("MMMM")
  const month = name === undefined ? Number(found.get("MM") ?? 1) : monthOf(name)
  const half = (found.get("AM") ?? found.get("PM"))?.toLowerCase()
  let hour = found.get("HH24") ?? found.get("HH12") ?? found.get("HH")
  if (half !== undefined && hour !== undefined) hour = String((Number(hour) % 12) + (half === "pm" ? 12 : 0))
  const offset = found.get("TZH:TZM") ?? found.get("TZHTZM") ?? found.get("TZH")
  return made(
    Number(year),
    month,
    Number(found.get("DD") ?? 1),
    clock(hour, found.get("MI"), found.get("SS"), found.get("FF")),
    zone(offset)
  )
}

/** Whether a format is one of dates and times. */
export const isOfDates = (format: string): boolean =>
  /YY|MON|MM|DD|DY|HH|MI|SS|FF|TZ/i.test(format.replace(/"[^"]*"/g, "")) &&
  !/[09]/.test(format.replace(/HH24|HH12|FF\d/gi, ""))

/** The digits of a number, exactly as written, rounded half away from zero. */
export const rounded = (digits: string, scale: number): string => {
  const expanded = /e/i.test(digits) ? expand(digits) : digits
  const [, sign = "", whole = "0", part = ""] =
    /^([+-]?)(\d*)(?:\.(\d*))?$/.exec(expanded) ?? refuse(`Numeric value '${digits}' is not recognized`)
  const kept = BigInt((whole || "0") + part.padEnd(scale, "0").slice(0, scale))
  const up = (part[scale] ?? "0") >= "5" ? kept + 1n : kept
  const text = up.toString().padStart(scale + 1, "0")
  const shown = scale === 0 ? text : `${text.slice(0, -scale)}.${text.slice(-scale)}`
  return sign === "-" && up !== 0n ? `-${shown}` : shown
}

const expand = (digits: string): string => {
  const [, sign = "", whole = "", part = "", exponent = "0"] =
    /^([+-]?)(\d*)(?:\.(\d*))?e([+-]?\d+)$/i.exec(digits) ?? []
  const point = whole.length + Number(exponent)
  if (Math.abs(point) > 400) return refuse(`Numeric value '${digits}' is out of range`)
  const all = whole + part
  return point <= 0
    ? `${sign}0.${"0".repeat(-point)}${all}`
    : `${sign}${all.padEnd(point, "0").slice(0, point)}.${all.slice(point)}`
}

/** The number by a format of numbers: `$9,999.00`, `0000`, `S99`, `XXXX`, `TM9`. */
export const showNumber = (digits: string, written: string): string => {
  const format = written.replace(/"([^"]*)"/g, "")
  const [, before = "", , after = ""] =
    /^((?:"[^"]*")*)([^"]*)((?:"[^"]*")*)$/.exec(written) ??
    refuse(`the number format '${written}' is not supported`)
  const literal = (text: string) => text.replaceAll('"', "")
  const wrap = (text: string) => literal(before) + text + literal(after)
  const upper = format.toUpperCase()
  if (/^TM9?$/.test(upper)) return wrap(digits)
  if (/^TME$/.test(upper) || upper.includes("EEEE")) {
    if (!/^(?:TME|9?(?:\.9+)?EEEE)$/.test(upper))
      return refuse(`the number format '${written}' is not supported`)
    const places = upper === "TME" ? undefined : (/\.(9+)/.exec(upper)?.[1]?.length ?? 0)
    const [mantissa = "0", exponent = "0"] = Number(digits).toExponential(places).split("e")
    const text = `${mantissa}E${upper === "TME" ? String(Number(exponent)) : `${exponent.startsWith("-") ? "-" : "+"}${exponent.replace(/^[+-]/, "")}`}`
    return wrap(upper === "TME" ? text : text.startsWith("-") ? text : ` ${text}`)
  }
  const match = /^(FM)?(B)?(S|MI)?([$L])?(B)?([09,G]*|0*X+)(?:([.D])([09]*))?(S|MI)?$/.exec(upper)
  if (match === null) return refuse(`the number format '${written}' is not supported`)
  const [, fill, b1, signBefore, currency, b2, whole = "", point, places = "", signAfter] = match
  const blankZero = b1 !== undefined || b2 !== undefined
  const compact = fill !== undefined
  if (/X/.test(whole)) {
    const value = BigInt(rounded(digits, 0))
    const hex = (value < 0n ? -value : value).toString(16).toUpperCase()
    const lower = /x/.test(format)
    const shown = lower ? hex.toLowerCase() : hex
    if (shown.length > whole.length) return wrap("#".repeat(whole.length + 1))
    const filled = whole.startsWith("0") ? shown.padStart(whole.length, "0") : shown
    const text = `${value < 0n ? "-" : ""}${filled}`
    return wrap(compact ? text : text.padStart(whole.length + 1))
  }
  const slots = [...whole].filter((char) => char === "0" || char === "9")
  const value = rounded(digits, places.length)
  const negative = value.startsWith("-")
  const [integer = "0", part = ""] = value.replace("-", "").split(".")
  const firstZero = slots.indexOf("0")
  const atLeast = firstZero < 0 ? 0 : slots.length - firstZero
  const width =
    whole.length + (point === undefined ? 0 : 1) + places.length + (currency === undefined ? 0 : 1) + 1
  let shownInteger = integer.replace(/^0+/, "")
  if (shownInteger.length > slots.length)
    return wrap(
      value.includes(".") || point !== undefined
        ? hashes(whole, point, places, currency)
        : hashes(whole, undefined, "", currency)
    )
  if (shownInteger === "" && !blankZero && slots.length > 0) shownInteger = "0"
  shownInteger = shownInteger.padStart(atLeast, "0")
  // Separators stand where the format has them, counted from the right.
  let grouped = ""
  let left = shownInteger.length
  for (let at = whole.length - 1; at >= 0 && left > 0; at--) {
    const char = whole[at]
    grouped = (char === "," || char === "G" ? "," : shownInteger[--left]!) + grouped
  }
  const decimals =
    point === undefined
      ? ""
      : `.${compact ? part.replace(/0+$/, (zeros) => zeros.slice(0, Math.max(0, places.lastIndexOf("0") + 1 - (part.length - zeros.length)))) : part}`
  const body = `${currency === undefined ? "" : "$"}${grouped}${decimals}`
  if (signAfter === "MI")
    return wrap(compact ? `${body}${negative ? "-" : ""}` : `${body}${negative ? "-" : " "}`.padStart(width))
  if (signAfter === "S")
    return wrap(compact ? `${body}${negative ? "-" : "+"}` : `${body}${negative ? "-" : "+"}`.padStart(width))
  const sign = negative ? "-" : signBefore === "S" ? "+" : ""
  return wrap(compact ? sign + body : (sign + body).padStart(width))
}

const hashes = (
  whole: string,
  point: string | undefined,
  places: string,
  currency: string | undefined
): string =>
  ` ${currency === undefined ? "" : "$"}${whole.replace(/[09]/g, "#")}${point === undefined ? "" : `.${"#".repeat(places.length)}`}`

/** Reads a number by a format; undefined where it does not fit. The digits are exact. */
export const readNumber = (text: string, format: string): string | undefined => {
  const upper = format.toUpperCase().replace(/^FM/, "")
  const compact = text.replace(/\s+/g, "")
  if (/^TM9?$|^TME$/.test(upper))
    return /^[+-]?(?:\d+\.?\d*|\.\d+)(?:E[+-]?\d+)?$/i.test(compact) ? compact : undefined
  if (/^0*X+$/.test(upper))
    return /^[0-9A-F]+$/i.test(compact) && compact.length <= upper.length
      ? BigInt(`0x${compact}`).toString()
      : undefined
  const match = /^B?(S|MI)?([$L])?B?([09,G]*)(?:([.D])([09]*))?(S|MI)?$/.exec(upper)
  if (match === null) return refuse(`the number format '${format}' is not supported`)
  const [, , currency, whole = "", point, places = ""] = match
  const [, sign = "", dollar, integer = "", dot, part = "", after] =
    /^([+-]?)(\$)?([\d,]*)(\.)?(\d*)([+-]?)$/.exec(compact) ?? []
  if (integer === "" && part === "") return undefined
  if ((dollar === undefined) !== (currency === undefined)) return undefined
  if (integer.includes(",") && !/[,G]/.test(whole)) return undefined
  if (integer.replaceAll(",", "").length > whole.replace(/[,G]/g, "").length || part.length > places.length)
    return undefined
  if (dot !== undefined && point === undefined) return undefined
  if (
    integer.includes(",") &&
    whole.slice(-integer.length).replace(/[09]/g, "9").replaceAll("G", ",") !== integer.replace(/\d/g, "9")
  )
    return undefined
  return `${sign === "-" || after === "-" ? "-" : ""}${integer.replaceAll(",", "") || "0"}${part === "" ? "" : `.${part}`}`
}
