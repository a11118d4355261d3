/**
 * What one process knows of the quotas in a store, and of the reservations it has there: what its share is
 * made of when the store is lost. The steps of an outage are in `QuotaShare.ts`.
 *
 * Invariants:
 *  - what is known of a quota is the store's last word on it, corrected by what this process has finished since;
 *  - keys and reservations are remembered up to a bound: what was heard of longest ago is forgotten.
 *
 * @since 0.1.0
 */
import type { Actual, Charge, Ledger, Usage } from "./QuotaModel.js"
import type * as QuotaWindow from "./QuotaWindow.js"

/** One quota of one key, as far as this process knows. */
export interface Known<Quota extends string> {
  readonly quota: Quota
  /** The store's last word: settled, and settled or held. */
  used: number
  taken: number
  /** Settled by this process. */
  own: number
  spent: number
  doubt: number
  /** All of it is over then. */
  resetAt: number
}

/** An amount that counts until its window is over. */
export interface Held<Quota extends string> {
  readonly key: string
  readonly quota: Quota
  readonly amount: number
  readonly until: number
  readonly known?: Known<Quota> | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Share<Quota extends string = string> {
  readonly prefix: string
  readonly mode: QuotaWindow.Mode
  readonly maxKeys: number
  readonly maxOpen: number
  /** What was heard of longest ago comes first. */
  readonly keys: Map<string, Array<Known<Quota>>>
  /** Reservations that the store has granted to this process. */
  readonly open: Map<string, ReadonlyArray<Held<Quota>>>
  /** Reservations granted here that were harvested before they were finished. */
  readonly carried: Map<string, ReadonlyArray<Held<Quota>>>
  /** What is admitted in the present outage. */
  local: Ledger<Quota> | undefined
  generation: number
  /** When the store was lost. */
  since: number
  replicas: number
}

/**
 * What the store is to be told of one key.
 *
 * @since 0.1.0
 * @category models
 */
export interface Owed<Quota extends string = string> {
  readonly key: string
  /** `until`: told later than this, it must not be told any more. */
  readonly actual: ReadonlyArray<Actual<Quota> & { readonly until: number }>
}

/**
 * `prefix`: what the ids of this process's own reservations start with; no store's do.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <Quota extends string>(options: {
  readonly prefix: string
  readonly mode?: QuotaWindow.Mode | undefined
  /** Keys remembered at most. */
  readonly maxKeys?: number | undefined
  /** Unfinished reservations remembered at most. */
  readonly maxOpen?: number | undefined
}): Share<Quota> => ({
  prefix: options.prefix,
  mode: options.mode ?? "fixed",
  maxKeys: options.maxKeys ?? 10_000,
  maxOpen: options.maxOpen ?? 10_000,
  keys: new Map(),
  open: new Map(),
  carried: new Map(),
  local: undefined,
  generation: 0,
  since: Number.NEGATIVE_INFINITY,
  replicas: 1
})

export const find = <Quota extends string>(
  share: Share<Quota>,
  now: number,
  key: string,
  quota: Quota
): Known<Quota> | undefined => {
  const known = share.keys.get(key)?.find((each) => each.quota === quota)
  if (known !== undefined && now >= known.resetAt) {
    known.used = known.taken = known.own = known.spent = known.doubt = 0
    known.resetAt = Number.POSITIVE_INFINITY
  }
  return known
}

/** Found or made; made in place of what was heard of longest ago, but never while shares are spent. */
export const findOrMake = <Quota extends string>(
  share: Share<Quota>,
  now: number,
  key: string,
  quota: Quota
): Known<Quota> | undefined => {
  const found = find(share, now, key, quota)
  if (found !== undefined) return found
  let all = share.keys.get(key)
  if (all === undefined) {
    if (share.keys.size >= share.maxKeys) {
      const oldest = share.keys.keys().next()
      if (share.local !== undefined || oldest.done === true) return undefined
      share.keys.delete(oldest.value)
    }
    share.keys.set(key, (all = []))
  }
  const known = { quota, used: 0, taken: 0, own: 0, spent: 0, doubt: 0, resetAt: Number.POSITIVE_INFINITY }
  all.push(known)
  return known
}

/**
 * The store has said how much of a quota is used.
 *
 * @since 0.1.0
 * @category combinators
 */
export const learn = <Quota extends string>(share: Share<Quota>, now: number, usage: Usage<Quota>): void => {
  const known = findOrMake(share, now, usage.key, usage.quota)
  if (known === undefined) return
  known.used = usage.used
  known.taken = usage.used + usage.reserved
  known.doubt = 0
  known.resetAt = usage.resetAt
}

/**
 * The store has granted a reservation to this process.
 *
 * @since 0.1.0
 * @category combinators
 */
export const granted = <Quota extends string>(
  share: Share<Quota>,
  now: number,
  id: string,
  charges: ReadonlyArray<Charge<Quota>>,
  usage: ReadonlyArray<Usage<Quota>>
): void => {
  let key: string | undefined
  for (const each of usage) {
    if (each.key !== key && share.local === undefined) {
      // Back in as the youngest.
      const all = share.keys.get((key = each.key))
      if (all !== undefined && share.keys.delete(key)) share.keys.set(key, all)
    }
    learn(share, now, each)
  }
  if (share.open.size >= share.maxOpen) return
  share.open.set(
    id,
    charges.map(({ amount, key, quota }) => {
      const known = find(share, now, key, quota)
      return { key, quota, amount, until: known?.resetAt ?? Number.POSITIVE_INFINITY, known }
    })
  )
}

export const truthOf = <Quota extends string>(
  { key, quota }: Held<Quota>,
  actual: ReadonlyArray<Actual<Quota>>
): number | undefined =>
  actual.find((each) => each.quota === quota && each.key === key && each.amount >= 0)?.amount

/**
 * A reservation of the store is finished with these truths (with nothing: released). Returns all of its
 * charges, those that were not named with their estimate: what a store that has forgotten the
 * reservation must be told. Undefined when this process does not know it either.
 *
 * @since 0.1.0
 * @category combinators
 */
export const finished = <Quota extends string>(
  share: Share<Quota>,
  now: number,
  id: string,
  actual: ReadonlyArray<Actual<Quota>> | undefined
): ReadonlyArray<Actual<Quota>> | undefined => {
  const held = share.open.get(id)
  if (held === undefined) return undefined
  share.open.delete(id)
  return held.map((each) => {
    const { amount: estimate, key, known, quota, until } = each
    const amount = actual === undefined ? 0 : (truthOf(each, actual) ?? estimate)
    if (known !== undefined && now < until && now < known.resetAt) {
      known.used += amount
      known.own += amount
      known.taken = Math.max(0, known.taken + Math.min(0, amount - estimate))
      // More than anybody could know: it comes out of our own share.
      if (amount > estimate) {
        if (share.local === undefined) known.taken += amount - estimate
        else known.doubt += amount - estimate
      }
    }
    return { key, quota, amount }
  })
}

/**
 * A reservation was asked for, and nobody knows whether the store has granted it: it counts as spent.
 *
 * @since 0.1.0
 * @category combinators
 */
export const doubtful = <Quota extends string>(
  share: Share<Quota>,
  now: number,
  charges: ReadonlyArray<Charge<Quota>>
): void => {
  for (const { amount, key, quota } of charges) {
    const known = find(share, now, key, quota)
    if (known !== undefined) known.doubt += amount
  }
}
