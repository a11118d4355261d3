/**
 * `list_tables`: the tables of a database or of one schema, with their sizes.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Catalog from "./catalog.js"
import * as LookUps from "./lookUps.js"
import * as Names from "./names.js"
import * as Fields from "./schemas.js"
import * as Tool from "./Tool.js"
import type { Cell } from "../warehouse/Warehouse.js"

const name = "list_tables"

const input = Fields.closed(
  Schema.Struct({
    database: Fields.Database,
    schema: Schema.optional(Fields.Name),
    pattern: Fields.Pattern,
    limit: Fields.atMost(Catalog.LIST_LIMIT, Catalog.LIST_DEFAULT)
  })
)

const output = Schema.Struct({
  ...Fields.listFields,
  tables: Schema.Array(
    Schema.Struct({
      name: Schema.String,
      schema: Fields.Text,
      kind: Fields.Text,
      rows: Schema.optional(Fields.Num),
      bytes: Schema.optional(Fields.Num),
      comment: Fields.Text
    })
  )
})

/** Snowflake calls all of these TABLE, and says which they are in columns of their own. */
export const tableFlags = ["is_dynamic", "is_hybrid", "is_external", "is_event", "is_iceberg"] as const

type Flagged = Catalog.Entry<"kind" | (typeof tableFlags)[number]>

/** What a row of SHOW TABLES is, in words: `DYNAMIC TABLE`. */
export const kindOf = (entry: Flagged): Cell => {
  const set = tableFlags.filter((flag) => LookUps.flag(entry[flag]))
  return set.length === 0
    ? entry.kind
    : `${set.map((flag) => flag.slice("is_".length).toUpperCase()).join(" ")} TABLE`
}

/**
 * The tool, over the catalog of the context.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = Effect.gen(function* () {
  const catalog = yield* Catalog.make
  return Tool.make({
    name,
    description: "Lists the tables of a database or a schema with row counts and sizes. Needs no compute.",
    class: "metadata",
    input,
    output,
    unchecked: true,
    annotations: Tool.readOnly("List tables"),
    handler: Effect.fnUntraced(function* ({ database, limit, pattern, schema }) {
      const rules = yield* catalog.rules
      const namespace = yield* Names.namespace(catalog.place, { database, schema })
      yield* Names.mayLookInto(rules, namespace)
      const { entries, head } = yield* catalog.list(name, {
        kind: "TABLES",
        namespace,
        pattern,
        limit,
        columns: ["name", "schema_name", "kind", "rows", "bytes", "comment", ...tableFlags],
        keep: Catalog.permitted(rules, namespace),
        fields: ["name", "schema", "kind", "rows", "bytes", "comment"],
        entry: (entry) => ({
          ...entry,
          name: Names.written(LookUps.text(entry.name)),
          schema: Names.written(LookUps.text(entry.schema_name)),
          kind: kindOf(entry)
        }),
        narrower: Catalog.narrower(namespace)
      })
      const tables = entries.map((entry) => ({
        name: LookUps.text(entry.name),
        schema: LookUps.text(entry.schema),
        ...Catalog.texts(entry, ["kind", "comment"]),
        ...Catalog.counts(entry, ["rows", "bytes"])
      }))
      return { ...head, tables }
    })
  })
})
