/**
 * THE WIRING of the warehouses: which adapter is asked, and the read-only gate in front of it. Drivers are
 * loaded by the first call that needs them.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ReadOnly from "../ReadOnly.js"
import * as ServerConfig from "../ServerConfig.js"
import * as Warehouse from "../Warehouse.js"
import * as WarehouseHealth from "../WarehouseHealth.js"

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
          Effect.promise(() => import("../ReadOnly/Snowflake.js")),
          (guard) => guard.layer({ namespace: { database: snowflake.database, schema: snowflake.schema } })
        )
      )
    case "duckdb":
      return ReadOnly.layerLazy(
        dialect,
        Effect.map(
          Effect.promise(() =>
            Promise.all([import("../ReadOnly/DuckDb.js"), import("../embedded/dialect/snowflake.js")])
          ),
          ([guard, { macros, translate }]) =>
            guard.layer({ translate, macros, namespace: { database: "SNOWGUARD_SAMPLE", schema: "PUBLIC" } })
        )
      )
  }
}

/**
 * The warehouse that is asked.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (settings: ServerConfig.Settings): Layer.Layer<Warehouse.Warehouse> =>
  settings.warehouse === "snowflake" ? snowflake(settings) : duckdb(settings)

const snowflake = (settings: ServerConfig.Settings) =>
  Layer.unwrapEffect(
    Effect.map(WarehouseHealth.WarehouseHealth, (health) =>
      Warehouse.layerLazy(
        "snowflake",
        Effect.gen(function* () {
          const [adapter, { options }] = yield* Warehouse.importAdapter("snowflake-sdk", () =>
            Promise.all([import("../Warehouse/Snowflake.js"), import("../Warehouse/snowflake/configure.js")])
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
      )
    )
  ).pipe(Layer.provideMerge(WarehouseHealth.layer({ latchMs: settings.snowflake.latchSeconds * 1000 })))

const duckdb = (settings: ServerConfig.Settings) =>
  Warehouse.layerLazy(
    "duckdb",
    Effect.map(
      Warehouse.importAdapter("@duckdb/node-api", () => import("../Warehouse/DuckDb.js")),
      (adapter) => adapter.layer(settings.duckdb)
    ),
    { keepsResults: true }
  )
