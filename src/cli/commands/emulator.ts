/**
 * `snowguard emulator`: a Snowflake account on this machine, with faults on demand.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Emulator from "../../emulator/run.js"
import * as Arguments from "../arguments.js"
import type { Run } from "./Command.js"
import { write } from "./Command.js"

/**
 * Runs until it is interrupted; exit code 1 when it cannot start.
 *
 * @since 0.1.0
 * @category commands
 */
export const run: Run = ({ options }) =>
  Effect.gen(function* () {
    const port = yield* Arguments.whole(options, "port", 65_535)
    const controlPort = yield* Arguments.whole(options, "control-port", 65_535)
    const seed = yield* Arguments.whole(options, "seed", 2 ** 32 - 1)
    return yield* Emulator.run({
      port,
      controlPort,
      seed,
      host: Arguments.text(options, "host"),
      faultsPath: Arguments.text(options, "faults")
    }).pipe(Effect.catchTag("EmulatorError", (error) => Effect.as(write(process.stderr, error.message), 1)))
  })
