import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"

/**
 * `Effect.onExit` for a region that is uninterruptible already: it does not switch the interruption off and on again,
 * which is two thirds of the operations.
 */
export const afterwards = <A, E, R>(
  self: Effect.Effect<A, E, R>,
  finalizer: (exit: Exit.Exit<A, E>) => Effect.Effect<void>
): Effect.Effect<A, E, R> =>
  Effect.matchCauseEffect(self, {
    onFailure: (cause: Cause.Cause<E>) =>
      Effect.zipRight(finalizer(Exit.failCause(cause)), Effect.failCause(cause)),
    onSuccess: (value) => Effect.as(finalizer(Exit.succeed(value)), value)
  })
