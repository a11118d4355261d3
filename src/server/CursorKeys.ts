/**
 * THE WIRING of the cursors: where the keys come from that sign them.
 *
 * ```
 * results.cursor_key, results.cursor_key_file   the operator's: for a fleet
 * sqlite      the file `cursor.key` in the state directory: outlives a restart, shared as the quotas are
 * otherwise   random: of this process
 * ```
 *
 * The file is written beside its place and linked into it: of several processes that start at once one wins,
 * the others read what it wrote, and a key is never seen in part. Whatever is wrong with it costs the
 * cursors of other processes and nothing else, so the server starts all the same and says so.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { readFileSync, statSync } from "node:fs"
import { link, open, rm } from "node:fs/promises"
import { join } from "node:path"
import * as Cursors from "../tools/Cursors.js"
import * as Directories from "../platform/directories.js"
import { codeOf, reasonOf } from "../platform/fileReasons.js"
import * as OtherWriters from "../platform/otherWriters.js"
import * as ServerConfig from "../config/ServerConfig.js"

type Keys = ReadonlyArray<Uint8Array>

const warnIfExposed = (path: string): Effect.Effect<void> =>
  Effect.suspend(() => {
    const mode = statSync(path, { throwIfNoEntry: false })?.mode ?? 0
    return process.platform !== "win32" && (mode & 0o077) !== 0
      ? Effect.annotateLogs(
          Effect.logWarning("others can read the file of the cursors' keys: chmod 600, and change the key"),
          { path }
        )
      : Effect.void
  })

const fault = (key: string, message: string) =>
  new ServerConfig.ConfigFaults({ faults: [{ key, source: "file", message }] })

const configured = ({
  results: { cursorKey, cursorKeyFile: path }
}: ServerConfig.Settings): Effect.Effect<Keys | undefined, ServerConfig.ConfigFaults> =>
  Effect.gen(function* () {
    if (path === undefined) {
      return cursorKey === undefined
        ? undefined
        : yield* Either.mapLeft(Cursors.keysFromText(Redacted.value(cursorKey)), (problem) =>
            fault("results.cursor_key", problem)
          )
    }
    const key = "results.cursor_key_file"
    if (cursorKey !== undefined) return yield* fault(key, "and results.cursor_key are both set; keep one")
    const text = yield* Effect.try({
      try: () => readFileSync(path, "utf8"),
      catch: (cause) => fault(key, `cannot read ${path}: ${reasonOf(cause)}`)
    })
    const problem = OtherWriters.problem(path)
    if (problem !== undefined) return yield* fault(key, `what ${path} holds is not used: ${problem}`)
    const keys = yield* Either.mapLeft(Cursors.keysFromText(text), (problem) =>
      fault(key, `${path} ${problem}`)
    )
    yield* warnIfExposed(path)
    return keys
  })

/** The text of the file, if there is one. Without waiting: this is on the way of every start. */
const read = (path: string): string | undefined => {
  try {
    return readFileSync(path, "utf8")
  } catch (cause) {
    if (codeOf(cause) === "ENOENT") return undefined
    throw cause
  }
}

/** Makes the file, unless another process does. */
const make = async (path: string, directory: string): Promise<void> => {
  const { randomBytes } = await import("node:crypto")
  Directories.make(directory)
  const aside = `${path}.${randomBytes(6).toString("hex")}.new`
  try {
    const file = await open(aside, "wx", 0o600)
    try {
      await file.writeFile(`${randomBytes(32).toString("base64")}\n`)
      await file.sync()
    } finally {
      await file.close()
    }
    await link(aside, path).catch((cause: unknown) => {
      if (codeOf(cause) !== "EEXIST") throw cause
    })
  } finally {
    await rm(aside, { force: true })
  }
}

const readOrMake = (path: string, directory: string): Effect.Effect<string, string> => {
  const found = Effect.try({ try: () => read(path), catch: reasonOf })
  return Effect.flatMap(found, (text) =>
    text !== undefined
      ? Effect.succeed(text)
      : Effect.zipRight(
          // A start that fails for another reason ends the process, and must not leave half of it behind.
          Effect.uninterruptible(Effect.tryPromise({ try: () => make(path, directory), catch: reasonOf })),
          Effect.map(found, (made) => made ?? "")
        )
  )
}

/**
 * The keys of the servers that share a state directory; none when its file cannot be used.
 *
 * @since 0.1.0
 * @category keys
 */
export const inDirectory = (directory: string): Effect.Effect<Keys | undefined> => {
  const path = join(directory, "cursor.key")
  const written = Effect.suspend(() => {
    const problem = OtherWriters.problem(path)
    return problem === undefined ? readOrMake(path, directory) : Effect.fail(problem)
  })
  return written.pipe(
    Effect.flatMap((text) =>
      Either.mapLeft(Cursors.keysFromText(text), (problem) => `${problem}, or remove it: a new one is made`)
    ),
    Effect.zipLeft(warnIfExposed(path)),
    Effect.catchAll((problem) =>
      Effect.as(
        Effect.annotateLogs(
          Effect.logWarning("cursors are of this process alone: the file of their key cannot be used"),
          { path, problem }
        ),
        undefined
      )
    )
  )
}

const keys = (settings: ServerConfig.Settings, directory: Either.Either<string, string>) =>
  Effect.gen(function* () {
    const given = yield* configured(settings)
    if (given !== undefined) return given
    const { kind } = settings.quotaStore
    if (kind === "sqlite") {
      if (Either.isRight(directory)) return yield* inDirectory(directory.right)
      yield* Effect.logWarning(`cursors are of this process alone: ${directory.left}`)
    }
    if (kind === "redis") {
      yield* Effect.logInfo("cursors are of this process alone: results.cursor_key is not set")
    }
    return undefined
  })

/**
 * `directory`: for what must survive a restart, or why there is none.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  settings: ServerConfig.Settings,
  directory: Either.Either<string, string>
): Layer.Layer<Cursors.Cursors, ServerConfig.ConfigFaults> =>
  Layer.unwrapEffect(Effect.map(keys(settings, directory), (keys) => Cursors.layer({ keys })))
