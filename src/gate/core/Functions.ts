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
 * What a refused function is, and what there is in its place.
 */
export interface Refusal {
  /** `never`: refused whatever an operator allows. */
  readonly verdict: "unknown" | "never"
  /** Continues "the function X". */
  readonly reason: string
  readonly way: string
}

/** In place of what reads files: a table name that could be read as one is refused in the same words. */
export const inPlaceOfFiles =
  "no statement reads files here; an operator can load files when the server starts (duckdb.load or --load), and each is " +
  "a table then: list_tables shows them"

/**
 * The ways of what is refused in DuckDB, by kinds of functions: the first that fits. What reads a file or tells of the
 * engine is of no use to allow, since the embedded warehouse is cut off from files and shows its tables otherwise.
 */
const refusals: ReadonlyArray<Refusal & { readonly is: (name: string) => boolean }> = [
  {
    is: (name) => DuckDb.never.has(name),
    verdict: "never",
    reason: "is not allowed",
    way: "it can change state or run text as SQL, so it cannot be allowed"
  },
  {
    is: (name) => /^(?:read_\w+|parquet_\w+|glob|sniff_csv|\w+_(?:scan|attach|query)|st_read\w*)$/.test(name),
    verdict: "never",
    reason: "reads files or other systems, which is not allowed",
    way: inPlaceOfFiles
  },
  {
    is: (name) => /^(?:duckdb|pragma|sqlite|pg)_\w+$/.test(name),
    verdict: "never",
    reason: "tells of the engine, which is not allowed",
    way: "SHOW TABLES, SHOW COLUMNS, DESCRIBE TABLE and INFORMATION_SCHEMA tell what there is"
  },
  {
    is: () => true,
    verdict: "unknown",
    reason: "is unknown",
    way: "if the warehouse has it, an operator can allow it by adding NAME to the allowed functions"
  }
]

/**
 * Why a function of DuckDB is refused that is not allowed; `full`: its name with its schema.
 */
export const refusalInDuckDb = (name: string, full: string): Refusal => {
  const { reason, verdict, way } = refusals.find(({ is }) => is(name.toLowerCase())) ?? refusals.at(-1)!
  return { reason, verdict, way: way.replace("NAME", full) }
}

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
    : refusalInDuckDb(name, name).verdict
}

/** Snowflake's table functions that compute from their arguments. */
const snowflakeTables = new Set(["FLATTEN", "GENERATOR", "SPLIT_TO_TABLE", "STRTOK_SPLIT_TO_TABLE"])

/**
 * A function after FROM in DuckDB.
 */
export const tableInDuckDb = (name: string): Verdict => {
  const lower = name.toLowerCase()
  if (DuckDb.never.has(lower)) return "never"
  return DuckDb.tables.has(lower) || snowflakeTables.has(name.toUpperCase())
    ? "allowed"
    : refusalInDuckDb(name, name).verdict
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
