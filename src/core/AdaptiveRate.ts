/**
 * The rate at which all callers together may call the warehouse: a token bucket whose rate gives way
 * when the warehouse says that it is overloaded (additive increase, multiplicative decrease).
 *
 * ```
 *   overload    factor := max(floor, factor * cut)        at most once an epoch
 *   each clean second since the last cut                  factor := min(1, factor + raise)
 *   rate = base rate * factor          room = max(one call, burst * factor)
 * ```
 *
 * An epoch lasts from one cut to the next signal of a call that was sent *after* the cut: a hundred
 * calls in flight that are all turned away are one piece of news, and cut once.
 *
 * The bucket is GCRA in its leaky form: `debt` is what has been sent and not yet drained, in
 * microseconds of the full rate (thousandths of them, so that everything is a whole number and sums are
 * exact), and it drains at `factor`. At factor 1 this is the plain token bucket of the base rate.
 *
 * Invariants
 * 1. `floor <= factor <= 1`, whatever happens; without signals it is 1 after `(1 - floor) / raise` s.
 * 2. In any window of `w` seconds at most `burst + rate * w` calls are admitted, at the base rate; in
 *    one of reduced rate, less in proportion.
 * 3. A refusal charges nothing, and its wait is exact in whole milliseconds while nobody else calls and
 *    no signal arrives.
 * 4. Time never runs backwards: an earlier `now` is taken for the latest one seen.
 *
 * There is no timer: the factor is a function of the last cut and of now.
 *
 * @since 0.1.0
 */

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Calls per second at factor 1. */
  readonly ratePerSecond: number
  /** Calls at once at factor 1, >= 1. */
  readonly burst: number
  /** An overload leaves this part of the rate. */
  readonly cut: number
  /** Part of the full rate that comes back with every clean second. */
  readonly raisePerSecond: number
  /** Part of the full rate that is always left. */
  readonly floor: number
}

/**
 * The base is the limit of all calls of all clients, so that the gate is invisible until the warehouse
 * complains. Three overloads in a row leave a third of it, and a raise of 5 % a second brings the rest
 * back in 14 s.
 *
 * @since 0.1.0
 * @category models
 */
export const defaults: Options = {
  ratePerSecond: 100,
  burst: 200,
  cut: 0.7,
  raisePerSecond: 0.05,
  floor: 0.1
}

/** {@link Options} in whole numbers: factors in thousandths, times in thousandths of a microsecond. */
export interface Config {
  /** What one call adds to the debt. */
  readonly interval: number
  /** The debt that a burst makes. */
  readonly depth: number
  readonly cut: number
  readonly raise: number
  readonly floor: number
}

/** What holds from one cut to the next. */
export interface Epoch {
  /** The time, in the caller's clock, that all times inside are counted from. */
  readonly origin: number
  /** The factor at the cut, in thousandths ... */
  readonly factor: number
  /** ... and when that was, microseconds; `-Infinity` before the first. */
  readonly cutAt: number
}

/** In two parts, because every call makes a new one. */
export interface State {
  readonly epoch: Epoch
  /** Latest time seen; microseconds. */
  readonly last: number
  readonly debt: number
}

const FULL = 1_000
const SECOND = 1_000_000

/** Everything that is wrong with the options, in words; empty when nothing is. */
/**
 * What a base rate can be. A rate outside of it is another guard's business: one this slow does not need
 * to give way, and one this fast never does.
 */
export const bounds = {
  ratePerSecond: { least: 0.1, most: 1_000_000 },
  burst: { least: 1, most: 100_000 }
} as const

export const problems = (options: Options): ReadonlyArray<string> => {
  const found: Array<string> = []
  const between = (name: keyof Options, least: number, most: number): void => {
    const value = options[name]
    if (!(value >= least && value <= most))
      found.push(`${name} must be between ${least} and ${most}, not ${value}`)
  }
  between("ratePerSecond", bounds.ratePerSecond.least, bounds.ratePerSecond.most)
  between("burst", bounds.burst.least, bounds.burst.most)
  between("cut", 0.001, 0.999)
  between("raisePerSecond", 0.001, 1)
  between("floor", 0.001, 1)
  return found
}

export const compile = (options: Options): Config => {
  // Rounded up: never faster than configured.
  const interval = Math.ceil((SECOND * FULL) / options.ratePerSecond)
  return {
    interval,
    depth: Math.floor(options.burst * interval),
    cut: Math.round(options.cut * FULL),
    raise: Math.round(options.raisePerSecond * FULL),
    floor: Math.round(options.floor * FULL)
  }
}

/** A full bucket at factor 1, at `now` milliseconds of any monotonic clock. */
export const initial = (now: number): State => ({
  epoch: { origin: now, factor: FULL, cutAt: -Infinity },
  last: 0,
  debt: 0
})

const micros = ({ origin }: Epoch, now: number): number => Math.floor((now - origin) * 1_000)

const monotone = (state: State, now: number): number => {
  const at = micros(state.epoch, now)
  return at > state.last ? at : state.last
}

const secondsClean = (epoch: Epoch, at: number): number => Math.floor((at - epoch.cutAt) / SECOND)

const factorAt = (epoch: Epoch, at: number, config: Config): number =>
  epoch.factor === FULL ? FULL : Math.min(FULL, epoch.factor + config.raise * secondsClean(epoch, at))

/** When the factor next changes. */
const raiseAfter = (epoch: Epoch, at: number): number => epoch.cutAt + (secondsClean(epoch, at) + 1) * SECOND

/** The debt that leaves room for one more call. */
const roomAt = (factor: number, { depth, interval }: Config): number =>
  factor === FULL ? depth - interval : Math.max(0, Math.floor((depth * factor) / FULL) - interval)

const debtAt = ({ debt, epoch, last }: State, until: number, config: Config): number => {
  let left = debt
  let at = last
  while (left > 0 && at < until) {
    const factor = factorAt(epoch, at, config)
    const end = factor === FULL ? until : Math.min(until, raiseAfter(epoch, at))
    left -= (end - at) * factor
    at = end
  }
  return left > 0 ? left : 0
}

/** Whole milliseconds until there is room, when there is none at `now`. */
const waitOf = (epoch: Epoch, now: number, owed: number, config: Config): number => {
  let debt = owed
  let at = now
  for (;;) {
    const factor = factorAt(epoch, at, config)
    const rest = Math.ceil((debt - roomAt(factor, config)) / factor)
    // With more room after a raise, the debt may be small enough at once.
    if (rest <= 0) break
    const end = factor === FULL ? Infinity : raiseAfter(epoch, at)
    if (at + rest <= end) {
      at += rest
      break
    }
    debt -= (end - at) * factor
    at = end
  }
  return Math.ceil((at - now) / 1_000)
}

/** Admits one call, or says in how many milliseconds it would be admitted; 0 is now. */
export const acquire = (
  state: State,
  at: number,
  config: Config
): readonly [retryAfterMs: number, next: State] => {
  const now = monotone(state, at)
  const debt = debtAt(state, now, config)
  const { epoch } = state
  return debt > roomAt(factorAt(epoch, now, config), config)
    ? [waitOf(epoch, now, debt, config), { epoch, last: now, debt }]
    : [0, { epoch, last: now, debt: debt + config.interval }]
}

/** A call that was admitted was not sent. */
export const refund = (state: State, at: number, config: Config): State => {
  const last = monotone(state, at)
  const debt = Math.max(0, debtAt(state, last, config) - config.interval)
  return { epoch: state.epoch, last, debt }
}

/**
 * The warehouse turned away a call that was sent at `sentAt`. Nothing comes of it when that was before
 * the last cut: the news is of the old rate.
 */
export const overloaded = (
  state: State,
  at: number,
  config: Config,
  sentAt: number
): readonly [cut: boolean, next: State] => {
  const { epoch } = state
  if (micros(epoch, sentAt) <= epoch.cutAt) return [false, state]
  const now = monotone(state, at)
  const factor = Math.max(config.floor, Math.floor((factorAt(epoch, now, config) * config.cut) / FULL))
  const debt = debtAt(state, now, config)
  return [true, { epoch: { origin: epoch.origin, factor, cutAt: now }, last: now, debt }]
}

/** What can be known of the gate at `at`. */
export interface Reading {
  /** Part of the base rate that is in force. */
  readonly factor: number
  /** Calls at once at that factor. */
  readonly burst: number
  /** Calls that would be admitted right now. */
  readonly remaining: number
}

export const read = (state: State, at: number, config: Config): Reading => {
  const now = monotone(state, at)
  const factor = factorAt(state.epoch, now, config)
  const room = roomAt(factor, config)
  const left = room - debtAt(state, now, config)
  const calls = (debt: number): number => (debt < 0 ? 0 : Math.floor(debt / config.interval) + 1)
  return { factor: factor / FULL, burst: calls(room), remaining: calls(left) }
}
