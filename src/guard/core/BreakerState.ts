/**
 * The state machine of a circuit breaker, as plain functions of (state, now). Time is the milliseconds
 * of any clock, and is never allowed to run backwards (`now = max(last, now)`).
 *
 * ```
 *             failures in a row | failure rate | slow-call rate
 *   closed ----------------------------------------------------> open (until, longer each time)
 *     ^                                                           |  ^
 *     | enough probes succeeded          first call after `until` |  | a probe failed, or its lease ran out
 *     +---------------------------- half-open <-------------------+  |
 *                                       +----------------------------+
 *   forced-open: while anybody holds it.     disabled: until reset.
 * ```
 *
 * Invariants:
 *  - every change of phase increments `generation`; a permit carries the generation it was given in,
 *    and a verdict of another generation changes nothing but the counter `stale`;
 *  - half-open lets at most `probes` calls run at once, each under a lease: a probe that never comes
 *    back counts as failed when its lease is over, so half-open always ends;
 *  - one client alone opens it, or fails a probe, with silence only, unless no other client has called within
 *    the window;
 *  - the attempts of one call are one failure;
 *  - a slot comes back with every verdict, so needing more successes than there are slots cannot lock;
 *  - transitions are lazy: what time alone changes is computed when somebody looks, as of the moment
 *    when it was due. There are no timers.
 *
 * @since 0.1.0
 */
import type {
  Admission,
  Config,
  Evidence,
  Failure,
  Permit,
  Phase,
  Refusal,
  State,
  Transitions,
  Verdict
} from "./BreakerModel.js"
import {
  called,
  closed,
  enter,
  firstLease,
  isAlone,
  lapse,
  none,
  resumed,
  trip,
  tripsAt,
  withPhase
} from "./BreakerModel.js"
import * as CallWindow from "./CallWindow.js"

/** What is told of a probe is between these, however long calls took: who asks again in vain asks soon. */
const SHORTEST_MS = 250
const LONGEST_MS = 5_000

/** Weight of the latest call in the moving average. */
const SMOOTHING = 0.2

const averaged = ({ typicalMs }: State, ms: number): number =>
  typicalMs + SMOOTHING * (Math.max(0, ms) - typicalMs)

const because = (cause: string, which: string | undefined, why: string | undefined): string =>
  why === undefined ? cause : `${cause}${which === undefined ? "" : `; ${which}`}: ${why}`

/**
 * Milliseconds until the first probe has probably ended. One that takes longer than usual is expected to take
 * as long again; its lease is how long it may take, which says nothing about how long it will.
 */
const untilProbed = (
  leases: ReadonlyArray<{ readonly until: number }>,
  now: number,
  { typicalMs }: State,
  { probeLeaseMs }: Config
): number => {
  const until = firstLease(leases)
  const spent = Math.max(0, now - (until - probeLeaseMs))
  const left = spent < typicalMs ? typicalMs - spent : spent
  const told = Math.min(LONGEST_MS, Math.max(SHORTEST_MS, Math.ceil(left)))
  return Math.max(0, Math.min(told, until - now))
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
            retryAfterMs: untilProbed(phase.leases, now, state, config),
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
    : refusalOf(lapse(state, Math.max(state.last, now), config)[1], now, config)

/**
 * The right to make one call, or why not. `client`: who makes it.
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
  let [transitions, current] = lapse(state, time, config)
  const refusal = refusalOf(current, now, config)
  if (refusal !== undefined) {
    return [{ _tag: "Refused", refusal, transitions }, current]
  }
  if (current.phase._tag === "open") {
    const { cause, evidence } = current.phase
    const phase: Phase = { _tag: "half-open", leases: [], succeeded: 0, cause, evidence }
    // Who called before it opened has been turned away since, and is still there.
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
    const leases = [...phase.leases, { id, until: time + config.probeLeaseMs }]
    const callers = called(current.callers, client, time)
    current = { ...current, nextId: id + 1, last: time, callers, phase: { ...phase, leases } }
  }
  const permit: Permit = { generation: current.generation, probe: id, startedAt: now, client }
  return [{ _tag: "Admitted", permit, transitions }, current]
}

/** What the counts of the window allow at most; the evidence is looked at only when that is enough. */
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
 * What became of a call. A verdict of another generation is counted as `stale` and changes nothing
 * else; a second verdict for the same probe changes nothing at all.
 *
 * A failure counts once a call, and a reported one once a client and statement. Reported failures of one
 * client alone, or its slow calls, do not open the circuit while another client calls: they may be what its
 * statements do.
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
  const [transitions, current] = lapse(state, time, config)
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
    return enter(state, now, closed(now), `${succeeded} probes succeeded`, none)
  }
  const typicalMs = verdict === "ignored" ? state.typicalMs : averaged(state, now - permit.startedAt)
  return [none, { ...state, last: now, typicalMs, phase: { ...phase, leases, succeeded } }]
}

const noEvidence: Evidence = { calls: 0, failures: 0, slow: 0, streak: 0 }

/**
 * @since 0.1.0
 * @category models
 */
export interface Status {
  readonly phase: Phase["_tag"]
  readonly generation: number
  /** Opened how often since the last stable closure. */
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
  /** Why it is not closed, in words. */
  readonly cause?: string | undefined
}

/**
 * @since 0.1.0
 * @category combinators
 */
export const status = (state: State, now: number, config: Config): Status => {
  const time = Math.max(state.last, now)
  const [, current] = lapse(state, time, config)
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
