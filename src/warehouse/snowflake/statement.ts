/**
 * One statement in a session: sent, awaited, read part by part, and gone when it is ended.
 *
 * ```
 * send --> running --complete--> fetching --last row--> ended
 *            |                      |
 *            | interrupted,         | ended by its reader
 *            | out of time          v
 *            v                    parts under way are ended; the server keeps no statement
 *          cancel at the server, wait until it says so (bounded), then end every request
 * ```
 *
 * Invariants
 * 1. `execute` ends within the statement's time and a grace, whatever the server does, and a pull for rows
 *    within `fetchMs`.
 * 2. When it has ended, the server has confirmed the cancellation or {@link CANCEL_MS} have passed.
 * 3. Rows are read from what the server sent (`rows.ts`); the driver sees none of them.
 * 4. What the driver throws at us for a reason of its own is a defect, not a failure of the warehouse.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Alarms from "../../platform/alarms.js"
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
  /** Sets an alarm. */
  readonly setAlarm: Alarms.Set
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
  statement: DriverStatement | undefined
  /** How it ended. */
  exit: Exit.Exit<DriverStatement, WarehouseError> | undefined
  /** Told how it ended, or nothing when its time is over before. */
  readonly waiting: Set<(exit: Exit.Exit<DriverStatement | undefined, WarehouseError>) => void>
}

/** Makes an effect as interruptible as the one who waits for it. */
export type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

/** A result that is read, until it is ended. */
export interface Reading {
  readonly result: Result
  /** Ends what is under way of it, given how its reader ended. */
  readonly end: (exit: Exit.Exit<unknown, unknown>) => Effect.Effect<void>
}

/** The server had taken the statement before it refused a question about it. */
const begun = (error: WarehouseError, queryId: string | undefined): WarehouseError =>
  queryId === undefined || error.sent === "yes"
    ? error
    : new WarehouseError({ ...error, sent: "yes", queryId: error.queryId ?? queryId })

/** Undefined when its time is over. */
const ended = (running: Running): Effect.Effect<DriverStatement | undefined, WarehouseError> =>
  Effect.async((resume) => {
    if (running.exit !== undefined) return resume(running.exit)
    running.waiting.add(resume)
  })

const send = (connection: DriverConnection, request: Request, task: Wire.Task): Running => {
  const running: Running = {
    task,
    untrack: Wire.track(task),
    statement: undefined,
    exit: undefined,
    waiting: new Set()
  }
  task.queryId = () => running.statement?.getQueryId()
  const settle = (error: unknown, statement: DriverStatement | undefined) => {
    const exit =
      statement === undefined || (error !== null && error !== undefined)
        ? Exit.mapError(failed(error, "execute"), (known) => begun(known, running.statement?.getQueryId()))
        : Exit.succeed(statement)
    running.exit = exit
    for (const told of running.waiting) told(exit)
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
}

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
    if (statement === undefined || running.exit !== undefined) return Effect.succeed(true)
    let confirmed = false
    const over = Effect.as(Effect.exit(ended(running)), true)
    const once = Effect.zipRight(
      Effect.map(sendCancel(statement), (taken) => {
        confirmed ||= taken
      }),
      Effect.timeoutTo(over, { duration: CANCEL_AGAIN_MS, onTimeout: () => false, onSuccess: () => true })
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
const isLost = ({ exit }: Running): boolean =>
  exit !== undefined &&
  Exit.isFailure(exit) &&
  Option.exists(Cause.failureOption(exit.cause), ({ reason }) => reason === "Unreachable")

const forget = ({ task, untrack }: Running): void => {
  task.abort()
  untrack()
}

/** After it was given up. */
const stop = (running: Running, { abandoned, cancelled }: Request): Effect.Effect<void> =>
  Effect.gen(function* () {
    if (running.exit === undefined) yield* abandoned
    if ((yield* cancel(running)) && !isLost(running)) yield* cancelled
    forget(running)
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

/** Its time is over: it is cancelled, and has failed whatever comes of that. */
const overdue = (running: Running, request: Request): Effect.Effect<never, WarehouseError> =>
  Effect.zipRight(
    request.abandoned,
    Effect.flatMap(cancel(running), (answered) => {
      const error = outOfTime(request.timeoutMs, answered, running.statement?.getQueryId())
      running.exit = Exit.fail(error)
      return error
    })
  )

/**
 * Sends a statement. The result is read until {@link Reading.end} is run; of one that failed nothing is under way.
 * Run it in an uninterruptible region, as any acquisition; what is waited for is what `restore` makes of it.
 */
export const execute = (
  connection: DriverConnection,
  request: Request,
  restore: Restore
): Effect.Effect<Reading, WarehouseError> =>
  Effect.flatMap(Wire.task(request.requestId), (task) => {
    const running = send(connection, request, task)
    const ring = Effect.sync(() => running.waiting.forEach((told) => told(Exit.succeed(undefined))))
    const alarm = Alarms.at(task.clock.now() + request.timeoutMs + GRACE_MS, ring)
    return Effect.flatMap(request.setAlarm(alarm), () => {
      const answered = Effect.flatMap(ended(running), (statement) =>
        statement === undefined ? overdue(running, request) : resultOf(statement, task, request)
      )
      return Effect.matchCauseEffect(restore(answered), {
        onFailure: (cause) => {
          Alarms.turnOff(alarm)
          return Effect.zipRight(stop(running, request), Effect.failCause(cause))
        },
        onSuccess: (result) => {
          Alarms.turnOff(alarm)
          return Effect.succeed({
            result,
            end: (exit) => {
              const forgotten = Effect.sync(() => forget(running))
              // A reader that gave up: the server has ended the statement before.
              return Exit.isSuccess(exit) ? forgotten : Effect.zipRight(request.cancelled, forgotten)
            }
          })
        }
      })
    })
  })
