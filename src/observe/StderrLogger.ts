/**
 * A logger that leaves stdout alone: pretty for a person at a terminal, one JSON object a line for a
 * machine. A server over stdio speaks its protocol on stdout, and Effect's own loggers write there.
 *
 * ```ts
 * program.pipe(Effect.provide(StderrLogger.layer()), NodeRuntime.runMain({ disablePrettyLogger: true }))
 * ```
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as HashMap from "effect/HashMap"
import * as Inspectable from "effect/Inspectable"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import { inspect } from "node:util"
import { hasColors } from "../platform/colors.js"
import * as Live from "../platform/Live.js"
import { escaped, escapedLine } from "../platform/quoted.js"

/**
 * In which form is logged, from which level on, and where to.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** `auto`, the default: pretty at a terminal, else JSON. */
  readonly format?: "auto" | "pretty" | "json" | undefined
  /** What is less severe is not logged; `Info` when absent. */
  readonly level?: LogLevel.LogLevel | Live.Live<LogLevel.LogLevel> | undefined
  /** Asks stderr when absent. */
  readonly isTerminal?: boolean | undefined
  /** In the pretty format; asks stderr, `NO_COLOR` and `FORCE_COLOR` when absent. */
  readonly colors?: boolean | undefined
  /** Takes the lines of JSON; stderr when absent. */
  readonly write?: ((line: string) => void) | undefined
}

/** The text that would be written, without what a terminal would obey in it. */
const shown = (value: unknown): string =>
  escaped(typeof value === "string" ? value : inspect(Inspectable.redact(value), { depth: 4 }))

/**
 * For a terminal. Statements and names come from clients, and get into messages, annotations and the texts of
 * errors; colours are put around them after that.
 */
const prettyFor = (colors: boolean): Logger.Logger<unknown, void> => {
  const pretty = Logger.prettyLogger({ stderr: true, colors, mode: "tty" })
  return Logger.make((entry) => {
    const [first, ...rest]: ReadonlyArray<unknown> = Array.isArray(entry.message)
      ? entry.message
      : [entry.message]
    const failure = Cause.isEmpty(entry.cause) ? [] : [Cause.pretty(entry.cause, { renderErrorCause: true })]
    pretty.log({
      ...entry,
      message: [
        ...(first === undefined ? [] : [typeof first === "string" ? escapedLine(first) : shown(first)]),
        ...[...failure, ...rest].map(shown)
      ],
      cause: Cause.empty,
      annotations: HashMap.fromIterable(
        Array.from(entry.annotations, ([name, value]) => [escapedLine(name), shown(value)] as const)
      )
    })
  })
}

/**
 * In place of Effect's default logger, and of the pretty one that `runMain` puts there unless
 * `disablePrettyLogger` is set.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = ({
  colors = hasColors(process.stderr, process.env),
  format = "auto",
  isTerminal = process.stderr.isTTY === true,
  level = LogLevel.Info,
  write = (line) => void process.stderr.write(line)
}: Options = {}): Layer.Layer<never> => {
  const pretty = format === "pretty" || (format === "auto" && isTerminal)
  const logger = pretty
    ? prettyFor(colors)
    : // JSON itself leaves C1 and the marks of direction as they are.
      Logger.map(Logger.jsonLogger, (line) => write(`${escapedLine(line)}\n`))
  return Layer.mergeAll(
    Logger.remove(Logger.prettyLoggerDefault),
    Logger.replace(
      Logger.defaultLogger,
      level instanceof Live.Live
        ? Logger.filterLogLevel(logger, (one) => LogLevel.greaterThanEqual(one, level.current()))
        : logger
    ),
    // A level that changes is asked for with each line.
    Logger.minimumLogLevel(level instanceof Live.Live ? LogLevel.All : level)
  )
}
