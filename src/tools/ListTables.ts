/**
 * `list_tables`: the tables of a database or of one schema, with their sizes.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Catalog from "../internal/catalog.js"
import * as Names from "../internal/names.js"
import * as Objects from "../internal/objects.js"
import * as Fields from "../internal/toolSchemas.js"
import * as Tool from "../Tool.js"

const name = "list_tables"
const DEFAULT_LIMIT = 200

const input = Fields.closed(
  Schema.Struct({
    database: Fields.Database,
    schema: Schema.optional(Fields.SchemaName),
    pattern: Fields.Pattern,
    limit: Schema.optionalWith(
      Fields.limit(Catalog.LIST_LIMIT, `Tables shown at most, ${DEFAULT_LIMIT} by default.`),
      { default: () => DEFAULT_LIMIT }
    )
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

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = Effect.gen(function* () {
  const catalog = yield* Catalog.make
  return Tool.make({
    name,
    description:
      "Lists the tables of a database, or of one schema, with row counts and sizes. For views use " +
      `list_views. Needs no compute. ${Fields.whenRefused}`,
    class: "metadata",
    input,
    output,
    annotations: Tool.readOnly("List tables"),
    handler: Effect.fnUntraced(function* ({ database, limit, pattern, schema }) {
      const rules = yield* catalog.rules
      yield* Objects.mayLookInto(rules, database, schema)
      const like = yield* Names.like(pattern, catalog.dialect)
      const within = yield* Names.within(database, schema)
      // What may not be seen would take the place of what may.
      const most = rules === undefined ? ` LIMIT ${limit + 1}` : ""
      const sql = `SHOW TABLES${like}${within}${most}`
      const { entries, head } = yield* catalog.list(name, sql, {
        columns: ["name", "schema_name", "kind", "rows", "bytes", "comment"],
        limit,
        keep: Catalog.permitted(rules, database),
        narrower:
          "Narrow the list with schema or pattern" +
          (limit < Catalog.LIST_LIMIT ? `, or raise limit (at most ${Catalog.LIST_LIMIT}).` : ".")
      })
      const tables = entries.map((entry) => ({
        name: Catalog.text(entry.name),
        schema: Catalog.text(entry.schema_name),
        ...Catalog.texts(entry, ["kind", "comment"]),
        ...Catalog.counts(entry, ["rows", "bytes"])
      }))
      return { ...head, tables }
    })
  })
})
