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
import type { Actual, Charge, Decision, Ledger, Usage } from "./QuotaModel.js"
import * as QuotaModel from "./QuotaModel.js"
import * as QuotaWindow from "./QuotaWindow.js"

/** A part of a shared reservation: what was leased for one budget. */
interface Part<Quota extends string> {
  readonly key: string
  readonly quota: Quota
  readonly amount: number
  readonly held: Held<Quota>
  /** What it is to be settled with, once that is known. */
  final: number | undefined
}

interface Group<Quota extends string> {
  readonly id: string
  readonly parts: ReadonlyArray<Part<Quota>>
}

interface Open<Quota extends string> {
  readonly group: Group<Quota>
  readonly part: Part<Quota>
}

/** What was leased in one slice. */
interface Held<Quota extends string> {
  readonly slice: number
  leased: number
  open: Open<Quota> | undefined
}

interface Budget<Quota extends string> {
  readonly key: string
  readonly quota: Quota
  now: Held<Quota>
  /** Slices that are over, still count, and have calls that are not finished. */
  earlier: Array<Held<Quota>>
  /** What all others had taken when they were last heard of. */
  others: number
  /** Taken per millisecond, of late. */
  rate: number
  sampledAt: number
  sampled: number
}

/** What the shared store has to be told: settle this with that. */
export interface Closing<Quota extends string> {
  /** Undefined: no lease is left to tell it with. */
  readonly id: string | undefined
  readonly actual: ReadonlyArray<Actual<Quota>>
}

/** More of a budget: `chunk` if there is enough, `charge` in any case. */
export interface Want<Quota extends string> {
  readonly charge: Charge<Quota>
  readonly chunk: number
}

export type Attempt<Quota extends string> =
  | Extract<Decision<Quota>, { readonly _tag: "Granted" }>
  | { readonly _tag: "Short"; readonly wants: ReadonlyArray<Want<Quota>> }

export interface State<Quota extends string> {
  readonly ledger: Ledger<Quota>
  readonly budgets: Map<string, Budget<Quota>>
  sweep: IterableIterator<[string, Budget<Quota>]>
  closings: Array<Closing<Quota>>
}

export interface Sizes {
  /** Calls that one lease serves at most. */
  readonly calls: number
  /** Milliseconds that one lease lasts. */
  readonly lastsMs: number
  /** Who may hold leases: each takes at most a quarter of its share of what is left. */
  readonly workers: number
}

export const make = <Quota extends string>(prefix: string, mode: QuotaWindow.Mode): State<Quota> => {
  const budgets = new Map<string, Budget<Quota>>()
  return { ledger: QuotaModel.make<Quota>(prefix, mode), budgets, sweep: budgets.entries(), closings: [] }
}

/** The closings so far; nobody else gets them. */
export const drain = <Quota extends string>(state: State<Quota>): ReadonlyArray<Closing<Quota>> => {
  const { closings } = state
  if (closings.length > 0) state.closings = []
  return closings
}

const counterOf = <Quota extends string>(state: State<Quota>, { key, quota }: Budget<Quota>) =>
  QuotaModel.counterOf(state.ledger, key, quota)

const takenIn = (counter: QuotaWindow.Counter, slice: number): QuotaWindow.Bucket | undefined =>
  counter.buckets.find((bucket) => bucket.slice === slice)

const sumIn = (counter: QuotaWindow.Counter, slice: number): number => {
  const bucket = takenIn(counter, slice)
  return bucket === undefined ? 0 : bucket.used + bucket.reserved
}

/** Tells of a group. What is left of its other parts can still be used here, and no longer be given back. */
const closeGroup = <Quota extends string>(state: State<Quota>, { id, parts }: Group<Quota>): void => {
  const actual = parts.map(({ amount, final = amount, held, key, quota }) => {
    held.open = undefined
    return { key, quota, amount: final }
  })
  state.closings.push({ id, actual })
}

/** What is left of the open lease will not be used. */
const withdraw = <Quota extends string>(held: Held<Quota>, taken: number): void => {
  if (held.open === undefined) return
  const { part } = held.open
  const returned = Math.max(0, Math.min(part.amount, held.leased - taken))
  part.final = part.amount - returned
  held.leased -= returned
}

/** More was used than was leased: known only afterwards, and told at once. */
const owe = <Quota extends string>(
  state: State<Quota>,
  { key, quota }: Budget<Quota>,
  held: Held<Quota>,
  taken: number
): void => {
  const debt = taken - held.leased
  if (debt <= 0) return
  held.leased += debt
  if (held.open === undefined) state.closings.push({ id: undefined, actual: [{ key, quota, amount: debt }] })
  else {
    const { group, part } = held.open
    part.final = part.amount + debt
    closeGroup(state, group)
  }
}

/** Brings a budget to the present. */
const settleUp = <Quota extends string>(state: State<Quota>, budget: Budget<Quota>): void => {
  const counter = counterOf(state, budget)
  const { last } = state.ledger
  QuotaWindow.prune(counter, last)
  const slice = QuotaWindow.sliceAt(counter.window, last)
  if (slice !== budget.now.slice) {
    budget.earlier.push(budget.now)
    budget.now = { slice, leased: 0, open: undefined }
    budget.sampled = 0
  }
  if (budget.earlier.length > 0) {
    budget.earlier = budget.earlier.filter((held) => {
      const bucket = takenIn(counter, held.slice)
      const taken = sumIn(counter, held.slice)
      owe(state, budget, held, taken)
      const live = QuotaWindow.isLive(counter.window, held.slice, last)
      if (live && bucket !== undefined && bucket.reserved > 0) return true
      if (held.open !== undefined) {
        withdraw(held, taken)
        closeGroup(state, held.open.group)
      }
      return false
    })
  }
  owe(state, budget, budget.now, sumIn(counter, budget.now.slice))
}

const SEPARATOR = "\u0000"

const budgetOf = <Quota extends string>(state: State<Quota>, key: string, quota: Quota): Budget<Quota> => {
  const name = key + SEPARATOR + quota
  let budget = state.budgets.get(name)
  if (budget === undefined) {
    const now: Held<Quota> = { slice: Number.NEGATIVE_INFINITY, leased: 0, open: undefined }
    const { last } = state.ledger
    budget = { key, quota, now, earlier: [], others: 0, rate: 0, sampledAt: last, sampled: 0 }
    state.budgets.set(name, budget)
  }
  settleUp(state, budget)
  return budget
}

/** Leased and still counting there, the current slice included. */
const leasedOf = <Quota extends string>(state: State<Quota>, budget: Budget<Quota>): number => {
  const counter = counterOf(state, budget)
  const taken = QuotaWindow.usedOf(counter) + QuotaWindow.reservedOf(counter)
  return [budget.now, ...budget.earlier].reduce(
    (sum, held) => sum + held.leased - sumIn(counter, held.slice),
    taken
  )
}

/** How much may be taken here in all, for a charge with this limit. */
const limitOf = <Quota extends string>(state: State<Quota>, budget: Budget<Quota>, limit: number): number => {
  const counter = counterOf(state, budget)
  const taken = QuotaWindow.usedOf(counter) + QuotaWindow.reservedOf(counter)
  const left = budget.now.leased - sumIn(counter, budget.now.slice)
  // A limit may have been lowered since the lease.
  return Math.min(taken + left, limit - budget.others)
}

/** A lease that serves for a while, if the limit is far away; the unit that is short, if it is near. */
const wantOf = <Quota extends string>(
  state: State<Quota>,
  budget: Budget<Quota>,
  charge: Charge<Quota>,
  sizes: Sizes
): Want<Quota> => {
  const counter = counterOf(state, budget)
  const { last } = state.ledger
  const asked = Math.max(0, charge.amount)
  const taken = QuotaWindow.usedOf(counter) + QuotaWindow.reservedOf(counter)
  const left = budget.now.leased - sumIn(counter, budget.now.slice)
  const postPaid = charge.postPaid === true || asked === 0
  const full = !QuotaWindow.admits(budget.others + taken, asked, charge.limit, postPaid)
  const amount = full ? asked : Math.max(postPaid ? 1 : 0, asked) - left
  const elapsed = Math.max(1, last - budget.sampledAt)
  budget.rate = Math.max(budget.sampled / elapsed, budget.rate / 2)
  budget.sampledAt = last
  budget.sampled = 0
  const share = (charge.limit - budget.others - leasedOf(state, budget)) / (4 * Math.max(1, sizes.workers))
  const chunk = Math.min(sizes.calls * Math.max(1, asked), budget.rate * sizes.lastsMs, share)
  return { charge: { ...charge, amount, postPaid }, chunk: Math.max(amount, Math.floor(chunk)) }
}

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
  QuotaModel.advance(state.ledger, now)
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
  QuotaModel.advance(state.ledger, now)
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
  QuotaModel.advance(state.ledger, now)
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
  QuotaModel.advance(state.ledger, now)
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
  QuotaModel.advance(state.ledger, now)
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
  for (const budget of state.budgets.values()) {
    if (budget.key !== key || (quota !== undefined && budget.quota !== quota)) continue
    for (const held of [budget.now, ...budget.earlier]) held.leased = held.open?.part.amount ?? 0
    budget.others = 0
    settleUp(state, budget)
  }
}

/** Gives back all that is left. What is held by calls that are not finished counts as spent. */
export const close = <Quota extends string>(state: State<Quota>, now: number): void => {
  QuotaModel.advance(state.ledger, now)
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
