/**
 * THE WIRING: every choice of an implementation, on one screen. To use another part, build your own
 * `layer` from the same pieces.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { homedir } from "node:os"
import { join } from "node:path"
import * as AdaptiveRate from "./AdaptiveRate.js"
import * as Bulkhead from "./Bulkhead.js"
import * as CallPolicy from "./CallPolicy.js"
import * as CircuitBreaker from "./CircuitBreaker.js"
import * as Cursors from "./Cursors.js"
import * as Degradation from "./Degradation.js"
import * as Guard from "./Guard.js"
import * as Package from "./internal/package.js"
import * as LoopGuard from "./LoopGuard.js"
import * as McpServer from "./McpServer.js"
import * as Principal from "./Principal.js"
import * as Quota from "./Quota.js"
import * as QuotaStore from "./QuotaStore.js"
import * as RateLimiter from "./RateLimiter.js"
import * as ReadOnly from "./ReadOnly.js"
import * as ResultCache from "./ResultCache.js"
import * as Retry from "./Retry.js"
import * as ServerConfig from "./ServerConfig.js"
import * as Telemetry from "./Telemetry.js"
import * as Toolbox from "./Toolbox.js"
import * as Stdio from "./transport/Stdio.js"
import { stateDir } from "./QuotaStore/sqlite/stateDir.js"
import * as Warehouse from "./Warehouse.js"

const stateDirectory = (): string =>
  stateDir({ platform: process.platform, env: process.env, home: homedir(), cwd: process.cwd() })

/**
 * The read-only gate of a warehouse. Adapters are chunks of their own, loaded by the first call that
 * needs them.
 *
 * @since 0.1.0
 * @category layers
 */
export const gate = (dialect: ServerConfig.Settings["warehouse"]): Layer.Layer<ReadOnly.ReadOnly> => {
  switch (dialect) {
    case "snowflake":
      return ReadOnly.layerLazy(
        dialect,
        Effect.map(
          Effect.promise(() => import("./ReadOnly/Snowflake.js")),
          (guard) => guard.layer()
        )
      )
    case "duckdb":
      return ReadOnly.layerLazy(
        dialect,
        Effect.map(
          Effect.promise(() =>
            Promise.all([import("./ReadOnly/DuckDb.js"), import("./embedded/dialect/snowflake.js")])
          ),
          ([guard, { macros, translate }]) =>
            guard.layer({ translate, macros, namespace: { database: "SNOWGUARD_SAMPLE", schema: "PUBLIC" } })
        )
      )
  }
}

const warehouse = (settings: ServerConfig.Settings) =>
  Layer.merge(
    Warehouse.layerLazy(
      "duckdb",
      Effect.map(
        Warehouse.importAdapter("@duckdb/node-api", () => import("./Warehouse/DuckDb.js")),
        (adapter) => adapter.layer(settings.duckdb)
      ),
      { keepsResults: true }
    ),
    gate("duckdb")
  )

/**
 * Where it is remembered what was used.
 *
 * @since 0.1.0
 * @category layers
 */
export const quotaStore = (
  { quotaStore: settings }: ServerConfig.Settings,
  directory: string = stateDirectory()
): Layer.Layer<QuotaStore.QuotaStore, QuotaStore.QuotaStoreError> => {
  if (settings.kind === "memory") return QuotaStore.layerMemory
  const sqlite = Layer.unwrapEffect(
    Effect.map(
      Effect.promise(() => import("./QuotaStore/Sqlite.js")),
      (adapter) =>
        adapter.layer({
          path: join(directory, "quota.db"),
          durability: settings.durability,
          lockTimeoutMs: settings.lockWaitSeconds * 1000
        })
    )
  )
  return settings.onUnavailable === "refuse"
    ? sqlite
    : Layer.catchAll(sqlite, (error) =>
        Layer.merge(
          Layer.effectDiscard(
            Effect.logWarning(
              "the quota store cannot be opened: this process counts in memory, and forgets when it ends",
              error
            )
          ),
          QuotaStore.layerMemory
        )
      )
}

/** Share of the shutdown time that calls in flight get; the rest is for cancelling what is left. */
const DRAIN_SHARE = 0.8

/** The warehouse's own rate: all that all clients may ask for, until it says that this is too much. */
const pace = ({ limits }: ServerConfig.Settings) =>
  AdaptiveRate.layer(AdaptiveRate.nearest({ ratePerSecond: limits.requestsPerSecond, burst: limits.burst }))

const breaker = (settings: ServerConfig.Settings) => {
  const { openMaxMs, openMs, ...options } = ServerConfig.breakerOptions(settings)
  return CircuitBreaker.layer({
    ...options,
    probeSuccesses: options.probes,
    probeLeaseMs: settings.timeouts.maxStatementSeconds * 1000,
    openTimes: CircuitBreaker.openTimes({ firstMs: openMs, factor: 2, capMs: openMaxMs })
  })
}

/**
 * Everything below a transport. `directory` holds what must survive a restart.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (settings: ServerConfig.Settings, directory: string = stateDirectory()) => {
  const health = Layer.merge(Bulkhead.layer(ServerConfig.bulkheadOptions(settings)), breaker(settings))
  const guards = Layer.mergeAll(
    RateLimiter.layer(ServerConfig.rateLimiterOptions(settings)),
    Layer.provideMerge(Degradation.layer({ eventLoop: true }), health),
    Retry.layer(),
    pace(settings),
    ResultCache.layer(ServerConfig.cacheOptions(settings)),
    Quota.layer(ServerConfig.quotaOptions(settings)),
    CallPolicy.layer(ServerConfig.callPolicyTiers(settings)),
    Cursors.layer()
  )
  return McpServer.layer({
    ...Package,
    drainMs: settings.timeouts.shutdownSeconds * 1000 * DRAIN_SHARE
  }).pipe(
    Layer.provide(Toolbox.layerDefault),
    Layer.provide(Telemetry.layer),
    Layer.provide(LoopGuard.layer()),
    Layer.provide(Guard.layer(ServerConfig.guardOptions(settings))),
    // The settings were checked when they were read: options that a service refuses are a defect.
    Layer.provide(Layer.orDie(guards)),
    Layer.provide(quotaStore(settings, directory)),
    Layer.provide(warehouse(settings))
  )
}

/**
 * Serves one client over this process's stdin and stdout until it leaves.
 *
 * @since 0.1.0
 * @category serving
 */
export const stdio = (settings: ServerConfig.Settings) =>
  Effect.zipRight(available(settings), serveStdio(settings))

const available = (settings: ServerConfig.Settings) =>
  settings.warehouse === "duckdb"
    ? Effect.void
    : new ServerConfig.ConfigFaults({
        faults: [
          {
            key: "warehouse",
            source: "file",
            message: `"${settings.warehouse}" is not available in this version; use "duckdb"`
          }
        ]
      })

const serveStdio = (settings: ServerConfig.Settings) =>
  Stdio.serve({
    stdin: process.stdin,
    stdout: process.stdout,
    principal: Principal.make(settings.client, ServerConfig.tierOf(settings, settings.client))
  }).pipe(Effect.provide(layer(settings)))
