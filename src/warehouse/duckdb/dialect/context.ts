/**
 * What the rules of the translation share: the statement, what is known where they stand, and how they read what is
 * inside of a construct.
 *
 * @since 0.1.0
 */
import { literal } from "../../../sql/Identifier.js"
import type { Token } from "../../../sql/Lexer.js"
import type { Argument, Kind } from "./library.js"
import type { Piece } from "./operators.js"
import { join } from "./operators.js"
import type { Range } from "./source.js"
import { argumentsOf, isWord } from "./source.js"
import type { Metered } from "./work.js"

/** The statement, and what is known of the place of a rule in it. */
export interface Context extends Metered {
  /** Whether the statement has FLATTEN, whose VALUE and THIS are elements. */
  readonly flattens: boolean
  /** The parameters of the lambdas around, which are elements of arrays. */
  readonly bound: ReadonlySet<string>
  /** The columns by which GROUP BY ALL groups, in the ORDER BY behind it: DuckDB finds them there as a whole item only. */
  readonly grouped: ReadonlySet<string>
  /** Reads a range of tokens with all rules. */
  readonly read: (context: Context, start: number, end: number) => Array<Piece>
}

/** Where a rule stands: at a token of a range, behind the pieces that were read of it. */
export interface Place {
  readonly context: Context
  readonly at: number
  readonly token: Token
  readonly next: Token | undefined
  /** The end of the range. */
  readonly end: number
  readonly list: ReadonlyArray<Piece>
  readonly last: Piece | undefined
}

/** What a rule read. */
export interface Reading {
  readonly pieces: ReadonlyArray<Piece>
  /** The first token that it did not read. */
  readonly end: number
  /** How many pieces before its place these stand for: the operand before `::` is a part of the cast. */
  readonly replaced: number
  /** What is known from there on, where that is not what was known before. */
  readonly context?: Context
}

/** Reads what begins at a token; undefined where that is not what the rule is for. */
export type Rule = (place: Place) => Reading | undefined

/** One piece that a rule read, in place of some before it. */
export const reading = (piece: Piece, end: number, replaced = 0): Reading => ({
  pieces: [piece],
  end,
  replaced
})

/** Whether a bracket opens behind the word of a place. */
export const hasBracket = ({ at, context, next }: Place): boolean =>
  next?.text === "(" && context.partner.has(at + 1)

/** A range for DuckDB. */
export const emit = (context: Context, start: number, end: number): string =>
  join(context.read(context, start, end))

/** VALUE and THIS of FLATTEN, and the parameters of lambdas. */
export const isElement = ({ bound, flattens }: Context, token: Token | undefined): boolean =>
  isWord(token) &&
  (bound.has(token.value) || (flattens && (token.value === "VALUE" || token.value === "THIS")))

export const kindOfWord = (context: Context, token: Token): Kind =>
  isWord(token, "TRUE", "FALSE") ? "boolean" : isElement(context, token) ? "variant" : "unknown"

/** A range as one argument. */
export const argument = (context: Context, start: number, end: number): Argument => {
  const { tokens } = context
  const first = tokens[start]
  if (end === start + 1 && first !== undefined) {
    if (first.kind === "string" || first.kind === "dollar")
      return { sql: literal(first.value), kind: "text", literal: first.value }
    if (first.kind === "number") return { sql: first.text, kind: "number", literal: first.text }
    if (first.kind === "word")
      return {
        sql: emit(context, start, end),
        kind: kindOfWord(context, first),
        literal: first.value,
        isWord: true,
        isStar: false
      }
  }
  const list = context.read(context, start, end)
  const only = list.length === 1 ? list[0] : undefined
  const isStar = first?.text === "*" || tokens[end - 1]?.text === "*"
  const isNegative = first?.text === "-" && end === start + 2 && tokens[start + 1]?.kind === "number"
  return {
    sql: list.length > 1 && !isStar ? `(${join(list)})`.replace(/^\((-?[\d.]+)\)$/, "$1") : join(list),
    kind:
      only?.kind ?? (list.some((piece) => piece.mark === "||") ? "text" : isNegative ? "number" : "unknown"),
    isStar,
    ...(isNegative ? { literal: `-${tokens[start + 1]!.text}` } : {})
  }
}

/** The arguments of the bracket at a token. */
export const argumentsAt = (context: Context, open: number): ReadonlyArray<Argument> =>
  argumentsOf(context, open).map((range) => argument(context, ...range))

/** An argument without the name of its parameter. */
export const unnamed = (context: Context, [start, end]: Range): Argument =>
  argument(context, isNamed(context, start) ? start + 2 : start, end)

/** Whether an argument has the name of its parameter: `SCALE => 2`. */
export const isNamed = ({ tokens }: Context, start: number): boolean => tokens[start + 1]?.text === "=>"
