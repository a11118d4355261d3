/**
 * Conditions that DuckDB writes otherwise: LIKE ANY, RLIKE, and IN with rows.
 *
 * @since 0.1.0
 */
import { endOfSide, isKeyword } from "./clauses.js"
import type { Place, Rule } from "./context.js"
import { argument, argumentsAt, emit, reading } from "./context.js"
import * as Library from "./library.js"
import { join, operandPiece, startOfSide } from "./operators.js"
import { refuse } from "./refusal.js"
import { argumentsOf, isName, isWord } from "./source.js"

/** The side before a condition, and how many pieces it and its NOT are. */
const subjectOf = ({
  last,
  list
}: Place): { readonly not: string; readonly subject: string; readonly replaced: number } => {
  const isNegated = last?.mark === "NOT"
  const end = list.length - (isNegated ? 1 : 0)
  const start = startOfSide(list, end)
  return {
    not: isNegated ? "NOT " : "",
    subject: join(list.slice(start, end)),
    replaced: list.length - start
  }
}

/** `a NOT LIKE ANY ('x%', 'y%') ESCAPE '^'`, `a ILIKE ALL (...)` */
export const likeAny: Rule = (place) => {
  const { at, context, next, token } = place
  const { partner, tokens } = context
  if (!isWord(next, "ANY", "ALL") || tokens[at + 2]?.text !== "(") return undefined
  const close = partner.get(at + 2)!
  const { not, replaced, subject } = subjectOf(place)
  const patterns = Library.inJavaScript("array_construct", argumentsAt(context, at + 2)).sql
  const escapes = isWord(tokens[close + 1], "ESCAPE") && tokens[close + 2] !== undefined
  const mark = escapes ? `, sg_in(${emit(context, close + 2, close + 3)})` : ""
  const name = `${token.value}_${next.value}`.toLowerCase()
  const sql = `${not}sgj_${name}(sg_in(${subject}), sg_in(${patterns})${mark})`
  return reading(operandPiece(sql, "boolean"), close + (escapes ? 3 : 1), replaced)
}

/** `a RLIKE 'x.*'`, `a NOT REGEXP b || '$'` */
export const regexp: Rule = (place) => {
  const { at, context, end, last } = place
  if (last?.operand !== true && last?.mark !== "NOT") return undefined
  const { not, replaced, subject } = subjectOf(place)
  const stop = endOfSide(context, at + 1, end)
  const pattern = Library.asText(argument(context, at + 1, stop))
  const sql = `${not}sgj_regexp_like(sg_str(${subject}), ${pattern})`
  return reading(operandPiece(sql, "boolean"), stop, replaced)
}

/** `(a, b) IN ((1, 2), (3, NULL))`, which DuckDB compares as if NULL were a value. */
export const rowsIn: Rule = ({ at, context }) => {
  const { partner, tokens } = context
  const isNegated = isWord(tokens[at - 1], "NOT")
  const last = isNegated ? at - 2 : at - 1
  const open = tokens[last]?.text === ")" ? partner.get(last) : undefined
  const close = tokens[at + 1]?.text === "(" ? partner.get(at + 1) : undefined
  if (open === undefined || close === undefined) return undefined
  // The arguments of a call are no row.
  const before = tokens[open - 1]
  if (isName(before) && !isKeyword(before)) return undefined
  const left = argumentsOf(context, open)
  const rows = argumentsOf(context, at + 1)
  const isRow = (start: number, end: number): boolean =>
    tokens[start]!.text === "(" && partner.get(start) === end - 1
  if (left.length < 2 || !rows.every((range) => isRow(...range))) return undefined
  const values = left.map((range) => emit(context, ...range))
  // They are written for each row.
  context.work.write(values.reduce((sum, value) => sum + value.length, 0) * rows.length)
  const each = rows.map(([start]) => {
    const cells = argumentsOf(context, start)
    if (cells.length !== values.length) return refuse("the rows of IN have different lengths")
    return `(${cells.map((cell, index) => `${values[index]} = ${emit(context, ...cell)}`).join(" AND ")})`
  })
  const sql = `${isNegated ? "(NOT " : ""}(${each.join(" OR ")})${isNegated ? ")" : ""}`
  return reading(operandPiece(sql, "boolean"), close + 1, isNegated ? 2 : 1)
}
