/**
 * Clauses and operators that DuckDB writes differently.
 *
 * @since 0.1.0
 */
import { hiddenInformationSchema, informationSchema } from "../catalog.js"
import type { Edit, Source } from "./edits.js"
import { argumentsOf, isWord, operandStart } from "./edits.js"

const setOperators = ["UNION", "INTERSECT", "EXCEPT", "MINUS"]

/** `SELECT TOP 5 ...`: a LIMIT at the end of that SELECT. */
const top = ({ tokens }: Source, index: number): ReadonlyArray<Edit> => {
  const count = tokens[index + 1]
  const before = tokens[index - 1]
  if (!isWord(before, "SELECT", "DISTINCT", "ALL") || count?.kind !== "number") return []
  const depth = tokens[index]!.depth
  let end = index + 2
  for (; end < tokens.length && tokens[end]!.depth >= depth; end++) {
    // Where the LIMIT belongs is not plain then.
    if (tokens[end]!.depth === depth && isWord(tokens[end], "LIMIT", "FETCH", ...setOperators)) return []
  }
  // The bracket that ends the SELECT is outside of it.
  const last = tokens[end - 1]!
  return [
    { start: tokens[index]!.start, end: count.end, text: "" },
    { start: last.end, end: last.end, text: ` LIMIT ${count.value}` }
  ]
}

/** `FROM TABLE(FLATTEN(...))` and `TABLE(GENERATOR(ROWCOUNT => n))`: no TABLE around it. */
const table = (from: Source, index: number): ReadonlyArray<Edit> => {
  const { partner, tokens } = from
  const inner = tokens[index + 2]
  const close = partner.get(index + 1)
  if (tokens[index + 1]?.text !== "(" || close === undefined || !isWord(inner)) return []
  const unwrap = [
    { start: tokens[index]!.start, end: tokens[index + 1]!.end, text: "" },
    { start: tokens[close]!.start, end: tokens[close]!.end, text: "" }
  ]
  if (inner.value === "FLATTEN") return unwrap
  if (inner.value !== "GENERATOR") return []
  const rows = argumentsOf(from, index + 3).find(([start]) => isWord(tokens[start], "ROWCOUNT"))
  const count = rows === undefined ? undefined : tokens[rows[0] + 2]
  return count?.kind === "number"
    ? [{ start: tokens[index]!.start, end: tokens[close]!.end, text: `range(${count.value})` }]
    : []
}

/** The names of FLATTEN's arguments that DuckDB keeps for itself. */
const flatten = (from: Source, index: number): ReadonlyArray<Edit> =>
  argumentsOf(from, index + 1).flatMap(([start]) => {
    const name = from.tokens[start]!
    return isWord(name, "OUTER") ? [{ start: name.start, end: name.end, text: "keep" }] : []
  })

/** `t SAMPLE (10)` is per cent, `t SAMPLE (10 ROWS)` is rows. */
const sample = (from: Source, index: number): ReadonlyArray<Edit> => {
  const { partner, tokens } = from
  const method = isWord(tokens[index + 1], "BERNOULLI", "ROW", "SYSTEM", "BLOCK") ? 1 : 0
  const open = index + 1 + method
  const close = partner.get(open)
  const count = tokens[open + 1]
  if (tokens[open]?.text !== "(" || close === undefined || count?.kind !== "number") return []
  if (tokens[index - 1]?.text === "USING" || tokens[index - 1]?.kind === "operator") return []
  const rows = isWord(tokens[open + 2], "ROWS")
  if (close !== open + (rows ? 3 : 2)) return []
  const text = rows ? `TABLESAMPLE reservoir(${count.value} ROWS)` : `TABLESAMPLE bernoulli(${count.value}%)`
  return [{ start: tokens[index]!.start, end: tokens[close]!.end, text }]
}

/** `x LIKE ANY ('a%', 'b%')` as a call. */
const likeAny = (from: Source, index: number): ReadonlyArray<Edit> => {
  const { partner, tokens } = from
  const operator = tokens[index]!
  const quantifier = tokens[index + 1]
  const close = partner.get(index + 2)
  if (!isWord(quantifier, "ANY", "ALL") || tokens[index + 2]?.text !== "(" || close === undefined) return []
  const negated = isWord(tokens[index - 1], "NOT")
  const operand = operandStart(from, index - (negated ? 2 : 1))
  if (operand === undefined) return []
  const start = tokens[operand]!.start
  const name = `sg_${operator.value.toLowerCase()}_${quantifier.value.toLowerCase()}`
  const from_ = negated ? tokens[index - 1]! : operator
  return [
    { start, end: start, text: `${negated ? "NOT " : ""}${name}(` },
    { start: from_.start, end: tokens[index + 2]!.end, text: ", [" },
    { start: tokens[close]!.start, end: tokens[close]!.end, text: "])" }
  ]
}

/** `FROM VALUES (1), (2)`: in brackets. */
const values = ({ partner, tokens }: Source, index: number): ReadonlyArray<Edit> => {
  if (!isWord(tokens[index - 1], "FROM", "JOIN") && tokens[index - 1]?.text !== ",") return []
  let close: number | undefined
  for (let at = index + 1; tokens[at]?.text === "("; at = close + 2) {
    close = partner.get(at)
    if (close === undefined) return []
    if (tokens[close + 1]?.text !== ",") break
  }
  if (close === undefined) return []
  const start = tokens[index]!.start
  const end = tokens[close]!.end
  return [
    { start, end: start, text: "(" },
    { start: end, end, text: ")" }
  ]
}

const word = (from: Source, index: number): ReadonlyArray<Edit> => {
  const { tokens } = from
  const token = tokens[index]!
  const next = tokens[index + 1]
  const replace = (text: string) => [{ start: token.start, end: token.end, text }]
  switch (token.value) {
    case "TOP":
      return top(from, index)
    case "TABLE":
      return table(from, index)
    case "FLATTEN":
      return next?.text === "(" ? flatten(from, index) : []
    case "SAMPLE":
    case "TABLESAMPLE":
      return sample(from, index)
    case "LIKE":
    case "ILIKE":
      return likeAny(from, index)
    case "RLIKE":
    case "REGEXP":
      return next?.text === "(" || tokens[index - 1]?.text === "." ? [] : replace("SIMILAR TO")
    case "VALUES":
      return values(from, index)
    case "MINUS":
      return isWord(next, "SELECT", "ALL") || next?.text === "(" ? replace("EXCEPT") : []
    case informationSchema:
      return next?.text === "." ? replace(`"${hiddenInformationSchema}"`) : []
    default:
      return []
  }
}

/**
 * @since 0.1.0
 * @category rules
 */
export const syntax = (from: Source): ReadonlyArray<Edit> =>
  from.tokens.flatMap((token, index): ReadonlyArray<Edit> => {
    if (token.kind === "word") return word(from, index)
    if (
      token.kind === "quoted" &&
      token.value === informationSchema &&
      from.tokens[index + 1]?.text === "."
    ) {
      return [{ start: token.start, end: token.end, text: `"${hiddenInformationSchema}"` }]
    }
    // DuckDB would read a name and a string.
    return token.kind === "hex"
      ? [{ start: token.start, end: token.end, text: `unhex('${token.value}')` }]
      : []
  })
