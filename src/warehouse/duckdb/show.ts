/**
 * Answers SHOW, DESCRIBE and GET_DDL from the catalog, with Snowflake's columns in Snowflake's order. Pure.
 *
 * @since 0.1.0
 */
import type { Cell, Column, Row } from "../Warehouse.js"
import type { Catalog, CatalogColumn, Missing, Namespace, Relation } from "./catalog.js"
import { literal, written } from "../../sql/Identifier.js"
import { like } from "../../sql/Like.js"
import { findDatabase, findRelation, findSchema, informationSchema } from "./catalog.js"
import type { Command, Scope } from "./command.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Table {
  readonly columns: ReadonlyArray<Column>
  readonly rows: ReadonlyArray<Row>
}

const text = "VARCHAR(16777216)"
const types: Readonly<Record<string, string>> = {
  created_on: "TIMESTAMP_LTZ(3)",
  rows: "NUMBER(38,0)",
  bytes: "NUMBER(38,0)"
}

const owner = "SYSADMIN"
const retention = "1"

type Entry = Readonly<Record<string, Cell>>

const table = (names: ReadonlyArray<string>, entries: ReadonlyArray<Entry>): Table => ({
  columns: names.map((name) => ({ name, type: types[name] ?? text, nullable: true })),
  rows: entries.map((entry) => names.map((name) => entry[name] ?? null))
})

type Show = Extract<Command, { readonly _tag: "Show" }>

/** Which databases, schemas and objects a scope lets through, or what it names in vain. */
const within = (
  catalog: Catalog,
  scope: Scope,
  namespace: Namespace
): ((entry: { readonly database: string; readonly schema?: string }) => boolean) | Missing => {
  switch (scope._tag) {
    case "Account":
      return () => true
    case "Current":
      return (entry) => namespace.database === undefined || entry.database === namespace.database
    case "Database": {
      const found = findDatabase(catalog, scope.name[0]!)
      return typeof found === "string" ? (entry) => entry.database === found : found
    }
    case "Schema": {
      const [name, database = namespace.database] = [...scope.name].reverse()
      const schema = findSchema(catalog, database ?? "", name!)
      return "_tag" in schema
        ? schema
        : (entry) => entry.database === schema.database && (entry.schema ?? schema.name) === schema.name
    }
    case "Object": {
      const relation = findRelation(catalog, scope.name, namespace)
      return "_tag" in relation
        ? relation
        : (entry) => entry.database === relation.database && entry.schema === relation.schema
    }
  }
}

const tableColumns =
  "created_on,name,database_name,schema_name,kind,comment,cluster_by,rows,bytes,owner,retention_time"
const viewColumns =
  "created_on,name,reserved,database_name,schema_name,owner,comment,text,is_secure,is_materialized"

const full: Readonly<Record<Show["kind"], string>> = {
  DATABASES: "created_on,name,is_default,is_current,origin,owner,comment,options,retention_time,kind",
  SCHEMAS: "created_on,name,is_default,is_current,database_name,owner,comment,options,retention_time",
  TABLES: tableColumns,
  VIEWS: viewColumns,
  // There are none.
  "SEMANTIC VIEWS": "created_on,name,database_name,schema_name,comment,owner,owner_role_type,extension",
  OBJECTS: tableColumns,
  COLUMNS: "table_name,schema_name,column_name,data_type,null?,default,kind,expression,comment,database_name"
}

const terse = "created_on,name,kind,database_name,schema_name"

const relationEntry = (relation: Relation): Entry => ({
  name: relation.name,
  database_name: relation.database,
  schema_name: relation.schema,
  kind: relation.kind,
  comment: relation.comment,
  cluster_by: "",
  reserved: "",
  owner,
  retention_time: retention,
  ...(relation.kind === "TABLE"
    ? { rows: relation.rows, bytes: relation.bytes }
    : { text: viewDdl(relation), is_secure: "false", is_materialized: "false" })
})

const entriesOf = (
  catalog: Catalog,
  kind: Show["kind"],
  scope: Scope,
  namespace: Namespace
): ReadonlyArray<Entry> | Missing => {
  if (kind === "DATABASES") {
    return catalog.databases.map((database) => ({
      name: database.name,
      is_default: "N",
      is_current: database.name === namespace.database ? "Y" : "N",
      origin: "",
      owner,
      comment: database.comment,
      options: "",
      retention_time: retention,
      kind: "STANDARD"
    }))
  }
  const inside = within(catalog, scope, namespace)
  if (typeof inside !== "function") return inside
  if (kind === "SCHEMAS") {
    const all = [
      ...catalog.schemas,
      ...catalog.databases.map((database) => ({
        database: database.name,
        name: informationSchema,
        comment: "Views describing the contents of schemas in this database"
      }))
    ]
    return all
      .filter((schema) => inside({ database: schema.database }))
      .sort((a, b) => (a.database < b.database || (a.database === b.database && a.name < b.name) ? -1 : 1))
      .map((schema) => ({
        name: schema.name,
        is_default: "N",
        is_current: schema.database === namespace.database && schema.name === namespace.schema ? "Y" : "N",
        database_name: schema.database,
        owner: schema.name === informationSchema ? "" : owner,
        comment: schema.comment,
        options: "",
        retention_time: retention
      }))
  }
  const relations = catalog.relations.filter(inside)
  if (kind === "COLUMNS") {
    const named = scope._tag === "Object" ? scope.name[scope.name.length - 1] : undefined
    return relations
      .filter((relation) => named === undefined || relation.name === named)
      .flatMap((relation) => relation.columns.map((column) => columnEntry(relation, column)))
  }
  return relations.filter((relation) => kind === "OBJECTS" || kind === `${relation.kind}S`).map(relationEntry)
}

const dataType = (column: CatalogColumn): string => {
  const [, base, precision, scale] = /^([A-Z_]+)(?:\((\d+)(?:,(\d+))?\))?$/.exec(column.type) ?? []
  const type = base === "NUMBER" ? "FIXED" : base === "FLOAT" ? "REAL" : base === "VARCHAR" ? "TEXT" : base
  return JSON.stringify({
    type,
    ...(type === "TEXT" || type === "BINARY"
      ? { length: Number(precision) }
      : scale !== undefined
        ? { precision: Number(precision), scale: Number(scale) }
        : precision !== undefined
          ? { precision: 0, scale: Number(precision) }
          : {}),
    nullable: column.nullable
  })
}

const columnEntry = (relation: Relation, column: CatalogColumn): Entry => ({
  // SHOW COLUMNS filters by the name of the column, but has no column called `name`.
  name: column.name,
  table_name: relation.name,
  schema_name: relation.schema,
  column_name: column.name,
  data_type: dataType(column),
  "null?": column.nullable ? "true" : "NOT_NULL",
  default: column.default ?? "",
  kind: column.expression === undefined ? "COLUMN" : "VIRTUAL_COLUMN",
  expression: column.expression ?? "",
  comment: column.comment ?? "",
  database_name: relation.database
})

const nameOf = (entry: Entry): string => String(entry["name"])

/**
 * @since 0.1.0
 * @category answers
 */
export const show = (command: Show, catalog: Catalog, namespace: Namespace): Table | Missing => {
  const entries = entriesOf(catalog, command.kind, command.scope, namespace)
  if ("_tag" in entries) return entries
  const matches = command.like === undefined ? () => true : like(command.like)
  const chosen = entries
    .filter((entry) => matches(nameOf(entry)))
    .filter((entry) => command.startsWith === undefined || nameOf(entry).startsWith(command.startsWith))
    .filter((entry) => command.from === undefined || nameOf(entry) > command.from)
  const limited = command.limit === undefined ? chosen : chosen.slice(0, command.limit)
  const names = command.terse && command.kind !== "COLUMNS" ? terse : full[command.kind]
  return table(
    names.split(","),
    limited.map((entry) => ({ created_on: catalog.createdOn, ...entry }))
  )
}

/**
 * @since 0.1.0
 * @category answers
 */
export const describe = (relation: Relation): Table =>
  table(
    [
      "name",
      "type",
      "kind",
      "null?",
      "default",
      "primary key",
      "unique key",
      "check",
      "expression",
      "comment"
    ],
    relation.columns.map((column) => ({
      name: column.name,
      type: column.type,
      kind: column.expression === undefined ? "COLUMN" : "VIRTUAL_COLUMN",
      "null?": column.nullable ? "Y" : "N",
      default: column.default,
      "primary key": column.primaryKey ? "Y" : "N",
      "unique key": "N",
      expression: column.expression ?? null,
      comment: column.comment
    }))
  )

/** Empty where the query of the view is withheld, as Snowflake has it of a secure view. */
function viewDdl(relation: Relation): string {
  if (relation.query === "") return ""
  const columns = relation.columns.map((column) =>
    column.comment === null
      ? written(column.name)
      : `${written(column.name)} COMMENT ${literal(column.comment)}`
  )
  const comment = relation.comment === "" ? "" : ` COMMENT=${literal(relation.comment)}`
  return `CREATE OR REPLACE VIEW ${written(relation.name)} (\n\t${columns.join(",\n\t")}\n)${comment}\nAS\n${relation.query.replaceAll("count_star()", "count(*)")};`
}

const tableDdl = (relation: Relation): string => {
  const columns = relation.columns.map((column) => {
    const comment = column.comment === null ? "" : ` COMMENT ${literal(column.comment)}`
    const fallback = column.default === null ? "" : ` DEFAULT ${column.default}`
    return `${written(column.name)} ${column.type}${column.nullable ? "" : " NOT NULL"}${fallback}${comment}`
  })
  const keys = relation.columns.filter((column) => column.primaryKey).map((column) => written(column.name))
  if (keys.length > 0) columns.push(`PRIMARY KEY (${keys.join(", ")})`)
  const comment = relation.comment === "" ? "" : ` COMMENT=${literal(relation.comment)}`
  return `CREATE OR REPLACE TABLE ${written(relation.name)} (\n\t${columns.join(",\n\t")}\n)${comment};`
}

/**
 * The statement that would create the table or view again in Snowflake, as one cell.
 *
 * @since 0.1.0
 * @category answers
 */
export const getDdl = (relation: Relation, column: string): Table => ({
  columns: [{ name: column, type: text, nullable: true }],
  rows: [[relation.kind === "VIEW" ? viewDdl(relation) : tableDdl(relation)]]
})
