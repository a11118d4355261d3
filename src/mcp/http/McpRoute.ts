/**
 * `/mcp`: from an HTTP request to the session it belongs to, or to none (see `Stateless`).
 *
 * | method | |
 * |---|---|
 * | `POST` | one JSON-RPC message; requests are answered on a stream of events, or with JSON |
 * | `GET` | the stream of a session, for what is told unasked: that the tools or the resources of its tier have changed |
 * | `DELETE` | ends the session |
 * | `OPTIONS` | what a page of an origin on the list may send |
 *
 * | `Accept` of a `POST` | the answer to a request |
 * |---|---|
 * | names `text/event-stream` (or `text/*`), and does not prefer JSON to it | a stream of events |
 * | none, any type (`*` twice), `application/json` | JSON, which every client can read |
 * | neither of them, or both with `q=0` | 406 |
 *
 * A session has one stream (a second one is 409, as the reference server has it), which ends with it. To open one is to
 * use the session, to keep it open is not: a session without requests ends when it has been idle for long enough. There
 * are so many streams in all and for each client that connections are left for calls; beyond that, and in the 2026 era,
 * which has no sessions, 405 says that there is none.
 *
 * @since 0.1.0
 */
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { IncomingMessage, ServerResponse } from "node:http"
import type { Identity } from "../auth/Auth.js"
import type { Principal } from "../../platform/Principal.js"
import * as FairTurns from "../../platform/fairTurns.js"
import { monotonicReader } from "../../platform/monotonic.js"
import * as Protocol from "../Protocol.js"
import * as Shares from "../core/Shares.js"
import * as JsonRpc from "../JsonRpc.js"
import type * as Body from "./Body.js"
import type { Edge, EdgeLog } from "./Edge.js"
import * as Metrics from "./Metrics.js"
import * as Replies from "./Replies.js"
import type { Refusal, Reply } from "./Replies.js"
import type { Streams, Unread } from "./Responses.js"
import type { Form, SessionTransport } from "./SessionTransport.js"
import type { Sessions } from "./Sessions.js"
import type { Stateless } from "./Stateless.js"

const JSON_TYPE = "application/json"
const EVENTS_TYPE = "text/event-stream"

interface Weight {
  readonly quality: number
  /** By the type, by its first half, or by any type (`*` twice) alone. */
  readonly named: "type" | "half" | "any"
}

/** How much a type is wanted: the most specific range that it is in decides (RFC 9110, 12.5.1). */
const weightOf = (accept: string, type: string): Weight => {
  const half = type.replace(/\/.*/, "/*")
  const found = new Map<string, number>()
  for (const part of accept.toLowerCase().split(",")) {
    const [range = "", ...parameters] = part.split(";").map((text) => text.trim())
    const given = parameters.find((parameter) => /^q\s*=/.test(parameter))
    const quality = given === undefined ? 1 : Number(given.replace(/^q\s*=\s*/, ""))
    found.set(range, Math.max(found.get(range) ?? 0, quality >= 0 && quality <= 1 ? quality : 1))
  }
  const exact = found.get(type)
  if (exact !== undefined) return { quality: exact, named: "type" }
  const some = found.get(half)
  if (some !== undefined) return { quality: some, named: "half" }
  return { quality: found.get("*/*") ?? 0, named: "any" }
}

const formOf = (accept: string): Form | undefined => {
  if (accept.trim() === "") return "json"
  const json = weightOf(accept, JSON_TYPE)
  const events = weightOf(accept, EVENTS_TYPE)
  if (
    events.quality > 0 &&
    (json.quality === 0 || (events.named !== "any" && events.quality >= json.quality))
  ) {
    return "events"
  }
  return json.quality > 0 ? "json" : undefined
}

/** In which form the answer to a message may come. */
const negotiated = ({ headers }: IncomingMessage): Either.Either<Form, Refusal> => {
  const { accept = "", "content-type": type = "" } = headers
  const form = formOf(accept)
  if (form === undefined) {
    return Either.left({
      status: 406,
      code: -32000,
      reason: "accept",
      message: `Not Acceptable: Client must accept ${JSON_TYPE} or ${EVENTS_TYPE}, best both`
    })
  }
  if (!/^\s*application\/json\s*(;|$)/i.test(type)) {
    return Either.left({
      status: 415,
      code: -32000,
      reason: "content-type",
      message: `Unsupported Media Type: Content-Type must be ${JSON_TYPE}`
    })
  }
  return Either.right(form)
}

/** After `initialize` the revision is settled; a client may repeat it. */
const unknownRevision = ({ headers }: IncomingMessage): boolean => {
  const revision = headers["mcp-protocol-version"]
  return revision !== undefined && !Protocol.legacyRevisions.includes(String(revision))
}

const sessionIdOf = ({ headers }: IncomingMessage): string | undefined => {
  const id = headers["mcp-session-id"]
  return typeof id === "string" && id !== "" ? id : undefined
}

/** The span of the caller's, as the HTTP request around the message has it. */
const traceparentOf = ({ headers }: IncomingMessage): string | undefined => {
  const { traceparent } = headers
  return typeof traceparent === "string" ? traceparent : undefined
}

export interface Options {
  readonly edge: Edge
  readonly sessions: Sessions
  readonly stateless: Stateless
  readonly streams: Streams
  /** Streams of sessions. */
  readonly listeners: Shares.Shares
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
  readonly principal: Principal
  readonly traceparent: string | undefined
  readonly form: Form
  /** Called when the request leaves the edge. */
  readonly passed: () => void
}

const accepted: Dispatched = { ok: true, reply: Replies.accepted }
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
  listeners,
  log,
  readBody,
  sessions,
  stateless,
  streams,
  turns,
  unread
}: Options): Effect.Effect<Reply, never, HttpServerRequest.HttpServerRequest> => {
  /** The answer comes on the response, or none does. */
  const dispatch = (
    transport: SessionTransport,
    response: ServerResponse,
    { id, value }: JsonRpc.Message,
    { passed, ...passage }: Passage
  ): Effect.Effect<Dispatched, Refusal> =>
    Effect.suspend(() => {
      passed()
      if (id === undefined) {
        return transport.notify(value) ? Effect.succeed(accepted) : Effect.fail(Replies.unknownSession())
      }
      const hasSession = transport.sessionId !== undefined
      if (hasSession && transport.isInFlight(id)) {
        return Effect.fail(Replies.invalid("A request with this id is still in flight in this session.", id))
      }
      // In the same turn as the check above: no other request with the same id comes between.
      const key = transport.request(value, { ...passage, id, response })
      if (key === undefined) return Effect.fail(Replies.unknownSession(id))
      const onDropped = () => {
        // Without a session, to leave is how a client cancels.
        if (cancelOnDisconnect || !hasSession) transport.cancel(key, "the client disconnected")
      }
      streams.opened(response, "call", onDropped, passage.form)
      return Effect.succeed(streaming)
    })

  const body = (request: IncomingMessage, { principal: { client } }: Identity) =>
    readBody(request, client).pipe(
      Effect.tapError(({ reason }) =>
        reason === "too-many" || reason === "too-many-own"
          ? log.told({ message: `requests were not read (${reason})`, client })
          : Effect.void
      ),
      Effect.mapError(Replies.fromBody)
    )

  /** What is done for a client, from the reading of its request on, is done in its turns. */
  const inTurns = <A, E>(request: IncomingMessage, work: (identity: Identity) => Effect.Effect<A, E>) =>
    Effect.flatMap(edge.identify(request), (identity) =>
      FairTurns.of(turns, identity.principal.client)(work(identity))
    )

  /** In the session of that id, also where an earlier server had it. */
  const inSession = (
    sessionId: string,
    identity: Identity,
    id: JsonRpc.Id | undefined,
    first: (transport: SessionTransport) => Effect.Effect<Dispatched, Refusal>
  ): Effect.Effect<Dispatched, Refusal> => {
    const found = sessions.find(sessionId, identity)
    return found === undefined
      ? sessions.resume(sessionId, identity, first).pipe(
          Effect.catchTags({
            SessionsFull: (full) => Effect.fail(Replies.fromFull(full, id)),
            SessionUnknown: () => Effect.fail(Replies.unknownSession(id))
          })
        )
      : first(found)
  }

  const post = (request: IncomingMessage, response: ServerResponse, passed: () => void) =>
    inTurns(request, (identity) =>
      Effect.gen(function* () {
        unread.belongs(response, identity.principal.client)
        const message = yield* Effect.flatMap(body(request, identity), (value) =>
          Effect.mapError(JsonRpc.read(value), Replies.malformed)
        )
        const { id, method } = message
        const form = yield* Effect.mapError(negotiated(request), (refusal) => ({ ...refusal, id }))
        const { principal } = identity
        const passage: Passage = { principal, traceparent: traceparentOf(request), form, passed }
        // Cancelling always works.
        if (id !== undefined && isDraining()) return yield* Effect.fail({ ...Replies.draining, id })
        if ((yield* stateless.era(request.headers, message)) === "2026") {
          // A client cancels by leaving, so that what it tells without asking is of no use.
          if (id === undefined) return Replies.accepted
          const { reply } = yield* dispatch(yield* stateless.transport, response, message, passage)
          return reply ?? (yield* sent(response))
        }
        if (method === "initialize" && id !== undefined) {
          const { reply } = yield* sessions
            .open(identity, (transport) => dispatch(transport, response, message, passage))
            .pipe(Effect.catchTag("SessionsFull", (full) => Effect.fail(Replies.fromFull(full, id))))
          return reply ?? (yield* sent(response))
        }
        const sessionId = sessionIdOf(request)
        if (sessionId === undefined) return yield* Effect.fail(Replies.noSession(id))
        if (unknownRevision(request)) return yield* Effect.fail(Replies.revision(id))
        const first = (transport: SessionTransport) => dispatch(transport, response, message, passage)
        const { reply } = yield* inSession(sessionId, identity, id, first)
        return reply ?? (yield* sent(response))
      })
    )

  /** Room for the stream of a session, until the response is over, however it ends. */
  const room = (response: ServerResponse, client: string) =>
    Effect.suspend((): Effect.Effect<void, Refusal> => {
      const share = Shares.take(listeners, client)
      if (share !== "taken") return Effect.fail(Replies.streamsFull(share, listeners))
      if (response.destroyed) Shares.release(listeners, client)
      else response.once("close", () => Shares.release(listeners, client))
      return Effect.void
    })

  const listen = (transport: SessionTransport, response: ServerResponse, client: string) =>
    Effect.suspend((): Effect.Effect<Dispatched, Refusal> => {
      if (response.destroyed) return Effect.succeed({ ok: true, reply: written })
      const opened = transport.open(response, client)
      if (opened !== "opened") {
        return Effect.fail(opened === "has-one" ? Replies.secondStream : Replies.unknownSession())
      }
      streams.opened(response, "session", () => {})
      return Effect.succeed(streaming)
    })

  const get = (request: IncomingMessage, response: ServerResponse, passed: () => void) =>
    inTurns(request, (identity) =>
      Effect.gen(function* () {
        const { client } = identity.principal
        unread.belongs(response, client)
        if (Protocol.isModern(request.headers["mcp-protocol-version"]))
          return yield* Effect.fail(Replies.noStream)
        const events = weightOf(request.headers.accept ?? "", EVENTS_TYPE)
        if (events.quality === 0 || events.named === "any") return yield* Effect.fail(Replies.notEvents)
        if (isDraining()) return yield* Effect.fail(Replies.draining)
        const sessionId = sessionIdOf(request)
        if (sessionId === undefined) return yield* Effect.fail(Replies.noSession())
        if (unknownRevision(request)) return yield* Effect.fail(Replies.revision())
        yield* room(response, client)
        passed()
        const first = (transport: SessionTransport) => listen(transport, response, client)
        const { reply } = yield* inSession(sessionId, identity, undefined, first)
        return reply ?? (yield* sent(response))
      })
    )

  const end = (request: IncomingMessage) =>
    inTurns(request, (identity) =>
      Effect.gen(function* () {
        const sessionId = sessionIdOf(request)
        if (sessionId === undefined) return yield* Effect.fail(Replies.noSession())
        const wasOpen = yield* sessions.close(sessionId, identity)
        return wasOpen
          ? HttpServerResponse.empty({ status: 200 })
          : yield* Effect.fail(Replies.unknownSession())
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
          return HttpServerResponse.empty({ status: 204, headers: { allow: Replies.allowed } })
        case "POST":
          return yield* post(request, response, passed)
        case "GET":
          return yield* get(request, response, passed)
        case "DELETE":
          return yield* end(request)
        default:
          return yield* Effect.fail(Replies.method)
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
