/**
 * What is told to the store, and asked of it, when it is back: what was admitted meanwhile, and what it has
 * lost. See `QuotaShare.ts`.
 *
 * @since 0.1.0
 */
import * as QuotaLedger from "./QuotaLedger.js"
import type { Actual, Usage } from "./QuotaModel.js"
import { freshLedger } from "./QuotaShare.js"
import type { Owed, Share } from "./QuotaShareModel.js"
import { find, learn } from "./QuotaShareModel.js"
import * as QuotaWindow from "./QuotaWindow.js"

/**
 * Takes what was admitted here since the last harvest, key by key. It stays out of the share until the store's
 * word contains it. `leave`: the outage is over.
 *
 * @since 0.1.0
 * @category combinators
 */
export const harvest = <Quota extends string>(
  share: Share<Quota>,
  now: number,
  leave: boolean
): ReadonlyArray<Owed<Quota>> => {
  for (const [id, held] of share.carried) {
    if (held.every(({ until }) => until <= now)) share.carried.delete(id)
  }
  const { local } = share
  if (local === undefined) return []
  const owed: Array<Owed<Quota>> = []
  for (const key of local.accounts.keys()) {
    const usage = QuotaLedger.usage(local, now, key)
    if (usage.length === 0) continue
    for (const { quota, reserved, used } of usage) {
      const known = find(share, now, key, quota)
      if (known !== undefined) known.spent += used + reserved
    }
    const actual = usage.map(({ quota, reserved, resetAt, used }) => ({
      key,
      quota,
      amount: used + reserved,
      until: resetAt
    }))
    owed.push({ key, actual })
  }
  for (const table of [local.open, local.expired]) {
    for (const [id, { entries, status }] of table) {
      if (share.carried.size >= share.maxOpen) break
      share.carried.set(
        id,
        entries.map(({ amount, counter, key, slice }) => ({
          key,
          quota: counter.quota,
          amount: status === "expired-free" ? 0 : amount,
          until: QuotaWindow.sliceEnd(counter.window, slice)
        }))
      )
    }
  }
  share.local = leave ? undefined : freshLedger(share)
  return owed
}

/**
 * Keys of which this process has used something that still counts.
 *
 * @since 0.1.0
 * @category combinators
 */
export const ownKeys = <Quota extends string>(share: Share<Quota>, now: number): ReadonlyArray<string> =>
  [...share.keys].flatMap(([key, all]) =>
    all.some(({ own, resetAt }) => own > 0 && now < resetAt) ? [key] : []
  )

/**
 * The store's word on a key after an outage, before it is told anything. Returns what it has lost: where it
 * says less than it said before, what this process has used of that. Each replica adds no more than its
 * own part and no more than is missing, so that they may all do so.
 *
 * @since 0.1.0
 * @category combinators
 */
export const missing = <Quota extends string>(
  share: Share<Quota>,
  now: number,
  key: string,
  usage: ReadonlyArray<Usage<Quota>>
): Owed<Quota>["actual"] => {
  // A rolling window forgets by itself, and nobody can tell how much of it.
  if (share.mode === "rolling") return []
  return (share.keys.get(key) ?? []).flatMap(({ quota }) => {
    const known = find(share, now, key, quota)
    if (known === undefined || known.resetAt === Number.POSITIVE_INFINITY) return []
    const word = usage.find((each) => each.quota === quota)
    if (word !== undefined && word.resetAt !== known.resetAt) return []
    const amount = Math.min(known.own, known.used - (word?.used ?? 0))
    return amount > 0 ? [{ key, quota, amount, until: known.resetAt }] : []
  })
}

/**
 * The store has been told of amounts of a key, and this is its word since. `shared`: they came out of the
 * share.
 *
 * @since 0.1.0
 * @category combinators
 */
export const delivered = <Quota extends string>(
  share: Share<Quota>,
  now: number,
  key: string,
  told: ReadonlyArray<Actual<Quota>>,
  shared: boolean,
  usage: ReadonlyArray<Usage<Quota>>
): void => {
  for (const { amount, quota } of told) {
    const known = find(share, now, key, quota)
    if (known === undefined || !shared) continue
    known.own += amount
    known.spent = Math.max(0, known.spent - amount)
  }
  for (const each of usage) learn(share, now, each)
}
