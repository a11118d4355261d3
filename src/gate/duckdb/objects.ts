/**
 * Which tables a read may name in DuckDB: the user's own, and never a file, a setting or the engine's
 * catalog. DuckDB turns a table name that looks like a path into a scan of that file, also when the path
 * is spread over `schema.table`.
 *
 * @since 0.1.0
 */
import { lowerAscii } from "../../sql/Identifier.js"
import { inPlaceOfFiles } from "../core/Functions.js"

/** Qualifiers that belong to DuckDB itself, in lower case. */
const reserved = new Set(["system", "temp", "memory", "pg_catalog", "pg_temp"])

/** DuckDB's own views, which an unqualified name also finds, and files as they are attached. */
const internal = /^(?:duckdb_|pragma_|sqlite_|pg_|_snowguard_file_)/

const informationSchema = new Set([
  "columns",
  "databases",
  "key_column_usage",
  "referential_constraints",
  "schemata",
  "table_constraints",
  "tables",
  "views"
])

const plain = /^[\p{L}\p{N}_$\- ]+$/u

const fileSuffixes = new Set(
  (
    "arrow avro blob bz2 csv db duckdb feather geojson geoparquet gpkg gz ipc json jsonl ndjson orc parquet " +
    "parq shp sqlite sqlite3 tsv txt xls xlsx xml yaml yml zip zst"
  ).split(" ")
)

/** Why a table is refused, and what there is in its place. */
interface Refusal {
  readonly reason: string
  readonly way?: string
}

const asFile = (reason: string): Refusal => ({ reason, way: inPlaceOfFiles })

/**
 * Why the name is refused; undefined when it is not.
 *
 * @since 0.1.0
 * @category checks
 */
export const refused = (parts: ReadonlyArray<string>): Refusal | undefined => {
  const name = parts.join(".")
  const odd = parts.find((part) => !plain.test(part))
  if (odd !== undefined) {
    return asFile(
      `the table name ${JSON.stringify(odd)} could be read as a file or a pattern; names hold letters, digits, _, $, - and spaces`
    )
  }
  const lower = parts.map(lowerAscii)
  const last = lower[lower.length - 1] ?? ""
  const qualifiers = lower.slice(0, -1)
  if (qualifiers.length > 0 && fileSuffixes.has(last)) {
    return asFile(`the table name ${name} could be read as a file`)
  }
  const owner = qualifiers.find((part) => reserved.has(part) || internal.test(part))
  if (owner !== undefined || internal.test(last)) {
    return { reason: `${name} belongs to the engine; use SHOW TABLES, SHOW COLUMNS or INFORMATION_SCHEMA` }
  }
  if (qualifiers[qualifiers.length - 1] === "information_schema" && !informationSchema.has(last)) {
    return {
      reason: `${name} is not available; INFORMATION_SCHEMA has ${[...informationSchema].join(", ").toUpperCase()}`
    }
  }
  return undefined
}
