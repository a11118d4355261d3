/**
 * One statement in a session: sent, awaited, read part by part, and gone when its scope closes.
 *
 * ```
 * send --> running --complete--> fetching --last row--> ended
 *            |                      |
 *            | interrupted,         | scope closed
 *            | out of time          v
 *            v                    parts under way are ended; the server keeps no statement
 *          cancel at the server, wait until it says so (bounded), then end every request
 * ```
 *
 * Invariants
 * 1. `execute` ends within the statement's time and a grace, whatever the server does, and a pull for rows
 *    within `fetchMs`.
 * 2. When the scope has closed, the server has confirmed the cancellation or {@link CANCEL_MS} have passed.
 * 3. Rows are read from what the server sent (`rows.ts`); the driver sees none of them.
 * 4. What the driver throws at us for a reason of its own is a defect, not a failure of the warehouse.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import type { Result } from "../Warehouse.js"
import { WarehouseError } from "../Warehouse.js"
import type { DriverConnection, DriverStatement } from "./driver.js"
import { resultOf } from "./rows.js"
import { bounded, failed } from "./session.js"
import * as Wire from "./wire.js"

interface Request {
  readonly sql: string
  readonly binds: ReadonlyArray<string | number | boolean | null>
  readonly requestId: string
  readonly timeoutMs: number
  readonly maxRows: number | undefined
  /** Parameters of the session, for this statement only. */
  readonly parameters: { readonly [name: string]: string | number }
  /** Milliseconds between two parts of the rows, at most. */
  readonly fetchMs: number
  /** Told when the statement was given up before it ended: its id must not be used again. */
  readonly abandoned: Effect.Effect<void>
  /** Told when the server has confirmed that a statement which was given up is cancelled, or had ended before. */
  readonly cancelled: Effect.Effect<void>
}

/** Beyond its own time: the server ends it itself, in whole seconds, and has to say so. */
const GRACE_MS = 2_500

/** What the server gets to confirm a cancellation. */
const CANCEL_MS = 3_000

/** A cancellation that overtakes its statement finds nothing to cancel; so it is sent again. */
const CANCEL_AGAIN_MS = 700

interface Running {
  readonly task: Wire.Task
  readonly untrack: () => void
  readonly done: Deferred.Deferred<DriverStatement, WarehouseError>
  /** The same, or undefined when its time was over before. */
  readonly inTime: Deferred.Deferred<DriverStatement | undefined, WarehouseError>
  statement: DriverStatement | undefined
  completed: boolean
}

/** The server had taken the statement before it refused a question about it. */
const begun = (error: WarehouseError, queryId: string | undefined): WarehouseError =>
  queryId === undefined || error.sent === "yes"
    ? error
    : new WarehouseError({ ...error, sent: "yes", queryId: error.queryId ?? queryId })

const start = (connection: DriverConnection, request: Request): Effect.Effect<Running> =>
  Effect.gen(function* () {
    const task: Wire.Task = yield* Wire.task(request.requestId, () => running.statement?.getQueryId())
    const run = Runtime.runSync(yield* Effect.runtime())
    const running: Running = {
      task,
      untrack: Wire.track(task),
      done: yield* Deferred.make<DriverStatement, WarehouseError>(),
      inTime: yield* Deferred.make<DriverStatement | undefined, WarehouseError>(),
      statement: undefined,
      completed: false
    }
    const settle = (error: unknown, statement: DriverStatement | undefined) => {
      running.completed = true
      const exit =
        statement === undefined || (error !== null && error !== undefined)
          ? Exit.mapError(failed(error, "execute"), (known) => begun(known, running.statement?.getQueryId()))
          : Exit.succeed(statement)
      run(Effect.zipRight(Deferred.done(running.done, exit), Deferred.done(running.inTime, exit)))
    }
    try {
      running.statement = Wire.run(task, () =>
        connection.execute({
          sqlText: request.sql,
          ...(request.binds.length === 0 ? {} : { binds: request.binds }),
          requestId: request.requestId,
          parameters: request.parameters,
          streamResult: true,
          complete: settle
        })
      )
    } catch (error) {
      settle(error, undefined)
    }
    return running
  })

const sendCancel = (statement: DriverStatement): Effect.Effect<boolean> =>
  Effect.async<boolean>((resume) => {
    try {
      statement.cancel((error) => resume(Effect.succeed(error === null || error === undefined)))
    } catch {
      resume(Effect.succeed(false))
    }
  })

/**
 * Ends a statement that runs: true when the server has confirmed it, by ending the statement or in its answer to
 * the cancellation.
 */
const cancel = (running: Running): Effect.Effect<boolean> =>
  Effect.suspend(() => {
    const { statement } = running
    if (statement === undefined || running.completed) return Effect.succeed(true)
    let confirmed = false
    const ended = Effect.as(Effect.exit(Deferred.await(running.done)), true)
    const once = Effect.zipRight(
      Effect.map(sendCancel(statement), (taken) => {
        confirmed ||= taken
      }),
      Effect.timeoutTo(ended, { duration: CANCEL_AGAIN_MS, onTimeout: () => false, onSuccess: () => true })
    )
    return Effect.map(
      bounded(
        Effect.flatMap(once, (gone) => (gone ? Effect.succeed(true) : once)),
        CANCEL_MS,
        false
      ),
      (gone) => gone || confirmed
    )
  })

/** It ended, but because nothing answered any more. */
const isLost = (running: Running): Effect.Effect<boolean> =>
  Effect.flatMap(Deferred.poll(running.done), (done) =>
    Option.isNone(done)
      ? Effect.succeed(false)
      : Effect.match(done.value, {
          onFailure: ({ reason }) => reason === "Unreachable",
          onSuccess: () => false
        })
  )

const stop = (running: Running, request: Request): Effect.Effect<void> =>
  Effect.gen(function* () {
    if (!running.completed) yield* request.abandoned
    if ((yield* cancel(running)) && !(yield* isLost(running))) yield* request.cancelled
    running.task.abort()
    running.untrack()
  })

const outOfTime = (timeoutMs: number, answered: boolean, queryId: string | undefined): WarehouseError =>
  answered
    ? new WarehouseError({
        reason: "StatementTimeout",
        description: `The statement did not end within ${timeoutMs / 1000} seconds and was cancelled.`,
        sent: "yes",
        code: "000630",
        sqlState: "57014",
        queryId
      })
    : new WarehouseError({
        reason: "Unreachable",
        description: "It gave no answer, not even to the cancellation of the statement.",
        sent: "unknown",
        queryId
      })

/** Undefined when its time is over. One sleeping fiber; `Effect.timeout` races two for each statement. */
const inTime = (running: Running, ms: number): Effect.Effect<DriverStatement | undefined, WarehouseError> =>
  Effect.acquireUseRelease(
    Effect.forkDaemon(Effect.interruptible(Effect.delay(Deferred.succeed(running.inTime, undefined), ms))),
    () => Deferred.await(running.inTime),
    (alarm) => Fiber.interruptAsFork(alarm, FiberId.none)
  )

const awaitResult = (running: Running, request: Request): Effect.Effect<DriverStatement, WarehouseError> =>
  Effect.flatMap(inTime(running, request.timeoutMs + GRACE_MS), (statement) =>
    statement !== undefined
      ? Effect.succeed(statement)
      : Effect.zipRight(
          request.abandoned,
          Effect.flatMap(cancel(running), (answered) => {
            // What could be done has been done: closing the scope does not cancel it once more.
            running.completed = true
            return Effect.fail(outOfTime(request.timeoutMs, answered, running.statement?.getQueryId()))
          })
        )
  )

/**
 * Sends a statement. The result is the driver's until the scope closes.
 */
export const execute = (
  connection: DriverConnection,
  request: Request
): Effect.Effect<Result, WarehouseError, Scope.Scope> =>
  Effect.gen(function* () {
    const running = yield* Effect.acquireRelease(start(connection, request), (one) => stop(one, request))
    const statement = yield* awaitResult(running, request)
    return yield* resultOf(statement, running.task, request)
  })
