/**
 * Where the clauses of a statement begin and end, and which of them a word is in: what the tokens alone tell.
 *
 * @since 0.1.0
 */
import type { Token } from "../../../sql/Lexer.js"
import { comparisons, setOperators, sortFollows } from "./operators.js"
import type { Source } from "./source.js"
import { isName, isWord } from "./source.js"
import type { Metered } from "./work.js"

/** Words that are no operand, so that a bracket after them is no call and `[` no subscript. */
const keywords = new Set(
  (
    "SELECT FROM WHERE AND OR NOT ON IN IS AS BY CASE WHEN THEN ELSE HAVING QUALIFY LIMIT OFFSET UNION ALL ANY " +
    "DISTINCT BETWEEN LIKE ILIKE RLIKE REGEXP EXISTS VALUES USING JOIN OVER INTERSECT EXCEPT MINUS WITH RECURSIVE " +
    "INNER OUTER CROSS NATURAL LATERAL ORDER GROUP PARTITION ROWS RANGE GROUPS PRECEDING FOLLOWING UNBOUNDED SETS ROLLUP CUBE " +
    "ESCAPE NULLS ASC DESC TOP FETCH ASOF PIVOT UNPIVOT FOR TABLESAMPLE SAMPLE WINDOW WITHIN IGNORE RESPECT CONNECT START PRIOR " +
    "FILTER EXCLUDE RENAME INTERVAL MATCH_CONDITION"
  ).split(" ")
)

/** What a value of a comparison ends at. */
const boundaries = new Set(
  (
    "AND OR NOT WHERE WHEN THEN ELSE CASE END SELECT DISTINCT ON HAVING QUALIFY BY FROM JOIN GROUP ORDER LIMIT UNION INTERSECT " +
    "EXCEPT MINUS AS IN IS LIKE ILIKE RLIKE REGEXP BETWEEN ESCAPE ASC DESC NULLS OVER WINDOW ALL USING INNER LEFT RIGHT FULL CROSS"
  ).split(" ")
)

/** What the list of a SELECT ends at. */
const afterList = new Set([
  ..."FROM WHERE GROUP HAVING QUALIFY WINDOW ORDER LIMIT OFFSET FETCH START CONNECT".split(" "),
  ...setOperators
])

/** What the tables of a FROM end at. */
const afterTables = new Set([
  ..."WHERE GROUP ORDER HAVING QUALIFY LIMIT WINDOW CONNECT START".split(" "),
  ...setOperators
])

/** DuckDB's name of a subquery that has none. */
const unnamedSubquery = "unnamed_subquery"

export const isKeyword = (token: Token | undefined): boolean =>
  token?.kind === "word" && keywords.has(token.value)

/** A word at which a value, or the list of tables that it is in, ends: no alias. */
export const isReserved = (token: Token | undefined): boolean =>
  token?.kind === "word" && (keywords.has(token.value) || boundaries.has(token.value))

/** The token after the bracket that opens at one. */
export const pastBracket = ({ partner }: Source, open: number): number => (partner.get(open) ?? open) + 1

/** The first token from `start` to before `end` that is such a one; -1 where none is. */
export const find = (
  { tokens, work }: Metered,
  start: number,
  end: number,
  isFound: (token: Token) => boolean
): number => {
  for (let index = start; index < end; index++) {
    work.look(1)
    if (isFound(tokens[index]!)) return index
  }
  return -1
}

/** The SELECT around a token. */
export const selectAround = ({ tokens, work }: Metered, at: number): number | undefined => {
  let lowest = tokens[at]?.depth ?? 0
  for (let index = at; index >= 0; index--) {
    work.look(1)
    lowest = Math.min(lowest, tokens[index]!.depth)
    if (isWord(tokens[index], "SELECT") && tokens[index]!.depth <= lowest) return index
  }
  return undefined
}

/** Where the SELECT at a depth ends that a token is in: at a set operator, a bracket, the limit. */
export const endOfSelect = ({ tokens, work }: Metered, at: number, depth: number, limit: number): number => {
  let end = at
  while (end < limit && tokens[end]!.depth >= depth) {
    work.look(1)
    const token = tokens[end]!
    if (token.depth === depth && token.kind === "word" && setOperators.includes(token.value)) return end
    end++
  }
  return end
}

/** The word with which a clause of a SELECT begins; -1 where the SELECT, up to `end`, has none. */
export const clauseAt = (from: Metered, select: number, end: number, word: string): number => {
  const { depth } = from.tokens[select]!
  return find(from, select, end, (token) => token.depth === depth && isWord(token, word))
}

/** Whether the list of a SELECT ends before a token. */
export const endsList = ({ tokens }: Source, at: number): boolean => {
  const token = tokens[at]!
  if (token.kind !== "word" || !afterList.has(token.value)) return false
  const before = tokens[at - 1]
  // `WITHIN GROUP`, `IS DISTINCT FROM`, `* EXCEPT (a)`.
  return !(
    before?.value === "WITHIN" ||
    (token.value === "FROM" && before?.value === "DISTINCT") ||
    (token.value === "EXCEPT" && before?.text === "*")
  )
}

/** The alias or the name of the first table of the SELECT around a token. */
export const tableAround = (from: Metered, at: number): string | undefined => {
  const { tokens, work } = from
  const select = selectAround(from, at) ?? 0
  const { depth } = tokens[select]!
  for (let index = select; index < tokens.length && tokens[index]!.depth >= depth; index++) {
    work.look(1)
    if (tokens[index]!.depth !== depth || !isWord(tokens[index], "FROM")) continue
    // `a IS DISTINCT FROM b`
    if (isWord(tokens[index - 1], "DISTINCT")) continue
    let end = index + 1
    let name: string | undefined
    if (tokens[end]?.text === "(") {
      end = pastBracket(from, end)
      name = unnamedSubquery
    } else {
      while (isName(tokens[end])) {
        name = tokens[end]!.text
        end++
        if (tokens[end]?.text === ".") end++
        else break
      }
    }
    if (isWord(tokens[end], "AS")) end++
    const alias = tokens[end]
    return isName(alias) && !isReserved(alias) ? alias.text : name
  }
  return undefined
}

/** Whether no ON and no USING follows the table after JOIN, which is a cross join for Snowflake. */
export const lacksCondition = (from: Metered, at: number, limit: number): boolean => {
  const { tokens, work } = from
  const depth = tokens[at]?.depth ?? 0
  for (let index = at; index < limit && tokens[index]!.depth >= depth; index++) {
    const token = tokens[index]!
    work.look(1)
    if (token.depth !== depth) continue
    if (isWord(token, "ON", "USING", "MATCH_CONDITION")) return false
    if ((token.kind === "word" && afterTables.has(token.value)) || token.text === "," || token.text === ";")
      return true
    // `a JOIN b JOIN c ON .. ON ..` has its conditions at its end.
    if (isWord(token, "JOIN") && index > at)
      return find(from, index, tokens.length, (each) => each.depth === depth && isWord(each, "ON")) < 0
  }
  return true
}

/** Where the side of a comparison ends that begins at a token. */
export const endOfSide = ({ tokens, work }: Metered, at: number, limit: number): number => {
  const depth = tokens[at]?.depth ?? 0
  let end = at
  while (end < limit && tokens[end]!.depth >= depth) {
    const token = tokens[end]!
    work.look(1)
    if (
      token.depth === depth &&
      end > at &&
      ((token.kind === "word" && boundaries.has(token.value) && tokens[end + 1]?.text !== "(") ||
        (token.kind === "operator" && comparisons.has(token.value)))
    )
      break
    end++
  }
  return end
}

/** Whether a value of one token is a whole item of ORDER BY. */
export const isSortItem = ({ tokens }: Source, at: number): boolean => {
  const [before, after] = [tokens[at - 1], tokens[at + 1]]
  return (
    (before?.text === "," || isWord(before, "BY")) &&
    (after === undefined || after.kind === "close" || sortFollows.has(after.value))
  )
}

/** Whether a name is that of a CTE with its columns: `, name (a, b) AS (`. */
export const isCteName = ({ partner, tokens }: Source, at: number): boolean => {
  if (tokens[at + 1]?.text !== "(") return false
  const close = partner.get(at + 1)
  return (
    close !== undefined &&
    isWord(tokens[close + 1], "AS") &&
    tokens[close + 2]?.text === "(" &&
    (tokens[at - 1]?.text === "," || isWord(tokens[at - 1], "WITH", "RECURSIVE"))
  )
}
