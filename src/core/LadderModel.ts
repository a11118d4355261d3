/** What the degradation ladder is made of. The steps are in `DegradationLadder.ts`. */

/** From best to worst. */
export const modes = ["normal", "constrained", "cache-only", "emergency"] as const
export type Mode = (typeof modes)[number]

export type Criticality = "control" | "metadata" | "query" | "batch"

/** What the ladder goes by. */
export const signalNames = ["circuit", "event-loop", "slot-wait", "refusals", "quota"] as const
export type SignalName = (typeof signalNames)[number]

export interface Circuit {
  readonly phase: "closed" | "open" | "half-open" | "forced-open" | "disabled"
  /** Milliseconds until a probe is let through. */
  readonly retryAfterMs: number
}

/** What is known at one moment; an absent signal calls for nothing. */
export interface Signals {
  readonly circuit?: Circuit | undefined
  /** Milliseconds by which timers of this process are late. */
  readonly eventLoopMs?: number | undefined
  /** Milliseconds a call would wait for a slot. */
  readonly slotWaitMs?: number | undefined
  /** Share of calls refused for overload, 0 to 1. */
  readonly refusalRatio?: number | undefined
  /** Share of the quota of all clients together that is used, 0 to 1. */
  readonly quotaUsed?: number | undefined
}

/** From which value on a signal calls for a mode; `Infinity`: never. */
export interface Steps {
  readonly constrained: number
  readonly cacheOnly: number
  readonly emergency: number
}

export interface Config {
  /** Milliseconds for which a mode must be clean before the step down. */
  readonly holdMs: number
  /** Milliseconds for which cache-only outlives an open circuit. */
  readonly circuitHoldMs: number
  readonly eventLoopMs: Steps
  readonly slotWaitMs: Steps
  readonly refusalRatio: Steps
  readonly quotaUsed: Steps
}

/** The reading that called for a mode. */
export type Why =
  | { readonly signal: "circuit"; readonly mode: Mode; readonly phase: Circuit["phase"] }
  | {
      readonly signal: Exclude<SignalName, "circuit">
      readonly mode: Mode
      readonly value: number
      readonly threshold: number
    }

export interface Pin {
  readonly token: number
  readonly mode: Mode
  readonly cause: string
}

export interface State {
  /** The mode in force: the latest pin's, else `base`. */
  readonly mode: Mode
  /** Since when. */
  readonly since: number
  readonly generation: number
  /** What the signals ask for, hold included, as an index of {@link modes}. */
  readonly base: number
  /** The reading that brought `base` about. */
  readonly why: Why | undefined
  /** The signals call for less by now; only the hold keeps `base` up. */
  readonly recovering: boolean
  /** When the last step led down; never, when it led up. */
  readonly steppedAt: number
  /** By index of the mode: until when measurements hold it. */
  readonly heldUntil: readonly [number, number, number, number]
  /** Until when an open circuit holds cache-only; `Infinity` while nobody can say. */
  readonly circuitUntil: number
  readonly pins: ReadonlyArray<Pin>
  readonly last: number
  readonly nextToken: number
}

/** A change of the mode in force. */
export interface Change {
  readonly from: Mode
  readonly to: Mode
  readonly generation: number
}
