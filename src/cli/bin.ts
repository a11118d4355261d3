#!/usr/bin/env node
/**
 * The entry point: runs the command of the command line, with the logger on stderr, to an exit code.
 *
 * stdout belongs to the protocol. `--help`, `--version` and `--print-config` write there because no client is served
 * then; every fault goes to stderr.
 */
import "../mcp/stdio/protectStdout.js"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Cli from "./Cli.js"
import type { CommandName } from "./Commands.js"
import type { Run } from "./commands/Command.js"
import { lookOf, OutputLost, storeExitCode, write, writeHanging } from "./commands/Command.js"
import * as HardEnd from "./hardEnd.js"
import * as Live from "../platform/Live.js"
import { escaped, escapedLine } from "../platform/quoted.js"
import { plural } from "../platform/core/format.js"
import * as Package from "../platform/package.js"
import * as Signals from "./signals.js"
import * as Server from "../server/Server.js"
import * as ServerConfig from "../config/ServerConfig.js"
import * as StderrLogger from "../observe/StderrLogger.js"

/** Each command is a chunk of its own, loaded when it runs. */
const commands: { readonly [Name in CommandName]: () => Promise<{ readonly run: Run }> } = {
  stdio: () => import("./commands/stdio.js"),
  http: () => import("./commands/http.js"),
  keys: () => import("./commands/keys.js"),
  admin: () => import("./commands/admin.js"),
  check: () => import("./commands/check.js"),
  quota: () => import("./commands/quota.js"),
  limits: () => import("./commands/limits.js"),
  demo: () => import("./commands/demo.js"),
  emulator: () => import("./commands/emulator.js"),
  "check-sql": () => import("./commands/checkSql.js"),
  init: () => import("./commands/init.js"),
  completion: () => import("./commands/completion.js")
}

const logger = (settings: ServerConfig.Settings, live?: Live.Live<ServerConfig.Settings>) =>
  StderrLogger.layer({
    format: settings.log.format,
    level: live === undefined ? ServerConfig.logLevel(settings) : Live.map(live, ServerConfig.logLevel)
  })

/** The events that stop a command; over stdio also the client's end of the pipe. */
const endsOf = ({ command }: { readonly command: CommandName }) => {
  const signals = [[process, "SIGTERM"] as const, [process, "SIGINT"] as const]
  return command === "stdio"
    ? [
        ...signals,
        [process.stdin, "end"] as const,
        [process.stdin, "close"] as const,
        [process.stdout, "error"] as const
      ]
    : signals
}

/** Servers can count in memory without a quota store, and announce themselves. */
const serves = ({ command }: { readonly command: CommandName }): boolean =>
  command === "stdio" || command === "http"

const stateDirectory = () => Either.merge(Server.stateDirectory())

/** What a command has to know of the settings. */
type Needs =
  /** Nothing: no file is read. */
  | "nothing"
  /** Where the server is. */
  | "address"
  /** All but the account, which may be missing or wrong. */
  | "withoutAccount"
  /** All; the account where Snowflake is served. */
  | "account"
  /** The same; an account is meant too where nothing says which warehouse is served. */
  | "served"

const needs: { readonly [Name in CommandName]: Needs } = {
  stdio: "account",
  http: "account",
  keys: "withoutAccount",
  admin: "address",
  quota: "withoutAccount",
  limits: "withoutAccount",
  check: "served",
  demo: "withoutAccount",
  emulator: "withoutAccount",
  "check-sql": "account",
  // It writes them.
  init: "nothing",
  completion: "nothing"
}

const fromOf = ({
  configPath,
  connection,
  lists
}: Omit<Extract<Cli.Command, { readonly _tag: "PrintConfig" }>, "_tag" | "json">) => ({
  configPath,
  connection,
  load: lists["load"]
})

const load = (
  command: Extract<Cli.Command, { readonly _tag: "Run" }>
): Effect.Effect<ServerConfig.Loaded, ServerConfig.ConfigFaults> => {
  const from = fromOf(command)
  switch (needs[command.command]) {
    case "nothing":
      return ServerConfig.decode({})
    case "address":
      return loadForAdmin(from.configPath, command.options["url"] !== undefined)
    case "withoutAccount":
      return ServerConfig.load({ ...from, account: false })
    case "account":
      return ServerConfig.load(from)
    case "served":
      return loadForCheck(from)
  }
}

/** With the account, unless the embedded warehouse is meant. */
const loadForCheck = (from: ReturnType<typeof fromOf>) =>
  Effect.flatMap(ServerConfig.load({ ...from, account: false }), (loaded) =>
    ServerConfig.meansEmbedded(loaded, from.connection)
      ? ServerConfig.load(from)
      : ServerConfig.load({ ...from, account: true })
  )

/** A server that runs is operated although a file was broken since: only its address is needed. */
const loadForAdmin = (configPath: string | undefined, isAddressed: boolean) =>
  ServerConfig.loadSection("http", { configPath }).pipe(
    Effect.tap(({ faults }) =>
      faults === undefined || isAddressed
        ? Effect.void
        : tell(
            `the settings read here are wrong (${plural(faults.faults.length, "fault")}); of them only the address of the server is used`
          )
    ),
    Effect.catchAll((faults) => (isAddressed ? ServerConfig.decode({}) : Effect.fail(faults)))
  )

/** Logs what is served and where it is configured, first: clients start servers without a terminal. */
const announce = (
  { notes, path, settings }: ServerConfig.Loaded,
  command: Extract<Cli.Command, { readonly _tag: "Run" }>
) =>
  Effect.gen(function* () {
    for (const note of notes) yield* Effect.logWarning(note)
    if (!serves(command)) return
    const { accessUrl, account, role, user } = settings.snowflake
    if (settings.warehouse === "duckdb" && account !== undefined) {
      yield* Effect.logWarning(
        `the Snowflake account ${account} is configured and not used: the embedded sample warehouse answers. ` +
          `SNOWGUARD_WAREHOUSE=snowflake, or warehouse = "snowflake" in the configuration, serves the account`
      )
    }
    yield* Effect.logInfo("starting").pipe(
      Effect.annotateLogs({
        version: Package.version,
        warehouse:
          settings.warehouse === "duckdb"
            ? ServerConfig.hasOwnData(settings.duckdb)
              ? "the embedded warehouse, with files of your own"
              : "the embedded sample warehouse"
            : `the Snowflake account ${account ?? accessUrl ?? "that is not set"}` +
              (user === undefined ? "" : `, user ${user}`) +
              (role === undefined ? "" : `, role ${role}`),
        config: path ?? "none",
        state: stateDirectory()
      })
    )
  })

/** Faults quote arguments, files and the answers of other servers: control characters are escaped. */
const tell = (text: string) => writeHanging(process.stderr, escaped(text), 2)

/** A shared server without a terminal outlives the shell that started it. */
const endsOnHangup = ({ command }: { readonly command: CommandName }): boolean =>
  command !== "http" || process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY

type Fault = Effect.Effect.Error<ReturnType<Run>>

/** Runs a command to its exit code. */
const run = (command: Cli.Command): Effect.Effect<number, Fault> => {
  switch (command._tag) {
    case "Help":
      return Effect.promise(() => import("./Help.js")).pipe(
        Effect.flatMap((Help) =>
          write(
            process.stdout,
            command.json ? Help.json(command.command) : Help.text(command, lookOf(process.stdout))
          )
        ),
        Effect.as(0)
      )
    case "Version":
      return Effect.as(
        write(
          process.stdout,
          command.json ? JSON.stringify({ version: Package.version, node: process.version }) : Package.version
        ),
        0
      )
    case "PrintConfig":
      return Effect.flatMap(ServerConfig.load(fromOf(command)), (loaded) =>
        Effect.as(
          write(
            process.stdout,
            (command.json ? ServerConfig.printConfigJson : ServerConfig.printConfig)(loaded, [
              `State directory: ${stateDirectory()}`
            ])
          ),
          0
        )
      )
    case "Run":
      return Effect.flatMap(Effect.zip(load(command), Queue.sliding<void>(1)), ([loaded, hangups]) => {
        const { path, settings } = loaded
        const { live, set } = Live.make(settings)
        const source = { live, set, path, load: load(command), hangup: Queue.take(hangups) }
        return Effect.flatMap(
          Effect.all([
            HardEnd.arm(endsOf(command), {
              shutdownMs: settings.timeouts.shutdownSeconds * 1000,
              exit: (code) => process.exit(code)
            }),
            Signals.arm(process, {
              onHangup: endsOnHangup(command) ? "end" : Queue.offer(hangups, undefined)
            }),
            announce(loaded, command)
          ]).pipe(Effect.zipRight(Effect.promise(() => commands[command.command]()))),
          (module) =>
            module.run({
              settings,
              sources: loaded.sources,
              action: command.action,
              options: command.options,
              operands: command.operands,
              question: command.question,
              scriptMustAgree: command.scriptMustAgree,
              lists: command.lists,
              connection: command.connection,
              source
            })
        ).pipe(
          Effect.catchAllDefect((defect) =>
            defect instanceof OutputLost
              ? Effect.die(defect)
              : Effect.as(Effect.logFatal(`${command.command} stopped`, defect), 1)
          ),
          Effect.provide(command.command === "http" ? logger(settings, live) : logger(settings))
        )
      })
  }
}

const parsed = Cli.parse(process.argv.slice(2))
const command: Effect.Effect<number, Fault> = Either.match(parsed, { onLeft: Effect.fail, onRight: run })

/** A server, and what is like one, has no other end. */
const endsByInterruption = (of: typeof parsed): boolean =>
  Either.isRight(of) && of.right._tag === "Run" && (serves(of.right) || of.right.command === "emulator")

/** Exit code of a command that was interrupted before its end: 128 and the number of SIGINT. */
const interruptedExitCode = 130

/** Where the help of the command is that runs. */
const topic =
  Either.isRight(parsed) && parsed.right._tag === "Run"
    ? [parsed.right.command, ...(parsed.right.action === undefined ? [] : [parsed.right.action])].join(" ")
    : undefined

const program = command.pipe(
  Effect.catchTag("UsageFault", (fault) => Effect.as(tell(fault.render(fault.topic ?? topic)), Cli.exitCode)),
  Effect.catchTag("ConfigFaults", (faults) => Effect.as(tell(faults.render()), ServerConfig.exitCode)),
  Effect.catchTag("QuotaStoreError", (error) =>
    Effect.as(
      tell(
        Either.isRight(parsed) && parsed.right._tag === "Run" && serves(parsed.right)
          ? `${error.message}\nquota_store.on_unavailable = "memory" would start without it, counting in memory`
          : error.message
      ),
      storeExitCode
    )
  ),
  Effect.catchSomeDefect((defect) =>
    defect instanceof OutputLost
      ? Option.some(
          Effect.as(
            defect.hasReader ? tell(`the output cannot be written: ${defect.code}`) : Effect.void,
            defect.exitCode
          )
        )
      : Option.none()
  ),
  Effect.catchAllCause((cause) =>
    Cause.isInterruptedOnly(cause)
      ? Effect.failCause(cause)
      : Effect.as(tell(Cause.pretty(cause, { renderErrorCause: true })), 1)
  )
)

// The driver of a warehouse may reject a promise without a handler; that must not end a server.
process.on("unhandledRejection", (reason) => {
  process.stderr.write(
    `${escapedLine(JSON.stringify({ level: "ERROR", message: "unhandled rejection", cause: String(reason) }))}\n`
  )
})
// A closed stderr does not stop a server; writes to stdout report their own errors.
process.stderr.on("error", () => {})
process.stdout.on("error", () => {})

NodeRuntime.runMain(program, {
  disablePrettyLogger: true,
  disableErrorReporting: true,
  // runMain does not end the process by itself, and an open handle would keep it.
  teardown: (exit) => {
    const code = Exit.isSuccess(exit)
      ? exit.value
      : Cause.isInterruptedOnly(exit.cause)
        ? endsByInterruption(parsed)
          ? 0
          : interruptedExitCode
        : 1
    process.exit(typeof code === "number" ? code : 0)
  }
})
