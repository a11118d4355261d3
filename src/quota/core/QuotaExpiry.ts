/**
 * What time does to a quota ledger: reservations that nobody finished expire, and what counts no more is
 * forgotten, a little with every step.
 *
 * @since 0.1.0
 */
import * as QuotaFold from "./QuotaFold.js"
import type { Account, Ledger } from "./QuotaModel.js"
import { book } from "./QuotaModel.js"
import * as QuotaWindow from "./QuotaWindow.js"

/**
 * A clock that steps back by less is waited for: the windows that it has seen are not left. One that steps back
 * further was wrong before, and clients would be kept waiting for the end of windows that have not begun.
 */
export const SET_BACK_MS = 60_000

/**
 * Lets the ledger follow a clock that was set back. Nobody gets anything anew: what was used in windows that are
 * in the future now counts in the current ones, and what is held is held for as long as it would have been.
 */
const rewind = <Quota extends string>(ledger: Ledger<Quota>, now: number): void => {
  const byMs = ledger.last - now
  ledger.last = now
  ledger.setBackMs += byMs
  for (const account of ledger.accounts.values()) {
    account.until = Number.NEGATIVE_INFINITY
    for (const counter of account.counters) QuotaWindow.rewind(counter, now)
  }
  QuotaFold.rewind(ledger.folded, now)
  for (const reservation of ledger.open.values()) reservation.expiresAt -= byMs
  for (const [id, until] of ledger.foreign) ledger.foreign.set(id, until - byMs)
  ledger.nextExpiry = Number.NEGATIVE_INFINITY
}

/** Lets time pass: every step starts with it. */
export const advance = <Quota extends string>(ledger: Ledger<Quota>, now: number): void => {
  if (now < ledger.last - SET_BACK_MS) rewind(ledger, now)
  ledger.last = Math.max(ledger.last, now)
  if (ledger.last >= ledger.nextExpiry) {
    expire(ledger)
  }
}

const expire = <Quota extends string>(ledger: Ledger<Quota>): void => {
  let next = Number.POSITIVE_INFINITY
  for (const [id, reservation] of ledger.open) {
    if (reservation.expiresAt > ledger.last) {
      next = Math.min(next, reservation.expiresAt)
      continue
    }
    const charged = reservation.status === "submitted"
    for (const entry of reservation.entries) {
      book(ledger, entry, charged ? entry.amount : 0, -entry.amount)
    }
    reservation.status = charged ? "expired-charged" : "expired-free"
    ledger.open.delete(id)
    ledger.expired.set(id, reservation)
  }
  // After its last slice a late truth would change nothing, so nothing is lost by forgetting it. Both
  // tables are in the order of time, near enough: what is stuck behind a longer window goes with it.
  for (const [id, { entries }] of ledger.expired) {
    if (entries.some(({ counter, slice }) => QuotaWindow.isLive(counter.window, slice, ledger.last))) break
    ledger.expired.delete(id)
  }
  for (const [id, until] of ledger.foreign) {
    if (until > ledger.last) {
      next = Math.min(next, until)
      break
    }
    ledger.foreign.delete(id)
  }
  ledger.nextExpiry = next
}

/** More than a reservation of one client can make new: or the walk would never catch up with its end. */
const SWEPT_PER_STEP = 2

/** Forgets accounts whose windows are over, a few per reservation: no timer, no pause, no leak. */
export const sweep = <Quota extends string>(ledger: Ledger<Quota>): void => {
  QuotaFold.sweep(ledger.folded, ledger.last, SWEPT_PER_STEP)
  for (let i = 0; i < SWEPT_PER_STEP; i++) {
    const next = ledger.sweep.next()
    if (next.done === true) {
      ledger.sweep = ledger.accounts.values()
      return
    }
    const account = next.value
    if (account.until <= ledger.last) {
      account.until = endOf(account, ledger.last)
      if (account.until <= ledger.last) {
        account.away = true
        ledger.accounts.delete(account.key)
      }
    }
  }
}

/**
 * When the last slice of an account is over. An unfinished reservation keeps its slices here while they
 * count, and once they do not, it has nothing left to book: so no reservation is ever cut off.
 */
const endOf = <Quota extends string>(account: Account<Quota>, now: number): number =>
  account.counters.reduce((end, counter) => {
    QuotaWindow.prune(counter, now)
    return counter.buckets.length === 0 ? end : Math.max(end, QuotaWindow.resetAt(counter, now))
  }, Number.NEGATIVE_INFINITY)
