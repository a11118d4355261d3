/**
 * Opens the in-memory DuckDB of the embedded warehouse, fills it, and locks it.
 *
 * The order matters: data and macros first, then everything that reaches outside the process is switched
 * off, and last the lock after which no setting can be changed any more, by anybody. Nothing is written to
 * disk: no temporary directory, no secrets, no extensions.
 *
 * @since 0.1.0
 */
import type * as DuckDb from "@duckdb/node-api"
import { leaveRemovedDirectory } from "../../platform/userDirs.js"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { WarehouseError } from "../Warehouse.js"
import type { Catalog, Namespace } from "./catalog.js"
import * as Catalogs from "./catalog.js"
import * as InformationSchema from "./informationSchema.js"
import { macros } from "./dialect/macros.js"
import * as Sample from "./sample.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Load the sample database; without it the warehouse is empty. */
  readonly sample: boolean
  /** DuckDB's memory limit, for example `512MB`. */
  readonly memoryLimit: string
  readonly threads: number
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Opened {
  readonly api: typeof DuckDb
  readonly connect: () => Promise<DuckDb.DuckDBConnection>
  readonly catalog: Catalog
  /** Where unqualified names lead when a statement does not say. */
  readonly namespace: Namespace
}

const lock = [
  "enable_external_access = false",
  "autoinstall_known_extensions = false",
  "autoload_known_extensions = false",
  "allow_community_extensions = false",
  "lock_configuration = true"
]
  .map((setting) => `SET ${setting}`)
  .join("; ")

const prepare = async (
  api: typeof DuckDb,
  instance: DuckDb.DuckDBInstance,
  options: Options,
  createdOn: string
): Promise<Opened> => {
  const connection = await instance.connect()
  try {
    // Results do not depend on the zone of the machine.
    await connection.run("SET GLOBAL TimeZone = 'UTC'")
    // As in Snowflake: NULL is greater than everything.
    await connection.run("SET GLOBAL default_null_order = 'nulls_last_on_asc_first_on_desc'")
    if (options.sample) await connection.run(Sample.statements.join(";\n"))
    await connection.run(macros)
    const databases = options.sample ? [{ name: Sample.database, comment: Sample.comment }] : []
    const declared = [...Sample.tables, ...Sample.views].map((entry) => ({
      database: Sample.database,
      ...entry
    }))
    const catalog = await Catalogs.read(connection, { createdOn, databases, declared })
    await InformationSchema.create(connection, catalog)
    await connection.run(lock)
    return {
      api,
      connect: () => instance.connect(),
      catalog,
      namespace: options.sample
        ? { database: Sample.database, schema: "PUBLIC" }
        : { database: undefined, schema: undefined }
    }
  } finally {
    connection.disconnectSync()
  }
}

const failure = (cause: unknown): WarehouseError =>
  new WarehouseError({
    reason: "Configuration",
    description: "The embedded warehouse could not be opened.",
    sent: "no",
    cause
  })

/**
 * Fails with `Configuration` when the native library cannot be loaded or refuses an option.
 *
 * @since 0.1.0
 * @category constructors
 */
export const open = (options: Options): Effect.Effect<Opened, WarehouseError, Scope.Scope> =>
  Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    yield* Effect.sync(leaveRemovedDirectory)
    const api = yield* Effect.tryPromise({ try: () => import("@duckdb/node-api"), catch: failure })
    const instance = yield* Effect.acquireRelease(
      Effect.tryPromise({
        try: () =>
          api.DuckDBInstance.create(":memory:", {
            memory_limit: options.memoryLimit,
            threads: String(options.threads),
            // An empty directory: larger than memory fails instead of leaving files in the working directory.
            temp_directory: "",
            allow_persistent_secrets: "false"
          }),
        catch: failure
      }),
      (instance) => Effect.sync(() => instance.closeSync())
    )
    // Half an opening cannot be taken back, and it is short.
    return yield* Effect.uninterruptible(
      Effect.tryPromise({
        try: () => prepare(api, instance, options, new Date(now).toISOString()),
        catch: failure
      })
    )
  })
