/**
 * The path of a call, read top to bottom in `make`: each guard is a service of its own, and this file says in which
 * order they stand and what happens when one refuses.
 *
 * ```
 * deadline         the caller is answered by then, whatever is slow
 *   shed           is this kind of work served at all now?        refused: nothing was taken yet
 *     admission    meter: one atomic decision over all scopes     refused: nobody is charged
 *                  charge: reserve requests, queries, bytes       refused: the tokens go back
 *       prepare    the SQL gate: once, before any slot            refused: keeps its token, releases its quota
 *       retry      only here; within its budget and the deadline, holding nothing while it waits
 *         attempt  slot for the call, circuit open?, slot for the statement, permit of the breaker
 *           limit  of time; the interruption cancels the statement
 *             work
 *         leave    verdict to the breaker, slots to the next
 *     settle       what was really used into the quotas, or all of it back
 * ```
 *
 * Admission and attempt are brackets: however a call ends, what it took is given back or paid, exactly once.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Ref from "effect/Ref"
import { createHash } from "node:crypto"
import * as Bulkhead from "./Bulkhead.js"
import type { Attempt, Operation } from "./Call.js"
import * as Call from "./Call.js"
import * as CircuitBreaker from "./CircuitBreaker.js"
import * as Deadline from "./Deadline.js"
import * as Degradation from "./Degradation.js"
import * as RequestId from "../platform/requestId.js"
import * as Verdict from "./Verdict.js"
import { CurrentPrincipal } from "../platform/Principal.js"
import * as Quota from "../quota/Quota.js"
import type { QuotaStoreError } from "../quota/QuotaStore.js"
import * as RateLimiter from "./RateLimiter.js"
import * as Retry from "./Retry.js"
import * as Telemetry from "../observe/Telemetry.js"
import type { WarehouseError } from "../warehouse/Warehouse.js"

export { DeadlineExceeded } from "./Deadline.js"
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
  | Bulkhead.Overloaded
  | CircuitBreaker.CircuitOpen
  | Deadline.DeadlineExceeded

/**
 * What is done in each attempt.
 *
 * @since 0.1.0
 * @category models
 */
export type Work<A, E, R> = (attempt: Attempt) => Effect.Effect<A, E, R>

/**
 * The work, or an effect that prepares it once: after the call is charged and before it waits for a slot.
 *
 * @since 0.1.0
 * @category models
 */
export type Prepared<A, E, R> = Work<A, E, R> | Effect.Effect<Work<A, E, R>, E, R>

/**
 * @since 0.1.0
 * @category context
 */
export class Guard extends Context.Tag("snowguard/Guard")<
  Guard,
  {
    /**
     * The work behind every guard, once for each attempt. Fails with what the work fails with or with a refusal.
     *
     * The work runs `attempt.markSent` before anything leaves the process: until then the call is free. The caller is
     * answered at its deadline, and can leave at any time; what is held is given back when the work has ended.
     */
    readonly run: <A, E, R>(
      operation: Operation,
      work: Prepared<A, E | WarehouseError, R>
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
  /** Work that can come later: the first to be refused when not all can be served. */
  readonly batch: boolean
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Milliseconds a call waits for a slot at most; less when its deadline is nearer. */
  readonly maxWaitMs: number
  /** Milliseconds that calls under way get to end when the scope closes: to cancel their statements, and to settle. */
  readonly windDownMs: number
  /** By tier; a tier without an entry has that of `default`, which is interactive. */
  readonly tiers: { readonly [tier: string]: TierOptions }
}

/**
 * @since 0.1.0
 * @category models
 */
export const defaults: Options = {
  maxWaitMs: 5_000,
  windDownMs: 2_000,
  tiers: { default: { maxTokenWaitMs: 2_000, batch: false } }
}

/** What an admitted call holds. */
interface Admission {
  readonly tokens: RateLimiter.Admission
  readonly reservation: Quota.Reservation
}

/** What an attempt holds. */
interface Seat {
  readonly request: Bulkhead.Slot
  readonly statement: Bulkhead.Slot
  readonly permit: CircuitBreaker.Permit
}

/** Of a statement of any length. */
const fingerprint = (statement: string): string => createHash("sha256").update(statement).digest("base64")

const none: ReadonlyArray<Quota.QuotaStatus> = []

const warnings = ({ client, tier }: Call.Call, { low, status }: Quota.Reservation) => {
  if (low === false) return none
  const scarce = status.filter(({ limit, remaining }) => remaining < limit / 5)
  for (const quota of scarce) Telemetry.recordLowQuota(tier, client, quota)
  return scarce
}

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Partial<Options> = {}) =>
  Effect.gen(function* () {
    const { maxWaitMs, tiers, windDownMs } = { ...defaults, ...options }
    const degradation = yield* Degradation.Degradation
    const limiter = yield* RateLimiter.RateLimiter
    const quota = yield* Quota.Quota
    const retry = yield* Retry.Retry
    const bulkhead = yield* Bulkhead.Bulkhead
    const breaker = yield* CircuitBreaker.CircuitBreaker
    const deadlines = yield* Deadline.make(windDownMs)
    const nextRequestId = yield* RequestId.make
    const tierOf = (tier: string) => tiers[tier] ?? tiers["default"] ?? { maxTokenWaitMs: 0, batch: false }

    const admit = Effect.fnUntraced(function* (call: Call.Call) {
      const patience = Math.min(tierOf(call.tier).maxTokenWaitMs, call.deadlineMs)
      const tokens = yield* limiter.reserve(call, patience)
      const charged = Effect.zipRight(Call.turn(call, tokens.waitMs), quota.reserve(call))
      const reservation = yield* Effect.onError(charged, () => limiter.refund(tokens))
      return { tokens, reservation }
    })

    const settle = Effect.fnUntraced(function* (
      call: Call.Call,
      { reservation, tokens }: Admission,
      exit: Exit.Exit<unknown, unknown>
    ) {
      const { bytes, scanBytes, statementMs, statements } = yield* Ref.get(call.used)
      Telemetry.recordBytes(call.tier, bytes)
      if (statements > 0) {
        yield* quota.settle(reservation, { bytes, scanBytes, statementSeconds: statementMs / 1000 })
      } else {
        if (!Verdict.keepsToken(exit)) yield* limiter.refund(tokens)
        yield* quota.release(reservation)
      }
      yield* Call.settleScans(call, quota)
    }, Effect.ignoreLogged)

    const slot = (call: Call.Call, pool: Bulkhead.Pool) =>
      Effect.flatMap(Call.left(call), (left) =>
        bulkhead.acquire(pool, { client: call.client, tier: call.tier, maxWaitMs: Math.min(maxWaitMs, left) })
      )

    const enter = Effect.fnUntraced(function* (call: Call.Call) {
      const request = yield* slot(call, "requests")
      // An open circuit refuses before the call queues for a statement.
      const queued = Effect.zipRight(breaker.peek, slot(call, "statements"))
      const statement = yield* Effect.onError(queued, () => bulkhead.release(request))
      const permit = yield* Effect.onError(breaker.acquire, () =>
        Effect.zipRight(bulkhead.release(statement), bulkhead.release(request))
      )
      return { request, statement, permit }
    })

    const leave = Effect.fnUntraced(function* (
      call: Call.Call,
      { permit, request, statement }: Seat,
      exit: Exit.Exit<unknown, unknown>
    ) {
      const { ms, silent } = yield* Call.attemptEnded(call, exit, permit.startedAt)
      const verdict = Verdict.verdict(exit, silent)
      Telemetry.recordAttempt(call.class, verdict, ms)
      const asked = call.statement
      const failure =
        verdict === "failure"
          ? Verdict.failureOf(exit, silent, ms, call.requestId, asked && (() => fingerprint(asked())))
          : undefined
      yield* breaker.settle(permit, verdict, failure)
      yield* bulkhead.release(statement)
      yield* bulkhead.release(request)
    })

    const attempt = <A, E, R>(call: Call.Call, { reservation }: Admission, work: Work<A, E, R>) =>
      Effect.acquireUseRelease(
        enter(call),
        () =>
          Call.limited(call, reservation, (limits) => work(Call.attempt(call, quota, reservation, limits))),
        (seat, exit) => leave(call, seat, exit)
      )

    const perform = <A, E, R>(call: Call.Call, admission: Admission, given: Prepared<A, E, R>) =>
      Effect.flatMap(Effect.isEffect(given) ? given : Effect.succeed(given), (work) =>
        retry.run<A, E | Refusal, R>(() => attempt(call, admission, work), {
          class: call.class,
          deadline: call.deadline,
          decide: Verdict.decide(call.class)
        })
      ).pipe(Effect.map((value) => ({ value, warnings: warnings(call, admission.reservation) })))

    /** A failure that opened the circuit, or met it open, says when to come back. */
    const withWait = <E>(error: E): Effect.Effect<never, E | WarehouseError | Deadline.DeadlineExceeded> =>
      Verdict.mayOpen(error)
        ? Effect.matchEffect(breaker.peek, {
            onFailure: ({ retryAfterMs: waitMs }) =>
              Effect.fail(waitMs === undefined ? error : Verdict.comeBack(error, waitMs)),
            onSuccess: () => Effect.fail(error)
          })
        : Effect.fail(error)

    const guarded = <A, E, R>(call: Call.Call, given: Prepared<A, E, R>) =>
      deadlines.answerBy<Guarded<A>, E | Refusal, R, Deadline.DeadlineExceeded>(
        call.deadline,
        Call.tooLate(call),
        (answer) =>
          degradation.protect(
            tierOf(call.tier).batch && call.class === "query" ? "batch" : call.class,
            Effect.acquireUseRelease(
              admit(call),
              (admission) => Effect.onExit(perform(call, admission, given), answer),
              (admission, exit) => settle(call, admission, exit)
            )
          )
      )

    const run: Context.Tag.Service<Guard>["run"] = (operation, given) =>
      Effect.flatMap(CurrentPrincipal, (principal) =>
        Effect.flatMap(Call.make(operation, principal, nextRequestId()), (call) =>
          Effect.catchAll(guarded(call, given), withWait)
        )
      )

    return Guard.of({ run })
  })

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
  | Bulkhead.Bulkhead
  | CircuitBreaker.CircuitBreaker
> => Layer.scoped(Guard, make(options))
