/**
 * THE WIRING of the tokens that masked columns are seen as: where their key comes from.
 *
 * ```
 * results.token_key, results.token_key_file   the operator's: for a fleet
 * otherwise   the file `token.key` in the state directory, when a tier first needs it
 * ```
 *
 * Where the file cannot be used, the key is of this process alone: tokens are others after a restart, and the server
 * says so.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Redacted from "effect/Redacted"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import * as ServerConfig from "../config/ServerConfig.js"
import { reasonOf } from "../platform/fileReasons.js"
import * as OtherWriters from "../platform/otherWriters.js"
import * as Cursors from "../tools/Cursors.js"
import * as KeyFile from "./KeyFile.js"

const what = "the key of tokens"

const fault = (key: string, message: string) =>
  new ServerConfig.ConfigFaults({ faults: [{ key, source: "file", message }] })

/** One key, in the form of those of cursors; what it is used for is said where it is derived from. */
const fromText = (text: string): Either.Either<Uint8Array | undefined, string> =>
  Either.map(Cursors.keysFromText(text), ([key]) => key)

const configured = ({ results: { tokenKey, tokenKeyFile: path } }: ServerConfig.Settings) =>
  Effect.gen(function* () {
    if (path === undefined) {
      return tokenKey === undefined
        ? undefined
        : yield* Either.mapLeft(fromText(Redacted.value(tokenKey)), (problem) =>
            fault("results.token_key", problem)
          )
    }
    const key = "results.token_key_file"
    if (tokenKey !== undefined) return yield* fault(key, "and results.token_key are both set; keep one")
    const text = yield* Effect.try({
      try: () => readFileSync(path, "utf8"),
      catch: (cause) => fault(key, `cannot read ${path}: ${reasonOf(cause)}`)
    })
    const problem = OtherWriters.problem(path)
    if (problem !== undefined) return yield* fault(key, `what ${path} holds is not used: ${problem}`)
    yield* KeyFile.warnIfExposed(path, what)
    return yield* Either.mapLeft(fromText(text), (problem) => fault(key, `${path} ${problem}`))
  })

const alone = (problem: string, path?: string) =>
  Effect.logWarning("tokens of masked columns are of this process alone: there is no file of their key").pipe(
    Effect.annotateLogs(path === undefined ? { problem } : { path, problem }),
    Effect.as(undefined)
  )

const inDirectory = (directory: Either.Either<string, string>): Effect.Effect<Uint8Array | undefined> => {
  if (Either.isLeft(directory)) return alone(directory.left)
  const path = join(directory.right, "token.key")
  return KeyFile.readOrMake(path, directory.right).pipe(
    Effect.flatMap((text) => fromText(text)),
    Effect.zipLeft(KeyFile.warnIfExposed(path, what)),
    Effect.catchAll((problem) => alone(problem, path))
  )
}

/**
 * The key, to be asked for when it is first needed. What is configured is read now. `directory`: for what must
 * survive a restart, or why there is none.
 *
 * @since 0.1.0
 * @category keys
 */
export const make = (
  settings: ServerConfig.Settings,
  directory: Either.Either<string, string>
): Effect.Effect<Effect.Effect<Uint8Array | undefined>, ServerConfig.ConfigFaults> =>
  Effect.map(configured(settings), (given) =>
    given === undefined ? inDirectory(directory) : Effect.succeed(given)
  )
