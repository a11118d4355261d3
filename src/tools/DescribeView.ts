/**
 * `describe_view`: the columns of a view and the SQL it is made of; of a semantic view what can be asked of it.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import * as Catalog from "./catalog.js"
import { SEMANTIC } from "./core/ObjectIndex.js"
import type { SemanticView } from "./core/SemanticView.js"
import * as Masks from "./masks.js"
import * as LookUps from "./lookUps.js"
import * as Names from "./names.js"
import type * as Query from "./query.js"
import * as Fields from "./schemas.js"
import * as Tool from "./Tool.js"
import type { Reason } from "../warehouse/Warehouse.js"

const name = "describe_view"

const input = Fields.closed(
  Schema.Struct({
    database: Fields.Database,
    schema: Fields.SchemaOfOne,
    view_name: Fields.Name,
    pattern: Fields.Pattern,
    limit: Fields.atMost(Catalog.COLUMN_LIMIT, Catalog.COLUMN_DEFAULT)
  })
)

/** What is in it says what it is: a schema of each part would be told in every conversation. */
const Semantic = Schema.declare(
  (value: unknown): value is SemanticView => typeof value === "object" && value !== null,
  {
    jsonSchema: { type: "object" },
    arbitrary: () => (fc) =>
      fc.constant<SemanticView>({
        tables: [],
        relationships: [],
        dimensions: [],
        facts: [],
        metrics: [],
        verified_queries: []
      })
  }
)

const output = Schema.Struct({
  view: Schema.String.annotations({ description: "The name to use in SQL." }),
  ...Fields.listFields,
  columns: Schema.Array(Fields.ColumnInfo),
  definition: Schema.optional(
    Schema.String.annotations({ description: "The statement that makes the view." })
  ),
  definition_note: Schema.optional(
    Schema.String.annotations({ description: "Why the definition is missing or not complete." })
  ),
  semantic: Schema.optional(Semantic)
})

/** The columns are worth having even where the text is for the owner's eyes only, as with a secure view. */
const withheld = new Set<Reason>(["Permission", "NotFound", "InvalidStatement", "Unavailable"])

/** What DESCRIBE VIEW says of a name that is none of a view's. */
const absent = new Set<Reason>(["NotFound", "InvalidStatement"])

const makesSemantic = /^\s*create\s+(?:or\s+\w+\s+)?semantic\s+view\b/i

/** Of the definition in one answer. */
const DEFINITION_BYTES = 16 * 1024

const definition = (run: Query.Run, sql: string, maxBytes: number, restricted: boolean) =>
  // Room is left for the name of the one column, which repeats the whole expression.
  run({ statement: { sql }, part: 1, maxRows: 1, maxBytes: maxBytes + 4096, maxCellBytes: maxBytes }).pipe(
    Effect.map(({ cutCells, rows, truncated }) => {
      const text = LookUps.text(rows[0]?.[0] ?? null)
      if (text === "") {
        return {
          definition_note:
            truncated === undefined
              ? "The warehouse gave no definition."
              : "No room was left for the definition."
        }
      }
      return cutCells === 0
        ? { definition: text }
        : {
            definition: text,
            definition_note:
              "The definition is longer than one answer may be." +
              // With rules about objects the gate refuses what names one in a text.
              (restricted ? "" : ` execute_query with ${sql} shows more.`)
          }
    }),
    Effect.catchIf(
      (error) => withheld.has(error.reason),
      (error) => Effect.succeed({ definition_note: `Not available: ${error.description}` })
    )
  )

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
      "Shows the columns and the SQL definition of a view, or what a semantic view has. Needs no compute.",
    class: "metadata",
    input,
    output,
    unchecked: true,
    annotations: Tool.readOnly("Describe view"),
    handler: Effect.fnUntraced(function* ({ database, limit, pattern, schema, view_name }) {
      const object = yield* Names.object(catalog.place, { database, schema, name: view_name })
      const rules = yield* catalog.rules
      yield* Names.mayRead(rules, object)
      const view = yield* Names.quoted(object)
      const quoted = yield* Names.literal(view, "The name")
      const which = { limit, pattern }
      const policy = yield* catalog.policy
      const half = Math.floor(policy.maxResultBytes / 2)
      const lookUp = Effect.fnUntraced(function* (run: Query.Run) {
        const columns = yield* Effect.either(
          Catalog.describe(run, `DESCRIBE VIEW ${view}`, { ...policy, maxResultBytes: half }, which)
        )
        const maybe =
          catalog.dialect === "snowflake" && Either.isLeft(columns) && absent.has(columns.left.reason)
        if (Either.isLeft(columns) && !maybe) return yield* Effect.fail(columns.left)
        if (Either.isRight(columns) && !Catalog.isSemantic(columns.right)) {
          const ddl = yield* definition(
            run,
            `SELECT GET_DDL('VIEW', ${quoted})`,
            Math.min(DEFINITION_BYTES, Math.floor(half * 0.75)),
            rules !== undefined
          )
          if (!("definition" in ddl && makesSemantic.test(ddl.definition ?? "")))
            return { described: columns.right, ddl, properties: undefined }
        }
        const properties = yield* Effect.either(Catalog.describeSemantic(run, view, half, 2))
        if (Either.isRight(properties)) return { properties: properties.right }
        // No semantic view either: what was said first names what the name may have been meant for.
        return yield* Effect.fail(
          Either.isLeft(columns) && absent.has(properties.left.reason) ? columns.left : properties.left
        )
      })
      const { meta, value } = yield* catalog.metadata(name, JSON.stringify([view, which]), lookUp)
      if (value.properties !== undefined) {
        const { head, semantic } = Catalog.semantic(value.properties, object, which, { policy, rules }, meta)
        return {
          view: Names.written(...object),
          kind: SEMANTIC,
          ...head,
          columns: [],
          semantic
        }
      }
      const { columns, head } = Catalog.columns(value.described, which, meta, Masks.seen(policy, object))
      return { view: Names.written(...object), ...head, columns, ...value.ddl }
    })
  })
})
