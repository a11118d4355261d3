/**
 * `snowguard emulator`: a Snowflake account on this machine, with faults on demand.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Emulator from "../../emulator/run.js"
import type { Run } from "./Command.js"
import { textOption, wholeOption, write } from "./Command.js"

/**
 * Runs until it is interrupted; exit code 1 when it cannot start.
 *
 * @since 0.1.0
 * @category commands
 */
export const run: Run = ({ options }) =>
  Emulator.run({
    port: wholeOption(options, "port"),
    controlPort: wholeOption(options, "control-port"),
    seed: wholeOption(options, "seed"),
    host: textOption(options, "host"),
    faultsPath: textOption(options, "faults"),
    json: options["json"] === true
  }).pipe(Effect.catchTag("EmulatorError", (error) => Effect.as(write(process.stderr, error.message), 1)))
