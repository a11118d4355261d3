import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Layer, Scope } from "effect"
import { afterAll, beforeAll } from "vitest"
import * as RedisStore from "../../src/quota/stores/Redis.js"
import * as RedisLimiter from "../../src/guard/RateLimiterRedis.js"
import * as Redis from "../../src/platform/Redis.js"
import { contract } from "../quota/QuotaStore.contract.js"
import * as TestRedis from "../utils/redis.js"

describe.runIf(TestRedis.available())("redis cluster", () => {
  let prefixes = 0
  const own = Effect.runSync(Scope.make())
  let url = ""
  beforeAll(async () => {
    url = (await Effect.runPromise(Scope.extend(TestRedis.cluster, own))).url
  })
  afterAll(() => Effect.runPromise(Scope.close(own, Exit.void)))

  const clusterLayer = Layer.unwrapEffect(
    Effect.sync(() => {
      prefixes += 1
      return Layer.provide(
        RedisStore.layer({ time: "clock" }),
        Redis.layer({ url, prefix: `c${prefixes}:`, commandTimeoutMs: 2000 })
      )
    })
  )
  contract("redis cluster", clusterLayer, { numRuns: 10 })

  it.scopedLive("limits rates in a cluster too, and gives back what the client had paid for a refusal", () =>
    Effect.gen(function* () {
      const options = {
        global: { rate: 0.01, burst: 30 },
        classes: {},
        tiers: { default: { client: { rate: 0.01, burst: 20 } } },
        reserved: 0
      }
      const servers = yield* Effect.all(
        Array.from({ length: 2 }, () =>
          Effect.flatMap(Redis.make({ url, prefix: "cluster:", commandTimeoutMs: 2000 }), (redis) =>
            Effect.provideService(RedisLimiter.make(options), Redis.Redis, redis)
          )
        )
      )
      const exits = yield* Effect.forEach(
        Array.from({ length: 60 }, (_, i) => i),
        (i) => Effect.exit(servers[i % 2]!.acquire({ client: `c${i % 5}`, tier: "default", class: "query" })),
        { concurrency: 16 }
      )
      expect(exits.filter(Exit.isSuccess).length).toBe(30)
      const left = yield* Effect.forEach([0, 1, 2, 3, 4], (i) => servers[0]!.status(`c${i}`, "default"))
      const spent = left.map((lines) => 20 - (lines.find(({ scope }) => scope === "client")?.remaining ?? 0))
      expect(spent.reduce((sum, n) => sum + n, 0)).toBe(30)
    })
  )

  it.scopedLive("charges all buckets that are observed or none, on whatever nodes they are", () =>
    Effect.gen(function* () {
      const slow = (burst: number) => ({ rate: 0.001, burst })
      const server = Effect.flatMap(
        Redis.make({ url, prefix: "observed:", commandTimeoutMs: 10_000 }),
        (redis) =>
          Effect.provideService(
            RedisLimiter.make({
              global: slow(20),
              classes: { query: slow(3), metadata: slow(20) },
              tiers: { default: { client: slow(4), observe: ["client", "class"] } },
              reserved: 0
            }),
            Redis.Redis,
            redis
          )
      )
      const limiter = yield* server
      const left = (client: string) =>
        Effect.map(limiter.status(client, "default"), (all) =>
          all.map(({ name = "", remaining, scope }) => `${scope}${name} ${remaining}`)
        )
      const ask = (client: string, name: "query" | "metadata") =>
        limiter.acquire({ client, tier: "default", class: name })
      for (let n = 0; n < 3; n++) expect((yield* ask("a", "query")).wouldRefuse).toBeUndefined()
      const ofClass = yield* ask("a", "query")
      expect(ofClass.wouldRefuse?.scope).toBe("class")
      expect(yield* left("a")).toEqual(["client 1", "classquery 0", "classmetadata 20", "global 16"])
      yield* ask("a", "metadata")
      const ofClient = yield* ask("a", "metadata")
      expect(ofClient.wouldRefuse?.scope).toBe("client")
      const charged = ["client 0", "classquery 0", "classmetadata 19", "global 14"]
      expect(yield* left("a")).toEqual(charged)
      yield* limiter.refund(ofClass)
      yield* limiter.refund(ofClient)
      expect(yield* left("a")).toEqual([...charged.slice(0, 3), "global 16"])
    })
  )

  it.scopedLive(
    "keeps everybody's share in a cluster too, where a client's own bucket is on another node",
    () =>
      Effect.gen(function* () {
        const slow = { rate: 0.01, burst: 12 }
        const wide = { rate: 100, burst: 1_000 }
        const options = { global: slow, classes: { query: slow }, tiers: { default: { client: wide } } }
        const server = Effect.flatMap(
          Redis.make({ url, prefix: "shares:", commandTimeoutMs: 10_000 }),
          (redis) => Effect.provideService(RedisLimiter.make(options), Redis.Redis, redis)
        )
        const [first, second] = yield* Effect.all([server, server])
        const query = (client: string) => ({ client, tier: "default", class: "query" as const })
        const ask = (limiter: typeof first, client: string, times: number) =>
          Effect.map(
            Effect.forEach(Array.from({ length: times }), () => Effect.exit(limiter.acquire(query(client)))),
            (exits) => exits.filter(Exit.isSuccess).length
          )
        expect(yield* ask(second, "modest", 1)).toBe(1)
        // Were it counted in memory, a half of the bucket would be all that one server lets through.
        expect(yield* ask(first, "greedy", 20)).toBe(8)
        expect(yield* ask(second, "greedy", 5)).toBe(0)
        expect(yield* ask(second, "third", 1)).toBe(1)
        const given = yield* second.acquire(query("fourth"))
        yield* second.refund(given)
        const left = yield* second.status("fourth", "default")
        expect(left.map(({ remaining }) => remaining)).toEqual([1_000, 2, 2])
      })
  )
})
