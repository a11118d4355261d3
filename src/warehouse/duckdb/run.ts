/**
 * Runs one SELECT on one connection and streams its rows, within the time the statement has.
 *
 * DuckDB's own streaming does the work: a chunk (2,048 rows at most) is computed when it is asked for, and
 * handed on in parts, so that of wide rows no more become JavaScript than somebody reads. Two things it does
 * not tell are found out here. A stream that breaks off ends like one that is complete, so the result is
 * asked for its type, which is then invalid; and the reason is found by running the
 * statement once more as a whole, inside an aggregate that keeps no rows.
 *
 * @since 0.1.0
 */
import type * as DuckDb from "@duckdb/node-api"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { unsafeMonotonicMillis } from "../../platform/monotonic.js"
import type { Bind, Row } from "../Warehouse.js"
import type { Reader } from "./cells.js"
import { weight } from "./cells.js"
import type { DriverError, Session } from "./connections.js"
import type { Pressure } from "./pressure.js"
import * as Widths from "./widths.js"

/**
 * @since 0.1.0
 * @category errors
 */
export type RunError = DriverError | { readonly _tag: "OutOfTime" }

const outOfTime: RunError = { _tag: "OutOfTime" }

const unexplained: DriverError = {
  _tag: "DriverError",
  message: "The statement failed after its first rows.",
  cause: undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Running {
  readonly names: ReadonlyArray<string>
  readonly types: ReadonlyArray<DuckDb.DuckDBType>
  /** The next rows, few where they are wide; fails with `None` at the end. */
  readonly pull: (reader: Reader) => Effect.Effect<ReadonlyArray<Row>, Option.Option<RunError>>
  /** Nothing more will be pulled. */
  readonly close: () => void
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Run {
  readonly sql: string
  readonly binds: ReadonlyArray<Bind>
  /** The value of DuckDB's `search_path`. */
  readonly searchPath: string
  readonly timeoutMs: number
  readonly maxRows: number | undefined
  readonly pressure: Pressure
  /** Bytes that a call may make when there are so many columns; undefined: it may not run. */
  readonly textBytes?: ((columns: number) => number | undefined) | undefined
}

const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`

/** What is handed on at once weighs about this much, or is one row. */
const batchBytes = 128 * 1024

/** Of each result, as measured with two threads: a chunk or two for each, and one that was fetched. */
const rowsWaiting = 5 * 2048
const worthCollecting = 8 * 1024 * 1024
const mostShown = 256 * 1024 * 1024

/** How long the reason of a broken stream may be looked for. */
const diagnosisMillis = 2000

/**
 * @since 0.1.0
 * @category running
 */
export const start = (api: typeof DuckDb, session: Session, run: Run): Effect.Effect<Running, RunError> =>
  Effect.gen(function* () {
    const clock = yield* Effect.clock
    let left = run.timeoutMs

    /** Only the time that the warehouse works counts, not the time its rows wait to be read. */
    const timed = <A>(call: Effect.Effect<A, DriverError>): Effect.Effect<A, RunError> =>
      Effect.suspend(() => {
        if (left <= 0) return Effect.fail(outOfTime)
        const began = unsafeMonotonicMillis(clock)
        return run.pressure.watch(call).pipe(
          Effect.timeoutFail({ duration: left, onTimeout: () => outOfTime }),
          Effect.ensuring(
            Effect.sync(() => {
              left -= unsafeMonotonicMillis(clock) - began
            })
          )
        )
      })

    const prepare = async (connection: DuckDb.DuckDBConnection, sql: string) => {
      const statements = await connection.extractStatements(sql)
      // The guard has seen to both already; the warehouse does not depend on it.
      if (statements.count !== 1) throw new Error("Parser Error: one statement at a time.")
      return statements.prepare(0)
    }

    /** What calls may make depends on how many columns there are, which is known once it is prepared. */
    const bound = async (
      connection: DuckDb.DuckDBConnection,
      sql: string,
      textBytes: NonNullable<Run["textBytes"]>
    ) => {
      const statement = await prepare(connection, sql)
      const most = textBytes(statement.columnCount)
      statement.destroySync()
      if (most === undefined) throw new Error(`Invalid Input Error: ${Widths.complaint}`)
      await connection.run(`SET VARIABLE ${Widths.variable} = ${most}`)
    }

    const execute = (sql: string) =>
      session.call(async (connection, cancelled) => {
        if (session.searchPath !== run.searchPath) {
          await connection.run(`SET search_path = ${literal(run.searchPath)}`)
          session.searchPath = run.searchPath
        }
        if (run.textBytes !== undefined) await bound(connection, sql, run.textBytes)
        const statement = await prepare(connection, sql)
        try {
          const kind = statement.statementType
          if (kind !== api.StatementType.SELECT && kind !== api.StatementType.EXPLAIN) {
            throw new Error("Permission Error: the embedded warehouse is read-only.")
          }
          if (cancelled()) throw new Error("INTERRUPT Error: Interrupted!")
          statement.bind([...run.binds])
          return await statement.stream()
        } finally {
          statement.destroySync()
        }
      })

    /** Fails with the reason for which the statement broke off. */
    const diagnose: Effect.Effect<never, DriverError> = Effect.suspend(() =>
      execute(`SELECT max(hash(sg_all)) FROM (${run.sql}\n) AS sg_all`).pipe(
        Effect.timeoutOption(Math.max(1, Math.min(left, diagnosisMillis))),
        Effect.zipRight(Effect.fail(unexplained)),
        // Not a reason of the statement's, which had been accepted, but of the text around it.
        Effect.mapError((error) =>
          /^(?:Parser|Binder|Catalog) Error/.test(error.message) ? unexplained : error
        )
      )
    )

    const result = yield* timed(execute(run.sql))
    let rowsLeft = run.maxRows ?? Number.POSITIVE_INFINITY
    let ended = false
    let chunk: DuckDb.DuckDBDataChunk | undefined
    let at = 0

    let rowBytes = 0

    const drop = () => {
      chunk?.reset()
      chunk = undefined
    }

    /**
     * What DuckDB has computed and nobody has read goes with the result, which only the collector frees, and
     * which weighs nothing as far as that can see. So it is shown something of the same weight.
     */
    const close = () => {
      drop()
      const unread = ended ? 0 : rowBytes * rowsWaiting
      ended = true
      if (unread > worthCollecting) new ArrayBuffer(Math.min(unread, mostShown))
    }

    const batch = (reader: Reader, from: DuckDb.DuckDBDataChunk): ReadonlyArray<Row> => {
      const rows = reader.some(from, at, rowsLeft, batchBytes)
      at += rows.length
      rowsLeft -= rows.length
      rowBytes = rows.at(-1)?.reduce<number>((sum, cell) => sum + weight(cell), 0) ?? 0
      if (at >= from.rowCount || rowsLeft <= 0) drop()
      return rows
    }

    const pull = (reader: Reader): Effect.Effect<ReadonlyArray<Row>, Option.Option<RunError>> =>
      Effect.suspend(() => {
        if (chunk !== undefined) return Effect.succeed(batch(reader, chunk))
        if (ended || rowsLeft <= 0) return Effect.fail(Option.none())
        return timed(session.call(() => result.fetchChunk())).pipe(
          Effect.mapError(Option.some),
          Effect.flatMap((next) => {
            if (next !== null && next.rowCount > 0) {
              chunk = next
              at = 0
              return Effect.succeed(batch(reader, next))
            }
            ended = true
            if (result.returnType === api.ResultReturnType.INVALID) {
              return Effect.mapError(diagnose, Option.some)
            }
            session.finished()
            return Effect.fail(Option.none())
          })
        )
      })

    return { names: result.columnNames(), types: result.columnTypes(), pull, close }
  })
