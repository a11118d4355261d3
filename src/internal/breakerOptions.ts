import * as Effect from "effect/Effect"
import type * as Schedule from "effect/Schedule"
import type * as BreakerModel from "../core/BreakerModel.js"

export interface Options {
  /** What it stands in front of, for the log lines: `orders` makes them "orders circuit open". */
  readonly name?: string | undefined
  /** Opens after this many failures in a row, >= 1; `Infinity` turns the trigger off. */
  readonly consecutiveFailures?: number | undefined
  /** Opens when this share of the calls in the window failed, > 0; more than 1 turns the trigger off. */
  readonly failureRate?: number | undefined
  /** Opens when this share of the calls in the window was slow, > 0; more than 1 turns the trigger off. */
  readonly slowCallRate?: number | undefined
  /** A call is slow when it took this many milliseconds or more. */
  readonly slowCallMs?: number | undefined
  /** No rate is judged over fewer calls than this. */
  readonly minimumCalls?: number | undefined
  /** The window holds this many calls at most ... */
  readonly windowCalls?: number | undefined
  /** ... and none that ended longer ago than this, milliseconds. */
  readonly windowMs?: number | undefined
  /** Probes that may run at once while half-open. */
  readonly probes?: number | undefined
  /** Probes that must succeed before it closes. */
  readonly probeSuccesses?: number | undefined
  /**
   * A probe that is not settled after this many milliseconds counts as failed. At least the longest
   * time an attempt may take, or healthy slow probes keep the circuit open.
   */
  readonly probeLeaseMs?: number | undefined
  /**
   * How long it stays open: the n-th delay of the schedule for the n-th trip in a row, the last one
   * again when the schedule has ended (or after 16). Only the delays are used, nothing is slept by it.
   */
  readonly openTimes?: Schedule.Schedule<unknown, unknown> | undefined
}

/**
 * The window spans five minutes, so that even calls one after another that each get no answer within the 50
 * seconds that a call may take add up to three in a row. Slow calls open it only when nearly all are slow, and
 * none is slow that ends within those 50 seconds: long queries are normal.
 */
export const defaults = {
  consecutiveFailures: 3,
  failureRate: 0.3,
  slowCallRate: 0.9,
  slowCallMs: 60_000,
  minimumCalls: 10,
  windowCalls: 100,
  windowMs: 300_000,
  probes: 2,
  probeSuccesses: 2,
  probeLeaseMs: 60_000,
  firstOpenMs: 30_000,
  openFactor: 2,
  maxOpenMs: 300_000
} as const

/** A number that makes no sense is a bug in the program that chose it. */
export const resolve = (options: Options): Effect.Effect<BreakerModel.Config> => {
  const config: BreakerModel.Config = {
    consecutiveFailures: options.consecutiveFailures ?? defaults.consecutiveFailures,
    failureRate: options.failureRate ?? defaults.failureRate,
    slowCallRate: options.slowCallRate ?? defaults.slowCallRate,
    slowCallMs: options.slowCallMs ?? defaults.slowCallMs,
    minimumCalls: options.minimumCalls ?? defaults.minimumCalls,
    windowCalls: options.windowCalls ?? defaults.windowCalls,
    windowMs: options.windowMs ?? defaults.windowMs,
    probes: options.probes ?? defaults.probes,
    probeSuccesses: options.probeSuccesses ?? defaults.probeSuccesses,
    probeLeaseMs: options.probeLeaseMs ?? defaults.probeLeaseMs
  }
  const wrong = Object.entries(config).find(([, value]) => !(value > 0))
  if (wrong !== undefined) {
    return Effect.dieMessage(`CircuitBreaker: ${wrong[0]} must be positive, not ${wrong[1]}`)
  }
  // A trigger that needs more calls than the window holds would silently never fire.
  const needed = [config.minimumCalls, config.consecutiveFailures].filter(Number.isFinite)
  return Math.max(...needed, 0) > config.windowCalls
    ? Effect.dieMessage("CircuitBreaker: windowCalls is less than minimumCalls or consecutiveFailures")
    : Effect.succeed(config)
}
