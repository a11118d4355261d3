/**
 * What a quota ledger is made of. The steps are in `QuotaLedger.ts`, what time does to it in
 * `QuotaExpiry.ts`.
 *
 * @since 0.1.0
 */
import * as QuotaFold from "./QuotaFold.js"
import * as QuotaWindow from "./QuotaWindow.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Charge<Quota extends string = string> {
  readonly key: string
  readonly quota: Quota
  readonly limit: number
  readonly amount: number
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
  readonly used: number
  readonly reserved: number
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
  readonly counter: QuotaWindow.Counter<Quota>
  readonly slice: number
  /** That of the slice, where known: it stays where it is for as long as the slice counts. */
  readonly bucket?: QuotaWindow.Bucket | undefined
  /** Whose counter it is, where accounts are folded. */
  readonly account?: Account<Quota> | undefined
  readonly amount: number
}

export interface Reservation<Quota extends string> {
  readonly entries: ReadonlyArray<Entry<Quota>>
  expiresAt: number
  status: "held" | "submitted" | "expired-free" | "expired-charged"
}

/** What is known of a key: a handful of counters, found by walking over them. */
export interface Account<Quota extends string> {
  readonly key: string
  counters: ReadonlyArray<QuotaWindow.Counter<Quota>>
  /** It cannot be forgotten before this. */
  until: number
  /** Looked up since room was last looked for. */
  touched: boolean
  /** What was in it is in `folded` now, or has been since: whoever holds on to it must look it up again. */
  away: boolean
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Ledger<Quota extends string = string> {
  readonly mode: QuotaWindow.Mode
  /** What ids of this ledger start with. */
  readonly prefix: string
  nextId: number
  /** The latest time seen; an earlier one only after the clock was set back by more than a minute. */
  last: number
  /** Milliseconds by which it was, until whoever owns the ledger has told of it. */
  setBackMs: number
  readonly accounts: Map<string, Account<Quota>>
  /** All others of which something is known. */
  readonly folded: QuotaFold.Folded
  /** Accounts in no order, at most `mostOpen` or as many as have something held; and where room is made next. */
  readonly unfolded: Array<Account<Quota>>
  readonly mostOpen: number
  hand: number
  /** Not finished, not expired. */
  readonly open: Map<string, Reservation<Quota>>
  /** Nothing expires before this. */
  nextExpiry: number
  /** Expired while their slices still count: the truth may arrive late. */
  readonly expired: Map<string, Reservation<Quota>>
  /** Ids of another ledger that were finished here, and until when that matters. */
  readonly foreign: Map<string, number>
  /** Where the sweep over `accounts` has got to. */
  sweep: IterableIterator<Account<Quota>>
}

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = <Quota extends string>(
  prefix: string,
  mode: QuotaWindow.Mode = "fixed",
  /** Accounts of fixed windows that are kept as objects; others are folded (`QuotaFold`). */
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
    folded: QuotaFold.make(),
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

export const accountOf = <Quota extends string>(ledger: Ledger<Quota>, key: string): Account<Quota> => {
  const known = ledger.accounts.get(key)
  if (known !== undefined) {
    known.touched = true
    return known
  }
  // Only counters of this ledger are ever folded, so that its quotas are what comes back.
  const counters = QuotaFold.unfold(ledger.folded, key) as ReadonlyArray<QuotaWindow.Counter<Quota>>
  const account: Account<Quota> = {
    key,
    counters,
    until: Number.NEGATIVE_INFINITY,
    // Who comes once is not busy.
    touched: false,
    away: false
  }
  ledger.accounts.set(key, account)
  if (ledger.mostOpen < Number.POSITIVE_INFINITY) makeRoom(ledger, account)
  return account
}

/** Accounts looked at for one that can be folded. */
const LOOKED_AT = 8

/** Folds others that were not looked up for a while (the clock algorithm), if there are too many. */
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
  if (!QuotaFold.fold(ledger.folded, account.key, account.counters, ledger.last)) return false
  account.away = true
  ledger.accounts.delete(account.key)
  return true
}

/** The counter of a quota, made if need be. */
export const counterOf = <Quota extends string>(
  ledger: Ledger<Quota>,
  key: string,
  quota: Quota
): QuotaWindow.Counter<Quota> => counterIn(ledger, accountOf(ledger, key), quota)

export const counterIn = <Quota extends string>(
  ledger: Ledger<Quota>,
  account: Account<Quota>,
  quota: Quota
): QuotaWindow.Counter<Quota> => {
  const { counters } = account
  for (let i = 0; i < counters.length; i++) {
    if (counters[i]!.quota === quota) {
      return counters[i]!
    }
  }
  const counter = QuotaWindow.makeCounter(quota, ledger.mode)
  // Copied, not pushed: a list that grows keeps room for sixteen more, for every client.
  account.counters = [...account.counters, counter]
  return counter
}

/** Books `used` and `reserved` in the entry's own slice, unless that is over. Never below zero. */
export const book = <Quota extends string>(
  ledger: Ledger<Quota>,
  entry: Entry<Quota>,
  used: number,
  reserved: number
): void => {
  const { slice } = entry
  if (QuotaWindow.isLive(entry.counter.window, slice, ledger.last)) {
    const away = entry.account?.away === true
    const counter = away ? counterOf(ledger, entry.key, entry.counter.quota) : entry.counter
    const bucket = (away ? undefined : entry.bucket) ?? QuotaWindow.bucketOf(counter, slice)
    // Below zero only after a reset forgot what is now being corrected.
    bucket.used = Math.max(0, bucket.used + used)
    bucket.reserved = Math.max(0, bucket.reserved + reserved)
  }
}

/** Takes the reservation out, so that it is finished once; undefined when there is nothing to finish. */
export const finish = <Quota extends string>(
  ledger: Ledger<Quota>,
  id: string
): Reservation<Quota> | undefined => {
  const reservation = ledger.open.get(id) ?? ledger.expired.get(id)
  ledger.open.delete(id)
  ledger.expired.delete(id)
  return reservation
}

/** An id that is not ours, seen for the first time. Ours were finished if they are in no table. */
export const isNews = <Quota extends string>(ledger: Ledger<Quota>, id: string): boolean => {
  if (id.startsWith(ledger.prefix) || ledger.foreign.has(id)) {
    return false
  }
  const day = QuotaWindow.windowOf("_per_day", ledger.mode)
  const until = QuotaWindow.sliceEnd(day, QuotaWindow.sliceAt(day, ledger.last))
  ledger.foreign.set(id, until)
  ledger.nextExpiry = Math.min(ledger.nextExpiry, until)
  return true
}

/** Is anything known of a key? */
export const isKnown = <Quota extends string>({ accounts, folded }: Ledger<Quota>, key: string): boolean =>
  accounts.has(key) || folded.rows.has(key)
