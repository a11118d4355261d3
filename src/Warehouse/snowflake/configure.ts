/**
 * The settings of the server, completed from the `connections.toml` that Snowflake's own tools share, as
 * the options of the adapter.
 *
 * `settings` come before the file. The file is looked at only when a connection is named or no account is
 * set: `$SNOWFLAKE_HOME/connections.toml`, or `~/.snowflake/connections.toml`. Keys and tokens that are in
 * files of their own are read at each login, since they are exchanged while the server runs.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { readFile, stat } from "node:fs/promises"
import { homedir } from "node:os"
import { join } from "node:path"
import { nearest } from "../../core/Nearest.js"
import type { Settings } from "../../config/Settings.js"
import { WarehouseError } from "../../Warehouse.js"
import type { Options } from "../Snowflake.js"
import type { Login } from "./auth.js"

type Given = Settings["snowflake"]

/**
 * @since 0.1.0
 * @category models
 */
export interface Sources {
  readonly env: { readonly [name: string]: string | undefined }
  readonly home: string
}

type Values = { readonly [key: string]: string | undefined }

const wrong = (description: string): WarehouseError =>
  new WarehouseError({ reason: "Configuration", description, sent: "no" })

const codeOf = (error: unknown): string =>
  typeof error === "object" && error !== null && "code" in error ? String(error.code) : "unknown error"

const reasons: { readonly [code: string]: string } = {
  ENOENT: "there is no such file",
  EACCES: "permission denied",
  EISDIR: "it is a directory"
}

const read = (path: string): Effect.Effect<string, string> =>
  Effect.tryPromise({ try: () => readFile(path, "utf8"), catch: codeOf })

/** Without this others on the machine could read a password, and Snowflake's tools say the same. */
const warnAboutReaders = (path: string) =>
  Effect.promise(() =>
    stat(path).then(
      ({ mode }) => process.platform !== "win32" && (mode & 0o077) !== 0,
      () => false
    )
  ).pipe(
    Effect.flatMap((open) =>
      open
        ? Effect.logWarning(`${path} can be read by others on this machine; run: chmod 600 ${path}`)
        : Effect.void
    )
  )

const isTable = (value: unknown): value is { readonly [key: string]: unknown } =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const textsOf = (table: { readonly [key: string]: unknown }): Values =>
  Object.fromEntries(
    Object.entries(table).flatMap(([key, value]) =>
      typeof value === "string" ? [[key.toLowerCase(), value] as const] : []
    )
  )

const fromFile = (given: Given, { env, home }: Sources): Effect.Effect<Values, WarehouseError> =>
  Effect.gen(function* () {
    const asked = given.connection !== undefined
    if (!asked && (given.account !== undefined || given.accessUrl !== undefined)) return {}
    const path = join(env["SNOWFLAKE_HOME"] || join(home, ".snowflake"), "connections.toml")
    const name = given.connection ?? "default"
    const text = yield* Effect.catchAll(read(path), (code) =>
      code === "ENOENT" && !asked
        ? Effect.fail(
            wrong("no account is set: snowflake.account, SNOWFLAKE_ACCOUNT, or a connections.toml.")
          )
        : Effect.fail(wrong(`${path} cannot be read: ${reasons[code] ?? code}.`))
    )
    yield* warnAboutReaders(path)
    const toml = yield* Effect.promise(() => import("smol-toml"))
    const document = yield* Effect.try({
      try: () => toml.parse(text),
      // The parser's message quotes the file, which holds secrets.
      catch: (error) =>
        wrong(
          `${path} is not valid TOML` + (error instanceof toml.TomlError ? ` (line ${error.line}).` : ".")
        )
    })
    const connections = isTable(document["connections"]) ? document["connections"] : document
    const section = Object.hasOwn(connections, name) ? connections[name] : undefined
    if (isTable(section)) return textsOf(section)
    const known = Object.entries(connections).flatMap(([key, value]) => (isTable(value) ? [key] : []))
    const [meant] = nearest(name, known, 1)
    return yield* wrong(
      `${path} has no connection "${name}"` + (meant === undefined ? "." : `; did you mean "${meant}"?`)
    )
  })

const hide = (value: string | undefined) => (value === undefined ? undefined : Redacted.make(value))

/** A file of the login; its content ends with a line end that is none of the secret. */
const secretFile = (setting: string, path: string | undefined) =>
  path === undefined
    ? Effect.succeed(undefined)
    : read(path).pipe(
        Effect.mapBoth({
          onSuccess: (text) => Redacted.make(text.trimEnd()),
          onFailure: (code) =>
            wrong(`snowflake.${setting}: ${path} cannot be read: ${reasons[code] ?? code}.`)
        })
      )

const expand = (path: string | undefined, home: string) =>
  path?.startsWith("~/") === true ? join(home, path.slice(2)) : path

/**
 * Fails when the `connections.toml` that is needed is missing or wrong; what is wrong with the login is told
 * by the login.
 *
 * @since 0.1.0
 * @category constructors
 */
export const options = (
  given: Given,
  sources: Sources = { env: process.env, home: homedir() }
): Effect.Effect<Options, WarehouseError> =>
  Effect.map(fromFile(given, sources), (file): Options => {
    const one = (value: string | undefined, ...names: ReadonlyArray<string>) =>
      value ?? names.map((name) => file[name]).find((found) => found !== undefined && found !== "")
    const hidden = (value: Login["password"], ...names: ReadonlyArray<string>) =>
      value ?? hide(one(undefined, ...names))
    const keyFile = expand(one(given.privateKeyFile, "private_key_file", "private_key_path"), sources.home)
    const tokenFile = expand(one(given.tokenFile, "token_file_path", "token_file"), sources.home)
    const host = one(undefined, "host")
    const known: Login = {
      account: one(given.account, "account", "accountname"),
      accessUrl: given.accessUrl ?? (host === undefined ? undefined : `https://${host}`),
      user: one(given.user, "user", "username"),
      authenticator: one(given.authenticator, "authenticator"),
      password: hidden(given.password, "password"),
      passcode: hidden(given.passcode, "passcode"),
      privateKey: hidden(given.privateKey, "private_key", "private_key_raw"),
      privateKeyPassphrase: hidden(
        given.privateKeyPassphrase,
        "private_key_file_pwd",
        "private_key_passphrase"
      ),
      token: hidden(given.token, "token"),
      oauthClientId: one(given.oauthClientId, "oauth_client_id"),
      oauthClientSecret: hidden(given.oauthClientSecret, "oauth_client_secret"),
      oauthTokenRequestUrl: one(given.oauthTokenRequestUrl, "oauth_token_request_url"),
      oauthScope: one(given.oauthScope, "oauth_scope"),
      workloadIdentityProvider: one(given.workloadIdentityProvider, "workload_identity_provider")
    }
    const login = Effect.map(
      Effect.zip(
        known.privateKey === undefined
          ? secretFile("private_key_file", keyFile)
          : Effect.succeed(known.privateKey),
        known.token === undefined ? secretFile("token_file", tokenFile) : Effect.succeed(known.token)
      ),
      ([privateKey, token]): Login => ({ ...known, privateKey, token })
    )
    return {
      login,
      role: one(given.role, "role"),
      warehouse: one(given.warehouse, "warehouse"),
      database: one(given.database, "database"),
      schema: one(given.schema, "schema"),
      maxSessions: given.maxSessions,
      loginMs: given.loginSeconds * 1000,
      approvalMs: given.approvalSeconds * 1000,
      fetchMs: given.fetchSeconds * 1000,
      queuedMs: given.queuedSeconds * 1000,
      latchMs: given.latchSeconds * 1000,
      capRows: given.capRows
    }
  })
