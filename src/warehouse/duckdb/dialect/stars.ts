/**
 * Functions of a whole row: `OBJECT_CONSTRUCT(*)` and `SEARCH(*, 'king')`.
 *
 * @since 0.1.0
 */
import { exactFromDuckDb, literal } from "../../../sql/Identifier.js"
import { tableAround } from "./clauses.js"
import type { Context } from "./context.js"
import { argument, unnamed } from "./context.js"
import * as Library from "./library.js"
import type { Written } from "./library.js"
import { refuse } from "./refusal.js"
import type { Range } from "./source.js"
import { isName, isWord } from "./source.js"

const ofRows = new Set(["OBJECT_CONSTRUCT", "OBJECT_CONSTRUCT_KEEP_NULL", "SEARCH"])

/** The columns that `* EXCLUDE a` or `* EXCLUDE (a, b)` leaves out, a line each. */
const excluded = ({ tokens }: Context, star: number, end: number): string =>
  isWord(tokens[star + 1], "EXCLUDE")
    ? tokens
        .slice(star + 1, end)
        .filter(
          (token, index, all) =>
            isName(token) &&
            !isWord(token, "EXCLUDE") &&
            all[index + 1]?.text !== "." &&
            all[index - 1]?.text !== "*"
        )
        .map(({ value }) => exactFromDuckDb(value))
        .join("\n")
    : ""

/** `SEARCH(* EXCLUDE a, 'king', SEARCH_MODE => 'AND')` of a row. */
const search = (context: Context, row: string, ranges: ReadonlyArray<Range>): Written => {
  const [, wanted, mode] = ranges
  const what = wanted === undefined ? "NULL" : Library.asText(argument(context, ...wanted))
  const how = mode === undefined ? "" : `, ':' || to_json(${Library.asText(unnamed(context, mode))})::VARCHAR`
  return { kind: "boolean", sql: `sgj_search(sg_in(${row}), ${what}${how})` }
}

/** The call at a token on `*` or `t.*`; undefined where its first argument is none of them. */
export const starCall = (
  context: Context,
  name: string,
  at: number,
  ranges: ReadonlyArray<Range>
): Written | undefined => {
  const { tokens } = context
  const [first] = ranges
  if (first === undefined || !ofRows.has(name)) return undefined
  const given = tokens.slice(...first)
  const index = given.findIndex((token) => token.text === "*")
  if (index < 0) return undefined
  const star = first[0] + index
  // SEARCH takes `(t.*)` as well.
  const [table, dot] = given.filter((token) => token.kind !== "open" && token.kind !== "close")
  const qualifier = dot?.text === "." && isName(table) ? table.text : tableAround(context, at)
  if (qualifier === undefined) return refuse(`${name}(*) needs one table after FROM`)
  if (isWord(tokens[star + 1], "ILIKE", "LIKE"))
    return refuse(`${name}(* ILIKE ...) is not supported; name the columns`)
  const keepsNull = name === "OBJECT_CONSTRUCT" ? "false" : "true"
  const row = Library.element(
    `sgj_object_of_row(sg_in(${qualifier}), '${keepsNull}', ${literal(excluded(context, star, first[1]))})`
  )
  return name === "SEARCH" ? search(context, row, ranges) : { kind: "variant", sql: row }
}
