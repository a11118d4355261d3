/**
 * When what is known of the objects is asked for again, and how many statements that may take. Pure: milliseconds of
 * a monotonic clock are arguments.
 */

export interface Times {
  /** When the last fill that came to its end had begun. */
  readonly filledAt: number | undefined
  /** No other fill before then: after one that failed, or that had no statements left. */
  readonly notBefore: number
  /** A fill is waited for, or under way. */
  readonly isWanted: boolean
}

export const never: Times = { filledAt: undefined, notBefore: Number.NEGATIVE_INFINITY, isWanted: false }

/** Is a fill due, at a call of the client? */
export const isDue = ({ filledAt, isWanted, notBefore }: Times, now: number, refreshMs: number): boolean =>
  !isWanted && now >= notBefore && (filledAt === undefined || now - filledAt >= refreshMs)

/** Statements in windows of an hour. */
export interface Budget {
  readonly endsAt: number
  readonly left: number
}

const WINDOW_MS = 3_600_000

export const noBudget: Budget = { endsAt: Number.NEGATIVE_INFINITY, left: 0 }

/** Takes one statement; `waitMs`: how long there is none. */
export const spend = (
  budget: Budget,
  now: number,
  perHour: number
): readonly [waitMs: number, next: Budget] => {
  const current = now < budget.endsAt ? budget : { endsAt: now + WINDOW_MS, left: perHour }
  return current.left > 0
    ? [0, { ...current, left: current.left - 1 }]
    : [Math.max(1, current.endsAt - now), current]
}

/** The warehouse lists no more rows of a SHOW than this. */
export const SHOW_CAP = 10_000

/** The width of a narrow table. */
const COLUMNS = 10

/**
 * May one SHOW COLUMNS list the columns of so many tables? A list that ends at the cap says nothing about the tables
 * beyond it.
 */
export const fitsOneShow = (tables: number): boolean => tables * COLUMNS < SHOW_CAP
