/**
 * Token buckets over several scopes at once (global, operation class, tier, client), decided in one
 * step: all scopes admit the call on the same `now`, or none is charged.
 *
 * The algorithm is GCRA in its virtual scheduling form (ITU-T I.371, annex A): a bucket is one number,
 * the theoretical arrival time `tat` at which it will be full again. With `interval = 1000 / rate` and
 * `depth = burst * interval`, a call of `cost` tokens waits
 *
 *     max(tat, now) + cost * interval - depth - now      milliseconds; none at all when that is <= 0
 *
 * and charging it moves `tat` to `max(tat, now) + cost * interval`.
 *
 * Invariants
 * 1. A refusal changes no bucket.
 * 2. The wait of a refusal is exact, and so is its ceiling in whole milliseconds.
 * 3. What a scope admits in a window of `w` ms, less what it gets back in that window, is at most
 *    `burst + rate * w / 1000`. (A call that was reserved counts when its tokens are due.)
 * 4. A refund never lifts a bucket above `burst`, and revives no bucket that was forgotten.
 * 5. Time never runs backwards: an earlier `now` is taken for the latest one seen.
 * 6. A client who takes more than its share of a bucket that others want too leaves a part of it to them
 *    (`FairShare`), however often it asks.
 * 7. The table of clients never holds more than `maxClients`; only clients whose bucket is full, hence
 *    without a debt or a reservation, are ever forgotten.
 *
 * Every time inside is a multiple of 2^-16 ms counted from the creation of the state, so that sums are
 * exact in a double and invariants 2 and 3 hold without a tolerance.
 *
 * @since 0.1.0
 */

import { roundDown, roundUp } from "./BucketLimits.js"
import * as FairShare from "./FairShare.js"
import type { Config, Line, Scope, Tier } from "./BucketLimits.js"

/**
 * The clients' buckets. Updated in place, because a persistent map of 100,000 entries costs more than
 * the whole decision: whoever owns a {@link State} must use it linearly (one owner, one step a call)
 * and may take a {@link copy}. What is decided depends on nothing but the arguments all the same.
 */
interface Table {
  readonly tats: Map<string, number>
  /** Where the sweep stands; none while there is room, since an idle iterator keeps old tables alive. */
  cursor: Iterator<[string, number]> | undefined
  /** Whether a client was ever forgotten. */
  forgetful: boolean
}

export interface State {
  /** The time, in the caller's clock, that all times inside are counted from. */
  readonly origin: number
  /** Latest `now` seen. */
  readonly last: number
  /** `tat` of each shared bucket. */
  readonly shared: ReadonlyArray<number>
  /** Who uses each shared bucket. */
  readonly shares: ReadonlyArray<FairShare.Shares>
  readonly table: Table
}

export interface Request {
  readonly client: string
  readonly tier: string
  readonly class: string
  /** 1 when absent. */
  readonly cost?: number | undefined
}

/** What is known of the bucket that refused, or that is asked about. `remaining` is in whole tokens. */
export interface Reading {
  readonly scope: Scope
  readonly name: string | undefined
  readonly ratePerSecond: number
  readonly burst: number
  readonly remaining: number
  /** Milliseconds until the bucket is full. */
  readonly resetMs: number
}

export interface Admitted {
  readonly _tag: "Admitted"
  /** Milliseconds until the tokens are due; 0 without a reservation. */
  readonly waitMs: number
  readonly clientScope: "client" | "overflow"
}

export interface Refused {
  readonly _tag: "Refused"
  /** The bucket that makes the caller wait longest; the client's own where several do. */
  readonly binding: Reading
  /** Whole milliseconds until the same call is admitted, if nobody else calls; 0 when it never is. */
  readonly retryAfterMs: number
  /** The cost is larger than the bucket. */
  readonly never: boolean
}

export type Decision = Admitted | Refused

/** A sweep of four a call frees room four times faster than new clients can take it. */
const SWEEP_PER_CALL = 4
/** Longest delay a timer of the platform can be set to; a longer wait would never end. */
const MAX_WAIT_MS = 2_147_483_647

/** Buckets at their first sight, at `now` milliseconds of any monotonic clock. */
export const initial = (config: Config, now: number): State => ({
  origin: now,
  last: 0,
  shared: config.shared.map((line) => line.startDebt),
  shares: config.shared.map(() => FairShare.make()),
  table: { tats: new Map(), cursor: undefined, forgetful: false }
})

/** An independent copy, for asking "what if". */
export const copy = (state: State): State => ({
  ...state,
  shares: state.shares.map(FairShare.copy),
  table: { tats: new Map(state.table.tats), cursor: undefined, forgetful: state.table.forgetful }
})

/** Clients in the table. */
export const size = (state: State): number => state.table.tats.size

const monotone = (state: State, now: number): number => {
  const passed = roundDown(now - state.origin)
  return passed > state.last ? passed : state.last
}

const tierOf = (config: Config, name: string): Tier => config.tiers.get(name) ?? config.fallback

const pathOf = (tier: Tier, name: string): ReadonlyArray<Line> => tier.paths.get(name) ?? tier.classless

const costOf = (request: Request): number => {
  const { cost = 1 } = request
  // A negative cost would mint tokens for everybody.
  if (!(cost >= 0 && cost < Infinity)) throw new RangeError(`a call cannot cost ${cost} tokens`)
  return cost
}

const price = (line: Line, cost: number): number =>
  cost === 1 ? line.interval : roundUp(cost * line.interval)

const waitOf = (line: Line, tat: number, now: number, cost: number): number =>
  cost > line.burst ? Infinity : Math.max(tat, now) + price(line, cost) - line.depth - now

/**
 * The wait at a shared bucket. Who is behind gets what is there beyond the reserve, or waits until he is
 * not behind any more, whichever comes first; he cannot reserve what has still to flow in, or the line of
 * his reservations would be what the others wait for.
 */
const sharedWait = (
  state: State,
  line: Line,
  now: number,
  { client, cost, maxClients, patience }: Asking
): number => {
  const wait = waitOf(line, state.shared[line.slot] ?? now, now, cost)
  const shares = state.shares[line.slot]
  if (shares === undefined || line.reserve === 0 || wait === Infinity) return wait
  if (wait + line.reserve <= 0) return wait
  const behindMs = FairShare.behindMs(shares, now, client, maxClients)
  if (behindMs === 0) return wait
  const fits = price(line, cost) + line.reserve <= line.depth
  return Math.min(fits ? wait + line.reserve + patience : Infinity, Math.max(behindMs, wait))
}

interface Asking {
  readonly client: string
  readonly cost: number
  readonly patience: number
  readonly maxClients: number
}

const read = (line: Line, tat: number, now: number): Reading => {
  const debt = Math.max(tat - now, 0)
  return {
    scope: line.scope,
    name: line.name,
    ratePerSecond: line.rate,
    burst: line.burst,
    // The depth of a burst that is no whole number is rounded up to the grid; what is told is not.
    remaining: Math.max(Math.floor(Math.min((line.depth - debt) / line.interval, line.burst)), 0),
    resetMs: Math.ceil(debt)
  }
}

/**
 * The bucket that stands for a client. One that is not in the table starts with its `initial` tokens,
 * until the table has forgotten somebody for want of room: from then on a newcomer may be an old
 * client whose bucket was full when it was forgotten, so unknown clients start full. Nobody loses by
 * having been forgotten, and nobody ever holds more than `burst`.
 */
const ownBucket = (
  state: State,
  now: number,
  config: Config,
  client: string,
  tier: Tier
): { readonly line: Line; readonly tat: number; readonly known: boolean } => {
  const { forgetful, tats } = state.table
  const tat = tats.get(client)
  if (tat !== undefined) return { line: tier.client, tat, known: true }
  if (tats.size < config.maxClients)
    return { line: tier.client, tat: forgetful ? now : now + tier.client.startDebt, known: false }
  return { line: config.overflow, tat: state.shared[config.overflow.slot] ?? now, known: false }
}

/**
 * Looks at a few clients, where the last call stopped looking, and forgets those whose bucket is full.
 * Once begun it goes on until a half of the room is free: to begin anew is to pass over all the gaps
 * that were left at the front of the table.
 */
const sweep = (table: Table, now: number, config: Config): void => {
  const { size } = table.tats
  if (size <= (table.cursor === undefined ? config.sweepAbove : config.sweepAbove / 2)) {
    table.cursor = undefined
    return
  }
  for (let left = SWEEP_PER_CALL; left > 0; left--) {
    table.cursor ??= table.tats.entries()
    const next = table.cursor.next()
    if (next.done === true) {
      table.cursor = undefined
    } else if (next.value[1] <= now) {
      table.tats.delete(next.value[0])
      table.forgetful = true
    }
  }
}

/**
 * Admits the call when no scope makes it wait longer than `maxWaitMs` (0: now or never), and charges
 * all scopes; otherwise charges none. For a call that was willing to wait, `retryAfterMs` is the time
 * after which it would be admitted with that same willingness.
 */
export const decide = (
  state: State,
  at: number,
  config: Config,
  request: Request,
  maxWaitMs = 0
): readonly [Decision, State] => {
  const now = monotone(state, at)
  const cost = costOf(request)
  const patience = maxWaitMs > 0 ? Math.min(maxWaitMs, MAX_WAIT_MS) : 0
  const tier = tierOf(config, request.tier)
  const path = pathOf(tier, request.class)
  sweep(state.table, now, config)
  const own = ownBucket(state, now, config, request.client, tier)

  const asking = { client: request.client, cost, patience, maxClients: config.maxClients }
  let binding = own.line
  let wait = waitOf(own.line, own.tat, now, cost)
  for (const line of path) {
    const other = sharedWait(state, line, now, asking)
    if (other > wait) {
      wait = other
      binding = line
    }
  }

  const note = (line: Line, charged: number): void => {
    const shares = state.shares[line.slot]
    if (shares !== undefined) FairShare.note(shares, now, request.client, charged, config.maxClients)
  }

  if (wait > patience) {
    // He is told to wait here; whoever comes first at this bucket is to know that he wants some.
    if (binding.slot >= 0) note(binding, 0)
    const never = wait === Infinity
    // A client seen for the first time fills up from now on, or what it was told to wait for never comes.
    if (!own.known && own.line.slot < 0 && own.tat > now) state.table.tats.set(request.client, own.tat)
    const tat = binding.slot < 0 ? own.tat : (state.shared[binding.slot] ?? now)
    const retryAfterMs = never ? 0 : Math.ceil(wait - patience)
    return [
      { _tag: "Refused", binding: read(binding, tat, now), retryAfterMs, never },
      { ...state, last: now }
    ]
  }

  const shared = state.shared.slice()
  for (const line of path) {
    const charged = price(line, cost)
    shared[line.slot] = Math.max(shared[line.slot] ?? now, now) + charged
    note(line, charged)
  }
  const paid = Math.max(own.tat, now) + price(own.line, cost)
  if (own.line.slot < 0) state.table.tats.set(request.client, paid)
  else shared[own.line.slot] = paid
  return [
    {
      _tag: "Admitted",
      waitMs: wait > 0 ? wait : 0,
      clientScope: own.line.slot < 0 ? "client" : "overflow"
    },
    { origin: state.origin, last: now, shared, shares: state.shares, table: state.table }
  ]
}

/**
 * Gives back what `decide` charged. What the bucket has no room for any more is gone: a `tat` in the past
 * means full, and no fuller the longer it is past.
 */
export const refund = (
  state: State,
  at: number,
  config: Config,
  admission: Request & { readonly clientScope: "client" | "overflow" }
): State => {
  const now = monotone(state, at)
  const cost = costOf(admission)
  const tier = tierOf(config, admission.tier)
  const shared = state.shared.slice()
  const giveBack = (line: Line): void => {
    shared[line.slot] = (shared[line.slot] ?? now) - price(line, cost)
    const shares = state.shares[line.slot]
    if (shares !== undefined) FairShare.giveBack(shares, admission.client, price(line, cost))
  }
  for (const line of pathOf(tier, admission.class)) giveBack(line)
  if (admission.clientScope === "overflow") {
    giveBack(config.overflow)
  } else {
    const tat = state.table.tats.get(admission.client)
    // A client that was forgotten in the meantime was full: there is nothing to give back.
    if (tat !== undefined) state.table.tats.set(admission.client, tat - price(tier.client, cost))
  }
  return { origin: state.origin, last: now, shared, shares: state.shares, table: state.table }
}

/** The buckets that a call of this client would meet, its own first. */
export const status = (
  state: State,
  at: number,
  config: Config,
  client: string,
  tierName: string
): ReadonlyArray<Reading> => {
  const now = monotone(state, at)
  const tier = tierOf(config, tierName)
  const own = ownBucket(state, now, config, client, tier)
  const shared = [...(tier.total === undefined ? [] : [tier.total]), ...config.classes, config.global]
  return [
    read(own.line, own.tat, now),
    ...shared.map((line) => read(line, state.shared[line.slot] ?? now, now))
  ]
}
