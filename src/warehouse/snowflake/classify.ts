/**
 * What the driver threw, as a reason of the port: whose fault it is, whether the statement was sent, and
 * what becomes of the session. Pure.
 *
 * The driver's errors are told by `name` and `code`; codes of the server arrive as texts ("000630"), those
 * of the driver as numbers (401001). Rules are tried from the most to the least certain: what the server
 * said of itself, then what HTTP said, then what the network said.
 *
 * A fault of the network or the warehouse never reads like a mistake in the SQL, nor the other way round;
 * no description holds a host, a header or a body.
 */
import type { Reason } from "../Warehouse.js"
import { isCertificateCode, loginReasonOf, ranOf, reasonOf } from "./codes.js"

/**
 * Where in the life of a statement it failed. `login`: before it was sent. `fetch`: after it ended.
 */
export type Phase = "login" | "execute" | "fetch"

interface Failure {
  readonly reason: Reason
  readonly description: string
  readonly sent: "no" | "yes" | "unknown"
  /** Undefined where it is not known. */
  readonly ran?: boolean | undefined
  readonly code?: string | undefined
  readonly sqlState?: string | undefined
  readonly queryId?: string | undefined
  /** Milliseconds, from a `Retry-After` header. */
  readonly retryAfterMs?: number | undefined
  /** Of `Unreachable`: something did answer. */
  readonly answered?: boolean | undefined
}

type Fields = { readonly [key: string]: unknown }

const fields = (value: unknown): Fields =>
  (typeof value === "object" || typeof value === "function") && value !== null ? (value as Fields) : {}

const text = (value: unknown): string | undefined =>
  typeof value === "string" && value !== "" ? value : typeof value === "number" ? String(value) : undefined

const LONGEST = 600

/** What the server says, on one line and without the headings that only a console shows. */
export const gist = (message: string): string => {
  const plain = message
    .replace(/^(?:SQL (?:compilation|execution) error:?\s*)+/i, "")
    .replaceAll(/[\p{Cc}\s]+/gu, " ")
    .trim()
  const short = plain.length > LONGEST ? `${plain.slice(0, LONGEST).replace(/[\uD800-\uDBFF]$/, "")}…` : plain
  return short === "" || /[.!?…]$/.test(short) ? short : `${short}.`
}

/** Seconds, as a number; Snowflake sends no dates here. */
const retryAfter = (response: Fields): number | undefined => {
  const headers = fields(response["headers"])
  const get = headers["get"]
  const raw =
    headers["retry-after"] ??
    (typeof get === "function" ? (get.call(headers, "retry-after") as unknown) : undefined)
  const seconds = Number(text(raw) ?? Number.NaN)
  return Number.isFinite(seconds) && seconds >= 0 ? Math.ceil(seconds * 1000) : undefined
}

const unanswered = "The warehouse did not answer in time."

const network: { readonly [code: string]: string } = {
  ECONNREFUSED: "The connection was refused.",
  ECONNRESET: "The connection broke.",
  EPIPE: "The connection broke.",
  ETIMEDOUT: unanswered,
  ECONNABORTED: unanswered,
  ENOTFOUND: "The host of the account cannot be found; is the account's name right?",
  EAI_AGAIN: "The host of the account cannot be looked up.",
  EHOSTUNREACH: "The host of the account cannot be reached.",
  ENETUNREACH: "The network cannot be reached."
}

/** Before there was a connection, so that the proxy is meant where there is one. */
const connecting = /^(?:ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|ETIMEDOUT)$/

/**
 * The code of a proxy that cannot be used.
 */
export const PROXY = "ERR_PROXY"

const proxyAsks = (phase: Phase): Failure => ({
  reason: "Configuration",
  description:
    "The proxy on the way asks for a user and a password (HTTP 407): put them into HTTPS_PROXY (or HTTP_PROXY), " +
    "or exclude the account's host with NO_PROXY.",
  sent: phase === "fetch" ? "yes" : "no",
  code: PROXY
})

/** How far a statement got whose fate the server did not tell. */
const reached = (phase: Phase, code?: string): Failure["sent"] =>
  phase === "login" || code === "ECONNREFUSED" || code === "ENOTFOUND" || code === "EAI_AGAIN"
    ? phase === "fetch"
      ? "yes"
      : "no"
    : phase === "fetch"
      ? "yes"
      : "unknown"

/**
 * The code of HTTP's 403: Snowflake's drivers try such a request again, since what is on the way may refuse one
 * and let the next one pass.
 */
export const FORBIDDEN = "403"

const fromStatus = (phase: Phase, status: number, response: Fields): Failure => {
  const retryAfterMs = retryAfter(response)
  const at = `HTTP ${status}`
  if (status === 429) {
    return {
      reason: "Overloaded",
      description: "It asks for fewer requests (HTTP 429).",
      sent: phase === "fetch" ? "yes" : "no",
      retryAfterMs
    }
  }
  if (status >= 500 || status === 408) {
    const description = `It answered ${at}.`
    return { reason: "Unreachable", description, sent: reached(phase), retryAfterMs, answered: true }
  }
  if (status === 407) return proxyAsks(phase)
  if (phase === "fetch") {
    // The addresses of the parts of a result expire; asking for the result again gives new ones.
    const description = `A part of the result was refused (${at}).`
    return { reason: "Unreachable", description, sent: "yes", answered: true }
  }
  if (status === 401) {
    return phase === "login"
      ? { reason: "Authentication", description: `The login was refused (${at}).`, sent: "no" }
      : { reason: "SessionLost", description: `The session is not valid any more (${at}).`, sent: "no" }
  }
  if (phase === "login" || status === 403) {
    return {
      reason: "Configuration",
      description:
        `The account's host answered ${at}` +
        (phase === "login"
          ? "; check the account's name and its network policy."
          : "; a network policy or something on the way refuses this server."),
      sent: "no",
      // Told apart, since it may pass.
      ...(status === 403 ? { code: FORBIDDEN } : {})
    }
  }
  return { reason: "Protocol", description: `It answered ${at}.`, sent: "unknown" }
}

const nonsense = (phase: Phase): Failure => ({
  reason: "Protocol",
  description: "What it answered is not what its interface promises.",
  sent: reached(phase)
})

const lost = (phase: Phase): Failure => ({
  reason: "SessionLost",
  description: "It ended the session.",
  sent: phase === "fetch" ? "yes" : "no"
})

const fromNetwork = (phase: Phase, error: Fields): Failure => {
  const cause = fields(error["cause"])
  const why = fields(cause["why"])
  if (why["malformed"] === true) return nonsense(phase)
  const inner = why["error"] === undefined ? cause : fields(why["error"])
  if (/^(?:SyntaxError|TypeError|InternalAssertError)$/.test(text(inner["name"]) ?? ""))
    return nonsense(phase)
  const code = text(inner["code"]) ?? text(fields(inner["cause"])["code"])
  if (code !== undefined && isCertificateCode(code)) {
    return {
      reason: "Configuration",
      description: `The certificate of the account's host cannot be trusted (${code}).`,
      sent: "no",
      code
    }
  }
  // The body could not be unpacked.
  if (code !== undefined && /^Z_/.test(code)) return nonsense(phase)
  if (code === "ERR_CANCELED") {
    return { reason: "Cancelled", description: "The statement was cancelled.", sent: reached(phase) }
  }
  const proxy = text(inner["proxy"])
  if (proxy !== undefined && code !== undefined && connecting.test(code)) {
    return {
      reason: "Unreachable",
      description: `The proxy that ${proxy} names cannot be reached (${code}).`,
      sent: reached(phase, "ECONNREFUSED"),
      code: PROXY
    }
  }
  return {
    reason: "Unreachable",
    description:
      (network[code ?? ""] ?? `The connection failed${code === undefined ? "" : ` (${code})`}.`) +
      (proxy === undefined ? "" : ` It goes through the proxy that ${proxy} names.`),
    sent: reached(phase, code),
    code
  }
}

const provider = (
  reason: Failure["reason"],
  description: string,
  more: Pick<Failure, "code" | "retryAfterMs"> = {}
): Failure => ({ reason, description, sent: "no", ...more })

const json = (body: unknown): Fields => {
  if (typeof body !== "string") return fields(body)
  try {
    return fields(JSON.parse(body))
  } catch {
    return {}
  }
}

/** Of RFC 6749 and those that build on it: the provider will answer again. */
const passing = /^(?:temporarily_unavailable|server_error|slow_down)$/

/** What an identity provider says with an error of OAuth. */
const fromOAuthError = (body: Fields): Failure | undefined => {
  const error = text(body["error"])
  if (error === undefined || !/^[\w.-]{1,80}$/.test(error)) return undefined
  const detail = gist(text(body["error_description"]) ?? "")
  const said = `${error}${detail === "" ? "." : `: ${detail}`}`
  return passing.test(error)
    ? provider("LoginUnavailable", `The identity provider cannot answer now: ${said}`)
    : provider("Authentication", `The identity provider refuses the login: ${said}`, { code: error })
}

/**
 * What an identity provider answered, or that it did not. Only what it says of the client itself is a refusal;
 * everything else passes, and says nothing about the account.
 */
const fromProvider = (error: Fields): Failure | undefined => {
  const name = text(error["name"]) ?? ""
  const code = text(error["code"])
  const response = fields(error["response"])
  const status = Number(response["status"])
  if (Number.isFinite(status)) {
    if (status === 407) return proxyAsks("login")
    const retryAfterMs = retryAfter(response)
    const refusal = status < 500 && status !== 429 ? fromOAuthError(json(response["data"])) : undefined
    if (refusal !== undefined) return refusal
    if (status === 401) {
      return provider("Authentication", "The identity provider refuses the login (HTTP 401).")
    }
    if (status < 500 && ![403, 408, 425, 429].includes(status)) {
      return provider(
        "Configuration",
        `The identity provider answered HTTP ${status}; is snowflake.oauth_token_request_url right?`,
        { code: String(status) }
      )
    }
    return provider("LoginUnavailable", `The identity provider answered HTTP ${status}.`, { retryAfterMs })
  }
  if (code !== undefined && code.startsWith("OAUTH_")) {
    const cause = fields(error["cause"])
    return (
      fromOAuthError(json(cause["body"])) ??
      provider("LoginUnavailable", "The identity provider's answer holds no token.")
    )
  }
  if (name === "SyntaxError") {
    return provider("LoginUnavailable", "The identity provider's answer cannot be read.")
  }
  if (name !== "AxiosError" && (code === undefined || !Object.hasOwn(network, code))) return undefined
  const failure = fromNetwork("login", { cause: error })
  if (failure.reason !== "Unreachable" || failure.code === PROXY) return failure
  return provider(
    "LoginUnavailable",
    `The identity provider did not answer${code === undefined ? "" : ` (${code})`}.`
  )
}

const fromServer = (phase: Phase, error: Fields): Failure => {
  const data = fields(error["data"])
  const code = text(error["code"])
  const sqlState = text(error["sqlState"]) ?? text(data["sqlState"])
  const queryId = text(data["queryId"])
  const message = text(error["message"]) ?? ""
  if (code === undefined) return { ...nonsense(phase), queryId }
  const settled =
    phase === "login" ? loginReasonOf(code, message) : (reasonOf(code, sqlState, message) ?? "Unknown")
  return {
    reason: settled,
    description: gist(message) || `It refused with code ${code}.`,
    // A session is refused before its statement is looked at.
    sent: phase === "login" || (settled === "SessionLost" && phase === "execute") ? "no" : "yes",
    ran: phase === "execute" ? ranOf(settled, code, sqlState) : undefined,
    code,
    sqlState,
    queryId
  }
}

/**
 * `byProvider`: an identity provider is asked for a token before the login.
 */
export const classify = (thrown: unknown, phase: Phase, byProvider = false): Failure => {
  const error = fields(thrown)
  const ofProvider = byProvider && phase === "login" ? fromProvider(error) : undefined
  if (ofProvider !== undefined) return ofProvider
  const name = text(error["name"]) ?? ""
  const code = text(error["code"])
  // The driver's own view of a session that the server has ended.
  if (code === "407002" || code === "407001" || code === "405503" || code === "401004") return lost(phase)
  switch (name) {
    case "OperationFailedError":
      return fromServer(phase, error)
    case "NetworkError":
      return fromNetwork(phase, error)
    case "AxiosError":
    case "RequestFailedError":
    case "LargeResultSetError": {
      const response = fields(error["response"])
      if (name === "AxiosError" && response["status"] === undefined) break
      const status = Number(response["statusCode"] ?? response["status"])
      return Number.isFinite(status)
        ? fromStatus(name === "LargeResultSetError" ? "fetch" : phase, status, response)
        : nonsense(phase)
    }
    case "UnexpectedContentError":
    case "TypeError":
    case "SyntaxError":
    case "InternalAssertError":
      return nonsense(phase)
    case "MissingParameterError":
    case "InvalidParameterError":
      return { reason: "Configuration", description: gist(text(error["message"]) ?? ""), sent: "no", code }
  }
  if (code !== undefined && /^40(?:4\d\d\d|550[4-7])$/.test(code)) {
    return {
      reason: "Configuration",
      description: "The driver refuses its settings.",
      sent: "no",
      code
    }
  }
  if (code !== undefined && /^ERR_OSSL/.test(code)) {
    return {
      reason: "Authentication",
      description: "The private key cannot be read: wrong format or passphrase.",
      sent: "no",
      code
    }
  }
  if (code !== undefined && /^(?:ENOENT|EACCES|EISDIR|EPERM)$/.test(code)) {
    return {
      reason: "Configuration",
      description: `A file that the login needs cannot be read (${code}).`,
      sent: "no",
      code
    }
  }
  // Asked on the way by the driver, with its HTTP client alone.
  if (code !== undefined && (Object.hasOwn(network, code) || isCertificateCode(code))) {
    return fromNetwork(phase, { cause: error })
  }
  if (phase === "login") {
    return {
      reason: "Authentication",
      description: "The login could not be prepared.",
      sent: "no",
      code
    }
  }
  return {
    reason: "Unknown",
    description: "The driver failed in a way it does not explain.",
    sent: reached(phase),
    code
  }
}

/**
 * What a request for a part of a result ended with.
 */
export const classifyPart = (thrown: unknown): Failure => {
  const response = fields(fields(thrown)["response"])
  const status = response["status"]
  return typeof status === "number"
    ? fromStatus("fetch", status, response)
    : fromNetwork("fetch", { cause: thrown })
}

const mistakes = /^(?:TypeError|RangeError|ReferenceError|InternalAssertError)$/

/**
 * A mistake in the driver's code or ours, thrown while an answer was read, and not something that was answered.
 */
export const isDefect = (thrown: unknown): boolean => {
  const error = fields(thrown)
  const name = text(error["name"]) ?? ""
  return mistakes.test(name === "NetworkError" ? (text(fields(error["cause"])["name"]) ?? "") : name)
}

/**
 * After these the session is not used again.
 */
export const losesSession = (reason: Reason): boolean => reason === "SessionLost"
