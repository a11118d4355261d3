import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberSet from "effect/FiberSet"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import { monotonicMillis } from "../platform/monotonic.js"

/**
 * The bridge from callbacks to fibers: each call of `run` is a fiber of the scope's.
 *
 *  - aborting the signal interrupts the fiber, and with it the statement it waits for;
 *  - closing the scope waits `drainMs` for calls in flight; what is left is cut: it is answered with
 *    `onCut`, and interrupted then. Answered first, because cancelling a statement waits for the warehouse, for an
 *    unknown time. Nothing the calls depend on may be closed before that, so the runner lives in the innermost scope.
 *
 * ```
 *   in flight --> answered    it ended
 *             --> cancelled   its caller left, or cancelled it: no answer is read
 *             --> cut         the scope closed: its caller reads why
 *             --> stopped     from outside: its caller reads why
 * ```
 */
export interface RequestRunner<R> {
  readonly run: <A>(effect: Effect.Effect<A, never, R>, options: Options<A>) => Promise<A>
  /** Interrupts every call at once: no client is left to answer. */
  readonly interruptAll: Effect.Effect<void>
}

interface Options<A> {
  readonly signal: AbortSignal
  readonly onCut: Effect.Effect<A>
  /**
   * Told before the effect begins: runs `stop` to answer the caller, and to interrupt the effect then. What it returns
   * is run when the effect has ended.
   */
  readonly begins?: (stop: (answer: Effect.Effect<A>) => Effect.Effect<void>) => () => void
}

/** Calls, by how they ended; those of several runners may be counted together. */
export interface Tally {
  inFlight: number
  answered: number
  cancelled: number
  cut: number
  stopped: number
}

export const tally = (): Tally => ({ inFlight: 0, answered: 0, cancelled: 0, cut: 0, stopped: 0 })

export const make = <R>({
  drainMs,
  tally
}: {
  readonly drainMs: number
  readonly tally: Tally
}): Effect.Effect<RequestRunner<R>, never, R | Scope.Scope> =>
  Effect.gen(function* () {
    const fibers = yield* FiberSet.make<unknown, never>()
    const fork = yield* FiberSet.runtime(fibers)<R>()
    const runtime = yield* Effect.runtime<never>()
    const cuts = new Set<Effect.Effect<void>>()
    let isCut = false
    yield* Effect.addFinalizer(() =>
      FiberSet.awaitEmpty(fibers).pipe(
        Effect.interruptible,
        Effect.timeoutOption(drainMs),
        Effect.zipRight(
          Effect.suspend(() => {
            isCut = true
            return Effect.all([...cuts], { discard: true })
          })
        ),
        // Answers are handed to the transport one turn after they were made.
        Effect.zipRight(Effect.yieldNow()),
        Effect.zipRight(Effect.sleep(1))
      )
    )
    return {
      run: <A>(effect: Effect.Effect<A, never, R>, { begins, onCut, signal }: Options<A>) =>
        new Promise<A>((resolve, reject) => {
          tally.inFlight += 1
          // The connection may be made uninterruptibly, and fibers inherit that from the runtime. Its scheduler
          // says when the call begins: what came in with it does not wait until it stops for the first time.
          const fiber = fork(Effect.interruptible(effect), { immediate: false })
          const abort = () => Runtime.runFork(runtime)(Fiber.interruptFork(fiber))
          let isOver = false
          const over = (how: "answered" | "cancelled" | "cut" | "stopped", answer: () => void) => {
            if (isOver) return
            isOver = true
            tally.inFlight -= 1
            tally[how] += 1
            signal.removeEventListener("abort", abort)
            cuts.delete(cut)
            answer()
          }
          const cut = Effect.map(onCut, (answer) => over("cut", () => resolve(answer)))
          cuts.add(cut)
          const ended = begins?.((answer) =>
            Effect.zipRight(
              Effect.map(answer, (value) => over("stopped", () => resolve(value))),
              Fiber.interruptFork(fiber)
            )
          )
          if (signal.aborted) abort()
          else signal.addEventListener("abort", abort, { once: true })
          fiber.addObserver((exit) => {
            ended?.()
            if (exit._tag === "Success") over("answered", () => resolve(exit.value))
            // Only interruption gets here: the effect has no typed error and catches its defects.
            else over("cancelled", () => reject(exit.cause))
          })
          if (isCut) Runtime.runFork(runtime)(cut)
        }),
      interruptAll: FiberSet.clear(fibers)
    }
  })

/** Logs what a server that stops still waits for, and how it ended. */
export const logDraining =
  (calls: Readonly<Tally> | undefined, about: { readonly [name: string]: number } = {}) =>
  <A, E, R>(drain: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.gen(function* () {
      const began = yield* monotonicMillis
      const before = { answered: 0, cancelled: 0, cut: 0, inFlight: 0, ...calls }
      yield* Effect.logInfo("shutting down: no more calls are taken").pipe(
        Effect.annotateLogs({ callsInFlight: before.inFlight, ...about })
      )
      const result = yield* drain
      const after = { ...before, ...calls }
      yield* Effect.logInfo("calls have ended").pipe(
        Effect.annotateLogs({
          answered: after.answered - before.answered,
          cut: after.cut - before.cut,
          cancelled: after.cancelled - before.cancelled,
          ms: Math.round((yield* monotonicMillis) - began)
        })
      )
      return result
    })
