/**
 * The ladder's reasons in words, for people and models.
 */
import type { Mode, State, Why } from "../core/DegradationLadder.js"
import { indexOf, modes } from "../core/DegradationLadder.js"

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

/** Why the mode in force is in force. */
export const describe = (state: State): string => {
  const pin = state.pins[state.pins.length - 1]
  if (pin !== undefined) return `an operator set it: ${pin.cause}`
  if (state.why === undefined) return "nothing calls for less"
  return state.recovering ? `recovering; at worst ${reading(state.why)}` : reading(state.why)
}

const probe = (inMs: number): string =>
  inMs > 0
    ? `in ${seconds(inMs)} a call is let through as a probe`
    : "the next call is let through as a probe"

const needs = (why: Why, holdMs: number, inMs: number | undefined): string => {
  switch (why.signal) {
    case "circuit":
      return why.phase === "forced-open" || inMs === undefined
        ? "an operator must release the circuit"
        : why.mode === "cache-only"
          ? probe(inMs)
          : "probes must succeed and the circuit close"
    default:
      return `the ${why.signal} signal must stay below its threshold for ${seconds(holdMs)}`
  }
}

/**
 * What must happen before the next step down, and where it leads. `inMs`: milliseconds until that step, at the
 * earliest; undefined when it has no time.
 */
export const wayBack = (
  state: State,
  holdMs: number,
  inMs: number | undefined
): { readonly to: Mode; readonly condition: string } | undefined => {
  if (state.pins.length > 0) {
    return { to: modes[state.base] ?? "normal", condition: "an operator must release the pin" }
  }
  if (state.base === 0) return undefined
  const condition =
    state.recovering || state.why === undefined
      ? `nothing may call for ${modes[state.base]} for another ${seconds(inMs ?? holdMs)}`
      : needs(state.why, holdMs, inMs)
  return { to: modes[indexOf(state.mode) - 1] ?? "normal", condition }
}
