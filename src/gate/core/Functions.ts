/**
 * Which functions a read may call. Allow-lists only: an unknown name is refused.
 */
import * as DuckDb from "./DuckDbFunctions.js"
import * as Snowflake from "./SnowflakeBuiltins.js"

/**
 * What is known about a function.
 *
 *  - `allowed`: it computes from its arguments and nothing else;
 *  - `unknown`: refused, an operator may allow it;
 *  - `never`: refused whatever an operator allows.
 */
type Verdict = "allowed" | "unknown" | "never"

/**
 * A scalar, aggregate or window function in DuckDB. Snowflake's built-in names are allowed: a
 * DuckDB that imitates Snowflake has them, and any other knows no function of that name.
 */
export const scalarInDuckDb = (name: string): Verdict => {
  const lower = name.toLowerCase()
  if (DuckDb.never.has(lower)) return "never"
  return DuckDb.native.has(lower) ||
    DuckDb.operators.has(lower) ||
    DuckDb.macros.has(lower) ||
    Snowflake.names.has(name.toUpperCase())
    ? "allowed"
    : "unknown"
}

/** Snowflake's table functions that compute from their arguments. */
const snowflakeTables = new Set(["FLATTEN", "GENERATOR", "SPLIT_TO_TABLE", "STRTOK_SPLIT_TO_TABLE"])

/**
 * A function after FROM in DuckDB.
 */
export const tableInDuckDb = (name: string): Verdict => {
  const lower = name.toLowerCase()
  if (DuckDb.never.has(lower)) return "never"
  return DuckDb.tables.has(lower) || snowflakeTables.has(name.toUpperCase()) ? "allowed" : "unknown"
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
