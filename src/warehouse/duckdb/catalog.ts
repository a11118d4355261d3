/**
 * What there is to see in the embedded warehouse, under Snowflake's names and types.
 *
 * A snapshot, read once when the engine opens: nothing can be created or changed afterwards, so SHOW and
 * DESCRIBE are answered from memory and never reach DuckDB. Invariants: DuckDB's own catalogs and schemas
 * are not in it; everything is sorted by database, schema, name, and columns by position.
 *
 * @since 0.1.0
 */
import type { DuckDBConnection } from "@duckdb/node-api"
import { nearest } from "../../platform/core/Nearest.js"
import { literal, written } from "../../sql/Identifier.js"
import * as ObjectRules from "../../sql/ObjectRules.js"
import type { Name } from "./command.js"
import { averageWidth, snowflakeType } from "./types.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface CatalogColumn {
  readonly name: string
  /** Snowflake's name of the type. */
  readonly type: string
  readonly nullable: boolean
  readonly default: string | null
  /** Of a virtual column: what it is computed from. */
  readonly expression?: string | undefined
  readonly comment: string | null
  readonly primaryKey: boolean
}

/**
 * A table or a view.
 *
 * @since 0.1.0
 * @category models
 */
export interface Relation {
  readonly kind: "TABLE" | "VIEW"
  readonly database: string
  readonly schema: string
  readonly name: string
  readonly comment: string
  /** Rows of a table; 0 for a view. */
  readonly rows: number
  /** An estimate from the rows and the types of the columns. */
  readonly bytes: number
  /** The query of a view. */
  readonly query: string
  readonly columns: ReadonlyArray<CatalogColumn>
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Schema {
  readonly database: string
  readonly name: string
  readonly comment: string
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Catalog {
  /** ISO 8601; everything in memory is as old as the engine. */
  readonly createdOn: string
  readonly databases: ReadonlyArray<{ readonly name: string; readonly comment: string }>
  readonly schemas: ReadonlyArray<Schema>
  readonly relations: ReadonlyArray<Relation>
  /** Whether a name may be suggested to the caller; every name when absent. */
  readonly visible?: ((name: Name) => boolean) | undefined
}

/**
 * The namespace that unqualified names resolve against.
 *
 * @since 0.1.0
 * @category models
 */
export interface Namespace {
  readonly database: string | undefined
  readonly schema: string | undefined
}

/**
 * A name that leads nowhere, and what it may have been meant for.
 *
 * @since 0.1.0
 * @category errors
 */
export interface Missing {
  readonly _tag: "Missing"
  readonly kind: "Database" | "Schema" | "Object"
  readonly name: string
  readonly suggestions: ReadonlyArray<string>
}

/** Snowflake shows this schema in every database. */
export const informationSchema = "INFORMATION_SCHEMA"

/** The schema that holds the views behind INFORMATION_SCHEMA: DuckDB has one of that name already. */
export const hiddenInformationSchema = "_SNOWGUARD_INFORMATION_SCHEMA"

const hidden = `('main', 'pg_catalog', 'information_schema', '${hiddenInformationSchema}')`

/** What the declared tables and views know that DuckDB does not keep. */
export interface Declared {
  readonly database: string
  readonly schema: string
  readonly name: string
  readonly primaryKey?: ReadonlyArray<string>
  readonly query?: string
  /** Of a view that stands for a table of a file. */
  readonly table?: {
    readonly rows: number
    readonly required: ReadonlyArray<string>
    /** The expressions of virtual columns, by their names. */
    readonly computed: ReadonlyMap<string, string>
  }
}

/** The query of a view as DuckDB keeps it. */
export const bodyOfView = (sql: string): string =>
  sql.replace(/^CREATE VIEW .*? AS /is, "").replace(/;\s*$/, "")

/**
 * Reads the catalog of `databases`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const read = async (
  connection: DuckDBConnection,
  options: {
    readonly createdOn: string
    readonly databases: ReadonlyArray<{ readonly name: string; readonly comment: string }>
    readonly declared: ReadonlyArray<Declared>
  }
): Promise<Catalog> => {
  const names = options.databases.map((database) => literal(database.name)).join(", ")
  if (options.databases.length === 0) {
    return { createdOn: options.createdOn, databases: [], schemas: [], relations: [] }
  }
  const visible = `database_name IN (${names}) AND schema_name NOT IN ${hidden}`
  const select = async (sql: string) => (await connection.runAndReadAll(sql)).getRowsJson()
  const text = (value: unknown): string => (typeof value === "string" ? value : "")
  const schemas = await select(
    `SELECT database_name, schema_name, coalesce(comment, '') FROM duckdb_schemas() WHERE ${visible} ORDER BY ALL`
  )
  const relations = await select(
    `SELECT 'TABLE', database_name, schema_name, table_name, comment, estimated_size::VARCHAR, '' FROM duckdb_tables() WHERE ${visible}
     UNION ALL SELECT 'VIEW', database_name, schema_name, view_name, comment, '0', sql FROM duckdb_views() WHERE ${visible}
     ORDER BY 2, 3, 4`
  )
  const columns = new Map<string, Array<CatalogColumn>>()
  const keyOf = (database: string, schema: string, name: string) => JSON.stringify([database, schema, name])
  const declared = new Map(
    options.declared.map((entry) => [keyOf(entry.database, entry.schema, entry.name), entry])
  )
  for (const row of await select(
    `SELECT database_name, schema_name, table_name, column_name, data_type, is_nullable, column_default, comment
     FROM duckdb_columns() WHERE ${visible} ORDER BY 1, 2, 3, column_index`
  )) {
    const [database, schema, table, name, type, nullable, expression, comment] = row
    const key = keyOf(text(database), text(schema), text(table))
    const of = columns.get(key) ?? []
    const { primaryKey: keys = [], table: stored } = declared.get(key) ?? {}
    of.push({
      name: text(name),
      type: snowflakeType(text(type)),
      nullable: nullable === true && stored?.required.includes(text(name)) !== true,
      default: typeof expression === "string" ? expression : null,
      expression: stored?.computed.get(text(name)),
      comment: typeof comment === "string" ? comment : null,
      primaryKey: keys.includes(text(name))
    })
    columns.set(key, of)
  }
  return {
    createdOn: options.createdOn,
    databases: options.databases,
    schemas: schemas.map(([database, name, comment]) => ({
      database: text(database),
      name: text(name),
      comment: text(comment)
    })),
    relations: relations.map(([kind, database, schema, name, comment, size, sql]) => {
      const key = keyOf(text(database), text(schema), text(name))
      const of = columns.get(key) ?? []
      const stored = declared.get(key)?.table
      const rows = stored?.rows ?? Number(size)
      const isView = kind === "VIEW" && stored === undefined
      return {
        kind: isView ? "VIEW" : "TABLE",
        database: text(database),
        schema: text(schema),
        name: text(name),
        comment: text(comment),
        rows,
        bytes: rows * of.reduce((sum, column) => sum + averageWidth(column.type), 0),
        query: isView ? (declared.get(key)?.query ?? bodyOfView(text(sql))) : "",
        columns: of
      }
    })
  }
}

const missing = (
  kind: Missing["kind"],
  name: ReadonlyArray<string>,
  suggestions: ReadonlyArray<string>
): Missing => ({ _tag: "Missing", kind, name: written(...name), suggestions })

/**
 * The same catalog for a client that may see a part of it: nothing else is suggested.
 *
 * @since 0.1.0
 * @category conversions
 */
export const seenBy = (catalog: Catalog, rules: ObjectRules.Compiled | undefined): Catalog =>
  rules === undefined
    ? catalog
    : {
        ...catalog,
        visible: (name) =>
          name.length === 3 ? ObjectRules.permits(rules, name) : ObjectRules.shows(rules, name)
      }

/** The candidates nearest to `name` by their last part, fully qualified; at most three. */
const alike = (
  { visible = () => true }: Catalog,
  name: string,
  candidates: ReadonlyArray<Name>
): ReadonlyArray<string> => {
  const byLast = new Map<string, Array<string>>()
  for (const parts of candidates.filter(visible)) {
    const last = parts[parts.length - 1]!
    byLast.set(last, [...(byLast.get(last) ?? []), written(...parts)])
  }
  return nearest(name, byLast.keys())
    .flatMap((last) => byLast.get(last)!)
    .slice(0, 3)
}

/**
 * @since 0.1.0
 * @category lookups
 */
export const findDatabase = (catalog: Catalog, name: string): string | Missing =>
  catalog.databases.some((database) => database.name === name)
    ? name
    : missing(
        "Database",
        [name],
        alike(
          catalog,
          name,
          catalog.databases.map((database) => [database.name])
        )
      )

/**
 * @since 0.1.0
 * @category lookups
 */
export const findSchema = (catalog: Catalog, database: string, name: string): Schema | Missing => {
  const found = findDatabase(catalog, database)
  if (typeof found !== "string") return found
  const schema = catalog.schemas.find((entry) => entry.database === database && entry.name === name)
  if (schema !== undefined) return schema
  if (name === informationSchema) return { database, name, comment: "" }
  const here = catalog.schemas.filter((entry) => entry.database === database)
  return missing(
    "Schema",
    [database, name],
    alike(
      catalog,
      name,
      here.map((entry) => [entry.database, entry.name])
    )
  )
}

const relationsAlike = (catalog: Catalog, name: string, relations: ReadonlyArray<Relation>) => {
  const qualified = (relation: Relation) => [relation.database, relation.schema, relation.name]
  const here = alike(catalog, name, relations.map(qualified))
  return here.length > 0 ? here : alike(catalog, name, catalog.relations.map(qualified))
}

/**
 * Completes a name of one, two or three parts from the namespace.
 *
 * @since 0.1.0
 * @category lookups
 */
export const findRelation = (catalog: Catalog, name: Name, namespace: Namespace): Relation | Missing => {
  const [last, schemaName = namespace.schema, database = namespace.database] = [...name].reverse()
  if (last === undefined || schemaName === undefined || database === undefined) {
    return missing("Object", name, last === undefined ? [] : relationsAlike(catalog, last, []))
  }
  const schema = findSchema(catalog, database, schemaName)
  if ("_tag" in schema) return schema
  const here = catalog.relations.filter(
    (relation) => relation.database === database && relation.schema === schemaName
  )
  return (
    here.find((relation) => relation.name === last) ??
    missing("Object", [database, schemaName, last], relationsAlike(catalog, last, here))
  )
}
