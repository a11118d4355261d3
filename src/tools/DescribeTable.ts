/**
 * `describe_table`: the columns of a table.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Catalog from "./catalog.js"
import * as Masks from "./masks.js"
import * as Names from "./names.js"
import * as Fields from "./schemas.js"
import * as Tool from "./Tool.js"

const name = "describe_table"

const input = Fields.closed(
  Schema.Struct({
    database: Fields.Database,
    schema: Fields.SchemaOfOne,
    table: Fields.Name,
    pattern: Fields.Pattern,
    limit: Fields.atMost(Catalog.COLUMN_LIMIT, Catalog.COLUMN_DEFAULT)
  })
)

const output = Schema.Struct({
  table: Schema.String.annotations({ description: "The name to use in SQL." }),
  ...Fields.listFields,
  columns: Schema.Array(Fields.ColumnInfo)
})

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
    description:
      "Shows the columns of a table: types, keys, comments. Call it before you write SQL on it. Needs no compute.",
    class: "metadata",
    input,
    output,
    unchecked: true,
    annotations: Tool.readOnly("Describe table"),
    handler: Effect.fnUntraced(function* ({ database, limit, pattern, schema, table }) {
      const object = yield* Names.object(catalog.place, { database, schema, name: table })
      yield* Names.mayRead(yield* catalog.rules, object)
      const sql = `DESCRIBE TABLE ${yield* Names.quoted(object)}`
      const which = { limit, pattern }
      const { meta, value } = yield* catalog.metadata(name, JSON.stringify([sql, which]), (run, policy) =>
        Catalog.describe(run, sql, policy, which)
      )
      const { columns, head } = Catalog.columns(value, which, meta, Masks.seen(yield* catalog.policy, object))
      return { table: Names.written(...object), ...head, columns }
    })
  })
})
