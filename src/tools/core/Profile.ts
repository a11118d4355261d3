/**
 * The profile of a table: the one statement that computes all of it, and what its rows mean.
 *
 * ```
 * S   the rows that are read: the table, or a sample of it; its columns are C1, C2, ..
 * E   S, with what figures are computed from: lengths, and numbers as floats
 * F   one row: the figures of each column
 * G   the values that occur more than once in a column, with their counts: one grouping set a column
 * H   G, with the rank of each value
 * ```
 *
 * Each row of the result begins with its part, and has a place for a value and one for a number of each column. Values
 * keep their own types that way, so that they are as exact as in any other result.
 *
 * Invariant: names are used as they were quoted, and nothing of the table is in the text but those names.
 */
import type { Json, Row } from "../../platform/core/ResultShape.js"

/** What can be told of a column: by its type, or by its mask. */
export type Kind =
  | "number"
  | "text"
  | "time"
  | "boolean"
  | "binary"
  /** Seen as tokens, of which no order and no length means anything. */
  | "token"
  /** Semi-structured: values are shown in rows. */
  | "nested"
  /** Of another type: no value is shown. */
  | "opaque"
  /** Seen as NULL or as a constant: there is nothing to tell of it. */
  | "unseen"

export interface Column {
  /** As in SQL. */
  readonly quoted: string
  readonly kind: Kind
}

/** Which rows are read. */
export type Sampling =
  | { readonly of: "all" }
  /** So many rows, where it is not known how many there are. */
  | { readonly of: "rows"; readonly rows: number }
  /** A percentage of the rows; before that, of the blocks of the table, so that not all are scanned. */
  | { readonly of: "share"; readonly percent: number; readonly blocks?: number }

export const kindOf = (type: string, mask: "token" | "null" | "hidden" | undefined): Kind => {
  const kind = ofType(type)
  if (mask === undefined) return kind
  return mask === "token" && kind !== "opaque" ? "token" : "unseen"
}

const ofType = (type: string): Kind => {
  const [name = ""] = /^[A-Z_]+/.exec(type.toUpperCase()) ?? []
  if (
    /^(?:NUMBER|DECIMAL|NUMERIC|(?:TINY|SMALL|BIG|BYTE)?INT|INTEGER|FLOAT|DOUBLE|REAL|DECFLOAT)$/.test(name)
  )
    return "number"
  if (/^(?:VARCHAR|TEXT|STRING|CHAR|CHARACTER)$/.test(name)) return "text"
  if (/^(?:DATE|TIME|DATETIME|TIMESTAMP(?:_NTZ|_LTZ|_TZ)?)$/.test(name)) return "time"
  if (name === "BOOLEAN") return "boolean"
  if (name === "BINARY" || name === "VARBINARY") return "binary"
  return /^(?:VARIANT|OBJECT|ARRAY)$/.test(name) ? "nested" : "opaque"
}

const isOrdered = ({ kind }: Column): boolean => kind === "number" || kind === "text" || kind === "time"
const hasGroups = (column: Column): boolean =>
  isOrdered(column) || ["boolean", "binary", "token"].includes(column.kind)
const hasLength = ({ kind }: Column): boolean => kind === "text" || kind === "binary"

/** What most micro-partitions of Snowflake hold at most, compressed, and how many a sample of blocks has to have. */
const BLOCK_BYTES = 16 * 1024 * 1024
const MIN_BLOCKS = 50

/**
 * `rows` and `bytes` of the table, as far as they are known, and how many rows are to be read. Blocks are drawn where
 * so many are that no one of them matters, and at most half of the table is scanned.
 */
export const sampling = (
  {
    bytes,
    hasBlocks,
    rows
  }: { readonly rows: number | undefined; readonly bytes: number | undefined; readonly hasBlocks: boolean },
  wanted: number
): Sampling => {
  if (rows === undefined) return { of: "rows", rows: wanted }
  if (rows <= wanted) return { of: "all" }
  const share = wanted / rows
  const blocks = Math.max(share, MIN_BLOCKS / Math.max(1, (bytes ?? 0) / BLOCK_BYTES))
  return hasBlocks && blocks <= 0.5
    ? { of: "share", blocks: 100 * blocks, percent: (100 * share) / blocks }
    : { of: "share", percent: 100 * share }
}

/** Values that are told as the most frequent, and one more, since NULL may be among them. */
const MOST_FREQUENT = 5
const RANKS = MOST_FREQUENT + 1

/** Rows that are shown. */
export const SAMPLE = 3

/** The parts of the result. The figures of a column are spread over the first of them. */
const parts = { first: 0, second: 1, third: 2, fourth: 3, repeated: 4, frequent: 5, row: 6 } as const

/** Rows that the statement for so many columns has at most. */
export const rowsFor = (columns: number): number => parts.repeated + (1 + RANKS) * columns + SAMPLE

/** The names of the columns of the result. */
export const namesOf = (columns: ReadonlyArray<Column>): ReadonlyArray<string> => [
  ...["K", "W", "R", "N"],
  ...columns.map((_, at) => `V${at + 1}`),
  ...columns.map((_, at) => `X${at + 1}`)
]

const percent = (value: number): string => Math.min(100, Math.max(value, 0.000001)).toFixed(6)

const source = (table: string, columns: ReadonlyArray<Column>, how: Sampling): string => {
  const from = `SELECT ${columns.map(({ quoted }, at) => `${quoted} AS C${at + 1}`).join(", ")} FROM ${table}`
  switch (how.of) {
    case "all":
      return from
    case "rows":
      return `${from} SAMPLE (${how.rows} ROWS)`
    case "share": {
      const rows = ` SAMPLE ROW (${percent(how.percent)})`
      return how.blocks === undefined
        ? from + rows
        : `SELECT * FROM (${from} SAMPLE SYSTEM (${percent(how.blocks)}))${rows}`
    }
  }
}

export const statement = (table: string, columns: ReadonlyArray<Column>, how: Sampling): string => {
  const named = columns.map((column, at) => ({ ...column, at: at + 1, c: `C${at + 1}` }))
  type Named = (typeof named)[number]
  const grouped = named.filter(hasGroups)
  const list = (each: ReadonlyArray<Named>) => each.map(({ c }) => c).join(", ")
  const isShown = ({ kind }: Column) => kind !== "opaque"
  const isNumber = ({ kind }: Column) => kind === "number"
  const isSpread = (column: Column) => isNumber(column) || hasLength(column)
  const figures = named.flatMap((column) => {
    const { at, c, kind } = column
    const of = (functions: ReadonlyArray<string>) =>
      functions.map((text, index) => `${text} AS ${"XYZ".charAt(index)}${at}`)
    return [
      // Any value gives its place the type of the column.
      ...(isShown(column) ? [`${isOrdered(column) ? "MIN" : "ANY_VALUE"}(${c}) AS L${at}`] : []),
      ...(isOrdered(column) ? [`MAX(${c}) AS M${at}`] : []),
      ...(kind === "unseen" ? [] : [`COUNT(${c})::FLOAT AS P${at}`]),
      ...(hasLength(column) ? of(["MIN", "AVG", "MAX"].map((name) => `${name}(E${at})`)) : []),
      ...(isNumber(column) ? of([0.25, 0.5, 0.75].map((share) => `APPROX_PERCENTILE(E${at}, ${share})`)) : [])
    ]
  })
  const spread = named
    .filter(isSpread)
    .map(({ at, c, kind }) => `, ${kind === "number" ? c : `LENGTH(${c})`}::FLOAT AS E${at}`)
  const nothing = () => "NULL"
  const where = (holds: (column: Named) => boolean, prefix: string) => (column: Named) =>
    holds(column) ? `${prefix}${column.at}` : "NULL"
  const part = (
    [k, w, r, n]: readonly [number, string, string, string],
    value: (column: Named) => string,
    number: (column: Named) => string,
    from: string
  ) => {
    const cells = [String(k), w, r, n, ...named.map(value), ...named.map(number)]
    const names = namesOf(columns)
    const told = cells.map((cell, at) => (k === parts.first ? `${cell} AS ${names[at]}` : cell))
    return `SELECT ${told.join(", ")} FROM ${from}`
  }
  const ctes = [
    `S AS (${source(table, columns, how)})`,
    `E AS (SELECT ${list(named)}${spread.join("")} FROM S)`,
    `F AS (SELECT ${["COUNT(*) AS N", ...figures].join(", ")} FROM E)`
  ]
  const groups = [
    `G AS (SELECT ${list(grouped)}, COUNT(*) AS N, ` +
      `CASE ${grouped.map(({ at, c }) => `WHEN GROUPING(${c}) = 0 THEN ${at}`).join(" ")} END AS W FROM S ` +
      `GROUP BY GROUPING SETS (${grouped.map(({ c }) => `(${c})`).join(", ")}) HAVING COUNT(*) > 1)`,
    `H AS (SELECT ${list(grouped)}, N, W, ROW_NUMBER() OVER (PARTITION BY W ORDER BY N DESC) AS R FROM G)`
  ]
  const ofGroups = [
    part([parts.repeated, "W", "0", "SUM(N - 1)"], nothing, nothing, "G GROUP BY W"),
    part([parts.frequent, "W", "R", "N"], where(hasGroups, "C"), nothing, `H WHERE R <= ${RANKS}`)
  ]
  const selects = [
    part(
      [parts.first, "0", "0", "N"],
      where(isShown, "L"),
      where(({ kind }) => kind !== "unseen", "P"),
      "F"
    ),
    part([parts.second, "0", "0", "0"], where(isOrdered, "M"), where(isSpread, "X"), "F"),
    part([parts.third, "0", "0", "0"], nothing, where(isSpread, "Y"), "F"),
    part([parts.fourth, "0", "0", "0"], nothing, where(isSpread, "Z"), "F"),
    ...(grouped.length === 0 ? [] : ofGroups),
    part([parts.row, "0", "0", "0"], where(isShown, "C"), nothing, `(SELECT * FROM S LIMIT ${SAMPLE})`)
  ]
  const all = grouped.length === 0 ? ctes : [...ctes, ...groups]
  return `WITH ${all.join(", ")} ${selects.join(" UNION ALL ")} ORDER BY K, W, R`
}

/** A row without the places that it leaves empty: of the frequent values there are many, with one value each. */
export const compact =
  (columns: ReadonlyArray<Column>) =>
  (row: Row): Row => {
    const values = row.slice(4, 4 + columns.length)
    const [k = null, w = null, r = null, n = null] = row
    switch (Number(k)) {
      case parts.frequent:
        return [k, w, r, n, values[Number(w) - 1] ?? null]
      case parts.row:
        return [k, ...values]
      default:
        return row
    }
  }

/** What is told of one column. */
export interface Figures {
  readonly nulls?: number
  readonly distinct?: number
  readonly least?: Json
  readonly greatest?: Json
  readonly quartiles?: ReadonlyArray<Json>
  readonly length?: { readonly min: number; readonly mean: number; readonly max: number }
  /** Pairs of a value and its count, the most frequent first. */
  readonly most_frequent?: ReadonlyArray<readonly [Json, number]>
}

export interface Profile {
  /** Rows that were read. */
  readonly rows: number
  readonly columns: ReadonlyArray<Figures>
  readonly sample: ReadonlyArray<Row>
}

const rounded = (value: number): number => Math.round(value * 100) / 100

/**
 * What the compacted rows say. `isWhole`: none of them is missing. How often values are repeated says how many distinct
 * ones there are: the others occur once.
 */
export const read = (columns: ReadonlyArray<Column>, rows: ReadonlyArray<Row>, isWhole: boolean): Profile => {
  const of = (part: number) => rows.filter(([k]) => Number(k) === part)
  const [first = [], second = [], third = [], fourth = []] = [
    parts.first,
    parts.second,
    parts.third,
    parts.fourth
  ].map((part) => of(part)[0])
  const total = Number(first[3] ?? 0)
  const repeated = new Map(of(parts.repeated).map(([, w, , n]) => [Number(w), Number(n)]))
  const frequent = of(parts.frequent)
  const sample = of(parts.row)
  // What comes after them is there.
  const knowsRepeated = isWhole || frequent.length > 0 || sample.length > 0
  const figures = columns.map((column, at): Figures => {
    if (column.kind === "unseen") return {}
    const value = 4 + at
    const number = value + columns.length
    const filled = Number(first[number] ?? 0)
    const nulls = Math.max(0, total - filled)
    // NULL is a group as well.
    const again = (repeated.get(at + 1) ?? 0) - Math.max(0, nulls - 1)
    const most = frequent.flatMap(([, w, , n, each = null]) =>
      Number(w) !== at + 1 || each === null ? [] : [[each, Number(n)] as const]
    )
    const isEmpty = filled === 0
    const spread = [second, third, fourth].map((row) => row[number] ?? null)
    const [min = 0, mean = 0, max = 0] = spread.map(Number)
    return {
      nulls,
      ...(hasGroups(column) && knowsRepeated
        ? { distinct: Math.min(filled, Math.max(most.length, filled - again)) }
        : {}),
      ...(isOrdered(column) && !isEmpty
        ? { least: first[value] ?? null, greatest: second[value] ?? null }
        : {}),
      ...(column.kind === "number" && !isEmpty ? { quartiles: spread } : {}),
      ...(hasLength(column) && !isEmpty ? { length: { min, mean: rounded(mean), max } } : {}),
      ...(most.length > 0 ? { most_frequent: most.slice(0, MOST_FREQUENT) } : {})
    }
  })
  return { rows: total, columns: figures, sample: sample.map((row) => row.slice(1)) }
}
