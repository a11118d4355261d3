/**
 * THE WIRING: every choice of an implementation, on one screen. To use another part, build your own
 * `layer` from the same pieces.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as AdaptiveRate from "./AdaptiveRate.js"
import * as Bulkhead from "./Bulkhead.js"
import * as CallPolicy from "./CallPolicy.js"
import * as CircuitBreaker from "./CircuitBreaker.js"
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
import * as Warehouse from "./Warehouse.js"

/** Adapters are chunks of their own, loaded by the first call that needs them. */
const warehouse = (settings: ServerConfig.Settings) =>
  settings.warehouse === "snowflake" ? snowflake(settings) : duckdb(settings)

const snowflake = (settings: ServerConfig.Settings) =>
  Layer.merge(
    Warehouse.layerLazy(
      "snowflake",
      Effect.gen(function* () {
        const [adapter, { options }] = yield* Warehouse.importAdapter("snowflake-sdk", () =>
          Promise.all([import("./Warehouse/Snowflake.js"), import("./Warehouse/snowflake/configure.js")])
        )
        return adapter.layer({
          ...(yield* options(settings.snowflake)),
          maxPerSession: settings.limits.maxConcurrentStatements
        })
      })
    ),
    ReadOnly.layerLazy(
      "snowflake",
      Effect.map(
        Effect.promise(() => import("./ReadOnly/Snowflake.js")),
        (guard) => guard.layer()
      )
    )
  )

const duckdb = (settings: ServerConfig.Settings) =>
  Layer.merge(
    Warehouse.layerLazy(
      "duckdb",
      Effect.map(
        Warehouse.importAdapter("@duckdb/node-api", () => import("./Warehouse/DuckDb.js")),
        (adapter) => adapter.layer(settings.duckdb)
      )
    ),
    ReadOnly.layerLazy(
      "duckdb",
      Effect.map(
        Effect.promise(() =>
          Promise.all([import("./ReadOnly/DuckDb.js"), import("./embedded/dialect/snowflake.js")])
        ),
        ([guard, { macros, translate }]) => guard.layer({ translate, macros })
      )
    )
  )

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
 * Everything below a transport.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (settings: ServerConfig.Settings) => {
  const health = Layer.merge(Bulkhead.layer(ServerConfig.bulkheadOptions(settings)), breaker(settings))
  const guards = Layer.mergeAll(
    RateLimiter.layer(ServerConfig.rateLimiterOptions(settings)),
    Layer.provideMerge(Degradation.layer({ eventLoop: true }), health),
    Retry.layer(),
    pace(settings),
    ResultCache.layer(ServerConfig.cacheOptions(settings)),
    Layer.provide(Quota.layer(ServerConfig.quotaOptions(settings)), QuotaStore.layerMemory),
    CallPolicy.layer(ServerConfig.callPolicyTiers(settings))
  )
  return McpServer.layer({
    ...Package,
    drainMs: settings.timeouts.shutdownSeconds * 1000 * DRAIN_SHARE
  }).pipe(
    Layer.provide(Toolbox.layerDefault),
    Layer.provide(Telemetry.layer),
    Layer.provide(LoopGuard.layer()),
    Layer.provide(Guard.layer(ServerConfig.guardOptions(settings))),
    Layer.provide(guards),
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
  Stdio.serve({
    stdin: process.stdin,
    stdout: process.stdout,
    principal: Principal.make(settings.client, ServerConfig.tierOf(settings, settings.client))
  }).pipe(
    // The settings were checked when they were read: options that a service refuses are a defect.
    Effect.provide(Layer.orDie(layer(settings)))
  )
