/**
 * Functions whose rows are a table: FLATTEN, GENERATOR, SPLIT_TO_TABLE and STRTOK_SPLIT_TO_TABLE.
 *
 * @since 0.1.0
 */
import { pastBracket } from "./clauses.js"
import type { Context, Rule } from "./context.js"
import { argument, argumentsAt, hasBracket, isNamed, reading } from "./context.js"
import * as Library from "./library.js"
import type { Argument } from "./library.js"
import { operandPiece, setOperators } from "./operators.js"
import type { Range, Source } from "./source.js"
import { argumentsOf, isName, isWord } from "./source.js"
import type { Metered } from "./work.js"

/** The argument for a parameter: the one with its name, or the one at its position. */
const argumentFor = (
  context: Context,
  ranges: ReadonlyArray<Range>,
  parameter: string,
  position: number
): Argument | undefined => {
  const found = ranges.find(
    ([start]) => isNamed(context, start) && context.tokens[start]!.value.toUpperCase() === parameter
  )
  if (found !== undefined) return argument(context, found[0] + 2, found[1])
  const plain = ranges[position]
  return plain !== undefined && !isNamed(context, plain[0]) ? argument(context, ...plain) : undefined
}

/** The call at a token as a table; undefined for other functions. */
const tableOf = (context: Context, at: number): string | undefined => {
  const name = context.tokens[at]!.value
  const ranges = argumentsOf(context, at + 1)
  switch (name) {
    case "FLATTEN": {
      const values = ["INPUT", "PATH", "OUTER", "RECURSIVE", "MODE"].map((parameter, position) => {
        const found = argumentFor(context, ranges, parameter, position)
        return found === undefined ? "NULL" : Library.asValue(found)
      })
      return `sg_flatten(${values.join(", ")})`
    }
    case "GENERATOR": {
      const rows = argumentFor(context, ranges, "ROWCOUNT", 0)
      return rows === undefined ? undefined : `(SELECT range AS sg_seq FROM range((${rows.sql})::BIGINT))`
    }
    case "SPLIT_TO_TABLE":
    case "STRTOK_SPLIT_TO_TABLE": {
      const split = name === "SPLIT_TO_TABLE" ? "split" : "strtok_to_array"
      return `sg_split_rows(sg_in(${Library.inJavaScript(split, argumentsAt(context, at + 1)).sql}))`
    }
  }
  return undefined
}

/** `TABLE(FLATTEN(INPUT => t.v))`: DuckDB has no word before the call. */
export const tableFunction: Rule = (place) => {
  const { at, context } = place
  if (!hasBracket(place) || !isWord(context.tokens[at + 2]) || context.tokens[at + 3]?.text !== "(")
    return undefined
  const made = tableOf(context, at + 2)
  return made === undefined ? undefined : reading(operandPiece(made), pastBracket(context, at + 1))
}

/** `FROM t, LATERAL FLATTEN(t.v)` */
export const flattening: Rule = (place) => {
  const { at, context } = place
  const made = hasBracket(place) ? tableOf(context, at) : undefined
  return made === undefined ? undefined : reading(operandPiece(made), pastBracket(context, at + 1))
}

// SEQ

const flatteners = new Set(["FLATTEN", "SPLIT_TO_TABLE", "STRTOK_SPLIT_TO_TABLE"])

/** Whether the call at a token makes rows of a column, so of several values. */
const flattensRows = (from: Source, at: number): boolean =>
  flatteners.has(from.tokens[at]!.value) &&
  isWord(from.tokens[at]) &&
  argumentsOf(from, at + 1).some(([start, end]) =>
    from.tokens
      .slice(start, end)
      .some(
        (name, index) =>
          isName(name) &&
          !isWord(name, "TRUE", "FALSE", "NULL") &&
          !["(", "=>"].includes(from.tokens[start + index + 1]?.text ?? "")
      )
  )

/** The alias of the call at a token, alone or in TABLE(...); empty where it has none. */
const aliasOf = ({ partner, tokens }: Source, at: number): string => {
  let end = (partner.get(at + 1) ?? at) + 1
  if (tokens[end]?.kind === "close") end++
  const alias = tokens[isWord(tokens[end], "AS") ? end + 1 : end]
  return isName(alias) ? alias.value : ""
}

/** Whether the name at a token is one of `* EXCLUDE (a, b)`. */
const isExcluded = ({ tokens, work }: Metered, at: number): boolean => {
  let open = at
  while (open >= 0 && tokens[open]!.depth >= tokens[at]!.depth) open--
  work.look(at - open)
  return isWord(tokens[open - 1], "EXCLUDE") || isWord(tokens[at - 1], "EXCLUDE")
}

/** `seq`, or `f.seq` of one of the aliases. */
const isSeq = (from: Metered, at: number, aliases: ReadonlySet<string>): boolean => {
  const { tokens } = from
  const [before, qualifier] = [tokens[at - 1], tokens[at - 2]]
  if (!isWord(tokens[at], "SEQ") || tokens[at + 1]?.kind === "open" || isWord(before, "AS")) return false
  if (isExcluded(from, at)) return false
  return before?.text !== "." || (isName(qualifier) && aliases.has(qualifier.value))
}

/** Whether the FROM of the list that a token is in has a call that makes rows of a column. */
const listFlattensRows = (from: Metered, at: number): boolean => {
  const { partner, tokens, work } = from
  const { depth } = tokens[at]!
  let index = at
  while (index < tokens.length && tokens[index]!.depth >= depth) {
    if (tokens[index]!.depth === depth && isWord(tokens[index], "FROM")) break
    index++
  }
  work.look(index - at)
  for (index++; index < tokens.length && tokens[index]!.depth >= depth; index++) {
    const token = tokens[index]!
    work.look(1)
    if (token.depth === depth && isWord(token, "WHERE", "GROUP", "ORDER", ...setOperators)) return false
    if (token.text === "(" && isWord(tokens[index + 1], "SELECT", "WITH", "VALUES"))
      index = partner.get(index) ?? index
    else if (flattensRows(from, index)) return true
  }
  return false
}

/** `f.*` of one of the aliases, or `*` of a list whose FROM flattens rows: SEQ is among the columns. */
const isStarWithSeq = (from: Metered, at: number, aliases: ReadonlySet<string>): boolean => {
  const { partner, tokens } = from
  const token = tokens[at]!
  if (token.text !== "*" || token.kind !== "operator") return false
  if (isWord(tokens[at + 1], "EXCLUDE")) {
    const end = tokens[at + 2]?.text === "(" ? (partner.get(at + 2) ?? at + 3) : at + 3
    if (tokens.slice(at + 2, end).some((name) => isWord(name, "SEQ"))) return false
  }
  const [before, qualifier] = [tokens[at - 1], tokens[at - 2]]
  if (before?.text === ".") return isName(qualifier) && aliases.has(qualifier.value)
  const isItem =
    before?.text === "," || isWord(before, "SELECT", "DISTINCT", "ALL") || before?.kind === "number"
  return isItem && listFlattensRows(from, at)
}

/**
 * Whether a statement reads SEQ of a FLATTEN of several rows: it numbers the rows that are flattened, and a table function
 * here does not know which one it is called for.
 */
export const numbersFlattenedRows = (from: Metered): boolean => {
  const { tokens } = from
  const aliases = new Set<string>()
  tokens.forEach((_, at) => {
    if (flattensRows(from, at)) aliases.add(aliasOf(from, at))
  })
  if (aliases.size === 0) return false
  const definesSeq = tokens.some((token, at) => isWord(token, "SEQ") && isWord(tokens[at - 1], "AS"))
  return tokens.some((_, at) => isStarWithSeq(from, at, aliases) || (!definesSeq && isSeq(from, at, aliases)))
}
