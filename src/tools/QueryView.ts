/**
 * `query_view`: the first rows of a view, without SQL.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { ReadOnly } from "../gate/ReadOnly.js"
import { forGate } from "./CallPolicy.js"
import type { Reason } from "../warehouse/Warehouse.js"
import * as Catalog from "./catalog.js"
import * as Formats from "./formats.js"
import * as LookUps from "./lookUps.js"
import * as Names from "./names.js"
import * as Query from "./query.js"
import * as Fields from "./schemas.js"
import * as Tool from "./Tool.js"

const name = "query_view"

/** What the warehouse says of a semantic view where a view is due. */
const maybeSemantic = new Set<Reason>(["NotFound", "InvalidStatement"])
const DEFAULT_LIMIT = 10

const input = Fields.closed(
  Schema.Struct({
    database: Fields.Database,
    schema: Fields.SchemaOfOne,
    view_name: Fields.Name,
    limit: Schema.optionalWith(Fields.limit(100_000, `Default ${DEFAULT_LIMIT}.`), {
      default: () => DEFAULT_LIMIT
    }),
    format: Formats.Format
  })
)

/**
 * The tool, behind the guards of the context; under masks behind the gate as well.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = Effect.gen(function* () {
  const query = yield* Query.makeRows
  const readOnly = yield* ReadOnly
  const catalog = yield* Catalog.make
  const isSemantic = Effect.fnUntraced(function* (object: Names.Name) {
    const { keep, sql } = yield* LookUps.showOne("SEMANTIC VIEWS", object, catalog.dialect)
    const { value } = yield* catalog.metadata(name, sql, (run) =>
      run({ statement: { sql }, part: 0, pick: ["name"], keep, maxRows: 1, maxBytes: 4096 })
    )
    return value.rows.length > 0
  })
  return Tool.make({
    name,
    description: "Returns some rows of a view or table, without SQL, in no particular order.",
    class: "query",
    input,
    output: Fields.QueryResult,
    unchecked: true,
    annotations: Tool.readOnly("Query view"),
    render: Formats.render,
    handler: Effect.fnUntraced(function* ({ database, limit, schema, view_name }, { progress }) {
      const object = yield* Names.object(catalog.place, { database, schema, name: view_name })
      yield* Names.mayRead(yield* query.rules, object)
      const view = yield* Names.quoted(object)
      const rows = query.run({
        tool: name,
        limit,
        sql: (stopAt, policy, masking) => {
          const sql = `SELECT * FROM ${view} LIMIT ${stopAt}`
          return masking === undefined
            ? Effect.succeed({ sql, scans: true, computes: true })
            : Effect.map(readOnly.check(sql, forGate(policy, { masking })), ({ canonical, logged }) => ({
                sql: canonical,
                logged,
                scans: true,
                computes: true
              }))
        },
        statement: () => view,
        started: progress("running"),
        waiting: progress
      })
      if (catalog.dialect !== "snowflake") return yield* rows
      return yield* Effect.catchIf(
        rows,
        (error) => error._tag === "WarehouseError" && maybeSemantic.has(error.reason),
        (error) =>
          Effect.flatMap(Effect.option(isSemantic(object)), (found) =>
            Effect.fail(
              Option.contains(found, true)
                ? new Tool.ToolError({
                    code: "INVALID_INPUT",
                    description:
                      `${Names.written(...object)} is a semantic view: call describe_view, which shows an example, then ` +
                      `execute_query with SELECT * FROM SEMANTIC_VIEW(${view} DIMENSIONS ... METRICS ...).`,
                    retryable: false
                  })
                : error
            )
          )
      )
    })
  })
})
