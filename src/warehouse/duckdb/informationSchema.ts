/**
 * INFORMATION_SCHEMA as Snowflake shows it, in every database: TABLES, VIEWS, COLUMNS, SCHEMATA, DATABASES.
 *
 * DuckDB has a schema of that name which cannot be changed, so the tables live in a hidden one and the
 * dialect leads the name there (`dialect/translate.ts`).
 *
 * @since 0.1.0
 */
import type { DuckDBConnection } from "@duckdb/node-api"
import type { Catalog } from "./catalog.js"
import { literal, quoted } from "../../sql/Identifier.js"
import { hiddenInformationSchema, informationSchema } from "./catalog.js"

type Value = string | number | null

const constant = (value: Value): string => {
  if (value === null) return "NULL"
  return typeof value === "number" ? String(value) : literal(value)
}

const contents = (catalog: Catalog, database: string) => {
  const relations = catalog.relations.filter((relation) => relation.database === database)
  const schemas = [
    ...catalog.schemas.filter((schema) => schema.database === database).map((schema) => schema.name),
    informationSchema
  ]
  return {
    DATABASES: {
      columns:
        "DATABASE_NAME VARCHAR, DATABASE_OWNER VARCHAR, IS_TRANSIENT VARCHAR, COMMENT VARCHAR, CREATED TIMESTAMPTZ",
      rows: catalog.databases.map((entry): ReadonlyArray<Value> => [
        entry.name,
        "SYSADMIN",
        "NO",
        entry.comment,
        catalog.createdOn
      ])
    },
    SCHEMATA: {
      columns: "CATALOG_NAME VARCHAR, SCHEMA_NAME VARCHAR, SCHEMA_OWNER VARCHAR, CREATED TIMESTAMPTZ",
      rows: schemas.map((name): ReadonlyArray<Value> => [database, name, "SYSADMIN", catalog.createdOn])
    },
    TABLES: {
      columns:
        "TABLE_CATALOG VARCHAR, TABLE_SCHEMA VARCHAR, TABLE_NAME VARCHAR, TABLE_OWNER VARCHAR, TABLE_TYPE VARCHAR, ROW_COUNT BIGINT, BYTES BIGINT, CREATED TIMESTAMPTZ, COMMENT VARCHAR",
      rows: relations.map((relation): ReadonlyArray<Value> => [
        database,
        relation.schema,
        relation.name,
        "SYSADMIN",
        relation.kind === "TABLE" ? "BASE TABLE" : "VIEW",
        relation.kind === "TABLE" ? relation.rows : null,
        relation.kind === "TABLE" ? relation.bytes : null,
        catalog.createdOn,
        relation.comment
      ])
    },
    VIEWS: {
      columns:
        "TABLE_CATALOG VARCHAR, TABLE_SCHEMA VARCHAR, TABLE_NAME VARCHAR, TABLE_OWNER VARCHAR, VIEW_DEFINITION VARCHAR, IS_SECURE VARCHAR, CREATED TIMESTAMPTZ, COMMENT VARCHAR",
      rows: relations
        .filter((relation) => relation.kind === "VIEW")
        .map((relation): ReadonlyArray<Value> => [
          database,
          relation.schema,
          relation.name,
          "SYSADMIN",
          relation.query,
          "NO",
          catalog.createdOn,
          relation.comment
        ])
    },
    COLUMNS: {
      columns:
        "TABLE_CATALOG VARCHAR, TABLE_SCHEMA VARCHAR, TABLE_NAME VARCHAR, COLUMN_NAME VARCHAR, ORDINAL_POSITION BIGINT, COLUMN_DEFAULT VARCHAR, IS_NULLABLE VARCHAR, DATA_TYPE VARCHAR, NUMERIC_PRECISION BIGINT, NUMERIC_SCALE BIGINT, COMMENT VARCHAR",
      rows: relations.flatMap((relation) =>
        relation.columns.map((column, index): ReadonlyArray<Value> => {
          const [, base = column.type, precision, scale] =
            /^([A-Z_]+)\((\d+)(?:,(\d+))?\)$/.exec(column.type) ?? []
          const numeric = base === "NUMBER"
          return [
            database,
            relation.schema,
            relation.name,
            column.name,
            index + 1,
            column.default,
            column.nullable ? "YES" : "NO",
            base === "VARCHAR" ? "TEXT" : base,
            numeric ? Number(precision) : null,
            numeric ? Number(scale) : null,
            column.comment
          ]
        })
      )
    }
  }
}

/**
 * @since 0.1.0
 * @category constructors
 */
export const create = async (connection: DuckDBConnection, catalog: Catalog): Promise<void> => {
  const statements = catalog.databases.flatMap(({ name: database }) => {
    const schema = `${quoted(database)}.${quoted(hiddenInformationSchema)}`
    return [
      `CREATE SCHEMA ${schema}`,
      ...Object.entries(contents(catalog, database)).flatMap(([name, table]) => [
        `CREATE TABLE ${schema}.${quoted(name)} (${table.columns})`,
        ...(table.rows.length === 0
          ? []
          : [
              `INSERT INTO ${schema}.${quoted(name)} VALUES ${table.rows
                .map((row) => `(${row.map(constant).join(", ")})`)
                .join(", ")}`
            ])
      ])
    ]
  })
  if (statements.length > 0) await connection.run(statements.join(";\n"))
}
