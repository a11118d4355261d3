import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"

/**
 * What an effect that cannot fail gives within a time, or else the fallback. For finalizers: there nothing
 * can be interrupted, so a time-out needs a fiber of its own that can.
 */
export const bounded = <A>(
  self: Effect.Effect<A>,
  limit: Duration.DurationInput,
  fallback: A
): Effect.Effect<A> =>
  self.pipe(
    Effect.timeoutTo({ duration: limit, onTimeout: () => fallback, onSuccess: (value) => value }),
    Effect.interruptible,
    Effect.forkDaemon,
    Effect.flatMap((fiber) => Effect.onInterrupt(Fiber.join(fiber), () => Fiber.interruptFork(fiber)))
  )
