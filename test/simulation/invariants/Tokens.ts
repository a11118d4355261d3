/**
 * What the rate limiter does, beside what it should: a second set of buckets, kept in whole microseconds
 * of refill, and of shares in them, says of every decision what it must be; and the admissions of the last
 * seconds are counted.
 *
 * Held against it
 * - a call is admitted if and only if every bucket has a token as soon as the caller is willing to wait,
 *   and the reserve stays, where the caller is ahead of its share: a refund too many, or one too few, shows
 *   at the next decision;
 * - after a refusal every bucket holds what it held before;
 * - `waitMs` and `retryAfterMs` are exact in whole milliseconds, and a bucket is named that causes them;
 * - no scope admits more than `burst + rate * w` in any window of 1, 10 and 60 seconds. (What was reserved
 *   counts when its token is due.)
 *
 * And, from nothing but what was admitted and what was told
 * - a client that uses less than its share is refused no token that is there;
 * - a client that comes back as told, before any other, is admitted;
 * - no client is told to wait for longer than the tokens take, and five seconds;
 * - no client that keeps asking is refused by a shared bucket for a minute on end.
 */
import { Effect } from "effect"
import { CurrentPrincipal } from "../../../src/platform/Principal.js"
import type * as RateLimiter from "../../../src/guard/RateLimiter.js"
import { callOf } from "../calls.js"
import { Bucket } from "./Bucket.js"
import type { Court } from "./Court.js"
import * as Promises from "./Promises.js"
import { Shares } from "./Shares.js"

type Service = RateLimiter.RateLimiter["Type"]

/** What is kept for others where the options do not say. */
const SHIPPED = 0.25

export interface Tokens {
  readonly tap: (inner: Service) => Service
  /** Changes with each admission and each refund of the client: equal means that nothing happened. */
  readonly movesOf: (client: string) => number
}

export const make = (court: Court, options: RateLimiter.Options): Tokens => {
  const shares = new Map<Bucket, Shares>()
  const shared = (scope: RateLimiter.Scope, name: string | undefined, limits: RateLimiter.Bucket): Bucket => {
    const bucket = new Bucket(scope, name, limits, 0)
    const reserved = options.reserved ?? SHIPPED
    if (reserved > 0 && limits.burst > 1) shares.set(bucket, new Shares(bucket, reserved))
    return bucket
  }
  const promises = Promises.make(court, shares)
  const global = shared("global", undefined, options.global)
  const classes = new Map<string, Bucket>()
  for (const [name, limits] of Object.entries(options.classes))
    if (limits !== undefined) classes.set(name, shared("class", name, limits))
  const totals = new Map<string, Bucket>()
  for (const [name, { total }] of Object.entries(options.tiers))
    if (total !== undefined) totals.set(name, shared("tier", name, total))
  const clients = new Map<string, Bucket>()
  const moves = new Map<string, number>()

  const bucketsOf = (request: { client: string; tier: string; class: string }): ReadonlyArray<Bucket> => {
    let own = clients.get(request.client)
    if (own === undefined) {
      const tier = options.tiers[request.tier] ?? options.tiers["default"]!
      clients.set(request.client, (own = new Bucket("client", undefined, tier.client, court.nowMicros())))
    }
    const buckets = [own, global]
    const ofClass = classes.get(request.class)
    if (ofClass !== undefined) buckets.push(ofClass)
    const total = totals.get(request.tier)
    if (total !== undefined) buckets.push(total)
    return buckets
  }

  const moved = (client: string): void => void moves.set(client, (moves.get(client) ?? 0) + 1)

  /**
   * Of every bucket: when its token is due, and when a caller as willing to wait as this one is let in. A
   * client ahead of its share takes what is beyond the reserve, at once and not in advance; or it is let in when
   * it is ahead no more.
   */
  const waitsOf = (request: RateLimiter.Request, maxWaitMs: number) => {
    const now = court.nowMicros()
    return bucketsOf(request).map((bucket) => {
      const share = shares.get(bucket)
      const wait = bucket.waitAt(now)
      const plain = Math.max(0, wait - maxWaitMs * 1000)
      const ahead = share?.aheadAt(now, request.client) ?? 0
      const entry = ahead === 0 ? plain : Math.min(bucket.waitAt(now, share?.reserve), Math.max(ahead, plain))
      return { bucket, scope: bucket.scope, wait, plain, ahead, entry }
    })
  }
  type Waits = ReturnType<typeof waitsOf>
  const inWords = (waits: Waits): string =>
    waits
      .map(
        ({ ahead, scope, wait }) =>
          `${scope} in ${wait / 1000} ms${ahead === 0 ? "" : ` (ahead of its share for ${ahead / 1000} ms)`}`
      )
      .join(", ")

  const admitted = (
    request: RateLimiter.Request,
    maxWaitMs: number,
    { waitMs }: RateLimiter.Admission
  ): void => {
    const { client } = request
    moved(client)
    const now = court.nowMicros()
    const waits = waitsOf(request, maxWaitMs)
    const inDetail = `${client}, willing to wait ${maxWaitMs} ms, was admitted; tokens: ${inWords(waits)}`
    if (waits.some(({ plain }) => plain > 0))
      court.report("no call is admitted without a token in every bucket", inDetail)
    else if (waits.some(({ entry }) => entry > 0))
      court.report("a client ahead of its share leaves the reserve to the others", inDetail)
    else if (waitMs !== Math.ceil(Math.max(...waits.map(({ wait }) => wait)) / 1000))
      court.report("waits are exact", `${client} was told to wait ${waitMs} ms; tokens: ${inWords(waits)}`)
    for (const { bucket } of waits) {
      bucket.take(now, waitMs * 1000)
      shares.get(bucket)?.took(now, client)
      const excess = bucket.excess()
      if (excess !== undefined)
        court.report("in any window w no scope admits more than burst + rate * w", excess)
    }
    promises.admitted(
      client,
      waits.map(({ bucket }) => bucket)
    )
  }

  const refused = (request: RateLimiter.Request, maxWaitMs: number, error: RateLimiter.RateLimited): void => {
    const { client } = request
    const { retryAfterMs, scope } = error
    const waits = waitsOf(request, maxWaitMs)
    const longest = Math.max(...waits.map(({ entry }) => entry))
    const told = `${client} was told ${retryAfterMs} ms by ${scope}; tokens: ${inWords(waits)}`
    if (longest <= 0) {
      court.report(
        "a refused call charges no bucket and no quota",
        `${client}, willing to wait ${maxWaitMs} ms, was refused by ${scope}; tokens: ${inWords(waits)}`
      )
    } else if (
      retryAfterMs !== Math.ceil(longest / 1000) ||
      !waits.some((each) => each.scope === scope && each.entry === longest)
    ) {
      court.report("waits are exact", told)
    }
    const plain = Math.max(...waits.map((each) => each.plain))
    const binding = waits.find(({ bucket }) => bucket.scope === scope && bucket.name === error.name)
    promises.refused(request, maxWaitMs, retryAfterMs, {
      path: waits.map(({ bucket }) => bucket),
      binding: binding?.bucket,
      plainMs: plain / 1000,
      inWords: told
    })
    if (binding !== undefined) shares.get(binding.bucket)?.asked(court.nowMicros(), client)
  }

  /** What the limiter says of its buckets, and what is left in ours. */
  const compare = (request: RateLimiter.Request, status: ReadonlyArray<RateLimiter.ScopeStatus>): void => {
    const ours: { readonly [S in RateLimiter.Scope]?: ReadonlyMap<string | undefined, Bucket> } = {
      client: clients,
      class: classes,
      tier: totals
    }
    const now = court.nowMicros()
    for (const { name, remaining, scope } of status) {
      const bucket =
        scope === "global" ? global : ours[scope]?.get(scope === "client" ? request.client : name)
      const left = bucket?.leftAt(now)
      if (left !== undefined && left !== remaining)
        court.report(
          "a refused call charges no bucket and no quota",
          `after ${request.client} was refused, ${scope} ${name ?? ""} holds ${remaining} tokens, not ${left}`
        )
    }
  }

  const watched =
    (inner: Service) =>
    (
      request: RateLimiter.Request,
      maxWaitMs: number
    ): Effect.Effect<RateLimiter.Admission, RateLimiter.RateLimited> =>
      Effect.flatMap(CurrentPrincipal, (principal) =>
        court.atomically(
          Effect.matchEffect(inner.reserve(request, maxWaitMs), {
            onFailure: (error) => {
              refused(request, maxWaitMs, error)
              return Effect.flatMap(inner.status(request.client, request.tier), (status) => {
                compare(request, status)
                return Effect.fail(error)
              })
            },
            onSuccess: (admission) => {
              callOf(principal).acquired += 1
              admitted(request, maxWaitMs, admission)
              return Effect.succeed(admission)
            }
          })
        )
      )

  return {
    movesOf: (client) => moves.get(client) ?? 0,
    tap: (inner) => ({
      ...inner,
      acquire: (request) => watched(inner)(request, 0),
      reserve: watched(inner),
      refund: (admission, only) =>
        // Limits that are observed are not in these books.
        only !== undefined
          ? inner.refund(admission, only)
          : Effect.flatMap(CurrentPrincipal, (principal) =>
              court.atomically(
                Effect.tap(inner.refund(admission), () => {
                  callOf(principal).refunded += 1
                  moved(admission.client)
                  for (const bucket of bucketsOf(admission)) {
                    bucket.giveBack(court.nowMicros())
                    shares.get(bucket)?.gaveBack(court.nowMicros(), admission.client)
                  }
                })
              )
            )
    })
  }
}
