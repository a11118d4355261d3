/**
 * `get_query_results`: more rows of a result that the warehouse has kept.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Formats from "./formats.js"
import * as Query from "./query.js"
import * as Fields from "./schemas.js"
import * as Tool from "./Tool.js"

const name = "get_query_results"

const input = Fields.closed(
  Schema.Struct({
    query_id: Fields.text(128, "Of the earlier answer."),
    cursor: Schema.optional(Fields.text(1024, "next_cursor; the first rows when absent.")),
    limit: Schema.optional(Fields.limit(100_000, "Default 100.")),
    format: Formats.Format
  })
)

/**
 * The tool, over the results that the warehouse of the context keeps.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = Effect.gen(function* () {
  const query = yield* Query.makeRows
  return Tool.make({
    name,
    description:
      "Returns the next rows of an earlier result, kept for some minutes. Counts as a request, not as a query.",
    class: "metadata",
    input,
    output: Fields.QueryResult,
    unchecked: true,
    annotations: Tool.readOnly("Get query results"),
    render: Formats.render,
    handler: ({ cursor, limit, query_id }) => query.page(name, { queryId: query_id, cursor, limit })
  })
})
