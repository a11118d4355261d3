/**
 * The path of a call, read top to bottom. Every guard is a service of its own; this file only says in
 * which order they stand and what happens when one says no.
 *
 * ```
 * degradation       is this kind of work served at all now?        refused: nothing was taken yet
 *   rate limit      one atomic decision over all scopes             refused: nobody is charged
 *     quota         reserve requests, queries, bytes                refused: tokens go back
 *       retry       only here; within its budget and the deadline, holding nothing while it waits
 *         pace      the warehouse's own rate, cut when it says that it is overloaded
 *           slot    a fair slot for the call
 *             breaker?  open: turn away before queueing
 *               slot    a fair slot for the statement
 *                 breaker   a permit, stamped with its generation
 *                   limit   of time; the interruption cancels the statement
 *                     work
 * settle            breaker verdict, real bytes into the quota, refunds if nothing was sent
 * ```
 *
 * Whatever way a call ends, what it took is given back or paid, exactly once.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as AdaptiveRate from "./AdaptiveRate.js"
import * as Bulkhead from "./Bulkhead.js"
import * as CircuitBreaker from "./CircuitBreaker.js"
import { DeadlineExceeded } from "./Deadline.js"
import * as Degradation from "./Degradation.js"
import { unsafeMonotonicMillis } from "./internal/monotonic.js"
import * as RequestId from "./internal/requestId.js"
import * as TimeLimits from "./internal/timeLimits.js"
import * as Verdict from "./internal/verdict.js"
import type { Criticality, OperationClass } from "./Operation.js"
import { CurrentPrincipal } from "./Principal.js"
import * as Quota from "./Quota.js"
import type { QuotaStoreError } from "./QuotaStore.js"
import * as RateLimiter from "./RateLimiter.js"
import * as Retry from "./Retry.js"
import * as Telemetry from "./Telemetry.js"
import type { WarehouseError } from "./Warehouse.js"

export { DeadlineExceeded }

/**
 * What a tool asks the guard to let through.
 *
 * @since 0.1.0
 * @category models
 */
export interface Operation {
  readonly tool: string
  readonly class: OperationClass
  /** Milliseconds the whole call may take, waiting and retries included. */
  readonly deadlineMs: number
  /** Milliseconds one attempt in the warehouse may take; `deadlineMs` when absent. */
  readonly timeoutMs?: number | undefined
  /** Result bytes expected; what was really delivered is settled afterwards. */
  readonly estimatedBytes: number
  /** Told when the call has to wait for its turn, with what it waits for. */
  readonly waiting?: ((message: string) => Effect.Effect<void>) | undefined
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
 * Everything the guard itself may answer.
 *
 * @since 0.1.0
 * @category errors
 */
export type Refusal =
  | Degradation.Degraded
  | RateLimiter.RateLimited
  | Quota.QuotaExceeded
  | QuotaStoreError
  | AdaptiveRate.Throttled
  | Bulkhead.Overloaded
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
export interface TierOptions {
  /** Milliseconds a call waits for rate-limit tokens before it is refused; 0: not at all. */
  readonly maxTokenWaitMs: number
  /** Work that can come later: the first to be turned away when not everybody can be served. */
  readonly batch: boolean
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Milliseconds a call waits for a slot at most; less when its deadline is nearer. */
  readonly maxWaitMs: number
  /** By tier; a tier without an entry has that of `default`, which is interactive. */
  readonly tiers: { readonly [tier: string]: TierOptions }
}

/**
 * @since 0.1.0
 * @category models
 */
export const defaults: Options = {
  maxWaitMs: 5_000,
  tiers: { default: { maxTokenWaitMs: 0, batch: false } }
}

/** What a finished call has to say about: the reservation it holds, and what it did. */
interface Ledger {
  /** Was a statement about to be sent, by any attempt? */
  sent: boolean
  /** ... by the attempt that is under way, or was the last? */
  sending: boolean
  /** Did one of the attempts before it leave the process, as far as anybody knows? */
  left: boolean
  bytes: number
}

/** A call that waits less than this is not worth a word to its client. */
const WORTH_TELLING_MS = 50

const warnings = (tier: string, reservation: Quota.Reservation) => {
  const low = reservation.status.filter((status) => status.remaining < status.limit / 5)
  for (const { limit, quota, remaining } of low) Telemetry.recordLowQuota(tier, quota, remaining / limit)
  return low
}

/**
 * An error of the work itself (a rejected statement, a tool's own refusal) used our time, so its token
 * stays spent; what we refused, what was interrupted, and what the warehouse never saw costs nothing.
 */
const keepsToken = (exit: Exit.Exit<unknown, unknown>): boolean =>
  exit._tag === "Success" || (exit.cause._tag === "Fail" && !costsNothing(exit.cause.error))

const costsNothing = (error: unknown): boolean =>
  error instanceof Bulkhead.Overloaded ||
  error instanceof CircuitBreaker.CircuitOpen ||
  error instanceof AdaptiveRate.Throttled ||
  error instanceof DeadlineExceeded ||
  (typeof error === "object" && error !== null && "_tag" in error && error._tag === "WarehouseError")

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Partial<Options> = {}) =>
  Effect.gen(function* () {
    const { maxWaitMs, tiers } = { ...defaults, ...options }
    const degradation = yield* Degradation.Degradation
    const limiter = yield* RateLimiter.RateLimiter
    const quota = yield* Quota.Quota
    const retry = yield* Retry.Retry
    const pace = yield* AdaptiveRate.AdaptiveRate
    const bulkhead = yield* Bulkhead.Bulkhead
    const breaker = yield* CircuitBreaker.CircuitBreaker
    const limits = yield* TimeLimits.make
    const nextRequestId = yield* RequestId.make
    const interactive: TierOptions = tiers["default"] ?? { maxTokenWaitMs: 0, batch: false }

    const run = <A, E, R>(
      operation: Operation,
      work: (attempt: Attempt) => Effect.Effect<A, E | WarehouseError, R>
    ): Effect.Effect<Guarded<A>, E | WarehouseError | Refusal, R> =>
      Effect.clockWith((clock) =>
        Effect.flatMap(CurrentPrincipal, ({ client, tier }) => {
          const deadline = unsafeMonotonicMillis(clock) + operation.deadlineMs
          const left = () => Math.max(0, deadline - unsafeMonotonicMillis(clock))
          const who = { client, tier, class: operation.class }
          const { batch, maxTokenWaitMs } = tiers[tier] ?? interactive
          const criticality: Criticality = batch && operation.class === "query" ? "batch" : operation.class
          const requestId = nextRequestId()
          const ledger: Ledger = { sent: false, sending: false, left: false, bytes: 0 }

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
            let sentAt: number | undefined
            let begunAt = 0
            const inWarehouse = (limit: TimeLimits.Limit) =>
              Effect.suspend(() => {
                begunAt = unsafeMonotonicMillis(clock)
                const timeoutMs = Math.min(operation.timeoutMs ?? operation.deadlineMs, left())
                limit.tighten(timeoutMs)
                return work({
                  requestId,
                  timeoutMs,
                  bytesLeft: Math.max(0, reservation.bytesLeft - ledger.bytes),
                  markSent: Effect.suspend(() => {
                    if (sentAt !== undefined) return Effect.void
                    sentAt = unsafeMonotonicMillis(clock)
                    ledger.sending = true
                    if (ledger.sent) return Effect.void
                    ledger.sent = true
                    return Effect.ignoreLogged(quota.submitted(reservation))
                  }),
                  addBytes: (more) => Effect.sync(() => void (ledger.bytes += more))
                })
              })
            const inPace = <B, E2, R2>(effect: Effect.Effect<B, E2, R2>) =>
              Effect.uninterruptibleMask((restore) =>
                Effect.zipRight(
                  pace.acquire,
                  Effect.onExit(restore(effect), (exit) =>
                    sentAt === undefined
                      ? pace.refund
                      : Verdict.isOverload(exit)
                        ? pace.overloaded(sentAt)
                        : Effect.void
                  )
                )
              )
            return limits.within(
              left(),
              (limit) =>
                breaker
                  .protect(inWarehouse(limit), {
                    verdict: (exit) => {
                      const verdict = timedOut ? "failure" : Verdict.verdict(exit)
                      Telemetry.recordAttempt(
                        operation.class,
                        verdict,
                        unsafeMonotonicMillis(clock) - begunAt
                      )
                      return verdict
                    }
                  })
                  .pipe(
                    slot("statements"),
                    (statement) => Effect.zipRight(breaker.peek, statement),
                    slot("requests"),
                    inPace
                  ),
              (limit) => {
                timedOut = limit.tightened
                return limit.tightened
                  ? new DeadlineExceeded({
                      limitMs: operation.timeoutMs ?? operation.deadlineMs,
                      sent: ledger.sent,
                      of: "attempt"
                    })
                  : new DeadlineExceeded({ limitMs: operation.deadlineMs, sent: ledger.sent, of: "call" })
              }
            )
          }

          const settle = (
            admission: RateLimiter.Admission,
            reservation: Quota.Reservation,
            exit: Exit.Exit<unknown, unknown>
          ) => {
            Telemetry.recordBytes(tier, ledger.bytes)
            if (ledger.left || (ledger.sending && !Verdict.neverLeft(exit))) {
              return Effect.ignoreLogged(quota.settle(reservation, { bytes: ledger.bytes }))
            }
            const release = Effect.ignoreLogged(quota.release(reservation))
            return keepsToken(exit) ? release : Effect.zipRight(limiter.refund(admission), release)
          }

          const decide = Verdict.decide(operation.class)
          const reserve = quota.reserve({
            ...who,
            estimatedBytes: operation.estimatedBytes,
            deadlineMs: operation.deadlineMs
          })

          const path = Effect.uninterruptibleMask((restore) =>
            Effect.flatMap(limiter.reserve(who, Math.min(maxTokenWaitMs, left())), (admission) => {
              if (admission.waitMs > 0) Telemetry.recordTokenWait(tier, admission.waitMs)
              const turn = restore(awaitTurn(operation, admission)).pipe(
                // Not interruptible: a reservation granted to nobody would be lost. Stores bound their own time.
                Effect.zipRight(reserve),
                Effect.onError(() => limiter.refund(admission))
              )
              return Effect.flatMap(turn, (reservation) =>
                restore(
                  retry.run(() => attempt(reservation), {
                    class: operation.class,
                    deadline,
                    decide: (error) => {
                      if (ledger.sending && !Verdict.saysNotSent(error)) ledger.left = true
                      ledger.sending = false
                      return decide(error)
                    }
                  })
                ).pipe(
                  Effect.onExit((exit) => settle(admission, reservation, exit)),
                  Effect.map((value) => ({ value, warnings: warnings(tier, reservation) }))
                )
              )
            })
          )
          return degradation.protect(criticality, path)
        })
      )
    return Guard.of({ run })
  })

/** The tokens are reserved already; this waits until they are due. */
const awaitTurn = (operation: Operation, { waitMs }: RateLimiter.Admission): Effect.Effect<void> => {
  if (waitMs === 0) return Effect.void
  const wait = Effect.sleep(waitMs)
  return operation.waiting === undefined || waitMs < WORTH_TELLING_MS
    ? wait
    : Effect.zipRight(operation.waiting(`waiting ${waitMs} ms for the rate limit`), wait)
}

/**
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options?: Partial<Options>
): Layer.Layer<
  Guard,
  never,
  | Degradation.Degradation
  | RateLimiter.RateLimiter
  | Quota.Quota
  | Retry.Retry
  | AdaptiveRate.AdaptiveRate
  | Bulkhead.Bulkhead
  | CircuitBreaker.CircuitBreaker
> => Layer.scoped(Guard, make(options))
