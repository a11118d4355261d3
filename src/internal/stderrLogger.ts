import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import type * as LogLevel from "effect/LogLevel"

/**
 * stdout belongs to the protocol: everything that is logged goes to stderr, pretty for a person at a
 * terminal and one JSON object a line for a machine.
 */
export const layer = (options: {
  readonly format: "auto" | "pretty" | "json"
  readonly level: LogLevel.LogLevel
  readonly isTerminal: boolean
  readonly write: (line: string) => void
}): Layer.Layer<never> => {
  const pretty = options.format === "pretty" || (options.format === "auto" && options.isTerminal)
  const logger = pretty
    ? Logger.prettyLogger({ stderr: true, colors: options.isTerminal, mode: "tty" })
    : Logger.map(Logger.jsonLogger, (line) => options.write(`${line}\n`))
  return Layer.merge(Logger.replace(Logger.defaultLogger, logger), Logger.minimumLogLevel(options.level))
}
