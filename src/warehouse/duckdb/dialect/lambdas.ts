/**
 * Functions that take a function: FILTER, TRANSFORM and REDUCE.
 *
 * @since 0.1.0
 */
import type { Context } from "./context.js"
import { argument, emit } from "./context.js"
import * as Library from "./library.js"
import type { Written } from "./library.js"
import type { Range } from "./source.js"
import { isName } from "./source.js"

interface Lambda {
  /** The names of its parameters. */
  readonly parameters: string
  readonly body: string
}

/** `x -> x + 1`, `(acc INT, x INT) -> acc + x` */
const lambda = (context: Context, [start, end]: Range): Lambda | undefined => {
  const { tokens } = context
  for (let at = start; at < end; at++) {
    const token = tokens[at]!
    if (token.text !== "->" || token.depth !== tokens[start]!.depth) continue
    const names = tokens
      .slice(start, at)
      .filter(
        (each, index, all) =>
          isName(each) && (index === 0 || all[index - 1]!.text === "(" || all[index - 1]!.text === ",")
      )
      .map((each) => each.text)
    const bound = new Set([...context.bound, ...names.map((name) => name.toUpperCase())])
    return { parameters: names.join(", "), body: emit({ ...context, bound }, at + 1, end) }
  }
  return undefined
}

/** `TRANSFORM(a, x -> x + 1)`, `REDUCE(a, 0, (acc, x) -> acc + x)`; undefined where the last argument is no function. */
export const higherOrder = (
  context: Context,
  name: string,
  ranges: ReadonlyArray<Range>
): Written | undefined => {
  const last = ranges[ranges.length - 1]
  const [first, second] = ranges
  if (last === undefined || first === undefined || ranges.length < 2) return undefined
  const made = lambda(context, last)
  if (made === undefined) return undefined
  const { body, parameters } = made
  const array = argument(context, ...first).sql
  const items = `sgj_items(sg_in(${array}))`
  const unlessNull = (sql: string): Written => ({
    kind: "variant",
    sql: `CASE WHEN (${array}) IS NULL THEN NULL ELSE ${sql} END`
  })
  const list = (function_: string): Written =>
    unlessNull(Library.element(`sgj_list(sg_in(${function_}(${items}, lambda ${parameters}: ${body})))`))
  if (name === "FILTER") return list("list_filter")
  if (name === "TRANSFORM") return list("list_transform")
  if (second === undefined || ranges.length !== 3) return undefined
  const variant = (sql: string): string => Library.element(`sgj_variant(sg_in(${sql}))`)
  const initial = variant(argument(context, ...second).sql)
  return unlessNull(`list_reduce(${items}, lambda ${parameters}: ${variant(body)}, ${initial})`)
}
