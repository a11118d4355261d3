import { describe, expect, it } from "@effect/vitest"
import { LogLevel } from "effect"
import * as CallPolicy from "../../src/tools/CallPolicy.js"
import * as CircuitBreaker from "../../src/guard/CircuitBreaker.js"
import * as Guard from "../../src/guard/Guard.js"
import * as RateLimiter from "../../src/guard/RateLimiter.js"
import * as ResultCache from "../../src/tools/ResultCache.js"
import * as Http from "../../src/mcp/http/Http.js"
import * as ServerConfig from "../../src/config/ServerConfig.js"
import { settingsOf } from "./samples.js"

const settings = settingsOf({
  document: {
    log: { level: "warning" },
    limits: {
      requests_per_second: 11,
      burst: 12,
      queries_per_second: 13,
      query_burst: 14,
      max_concurrent_requests: 15,
      max_concurrent_statements: 16,
      max_queued: 17,
      max_queued_per_client: 9,
      max_clients: 18,
      reserved_share: 0.4
    },
    breaker: { window_seconds: 1.5, open_seconds: 0.25, probes: 4 },
    timeouts: { metadata_seconds: 2, statement_seconds: 50, max_statement_seconds: 90 },
    results: { default_rows: 30, max_bytes: 2048 },
    global_quota: { bytes_per_day: 99, scan_bytes_per_day: 88 },
    tiers: {
      batch: {
        requests_per_second: 1,
        burst: 5,
        weight: 3,
        max_rows: 20,
        max_statement_seconds: 40,
        allow_functions: ["db.s.f"],
        allow_objects: ["SALES", "*.HR"],
        deny_objects: ['SALES."pay".T'],
        allow_flow: false,
        allow_stages: true,
        wake_warehouse: false,
        max_result_bytes: 4096,
        max_scan_bytes: 1_000_000
      },
      paid: {
        deny_tools: ["explain_query"],
        tools: { execute_query: { requests_per_second: 2, burst: 3 }, list_views: { weight: 0.5 } },
        scan_bytes_per_day: 1_000_000,
        statement_seconds_per_day: 600
      },
      shared: { total_requests_per_second: 6, total_burst: 7 }
    },
    clients: {
      "nightly-report": {
        tier: "batch",
        queries_per_hour: 8,
        statement_seconds_per_day: 77,
        credits_per_hour: 0.5
      },
      constructor: {}
    }
  }
})

describe("options made from settings", () => {
  it("give the limiter its global, class, client and tier buckets", () => {
    const options = ServerConfig.rateLimiterOptions(settings)
    expect(options).toEqual({
      global: { rate: 11, burst: 12 },
      classes: { query: { rate: 13, burst: 14 } },
      tiers: {
        default: { client: { rate: 10, burst: 100, initial: 50 }, tools: {} },
        batch: { client: { rate: 1, burst: 5, initial: 5 }, tools: {} },
        paid: {
          client: { rate: 10, burst: 100, initial: 50 },
          tools: { execute_query: { bucket: { rate: 2, burst: 3 } }, list_views: { weight: 0.5 } }
        },
        shared: { client: { rate: 10, burst: 100, initial: 50 }, total: { rate: 6, burst: 7 }, tools: {} }
      },
      maxClients: 18,
      reserved: 0.4
    })
    expect(options.tiers["toString"]).toBeUndefined()
  })

  it("give a shared server a reserve of its slots, and a Snowflake account no more statements than sessions", () => {
    const of = (statements: number, sessions?: number) =>
      ServerConfig.bulkheadOptions(
        settingsOf({
          document: {
            warehouse: "snowflake",
            limits: { max_concurrent_statements: statements },
            snowflake: sessions === undefined ? {} : { max_sessions: sessions }
          }
        }),
        { shared: true }
      )
    expect(of(20).statements).toMatchObject({ permits: 20, reserve: 5 })
    expect(of(20).requests).toMatchObject({ permits: 50, reserve: 12 })
    expect(of(20, 8).statements).toMatchObject({ permits: 8, reserve: 2 })
    expect(of(4, 100).statements).toMatchObject({ permits: 4, reserve: 1 })
    expect(of(2).statements).toMatchObject({ permits: 2, reserve: 1 })
    expect(of(1).statements).toMatchObject({ permits: 1, reserve: 0 })
    expect(ServerConfig.bulkheadOptions(settings).statements.reserve).toBeUndefined()
  })

  it("give the bulkhead its two pools and the tiers' weights", () => {
    expect(ServerConfig.bulkheadOptions(settings)).toEqual({
      requests: { permits: 15, maxQueue: 17, maxQueuePerClient: 9 },
      // As many as a process of the embedded warehouse runs, of 16 that are set.
      statements: { permits: 12, maxQueue: 17, maxQueuePerClient: 9 },
      tierWeights: { default: 1, batch: 3, paid: 1, shared: 1 }
    })
  })

  it("give the quotas, with no key where nothing is set", () => {
    const { clients, global, tiers } = ServerConfig.quotaOptions(settings)
    expect(tiers["batch"]).toStrictEqual({
      requests_per_hour: 3600,
      requests_per_day: 86_400,
      queries_per_hour: 1800,
      queries_per_day: 43_200,
      bytes_per_day: 1_073_741_824
    })
    expect(clients?.["nightly-report"]).toStrictEqual({
      queries_per_hour: 8,
      statement_seconds_per_day: 77,
      credits_per_hour: 0.5
    })
    expect(tiers["paid"]).toMatchObject({ scan_bytes_per_day: 1_000_000, statement_seconds_per_day: 600 })
    expect(clients?.["valueOf"]).toBeUndefined()
    expect(global).toStrictEqual({ bytes_per_day: 99, scan_bytes_per_day: 88 })
  })

  it("give each tier's call policy, in milliseconds and never above the tier's most", () => {
    const tiers = ServerConfig.callPolicyTiers(settings)
    expect(tiers["default"]).toEqual({
      defaultRows: 30,
      maxRows: 10_000,
      maxResultBytes: 2048,
      metadataTimeoutMs: 2000,
      statementTimeoutMs: 50_000,
      maxStatementTimeoutMs: 90_000,
      allowFunctions: [],
      objects: { allow: [], deny: [] },
      masks: {},
      tools: { allow: [], deny: [] },
      allowFlow: true,
      allowStages: false,
      chargeScans: true,
      chargeCredits: true,
      wakeWarehouse: true
    })
    expect(ServerConfig.callPolicyTiers(ServerConfig.defaults)["default"]).toMatchObject({
      chargeScans: false,
      chargeCredits: false,
      wakeWarehouse: true
    })
    expect(tiers["paid"]?.tools).toEqual({ allow: [], deny: ["explain_query"] })
    expect(tiers["batch"]).toEqual({
      ...tiers["default"],
      defaultRows: 20,
      maxRows: 20,
      statementTimeoutMs: 40_000,
      maxStatementTimeoutMs: 40_000,
      allowFunctions: ["DB.S.F"],
      objects: { allow: ["SALES", "*.HR"], deny: ['SALES."pay".T'] },
      allowFlow: false,
      allowStages: true,
      maxResultBytes: 4096,
      maxScanBytes: 1_000_000,
      wakeWarehouse: false
    })
  })

  it("have what a limit of one client alone needs asked for in every tier", () => {
    const of = (limit: object) =>
      ServerConfig.callPolicyTiers(settingsOf({ document: { clients: { ada: limit } } }))["default"]
    expect(of({ scan_bytes_per_day: 1_000_000 })).toMatchObject({ chargeScans: true, chargeCredits: false })
    expect(of({ credits_per_day: 1 })).toMatchObject({ chargeScans: false, chargeCredits: true })
  })

  it("give the breaker its numbers in milliseconds", () => {
    expect(ServerConfig.breakerOptions(settings)).toEqual({
      consecutiveFailures: 3,
      failureRate: 0.3,
      minimumCalls: 10,
      windowCalls: 100,
      windowMs: 1500,
      slowCallMs: 60_000,
      slowCallRate: 0.9,
      openMs: 250,
      openMaxMs: 300_000,
      probes: 4
    })
  })

  it("put a client in its tier, and every other one in `default`", () => {
    const clients = ["nightly-report", "constructor", "nobody", "toString", "__proto__"]
    expect(clients.map((client) => ServerConfig.tierOf(settings, client))).toEqual([
      "batch",
      "default",
      "default",
      "default",
      "default"
    ])
  })

  it("give the log level", () => {
    expect(ServerConfig.logLevel(settings)).toBe(LogLevel.Warning)
    expect(ServerConfig.logLevel(ServerConfig.defaults)).toBe(LogLevel.Info)
  })
})

describe("the settings and the services", () => {
  const given = ServerConfig.defaults
  const ms = (seconds: number) => seconds * 1000

  it("have the same defaults", () => {
    const { defaults: breaker } = CircuitBreaker
    expect(ServerConfig.breakerOptions(given)).toEqual({
      consecutiveFailures: breaker.consecutiveFailures,
      failureRate: breaker.failureRate,
      minimumCalls: breaker.minimumCalls,
      windowCalls: breaker.windowCalls,
      windowMs: breaker.windowMs,
      slowCallMs: breaker.slowCallMs,
      slowCallRate: breaker.slowCallRate,
      openMs: breaker.firstOpenMs,
      openMaxMs: breaker.maxOpenMs,
      probes: breaker.probeSuccesses
    })
    expect(ServerConfig.callPolicyTiers(given)["default"]).toEqual({
      ...CallPolicy.defaults,
      objects: { allow: [], deny: [] }
    })
    expect(ServerConfig.cacheOptions(given)).toEqual(ResultCache.defaults)
    expect(ServerConfig.rateLimiterOptions(given)).toMatchObject(RateLimiter.defaults)
    expect(Guard.defaults).toMatchObject(ServerConfig.guardOptions(given))
    expect(Http.defaults).toMatchObject(ServerConfig.httpOptions(given))
  })

  it("leave a call that is never answered time to be counted before the window is over", () => {
    const { breaker, timeouts } = given
    const calls = breaker.consecutiveFailures * Math.max(timeouts.statementSeconds + 2, 50)
    expect(ms(breaker.windowSeconds)).toBeGreaterThan(ms(calls))
    expect(breaker.slowCallSeconds).toBeGreaterThan(timeouts.statementSeconds)
  })
})
