/**
 * Literals: texts, numbers, bytes, dates, intervals, arrays and objects; and the variables that stand for one.
 *
 * @since 0.1.0
 */
import { literal } from "../../../sql/Identifier.js"
import type { Rule } from "./context.js"
import { argument, argumentsAt, reading } from "./context.js"
import * as Library from "./library.js"
import type { Argument } from "./library.js"
import type { Piece } from "./operators.js"
import { operandPiece } from "./operators.js"
import { refuse } from "./refusal.js"
import { argumentsOf, isName, isWord } from "./source.js"
import { typeAt } from "./types.js"

/** A number with its unit, in an INTERVAL: of each text there is one way to read it. */
const intervalPart = /([+-]?\d+)\s*([a-z_]*)\s*,?/gi

/** `INTERVAL '1 year, 2 days'`: numbers without a unit are seconds. */
const intervalOf = (text: string): Piece => {
  const parts = [...text.matchAll(intervalPart)].map(([, count = "0", unit = ""]) => {
    const known = unit === "" ? "second" : Library.partOf(unit)
    return [count, known !== undefined && Library.addable.has(known) ? known : ""] as const
  })
  if (
    text.replace(intervalPart, "").trim() !== "" ||
    parts.length === 0 ||
    parts.some(([, unit]) => unit === "")
  )
    return refuse(
      `INTERVAL '${text.trim()}' is not a list of whole numbers with parts of dates: '1 year, 2 days'`
    )
  return {
    ...operandPiece(`INTERVAL ${literal(parts.map((part) => part.join(" ")).join(" "))}`),
    interval: parts
  }
}

/** `DATE '2024-01-01'`, `TIMESTAMP_TZ '2024-01-01 10:00:00 +01:00'` */
const dated: Rule = ({ at, context, last, token }) => {
  const isType = isWord(
    context.tokens[at - 1],
    "DATE",
    "TIME",
    "TIMESTAMP",
    "TIMESTAMP_NTZ",
    "TIMESTAMP_LTZ",
    "TIMESTAMP_TZ",
    "DATETIME"
  )
  const type =
    isType && last?.operand === true && last.mark === undefined ? typeAt(context, at - 1) : undefined
  if (type === undefined) return undefined
  const sql = type.cast({ sql: literal(token.value), kind: "text" }, false)
  return reading(operandPiece(sql, type.kind), at + 1, 1)
}

/** `INTERVAL '2 days'`, and `INTERVAL '1' DAY`, which is `INTERVAL '1 day'`. */
const interval: Rule = ({ at, last, next, token }) => {
  if (last?.mark !== "INTERVAL") return undefined
  const unit = /^\s*[+-]?\d+\s*$/.test(token.value) ? Library.partOf(next?.value) : undefined
  const made = intervalOf(`${token.value} ${unit ?? ""}`)
  return reading(made, unit !== undefined && isWord(next) ? at + 2 : at + 1, 1)
}

/** `'a'`, `$$a$$` */
export const text: Rule = (place) =>
  dated(place) ?? interval(place) ?? reading(operandPiece(literal(place.token.value), "text"), place.at + 1)

/** `X'4A4B'` */
export const bytes: Rule = ({ at, token }) =>
  reading(operandPiece(`unhex(${literal(token.value)})`, "bytes"), at + 1)

/** `12`; the product of two literals may be larger than an INTEGER. */
export const number: Rule = ({ at, context, next, token }) => {
  const isWide = (context.tokens[at - 1]?.text === "*" || next?.text === "*") && /^\d{1,18}$/.test(token.text)
  return reading(operandPiece(isWide ? `${token.text}::BIGINT` : token.text, "number"), at + 1)
}

/** `$1` is a column of VALUES; the emulator writes a bind as `$bind1`. */
export const variable: Rule = ({ at, token }) =>
  reading(operandPiece(token.text.replace(/^\$(\d+)$/, "column$1").replace(/^\$bind(\d+)$/, "$$$1")), at + 1)

/** `[1, 2, a]` */
export const array: Rule = ({ at, context, token }) => {
  const close = token.text === "[" ? context.partner.get(at) : undefined
  if (close === undefined) return undefined
  const made = Library.inJavaScript("array_construct", argumentsAt(context, at))
  return reading(operandPiece(made.sql, "variant"), close + 1)
}

/** `{'a': 1, b: 2}` */
export const object: Rule = ({ at, context, token }) => {
  const { partner, tokens } = context
  const close = token.text === "{" ? partner.get(at) : undefined
  if (close === undefined) return undefined
  const args = argumentsOf(context, at).flatMap(([start, end]): ReadonlyArray<Argument> => {
    const key = tokens[start]!
    if (tokens[start + 1]?.text !== ":" || (key.kind !== "string" && !isName(key)))
      return [argument(context, start, end)]
    const name = literal(key.kind === "word" ? key.text : key.value)
    return [{ sql: name, kind: "text" }, argument(context, start + 2, end)]
  })
  return reading(operandPiece(Library.inJavaScript("object_construct", args).sql, "variant"), close + 1)
}
