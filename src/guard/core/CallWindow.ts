/**
 * The last calls of a circuit breaker: a call counts while it is among the last `windowCalls` and younger than `windowMs`.
 * Both limits are exact, because each call is stored with its time. Time empties the window without a timer.
 *
 * A persistent queue of two lists (`front` oldest first, `back` newest first): one cell per call, and an old window stays
 * valid. `front` is empty only when the window is.
 *
 * @since 0.1.0
 */

/**
 * What identifies a failure, to count it once.
 *
 * @since 0.1.0
 * @category models
 */
export interface Witness {
  /** Nothing answered. Otherwise the failure was reported, and the statement may be its cause. */
  readonly silent: boolean
  readonly client: string
  /** The call: all its attempts are one failure. Absent: a failure of its own. */
  readonly call?: string | undefined
  /** The statement: reported failures of one statement of one client are one failure. */
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
  /** A call counts for this many milliseconds after it ended. */
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

/** Builds a window without the cells that are over. */
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
  // The streak is a part of the window.
  return { calls, failures, slow, streak: streak < calls ? streak : calls, front, back }
}

/**
 * Drops what is too old. `now` must not be less than that of an earlier call.
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
 * Was this failure counted already: by another attempt of the call, or as the same statement of the same client? Linear
 * in the window, so it is for failures only.
 *
 * @since 0.1.0
 * @category combinators
 */
export const hasSeen = (self: CallWindow, now: number, witness: Witness, limits: Limits): boolean =>
  cells(prune(self, now, limits)).some((cell) => cell.witness !== undefined && same(cell.witness, witness))

/**
 * Did another call of the client end in a silence after this one began, at `begunAt`? Concurrent calls of a client meet
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

/** Failures of the client with the most count up to this many times those of all others. */
const MOST_BELIEVED = 2

/** Failures of one client alone may be caused by its statements, unless it is the only client. */
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
 * How many failures in a row, failures, and slow calls count against the callee. Silences always count. Reported failures
 * and slow calls count when two clients have them, or when `alone` is true (no other client calls); those of one client
 * count at most {@link MOST_BELIEVED} times as often as those of all others.
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
