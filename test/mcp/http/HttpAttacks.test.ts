import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger, LogLevel, Option, Ref } from "effect"
import { connect } from "node:net"
import * as Principal from "../../../src/platform/Principal.js"
import * as Auth from "../../../src/mcp/auth/Auth.js"
import * as Address from "../../../src/mcp/http/Address.js"
import * as H from "../../utils/http.js"

const quiet = Effect.provide(Logger.minimumLogLevel(LogLevel.None))

const ping = H.message(1, "ping")

describe("the edge", () => {
  it.scopedLive("a page that reaches it under a name of its own, or from its own origin, gets nothing", () =>
    Effect.gen(function* () {
      const server = yield* H.server({
        options: { allowedHosts: ["snow.example.com"], allowedOrigins: ["https://app.example.com"] }
      })
      const status = (headers: { readonly [name: string]: string }, path = "/mcp") =>
        Effect.map(
          server.ask(path === "/mcp" ? { body: H.initialize(), headers } : { path, headers }),
          (got) => got.status
        )
      for (const host of [
        "evil.example.com",
        "evil.example.com:80",
        "127.0.0.1.evil.example",
        "localhost.",
        "[::1"
      ]) {
        assert.strictEqual(yield* status({ host }), 403, host)
        assert.strictEqual(yield* status({ host }, "/metrics"), 403, host)
      }
      for (const host of ["localhost:1", "127.0.0.1", "[::1]:9", "SNOW.example.com:443"]) {
        assert.strictEqual(yield* status({ host }), 200, host)
      }
      for (const origin of [
        "null",
        "https://evil.example.com",
        "http://localhost.evil.example",
        "http://a@localhost"
      ]) {
        assert.strictEqual(yield* status({ origin }), 403, origin)
      }
      for (const origin of ["https://app.example.com", "http://localhost:6274", "http://127.0.0.1:1"]) {
        assert.strictEqual(yield* status({ origin }), 200, origin)
      }
      // A health check calls it by its address.
      assert.strictEqual(yield* status({ host: "10.1.2.3" }, "/healthz"), 200)
    }).pipe(quiet)
  )

  it.scopedLive("a page of an origin on the list may ask first, and may read the answer", () =>
    Effect.gen(function* () {
      const origin = "https://app.example.com"
      const server = yield* H.server({ options: { allowedOrigins: [origin] } })
      const preflight = (origin: string) =>
        server.ask({
          method: "OPTIONS",
          headers: { origin, "access-control-request-method": "POST", accept: undefined }
        })
      const asked = yield* preflight(origin)
      assert.strictEqual(asked.status, 204)
      assert.strictEqual(asked.headers["access-control-allow-origin"], origin)
      assert.sameMembers(String(asked.headers["access-control-allow-headers"]).split(", "), [
        ...["authorization", "content-type", "accept", "last-event-id", "mcp-session-id"],
        ...["mcp-protocol-version", "mcp-method", "mcp-name", "traceparent", "tracestate", "baggage"]
      ])
      const exposed = String(asked.headers["access-control-expose-headers"]).split(", ")
      assert.includeMembers(exposed, ["mcp-session-id", "www-authenticate", "retry-after"])
      const answer = yield* server.ask({ body: H.initialize(), headers: { origin } })
      assert.strictEqual(answer.headers["access-control-allow-origin"], origin)
      assert.match(String(answer.headers["access-control-expose-headers"]), /mcp-session-id/)
      const session = String(answer.headers["mcp-session-id"])
      const refused = yield* server.ask({ body: "{", session, headers: { origin } })
      assert.deepInclude(refused.headers, { "access-control-allow-origin": origin, vary: "origin" })
      const evil = yield* preflight("https://evil.example.com")
      assert.strictEqual(evil.status, 403)
      assert.notProperty(evil.headers, "access-control-allow-origin")
      assert.notProperty((yield* server.call(session, 1, "who")).headers, "access-control-allow-origin")
    }).pipe(quiet)
  )

  it.scopedLive("a body that is too large is refused before it is read, said or not", () =>
    Effect.gen(function* () {
      const server = yield* H.server({ options: { maxBodyBytes: 2048 } })
      const said = yield* Effect.promise(() =>
        server.raw(
          "POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 999999999\r\n\r\n"
        )
      )
      assert.match(said, /^HTTP\/1\.1 413 /)
      assert.match(said, /max_body_bytes/)
      const chunk = `1000\r\n${" ".repeat(4096)}\r\n`
      const unsaid = yield* Effect.promise(() =>
        server.raw("POST /mcp HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n", chunk)
      )
      assert.match(unsaid, /^HTTP\/1\.1 413 /)
      const fits = yield* server.ask({ body: H.initialize() })
      assert.strictEqual(fits.status, 200)
    }).pipe(quiet)
  )

  it.scopedLive("a body or headers that come too slowly are cut off", () =>
    Effect.gen(function* () {
      const server = yield* H.server({ options: { requestTimeoutMs: 150 } })
      const body = yield* Effect.promise(() =>
        server.raw("POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n", "{")
      )
      assert.match(body, /^HTTP\/1\.1 408 [^]*did not arrive in time/)
      const headers = yield* Effect.promise(() => server.raw("POST /mcp HTTP/1.1\r\nhost: loc"))
      assert.match(headers, /^HTTP\/1\.1 408 /)
    }).pipe(quiet)
  )

  it.scopedLive("more bodies at once than may be read are told to come back", () =>
    Effect.gen(function* () {
      const server = yield* H.server({ options: { maxConcurrentBodies: 2 } })
      const hold = () =>
        new Promise<ReturnType<typeof connect>>((resolve) => {
          const socket = connect(server.port, "127.0.0.1", () => {
            socket.write("POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{")
            resolve(socket)
          })
          socket.on("error", () => {})
        })
      const held = yield* Effect.promise(() => Promise.all([hold(), hold()]))
      const status = Effect.map(server.ask({ body: H.initialize() }), (got) => got)
      const full = yield* Effect.repeat(status, { until: (got) => got.status === 503 })
      assert.strictEqual(full.headers["retry-after"], "1")
      for (const socket of held) socket.destroy()
      // What was given up is given back.
      yield* Effect.repeat(status, { until: (got) => got.status === 200 })
    }).pipe(quiet)
  )

  it.scopedLive("bombs of headers and of JSON are refused, and the server goes on", () =>
    Effect.gen(function* () {
      const server = yield* H.server()
      const session = yield* server.open()
      const many = Object.fromEntries(Array.from({ length: 3000 }, (_, i) => [`x-${i}`, "y".repeat(10)]))
      assert.strictEqual((yield* server.ask({ body: ping, session, headers: many })).status, 431)
      assert.strictEqual(
        (yield* server.ask({ body: ping, session, headers: { "x-big": "y".repeat(20_000) } })).status,
        431
      )
      const deep = (open: string, close: string) =>
        `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"who","arguments":${open.repeat(100_000)}1${close.repeat(100_000)}}}`
      const wide = `{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":[${"1,".repeat(100_000)}1]}}`
      const keys = `{"jsonrpc":"2.0","id":1,"method":"ping","params":{${Array.from({ length: 60_000 }, (_, i) => `"k${i}":1`).join()}}}`
      for (const body of [deep("[", "]"), deep('{"a":', "}"), wide, keys, "[".repeat(1_000_000)]) {
        const got = yield* server.ask({ body, session })
        assert.strictEqual(got.status, 400)
        assert.isBelow(got.body.length, 500)
      }
      // Fewer would be enough to keep what checks a message busy: each member is looked at several times.
      const members = (count: number) =>
        `{"jsonrpc":"2.0","id":1,"method":"ping","params":{${Array.from({ length: count }, (_, i) => `"k${i}":1`).join()}}}`
      const crowded = yield* server.ask({ body: members(1_000), session })
      assert.strictEqual(crowded.status, 400)
      assert.include(crowded.body, "more than 1000 members")
      assert.strictEqual(H.messages(crowded)[0]?.error?.code, -32600)
      assert.strictEqual((yield* server.ask({ body: members(900), session })).status, 200)
      const proto = `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"__proto__","arguments":{"__proto__":{"who":1}}}}`
      const [answer] = H.messages(yield* server.ask({ body: proto, session }))
      assert.strictEqual(answer?.error?.code, -32602)
      assert.strictEqual((yield* server.call(session, 3, "who")).status, 200)
    }).pipe(quiet)
  )

  it.scopedLive(
    "what a request says never becomes a line of the log, and a credential none of its words",
    () =>
      Effect.gen(function* () {
        const lines = yield* Ref.make<ReadonlyArray<string>>([])
        const capture = Logger.replace(
          Logger.defaultLogger,
          Logger.map(Logger.jsonLogger, (line) => Effect.runSync(Ref.update(lines, (all) => [...all, line])))
        )
        yield* Effect.gen(function* () {
          const buggy = H.tool("buggy", () => Effect.die(new Error("broken")))
          const server = yield* H.server({ tools: [buggy, H.tool("who", () => H.whoAmI)] })
          const token = "sg_secret-token-0123456789"
          const session = yield* server.open({ token })
          // A line of its own, colours, a new title for the terminal, text that runs backwards.
          const evil = 'x\n{"level":"ERROR","message":"forged"}\r\u001b[2J\u001b]0;owned\u0007\u009b31m\u202e'
          const named = { protocolVersion: evil, capabilities: {}, clientInfo: { name: evil, version: evil } }
          yield* server.open({ token, body: H.message(evil, "initialize", named) })
          const meta = { _meta: { progressToken: evil, traceparent: evil }, name: "who", arguments: {} }
          yield* server.ask({ body: H.message(4, "tools/call", meta), session, token })
          const hostile = { "user-agent": "\u009b2J", "x-forwarded-for": "\u009b1m" }
          yield* server.ask({ body: H.message(5, "ping"), session, token, headers: hostile })
          yield* server.call(session, 1, evil, {}, { token })
          yield* server.call(session, evil, "buggy", {}, { token })
          yield* server.call(session, 2, "who", { [evil]: 1 }, { token })
          yield* server.ask({ body: H.message(3, evil), session, token })
          yield* server.ask({ body: H.message(undefined, evil), session, token })
          yield* server.ask({ body: { jsonrpc: "2.0", id: 9, result: { evil } }, session, token })
          const long = { evil: "e".repeat(500_000) }
          yield* server.ask({ body: { jsonrpc: "2.0", id: 9, result: long }, session, token })
          yield* server.ask({ path: `/${encodeURIComponent(evil)}`, token })
        }).pipe(Effect.scoped, Effect.provide(Layer.merge(capture, Logger.minimumLogLevel(LogLevel.All))))
        const all = yield* Ref.get(lines)
        assert.isAbove(all.length, 2)
        for (const line of all) {
          assert.notMatch(line, /[\p{Cc}\u202e\u2028\u2029]/u)
          assert.isBelow(line.length, 2_000)
          assert.notInclude(line, "secret-token")
          assert.notStrictEqual((JSON.parse(line) as { message: unknown }).message, "forged")
        }
      })
  )

  it.scopedLive("however many sessions one caller opens, only so many exist, and others' stay", () =>
    Effect.gen(function* () {
      const by = (credentials: Auth.Credentials) => credentials.authorization ?? "nobody"
      const auth = Layer.succeed(Auth.Authenticator, {
        mode: "keys",
        authenticate: (credentials) =>
          Effect.succeed({ principal: Principal.make(by(credentials)), owner: by(credentials), admin: true }),
        remembered: () => Effect.succeedNone,
        challenge: () => undefined,
        resourceMetadata: Option.none()
      })
      const server = yield* H.server({ auth, options: { maxSessions: 20, maxSessionsPerClient: 5 } })
      const alice = yield* server.open({ token: "alice" })
      const opened: Array<string> = []
      for (let i = 0; i < 30; i++) opened.push(yield* server.open({ token: "mallory" }))
      const alive = yield* Effect.filter(opened, (session) =>
        Effect.map(server.call(session, 1, "who", {}, { token: "mallory" }), ({ status }) => status === 200)
      )
      assert.deepStrictEqual(alive, opened.slice(-5))
      assert.strictEqual((yield* server.call(alice, 1, "who", {}, { token: "alice" })).status, 200)
      const metrics = yield* server.ask({ path: "/metrics", token: "alice" })
      assert.match(metrics.body, /^snowguard_http_sessions 6$/m)
      assert.notMatch(metrics.body, /mallory|alice/)
    }).pipe(quiet)
  )
})

describe("the address of a request", () => {
  const trusted = Address.matcher(["10.0.0.0/8", "::1", "2001:db8::/32"])

  it("is the peer's, unless the peer is a proxy that was named", () => {
    assert.strictEqual(Address.client("1.2.3.4", "9.9.9.9", trusted), "1.2.3.4")
    assert.strictEqual(Address.client("::ffff:10.0.0.1", "9.9.9.9", trusted), "9.9.9.9")
    assert.strictEqual(Address.client("10.0.0.1", "6.6.6.6, 9.9.9.9, 10.2.3.4", trusted), "9.9.9.9")
    assert.strictEqual(Address.client("10.0.0.1", undefined, trusted), "10.0.0.1")
    assert.strictEqual(Address.client("10.0.0.1", "1.1.1.1, nonsense", trusted), "10.0.0.1")
    assert.strictEqual(Address.client("10.0.0.1", "10.0.0.2, 10.0.0.3", trusted), "10.0.0.2")
  })

  it("is counted as the network of an IPv6 subscriber", () => {
    assert.strictEqual(Address.block("1.2.3.4"), "1.2.3.4")
    assert.strictEqual(Address.block("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64")
    assert.strictEqual(Address.block("2001:0db8:1:2::6"), "2001:db8:1:2::/64")
    assert.strictEqual(Address.block("fe80::1"), "fe80:0:0:0::/64")
    assert.strictEqual(Address.block("::1"), "0:0:0:0::/64")
  })
})
