/**
 * The rows of a statement that has ended: those in the answer, then part by part as they are pulled.
 *
 * A part is a stream that is cut into rows while it arrives: what is not wanted is not downloaded, and neither
 * the size of a part nor the number of parts decides how much memory a result takes. What was declared is held
 * against what arrives; a part that is not what it should be fails, and is never served as if it were whole.
 */
import type { Readable } from "node:stream"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { monotonicReader, withNow } from "../../platform/monotonic.js"
import type { Column, Result, Row } from "../Warehouse.js"
import { WarehouseError } from "../Warehouse.js"
import type { Answer } from "./answer.js"
import { converter, typeName } from "./cells.js"
import type { Convert } from "./cells.js"
import { classifyPart, isDefect } from "./classify.js"
import type { DriverStatement } from "./driver.js"
import { Malformed, splitter } from "./parts.js"
import * as Wire from "./wire.js"

/** Rows of one chunk of the stream, and characters that they are read from: no more pieces are added to as many. */
const CHUNK_ROWS = 1_000
const CHUNK_LENGTH = 256 * 1024

interface Limits {
  /** Milliseconds without anything of a part arriving, at most. */
  readonly fetchMs: number
  readonly maxRows: number | undefined
  /** The first row that is wanted, counted from 0; parts before it are not fetched. */
  readonly offset?: number | undefined
}

const protocol = (description: string, queryId: string | undefined): WarehouseError =>
  new WarehouseError({ reason: "Protocol", description, sent: "yes", queryId })

/** Makes rows of what travelled as rows; throws {@link Malformed} at one that is of another shape. */
const reader = (converters: ReadonlyArray<Convert>) => {
  const cell = (value: unknown, index: number) => {
    if (value === null || value === undefined) return null
    if (typeof value === "object") throw new Malformed("a cell that is no text")
    return converters[index]!(typeof value === "string" ? value : String(value))
  }
  return (row: unknown): Row => {
    if (!Array.isArray(row) || row.length !== converters.length) {
      throw new Malformed("rows of another shape than its columns")
    }
    return row.map(cell)
  }
}

interface Reading {
  readonly task: Wire.Task
  readonly limits: Limits
  readonly headers: Answer["headers"]
  readonly queryId: string | undefined
  readonly read: (row: unknown) => Row
}

/** Nothing more is handed over once the statement has been given up. */
const givenUp = ({ queryId }: Reading): WarehouseError =>
  new WarehouseError({
    reason: "Cancelled",
    description: "The statement was cancelled.",
    sent: "yes",
    queryId
  })

type Rows = Stream.Stream<ReadonlyArray<Row>, WarehouseError>

/** A mistake of ours is a defect; everything else came with the part, or on its way. */
const failed = (
  { queryId }: Pick<Reading, "queryId">,
  thrown: unknown
): Effect.Effect<never, WarehouseError> => {
  if (thrown instanceof WarehouseError) return Effect.fail(thrown)
  if (thrown instanceof Malformed) return protocol(`A part of the result holds ${thrown.message}.`, queryId)
  return isDefect(thrown) ? Effect.die(thrown) : new WarehouseError({ ...classifyPart(thrown), queryId })
}

/** Part of what a statement's result is made of, with the window of it that is wanted. */
interface Segment {
  readonly rows: number
  readonly from: number
  /** Behind the last row that is wanted. */
  readonly to: number
}

/** The body, until the scope closes. The request ends with it, and with the task. */
const open = ({ headers, task }: Reading, url: string): Effect.Effect<Readable, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    const ending = yield* Effect.acquireRelease(
      Effect.sync(() => new AbortController()),
      (controller) => Effect.sync(() => controller.abort(Wire.ended))
    )
    const body = yield* Effect.tryPromise({
      try: () => task.open({ url, headers, signal: ending.signal }),
      catch: (thrown) => thrown
    })
    // Ended by us without a reader: no error to report.
    body.on("error", () => undefined)
    return body.setEncoding("utf8")
  })

/** Ends a part of which nothing has arrived for too long while it was waited for. */
const watchdog = (
  fetchMs: number,
  waits: { since: number | undefined },
  silent: () => void
): Effect.Effect<void> =>
  withNow((now) => {
    const leftMs = waits.since === undefined ? fetchMs : waits.since + fetchMs - now
    return leftMs > 0
      ? Effect.delay(
          Effect.suspend(() => watchdog(fetchMs, waits, silent)),
          leftMs
        )
      : Effect.sync(silent)
  })

const partRows = (reading: Reading, url: string, segment: Segment): Rows => {
  const { limits, queryId, read, task } = reading
  const late = () =>
    new WarehouseError({
      reason: "Unreachable",
      description: `A part of the result did not arrive within ${limits.fetchMs / 1000} seconds.`,
      sent: "yes",
      queryId
    })
  return Stream.unwrapScoped(
    Effect.gen(function* () {
      const body = yield* Effect.timeoutFail(
        Effect.catchAll(open(reading, url), (thrown) => failed(reading, thrown)),
        { duration: limits.fetchMs, onTimeout: late }
      )
      const now = yield* monotonicReader
      const waits: { since: number | undefined } = { since: undefined }
      yield* Effect.forkScoped(
        Effect.interruptible(watchdog(limits.fetchMs, waits, () => body.destroy(late())))
      )
      const pieces: AsyncIterator<unknown> = body[Symbol.asyncIterator]()
      const split = splitter()
      let seen = 0
      const taken = (text: string): ReadonlyArray<Row> => {
        const rows = split.push(text)
        const from = seen
        seen += rows.length
        if (seen > segment.rows) throw new Malformed(`more than the ${segment.rows} rows that were declared`)
        // The others are looked at too: whether they are rows is known of all or of none.
        return rows.map(read).slice(Math.max(segment.from - from, 0), Math.max(segment.to - from, 0))
      }
      /** Pieces are small: an effect for each of them costs more than its rows. */
      const several = async (): Promise<ReadonlyArray<Row>> => {
        const chunk: Array<Row> = []
        let length = 0
        while (!isOver && chunk.length < CHUNK_ROWS && length < CHUNK_LENGTH && !hasAll()) {
          waits.since = now()
          const piece = await pieces.next()
          waits.since = undefined
          if (piece.done === true) {
            isOver = true
            split.end()
            if (seen !== segment.rows) {
              throw new Malformed(`${seen} rows where ${segment.rows} were declared`)
            }
          } else {
            const text = String(piece.value)
            length += text.length
            for (const row of taken(text)) chunk.push(row)
          }
        }
        return chunk
      }
      let isOver = false
      // The end is waited for only by a consumer that reads to the end: that is when the number of rows is known.
      const hasAll = () => segment.to < segment.rows && seen >= segment.to
      const next = Effect.catchAll(Effect.tryPromise({ try: several, catch: (thrown) => thrown }), (thrown) =>
        failed(reading, thrown)
      )
      const pull = Effect.suspend(() => {
        if (isOver || hasAll()) return Effect.fail(Option.none())
        return Effect.mapError(task.signal.aborted ? givenUp(reading) : next, Option.some)
      })
      return Stream.filter(Stream.repeatEffectOption(pull), (rows) => rows.length > 0)
    })
  )
}

const inlineRows = (
  reading: Reading,
  rowset: ReadonlyArray<unknown>,
  { from, to }: Pick<Segment, "from" | "to">
): Effect.Effect<ReadonlyArray<Row>, WarehouseError> =>
  Effect.suspend((): Effect.Effect<ReadonlyArray<Row>, WarehouseError> => {
    if (reading.task.signal.aborted) return givenUp(reading)
    try {
      return Effect.succeed(rowset.slice(from, to).map(reading.read))
    } catch (thrown) {
      return failed(reading, thrown)
    }
  })

const inlineChunks = (reading: Reading, rowset: ReadonlyArray<unknown>, { from, to }: Segment): Rows =>
  Stream.unfoldEffect(from, (at) => {
    const end = Math.min(at + CHUNK_ROWS, to)
    return at >= to
      ? Effect.succeedNone
      : Effect.map(inlineRows(reading, rowset, { from: at, to: end }), (rows) => Option.some([rows, end]))
  })

const rowsOf = (reading: Reading, { parts, rowset }: Answer): Pick<Result, "rows" | "whole"> => {
  const { maxRows, offset = 0 } = reading.limits
  const end = maxRows === undefined ? Number.POSITIVE_INFINITY : offset + maxRows
  let before = 0
  const windowOf = (rows: number): Segment => {
    const from = Math.min(Math.max(offset - before, 0), rows)
    const to = Math.min(Math.max(end - before, 0), rows)
    before += rows
    return { rows, from, to }
  }
  const inline = windowOf(rowset.length)
  const others = parts
    .map(({ rowCount, url }) => ({ url, segment: windowOf(rowCount) }))
    .filter(({ segment: { from, to } }) => from < to)
  const rows = Stream.concat(
    inlineChunks(reading, rowset, inline),
    Stream.flatMap(Stream.fromIterable(others), ({ segment, url }) => partRows(reading, url, segment))
  )
  return others.length > 0 || inline.to - inline.from > CHUNK_ROWS
    ? { rows }
    : { rows, whole: inlineRows(reading, rowset, inline) }
}

/**
 * The result of a statement that has ended: its rows come as they are pulled, until the task is ended.
 */
export const resultOf = (
  statement: DriverStatement,
  task: Wire.Task,
  limits: Limits
): Effect.Effect<Result, WarehouseError> => {
  const queryId = statement.getQueryId()
  const { answer } = task
  if (answer === undefined) return protocol("It answered without a result.", queryId)
  const { headers, parts, returned, rowset } = answer
  const held = parts.reduce((sum, part) => sum + part.rowCount, rowset.length)
  if (returned !== undefined && returned !== held) {
    return protocol(`Its answer says that it has ${returned} rows and has ${held}.`, queryId)
  }
  const columns = answer.columns.map((column): Column => ({
    name: column.name,
    type: typeName(column),
    nullable: column.nullable ?? true
  }))
  const reading: Reading = { task, limits, headers, queryId, read: reader(answer.columns.map(converter)) }
  return Effect.succeed({ queryId: queryId ?? "", columns, ...rowsOf(reading, answer) })
}
