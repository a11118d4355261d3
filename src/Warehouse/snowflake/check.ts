/**
 * For operators: does the login work, as whom, and is everything there that queries will need? One line for
 * each fact and each thing that is wrong, and an exit code. Wakes no warehouse and costs nothing.
 *
 * @since 0.1.0
 */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as RequestId from "../../internal/requestId.js"
import * as Stream from "effect/Stream"
import type { Cell, Reason, Warehouse, WarehouseError } from "../../Warehouse.js"
import * as WarehouseHealth from "../../WarehouseHealth.js"
import type { Options } from "../Snowflake.js"
import * as Snowflake from "../Snowflake.js"
import { priceOf, where } from "./auth.js"
import { FORBIDDEN, PROXY } from "./classify.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Report {
  readonly lines: ReadonlyArray<string>
  /** 0: it works (there may be warnings); 78: the settings must be changed; 69: try again later. */
  readonly exitCode: 0 | 69 | 78
}

/** Roles that come with every account and may do far more than read. */
const systemRoles = ["ACCOUNTADMIN", "ORGADMIN", "GLOBALORGADMIN", "SECURITYADMIN", "SYSADMIN", "USERADMIN"]

const TIMEOUT_MS = 15_000

/** Beyond the time that a person gets to approve a login. */
const APPROVAL_TIMEOUT_MS = 600_000

const advice = (error: WarehouseError): string => {
  switch (error.code) {
    case "390100":
      return "user or password is wrong (after a few more attempts the user is locked)"
    case "390144":
      return "the key pair is refused: is the public key set for this user, and is this machine's clock right?"
    case "390186":
    case "390189":
    case "390317":
      return "the role does not exist or is not granted to the user"
    case "390201":
      return "the warehouse, database or schema of the login does not exist or is not visible to the role"
    case "390420":
    case "390422":
    case "390432":
      return "a network policy does not let this machine in"
    case "394633":
      return "no workload identity is set for this user"
    case "invalid_client":
    case "unauthorized_client":
      return "the identity provider does not accept the client id and secret"
    case "invalid_scope":
      return "the identity provider does not grant the scope (oauth_scope, or the role)"
    case PROXY:
      return "the proxy cannot be used: check HTTPS_PROXY, HTTP_PROXY and NO_PROXY"
    case FORBIDDEN:
      return "the account's host, or a proxy, refuses this machine: check the account identifier and its network policy"
    case "ENOTFOUND":
      return "the account's host does not exist: check the account identifier (orgname-account)"
    case "ECONNREFUSED":
      return "nothing listens at the account's address: check account or access_url"
  }
  if (error.code?.startsWith("3943") === true) {
    return "the key pair is refused: is the public key set for this user, and is this machine's clock right?"
  }
  switch (error.reason) {
    case "LoginUnavailable":
      return "the login cannot be made now"
    case "Authentication":
      return "the login is refused"
    case "Unreachable":
      return "the account cannot be reached"
    default:
      return "the login does not work"
  }
}

const passing: ReadonlySet<Reason> = new Set<Reason>([
  "Unreachable",
  "Overloaded",
  "ServerFault",
  "LoginUnavailable"
])

const failed = (error: WarehouseError): Report["exitCode"] => (passing.has(error.reason) ? 69 : 78)

const text = (cell: Cell | undefined): string | undefined =>
  cell === null || cell === undefined ? undefined : String(cell)

const look = (
  warehouse: Warehouse["Type"],
  id: () => string,
  sql: string,
  timeoutMs = TIMEOUT_MS
): Effect.Effect<ReadonlyArray<{ readonly [column: string]: Cell }>, WarehouseError> =>
  Effect.scoped(
    Effect.flatMap(
      warehouse.execute({
        sql,
        timeoutMs,
        requestId: id(),
        tag: { tool: "check", client: "operator" }
      }),
      ({ columns, rows }) =>
        Effect.map(Stream.runCollect(rows), (chunks) =>
          Chunk.toReadonlyArray(chunks)
            .flat()
            .map((row) =>
              Object.fromEntries(columns.map(({ name }, at) => [name.toLowerCase(), row[at] ?? null]))
            )
        )
    )
  )

const who =
  "SELECT CURRENT_ACCOUNT() AS A, CURRENT_USER() AS U, CURRENT_ROLE() AS R, CURRENT_WAREHOUSE() AS W, CURRENT_VERSION() AS V"

const warehouseLine = (
  name: string | undefined,
  found: ReadonlyArray<{ readonly [column: string]: Cell }>
): { readonly line: string; readonly ok: boolean } => {
  if (name === undefined) {
    return { line: "wrong: no warehouse is set; queries will fail (snowflake.warehouse)", ok: false }
  }
  const entry = found.find((row) => text(row["name"]) === name)
  if (entry === undefined) {
    return { line: `wrong: the warehouse ${name} does not exist or the role may not use it`, ok: false }
  }
  const state = text(entry["state"])?.toUpperCase() ?? "unknown"
  const resumes = text(entry["auto_resume"])?.toLowerCase() !== "false"
  return state === "SUSPENDED" && !resumes
    ? { line: `wrong: the warehouse ${name} is suspended and does not resume by itself`, ok: false }
    : { line: `warehouse: ${name} (${state.toLowerCase()})`, ok: true }
}

/**
 * Logs in once with these options and reports. Never fails: what is wrong is in the lines.
 *
 * @since 0.1.0
 * @category checks
 */
export const check = (options: Effect.Effect<Options, WarehouseError>): Effect.Effect<Report> =>
  Effect.scoped(
    Effect.gen(function* () {
      const given = yield* options
      const login = yield* given.login
      const lines: Array<string> = [`account host: ${where(login)}`]
      // What goes wrong is in the report.
      const health = WarehouseHealth.silent
      const warehouse = yield* Snowflake.make({ ...given, hints: false, maxSessions: 1, health })
      const id = yield* RequestId.make
      const answer = yield* Effect.either(
        look(warehouse, id, who, priceOf(login) === "person" ? APPROVAL_TIMEOUT_MS : TIMEOUT_MS)
      )
      if (Either.isLeft(answer)) {
        const error = answer.left
        const code = error.code === undefined ? "" : ` [${error.code}]`
        lines.push(`wrong: ${advice(error)}: ${error.description}${code}`)
        return { lines, exitCode: failed(error) }
      }
      const [row = {}] = answer.right
      const role = text(row["r"])
      lines.push(
        `account: ${text(row["a"]) ?? "unknown"}`,
        `user: ${text(row["u"]) ?? "unknown"}`,
        `role: ${role ?? "none"}`,
        `version: ${text(row["v"]) ?? "unknown"}`
      )
      if (role === undefined) lines.push("warning: no role is active; nothing will be visible")
      else if (systemRoles.includes(role)) {
        lines.push(`warning: ${role} is a system role; use one that may read what agents need and no more`)
      }
      // Some roles may not see warehouses at all; that alone is no fault of the login.
      const seen = yield* Effect.orElseSucceed(look(warehouse, id, "SHOW WAREHOUSES"), () => [])
      const { line, ok } = warehouseLine(text(row["w"]), seen)
      lines.push(line)
      return { lines, exitCode: ok ? (0 as const) : (78 as const) }
    }).pipe(
      Effect.catchAll((error) =>
        Effect.succeed<Report>({ lines: [`wrong: ${error.description}`], exitCode: failed(error) })
      )
    )
  )
