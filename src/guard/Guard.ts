/**
 * The path of a call. Each guard is a service; this file composes them, in the order in which a call passes them.
 *
 * ```
 * deadline         the caller has its answer by then, however slow a part is
 *   shed           is this kind of work served now?               refused: nothing is charged
 *     admission    meter: one atomic decision over all scopes     refused: no bucket is charged
 *                  charge: reserve requests, queries, bytes       refused: the tokens go back
 *       prepare    the SQL gate: once, before any slot            refused: keeps its token, releases its quota
 *       retry      only here; within its budget and the deadline; holds nothing while it waits
 *         attempt  slot for the call, circuit open?, slot for the statement, permit of the breaker
 *           work   within its time limit; the interruption cancels the statement
 *         leave    verdict to the breaker, slots to the next
 *     settle       actual usage into the quotas, or everything back
 * ```
 *
 * A call that is answered from memory (`local`) passes admission and settlement only: whatever the state of the warehouse
 * is, it is served, and counted.
 *
 * Admission and attempt are brackets: however a call ends, what it took is settled or given back, exactly once.
 *
 * ```ts
 * guard.run({ tool: "count", class: "query", deadlineMs: 10_000, estimatedBytes: 64 }, (attempt) =>
 *   Effect.zipRight(attempt.markSent, callTheWarehouse(attempt.timeoutMs, attempt.requestId))
 * )
 * ```
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Ref from "effect/Ref"
import * as Bulkhead from "./Bulkhead.js"
import * as Call from "./Call.js"
import * as CircuitBreaker from "./CircuitBreaker.js"
import * as Deadline from "./Deadline.js"
import * as Degradation from "./Degradation.js"
import * as RateLimiter from "./RateLimiter.js"
import * as Retry from "./Retry.js"
import * as Verdict from "./Verdict.js"
import { afterwards } from "../platform/afterwards.js"
import * as Live from "../platform/Live.js"
import * as Quota from "../quota/Quota.js"
import type { WarehouseError } from "../warehouse/Warehouse.js"
import { statusIfAny } from "../warehouse/WarehouseHealth.js"

export { DeadlineExceeded } from "./Deadline.js"
export type { Attempt, Guarded, Operation, Prepared, Refusal, TierOptions, Work } from "./Call.js"

/**
 * Everything that stands between a call and the warehouse, as one operation.
 *
 * @since 0.1.0
 * @category context
 */
export class Guard extends Context.Tag("snowguard/Guard")<
  Guard,
  {
    /**
     * The work behind every guard, once for each attempt. Fails with the work's own error or with a refusal.
     * The work runs `attempt.markSent` before anything leaves the process: until then the call is free. The caller is
     * answered at its deadline, and can leave at any time; what is held is given back when the work has ended.
     */
    readonly run: <A, E, R>(
      operation: Call.Operation,
      work: Call.Prepared<A, E | WarehouseError, R>
    ) => Effect.Effect<Call.Guarded<A>, E | WarehouseError | Call.Refusal, R>
  }
>() {}

/**
 * How long a call waits for a slot and for tokens, by tier, and how long the end of the server waits for calls.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Milliseconds a call waits for a slot at most; less when its deadline is nearer. */
  readonly maxWaitMs: number
  /** Milliseconds that calls have to cancel their statements and to settle when the scope closes. */
  readonly windDownMs: number
  /** By tier; a tier without an entry has that of `default`. */
  readonly tiers: { readonly [tier: string]: Call.TierOptions }
}

/**
 * Five seconds for a slot, two for tokens, two for the end.
 *
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

/**
 * The path of a call over the services of the context.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Partial<Options> | Live.Live<Partial<Options>> = {}) =>
  Effect.gen(function* () {
    const live = Live.map(Live.from(options), (current): Options => ({ ...defaults, ...current }))
    const degradation = yield* Degradation.Degradation
    const limiter = yield* RateLimiter.RateLimiter
    const quota = yield* Quota.Quota
    const retry = yield* Retry.Retry
    const bulkhead = yield* Bulkhead.Bulkhead
    const breaker = yield* CircuitBreaker.CircuitBreaker
    const deadlines = yield* Deadline.make(live.current().windDownMs)
    const newCall = yield* Call.maker(
      Live.map(live, ({ tiers }) => tiers),
      { limiter, quota }
    )
    const comeBack = Verdict.comeBack(breaker.peek)
    const explainLate = Call.explainLate(breaker, yield* statusIfAny)

    const run: Guard["Type"]["run"] = (operation, work) =>
      Effect.flatMap(newCall(operation), (call) =>
        Effect.catchAll(answer(call, work), (error) => Effect.catchAll(explainLate(call, error), comeBack))
      )

    const answer = <A, E, R>(call: Call.Call, work: Call.Prepared<A, E, R>) =>
      deadlines.answerBy<Call.Guarded<A>, E | Call.Refusal, R, Deadline.DeadlineExceeded>(
        call.deadline,
        Call.tooLate(call),
        (answered) => {
          const admitted = Effect.acquireUseRelease(
            admit(call),
            (admission) => perform(call, admission, work),
            // A slow store does not delay the answer.
            (admission, exit) => Effect.zipRight(answered(exit), settle(call, admission, exit))
          )
          return call.within(call.local === true ? admitted : degradation.protect(call.criticality, admitted))
        }
      )

    const admit = Effect.fnUntraced(function* (call: Call.Call) {
      const { limiter, quota } = call.limits
      const tokens = yield* limiter.reserve(call, call.tokenWaitMs)
      const reserve = quota.reserve(Call.metered(call, tokens))
      const charge = tokens.waitMs === 0 ? reserve : Effect.zipRight(Call.turn(call, tokens.waitMs), reserve)
      const reservation = yield* Effect.tapErrorCause(charge, () => limiter.refund(tokens))
      yield* Call.observe(call, limiter, tokens, reservation)
      return { tokens, reservation }
    })

    const perform = <A, E, R>(call: Call.Call, admission: Admission, work: Call.Prepared<A, E, R>) =>
      Effect.flatMap(Effect.isEffect(work) ? work : Effect.succeed(work), (prepared) =>
        call.local === true
          ? Call.attempt(call, deadlines, admission.reservation, prepared)
          : retry.run<A, E | Call.Refusal, R>(() => attempt(call, admission, prepared), {
              class: call.class,
              deadline: call.deadline,
              decide: Verdict.decide(call.class)
            })
      ).pipe(Effect.map((value) => Call.guarded(call, admission.reservation, value)))

    const attempt = <A, E, R>(call: Call.Call, { reservation }: Admission, work: Call.Work<A, E, R>) =>
      Effect.acquireUseRelease(
        enter(call),
        () => Call.attempt(call, deadlines, reservation, work),
        (seat, exit) => leave(call, seat, exit)
      )

    const enter = Effect.fnUntraced(function* (call: Call.Call) {
      const request = yield* slot(call, "requests")
      // An open circuit refuses before the call queues for a statement.
      const queued = Effect.flatMap(breaker.peek, () => slot(call, "statements"))
      const statement = yield* Effect.tapErrorCause(queued, () => bulkhead.release(request))
      const permit = yield* Effect.tapErrorCause(breaker.acquire, () => free({ request, statement }))
      return { request, statement, permit }
    })

    const slot = (call: Call.Call, pool: Bulkhead.Pool) => {
      const maxWaitMs = Math.min(live.current().maxWaitMs, Call.left(call))
      return bulkhead.acquire(pool, { client: call.client, tier: call.tier, maxWaitMs })
    }

    const free = ({ request, statement }: Omit<Seat, "permit">) =>
      Effect.zipRight(bulkhead.release(statement), bulkhead.release(request))

    const leave = (call: Call.Call, seat: Seat, exit: Exit.Exit<unknown, unknown>) =>
      afterwards(
        Effect.flatMap(Call.attemptEnded(call, exit, seat.permit.startedAt), ({ failure, verdict }) =>
          breaker.settle(seat.permit, verdict, failure)
        ),
        () => free(seat)
      )

    const settle = Effect.fnUntraced(function* (
      call: Call.Call,
      { reservation, tokens }: Admission,
      exit: Exit.Exit<unknown, unknown>
    ) {
      const { limiter, quota } = call.limits
      const used = yield* Ref.get(call.used)
      yield* Call.settleScans(call, used)
      const spent = Call.spent(call, used)
      if (spent === undefined && !Verdict.keepsToken(exit)) yield* limiter.refund(tokens)
      yield* spent === undefined ? quota.release(reservation) : quota.settle(reservation, spent)
    }, Effect.ignoreLogged)

    return Guard.of({ run })
  })

/**
 * The path over the guards that are provided; it holds no limits of its own.
 * @since 0.1.0
 * @category layers
 */
export const layer = (options?: Parameters<typeof make>[0]) => Layer.scoped(Guard, make(options))
