/**
 * The answers of the edge itself: an HTTP status for programs, and a JSON-RPC error whose message says what
 * to do, because the body is all that most clients keep.
 *
 * Refusals of tools are never among them: those are results, with status 200.
 *
 * @since 0.1.0
 */
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Protocol from "../Protocol.js"
import * as JsonRpc from "../JsonRpc.js"
import type { Id, Malformed } from "../JsonRpc.js"
import type { Shares } from "../core/Shares.js"
import type { BodyRefused } from "./Body.js"
import * as Metrics from "./Metrics.js"
import type { SessionsFull } from "./Sessions.js"

export type Reply = HttpServerResponse.HttpServerResponse

export interface Refusal {
  readonly status: number
  /** For the metrics; a word of our own. */
  readonly reason: Metrics.RefusalReason
  /** What the client's user reads. */
  readonly message: string
  /** As JSON-RPC says; the status where it has no number for it (numbers around -32000 are reserved). */
  readonly code?: number | undefined
  readonly id?: JsonRpc.Id | undefined
  readonly retryAfterMs?: number | undefined
  readonly headers?: { readonly [name: string]: string } | undefined
  /** What programs read beside the message. */
  readonly data?: { readonly [key: string]: unknown } | undefined
}

export const notFound: Refusal = {
  status: 404,
  reason: "path",
  message: "There is nothing here; MCP is at /mcp."
}

const seconds = (ms: number): number => Math.max(1, Math.ceil(ms / 1000))

const json = "application/json; charset=utf-8"

/** Not cached, and not taken for another type. */
const always = { "cache-control": "no-store", "x-content-type-options": "nosniff" }

export const refuse = (refusal: Refusal): Reply => {
  const { code, headers, id, message, reason, retryAfterMs, status } = refusal
  Metrics.refused(reason)
  const wait = retryAfterMs === undefined ? "" : ` Wait ${seconds(retryAfterMs)} s, then try again.`
  const data = {
    ...refusal.data,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs: Math.ceil(retryAfterMs) })
  }
  return HttpServerResponse.text(
    JsonRpc.errorText(
      code ?? status,
      `${message}${wait}`,
      id,
      Object.keys(data).length === 0 ? undefined : data
    ),
    {
      status,
      contentType: json,
      headers: {
        ...always,
        ...(retryAfterMs === undefined ? {} : { "retry-after": String(seconds(retryAfterMs)) }),
        ...headers
      }
    }
  )
}

/** `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-11) of one policy. */
export const rateLimit = (policy: {
  readonly name: string
  readonly quota: number
  /** What is counted, when that is not requests. */
  readonly unit?: string | undefined
  readonly windowSeconds?: number | undefined
  readonly remaining: number
  readonly resetMs: number
}) => ({
  "ratelimit-policy": `"${policy.name}";q=${policy.quota}${policy.unit === undefined ? "" : `;qu="${policy.unit}"`}${policy.windowSeconds === undefined ? "" : `;w=${policy.windowSeconds}`}`,
  ratelimit: `"${policy.name}";r=${policy.remaining};t=${seconds(policy.resetMs)}`
})

export const accepted: Reply = HttpServerResponse.empty({ status: 202 })

export const document = (status: number, body: { readonly [key: string]: unknown }): Reply =>
  HttpServerResponse.text(JSON.stringify(body), { status, contentType: json, headers: always })

export const text = (body: string, contentType: string): Reply =>
  HttpServerResponse.text(body, { status: 200, contentType, headers: always })

/** How long a client that finds no room is told to wait: a call may end at any moment. */
const ROOM_MS = 1_000

const bodyStatus: { readonly [R in BodyRefused["reason"]]: readonly [status: number, code?: number] } = {
  encoding: [415],
  "too-large": [413],
  "too-slow": [408],
  "too-many": [503],
  "too-many-own": [429],
  "not-utf8": [400, -32700],
  "not-json": [400, -32700],
  "too-complex": [400, -32600],
  aborted: [400, -32700]
}

/** The answer to a refused body. */
export const fromBody = ({ description, limit, reason }: BodyRefused): Refusal => {
  const [status, code] = bodyStatus[reason]
  // The unread rest of a body must not be taken for the next request.
  const wasRead = reason === "not-utf8" || reason === "not-json" || reason === "too-complex"
  const close = wasRead ? {} : { connection: "close" }
  const room =
    limit === undefined
      ? {}
      : rateLimit({
          name: "bodies",
          quota: limit,
          unit: "concurrent-bodies",
          remaining: 0,
          resetMs: ROOM_MS
        })
  return {
    status,
    code,
    reason: `body-${reason}`,
    message: description,
    ...(limit === undefined ? {} : { retryAfterMs: ROOM_MS }),
    headers: { ...close, ...room }
  }
}

export const fromFull = ({ bound, limit }: SessionsFull, id: Id | undefined): Refusal => ({
  status: bound === "owner" ? 429 : 503,
  reason: `sessions-${bound}`,
  message:
    bound === "owner"
      ? `All ${limit} sessions of this client have a call in flight.`
      : `All ${limit} sessions of this server have a call in flight.`,
  id,
  retryAfterMs: ROOM_MS,
  headers: rateLimit({
    name: "sessions",
    quota: limit,
    unit: "concurrent-sessions",
    remaining: 0,
    resetMs: ROOM_MS
  })
})

export const invalid = (message: string, id?: Id): Refusal => ({
  status: 400,
  code: -32600,
  reason: "invalid-request",
  message,
  id
})

/** Not a message of the protocol. */
export const malformed = ({ code, id, message }: Malformed): Refusal => ({
  status: 400,
  code,
  reason: code === -32602 ? "invalid-params" : "invalid-request",
  message,
  id
})

export const draining: Refusal = {
  status: 503,
  reason: "draining",
  message: "This server is shutting down.",
  retryAfterMs: ROOM_MS,
  headers: { connection: "close" }
}

export const unknownSession = (id?: Id): Refusal => ({
  status: 404,
  code: -32001,
  reason: "unknown-session",
  message: "Session not found. Send initialize to open a new one.",
  id
})

export const noSession = (id?: Id): Refusal => ({
  status: 400,
  code: -32000,
  reason: "no-session",
  message: "Bad Request: Mcp-Session-Id header is required. Send initialize first.",
  id
})

export const revision = (id?: Id): Refusal => ({
  status: 400,
  code: -32000,
  reason: "revision",
  message: `Bad Request: Unsupported protocol version (supported versions: ${Protocol.legacyRevisions.join(", ")})`,
  id
})

/** The stream of a session has one form. */
export const notEvents: Refusal = {
  status: 406,
  code: -32000,
  reason: "accept",
  message: "Not Acceptable: Client must accept text/event-stream"
}

/** The methods of `/mcp`. */
export const allowed = "GET, POST, DELETE"

export const method: Refusal = {
  status: 405,
  reason: "method",
  message: "POST a message, GET the stream of a session, or DELETE the session.",
  headers: { allow: allowed }
}

/** There are streams in sessions alone. */
export const noStream: Refusal = {
  status: 405,
  reason: "method",
  message: "A request of this revision has no session, and so no stream to GET: POST a message.",
  headers: { allow: "POST" }
}

/** 405 is what clients take for "there is no stream", and go on. */
export const streamsFull = (bound: "full" | "own-full", { max, maxEach }: Shares): Refusal => ({
  status: 405,
  reason: bound === "full" ? "streams-total" : "streams-client",
  message:
    (bound === "full"
      ? `This server keeps ${max} streams of sessions open, and all are in use.`
      : `This client has ${maxEach} streams of sessions open, and gets no more.`) +
    " Calls are answered without one.",
  headers: { allow: "POST, DELETE" }
})

export const secondStream: Refusal = {
  status: 409,
  code: -32000,
  reason: "second-stream",
  message: "Conflict: Only one SSE stream is allowed per session"
}
