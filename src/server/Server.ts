/**
 * THE WIRING: the whole server from its settings, every choice of an implementation on one screen, and any
 * of them replaced by a layer of your own. The binary is wired by this very module.
 *
 * ```ts
 * Server.stdio(settings)                                      // as `snowguard` does
 * Server.stdio(settings, { quotaStore: MyStore, toolbox })    // with these two in place of ours
 * ```
 *
 * A part that is replaced is never built, and its settings are not used. To stand in front of a part instead
 * of replacing it, provide yours with the one of {@link parts}.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import { hostname } from "node:os"
import { join } from "node:path"
import type * as Activity from "../observe/Activity.js"
import type * as Alerts from "../operate/Alerts.js"
import * as Audit from "../observe/Audit.js"
import * as RunningCalls from "../observe/RunningCalls.js"
import * as Bulkhead from "../guard/Bulkhead.js"
import * as CallPolicy from "../tools/CallPolicy.js"
import * as CircuitBreaker from "../guard/CircuitBreaker.js"
import * as Degradation from "../guard/Degradation.js"
import * as Guard from "../guard/Guard.js"
import * as Package from "../platform/package.js"
import * as EventLoop from "../platform/EventLoop.js"
import * as UserDirs from "../platform/userDirs.js"
import * as LoopGuard from "../guard/LoopGuard.js"
import * as CursorKeys from "./CursorKeys.js"
import * as Fleet from "./Fleet.js"
import * as Warehouses from "./Warehouses.js"
import * as McpServer from "../mcp/McpServer.js"
import type * as Operator from "../operate/Operator.js"
import * as Live from "../platform/Live.js"
import * as Principal from "../platform/Principal.js"
import * as Quota from "../quota/Quota.js"
import type { QuotaStoreError } from "../quota/QuotaStore.js"
import * as Readiness from "../operate/Readiness.js"
import * as ResultCache from "../tools/ResultCache.js"
import * as Retry from "../guard/Retry.js"
import * as SearchIndex from "../tools/SearchIndex.js"
import * as ServerConfig from "../config/ServerConfig.js"
import * as Stack from "./Stack.js"
import * as TokenKey from "./TokenKey.js"
import * as Gauges from "../operate/Gauges.js"
import * as Toolbox from "../tools/Toolbox.js"
import * as Stdio from "../mcp/stdio/Stdio.js"

/**
 * The directory of what must survive a restart, by default: `SNOWGUARD_STATE_DIR`, or the place of
 * the platform. Left: why there is no such place; only what is kept in it then fails.
 *
 * @since 0.1.0
 * @category wiring
 */
export const stateDirectory = (): Either.Either<string, string> => UserDirs.stateDir(UserDirs.current())

const directoryOf = (given: string | undefined): Either.Either<string, string> =>
  given === undefined ? stateDirectory() : Either.right(given)

/** A probe is an attempt, and its lease must not be over before the attempt is. */
const PROBE_GRACE_MS = 5_000

const longestStatementMs = ({ tiers, timeouts }: ServerConfig.Settings): number => {
  const seconds = Object.values(tiers).map((tier) => tier.maxStatementSeconds ?? 0)
  return Math.max(timeouts.maxStatementSeconds, timeouts.metadataSeconds, ...seconds) * 1000
}

const breakerOptions = (settings: ServerConfig.Settings): CircuitBreaker.Options => {
  const { openMaxMs, openMs, ...options } = ServerConfig.breakerOptions(settings)
  return {
    name: "warehouse",
    ...options,
    probeSuccesses: options.probes,
    probeLeaseMs: longestStatementMs(settings) + PROBE_GRACE_MS,
    openTimes: CircuitBreaker.openTimes({ firstMs: openMs, factor: 2, capMs: openMaxMs })
  }
}

/** Which server this is, as far as the settings say. */
const identity = (settings: ServerConfig.Settings): Operator.Identity => {
  const { snowflake, warehouse } = settings
  const { port } = ServerConfig.httpOptions(settings)
  const where = { host: hostname(), ...(port === 0 ? {} : { port }) }
  if (warehouse === "duckdb") return { ...where, warehouse }
  const { accessUrl, account = accessUrl, identity, role, user, warehouse: virtual } = snowflake
  return {
    ...where,
    warehouse,
    ...(account === undefined ? {} : { account }),
    ...(identity === "shared" ? {} : { identity }),
    ...(user === undefined || identity !== "shared" ? {} : { user }),
    ...(role === undefined ? {} : { role }),
    ...(virtual === undefined ? {} : { virtual_warehouse: virtual })
  }
}

/** The audit log; none when no file is named. */
const audit = ({ audit: { file, ...options } }: ServerConfig.Settings) =>
  file === undefined ? Audit.layerNoop : Audit.layerFile({ ...options, path: file })

/**
 * Why the parts of the settings cannot be built: the audit log or the quota store cannot be opened, or a
 * setting only then turns out to be wrong.
 *
 * @since 0.1.0
 * @category errors
 */
export type PartError = Audit.AuditError | QuotaStoreError | ServerConfig.ConfigFaults

/**
 * The part of each name, as the settings want it. `directory` holds what must survive a restart; `shared`: for
 * many clients, none of which may take all there is.
 *
 * @since 0.1.0
 * @category wiring
 */
export const parts = (
  given: ServerConfig.Settings | Live.Live<ServerConfig.Settings>,
  directory?: string,
  shared = false,
  // One layer: the warehouse and its gate have the same processes.
  embedded = Warehouses.embedded(Live.from(given).current())
): Stack.Parts<PartError> => {
  const live = Live.from(given)
  const settings = live.current()
  return {
    ...Fleet.parts(live, directoryOf(directory)),
    audit: audit(settings),
    bulkhead: Layer.orDie(
      Bulkhead.layer(Live.map(live, (now) => ServerConfig.bulkheadOptions(now, { shared })))
    ),
    circuitBreaker: CircuitBreaker.layer(Live.map(live, breakerOptions)),
    // The settings were checked when they were read: options that a service refuses are a defect.
    retry: Layer.orDie(Retry.layer()),
    resultCache: ResultCache.layer(ServerConfig.cacheOptions(settings)),
    searchIndex: SearchIndex.layer(ServerConfig.searchOptions(settings)),
    callPolicy: Layer.unwrapEffect(
      Effect.map(TokenKey.make(settings, directoryOf(directory)), (tokenKey) =>
        CallPolicy.layer(Live.map(live, ServerConfig.callPolicyTiers), { tokenKey })
      )
    ),
    cursors: CursorKeys.layer(settings, directoryOf(directory)),
    warehouse: Warehouses.layer(settings, embedded, directoryOf(directory)),
    readOnly: Warehouses.gate(settings, settings.warehouse, embedded),
    quota: Layer.orDie(Quota.layer(Live.map(live, ServerConfig.quotaOptions))),
    degradation: Degradation.layer({ eventLoop: true }),
    loopGuard: LoopGuard.layer(),
    guard: Guard.layer(Live.map(live, ServerConfig.guardOptions)),
    toolbox: Toolbox.layerDefault
  }
}

/** Share of the shutdown time that calls in flight get; the rest is for cancelling what is left. */
const DRAIN_SHARE = 0.8

/** Counters at 0 are for those who read them: the scraper of a shared server, or a collector. */
const callsCounted = Layer.unwrapEffect(
  Effect.map(Toolbox.Toolbox, ({ tools }) => Gauges.layerCalls(tools.map(({ name }) => name)))
)

/**
 * Whether telemetry is sent to a collector.
 *
 * @since 0.1.0
 * @category predicates
 */
export const hasCollector = (): boolean => (process.env["OTEL_EXPORTER_OTLP_ENDPOINT"] ?? "") !== ""

/** What stands on the parts and is not replaced by a name: provide your own instead of asking for it here. */
const server = (settings: ServerConfig.Settings) =>
  Layer.merge(
    McpServer.layer({ ...Package, drainMs: settings.timeouts.shutdownSeconds * 1000 * DRAIN_SHARE }),
    Readiness.layer
  ).pipe(Layer.provide(Layer.merge(Gauges.layer, Degradation.layerQuotaSignal)))

/** The parts with what tells of them in front, and the receivers; loaded only where there are any. */
const watched = <E, R>(
  given: ServerConfig.Settings | Live.Live<ServerConfig.Settings>,
  parts: Stack.Parts<E, R>
) =>
  Effect.gen(function* () {
    const live = Live.map(Live.from(given), ServerConfig.alertReceivers)
    const receivers = live.current()
    if (Object.keys(receivers).length === 0 && !(given instanceof Live.Live))
      return { parts, alerts: Layer.empty, told: Layer.empty }
    const Alerts = yield* Effect.promise(() => import("../operate/Alerts.js"))
    const told: Layer.Layer<Alerts.Alerts> = Alerts.layer(receivers, { host: hostname() })
    return {
      parts: {
        ...parts,
        quota: Layer.provide(Alerts.layerQuota, Layer.merge(parts.quota, told)),
        loopGuard: Layer.provide(Alerts.layerLoopGuard, Layer.merge(parts.loopGuard, told))
      },
      alerts: Layer.provide(Alerts.layerWatch(live), told),
      told
    }
  })

/**
 * Everything below a transport, for one client.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = <P extends Stack.Overrides = {}>(
  settings: ServerConfig.Settings,
  overrides?: Stack.Only<P>,
  directory?: string
): Layer.Layer<
  McpServer.McpServer | Readiness.Readiness | Stack.Service,
  PartError | Stack.ErrorOf<P>,
  Stack.ContextOf<P>
> =>
  Layer.unwrapEffect(
    Effect.map(
      watched(settings, Stack.replace<PartError, never, P>(parts(settings, directory), overrides)),
      ({ alerts, parts }) =>
        Layer.mergeAll(
          hasCollector()
            ? Layer.merge(Layer.provide(server(settings), EventLoop.layer), callsCounted)
            : server(settings),
          alerts
        ).pipe(Layer.provide(RunningCalls.layer), Layer.provideMerge(Stack.layer(parts)))
    )
  )

/**
 * The same for many clients, and for their operators.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerShared = <P extends Stack.Overrides = {}>(
  given: ServerConfig.Settings | Live.Live<ServerConfig.Settings>,
  overrides?: Stack.Only<P>,
  directory?: string
): Layer.Layer<
  McpServer.McpServer | Readiness.Readiness | Operator.Operator | Activity.Activity | Stack.Service,
  PartError | Stack.ErrorOf<P>,
  Stack.ContextOf<P>
> =>
  Layer.unwrapEffect(
    // Not on the way of a start over stdio.
    Effect.map(
      Effect.zip(
        Effect.promise(() =>
          Promise.all([import("../observe/Activity.js"), import("../operate/Operator.js")])
        ),
        watched(given, Stack.replace<PartError, never, P>(parts(given, directory, true), overrides))
      ),
      ([[Activity, Operator], { alerts, parts: made, told }]) => {
        const settings = Live.from(given).current()
        const audit = Layer.provide(Activity.layer, made.audit)
        return Layer.mergeAll(
          server(settings),
          callsCounted,
          Layer.provide(
            Operator.layer({
              server: identity(settings),
              showStatements: settings.audit.file !== undefined && settings.audit.statements === "text"
            }),
            told
          ),
          alerts
        ).pipe(
          Layer.provide(Layer.merge(RunningCalls.layer, EventLoop.layer)),
          Layer.provideMerge(Layer.merge(Stack.layer({ ...made, audit }), audit))
        )
      }
    )
  )

/**
 * Serves one client over this process's stdin and stdout until it leaves. From its first moment on, what goes
 * through `console` goes to stderr. `ready` is run when all parts are there, before the client is listened to.
 *
 * @since 0.1.0
 * @category serving
 */
export const stdio = <P extends Stack.Overrides = {}>(
  settings: ServerConfig.Settings,
  overrides?: Stack.Only<P>,
  directory?: string,
  ready: Effect.Effect<void> = Effect.void
): Effect.Effect<void, PartError | Stack.ErrorOf<P>, Stack.ContextOf<P>> =>
  Stdio.reserveStdout.pipe(
    Effect.zipRight(
      Effect.provide(
        Effect.zipRight(
          ready,
          Stdio.serve({
            principal: Principal.assigned(settings.client, ServerConfig.tierOf(settings, settings.client))
          })
        ),
        layer<P>(settings, overrides, directory)
      )
    ),
    Effect.scoped
  )

/**
 * Where the keys of the shared server are: for the server, and for the commands that make them.
 *
 * @since 0.1.0
 * @category wiring
 */
export const keysPath = (
  { auth }: ServerConfig.Settings,
  directory?: string
): Effect.Effect<string, ServerConfig.ConfigFaults> =>
  auth.keysFile !== undefined
    ? Effect.succeed(auth.keysFile)
    : Either.mapBoth(directoryOf(directory), {
        onLeft: (why) =>
          new ServerConfig.ConfigFaults({
            faults: [
              { key: "auth.keys_file", source: "file", message: `there is no place for the API keys: ${why}` }
            ]
          }),
        onRight: (path) => join(path, "keys.json")
      })

/**
 * Serves many clients over HTTP until it is interrupted. To authenticate callers in your own way, use
 * `Http.serve` of `snowguard/transport/Http` on {@link layerShared} and your `Authenticator`.
 *
 * @since 0.1.0
 * @category serving
 */
export const http = <P extends Stack.Overrides = {}>(
  given: ServerConfig.Settings | Live.Live<ServerConfig.Settings>,
  overrides?: Stack.Only<P>,
  directory?: string
) =>
  Effect.gen(function* () {
    // Not on the way of a start over stdio.
    const [Http, Auth] = yield* Effect.promise(() =>
      Promise.all([import("../mcp/http/Http.js"), import("./Authentication.js")])
    )
    const live = Live.from(given)
    const settings = live.current()
    const options = ServerConfig.httpOptions(settings)
    const callers = Auth.layer(live, { host: options.host, keysPath: keysPath(settings, directory) })
    return yield* Effect.provide(
      Http.serve(options),
      Layer.merge(layerShared<P>(given, overrides, directory), callers)
    )
  })
