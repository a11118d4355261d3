/**
 * How fast: token buckets for the client, its tier, the operation class and the whole server, decided
 * together in one atomic step. A refusal charges nobody and says exactly how long to wait. The algorithm is
 * GCRA (ITU-T I.371, annex A).
 *
 * The state is one `Ref` and every operation one `Ref.modify`, by a pure decision (`guard/core/TokenBucket`, where the
 * algorithm and its invariants are written down). There is no fiber and no timer per client.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Ref from "effect/Ref"
import * as BucketLimits from "./core/BucketLimits.js"
import * as TokenBucket from "./core/TokenBucket.js"
import { modifyAt, monotonicMillis, updateAt } from "../platform/monotonic.js"
import { InvalidLimits, RateLimited, RESERVED, Scope } from "./rateLimiterModel.js"
import type { Admission, Bucket, Options, Request, ScopeStatus, TierBuckets } from "./rateLimiterModel.js"
import { withoutStack } from "../platform/withoutStack.js"

export { InvalidLimits, RateLimited, Scope }
export type { Admission, Bucket, Options, Request, ScopeStatus, TierBuckets }

/**
 * @since 0.1.0
 * @category context
 */
export class RateLimiter extends Context.Tag("snowguard/RateLimiter")<
  RateLimiter,
  {
    /**
     * Admit now, or fail with the scope that makes the caller wait longest. Costs one atomic step, whatever the number of scopes. A caller that means
     * to `refund` runs this in an uninterruptible region, as with any acquisition.
     */
    readonly acquire: (request: Request) => Effect.Effect<Admission, RateLimited>
    /**
     * Admit now for later: takes the tokens at once, and says how long to wait until they are due, at
     * most `maxWaitMs`. Who does not wait for them, or does not use them, gives them back.
     */
    readonly reserve: (request: Request, maxWaitMs: number) => Effect.Effect<Admission, RateLimited>
    /**
     * Admit, waiting up to `maxWaitMs` for tokens. The tokens are reserved at once and given back
     * synchronously when the wait is interrupted. A refusal comes at once and says when the same call,
     * as patient as now, would be let in.
     */
    readonly acquireWithin: (request: Request, maxWaitMs: number) => Effect.Effect<Admission, RateLimited>
    /**
     * Give the tokens back: nothing was sent. Never lifts a bucket above its burst; the same admission
     * given back twice counts once.
     */
    readonly refund: (admission: Admission) => Effect.Effect<void>
    /**
     * `acquire`, then the effect; no refund, whatever becomes of it. For use in front of any Effect of your
     * own. A breaker belongs outside of it, or every call that the breaker refuses costs a token.
     */
    readonly limit: <A, E, R>(
      request: Request,
      effect: Effect.Effect<A, E, R>
    ) => Effect.Effect<A, E | RateLimited, R>
    /** The buckets that calls of this client meet, its own first, without charging. */
    readonly status: (client: string, tier: string) => Effect.Effect<ReadonlyArray<ScopeStatus>>
  }
>() {}

/** The hint lies up to this part above the exact wait: never below, or it would be refused again. */
const HINT_JITTER = 0.2

const refusal = ({ binding, never, retryAfterMs }: TokenBucket.Refused, luck: number): RateLimited => {
  const { burst, name, ratePerSecond, remaining, scope } = binding
  const retryHintMs = retryAfterMs + Math.floor(retryAfterMs * HINT_JITTER * luck)
  const fields = { scope, name, ratePerSecond, burst, remaining, retryAfterMs, retryHintMs, never }
  return withoutStack(() => new RateLimited(fields, { disableValidation: true }))
}

const admission = (request: Request, { clientScope, waitMs }: TokenBucket.Admitted): Admission => ({
  client: request.client,
  tier: request.tier,
  class: request.class,
  cost: request.cost ?? 1,
  clientScope,
  waitMs: Math.ceil(waitMs)
})

/**
 * A limiter with a state of its own: every bucket starts with its `initial` tokens.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  options: Options
): Effect.Effect<Context.Tag.Service<typeof RateLimiter>, InvalidLimits> =>
  Effect.gen(function* () {
    const limits = { ...options, reserved: options.reserved ?? RESERVED }
    const problems = BucketLimits.problems(limits)
    if (problems.length > 0) return yield* new InvalidLimits({ problems })
    const config = BucketLimits.compile(limits)
    const state = yield* Ref.make(TokenBucket.initial(config, yield* monotonicMillis))
    /** Admissions that were given back. An admission is compared by identity, so the set needs no clean-up. */
    const refunded = new WeakSet<Admission>()

    const refuse = (refused: TokenBucket.Refused): Effect.Effect<never, RateLimited> =>
      Effect.flatMap(Random.next, (luck) => Effect.fail(refusal(refused, luck)))

    const refund = (given: Admission): Effect.Effect<void> =>
      updateAt(state, (current, now) => {
        if (refunded.has(given)) return current
        refunded.add(given)
        return TokenBucket.refund(current, now, config, given)
      })

    const reserve = (request: Request, maxWaitMs: number): Effect.Effect<Admission, RateLimited> =>
      Effect.flatten(
        modifyAt(state, (current, now) => {
          const [decision, next] = TokenBucket.decide(current, now, config, request, maxWaitMs)
          return [
            decision._tag === "Admitted" ? Effect.succeed(admission(request, decision)) : refuse(decision),
            next
          ]
        })
      )

    const acquire = (request: Request): Effect.Effect<Admission, RateLimited> => reserve(request, 0)

    const acquireWithin = (request: Request, maxWaitMs: number): Effect.Effect<Admission, RateLimited> =>
      Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(reserve(request, maxWaitMs), (given) =>
          given.waitMs === 0
            ? Effect.succeed(given)
            : restore(Effect.sleep(given.waitMs)).pipe(
                Effect.onInterrupt(() => refund(given)),
                Effect.as(given)
              )
        )
      )

    return {
      acquire,
      reserve,
      acquireWithin,
      refund,
      limit: (request, effect) => Effect.zipRight(acquire(request), effect),
      status: (client, tier) =>
        modifyAt(state, (current, now) => [TokenBucket.status(current, now, config, client, tier), current])
    }
  })

/**
 * Buckets in this process. Fails when the options make no sense, with all that is wrong with them.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<RateLimiter, InvalidLimits> =>
  Layer.effect(RateLimiter, make(options))

const admittedAtOnce: TokenBucket.Admitted = { _tag: "Admitted", waitMs: 0, clientScope: "client" }

/**
 * Admits everything and has no buckets.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerNoop: Layer.Layer<RateLimiter> = Layer.succeed(RateLimiter, {
  acquire: (request) => Effect.succeed(admission(request, admittedAtOnce)),
  reserve: (request) => Effect.succeed(admission(request, admittedAtOnce)),
  acquireWithin: (request) => Effect.succeed(admission(request, admittedAtOnce)),
  refund: () => Effect.void,
  limit: (_, effect) => effect,
  status: () => Effect.succeed([])
})
