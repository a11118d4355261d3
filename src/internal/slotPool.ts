/**
 * A fair semaphore: slots, a queue for them that is fair between clients, and a bound on the wait.
 *
 * Invariants
 * 1. Somebody waits only while all slots are taken, and a freed slot goes straight to who is next: a
 *    newcomer never overtakes, and one release wakes one waiter.
 * 2. Only the wait and the work are interruptible. Who is interrupted while it waits leaves the queue or,
 *    if it was handed a slot in the meantime, hands it on: a slot is never lost, nor given twice.
 * 3. A waiter leaves the queue exactly once, in one step: with a slot, out of time, or interrupted.
 * 4. A slot is freed when the effect has ended, its own finalizers included, and not when somebody
 *    stopped waiting for it.
 *
 * One fiber watches the clock for all waiters, and only while there are some: a timer for each of them
 * would cost more than all the rest of the wait.
 *
 * `Effect.Semaphore` is not used here: each release wakes all of its waiters, and a newcomer overtakes.
 */
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as Ref from "effect/Ref"
import type * as Scope from "effect/Scope"
import * as Deadlines from "../core/Deadlines.js"
import * as FairQueue from "../core/FairQueue.js"
import { unsafeMonotonicMillis } from "./monotonic.js"

export interface Options extends FairQueue.Bounds {
  /** Slots, >= 1. */
  readonly permits: number
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
}

export interface SlotPool<Overloaded> {
  readonly withSlot: <A, E, R>(
    request: Request,
    effect: Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | Overloaded, R>
  readonly status: Effect.Effect<{
    readonly inUse: number
    readonly queued: number
    readonly estimatedWaitMs: number
  }>
}

type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

interface Waiter {
  readonly client: string
  readonly since: number
  /** Done with nothing when it gets a slot, with the reason when its time is up. */
  readonly woken: Deferred.Deferred<Full | undefined>
  granted: boolean
}

type Ticket = FairQueue.Ticket<Waiter>

interface Queued {
  readonly _tag: "Queued"
  readonly ticket: Ticket
  /** When the clock must be watched for this waiter, because nobody watches for an earlier time. */
  readonly watchUntil: number | undefined
}

interface State {
  readonly inUse: number
  /** Moving average of the time a slot is held, milliseconds; none until one was freed. */
  readonly serviceMs: number | undefined
  /** When a slot last changed hands. */
  readonly movedAt: number
  /** What the clock is watched for; `Infinity` when nobody watches. */
  readonly watchedFor: number
}

/** Weight of the latest sample in the moving average: ten calls forget nine tenths of the past. */
const SMOOTHING = 0.2
/** Assumed time in a slot while nothing has ended yet, milliseconds. */
const FIRST_GUESS = 1_000
/** Longest sleep of the live clock, milliseconds. */
const MAX_SLEEP = 2_147_483_647

const waits = (ticket: Ticket): boolean => ticket.lane !== undefined

/** The scope is that of the fiber that watches the clock; slots and waiters do not depend on it. */
export const make = <Overloaded>(
  { permits, ...bounds }: Options,
  refuse: (full: Full) => Overloaded
): Effect.Effect<SlotPool<Overloaded>, never, Scope.Scope> =>
  Effect.map(Effect.scope, (scope) => unsafeMake(permits, bounds, refuse, scope))

const unsafeMake = <Overloaded>(
  permits: number,
  bounds: FairQueue.Bounds,
  refuse: (full: Full) => Overloaded,
  scope: Scope.Scope
): SlotPool<Overloaded> => {
  const ref = Ref.unsafeMake<State>({ inUse: 0, serviceMs: undefined, movedAt: 0, watchedFor: Infinity })
  // Updated in place: touched nowhere but in a step of the Ref.
  const queue = FairQueue.make<Waiter>(bounds)
  const deadlines = Deadlines.make<Ticket>()

  /** One atomic step on the state, at one reading of the clock. */
  const step = <A>(clock: Clock.Clock, f: (state: State, now: number) => readonly [A, State]) =>
    Ref.modify(ref, (state) => f(state, unsafeMonotonicMillis(clock)))

  // What is stuck is not quick because it used to be: never promise less than the pool has stood still.
  const estimate = (state: State, position: number, now: number): number =>
    Math.ceil(Math.max(1, (position * (state.serviceMs ?? FIRST_GUESS)) / permits, now - state.movedAt))

  const full = (state: State, now: number, client: string, why: Full["why"], since = now): Full => ({
    why,
    queued: queue.size,
    waitedMs: Math.round(now - since),
    retryAfterMs: estimate(state, FairQueue.ahead(queue, client) + 1, now)
  })

  /** A slot (the time at which it was taken), a place in the queue, or a refusal. */
  const enter =
    ({ client, maxWaitMs, weight }: Request) =>
    (state: State, now: number): readonly [number | Queued | Full, State] => {
      const { inUse, movedAt, serviceMs, watchedFor } = state
      if (inUse < permits) return [now, { inUse: inUse + 1, serviceMs, movedAt: now, watchedFor }]
      if (!(maxWaitMs > 0)) return [full(state, now, client, "wait-timeout"), state]
      const waiter = {
        client,
        since: now,
        woken: Deferred.unsafeMake<Full | undefined>(FiberId.none),
        granted: false
      }
      const ticket = FairQueue.enqueue(queue, client, weight, waiter)
      if (typeof ticket === "string") return [full(state, now, client, ticket), state]
      if (Deadlines.size(deadlines) > 2 * queue.size + 64) Deadlines.compact(deadlines, waits)
      const deadline = now + maxWaitMs
      Deadlines.add(deadlines, deadline, ticket)
      return deadline < watchedFor
        ? [
            { _tag: "Queued", ticket, watchUntil: deadline },
            { inUse, serviceMs, movedAt, watchedFor: deadline }
          ]
        : [{ _tag: "Queued", ticket, watchUntil: undefined }, state]
    }

  /** The slot goes to who is next, or is free. */
  const pass = (
    state: State,
    now: number,
    serviceMs: number | undefined
  ): readonly [Waiter | undefined, State] => {
    const next = FairQueue.dequeue(queue)
    if (next !== undefined) next.granted = true
    const inUse = next === undefined ? state.inUse - 1 : state.inUse
    return [next, { inUse, serviceMs, movedAt: now, watchedFor: state.watchedFor }]
  }

  const wake = (waiter: Waiter, full?: Full): void => Deferred.unsafeDone(waiter.woken, Exit.succeed(full))

  /** The slot is free again; `value` is what comes of it, to save a step on the way out. */
  const release = <A>(clock: Clock.Clock, takenAt: number, value: A): Effect.Effect<A> =>
    Effect.map(
      step(clock, (state, now) => {
        const held = now - takenAt
        const average = state.serviceMs ?? held
        return pass(state, now, average + SMOOTHING * (held - average))
      }),
      (next) => {
        if (next !== undefined) wake(next)
        return value
      }
    )

  /** Interrupted while it waited. */
  const abandon = (clock: Clock.Clock, ticket: Ticket): Effect.Effect<void> =>
    Effect.map(
      step(clock, (state, now) => {
        if (FairQueue.cancel(queue, ticket) || !ticket.value.granted) return [undefined, state]
        return pass(state, now, state.serviceMs)
      }),
      (next) => {
        if (next !== undefined) wake(next)
      }
    )

  /** Sends away who is out of time; says until when to watch next, unless somebody else watches. */
  const expire = (clock: Clock.Clock, watched: number): Effect.Effect<number | undefined> =>
    Effect.map(
      step(clock, (state, now) => {
        const { inUse, movedAt, serviceMs, watchedFor } = state
        if (watchedFor !== watched) return [{ late: [], next: undefined }, state]
        const late: Array<Waiter> = []
        let ticket: Ticket | undefined
        while ((ticket = Deadlines.takeDue(deadlines, now, waits)) !== undefined) {
          FairQueue.cancel(queue, ticket)
          late.push(ticket.value)
        }
        const next = Deadlines.earliest(deadlines, waits)
        const notices = late.map((waiter) => ({
          waiter,
          full: full(state, now, waiter.client, "wait-timeout", waiter.since)
        }))
        return [
          { late: notices, next },
          { inUse, serviceMs, movedAt, watchedFor: next ?? Infinity }
        ]
      }),
      ({ late, next }) => {
        for (const { full, waiter } of late) wake(waiter, full)
        return next
      }
    )

  const watch = (clock: Clock.Clock, until: number): Effect.Effect<void> =>
    Effect.suspend(() => {
      const left = Math.ceil(until - unsafeMonotonicMillis(clock))
      return Effect.flatMap(
        Effect.zipRight(Effect.sleep(Math.min(Math.max(left, 0), MAX_SLEEP)), expire(clock, until)),
        (next) => (next === undefined ? Effect.void : watch(clock, next))
      )
    })

  const wait = (
    restore: Restore,
    clock: Clock.Clock,
    { ticket, watchUntil }: Queued
  ): Effect.Effect<number, Overloaded> => {
    const woken = Effect.matchCauseEffect(restore(Deferred.await(ticket.value.woken)), {
      onFailure: (cause) => Effect.zipRight(abandon(clock, ticket), Effect.failCause(cause)),
      onSuccess: (full) =>
        full === undefined ? Effect.sync(() => unsafeMonotonicMillis(clock)) : Effect.fail(refuse(full))
    })
    if (watchUntil === undefined) return woken
    return Effect.zipRight(Effect.forkIn(Effect.interruptible(watch(clock, watchUntil)), scope), woken)
  }

  const withSlot = <A, E, R>(request: Request, effect: Effect.Effect<A, E, R>) =>
    Clock.clockWith((clock) =>
      Effect.uninterruptibleMask((restore) => {
        const run = (takenAt: number): Effect.Effect<A, E, R> =>
          Effect.matchCauseEffect(restore(effect), {
            onFailure: (cause) => Effect.flatMap(release(clock, takenAt, cause), Effect.failCause),
            onSuccess: (value) => release(clock, takenAt, value)
          })
        return Effect.flatMap(step(clock, enter(request)), (entered): Effect.Effect<A, E | Overloaded, R> => {
          // The common case: a slot was free, and nothing but two steps stands around the effect.
          if (typeof entered === "number") return run(entered)
          if ("why" in entered) return Effect.fail(refuse(entered))
          return Effect.flatMap(wait(restore, clock, entered), run)
        })
      })
    )

  return {
    withSlot,
    status: Clock.clockWith((clock) =>
      step(clock, (state, now) => {
        const { inUse } = state
        const estimatedWaitMs = inUse < permits ? 0 : estimate(state, queue.size + 1, now)
        return [{ inUse, queued: queue.size, estimatedWaitMs }, state]
      })
    )
  }
}
