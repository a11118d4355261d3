import { describe, expect, it } from "@effect/vitest"
import { Effect, Either, Layer, Option, Stream, TestClock } from "effect"
import * as Bulkhead from "../../src/guard/Bulkhead.js"
import * as CircuitBreaker from "../../src/guard/CircuitBreaker.js"
import * as Degradation from "../../src/guard/Degradation.js"
import * as Guard from "../../src/guard/Guard.js"
import * as RateLimiter from "../../src/guard/RateLimiter.js"
import * as Retry from "../../src/guard/Retry.js"
import { CurrentPrincipal } from "../../src/platform/Principal.js"
import * as Quota from "../../src/quota/Quota.js"
import * as QuotaStore from "../../src/quota/QuotaStore.js"
import * as ResultCache from "../../src/tools/ResultCache.js"
import { CallNotes } from "../../src/tools/callNotes.js"
import * as Query from "../../src/tools/query.js"
import { Warehouse } from "../../src/warehouse/Warehouse.js"
import * as Fakes from "../utils/fakeGuards.js"

const low = {
  scope: "client",
  quota: "requests_per_hour",
  limit: 10,
  used: 9,
  remaining: 1,
  resetAt: 3_600_000
} as const

describe("a look-up in the catalog", () => {
  it.effect("shares its value with others and keeps to itself what it was told beside it", () =>
    Effect.gen(function* () {
      const cache = yield* ResultCache.make({ freshMs: 30_000 })
      const { layer } = yield* Fakes.services({ warnings: [low] })
      const calls = yield* Effect.provide(
        Query.make,
        Layer.merge(layer, Layer.succeed(ResultCache.ResultCache, cache))
      )
      const ask = (client: string) =>
        calls.metadata("list_things", "all", () => Effect.succeed(["thing"])).pipe(Fakes.as(client))
      const first = yield* ask("ann")
      expect(first.meta.quota_warnings).toHaveLength(1)
      const kept = yield* cache.lookup(JSON.stringify(["", "default", "list_things", "all"]))
      expect(Option.getOrThrow(kept).value).toEqual(["thing"])
      yield* TestClock.adjust("2 seconds")
      expect(yield* ask("bob")).toEqual({ value: ["thing"], meta: { elapsed_ms: 0, age_seconds: 2 } })
    })
  )

  it.effect("waits no longer for another client's look-up than its own deadline", () =>
    Effect.gen(function* () {
      const cache = yield* ResultCache.make({ freshMs: 30_000 })
      const { layer } = yield* Fakes.services({ policy: { metadataTimeoutMs: 1_000 } })
      const calls = yield* Effect.provide(
        Query.make,
        Layer.merge(layer, Layer.succeed(ResultCache.ResultCache, cache))
      )
      const ask = (client: string) =>
        calls.metadata("list_things", "all", () => Effect.never).pipe(Fakes.as(client))
      yield* Effect.fork(ask("ann"))
      yield* Effect.yieldNow()
      const follower = yield* Effect.fork(Effect.flip(ask("bob")))
      yield* Effect.yieldNow()
      yield* TestClock.adjust(2_000)
      expect(yield* follower).toMatchObject({
        _tag: "DeadlineExceeded",
        limitMs: 2_000,
        sent: false,
        of: "call"
      })
    })
  )
})

/** Takes a second to find a session, and a second for the statement. */
const warehouse = (reportsSubmit: boolean) =>
  Warehouse.of({
    dialect: "snowflake",
    reportsSubmit,
    execute: ({ onSubmit }) =>
      Effect.sleep("1 second").pipe(
        Effect.zipRight(onSubmit ?? Effect.void),
        Effect.zipRight(Effect.sleep("1 second")),
        Effect.as({ queryId: "q", columns: [], rows: Stream.empty })
      )
  })

const layer = Layer.provideMerge(
  Guard.layer(),
  Layer.mergeAll(
    Layer.provideMerge(
      Degradation.layer(),
      Layer.merge(
        CircuitBreaker.layer(),
        Bulkhead.layer({
          requests: { permits: 5, maxQueue: 5, maxQueuePerClient: 5 },
          statements: { permits: 5, maxQueue: 5, maxQueuePerClient: 5 }
        })
      )
    ),
    Retry.layerNoop,
    RateLimiter.layerNoop,
    Layer.provideMerge(
      Quota.layer({ tiers: { default: { requests_per_hour: 100 } } }),
      QuotaStore.layerMemory
    )
  )
)

/** How a query ends that has so much time, what was charged for it, and how the warehouse is judged. */
const query = (timeoutMs: number, reportsSubmit = true) =>
  Effect.gen(function* () {
    const guard = yield* Guard.Guard
    const quota = yield* Quota.Quota
    const running = guard.run(
      { tool: "execute_query", class: "query", deadlineMs: 10_000, timeoutMs, estimatedBytes: 0 },
      (attempt) =>
        Query.collect(warehouse(reportsSubmit), attempt, new CallNotes(), {
          statement: { sql: "SELECT 1" },
          timeoutMs,
          maxRows: 1,
          maxBytes: 1_000
        })
    )
    const fiber = yield* Effect.fork(Effect.either(running))
    yield* TestClock.adjust("10 seconds")
    const end = yield* fiber
    const { client, tier } = yield* CurrentPrincipal
    const [used] = yield* quota.status(client, tier)
    return { end: Either.isLeft(end) ? end.left : "answered", used: used?.used }
  })

describe("a statement", () => {
  it.effect("counts as sent when it leaves, not while it waits for a session", () =>
    Effect.gen(function* () {
      const { end, used } = yield* query(500)
      expect(end).toMatchObject({ _tag: "DeadlineExceeded", sent: false })
      expect(used).toBe(0)
    }).pipe(Effect.provide(layer))
  )

  it.effect("is paid for once it has left", () =>
    Effect.gen(function* () {
      expect(yield* query(1_500)).toMatchObject({
        end: { _tag: "DeadlineExceeded", sent: true },
        used: 1
      })
      expect(yield* query(2_500)).toMatchObject({ end: "answered", used: 2 })
    }).pipe(Effect.provide(layer))
  )

  it.effect("counts as sent at once in a warehouse that does not say when it leaves", () =>
    Effect.gen(function* () {
      expect(yield* query(500, false)).toMatchObject({ end: { sent: true }, used: 1 })
    }).pipe(Effect.provide(layer))
  )
})
