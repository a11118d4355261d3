/**
 * How many of the latest calls were accepted and refused for overload, and from it the share of new calls to shed.
 *
 * Two counters: that of the current span, and that of the last span weighted by its part that is inside the window.
 * Constant memory, no timer, and an idle window is empty.
 *
 * @since 0.1.0
 */

/** `shed`: refused here, by chance. */
export type Outcome = "accepted" | "refused" | "shed"

export type Counts = { readonly [O in Outcome]: number }

export interface OutcomeWindow {
  /** Number of the span that `current` counts. */
  readonly span: number
  readonly current: Counts
  readonly previous: Counts
}

const zero: Counts = { accepted: 0, refused: 0, shed: 0 }

export const empty: OutcomeWindow = { span: 0, current: zero, previous: zero }

/** Moves on to the span of `now`; time that runs backwards stays where it was. */
const at = (window: OutcomeWindow, now: number, windowMs: number): OutcomeWindow => {
  const span = Math.max(window.span, Math.floor(now / windowMs))
  if (span === window.span) return window
  return { span, current: zero, previous: span === window.span + 1 ? window.current : zero }
}

/** Counts a call that ended this way. */
export const record = (
  window: OutcomeWindow,
  now: number,
  windowMs: number,
  outcome: Outcome
): OutcomeWindow => {
  const { current, previous, span } = at(window, now, windowMs)
  // Written out: a spread costs several times as much on the path of every call.
  return {
    span,
    previous,
    current: {
      accepted: current.accepted + (outcome === "accepted" ? 1 : 0),
      refused: current.refused + (outcome === "refused" ? 1 : 0),
      shed: current.shed + (outcome === "shed" ? 1 : 0)
    }
  }
}

/** The counts of the last `windowMs`, the older part of it estimated. */
export const counts = (window: OutcomeWindow, now: number, windowMs: number): Counts => {
  const { current, previous, span } = at(window, now, windowMs)
  const left = 1 - Math.max(0, now - span * windowMs) / windowMs
  return {
    accepted: current.accepted + left * previous.accepted,
    refused: current.refused + left * previous.refused,
    shed: current.shed + left * previous.shed
  }
}

/**
 * Share of attempted calls that were refused for overload; undefined while there are fewer than `minimum`. Calls that were
 * shed here do not count: the ladder must not react to its own refusals.
 */
export const refusalRatio = ({ accepted, refused }: Counts, minimum: number): number | undefined => {
  const tried = accepted + refused
  return tried === 0 || tried < minimum ? undefined : refused / tried
}

/**
 * Client-side adaptive throttling (Site Reliability Engineering, chapter 21): calls are shed with probability
 * `max(0, (requests - k * accepts) / (requests + 1))`. With k = 2 no call is shed while half of the calls are accepted,
 * and some calls are always admitted to notice a recovery. Running calls do not count, or slow queries would look like
 * refused ones.
 */
export const shedProbability = ({ accepted, refused, shed }: Counts, k: number): number => {
  const requests = accepted + refused + shed
  return Math.max(0, (requests - k * accepted) / (requests + 1))
}
