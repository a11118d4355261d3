/**
 * Runs one statement inside an attempt of the guard and keeps as much of its result as the caller may
 * have. Rows are pulled: when enough is there the scope closes, which cancels the rest in the warehouse.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as ResultShape from "../platform/core/ResultShape.js"
import type { Attempt } from "../guard/Guard.js"
import { spans } from "../observe/Telemetry.js"
import type { Cell, Column, Result, Row, Statement, Stored, Warehouse } from "../warehouse/Warehouse.js"
import { WarehouseError } from "../warehouse/Warehouse.js"
import { CurrentNotes } from "./callNotes.js"

/** A result that has been made already, to be read on. */
export type Kept = Pick<Stored, "queryId" | "offset" | "tag" | "waiting">

export interface Request {
  readonly statement: Omit<Statement, "requestId" | "timeoutMs" | "maxRows"> | Kept
  /** Milliseconds the statement may run; less when the attempt has less. */
  readonly timeoutMs: number
  /** Milliseconds of the attempt that are left for the warehouse to say that the time is over; 0 when absent. */
  readonly graceMs?: number | undefined
  /** Rows returned at most; one more is asked for, to know whether there are more. */
  readonly maxRows: number
  readonly maxBytes: number
  /** Bytes of one cell at most; see {@link cellLimit} when absent. */
  readonly maxCellBytes?: number | undefined
  /** Keep only these columns, by name and in this order; one that the result does not have is NULL. */
  readonly pick?: ReadonlyArray<string> | undefined
  /** Leave out the other rows, as picked; they count for nothing. */
  readonly keep?: ((row: Row) => boolean) | undefined
  /** What is made of a picked row, and the names and bounds of what it then holds. */
  readonly into?: Into | undefined
  /** What the statement will scan is held for it. */
  readonly scans?: boolean | undefined
  /** Position among the statements of the same attempt, from 0. */
  readonly part?: number | undefined
}

export interface Into {
  readonly names: ReadonlyArray<string>
  readonly row: (row: Row) => Row
  /** Bytes of a cell at most, where a column has less than the others. */
  readonly columnBytes?: ReadonlyArray<number | undefined>
}

export interface Collected {
  readonly queryId: string
  readonly columns: ReadonlyArray<Column>
  readonly rows: ReadonlyArray<Row>
  readonly cutCells: number
  /** Bytes of JSON of the rows. */
  readonly bytes: number
  /** Rows that arrived, also those that were left out, and the last of them as picked. */
  readonly arrived: number
  readonly last: Row | undefined
  /** There were more rows, of which nobody has kept any. */
  readonly partial: boolean
  /** `quota`: the bytes ended where a quota ends, not where the tier's limit does. */
  readonly truncated: { readonly reason: "rows" | "bytes" | "quota"; readonly limit: number } | undefined
}

/** A cell may take a quarter of the result, and never more than fits the attention of a reader. */
export const cellLimit = (maxBytes: number): number => Math.min(32 * 1024, Math.floor(maxBytes / 4))

/**
 * The id of the n-th statement of an attempt. Statements of one attempt must not share an id: the
 * warehouse would answer the second with the result of the first. It stays the same over retries and
 * cannot meet another call's: those differ in their other digits.
 */
export const partId = (requestId: string, part: number): string => {
  if (part === 0) return requestId
  const version = 14
  return /^[0-9a-f]{8}-[0-9a-f]{4}-4/.test(requestId) && part < 12
    ? requestId.slice(0, version) + (4 + part).toString(16) + requestId.slice(version + 1)
    : `${requestId}-${part}`
}

const picker = (columns: ReadonlyArray<Column>, pick: ReadonlyArray<string> | undefined) => {
  if (pick === undefined) return undefined
  const names = columns.map((column) => column.name.toLowerCase())
  const positions = pick.map((name) => names.indexOf(name))
  return (row: Row): Row => positions.map((at): Cell => (at < 0 ? null : (row[at] ?? null)))
}

/** `"name":` for each cell of a row that becomes an object; a NULL is left out of it, with its comma. */
const keyBytes = (names: ReadonlyArray<string>): ((row: Row) => number) => {
  const bytes = names.map((name) => ResultShape.jsonStringBytes(name) + 1)
  const omitted = -"null,".length
  return (row) => row.reduce<number>((sum, cell, at) => sum + (cell === null ? omitted : (bytes[at] ?? 0)), 0)
}

const limitsOf = (request: Request, attempt: Attempt): ResultShape.Limits => ({
  maxRows: request.maxRows,
  maxBytes: Math.min(request.maxBytes, attempt.bytesLeft),
  maxCellBytes: request.maxCellBytes ?? cellLimit(request.maxBytes),
  columnBytes: request.into?.columnBytes,
  rowOverheadBytes: request.pick === undefined ? undefined : keyBytes(request.into?.names ?? request.pick)
})

const fetch = (
  { results }: Context.Tag.Service<Warehouse>,
  stored: Stored
): Effect.Effect<Result, WarehouseError, Scope.Scope> =>
  results === undefined
    ? new WarehouseError({
        reason: "ResultExpired",
        description: "This warehouse keeps no results.",
        sent: "no"
      })
    : results.fetch(stored)

export const collect = Effect.fnUntraced(
  function* (
    warehouse: Context.Tag.Service<Warehouse>,
    attempt: Attempt,
    request: Request
  ): Effect.fn.Return<Collected, WarehouseError, Scope.Scope> {
    const notes = yield* CurrentNotes
    const part = request.part ?? 0
    if ("sql" in request.statement) notes.sent(part, request.statement.sql)
    const { beginScan = Effect.void, markSent } = attempt
    const sent = Effect.zipRight(
      Effect.sync(() => notes.submitted()),
      markSent
    )
    const onSubmit = request.scans === true ? Effect.zipRight(sent, beginScan) : sent
    // A warehouse that does not say when the statement leaves may be sending it from here on.
    if (warehouse.reportsSubmit !== true) yield* onSubmit
    const { statement } = request
    const most = Math.max(request.maxRows, "sql" in statement ? (statement.keepRows ?? 0) : 0)
    const bounds = {
      // It is the warehouse that ends a statement which takes too long: it says more about it than we can.
      timeoutMs: Math.max(1, Math.min(request.timeoutMs, attempt.timeoutMs - (request.graceMs ?? 0))),
      // How many rows will have to be read for that many to be kept is not known.
      ...(request.keep === undefined ? { maxRows: most + 1 } : {}),
      requestId: partId(attempt.requestId, part),
      ...(warehouse.reportsSubmit === true ? { onSubmit } : {}),
      ...(attempt.cancelled === undefined ? {} : { onCancelled: attempt.cancelled })
    }
    const result = yield* "sql" in statement
      ? warehouse.execute({ ...statement, ...bounds })
      : fetch(warehouse, { ...statement, ...bounds })
    const pick = picker(result.columns, request.pick)
    const described = result.columns.map(({ name, type }) => ({ name, type }))
    let shape = ResultShape.start(limitsOf(request, attempt), pick === undefined ? described : [])
    let arrived = 0
    let last: Row | undefined
    yield* attempt.addBytes(shape.bytes)
    yield* Stream.runForEachWhile(result.rows, (chunk) => {
      const before = shape.bytes
      const picked = pick === undefined ? chunk : chunk.map(pick)
      arrived += picked.length
      last = picked.at(-1)
      const kept = request.keep === undefined ? picked : picked.filter(request.keep)
      shape = ResultShape.push(shape, request.into === undefined ? kept : kept.map(request.into.row))
      return Effect.as(attempt.addBytes(shape.bytes - before), shape.truncated === undefined)
    })
    const { cutCells, truncated } = shape
    const rows = ResultShape.rows(shape)
    notes.received(part, { queryId: result.queryId, rows: rows.length, bytes: shape.bytes })
    const byQuota = truncated?.reason === "bytes" && attempt.bytesLeft < request.maxBytes
    return {
      queryId: result.queryId,
      columns: result.columns,
      rows,
      cutCells,
      bytes: shape.bytes,
      arrived,
      last,
      partial: truncated === undefined && result.partial === true,
      truncated: byQuota ? { reason: "quota", limit: truncated.limit } : truncated
    }
  },
  Effect.scoped,
  Effect.withSpan(spans.statement, { kind: "client", captureStackTrace: false })
)
