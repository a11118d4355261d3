/**
 * DuckDB connections, one to a running statement, and calls on them that can be interrupted.
 *
 * A call occupies a thread of Node's pool until DuckDB returns from it; the process is given as many as
 * statements may run in it. Invariants:
 *  - interrupting a call interrupts DuckDB until it has let go, and takes as long: a single interrupt is lost
 *    when the call has not been started by its thread yet. The server ends a process that does not let go;
 *  - a connection is interrupted only while its own call is running, and used by one statement at a time;
 *  - a connection whose statement did not end by itself runs a trivial one before it is used again, which
 *    frees what that statement held; if that fails the connection is closed;
 *  - as many connections are kept as statements run at a time: to open one and to prepare anew costs more than most
 *    statements;
 *  - a connection keeps the statements that it prepared last, and the most recently used connection is used next:
 *    the same text is prepared once.
 *
 * @since 0.1.0
 */
import type { DuckDBConnection, DuckDBPreparedStatement, DuckDBType } from "@duckdb/node-api"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { identity } from "effect/Function"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import { unsafeMonotonicMillis } from "../../platform/monotonic.js"
import { STATEMENTS } from "./protocol.js"

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
 * DuckDB was interrupted because the time of the call was over.
 */
export interface OutOfTime {
  readonly _tag: "OutOfTime"
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Prepared {
  readonly statement: DuckDBPreparedStatement
  /** Known once it has run without binds, on which the types may depend. */
  shape: Shape | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Shape {
  readonly names: ReadonlyArray<string>
  readonly types: ReadonlyArray<DuckDBType>
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Session {
  /**
   * Runs `use` for so many milliseconds at most; `cancelled` tells it between two calls that nothing waits for it
   * any more.
   */
  readonly call: <A>(
    leftMs: number,
    use: (connection: DuckDBConnection, cancelled: () => boolean) => Promise<A>
  ) => Effect.Effect<A, DriverError | OutOfTime>
  /** The statement has ended by itself: the connection holds nothing. */
  readonly finished: () => void
  readonly prepared: (key: string) => Prepared | undefined
  /** Keeps a statement under a key; the one that was not used for longest goes. */
  readonly keep: (key: string, prepared: Prepared) => void
  /** What was last set as its search path. */
  searchPath: string | undefined
}

interface Slot extends Session {
  readonly connection: DuckDBConnection
  /** Something of a statement may be left in it. */
  dirty: boolean
}

const CLEANING_MS = 60_000
const maxPrepared = 32

// Waiting for native code happens in real time, whatever clock the program has been given.
const realClock = Clock.make()

const driverError = (cause: unknown): DriverError => ({
  _tag: "DriverError",
  message: cause instanceof Error ? cause.message : String(cause),
  cause
})

/** A call of DuckDB that is under way. */
interface Call {
  /** Monotonic milliseconds. */
  readonly until: number
  readonly interrupt: () => void
  isLate: boolean
}

/** How often it is looked for calls whose time is over; they are interrupted as often. */
const TICK_MS = 10

const native = <A>(
  calls: Set<Call>,
  connection: DuckDBConnection,
  leftMs: number,
  use: (connection: DuckDBConnection, cancelled: () => boolean) => Promise<A>
): Effect.Effect<A, DriverError | OutOfTime> =>
  Effect.async((resume) => {
    let settled = false
    let cancelled = false
    const call: Call = {
      until: unsafeMonotonicMillis(realClock) + leftMs,
      interrupt: () => connection.interrupt(),
      isLate: leftMs <= 0
    }
    calls.add(call)
    const settle = (outcome: Effect.Effect<A, DriverError | OutOfTime>) => {
      settled = true
      calls.delete(call)
      resume(call.isLate ? Effect.fail({ _tag: "OutOfTime" }) : outcome)
    }
    // Async, so that what is thrown at once arrives like what is thrown later.
    const run = async () => use(connection, () => cancelled || call.isLate)
    run().then(
      (value) => settle(Effect.succeed(value)),
      (cause: unknown) => settle(Effect.fail(driverError(cause)))
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

const slotOf = (calls: Set<Call>, tick: Effect.Effect<void>, connection: DuckDBConnection): Slot => {
  const statements = new Map<string, Prepared>()
  const slot: Slot = {
    connection,
    call: (leftMs, use) => Effect.zipRight(tick, native(calls, connection, leftMs, use)),
    dirty: false,
    finished: () => {
      slot.dirty = false
    },
    prepared: (key) => {
      const found = statements.get(key)
      if (found === undefined) return undefined
      statements.delete(key)
      statements.set(key, found)
      return found
    },
    keep: (key, prepared) => {
      statements.set(key, prepared)
      if (statements.size <= maxPrepared) return
      for (const [oldest, { statement }] of statements) {
        statements.delete(oldest)
        statement.destroySync()
        return
      }
    },
    searchPath: undefined
  }
  return slot
}

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
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        for (const slot of idle.splice(0)) slot.connection.disconnectSync()
      })
    )
    const background = yield* Effect.acquireRelease(Scope.make(), Scope.close)
    const calls = new Set<Call>()
    let isTicking = false
    // One clock for all calls: a timer and a fiber for each would cost more than most statements take.
    const ticks = Effect.gen(function* () {
      // It sleeps first: the call that it is begun for is there by then.
      do {
        yield* Effect.withClock(Effect.sleep(TICK_MS), realClock)
        const now = unsafeMonotonicMillis(realClock)
        for (const call of calls) {
          if (call.until > now) continue
          call.isLate = true
          call.interrupt()
        }
      } while (calls.size > 0)
      isTicking = false
    })
    const tick = Effect.suspend(() => {
      if (isTicking || closed) return Effect.void
      isTicking = true
      return Effect.asVoid(Effect.forkIn(ticks, background))
    })
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        closed = true
      })
    )

    const keep = (slot: Slot) =>
      Effect.sync(() => {
        if (closed || idle.length >= STATEMENTS) slot.connection.disconnectSync()
        else idle.push(slot)
      })

    const clean = (slot: Slot) =>
      Effect.flatMap(
        Effect.exit(slot.call(CLEANING_MS, (connection) => connection.run("SELECT 1"))),
        (exit) => (Exit.isSuccess(exit) ? keep(slot) : Effect.sync(() => slot.connection.disconnectSync()))
      )

    const take = Effect.suspend(() => {
      const slot = idle.pop()
      return slot === undefined
        ? Effect.map(Effect.tryPromise({ try: connect, catch: driverError }), (connection) =>
            slotOf(calls, tick, connection)
          )
        : Effect.succeed(slot)
    })

    return {
      acquire: Effect.acquireRelease(
        Effect.map(take, (slot) => {
          // Until the statement says that it has ended.
          slot.dirty = true
          return slot
        }),
        (slot) =>
          Effect.suspend(() => (slot.dirty && !closed ? Effect.forkIn(clean(slot), background) : keep(slot)))
      )
    }
  })
