/**
 * DuckDB connections, one to a running statement, and calls on them that can be interrupted.
 *
 * A call occupies a thread of Node's pool (four by default) until DuckDB returns from it, so calls share a
 * few lanes: one thread stays free for files and name look-ups, however long the queries run. Invariants:
 *  - a lane is held exactly as long as DuckDB is busy with the call, also when the caller has gone;
 *  - interrupting a call interrupts DuckDB until it has let go: a single interrupt is lost when the call
 *    has not been started by its thread yet;
 *  - a connection is interrupted only while its own call is running, and used by one statement at a time;
 *  - a connection whose statement did not end by itself runs a trivial one before it is used again, which
 *    frees what that statement held; if that fails the connection is closed.
 *
 * @since 0.1.0
 */
import type { DuckDBConnection } from "@duckdb/node-api"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { identity } from "effect/Function"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"

/**
 * What DuckDB threw, as it is.
 *
 * @since 0.1.0
 * @category errors
 */
export interface DriverError {
  readonly _tag: "DriverError"
  readonly message: string
  readonly cause: unknown
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Session {
  /** Runs `use`; `cancelled` tells it between two calls that nobody waits any more. */
  readonly call: <A>(
    use: (connection: DuckDBConnection, cancelled: () => boolean) => Promise<A>
  ) => Effect.Effect<A, DriverError>
  /** The statement has ended by itself: the connection holds nothing. */
  readonly finished: () => void
  /** What was last set as its search path. */
  searchPath: string | undefined
}

interface Slot extends Session {
  readonly connection: DuckDBConnection
  /** Something of a statement may be left in it. */
  dirty: boolean
  /** The last call; it may outlive the statement that made it. */
  last: Fiber.Fiber<unknown, unknown> | undefined
}

const lanes = 3
const maxIdle = 8
/** A caller who interrupts waits this long for DuckDB at most; the rest happens behind its back. */
const patience = "250 millis"

// Waiting for native code happens in real time, whatever clock the program has been given.
const realClock = Clock.make()

const driverError = (cause: unknown): DriverError => ({
  _tag: "DriverError",
  message: cause instanceof Error ? cause.message : String(cause),
  cause
})

const native = <A>(
  connection: DuckDBConnection,
  use: (connection: DuckDBConnection, cancelled: () => boolean) => Promise<A>
): Effect.Effect<A, DriverError> =>
  Effect.async((resume) => {
    let settled = false
    let cancelled = false
    // Async, so that what is thrown at once arrives like what is thrown later.
    const run = async () => use(connection, () => cancelled)
    run().then(
      (value) => {
        settled = true
        resume(Effect.succeed(value))
      },
      (cause: unknown) => {
        settled = true
        resume(Effect.fail(driverError(cause)))
      }
    )
    return Effect.sync(() => {
      cancelled = true
      if (!settled) connection.interrupt()
      return settled
    }).pipe(
      Effect.repeat({ until: identity<boolean>, schedule: Schedule.spaced("5 millis") }),
      Effect.withClock(realClock)
    )
  })

/**
 * @since 0.1.0
 * @category models
 */
export interface Connections {
  readonly acquire: Effect.Effect<Session, DriverError, Scope.Scope>
}

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  connect: () => Promise<DuckDBConnection>
): Effect.Effect<Connections, never, Scope.Scope> =>
  Effect.gen(function* () {
    const idle: Array<Slot> = []
    let closed = false
    const permits = yield* Effect.makeSemaphore(lanes)
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        for (const slot of idle.splice(0)) slot.connection.disconnectSync()
      })
    )
    // Calls run here, so that closing the scope interrupts them and waits before the connections close.
    const calls = yield* Effect.acquireRelease(Scope.make(), Scope.close)
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        closed = true
      })
    )

    const open = Effect.tryPromise({ try: connect, catch: driverError })

    const slotOf = (connection: DuckDBConnection): Slot => {
      const call: Session["call"] = (use) =>
        Effect.uninterruptibleMask((restore) =>
          Effect.flatMap(
            Effect.forkIn(Effect.interruptible(permits.withPermits(1)(native(connection, use))), calls),
            (fiber) => {
              slot.last = fiber
              return restore(Fiber.join(fiber)).pipe(
                Effect.onInterrupt(() =>
                  Fiber.interruptFork(fiber).pipe(
                    Effect.zipRight(Effect.timeoutOption(Effect.interruptible(Fiber.await(fiber)), patience)),
                    Effect.withClock(realClock)
                  )
                )
              )
            }
          )
        )
      const slot: Slot = {
        connection,
        call,
        dirty: false,
        last: undefined,
        finished: () => {
          slot.dirty = false
        },
        searchPath: undefined
      }
      return slot
    }

    const keep = (slot: Slot) =>
      Effect.sync(() => {
        if (closed || idle.length >= maxIdle) slot.connection.disconnectSync()
        else idle.push(slot)
      })

    const clean = (slot: Slot) =>
      Effect.exit(
        Effect.zipRight(
          slot.last === undefined ? Effect.void : Fiber.await(slot.last),
          slot.call((connection) => connection.run("SELECT 1"))
        )
      ).pipe(
        Effect.flatMap((exit) =>
          Exit.isSuccess(exit) ? keep(slot) : Effect.sync(() => slot.connection.disconnectSync())
        )
      )

    const release = (slot: Slot) =>
      Effect.suspend(() => (slot.dirty && !closed ? Effect.forkIn(clean(slot), calls) : keep(slot)))

    const take = Effect.suspend(() => {
      const slot = idle.pop()
      return slot === undefined ? Effect.map(open, slotOf) : Effect.succeed(slot)
    })

    return {
      acquire: Effect.acquireRelease(
        Effect.map(take, (slot) => {
          // Until the statement says that it has ended.
          slot.dirty = true
          return slot
        }),
        release
      )
    }
  })
