/**
 * What a circuit breaker's state is made of, and the only functions that change its phase. The rules
 * that use them are in `BreakerState.ts` (calls) and `BreakerOperator.ts` (people).
 *
 * @since 0.1.0
 */
import * as CallWindow from "./CallWindow.js"

/**
 * What a finished call says about the health of what it called. `alive`: it answered, though with the
 * caller's own mistake; counts as a success. `ignored`: says nothing.
 *
 * @since 0.1.0
 * @category models
 */
export type Verdict = "success" | "alive" | "failure" | "ignored"

/**
 * @since 0.1.0
 * @category models
 */
export interface Config extends CallWindow.Limits {
  /** Opens after this many failures in a row; `Infinity` turns this trigger off. */
  readonly consecutiveFailures: number
  /** Opens when this share of the calls in the window failed; > 1 turns this trigger off. */
  readonly failureRate: number
  /** Opens when this share of the calls in the window was slow; > 1 turns this trigger off. */
  readonly slowCallRate: number
  /** A call is slow when it took this many milliseconds or more. */
  readonly slowCallMs: number
  /** No rate is judged over fewer calls. */
  readonly minimumCalls: number
  /** Probes at once. */
  readonly probes: number
  /** Probes that must succeed before it closes. */
  readonly probeSuccesses: number
  /** Milliseconds after which an unfinished probe counts as failed. */
  readonly probeLeaseMs: number
}

/**
 * What was seen when it opened.
 *
 * @since 0.1.0
 * @category models
 */
export interface Evidence {
  readonly calls: number
  readonly failures: number
  readonly slow: number
  readonly streak: number
}

/**
 * @since 0.1.0
 * @category models
 */
export type Phase =
  | { readonly _tag: "closed"; readonly since: number; readonly window: CallWindow.CallWindow }
  | { readonly _tag: "open"; readonly until: number; readonly cause: string; readonly evidence: Evidence }
  | {
      readonly _tag: "half-open"
      readonly leases: ReadonlyArray<{ readonly id: number; readonly until: number }>
      readonly succeeded: number
      /** The client whose probe failed in a way that was reported: another one must see the same. */
      readonly doubter?: string | undefined
      readonly cause: string
      readonly evidence: Evidence
    }
  | {
      readonly _tag: "forced-open"
      readonly holders: ReadonlyArray<{ readonly token: number; readonly cause: string }>
      /** Where the last holder leaves it. */
      readonly then: "closed" | "disabled"
    }
  | { readonly _tag: "disabled" }

/**
 * @since 0.1.0
 * @category models
 */
export interface State {
  readonly phase: Phase
  readonly generation: number
  /** Opened how often since the last stable closure: the index of the next open time. */
  readonly trips: number
  /** How long it was open the last time; 0 when never. */
  readonly lastOpenMs: number
  /** Open times by number of trips; the last one repeats. Replaced from outside: see `withOpenDelays`. */
  readonly openDelays: ReadonlyArray<number>
  /** Verdicts that came too late to count. */
  readonly stale: number
  /** The latest `now` a change was made at. */
  readonly last: number
  /** Next id of a lease or of a holder. */
  readonly nextId: number
  /** Milliseconds that calls took lately, those that worked; a moving average. */
  readonly typicalMs: number
  /** The two clients that called last, and when. */
  readonly callers: Callers
}

interface Caller {
  readonly client: string
  readonly at: number
}

interface Callers {
  readonly latest?: Caller | undefined
  readonly other?: Caller | undefined
}

/** A client calls. */
export const called = ({ latest, other }: Callers, client: string, at: number): Callers => ({
  latest: { client, at },
  other: latest === undefined || latest.client === client ? other : latest
})

/** The same clients, as if the time in which nobody was let through had not passed. */
export const resumed = ({ latest, other }: Callers, ms: number): Callers => ({
  latest: latest && { ...latest, at: latest.at + ms },
  other: other && { ...other, at: other.at + ms }
})

/** Has only one client called within the window? */
export const isAlone = ({ other }: Callers, now: number, { windowMs }: Config): boolean =>
  other === undefined || now - other.at >= windowMs

/**
 * @since 0.1.0
 * @category models
 */
export interface Permit {
  readonly generation: number
  /** Id of the probe's lease; absent for an ordinary call. */
  readonly probe?: number | undefined
  /** Monotonic milliseconds. */
  readonly startedAt: number
  /** Who makes the call. */
  readonly client?: string | undefined
}

/**
 * What is known of a failure. Without it a failure is a silence, and like no other.
 *
 * @since 0.1.0
 * @category models
 */
export interface Failure extends Partial<Omit<CallWindow.Witness, "client">> {
  /** In a few words that all callers may read: part of the cause when it opens. */
  readonly why?: string | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Transition {
  readonly from: Phase["_tag"]
  readonly to: Phase["_tag"]
  readonly generation: number
  readonly cause: string
  /** How long it will stay open, where it opened. */
  readonly openMs?: number | undefined
}

/**
 * What happened in a step: mostly nothing.
 *
 * @since 0.1.0
 * @category models
 */
export type Transitions = ReadonlyArray<Transition>

/**
 * @since 0.1.0
 * @category models
 */
export interface Refusal {
  readonly phase: "open" | "half-open" | "forced-open"
  /**
   * Open: exact. Half-open: an estimate of when the first probe will have ended. Absent while forced open.
   */
  readonly retryAfterMs?: number | undefined
  readonly failures: number
  readonly calls: number
  readonly cause: string
}

/**
 * @since 0.1.0
 * @category models
 */
export type Admission =
  | { readonly _tag: "Admitted"; readonly permit: Permit; readonly transitions: Transitions }
  | { readonly _tag: "Refused"; readonly refusal: Refusal; readonly transitions: Transitions }

/** Nothing happened; shared, because that is the usual case. */
export const none: Transitions = []

/** How long a probe takes, while nothing has been seen. */
const FIRST_GUESS_MS = 1_000

/**
 * Closed, with nothing seen. `openDelays` must not be empty.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (openDelays: ReadonlyArray<number>): State => ({
  phase: { _tag: "closed", since: Number.NEGATIVE_INFINITY, window: CallWindow.empty },
  generation: 0,
  trips: 0,
  lastOpenMs: 0,
  openDelays,
  stale: 0,
  last: Number.NEGATIVE_INFINITY,
  nextId: 0,
  typicalMs: FIRST_GUESS_MS,
  callers: {}
})

/**
 * New open times, so that every trip can have fresh jitter. What is open already stays as it is.
 *
 * @since 0.1.0
 * @category combinators
 */
export const withOpenDelays = (state: State, openDelays: ReadonlyArray<number>): State => ({
  ...state,
  openDelays
})

/** Written out because it is on the path of every call, where a spread costs five times as much. */
export const withPhase = (
  state: State,
  phase: Phase,
  last: number,
  typicalMs: number,
  callers = state.callers
): State => ({
  phase,
  generation: state.generation,
  trips: state.trips,
  lastOpenMs: state.lastOpenMs,
  openDelays: state.openDelays,
  stale: state.stale,
  last,
  nextId: state.nextId,
  typicalMs,
  callers
})

/** The only place where the phase's tag changes. */
export const enter = (
  state: State,
  now: number,
  phase: Phase,
  cause: string,
  before: Transitions,
  openMs?: number
): readonly [Transitions, State] => {
  const generation = state.generation + 1
  const transition: Transition = { from: state.phase._tag, to: phase._tag, generation, cause, openMs }
  return [[...before, transition], { ...state, phase, generation, last: Math.max(state.last, now) }]
}

/** Trips since the last closure that held for twice the time it had been open. */
export const tripsAt = (state: State, now: number): number =>
  state.phase._tag === "closed" && now - state.phase.since >= 2 * state.lastOpenMs ? 0 : state.trips

export const trip = (
  state: State,
  now: number,
  cause: string,
  evidence: Evidence,
  before: Transitions
): readonly [Transitions, State] => {
  const trips = tripsAt(state, now)
  const openMs = state.openDelays[Math.min(trips, state.openDelays.length - 1)] ?? 0
  const phase: Phase = { _tag: "open", until: now + openMs, cause, evidence }
  return enter({ ...state, trips: trips + 1, lastOpenMs: openMs }, now, phase, cause, before, openMs)
}

export const closed = (now: number): Phase => ({ _tag: "closed", since: now, window: CallWindow.empty })

/** What time alone has changed: a probe whose lease is over has failed, at that moment. */
export const lapse = (state: State, now: number, config: Config): readonly [Transitions, State] => {
  if (state.phase._tag !== "half-open") {
    return [none, state]
  }
  const until = firstLease(state.phase.leases)
  return until <= now
    ? trip(
        state,
        until,
        `a probe did not finish within ${config.probeLeaseMs} ms`,
        state.phase.evidence,
        none
      )
    : [none, state]
}

export const firstLease = (leases: ReadonlyArray<{ readonly until: number }>): number =>
  leases.reduce((least, lease) => Math.min(least, lease.until), Number.POSITIVE_INFINITY)
