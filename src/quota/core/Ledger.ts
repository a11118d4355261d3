/**
 * Reservations over quota counters, in plain data. The engine of the store in memory, and the model that the other stores
 * are tested against.
 *
 * ```
 *              submitted
 *   held ------------------------> submitted
 *     |  settle: the actual amount    |  settle: the actual amount
 *     |  release: nothing             |  release: nothing
 *     |  expiry: nothing              |  expiry: the estimate
 *     v                               v
 *   finished, or expired ---------------> the first settle / release after expiry corrects it
 * ```
 *
 * Invariants:
 *  - an admission never takes used plus held over a limit (a post-paid one passes it at most once);
 *  - a refusal changes nothing, and says when the LAST of the quotas that refuse is free;
 *  - a charge stays in the slice in which it was reserved, however late it is settled;
 *  - the first settle or release of a reservation counts, every later one is ignored;
 *  - time does not run backwards: `now = max(last, now)`; but a clock that was set back by more than a minute is
 *    followed, and usage of later windows then counts in the current ones (`rewind`).
 *
 * Updated in place: a ledger has one owner, and every step consumes it. Steps are otherwise pure (no clock, no chance,
 * no IO). Persistent maps cost five times as much on the path of every call.
 *
 * @since 0.1.0
 */
import * as FoldedAccounts from "./FoldedAccounts.js"
import * as Window from "./Window.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Charge<Quota extends string = string> {
  /** `client:NAME` or `global`. */
  readonly key: string
  readonly quota: Quota
  /** > 0 */
  readonly limit: number
  /** >= 0; 0 asks only that the quota is not used up. */
  readonly amount: number
  /** Admitted while something is left, even if `amount` is more: amounts that are known only afterwards. */
  readonly postPaid?: boolean | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Actual<Quota extends string = string> {
  readonly key: string
  readonly quota: Quota
  readonly amount: number
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Usage<Quota extends string = string> {
  readonly key: string
  readonly quota: Quota
  /** Settled in the current window. */
  readonly used: number
  /** Held by unfinished calls. */
  readonly reserved: number
  /** Wall clock, milliseconds since 1970: start of the next window. */
  readonly resetAt: number
}

/**
 * @since 0.1.0
 * @category models
 */
export type Decision<Quota extends string = string> =
  | {
      readonly _tag: "Granted"
      readonly reservation: string
      readonly usage: ReadonlyArray<Usage<Quota> & { readonly limit: number }>
    }
  | {
      readonly _tag: "Refused"
      readonly key: string
      readonly quota: Quota
      readonly limit: number
      readonly used: number
      readonly reserved: number
      readonly resetAt: number
    }

/** A charge as it was booked. */
export interface Entry<Quota extends string> {
  readonly key: string
  readonly counter: Window.Counter<Quota>
  readonly slice: number
  /** The bucket of the slice, where known; the same object for as long as the slice counts. */
  readonly bucket?: Window.Bucket | undefined
  readonly account?: Account<Quota> | undefined
  readonly amount: number
}

export interface Reservation<Quota extends string> {
  readonly entries: ReadonlyArray<Entry<Quota>>
  expiresAt: number
  status: "held" | "submitted" | "expired-free" | "expired-charged"
}

/** The counters of a key: a few, found by linear search. */
export interface Account<Quota extends string> {
  readonly key: string
  counters: ReadonlyArray<Window.Counter<Quota>>
  /** It cannot be dropped before this time. */
  until: number
  /** Looked up since the last pass of the clock algorithm. */
  touched: boolean
  /** It was folded or dropped: a holder of this object must look the key up again. */
  away: boolean
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Ledger<Quota extends string = string> {
  readonly mode: Window.Mode
  /** Prefix of the ids of this ledger. */
  readonly prefix: string
  nextId: number
  /** The latest time seen; an earlier one only after the clock was set back by more than a minute. */
  last: number
  /** Milliseconds by which the clock was set back; the owner resets it after reporting it. */
  setBackMs: number
  readonly accounts: Map<string, Account<Quota>>
  /** Accounts of idle keys. */
  readonly folded: FoldedAccounts.Folded
  /** Accounts in no order, at most `mostOpen` or as many as hold something. `hand`: the next candidate to fold. */
  readonly unfolded: Array<Account<Quota>>
  readonly mostOpen: number
  hand: number
  /** Neither finished nor expired. */
  readonly open: Map<string, Reservation<Quota>>
  /** Nothing expires before this. */
  nextExpiry: number
  /** Expired, while their slices still count: a late settle corrects them. */
  readonly expired: Map<string, Reservation<Quota>>
  /** Ids of another ledger that were finished here, and until when they are kept. */
  readonly foreign: Map<string, number>
  /** Position of the sweep over `accounts`. */
  sweep: IterableIterator<Account<Quota>>
}

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = <Quota extends string>(
  prefix: string,
  mode: Window.Mode = "fixed",
  /** Accounts of fixed windows that are kept as objects; others are folded (`FoldedAccounts`). */
  mostOpen = Number.POSITIVE_INFINITY
): Ledger<Quota> => {
  const accounts = new Map<string, Account<Quota>>()
  return {
    mode,
    prefix,
    nextId: 0,
    last: Number.NEGATIVE_INFINITY,
    setBackMs: 0,
    accounts,
    folded: FoldedAccounts.make(),
    unfolded: [],
    mostOpen: mode === "fixed" ? mostOpen : Number.POSITIVE_INFINITY,
    hand: 0,
    open: new Map(),
    nextExpiry: Number.POSITIVE_INFINITY,
    expired: new Map(),
    foreign: new Map(),
    sweep: accounts.values()
  }
}

const accountOf = <Quota extends string>(ledger: Ledger<Quota>, key: string): Account<Quota> => {
  const known = ledger.accounts.get(key)
  if (known !== undefined) {
    known.touched = true
    return known
  }
  // Only counters of this ledger are folded, so the quotas are of its type.
  const counters = FoldedAccounts.unfold(ledger.folded, key) as ReadonlyArray<Window.Counter<Quota>>
  const account: Account<Quota> = {
    key,
    counters,
    until: Number.NEGATIVE_INFINITY,
    touched: false,
    away: false
  }
  ledger.accounts.set(key, account)
  if (ledger.mostOpen < Number.POSITIVE_INFINITY) makeRoom(ledger, account)
  return account
}

/** Candidates per step of the clock algorithm. */
const LOOKED_AT = 8

/** Folds accounts that were not looked up for a while (the clock algorithm), if there are too many. */
const makeRoom = <Quota extends string>(ledger: Ledger<Quota>, account: Account<Quota>): void => {
  const { unfolded } = ledger
  unfolded.push(account)
  for (let i = 0; i < LOOKED_AT && unfolded.length > ledger.mostOpen; i++) {
    const at = ledger.hand % unfolded.length
    ledger.hand = at + 1
    const other = unfolded[at]!
    const isBusy = other.touched && !other.away
    other.touched = false
    if (isBusy || other === account || !(other.away || leave(ledger, other))) continue
    const last = unfolded.pop()!
    if (last !== other) unfolded[at] = last
  }
}

const leave = <Quota extends string>(ledger: Ledger<Quota>, account: Account<Quota>): boolean => {
  if (!FoldedAccounts.fold(ledger.folded, account.key, account.counters, ledger.last)) return false
  account.away = true
  ledger.accounts.delete(account.key)
  return true
}

/** The counter of a quota, made if need be. */
export const counterOf = <Quota extends string>(
  ledger: Ledger<Quota>,
  key: string,
  quota: Quota
): Window.Counter<Quota> => counterIn(ledger, accountOf(ledger, key), quota)

const counterIn = <Quota extends string>(
  ledger: Ledger<Quota>,
  account: Account<Quota>,
  quota: Quota
): Window.Counter<Quota> => {
  const { counters } = account
  for (let i = 0; i < counters.length; i++) {
    if (counters[i]!.quota === quota) {
      return counters[i]!
    }
  }
  const counter = Window.makeCounter(quota, ledger.mode)
  // Copied: an array that grows by `push` keeps spare room for sixteen more, per client.
  account.counters = [...account.counters, counter]
  return counter
}

/** Adds to `used` and `reserved` of the entry's slice, unless the slice is over. */
const book = <Quota extends string>(
  ledger: Ledger<Quota>,
  entry: Entry<Quota>,
  used: number,
  reserved: number
): void => {
  const { slice } = entry
  if (Window.isLive(entry.counter.window, slice, ledger.last)) {
    const away = entry.account?.away === true
    const counter = away ? counterOf(ledger, entry.key, entry.counter.quota) : entry.counter
    const bucket = (away ? undefined : entry.bucket) ?? Window.bucketOf(counter, slice)
    // A correction after a reset could go below zero.
    bucket.used = Math.max(0, bucket.used + used)
    bucket.reserved = Math.max(0, bucket.reserved + reserved)
  }
}

/** Removes the reservation, so that it is finished once; undefined when it is not known. */
const finish = <Quota extends string>(ledger: Ledger<Quota>, id: string): Reservation<Quota> | undefined => {
  const reservation = ledger.open.get(id) ?? ledger.expired.get(id)
  ledger.open.delete(id)
  ledger.expired.delete(id)
  return reservation
}

/** Is it an id of another ledger, seen for the first time? An unknown id of this ledger is finished. */
const isNews = <Quota extends string>(ledger: Ledger<Quota>, id: string): boolean => {
  if (id.startsWith(ledger.prefix) || ledger.foreign.has(id)) {
    return false
  }
  const day = Window.windowOf("_per_day", ledger.mode)
  const until = Window.sliceEnd(day, Window.sliceAt(day, ledger.last))
  ledger.foreign.set(id, until)
  ledger.nextExpiry = Math.min(ledger.nextExpiry, until)
  return true
}

/** Is there an account of the key? */
const isKnown = <Quota extends string>({ accounts, folded }: Ledger<Quota>, key: string): boolean =>
  accounts.has(key) || folded.rows.has(key)

/**
 * A clock that steps back by less is not followed: time stands still until it has caught up. A clock that steps back
 * further was wrong before, and clients would wait for the end of windows that have not begun.
 */
export const SET_BACK_MS = 60_000

/**
 * Follows a clock that was set back. No quota is refilled by it: usage in windows that are now in the future counts in
 * the current ones, and reservations keep their remaining time.
 */
const rewind = <Quota extends string>(ledger: Ledger<Quota>, now: number): void => {
  const byMs = ledger.last - now
  ledger.last = now
  ledger.setBackMs += byMs
  for (const account of ledger.accounts.values()) {
    account.until = Number.NEGATIVE_INFINITY
    for (const counter of account.counters) Window.rewind(counter, now)
  }
  FoldedAccounts.rewind(ledger.folded, now)
  for (const reservation of ledger.open.values()) reservation.expiresAt -= byMs
  for (const [id, until] of ledger.foreign) ledger.foreign.set(id, until - byMs)
  ledger.nextExpiry = Number.NEGATIVE_INFINITY
}

/** Advances the time: the start of every step. */
const advance = <Quota extends string>(ledger: Ledger<Quota>, now: number): void => {
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
  // After its last slice a settle would change nothing. Both tables are nearly in the order of time: an entry behind
  // one of a longer window is dropped with that one.
  for (const [id, { entries }] of ledger.expired) {
    if (entries.some(({ counter, slice }) => Window.isLive(counter.window, slice, ledger.last))) break
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

/** More than the accounts that one reservation can add, or the sweep would never reach its end. */
const SWEPT_PER_STEP = 2

/** Drops accounts whose windows are over, a few per reservation: no timer, no pause, no leak. */
const sweep = <Quota extends string>(ledger: Ledger<Quota>): void => {
  FoldedAccounts.sweep(ledger.folded, ledger.last, SWEPT_PER_STEP)
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
 * When the last slice of an account is over. A slice with an unfinished reservation keeps the account until the slice is
 * over, and then the reservation has nothing left to book.
 */
const endOf = <Quota extends string>(account: Account<Quota>, now: number): number =>
  account.counters.reduce((end, counter) => {
    Window.prune(counter, now)
    return counter.buckets.length === 0 ? end : Math.max(end, Window.resetAt(counter, now))
  }, Number.NEGATIVE_INFINITY)

type Granted<Quota extends string> = Extract<Decision<Quota>, { readonly _tag: "Granted" }>
type Refused<Quota extends string> = Extract<Decision<Quota>, { readonly _tag: "Refused" }>

/**
 * Books all charges and appends their entries, or none. Looks at all charges even after a refusal, to name the quota that
 * takes longest to clear.
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
    Window.prune(counter, ledger.last)
    const used = Window.usedOf(counter)
    const reserved = Window.reservedOf(counter)
    if (Window.admits(used + reserved, amount, limit, postPaid)) {
      const slice = Window.sliceAt(counter.window, ledger.last)
      const bucket = Window.bucketOf(counter, slice)
      bucket.reserved += amount
      entries.push({ key, counter, slice, bucket, account, amount })
      const resetAt = Window.sliceEnd(counter.window, slice)
      usage.push({ key, quota, used, reserved: reserved + amount, resetAt, limit })
    } else {
      const resetAt = Window.admittedAt(counter, ledger.last, amount, limit, postPaid)
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
 * The work has been sent: at its expiry it is charged as estimated.
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
  const slice = Window.sliceAt(counter.window, ledger.last)
  if (amount >= 0) book(ledger, { key, counter, slice, amount }, amount, 0)
}

/** The actual amount of an entry; undefined without one, or with one that is not a number of 0 or more. */
const actualAmount = <Quota extends string>(
  entry: Entry<Quota>,
  actual: ReadonlyArray<Actual<Quota>>
): number | undefined => {
  for (const { amount, key, quota } of actual) {
    if (quota === entry.counter.quota && key === entry.key && amount >= 0) return amount
  }
  return undefined
}

/**
 * Replaces the estimates by the actual amounts. Charges not named keep their estimate, and amounts that were not
 * reserved are ignored. For an unknown reservation the amounts are charged to the current window: they were used.
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
    const amount = actualAmount(entry, actual) ?? entry.amount
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
 * Nothing was used: everything is given back, also what the expiry had charged.
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
 * What is used or held of each quota of a key, by name, without the quotas of which nothing is.
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
    Window.prune(counter, ledger.last)
    const used = Window.usedOf(counter)
    const reserved = Window.reservedOf(counter)
    const resetAt = Window.resetAt(counter, ledger.last)
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
 * Sets to zero what was used of one quota of a key, or of all. What is held stays held.
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
