/**
 * Results kept for a while, so that they can be read on without running the statement again: what
 * Snowflake does on its side. Bounded in bytes, in number and in time.
 *
 * A result is pulled into memory before its first row is handed on, as far as it may be kept; what is
 * beyond that is still streamed to the first reader.
 *
 * Invariants
 *  - What is kept and what is just being pulled take `maxBytes` together: pulling makes room, and stops
 *    where there is none.
 *  - The client that holds most makes room: a client that holds little loses nothing to one that holds much.
 *
 * @since 0.1.0
 */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Lru from "../../platform/core/Lru.js"
import * as ResultShape from "../../platform/core/ResultShape.js"
import { monotonicMillis, withNow } from "../../platform/monotonic.js"
import type { Column, Result, Row } from "../Warehouse.js"
import { WarehouseError } from "../Warehouse.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Bytes of JSON of all results together. */
  readonly maxBytes: number
  readonly maxEntries: number
  /** Bytes of JSON of one result. */
  readonly maxResultBytes: number
  readonly lifeMs: number
}

/**
 * @since 0.1.0
 * @category models
 */
export const defaults: Options = {
  maxBytes: 32 * 1024 * 1024,
  maxEntries: 100,
  maxResultBytes: 8 * 1024 * 1024,
  lifeMs: 600_000
}

interface Entry {
  readonly columns: ReadonlyArray<Column>
  readonly rows: ReadonlyArray<Row>
  /** Nothing was left out. */
  readonly complete: boolean
  readonly expires: number
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Spool {
  /** The same result, of which the first `rows` are kept, on account of `owner`. */
  readonly keep: (
    result: Result,
    rows: number,
    owner?: string
  ) => Effect.Effect<Result, WarehouseError, Scope.Scope>
  readonly fetch: (queryId: string, offset: number) => Effect.Effect<Result, WarehouseError>
}

const expired = (queryId: string, description: string): WarehouseError =>
  new WarehouseError({ reason: "ResultExpired", description, sent: "no", queryId })

const CHUNK = 2048

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = defaults): Spool => {
  const owners = new Map<string, Lru.Lru<Entry>>()
  const ownerOf = new Map<string, string>()
  /** Bytes that are being pulled and not kept yet. */
  let pulled = 0

  const forget = (queryId: string) => {
    const owner = ownerOf.get(queryId)
    const entries = owner === undefined ? undefined : owners.get(owner)
    ownerOf.delete(queryId)
    if (owner === undefined || entries === undefined) return
    Lru.remove(entries, queryId)
    if (Lru.size(entries) === 0) owners.delete(owner)
  }

  /** Forgets until there is room for `entries` more; false when nothing is left to forget. */
  const makeRoom = (entries: number): boolean => {
    for (;;) {
      let bytes = pulled
      let largest: Lru.Lru<Entry> | undefined
      for (const own of owners.values()) {
        bytes += own.bytes
        if (largest === undefined || own.bytes > largest.bytes) largest = own
      }
      if (bytes <= options.maxBytes && ownerOf.size + entries <= options.maxEntries) return true
      const oldest = largest?.entries.keys().next()
      if (oldest === undefined || oldest.done === true) return false
      forget(oldest.value)
    }
  }

  /** Its bytes count as pulled until it is in: room is made for them. */
  const put = (queryId: string, owner: string, entry: Entry, bytes: number): boolean => {
    forget(queryId)
    if (!makeRoom(1)) return false
    const entries = owners.get(owner) ?? Lru.make<Entry>(options)
    if (!Lru.set(entries, queryId, entry, bytes)) return false
    owners.set(owner, entries)
    ownerOf.set(queryId, owner)
    return true
  }

  const limitsOf = (maxRows: number): ResultShape.Limits => ({
    maxRows,
    maxBytes: options.maxResultBytes,
    maxCellBytes: options.maxResultBytes
  })

  /** What is here already takes memory until it has been read, kept or not: no account is needed of it. */
  const keepWhole = (
    result: Result,
    whole: NonNullable<Result["whole"]>,
    most: number,
    owner: string
  ): Effect.Effect<Result, WarehouseError> =>
    Effect.flatMap(whole, (all) =>
      withNow((now) => {
        const shape = ResultShape.push(ResultShape.start(limitsOf(most)), all)
        const { columns, queryId } = result
        const complete = shape.truncated === undefined
        const entry: Entry = {
          columns,
          rows: ResultShape.rows(shape),
          complete,
          expires: now + options.lifeMs
        }
        pulled += shape.bytes
        put(queryId, owner, entry, shape.bytes)
        pulled -= shape.bytes
        return Effect.succeed({ queryId, columns, rows: Stream.make(all), whole: Effect.succeed(all) })
      })
    )

  const pullAndKeep = (
    result: Result,
    most: number,
    owner: string
  ): Effect.Effect<Result, WarehouseError, Scope.Scope> =>
    Effect.suspend(() => {
      let own = 0
      const takes = (bytes: number) => {
        pulled += bytes - own
        own = bytes
      }
      const takesNone = Effect.sync(() => takes(0))
      const kept = Effect.gen(function* () {
        const pull = yield* Stream.toPull(result.rows)
        const limits = limitsOf(most)
        let shape = ResultShape.start(limits)
        const chunks: Array<ReadonlyArray<Row>> = []
        let ended = false
        let room = true
        while (!ended && room && shape.truncated === undefined) {
          const next = yield* Effect.either(pull)
          if (Either.isLeft(next)) {
            if (Option.isSome(next.left)) return yield* Effect.fail(next.left.value)
            ended = true
          } else {
            const arrived = Chunk.toReadonlyArray(next.right)
            chunks.push(...arrived)
            for (const rows of arrived) shape = ResultShape.push(shape, rows)
            takes(shape.bytes)
            room = makeRoom(0)
          }
        }
        const complete = ended && shape.truncated === undefined
        const rows = ResultShape.rows(shape)
        const expires = (yield* monotonicMillis) + options.lifeMs
        const entry: Entry = { columns: result.columns, rows, complete, expires }
        if (put(result.queryId, owner, entry, shape.bytes)) takes(0)
        const arrived = Stream.fromIterable(chunks)
        return {
          ...result,
          rows: ended ? arrived : Stream.concat(arrived, Stream.repeatEffectChunkOption(pull))
        }
      })
      // The scope of one that fails may go on: the statement is run again.
      return Effect.zipRight(
        Effect.addFinalizer(() => takesNone),
        Effect.onError(kept, () => takesNone)
      )
    })

  const keep: Spool["keep"] = (result, most, owner = "") =>
    result.whole === undefined
      ? pullAndKeep(result, most, owner)
      : keepWhole(result, result.whole, most, owner)

  const fetch: Spool["fetch"] = (queryId, offset) =>
    Effect.flatMap(monotonicMillis, (now) => {
      const entries = owners.get(ownerOf.get(queryId) ?? "")
      const entry = entries === undefined ? undefined : Lru.get(entries, queryId)
      if (entry === undefined || entry.expires <= now) {
        forget(queryId)
        return expired(queryId, "The result is not kept any more.")
      }
      if (offset >= entry.rows.length && !entry.complete) {
        return expired(queryId, `Only the first ${entry.rows.length} rows of the result were kept.`)
      }
      const chunks = function* () {
        for (let at = offset; at < entry.rows.length; at += CHUNK) yield entry.rows.slice(at, at + CHUNK)
      }
      return Effect.succeed({
        queryId,
        columns: entry.columns,
        rows: Stream.fromIterable({ [Symbol.iterator]: chunks }),
        ...(entry.complete ? {} : { partial: true })
      })
    })

  return { keep, fetch }
}
