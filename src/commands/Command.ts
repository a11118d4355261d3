/**
 * What every command of the binary is: its arguments and the settings in, an exit code out. Each is a
 * module of its own, loaded when it is asked for.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { UsageFault } from "../Cli.js"
import type { QuotaStoreError } from "../QuotaStore.js"
import type { ConfigFaults, Settings } from "../ServerConfig.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Input {
  readonly settings: Settings
  /** The command's own options; a flag that was given is `true`. */
  readonly options: { readonly [name: string]: string | true }
  readonly operands: ReadonlyArray<string>
}

/**
 * @since 0.1.0
 * @category models
 */
export type Run = (input: Input) => Effect.Effect<number, ConfigFaults | UsageFault | QuotaStoreError>

/**
 * Exit code of a process that cannot keep its books (`EX_IOERR` of sysexits.h).
 *
 * @since 0.1.0
 * @category constants
 */
export const storeExitCode = 74

/**
 * Writes a text, with a line end, and waits until it has left the process.
 *
 * @since 0.1.0
 * @category output
 */
export const write = (stream: NodeJS.WriteStream, text: string): Effect.Effect<void> =>
  Effect.async<void>((resume) => {
    stream.write(text.endsWith("\n") ? text : `${text}\n`, () => resume(Effect.void))
  })

/**
 * To people and pipes; never while the protocol is spoken.
 *
 * @since 0.1.0
 * @category output
 */
export const print = (text: string): Effect.Effect<void> => write(process.stdout, text)
