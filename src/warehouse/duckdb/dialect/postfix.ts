/**
 * What belongs to the operand before it: casts, paths and parts of a name.
 *
 * @since 0.1.0
 */
import { literal, quoted } from "../../../sql/Identifier.js"
import type { Token } from "../../../sql/Lexer.js"
import { hiddenInformationSchema, informationSchema } from "../catalog.js"
import type { Context, Rule } from "./context.js"
import { emit, isElement, reading } from "./context.js"
import * as Library from "./library.js"
import type { Piece } from "./operators.js"
import { join, operandPiece, startOfOperand } from "./operators.js"
import { isName } from "./source.js"
import type { Type } from "./types.js"
import { typeAt } from "./types.js"

/** A path that is cast to what is not semi-structured is read as a text, without the way round. */
const scalarOf = (piece: Piece, type: Type): Piece =>
  piece.path === undefined || type.kind === "variant" || type.kind === "bytes"
    ? piece
    : { ...piece, sql: `sgj_path_text(${piece.path})`, kind: "text" }

/** `a::NUMBER(10, 2)`, and the whole of `CASE ... END::INT`. */
export const castOperator: Rule = ({ at, context, last, list, next, token }) => {
  if (token.value !== "::" || last?.operand !== true) return undefined
  const type = typeAt(context, at + 1)
  if (type === undefined) return reading(operandPiece(`${last.sql}::${next?.text ?? ""}`), at + 2, 1)
  const start = startOfOperand(list, list.length - 1)
  const value = start === list.length - 1 ? last : { ...last, sql: `(${join(list.slice(start))})` }
  const sql = type.cast(scalarOf(value, type), false)
  return reading(operandPiece(sql, type.kind), type.end, list.length - start)
}

const keyOf = (token: Token): string =>
  `':' || ${literal(JSON.stringify(token.kind === "quoted" ? token.value : token.text))}`

/** The keys of a path from a token on: `.a`, `[0]`, `['b']`, `:c`. */
const keysAt = (
  context: Context,
  at: number
): { readonly keys: ReadonlyArray<string>; readonly end: number } => {
  const { partner, tokens } = context
  const keys: Array<string> = []
  let end = at
  for (;;) {
    const token = tokens[end]
    const next = tokens[end + 1]
    const close = token?.text === "[" ? partner.get(end) : undefined
    if ((token?.text === "." || token?.text === ":") && token.kind === "operator" && isName(next)) {
      keys.push(keyOf(next))
      end += 2
    } else if (close !== undefined) {
      keys.push(`sg_in(${emit(context, end + 1, close)})`)
      end = close + 1
    } else return { keys, end }
  }
}

/** `v:a.b[0]['c']`, `a[0]` */
export const path: Rule = ({ at, context, last, next, token }) => {
  const begins = (token.kind === "operator" && token.value === ":" && isName(next)) || token.text === "["
  if (!begins || last?.operand !== true) return undefined
  const { end, keys } = keysAt(context, at)
  const args = `sg_in(${last.sql}), ${keys.join(", ")}`
  return reading({ ...operandPiece(Library.element(`sgj_path(${args})`), "variant"), path: args }, end, 1)
}

/** `t.a`, `t.*`, `t.$1`, `db.INFORMATION_SCHEMA.TABLES` */
export const member: Rule = ({ at, context, last, next, token }) => {
  if (token.value !== "." || last?.operand !== true || next === undefined) return undefined
  const name =
    next.value === informationSchema
      ? quoted(hiddenInformationSchema)
      : next.kind === "variable"
        ? `column${next.text.slice(1)}`
        : next.text
  // A parameter of a lambda is no column of a table.
  const kind = isElement(context, next) && !context.bound.has(next.value) ? "variant" : "unknown"
  const mark = next.text === "*" ? "star" : undefined
  return reading({ ...operandPiece(`${last.sql}.${name}`, kind), mark }, at + 2, 1)
}
