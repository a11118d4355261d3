/**
 * The bodies of requests to Snowflake and of its answers, and which request is which. Pure.
 */
import * as Schema from "effect/Schema"
import type { Bind } from "../warehouse/Warehouse.js"
import * as Failures from "./failures.js"
import type { Failure } from "./failures.js"
import type { Request as FaultRequest } from "./faults.js"
import type { Rows } from "./results.js"
import type { Session } from "./sessions.js"
import type { Statement } from "./statements.js"

export type Route =
  | {
      readonly _tag:
        | "Login"
        | "Token"
        | "Metadata"
        | "Submit"
        | "AbortRequest"
        | "Renew"
        | "Heartbeat"
        | "Logout"
        | "Telemetry"
    }
  | { readonly _tag: "Result" | "AbortQuery" | "Monitor"; readonly queryId: string }
  | { readonly _tag: "Chunk"; readonly queryId: string; readonly index: number }
  | { readonly _tag: "Control"; readonly path: string }
  | { readonly _tag: "NotFound" }

const id = "([0-9a-fA-F-]{36})"
const routes: ReadonlyArray<readonly [string, RegExp, (match: RegExpExecArray) => Route]> = [
  ["POST", /^\/session\/v1\/login-request$/, () => ({ _tag: "Login" })],
  ["POST", /^\/oauth\/token-request$/, () => ({ _tag: "Token" })],
  ["GET", /^\/\.well-known\/oauth-authorization-server$/, () => ({ _tag: "Metadata" })],
  ["POST", /^\/queries\/v1\/query-request$/, () => ({ _tag: "Submit" })],
  ["POST", /^\/queries\/v1\/abort-request$/, () => ({ _tag: "AbortRequest" })],
  ["POST", /^\/session\/token-request$/, () => ({ _tag: "Renew" })],
  ["POST", /^\/session\/heartbeat$/, () => ({ _tag: "Heartbeat" })],
  ["POST", /^\/session$/, () => ({ _tag: "Logout" })],
  ["POST", /^\/telemetry\/send/, () => ({ _tag: "Telemetry" })],
  ["GET", new RegExp(`^/queries/${id}/result$`), ([, queryId]) => ({ _tag: "Result", queryId: queryId! })],
  [
    "POST",
    new RegExp(`^/queries/${id}/abort-request$`),
    ([, queryId]) => ({ _tag: "AbortQuery", queryId: queryId! })
  ],
  [
    "GET",
    new RegExp(`^/monitoring/queries/${id}$`),
    ([, queryId]) => ({ _tag: "Monitor", queryId: queryId! })
  ],
  [
    "GET",
    new RegExp(`^/chunks/${id}/(\\d+)$`),
    ([, queryId, index]) => ({ _tag: "Chunk", queryId: queryId!, index: Number(index) })
  ]
]

/** The prefix of the endpoints that steer the emulator. */
const controlPrefix = "/__emulator/"

export const route = (method: string, path: string): Route => {
  if (path.startsWith(controlPrefix)) return { _tag: "Control", path: path.slice(controlPrefix.length) }
  for (const [verb, pattern, to] of routes) {
    const match = verb === method ? pattern.exec(path) : null
    if (match !== null) return to(match)
  }
  return { _tag: "NotFound" }
}

/**
 * What the faults call a request.
 */
export const whereOf = (route: Route): FaultRequest["where"] => {
  switch (route._tag) {
    case "Login":
      return "login"
    case "Token":
      return "token"
    case "Submit":
      return "query"
    case "Result":
      return "poll"
    case "Chunk":
      return "chunk"
    case "Renew":
      return "renew"
    case "Heartbeat":
      return "heartbeat"
    case "AbortRequest":
    case "AbortQuery":
      return "abort"
    case "Monitor":
      return "monitor"
    default:
      return "other"
  }
}

const outputFormats: Readonly<Record<string, string | number | boolean>> = {
  TIMEZONE: "UTC",
  BINARY_OUTPUT_FORMAT: "HEX",
  DATE_OUTPUT_FORMAT: "YYYY-MM-DD",
  TIME_OUTPUT_FORMAT: "HH24:MI:SS.FF9",
  TIMESTAMP_OUTPUT_FORMAT: "YYYY-MM-DD HH24:MI:SS.FF9 TZHTZM",
  TIMESTAMP_NTZ_OUTPUT_FORMAT: "YYYY-MM-DD HH24:MI:SS.FF9",
  TIMESTAMP_LTZ_OUTPUT_FORMAT: "",
  TIMESTAMP_TZ_OUTPUT_FORMAT: "",
  // Above it clients upload binds to a stage instead of sending them.
  CLIENT_STAGE_ARRAY_BINDING_THRESHOLD: 2_147_483_647,
  QUERY_CONTEXT_CACHE_SIZE: 5
}

/** Clients convert values by these: values are always in UTC and binary always hexadecimal. */
const fixedParameters = new Set(["TIMEZONE", "BINARY_OUTPUT_FORMAT", "CLIENT_STAGE_ARRAY_BINDING_THRESHOLD"])

const sessionParameters = (session: Session) =>
  Object.entries(outputFormats).map(([name, value]) => ({
    name,
    value: fixedParameters.has(name) ? value : (session.parameters.get(name) ?? value)
  }))

const success = (data: unknown, code: string | null = null) => ({ data, code, message: null, success: true })

export const nothing = success(null)

export const refused = (failure: Failure) => ({
  data: { nextAction: "RETRY_LOGIN", authnMethod: "USERNAME_PASSWORD" },
  code: failure.code,
  message: failure.message,
  success: false
})

export const failed = (failure: Failure, queryId?: string) => ({
  data: {
    internalError: false,
    errorCode: failure.code,
    sqlState: failure.sqlState ?? null,
    line: -1,
    pos: -1,
    type: failure.message.startsWith("SQL compilation error") ? "COMPILATION" : "EXECUTION",
    ...(queryId === undefined ? {} : { queryId })
  },
  code: failure.code,
  message: failure.message,
  success: false
})

export const loggedIn = (session: Session, version: string, ttlMs: number) =>
  success({
    token: session.token,
    masterToken: session.master,
    validityInSeconds: Math.floor(ttlMs / 1000),
    masterValidityInSeconds: 14_400,
    sessionId: session.id,
    displayUserName: session.user,
    serverVersion: version,
    firstLogin: false,
    healthCheckInterval: 45,
    parameters: sessionParameters(session),
    sessionInfo: {
      databaseName: session.database ?? null,
      schemaName: session.schema ?? null,
      warehouseName: session.warehouse ?? null,
      roleName: session.role
    }
  })

export const renewed = (session: Session, ttlMs: number) =>
  success({
    sessionToken: session.token,
    validityInSecondsST: Math.floor(ttlMs / 1000),
    masterToken: session.master,
    validityInSecondsMT: 14_400,
    sessionId: session.id
  })

export const inProgress = ({ isAsync, queryId }: Statement) =>
  success(
    {
      queryId,
      getResultUrl: `/queries/${queryId}/result`,
      queryAbortsAfterSecs: 300,
      progressDesc: null
    },
    isAsync ? "333334" : "333333"
  )

export const rows = (
  statement: Statement,
  result: Rows,
  chunks: ReadonlyArray<{ readonly url: string }>,
  chunkHeaders: Readonly<Record<string, string>>
) => {
  const { session } = statement
  return success({
    parameters: sessionParameters(session),
    rowtype: result.columns,
    rowset: result.inline,
    total: result.total,
    returned: result.total,
    version: 1,
    queryId: statement.queryId,
    databaseProvider: null,
    statementTypeId: result.typeId,
    finalDatabaseName: session.database ?? null,
    finalSchemaName: session.schema ?? null,
    finalWarehouseName: session.warehouse ?? null,
    finalRoleName: session.role,
    numberOfBinds: 0,
    arrayBindSupported: false,
    queryResultFormat: "json",
    queryContext: { entries: [] },
    ...(result.chunks.length === 0
      ? {}
      : {
          chunks: result.chunks.map((chunk, index) => ({
            url: chunks[index]?.url ?? "",
            rowCount: chunk.rows,
            uncompressedSize: chunk.uncompressed,
            compressedSize: chunk.gzip.byteLength
          })),
          chunkHeaders
        })
  })
}

export const children = (statement: Statement, parts: ReadonlyArray<Statement>) =>
  success({
    parameters: sessionParameters(statement.session),
    rowtype: [],
    rowset: [],
    total: 0,
    returned: 0,
    version: 1,
    queryId: statement.queryId,
    statementTypeId: 0xa000,
    resultIds: parts.map((part) => part.queryId).join(","),
    resultTypes: parts.map((part) => part.typeId).join(","),
    queryResultFormat: "json",
    queryContext: { entries: [] }
  })

export const monitored = (statement: Statement | undefined) =>
  success({
    queries:
      statement === undefined
        ? []
        : [
            {
              id: statement.queryId,
              status: statement.status,
              state: statement.status,
              sqlText: statement.sql,
              sessionId: statement.session.id,
              userName: statement.session.user,
              roleName: statement.session.role,
              warehouseName: statement.session.warehouse ?? null,
              queryTag: statement.tag,
              startTime: statement.startedAt,
              endTime: statement.endedAt ?? 0,
              ...(statement.result?._tag === "Failure"
                ? { errorCode: statement.result.code, errorMessage: statement.result.message }
                : { errorCode: null, errorMessage: null })
            }
          ]
  })

const BindValue = Schema.Struct({
  type: Schema.String,
  value: Schema.NullOr(
    Schema.Union(Schema.String, Schema.Number, Schema.Boolean, Schema.Array(Schema.Unknown))
  )
})

export const QueryBody = Schema.parseJson(
  Schema.Struct({
    sqlText: Schema.String,
    asyncExec: Schema.optional(Schema.NullOr(Schema.Boolean)),
    describeOnly: Schema.optional(Schema.NullOr(Schema.Boolean)),
    bindings: Schema.optional(Schema.NullOr(Schema.Record({ key: Schema.String, value: BindValue }))),
    bindStage: Schema.optional(Schema.NullOr(Schema.String)),
    parameters: Schema.optional(Schema.NullOr(Schema.Record({ key: Schema.String, value: Schema.Unknown })))
  })
)
export type QueryBody = typeof QueryBody.Type

const bindOf = ({ type, value }: typeof BindValue.Type): Bind | undefined => {
  if (value === null) return null
  if (typeof value !== "string") return Array.isArray(value) ? undefined : (value as Bind)
  switch (type) {
    case "FIXED":
      // What a double does not hold exactly stays text, which the engine converts.
      return Number.isSafeInteger(Number(value)) && /^-?\d+$/.test(value) ? Number(value) : value
    case "REAL":
      return Number(value)
    case "BOOLEAN":
      return value.toLowerCase() === "true" || value === "1"
    default:
      return value
  }
}

/**
 * The binds in the order of their numbers.
 */
export const bindsOf = (body: QueryBody): ReadonlyArray<Bind> | Failure => {
  if (typeof body.bindStage === "string") return Failures.notSupported("binds in a stage")
  const binds: Array<Bind> = []
  const entries = Object.entries(body.bindings ?? {}).sort(([a], [b]) => Number(a) - Number(b))
  for (const [, entry] of entries) {
    const bind = bindOf(entry)
    if (bind === undefined) return Failures.notSupported("array binds")
    binds.push(bind)
  }
  return binds
}

/**
 * Parameters as text, by their name in upper case.
 */
export const parametersOf = (
  ...layers: ReadonlyArray<Iterable<readonly [string, unknown]>>
): Map<string, string> => {
  const parameters = new Map<string, string>()
  for (const layer of layers) {
    for (const [name, value] of layer) {
      if (value !== null && value !== undefined) parameters.set(name.toUpperCase(), String(value))
    }
  }
  return parameters
}
