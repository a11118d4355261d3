/**
 * Why a statement has no result within its time: it is too large, or the warehouse is slow or does not answer. Decided
 * from what became of the other statements of its class: look-ups need no virtual warehouse, and prove nothing of one.
 *
 * ```
 *            sent                    half of its time          now
 *   ----------+----------------------------+--------------------+----> time
 *    answered here: nothing since    here: not for long   here: others are served, so it is the statement
 * ```
 *
 * @since 0.1.0
 */

/** What became last of the statements of a class. Monotonic milliseconds; updated in place, in synchronous steps. */
export interface Served {
  /** When one was answered last. */
  answeredAt: number
  /** When the latest of those was sent that had no answer in their time. */
  unservedSentAt: number
}

export const nothing = (): Served => ({
  answeredAt: Number.NEGATIVE_INFINITY,
  unservedSentAt: Number.NEGATIVE_INFINITY
})

export interface Facts {
  readonly now: number
  /** When the statement was sent. */
  readonly sentAt: number
  readonly served: Readonly<Served>
  /** The warehouse has confirmed that the statement is cancelled: something answers. */
  readonly cancelled: boolean
  /** The circuit is not closed, or calls fail at the warehouse for a reason that is known. */
  readonly inTrouble: boolean
}

export type Fault = "statement" | "warehouse" | "unknown"

/** Milliseconds in which no statement was answered, since this one was sent at most. */
export const quietMs = ({ now, sentAt, served }: Facts): number =>
  Math.max(0, now - Math.max(sentAt, served.answeredAt))

export const faultOf = (facts: Facts): Fault => {
  const { cancelled, inTrouble, now, sentAt, served } = facts
  if (inTrouble) return "warehouse"
  // Sent after the last answer, and not answered in time either.
  const stopped = served.answeredAt > sentAt && served.unservedSentAt > served.answeredAt
  const quiet = quietMs(facts)
  if (!stopped && quiet <= (now - sentAt) / 2 && served.answeredAt > sentAt) return "statement"
  // One that is cancelled at once is of a service that answers; others did not ask, or wait as this one did.
  return cancelled ? "unknown" : "warehouse"
}
