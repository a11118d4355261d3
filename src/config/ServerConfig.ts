/**
 * Every setting of the server, read once at start: defaults < a connection of Snowflake's own files < the
 * configuration file < environment (`SNOWGUARD_*`) < command line. Wrong settings are all reported at once and
 * none is guessed at.
 *
 * The configuration file is the one that is named, or `snowguard.toml` in the user's own configuration directory.
 * Nothing is taken from the working directory: clients start servers in the project that is open, and a file
 * there could send the login elsewhere.
 *
 * The settings themselves are in `config/Settings.ts`. Services take plain options and know nothing of this
 * module; `rateLimiterOptions` and its like make their options from the settings.
 *
 * @since 0.1.0
 */
import { statSync } from "node:fs"
import { readFile } from "node:fs/promises"
import { dirname, join } from "node:path"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as LogLevel from "effect/LogLevel"
import type * as Bulkhead from "../guard/Bulkhead.js"
import type * as Guard from "../guard/Guard.js"
import type * as RateLimiter from "../guard/RateLimiter.js"
import { Scope } from "../guard/RateLimiter.js"
import type * as Http from "../mcp/http/Http.js"
import { names as eventNames } from "../platform/core/Events.js"
import type { Receivers } from "../operate/Alerts.js"
import { codeOf, reasonOf } from "../platform/fileReasons.js"
import * as UserDirs from "../platform/userDirs.js"
import type * as Credits from "../quota/Credits.js"
import type * as Quota from "../quota/Quota.js"
import { QuotaName } from "../quota/QuotaStore.js"
import type { TierPolicy } from "../tools/CallPolicy.js"
import { toolNames } from "../tools/CallPolicy.js"
import type * as ResultCache from "../tools/ResultCache.js"
import type * as SearchIndex from "../tools/SearchIndex.js"
import * as Connections from "./Connections.js"
import { ConfigFaults } from "./Faults.js"
import type { Fault } from "./Faults.js"
import { quote } from "./Kind.js"
import * as Print from "./Print.js"
import { resolve } from "./Resolve.js"
import type { Input, Origin } from "./Resolve.js"
import { table } from "./Settings.js"
import type { Settings } from "./Settings.js"

export { ConfigFaults }
export type { Fault, Origin, Settings }

/**
 * What the settings say of one tier.
 *
 * @since 0.1.0
 * @category models
 */
export type TierSettings = Settings["tiers"][string]

/**
 * Settings, where each of them comes from, and what should be said about them.
 *
 * @since 0.1.0
 * @category models
 */
export interface Loaded {
  readonly settings: Settings
  /** Where each value comes from, by key (`limits.burst`). */
  readonly sources: ReadonlyMap<string, Origin>
  /** The file that was read, where there was one. */
  readonly path: string | undefined
  /** What an operator should know of where the settings come from; for the log. */
  readonly notes: ReadonlyArray<string>
}

/**
 * Where settings are looked for, beside the environment of the process.
 *
 * @since 0.1.0
 * @category models
 */
export interface LoadOptions {
  /** From the command line; comes before `SNOWGUARD_CONFIG`. */
  readonly configPath?: string | undefined
  /** A connection from the command line; with it the account is the warehouse, unless another one is set. */
  readonly connection?: string | undefined
  /** Files from the command line that the embedded warehouse serves. */
  readonly load?: ReadonlyArray<string> | undefined
  /** Whether the account is needed, and so a connection read; as the warehouse says when absent. */
  readonly account?: boolean | undefined
  /** The environment of the process when absent. */
  readonly env?: { readonly [name: string]: string | undefined } | undefined
  /** Rejects as `node:fs` does; reads the disk when absent. */
  readonly readFile?: ((path: string) => Promise<string>) | undefined
  /** The mode bits of what is there; looks at the disk when absent. */
  readonly mode?: ((path: string) => number | undefined) | undefined
  /** What is not said is that of the process. */
  readonly user?: Partial<Pick<UserDirs.Environment, "platform" | "home" | "cwd">> | undefined
}

/**
 * Exit code of a process that does not start because of its configuration (`EX_CONFIG` of sysexits.h).
 *
 * @since 0.1.0
 * @category constants
 */
export const exitCode = 78

/**
 * The name of the file in the user's own configuration directory that is read when no other is named.
 *
 * @since 0.1.0
 * @category constants
 */
export const fileName = "snowguard.toml"

/**
 * The settings that the server was started with.
 *
 * @since 0.1.0
 * @category context
 */
export class ServerConfig extends Context.Tag("snowguard/ServerConfig")<ServerConfig, Settings>() {}

/**
 * The settings that an already parsed file and an environment make together.
 *
 * @since 0.1.0
 * @category decoding
 */
export const decode = (
  input: Input & { readonly path?: string | undefined }
): Either.Either<Loaded, ConfigFaults> =>
  Either.mapBoth(resolve(table, input), {
    onLeft: (faults) => new ConfigFaults({ faults, path: input.path }),
    onRight: (resolved) => ({ ...resolved, path: input.path, notes: [] })
  })

/**
 * What is in effect when nothing is set.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaults: Settings = Either.getOrThrow(decode({})).settings

type Document = { readonly [key: string]: unknown }

interface NamedFile {
  readonly path: string
  /** What named it; absent when it is the user's own. */
  readonly by?: Pick<Fault, "key" | "source"> | undefined
}

/** What cannot be looked at is not there. */
const modeOf = (path: string): number | undefined => {
  try {
    return statSync(path, { throwIfNoEntry: false })?.mode
  } catch {
    return undefined
  }
}

/** What is empty is not set. */
const set = (value: string | undefined): string | undefined => (value === "" ? undefined : value)

const namedFile = (
  options: LoadOptions,
  environment: UserDirs.Environment
): Either.Either<NamedFile | undefined, Fault> => {
  const { configPath } = options
  const written = configPath ?? set(environment.env["SNOWGUARD_CONFIG"])
  if (written === undefined) {
    const directory = UserDirs.configDir(environment)
    return Either.right(directory === undefined ? undefined : { path: join(directory, fileName) })
  }
  const by: NonNullable<NamedFile["by"]> =
    configPath === undefined
      ? { key: "SNOWGUARD_CONFIG", source: "env" }
      : { key: "--config", source: "args" }
  if (written === "") {
    return Either.left({ ...by, message: 'expected the path of a configuration file, got ""' })
  }
  return Either.mapBoth(UserDirs.resolvePath(environment, environment.cwd, written), {
    onLeft: (why) => ({ ...by, message: `${quote(written)} ${why}` }),
    onRight: (path) => ({ path, by })
  })
}

const parse = (path: string, text: string): Effect.Effect<Document, Fault> =>
  // Loaded only when there is something to parse: it is on the way of every start over stdio.
  Effect.flatMap(
    Effect.promise(() => import("smol-toml")),
    (toml) =>
      Effect.try({
        try: (): Document => toml.parse(text),
        catch: (error): Fault => {
          const fault = { key: path, source: "file" as const }
          // The rest of the message quotes the file, and a file may hold secrets.
          const message = (error instanceof Error ? (error.message.split("\n")[0] ?? "") : "").replace(
            /^Invalid TOML document: /,
            ""
          )
          return error instanceof toml.TomlError
            ? { ...fault, message, line: error.line, column: error.column }
            : { ...fault, message: `cannot be parsed: ${message}` }
        }
      })
  )

const readDocument = Effect.fnUntraced(function* (
  file: NamedFile,
  read: NonNullable<LoadOptions["readFile"]>
) {
  const text = yield* Effect.tryPromise({ try: () => read(file.path), catch: (cause) => cause }).pipe(
    Effect.catchAll((cause) =>
      file.by === undefined && (codeOf(cause) === "ENOENT" || codeOf(cause) === "ENOTDIR")
        ? Effect.succeed(undefined)
        : Effect.fail<Fault>({
            ...(file.by ?? { key: file.path, source: "file" }),
            message: `cannot read ${file.path}: ${reasonOf(cause)}`
          })
    )
  )
  return text === undefined ? undefined : yield* parse(file.path, text)
})

/** A file of the working directory that looks like ours: another user may have put it there, and it is not read. */
const strayNote = (
  { cwd, ...environment }: UserDirs.Environment,
  read: string | undefined,
  mode: NonNullable<LoadOptions["mode"]>
): ReadonlyArray<string> => {
  if (cwd === undefined) return []
  const stray = join(cwd, fileName)
  if (stray === read || mode(stray) === undefined) return []
  const directory = UserDirs.configDir({ cwd, ...environment })
  const own = directory === undefined ? "" : `, or move it to ${quote(join(directory, fileName))}`
  return [
    `${quote(stray)} is not read: another user may have put a file into the working directory. To use it, name it with ` +
      `--config or SNOWGUARD_CONFIG${own}`
  ]
}

/** What of the environment leads into whatever directory the process was started in. */
const relativeNotes = (
  { env, home, platform }: UserDirs.Environment,
  names: ReadonlyArray<string>
): ReadonlyArray<string> =>
  names.flatMap((name) => {
    const value = set(env[name])
    if (value === undefined || Either.isRight(UserDirs.resolvePath({ home, platform }, undefined, value)))
      return []
    return name === "SNOWFLAKE_HOME"
      ? [`${name} is not used: expected an absolute path, got ${quote(value)}`]
      : [
          `${name} is ${quote(value)}, which depends on the directory the server is started in; use an absolute path`
        ]
  })

const connectionOf = (
  { settings, sources }: Loaded,
  environment: UserDirs.Environment,
  files: Connections.Files
) => {
  const { accessUrl, account, connection } = settings.snowflake
  if (connection === undefined && (account !== undefined || accessUrl !== undefined)) {
    return Effect.succeed(undefined)
  }
  const origin = sources.get("snowflake.connection")
  const by: Connections.Named["by"] = {
    key: origin?.name ?? "snowflake.connection",
    source: origin?.source === "env" || origin?.source === "args" ? origin.source : "file"
  }
  const named = connection === undefined ? undefined : { name: connection, by }
  return Connections.read(named, { account, accessUrl }, environment, files)
}

/**
 * Reads the file that is named, or the user's own if it is there, the environment, and a connection of Snowflake's
 * own files where the account is needed and not said elsewhere. Fails with everything that is wrong.
 *
 * @since 0.1.0
 * @category loading
 */
export const load: (options?: LoadOptions) => Effect.Effect<Loaded, ConfigFaults> = Effect.fnUntraced(
  function* (options: LoadOptions = {}) {
    const env = options.env ?? process.env
    const environment: UserDirs.Environment = { ...UserDirs.current(env), ...options.user }
    const disk: Connections.Files = {
      readFile: options.readFile ?? ((path) => readFile(path, "utf8")),
      mode: options.mode ?? modeOf
    }
    const named = namedFile(options, environment)
    const file = Either.getOrUndefined(named)
    const document = Either.isLeft(named)
      ? Either.left(named.left)
      : file === undefined
        ? Either.right(undefined)
        : yield* Effect.either(readDocument(file, disk.readFile))
    const places = { ...environment, file: file === undefined ? undefined : dirname(file.path) }
    if (Either.isLeft(document)) {
      const others = Either.match(resolve(table, { env, places, incomplete: true }), {
        onLeft: (faults) => faults,
        onRight: () => []
      })
      return yield* new ConfigFaults({ faults: [document.left, ...others], path: file?.path })
    }
    const path = document.right === undefined ? undefined : file?.path
    const input = { document: document.right, env, path, places }
    const { load: files = [] } = options
    const args = [
      ...(options.connection === undefined
        ? []
        : [{ path: ["snowflake", "connection"], value: options.connection, option: "--connection" }]),
      ...(files.length === 0 ? [] : [{ path: ["duckdb", "load"], value: files, option: "--load" }])
    ]
    const said = yield* decode({ ...input, args })
    // A connection that is named on the command line is meant to be used.
    const all =
      options.connection !== undefined && said.sources.get("warehouse")?.source === "default"
        ? [...args, { path: ["warehouse"], value: "snowflake", option: "--connection" }]
        : args
    const loaded = all === args ? said : yield* decode({ ...input, args: all })
    if (files.length > 0 && loaded.settings.warehouse !== "duckdb") {
      const { name = "warehouse" } = loaded.sources.get("warehouse") ?? {}
      return yield* new ConfigFaults({
        faults: [
          {
            key: "--load",
            source: "args",
            message: `loads files into the embedded warehouse, and ${name} chooses a Snowflake account`
          }
        ],
        path
      })
    }
    const notes = [
      ...strayNote(environment, path, disk.mode),
      ...relativeNotes(environment, [
        ...(options.configPath === undefined ? ["SNOWGUARD_CONFIG"] : []),
        "SNOWGUARD_STATE_DIR"
      ])
    ]
    if (!(options.account ?? loaded.settings.warehouse === "snowflake")) return { ...loaded, notes }

    const failed = (faults: ReadonlyArray<Fault>) => new ConfigFaults({ faults, path })
    const found = yield* Effect.mapError(connectionOf(loaded, environment, disk), (fault) => failed([fault]))
    const more = [...notes, ...relativeNotes(environment, ["SNOWFLAKE_HOME"]), ...(found?.notes ?? [])]
    if (found === undefined) return { ...loaded, notes: more }
    const { values } = yield* Either.mapLeft(Connections.checked(found), failed)
    const complete = yield* decode({
      ...input,
      args: all,
      connection: { name: Connections.title(found), values },
      places: { ...places, connection: dirname(found.path) }
    })
    return { ...complete, notes: more }
  }
)

/**
 * Whether the embedded warehouse serves files of the user's own, in place of the sample.
 *
 * @since 0.1.0
 * @category getters
 */
export const hasOwnData = ({ database, load }: Settings["duckdb"]): boolean =>
  database !== undefined || load.length > 0

/**
 * Whether a command that looks at the warehouse which is served means the embedded one. Where nothing says which one is
 * served it is the default, and an account is meant, as by a connection that is named.
 *
 * @since 0.1.0
 * @category getters
 */
export const meansEmbedded = (
  { settings, sources }: Pick<Loaded, "settings" | "sources">,
  connection: string | undefined
): boolean =>
  connection === undefined &&
  settings.warehouse === "duckdb" &&
  (hasOwnData(settings.duckdb) || (sources.get("warehouse") ?? { source: "default" }).source !== "default")

/**
 * The settings of one section, for what needs no other: where they are all right as `load` reads them, and otherwise
 * those of the section with the defaults of all others. `faults`: what is wrong with the others. Fails where the
 * section itself is wrong.
 *
 * @since 0.1.0
 * @category loading
 */
export const loadSection = (
  section: string,
  options: LoadOptions = {}
): Effect.Effect<Loaded & { readonly faults?: ConfigFaults }, ConfigFaults> =>
  Effect.catchAll(load({ ...options, account: false }), (faults) =>
    Effect.gen(function* () {
      const env = options.env ?? process.env
      const environment: UserDirs.Environment = { ...UserDirs.current(env), ...options.user }
      const file = Either.getOrUndefined(namedFile(options, environment))
      const read = options.readFile ?? ((path: string) => readFile(path, "utf8"))
      const document =
        file === undefined ? undefined : Either.getOrUndefined(yield* Effect.either(readDocument(file, read)))
      const prefix = `SNOWGUARD_${section.toUpperCase()}_`
      const found = decode({
        document: document?.[section] === undefined ? undefined : { [section]: document[section] },
        env: Object.fromEntries(Object.entries(env).filter(([name]) => name.startsWith(prefix))),
        path: file?.path,
        places: { ...environment, file: file === undefined ? undefined : dirname(file.path) }
      })
      return yield* Either.match(found, {
        onLeft: () => Effect.fail(faults),
        onRight: (loaded) => Effect.succeed({ ...loaded, faults })
      })
    })
  )

/**
 * Settings that are known already.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (settings: Settings): Layer.Layer<ServerConfig> => Layer.succeed(ServerConfig, settings)

/**
 * Settings as the binary reads them: fails with all that is wrong with them at once.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerFromEnv = (options?: LoadOptions): Layer.Layer<ServerConfig, ConfigFaults> =>
  Layer.effect(
    ServerConfig,
    Effect.map(load(options), ({ settings }) => settings)
  )

/**
 * What `--print-config` prints: a file that says what is in effect and where each value comes from, with
 * secrets redacted. `remarks`: lines of comment at its head.
 *
 * @since 0.1.0
 * @category rendering
 */
export const printConfig = (loaded: Loaded, remarks: ReadonlyArray<string> = []): string =>
  Print.config(table, { ...loaded, remarks: [...remarks, ...loaded.notes] })

/**
 * The same as JSON: each setting with its value and where that comes from.
 *
 * @since 0.1.0
 * @category rendering
 */
export const printConfigJson = (loaded: Loaded, remarks: ReadonlyArray<string> = []): string =>
  Print.configJson(table, { ...loaded, remarks: [...remarks, ...loaded.notes] })

/**
 * The tables of docs/configuration.md, in Markdown.
 *
 * @since 0.1.0
 * @category rendering
 */
export const settingsTable = (): string => Print.markdown(table)

// Settings -> the plain options of each service. Seconds become milliseconds here and nowhere else.

const ms = (seconds: number): number => Math.round(seconds * 1000)

// No prototype: names are the operator's, and one may be `constructor`.
const mapValues = <A, B>(
  self: { readonly [name: string]: A },
  f: (value: A) => B
): { readonly [name: string]: B } => {
  const out: { [name: string]: B } = Object.create(null)
  for (const [name, value] of Object.entries(self)) out[name] = f(value)
  return out
}

/**
 * The tier whose limits apply to a client: its own, or `default`.
 *
 * @since 0.1.0
 * @category options
 */
export const tierOf = (settings: Settings, client: string): string =>
  settings.clients[client]?.tier ?? "default"

/**
 * The buckets that the settings ask for; rates per second.
 *
 * @since 0.1.0
 * @category options
 */
export const rateLimiterOptions = (settings: Settings): RateLimiter.Options => ({
  global: { rate: settings.limits.requestsPerSecond, burst: settings.limits.burst },
  classes: { query: { rate: settings.limits.queriesPerSecond, burst: settings.limits.queryBurst } },
  tiers: mapValues(settings.tiers, (tier) => ({
    client: { rate: tier.requestsPerSecond, burst: tier.burst, initial: tier.initialTokens },
    ...(tier.totalRequestsPerSecond === undefined || tier.totalBurst === undefined
      ? {}
      : { total: { rate: tier.totalRequestsPerSecond, burst: tier.totalBurst } }),
    ...(tier.observe.length === 0
      ? {}
      : {
          observe: Scope.literals.filter(
            (scope) => tier.observe.includes("rate") || tier.observe.includes(scope)
          )
        }),
    tools: mapValues(tier.tools, ({ burst, requestsPerSecond: rate, weight }) => ({
      ...(rate === undefined || burst === undefined ? {} : { bucket: { rate, burst } }),
      ...(weight === undefined ? {} : { weight })
    }))
  })),
  maxClients: settings.limits.maxClients,
  reserved: settings.limits.reservedShare
})

const EMBEDDED_STATEMENTS = 12

/**
 * Statements at a time. In a Snowflake account each may need a session of its own, so that there are no more
 * than sessions: a call with a slot never waits for a session that others keep busy. A process of the embedded
 * warehouse runs as many as it has threads for: all of them may be in one.
 *
 * @since 0.1.0
 * @category options
 */
export const concurrentStatements = ({ limits, snowflake, warehouse }: Settings): number =>
  warehouse === "snowflake"
    ? Math.min(limits.maxConcurrentStatements, snowflake.maxSessions ?? Infinity)
    : Math.min(limits.maxConcurrentStatements, EMBEDDED_STATEMENTS)

/** Slots that only clients without one may take: a quarter, so that one client cannot hold all of them. */
const reserveOf = (permits: number): number => (permits < 2 ? 0 : Math.max(1, Math.floor(permits / 4)))

/**
 * `shared`: for a server of several clients.
 *
 * @since 0.1.0
 * @category options
 */
export const bulkheadOptions = (
  settings: Settings,
  { shared = false }: { readonly shared?: boolean } = {}
): Bulkhead.Options => {
  const pool = (permits: number): Bulkhead.PoolOptions => ({
    permits,
    ...queue,
    ...(shared ? { reserve: reserveOf(permits) } : {})
  })
  const queue = { maxQueue: settings.limits.maxQueued, maxQueuePerClient: settings.limits.maxQueuedPerClient }
  return {
    requests: pool(settings.limits.maxConcurrentRequests),
    statements: pool(concurrentStatements(settings)),
    tierWeights: mapValues(settings.tiers, (tier) => tier.weight)
  }
}

// A quota that is not set has no key: limits are laid over one another, and an `undefined` would erase.
const limits = (from: Settings["globalQuota"]): Quota.Limits => ({
  ...(from.requestsPerHour === undefined ? {} : { requests_per_hour: from.requestsPerHour }),
  ...(from.requestsPerDay === undefined ? {} : { requests_per_day: from.requestsPerDay }),
  ...(from.queriesPerHour === undefined ? {} : { queries_per_hour: from.queriesPerHour }),
  ...(from.queriesPerDay === undefined ? {} : { queries_per_day: from.queriesPerDay }),
  ...(from.bytesPerDay === undefined ? {} : { bytes_per_day: from.bytesPerDay }),
  ...(from.scanBytesPerDay === undefined ? {} : { scan_bytes_per_day: from.scanBytesPerDay }),
  ...(from.statementSecondsPerDay === undefined
    ? {}
    : { statement_seconds_per_day: from.statementSecondsPerDay }),
  ...(from.creditsPerHour === undefined ? {} : { credits_per_hour: from.creditsPerHour }),
  ...(from.creditsPerDay === undefined ? {} : { credits_per_day: from.creditsPerDay })
})

const limitsCredits = ({ creditsPerDay, creditsPerHour }: Settings["globalQuota"]): boolean =>
  creditsPerDay !== undefined || creditsPerHour !== undefined

/**
 * The quotas that the settings ask for.
 *
 * @since 0.1.0
 * @category options
 */
export const quotaOptions = (settings: Settings): Quota.Options => ({
  tiers: mapValues(settings.tiers, limits),
  ...(Object.values(settings.tiers).every(({ observe }) => observe.length === 0)
    ? {}
    : {
        observe: mapValues(settings.tiers, ({ observe }) =>
          QuotaName.literals.filter((quota) => observe.includes("quota") || observe.includes(quota))
        )
      }),
  outage: mapValues(settings.tiers, (tier) => tier.onQuotaOutage),
  clients: mapValues(settings.clients, limits),
  global: limits(settings.globalQuota)
})

/**
 * What the settings say of the cost of a virtual warehouse; credits per hour and milliseconds.
 *
 * For `Credits.layer`.
 *
 * @since 0.1.0
 * @category options
 */
export const creditsOptions = ({ snowflake }: Settings): Credits.Options => ({
  unknownPerHour: snowflake.unknownCreditsPerHour,
  refreshMs: ms(snowflake.warehouseRefreshSeconds)
})

/**
 * What one call may ask for, by tier; for `CallPolicy.layer`.
 *
 * @since 0.1.0
 * @category options
 */
export const callPolicyTiers = (settings: Settings): { readonly [tier: string]: TierPolicy } => {
  const { enabled } = settings.tools
  // A client with a limit of its own may come with any tier.
  const ofAllTiers = [settings.globalQuota, ...Object.values(settings.clients)]
  const off = enabled.length === 0 ? [] : toolNames.filter((name) => !enabled.includes(name))
  return mapValues(settings.tiers, (tier: TierSettings): TierPolicy => {
    const most = tier.maxStatementSeconds ?? settings.timeouts.maxStatementSeconds
    return {
      defaultRows: Math.min(settings.results.defaultRows, tier.maxRows),
      maxRows: tier.maxRows,
      maxResultBytes: tier.maxResultBytes ?? settings.results.maxBytes,
      metadataTimeoutMs: ms(settings.timeouts.metadataSeconds),
      statementTimeoutMs: ms(Math.min(settings.timeouts.statementSeconds, most)),
      maxStatementTimeoutMs: ms(most),
      // Unquoted names are upper case to Snowflake, and the guard compares them so.
      allowFunctions: tier.allowFunctions.map((name) => name.toUpperCase()),
      objects: { allow: tier.allowObjects, deny: tier.denyObjects },
      masks: tier.mask,
      tools: { allow: tier.allowTools, deny: [...tier.denyTools, ...off] },
      allowFlow: tier.allowFlow,
      allowStages: tier.allowStages,
      chargeScans: [tier, ...ofAllTiers].some(({ scanBytesPerDay }) => scanBytesPerDay !== undefined),
      chargeCredits: [tier, ...ofAllTiers].some(limitsCredits),
      wakeWarehouse: tier.wakeWarehouse,
      ...(tier.maxScanBytes === undefined ? {} : { maxScanBytes: tier.maxScanBytes })
    }
  })
}

/**
 * The circuit that the settings ask for; milliseconds.
 *
 * @since 0.1.0
 * @category options
 */
export const breakerOptions = ({ breaker }: Settings) => ({
  consecutiveFailures: breaker.consecutiveFailures,
  failureRate: breaker.failureRate,
  minimumCalls: breaker.minimumCalls,
  windowCalls: breaker.windowCalls,
  windowMs: ms(breaker.windowSeconds),
  slowCallMs: ms(breaker.slowCallSeconds),
  slowCallRate: breaker.slowCallRate,
  openMs: ms(breaker.openSeconds),
  openMaxMs: ms(breaker.openMaxSeconds),
  probes: breaker.probes
})

/**
 * How long calls wait, as the settings say; milliseconds.
 *
 * @since 0.1.0
 * @category options
 */
export const guardOptions = (settings: Settings): Partial<Guard.Options> => ({
  maxWaitMs: ms(settings.limits.maxWaitSeconds),
  tiers: mapValues(settings.tiers, (tier) => ({
    maxTokenWaitMs: ms(tier.maxTokenWaitSeconds),
    batch: tier.lowPriority
  }))
})

/**
 * What of answers is remembered, as the settings say; bytes and milliseconds.
 *
 * @since 0.1.0
 * @category options
 */
export const cacheOptions = ({ cache }: Settings): Partial<ResultCache.Options> => ({
  maxBytes: cache.maxBytes,
  maxEntries: cache.maxEntries,
  freshMs: ms(cache.freshSeconds),
  maxAgeMs: ms(cache.maxAgeSeconds)
})

/**
 * What of names is kept for searches, as the settings say; bytes and milliseconds.
 *
 * @since 0.1.0
 * @category options
 */
export const searchOptions = ({ search }: Settings): Partial<SearchIndex.Options> => ({
  maxObjects: search.maxObjects,
  maxBytes: search.maxBytes,
  refreshMs: ms(search.refreshSeconds),
  statementsPerHour: search.statementsPerHour
})

/**
 * The HTTP server that the settings ask for; milliseconds and bytes.
 *
 * For `Http.serve`.
 *
 * @since 0.1.0
 * @category options
 */
export const httpOptions = ({ http, timeouts }: Settings): Http.Options => ({
  host: http.host,
  port: http.port,
  allowedHosts: http.allowedHosts,
  allowedOrigins: http.allowedOrigins,
  trustedProxies: http.trustedProxies,
  maxBodyBytes: http.maxBodyBytes,
  maxConcurrentBodies: http.maxConcurrentBodies,
  requestTimeoutMs: ms(http.requestSeconds),
  maxConnections: http.maxConnections,
  maxSessions: http.maxSessions,
  maxSessionsPerClient: http.maxSessionsPerClient,
  sessionIdleMs: ms(http.sessionIdleSeconds),
  strictSessions: http.strictSessions,
  failedLogins: { burst: http.failedLoginBurst, ratePerSecond: http.failedLoginsPerSecond },
  clientRequests: { burst: http.clientRequestBurst, ratePerSecond: http.clientRequestsPerSecond },
  clientBytes: { burst: http.clientByteBurst, ratePerSecond: http.clientBytesPerSecond },
  cancelOnDisconnect: http.cancelOnDisconnect,
  metrics: http.metrics,
  status: http.status,
  stopMs: ms(timeouts.shutdownSeconds)
})

/**
 * Where alerts go, by the name of the receiver; those without a URL are left out.
 *
 * For `Alerts.layer`.
 *
 * @since 0.1.0
 * @category options
 */
export const alertReceivers = (settings: Settings): Receivers =>
  Object.fromEntries(
    Object.entries(settings.alerts).flatMap(([name, { events, minInterval, signingKey, url }]) =>
      url === undefined
        ? []
        : [
            [
              name,
              {
                url,
                events: eventNames.filter((one) => events.includes(one)),
                minIntervalMs: ms(minInterval),
                signingKey
              }
            ] as const
          ]
    )
  )

/**
 * How a credential's client and tier become those of the configuration.
 *
 * @since 0.1.0
 * @category options
 */
export const tiersOf = (settings: Settings) => ({
  tierOf: (client: string): string => tierOf(settings, client),
  isTier: (tier: string): boolean => Object.hasOwn(settings.tiers, tier)
})

const levels = {
  trace: LogLevel.Trace,
  debug: LogLevel.Debug,
  info: LogLevel.Info,
  warning: LogLevel.Warning,
  error: LogLevel.Error,
  none: LogLevel.None
}

/**
 * The level below which nothing is logged.
 *
 * @since 0.1.0
 * @category options
 */
export const logLevel = (settings: Settings): LogLevel.LogLevel => levels[settings.log.level]
