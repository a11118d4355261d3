/**
 * Writes a query in Snowflake's SQL as one for DuckDB, token by token: no grammar of SQL is known here, only
 * where operands, calls and clauses begin and end.
 *
 * The statement is read from left to right into pieces. An operand with all that belongs to it (a dotted
 * name, a call, a value in brackets, casts, subscripts, a path) is one piece, so what follows an operand
 * takes the place of the last piece. With each piece goes what is known of its type; everything else asks DuckDB,
 * through macros that look at the type of their argument when the statement is bound.
 *
 * A rule reads one construct: it looks at the tokens from its place on and at the pieces before it, and returns
 * pieces and where it ended. What is inside of a construct is read with all rules again, through the context. Rules are
 * found by the kind of a token here, and by the word in `keywords.ts`.
 *
 * Total: what no rule knows is written as it came, and DuckDB says what is wrong with it.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import type { TokenKind } from "../../../sql/Lexer.js"
import type { Context, Place, Reading, Rule } from "./context.js"
import { emit, reading } from "./context.js"
import * as Library from "./library.js"
import { array, bytes, number, object, text, variable } from "./literals.js"
import type { Piece } from "./operators.js"
import { join, operandPiece, symbolPiece, withOperators } from "./operators.js"
import { castOperator, member, path } from "./postfix.js"
import { refuse, unlessRefused } from "./refusal.js"
import type { Source } from "./source.js"
import { isWord } from "./source.js"
import { numbersFlattenedRows } from "./tableFunctions.js"
import { quotedName, word } from "./keywords.js"
import type { Metered } from "./work.js"
import { make as makeWork } from "./work.js"

/** `(a + b)`, with the type of its only value. */
const group: Rule = ({ at, context, token }) => {
  const close = token.text === "(" ? context.partner.get(at) : undefined
  if (close === undefined) return undefined
  const inner = context.read(context, at + 1, close)
  const kind = inner.length === 1 ? inner[0]!.kind : "unknown"
  return reading(operandPiece(`(${join(inner)})`, kind), close + 1)
}

/** The rules for what begins with a kind of token; what none of them reads is an operator, as it came. */
const rules: Readonly<Record<TokenKind, ReadonlyArray<Rule>>> = {
  word: [word],
  quoted: [quotedName],
  string: [text],
  dollar: [text],
  hex: [bytes],
  number: [number],
  variable: [variable],
  operator: [castOperator, path, member],
  open: [group, path, array, object],
  close: []
}

const readingAt = (place: Place): Reading => {
  for (const rule of rules[place.token.kind]) {
    const made = rule(place)
    if (made !== undefined) return made
  }
  return reading(symbolPiece(place.token.text, place.token.value), place.at + 1)
}

/** What making a piece costs, in tokens that are looked at. */
const PIECE = 64

/** The pieces of a range. */
const piecesOf = (around: Context, start: number, end: number): Array<Piece> => {
  const { tokens, work } = around
  const list: Array<Piece> = []
  let context = around
  for (let at = start; at < end;) {
    const last = list.at(-1)
    // What follows an operand writes it anew.
    work.look(PIECE + (last?.sql.length ?? 0))
    const made = readingAt({
      context,
      at,
      token: tokens[at]!,
      next: tokens[at + 1],
      end,
      list,
      last
    })
    if (made.replaced > 0) list.splice(Math.max(0, list.length - made.replaced))
    for (const piece of made.pieces) list.push(piece)
    context = made.context ?? context
    at = made.end
  }
  withOperators(list, work)
  work.write(list.reduce((sum, { sql }) => sum + sql.length, 0))
  return list
}

const written = (from: Metered): string => {
  const { tokens } = from
  if (numbersFlattenedRows(from))
    return refuse(
      "SEQ of a FLATTEN of several rows is not supported by the embedded warehouse: it would be 1 for each; name the other columns instead of *, and number the rows before, with ROW_NUMBER() OVER (ORDER BY ...)."
    )
  const context: Context = {
    ...from,
    flattens: tokens.some((token) => isWord(token, "FLATTEN")),
    bound: new Set(),
    grouped: new Set(),
    read: (around, start, end) => around.work.within(() => piecesOf(around, start, end))
  }
  const sql = emit(context, 0, tokens.length)
  return tokens.some((token) => isWord(token) && Library.tellsDoubles.has(token.value))
    ? Library.tellingDoubles(sql)
    : sql
}

/**
 * A statement for DuckDB: the same, or the error with which it is refused.
 *
 * @since 0.1.0
 * @category conversions
 */
export const rewrite = (from: Source): string =>
  Either.getOrElse(
    unlessRefused(() => written({ ...from, work: makeWork() })),
    (error) => `SELECT ${error}`
  )
