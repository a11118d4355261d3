/**
 * Time and turns of a simulation: an Effect `Clock` over a binary heap, and a `Scheduler` whose queue is
 * ours to empty. Together they decide alone what runs next, so that a run is a function of its seed.
 *
 * `TestClock` serves tests of a few steps; here every wake-up costs microseconds, sleepers with the same
 * deadline wake in the order in which they fell asleep, and plain callbacks stand in the same heap, so
 * that a client or a statement needs no fiber of its own to wait.
 *
 * Invariants
 * 1. Time moves only when no fiber can: all tasks have run before the next deadline is looked at.
 * 2. Times are whole microseconds, hence exact: half a year of them fits into a double many times over.
 * 3. The monotonic clock starts at zero and the wall clock somewhere else, so that a mistake of
 *    one for the other is noticed.
 */
import { Clock, Duration, Effect } from "effect"
import type { Scheduler } from "effect/Scheduler"
import { defaultShouldYield } from "effect/Scheduler"

/** What is due at a moment. Cancelled by `cancel`, and then passed over. */
export interface Timer {
  /** Microseconds. */
  readonly at: number
  readonly order: number
  task: (() => void) | undefined
}

export interface VirtualClock {
  readonly clock: Clock.Clock
  readonly scheduler: Scheduler
  /** Monotonic milliseconds, exact to the microsecond. */
  readonly now: () => number
  /** Monotonic microseconds. */
  readonly nowMicros: () => number
  /** Runs the task in `ms` milliseconds, rounded up to a microsecond. */
  readonly after: (ms: number, task: () => void) => Timer
  readonly cancel: (timer: Timer) => void
  /** Runs the task after `turns` turns of the scheduler, in this same instant. */
  readonly afterTurns: (turns: number, task: () => void) => void
  /** Fibers that sleep. */
  readonly sleepers: () => number
  /** Runs everything that is due until then, and leaves the clock there. `onInstant` after each instant. */
  readonly runUntil: (ms: number, onInstant?: () => void) => void
  /**
   * Counts every task: two things with the same number happened in one go, without a wait
   * in between.
   */
  readonly moment: () => number
  /** Instants in which something happened. */
  readonly instants: () => number
}

/** Monday, so that hours and days begin with the simulation; milliseconds since 1970. */
export const wallClockOrigin = Date.UTC(2026, 0, 5)

const before = (a: Timer, b: Timer): boolean => a.at < b.at || (a.at === b.at && a.order < b.order)

const push = (heap: Array<Timer>, timer: Timer): void => {
  let hole = heap.push(timer) - 1
  while (hole > 0) {
    const parent = (hole - 1) >> 1
    const above = heap[parent]!
    if (before(above, timer)) break
    heap[hole] = above
    hole = parent
  }
  heap[hole] = timer
}

const pop = (heap: Array<Timer>): Timer => {
  const top = heap[0]!
  const last = heap.pop()!
  if (heap.length === 0) return top
  let hole = 0
  for (;;) {
    let child = 2 * hole + 1
    if (child >= heap.length) break
    if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child += 1
    if (before(last, heap[child]!)) break
    heap[hole] = heap[child]!
    hole = child
  }
  heap[hole] = last
  return top
}

export const make = (): VirtualClock => {
  const heap: Array<Timer> = []
  let tasks: Array<() => void> = []
  let now = 0
  let order = 0
  let asleep = 0
  let moments = 0
  let instants = 0

  const schedule = (at: number, task: () => void): Timer => {
    const timer: Timer = { at, order: order++, task }
    push(heap, timer)
    return timer
  }
  const after = (ms: number, task: () => void): Timer =>
    schedule(now + Math.max(0, Math.ceil(ms * 1000 - 1e-6)), task)
  const cancel = (timer: Timer): void => {
    timer.task = undefined
  }

  const settle = (): void => {
    while (tasks.length > 0) {
      const batch = tasks
      tasks = []
      for (const task of batch) {
        moments += 1
        task()
      }
    }
  }

  const currentTimeMillis = () => Math.floor(wallClockOrigin + now / 1000)
  const currentTimeNanos = () => BigInt(now) * 1000n
  const clock: Clock.Clock = {
    [Clock.ClockTypeId]: Clock.ClockTypeId,
    unsafeCurrentTimeMillis: currentTimeMillis,
    unsafeCurrentTimeNanos: currentTimeNanos,
    currentTimeMillis: Effect.sync(currentTimeMillis),
    currentTimeNanos: Effect.sync(currentTimeNanos),
    sleep: (duration) => {
      const ms = Duration.toMillis(duration)
      // What never ends must not keep the simulation going.
      if (ms === Infinity) return Effect.never
      return Effect.async<void>((resume) => {
        asleep += 1
        const timer = after(ms, () => {
          asleep -= 1
          resume(Effect.void)
        })
        return Effect.sync(() => {
          if (timer.task === undefined) return
          asleep -= 1
          cancel(timer)
        })
      })
    }
  }

  return {
    clock,
    scheduler: {
      shouldYield: defaultShouldYield,
      scheduleTask: (task) => {
        tasks.push(task)
      }
    },
    now: () => now / 1000,
    nowMicros: () => now,
    after,
    cancel,
    afterTurns: (turns, task) => {
      const turn = (left: number): void => {
        tasks.push(left === 0 ? task : () => turn(left - 1))
      }
      turn(turns)
    },
    sleepers: () => asleep,
    moment: () => moments,
    instants: () => instants,
    runUntil: (ms, onInstant) => {
      const end = Math.round(ms * 1000)
      settle()
      while (heap.length > 0 && heap[0]!.at <= end) {
        now = heap[0]!.at
        let happened = false
        while (heap.length > 0 && heap[0]!.at === now) {
          // All that is due at an instant is woken before anything runs: what can race does race.
          while (heap.length > 0 && heap[0]!.at === now) {
            const timer = pop(heap)
            const task = timer.task
            if (task === undefined) continue
            timer.task = undefined
            moments += 1
            task()
            happened = true
          }
          settle()
        }
        if (!happened) continue
        instants += 1
        onInstant?.()
      }
      now = Math.max(now, end)
    }
  }
}
