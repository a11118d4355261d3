/**
 * What every command of the binary is: its arguments and the settings in, an exit code out. Each is a
 * module of its own, loaded when it is asked for.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import { createInterface } from "node:readline"
import type { Paint } from "../../platform/colors.js"
import { hasColors, painter } from "../../platform/colors.js"
import { hanging, widthOf } from "../../platform/layout.js"
import type { UsageFault } from "../Cli.js"
import type { ConfigFaults, Loaded, Settings } from "../../config/ServerConfig.js"
import type { Source } from "../../server/Reload.js"
import type { QuotaStoreError } from "../../quota/QuotaStore.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Input {
  readonly settings: Settings
  /** Where each of them comes from. */
  readonly sources?: Loaded["sources"] | undefined
  /** The command's own options; a flag that was given is `true`. */
  readonly options: { readonly [name: string]: string | true }
  readonly operands: ReadonlyArray<string>
  /** All values of the options that may be given several times. */
  readonly lists?: { readonly [name: string]: ReadonlyArray<string> } | undefined
  /** The connection of Snowflake's own files that the command line names. */
  readonly connection?: string | undefined
  /** For commands that read their settings again while they run. */
  readonly source: Source
}

/**
 * @since 0.1.0
 * @category models
 */
export type Run = (input: Input) => Effect.Effect<number, ConfigFaults | UsageFault | QuotaStoreError>

/**
 * Exit code of a process that cannot write its data (`EX_IOERR` of sysexits.h).
 *
 * @since 0.1.0
 * @category constants
 */
export const storeExitCode = 74

/**
 * The output of a command cannot be written: its reader has gone (`| head`), or the disk is full. A defect, so that
 * finalizers run and nothing else happens.
 *
 * @since 0.1.0
 * @category errors
 */
export class OutputLost extends Data.TaggedError("OutputLost")<{ readonly code: string }> {
  get exitCode(): number {
    return this.hasReader ? storeExitCode : readerLeftExitCode
  }

  get hasReader(): boolean {
    return !["EPIPE", "EOF", "ERR_STREAM_DESTROYED", "ERR_STREAM_WRITE_AFTER_END"].includes(this.code)
  }
}

/**
 * Exit code of a process whose reader went away: 128 and the number of SIGPIPE.
 *
 * @since 0.1.0
 * @category constants
 */
export const readerLeftExitCode = 141

/**
 * Writes a text, with a line end, and waits until it has left the process. Dies with {@link OutputLost} when
 * stdout takes it no more; what is lost on stderr is lost.
 *
 * @since 0.1.0
 * @category output
 */
export const write = (stream: NodeJS.WriteStream, text: string): Effect.Effect<void> =>
  Effect.async<void>((resume) => {
    const done = (error?: Error | null) =>
      resume(
        error === undefined || error === null || stream !== process.stdout
          ? Effect.void
          : Effect.die(new OutputLost({ code: "code" in error ? String(error.code) : error.message }))
      )
    try {
      stream.write(text.endsWith("\n") ? text : `${text}\n`, done)
    } catch (error) {
      // A file is written to at once.
      done(error instanceof Error ? error : new Error(String(error)))
    }
  })

/**
 * To people and pipes; never while the protocol is spoken.
 *
 * @since 0.1.0
 * @category output
 */
export const print = (text: string): Effect.Effect<void> => write(process.stdout, text)

/**
 * For people: as it is for a pipe, in the width of a terminal.
 *
 * @since 0.1.0
 * @category output
 */
export const printHanging = (text: string, indent: number): Effect.Effect<void> =>
  print(process.stdout.isTTY ? hanging(text, indent, widthOf(process.stdout)) : text)

/**
 * The width of a terminal, and whether it takes colours.
 *
 * @since 0.1.0
 * @category output
 */
export const lookOf = (stream: NodeJS.WriteStream): { readonly width: number; readonly paint: Paint } => ({
  width: widthOf(stream),
  paint: painter(hasColors(stream, process.env))
})

/**
 * Asks at a terminal whether to go on. Anything but yes is no.
 *
 * @since 0.1.0
 * @category input
 */
export const confirmed = (
  question: string,
  {
    input = process.stdin,
    output = process.stderr
  }: { readonly input?: NodeJS.ReadableStream; readonly output?: NodeJS.WritableStream } = {}
): Effect.Effect<boolean> =>
  Effect.acquireUseRelease(
    Effect.sync(() => createInterface({ input, output })),
    (lines) =>
      Effect.async<boolean>((resume) => {
        lines.question(`${question} [y/N] `, (answer) =>
          resume(Effect.succeed(/^\s*y(es)?\s*$/i.test(answer)))
        )
        lines.on("close", () => resume(Effect.succeed(false)))
      }),
    (lines) => Effect.sync(() => lines.close())
  )

/**
 * @since 0.1.0
 * @category reading
 */
export const textOption = (options: Input["options"], name: string): string | undefined => {
  const value = options[name]
  return typeof value === "string" ? value : undefined
}

/**
 * The parser has looked at it (`whole` of the option).
 *
 * @since 0.1.0
 * @category reading
 */
export const wholeOption = (options: Input["options"], name: string): number | undefined => {
  const value = textOption(options, name)
  return value === undefined ? undefined : Number(value)
}

export { wrong } from "../Cli.js"
