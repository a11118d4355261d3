/**
 * The windows of window functions: in place, by a name of the WINDOW clause, and on top of one with a name.
 *
 * @since 0.1.0
 */
import type { Token } from "../../../sql/Lexer.js"
import { clauseAt, endOfSelect, selectAround } from "./clauses.js"
import type { Range } from "./source.js"
import { isName, isWord } from "./source.js"
import type { Metered } from "./work.js"

/** Calls that are nothing without a window. */
const windowed = new Set(
  (
    "ROW_NUMBER RANK DENSE_RANK PERCENT_RANK CUME_DIST NTILE LAG LEAD FIRST_VALUE LAST_VALUE NTH_VALUE RATIO_TO_REPORT " +
    "CONDITIONAL_TRUE_EVENT CONDITIONAL_CHANGE_EVENT"
  ).split(" ")
)

/** The bracket of the window that the SELECT around a token defines under a name, before a token. */
const windowNamed = (from: Metered, name: string, at: number, before: number): number | undefined => {
  const { tokens, work } = from
  const select = selectAround(from, at)
  if (select === undefined) return undefined
  const { depth } = tokens[select]!
  const stop = Math.min(before, endOfSelect(from, select, depth, tokens.length))
  const clause = clauseAt(from, select, stop, "WINDOW")
  if (clause < 0) return undefined
  for (let index = clause + 1; index < stop; index++) {
    work.look(1)
    const token = tokens[index]!
    if (token.depth !== depth || !isName(token) || token.value !== name) continue
    if (isWord(tokens[index + 1], "AS") && tokens[index + 2]?.text === "(") return index + 2
  }
  return undefined
}

/**
 * What the window after OVER consists of, and what it takes over of windows with names: the rules for one with a
 * name are those for one in place. `at` is the call; a name is looked for `before` a token, so none is made of itself.
 */
export const windowAt = (
  from: Metered,
  start: number,
  at = start,
  before = from.tokens.length
): ReadonlyArray<Range> | undefined => {
  const { partner, tokens } = from
  const named = (name: Token): ReadonlyArray<Range> | undefined => {
    const open = windowNamed(from, name.value, at, before)
    return open === undefined ? undefined : windowAt(from, open, at, open)
  }
  const token = tokens[start]
  if (isName(token)) return named(token) ?? [[start, start + 1]]
  const close = token?.text === "(" ? partner.get(start) : undefined
  if (close === undefined) return undefined
  const first = tokens[start + 1]
  const base =
    isName(first) && !isWord(first, "PARTITION", "ORDER", "ROWS", "RANGE", "GROUPS")
      ? named(first)
      : undefined
  return base === undefined
    ? [[start + 1, close]]
    : [...base, ...(start + 2 < close ? [[start + 2, close] as const] : [])]
}

const isOrdered = ({ tokens }: Metered, [start, end]: Range): boolean =>
  tokens.slice(start, end).some((token) => token.depth === tokens[start]!.depth && isWord(token, "ORDER"))

/** What is wrong with the window of a call whose bracket ends before a token. */
export const windowless = (from: Metered, name: string, at: number): string | undefined => {
  if (!windowed.has(name)) return undefined
  const over = isWord(from.tokens[at], "IGNORE", "RESPECT") ? at + 2 : at
  if (!isWord(from.tokens[over], "OVER"))
    return `${name} is a window function: it needs OVER (PARTITION BY ... ORDER BY ...)`
  const ranges = windowAt(from, over + 1)
  return name === "RATIO_TO_REPORT" || ranges === undefined || ranges.some((range) => isOrdered(from, range))
    ? undefined
    : `window function type [${name}] requires ORDER BY in window specification`
}
