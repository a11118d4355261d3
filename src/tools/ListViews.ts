/**
 * `list_views`: the views and semantic views of a database or of one schema.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Catalog from "./catalog.js"
import { SEMANTIC } from "./core/ObjectIndex.js"
import * as LookUps from "./lookUps.js"
import * as Names from "./names.js"
import * as Fields from "./schemas.js"
import * as Tool from "./Tool.js"

const name = "list_views"

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
  views: Schema.Array(
    Schema.Struct({
      name: Schema.String,
      schema: Fields.Text,
      kind: Fields.Text,
      comment: Fields.Text,
      is_secure: Schema.optional(Schema.Boolean),
      is_materialized: Schema.optional(Schema.Boolean)
    })
  )
})

/** Accounts may list a semantic view among the views as well. */
const onlyOnce = <View extends { readonly name: string; readonly schema: string; readonly kind?: string }>(
  all: ReadonlyArray<View>
) => {
  const nameOf = ({ name, schema }: View) => JSON.stringify([schema, name])
  const semantic = new Set(all.filter(({ kind }) => kind === SEMANTIC).map(nameOf))
  const views = all.filter((view) => view.kind === SEMANTIC || !semantic.has(nameOf(view)))
  return { count: views.length, views }
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
    description: "Lists the views of a database or a schema. Needs no compute.",
    class: "metadata",
    input,
    output,
    unchecked: true,
    annotations: Tool.readOnly("List views"),
    handler: Effect.fnUntraced(function* ({ database, limit, pattern, schema }) {
      const rules = yield* catalog.rules
      const namespace = yield* Names.namespace(catalog.place, { database, schema })
      yield* Names.mayLookInto(rules, namespace)
      const { entries, head } = yield* catalog.list(name, {
        kind: "VIEWS",
        first: "SEMANTIC VIEWS",
        namespace,
        pattern,
        limit,
        columns: ["name", "schema_name", "comment", "is_secure", "is_materialized"],
        keep: Catalog.permitted(rules, namespace),
        fields: ["name", "schema", "kind", "comment", "is_secure", "is_materialized"],
        entry: (entry, kind) => ({
          ...entry,
          name: Names.written(LookUps.text(entry.name)),
          schema: Names.written(LookUps.text(entry.schema_name)),
          kind: kind === "VIEWS" ? null : SEMANTIC
        }),
        narrower: Catalog.narrower(namespace)
      })
      const views = entries.map((entry) => ({
        name: LookUps.text(entry.name),
        schema: LookUps.text(entry.schema),
        ...Catalog.texts(entry, ["kind", "comment"]),
        ...(LookUps.flag(entry.is_secure) ? { is_secure: true } : {}),
        ...(LookUps.flag(entry.is_materialized) ? { is_materialized: true } : {})
      }))
      return { ...head, ...onlyOnce(views) }
    })
  })
})
