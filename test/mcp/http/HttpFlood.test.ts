import { assert, describe, it } from "@effect/vitest"
import { Effect, Either, Fiber, Layer, Logger, LogLevel, Option, TestClock } from "effect"
import type { IncomingMessage } from "node:http"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import type { Socket } from "node:net"
import { connect } from "node:net"
import { join } from "node:path"
import * as Keys from "../../../src/mcp/auth/Keys.js"
import * as Principal from "../../../src/platform/Principal.js"
import * as Auth from "../../../src/mcp/auth/Auth.js"
import * as Edge from "../../../src/mcp/http/Edge.js"
import * as Http from "../../../src/mcp/http/Http.js"
import * as H from "../../utils/http.js"

const quiet = Effect.provide(Logger.minimumLogLevel(LogLevel.None))

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "snowguard-flood-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

const edgeWith = (options: Partial<Pick<Edge.Options, "requests" | "bytes">>) =>
  Effect.map(
    Effect.provide(
      Edge.make({
        ...Http.defaults,
        failures: Http.defaults.failedLogins,
        requests: Http.defaults.clientRequests,
        bytes: Http.defaults.clientBytes,
        ...options
      }),
      Auth.layerNone(Principal.make("local"))
    ),
    (edge) => ({
      edge,
      /** A request with so many bytes to come. */
      comes: (length?: number) => {
        const headers = {
          host: "localhost",
          ...(length === undefined ? {} : { "content-length": `${length}` })
        }
        const request = { headers, socket: { remoteAddress: "127.0.0.1" } } as IncomingMessage
        return Effect.fork(Effect.either(edge.identify(request)))
      }
    })
  )

type Coming = Fiber.Fiber<Either.Either<Auth.Identity, { readonly status: number; readonly message: string }>>

/** "waits", "read", or why it was refused. */
const fateOf = (coming: Coming) =>
  Effect.map(Fiber.poll(coming), (exit) => {
    if (Option.isNone(exit)) return "waits"
    if (exit.value._tag === "Failure") return "failed"
    return Either.match(exit.value.value, {
      onLeft: ({ message, status }) => `${status} ${message}`,
      onRight: () => "read"
    })
  })

describe("a client that is too fast", () => {
  it.scoped("waits for its turn, request by request", () =>
    Effect.gen(function* () {
      const { comes } = yield* edgeWith({ requests: { burst: 1, ratePerSecond: 1 } })
      const coming = yield* Effect.forEach([1, 2, 3], () => comes())
      const fates = Effect.forEach(coming, fateOf)
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(yield* fates, ["read", "waits", "waits"])
      yield* TestClock.adjust(999)
      assert.deepStrictEqual(yield* fates, ["read", "waits", "waits"])
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(yield* fates, ["read", "read", "waits"])
      yield* TestClock.adjust(1_000)
      assert.deepStrictEqual(yield* fates, ["read", "read", "read"])
    })
  )

  it.scoped("waits for its bytes, announced or not, and is refused late when it would wait too long", () =>
    Effect.gen(function* () {
      const { comes, edge } = yield* edgeWith({ bytes: { burst: 4_000, ratePerSecond: 1_000 } })
      assert.strictEqual(
        yield* Effect.zipRight(TestClock.adjust(0), Effect.flatMap(comes(3_000), Fiber.await)).pipe(
          Effect.map((exit) => exit._tag)
        ),
        "Success"
      )
      // The length of a body in pieces is unknown before its end.
      edge.unannounced("local", 3_000)
      const small = yield* comes(1_000)
      const large = yield* comes(4_000)
      const empty = yield* comes()
      yield* TestClock.adjust(999)
      assert.deepStrictEqual(yield* Effect.forEach([small, large, empty], fateOf), ["waits", "waits", "read"])
      yield* TestClock.adjust(1)
      assert.match(yield* fateOf(large), /^429 .*more than 1000 bytes per second/)
      assert.strictEqual(yield* fateOf(small), "waits")
      yield* TestClock.adjust(2_000)
      assert.strictEqual(yield* fateOf(small), "read")
    })
  )

  it.scopedLive("has its turns, and others have theirs, however many calls it has under way", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "keys.json")
      const busy = yield* Keys.create(path, { client: "busy" })
      const rare = yield* Keys.create(path, { client: "rare" })
      const steps = { busy: 0, rare: 0 }
      const work = (client: keyof typeof steps, count: number) =>
        H.tool(client, () =>
          Effect.as(
            Effect.repeatN(
              Effect.suspend(() => {
                steps[client] += 1
                return Effect.yieldNow()
              }),
              count
            ),
            { who: client }
          )
        )
      const server = yield* H.server({
        auth: Layer.orDie(Keys.layer({ path, tierOf: () => "default", isTier: () => true })),
        tools: [work("busy", 1_000_000), work("rare", 5_000)]
      })
      const mine = yield* server.open({ token: rare.key })
      const theirs = yield* server.open({ token: busy.key })
      const calls = Array.from({ length: 50 }, (_, id) =>
        server.start({ body: H.toolCall(id, "busy"), session: theirs, token: busy.key })
      )
      yield* Effect.repeat(
        Effect.delay(
          Effect.sync(() => steps.busy),
          1
        ),
        { until: (count) => count > 1_000 }
      )
      const before = steps.busy
      const { status } = yield* server.call(mine, 1, "rare", {}, { token: rare.key })
      assert.strictEqual(status, 200)
      // Fiber by fiber it would have been 50 to 1.
      assert.isBelow((steps.busy - before) / steps.rare, 15)
      for (const { request } of calls) request.destroy()
    }).pipe(quiet)
  )
})

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

  it.scopedLive("with half-sent bodies has a share of those that are read; other clients keep theirs", () =>
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
        // Without a credential no body is read.
        const anonymous = yield* Effect.promise(() =>
          Promise.all(Array.from({ length: 10 }, () => server.raw(head("sg_nobody\r\nconnection: close"))))
        )
        for (const text of anonymous) assert.match(text, /^HTTP\/1\.1 (401|429) /)

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
