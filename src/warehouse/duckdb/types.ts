/**
 * Snowflake's names for DuckDB's types.
 *
 * @since 0.1.0
 */

const integer = "NUMBER(38,0)"
const text = "VARCHAR(16777216)"

const names: Readonly<Record<string, string>> = {
  TINYINT: integer,
  SMALLINT: integer,
  INTEGER: integer,
  BIGINT: integer,
  HUGEINT: integer,
  UTINYINT: integer,
  USMALLINT: integer,
  UINTEGER: integer,
  UBIGINT: integer,
  UHUGEINT: integer,
  BIGNUM: integer,
  FLOAT: "FLOAT",
  DOUBLE: "FLOAT",
  BOOLEAN: "BOOLEAN",
  DATE: "DATE",
  TIME: "TIME(9)",
  TIME_NS: "TIME(9)",
  "TIME WITH TIME ZONE": "TIME(9)",
  TIMESTAMP: "TIMESTAMP_NTZ(9)",
  TIMESTAMP_S: "TIMESTAMP_NTZ(9)",
  TIMESTAMP_MS: "TIMESTAMP_NTZ(9)",
  TIMESTAMP_NS: "TIMESTAMP_NTZ(9)",
  "TIMESTAMP WITH TIME ZONE": "TIMESTAMP_LTZ(9)",
  BLOB: "BINARY(8388608)",
  GEOMETRY: "GEOGRAPHY",
  VARIANT: "VARIANT",
  JSON: "VARIANT"
}

/**
 * The declared Snowflake type of a DuckDB type, both as text: `DECIMAL(12,2)` is `NUMBER(12,2)`. Types that
 * Snowflake does not have (UUID, ENUM, INTERVAL, BIT) are text there, and so they are here.
 *
 * @since 0.1.0
 * @category conversions
 */
export const snowflakeType = (duckdb: string): string => {
  const known = names[duckdb]
  if (known !== undefined) return known
  if (/^UNION\("?sg_b"? /.test(duckdb)) return "VARIANT"
  if (duckdb.endsWith("]")) return "ARRAY"
  if (duckdb.startsWith("DECIMAL(")) return `NUMBER${duckdb.slice("DECIMAL".length).replaceAll(" ", "")}`
  if (/^(?:STRUCT|MAP|UNION)\(/.test(duckdb)) return "OBJECT"
  return text
}

/**
 * Bytes that a value of a Snowflake type takes on average: enough to make the `bytes` of `SHOW TABLES`
 * grow with the table.
 *
 * @since 0.1.0
 * @category conversions
 */
export const averageWidth = (snowflake: string): number => {
  if (/^(?:VARIANT|OBJECT|ARRAY)/.test(snowflake)) return 64
  if (/^(?:VARCHAR|BINARY|GEOGRAPHY)/.test(snowflake)) return 14
  return /^BOOLEAN/.test(snowflake) ? 1 : 6
}
