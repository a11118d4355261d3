/**
 * The questions of `snowguard init`, on stderr, for what the options do not say.
 *
 * @since 0.1.0
 */
import * as Prompts from "@clack/prompts"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { parse } from "smol-toml"
import * as UserDirs from "../../platform/userDirs.js"
import type { Client } from "../clients.js"
import { clients } from "../clients.js"
import { answer, Cancelled, confirmed } from "../prompts.js"
import type { Source } from "../Setup.js"

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

const isNeeded = (text: string | undefined) =>
  text === undefined || text.trim() === "" ? "It is needed" : undefined

const asks = (message: string, placeholder: string) =>
  Effect.map(
    answer((options) => Prompts.text({ ...options, message, placeholder, validate: isNeeded })),
    (text) => text.trim()
  )

const mayAnswer = (message: string, placeholder: string) =>
  Effect.map(
    answer((options) => Prompts.text({ ...options, message, placeholder, defaultValue: "" })),
    (text) => (text.trim() === "" ? undefined : text.trim())
  )

const pathOf = (written: string): Either.Either<string, string> => {
  const environment = UserDirs.current()
  return UserDirs.resolvePath(environment, environment.cwd, written.trim())
}

/** What is wrong with the path of a file that is there, or, where many may be meant, with the pattern of some. */
const isFile =
  (many: boolean) =>
  (text = ""): string | undefined => {
    const path = pathOf(text)
    if (Either.isLeft(path)) return `It ${path.left}`
    // What a pattern matches is told when it is read.
    return existsSync(path.right) || (many && /[*?[]/.test(text)) ? undefined : "There is no such file"
  }

const resolved = (text: string): string => Either.getOrElse(pathOf(text), () => text)

const asksForFile = (message: string, placeholder: string, many = false) =>
  Effect.map(
    answer((options) =>
      Prompts.text({
        ...options,
        message,
        placeholder,
        validate: (text) => isNeeded(text) ?? isFile(many)(text)
      })
    ),
    resolved
  )

/** One after another, until the answer is empty. */
const asksForMore = (files: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<string>, Cancelled> =>
  Effect.flatMap(
    answer((options) =>
      Prompts.text({
        ...options,
        message: `Which other one? Empty: that is all (${files.length} so far)`,
        defaultValue: "",
        validate: (text = "") => (text.trim() === "" ? undefined : isFile(true)(text))
      })
    ),
    (text) => (text.trim() === "" ? Effect.succeed(files) : asksForMore([...files, resolved(text)]))
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

/** One of several; the value of each is what the options of the command call it. */
const chooses = <Value extends string>(
  message: string,
  options: ReadonlyArray<Prompts.Option<Value>>
): Effect.Effect<Value, Cancelled> =>
  answer((place) => Prompts.select<Value>({ ...place, message, options: [...options] }))

const login = (given: Given): Effect.Effect<Given, Cancelled> =>
  Effect.gen(function* () {
    const auth =
      given.auth ??
      (yield* chooses("How does it log in?", [
        { value: "key", label: "A private key in a file", hint: "for servers" },
        { value: "token", label: "A programmatic access token in a file" },
        { value: "password", label: "A password, in SNOWFLAKE_PASSWORD", hint: "of the environment" },
        { value: "sso", label: "Single sign-on, in the browser", hint: "for one person" }
      ]))
    const needs = (name: string, file: string | undefined, message: string, placeholder: string) =>
      auth === name && file === undefined ? asksForFile(message, placeholder) : Effect.succeed(file)
    return {
      ...given,
      auth,
      keyFile: yield* needs("key", given.keyFile, "Where is the private key?", "~/.snowflake/agent.p8"),
      tokenFile: yield* needs("token", given.tokenFile, "Where is the token?", "~/.snowflake/agent.token")
    }
  })

const kinds = (names: ReadonlyArray<string>) =>
  answer((place) =>
    Prompts.select<Source["_tag"]>({
      ...place,
      message: "What does it serve?",
      options: [
        { value: "account", label: "A Snowflake account" },
        ...(names.length === 0
          ? []
          : [{ value: "connection" as const, label: "A connection of Snowflake's own tools" }]),
        { value: "files", label: "Files of this machine", hint: "CSV, TSV, JSON, Parquet" },
        { value: "sample", label: "The sample warehouse", hint: "to look around" }
      ]
    })
  )

/** What it serves, with all that is needed for it. */
const source = (given: Given): Effect.Effect<Given, Cancelled> =>
  Effect.gen(function* () {
    const names = given.kind === undefined ? connections() : []
    const kind = given.kind ?? (yield* kinds(names))
    switch (kind) {
      case "sample":
        return { ...given, kind }
      case "files": {
        if (given.files.length > 0) return { ...given, kind }
        const first = yield* asksForFile("Which file, or files?", "~/data/*.csv", true)
        return { ...given, kind, files: yield* asksForMore([first]) }
      }
      case "connection": {
        const among = names.map((value) => ({ value, label: value }))
        return {
          ...given,
          kind,
          connection: given.connection ?? (yield* chooses("Which connection?", among))
        }
      }
      case "account": {
        const account = given.account ?? (yield* asks("Which account?", "myorg-myaccount"))
        const user = given.user ?? (yield* asks("As which user?", "AGENT"))
        return {
          ...(yield* login(given)),
          kind,
          account,
          user,
          role: given.role ?? (yield* mayAnswer("In which role? Empty: the user's own", "READER")),
          warehouse:
            given.warehouse ?? (yield* mayAnswer("In which warehouse? Empty: the user's own", "AGENTS"))
        }
      }
    }
  })

/**
 * The options, with what they do not say. None when the person has ended it, or does not want the file replaced.
 *
 * @since 0.1.0
 * @category prompts
 */
export const ask = (given: Given, existing: string | undefined): Effect.Effect<Option.Option<Given>> =>
  Effect.gen(function* () {
    const output = process.stderr
    Prompts.intro("snowguard init", { output })
    if (existing !== undefined && !(yield* confirmed(`${existing} is there already. Replace it?`))) {
      return yield* new Cancelled()
    }
    const served = yield* source(given)
    const name =
      given.client?.name ??
      (yield* chooses("Which client is to use it?", [
        ...clients.map(({ name, title }) => ({ value: name, label: title })),
        { value: "", label: "None of these" }
      ]))
    Prompts.outro("It is checked before it is written.", { output })
    return Option.some({ ...served, client: clients.find((client) => client.name === name) })
  }).pipe(Effect.catchTag("Cancelled", () => Effect.succeed(Option.none())))
