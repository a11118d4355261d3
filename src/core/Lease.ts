/**
 * Leased budgets: a part of a shared limit, taken in advance, so that most calls need not ask whoever
 * counts for all. The calls are booked in a ledger of their own (`QuotaLedger.ts`), of which the limits are
 * what has been leased.
 *
 * ```
 *   shared counter   [ used by others | leased by others |  leased here  |      free      ]
 *   here                                                  [ taken | left ]
 *                    short of it: lease more --> Short --> leased(...)
 *                    a lease used up, a slice over, the end --> Closing: settle it with what was used
 * ```
 *
 * Invariants
 *  - What is taken here never exceeds what was leased, and what is leased is taken in the shared counter:
 *    so all together never exceed the limit. (What is only known afterwards may, as without leases; it is
 *    reported at once.)
 *  - A lease that nobody returns stays taken: it counts as spent.
 *  - A lease is used in the slice in which it was taken, and nowhere else.
 *  - Of each budget one lease is open at most: earlier ones are used up and settled as such.
 *  - What is short is asked for to the unit, whenever a larger part is refused.
 *
 * A state is consumed by every step, as a ledger is.
 *
 * @since 0.1.0
 */
import * as QuotaLedger from "./QuotaLedger.js"
import type { Attempt, Group, Part, Sizes, State } from "./LeaseModel.js"
import {
  SEPARATOR,
  budgetOf,
  closeGroup,
  counterOf,
  leasedOf,
  limitOf,
  settleUp,
  sumIn,
  wantOf,
  withdraw
} from "./LeaseModel.js"
import type { Actual, Charge, Decision, Usage } from "./QuotaModel.js"
import * as QuotaExpiry from "./QuotaExpiry.js"
import * as QuotaWindow from "./QuotaWindow.js"

export { drain, make } from "./LeaseModel.js"
export type { Attempt, Closing, Sizes, State, Want } from "./LeaseModel.js"

const sweep = <Quota extends string>(state: State<Quota>): void => {
  for (let i = 0; i < 2; i++) {
    const next = state.sweep.next()
    if (next.done === true) {
      state.sweep = state.budgets.entries()
      return
    }
    const [name, budget] = next.value
    const before = budget.now.slice
    settleUp(state, budget)
    if (budget.now.slice !== before && budget.earlier.length === 0) state.budgets.delete(name)
  }
}

/**
 * Books all charges on what is leased, or says of what there is too little. `ttlMs` undefined asks only.
 *
 * @since 0.1.0
 * @category combinators
 */
export const attempt = <Quota extends string>(
  state: State<Quota>,
  now: number,
  charges: ReadonlyArray<Charge<Quota>>,
  ttlMs: number | undefined,
  sizes: Sizes
): Attempt<Quota> => {
  QuotaExpiry.advance(state.ledger, now)
  sweep(state)
  const budgets = charges.map(({ key, quota }) => budgetOf(state, key, quota))
  const local = charges.map((charge, i) => ({
    ...charge,
    limit: budgets[i] === undefined ? 0 : limitOf(state, budgets[i], charge.limit)
  }))
  const decided =
    ttlMs === undefined
      ? QuotaLedger.check(state.ledger, now, local)
      : QuotaLedger.reserve(state.ledger, now, local, ttlMs)
  if (decided._tag === "Granted") {
    const usage = decided.usage.map((own, i) => {
      const budget = budgets[i]
      const charge = charges[i]
      if (budget === undefined || charge === undefined) return own
      if (ttlMs !== undefined) {
        budget.sampled += Math.max(0, charge.amount)
        settleUp(state, budget)
      }
      return { ...own, used: own.used + Math.max(0, budget.others), limit: charge.limit }
    })
    return { ...decided, usage }
  }
  const lacking = charges.flatMap((charge, i) => {
    const budget = budgets[i]
    if (budget === undefined) return []
    const counter = counterOf(state, budget)
    const taken = QuotaWindow.usedOf(counter) + QuotaWindow.reservedOf(counter)
    const { amount, postPaid = false } = charge
    return QuotaWindow.admits(taken, Math.max(0, amount), local[i]?.limit ?? 0, postPaid)
      ? []
      : [wantOf(state, budget, charge, sizes)]
  })
  return { _tag: "Short", wants: lacking }
}

/**
 * The shared store has granted these wants in one reservation. False, and nothing is leased, when it did
 * so in another slice than ours: then the reservation is to be given back.
 *
 * @since 0.1.0
 * @category combinators
 */
export const leased = <Quota extends string>(
  state: State<Quota>,
  now: number,
  id: string,
  usage: ReadonlyArray<Usage<Quota>>,
  amounts: ReadonlyArray<number>
): boolean => {
  QuotaExpiry.advance(state.ledger, now)
  const budgets = usage.map(({ key, quota }) => budgetOf(state, key, quota))
  const aligned = budgets.every(
    (budget, i) =>
      QuotaWindow.sliceEnd(counterOf(state, budget).window, budget.now.slice) === usage[i]?.resetAt
  )
  if (!aligned) return false
  const parts = usage.map(({ key, quota }, i): Part<Quota> => {
    const held = budgets[i]?.now ?? { slice: 0, leased: 0, open: undefined }
    return { key, quota, amount: amounts[i] ?? 0, held, final: undefined }
  })
  const group = { id, parts }
  budgets.forEach((budget, i) => {
    const part = parts[i]
    const seen = usage[i]
    if (part === undefined || seen === undefined) return
    if (budget.now.open !== undefined) closeGroup(state, budget.now.open.group)
    budget.now.leased += part.amount
    budget.now.open = { group, part }
    budget.others = seen.used + seen.reserved - leasedOf(state, budget)
  })
  return true
}

/**
 * What the shared store says of a key, with our leases replaced by what was made of them.
 *
 * @since 0.1.0
 * @category combinators
 */
export const corrected = <Quota extends string, U extends Usage<Quota>>(
  state: State<Quota>,
  now: number,
  shared: U
): U => {
  QuotaExpiry.advance(state.ledger, now)
  if (!state.budgets.has(shared.key + SEPARATOR + shared.quota)) return shared
  const budget = budgetOf(state, shared.key, shared.quota)
  const counter = counterOf(state, budget)
  const open = [budget.now, ...budget.earlier].reduce((sum, held) => sum + (held.open?.part.amount ?? 0), 0)
  const settled = leasedOf(state, budget) - open
  return {
    ...shared,
    used: Math.max(0, shared.used - settled + QuotaWindow.usedOf(counter)),
    reserved: Math.max(0, shared.reserved - open + QuotaWindow.reservedOf(counter))
  }
}

/**
 * What a check would answer that found enough, here or (`seen`, of `asked`) in the shared store.
 *
 * @since 0.1.0
 * @category combinators
 */
export const foreseen = <Quota extends string>(
  state: State<Quota>,
  now: number,
  charges: ReadonlyArray<Charge<Quota>>,
  seen: ReadonlyArray<Usage<Quota>>,
  asked: ReadonlyArray<Charge<Quota>>
): Decision<Quota> => {
  QuotaExpiry.advance(state.ledger, now)
  seen.forEach(({ key, quota, reserved, used }, i) => {
    const budget = budgetOf(state, key, quota)
    budget.others = used + reserved - Math.max(0, asked[i]?.amount ?? 0) - leasedOf(state, budget)
  })
  const unlimited = charges.map((charge) => ({ ...charge, limit: Number.POSITIVE_INFINITY }))
  const decided = QuotaLedger.check(state.ledger, now, unlimited)
  if (decided._tag === "Refused") return decided
  const usage = decided.usage.map((own, i) => ({
    ...own,
    used: own.used + Math.max(0, budgetOf(state, own.key, own.quota).others),
    limit: charges[i]?.limit ?? own.limit
  }))
  return { ...decided, usage }
}

const touched = <Quota extends string>(
  state: State<Quota>,
  now: number,
  id: string,
  step: () => void
): void => {
  QuotaExpiry.advance(state.ledger, now)
  const reservation = state.ledger.open.get(id) ?? state.ledger.expired.get(id)
  step()
  for (const { counter, key } of reservation?.entries ?? []) budgetOf(state, key, counter.quota)
}

/** Is this a reservation of ours? */
export const isOwn = <Quota extends string>(state: State<Quota>, id: string): boolean =>
  id.startsWith(state.ledger.prefix)

export const submitted = <Quota extends string>(state: State<Quota>, now: number, id: string): void =>
  touched(state, now, id, () => QuotaLedger.submitted(state.ledger, now, id))

export const settle = <Quota extends string>(
  state: State<Quota>,
  now: number,
  id: string,
  actual: ReadonlyArray<Actual<Quota>>
): void => touched(state, now, id, () => QuotaLedger.settle(state.ledger, now, id, actual))

export const release = <Quota extends string>(state: State<Quota>, now: number, id: string): void =>
  touched(state, now, id, () => QuotaLedger.release(state.ledger, now, id))

/** To be done when the shared store has forgotten what was used: of leases, only the open ones are left. */
export const reset = <Quota extends string>(
  state: State<Quota>,
  now: number,
  key: string,
  quota?: Quota
): void => {
  QuotaLedger.reset(state.ledger, now, key, quota)
  const concerned = [...state.budgets.values()].filter(
    (budget) => budget.key === key && (quota === undefined || budget.quota === quota)
  )
  for (const budget of concerned) {
    for (const held of [budget.now, ...budget.earlier]) held.leased = held.open?.part.amount ?? 0
    budget.others = 0
  }
  // Only now: this can close a lease that others of them are part of.
  for (const budget of concerned) settleUp(state, budget)
}

/** Gives back all that is left. What is held by calls that are not finished counts as spent. */
export const close = <Quota extends string>(state: State<Quota>, now: number): void => {
  QuotaExpiry.advance(state.ledger, now)
  const groups = new Set<Group<Quota>>()
  for (const budget of state.budgets.values()) {
    settleUp(state, budget)
    const counter = counterOf(state, budget)
    for (const held of [budget.now, ...budget.earlier]) {
      withdraw(held, sumIn(counter, held.slice))
      if (held.open !== undefined) groups.add(held.open.group)
    }
  }
  for (const group of groups) closeGroup(state, group)
}
