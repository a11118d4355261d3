/**
 * Snowflake's semi-structured values: as JavaScript values, as JSON text, and as the union that stands for
 * VARIANT, ARRAY and OBJECT in DuckDB.
 *
 * The union is chosen for what DuckDB does with it by itself: numbers, texts and booleans become a member
 * implicitly, so `v = 'x'` and `v > 4` compare value with value; values of different kinds are never equal;
 * they sort by kind and then by value; a JSON null is not a SQL NULL; and a function that is not made for
 * it is a binder error instead of a value. Arrays and objects are canonical JSON (no blanks, keys sorted),
 * so equal values are equal texts.
 *
 * @since 0.1.0
 */

/** A number that a double does not hold, by its digits. */
export class Exact {
  constructor(readonly digits: string) {}
}

/** A floating-point number, which Snowflake tells from a decimal one. */
export class Double {
  constructor(readonly value: number) {}
}

/** What JSON has no literal for: dates, times, timestamps, binaries. */
export class Typed {
  constructor(
    readonly kind: "DATE" | "TIME" | "TIMESTAMP_NTZ" | "TIMESTAMP_LTZ" | "TIMESTAMP_TZ" | "BINARY",
    readonly text: string
  ) {}
}

/** `undefined` is a SQL NULL, or an element of an array that is not there; null is a JSON null. */
export type Value = undefined | null | boolean | number | string | Exact | Double | Typed | List | Fields
export type List = ReadonlyArray<Value>
export type Fields = ReadonlyMap<string, Value>

/** An argument that a function cannot take; the message is for the author of the statement. */
export class Refusal extends Error {}

export const refuse = (message: string): never => {
  throw new Refusal(message)
}

/** The members of the union, in the order in which their values sort. */
export const members = {
  boolean: "sg_b",
  number: "sg_n",
  text: "sg_s",
  other: "sg_o",
  json: "sg_j",
  none: "sg_z"
} as const

/** The type in DuckDB that stands for VARIANT. */
export const variantType =
  `UNION(${members.boolean} BOOLEAN, ${members.number} DOUBLE, ${members.text} VARCHAR, ` +
  `${members.other} STRUCT(k VARCHAR, v VARCHAR), ${members.json} STRUCT(a VARCHAR), ${members.none} UTINYINT)`

export const isList = (value: Value): value is List => Array.isArray(value)
export const isFields = (value: Value): value is Fields => value instanceof Map

/** The one spelling of the digits of a number: equal numbers are equal texts. */
const canonical = (digits: string): string => {
  const [, sign = "", whole = "", part = ""] = /^([+-]?)0*(\d*)\.?(\d*?)0*$/.exec(digits) ?? []
  return `${sign === "-" ? "-" : ""}${whole === "" ? "0" : whole}${part === "" ? "" : `.${part}`}`
}

/** A number that a double holds, or its digits. */
const plain = (digits: string): number | Exact => {
  const number = Number(digits)
  if (Number.isSafeInteger(number)) {
    // `9007199254740991.4` is a safe integer as a double only.
    if (!/\.\d*[1-9]/.test(digits)) return number
  }
  const exact = canonical(digits)
  return exact.includes(".") && decimalText(number) === exact ? number : new Exact(exact)
}

const maxDepth = 500

/** Reads JSON as Snowflake does: keys without quotes, elements that are left out. */
export const parseJson = (source: string, strict = true): Value => {
  let at = 0
  const fail = (what: string): never => refuse(`Error parsing JSON: ${what}, pos ${at + 1}`)
  const blank = () => {
    for (;;) {
      const code = source.charCodeAt(at)
      if (code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09) at++
      else return
    }
  }
  const text = (): string => {
    const quote = source[at]
    const start = at + 1
    let end = start
    while (end < source.length && source[end] !== quote) end += source[end] === "\\" ? 2 : 1
    if (end >= source.length) fail("unterminated string")
    at = end + 1
    const body = source.slice(start, end)
    if (quote === '"' && !/[\n\r\t]/.test(body)) {
      try {
        const read: unknown = JSON.parse(`"${body}"`)
        return String(read)
      } catch {
        fail("bad escape in a string")
      }
    }
    return body.replace(/\\(u[0-9a-fA-F]{4}|[^])/g, (_, escaped: string) =>
      escaped.startsWith("u") && escaped.length === 5
        ? String.fromCharCode(parseInt(escaped.slice(1), 16))
        : ({ n: "\n", t: "\t", r: "\r", b: "\b", f: "\f" }[escaped] ?? escaped)
    )
  }
  const value = (depth: number): Value => {
    if (depth > maxDepth) refuse(`Error parsing JSON: more than ${maxDepth} levels`)
    blank()
    const char = source[at]
    if (char === "{") {
      const fields = new Map<string, Value>()
      at++
      blank()
      if (source[at] === "}") {
        at++
        return fields
      }
      for (;;) {
        blank()
        if (source[at] === "}") break
        let key: string
        if (source[at] === '"' || source[at] === "'") key = text()
        else {
          const word = /[A-Za-z_$][\w$]*/y
          word.lastIndex = at
          const found = word.exec(source)?.[0]
          if (found === undefined) return fail("missing key")
          at += found.length
          key = found
        }
        blank()
        if (source[at] !== ":") fail("missing colon")
        at++
        if (fields.has(key) && strict) fail(`duplicate object attribute "${key}"`)
        fields.set(key, value(depth + 1))
        blank()
        if (source[at] === ",") at++
        else break
      }
      if (source[at] !== "}") fail("missing }")
      at++
      return fields
    }
    if (char === "[") {
      const list: Array<Value> = []
      at++
      blank()
      if (source[at] === "]") {
        at++
        return list
      }
      for (;;) {
        blank()
        list.push(source[at] === "," || source[at] === "]" ? undefined : value(depth + 1))
        blank()
        if (source[at] === ",") at++
        else break
      }
      if (source[at] !== "]") fail("missing ]")
      at++
      return list
    }
    if (char === '"' || char === "'") return text()
    const word = /-?(?:\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|[A-Za-z]+)/y
    word.lastIndex = at
    const found = word.exec(source)?.[0]
    if (found === undefined) return fail("unexpected character")
    at += found.length
    switch (found.toLowerCase()) {
      case "true":
        return true
      case "false":
        return false
      case "null":
        return null
      case "undefined":
        return undefined
      case "nan":
        return new Double(Number.NaN)
      case "inf":
      case "infinity":
        return new Double(Number.POSITIVE_INFINITY)
      case "-inf":
      case "-infinity":
        return new Double(Number.NEGATIVE_INFINITY)
    }
    if (!/^[-.\d]/.test(found) || /^-?[A-Za-z]/.test(found)) {
      at -= found.length
      return fail(`unknown keyword "${found}"`)
    }
    return /[eE]/.test(found) ? new Double(Number(found)) : plain(found)
  }
  const result = value(0)
  blank()
  return at < source.length ? fail("more than one value") : result
}

/** Snowflake's text of a floating-point number inside JSON: `1.912000000000000e+02`. */
const scientific = (value: number): string => {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? '"NaN"' : value > 0 ? '"inf"' : '"-inf"'
  const [mantissa = "0", exponent = "0"] = value.toExponential(15).split("e")
  return `${mantissa}e${exponent.startsWith("-") ? "-" : "+"}${exponent.replace(/^[+-]/, "").padStart(2, "0")}`
}

/** The text of a number that is not one of JSON's doubles: no exponent, no zeros at its end. */
export const decimalText = (value: number): string => {
  const text = String(value)
  if (!text.includes("e")) return text
  return Number.isInteger(value) ? BigInt(value).toString() : value.toFixed(20).replace(/0+$/, "")
}

/** Snowflake's text of a FLOAT. */
export const floatText = (value: number): string => {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "inf" : "-inf"
  const size = Math.abs(value)
  if (size !== 0 && (size >= 1e15 || size < 1e-5)) {
    const [mantissa = "0", exponent = "0"] = value.toExponential().split("e")
    return `${mantissa}e${exponent.startsWith("-") ? "-" : "+"}${exponent.replace(/^[+-]/, "").padStart(2, "0")}`
  }
  return String(value)
}

const trimmed = (digits: string): string => (digits.includes(".") ? digits.replace(/\.?0+$/, "") : digits)

/** Canonical JSON: no blanks, keys in the order of their code points. */
export const printJson = (value: Value): string => {
  if (value === undefined) return "undefined"
  if (value === null) return "null"
  if (typeof value === "string") return JSON.stringify(value)
  if (typeof value === "number") return decimalText(value)
  if (typeof value === "boolean") return String(value)
  if (value instanceof Exact) return trimmed(value.digits)
  if (value instanceof Double) return scientific(value.value)
  if (value instanceof Typed) return JSON.stringify(typedText(value))
  if (isList(value)) return `[${value.map(printJson).join(",")}]`
  const keys = [...value.keys()].sort()
  return `{${keys.map((key) => `${JSON.stringify(key)}:${printJson(value.get(key))}`).join(",")}}`
}

const padded = (text: string): string => {
  const [, seconds = text, part = "", zone = ""] = /^(.*?\d\d:\d\d:\d\d)(?:\.(\d+))?(.*)$/.exec(text) ?? []
  return `${seconds}.${part.padEnd(3, "0").slice(0, 3)}${zone}`
}

/** As Snowflake shows it where a text is wanted. */
const typedText = ({ kind, text }: Typed): string => {
  switch (kind) {
    case "TIMESTAMP_NTZ":
      return padded(text)
    case "TIMESTAMP_LTZ":
    case "TIMESTAMP_TZ":
      return padded(
        text.replace(/ ?([+-]\d\d)(?::?(\d\d))?$/, (_, h: string, m?: string) => ` ${h}${m ?? "00"}`)
      )
    case "TIME":
      return text.replace(/\.\d+$/, "")
    default:
      return text
  }
}

/** The value where a text is wanted: a string without quotes, an object as its JSON. */
export const textOf = (value: Value): string | undefined => {
  if (value === undefined || value === null) return undefined
  if (typeof value === "string") return value
  if (value instanceof Double) return floatText(value.value)
  if (value instanceof Typed) return typedText(value)
  return printJson(value)
}

/** The value where a number is wanted. */
export const numberOf = (value: Value): number | undefined => {
  if (value === undefined || value === null) return undefined
  if (typeof value === "number") return value
  if (value instanceof Double) return value.value
  if (value instanceof Exact) return Number(value.digits)
  if (typeof value === "boolean") return value ? 1 : 0
  if (typeof value === "string") {
    const text = value.trim()
    if (/^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/.test(text)) return Number(text)
    if (/^[+-]?(?:inf|infinity)$/i.test(text)) return text.startsWith("-") ? -Infinity : Infinity
    if (/^nan$/i.test(text)) return Number.NaN
    return refuse(`Numeric value '${value}' is not recognized`)
  }
  return refuse(`Failed to cast variant value ${printJson(value)} to a number`)
}

export const noNanoseconds =
  "Snowflake keeps nine digits of a second, and the embedded warehouse six: leave the others out"

const longNumber =
  "A number of more than 15 digits in a VARIANT is not computed or compared exactly by the embedded warehouse; " +
  "cast it, for example v:id::NUMBER(38, 0)"

/** A number that DuckDB may compare and compute as a double; refused where that would change it. */
export const comparable = (value: Value): Value => (value instanceof Exact ? refuse(longNumber) : value)

const typedKinds: Readonly<Record<string, Typed["kind"]>> = {
  DATE: "DATE",
  TIME: "TIME",
  TIME_NS: "TIME",
  TIMESTAMP: "TIMESTAMP_NTZ",
  TIMESTAMP_S: "TIMESTAMP_NTZ",
  TIMESTAMP_MS: "TIMESTAMP_NTZ",
  TIMESTAMP_NS: "TIMESTAMP_NTZ",
  "TIMESTAMP WITH TIME ZONE": "TIMESTAMP_LTZ"
}

const bytesText = (escaped: string): string => {
  let hex = ""
  for (let at = 0; at < escaped.length; at++) {
    if (escaped[at] === "\\" && escaped[at + 1] === "x") {
      hex += escaped.slice(at + 2, at + 4)
      at += 3
    } else hex += escaped.charCodeAt(at).toString(16).padStart(2, "0")
  }
  return hex.toUpperCase()
}

/** The union and the marks of typed values are taken off, wherever they are. */
const unmarked = (value: Value): Value => {
  if (isList(value)) return value.map(unmarked)
  if (!isFields(value)) return value
  if (value.size === 1) {
    const [[key, inner] = ["", undefined]] = value
    switch (key) {
      case members.boolean:
      case members.text:
        return inner
      case members.number:
        return inner instanceof Double && Number.isFinite(inner.value) ? inner.value : inner
      case members.none:
        return null
      case members.json:
        return isFields(inner) ? parseJson(String(inner.get("a")), false) : inner
      case members.other: {
        if (!isFields(inner)) return inner
        const [kind, text] = [inner.get("k"), inner.get("v")]
        if (kind === "NUMBER") return plain(String(text))
        return kind === "DOUBLE" ? new Double(Number(text)) : new Typed(kindOf(String(kind)), String(text))
      }
    }
  }
  return new Map([...value].map(([key, inner]) => [key, unmarked(inner)]))
}

const kinds = new Set<string>(["DATE", "TIME", "TIMESTAMP_NTZ", "TIMESTAMP_LTZ", "TIMESTAMP_TZ", "BINARY"])
const isKind = (kind: string): kind is Typed["kind"] => kinds.has(kind)
const kindOf = (type: string): Typed["kind"] => (isKind(type) ? type : (typedKinds[type] ?? "TIMESTAMP_NTZ"))

/** How a value of a type is read that JSON does not have. */
const typed = (type: string): ((value: Value) => Value) | undefined => {
  switch (type) {
    case "BLOB":
      return (value) => new Typed("BINARY", bytesText(String(value)))
    case "DOUBLE":
    case "FLOAT":
      return (value) => (value instanceof Double ? value : new Double(numberOf(value) ?? Number.NaN))
    case "TIMESTAMP WI":
      return (value) => new Typed("TIMESTAMP_LTZ", String(value))
  }
  const kind = typedKinds[type]
  return kind === undefined ? undefined : (value) => new Typed(kind, String(value))
}

/** What `sg_in` writes for an argument of any type: the first letters of the type, a colon, and JSON. */
export const decode = (marked: string | null): Value => {
  if (marked === null) return undefined
  const colon = marked.indexOf(":")
  const type = marked.slice(0, colon).replace(/\[\]$/, "")
  const value = parseJson(marked.slice(colon + 1), false)
  const read = typed(type)
  if (read === undefined) return unmarked(value)
  // The values of an aggregate: all of one type.
  return isList(value) ? value.map((item) => (item === null ? item : read(item))) : read(value)
}

/**
 * The member of the union, and what it holds. A floating-point number is a number like any other, which DuckDB can
 * compare where a double holds it exactly; `keepsDoubles` where it must be told from others (TYPEOF), and what is compared is `compared` before.
 */
export const memberOf = (
  value: Exclude<Value, undefined>,
  keepsDoubles = false
): readonly [name: string, value: boolean | number | string | Readonly<Record<string, string>>] => {
  if (value === null) return [members.none, 0]
  if (typeof value === "boolean") return [members.boolean, value]
  if (typeof value === "number") return [members.number, value]
  if (typeof value === "string") return [members.text, value]
  if (value instanceof Double) {
    if (keepsDoubles && Number.isFinite(value.value))
      return [members.other, { k: "DOUBLE", v: String(value.value) }]
    // By its digits, like the whole number that it is equal to.
    return Number.isInteger(value.value) && !Number.isSafeInteger(value.value)
      ? [members.other, { k: "NUMBER", v: decimalText(value.value) }]
      : [members.number, value.value]
  }
  if (value instanceof Exact) return [members.other, { k: "NUMBER", v: value.digits }]
  if (value instanceof Typed) return [members.other, { k: value.kind, v: value.text }]
  return [members.json, { a: printJson(value) }]
}

/** Snowflake's name of the kind of a value. */
export const typeOf = (value: Value): string | undefined => {
  if (value === undefined) return undefined
  if (value === null) return "NULL_VALUE"
  if (typeof value === "boolean") return "BOOLEAN"
  if (typeof value === "string") return "VARCHAR"
  if (typeof value === "number") return Number.isInteger(value) ? "INTEGER" : "DECIMAL"
  if (value instanceof Exact) return value.digits.includes(".") ? "DECIMAL" : "INTEGER"
  if (value instanceof Double) return "DOUBLE"
  if (value instanceof Typed) return value.kind
  return isList(value) ? "ARRAY" : "OBJECT"
}

/** A text by which equal values are equal, whatever their kind of number. */
export const identity = (value: Value): string => {
  if (value instanceof Double)
    return Number.isFinite(value.value) ? decimalText(value.value) : printJson(value)
  return value === undefined ? "null" : printJson(value)
}
