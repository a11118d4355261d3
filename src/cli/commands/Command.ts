/**
 * What every command of the binary is: its arguments and the settings in, an exit code out. Each is a
 * module of its own, loaded when it is asked for.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { relative } from "node:path"
import type { Paint } from "../../platform/colors.js"
import { hasColors, painter } from "../../platform/colors.js"
import { hanging, widthOf } from "../../platform/layout.js"
import { escapedLine } from "../../platform/quoted.js"
import type { UsageFault } from "../Cli.js"
import { wrong } from "../Cli.js"
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
  /** The action of the command that was named, of those that have some. */
  readonly action?: string | undefined
  /** What follows the name of the command or the action. */
  readonly operands: ReadonlyArray<string>
  /** What is asked first at a terminal, where the action takes something away. */
  readonly question?: string | undefined
  /** Where no one can be asked, `--yes` is needed. */
  readonly scriptMustAgree?: boolean | undefined
  /** All values of the options that may be given several times. */
  readonly lists: { readonly [name: string]: ReadonlyArray<string> }
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
 * How many characters a line for people may have: of a terminal its width, of a pipe any number.
 *
 * @since 0.1.0
 * @category output
 */
export const widthFor = (stream: NodeJS.WriteStream): number =>
  stream.isTTY ? widthOf(stream) : Number.POSITIVE_INFINITY

/**
 * For people: as it is for a pipe, in the width of a terminal. What a long line begins with stands alone, `indent` wide.
 *
 * @since 0.1.0
 * @category output
 */
export const writeHanging = (stream: NodeJS.WriteStream, text: string, indent: number): Effect.Effect<void> =>
  write(stream, hanging(text, indent, widthFor(stream)))

/**
 * The same, to stdout.
 *
 * @since 0.1.0
 * @category output
 */
export const printHanging = (text: string, indent: number): Effect.Effect<void> =>
  writeHanging(process.stdout, text, indent)

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

/** The path as it can be typed here; the working directory may be gone. */
const shortest = (path: string): string => {
  const from = Either.getOrElse(
    Either.try(() => relative(process.cwd(), path)),
    () => path
  )
  return from !== "" && from.length < path.length ? from : path
}

/**
 * How the program that runs is started: a clone and a bundle have no command of their own.
 *
 * @since 0.1.0
 * @category output
 */
export const programName = (script = process.argv[1] ?? ""): string =>
  /\.js$/.test(script) ? `node ${shortest(script)}` : "snowguard"

/**
 * Whether to go on with what takes something away ({@link Input.question}): a person at a terminal is asked, unless
 * `--yes` is given. A script is not asked: it names what it means, and may run where no one is. Where the loss asks for
 * it ({@link Input.scriptMustAgree}), it fails without `--yes`.
 *
 * @since 0.1.0
 * @category input
 */
export const agreed = ({
  action,
  options,
  question,
  scriptMustAgree
}: Input): Effect.Effect<boolean, UsageFault> => {
  if (question === undefined || options["yes"] === true) return Effect.succeed(true)
  if (isAtTerminal()) {
    const unchanged = write(process.stderr, "nothing was changed")
    return Effect.flatMap(
      Effect.promise(() => import("../prompts.js")),
      ({ confirmed }) => confirmed(escapedLine(question))
    ).pipe(
      Effect.tap((yes) => (yes ? Effect.void : unchanged)),
      Effect.onInterrupt(() => unchanged)
    )
  }
  return scriptMustAgree === true
    ? wrong(action ?? "--yes", `there is no terminal to ask at: --yes answers "${question}"`)
    : Effect.succeed(true)
}

/**
 * Whether a question can be asked, and answered.
 *
 * @since 0.1.0
 * @category input
 */
export const isAtTerminal = (): boolean => process.stdin.isTTY && process.stderr.isTTY

/**
 * The tier that `--tier` names.
 *
 * @since 0.1.0
 * @category reading
 */
export const tierOption = ({
  options,
  settings
}: Pick<Input, "options" | "settings">): Either.Either<string | undefined, UsageFault> => {
  const tier = textOption(options, "tier")
  if (tier === undefined || Object.hasOwn(settings.tiers, tier)) return Either.right(tier)
  const tiers = Object.keys(settings.tiers)
  return Either.left(
    wrong(
      "--tier",
      `there is no tier ${tier} in the configuration, which has ${tiers.join(", ")}`,
      tier,
      tiers
    )
  )
}

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

export { wrong }
