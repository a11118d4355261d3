/**
 * The rows of a statement that has ended, pulled part by part.
 *
 * The driver hands over what the server sent and converts nothing: its own conversions lose digits, run
 * values as code and crash the process on what they do not expect. It also swallows some of its failures,
 * so a wait for the next part ends after `fetchMs`.
 *
 * @since 0.1.0
 */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { Cell, Column, Result, Row } from "../../Warehouse.js"
import { WarehouseError } from "../../Warehouse.js"
import { converter, typeName } from "./cells.js"
import type { Convert } from "./cells.js"
import type { DriverColumn, DriverStatement } from "./driver.js"
import { failure } from "./session.js"
import * as Wire from "./wire.js"

/** Rows of one chunk of the stream at most. */
const CHUNK_ROWS = 1_000

/**
 * Where the rows come from; `stream` is set by the first pull.
 *
 * @since 0.1.0
 * @category models
 */
export interface Source {
  readonly task: Wire.Task
  readonly statement: DriverStatement | undefined
  stream: ReturnType<DriverStatement["streamRows"]> | undefined
  /** Nobody reads any more. */
  readonly closed: boolean
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Limits {
  /** Milliseconds between two parts, at most. */
  readonly fetchMs: number
  readonly maxRows: number | undefined
  /** The first row that is wanted, counted from 0; parts before it are not fetched. */
  readonly offset?: number | undefined
}

const info = (column: DriverColumn) => ({
  type: column.getType(),
  scale: column.getScale(),
  precision: column.getPrecision()
})

/** From here on the driver hands over what it received, and converts nothing. */
const raw = (columns: ReadonlyArray<DriverColumn>): void => {
  columns.forEach((column, index) => {
    column._getRowValue = (row) => row.values[index] ?? null
  })
}

const reader =
  (converters: ReadonlyArray<Convert>) =>
  (values: unknown): Row =>
    converters.map((convert, index): Cell => {
      const value: unknown = Array.isArray(values) ? values[index] : null
      if (value === null || value === undefined) return null
      return convert(typeof value === "string" ? value : String(value))
    })

type Pull = Effect.Effect<Chunk.Chunk<ReadonlyArray<Row>>, Option.Option<WarehouseError>>

const cancelled = new WarehouseError({
  reason: "Cancelled",
  description: "The statement was cancelled.",
  sent: "yes"
})

/**
 * Pulls what is there, or waits for it. The driver swallows some of its own failures, so waiting ends.
 */
const pull = (source: Source, limits: Limits, convert: (values: unknown) => Row): Pull => {
  const { task } = source
  const none: Option.Option<WarehouseError> = Option.none()
  let state: "open" | "ended" | WarehouseError = "open"
  let wake: () => void = () => undefined

  const begin = (statement: DriverStatement) => {
    const { maxRows, offset } = limits
    const stream = Wire.run(task, () =>
      offset === undefined
        ? statement.streamRows()
        : statement.streamRows({
            start: offset,
            ...(maxRows === undefined ? {} : { end: offset + Math.max(maxRows, 1) - 1 })
          })
    )
    source.stream = stream
    const settle = (next: typeof state) => () => {
      if (state === "open") state = next
      wake()
    }
    stream.on("end", settle("ended"))
    stream.on("close", settle(cancelled))
    stream.on("error", (error: unknown) => settle(failure(error, "fetch"))())
    stream.on("readable", () => wake())
    return stream
  }

  const take = (stream: NodeJS.ReadableStream): Array<Row> =>
    Wire.run(task, () => {
      const rows: Array<Row> = []
      while (rows.length < CHUNK_ROWS) {
        const row: unknown = stream.read()
        if (row === null) break
        rows.push(convert(row))
      }
      return rows
    })

  const next: Pull = Effect.async<Chunk.Chunk<ReadonlyArray<Row>>, Option.Option<WarehouseError>>(
    (resume) => {
      const look = () => {
        // Looking takes rows, so nobody may look again once they have been handed over.
        wake = () => undefined
        if (source.closed) return resume(Effect.fail(Option.some(cancelled)))
        const { statement } = source
        if (statement === undefined) return resume(Effect.fail(none))
        const rows = take(source.stream ?? begin(statement))
        if (rows.length > 0) return resume(Effect.succeed(Chunk.of(rows)))
        if (state === "ended") return resume(Effect.fail(none))
        if (state !== "open") return resume(Effect.fail(Option.some(state)))
        wake = look
      }
      look()
      return Effect.sync(() => {
        wake = () => undefined
      })
    }
  )
  return next.pipe(
    Effect.timeoutFail({
      duration: limits.fetchMs,
      onTimeout: () =>
        Option.some(
          new WarehouseError({
            reason: "Unreachable",
            description: `A part of the result did not arrive within ${limits.fetchMs / 1000} seconds.`,
            sent: "yes",
            queryId: source.statement?.getQueryId()
          })
        )
    })
  )
}

const rowsOf = (source: Source, limits: Limits, columns: ReadonlyArray<DriverColumn>) => {
  raw(columns)
  const convert = reader(columns.map((column) => converter(info(column))))
  const pulled = Stream.repeatEffectChunkOption(pull(source, limits, convert))
  const { maxRows } = limits
  if (maxRows === undefined) return pulled
  // Whole chunks are handed on, and the last one is cut.
  return pulled.pipe(
    Stream.mapAccum(maxRows, (left, rows) => [left - rows.length, rows.slice(0, Math.max(left, 0))] as const),
    Stream.takeWhile((rows) => rows.length > 0)
  )
}

/**
 * The result of a statement that has ended: its rows come as they are pulled.
 *
 * @since 0.1.0
 * @category constructors
 */
export const resultOf = (
  statement: DriverStatement,
  source: Source,
  limits: Limits
): Effect.Effect<Result, WarehouseError> => {
  const queryId = statement.getQueryId()
  const driverColumns = statement.getColumns()
  if (driverColumns === undefined) {
    return new WarehouseError({
      reason: "Protocol",
      description: "It answered without a result.",
      sent: "yes",
      queryId
    })
  }
  const columns = driverColumns.map((column): Column => ({
    name: column.getName(),
    type: typeName(info(column)),
    nullable: column.isNullable()
  }))
  return Effect.succeed({ queryId: queryId ?? "", columns, rows: rowsOf(source, limits, driverColumns) })
}
