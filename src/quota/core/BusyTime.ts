/**
 * How the busy time of a warehouse is divided among the statements that run in it: equally, at each moment, among those
 * that run then.
 *
 * ```
 *   a  |=========|            4 s alone, 2 s by two:  5 s          Every moment is charged once: the shares add up to the
 *   b        |=========|      2 s by two, 4 s alone:  5 s          time in which at least one statement ran.
 * ```
 *
 * A warehouse that is resumed is paid for a minimum. The statement that resumes it takes a share of that time like the
 * others; what is left of it when that statement ends is charged to that statement, and others run in it for nothing.
 *
 * Fair shares by virtual time: `share` is what a statement would have been charged that always ran; a statement is charged
 * by how far it rose. Times are milliseconds; an earlier time than the last one counts as the last one.
 *
 * @since 0.1.0
 */

/**
 * @since 0.1.0
 * @category models
 */
export interface BusyTime {
  readonly at: number
  readonly running: number
  readonly share: number
  /** The time before is paid for by a statement that has ended. */
  readonly paidUntil: number
}

/**
 * A statement that runs.
 *
 * @since 0.1.0
 * @category models
 */
export interface Stint {
  readonly share: number
  /** End of the minimum that it has to pay for. */
  readonly minimumUntil: number
}

/**
 * @since 0.1.0
 * @category constructors
 */
export const empty: BusyTime = {
  at: Number.NEGATIVE_INFINITY,
  running: 0,
  share: 0,
  paidUntil: Number.NEGATIVE_INFINITY
}

const advance = (self: BusyTime, to: number): BusyTime => {
  const now = Math.max(self.at, to)
  const from = Math.max(self.at, self.paidUntil)
  // No statement is charged by the sum any more: it does not grow for ever.
  if (self.running === 0) return { ...self, at: now, share: 0 }
  return { ...self, at: now, share: self.share + Math.max(0, now - from) / self.running }
}

/**
 * A statement begins; it resumes the warehouse if there is a minimum.
 *
 * @since 0.1.0
 * @category combinators
 */
export const begin = (self: BusyTime, now: number, minimumMs = 0): readonly [Stint, BusyTime] => {
  const then = advance(self, now)
  return [
    { share: then.share, minimumUntil: minimumMs > 0 ? then.at + minimumMs : Number.NEGATIVE_INFINITY },
    {
      ...then,
      running: then.running + 1,
      // It had been suspended: what was paid for before is over.
      paidUntil: minimumMs > 0 && then.running === 0 ? Number.NEGATIVE_INFINITY : then.paidUntil
    }
  ]
}

/**
 * It did not resume the warehouse after all.
 *
 * @since 0.1.0
 * @category combinators
 */
export const withoutMinimum = (stint: Stint): Stint => ({ ...stint, minimumUntil: Number.NEGATIVE_INFINITY })

/**
 * It ends; with the milliseconds that it is charged. Once for each.
 *
 * @since 0.1.0
 * @category combinators
 */
export const end = (self: BusyTime, now: number, stint: Stint): readonly [ms: number, BusyTime] => {
  const then = advance(self, now)
  const paidUntil = Math.max(then.paidUntil, stint.minimumUntil)
  const rest = Math.max(0, stint.minimumUntil - Math.max(then.at, then.paidUntil))
  return [then.share - stint.share + rest, { ...then, running: then.running - 1, paidUntil }]
}
