/**
 * Fair shares of one shared bucket: which clients compete for it, and which of them use more than their share.
 *
 * A client is a contender while it has asked within the last second or has debt left, rounded up to the next tick of
 * 256 ms. With `n` contenders each admitted call adds `n` times the bucket's interval to the debt of its client, and
 * time reduces the debt. So the debt of a client that takes more than 1/n of the rate grows. A client with more than
 * five seconds of debt is `behind`: it may not use the `reserve` of the bucket. The other clients therefore find
 * tokens, however often one client asks; tokens that no other client wants remain available to it, so none is lost.
 *
 * ```
 *   by row of the client   paidAt  when its debt ends    until  the tick at which it stops being a contender
 *                                                          |
 *   wheel   [ 0 | 3 | 1 | 0 | ... ]  number of contenders that leave at each tick; `present` is their sum
 * ```
 *
 * Invariants
 * 1. A call of the only contender adds no debt.
 * 2. Being behind depends on the client's own admitted calls and on time alone: without further admissions it ends
 *    after `behindMs`, at most five seconds.
 * 3. `present` is exact at every tick without a sweep, whatever the number of clients.
 * 4. The row of a client that is no contender has no meaning and can be reused.
 *
 * Updated in place, for one owner.
 *
 * @since 0.1.0
 */

export interface Shares {
  paidAt: Float64Array
  until: Int32Array
  readonly wheel: Int32Array
  /** The last tick whose contenders were removed. */
  tick: number
  present: number
}

/** Milliseconds per tick; exact in binary. */
export const TICK_MS = 256
/** Milliseconds for which a client stays a contender after a call. */
export const PRESENT_MS = 1_000
/** Milliseconds of debt that a client may have: short bursts are allowed. */
export const SLACK_MS = 5_000
/** Milliseconds that a client can be behind at most. */
export const MEMORY_MS = 5_000
/** Ticks in the wheel: more than a contender can stay; a power of two. */
const WHEEL = 64

export const make = (): Shares => ({
  paidAt: new Float64Array(0),
  until: new Int32Array(0),
  wheel: new Int32Array(WHEEL),
  tick: 0,
  present: 0
})

/** Milliseconds until the client is not behind any more; 0: it is not. */
export const behindMs = ({ paidAt }: Shares, now: number, row: number): number =>
  Math.max(0, (paidAt[row] ?? 0) - SLACK_MS - now)

/** The client is no contender and has no debt. */
export const idle = ({ until }: Shares, now: number, row: number): boolean =>
  (until[row] ?? 0) * TICK_MS <= now

const turn = (shares: Shares, now: number): void => {
  const tick = Math.floor(now / TICK_MS)
  if (tick - shares.tick >= WHEEL) {
    shares.wheel.fill(0)
    shares.present = 0
    shares.tick = tick
    return
  }
  while (shares.tick < tick) {
    const at = ++shares.tick % WHEEL
    shares.present -= shares.wheel[at] ?? 0
    shares.wheel[at] = 0
  }
}

const widen = (shares: Shares, row: number): void => {
  // By a quarter: doubling would leave a third of the memory unused on average.
  const rows = Math.ceil(1.25 * (row + 64))
  const { paidAt, until } = shares
  shares.paidAt = new Float64Array(rows)
  shares.paidAt.set(paidAt)
  shares.until = new Int32Array(rows)
  shares.until.set(until)
}

/** A call of the client; `price`: its cost in milliseconds of the bucket's time, 0 for a refusal. */
export const note = (shares: Shares, now: number, row: number, price: number): void => {
  turn(shares, now)
  if (row >= shares.until.length) widen(shares, row)
  const { until, wheel } = shares
  const before = until[row] ?? 0
  if (before > shares.tick) wheel[before % WHEEL] = (wheel[before % WHEEL] ?? 0) - 1
  else shares.present += 1
  let paidAt = shares.paidAt[row] ?? 0
  if (price > 0 && shares.present > 1) {
    paidAt = Math.min(Math.max(paidAt, now) + price * shares.present, now + SLACK_MS + MEMORY_MS)
    shares.paidAt[row] = paidAt
  }
  const leaves = Math.ceil(Math.max(paidAt, now + PRESENT_MS) / TICK_MS)
  until[row] = leaves
  wheel[leaves % WHEEL] = (wheel[leaves % WHEEL] ?? 0) + 1
}

/** Gives a call back: its debt is reduced by what the call would add now. */
export const giveBack = (shares: Shares, now: number, row: number, price: number): void => {
  turn(shares, now)
  const paidAt = shares.paidAt[row] ?? 0
  if (paidAt > now) shares.paidAt[row] = paidAt - price * shares.present
}
