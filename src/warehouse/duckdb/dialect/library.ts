/**
 * Snowflake's functions on DuckDB: the one table of what there is.
 *
 * A function is one of these:
 *  - `scalars.ts` has it under the same name: it runs in JavaScript, on the arguments that it says it takes;
 *  - an entry of `calls` writes SQL for it;
 *  - DuckDB's own function of that name does the same (and is on the gate's list): it needs no entry.
 *
 * What would give another value than Snowflake's and cannot be made to give the same is in `refused`.
 *
 * Macros live in `memory.main`, where every statement looks before DuckDB's own functions; `system.main.x`
 * is DuckDB's. A macro is pasted into the statement: names that it binds itself begin with `sg_`, and it
 * repeats an argument as seldom as it can.
 *
 * @since 0.1.0
 */
import { literal } from "../../../sql/Identifier.js"
import { scalars } from "./scalars.js"
import { members, noNanoseconds, variantType } from "./values.js"

/**
 * What is known of an expression without asking DuckDB.
 *
 * @since 0.1.0
 * @category models
 */
export type Kind =
  "text" | "number" | "boolean" | "variant" | "date" | "timestamp" | "time" | "bytes" | "unknown"

/**
 * An argument: its SQL, what is known of it, and how it was written.
 *
 * @since 0.1.0
 * @category models
 */
export interface Argument {
  readonly sql: string
  readonly kind: Kind
  /** A literal's value, or the one word that it is. */
  readonly literal?: string | undefined
  readonly isWord?: boolean | undefined
  readonly isStar?: boolean | undefined
}

/**
 * A call with what follows its bracket.
 *
 * @since 0.1.0
 * @category models
 */
export interface Invocation {
  readonly name: string
  readonly args: ReadonlyArray<Argument>
  readonly distinct: boolean
  /** `ORDER BY ...` of WITHIN GROUP. */
  readonly order: string | undefined
  readonly filter: string | undefined
  /** `OVER (...)`. */
  readonly over: string | undefined
  /** What is inside the bracket of OVER. */
  readonly window: string | undefined
  /** `IGNORE NULLS` or `RESPECT NULLS`. */
  readonly nulls: string | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Written {
  readonly sql: string
  readonly kind: Kind
}

/** A call that is an error with this text. */
export const refusal = (message: string): string => `sgj_refuse(${literal(message)})`

/** The argument as a text for a function in JavaScript. */
export const asText = ({ kind, sql }: Argument): string =>
  kind === "text" ? sql : kind === "boolean" ? `(${sql})::VARCHAR` : `sg_str(${sql})`

/** The argument with its type for a function in JavaScript. */
export const asValue = ({ sql }: Argument): string => `sg_in(${sql})`

/** The value that a function in JavaScript returns as a list of one, because the driver cannot write a union that is NULL. */
export const element = (call: string): string => `(${call})[1]`

/**
 * The call of a function of `scalars`.
 *
 * @since 0.1.0
 * @category writing
 */
export const inJavaScript = (name: string, args: ReadonlyArray<Argument>): Written => {
  const known = scalars[name]!
  const takes = known.takes.replace("*", "")
  const repeats = known.takes.endsWith("*")
  if (args.length < known.least || (!repeats && args.length > takes.length)) {
    return {
      sql: refusal(
        `${args.length < known.least ? "not enough" : "too many"} arguments for function ${name.toUpperCase()}`
      ),
      kind: "unknown"
    }
  }
  const written = args.map((arg, index) => {
    const kind = takes[Math.min(index, takes.length - 1)]
    return kind === "v" ? asValue(arg) : asText(arg)
  })
  const kinds = {
    text: "text",
    integer: "number",
    number: "number",
    boolean: "boolean",
    variant: "variant",
    rows: "unknown"
  } as const
  const call = `sgj_${name}(${written.join(", ")})`
  return { sql: known.returns === "variant" ? element(call) : call, kind: kinds[known.returns] }
}

type Write = (invocation: Invocation) => Written | undefined

const written = (kind: Kind, sql: string): Written => ({ kind, sql })
const sqlOf = ({ sql }: Argument): string => sql
const list = (args: ReadonlyArray<Argument>): string => args.map(sqlOf).join(", ")

/** DuckDB's function, or a macro, with its arguments as they are. */
const named =
  (kind: Kind, name: string): Write =>
  ({ args }) =>
    written(kind, `${name}(${list(args)})`)

/** The same with its first arguments as texts. */
const ofTexts =
  (kind: Kind, name: string, texts = 1): Write =>
  ({ args }) =>
    written(kind, `${name}(${args.map((arg, index) => (index < texts ? asText(arg) : arg.sql)).join(", ")})`)

/** A function in JavaScript under another name, and what becomes of its result. */
const script =
  (name: string, after?: (sql: string) => Written, fixed: ReadonlyArray<string> = []): Write =>
  ({ args }) => {
    const call = inJavaScript(name, [
      ...args,
      ...fixed.map((text): Argument => ({ sql: literal(text), kind: "text" }))
    ])
    return after === undefined ? call : after(call.sql)
  }

/** What all of the arguments are, where they are the same; beside a semi-structured value all of them are. */
const common = (args: ReadonlyArray<Argument>): Kind => {
  const kinds = new Set(args.filter(({ sql }) => sql.toUpperCase() !== "NULL").map(({ kind }) => kind))
  if (kinds.has("variant")) return "variant"
  const [only] = kinds
  return kinds.size === 1 && only !== undefined ? only : "unknown"
}

/** Arguments of one type: beside a semi-structured value DuckDB would keep 15 digits of a number. */
const together = (args: ReadonlyArray<Argument>): ReadonlyArray<Argument> => {
  const isKept = ({ kind, sql }: Argument) =>
    kind === "variant" || kind === "text" || kind === "boolean" || /^(?:NULL|-?\d{1,15})$/i.test(sql)
  return args.some(({ kind }) => kind === "variant")
    ? args.map((arg) =>
        isKept(arg) ? arg : { ...arg, kind: "variant", sql: element(`sgj_variant(${asValue(arg)})`) }
      )
    : args
}

const coalesce: Write = ({ args }) => written(common(args), `coalesce(${list(together(args))})`)

const bytes = (sql: string): Written => written("bytes", `unhex(${sql})`)
const tried = (sql: string): Written => written("text", `try(${sql})`)
const triedBytes = (sql: string): Written => written("bytes", `try(unhex(${sql}))`)

/** Parts of dates by all their names. */
const parts: ReadonlyMap<string, string> = new Map(
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
    microsecond: "microsecond us usec microseconds",
    nanosecond: "nanosecond ns nsec nanosec nsecond nanoseconds nanosecs nseconds",
    dayofweek: "dayofweek weekday dow dw",
    dayofweekiso: "dayofweekiso weekday_iso dow_iso dw_iso dayofweek_iso",
    dayofyear: "dayofyear yearday doy dy",
    weekiso: "weekiso week_iso weekofyeariso weekofyear_iso",
    yearofweek: "yearofweek",
    yearofweekiso: "yearofweekiso",
    epoch_second: "epoch_second epoch epoch_seconds",
    epoch_millisecond: "epoch_millisecond epoch_milliseconds",
    epoch_microsecond: "epoch_microsecond epoch_microseconds",
    epoch_nanosecond: "epoch_nanosecond epoch_nanoseconds",
    timezone_hour: "timezone_hour tzh",
    timezone_minute: "timezone_minute tzm"
  }).flatMap(([unit, names]) => names.split(" ").map((name) => [name, unit] as const))
)

/** The part that a word or a string names. */
export const partOf = (name: string | undefined): string | undefined =>
  name === undefined ? undefined : parts.get(name.toLowerCase())

/** A date or timestamp: what is a text becomes a timestamp. */
const moment = ({ kind, literal: text, sql }: Argument): string =>
  kind === "date" || kind === "timestamp" || kind === "time"
    ? sql
    : (text !== undefined && kind === "text") || kind === "variant"
      ? `sgj_to_timestamp_ntz(sg_in(${sql}))::TIMESTAMP`
      : `sg_moment(${sql})`

const stamp = (arg: Argument): string => (arg.kind === "timestamp" ? arg.sql : `sg_timestamp(${arg.sql})`)

const partSql: Readonly<Record<string, string>> = {
  year: "year(@)",
  quarter: "quarter(@)",
  month: "month(@)",
  week: "week(@)",
  weekiso: "week(@)",
  day: "day(@)",
  dayofweek: "dayofweek(@)",
  dayofweekiso: "isodow(@)",
  dayofyear: "dayofyear(@)",
  yearofweek: "isoyear(@)",
  yearofweekiso: "isoyear(@)",
  hour: "hour(@)",
  minute: "minute(@)",
  second: "second(@)",
  nanosecond: "sg_nanosecond(@)",
  epoch_second: "sg_epoch(@, 1000000)",
  epoch_millisecond: "sg_epoch(@, 1000)",
  epoch_microsecond: "epoch_us(@)",
  epoch_nanosecond: "(epoch_us(@)::HUGEINT * 1000)",
  timezone_hour: "(0 * year(@))",
  timezone_minute: "(0 * year(@))"
}

/**
 * A part of a date, by its name.
 *
 * @since 0.1.0
 * @category writing
 */
export const datePart = (unit: string, arg: Argument): Written => {
  const template = partSql[unit]
  if (template === undefined) return written("unknown", refusal(`'${unit}' is not a part of a date`))
  return written("number", template.replaceAll("@", moment(arg)))
}

const partFunction =
  (unit: string): Write =>
  ({ args: [arg] }) =>
    arg === undefined ? undefined : datePart(unit, arg)

const unitOf = (arg: Argument | undefined): string | undefined => partOf(arg?.literal)

const unknownUnit = (name: string, arg: Argument | undefined): Written =>
  written(
    "unknown",
    refusal(
      `${name}: '${arg?.literal ?? arg?.sql ?? ""}' is not a date or time part that the embedded warehouse knows here`
    )
  )

/** Parts that can be added to a date. */
export const addable: ReadonlySet<string> = new Set([
  "year",
  "quarter",
  "month",
  "week",
  "day",
  "hour",
  "minute",
  "second",
  "millisecond",
  "microsecond",
  "nanosecond"
])
const truncatable = new Set([
  "year",
  "quarter",
  "month",
  "week",
  "day",
  "hour",
  "minute",
  "second",
  "millisecond",
  "microsecond"
])

/** The date or timestamp so many parts later. */
export const added = (part: string, count: string, date: Argument): Written => {
  const kind =
    date.kind === "date" && ["year", "quarter", "month", "week", "day"].includes(part)
      ? "date"
      : date.kind === "time"
        ? "time"
        : date.kind === "date" || date.kind === "timestamp" || date.literal !== undefined
          ? "timestamp"
          : "unknown"
  return written(kind, `sg_add_${part}(${count}, ${moment(date)})`)
}

const dateAdd: Write = ({ args, name }) => {
  const [unit, count, date] = args
  const part = unitOf(unit)
  if (count === undefined || date === undefined) return undefined
  return part === undefined || !addable.has(part) ? unknownUnit(name, unit) : added(part, count.sql, date)
}

const dateDiff: Write = ({ args, name }) => {
  const [unit, from, to] = args
  const part = unitOf(unit)
  if (from === undefined || to === undefined) return undefined
  if (part === undefined || !addable.has(part)) return unknownUnit(name, unit)
  return written("number", `sg_diff_${part}(${moment(from)}, ${moment(to)})`)
}

const dateTrunc: Write = ({ args, name }) => {
  // The part may come last, as a string; a word in front of it may be a column that is named like a part.
  const swapped = args[1]?.kind === "text" && unitOf(args[1]) !== undefined && args[0]?.kind !== "text"
  const [unit, date] = swapped ? [args[1], args[0]] : args
  const part = unitOf(unit)
  if (date === undefined) return undefined
  if (part === undefined || !truncatable.has(part)) return unknownUnit(name, unit)
  // Only DuckDB knows whether a column is a time.
  return date.kind === "date" || date.kind === "timestamp"
    ? written(date.kind, `sg_trunc_date('${part}', ${date.sql})`)
    : written(date.kind === "time" ? "time" : "unknown", `sg_trunc_moment('${part}', ${moment(date)})`)
}

/** Precision and scale of a NUMBER, or what is wrong with them. */
const sizesOf = (
  args: ReadonlyArray<Argument>
): readonly [precision: number, scale: number] | readonly [wrong: string] => {
  const numbers = args.map(({ kind, literal: text }) => (kind === "number" ? Number(text) : Number.NaN))
  const [precision = 38, scale = 0] = numbers
  if (numbers.some((number) => !Number.isInteger(number)))
    return ["precision and scale must be integer literals"]
  return precision < 1 || precision > 38 || scale < 0 || scale > precision
    ? [`invalid precision and scale: ${precision}, ${scale}`]
    : [precision, scale]
}

/** `TO_NUMBER(x [, format] [, precision [, scale]])`. */
const toNumber =
  (tolerant: boolean): Write =>
  ({ args }) => {
    const [value, ...rest] = args
    if (value === undefined) return undefined
    const isFormat = rest[0] !== undefined && rest[0].kind === "text"
    const [precision, scale] = sizesOf(isFormat ? rest.slice(1) : rest)
    if (typeof precision === "string") return written("unknown", refusal(precision))
    const prefix = tolerant ? "try_" : ""
    const read = `sgj_${prefix}to_number(sg_in(${value.sql})${isFormat ? `, ${asText(rest[0]!)}` : ""})`
    return written(
      "number",
      `sgj_${prefix}decimal(${read}, '${precision}', '${scale}')::DECIMAL(${precision}, ${scale})`
    )
  }

/** A function that is an error without its first argument. */
const ofFirst =
  (write: (first: Argument, invocation: Invocation) => Written): Write =>
  (invocation) => {
    const [first] = invocation.args
    return first === undefined
      ? written("unknown", refusal(`not enough arguments for function ${invocation.name}`))
      : write(first, invocation)
  }

const toMoment =
  (name: string, type: string, kind: Kind, tolerant = false): Write =>
  ({ args }) => {
    const call = inJavaScript(`${tolerant ? "try_" : ""}${name}`, args)
    const typed = { date: "sg_date", timestamp: "sg_timestamp", time: "sg_time" }[kind as "date"]
    // Without a format a date stays what it is, which needs no JavaScript.
    if (!tolerant && args.length === 1 && !type.endsWith("TIMESTAMPTZ") && typed !== undefined)
      return written(kind, `${typed}(${args[0]!.sql})`)
    return written(kind, `${call.sql}::${type}`)
  }

const separated = (invocation: Invocation): string => {
  const [, separator] = invocation.args
  return separator === undefined ? "''" : separator.sql
}

/** What follows the bracket of an aggregate. */
const tail = ({ filter, over }: Pick<Invocation, "filter" | "over">): string =>
  `${filter === undefined ? "" : ` FILTER (${filter})`}${over === undefined ? "" : ` ${over}`}`

const aggregate = (invocation: Invocation, name: string, args: string, extra = ""): string => {
  const order = invocation.order === undefined ? "" : ` ${invocation.order}`
  return `${name}(${invocation.distinct ? "DISTINCT " : ""}${args}${order}${extra})${tail(invocation)}`
}

/** PERCENTILE and MEDIAN: three more digits behind the point than their argument has. */
const interpolated = (arg: Argument, share: string, after: string): Written =>
  written("number", `quantile_cont((${numeric(arg)}) * 1.000, ${share})${after}`)

/** `PERCENTILE_CONT` and `PERCENTILE_DISC`. */
export const percentile = (
  isDiscrete: boolean,
  arg: Argument,
  share: string,
  after: Pick<Invocation, "filter" | "over">
): Written =>
  isDiscrete
    ? written("unknown", `quantile_disc(${arg.sql}, ${share})${tail(after)}`)
    : interpolated(arg, share, tail(after))

/** The aggregate over the rows in which `value` is not NULL. */
const withoutNulls = (invocation: Invocation, name: string, args: string, value: string): string => {
  const condition = `WHERE ${invocation.filter === undefined ? "" : `(${invocation.filter.replace(/^\s*WHERE/i, "")}) AND `}(${value}) IS NOT NULL`
  return aggregate({ ...invocation, filter: condition }, name, args)
}

const listagg: Write = (invocation) => {
  const [value] = invocation.args
  if (value === undefined) return undefined
  // With DISTINCT the order has to be by the argument itself, which is a text afterwards.
  if (invocation.distinct && invocation.order !== undefined && value.kind !== "text")
    return written(
      "text",
      `coalesce(array_to_string(list_transform(${withoutNulls(invocation, "list", value.sql, value.sql)}, lambda sg_e: ${asText({ sql: "sg_e", kind: "unknown" })}), ${separated(invocation)}), '')`
    )
  return written(
    "text",
    `coalesce(${aggregate(invocation, "string_agg", `${asText(value)}, ${separated(invocation)}`)}, '')`
  )
}

/** An aggregate of the values that are not NULL, as an array: `toArray` makes it of DuckDB's list. */
const listed =
  (toArray: string): Write =>
  (invocation) => {
    const [value] = invocation.args
    if (value === undefined) return undefined
    return written(
      "variant",
      element(`${toArray}(sg_in(${withoutNulls(invocation, "list", value.sql, value.sql)}))`)
    )
  }

const arrayAgg = listed("sgj_list")
const arrayUnique = listed("sgj_list_unique")
const arrayUnion = listed("sgj_union_lists")

const objectAgg: Write = (invocation) => {
  const [key, value] = invocation.args
  if (key === undefined || value === undefined) return undefined
  return written(
    "variant",
    element(
      `sgj_object_agg(sg_raw(${withoutNulls(invocation, "list", `{'k': ${key.sql}, 'v': ${asValue(value)}}`, value.sql)}))`
    )
  )
}

/** An expression of the type of a quotient, six more digits and twelve at most, which is not computed. */
const quotient = (value: string): string => `round(coalesce(${value}, 0) * 1.000000::DECIMAL(38, 6), 12)`

const scaled = (sql: string, value: string): string => `cast_to_type(${sql}, ${quotient(value)})`

const ofNumbers =
  (name: string): Write =>
  (invocation) => {
    const [value] = invocation.args
    if (value === undefined) return undefined
    const number = numeric(value)
    return written(
      "number",
      scaled(
        aggregate(invocation, name, number),
        aggregate({ ...invocation, distinct: false, order: undefined }, "any_value", number)
      )
    )
  }

/** Aggregates that ask a second one for their type; PIVOT takes one alone. */
export const isOfTwo = (name: string): boolean =>
  /^(?:AVG|VAR_POP|VAR_SAMP|VARIANCE(?:_POP|_SAMP)?)$/.test(name)

/** A path into a semi-structured value as the number that an aggregate needs. */
export const numeric = ({ kind, sql }: Pick<Argument, "kind" | "sql">): string =>
  kind === "variant" ? `sgj_number(sg_in(${sql}))` : kind === "text" ? `(${sql})::DOUBLE` : sql

const ofNumeric =
  (name: string): Write =>
  (invocation) =>
    written("number", aggregate(invocation, name, invocation.args.map(numeric).join(", ")))

const truth = ({ kind, sql }: Argument): string => (kind === "boolean" ? sql : `(${sql})::BOOLEAN`)

const count: Write = (invocation) => {
  const { args, distinct } = invocation
  const [first] = args
  if (args.length === 1 && first?.isStar === true && first.sql.trim() !== "*") {
    // `COUNT(t.*)`: the rows without any NULL.
    return written(
      "number",
      `count_if(sgj_complete(sg_raw(${first.sql.replace(/\.\s*\*$/, "")})))${tail(invocation)}`
    )
  }
  if (args.length === 1 && first?.kind === "variant") {
    // A JSON null is not counted.
    return written(
      "number",
      aggregate(invocation, "count", element(`sgj_strip_null_value(sg_in(${first.sql}))`))
    )
  }
  if (args.length === 1 && first?.kind === "unknown" && /^[\w$."]+$/.test(first.sql)) {
    // Only DuckDB knows whether the column is semi-structured.
    return written("number", aggregate(invocation, "count", `sg_counted(${first.sql})`))
  }
  if (args.length < 2) return undefined
  const condition = args.map((arg) => `(${arg.sql}) IS NOT NULL`).join(" AND ")
  return written(
    "number",
    `count(${distinct ? "DISTINCT " : ""}CASE WHEN ${condition} THEN (${list(args)}) END)${tail(invocation)}`
  )
}

const conditionalTrue: Write = ({ args: [value], window }) =>
  value === undefined || window === undefined
    ? undefined
    : written(
        "number",
        `count_if(coalesce((${value.sql})::BOOLEAN, false)) OVER (${window} ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)`
      )

const conditionalChange: Write = ({ args: [value], window }) =>
  value === undefined || window === undefined
    ? undefined
    : written(
        "number",
        `sgj_changes(sg_raw(list(${value.sql}) OVER (${window} ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)))`
      )

const ratio: Write = (invocation) => {
  const [value] = invocation.args
  return value === undefined
    ? undefined
    : written("number", `((${value.sql}) / nullif(sum(${value.sql})${tail(invocation)}, 0))`)
}

const valueBy =
  (name: string): Write =>
  (invocation) => {
    const { args } = invocation
    if (args.length < 3) return written("unknown", aggregate(invocation, name, list(args)))
    return written("variant", element(`sgj_list(sg_in(${aggregate(invocation, name, list(args))}))`))
  }

const object =
  (keep: boolean): Write =>
  ({ args, name }) =>
    args.some((arg) => arg.isStar === true)
      ? undefined
      : inJavaScript(name.toLowerCase(), args) &&
        written("variant", inJavaScript(keep ? "object_construct_keep_null" : "object_construct", args).sql)

const round: Write = ({ args }) => {
  const [value, scale, mode] = args
  if (value === undefined) return undefined
  const sql = value.kind === "text" || value.kind === "variant" ? numeric(value) : value.sql
  if (mode !== undefined) {
    const name = mode.literal?.toUpperCase()
    if (name === "HALF_TO_EVEN")
      return written(
        "number",
        `sgj_round_half_even((${sql})::VARCHAR, (${scale?.sql ?? "0"})::VARCHAR)::DECIMAL(38, ${Math.max(0, Number(scale?.literal ?? 0)) || 0})`
      )
    if (name !== "HALF_AWAY_FROM_ZERO")
      return written("unknown", refusal("ROUND: the mode is HALF_AWAY_FROM_ZERO or HALF_TO_EVEN"))
  }
  return written("number", scale === undefined ? `round(${sql})` : `round(${sql}, (${scale.sql})::INTEGER)`)
}

const truncate: Write = (invocation) => {
  const { args } = invocation
  if (args.length === 2 && args.some((arg) => arg.kind === "text" && unitOf(arg) !== undefined))
    return dateTrunc(invocation)
  const [value, scale] = args
  if (value === undefined) return undefined
  return written(
    "number",
    scale === undefined
      ? `system.main.trunc(${numeric(value)})`
      : `system.main.trunc(${numeric(value)}, (${scale.sql})::INTEGER)`
  )
}

const towards =
  (name: "ceil" | "floor"): Write =>
  ({ args }) => {
    const [value, scale] = args
    if (value === undefined) return undefined
    return written(
      "number",
      scale === undefined ? `sg_${name}(${numeric(value)})` : `sg_${name}_to(${numeric(value)}, ${scale.sql})`
    )
  }

/** SUBSTR, LEFT and RIGHT of what is known to be bytes. */
const ofBytes =
  (name: string, otherwise: Write): Write =>
  (invocation) => {
    const [value, from, length] = invocation.args
    if (value?.kind !== "bytes" || from === undefined) return otherwise(invocation)
    const hex = `hex(${value.sql})`
    if (name === "sg_substr")
      return written(
        "bytes",
        `unhex(substr(${hex}, 2 * (${from.sql}) - 1${length === undefined ? "" : `, 2 * (${length.sql})`}))`
      )
    return written("bytes", `unhex(${name}(${hex}, 2 * (${from.sql})))`)
  }

/** `LIKE(subject, pattern [, escape])`. */
const like =
  (operator: "LIKE" | "ILIKE"): Write =>
  ({ args: [subject, pattern, escape] }) =>
    subject === undefined || pattern === undefined
      ? undefined
      : written(
          "boolean",
          `(${asText(subject)} ${operator} ${pattern.sql}${escape === undefined ? "" : ` ESCAPE ${escape.sql}`})`
        )

const charindex: Write = ({ args }) => inJavaScript("position", args)

const concat: Write = ({ args }) =>
  written(
    "text",
    `(${args.map((arg) => (arg.kind === "text" ? arg.sql : `sg_text(${arg.sql})`)).join(" || ")})`
  )

const concatWith: Write = ({ args }) => {
  const [separator, ...rest] = args
  if (separator === undefined || rest.length === 0) return undefined
  return written(
    "text",
    `(${rest.map((arg) => (arg.kind === "text" ? arg.sql : `sg_text(${arg.sql})`)).join(` || ${separator.sql} || `)})`
  )
}

const extremes =
  (name: string): Write =>
  ({ args }) =>
    written(
      "unknown",
      `CASE WHEN ${args.map((arg) => `(${arg.sql}) IS NULL`).join(" OR ")} THEN NULL ELSE ${name}(${list(args)}) END`
    )

const decode: Write = ({ args }) => {
  const [value, ...rest] = args
  if (value === undefined || rest.length < 2) return undefined
  const whens: Array<string> = []
  for (let at = 0; at + 1 < rest.length; at += 2) {
    whens.push(`WHEN ${value.sql} IS NOT DISTINCT FROM ${rest[at]!.sql} THEN ${rest[at + 1]!.sql}`)
  }
  const otherwise = rest.length % 2 === 1 ? ` ELSE ${rest[rest.length - 1]!.sql}` : ""
  return written("unknown", `CASE ${whens.join(" ")}${otherwise} END`)
}

const uniform: Write = ({ args: [from, to, generator] }) => {
  if (from === undefined || to === undefined || generator === undefined) return undefined
  const isInteger = /^-?\s*\d+$/.test(from.sql) && /^-?\s*\d+$/.test(to.sql)
  return written(
    "number",
    isInteger
      ? `(floor(system.main.random() * (${to.sql} - ${from.sql} + 1))::BIGINT + ${from.sql})`
      : `(system.main.random() * (${to.sql} - ${from.sql}) + ${from.sql})`
  )
}

const lastDay: Write = ({ args }) => {
  const [date, unit] = args
  if (date === undefined) return undefined
  const part = unit === undefined ? "month" : unitOf(unit)
  if (part === undefined || !["year", "quarter", "month", "week"].includes(part))
    return unknownUnit("LAST_DAY", unit)
  return written("date", `sg_last_${part}(${moment(date)})`)
}

const convertTimezone: Write = ({ args }) => {
  const [first, second, third] = args
  if (third === undefined || second === undefined || first === undefined) {
    return written(
      "unknown",
      refusal(
        "CONVERT_TIMEZONE with two arguments returns a TIMESTAMP_TZ, whose offset the embedded warehouse cannot keep; name the source zone: CONVERT_TIMEZONE('UTC', target, timestamp)"
      )
    )
  }
  return written("timestamp", `((${stamp(third)} AT TIME ZONE ${first.sql}) AT TIME ZONE ${second.sql})`)
}

const fromParts =
  (type: "date" | "time" | "timestamp"): Write =>
  ({ args, name }) => {
    if (/_TZ_/.test(name))
      return written(
        "unknown",
        refusal(
          "TIMESTAMP_TZ_FROM_PARTS returns a TIMESTAMP_TZ, whose offset the embedded warehouse cannot keep; use TIMESTAMP_NTZ_FROM_PARTS"
        )
      )
    if (type === "timestamp" && args.length === 2)
      return written("timestamp", `(${args[0]!.sql} + ${args[1]!.sql})`)
    const nanos = type === "timestamp" ? args[6] : args[3]
    const plain = args.slice(0, type === "timestamp" ? 6 : 3).map((arg) => `(${arg.sql})::BIGINT`)
    const needed = type === "timestamp" ? 6 : 3
    if (plain.length !== needed)
      return written("unknown", refusal(`not enough arguments for function ${name}`))
    const fraction = nanos === undefined ? "0" : `sg_micros((${nanos.sql})::BIGINT)`
    if (type === "date") return written("date", `sg_date_parts(${plain.join(", ")})`)
    if (type === "time") return written("time", `sg_time_parts(${plain.join(", ")}, ${fraction})`)
    const made = `sg_timestamp_parts(${plain.join(", ")}, ${fraction})`
    return written("timestamp", /_LTZ_/.test(name) ? `(${made} AT TIME ZONE 'UTC')` : made)
  }

const log: Write = ({ args }) => {
  const [base, value] = args
  if (base === undefined || value === undefined) return undefined
  const exact = base.literal === "10" ? "log10" : base.literal === "2" ? "log2" : undefined
  const number = numeric(value)
  return written("number", exact === undefined ? `(ln(${number}) / ln(${base.sql}))` : `${exact}(${number})`)
}

const now = "now()"

/**
 * How calls are written, by Snowflake's name.
 *
 * @since 0.1.0
 * @category data
 */
export const calls: Readonly<Record<string, Write>> = {
  // Conditions
  IFF: ({ args: [condition, ...values] }) => {
    const [a, b] = together(values)
    if (condition === undefined || a === undefined || b === undefined) return undefined
    const isTrue = condition.kind === "variant" ? `sgj_to_boolean(sg_in(${condition.sql}))` : condition.sql
    return written(common(values), `CASE WHEN ${isTrue} THEN ${a.sql} ELSE ${b.sql} END`)
  },
  NVL: coalesce,
  IFNULL: coalesce,
  COALESCE: coalesce,
  NULLIF: ({ args }) => written(args[0]?.kind ?? "unknown", `nullif(${list(args)})`),
  NVL2: ({ args: [value, ...values] }) => {
    const [a, b] = together(values)
    return value === undefined || a === undefined || b === undefined
      ? undefined
      : written("unknown", `CASE WHEN (${value.sql}) IS NOT NULL THEN ${a.sql} ELSE ${b.sql} END`)
  },
  DECODE: decode,
  ZEROIFNULL: ({ args: [x] }) =>
    x === undefined ? undefined : written("number", `coalesce(${numeric(x)}, 0)`),
  NULLIFZERO: ({ args: [x] }) =>
    x === undefined ? undefined : written("number", `nullif(${numeric(x)}, 0)`),
  EQUAL_NULL: ({ args: [a, b] }) =>
    b === undefined ? undefined : written("boolean", `((${a!.sql}) IS NOT DISTINCT FROM (${b.sql}))`),
  GREATEST: extremes("greatest"),
  LEAST: extremes("least"),
  GREATEST_IGNORE_NULLS: named("unknown", "greatest"),
  LEAST_IGNORE_NULLS: named("unknown", "least"),
  BOOLAND: ({ args: [a, b] }) =>
    b === undefined ? undefined : written("boolean", `(${truth(a!)} AND ${truth(b)})`),
  BOOLOR: ({ args: [a, b] }) =>
    b === undefined ? undefined : written("boolean", `(${truth(a!)} OR ${truth(b)})`),
  BOOLXOR: ({ args: [a, b] }) =>
    b === undefined ? undefined : written("boolean", `(${truth(a!)} <> ${truth(b)})`),
  BOOLNOT: ({ args: [a] }) => (a === undefined ? undefined : written("boolean", `(NOT ${truth(a)})`)),
  REGR_VALX: ({ args: [y, x] }) =>
    x === undefined
      ? undefined
      : written("number", `CASE WHEN (${y!.sql}) IS NULL THEN NULL ELSE ${x.sql} END`),
  REGR_VALY: ({ args: [y, x] }) =>
    x === undefined
      ? undefined
      : written("number", `CASE WHEN (${x.sql}) IS NULL THEN NULL ELSE ${y!.sql} END`),

  // Numbers
  ...Object.fromEntries(
    "ABS SIGN SQRT CBRT EXP LN POWER POW SIN COS TAN ASIN ACOS ATAN ATAN2 SINH COSH TANH ASINH ACOSH ATANH DEGREES RADIANS"
      .split(" ")
      .map((name): [string, Write] => [
        name,
        ({ args }) => written("number", `${name.toLowerCase()}(${args.map(numeric).join(", ")})`)
      ])
  ),
  // Infinite at zero.
  COT: ({ args: [x] }) =>
    x === undefined ? undefined : written("number", `system.main."/"(1::DOUBLE, tan(${numeric(x)}))`),
  SQUARE: ({ args: [x] }) => (x === undefined ? undefined : written("number", `pow(${numeric(x)}, 2)`)),
  DIV0: ({ args: [a, b] }) =>
    b === undefined ? undefined : written("number", `sg_div0(${a!.sql}, ${b.sql})`),
  DIV0NULL: ({ args: [a, b] }) =>
    b === undefined ? undefined : written("number", `sg_div0(${a!.sql}, coalesce(${b.sql}, 0))`),
  MOD: ({ args: [a, b] }) => (b === undefined ? undefined : written("number", `(${a!.sql} % ${b.sql})`)),
  ROUND: round,
  TRUNC: truncate,
  TRUNCATE: truncate,
  CEIL: towards("ceil"),
  CEILING: towards("ceil"),
  FLOOR: towards("floor"),
  LOG: log,
  BITAND: ({ args: [a, b] }) =>
    b === undefined ? undefined : written("number", `((${a!.sql}) & (${b.sql}))`),
  BIT_AND: ({ args: [a, b] }) =>
    b === undefined ? undefined : written("number", `((${a!.sql}) & (${b.sql}))`),
  BITOR: ({ args: [a, b] }) =>
    b === undefined ? undefined : written("number", `((${a!.sql}) | (${b.sql}))`),
  BIT_OR: ({ args: [a, b] }) =>
    b === undefined ? undefined : written("number", `((${a!.sql}) | (${b.sql}))`),
  BITXOR: named("number", "xor"),
  BIT_XOR: named("number", "xor"),
  BITNOT: ({ args: [a] }) => (a === undefined ? undefined : written("number", `(~(${a.sql}))`)),
  BIT_NOT: ({ args: [a] }) => (a === undefined ? undefined : written("number", `(~(${a.sql}))`)),
  BITSHIFTLEFT: ({ args: [a, b] }) =>
    b === undefined ? undefined : written("number", `((${a!.sql})::BIGINT << (${b.sql})::BIGINT)`),
  BIT_SHIFTLEFT: ({ args: [a, b] }) =>
    b === undefined ? undefined : written("number", `((${a!.sql})::BIGINT << (${b.sql})::BIGINT)`),
  BITSHIFTRIGHT: ({ args: [a, b] }) =>
    b === undefined ? undefined : written("number", `((${a!.sql})::BIGINT >> (${b.sql})::BIGINT)`),
  BIT_SHIFTRIGHT: ({ args: [a, b] }) =>
    b === undefined ? undefined : written("number", `((${a!.sql})::BIGINT >> (${b.sql})::BIGINT)`),
  FACTORIAL: named("number", "factorial"),
  RANDOM: ({ args }) =>
    args.length > 0
      ? written(
          "unknown",
          refusal("RANDOM with a seed would give other numbers than Snowflake's; leave the seed out")
        )
      : written("number", "(hash(uuid()) >> 1)::BIGINT"),
  UNIFORM: uniform,
  RANDSTR: ({ args: [length] }) =>
    length === undefined
      ? undefined
      : written(
          "text",
          `left(replace(uuid()::VARCHAR || uuid()::VARCHAR || uuid()::VARCHAR, '-', ''), (${length.sql})::INTEGER)`
        ),

  // Texts
  CONCAT: concat,
  CONCAT_WS: concatWith,
  UPPER: ofTexts("text", "sg_upper"),
  LOWER: ofTexts("text", "lower"),
  TRIM: ofTexts("text", "trim", 2),
  LTRIM: ofTexts("text", "ltrim", 2),
  RTRIM: ofTexts("text", "rtrim", 2),
  LEFT: ofBytes("sg_left", ofTexts("text", "sg_left")),
  RIGHT: ofBytes("sg_right", ofTexts("text", "sg_right")),
  SUBSTR: ofBytes("sg_substr", ofTexts("text", "sg_substr")),
  SUBSTRING: ofBytes("sg_substr", ofTexts("text", "sg_substr")),
  MID: ofTexts("text", "sg_substr"),
  LPAD: ofTexts("text", "sg_lpad", 1),
  RPAD: ofTexts("text", "sg_rpad", 1),
  REPEAT: ofTexts("text", "sg_repeat"),
  SPACE: ({ args: [n] }) => (n === undefined ? undefined : written("text", `sg_repeat(' ', ${n.sql})`)),
  REVERSE: ofTexts("text", "reverse"),
  REPLACE: ({ args: [text, what, by] }) =>
    what === undefined
      ? undefined
      : written(
          "text",
          `system.main.replace(${asText(text!)}, ${asText(what)}, ${by === undefined ? "''" : asText(by)})`
        ),
  TRANSLATE: ofTexts("text", "translate", 3),
  CONTAINS: ofTexts("boolean", "contains", 2),
  STARTSWITH: ofTexts("boolean", "starts_with", 2),
  ENDSWITH: ofTexts("boolean", "ends_with", 2),
  ASCII: ofTexts("number", "ascii"),
  LIKE: like("LIKE"),
  ILIKE: like("ILIKE"),
  LEN: ({ args }) => inJavaScript("length", args),
  CHAR: ({ args }) => inJavaScript("chr", args),
  CHARINDEX: charindex,
  POSITION: charindex,
  RLIKE: ({ args }) => inJavaScript("regexp_like", args),
  REGEXP: ({ args }) => inJavaScript("regexp_like", args),
  REGEXP_EXTRACT: undefinedCall,
  REGEXP_EXTRACT_ALL: ({ args }) => inJavaScript("regexp_substr_all", args),
  MD5_HEX: script("md5"),
  SHA1_HEX: script("sha1"),
  SHA2_HEX: script("sha2"),
  MD5_BINARY: script("md5", bytes),
  SHA1_BINARY: script("sha1", bytes),
  SHA2_BINARY: script("sha2", bytes),
  MD5_NUMBER_LOWER64: ({ args: [x] }) =>
    x === undefined ? undefined : written("number", `md5_number_lower(${asText(x)})`),
  MD5_NUMBER_UPPER64: ({ args: [x] }) =>
    x === undefined ? undefined : written("number", `md5_number_upper(${asText(x)})`),
  BASE64_DECODE_BINARY: script("base64_decode_binary", bytes),
  HEX_DECODE_BINARY: script("hex_decode_binary", bytes),
  TO_BINARY: script("to_binary", bytes),
  TRY_TO_BINARY: script("to_binary", triedBytes),
  TRY_BASE64_DECODE_STRING: script("base64_decode_string", tried),
  TRY_BASE64_DECODE_BINARY: script("base64_decode_binary", triedBytes),
  TRY_HEX_DECODE_STRING: script("hex_decode_string", tried),
  TRY_HEX_DECODE_BINARY: script("hex_decode_binary", triedBytes),
  UUID_STRING: ({ args }) =>
    args.length > 0
      ? written("unknown", refusal("UUID_STRING with a namespace is not supported"))
      : written("text", "uuid()::VARCHAR"),

  // Conversions
  TO_CHAR: ({ args }) => toChar(args),
  TO_VARCHAR: ({ args }) => toChar(args),
  TO_NUMBER: toNumber(false),
  TO_DECIMAL: toNumber(false),
  TO_NUMERIC: toNumber(false),
  TRY_TO_NUMBER: toNumber(true),
  TRY_TO_DECIMAL: toNumber(true),
  TRY_TO_NUMERIC: toNumber(true),
  TO_DOUBLE: ofFirst(({ sql }, { args: [, format] }) =>
    format === undefined
      ? written("number", `sgj_number(sg_in(${sql}))`)
      : written("number", `sgj_to_number(sg_in(${sql}), ${asText(format)})::DOUBLE`)
  ),
  TRY_TO_DOUBLE: ofFirst(({ sql }, { args: [, format] }) =>
    format === undefined
      ? written("number", `try(sgj_number(sg_in(${sql})))`)
      : written("number", `sgj_try_to_number(sg_in(${sql}), ${asText(format)})::DOUBLE`)
  ),
  TO_DATE: toMoment("to_date", "DATE", "date"),
  DATE: toMoment("to_date", "DATE", "date"),
  TRY_TO_DATE: toMoment("to_date", "DATE", "date", true),
  TO_TIME: toMoment("to_time", "TIME", "time"),
  TIME: toMoment("to_time", "TIME", "time"),
  TRY_TO_TIME: toMoment("to_time", "TIME", "time", true),
  TO_TIMESTAMP: toMoment("to_timestamp_ntz", "TIMESTAMP", "timestamp"),
  TO_TIMESTAMP_NTZ: toMoment("to_timestamp_ntz", "TIMESTAMP", "timestamp"),
  TO_TIMESTAMP_LTZ: toMoment("to_timestamp_ltz", "TIMESTAMP::TIMESTAMPTZ", "timestamp"),
  TO_TIMESTAMP_TZ: toMoment("to_timestamp_tz", "TIMESTAMP::TIMESTAMPTZ", "timestamp"),
  TRY_TO_TIMESTAMP: toMoment("to_timestamp_ntz", "TIMESTAMP", "timestamp", true),
  TRY_TO_TIMESTAMP_NTZ: toMoment("to_timestamp_ntz", "TIMESTAMP", "timestamp", true),
  TRY_TO_TIMESTAMP_LTZ: toMoment("to_timestamp_ltz", "TIMESTAMP::TIMESTAMPTZ", "timestamp", true),
  TRY_TO_TIMESTAMP_TZ: toMoment("to_timestamp_tz", "TIMESTAMP::TIMESTAMPTZ", "timestamp", true),
  TO_VARIANT: script("variant"),

  // Dates
  DATEADD: dateAdd,
  TIMEADD: dateAdd,
  TIMESTAMPADD: dateAdd,
  DATEDIFF: dateDiff,
  TIMEDIFF: dateDiff,
  TIMESTAMPDIFF: dateDiff,
  DATE_TRUNC: dateTrunc,
  DATE_PART: ({ args: [unit, date] }) => {
    if (date === undefined) return undefined
    const part = unitOf(unit)
    return part === undefined ? unknownUnit("DATE_PART", unit) : datePart(part, date)
  },
  YEAR: partFunction("year"),
  QUARTER: partFunction("quarter"),
  MONTH: partFunction("month"),
  WEEK: partFunction("week"),
  WEEKOFYEAR: partFunction("week"),
  WEEKISO: partFunction("weekiso"),
  DAY: partFunction("day"),
  DAYOFMONTH: partFunction("day"),
  DAYOFWEEK: partFunction("dayofweek"),
  DAYOFWEEKISO: partFunction("dayofweekiso"),
  DAYOFYEAR: partFunction("dayofyear"),
  YEAROFWEEK: partFunction("yearofweek"),
  YEAROFWEEKISO: partFunction("yearofweekiso"),
  HOUR: partFunction("hour"),
  MINUTE: partFunction("minute"),
  SECOND: partFunction("second"),
  LAST_DAY: lastDay,
  NEXT_DAY: ({ args: [date, day] }) =>
    day === undefined ? undefined : written("date", `sg_next_day(${moment(date!)}, ${day.sql})`),
  PREVIOUS_DAY: ({ args: [date, day] }) =>
    day === undefined ? undefined : written("date", `sg_previous_day(${moment(date!)}, ${day.sql})`),
  ADD_MONTHS: ({ args: [date, months] }) =>
    months === undefined
      ? undefined
      : written(date!.kind === "date" ? "date" : "unknown", `sg_add_months(${moment(date!)}, ${months.sql})`),
  MONTHS_BETWEEN: ({ args: [a, b] }) =>
    b === undefined ? undefined : written("number", `sg_months_between(${stamp(a!)}, ${stamp(b)})`),
  DAYNAME: ({ args: [date] }) =>
    date === undefined ? undefined : written("text", `left(system.main.dayname(${moment(date)}), 3)`),
  MONTHNAME: ({ args: [date] }) =>
    date === undefined ? undefined : written("text", `left(system.main.monthname(${moment(date)}), 3)`),
  DATE_FROM_PARTS: fromParts("date"),
  DATEFROMPARTS: fromParts("date"),
  TIME_FROM_PARTS: fromParts("time"),
  TIMEFROMPARTS: fromParts("time"),
  TIMESTAMP_FROM_PARTS: fromParts("timestamp"),
  TIMESTAMPFROMPARTS: fromParts("timestamp"),
  TIMESTAMP_NTZ_FROM_PARTS: fromParts("timestamp"),
  TIMESTAMPNTZFROMPARTS: fromParts("timestamp"),
  TIMESTAMP_LTZ_FROM_PARTS: fromParts("timestamp"),
  TIMESTAMP_TZ_FROM_PARTS: fromParts("timestamp"),
  TIME_SLICE: (invocation) => {
    const [date, ...rest] = invocation.args
    if (date === undefined) return undefined
    const at =
      date.kind === "date" || date.kind === "timestamp" ? date : { ...date, sql: `sg_moment(${date.sql})` }
    const kind = date.kind === "date" ? "DATE" : "TIMESTAMP"
    const sql = inJavaScript("time_slice", [
      at,
      ...rest.map((arg) =>
        arg.isWord === true ? { ...arg, sql: literal(arg.literal ?? ""), kind: "text" as const } : arg
      )
    ]).sql
    return written(
      date.kind === "date" ? "date" : "unknown",
      date.kind === "date" || date.kind === "timestamp"
        ? `${sql}::${kind}`
        : `cast_to_type(${sql}, sg_moment(${date.sql}))`
    )
  },
  CONVERT_TIMEZONE: convertTimezone,
  CURRENT_TIMESTAMP: () => written("timestamp", now),
  LOCALTIMESTAMP: () => written("timestamp", now),
  GETDATE: () => written("timestamp", now),
  SYSTIMESTAMP: () => written("timestamp", now),
  SYSDATE: () => written("timestamp", `${now}::TIMESTAMP`),
  CURRENT_DATE: () => written("date", "system.main.current_date()"),
  CURRENT_TIME: () => written("time", `${now}::TIME`),
  LOCALTIME: () => written("time", `${now}::TIME`),

  // Semi-structured values
  OBJECT_CONSTRUCT: object(false),
  OBJECT_CONSTRUCT_KEEP_NULL: object(true),
  TO_JSON: ({ args }) => inJavaScript("to_json", args),
  IS_CHAR: ({ args }) => inJavaScript("is_varchar", args),
  IS_REAL: ({ args }) => inJavaScript("is_double", args),
  IS_DATE_VALUE: ({ args }) => inJavaScript("is_date", args),
  AS_CHAR: ({ args }) => inJavaScript("as_varchar", args),
  AS_REAL: ({ args }) => inJavaScript("as_double", args),
  AS_DATE: script("as_date", (sql) => written("date", `${sql}::DATE`)),
  AS_TIME: script("as_time", (sql) => written("time", `${sql}::TIME`)),
  AS_TIMESTAMP_NTZ: script("as_timestamp_ntz", (sql) => written("timestamp", `${sql}::TIMESTAMP`)),
  AS_TIMESTAMP_LTZ: script("as_timestamp_ltz", (sql) => written("timestamp", `${sql}::TIMESTAMPTZ`)),
  AS_DECIMAL: ({ args }) => asNumber(args),
  AS_NUMBER: ({ args }) => asNumber(args),
  TO_GEOGRAPHY: undefinedCall,

  // Aggregates and windows
  COUNT: count,
  LISTAGG: listagg,
  STRING_AGG: listagg,
  ARRAY_AGG: arrayAgg,
  ARRAYAGG: arrayAgg,
  ARRAY_UNIQUE_AGG: arrayUnique,
  ARRAY_UNION_AGG: arrayUnion,
  OBJECT_AGG: objectAgg,
  AVG: ofNumbers("avg"),
  VAR_POP: ofNumbers("var_pop"),
  VAR_SAMP: ofNumbers("var_samp"),
  VARIANCE: ofNumbers("var_samp"),
  VARIANCE_POP: ofNumbers("var_pop"),
  VARIANCE_SAMP: ofNumbers("var_samp"),
  SUM: ofNumeric("sum"),
  MEDIAN: (invocation) => {
    const [value] = invocation.args
    return value === undefined ? undefined : interpolated(value, "0.5", tail(invocation))
  },
  STDDEV: ofNumeric("stddev_samp"),
  STDDEV_POP: ofNumeric("stddev_pop"),
  STDDEV_SAMP: ofNumeric("stddev_samp"),
  APPROX_PERCENTILE: ({ args: [x, p], ...rest }) =>
    p === undefined
      ? undefined
      : written("number", `quantile_cont((${numeric(x!)})::DOUBLE, ${p.sql})${tail(rest)}`),
  MIN_BY: valueBy("arg_min"),
  MAX_BY: valueBy("arg_max"),
  BOOLAND_AGG: ofFirst((first, invocation) =>
    written("boolean", aggregate(invocation, "bool_and", truth(first)))
  ),
  BOOLOR_AGG: ofFirst((first, invocation) =>
    written("boolean", aggregate(invocation, "bool_or", truth(first)))
  ),
  BOOLXOR_AGG: ofFirst((first, invocation) =>
    written("boolean", `(count_if(${truth(first)})${tail(invocation)} = 1)`)
  ),
  BITAND_AGG: ofFirst((first, invocation) =>
    written("number", aggregate(invocation, "system.main.bit_and", first.sql))
  ),
  BITOR_AGG: ofFirst((first, invocation) =>
    written("number", aggregate(invocation, "system.main.bit_or", first.sql))
  ),
  BITXOR_AGG: ofFirst((first, invocation) =>
    written("number", aggregate(invocation, "system.main.bit_xor", first.sql))
  ),
  HLL: ofFirst((first, invocation) =>
    written("number", aggregate(invocation, "approx_count_distinct", first.sql))
  ),
  SKEW: ofFirst((first, invocation) => written("number", aggregate(invocation, "skewness", first.sql))),
  GROUPING_ID: named("number", "grouping"),
  RATIO_TO_REPORT: ratio,
  CONDITIONAL_TRUE_EVENT: conditionalTrue,
  CONDITIONAL_CHANGE_EVENT: conditionalChange,

  // The session
  CURRENT_ROLE: () => written("text", "'SYSADMIN'"),
  CURRENT_WAREHOUSE: () => written("text", "'EMBEDDED'"),
  CURRENT_ACCOUNT: () => written("text", "'SNOWGUARD'"),
  CURRENT_ACCOUNT_NAME: () => written("text", "'SNOWGUARD'"),
  CURRENT_ORGANIZATION_NAME: () => written("text", "'SNOWGUARD'"),
  CURRENT_REGION: () => written("text", "'EMBEDDED'"),
  CURRENT_USER: () => written("text", "'SNOWGUARD'"),
  CURRENT_SESSION: () => written("text", "'1'"),
  CURRENT_VERSION: () => written("text", "'9.0.0'"),
  CURRENT_CLIENT: () => written("text", "'SNOWGUARD'")
}

function undefinedCall({ name }: Invocation): Written {
  return written("unknown", refusal(`Unknown function ${name}: the embedded warehouse does not have it`))
}

function toChar(args: ReadonlyArray<Argument>): Written {
  const [value, format] = args
  if (value === undefined) return written("unknown", refusal("not enough arguments for function TO_CHAR"))
  if (format === undefined)
    return written("text", value.kind === "text" ? value.sql : `sg_text(${value.sql})`)
  return written("text", `sgj_to_char(sg_in(${value.sql}), ${asText(format)}, (${value.sql})::VARCHAR)`)
}

function asNumber(args: ReadonlyArray<Argument>): Written {
  const [value, ...rest] = args
  if (value === undefined) return written("unknown", refusal("not enough arguments for function AS_DECIMAL"))
  const [precision, scale] = sizesOf(rest)
  return typeof precision === "string"
    ? written("unknown", refusal(precision))
    : written("number", `sgj_as_number(sg_in(${value.sql}))::DECIMAL(${precision}, ${scale})`)
}

/**
 * What would not be Snowflake's value, and why.
 *
 * @since 0.1.0
 * @category data
 */
export const refused: Readonly<Record<string, string>> = {
  HASH: "HASH is not supported: the embedded warehouse would give other numbers than Snowflake's; compare the values themselves, or use MD5",
  HASH_AGG: "HASH_AGG is not supported: the embedded warehouse would give other numbers than Snowflake's",
  COLLATE:
    "COLLATE is not supported: the embedded warehouse compares texts by their code points; compare UPPER(x) with UPPER(y)",
  COLLATION: "COLLATION is not supported: the embedded warehouse has no collations",
  APPROX_TOP_K: "APPROX_TOP_K is not supported; count with GROUP BY and ORDER BY ... LIMIT",
  MINHASH: "MINHASH is not supported by the embedded warehouse",
  COMPRESS: "COMPRESS is not supported by the embedded warehouse",
  ENCRYPT: "ENCRYPT is not supported by the embedded warehouse",
  NORMAL: "NORMAL is not supported by the embedded warehouse",
  ZIPF: "ZIPF is not supported by the embedded warehouse",
  KURTOSIS: "KURTOSIS is not supported: the embedded warehouse would give other numbers than Snowflake's",
  // DuckDB's functions of these names are others.
  AGE: "Unknown function AGE; use DATEDIFF",
  STRPTIME: "Unknown function STRPTIME; use TO_TIMESTAMP(text, format)",
  STRFTIME: "Unknown function STRFTIME; use TO_CHAR(date, format)"
}

const json = "to_json(x)::VARCHAR"
/** A type's name is folded when the statement is bound, so only one branch is ever computed. */
const type = "system.main.typeof(x)"

const longProduct =
  "a product of many factors with more than 12 digits behind the point: Snowflake rounds it to 12, or to those of the " +
  "longer factor, and the embedded warehouse does not; round the factors, or cast them, for example x::NUMBER(38, 6)"

/** What is said of a value that Snowflake has and DuckDB reckons with otherwise. */
export const noInterval =
  "The difference of two timestamps is an INTERVAL, which the embedded warehouse does not have; for the time between them use DATEDIFF(second, a, b)."

const addUnits = ["year", "month"].map(
  (unit) => `sg_add_${unit}(n, d) AS cast_to_type(d + to_${unit}s(round(n)::INTEGER), d)`
)

/**
 * The statements after `CREATE MACRO memory.main.`, in the order in which they are needed.
 *
 * @since 0.1.0
 * @category data
 */
const macroList: ReadonlyArray<string> = [
  // With the first letters of its type, which JavaScript needs to tell a date from a text.
  `sg_in(x) AS replace(left(${type}, 12), ':', '') || ':' || ${json}`,
  "sg_raw(x) AS ':' || to_json(x)::VARCHAR",
  // A number's text and that of a text are DuckDB's.
  `sg_text(x) AS CASE WHEN regexp_matches(${type}, '^(DOUBLE|FLOAT|TIME|BLOB|UNION|STRUCT)|]$') THEN sgj_text(sg_in(x)) ELSE x::VARCHAR END`,
  `sg_str(x) AS CASE WHEN regexp_matches(${type}, '^(DOUBLE|FLOAT|TIME|BLOB|UNION|STRUCT)|]$') THEN sgj_text_only(sg_in(x)) ELSE x::VARCHAR END`,
  // The text of a number, also where it stands in a semi-structured value or is a boolean.
  `sg_scalar(x) AS CASE WHEN regexp_matches(${type}, '^(BOOLEAN|UNION)') THEN sgj_to_number(sg_in(x)) ELSE x::VARCHAR END`,
  `sg_date(x) AS (CASE WHEN ${type} IN ('DATE', 'TIMESTAMP', 'TIMESTAMP WITH TIME ZONE') THEN system.main.split_part(x::VARCHAR, ' ', 1) ELSE sgj_to_date(sg_in(x)) END)::DATE`,
  `sg_timestamp(x) AS (CASE WHEN ${type} IN ('DATE', 'TIMESTAMP', 'TIMESTAMP WITH TIME ZONE') THEN x::VARCHAR ELSE sgj_to_timestamp_ntz(sg_in(x)) END)::TIMESTAMP`,
  `sg_timestamptz(x) AS (CASE WHEN ${type} IN ('DATE', 'TIMESTAMP', 'TIMESTAMP WITH TIME ZONE') THEN x::VARCHAR ELSE sgj_to_timestamp_ltz(sg_in(x)) END)::TIMESTAMPTZ`,
  `sg_time(x) AS (CASE WHEN ${type} IN ('TIME') THEN x::VARCHAR ELSE sgj_to_time(sg_in(x)) END)::TIME`,
  // The second argument is only asked for its type: that of a timestamp for a text.
  `sg_moment(x) AS cast_to_type(CASE WHEN ${type} = 'VARCHAR' THEN sgj_to_timestamp_ntz(sg_in(x)) ELSE x::VARCHAR END, sgj_moment_type(x))`,

  // What COUNT counts: a JSON null is none.
  `sg_counted(x) AS CASE WHEN system.main.typeof(x) LIKE 'UNION(%' AND ${json} = '{"${members.none}":0}' THEN NULL ELSE x END`,

  // What DuckDB compares: a number that is not kept as one becomes one, or is refused.
  `sg_compared(x) AS CASE WHEN ${type} LIKE 'UNION(%' AND ${json} LIKE '{"${members.other}":%' THEN cast_to_type(sgj_compared(sg_in(x))[1], coalesce(x, '')) ELSE x END`,

  // Operators
  `"/"(a, b) AS cast_to_type(sgj_divide(a::VARCHAR, b::VARCHAR, system.main.typeof(a * round(b))), ${quotient("a")} * round(coalesce(b, 0)))`,
  `"%"(a, b) AS system.main."%"(a, CASE WHEN b = 0 THEN sgj_divided_by_zero() ELSE b END)`,
  // A product has twelve digits behind the point at most, or as many as a factor has. The type is found when the
  // statement is bound; DuckDB computes the product alone.
  `sg_scale(x) AS CASE WHEN ${type} LIKE 'DECIMAL(%' THEN regexp_extract(${type}, ',(\\d+)', 1)::INTEGER ELSE 0 END`,
  `sg_times(a, b) AS cast_to_type(a * b, struct_extract_at(row(a * b, round(a * b, greatest(12, sg_scale(a), sg_scale(b)))),
     CASE WHEN system.main.typeof(a * b) LIKE 'DECIMAL(%' THEN 2 ELSE 1 END))`,
  `sg_product(x, scales) AS CASE WHEN scales > 12 THEN error(${literal(longProduct)}) ELSE x END`,
  // DuckDB chooses by the types of both.
  `sg_minus(a DATE, b DATE) AS a - b, (a TIMESTAMP, b TIMESTAMP) AS error(${literal(noInterval)})::INTERVAL,
     (a TIMESTAMPTZ, b TIMESTAMPTZ) AS error(${literal(noInterval)})::INTERVAL, (a, b) AS a - b`,
  `"~~"(a, b) AS system.main."~~"(sg_str(a), b::VARCHAR)`,
  `"!~~"(a, b) AS system.main."!~~"(sg_str(a), b::VARCHAR)`,
  `"~~*"(a, b) AS system.main."~~*"(sg_str(a), b::VARCHAR)`,
  `"!~~*"(a, b) AS system.main."!~~*"(sg_str(a), b::VARCHAR)`,
  "sg_div0(a, b) AS CASE WHEN b = 0 THEN 0 ELSE a / CASE WHEN b = 0 THEN 1 ELSE b END END",
  "sg_ceil(x) AS cast_to_type(system.main.ceil(x), round(x))",
  "sg_floor(x) AS cast_to_type(system.main.floor(x), round(x))",
  'sg_ceil_to(x, n) AS cast_to_type(system.main."/"(system.main.ceil(x * pow(10, n)), pow(10, n)), round(x, n::INTEGER))',
  'sg_floor_to(x, n) AS cast_to_type(system.main."/"(system.main.floor(x * pow(10, n)), pow(10, n)), round(x, n::INTEGER))',
  'width_bucket(x, a, b, n) AS CASE WHEN x < a THEN 0 WHEN x >= b THEN n + 1 ELSE 1 + system.main.floor(system.main."/"((x - a) * n, (b - a)))::BIGINT END',
  `haversine(a, b, c, d) AS 2 * 6371 * asin(sqrt(pow(sin(0.5::DOUBLE * radians(c - a)), 2)
     + cos(radians(a)) * cos(radians(c)) * pow(sin(0.5::DOUBLE * radians(d - b)), 2)))`,

  // Texts
  "sg_upper(s) AS system.main.upper(system.main.replace(s, 'ß', 'SS'))",
  "sg_left(s, n) AS system.main.left(s, CASE WHEN n < 0 THEN 0 ELSE n::BIGINT END)",
  "sg_right(s, n) AS system.main.right(s, CASE WHEN n < 0 THEN 0 ELSE n::BIGINT END)",
  `sg_substr(s, n) AS system.main.substr(s, CASE WHEN n = 0 THEN 1 ELSE n::BIGINT END),
     (s, n, l) AS system.main.substr(s, CASE WHEN n = 0 THEN 1 ELSE n::BIGINT END, CASE WHEN l < 0 THEN 0 ELSE l::BIGINT END)`,
  ...["lpad", "rpad"].map(
    (name) =>
      `sg_${name}(s, n) AS system.main.${name}(s, CASE WHEN n < 0 THEN 0 ELSE n::INTEGER END, ' '),
     (s, n, p) AS system.main.${name}(s, CASE WHEN n < 0 THEN 0 ELSE n::INTEGER END, p::VARCHAR)`
  ),
  "sg_repeat(s, n) AS system.main.repeat(s, CASE WHEN n < 0 THEN 0 ELSE n::BIGINT END)",

  // Dates
  ...addUnits,
  "sg_add_week(n, d) AS cast_to_type(d + to_days(7 * round(n)::INTEGER), d)",
  "sg_add_day(n, d) AS cast_to_type(d + to_days(round(n)::INTEGER), d)",
  "sg_add_quarter(n, d) AS cast_to_type(d + to_months(3 * round(n)::INTEGER), d)",
  ...["hour", "minute", "second"].map((unit) => `sg_add_${unit}(n, d) AS d + to_${unit}s(round(n)::BIGINT)`),
  "sg_add_millisecond(n, d) AS d + to_microseconds(1000 * round(n)::BIGINT)",
  "sg_add_microsecond(n, d) AS d + to_microseconds(round(n)::BIGINT)",
  `sg_micros(n) AS CASE WHEN system.main."%"(n, 1000) = 0 THEN n // 1000 ELSE error(${literal(noNanoseconds)}) END`,
  "sg_add_nanosecond(n, d) AS d + to_microseconds(sg_micros(round(n)::BIGINT))",
  ...["year", "quarter", "month", "day", "hour", "minute", "second", "millisecond", "microsecond"].map(
    (unit) => `sg_diff_${unit}(a, b) AS date_diff('${unit}', a, b)`
  ),
  // From Monday to Monday.
  "sg_diff_week(a, b) AS date_diff('day', system.main.date_trunc('week', a), system.main.date_trunc('week', b)) // 7",
  "sg_diff_nanosecond(a, b) AS date_diff('microsecond', a, b) * 1000",
  'sg_epoch(d, n) AS (system.main.floor(system.main."/"(epoch_us(d), n)))::BIGINT',
  'sg_nanosecond(d) AS system.main."%"(microsecond(d), 1000000) * 1000',
  "sg_trunc_date(part, d) AS cast_to_type(system.main.date_trunc(part, d), d)",
  // A time is truncated like the timestamp of that time on a day.
  "sg_trunc_moment(part, d) AS cast_to_type(system.main.date_trunc(part, make_timestamp(epoch_us(d))), d)",
  "sg_last_month(d) AS system.main.last_day(d)",
  "sg_last_year(d) AS make_date(year(d), 12, 31)",
  "sg_last_quarter(d) AS system.main.last_day(make_date(year(d), 3 * quarter(d), 1))",
  "sg_last_week(d) AS (system.main.date_trunc('week', d) + to_days(6))::DATE",
  "sg_weekday(name) AS list_position(['su', 'mo', 'tu', 'we', 'th', 'fr', 'sa'], lower(left(name, 2))) - 1",
  'sg_next_day(d, name) AS d::DATE + (1 + system.main."%"(sg_weekday(name) - dayofweek(d) + 6, 7))::INTEGER',
  'sg_previous_day(d, name) AS d::DATE - (1 + system.main."%"(dayofweek(d) - sg_weekday(name) + 6, 7))::INTEGER',
  // The last day of a month stays the last day.
  `sg_add_months(d, n) AS cast_to_type(CASE WHEN d::DATE = system.main.last_day(d)
     THEN system.main.last_day((d + to_months(round(n)::INTEGER))::DATE) + (d - d::DATE::TIMESTAMP) ELSE d + to_months(round(n)::INTEGER) END, d)`,
  `sg_months_between(a, b) AS CASE WHEN day(a) = day(b) OR (a::DATE = system.main.last_day(a) AND b::DATE = system.main.last_day(b))
     THEN (12 * (year(a) - year(b)) + month(a) - month(b))::DOUBLE
     ELSE round(12 * (year(a) - year(b)) + month(a) - month(b)
       + system.main."/"((day(a) - day(b)) * 86400 + epoch(a::TIME) - epoch(b::TIME), 2678400::DOUBLE), 6) END`,
  "sg_date_parts(y, m, d) AS (make_date(y, 1, 1) + to_months((m - 1)::INTEGER) + to_days((d - 1)::INTEGER))::DATE",
  "sg_time_parts(h, m, s, us) AS (TIME '00:00:00' + to_hours(h) + to_minutes(m) + to_seconds(s) + to_microseconds(us))",
  `sg_timestamp_parts(y, mo, d, h, mi, s, us) AS make_timestamp(y, 1, 1, 0, 0, 0) + to_months((mo - 1)::INTEGER) + to_days((d - 1)::INTEGER)
     + to_hours(h) + to_minutes(mi) + to_seconds(s) + to_microseconds(us)`
]

/**
 * Of `scalars`: those of which there is a second one, `sgk_x`, that tells a floating-point number in a VARIANT from
 * others. A statement that asks for it names those.
 *
 * @since 0.1.0
 * @category data
 */
export const keepsDoubles: ReadonlySet<string> = new Set(
  Object.entries(scalars).flatMap(([name, { returns }]) =>
    (returns === "variant" || returns === "rows") && name !== "compared" ? [name] : []
  )
)

/** Functions by which a floating-point number in a VARIANT is told from others. */
export const tellsDoubles: ReadonlySet<string> = new Set(
  "TYPEOF TO_JSON IS_DOUBLE IS_REAL IS_DECIMAL IS_INTEGER AS_DOUBLE AS_REAL AS_DECIMAL AS_NUMBER AS_INTEGER".split(
    " "
  )
)

/** The translation of a statement that tells them; texts and names in quotes are as they were. */
export const tellingDoubles = (sql: string): string =>
  sql.replace(/'(?:[^']|'')*'|"(?:[^"]|"")*"|\bsgj_(\w+)\(|\bsg_flatten\(/g, (found, name?: string) => {
    if (found === "sg_flatten(") return "sgk_flatten_rows("
    return name !== undefined && keepsDoubles.has(name) ? `sgk_${name}(` : found
  })

const tableMacros: ReadonlyArray<string> = [
  ...[
    ["sg_flatten", "sgj_flatten"],
    ["sgk_flatten_rows", "sgk_flatten"]
  ].map(
    ([name, rows]) => `${name}(input, path, keep, recursive, mode) AS TABLE
     SELECT 1::BIGINT AS SEQ, sg_e.KEY AS KEY, sg_e.PATH AS PATH, sg_e.INDEX AS INDEX, sg_e.VALUE[1] AS VALUE, sg_e.THIS[1] AS THIS
     FROM (SELECT unnest(${rows}(input, path, keep, recursive, mode)) AS sg_e)`
  ),
  `sg_split_rows(input) AS TABLE
     SELECT 1::BIGINT AS SEQ, sg_e.INDEX + 1 AS INDEX, sgj_text(sg_in(sg_e.VALUE[1])) AS VALUE FROM (SELECT unnest(sgj_flatten(input, NULL, NULL, NULL, NULL)) AS sg_e)`
]

const nameOf = (macro: string): string => macro.slice(0, macro.indexOf("(")).replaceAll('"', "").toUpperCase()

/**
 * The statements that create the type and the macros.
 *
 * @since 0.1.0
 * @category data
 */
export const macros: string = [...macroList, ...tableMacros]
  .map((macro) => `CREATE MACRO memory.main.${macro}`)
  .join(";\n")

/** Functions that only have a type: they are named where a type is asked for, and never run. */
export const typeOnly: ReadonlyArray<string> = [
  "sgj_moment_type",
  "sgj_divided_by_zero",
  "sgj_complete",
  "sgj_items"
]

/**
 * Every function that a translated statement may name besides DuckDB's own, upper case.
 *
 * @since 0.1.0
 * @category data
 */
export const names: ReadonlyArray<string> = [
  ...[...macroList, ...tableMacros].map(nameOf),
  ...Object.keys(scalars).map((name) => `SGJ_${name.toUpperCase()}`),
  ...[...keepsDoubles].map((name) => `SGK_${name.toUpperCase()}`),
  ...typeOnly.map((name) => name.toUpperCase()),
  "CAST_TO_TYPE"
]

/** Of `scalars`: parts of other functions, not functions of Snowflake's. */
export const internal: ReadonlySet<string> = new Set(
  (
    "position text text_only path_text number compared to_timestamp_ntz decimal try_decimal round_half_even divide refuse too_long path variant " +
    "object_of_row list list_unique union_lists flatten changes object_agg like_any like_all ilike_any ilike_all chr as_number"
  ).split(" ")
)

/** Snowflake's functions that run here, for suggestions. */
export const known: ReadonlyArray<string> = [
  ...new Set([
    ...Object.keys(calls),
    ...Object.keys(scalars)
      .filter((name) => !internal.has(name))
      .map((name) => name.toUpperCase())
  ])
]
  .filter((name) => calls[name] !== undefinedCall)
  .sort()

export { variantType }
