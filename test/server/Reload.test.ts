import { assert, describe, expect, it } from "@effect/vitest"
import { Effect, Either, Fiber, Logger, Queue, Ref, TestClock } from "effect"
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout } from "node:timers/promises"
import * as ServerConfig from "../../src/config/ServerConfig.js"
import * as Bulkhead from "../../src/guard/Bulkhead.js"
import * as RateLimiter from "../../src/guard/RateLimiter.js"
import * as Live from "../../src/platform/Live.js"
import * as Quota from "../../src/quota/Quota.js"
import * as QuotaStore from "../../src/quota/QuotaStore.js"
import * as Reload from "../../src/server/Reload.js"
import * as CallPolicy from "../../src/tools/CallPolicy.js"

const quiet = Effect.provide(Logger.remove(Logger.defaultLogger))

type Document = { readonly [key: string]: unknown }

const decode = (document: Document) => ServerConfig.decode({ document })
const settings = (document: Document) => Either.getOrThrow(decode(document)).settings

/** A server's settings, and the file that they are read from again. */
const source = (first: Document, path?: string) =>
  Effect.gen(function* () {
    const file = yield* Ref.make(first)
    const { live, set } = Live.make(settings(first))
    const hangups = yield* Queue.unbounded<void>()
    const reloads = yield* Reload.make({
      live,
      set,
      path,
      load: Effect.flatMap(Ref.get(file), decode),
      hangup: Queue.take(hangups)
    })
    return { live, file, hangups, ...reloads }
  })

describe("settings that are read again", () => {
  it.scoped("come into force all at once, and what needs a restart is named and stays", () =>
    Effect.gen(function* () {
      const { file, live, reload, status } = yield* source({ limits: { burst: 10 } })
      const before = live.current()
      yield* Ref.set(file, {
        limits: { burst: 20 },
        log: { level: "debug", format: "json" },
        tiers: { gold: { max_rows: 5, snowflake: { role: "R" } } },
        clients: { ann: { tier: "gold" } },
        alerts: [{ url: "https://secret.example/x" }],
        http: { port: 1 },
        timeouts: { shutdown_seconds: 1, metadata_seconds: 3 }
      })
      const { changed, faults, result } = yield* reload
      assert.isTrue(changed)
      assert.deepStrictEqual(faults, [])
      assert.notInclude(result, "secret")
      const now = live.current()
      expect([now.limits.burst, now.log.level, now.tiers["gold"]?.maxRows, now.clients["ann"]?.tier]).toEqual(
        [20, "debug", 5, "gold"]
      )
      expect(now.timeouts.metadataSeconds).toBe(3)
      expect([now.http, now.log.format, now.timeouts.shutdownSeconds]).toEqual([
        before.http,
        before.log.format,
        before.timeouts.shutdownSeconds
      ])
      expect([...(yield* status).needRestart].sort()).toEqual([
        "http.port",
        "log.format",
        "tiers.gold.snowflake.role",
        "timeouts.shutdown_seconds"
      ])
      yield* Ref.set(file, { limits: { burst: 20 } })
      yield* reload
      expect(yield* status).toMatchObject({ generation: 3, needRestart: [] })
      expect((yield* reload).changed).toBe(false)
      expect((yield* status).generation).toBe(3)
    }).pipe(quiet)
  )

  it.scoped("that are wrong change nothing and say all that is wrong, until they are right", () =>
    Effect.gen(function* () {
      const { file, live, reload, status } = yield* source({ limits: { burst: 10 } })
      const before = live.current()
      yield* Ref.set(file, { limits: { burst: 0, max_queued: -1 }, log: { level: "debug" } })
      const { changed, faults } = yield* reload
      assert.isFalse(changed)
      assert.strictEqual(live.current(), before)
      expect(faults.map((text) => text.split(":")[0])).toEqual(["limits.burst", "limits.max_queued"])
      const { faults: known, faultsAt, generation } = yield* status
      expect([known.map(({ key }) => key), faultsAt, generation]).toEqual([
        ["limits.burst", "limits.max_queued"],
        0,
        1
      ])
      yield* Ref.set(file, { limits: { burst: 11 } })
      yield* reload
      expect(live.current().limits.burst).toBe(11)
      expect((yield* status).faults).toEqual([])
    }).pipe(quiet)
  )

  it.scoped("are read at a SIGHUP", () =>
    Effect.gen(function* () {
      const { file, hangups, live } = yield* source({ limits: { burst: 10 } })
      yield* Ref.set(file, { limits: { burst: 12 } })
      yield* Queue.offer(hangups, undefined)
      yield* Effect.repeat(Effect.yieldNow(), { until: () => live.current().limits.burst === 12 })
    }).pipe(quiet)
  )

  it.scoped("are read when a watched file has changed, and not while it is written", () =>
    Effect.gen(function* () {
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "snowguard-reload-"))),
        (path) => Effect.sync(() => rmSync(path, { recursive: true }))
      )
      const path = join(folder, "snowguard.toml")
      writeFileSync(path, "one")
      const { file, status } = yield* source({ reload: "watch", limits: { burst: 10 } }, path)
      yield* Ref.set(file, { reload: "watch", limits: { burst: 13 } })
      const second = Effect.zipRight(
        TestClock.adjust("1 second"),
        Effect.promise(() => setTimeout(20))
      )
      yield* second
      yield* second
      expect((yield* status).generation).toBe(1)
      writeFileSync(path, "other")
      utimesSync(path, 1, 1)
      yield* Effect.repeat(second, { until: () => Effect.map(status, ({ generation }) => generation === 2) })
    }).pipe(quiet)
  )
})

describe("services under settings that change", () => {
  const quotas = (limit: number): Quota.Options => ({ tiers: { default: { requests_per_hour: limit } } })

  it.effect("a quota obeys its new limit with the next call, and forgets nothing that was used", () =>
    Effect.gen(function* () {
      const { live, set } = Live.make(quotas(3))
      const quota = yield* Quota.make(live)
      const reserve = Effect.either(
        quota.reserve({ client: "a", tier: "default", class: "metadata", estimatedBytes: 0, deadlineMs: 1e3 })
      )
      const times = (n: number) =>
        Effect.map(Effect.replicateEffect(reserve, n), (all) => all.filter(Either.isRight).length)
      expect(yield* times(5)).toBe(3)
      yield* set(quotas(5))
      expect(yield* times(5)).toBe(2)
      yield* set(quotas(1))
      expect(yield* times(5)).toBe(0)
      expect((yield* quota.status("a", "default"))[0]).toMatchObject({ used: 5, limit: 1 })
    }).pipe(Effect.provide(QuotaStore.layerMemory))
  )

  it.effect("a rate limit too: a thousand changes give no client a token", () =>
    Effect.gen(function* () {
      const of = (rate: number, burst: number): RateLimiter.Options => ({
        global: { rate: 1e4, burst: 1e4 },
        classes: {},
        tiers: { default: { client: { rate, burst } } }
      })
      const { live, set } = Live.make(of(1, 10))
      const limiter = yield* RateLimiter.make(live)
      const acquire = Effect.either(limiter.acquire({ client: "a", tier: "default", class: "query" }))
      let admitted = 0
      for (let n = 0; n < 1_000; n++) {
        yield* set(n % 2 === 0 ? of(1, 10) : of(2, 20))
        if (Either.isRight(yield* acquire)) admitted++
      }
      expect(admitted).toBe(10)
      yield* TestClock.adjust("1 second")
      yield* set(of(5, 5))
      yield* TestClock.adjust("100 seconds")
      const all = yield* Effect.replicateEffect(acquire, 20)
      expect(all.filter(Either.isRight)).toHaveLength(5)
    })
  )

  it.effect(
    "a call that is given back returns what it took under the old terms, to what was charged alone",
    () =>
      Effect.gen(function* () {
        const of = (weight: number, observe: ReadonlyArray<RateLimiter.Scope>): RateLimiter.Options => ({
          global: { rate: 1, burst: 100 },
          classes: {},
          tiers: { default: { client: { rate: 1, burst: 10 }, tools: { t: { weight } }, observe } }
        })
        const { live, set } = Live.make(of(5, []))
        const limiter = yield* RateLimiter.make(live)
        const request = { client: "a", tier: "default", class: "query", tool: "t" } as const
        const left = Effect.map(limiter.status("a", "default"), (all) =>
          all.map(({ remaining }) => remaining)
        )
        const dear = yield* limiter.acquire(request)
        yield* set(of(2, []))
        const cheap = yield* limiter.acquire(request)
        expect(yield* left).toEqual([3, 98])
        yield* limiter.refund(dear)
        expect(yield* left).toEqual([8, 99])
        // From now on the client's rate is only observed; what was charged to it before is given back all the same.
        yield* set(of(5, ["client"]))
        yield* limiter.refund(cheap, "observed")
        expect(yield* left).toEqual([8, 99])
        yield* limiter.refund(cheap)
        expect(yield* left).toEqual([10, 100])
        const observed = yield* limiter.acquire(request)
        yield* set(of(1, []))
        yield* limiter.refund(observed, "observed")
        expect(yield* left).toEqual([10, 99])
      })
  )

  it("limits of a fleet wait for a restart, those that are observed as well, and quotas that are observed do not", () => {
    const of = (observe: ReadonlyArray<string>) =>
      settings({
        rate_limits: "shared",
        quota_store: { kind: "redis", redis_url: "redis://127.0.0.1:1" },
        tiers: { gold: { observe } }
      })
    const plans = (from: ReadonlyArray<string>, to: ReadonlyArray<string>) => {
      const { changed, needRestart, settings } = Reload.plan(of(from), of(to))
      return { changed, needRestart, observe: settings.tiers["gold"]?.observe }
    }
    expect(plans([], ["rate"])).toEqual({ changed: [], needRestart: ["tiers.gold.observe"], observe: [] })
    expect(plans(["tool"], [])).toEqual({
      changed: [],
      needRestart: ["tiers.gold.observe"],
      observe: ["tool"]
    })
    expect(plans(["tool"], ["tool", "quota"])).toEqual({
      changed: ["tiers.gold.observe"],
      needRestart: [],
      observe: ["tool", "quota"]
    })
    expect(plans(["tool"], ["client", "bytes_per_day"])).toEqual({
      changed: ["tiers.gold.observe"],
      needRestart: ["tiers.gold.observe"],
      observe: ["tool", "bytes_per_day"]
    })
  })

  it.effect(
    "slots that are taken away are free when their work has ended, and new ones serve who waits",
    () =>
      Effect.gen(function* () {
        const of = (permits: number): Bulkhead.Options => ({
          requests: { permits, maxQueue: 10, maxQueuePerClient: 10 },
          statements: { permits: 5, maxQueue: 10, maxQueuePerClient: 10 }
        })
        const { live, set } = Live.make(of(2))
        const bulkhead = yield* Bulkhead.make(live)
        const acquire = bulkhead.acquire("requests", { client: "a", tier: "default", maxWaitMs: 60_000 })
        const [one, two] = [yield* acquire, yield* acquire]
        yield* set(of(1))
        const waits = yield* Effect.fork(acquire)
        const alsoWaits = yield* Effect.fork(acquire)
        yield* TestClock.adjust("1 second")
        yield* bulkhead.release(one)
        yield* TestClock.adjust("1 second")
        expect(waits.unsafePoll()).toBeNull()
        yield* set(of(3))
        yield* bulkhead.release(two)
        yield* Fiber.join(waits)
        yield* Fiber.join(alsoWaits)
        expect((yield* bulkhead.status)[0]).toMatchObject({ permits: 3, inUse: 2, queued: 0 })
      })
  )

  it.effect("what one call may ask for is that of the new tiers", () =>
    Effect.gen(function* () {
      const { live, set } = Live.make(settings({ tiers: { default: { max_rows: 5 } } }))
      const layer = CallPolicy.layer(Live.map(live, ServerConfig.callPolicyTiers))
      yield* Effect.gen(function* () {
        const policy = yield* CallPolicy.CallPolicy
        expect(policy.of("default").maxRows).toBe(5)
        yield* set(settings({ tiers: { default: { max_rows: 7, deny_tools: ["explain_query"] } } }))
        expect(policy.of("default").maxRows).toBe(7)
        expect(CallPolicy.hasTool(policy.of("gone"), "explain_query")).toBe(false)
      }).pipe(Effect.provide(layer))
    })
  )

  it.effect("a value that is derived is computed once for each value", () =>
    Effect.gen(function* () {
      const { live, set } = Live.make({ n: 1 })
      let computed = 0
      const doubled = Live.map(live, ({ n }) => {
        computed++
        return { n: 2 * n }
      })
      const first = doubled.current()
      expect(doubled.current()).toBe(first)
      yield* set({ n: 2 })
      expect([doubled.current().n, doubled.current().n, computed]).toEqual([4, 4, 2])
    })
  )
})
