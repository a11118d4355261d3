/**
 * Who uses a bucket that many share, and who of them uses more than his share of it.
 *
 * A client that asked within the last second is a contender. Each admitted call of one of `n` contenders
 * costs its client `n` times the bucket's interval of debt, which time works off: whoever takes more than
 * one n-th of the rate gets ahead of his share, and once he is five seconds of it ahead he is `behind`
 * with what he owes the others, and has to leave them the `reserve` of the bucket. So they find tokens
 * however fast he asks, and what nobody else wants is still his: no token is lost.
 *
 * Invariants
 * 1. A client that is alone is never behind.
 * 2. Being behind depends on the client's own admitted calls and on time alone: `behindMs` after `now` it
 *    is over, if he is not admitted meanwhile.
 * 3. The table never holds more than `maxClients`. Who finds no room in it counts as behind for a second.
 *
 * Updated in place: whoever owns a table must use it linearly.
 *
 * @since 0.1.0
 */

interface Contender {
  /** When its debt is worked off. */
  paidAt: number
  /** Until when it is taken for somebody who wants some. */
  until: number
}

export interface Shares {
  readonly contenders: Map<string, Contender>
  cursor: Iterator<[string, Contender]> | undefined
}

/** Milliseconds: a refused client that is still interested asks again within this time. */
const PRESENT_MS = 1_000
/** Milliseconds of its share that a client may be ahead: several people at once are no abuse. */
const SLACK_MS = 5_000
/** Milliseconds that it can be behind at most: old sins are forgiven. */
const MEMORY_MS = 5_000
const SWEEP_PER_CALL = 2

export const make = (): Shares => ({ contenders: new Map(), cursor: undefined })

export const copy = ({ contenders }: Shares): Shares => ({
  contenders: new Map([...contenders].map(([client, contender]) => [client, { ...contender }])),
  cursor: undefined
})

/** Milliseconds until the client has no more than its share; 0: now. */
export const behindMs = ({ contenders }: Shares, now: number, client: string, maxClients: number): number => {
  const found = contenders.get(client)
  if (found === undefined) return contenders.size < maxClients ? 0 : PRESENT_MS
  return Math.max(0, found.paidAt - SLACK_MS - now)
}

const sweep = (shares: Shares, now: number): void => {
  for (let left = SWEEP_PER_CALL; left > 0; left--) {
    shares.cursor ??= shares.contenders.entries()
    const next = shares.cursor.next()
    if (next.done === true) {
      shares.cursor = undefined
      return
    }
    const [client, { paidAt, until }] = next.value
    if (paidAt <= now && until <= now) shares.contenders.delete(client)
  }
}

/** The client has asked; `price` milliseconds of the bucket's time were taken: 0 for a refusal. */
export const note = (
  shares: Shares,
  now: number,
  client: string,
  price: number,
  maxClients: number
): void => {
  sweep(shares, now)
  const { contenders } = shares
  let found = contenders.get(client)
  if (found === undefined) {
    if (contenders.size >= maxClients) return
    found = { paidAt: now, until: now }
    contenders.set(client, found)
  }
  found.until = now + PRESENT_MS
  if (price > 0 && contenders.size > 1) {
    const paidAt = Math.max(found.paidAt, now) + price * contenders.size
    found.paidAt = Math.min(paidAt, now + SLACK_MS + MEMORY_MS)
  }
}

/** What was taken is given back; of what it cost then, as much as it would cost now. */
export const giveBack = ({ contenders }: Shares, client: string, price: number): void => {
  const found = contenders.get(client)
  if (found !== undefined) found.paidAt -= price * contenders.size
}
