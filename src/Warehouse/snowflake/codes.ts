/**
 * Snowflake's own codes and SQLSTATEs as reasons of the port. Pure.
 *
 * Snowflake publishes no complete list: a code that is named here wins, then the SQLSTATE, then the range
 * that the code is in. A code is compared as a text of six digits.
 *
 * @since 0.1.0
 */
import type { Reason } from "../../Warehouse.js"

const byCode: { readonly [code: string]: Reason } = {
  // Cancelled by us, or by somebody with the right to.
  "000604": "Cancelled",
  "000605": "Cancelled",
  "000630": "StatementTimeout",
  // No active warehouse, suspended and not to be resumed, resource monitor, trial over.
  "000606": "Unavailable",
  "000608": "Unavailable",
  "000610": "Unavailable",
  "000625": "Unavailable",
  "090073": "Unavailable",
  "390913": "Unavailable",
  "000603": "ServerFault",
  "000709": "ResultExpired",
  "000710": "ResultExpired",
  "003001": "Permission",
  "003540": "Permission",
  "002003": "NotFound",
  "002043": "NotFound",
  // The session's tokens: expired, unknown, or gone.
  "390104": "SessionLost",
  "390111": "SessionLost",
  "390112": "SessionLost",
  "390114": "SessionLost",
  // Role, warehouse or account of the login that do not exist; a network policy that keeps us out.
  "390186": "Configuration",
  "390189": "Configuration",
  "390201": "Configuration",
  "390420": "Configuration",
  "390422": "Configuration",
  "390429": "Configuration"
}

const bySqlState: ReadonlyArray<readonly [pattern: RegExp, reason: Reason]> = [
  [/^42501$/, "Permission"],
  [/^42S02$|^3D000$|^3F000$/, "NotFound"],
  [/^57P03$/, "Unavailable"],
  [/^57014$/, "Cancelled"],
  [/^08/, "SessionLost"],
  [/^XX|^58/, "ServerFault"],
  [/^(?:02|0A|20|21|22|23|42|P0)/, "InvalidStatement"]
]

const byRange: ReadonlyArray<readonly [pattern: RegExp, reason: Reason]> = [
  [/^(?:390[1-4]|394[45])\d\d$/, "Authentication"],
  [/^(?:300|370)\d{3}$/, "ServerFault"],
  [/^(?:000|001|002|003|090|091|093|100)\d{3}$/, "InvalidStatement"]
]

const first = (rules: ReadonlyArray<readonly [RegExp, Reason]>, text: string | undefined) =>
  text === undefined ? undefined : rules.find(([pattern]) => pattern.test(text))?.[1]

/**
 * The reason of a refusal that the server put into words of its own; undefined for a code nobody knows.
 *
 * @since 0.1.0
 * @category classifying
 */
export const reasonOf = (
  code: string | undefined,
  sqlState: string | undefined,
  message: string
): Reason | undefined => {
  const known = code === undefined ? undefined : byCode[code]
  // No code of its own is documented for a statement that waited too long in the warehouse's queue.
  if (sqlState === "57014" && /\bqueued?\b.*\btime-?out\b/i.test(message)) return "Overloaded"
  return known ?? first(bySqlState, sqlState) ?? first(byRange, code)
}

/**
 * Node's codes of certificates that cannot be trusted: waiting does not mend them.
 *
 * @since 0.1.0
 * @category classifying
 */
export const isCertificateCode = (code: string): boolean =>
  /^(?:SELF_SIGNED_CERT_IN_CHAIN|DEPTH_ZERO_SELF_SIGNED_CERT|CERT_|UNABLE_TO_(?:VERIFY|GET_ISSUER)|ERR_TLS_CERT)/.test(
    code
  )
