import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger, LogLevel } from "effect"
import { connect } from "node:net"
import * as Principal from "../../../src/platform/Principal.js"
import * as Auth from "../../../src/mcp/auth/Auth.js"
import * as H from "../../utils/http.js"

const quiet = Effect.provide(Logger.minimumLogLevel(LogLevel.None))

/** Accepts `Bearer sesame` alone. */
const guarded = Layer.succeed(Auth.Authenticator, {
  mode: "keys",
  authenticate: (credentials) =>
    Effect.flatMap(Auth.bearer(credentials), (token) =>
      token === "sesame"
        ? Effect.succeed({ principal: Principal.make("ali"), owner: "ali", admin: true })
        : new Auth.AuthRefused({ reason: "invalid", description: "No." })
    ),
  remembered: () => Effect.succeedNone,
  challenge: () => "Bearer",
  resourceMetadata: Effect.runSync(Effect.succeedNone)
})

/** The statuses of all answers on one connection. */
const statuses = (answers: string) => [...answers.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, code]) => code)

const head = (line: string, ...headers: ReadonlyArray<string>) =>
  `${[line, "host: localhost", ...headers].join("\r\n")}\r\n\r\n`

const close = "connection: close"
const json = "content-type: application/json"
const accept = "accept: application/json, text/event-stream"
const smuggled = head("GET /metrics HTTP/1.1", "authorization: Bearer sesame", close)

/** What comes over the wire, and the statuses of what goes back. Nothing of it may get at the metrics. */
const wire: { readonly [what: string]: readonly [bytes: string, statuses: ReadonlyArray<string>] } = {
  "a length and chunks (CL.TE)": [
    head("POST /mcp HTTP/1.1", json, "content-length: 6", "transfer-encoding: chunked") +
      `0\r\n\r\n${smuggled}`,
    ["400"]
  ],
  "chunks and a length (TE.CL)": [
    head("POST /mcp HTTP/1.1", json, "transfer-encoding: chunked", "content-length: 3") +
      `8\r\nSMUGGLED\r\n0\r\n\r\n${smuggled}`,
    ["400"]
  ],
  "an encoding in disguise (TE.TE)": [
    head("POST /mcp HTTP/1.1", json, "transfer-encoding: chunked", "transfer-encoding: x") +
      `0\r\n\r\n${smuggled}`,
    ["400"]
  ],
  "two lengths": [
    head("POST /mcp HTTP/1.1", json, "content-length: 2", "content-length: 200") + `{}${smuggled}`,
    ["400"]
  ],
  "a length that is negative": [head("POST /mcp HTTP/1.1", json, "content-length: -1") + smuggled, ["400"]],
  // Refused for its credential, and again for what comes behind.
  "a chunk whose size is no number": [
    head("POST /mcp HTTP/1.1", json, "transfer-encoding: chunked") + `zz\r\n{}\r\n0\r\n\r\n${smuggled}`,
    ["401", "400"]
  ],
  "a space before a colon": [
    `POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-length : 2\r\n\r\n{}${smuggled}`,
    ["400"]
  ],
  "a header that goes on in the next line": [
    `GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-a: 1\r\n\ttransfer-encoding: chunked\r\n${close}\r\n\r\n`,
    ["400"]
  ],
  "a request in the body of one that is refused": [
    head("POST /mcp HTTP/1.1", json, "authorization: Bearer sesame", "content-length: 999999999") + smuggled,
    ["413"]
  ],
  "a compressed request with another one behind it": [
    head(
      "POST /mcp HTTP/1.1",
      "authorization: Bearer sesame",
      "content-encoding: gzip",
      "content-length: 2"
    ) + `{}${smuggled}`,
    ["415"]
  ],
  "no host": [`POST /mcp HTTP/1.1\r\n${close}\r\n\r\n`, ["400"]],
  "two credentials": [
    head("GET /metrics HTTP/1.1", "Authorization: Bearer sesame", "authorization: Bearer other", close),
    ["400"]
  ],
  "two hosts": [head("POST /mcp HTTP/1.1", "host: evil.example", close), ["400"]],
  "HTTP/1.0 without a host": ["GET /metrics HTTP/1.0\r\n\r\n", ["403"]],
  "HTTP/1.0 with one": ["GET /metrics HTTP/1.0\r\nhost: localhost\r\n\r\n", ["401"]],
  "HTTP/0.9": ["GET /metrics\r\n\r\n", ["403"]],
  "HTTP/2 with prior knowledge": ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ["400"]],
  TLS: ["\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", ["400"]],
  "a tunnel": [head("CONNECT 127.0.0.1:22 HTTP/1.1"), []],
  "an upgrade": [
    head(
      "GET /mcp HTTP/1.1",
      "upgrade: websocket",
      "connection: upgrade, close",
      "sec-websocket-version: 13"
    ),
    ["401"]
  ],
  "an expectation that is none": [head("GET /healthz HTTP/1.1", "expect: x", close), ["417"]],
  "an unknown method": [head("BREW /mcp HTTP/1.1", close), ["400"]]
}

/** Names of what is behind a credential, and of nothing: none of them gets there without one. */
const paths: ReadonlyArray<string> = [
  ...[
    "/metrics",
    "/metrics/",
    "//metrics",
    "/metrics?x=/healthz",
    "/%6detrics",
    "/metrics%00",
    "/metrics;x=1"
  ],
  ...["/healthz/../metrics", "/healthz/..%2fmetrics", "/mcp/../metrics", "/METRICS", "*"],
  ...["http://localhost/metrics", "http://evil.example/metrics"],
  ...["/status/data", "/status//data", "/status/data/", "/status/./events", "//status/events"]
]

/** Names of `/mcp`, and what a POST without a credential gets there. */
const mcpPaths: { readonly [path: string]: number } = {
  "/mcp": 401,
  "/mcp/": 401,
  "/mcp?x": 401,
  "/mcp/?x=/healthz": 401,
  "//mcp": 404,
  "/./mcp": 404,
  "/MCP": 404,
  "/%6dcp": 404,
  "/mcp%2f": 404,
  "/mcp%3fx": 404,
  "/mcp;x": 404,
  "/mcpx": 404,
  "/mcp/x": 404,
  "/mcp#x": 404,
  "http://evil.example/mcp": 404
}

describe("what is no request, or another one than it seems", () => {
  it.scopedLive("gets one answer, and never at what is behind it", () =>
    Effect.gen(function* () {
      const server = yield* H.server({ auth: guarded, options: { requestTimeoutMs: 300 } })
      const got = yield* Effect.forEach(
        Object.entries(wire),
        ([what, [bytes, expected]]) =>
          Effect.map(
            Effect.promise(() => server.raw(bytes)),
            (answers) => ({ what, answers, expected })
          ),
        { concurrency: 8 }
      )
      assert.deepStrictEqual(
        Object.fromEntries(got.map(({ answers, what }) => [what, statuses(answers)])),
        Object.fromEntries(got.map(({ expected, what }) => [what, [...expected]]))
      )
      for (const { answers, what } of got) assert.notInclude(answers, "snowguard_", what)
      assert.strictEqual((yield* server.ask({ path: "/healthz" })).status, 200)
    }).pipe(quiet)
  )

  it.scopedLive("a path is that path and no other one", () =>
    Effect.gen(function* () {
      const server = yield* H.server({
        auth: guarded,
        options: { failedLogins: { burst: 99, ratePerSecond: 1 } }
      })
      const asked = (method: string, path: string) =>
        Effect.promise(() => server.raw(head(`${method} ${path} HTTP/1.1`, json, accept, close)))
      for (const path of paths) {
        const answer = yield* asked("GET", path)
        assert.match(answer, /^HTTP\/1\.1 40[134] /, path)
        assert.notMatch(answer, /snowguard_|snapshot/, path)
      }
      for (const [path, expected] of Object.entries(mcpPaths)) {
        assert.deepStrictEqual(statuses(yield* asked("POST", path)), [String(expected)], path)
      }
    }).pipe(quiet)
  )

  it.scopedLive("methods that are not the protocol's do nothing", () =>
    Effect.gen(function* () {
      const server = yield* H.server()
      const session = yield* server.open()
      for (const method of ["HEAD", "PUT", "PATCH", "TRACE", "PROPFIND"]) {
        const got = yield* server.ask({ method, session, headers: { cookie: "secret-cookie" } })
        assert.strictEqual(got.status, 405, method)
        assert.strictEqual(got.headers.allow, "GET, POST, DELETE")
        assert.notInclude(got.body, "secret-cookie")
      }
      for (const [method, path] of [
        ["POST", "/healthz"],
        ["DELETE", "/metrics"],
        ["TRACE", "/healthz"],
        ["PUT", "/status"],
        ["GET", "/admin/breaker/open"]
      ] as const) {
        assert.strictEqual((yield* server.ask({ method, path })).status, 404, `${method} ${path}`)
      }
      const probe = yield* server.ask({ method: "HEAD", path: "/healthz" })
      assert.deepStrictEqual([probe.status, probe.body], [200, ""])
      assert.strictEqual((yield* server.call(session, 1, "who")).status, 200)
    }).pipe(quiet)
  )

  it.scopedLive("requests that come in one go are answered in their order, each for itself", () =>
    Effect.gen(function* () {
      const server = yield* H.server({ auth: guarded })
      const body = JSON.stringify(H.initialize())
      const post = (...headers: ReadonlyArray<string>) =>
        head("POST /mcp HTTP/1.1", json, accept, `content-length: ${body.length}`, ...headers) + body
      const answers = yield* Effect.promise(() =>
        server.raw(
          post("authorization: Bearer sesame") +
            // An earlier request on the same connection proves nothing.
            post() +
            head("GET /healthz HTTP/1.1") +
            head("GET /metrics HTTP/1.1", close)
        )
      )
      assert.deepStrictEqual(statuses(answers), ["200", "401", "200", "401"])
    }).pipe(quiet)
  )

  it.scopedLive("requests that come in one go are begun one after the other, and only so many may wait", () =>
    Effect.gen(function* () {
      let running = 0
      let most = 0
      const slow = H.tool("slow", () =>
        Effect.sync(() => (most = Math.max(most, ++running))).pipe(
          Effect.zipRight(Effect.yieldNow()),
          Effect.ensuring(Effect.sync(() => running--)),
          Effect.as({ who: "x" })
        )
      )
      const server = yield* H.server({ tools: [slow], options: { metrics: "open" } })
      const session = yield* server.open()
      const calls = (count: number) =>
        Array.from({ length: count }, (_, id) => {
          const body = JSON.stringify(H.toolCall(id, "slow"))
          const last = id === count - 1 && count < 10 ? [close] : []
          const lines = [json, accept, `mcp-session-id: ${session}`, `content-length: ${body.length}`]
          return head("POST /mcp HTTP/1.1", ...lines, ...last) + body
        }).join("")
      const few = yield* Effect.promise(() => server.raw(calls(9)))
      assert.deepStrictEqual(
        statuses(few),
        Array.from({ length: 9 }, () => "200")
      )
      assert.strictEqual(most, 1)
      // Those that may wait are answered; this connection is closed then, and no other.
      // The first may have left before the last has come, and made room for one more.
      const many = statuses(yield* Effect.promise(() => server.raw(calls(100))))
      assert.deepStrictEqual([...new Set(many)], ["200"])
      assert.isAtLeast(many.length, 9)
      assert.isBelow(many.length, 100)
      assert.strictEqual(most, 1)
      // A flood is not read to its end.
      yield* Effect.promise(() => server.raw(calls(20_000)))
      const { body } = yield* server.ask({ path: "/metrics" })
      assert.match(body, /snowguard_http_refusals_total\{[^}]*reason="pipelined"[^}]*\} 2$/m)
      assert.strictEqual((yield* server.call(session, 1, "slow")).status, 200)
    }).pipe(quiet)
  )

  it.scopedLive("headers that come a byte at a time are cut off all the same", () =>
    Effect.gen(function* () {
      const server = yield* H.server({ options: { requestTimeoutMs: 200, maxConnections: 4 } })
      const trickle = () =>
        new Promise<string>((resolve) => {
          const socket = connect(server.port, "127.0.0.1")
          let text = ""
          socket.setEncoding("utf8").on("data", (chunk: string) => (text += chunk))
          socket.on("error", () => {})
          const more = setInterval(() => socket.write("x-a: b\r\n"), 20)
          socket.write("POST /mcp HTTP/1.1\r\nhost: localhost\r\n")
          socket.on("close", () => {
            clearInterval(more)
            resolve(text)
          })
        })
      const held = yield* Effect.promise(() => Promise.all([trickle(), trickle(), trickle(), trickle()]))
      for (const answer of held) assert.match(answer, /^HTTP\/1\.1 408 /)
      assert.strictEqual((yield* server.ask({ path: "/healthz" })).status, 200)
    }).pipe(quiet)
  )

  it.scopedLive("connections beyond the limit are dropped, and counted", () =>
    Effect.gen(function* () {
      const server = yield* H.server({ options: { maxConnections: 2 } })
      const idle = () =>
        new Promise<ReturnType<typeof connect>>((resolve) => {
          const socket = connect(server.port, "127.0.0.1", () => resolve(socket))
          socket.on("error", () => {})
        })
      const sockets = yield* Effect.promise(() => Promise.all([idle(), idle()]))
      assert.strictEqual(yield* Effect.promise(() => server.raw(head("GET /healthz HTTP/1.1", close))), "")
      for (const socket of sockets) socket.destroy()
      const metrics = Effect.promise(() =>
        server.start({ path: "/metrics" }).answer.then(
          ({ body }) => body,
          () => ""
        )
      )
      const body = yield* Effect.repeat(metrics, { until: (text) => text !== "" })
      assert.match(body, /^snowguard_http_refusals_total\{reason="connections"\} \d+$/m)
    }).pipe(quiet)
  )
})

describe("JSON that parsers read differently", () => {
  it.scopedLive("is refused, or means the same to every parser", () =>
    Effect.gen(function* () {
      const server = yield* H.server()
      const session = yield* server.open()
      const ask = (body: string) => server.ask({ body, session })
      const refused: { readonly [what: string]: string } = {
        "an id beyond what can be told apart": `{"jsonrpc":"2.0","id":9007199254740993,"method":"ping"}`,
        "an id that is infinite": `{"jsonrpc":"2.0","id":1e999,"method":"ping"}`,
        "a prototype": `{"jsonrpc":"2.0","id":1,"method":"ping","__proto__":{"polluted":true}}`,
        "a constructor": `{"jsonrpc":"2.0","id":1,"method":"ping","constructor":{"prototype":{"polluted":1}}}`,
        "a request that is an answer too": `{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}`,
        "another version": `{"jsonrpc":"1.0","id":1,"method":"ping"}`,
        "two documents": `{"jsonrpc":"2.0","id":1,"method":"ping"}{}`,
        "a comment": `{"jsonrpc":"2.0","id":1,"method":"ping"}//`,
        "a number that JSON does not have": `{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":NaN}}`,
        "a batch": `[{"jsonrpc":"2.0","id":1,"method":"ping"}]`,
        "an empty batch": "[]",
        "an id of null": `{"jsonrpc":"2.0","id":null,"method":"ping"}`
      }
      for (const [what, body] of Object.entries(refused)) {
        assert.strictEqual((yield* ask(body)).status, 400, what)
      }
      assert.notProperty({}, "polluted")
      const [last] = H.messages(yield* ask(`{"jsonrpc":"2.0","id":1,"id":2,"method":"x","method":"ping"}`))
      assert.deepInclude(last, { id: 2, result: {} })
      const inside = (args: string) =>
        ask(`{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"who","arguments":${args}}}`)
      for (const args of [`{"constructor":1}`, `{"text":1e999}`, `{"text":${"9".repeat(5000)}}`]) {
        const [answer] = H.messages(yield* inside(args))
        assert.deepInclude(answer?.result, { isError: true }, args)
      }
      // Of a prototype there is nothing left.
      const [bare] = H.messages(yield* inside(`{"__proto__":{"text":7}}`))
      assert.deepInclude(bare?.result, { structuredContent: { who: "local/default" } })
      const odd = yield* inside(`{"text":"\\ud800\\u0000\\u2028"}`)
      assert.isDefined(H.messages(odd)[0]?.result)
      assert.strictEqual((yield* server.call(session, 4, "who")).status, 200)
    }).pipe(quiet)
  )
})
