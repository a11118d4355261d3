import { Client } from "@modelcontextprotocol/sdk/client/index.js"
import { InMemoryTransport } from "@modelcontextprotocol/sdk/inMemory.js"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { Effect, Either, Layer, Logger, LogLevel, Option, Queue, Ref } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Activity from "../../src/observe/Activity.js"
import type { Entry } from "../../src/observe/Audit.js"
import * as Audit from "../../src/observe/Audit.js"
import * as CircuitBreaker from "../../src/guard/CircuitBreaker.js"
import * as Degradation from "../../src/guard/Degradation.js"
import { McpServer } from "../../src/mcp/McpServer.js"
import * as Operator from "../../src/operate/Operator.js"
import * as Principal from "../../src/platform/Principal.js"
import * as QuotaStore from "../../src/quota/QuotaStore.js"
import * as RateLimiter from "../../src/guard/RateLimiter.js"
import { Readiness } from "../../src/operate/Readiness.js"
import * as Server from "../../src/server/Server.js"
import * as ServerConfig from "../../src/config/ServerConfig.js"
import * as Testing from "../../src/server/Testing.js"
import * as Redis from "../utils/redis.js"

const settings = (document: { readonly [key: string]: unknown }) =>
  Either.getOrThrow(ServerConfig.decode({ document })).settings

const folder = mkdtempSync(join(tmpdir(), "snowguard-server-"))
afterAll(() => rmSync(folder, { recursive: true }))

const quiet = Effect.provide(Logger.minimumLogLevel(LogLevel.None))

/** A call as an MCP client makes it, and the code of the refusal, if it was one. */
const call = (name: string) =>
  Effect.gen(function* () {
    const server = yield* McpServer
    const [ours, theirs] = InMemoryTransport.createLinkedPair()
    yield* server.connect(theirs, Principal.make("ann"))
    const client = yield* Effect.acquireRelease(
      Effect.promise(async () => {
        const client = new Client({ name: "test", version: "1" })
        await client.connect(ours)
        return client
      }),
      (client) => Effect.promise(() => client.close())
    )
    const { isError, _meta } = yield* Effect.promise(() => client.callTool({ name, arguments: {} }))
    const report = _meta?.["dev.snowguard/error"] as { readonly code?: string } | undefined
    return isError === true ? report?.code : "ok"
  })

const { warehouse, readOnly } = Testing.parts()

describe("the server as a layer", () => {
  it.scopedLive("a part of one's own is the one that calls go through", () =>
    Effect.gen(function* () {
      const refused = new RateLimiter.RateLimited({
        scope: "global",
        ratePerSecond: 1,
        burst: 1,
        remaining: 0,
        retryAfterMs: 1_000,
        retryHintMs: 1_000,
        never: false
      })
      const noop = RateLimiter.layerNoop
      const rateLimiter = Layer.effect(
        RateLimiter.RateLimiter,
        Effect.map(RateLimiter.RateLimiter, (limiter) => ({
          ...limiter,
          reserve: () => Effect.fail(refused)
        }))
      ).pipe(Layer.provide(noop))
      const server = Server.layer(ServerConfig.defaults, { rateLimiter, warehouse, readOnly }, folder)
      assert.strictEqual(yield* Effect.provide(call("list_databases"), server), "RATE_LIMITED")
    }).pipe(quiet)
  )

  it.scoped("a part that is replaced is not built, and its settings are not needed", () =>
    Effect.gen(function* () {
      const impossible = settings({
        audit: { file: "/dev/null/audit.jsonl" },
        quota_store: { kind: "redis" }
      })
      const failed = yield* Effect.flip(Effect.scoped(Layer.build(Server.layer(impossible, {}, folder))))
      assert.include(["AuditError", "ConfigFaults"], failed._tag)
      const parts = { audit: Audit.layerNoop, quotaStore: QuotaStore.layerMemory }
      yield* Layer.build(Server.layer(impossible, parts, folder))
    }).pipe(quiet)
  )

  it.scopedLive("for many clients, the operator holds the breaker that calls meet, and all is audited", () =>
    Effect.gen(function* () {
      const entries = yield* Ref.make<ReadonlyArray<Entry>>([])
      const audit = Layer.succeed(Audit.Audit, {
        record: (entry) => Ref.update(entries, (all) => [...all, entry])
      })
      const degradation = Degradation.layerNoop
      const parts = { audit, warehouse, readOnly, degradation, quotaStore: QuotaStore.layerMemory }
      yield* Effect.gen(function* () {
        const operator = yield* Operator.Operator
        yield* operator.act({ action: "breaker/open" }, Principal.make("root"))
        assert.strictEqual(yield* call("list_databases"), "CIRCUIT_OPEN")
        const breaker = yield* CircuitBreaker.CircuitBreaker
        assert.strictEqual((yield* breaker.status).phase, "forced-open")
        const { impaired = Effect.die("not told"), problem } = yield* Readiness
        assert.deepStrictEqual(yield* problem, Option.none())
        assert.deepStrictEqual(yield* impaired, Option.some("an operator holds the circuit open"))
        assert.strictEqual((yield* (yield* Activity.Activity).totals).counts.refused, 1)
      }).pipe(Effect.provide(Server.layerShared(ServerConfig.defaults, parts, folder)))
      assert.deepStrictEqual(
        (yield* Ref.get(entries)).map(({ decision, tool }) => [tool, decision]),
        [
          ["operator:breaker/open", "ok"],
          ["list_databases", "CIRCUIT_OPEN"]
        ]
      )
    }).pipe(quiet)
  )

  for (const withoutLimits of [true, undefined]) {
    it.scopedLive(
      `an audit ${withoutLimits === true ? "that keeps no limits is told none" : "is told what a call asked of its limits"}`,
      () =>
        Effect.gen(function* () {
          const entries = yield* Queue.unbounded<Entry>()
          const audit = Layer.succeed(Audit.Audit, {
            withoutLimits,
            record: (entry) => Queue.offer(entries, entry)
          })
          const degradation = Degradation.layerNoop
          const parts = { audit, warehouse, readOnly, degradation, quotaStore: QuotaStore.layerMemory }
          yield* Effect.gen(function* () {
            yield* call("list_databases")
            const { limits, tool } = yield* Queue.take(entries)
            assert.deepStrictEqual([tool, limits === undefined], ["list_databases", withoutLimits === true])
          }).pipe(Effect.provide(Server.layerShared(ServerConfig.defaults, parts, folder)))
        }).pipe(quiet)
    )
  }

  it.scopedLive.skipIf(!Redis.available())("quotas and rate limits in Redis share one connection", () =>
    Effect.gen(function* () {
      const redis = yield* Redis.server()
      const fleet = settings({ rate_limits: "shared", quota_store: { kind: "redis", redis_url: redis.url } })
      yield* Layer.build(Server.layer(fleet, {}, folder))
      // One beside the one that asks.
      assert.match(
        yield* Effect.promise(() => Redis.command(redis.port, "INFO clients")),
        /connected_clients:2\r/
      )
    }).pipe(quiet)
  )
})
