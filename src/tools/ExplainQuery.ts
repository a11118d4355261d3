/**
 * `explain_query`: what a query would do, without doing it.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { CurrentNotes } from "./callNotes.js"
import * as Catalog from "./catalog.js"
import * as Names from "./names.js"
import * as Plan from "./explainedPlan.js"
import type { Run } from "./query.js"
import * as Fields from "./schemas.js"
import { forGate } from "./CallPolicy.js"
import { ReadOnly } from "../gate/ReadOnly.js"
import * as Tool from "./Tool.js"

const name = "explain_query"

const input = Fields.closed(
  Schema.Struct({
    sql: Fields.Sql.annotations({ description: "One SELECT or WITH." }),
    database: Schema.optional(Fields.Name),
    schema: Schema.optional(Fields.Name)
  })
)

const { truncated_cells: _, ...head } = Fields.listFields

const output = Schema.Struct({
  ...head,
  bytes_assigned: Fields.Num.annotations({ description: "Bytes to read." }),
  partitions_assigned: Fields.Num.annotations({ description: "Micro-partitions to read." }),
  partitions_total: Fields.Num,
  tables: Schema.Array(Schema.String),
  operations: Schema.Array(
    Schema.Struct({
      depth: Fields.Count,
      operation: Schema.String,
      objects: Fields.Text,
      expressions: Fields.Text,
      bytes: Schema.optional(Fields.Num)
    })
  )
})

/** More operations than a reader looks at. */
const MAX_OPERATIONS = 100

/** A plan of a thousand steps, in one cell. */
const PLAN_BYTES = 512 * 1024

/**
 * The tool, behind the gate of the context; nothing is run.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = Effect.gen(function* () {
  const catalog = yield* Catalog.make
  const readOnly = yield* ReadOnly
  return Tool.make({
    name,
    description:
      "Shows what a query would read (partitions, bytes), without running it: call it before a big one. " +
      "Needs no compute.",
    class: "metadata",
    input,
    aliases: Fields.sqlAliases,
    output,
    unchecked: true,
    annotations: Tool.readOnly("Explain query"),
    handler: Effect.fnUntraced(function* ({ database, schema, sql }) {
      const notes = yield* CurrentNotes
      notes.asked(sql)
      const { database: inDatabase, schema: inSchema } = yield* Names.place(database, schema)
      const key = JSON.stringify([sql, inDatabase, inSchema])
      const allowed = forGate(yield* catalog.policy, { database: inDatabase, schema: inSchema })
      const rules = yield* catalog.rules
      const gate = Effect.gen(function* () {
        // A plan shows literals and what is read of each table: with masks the gate refuses it as a whole.
        if (allowed.masking !== undefined) return (yield* readOnly.check(`EXPLAIN ${sql}`, allowed)).canonical
        const inner = yield* readOnly.check(sql, allowed)
        if (inner.kind !== "select") {
          return yield* Names.invalidInput("Give a SELECT or WITH statement, without EXPLAIN.")
        }
        // Once more as a whole: what is sent is what the gate has seen.
        return (yield* readOnly.check(`EXPLAIN USING JSON ${sql}`, allowed)).canonical
      })
      const { meta, value } = yield* catalog.metadata(
        name,
        key,
        Effect.map(
          gate,
          (canonical) => (run: Run) =>
            Effect.map(
              run({
                statement: { sql: canonical, database: inDatabase, schema: inSchema },
                maxRows: 1,
                maxBytes: PLAN_BYTES,
                maxCellBytes: PLAN_BYTES / 2
              }),
              ({ rows }) => Plan.read(rows[0]?.[0] ?? null, (table) => Names.mayName(rules, table))
            )
        )
      )
      const operations = value.operations.slice(0, MAX_OPERATIONS)
      const cut = operations.length < value.operations.length
      return {
        count: operations.length,
        truncated: cut,
        ...(cut
          ? { truncated_reason: "rows" as const, next_step: "Explain a part of the statement by itself." }
          : {}),
        ...meta,
        bytes_assigned: value.bytesAssigned,
        partitions_assigned: value.partitionsAssigned,
        partitions_total: value.partitionsTotal,
        tables: value.tables,
        operations
      }
    })
  })
})
