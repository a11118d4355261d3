/**
 * The emulator as a program: starts, says on stdout where it is, runs until it is interrupted.
 */
import { readFile } from "node:fs/promises"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { scriptFrom } from "./control.js"
import * as Emulator from "./Emulator.js"
import type { FaultScript } from "./FaultScript.js"

interface Options extends Pick<Emulator.Options, "port" | "controlPort" | "host" | "seed"> {
  /** A file with a fault script in JSON. */
  readonly faultsPath?: string | undefined
  /** The line is one of JSON. */
  readonly json?: boolean | undefined
  /** Takes the line; stdout when absent. */
  readonly print?: ((line: string) => void) | undefined
}

/**
 * Where the emulator is and how to log in: one line.
 */
const announcement = (emulator: Emulator.Emulator, json: boolean): string =>
  json
    ? JSON.stringify({
        url: emulator.url,
        control_url: emulator.controlUrl,
        user: Emulator.defaultUser,
        password: Emulator.defaultPassword
      })
    : `Snowflake emulator at ${emulator.url} (any account, user ${Emulator.defaultUser}, password ${Emulator.defaultPassword}); control at ${emulator.controlUrl}/__emulator/state`

/**
 * Fails with the path and with what is wrong in the file.
 */
const readScript = (path: string): Effect.Effect<FaultScript, Emulator.EmulatorError> =>
  Effect.tryPromise({
    try: (signal) => readFile(path, { encoding: "utf8", signal }),
    catch: (cause) =>
      new Emulator.EmulatorError({ description: `The fault script ${path} cannot be read.`, cause })
  }).pipe(
    Effect.flatMap((text) => {
      const script = scriptFrom(text)
      return Either.isRight(script)
        ? Effect.succeed(script.right)
        : Effect.fail(
            new Emulator.EmulatorError({
              description: `The fault script ${path} is not valid: ${script.left}`
            })
          )
    })
  )

export const run = ({
  faultsPath,
  json = false,
  print,
  ...options
}: Options): Effect.Effect<never, Emulator.EmulatorError> =>
  Effect.gen(function* () {
    const faults = faultsPath === undefined ? undefined : yield* readScript(faultsPath)
    const emulator = yield* Emulator.start({ ...options, faults, warm: true })
    const line = announcement(emulator, json)
    yield* Effect.sync(() => (print === undefined ? void process.stdout.write(`${line}\n`) : print(line)))
    return yield* Effect.never
  }).pipe(Effect.scoped)
