/**
 * Snowflake's own codes and SQLSTATEs as reasons of the port. Pure.
 *
 * Snowflake publishes no complete list: a code that is named here wins, then the SQLSTATE, then the range
 * that the code is in. A code is compared as a text of six digits.
 */
import type { Reason } from "../Warehouse.js"
import type { Refused } from "../WarehouseHealth.js"

const byCode: { readonly [code: string]: Reason } = {
  // Cancelled by us, or by a user with the right to.
  "000604": "Cancelled",
  "000605": "Cancelled",
  "000630": "StatementTimeout",
  // No active warehouse, suspended and not to be resumed, resource monitor, trial over.
  "000606": "Unavailable",
  "000608": "Unavailable",
  "090073": "Unavailable",
  "390913": "Unavailable",
  // Too many statements of the user at a time; too many that wait for one lock.
  "000610": "Overloaded",
  "000625": "Overloaded",
  // What happened to the statement on the server's side, whatever SQLSTATE comes with it.
  "000603": "ServerFault",
  "000607": "ServerFault",
  "000612": "ServerFault",
  "000613": "ServerFault",
  "000709": "ResultExpired",
  "000710": "ResultExpired",
  "003001": "Permission",
  "003540": "Permission",
  "002003": "NotFound",
  "002043": "NotFound",
  // A network policy.
  "390420": "Configuration",
  "390422": "Configuration",
  "390432": "Configuration"
}

const bySqlState: ReadonlyArray<readonly [pattern: RegExp, reason: Reason]> = [
  [/^42501$/, "Permission"],
  [/^42S02$|^3D000$|^3F000$/, "NotFound"],
  [/^53/, "Overloaded"],
  [/^57P03$/, "Unavailable"],
  [/^57014$/, "Cancelled"],
  [/^08/, "SessionLost"],
  [/^XX|^57|^58/, "ServerFault"],
  [/^(?:02|0A|20|21|22|23|42|P0)/, "InvalidStatement"]
]

const byRange: ReadonlyArray<readonly [pattern: RegExp, reason: Reason]> = [
  // 0006xx and 0007xx tell of statements and results, not of their text.
  [/^(?:300|370|000[67])\d+$/, "ServerFault"],
  [/^(?:000|001|002|003|090|091|093|100)\d{3}$/, "InvalidStatement"]
]

/** Whatever a session is refused with, another one is the way on: its login tells what is wrong. */
const isOfASession = /^39[04]\d{3}$/

const first = (rules: ReadonlyArray<readonly [RegExp, Reason]>, text: string | undefined) =>
  text === undefined ? undefined : rules.find(([pattern]) => pattern.test(text))?.[1]

/** Codes of errors that never quote a statement, so that their text may be looked at. */
const isOfTheServer = /^(?:000[67]|300|370)\d+$/

/**
 * No code of its own is documented for a statement that waited too long in the warehouse's queue, nor for a
 * service that takes no more statements.
 */
const saysOverloaded =
  /\bqueued?\b.*\b(?:time-?out|full|limit)\b|\btoo many (?:concurrent|queued|running|inbound)\b|\bnumber of (?:concurrent|queued|running|inbound) (?:statements|queries)\b/is

/**
 * The reason of a refusal of a statement that the server put into words of its own; undefined for a code
 * that says nothing.
 */
export const reasonOf = (
  code: string | undefined,
  sqlState: string | undefined,
  message: string
): Reason | undefined => {
  const mayBe = sqlState === "57014" || (code !== undefined && isOfTheServer.test(code))
  if (mayBe && saysOverloaded.test(message)) return "Overloaded"
  const known = code === undefined ? undefined : byCode[code]
  if (known !== undefined) return known
  if (code !== undefined && isOfASession.test(code)) return "SessionLost"
  return first(bySqlState, sqlState) ?? first(byRange, code)
}

/** Compilation and privileges: syntax, names, types (000904 is an unknown column). Not 100xxx, which are of rows. */
const ofCompilation = /^(?:000|001|002|003)\d{3}$/

/** Privileges, syntax, names of objects and databases. */
const stateOfCompilation = /^(?:42(?!P)|3D|3F)/

/**
 * Did the statement run? `false` where the server is known to refuse before it runs: what cannot be compiled, has no
 * warehouse, or is one too many. Undefined where a code does not tell.
 */
export const ranOf = (
  reason: Reason,
  code: string | undefined,
  sqlState: string | undefined
): boolean | undefined => {
  switch (reason) {
    case "Unavailable":
    case "Permission":
    case "NotFound":
    case "SessionLost":
    case "Configuration":
    case "ResultExpired":
      return false
    case "InvalidStatement":
      if (code !== undefined && /^100\d{3}$/.test(code)) return true
      return (code !== undefined && ofCompilation.test(code)) ||
        (sqlState !== undefined && stateOfCompilation.test(sqlState))
        ? false
        : undefined
    case "Overloaded":
      // It waited for its turn in the warehouse, or was not let in; what lacks memory (53xxx) has begun.
      return code === "000625" || sqlState?.startsWith("53") === true ? undefined : false
    case "StatementTimeout":
    case "ResourcesExceeded":
      return true
    default:
      return undefined
  }
}

interface Refusal {
  readonly reason: Reason
  /** Undefined: it passes, and the next login may be tried. */
  readonly of: Refused | undefined
}

const refused = (reason: Reason, of?: Refused): Refusal => ({ reason, of })
const noSuchRole = refused("Configuration", "role")
const networkPolicy = refused("Configuration", "identity")
const notLetIn = refused("Authentication", "identity")

const loginByCode: { readonly [code: string]: Refusal } = {
  "390186": noSuchRole,
  "390189": noSuchRole,
  "390317": noSuchRole,
  // The database, schema or warehouse.
  "390201": refused("Configuration", "place"),
  "390420": networkPolicy,
  "390422": networkPolicy,
  "390432": networkPolicy,
  // Too many logins at a time.
  "390429": refused("LoginUnavailable", "identity"),
  "390511": notLetIn,
  "390913": refused("Unavailable"),
  "394633": notLetIn,
  // No login of ours is known to be refused with these codes of sessions.
  "390104": refused("Authentication", "unknown"),
  "390111": refused("Authentication", "unknown"),
  "390112": refused("Authentication", "unknown"),
  "390113": refused("Authentication", "unknown"),
  "390114": refused("Authentication", "unknown"),
  // An identity provider's (RFC 6749, 5.2) and the key file's.
  invalid_client: notLetIn,
  unauthorized_client: notLetIn,
  access_denied: notLetIn,
  invalid_grant: notLetIn,
  invalid_scope: refused("Authentication", "role")
}

const loginByRange: ReadonlyArray<readonly [pattern: RegExp, refusal: Refusal]> = [
  // Passwords, second factors and keys; OAuth; key pairs in detail, access tokens, second factors again.
  [/^39(?:01|03|43|44|45)\d\d$|^ERR_OSSL/, notLetIn],
  [/^(?:300|370|000[67])\d+$/, refused("ServerFault")],
  [/^(?:000|001|002|003|090|091|093|100)\d{3}$/, refused("Configuration", "place")]
]

const refusalOf = (code: string): Refusal =>
  loginByCode[code] ??
  loginByRange.find(([pattern]) => pattern.test(code))?.[1] ??
  refused("Authentication", "unknown")

/**
 * The reason of a refused login. What is not known to pass by itself counts as a refusal of the user: an
 * account locks after a few of those.
 */
export const loginReasonOf = (code: string, message: string): Reason => {
  if (isOfTheServer.test(code) && saysOverloaded.test(message)) return "Overloaded"
  const { reason } = refusalOf(code)
  return reason === "ServerFault" ? (byCode[code] ?? reason) : reason
}

/**
 * What a login that failed so is remembered for; undefined where the next one may be tried at once.
 */
export const refusedOf = (error: {
  readonly code?: string | undefined
  readonly reason: Reason
}): Refused | undefined => {
  const { code, reason } = error
  if (code === undefined) return reason === "Authentication" ? "unknown" : undefined
  const refusal = refusalOf(code)
  return refusal.reason === reason ? refusal.of : undefined
}

/**
 * Node's codes of certificates that cannot be trusted: waiting does not mend them.
 */
export const isCertificateCode = (code: string): boolean =>
  /^(?:SELF_SIGNED_CERT_IN_CHAIN|DEPTH_ZERO_SELF_SIGNED_CERT|CERT_|UNABLE_TO_(?:VERIFY|GET_ISSUER)|ERR_TLS_CERT)/.test(
    code
  )
