import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Metric, TestClock } from "effect"
import * as Guard from "../../src/guard/Guard.js"
import { EventLoop } from "../../src/platform/EventLoop.js"
import * as Live from "../../src/platform/Live.js"
import * as MetricHandles from "../../src/platform/metrics.js"
import * as Prometheus from "../../src/observe/prometheus.js"
import { CurrentPrincipal } from "../../src/platform/Principal.js"
import * as Quota from "../../src/quota/Quota.js"
import * as QuotaStore from "../../src/quota/QuotaStore.js"
import { ScanBudgetExceeded } from "../../src/gate/ScanBudget.js"
import { StatementRejected } from "../../src/gate/ReadOnly.js"
import { Overloaded } from "../../src/guard/Bulkhead.js"
import { CircuitOpen, Phase } from "../../src/guard/CircuitBreaker.js"
import { DeadlineExceeded } from "../../src/guard/Deadline.js"
import { Degraded, Mode } from "../../src/guard/Degradation.js"
import { RepeatedFailure } from "../../src/guard/LoopGuard.js"
import { RateLimited } from "../../src/guard/RateLimiter.js"
import * as ErrorReport from "../../src/mcp/ErrorReport.js"
import { WarehouseSuspended } from "../../src/quota/Credits.js"
import type { RequestError } from "../../src/tools/Tool.js"
import * as HttpMetrics from "../../src/mcp/http/Metrics.js"
import * as Activity from "../../src/observe/Activity.js"
import * as Gauges from "../../src/operate/Gauges.js"
import * as CallPolicy from "../../src/tools/CallPolicy.js"
import { Toolbox } from "../../src/tools/Toolbox.js"
import * as Testing from "../../src/server/Testing.js"

/** Label values of the metric's counters. */
const labels = (name: string): ReadonlyArray<string> =>
  Metric.unsafeSnapshot()
    .filter(({ metricKey }) => metricKey.name === name)
    .flatMap(({ metricKey }) => metricKey.tags.map(({ value }) => value))
    .sort()

/** One of each kind that refuses a call before anything is sent. */
const refusing: {
  readonly [T in Exclude<RequestError["_tag"], "WarehouseError" | "ToolError">]: RequestError & {
    readonly _tag: T
  }
} = {
  RateLimited: new RateLimited({
    scope: "tool",
    ratePerSecond: 1,
    burst: 1,
    remaining: 0,
    retryAfterMs: 1,
    retryHintMs: 1,
    never: false
  }),
  QuotaExceeded: new Quota.QuotaExceeded({
    scope: "global",
    quota: "bytes_per_day",
    limit: 1,
    used: 1,
    remaining: 0,
    resetAt: 0,
    retryAfterMs: 1
  }),
  QuotaStoreError: new QuotaStore.QuotaStoreError({ operation: "reserve", description: "It is lost." }),
  Overloaded: new Overloaded({
    pool: "statements",
    why: "queue-full",
    permits: 1,
    queued: 1,
    waitedMs: 0,
    retryAfterMs: 1
  }),
  CircuitOpen: new CircuitOpen({ phase: "open", failures: 1, calls: 1, cause: "silence", retryAfterMs: 1 }),
  Degraded: new Degraded({
    mode: "cache-only",
    criticality: "query",
    why: "silence",
    signal: "circuit",
    shed: false,
    retryAfterMs: 1
  }),
  DeadlineExceeded: new DeadlineExceeded({ limitMs: 1, sent: false, of: "attempt" }),
  RepeatedFailure: new RepeatedFailure({
    attempts: 3,
    code: "WAREHOUSE_NOT_FOUND",
    description: "Too large.",
    retryAfterMs: 1
  }),
  StatementRejected: new StatementRejected({ code: "NOT_A_READ", reason: "DROP changes data." }),
  ScanBudgetExceeded: new ScanBudgetExceeded({ estimate: 2, limit: 1, tables: [] }),
  WarehouseSuspended: new WarehouseSuspended({ tier: "default" }),
  ToolDenied: new CallPolicy.ToolDenied({ tool: "execute_query", tier: "default" })
}

describe("Telemetry", () => {
  it.scoped("has the counters of rare events before there is one", () =>
    Effect.gen(function* () {
      yield* Layer.build(Gauges.layer)
      assert.deepStrictEqual(labels("snowguard_breaker_transitions_total"), [...Phase.literals].sort())
      assert.deepStrictEqual(labels("snowguard_degradation_changes_total"), [...Mode.literals].sort())
      assert.deepStrictEqual(labels("snowguard_quota_store_changes_total"), ["memory", "normal", "outage"])
      assert.deepStrictEqual(labels("snowguard_quota_store_outage_total"), ["admitted", "closed"])
    }).pipe(Effect.provide(Testing.layer()))
  )

  it.scoped(
    "has the counters of calls with every label that the code and the settings know, and of no client",
    () =>
      Effect.gen(function* () {
        const { tools } = yield* Toolbox
        yield* Layer.build(Layer.merge(Gauges.layer, Gauges.layerCalls(tools.map(({ name }) => name))))
        yield* TestClock.adjust("1 second")
        const begun = (name: string, ...wanted: ReadonlyArray<string>): boolean =>
          Metric.unsafeSnapshot().some(({ metricKey }) => {
            const values = metricKey.tags.map(({ value }) => value)
            return metricKey.name === name && wanted.every((one) => values.includes(one))
          })
        assert.isTrue(begun("snowguard_calls_total", "WAREHOUSE_STATEMENT_TIMEOUT", "failed"))
        for (const error of Object.values(refusing)) {
          const { code, scope = "", sideEffects } = ErrorReport.fromError(error, 0)
          assert.strictEqual(sideEffects, "none", code)
          assert.isTrue(begun("snowguard_refusals_total", "default", code, scope), `${code} ${scope}`)
        }
        for (const { name } of tools) {
          for (const [code, kind] of Object.entries(Activity.codes)) {
            assert.isTrue(begun("snowguard_calls_total", name, "default", code, kind), `${name} ${code}`)
          }
          assert.isTrue(begun("snowguard_calls_total", name, "ok"))
          assert.isTrue(begun("snowguard_calls_total", name, "DEADLINE_EXCEEDED", "failed"))
        }
        for (const [code, kind] of Object.entries(Activity.codes))
          if (kind === "refused") assert.isTrue(begun("snowguard_refusals_total", "default", code), code)
        assert.isTrue(
          begun("snowguard_would_refuse_total", "default", "QUOTA_EXCEEDED", "client:queries_per_hour")
        )
        assert.isTrue(begun("snowguard_attempts_total", "query", "failure"))
        HttpMetrics.begin()
        for (const reason of HttpMetrics.refusalReasons)
          assert.isTrue(begun("snowguard_http_refusals_total", reason), reason)
        for (const result of ["ok", "missing", "invalid", "expired", "insufficient-scope", "unavailable"])
          assert.isTrue(begun("snowguard_http_auth_total", result), result)
        assert.isTrue(begun("snowguard_http_auth_total", "failed-logins"))
        for (const status of ["2xx", "3xx", "4xx", "5xx", "none"]) {
          assert.isTrue(begun("snowguard_http_requests_total", "POST", status), status)
          assert.isTrue(begun("snowguard_http_requests_total", "other", status), status)
        }
        for (const event of ["opened", "closed", "expired", "evicted"])
          assert.isTrue(begun("snowguard_http_sessions_total", event), event)
        for (const event of ["opened", "cancelled", "disconnected"])
          for (const of of ["call", "session", "status"])
            assert.isTrue(begun("snowguard_http_streams_total", event, of), `${event} ${of}`)
        for (const reason of ["stalled", "overflow"])
          assert.isTrue(begun("snowguard_http_unread_total", reason), reason)
        for (const { metricKey } of Metric.unsafeSnapshot())
          assert.notInclude(
            metricKey.tags.map(({ key }) => key),
            "client",
            metricKey.name
          )
      }).pipe(Effect.provide(Testing.layer()))
  )

  it.scoped("has the counters of a tier's own tools, also of a tier that a reload adds", () =>
    Effect.gen(function* () {
      const { live, set } = Live.make<{ readonly [tier: string]: Partial<CallPolicy.TierPolicy> }>({
        narrow: { tools: { allow: [], deny: ["execute_query"] } }
      })
      const toolsOf = (tier: string) =>
        new Set(
          Metric.unsafeSnapshot().flatMap(({ metricKey: { name, tags } }) => {
            const own = tags.some(({ key, value }) => key === "tier" && value === tier)
            return name === "snowguard_calls_total" && own
              ? tags.filter(({ key }) => key === "tool").map(({ value }) => value)
              : []
          })
        )
      yield* Layer.build(
        Layer.provide(Gauges.layerCalls(["execute_query", "get_limits"]), CallPolicy.layer(live))
      )
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(toolsOf("narrow"), new Set(["get_limits"]))
      assert.deepStrictEqual(toolsOf("added"), new Set())
      yield* set({ added: {} })
      assert.deepStrictEqual(toolsOf("added"), new Set(["execute_query", "get_limits"]))
    })
  )

  /** The lines of /metrics that hold a name, without labels of other tests. */
  const scraped = Effect.map(Metric.snapshot, Prometheus.render)

  it.effect("tells of a quota that is low, and again when it is not", () =>
    Effect.gen(function* () {
      const tier = "metered"
      const left = Effect.gen(function* () {
        yield* Gauges.sample
        const line = new RegExp(
          `^snowguard_quota_left_ratio\\{quota="requests_per_hour",tier="${tier}"\\} (.*)$`,
          "m"
        )
        return Number(line.exec(yield* scraped)?.[1] ?? Number.NaN)
      })
      const guard = yield* Guard.Guard
      const as = (client: string) => Effect.provideService(CurrentPrincipal, { client, tier })
      const call = guard.run(
        { tool: "execute_query", class: "query", deadlineMs: 1000, estimatedBytes: 1 },
        ({ markSent }) => markSent
      )
      yield* Effect.repeatN(as("ana")(call), 8)
      assert.closeTo(yield* left, 0.1, 1e-9)
      yield* as("ben")(call)
      assert.closeTo(yield* left, 0.1, 1e-9)
      yield* as("ana")(call)
      assert.strictEqual(yield* left, 0)
      // An hour passes without a call.
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(yield* left, 1)
      yield* Effect.repeatN(as("ana")(call), 9)
      assert.strictEqual(yield* left, 0)
      // An operator's hand.
      const store = yield* QuotaStore.QuotaStore
      for (const { key } of (yield* store.list()).usage) yield* store.reset(key)
      assert.strictEqual(yield* left, 1)
    }).pipe(
      Effect.provide(
        Testing.layer(
          {},
          { quota: Layer.orDie(Quota.layer({ tiers: { default: {}, metered: { requests_per_hour: 10 } } })) }
        )
      )
    )
  )

  it.effect("tells by how much the event loop is late, in seconds", () =>
    Effect.gen(function* () {
      yield* Gauges.sample
      const text = yield* scraped
      assert.include(text, "\nsnowguard_event_loop_lag_p99_seconds 0.012\n")
      assert.include(text, "\nsnowguard_event_loop_lag_max_seconds 1.5\n")
    }).pipe(
      Effect.provide(Testing.layer()),
      Effect.provideService(EventLoop, { delay: Effect.succeed({ p99Ms: 12, maxMs: 1500 }) })
    )
  )

  it.effect("counts what only grows as counters, under names that say so", () =>
    Effect.gen(function* () {
      yield* Gauges.sample
      const types = new Map(
        [...(yield* scraped).matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = "", type]) => [name, type])
      )
      for (const name of [
        "snowguard_retries_total",
        "snowguard_retries_exhausted_total",
        "snowguard_cache_hits_total",
        "snowguard_loop_guard_refused_total",
        "process_cpu_seconds_total"
      ])
        assert.strictEqual(types.get(name), "counter", name)
      for (const [name, type] of types) {
        assert.strictEqual(name.endsWith("_total"), type === "counter", `${name} is a ${type}`)
      }
    }).pipe(Effect.provide(Testing.layer()))
  )

  it.effect("follows the totals of a service, and of the one that takes its place", () =>
    Effect.gen(function* () {
      const shown = MetricHandles.total("test_followed_total", "For this test.")
      const value = Effect.map(scraped, (text) => /^test_followed_total (.*)$/m.exec(text)?.[1])
      shown({}, 3)
      shown({}, 5)
      assert.strictEqual(yield* value, "5")
      shown({}, 2)
      assert.strictEqual(yield* value, "7")
    })
  )
})
