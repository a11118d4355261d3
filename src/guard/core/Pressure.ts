/**
 * How much the warehouse is pushed back lately: what the pauses before retries are stretched by.
 *
 * Every call that failed for want of capacity, or without an answer, adds one, however often it tries; a success takes
 * half away, and so do ten seconds without news. Additive increase and multiplicative decrease, as in the congestion control of TCP (RFC
 * 5681): many callers that meet one overloaded warehouse find their pace without talking to each other.
 *
 * Invariants
 * 1. `0 <= level <= MOST`. The factor is the level, and at least 1: a call that fails alone is not stretched by itself.
 * 2. Without news the level only falls. Time never runs backwards: an earlier `now` is taken for the latest one seen.
 *
 * @since 0.1.0
 */

export interface Pressure {
  readonly level: number
  /** Monotonic milliseconds of the latest change. */
  readonly at: number
}

/** Pauses grow to five times at most: a longer one is the breaker's to ask for. */
const MOST = 5
const HALF_LIFE_MS = 10_000

export const initial = (now: number): Pressure => ({ level: 0, at: now })

const levelAt = ({ at, level }: Pressure, now: number): number =>
  level === 0 ? 0 : level * 2 ** (-Math.max(0, now - at) / HALF_LIFE_MS)

/** A call failed in a way that more calls make worse. */
export const failed = (pressure: Pressure, now: number): Pressure => ({
  level: Math.min(MOST, levelAt(pressure, now) + 1),
  at: Math.max(pressure.at, now)
})

export const succeeded = (pressure: Pressure, now: number): Pressure =>
  pressure.level === 0 ? pressure : { level: levelAt(pressure, now) / 2, at: Math.max(pressure.at, now) }

/** What a pause is multiplied by. */
export const factor = (pressure: Pressure, now: number): number => Math.max(1, levelAt(pressure, now))
