/**
 * Which client is next: work of many clients, in pieces whose length is not known beforehand: each
 * piece is charged with what it took, and the client that had least is next (start-time fair queueing,
 * Goyal, Vin and Cheng 1996).
 *
 * ```
 *   served:  a ──────12──> next at 12      now = 4: what the piece that was taken last began at
 *            b ──4──> next at 4
 *   c comes: it begins at `now`, not at 0: a client that was away has saved nothing
 * ```
 *
 * Invariants
 * 1. Of two clients that both have work all the time, neither is ahead of the other by more than the
 *    largest piece of each, whatever sizes they send and however many pieces wait.
 * 2. A client that asks for less than its share never waits for more than the piece that is being done and
 *    one of each other client.
 * 3. First come, first served within a client.
 * 4. Memory follows what waits, and the clients served while others waited.
 *
 * Taking looks at every client that waits; those are few. Updated in place.
 */

interface Flow<A> {
  /** What it has had, in the unit of the charges, on the scale of `now`. */
  at: number
  readonly waiting: Array<A>
  /** Of `waiting`, those before this one are gone. */
  head: number
}

export interface Turns<A> {
  readonly flows: Map<string, Flow<A>>
  /** Those with work. */
  readonly active: Map<string, Flow<A>>
  now: number
}

/** To be charged at least: work that took no time that a clock could tell is still a turn. */
export const LEAST = 0.001

/** Moving what is left to the front is worth it. */
const COMPACT_AT = 1024

export const make = <A>(): Turns<A> => ({ flows: new Map(), active: new Map(), now: 0 })

export const isEmpty = <A>(turns: Turns<A>): boolean => turns.active.size === 0

export const add = <A>(turns: Turns<A>, client: string, work: A): void => {
  let flow = turns.flows.get(client)
  if (flow === undefined) {
    flow = { at: turns.now, waiting: [], head: 0 }
    turns.flows.set(client, flow)
  }
  if (flow.head === flow.waiting.length) {
    flow.at = Math.max(flow.at, turns.now)
    turns.active.set(client, flow)
  }
  flow.waiting.push(work)
}

/** The next piece of a client that may go on; it is over, and its time charged, before another one is taken. */
export const take = <A>(
  turns: Turns<A>,
  mayGoOn: (client: string) => boolean
): { readonly client: string; readonly work: A } | undefined => {
  let client: string | undefined
  let least: Flow<A> | undefined
  for (const [name, flow] of turns.active) {
    if ((least !== undefined && flow.at >= least.at) || !mayGoOn(name)) continue
    client = name
    least = flow
  }
  if (client === undefined || least === undefined) return undefined
  const work = least.waiting[least.head] as A
  least.head += 1
  turns.active.delete(client)
  if (least.head < least.waiting.length) {
    // Behind those that have had the same.
    turns.active.set(client, least)
    if (least.head === COMPACT_AT) {
      least.waiting.splice(0, least.head)
      least.head = 0
    }
  } else {
    least.waiting.length = 0
    least.head = 0
  }
  turns.now = least.at
  return { client, work }
}

export const charge = <A>(turns: Turns<A>, client: string, took: number): void => {
  const flow = turns.flows.get(client)
  if (flow !== undefined) flow.at += took
  if (turns.active.size > 0) return
  // Nothing waits: no client is ahead of another one.
  turns.flows.clear()
}
