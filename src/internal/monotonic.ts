import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"

/**
 * Milliseconds of the monotonic clock (fractional). For intervals only: its zero means nothing and it
 * never steps when the wall clock is corrected. Virtual under `TestClock`.
 */
export const monotonicMillis: Effect.Effect<number> = Clock.clockWith((clock) =>
  Effect.sync(() => unsafeMonotonicMillis(clock))
)

export const unsafeMonotonicMillis = (clock: Clock.Clock): number =>
  Number(clock.unsafeCurrentTimeNanos()) / 1e6
