/**
 * Accounts of idle keys as rows of numbers: a tenth of the memory of objects. A row keeps the usage of each quota and the
 * moment of the folding, which gives the slice, since a fixed window has one slice that counts.
 *
 * ```
 *   rows   key -> number of a row                    cells   | at | used of quota 0 | quota 1 | ...
 * ```
 *
 * Invariants:
 *  - a folded account holds nothing: an account with an unfinished reservation is not folded;
 *  - unfolding gives back every counter of which something is used, in the slice it was used in.
 *
 * Updated in place, like its ledger.
 *
 * @since 0.1.0
 */
import * as Window from "./Window.js"

interface Known {
  readonly quota: string
  readonly window: Window.Window
}

export interface Folded {
  readonly rows: Map<string, number>
  /** Blocks of rows. */
  readonly cells: Array<Float64Array>
  /** The quota of each column but the first. */
  readonly quotas: Array<Known>
  /** Rows that are not in use, and how many there have ever been. */
  readonly free: Array<number>
  count: number
  /** Position of the sweep. */
  sweep: IterableIterator<string>
}

const COLUMNS = 10
const ROWS_PER_BLOCK = 1024

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (): Folded => {
  const rows = new Map<string, number>()
  return { rows, cells: [], quotas: [], free: [], count: 0, sweep: rows.keys() }
}

/** The column of a quota; none when there are more quotas than columns. */
const columnOf = (folded: Folded, { quota, window }: Window.Counter): number | undefined => {
  const found = folded.quotas.findIndex((known) => known.quota === quota)
  if (found >= 0) return found + 1
  if (folded.quotas.length >= COLUMNS - 1) return undefined
  return folded.quotas.push({ quota, window })
}

const blockOf = (folded: Folded, row: number): Float64Array =>
  (folded.cells[Math.floor(row / ROWS_PER_BLOCK)] ??= new Float64Array(COLUMNS * ROWS_PER_BLOCK))

const offsetOf = (row: number): number => (row % ROWS_PER_BLOCK) * COLUMNS

/** Can the counter be expressed as one number? */
const isFoldable = (folded: Folded, counter: Window.Counter): boolean => {
  const { buckets, window } = counter
  if (window.slices > 1 || buckets.length > 1 || columnOf(folded, counter) === undefined) return false
  return buckets.every(({ reserved }) => reserved === 0)
}

/**
 * Folds the counters of a key; false when they cannot be expressed as a row.
 *
 * @since 0.1.0
 * @category combinators
 */
export const fold = (
  folded: Folded,
  key: string,
  counters: ReadonlyArray<Window.Counter>,
  now: number
): boolean => {
  for (const counter of counters) Window.prune(counter, now)
  if (!counters.every((counter) => isFoldable(folded, counter))) return false
  const row = folded.free.pop() ?? folded.count++
  const block = blockOf(folded, row)
  const offset = offsetOf(row)
  block.fill(0, offset, offset + COLUMNS)
  block[offset] = now
  for (const counter of counters) block[offset + (columnOf(folded, counter) ?? 0)] = Window.usedOf(counter)
  folded.rows.set(key, row)
  return true
}

const forget = (folded: Folded, key: string, row: number): void => {
  folded.rows.delete(key)
  folded.free.push(row)
}

/**
 * Removes the row of a key and gives its counters; none when the key is not folded.
 *
 * @since 0.1.0
 * @category combinators
 */
export const unfold = (folded: Folded, key: string): ReadonlyArray<Window.Counter> => {
  const row = folded.rows.get(key)
  if (row === undefined) return []
  const block = blockOf(folded, row)
  const offset = offsetOf(row)
  const at = block[offset] ?? 0
  const counters: Array<Window.Counter> = []
  folded.quotas.forEach(({ quota, window }, i) => {
    const used = block[offset + i + 1] ?? 0
    const buckets = [{ slice: Window.sliceAt(window, at), used, reserved: 0 }]
    if (used > 0) counters.push({ quota, window, buckets })
  })
  forget(folded, key, row)
  return counters
}

/**
 * The clock was set back: usage folded later than `now` counts as used now.
 *
 * @since 0.1.0
 * @category combinators
 */
export const rewind = (folded: Folded, now: number): void => {
  for (const row of folded.rows.values()) {
    const block = blockOf(folded, row)
    const offset = offsetOf(row)
    block[offset] = Math.min(block[offset] ?? now, now)
  }
}

/** When all usage of a row is over. */
const endOf = (folded: Folded, row: number): number => {
  const block = blockOf(folded, row)
  const offset = offsetOf(row)
  const at = block[offset] ?? 0
  let end = Number.NEGATIVE_INFINITY
  folded.quotas.forEach(({ window }, i) => {
    if ((block[offset + i + 1] ?? 0) > 0)
      end = Math.max(end, Window.sliceEnd(window, Window.sliceAt(window, at)))
  })
  return end
}

/**
 * Drops rows that are over, looking at `steps` rows from where the last call stopped.
 *
 * @since 0.1.0
 * @category combinators
 */
export const sweep = (folded: Folded, now: number, steps: number): void => {
  if (folded.rows.size === 0) return
  for (let i = 0; i < steps; i++) {
    const next = folded.sweep.next()
    if (next.done === true) {
      folded.sweep = folded.rows.keys()
      return
    }
    const row = folded.rows.get(next.value)
    if (row !== undefined && endOf(folded, row) <= now) forget(folded, next.value, row)
  }
}
