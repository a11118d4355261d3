/**
 * The degradation ladder: four modes. It goes up at once and down one step at a time.
 *
 *     normal ──> constrained ──> cache-only ──> emergency      up: at once, several steps if need be
 *            <──             <──            <──                down: one step, after `holdMs` clean
 *
 * A mode is clean while the signals call for a lower one. An open circuit does not flicker like a measurement: it has
 * damping of its own (growing open times, probes that must succeed), and therefore a hold of its own, `circuitHoldMs`.
 *
 * Invariants
 * 1. After an observation the mode is at least what the signals call for.
 * 2. A mode that a measurement called for is left no earlier than `holdMs` after the last observation that called for
 *    it, and there are at least `holdMs` between two steps down.
 * 3. An idle ladder steps down by itself: time without an observation counts as clean.
 * 4. The generation counts the changes of the mode in force.
 * 5. The latest pin sets the mode; the ladder follows the signals beneath it.
 * 6. Time never runs backwards: an earlier `now` is taken for the latest one seen.
 *
 * @since 0.1.0
 */

/** From best to worst. */
export const modes = ["normal", "constrained", "cache-only", "emergency"] as const
export type Mode = (typeof modes)[number]

export type Criticality = "control" | "metadata" | "query" | "batch"

/** The signals of the ladder. */
export const signalNames = ["circuit", "event-loop", "slot-wait", "refusals", "quota"] as const
export type SignalName = (typeof signalNames)[number]

export interface Circuit {
  readonly phase: "closed" | "open" | "half-open" | "forced-open" | "disabled"
  /** Milliseconds until a probe is let through. */
  readonly retryAfterMs: number
}

/** The signals at one moment; an absent signal calls for nothing. */
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

/** The thresholds of a signal by mode; `Infinity`: never. */
export interface Steps {
  readonly constrained: number
  readonly cacheOnly: number
  readonly emergency: number
}

export interface Config {
  /** Milliseconds for which a mode must be clean before the step down. */
  readonly holdMs: number
  /** Milliseconds for which cache-only is held after an open circuit. */
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
  /** The mode of the signals, with holds, as an index of {@link modes}. */
  readonly base: number
  /** The reading that caused `base`. */
  readonly why: Why | undefined
  /** The signals call for a lower mode; the hold keeps `base`. */
  readonly recovering: boolean
  /** Time of the last step down; `-Infinity` after a step up. */
  readonly steppedAt: number
  /** Until when measurements hold a mode, by its index. */
  readonly heldUntil: readonly [number, number, number, number]
  /** Until when an open circuit holds cache-only; `Infinity` while it is forced open. */
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

type Step = readonly [Change | undefined, State]

const NEVER = Number.NEGATIVE_INFINITY
const CACHE_ONLY = 2

const modeAt = (index: number): Mode => modes[index] ?? "emergency"

export const indexOf = (mode: Mode): number => modes.indexOf(mode)

export const initial = (now: number): State => ({
  mode: "normal",
  since: now,
  generation: 0,
  base: 0,
  why: undefined,
  recovering: false,
  steppedAt: NEVER,
  heldUntil: [NEVER, NEVER, NEVER, NEVER],
  circuitUntil: NEVER,
  pins: [],
  last: now,
  nextToken: 0
})

const isOpen = (circuit: Circuit): boolean =>
  circuit.phase === "forced-open" || (circuit.phase === "open" && circuit.retryAfterMs > 0)

const ofCircuit = (circuit: Circuit | undefined): Why | undefined => {
  if (circuit === undefined || circuit.phase === "closed" || circuit.phase === "disabled") return undefined
  // Open with a probe due: a call has to be admitted as the probe.
  const mode = isOpen(circuit) ? "cache-only" : "constrained"
  return { signal: "circuit", mode, phase: circuit.phase }
}

const ofMeasurement = (
  signal: Exclude<SignalName, "circuit">,
  value: number | undefined,
  { cacheOnly, constrained, emergency }: Steps
): Why | undefined => {
  if (value === undefined) return undefined
  if (value >= emergency) return { signal, mode: "emergency", value, threshold: emergency }
  if (value >= cacheOnly) return { signal, mode: "cache-only", value, threshold: cacheOnly }
  return value >= constrained ? { signal, mode: "constrained", value, threshold: constrained } : undefined
}

const worse = (one: Why | undefined, other: Why | undefined): Why | undefined =>
  one === undefined || (other !== undefined && indexOf(other.mode) > indexOf(one.mode)) ? other : one

const worstMeasurement = (signals: Signals, config: Config): Why | undefined =>
  [
    ofMeasurement("event-loop", signals.eventLoopMs, config.eventLoopMs),
    ofMeasurement("slot-wait", signals.slotWaitMs, config.slotWaitMs),
    ofMeasurement("refusals", signals.refusalRatio, config.refusalRatio),
    ofMeasurement("quota", signals.quotaUsed, config.quotaUsed)
  ].reduce(worse, undefined)

/** When the step down from a mode is due, if no signal calls for the mode before. */
const leaveAt = (state: State, index: number, steppedAt: number, config: Config): number =>
  Math.max(
    state.heldUntil[index] ?? NEVER,
    index === CACHE_ONLY ? state.circuitUntil : NEVER,
    steppedAt + config.holdMs
  )

/** Sets the mode in force from the base and the pins. */
const enforce = (before: State, next: State, since: number): Step => {
  const mode = next.pins[next.pins.length - 1]?.mode ?? modeAt(next.base)
  if (mode === before.mode) return [undefined, next]
  const generation = before.generation + 1
  return [
    { from: before.mode, to: mode, generation },
    { ...next, mode, since, generation }
  ]
}

/** Observes the signals. */
export const observe = (before: State, at: number, signals: Signals, config: Config): Step => {
  const now = Math.max(before.last, at)
  const circuit = ofCircuit(signals.circuit)
  const measured = worstMeasurement(signals, config)
  // A half-open circuit is held like a measurement; an open one says until when.
  const open = signals.circuit !== undefined && isOpen(signals.circuit) ? signals.circuit : undefined
  const held = Math.max(
    measured === undefined ? 0 : indexOf(measured.mode),
    circuit === undefined || open !== undefined ? 0 : indexOf(circuit.mode)
  )
  const hold = (index: number, until: number): number => (index <= held ? now + config.holdMs : until)
  const state: State = {
    ...before,
    last: now,
    heldUntil: [
      NEVER,
      hold(1, before.heldUntil[1]),
      hold(2, before.heldUntil[2]),
      hold(3, before.heldUntil[3])
    ],
    circuitUntil:
      open === undefined
        ? Math.min(before.circuitUntil, now + config.circuitHoldMs)
        : open.phase === "forced-open"
          ? Number.POSITIVE_INFINITY
          : now + open.retryAfterMs + config.circuitHoldMs
  }
  const why = worse(circuit, measured)
  const called = why === undefined ? 0 : indexOf(why.mode)
  if (called > state.base) {
    return enforce(before, { ...state, base: called, why, recovering: false, steppedAt: NEVER }, now)
  }
  let { base, steppedAt } = state
  let since = now
  while (base > called) {
    const due = leaveAt(state, base, steppedAt, config)
    if (due > now) break
    steppedAt = since = due
    base -= 1
  }
  const recovering = base > called
  return enforce(before, { ...state, base, steppedAt, recovering, why: recovering ? state.why : why }, since)
}

/** Sets the mode until `unpin` with the same token. */
export const pin = (before: State, at: number, mode: Mode, cause: string): readonly [number, ...Step] => {
  const now = Math.max(before.last, at)
  const token = before.nextToken
  const pins = [...before.pins, { token, mode, cause }]
  return [token, ...enforce(before, { ...before, last: now, pins, nextToken: token + 1 }, now)]
}

export const unpin = (before: State, at: number, token: number): Step => {
  const now = Math.max(before.last, at)
  const pins = before.pins.filter((pin) => pin.token !== token)
  return enforce(before, { ...before, last: now, pins }, now)
}

/**
 * The decision about a call. `shed`: refused with some probability. `cache-only`: may be answered from the cache only.
 */
export type Verdict = "admit" | "shed" | "cache-only" | "refuse"

const table: { readonly [M in Mode]: { readonly [C in Criticality]: Verdict } } = {
  normal: { control: "admit", metadata: "admit", query: "admit", batch: "admit" },
  constrained: { control: "admit", metadata: "admit", query: "shed", batch: "refuse" },
  "cache-only": { control: "admit", metadata: "cache-only", query: "refuse", batch: "refuse" },
  emergency: { control: "admit", metadata: "cache-only", query: "refuse", batch: "refuse" }
}

export const verdict = (mode: Mode, criticality: Criticality): Verdict => table[mode][criticality]

const admitted = (index: number, criticality: Criticality): boolean => {
  const found = verdict(modeAt(index), criticality)
  return found === "admit" || found === "shed"
}

/**
 * The least milliseconds until the mode is as low as `modes[to]`, if no signal calls for a higher one. Undefined when an
 * operator decides.
 */
const untilIndex = (state: State, now: number, to: number, config: Config): number | undefined => {
  if (state.pins.length > 0) return undefined
  let due = now
  let steppedAt = state.steppedAt
  for (let index = state.base; index > to; index--) {
    due = steppedAt = leaveAt(state, index, steppedAt, config)
  }
  return due === Number.POSITIVE_INFINITY ? undefined : Math.max(0, Math.ceil(due - now))
}

/** The least milliseconds until a call is admitted again; undefined when an operator decides. */
export const untilAdmitted = (
  state: State,
  now: number,
  criticality: Criticality,
  config: Config
): number | undefined => {
  let to = state.base
  while (to > 0 && !admitted(to, criticality)) to--
  return untilIndex(state, now, to, config)
}

/** The least milliseconds until the next step down; undefined when an operator decides or there is none. */
export const untilStepDown = (state: State, now: number, config: Config): number | undefined =>
  state.base === 0 ? undefined : untilIndex(state, now, state.base - 1, config)

/** When the next step down is due: an observation is needed then, however fresh the last one is. */
export const dueAt = (state: State, config: Config): number =>
  state.base === 0 ? Number.POSITIVE_INFINITY : leaveAt(state, state.base, state.steppedAt, config)

const ms = (value: number): string => `${Math.ceil(value)} ms`
const seconds = (value: number): string => `${Math.ceil(value / 1000)} s`
const percent = (share: number): string => `${Math.round(share * 100)} %`

const reading = (why: Why): string => {
  switch (why.signal) {
    case "circuit":
      return why.phase === "forced-open"
        ? "an operator holds the circuit to the warehouse open"
        : why.mode === "cache-only"
          ? "the circuit to the warehouse is open"
          : "the circuit to the warehouse lets only probes through"
    case "event-loop":
      return `this server runs ${ms(why.value)} late (threshold ${ms(why.threshold)})`
    case "slot-wait":
      return `a call would wait ${ms(why.value)} for a slot (threshold ${ms(why.threshold)})`
    case "refusals":
      return `${percent(why.value)} of recent calls were refused for overload (threshold ${percent(why.threshold)})`
    case "quota":
      return `${percent(why.value)} of the quota shared by all clients is used (threshold ${percent(why.threshold)})`
  }
}

/** Why the mode is in force. */
export const describe = (state: State): string => {
  const pin = state.pins[state.pins.length - 1]
  if (pin !== undefined) return `an operator has pinned it (${pin.cause})`
  if (state.why === undefined) return "nothing calls for less"
  return state.recovering ? `it is recovering; the cause was: ${reading(state.why)}` : reading(state.why)
}

const needs = (why: Why, holdMs: number, inMs: number | undefined): string => {
  switch (why.signal) {
    case "circuit":
      return why.phase === "forced-open" || inMs === undefined
        ? "an operator must release the circuit"
        : why.mode === "cache-only"
          ? inMs > 0
            ? "a call is let through as a probe"
            : "the next call is let through as a probe"
          : "probes must succeed and the circuit close"
    default:
      return `the ${why.signal} signal must stay below its threshold for ${seconds(holdMs)}`
  }
}

/**
 * The next mode down and its condition, without the time until then: that is `inMs`, which runs down; undefined when an
 * operator decides.
 */
export const wayBack = (
  state: State,
  holdMs: number,
  inMs: number | undefined
): { readonly to: Mode; readonly condition: string; readonly inMs?: number } | undefined => {
  if (state.pins.length > 0) {
    return { to: modes[state.base] ?? "normal", condition: "an operator must release the pin" }
  }
  if (state.base === 0) return undefined
  const condition =
    state.recovering || state.why === undefined
      ? `no signal may call for ${modes[state.base]}`
      : needs(state.why, holdMs, inMs)
  return {
    to: modes[indexOf(state.mode) - 1] ?? "normal",
    condition,
    ...(inMs === undefined ? {} : { inMs })
  }
}

/** Condition and time in one text, for those who read it once. */
export const inWords = ({
  condition,
  inMs
}: {
  readonly condition: string
  readonly inMs?: number | undefined
}) => (inMs === undefined || inMs <= 0 ? condition : `${condition}, in ${seconds(inMs)} at the earliest`)
