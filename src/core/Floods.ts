/**
 * How often each of many unknown addresses may fail: a virtual-schedule bucket (GCRA) for each, in a
 * table of bounded size.
 *
 * Invariants
 * 1. `size <= maxAddresses`, however many addresses there are.
 * 2. An address never gains by being pushed out of the table: when nobody in it can be forgotten without
 *    loss, newcomers share one bucket.
 *
 * One number an address: the time at which its bucket is full again. Updated in place.
 *
 * @since 0.1.0
 */

export interface Options {
  readonly maxAddresses: number
  readonly burst: number
  readonly ratePerSecond: number
}

export interface Floods {
  readonly options: Options
  /** In the order of their last charge. */
  readonly fullAt: Map<string, number>
}

const SHARED = ""

/** Addresses looked at, at most, to find one that can be forgotten. */
const LOOKED_AT = 8

export const make = (options: Options): Floods => ({ options, fullAt: new Map() })

const intervalMs = ({ ratePerSecond }: Options): number => 1000 / ratePerSecond

const known = ({ fullAt }: Floods, address: string): string =>
  fullAt.has(address) || !fullAt.has(SHARED) ? address : SHARED

/** Milliseconds until the address may fail once more; 0: now. */
export const waitMs = (floods: Floods, nowMs: number, address: string): number => {
  const interval = intervalMs(floods.options)
  const fullAt = floods.fullAt.get(known(floods, address)) ?? nowMs
  return Math.max(0, Math.max(fullAt, nowMs) + interval - nowMs - floods.options.burst * interval)
}

/** Failures that are left to the address. */
export const remaining = (floods: Floods, nowMs: number, address: string): number => {
  const fullAt = floods.fullAt.get(known(floods, address)) ?? nowMs
  return Math.max(
    0,
    Math.floor(floods.options.burst - Math.max(0, fullAt - nowMs) / intervalMs(floods.options))
  )
}

const makeRoom = (floods: Floods, nowMs: number): boolean => {
  if (floods.fullAt.size < floods.options.maxAddresses - 1) return true
  let looked = 0
  for (const [address, fullAt] of floods.fullAt) {
    if (fullAt <= nowMs) {
      floods.fullAt.delete(address)
      return true
    }
    if (++looked === LOOKED_AT) break
  }
  return false
}

/** The address has failed once. */
export const charge = (floods: Floods, nowMs: number, address: string): void => {
  const key = floods.fullAt.has(address) || makeRoom(floods, nowMs) ? address : SHARED
  const interval = intervalMs(floods.options)
  const before = floods.fullAt.get(key) ?? nowMs
  // A bucket that is empty stays empty: what comes on top of a refusal does not lengthen the wait.
  const after = Math.min(Math.max(before, nowMs) + interval, nowMs + floods.options.burst * interval)
  floods.fullAt.delete(key)
  floods.fullAt.set(key, after)
}
