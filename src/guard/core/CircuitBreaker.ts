/**
 * The state machine of a circuit breaker, as pure functions of (state, now). Time is the milliseconds of any clock;
 * an earlier `now` is taken for the latest one seen.
 *
 * ```
 *             failures in a row | failure rate | slow-call rate
 *   closed ----------------------------------------------------> open (until, longer each time)
 *     ^                                                           |  ^
 *     | enough probes succeeded          first call after `until` |  | a probe failed, or its lease ran out
 *     +---------------------------- half-open <-------------------+  |
 *                                       +----------------------------+
 *   forced-open: while an operator holds it.     disabled: until reset.
 * ```
 *
 * Invariants:
 *  - every change of phase increments `generation`; a permit carries the generation in which it was given, and a
 *    verdict of another generation changes nothing but the counter `stale`;
 *  - half-open lets at most `probes` calls run at once, each under a lease: a probe that is not settled counts as
 *    failed when its lease ends, so half-open always ends;
 *  - one client alone opens it, or fails a probe, with silence only, unless no other client has called within the
 *    window;
 *  - the attempts of one call are one failure;
 *  - a probe slot comes back with every verdict, so needing more successes than there are slots cannot lock;
 *  - transitions are lazy: a change that time alone causes is computed with the next step, as of the moment when it
 *    was due. There are no timers.
 *
 * @since 0.1.0
 */
import * as CallWindow from "./CallWindow.js"

/**
 * What a finished call says about the health of the callee. `alive`: it answered, and the mistake was the caller's;
 * counts as a success. `ignored`: nothing.
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

/** A probe that runs, and when it counts as failed. */
interface Lease {
  readonly id: number
  readonly since: number
  readonly until: number
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
      readonly leases: ReadonlyArray<Lease>
      readonly succeeded: number
      /** The client whose probe failed with a reported failure: a probe of another client has to confirm it. */
      readonly doubter?: string | undefined
      readonly cause: string
      readonly evidence: Evidence
    }
  | {
      readonly _tag: "forced-open"
      readonly holders: ReadonlyArray<{ readonly token: number; readonly cause: string }>
      /** The phase after the last holder has released it. */
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
  /** Number of trips since the last stable closure: the index of the next open time. */
  readonly trips: number
  /** How long it was open the last time; 0 when never. */
  readonly lastOpenMs: number
  /** Open times by number of trips; the last one repeats. Replaced by `withOpenDelays`. */
  readonly openDelays: ReadonlyArray<number>
  /** Verdicts that came too late to count. */
  readonly stale: number
  /** The latest `now` a change was made at. */
  readonly last: number
  /** Next id of a lease or of a holder. */
  readonly nextId: number
  /** Milliseconds that successful calls took, a moving average. */
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

const called = ({ latest, other }: Callers, client: string, at: number): Callers => ({
  latest: { client, at },
  other: latest === undefined || latest.client === client ? other : latest
})

/** The same clients, without the time in which no call was let through. */
const resumed = ({ latest, other }: Callers, ms: number): Callers => ({
  latest: latest && { ...latest, at: latest.at + ms },
  other: other && { ...other, at: other.at + ms }
})

/** Has only one client called within the window? */
const isAlone = ({ other }: Callers, now: number, { windowMs }: Config): boolean =>
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
  /** The client that makes the call. */
  readonly client?: string | undefined
}

/**
 * What is known of a failure. Without it the failure is a silence of its own.
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
 * The changes of phase in a step.
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

/** Shared: most steps change no phase. */
export const none: Transitions = []

/** Duration of a probe before the first call has been seen. */
const FIRST_GUESS_MS = 1_000

/**
 * Closed, with an empty window. `openDelays` must not be empty.
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

/** Written out: on the path of every call a spread costs five times as much. */
const withPhase = (
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
const enter = (
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

/** Trips since the last closure that lasted twice as long as the open time before it. */
const tripsAt = (state: State, now: number): number =>
  state.phase._tag === "closed" && now - state.phase.since >= 2 * state.lastOpenMs ? 0 : state.trips

const trip = (
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

const closed = (now: number): Phase => ({ _tag: "closed", since: now, window: CallWindow.empty })

/** What time alone changes: a probe fails when its lease ends. */
const lapse = (state: State, now: number): readonly [Transitions, State] => {
  if (state.phase._tag !== "half-open") {
    return [none, state]
  }
  const { since, until } = firstLease(state.phase.leases)
  return until <= now
    ? trip(
        state,
        until,
        `a probe did not finish within ${Math.round(until - since)} ms`,
        state.phase.evidence,
        none
      )
    : [none, state]
}

/** The one that ends first. */
const firstLease = (leases: ReadonlyArray<Lease>): Pick<Lease, "since" | "until"> =>
  leases.reduce<Pick<Lease, "since" | "until">>(
    (first, lease) => (lease.until < first.until ? lease : first),
    {
      since: 0,
      until: Number.POSITIVE_INFINITY
    }
  )

/** The estimate of a probe's end is between these, however long calls took: another refusal costs little. */
const SHORTEST_MS = 250
const LONGEST_MS = 5_000

/** Weight of the latest call in the moving average. */
const SMOOTHING = 0.2

const averaged = ({ typicalMs }: State, ms: number): number =>
  typicalMs + SMOOTHING * (Math.max(0, ms) - typicalMs)

const because = (cause: string, which: string | undefined, why: string | undefined): string =>
  why === undefined ? cause : `${cause}${which === undefined ? "" : `; ${which}`}: ${why}`

/**
 * Estimated milliseconds until the first probe ends. A probe that takes longer than usual is expected to take as long
 * again; its lease is an upper bound only.
 */
const untilProbed = (leases: ReadonlyArray<Lease>, now: number, { typicalMs }: State): number => {
  const { since, until } = firstLease(leases)
  const spent = Math.max(0, now - since)
  const left = spent < typicalMs ? typicalMs - spent : spent
  const estimate = Math.min(LONGEST_MS, Math.max(SHORTEST_MS, Math.ceil(left)))
  return Math.max(0, Math.min(estimate, until - now))
}

/** Why a call would be refused now, or undefined. Expects a state after `lapse`. */
const refusalOf = (state: State, now: number, config: Config): Refusal | undefined => {
  const phase = state.phase
  switch (phase._tag) {
    case "closed":
    case "disabled":
      return undefined
    case "open":
      return Math.max(state.last, now) < phase.until
        ? {
            phase: "open",
            retryAfterMs: Math.max(0, phase.until - now),
            failures: phase.evidence.failures,
            calls: phase.evidence.calls,
            cause: phase.cause
          }
        : undefined
    case "half-open":
      return phase.leases.length >= config.probes
        ? {
            phase: "half-open",
            retryAfterMs: untilProbed(phase.leases, now, state),
            failures: phase.evidence.failures,
            calls: phase.evidence.calls,
            cause: phase.cause
          }
        : undefined
    case "forced-open":
      return {
        phase: "forced-open",
        failures: 0,
        calls: 0,
        cause: phase.holders.map((holder) => holder.cause).join("; ")
      }
  }
}

/**
 * Would a call be refused now? Changes nothing.
 *
 * @since 0.1.0
 * @category combinators
 */
export const peek = (state: State, now: number, config: Config): Refusal | undefined =>
  state.phase._tag === "closed"
    ? undefined
    : refusalOf(lapse(state, Math.max(state.last, now))[1], now, config)

/**
 * A permit for one call of `client`, or a refusal.
 *
 * @since 0.1.0
 * @category combinators
 */
export const acquire = (
  state: State,
  now: number,
  config: Config,
  client = ""
): readonly [Admission, State] => {
  if (state.phase._tag === "closed" || state.phase._tag === "disabled") {
    const permit: Permit = { generation: state.generation, startedAt: now, client }
    const callers = called(state.callers, client, Math.max(state.last, now))
    return [
      { _tag: "Admitted", permit, transitions: none },
      withPhase(state, state.phase, state.last, state.typicalMs, callers)
    ]
  }
  const time = Math.max(state.last, now)
  let [transitions, current] = lapse(state, time)
  const refusal = refusalOf(current, now, config)
  if (refusal !== undefined) {
    return [{ _tag: "Refused", refusal, transitions }, current]
  }
  if (current.phase._tag === "open") {
    const { cause, evidence } = current.phase
    const phase: Phase = { _tag: "half-open", leases: [], succeeded: 0, cause, evidence }
    // Clients that called before it opened were refused since, and still count as active.
    const callers = resumed(current.callers, Math.max(0, time - (current.phase.until - current.lastOpenMs)))
    ;[transitions, current] = enter(
      { ...current, callers },
      time,
      phase,
      "the open time is over",
      transitions
    )
  }
  const id = current.nextId
  const phase = current.phase
  if (phase._tag === "half-open") {
    const leases = [...phase.leases, { id, since: time, until: time + config.probeLeaseMs }]
    const callers = called(current.callers, client, time)
    current = { ...current, nextId: id + 1, last: time, callers, phase: { ...phase, leases } }
  }
  const permit: Permit = { generation: current.generation, probe: id, startedAt: now, client }
  return [{ _tag: "Admitted", permit, transitions }, current]
}

/** Which trigger fires. The counts are an upper bound of the evidence, which is computed only when they are enough. */
const triggered = (window: CallWindow.CallWindow, config: Config, alone: boolean): string | undefined => {
  const judged = window.calls >= config.minimumCalls
  const rate = (count: number, least: number) => judged && count > 0 && count / window.calls >= least
  if (
    window.streak < config.consecutiveFailures &&
    !rate(window.failures, config.failureRate) &&
    !rate(window.slow, config.slowCallRate)
  ) {
    return undefined
  }
  const { failures, slow, streak } = CallWindow.evidence(window, alone)
  if (streak >= config.consecutiveFailures) return `${streak} consecutive failures`
  if (rate(failures, config.failureRate)) return `${failures} of the last ${window.calls} calls failed`
  return rate(slow, config.slowCallRate)
    ? `${slow} of the last ${window.calls} calls took ${config.slowCallMs} ms or longer`
    : undefined
}

const evidenceOf = ({ calls, failures, slow, streak }: CallWindow.CallWindow): Evidence => ({
  calls,
  failures,
  slow,
  streak
})

/**
 * The end of a call. A verdict of another generation only increments `stale`; a second verdict for the same probe
 * changes nothing.
 *
 * A failure counts once per call, and a reported one once per client and statement. Reported failures or slow calls of
 * one client alone do not open the circuit while another client calls: its statements may be the cause.
 *
 * @since 0.1.0
 * @category combinators
 */
export const settle = (
  state: State,
  now: number,
  config: Config,
  permit: Permit,
  verdict: Verdict,
  failure?: Failure
): readonly [Transitions, State] => {
  const time = Math.max(state.last, now)
  if (state.phase._tag === "closed" && permit.generation === state.generation) {
    return settleCall(state, state.phase, time, config, permit, verdict, failure)
  }
  const [transitions, current] = lapse(state, time)
  if (permit.generation !== current.generation) {
    return [transitions, verdict === "ignored" ? current : { ...current, stale: current.stale + 1 }]
  }
  if (current.phase._tag === "half-open" && current.phase.leases.some((lease) => lease.id === permit.probe)) {
    return settleProbe(current, current.phase, time, config, permit, verdict, failure)
  }
  return [transitions, current]
}

const witnessOf = (client: string, { call, silent = true, statement }: Failure = {}): CallWindow.Witness => ({
  silent,
  client,
  call,
  statement
})

const settleCall = (
  state: State,
  phase: Extract<Phase, { readonly _tag: "closed" }>,
  now: number,
  config: Config,
  permit: Permit,
  verdict: Verdict,
  failure: Failure | undefined
): readonly [Transitions, State] => {
  if (verdict === "ignored") {
    return [none, state]
  }
  const slow = now - permit.startedAt >= config.slowCallMs
  const { client = "" } = permit
  const witness = verdict === "failure" ? witnessOf(client, failure) : undefined
  const alone = isAlone(state.callers, now, config)
  if (
    witness !== undefined &&
    (CallWindow.hasSeen(phase.window, now, witness, config) ||
      (!alone && CallWindow.hasMet(phase.window, now, witness, permit.startedAt, config)))
  ) {
    return [none, state]
  }
  const window = CallWindow.add(phase.window, now, { client, witness, slow }, config)
  const cause = triggered(window, config, alone)
  if (cause !== undefined) {
    return trip(state, now, because(cause, "the last", failure?.why), evidenceOf(window), none)
  }
  const typicalMs = verdict === "failure" ? state.typicalMs : averaged(state, now - permit.startedAt)
  return [none, withPhase(state, { _tag: "closed", since: phase.since, window }, now, typicalMs)]
}

const settleProbe = (
  state: State,
  phase: Extract<Phase, { readonly _tag: "half-open" }>,
  now: number,
  config: Config,
  permit: Permit,
  verdict: Verdict,
  failure: Failure | undefined
): readonly [Transitions, State] => {
  const leases = phase.leases.filter((lease) => lease.id !== permit.probe)
  if (verdict === "failure") {
    const { client, silent } = witnessOf(permit.client ?? "", failure)
    const { doubter = client } = phase
    return silent || doubter !== client || isAlone(state.callers, now, config)
      ? trip(state, now, because("a probe failed", undefined, failure?.why), phase.evidence, none)
      : [none, { ...state, last: now, phase: { ...phase, leases, doubter } }]
  }
  const succeeded = verdict === "ignored" ? phase.succeeded : phase.succeeded + 1
  if (succeeded >= config.probeSuccesses) {
    return enter(
      state,
      now,
      closed(now),
      `${succeeded} ${succeeded === 1 ? "probe" : "probes"} succeeded`,
      none
    )
  }
  const typicalMs = verdict === "ignored" ? state.typicalMs : averaged(state, now - permit.startedAt)
  return [none, { ...state, last: now, typicalMs, phase: { ...phase, leases, succeeded } }]
}

// What an operator can do: hold it open, switch it off, start it afresh.

/**
 * Refuse every call until the returned token is released; several holders add up. Wins over `disable`.
 *
 * @since 0.1.0
 * @category combinators
 */
export const forceOpen = (
  state: State,
  now: number,
  cause: string
): readonly [{ readonly token: number; readonly transitions: Transitions }, State] => {
  const token = state.nextId
  const holder = { token, cause }
  const next = { ...state, nextId: token + 1 }
  if (next.phase._tag === "forced-open") {
    const phase: Phase = { ...next.phase, holders: [...next.phase.holders, holder] }
    return [
      { token, transitions: none },
      { ...next, phase }
    ]
  }
  const then = next.phase._tag === "disabled" ? "disabled" : "closed"
  const [transitions, forced] = enter(
    next,
    now,
    { _tag: "forced-open", holders: [holder], then },
    `forced open: ${cause}`,
    none
  )
  return [{ token, transitions }, forced]
}

/**
 * Give a token back; a token that is not held changes nothing.
 *
 * @since 0.1.0
 * @category combinators
 */
export const release = (state: State, now: number, token: number): readonly [Transitions, State] => {
  const phase = state.phase
  if (phase._tag !== "forced-open" || !phase.holders.some((holder) => holder.token === token)) {
    return [none, state]
  }
  const holders = phase.holders.filter((holder) => holder.token !== token)
  if (holders.length > 0) {
    return [none, { ...state, phase: { ...phase, holders } }]
  }
  const time = Math.max(state.last, now)
  const next: Phase = phase.then === "disabled" ? { _tag: "disabled" } : closed(time)
  return enter(state, time, next, "no longer forced open", none)
}

/**
 * Let every call through and count nothing. While it is forced open this takes effect after the last release.
 *
 * @since 0.1.0
 * @category combinators
 */
export const disable = (state: State, now: number): readonly [Transitions, State] => {
  switch (state.phase._tag) {
    case "disabled":
      return [none, state]
    case "forced-open":
      return [none, { ...state, phase: { ...state.phase, then: "disabled" } }]
    default:
      return enter(state, now, { _tag: "disabled" }, "disabled by an operator", none)
  }
}

/**
 * Closed, with an empty window and the first open time. Does not release a hold.
 *
 * @since 0.1.0
 * @category combinators
 */
export const reset = (state: State, now: number): readonly [Transitions, State] => {
  const cleared: State = { ...state, trips: 0, lastOpenMs: 0 }
  if (cleared.phase._tag === "forced-open") {
    return [none, { ...cleared, phase: { ...cleared.phase, then: "closed" } }]
  }
  return enter(cleared, now, closed(Math.max(state.last, now)), "reset by an operator", none)
}

const noEvidence: Evidence = { calls: 0, failures: 0, slow: 0, streak: 0 }

/**
 * @since 0.1.0
 * @category models
 */
export interface Status {
  readonly phase: Phase["_tag"]
  readonly generation: number
  /** Number of trips since the last stable closure. */
  readonly trips: number
  /** Calls, failures and slow calls in the window. */
  readonly calls: number
  readonly failures: number
  readonly slow: number
  readonly consecutiveFailures: number
  /** Milliseconds until the next probe is let through; 0 when calls are, or while it is forced open. */
  readonly retryAfterMs: number
  /** Verdicts that came too late to count: their call belonged to an older generation. */
  readonly stale: number
  /** Why it is not closed. */
  readonly cause?: string | undefined
}

/**
 * @since 0.1.0
 * @category combinators
 */
export const status = (state: State, now: number, config: Config): Status => {
  const time = Math.max(state.last, now)
  const [, current] = lapse(state, time)
  const phase = current.phase
  const seen: Evidence =
    phase._tag === "closed"
      ? CallWindow.prune(phase.window, time, config)
      : phase._tag === "open" || phase._tag === "half-open"
        ? phase.evidence
        : noEvidence
  const refusal = refusalOf(current, now, config)
  return {
    phase: phase._tag,
    generation: current.generation,
    trips: tripsAt(current, time),
    calls: seen.calls,
    failures: seen.failures,
    slow: seen.slow,
    consecutiveFailures: seen.streak,
    retryAfterMs: refusal?.retryAfterMs ?? 0,
    stale: current.stale,
    cause: refusal?.cause ?? (phase._tag === "open" || phase._tag === "half-open" ? phase.cause : undefined)
  }
}
