/**
 * Operations on the usage of quotas: show, export, reset. On any {@link QuotaStore}; the result is text to print.
 *
 * Only `reset` changes the store; what unfinished calls hold stays held.
 *
 * @since 0.1.0
 */
import * as Chunk from "effect/Chunk"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { fittingTable } from "../platform/layout.js"
import type { QuotaName, QuotaStoreError, Usage } from "./QuotaStore.js"
import { clientKey, clientOf, GLOBAL_KEY, QuotaStore, shownAmount } from "./QuotaStore.js"

/**
 * The limit of a quota of a key (`client:NAME` or `global`); undefined where there is none or it is not known.
 *
 * @since 0.1.0
 * @category models
 */
export type LimitOf = (key: string, quota: QuotaName) => number | undefined

/**
 * Whose usage is shown, and how.
 *
 * @since 0.1.0
 * @category models
 */
export interface ShowOptions {
  /** Only this client; all clients and the totals when absent. */
  readonly client?: string | undefined
  readonly json?: boolean | undefined
  readonly limitOf?: LimitOf | undefined
  /** Characters of a line at most; as many as there are when absent. */
  readonly width?: number | undefined
}

/** A line of a table, and of the JSON forms. */
interface Row {
  readonly key: string
  readonly client: string | null
  readonly quota: QuotaName
  readonly used: number
  readonly held: number
  readonly limit: number | null
  readonly resets_at: string
}

const rowOf = ({ key, quota, reserved, resetAt, used }: Usage, limitOf: LimitOf): Row => ({
  key,
  client: clientOf(key) ?? null,
  quota,
  used,
  held: reserved,
  limit: limitOf(key, quota) ?? null,
  resets_at: Option.match(DateTime.make(resetAt), { onNone: () => "never", onSome: DateTime.formatIso })
})

const unlimited: LimitOf = () => undefined

/** All usage, a page of the store at a time. */
const rows = (limitOf: LimitOf): Stream.Stream<Row, QuotaStoreError, QuotaStore> =>
  Stream.unwrap(
    Effect.map(QuotaStore, (store) =>
      Stream.paginateChunkEffect(undefined as string | undefined, (cursor) =>
        Effect.map(store.list(cursor), ({ next, usage }) => [
          Chunk.fromIterable(usage.map((each) => rowOf(each, limitOf))),
          next === undefined ? Option.none() : Option.some(next)
        ])
      )
    )
  )

/** Of one client, or of the totals over all clients. */
const rowsOf = (client: string | undefined, limitOf: LimitOf) =>
  Effect.flatMap(QuotaStore, (store) =>
    Effect.map(store.usage(client === undefined ? GLOBAL_KEY : clientKey(client)), (usage) =>
      usage.map((each) => rowOf(each, limitOf))
    )
  )

const everything = (client: string | undefined, limitOf: LimitOf) =>
  client === undefined
    ? Effect.map(Stream.runCollect(rows(limitOf)), Chunk.toReadonlyArray)
    : rowsOf(client, limitOf)

/** As it is printed: the client instead of the key. */
const shown = ({ key: _, ...row }: Row) => row

/** Names of clients come from outside: control characters and text direction marks are replaced. */
const printable = (text: string): string =>
  text.replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, "?")

const nameOf = ({ client }: Row): string => (client === null ? "(all)" : printable(client))

const HEADINGS = ["client", "quota", "used", "held", "limit", "resets at"] as const
const NUMBERS = new Set([2, 3, 4])

/** Columns as wide as they need to be, where that fits; numbers to the right. */
const tableOf = (all: ReadonlyArray<Row>, width = Number.POSITIVE_INFINITY): string => {
  const lines = all.map((row) => [
    nameOf(row),
    row.quota,
    String(shownAmount(row.quota, row.used)),
    String(shownAmount(row.quota, row.held)),
    row.limit === null ? "-" : String(row.limit),
    row.resets_at.replace(/\.000Z$/, "Z")
  ])
  return fittingTable([HEADINGS, ...lines], width, NUMBERS).join("\n")
}

/**
 * What is used and held now: a table, or one JSON object `{ "usage": [...] }`. Fails as the store fails.
 *
 * @since 0.1.0
 * @category operations
 */
export const show = (options: ShowOptions = {}): Effect.Effect<string, QuotaStoreError, QuotaStore> =>
  Effect.map(everything(options.client, options.limitOf ?? unlimited), (all) =>
    options.json === true
      ? JSON.stringify({ usage: all.map(shown) })
      : all.length === 0
        ? options.client === undefined
          ? "nothing has been used"
          : `nothing has been used by ${printable(options.client)}`
        : tableOf(all, options.width)
  )

/**
 * All usage as lines of JSON. Holds one page of the store in memory.
 *
 * @since 0.1.0
 * @category operations
 */
export const exportLines = (
  options: { readonly client?: string | undefined; readonly limitOf?: LimitOf | undefined } = {}
): Stream.Stream<string, QuotaStoreError, QuotaStore> => {
  const { client, limitOf = unlimited } = options
  return Stream.map(
    client === undefined ? rows(limitOf) : Stream.fromIterableEffect(rowsOf(client, limitOf)),
    (row) => JSON.stringify(shown(row))
  )
}

/**
 * Sets to zero what a client has used, of one quota or of all, and says what it was; of every client and of the totals
 * when no client is given. What unfinished calls hold stays held.
 *
 * @since 0.1.0
 * @category operations
 */
export const reset = (options: {
  readonly client?: string | undefined
  readonly quota?: QuotaName | undefined
  readonly json?: boolean | undefined
}): Effect.Effect<string, QuotaStoreError, QuotaStore> =>
  Effect.gen(function* () {
    const { client, json, quota } = options
    const before = (yield* everything(client, unlimited)).filter(
      (row) => (quota === undefined || row.quota === quota) && row.used > 0
    )
    const store = yield* QuotaStore
    const keys = new Set(before.map((row) => row.key))
    yield* Effect.forEach(keys, (key) => store.reset(key, quota), { discard: true })
    if (json === true) return JSON.stringify({ reset: before.map(shown) })
    const whose = client === undefined ? "any client" : printable(client)
    return before.length === 0
      ? `nothing to forget of ${whose}`
      : `forgotten:\n${before.map((row) => `  ${nameOf(row)} ${row.quota} ${shownAmount(row.quota, row.used)}`).join("\n")}`
  })
