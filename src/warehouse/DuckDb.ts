/**
 * ADAPTER of the `Warehouse` port: the embedded warehouse, for trying things out and for tests.
 *
 * The engine (`src/embedded/`) opens on the first statement, once, however many ask for it at the same
 * time; a failed opening is tried again by the next statement. Nothing touches DuckDB before that, and
 * closing the layer's scope ends every statement and frees everything.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import * as Engines from "./duckdb/engine.js"
import * as Spools from "./duckdb/spool.js"
import { Warehouse } from "./Warehouse.js"
import { lazily } from "../platform/lazily.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Load the sample database `SNOWGUARD_SAMPLE`; on unless switched off. */
  readonly sample?: boolean | undefined
  /** What DuckDB may use, for example `512MB`; a statement that needs more fails. Default `1GB`. */
  readonly memoryLimit?: string | undefined
  /** Threads of DuckDB. Default 2. */
  readonly threads?: number | undefined
}

const queryId: Effect.Effect<string> = Effect.map(
  Effect.all(Array.from({ length: 4 }, () => Random.nextIntBetween(0, 0x1_0000_0000))),
  (parts) =>
    parts
      .map((part) => part.toString(16).padStart(8, "0"))
      .join("")
      .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5")
)

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<Warehouse["Type"], never, Scope.Scope> =>
  Effect.gen(function* () {
    const engine = yield* lazily(
      Engines.make({
        sample: options.sample ?? true,
        memoryLimit: options.memoryLimit ?? "1GB",
        threads: options.threads ?? 2
      })
    )

    const spool = Spools.make()

    return Warehouse.of({
      dialect: "duckdb",
      results: { fetch: ({ offset, queryId }) => spool.fetch(queryId, offset) },
      execute: (statement) =>
        Effect.gen(function* () {
          // Run last, when the engine has let go.
          yield* Effect.addFinalizer((exit) =>
            Exit.isInterrupted(exit) ? (statement.onCancelled ?? Effect.void) : Effect.void
          )
          const id = yield* queryId
          const answer = yield* Effect.flatMap(engine, (opened) =>
            opened.execute({
              sql: statement.sql,
              binds: statement.binds ?? [],
              database: statement.database,
              schema: statement.schema,
              timeoutMs: statement.timeoutMs,
              maxRows: statement.maxRows,
              objects: statement.objects,
              queryId: id
            })
          )
          const result = { queryId: id, columns: answer.columns, rows: answer.rows }
          return statement.keepRows === undefined
            ? result
            : yield* spool.keep(result, statement.keepRows, statement.tag?.client)
        })
    })
  })

/**
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options = {}): Layer.Layer<Warehouse> => Layer.scoped(Warehouse, make(options))
