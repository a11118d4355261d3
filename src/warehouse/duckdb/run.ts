/**
 * Runs one SELECT on one connection and hands on its rows, within the time the statement has.
 *
 * A result that its LIMIT keeps small is computed as a whole, which takes one call of DuckDB instead of three. For
 * others DuckDB's own streaming does the work: a chunk (2,048 rows at most) is computed when it is asked for, and
 * handed on in parts, so that of wide rows no more become JavaScript than are read. Two things it does
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
import { literal } from "../../sql/Identifier.js"
import type { Bind, Row } from "../Warehouse.js"
import type { Reader } from "./cells.js"
import type { DriverError, OutOfTime, Prepared, Session, Shape } from "./connections.js"

/**
 * @since 0.1.0
 * @category errors
 */
export type RunError = DriverError | OutOfTime

const unexplained: DriverError = {
  _tag: "DriverError",
  message: "The statement failed after its first rows.",
  cause: undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Running extends Shape {
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
  /** Rows that the statement itself has at most: its LIMIT. */
  readonly limit: number | undefined
}

/** By their numbers: DuckDB counts parameters in the order in which the text has them. */
const bind = (statement: DuckDb.DuckDBPreparedStatement, binds: ReadonlyArray<Bind>): void => {
  const values: { [name: string]: Bind } = {}
  for (let index = 1; index <= statement.parameterCount; index++) {
    const name = statement.parameterName(index)
    const value = binds[Number(name) - 1]
    if (value !== undefined) values[name] = value
  }
  statement.bind(values)
}

/** What is handed on at once: about so many bytes, and so many rows; or one row. */
const batchBytes = 128 * 1024
const batchRows = 500

/** A longer text is prepared anew each time. */
const longestKept = 8 * 1024

/** Rows of a result that is computed as a whole. */
const fewRows = 1_000

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
    const isSmall = run.limit !== undefined && run.limit <= fewRows

    /** Only the time that the warehouse works counts, not the time its rows wait to be read. */
    const timed = <A>(call: (leftMs: number) => Effect.Effect<A, RunError>): Effect.Effect<A, RunError> =>
      Effect.suspend(() => {
        const began = unsafeMonotonicMillis(clock)
        return Effect.ensuring(
          call(left),
          Effect.sync(() => {
            left -= unsafeMonotonicMillis(clock) - began
          })
        )
      })

    const prepare = async (connection: DuckDb.DuckDBConnection, sql: string): Promise<Prepared> => {
      const key = `${run.searchPath}\n${sql}`
      const kept = session.prepared(key)
      if (kept !== undefined) return kept
      const statements = await connection.extractStatements(sql)
      // The gate has seen to both already; the warehouse does not depend on it.
      if (statements.count !== 1) throw new Error("Parser Error: one statement at a time.")
      const statement = await statements.prepare(0)
      const kind = statement.statementType
      if (kind !== api.StatementType.SELECT && kind !== api.StatementType.EXPLAIN) {
        statement.destroySync()
        throw new Error("Permission Error: the embedded warehouse is read-only.")
      }
      const prepared = { statement, shape: undefined }
      if (sql.length <= longestKept) session.keep(key, prepared)
      return prepared
    }

    const execute = (sql: string) => (leftMs: number) =>
      session.call(leftMs, async (connection, cancelled) => {
        if (session.searchPath !== run.searchPath) {
          await connection.run(`SET search_path = ${literal(run.searchPath)}`)
          session.searchPath = run.searchPath
        }
        const prepared = await prepare(connection, sql)
        if (cancelled()) throw new Error("INTERRUPT Error: Interrupted!")
        if (run.binds.length > 0) bind(prepared.statement, run.binds)
        const whole = isSmall ? await prepared.statement.run() : undefined
        const result = whole ?? (await prepared.statement.stream())
        const shape = prepared.shape ?? { names: result.columnNames(), types: result.columnTypes() }
        if (run.binds.length === 0) prepared.shape = shape
        // A whole result holds nothing of the connection.
        if (whole !== undefined) session.finished()
        return { result, whole, shape }
      })

    /** Fails with the reason for which the statement broke off. */
    const diagnose: Effect.Effect<never, DriverError> = Effect.suspend(() =>
      execute(`SELECT max(hash(sg_all)) FROM (${run.sql}\n) AS sg_all`)(
        Math.max(1, Math.min(left, diagnosisMillis))
      ).pipe(
        Effect.zipRight(Effect.fail(unexplained)),
        // Not a reason of the statement's, which had been accepted, but of the text around it.
        Effect.mapError((error) =>
          error._tag === "OutOfTime" || /^(?:Parser|Binder|Catalog) Error/.test(error.message)
            ? unexplained
            : error
        )
      )
    )

    const { result, shape, whole } = yield* timed(execute(run.sql))
    let rowsLeft = run.maxRows ?? Number.POSITIVE_INFINITY
    let ended = false
    let chunk: DuckDb.DuckDBDataChunk | undefined
    let at = 0
    let chunks = 0

    const drop = () => {
      chunk?.reset()
      chunk = undefined
    }

    const batch = (reader: Reader, from: DuckDb.DuckDBDataChunk): ReadonlyArray<Row> => {
      const rows = reader.some(from, at, Math.min(rowsLeft, batchRows), batchBytes)
      at += rows.length
      rowsLeft -= rows.length
      if (at >= from.rowCount || rowsLeft <= 0) drop()
      return rows
    }

    const pull = (reader: Reader): Effect.Effect<ReadonlyArray<Row>, Option.Option<RunError>> =>
      Effect.suspend(() => {
        if (chunk !== undefined) return Effect.succeed(batch(reader, chunk))
        if (ended || rowsLeft <= 0) return Effect.fail(Option.none())
        if (whole !== undefined) {
          if (chunks >= whole.chunkCount) {
            ended = true
            return Effect.fail(Option.none())
          }
          chunk = whole.getChunk(chunks++)
          at = 0
          return Effect.succeed(batch(reader, chunk))
        }
        return timed((leftMs) => session.call(leftMs, () => result.fetchChunk())).pipe(
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

    const close = () => {
      drop()
      ended = true
    }

    return { ...shape, pull, close }
  })
