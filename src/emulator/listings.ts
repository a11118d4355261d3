/**
 * What Snowflake's SHOW and DESCRIBE say beyond the embedded engine's: kinds of tables, masking policies, and
 * no more rows than the account lists at a time. Pure.
 */
import { cursor } from "../warehouse/duckdb/cursor.js"
import type { Token } from "../sql/Lexer.js"
import type { Cell, Column, Row } from "../warehouse/Warehouse.js"

type TableKind = "external" | "dynamic" | "iceberg" | "hybrid" | "event"

/**
 * What is not to be seen from the embedded engine's table of that name.
 */
interface TableTraits {
  readonly kind?: TableKind | undefined
  /** Names of masking policies by the column that they mask. */
  readonly policies?: Readonly<Record<string, string>> | undefined
}

/**
 * By `DATABASE.SCHEMA.TABLE`.
 */
export type Traits = Readonly<Record<string, TableTraits>>

/**
 * Rows of a SHOW at most; `LIMIT ... FROM` reads on.
 */
export const SHOW_ROWS = 10_000

/**
 * The columns that an answer gets more, and their cells for one of its rows.
 */
interface More {
  readonly columns: ReadonlyArray<Column>
  readonly cells: (row: Row) => ReadonlyArray<Cell>
}

const none: More = { columns: [], cells: () => [] }

const text = (name: string): Column => ({ name, type: "VARCHAR(16777216)", nullable: true })

const kinds: ReadonlyArray<TableKind> = ["external", "event", "hybrid", "iceberg", "dynamic"]

const at = (columns: ReadonlyArray<Column>, name: string) => {
  const index = columns.findIndex((column) => column.name === name)
  return (row: Row): string => String(row[index] ?? "")
}

export const more = (
  tokens: ReadonlyArray<Token>,
  traits: Traits,
  namespace: { readonly database: string | undefined; readonly schema: string | undefined },
  columns: ReadonlyArray<Column>
): More => {
  const words = cursor(tokens, 0)
  if (words.word("SHOW")) {
    if (!words.word("TABLES")) return none
    const [name, database, schema] = [
      at(columns, "name"),
      at(columns, "database_name"),
      at(columns, "schema_name")
    ]
    return {
      columns: [...kinds.map((kind) => text(`is_${kind}`)), text("is_immutable")],
      cells: (row) => {
        const kind = traits[`${database(row)}.${schema(row)}.${name(row)}`]?.kind
        return [...kinds.map((one) => (one === kind ? "Y" : "N")), "N"]
      }
    }
  }
  if (!(words.word("DESCRIBE") || words.word("DESC")) || !words.word("TABLE")) return none
  const [table, schema = namespace.schema, database = namespace.database] = [
    ...(words.name() ?? [])
  ].reverse()
  const policies = traits[`${database}.${schema}.${table}`]?.policies ?? {}
  const name = at(columns, "name")
  return {
    columns: [text("policy name"), text("privacy domain")],
    cells: (row) => [policies[name(row)] ?? null, null]
  }
}
