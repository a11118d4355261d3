/**
 * The `RateLimiter` of a fleet: its buckets are in Redis, so that a limit is one limit however many servers
 * there are. One call is one script over all its buckets, on the server's time.
 *
 * ```
 *   acquire --> Redis answers --> admitted | RateLimited, exactly as with buckets in memory
 *                  | it does not
 *                  +--> this server's share: buckets in memory of rate / live replicas; never unlimited
 * ```
 *
 * Who takes more than its share of a bucket that others want too leaves a part of it to them, as with
 * buckets in memory (`guard/core/FairShare`), whichever servers it and they ask. The differences: the clients of
 * all servers together are counted, at most `maxClients` of them; a bucket of one's own needs no room;
 * what was taken in the share of those who found no room is not given back to it; and a client that was new
 * and refused comes to another tier as new again.
 *
 * In a Redis cluster the client's bucket and the shared ones are on different nodes: two steps, of which
 * the first is given back when the second refuses. Whoever is refused by its own bucket has not asked for
 * any of the shared ones then, even where it would have had to wait longer for those.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as BucketLimits from "./core/BucketLimits.js"
import { RESERVED } from "./rateLimiterModel.js"
import { withoutStack } from "../platform/withoutStack.js"
import type { Admission, Options as Limits, Request } from "./RateLimiter.js"
import * as RateLimiter from "./RateLimiter.js"
import * as Redis from "../platform/Redis.js"
import type { Line } from "./redisLines.js"
import { encoded, inRedis, keysOf, price, shareOfAll, statusOf } from "./redisLines.js"
import * as Script from "./rateLimiterScript.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Options extends Limits {
  /** Whose time: the server's, or, for tests, this process's `Clock`. Default `server`. */
  readonly time?: "server" | "clock" | undefined
}

const HINT_JITTER = 0.2
const MAX_WAIT_MS = 2_147_483_647

const doubleAt = (answer: Buffer, index: number): number => answer.readDoubleLE(8 * index)

type Service = Context.Tag.Service<RateLimiter.RateLimiter>

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options): Effect.Effect<Service, RateLimiter.InvalidLimits, Redis.Redis> =>
  Effect.gen(function* () {
    const limits = { ...options, reserved: options.reserved ?? RESERVED }
    const problems = BucketLimits.problems(limits)
    if (problems.length > 0) return yield* new RateLimiter.InvalidLimits({ problems })
    const redis = yield* Redis.Redis
    const config = BucketLimits.compile(limits)
    const prefix = `${redis.prefix}b:`
    const shared = new Map(
      config.shared.map((line) => [
        line,
        inRedis(
          `${prefix}{global}:${line.scope}${line.name === undefined ? "" : `:${encoded(line.name)}`}`,
          line
        )
      ])
    )
    const sharedOf = (lines: ReadonlyArray<BucketLimits.Line>): ReadonlyArray<Line> =>
      lines.flatMap((line) => shared.get(line) ?? [])
    const tierOf = (name: string) => config.tiers.get(name) ?? config.fallback
    const own = (client: string, tier: string): Line =>
      inRedis(`${prefix}{client:${encoded(client)}}`, tierOf(tier).client)
    const pathOf = ({ class: name, tier }: { readonly class: string; readonly tier: string }) =>
      sharedOf(tierOf(tier).paths.get(name) ?? tierOf(tier).classless)

    const at: Effect.Effect<string | number> =
      options.time === "clock" ? Effect.map(Clock.currentTimeMillis, (ms) => ms * 1000) : Effect.succeed("")

    const finished = new WeakSet<Admission>()
    /** Admissions of buckets in memory. */
    const locally = new WeakMap<Admission, Service>()
    let fallback: { readonly replicas: number; readonly limiter: Service } | undefined

    /** Kept while Redis is away, or every outage of a second would be a fresh burst. */
    const local: Effect.Effect<Service> = Effect.flatMap(redis.replicas, (replicas) =>
      fallback?.replicas === replicas
        ? Effect.succeed(fallback.limiter)
        : Effect.map(Effect.orDie(RateLimiter.make(shareOfAll(limits, replicas))), (limiter) => {
            fallback = { replicas, limiter }
            return limiter
          })
    )

    const refused = (
      binding: Line,
      debt: number,
      retryAfterMs: number,
      never: boolean
    ): Effect.Effect<never, RateLimiter.RateLimited> =>
      Effect.flatMap(Random.next, (luck) => {
        const { burst, name, ratePerSecond, remaining, scope } = statusOf(binding, debt)
        const retryHintMs = retryAfterMs + Math.floor(retryAfterMs * HINT_JITTER * luck)
        const fields = { scope, name, ratePerSecond, burst, remaining, retryAfterMs, retryHintMs, never }
        return Effect.fail(
          withoutStack(() => new RateLimiter.RateLimited(fields, { disableValidation: true }))
        )
      })

    const giveBack = (lines: ReadonlyArray<Line>, client: string, cost: number): Effect.Effect<void> =>
      Effect.flatMap(at, (now) =>
        Effect.ignore(
          redis.run(Script.refund, keysOf(lines), [
            now,
            client,
            lines.length,
            ...lines.flatMap((line) => [price(line, cost), line.reserve])
          ])
        )
      )

    interface Answer {
      readonly wait: number
      readonly binding: Line
      readonly debt: number
    }

    const ask = (lines: ReadonlyArray<Line>, client: string, cost: number, patience: number) =>
      Effect.flatMap(at, (now) =>
        Effect.map(
          redis.run(Script.acquire, keysOf(lines), [
            ...[now, patience, client, config.maxClients, lines.length],
            ...lines.flatMap((line) => [price(line, cost), line.depth, line.startDebt, line.reserve])
          ]),
          (answer): Answer | undefined => {
            const binding = lines[doubleAt(answer, 1) - 1]
            return binding && { wait: doubleAt(answer, 0), binding, debt: doubleAt(answer, 2) }
          }
        )
      )

    /** All buckets, or none. */
    const askAll = (
      groups: ReadonlyArray<ReadonlyArray<Line>>,
      client: string,
      cost: number,
      patience: number
    ): Effect.Effect<Answer | undefined, Redis.RedisError> =>
      Effect.gen(function* () {
        let worst: Answer | undefined
        const paid: Array<ReadonlyArray<Line>> = []
        const undo = Effect.suspend(() =>
          Effect.forEach(paid, (lines) => giveBack(lines, client, cost), { discard: true })
        )
        for (const lines of groups) {
          const answer = yield* Effect.onError(ask(lines, client, cost, patience), () => undo)
          if (answer === undefined || answer.wait < 0) {
            yield* undo
            return answer
          }
          paid.push(lines)
          if (worst === undefined || answer.wait > worst.wait) worst = answer
        }
        return worst
      })

    const reserve = (
      request: Request,
      maxWaitMs: number
    ): Effect.Effect<Admission, RateLimiter.RateLimited> =>
      Effect.suspend(() => {
        const { class: name, client, cost = 1, tier } = request
        if (!(cost >= 0 && cost < Infinity)) throw new RangeError(`a call cannot cost ${cost} tokens`)
        const first = own(client, tier)
        const path = pathOf(request)
        const patience = maxWaitMs > 0 ? Math.min(maxWaitMs, MAX_WAIT_MS) * 1000 : 0
        const tooSmall = [first, ...path].find(({ line }) => cost > line.burst)
        if (tooSmall !== undefined) return refused(tooSmall, 0, 0, true)
        const groups = redis.cluster ? [[first], path] : [[first, ...path]]
        return Effect.matchEffect(askAll(groups, client, cost, patience), {
          onFailure: () =>
            Effect.flatMap(local, (limiter) =>
              Effect.map(limiter.reserve(request, maxWaitMs), (given) => {
                locally.set(given, limiter)
                return given
              })
            ),
          onSuccess: (answer) =>
            answer === undefined || answer.wait < 0
              ? refused(
                  answer?.binding ?? first,
                  answer?.debt ?? 0,
                  Math.ceil(-(answer?.wait ?? 0) / 1000),
                  false
                )
              : Effect.succeed<Admission>({
                  client,
                  tier,
                  class: name,
                  cost,
                  clientScope: "client",
                  waitMs: Math.ceil(answer.wait / 1000)
                })
        })
      })

    const refund = (given: Admission): Effect.Effect<void> =>
      Effect.suspend(() => {
        if (finished.has(given)) return Effect.void
        finished.add(given)
        const limiter = locally.get(given)
        if (limiter !== undefined) return limiter.refund(given)
        const first = own(given.client, given.tier)
        const groups = redis.cluster ? [[first], pathOf(given)] : [[first, ...pathOf(given)]]
        return Effect.forEach(groups, (lines) => giveBack(lines, given.client, given.cost), { discard: true })
      })

    const acquire = (request: Request) => reserve(request, 0)

    return RateLimiter.RateLimiter.of({
      acquire,
      reserve,
      acquireWithin: (request, maxWaitMs) =>
        Effect.uninterruptibleMask((restore) =>
          Effect.flatMap(reserve(request, maxWaitMs), (given) =>
            given.waitMs === 0
              ? Effect.succeed(given)
              : Effect.as(
                  Effect.onInterrupt(restore(Effect.sleep(given.waitMs)), () => refund(given)),
                  given
                )
          )
        ),
      refund,
      limit: (request, effect) => Effect.zipRight(acquire(request), effect),
      status: (client, tier) => {
        const total = tierOf(tier).total
        const path = sharedOf([...(total === undefined ? [] : [total]), ...config.classes, config.global])
        const first = own(client, tier)
        const groups = redis.cluster ? [[first], path] : [[first, ...path]]
        return Effect.forEach(groups, (lines) =>
          Effect.flatMap(at, (now) =>
            Effect.map(
              redis.run(
                Script.status,
                lines.map(({ key }) => key),
                [now, ...lines.map(({ startDebt }) => startDebt)]
              ),
              (answer) => lines.map((line, i) => statusOf(line, doubleAt(answer, i)))
            )
          )
        ).pipe(
          Effect.map((found) => found.flat()),
          Effect.catchAll(() => Effect.flatMap(local, (limiter) => limiter.status(client, tier)))
        )
      }
    })
  })

/**
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: Options
): Layer.Layer<RateLimiter.RateLimiter, RateLimiter.InvalidLimits, Redis.Redis> =>
  Layer.effect(RateLimiter.RateLimiter, make(options))
