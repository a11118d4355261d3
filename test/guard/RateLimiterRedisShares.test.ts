import { describe, expect, it } from "@effect/vitest"
import { Clock, Effect, Exit, FastCheck as fc, Scope } from "effect"
import { afterAll, beforeAll } from "vitest"
import * as RateLimiter from "../../src/guard/RateLimiter.js"
import * as RedisLimiter from "../../src/guard/RateLimiterRedis.js"
import * as Redis from "../../src/platform/Redis.js"
import * as TestRedis from "../utils/redis.js"

/** It is the shared buckets that are tight; intervals of whole microseconds, as in memory. */
const limits: RateLimiter.Options = {
  global: { rate: 8, burst: 12 },
  classes: { query: { rate: 4, burst: 8 } },
  tiers: { default: { client: { rate: 100, burst: 1_000 } } }
}

const command = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({ _tag: fc.constant("tick" as const), ms: fc.constantFrom(1, 99, 256, 700, 4_000) })
  },
  {
    weight: 9,
    arbitrary: fc.record({
      _tag: fc.constant("acquire" as const),
      client: fc.constantFrom("a", "a", "a", "b", "c"),
      class: fc.constantFrom("query" as const, "query" as const, "metadata" as const),
      cost: fc.constantFrom(1, 1, 2, 0),
      patience: fc.constantFrom(0, 0, 400, 20_000)
    })
  },
  { weight: 1, arbitrary: fc.record({ _tag: fc.constant("refund" as const), which: fc.nat({ max: 9 }) }) }
)

/** The middle of a tick is no place to begin: both limiters count their ticks from here. */
const START_MS = 256 * 4_000

const clockOf = (time: { readonly now: number }): Clock.Clock => ({
  [Clock.ClockTypeId]: Clock.ClockTypeId,
  unsafeCurrentTimeMillis: () => time.now,
  unsafeCurrentTimeNanos: () => BigInt(time.now) * 1_000_000n,
  currentTimeMillis: Effect.sync(() => time.now),
  currentTimeNanos: Effect.sync(() => BigInt(time.now) * 1_000_000n),
  sleep: (duration) => Clock.make().sleep(duration)
})

type Limiter = RateLimiter.RateLimiter["Type"]

const query = (client: string): RateLimiter.Request => ({ client, tier: "default", class: "query" })

describe.runIf(TestRedis.available())("shares of rate limits in redis", () => {
  const scope = Effect.runSync(Scope.make())
  let server: TestRedis.Server
  let one: Redis.Redis["Type"]
  let two: Redis.Redis["Type"]
  beforeAll(async () => {
    server = await Effect.runPromise(Scope.extend(TestRedis.server(), scope))
    // Long enough for a busy machine: a call without an answer is counted in memory.
    const connected = Redis.make({ url: server.url, commandTimeoutMs: 10_000 })
    one = await Effect.runPromise(Scope.extend(connected, scope))
    two = await Effect.runPromise(Scope.extend(connected, scope))
  })
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

  let prefixes = 0
  /** Servers of one fleet, on buckets of their own. */
  const fleet = (options: RedisLimiter.Options) =>
    Effect.suspend(() => {
      const prefix = `s${(prefixes += 1)}:`
      const made = (redis: Redis.Redis["Type"]) =>
        Effect.provideService(RedisLimiter.make(options), Redis.Redis, { ...redis, prefix })
      return Effect.map(Effect.all([made(one), made(two)]), (servers) => ({ prefix, servers }))
    })

  /** Both decide alike; how many calls were refused although there were tokens, for the sake of others. */
  const decidedAlike = async (parameters: fc.Parameters<unknown>) => {
    let kept = 0
    await fc.assert(
      fc.asyncProperty(fc.array(command, { minLength: 20, maxLength: 60 }), (sequence) => {
        const time = { now: START_MS }
        return Effect.gen(function* () {
          const { servers } = yield* fleet({ ...limits, time: "clock" })
          const memory = yield* RateLimiter.make(limits)
          const given: Array<readonly [RateLimiter.Admission, RateLimiter.Admission]> = []
          for (const [i, each] of sequence.entries()) {
            const shared = servers[i % 2] ?? servers[0]
            if (each._tag === "tick") time.now += each.ms
            else if (each._tag === "refund") {
              const [pair] = given.splice(each.which, 1)
              if (pair === undefined) continue
              yield* shared.refund(pair[0])
              yield* memory.refund(pair[1])
            } else {
              const { _tag, patience, ...asked } = each
              const request = { ...asked, tier: "default" }
              const actual = yield* Effect.either(shared.reserve(request, patience))
              const expected = yield* Effect.either(memory.reserve(request, patience))
              if (expected._tag === "Right") {
                expect(actual).toEqual(expected)
                if (actual._tag === "Right") given.push([actual.right, expected.right])
                continue
              }
              const { remaining, retryAfterMs, scope } = expected.left
              if (remaining >= asked.cost) kept += 1
              expect(actual).toMatchObject({ left: { remaining, retryAfterMs, scope } })
            }
          }
        }).pipe(Effect.withClock(clockOf(time)), Effect.runPromise)
      }),
      parameters
    )
    return kept
  }

  it("are decided as in memory, over any sequence of calls to any of the servers", () =>
    decidedAlike({ numRuns: 20 }))

  it("are decided as in memory with a reserve, too", async () => {
    expect(await decidedAlike({ numRuns: 10, seed: 1 })).toBeGreaterThan(3)
  })

  /** What the modest are refused while one asks both servers for all there is, and what is admitted. */
  const contest = (reserved: number) => {
    const time = { now: START_MS }
    return Effect.gen(function* () {
      const { servers } = yield* fleet({ ...limits, reserved, time: "clock" })
      const counts = { admitted: 0, greedy: 0, refused: 0 }
      const ask = (limiter: Limiter | undefined, client: string) =>
        Effect.map(Effect.exit((limiter ?? servers[0]).acquire(query(client))), Exit.isSuccess)
      for (let i = 0; i < 600; i++) {
        time.now += 25
        if (yield* ask(servers[i % 2], "greedy")) {
          counts.admitted += 1
          counts.greedy += 1
        }
        // Three, each with less than its share of four a second; each on one server and then the other.
        if (i % 20 !== 0) continue
        if (yield* ask(servers[(i / 20) % 2], `modest${i % 3}`)) counts.admitted += 1
        else if (i >= 240) counts.refused += 1
      }
      return counts
    }).pipe(Effect.withClock(clockOf(time)))
  }

  it.live("give every client its share, whichever server a greedy one asks, and waste no token", () =>
    Effect.gen(function* () {
      const race = yield* contest(0)
      const fair = yield* contest(0.25)
      expect(race.refused).toBeGreaterThan(5)
      expect(fair.refused).toBe(0)
      for (const { admitted } of [race, fair]) {
        expect(admitted).toBeGreaterThanOrEqual(4 * 15)
        expect(admitted).toBeLessThanOrEqual(8 + 4 * 15)
      }
      expect(fair.greedy).toBeGreaterThan(20)
    })
  )

  it.live("name the exact wait of a client above its share, on the other server too", () => {
    const time = { now: START_MS }
    return Effect.gen(function* () {
      const { servers } = yield* fleet({ ...limits, time: "clock" })
      yield* servers[1].acquire(query("other"))
      const took = yield* Effect.forEach(Array.from({ length: 20 }), () =>
        Effect.exit(servers[0].reserve(query("greedy"), 60_000))
      )
      expect(took.filter(Exit.isSuccess).length).toBeGreaterThan(6)
      const { retryAfterMs } = yield* Effect.flip(servers[0].acquire(query("greedy")))
      time.now += retryAfterMs - 1
      yield* Effect.flip(servers[1].acquire(query("greedy")))
      time.now += 1
      yield* servers[1].acquire(query("greedy"))
    }).pipe(Effect.withClock(clockOf(time)))
  })

  it.live("are kept by one clock, however wrong those of the servers are", () =>
    Effect.gen(function* () {
      const slow = { rate: 0.01, burst: 12 }
      const { servers } = yield* fleet({ ...limits, global: slow, classes: {} })
      const hour = 3_600_000
      const ask = (client: string, times: number) =>
        Effect.map(
          Effect.forEach(Array.from({ length: times }), (_, i) =>
            Effect.withClock(
              Effect.exit((servers[i % 2] ?? servers[0]).acquire(query(client))),
              clockOf({ now: START_MS + (i % 2 === 0 ? hour : -hour) })
            )
          ),
          (exits) => exits.filter(Exit.isSuccess).length
        )
      // The first client is alone: its calls add no debt.
      expect(yield* ask("first", 2)).toBe(2)
      expect(yield* ask("greedy", 20)).toBe(7)
      expect(yield* ask("modest", 1)).toBe(1)
      expect(yield* ask("other", 1)).toBe(1)
      expect(yield* ask("third", 3)).toBe(1)
    })
  )

  it.live("use memory for `maxClients` clients at most, and none when all are gone", () =>
    Effect.gen(function* () {
      const { prefix, servers } = yield* fleet({ ...limits, maxClients: 3 })
      yield* Effect.forEach(Array.from({ length: 40 }), (_, i) =>
        Effect.exit((servers[i % 2] ?? servers[0]).acquire(query(`client${i}`)))
      )
      const keys = yield* one.scan(`${prefix}*`)
      expect(keys.filter((key) => key.endsWith(":asking")).length).toBe(2)
      for (const key of keys) {
        const left = yield* Effect.promise(() => TestRedis.command(server.port, `PTTL ${key}`))
        const sets = key.endsWith("ing")
        expect(Number(left.slice(1))).toBeGreaterThan(0)
        expect(Number(left.slice(1))).toBeLessThanOrEqual(sets ? 12_000 : 3_700_000)
        if (!sets) continue
        const size = yield* Effect.promise(() => TestRedis.command(server.port, `ZCARD ${key}`))
        expect(Number(size.slice(1))).toBeLessThanOrEqual(4)
      }
    })
  )

  it.live("expire also when the first debt begins in the middle of a tick", () => {
    const time = { now: START_MS }
    return Effect.gen(function* () {
      const { prefix, servers } = yield* fleet({ ...limits, time: "clock" })
      yield* servers[0].acquire(query("a"))
      yield* servers[0].acquire({ ...query("b"), cost: 0 })
      yield* servers[0].acquire(query("a"))
      const left = yield* Effect.promise(() =>
        TestRedis.command(server.port, `PTTL ${prefix}b:{global}:class:query:owing`)
      )
      expect(Number(left.slice(1))).toBeGreaterThan(0)
    }).pipe(Effect.withClock(clockOf(time)))
  })

  it.live("remove clients that have left, a few with each call", () => {
    const time = { now: START_MS }
    return Effect.gen(function* () {
      const { prefix, servers } = yield* fleet({ ...limits, time: "clock" })
      const asking = (client: string) => Effect.exit(servers[0].acquire(query(client)))
      for (let i = 0; i < 50; i++) yield* asking(`client${i}`)
      time.now += 11_000
      for (let i = 0; i < 10; i++) {
        time.now += 256
        yield* asking("late")
      }
      const size = yield* Effect.promise(() =>
        TestRedis.command(server.port, `ZCARD ${prefix}b:{global}:class:query:asking`)
      )
      expect(size.trim()).toBe(":1")
    }).pipe(Effect.withClock(clockOf(time)))
  })

  it.live("count a client that returns as a contender", () => {
    const time = { now: START_MS }
    return Effect.gen(function* () {
      const { servers } = yield* fleet({
        ...limits,
        global: { rate: 0.1, burst: 2 },
        classes: {},
        reserved: 0.5,
        time: "clock"
      })
      yield* servers[0].acquire({ ...query("other"), cost: 0 })
      yield* servers[0].acquire(query("greedy"))
      // One of two took what they get in twenty seconds: the second token is the other's.
      yield* Effect.flip(servers[1].acquire(query("greedy")))
      yield* servers[1].acquire(query("other"))
    }).pipe(Effect.withClock(clockOf(time)))
  })
})
