/**
 * Alarms of many calls and statements, rung by one sleeping fiber. `Effect.timeout` forks two fibers and sets a timer for
 * each of them.
 */
import * as Effect from "effect/Effect"
import * as Ref from "effect/Ref"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import * as Heap from "./core/Deadlines.js"
import { modifyAt, monotonicMillis } from "./monotonic.js"

/** Rings once, at its time (monotonic milliseconds), unless it is turned off before; then it keeps nothing alive. */
export interface Alarm {
  readonly at: number
  ring: Effect.Effect<void> | undefined
}

const isSet = (alarm: Alarm): boolean => alarm.ring !== undefined

export const at = (at: number, ring: Effect.Effect<void>): Alarm => ({ at, ring })

export const turnOff = (alarm: Alarm): void => {
  alarm.ring = undefined
}

interface State {
  /** When the sleeping fiber wakes. A fiber that was superseded by an earlier time ends when it wakes. */
  readonly until: number
  /** At this size the heap is swept: twice the alarms that were set after the last time. */
  readonly sweepAt: number
}

const LEAST_SWEPT = 256

/** Sets an alarm. */
export type Set = (alarm: Alarm) => Effect.Effect<void>

/** Alarms ring while the scope is open, one after another: what is rung must not wait. */
export const make: Effect.Effect<Set, never, Scope.Scope> = Effect.gen(function* () {
  // Not a fork of the calling fiber: the alarms outlive the call and would keep its context alive.
  const runFork = Runtime.runFork(yield* Effect.runtime<never>())
  const scope = yield* Effect.scope
  /** Updated in place, within the steps of `alarms`. */
  const heap = Heap.make<Alarm>()
  const alarms = yield* Ref.make<State>({ until: Number.POSITIVE_INFINITY, sweepAt: LEAST_SWEPT })

  const ringDue = (until: number): Effect.Effect<void> =>
    Effect.flatten(
      modifyAt(alarms, (current, now) => {
        if (current.until !== until) return [Effect.void, current]
        const due = Heap.takeDue(heap, now, isSet)
        const rung = Effect.all(
          // What goes wrong with one stops no other.
          due.map(({ ring = Effect.void }) =>
            Effect.catchAllCause(ring, (cause) => Effect.logError("an alarm failed", cause))
          ),
          { discard: true }
        )
        due.forEach(turnOff)
        const next = Heap.earliest(heap, isSet) ?? Number.POSITIVE_INFINITY
        return [
          next === Number.POSITIVE_INFINITY ? rung : Effect.zipRight(rung, watch(next)),
          { ...current, until: next }
        ]
      })
    )

  const watch = (until: number): Effect.Effect<void> =>
    Effect.map(monotonicMillis, (now) => Math.max(1, Math.ceil(until - now))).pipe(
      Effect.flatMap(Effect.sleep),
      Effect.zipRight(ringDue(until))
    )

  return (alarm) =>
    Ref.update(alarms, ({ sweepAt, until }) => {
      const isFull = heap.length >= sweepAt
      if (isFull) Heap.sweep(heap, isSet)
      Heap.add(heap, alarm.at, alarm)
      if (alarm.at < until) runFork(watch(alarm.at), { scope })
      return {
        until: Math.min(until, alarm.at),
        sweepAt: isFull ? Math.max(LEAST_SWEPT, 2 * heap.length) : sweepAt
      }
    })
})
