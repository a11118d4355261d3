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
import * as Audit from "./Audit.js"
import * as Bulkhead from "./Bulkhead.js"
import * as CallPolicy from "./CallPolicy.js"
import * as CircuitBreaker from "./CircuitBreaker.js"
import * as Cursors from "./Cursors.js"
import * as Degradation from "./Degradation.js"
import * as Guard from "./Guard.js"
import * as LazyOtlp from "./internal/lazyOtlp.js"
import * as Package from "./internal/package.js"
import * as QuotaSignal from "./internal/quotaSignal.js"
import { startFaults } from "./internal/startFaults.js"
import { stateDir } from "./internal/stateDir.js"
import * as LoopGuard from "./LoopGuard.js"
import * as Fleet from "./main/Fleet.js"
import * as McpServer from "./McpServer.js"
import * as Principal from "./Principal.js"
import * as Quota from "./Quota.js"
import * as ReadOnly from "./ReadOnly.js"
import * as ResultCache from "./ResultCache.js"
import * as Readiness from "./Readiness.js"
import * as Retry from "./Retry.js"
import * as ServerConfig from "./ServerConfig.js"
import * as Telemetry from "./Telemetry.js"
import * as Toolbox from "./Toolbox.js"
import * as Stdio from "./transport/Stdio.js"
import * as Warehouse from "./Warehouse.js"
import * as WarehouseHealth from "./WarehouseHealth.js"

const stateDirectory = (): string =>
  stateDir({ platform: process.platform, env: process.env, home: homedir(), cwd: process.cwd() })

/**
 * The read-only gate of a warehouse. Adapters are chunks of their own, loaded by the first call that
 * needs them.
 *
 * @since 0.1.0
 * @category layers
 */
export const gate = (
  { snowflake }: ServerConfig.Settings,
  dialect: ServerConfig.Settings["warehouse"]
): Layer.Layer<ReadOnly.ReadOnly> => {
  switch (dialect) {
    case "snowflake":
      return ReadOnly.layerLazy(
        dialect,
        Effect.map(
          Effect.promise(() => import("./ReadOnly/Snowflake.js")),
          (guard) => guard.layer({ namespace: { database: snowflake.database, schema: snowflake.schema } })
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
  settings.warehouse === "snowflake" ? snowflake(settings) : duckdb(settings)

const snowflake = (settings: ServerConfig.Settings) =>
  Layer.unwrapEffect(
    Effect.map(WarehouseHealth.WarehouseHealth, (health) =>
      Layer.merge(
        Warehouse.layerLazy(
          "snowflake",
          Effect.gen(function* () {
            const [adapter, { options }] = yield* Warehouse.importAdapter("snowflake-sdk", () =>
              Promise.all([import("./Warehouse/Snowflake.js"), import("./Warehouse/snowflake/configure.js")])
            )
            const statements = ServerConfig.concurrentStatements(settings)
            const wanted = settings.limits.maxConcurrentStatements
            if (statements < wanted) {
              yield* Effect.logWarning(
                `at most ${statements} statements run at a time: snowflake.max_sessions is less than ` +
                  `limits.max_concurrent_statements, which is ${wanted}`
              )
            }
            return adapter.layer({
              ...(yield* options(settings.snowflake)),
              maxSessions: settings.snowflake.maxSessions ?? statements,
              maxPerSession: statements,
              health
            })
          }),
          { keepsResults: true, reportsSubmit: true }
        ),
        gate(settings, "snowflake")
      )
    )
  ).pipe(Layer.provideMerge(WarehouseHealth.layer({ latchMs: settings.snowflake.latchSeconds * 1000 })))

const duckdb = (settings: ServerConfig.Settings) =>
  Layer.merge(
    Warehouse.layerLazy(
      "duckdb",
      Effect.map(
        Warehouse.importAdapter("@duckdb/node-api", () => import("./Warehouse/DuckDb.js")),
        (adapter) => adapter.layer(settings.duckdb)
      ),
      { keepsResults: true }
    ),
    gate(settings, "duckdb")
  )

/**
 * Where it is remembered what was used.
 *
 * @since 0.1.0
 * @category layers
 */
export const quotaStore = (settings: ServerConfig.Settings, directory: string = stateDirectory()) =>
  Fleet.quotaStore(settings, directory)

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

/** The guards of all calls, on the stores and the warehouse that they need. */
const services = (settings: ServerConfig.Settings, directory: string, shared = false) => {
  const bulkhead = Bulkhead.layer(ServerConfig.bulkheadOptions(settings, { shared }))
  const health = Layer.merge(bulkhead, breaker(settings))
  const guards = Layer.mergeAll(
    Layer.provideMerge(Degradation.layer({ eventLoop: true }), health),
    Retry.layer(),
    pace(settings),
    ResultCache.layer(ServerConfig.cacheOptions(settings)),
    Quota.layer(ServerConfig.quotaOptions(settings)),
    CallPolicy.layer(ServerConfig.callPolicyTiers(settings)),
    Cursors.layer()
  )
  return LoopGuard.layer().pipe(
    Layer.provideMerge(Guard.layer(ServerConfig.guardOptions(settings))),
    Layer.provideMerge(QuotaSignal.layer),
    // The settings were checked when they were read: options that a service refuses are a defect.
    Layer.provideMerge(Layer.orDie(guards)),
    Layer.provideMerge(Fleet.layer(settings, directory)),
    Layer.provideMerge(warehouse(settings))
  )
}

const mcpServer = (settings: ServerConfig.Settings) =>
  Layer.provide(
    McpServer.layer({
      ...Package,
      drainMs: settings.timeouts.shutdownSeconds * 1000 * DRAIN_SHARE
    }),
    Toolbox.layerDefault
  )

const watched = Layer.merge(Layer.service(CircuitBreaker.CircuitBreaker), Layer.service(Retry.Retry))

/**
 * Everything below a transport, and the two services that tell how it fares with the warehouse. `directory`
 * holds what must survive a restart.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (settings: ServerConfig.Settings, directory: string = stateDirectory()) =>
  Layer.mergeAll(mcpServer(settings), Readiness.layer, watched).pipe(
    Layer.provide(Telemetry.layer),
    Layer.provide(services(settings, directory)),
    Layer.provide(audit(settings))
  )

/**
 * The same for many clients, and for those who operate it.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerShared = (settings: ServerConfig.Settings, directory: string = stateDirectory()) =>
  Layer.unwrapEffect(
    // Not on the way of a start over stdio.
    Effect.map(
      Effect.promise(() => Promise.all([import("./Activity.js"), import("./Operator.js")])),
      ([Activity, Operator]) =>
        Layer.mergeAll(mcpServer(settings), Readiness.layer, Operator.layer()).pipe(
          Layer.provide(Telemetry.layer),
          Layer.provide(services(settings, directory, true)),
          Layer.provide(Activity.layer),
          Layer.provide(audit(settings))
        )
    )
  )

/** Outermost: what goes on below is traced. */
const otlp = LazyOtlp.layer(process.env, Package)

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
    Effect.provide(layer(settings)),
    Effect.provide(otlp),
    Effect.catchTag("AuditError", startFaults.AuditError)
  )

/**
 * Where the keys of the shared server are: for the server, and for the commands that make them.
 *
 * @since 0.1.0
 * @category combinators
 */
export const keysPath = ({ auth }: ServerConfig.Settings): string =>
  auth.keysFile ?? join(stateDirectory(), "keys.json")

/**
 * The log of who asked what; none when no file is named.
 *
 * @since 0.1.0
 * @category layers
 */
export const audit = ({ audit: { file, ...options } }: ServerConfig.Settings) =>
  file === undefined ? Audit.layerNoop : Audit.layerFile({ ...options, path: file })

/**
 * Serves many clients over HTTP until it is interrupted.
 *
 * @since 0.1.0
 * @category serving
 */
export const http = (
  settings: ServerConfig.Settings,
  listen: { readonly host?: string | undefined; readonly port?: number | undefined } = {}
) =>
  Effect.gen(function* () {
    // Not on the way of a start over stdio.
    const [Http, Auth] = yield* Effect.promise(() =>
      Promise.all([import("./transport/Http.js"), import("./transport/auth/FromSettings.js")])
    )
    const given = ServerConfig.httpOptions(settings)
    const options = { ...given, host: listen.host ?? given.host, port: listen.port ?? given.port }
    yield* Http.serve(options).pipe(
      Effect.provide(
        Layer.merge(
          layerShared(settings),
          Auth.layer(settings, { host: options.host, keysPath: keysPath(settings) })
        )
      ),
      Effect.provide(otlp)
    )
  }).pipe(Effect.catchTags(startFaults))

/**
 * Who the account says that we are, or what is wrong; never fails.
 *
 * @since 0.1.0
 * @category checks
 */
export const checkAccount = (settings: ServerConfig.Settings) =>
  Effect.gen(function* () {
    const [{ check }, { options }] = yield* Effect.promise(() =>
      Promise.all([import("./Warehouse/snowflake/check.js"), import("./Warehouse/snowflake/configure.js")])
    )
    return yield* check(options(settings.snowflake))
  })
