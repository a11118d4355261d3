/**
 * The user's own data in the embedded warehouse, made ready before the server serves anything.
 *
 * Files that are loaded are read once, by a process of their own, into a temporary DuckDB file that the processes of
 * the warehouse attach: however many there are, and however often one is begun anew, nothing is read again. A DuckDB
 * file of the user's is attached as it is. What is wrong with any of them is found out here, all of it.
 *
 * The temporary file is removed with the scope; what a server that was killed has left is removed by the next one.
 *
 * @since 0.1.0
 */
import type { ChildProcess } from "node:child_process"
import { mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { codeOf, reasonOf } from "../../platform/fileReasons.js"
import type { Attached } from "./attached.js"
import { databaseOf, isTaken, loadedDatabase } from "./attached.js"
import { begin } from "./process.js"
import * as Protocol from "./protocol.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** A DuckDB file; absolute. */
  readonly database?: string | undefined
  /** Files and patterns of files to be loaded; absolute. */
  readonly load?: ReadonlyArray<string> | undefined
  readonly memoryLimit: string
  readonly threads: number
  readonly processBytes: number
}

/**
 * What is to be attached, in the order in which names are looked up.
 *
 * @since 0.1.0
 * @category models
 */
export interface OwnData {
  readonly attached: ReadonlyArray<Attached>
  readonly tables: number
  readonly rows: number
  /** What is not served, and why; for the log. */
  readonly notes: ReadonlyArray<string>
}

/**
 * All that is wrong with the files.
 *
 * @since 0.1.0
 * @category errors
 */
export class OwnDataFaults extends Schema.TaggedError<OwnDataFaults>("snowguard/OwnDataFaults")(
  "OwnDataFaults",
  { faults: Protocol.Loaded.fields.faults }
) {
  override get message(): string {
    return this.faults
      .map(({ line, message, path }) => `${path}${line === undefined ? "" : `:${line}`}: ${message}`)
      .join("\n")
  }
}

const LOAD_MS = 10 * 60_000

/** Characters of what a process says. */
const MOST_SAID = 1024 * 1024

// Processes live in real time, whatever clock the program has been given.
const realClock = Clock.make()

const fail = (path: string, message: string) => new OwnDataFaults({ faults: [{ path, message }] })

const prefix = "snowguard-data-"

const isRunning = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch (cause) {
    return codeOf(cause) === "EPERM"
  }
}

const remove = (path: string): void => {
  try {
    rmSync(path, { recursive: true, force: true, maxRetries: 3 })
  } catch {
    // Another user's, or still open: the next server tries again.
  }
}

const removeStale = (): void => {
  for (const name of readdirSync(tmpdir())) {
    if (!name.startsWith(prefix)) continue
    const [pid] = /^\d+(?=-)/.exec(name.slice(prefix.length)) ?? []
    if (pid !== undefined && !isRunning(Number(pid))) remove(join(tmpdir(), name))
  }
}

const directory = Effect.acquireRelease(
  Effect.try({
    try: () => {
      removeStale()
      return mkdtempSync(join(tmpdir(), `${prefix}${process.pid}-`))
    },
    catch: (cause) => fail(tmpdir(), `there is no place for the files that are loaded: ${reasonOf(cause)}`)
  }),
  (path) => Effect.sync(() => remove(path))
)

const decode = Schema.decodeUnknownEither(Schema.parseJson(Protocol.Loaded))

const notBegun = (cause: unknown): string =>
  `the process that loads could not be begun: ${cause instanceof Error ? cause.message : String(cause)}`

/** Runs the process that loads to its end; it is killed when the caller is interrupted. */
const run = (loading: typeof Protocol.Loading.Type, about: string) =>
  Effect.async<typeof Protocol.Loaded.Type, OwnDataFaults>((resume) => {
    let [answer, said] = ["", ""]
    const failed = (message: string) => resume(fail(about, message))
    let child: ChildProcess
    try {
      child = begin(["--load", JSON.stringify(loading)], "pipe")
    } catch (cause) {
      return failed(notBegun(cause))
    }
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      if (answer.length < MOST_SAID) answer += text
    })
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      said = (said + text).slice(-MOST_SAID)
    })
    child.on("error", (error) => failed(notBegun(error)))
    child.on("close", (code, signal) => {
      const loaded = decode(answer)
      if (Either.isRight(loaded)) return resume(Effect.succeed(loaded.right))
      failed(
        said.includes(Protocol.MEMORY)
          ? "loading needed more memory than duckdb.process_memory_limit; raise it, or make a DuckDB file and name it in duckdb.database"
          : `the process that loads ended with ${signal ?? `exit code ${code}`}: ${said.trim().split("\n").at(-1) ?? ""}`
      )
    })
    // Its files are removed next: it may not write any more.
    return Effect.async<void>((ended) => {
      if (!child.kill("SIGKILL")) return ended(Effect.void)
      child.once("exit", () => ended(Effect.void))
    })
  })

/** What a path can be told before it is opened. */
const nameFault = (
  database: string,
  { hasLoad, sample }: { readonly hasLoad: boolean; readonly sample: string | undefined }
): string | undefined => {
  const clash =
    isTaken(database) || database === ""
      ? "which cannot be the name of one"
      : hasLoad && database === loadedDatabase
        ? "which is that of the files in duckdb.load"
        : database === sample
          ? "which is that of the sample"
          : undefined
  return clash === undefined ? undefined : `would be the database ${database}, ${clash}; rename the file`
}

/**
 * `sample`: the name of the sample database where it is kept beside the user's own.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  { database, load = [], ...bounds }: Options,
  sample?: string
): Effect.Effect<OwnData, OwnDataFaults, Scope.Scope> =>
  Effect.gen(function* () {
    const hasLoad = load.length > 0
    const file: ReadonlyArray<Attached> =
      database === undefined
        ? []
        : [{ path: database, database: databaseOf(database), comment: `The file ${basename(database)}` }]
    for (const one of file) {
      const message = nameFault(one.database, { hasLoad, sample })
      if (message !== undefined) return yield* fail(one.path, message)
    }
    const into = hasLoad ? join(yield* directory, "loaded.duckdb") : ""
    const about = load[0] ?? database ?? ""
    const loaded = yield* Effect.withClock(
      Effect.timeoutFail(run({ ...bounds, load, into, attached: file }, about), {
        duration: LOAD_MS,
        onTimeout: () =>
          fail(
            about,
            `loading took more than ${LOAD_MS / 60_000} minutes; make a DuckDB file, and name it in duckdb.database`
          )
      }),
      realClock
    )
    if (loaded.faults.length > 0) return yield* new OwnDataFaults({ faults: loaded.faults })
    const own = { path: into, database: loadedDatabase, comment: "Files that were loaded" }
    return { ...loaded, attached: [...(hasLoad ? [own] : []), ...file] }
  })
