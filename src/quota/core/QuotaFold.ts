/**
 * Accounts of keys that nobody charges now, folded into rows of numbers: a tenth of what they take as
 * objects, for the many clients that are known and idle. What is used of a quota is all that is kept; its
 * slice is that of the moment of the folding, since a fixed window has one slice that counts.
 *
 * ```
 *   rows   key -> number of a row                    cells   | at | used of quota 0 | quota 1 | ...
 * ```
 *
 * Invariants:
 *  - nothing is held by a folded account: one with a reservation under way is not folded;
 *  - unfolding gives back every counter of which something is used, in the slice it was used in.
 *
 * Changed in place, like the ledger it belongs to.
 *
 * @since 0.1.0
 */
import * as QuotaWindow from "./QuotaWindow.js"

interface Known {
  readonly quota: string
  readonly window: QuotaWindow.Window
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
  /** Where the sweep has got to. */
  sweep: IterableIterator<string>
}

const COLUMNS = 8
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
const columnOf = (folded: Folded, { quota, window }: QuotaWindow.Counter): number | undefined => {
  const found = folded.quotas.findIndex((known) => known.quota === quota)
  if (found >= 0) return found + 1
  if (folded.quotas.length >= COLUMNS - 1) return undefined
  return folded.quotas.push({ quota, window })
}

const blockOf = (folded: Folded, row: number): Float64Array =>
  (folded.cells[Math.floor(row / ROWS_PER_BLOCK)] ??= new Float64Array(COLUMNS * ROWS_PER_BLOCK))

const offsetOf = (row: number): number => (row % ROWS_PER_BLOCK) * COLUMNS

/** May this be told in numbers alone? */
const isFoldable = (folded: Folded, counter: QuotaWindow.Counter): boolean => {
  const { buckets, window } = counter
  if (window.slices > 1 || buckets.length > 1 || columnOf(folded, counter) === undefined) return false
  return buckets.every(({ reserved }) => reserved === 0)
}

/**
 * Takes the counters of a key over, unless that would lose something.
 *
 * @since 0.1.0
 * @category combinators
 */
export const fold = (
  folded: Folded,
  key: string,
  counters: ReadonlyArray<QuotaWindow.Counter>,
  now: number
): boolean => {
  for (const counter of counters) QuotaWindow.prune(counter, now)
  if (!counters.every((counter) => isFoldable(folded, counter))) return false
  const row = folded.free.pop() ?? folded.count++
  const block = blockOf(folded, row)
  const offset = offsetOf(row)
  block.fill(0, offset, offset + COLUMNS)
  block[offset] = now
  for (const counter of counters)
    block[offset + (columnOf(folded, counter) ?? 0)] = QuotaWindow.usedOf(counter)
  folded.rows.set(key, row)
  return true
}

const forget = (folded: Folded, key: string, row: number): void => {
  folded.rows.delete(key)
  folded.free.push(row)
}

/**
 * The counters of a key again, which is folded no more; none when it was not.
 *
 * @since 0.1.0
 * @category combinators
 */
export const unfold = (folded: Folded, key: string): ReadonlyArray<QuotaWindow.Counter> => {
  const row = folded.rows.get(key)
  if (row === undefined) return []
  const block = blockOf(folded, row)
  const offset = offsetOf(row)
  const at = block[offset] ?? 0
  const counters: Array<QuotaWindow.Counter> = []
  folded.quotas.forEach(({ quota, window }, i) => {
    const used = block[offset + i + 1] ?? 0
    const buckets = [{ slice: QuotaWindow.sliceAt(window, at), used, reserved: 0 }]
    if (used > 0) counters.push({ quota, window, buckets })
  })
  forget(folded, key, row)
  return counters
}

/**
 * Time has gone back: what was folded later than `now` was used now.
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

/** When nothing counts any more of what is in a row. */
const endOf = (folded: Folded, row: number): number => {
  const block = blockOf(folded, row)
  const offset = offsetOf(row)
  const at = block[offset] ?? 0
  let end = Number.NEGATIVE_INFINITY
  folded.quotas.forEach(({ window }, i) => {
    if ((block[offset + i + 1] ?? 0) > 0)
      end = Math.max(end, QuotaWindow.sliceEnd(window, QuotaWindow.sliceAt(window, at)))
  })
  return end
}

/**
 * Looks at a few rows, where the last call stopped looking, and forgets those that are over.
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
