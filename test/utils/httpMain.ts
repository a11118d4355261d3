/** The shared server as a process, as the binary starts it; says its port in the log, on stderr. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Effect, LogLevel } from "effect"
import * as StderrLogger from "../../src/internal/stderrLogger.js"
import * as main from "../../src/main.js"
import * as ServerConfig from "../../src/ServerConfig.js"

const logger = StderrLogger.layer({
  format: "json",
  level: LogLevel.Info,
  isTerminal: false,
  write: (line) => void process.stderr.write(line)
})

NodeRuntime.runMain(
  Effect.flatMap(ServerConfig.load(), ({ settings }) => main.http(settings)).pipe(
    Effect.catchTag("ConfigFaults", (faults) =>
      Effect.sync(() => {
        process.stderr.write(`${faults.render()}\n`)
        process.exit(ServerConfig.exitCode)
      })
    ),
    Effect.provide(logger)
  ),
  { disablePrettyLogger: true, disableErrorReporting: true, teardown: () => process.exit(0) }
)
