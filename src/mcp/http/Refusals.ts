/**
 * What the MCP route turns away, and how it says so.
 *
 * @since 0.1.0
 */
import { SUPPORTED_PROTOCOL_VERSIONS } from "@modelcontextprotocol/sdk/types.js"
import type { Id, Malformed } from "../stdio/JsonRpc.js"
import type { BodyRefused } from "./Body.js"
import type { Refusal } from "./Replies.js"
import * as Replies from "./Replies.js"
import type { SessionsFull } from "./Sessions.js"

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

/** What a body that was refused is answered with. */
export const fromBody = ({ description, limit, reason }: BodyRefused): Refusal => {
  const [status, code] = bodyStatus[reason]
  // The rest of a body that nobody reads must not be taken for the next request.
  const wasRead = reason === "not-utf8" || reason === "not-json" || reason === "too-complex"
  const close = wasRead ? {} : { connection: "close" }
  const room =
    limit === undefined
      ? {}
      : Replies.rateLimit({
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
  headers: Replies.rateLimit({
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

/** What is no message of the protocol's. */
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
  message: `Bad Request: Unsupported protocol version (supported versions: ${SUPPORTED_PROTOCOL_VERSIONS.join(", ")})`,
  id
})

export const method: Refusal = {
  status: 405,
  reason: "method",
  message: "POST a message, or DELETE the session. This server sends nothing unasked.",
  headers: { allow: "POST, DELETE" }
}
