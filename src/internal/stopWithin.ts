/**
 * A limit for stopping: whoever tells a server to stop gets a process that ends, whatever a finalizer waits
 * for.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"

/**
 * Most supervisors kill ten seconds after they ask; `timeouts.shutdown_seconds` is bounded so that it fits
 * in here with time to spare for closing what is below.
 */
export const STOP_MS = 9_000

/** Runs the work; when that is interrupted, its finalizers get so many milliseconds. */
export const stopWithin =
  (ms: number) =>
  <A, E, R>(work: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(Effect.forkDaemon(restore(work)), (fiber) =>
        restore(Fiber.join(fiber)).pipe(
          Effect.onInterrupt(() =>
            Fiber.interruptFork(fiber).pipe(
              Effect.zipRight(Fiber.await(fiber)),
              Effect.interruptible,
              Effect.timeoutOption(ms),
              Effect.flatMap(
                Option.match({
                  onNone: () => Effect.logWarning("not everything could be closed in time"),
                  onSome: () => Effect.void
                })
              )
            )
          )
        )
      )
    )
