/**
 * `list_databases`: where an agent starts that knows nothing.
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

const name = "list_databases"

const input = Fields.closed(
  Schema.Struct({
    pattern: Fields.Pattern,
    limit: Fields.atMost(Catalog.LIST_LIMIT, Catalog.LIST_DEFAULT)
  })
)

const output = Schema.Struct({
  ...Fields.listFields,
  databases: Schema.Array(
    Schema.Struct({ name: Schema.String, comment: Fields.Text, created_on: Fields.Text })
  )
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
      "Lists the databases you can read. Needs no compute. A name is written as it is listed: plain ones are upper " +
      `case, "quoted" ones exact.`,
    class: "metadata",
    input,
    output,
    unchecked: true,
    annotations: Tool.readOnly("List databases"),
    handler: Effect.fnUntraced(function* ({ limit, pattern }) {
      const rules = yield* catalog.rules
      const { entries, head } = yield* catalog.list(name, {
        kind: "DATABASES",
        namespace: [],
        pattern,
        limit,
        columns: ["name", "comment", "created_on"],
        keep: rules === undefined ? undefined : (entry) => Names.shows(rules, LookUps.text(entry.name)),
        fields: ["name", "comment", "created_on"],
        entry: (entry) => ({ ...entry, name: Names.written(LookUps.text(entry.name)) }),
        narrower: "Narrow the list with pattern"
      })
      const databases = entries.map((entry) => ({
        name: LookUps.text(entry.name),
        ...Catalog.texts(entry, ["comment", "created_on"])
      }))
      return { ...head, databases }
    })
  })
})
