/**
 * How often calls met an overloaded or silent warehouse lately: the factor of the pauses before retries.
 *
 * Every call that failed for lack of capacity, or without an answer, adds one, however many attempts it makes. A success
 * halves the level, and so do ten seconds without news. Additive increase and multiplicative decrease, as in the
 * congestion control of TCP (RFC 5681).
 *
 * Invariants
 * 1. `0 <= level <= most`. The factor is the level, and at least 1: one failed call does not stretch its own pauses.
 * 2. Without news the level only falls. Time never runs backwards: an earlier `now` is taken for the latest one seen.
 *
 * @since 0.1.0
 */

export interface Pressure {
  readonly level: number
  /** Monotonic milliseconds of the latest change. */
  readonly at: number
}

/** Pauses grow to so many times at most; longer waits are up to the circuit breaker. */
export const MOST = 5
const HALF_LIFE_MS = 10_000

export const initial = (now: number): Pressure => ({ level: 0, at: now })

const levelAt = ({ at, level }: Pressure, now: number): number =>
  level === 0 ? 0 : level * 2 ** (-Math.max(0, now - at) / HALF_LIFE_MS)

/** A call failed with a fault that more load makes worse. */
export const failed = (pressure: Pressure, now: number, most = MOST): Pressure => ({
  level: Math.min(most, levelAt(pressure, now) + 1),
  at: Math.max(pressure.at, now)
})

export const succeeded = (pressure: Pressure, now: number): Pressure =>
  pressure.level === 0 ? pressure : { level: levelAt(pressure, now) / 2, at: Math.max(pressure.at, now) }

/** The factor of a pause. */
export const factor = (pressure: Pressure, now: number): number => Math.max(1, levelAt(pressure, now))
