import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Layer, Logger, Metric, Scope, TestClock } from "effect"
import * as Quota from "../../../src/quota/Quota.js"
import * as QuotaStore from "../../../src/quota/QuotaStore.js"
import * as Opened from "../../../src/quota/stores/Opened.js"
import * as Outage from "../../../src/quota/stores/Outage.js"
import { contract } from "../QuotaStore.contract.js"

const DAY = 86_400_000
type Store = typeof QuotaStore.QuotaStore.Service

contract("memory, watched for outages", Layer.orDie(Outage.layer(QuotaStore.layerMemory)), { numRuns: 40 })

/** A store that can be lost: refusing at once, not answering, or answering only after it has acted. */
const makeFragile = Effect.gen(function* () {
  const control = {
    state: "up" as "up" | "down" | "silent" | "deaf",
    calls: 0,
    memory: yield* QuotaStore.makeMemory()
  }
  const error = new QuotaStore.QuotaStoreError({ operation: "test", description: "the cable is cut" })
  const through = <A>(f: (store: Store) => Effect.Effect<A, QuotaStore.QuotaStoreError>) =>
    Effect.suspend(() => {
      control.calls += 1
      switch (control.state) {
        case "up":
          return f(control.memory)
        case "down":
          return Effect.fail(error)
        case "silent":
          return Effect.never
        case "deaf":
          return Effect.zipRight(f(control.memory), Effect.never)
      }
    })
  const store: Store = {
    reserve: (charges, ttlMs) => through((memory) => memory.reserve(charges, ttlMs)),
    submitted: (id) => through((memory) => memory.submitted(id)),
    settle: (id, actual) => through((memory) => memory.settle(id, actual)),
    release: (id) => through((memory) => memory.release(id)),
    check: (charges) => through((memory) => memory.check(charges)),
    usage: (key) => through((memory) => memory.usage(key)),
    list: (cursor) => through((memory) => memory.list(cursor)),
    reset: (key, quota) => through((memory) => memory.reset(key, quota))
  }
  return { control, store }
})

const charge = (amount = 1, overrides: Partial<QuotaStore.Charge> = {}): QuotaStore.Charge => ({
  key: "client:a",
  quota: "requests_per_day",
  limit: 100,
  amount,
  onOutage: "share",
  ...overrides
})
const reserved = (decision: QuotaStore.Decision): string => {
  if (decision._tag === "Refused") throw new Error("refused")
  return decision.reservation
}
const spend = (store: Store, amount: number, overrides: Partial<QuotaStore.Charge> = {}) =>
  Effect.flatMap(store.reserve([charge(amount, overrides)], DAY), (decision) =>
    store.settle(reserved(decision), [])
  )

/** How many of `times` single charges are admitted, and settled. */
const admitted = (store: Store, times: number) =>
  Effect.map(
    Effect.forEach(Array.from({ length: times }), () => Effect.exit(spend(store, 1))),
    (exits) => exits.filter(Exit.isSuccess).length
  )

const quiet = Logger.remove(Logger.defaultLogger)
const usedOf = (memory: Store) =>
  Effect.map(memory.usage("client:a"), ([usage]) => [usage?.used ?? 0, usage?.reserved ?? 0])

describe("while the store is out of reach", () => {
  it.scoped("a tier is refused unless it has a share, without asking the store again", () =>
    Effect.gen(function* () {
      const { control, store: inner } = yield* makeFragile
      const { health, store } = yield* Outage.make(inner)
      yield* spend(store, 1)
      control.state = "down"
      const error = yield* Effect.flip(store.reserve([charge(1, { onOutage: "closed" })], DAY))
      expect(error).toMatchObject({ _tag: "QuotaStoreError", operation: "reserve", retryAfterMs: 5000 })
      expect(error.description).toContain("the cable is cut")
      const { calls } = control
      yield* Effect.flip(store.reserve([charge(1, { onOutage: undefined })], DAY))
      yield* Effect.flip(store.check([charge(1), charge(1, { key: "global", onOutage: "closed" })]))
      expect(control.calls).toBe(calls)
      expect(yield* health.status).toEqual({
        mode: "outage",
        since: 0,
        reason: "the cable is cut",
        refusing: true
      })
    }).pipe(Effect.provide(quiet))
  )

  it.scoped("replicas admit together what was left, charge it once when it is back, and no more", () =>
    Effect.gen(function* () {
      const { control, store: inner } = yield* makeFragile
      const replicas = yield* Effect.all(
        Array.from({ length: 4 }, () => Outage.make(inner, { replicas: Effect.succeed(4) }))
      )
      for (const { store } of replicas) yield* spend(store, 5)
      for (const { store } of replicas) yield* store.reserve([charge(0)], 1)
      control.state = "down"
      const counts = yield* Effect.all(replicas.map(({ store }) => admitted(store, 50)))
      expect(counts).toEqual([20, 20, 20, 20])
      expect(yield* usedOf(control.memory)).toEqual([20, 0])
      control.state = "up"
      yield* TestClock.adjust("10 seconds")
      expect(yield* usedOf(control.memory)).toEqual([100, 0])
      yield* TestClock.adjust("1 minute")
      expect(yield* usedOf(control.memory)).toEqual([100, 0])
      for (const { health } of replicas) expect(yield* health.status).toMatchObject({ mode: "normal" })
      const after = yield* Effect.all(replicas.map(({ store }) => admitted(store, 5)))
      expect(after).toEqual([0, 0, 0, 0])
    }).pipe(Effect.provide(quiet))
  )

  it.scoped("what was asked and not answered is decided by the share, and is not asked again", () =>
    Effect.gen(function* () {
      const { control, store: inner } = yield* makeFragile
      const { store } = yield* Outage.make(inner, { policy: "share", timeoutMs: 500 })
      yield* spend(store, 1)
      control.state = "deaf"
      const fiber = yield* Effect.fork(store.reserve([charge(30)], 60_000))
      yield* TestClock.adjust("500 millis")
      expect((yield* fiber)._tag).toBe("Granted")
      // Of 99 that were left, 30 are held by the call whose answer was lost.
      expect((yield* store.check([charge(69)]))._tag).toBe("Granted")
      expect(yield* Effect.flip(store.check([charge(70)]))).toMatchObject({ _tag: "QuotaStoreError" })
      expect(yield* usedOf(control.memory)).toEqual([1, 30])
    }).pipe(Effect.provide(quiet))
  )

  it.scoped("a store that refuses to answer is not waited for longer than a moment", () =>
    Effect.gen(function* () {
      const { control, store: inner } = yield* makeFragile
      const { health, store } = yield* Outage.make(inner, { timeoutMs: 500 })
      control.state = "silent"
      const fiber = yield* Effect.fork(Effect.flip(store.reserve([charge(1, { onOutage: "closed" })], DAY)))
      yield* TestClock.adjust("500 millis")
      expect((yield* fiber).description).toContain("nothing")
      expect((yield* health.status).reason).toContain("no answer within 500 ms")
    }).pipe(Effect.provide(quiet))
  )

  it.scoped(
    "the end of an earlier reservation is an error, and the reservation counts until it expires",
    () =>
      Effect.gen(function* () {
        const { control, store: inner } = yield* makeFragile
        const { store } = yield* Outage.make(inner)
        const take = Effect.map(store.reserve([charge(10)], 60_000), reserved)
        const [submitted, released] = [yield* take, yield* take]
        yield* store.submitted(submitted)
        control.state = "down"
        expect(yield* Effect.flip(store.settle(submitted, []))).toMatchObject({ operation: "test" })
        const { calls } = control
        expect(yield* Effect.flip(store.release(released))).toMatchObject({ operation: "release" })
        expect(control.calls).toBe(calls)
        control.state = "up"
        yield* TestClock.adjust("10 seconds")
        expect(yield* usedOf(control.memory)).toEqual([0, 20])
        yield* TestClock.adjust("1 minute")
        expect(yield* usedOf(control.memory)).toEqual([10, 0])
      }).pipe(Effect.provide(quiet))
  )

  it.scoped("calls still at work when it is back are charged once, with what they hold", () =>
    Effect.gen(function* () {
      const { control, store: inner } = yield* makeFragile
      const { store } = yield* Outage.make(inner)
      yield* spend(store, 1)
      control.state = "down"
      const id = reserved(yield* store.reserve([charge(5)], DAY))
      const other = reserved(yield* store.reserve([charge(5)], DAY))
      control.state = "up"
      yield* TestClock.adjust("1 second")
      expect(yield* usedOf(control.memory)).toEqual([11, 0])
      yield* store.settle(id, [{ key: "client:a", quota: "requests_per_day", amount: 8 }])
      yield* store.settle(id, [{ key: "client:a", quota: "requests_per_day", amount: 8 }])
      yield* store.release(other)
      expect(yield* usedOf(control.memory)).toEqual([11, 0])
    }).pipe(Effect.provide(quiet))
  )

  it.scoped("what was admitted in a window that is over is not charged to the next", () =>
    Effect.gen(function* () {
      const { control, store: inner } = yield* makeFragile
      yield* TestClock.setTime(DAY - 1000)
      const { store } = yield* Outage.make(inner)
      yield* spend(store, 1)
      control.state = "down"
      yield* spend(store, 7)
      yield* TestClock.adjust("2 seconds")
      control.state = "up"
      yield* TestClock.adjust("1 minute")
      expect(yield* usedOf(control.memory)).toEqual([0, 0])
    }).pipe(Effect.provide(quiet))
  )
})

describe("when the store is back", () => {
  it.scoped("and lost again while it is told, it is told nothing twice", () =>
    Effect.gen(function* () {
      const { control, store: inner } = yield* makeFragile
      const settles: Array<string> = []
      const { health, store } = yield* Outage.make(
        {
          ...inner,
          // It answers the probe, acts on the charge that it is told, and its answer is lost.
          settle: (id, actual) => {
            settles.push(id)
            const settled = inner.settle(id, actual)
            return id.startsWith("outage-") ? Effect.zipRight(settled, Effect.never) : settled
          }
        },
        { timeoutMs: 50 }
      )
      yield* spend(store, 1)
      control.state = "down"
      yield* spend(store, 20)
      control.state = "up"
      yield* TestClock.adjust("30 seconds")
      expect((yield* health.status).mode).toBe("normal")
      expect(settles.filter((id) => id.startsWith("outage-"))).toHaveLength(1)
      expect(yield* usedOf(control.memory)).toEqual([21, 0])
    }).pipe(Effect.provide(quiet))
  )

  it.scoped("a file that can be read but not written is not taken for one that is back", () =>
    Effect.gen(function* () {
      const { control, store: inner } = yield* makeFragile
      const { health, store } = yield* Outage.make({
        ...inner,
        settle: (...args) => (control.state === "deaf" ? Effect.fail(full) : inner.settle(...args)),
        check: (charges) => control.memory.check(charges)
      })
      control.state = "down"
      yield* Effect.flip(store.reserve([charge(1)], DAY))
      control.state = "deaf"
      yield* TestClock.adjust("10 seconds")
      expect((yield* health.status).mode).toBe("outage")
    }).pipe(Effect.provide(quiet))
  )
  const full = new QuotaStore.QuotaStoreError({ operation: "settle", description: "the disk is full" })

  it.scoped("each change of mode is logged and counted", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const logger = Logger.make(({ logLevel, message }) => {
        lines.push(`${logLevel.label} ${String(message)}`)
      })
      // By its name: the description is a part of a metric's key.
      const count = (to: string) =>
        Effect.map(Metric.snapshot, (pairs) =>
          pairs
            .filter(({ metricKey: { name, tags } }) => {
              return name === "snowguard_quota_store_changes_total" && tags.some(({ value }) => value === to)
            })
            .reduce(
              (sum, { metricState }) => sum + ("count" in metricState ? Number(metricState.count) : 0),
              0
            )
        )
      const before = yield* Effect.all([count("outage"), count("normal")])
      const { control, store: inner } = yield* makeFragile
      yield* Effect.gen(function* () {
        const { store } = yield* Outage.make(inner)
        control.state = "down"
        yield* Effect.flip(store.reserve([charge(1)], DAY))
        yield* Effect.flip(store.reserve([charge(1)], DAY))
        control.state = "up"
        yield* TestClock.adjust("1 second")
      }).pipe(Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
      expect(lines).toEqual([
        "WARN the quota store is out of reach: the cable is cut",
        "INFO the quota store is back"
      ])
      const after = yield* Effect.all([count("outage"), count("normal")])
      expect(after.map((n, i) => n - (before[i] ?? 0))).toEqual([1, 1])
    })
  )
})

describe("tiers", () => {
  it.scoped("each have their own answer to an outage", () =>
    Effect.gen(function* () {
      const { control, store: inner } = yield* makeFragile
      const { store } = yield* Outage.make(inner)
      const quota = yield* Quota.make({
        tiers: { default: { requests_per_hour: 10 }, gold: {} },
        global: { requests_per_hour: 100 },
        outage: { gold: "share" }
      }).pipe(Effect.provideService(QuotaStore.QuotaStore, store))
      const request = (tier: string) =>
        quota.reserve({ client: tier, tier, class: "query", estimatedBytes: 0, deadlineMs: 1000 })
      yield* request("gold")
      yield* request("plain")
      control.state = "down"
      expect((yield* request("gold")).status).toMatchObject([{ scope: "global", limit: 100 }])
      expect(yield* Effect.flip(request("plain"))).toMatchObject({ _tag: "QuotaStoreError" })
    }).pipe(Effect.provide(quiet))
  )
})

describe("a store that cannot be opened", () => {
  const broken = Layer.fail(new QuotaStore.QuotaStoreError({ operation: "open", description: "no disk" }))
  const build = (onUnavailable: "refuse" | "memory") =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      return yield* Layer.buildWithScope(Opened.layer(broken, { onUnavailable }), scope)
    })

  it.effect("keeps the server from starting, where it is told to refuse", () =>
    Effect.gen(function* () {
      expect(yield* Effect.flip(build("refuse"))).toMatchObject({
        _tag: "QuotaStoreError",
        description: "no disk"
      })
    })
  )

  it.effect("is replaced by memory, loudly, where it is told to", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const logger = Logger.make(({ logLevel, message }) => {
        lines.push(`${logLevel.label} ${String(message)}`)
      })
      yield* Effect.gen(function* () {
        const store = yield* QuotaStore.QuotaStore
        expect((yield* store.reserve([charge(100)], DAY))._tag).toBe("Granted")
        expect((yield* store.reserve([charge(1)], DAY))._tag).toBe("Refused")
        expect(yield* (yield* QuotaStore.StoreHealth).status).toEqual({
          mode: "memory",
          since: 0,
          reason: "no disk"
        })
      }).pipe(
        Effect.provide(
          Layer.provide(
            Opened.layer(broken, { onUnavailable: "memory" }),
            Logger.replace(Logger.defaultLogger, logger)
          )
        )
      )
      expect(lines).toHaveLength(1)
      expect(lines[0]).toMatch(/^ERROR QUOTAS ARE NOT KEPT: no disk/)
    })
  )
})
