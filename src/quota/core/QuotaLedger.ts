/**
 * Reservations over quota counters: what any quota store has to do, in plain data. It is the memory
 * store's engine, and the model that the other stores are compared with.
 *
 * ```
 *              submitted
 *   held ------------------> submitted
 *     |  settle: the truth       |  settle: the truth
 *     |  release: nothing        |  release: nothing
 *     |  expiry: nothing         |  expiry: the estimate
 *     v                          v
 *   finished, or expired ----------> settle / release once more: the truth, after all
 * ```
 *
 * Invariants:
 *  - an admission never takes used plus held over a limit (a post-paid one at most once past it);
 *  - a refusal changes nothing, and says when the LAST of the quotas in its way is free;
 *  - what is charged stays in the slice in which it was reserved: settled late, it is not charged to a
 *    window that never saw the call;
 *  - the first settle or release of a reservation counts, every later one is ignored;
 *  - time does not run backwards: `now = max(last, now)`; but a clock that was set back by more than a minute is
 *    followed, and what was used by the wrong time counts in the windows of the right one (`QuotaExpiry`).
 *
 * A ledger is CONSUMED by every step: the step changes its maps in place and nobody may keep an older
 * one. Steps are otherwise pure (no clock, no chance, no IO). Persistent maps were measured at five
 * times the cost on the path of every call.
 *
 * @since 0.1.0
 */
import { advance, sweep } from "./QuotaExpiry.js"
import type { Account, Actual, Charge, Decision, Entry, Ledger, Usage } from "./QuotaModel.js"
import { accountOf, book, counterIn, counterOf, finish, isKnown, isNews } from "./QuotaModel.js"
import * as QuotaWindow from "./QuotaWindow.js"

type Granted<Quota extends string> = Extract<Decision<Quota>, { readonly _tag: "Granted" }>
type Refused<Quota extends string> = Extract<Decision<Quota>, { readonly _tag: "Refused" }>

/**
 * Books all charges, of which it appends the entries, or none. All are looked at even after one has
 * been refused: the caller is told of the one that takes longest to clear.
 */
const decide = <Quota extends string>(
  ledger: Ledger<Quota>,
  charges: ReadonlyArray<Charge<Quota>>,
  entries: Array<Entry<Quota>>
): Refused<Quota> | Granted<Quota>["usage"] => {
  const usage: Array<Usage<Quota> & { readonly limit: number }> = []
  let refused: Refused<Quota> | undefined = undefined
  let account: Account<Quota> | undefined
  for (const { amount: asked, key, limit, postPaid = false, quota } of charges) {
    const amount = Math.max(0, asked)
    // Most charges of a call are of one key.
    if (account?.key !== key) account = accountOf(ledger, key)
    const counter = counterIn(ledger, account, quota)
    QuotaWindow.prune(counter, ledger.last)
    const used = QuotaWindow.usedOf(counter)
    const reserved = QuotaWindow.reservedOf(counter)
    if (QuotaWindow.admits(used + reserved, amount, limit, postPaid)) {
      const slice = QuotaWindow.sliceAt(counter.window, ledger.last)
      const bucket = QuotaWindow.bucketOf(counter, slice)
      bucket.reserved += amount
      entries.push({ key, counter, slice, bucket, account, amount })
      const resetAt = QuotaWindow.sliceEnd(counter.window, slice)
      usage.push({ key, quota, used, reserved: reserved + amount, resetAt, limit })
    } else {
      const resetAt = QuotaWindow.admittedAt(counter, ledger.last, amount, limit, postPaid)
      if (refused === undefined || resetAt > refused.resetAt) {
        refused = { _tag: "Refused", key, quota, limit, used, reserved, resetAt }
      }
    }
  }
  if (refused !== undefined) {
    giveBack(ledger, entries)
    return refused
  }
  return usage
}

const giveBack = <Quota extends string>(
  ledger: Ledger<Quota>,
  entries: ReadonlyArray<Entry<Quota>>
): void => {
  for (const entry of entries) book(ledger, entry, 0, -entry.amount)
}

/**
 * All charges or none, held for at most `ttlMs`.
 *
 * @since 0.1.0
 * @category combinators
 */
export const reserve = <Quota extends string>(
  ledger: Ledger<Quota>,
  now: number,
  charges: ReadonlyArray<Charge<Quota>>,
  ttlMs: number
): Decision<Quota> => {
  advance(ledger, now)
  sweep(ledger)
  const entries: Array<Entry<Quota>> = []
  const decided = decide(ledger, charges, entries)
  if ("_tag" in decided) {
    return decided
  }
  const reservation = ledger.prefix + ledger.nextId.toString(36)
  const expiresAt = ledger.last + ttlMs
  ledger.nextId += 1
  ledger.nextExpiry = Math.min(ledger.nextExpiry, expiresAt)
  ledger.open.set(reservation, { entries, expiresAt, status: "held" })
  return { _tag: "Granted", reservation, usage: decided }
}

/**
 * What `reserve` would answer, with an empty reservation; books nothing.
 *
 * @since 0.1.0
 * @category combinators
 */
export const check = <Quota extends string>(
  ledger: Ledger<Quota>,
  now: number,
  charges: ReadonlyArray<Charge<Quota>>
): Decision<Quota> => {
  advance(ledger, now)
  const entries: Array<Entry<Quota>> = []
  const decided = decide(ledger, charges, entries)
  if ("_tag" in decided) {
    return decided
  }
  giveBack(ledger, entries)
  return { _tag: "Granted", reservation: "", usage: decided }
}

/**
 * The work has been sent: should nobody report back, it is charged as estimated.
 *
 * @since 0.1.0
 * @category combinators
 */
export const submitted = <Quota extends string>(ledger: Ledger<Quota>, now: number, id: string): void => {
  advance(ledger, now)
  const reservation = ledger.open.get(id) ?? ledger.expired.get(id)
  if (reservation === undefined) {
    return
  }
  if (reservation.status === "held") {
    reservation.status = "submitted"
  } else if (reservation.status === "expired-free") {
    reservation.status = "expired-charged"
    for (const entry of reservation.entries) book(ledger, entry, entry.amount, 0)
  }
}

const chargeNow = <Quota extends string>(
  ledger: Ledger<Quota>,
  { amount, key, quota }: Actual<Quota>
): void => {
  const counter = counterOf(ledger, key, quota)
  const slice = QuotaWindow.sliceAt(counter.window, ledger.last)
  if (amount >= 0) book(ledger, { key, counter, slice, amount }, amount, 0)
}

/** What an actual says of an entry; nothing if it names no number of 0 or more. */
const truthOf = <Quota extends string>(
  entry: Entry<Quota>,
  actual: ReadonlyArray<Actual<Quota>>
): number | undefined => {
  for (const { amount, key, quota } of actual) {
    if (quota === entry.counter.quota && key === entry.key && amount >= 0) return amount
  }
  return undefined
}

/**
 * The truth in place of the estimates. Charges not named keep their estimate, and naming more than was
 * reserved adds nothing. When nobody knows the reservation, what is named is charged to the current
 * window: it was used, whoever let it in.
 *
 * @since 0.1.0
 * @category combinators
 */
export const settle = <Quota extends string>(
  ledger: Ledger<Quota>,
  now: number,
  id: string,
  actual: ReadonlyArray<Actual<Quota>>
): void => {
  advance(ledger, now)
  const reservation = finish(ledger, id)
  if (reservation === undefined) {
    if (isNews(ledger, id)) {
      for (const charge of actual) chargeNow(ledger, charge)
    }
    return
  }
  for (const entry of reservation.entries) {
    const amount = truthOf(entry, actual) ?? entry.amount
    switch (reservation.status) {
      case "expired-free":
        book(ledger, entry, amount, 0)
        break
      case "expired-charged":
        book(ledger, entry, amount - entry.amount, 0)
        break
      default:
        book(ledger, entry, amount, -entry.amount)
    }
  }
}

/**
 * Nothing was used: everything is given back, even what expiry had charged meanwhile.
 *
 * @since 0.1.0
 * @category combinators
 */
export const release = <Quota extends string>(ledger: Ledger<Quota>, now: number, id: string): void => {
  advance(ledger, now)
  const reservation = finish(ledger, id)
  if (reservation === undefined) {
    isNews(ledger, id)
    return
  }
  switch (reservation.status) {
    case "expired-free":
      return
    case "expired-charged":
      for (const entry of reservation.entries) book(ledger, entry, -entry.amount, 0)
      return
    default:
      giveBack(ledger, reservation.entries)
  }
}

/**
 * What is used or held of each quota of a key, by name; quotas of which nothing is are left out.
 *
 * @since 0.1.0
 * @category combinators
 */
export const usage = <Quota extends string>(
  ledger: Ledger<Quota>,
  now: number,
  key: string
): ReadonlyArray<Usage<Quota>> => {
  advance(ledger, now)
  if (!isKnown(ledger, key)) return []
  const counters = [...accountOf(ledger, key).counters].sort((a, b) => (a.quota < b.quota ? -1 : 1))
  return counters.flatMap((counter) => {
    QuotaWindow.prune(counter, ledger.last)
    const used = QuotaWindow.usedOf(counter)
    const reserved = QuotaWindow.reservedOf(counter)
    const resetAt = QuotaWindow.resetAt(counter, ledger.last)
    return used > 0 || reserved > 0 ? [{ key, quota: counter.quota, used, reserved, resetAt }] : []
  })
}

/**
 * The usage of up to `size` keys after `cursor`, in the order of the keys.
 *
 * @since 0.1.0
 * @category combinators
 */
export const list = <Quota extends string>(
  ledger: Ledger<Quota>,
  now: number,
  cursor: string | undefined,
  size: number
): { readonly usage: ReadonlyArray<Usage<Quota>>; readonly next?: string | undefined } => {
  const keys = [...ledger.accounts.keys(), ...ledger.folded.rows.keys()]
    .filter((key) => cursor === undefined || key > cursor)
    .sort()
  const page = keys.slice(0, size)
  return {
    usage: page.flatMap((key) => usage(ledger, now, key)),
    next: keys.length > size ? page[page.length - 1] : undefined
  }
}

/**
 * Forgets what was used of one quota of a key, or of all. What is held stays held.
 *
 * @since 0.1.0
 * @category combinators
 */
export const reset = <Quota extends string>(
  ledger: Ledger<Quota>,
  now: number,
  key: string,
  quota?: Quota
): void => {
  advance(ledger, now)
  if (!isKnown(ledger, key)) return
  for (const counter of accountOf(ledger, key).counters) {
    if (quota === undefined || counter.quota === quota) {
      for (const bucket of counter.buckets) bucket.used = 0
    }
  }
}
