/**
 * The last calls of a circuit breaker, limited by a number of calls AND by a time span: a call counts
 * while it is among the last `windowCalls` and younger than `windowMs`. Both limits are exact, because
 * each call is remembered with its time; an idle hour therefore empties the window by itself, without
 * a timer, and one failure after it is one failure.
 *
 * A persistent queue of two lists (`front` oldest first, `back` newest first): one cell per call, no
 * copying of a ring, and the old window stays valid. `front` is empty only when the window is.
 *
 * @since 0.1.0
 */

interface Cell {
  readonly at: number
  readonly failed: boolean
  readonly slow: boolean
  readonly next: Cell | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface CallWindow {
  readonly calls: number
  readonly failures: number
  readonly slow: number
  /** Failures in a row, the newest call included; never more than `calls`. */
  readonly streak: number
  readonly front: Cell | undefined
  readonly back: Cell | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Limits {
  /** Calls counted at most, >= 1. */
  readonly windowCalls: number
  /** A call is forgotten this many milliseconds after it ended. */
  readonly windowMs: number
}

/**
 * @since 0.1.0
 * @category constructors
 */
export const empty: CallWindow = {
  calls: 0,
  failures: 0,
  slow: 0,
  streak: 0,
  front: undefined,
  back: undefined
}

const reverse = (list: Cell | undefined): Cell | undefined => {
  let reversed: Cell | undefined = undefined
  for (let cell = list; cell !== undefined; cell = cell.next) {
    reversed = { at: cell.at, failed: cell.failed, slow: cell.slow, next: reversed }
  }
  return reversed
}

const isOver = (cell: Cell, calls: number, now: number, limits: Limits): boolean =>
  calls > limits.windowCalls || now - cell.at >= limits.windowMs

/** Drops what is over from the old end and builds the window: the one place where both limits hold. */
const trimmed = (
  front: Cell | undefined,
  back: Cell | undefined,
  calls: number,
  failures: number,
  slow: number,
  streak: number,
  now: number,
  limits: Limits
): CallWindow => {
  while (front !== undefined && isOver(front, calls, now, limits)) {
    calls -= 1
    if (front.failed) failures -= 1
    if (front.slow) slow -= 1
    front = front.next
    if (front === undefined) {
      front = reverse(back)
      back = undefined
    }
  }
  // The streak is the newest calls of the window, so it can only be as long as the window is.
  return { calls, failures, slow, streak: streak < calls ? streak : calls, front, back }
}

/**
 * Forget what is too old. `now` must not be less than that of an earlier call.
 *
 * @since 0.1.0
 * @category combinators
 */
export const prune = (self: CallWindow, now: number, limits: Limits): CallWindow =>
  self.front === undefined || !isOver(self.front, self.calls, now, limits)
    ? self
    : trimmed(self.front, self.back, self.calls, self.failures, self.slow, self.streak, now, limits)

/**
 * Count a call that ended now.
 *
 * @since 0.1.0
 * @category combinators
 */
export const add = (
  self: CallWindow,
  now: number,
  failed: boolean,
  slow: boolean,
  limits: Limits
): CallWindow => {
  const isFirst = self.front === undefined
  const cell: Cell = { at: now, failed, slow, next: self.back }
  return trimmed(
    isFirst ? cell : self.front,
    isFirst ? undefined : cell,
    self.calls + 1,
    failed ? self.failures + 1 : self.failures,
    slow ? self.slow + 1 : self.slow,
    failed ? self.streak + 1 : 0,
    now,
    limits
  )
}
