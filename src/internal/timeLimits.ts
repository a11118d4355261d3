import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Runtime from "effect/Runtime"
import * as RuntimeFlags from "effect/RuntimeFlags"
import type * as Scope from "effect/Scope"
import * as Deadlines from "../core/Deadlines.js"
import { unsafeMonotonicMillis } from "./monotonic.js"
import * as Step from "./step.js"

/**
 * Time limits for many short-lived calls, without a timer and two fibers for each.
 *
 * `Effect.timeoutFail` forks both sides of a race: some 20 us a call, most of what a guarded call costs.
 * Here the effect runs in one child fiber that is started in place; a call that ends without waiting for
 * anything never sees a timer, and all others share one sleeping fiber that knows the nearest limit.
 */
export interface TimeLimits {
  /**
   * Fails with `onTimeout` when the effect has not ended in time. The caller is answered at once; the
   * effect is interrupted and winds down behind it. Interrupting the caller interrupts the effect and,
   * like the time-out, does not wait for it.
   *
   * `onTimeout` runs before the interruption, so that finalizers of the effect can know the reason.
   */
  readonly within: <A, E, R, E2>(
    ms: number,
    effect: (limit: Limit) => Effect.Effect<A, E, R>,
    onTimeout: (limit: Limit) => E2
  ) => Effect.Effect<A, E | E2, R>
  /**
   * The same for an effect that takes steps and holds what they give it: it begins uninterruptible, and
   * `moment.restore` makes the waiting and the work interruptible. `deadline` in monotonic milliseconds.
   *
   * Its caller is answered when it has wound down, and no later than `cut` says.
   */
  readonly withinHolding: <A, E, R, E2>(
    deadline: number,
    effect: (limit: Limit, moment: Step.Moment) => Effect.Effect<A, E, R>,
    cut: Cut<E2>
  ) => Effect.Effect<A, E | E2, R>
  /** Calls back at this time (monotonic milliseconds), unless what it returns is called before. */
  readonly alarm: (at: number, ring: () => void) => () => void
  /** Limits that are being watched. */
  readonly size: Effect.Effect<number>
}

/** The limit of one call, which the call itself may tighten as it goes on. */
export interface Limit {
  /** From now on, at most `ms` more; never later than before. */
  readonly tighten: (ms: number) => void
  /** Was the limit that counts now set by `tighten`? */
  readonly tightened: boolean
}

/** What becomes of an effect that reaches its limit. */
export interface Cut<E> {
  /** Before the interruption; until when the caller waits for it to wind down, in monotonic milliseconds. */
  readonly begin: (limit: Limit, now: number) => number
  /** Run for a caller that has waited in vain. */
  readonly late: Effect.Effect<void>
  /** What the caller is answered. */
  readonly error: () => E
}

class Call implements Limit {
  watched = false
  tightened = false
  fire: () => void = () => {}
  constructor(
    public at: number,
    private readonly clock: Clock.Clock,
    private readonly watch: (call: Call) => void
  ) {}
  tighten(most: number): void {
    const at = unsafeMonotonicMillis(this.clock) + most
    if (at >= this.at) return
    this.at = at
    this.tightened = true
    if (this.watched) this.watch(this)
  }
}

/** A limit as it was when it was set; one that was tightened since, or whose call is over, does not count. */
interface Entry {
  readonly call: Call
  readonly at: number
}

const counts = ({ at, call }: Entry): boolean => call.watched && call.at === at

/** Counted by nobody: a fiber that lasts as long as one call is not news, and its metrics cost half of it. */
const interruptible = RuntimeFlags.disable(Runtime.defaultRuntimeFlags, RuntimeFlags.RuntimeMetrics)
const uninterruptible = RuntimeFlags.disable(interruptible, RuntimeFlags.Interruption)

/** Longer sleeps than 24.8 days never end on Node. */
const LONGEST_SLEEP_MS = 3_600_000

export const make: Effect.Effect<TimeLimits, never, Scope.Scope> = Effect.gen(function* () {
  const clock = yield* Effect.clock
  const runtime = yield* Effect.runtime<never>()
  const heap = Deadlines.make<Entry>()
  let live = 0
  let sleeper: { readonly until: number; readonly fiber: Fiber.RuntimeFiber<void> } | undefined

  const fireDue = Effect.sync(() => {
    sleeper = undefined
    const now = unsafeMonotonicMillis(clock)
    for (;;) {
      const due = Deadlines.takeDue(heap, now, counts)
      if (due === undefined) break
      due.call.fire()
    }
    watch()
  })

  /** Makes sure that somebody wakes up for the nearest limit. */
  const watch = (): void => {
    const next = Deadlines.earliest(heap, counts)
    if (next === undefined || (sleeper !== undefined && sleeper.until <= next)) return
    sleeper?.fiber.unsafeInterruptAsFork(sleeper.fiber.id())
    // Rounded up: a timer that fires a fraction early would only have to sleep again.
    const ms = Math.min(LONGEST_SLEEP_MS, Math.max(1, Math.ceil(next - unsafeMonotonicMillis(clock))))
    sleeper = {
      until: next,
      fiber: Runtime.runFork(runtime)(Effect.zipRight(clock.sleep(Duration.millis(ms)), fireDue))
    }
  }

  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      sleeper?.fiber.unsafeInterruptAsFork(sleeper.fiber.id())
      sleeper = { until: -Infinity, fiber: Runtime.runFork(runtime)(Effect.void) }
    })
  )

  const watchCall = (call: Call): void => {
    if (Deadlines.size(heap) > 2 * live + 64) Deadlines.compact(heap, counts)
    Deadlines.add(heap, call.at, { call, at: call.at })
    watch()
  }

  const unwatch = (call: Call): void => {
    if (!call.watched) return
    call.watched = false
    live -= 1
  }

  const begin = (call: Call): void => {
    call.watched = true
    live += 1
    watchCall(call)
  }

  const start = <A, E, R, E2>(
    moment: Step.Moment,
    call: Call,
    effect: Effect.Effect<A, E, R>,
    cut: Cut<E2>,
    runtimeFlags: RuntimeFlags.RuntimeFlags
  ): Effect.Effect<A, E | E2, R> => {
    const { fiber: parent } = moment
    const child = Runtime.runFork(
      Runtime.make<R>({
        // The effect needs R, and it runs in a fiber that has R.
        context: parent.currentContext as Context.Context<R>,
        fiberRefs: parent.getFiberRefs(),
        runtimeFlags
      })
    )(effect)
    moment.later()
    const done = child.unsafePoll()
    if (done !== null) return done

    const error = Effect.failSync(cut.error)
    let answer: (exit: Effect.Effect<A, E | E2>) => void = () => {}
    let isCut = false
    let stopWaiting = () => {}
    const observer = (exit: Exit.Exit<A, E>) => {
      unwatch(call)
      stopWaiting()
      // One that came to its own end all the same has something to say.
      answer(isCut && exit._tag === "Failure" && Cause.isInterrupted(exit.cause) ? error : exit)
    }
    const leave = (answered: Effect.Effect<A, E | E2>) => {
      child.removeObserver(observer)
      answer(answered)
    }
    call.fire = () => {
      unwatch(call)
      const now = unsafeMonotonicMillis(clock)
      const until = cut.begin(call, now)
      isCut = true
      if (until > now) {
        stopWaiting = alarm(until, () => leave(Effect.zipRight(cut.late, error)))
      } else leave(Effect.zipRight(cut.late, error))
      child.unsafeInterruptAsFork(parent.id())
    }
    const stop = () => {
      unwatch(call)
      stopWaiting()
      child.removeObserver(observer)
      child.unsafeInterruptAsFork(parent.id())
    }
    return moment
      .restore(
        Effect.async<A, E | E2>((resume) => {
          answer = resume
          begin(call)
          child.addObserver(observer)
        })
      )
      .pipe(Effect.onInterrupt(() => Effect.sync(stop)))
  }

  const within: TimeLimits["within"] = (ms, effect, onTimeout) =>
    Step.masked((moment) => {
      const call = new Call(moment.now + ms, clock, watchCall)
      const cut = { begin: () => -Infinity, late: Effect.void, error: () => onTimeout(call) }
      return start(moment, call, effect(call), cut, interruptible)
    })

  // As far as it goes in place it needs neither a fiber nor a timer: nothing has been waited for.
  const withinHolding: TimeLimits["withinHolding"] = (deadline, effect, cut) =>
    Step.masked((moment) => {
      const call = new Call(deadline, clock, watchCall)
      const begun = Step.call((inner) => effect(call, inner), moment.branch(Effect.interruptible, true))
      return Step.isDone(begun) ? begun : start(moment, call, begun, cut, uninterruptible)
    })

  const alarm: TimeLimits["alarm"] = (at, ring) => {
    const call = new Call(at, clock, watchCall)
    const stop = () => unwatch(call)
    call.fire = () => {
      stop()
      ring()
    }
    begin(call)
    return stop
  }

  return { within, withinHolding, alarm, size: Effect.sync(() => live) }
})
