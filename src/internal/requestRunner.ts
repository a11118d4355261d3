import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import type * as Scope from "effect/Scope"

/**
 * The bridge from callbacks to fibers: each call of `run` is a fiber of the scope's.
 *
 *  - aborting the signal interrupts the fiber, and with it the statement it waits for;
 *  - closing the scope waits `drainMs` for calls in flight, then interrupts what is left. Nothing the
 *    calls depend on may be closed before that, so the runner lives in the innermost scope.
 */
export interface RequestRunner<R> {
  readonly run: <A>(effect: Effect.Effect<A, never, R>, signal: AbortSignal) => Promise<A>
  readonly inFlight: Effect.Effect<number>
  /** Interrupts every call at once: there is nobody left to answer. */
  readonly interruptAll: Effect.Effect<void>
}

export const make = <R>(drainMs: number): Effect.Effect<RequestRunner<R>, never, R | Scope.Scope> =>
  Effect.gen(function* () {
    const fibers = yield* FiberSet.make<unknown, never>()
    const fork = yield* FiberSet.runtime(fibers)<R>()
    yield* Effect.addFinalizer(() =>
      FiberSet.awaitEmpty(fibers).pipe(
        Effect.interruptible,
        Effect.timeoutOption(drainMs),
        // Answers are handed to the transport one turn after their fiber has ended.
        Effect.zipRight(Effect.yieldNow()),
        Effect.zipRight(Effect.sleep(1))
      )
    )
    return {
      run: <A>(effect: Effect.Effect<A, never, R>, signal: AbortSignal) =>
        new Promise<A>((resolve, reject) => {
          // Whoever connects may do so uninterruptibly, and fibers inherit that from the runtime.
          const fiber = fork(Effect.interruptible(effect))
          const abort = () => fiber.unsafeInterruptAsFork(fiber.id())
          if (signal.aborted) abort()
          else signal.addEventListener("abort", abort, { once: true })
          fiber.addObserver((exit) => {
            signal.removeEventListener("abort", abort)
            if (exit._tag === "Success") resolve(exit.value)
            // Only interruption gets here: the effect has no typed error and catches its defects.
            else reject(exit.cause)
          })
        }),
      inFlight: FiberSet.size(fibers),
      interruptAll: FiberSet.clear(fibers)
    }
  })
