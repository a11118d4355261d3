/**
 * `list_schemas`: the schemas of one database.
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

const name = "list_schemas"

const input = Fields.closed(
  Schema.Struct({
    database: Fields.Database,
    pattern: Fields.Pattern,
    limit: Fields.atMost(Catalog.LIST_LIMIT, Catalog.LIST_DEFAULT)
  })
)

const output = Schema.Struct({
  ...Fields.listFields,
  schemas: Schema.Array(Schema.Struct({ name: Schema.String, comment: Fields.Text, created_on: Fields.Text }))
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
    description: "Lists the schemas of a database. Needs no compute.",
    class: "metadata",
    input,
    output,
    unchecked: true,
    annotations: Tool.readOnly("List schemas"),
    handler: Effect.fnUntraced(function* ({ database, limit, pattern }) {
      const rules = yield* catalog.rules
      const namespace = yield* Names.namespace(catalog.place, { database })
      yield* Names.mayLookInto(rules, namespace)
      const { entries, head } = yield* catalog.list(name, {
        kind: "SCHEMAS",
        namespace,
        pattern,
        limit,
        columns: ["name", "comment", "created_on"],
        keep:
          rules === undefined
            ? undefined
            : (entry) => Names.shows(rules, ...namespace, LookUps.text(entry.name)),
        fields: ["name", "comment", "created_on"],
        entry: (entry) => ({ ...entry, name: Names.written(LookUps.text(entry.name)) }),
        narrower: "Narrow the list with pattern"
      })
      const schemas = entries.map((entry) => ({
        name: LookUps.text(entry.name),
        ...Catalog.texts(entry, ["comment", "created_on"])
      }))
      return { ...head, schemas }
    })
  })
})
