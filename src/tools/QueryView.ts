/**
 * `query_view`: the first rows of a view, without SQL.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { ReadOnly } from "../gate/ReadOnly.js"
import { forGate } from "./CallPolicy.js"
import * as Formats from "./formats.js"
import * as Names from "./names.js"
import * as Query from "./query.js"
import * as Fields from "./schemas.js"
import * as Tool from "./Tool.js"

const name = "query_view"
const DEFAULT_LIMIT = 10

const input = Fields.closed(
  Schema.Struct({
    database: Fields.Name,
    schema: Fields.SchemaOrPublic,
    view_name: Fields.Name,
    limit: Schema.optionalWith(Fields.limit(100_000, `Rows; default ${DEFAULT_LIMIT}, at most 100000.`), {
      default: () => DEFAULT_LIMIT
    }),
    format: Formats.Format
  })
)

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = Effect.gen(function* () {
  const query = yield* Query.makeRows
  const readOnly = yield* ReadOnly
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
      const object = Names.object(database, schema, view_name)
      yield* Names.mayRead(yield* query.rules, object)
      const view = yield* Names.quoted(object)
      return yield* query.run({
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
    })
  })
})
