/**
 * What Snowflake says when something is refused or fails: code, SQLSTATE, message. Pure.
 *
 * @since 0.1.0
 */
import type { WarehouseError } from "../Warehouse.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Failure {
  readonly _tag: "Failure"
  readonly code: string
  readonly sqlState?: string
  readonly message: string
}

const failure = (code: string, message: string, sqlState?: string): Failure => ({
  _tag: "Failure",
  code,
  message,
  ...(sqlState === undefined ? {} : { sqlState })
})

/**
 * @since 0.1.0
 * @category login
 */
export const badPassword = failure("390100", "Incorrect username or password was specified.")
/**
 * @since 0.1.0
 * @category login
 */
export const badJwt = failure("390144", "JWT token is invalid.")
/**
 * @since 0.1.0
 * @category login
 */
export const badOAuth = failure("390303", "Invalid OAuth access token.")
/**
 * @since 0.1.0
 * @category login
 */
export const badAccessToken = failure("394400", "Programmatic access token is invalid.")
/**
 * @since 0.1.0
 * @category login
 */
export const unknownRole = (role: string): Failure =>
  failure(
    "390189",
    `Role '${role}' specified in the connect string does not exist or not authorized. Contact your local system administrator, or attempt to login with another role, e.g. PUBLIC.`
  )

/**
 * @since 0.1.0
 * @category sessions
 */
export const tokenExpired = failure(
  "390112",
  "Authentication token has expired. The user must authenticate again."
)
/**
 * @since 0.1.0
 * @category sessions
 */
export const tokenUnknown = failure("390104", "Authentication token is invalid.")
/**
 * @since 0.1.0
 * @category sessions
 */
export const sessionGone = failure(
  "390111",
  "Session no longer exists. New login required to access the service."
)
/**
 * @since 0.1.0
 * @category sessions
 */
export const masterExpired = failure(
  "390114",
  "Authentication token has expired. The user must authenticate again."
)

/**
 * @since 0.1.0
 * @category statements
 */
export const syntax = (problem: string): Failure =>
  failure("001003", `SQL compilation error:\nsyntax error: ${problem}.`, "42000")
/**
 * @since 0.1.0
 * @category statements
 */
export const notSupported = (what: string): Failure =>
  failure("000002", `Unsupported feature '${what}'.`, "0A000")
/**
 * @since 0.1.0
 * @category statements
 */
export const missing = (kind: string, name: string): Failure =>
  failure("002043", `SQL compilation error:\n${kind} '${name}' does not exist or not authorized.`, "02000")
/**
 * @since 0.1.0
 * @category statements
 */
export const cancelled = failure("000604", "SQL execution canceled", "57014")
/**
 * @since 0.1.0
 * @category statements
 */
export const notRunning = failure("000605", "Identified SQL statement is not currently executing.", "02000")
/**
 * @since 0.1.0
 * @category statements
 */
export const resultUnknown = (queryId: string): Failure =>
  failure("000709", `Statement ${queryId} not found`, "02000")
/**
 * @since 0.1.0
 * @category statements
 */
export const statementTimeout = (seconds: number): Failure =>
  failure(
    "000630",
    `Statement reached its statement or warehouse timeout of ${seconds} second(s) and was canceled.`,
    "57014"
  )
/**
 * Snowflake documents no number of its own for this one: tell it by its text.
 *
 * @since 0.1.0
 * @category statements
 */
export const queueTimeout = (seconds: number): Failure =>
  failure("000630", `Statement reached its queued timeout of ${seconds} second(s) and was canceled.`, "57014")
/**
 * @since 0.1.0
 * @category statements
 */
export const statementCount = (actual: number, desired: number): Failure =>
  failure(
    "000008",
    `Actual statement count ${actual} did not match the desired statement count ${desired}.`,
    "0A000"
  )
/**
 * @since 0.1.0
 * @category statements
 */
export const badParameter = (name: string, value: string): Failure =>
  failure("001008", `SQL compilation error:\ninvalid value [${value}] for parameter '${name}'`, "22023")
/**
 * @since 0.1.0
 * @category warehouses
 */
export const noWarehouse = failure(
  "000606",
  "No active warehouse selected in the current session.  Select an active warehouse with the 'use warehouse' command.",
  "57P03"
)
/**
 * @since 0.1.0
 * @category warehouses
 */
export const suspended = (warehouse: string): Failure =>
  failure("000608", `Warehouse '${warehouse}' cannot be resumed because it is suspended.`, "57P03")
/**
 * @since 0.1.0
 * @category warehouses
 */
export const resourceMonitor = (warehouse: string): Failure =>
  failure(
    "090073",
    `Warehouse '${warehouse}' cannot be resumed because resource monitor 'SNOWGUARD' has exceeded its quota.`,
    "22000"
  )

/** Classes of SQLSTATE that Snowflake reports while compiling. */
const compiling = /^(?:42|02|0A)/

/**
 * What the engine reports, as Snowflake words it.
 *
 * @since 0.1.0
 * @category conversions
 */
export const ofEngine = (error: WarehouseError): Failure => {
  const code = error.code ?? "000603"
  const sqlState = error.sqlState ?? "XX000"
  const prefix = compiling.test(sqlState) && code !== "000002" ? "SQL compilation error:\n" : ""
  return failure(code, `${prefix}${error.description}`, sqlState)
}
