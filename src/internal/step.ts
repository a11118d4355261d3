/**
 * Effects that need no fiber of their own to make progress: a decision that is one synchronous step. An
 * ordinary caller runs them like any effect; the guard, which takes a dozen of them for every call, takes
 * them in place, because the fiber's round trip costs more than most of the decisions.
 *
 * A step taken in place is uninterruptible, and so is everything up to the next effect that is not a
 * step. Whatever waits on the way does so inside `moment.restore`.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"

export type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

/** Where and when a step is taken: one reading of the clock for all that happens at once. */
export class Moment {
  readonly clock: Clock.Clock
  private read: number | undefined
  private readWall: number | undefined
  constructor(
    readonly fiber: Fiber.RuntimeFiber<unknown, unknown>,
    /** Makes interruptible what the caller of the step would have been interruptible in. */
    readonly restore: Restore,
    /** Is everything that follows a step uninterruptible, but for what is restored? */
    readonly masked: boolean
  ) {
    this.clock = Context.get(fiber.currentDefaultServices, Clock.Clock)
  }
  /** Monotonic milliseconds. */
  get now(): number {
    return (this.read ??= Number(this.clock.unsafeCurrentTimeNanos()) / 1e6)
  }
  /** Milliseconds since 1970. */
  get wall(): number {
    return (this.readWall ??= this.clock.unsafeCurrentTimeMillis())
  }
  /** The same time, with another way to become interruptible. */
  branch(restore: Restore, masked: boolean): Moment {
    const branch = new Moment(this.fiber, restore, masked)
    branch.read = this.read
    branch.readWall = this.readWall
    return branch
  }
  /** The same place, later: after anything that may have taken time. */
  later(): this {
    this.read = undefined
    this.readWall = undefined
    return this
  }
}

export class Step<out A, out E = never, out R = never> extends Effectable.Class<A, E, R> {
  constructor(readonly take: (moment: Moment) => Effect.Effect<A, E, R>) {
    super()
  }
  override commit(): Effect.Effect<A, E, R> {
    return Effect.withFiberRuntime<A, E, R>((fiber) => this.take(new Moment(fiber, unchanged, false)))
  }
}

const unchanged: Restore = (effect) => effect

class Masked<out A, out E, out R> extends Step<A, E, R> {
  override commit(): Effect.Effect<A, E, R> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.withFiberRuntime<A, E, R>((fiber) => this.take(new Moment(fiber, restore, true)))
    )
  }
}

class Acquisition<out A, out E, out R> extends Masked<A, E, R> {
  override commit(): Effect.Effect<A, E, R> {
    return Effect.uninterruptible(
      Effect.withFiberRuntime<A, E, R>((fiber) => this.take(new Moment(fiber, Effect.interruptible, true)))
    )
  }
}

/** A step that holds nothing for longer than it lasts. */
export const make = <A, E = never, R = never>(
  take: (moment: Moment) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> => new Step(take)

/** A step that may hold something while it waits. */
export const masked = <A, E = never, R = never>(
  take: (moment: Moment) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> => new Masked(take)

/**
 * The same for an acquisition, which is run in an uninterruptible region: run by itself, it can be left
 * while it waits all the same; taken in place, wherever the one who takes it can.
 */
export const acquisition = <A, E = never, R = never>(
  take: (moment: Moment) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> => new Acquisition(take)

/** Takes a step in place; any other effect, and one that needs a mask where there is none, is left as it is. */
export const take = <A, E, R>(moment: Moment, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => {
  if (!(effect instanceof Step) || (effect instanceof Masked && !moment.masked)) return effect
  try {
    return effect.take(moment) as Effect.Effect<A, E, R>
  } catch (defect) {
    return Exit.die(defect)
  }
}

export const isDone = <A, E, R>(effect: Effect.Effect<A, E, R>): effect is Exit.Exit<A, E> =>
  "_tag" in effect && (effect._tag === "Success" || effect._tag === "Failure")

/** Interruptible where the caller is, unless it is taken in place. */
export const restored = <A, E, R>(moment: Moment, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => {
  if (isDone(effect)) return effect
  if (!(effect instanceof Step)) return moment.restore(effect)
  // What it leaves to do will not be masked: so it may not hold anything.
  const taken = take(moment.branch(moment.restore, false), effect)
  return isDone(taken) ? taken : moment.restore(taken)
}

/** `Effect.flatMap`, in place as far as it goes. */
export const andThen = <A, E, R, B, E2, R2>(
  moment: Moment,
  effect: Effect.Effect<A, E, R>,
  f: (value: A) => Effect.Effect<B, E2, R2>
): Effect.Effect<B, E | E2, R | R2> => {
  const taken = take(moment, effect)
  if (!isDone(taken)) return Effect.flatMap(taken, (value) => resume(moment, f, value))
  return taken._tag === "Success" ? call(f, taken.value) : Exit.failCause(taken.cause)
}

/** As a fiber would: what throws is a defect, and whoever cleans up behind it hears of it. */
export const call = <A, B, E, R>(
  f: (value: A) => Effect.Effect<B, E, R>,
  value: A
): Effect.Effect<B, E, R> => {
  try {
    return f(value)
  } catch (defect) {
    return Exit.die(defect)
  }
}

const resume = <A, B>(moment: Moment, f: (value: A) => B, value: A): B => {
  moment.later()
  return f(value)
}

/** `Effect.matchCauseEffect`, in place as far as it goes. */
export const onExit = <A, E, R, B, E2, R2>(
  moment: Moment,
  effect: Effect.Effect<A, E, R>,
  f: (exit: Exit.Exit<A, E>) => Effect.Effect<B, E2, R2>
): Effect.Effect<B, E2, R | R2> => {
  const taken = take(moment, effect)
  return isDone(taken)
    ? call(f, taken)
    : Effect.matchCauseEffect(taken, {
        onFailure: (cause) => resume(moment, f, Exit.failCause(cause)),
        onSuccess: (value) => resume(moment, f, Exit.succeed(value))
      })
}

/** Then this, however the effect ends; its end stays what it was unless this fails. */
export const ensuring = <A, E, R, E2, R2>(
  moment: Moment,
  effect: Effect.Effect<A, E, R>,
  f: (exit: Exit.Exit<A, E>) => Effect.Effect<unknown, E2, R2>
): Effect.Effect<A, E | E2, R | R2> =>
  onExit(moment, effect, (exit): Effect.Effect<A, E | E2, R | R2> => {
    const after = take(moment, call(f, exit))
    if (isDone(after)) {
      if (after._tag === "Success") return exit
      return exit._tag === "Success"
        ? Exit.failCause(after.cause)
        : Exit.failCause(Cause.sequential(exit.cause, after.cause))
    }
    return Effect.matchCauseEffect(after, {
      onFailure: (cause): Effect.Effect<A, E | E2> =>
        Exit.failCause(exit._tag === "Success" ? cause : Cause.sequential(exit.cause, cause)),
      onSuccess: () => exit
    })
  })
