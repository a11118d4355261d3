import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Logger, LogLevel } from "effect"
import type { Socket } from "node:net"
import { connect } from "node:net"
import * as H from "../../utils/http.js"

const quiet = Effect.provide(Logger.minimumLogLevel(LogLevel.None))

/** More than the buffers of two sockets on this machine take. */
const LARGE = 16 * 1024 ** 2

const large = H.tool("large", () => Effect.succeed({ who: "x".repeat(LARGE) }))

/** A client that asks and does not read before it is told to; how many bytes it got in all when it was cut. */
const deaf = (server: H.Server, session: string, ...bodies: ReadonlyArray<object>) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const socket: Socket = connect(server.port, "127.0.0.1")
      socket.on("error", () => {})
      socket.pause()
      for (const payload of bodies.map((body) => JSON.stringify(body)))
        socket.write(
          "POST /mcp HTTP/1.1\r\nhost: localhost\r\naccept: application/json, text/event-stream\r\n" +
            `content-type: application/json\r\nmcp-session-id: ${session}\r\ncontent-length: ${payload.length}\r\n\r\n${payload}`
        )
      let got = 0
      const closed = new Promise<number>((resolve) => socket.on("close", () => resolve(got)))
      socket.on("data", (chunk: Buffer) => (got += chunk.length))
      socket.pause()
      return { socket, closed, got: () => got }
    }),
    ({ socket }) => Effect.sync(() => socket.destroy())
  )

const dropped = (server: H.Server, reason: string) =>
  Effect.map(server.ask({ path: "/metrics" }), ({ body }) =>
    Number(
      new RegExp(`^snowguard_http_unread_total\\{reason="${reason}"\\} (\\d+)$`, "m").exec(body)?.[1] ?? 0
    )
  )

const until = (server: H.Server, reason: string, wanted: number) =>
  Effect.repeat(Effect.delay(dropped(server, reason), 20), { until: (count) => count >= wanted })

describe("an answer that is not read", () => {
  it.scopedLive("is dropped when nothing was taken for too long; its session stays", () =>
    Effect.gen(function* () {
      const server = yield* H.server({ tools: [large], options: { stallMs: 300, metrics: "open" } })
      const session = yield* server.open()
      const before = yield* dropped(server, "stalled")
      const client = yield* deaf(server, session, H.toolCall(1, "large"))
      yield* until(server, "stalled", before + 1)
      client.socket.resume()
      assert.isBelow(yield* Effect.promise(() => client.closed), LARGE)
      assert.strictEqual((yield* server.ask({ body: H.message(2, "ping"), session })).status, 200)
    }).pipe(quiet)
  )

  it.scopedLive(
    "is not dropped while its client reads, however slowly, nor where there is nothing to read yet",
    () =>
      Effect.gen(function* () {
        const go = yield* Deferred.make<void>()
        const waits = H.tool("waits", () => Effect.as(Deferred.await(go), { who: "x" }))
        const server = yield* H.server({
          tools: [large, waits],
          options: { stallMs: 400, metrics: "open" }
        })
        const session = yield* server.open()
        const before = yield* dropped(server, "stalled")
        const waiting = server.start({ body: H.toolCall(1, "waits"), session })
        const client = yield* deaf(server, session, H.toolCall(2, "large"))
        // Longer than it takes to stall, and something is read in between.
        for (let i = 0; i < 12; i++) {
          yield* Effect.sleep(100)
          client.socket.resume()
          const had = client.got()
          yield* Effect.repeat(Effect.delay(Effect.sync(client.got), 1), {
            until: (got) => got > had + 256 * 1024
          })
          client.socket.pause()
        }
        client.socket.resume()
        yield* Effect.repeat(Effect.delay(Effect.sync(client.got), 5), { until: (got) => got > LARGE })
        yield* Deferred.succeed(go, undefined)
        assert.strictEqual(H.messages(yield* Effect.promise(() => waiting.answer)).length, 1)
        assert.strictEqual(yield* dropped(server, "stalled"), before)
      }).pipe(quiet)
  )

  it.scopedLive("is forgotten with its connection, and those that wait behind it never begin", () =>
    Effect.gen(function* () {
      const begun: Array<string> = []
      const next = H.tool("next", ({ text = "" }) =>
        Effect.sync(() => {
          begun.push(text)
          return { who: text }
        })
      )
      const server = yield* H.server({ tools: [large, next], options: { metrics: "open" } })
      const session = yield* server.open()
      const streams = Effect.map(server.ask({ path: "/metrics" }), ({ body }) =>
        Number(/^snowguard_http_streams (\d+)$/m.exec(body)?.[1])
      )
      const client = yield* deaf(
        server,
        session,
        H.toolCall(1, "large"),
        H.toolCall(2, "next", { text: "behind" }),
        H.message(3, "ping")
      )
      yield* Effect.repeat(Effect.delay(streams, 5), { until: (open) => open === 1 })
      client.socket.destroy()
      yield* Effect.repeat(Effect.delay(streams, 5), { until: (open) => open === 0 })
      yield* server.call(session, 4, "next", { text: "later" })
      assert.deepStrictEqual(begun, ["later"])
    }).pipe(quiet)
  )

  it.scopedLive("is dropped when all together are too many, those that wait longest first", () =>
    Effect.gen(function* () {
      const server = yield* H.server({
        tools: [large],
        options: { maxUnreadBytes: 3 * LARGE, metrics: "open" }
      })
      const session = yield* server.open()
      const before = yield* dropped(server, "overflow")
      const first = yield* deaf(server, session, H.toolCall(1, "large"))
      yield* Effect.sleep(300)
      for (const id of [2, 3, 4]) yield* deaf(server, session, H.toolCall(id, "large"))
      yield* until(server, "overflow", before + 1)
      first.socket.resume()
      assert.isBelow(yield* Effect.promise(() => first.closed), LARGE)
      // A client that reads has what it asked for.
      const { body } = yield* server.call(session, 9, "large")
      assert.isAbove(body.length, LARGE)
    }).pipe(quiet)
  )
})
