/**
 * The path of a call, read top to bottom. Every guard is a service of its own; this file only says in
 * which order they stand and what happens when one says no.
 *
 * ```
 * rate limit      one atomic decision over all scopes       refused: nobody is charged
 *   quota         reserve requests, queries, bytes           refused: tokens go back
 *     slot        a fair slot for the call
 *       breaker?  open: turn away before queueing
 *         slot    a fair slot for the statement
 *           breaker   a permit, stamped with its generation
 *             timeout   per attempt; the interruption cancels the statement
 *               work
 * settle          breaker verdict, real bytes into the quota, refunds if nothing was sent
 * ```
 *
 * Whatever way a call ends, what it took is given back or paid, exactly once.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Bulkhead from "./Bulkhead.js"
import * as CircuitBreaker from "./CircuitBreaker.js"
import { unsafeMonotonicMillis } from "./internal/monotonic.js"
import * as RequestId from "./internal/requestId.js"
import * as TimeLimits from "./internal/timeLimits.js"
import type { OperationClass } from "./Operation.js"
import { CurrentPrincipal } from "./Principal.js"
import * as Quota from "./Quota.js"
import type { QuotaStoreError } from "./QuotaStore.js"
import * as RateLimiter from "./RateLimiter.js"
import type { Reason } from "./Warehouse.js"
import { WarehouseError } from "./Warehouse.js"

/**
 * What a tool asks the guard to let through.
 *
 * @since 0.1.0
 * @category models
 */
export interface Operation {
  readonly tool: string
  readonly class: OperationClass
  /** Milliseconds the whole call may take, waiting included. */
  readonly deadlineMs: number
  /** Milliseconds one attempt in the warehouse may take; `deadlineMs` when absent. */
  readonly timeoutMs?: number | undefined
  /** Result bytes expected; what was really delivered is settled afterwards. */
  readonly estimatedBytes: number
}

/**
 * One attempt of an operation, as the work sees it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Attempt {
  /** The same for every attempt of a call: the warehouse de-duplicates by it. */
  readonly requestId: string
  /** Milliseconds this attempt may take. */
  readonly timeoutMs: number
  /** Result bytes that may be delivered before a quota is used up. */
  readonly bytesLeft: number
  /** The statement is about to leave the process: from here on it is paid for. */
  readonly markSent: Effect.Effect<void>
  /** Result bytes delivered; adds up. */
  readonly addBytes: (bytes: number) => Effect.Effect<void>
}

/**
 * What the guard adds to a result.
 *
 * @since 0.1.0
 * @category models
 */
export interface Guarded<A> {
  readonly value: A
  /** Quotas of which less than a fifth is left. */
  readonly warnings: ReadonlyArray<Quota.QuotaStatus>
}

/**
 * The call ran out of time, in a queue or in the warehouse.
 *
 * @since 0.1.0
 * @category errors
 */
export class DeadlineExceeded extends Schema.TaggedError<DeadlineExceeded>("snowguard/DeadlineExceeded")(
  "DeadlineExceeded",
  {
    /** The limit that was reached, milliseconds. */
    limitMs: Schema.Number,
    /** Was the statement sent? If so it has been cancelled in the warehouse. */
    sent: Schema.Boolean,
    /** `attempt`: the warehouse took too long. `call`: what was left of the caller's own time. */
    of: Schema.Literal("attempt", "call")
  }
) {
  override get message(): string {
    return `the ${this.of} did not finish within ${this.limitMs} ms`
  }
}

/**
 * Everything the guard itself may answer.
 *
 * @since 0.1.0
 * @category errors
 */
export type Refusal =
  | RateLimiter.RateLimited
  | Bulkhead.Overloaded
  | Quota.QuotaExceeded
  | QuotaStoreError
  | CircuitBreaker.CircuitOpen
  | DeadlineExceeded

/**
 * @since 0.1.0
 * @category context
 */
export class Guard extends Context.Tag("snowguard/Guard")<
  Guard,
  {
    readonly run: <A, E, R>(
      operation: Operation,
      work: (attempt: Attempt) => Effect.Effect<A, E | WarehouseError, R>
    ) => Effect.Effect<Guarded<A>, E | WarehouseError | Refusal, R>
  }
>() {}

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Milliseconds a call waits for a slot at most; less when its deadline is nearer. */
  readonly maxWaitMs: number
}

/**
 * @since 0.1.0
 * @category models
 */
export const defaults: Options = { maxWaitMs: 5_000 }

/**
 * What a failure of the warehouse says about its health. Only faults that are its own count against
 * it: a caller's mistake proves that it answers, and what an operator must mend is not mended by
 * waiting.
 *
 * @since 0.1.0
 * @category models
 */
export const verdicts: { readonly [R in Reason]: CircuitBreaker.Verdict } = {
  InvalidStatement: "alive",
  NotFound: "alive",
  Permission: "alive",
  ResultExpired: "alive",
  StatementTimeout: "ignored",
  Cancelled: "ignored",
  Authentication: "ignored",
  Configuration: "ignored",
  Unavailable: "ignored",
  Overloaded: "ignored",
  SessionLost: "ignored",
  Unreachable: "failure",
  Protocol: "failure",
  ServerFault: "failure",
  Unknown: "failure"
}

/** Defects count: a driver that crashes is not healthy. A caller's own hurry does not. */
const verdict = (exit: Exit.Exit<unknown, unknown>): CircuitBreaker.Verdict => {
  if (Exit.isSuccess(exit)) return "success"
  const failure = Cause.failureOrCause(exit.cause)
  if (Either.isRight(failure)) return Cause.isInterruptedOnly(failure.right) ? "ignored" : "failure"
  const error = failure.left
  return error instanceof WarehouseError ? verdicts[error.reason] : "ignored"
}

/** An error of the work itself (a rejected statement, a tool's own refusal) used our time: its token stays spent. */
const keepsToken = (exit: Exit.Exit<unknown, unknown>): boolean => {
  if (Exit.isSuccess(exit)) return true
  const failure = Cause.failureOrCause(exit.cause)
  return Either.isLeft(failure) && !isRefusal(failure.left) && !(failure.left instanceof WarehouseError)
}

const isRefusal = (error: unknown): boolean =>
  error instanceof Bulkhead.Overloaded ||
  error instanceof CircuitBreaker.CircuitOpen ||
  error instanceof DeadlineExceeded

const neverSent = (exit: Exit.Exit<unknown, unknown>): boolean => {
  if (Exit.isSuccess(exit)) return false
  const failure = Cause.failureOrCause(exit.cause)
  return Either.isLeft(failure) && failure.left instanceof WarehouseError && failure.left.sent === "no"
}

const warnings = (reservation: Quota.Reservation) =>
  reservation.status.filter((status) => status.remaining < status.limit / 5)

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Partial<Options> = {}) =>
  Effect.gen(function* () {
    const { maxWaitMs } = { ...defaults, ...options }
    const limiter = yield* RateLimiter.RateLimiter
    const quota = yield* Quota.Quota
    const bulkhead = yield* Bulkhead.Bulkhead
    const breaker = yield* CircuitBreaker.CircuitBreaker
    const limits = yield* TimeLimits.make
    const nextRequestId = yield* RequestId.make

    const run = <A, E, R>(
      operation: Operation,
      work: (attempt: Attempt) => Effect.Effect<A, E | WarehouseError, R>
    ): Effect.Effect<Guarded<A>, E | WarehouseError | Refusal, R> =>
      Effect.clockWith((clock) =>
        Effect.flatMap(CurrentPrincipal, ({ client, tier }) => {
          const deadline = unsafeMonotonicMillis(clock) + operation.deadlineMs
          const left = () => Math.max(0, deadline - unsafeMonotonicMillis(clock))
          const who = { client, tier, class: operation.class }
          // The ledger of this call; only its own fibers see it.
          let sent = false
          let bytes = 0
          const requestId = nextRequestId()

          const slot =
            (pool: Bulkhead.Pool) =>
            <B, E2, R2>(effect: Effect.Effect<B, E2, R2>) =>
              Effect.suspend(() =>
                bulkhead.withSlot(pool, { client, tier, maxWaitMs: Math.min(maxWaitMs, left()) }, effect)
              )

          // The caller is answered at its deadline; the slots inside are freed only when the attempt has
          // really ended, which may be a little later.
          const attempt = (reservation: Quota.Reservation) => {
            let timedOut = false
            const inWarehouse = (limit: TimeLimits.Limit) =>
              Effect.suspend(() => {
                const timeoutMs = Math.min(operation.timeoutMs ?? operation.deadlineMs, left())
                limit.tighten(timeoutMs)
                return work({
                  requestId,
                  timeoutMs,
                  bytesLeft: reservation.bytesLeft,
                  markSent: Effect.suspend(() => {
                    if (sent) return Effect.void
                    sent = true
                    return Effect.ignoreLogged(quota.submitted(reservation))
                  }),
                  addBytes: (more) => Effect.sync(() => void (bytes += more))
                })
              })
            return limits.within(
              left(),
              (limit) =>
                breaker
                  .protect(inWarehouse(limit), { verdict: (exit) => (timedOut ? "failure" : verdict(exit)) })
                  .pipe(
                    slot("statements"),
                    (statement) => Effect.zipRight(breaker.peek, statement),
                    slot("requests")
                  ),
              (limit) => {
                timedOut = limit.tightened
                return limit.tightened
                  ? new DeadlineExceeded({
                      limitMs: operation.timeoutMs ?? operation.deadlineMs,
                      sent,
                      of: "attempt"
                    })
                  : new DeadlineExceeded({ limitMs: operation.deadlineMs, sent, of: "call" })
              }
            )
          }

          const settle = (
            admission: RateLimiter.Admission,
            reservation: Quota.Reservation,
            exit: Exit.Exit<unknown, unknown>
          ) => {
            if (sent && !neverSent(exit)) return Effect.ignoreLogged(quota.settle(reservation, { bytes }))
            const release = Effect.ignoreLogged(quota.release(reservation))
            return keepsToken(exit) ? release : Effect.zipRight(limiter.refund(admission), release)
          }

          return Effect.uninterruptibleMask((restore) =>
            Effect.flatMap(limiter.acquire(who), (admission) =>
              // Not interruptible: a reservation granted to nobody would be lost. Stores bound their own time.
              quota
                .reserve({
                  ...who,
                  estimatedBytes: operation.estimatedBytes,
                  deadlineMs: operation.deadlineMs
                })
                .pipe(
                  Effect.onError(() => limiter.refund(admission)),
                  Effect.flatMap((reservation) =>
                    restore(attempt(reservation)).pipe(
                      Effect.onExit((exit) => settle(admission, reservation, exit)),
                      Effect.map((value) => ({ value, warnings: warnings(reservation) }))
                    )
                  )
                )
            )
          )
        })
      )
    return Guard.of({ run })
  })

/**
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options?: Partial<Options>
): Layer.Layer<
  Guard,
  never,
  RateLimiter.RateLimiter | Quota.Quota | Bulkhead.Bulkhead | CircuitBreaker.CircuitBreaker
> => Layer.scoped(Guard, make(options))
