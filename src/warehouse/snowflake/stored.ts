/**
 * The result of a statement that has ended before, asked for by its id: nothing runs, and the server keeps
 * the order of the rows. Only the parts that hold the wanted rows are fetched.
 *
 * Every session of the same user and role may read it, so it need not be the one that made it. The
 * server keeps results for a day; what it does not find, or keeps from us, is `ResultExpired`.
 *
 * Invariants
 * 1. No statement is sent and none is cancelled: an end of any kind ends requests of our own only.
 * 2. `fetch` ends within its time, and a pull for rows within `fetchMs`, whatever the server does.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Reason } from "../Warehouse.js"
import { WarehouseError } from "../Warehouse.js"
import type { DriverConnection, DriverStatement } from "./driver.js"
import { resultOf } from "./rows.js"
import * as Session from "./session.js"
import type { Reading, Restore } from "./statement.js"
import * as Wire from "./wire.js"

interface Request {
  readonly queryId: string
  /** The first row, counted from 0. */
  readonly offset: number
  readonly maxRows: number | undefined
  readonly requestId: string
  /** Milliseconds until the rows are there to be pulled. */
  readonly timeoutMs: number
  /** Milliseconds between two parts of the rows, at most. */
  readonly fetchMs: number
}

/** There is no text that could be wrong: whatever is refused is the result itself. */
const refusals: ReadonlySet<Reason> = new Set<Reason>(["InvalidStatement", "NotFound", "Permission"])

const expired = (queryId: string, sent: "no" | "yes"): WarehouseError =>
  new WarehouseError({
    reason: "ResultExpired",
    description: "The result is not kept any more, or was never one that this server may read.",
    sent,
    queryId
  })

const failed = (error: unknown, queryId: string): Exit.Exit<never, WarehouseError> =>
  Exit.mapError(Session.failed(error, "execute"), (known) =>
    // "No data": of a result, there is none any more.
    known.sqlState?.startsWith("02") === true ||
    known.reason === "ResultExpired" ||
    refusals.has(known.reason)
      ? expired(queryId, "yes")
      : known
  )

/**
 * Asks for the rows of a result from `offset` on. They are read until {@link Reading.end} is run.
 * Run it as a statement.
 */
export const fetch = (
  connection: DriverConnection,
  request: Request,
  restore: Restore
): Effect.Effect<Reading, WarehouseError> =>
  Effect.flatMap(Wire.task(request.requestId), (task) => {
    const { fetchMs, maxRows, offset, queryId, timeoutMs } = request
    task.queryId = () => queryId
    const untrack = Wire.track(task)
    const end = Effect.sync(() => {
      task.abort()
      untrack()
    })
    return Effect.async<DriverStatement, WarehouseError>((resume) => {
      try {
        Wire.run(task, () =>
          connection.fetchResult({
            queryId,
            streamResult: true,
            complete: (error, statement) =>
              resume(error === null || error === undefined ? Exit.succeed(statement) : failed(error, queryId))
          })
        )
      } catch (error) {
        resume(failed(error, queryId))
      }
    }).pipe(
      Effect.timeoutFail({
        duration: timeoutMs,
        onTimeout: () =>
          new WarehouseError({
            reason: "Unreachable",
            description: `The result was not handed over within ${timeoutMs / 1000} seconds.`,
            sent: "unknown",
            queryId
          })
      }),
      Effect.flatMap((statement) => resultOf(statement, task, { fetchMs, maxRows, offset })),
      restore,
      Effect.onError(() => end),
      Effect.map((result): Reading => ({ result, end: () => end }))
    )
  })

/**
 * Whether the warehouse could have given this id to a statement: it becomes part of an address.
 */
export const checked = (queryId: string): Effect.Effect<string, WarehouseError> =>
  /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(queryId)
    ? Effect.succeed(queryId)
    : Effect.fail(expired(queryId, "no"))
