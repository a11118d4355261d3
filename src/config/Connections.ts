/**
 * The connections that Snowflake's own tools share, as settings of `[snowflake]`.
 *
 * ```
 * DIRECTORY/connections.toml   [NAME]               DIRECTORY: SNOWFLAKE_HOME, ~/.snowflake, or the platform's
 * DIRECTORY/config.toml        [connections.NAME]   (where connections.toml has no such name)
 *                              default_connection_name
 * ```
 *
 * They are read when a connection is named, or when nothing says which account. Keys that this server has no use
 * for are named, none is dropped in silence. No message holds a value of the files: they hold secrets.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { join } from "node:path"
import { nearest } from "../platform/core/Nearest.js"
import { codeOf, reasonOf } from "../platform/fileReasons.js"
import type { Environment } from "../platform/userDirs.js"
import { snowflakeDirs } from "../platform/userDirs.js"
import type { Fault } from "./Faults.js"
import { isTable } from "./Given.js"
import { quote } from "./Kind.js"

type Section = { readonly [key: string]: unknown }

/** The settings, and what the connectors call them. */
const named: { readonly [setting: string]: ReadonlyArray<string> } = {
  account: ["account", "accountname"],
  user: ["user", "username"],
  role: ["role", "rolename"],
  warehouse: ["warehouse", "warehousename"],
  database: ["database", "dbname"],
  schema: ["schema", "schemaname"],
  authenticator: ["authenticator"],
  password: ["password"],
  passcode: ["passcode"],
  private_key: ["private_key", "private_key_raw"],
  private_key_file: ["private_key_file", "private_key_path"],
  private_key_passphrase: ["private_key_file_pwd", "private_key_passphrase"],
  token: ["token"],
  token_file: ["token_file_path", "token_file"],
  oauth_client_id: ["oauth_client_id"],
  oauth_client_secret: ["oauth_client_secret"],
  oauth_token_request_url: ["oauth_token_request_url"],
  oauth_scope: ["oauth_scope"],
  oauth_authorization_url: ["oauth_authorization_url"],
  oauth_redirect_uri: ["oauth_redirect_uri"],
  workload_identity_provider: ["workload_identity_provider"]
}

/** They say together where the account is. */
const address = ["region", "host", "port", "protocol"]

const known: ReadonlySet<string> = new Set([...Object.values(named).flat(), ...address])

/** What the settings say already of the account. */
interface Told {
  readonly account: string | undefined
  readonly accessUrl: string | undefined
}

/** A connection as settings. */
interface Translated {
  readonly values: { readonly [setting: string]: unknown }
  /** Keys of it that this server has no use for. */
  readonly unused: ReadonlyArray<{ readonly key: string; readonly nearest?: string | undefined }>
  readonly faults: ReadonlyArray<{ readonly key: string; readonly message: string }>
}

const numberOf = (value: unknown): number | undefined =>
  typeof value === "number"
    ? value
    : typeof value === "string" && /^\d{1,5}$/.test(value)
      ? Number(value)
      : undefined

/**
 * Pure. An account that is said elsewhere has its own address: that of the connection then belongs to another.
 */
export const translate = (section: Section, told: Told): Translated => {
  // In whatever case, as the connectors take them; an empty one says nothing.
  const given = new Map(
    Object.entries(section).flatMap(([key, value]) =>
      value === "" ? [] : [[key.toLowerCase(), value] as const]
    )
  )
  const unused = Object.keys(section)
    .filter((key) => !known.has(key.toLowerCase()))
    .map((key) => ({ key, nearest: nearest(key.toLowerCase(), known, 1)[0] }))
  const faults: Array<{ readonly key: string; readonly message: string }> = []
  const values: { [setting: string]: unknown } = {}
  for (const [setting, keys] of Object.entries(named)) {
    const key = keys.find((one) => given.has(one))
    if (key !== undefined) values[setting] = given.get(key)
  }

  const elsewhere =
    told.accessUrl !== undefined || (told.account !== undefined && told.account !== values["account"])
  if (elsewhere) {
    delete values["account"]
    return { values, unused, faults }
  }
  const text = (key: string): string | undefined => {
    const value = given.get(key)
    if (value === undefined || typeof value === "string") return value
    faults.push({ key, message: "expected a text" })
    return undefined
  }
  const region = text("region")
  const account = values["account"]
  if (region !== undefined && typeof account === "string" && !account.includes(".")) {
    values["account"] = `${account}.${region}`
  }
  const protocol = text("protocol")?.toLowerCase() ?? "https"
  if (protocol !== "https" && protocol !== "http") {
    faults.push({ key: "protocol", message: `expected "https" or "http"` })
  }
  const port = numberOf(given.get("port"))
  if (given.has("port") && (port === undefined || !(Number.isInteger(port) && port >= 1 && port <= 65_535))) {
    faults.push({ key: "port", message: "expected a whole number from 1 to 65535" })
  }
  const host = text("host") ?? hostOf(values["account"])
  const isUsual = !given.has("host") && protocol === "https" && (port === undefined || port === 443)
  if (isUsual || host === undefined || faults.length > 0) return { values, unused, faults }
  const url = `${protocol}://${host.replace(/^https?:\/\//i, "").replace(/\/+$/, "")}${port === undefined ? "" : `:${port}`}`
  if (URL.canParse(url) && new URL(url).pathname === "/" && new URL(url).username === "") {
    values["access_url"] = new URL(url).origin
  } else faults.push({ key: "host", message: "expected the name of a host" })
  return { values, unused, faults }
}

const hostOf = (account: unknown): string | undefined =>
  typeof account !== "string"
    ? undefined
    : /\.snowflakecomputing\.(com|cn)$/i.test(account)
      ? account
      : `${account}.snowflakecomputing.com`

/** How the files are looked at. */
export interface Files {
  readonly readFile: (path: string) => Promise<string>
  /** The mode bits, where there is such a file or directory. */
  readonly mode: (path: string) => number | undefined
}

/**
 * A connection that was found, and what to say of it in the log.
 */
interface Connection extends Translated {
  readonly name: string
  readonly path: string
  readonly notes: ReadonlyArray<string>
}

/** Where the connection was named; absent for the default one. */
export interface Named {
  readonly name: string
  readonly by: Pick<Fault, "key" | "source">
}

const parse = (path: string, text: string): Effect.Effect<Section, Fault> =>
  Effect.flatMap(
    Effect.promise(() => import("smol-toml")),
    (toml) =>
      Effect.try({
        try: (): Section => toml.parse(text),
        // The parser's message quotes the file.
        catch: (error): Fault => ({
          key: path,
          source: "connection",
          message: "is not valid TOML",
          ...(error instanceof toml.TomlError ? { line: error.line } : {})
        })
      })
  )

/** The document, if the file is there, and which other users can read it. */
const documentOf = (path: string, { mode, readFile }: Files, platform: string) =>
  Effect.tryPromise({ try: () => readFile(path), catch: (cause) => cause }).pipe(
    Effect.matchEffect({
      onFailure: (cause) =>
        codeOf(cause) === "ENOENT" || codeOf(cause) === "ENOTDIR"
          ? Effect.succeed(undefined)
          : Effect.fail<Fault>({
              key: path,
              source: "connection",
              message: `cannot be read: ${reasonOf(cause)}`
            }),
      onSuccess: (text) =>
        Effect.map(parse(path, text), (document) => ({
          path,
          document,
          // Others on the machine could read a password, and Snowflake's tools say the same.
          isOpen: platform !== "win32" && ((mode(path) ?? 0) & 0o077) !== 0
        }))
    })
  )

const sections = (value: unknown): ReadonlyArray<readonly [string, Section]> =>
  isTable(value)
    ? Object.entries(value).flatMap(([name, one]) => (isTable(one) ? [[name, one] as const] : []))
    : []

/**
 * The connection of this name, or the default one, if there is one. Fails when one that is named is not there, or a
 * file cannot be read.
 */
export const read = (
  named: Named | undefined,
  told: Told,
  environment: Environment,
  files: Files
): Effect.Effect<Connection | undefined, Fault> =>
  Effect.gen(function* () {
    const directories = snowflakeDirs(environment)
    // As those tools do: the first directory that is there.
    const directory = directories.find((one) => files.mode(one) !== undefined) ?? directories[0]
    const fail = (message: string, meant?: string | undefined) =>
      Effect.fail<Fault>({
        ...(named?.by ?? { key: directory ?? "connections.toml", source: "connection" }),
        message,
        ...(meant === undefined ? {} : { nearest: meant })
      })
    if (directory === undefined) {
      return named === undefined
        ? undefined
        : yield* fail("this user has no home directory to look for connections.toml in; set SNOWFLAKE_HOME")
    }
    const own = yield* documentOf(join(directory, "connections.toml"), files, environment.platform)
    const config = yield* documentOf(join(directory, "config.toml"), files, environment.platform)
    const all = [
      ...(own === undefined
        ? []
        : sections(isTable(own.document["connections"]) ? own.document["connections"] : own.document).map(
            ([name, section]) => ({ name, section, file: own })
          )),
      ...(config === undefined
        ? []
        : sections(config.document["connections"]).map(([name, section]) => ({
            name,
            section,
            file: config
          })))
    ]
    const chosen = config?.document["default_connection_name"]
    const byFile = typeof chosen === "string" && chosen !== "" ? chosen : undefined
    const name = named?.name ?? byFile ?? "default"
    const found = all.find((one) => one.name === name)
    if (found === undefined) {
      if (named === undefined && byFile === undefined) return undefined
      const where = [own?.path, config?.path].filter((path) => path !== undefined)
      return yield* fail(
        where.length === 0
          ? `cannot read the connection ${quote(name)}: there is no connections.toml and no config.toml in ${directory}`
          : `there is no connection ${quote(name)} in ${where.join(" or ")}`,
        nearest(
          name,
          all.map((one) => one.name),
          1
        )[0]
      )
    }
    const { isOpen, path } = found.file
    const translated = translate(found.section, told)
    const notes = [
      ...(isOpen ? [`${path} can be read by others on this machine; run: chmod 600 ${path}`] : []),
      ...(translated.unused.length === 0
        ? []
        : [
            `not used of the connection ${quote(name)} in ${path}: ` +
              translated.unused
                .map(({ key, nearest: meant }) =>
                  meant === undefined ? key : `${key} (did you mean ${meant}?)`
                )
                .join(", ")
          ])
    ]
    return { ...translated, name, path, notes }
  })

/**
 * Left: what is wrong with the connection itself.
 */
export const checked = (connection: Connection): Either.Either<Connection, ReadonlyArray<Fault>> =>
  connection.faults.length === 0
    ? Either.right(connection)
    : Either.left(
        connection.faults.map(({ key, message }) => ({
          key: `${title(connection)}: ${key}`,
          source: "connection" as const,
          message
        }))
      )

/**
 * For people: which connection, and where it is.
 */
export const title = ({ name, path }: Pick<Connection, "name" | "path">): string =>
  `connection ${name} (${path})`
