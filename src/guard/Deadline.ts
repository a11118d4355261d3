/**
 * Deadlines of calls.
 *
 * A call runs in a fiber of its own. Its caller waits for the answer until the deadline; the fiber may take longer for
 * its finalizers. A grant that comes too late, a statement that is slow to cancel and a store that is slow to settle are
 * therefore ordinary finalizers, and delay no answer.
 *
 * ```
 *   caller   ──fork──> waits for the answer ──────────────> has it, or DeadlineExceeded, or was interrupted
 *   fiber      admission ─ attempts ─ answer ─ settlement ─> ends; interrupted at the deadline, and with its caller
 *   alarm      one sleeping fiber for the deadlines of all calls
 * ```
 *
 * `Effect.timeout` forks three fibers and sets a timer for each call, which costs more than the rest of the guard. This is
 * the only file of the guard that forks fibers for calls.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as HashSet from "effect/HashSet"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Alarms from "../platform/alarms.js"
import { Lateness } from "../warehouse/Warehouse.js"

/**
 * When the request of the current call was received, in monotonic milliseconds: the deadline counts from then. Undefined
 * outside of a request; the deadline counts from `Guard.run` then.
 *
 * @since 0.1.0
 * @category context
 */
export class Received extends Context.Reference<Received>()("snowguard/Deadline/Received", {
  defaultValue: (): number | undefined => undefined
}) {}

/**
 * The call ran out of time, in a queue or in the warehouse.
 *
 * @since 0.1.0
 * @category errors
 */
export class DeadlineExceeded extends Schema.TaggedError<DeadlineExceeded>("snowguard/DeadlineExceeded")(
  "DeadlineExceeded",
  {
    /** The limit that was reached, milliseconds, as the caller knows it. */
    limitMs: Schema.Number,
    /** Was the statement sent? If so its cancellation has been requested. */
    sent: Schema.Boolean,
    /** Has the warehouse confirmed that? */
    cancelled: Schema.optional(Schema.Boolean),
    /** `attempt`: the warehouse took too long. `call`: what was left of the caller's own time. */
    of: Schema.Literal("attempt", "call"),
    /** Milliseconds until the warehouse is called again, when the circuit is open. */
    retryAfterMs: Schema.optional(Schema.Number),
    /** None runs: the last that was sent had ended, and the call waited to be tried again. */
    retrying: Schema.optional(Schema.Boolean),
    /** Of a statement that was sent: what it took so long for. */
    lateness: Schema.optional(Lateness)
  }
) {
  override get message(): string {
    return `the ${this.of} did not finish within ${this.limitMs} ms`
  }
}

/**
 * One alarm for the deadlines of all calls.
 *
 * @since 0.1.0
 * @category models
 */
export interface Deadlines {
  /**
   * Runs the effect in a fiber of its own and waits for its answer until `at` (monotonic milliseconds). The answer is
   * the exit that the effect hands to `answer`, or its own exit when it ends before.
   *
   * At the deadline `late` runs first and its failure is the answer; then the fiber is interrupted. A caller that is
   * interrupted interrupts the fiber. Neither waits for the fiber's end. Changes of FiberRefs come back to the caller
   * with an answer that is a success, as with `Effect.timeout`.
   */
  readonly answerBy: <A, E, R, E2>(
    at: number,
    late: Effect.Effect<never, E2>,
    effect: (answer: (exit: Exit.Exit<A, E>) => Effect.Effect<void>) => Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | E2, R>
  /**
   * Runs the effect in a fiber of its own, interrupts it at `at` (monotonic milliseconds), and waits for its end.
   * Fails with `late` when it was interrupted at `at`. The same as `Effect.timeoutTo`, which costs two fibers and a
   * timer each time.
   */
  readonly endBy: <A, E, R, E2>(
    at: number,
    late: Effect.Effect<never, E2>,
    effect: Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | E2, R>
}

/** The interruptor of effects that are out of time. */
const alarmId = FiberId.make(-2, 0)

const isLate = (cause: Cause.Cause<unknown>): boolean => HashSet.has(Cause.interruptors(cause), alarmId)

/**
 * Deadlines of the calls of one guard. When the scope closes, the calls that are under way are interrupted and waited
 * for, `windDownMs` milliseconds at most.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (windDownMs: number): Effect.Effect<Deadlines, never, Scope.Scope> =>
  Effect.gen(function* () {
    const setAlarm = yield* Alarms.make
    const calls = yield* Effect.acquireRelease(Scope.make(), (scope, exit) =>
      Scope.close(scope, exit).pipe(
        Effect.interruptible,
        Effect.disconnect,
        Effect.timeoutOption(windDownMs),
        Effect.interruptible
      )
    )

    const answerBy = <A, E, R, E2>(
      at: number,
      late: Effect.Effect<never, E2>,
      effect: (answer: (exit: Exit.Exit<A, E>) => Effect.Effect<void>) => Effect.Effect<A, E, R>
    ): Effect.Effect<A, E | E2, R> =>
      Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(Deferred.makeAs<A, E | E2>(FiberId.none), (answered) => {
          const answer = (exit: Exit.Exit<A, E | E2>) => Effect.asVoid(Deferred.done(answered, exit))
          const call = Effect.flatMap(Effect.exit(Effect.interruptible(effect(answer))), answer)
          return Effect.flatMap(Effect.forkIn(call, calls), (fiber) => {
            const interrupt = Fiber.interruptAsFork(fiber, FiberId.none)
            const alarm = Alarms.at(
              at,
              Effect.exit(late).pipe(Effect.flatMap(answer), Effect.zipRight(interrupt))
            )
            return Effect.zipRight(setAlarm(alarm), Effect.exit(restore(Deferred.await(answered)))).pipe(
              Effect.flatMap((exit) => {
                Alarms.turnOff(alarm)
                if (Exit.isSuccess(exit)) return Effect.zipRight(Fiber.inheritAll(fiber), exit)
                return Exit.isInterrupted(exit) ? Effect.zipRight(interrupt, exit) : exit
              })
            )
          })
        })
      )

    const endBy = <A, E, R, E2>(
      at: number,
      late: Effect.Effect<never, E2>,
      effect: Effect.Effect<A, E, R>
    ): Effect.Effect<A, E | E2, R> =>
      Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(Effect.forkDaemon(restore(effect)), (fiber) => {
          const alarm = Alarms.at(at, Fiber.interruptAsFork(fiber, alarmId))
          return Effect.zipRight(setAlarm(alarm), Effect.exit(restore(Fiber.await(fiber)))).pipe(
            Effect.flatMap((awaited): Effect.Effect<A, E | E2> => {
              Alarms.turnOff(alarm)
              const exit = Exit.flatten(awaited)
              if (Exit.isSuccess(exit)) return Effect.zipRight(Fiber.inheritAll(fiber), exit)
              // The caller was interrupted, and waits for the end.
              if (Exit.isFailure(awaited)) return Effect.zipRight(Fiber.interrupt(fiber), exit)
              return isLate(exit.cause) ? late : exit
            })
          )
        })
      )

    return { answerBy, endBy }
  })
