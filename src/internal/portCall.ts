/**
 * Calls of ports whose answer the guard cannot do without, and for which it cannot wait for ever: a store
 * that a network lies in front of, or somebody else's.
 *
 * What a port is asked for may be granted at any moment until it has answered, so that it is never
 * interrupted: it runs in a fiber of its own, and only the waiting for it ends. A port that answers on the
 * spot, as those in memory do, costs no fiber.
 *
 * ```
 *   acquire --> answered in time --------------> the caller has it
 *      |
 *      +--> deadline, or the caller leaves ----> whatever is granted later is given back, once
 * ```
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Runtime from "effect/Runtime"
import * as RuntimeFlags from "effect/RuntimeFlags"
import * as Step from "./step.js"
import type { TimeLimits } from "./timeLimits.js"

/** Counted by nobody, like the attempts of a call. */
const flags = RuntimeFlags.disable(
  RuntimeFlags.disable(Runtime.defaultRuntimeFlags, RuntimeFlags.RuntimeMetrics),
  RuntimeFlags.Interruption
)

type Running = Fiber.RuntimeFiber<unknown, unknown>

/** That of the fiber that asks now: the one in which a moment began may have gone on to something else. */
const runtimeOf = <R>(fiber: Running): Runtime.Runtime<R> =>
  Runtime.make<R>({
    // The effect needs R, and it is asked for in a fiber that has R.
    context: fiber.currentContext as Context.Context<R>,
    fiberRefs: fiber.getFiberRefs(),
    runtimeFlags: flags
  })

type Begun<A, E> =
  | { readonly exit: Exit.Exit<A, E>; readonly child?: undefined }
  | { readonly exit?: undefined; readonly child: Fiber.RuntimeFiber<A, E> }

/** In a fiber of its own, as far as it goes without waiting. */
const begin = <A, E, R>(fiber: Running, moment: Step.Moment, effect: Effect.Effect<A, E, R>): Begun<A, E> => {
  const child = Runtime.runFork(runtimeOf<R>(fiber))(effect)
  moment.later()
  const exit = child.unsafePoll()
  return exit === null ? { child } : { exit }
}

const nothing = () => {}

/** The child's end, or undefined when `alarm` has rung before. */
const ended = <A, E>(child: Fiber.RuntimeFiber<A, E>, alarm: (ring: () => void) => () => void) => {
  let unwatch = nothing
  let observer: (exit: Exit.Exit<A, E>) => void = nothing
  const wait = Effect.async<Exit.Exit<A, E> | undefined>((resume) => {
    observer = (exit) => {
      unwatch()
      resume(Exit.succeed(exit))
    }
    unwatch = alarm(() => {
      child.removeObserver(observer)
      resume(Exit.succeed(undefined))
    })
    child.addObserver(observer)
  })
  const stop = () => {
    unwatch()
    child.removeObserver(observer)
  }
  return { wait, stop }
}

const patiently = () => nothing

const acquireUntil = <A, E, R, E2>(
  moment: Step.Moment,
  effect: Effect.Effect<A, E, R>,
  giveBack: (granted: A) => Effect.Effect<void, unknown>,
  alarm: (ring: () => void) => () => void,
  late: Effect.Effect<never, E2>
): Effect.Effect<A, E | E2, R> =>
  Effect.withFiberRuntime<A, E | E2, R>((fiber) => {
    const { child, exit } = begin(fiber, moment, effect)
    if (child === undefined) return exit
    const runtime = runtimeOf<never>(fiber)
    const { stop, wait } = ended(child, alarm)
    const leave = () => {
      stop()
      child.addObserver((exit) => {
        if (exit._tag === "Success") Runtime.runFork(runtime)(Effect.ignoreLogged(giveBack(exit.value)))
      })
    }
    return Effect.matchCauseEffect(moment.restore(wait), {
      onFailure: (cause) => {
        leave()
        return Effect.failCause(cause)
      },
      onSuccess: (exit): Effect.Effect<A, E | E2> => {
        if (exit !== undefined) return exit
        leave()
        return late
      }
    })
  })

/**
 * What the effect gives, if it does by `at` (monotonic milliseconds), or else `late`. The wait can be
 * interrupted where the moment's caller can. What is granted to a caller that has gone is given back.
 */
export const acquireBy = <A, E, R, E2>(
  limits: TimeLimits,
  moment: Step.Moment,
  at: number,
  effect: Effect.Effect<A, E, R>,
  giveBack: (granted: A) => Effect.Effect<void, unknown>,
  late: () => E2
): Effect.Effect<A, E | E2, R> => {
  const taken = Step.take(moment, effect)
  if (Step.isDone(taken)) return taken
  const alarm = (ring: () => void) => limits.alarm(at, ring)
  return acquireUntil(moment, taken, giveBack, alarm, Effect.failSync(late))
}

/** The same for a caller whose own time is limited: it is interrupted when that is over. */
export const acquire = <A, E, R>(
  moment: Step.Moment,
  effect: Effect.Effect<A, E, R>,
  giveBack: (granted: A) => Effect.Effect<void, unknown>
): Effect.Effect<A, E, R> => {
  const taken = Step.take(moment, effect)
  if (Step.isDone(taken)) return taken
  return acquireUntil(moment, taken, giveBack, patiently, Effect.never)
}

/**
 * Runs the effect to its end, and waits for that for at most `ms`. For what has to be told in the end of a
 * call: who does not listen must not keep the caller, and still is to hear it.
 */
export const tell = <R>(
  limits: TimeLimits,
  moment: Step.Moment,
  ms: number,
  effect: Effect.Effect<void, never, R>
): Effect.Effect<void, never, R> => {
  const taken = Step.take(moment, effect)
  if (Step.isDone(taken)) return taken
  return Effect.withFiberRuntime<void, never, R>((fiber) => {
    const { child, exit } = begin(fiber, moment, taken)
    if (child === undefined) return exit
    const at = moment.now + ms
    return Effect.flatMap(ended(child, (ring) => limits.alarm(at, ring)).wait, (exit) => exit ?? Exit.void)
  })
}
