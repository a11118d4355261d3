/** The words of the degradation ladder: its modes, what it goes by, and its refusal. */
import type * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import * as Ladder from "../core/DegradationLadder.js"
import { Criticality } from "../Operation.js"
import type * as LadderRef from "./ladderRef.js"

/**
 * From best to worst: `normal < constrained < cache-only < emergency`.
 *
 * @since 0.1.0
 * @category models
 */
export const Mode = Schema.Literal(...Ladder.modes)
/**
 * @since 0.1.0
 * @category models
 */
export type Mode = typeof Mode.Type

/**
 * Which signal it was; `operator` for a pin.
 *
 * @since 0.1.0
 * @category models
 */
export const Signal = Schema.Literal(...Ladder.signalNames, "operator")
/**
 * @since 0.1.0
 * @category models
 */
export type Signal = typeof Signal.Type

/**
 * What the ladder goes by, as far as it is known.
 *
 * @since 0.1.0
 * @category models
 */
export type Signals = LadderRef.Signals

/**
 * Where the signals are read. All are asked on the path of a call: they must answer at once.
 *
 * @since 0.1.0
 * @category models
 */
export type Sources = LadderRef.Sources

/**
 * From which value on a signal calls for a mode; `Infinity`: never.
 *
 * @since 0.1.0
 * @category models
 */
export type Steps = Ladder.Steps

/**
 * @since 0.1.0
 * @category models
 */
export type Config = LadderRef.Config

/**
 * What differs from {@link defaults}.
 *
 * @since 0.1.0
 * @category models
 */
export type Options = Partial<Config>

const never = Number.POSITIVE_INFINITY

/**
 * - `holdMs`: half a minute is longer than a burst of a few agents and shorter than a person's patience.
 * - `circuitHoldMs`: none. The breaker has waited already and lets a few probes through by itself; waiting
 *   on top of it would double every outage and keep the probes from being made.
 * - `eventLoopMs`: at 0.2 s callers notice; at 1 s time limits are no longer kept; at 3 s the process
 *   can do no more than say so.
 * - `slotWaitMs`: 2 s is before callers give up (5 s by default). A minute is a statement's whole time
 *   limit: slots that stand still for so long are stuck, not busy. Never emergency: a wait costs this
 *   process nothing.
 * - `refusalRatio`: at one in five, batch work makes room. Never cache-only: shedding by chance sends no
 *   more than gets through, whereas serving nobody would leave slots idle.
 * - `quotaUsed`: the last twentieth of the shared quota is not for batch work. When all is used, the
 *   quota refuses by itself and knows exactly until when.
 *
 * @since 0.1.0
 * @category models
 */
export const defaults: Config = {
  holdMs: 30_000,
  circuitHoldMs: 0,
  eventLoopMs: { constrained: 200, cacheOnly: 1_000, emergency: 3_000 },
  slotWaitMs: { constrained: 2_000, cacheOnly: 60_000, emergency: never },
  refusalRatio: { constrained: 0.2, cacheOnly: never, emergency: never },
  quotaUsed: { constrained: 0.95, cacheOnly: never, emergency: never },
  pullMs: 100,
  windowMs: 15_000,
  minimumCalls: 10,
  shedK: 2
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Change {
  readonly from: Mode
  readonly to: Mode
  readonly generation: number
  /** In words. */
  readonly why: string
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Status {
  readonly mode: Mode
  /** Counts the changes of the mode. */
  readonly generation: number
  /** For how long the mode has been in force, milliseconds. */
  readonly sinceMs: number
  /** In words. */
  readonly why: string
  /** The signal that called for it, what it read, and from where on that calls for the mode. */
  readonly signal?: Signal | undefined
  readonly value?: number | string | undefined
  readonly threshold?: number | undefined
  /** The next mode down, what must happen, and how long it takes at least (absent: nobody can say). */
  readonly wayBack?:
    { readonly to: Mode; readonly condition: string; readonly inMs?: number | undefined } | undefined
  /** Share of queries turned away, 0 to 1. */
  readonly shedding: number
}

/**
 * Turned away to keep the rest alive. `cache-only` work fails with it when the cache has nothing.
 *
 * @since 0.1.0
 * @category errors
 */
export class Degraded extends Schema.TaggedError<Degraded>("snowguard/Degraded")("Degraded", {
  mode: Mode,
  criticality: Criticality,
  /** In words. */
  why: Schema.String,
  signal: Signal,
  /** One of a share of calls turned away by chance: the next one may get through. */
  shed: Schema.Boolean,
  /** The earliest moment worth a new try, milliseconds; absent when an operator decides. */
  retryAfterMs: Schema.optional(Schema.Number)
}) {
  override get message(): string {
    return `${this.mode}: no ${this.criticality} work, because ${this.why}`
  }
}

/**
 * How a call that was let through ended, as far as overload goes.
 *
 * @since 0.1.0
 * @category models
 */
export type Outcome = "accepted" | "refused"

/**
 * @since 0.1.0
 * @category models
 */
export interface ProtectOptions<A, E> {
  /** What the end of the call says about overload; {@link defaultOutcome} when absent. */
  readonly outcome?: ((exit: Exit.Exit<A, E>) => Outcome | undefined) | undefined
}
