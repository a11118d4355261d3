/**
 * The clients of a rate limiter: the row of each client, the `tat` of its own bucket, and the removal of idle clients
 * when the table gets full.
 *
 * Other tables keep their numbers of a client in columns indexed by its row (`FairShare`): the name is stored once per
 * client, however many buckets it uses.
 *
 * ```
 *   rows   "ann" -> 1   "bob" -> 2      columns   row    0          1      2      3
 *                                       tats           (overflow)  17.5   3.0    free
 * ```
 *
 * Invariants
 * 1. There are never more than `maxClients` clients.
 * 2. Only clients whose buckets are full (no debt, no reservation) and that are idle in the other tables are removed; their
 *    row is reused.
 * 3. Row 0 is shared by all clients without a row.
 *
 * Updated in place, for one owner: a persistent map of 100,000 entries costs more than a whole decision.
 *
 * @since 0.1.0
 */
import type { Config, Line, Tier } from "./BucketLimits.js"

export interface Table {
  readonly rows: Map<string, number>
  /** `tat` of each client's bucket, by its row. */
  tats: Float64Array
  /** The tier of each client when it was last charged, by its row. */
  readonly tiers: Array<string>
  /** The same of the clients' buckets for each tool; 0, and so full, where none was charged. */
  tools: Array<Float64Array>
  /** Rows of removed clients. */
  readonly free: Array<number>
  /** The first row that was never used. */
  unused: number
  /** Position of the sweep; undefined while there is room, since an idle iterator keeps old entries alive. */
  cursor: Iterator<[string, number]> | undefined
  /** Whether a client was ever removed. */
  forgetful: boolean
}

/** The row of all clients without a row of their own. */
export const OVERFLOW_ROW = 0

/** Four per call: the sweep is faster than new clients can fill the table. */
const SWEEP_PER_CALL = 4
const FIRST_ROWS = 64

/** `tools`: how many tools clients have buckets for. */
export const make = (tools = 0): Table => ({
  rows: new Map(),
  tats: new Float64Array(FIRST_ROWS),
  tiers: [],
  tools: Array.from({ length: tools }, () => new Float64Array(FIRST_ROWS)),
  free: [],
  unused: OVERFLOW_ROW + 1,
  cursor: undefined,
  forgetful: false
})

/** The bucket that is charged for a client, and its row where it has one. */
export interface Own {
  readonly line: Line
  readonly tat: number
  readonly row: number | undefined
}

/**
 * A client that is not in the table starts with its `initial` tokens. Once a client was removed, an unknown client may be
 * a removed one, whose bucket was full: from then on unknown clients start full. So no client loses tokens by its
 * removal, and no bucket exceeds `burst`.
 */
export const find = (
  table: Table,
  shared: ReadonlyArray<number>,
  now: number,
  config: Config,
  client: string,
  tier: Tier
): Own => {
  const { forgetful, rows, tats } = table
  const row = rows.get(client)
  if (row !== undefined) return { line: tier.client, tat: tats[row] ?? now, row }
  if (rows.size < config.maxClients)
    return { line: tier.client, tat: forgetful ? now : now + tier.client.startDebt, row: undefined }
  return { line: config.overflow, tat: shared[config.overflow.slot] ?? now, row: OVERFLOW_ROW }
}

const widened = (column: Float64Array, length: number): Float64Array => {
  const wider = new Float64Array(length)
  wider.set(column)
  return wider
}

/** Adds a client; there must be room. */
export const add = (table: Table, client: string, tier: string, tat: number): number => {
  const row = table.free.pop() ?? table.unused++
  if (row >= table.tats.length) {
    const length = Math.ceil(1.25 * (row + FIRST_ROWS))
    table.tats = widened(table.tats, length)
    for (const [column, tats] of table.tools.entries()) table.tools[column] = widened(tats, length)
  }
  table.tats[row] = tat
  table.tiers[row] = tier
  table.rows.set(client, row)
  return row
}

/**
 * Looks at a few clients from where the last call stopped, and removes those whose bucket is full and whose row is `idle`
 * in the other tables. A sweep that has begun goes on until half of `sweepAbove` is free, because a new iterator has to
 * skip all removed entries at the front of the map.
 */
export const sweep = (
  table: Table,
  now: number,
  config: Config,
  idle: (row: number, now: number) => boolean
): void => {
  const { size } = table.rows
  if (size <= (table.cursor === undefined ? config.sweepAbove : config.sweepAbove / 2)) {
    table.cursor = undefined
    return
  }
  for (let left = SWEEP_PER_CALL; left > 0; left--) {
    table.cursor ??= table.rows.entries()
    const next = table.cursor.next()
    if (next.done === true) {
      table.cursor = undefined
      continue
    }
    const [client, row] = next.value
    if ((table.tats[row] ?? 0) > now || !idle(row, now)) continue
    table.rows.delete(client)
    table.free.push(row)
    table.forgetful = true
  }
}
