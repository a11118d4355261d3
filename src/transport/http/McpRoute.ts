/**
 * `/mcp`: from an HTTP request to the session it belongs to.
 *
 * | method | |
 * |---|---|
 * | `POST` | one JSON-RPC message; requests are answered on a stream of events |
 * | `DELETE` | ends the session |
 * | `GET` | 405: this server never speaks unasked |
 *
 * @since 0.1.0
 */
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import type { RequestId } from "@modelcontextprotocol/sdk/types.js"
import * as Effect from "effect/Effect"
import type { IncomingMessage, ServerResponse } from "node:http"
import type { Identity } from "../Auth.js"
import type { BodyRefused } from "./Body.js"
import type * as Body from "./Body.js"
import type { Edge } from "./Edge.js"
import type { Refusal, Reply } from "./Replies.js"
import * as Replies from "./Replies.js"
import type { Sessions, SessionsFull } from "./Sessions.js"
import type { SessionTransport } from "./SessionTransport.js"
import type { Streams } from "./Streams.js"

export interface Options {
  readonly edge: Edge
  readonly sessions: Sessions
  readonly streams: Streams
  readonly readBody: ReturnType<typeof Body.make>
  readonly isDraining: () => boolean
  readonly cancelOnDisconnect: boolean
}

/** How long a client that finds no room is told to wait: a call may end at any moment. */
const ROOM_MS = 1_000

const MAX_ID_LENGTH = 256

const bodyStatus: { readonly [R in BodyRefused["reason"]]: readonly [status: number, code?: number] } = {
  encoding: [415],
  "too-large": [413],
  "too-slow": [408],
  "too-many": [503],
  "not-json": [400, -32700],
  "too-complex": [400, -32600],
  aborted: [400, -32700]
}

/** What a body that was refused is answered with. */
export const fromBody = ({ description, reason }: BodyRefused): Refusal => {
  const [status, code] = bodyStatus[reason]
  return {
    status,
    code,
    reason: `body-${reason}`,
    message: description,
    ...(reason === "too-many" ? { retryAfterMs: ROOM_MS } : {}),
    // The rest of a body that nobody reads must not be taken for the next request.
    ...(reason === "not-json" || reason === "too-complex" ? {} : { headers: { connection: "close" } })
  }
}

const fromFull = ({ bound, limit }: SessionsFull, id: RequestId | undefined): Refusal => ({
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

const invalid = (message: string, id?: RequestId): Refusal => ({
  status: 400,
  code: -32600,
  reason: "invalid-request",
  message,
  id
})

const draining: Refusal = {
  status: 503,
  reason: "draining",
  message: "This server is shutting down.",
  retryAfterMs: ROOM_MS,
  headers: { connection: "close" }
}

interface Message {
  readonly value: unknown
  readonly method: string | undefined
  /** Of a request; a notification and a response have none to answer to. */
  readonly id: RequestId | undefined
}

/** Just enough of JSON-RPC to find the session; the rest is the SDK's. */
const inspect = (value: unknown): Effect.Effect<Message, Refusal> => {
  if (Array.isArray(value))
    return Effect.fail(invalid("Batches are not accepted: send one message a request."))
  if (typeof value !== "object" || value === null) return Effect.fail(invalid("Expected a JSON-RPC message."))
  const method = "method" in value && typeof value.method === "string" ? value.method : undefined
  const id = "id" in value ? value.id : undefined
  if (method === undefined || id === undefined) return Effect.succeed({ value, method, id: undefined })
  if (typeof id === "number" && Number.isSafeInteger(id)) return Effect.succeed({ value, method, id })
  if (typeof id === "string" && id.length <= MAX_ID_LENGTH) return Effect.succeed({ value, method, id })
  return Effect.fail(
    invalid(`The id of a request is a whole number or a text of ${MAX_ID_LENGTH} characters at most.`)
  )
}

/** What the SDK's transport looks at. The credentials stay here. */
const webRequest = (request: IncomingMessage, sessionId: string | undefined): Request => {
  const headers = new Headers()
  for (const name of ["accept", "content-type", "mcp-protocol-version"]) {
    const value = request.headers[name]
    if (typeof value === "string") headers.set(name, value)
  }
  if (sessionId !== undefined) headers.set("mcp-session-id", sessionId)
  return new Request("http://localhost/mcp", { method: "POST", headers })
}

const sessionIdOf = ({ headers }: IncomingMessage): string | undefined => {
  const id = headers["mcp-session-id"]
  return typeof id === "string" && id !== "" ? id : undefined
}

export const make = ({
  cancelOnDisconnect,
  edge,
  isDraining,
  readBody,
  sessions,
  streams
}: Options): Effect.Effect<Reply, never, HttpServerRequest.HttpServerRequest> => {
  const session = (
    request: IncomingMessage,
    identity: Identity,
    id?: RequestId
  ): Effect.Effect<SessionTransport, Refusal> => {
    const sessionId = sessionIdOf(request)
    if (sessionId === undefined) {
      return Effect.fail({
        status: 400,
        code: -32000,
        reason: "no-session",
        message: "Bad Request: Mcp-Session-Id header is required. Send initialize first.",
        id
      })
    }
    const found = sessions.find(sessionId, identity)
    return found === undefined
      ? Effect.fail({
          status: 404,
          code: -32001,
          reason: "unknown-session",
          message: "Session not found. Send initialize to open a new one.",
          id
        })
      : Effect.succeed(found)
  }

  const dispatch = (
    transport: SessionTransport,
    request: IncomingMessage,
    response: ServerResponse,
    { id, value }: Message,
    sessionId: string | undefined
  ): Effect.Effect<Response, Refusal> =>
    Effect.suspend(() => {
      if (id !== undefined && transport.isInFlight(id)) {
        return Effect.fail(invalid("A request with this id is still in flight in this session.", id))
      }
      if (id !== undefined) {
        streams.opened(response, () => {
          if (cancelOnDisconnect) transport.cancel(id, "the client disconnected")
        })
      }
      // In the same turn as the look above: nobody else gets in between with the same id.
      return Effect.promise(() => transport.handle(webRequest(request, sessionId), value))
    })

  const post = (request: IncomingMessage, response: ServerResponse) =>
    Effect.gen(function* () {
      const identity = yield* edge.identify(request)
      const message = yield* Effect.flatMap(Effect.mapError(readBody(request), fromBody), inspect)
      // Cancelling always works.
      if (message.id !== undefined && isDraining()) return yield* Effect.fail({ ...draining, id: message.id })
      if (message.method === "initialize" && message.id !== undefined) {
        return yield* sessions
          .open(identity, (transport) => dispatch(transport, request, response, message, undefined))
          .pipe(Effect.catchTag("SessionsFull", (full) => Effect.fail(fromFull(full, message.id))))
      }
      const transport = yield* session(request, identity, message.id)
      return yield* dispatch(transport, request, response, message, transport.sessionId)
    }).pipe(Effect.map(HttpServerResponse.fromWeb))

  const end = (request: IncomingMessage) =>
    Effect.gen(function* () {
      const identity = yield* edge.identify(request)
      const { sessionId } = yield* session(request, identity)
      yield* sessions.close(sessionId, identity)
      return HttpServerResponse.empty({ status: 200 })
    })

  return Effect.gen(function* () {
    const incoming = yield* HttpServerRequest.HttpServerRequest
    const request = NodeHttpServerRequest.toIncomingMessage(incoming)
    const response = NodeHttpServerRequest.toServerResponse(incoming)
    yield* edge.addressed(request)
    switch (request.method) {
      case "POST":
        return yield* post(request, response)
      case "DELETE":
        return yield* end(request)
      default:
        return yield* Effect.fail<Refusal>({
          status: 405,
          reason: "method",
          message: "POST a message, or DELETE the session. This server sends nothing unasked.",
          headers: { allow: "POST, DELETE" }
        })
    }
  }).pipe(Effect.catchAll((refusal: Refusal) => Effect.succeed(Replies.refuse(refusal))))
}
