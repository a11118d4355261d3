/**
 * What is counted around the requests: their number, who was let in, and what was no request at all.
 *
 * Node answers what it cannot read by itself and tells nobody; here it is answered the same way, and
 * counted.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Http from "node:http"
import type { Socket } from "node:net"
import type { Edge } from "./Edge.js"
import * as Metrics from "./Metrics.js"

/** Counts why credentials were refused, and those that were not. */
export const edge = (inner: Edge): Edge => ({
  ...inner,
  identify: (request) =>
    Effect.tapBoth(inner.identify(request), {
      onFailure: ({ reason }) => Effect.sync(() => Metrics.authenticated(reason.replace(/^auth-/, ""))),
      onSuccess: () => Effect.sync(() => Metrics.authenticated("ok"))
    })
})

/** A listener that counts what the given one answers. */
export const listener =
  (answer: Http.RequestListener): Http.RequestListener =>
  (request, response) => {
    response.once("close", () =>
      Metrics.requested(request.method, response.headersSent ? response.statusCode : undefined)
    )
    return answer(request, response)
  }

interface Unread {
  readonly line: string
  readonly reason: string
}

const unread: { readonly [code: string]: Unread } = {
  HPE_HEADER_OVERFLOW: { line: "431 Request Header Fields Too Large", reason: "headers-too-large" },
  HPE_CHUNK_EXTENSIONS_OVERFLOW: { line: "413 Payload Too Large", reason: "body-too-large" },
  ERR_HTTP_REQUEST_TIMEOUT: { line: "408 Request Timeout", reason: "request-too-slow" }
}
const malformed: Unread = { line: "400 Bad Request", reason: "malformed" }

const codeOf = (error: Error): string => ("code" in error ? String(error.code) : "")

/** Answers, and counts, what is no request, and counts connections that are one too many. */
export const unreadable = (server: Http.Server): void => {
  const answering = new WeakMap<Socket, Http.ServerResponse>()
  server.on("request", (request, response) => answering.set(request.socket, response))
  server.on("clientError", (error, socket: Socket) => {
    const code = codeOf(error)
    const response = answering.get(socket)
    // In the middle of an answer another one would be taken for a part of it.
    const isFree = response === undefined || response.writableFinished || !response.headersSent
    if (code.startsWith("HPE_") || code === "ERR_HTTP_REQUEST_TIMEOUT") {
      const { line, reason } = unread[code] ?? malformed
      Metrics.refused(reason)
      if (socket.writable && isFree) socket.write(`HTTP/1.1 ${line}\r\nConnection: close\r\n\r\n`)
    }
    socket.destroy(error)
  })
  server.on("drop", () => Metrics.refused("connections"))
}
