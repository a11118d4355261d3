/**
 * What stands in a FROM: VALUES, joins, samples, and what the embedded warehouse has nothing for.
 *
 * @since 0.1.0
 */
import { lacksCondition } from "./clauses.js"
import type { Rule } from "./context.js"
import { argumentsAt, emit, hasBracket, reading } from "./context.js"
import type { Argument } from "./library.js"
import { operandPiece, symbolPiece } from "./operators.js"
import { refuse } from "./refusal.js"
import { isWord } from "./source.js"

const isMoment = (kind: Argument["kind"] | undefined): boolean =>
  kind === "date" || kind === "timestamp" || kind === "time"

/** The rows of VALUES with Snowflake's names for their columns. */
const namedRows = (rows: ReadonlyArray<ReadonlyArray<Argument>>): string => {
  const columns = rows.reduce((most, row) => Math.max(most, row.length), 0)
  const kinds = Array.from({ length: columns }, (_, index) =>
    rows.map((row) => row[index]?.kind).find(isMoment)
  )
  // A text beside a date in one column is a date.
  const cell = ({ kind, sql }: Argument, index: number): string =>
    kinds[index] !== undefined && kind === "text" ? `sg_${kinds[index]}(${sql})` : sql
  const shown = rows.map((row) => `(${row.map(cell).join(", ")})`).join(", ")
  const names = kinds.map((_, index) => `column${index + 1}`).join(", ")
  return `(SELECT * FROM (VALUES ${shown}) AS sg_v(${names}))`
}

/** `VALUES (1, 'a'), (2, 'b')` */
export const values: Rule = ({ at, context }) => {
  const { partner, tokens } = context
  if (isWord(tokens[at - 1], "AS")) return undefined
  const rows: Array<ReadonlyArray<Argument>> = []
  let end = at + 1
  while (tokens[end]?.text === "(") {
    rows.push(argumentsAt(context, end))
    end = partner.get(end)! + 1
    if (tokens[end]?.text !== "," || tokens[end + 1]?.text !== "(") break
    end++
  }
  return rows.length === 0 ? undefined : reading(operandPiece(namedRows(rows)), end)
}

/** `FROM LATERAL FLATTEN(...)`: DuckDB has LATERAL behind a table only. */
export const lateral: Rule = ({ at, context }) =>
  isWord(context.tokens[at - 1], "FROM") ? { pieces: [], end: at + 1, replaced: 0 } : undefined

/** `a JOIN b` and `a INNER JOIN b` without a condition, which is a cross join. */
export const crossJoin: Rule = ({ at, context, end, next, token }) => {
  const before = context.tokens[at - 1]
  if (isWord(before, "NATURAL", "ASOF")) return undefined
  if (
    isWord(token, "JOIN")
      ? isWord(before, "INNER", "CROSS", "LEFT", "RIGHT", "FULL", "OUTER")
      : !isWord(next, "JOIN")
  )
    return undefined
  const table = isWord(token, "JOIN") ? at + 1 : at + 2
  return lacksCondition(context, table, end) ? reading(symbolPiece("CROSS JOIN", "JOIN"), table) : undefined
}

/** `a ASOF JOIN b`: rows of the left side without a match stay. */
export const asofJoin: Rule = ({ at }) => reading(symbolPiece("ASOF LEFT", "ASOF"), at + 1)

/** `ASOF JOIN b MATCH_CONDITION (a.t >= b.t) ON a.k = b.k`: DuckDB has one condition. */
export const matchCondition: Rule = (place) => {
  const { at, context } = place
  if (!hasBracket(place)) return undefined
  const { partner, tokens } = context
  const close = partner.get(at + 1)!
  const condition = emit(context, at + 2, close)
  if (isWord(tokens[close + 1], "ON")) return reading(symbolPiece(`ON (${condition}) AND`, "ON"), close + 2)
  return isWord(tokens[close + 1], "USING") && partner.has(close + 2)
    ? undefined
    : reading(symbolPiece(`ON (${condition})`, "ON"), close + 1)
}

/** `t SAMPLE (10)` is per cent, `t SAMPLE (10 ROWS)` is rows; `t TABLESAMPLE BERNOULLI (10)`. */
export const sample: Rule = ({ at, context, last }) => {
  const { partner, tokens } = context
  const open = isWord(tokens[at + 1], "BERNOULLI", "ROW", "SYSTEM", "BLOCK") ? at + 2 : at + 1
  const close = partner.get(open)
  const size = tokens[open + 1]
  if (tokens[open]?.text !== "(" || close === undefined || size?.kind !== "number") return undefined
  const isRows = isWord(tokens[open + 2], "ROWS")
  if (close !== open + (isRows ? 3 : 2) || last?.operand !== true) return undefined
  const method = isRows ? `reservoir(${size.text} ROWS)` : `bernoulli(${size.text}%)`
  return reading(symbolPiece(`TABLESAMPLE ${method}`, "SAMPLE"), close + 1)
}

/** `t MATCH_RECOGNIZE (...)` */
export const rowPattern: Rule = (place) => {
  const { at, context, last } = place
  return hasBracket(place) && (last?.operand === true || isWord(context.tokens[at - 1], "AS"))
    ? refuse("MATCH_RECOGNIZE is not supported by the embedded warehouse; use window functions and QUALIFY")
    : undefined
}

/** `t AT (OFFSET => -60)`, `t BEFORE (STATEMENT => '...')`, `t CHANGES (INFORMATION => DEFAULT)` */
export const timeTravel: Rule = (place) => {
  const { at, context, last, token } = place
  return hasBracket(place) && last?.operand === true && context.tokens[at + 3]?.text === "=>"
    ? refuse(`${token.value} (...) is not supported: the embedded warehouse keeps no earlier data`)
    : undefined
}
