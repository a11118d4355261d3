/**
 * Which functions a read may call. Allow-lists only: an unknown name is refused.
 */
import { lowerAscii, upperAscii } from "../../sql/Identifier.js"
import * as DuckDb from "./DuckDbFunctions.js"
import * as Snowflake from "./SnowflakeBuiltins.js"

/**
 * What a refused function is, and what there is in its place.
 *
 *  - `unknown`: an operator may allow it;
 *  - `never`: refused whatever an operator allows.
 */
export interface Refusal {
  readonly verdict: "unknown" | "never"
  /** Continues "the function X". */
  readonly reason: string
  /** `full`: the function's name with its schema. */
  readonly way: (full: string) => string
}

/** In place of what reads files: a table name that could be read as one is refused in the same words. */
export const inPlaceOfFiles =
  "no statement reads files here; an operator can load files when the server starts (duckdb.load or --load), and each is " +
  "a table then: list_tables shows them"

const mayBeAllowed = (full: string): string =>
  `if the warehouse has it, an operator can allow it by adding ${full} to the allowed functions`

/**
 * The ways of what is refused in DuckDB, by kinds of functions: the first that fits. What reads a file or tells of the
 * engine is of no use to allow, since the embedded warehouse is cut off from files and shows its tables otherwise. The
 * prefixes are DuckDB's own for such functions, and later versions add to them.
 */
const refusals: ReadonlyArray<Refusal & { readonly is: (name: string) => boolean }> = [
  {
    is: (name) => DuckDb.never.has(name),
    verdict: "never",
    reason: "is not allowed",
    way: () => "it can change state or run text as SQL, so it cannot be allowed"
  },
  {
    is: (name) => DuckDb.readers.has(name) || /^(?:(?:read|parquet)_\w+|st_read\w*)$/.test(name),
    verdict: "never",
    reason: "reads files or other systems, which is not allowed",
    way: () => inPlaceOfFiles
  },
  {
    is: (name) => name === "current_query" || /^(?:duckdb|pragma|sqlite|pg)_\w+$/.test(name),
    verdict: "never",
    reason: "tells of the engine, which is not allowed",
    way: () => "SHOW TABLES, SHOW COLUMNS, DESCRIBE TABLE and INFORMATION_SCHEMA tell what there is"
  },
  {
    // A name like those of extensions; it may as well be the warehouse's own.
    is: (name) => /_(?:scan|attach|query)$/.test(name),
    verdict: "unknown",
    reason: "is unknown",
    way: (full) => `${mayBeAllowed(full)}; ${inPlaceOfFiles}`
  },
  { is: () => true, verdict: "unknown", reason: "is unknown", way: mayBeAllowed }
]

const decided = (name: string, isListed: (lower: string) => boolean): "allowed" | Refusal => {
  const lower = lowerAscii(name)
  return !DuckDb.never.has(lower) && isListed(lower) ? "allowed" : refusals.find(({ is }) => is(lower))!
}

/**
 * A scalar, aggregate or window function in DuckDB. Snowflake's built-in names are allowed: a
 * DuckDB that imitates Snowflake has them, and any other knows no function of that name.
 */
export const scalarInDuckDb = (name: string): "allowed" | Refusal =>
  decided(
    name,
    (lower) =>
      DuckDb.native.has(lower) ||
      DuckDb.operators.has(lower) ||
      DuckDb.macros.has(lower) ||
      Snowflake.names.has(upperAscii(name))
  )

/** Snowflake's table functions that compute from their arguments. */
const snowflakeTables = new Set(["FLATTEN", "GENERATOR", "SPLIT_TO_TABLE", "STRTOK_SPLIT_TO_TABLE"])

/**
 * A function after FROM in DuckDB.
 */
export const tableInDuckDb = (name: string): "allowed" | Refusal =>
  decided(name, (lower) => DuckDb.tables.has(lower) || snowflakeTables.has(upperAscii(name)))

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
