/**
 * What the HTTP edge counts. Labels are reasons and codes of our own, and values of a request only if they are on a list
 * here; never an address, a session, or a name that a client chose.
 *
 * @since 0.1.0
 */
import { begin as beginCounter, counter, gauge, histogram } from "../../platform/metrics.js"

const requestsOf = counter(
  "snowguard_http_requests_total",
  "Requests over HTTP by the class of their status."
)

const methodNames = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] as const

const methods: ReadonlySet<string> = new Set(methodNames)

/** A request is over: it was answered, or its client has gone (then without a status). */
export const requested = (method: string | undefined, status: number | undefined): void =>
  requestsOf({
    method: method !== undefined && methods.has(method) ? method : "other",
    status: status === undefined ? "none" : `${Math.floor(status / 100)}xx`
  })

const refusals = counter(
  "snowguard_http_refusals_total",
  "Requests that the HTTP edge refused before any tool ran."
)

/** Why the edge refuses a request. */
export const refusalReasons = [
  "host",
  "origin",
  "path",
  "method",
  "accept",
  "content-type",
  "revision",
  "modern",
  "malformed",
  "invalid-request",
  "invalid-params",
  "headers-too-large",
  "request-too-slow",
  "pipelined",
  "connections",
  "auth-missing",
  "auth-invalid",
  "auth-expired",
  "auth-unavailable",
  "insufficient-scope",
  "not-admin",
  "failed-logins",
  "requests",
  "bytes",
  "draining",
  "quota-store",
  "watchers",
  "no-session",
  "unknown-session",
  "second-stream",
  "streams-total",
  "streams-client",
  "sessions-total",
  "sessions-owner",
  "body-encoding",
  "body-too-large",
  "body-too-slow",
  "body-too-many",
  "body-too-many-own",
  "body-not-utf8",
  "body-not-json",
  "body-too-complex",
  "body-aborted"
] as const

export type RefusalReason = (typeof refusalReasons)[number]

/** A request was refused at the edge. */
export const refused = (reason: RefusalReason): void => refusals({ reason })

const auths = counter(
  "snowguard_http_auth_total",
  "Credentials that held (ok), and the reasons why others did not."
)

const credentials = [
  "ok",
  "missing",
  "invalid",
  "expired",
  "insufficient-scope",
  "unavailable",
  "failed-logins"
] as const

/** Credentials of a request held, or why they did not; `failed-logins`: they were not looked at any more. */
export const authenticated = (result: (typeof credentials)[number]): void => auths({ result })

const edgeTime = histogram(
  "snowguard_http_edge_seconds",
  "Time from the headers of a message until it was handed to its session, or refused."
)

export const throughEdge = (to: "session" | "refused", ms: number): void => edgeTime({ to }, ms)

const sessionEvents = counter(
  "snowguard_http_sessions_total",
  "Sessions that were opened, closed, forgotten because they were not used (expired), or made room (evicted)."
)

const sessionEventNames = ["opened", "closed", "expired", "evicted"] as const

export const session = (event: (typeof sessionEventNames)[number], count = 1): void =>
  sessionEvents({ event }, count)

const streamEvents = counter(
  "snowguard_http_streams_total",
  "Answers and streams that were begun (opened), cancelled by their client, or left by it (disconnected)."
)

const streamEventNames = ["opened", "cancelled", "disconnected"] as const
const streamsOf = ["call", "session", "status"] as const

/** `call`: the answer to a message; `session`: what is told unasked; `status`: the events of the status page. */
export type StreamOf = (typeof streamsOf)[number]

export const stream = (event: (typeof streamEventNames)[number], of: StreamOf): void =>
  streamEvents({ event, of })

const unreads = counter(
  "snowguard_http_unread_total",
  "Answers that were dropped because their clients did not read them: for too long (stalled), or too many together (overflow)."
)

const unreadReasons = ["stalled", "overflow"] as const

export type Unread = (typeof unreadReasons)[number]

export const unread = (reason: Unread): void => unreads({ reason })

const sessionsGauge = gauge("snowguard_http_sessions", "Sessions that are open.")
export const sessions = (count: number): void => sessionsGauge({}, count)

const streamsGauge = gauge("snowguard_http_streams", "Responses that are being sent.")
export const streams = (count: number): void => streamsGauge({}, count)

const rememberedGauge = gauge(
  "snowguard_http_remembered",
  "Entries of the bounded tables at the edge: addresses with refused credentials, and credentials proven or refused."
)
export const remembered = (table: "addresses" | "credentials", count: number): void =>
  rememberedGauge({ table }, count)

const readyGauge = gauge("snowguard_ready", "1 while the server can answer, as /readyz says.")
export const ready = (isReady: boolean): void => readyGauge({}, isReady ? 1 : 0)

/** The counters with all labels that they can have. */
export const begin = (): void => {
  beginCounter(requestsOf, {
    method: [...methodNames, "other"],
    status: ["2xx", "3xx", "4xx", "5xx", "none"]
  })
  beginCounter(refusals, { reason: refusalReasons })
  beginCounter(auths, { result: credentials })
  beginCounter(sessionEvents, { event: sessionEventNames })
  beginCounter(streamEvents, { event: streamEventNames, of: streamsOf })
  beginCounter(unreads, { reason: unreadReasons })
}
