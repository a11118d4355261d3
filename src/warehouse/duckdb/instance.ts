/**
 * Opens the in-memory DuckDB of the embedded warehouse, fills it, and locks it.
 *
 * The order matters: data, macros and functions first, then everything that reaches outside the process is
 * switched off, and last the lock after which no setting can be changed any more, by any statement. Nothing is
 * written to disk: no temporary directory, no secrets, no extensions.
 *
 * The sample is a file that was written when the package was built ({@link writeSnapshot}), attached read-only;
 * where that cannot be attached, it is computed anew, which takes three times as long.
 *
 * @since 0.1.0
 */
import { readFileSync, rmSync, writeFileSync } from "node:fs"
import type * as DuckDb from "@duckdb/node-api"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Reply } from "../../gate/duckdb/parser.js"
import * as Parser from "../../gate/duckdb/parser.js"
import { leaveRemovedDirectory } from "../../platform/userDirs.js"
import * as Attached from "./attached.js"
import type { Catalog, Namespace } from "./catalog.js"
import * as Catalogs from "./catalog.js"
import * as InformationSchema from "./informationSchema.js"
import { macros } from "./dialect/library.js"
import { registrations } from "./functions.js"
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
  /** The file of {@link writeSnapshot}. */
  readonly snapshot?: string | undefined
  /** DuckDB files that are databases; the first is where unqualified names are looked up. */
  readonly attached?: ReadonlyArray<Attached.Attached> | undefined
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
  /** What a plan calls a table of an attached file, and what statements do. */
  readonly shown: ReadonlyMap<string, string>
  /** What DuckDB's parser says to a text; one after the other. */
  readonly parse: (sql: string) => Promise<Reply>
}

/**
 * The native library cannot be loaded, or refuses an option.
 *
 * @since 0.1.0
 * @category errors
 */
export interface OpenError {
  readonly _tag: "OpenError"
  readonly cause: unknown
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

const settings = (options: Pick<Options, "memoryLimit" | "threads">) => ({
  memory_limit: options.memoryLimit,
  threads: String(options.threads),
  // An empty directory: larger than memory fails instead of leaving files in the working directory.
  temp_directory: "",
  allow_persistent_secrets: "false",
  ...Parser.config
})

const sample = {
  databases: [{ name: Sample.database, comment: Sample.comment }],
  declared: [...Sample.tables, ...Sample.views].map((entry): Catalogs.Declared => ({
    database: Sample.database,
    ...entry
  }))
}

/** What there is to see, for statements too. */
const catalogued = async (
  connection: DuckDb.DuckDBConnection,
  what: Parameters<typeof Catalogs.read>[1]
): Promise<Catalog> => {
  const catalog = await Catalogs.read(connection, what)
  await InformationSchema.create(connection, catalog)
  return catalog
}

/** The attached sample, computed anew, and what there is to see in it. */
const build = async (connection: DuckDb.DuckDBConnection, createdOn: string): Promise<Catalog> => {
  await connection.run(Sample.statements.join(";\n"))
  return catalogued(connection, { createdOn, ...sample })
}

const catalogOf = (snapshot: string): string => `${snapshot}.json`

/**
 * Writes the sample into a file that {@link open} attaches, and what there is to see in it beside that.
 *
 * @since 0.1.0
 * @category constructors
 */
export const writeSnapshot = async (api: typeof DuckDb, path: string, createdOn: string): Promise<void> => {
  rmSync(path, { force: true })
  const instance = await api.DuckDBInstance.create(":memory:", settings({ memoryLimit: "1GB", threads: 2 }))
  const connection = await instance.connect()
  await connection.run("SET GLOBAL TimeZone = 'UTC'")
  await connection.run(Sample.attach({ path, readOnly: false }))
  const catalog = await build(connection, createdOn)
  await connection.run(`USE memory; DETACH "${Sample.database}"`)
  connection.disconnectSync()
  instance.closeSync()
  writeFileSync(catalogOf(path), JSON.stringify(catalog))
}

const load = async (
  connection: DuckDb.DuckDBConnection,
  snapshot: string | undefined,
  createdOn: string
): Promise<Catalog> => {
  if (snapshot !== undefined) {
    try {
      const catalog: Catalog = JSON.parse(readFileSync(catalogOf(snapshot), "utf8"))
      await connection.run(Sample.attach({ path: snapshot, readOnly: true }))
      return catalog
    } catch {
      // Written by another version, or not there.
    }
  }
  await connection.run(Sample.attach())
  return build(connection, createdOn)
}

/** The files of the user's own, beside the sample where that is wanted: each lists all, so that it is made anew. */
const loadAttached = async (
  connection: DuckDb.DuckDBConnection,
  attached: ReadonlyArray<Attached.Attached>,
  withSample: boolean,
  createdOn: string
) => {
  const declared: Array<Catalogs.Declared> = []
  const shown = new Map<string, string>()
  for (const [index, one] of attached.entries()) {
    for (const { from, ...relation } of (await Attached.show(connection, one, index)).relations) {
      declared.push(relation)
      shown.set(from, [relation.database, relation.schema, relation.name].join("."))
    }
  }
  if (withSample) {
    await connection.run(Sample.attach())
    await connection.run(Sample.statements.join(";\n"))
  }
  const catalog = await catalogued(connection, {
    createdOn,
    databases: [
      ...attached.map(({ comment, database: name }) => ({ name, comment })),
      ...(withSample ? sample.databases : [])
    ].sort((a, b) => (a.name < b.name ? -1 : 1)),
    declared: [...declared, ...(withSample ? sample.declared : [])]
  })
  return { catalog, shown }
}

const prepare = async (
  api: typeof DuckDb,
  instance: DuckDb.DuckDBInstance,
  options: Options,
  createdOn: string
): Promise<Opened> => {
  const connection = await instance.connect()
  const parser = await instance.connect()
  try {
    // Results do not depend on the zone of the machine; as in Snowflake, NULL is greater than everything.
    await connection.run(
      "SET GLOBAL TimeZone = 'UTC'; SET GLOBAL default_null_order = 'nulls_last_on_asc_first_on_desc'"
    )
    // The plan as it was written tells which tables the one that runs does not have to read.
    await connection.run("SET GLOBAL explain_output = 'all'")
    const attached = options.attached ?? []
    const [first] = attached
    for (const [index, one] of attached.entries()) await Attached.attach(connection, one, index)
    const standard =
      options.sample && first === undefined
        ? await load(connection, options.snapshot, createdOn)
        : { createdOn, databases: [], schemas: [], relations: [] }
    for (const register of registrations) register(api, connection)
    // These use them.
    await connection.run(macros)
    // A view of an attached file may name others.
    await connection.run("SET enable_external_access = false")
    const { catalog, shown } =
      first === undefined
        ? { catalog: standard, shown: new Map<string, string>() }
        : await loadAttached(connection, attached, options.sample, createdOn)
    const parse = await Parser.prepare(parser)
    await connection.run(lock)
    let last: Promise<unknown> = Promise.resolve()
    return {
      api,
      connect: () => instance.connect(),
      catalog,
      shown,
      namespace:
        first !== undefined || options.sample
          ? { database: first?.database ?? Sample.database, schema: "PUBLIC" }
          : { database: undefined, schema: undefined },
      parse: (sql) => {
        const reply = last.then(() => parse(sql))
        last = reply
        return reply
      }
    }
  } finally {
    connection.disconnectSync()
  }
}

const failure = (cause: unknown): OpenError => ({ _tag: "OpenError", cause })

/**
 * @since 0.1.0
 * @category constructors
 */
export const open = (options: Options): Effect.Effect<Opened, OpenError, Scope.Scope> =>
  Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    yield* Effect.sync(leaveRemovedDirectory)
    const api = yield* Effect.tryPromise({ try: () => import("@duckdb/node-api"), catch: failure })
    const instance = yield* Effect.acquireRelease(
      Effect.tryPromise({
        try: () => api.DuckDBInstance.create(":memory:", settings(options)),
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
