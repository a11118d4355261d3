/**
 * ADAPTER of the `Warehouse` port: the embedded warehouse, for trying things out and for tests.
 *
 * DuckDB runs in processes of their own (`duckdb/client.ts`), which this process never loads: the first is begun
 * by the first statement, and all end with the layer's scope.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { Parser } from "../gate/duckdb/parser.js"
import type { Client } from "./duckdb/client.js"
import * as Clients from "./duckdb/client.js"
import type { OwnData } from "./duckdb/ownData.js"
import * as Own from "./duckdb/ownData.js"
import * as Sample from "./duckdb/sampleTables.js"
import * as Spools from "./duckdb/spool.js"
import { Warehouse } from "./Warehouse.js"

export { OwnDataFaults } from "./duckdb/ownData.js"
export type { OwnData }

/**
 * The data that is served, and what its processes may use.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Load the sample database `SNOWGUARD_SAMPLE`; on unless switched off, or there is data of one's own. */
  readonly sample?: boolean | undefined
  /** One's own: see {@link ownData}. */
  readonly data?: OwnData | undefined
  /** What DuckDB may use, for example `512MB`; a statement that needs more fails. Default `1GB`. */
  readonly memoryLimit?: string | undefined
  /** Threads of DuckDB in each process. Default 2. */
  readonly threads?: number | undefined
  /**
   * What a process may have, DuckDB's limit and what that does not count: beyond it the process is ended. Default
   * `1500MB`.
   */
  readonly processMemoryLimit?: string | undefined
  /** Processes at most: each client has one of its own while there are enough. Default 4. */
  readonly processes?: number | undefined
}

const units: Readonly<Record<string, number>> = { K: 1, M: 2, G: 3, T: 4 }

/** `512MB` as bytes; the default where it is no size. */
const bytesOf = (size: string): number => {
  const [, number = "1.5", unit = "G", binary = ""] = /^([\d.]+) ?([KMGT])(i?)B$/i.exec(size.trim()) ?? []
  return Number(number) * (binary === "" ? 1000 : 1024) ** (units[unit.toUpperCase()] ?? 3)
}

/** What a process may use. */
const boundsOf = ({ memoryLimit = "1GB", processMemoryLimit = "1500MB", threads = 2 }: Options) => ({
  memoryLimit,
  threads,
  processBytes: bytesOf(processMemoryLimit)
})

/**
 * Makes data of one's own ready: a DuckDB file (`database`), and files that are loaded into one (`load`: CSV, TSV,
 * JSON and Parquet, patterns among them). Paths are absolute. Fails with all that is wrong with the files.
 *
 * @since 0.1.0
 * @category constructors
 */
export const ownData = (
  files: Pick<Own.Options, "database" | "load">,
  options: Omit<Options, "data"> = {}
): Effect.Effect<OwnData, Own.OwnDataFaults, Scope.Scope> =>
  Own.make({ ...files, ...boundsOf(options) }, options.sample === true ? Sample.database : undefined)

/**
 * The processes that run DuckDB, shared by the warehouse and by the parser of its gate.
 *
 * @since 0.1.0
 * @category context
 */
export class Embedded extends Context.Tag("snowguard/Warehouse/DuckDb/Embedded")<Embedded, Client>() {}

/**
 * No process runs until the first statement; all end with the scope.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeEmbedded = (options: Options = {}): Effect.Effect<Client, never, Scope.Scope> =>
  Clients.make({
    sample: options.sample ?? options.data === undefined,
    attached: options.data?.attached ?? [],
    ...boundsOf(options),
    processes: options.processes ?? 4
  })

/**
 * No process runs until the first statement.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerEmbedded = (options: Options = {}): Layer.Layer<Embedded> =>
  Layer.scoped(Embedded, makeEmbedded(options))

/**
 * DuckDB's parser, for the gate: `gate/DuckDb` takes it as an option.
 *
 * @since 0.1.0
 * @category getters
 */
export const parser: Effect.Effect<Parser, never, Embedded> = Effect.map(Embedded, ({ parse }) => ({ parse }))

const queryId: Effect.Effect<string> = Effect.randomWith((random) =>
  Effect.gen(function* () {
    let digits = ""
    while (digits.length < 32)
      digits += (yield* random.nextIntBetween(0, 0x1_0000_0000)).toString(16).padStart(8, "0")
    return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5")
  })
)

/** The client that asks nothing of itself: of a library's caller, for example. */
const someClient = "local"

/**
 * The warehouse on processes that are there; `place`: see `Warehouse.place`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const of = (embedded: Client, place?: Warehouse["Type"]["place"]): Warehouse["Type"] => {
  const spool = Spools.make()
  return Warehouse.of({
    dialect: "duckdb",
    place,
    results: { fetch: ({ offset, queryId }) => spool.fetch(queryId, offset) },
    execute: ({ binds = [], keepRows, onCancelled, tag, ...statement }) =>
      Effect.flatMap(queryId, (id) => {
        const executed = embedded.execute(
          {
            client: tag?.client ?? someClient,
            queryId: id,
            sql: statement.sql,
            binds,
            database: statement.database,
            schema: statement.schema,
            timeoutMs: statement.timeoutMs,
            maxRows: statement.maxRows,
            maxCellBytes: statement.maxCellBytes,
            objects: statement.objects
          },
          (answer) => {
            const result = { queryId: id, ...answer }
            return keepRows === undefined ? Effect.succeed(result) : spool.keep(result, keepRows, tag?.client)
          }
        )
        // Run last, when the statement has been told to stop: it does, or its process ends.
        return onCancelled === undefined
          ? executed
          : Effect.zipRight(
              Effect.addFinalizer((exit) => (Exit.isInterrupted(exit) ? onCancelled : Effect.void)),
              executed
            )
      })
  })
}

/** As the processes have it: the first of one's own databases, or the sample. */
const placeIn = ({ data, sample }: Options): Warehouse["Type"]["place"] => {
  const database = data?.attached[0]?.database ?? (sample === false ? undefined : Sample.database)
  return database === undefined ? undefined : { database, schema: "PUBLIC" }
}

/**
 * A warehouse with processes of its own, which end with the scope.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<Warehouse["Type"], never, Scope.Scope> =>
  Effect.map(makeEmbedded(options), (embedded) => of(embedded, placeIn(options)))

/**
 * A warehouse with processes of its own.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options = {}): Layer.Layer<Warehouse> => Layer.scoped(Warehouse, make(options))

/**
 * A warehouse on the processes of the context; it names no current database.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerOf: Layer.Layer<Warehouse, never, Embedded> = Layer.effect(
  Warehouse,
  Effect.map(Embedded, (embedded) => of(embedded))
)
