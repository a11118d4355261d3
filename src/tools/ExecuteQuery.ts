/**
 * `execute_query`: one read-only statement of the caller's own.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { forGate } from "./CallPolicy.js"
import * as Formats from "./formats.js"
import { CurrentNotes } from "./callNotes.js"
import * as Names from "./names.js"
import * as Query from "./query.js"
import * as Fields from "./schemas.js"
import * as Dialect from "../sql/Dialect.js"
import { fingerprint } from "../sql/Fingerprint.js"
import type { Accepted } from "../gate/ReadOnly.js"
import { ReadOnly } from "../gate/ReadOnly.js"
import * as Tool from "./Tool.js"
import { LoopGuard } from "../guard/LoopGuard.js"
import { CurrentPrincipal } from "../platform/Principal.js"

const name = "execute_query"

const input = Fields.closed(
  Schema.Struct({
    sql: Fields.Sql.annotations({ description: "One SELECT, WITH, SHOW, DESCRIBE or EXPLAIN." }),
    database: Schema.optional(Fields.Name.annotations({ description: "Of names without one." })),
    schema: Schema.optional(Fields.Name.annotations({ description: "Of names without one." })),
    limit: Schema.optional(Fields.limit(100_000, "Default 100.")),
    timeout_seconds: Schema.optional(Fields.limit(3600, "At most 3600, and at most what get_limits tells.")),
    format: Formats.Format
  })
)

/** Not the catalog's own views: they hold little, and no warehouse explains them. */
const scans = ({ kind, tables }: Accepted): boolean =>
  kind === "select" &&
  (tables.length === 0 || tables.some((table) => !/(?:^|\.)"?INFORMATION_SCHEMA"?\.[^.]*$/i.test(table)))

/**
 * The tool, behind the gate and the guards of the context.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = Effect.gen(function* () {
  const query = yield* Query.makeRows
  const readOnly = yield* ReadOnly
  const loops = yield* LoopGuard
  return Tool.make({
    name,
    description:
      "Runs one read-only SQL statement in Snowflake's dialect and returns its rows. Look up names first; " +
      "aggregate and filter in SQL rather than fetch: `truncated` says when rows are missing. " +
      Fields.whenRefused,
    class: "query",
    input,
    aliases: Fields.sqlAliases,
    output: Fields.QueryResult,
    unchecked: true,
    annotations: Tool.readOnly("Execute query"),
    render: Formats.render,
    handler: Effect.fnUntraced(function* (input, { progress }) {
      const { sql } = input
      const notes = yield* CurrentNotes
      notes.asked(sql)
      const { database, schema } = yield* Names.place(input.database, input.schema)
      const principal = yield* CurrentPrincipal
      const run = query.run({
        tool: name,
        limit: input.limit,
        timeoutSeconds: input.timeout_seconds,
        database,
        schema,
        // Metered, so that rejected statements are not free to send by the thousand.
        sql: (appendLimit, policy, masking) =>
          Effect.map(
            readOnly.check(
              sql,
              forGate(policy, {
                appendLimit,
                database,
                schema,
                ...(masking === undefined ? {} : { masking })
              })
            ),
            (accepted) => ({
              sql: accepted.canonical,
              logged: accepted.logged,
              scans: scans(accepted),
              computes: accepted.kind === "select"
            })
          ),
        statement: () => fingerprint(sql, Dialect.snowflake),
        started: progress("running"),
        waiting: progress
      })
      // Outside of the guard: a statement that is known to fail costs nothing.
      const variant = JSON.stringify([database, schema, input.timeout_seconds, query.identityOf(principal)])
      return yield* loops.protect({ client: principal.client, statement: sql, variant }, run)
    })
  })
})
