/**
 * The path of a call, read top to bottom. Every guard is a service of its own; this file only says in
 * which order they stand and what happens when one says no.
 *
 * ```
 * degradation       is this kind of work served at all now?        refused: nothing was taken yet
 *   rate limit      one atomic decision over all scopes             refused: nobody is charged
 *     quota         reserve requests, queries, bytes                refused: tokens go back
 *       prepare     the SQL gate: once, before anything is waited for; a rejected statement keeps its token
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
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as AdaptiveRate from "./AdaptiveRate.js"
import * as Bulkhead from "./Bulkhead.js"
import * as CircuitBreaker from "./CircuitBreaker.js"
import { DeadlineExceeded, Received } from "./Deadline.js"
import * as Degradation from "./Degradation.js"
import * as CallLedger from "./internal/callLedger.js"
import * as GuardAttempt from "./internal/guardAttempt.js"
import type { Attempt, Operation } from "./internal/guardAttempt.js"
import * as PortCall from "./internal/portCall.js"
import * as RequestId from "./internal/requestId.js"
import * as Step from "./internal/step.js"
import * as TimeLimits from "./internal/timeLimits.js"
import * as Verdict from "./internal/verdict.js"
import type { Criticality } from "./Operation.js"
import { CurrentPrincipal } from "./Principal.js"
import * as Quota from "./Quota.js"
import type { QuotaStoreError } from "./QuotaStore.js"
import * as RateLimiter from "./RateLimiter.js"
import * as Retry from "./Retry.js"
import * as Telemetry from "./Telemetry.js"
import type { WarehouseError } from "./Warehouse.js"

export { DeadlineExceeded }
export type { Attempt, Operation }

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
 * What is done in each attempt.
 *
 * @since 0.1.0
 * @category models
 */
export type Work<A, E, R> = (attempt: Attempt) => Effect.Effect<A, E, R>

/**
 * @since 0.1.0
 * @category context
 */
export class Guard extends Context.Tag("snowguard/Guard")<
  Guard,
  {
    /**
     * The work behind every guard, once for each attempt; or an effect that prepares the work, once, when the
     * call is metered and before it waits for anything: what it refuses has used a token and no quota. Fails with what the work fails with or with a
     * refusal of a guard; the work calls `attempt.markSent` before anything leaves the process, for until
     * then the call is free. Interrupting it gives back what it holds before it returns.
     */
    readonly run: <A, E, R>(
      operation: Operation,
      work:
        Work<A, E | WarehouseError, R> | Effect.Effect<Work<A, E | WarehouseError, R>, E | WarehouseError, R>
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
  tiers: { default: { maxTokenWaitMs: 2_000, batch: false } }
}

/** A call that waits less than this is not worth a word to its client. */
const WORTH_TELLING_MS = 50

const none: ReadonlyArray<Quota.QuotaStatus> = []

const warnings = (tier: string, client: string, reservation: Quota.Reservation) => {
  if (reservation.low === false) return none
  const low = reservation.status.filter((status) => status.remaining < status.limit / 5)
  for (const status of low) Telemetry.recordLowQuota(tier, client, status)
  return low
}

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
    const settlements = yield* CallLedger.make
    const attempt = GuardAttempt.make({ quota, pace, bulkhead, breaker, limits, maxWaitMs })
    const nextRequestId = yield* RequestId.make
    const interactive: TierOptions = tiers["default"] ?? { maxTokenWaitMs: 0, batch: false }

    const run = <A, E, R>(
      operation: Operation,
      given:
        Work<A, E | WarehouseError, R> | Effect.Effect<Work<A, E | WarehouseError, R>, E | WarehouseError, R>
    ): Effect.Effect<Guarded<A>, E | WarehouseError | Refusal, R> =>
      Step.masked((moment) => {
        const { client, tier } = Context.get(moment.fiber.currentContext, CurrentPrincipal)
        const { estimatedBytes, deadlineMs } = operation
        const received = Context.get(moment.fiber.currentContext, Received)
        const deadline = (received ?? moment.now) + deadlineMs
        const who = { client, tier, class: operation.class, estimatedBytes, deadlineMs }
        const { batch, maxTokenWaitMs } = tiers[tier] ?? interactive
        const criticality: Criticality = batch && operation.class === "query" ? "batch" : operation.class
        const requestId = nextRequestId()
        const decide = Verdict.decide(operation.class)
        const ledger = new CallLedger.CallLedger()
        const call: GuardAttempt.Call = { operation, client, tier, deadline, requestId, ledger }

        const tooLate = () => new DeadlineExceeded({ limitMs: deadlineMs, sent: false, of: "call" })

        const settle = (
          moment: Step.Moment,
          admission: RateLimiter.Admission,
          reservation: Quota.Reservation,
          exit: Exit.Exit<unknown, unknown>
        ): Effect.Effect<void> => {
          Telemetry.recordBytes(tier, ledger.bytes)
          if (ledger.left || (ledger.sending && !Verdict.neverLeft(exit))) {
            const { bytes, scanBytes } = ledger
            const spent = {
              bytes,
              scanBytes,
              statementSeconds: ledger.statementMs(moment) / 1000
            }
            return GuardAttempt.logged(moment, quota.settle(reservation, spent))
          }
          const release = Step.make((moment) => GuardAttempt.logged(moment, quota.release(reservation)))
          return Verdict.keepsToken(exit)
            ? release
            : Step.andThen(moment, limiter.refund(admission), () => release)
        }

        // Who does not hear of the end of a call must not keep its caller.
        const told = (moment: Step.Moment, telling: Effect.Effect<void>) =>
          PortCall.tell(limits, moment, GuardAttempt.tellMs(moment, deadline), telling)

        const reserve = () =>
          PortCall.acquireBy(limits, moment, deadline, quota.reserve(who), quota.release, tooLate)

        /** Who opened the circuit, or met its opening, is told when to come back like those that it turns away. */
        const withWait = <B, E2>(moment: Step.Moment, exit: Exit.Exit<B, E2>) =>
          Step.onExit(moment, breaker.peek, (peeked) =>
            peeked._tag === "Failure" && peeked.cause._tag === "Fail"
              ? Verdict.comeBack(exit, peeked.cause.error.retryAfterMs)
              : exit
          )

        const prepared = (moment: Step.Moment) =>
          Effect.isEffect(given)
            ? limits.within(Math.max(0, deadline - moment.now), () => given, tooLate)
            : Exit.succeed(given)

        const path = Step.make((inner) => {
          if (inner !== moment) moment.later()
          const maxWaitMs = Math.min(maxTokenWaitMs, Math.max(0, deadline - moment.now))
          const tokens = limiter.reserve(who, maxWaitMs)
          return Step.andThen(
            moment,
            PortCall.acquireBy(limits, moment, deadline, tokens, limiter.refund, tooLate),
            (admission) => {
              if (admission.waitMs > 0) Telemetry.recordTokenWait(tier, admission.waitMs)
              const turn =
                admission.waitMs === 0
                  ? reserve()
                  : Effect.flatMap(moment.restore(awaitTurn(operation, admission)), () => {
                      moment.later()
                      return reserve()
                    })
              const reserved = Step.onExit(moment, turn, (exit): typeof turn =>
                exit._tag === "Success"
                  ? exit
                  : Step.andThen(moment, told(moment, limiter.refund(admission)), () => exit)
              )
              return Step.andThen(moment, reserved, (reservation) => {
                const tried = Step.andThen(moment, prepared(moment), (work) => {
                  const tries = retry.run(() => attempt(call, reservation, work), {
                    class: operation.class,
                    deadline,
                    decide: (error) => {
                      if (ledger.sending && !Verdict.saysNotSent(error)) ledger.left = true
                      ledger.sending = false
                      return decide(error)
                    }
                  })
                  // A retry of one's own that is no step: it holds nothing, and what it waits for can be left.
                  return tries instanceof Step.Step ? tries : moment.restore(tries)
                })
                const settled = Step.ensuring(moment, tried, (exit) =>
                  settlements.settle(moment, ledger, (moment) =>
                    told(moment, settle(moment, admission, reservation, exit))
                  )
                )
                const done = Step.andThen(moment, settled, (value) =>
                  Exit.succeed({ value, warnings: warnings(tier, client, reservation) })
                )
                return Step.onExit(moment, done, (exit): typeof done =>
                  Verdict.mayOpen(exit) ? withWait(moment, exit) : exit
                )
              })
            }
          )
        })
        return Step.take(moment, degradation.protect(criticality, path))
      })

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
 * The path over the guards that are provided; it holds no limits of its own.
 *
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
