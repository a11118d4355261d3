/**
 * What Snowflake says when something is refused or fails: code, SQLSTATE, message. Pure.
 */
import type { WarehouseError } from "../warehouse/Warehouse.js"

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
 * Refusals that the emulator gives on demand: by code, the SQLSTATE and the text. Snowflake publishes no list
 * of them. Most texts are those that users have reported; those of 000607, 000612, 000613, 300xxx, 3901[123]x
 * and 3943xx are written after the meaning of the code.
 */
const texts: Readonly<Record<string, readonly [sqlState: string | undefined, message: string]>> = {
  "000603": [
    "XX000",
    "SQL execution internal error:\nProcessing aborted by error 300010:1234567890; incident 1234567."
  ],
  "000604": ["57014", "SQL execution canceled"],
  "000605": ["02000", "Identified SQL statement is not currently executing."],
  "000606": [
    "57P03",
    "No active warehouse selected in the current session.  Select an active warehouse with the 'use warehouse' command.\n"
  ],
  "000607": ["57014", "SQL execution was stopped because the session is being closed."],
  "000608": [
    "57P03",
    "Warehouse 'COMPUTE_WH' is suspended. Use 'alter warehouse COMPUTE_WH resume;' command if you need to use it again."
  ],
  "000610": [
    "57014",
    "SQL execution error: The number of concurrent statements of user 'SNOWGUARD' exceeds the limit. Please try again later."
  ],
  "000612": ["02000", "The result of the statement is not available yet."],
  "000613": ["02000", "The result of the statement is not available any more."],
  "000625": [
    "57014",
    "Statement '01b1c2d3-0000-0000-0000-000000000001' has locked table 'ORDERS' in transaction 1742288905053000000 and this lock has not yet been released.\nYour statement '01b1c2d3-0000-0000-0000-000000000002' was aborted because the number of waiters for this lock exceeds the 20 statements limit."
  ],
  "000630": [
    "57014",
    "Statement reached its statement or warehouse timeout of 60 second(s) and was canceled."
  ],
  "000709": ["02000", "Statement 01b1c2d3-0000-0000-0000-000000000001 not found"],
  "000710": ["02000", "Result of statement 01b1c2d3-0000-0000-0000-000000000001 has expired."],
  "000904": [
    "42000",
    "SQL compilation error: error line 1 at position 7\ninvalid identifier 'NO_SUCH_COLUMN'"
  ],
  "001003": ["42000", "SQL compilation error:\nsyntax error line 1 at position 0 unexpected 'SELEC'."],
  "002003": ["42S02", "SQL compilation error:\nObject 'NO_SUCH_TABLE' does not exist or not authorized."],
  "002043": ["02000", "SQL compilation error:\nObject does not exist, or operation cannot be performed."],
  "003001": ["42501", "SQL access control error:\nInsufficient privileges to operate on schema 'PRIVATE'"],
  "090073": [
    "22000",
    "Warehouse 'COMPUTE_WH' cannot be resumed because resource monitor 'LIMIT' has exceeded its quota."
  ],
  "100038": ["22018", "Numeric value 'abc' is not recognized"],
  "100051": ["22012", "Division by zero"],
  "100132": ["P0000", "JavaScript execution error: Uncaught Error in F at 'throw' position 0"],
  "300002": ["XX000", "Internal error: the service is temporarily unavailable."],
  "370001": ["XX000", "Internal error."],
  "390100": [undefined, "Incorrect username or password was specified."],
  "390101": [undefined, "User access disabled. Contact your local system administrator."],
  "390102": [
    undefined,
    "User temporarily locked. Try again later, or contact your local system administrator."
  ],
  "390103": [undefined, "Session token not found in the request data."],
  "390104": [undefined, "Authentication token is invalid."],
  "390106": [
    undefined,
    "Specified password has expired.  Password must be changed using the Snowflake web console."
  ],
  "390110": [undefined, "The specified ID token has expired. Please re-authenticate."],
  "390111": [undefined, "Session no longer exists.  New login required to access the service."],
  "390112": [undefined, "Authentication token has expired.  The user must authenticate again."],
  "390113": [undefined, "Master token not found in the request data."],
  "390114": [undefined, "Authentication token has expired.  The user must authenticate again."],
  "390115": [undefined, "Master token is invalid."],
  "390120": [undefined, "Duo Security: authentication denied."],
  "390122": [undefined, "Duo Security: the user is not enrolled."],
  "390123": [undefined, "Duo Security: the user is locked."],
  "390127": [undefined, "Duo Security: the passcode is not valid."],
  "390129": [undefined, "Duo Security: authentication failed."],
  "390132": [undefined, "MFA authentication timed out."],
  "390144": [undefined, "JWT token is invalid."],
  "390186": [undefined, "Role 'NO_SUCH_ROLE' is not granted to this user."],
  "390189": [
    undefined,
    "Role 'NO_SUCH_ROLE' specified in the connect string does not exist or not authorized. Contact your local system administrator, or attempt to login with another role, e.g. PUBLIC."
  ],
  "390190": [undefined, "There was an error related to the SAML Identity Provider account parameter."],
  "390191": [
    undefined,
    "The user you were trying to authenticate as differs from the user currently logged in at the IDP."
  ],
  "390195": [undefined, "The provided ID Token is invalid."],
  "390197": [
    undefined,
    "Multi-factor authentication is required for this account. Log in to Snowsight to enroll."
  ],
  "390201": [undefined, "The requested database does not exist or not authorized."],
  "390303": [undefined, "Invalid OAuth access token."],
  "390309": [
    undefined,
    "The user you were trying to authenticate as differs from the user of the access token."
  ],
  "390317": [
    undefined,
    "The role requested in the connection, or the default role, is not listed in the access token."
  ],
  "390318": [undefined, "OAuth access token expired."],
  "390400": [undefined, "Bad request."],
  "390420": [
    undefined,
    "Incoming request is not allowed to access Snowflake. Contact your local security administrator."
  ],
  "390422": [
    undefined,
    "Incoming request with IP/Token 192.0.2.1 is not allowed to access Snowflake. Contact your local security administrator."
  ],
  "390429": [undefined, "Failed to connect to DB: too many login attempts."],
  "390432": [undefined, "Network policy is required."],
  "390511": [undefined, "The authentication method is not allowed by the authentication policy."],
  "390913": [undefined, "Your free trial has ended and all of your virtual warehouses have been suspended."],
  "394300": [undefined, "JWT token is invalid: it cannot be read."],
  "394301": [undefined, "JWT token is invalid: the user does not exist."],
  "394302": [undefined, "JWT token is invalid: the user has no such key."],
  "394303": [undefined, "JWT token is invalid: it was issued in the future."],
  "394304": [undefined, "JWT token is invalid: public key fingerprint mismatch."],
  "394305": [undefined, "JWT token is invalid: wrong issuer."],
  "394306": [undefined, "JWT token is invalid: it has expired."],
  "394307": [undefined, "JWT token is invalid: wrong signature."],
  "394400": [undefined, "Programmatic access token is invalid."],
  "394633": [undefined, "Workload identity is not configured for this user."]
}

/**
 * The codes that {@link refusal} has a text for.
 */
export const refusalCodes: ReadonlyArray<string> = Object.keys(texts)

/**
 * A refusal with that code; a code without a text of its own says so.
 */
export const refusal = (code: string, message?: string, sqlState?: string): Failure => {
  const [state, text] = texts[code] ?? [undefined, `Refused with code ${code}.`]
  return failure(code, message ?? text, sqlState ?? state)
}

/** Tells a refusal of the session, which no statement is made for. */
const ofSession = /^39/

export const refusesSession = ({ code }: Failure): boolean => ofSession.test(code)

export const badPassword = failure("390100", "Incorrect username or password was specified.")
export const badJwt = failure("390144", "JWT token is invalid.")
export const badOAuth = failure("390303", "Invalid OAuth access token.")
export const badAccessToken = failure("394400", "Programmatic access token is invalid.")
export const unknownRole = (role: string): Failure =>
  failure(
    "390189",
    `Role '${role}' specified in the connect string does not exist or not authorized. Contact your local system administrator, or attempt to login with another role, e.g. PUBLIC.`
  )

export const tokenExpired = failure(
  "390112",
  "Authentication token has expired. The user must authenticate again."
)
export const tokenUnknown = failure("390104", "Authentication token is invalid.")
export const sessionGone = failure(
  "390111",
  "Session no longer exists. New login required to access the service."
)
export const masterExpired = failure(
  "390114",
  "Authentication token has expired. The user must authenticate again."
)

export const syntax = (problem: string): Failure =>
  failure("001003", `SQL compilation error:\nsyntax error: ${problem}.`, "42000")
export const notSupported = (what: string): Failure =>
  failure("000002", `Unsupported feature '${what}'.`, "0A000")
/**
 * USE and SHOW do not say which one.
 */
export const missing = failure(
  "002043",
  "SQL compilation error:\nObject does not exist, or operation cannot be performed.",
  "02000"
)
export const roleNotAssigned = (role: string): Failure =>
  failure(
    "003013",
    `SQL access control error:\nRequested role '${role}' is not assigned to the executing user. Specify another role to activate.`,
    "42501"
  )
export const secondaryRolesRefused = failure(
  "003001",
  "SQL access control error:\nInsufficient privileges to operate on secondary roles.",
  "42501"
)
/**
 * A statement that names what no active role may read; it does not say whether that is there.
 */
export const notAuthorized = (name: string): Failure =>
  failure("002003", `SQL compilation error:\nObject '${name}' does not exist or not authorized.`, "42S02")
export const cancelled = failure("000604", "SQL execution canceled", "57014")
export const notRunning = failure("000605", "Identified SQL statement is not currently executing.", "02000")
export const resultUnknown = (queryId: string): Failure =>
  failure("000709", `Statement ${queryId} not found`, "02000")
export const statementTimeout = (seconds: number): Failure =>
  failure(
    "000630",
    `Statement reached its statement or warehouse timeout of ${seconds} second(s) and was canceled.`,
    "57014"
  )
/**
 * Snowflake documents no number of its own for this one: tell it by its text.
 */
export const queueTimeout = (seconds: number): Failure =>
  failure("000630", `Statement reached its queued timeout of ${seconds} second(s) and was canceled.`, "57014")
export const statementCount = (actual: number, desired: number): Failure =>
  failure(
    "000008",
    `Actual statement count ${actual} did not match the desired statement count ${desired}.`,
    "0A000"
  )
export const badParameter = (name: string, value: string): Failure =>
  failure("001008", `SQL compilation error:\ninvalid value [${value}] for parameter '${name}'`, "22023")
export const unknownFunction = (name: string): Failure =>
  failure("002140", `SQL compilation error:\nUnknown function ${name}`, "42601")
export const noWarehouse = failure(
  "000606",
  "No active warehouse selected in the current session.  Select an active warehouse with the 'use warehouse' command.",
  "57P03"
)
export const suspended = (warehouse: string): Failure =>
  failure("000608", `Warehouse '${warehouse}' cannot be resumed because it is suspended.`, "57P03")
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
 */
export const ofEngine = (error: WarehouseError): Failure => {
  const code = error.code ?? "000603"
  const sqlState = error.sqlState ?? "XX000"
  const prefix = compiling.test(sqlState) && code !== "000002" ? "SQL compilation error:\n" : ""
  return failure(code, `${prefix}${error.description}`, sqlState)
}
