/**
 * What one process may admit while the quota store is out of reach: its share of what was left when it was
 * last heard of, and what has to be told to the store when it is back.
 *
 * ```
 *   available = floor((limit - taken) / replicas) - spent - doubt - local
 *                          |                         |       |       |
 *      the store's last word                         |       |     admitted in this outage
 *                 admitted in an earlier one, and the        |
 *                 store's word does not contain it yet     sent, and never answered
 * ```
 *
 * Invariants:
 *  - as long as every replica knows the same and is cut off, all of them together admit no more than was
 *    left, in one outage or in many: a share grows only when the store has been heard of again;
 *  - of a key nobody has heard of nothing is admitted, until a window begins that lies wholly inside the
 *    outage: in that one nothing can have been used;
 *  - what was admitted here is harvested once, held amounts included; a truth that comes later can only
 *    add to it.
 *
 * A share is CONSUMED by every step, as a ledger is: steps change it in place.
 *
 * @since 0.1.0
 */
import * as QuotaLedger from "./QuotaLedger.js"
import type { Actual, Charge, Decision, Ledger, Usage } from "./QuotaModel.js"
import { make as makeLedger } from "./QuotaModel.js"
import type { Owed, Share } from "./QuotaShareModel.js"
import { find, findOrMake, truthOf } from "./QuotaShareModel.js"
import * as QuotaWindow from "./QuotaWindow.js"

/**
 * @since 0.1.0
 * @category models
 */
export type Outcome<Quota extends string = string> =
  | Decision<Quota>
  /** The share is used up, or nothing is known of the key. */
  | { readonly _tag: "Closed"; readonly key: string; readonly quota: Quota; readonly known: boolean }

export const freshLedger = <Quota extends string>(share: Share<Quota>): Ledger<Quota> => {
  share.generation += 1
  return makeLedger(`${share.prefix}${share.generation}-`, share.mode)
}

/**
 * The store is lost; from here on this process has its share.
 *
 * @since 0.1.0
 * @category combinators
 */
export const enter = <Quota extends string>(share: Share<Quota>, now: number, replicas: number): void => {
  share.replicas = Math.max(1, Math.ceil(replicas))
  share.since = now
  share.local = freshLedger(share)
}

/** Has the current window begun after the store was lost? */
const isUntouched = <Quota extends string>(share: Share<Quota>, now: number, quota: Quota): boolean => {
  const window = QuotaWindow.windowOf(quota, share.mode)
  return (QuotaWindow.sliceAt(window, now) + 1 - window.slices) * window.sliceMs > share.since
}

/** `reserve`, or `check` without a `ttlMs`, of the share. */
const decide = <Quota extends string>(
  share: Share<Quota>,
  now: number,
  charges: ReadonlyArray<Charge<Quota>>,
  ttlMs: number | undefined
): Outcome<Quota> => {
  const local = (share.local ??= freshLedger(share))
  const limits = new Map<string, number>()
  const nameOf = (key: string, quota: string): string => `${quota} ${key}`
  const bounded: Array<Charge<Quota>> = []
  let refused: Extract<Decision<Quota>, { readonly _tag: "Refused" }> | undefined = undefined
  for (const charge of charges) {
    const { amount, key, limit, postPaid = false, quota } = charge
    const known =
      find(share, now, key, quota) ??
      (isUntouched(share, now, quota) ? findOrMake(share, now, key, quota) : undefined)
    if (known === undefined) return { _tag: "Closed", key, quota, known: false }
    if (known.resetAt === Number.POSITIVE_INFINITY) {
      // Its last window was over before the store was lost: others may have used the present one.
      if (!isUntouched(share, now, quota)) return { _tag: "Closed", key, quota, known: false }
      const window = QuotaWindow.windowOf(quota, share.mode)
      known.resetAt = QuotaWindow.sliceEnd(window, QuotaWindow.sliceAt(window, now))
    }
    const { doubt, resetAt, spent, taken } = known
    if (!QuotaWindow.admits(taken, amount, limit, postPaid)) {
      if (refused === undefined || resetAt > refused.resetAt) {
        refused = { _tag: "Refused", key, quota, limit, used: taken, reserved: 0, resetAt }
      }
      continue
    }
    const available = Math.max(0, Math.floor((limit - taken) / share.replicas) - spent - doubt)
    limits.set(nameOf(key, quota), limit)
    bounded.push({ ...charge, limit: available })
  }
  if (refused !== undefined) return refused
  const decision =
    ttlMs === undefined
      ? QuotaLedger.check(local, now, bounded)
      : QuotaLedger.reserve(local, now, bounded, ttlMs)
  if (decision._tag === "Refused") {
    return { _tag: "Closed", key: decision.key, quota: decision.quota, known: true }
  }
  return {
    ...decision,
    // What belongs to others counts as used: what remains is what remains here.
    usage: decision.usage.map((usage) => {
      const limit = limits.get(nameOf(usage.key, usage.quota)) ?? usage.limit
      return { ...usage, limit, used: usage.used + limit - usage.limit }
    })
  }
}

/**
 * All charges out of this process's share, or none.
 *
 * @since 0.1.0
 * @category combinators
 */
export const reserve = <Quota extends string>(
  share: Share<Quota>,
  now: number,
  charges: ReadonlyArray<Charge<Quota>>,
  ttlMs: number
): Outcome<Quota> => decide(share, now, charges, ttlMs)

/**
 * @since 0.1.0
 * @category combinators
 */
export const check = <Quota extends string>(
  share: Share<Quota>,
  now: number,
  charges: ReadonlyArray<Charge<Quota>>
): Outcome<Quota> => decide(share, now, charges, undefined)

/**
 * Was this reservation granted by a share?
 *
 * @since 0.1.0
 * @category combinators
 */
export const isLocal = <Quota extends string>(share: Share<Quota>, id: string): boolean =>
  id.startsWith(share.prefix)

/**
 * @since 0.1.0
 * @category combinators
 */
export const submitted = <Quota extends string>(share: Share<Quota>, now: number, id: string): void => {
  if (share.local !== undefined) QuotaLedger.submitted(share.local, now, id)
}

/**
 * A reservation granted by the share is finished (released without `actual`). What the store must be told
 * beyond what has been harvested of it.
 *
 * @since 0.1.0
 * @category combinators
 */
export const finishLocal = <Quota extends string>(
  share: Share<Quota>,
  now: number,
  id: string,
  actual: ReadonlyArray<Actual<Quota>> | undefined
): Owed<Quota>["actual"] => {
  const carried = share.carried.get(id)
  if (carried === undefined) {
    if (share.local !== undefined) {
      if (actual === undefined) QuotaLedger.release(share.local, now, id)
      else QuotaLedger.settle(share.local, now, id, actual)
    }
    return []
  }
  share.carried.delete(id)
  if (actual === undefined) return []
  return carried.flatMap((held) => {
    const more = (truthOf(held, actual) ?? held.amount) - held.amount
    return more > 0 && now < held.until
      ? [{ key: held.key, quota: held.quota, amount: more, until: held.until }]
      : []
  })
}

/**
 * Forgets what was used, as the store has been told to.
 *
 * @since 0.1.0
 * @category combinators
 */
export const reset = <Quota extends string>(
  share: Share<Quota>,
  key: string,
  quota: Quota | undefined
): void => {
  for (const known of share.keys.get(key) ?? []) {
    if (quota === undefined || known.quota === quota) known.used = known.own = 0
  }
}

/**
 * Has this process heard what is used of a key in windows that are not over? Else nothing can be said of it, not
 * even that nothing is used.
 *
 * @since 0.1.0
 * @category combinators
 */
export const isKnown = <Quota extends string>(share: Share<Quota>, now: number, key: string): boolean =>
  (share.keys.get(key) ?? []).some(({ resetAt }) => now < resetAt && resetAt < Number.POSITIVE_INFINITY)

/**
 * What is used as far as this process knows.
 *
 * @since 0.1.0
 * @category combinators
 */
export const usage = <Quota extends string>(
  share: Share<Quota>,
  now: number,
  key: string
): ReadonlyArray<Usage<Quota>> => {
  const local = share.local === undefined ? [] : QuotaLedger.usage(share.local, now, key)
  return (share.keys.get(key) ?? []).flatMap(({ quota }) => {
    const known = find(share, now, key, quota)
    const here = local.find((each) => each.quota === quota)
    if (known === undefined || known.resetAt === Number.POSITIVE_INFINITY) return []
    const used = known.taken + known.spent + known.doubt + (here?.used ?? 0)
    const reserved = here?.reserved ?? 0
    return used > 0 || reserved > 0 ? [{ key, quota, used, reserved, resetAt: known.resetAt }] : []
  })
}
