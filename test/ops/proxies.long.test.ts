/** The examples for nginx and Caddy, between clients of both eras and the built server, with TLS. */
import { assert, describe, it } from "@effect/vitest"
import {
  Client as ModernClient,
  StreamableHTTPClientTransport as ModernTransport
} from "@modelcontextprotocol/client"
import { Client } from "@modelcontextprotocol/sdk/client/index.js"
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js"
import type { CallToolResult } from "@modelcontextprotocol/sdk/types.js"
import { Context, Effect, Layer } from "effect"
import type { Scope } from "effect"
import { randomBytes } from "node:crypto"
import { writeFileSync } from "node:fs"
import { connect as connectHttp2 } from "node:http2"
import { join } from "node:path"
import { Agent, fetch as fetchWith } from "undici"
import { run } from "../utils/command.js"
import { freePort } from "../utils/freePort.js"
import * as H from "../utils/http.js"
import type { Process } from "../utils/httpProcess.js"
import { endless, folder, spawned } from "../utils/httpProcess.js"
import type { Nginx } from "../utils/ops.js"
import { available, certificate, daemon, eventually, nginx, shipped } from "../utils/ops.js"
import { bin, cleanEnv, report } from "../utils/server.js"
import { withLayer } from "../utils/withLayer.js"

const NAME = "snowguard.example.com"

const portOf = (started: Process): Promise<number> =>
  Promise.race([started.port, started.exited.then(() => Promise.reject(new Error(started.stderr)))])

/** Servers with the shipped settings, and one key for all of them. */
const servers = (count: number) =>
  Effect.gen(function* () {
    const home = yield* folder
    const config = join(home, "snowguard.toml")
    writeFileSync(
      config,
      shipped("snowguard.toml", [["/var/log/snowguard/audit.jsonl", join(home, "audit.jsonl")]])
    )
    const env = {
      SNOWGUARD_CONFIG: config,
      SNOWGUARD_STATE_DIR: home,
      SNOWGUARD_WAREHOUSE: "duckdb",
      SNOWGUARD_TIERS_DEFAULT_REQUESTS_PER_SECOND: "1000",
      SNOWGUARD_TIERS_DEFAULT_BURST: "1000",
      SNOWGUARD_RESULTS_CURSOR_KEY: randomBytes(32).toString("base64")
    }
    const created = yield* Effect.promise(() =>
      run(process.execPath, [bin, "keys", "create", "ada", "--json"], { env: cleanEnv(env) })
    )
    assert.strictEqual(created.status, 0, created.stderr)
    const { key } = JSON.parse(created.stdout) as { readonly key: string }
    const start = (port = 0) => spawned({ ...env, SNOWGUARD_HTTP_PORT: String(port) })
    const all = yield* Effect.forEach(Array.from({ length: count }), () => start())
    const ports = yield* Effect.promise(() => Promise.all(all.map(portOf)))
    return { key, ports, processes: all, start }
  })

interface Front {
  readonly port: number
  readonly tls: { readonly ca: string; readonly servername: string }
}

type Started<A> = Effect.Effect<A & Front, never, Scope.Scope>

const nginxBefore = (ports: ReadonlyArray<number>): Started<{ readonly nginx: Nginx }> =>
  Effect.gen(function* () {
    const home = yield* folder
    const { ca, cert, key } = yield* certificate(home, [NAME])
    const [port, plain] = yield* Effect.promise(() => Promise.all([freePort(), freePort()]))
    const conf = shipped("nginx.conf", [
      ["listen 443 ssl http2", `listen 127.0.0.1:${port} ssl http2`],
      ["    listen [::]:443 ssl http2;\n", ""],
      ["listen 80;", `listen 127.0.0.1:${plain};`],
      ["    listen [::]:80;\n", ""],
      ["/etc/ssl/snowguard/fullchain.pem", cert],
      ["/etc/ssl/snowguard/privkey.pem", key],
      [
        "    server 127.0.0.1:8787 max_fails=0;\n",
        ports.map((port) => `    server 127.0.0.1:${port} max_fails=0;\n`).join("")
      ]
    ])
    return { port, tls: { ca, servername: NAME }, nginx: yield* nginx(home, conf, port) }
  })

const caddyBefore = (ports: ReadonlyArray<number>): Started<object> =>
  Effect.gen(function* () {
    const home = yield* folder
    const { ca, cert, key } = yield* certificate(home, [NAME])
    const port = yield* Effect.promise(freePort)
    const conf = shipped("Caddyfile", [
      [
        `https://${NAME} {`,
        `{\n\tadmin off\n\tauto_https off\n}\n\nhttps://${NAME}:${port} {\n\tbind 127.0.0.1\n\ttls ${cert} ${key}`
      ],
      ["127.0.0.1:8787", ports.map((port) => `127.0.0.1:${port}`).join(" ")]
    ])
    const file = join(home, "Caddyfile")
    writeFileSync(file, conf)
    const env = { HOME: home, XDG_DATA_HOME: home, XDG_CONFIG_HOME: home }
    yield* daemon("caddy", ["run", "--adapter", "caddyfile", "--config", file], port, { env })
    return { port, tls: { ca, servername: NAME } }
  })

const behind = ({ port, tls }: Front, from = "127.0.0.1") =>
  new H.Server(port, { ...tls, localAddress: from })

const named = { host: NAME }

/** Statements that run, as the server itself counts them. */
const running = (port: number, key: string) =>
  Effect.promise(async () => {
    const direct = new H.Server(port)
    const { headers, body } = H.modern("look", "tools/call", { name: "get_limits", arguments: {} })
    const { answer } = direct.start({ body: body as object, headers, token: key })
    const limits = H.messages(await answer)[0]?.result?.["structuredContent"] as {
      readonly concurrency: ReadonlyArray<{ readonly pool: string; readonly in_use: number }>
    }
    return limits.concurrency.find(({ pool }) => pool === "statements")?.in_use
  })

const untilRunning = (port: number, key: string, wanted: number) =>
  Effect.repeat(Effect.zipLeft(running(port, key), Effect.sleep(20)), { until: (count) => count === wanted })

/** Tells how far a call has come while it runs. */
const watched = { _meta: { progressToken: "watched" } }

type Call = (name: string, args: object, timeout?: number) => Promise<CallToolResult>

/** The clients of the two SDKs, over TLS under the name that the server is called by. */
const clients = ({ port, tls }: Front, token: string) =>
  Effect.gen(function* () {
    const agent = yield* Effect.acquireRelease(
      Effect.sync(
        () =>
          new Agent({
            // A connection for each request: one that is idle may be closed while a request is on its way.
            pipelining: 0,
            connect: {
              ca: tls.ca,
              lookup: (_, __, found) => found(null, [{ address: "127.0.0.1", family: 4 }])
            }
          })
      ),
      (agent) => Effect.promise(() => agent.destroy())
    )
    const url = new URL(`https://${NAME}:${port}/mcp`)
    const options = {
      requestInit: { headers: { authorization: `Bearer ${token}` } },
      fetch: (url: string | URL, { body, headers, method = "GET", signal }: RequestInit = {}) =>
        fetchWith(url, {
          method,
          headers: Object.fromEntries(new Headers(headers)),
          body: typeof body === "string" ? body : null,
          signal: signal ?? null,
          dispatcher: agent
        })
    }
    const opened = <C extends { readonly close: () => Promise<void> }>(
      client: C,
      connect: () => Promise<void>
    ) =>
      Effect.acquireRelease(
        Effect.promise(() => connect().then(() => client)),
        () => Effect.promise(() => client.close())
      )
    const legacy = new Client({ name: "test", version: "1" })
    yield* opened(legacy, () => legacy.connect(new StreamableHTTPClientTransport(url, options)))
    const mode = { pin: "2026-07-28" }
    const modern = new ModernClient({ name: "test", version: "1" }, { versionNegotiation: { mode } })
    yield* opened(modern, () => modern.connect(new ModernTransport(url, options)))
    const calls: ReadonlyArray<readonly [era: string, call: Call]> = [
      [
        "2025",
        (name, args, timeout = 60_000) =>
          legacy.callTool({ name, arguments: { ...args } }, undefined, { timeout }) as Promise<CallToolResult>
      ],
      [
        "2026",
        (name, args, timeout = 60_000) =>
          modern.callTool({ name, arguments: { ...args } }, { timeout }) as Promise<CallToolResult>
      ]
    ]
    return calls
  })

const proxies: ReadonlyArray<
  readonly [name: string, before: (ports: ReadonlyArray<number>) => Started<object>]
> = [
  ["nginx", nginxBefore],
  ["caddy", caddyBefore]
]

/** One server behind a proxy, for all tests of that proxy. */
class Place extends Context.Tag("test/Place")<
  Place,
  {
    readonly key: string
    readonly process: Process
    readonly port: number
    readonly front: Front
    readonly server: H.Server
  }
>() {}

const place = (before: (ports: ReadonlyArray<number>) => Started<object>) =>
  Effect.gen(function* () {
    const { key, ports, processes } = yield* servers(1)
    const front = yield* before(ports)
    const [process, port] = [processes[0] as Process, ports[0] as number]
    return Place.of({ key, process, port, front, server: behind(front) })
  })

for (const [name, before] of proxies) {
  if (!available(name, "openssl")) continue
  withLayer(Layer.scoped(Place, place(before)))(`the example for ${name}`, (it) => {
    it.effect("lets clients of both eras call over TLS", () =>
      Effect.gen(function* () {
        const { front, key } = yield* Place
        for (const [era, call] of yield* clients(front, key)) {
          const result = yield* Effect.promise(() => call("execute_query", { sql: "SELECT 42 AS N" }))
          assert.deepInclude(result.structuredContent, { row_count: 1 }, era)
        }
      })
    )

    it.effect("hands on what a call tells while it runs, and a hang-up ends its statement", () =>
      Effect.gen(function* () {
        const { front, key, port, server } = yield* Place
        const session = yield* server.open({ token: key, headers: named })
        const params = { name: "execute_query", arguments: { sql: endless } }
        const modern = H.modern(2, "tools/call", { ...params, ...watched })
        const asks: ReadonlyArray<H.Ask> = [
          { body: H.message(1, "tools/call", { ...params, ...watched }), session, headers: named },
          { body: modern.body as object, headers: { ...named, ...modern.headers } },
          // Nothing is told here: its headers alone come before its end.
          { body: H.message(3, "tools/call", params), session, headers: named }
        ]
        for (const ask of asks) {
          const call = server.start({ ...ask, token: key })
          const response = yield* Effect.promise(() => call.began)
          assert.strictEqual(response.statusCode, 200)
          yield* untilRunning(port, key, 1)
          call.request.destroy()
          yield* untilRunning(port, key, 0)
        }
        const told = server.start({ ...asks[0], token: key })
        const response = yield* Effect.promise(() => told.began)
        const first = yield* Effect.promise(
          () => new Promise<string>((resolve) => response.once("data", (text: string) => resolve(text)))
        )
        assert.match(first, /notifications\/progress/)
        told.request.destroy()
        yield* untilRunning(port, key, 0)

        // HTTP/2 has no connection of its own for a call: its stream is reset.
        const http2 = yield* Effect.acquireRelease(
          Effect.sync(() =>
            connectHttp2(`https://${NAME}:${front.port}`, { ...front.tls, host: "127.0.0.1" })
          ),
          (session) => Effect.sync(() => session.destroy())
        )
        const stream = http2.request({
          ":method": "POST",
          ":path": "/mcp",
          authorization: `Bearer ${key}`,
          accept: "application/json, text/event-stream",
          "content-type": "application/json",
          "mcp-session-id": session
        })
        stream.end(JSON.stringify(H.message(4, "tools/call", params)))
        yield* untilRunning(port, key, 1)
        stream.close()
        yield* untilRunning(port, key, 0)
      })
    )

    it.effect("sends the events of the status page at once", () =>
      Effect.gen(function* () {
        const { key, server } = yield* Place
        const { began, request } = server.start({ path: "/status/events", token: key, headers: named })
        const response = yield* Effect.promise(() => began)
        assert.include(response.headers["content-type"], "text/event-stream")
        let text = ""
        response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk))
        response.on("error", () => {})
        yield* eventually(() => /^data: .*\n\ndata: /m.test(text))
        request.destroy()
      })
    )

    it.effect("tells the server who calls, whatever a caller writes of itself", () =>
      Effect.gen(function* () {
        const { front, process } = yield* Place
        const stranger = behind(front, "127.0.0.2")
        const headers = { ...named, "x-forwarded-for": "203.0.113.9" }
        const { status } = yield* stranger.ask({ body: H.initialize(), token: "guessed", headers })
        assert.strictEqual(status, 401)
        const line = yield* eventually(() =>
          process.stderr.split("\n").find((line) => line.includes("credentials refused"))
        )
        assert.deepInclude((JSON.parse(line) as { readonly annotations: object }).annotations, {
          address: "127.0.0.2"
        })
      })
    )

    it.effect("keeps other names, and the operator's paths for outsiders, away", () =>
      Effect.gen(function* () {
        const { front, key, server } = yield* Place
        const evil = yield* server.ask({
          body: H.initialize(),
          token: key,
          headers: { host: "evil.example" }
        })
        // Caddy has no site of that name, and answers with nothing.
        assert.isTrue(evil.status === 403 || evil.body === "", `${evil.status} ${evil.body}`)
        assert.isUndefined(evil.headers["mcp-session-id"])
        const stranger = behind(front, "127.0.0.2")
        for (const path of ["/metrics", "/admin/config/reload"]) {
          const method = path === "/metrics" ? "GET" : "POST"
          const outside = yield* stranger.ask({ path, method, token: key, headers: named })
          assert.strictEqual(outside.status, 403, path)
          assert.notInclude(outside.body, "administrators", path)
          // The server itself refuses: this key is none of an administrator.
          const inside = yield* server.ask({ path, method, token: key, headers: named })
          assert.include(inside.body, "administrators", path)
        }
        assert.strictEqual((yield* stranger.ask({ path: "/healthz", headers: named })).status, 200)
      })
    )

    it.effect("leaves it to the server to refuse what is too large", () =>
      Effect.gen(function* () {
        const { key, server } = yield* Place
        const session = yield* server.open({ token: key, headers: named })
        const body = H.toolCall(1, "execute_query", { sql: `SELECT '${"x".repeat(2 * 1024 ** 2)}'` })
        const { body: answer, status } = yield* server.ask({ body, session, token: key, headers: named })
        assert.strictEqual(status, 413)
        assert.include(answer, "jsonrpc")
      })
    )

    // Proxies give up after a minute by default.
    it.effect(
      "answers calls of more than a minute",
      () =>
        Effect.gen(function* () {
          const { front, key } = yield* Place
          const all = yield* clients(front, key)
          const results = yield* Effect.promise(() =>
            Promise.all(
              all.map(([, call]) => call("execute_query", { sql: endless, timeout_seconds: 75 }, 120_000))
            )
          )
          for (const result of results) {
            const { code } = report(result)
            assert.strictEqual(code, "WAREHOUSE_STATEMENT_TIMEOUT")
          }
        }),
      150_000
    )
  })
}

describe.runIf(available("nginx", "openssl"))("the example for nginx, while calls run", () => {
  /** Calls of both eras all the time, until the first that goes wrong. */
  const calling = (front: Front, key: string) =>
    Effect.gen(function* () {
      let answered = 0
      let failed: string | undefined
      let isOver = false
      const all = yield* clients(front, key)
      const loops = all.map(async ([era, call]) => {
        while (!isOver && failed === undefined) {
          await call("execute_query", { sql: "SELECT 1" }).then(
            (result) => {
              if (result.isError === true) failed = `${era}: ${JSON.stringify(result.content)}`
              else answered += 1
            },
            (error: unknown) => {
              failed = `${era}: ${String(error)} ${error instanceof Error ? String(error.cause) : ""}`
            }
          )
        }
      })
      const stop = Effect.promise(() => {
        isOver = true
        return Promise.all(loops)
      })
      yield* Effect.addFinalizer(() => stop)
      const more = (count: number) =>
        Effect.suspend(() => {
          const from = answered
          return eventually(() => {
            if (failed !== undefined) throw new Error(failed)
            return answered >= from + count
          })
        })
      return { more, stop }
    })

  it.scopedLive("no call fails when it reads its files again, or is replaced by a new one", () =>
    Effect.gen(function* () {
      const { key, ports } = yield* servers(1)
      const front = yield* nginxBefore(ports)
      const server = behind(front)
      const session = yield* server.open({ token: key, headers: named })
      // Begins before, and goes on through both.
      const long = server.start({
        body: H.toolCall(1, "execute_query", { sql: endless, timeout_seconds: 8 }),
        session,
        token: key,
        headers: named
      })
      yield* untilRunning(ports[0] as number, key, 1)
      yield* Effect.scoped(
        Effect.gen(function* () {
          const { more, stop } = yield* calling(front, key)
          yield* more(3)
          yield* front.nginx.signal("reload")
          yield* eventually(() => front.nginx.log().includes("gracefully shutting down"))
          yield* more(3)

          const before = front.nginx.pid()
          process.kill(before as number, "SIGUSR2")
          yield* eventually(() => front.nginx.oldPid() === before && front.nginx.pid() !== undefined)
          yield* more(3)
          process.kill(before as number, "SIGQUIT")
          yield* more(3)
          yield* stop
        })
      )
      const answer = yield* Effect.promise(() => long.answer)
      assert.strictEqual(
        report(H.messages(answer)[0]?.result as CallToolResult).code,
        "WAREHOUSE_STATEMENT_TIMEOUT",
        answer.body
      )
      // The streams of the clients are closed, so that nothing holds the old one any more.
      yield* eventually(() => front.nginx.oldPid() === undefined)
      const after = yield* behind(front).ask({ path: "/healthz", headers: named })
      assert.strictEqual(after.status, 200)
    })
  )

  it.scopedLive("no call fails while two servers are replaced one after the other", () =>
    Effect.gen(function* () {
      const { key, ports, processes, start } = yield* servers(2)
      const front = yield* nginxBefore(ports)
      const { more, stop } = yield* calling(front, key)
      for (const [i, old] of processes.entries()) {
        yield* more(3)
        old.child.kill("SIGTERM")
        yield* Effect.promise(() => old.exited)
        yield* more(3)
        const next = yield* start(ports[i])
        yield* Effect.promise(() => portOf(next))
      }
      yield* more(5)
      yield* stop
    })
  )
})
