/** Limits that are observed: they decide and are counted as if they were in force, and nothing is refused. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Either, FastCheck as fc, Layer, Ref, TestClock, TestContext } from "effect"
import * as ServerConfig from "../../src/config/ServerConfig.js"
import * as Guard from "../../src/guard/Guard.js"
import type { WouldRefuse } from "../../src/guard/Call.js"
import * as RateLimiter from "../../src/guard/RateLimiter.js"
import * as Activity from "../../src/observe/Activity.js"
import * as Principal from "../../src/platform/Principal.js"
import * as Quota from "../../src/quota/Quota.js"
import * as QuotaStore from "../../src/quota/QuotaStore.js"
import * as Testing from "../../src/server/Testing.js"
import { shortOrLong } from "../utils/long.js"

const quotas = (limits: Quota.Limits, global: Quota.Limits, observe: ReadonlyArray<QuotaStore.QuotaName>) =>
  Effect.map(
    Layer.build(
      Layer.provide(
        Quota.layer({ tiers: { default: limits }, global, observe: { default: observe } }),
        QuotaStore.layerMemory
      )
    ),
    Context.get(Quota.Quota)
  )

const commands = fc.array(
  fc.record({
    client: fc.constantFrom("a", "b"),
    class: fc.constantFrom("query" as const, "metadata" as const),
    bytes: fc.integer({ min: 0, max: 40 }),
    credits: fc.constantFrom(undefined, 0.1, 0.3, 2.5),
    tick: fc.constantFrom(0, 0, 60_000, 3_600_000),
    end: fc.constantFrom("settle" as const, "release" as const, "never" as const)
  }),
  { maxLength: 40 }
)
const limit = fc.option(fc.integer({ min: 1, max: 12 }), { nil: undefined })
const limits = fc.record({
  requests_per_hour: limit,
  queries_per_day: limit,
  bytes_per_day: limit,
  credits_per_hour: limit
})
const defined = (all: { readonly [name: string]: number | undefined }): Quota.Limits =>
  Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined))

describe("observed quotas", () => {
  it("refuse nothing, and count exactly what enforcing would have refused", () =>
    fc.assert(
      fc.asyncProperty(limits, limits, commands, (own, all, sequence) =>
        Effect.gen(function* () {
          const enforced = yield* quotas(defined(own), defined(all), [])
          const observed = yield* quotas(defined(own), defined(all), QuotaStore.QuotaName.literals)
          for (const { bytes, class: name, client, credits, end, tick } of sequence) {
            yield* TestClock.adjust(tick)
            const asked = {
              client,
              tier: "default",
              class: name,
              estimatedBytes: bytes,
              estimatedCredits: credits,
              deadlineMs: 60_000
            }
            const one = yield* Effect.either(enforced.reserve(asked))
            const other = yield* observed.reserve(asked)
            if (Either.isLeft(one)) {
              assert.ok(one.left._tag === "QuotaExceeded")
              const { quota, retryAfterMs, scope } = one.left
              assert.deepStrictEqual(other.wouldRefuse, { scope, quota, retryAfterMs })
            } else {
              assert.isUndefined(other.wouldRefuse)
              assert.strictEqual(other.bytesLeft, Infinity, "an observed quota cuts no result")
              const spent = { bytes: bytes * 2, credits: credits === undefined ? undefined : credits / 2 }
              if (end === "settle") {
                yield* enforced.settle(one.right, spent)
                yield* observed.settle(other, spent)
              } else if (end === "release") {
                yield* enforced.release(one.right)
                yield* observed.release(other)
              }
            }
            assert.deepStrictEqual<ReadonlyArray<Quota.QuotaStatus>>(
              (yield* observed.status(client, "default")).map(({ observed, ...one }): Quota.QuotaStatus => {
                assert.isTrue(observed)
                return one
              }),
              yield* enforced.status(client, "default"),
              "a would-be refusal charges nothing"
            )
          }
        }).pipe(Effect.scoped, Effect.provide(TestContext.TestContext), Effect.runPromise)
      ),
      { numRuns: shortOrLong(25, 100) }
    ))
})

/** A server with one tier, which refuses at once and has one token a second. */
const serverLayer = (tier: { readonly [name: string]: unknown }, observe: ReadonlyArray<string>) => {
  const limits = { requests_per_second: 1, max_token_wait_seconds: 0, ...tier, observe }
  const { settings } = Either.getOrThrow(ServerConfig.decode({ document: { tiers: { default: limits } } }))
  return Testing.layer(
    {},
    {
      rateLimiter: Layer.orDie(RateLimiter.layer(ServerConfig.rateLimiterOptions(settings))),
      quota: Layer.orDie(Quota.layer(ServerConfig.quotaOptions(settings)))
    }
  )
}

describe("a call that an observed limit would have refused", () => {
  it.effect("goes on without a wait, charged to what is enforced, and each limit is told", () =>
    Effect.gen(function* () {
      const guard = yield* Guard.Guard
      const quota = yield* Quota.Quota
      const limiter = yield* RateLimiter.RateLimiter
      const told = yield* Ref.make<ReadonlyArray<WouldRefuse>>([])
      const run = guard.run(
        {
          tool: "execute_query",
          class: "query",
          deadlineMs: 10_000,
          estimatedBytes: 0,
          observed: (would) => void Effect.runSync(Ref.update(told, (all) => [...all, would]))
        },
        ({ markSent }) => markSent
      )
      for (let i = 0; i < 3; i++) yield* run
      assert.deepStrictEqual(yield* Ref.get(told), [
        { code: "RATE_LIMITED", scope: "client", retryAfterMs: 1000 }
      ])
      yield* TestClock.adjust("5 seconds")
      yield* run
      yield* run
      // The first call that a rate limit would have refused was not charged to the observed quota.
      assert.deepStrictEqual((yield* Ref.get(told)).slice(1), [
        { code: "QUOTA_EXCEEDED", scope: "client:requests_per_hour", retryAfterMs: 3_595_000 }
      ])
      const scopes = yield* limiter.status("local", "default")
      assert.deepInclude(
        scopes.find(({ scope }) => scope === "global"),
        { burst: 200, remaining: 198 }
      )
      const used = (yield* quota.status("local", "default")).map(({ quota, used }) => [quota, used])
      assert.deepInclude(used, ["requests_per_hour", 3])
      assert.deepInclude(used, ["requests_per_day", 5])
    }).pipe(
      Effect.provide(
        serverLayer({ burst: 2, initial_tokens: 2, requests_per_hour: 3 }, ["client", "requests_per_hour"])
      )
    )
  )

  it.effect("holds nothing of an observed quota for its scans, which would never have come so far", () =>
    Effect.gen(function* () {
      const { run } = yield* Guard.Guard
      const told: Array<WouldRefuse> = []
      const operation: Guard.Operation = {
        ...{ tool: "execute_query", class: "query", deadlineMs: 10_000, estimatedBytes: 0 },
        observed: (would) => void told.push(would)
      }
      const scanning = run(operation, ({ beginScan, holdScan, markSent }) =>
        holdScan(60).pipe(Effect.zipRight(markSent), Effect.zipRight(beginScan))
      )
      const scanned = Effect.map(
        Effect.flatMap(Quota.Quota, (quota) => quota.status("local", "default")),
        (all) => all.find(({ quota }) => quota === "scan_bytes_per_day")?.used
      )
      yield* scanning
      assert.strictEqual(yield* scanned, 60)
      yield* scanning
      assert.deepStrictEqual(
        told.map(({ code, scope }) => [code, scope]),
        [["RATE_LIMITED", "client"]]
      )
      assert.strictEqual(yield* scanned, 60)
    }).pipe(
      Effect.provide(serverLayer({ burst: 1, initial_tokens: 1, scan_bytes_per_day: 100 }, ["rate", "quota"]))
    )
  )

  const limited = {
    ...{ burst: 4, initial_tokens: 3, requests_per_hour: 5, queries_per_day: 3, bytes_per_day: 80 },
    ...{ total_requests_per_second: 1.5, total_burst: 5 },
    tools: {
      execute_query: { requests_per_second: 0.5, burst: 2 },
      explain_query: { weight: 2 },
      list_tables: { requests_per_second: 2, burst: 1, weight: 0 }
    }
  }

  const serverOf = (observe: ReadonlyArray<string>) =>
    Effect.map(
      Layer.build(Layer.fresh(serverLayer(limited, observe))),
      (context) =>
        ({ client, tool }: Asked, observed: (would: WouldRefuse) => void) =>
          Context.get(context, Guard.Guard)
            .run(
              {
                ...{ tool, deadlineMs: 10_000, estimatedBytes: 10, observed },
                class: tool === "execute_query" ? "query" : "metadata"
              },
              ({ addBytes, markSent }) => Effect.zipRight(markSent, addBytes(10))
            )
            .pipe(Effect.provideService(Principal.CurrentPrincipal, Principal.make(client)))
    )

  interface Asked {
    readonly client: string
    readonly tool: string
  }

  const asked = fc.array(
    fc.record({
      client: fc.constantFrom("ann", "bob", "eve"),
      tool: fc.constantFrom("execute_query", "explain_query", "list_tables", "list_views"),
      tick: fc.constantFrom(0, 0, 500, 1000, 1999, 4000, 4000, 3_600_000)
    }),
    { minLength: 20, maxLength: 60 }
  )

  /** Calls of which each kind of limit refuses one, in the order of the list below. */
  const one = (client: string, tool: string, tick = 0) => ({ client, tool, tick })
  const eachKind = [
    ...[one("ann", "execute_query"), one("ann", "execute_query"), one("ann", "execute_query")],
    ...Array.from({ length: 3 }, () => one("bob", "list_views")),
    one("eve", "list_views"),
    ...[one("bob", "list_views", 4000), one("bob", "list_views"), one("bob", "list_views")],
    ...[one("ann", "execute_query", 4000), one("ann", "execute_query", 4000)],
    ...[one("eve", "list_views", 4000), ...Array.from({ length: 4 }, () => one("eve", "list_views"))]
  ]

  it("is told exactly as the refusal would have been, over the same calls of several clients and tools", async () => {
    const scopes = new Set<string>()
    await fc.assert(
      fc.asyncProperty(asked, (calls) =>
        Effect.gen(function* () {
          const enforced = yield* serverOf([])
          const observed = yield* serverOf(["rate", "quota"])
          for (const { tick, ...call } of calls) {
            yield* TestClock.adjust(tick)
            const told: Array<WouldRefuse> = []
            const refused = yield* Effect.either(enforced(call, () => assert.fail("nothing is observed")))
            // None is refused, or this would fail.
            yield* observed(call, (would) => void told.push(would))
            if (Either.isRight(refused)) assert.deepStrictEqual(told, [])
            else if (refused.left._tag === "RateLimited") {
              const { retryAfterMs, scope } = refused.left
              assert.deepStrictEqual(told, [{ code: "RATE_LIMITED", scope, retryAfterMs }])
            } else {
              assert.ok(refused.left._tag === "QuotaExceeded")
              const { quota, retryAfterMs, scope } = refused.left
              assert.deepStrictEqual(told, [
                { code: "QUOTA_EXCEEDED", scope: `${scope}:${quota}`, retryAfterMs }
              ])
            }
            for (const { scope } of told) scopes.add(scope)
          }
        }).pipe(Effect.scoped, Effect.provide(TestContext.TestContext), Effect.runPromise)
      ),
      { numRuns: shortOrLong(3, 25), examples: [[eachKind]] }
    )
    // A run in which no limit of a kind has refused would say nothing of it.
    assert.includeMembers(
      [...scopes],
      ["tool", "tier", "client:requests_per_hour", "client:queries_per_day", "client"]
    )
  })

  it.effect("is counted by limit, and the latest ones are kept with their clients", () =>
    Effect.gen(function* () {
      const activity = yield* Activity.make
      const entry = { tier: "gold", tool: "execute_query", decision: "ok", ms: 1 }
      const wouldRefuse = [{ code: "RATE_LIMITED", scope: "tool", retryAfterMs: 5 }]
      for (let i = 0; i < 30; i++) {
        yield* TestClock.adjust(1000)
        yield* activity.record({ ...entry, client: `c${i}`, wouldRefuse })
        yield* activity.record({ ...entry, client: "other" })
      }
      const { latest, limits } = yield* activity.observed
      assert.deepStrictEqual(limits, [{ code: "RATE_LIMITED", scope: "tool", count: 30, lastAt: 30_000 }])
      assert.strictEqual(latest.length, 20)
      assert.deepInclude(latest[0], { client: "c29", tool: "execute_query", scope: "tool", at: 30_000 })
      assert.strictEqual((yield* activity.totals).counts.ok, 60)
    })
  )
})

describe("the setting `observe`", () => {
  const optionsOf = (observe: ReadonlyArray<string>) => {
    const { settings } = Either.getOrThrow(
      ServerConfig.decode({ document: { tiers: { gold: { observe } } } })
    )
    return {
      rate: ServerConfig.rateLimiterOptions(settings).tiers["gold"]?.observe,
      quota: ServerConfig.quotaOptions(settings).observe?.["gold"]
    }
  }

  it("names all rate limits, all quotas, or single ones", () => {
    assert.deepStrictEqual(optionsOf([]), { rate: undefined, quota: undefined })
    assert.deepStrictEqual(optionsOf(["rate"]), { rate: [...RateLimiter.Scope.literals], quota: [] })
    assert.deepStrictEqual(optionsOf(["quota"]).quota, [...QuotaStore.QuotaName.literals])
    assert.deepStrictEqual(optionsOf(["tool", "bytes_per_day"]), { rate: ["tool"], quota: ["bytes_per_day"] })
    assert.isTrue(
      Either.isLeft(ServerConfig.decode({ document: { tiers: { gold: { observe: ["breaker"] } } } })),
      "the breaker always holds"
    )
  })
})
