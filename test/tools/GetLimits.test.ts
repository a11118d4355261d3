import { describe, expect, it } from "@effect/vitest"
import type { FiberId } from "effect"
import { Effect, Equal, Layer, TestClock } from "effect"
import type { PoolStatus } from "../../src/guard/Bulkhead.js"
import { Bulkhead } from "../../src/guard/Bulkhead.js"
import type { Status } from "../../src/guard/CircuitBreaker.js"
import { CircuitBreaker } from "../../src/guard/CircuitBreaker.js"
import type { QuotaStatus } from "../../src/quota/Quota.js"
import { Quota } from "../../src/quota/Quota.js"
import type { Health } from "../../src/quota/QuotaStore.js"
import { QuotaStoreError, StoreHealth } from "../../src/quota/QuotaStore.js"
import type { ScopeStatus } from "../../src/guard/RateLimiter.js"
import { RateLimiter } from "../../src/guard/RateLimiter.js"
import * as GetLimits from "../../src/tools/GetLimits.js"
import * as Fakes from "../utils/fakeGuards.js"

const scopes: ReadonlyArray<ScopeStatus> = [
  {
    scope: "client",
    ratePerSecond: 10,
    burst: 100,
    remaining: 49.7,
    resetMs: 5030.2,
    weights: { execute_query: 5 }
  },
  { scope: "class", name: "query", ratePerSecond: 20, burst: 50, remaining: 0, resetMs: 2500, reserved: 12.5 }
]
const hourly: QuotaStatus = {
  scope: "client",
  quota: "requests_per_hour",
  limit: 3600,
  used: 5,
  remaining: 3595,
  resetAt: Date.UTC(2026, 0, 1, 13)
}
const open: Status = {
  phase: "open",
  generation: 3,
  trips: 1,
  calls: 10,
  failures: 4,
  slow: 0,
  consecutiveFailures: 3,
  retryAfterMs: 12_345.6,
  stale: 0,
  cause: "3 failures in a row"
}
const pool: PoolStatus = { pool: "statements", permits: 20, inUse: 20, queued: 3, estimatedWaitMs: 800.5 }

const services = (quota: Layer.Layer<Quota>) =>
  Layer.mergeAll(
    Layer.mock(RateLimiter, {
      status: (client, tier) => Effect.succeed(client === "team" && tier === "gold" ? scopes : [])
    }),
    quota,
    Layer.mock(CircuitBreaker, { status: Effect.succeed(open) }),
    Layer.mock(Bulkhead, { status: Effect.succeed([pool]) })
  )
const working = Layer.mock(Quota, { status: () => Effect.succeed([hourly]) })

describe("get_limits", () => {
  it.effect("shows the caller's limits, quotas, the circuit, the queues and the caps", () =>
    Effect.gen(function* () {
      const { call, guard } = yield* Fakes.harness(GetLimits.make, { services: services(working) })
      const result = yield* call({}).pipe(Fakes.as("team", "gold"))
      expect(result).toEqual({
        client: "team",
        tier: "gold",
        mode: { mode: "normal", why: "degradation is switched off", shedding: 0 },
        backoff_factor: 1,
        rate_limits: [
          {
            scope: "client",
            per_second: 10,
            burst: 100,
            remaining: 49,
            full_in_ms: 5031,
            weights: { execute_query: 5 }
          },
          {
            scope: "class",
            name: "query",
            per_second: 20,
            burst: 50,
            remaining: 0,
            full_in_ms: 2500,
            reserved: 12
          }
        ],
        quotas: [
          {
            scope: "client",
            quota: "requests_per_hour",
            limit: 3600,
            used: 5,
            remaining: 3595,
            resets_at: "2026-01-01T13:00:00.000Z"
          }
        ],
        circuit: {
          phase: "open",
          calls: 10,
          failures: 4,
          next_probe_in_ms: 12_346,
          cause: "3 failures in a row"
        },
        concurrency: [{ pool: "statements", slots: 20, in_use: 20, queued: 3, estimated_wait_ms: 801 }],
        caps: {
          default_rows: 100,
          max_rows: 10_000,
          max_result_bytes: 1024 * 1024,
          query_timeout_seconds: 45,
          max_query_timeout_seconds: 300
        }
      })
      expect((yield* guard.seen).operations).toEqual([])
    })
  )

  it.effect("answers without quotas, and says so, when their store fails", () =>
    Effect.gen(function* () {
      const error = new QuotaStoreError({ operation: "usage", description: "the disk is full" })
      const broken = Layer.mock(Quota, { status: () => Effect.fail(error) })
      const { call } = yield* Fakes.harness(GetLimits.make, { services: services(broken) })
      const result = yield* call({}).pipe(Fakes.as("team", "gold"))
      expect(result).toMatchObject({ quotas: [], quotas_unavailable: "the disk is full" })
      expect(result.rate_limits).toHaveLength(2)
    })
  )

  it.effect("answers without quotas when their store does not, also when it cannot be interrupted", () =>
    Effect.gen(function* () {
      const silent = Layer.mock(Quota, { status: () => Effect.uninterruptible(Effect.never) })
      const { call } = yield* Fakes.harness(GetLimits.make, { services: services(silent) })
      const fiber = yield* Effect.fork(call({}))
      yield* TestClock.adjust("2 seconds")
      const result = yield* fiber
      expect(result).toMatchObject({
        quotas: [],
        quotas_unavailable: "the quota store did not answer in time"
      })
    })
  )

  it.effect("reads quotas in its own fiber where the store bounds its waits, and beside it otherwise", () =>
    Effect.gen(function* () {
      const readers: Array<FiberId.FiberId> = []
      const quota = Layer.mock(Quota, {
        status: () =>
          Effect.map(Effect.fiberId, (id) => {
            readers.push(id)
            return [hourly]
          })
      })
      const normal = Effect.succeed<Health>({ mode: "normal" })
      for (const boundMs of [0, 250, 2_000, 2_001, undefined]) {
        const health = Layer.succeed(StoreHealth, { status: normal, boundMs })
        const { call } = yield* Fakes.harness(GetLimits.make, {
          services: Layer.merge(services(quota), health)
        })
        expect((yield* call({})).quotas).toHaveLength(1)
      }
      const own = yield* Effect.fiberId
      expect(readers.map((id) => Equal.equals(id, own))).toEqual([true, true, true, false, false])
    })
  )

  it.effect("tells where quotas are counted while it is not where they should be", () =>
    Effect.gen(function* () {
      const health: Layer.Layer<StoreHealth> = Layer.succeed(StoreHealth, {
        status: Effect.succeed<Health>({
          mode: "outage",
          since: Date.UTC(2026, 0, 1, 13),
          reason: "the cable is cut"
        })
      })
      const { call } = yield* Fakes.harness(GetLimits.make, {
        services: Layer.merge(services(working), health)
      })
      expect((yield* call({})).quota_store).toEqual({
        mode: "outage",
        since: "2026-01-01T13:00:00.000Z",
        reason: "the cable is cut"
      })
    })
  )

  it.effect("stays valid JSON when something is unlimited or never resets", () =>
    Effect.gen(function* () {
      const { call } = yield* Fakes.harness(GetLimits.make, {
        services: Layer.mergeAll(
          Layer.mock(RateLimiter, {
            status: () =>
              Effect.succeed([
                {
                  scope: "global" as const,
                  ratePerSecond: Infinity,
                  burst: Infinity,
                  remaining: Infinity,
                  resetMs: 0
                }
              ])
          }),
          Layer.mock(Quota, {
            status: () =>
              Effect.succeed([{ ...hourly, limit: Infinity, remaining: Infinity, resetAt: Infinity }])
          }),
          Layer.mock(CircuitBreaker, { status: Effect.succeed({ ...open, retryAfterMs: Infinity }) }),
          Layer.mock(Bulkhead, { status: Effect.succeed([{ ...pool, estimatedWaitMs: Infinity }]) })
        )
      })
      // The harness checks the answer against the JSON Schema, which knows no infinity.
      const result = yield* call({})
      expect(result.quotas[0]?.resets_at).toBe("never")
    })
  )
})
