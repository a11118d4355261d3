/**
 * What a value may be: what is accepted, how that is said, and how a value is written down.
 */
import * as Predicate from "effect/Predicate"

/**
 * What a setting may be. Bounds are inclusive.
 */
export type Kind =
  | { readonly _tag: "integer" | "number"; readonly min: number; readonly max: number }
  | { readonly _tag: "boolean" }
  | { readonly _tag: "choice"; readonly values: ReadonlyArray<string> }
  /** `expected` completes "expected ..." in a fault. */
  | { readonly _tag: "text" | "list"; readonly pattern: RegExp; readonly expected: string }
  /** One of `values` by names that match. */
  | {
      readonly _tag: "record"
      readonly pattern: RegExp
      readonly values: ReadonlyArray<string>
      readonly expected: string
    }

/**
 * A number as TOML and people write it.
 */
export const formatNumber = (value: number): string => (Object.is(value, -0) ? "0" : String(value))

/**
 * What is expected, as a noun phrase.
 */
export const expected = (kind: Kind): string => {
  switch (kind._tag) {
    case "integer":
      return `a whole number from ${formatNumber(kind.min)} to ${formatNumber(kind.max)}`
    case "number":
      return `a number from ${formatNumber(kind.min)} to ${formatNumber(kind.max)}`
    case "boolean":
      return "true or false"
    case "choice":
      return kind.values.map((value) => JSON.stringify(value)).join(" or ")
    default:
      return kind.expected
  }
}

/**
 * Without control characters: they would let a value forge lines of the report it is shown in.
 */
export const printable = (value: string): string =>
  value.replace(/[\p{Cc}\u2028\u2029]/gu, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`)

/**
 * In double quotes and on one line, as a TOML basic string.
 */
export const quote = (value: string): string => printable(JSON.stringify(withoutUserInfo(value)))

/** A URL may hold a password in its authority. */
const withoutUserInfo = (value: string): string => value.replace(/(:\/\/)[^\s/@]*@/g, "$1***@")

const longest = 60

/**
 * A value as a fault shows it: short, on one line, and never the inside of a table.
 */
export const show = (value: unknown): string => {
  if (typeof value === "string") return quote(value.length > longest ? `${value.slice(0, longest)}…` : value)
  if (typeof value === "number") return formatNumber(value)
  if (typeof value === "boolean") return String(value)
  if (Array.isArray(value)) {
    const shown = value.every((item) => typeof item !== "object")
      ? value.slice(0, 5).map(show).join(", ")
      : "…"
    return `[${shown}${value.length > 5 ? ", …" : ""}]`
  }
  return value instanceof Date ? "a date" : "a table"
}

// What Number() also takes ("", "0x10", " 1 ", "Infinity") is more often a mistake than a number.
const decimal = /^[+-]?\d+(\.\d+)?(e[+-]?\d+)?$/i

/**
 * The text of an environment variable as the value a file would hold; a text that cannot be read so
 * stays text, for `decode` to refuse.
 */
export const fromText = (kind: Kind, value: string): unknown => {
  switch (kind._tag) {
    case "integer":
    case "number":
      return decimal.test(value) ? Number(value) : value
    case "boolean":
      return value === "true" ? true : value === "false" ? false : value
    case "list": {
      const items = value.split(",").map((item) => item.trim())
      // An empty variable is not set: a lone comma is how to say that there are none.
      return items.every((item) => item === "") ? [] : items
    }
    case "record": {
      const items = value.split(",").map((item) => item.trim())
      if (items.every((item) => item === "")) return {}
      // The name is in quotes where it holds an equals sign, which is the last one then.
      const parts = items.map((item) => [
        item.slice(0, item.lastIndexOf("=")),
        item.slice(item.lastIndexOf("=") + 1)
      ])
      return items.some((item) => !item.includes("=")) ? value : Object.fromEntries(parts)
    }
    default:
      return value
  }
}

export const accepts = (kind: Kind, value: unknown): boolean => {
  switch (kind._tag) {
    case "integer":
    case "number":
      return (
        typeof value === "number" &&
        value >= kind.min &&
        value <= kind.max &&
        (kind._tag === "number" || Number.isInteger(value))
      )
    case "boolean":
      return typeof value === "boolean"
    case "choice":
      return typeof value === "string" && kind.values.includes(value)
    case "text":
      return typeof value === "string" && kind.pattern.test(value)
    case "list":
      return (
        Array.isArray(value) && value.every((item) => typeof item === "string" && kind.pattern.test(item))
      )
    case "record":
      return (
        Predicate.isReadonlyRecord(value) &&
        Object.entries(value).every(
          ([name, item]) => kind.pattern.test(name) && typeof item === "string" && kind.values.includes(item)
        )
      )
  }
}
