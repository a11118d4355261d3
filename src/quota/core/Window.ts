/**
 * Quota windows and their counters. A counter is a short list of buckets, one per slice of time in which something was
 * charged; the window says how long a slice is and how many of them count:
 *
 *  - `fixed`: one slice, the UTC hour or day. Everything is free again at the full hour or at midnight UTC. Around that
 *    border twice the limit can pass in a short time.
 *  - `rolling`: slices of a sixtieth. The oldest one counts whole until all of it is out of the window, so never more
 *    than the limit passes in ANY hour or day. (Weighting the previous window lets twice the limit pass at a border.)
 *
 * Updated in place by the owner of the ledger. Times are UTC milliseconds.
 *
 * @since 0.1.0
 */

/**
 * @since 0.1.0
 * @category models
 */
export type Mode = "fixed" | "rolling"

/**
 * @since 0.1.0
 * @category models
 */
export interface Window {
  /** Milliseconds of one bucket. */
  readonly sliceMs: number
  /** Buckets that count, the current one included. */
  readonly slices: number
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Bucket {
  /** Number of the slice since 1970. */
  readonly slice: number
  /** Settled. */
  used: number
  /** Held by unfinished reservations. */
  reserved: number
}

/**
 * One quota of one key.
 *
 * @since 0.1.0
 * @category models
 */
export interface Counter<Quota extends string = string> {
  readonly quota: Quota
  readonly window: Window
  /** Oldest first, one per slice in which something was charged. */
  buckets: Array<Bucket>
}

const HOUR = 3_600_000
const DAY = 24 * HOUR
const ROLLING_SLICES = 60

const hour: Window = { sliceMs: HOUR, slices: 1 }
const day: Window = { sliceMs: DAY, slices: 1 }
// One more than fits: the oldest slice is partly inside the window and counts whole.
const rollingHour: Window = { sliceMs: HOUR / ROLLING_SLICES, slices: ROLLING_SLICES + 1 }
const rollingDay: Window = { sliceMs: DAY / ROLLING_SLICES, slices: ROLLING_SLICES + 1 }

/**
 * The window of a quota, read off its name: `..._per_hour` or `..._per_day`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const windowOf = (quota: string, mode: Mode): Window =>
  quota.endsWith("_per_hour") ? (mode === "fixed" ? hour : rollingHour) : mode === "fixed" ? day : rollingDay

/**
 * Number of the slice that `now` is in. UTC hours and days start at multiples of their length.
 *
 * @since 0.1.0
 * @category combinators
 */
export const sliceAt = (window: Window, now: number): number => Math.floor(now / window.sliceMs)

/**
 * When a slice stops counting.
 *
 * @since 0.1.0
 * @category combinators
 */
export const sliceEnd = (window: Window, slice: number): number => (slice + window.slices) * window.sliceMs

/**
 * Does a slice still count? A slice that is over never counts again.
 *
 * @since 0.1.0
 * @category combinators
 */
export const isLive = (window: Window, slice: number, now: number): boolean => now < sliceEnd(window, slice)

/**
 * @since 0.1.0
 * @category constructors
 */
export const makeCounter = <Quota extends string>(quota: Quota, mode: Mode): Counter<Quota> => ({
  quota,
  window: windowOf(quota, mode),
  buckets: []
})

/**
 * Drops the buckets that are over.
 *
 * @since 0.1.0
 * @category combinators
 */
export const prune = ({ buckets, window }: Counter, now: number): void => {
  while (buckets.length > 0 && !isLive(window, buckets[0]!.slice, now)) {
    buckets.shift()
  }
}

/**
 * The clock was set back to `now`: usage of slices that have not begun counts in the current one. Unfinished
 * reservations stay in their slice.
 *
 * @since 0.1.0
 * @category combinators
 */
export const rewind = (counter: Counter, now: number): void => {
  const current = sliceAt(counter.window, now)
  let ahead = 0
  for (const bucket of counter.buckets) {
    if (bucket.slice <= current) continue
    ahead += bucket.used
    bucket.used = 0
  }
  counter.buckets = counter.buckets.filter(({ reserved, slice }) => slice <= current || reserved > 0)
  if (ahead > 0) bucketOf(counter, current).used += ahead
}

/**
 * The bucket of a slice, made if need be.
 *
 * @since 0.1.0
 * @category combinators
 */
export const bucketOf = (counter: Counter, slice: number): Bucket => {
  const { buckets } = counter
  let index = buckets.length
  while (index > 0 && buckets[index - 1]!.slice >= slice) {
    index -= 1
    if (buckets[index]!.slice === slice) {
      return buckets[index]!
    }
  }
  const bucket: Bucket = { slice, used: 0, reserved: 0 }
  // An array that grows keeps spare room for sixteen more; most counters never have a second bucket.
  if (buckets.length === 0) counter.buckets = [bucket]
  else buckets.splice(index, 0, bucket)
  return bucket
}

/**
 * @since 0.1.0
 * @category combinators
 */
export const usedOf = ({ buckets }: Counter): number => {
  let sum = 0
  for (let i = 0; i < buckets.length; i++) sum += buckets[i]!.used
  return sum
}

/**
 * @since 0.1.0
 * @category combinators
 */
export const reservedOf = ({ buckets }: Counter): number => {
  let sum = 0
  for (let i = 0; i < buckets.length; i++) sum += buckets[i]!.reserved
  return sum
}

/**
 * May `amount` be charged when `taken` is used or held? An amount of 0, and a post-paid one, asks whether anything is
 * left.
 *
 * @since 0.1.0
 * @category combinators
 */
export const admits = (taken: number, amount: number, limit: number, postPaid: boolean): boolean =>
  postPaid || amount === 0 ? taken < limit : taken + amount <= limit

/**
 * When the whole counter is free again without further charges. Expects a pruned counter.
 *
 * @since 0.1.0
 * @category combinators
 */
export const resetAt = ({ buckets, window }: Counter, now: number): number =>
  sliceEnd(window, buckets.length > 0 ? buckets[buckets.length - 1]!.slice : sliceAt(window, now))

/**
 * The first moment at which a charge refused now is admitted, without further charges and if what is held is settled as
 * estimated. An amount above the limit is never admitted; then the reset of the whole window.
 *
 * @since 0.1.0
 * @category combinators
 */
export const admittedAt = (
  counter: Counter,
  now: number,
  amount: number,
  limit: number,
  postPaid: boolean
): number => {
  let taken = usedOf(counter) + reservedOf(counter)
  for (const bucket of counter.buckets) {
    taken -= bucket.used + bucket.reserved
    if (admits(taken, amount, limit, postPaid)) {
      return sliceEnd(counter.window, bucket.slice)
    }
  }
  return resetAt(counter, now)
}
