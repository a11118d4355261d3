/**
 * A fair semaphore: slots, a queue for them that is fair between clients, and a bound on the wait.
 *
 * Invariants
 * 1. Somebody waits only while there is no slot that he may have, and a freed slot goes straight to who is
 *    next: a newcomer never overtakes, and one release wakes one waiter.
 * 2. Only the wait and the work are interruptible. Who is interrupted while it waits leaves the queue or,
 *    if it was handed a slot in the meantime, hands it on: a slot is never lost, nor given twice.
 * 3. A waiter leaves the queue exactly once, in one step: with a slot, out of time, or interrupted.
 * 4. A slot is freed when the effect has ended, its own finalizers included, and not when somebody
 *    stopped waiting for it.
 * 5. The last `reserve` slots go to clients that have none: one client never has them all, however long it
 *    keeps what it has.
 *
 * One fiber watches the clock for all waiters, and only while there are some: a timer for each of them
 * would cost more than all the rest of the wait.
 *
 * `Effect.Semaphore` is not used here: each release wakes all of its waiters, and a newcomer overtakes.
 */
import type * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import type * as Scope from "effect/Scope"
import * as Deadlines from "../core/Deadlines.js"
import * as FairQueue from "../core/FairQueue.js"
import { unsafeMonotonicMillis } from "./monotonic.js"
import * as Step from "./step.js"

export interface Options extends FairQueue.Bounds {
  /** Slots, >= 1. */
  readonly permits: number
  /** Slots that only a client without one may take, < permits; 0 when absent. */
  readonly reserve?: number | undefined
}

export interface Request {
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
  /**
   * A slot, taken for good: run it where it cannot be lost. The wait is interruptible wherever it is run, but
   * where it is a step of something larger: there, where that is.
   */
  readonly acquire: (request: Request) => Effect.Effect<Slot<Pool>, Overloaded>
  /** The slot is free, or somebody else's. Once for each. */
  readonly release: (slot: Slot<Pool>) => Effect.Effect<void>
  readonly status: Effect.Effect<{
    readonly inUse: number
    readonly queued: number
    readonly estimatedWaitMs: number
  }>
}

/** A slot in somebody's hands. */
export interface Slot<Pool = unknown> {
  readonly pool: Pool
  /** Monotonic milliseconds. */
  readonly takenAt: number
  /** Whose it is. */
  readonly client?: string | undefined
}

interface Waiter {
  readonly client: string
  readonly since: number
  /** Done with nothing when it gets a slot, with the reason when its time is up. */
  readonly woken: Deferred.Deferred<Full | undefined>
  granted: boolean
}

type Ticket = FairQueue.Ticket<Waiter>

interface Queued {
  readonly ticket: Ticket
  /** When the clock must be watched for this waiter, because nobody watches for an earlier time. */
  readonly watchUntil: number | undefined
}

interface State {
  inUse: number
  /** Moving average of the time a slot is held, milliseconds; none until one was freed. */
  serviceMs: number | undefined
  /** When a slot last changed hands. */
  movedAt: number
  /** What the clock is watched for; `Infinity` when nobody watches. */
  watchedFor: number
}

/** Weight of the latest sample in the moving average: ten calls forget nine tenths of the past. */
const SMOOTHING = 0.2
/** Assumed time in a slot while nothing has ended yet, milliseconds. */
const FIRST_GUESS = 1_000
/** Longest sleep of the live clock, milliseconds. */
const MAX_SLEEP = 2_147_483_647

const waits = (ticket: Ticket): boolean => ticket.lane !== undefined

/** The scope is that of the fiber that watches the clock; slots and waiters do not depend on it. */
export const make = <Pool, Overloaded>(
  pool: Pool,
  options: Options,
  refuse: (full: Full) => Overloaded
): Effect.Effect<SlotPool<Pool, Overloaded>, never, Scope.Scope> =>
  Effect.map(Effect.scope, (scope) => unsafeMake(pool, options, refuse, scope))

const unsafeMake = <Pool, Overloaded>(
  pool: Pool,
  { permits, reserve = 0, ...bounds }: Options,
  refuse: (full: Full) => Overloaded,
  scope: Scope.Scope
): SlotPool<Pool, Overloaded> => {
  // Everything here is touched in synchronous steps only, each at one reading of the clock.
  const state: State = {
    inUse: 0,
    serviceMs: undefined,
    movedAt: 0,
    watchedFor: Infinity
  }
  const queue = FairQueue.make<Waiter>(bounds)
  const deadlines = Deadlines.make<Ticket>()
  /** Slots by client; kept only where it matters who has how many. */
  const held = new Map<string, number>()

  const hasNone = (client: string): boolean => !held.has(client)
  const mayTake = (client: string): boolean => {
    const free = permits - state.inUse
    return free > reserve || (free > 0 && hasNone(client))
  }
  const take = (client: string): void => {
    state.inUse += 1
    if (reserve > 0) held.set(client, (held.get(client) ?? 0) + 1)
  }
  const giveBack = (client: string | undefined): void => {
    state.inUse -= 1
    if (reserve === 0 || client === undefined) return
    const left = (held.get(client) ?? 1) - 1
    if (left === 0) held.delete(client)
    else held.set(client, left)
  }

  // What is stuck is not quick because it used to be: never promise less than the pool has stood still.
  const estimate = (position: number, now: number): number =>
    Math.ceil(Math.max(1, (position * (state.serviceMs ?? FIRST_GUESS)) / permits, now - state.movedAt))

  const full = (now: number, client: string, why: Full["why"], since = now): Full => ({
    why,
    queued: queue.size,
    waitedMs: Math.round(now - since),
    retryAfterMs: estimate(FairQueue.ahead(queue, client) + 1, now),
    ...(state.inUse < permits ? { held: held.get(client) ?? 0 } : {})
  })

  /** A slot, a place in the queue, or a refusal. */
  const enter = ({ client, maxWaitMs, weight }: Request, now: number): Slot<Pool> | Queued | Full => {
    if (mayTake(client)) {
      take(client)
      state.movedAt = now
      return { pool, takenAt: now, client }
    }
    if (!(maxWaitMs > 0)) return full(now, client, "wait-timeout")
    const waiter = {
      client,
      since: now,
      woken: Deferred.unsafeMake<Full | undefined>(FiberId.none),
      granted: false
    }
    const ticket = FairQueue.enqueue(queue, client, weight, waiter)
    if (typeof ticket === "string") return full(now, client, ticket)
    if (Deadlines.size(deadlines) > 2 * queue.size + 64) Deadlines.compact(deadlines, waits)
    const deadline = now + maxWaitMs
    Deadlines.add(deadlines, deadline, ticket)
    if (deadline >= state.watchedFor) return { ticket, watchUntil: undefined }
    state.watchedFor = deadline
    return { ticket, watchUntil: deadline }
  }

  /** The slot goes to who is next of those who may have it, or is free. */
  const pass = (now: number, client: string | undefined): void => {
    state.movedAt = now
    giveBack(client)
    while (queue.size > 0) {
      const free = permits - state.inUse
      if (free <= 0) return
      const next = free > reserve ? FairQueue.dequeue(queue) : FairQueue.dequeueFrom(queue, hasNone)
      if (next === undefined) return
      take(next.client)
      next.granted = true
      wake(next)
    }
  }

  const wake = (waiter: Waiter, full?: Full): void => Deferred.unsafeDone(waiter.woken, Exit.succeed(full))

  const release = ({ client, takenAt }: Slot<Pool>): Effect.Effect<void> =>
    Step.make(({ now }) => {
      const spent = now - takenAt
      const average = state.serviceMs ?? spent
      state.serviceMs = average + SMOOTHING * (spent - average)
      pass(now, client)
      return Exit.void
    })

  /** Interrupted while it waited. */
  const abandon = (ticket: Ticket): Effect.Effect<void> =>
    Step.make(({ now }) => {
      if (!FairQueue.cancel(queue, ticket) && ticket.value.granted) pass(now, ticket.value.client)
      return Exit.void
    })

  /** Sends away who is out of time; says until when to watch next, unless somebody else watches. */
  const expire = (watched: number): Effect.Effect<number | undefined> =>
    Step.make(({ now }) => {
      if (state.watchedFor !== watched) return Exit.succeed(undefined)
      const late: Array<Waiter> = []
      let ticket: Ticket | undefined
      while ((ticket = Deadlines.takeDue(deadlines, now, waits)) !== undefined) {
        FairQueue.cancel(queue, ticket)
        late.push(ticket.value)
      }
      const next = Deadlines.earliest(deadlines, waits)
      state.watchedFor = next ?? Infinity
      const notices = late.map((waiter) => full(now, waiter.client, "wait-timeout", waiter.since))
      late.forEach((waiter, i) => wake(waiter, notices[i]))
      return Exit.succeed(next)
    })

  const watch = (clock: Clock.Clock, until: number): Effect.Effect<void> =>
    Effect.suspend(() => {
      const left = Math.ceil(until - unsafeMonotonicMillis(clock))
      return Effect.flatMap(
        Effect.zipRight(Effect.sleep(Math.min(Math.max(left, 0), MAX_SLEEP)), expire(until)),
        (next) => (next === undefined ? Effect.void : watch(clock, next))
      )
    })

  const wait = (
    moment: Step.Moment,
    { ticket, watchUntil }: Queued
  ): Effect.Effect<Slot<Pool>, Overloaded> => {
    const woken = Effect.matchCauseEffect(moment.restore(Deferred.await(ticket.value.woken)), {
      onFailure: (cause) => Effect.zipRight(abandon(ticket), Effect.failCause(cause)),
      onSuccess: (full): Effect.Effect<Slot<Pool>, Overloaded> =>
        full === undefined
          ? Exit.succeed({ pool, takenAt: moment.later().now, client: ticket.value.client })
          : Effect.fail(refuse(full))
    })
    if (watchUntil === undefined) return woken
    const watching = Effect.interruptible(watch(moment.clock, watchUntil))
    return Effect.zipRight(Effect.forkIn(watching, scope), woken)
  }

  const acquire = (request: Request): Effect.Effect<Slot<Pool>, Overloaded> =>
    Step.acquisition((moment) => {
      const entered = enter(request, moment.now)
      if ("takenAt" in entered) return Exit.succeed(entered)
      if ("why" in entered) return Effect.fail(refuse(entered))
      return wait(moment, entered)
    })

  return {
    acquire,
    release,
    status: Step.make(({ now }) => {
      const { inUse } = state
      const estimatedWaitMs = inUse < permits ? 0 : estimate(queue.size + 1, now)
      return Exit.succeed({ inUse, queued: queue.size, estimatedWaitMs })
    })
  }
}
