import { assert, describe, it } from "@effect/vitest"
import { Client } from "@modelcontextprotocol/sdk/client/index.js"
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js"
import {
  ResourceListChangedNotificationSchema,
  ToolListChangedNotificationSchema
} from "@modelcontextprotocol/sdk/types.js"
import { Deferred, Effect, Exit, Fiber, Layer, Logger, LogLevel, Option, Schedule, Scope } from "effect"
import type { IncomingMessage } from "node:http"
import { IncomingMessage as Request, ServerResponse } from "node:http"
import { Socket } from "node:net"
import { renameSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Auth from "../../../src/mcp/auth/Auth.js"
import { SessionTransport } from "../../../src/mcp/http/SessionTransport.js"
import * as Live from "../../../src/platform/Live.js"
import * as Principal from "../../../src/platform/Principal.js"
import * as H from "../../utils/http.js"
import { folder, serving } from "../../utils/httpProcess.js"
import { inLongForm, shortOrLong } from "../../utils/long.js"

/** The last one is found by looking at the file. */
const CHANGES = shortOrLong(21, 60)

const quiet = Effect.provide(Logger.minimumLogLevel(LogLevel.None))

const TOOLS = "notifications/tools/list_changed"
const RESOURCES = "notifications/resources/list_changed"

/** `Bearer CLIENT/TIER`: what it says is what the caller is. */
const named = Layer.succeed(Auth.Authenticator, {
  mode: "keys",
  authenticate: (credentials) =>
    Effect.map(Auth.bearer(credentials), (token) => {
      const [client = "", tier] = token.split("/")
      return { principal: Principal.make(client, tier), owner: token, admin: false }
    }),
  remembered: () => Effect.succeedNone,
  challenge: () => "Bearer",
  resourceMetadata: Effect.runSync(Effect.succeedNone)
})

const events = { accept: "text/event-stream" }

/** The stream of a session, and what was told on it. */
class Listening {
  text = ""
  readonly ended: Promise<void>
  private readonly heard = new Set<() => void>()
  constructor(
    readonly response: IncomingMessage,
    readonly close: () => void
  ) {
    response.setEncoding("utf8").on("data", (chunk: string) => {
      this.text += chunk
      for (const look of this.heard) look()
    })
    response.on("error", () => {})
    this.ended = new Promise((resolve) => response.once("close", resolve))
  }
  get told(): ReadonlyArray<string> {
    return [...this.text.matchAll(/^data: (.*)$/gm)].map(([, data]) => {
      const { id, method } = JSON.parse(data ?? "") as { id?: unknown; method: string }
      assert.isUndefined(id)
      return method
    })
  }
  /** When so much was told. */
  count(n: number): Effect.Effect<ReadonlyArray<string>> {
    return Effect.async((resume) => {
      const look = () => {
        if (this.told.length < n) return
        this.heard.delete(look)
        resume(Effect.sync(() => this.told))
      }
      this.heard.add(look)
      look()
    })
  }
}

const listen = (server: H.Server, session: string, token?: string) =>
  Effect.promise(async () => {
    const { began, request } = server.start({ method: "GET", session, token, headers: events })
    const response = await began
    if (response.statusCode !== 200) throw new Error(`no stream: ${response.statusCode}`)
    assert.strictEqual(response.headers["content-type"], "text/event-stream")
    assert.strictEqual(response.headers["mcp-session-id"], session)
    return new Listening(response, () => request.destroy())
  })

/** How a GET is refused. */
const refused = (server: H.Server, ask: H.Ask) =>
  Effect.map(server.ask({ method: "GET", ...ask, headers: { ...events, ...ask.headers } }), (answer) => {
    const error = H.messages(answer)[0]?.error
    return { status: answer.status, code: error?.code, message: error?.message ?? "" }
  })

const tools = ["get_limits", "list_tables", "who"].map((name) => H.tool(name, () => H.whoAmI))
const denying = (...deny: ReadonlyArray<string>) => ({ tools: { allow: [], deny } })

const shared = (options: H.ServerOptions["options"] = {}) =>
  Effect.gen(function* () {
    const { live, set } = Live.make<{ readonly [tier: string]: ReturnType<typeof denying> }>({
      default: denying(),
      gold: denying()
    })
    const server = yield* H.server({ tools, policies: live, auth: named, options })
    return { server, set }
  })

const [ali, bo, gold] = ["ali/default", "bo/default", "cy/gold"]

describe("the stream of a session", () => {
  it.scopedLive("tells each session once that the tools of its tier have changed, and no other session", () =>
    Effect.gen(function* () {
      const { server, set } = yield* shared()
      const of = (token: string) =>
        Effect.flatMap(server.open({ token }), (session) => listen(server, session, token))
      const [first, second, other] = yield* Effect.all([of(ali), of(bo), of(gold)])
      yield* set({ default: denying("who"), gold: denying() })
      assert.deepStrictEqual(yield* first.count(1), [TOOLS])
      assert.deepStrictEqual(yield* second.count(1), [TOOLS])
      // The same again, and what is denied without being there: no list is another one.
      yield* set({ default: denying("who"), gold: denying() })
      yield* set({ default: denying("who", "no_such_tool"), gold: denying() })
      yield* set({ default: denying("who"), gold: denying("who", "get_limits") })
      assert.deepStrictEqual(yield* other.count(2), [TOOLS, RESOURCES])
      yield* set({ default: denying(), gold: denying("who", "get_limits") })
      assert.deepStrictEqual(yield* first.count(2), [TOOLS, TOOLS])
      assert.deepStrictEqual(yield* second.count(2), [TOOLS, TOOLS])
      assert.deepStrictEqual(other.told, [TOOLS, RESOURCES])
      // Templates of resources are read with tools too.
      yield* set({ default: denying("list_tables"), gold: denying() })
      assert.deepStrictEqual(yield* first.count(4), [TOOLS, TOOLS, TOOLS, RESOURCES])
    }).pipe(quiet)
  )

  it.scopedLive("tells what has changed while there was none, once", () =>
    Effect.gen(function* () {
      const { server, set } = yield* shared()
      const session = yield* server.open({ token: ali })
      for (const deny of [["who"], [], ["get_limits"], [], ["who"]]) {
        yield* set({ default: denying(...deny), gold: denying() })
      }
      const first = yield* listen(server, session, ali)
      assert.deepStrictEqual(yield* first.count(2), [TOOLS, RESOURCES])
      first.close()
      yield* Effect.promise(() => first.ended)
      const next = yield* Effect.retry(
        Effect.tryPromise(() => Effect.runPromise(listen(server, session, ali))),
        Schedule.spaced(5)
      )
      yield* set({ default: denying(), gold: denying() })
      assert.deepStrictEqual(yield* next.count(1), [TOOLS])
      assert.deepStrictEqual(first.told, [TOOLS, RESOURCES])
    }).pipe(quiet)
  )

  it.scopedLive("is promised where tools can change, in the era that has sessions", () =>
    Effect.gen(function* () {
      const capabilities = (server: H.Server, token?: string) =>
        Effect.map(
          server.ask({ body: H.initialize(), token }),
          (answer) => H.messages(answer)[0]?.result?.["capabilities"] as { readonly [name: string]: object }
        )
      const { server } = yield* shared()
      assert.deepInclude(yield* capabilities(server, ali), {
        tools: { listChanged: true },
        resources: { listChanged: true },
        prompts: {}
      })
      const modern = yield* server.ask({ ...H.modern(1, "server/discover"), token: ali })
      assert.deepInclude(H.messages(modern)[0]?.result?.["capabilities"], { tools: {}, resources: {} })
      assert.deepInclude(yield* capabilities(yield* H.server()), { tools: {}, resources: {} })
    }).pipe(quiet)
  )

  it.scopedLive("is one of a session, of its owner alone, and not of the era without sessions", () =>
    Effect.gen(function* () {
      const { server } = yield* shared()
      const session = yield* server.open({ token: ali })
      const stream = yield* listen(server, session, ali)
      const asked = (ask: H.Ask) => refused(server, { token: ali, session, ...ask })
      assert.deepInclude(yield* asked({}), { status: 409, code: -32000 })
      assert.deepInclude(yield* asked({ token: bo }), { status: 404, code: -32001 })
      assert.deepInclude(yield* asked({ token: undefined }), { status: 401 })
      assert.deepInclude(yield* asked({ session: undefined }), { status: 400, code: -32000 })
      const revision = (value: string) => ({ headers: { "mcp-protocol-version": value } })
      assert.deepInclude(yield* asked(revision("1999-01-01")), { status: 400, code: -32000 })
      assert.deepInclude(yield* asked(revision("2026-07-28")), { status: 405 })
      for (const accept of ["application/json", "*/*", "text/event-stream;q=0", ""]) {
        assert.deepInclude(yield* asked({ headers: { accept } }), { status: 406 }, accept)
      }
      const ended = yield* server.open({ token: ali })
      yield* server.ask({ method: "DELETE", session: ended, token: ali })
      assert.deepInclude(yield* asked({ session: ended }), { status: 404, code: -32001 })
      // None of that has touched it.
      assert.isFalse(stream.response.destroyed)
      assert.strictEqual((yield* server.call(session, 1, "who", {}, { token: ali })).status, 200)
    }).pipe(quiet)
  )

  it.scopedLive("of a session of an earlier server is opened under its id, unless the server is strict", () =>
    Effect.gen(function* () {
      const { server, set } = yield* shared()
      const stream = yield* listen(server, "of-an-earlier-one", ali)
      yield* set({ default: denying("who"), gold: denying() })
      assert.deepStrictEqual(yield* stream.count(1), [TOOLS])
      assert.deepInclude(yield* refused(server, { session: "of-an-earlier-one", token: bo }), { status: 404 })
      const strict = yield* shared({ strictSessions: true })
      assert.deepInclude(yield* refused(strict.server, { session: "of-an-earlier-one", token: ali }), {
        status: 404
      })
    }).pipe(quiet)
  )

  it.scopedLive("ends with the session: by DELETE, by making room, by being idle", () =>
    Effect.gen(function* () {
      const { server } = yield* shared({ maxSessions: 2, maxSessionsPerClient: 1, sessionIdleMs: 1_000 })
      const deleted = yield* server.open({ token: ali })
      const first = yield* listen(server, deleted, ali)
      assert.strictEqual((yield* server.ask({ method: "DELETE", session: deleted, token: ali })).status, 200)
      yield* Effect.promise(() => first.ended)
      assert.isTrue(first.response.complete)

      const session = yield* server.open({ token: ali })
      const evicted = yield* listen(server, session, ali)
      const next = yield* server.open({ token: ali })
      yield* Effect.promise(() => evicted.ended)
      assert.deepInclude(yield* refused(server, { session, token: ali }), { status: 404 })

      // An open stream is no use of the session.
      const idle = yield* listen(server, next, ali)
      yield* Effect.promise(() => idle.ended)
      assert.isTrue(idle.response.complete)
      assert.deepInclude(yield* refused(server, { session: next, token: ali }), { status: 404 })
    }).pipe(quiet)
  )

  it.scopedLive("ends when the server stops, and no call waits for it", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const gate = yield* H.gate
      const server = yield* Scope.extend(H.server({ tools: [gate.tool], drainMs: 60_000 }), scope)
      const [idle, busy] = yield* Effect.all([server.open(), server.open()])
      const [first, second] = yield* Effect.all([listen(server, idle), listen(server, busy)])
      const call = server.start({ body: H.toolCall(1, "gate"), session: busy })
      yield* Deferred.await(gate.started)
      const stopped = yield* Effect.fork(Scope.close(scope, Exit.void))
      yield* Effect.promise(() => first.ended)
      assert.isFalse(second.response.destroyed)
      assert.deepInclude(yield* refused(server, { session: busy }), { status: 503 })
      yield* Deferred.succeed(gate.go, undefined)
      const answer = yield* Effect.promise(() => call.answer)
      assert.isDefined(H.messages(answer)[0]?.result)
      yield* Effect.promise(() => second.ended)
      yield* stopped
    }).pipe(quiet)
  )

  it.scopedLive("leaves room for calls, however many are asked for, and for the streams of others", () =>
    Effect.gen(function* () {
      const { server } = yield* shared({ maxConnections: 40 })
      const flood = (token: string, n: number) =>
        Effect.forEach(
          Array.from({ length: n }, (_, i) => i),
          (i) =>
            Effect.promise(async () => {
              const { answer, began, request } = server.start({
                ...{ method: "GET", session: `${token}-${i}`, token, headers: events }
              })
              const response = await began
              if (response.statusCode === 200) return new Listening(response, () => request.destroy())
              const got = await answer
              assert.strictEqual(got.status, 405)
              return H.messages(got)[0]?.error?.message ?? ""
            }),
          { concurrency: 4 }
        )
      const split = (got: ReadonlyArray<Listening | string>) => ({
        open: got.filter((one) => typeof one !== "string"),
        told: new Set(got.filter((one) => typeof one === "string"))
      })
      const own = split(yield* flood(ali, 100))
      assert.strictEqual(own.open.length, 5)
      assert.match([...own.told].join(), /^This client has 5 streams .* Calls are answered without one\.$/)
      for (const token of ["b/default", "c/default", "d/default"]) yield* flood(token, 6)
      const late = split(yield* flood("e/default", 3))
      assert.strictEqual(late.open.length, 0)
      assert.match(
        [...late.told].join(),
        /^This server keeps 20 streams .* Calls are answered without one\.$/
      )
      const session = yield* server.open({ token: "e/default" })
      assert.strictEqual((yield* server.call(session, 1, "who", {}, { token: "e/default" })).status, 200)
      for (const one of own.open) one.close()
      const again = yield* Effect.repeat(flood(ali, 1), {
        until: ([one]) => typeof one !== "string",
        schedule: Schedule.spaced(5)
      })
      assert.isDefined(again)
    }).pipe(quiet)
  )

  it("keeps no more for a client that does not read than for one that does", async () => {
    const transport = new SessionTransport({ sessionId: "s", turn: (_, work) => work() })
    const response = new ServerResponse(new Request(new Socket()))
    assert.strictEqual(transport.open(response, "ali"), "opened")
    const tell = (method: string) => transport.send({ jsonrpc: "2.0", method })
    for (let i = 0; i < 50_000; i++) await tell(i % 2 === 0 ? TOOLS : RESOURCES)
    assert.isAtMost(response.writableLength, response.writableHighWaterMark + 1_000)
    // What was not told waits, once, for the next stream.
    response.emit("close")
    const next = new ServerResponse(new Request(new Socket()))
    const written: Array<string> = []
    next.write = (chunk: string) => written.push(chunk) > 0
    assert.strictEqual(transport.open(next, "ali"), "opened")
    assert.strictEqual(written.join("").match(/^data: /gm)?.length, 2)
    await transport.close()
    assert.isTrue(next.writableEnded)
    assert.strictEqual(transport.open(response, "ali"), "is-over")
  })
})

describe("the shared server, spawned, and the SDK's client", () => {
  const settings = (path: string, deny: ReadonlyArray<string>, rows = 100) => {
    const text = `[tiers.default]\ndeny_tools = ${JSON.stringify(deny)}\nmax_rows = ${rows}\n`
    writeFileSync(`${path}.new`, text)
    renameSync(`${path}.new`, path)
  }

  it.scopedLive(
    "a reload that denies a tool is told, and the list is asked for again without it",
    () =>
      Effect.gen(function* () {
        const path = join(yield* folder, "snowguard.toml")
        settings(path, [])
        const { process, server } = yield* serving({ SNOWGUARD_CONFIG: path })
        const reload = Effect.map(
          server.ask({ method: "POST", path: "/admin/config/reload", body: {} }),
          ({ status }) => assert.strictEqual(status, 200)
        )
        const client = new Client({ name: "test", version: "1" })
        const told: Array<string> = []
        const lists: Array<ReadonlyArray<string>> = []
        const list = async () => lists.push((await client.listTools()).tools.map(({ name }) => name))
        const listed = yield* Deferred.make<void>()
        const restored = yield* Deferred.make<void>()
        client.setNotificationHandler(ToolListChangedNotificationSchema, async () => {
          told.push("tools")
          await list()
          Effect.runSync(Deferred.succeed(told.length === 1 ? listed : restored, undefined))
        })
        client.setNotificationHandler(ResourceListChangedNotificationSchema, () => {
          told.push("resources")
        })
        yield* Effect.acquireRelease(
          Effect.promise(() => client.connect(new StreamableHTTPClientTransport(server.url))),
          () => Effect.promise(() => client.close())
        )
        assert.deepStrictEqual(client.getServerCapabilities()?.tools, { listChanged: true })
        yield* Effect.promise(list)
        assert.include(lists[0] ?? [], "execute_query")

        settings(path, ["execute_query"])
        yield* reload
        yield* Deferred.await(listed)
        assert.deepStrictEqual(
          lists[1],
          lists[0]?.filter((name) => name !== "execute_query")
        )
        const call = () => client.callTool({ name: "execute_query", arguments: { sql: "SELECT 1" } })
        assert.strictEqual((yield* Effect.promise(call)).isError, true)

        // Another setting of the tier changes no list.
        settings(path, ["execute_query"], 50)
        yield* reload
        settings(path, [], 50)
        yield* reload
        yield* Deferred.await(restored)
        assert.deepStrictEqual(told, ["tools", "tools"])
        assert.deepStrictEqual(lists[2], lists[0])
        assert.isUndefined((yield* Effect.promise(call)).isError)

        process.child.kill("SIGTERM")
        assert.deepInclude(yield* Effect.promise(() => process.exited), { code: 0 })
      }),
    30_000
  )

  inLongForm(() => {
    it.scopedLive(
      "many changes in a moment, by SIGHUP and by the watched file, under load: each client has the last list in the end",
      () =>
        Effect.gen(function* () {
          const path = join(yield* folder, "snowguard.toml")
          const write = (n: number, deny: ReadonlyArray<string>) => {
            const tier = `deny_tools = ${JSON.stringify(deny)}\nmax_rows = ${100 + n}\nburst = ${500 + n}`
            writeFileSync(
              `${path}.new`,
              `reload = "watch"\n[tiers.default]\nrequests_per_second = 400\n${tier}\n`
            )
            renameSync(`${path}.new`, path)
          }
          write(0, [])
          const { process, server } = yield* serving({ SNOWGUARD_CONFIG: path })
          const final = ["describe_table", "explain_query"]
          const clients = yield* Effect.forEach([1, 2, 3], () =>
            Effect.gen(function* () {
              const client = new Client({ name: "test", version: "1" })
              const isLast = yield* Deferred.make<void>()
              const notices: Array<string> = []
              client.setNotificationHandler(ToolListChangedNotificationSchema, async () => {
                notices.push(TOOLS)
                const names = (await client.listTools()).tools.map(({ name }) => name)
                if (!final.some((tool) => names.includes(tool)))
                  Effect.runSync(Deferred.succeed(isLast, undefined))
              })
              yield* Effect.acquireRelease(
                Effect.promise(() => client.connect(new StreamableHTTPClientTransport(server.url))),
                () => Effect.promise(() => client.close())
              )
              return { client, isLast, notices }
            })
          )
          let calls = 0
          const load = yield* Effect.forEach(clients, ({ client }) =>
            Effect.fork(
              Effect.forever(
                Effect.promise(async () => {
                  const { isError } = await client.callTool({ name: "list_databases", arguments: {} })
                  assert.isUndefined(isError)
                  calls++
                })
              )
            )
          )
          for (let n = 1; n <= CHANGES; n++) {
            // One of the two is always there, until the last change.
            write(n, n === CHANGES ? final : [final[n % 2] ?? ""])
            // The others, and the last one, are found by looking at the file.
            if (n % 3 !== 0) process.child.kill("SIGHUP")
            yield* Effect.sleep(20)
          }
          yield* Effect.forEach(clients, ({ isLast }) => Deferred.await(isLast))
          const before = calls
          yield* Effect.repeat(Effect.sleep(5), { until: () => calls > before + 3 })
          for (const fiber of load) {
            const ended = yield* fiber.poll
            assert.isTrue(Option.isNone(ended), "every call was answered")
          }
          for (const { notices } of clients) assert.isAtMost(notices.length, 61)
          const status = yield* server.ask({ method: "GET", path: "/status/data" })
          const { snapshot } = JSON.parse(status.body) as {
            snapshot: { config: { faults: number; generation: number } }
          }
          assert.strictEqual(snapshot.config.faults, 0)
          assert.isAtLeast(snapshot.config.generation, 3)
          yield* Fiber.interruptAll(load)
        }),
      60_000
    )
  })
})
