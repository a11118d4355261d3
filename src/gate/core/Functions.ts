/**
 * Which functions a read may call. Allow-lists only: an unknown name is refused.
 */
import * as DuckDb from "./DuckDbFunctions.js"
import * as Snowflake from "./SnowflakeBuiltins.js"

/**
 * What is known about a function.
 *
 *  - `native`: evaluated as it stands;
 *  - `macro`: replaced by a text before it is evaluated;
 *  - `unknown`: refused, an operator may allow it;
 *  - `never`: refused whatever an operator allows.
 */
type Verdict = "native" | "macro" | "unknown" | "never"

/**
 * A scalar, aggregate or window function in DuckDB. Snowflake's built-in names count as macros: that is
 * how a DuckDB that imitates Snowflake has them.
 */
export const scalarInDuckDb = (name: string): Verdict => {
  const lower = name.toLowerCase()
  if (DuckDb.never.has(lower)) return "never"
  if (DuckDb.native.has(lower) || DuckDb.operators.has(lower)) return "native"
  return DuckDb.macros.has(lower) || Snowflake.names.has(name.toUpperCase()) ? "macro" : "unknown"
}

/** Snowflake's table functions that compute from their arguments. */
const snowflakeTables = new Set(["FLATTEN", "GENERATOR", "SPLIT_TO_TABLE", "STRTOK_SPLIT_TO_TABLE"])

/**
 * A function after FROM in DuckDB.
 */
export const tableInDuckDb = (name: string): Verdict => {
  const lower = name.toLowerCase()
  if (DuckDb.never.has(lower)) return "never"
  if (DuckDb.tables.has(lower)) return "native"
  return snowflakeTables.has(name.toUpperCase()) ? "macro" : "unknown"
}

const upper = (names: Iterable<string>): ReadonlyArray<string> => [...names].map((name) => name.toUpperCase())

/**
 * The scalar, aggregate and window functions to suggest from, in upper case.
 */
export const duckDbScalars = (): ReadonlyArray<string> => [
  ...new Set([...upper(DuckDb.native), ...upper(DuckDb.macros), ...Snowflake.names])
]

/**
 * The table functions to suggest from, in upper case.
 */
export const duckDbTables = (): ReadonlyArray<string> => [...upper(DuckDb.tables), ...snowflakeTables]

/**
 * The most characters or elements that one call may make out of nothing.
 */
const maxGrowth = 100_000

/** Position of the argument that says how much a function makes. */
const counts: ReadonlyMap<string, number> = new Map([
  ["repeat", 1],
  ["lpad", 1],
  ["rpad", 1],
  ["bitstring", 1],
  ["list_resize", 1],
  ["array_resize", 1],
  ["space", 0],
  ["randstr", 0]
])
const ranges = new Set(["range", "generate_series", "array_generate_range"])
const formats = new Set(["printf", "format"])

/**
 * Why a call could fill the memory of the process, which DuckDB's own limit does not cover for a scalar
 * function; undefined when it is bounded. `args` holds the literal of each argument, undefined for an
 * argument that is not one.
 */
export const growth = (
  name: string,
  args: ReadonlyArray<string | number | undefined>
): string | undefined => {
  const lower = name.toLowerCase()
  const at = counts.get(lower)
  if (at !== undefined && args.length > at) {
    const count = args[at]
    return typeof count === "number" && count <= maxGrowth
      ? undefined
      : `the count of ${name} must be a literal of at most ${maxGrowth}`
  }
  if (ranges.has(lower)) {
    const [first = 0, second, step = 1] = args.length === 1 ? [0, ...args] : args
    if (
      args.includes(undefined) ||
      typeof first !== "number" ||
      typeof second !== "number" ||
      typeof step !== "number"
    ) {
      return `${name} as a value takes literal integers; after FROM it takes anything`
    }
    return step !== 0 && Math.abs((second - first) / step) <= maxGrowth
      ? undefined
      : `${name} as a value makes at most ${maxGrowth} elements; use it after FROM`
  }
  if (formats.has(lower)) {
    const format = args[0]
    return typeof format === "string" && !/\d{4}|\*|\{[^}]*\{/.test(format)
      ? undefined
      : `the format of ${name} must be a literal without widths over 999`
  }
  return undefined
}
