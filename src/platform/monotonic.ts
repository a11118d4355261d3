import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Ref from "effect/Ref"

/**
 * Milliseconds of the monotonic clock (fractional). For intervals only: its zero means nothing and it
 * never steps when the wall clock is corrected. Virtual under `TestClock`.
 */
export const monotonicMillis: Effect.Effect<number> = Clock.clockWith((clock) =>
  Effect.sync(() => unsafeMonotonicMillis(clock))
)

/** The same for callbacks: reads the clock of the fiber that asked for it. */
export const monotonicReader: Effect.Effect<() => number> = Effect.map(
  Effect.clock,
  (clock) => () => unsafeMonotonicMillis(clock)
)

/** Nanoseconds of the same clock, as spans have them. */
export const nanosReader: Effect.Effect<() => bigint> = Effect.map(
  Effect.clock,
  (clock) => () => clock.unsafeCurrentTimeNanos()
)

/** The wall clock for callbacks, milliseconds since 1970. */
export const wallReader: Effect.Effect<() => number> = Effect.map(
  Effect.clock,
  (clock) => () => clock.unsafeCurrentTimeMillis()
)

export const unsafeMonotonicMillis = (clock: Clock.Clock): number =>
  Number(clock.unsafeCurrentTimeNanos()) / 1e6

/** What is to be done at this time, monotonic milliseconds. */
export const withNow = <A, E, R>(f: (now: number) => Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Clock.clockWith((clock) => f(unsafeMonotonicMillis(clock)))

/**
 * One decision: a pure function of the state and of the monotonic time (milliseconds) gives the answer and the
 * next state. The time is read inside of the step, so that no state ever sees an earlier time than the one before.
 */
export const modifyAt = <S, A>(
  ref: Ref.Ref<S>,
  f: (state: S, now: number) => readonly [A, S]
): Effect.Effect<A> =>
  Clock.clockWith((clock) => Ref.modify(ref, (state) => f(state, unsafeMonotonicMillis(clock))))

/** {@link modifyAt} where there is nothing to answer. */
export const updateAt = <S>(ref: Ref.Ref<S>, f: (state: S, now: number) => S): Effect.Effect<void> =>
  Clock.clockWith((clock) => Ref.update(ref, (state) => f(state, unsafeMonotonicMillis(clock))))

/** Steps in time, on a clock that is known. */
export interface Steps {
  readonly modifyAt: typeof modifyAt
  readonly updateAt: typeof updateAt
}

/**
 * The same on the clock of the fiber that runs this: a step then looks up no clock. For services that every call passes:
 * they keep the clock that they were made with.
 */
export const steps: Effect.Effect<Steps> = Effect.map(monotonicReader, (now) => ({
  modifyAt: (ref, f) => Ref.modify(ref, (state) => f(state, now())),
  updateAt: (ref, f) => Ref.update(ref, (state) => f(state, now()))
}))
