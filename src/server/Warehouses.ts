/**
 * THE WIRING of the warehouses: which adapter is asked, and the read-only gate in front of it. Drivers are
 * loaded by the first call that needs them.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import { lazily } from "../platform/lazily.js"
import * as UserDirs from "../platform/userDirs.js"
import * as ReadOnly from "../gate/ReadOnly.js"
import * as Identifier from "../sql/Identifier.js"
import * as ServerConfig from "../config/ServerConfig.js"
import * as Credits from "../quota/Credits.js"
import type * as DuckDb from "../warehouse/DuckDb.js"
import * as Warehouse from "../warehouse/Warehouse.js"
import type { Report } from "../warehouse/snowflake/check.js"
import * as WarehouseHealth from "../warehouse/WarehouseHealth.js"

/**
 * The processes of the embedded warehouse, which its gate asks too. Nothing of it is loaded before it is asked.
 *
 * @since 0.1.0
 * @category context
 */
export class Embedded extends Context.Tag("snowguard/Server/Embedded")<
  Embedded,
  Effect.Effect<DuckDb.Embedded["Type"]>
>() {}

/**
 * @since 0.1.0
 * @category layers
 */
export const embedded = (settings: ServerConfig.Settings): Layer.Layer<Embedded, ServerConfig.ConfigFaults> =>
  Layer.scoped(
    Embedded,
    Effect.flatMap(ownData(settings), (data) =>
      lazily(
        Effect.flatMap(
          Effect.promise(() => import("../warehouse/DuckDb.js")),
          (adapter) =>
            adapter.makeEmbedded({ ...settings.duckdb, data, processes: settings.duckdb.maxProcesses })
        )
      )
    )
  )

/** The user's own files, which are loaded before anything is served: a call never waits for them. */
const ownData = Effect.fnUntraced(function* ({ duckdb, warehouse }: ServerConfig.Settings) {
  const { database, load } = duckdb
  if (warehouse !== "duckdb" || !ServerConfig.hasOwnData(duckdb)) return undefined
  const adapter = yield* Effect.promise(() => import("../warehouse/DuckDb.js"))
  yield* Effect.logInfo("loading").pipe(
    Effect.annotateLogs({ files: [...(database === undefined ? [] : [database]), ...load].join(", ") })
  )
  const [took, data] = yield* Effect.timed(
    Effect.mapError(
      adapter.ownData({ database, load }, duckdb),
      ({ faults }) =>
        new ServerConfig.ConfigFaults({
          faults: faults.map(({ path, ...fault }) => ({ key: path, source: "file", ...fault }))
        })
    )
  )
  for (const note of data.notes) yield* Effect.logWarning(note)
  yield* Effect.logInfo("loaded").pipe(
    Effect.annotateLogs({ tables: data.tables, rows: data.rows, seconds: Duration.toSeconds(took) })
  )
  return data
})

/**
 * Opens the embedded warehouse, as a server does that starts, with the files of the user's own: what was found there,
 * or everything that is wrong; never fails.
 *
 * @since 0.1.0
 * @category checks
 */
export const checkEmbedded = ({ duckdb }: ServerConfig.Settings): Effect.Effect<Report> =>
  Effect.gen(function* () {
    const { database, load } = duckdb
    const isOwn = ServerConfig.hasOwnData(duckdb)
    const looked = {
      warehouse: `the embedded warehouse, with ${isOwn ? "files of your own" : "the sample"}`,
      ...(load.length === 0 ? {} : { files: load.join(", ") }),
      ...(database === undefined ? {} : { "DuckDB file": database })
    }
    const wrong = (
      wrong: ReadonlyArray<string>,
      todo: string,
      warnings: ReadonlyArray<string> = []
    ): Report => ({
      facts: looked,
      warnings,
      wrong,
      todo,
      exitCode: 78
    })
    const adapter = yield* Effect.promise(() => import("../warehouse/DuckDb.js"))
    const data = isOwn ? yield* Effect.either(adapter.ownData({ database, load }, duckdb)) : undefined
    if (data !== undefined && Either.isLeft(data)) {
      return wrong(data.left.message.split("\n"), "mend the files, or name others in the section [duckdb]")
    }
    const own = data?.right
    const warnings = own?.notes ?? []
    const client = yield* adapter.makeEmbedded({ ...duckdb, data: own, processes: 1 })
    const names = yield* Effect.either(client.names)
    if (Either.isLeft(names)) {
      return wrong([names.left.description], "mend what keeps the embedded warehouse from opening", warnings)
    }
    return {
      facts: {
        ...looked,
        databases: names.right.databases.map(({ name }) => name).join(", "),
        ...(own === undefined ? {} : { tables: String(own.tables), rows: String(own.rows) })
      },
      warnings,
      exitCode: 0 as const
    }
  }).pipe(Effect.scoped)

/** Where names are looked up that do not say their database and schema: for the gate, the tools and the warehouse. */
const currentPlace = (
  settings: ServerConfig.Settings,
  dialect: ServerConfig.Settings["warehouse"]
): Effect.Effect<NonNullable<Warehouse.Warehouse["Type"]["place"]>> => {
  if (dialect === "snowflake") {
    const exact = (name: string | undefined) =>
      name === undefined || name === "" ? undefined : Identifier.exact(name)
    const { database, schema } = settings.snowflake
    return Effect.succeed({ database: exact(database), schema: exact(schema) })
  }
  const { database, load } = settings.duckdb
  if (load.length === 0 && database === undefined)
    return Effect.succeed({ database: "SNOWGUARD_SAMPLE", schema: "PUBLIC" })
  return Effect.map(
    Effect.promise(() => import("../warehouse/duckdb/attached.js")),
    ({ databaseOf, loadedDatabase }) => ({
      database: load.length > 0 || database === undefined ? loadedDatabase : databaseOf(database),
      schema: "PUBLIC"
    })
  )
}

/**
 * The read-only gate of a warehouse. Adapters are chunks of their own, loaded by the first call that
 * needs them.
 *
 * @since 0.1.0
 * @category layers
 */
export const gate = (
  settings: ServerConfig.Settings,
  dialect: ServerConfig.Settings["warehouse"],
  // The gate alone needs no data.
  processes: Layer.Layer<Embedded, ServerConfig.ConfigFaults> = embedded({
    ...settings,
    duckdb: { ...settings.duckdb, database: undefined, load: [] }
  })
): Layer.Layer<ReadOnly.ReadOnly, ServerConfig.ConfigFaults> => {
  switch (dialect) {
    case "snowflake":
      return ReadOnly.layerLazy(
        dialect,
        Effect.zipWith(
          Effect.promise(() => import("../gate/Snowflake.js")),
          currentPlace(settings, dialect),
          (guard, namespace) => guard.layer({ namespace })
        )
      )
    case "duckdb":
      return Layer.unwrapEffect(
        Effect.map(Embedded, (client) =>
          ReadOnly.layerLazy(
            dialect,
            Effect.map(
              Effect.all([
                Effect.promise(() => import("../gate/DuckDb.js")),
                Effect.promise(() => import("../warehouse/duckdb/dialect/snowflake.js")),
                currentPlace(settings, dialect)
              ]),
              ([guard, { functions, translate }, namespace]) =>
                guard.layer({
                  parser: { parse: (sql) => Effect.flatMap(client, ({ parse }) => parse(sql)) },
                  translate,
                  functions,
                  namespace
                })
            )
          )
        )
      ).pipe(Layer.provide(processes))
  }
}

/**
 * The warehouse that is asked.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  settings: ServerConfig.Settings,
  processes: Layer.Layer<Embedded, ServerConfig.ConfigFaults> = embedded(settings),
  /** For what must survive a restart, or why there is none. */
  directory: Either.Either<string, string> = UserDirs.stateDir(UserDirs.current())
): Layer.Layer<Warehouse.Warehouse, ServerConfig.ConfigFaults> =>
  settings.warehouse === "snowflake"
    ? Layer.unwrapEffect(Effect.as(loginIsComplete(settings), snowflake(settings, directory)))
    : Layer.merge(duckdb(settings, processes), Layer.effectDiscard(tellCredits(settings)))

/** What is missing is said at the start, and all of it: the first call may come much later, from a model. */
const loginIsComplete = (settings: ServerConfig.Settings) =>
  Effect.flatMap(account, ({ startFaults }) => {
    const found = startFaults(settings)
    return found.length === 0
      ? Effect.void
      : new ServerConfig.ConfigFaults({
          faults: found.map((fault) => ({ key: fault.setting, source: "env", message: fault.message }))
        })
  })

/** Who relied on the other roles of its user finds out here. */
const tellRoles = ({ snowflake }: ServerConfig.Settings) =>
  snowflake.secondaryRoles === "none"
    ? Effect.logInfo(
        "sessions in Snowflake have their role and no other; what only another role of the user may read is not found " +
          '(snowflake.secondary_roles = "all" allows them all)'
      )
    : Effect.void

/** The embedded warehouse costs no credits: what limits them is set for another warehouse, or in vain. */
const tellCredits = (settings: ServerConfig.Settings) =>
  Object.values(ServerConfig.callPolicyTiers(settings)).some(
    ({ chargeCredits, wakeWarehouse }) => chargeCredits || !wakeWarehouse
  )
    ? Effect.logWarning(
        "credits_per_hour, credits_per_day and wake_warehouse have no effect: the embedded warehouse costs no credits"
      )
    : Effect.void

const account = Effect.promise(() => import("./SnowflakeAccount.js"))

/** The sign-in of one person by the browser, for the tokens that the driver gets. */
export const signedIn = (
  settings: ServerConfig.Settings,
  directory: Either.Either<string, string>,
  awaitApproval: Context.Tag.Service<WarehouseHealth.WarehouseHealth>["awaitApproval"],
  waitMs?: number
) =>
  Effect.flatMap(
    Effect.promise(() => Promise.all([import("./SignIn.js"), import("../warehouse/snowflake/signIn.js")])),
    ([{ options }, { make }]) => make({ ...options(settings, directory, awaitApproval), waitMs })
  )

const snowflake = (settings: ServerConfig.Settings, directory: Either.Either<string, string>) =>
  Layer.unwrapEffect(
    Effect.gen(function* () {
      const health = yield* WarehouseHealth.WarehouseHealth
      const { identityOf, isSignIn, options } = yield* account
      const place = yield* currentPlace(settings, "snowflake")
      const ofCaller = identityOf(settings)
      return Warehouse.layerLazy(
        "snowflake",
        Effect.gen(function* () {
          const adapter = yield* Warehouse.importAdapter(
            "snowflake-sdk",
            () => import("../warehouse/Snowflake.js")
          )
          yield* tellRoles(settings)
          const statements = ServerConfig.concurrentStatements(settings)
          const wanted = settings.limits.maxConcurrentStatements
          if (statements < wanted) {
            yield* Effect.logWarning(
              `at most ${statements} statements run at a time: snowflake.max_sessions is less than ` +
                `limits.max_concurrent_statements, which is ${wanted}`
            )
          }
          const given = {
            ...(yield* options(settings.snowflake)),
            identityOf: ofCaller,
            maxSessions: settings.snowflake.maxSessions ?? statements,
            maxPerSession: statements,
            health
          }
          const { identity, authenticator } = settings.snowflake
          if (identity === "shared" && isSignIn({ authenticator })) {
            return Layer.unwrapScoped(
              Effect.map(signedIn(settings, directory, health.awaitApproval), (signIn) =>
                adapter.layer({ ...given, identityOf: identityOf(settings, { signIn }) })
              )
            )
          }
          if (identity !== "exchange") return adapter.layer(given)
          const [exchanging, { make }] = yield* Effect.promise(() =>
            Promise.all([import("./TokenExchange.js"), import("../warehouse/snowflake/exchange.js")])
          )
          return Layer.unwrapScoped(
            Effect.map(make(exchanging.options(settings)), (exchange) =>
              adapter.layer({ ...given, identityOf: identityOf(settings, { exchange }) })
            )
          )
        }),
        { keepsResults: true, reportsSubmit: true, actingAs: ofCaller, place, bills: true }
      )
    })
  ).pipe(
    // What it costs is counted beside it: not every warehouse costs something.
    (warehouse) => Layer.provideMerge(Credits.layer(ServerConfig.creditsOptions(settings)), warehouse),
    Layer.provideMerge(WarehouseHealth.layer({ latchMs: settings.snowflake.latchSeconds * 1000 }))
  )

const duckdb = (
  settings: ServerConfig.Settings,
  processes: Layer.Layer<Embedded, ServerConfig.ConfigFaults>
) =>
  Layer.unwrapEffect(
    Effect.zipWith(Embedded, currentPlace(settings, "duckdb"), (client, place) =>
      Warehouse.layerLazy(
        "duckdb",
        Effect.flatMap(client, (embedded) =>
          Effect.map(
            Effect.promise(() => import("../warehouse/DuckDb.js")),
            (adapter) => Layer.succeed(Warehouse.Warehouse, adapter.of(embedded, place))
          )
        ),
        { keepsResults: true, place }
      )
    )
  ).pipe(Layer.provide(processes))
