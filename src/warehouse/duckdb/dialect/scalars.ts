/**
 * Snowflake's functions that are written in JavaScript: from decoded arguments to a value. Pure.
 *
 * Each takes what Snowflake documents and refuses what it refuses. `undefined` is a SQL NULL.
 *
 * @since 0.1.0
 */
import { createHash } from "node:crypto"
import { exactFromDuckDb } from "../../../sql/Identifier.js"
import * as Formats from "./formats.js"
import type { Moment } from "./formats.js"
import * as Patterns from "./patterns.js"
import type { Fields, List, Value } from "./values.js"
import {
  Double,
  Exact,
  Typed,
  comparable,
  decode,
  floatText,
  identity,
  isFields,
  isList,
  members,
  noNanoseconds,
  numberOf,
  parseJson,
  printJson,
  refuse,
  textOf,
  typeOf
} from "./values.js"

/** What a function returns in DuckDB: `text` as VARCHAR, which may be cast on, `variant` as the union. */
export type Returns = "text" | "integer" | "number" | "boolean" | "variant" | "rows"

export interface Scalar {
  /**
   * `t`: a text, `v`: a value of any type, `n`: an integer, `r`: what `sg_in` writes, as it is; the last one
   * may be repeated with `*`.
   */
  readonly takes: string
  readonly least: number
  readonly returns: Returns
  /** NULL where one argument is, without being asked. */
  readonly strict: boolean
  readonly run: (args: ReadonlyArray<Value>) => Value
}

const text = (value: Value): string => textOf(value) ?? ""
const integer = (value: Value, otherwise: number): number =>
  value === undefined ? otherwise : Math.trunc(numberOf(value) ?? otherwise)
const given = (value: Value): string | undefined => (value === undefined ? undefined : textOf(value))

const scalar =
  (returns: Returns, strict = true) =>
  (takes: string, least: number, run: Scalar["run"]): Scalar => ({ takes, least, returns, strict, run })

const toText = scalar("text")
const toInteger = scalar("integer")
const toBoolean = scalar("boolean")
const toVariant = scalar("variant")
const nullable = scalar("variant", false)

const characters = (value: string): ReadonlyArray<string> => [...value]

const hexOf = (value: Value): string =>
  value instanceof Typed && value.kind === "BINARY"
    ? value.text
    : Buffer.from(text(value), "utf8").toString("hex").toUpperCase()
const isBinary = (value: Value): boolean => value instanceof Typed && value.kind === "BINARY"

const utf8 = (hex: string): string => {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.from(hex, "hex"))
  } catch {
    return refuse("The bytes are not valid UTF-8")
  }
}

const hexDigits = (value: string): string =>
  /^(?:[0-9a-fA-F]{2})*$/.test(value)
    ? value.toUpperCase()
    : refuse(`The following string is not a legal hex-encoded value: '${value}'`)

const base64 = (value: string): string =>
  /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(value.replace(/\s/g, ""))
    ? Buffer.from(value, "base64").toString("hex").toUpperCase()
    : refuse(`The following string is not a legal base64-encoded value: '${value}'`)

const bytesBy = (value: string, format: string): string => {
  switch (format.toUpperCase().replace("-", "")) {
    case "HEX":
      return hexDigits(value)
    case "BASE64":
      return base64(value)
    case "UTF8":
      return Buffer.from(value, "utf8").toString("hex").toUpperCase()
    default:
      return refuse(`the binary format '${format}' is not one of HEX, BASE64, UTF-8`)
  }
}

const digest = (algorithm: string) =>
  toText("v", 1, ([value]) =>
    createHash(algorithm)
      .update(Buffer.from(hexOf(value), "hex"))
      .digest("hex")
  )

const sha2 = toText("vn", 1, ([value, size]) => {
  const bits = integer(size, 256)
  if (![0, 224, 256, 384, 512].includes(bits)) return refuse(`SHA2: ${bits} is not one of 224, 256, 384, 512`)
  return createHash(`sha${bits === 0 ? 256 : bits}`)
    .update(Buffer.from(hexOf(value), "hex"))
    .digest("hex")
})

const standardDelimiters = new Set(' \t\n\r\f\v!?@"^#$&~_,.:;+-*%/|\\[](){}<>')

const initcap = (value: string, delimiters: string | undefined): string => {
  const set = delimiters === undefined ? standardDelimiters : new Set(delimiters)
  let start = true
  return characters(value)
    .map((char) => {
      const shown = start ? char.toUpperCase() : char.toLowerCase()
      start = set.has(char)
      return shown
    })
    .join("")
}

const tokens = (value: string, delimiters: string): ReadonlyArray<string> => {
  const set = new Set(delimiters)
  const found: Array<string> = []
  let current = ""
  for (const char of value) {
    if (set.has(char)) {
      if (current !== "") found.push(current)
      current = ""
    } else current += char
  }
  if (current !== "") found.push(current)
  return found
}

const splitText = (value: string, separator: string): ReadonlyArray<string> =>
  separator === "" ? [value] : value.split(separator)

const levenshtein = (a: string, b: string): number => {
  const [x, y] = [characters(a), characters(b)]
  if (x.length * y.length > 25_000_000) return refuse("EDITDISTANCE: the texts are too long")
  let before = Array.from({ length: y.length + 1 }, (_, index) => index)
  for (let i = 1; i <= x.length; i++) {
    const row = [i]
    for (let j = 1; j <= y.length; j++) {
      row.push(Math.min(before[j]! + 1, row[j - 1]! + 1, before[j - 1]! + (x[i - 1] === y[j - 1] ? 0 : 1)))
    }
    before = row
  }
  return before[y.length]!
}

const jaroWinkler = (first: string, second: string): number => {
  const [a, b] = [characters(first.toLowerCase()), characters(second.toLowerCase())]
  if (a.length === 0 || b.length === 0) return 0
  const reach = Math.max(0, Math.floor(Math.max(a.length, b.length) / 2) - 1)
  const taken = new Set<number>()
  const inA: Array<string> = []
  a.forEach((char, i) => {
    for (let j = Math.max(0, i - reach); j <= Math.min(b.length - 1, i + reach); j++) {
      if (b[j] === char && !taken.has(j)) {
        taken.add(j)
        inA.push(char)
        return
      }
    }
  })
  const inB = b.filter((_, j) => taken.has(j))
  const same = inA.length
  if (same === 0) return 0
  const swapped = inA.filter((char, index) => char !== inB[index]).length / 2
  const jaro = (same / a.length + same / b.length + (same - swapped) / same) / 3
  let prefix = 0
  while (prefix < 4 && a[prefix] !== undefined && a[prefix] === b[prefix]) prefix++
  return Math.trunc(100 * (jaro + prefix * 0.1 * (1 - jaro)) + 1e-9)
}

const soundex = (value: string): string => {
  const codes: Readonly<Record<string, string>> = Object.fromEntries(
    ["BFPV", "CGJKQSXZ", "DT", "L", "MN", "R"].flatMap((letters, index) =>
      [...letters].map((letter) => [letter, String(index + 1)])
    )
  )
  const letters = [...value.toUpperCase()].filter((char) => char >= "A" && char <= "Z")
  const [first] = letters
  if (first === undefined) return ""
  let result = first
  let last = codes[first] ?? ""
  for (const letter of letters.slice(1)) {
    const code = codes[letter] ?? ""
    if (code !== "" && code !== last) result += code
    if (letter !== "H" && letter !== "W") last = code
    if (result.length === 4) break
  }
  return result.padEnd(4, "0")
}

const parseUrl = (url: string, permissive: boolean): Value => {
  const [, scheme, rest = ""] = /^([A-Za-z][A-Za-z0-9+.-]*):(?:\/\/)?(.*)$/s.exec(url) ?? []
  if (
    scheme === undefined ||
    !/^[A-Za-z][A-Za-z0-9+.-]*:/.test(url) ||
    (!url.includes("://") && !/^mailto:/i.test(url))
  ) {
    if (permissive) return new Map([["error", "scheme not specified"]])
    return refuse(`Error parsing URL: scheme not specified`)
  }
  const [beforeFragment = "", ...fragmentParts] = rest.split("#")
  const [beforeQuery = "", ...queryParts] = beforeFragment.split("?")
  const slash = beforeQuery.indexOf("/")
  const authority = url.includes("://") ? (slash < 0 ? beforeQuery : beforeQuery.slice(0, slash)) : ""
  const path = url.includes("://") ? (slash < 0 ? "" : beforeQuery.slice(slash + 1)) : beforeQuery
  const host = authority.includes("@") ? authority.slice(authority.lastIndexOf("@") + 1) : authority
  const [, name = host, port] = /^(\[[^\]]*\]|[^:]*)(?::(\d+))?$/.exec(host) ?? []
  const query = queryParts.length === 0 ? undefined : queryParts.join("?")
  const parameters =
    query === undefined || query === ""
      ? null
      : new Map<string, Value>(
          query.split("&").map((part) => {
            const at = part.indexOf("=")
            return at < 0 ? [part, ""] : [part.slice(0, at), part.slice(at + 1)]
          })
        )
  return new Map<string, Value>([
    ["fragment", fragmentParts.length === 0 ? null : fragmentParts.join("#")],
    ["host", name === "" ? null : name],
    ["parameters", parameters],
    ["path", path === "" ? null : path],
    ["port", port ?? null],
    ["query", query === undefined || query === "" ? null : query],
    ["scheme", scheme.toLowerCase()]
  ])
}

const ipv4 = (address: string): number | undefined => {
  const parts = address.split(".")
  if (parts.length !== 4 || !parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) < 256))
    return undefined
  return parts.reduce((sum, part) => sum * 256 + Number(part), 0)
}

const ipv6 = (address: string): bigint | undefined => {
  const halves = address.split("::")
  if (halves.length > 2) return undefined
  const words = (half: string | undefined) => (half === undefined || half === "" ? [] : half.split(":"))
  const [head, tail] = [words(halves[0]), words(halves[1])]
  const missing = 8 - head.length - tail.length
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined
  const all = [...head, ...Array.from({ length: halves.length === 2 ? missing : 0 }, () => "0"), ...tail]
  return all.every((word) => /^[0-9a-f]{1,4}$/i.test(word))
    ? all.reduce((sum, word) => sum * 65536n + BigInt(`0x${word}`), 0n)
    : undefined
}

const parseIp = (written: string, kind: string, permissive: boolean): Value => {
  const fail = (why: string): Value =>
    permissive ? new Map([["error", why]]) : refuse(`Error parsing IP: ${why}`)
  if (kind.toUpperCase() !== "INET") return fail(`unknown type '${kind}'`)
  const [host = "", prefix] = written.split("/")
  const small = ipv4(host)
  const fields = new Map<string, Value>([
    ["host", host],
    ["ip_type", "inet"],
    ["snowflake$type", "ip_address"]
  ])
  if (small !== undefined) {
    const bits = prefix === undefined ? undefined : Number(prefix)
    if (bits !== undefined && !(bits >= 0 && bits <= 32)) return fail("invalid netmask")
    fields.set("family", 4)
    fields.set("ip_fields", [small, 0, 0, 0])
    fields.set("ipv4", small)
    fields.set("netmask_prefix_length", bits ?? null)
    if (bits !== undefined) {
      const size = 2 ** (32 - bits)
      const start = Math.floor(small / size) * size
      fields.set("ipv4_range_start", start)
      fields.set("ipv4_range_end", start + size - 1)
    }
    return fields
  }
  const large = ipv6(host)
  if (large === undefined) return fail(`invalid IP address '${written}'`)
  const bits = prefix === undefined ? undefined : Number(prefix)
  if (bits !== undefined && !(bits >= 0 && bits <= 128)) return fail("invalid netmask")
  const hex = (value: bigint) => value.toString(16).toUpperCase().padStart(32, "0")
  fields.set("family", 6)
  fields.set("hex_ipv6", hex(large))
  fields.set(
    "ip_fields",
    [96n, 64n, 32n, 0n].map((shift) => Number((large >> shift) & 0xffffffffn))
  )
  fields.set("netmask_prefix_length", bits ?? null)
  if (bits !== undefined) {
    const size = 1n << BigInt(128 - bits)
    const start = (large / size) * size
    fields.set("hex_ipv6_range_start", hex(start))
    fields.set("hex_ipv6_range_end", hex(start + size - 1n))
  }
  return fields
}

/** The words of a text as Snowflake's default analyzer cuts it. */
const words = (value: string): ReadonlyArray<string> =>
  value
    .toLowerCase()
    .split(/[^\p{L}\p{N}.'_]+|(?<=^|[^\p{L}\p{N}])[.'_]+|[.'_]+(?=[^\p{L}\p{N}]|$)/u)
    .flatMap((word) =>
      // A dot between digits belongs to the number, elsewhere it parts.
      /\d\.\d/.test(word) ? [word] : word.split(/\.(?!\d)|(?<!\d)\./)
    )
    .filter((word) => word !== "")

const texts = (value: Value): ReadonlyArray<string> => {
  if (typeof value === "string") return [value]
  if (isList(value)) return value.flatMap(texts)
  return isFields(value) ? [...value.values()].flatMap(texts) : []
}

const search = (inside: Value, wanted: string, mode: string): boolean => {
  const have = new Set(texts(inside).flatMap(words))
  const parts = words(wanted)
  if (mode === "AND") return parts.length > 0 && parts.every((part) => have.has(part))
  return parts.some((part) => have.has(part))
}

// Dates

const momentFrom = (value: Value): Moment | undefined => {
  if (value === undefined || value === null) return undefined
  if (value instanceof Typed) {
    if (value.kind === "TIME") return Formats.recogniseTime(value.text)
    return Formats.recognise(value.text) ?? refuse(`Timestamp '${value.text}' is out of range`)
  }
  return undefined
}

type Kind = "DATE" | "TIME" | "TIMESTAMP_NTZ" | "TIMESTAMP_LTZ" | "TIMESTAMP_TZ"
const spoken: Readonly<Record<Kind, string>> = {
  DATE: "Date",
  TIME: "Time",
  TIMESTAMP_NTZ: "Timestamp",
  TIMESTAMP_LTZ: "Timestamp",
  TIMESTAMP_TZ: "Timestamp"
}

const written = (moment: Moment, kind: Kind): string => {
  if (kind !== "DATE" && moment.nanos % 1000n !== 0n) return refuse(noNanoseconds)
  switch (kind) {
    case "DATE":
      return Formats.dateText(moment)
    case "TIME":
      return Formats.timeText(moment)
    case "TIMESTAMP_NTZ":
      return `${Formats.dateText(moment)} ${Formats.timeText(moment)}`
    case "TIMESTAMP_TZ":
    case "TIMESTAMP_LTZ": {
      // The session's zone is UTC.
      const at = Formats.momentOf(Formats.wallNanos(moment) - BigInt(moment.offset ?? 0) * 60_000_000_000n)
      return `${Formats.dateText(at)} ${Formats.timeText(at)}`
    }
  }
}

const digitsOf = (value: Value): string | undefined => {
  if (typeof value === "number")
    return /e/.test(String(value)) ? Formats.rounded(String(value), 9) : String(value)
  if (value instanceof Exact) return value.digits
  if (value instanceof Double) return Formats.rounded(String(value.value), 9)
  return undefined
}

const convert = (kind: Kind, tolerant: boolean) =>
  scalar("text")("vv", 1, ([value, format]) => {
    if (value === null) return undefined
    const digits = digitsOf(value)
    const how = format === undefined ? undefined : typeof format === "number" ? format : text(format)
    let moment: Moment | undefined
    if (digits !== undefined) {
      if (kind === "DATE" && typeof how !== "number")
        return refuse("a number is not a date: write TO_DATE(TO_TIMESTAMP(n))")
      moment = Formats.ofScaled(digits, typeof how === "number" ? how : 0)
    } else if (value instanceof Typed) moment = momentFrom(value)
    else if (typeof value === "string") {
      moment =
        typeof how === "number" && /^-?\d+$/.test(value)
          ? Formats.ofScaled(value, how)
          : typeof how === "string"
            ? Formats.read(value, how)
            : kind === "TIME"
              ? Formats.recogniseTime(value)
              : Formats.recognise(value)
    }
    if (moment === undefined)
      return tolerant ? undefined : refuse(`${spoken[kind]} '${text(value)}' is not recognized`)
    if (kind === "TIMESTAMP_TZ" && (moment.offset ?? 0) !== 0) {
      return refuse(
        "TIMESTAMP_TZ with an offset other than UTC is not supported: Snowflake keeps the offset, the embedded warehouse cannot; use TO_TIMESTAMP_LTZ or TO_TIMESTAMP_NTZ"
      )
    }
    return written(moment, kind)
  })

const toChar = toText("vtt", 1, ([value, format, original]) => {
  const how = given(format)
  if (value === null) return undefined
  if (value instanceof Typed) {
    if (value.kind === "BINARY") {
      const by = (how ?? "HEX").toUpperCase().replace("-", "")
      if (by === "HEX") return value.text
      if (by === "BASE64") return Buffer.from(value.text, "hex").toString("base64")
      if (by === "UTF8") return utf8(value.text)
      return refuse(`the binary format '${how}' is not one of HEX, BASE64, UTF-8`)
    }
    if (how === undefined) return textOf(value)
    const moment = momentFrom(value)
    return moment === undefined ? undefined : Formats.show(moment, how)
  }
  if (how === undefined) return given(original) ?? textOf(value)
  if (typeof value === "string") {
    // Snowflake reads a text as a timestamp when the format is one of dates.
    if (!Formats.isOfDates(how)) return Formats.showNumber(value, how)
    const moment = Formats.recognise(value)
    return moment === undefined ? refuse(`Timestamp '${value}' is not recognized`) : Formats.show(moment, how)
  }
  const digits =
    value instanceof Exact
      ? value.digits
      : value instanceof Double
        ? floatText(value.value)
        : (given(original) ?? textOf(value))
  if (Formats.isOfDates(how)) return refuse(`the number format '${how}' is not supported`)
  return Formats.showNumber(String(digits), how)
})

const units = ["year", "quarter", "month", "week", "day", "hour", "minute", "second"]

const timeSlice = toText("vntt", 3, ([value, length, unit, side]) => {
  const moment = momentFrom(value) ?? (typeof value === "string" ? Formats.recognise(value) : undefined)
  const size = integer(length, 0)
  const name = text(unit).toLowerCase()
  const known = units.find((each) => each === name || `${each}s` === name)
  if (moment === undefined || size < 1 || known === undefined)
    return refuse("TIME_SLICE needs a date or timestamp, a positive length and one of YEAR .. SECOND")
  const end = (given(side) ?? "START").toUpperCase() === "END" ? 1 : 0
  const isDate = value instanceof Typed && value.kind === "DATE"
  const shown = (slice: Moment) =>
    isDate ? Formats.dateText(slice) : `${Formats.dateText(slice)} ${Formats.timeText(slice)}`
  const months = { year: 12, quarter: 3, month: 1 }[known as "year"] as number | undefined
  if (months !== undefined) {
    const step = months * size
    const count = (moment.year - 1970) * 12 + moment.month - 1
    const at = (Math.floor(count / step) + end) * step
    return shown({
      year: 1970 + Math.floor(at / 12),
      month: (((at % 12) + 12) % 12) + 1,
      day: 1,
      nanos: 0n,
      offset: undefined
    })
  }
  const seconds = { week: 604_800n, day: 86_400n, hour: 3600n, minute: 60n, second: 1n }[known as "day"]
  const step = seconds * BigInt(size) * 1_000_000_000n
  // Weeks begin on Mondays, and 1970-01-01 was a Thursday.
  const shift = known === "week" ? -3n * 86_400n * 1_000_000_000n : 0n
  const nanos = Formats.wallNanos(moment) - shift
  const floor = nanos >= 0n ? nanos / step : -((-nanos + step - 1n) / step)
  return shown(Formats.momentOf((floor + BigInt(end)) * step + shift))
})

// Numbers

const toNumber = (tolerant: boolean) =>
  scalar("text")("vt", 1, ([value, format]) => {
    const how = given(format)
    if (value === null) return undefined
    if (typeof value === "boolean") return value ? "1" : "0"
    const digits = digitsOf(value)
    if (digits !== undefined) return digits
    if (typeof value === "string") {
      const read =
        how === undefined
          ? /^\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\s*$/.test(value)
            ? value.trim()
            : undefined
          : Formats.readNumber(value, how)
      if (read !== undefined) return read
      return tolerant
        ? undefined
        : refuse(
            how === undefined
              ? `Numeric value '${value}' is not recognized`
              : `Can't parse '${value}' as number with format '${how}'`
          )
    }
    return tolerant ? undefined : refuse(`Failed to cast ${printJson(value)} to a number`)
  })

/** Checks precision and rounds to scale: what does not fit is an error, or NULL where it is tried. */
const decimal = (tolerant: boolean) =>
  scalar("text")("tnn", 3, ([value, precision, scale]) => {
    const [p, s] = [integer(precision, 38), integer(scale, 0)]
    const shown = Formats.rounded(text(value), s)
    if (shown.replace(/^-/, "").split(".")[0]!.replace(/^0+/, "").length > p - s)
      return tolerant
        ? undefined
        : refuse(`Number out of representable range: type FIXED(${p},${s}), value ${text(value)}`)
    return shown
  })

const truths: Readonly<Record<string, boolean>> = {
  ...Object.fromEntries(["true", "t", "yes", "y", "on", "1"].map((word) => [word, true])),
  ...Object.fromEntries(["false", "f", "no", "n", "off", "0"].map((word) => [word, false]))
}

const booleanFrom = (tolerant: boolean) =>
  toBoolean("v", 1, ([value]) => {
    if (value === null) return undefined
    if (typeof value === "boolean") return value
    if (typeof value === "string") {
      const known = truths[value.trim().toLowerCase()]
      return known ?? (tolerant ? undefined : refuse(`Boolean value '${value}' is not recognized`))
    }
    const number = digitsOf(value)
    return number === undefined
      ? tolerant
        ? undefined
        : refuse("this type is not a boolean")
      : Number(number) !== 0
  })

const roundHalfEven = toText("tn", 2, ([value, scale]) => {
  const places = Math.max(0, integer(scale, 0))
  const digits = text(value)
  const up = Formats.rounded(digits, places)
  const [, part = ""] = digits.replace("-", "").split(".")
  const tie = /^50*$/.test(part.slice(places))
  if (!tie) return up
  const last = Number(up.replace(/\D/g, "").slice(-1))
  if (last % 2 === 0) return up
  const unit = BigInt(up.replace(".", ""))
  const even = unit < 0n ? unit + 1n : unit - 1n
  const shown = (even < 0n ? -even : even).toString().padStart(places + 1, "0")
  return `${even < 0n ? "-" : ""}${places === 0 ? shown : `${shown.slice(0, -places)}.${shown.slice(-places)}`}`
})

const doubleOf = (text_: string): number =>
  /inf/.test(text_) ? (text_.startsWith("-") ? -Infinity : Infinity) : Number(text_)

const unscaled = (digits: string): readonly [bigint, number] => {
  const [whole = "0", part = ""] = digits.split(".")
  return [BigInt(whole + part), part.length]
}

/** More digits than any quotient has. */
const quotientDigits = 20

/**
 * a / b of the type that their product has. A double holds 15 digits; a quotient of numbers that needs more is
 * computed exactly.
 */
const divide = toText("ttt", 3, ([a, b, type]) => {
  const [x, y] = [text(a), text(b)]
  const quotient = doubleOf(x) / doubleOf(y)
  if (doubleOf(y) === 0) return refuse("Division by zero")
  if (text(type) === "DOUBLE" || text(type) === "FLOAT") return floatText(quotient)
  if (Math.abs(quotient) < 1000 && x.length <= 15 && y.length <= 15) return String(quotient)
  const [[dividend, places], [divisor, others]] = [unscaled(x), unscaled(y)]
  const power = quotientDigits + others - places
  const exact =
    power >= 0 ? (dividend * 10n ** BigInt(power)) / divisor : dividend / (divisor * 10n ** BigInt(-power))
  const digits = (exact < 0n ? -exact : exact).toString().padStart(quotientDigits + 1, "0")
  return `${exact < 0n ? "-" : ""}${digits.slice(0, -quotientDigits)}.${digits.slice(-quotientDigits)}`
})

// Semi-structured values

const list = (value: Value): List | undefined => (isList(value) ? value : undefined)
const fields = (value: Value): Fields | undefined => (isFields(value) ? value : undefined)
const asList = (value: Value, name: string): List =>
  isList(value) ? value : refuse(`${name} needs an ARRAY, not ${typeOf(value) ?? "NULL"}`)
const asFields = (value: Value, name: string): Fields =>
  isFields(value) ? value : refuse(`${name} needs an OBJECT, not ${typeOf(value) ?? "NULL"}`)
const element = (value: Value): Value => (value === undefined ? null : value)

const at = (value: Value, key: Value): Value => {
  if (typeof key === "string") return fields(value)?.get(key)
  const items = list(value)
  const index = numberOf(key)
  if (items === undefined || index === undefined) return undefined
  return index < 0 ? undefined : items[Math.trunc(index)]
}

const pathKeys = (path: string): ReadonlyArray<string | number> => {
  const keys: Array<string | number> = []
  const part =
    /\s*(?:[.:]?([A-Za-z_$][\w$]*)|[.:]?"((?:[^"]|"")*)"|\[\s*(\d+)\s*\]|\[\s*['"]([^'"]*)['"]\s*\])/y
  while (part.lastIndex < path.length) {
    const match = part.exec(path)
    if (match === null) return refuse(`Invalid extraction path '${path}'`)
    const [, name, quoted, index, key] = match
    keys.push(index !== undefined ? Number(index) : (name ?? quoted?.replaceAll('""', '"') ?? key ?? ""))
  }
  return keys
}

const walk = (value: Value, keys: ReadonlyArray<Value>): Value => {
  let result = value
  for (const key of keys) {
    result = at(result, key)
    if (result === undefined) return undefined
  }
  return result
}

const variantOf = (value: Value): Value => value

const fromNative = (value: unknown): Value => {
  if (value === null || typeof value === "boolean" || typeof value === "number" || typeof value === "string")
    return value
  if (Array.isArray(value)) return value.map(fromNative)
  return typeof value === "object"
    ? new Map(Object.entries(value).map(([key, item]) => [key, fromNative(item)]))
    : undefined
}

const asRecord = (value: unknown): Readonly<Record<string, unknown>> | undefined =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : undefined

/** Numbers that JavaScript would change, keys that it would sort, elements that are left out. */
const needsCare = /\d{16}|\d\.\d{15}|\d[eE][+-]?\d|"\d+":|undefined|__proto__/

const knownKeys = new Map<string, Value>()
const keyOf = (marked: Value): Value => {
  if (typeof marked !== "string") return undefined
  if (knownKeys.size > 1000) knownKeys.clear()
  if (!knownKeys.has(marked)) knownKeys.set(marked, decode(marked))
  return knownKeys.get(marked)
}

const startOfJson = `{"${members.json}":`

/**
 * What stands at the keys in a value as `sg_in` writes it. JavaScript's own parser reads what it does not
 * change, which is nearly everything, and is many times as fast.
 */
const pick = (marked: string, keys: ReadonlyArray<Value>): Value => {
  const at_ = marked.indexOf(":") + 1
  if (!marked.startsWith(startOfJson, at_)) return walk(decode(marked), keys)
  const wrapped: unknown = JSON.parse(marked.slice(at_))
  const text_ = asRecord(asRecord(wrapped)?.[members.json])?.["a"]
  if (typeof text_ !== "string" || needsCare.test(text_)) return walk(decode(marked), keys)
  let value: unknown = JSON.parse(text_)
  for (const key of keys) {
    if (Array.isArray(value)) {
      const index = typeof key === "number" ? Math.trunc(key) : -1
      value = index < 0 ? undefined : value[index]
    } else {
      const record = typeof key === "string" && typeof value === "object" && value !== null ? value : {}
      value = typeof key === "string" && Object.hasOwn(record, key) ? Reflect.get(record, key) : undefined
    }
    if (value === undefined) return undefined
  }
  return fromNative(value)
}

const multiset = (items: List): Map<string, number> => {
  const counts = new Map<string, number>()
  for (const item of items) counts.set(identity(item), (counts.get(identity(item)) ?? 0) + 1)
  return counts
}

const sliceOf = (items: List, from: number, to: number): List => items.slice(from, to)

const rank = (value: Value): number => {
  if (value === undefined || value === null) return 9
  if (typeof value === "boolean") return 0
  if (typeof value === "string") return 2
  return typeof value === "number" || value instanceof Double || value instanceof Exact ? 1 : 3
}

/** By their digits where a double does not tell them apart. */
const compareNumbers = (a: Value, b: Value): number => {
  const [x, y] = [numberOf(a) ?? 0, numberOf(b) ?? 0]
  if (x !== y || !Number.isFinite(x) || !(a instanceof Exact || b instanceof Exact)) return x - y
  const [[m, i], [n, j]] = [unscaled(identity(a)), unscaled(identity(b))]
  const difference = m * 10n ** BigInt(j) - n * 10n ** BigInt(i)
  return difference < 0n ? -1 : difference > 0n ? 1 : 0
}

const compareValues = (a: Value, b: Value): number => {
  if (rank(a) !== rank(b)) return rank(a) - rank(b)
  if (rank(a) === 1) return compareNumbers(a, b)
  const [x, y] = [typeof a === "string" ? a : identity(a), typeof b === "string" ? b : identity(b)]
  return x < y ? -1 : x > y ? 1 : 0
}

const extreme = (name: string, sign: number) =>
  toVariant("v", 1, ([value]) => {
    const items = asList(value, name).filter((item) => item !== undefined && item !== null)
    return items.reduce<Value>(
      (best, item) => (best === undefined || sign * compareValues(item, best) > 0 ? item : best),
      undefined
    )
  })

const flattenKey = (key: string): string => (/^[A-Za-z_]\w*$/.test(key) ? key : `['${key}']`)

/** The rows of FLATTEN, each as an object of its columns. */
const flatten = scalar("rows", false)("vvvvv", 1, ([input, path, outer, recursive, mode]) => {
  const wanted = (given(mode) ?? "BOTH").toUpperCase()
  const prefix = given(path) ?? ""
  const base = prefix === "" ? input : walk(input, pathKeys(prefix))
  const rows: Array<Value> = []
  const row = (key: Value, where: Value, index: Value, value: Value, self: Value) => {
    rows.push(
      new Map<string, Value>([
        ["KEY", key],
        ["PATH", where],
        ["INDEX", index],
        ["VALUE", value],
        ["THIS", self]
      ])
    )
  }
  const visit = (value: Value, under: string, depth: number): void => {
    if (depth > 100) refuse("FLATTEN: more than 100 levels")
    if (isList(value) && wanted !== "OBJECT") {
      value.forEach((item, index) => {
        if (item === undefined) return
        const where = `${under}[${index}]`
        row(undefined, where, index, item, value)
        if (recursive === true) visit(item, where, depth + 1)
      })
    } else if (isFields(value) && wanted !== "ARRAY") {
      for (const key of [...value.keys()].sort()) {
        const item = value.get(key)
        if (item === undefined) continue
        const shown = flattenKey(key)
        const where = under === "" || shown.startsWith("[") ? `${under}${shown}` : `${under}.${shown}`
        row(key, where, undefined, item, value)
        if (recursive === true) visit(item, where, depth + 1)
      }
    } else if (recursive === true && depth > 0 && (isList(value) || isFields(value))) {
      // The other kind is passed through, not shown.
      const inner = isList(value)
        ? value.map((item, index) => [`[${index}]`, item] as const)
        : [...value].map(([key, item]) => [`.${flattenKey(key)}`, item] as const)
      for (const [key, item] of inner) visit(item, under + key, depth + 1)
    }
  }
  visit(base, prefix, 0)
  if (rows.length === 0 && outer === true) row(undefined, prefix, undefined, undefined, base)
  return rows
})

/** Alternating keys and values, without the NULLs unless they are kept. */
const construct = (keep: boolean) =>
  nullable("v*", 0, (args) => {
    const made = new Map<string, Value>()
    if (args.length % 2 === 1) return refuse("OBJECT_CONSTRUCT needs a value for every key")
    for (let index = 0; index < args.length; index += 2) {
      const key = given(args[index])
      const value = args[index + 1]
      if (key === undefined || (value === undefined && !keep)) continue
      if (made.has(key)) return refuse(`Duplicate field key '${key}'`)
      made.set(key, element(value))
    }
    return made
  })

const ofRow = nullable("vtt", 3, ([row, keep, without]) => {
  const dropped = new Set(text(without).split("\n"))
  const made = new Map<string, Value>()
  for (const [key, value] of asFields(row, "OBJECT_CONSTRUCT")) {
    const name = exactFromDuckDb(key)
    if (dropped.has(name) || ((value === null || value === undefined) && text(keep) !== "true")) continue
    made.set(name, element(value))
  }
  return made
})

const is = (...types: ReadonlyArray<string>) =>
  toBoolean("v", 1, ([value]) => types.includes(typeOf(value) ?? ""))

const as = (...types: ReadonlyArray<string>) =>
  toVariant("v", 1, ([value]) => (types.includes(typeOf(value) ?? "") ? value : undefined))

const asText = (...types: ReadonlyArray<string>) =>
  toText("v", 1, ([value]) =>
    types.includes(typeOf(value) ?? "") ? (value instanceof Typed ? value.text : textOf(value)) : undefined
  )

const regexArgs = (args: ReadonlyArray<Value>, parameters: number) =>
  Patterns.compile(text(args[1]), given(args[parameters]) ?? "c")

/** The group that is asked for: one that is named, the first one with `e`, or the whole. */
const groupOf = (pattern: Patterns.Pattern, wanted: Value): number =>
  wanted === undefined ? (pattern.extracts ? 1 : 0) : integer(wanted, 0)

const regexpSubstr = toText("ttnntn", 2, (args) => {
  const pattern = regexArgs(args, 4)
  const found = Patterns.matches(text(args[0]), pattern, integer(args[2], 1))[integer(args[3], 1) - 1]
  const group = groupOf(pattern, args[5])
  if (found !== undefined && group >= found.length && group > 1) return undefined
  return found?.[group >= (found?.length ?? 0) ? 0 : group]
})

const regexpSubstrAll = toVariant("ttnntn", 2, (args) => {
  const pattern = regexArgs(args, 4)
  const group = groupOf(pattern, args[5])
  return Patterns.matches(text(args[0]), pattern, integer(args[2], 1))
    .slice(integer(args[3], 1) - 1)
    .map((match) => match[group >= match.length ? 0 : group])
})

const regexpInstr = toInteger("ttnnntn", 2, (args) => {
  const pattern = regexArgs(args, 5)
  const found = Patterns.matches(text(args[0]), pattern, integer(args[2], 1))[integer(args[3], 1) - 1]
  if (found === undefined) return 0
  const group = groupOf(pattern, args[6])
  const part = found[group] ?? found[0]
  const start = group === 0 ? found.index : found.index + Math.max(0, found[0].indexOf(part))
  return start + 1 + (integer(args[4], 0) === 1 ? part.length : 0)
})

const regexpReplace = toText("tttnnt", 2, (args) => {
  const subject = text(args[0])
  const pattern = regexArgs(args, 5)
  const replacement = given(args[2]) ?? ""
  const occurrence = integer(args[4], 0)
  let result = ""
  let from = 0
  Patterns.matches(subject, pattern, integer(args[3], 1)).forEach((match, index) => {
    if (occurrence !== 0 && index !== occurrence - 1) return
    result += subject.slice(from, match.index) + Patterns.expand(replacement, match)
    from = match.index + match[0].length
  })
  return result + subject.slice(from)
})

const regexpLike = toBoolean("ttt", 2, ([subject, pattern, parameters]) =>
  Patterns.compile(text(pattern), given(parameters) ?? "c").whole.test(text(subject))
)

const regexpCount = toInteger(
  "ttnt",
  2,
  (args) => Patterns.matches(text(args[0]), regexArgs(args, 3), integer(args[2], 1)).length
)

const position = toInteger("vvn", 2, ([needle, haystack, start]) => {
  const from = Math.max(1, integer(start, 1))
  if (isBinary(needle) || isBinary(haystack)) {
    const [n, h] = [hexOf(needle), hexOf(haystack)]
    for (let index = (from - 1) * 2; index + n.length <= h.length; index += 2) {
      if (h.startsWith(n, index)) return index / 2 + 1
    }
    return 0
  }
  return text(haystack).indexOf(text(needle), from - 1) + 1
})

const changes = scalar("integer", false)("v", 1, ([value]) => {
  const items = list(value) ?? []
  let count = 0
  for (let index = 1; index < items.length; index++)
    if (identity(items[index]) !== identity(items[index - 1])) count++
  return count
})

const likeAny = (all: boolean, ignoresCase: boolean) =>
  scalar("boolean", false)("vvv", 2, ([subject, patterns, escape]) => {
    const value = given(subject)
    if (value === undefined) return undefined
    const mark = given(escape)
    const results = (list(patterns) ?? []).map((each) => {
      const pattern = given(each)
      if (pattern === undefined) return undefined
      let source = ""
      for (let index = 0; index < pattern.length; index++) {
        const char = pattern[index]!
        if (char === mark) source += (pattern[++index] ?? "").replace(/[^\w\s]/g, "\\$&")
        else source += char === "%" ? "[^]*" : char === "_" ? "[^]" : char.replace(/[^\w\s]/g, "\\$&")
      }
      return new RegExp(`^${source}$`, ignoresCase ? "i" : "").test(value)
    })
    const decisive = !all
    if (results.includes(decisive)) return decisive
    return results.includes(undefined) ? undefined : !decisive
  })

const xml = (name: string) =>
  toText("v*", 0, () => refuse(`${name} is not supported by the embedded warehouse`))

/**
 * By the name after `sgj_`; where it is also Snowflake's name, `library.ts` takes it as it is.
 *
 * @since 0.1.0
 * @category data
 */
export const scalars: Readonly<Record<string, Scalar>> = {
  // Texts
  initcap: toText("tt", 1, ([value, delimiters]) => initcap(text(value), given(delimiters))),
  strtok: toText("ttn", 1, ([value, delimiters, part]) => {
    const index = integer(part, 1)
    if (index < 1) return undefined
    return tokens(text(value), given(delimiters) ?? " ")[index - 1]
  }),
  strtok_to_array: toVariant("tt", 1, ([value, delimiters]) => tokens(text(value), given(delimiters) ?? " ")),
  split: toVariant("tt", 2, ([value, separator]) => splitText(text(value), text(separator))),
  split_part: toText("ttn", 3, ([value, separator, part]) => {
    const parts = splitText(text(value), text(separator))
    const index = integer(part, 1)
    return (index < 0 ? parts[parts.length + index] : parts[Math.max(index, 1) - 1]) ?? ""
  }),
  editdistance: toInteger("ttn", 2, ([a, b, most]) => {
    const distance = levenshtein(text(a), text(b))
    return most === undefined ? distance : Math.min(distance, Math.max(0, integer(most, 0)))
  }),
  jarowinkler_similarity: toInteger("tt", 2, ([a, b]) => jaroWinkler(text(a), text(b))),
  soundex: toText("t", 1, ([value]) => soundex(text(value))),
  insert: toText("tnnt", 4, ([value, from, length, inserted]) => {
    const chars = characters(text(value))
    const start = integer(from, 1)
    if (start < 1 || start > chars.length + 1 || integer(length, 0) < 0)
      return refuse("INSERT: the position or the length is out of range")
    return (
      chars.slice(0, start - 1).join("") +
      text(inserted) +
      chars.slice(start - 1 + integer(length, 0)).join("")
    )
  }),
  rtrimmed_length: toInteger("t", 1, ([value]) => characters(text(value).replace(/ +$/, "")).length),
  length: toInteger("v", 1, ([value]) =>
    isBinary(value) ? hexOf(value).length / 2 : value === null ? undefined : characters(text(value)).length
  ),
  octet_length: toInteger("v", 1, ([value]) => hexOf(value).length / 2),
  bit_length: toInteger("v", 1, ([value]) => hexOf(value).length * 4),
  position,
  unicode: toInteger("t", 1, ([value]) => text(value).codePointAt(0) ?? 0),
  chr: toText("n", 1, ([code]) => {
    const point = integer(code, 0)
    if (point < 0 || point > 0x10ffff) return refuse(`CHR: ${point} is not a code point`)
    return String.fromCodePoint(point)
  }),
  parse_url: toVariant("tn", 1, ([url, permissive]) => parseUrl(text(url), integer(permissive, 0) === 1)),
  parse_ip: toVariant("ttn", 2, ([address, kind, permissive]) =>
    parseIp(text(address), text(kind), integer(permissive, 0) === 1)
  ),
  search: scalar("boolean", false)("vtv", 2, ([inside, wanted, mode]) =>
    wanted === undefined || inside === undefined
      ? undefined
      : search(inside, text(wanted), (given(mode) ?? "OR").toUpperCase())
  ),
  regexp_like: regexpLike,
  regexp_substr: regexpSubstr,
  regexp_substr_all: regexpSubstrAll,
  regexp_instr: regexpInstr,
  regexp_replace: regexpReplace,
  regexp_count: regexpCount,
  like_any: likeAny(false, false),
  like_all: likeAny(true, false),
  ilike_any: likeAny(false, true),
  ilike_all: likeAny(true, true),

  // Bytes; what is written in hexadecimal is made a BLOB by `unhex`.
  md5: digest("md5"),
  sha1: digest("sha1"),
  sha2,
  base64_encode: toText("v", 1, ([value]) => Buffer.from(hexOf(value), "hex").toString("base64")),
  base64_decode_string: toText("t", 1, ([value]) => utf8(base64(text(value)))),
  base64_decode_binary: toText("t", 1, ([value]) => base64(text(value))),
  hex_encode: toText("vn", 1, ([value, upper]) =>
    integer(upper, 1) === 0 ? hexOf(value).toLowerCase() : hexOf(value)
  ),
  hex_decode_string: toText("t", 1, ([value]) => utf8(hexDigits(text(value)))),
  hex_decode_binary: toText("t", 1, ([value]) => hexDigits(text(value))),
  to_binary: toText("vt", 1, ([value, format]) =>
    isBinary(value) ? hexOf(value) : bytesBy(text(value), given(format) ?? "HEX")
  ),

  // Conversions
  to_char: toChar,
  text: scalar("text")("v", 1, ([value]) => textOf(value)),
  text_only: scalar("text")("v", 1, ([value]) =>
    isBinary(value)
      ? refuse("this function is not supported for BINARY values by the embedded warehouse")
      : textOf(value)
  ),
  number: scalar("number")("v", 1, ([value]) => numberOf(comparable(value))),
  to_date: convert("DATE", false),
  try_to_date: convert("DATE", true),
  to_time: convert("TIME", false),
  try_to_time: convert("TIME", true),
  to_timestamp_ntz: convert("TIMESTAMP_NTZ", false),
  try_to_timestamp_ntz: convert("TIMESTAMP_NTZ", true),
  to_timestamp_ltz: convert("TIMESTAMP_LTZ", false),
  try_to_timestamp_ltz: convert("TIMESTAMP_LTZ", true),
  to_timestamp_tz: convert("TIMESTAMP_TZ", false),
  try_to_timestamp_tz: convert("TIMESTAMP_TZ", true),
  to_number: toNumber(false),
  try_to_number: toNumber(true),
  decimal: decimal(false),
  try_decimal: decimal(true),
  to_boolean: booleanFrom(false),
  try_to_boolean: booleanFrom(true),
  round_half_even: roundHalfEven,
  divide,
  time_slice: timeSlice,
  refuse: scalar("text", false)("t", 1, ([message]) => refuse(text(message))),
  too_long: toText("tn", 2, ([value, most]) =>
    characters(text(value)).length > integer(most, 0)
      ? refuse(`String '${text(value)}' is too long and would be truncated`)
      : text(value)
  ),

  // Semi-structured values
  path: toVariant("rr*", 2, ([value, ...keys]) => pick(String(value), keys.map(keyOf))),
  path_text: toText("rr*", 2, ([value, ...keys]) => textOf(pick(String(value), keys.map(keyOf)))),
  variant: toVariant("v", 1, ([value]) => variantOf(value)),
  compared: toVariant("v", 1, ([value]) => comparable(value)),
  parse_json: toVariant("v", 1, ([value]) =>
    typeof value === "string" ? (value.trim() === "" ? undefined : parseJson(value)) : value
  ),
  try_parse_json: toVariant("v", 1, ([value]) => {
    if (typeof value !== "string") return value
    try {
      return value.trim() === "" ? undefined : parseJson(value)
    } catch {
      return undefined
    }
  }),
  check_json: toText("v", 1, ([value]) => {
    try {
      if (typeof value === "string") parseJson(value)
      return undefined
    } catch (cause) {
      return cause instanceof Error ? cause.message : "invalid JSON"
    }
  }),
  to_json: toText("v", 1, ([value]) => printJson(value)),
  to_array: toVariant("v", 1, ([value]) => (value === null ? undefined : isList(value) ? value : [value])),
  to_object: toVariant("v", 1, ([value]) => (value === null ? undefined : asFields(value, "TO_OBJECT"))),
  typeof: toText("v", 1, ([value]) => typeOf(value)),
  get: toVariant("vv", 2, ([value, key]) => at(value, key)),
  get_ignore_case: toVariant("vt", 2, ([value, key]) => {
    const all = fields(value)
    if (all === undefined) return undefined
    const name = text(key)
    return all.get(name) ?? [...all].find(([each]) => each.toLowerCase() === name.toLowerCase())?.[1]
  }),
  get_path: toVariant("vt", 2, ([value, path]) => walk(value, pathKeys(text(path)))),
  json_extract_path_text: toText("vt", 2, ([value, path]) =>
    textOf(walk(typeof value === "string" ? parseJson(value) : value, pathKeys(text(path))))
  ),
  is_null_value: toBoolean("v", 1, ([value]) => value === null),
  strip_null_value: toVariant("v", 1, ([value]) => (value === null ? undefined : value)),
  array_construct: nullable("v*", 0, (args) => args.map(element)),
  array_construct_compact: nullable("v*", 0, (args) =>
    args.filter((item) => item !== undefined && item !== null)
  ),
  array_size: toInteger("v", 1, ([value]) => list(value)?.length),
  array_append: nullable("vv", 2, ([value, item]) =>
    value === undefined ? undefined : [...asList(value, "ARRAY_APPEND"), element(item)]
  ),
  array_prepend: nullable("vv", 2, ([value, item]) =>
    value === undefined ? undefined : [element(item), ...asList(value, "ARRAY_PREPEND")]
  ),
  array_cat: toVariant("vv", 2, ([a, b]) => [...asList(a, "ARRAY_CAT"), ...asList(b, "ARRAY_CAT")]),
  array_compact: toVariant("v", 1, ([value]) =>
    asList(value, "ARRAY_COMPACT").filter((item) => item !== undefined && item !== null)
  ),
  array_contains: scalar("boolean", false)("vv", 2, ([item, value]) => {
    if (value === undefined) return undefined
    const items = asList(value, "ARRAY_CONTAINS").map(identity)
    // A NULL is contained when there is one, and unknown otherwise.
    if (item === undefined) return items.includes("null") ? true : undefined
    return items.includes(identity(item))
  }),
  array_position: scalar("integer", false)("vv", 2, ([item, value]) => {
    if (value === undefined) return undefined
    const index = asList(value, "ARRAY_POSITION")
      .map(identity)
      .indexOf(identity(element(item)))
    return index < 0 ? undefined : index
  }),
  array_distinct: toVariant("v", 1, ([value]) => {
    const seen = new Set<string>()
    return asList(value, "ARRAY_DISTINCT").filter((item) => {
      const key = identity(item)
      return seen.has(key) ? false : (seen.add(key), true)
    })
  }),
  array_except: toVariant("vv", 2, ([a, b]) => {
    const left = multiset(asList(b, "ARRAY_EXCEPT"))
    return asList(a, "ARRAY_EXCEPT").filter((item) => {
      const count = left.get(identity(item)) ?? 0
      left.set(identity(item), count - 1)
      return count <= 0
    })
  }),
  array_intersection: toVariant("vv", 2, ([a, b]) => {
    const left = multiset(asList(b, "ARRAY_INTERSECTION"))
    return asList(a, "ARRAY_INTERSECTION").filter((item) => {
      const count = left.get(identity(item)) ?? 0
      left.set(identity(item), count - 1)
      return count > 0
    })
  }),
  arrays_overlap: toBoolean("vv", 2, ([a, b]) => {
    const other = new Set(asList(b, "ARRAYS_OVERLAP").map(identity))
    return asList(a, "ARRAYS_OVERLAP").some((item) => other.has(identity(item)))
  }),
  array_flatten: toVariant("v", 1, ([value]) => {
    const items = asList(value, "ARRAY_FLATTEN")
    if (items.some((item) => item === null || item === undefined)) return undefined
    return items.flatMap((item) => asList(item, "ARRAY_FLATTEN"))
  }),
  array_generate_range: toVariant("nnn", 2, ([from, to, step]) => {
    const by = integer(step, 1)
    if (by === 0) return refuse("ARRAY_GENERATE_RANGE: the step is 0")
    const items: Array<Value> = []
    for (let item = integer(from, 0); by > 0 ? item < integer(to, 0) : item > integer(to, 0); item += by) {
      if (items.length >= 1_000_000) return refuse("ARRAY_GENERATE_RANGE: more than 1000000 elements")
      items.push(item)
    }
    return items
  }),
  array_insert: nullable("vnv", 3, ([value, position, item]) => {
    if (value === undefined || position === undefined) return undefined
    const items = [...asList(value, "ARRAY_INSERT")]
    const index = integer(position, 0)
    if (index > 1_000_000) return refuse("ARRAY_INSERT: the position is out of range")
    while (items.length < index) items.push(undefined)
    items.splice(index < 0 ? Math.max(0, items.length + index) : index, 0, element(item))
    return items
  }),
  array_remove: toVariant("vv", 2, ([value, item]) =>
    asList(value, "ARRAY_REMOVE").filter((each) => identity(each) !== identity(item))
  ),
  array_remove_at: toVariant("vn", 2, ([value, position]) => {
    const items = [...asList(value, "ARRAY_REMOVE_AT")]
    const index = integer(position, 0)
    const place = index < 0 ? items.length + index : index
    if (place >= 0 && place < items.length) items.splice(place, 1)
    return items
  }),
  array_max: extreme("ARRAY_MAX", 1),
  array_min: extreme("ARRAY_MIN", -1),
  array_slice: toVariant("vnn", 3, ([value, from, to]) =>
    sliceOf(asList(value, "ARRAY_SLICE"), integer(from, 0), integer(to, 0))
  ),
  array_sort: toVariant("vvv", 1, ([value, ascending, nullsFirst]) => {
    const up = ascending !== false
    const first = nullsFirst === undefined ? !up : nullsFirst === true
    const items = asList(value, "ARRAY_SORT")
    const nulls = items.filter((item) => item === undefined || item === null)
    const rest = items.filter((item) => item !== undefined && item !== null)
    const sorted = [...rest].sort((a, b) => (up ? compareValues(a, b) : compareValues(b, a)))
    return first ? [...nulls, ...sorted] : [...sorted, ...nulls]
  }),
  array_reverse: toVariant("v", 1, ([value]) => [...asList(value, "ARRAY_REVERSE")].reverse()),
  array_to_string: toText("vt", 2, ([value, separator]) =>
    asList(value, "ARRAY_TO_STRING").map(text).join(text(separator))
  ),
  arrays_to_object: toVariant("vv", 2, ([keys, values]) => {
    const [names, items] = [asList(keys, "ARRAYS_TO_OBJECT"), asList(values, "ARRAYS_TO_OBJECT")]
    if (names.length !== items.length) return refuse("ARRAYS_TO_OBJECT: the arrays have different lengths")
    return new Map(
      names.flatMap((name, index) =>
        name === null || name === undefined ? [] : [[text(name), element(items[index])] as const]
      )
    )
  }),
  arrays_zip: toVariant("v*", 1, (arrays) => {
    const lists = arrays.map((value) => asList(value, "ARRAYS_ZIP"))
    const length = Math.max(...lists.map((items) => items.length))
    return Array.from(
      { length },
      (_, index) => new Map(lists.map((items, column) => [`$${column + 1}`, element(items[index])] as const))
    )
  }),
  object_construct: construct(false),
  object_construct_keep_null: construct(true),
  object_of_row: ofRow,
  object_keys: toVariant("v", 1, ([value]) => (isFields(value) ? [...value.keys()].sort() : undefined)),
  object_insert: nullable("vtvv", 3, ([value, key, item, update]) => {
    if (value === undefined || key === undefined) return undefined
    const made = new Map(asFields(value, "OBJECT_INSERT"))
    const name = text(key)
    if (made.has(name) && update !== true)
      return refuse(`OBJECT_INSERT: the key '${name}' exists; add TRUE to update it`)
    if (item === undefined) made.delete(name)
    else made.set(name, item)
    return made
  }),
  object_delete: toVariant("vt*", 2, ([value, ...keys]) => {
    const made = new Map(asFields(value, "OBJECT_DELETE"))
    for (const key of keys) made.delete(text(key))
    return made
  }),
  object_pick: toVariant("vv*", 2, ([value, ...keys]) => {
    const wanted = new Set(keys.flatMap((key) => (isList(key) ? key : [key])).map(text))
    return new Map([...asFields(value, "OBJECT_PICK")].filter(([key]) => wanted.has(key)))
  }),
  /** Of a list of pairs, in the order of their rows. */
  object_agg: nullable("v", 1, ([pairs]) => {
    const made = new Map<string, Value>()
    for (const pair of list(pairs) ?? []) {
      const key = fields(pair)?.get("k")
      const marked = fields(pair)?.get("v")
      const item = typeof marked === "string" ? decode(marked) : undefined
      if (key === null || key === undefined || item === undefined) continue
      if (made.has(text(key))) return refuse(`Duplicate field key '${text(key)}'`)
      made.set(text(key), item)
    }
    return made
  }),
  list: nullable("v", 1, ([value]) => list(value) ?? []),
  list_unique: nullable("v", 1, ([value]) => {
    const seen = new Set<string>()
    return (list(value) ?? []).filter((item) => !seen.has(identity(item)) && (seen.add(identity(item)), true))
  }),
  union_lists: nullable("v", 1, ([value]) => {
    const counts = new Map<string, { readonly item: Value; count: number }>()
    for (const each of list(value) ?? []) {
      const own = multiset(list(each) ?? [])
      for (const item of list(each) ?? []) {
        const known = counts.get(identity(item)) ?? { item, count: 0 }
        known.count = Math.max(known.count, own.get(identity(item)) ?? 0)
        counts.set(identity(item), known)
      }
    }
    return [...counts.values()].flatMap(({ count, item }) => Array.from({ length: count }, () => item))
  }),
  flatten,
  changes,
  xmlget: xml("XMLGET"),

  // Kinds of values
  is_array: is("ARRAY"),
  is_object: is("OBJECT"),
  is_boolean: is("BOOLEAN"),
  is_varchar: is("VARCHAR"),
  is_binary: is("BINARY"),
  is_integer: is("INTEGER"),
  is_decimal: is("INTEGER", "DECIMAL"),
  is_double: is("INTEGER", "DECIMAL", "DOUBLE"),
  is_date: is("DATE"),
  is_time: is("TIME"),
  is_timestamp_ntz: is("TIMESTAMP_NTZ"),
  is_timestamp_ltz: is("TIMESTAMP_LTZ"),
  is_timestamp_tz: is("TIMESTAMP_TZ"),
  as_array: as("ARRAY"),
  as_object: as("OBJECT"),
  as_boolean: toBoolean("v", 1, ([value]) => (typeof value === "boolean" ? value : undefined)),
  as_varchar: asText("VARCHAR"),
  as_integer: toInteger("v", 1, ([value]) => {
    const type = typeOf(value) ?? ""
    if (!["INTEGER", "DECIMAL", "DOUBLE"].includes(type)) return undefined
    const number = numberOf(value)
    return number === undefined ? undefined : Number(Formats.rounded(String(number), 0))
  }),
  as_number: toText("v", 1, ([value]) =>
    ["INTEGER", "DECIMAL"].includes(typeOf(value) ?? "") ? textOf(value) : undefined
  ),
  as_double: scalar("number")("v", 1, ([value]) =>
    ["INTEGER", "DECIMAL", "DOUBLE"].includes(typeOf(value) ?? "") ? numberOf(value) : undefined
  ),
  as_date: asText("DATE"),
  as_time: asText("TIME"),
  as_timestamp_ntz: asText("TIMESTAMP_NTZ"),
  as_timestamp_ltz: asText("TIMESTAMP_LTZ")
}
