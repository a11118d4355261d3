/**
 * What SQL macros cost: how large a call becomes once it is replaced by the macro's text, with the macros
 * in that text replaced too. Macros that repeat their arguments make nested calls grow exponentially.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import { duckdb } from "../../sql/Dialect.js"
import * as DuckDb from "./DuckDbFunctions.js"
import { tokenize } from "../../sql/Lexer.js"
import type { Token } from "../../sql/Lexer.js"

/**
 * A call costs `own`, and `times` what its arguments cost.
 *
 * @since 0.1.0
 * @category models
 */
export interface MacroCost {
  readonly own: number
  readonly times: number
}

interface Overload {
  readonly name: string
  readonly parameters: ReadonlySet<string>
  readonly body: ReadonlyArray<Token>
}

/** More than any statement may cost, so that products stay finite. */
const most = 1e9
/** How deep macros may use macros; deeper ones are underestimated. */
const rounds = 12

/**
 * A macro whose text is not known: no macro of DuckDB's that is allowed repeats an argument more often.
 *
 * @since 0.1.0
 * @category models
 */
export const someMacro: MacroCost = { own: 10, times: 6 }

const ofDuckDb: ReadonlyArray<readonly [string, MacroCost]> = [...DuckDb.macros].map((name) => [
  name.toUpperCase(),
  someMacro
])

const closing = (tokens: ReadonlyArray<Token>, open: number): number => {
  let at = open + 1
  while (at < tokens.length && !(tokens[at]!.kind === "close" && tokens[at]!.depth === tokens[open]!.depth))
    at++
  return at
}

/** The overloads of `name(a, b) AS body, (a) AS body`, which begin with the bracket at `open`. */
const overloads = (tokens: ReadonlyArray<Token>, name: string, open: number): ReadonlyArray<Overload> => {
  const found: Array<Overload> = []
  let at = open
  while (tokens[at]?.text === "(") {
    const end = closing(tokens, at)
    const inside = tokens.slice(at + 1, end)
    const parameters = inside
      .filter((_, i) => i === 0 || inside[i - 1]!.text === ",")
      .map((token) => token.value)
    let stop = end + 1
    const next = () =>
      tokens[stop]!.depth === 0 && (tokens[stop]!.text === ";" || isNextOverload(tokens, stop))
    while (stop < tokens.length && !next()) stop++
    found.push({ name, parameters: new Set(parameters), body: tokens.slice(end + 2, stop) })
    if (tokens[stop]?.text !== ",") break
    at = stop + 1
  }
  return found
}

/** A comma at the top, then `(...) AS`. */
const isNextOverload = (tokens: ReadonlyArray<Token>, comma: number): boolean =>
  tokens[comma]!.text === "," &&
  tokens[comma + 1]?.text === "(" &&
  tokens[closing(tokens, comma + 1) + 1]?.value === "AS"

const costOf = (overload: Overload, known: ReadonlyMap<string, MacroCost>): MacroCost => {
  const uses = new Map<string, number>()
  const factors: Array<number> = []
  let factor = 1
  let own = 1
  overload.body.forEach((token, at) => {
    own += factor
    if (token.kind === "open") {
      const before = overload.body[at - 1]
      // `system.main.f` is DuckDB's own function of that name.
      const builtin = overload.body[at - 2]?.text === "." && overload.body[at - 5]?.value === "SYSTEM"
      const called = before?.kind === "word" && !builtin ? known.get(before.value) : undefined
      factors.push(factor)
      if (called === undefined) return
      own += factor * called.own
      factor = Math.min(most, factor * called.times)
    } else if (token.kind === "close") {
      factor = factors.pop() ?? 1
    } else if (
      token.kind === "word" &&
      overload.parameters.has(token.value) &&
      overload.body[at - 1]?.text !== "."
    ) {
      uses.set(token.value, (uses.get(token.value) ?? 0) + factor)
    }
  })
  return { own: Math.min(most, own), times: Math.min(most, Math.max(1, ...uses.values())) }
}

/**
 * The macros that `sql` creates (`CREATE MACRO name(a, b) AS ..., (a) AS ...;`), by name in upper case.
 *
 * @since 0.1.0
 * @category estimating
 */
export const ofDefinitions = (sql: string): Either.Either<ReadonlyMap<string, MacroCost>, string> => {
  // Only defaults of parameters are written with `:=`, which the lexer refuses.
  const lexed = tokenize(sql.replaceAll(":=", "=>"), duckdb, { bytes: 1e7, tokens: 1e6, depth: 200 })
  if (Either.isLeft(lexed)) return Either.left(lexed.left.message)
  const tokens = lexed.right
  const all: Array<Overload> = []
  for (let at = 0; at < tokens.length; at++) {
    if (tokens[at]!.depth > 0 || tokens[at]!.value !== "MACRO") continue
    let open = at + 1
    while (open < tokens.length && tokens[open]!.text !== "(") open++
    all.push(...overloads(tokens, tokens[open - 1]!.value.toUpperCase(), open))
  }
  const builtin = new Map(ofDuckDb)
  let known = builtin
  for (let round = 0; round < rounds; round++) {
    const next = new Map(builtin)
    for (const overload of all) {
      const cost = costOf(overload, known)
      // A macro of DuckDB's own that is defined anew is no longer used.
      const other =
        next.get(overload.name) === builtin.get(overload.name) ? undefined : next.get(overload.name)
      next.set(overload.name, {
        own: Math.max(cost.own, other?.own ?? 0),
        times: Math.max(cost.times, other?.times ?? 0)
      })
    }
    known = next
  }
  const defined = new Set(all.map((overload) => overload.name))
  return Either.right(new Map([...known].filter(([name]) => defined.has(name))))
}
