/**
 * `SELECT ... FROM t START WITH a CONNECT BY PRIOR b = c` as a recursive query over the table: `sg_p` is the row before in
 * the tree, `sg_t` the row that is joined to it.
 *
 * @since 0.1.0
 */
import { literal, quoted } from "../../../sql/Identifier.js"
import { clauseAt, isReserved } from "./clauses.js"
import type { Context } from "./context.js"
import { emit } from "./context.js"
import { refuse } from "./refusal.js"
import { argumentsOf, isName, isWord, textOf } from "./source.js"

/** The SELECT with the words at which its clauses begin, -1 where it has none. */
interface Query {
  readonly select: number
  readonly end: number
  readonly from: number
  readonly where: number
  readonly start: number
  readonly connect: number
  /** Where a clause after FROM can end. */
  readonly stops: ReadonlyArray<number>
  /** Where what comes after the tree begins: GROUP BY, ORDER BY. */
  readonly rest: number
}

const queryAt = (context: Context, select: number, end: number): Query | undefined => {
  const find = (word: string): number => clauseAt(context, select, end, word)
  const connect = find("CONNECT")
  if (connect < 0 || !isWord(context.tokens[connect + 1], "BY")) return undefined
  const [from, where, start] = [find("FROM"), find("WHERE"), find("START")]
  const rest = ["GROUP", "HAVING", "QUALIFY", "ORDER", "LIMIT"].map(find)
  return {
    select,
    end,
    from,
    where,
    start,
    connect,
    stops: [where, ...rest, start, connect].filter((index) => index > from),
    rest: Math.min(...rest.filter((index) => index > 0), end)
  }
}

/** The end of the clause at a token. */
const endOfClause = ({ end, stops }: Query, at: number): number =>
  Math.min(end, ...stops.filter((index) => index > at))

/** The table of the query as it is written, and the name that its columns have. */
const tableOf = (
  context: Context,
  { connect, from, stops }: Query
): { readonly relation: string; readonly alias: string } => {
  const { tokens } = context
  const end = Math.min(...stops)
  const table = tokens.slice(from + 1, end)
  const names = table.filter((token) => token.text !== "." && !isWord(token, "AS"))
  const name = names.at(-1)
  const isOne = from > 0 && from < connect && table.every((token) => isName(token) || token.text === ".")
  if (name === undefined || !isOne || isWord(tokens[connect + 2], "NOCYCLE"))
    return refuse(
      "CONNECT BY works on one table, without NOCYCLE, in the embedded warehouse; write a recursive CTE"
    )
  const hasAlias = names.length > 1 && table[table.length - 2]?.text !== "."
  const nameEnd = hasAlias ? end - (isWord(tokens[end - 2], "AS") ? 2 : 1) : end
  return { relation: textOf(context, from + 1, nameEnd), alias: name.text }
}

/** The last part of the name that begins at a token: `id` of `e.id`. */
const lastPart = ({ tokens }: Context, at: number): number => {
  let last = at
  while (tokens[last + 1]?.text === "." && isName(tokens[last + 2])) last += 2
  return last
}

/** The condition behind the two words of START WITH or CONNECT BY at a token. */
const condition = (context: Context, query: Query, at: number): string => {
  const { tokens } = context
  const end = endOfClause(query, at)
  const parts: Array<string> = []
  for (let index = at + 2; index < end; index++) {
    const token = tokens[index]!
    if (isWord(token, "PRIOR") && index + 1 < end) {
      index = lastPart(context, index + 1)
      parts.push(`sg_p.${tokens[index]!.text}`)
    } else if (isName(token) && tokens[index + 1]?.text === "." && index + 2 < end) {
      parts.push(`sg_t.${tokens[index + 2]!.text}`)
      index += 2
    } else if (
      isName(token) &&
      !isReserved(token) &&
      !isWord(token, "NULL", "TRUE", "FALSE", "LEVEL") &&
      tokens[index + 1]?.text !== "("
    )
      parts.push(`sg_t.${token.text}`)
    else parts.push(token.kind === "string" ? literal(token.value) : token.text)
  }
  return parts.join(" ")
}

/** A column that the tree carries along: its value in a root, and below a row. */
interface Carried {
  readonly root: string
  readonly below: string
}

/** A part of the list of the query. */
interface Part {
  readonly sql: string
  readonly carried?: Carried
  readonly end: number
}

/** `SYS_CONNECT_BY_PATH(name, '/')`, carried under a name. */
const pathAt = (context: Context, at: number, name: string): Part | undefined => {
  const [value, separator] = argumentsOf(context, at + 1)
  if (value === undefined || separator === undefined) return undefined
  const [, end] = value
  // A column has no table in what is selected from the tree.
  const last = lastPart(context, value[0])
  const start = last + 1 === end ? last : value[0]
  const between = emit(context, ...separator)
  return {
    sql: name,
    carried: {
      root: `${between} || sg_text(${emit(context, start, end)}) AS ${name}`,
      below: `sg_p.${name} || ${between} || sg_text(sg_t.${textOf(context, start, end)})`
    },
    end: context.partner.get(at + 1)! + 1
  }
}

/** `CONNECT_BY_ROOT e.name`, carried under a name. */
const rootAt = (context: Context, at: number, name: string): Part => {
  const { tokens } = context
  const last = lastPart(context, at + 1)
  const column = tokens[last]!
  const hasName = isWord(tokens[last + 1], "AS") || isName(tokens[last + 1])
  return {
    sql: hasName ? name : `${name} AS ${quoted(`CONNECT_BY_ROOT ${column.value}`)}`,
    carried: { root: `${column.text} AS ${name}`, below: `sg_p.${name}` },
    end: last + 1
  }
}

/** The list of the query, and what the tree carries along for it; undefined where a function has not its arguments. */
const listOf = (
  context: Context,
  { from, select }: Query,
  alias: string
): { readonly list: string; readonly carried: ReadonlyArray<Carried> } | undefined => {
  const { tokens } = context
  const list: Array<string> = []
  const carried: Array<Carried> = []
  for (let at = select + 1; at < from;) {
    const token = tokens[at]!
    const next = tokens[at + 1]
    if (isWord(token, "PRIOR", "CONNECT_BY_ISLEAF", "CONNECT_BY_ISCYCLE"))
      return refuse(
        `${token.value} in the list of a CONNECT BY query is not supported by the embedded warehouse; write a recursive CTE`
      )
    // A column has no table in what is selected from the tree.
    if (isName(token) && next?.text === "." && token.text.toUpperCase() === alias.toUpperCase()) {
      at += 2
      continue
    }
    const use = carried.length + 1
    const part: Part | undefined =
      isWord(token, "SYS_CONNECT_BY_PATH") && next?.text === "("
        ? pathAt(context, at, `sg_path${use}`)
        : isWord(token, "CONNECT_BY_ROOT") && isName(next)
          ? rootAt(context, at, `sg_root${use}`)
          : { sql: emit(context, at, at + 1), end: at + 1 }
    if (part === undefined) return undefined
    list.push(part.sql)
    if (part.carried !== undefined) carried.push(part.carried)
    at = part.end
  }
  return { list: list.join(" "), carried }
}

/** The SELECT at a token, which ends before another, without its CONNECT BY; undefined where it has none. */
export const connectBy = (context: Context, select: number, end: number): string | undefined => {
  const query = queryAt(context, select, end)
  if (query === undefined) return undefined
  const { alias, relation } = tableOf(context, query)
  const made = listOf(context, query, alias)
  if (made === undefined) return undefined
  const { connect, rest, start, where } = query
  const columns = (part: keyof Carried): string => made.carried.map((each) => `, ${each[part]}`).join("")
  const roots = start < 0 ? "" : ` WHERE ${condition(context, query, start)}`
  const rule = condition(context, query, connect)
  const filter = where < 0 ? "" : ` WHERE ${emit(context, where + 1, endOfClause(query, where))}`
  const behind = rest < end ? ` ${emit(context, rest, end)}` : ""
  return (
    `SELECT ${made.list} FROM (WITH RECURSIVE sg_tree AS (SELECT sg_t.*, 1 AS "LEVEL"${columns("root")} FROM ${relation} AS sg_t${roots} ` +
    `UNION ALL SELECT sg_t.*, sg_p."LEVEL" + 1${columns("below")} FROM ${relation} AS sg_t JOIN sg_tree AS sg_p ON ${rule}) SELECT * FROM sg_tree) AS ${alias}${filter}${behind}`
  )
}
