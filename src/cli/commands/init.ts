/**
 * `snowguard init`: writes a first `snowguard.toml`, checked before it is written, and prints what an MCP client is told.
 *
 * At a terminal it asks for what the options do not say; elsewhere, and with `--yes`, it asks nothing.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import { existsSync, readFileSync, realpathSync } from "node:fs"
import { readFile } from "node:fs/promises"
import { dirname, join } from "node:path"
import * as ServerConfig from "../../config/ServerConfig.js"
import * as Directories from "../../platform/directories.js"
import { reasonOf } from "../../platform/fileReasons.js"
import { escaped } from "../../platform/quoted.js"
import { replaceFile } from "../../platform/replaceFile.js"
import * as UserDirs from "../../platform/userDirs.js"
import * as Main from "../../server/main.js"
import type { UsageFault } from "../Cli.js"
import type { Client, Snippet } from "../clients.js"
import { clients } from "../clients.js"
import * as Setup from "../Setup.js"
import type { Input, Run } from "./Command.js"
import { during } from "../LiveLine.js"
import { isAtTerminal, print, programName, textOption, writeHanging, wrong } from "./Command.js"
import type { Given } from "./initQuestions.js"

/** As an operator writes it; from the working directory. */
const absolute = (option: string, written: string): Effect.Effect<string, UsageFault> => {
  const environment = UserDirs.current()
  return Either.mapLeft(UserDirs.resolvePath(environment, environment.cwd, written), (why) =>
    wrong(option, why)
  )
}

const isEncrypted = (file: string): boolean =>
  Option.getOrElse(
    Option.liftThrowable(() => /ENCRYPTED/.test(readFileSync(file, "utf8").slice(0, 200)))(),
    () => false
  )

/** What the options say. */
const givenOf = ({ connection, lists, options }: Input): Effect.Effect<Given, UsageFault> =>
  Effect.gen(function* () {
    const fileOf = (name: string) => {
      const written = textOption(options, name)
      return written === undefined ? Effect.succeed(undefined) : absolute(`--${name}`, written)
    }
    const files = yield* Effect.forEach(lists["load"] ?? [], (file) => absolute("--load", file))
    const keyFile = yield* fileOf("key-file")
    const tokenFile = yield* fileOf("token-file")
    const account = textOption(options, "account")
    const said = [
      ...(options["sample"] === true ? ["--sample"] : []),
      ...(files.length > 0 ? ["--load"] : []),
      ...(connection === undefined ? [] : ["--connection"]),
      ...(account === undefined ? [] : ["--account"])
    ]
    if (said.length > 1) return yield* wrong("init", `expected one of ${said.join(", ")}, not ${said.length}`)
    const auth =
      textOption(options, "auth") ??
      (keyFile !== undefined ? "key" : tokenFile !== undefined ? "token" : undefined)
    if (keyFile !== undefined && auth !== "key") return yield* wrong("--key-file", "is of --auth key only")
    if (tokenFile !== undefined && auth !== "token")
      return yield* wrong("--token-file", "is of --auth token only")
    const ofAccount = ["user", "auth", "key-file", "token-file", "role", "warehouse"]
    const stray = ofAccount.find((name) => options[name] !== undefined)
    if (stray !== undefined && said.length > 0 && account === undefined) {
      return yield* wrong(`--${stray}`, `is of --account only, not of ${said[0] ?? ""}`)
    }
    const client = textOption(options, "for")
    return {
      kind:
        options["sample"] === true
          ? "sample"
          : files.length > 0
            ? "files"
            : connection !== undefined
              ? "connection"
              : account !== undefined || stray !== undefined
                ? "account"
                : undefined,
      files,
      connection,
      account,
      user: textOption(options, "user"),
      auth,
      keyFile,
      tokenFile,
      role: textOption(options, "role"),
      warehouse: textOption(options, "warehouse"),
      client: clients.find(({ name }) => name === client)
    }
  })

/** What is to be served, where all of it is said. */
const complete = (given: Given): Effect.Effect<Setup.Source, UsageFault> => {
  const { account, auth, connection = "", files, keyFile, kind, role, tokenFile, user, warehouse } = given
  switch (kind) {
    case undefined:
      return wrong(
        "init",
        "expected --account, --connection, --load or --sample: there is no terminal to ask at"
      )
    case "sample":
      return Effect.succeed({ _tag: "sample" })
    case "files":
      return Effect.succeed({ _tag: "files", files })
    case "connection":
      return Effect.succeed({ _tag: "connection", name: connection })
    case "account": {
      if (account === undefined) return wrong("init", "expected --account ACCOUNT")
      if (user === undefined) return wrong("init", "expected --user USER")
      if (auth === undefined) return wrong("init", "expected --auth key, token, password or sso")
      if (auth === "key" && keyFile === undefined) return wrong("init", "expected --key-file FILE")
      if (auth === "token" && tokenFile === undefined) return wrong("init", "expected --token-file FILE")
      return Effect.succeed({
        _tag: "account",
        account,
        user,
        login: loginOf(auth, keyFile ?? tokenFile ?? ""),
        role,
        warehouse
      })
    }
  }
}

const loginOf = (auth: string, file: string): Setup.Login =>
  auth === "key"
    ? { _tag: "key", file, isEncrypted: isEncrypted(file) }
    : auth === "token"
      ? { _tag: "token", file }
      : { _tag: auth === "sso" ? "sso" : "password" }

/** The environment of a client, which has nothing of this shell's but what is set for it. */
const environmentOf = (secrets: ReadonlyArray<string>): { readonly [name: string]: string | undefined } =>
  Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) => !/^SNOW(GUARD|FLAKE)_/.test(name) || name === "SNOWFLAKE_HOME" || secrets.includes(name)
    )
  )

/** What is wrong with the file, before it is one. What only a secret lacks is not wrong yet. */
const check = (source: Setup.Source, file: string, text: string) =>
  Effect.gen(function* () {
    const secrets = Setup.secretsOf(source)
    const env = environmentOf(secrets)
    const missing = secrets.filter((name) => (env[name] ?? "") === "")
    const { settings } = yield* ServerConfig.load({
      configPath: file,
      env,
      readFile: (path) => (path === file ? Promise.resolve(text) : readFile(path, "utf8"))
    })
    if (settings.warehouse === "duckdb") {
      const { warnings, wrong = [] } = yield* Main.checkEmbedded(settings).pipe(
        during("opening the embedded warehouse")
      )
      return { missing, warnings, wrong }
    }
    const faults = yield* Main.loginFaults(settings)
    return {
      missing,
      warnings: [],
      wrong: faults
        .filter(
          ({ setting }) => missing.length === 0 || (setting !== "password" && setting !== "private_key")
        )
        .map(({ message, setting }) => `snowflake.${setting} ${message}`)
    }
  })

/** The program that runs, as a client can start it from anywhere. */
const program = (): readonly [string, string] => {
  const script = process.argv[1] ?? ""
  return [
    process.execPath,
    Option.getOrElse(Option.liftThrowable(() => realpathSync(script))(), () => script)
  ]
}

/** For people. */
const say = (text: string) => writeHanging(process.stderr, escaped(text), 2)

/** For people, the words on stderr. */
const tell = (
  file: string,
  isDefault: boolean,
  missing: ReadonlyArray<string>,
  client: (Client & { readonly shown: Snippet }) | undefined,
  script: string
) =>
  Effect.gen(function* () {
    yield* say(`wrote ${file}`)
    for (const name of missing) {
      yield* say(
        `to do: set ${name} where the server starts${client === undefined ? "" : `, in place of ${Setup.placeholder}`}`
      )
    }
    if (/[\\/]_npx[\\/]/.test(script)) {
      yield* say(
        "to do: install the package; what npx has fetched may be gone tomorrow, and a client starts it by its path"
      )
    }
    if (client !== undefined) {
      yield* say(`\n${client.title}: ${client.where.replaceAll("`", "")}\n`)
      yield* print(client.shown.text)
    }
    yield* say(`\nnext: ${programName()} check${isDefault ? "" : ` --config ${file}`}`)
  })

/**
 * @since 0.1.0
 * @category commands
 */
export const run: Run = (input) =>
  Effect.gen(function* () {
    const { options } = input
    const given = yield* givenOf(input)
    const json = options["json"] === true
    const asks = options["yes"] !== true && !json && isAtTerminal()
    const directory = UserDirs.configDir(UserDirs.current())
    const written = textOption(options, "file")
    if (written === undefined && directory === undefined) {
      return yield* wrong("init", "this user has no home directory: expected --file FILE")
    }
    const file =
      written === undefined
        ? join(directory ?? "", ServerConfig.fileName)
        : yield* absolute("--file", written)
    const exists = existsSync(file)
    if (exists && !asks && options["yes"] !== true) {
      return yield* wrong("init", `${file} is there already: --yes replaces it`)
    }
    const unwritten = say("nothing was written")
    const answered = asks
      ? yield* Effect.flatMap(
          Effect.promise(() => import("./initQuestions.js")),
          ({ ask }) => ask(given, exists ? file : undefined)
        ).pipe(Effect.onInterrupt(() => unwritten))
      : Option.some(given)
    if (Option.isNone(answered)) {
      yield* unwritten
      return 1
    }
    const { client } = answered.value
    const source = yield* complete(answered.value)
    const text = Setup.document(source)
    const { missing, warnings, wrong: faults } = yield* check(source, file, text)
    for (const warning of warnings) yield* say(`warning: ${warning}`)
    if (faults.length > 0) {
      for (const fault of faults) yield* say(`wrong: ${fault}`)
      yield* say("nothing was written")
      return ServerConfig.exitCode
    }
    const failed = yield* Effect.tryPromise({
      try: () => {
        Directories.make(dirname(file))
        return replaceFile(file, text)
      },
      catch: (cause) => `${file} cannot be written: ${reasonOf(cause)}`
    }).pipe(Effect.as(undefined), Effect.merge)
    if (failed !== undefined) {
      yield* say(failed)
      return 1
    }
    const started = program()
    const shown =
      client === undefined
        ? undefined
        : yield* client.snippet(Setup.launch(source, { file, program: started }))
    if (json) {
      yield* print(
        JSON.stringify({
          file,
          secrets: missing,
          warnings,
          ...(client === undefined || shown === undefined
            ? {}
            : { client: { name: client.name, where: client.where, ...shown } })
        })
      )
    } else
      yield* tell(
        file,
        written === undefined,
        missing,
        client === undefined || shown === undefined ? undefined : { ...client, shown },
        started[1]
      )
    return 0
  })
