import { describe, expect, it } from "@effect/vitest"
import { Clock, Effect, Exit, FastCheck as fc, Layer, Scope } from "effect"
import { afterAll, beforeAll } from "vitest"
import * as RateLimiter from "../../src/guard/RateLimiter.js"
import * as RateLimiterContract from "../../src/guard/RateLimiterContract.js"
import * as RedisLimiter from "../../src/guard/RateLimiterRedis.js"
import { clockOf } from "../../src/platform/contracts.js"
import * as Live from "../../src/platform/Live.js"
import * as Redis from "../../src/platform/Redis.js"
import * as TestRedis from "../utils/redis.js"

/** Intervals that are whole microseconds: both limiters then agree to the millisecond. */
const limits: RateLimiter.Options = {
  global: { rate: 8, burst: 9 },
  classes: { query: { rate: 4, burst: 5 } },
  tiers: {
    default: {
      client: { rate: 2, burst: 4, initial: 2 },
      tools: { narrow: { bucket: { rate: 1, burst: 2 } }, heavy: { weight: 2 } }
    },
    team: {
      client: { rate: 5, burst: 6 },
      total: { rate: 4, burst: 7 },
      tools: { narrow: { bucket: { rate: 2, burst: 3 }, weight: 3 }, heavy: { weight: 0.5 } }
    }
  }
}

const commands = fc.array(
  fc.oneof(
    {
      weight: 2,
      arbitrary: fc.record({ _tag: fc.constant("tick" as const), ms: fc.constantFrom(1, 99, 250, 2000) })
    },
    {
      weight: 6,
      arbitrary: fc.record({
        _tag: fc.constant("acquire" as const),
        // One tier per client: a client that is new in another tier is the documented difference.
        caller: fc.constantFrom(
          { client: "a", tier: "default" },
          { client: "b", tier: "default" },
          { client: "c", tier: "team" },
          { client: "d", tier: "team" }
        ),
        class: fc.constantFrom("query" as const, "metadata" as const),
        tool: fc.constantFrom("narrow", "heavy", "other"),
        cost: fc.constantFrom(1, 2, 4),
        patience: fc.constantFrom(0, 300)
      })
    },
    fc.record({
      _tag: fc.constant("refund" as const),
      which: fc.nat({ max: 9 }),
      only: fc.constantFrom(undefined, "observed" as const)
    })
  ),
  { minLength: 1, maxLength: 25 }
)

const clients = [
  ["a", "default"],
  ["b", "default"],
  ["c", "team"],
  ["d", "team"]
] as const

const answerOf = (exit: Exit.Exit<RateLimiter.Admission, RateLimiter.RateLimited>) => {
  if (Exit.isSuccess(exit)) return exit.value
  const error = exit.cause._tag === "Fail" ? exit.cause.error : undefined
  return error && { ...error, retryHintMs: 0, remaining: error.never ? 0 : error.remaining }
}

describe.runIf(TestRedis.available())("rate limits in redis", () => {
  const scope = Effect.runSync(Scope.make())
  let server: TestRedis.Server
  beforeAll(async () => {
    server = await Effect.runPromise(Scope.extend(TestRedis.server(), scope))
  })
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

  let prefixes = 0
  const limiter = (options: RedisLimiter.Options, redis: Redis.Redis["Type"]) =>
    Effect.provideService(RedisLimiter.make(options), Redis.Redis, redis)
  const connection = (prefix = `l${(prefixes += 1)}:`) =>
    // Long enough for a busy machine: a call without an answer is counted in memory.
    Redis.make({ url: server.url, prefix, heartbeatMs: 100, commandTimeoutMs: 10_000 })
  const request = (overrides: Partial<RateLimiter.Request> = {}): RateLimiter.Request => ({
    client: "a",
    tier: "default",
    class: "query",
    ...overrides
  })

  it.each([
    ["enforced", []],
    ["observed", ["client", "tool", "tier", "class", "global"]],
    ["observed in part", ["client", "class"]]
  ] as const)("decides as the buckets in memory do, over any sequence of calls: %s", (_, observe) =>
    fc.assert(
      fc.asyncProperty(commands, (sequence) => {
        const time = { now: 1_024_000 }
        return Effect.gen(function* () {
          const live = yield* Effect.withClock(connection(), Clock.make())
          const tiers = Object.fromEntries(
            Object.entries(limits.tiers).map(([name, tier]) => [name, { ...tier, observe }])
          )
          const shared = yield* limiter({ ...limits, tiers, time: "clock" }, live)
          const memory = yield* RateLimiter.make({ ...limits, tiers })
          const given: Array<readonly [RateLimiter.Admission, RateLimiter.Admission]> = []
          const seen = new Set<string>()
          // A client is known from its first call in memory, from its first one that is admitted in Redis.
          for (const [client, tier] of clients) {
            const first = { client, tier, class: "metadata", tool: "other" } as const
            expect(answerOf(yield* Effect.exit(shared.reserve(first, 0)))).toEqual(
              answerOf(yield* Effect.exit(memory.reserve(first, 0)))
            )
            seen.add(client)
          }
          for (const command of sequence) {
            if (command._tag === "tick") time.now += command.ms
            else if (command._tag === "refund") {
              const pair = given[command.which % Math.max(1, given.length)]
              if (pair === undefined) continue
              expect(yield* shared.refund(pair[0], command.only)).toBe(
                yield* memory.refund(pair[1], command.only)
              )
            } else {
              const { _tag, patience, caller, ...rest } = command
              const asked = { ...rest, ...caller }
              const of = [caller.client, caller.tier] as const
              const known = ({ name, remaining, resetMs, scope, weights }: RateLimiter.ScopeStatus) =>
                scope === "client" || scope === "tool" ? [{ name, remaining, resetMs, scope, weights }] : []
              if (seen.has(caller.client))
                expect((yield* shared.status(...of)).flatMap(known)).toEqual(
                  (yield* memory.status(...of)).flatMap(known)
                )
              const actual = yield* Effect.exit(shared.reserve(asked, patience))
              const expected = yield* Effect.exit(memory.reserve(asked, patience))
              const [one, two] = [answerOf(actual), answerOf(expected)]
              expect(Exit.isSuccess(actual)).toBe(Exit.isSuccess(expected))
              if (one !== undefined && "retryAfterMs" in one && two !== undefined && "retryAfterMs" in two) {
                expect(one.retryAfterMs).toBe(two.retryAfterMs)
                expect(one.decidedAt).toBe(time.now - 1_024_000)
                expect(two.decidedAt).toBe(time.now - 1_024_000)
                if (!two.never) expect(one).toMatchObject({ scope: two.scope, remaining: two.remaining })
              } else {
                expect(one).toEqual(two)
                expect(one).toMatchObject({ decidedAt: time.now - 1_024_000 })
              }
              if (Exit.isSuccess(actual) && Exit.isSuccess(expected)) {
                seen.add(caller.client)
                given.push([actual.value, expected.value])
              }
            }
          }
        }).pipe(Effect.scoped, Effect.withClock(clockOf(time)), Effect.runPromise)
      }),
      { numRuns: 20 }
    )
  )

  describe("keep the contract of rate limiters", () => {
    for (const { name, run } of RateLimiterContract.cases((options) =>
      Layer.scoped(
        RateLimiter.RateLimiter,
        Effect.flatMap(Effect.withClock(connection(), Clock.make()), (redis) =>
          limiter({ ...options, time: "clock" }, redis)
        )
      )
    ))
      it(name, () => Effect.runPromise(run))
  })

  it.scopedLive("counts the calls of all servers together", () =>
    Effect.gen(function* () {
      const options = {
        ...limits,
        global: { rate: 0.01, burst: 50 },
        classes: {},
        tiers: { default: { client: { rate: 1, burst: 100 } } },
        reserved: 0
      }
      const prefix = "together:"
      const servers = yield* Effect.all(
        Array.from({ length: 4 }, () =>
          Effect.flatMap(connection(prefix), (redis) => limiter(options, redis))
        )
      )
      const exits = yield* Effect.forEach(
        Array.from({ length: 120 }, (_, i) => i),
        (i) => Effect.exit(servers[i % 4]!.acquire(request({ client: `c${i % 7}` }))),
        { concurrency: 32 }
      )
      expect(exits.filter(Exit.isSuccess).length).toBe(50)
    })
  )

  it.scopedLive("limits each server to its part while Redis is away", () =>
    Effect.gen(function* () {
      const own = yield* TestRedis.server()
      const options = {
        global: { rate: 0.01, burst: 40 },
        classes: {},
        tiers: { default: { client: { rate: 0.01, burst: 40 } } }
      }
      const redises = yield* Effect.all(
        Array.from({ length: 2 }, () => Redis.make({ url: own.url, prefix: "away:", heartbeatMs: 50 }))
      )
      const both = Effect.all(redises.map(({ replicas }) => replicas))
      yield* Effect.repeat(Effect.zipRight(Effect.sleep(20), both), {
        until: (seen) => seen.every((n) => n === 2)
      })
      const servers = yield* Effect.all(redises.map((redis) => limiter(options, redis)))
      yield* Effect.promise(() => own.kill())
      for (const server of servers) {
        const exits = yield* Effect.all(
          Array.from({ length: 40 }, () => Effect.exit(server.acquire(request())))
        )
        expect(exits.filter(Exit.isSuccess).length).toBe(20)
      }
    })
  )

  it("tell when they decided from one start, whether Redis answers or not", () => {
    const time = { now: 5_000 }
    const of = (redis: Redis.Redis["Type"], when: (moment: string) => Effect.Effect<void>) =>
      Effect.gen(function* () {
        const shared = yield* limiter({ ...limits, time: "clock" }, redis)
        for (const moment of ["there", "away"]) {
          yield* when(moment)
          time.now += 1_000
          const given = yield* shared.acquire(request({ client: moment }))
          expect(given.decidedAt).toBe(time.now - 5_000)
          const refused = yield* Effect.flip(shared.acquire(request({ client: moment, cost: 4 })))
          expect(refused.decidedAt).toBe(time.now - 5_000)
          time.now += 1_000
          expect(yield* shared.refund(given)).toBe(time.now - 5_000)
          expect(yield* shared.refund(given)).toBeUndefined()
        }
      }).pipe(Effect.withClock(clockOf(time)))
    return Effect.gen(function* () {
      const own = yield* TestRedis.server()
      const redis = yield* Redis.make({ url: own.url, prefix: "when:", heartbeatMs: 50 })
      yield* of(redis, (moment) => (moment === "away" ? Effect.promise(() => own.kill()) : Effect.void))
    }).pipe(Effect.scoped, Effect.runPromise)
  })

  it.scopedLive("apply to the clients of a tier that is removed those of the tier that they fall to", () =>
    Effect.gen(function* () {
      const tier = (burst: number): RateLimiter.TierBuckets => ({ client: { rate: 0.01, burst } })
      const options = (tiers: RateLimiter.Options["tiers"]): RedisLimiter.Options => ({
        global: { rate: 100, burst: 100 },
        classes: {},
        tiers: { default: tier(2), ...tiers },
        reserved: 0
      })
      const own = yield* TestRedis.server()
      const redis = yield* Redis.make({ url: own.url, prefix: "removed:", heartbeatMs: 50 })
      const { live, set } = Live.make(options({ gold: tier(20) }))
      const shared = yield* Effect.provideService(RedisLimiter.make(live), Redis.Redis, redis)
      const admitted = (client: string) =>
        Effect.replicateEffect(Effect.exit(shared.acquire(request({ client, tier: "gold" }))), 8).pipe(
          Effect.map((all) => all.filter(Exit.isSuccess).length)
        )
      const before = yield* shared.acquire(request({ client: "ann", tier: "gold" }))
      expect(yield* admitted("ann")).toBe(8)
      yield* set(options({}))
      expect(yield* admitted("ann")).toBe(0)
      expect(yield* admitted("bob")).toBe(2)
      expect((yield* shared.status("bob", "gold"))[0]).toMatchObject({ burst: 2, remaining: 0 })
      // What was taken of a bucket is given back to it.
      yield* shared.refund(before)
      // Redis is away: this server's part of the same limits.
      yield* Effect.promise(() => own.kill())
      expect(yield* admitted("cid")).toBe(2)
      yield* set(options({ gold: tier(5) }))
      expect(yield* admitted("dan")).toBe(5)
    })
  )
})
