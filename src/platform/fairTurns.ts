/**
 * Fair turns of the event loop between clients: all that is done for a client is done in its turns, its
 * fibers on its own scheduler and callbacks through `run`. A client that keeps the process busy waits for
 * its own work; another one's is next (see {@link Turns}).
 *
 * ```
 *   fibers of a ─┐                          ┌─ at most `TURN_MS` of work, piece by piece
 *   fibers of b ─┼─> Turns ──> drain ───────┤
 *   callbacks  ──┘      ^                   └─ then sockets are read, and it goes on
 *                       └──── setImmediate ────┘
 * ```
 *
 * A piece that has begun is not interrupted: what takes long yields by itself.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Scheduler from "effect/Scheduler"
// Of this one nothing is timed: it is the end of the turn.
import { setImmediate } from "node:timers"
import * as Turns from "./core/Turns.js"
import { unsafeMonotonicMillis } from "./monotonic.js"

/** What runs the turns. */
interface Host {
  /** Milliseconds. */
  readonly now: () => number
  /** As soon as what runs now is over. */
  readonly soon: (drain: () => void) => void
  /** When what came in meanwhile has been looked at. */
  readonly later: (drain: () => void) => void
}

export interface FairTurns {
  /** For the fibers of a client. */
  readonly scheduler: (client: string) => Scheduler.Scheduler
  readonly run: (client: string, work: () => void) => void
}

/** Milliseconds of work between two looks at the sockets, for one client and for all together. */
const TURN_MS = 1
const ALL_TURNS_MS = 4

export const make = ({ later, now, soon }: Host): FairTurns => {
  const turns = Turns.make<() => void>()
  let isScheduled = false
  let isAwaited = false
  let spent = 0
  const spentBy = new Map<string, number>()
  const hasTime = (client: string): boolean => (spentBy.get(client) ?? 0) < TURN_MS

  const drain = (): void => {
    isScheduled = true
    if (!isAwaited) {
      isAwaited = true
      later(() => {
        isAwaited = false
        spent = 0
        spentBy.clear()
        if (!Turns.isEmpty(turns)) drain()
      })
    }
    try {
      while (spent < ALL_TURNS_MS) {
        const next = Turns.take(turns, hasTime)
        if (next === undefined) return
        const began = now()
        try {
          next.work()
        } finally {
          const took = Math.max(Turns.LEAST, now() - began)
          spent += took
          spentBy.set(next.client, (spentBy.get(next.client) ?? 0) + took)
          Turns.charge(turns, next.client, took)
        }
      }
    } finally {
      isScheduled = false
    }
  }

  const run = (client: string, work: () => void): void => {
    Turns.add(turns, client, work)
    // What does not fit into this turn of the loop is awaited already.
    if (isScheduled || spent >= ALL_TURNS_MS || !hasTime(client)) return
    isScheduled = true
    soon(drain)
  }
  return {
    run,
    scheduler: (client) => Scheduler.make((task) => run(client, task))
  }
}

/** On node's event loop. */
export const onNode = (clock: Clock.Clock): FairTurns =>
  make({
    now: () => unsafeMonotonicMillis(clock),
    soon: queueMicrotask,
    later: (drain) => void setImmediate(drain)
  })

/** In the client's turns from its first step on, and with it all that it forks. */
export const of =
  (turns: FairTurns, client: string) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.withScheduler(Effect.zipRight(Effect.yieldNow(), effect), turns.scheduler(client))
