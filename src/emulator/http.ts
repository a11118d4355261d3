/**
 * An HTTP server whose life is a scope, and the ways in which it can treat a request badly.
 *
 * Invariants: closing the scope ends every request's fiber and destroys every socket; a request whose
 * client has gone is interrupted; the listener can be closed and opened again on the same port.
 */
import type { IncomingMessage, Server, ServerResponse } from "node:http"
import { createServer } from "node:http"
import type { Socket } from "node:net"
import { gzipSync } from "node:zlib"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"

/**
 * The emulator cannot listen where it was told to.
 */
export class EmulatorError extends Schema.TaggedError<EmulatorError>("snowguard/EmulatorError")(
  "EmulatorError",
  { description: Schema.String, cause: Schema.optional(Schema.Defect) }
) {
  override get message(): string {
    return this.description
  }
}

export interface Request {
  readonly method: string
  readonly url: URL
  readonly headers: IncomingMessage["headers"]
  readonly body: string
}

export interface Reply {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
}

/**
 * How a reply is sent.
 */
export type Manner =
  | { readonly _tag: "Whole" }
  | { readonly _tag: "Reset" }
  | { readonly _tag: "Half" }
  | { readonly _tag: "Slow"; readonly overMs: number }

export const json = (value: unknown, status = 200): Reply => ({
  status,
  headers: { "content-type": "application/json" },
  body: Buffer.from(JSON.stringify(value))
})

export const html = (
  status: number,
  title: string,
  headers: Readonly<Record<string, string>> = {}
): Reply => ({
  status,
  headers: { "content-type": "text/html; charset=utf-8", ...headers },
  body: Buffer.from(
    `<!DOCTYPE html><html><head><title>${title}</title></head><body><h1>${title}</h1></body></html>`
  )
})

const gzipAbove = 2048

/** As the client can read it; what is encoded already stays as it is. */
const packed = (reply: Reply, accepts: string): Reply =>
  reply.body.byteLength > gzipAbove &&
  accepts.includes("gzip") &&
  reply.headers["content-encoding"] === undefined
    ? {
        ...reply,
        headers: { ...reply.headers, "content-encoding": "gzip" },
        body: gzipSync(reply.body, { level: 1 })
      }
    : reply

const write = (response: ServerResponse, bytes: Uint8Array): Effect.Effect<void> =>
  Effect.async((resume) => {
    response.write(bytes, () => resume(Effect.void))
  })

const reset = (response: ServerResponse): Effect.Effect<void> =>
  Effect.sync(() => {
    response.socket?.resetAndDestroy()
  })

const pieces = 20

const send = (request: IncomingMessage, response: ServerResponse, plain: Reply, manner: Manner) =>
  Effect.gen(function* () {
    if (manner._tag === "Reset" || response.destroyed) return yield* reset(response)
    const reply = packed(plain, String(request.headers["accept-encoding"] ?? ""))
    const length = reply.body.byteLength
    response.writeHead(reply.status, { ...reply.headers, "content-length": length })
    if (manner._tag === "Half") {
      yield* write(response, reply.body.subarray(0, Math.ceil(length / 2)))
      // What was written has to leave before the reset overtakes it.
      yield* Effect.sleep(5)
      return yield* reset(response)
    }
    if (manner._tag === "Slow") {
      const size = Math.max(1, Math.ceil(length / pieces))
      const count = Math.ceil(length / size)
      for (let at = 0; at < length; at += size) {
        yield* Effect.sleep(manner.overMs / count)
        yield* write(response, reply.body.subarray(at, at + size))
      }
      response.end()
      return
    }
    response.end(reply.body)
  })

const maxBodyBytes = 16 * 1_048_576

/** The body as text; undefined when it is too large. */
const bodyOf = (request: IncomingMessage): Effect.Effect<string | undefined> =>
  Effect.async((resume) => {
    const parts: Array<Buffer> = []
    let length = 0
    request.on("data", (part: Buffer) => {
      length += part.length
      if (length <= maxBodyBytes) parts.push(part)
    })
    request.on("end", () =>
      resume(Effect.succeed(length > maxBodyBytes ? undefined : Buffer.concat(parts).toString("utf8")))
    )
  })

/** When the client has gone before it was answered. */
const gone = (response: ServerResponse): Effect.Effect<void> =>
  Effect.async((resume) => {
    const onClose = () => resume(Effect.void)
    response.on("close", onClose)
    return Effect.sync(() => response.off("close", onClose))
  })

export interface Handler {
  (request: Request): Effect.Effect<{ readonly reply: Reply; readonly manner: Manner }>
}

export interface HttpServer {
  readonly port: number
  /** Closes the listener and every connection, or listens again. */
  readonly setListening: (listening: boolean) => Effect.Effect<void>
  readonly connections: () => number
}

const listen = (server: Server, host: string, port: number): Effect.Effect<number, EmulatorError> =>
  Effect.async((resume) => {
    const onError = (cause: Error) =>
      resume(
        Effect.fail(
          new EmulatorError({ description: `Cannot listen on ${host}:${port}: ${cause.message}.`, cause })
        )
      )
    server.once("error", onError)
    server.listen(port, host, () => {
      server.off("error", onError)
      const address = server.address()
      resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : port))
    })
  })

export const make = (
  host: string,
  port: number,
  handler: Handler
): Effect.Effect<HttpServer, EmulatorError, Scope.Scope> =>
  Effect.gen(function* () {
    const run = yield* FiberSet.makeRuntime<never>()
    const sockets = new Set<Socket>()

    const handle = (incoming: IncomingMessage, response: ServerResponse) =>
      Effect.gen(function* () {
        // What is written to a client that has gone must not end the process either.
        response.on("error", () => undefined)
        const body = yield* bodyOf(incoming)
        if (body === undefined)
          return yield* send(incoming, response, html(413, "Payload Too Large"), { _tag: "Whole" })
        const { manner, reply } = yield* handler({
          method: incoming.method ?? "GET",
          url: new URL(incoming.url ?? "/", `http://${incoming.headers.host ?? host}`),
          headers: incoming.headers,
          body
        })
        yield* send(incoming, response, reply, manner)
      }).pipe(
        // A request that cannot be read (a malformed URL) is answered like any other.
        Effect.catchAllDefect(() =>
          response.headersSent
            ? reset(response)
            : send(incoming, response, html(500, "Internal Server Error"), { _tag: "Whole" })
        ),
        Effect.raceFirst(gone(response))
      )

    const server = yield* Effect.acquireRelease(
      Effect.sync(() => {
        const server = createServer((request, response) => {
          run(handle(request, response))
        })
        server.on("connection", (socket) => {
          sockets.add(socket)
          socket.once("close", () => sockets.delete(socket))
          // A reset is what some faults are; it must not end the process.
          socket.on("error", () => undefined)
        })
        return server
      }),
      (server) => close(server)
    )

    const close = (server: Server): Effect.Effect<void> =>
      Effect.async((resume) => {
        if (server.listening) server.close(() => resume(Effect.void))
        else resume(Effect.void)
        for (const socket of sockets) socket.destroy()
      })

    const bound = yield* listen(server, host, port)

    return {
      port: bound,
      setListening: (listening) =>
        Effect.suspend(() => {
          if (listening === server.listening) return Effect.void
          return listening
            ? listen(server, host, bound).pipe(
                // Another process may hold the port for a moment.
                Effect.retry(Schedule.spaced("50 millis")),
                Effect.ignore
              )
            : close(server)
        }),
      connections: () => sockets.size
    }
  })
