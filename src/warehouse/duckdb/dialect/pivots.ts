/**
 * PIVOT and UNPIVOT, with the names that Snowflake gives to their columns.
 *
 * @since 0.1.0
 */
import { fromDuckDb, inDuckDb, literal, quoted } from "../../../sql/Identifier.js"
import { find } from "./clauses.js"
import type { Context, Rule } from "./context.js"
import { emit, reading } from "./context.js"
import * as Library from "./library.js"
import { operandPiece } from "./operators.js"
import { refuse } from "./refusal.js"
import type { Range } from "./source.js"
import { argumentsOf, isWord, textOf } from "./source.js"

interface Brackets {
  readonly open: number
  readonly close: number
  /** IN, and the end of its list. */
  readonly list: number
  readonly listEnd: number
}

/** The bracket of PIVOT or UNPIVOT at a token, with its `IN (...)`. */
const bracketsAt = (context: Context, open: number): Brackets | undefined => {
  const { partner, tokens } = context
  const close = partner.get(open)
  if (close === undefined) return undefined
  const inside = tokens[open]!.depth + 1
  const list = find(context, open + 1, close, (token) => isWord(token, "IN") && token.depth === inside)
  const listEnd = tokens[list + 1]?.text === "(" ? partner.get(list + 1) : undefined
  return list < 0 || listEnd === undefined ? undefined : { open, close, list, listEnd }
}

/** A value of PIVOT: Snowflake names its column by the literal as it is written, with its quotes. */
const pivoted = (context: Context, [start, end]: Range): string => {
  const { tokens } = context
  const value = tokens[start]!
  if (end === start + 1) {
    const name = value.kind === "string" ? inDuckDb(`'${value.value}'`) : value.text
    return `${emit(context, start, end)} AS ${quoted(name)}`
  }
  const alias = tokens[end - 1]!
  const last = isWord(tokens[end - 2], "AS") ? end - 2 : end - 1
  return `${emit(context, start, last)} AS ${alias.kind === "string" ? quoted(inDuckDb(alias.value)) : alias.text}`
}

/** `t PIVOT (SUM(amount) FOR month IN ('JAN', 'FEB' AS feb))` */
export const pivot: Rule = ({ at, context }) => {
  const { tokens } = context
  const brackets = bracketsAt(context, at + 1)
  if (brackets === undefined) return undefined
  const { close, list, listEnd, open } = brackets
  if (isWord(tokens[list + 2], "ANY", "SELECT"))
    return refuse(
      "PIVOT with ANY or a subquery is not supported by the embedded warehouse; list the values: IN ('a', 'b')"
    )
  if (listEnd + 1 < close && isWord(tokens[listEnd + 1], "DEFAULT"))
    return refuse(
      "PIVOT with DEFAULT ON NULL is not supported by the embedded warehouse; use COALESCE on its columns"
    )
  const values = argumentsOf(context, list + 1).map((range) => pivoted(context, range))
  const aggregate = tokens[open + 1]!.value.toUpperCase()
  if (Library.isOfTwo(aggregate))
    return refuse(
      `PIVOT with ${aggregate} is not supported by the embedded warehouse; write ${aggregate}(IFF(month = 'Jan', amount, NULL)) for each column`
    )
  const sql = `PIVOT (${emit(context, open + 1, list)} IN (${values.join(", ")}))`
  return reading(operandPiece(sql), close + 1)
}

/** `t UNPIVOT INCLUDE NULLS (sales FOR month IN (jan, feb AS 'F'))`: the aliases of the columns are its values. */
export const unpivot: Rule = ({ at, context }) => {
  const { tokens } = context
  const hasNulls = isWord(tokens[at + 1], "INCLUDE", "EXCLUDE") && isWord(tokens[at + 2], "NULLS")
  const nulls = hasNulls ? `${tokens[at + 1]!.value} NULLS ` : ""
  const brackets = bracketsAt(context, hasNulls ? at + 3 : at + 1)
  if (brackets === undefined) return undefined
  const { close, list, open } = brackets
  const columns = argumentsOf(context, list + 1).map(([start, end]) => {
    const shown = fromDuckDb(tokens[end > start + 1 ? end - 1 : start]!.value)
    return `${tokens[start]!.text} AS ${literal(shown)}`
  })
  const sql = `UNPIVOT ${nulls}(${textOf(context, open + 1, list)} IN (${columns.join(", ")}))`
  return reading(operandPiece(sql), close + 1)
}
