/**
 * The questions of `snowguard init`, on stderr, for what the options do not say.
 *
 * @since 0.1.0
 */
import * as Prompts from "@clack/prompts"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { parse } from "smol-toml"
import * as UserDirs from "../../platform/userDirs.js"
import type { Client } from "../clients.js"
import { clients } from "../clients.js"
import type { Login, Source } from "../Setup.js"

/**
 * What the options say.
 *
 * @since 0.1.0
 * @category models
 */
export interface Given {
  readonly kind: Source["_tag"] | undefined
  readonly files: ReadonlyArray<string>
  readonly connection: string | undefined
  readonly account: string | undefined
  readonly user: string | undefined
  readonly auth: string | undefined
  readonly keyFile: string | undefined
  readonly tokenFile: string | undefined
  readonly role: string | undefined
  readonly warehouse: string | undefined
  readonly client: Client | undefined
}

/** The person at the terminal has ended it. */
class Cancelled extends Data.TaggedError("Cancelled") {}

const output = process.stderr

const answer = <A>(asked: () => Promise<A>): Effect.Effect<Exclude<A, symbol>, Cancelled> =>
  Effect.filterOrFail(
    Effect.promise(asked),
    (given): given is Exclude<A, symbol> => typeof given !== "symbol",
    () => new Cancelled()
  )

const isNeeded = (text: string | undefined) =>
  text === undefined || text.trim() === "" ? "It is needed" : undefined

const asks = (message: string, placeholder: string) =>
  Effect.map(
    answer(() => Prompts.text({ message, placeholder, validate: isNeeded, output })),
    (text) => text.trim()
  )

const mayAnswer = (message: string, placeholder: string) =>
  Effect.map(
    answer(() => Prompts.text({ message, placeholder, defaultValue: "", output })),
    (text) => (text.trim() === "" ? undefined : text.trim())
  )

const pathOf = (written: string): Either.Either<string, string> => {
  const environment = UserDirs.current()
  return UserDirs.resolvePath(environment, environment.cwd, written.trim())
}

const asksForFile = (message: string, placeholder: string) =>
  Effect.map(
    answer(() =>
      Prompts.text({
        message,
        placeholder,
        output,
        validate: (text) => {
          const path = pathOf(text ?? "")
          if (Either.isLeft(path)) return `It ${path.left}`
          return isNeeded(text) ?? (existsSync(path.right) ? undefined : "There is no such file")
        }
      })
    ),
    (text) => Either.getOrElse(pathOf(text), () => text)
  )

/** The names in Snowflake's own files; those that cannot be read have none. */
const connections = (): ReadonlyArray<string> => {
  const namesIn = (path: string, table: (document: { readonly [key: string]: unknown }) => unknown) =>
    Option.getOrElse(
      Option.liftThrowable(() => Object.keys(Object(table(parse(readFileSync(path, "utf8"))))))(),
      () => []
    )
  const found = UserDirs.snowflakeDirs(UserDirs.current()).flatMap((directory) => [
    ...namesIn(join(directory, "connections.toml"), (document) => document),
    ...namesIn(join(directory, "config.toml"), ({ connections }) => connections ?? {})
  ])
  return [...new Set(found)]
}

const login = (given: Given): Effect.Effect<Login, Cancelled> =>
  Effect.gen(function* () {
    const auth =
      given.auth ??
      (yield* answer(() =>
        Prompts.select({
          message: "How does it log in?",
          output,
          options: [
            { value: "key", label: "A private key in a file", hint: "for servers" },
            { value: "token", label: "A programmatic access token in a file" },
            { value: "password", label: "A password, in SNOWFLAKE_PASSWORD", hint: "of the environment" },
            { value: "sso", label: "Single sign-on, in the browser", hint: "for one person" }
          ]
        })
      ))
    switch (auth) {
      case "key":
        return {
          _tag: "key",
          file: given.keyFile ?? (yield* asksForFile("Where is the private key?", "~/.snowflake/agent.p8")),
          // The command looks into the file.
          isEncrypted: false
        }
      case "token":
        return {
          _tag: "token",
          file: given.tokenFile ?? (yield* asksForFile("Where is the token?", "~/.snowflake/agent.token"))
        }
      default:
        return { _tag: auth === "sso" ? "sso" : "password" }
    }
  })

const source = (given: Given): Effect.Effect<Source, Cancelled> =>
  Effect.gen(function* () {
    const names = given.kind === undefined ? connections() : []
    const kind =
      given.kind ??
      (yield* answer(() =>
        Prompts.select<Source["_tag"]>({
          message: "What does it serve?",
          output,
          options: [
            { value: "account", label: "A Snowflake account" },
            ...(names.length === 0
              ? []
              : [{ value: "connection" as const, label: "A connection of Snowflake's own tools" }]),
            { value: "files", label: "Files of this machine", hint: "CSV, TSV, JSON, Parquet" },
            { value: "sample", label: "The sample warehouse", hint: "to look around" }
          ]
        })
      ))
    switch (kind) {
      case "sample":
        return { _tag: "sample" }
      case "files": {
        if (given.files.length > 0) return { _tag: "files", files: given.files }
        return { _tag: "files", files: [yield* asksForFile("Which file?", "~/data/orders.csv")] }
      }
      case "connection":
        return {
          _tag: "connection",
          name:
            given.connection ??
            (yield* answer(() =>
              Prompts.select({
                message: "Which connection?",
                output,
                options: names.map((value) => ({ value, label: value }))
              })
            ))
        }
      case "account":
        return {
          _tag: "account",
          account: given.account ?? (yield* asks("Which account?", "myorg-myaccount")),
          user: given.user ?? (yield* asks("As which user?", "AGENT")),
          login: yield* login(given),
          role: given.role ?? (yield* mayAnswer("In which role? Empty: the user's own", "READER")),
          warehouse:
            given.warehouse ?? (yield* mayAnswer("In which warehouse? Empty: the user's own", "AGENTS"))
        }
    }
  })

/**
 * None when the person has ended it, or does not want the file replaced.
 *
 * @since 0.1.0
 * @category prompts
 */
export const ask = (
  given: Given,
  existing: string | undefined
): Effect.Effect<Option.Option<{ readonly source: Source; readonly client: Client | undefined }>> =>
  Effect.gen(function* () {
    Prompts.intro("snowguard init", { output })
    if (existing !== undefined) {
      const message = `${existing} is there already. Replace it?`
      const may = yield* answer(() => Prompts.confirm({ message, initialValue: false, output }))
      if (!may) return yield* new Cancelled()
    }
    const serves = yield* source(given)
    const name =
      given.client?.name ??
      (yield* answer(() =>
        Prompts.select({
          message: "Which client is to use it?",
          output,
          options: [
            ...clients.map(({ name, title }) => ({ value: name, label: title })),
            { value: "", label: "None of these" }
          ]
        })
      ))
    Prompts.outro("Checked before it is written.", { output })
    return Option.some({ source: serves, client: clients.find((client) => client.name === name) })
  }).pipe(Effect.catchTag("Cancelled", () => Effect.succeed(Option.none())))
