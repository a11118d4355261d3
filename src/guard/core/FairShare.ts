/**
 * Who uses a bucket that many share, and who of them uses more than his share of it.
 *
 * Whoever asked within the last second, or still has something to work off, is a contender, up to the next
 * tick (there are four a second). Each admitted call of one of `n` contenders costs its client `n` times
 * the bucket's interval of debt, which time works off: whoever takes more than one n-th of the rate gets
 * ahead of his share, and once he is five seconds of it ahead he is `behind` with what he owes the others,
 * and has to leave them the `reserve` of the bucket. So they find tokens however fast he asks, and what
 * nobody else wants is still his: no token is lost.
 *
 * ```
 *   by row of the client   paidAt  when its debt is worked off    until  the tick at which it leaves
 *                                                                   |
 *   wheel   [ 0 | 3 | 1 | 0 | ... ]  how many leave at each coming tick; `present` is their sum
 * ```
 *
 * Invariants
 * 1. A call of a client that is alone costs it nothing.
 * 2. Being behind depends on the client's own admitted calls and on time alone: `behindMs` after `now` it
 *    is over, if he is not admitted meanwhile. It is over after five seconds: old sins are forgiven.
 * 3. `present` is exact, whatever the number of clients: it takes no sweep to see that somebody has left.
 * 4. What is kept of a client has no meaning once it has left: its row can be somebody else's.
 *
 * Updated in place: whoever owns it must use it linearly.
 *
 * @since 0.1.0
 */

export interface Shares {
  paidAt: Float64Array
  until: Int32Array
  readonly wheel: Int32Array
  /** The last tick whose leavers have left. */
  tick: number
  present: number
}

/** Milliseconds between two ticks: four a second, and exact in binary. */
export const TICK_MS = 256
/** Milliseconds: a refused client that is still interested asks again within this time. */
export const PRESENT_MS = 1_000
/** Milliseconds of its share that a client may be ahead: several people at once are no abuse. */
export const SLACK_MS = 5_000
/** Milliseconds that it can be behind at most. */
export const MEMORY_MS = 5_000
/** Ticks that a contender can be ahead of, and more; a power of two. */
const WHEEL = 64

export const make = (): Shares => ({
  paidAt: new Float64Array(0),
  until: new Int32Array(0),
  wheel: new Int32Array(WHEEL),
  tick: 0,
  present: 0
})

export const copy = (shares: Shares): Shares => ({
  ...shares,
  paidAt: shares.paidAt.slice(),
  until: shares.until.slice(),
  wheel: shares.wheel.slice()
})

/** Milliseconds until the client has no more than its share; 0: now. */
export const behindMs = ({ paidAt }: Shares, now: number, row: number): number =>
  Math.max(0, (paidAt[row] ?? 0) - SLACK_MS - now)

/** The client has left: nothing of it is remembered here. */
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
  // By a quarter: to double is to have a third of the room empty on average, of which clients pay the bytes.
  const rows = Math.ceil(1.25 * (row + 64))
  const { paidAt, until } = shares
  shares.paidAt = new Float64Array(rows)
  shares.paidAt.set(paidAt)
  shares.until = new Int32Array(rows)
  shares.until.set(until)
}

/** The client has asked; `price` milliseconds of the bucket's time were taken: 0 for a refusal. */
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

/** What was taken is given back; of what it cost then, as much as it would cost now. */
export const giveBack = (shares: Shares, now: number, row: number, price: number): void => {
  turn(shares, now)
  const paidAt = shares.paidAt[row] ?? 0
  if (paidAt > now) shares.paidAt[row] = paidAt - price * shares.present
}
