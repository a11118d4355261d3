/**
 * Calls of functions, with what stands behind their brackets.
 *
 * @since 0.1.0
 */
import type { Token } from "../../../sql/Lexer.js"
import { pastBracket } from "./clauses.js"
import type { Context, Reading } from "./context.js"
import { argument, emit, isNamed, reading, unnamed } from "./context.js"
import { higherOrder } from "./lambdas.js"
import * as Library from "./library.js"
import type { Argument, Invocation, Written } from "./library.js"
import { asCompared, operandPiece } from "./operators.js"
import { accepted, refuse } from "./refusal.js"
import { scalars } from "./scalars.js"
import type { Range } from "./source.js"
import { argumentsOf, isWord } from "./source.js"
import { starCall } from "./stars.js"
import { typeAt } from "./types.js"
import { windowAt, windowless } from "./windows.js"

/** A call whose name is at a token. */
interface Call {
  readonly context: Context
  readonly at: number
  readonly token: Token
  readonly name: string
  readonly open: number
  readonly close: number
  readonly ranges: ReadonlyArray<Range>
}

type CallRule = (call: Call) => Reading | undefined

/** Names of parameters, where Snowflake allows to name them. */
const parameters: Readonly<Record<string, ReadonlyArray<string>>> = {
  ROUND: ["EXPR", "SCALE", "ROUNDING_MODE"],
  SEARCH: ["", "", "SEARCH_MODE", "ANALYZER"]
}

/** Functions that compare their arguments, from which one on. */
const comparing: Readonly<Record<string, number>> = {
  ...Object.fromEntries(
    "DECODE EQUAL_NULL NULLIF GREATEST LEAST GREATEST_IGNORE_NULLS LEAST_IGNORE_NULLS"
      .split(" ")
      .map((name) => [name, 0])
  ),
  MIN_BY: 1,
  MAX_BY: 1
}

/** Functions whose window has all rows of the partition where it has no frame. */
const framed = new Set(["FIRST_VALUE", "LAST_VALUE", "NTH_VALUE"])

const isPercentile = (name: string): boolean => name === "PERCENTILE_CONT" || name === "PERCENTILE_DISC"

/** The call as the library wrote it. */
const writtenAs = ({ close }: Call, written: Written, end = close + 1): Reading => {
  const { kind, sql } = accepted(written)
  return reading(operandPiece(sql, kind), end)
}

/** What stands behind the bracket of a call: WITHIN GROUP, IGNORE NULLS, FILTER, OVER. */
const suffix = (
  context: Context,
  at: number
): Omit<Invocation, "name" | "args" | "distinct"> & { readonly end: number } => {
  const { partner, tokens } = context
  let end = at
  let order: string | undefined
  let filter: string | undefined
  let over: string | undefined
  let window: string | undefined
  let nulls: string | undefined
  if (isWord(tokens[end], "WITHIN") && isWord(tokens[end + 1], "GROUP") && tokens[end + 2]?.text === "(") {
    const close = partner.get(end + 2)
    if (close !== undefined) {
      order = emit(context, end + 3, close)
      end = close + 1
    }
  }
  if (isWord(tokens[end], "IGNORE", "RESPECT") && isWord(tokens[end + 1], "NULLS")) {
    nulls = `${tokens[end]!.value} NULLS`
    end += 2
  }
  if (isWord(tokens[end], "FILTER") && tokens[end + 1]?.text === "(") {
    const past = pastBracket(context, end + 1)
    filter = emit(context, end + 2, past - 1)
    end = past
  }
  const ranges = isWord(tokens[end], "OVER") ? windowAt(context, end + 1) : undefined
  if (ranges !== undefined) {
    window = ranges.map((range) => emit(context, ...range)).join(" ")
    over = `OVER (${window})`
    end = pastBracket(context, end + 1)
  }
  return { end, order, filter, over, window, nulls }
}

const spaced = (...words: ReadonlyArray<string | undefined>): string =>
  words.map((word) => (word === undefined ? "" : ` ${word}`)).join("")

/** A call as it is, with the words that DuckDB wants elsewhere; `args`: what is inside of its bracket, where that is known. */
const plainCall = ({ close, context, open, token }: Call, args?: string): Reading => {
  const { end, filter, nulls, order, over, window } = suffix(context, close + 1)
  const only = args === undefined && isWord(token, "MIN", "MAX") ? context.read(context, open + 1, close) : []
  const inner = only.length === 1 ? asCompared(only[0]!).sql : (args ?? emit(context, open + 1, close))
  const lacksFrame =
    framed.has(token.value) &&
    window !== undefined &&
    /\bORDER BY\b/i.test(window) &&
    !/\b(?:ROWS|RANGE|GROUPS) (?:BETWEEN|UNBOUNDED|CURRENT|\d)/i.test(window)
  const frame = lacksFrame
    ? `OVER (${window} ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)`
    : over
  const sorts = order !== undefined && isPercentile(token.value)
  const inside = `${inner}${spaced(sorts ? undefined : order, nulls)}`
  const behind = spaced(
    sorts ? `WITHIN GROUP (${order})` : undefined,
    filter === undefined ? undefined : `FILTER (${filter})`,
    frame
  )
  return reading(operandPiece(`${token.text}(${inside})${behind}`), end)
}

/** `PERCENTILE_CONT(p) WITHIN GROUP (ORDER BY x DESC)`, which DuckDB does not have as a window function. */
const percentile: CallRule = ({ close, context, name, open }) => {
  const { partner, tokens } = context
  const group = close + 3
  const end = partner.get(group)
  if (!isPercentile(name) || !isWord(tokens[close + 1], "WITHIN")) return undefined
  if (end === undefined || !isWord(tokens[group + 2], "BY")) return undefined
  let last = end
  if (isWord(tokens[last - 2], "NULLS")) last -= 2
  const falls = isWord(tokens[last - 1], "DESC")
  if (isWord(tokens[last - 1], "ASC", "DESC")) last--
  const { end: stop, filter, over } = suffix(context, close + 1)
  const share = emit(context, open + 1, close)
  const isDiscrete = name === "PERCENTILE_DISC"
  const made = Library.percentile(
    isDiscrete,
    argument(context, group + 3, last),
    // DuckDB counts from the greatest value where the share is negative.
    !falls ? share : isDiscrete && Number(share) !== 0 ? `-(${share})` : `1 - ${share}`,
    { filter, over }
  )
  return reading(operandPiece(made.sql, made.kind), stop)
}

// Calls with words inside

/** A word of the call itself, not of a bracket in it: AS of CAST, IN of POSITION. */
const wordIn = ({ close, context, open, token }: Call, word: string): number | undefined => {
  for (let index = open + 1; index < close; index++)
    if (isWord(context.tokens[index], word) && context.tokens[index]!.depth === token.depth + 1) return index
  return undefined
}

/** `CAST(a AS DATE)`, `TRY_CAST(a AS DATE)` */
const cast: CallRule = (call) => {
  const { close, context, name, open } = call
  const at = wordIn(call, "AS")
  const type = at === undefined ? undefined : typeAt(context, at + 1)
  if (at === undefined || type === undefined || type.end !== close) return undefined
  const sql = type.cast(argument(context, open + 1, at), name === "TRY_CAST")
  return writtenAs(call, { sql, kind: type.kind })
}

/** `EXTRACT(year FROM d)` */
const extract: CallRule = (call) => {
  const { close, context, open } = call
  if (!isWord(context.tokens[open + 2], "FROM")) return undefined
  const part = context.tokens[open + 1]!
  const unit = Library.partOf(part.value)
  return unit === undefined
    ? refuse(`EXTRACT: '${part.text}' is not a part of a date`)
    : writtenAs(call, Library.datePart(unit, argument(context, open + 3, close)))
}

/** `POSITION('a' IN b)` */
const position: CallRule = (call) => {
  const { close, context, open, ranges } = call
  const at = ranges.length === 1 ? wordIn(call, "IN") : undefined
  if (at === undefined) return undefined
  const args = [argument(context, open + 1, at), argument(context, at + 1, close)]
  return writtenAs(call, Library.inJavaScript("position", args))
}

/** `TRIM(BOTH 'x' FROM a)`, which DuckDB has itself. */
const trim: CallRule = (call) => {
  const hasSide = isWord(call.context.tokens[call.open + 1], "BOTH", "LEADING", "TRAILING")
  return hasSide && call.ranges.length === 1 ? plainCall(call) : undefined
}

/** `TRANSFORM(a, x -> x + 1)` */
const ofFunction: CallRule = (call) => {
  const made = higherOrder(call.context, call.name, call.ranges)
  return made === undefined ? undefined : writtenAs(call, made)
}

/** `SEQ4()` of a GENERATOR. */
const sequence: CallRule = (call) => writtenAs(call, { kind: "number", sql: "sg_seq" })

const worded: ReadonlyMap<string, CallRule> = new Map([
  ["CAST", cast],
  ["TRY_CAST", cast],
  ["EXTRACT", extract],
  ["POSITION", position],
  ["TRIM", trim],
  ["FILTER", ofFunction],
  ["TRANSFORM", ofFunction],
  ["REDUCE", ofFunction],
  ["SEQ1", sequence],
  ["SEQ2", sequence],
  ["SEQ4", sequence],
  ["SEQ8", sequence]
])

// Other calls

/** `OBJECT_CONSTRUCT(*)`, `SEARCH(t.*, 'king')` */
const ofStar: CallRule = (call) => {
  const made = starCall(call.context, call.name, call.at, call.ranges)
  return made === undefined ? undefined : writtenAs(call, made)
}

/** `HASH(x)`, `RANK()`: what would have another value than Snowflake's, and window functions without their window. */
const refused: CallRule = ({ close, context, name }) => {
  const why = Library.refused[name] ?? windowless(context, name, close + 1)
  return why === undefined ? undefined : refuse(why)
}

/** `ROUND(SCALE => 1, EXPR => x)`: the arguments in the order of the parameters, without their names. */
const inOrder = (
  context: Context,
  ranges: ReadonlyArray<Range>,
  names: ReadonlyArray<string>
): ReadonlyArray<Argument> =>
  names.flatMap((name, index) => {
    const positional = ranges[index]
    const range =
      ranges.find(([start]) => isNamed(context, start) && isWord(context.tokens[start], name)) ??
      (positional !== undefined && !isNamed(context, positional[0]) ? positional : undefined)
    return range === undefined ? [] : [unnamed(context, range)]
  })

/** The arguments of a function of the library; of one that compares them, as what DuckDB can compare. */
const libraryArguments = (call: Call, isDistinct: boolean): ReadonlyArray<Argument> => {
  const { close, context, name, ranges } = call
  const [first, ...others] = ranges
  const given: ReadonlyArray<Range> =
    isDistinct && first !== undefined ? [[first[0] + 1, first[1]], ...others] : ranges
  const names = given.some(([start]) => isNamed(context, start)) ? parameters[name] : undefined
  const args =
    names === undefined ? given.map((range) => argument(context, ...range)) : inOrder(context, given, names)
  const from = comparing[name] ?? args.length
  // What is sorted by beside DISTINCT is the argument.
  const isOrdered = isDistinct && isWord(context.tokens[close + 1], "WITHIN")
  return args.map((arg, index) =>
    index < from && !(isOrdered && index === 0)
      ? arg
      : { ...arg, sql: asCompared({ ...arg, operand: true }).sql }
  )
}

/** A function of the library, or DuckDB's own one. */
const libraryCall = (call: Call): Reading => {
  const { close, context, name, open } = call
  const write = Library.calls[name]
  const scalar = name.toLowerCase()
  const inScript = write === undefined && scalars[scalar] !== undefined && !Library.internal.has(scalar)
  if (write === undefined && !inScript) return plainCall(call)
  const distinct = isWord(context.tokens[open + 1], "DISTINCT")
  const args = libraryArguments(call, distinct)
  const { end, ...behind } = suffix(context, close + 1)
  // What stands behind a function in JavaScript is not taken by it, and stays where it is.
  if (inScript) return writtenAs(call, Library.inJavaScript(scalar, args))
  const made = write?.({ name, args, distinct, ...behind })
  return made === undefined
    ? plainCall(call, `${distinct ? "DISTINCT " : ""}${args.map((arg) => arg.sql).join(", ")}`)
    : writtenAs(call, made, end)
}

/** The call whose name is at a token, with what stands behind its bracket. */
export const callAt = (context: Context, at: number): Reading => {
  const { partner, tokens } = context
  const token = tokens[at]!
  const open = at + 1
  const ranges = argumentsOf(context, open)
  const call: Call = { context, at, token, name: token.value, open, close: partner.get(open)!, ranges }
  return (
    worded.get(call.name)?.(call) ?? ofStar(call) ?? refused(call) ?? percentile(call) ?? libraryCall(call)
  )
}
