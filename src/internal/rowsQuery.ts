/**
 * A query that returns rows to the caller, with the limits of its tier.
 */
import * as Effect from "effect/Effect"
import type { TierPolicy } from "../CallPolicy.js"
import type { Refusal } from "../Guard.js"
import type { WarehouseError } from "../Warehouse.js"
import { completeness } from "./catalog.js"
import type { Advice } from "./catalog.js"
import type { Collected } from "./collect.js"
import { rulesOf } from "./objects.js"
import * as ToolCall from "./toolCall.js"
import type { QueryResult } from "./toolSchemas.js"

export interface Options<E> {
  readonly tool: string
  /** Rows the caller asks for; the tier's default when absent. */
  readonly limit?: number | undefined
  readonly timeoutSeconds?: number | undefined
  readonly database?: string | undefined
  readonly schema?: string | undefined
  /** The text to execute, given the number of rows after which it may stop. Runs inside the guard. */
  readonly sql: (stopAt: number, policy: TierPolicy) => Effect.Effect<string, E>
  /** The statement was accepted and is about to run. */
  readonly started: Effect.Effect<void>
  /** Told when the call has to wait for its turn. */
  readonly waiting: (message: string) => Effect.Effect<void>
}

const advice = (maxRows: number, policy: TierPolicy): Advice => ({
  rows:
    `Only the first ${maxRows} rows are here. Filter or aggregate in SQL` +
    (maxRows < policy.maxRows ? `, or repeat with a larger limit (at most ${policy.maxRows}).` : "."),
  bytes: "Select fewer columns or rows, or cut long values with LEFT(column, n)."
})

const describe = (result: Collected, maxRows: number, policy: TierPolicy) => {
  const row_count = result.rows.length
  return {
    query_id: result.queryId,
    row_count,
    ...completeness(result, advice(maxRows, policy)),
    ...(result.cutCells === 0 ? {} : { truncated_cells: result.cutCells })
  }
}

export const make = Effect.gen(function* () {
  const call = yield* ToolCall.make

  const run = Effect.fnUntraced(function* <E>(
    options: Options<E>
  ): Effect.fn.Return<QueryResult, E | WarehouseError | Refusal> {
    const { database, schema, tool } = options
    const policy = yield* call.policy
    const maxRows = Math.min(options.limit ?? policy.defaultRows, policy.maxRows)
    const wanted =
      options.timeoutSeconds === undefined ? policy.statementTimeoutMs : options.timeoutSeconds * 1000
    const timeoutMs = Math.min(wanted, policy.maxStatementTimeoutMs)
    const { meta, value } = yield* call.query(
      { tool, policy, maxRows, timeoutMs, waiting: options.waiting },
      (run) =>
        Effect.gen(function* () {
          // One row beyond the limit tells whether there are more.
          const sql = yield* options.sql(maxRows + 1, policy)
          yield* options.started
          return yield* run({ sql, database, schema, maxRows, maxBytes: policy.maxResultBytes })
        })
    )
    return {
      ...describe(value, maxRows, policy),
      ...meta,
      columns: value.columns.map(({ name, type }) => ({ name, type })),
      rows: value.rows
    }
  })

  return {
    run,
    /** What the current caller may see; undefined when that is everything. */
    rules: Effect.map(call.policy, (policy) => rulesOf(policy, call.dialect))
  }
})
