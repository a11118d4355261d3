/**
 * THE WIRING of the cursors: where the keys come from that sign them.
 *
 * ```
 * results.cursor_key, results.cursor_key_file   the operator's: for a fleet
 * sqlite      the file `cursor.key` in the state directory: outlives a restart, shared as the quotas are
 * otherwise   random: of this process
 * ```
 *
 * Whatever is wrong with the file costs the cursors of other processes and nothing else, so the server starts all
 * the same and says so.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import * as Cursors from "../tools/Cursors.js"
import { reasonOf } from "../platform/fileReasons.js"
import * as OtherWriters from "../platform/otherWriters.js"
import * as ServerConfig from "../config/ServerConfig.js"
import * as KeyFile from "./KeyFile.js"

type Keys = ReadonlyArray<Uint8Array>

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
    yield* KeyFile.warnIfExposed(path, "the cursors' keys")
    return keys
  })

/**
 * The keys of the servers that share a state directory; none when its file cannot be used.
 *
 * @since 0.1.0
 * @category keys
 */
export const inDirectory = (directory: string): Effect.Effect<Keys | undefined> => {
  const path = join(directory, "cursor.key")
  return KeyFile.readOrMake(path, directory).pipe(
    Effect.flatMap((text) =>
      Either.mapLeft(Cursors.keysFromText(text), (problem) => `${problem}, or remove it: a new one is made`)
    ),
    Effect.zipLeft(KeyFile.warnIfExposed(path, "the cursors' keys")),
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
      yield* Effect.logWarning(
        "cursors are of this process alone: results.cursor_key is not set. Where several servers share a Redis, " +
          "get_query_results answers RESULT_NOT_AVAILABLE on each server but one: give all of them the same key"
      )
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
