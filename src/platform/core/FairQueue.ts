/**
 * Which ticket is next: first come first served within a client, round robin between clients, as many turns in
 * a row as a client weighs. Bounded in total and for each client.
 *
 *     turn ─> lane "a" ─> lane "b" ─> lane "c" ─┐      only clients that wait have a lane;
 *       ^      │ │         │           │        │      a newcomer's lane stands behind all others
 *       │      1 4         2           3        │
 *       └───────────────────────────────────────┘
 *
 * Invariants
 * 1. Every ticket leaves exactly once: dequeued, or cancelled.
 * 2. A client that waits gets its next turn after at most one turn in a row of every other client.
 * 3. Enqueue, dequeue and cancel take constant time, whatever waits.
 * 4. A lane without tickets is gone: memory follows what waits, not all clients there ever were.
 *
 * Lanes and tickets are linked lists updated in place, since a persistent queue would pay for each
 * cancellation with a copy: the owner of a queue must use it linearly (one `Ref`, one `modify` a call).
 */

export interface Bounds {
  /** Tickets at most. */
  readonly maxQueue: number
  /** Tickets of one client at most. */
  readonly maxQueuePerClient: number
}

interface Lane<A> {
  readonly client: string
  /** Turns in a row; what the client's latest ticket said. */
  weight: number
  size: number
  head: Ticket<A> | undefined
  tail: Ticket<A> | undefined
  /** Neighbours in the ring of lanes; `undefined` stands for the lane itself, when it is alone. */
  before: Lane<A> | undefined
  after: Lane<A> | undefined
}

/** A place in the queue. */
export interface Ticket<A> {
  readonly value: A
  /** Where it waits; nowhere once it has left. */
  lane: Lane<A> | undefined
  before: Ticket<A> | undefined
  after: Ticket<A> | undefined
}

export interface FairQueue<A> {
  readonly bounds: Bounds
  readonly lanes: Map<string, Lane<A>>
  /** The lane that is served next, and how many turns in a row it has left. */
  turn: Lane<A> | undefined
  turnsLeft: number
  size: number
}

/** Why a ticket was not given out. */
export type Refusal = "queue-full" | "client-queue-full"

export const make = <A>(bounds: Bounds): FairQueue<A> => ({
  bounds,
  lanes: new Map(),
  turn: undefined,
  turnsLeft: 0,
  size: 0
})

const openLane = <A>(queue: FairQueue<A>, client: string, weight: number): Lane<A> => {
  const lane: Lane<A> = {
    client,
    weight,
    size: 0,
    head: undefined,
    tail: undefined,
    before: undefined,
    after: undefined
  }
  queue.lanes.set(client, lane)
  const turn = queue.turn
  if (turn === undefined) {
    queue.turn = lane
    queue.turnsLeft = weight
  } else {
    const last = turn.before ?? turn
    lane.before = last
    lane.after = turn
    last.after = lane
    turn.before = lane
  }
  return lane
}

const passTurn = <A>(queue: FairQueue<A>, to: Lane<A> | undefined): void => {
  queue.turn = to
  queue.turnsLeft = to === undefined ? 0 : to.weight
}

const closeLane = <A>(queue: FairQueue<A>, lane: Lane<A>): void => {
  queue.lanes.delete(lane.client)
  const { after, before } = lane
  if (queue.turn === lane) passTurn(queue, after)
  if (after === undefined || before === undefined) return
  // Of two lanes the other one is alone now.
  before.after = before === after ? undefined : after
  after.before = before === after ? undefined : before
}

const leave = <A>(queue: FairQueue<A>, lane: Lane<A>, ticket: Ticket<A>): void => {
  const { after, before } = ticket
  if (before === undefined) lane.head = after
  else before.after = after
  if (after === undefined) lane.tail = before
  else after.before = before
  ticket.lane = undefined
  ticket.before = undefined
  ticket.after = undefined
  lane.size -= 1
  queue.size -= 1
  if (lane.size === 0) closeLane(queue, lane)
}

/** A place behind all other tickets of the client, or the reason why there is none. */
export const enqueue = <A>(
  queue: FairQueue<A>,
  client: string,
  weight: number,
  value: A
): Ticket<A> | Refusal => {
  const known = queue.lanes.get(client)
  // The client's own excess is named first: it is the one that the client can do something about.
  if ((known?.size ?? 0) >= queue.bounds.maxQueuePerClient) return "client-queue-full"
  if (queue.size >= queue.bounds.maxQueue) return "queue-full"
  const lane = known ?? openLane(queue, client, weight)
  lane.weight = weight
  const ticket: Ticket<A> = { value, lane, before: lane.tail, after: undefined }
  if (lane.tail === undefined) lane.head = ticket
  else lane.tail.after = ticket
  lane.tail = ticket
  lane.size += 1
  queue.size += 1
  return ticket
}

/** Takes out the next ticket. */
export const dequeue = <A>(queue: FairQueue<A>): A | undefined => {
  const lane = queue.turn
  const ticket = lane?.head
  if (lane === undefined || ticket === undefined) return undefined
  queue.turnsLeft -= 1
  // Before the ticket leaves: an emptied lane passes its turn on by itself.
  if (queue.turnsLeft <= 0) passTurn(queue, lane.after ?? lane)
  leave(queue, lane, ticket)
  return ticket.value
}

/**
 * Takes out the next ticket of the clients that are accepted; the others keep their places and lose this turn.
 * Unlike the rest it looks at each lane that it passes over.
 */
export const dequeueFrom = <A>(queue: FairQueue<A>, accepts: (client: string) => boolean): A | undefined => {
  let lane = queue.turn
  for (let passed = 0; lane !== undefined && passed < queue.lanes.size; passed++) {
    if (accepts(lane.client)) {
      if (lane !== queue.turn) passTurn(queue, lane)
      return dequeue(queue)
    }
    lane = lane.after
  }
  return undefined
}

/** Takes a ticket out of the middle; false when it has left before. */
export const cancel = <A>(queue: FairQueue<A>, ticket: Ticket<A>): boolean => {
  if (ticket.lane === undefined) return false
  leave(queue, ticket.lane, ticket)
  return true
}

/** Who waits, and with how many tickets: those that wait for the next turn first. */
export const waiting = <A>({ lanes, turn }: FairQueue<A>): ReadonlyArray<readonly [string, number]> => {
  const found: Array<readonly [string, number]> = []
  for (let lane = turn; lane !== undefined && found.length < lanes.size; lane = lane.after)
    found.push([lane.client, lane.size])
  return found
}

/**
 * About how many tickets would be served before a new one of this client: its own, and as many rounds
 * of all other clients. Exact for equal weights and equally long lanes, else rather too many.
 */
export const ahead = <A>(queue: FairQueue<A>, client: string): number => {
  const own = queue.lanes.get(client)?.size ?? 0
  const others = queue.lanes.size - (own > 0 ? 1 : 0)
  return Math.min(queue.size, own + (own + 1) * others)
}
