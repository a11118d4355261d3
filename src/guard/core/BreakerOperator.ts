/**
 * What people can do to a circuit breaker: hold it open, switch it off, start it afresh.
 *
 * @since 0.1.0
 */
import type { Phase, State, Transitions } from "./BreakerModel.js"
import { closed, enter, none } from "./BreakerModel.js"

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
 * Let every call through and count nothing. While it is forced open this is remembered for afterwards.
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
 * Closed, with an empty window and the first open time. Nobody's hold is released by it.
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
