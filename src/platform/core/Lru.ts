/**
 * A table that forgets what was used longest ago, bounded in entries and in bytes.
 *
 * Invariants
 * 1. `size <= maxEntries` and `bytes <= maxBytes` after every operation, and `bytes` is the sum of what
 *    the entries were said to weigh.
 * 2. What is evicted is always what was used (read or written) longest ago.
 * 3. An entry heavier than the whole table is not kept, and what it would have replaced is gone: it was
 *    outdated.
 *
 * A `Map` keeps the order of insertion, so putting an entry back in makes it the youngest. It is updated
 * in place: the owner of a table must use it linearly.
 */

export interface Bounds {
  readonly maxEntries: number
  readonly maxBytes: number
}

interface Entry<A> {
  readonly value: A
  readonly bytes: number
}

export interface Lru<A> {
  readonly bounds: Bounds
  readonly entries: Map<string, Entry<A>>
  bytes: number
  /** Entries pushed out by others, ever. */
  evicted: number
}

export const make = <A>(bounds: Bounds): Lru<A> => ({ bounds, entries: new Map(), bytes: 0, evicted: 0 })

export const size = <A>(lru: Lru<A>): number => lru.entries.size

/** The value, which is now the youngest. */
export const get = <A>(lru: Lru<A>, key: string): A | undefined => {
  const entry = lru.entries.get(key)
  if (entry === undefined) return undefined
  lru.entries.delete(key)
  lru.entries.set(key, entry)
  return entry.value
}

export const remove = <A>(lru: Lru<A>, key: string): boolean => {
  const entry = lru.entries.get(key)
  if (entry === undefined) return false
  lru.bytes -= entry.bytes
  return lru.entries.delete(key)
}

/** Keeps the value under the key; false when it is too heavy. */
export const set = <A>(lru: Lru<A>, key: string, value: A, bytes: number): boolean => {
  remove(lru, key)
  // Not `>`: a weight that is not a number is not kept either.
  if (!(bytes >= 0 && bytes <= lru.bounds.maxBytes) || lru.bounds.maxEntries < 1) return false
  for (const oldest of lru.entries.keys()) {
    if (lru.entries.size < lru.bounds.maxEntries && lru.bytes + bytes <= lru.bounds.maxBytes) break
    remove(lru, oldest)
    lru.evicted += 1
  }
  lru.entries.set(key, { value, bytes })
  lru.bytes += bytes
  return true
}
