/**
 * Why a statement has no result within its time: it is too large, or the warehouse is slow or does not answer. Decided
 * from what became of the other statements of its class in the same place: look-ups need no virtual warehouse, and prove
 * nothing of one, and neither does an answer from another one. A statement that is refused before it runs needs none
 * either.
 *
 * ```
 *            sent                    half of its time          now
 *   ----------+----------------------------+--------------------+----> time
 *    answered here: nothing since    here: not for long   here: others are served, so it is the statement
 * ```
 *
 * @since 0.1.0
 */

/** What became last of the statements of a class in one place. Monotonic milliseconds. */
export interface Served {
  /** When one was answered last. */
  readonly answeredAt: number
  /** When the latest of those was sent that had no answer in their time. */
  readonly unservedSentAt: number
}

export const nothing: Served = {
  answeredAt: Number.NEGATIVE_INFINITY,
  unservedSentAt: Number.NEGATIVE_INFINITY
}

/** How a statement ended. `unserved`: it had no answer in its time. */
export interface End {
  readonly of: "answered" | "unserved"
  readonly sentAt: number
  readonly now: number
}

export const ended = (served: Served, { now, of, sentAt }: End): Served =>
  of === "answered"
    ? { ...served, answeredAt: Math.max(served.answeredAt, now) }
    : { ...served, unservedSentAt: Math.max(served.unservedSentAt, sentAt) }

export interface Facts {
  readonly now: number
  /** When the statement was sent. */
  readonly sentAt: number
  readonly served: Served
  /** The warehouse has confirmed that the statement is cancelled: something answers. */
  readonly cancelled: boolean
  /** `circuit`: it is not closed. `trouble`: calls fail at the warehouse for a reason that an operator has to mend. */
  readonly known?: "circuit" | "trouble" | undefined
}

/** What it is for which there is no result. `quiet`: no statement was answered for long. */
export type Blame =
  | { readonly fault: "statement" | "unknown" }
  | { readonly fault: "warehouse"; readonly why: "circuit" | "trouble" | "quiet" }

/** Milliseconds since the last answer to a statement of this class; at most the age of this one. */
export const quietMs = ({ now, sentAt, served }: Facts): number =>
  Math.max(0, now - Math.max(sentAt, served.answeredAt))

export const blameOf = (facts: Facts): Blame => {
  const { cancelled, known, now, sentAt, served } = facts
  if (known !== undefined) return { fault: "warehouse", why: known }
  // Sent after the last answer, and not answered in time either.
  const stopped = served.answeredAt > sentAt && served.unservedSentAt > served.answeredAt
  const quiet = quietMs(facts)
  if (!stopped && quiet <= (now - sentAt) / 2 && served.answeredAt > sentAt) return { fault: "statement" }
  // One that is cancelled at once is of a service that answers; others did not ask, or wait as this one did.
  return cancelled ? { fault: "unknown" } : { fault: "warehouse", why: "quiet" }
}
