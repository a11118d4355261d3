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
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** `auto`, the default: pretty at a terminal, else JSON. */
  readonly format?: "auto" | "pretty" | "json" | undefined
  /** What is less severe is not logged; `Info` when absent. */
  readonly level?: LogLevel.LogLevel | undefined
  /** Asks stderr when absent. */
  readonly isTerminal?: boolean | undefined
  /** Takes the lines of JSON; stderr when absent. */
  readonly write?: ((line: string) => void) | undefined
}

/**
 * In place of Effect's default logger, and of the pretty one that `runMain` puts there unless
 * `disablePrettyLogger` is set.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = ({
  format = "auto",
  isTerminal = process.stderr.isTTY === true,
  level = LogLevel.Info,
  write = (line) => void process.stderr.write(line)
}: Options = {}): Layer.Layer<never> => {
  const pretty = format === "pretty" || (format === "auto" && isTerminal)
  const logger = pretty
    ? Logger.prettyLogger({ stderr: true, colors: isTerminal, mode: "tty" })
    : Logger.map(Logger.jsonLogger, (line) => write(`${line}\n`))
  return Layer.mergeAll(
    Logger.remove(Logger.prettyLoggerDefault),
    Logger.replace(Logger.defaultLogger, logger),
    Logger.minimumLogLevel(level)
  )
}
