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

/**
 * What is known of a failure, so that it can be told how many have seen it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Witness {
  /** Nothing answered at all. Otherwise the failure was reported, and may be the statement's own doing. */
  readonly silent: boolean
  readonly client: string
  /** The call: all its attempts are one witness. Absent: a witness of its own. */
  readonly call?: string | undefined
  /** What was asked: of one client, reported failures of it are one witness. */
  readonly statement?: string | undefined
}

interface Cell {
  readonly at: number
  readonly client: string
  /** Of a failure. */
  readonly witness: Witness | undefined
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
    const { at, client, slow, witness } = cell
    reversed = { at, client, witness, slow, next: reversed }
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
    if (front.witness !== undefined) failures -= 1
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
 * A call that ended now.
 *
 * @since 0.1.0
 * @category models
 */
export interface Ended {
  readonly client: string
  /** Of a failure; absent where it did not fail. */
  readonly witness?: Witness | undefined
  readonly slow: boolean
}

/**
 * Count a call that ended now.
 *
 * @since 0.1.0
 * @category combinators
 */
export const add = (
  self: CallWindow,
  now: number,
  { client, slow, witness }: Ended,
  limits: Limits
): CallWindow => {
  const isFirst = self.front === undefined
  const cell: Cell = { at: now, client, witness, slow, next: self.back }
  const failed = witness !== undefined
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

/** Oldest first. */
const cells = (self: CallWindow): ReadonlyArray<Cell> => {
  const found: Array<Cell> = []
  for (let cell = self.front; cell !== undefined; cell = cell.next) found.push(cell)
  for (let cell = reverse(self.back); cell !== undefined; cell = cell.next) found.push(cell)
  return found
}

const same = (a: Witness, b: Witness): boolean =>
  (a.call !== undefined && a.call === b.call) ||
  (!a.silent &&
    !b.silent &&
    a.client === b.client &&
    a.statement !== undefined &&
    a.statement === b.statement)

/**
 * Has this failure been counted already: by another attempt of the call, or as the same statement of the
 * same client? Looks at every call of the window, so it is for failures only.
 *
 * @since 0.1.0
 * @category combinators
 */
export const hasSeen = (self: CallWindow, now: number, witness: Witness, limits: Limits): boolean =>
  cells(prune(self, now, limits)).some((cell) => cell.witness !== undefined && same(cell.witness, witness))

/**
 * Has the client met a silence in a call that was under way when this one began, at `begunAt`? Many calls at once meet
 * one silence together.
 *
 * @since 0.1.0
 * @category combinators
 */
export const hasMet = (
  self: CallWindow,
  now: number,
  { client, silent }: Witness,
  begunAt: number,
  limits: Limits
): boolean =>
  silent &&
  cells(prune(self, now, limits)).some(
    ({ at, witness }) => witness !== undefined && witness.silent && witness.client === client && at > begunAt
  )

/** Of the client that has seen the most, at most so many times as much as all others have seen. */
const MOST_BELIEVED = 2

/** What one client alone has seen may be its own doing, unless there is no other client. */
const believed = (seen: ReadonlyArray<{ readonly client: string }>, alone: boolean): number => {
  if (alone) return seen.length
  const byClient = new Map<string, number>()
  for (const { client } of seen) byClient.set(client, (byClient.get(client) ?? 0) + 1)
  const most = Math.max(0, ...byClient.values())
  const others = seen.length - most
  return others + Math.min(most, MOST_BELIEVED * others)
}

const failuresOf = (seen: ReadonlyArray<Cell>, alone: boolean): number => {
  const witnesses = seen.flatMap(({ witness }) => (witness === undefined ? [] : [witness]))
  const reported = witnesses.filter(({ silent }) => !silent)
  return witnesses.length - reported.length + believed(reported, alone)
}

/**
 * How many failures in a row, failures, and slow calls count against what is called. Silence always does;
 * what was reported, and slowness, when two clients have seen it or `alone` is true: no other client calls.
 * One client's many do not ride on another's one.
 *
 * @since 0.1.0
 * @category combinators
 */
export const evidence = (
  self: CallWindow,
  alone: boolean
): { readonly streak: number; readonly failures: number; readonly slow: number } => {
  const all = cells(self)
  return {
    streak: failuresOf(all.slice(all.length - self.streak), alone),
    failures: failuresOf(all, alone),
    slow: believed(
      all.filter(({ slow }) => slow),
      alone
    )
  }
}
