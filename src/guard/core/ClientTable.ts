/**
 * The clients of a rate limiter: which row each of them has, what its own bucket owes, and who is forgotten
 * when room gets scarce.
 *
 * A row is all that the other tables need to know of a client: what they keep of it lies at its row in a
 * column of numbers (`FairShare`), so that a client costs its name once, however many buckets it uses.
 *
 * ```
 *   rows   "ann" -> 1   "bob" -> 2      columns   row    0          1      2      3
 *                                       tats           (overflow)  17.5   3.0    free
 * ```
 *
 * Invariants
 * 1. There are never more than `maxClients` clients.
 * 2. Only clients whose bucket is full, hence without a debt or a reservation, and of whom nothing else is
 *    remembered either are ever forgotten; their row is given to somebody else.
 * 3. Row 0 is nobody's: it stands for all who found no room.
 *
 * Updated in place, because a persistent map of 100,000 entries costs more than a whole decision: whoever
 * owns a table must use it linearly (one owner, one step a call) and may take a {@link copy}. What is
 * decided depends on nothing but the arguments all the same.
 *
 * @since 0.1.0
 */
import type { Config, Line, Tier } from "./BucketLimits.js"

export interface Table {
  readonly rows: Map<string, number>
  /** `tat` of each client's bucket, by its row. */
  tats: Float64Array
  /** Rows of clients that were forgotten, and the first of those that were never used. */
  readonly free: Array<number>
  unused: number
  /** Where the sweep stands; none while there is room, since an idle iterator keeps old tables alive. */
  cursor: Iterator<[string, number]> | undefined
  /** Whether a client was ever forgotten. */
  forgetful: boolean
}

/** The row of all who found no room. */
export const OVERFLOW_ROW = 0

/** A sweep of four a call frees room four times faster than new clients can take it. */
const SWEEP_PER_CALL = 4
const FIRST_ROWS = 64

export const make = (): Table => ({
  rows: new Map(),
  tats: new Float64Array(FIRST_ROWS),
  free: [],
  unused: OVERFLOW_ROW + 1,
  cursor: undefined,
  forgetful: false
})

export const copy = (table: Table): Table => ({
  ...table,
  rows: new Map(table.rows),
  tats: table.tats.slice(),
  free: table.free.slice(),
  cursor: undefined
})

/** The bucket that stands for a client, and its row where it has one. */
export interface Own {
  readonly line: Line
  readonly tat: number
  readonly row: number | undefined
}

/**
 * A client that is not in the table starts with its `initial` tokens, until the table has forgotten
 * somebody for want of room: from then on a newcomer may be an old client whose bucket was full when it was
 * forgotten, so unknown clients start full. Nobody loses by having been forgotten, and nobody ever holds
 * more than `burst`.
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

/** Takes a client in, for whom there must be room. */
export const add = (table: Table, client: string, tat: number): number => {
  const row = table.free.pop() ?? table.unused++
  if (row >= table.tats.length) {
    const wider = new Float64Array(Math.ceil(1.25 * (row + FIRST_ROWS)))
    wider.set(table.tats)
    table.tats = wider
  }
  table.tats[row] = tat
  table.rows.set(client, row)
  return row
}

/**
 * Looks at a few clients, where the last call stopped looking, and forgets those whose bucket is full and
 * whose row is `idle` elsewhere. Once begun it goes on until a half of the room is free: to begin anew is
 * to pass over all the gaps that were left at the front of the table.
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
