/**
 * Writes a query in Snowflake's SQL as one for DuckDB, token by token: no grammar of SQL is known here, only
 * where operands, calls and clauses begin and end.
 *
 * The statement is read from left to right into pieces. An operand with all that belongs to it (a dotted
 * name, a call, a value in brackets, casts, subscripts, a path) is one piece, so what follows an operand
 * wraps the last piece. With each piece goes what is known of its type; everything else asks DuckDB, through
 * macros that look at the type of their argument when the statement is bound.
 *
 * Total: what no rule knows is written as it came, and DuckDB says what is wrong with it.
 *
 * @since 0.1.0
 */
import { hiddenInformationSchema, informationSchema } from "../catalog.js"
import { fromDuckDb, inDuckDb, isFromDuckDb, literal, quoted, upper } from "../../../sql/Identifier.js"
import type { Token } from "../../../sql/Lexer.js"
import * as Library from "./library.js"
import type { Argument, Invocation, Kind, Written } from "./library.js"
import type { Item, Piece } from "./operators.js"
import {
  asCompared,
  comparisons,
  groupedByAll,
  join,
  popSide,
  setOperators,
  sortFollows,
  startOfOperand,
  withOperators
} from "./operators.js"
import { scalars } from "./scalars.js"
import type { Source } from "./source.js"
import { argumentsOf, isName, isWord, textOf } from "./source.js"
import type { Type } from "./types.js"
import { typeAt } from "./types.js"
import type { Work } from "./work.js"
import { make as makeWork, TooMuchWork } from "./work.js"

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

/** Before a bracket these name a call all the same. */
const callable = new Set(["LEFT", "RIGHT", "FILTER", "REGEXP", "RLIKE", "LIKE", "ILIKE"])

/** What a value of a comparison ends at. */
const boundaries = new Set(
  (
    "AND OR NOT WHERE WHEN THEN ELSE CASE END SELECT DISTINCT ON HAVING QUALIFY BY FROM JOIN GROUP ORDER LIMIT UNION INTERSECT " +
    "EXCEPT MINUS AS IN IS LIKE ILIKE RLIKE REGEXP BETWEEN ESCAPE ASC DESC NULLS OVER WINDOW ALL USING INNER LEFT RIGHT FULL CROSS"
  ).split(" ")
)

const afterList = new Set([
  ...[
    "FROM",
    "WHERE",
    "GROUP",
    "HAVING",
    "QUALIFY",
    "WINDOW",
    "ORDER",
    "LIMIT",
    "OFFSET",
    "FETCH",
    "START",
    "CONNECT"
  ],
  ...setOperators
])

/** Reserved by DuckDB, and names like any other in Snowflake. */
const ownWords = new Set(
  (
    "ANALYSE ANALYZE ANTI ASYMMETRIC AT AUTHORIZATION COLLATION CONCURRENTLY DEFERRABLE DO FOREIGN FREEZE GLOB " +
    "INITIALLY LAMBDA OVERLAPS PIVOT_LONGER PIVOT_WIDER PLACING POSITIONAL PRIMARY REFERENCES RETURNING SEMI SIMILAR " +
    "SYMMETRIC UNPACK VARIADIC VERBOSE"
  ).split(" ")
)

/** Names of parameters, where Snowflake allows to name them. */
const parameters: Readonly<Record<string, ReadonlyArray<string>>> = {
  ROUND: ["EXPR", "SCALE", "ROUNDING_MODE"],
  SEARCH: ["", "", "SEARCH_MODE", "ANALYZER"]
}

/** Calls that are nothing without a window. */
const windowed = new Set(
  (
    "ROW_NUMBER RANK DENSE_RANK PERCENT_RANK CUME_DIST NTILE LAG LEAD FIRST_VALUE LAST_VALUE NTH_VALUE RATIO_TO_REPORT " +
    "CONDITIONAL_TRUE_EVENT CONDITIONAL_CHANGE_EVENT"
  ).split(" ")
)

/** Functions that compare their arguments, from which one on. */
const comparing: Readonly<Record<string, number>> = {
  ...Object.fromEntries(
    "DECODE EQUAL_NULL NULLIF GREATEST LEAST GREATEST_IGNORE_NULLS LEAST_IGNORE_NULLS"
      .split(" ")
      .map((name) => [name, 0])
  ),
  MIN_BY: 1,
  MAX_BY: 1
}

/** DuckDB's name of a subquery that has none. */
const unnamedSubquery = "unnamed_subquery"

/** What making a piece costs, in tokens that are looked at. */
const PIECE = 64

/** A number with its unit, in an INTERVAL: of each text there is one way to read it. */
const intervalPart = /([+-]?\d+)\s*([a-z_]*)\s*,?/gi

const isPercentile = (name: string): boolean => name === "PERCENTILE_CONT" || name === "PERCENTILE_DISC"

/** A call that nothing is written for has DuckDB's meaning, with what belongs inside of its bracket. */
const framed = new Set(["FIRST_VALUE", "LAST_VALUE", "NTH_VALUE"])

/**
 * Whether a statement reads SEQ of a FLATTEN of several rows: it numbers the rows that are flattened, and a table function
 * here does not know which one it is called for.
 */
const numbersFlattenedRows = (from: Source, work: Work): boolean => {
  const { partner, tokens } = from
  const flattensRows = (token: Token, at: number): boolean =>
    isWord(token, "FLATTEN", "SPLIT_TO_TABLE", "STRTOK_SPLIT_TO_TABLE") &&
    argumentsOf(from, at + 1).some(([start, end]) =>
      tokens
        .slice(start, end)
        .some(
          (name, index) =>
            isName(name) &&
            !isWord(name, "TRUE", "FALSE", "NULL") &&
            !["(", "=>"].includes(tokens[start + index + 1]?.text ?? "")
        )
    )
  const flattened = new Set(
    tokens.flatMap((token, at) => {
      if (!flattensRows(token, at)) return []
      let end = (partner.get(at + 1) ?? at) + 1
      if (tokens[end]?.kind === "close") end++
      const alias = tokens[isWord(tokens[end], "AS") ? end + 1 : end]
      return [isName(alias) ? alias.value : ""]
    })
  )
  const isExcluded = (at: number): boolean => {
    let open = at
    while (open >= 0 && tokens[open]!.depth >= tokens[at]!.depth) open--
    work.look(at - open)
    return isWord(tokens[open - 1], "EXCLUDE") || isWord(tokens[at - 1], "EXCLUDE")
  }
  const isSeq = (token: Token, at: number): boolean => {
    const [before, qualifier] = [tokens[at - 1], tokens[at - 2]]
    if (isExcluded(at)) return false
    if (!isWord(token, "SEQ") || tokens[at + 1]?.kind === "open" || isWord(before, "AS")) return false
    return before?.text !== "." || (isName(qualifier) && flattened.has(qualifier.value))
  }
  const definesSeq = tokens.some((token, at) => isWord(token, "SEQ") && isWord(tokens[at - 1], "AS"))
  /** `f.*` of a FLATTEN of several rows, or `*` of a list whose FROM has one: SEQ is among the columns. */
  const isStarWithSeq = (token: Token, at: number): boolean => {
    if (token.text !== "*" || token.kind !== "operator") return false
    const open = tokens[at + 2]?.text === "(" ? at + 2 : undefined
    const end = open === undefined ? at + 3 : (partner.get(open) ?? at + 3)
    if (isWord(tokens[at + 1], "EXCLUDE") && tokens.slice(at + 2, end).some((name) => isWord(name, "SEQ")))
      return false
    const [before, qualifier] = [tokens[at - 1], tokens[at - 2]]
    if (before?.text === ".") return isName(qualifier) && flattened.has(qualifier.value)
    if (before?.text !== "," && !isWord(before, "SELECT", "DISTINCT", "ALL") && before?.kind !== "number")
      return false
    let from_ = at
    while (
      from_ < tokens.length &&
      tokens[from_]!.depth >= token.depth &&
      !(tokens[from_]!.depth === token.depth && isWord(tokens[from_], "FROM"))
    )
      from_++
    work.look(from_ - at)
    for (let index = from_ + 1; index < tokens.length && tokens[index]!.depth >= token.depth; index++) {
      const each = tokens[index]!
      work.look(1)
      if (each.depth === token.depth && isWord(each, "WHERE", "GROUP", "ORDER", ...setOperators)) return false
      if (each.text === "(" && isWord(tokens[index + 1], "SELECT", "WITH", "VALUES"))
        index = partner.get(index) ?? index
      else if (flattensRows(each, index)) return true
    }
    return false
  }
  return flattened.size > 0 && (tokens.some(isStarWithSeq) || (!definesSeq && tokens.some(isSeq)))
}

/** The query for DuckDB, or one that says why there is none. */
export const rewrite = (from: Source): string => {
  try {
    return rewritten(from, makeWork())
  } catch (thrown) {
    if (!(thrown instanceof TooMuchWork)) throw thrown
    return `SELECT ${Library.refusal("The statement is too much for the embedded warehouse: nest fewer functions, windows and operators in each other, or make shorter chains of them")}`
  }
}

const rewritten = (from: Source, work: Work): string => {
  const { partner, tokens } = from

  /** The first part of the statement that would not have Snowflake's meaning: then nothing of it runs. */
  let refusal: string | undefined
  const refuse = (message: string): string => {
    refusal ??= Library.refusal(message)
    return Library.refusal(message)
  }

  /** The parameters of the lambdas around, which are elements of arrays. */
  let bound: ReadonlySet<string> = new Set()
  /** The columns by which GROUP BY ALL groups, in the ORDER BY behind it: DuckDB finds them there as a whole item only. */
  let grouped: ReadonlySet<string> = new Set()
  const flattens = tokens.some((token) => isWord(token, "FLATTEN"))
  /** VALUE and THIS of FLATTEN. */
  const isElement = (token: Token | undefined): boolean =>
    isWord(token) &&
    (bound.has(token.value) || (flattens && (token.value === "VALUE" || token.value === "THIS")))

  if (numbersFlattenedRows(from, work)) {
    refuse(
      "SEQ of a FLATTEN of several rows is not supported by the embedded warehouse: it would be 1 for each; name the other columns instead of *, and number the rows before, with ROW_NUMBER() OVER (ORDER BY ...)."
    )
  }

  const emit = (start: number, end: number): string => join(pieces(start, end))

  /** The first token of a range that is such a one; -1 where none is. */
  const find = (start: number, end: number, isFound: (token: Token) => boolean): number => {
    for (let index = start; index < end; index++) {
      work.look(1)
      if (isFound(tokens[index]!)) return index
    }
    return -1
  }

  /** The range as one argument. */
  const argument = (start: number, end: number): Argument => {
    const first = tokens[start]
    if (end === start + 1 && first !== undefined) {
      if (first.kind === "string" || first.kind === "dollar")
        return { sql: literal(first.value), kind: "text", literal: first.value }
      if (first.kind === "number") return { sql: first.text, kind: "number", literal: first.text }
      if (first.kind === "word")
        return {
          sql: emit(start, end),
          kind: kindOfWord(first),
          literal: first.value,
          isWord: true,
          isStar: false
        }
    }
    const list = pieces(start, end)
    const only = list.length === 1 ? list[0] : undefined
    const isStar = first?.text === "*" || tokens[end - 1]?.text === "*"
    const negative = first?.text === "-" && end === start + 2 && tokens[start + 1]?.kind === "number"
    return {
      sql: list.length > 1 && !isStar ? `(${join(list)})`.replace(/^\((-?[\d.]+)\)$/, "$1") : join(list),
      kind:
        only?.kind ?? (list.some((piece) => piece.mark === "||") ? "text" : negative ? "number" : "unknown"),
      isStar,
      ...(negative ? { literal: `-${tokens[start + 1]!.text}` } : {})
    }
  }

  const kindOfWord = (token: Token): Kind =>
    token.value === "TRUE" || token.value === "FALSE" ? "boolean" : isElement(token) ? "variant" : "unknown"

  // Calls

  const skipTo = (at: number): number => (partner.get(at) ?? at) + 1

  /** The SELECT around a token. */
  const selectAround = (at: number): number | undefined => {
    let lowest = tokens[at]?.depth ?? 0
    for (let index = at; index >= 0; index--) {
      work.look(1)
      lowest = Math.min(lowest, tokens[index]!.depth)
      if (isWord(tokens[index], "SELECT") && tokens[index]!.depth <= lowest) return index
    }
    return undefined
  }

  /** The bracket of the window that the SELECT around a token defines under a name, before a token. */
  const windowNamed = (name: string, at: number, before: number): number | undefined => {
    const select = selectAround(at)
    if (select === undefined) return undefined
    const { depth } = tokens[select]!
    const stop = Math.min(before, endOfSelect(select, depth, tokens.length))
    const clause = find(select + 1, stop, (token) => token.depth === depth && isWord(token, "WINDOW"))
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
   * name are those for one in place.
   */
  const windowAt = (
    start: number,
    at = start,
    before = tokens.length
  ): ReadonlyArray<readonly [number, number]> | undefined => {
    const token = tokens[start]
    const named = (name: Token): ReadonlyArray<readonly [number, number]> | undefined => {
      const open = windowNamed(name.value, at, before)
      return open === undefined ? undefined : windowAt(open, at, open)
    }
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

  /** What stands after the bracket of a call. */
  const suffix = (at: number): Omit<Invocation, "name" | "args" | "distinct"> & { readonly end: number } => {
    let end = at
    let order: string | undefined
    let filter: string | undefined
    let over: string | undefined
    let window: string | undefined
    let nulls: string | undefined
    if (isWord(tokens[end], "WITHIN") && isWord(tokens[end + 1], "GROUP") && tokens[end + 2]?.text === "(") {
      const close = partner.get(end + 2)
      if (close !== undefined) {
        order = emit(end + 3, close)
        end = close + 1
      }
    }
    if (isWord(tokens[end], "IGNORE", "RESPECT") && isWord(tokens[end + 1], "NULLS")) {
      nulls = `${tokens[end]!.value} NULLS`
      end += 2
    }
    if (isWord(tokens[end], "FILTER") && tokens[end + 1]?.text === "(") {
      filter = emit(end + 2, skipTo(end + 1) - 1)
      end = skipTo(end + 1)
    }
    const ranges = isWord(tokens[end], "OVER") ? windowAt(end + 1) : undefined
    if (ranges !== undefined) {
      window = ranges.map((range) => emit(...range)).join(" ")
      over = `OVER (${window})`
      end = skipTo(end + 1)
    }
    return { end, order, filter, over, window, nulls }
  }

  const lambda = (
    start: number,
    end: number
  ): { readonly names: ReadonlyArray<string>; readonly body: string } | undefined => {
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
      const outer = bound
      bound = new Set([...outer, ...names.map((name) => name.toUpperCase())])
      const body = emit(at + 1, end)
      bound = outer
      return { names, body }
    }
    return undefined
  }

  /** FILTER, TRANSFORM and REDUCE, whose last argument is a function. */
  const higher = (name: string, ranges: ReadonlyArray<readonly [number, number]>): Written | undefined => {
    const last = ranges[ranges.length - 1]
    const [first] = ranges
    if (last === undefined || first === undefined || ranges.length < 2) return undefined
    const made = lambda(...last)
    if (made === undefined) return undefined
    const array = argument(...first).sql
    const items = `sgj_items(sg_in(${array}))`
    const guarded = (sql: string): Written => ({
      kind: "variant",
      sql: `CASE WHEN (${array}) IS NULL THEN NULL ELSE ${Library.element(sql)} END`
    })
    const parameter = made.names.join(", ")
    if (name === "FILTER")
      return guarded(`sgj_list(sg_in(list_filter(${items}, lambda ${parameter}: ${made.body})))`)
    if (name === "TRANSFORM")
      return guarded(`sgj_list(sg_in(list_transform(${items}, lambda ${parameter}: ${made.body})))`)
    const initial = ranges.length === 3 ? argument(...ranges[1]!) : undefined
    if (initial === undefined) return undefined
    return {
      kind: "variant",
      sql:
        `CASE WHEN (${array}) IS NULL THEN NULL ELSE list_reduce(${items}, lambda ${parameter}: ` +
        `${Library.element(`sgj_variant(sg_in(${made.body}))`)}, ${Library.element(`sgj_variant(sg_in(${initial.sql}))`)}) END`
    }
  }

  /** The alias of the only table of the SELECT around a token. */
  const tableAround = (at: number): string | undefined => {
    const depth = tokens[selectAround(at) ?? 0]!.depth
    for (let index = at; index < tokens.length && tokens[index]!.depth >= depth; index++) {
      const token = tokens[index]!
      work.look(1)
      if (token.depth !== depth || !isWord(token, "FROM")) continue
      let end = index + 1
      let name: string | undefined
      if (tokens[end]?.text === "(") {
        end = skipTo(end)
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
      if (
        isName(alias) &&
        !(alias.kind === "word" && (keywords.has(alias.value) || boundaries.has(alias.value)))
      )
        return alias.text
      return name
    }
    return undefined
  }

  /** The columns that `* EXCLUDE a` or `* EXCLUDE (a, b)` leaves out. */
  const excluded = (start: number, end: number): string =>
    tokens
      .slice(start, end)
      .filter(
        (token, index, all) =>
          isName(token) &&
          !isWord(token, "EXCLUDE") &&
          all[index + 1]?.text !== "." &&
          all[index - 1]?.text !== "*"
      )
      .map(({ value }) => (isFromDuckDb(value) ? fromDuckDb(value) : upper(value)))
      .join("\n")

  const starCall = (
    name: string,
    at: number,
    ranges: ReadonlyArray<readonly [number, number]>
  ): Written | undefined => {
    const [first] = ranges
    if (first === undefined) return undefined
    const star = tokens.slice(...first).findIndex((token) => token.text === "*")
    if (star < 0 || !["OBJECT_CONSTRUCT", "OBJECT_CONSTRUCT_KEEP_NULL", "SEARCH"].includes(name))
      return undefined
    // `(t.*)` of SEARCH.
    const before = tokens.slice(...first).filter((token) => token.kind !== "open" && token.kind !== "close")
    const qualifier = before[1]?.text === "." && isName(before[0]) ? before[0].text : tableAround(at)
    const starAt = first[0] + star
    const filtered = isWord(tokens[starAt + 1], "ILIKE", "LIKE")
    if (qualifier === undefined)
      return { kind: "unknown", sql: refuse(`${name}(*) needs one table after FROM`) }
    const closing = first[1]
    const without = isWord(tokens[starAt + 1], "EXCLUDE") ? excluded(starAt + 1, closing) : ""
    if (name === "SEARCH") {
      if (filtered)
        return { kind: "unknown", sql: refuse("SEARCH(* ILIKE ...) is not supported; name the columns") }
      const wanted = ranges[1] === undefined ? "NULL" : Library.asText(argument(...ranges[1]))
      const mode = ranges[2] === undefined ? "" : `, ${Library.asText(named(ranges[2]))}`
      const row = Library.element(`sgj_object_of_row(sg_in(${qualifier}), 'true', ${literal(without)})`)
      return {
        kind: "boolean",
        sql: `sgj_search(sg_in(${row}), ${wanted}${mode === "" ? "" : `, ':' || to_json(${mode.slice(2)})::VARCHAR`})`
      }
    }
    if (filtered)
      return { kind: "unknown", sql: refuse(`${name}(* ILIKE ...) is not supported; name the columns`) }
    return {
      kind: "variant",
      sql: Library.element(
        `sgj_object_of_row(sg_in(${qualifier}), '${name === "OBJECT_CONSTRUCT" ? "false" : "true"}', ${literal(without)})`
      )
    }
  }

  /** The argument without the name of its parameter. */
  const named = ([start, end]: readonly [number, number]): Argument =>
    tokens[start + 1]?.text === "=>" ? argument(start + 2, end) : argument(start, end)

  /** What is wrong with the window of a call that ends before a token. */
  const windowless = (name: string, at: number): string | undefined => {
    if (!windowed.has(name)) return undefined
    let end = at
    if (isWord(tokens[end], "IGNORE", "RESPECT")) end += 2
    if (!isWord(tokens[end], "OVER"))
      return `${name} is a window function: it needs OVER (PARTITION BY ... ORDER BY ...)`
    const ranges = windowAt(end + 1)
    return name === "RATIO_TO_REPORT" ||
      ranges === undefined ||
      ranges.some(([start, stop]) =>
        tokens
          .slice(start, stop)
          .some((token) => token.depth === tokens[start]!.depth && isWord(token, "ORDER"))
      )
      ? undefined
      : `window function type [${name}] requires ORDER BY in window specification`
  }

  const call = (at: number): { readonly piece: Piece; readonly end: number } => {
    const token = tokens[at]!
    const name = token.value
    const open = at + 1
    const close = partner.get(open)!
    const piece = ({ kind, sql: text }: Written, end = close + 1) => {
      if (text.startsWith("sgj_refuse(")) refusal ??= text
      return { piece: { sql: text, kind, operand: true, mark: undefined }, end }
    }
    const ranges = argumentsOf(from, open)

    // Calls with words inside.
    if (name === "CAST" || name === "TRY_CAST") {
      for (let index = open + 1; index < close; index++) {
        if (!isWord(tokens[index], "AS") || tokens[index]!.depth !== token.depth + 1) continue
        const type = typeAt(from, index + 1)
        if (type === undefined || type.end !== close) break
        return piece({ sql: type.cast(argument(open + 1, index), name === "TRY_CAST"), kind: type.kind })
      }
    }
    if (name === "EXTRACT" && isWord(tokens[open + 2], "FROM")) {
      const unit = Library.partOf(tokens[open + 1]!.value)
      return piece(
        unit === undefined
          ? { kind: "unknown", sql: refuse(`EXTRACT: '${tokens[open + 1]!.text}' is not a part of a date`) }
          : Library.datePart(unit, argument(open + 3, close))
      )
    }
    if (name === "POSITION" && ranges.length === 1) {
      for (let index = open + 1; index < close; index++) {
        if (isWord(tokens[index], "IN") && tokens[index]!.depth === token.depth + 1)
          return piece(
            Library.inJavaScript("position", [argument(open + 1, index), argument(index + 1, close)])
          )
      }
    }
    if (name === "TRIM" && ranges.length === 1 && isWord(tokens[open + 1], "BOTH", "LEADING", "TRAILING"))
      return plainCall(at)
    if (name === "FILTER" || name === "TRANSFORM" || name === "REDUCE") {
      const made = higher(name, ranges)
      if (made !== undefined) return piece(made)
    }
    if (/^SEQ[1248]$/.test(name)) return piece({ kind: "number", sql: "sg_seq" })
    const star = starCall(name, at, ranges)
    if (star !== undefined) return piece(star)
    const why = Library.refused[name] ?? windowless(name, close + 1)
    if (why !== undefined) return piece({ kind: "unknown", sql: refuse(why) })

    const share = isPercentile(name) ? percentile(at) : undefined
    if (share !== undefined) return share

    const write = Library.calls[name]
    const inScript =
      write === undefined &&
      scalars[name.toLowerCase()] !== undefined &&
      !Library.internal.has(name.toLowerCase())
    if (write === undefined && !inScript) return plainCall(at)
    const distinct = isWord(tokens[open + 1], "DISTINCT")
    const first = ranges[0]
    const given =
      distinct && first !== undefined ? [[first[0] + 1, first[1]] as const, ...ranges.slice(1)] : ranges
    const order = parameters[name]
    const plain =
      given.some(([start]) => tokens[start + 1]?.text === "=>") && order !== undefined
        ? order.flatMap((parameter, index) => {
            const found = given.find(
              ([start]) => tokens[start + 1]?.text === "=>" && isWord(tokens[start], parameter)
            )
            const positional = given[index]
            const range =
              found ??
              (positional !== undefined && tokens[positional[0] + 1]?.text !== "=>" ? positional : undefined)
            return range === undefined ? [] : [named(range)]
          })
        : given.map((range) => argument(...range))
    const from_ = comparing[name] ?? plain.length
    // What is sorted by beside DISTINCT is the argument.
    const isOrdered = distinct && isWord(tokens[close + 1], "WITHIN")
    const args = plain.map((arg, index) =>
      index < from_ && !(isOrdered && index === 0)
        ? arg
        : { ...arg, sql: asCompared({ ...arg, operand: true }).sql }
    )
    const { end, ...rest } = suffix(close + 1)
    const invocation: Invocation = { name, args, distinct, ...rest }
    const made = inScript ? Library.inJavaScript(name.toLowerCase(), args) : write?.(invocation)
    if (made === undefined)
      return plainCall(at, `${distinct ? "DISTINCT " : ""}${args.map((arg) => arg.sql).join(", ")}`)
    // What was written does not take what follows; it stays where it is.
    return inScript ? piece(made) : piece(made, end)
  }

  /** `PERCENTILE_CONT(p) WITHIN GROUP (ORDER BY x DESC)`, which DuckDB does not have as a window function. */
  const percentile = (at: number): { readonly piece: Piece; readonly end: number } | undefined => {
    const token = tokens[at]!
    const close = partner.get(at + 1)!
    const group = close + 3
    const end = partner.get(group)
    if (!isWord(tokens[close + 1], "WITHIN") || end === undefined || !isWord(tokens[group + 2], "BY"))
      return undefined
    let last = end
    if (isWord(tokens[last - 2], "NULLS")) last -= 2
    const falls = isWord(tokens[last - 1], "DESC")
    if (isWord(tokens[last - 1], "ASC", "DESC")) last--
    const { end: stop, filter, over } = suffix(close + 1)
    const share = emit(at + 2, close)
    const isDiscrete = token.value === "PERCENTILE_DISC"
    const made = Library.percentile(
      isDiscrete,
      argument(group + 3, last),
      // DuckDB counts from the greatest value where the share is negative.
      !falls ? share : isDiscrete && Number(share) !== 0 ? `-(${share})` : `1 - ${share}`,
      { filter, over }
    )
    return { piece: { ...made, operand: true, mark: undefined }, end: stop }
  }

  /** A call as it is, with the words that DuckDB wants elsewhere. */
  const plainCall = (at: number, written?: string): { readonly piece: Piece; readonly end: number } => {
    const token = tokens[at]!
    const close = partner.get(at + 1)!
    const { end, filter, nulls, order, over, window } = suffix(close + 1)
    const only = written === undefined && isWord(token, "MIN", "MAX") ? pieces(at + 2, close) : []
    const inner = only.length === 1 ? asCompared(only[0]!).sql : (written ?? emit(at + 2, close))
    const frame =
      framed.has(token.value) &&
      window !== undefined &&
      /\bORDER BY\b/i.test(window) &&
      !/\b(?:ROWS|RANGE|GROUPS) (?:BETWEEN|UNBOUNDED|CURRENT|\d)/i.test(window)
        ? `OVER (${window} ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)`
        : over
    const quantile = isPercentile(token.value)
    const inside = `${inner}${order === undefined || quantile ? "" : ` ${order}`}${nulls === undefined ? "" : ` ${nulls}`}`
    const outside = `${order !== undefined && quantile ? ` WITHIN GROUP (${order})` : ""}${filter === undefined ? "" : ` FILTER (${filter})`}${frame === undefined ? "" : ` ${frame}`}`
    return {
      piece: { sql: `${token.text}(${inside})${outside}`, kind: "unknown", operand: true, mark: undefined },
      end
    }
  }

  // Tables

  const valueOf = (
    ranges: ReadonlyArray<readonly [number, number]>,
    parameter: string,
    position: number
  ): Argument | undefined => {
    const found = ranges.find(
      ([start]) => tokens[start + 1]?.text === "=>" && tokens[start]!.value.toUpperCase() === parameter
    )
    const plain = ranges[position]
    if (found !== undefined) return argument(found[0] + 2, found[1])
    return plain !== undefined && tokens[plain[0] + 1]?.text !== "=>" ? argument(...plain) : undefined
  }

  /** FLATTEN and its like as a table; undefined for other functions. */
  const tableCall = (at: number): string | undefined => {
    const name = tokens[at]!.value
    const ranges = argumentsOf(from, at + 1)
    if (name === "FLATTEN") {
      const value = (parameter: string, position: number) => {
        const found = valueOf(ranges, parameter, position)
        return found === undefined ? "NULL" : Library.asValue(found)
      }
      return `sg_flatten(${value("INPUT", 0)}, ${value("PATH", 1)}, ${value("OUTER", 2)}, ${value("RECURSIVE", 3)}, ${value("MODE", 4)})`
    }
    if (name === "GENERATOR") {
      const rows = valueOf(ranges, "ROWCOUNT", 0)
      return rows === undefined ? undefined : `(SELECT range AS sg_seq FROM range((${rows.sql})::BIGINT))`
    }
    if (name === "SPLIT_TO_TABLE" || name === "STRTOK_SPLIT_TO_TABLE") {
      const made = Library.inJavaScript(
        name === "SPLIT_TO_TABLE" ? "split" : "strtok_to_array",
        ranges.map((range) => argument(...range))
      )
      return `sg_split_rows(sg_in(${made.sql}))`
    }
    return undefined
  }

  /** `VALUES (1, 'a'), (2, 'b')` with Snowflake's names for its columns; the end of its last row. */
  const valuesAt = (at: number): { readonly sql: string; readonly end: number } | undefined => {
    const rows: Array<ReadonlyArray<Argument>> = []
    let columns = 0
    let end = at + 1
    while (tokens[end]?.text === "(") {
      const close = partner.get(end)
      if (close === undefined) return undefined
      const cells = argumentsOf(from, end)
      columns = Math.max(columns, cells.length)
      rows.push(cells.map(([start, stop]) => argument(start, stop)))
      end = close + 1
      if (tokens[end]?.text !== "," || tokens[end + 1]?.text !== "(") break
      end++
    }
    if (rows.length === 0) return undefined
    // A text beside a date in one column is a date.
    const kinds = Array.from({ length: columns }, (_, index) =>
      rows
        .map((row) => row[index]?.kind)
        .find((kind) => kind === "date" || kind === "timestamp" || kind === "time")
    )
    const shown = rows.map(
      (row) =>
        `(${row
          .map((cell, index) => {
            const kind = kinds[index]
            return kind !== undefined && cell.kind === "text" ? `sg_${kind}(${cell.sql})` : cell.sql
          })
          .join(", ")})`
    )
    const names = kinds.map((_, index) => `column${index + 1}`).join(", ")
    return { sql: `(SELECT * FROM (VALUES ${shown.join(", ")}) AS sg_v(${names}))`, end }
  }

  /** `ASOF JOIN b MATCH_CONDITION (a.t >= b.t) ON a.k = b.k`: DuckDB has one condition. */
  const matchCondition = (at: number): { readonly sql: string; readonly end: number } | undefined => {
    const close = partner.get(at + 1)
    if (close === undefined) return undefined
    const condition = emit(at + 2, close)
    if (isWord(tokens[close + 1], "ON")) return { sql: `ON (${condition}) AND`, end: close + 2 }
    const using = isWord(tokens[close + 1], "USING") ? partner.get(close + 2) : undefined
    if (using !== undefined) return undefined
    return { sql: `ON (${condition})`, end: close + 1 }
  }

  /** Whether no ON and no USING follows the table after JOIN, which is a cross join for Snowflake. */
  const lacksCondition = (at: number, limit: number): boolean => {
    const depth = tokens[at]?.depth ?? 0
    for (let index = at; index < limit && tokens[index]!.depth >= depth; index++) {
      const token = tokens[index]!
      work.look(1)
      if (token.depth !== depth) continue
      if (isWord(token, "ON", "USING", "MATCH_CONDITION")) return false
      // `a JOIN b JOIN c ON .. ON ..` has its conditions at its end.
      if (
        isWord(
          token,
          "WHERE",
          "GROUP",
          "ORDER",
          "HAVING",
          "QUALIFY",
          "LIMIT",
          "WINDOW",
          "CONNECT",
          "START",
          ...setOperators
        ) ||
        token.text === "," ||
        token.text === ";"
      )
        return true
      if (isWord(token, "JOIN") && index > at)
        return find(index, tokens.length, (each) => each.depth === depth && isWord(each, "ON")) < 0
    }
    return true
  }

  /** `(a, b) IN ((1, 2), (3, NULL))`, which DuckDB compares as if NULL were a value. */
  const rowsIn = (at: number): { readonly sql: string; readonly end: number } | undefined => {
    const negated = isWord(tokens[at - 1], "NOT")
    const last = negated ? at - 2 : at - 1
    const open = tokens[last]?.text === ")" ? partner.get(last) : undefined
    const close = tokens[at + 1]?.text === "(" ? partner.get(at + 1) : undefined
    if (open === undefined || close === undefined || isName(tokens[open - 1])) {
      const before = tokens[(open ?? 0) - 1]
      if (
        open === undefined ||
        close === undefined ||
        !(before?.kind === "word" && keywords.has(before.value))
      )
        return undefined
    }
    const left = argumentsOf(from, open)
    const rows = argumentsOf(from, at + 1)
    if (
      left.length < 2 ||
      !rows.every(([start, stop]) => tokens[start]!.text === "(" && partner.get(start) === stop - 1)
    )
      return undefined
    const values = left.map(([start, stop]) => emit(start, stop))
    // They are written for each row.
    const length = values.reduce((sum, value) => sum + value.length, 0)
    work.write(length * rows.length)
    const each = rows.map(([start]) => {
      const cells = argumentsOf(from, start)
      if (cells.length !== values.length) return refuse("the rows of IN have different lengths")
      return `(${cells.map(([first, stop], index) => `${values[index]} = ${emit(first, stop)}`).join(" AND ")})`
    })
    return { sql: `${negated ? "(NOT " : ""}(${each.join(" OR ")})${negated ? ")" : ""}`, end: close + 1 }
  }

  /** The end of a range at the depth of `at`: where the SELECT that it is in ends. */
  const endOfSelect = (at: number, depth: number, limit: number): number => {
    let end = at
    while (end < limit && tokens[end]!.depth >= depth) {
      work.look(1)
      if (tokens[end]!.depth === depth && isWord(tokens[end], ...setOperators)) return end
      end++
    }
    return end
  }

  /** The aliases of UNPIVOT's columns, which are its values. */
  const unpivot = (at: number): { readonly sql: string; readonly end: number } | undefined => {
    let open = at + 1
    const nulls =
      isWord(tokens[open], "INCLUDE", "EXCLUDE") && isWord(tokens[open + 1], "NULLS")
        ? `${tokens[open]!.value} NULLS `
        : ""
    if (nulls !== "") open += 2
    const close = partner.get(open)
    if (close === undefined) return undefined
    const list = find(
      open + 1,
      close,
      (token) => isWord(token, "IN") && token.depth === tokens[open]!.depth + 1
    )
    const inner = partner.get(list + 1)
    if (list < 0 || inner === undefined) return undefined
    const columns = argumentsOf(from, list + 1).map(([start, end]) => {
      const name = tokens[start]!
      const alias = tokens[end - 1]!
      const shown = fromDuckDb(end > start + 1 ? alias.value : name.value)
      return `${name.text} AS ${literal(shown)}`
    })
    return {
      sql: `UNPIVOT ${nulls}(${textOf(from, open + 1, list)} IN (${columns.join(", ")}))`,
      end: close + 1
    }
  }

  const pivot = (at: number): { readonly sql: string; readonly end: number } | undefined => {
    const open = at + 1
    const close = partner.get(open)
    if (close === undefined) return undefined
    const list = find(
      open + 1,
      close,
      (token) => isWord(token, "IN") && token.depth === tokens[open]!.depth + 1
    )
    const inner = partner.get(list + 1)
    if (list < 0 || inner === undefined) return undefined
    if (isWord(tokens[list + 2], "ANY", "SELECT"))
      return {
        sql: `, (SELECT ${refuse("PIVOT with ANY or a subquery is not supported by the embedded warehouse; list the values: IN ('a', 'b')")}) `,
        end: close + 1
      }
    const defaultAt = inner + 1 < close && isWord(tokens[inner + 1], "DEFAULT")
    if (defaultAt)
      return {
        sql: `, (SELECT ${refuse("PIVOT with DEFAULT ON NULL is not supported by the embedded warehouse; use COALESCE on its columns")}) `,
        end: close + 1
      }
    const values = argumentsOf(from, list + 1).map(([start, end]) => {
      const value = tokens[start]!
      // Snowflake names a column by the literal as it is written, with its quotes.
      if (end === start + 1)
        return `${emit(start, end)} AS ${quoted(value.kind === "string" ? inDuckDb(`'${value.value}'`) : value.text)}`
      const alias = tokens[end - 1]!
      const last = isWord(tokens[end - 2], "AS") ? end - 2 : end - 1
      return `${emit(start, last)} AS ${alias.kind === "string" ? quoted(inDuckDb(alias.value)) : alias.text}`
    })
    const aggregate = tokens[open + 1]!.value.toUpperCase()
    if (Library.isOfTwo(aggregate))
      refuse(
        `PIVOT with ${aggregate} is not supported by the embedded warehouse; write ${aggregate}(IFF(month = 'Jan', amount, NULL)) for each column`
      )
    return { sql: `PIVOT (${emit(open + 1, list)} IN (${values.join(", ")}))`, end: close + 1 }
  }

  /** `SELECT ... FROM t START WITH a CONNECT BY PRIOR b = c`: a recursive query over one table. */
  const connectBy = (select: number, end: number): string | undefined => {
    const depth = tokens[select]!.depth
    const clause = (...words: ReadonlyArray<string>) =>
      find(select, end, (token) => token.depth === depth && isWord(token, ...words))
    const connect = clause("CONNECT")
    if (connect < 0 || !isWord(tokens[connect + 1], "BY")) return undefined
    const start = clause("START")
    const fromAt = clause("FROM")
    const where = clause("WHERE")
    const stops = [
      ...["WHERE", "GROUP", "HAVING", "QUALIFY", "ORDER", "LIMIT"].map((word) => clause(word)),
      start,
      connect
    ].filter((index) => index > fromAt)
    const tableEnd = Math.min(...stops)
    const table = tokens.slice(fromAt + 1, tableEnd)
    const simple = table.every((token) => isName(token) || token.text === ".") && fromAt > 0
    const noCycle = isWord(tokens[connect + 2], "NOCYCLE")
    if (!simple || noCycle)
      return `SELECT ${refuse("CONNECT BY works on one table, without NOCYCLE, in the embedded warehouse; write a recursive CTE")}`
    const names = table.filter((token) => token.text !== "." && !isWord(token, "AS"))
    const hasAlias = names.length > 1 && table[table.length - 2]?.text !== "."
    const alias = (hasAlias ? names[names.length - 1]! : names[names.length - 1]!).text
    const relation = textOf(
      from,
      fromAt + 1,
      hasAlias ? tableEnd - (isWord(tokens[tableEnd - 2], "AS") ? 2 : 1) : tableEnd
    )
    const after = (at: number) => Math.min(end, ...stops.filter((index) => index > at))
    const condition = (from_: number, to: number, prior: string): string => {
      const parts: Array<string> = []
      for (let index = from_; index < to; index++) {
        const token = tokens[index]!
        if (isWord(token, "PRIOR")) {
          index++
          while (tokens[index + 1]?.text === "." && isName(tokens[index + 2])) index += 2
          parts.push(`${prior}.${tokens[index]!.text}`)
        } else if (isName(token) && tokens[index + 1]?.text === ".") {
          parts.push(`sg_t.${tokens[index + 2]!.text}`)
          index += 2
        } else if (
          isName(token) &&
          !(
            token.kind === "word" &&
            (keywords.has(token.value) ||
              boundaries.has(token.value) ||
              ["NULL", "TRUE", "FALSE", "LEVEL"].includes(token.value))
          ) &&
          tokens[index + 1]?.text !== "("
        )
          parts.push(`sg_t.${token.text}`)
        else parts.push(token.kind === "string" ? literal(token.value) : token.text)
      }
      return parts.join(" ")
    }
    const columns: Array<string> = []
    const recursion: Array<string> = []
    const listTokens: Array<string> = []
    let uses = 0
    for (let index = select + 1; index < fromAt; index++) {
      const token = tokens[index]!
      if (isWord(token, "SYS_CONNECT_BY_PATH") && tokens[index + 1]?.text === "(") {
        const [value, separator] = argumentsOf(from, index + 1)
        if (value === undefined || separator === undefined) return undefined
        const name = `sg_path${++uses}`
        const shown = `${emit(...separator)} || sg_text(${emit(...value)})`
        columns.push(`${shown} AS ${name}`)
        recursion.push(`sg_p.${name} || ${emit(...separator)} || sg_text(sg_t.${textOf(from, ...value)})`)
        listTokens.push(name)
        index = partner.get(index + 1)!
      } else if (isWord(token, "CONNECT_BY_ROOT") && isName(tokens[index + 1])) {
        index++
        while (tokens[index + 1]?.text === "." && isName(tokens[index + 2])) index += 2
        const name = `sg_root${++uses}`
        columns.push(`${tokens[index]!.text} AS ${name}`)
        recursion.push(`sg_p.${name}`)
        listTokens.push(
          isWord(tokens[index + 1], "AS") || isName(tokens[index + 1])
            ? name
            : `${name} AS ${quoted(`CONNECT_BY_ROOT ${tokens[index]!.value}`)}`
        )
      } else if (isWord(token, "PRIOR", "CONNECT_BY_ISLEAF", "CONNECT_BY_ISCYCLE")) {
        return `SELECT ${refuse(`${token.value} in the list of a CONNECT BY query is not supported by the embedded warehouse; write a recursive CTE`)}`
      } else if (
        isName(token) &&
        tokens[index + 1]?.text === "." &&
        token.text.toUpperCase() === alias.toUpperCase()
      )
        index++
      else listTokens.push(emit(index, index + 1))
    }
    const extra = (list: ReadonlyArray<string>) => list.map((column) => `, ${column}`).join("")
    const begin = start < 0 ? "" : ` WHERE ${condition(start + 2, after(start), "sg_p")}`
    const rule = condition(connect + 2, after(connect), "sg_p")
    const filter = where < 0 ? "" : ` WHERE ${emit(where + 1, after(where))}`
    const restAt = Math.min(
      ...["GROUP", "HAVING", "QUALIFY", "ORDER", "LIMIT"]
        .map((word) => clause(word))
        .filter((index) => index > 0),
      end
    )
    const rest = restAt < end ? ` ${emit(restAt, end)}` : ""
    return (
      `SELECT ${listTokens.join(" ")} FROM (WITH RECURSIVE sg_tree AS (SELECT sg_t.*, 1 AS "LEVEL"${extra(columns)} FROM ${relation} AS sg_t${begin} ` +
      `UNION ALL SELECT sg_t.*, sg_p."LEVEL" + 1${extra(recursion)} FROM ${relation} AS sg_t JOIN sg_tree AS sg_p ON ${rule}) SELECT * FROM sg_tree) AS ${alias}${filter}${rest}`
    )
  }

  // Pieces

  const pathKey = (token: Token): string =>
    `':' || ${literal(JSON.stringify(token.kind === "quoted" ? token.value : token.text))}`

  /** The keys of a path from a token on: `.a`, `[0]`, `['b']`, `:c`. */
  const keysAt = (at: number): { readonly keys: ReadonlyArray<string>; readonly end: number } => {
    const keys: Array<string> = []
    let end = at
    for (;;) {
      const token = tokens[end]
      const next = tokens[end + 1]
      if ((token?.text === "." || token?.text === ":") && token.kind === "operator" && isName(next)) {
        keys.push(pathKey(next))
        end += 2
      } else if (token?.text === "[" && partner.has(end)) {
        const close = partner.get(end)!
        keys.push(`sg_in(${emit(end + 1, close)})`)
        end = close + 1
      } else return { keys, end }
    }
  }

  /** Where the other side ends that begins at a token. */
  const endOfSide = (at: number, limit: number): number => {
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

  /** A path that is cast to what is not semi-structured is read as a text, without the way round. */
  const scalarOf = (piece: Piece, type: Type): Piece =>
    piece.path === undefined || type.kind === "variant" || type.kind === "bytes"
      ? piece
      : { ...piece, sql: `sgj_path_text(${piece.path})`, kind: "text" }

  /** `'1 year, 2 days'`: numbers without a unit are seconds. */
  const interval = (text_: string): Piece => {
    const parts = [...text_.matchAll(intervalPart)].map(([, count = "0", unit = ""]) => {
      const known = unit === "" ? "second" : Library.partOf(unit)
      return [count, known !== undefined && Library.addable.has(known) ? known : ""] as const
    })
    if (
      text_.replace(intervalPart, "").trim() !== "" ||
      parts.length === 0 ||
      parts.some(([, unit]) => unit === "")
    )
      refuse(
        `INTERVAL '${text_.trim()}' is not a list of whole numbers with parts of dates: '1 year, 2 days'`
      )
    return {
      sql: `INTERVAL ${literal(parts.map((part) => part.join(" ")).join(" "))}`,
      kind: "unknown",
      operand: true,
      mark: undefined,
      interval: parts
    }
  }

  /** The item of a list with the name that Snowflake would give it. */
  const item = (start: number, end: number): Item & { readonly sql: string } => {
    const list = pieces(start, end)
    const text = join(list)
    const first = tokens[start]
    const last = tokens[end - 1]
    if (first === undefined || last === undefined)
      return { sql: text, name: undefined, value: undefined, isStar: false }
    const isStar =
      first.text === "*" ||
      tokens.slice(start, end).some((token, index, all) => token.text === "*" && all[index - 1]?.text === ".")
    let at = start
    while (isName(tokens[at]) && tokens[at + 1]?.text === "." && at + 2 < end) at += 2
    const isColumn = at === end - 1 && isName(last)
    const before = tokens[end - 2]
    const aliased =
      end > start + 1 &&
      isName(last) &&
      before !== undefined &&
      (isWord(before, "AS") ||
        (before.kind !== "operator" &&
          before.kind !== "open" &&
          !(before.kind === "word" && keywords.has(before.value)))) &&
      !isWord(last, "END", "NULL", "TRUE", "FALSE")
    const name = (isColumn || aliased) && isName(last) ? last.text : undefined
    const [value] = list
    const isOne = list.length === (aliased ? (isWord(before, "AS") ? 3 : 2) : 1)
    const known = { name, isStar, value: isOne && !isStar ? value : undefined }
    const shown = textOf(from, start, end)
    // The gate reads no backslash and no control character in a name.
    if (
      isStar ||
      isColumn ||
      aliased ||
      isWord(first, "COLUMNS") ||
      /[\\\u0000-\u0008\u000b-\u001f]/.test(shown)
    )
      return { ...known, sql: text }
    const made = quoted(upper(shown.replace(/\s+/g, " ")))
    return { ...known, name: made, sql: `${text} AS ${made}` }
  }

  /** The list of a SELECT, item by item. */
  const selectList = (
    at: number,
    limit: number
  ): {
    readonly sql: string
    readonly end: number
    readonly top: string
    readonly items: ReadonlyArray<Item>
  } => {
    const depth = tokens[at]!.depth
    let start = at + 1
    let head = "SELECT"
    let top = ""
    while (isWord(tokens[start], "DISTINCT", "ALL")) head += ` ${tokens[start++]!.value}`
    if (isWord(tokens[start], "TOP") && tokens[start + 1]?.kind === "number") {
      top = ` LIMIT ${tokens[start + 1]!.text}`
      start += 2
    }
    const items: Array<ReturnType<typeof item>> = []
    let from_ = start
    let end = start
    for (; end < limit; end++) {
      const token = tokens[end]!
      if (token.depth < depth) break
      if (token.depth !== depth) continue
      if (token.kind === "word" && afterList.has(token.value)) {
        const before = tokens[end - 1]
        const inside =
          before?.value === "WITHIN" ||
          (token.value === "FROM" && before?.value === "DISTINCT") ||
          (token.value === "EXCEPT" && before?.text === "*")
        if (!inside) break
      }
      if (token.kind === "operator" && token.value === ",") {
        items.push(item(from_, end))
        from_ = end + 1
      }
    }
    if (end > from_) items.push(item(from_, end))
    return { sql: `${head} ${items.map((each) => each.sql).join(", ")}`, end, top, items }
  }

  const pieces = (start: number, end: number): Array<Piece> => work.within(() => piecesOf(start, end))

  const piecesOf = (start: number, end: number): Array<Piece> => {
    const list: Array<Piece> = []
    const push = (text: string, kind: Kind = "unknown", operand = true, mark?: string) => {
      list.push({ sql: text, kind, operand, mark })
    }
    const keyword = (text: string, mark: string) => push(text, "unknown", false, mark)
    const outerGrouped = grouped
    let limit = ""
    for (let at = start; at < end;) {
      const token = tokens[at]!
      const next = tokens[at + 1]
      const last = list[list.length - 1]
      const follows = last?.operand === true
      // What follows an operand writes it anew.
      work.look(PIECE + (last?.sql.length ?? 0))

      if (token.kind === "string" || token.kind === "dollar") {
        // `DATE '2024-01-01'`, `TIMESTAMP '...'`.
        const type =
          last?.mark === undefined &&
          isWord(
            tokens[at - 1],
            "DATE",
            "TIME",
            "TIMESTAMP",
            "TIMESTAMP_NTZ",
            "TIMESTAMP_LTZ",
            "TIMESTAMP_TZ",
            "DATETIME"
          )
            ? typeAt(from, at - 1)
            : undefined
        if (type !== undefined && follows) {
          list.pop()
          push(type.cast({ sql: literal(token.value), kind: "text" }, false), type.kind)
        } else if (last?.mark === "INTERVAL") {
          list.pop()
          // `INTERVAL '1' DAY` is `INTERVAL '1 day'`.
          const unit = /^\s*[+-]?\d+\s*$/.test(token.value) ? Library.partOf(next?.value) : undefined
          list.push(interval(`${token.value} ${unit ?? ""}`))
          if (unit !== undefined && isWord(next)) at++
        } else push(literal(token.value), "text")
        at++
      } else if (token.kind === "hex") {
        push(`unhex(${literal(token.value)})`, "bytes")
        at++
      } else if (token.kind === "number") {
        // The product of two literals may be larger than an INTEGER.
        const wide = (tokens[at - 1]?.text === "*" || next?.text === "*") && /^\d{1,18}$/.test(token.text)
        push(wide ? `${token.text}::BIGINT` : token.text, "number")
        at++
      } else if (token.kind === "variable") {
        // `$1` is a column of VALUES; the emulator writes a bind as `$bind1`.
        push(token.text.replace(/^\$(\d+)$/, "column$1").replace(/^\$bind(\d+)$/, "$$$1"))
        at++
      } else if (token.kind === "operator" && token.value === "::" && follows) {
        const type = typeAt(from, at + 1)
        if (type === undefined) {
          list.pop()
          push(`${last.sql}::${next?.text ?? ""}`)
          at += 2
        } else {
          const first = startOfOperand(list, list.length - 1)
          const value = first === list.length - 1 ? last : { ...last, sql: `(${join(list.slice(first))})` }
          list.splice(first)
          push(type.cast(scalarOf(value, type), false), type.kind)
          at = type.end
        }
      } else if (
        follows &&
        ((token.value === ":" && token.kind === "operator" && isName(next)) || token.text === "[")
      ) {
        const { end: stop, keys } = keysAt(at)
        list.pop()
        const path = `sg_in(${last.sql}), ${keys.join(", ")}`
        list.push({
          sql: Library.element(`sgj_path(${path})`),
          kind: "variant",
          operand: true,
          mark: undefined,
          path
        })
        at = stop
      } else if (token.kind === "operator" && token.value === "." && follows && next !== undefined) {
        list.pop()
        const hidden = next.value === informationSchema ? quoted(hiddenInformationSchema) : undefined
        push(
          `${last.sql}.${next.kind === "variable" ? `column${next.text.slice(1)}` : (hidden ?? next.text)}`,
          isElement(next) && !bound.has(next.value) ? "variant" : "unknown",
          true,
          next.text === "*" ? "star" : undefined
        )
        at += 2
      } else if (token.text === "(") {
        const close = partner.get(at)
        if (close === undefined) {
          push(token.text, "unknown", false)
          at++
        } else {
          const inner = pieces(at + 1, close)
          push(`(${join(inner)})`, inner.length === 1 ? inner[0]!.kind : "unknown")
          at = close + 1
        }
      } else if (token.text === "[" && partner.has(at)) {
        const close = partner.get(at)!
        push(
          Library.inJavaScript(
            "array_construct",
            argumentsOf(from, at).map((range) => argument(...range))
          ).sql,
          "variant"
        )
        at = close + 1
      } else if (token.text === "{" && partner.has(at)) {
        const close = partner.get(at)!
        const args = argumentsOf(from, at).flatMap(([first, stop]): ReadonlyArray<Argument> => {
          const key = tokens[first]!
          return tokens[first + 1]?.text === ":" && (key.kind === "string" || isName(key))
            ? [
                { sql: literal(key.kind === "word" ? key.text : key.value), kind: "text" },
                argument(first + 2, stop)
              ]
            : [argument(first, stop)]
        })
        push(Library.inJavaScript("object_construct", args).sql, "variant")
        at = close + 1
      } else if (token.kind === "operator" && token.value === "->" && follows) {
        keyword(token.text, token.value)
        at++
      } else if (token.kind === "word") {
        at = word(at, end, list, push, keyword, (text) => {
          limit = text
        })
        const stop = limit === "" ? end : endOfSelect(at, token.depth, end)
        if (limit !== "") {
          list.push(...pieces(at, stop))
          keyword(limit.trim(), "LIMIT")
          limit = ""
          at = stop
        }
      } else if (token.kind === "quoted") {
        push(
          token.value === informationSchema && next?.text === "."
            ? quoted(hiddenInformationSchema)
            : token.text
        )
        at++
      } else {
        push(token.text, "unknown", false, token.value)
        at++
      }
    }
    grouped = outerGrouped
    withOperators(list, refuse, work)
    work.write(list.reduce((sum, { sql }) => sum + sql.length, 0))
    return list
  }

  type Push = (text: string, kind?: Kind, operand?: boolean, mark?: string) => void

  /** The pieces that begin with a word; where the next one begins. */
  const word = (
    at: number,
    end: number,
    list: Array<Piece>,
    push: Push,
    keyword: (text: string, mark: string) => void,
    limited: (text: string) => void
  ): number => {
    const token = tokens[at]!
    const next = tokens[at + 1]
    const last = list[list.length - 1]
    const bracket = next?.text === "(" && partner.has(at + 1)
    switch (token.value) {
      case "SELECT": {
        const stop = endOfSelect(at, token.depth, end)
        const tree = connectBy(at, stop)
        if (tree !== undefined) {
          keyword(tree, "SELECT")
          return stop
        }
        const { end: listEnd, items, sql: text, top } = selectList(at, end)
        list.push({ sql: text, kind: "unknown", operand: false, mark: "SELECT", items })
        if (top !== "") limited(top)
        return listEnd
      }
      case "TABLE":
        if (bracket && isWord(tokens[at + 2]) && tokens[at + 3]?.text === "(") {
          const made = tableCall(at + 2)
          if (made !== undefined) {
            push(made)
            return skipTo(at + 1)
          }
        }
        break
      case "FLATTEN":
      case "SPLIT_TO_TABLE":
      case "STRTOK_SPLIT_TO_TABLE":
        if (bracket) {
          const made = tableCall(at)
          if (made !== undefined) {
            push(made)
            return skipTo(at + 1)
          }
        }
        break
      case "VALUES": {
        const made = isWord(tokens[at - 1], "AS") ? undefined : valuesAt(at)
        if (made !== undefined) {
          push(made.sql)
          return made.end
        }
        break
      }
      case "LATERAL":
        if (isWord(tokens[at - 1], "FROM")) return at + 1
        break
      case "INNER":
      case "JOIN": {
        const join_ = token.value === "JOIN" ? at : isWord(next, "JOIN") ? at + 1 : undefined
        if (
          join_ === undefined ||
          (token.value === "JOIN" &&
            isWord(tokens[at - 1], "INNER", "CROSS", "LEFT", "RIGHT", "FULL", "OUTER", "NATURAL", "ASOF"))
        )
          break
        if (isWord(tokens[at - 1], "NATURAL", "ASOF") || !lacksCondition(join_ + 1, end)) break
        keyword("CROSS JOIN", "JOIN")
        return join_ + 1
      }
      case "ASOF":
        keyword("ASOF LEFT", "ASOF")
        return at + 1
      case "MATCH_CONDITION":
        if (bracket) {
          const made = matchCondition(at)
          if (made !== undefined) {
            keyword(made.sql, "ON")
            return made.end
          }
        }
        break
      case "UNPIVOT":
      case "PIVOT": {
        const made = token.value === "PIVOT" ? pivot(at) : unpivot(at)
        if (made !== undefined) {
          push(made.sql)
          return made.end
        }
        break
      }
      case "MATCH_RECOGNIZE":
        if (bracket && (last?.operand === true || isWord(tokens[at - 1], "AS")))
          refuse(
            "MATCH_RECOGNIZE is not supported by the embedded warehouse; use window functions and QUALIFY"
          )
        break
      case "AT":
      case "BEFORE":
      case "CHANGES":
        if (bracket && last?.operand === true && tokens[at + 3]?.text === "=>")
          refuse(`${token.value} (...) is not supported: the embedded warehouse keeps no earlier data`)
        break
      case "SAMPLE":
      case "TABLESAMPLE": {
        const made = sample(at)
        if (made !== undefined && last?.operand === true) {
          keyword(made.sql, "SAMPLE")
          return made.end
        }
        break
      }
      case "LIKE":
      case "ILIKE":
        if (isWord(next, "ANY", "ALL") && tokens[at + 2]?.text === "(") {
          const close = partner.get(at + 2)!
          const negated = last?.mark === "NOT"
          if (negated) list.pop()
          const subject = popSide(list)
          const patterns = Library.inJavaScript(
            "array_construct",
            argumentsOf(from, at + 2).map((range) => argument(...range))
          ).sql
          const escape = isWord(tokens[close + 1], "ESCAPE")
          const mark = escape ? `, sg_in(${emit(close + 2, close + 3)})` : ""
          push(
            `${negated ? "NOT " : ""}sgj_${token.value.toLowerCase()}_${next.value.toLowerCase()}(sg_in(${subject}), sg_in(${patterns})${mark})`,
            "boolean"
          )
          return close + (escape ? 3 : 1)
        }
        break
      case "IN": {
        const made = rowsIn(at)
        if (made !== undefined) {
          list.splice(-(isWord(tokens[at - 1], "NOT") ? 2 : 1))
          push(made.sql, "boolean")
          return made.end
        }
        break
      }
      case "RLIKE":
      case "REGEXP":
        if (last?.operand === true || last?.mark === "NOT") {
          const negated = last.mark === "NOT"
          if (negated) list.pop()
          const subject = popSide(list)
          const stop = endOfSide(at + 1, end)
          push(
            `${negated ? "NOT " : ""}sgj_regexp_like(sg_str(${subject}), ${Library.asText(argument(at + 1, stop))})`,
            "boolean"
          )
          return stop
        }
        break
      case "MINUS":
        if (isWord(next, "SELECT", "ALL", "WITH") || next?.text === "(") {
          keyword("EXCEPT", "EXCEPT")
          return at + 1
        }
        break
      case "EXCLUDE":
      case "RENAME":
      case "REPLACE":
        if (tokens[at - 1]?.text === "*" && bracket) {
          keyword(`${token.text} (${emit(at + 2, partner.get(at + 1)!)})`, token.value)
          return skipTo(at + 1)
        }
        break
      case "CURRENT_DATE":
      case "CURRENT_TIME":
      case "CURRENT_TIMESTAMP":
      case "LOCALTIME":
      case "LOCALTIMESTAMP":
      case "SYSDATE":
      case "CURRENT_USER":
      case "CURRENT_ROLE":
        if (!bracket && tokens[at - 1]?.text !== "." && next?.text !== "." && !isWord(tokens[at - 1], "AS")) {
          const made = Library.calls[token.value]?.({
            name: token.value,
            args: [],
            distinct: false,
            order: undefined,
            filter: undefined,
            over: undefined,
            window: undefined,
            nulls: undefined
          })
          if (made !== undefined) {
            push(made.sql, made.kind)
            return at + 1
          }
        }
        break
      case "TRUE":
      case "FALSE":
        push(token.text, "boolean")
        return at + 1
      case informationSchema:
        if (next?.text === ".") {
          push(quoted(hiddenInformationSchema))
          return at + 1
        }
        break
    }
    const isKeyword = keywords.has(token.value) && !(callable.has(token.value) && bracket)
    // A column list after an alias or the name of a CTE is no call.
    const names =
      isWord(tokens[at - 1], "AS", "WITH", "RECURSIVE") ||
      (tokens[at - 1]?.kind === "close" && !isWord(tokens[at - 1], "END") && last?.operand === true) ||
      isCteName(at)
    if (bracket && !isKeyword && !names && tokens[at - 1]?.text !== ".") {
      const { end: stop, piece } = call(at)
      list.push(piece)
      return stop
    }
    if (isKeyword) {
      keyword(token.text, token.value)
      if (token.value === "ORDER") {
        work.look(list.length)
        grouped = groupedByAll(list) ?? grouped
      }
      return at + 1
    }
    if (grouped.has(token.value) && tokens[at - 1]?.text !== "." && next?.text !== "." && !isSortItem(at)) {
      push(`any_value(${token.text})`)
      return at + 1
    }
    const isName = ownWords.has(token.value) && !bracket && !isWord(next, "JOIN")
    push(isName ? quoted(token.text) : token.text, kindOfWord(token), true)
    return at + 1
  }

  /** A value that is a whole item of ORDER BY. */
  const isSortItem = (at: number): boolean => {
    const [before, after] = [tokens[at - 1], tokens[at + 1]]
    return (
      (before?.text === "," || isWord(before, "BY")) &&
      (after === undefined || after.kind === "close" || sortFollows.has(after.value))
    )
  }

  /** `, name (a, b) AS (` */
  const isCteName = (at: number): boolean => {
    if (tokens[at + 1]?.text !== "(") return false
    const close = partner.get(at + 1)
    return (
      close !== undefined &&
      isWord(tokens[close + 1], "AS") &&
      tokens[close + 2]?.text === "(" &&
      (tokens[at - 1]?.text === "," || isWord(tokens[at - 1], "WITH", "RECURSIVE"))
    )
  }

  /** `t SAMPLE (10)` is per cent, `t SAMPLE (10 ROWS)` is rows. */
  const sample = (at: number): { readonly sql: string; readonly end: number } | undefined => {
    const method = isWord(tokens[at + 1], "BERNOULLI", "ROW", "SYSTEM", "BLOCK") ? 1 : 0
    const open = at + 1 + method
    const close = partner.get(open)
    const size = tokens[open + 1]
    if (tokens[open]?.text !== "(" || close === undefined || size?.kind !== "number") return undefined
    const isRows = isWord(tokens[open + 2], "ROWS")
    if (close !== open + (isRows ? 3 : 2)) return undefined
    return {
      sql: isRows ? `TABLESAMPLE reservoir(${size.text} ROWS)` : `TABLESAMPLE bernoulli(${size.text}%)`,
      end: close + 1
    }
  }

  const text = emit(0, tokens.length)
  if (refusal !== undefined) return `SELECT ${refusal}`
  return tokens.some((token) => isWord(token) && Library.tellsDoubles.has(token.value))
    ? Library.tellingDoubles(text)
    : text
}
