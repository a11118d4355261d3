/**
 * The names that Snowflake would give to the columns of a result.
 *
 * DuckDB keeps the case in which a name was written; Snowflake folds what was not quoted to upper case and
 * names an expression by its text: `select id, count(*) n, "x"` has the columns `ID`, `N` and `x`, and
 * `sum(total)` is `SUM(TOTAL)`.
 *
 * @since 0.1.0
 */
import { exactFromDuckDb, fromDuckDb, sameInDuckDb, upper } from "../../sql/Identifier.js"
import type { Token } from "../../sql/Lexer.js"

/** Words that end the list of a SELECT. */
const afterList = new Set([
  ...["FROM", "WHERE", "GROUP", "HAVING", "QUALIFY", "WINDOW", "ORDER", "LIMIT", "OFFSET", "FETCH"],
  ...["UNION", "INTERSECT", "EXCEPT", "MINUS"]
])

const beforeList = new Set(["DISTINCT", "ALL"])

/** The items of the outermost SELECT list, each as its tokens; undefined where there is none to be seen. */
export const selectList = (tokens: ReadonlyArray<Token>): ReadonlyArray<ReadonlyArray<Token>> | undefined => {
  let depth = 0
  while (tokens[depth]?.kind === "open") depth++
  let at = tokens.findIndex(
    (token) => token.kind === "word" && token.value === "SELECT" && token.depth === depth
  )
  if (at < 0) return undefined
  at++
  if (tokens[at]?.kind === "word" && beforeList.has(tokens[at]!.value)) at++
  if (tokens[at]?.value === "TOP" && tokens[at + 1]?.kind === "number") at += 2
  const items: Array<Array<Token>> = [[]]
  for (; at < tokens.length; at++) {
    const token = tokens[at]!
    if (token.depth < depth) break
    if (token.depth === depth) {
      const before = tokens[at - 1]?.value
      const continues = before === "WITHIN" || (token.value === "FROM" && before === "DISTINCT")
      if (token.kind === "word" && afterList.has(token.value) && !continues) break
      if (token.kind === "operator" && token.value === ";") break
      if (token.kind === "operator" && token.value === ",") {
        items.push([])
        continue
      }
    }
    items[items.length - 1]!.push(token)
  }
  return items
}

/** `*`, `t.*` and what may follow them stand for a number of columns that only the warehouse knows. */
const isStar = (item: ReadonlyArray<Token>): boolean => {
  const [first, second, third] = item
  if (first?.value === "*") return true
  if (first?.value === "COLUMNS") return true
  return item.length > 1 && second?.value === "." && (third?.value === "*" || isStar(item.slice(2)))
}

const folded = (name: string): string => (name === "count_star()" ? "COUNT(*)" : upper(name))

/**
 * `names` are what DuckDB calls the columns of the statement that `tokens` are of, `sql` its text.
 *
 * @since 0.1.0
 * @category conversions
 */
export const resultNames = (
  sql: string,
  tokens: ReadonlyArray<Token>,
  names: ReadonlyArray<string>
): ReadonlyArray<string> => {
  const items = selectList(tokens)
  if (items === undefined || items.length !== names.length || items.some(isStar)) {
    // Those with letters in lower case are told from the others; names of tables are upper case already.
    return names.map((name) => exactFromDuckDb(name, folded))
  }
  return names.map((given, index) => {
    const name = fromDuckDb(given)
    const item = items[index]!
    const first = item[0]
    const last = item[item.length - 1]
    if (first === undefined || last === undefined) return folded(name)
    if (last.kind === "quoted" && sameInDuckDb(last.value, name)) return last.value
    if (last.kind === "word" && last.value === upper(name)) return last.value
    const text = upper(sql.slice(first.start, last.end).replace(/\s+/g, " "))
    // What a translation before us has made of a call that Snowflake would show as it was written.
    return text.replace(/\bSG_ADD_([A-Z]+)\(/g, "DATEADD($1, ")
  })
}
