/**
 * `snowguard emulator`: a Snowflake account on this machine, with faults on demand.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { UsageFault } from "../Cli.js"
import * as Emulator from "../emulator/run.js"
import type { Run } from "./Command.js"
import { write } from "./Command.js"

const whole = (
  options: Parameters<Run>[0]["options"],
  name: string,
  most: number
): Effect.Effect<number | undefined, UsageFault> => {
  const value = options[name]
  if (value === undefined) return Effect.succeed(undefined)
  return typeof value === "string" && /^\d{1,10}$/.test(value) && Number(value) <= most
    ? Effect.succeed(Number(value))
    : new UsageFault({
        faults: [{ argument: `--${name}`, message: `expected a whole number from 0 to ${most}` }]
      })
}

const text = (value: string | true | undefined): string | undefined =>
  typeof value === "string" ? value : undefined

/**
 * Runs until it is interrupted; exit code 1 when it cannot start.
 *
 * @since 0.1.0
 * @category commands
 */
export const run: Run = ({ options }) =>
  Effect.gen(function* () {
    const port = yield* whole(options, "port", 65_535)
    const controlPort = yield* whole(options, "control-port", 65_535)
    const seed = yield* whole(options, "seed", 2 ** 32 - 1)
    return yield* Emulator.run({
      port,
      controlPort,
      seed,
      host: text(options["host"]),
      faultsPath: text(options["faults"])
    }).pipe(Effect.catchTag("EmulatorError", (error) => Effect.as(write(process.stderr, error.message), 1)))
  })
