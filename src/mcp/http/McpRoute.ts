/**
 * `/mcp`: from an HTTP request to the session it belongs to.
 *
 * | method | |
 * |---|---|
 * | `POST` | one JSON-RPC message; requests are answered on a stream of events, or with JSON |
 * | `DELETE` | ends the session |
 * | `OPTIONS` | what a page of an origin on the list may send |
 * | `GET` | 405: this server never speaks unasked |
 *
 * @since 0.1.0
 */
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import type { IncomingMessage, ServerResponse } from "node:http"
import * as FairTurns from "../../platform/fairTurns.js"
import { monotonicReader } from "../../platform/monotonic.js"
import type { Identity } from "../auth/Auth.js"
import * as JsonRpc from "../stdio/JsonRpc.js"
import type * as Body from "./Body.js"
import type { Edge } from "./Edge.js"
import type { EdgeLog } from "./EdgeLog.js"
import type { Form } from "./Headers.js"
import * as Headers from "./Headers.js"
import * as Metrics from "./Metrics.js"
import * as Refusals from "./Refusals.js"
import type { Refusal, Reply } from "./Replies.js"
import * as Replies from "./Replies.js"
import type { Sessions } from "./Sessions.js"
import type { SessionTransport } from "./SessionTransport.js"
import type { Streams } from "./Streams.js"
import type { Unread } from "./Unread.js"

export interface Options {
  readonly edge: Edge
  readonly sessions: Sessions
  readonly streams: Streams
  readonly readBody: ReturnType<typeof Body.make>
  readonly log: EdgeLog
  readonly turns: FairTurns.FairTurns
  readonly unread: Unread
  readonly isDraining: () => boolean
  readonly cancelOnDisconnect: boolean
}

interface Dispatched {
  readonly ok: boolean
  /** Undefined where the response is written to as the call goes on. */
  readonly reply: Reply | undefined
}

/** Of one request, what goes with it to its session. */
interface Passage {
  readonly traceparent: string | undefined
  readonly form: Form
  /** The edge has no part in it any more. */
  readonly passed: () => void
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
  log,
  readBody,
  sessions,
  streams,
  turns,
  unread
}: Options): Effect.Effect<Reply, never, HttpServerRequest.HttpServerRequest> => {
  /** The answer comes on the response, or none does. */
  const dispatch = (
    transport: SessionTransport,
    response: ServerResponse,
    { id, value }: JsonRpc.Message,
    { form, traceparent, passed }: Passage
  ): Effect.Effect<Dispatched, Refusal> =>
    Effect.suspend(() => {
      passed()
      if (id === undefined) {
        return transport.notify(value) ? Effect.succeed(accepted) : Effect.fail(Refusals.unknownSession())
      }
      if (transport.isInFlight(id)) {
        return Effect.fail(Refusals.invalid("A request with this id is still in flight in this session.", id))
      }
      // In the same turn as the look above: nobody else gets in between with the same id.
      if (!transport.request(value, { form, id, response, traceparent }))
        return Effect.fail(Refusals.unknownSession(id))
      const onDropped = () => {
        if (cancelOnDisconnect) transport.cancel(id, "the client disconnected")
      }
      streams.opened(response, "call", onDropped, form)
      return Effect.succeed(streaming)
    })

  const body = (request: IncomingMessage, { principal: { client } }: Identity) =>
    readBody(request, client).pipe(
      Effect.tapError(({ reason }) =>
        reason === "too-many" || reason === "too-many-own"
          ? log.told({ message: `requests were not read (${reason})`, client })
          : Effect.void
      ),
      Effect.mapError(Refusals.fromBody)
    )

  /** What is done for a client, from the reading of its request on, is done in its turns. */
  const inTurns = <A, E>(request: IncomingMessage, work: (identity: Identity) => Effect.Effect<A, E>) =>
    Effect.flatMap(edge.identify(request), (identity) =>
      FairTurns.of(turns, identity.principal.client)(work(identity))
    )

  const post = (request: IncomingMessage, response: ServerResponse, passed: () => void) =>
    inTurns(request, (identity) =>
      Effect.gen(function* () {
        unread.belongs(response, identity.principal.client)
        const message = yield* Effect.flatMap(body(request, identity), (value) =>
          Effect.mapError(JsonRpc.read(value), Refusals.malformed)
        )
        const { id, method } = message
        const form = yield* Effect.mapError(Headers.negotiated(request), (refusal) => ({ ...refusal, id }))
        const passage: Passage = { traceparent: Headers.traceparentOf(request), form, passed }
        // Cancelling always works.
        if (id !== undefined && isDraining()) return yield* Effect.fail({ ...Refusals.draining, id })
        if (method === "initialize" && id !== undefined) {
          const { reply } = yield* sessions
            .open(identity, (transport) => dispatch(transport, response, message, passage))
            .pipe(Effect.catchTag("SessionsFull", (full) => Effect.fail(Refusals.fromFull(full, id))))
          return reply ?? (yield* sent(response))
        }
        const sessionId = Headers.sessionIdOf(request)
        if (sessionId === undefined) return yield* Effect.fail(Refusals.noSession(id))
        if (Headers.unknownRevision(request)) return yield* Effect.fail(Refusals.revision(id))
        const found = sessions.find(sessionId, identity)
        const first = (transport: SessionTransport) => dispatch(transport, response, message, passage)
        const { reply } = yield* found === undefined
          ? sessions.resume(sessionId, identity, first).pipe(
              Effect.catchTags({
                SessionsFull: (full) => Effect.fail(Refusals.fromFull(full, id)),
                SessionUnknown: () => Effect.fail(Refusals.unknownSession(id))
              })
            )
          : first(found)
        return reply ?? (yield* sent(response))
      })
    )

  const end = (request: IncomingMessage) =>
    inTurns(request, (identity) =>
      Effect.gen(function* () {
        const sessionId = Headers.sessionIdOf(request)
        if (sessionId === undefined) return yield* Effect.fail(Refusals.noSession())
        const wasOpen = yield* sessions.close(sessionId, identity)
        return wasOpen
          ? HttpServerResponse.empty({ status: 200 })
          : yield* Effect.fail(Refusals.unknownSession())
      })
    )

  const route = (passed: () => void) =>
    Effect.gen(function* () {
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
          return yield* post(request, response, passed)
        case "DELETE":
          return yield* end(request)
        default:
          return yield* Effect.fail(Refusals.method)
      }
    })

  return Effect.flatMap(monotonicReader, (now) => {
    const began = now()
    const through = (to: "session" | "refused") => Metrics.throughEdge(to, now() - began)
    return Effect.catchAll(
      route(() => through("session")),
      (refusal: Refusal) =>
        Effect.sync(() => {
          through("refused")
          return Replies.refuse(refusal)
        })
    )
  })
}
