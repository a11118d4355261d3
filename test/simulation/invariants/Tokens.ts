/**
 * What the rate limiter does, beside what it should: a second set of buckets, kept in whole microseconds
 * of refill, says of every decision what it must be; and the admissions of the last seconds are counted.
 *
 * Held against it
 * - a call is admitted if and only if every bucket has a token as soon as the caller is willing to wait:
 *   a refund too many, or one too few, shows at the next decision;
 * - after a refusal every bucket holds what it held before;
 * - `waitMs` and `retryAfterMs` are exact in whole milliseconds, and a bucket is named that causes them;
 * - no scope admits more than `burst + rate * w` in any window of 1, 10 and 60 seconds. (What was reserved
 *   counts when its token is due.)
 */
import { Effect } from "effect"
import { CurrentPrincipal } from "../../../src/Principal.js"
import type * as RateLimiter from "../../../src/RateLimiter.js"
import { callOf } from "../calls.js"
import type { Court } from "./Court.js"

type Service = RateLimiter.RateLimiter["Type"]

const WINDOWS_MS = [1_000, 10_000, 60_000]

class Bucket {
  /** Microseconds for one token, and of a full bucket. */
  readonly interval: number
  readonly capacity: number
  private credit: number
  private at: number
  /** Admissions (+1) and refunds (-1) of the longest window, oldest first. */
  private readonly times: Array<number> = []
  private readonly amounts: Array<number> = []
  /** For each window its first event, and the sum from there on. */
  private readonly firsts = WINDOWS_MS.map(() => 0)
  private readonly sums = WINDOWS_MS.map(() => 0)

  constructor(
    readonly scope: string,
    readonly options: RateLimiter.Bucket,
    now: number
  ) {
    this.interval = Math.round(1_000_000 / options.rate)
    this.capacity = options.burst * this.interval
    this.credit = (options.initial ?? options.burst) * this.interval
    this.at = now
  }

  /** Microseconds until there is a token. */
  waitAt(now: number): number {
    this.credit = Math.min(this.capacity, this.credit + now - this.at)
    this.at = now
    return Math.max(0, this.interval - this.credit)
  }

  /** Counts when its token is due, but not later than the caller was told. */
  take(now: number, told: number): void {
    const due = now + Math.min(told, this.waitAt(now))
    this.credit -= this.interval
    this.note(due, 1)
  }

  /** Whole tokens. */
  leftAt(now: number): number {
    this.waitAt(now)
    return Math.max(0, Math.floor(this.credit / this.interval))
  }

  giveBack(now: number): void {
    this.credit = Math.min(this.capacity, this.credit + now - this.at + this.interval)
    this.at = now
    this.note(now, -1)
  }

  private note(at: number, amount: number): void {
    const now = Math.max(at, this.times[this.times.length - 1] ?? 0)
    this.times.push(now)
    this.amounts.push(amount)
    for (let i = 0; i < WINDOWS_MS.length; i++) {
      let first = this.firsts[i]!
      let sum = this.sums[i]! + amount
      while (this.times[first]! < now - WINDOWS_MS[i]! * 1000) sum -= this.amounts[first++]!
      this.firsts[i] = first
      this.sums[i] = sum
    }
    const drop = this.firsts[WINDOWS_MS.length - 1]!
    if (drop < 256 || drop * 2 < this.times.length) return
    this.times.splice(0, drop)
    this.amounts.splice(0, drop)
    for (let i = 0; i < WINDOWS_MS.length; i++) this.firsts[i]! -= drop
  }

  /** The window in which too much was admitted, in words. */
  excess(): string | undefined {
    for (let i = 0; i < WINDOWS_MS.length; i++) {
      const most = this.options.burst + (this.options.rate * WINDOWS_MS[i]!) / 1000
      if (this.sums[i]! > most)
        return `${this.scope}: ${this.sums[i]} in ${WINDOWS_MS[i]} ms, of ${most} at most`
    }
    return undefined
  }
}

export interface Tokens {
  readonly tap: (inner: Service) => Service
  /** Changes with each admission and each refund of the client: equal means that nothing happened. */
  readonly movesOf: (client: string) => number
}

export const make = (court: Court, options: RateLimiter.Options): Tokens => {
  const global = new Bucket("global", options.global, 0)
  const classes = new Map<string, Bucket>()
  for (const [name, limits] of Object.entries(options.classes))
    if (limits !== undefined) classes.set(name, new Bucket("class", limits, 0))
  const totals = new Map<string, Bucket>()
  for (const [name, { total }] of Object.entries(options.tiers))
    if (total !== undefined) totals.set(name, new Bucket("tier", total, 0))
  const clients = new Map<string, Bucket>()
  const moves = new Map<string, number>()

  const bucketsOf = (request: { client: string; tier: string; class: string }): ReadonlyArray<Bucket> => {
    let own = clients.get(request.client)
    if (own === undefined) {
      const tier = options.tiers[request.tier] ?? options.tiers["default"]!
      clients.set(request.client, (own = new Bucket("client", tier.client, court.nowMicros())))
    }
    const buckets = [own, global]
    const ofClass = classes.get(request.class)
    if (ofClass !== undefined) buckets.push(ofClass)
    const total = totals.get(request.tier)
    if (total !== undefined) buckets.push(total)
    return buckets
  }

  const moved = (client: string): void => void moves.set(client, (moves.get(client) ?? 0) + 1)

  const waitsOf = (request: RateLimiter.Request) => {
    const now = court.nowMicros()
    return bucketsOf(request).map((bucket) => ({ bucket, scope: bucket.scope, wait: bucket.waitAt(now) }))
  }
  const inWords = (waits: ReturnType<typeof waitsOf>): string =>
    waits.map(({ scope, wait }) => `${scope} in ${wait / 1000} ms`).join(", ")
  const longestOf = (waits: ReturnType<typeof waitsOf>): number => Math.max(...waits.map(({ wait }) => wait))

  const admitted = (
    request: RateLimiter.Request,
    maxWaitMs: number,
    { waitMs }: RateLimiter.Admission
  ): void => {
    moved(request.client)
    const waits = waitsOf(request)
    const longest = longestOf(waits)
    if (longest > maxWaitMs * 1000)
      court.report(
        "no call is admitted without a token in every bucket",
        `${request.client}, willing to wait ${maxWaitMs} ms, was admitted; tokens: ${inWords(waits)}`
      )
    else if (waitMs !== Math.ceil(longest / 1000))
      court.report(
        "waits are exact",
        `${request.client} was told to wait ${waitMs} ms; tokens: ${inWords(waits)}`
      )
    for (const { bucket } of waits) {
      bucket.take(court.nowMicros(), waitMs * 1000)
      const excess = bucket.excess()
      if (excess !== undefined)
        court.report("in any window w no scope admits more than burst + rate * w", excess)
    }
  }

  const refused = (request: RateLimiter.Request, maxWaitMs: number, error: RateLimiter.RateLimited): void => {
    const waits = waitsOf(request)
    const longest = longestOf(waits)
    const tooLong = longest - maxWaitMs * 1000
    if (tooLong <= 0) {
      court.report(
        "a refused call charges nobody",
        `${request.client}, willing to wait ${maxWaitMs} ms, was refused by ${error.scope}; tokens: ${inWords(waits)}`
      )
    } else if (
      error.retryAfterMs !== Math.ceil(tooLong / 1000) ||
      !waits.some(({ scope, wait }) => scope === error.scope && wait === longest)
    ) {
      court.report(
        "waits are exact",
        `${request.client} was told ${error.retryAfterMs} ms by ${error.scope}; tokens: ${inWords(waits)}`
      )
    }
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
          "a refused call charges nobody",
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
      refund: (admission) =>
        Effect.flatMap(CurrentPrincipal, (principal) =>
          court.atomically(
            Effect.map(inner.refund(admission), () => {
              callOf(principal).refunded += 1
              moved(admission.client)
              for (const bucket of bucketsOf(admission)) bucket.giveBack(court.nowMicros())
            })
          )
        )
    })
  }
}
