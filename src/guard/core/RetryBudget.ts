/**
 * The retry budget of all callers together: a bucket that first attempts fill and retries empty.
 *
 * Retries help with rare faults and harm in an outage: callers with five attempts each send five times the load. With a
 * budget each first attempt earns a fifth of a retry and no more (the retry budget of Finagle; Google's SRE book,
 * "Addressing cascading failures"). The floor allows retries of a server with little traffic.
 *
 * Invariants
 * 1. Tokens spent, less those given back, never exceed `initial + ratio * firsts + floor * seconds`.
 * 2. The bucket never holds more than `cap`: a quiet day earns no burst of retries.
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
 * `initial` is ten seconds of the floor: a server that was just started can retry a few faults.
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

/** The problems of the options; empty when there is none. */
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
  // A retry without a cost would have no budget.
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
 * A first attempt. Needs no time: in a capped bucket the order of this and the accrual does not matter. It is the only
 * step of the budget that every call pays for.
 */
export const deposit = (state: State, config: Config): State => ({
  tokens: Math.min(config.cap, state.tokens + config.perFirst),
  at: state.at
})

const costOf = (config: Config, afterTimeout: boolean): number =>
  afterTimeout ? config.timeoutCost : config.retryCost

/** Takes the cost of a retry, if there are enough tokens. */
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

/** Gives back the cost of a retry that was not made. */
export const refund = (state: State, config: Config, afterTimeout: boolean): State => ({
  tokens: Math.min(config.cap, state.tokens + costOf(config, afterTimeout)),
  at: state.at
})

/** Tokens left. */
export const left = (state: State, now: number, config: Config): number =>
  accrue(state, now, config).tokens / TOKEN
