/**
 * What leases are made of (see `Lease.ts`): budgets, what is leased of them in which slice, and what the
 * shared store has to be told. Changed in place, by the steps over there.
 *
 * @since 0.1.0
 */
import type { Actual, Charge, Decision, Ledger } from "./QuotaModel.js"
import * as QuotaModel from "./QuotaModel.js"
import * as QuotaWindow from "./QuotaWindow.js"

/** A part of a shared reservation: what was leased for one budget. */
export interface Part<Quota extends string> {
  readonly key: string
  readonly quota: Quota
  readonly amount: number
  readonly held: Held<Quota>
  /** What it is to be settled with, once that is known. */
  final: number | undefined
}

export interface Group<Quota extends string> {
  readonly id: string
  readonly parts: ReadonlyArray<Part<Quota>>
}

export interface Open<Quota extends string> {
  readonly group: Group<Quota>
  readonly part: Part<Quota>
}

/** What was leased in one slice. */
export interface Held<Quota extends string> {
  readonly slice: number
  leased: number
  open: Open<Quota> | undefined
}

export interface Budget<Quota extends string> {
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

export const counterOf = <Quota extends string>(state: State<Quota>, { key, quota }: Budget<Quota>) =>
  QuotaModel.counterOf(state.ledger, key, quota)

export const takenIn = (counter: QuotaWindow.Counter, slice: number): QuotaWindow.Bucket | undefined =>
  counter.buckets.find((bucket) => bucket.slice === slice)

export const sumIn = (counter: QuotaWindow.Counter, slice: number): number => {
  const bucket = takenIn(counter, slice)
  return bucket === undefined ? 0 : bucket.used + bucket.reserved
}

/** Tells of a group. What is left of its other parts can still be used here, and no longer be given back. */
export const closeGroup = <Quota extends string>(state: State<Quota>, { id, parts }: Group<Quota>): void => {
  const actual = parts.map(({ amount, final = amount, held, key, quota }) => {
    held.open = undefined
    return { key, quota, amount: final }
  })
  state.closings.push({ id, actual })
}

/** What is left of the open lease will not be used. */
export const withdraw = <Quota extends string>(held: Held<Quota>, taken: number): void => {
  if (held.open === undefined) return
  const { part } = held.open
  const returned = Math.max(0, Math.min(part.amount, held.leased - taken))
  part.final = part.amount - returned
  held.leased -= returned
}

/** More was used than was leased: known only afterwards, and told at once. */
export const owe = <Quota extends string>(
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
export const settleUp = <Quota extends string>(state: State<Quota>, budget: Budget<Quota>): void => {
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

export const SEPARATOR = "\u0000"

export const budgetOf = <Quota extends string>(
  state: State<Quota>,
  key: string,
  quota: Quota
): Budget<Quota> => {
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
export const leasedOf = <Quota extends string>(state: State<Quota>, budget: Budget<Quota>): number => {
  const counter = counterOf(state, budget)
  const taken = QuotaWindow.usedOf(counter) + QuotaWindow.reservedOf(counter)
  return [budget.now, ...budget.earlier].reduce(
    (sum, held) => sum + held.leased - sumIn(counter, held.slice),
    taken
  )
}

/** How much may be taken here in all, for a charge with this limit. */
export const limitOf = <Quota extends string>(
  state: State<Quota>,
  budget: Budget<Quota>,
  limit: number
): number => {
  const counter = counterOf(state, budget)
  const taken = QuotaWindow.usedOf(counter) + QuotaWindow.reservedOf(counter)
  const left = budget.now.leased - sumIn(counter, budget.now.slice)
  // A limit may have been lowered since the lease.
  return Math.min(taken + left, limit - budget.others)
}

/** A lease that serves for a while, if the limit is far away; the unit that is short, if it is near. */
export const wantOf = <Quota extends string>(
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
