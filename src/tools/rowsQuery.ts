/**
 * A query that returns rows to the caller, with the limits of its tier, and the pages after its first one.
 *
 * Where the warehouse keeps results, a statement is given as many rows as the tier allows and the caller
 * as many as it asked for; the others can be read on without running the statement again.
 */
import * as Effect from "effect/Effect"
import type { TierPolicy } from "./CallPolicy.js"
import { Cursors } from "./Cursors.js"
import type { Refusal } from "../guard/Guard.js"
import { ScanBudgetExceeded, estimate } from "../gate/ScanBudget.js"
import type { ToolError } from "./Tool.js"
import type { WarehouseError } from "../warehouse/Warehouse.js"
import { completeness } from "./catalog.js"
import type { Advice } from "./catalog.js"
import type { Collected } from "./collect.js"
import { mayName, rulesOf } from "./objects.js"
import * as ToolCall from "./toolCall.js"
import type { AnswerMeta, QueryResult } from "./schemas.js"

/** A statement that may run. */
export interface Checked {
  readonly sql: string
  /** Whether it reads tables, so that what it would scan counts. */
  readonly scans: boolean
}

export interface Options<E> {
  readonly tool: string
  /** Rows the caller asks for; the tier's default when absent. */
  readonly limit?: number | undefined
  readonly timeoutSeconds?: number | undefined
  readonly database?: string | undefined
  readonly schema?: string | undefined
  /** The text to execute, given the number of rows after which it may stop. Metered, and done once. */
  readonly sql: (stopAt: number, policy: TierPolicy) => Effect.Effect<Checked, E>
  /** What the caller asks: see `Operation.statement`. */
  readonly statement: () => string
  /** The statement was accepted and is about to run. */
  readonly started: Effect.Effect<void>
  /** Told when the call has to wait for its turn. */
  readonly waiting: (message: string) => Effect.Effect<void>
}

const goOn =
  "get_query_results with this query_id and next_cursor gives the next rows without running it again."

interface Page {
  readonly result: Collected
  readonly policy: TierPolicy
  /** Rows asked for. */
  readonly maxRows: number
  /** Rows before these. */
  readonly offset: number
  /** Whether reading on is possible. */
  readonly more: boolean
}

const advice = ({ maxRows, more, offset, policy }: Page): Advice => {
  const first = offset === 0 ? `Only the first ${maxRows} rows are here.` : `There are more rows than these.`
  if (more) {
    return {
      rows: `${first} ${goOn} Better: filter or aggregate in SQL.`,
      bytes: `${goOn} Better: select fewer columns, or cut long values with LEFT(column, n).`
    }
  }
  const larger = offset === 0 && maxRows < policy.maxRows
  return {
    rows:
      `${first} Filter or aggregate in SQL` +
      (larger ? `, or repeat with a larger limit (at most ${policy.maxRows}).` : "."),
    bytes: "Select fewer columns or rows, or cut long values with LEFT(column, n)."
  }
}

const describe = (page: Page) => {
  const { cutCells, partial, queryId, rows } = page.result
  const told = completeness(page.result, advice(page))
  const gone = partial && !told.truncated
  return {
    query_id: queryId,
    row_count: rows.length,
    ...told,
    ...(gone
      ? {
          truncated: true,
          truncated_reason: "rows" as const,
          next_step: "No more rows of this result are kept. Filter or aggregate in SQL and run it again."
        }
      : {}),
    ...(cutCells === 0 ? {} : { truncated_cells: cutCells })
  }
}

export const make = Effect.gen(function* () {
  const call = yield* ToolCall.make
  const cursors = yield* Cursors

  const answer = Effect.fnUntraced(function* (
    page: Omit<Page, "more">,
    meta: AnswerMeta
  ): Effect.fn.Return<QueryResult> {
    const { offset, policy, result } = page
    const next = offset + result.rows.length
    // A page without a row would lead to itself; beyond the tier's rows nothing is kept.
    const more = call.keepsResults && result.truncated !== undefined && next > offset && next < policy.maxRows
    return {
      ...describe({ ...page, more }),
      ...(more ? { next_cursor: yield* cursors.issue(result.queryId, next) } : {}),
      ...meta,
      columns: result.columns.map(({ name, type }) => ({ name, type })),
      rows: result.rows
    }
  })

  /** Asks the warehouse what the statement would scan before it may run, and holds that much. */
  const withinBudget = Effect.fnUntraced(function* (
    run: ToolCall.Run,
    holdScan: ToolCall.HoldScan,
    { chargeScans, maxScanBytes: limit, objects }: TierPolicy,
    statement: {
      readonly sql: string
      readonly database?: string | undefined
      readonly schema?: string | undefined
    }
  ): Effect.fn.Return<void, WarehouseError | Refusal | ScanBudgetExceeded> {
    const sql = `EXPLAIN USING JSON ${statement.sql}`
    const plan = yield* run({
      ...statement,
      sql,
      part: 1,
      maxRows: 1,
      maxBytes: PLAN_BYTES,
      maxCellBytes: PLAN_BYTES
    })
    const { bytes, tables } = estimate(plan.rows[0]?.[0])
    if (bytes === undefined || (limit !== undefined && bytes > limit)) {
      const rules = rulesOf({ objects }, call.dialect)
      const named = tables.filter((table) => mayName(rules, table)).slice(0, 5)
      return yield* new ScanBudgetExceeded({ estimate: bytes, limit, tables: named })
    }
    if (chargeScans) yield* holdScan(bytes)
  })

  const run = Effect.fnUntraced(function* <E>(
    options: Options<E>
  ): Effect.fn.Return<QueryResult, E | WarehouseError | Refusal | ScanBudgetExceeded> {
    const { database, schema, tool } = options
    const policy = yield* call.policy
    const maxRows = Math.min(options.limit ?? policy.defaultRows, policy.maxRows)
    const keepRows = call.keepsResults ? policy.maxRows : undefined
    const wanted =
      options.timeoutSeconds === undefined ? policy.statementTimeoutMs : options.timeoutSeconds * 1000
    const timeoutMs = Math.min(wanted, policy.maxStatementTimeoutMs)
    const { meta, value } = yield* call.query<Collected, E | Refusal | ScanBudgetExceeded>(
      { tool, policy, maxRows, timeoutMs, statement: options.statement, waiting: options.waiting },
      // One row beyond the limit tells whether there are more.
      Effect.map(
        options.sql((keepRows ?? maxRows) + 1, policy),
        ({ scans, sql }) =>
          (run: ToolCall.Run, holdScan: ToolCall.HoldScan) =>
            Effect.gen(function* () {
              yield* options.started
              if (scans && (policy.chargeScans || policy.maxScanBytes !== undefined)) {
                yield* withinBudget(run, holdScan, policy, { sql, database, schema })
              }
              return yield* run({
                sql,
                database,
                schema,
                keepRows,
                maxRows,
                maxBytes: policy.maxResultBytes,
                scans
              })
            })
      )
    )
    if (keepRows !== undefined) yield* cursors.remember(value.queryId)
    return yield* answer({ result: value, policy, maxRows, offset: 0 }, meta)
  })

  const page = Effect.fnUntraced(function* (
    tool: string,
    from: {
      readonly queryId: string
      readonly cursor: string | undefined
      readonly limit: number | undefined
    }
  ): Effect.fn.Return<QueryResult, ToolError | WarehouseError | Refusal> {
    const { queryId } = from
    const offset = yield* cursors.open(queryId, from.cursor)
    const policy = yield* call.policy
    const maxRows = Math.min(from.limit ?? policy.defaultRows, Math.max(0, policy.maxRows - offset))
    const { meta, value } = yield* call.page(tool, { queryId, offset, maxRows }, policy)
    return yield* answer({ result: { ...value, queryId }, policy, maxRows, offset }, meta)
  })

  return {
    run,
    page,
    /** What the current caller may see; undefined when that is everything. */
    rules: Effect.map(call.policy, (policy) => rulesOf(policy, call.dialect))
  }
})

/** Of the answer to EXPLAIN; a plan that is longer is that of a statement nobody should run unseen. */
const PLAN_BYTES = 4 * 1024 * 1024
