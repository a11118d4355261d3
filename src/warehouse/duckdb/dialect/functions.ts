/**
 * Calls that a macro cannot stand for: units without quotes, any number of arguments, clauses after the
 * bracket.
 *
 * @since 0.1.0
 */
import type { Edit, Source } from "./edits.js"
import { argumentsOf, isWord } from "./edits.js"

const units: ReadonlyMap<string, string> = new Map(
  Object.entries({
    year: "year y yy yyy yyyy yr years yrs",
    quarter: "quarter q qtr qtrs quarters",
    month: "month mm mon mons months",
    week: "week w wk weekofyear woy wy weeks",
    day: "day d dd days dayofmonth",
    hour: "hour h hh hr hours hrs",
    minute: "minute m mi min minutes mins",
    second: "second s sec seconds secs",
    millisecond: "millisecond ms msec milliseconds",
    microsecond: "microsecond us usec microseconds"
  }).flatMap(([unit, names]) => names.split(" ").map((name) => [name, unit] as const))
)

const adding = new Set(["DATEADD", "TIMESTAMPADD", "TIMEADD"])
const subtracting = new Set(["DATEDIFF", "TIMESTAMPDIFF", "TIMEDIFF"])
const withUnit = new Set(["DATE_TRUNC", "DATE_PART"])

/** A date as text is a date here, which DuckDB cannot know. */
const asTimestamps = (from: Source, ranges: ReadonlyArray<readonly [number, number]>): ReadonlyArray<Edit> =>
  ranges.flatMap(([start, end]) => {
    const token = from.tokens[start]!
    return end === start + 1 && token.kind === "string"
      ? [{ start: token.start, end: token.start, text: "TIMESTAMP " }]
      : []
  })

const dates = (from: Source, index: number): ReadonlyArray<Edit> => {
  const { tokens } = from
  const name = tokens[index]!
  const [unitAt, ...rest] = argumentsOf(from, index + 1)
  const unitToken = unitAt !== undefined && unitAt[1] === unitAt[0] + 1 ? tokens[unitAt[0]] : undefined
  const isUnit = unitToken?.kind === "word" || unitToken?.kind === "string"
  const unit = isUnit ? units.get(unitToken.value.toLowerCase()) : undefined
  const first = rest[0]
  if (unitToken === undefined || first === undefined) return []
  if (adding.has(name.value)) {
    if (unit === undefined || rest.length !== 2) return []
    return [
      { start: name.start, end: name.end, text: `sg_add_${unit}` },
      { start: unitToken.start, end: tokens[first[0]]!.start, text: "" },
      ...asTimestamps(from, rest.slice(1))
    ]
  }
  if (unitToken.kind !== "word") return subtracting.has(name.value) ? asTimestamps(from, rest) : []
  return [
    { start: unitToken.start, end: unitToken.end, text: `'${unit ?? unitToken.text}'` },
    ...(subtracting.has(name.value) ? [{ start: name.start, end: name.end, text: "date_diff" }] : []),
    ...asTimestamps(from, rest)
  ]
}

/** `OBJECT_CONSTRUCT('a', x, 'b', y)`: a struct, when the keys are literals. */
const object = (from: Source, index: number): ReadonlyArray<Edit> => {
  const { partner, tokens } = from
  const name = tokens[index]!
  const ranges = argumentsOf(from, index + 1)
  const open = tokens[index + 1]!
  const close = tokens[partner.get(index + 1)!]!
  const keysAreLiterals = ranges.every(
    ([start, end], at) => at % 2 === 1 || (end === start + 1 && tokens[start]!.kind === "string")
  )
  if (ranges.length % 2 === 1 || !keysAreLiterals) return []
  if (ranges.length === 0) return [{ start: name.start, end: close.end, text: "'{}'::JSON::VARIANT" }]
  const keeps = name.value === "OBJECT_CONSTRUCT_KEEP_NULL"
  return [
    { start: name.start, end: open.end, text: keeps ? "({" : "sg_object({" },
    ...ranges.flatMap(([, end], at) =>
      at % 2 === 0 ? [{ start: tokens[end]!.start, end: tokens[end]!.end, text: ":" }] : []
    ),
    { start: close.start, end: close.end, text: keeps ? "}::VARIANT)" : "})" }
  ]
}

/** `ARRAY_CONSTRUCT(x, 'y')`: a list, whose elements may be of different types. */
const array = (from: Source, index: number): ReadonlyArray<Edit> => {
  const { partner, tokens } = from
  const open = tokens[index + 1]!
  const close = tokens[partner.get(index + 1)!]!
  return [
    { start: tokens[index]!.start, end: open.end, text: "[" },
    ...argumentsOf(from, index + 1).flatMap(([start, end]) => [
      { start: tokens[start]!.start, end: tokens[start]!.start, text: "(" },
      { start: tokens[end - 1]!.end, end: tokens[end - 1]!.end, text: ")::VARIANT" }
    ]),
    { start: close.start, end: close.end, text: "]" }
  ]
}

/** `LISTAGG(x, ',') WITHIN GROUP (ORDER BY y)`: DuckDB has the order inside. */
const ordered = (from: Source, index: number): ReadonlyArray<Edit> => {
  const { partner, tokens } = from
  const name = tokens[index]!
  const close = partner.get(index + 1)!
  const group = close + 3
  const end = partner.get(group)
  const listagg = name.value === "LISTAGG"
  const rename = listagg ? [{ start: name.start, end: name.end, text: "string_agg" }] : []
  const separator = listagg && argumentsOf(from, index + 1).length === 1 ? ", ''" : ""
  if (!isWord(tokens[close + 1], "WITHIN") || !isWord(tokens[close + 2], "GROUP") || end === undefined) {
    return separator === ""
      ? rename
      : [...rename, { start: tokens[close]!.start, end: tokens[close]!.start, text: separator }]
  }
  const order = from.sql.slice(tokens[group]!.end, tokens[end]!.start)
  return [...rename, { start: tokens[close]!.start, end: tokens[end]!.end, text: `${separator} ${order})` }]
}

/** `RATIO_TO_REPORT(x) OVER (...)`: the value by the sum of all values. */
const ratio = (from: Source, index: number): ReadonlyArray<Edit> => {
  const { partner, sql, tokens } = from
  const name = tokens[index]!
  const value = sql.slice(tokens[index + 1]!.start, tokens[partner.get(index + 1)!]!.end)
  return [{ start: name.start, end: name.end, text: `${value} / sum` }]
}

const renamed: Readonly<Record<string, string>> = { ARRAY_SLICE: "sg_array_slice" }

/**
 * @since 0.1.0
 * @category rules
 */
export const functions = (from: Source): ReadonlyArray<Edit> => {
  const { partner, tokens } = from
  return tokens.flatMap((token, index) => {
    if (!isWord(token) || tokens[index + 1]?.text !== "(" || !partner.has(index + 1)) return []
    const { value } = token
    if (adding.has(value) || subtracting.has(value) || withUnit.has(value)) return dates(from, index)
    if (value === "OBJECT_CONSTRUCT" || value === "OBJECT_CONSTRUCT_KEEP_NULL") return object(from, index)
    if (value === "ARRAY_CONSTRUCT") return array(from, index)
    if (value === "LISTAGG" || value === "ARRAY_AGG") return ordered(from, index)
    if (value === "RATIO_TO_REPORT") return ratio(from, index)
    if (value === "LAST_DAY") {
      const unit = argumentsOf(from, index + 1)[1]
      const word = unit !== undefined && unit[1] === unit[0] + 1 ? tokens[unit[0]] : undefined
      return isWord(word)
        ? [{ start: word.start, end: word.end, text: `'${units.get(word.text.toLowerCase()) ?? word.text}'` }]
        : []
    }
    if (value === "POSITION" && argumentsOf(from, index + 1).length > 1) {
      return [{ start: token.start, end: token.end, text: "charindex" }]
    }
    const name = renamed[value]
    return name === undefined ? [] : [{ start: token.start, end: token.end, text: name }]
  })
}
