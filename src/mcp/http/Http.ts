/**
 * MCP over Streamable HTTP: one process, many clients, one session each. Serves until it is interrupted.
 *
 * ```
 *   socket -> Edge (host, origin, credentials) -> Body -> Sessions -> SessionTransport -> McpServer
 * ```
 *
 * When it stops: it is not ready any more and takes no new calls; those in flight are answered, or
 * interrupted when their time is over; sessions close; responses are flushed; then the sockets go.
 * Closing the listener first would wait for streams that never end by themselves.
 *
 * @since 0.1.0
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as HttpMiddleware from "@effect/platform/HttpMiddleware"
import type { ServeError } from "@effect/platform/HttpServerError"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as Http from "node:http"
import type { Socket } from "node:net"
import type { Operator } from "../../operate/Operator.js"
import type { Readiness } from "../../operate/Readiness.js"
import * as FairTurns from "../../platform/fairTurns.js"
import { monotonicMillis } from "../../platform/monotonic.js"
import type { AuthMisconfigured } from "../auth/Auth.js"
import * as Auth from "../auth/Auth.js"
import { McpServer } from "../McpServer.js"
import * as RequestRunner from "../requestRunner.js"
import * as Address from "./Address.js"
import * as Body from "./Body.js"
import * as Edge from "./Edge.js"
import * as McpRoute from "./McpRoute.js"
import * as Metrics from "./Metrics.js"
import * as OperatorRoutes from "./OperatorRoutes.js"
import * as Shares from "../core/Shares.js"
import * as Responses from "./Responses.js"
import * as Sessions from "./Sessions.js"
import * as Stateless from "./Stateless.js"

/**
 * Where the server listens, for whom, and how much it takes; milliseconds and bytes.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Address to listen on; one that others can reach needs authentication. */
  readonly host: string
  /** 0: any free one. */
  readonly port: number
  /** Names the server may be addressed by, beside those of this machine when it listens on loopback. */
  readonly allowedHosts: ReadonlyArray<string>
  /** Origins of pages that may call it. */
  readonly allowedOrigins: ReadonlyArray<string>
  /** Addresses and networks of proxies whose `X-Forwarded-For` is believed. */
  readonly trustedProxies: ReadonlyArray<string>
  readonly maxBodyBytes: number
  readonly maxConcurrentBodies: number
  /** Milliseconds for the headers, and again for the body. */
  readonly requestTimeoutMs: number
  readonly maxConnections: number
  readonly maxSessions: number
  readonly maxSessionsPerClient: number
  /** Milliseconds after which a session without a request is forgotten. */
  readonly sessionIdleMs: number
  /** Answers 404 to a session that this process did not open, also where it was a process before it. */
  readonly strictSessions?: boolean | undefined
  /** Refused credentials of one address: at once, and per second after that. */
  readonly failedLogins: { readonly burst: number; readonly ratePerSecond: number }
  /** Requests of one client, whatever they ask for: at once, and per second after that. */
  readonly clientRequests: { readonly burst: number; readonly ratePerSecond: number }
  /** Bytes of the bodies of one client: at once, and per second after that. */
  readonly clientBytes: { readonly burst: number; readonly ratePerSecond: number }
  /** Ends the statement of a caller whose connection is gone. */
  readonly cancelOnDisconnect: boolean
  readonly metrics: OperatorRoutes.Options["metrics"]
  /** Serves the page for people; without it administrators alone read what it shows. */
  readonly status: boolean
  /** Milliseconds, from being told to stop, in which answers must have reached their clients. */
  readonly stopMs: number
  /** Milliseconds after which an answer is dropped of which its client takes nothing. */
  readonly stallMs?: number | undefined
  /** Bytes of all answers together that wait for their clients to read them. */
  readonly maxUnreadBytes?: number | undefined
}

/**
 * For a server on this machine.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaults: Options & { readonly stallMs: number; readonly maxUnreadBytes: number } = {
  host: "127.0.0.1",
  port: 8787,
  allowedHosts: [],
  allowedOrigins: [],
  trustedProxies: [],
  maxBodyBytes: 1024 ** 2,
  maxConcurrentBodies: 256,
  requestTimeoutMs: 10_000,
  maxConnections: 10_000,
  maxSessions: 5_000,
  maxSessionsPerClient: 500,
  sessionIdleMs: 1_800_000,
  strictSessions: false,
  failedLogins: { burst: 20, ratePerSecond: 1 },
  clientRequests: { burst: 1_000, ratePerSecond: 100 },
  clientBytes: { burst: 16 * 1024 ** 2, ratePerSecond: 2 * 1024 ** 2 },
  cancelOnDisconnect: true,
  metrics: "protected",
  status: true,
  stopMs: 5_000,
  stallMs: 30_000,
  maxUnreadBytes: 64 * 1024 ** 2
}

/** Bytes of a request's headers: a token is some kilobytes. */
const MAX_HEADER_BYTES = 16 * 1024

/** Of the connections there may be, those that streams of sessions may take: calls need others. */
const STREAMS_SHARE = 0.5

/** At least, for what is written to reach clients that still read. */
const FLUSH_MS = 1_000

/** How often node looks for requests that are too slow. */
const CHECK_EVERY_MS = 1_000

/** A listener that counts what the given one answers. */
const counted =
  (answer: Http.RequestListener): Http.RequestListener =>
  (request, response) => {
    response.once("close", () =>
      Metrics.requested(request.method, response.headersSent ? response.statusCode : undefined)
    )
    return answer(request, response)
  }

interface Unreadable {
  readonly line: string
  readonly reason: Metrics.RefusalReason
}

const unreadable: { readonly [code: string]: Unreadable } = {
  HPE_HEADER_OVERFLOW: { line: "431 Request Header Fields Too Large", reason: "headers-too-large" },
  HPE_CHUNK_EXTENSIONS_OVERFLOW: { line: "413 Payload Too Large", reason: "body-too-large" },
  ERR_HTTP_REQUEST_TIMEOUT: { line: "408 Request Timeout", reason: "request-too-slow" }
}
const malformed: Unreadable = { line: "400 Bad Request", reason: "malformed" }

const codeOf = (error: Error): string => ("code" in error ? String(error.code) : "")

/**
 * Node answers by itself what it cannot read as a request, and emits no event for the answer: here it is answered the
 * same way, and counted. Connections above the limit are counted too.
 */
const refuseUnreadable = (server: Http.Server): void => {
  const answering = new WeakMap<Socket, Http.ServerResponse>()
  server.on("request", (request, response) => answering.set(request.socket, response))
  server.on("clientError", (error, socket: Socket) => {
    const code = codeOf(error)
    const response = answering.get(socket)
    // In the middle of an answer another one would be taken for a part of it.
    const isFree = response === undefined || response.writableFinished || !response.headersSent
    if (code.startsWith("HPE_") || code === "ERR_HTTP_REQUEST_TIMEOUT") {
      const { line, reason } = unreadable[code] ?? malformed
      Metrics.refused(reason)
      if (socket.writable && isFree) socket.write(`HTTP/1.1 ${line}\r\nConnection: close\r\n\r\n`)
    }
    socket.destroy(error)
  })
  server.on("drop", () => Metrics.refused("connections"))
}

const listener = ({ maxConnections, requestTimeoutMs }: Options) => {
  const server = Http.createServer({
    headersTimeout: requestTimeoutMs,
    // Headers and body together; the body's own limit answers before this one cuts the connection.
    requestTimeout: requestTimeoutMs * 2 + CHECK_EVERY_MS,
    connectionsCheckingInterval: Math.min(CHECK_EVERY_MS, requestTimeoutMs),
    maxHeaderSize: MAX_HEADER_BYTES,
    keepAliveTimeout: 65_000
  })
  server.maxConnections = maxConnections
  refuseUnreadable(server)
  return server
}

/**
 * Listens, and serves in the background while the scope is open. Returns the port.
 *
 * @since 0.1.0
 * @category serving
 */
export const listen = (
  options: Options
): Effect.Effect<
  { readonly port: number },
  ServeError | AuthMisconfigured,
  McpServer | Auth.Authenticator | Operator | Readiness | Scope.Scope
> =>
  Effect.gen(function* () {
    const { about, mode } = yield* Auth.Authenticator
    if (mode === "none") yield* Auth.requireLoopback(options.host)
    const host = Auth.bare(options.host)
    Metrics.begin()

    let isDraining = false
    const draining = yield* Deferred.make<void>()
    const http = listener(options)
    const { calls: tally } = yield* McpServer
    const server = yield* NodeHttpServer.make(() => http, { host, port: options.port })
    const streams = Responses.makeStreams()
    yield* Effect.forkScoped(streams.keepAlive)
    const turns = FairTurns.onNode(yield* Effect.clock)
    const calls = yield* Scope.make()
    const sessions = yield* Scope.extend(
      Sessions.make({
        maxSessions: options.maxSessions,
        maxPerOwner: options.maxSessionsPerClient,
        idleMs: options.sessionIdleMs,
        turns,
        strict: options.strictSessions
      }),
      calls
    )
    const stateless = yield* Scope.extend(Stateless.make(turns), calls)

    const log = yield* Edge.makeLog
    const edge = yield* Edge.make({
      ...options,
      refused: log.refused,
      failures: options.failedLogins,
      requests: options.clientRequests,
      bytes: options.clientBytes
    })
    const { maxUnreadBytes = defaults.maxUnreadBytes, stallMs = defaults.stallMs } = options
    const unread = yield* Responses.makeUnread({ log, maxBytes: maxUnreadBytes, stallMs })
    yield* Effect.forkScoped(unread.look)
    const maxStreams = Math.floor(options.maxConnections * STREAMS_SHARE)
    const listeners = Shares.make(
      maxStreams,
      // Without authentication all callers are one client.
      mode === "none" ? maxStreams : Math.floor(maxStreams / 4)
    )
    const mcp = McpRoute.make({
      edge,
      log,
      sessions,
      stateless,
      streams,
      turns,
      unread,
      readBody: Body.make({
        maxBytes: options.maxBodyBytes,
        maxConcurrent: options.maxConcurrentBodies,
        // Without authentication all callers are one client, which may have all of them.
        maxEach: mode === "none" ? options.maxConcurrentBodies : Body.shareOf(options.maxConcurrentBodies),
        timeoutMs: options.requestTimeoutMs,
        unannounced: edge.unannounced
      }),
      listeners,
      isDraining: () => isDraining,
      cancelOnDisconnect: options.cancelOnDisconnect
    })
    const beside = yield* OperatorRoutes.make({
      edge,
      streams,
      metrics: options.metrics,
      hasPage: options.status,
      isDraining: () => isDraining,
      draining: Deferred.await(draining)
    })
    // Nearly everything is for one path: that is found without a router.
    const [onMcp, onOther] = yield* Effect.all([
      NodeHttpServer.makeHandler(mcp),
      NodeHttpServer.makeHandler(beside)
      // Its spans would hold headers and session ids; a call has a span of its own.
    ]).pipe(Effect.locally(HttpMiddleware.currentTracerDisabledWhen, () => true))
    const answer = counted((request, response) =>
      /^\/mcp\/?(\?|$)/.test(request.url ?? "") ? onMcp(request, response) : onOther(request, response)
    )
    const onRequest = (request: Http.IncomingMessage, response: Http.ServerResponse) =>
      unread.watch(response, () => answer(request, response))
    yield* Effect.acquireRelease(
      Effect.sync(() => http.on("request", onRequest)),
      () => Effect.sync(() => http.off("request", onRequest))
    )
    // Last in the scope, so first in time: requests are answered until the sockets go.
    yield* Effect.addFinalizer(() =>
      Effect.gen(function* () {
        const began = yield* monotonicMillis
        isDraining = true
        // Watchers of the status page have no call in flight.
        yield* Deferred.succeed(draining, undefined)
        const open = { sessions: yield* sessions.size }
        yield* RequestRunner.logDraining(tally, open)(Scope.close(calls, Exit.void))
        const left = began + options.stopMs - (yield* monotonicMillis)
        yield* streams.flushed(Math.max(FLUSH_MS, left))
        http.close()
        http.closeAllConnections()
      })
    )
    const { address } = server
    const port = address._tag === "TcpAddress" ? address.port : options.port
    yield* Effect.logInfo("listening").pipe(
      Effect.annotateLogs({
        url: `http://${Address.inUrl(host)}:${port}/mcp`,
        auth: yield* about ?? Effect.succeed(mode)
      })
    )
    return { port }
  })

/**
 * Serves until it is interrupted.
 *
 * @since 0.1.0
 * @category serving
 */
export const serve = (options: Options) => Effect.scoped(Effect.zipRight(listen(options), Effect.never))
