/**
 * How often something may happen to each of many keys, known or not (an address fails, a client asks): a
 * virtual-schedule bucket (GCRA) for each, in a table of bounded size.
 *
 * Invariants
 * 1. `size <= maxKeys`, however many keys there are.
 * 2. A key never gains by being pushed out of the table: when none in it can be forgotten without
 *    loss, newcomers share one bucket.
 *
 * One number a key: the time at which its bucket is full again. Updated in place.
 *
 * @since 0.1.0
 */

export interface Options {
  readonly maxKeys: number
  readonly burst: number
  readonly ratePerSecond: number
}

export interface Floods {
  readonly options: Options
  /** In the order of their last charge. */
  readonly fullAt: Map<string, number>
}

const SHARED = ""

/** Keys looked at, at most, to find one that can be forgotten. */
const LOOKED_AT = 8

export const make = (options: Options): Floods => ({ options, fullAt: new Map() })

const intervalMs = ({ ratePerSecond }: Options): number => 1000 / ratePerSecond

const known = ({ fullAt }: Floods, key: string): string =>
  fullAt.has(key) || !fullAt.has(SHARED) ? key : SHARED

/** Milliseconds until something of this cost may happen; 0: now. */
export const waitMs = (floods: Floods, nowMs: number, key: string, cost = 1): number => {
  const interval = intervalMs(floods.options)
  const { burst } = floods.options
  const fullAt = floods.fullAt.get(known(floods, key)) ?? nowMs
  return Math.max(0, Math.max(fullAt, nowMs) + (Math.min(cost, burst) - burst) * interval - nowMs)
}

const makeRoom = (floods: Floods, nowMs: number): boolean => {
  if (floods.fullAt.size < floods.options.maxKeys - 1) return true
  let looked = 0
  for (const [key, fullAt] of floods.fullAt) {
    if (fullAt <= nowMs) {
      floods.fullAt.delete(key)
      return true
    }
    if (++looked === LOOKED_AT) break
  }
  return false
}

/**
 * Something of this cost is about to happen, and may have to wait for it: the milliseconds are taken, and
 * the next one waits behind them. Undefined: it would have to wait longer than that, and nothing is
 * taken.
 */
export const reserve = (
  floods: Floods,
  nowMs: number,
  key: string,
  cost: number,
  patienceMs: number
): number | undefined => {
  const { burst } = floods.options
  const interval = intervalMs(floods.options)
  const charged = floods.fullAt.has(key) || makeRoom(floods, nowMs) ? key : SHARED
  // What is larger than all that there can be takes that.
  const after = Math.max(floods.fullAt.get(charged) ?? nowMs, nowMs) + Math.min(cost, burst) * interval
  const wait = Math.max(0, after - nowMs - burst * interval)
  if (wait > patienceMs) return undefined
  floods.fullAt.delete(charged)
  floods.fullAt.set(charged, after)
  return wait
}

/** How often it may still happen now. */
export const remaining = (floods: Floods, nowMs: number, key: string): number => {
  const fullAt = floods.fullAt.get(known(floods, key)) ?? nowMs
  return Math.max(
    0,
    Math.floor(floods.options.burst - Math.max(0, fullAt - nowMs) / intervalMs(floods.options))
  )
}

/** It has happened once. */
export const charge = (floods: Floods, nowMs: number, key: string): void => {
  const charged = floods.fullAt.has(key) || makeRoom(floods, nowMs) ? key : SHARED
  const interval = intervalMs(floods.options)
  const before = floods.fullAt.get(charged) ?? nowMs
  // A bucket that is empty stays empty: what comes on top of a refusal does not lengthen the wait.
  const after = Math.min(Math.max(before, nowMs) + interval, nowMs + floods.options.burst * interval)
  floods.fullAt.delete(charged)
  floods.fullAt.set(charged, after)
}
