/**
 * The list of a SELECT, and the names that Snowflake gives to what it lists.
 *
 * @since 0.1.0
 */
import { quoted, upper } from "../../../sql/Identifier.js"
import { endOfSelect, endsList, isKeyword, pastBracket } from "./clauses.js"
import { connectBy } from "./connectBy.js"
import type { Context, Rule } from "./context.js"
import { emit, hasBracket, reading } from "./context.js"
import type { Item } from "./operators.js"
import { join, symbolPiece } from "./operators.js"
import { isName, isWord, textOf } from "./source.js"

interface Listed extends Item {
  readonly sql: string
}

/** Whether an item ends with a name for it: `a + 1 AS b`, `a + 1 b`. */
const hasAlias = ({ tokens }: Context, start: number, end: number): boolean => {
  const [before, last] = [tokens[end - 2], tokens[end - 1]]
  if (end <= start + 1 || before === undefined || !isName(last)) return false
  if (isWord(last, "END", "NULL", "TRUE", "FALSE")) return false
  return isWord(before, "AS") || (before.kind !== "operator" && before.kind !== "open" && !isKeyword(before))
}

/** Whether an item is a name alone: `a`, `t.a`. */
const isColumnName = ({ tokens }: Context, start: number, end: number): boolean => {
  let at = start
  while (isName(tokens[at]) && tokens[at + 1]?.text === "." && at + 2 < end) at += 2
  return at === end - 1 && isName(tokens[at])
}

/** An item of a list with the name that Snowflake would give it: `UPPER(a)` is `"UPPER(A)"`. */
const item = (context: Context, start: number, end: number): Listed => {
  const { tokens } = context
  const list = context.read(context, start, end)
  const sql = join(list)
  const isStar =
    tokens[start]?.text === "*" ||
    tokens.slice(start, end).some((token, index, all) => token.text === "*" && all[index - 1]?.text === ".")
  const isAliased = hasAlias(context, start, end)
  const isNamed = isAliased || isColumnName(context, start, end)
  const name = isNamed ? tokens[end - 1]?.text : undefined
  const aliasPieces = !isAliased ? 0 : isWord(tokens[end - 2], "AS") ? 2 : 1
  const value = !isStar && list.length === aliasPieces + 1 ? list[0] : undefined
  if (isStar || isNamed || isWord(tokens[start], "COLUMNS")) return { sql, name, value, isStar }
  const shown = textOf(context, start, end)
  // The gate reads no backslash and no control character in a name.
  if (/[\\\u0000-\u0008\u000b-\u001f]/.test(shown)) return { sql, name, value, isStar }
  const made = quoted(upper(shown.replace(/\s+/g, " ")))
  return { sql: `${sql} AS ${made}`, name: made, value, isStar }
}

/** The items from a token on, up to the end of the list. */
const itemsAt = (
  context: Context,
  start: number,
  depth: number,
  limit: number
): { readonly items: ReadonlyArray<Listed>; readonly end: number } => {
  const items: Array<Listed> = []
  let from = start
  let end = start
  for (; end < limit; end++) {
    const token = context.tokens[end]!
    if (token.depth < depth) break
    if (token.depth !== depth) continue
    if (endsList(context, end)) break
    if (token.kind === "operator" && token.value === ",") {
      items.push(item(context, from, end))
      from = end + 1
    }
  }
  if (end > from) items.push(item(context, from, end))
  return { items, end }
}

/** `SELECT DISTINCT TOP 3 a, b + 1`: TOP is a LIMIT at the end of the query. */
const selectList: Rule = ({ at, context, end, token }) => {
  const { tokens } = context
  let start = at + 1
  let head = "SELECT"
  while (isWord(tokens[start], "DISTINCT", "ALL")) head += ` ${tokens[start++]!.value}`
  const top =
    isWord(tokens[start], "TOP") && tokens[start + 1]?.kind === "number" ? tokens[start + 1] : undefined
  if (top !== undefined) start += 2
  const { end: listEnd, items } = itemsAt(context, start, token.depth, end)
  const sql = `${head} ${items.map((each) => each.sql).join(", ")}`
  const list = { ...symbolPiece(sql, "SELECT"), items }
  if (top === undefined) return reading(list, listEnd)
  const stop = endOfSelect(context, listEnd, token.depth, end)
  return {
    pieces: [list, ...context.read(context, listEnd, stop), symbolPiece(`LIMIT ${top.text}`, "LIMIT")],
    end: stop,
    replaced: 0
  }
}

/** A SELECT: all of it where it has a CONNECT BY, its list elsewhere. */
export const select: Rule = (place) => {
  const { at, context, end, token } = place
  const stop = endOfSelect(context, at, token.depth, end)
  const tree = connectBy(context, at, stop)
  return tree === undefined ? selectList(place) : reading(symbolPiece(tree, "SELECT"), stop)
}

/** `* EXCLUDE (a, b)`, `* RENAME (a AS b)`, `* REPLACE (a + 1 AS a)`: no call. */
export const starColumns: Rule = (place) => {
  const { at, context, token } = place
  if (context.tokens[at - 1]?.text !== "*" || !hasBracket(place)) return undefined
  const past = pastBracket(context, at + 1)
  return reading(symbolPiece(`${token.text} (${emit(context, at + 2, past - 1)})`, token.value), past)
}
