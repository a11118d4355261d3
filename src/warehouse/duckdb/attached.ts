/**
 * DuckDB files of the user's own, as databases of the embedded warehouse.
 *
 * A file is attached read-only under a name that no statement may use ({@link hidden}). What statements see is a
 * database in memory with a view for each of its tables and views: under names that need no quotes, with types that
 * the dialect knows. Nothing is copied, and DuckDB reads of the file what a statement needs.
 *
 * Rules of names ({@link identifier}): letters become upper case, what is not a letter, a digit, `_` or `$` becomes
 * `_`, and a digit at the start gets a `_` before it. Columns whose names become the same are numbered; tables are a
 * fault. What a column was called is told in its comment, where its name does not tell it ({@link commentOf}). The
 * schema `main` is `PUBLIC`, the others keep their names.
 *
 * @since 0.1.0
 */
import type { DuckDBConnection } from "@duckdb/node-api"
import { basename } from "node:path"
import { literal, quoted, upper } from "../../sql/Identifier.js"
import type { Declared } from "./catalog.js"
import { bodyOfView } from "./catalog.js"
import { withoutFiles } from "./errors.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Attached {
  readonly path: string
  /** The name of the database. */
  readonly database: string
  readonly comment: string
}

/**
 * A table or a view of a file under its names: there, and for statements.
 *
 * @since 0.1.0
 * @category models
 */
export interface Relation extends Declared {
  /** `file.schema.name`, as DuckDB's plans have it. */
  readonly from: string
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Seen {
  readonly relations: ReadonlyArray<Relation>
  /** What cannot be served, and why. */
  readonly skipped: ReadonlyArray<string>
}

/**
 * The database of the files that are loaded (`duckdb.load`).
 *
 * @since 0.1.0
 * @category names
 */
export const loadedDatabase = "LOCAL"

/** The schema where unqualified names are looked up. */
const publicSchema = "PUBLIC"

/** Databases of DuckDB, and what cannot be written as the name of one. */
const taken = new Set(["MAIN", "MEMORY", "SYSTEM", "TEMP", "PG_CATALOG", "INFORMATION_SCHEMA"])

/**
 * The name that a table, a column or a schema gets for what it is called in a file.
 *
 * @since 0.1.0
 * @category names
 */
export const identifier = (name: string): string =>
  upper(name.normalize("NFC").trim())
    .replace(/[^\p{L}\p{N}_$]/gu, "_")
    .replace(/^(?=[\p{N}$])/u, "_")

/**
 * The name of a file without its folder and what says its format.
 *
 * @since 0.1.0
 * @category names
 */
export const stemOf = (path: string): string =>
  basename(path).replace(/(?:\.(?:csv|tsv|txt|json|jsonl|ndjson|parquet|duckdb|db|ddb))?(?:\.gz)?$/i, "")

/**
 * The database that a DuckDB file becomes.
 *
 * @since 0.1.0
 * @category names
 */
export const databaseOf = (path: string): string => identifier(stemOf(path))

/**
 * Whether a database can have this name beside the others.
 *
 * @since 0.1.0
 * @category names
 */
export const isTaken = (database: string): boolean => taken.has(database) || database.startsWith("_SNOWGUARD")

/** The name under which a file is attached; the gate refuses it. */
const hidden = (index: number): string => `_snowguard_file_${index + 1}`

/**
 * A semi-structured value in DuckDB as the dialect has it.
 *
 * @since 0.1.0
 * @category conversions
 */
export const asVariant = (sql: string): string => `sgj_variant(memory.main.sg_in(${sql}))[1]`

/**
 * The value of a column of a DuckDB type in one of the types that the dialect knows: numbers are wide, so that
 * arithmetic does not overflow where Snowflake's does not; what is nested is a VARIANT.
 *
 * @since 0.1.0
 * @category conversions
 */
export const converted = (type: string, sql: string): string => {
  if (/^(?:U?TINYINT|U?SMALLINT|U?INTEGER)$/.test(type)) return `${sql}::BIGINT`
  if (type === "UBIGINT") return `${sql}::HUGEINT`
  if (type === "FLOAT") return `${sql}::DOUBLE`
  if (/^TIMESTAMP_M?S$/.test(type)) return `${sql}::TIMESTAMP`
  if (type === "VARIANT") return asVariant(`${sql}::JSON`)
  if (type === "JSON" || type.endsWith("]") || /^(?:STRUCT|MAP|UNION)\(/.test(type)) return asVariant(sql)
  return /^(?:ENUM\(.*|UUID|INTERVAL|BIT|BIGNUM|UHUGEINT|TIME WITH TIME ZONE|"NULL")$/s.test(type)
    ? `${sql}::VARCHAR`
    : sql
}

/**
 * Names for columns, none twice: the first of several that would be the same has the name, and no number is one that
 * another column is called by.
 *
 * @since 0.1.0
 * @category names
 */
export const columnNames = (names: ReadonlyArray<string>): ReadonlyArray<string> => {
  const wanted = names.map((name) => identifier(name) || "_")
  const reserved = new Set(wanted.map(upper))
  const used = new Set<string>()
  return wanted.map((name) => {
    let free = name
    for (let count = 2; used.has(upper(free)) || (free !== name && reserved.has(upper(free))); count++)
      free = `${name}_${count}`
    used.add(upper(free))
    return free
  })
}

/**
 * The comment of what is called `original` in a file and `name` here: what it was called is added, where more of it than
 * its case in one word is lost. Control characters are spaces in it.
 *
 * @since 0.1.0
 * @category names
 */
export const commentOf = (original: string, name: string, comment = ""): string => {
  const told = original.replace(/\p{Cc}+/gu, " ").trim()
  if (told === "" || told === name || (told === told.toLowerCase() && upper(told) === name)) return comment
  return comment === "" ? told : `${comment} (${told})`
}

/**
 * Attaches the file; nothing of it can be seen yet.
 *
 * @since 0.1.0
 * @category attaching
 */
export const attach = async (
  connection: DuckDBConnection,
  { database, path }: Attached,
  index: number
): Promise<void> => {
  await connection.run(`ATTACH ${literal(path)} AS ${quoted(hidden(index))} (READ_ONLY)`)
  await connection.run(`ATTACH ':memory:' AS ${quoted(database)}`)
}

/**
 * Statements that comment on the columns of a relation; an empty comment is none.
 *
 * @since 0.1.0
 * @category names
 */
export const commentsOn = (
  relation: string,
  columns: ReadonlyArray<string>,
  comments: ReadonlyArray<string>
): Array<string> =>
  columns.flatMap((column, at) => {
    const comment = comments[at] ?? ""
    return comment === "" ? [] : [`COMMENT ON COLUMN ${relation}.${quoted(column)} IS ${literal(comment)}`]
  })

const text = (value: unknown): string => (typeof value === "string" ? value : "")
const texts = (value: unknown): ReadonlyArray<string> => (Array.isArray(value) ? value.map(text) : [])

interface Table {
  readonly schema: string
  readonly name: string
  readonly isTable: boolean
  readonly comment: string
  readonly rows: number
  readonly primaryKey: ReadonlyArray<string>
  /** The query of a view; empty where it does not tell what the view reads. */
  readonly query: string
  readonly columns: Array<{
    readonly name: string
    readonly type: string
    readonly required: boolean
    /** The default of a column, or what a generated one is computed from. */
    readonly expression: string
    readonly comment: string
  }>
}

/** A macro of a file. */
interface Macro {
  /** In lower case, as DuckDB compares names. */
  readonly name: string
  /** A function has the same name. */
  readonly isBuiltIn: boolean
}

/**
 * Whether a view may call a macro of its file, which reads what the text of the view does not name. In a view they come
 * before functions of the same name, which operators and other forms call without their names: `||`, `[1]`, `LIKE`.
 */
const reachesMacro = (sql: string, macros: ReadonlyArray<Macro>): boolean => {
  const written = sql.toLowerCase().replaceAll('"', "").replace(/\s+\(/g, "(")
  return macros.some(({ isBuiltIn, name }) => isBuiltIn || written.includes(`${name.replaceAll('"', "")}(`))
}

const tablesOf = async (connection: DuckDBConnection, file: string): Promise<ReadonlyArray<Table>> => {
  const select = async (sql: string) => (await connection.runAndReadAll(sql)).getRowsJson()
  const own = `database_name = ${literal(file)} AND NOT internal`
  const macros = (
    await select(
      `SELECT lower(function_name), bool_or(lower(function_name) IN (SELECT lower(function_name)
         FROM duckdb_functions() WHERE database_name NOT LIKE '\\_snowguard%' ESCAPE '\\'))
       FROM duckdb_functions() WHERE ${own} GROUP BY ALL`
    )
  ).map(([name, isBuiltIn]): Macro => ({ name: text(name), isBuiltIn: isBuiltIn === true }))
  const tables = new Map<string, Table>()
  const keyOf = (schema: unknown, name: unknown) => JSON.stringify([schema, name])
  for (const [schema, name, isTable, comment, rows, primaryKey, sql] of await select(
    `SELECT schema_name, table_name, true, comment, estimated_size::VARCHAR,
       (SELECT any_value(constraint_column_names) FROM duckdb_constraints() AS c
        WHERE c.database_name = t.database_name AND c.schema_name = t.schema_name
          AND c.table_name = t.table_name AND constraint_type = 'PRIMARY KEY'), ''
     FROM duckdb_tables() AS t WHERE ${own}
     UNION ALL SELECT schema_name, view_name, false, comment, '0', NULL, sql FROM duckdb_views() WHERE ${own}
     ORDER BY 1, 2`
  )) {
    tables.set(keyOf(schema, name), {
      schema: text(schema),
      name: text(name),
      isTable: isTable === true,
      comment: text(comment),
      rows: Number(rows),
      primaryKey: texts(primaryKey),
      query: reachesMacro(text(sql), macros) ? "" : bodyOfView(text(sql)),
      columns: []
    })
  }
  for (const [schema, table, name, type, nullable, expression, comment] of await select(
    `SELECT schema_name, table_name, column_name, data_type, is_nullable, column_default, comment
     FROM duckdb_columns() WHERE ${own} ORDER BY schema_name, table_name, column_index`
  )) {
    tables.get(keyOf(schema, table))?.columns.push({
      name: text(name),
      type: text(type),
      required: nullable === false,
      expression: text(expression),
      comment: text(comment)
    })
  }
  return [...tables.values()]
}

/** Texts, quoted names and words of an expression as DuckDB prints it. */
const parts = /'(?:[^']|'')*'|"(?:[^"]|"")+"|[\p{L}_][\p{L}\p{N}_$]*/gu

/** Expressions of generated columns, in the names that statements see: defaults alone name no columns. */
const computedOf = (table: Table, seen: ReadonlyArray<string>): ReadonlyMap<string, string> => {
  const names = new Map(table.columns.map(({ name }, at) => [upper(name), quoted(seen[at]!)]))
  const computed = new Map<string, string>()
  for (const [at, { expression }] of table.columns.entries()) {
    let isComputed = false
    const written = expression.replace(parts, (part) => {
      const name = part.startsWith('"') ? part.slice(1, -1).replaceAll('""', '"') : part
      const column = names.get(upper(name))
      if (column === undefined || column === quoted(seen[at]!)) return part
      isComputed = true
      return column
    })
    if (isComputed) computed.set(seen[at]!, written)
  }
  return computed
}

/**
 * Makes the database that statements see of an attached file. The functions of the dialect are there already, and
 * nothing outside of the attached files can be reached any more: a view of the file may name others.
 *
 * @since 0.1.0
 * @category attaching
 */
export const show = async (
  connection: DuckDBConnection,
  { database }: Attached,
  index: number
): Promise<Seen> => {
  const file = hidden(index)
  const relations: Array<Relation> = []
  const skipped: Array<string> = []
  const from = new Map<string, string>()
  const schemas = new Set<string>()
  for (const table of await tablesOf(connection, file)) {
    const where = `${table.schema}.${table.name}`
    const schema = table.schema === "main" ? publicSchema : identifier(table.schema)
    const name = identifier(table.name) || "_"
    const before = from.get(`${schema}.${name}`)
    if (before !== undefined) {
      throw new Error(
        `${before} and ${where} would both be ${database}.${schema}.${name}; rename one of them`
      )
    }
    from.set(`${schema}.${name}`, where)
    const columns = columnNames(table.columns.map((column) => column.name))
    const view = [database, schema, name].map(quoted).join(".")
    const list = table.columns.map(
      (column, at) => `${converted(column.type, quoted(column.name))} AS ${quoted(columns[at]!)}`
    )
    if (!schemas.has(schema)) await connection.run(`CREATE SCHEMA ${quoted(database)}.${quoted(schema)}`)
    schemas.add(schema)
    try {
      await connection.run(
        `CREATE VIEW ${view} AS SELECT ${list.join(", ")} FROM ${[file, table.schema, table.name].map(quoted).join(".")}`
      )
    } catch (cause) {
      skipped.push(
        `${where}: ${withoutFiles(cause instanceof Error ? cause.message.split("\n", 1)[0]! : String(cause))}`
      )
      continue
    }
    const comments = commentsOn(
      view,
      columns,
      table.columns.map((column, at) => commentOf(column.name, columns[at]!, column.comment))
    )
    const comment = commentOf(table.name, name, table.comment)
    if (comment !== "") comments.push(`COMMENT ON VIEW ${view} IS ${literal(comment)}`)
    if (comments.length > 0) await connection.run(comments.join(";\n"))
    const named = (keep: (column: Table["columns"][number]) => boolean) =>
      columns.filter((_, at) => keep(table.columns[at]!))
    relations.push({
      database,
      schema,
      name,
      primaryKey: named((column) => table.primaryKey.includes(column.name)),
      ...(table.isTable
        ? {
            table: {
              rows: table.rows,
              required: named(({ required }) => required),
              computed: computedOf(table, columns)
            }
          }
        : { query: table.query }),
      from: `${file}.${where}`
    })
  }
  if (!schemas.has(publicSchema)) {
    await connection.run(`CREATE SCHEMA ${quoted(database)}.${quoted(publicSchema)}`)
  }
  return { relations, skipped }
}
