/**
 * Token buckets over several scopes at once (global, operation class, tier, client, the client's use of one tool),
 * decided in one step: all scopes admit the call at the same `now`, or none is charged. From the client's own bucket a
 * call takes its cost times the weight of its tool.
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
 * 3. The calls that a scope admits in a window of `w` ms, less the refunds in that window, are at most
 *    `burst + rate * w / 1000`. (A reserved call counts when its tokens are due.)
 * 4. A refund never lifts a bucket above `burst`, and does not restore the bucket of a removed client.
 * 5. Time never runs backwards: an earlier `now` is taken for the latest one seen.
 * 6. A client above its share of a contended bucket leaves a part of it to the others (`FairShare`), however often it
 *    asks.
 * 7. Scopes that a tier only observes refuse nothing and make no call wait. Together they decide as if they enforced: all
 *    of them are charged, or, where one would have refused, none is.
 * 8. The table of clients (`ClientTable`) never holds more than `maxClients`.
 *
 * Every time inside is a multiple of 2^-16 ms counted from the creation of the state. Sums are exact in a double, so
 * invariants 2 and 3 hold without a tolerance.
 *
 * @since 0.1.0
 */

import { roundDown, roundUp } from "./BucketLimits.js"
import type { Config, Line, Scope, Tier, Tool } from "./BucketLimits.js"
import * as ClientTable from "./ClientTable.js"
import * as FairShare from "./FairShare.js"

/** The tables in it are updated in place, for one owner. */
export interface State {
  /** The time, in the caller's clock, that all times inside are counted from. */
  readonly origin: number
  /** Latest `now` seen. */
  readonly last: number
  /** `tat` of each shared bucket. */
  readonly shared: ReadonlyArray<number>
  /** The contenders of each shared bucket. */
  readonly shares: ReadonlyArray<FairShare.Shares>
  readonly table: ClientTable.Table
}

export interface Request {
  readonly client: string
  readonly tier: string
  readonly class: string
  readonly tool?: string | undefined
  /** 1 when absent. */
  readonly cost?: number | undefined
}

/** The state of one bucket. `remaining` is in whole tokens. */
export interface Reading {
  readonly scope: Scope
  readonly name: string | undefined
  readonly ratePerSecond: number
  readonly burst: number
  readonly remaining: number
  /** Milliseconds until the bucket is full. */
  readonly resetMs: number
  /** Tokens that a client above its share may not use, where there is such a part. */
  readonly reserved?: number
  /** Of the client's own bucket: what a call of a tool takes from it, where that is not 1. */
  readonly weights?: { readonly [tool: string]: number }
  /** The tier only observes it: it refuses nothing. */
  readonly observed?: boolean
}

export interface Admitted {
  readonly _tag: "Admitted"
  /** Milliseconds until the tokens are due; 0 without a reservation. */
  readonly waitMs: number
  readonly clientScope: "client" | "overflow"
  /** Where the tier observes any. */
  readonly observed?: Observed
  /** What the scopes that are observed would have said. */
  readonly wouldRefuse?: Refusal
}

/** The scopes that refused nothing to the call, and whether they were charged: not where one would have refused it. */
export interface Observed {
  readonly scopes: ReadonlySet<Scope>
  readonly charged: boolean
}

export interface Refusal {
  /** The bucket that makes the caller wait longest; the client's own where several do. */
  readonly binding: Reading
  /** Whole milliseconds until the same call is admitted, without calls of other clients; 0 when it never is. */
  readonly retryAfterMs: number
  /** Milliseconds in which that bucket fills by what the call takes of it. */
  readonly priceMs: number
  /** The cost is larger than the bucket. */
  readonly never: boolean
}

export interface Refused extends Refusal {
  readonly _tag: "Refused"
}

export type Decision = Admitted | Refused

/** Longest delay of the platform's timers. */
const MAX_WAIT_MS = 2_147_483_647

/** Milliseconds that a call waits for its tokens. */
export const patienceOf = (maxWaitMs: number): number =>
  maxWaitMs > 0 ? Math.min(maxWaitMs, MAX_WAIT_MS) : 0

/** New buckets, at `now` milliseconds of any monotonic clock. */
export const initial = (config: Config, now: number): State => ({
  origin: now,
  last: 0,
  shared: config.shared.map((line) => line.startDebt),
  shares: config.shared.map(() => FairShare.make()),
  table: ClientTable.make(config.tools.length)
})

const monotone = (state: State, now: number): number => {
  const passed = roundDown(now - state.origin)
  return passed > state.last ? passed : state.last
}

export const tierOf = (config: Config, name: string): Tier => config.tiers.get(name) ?? config.fallback

export const pathOf = (tier: Tier, name: string): ReadonlyArray<Line> =>
  tier.paths.get(name) ?? tier.classless

const toolOf = (tier: Tier, name: string | undefined): Tool | undefined =>
  name === undefined || tier.tools.size === 0 ? undefined : tier.tools.get(name)

export const costOf = ({ cost = 1 }: Pick<Request, "cost">): number => {
  // A negative cost would add tokens.
  if (!(cost >= 0 && cost < Infinity)) throw new RangeError(`a call cannot cost ${cost} tokens`)
  return cost
}

const price = (line: Line, cost: number): number =>
  cost === 1 ? line.interval : roundUp(cost * line.interval)

const waitOf = (line: Line, tat: number, now: number, cost: number): number =>
  cost > line.burst ? Infinity : Math.max(tat, now) + price(line, cost) - line.depth - now

interface Asking {
  readonly row: number | undefined
  readonly cost: number
  readonly patience: number
}

/**
 * The wait at a shared bucket. A client that is behind gets tokens beyond the reserve, or waits until it is not behind any
 * more, whichever comes first. It cannot reserve future tokens, whatever its `patience`: the others would wait for its
 * reservations.
 */
const sharedWait = (state: State, line: Line, now: number, { cost, patience, row }: Asking): number => {
  const wait = waitOf(line, state.shared[line.slot] ?? now, now, cost)
  const shares = state.shares[line.slot]
  if (shares === undefined || row === undefined || line.reserve === 0 || wait === Infinity) return wait
  if (wait + line.reserve <= 0) return wait
  const behindMs = FairShare.behindMs(shares, now, row)
  if (behindMs === 0) return wait
  const fits = price(line, cost) + line.reserve <= line.depth
  return Math.min(fits ? wait + line.reserve + patience : Infinity, Math.max(behindMs + patience, wait))
}

/** `tokens` may be more than the burst, where that is not a whole number: the depth is rounded up to the grid. */
export const reading = (line: Line, tokens: number, debtMs: number): Reading => ({
  scope: line.scope,
  name: line.name,
  ratePerSecond: line.rate,
  burst: line.burst,
  remaining: Math.max(Math.floor(Math.min(tokens, line.burst)), 0),
  resetMs: Math.ceil(debtMs),
  ...(line.reserve > 0 ? { reserved: line.reserve / line.interval } : {})
})

const read = (line: Line, tat: number, now: number): Reading => {
  const debt = Math.max(tat - now, 0)
  return reading(line, (line.depth - debt) / line.interval, debt)
}

const idle =
  ({ shares, table }: State) =>
  (row: number, now: number): boolean =>
    table.tools.every((tats) => (tats[row] ?? 0) <= now) &&
    shares.every((one) => FairShare.idle(one, now, row))

/**
 * Admits the call when no scope makes it wait longer than `maxWaitMs`, and charges all scopes; otherwise charges none.
 * `retryAfterMs` of a refusal is the time after which the same call with the same `maxWaitMs` would be admitted.
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
  const patience = patienceOf(maxWaitMs)
  const tier = tierOf(config, request.tier)
  const path = pathOf(tier, request.class)
  ClientTable.sweep(state.table, now, config, idle(state))
  const own = ClientTable.find(state.table, state.shared, now, config, request.client, tier)

  const asking = { row: own.row, cost, patience }
  const tool = toolOf(tier, request.tool)
  const ownCost = tool === undefined ? cost : cost * tool.weight
  const toolTat =
    tool === undefined || own.row === undefined ? 0 : (state.table.tools[tool.column]?.[own.row] ?? 0)
  let binding = own.line
  let wait = -Infinity
  let observed = own.line
  let observedWait = -Infinity
  const meet = (line: Line, other: number): void => {
    if (tier.observe.has(line.scope)) {
      if (other > observedWait) {
        observedWait = other
        observed = line
      }
    } else if (other > wait) {
      wait = other
      binding = line
    }
  }
  meet(own.line, waitOf(own.line, own.tat, now, ownCost))
  if (tool?.line !== undefined) meet(tool.line, waitOf(tool.line, toolTat, now, cost))
  for (const line of path) meet(line, sharedWait(state, line, now, asking))

  const note = (line: Line, row: number, charged: number): void => {
    const shares = state.shares[line.slot]
    if (shares !== undefined && line.reserve > 0) FairShare.note(shares, now, row, charged)
  }

  const refusal = (by: Line, waitMs: number): Refusal => {
    const tat = by === tool?.line ? toolTat : by.slot < 0 ? own.tat : (state.shared[by.slot] ?? now)
    const never = waitMs === Infinity
    return {
      binding: read(by, tat, now),
      retryAfterMs: never ? 0 : Math.ceil(waitMs - patience),
      priceMs: price(by, by === own.line ? ownCost : cost),
      never
    }
  }

  if (wait > patience) {
    const never = wait === Infinity
    const wants = binding !== own.line && binding !== tool?.line && !never
    // The bucket of a new client starts to fill now, or the wait in the refusal would not be exact.
    const row =
      own.row ??
      (wants || own.tat > now
        ? ClientTable.add(state.table, request.client, request.tier, own.tat)
        : undefined)
    // The refused client is a contender at the bucket that refused it.
    if (wants && row !== undefined) note(binding, row, 0)
    return [
      { _tag: "Refused", ...refusal(binding, wait) },
      { ...state, last: now }
    ]
  }

  const wouldRefuse = observedWait > patience ? refusal(observed, observedWait) : undefined
  const pays = (line: Line): boolean => wouldRefuse === undefined || !tier.observe.has(line.scope)

  const row = own.row ?? ClientTable.add(state.table, request.client, request.tier, own.tat)
  const shared = state.shared.slice()
  for (const line of path) {
    if (!pays(line)) {
      if (line === observed && wouldRefuse?.never === false) note(line, row, 0)
      continue
    }
    const charged = price(line, cost)
    shared[line.slot] = Math.max(shared[line.slot] ?? now, now) + charged
    note(line, row, charged)
  }
  // Read again: a table that has grown has other columns.
  const column = tool === undefined ? undefined : state.table.tools[tool.column]
  if (tool?.line !== undefined && column !== undefined && pays(tool.line))
    column[row] = Math.max(toolTat, now) + price(tool.line, cost)
  const paid = pays(own.line) ? Math.max(own.tat, now) + price(own.line, ownCost) : own.tat
  if (own.line.slot < 0) {
    state.table.tats[row] = paid
    state.table.tiers[row] = request.tier
  } else shared[own.line.slot] = paid
  return [
    {
      _tag: "Admitted",
      waitMs: wait > 0 ? wait : 0,
      clientScope: own.line.slot < 0 ? "client" : "overflow",
      ...observation(tier, wouldRefuse)
    },
    { origin: state.origin, last: now, shared, shares: state.shares, table: state.table }
  ]
}

/** What an admission says of the scopes that are observed. */
export const observation = <Refusal>(
  { observe }: Tier,
  wouldRefuse: Refusal | undefined
): { readonly observed?: Observed; readonly wouldRefuse?: Refusal } => {
  if (observe.size === 0) return {}
  const observed = { scopes: observe, charged: wouldRefuse === undefined }
  return wouldRefuse === undefined ? { observed } : { observed, wouldRefuse }
}

const keyOf = ({ name, scope }: Line): string => `${scope}\0${name ?? ""}`

/** The shared bucket that an older one goes on as. */
const successor = (config: Config, line: Line): Line | undefined => {
  const known = config.shared[line.slot]
  if (known === line) return line
  const key = keyOf(line)
  return config.shared.find((one) => keyOf(one) === key)
}

/**
 * Gives back what `decide` charged at the scopes, up to a full bucket: a `tat` in the past means full. `under`: the
 * limits it was charged under, where those in force are others; the same number of tokens is given back, to the buckets
 * that were charged and are still there.
 */
export const refund = (
  state: State,
  at: number,
  config: Config,
  admission: Request & Pick<Admitted, "clientScope">,
  isGiven: (scope: Scope) => boolean,
  under: Config = config
): State => {
  const now = monotone(state, at)
  const cost = costOf(admission)
  const tier = tierOf(config, admission.tier)
  const charged = tierOf(under, admission.tier)
  const { rows, tats } = state.table
  const shared = state.shared.slice()
  const overflown = admission.clientScope === "overflow"
  // The bucket of a client that was removed meanwhile was full: there is nothing to give back.
  const row = overflown ? ClientTable.OVERFLOW_ROW : rows.get(admission.client)
  for (const before of pathOf(charged, admission.class)) {
    const line = isGiven(before.scope) ? successor(config, before) : undefined
    if (line === undefined) continue
    const paid = price(line, cost)
    shared[line.slot] = (shared[line.slot] ?? now) - paid
    const shares = state.shares[line.slot]
    if (shares !== undefined && row !== undefined) FairShare.giveBack(shares, now, row, paid)
  }
  const then = toolOf(charged, admission.tool)
  const tool = then?.line === undefined ? undefined : toolOf(tier, admission.tool)
  const ownCost = then === undefined ? cost : cost * then.weight
  const column = tool === undefined ? undefined : state.table.tools[tool.column]
  if (tool?.line !== undefined && column !== undefined && row !== undefined && isGiven("tool"))
    column[row] = (column[row] ?? now) - price(tool.line, cost)
  if (!isGiven("client"))
    return { origin: state.origin, last: now, shared, shares: state.shares, table: state.table }
  if (overflown) {
    const { overflow } = config
    shared[overflow.slot] = (shared[overflow.slot] ?? now) - price(overflow, ownCost)
  } else if (row !== undefined) tats[row] = (tats[row] ?? now) - price(tier.client, ownCost)
  return { origin: state.origin, last: now, shared, shares: state.shares, table: state.table }
}

const sameLine = (a: Line, b: Line): boolean => a.interval === b.interval && a.depth === b.depth

/** The tokens of a bucket, negative where it owes, under other limits: no more than there were, and than it holds. */
const carried = (tat: number, now: number, from: Line | undefined, to: Line | undefined): number => {
  if (to === undefined) return 0
  if (from === undefined || sameLine(from, to)) return tat
  const tokens = (from.depth - Math.max(tat - now, 0)) / from.interval
  return now + Math.max(0, roundUp(to.depth - Math.min(tokens, to.burst) * to.interval))
}

/**
 * The same buckets under other limits: each has the tokens that it had, at most those that it can hold now, and owes
 * what it owed. So a window that begins after it obeys the new limits, and nothing that was used is forgotten. A shared
 * bucket that is new is full.
 */
export const rebase = (state: State, at: number, from: Config, to: Config): State => {
  const now = monotone(state, at)
  const known = new Map(from.shared.map((line) => [keyOf(line), line]))
  const { rows, tats, tiers, tools } = state.table
  const columns = to.tools.map((tool) => tools[from.tools.indexOf(tool)] ?? new Float64Array(tats.length))
  for (const row of rows.values()) {
    const before = tierOf(from, tiers[row] ?? "")
    const after = tierOf(to, tiers[row] ?? "")
    tats[row] = carried(tats[row] ?? now, now, before.client, after.client)
    columns.forEach((column, i) => {
      const tool = to.tools[i] ?? ""
      column[row] = carried(column[row] ?? 0, now, before.tools.get(tool)?.line, after.tools.get(tool)?.line)
    })
  }
  state.table.tools = columns
  return {
    origin: state.origin,
    last: now,
    shared: to.shared.map((line) => {
      const before = known.get(keyOf(line))
      return before === undefined
        ? now + line.startDebt
        : carried(state.shared[before.slot] ?? now, now, before, line)
    }),
    // Shares are counted in the time of their bucket.
    shares: to.shared.map((line) => {
      const before = known.get(keyOf(line))
      const shares = before && sameLine(before, line) ? state.shares[before.slot] : undefined
      return shares ?? FairShare.make()
    }),
    table: state.table
  }
}

/** A reading as callers of the tier meet it. */
export const observable = ({ observe }: Tier, one: Reading): Reading =>
  observe.has(one.scope) ? { ...one, observed: true } : one

/** What calls of tools take from a client's own bucket, where that is not 1. */
export const weightsOf = (tier: Tier): Pick<Reading, "weights"> => {
  const weights = [...tier.tools].filter(([, { weight }]) => weight !== 1)
  return weights.length === 0
    ? {}
    : { weights: Object.fromEntries(weights.map(([name, { weight }]) => [name, weight])) }
}

/** The shared buckets that any call of the tier may pass. */
export const sharedLines = ({ total }: Tier, { classes, global }: Config): ReadonlyArray<Line> =>
  total === undefined ? [...classes, global] : [total, ...classes, global]

/** The buckets that a call of this client would pass, its own first. */
export const status = (
  state: State,
  at: number,
  config: Config,
  client: string,
  tierName: string
): ReadonlyArray<Reading> => {
  const now = monotone(state, at)
  const tier = tierOf(config, tierName)
  const own = ClientTable.find(state.table, state.shared, now, config, client, tier)
  const tools = [...tier.tools.values()].flatMap(({ column, line }) =>
    line === undefined
      ? []
      : [read(line, own.row === undefined ? 0 : (state.table.tools[column]?.[own.row] ?? 0), now)]
  )
  return [
    { ...read(own.line, own.tat, now), ...weightsOf(tier) },
    ...tools,
    ...sharedLines(tier, config).map((line) => read(line, state.shared[line.slot] ?? now, now))
  ].map((one) => observable(tier, one))
}
