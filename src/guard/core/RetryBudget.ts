/**
 * How many retries all callers together may make: a bucket that first attempts fill and retries empty.
 *
 * Retrying helps with the rare fault and harms in the common one: when everything fails, callers that
 * each try five times send five times the load to what is already down. A budget knows the difference,
 * because in an outage first attempts earn a fifth of a retry each and no more (the retry budget of
 * Finagle; Google's SRE book, "Addressing cascading failures"). The floor lets a server with little
 * traffic retry at all.
 *
 * Invariants
 * 1. Tokens spent, less those given back, never exceed `initial + ratio * firsts + floor * seconds`.
 * 2. The bucket never holds more than `cap`, so credit of a quiet day cannot feed a storm.
 * 3. Time never runs backwards: an earlier `now` is taken for the latest one seen.
 *
 * Amounts are whole millionths of a token and times whole milliseconds, so that sums are exact.
 *
 * @since 0.1.0
 */

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Tokens that each first attempt earns. */
  readonly ratio: number
  /** Tokens earned by the passing of a second, in steps of 0.001. */
  readonly floorPerSecond: number
  /** Most tokens held, >= 1. */
  readonly cap: number
  /** Tokens at the start. */
  readonly initial: number
  /** What a retry costs ... */
  readonly retryCost: number
  /** ... and what it costs when the failed attempt may still be running in the warehouse. */
  readonly timeoutCost: number
}

/**
 * The start is ten seconds' worth of the floor: a server that was just started, and had no traffic to
 * earn from, survives a few faults.
 *
 * @since 0.1.0
 * @category models
 */
export const defaults: Options = {
  ratio: 0.2,
  floorPerSecond: 1,
  cap: 100,
  initial: 10,
  retryCost: 1,
  timeoutCost: 2
}

/** {@link Options} in millionths. */
export interface Config {
  readonly perFirst: number
  readonly perMs: number
  readonly cap: number
  readonly initial: number
  readonly retryCost: number
  readonly timeoutCost: number
}

export interface State {
  /** Millionths of a token held at `at`. */
  readonly tokens: number
  /** Whole milliseconds; the latest time seen. */
  readonly at: number
}

const TOKEN = 1_000_000

/** Everything that is wrong with the options, in words; empty when nothing is. */
export const problems = (options: Options): ReadonlyArray<string> => {
  const found: Array<string> = []
  const between = (name: keyof Options, least: number, most: number): void => {
    const value = options[name]
    if (!(value >= least && value <= most))
      found.push(`budget.${name} must be between ${least} and ${most}, not ${value}`)
  }
  between("ratio", 0, 1_000)
  between("floorPerSecond", 0, 1_000_000)
  between("cap", 1, 1_000_000)
  between("initial", 0, options.cap)
  // A retry that costs nothing is one without a budget.
  between("retryCost", 1 / TOKEN, options.cap)
  between("timeoutCost", options.retryCost, options.cap)
  return found
}

export const compile = (options: Options): Config => ({
  perFirst: Math.round(options.ratio * TOKEN),
  perMs: Math.round((options.floorPerSecond * TOKEN) / 1000),
  cap: Math.round(options.cap * TOKEN),
  initial: Math.round(options.initial * TOKEN),
  retryCost: Math.round(options.retryCost * TOKEN),
  timeoutCost: Math.round(options.timeoutCost * TOKEN)
})

/** A budget at its start, at `now` milliseconds of any monotonic clock. */
export const initial = (config: Config, now: number): State => ({
  tokens: config.initial,
  at: Math.floor(now)
})

const accrue = (state: State, now: number, config: Config): State => {
  const at = Math.floor(now)
  return at > state.at
    ? { tokens: Math.min(config.cap, state.tokens + (at - state.at) * config.perMs), at }
    : state
}

/**
 * A first attempt is made. Takes no time, because it does not matter whether a capped bucket receives
 * what was earned by waiting before or after this; it is the only step that every call pays for.
 */
export const deposit = (state: State, config: Config): State => ({
  tokens: Math.min(config.cap, state.tokens + config.perFirst),
  at: state.at
})

const costOf = (config: Config, afterTimeout: boolean): number =>
  afterTimeout ? config.timeoutCost : config.retryCost

/** May there be a retry? It is paid for when the answer is yes, and costs nothing when it is no. */
export const withdraw = (
  state: State,
  now: number,
  config: Config,
  afterTimeout: boolean
): readonly [admitted: boolean, next: State] => {
  const current = accrue(state, now, config)
  const cost = costOf(config, afterTimeout)
  return current.tokens < cost ? [false, current] : [true, { tokens: current.tokens - cost, at: current.at }]
}

/** Gives back what a retry cost that was never made. */
export const refund = (state: State, config: Config, afterTimeout: boolean): State => ({
  tokens: Math.min(config.cap, state.tokens + costOf(config, afterTimeout)),
  at: state.at
})

/** Tokens left. */
export const left = (state: State, now: number, config: Config): number =>
  accrue(state, now, config).tokens / TOKEN
