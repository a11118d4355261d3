import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger, LogLevel } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import type { Socket } from "node:net"
import { connect } from "node:net"
import { join } from "node:path"
import * as Keys from "../../src/transport/auth/Keys.js"
import * as H from "../utils/http.js"

const quiet = Effect.provide(Logger.minimumLogLevel(LogLevel.None))

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "snowguard-flood-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

describe("a client that floods", () => {
  it.scopedLive("is told to wait before its requests are read, in each of its sessions; others are not", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "keys.json")
      const flooder = yield* Keys.create(path, { client: "flooder" })
      const again = yield* Keys.create(path, { client: "flooder" })
      const other = yield* Keys.create(path, { client: "other" })
      const server = yield* H.server({
        auth: Layer.orDie(Keys.layer({ path, tierOf: () => "default", isTier: () => true })),
        options: { clientRequests: { burst: 6, ratePerSecond: 0.02 } }
      })
      const session = yield* server.open({ token: flooder.key })
      const calls = yield* Effect.forEach([1, 2, 3, 4, 5], (id) =>
        server.call(session, id, "who", {}, { token: flooder.key })
      )
      assert.deepStrictEqual(
        calls.map(({ status }) => status),
        [200, 200, 200, 200, 200]
      )
      for (const token of [flooder.key, again.key]) {
        const refused = yield* server.call(session, 6, "who", {}, { token })
        assert.strictEqual(refused.status, 429)
        assert.strictEqual(refused.headers["ratelimit-policy"], '"requests";q=6;w=300')
        assert.match(String(refused.headers["ratelimit"]), /^"requests";r=0;t=\d+$/)
        const seconds = Number(refused.headers["retry-after"])
        assert.isAtLeast(seconds, 40)
        assert.isAtMost(seconds, 50)
        const [message] = H.messages(refused)
        assert.include(message?.error?.message ?? "", `Wait ${seconds} s`)
        assert.strictEqual(message?.id, null)
      }
      const own = yield* server.open({ token: other.key })
      assert.strictEqual((yield* server.call(own, 1, "who", {}, { token: other.key })).status, 200)
    }).pipe(quiet)
  )

  it.scopedLive(
    "with half-sent bodies has a share of those that are read; others, and who has no key, none less",
    () =>
      Effect.gen(function* () {
        const lines: Array<string> = []
        const logger = Logger.make(({ annotations, message }) => {
          lines.push(JSON.stringify([message, ...annotations]))
        })
        yield* Effect.gen(function* () {
          const path = join(yield* folder, "keys.json")
          const dribbler = yield* Keys.create(path, { client: "dribbler" })
          const again = yield* Keys.create(path, { client: "dribbler" })
          const other = yield* Keys.create(path, { client: "other" })
          const server = yield* H.server({
            auth: Layer.orDie(Keys.layer({ path, tierOf: () => "default", isTier: () => true })),
            options: { maxConcurrentBodies: 8 }
          })
          const session = yield* server.open({ token: other.key })
          const head = (token: string) =>
            `POST /mcp HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${token}\r\ncontent-length: 100\r\n\r\n{`
          // Who is nobody never gets as far as that.
          const nobody = yield* Effect.promise(() =>
            Promise.all(Array.from({ length: 10 }, () => server.raw(head("sg_nobody\r\nconnection: close"))))
          )
          for (const text of nobody) assert.match(text, /^HTTP\/1\.1 (401|429) /)

          const half = (token: string) =>
            Effect.acquireRelease(
              Effect.async<Socket>((resume) => {
                const socket = connect(server.port, "127.0.0.1", () => {
                  socket.write(head(token))
                  resume(Effect.succeed(socket))
                })
                socket.on("error", () => {})
              }),
              (socket) => Effect.sync(() => socket.destroy())
            )
          yield* half(dribbler.key)
          yield* half(again.key)
          const refused = yield* Effect.repeat(server.ask({ body: H.initialize(), token: dribbler.key }), {
            until: ({ status }) => status !== 200
          })
          assert.strictEqual(refused.status, 429)
          assert.strictEqual(refused.headers["retry-after"], "1")
          assert.strictEqual(refused.headers["ratelimit-policy"], '"bodies";q=2;qu="concurrent-bodies"')
          for (let i = 0; i < 20; i++) yield* half(dribbler.key)
          for (let id = 0; id < 20; id++) {
            const { status } = yield* server.call(session, id, "who", {}, { token: other.key })
            assert.strictEqual(status, 200)
          }
        }).pipe(Effect.provide(Logger.replace(Logger.defaultLogger, logger)), Effect.scoped)
        const told = lines.filter((line) => line.includes("were not read"))
        // The first, and all others in one at the end.
        assert.strictEqual(told.length, 2)
        for (const line of told) assert.include(line, '["client","dribbler"]')
      })
  )
})
