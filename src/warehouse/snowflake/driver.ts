/**
 * The driver, loaded late, silenced, and held to what we rely on.
 *
 * `snowflake-sdk` cannot be told by its options to stop retrying, to give up, or to keep quiet, so this
 * module reaches inside: the version is pinned, and every internal is checked when it is loaded. One that
 * has moved is a `Configuration` error that says so, never a server that hangs.
 *
 * What is switched off: log lines on stdout and `snowflake.log`; probes of cloud metadata addresses at
 * import; telemetry; revocation checks over plain HTTP; retries of its own (`wire.ts`); evaluation of
 * semi-structured values as code; texts for a log that is off. None of it may happen before or after: the
 * environment is set before the import, and the logger is set again after the first login, since a file of the
 * driver's can replace it.
 */
import * as Effect from "effect/Effect"
import { notLoaded } from "../../platform/drivers.js"
import { homeOf } from "../../platform/userDirs.js"
import { WarehouseError } from "../Warehouse.js"
import type { Agents, Axios, Descriptions } from "./wire.js"
import { install } from "./wire.js"

/**
 * The version whose internals are known.
 */
export const version = "3.3.0"

/** Called with an error or nothing. */
type Callback = (error: unknown) => void

export interface DriverStatement {
  readonly getQueryId: () => string | undefined
  readonly cancel: (done: Callback) => void
}

export interface DriverConnection {
  readonly connect: (done: Callback) => unknown
  readonly execute: (options: {
    readonly sqlText: string
    readonly binds?: ReadonlyArray<unknown> | undefined
    readonly requestId: string
    readonly parameters: { readonly [name: string]: string | number }
    readonly streamResult: true
    readonly complete: (error: unknown, statement: DriverStatement) => void
  }) => DriverStatement
  /** The result of a statement that has ended, of any session that this user had. */
  readonly fetchResult: (options: {
    readonly queryId: string
    readonly streamResult: true
    readonly complete: (error: unknown, statement: DriverStatement) => void
  }) => DriverStatement
  readonly destroy: (done: Callback) => unknown
  readonly heartbeat: (done: Callback) => void
  readonly isUp: () => boolean
}

export interface Driver {
  readonly createConnection: (options: { readonly [name: string]: unknown }) => DriverConnection
  /** Again silent, whatever a file of the driver's has said. */
  readonly silence: () => void
}

interface Sdk {
  readonly createConnection: Driver["createConnection"]
  readonly configure: (options: { readonly [name: string]: unknown }) => void
}

type Fields = { readonly [key: string]: unknown }

const isFields = (value: unknown): value is Fields =>
  (typeof value === "object" || typeof value === "function") && value !== null

const hasFunctions = (value: unknown, names: ReadonlyArray<string>): value is Fields =>
  isFields(value) && names.every((name) => typeof value[name] === "function")

const isSdk = (value: unknown): value is Fields & Sdk =>
  hasFunctions(value, ["createConnection", "configure"])

const isAxios = (value: unknown): value is Axios =>
  hasFunctions(value, ["request"]) &&
  isFields(value["interceptors"]) &&
  hasFunctions(value["interceptors"]["request"], ["use"]) &&
  hasFunctions(value["interceptors"]["response"], ["use"])

const isAgents = (value: unknown): value is Agents =>
  typeof value === "function" && hasFunctions(value.prototype, ["getAgent", "request"])

const namesAgents = (value: unknown): value is { readonly NodeHttpClient: Agents } =>
  isFields(value) && isAgents(value["NodeHttpClient"])

/** The module itself, in which functions can be replaced, and not what `import` makes of it. */
const isDescriptions = (value: unknown): value is Fields & Descriptions =>
  isFields(value) &&
  !("default" in value) &&
  hasFunctions(value, ["describeRequestFromOptions", "describeRequestFromResponse", "describeURL"])

const isUtil = (value: unknown): value is { readonly driverVersion: string } =>
  isFields(value) && typeof value["driverVersion"] === "string"

/** A module of the driver is CommonJS: its exports are the default export, once or twice. */
const unwrap = <A>(module: unknown, is: (value: unknown) => value is A): A | undefined => {
  for (let value = module, depth = 0; depth < 3; depth++) {
    if (is(value)) return value
    if (!isFields(value)) return undefined
    value = value["default"]
  }
  return undefined
}

/**
 * What an installed driver must have; the names of what is missing.
 */
export const missing = (parts: {
  readonly util: unknown
  readonly sdk: unknown
  readonly axios: unknown
  readonly http: unknown
  readonly descriptions: unknown
}): ReadonlyArray<string> => {
  const found: Array<string> = []
  const installed = unwrap(parts.util, isUtil)?.driverVersion
  if (installed !== version) found.push(`version ${version} (it is ${String(installed)})`)
  if (unwrap(parts.sdk, isSdk) === undefined) found.push("createConnection and configure")
  const axios = unwrap(parts.axios, isAxios)
  if (axios === undefined) found.push("the HTTP client with interceptors")
  const responses: unknown = axios?.interceptors.response
  const handlers = isFields(responses) ? responses["handlers"] : undefined
  if (axios !== undefined && (!Array.isArray(handlers) || handlers.length < 1)) {
    found.push("the retries as an interceptor of the HTTP client")
  }
  if (unwrap(parts.http, namesAgents) === undefined) found.push("the requests and the agents for an address")
  if (unwrap(parts.descriptions, isDescriptions) === undefined) found.push("the descriptions of requests")
  return found
}

/** A value that is not JSON stays a text: the driver would run it as code. */
const inert = (value: string): unknown => {
  try {
    return JSON.parse(value)
  } catch {
    return value
  }
}

const ignore = () => undefined

const silent = {
  logLevel: "OFF",
  additionalLogToConsole: false,
  customLogger: { error: ignore, warn: ignore, info: ignore, debug: ignore, trace: ignore }
}

/** Read by the driver while it is imported, so they have to be there before. One that is set already stays. */
const switches: { readonly [name: string]: string } = {
  SNOWFLAKE_DISABLE_PLATFORM_DETECTION: "true",
  SF_TELEMETRY_DISABLE_CONNECTION_SHAPE: "1",
  SNOWFLAKE_DISABLE_MINICORE: "1"
}

const configuration = (description: string): WarehouseError =>
  new WarehouseError({ reason: "Configuration", description, sent: "no" })

/** The internals. One that is not there any more is reported with the others that are missing. */
const internals = async () => {
  const found = (module: Promise<unknown>): Promise<unknown> => module.catch(() => undefined)
  const [util, axios, http, descriptions] = await Promise.all([
    found(import("snowflake-sdk/dist/lib/util.js")),
    found(import("snowflake-sdk/dist/lib/http/axios_instance.js")),
    found(import("snowflake-sdk/dist/lib/http/node_untyped.js")),
    found(import("snowflake-sdk/dist/lib/http/request_util.js"))
  ])
  return { util, axios, http, descriptions }
}

let loaded: Promise<Driver> | undefined

/**
 * The driver asks for the home directory while it is imported, fails for a user without one, and looks into it for a
 * configuration of its own: it must not be the working directory.
 */
const homeForDriver = (): void => {
  if (process.platform === "win32") return
  process.env["HOME"] = homeOf(process.env, process.platform) ?? "/nonexistent"
}

const start = async (): Promise<Driver> => {
  homeForDriver()
  for (const [name, value] of Object.entries(switches)) process.env[name] ??= value
  const sdkModule: unknown = await import("snowflake-sdk")
  const parts = { sdk: sdkModule, ...(await internals()) }
  const sdk = unwrap(parts.sdk, isSdk)
  const axios = unwrap(parts.axios, isAxios)
  const agents = unwrap(parts.http, namesAgents)?.NodeHttpClient
  const descriptions = unwrap(parts.descriptions, isDescriptions)
  const absent = missing(parts)
  if (
    absent.length > 0 ||
    sdk === undefined ||
    axios === undefined ||
    agents === undefined ||
    descriptions === undefined
  ) {
    throw configuration(
      `The installed Snowflake driver is not the one this server is made for; it lacks ${absent.join(", ")}.` +
        ` Install snowflake-sdk ${version}.`
    )
  }
  const silence = () => sdk.configure(silent)
  silence()
  sdk.configure({ disableOCSPChecks: true, jsonColumnVariantParser: inert })
  install(axios, agents, descriptions)
  return { createConnection: (options) => sdk.createConnection({ ...options }), silence }
}

/**
 * Loads the driver, once a process: it keeps its configuration in globals. A failed load is tried again.
 */
export const load: Effect.Effect<Driver, WarehouseError> = Effect.tryPromise({
  try: () =>
    (loaded ??= start().catch((error: unknown) => {
      loaded = undefined
      throw error
    })),
  catch: (error) =>
    error instanceof WarehouseError ? error : configuration(notLoaded("snowflake-sdk", error))
})
