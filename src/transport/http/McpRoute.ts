/**
 * `/mcp`: from an HTTP request to the session it belongs to.
 *
 * | method | |
 * |---|---|
 * | `POST` | one JSON-RPC message; requests are answered on a stream of events |
 * | `DELETE` | ends the session |
 * | `OPTIONS` | what a page of an origin on the list may send |
 * | `GET` | 405: this server never speaks unasked |
 *
 * @since 0.1.0
 */
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import type { JSONRPCMessage, RequestId } from "@modelcontextprotocol/sdk/types.js"
import {
  isInitializeRequest,
  JSONRPCMessageSchema,
  SUPPORTED_PROTOCOL_VERSIONS
} from "@modelcontextprotocol/sdk/types.js"
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
  readonly value: JSONRPCMessage
  readonly method: string | undefined
  /** Of a request; a notification and a response have none to answer to. */
  readonly id: RequestId | undefined
}

/** JSON-RPC as the protocol has it, one message, with an id that can be given back as it was. */
const inspect = (value: unknown): Effect.Effect<Message, Refusal> => {
  if (Array.isArray(value))
    return Effect.fail(invalid("Batches are not accepted: send one message a request."))
  const parsed = JSONRPCMessageSchema.safeParse(value)
  if (!parsed.success) return Effect.fail(invalid("Expected a JSON-RPC message."))
  const message = parsed.data
  if (!("method" in message)) return Effect.succeed({ value: message, method: undefined, id: undefined })
  const { method } = message
  if (!("id" in message)) return Effect.succeed({ value: message, method, id: undefined })
  const { id } = message
  if (typeof id === "string" ? id.length > MAX_ID_LENGTH : !Number.isSafeInteger(id)) {
    return Effect.fail(
      invalid(`The id of a request is a whole number or a text of ${MAX_ID_LENGTH} characters at most.`)
    )
  }
  return Effect.succeed({ value: message, method, id })
}

/** What a client of this transport has to say in its headers. */
const negotiated = ({ headers }: IncomingMessage): Refusal | undefined => {
  const { accept = "", "content-type": type = "" } = headers
  if (!accept.includes("application/json") || !accept.includes("text/event-stream")) {
    return {
      status: 406,
      code: -32000,
      reason: "accept",
      message: "Not Acceptable: Client must accept both application/json and text/event-stream"
    }
  }
  if (!/^\s*application\/json\s*(;|$)/i.test(type)) {
    return {
      status: 415,
      code: -32000,
      reason: "content-type",
      message: "Unsupported Media Type: Content-Type must be application/json"
    }
  }
  return undefined
}

/** After `initialize` the revision is settled; a client may repeat it. */
const unknownRevision = ({ headers }: IncomingMessage): boolean => {
  const revision = headers["mcp-protocol-version"]
  return revision !== undefined && !SUPPORTED_PROTOCOL_VERSIONS.includes(String(revision))
}

const sessionIdOf = ({ headers }: IncomingMessage): string | undefined => {
  const id = headers["mcp-session-id"]
  return typeof id === "string" && id !== "" ? id : undefined
}

const unknownSession = (id?: RequestId): Refusal => ({
  status: 404,
  code: -32001,
  reason: "unknown-session",
  message: "Session not found. Send initialize to open a new one.",
  id
})

interface Dispatched {
  readonly ok: boolean
  /** Undefined where the response is written to as the call goes on. */
  readonly reply: Reply | undefined
}

const accepted: Dispatched = { ok: true, reply: HttpServerResponse.empty({ status: 202 }) }
const streaming: Dispatched = { ok: true, reply: undefined }

/** For the router, which looks whether the response was sent already. */
const written = HttpServerResponse.empty({ status: 200 })

/** Waits until nothing more will be written to a response that others write to. */
const sent = (response: ServerResponse): Effect.Effect<Reply> =>
  Effect.async<Reply>((resume) => {
    const done = () => resume(Effect.succeed(written))
    if (response.writableEnded || response.destroyed) return done()
    response.once("finish", done).once("close", done)
    return Effect.sync(() => response.off("finish", done).off("close", done))
  })

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
    return found === undefined ? Effect.fail(unknownSession(id)) : Effect.succeed(found)
  }

  /** The answer comes on the response, or none does. */
  const dispatch = (
    transport: SessionTransport,
    response: ServerResponse,
    { id, value }: Message
  ): Effect.Effect<Dispatched, Refusal> =>
    Effect.suspend(() => {
      if (id === undefined || !("method" in value)) {
        return transport.notify(value) ? Effect.succeed(accepted) : Effect.fail(unknownSession())
      }
      if (transport.isInFlight(id)) {
        return Effect.fail(invalid("A request with this id is still in flight in this session.", id))
      }
      // In the same turn as the look above: nobody else gets in between with the same id.
      if (!transport.request({ ...value, id }, response)) return Effect.fail(unknownSession(id))
      streams.opened(response, () => {
        if (cancelOnDisconnect) transport.cancel(id, "the client disconnected")
      })
      return Effect.succeed(streaming)
    })

  const post = (request: IncomingMessage, response: ServerResponse) =>
    Effect.gen(function* () {
      const identity = yield* edge.identify(request)
      const message = yield* Effect.flatMap(Effect.mapError(readBody(request), fromBody), inspect)
      const { id, method, value } = message
      const problem = negotiated(request)
      if (problem !== undefined) return yield* Effect.fail({ ...problem, id })
      // Cancelling always works.
      if (id !== undefined && isDraining()) return yield* Effect.fail({ ...draining, id })
      if (method === "initialize" && id !== undefined) {
        if (!isInitializeRequest(value)) return yield* Effect.fail(invalid("Not a valid initialize.", id))
        const { reply } = yield* sessions
          .open(identity, (transport) => dispatch(transport, response, message))
          .pipe(Effect.catchTag("SessionsFull", (full) => Effect.fail(fromFull(full, id))))
        return reply ?? (yield* sent(response))
      }
      const transport = yield* session(request, identity, id)
      if (unknownRevision(request)) {
        return yield* Effect.fail<Refusal>({
          status: 400,
          code: -32000,
          reason: "revision",
          message: `Bad Request: Unsupported protocol version (supported versions: ${SUPPORTED_PROTOCOL_VERSIONS.join(", ")})`,
          id
        })
      }
      const { reply } = yield* dispatch(transport, response, message)
      return reply ?? (yield* sent(response))
    })

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
    for (const [name, value] of Object.entries(edge.crossOrigin(request))) response.setHeader(name, value)
    switch (request.method) {
      case "OPTIONS":
        // A browser asks before it lets a page send anything; credentials come with the request itself.
        return HttpServerResponse.empty({ status: 204, headers: { allow: "POST, DELETE" } })
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
