/**
 * A fair semaphore on a `Ref` and one `Deferred` a waiter: slots, a queue for them that is fair between clients,
 * and a bound on the wait.
 *
 * ```
 *   acquire --free slot----------------------------------> slot
 *      |----queue full-----------------------------------> refused
 *      '----waits: handed a slot by a release -----------> slot
 *                  out of time --------------------------> refused
 *                  interrupted: leaves the queue, or passes on the slot that it was handed meanwhile
 * ```
 *
 * Invariants
 * 1. A call waits only while there is no slot that it may have. A freed slot goes straight to the next waiter: a
 *    newcomer never overtakes, and one release wakes one waiter.
 * 2. Only the wait is interruptible. A slot is never lost, nor given twice.
 * 3. A waiter leaves the queue exactly once, in one step: with a slot, out of time, or interrupted.
 * 4. The last `reserve` slots go to clients that have none: one client never has them all.
 *
 * `Effect.Semaphore` is not used here: each of its releases wakes all waiters (1,000 waiters: 7 s), and a newcomer
 * overtakes.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Ref from "effect/Ref"
import * as FairQueue from "./core/FairQueue.js"
import * as Live from "./Live.js"
import { steps } from "./monotonic.js"

interface Options extends FairQueue.Bounds {
  /** Slots, >= 1. */
  readonly permits: number
  /** Slots that only a client without one may take, < permits; 0 when absent. */
  readonly reserve?: number | undefined
}

interface Request {
  readonly client: string
  /** Slots in a row per round, >= 1. */
  readonly weight: number
  readonly maxWaitMs: number
}

/** Why there is no slot. Times in milliseconds; `retryAfterMs` is an estimate. */
export interface Full {
  readonly why: FairQueue.Refusal | "wait-timeout"
  readonly queued: number
  readonly waitedMs: number
  readonly retryAfterMs: number
  /** Slots of the client itself, where others are free but kept for clients that have none. */
  readonly held?: number | undefined
}

export interface SlotPool<Pool, Overloaded> {
  /** A slot. Run it in an uninterruptible region, as any acquisition; the wait for a slot is interruptible there too. */
  readonly acquire: (request: Request) => Effect.Effect<Slot<Pool>, Overloaded>
  /** The slot is free, or the next waiter's. Once for each. */
  readonly release: (slot: Slot<Pool>) => Effect.Effect<void>
  readonly status: Effect.Effect<{
    readonly pool: Pool
    readonly permits: number
    readonly inUse: number
    readonly queued: number
    /** Who waits, in the order of their turns, and how many of its calls. */
    readonly waiting: ReadonlyArray<readonly [client: string, calls: number]>
    readonly estimatedWaitMs: number
  }>
}

interface Slot<Pool = unknown> {
  readonly pool: Pool
  /** Monotonic milliseconds. */
  readonly takenAt: number
  readonly client: string
}

interface Waiter<Pool, Overloaded> {
  readonly client: string
  readonly since: number
  /** A slot, or the refusal when the wait has lasted long enough. */
  readonly handed: Deferred.Deferred<Slot<Pool>, Overloaded>
}

/** `queue` and `held` are updated in place, each in one `Ref.modify`: a copy for each step would cost more than the step. */
interface State<Pool, Overloaded> {
  readonly inUse: number
  /** Slots by client; kept only where it matters how many a client has. */
  readonly held: Map<string, number>
  readonly queue: FairQueue.FairQueue<Waiter<Pool, Overloaded>>
  /** Moving average of the time a slot is held, milliseconds; none until one was freed. */
  readonly serviceMs: number | undefined
  /** When a slot last changed hands. */
  readonly movedAt: number
}

/** Weight of the latest sample in the moving average: ten calls forget nine tenths of the past. */
const SMOOTHING = 0.2
/** Assumed time in a slot while nothing has ended yet, milliseconds. */
const FIRST_GUESS = 1_000

export const make = <Pool, Overloaded>(
  pool: Pool,
  given: Options | Live.Live<Options>,
  refuse: (full: Full) => Overloaded
): Effect.Effect<SlotPool<Pool, Overloaded>> => {
  const options = Live.from(given)
  /** Without `reserve` now, there may be one later: then who holds what must be known. */
  const counts = given instanceof Live.Live || (given.reserve ?? 0) > 0
  return Effect.zipWith(
    steps,
    Ref.make<State<Pool, Overloaded>>({
      inUse: 0,
      held: new Map(),
      queue: FairQueue.make({
        get maxQueue() {
          return options.current().maxQueue
        },
        get maxQueuePerClient() {
          return options.current().maxQueuePerClient
        }
      }),
      serviceMs: undefined,
      movedAt: 0
    }),
    ({ modifyAt }, ref) => {
      type Ticket = FairQueue.Ticket<Waiter<Pool, Overloaded>>

      const mayTake = ({ held, inUse }: State<Pool, Overloaded>, client: string): boolean => {
        const { permits, reserve = 0 } = options.current()
        const free = permits - inUse
        return free > reserve || (free > 0 && !held.has(client))
      }

      const take = (
        state: State<Pool, Overloaded>,
        client: string,
        now: number
      ): readonly [Slot<Pool>, State<Pool, Overloaded>] => {
        if (counts) state.held.set(client, (state.held.get(client) ?? 0) + 1)
        return [
          { pool, takenAt: now, client },
          {
            inUse: state.inUse + 1,
            held: state.held,
            queue: state.queue,
            serviceMs: state.serviceMs,
            movedAt: now
          }
        ]
      }

      const giveBack = (
        state: State<Pool, Overloaded>,
        client: string,
        now: number
      ): State<Pool, Overloaded> => {
        const left = (state.held.get(client) ?? 1) - 1
        if (left > 0) state.held.set(client, left)
        else state.held.delete(client)
        return { ...state, inUse: state.inUse - 1, movedAt: now }
      }

      /** A pool that stands still never promises less than it has stood still. */
      const estimate = (
        { movedAt, serviceMs = FIRST_GUESS }: State<Pool, Overloaded>,
        position: number,
        now: number
      ) => Math.ceil(Math.max(1, (position * serviceMs) / options.current().permits, now - movedAt))

      const full = (
        state: State<Pool, Overloaded>,
        now: number,
        client: string,
        why: Full["why"],
        since: number
      ) =>
        refuse({
          why,
          queued: state.queue.size,
          waitedMs: Math.round(now - since),
          retryAfterMs: estimate(state, FairQueue.ahead(state.queue, client) + 1, now),
          ...(state.inUse < options.current().permits ? { held: state.held.get(client) ?? 0 } : {})
        })

      /** Frees a slot, and hands free slots to the next waiters that may have them. */
      const pass = (state: State<Pool, Overloaded>, now: number, client: string) => {
        const handed: Array<Effect.Effect<boolean>> = []
        const { permits, reserve = 0 } = options.current()
        let next = giveBack(state, client, now)
        for (;;) {
          const free = permits - next.inUse
          const waiter =
            free > reserve
              ? FairQueue.dequeue(next.queue)
              : free > 0
                ? FairQueue.dequeueFrom(next.queue, (client) => !next.held.has(client))
                : undefined
          if (waiter === undefined) {
            return [handed.length === 0 ? Effect.void : Effect.all(handed, { discard: true }), next] as const
          }
          const [slot, taken] = take(next, waiter.client, now)
          handed.push(Deferred.succeed(waiter.handed, slot))
          next = taken
        }
      }

      const release = ({ client, takenAt }: Slot<Pool>): Effect.Effect<void> =>
        Effect.flatten(
          modifyAt(ref, (state, now) => {
            const spent = now - takenAt
            const average = state.serviceMs ?? spent
            return pass({ ...state, serviceMs: average + SMOOTHING * (spent - average) }, now, client)
          })
        )

      /** The wait has lasted long enough. */
      const expire = (ticket: Ticket) =>
        Effect.flatten(
          modifyAt(ref, (state, now) => {
            const { client, handed, since } = ticket.value
            const refusal = FairQueue.cancel(state.queue, ticket)
              ? Deferred.fail(handed, full(state, now, client, "wait-timeout", since))
              : Effect.void
            return [refusal, state]
          })
        )

      /** The caller was interrupted: its place is gone, and a slot that was handed to it meanwhile is passed on. */
      const abandon = (ticket: Ticket) =>
        Effect.flatten(
          Ref.modify(ref, (state) => [
            FairQueue.cancel(state.queue, ticket)
              ? Effect.void
              : Effect.ignore(Effect.flatMap(Deferred.await(ticket.value.handed), release)),
            state
          ])
        )

      const wait = (ticket: Ticket, maxWaitMs: number) =>
        Effect.acquireUseRelease(
          Effect.fork(Effect.interruptible(Effect.delay(expire(ticket), maxWaitMs))),
          () =>
            Deferred.await(ticket.value.handed).pipe(
              Effect.interruptible,
              Effect.onInterrupt(() => abandon(ticket))
            ),
          Fiber.interruptFork
        )

      /** A slot, a refusal, or a place in the queue once there is something to be woken by. */
      const enter = (
        request: Request,
        handed?: Deferred.Deferred<Slot<Pool>, Overloaded>
      ): Effect.Effect<Slot<Pool>, Overloaded> =>
        Effect.flatten(
          modifyAt(
            ref,
            (state, now): readonly [Effect.Effect<Slot<Pool>, Overloaded>, State<Pool, Overloaded>] => {
              const { client, maxWaitMs, weight } = request
              if (mayTake(state, client)) {
                const [slot, next] = take(state, client, now)
                return [Effect.succeed(slot), next]
              }
              if (!(maxWaitMs > 0)) return [Effect.fail(full(state, now, client, "wait-timeout", now)), state]
              if (handed === undefined) {
                return [
                  Effect.flatMap(Deferred.make<Slot<Pool>, Overloaded>(), (handed) => enter(request, handed)),
                  state
                ]
              }
              const ticket = FairQueue.enqueue(state.queue, client, weight, { client, since: now, handed })
              return [
                typeof ticket === "string"
                  ? Effect.fail(full(state, now, client, ticket, now))
                  : wait(ticket, maxWaitMs),
                state
              ]
            }
          )
        )

      return {
        acquire: enter,
        release,
        status: modifyAt(ref, (state, now) => {
          const { inUse, queue } = state
          const { permits } = options.current()
          // Beside free slots wait the clients that have their share of them.
          const isFree = inUse < permits && queue.size === 0
          const estimatedWaitMs = isFree ? 0 : estimate(state, queue.size + 1, now)
          const waiting = FairQueue.waiting(queue)
          return [{ pool, permits, inUse, queued: queue.size, waiting, estimatedWaitMs }, state]
        })
      }
    }
  )
}
