import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"

/** Where work that is under way is found. Touched in synchronous steps only. */
export interface UnderWay<A, E> {
  underWay: Deferred.Deferred<A, E> | undefined
}

interface Options<A, E> {
  readonly scope: Scope.Scope
  /** Told before those that wait are. */
  readonly settled?: (exit: Exit.Exit<A, E>) => Effect.Effect<void>
  /** How work ends that the end of the scope interrupts. */
  readonly stopped: E
}

/**
 * The answer of the work that is under way; where there is none, work is begun. It runs in the scope, once for all that
 * wait for it, and goes on when they have left.
 */
export const join = <A, E>(
  at: UnderWay<A, E>,
  begin: () => Effect.Effect<A, E>,
  { scope, settled, stopped }: Options<A, E>
): Effect.Effect<Deferred.Deferred<A, E>> =>
  Effect.uninterruptible(
    Effect.flatMap(Deferred.make<A, E>(), (fresh) =>
      Effect.suspend(() => {
        if (at.underWay !== undefined) return Effect.succeed(at.underWay)
        at.underWay = fresh
        return Effect.suspend(begin).pipe(
          Effect.interruptible,
          Effect.exit,
          Effect.map((exit) => (Exit.isInterrupted(exit) ? Exit.fail(stopped) : exit)),
          Effect.flatMap((exit) =>
            // Whatever `settled` does: those that wait are told.
            Effect.ensuring(
              settled?.(exit) ?? Effect.void,
              Effect.suspend(() => {
                at.underWay = undefined
                return Deferred.done(fresh, exit)
              })
            )
          ),
          Effect.forkIn(scope),
          Effect.as(fresh)
        )
      })
    )
  )
