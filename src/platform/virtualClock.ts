import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as MutableRef from "effect/MutableRef"

/** Milliseconds of the monotonic clock, and of the wall clock since 1970. */
export interface Time {
  readonly monotonic: number
  readonly wall: number
}

/**
 * A clock that shows what it is set to, for replays. Nothing is waited for: a sleep ends at once and leaves the time as it
 * is.
 */
export const make = (at: Time): { readonly clock: Clock.Clock; readonly set: (time: Time) => void } => {
  const time = MutableRef.make(at)
  const millis = () => Math.floor(MutableRef.get(time).wall)
  const nanos = () => {
    const { monotonic } = MutableRef.get(time)
    const whole = Math.floor(monotonic)
    let exact = BigInt(whole) * 1_000_000n + BigInt(Math.round((monotonic - whole) * 1e6))
    // After 104 days a number has no room for each nanosecond; what reads this as one must not be before the time.
    while (Number(exact) / 1e6 < monotonic) exact += 1n
    return exact
  }
  return {
    clock: {
      [Clock.ClockTypeId]: Clock.ClockTypeId,
      unsafeCurrentTimeMillis: millis,
      unsafeCurrentTimeNanos: nanos,
      currentTimeMillis: Effect.sync(millis),
      currentTimeNanos: Effect.sync(nanos),
      sleep: () => Effect.void
    },
    set: (to) => {
      MutableRef.set(time, to)
    }
  }
}
