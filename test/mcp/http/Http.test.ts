import { assert, describe, it } from "@effect/vitest"
import type { CallToolResult } from "@modelcontextprotocol/sdk/types.js"
import { Deferred, Effect, Either, Exit, Layer, Logger, LogLevel, Option, Scope } from "effect"
import * as Principal from "../../../src/platform/Principal.js"
import * as Readiness from "../../../src/operate/Readiness.js"
import { Reloads } from "../../../src/operate/Reloads.js"
import * as Auth from "../../../src/mcp/auth/Auth.js"
import * as Http from "../../../src/mcp/http/Http.js"
import * as H from "../../utils/http.js"
import { report } from "../../utils/server.js"

const quiet = Effect.provide(Logger.minimumLogLevel(LogLevel.None))

/** A tool that says when it has started and when it was interrupted, and answers when it is told to. */
const who = H.tool("who", () => H.whoAmI)

describe("MCP over HTTP", () => {
  it.scopedLive("serves the SDK's client: tools, calls, progress, and the end of a session", () =>
    Effect.gen(function* () {
      const slow = H.tool("slow", (_, { progress }) =>
        progress("queued").pipe(Effect.zipRight(progress("running")), Effect.zipRight(H.whoAmI))
      )
      const server = yield* H.server({ tools: [who, slow] })
      const client = yield* server.client()
      assert.deepStrictEqual(client.getServerVersion(), { name: "snowguard", version: "1.2.3" })
      const { tools } = yield* Effect.promise(() => client.listTools())
      assert.deepStrictEqual(
        tools.map(({ name }) => name),
        ["slow", "who"]
      )
      const result = yield* Effect.promise(() => client.callTool({ name: "who" }) as Promise<CallToolResult>)
      assert.deepStrictEqual(result.structuredContent, { who: "local/default" })
      const notes: Array<string | undefined> = []
      yield* Effect.promise(() =>
        client.callTool({ name: "slow" }, undefined, { onprogress: ({ message }) => notes.push(message) })
      )
      assert.deepStrictEqual(notes, ["queued", "running"])
    }).pipe(quiet)
  )

  it.scopedLive("answers by the id of the request, whatever it is", () =>
    Effect.gen(function* () {
      const server = yield* H.server()
      const session = yield* server.open()
      for (const id of [0, -1, 7, "", "n:7", "a\nb"]) {
        const [answer] = H.messages(yield* server.call(session, id, "who"))
        assert.strictEqual(answer?.id, id)
        assert.isDefined(answer?.result)
      }
    }).pipe(quiet)
  )

  it.scopedLive("has no session for a request that names none (400) or one that has ended (404)", () =>
    Effect.gen(function* () {
      const server = yield* H.server()
      const none = yield* server.ask({ body: H.toolCall(1, "who") })
      assert.strictEqual(none.status, 400)
      assert.deepInclude(H.messages(none)[0], { id: 1 })
      // The probe of a newer protocol revision falls back on this.
      assert.strictEqual((yield* server.ask({ body: H.message(1, "server/discover") })).status, 400)
      const session = yield* server.open()
      assert.strictEqual((yield* server.ask({ method: "DELETE", session })).status, 200)
      assert.strictEqual((yield* server.call(session, 3, "who")).status, 404)
      assert.strictEqual((yield* server.ask({ method: "DELETE", session })).status, 404)
    }).pipe(quiet)
  )

  it.scopedLive("a session of an earlier server goes on under its id, within the same bounds", () =>
    Effect.gen(function* () {
      const options = { maxSessions: 2, maxSessionsPerClient: 2 }
      const before = yield* H.server({ options })
      const session = yield* before.open()
      const server = yield* H.server({ options })
      const status = (ask: H.Ask) => Effect.map(server.ask(ask), (answer) => answer.status)
      const initialized = H.message(undefined, "notifications/initialized")
      assert.strictEqual(yield* status({ body: initialized, session }), 202)
      const [first, second] = yield* Effect.all(
        [1, 2].map((id) => server.call(session, id, "who")),
        { concurrency: "unbounded" }
      )
      for (const got of [first, second]) {
        assert.strictEqual(got?.status, 200)
        assert.strictEqual(got?.headers["mcp-session-id"], session)
      }
      // Two others make it the one that was unused longest: it has ended, and stays so.
      for (const other of ["a", "b"]) assert.strictEqual((yield* server.call(other, 1, "who")).status, 200)
      const ended = yield* server.call(session, 3, "who")
      assert.strictEqual(ended.status, 404)
      assert.strictEqual(H.messages(ended)[0]?.error?.code, -32001)
      assert.strictEqual(yield* status({ method: "DELETE", session: "b" }), 200)
      assert.strictEqual(yield* status({ body: H.toolCall(4, "who"), session: "b" }), 404)
      assert.strictEqual(yield* status({ method: "DELETE", session: "never" }), 404)
      for (const id of ["with space", "x".repeat(129), "\u00e9"]) {
        assert.strictEqual(yield* status({ body: H.toolCall(5, "who"), session: id }), 404, id)
      }
    }).pipe(quiet)
  )

  it.scopedLive("one request at a time, or many: an unknown session is opened once", () =>
    Effect.gen(function* () {
      const server = yield* H.server({ options: { maxSessions: 1, maxSessionsPerClient: 1 } })
      const answers = yield* Effect.all(
        Array.from({ length: 20 }, (_, id) => server.call("old", id, "who")),
        { concurrency: "unbounded" }
      )
      for (const { status } of answers) assert.strictEqual(status, 200)
    }).pipe(quiet)
  )

  it.scopedLive("a strict server has no session that it did not open (404)", () =>
    Effect.gen(function* () {
      const server = yield* H.server({ options: { strictSessions: true } })
      const unknown = yield* server.call("nobody", 2, "who")
      assert.strictEqual(unknown.status, 404)
      assert.strictEqual(H.messages(unknown)[0]?.error?.code, -32001)
      yield* server.call(yield* server.open(), 3, "who")
    }).pipe(quiet)
  )

  it.scopedLive("refuses batches, other methods, other media types and ids that are none", () =>
    Effect.gen(function* () {
      const server = yield* H.server()
      const session = yield* server.open()
      const status = (ask: H.Ask) => Effect.map(server.ask({ session, ...ask }), (answer) => answer.status)
      assert.strictEqual(yield* status({ body: [H.message(1, "ping"), H.message(2, "ping")] }), 400)
      assert.strictEqual(yield* status({ method: "GET", headers: { accept: "application/json" } }), 406)
      assert.strictEqual(yield* status({ method: "PUT", body: H.message(1, "ping") }), 405)
      for (const id of [1.5, {}, null, true, "x".repeat(257)]) {
        assert.strictEqual(yield* status({ body: { jsonrpc: "2.0", id, method: "ping" } }), 400, String(id))
      }
      for (const body of ["", "{", '"text"', "null", "7"]) {
        assert.strictEqual(yield* status({ body }), 400, body)
      }
      const ping = H.message(1, "ping")
      assert.strictEqual(yield* status({ body: ping, headers: { accept: "text/html" } }), 406)
      assert.strictEqual(yield* status({ body: ping, headers: { "content-type": "text/plain" } }), 415)
      assert.strictEqual(yield* status({ body: ping, headers: { "content-encoding": "gzip" } }), 415)
      assert.strictEqual(
        yield* status({ body: ping, headers: { "mcp-protocol-version": "1999-01-01" } }),
        400
      )
      assert.strictEqual(yield* status({ body: ping }), 200)
      assert.strictEqual((yield* server.ask({ path: "/" })).status, 404)
      assert.strictEqual((yield* server.ask({ path: "/%zz" })).status, 404)
    }).pipe(quiet)
  )

  const forms: { readonly [accept: string]: "events" | "json" | 406 } = {
    "": "json",
    "*/*": "json",
    "application/*": "json",
    "application/json": "json",
    "Application/JSON": "json",
    "application/json; charset=utf-8": "json",
    "application/json, text/plain, */*": "json",
    "application/json, text/event-stream;q=0.5": "json",
    "text/event-stream;q=0, */*": "json",
    "text/html, application/json;q=0.1": "json",
    "text/event-stream": "events",
    "TEXT/Event-Stream": "events",
    "text/*": "events",
    "application/json, text/event-stream": "events",
    "text/event-stream,application/json": "events",
    "  application/json ;q=0.9 ,text/event-stream ; q = 0.9": "events",
    "text/event-stream, */*": "events",
    "application/json;q=0, */*": "events",
    "text/html": 406,
    "*/*;q=0": 406,
    "application/json;q=0": 406,
    "application/jsonx, text/event-streams": 406,
    "text/html, application/json;q=0, text/event-stream;q=0.0, */*": 406,
    "__proto__, constructor": 406
  }
  for (const [accept, form] of Object.entries(forms))
    it.scopedLive(`answers ${form} to "Accept: ${accept}"`, () =>
      Effect.gen(function* () {
        const server = yield* H.server()
        const session = yield* server.open()
        const headers = { accept: accept === "" ? undefined : accept }
        for (const body of [H.initialize(), H.toolCall(1, "who")]) {
          const answer = yield* server.ask({ body, session, headers })
          if (form === 406) assert.strictEqual(answer.status, 406)
          else {
            assert.strictEqual(answer.status, 200)
            const type = form === "json" ? /^application\/json/ : /^text\/event-stream/
            assert.match(answer.headers["content-type"] ?? "", type)
            const [message] = H.messages(answer)
            assert.strictEqual(message?.id, body.id)
            assert.isDefined(message?.result)
            assert.isString(answer.headers["mcp-session-id"])
          }
        }
        const notification = H.message(undefined, "notifications/initialized")
        const { status } = yield* server.ask({ body: notification, session, headers })
        assert.strictEqual(status, form === 406 ? 406 : 202)
      }).pipe(quiet)
    )

  for (const type of [
    "application/json",
    "Application/JSON;charset=UTF-8",
    "application/json ; charset=utf-8"
  ])
    it.scopedLive(`reads "Content-Type: ${type}"`, () =>
      Effect.gen(function* () {
        const server = yield* H.server()
        yield* server.open({ headers: { "content-type": type } })
      }).pipe(quiet)
    )

  it.scopedLive("a JSON answer tells no progress, and says so when its call is cancelled", () =>
    Effect.gen(function* () {
      const told = H.tool("told", (_, { progress }) => Effect.zipRight(progress("running"), H.whoAmI))
      const { interrupted, started, tool } = yield* H.gate
      const server = yield* H.server({ tools: [told, tool] })
      const session = yield* server.open()
      const headers = { accept: "application/json" }
      const params = { name: "told", arguments: {}, _meta: { progressToken: 1 } }
      const answer = yield* server.ask({ body: H.message(1, "tools/call", params), session, headers })
      assert.deepInclude(JSON.parse(answer.body), { id: 1 })
      const call = server.start({ body: H.toolCall("c", "gate"), session, headers })
      yield* Deferred.await(started)
      const cancel = H.message(undefined, "notifications/cancelled", { requestId: "c" })
      yield* server.ask({ body: cancel, session })
      yield* Deferred.await(interrupted)
      const cancelled = yield* Effect.promise(() => call.answer)
      assert.match(JSON.parse(cancelled.body).error.message, /cancelled/)
    }).pipe(quiet)
  )

  it.scopedLive("a request that is refused at the door leaves no session behind", () =>
    Effect.gen(function* () {
      const server = yield* H.server({ options: { maxSessions: 1, maxSessionsPerClient: 1 } })
      for (let i = 0; i < 3; i++) {
        const refused = yield* server.ask({ body: H.initialize(), headers: { accept: "text/html" } })
        assert.strictEqual(refused.status, 406)
      }
      yield* server.open()
    }).pipe(quiet)
  )

  it.scopedLive("an id that is in flight is refused, and the first caller is answered", () =>
    Effect.gen(function* () {
      const { go, started, tool } = yield* H.gate
      const server = yield* H.server({ tools: [tool, who] })
      const session = yield* server.open()
      const first = server.start({ body: H.toolCall(5, "gate"), session })
      yield* Deferred.await(started)
      const second = yield* server.call(session, 5, "who")
      assert.strictEqual(second.status, 400)
      assert.strictEqual(H.messages(second)[0]?.id, 5)
      // The same id in another session, or as a text, is another one.
      assert.strictEqual((yield* server.call(session, "5", "who")).status, 200)
      assert.strictEqual((yield* server.call(yield* server.open(), 5, "who")).status, 200)
      yield* Deferred.succeed(go, undefined)
      const [answer] = H.messages(yield* Effect.promise(() => first.answer))
      assert.isDefined(answer?.result)
      // Once answered, it is free again.
      assert.strictEqual((yield* server.call(session, 5, "who")).status, 200)
    }).pipe(quiet)
  )

  for (const id of [0, 9, ""]) {
    it.scopedLive(
      `a call that is cancelled (id ${JSON.stringify(id)}) is interrupted, and its stream ends`,
      () =>
        Effect.gen(function* () {
          const { interrupted, started, tool } = yield* H.gate
          const server = yield* H.server({ tools: [tool, who] })
          const session = yield* server.open({ body: H.initialize("init") })
          const call = server.start({ body: H.toolCall(id, "gate"), session })
          yield* Deferred.await(started)
          const cancelled = yield* server.ask({
            body: H.message(undefined, "notifications/cancelled", { requestId: id }),
            session
          })
          assert.strictEqual(cancelled.status, 202)
          yield* Deferred.await(interrupted)
          assert.deepStrictEqual(H.messages(yield* Effect.promise(() => call.answer)), [])
          assert.strictEqual((yield* server.call(session, id, "who")).status, 200)
        }).pipe(quiet)
    )
  }

  it.scopedLive("a call that has to wait has its headers at once", () =>
    Effect.gen(function* () {
      const { go, tool } = yield* H.gate
      const server = yield* H.server({ tools: [tool] })
      const session = yield* server.open()
      const call = server.start({ body: H.toolCall(1, "gate"), session })
      const { headers, statusCode } = yield* Effect.promise(() => call.began)
      assert.strictEqual(statusCode, 200)
      assert.strictEqual(headers["content-type"], "text/event-stream")
      yield* Deferred.succeed(go, undefined)
      assert.isDefined(H.messages(yield* Effect.promise(() => call.answer))[0]?.result)
    }).pipe(quiet)
  )

  it.scopedLive("a connection that is dropped ends the call", () =>
    Effect.gen(function* () {
      const { interrupted, started, tool } = yield* H.gate
      const server = yield* H.server({ tools: [tool] })
      const session = yield* server.open()
      const call = server.start({ body: H.toolCall(1, "gate"), session })
      yield* Deferred.await(started)
      call.request.destroy()
      yield* Deferred.await(interrupted)
    }).pipe(quiet)
  )

  it.scopedLive("unless it is told to let it run", () =>
    Effect.gen(function* () {
      const { go, interrupted, started, tool } = yield* H.gate
      const server = yield* H.server({ tools: [tool, who], options: { cancelOnDisconnect: false } })
      const session = yield* server.open()
      const call = server.start({ body: H.toolCall(1, "gate"), session })
      yield* Deferred.await(started)
      call.request.destroy()
      // The id stays taken for as long as the call runs.
      assert.strictEqual((yield* server.call(session, 1, "who")).status, 400)
      yield* Deferred.succeed(go, undefined)
      const again = Effect.map(server.call(session, 1, "who"), ({ status }) => status)
      assert.strictEqual(yield* Effect.repeat(again, { until: (status) => status === 200 }), 200)
      assert.isFalse(yield* Deferred.isDone(interrupted))
    }).pipe(quiet)
  )

  it.scopedLive("ending a session ends what runs in it", () =>
    Effect.gen(function* () {
      const { interrupted, started, tool } = yield* H.gate
      const server = yield* H.server({ tools: [tool], drainMs: 60_000 })
      const session = yield* server.open()
      const call = server.start({ body: H.toolCall(1, "gate"), session })
      yield* Deferred.await(started)
      assert.strictEqual((yield* server.ask({ method: "DELETE", session })).status, 200)
      yield* Deferred.await(interrupted)
      yield* Effect.promise(() => call.answer)
    }).pipe(quiet)
  )

  it.scopedLive("full of busy sessions it says when to come again; an idle one makes room", () =>
    Effect.gen(function* () {
      const { go, started, tool } = yield* H.gate
      const server = yield* H.server({
        tools: [tool, who],
        options: { maxSessionsPerClient: 1, maxSessions: 2 }
      })
      const session = yield* server.open()
      const call = server.start({ body: H.toolCall(1, "gate"), session })
      yield* Deferred.await(started)
      const full = yield* server.ask({ body: H.initialize(4) })
      assert.strictEqual(full.status, 429)
      assert.strictEqual(full.headers["retry-after"], "1")
      assert.match(String(full.headers["ratelimit"]), /^"sessions";r=0;t=1$/)
      assert.match(String(full.headers["ratelimit-policy"]), /^"sessions";q=1/)
      assert.deepInclude(H.messages(full)[0], { id: 4 })
      assert.match(H.messages(full)[0]?.error?.message ?? "", /Wait 1 s/)
      yield* Deferred.succeed(go, undefined)
      yield* Effect.promise(() => call.answer)
      yield* server.open()
      assert.strictEqual((yield* server.call(session, 2, "who")).status, 404)
    }).pipe(quiet)
  )

  it.scopedLive("stopping answers what is in flight, and refuses what comes meanwhile", () =>
    Effect.gen(function* () {
      const { go, started, tool } = yield* H.gate
      const scope = yield* Scope.make()
      const server = yield* Scope.extend(H.server({ tools: [tool, who], drainMs: 30_000 }), scope)
      const session = yield* server.open()
      const call = server.start({ body: H.toolCall(1, "gate"), session })
      yield* Deferred.await(started)
      const stopping = yield* Effect.fork(Scope.close(scope, Exit.void))
      const ready = Effect.map(server.ask({ path: "/readyz" }), ({ status }) => status)
      assert.strictEqual(yield* Effect.repeat(ready, { until: (status) => status === 503 }), 503)
      assert.strictEqual((yield* server.ask({ path: "/healthz" })).status, 200)
      const late = yield* server.ask({ body: H.initialize(2) })
      assert.strictEqual(late.status, 503)
      assert.isDefined(late.headers["retry-after"])
      yield* Deferred.succeed(go, undefined)
      const [answer] = H.messages(yield* Effect.promise(() => call.answer))
      assert.deepInclude(answer?.result, { structuredContent: { who: "local/default" } })
      yield* stopping.await
    }).pipe(quiet)
  )

  it.scopedLive("stopping delivers an answer to the end to a client that reads it slowly", () =>
    Effect.gen(function* () {
      const big = "x".repeat(8 * 1024 * 1024)
      const scope = yield* Scope.make()
      const tool = H.tool("big", () => Effect.succeed({ who: big }))
      const server = yield* Scope.extend(
        H.server({ tools: [tool], drainMs: 50, options: { stopMs: 30_000 } }),
        scope
      )
      const session = yield* server.open()
      const call = server.start({ body: H.toolCall(1, "big"), session })
      const response = yield* Effect.promise(() => call.began)
      response.pause()
      const stopping = yield* Effect.fork(Scope.close(scope, Exit.void))
      // Longer than everything but the time to stop.
      yield* Effect.sleep(1_300)
      response.resume()
      const [answer] = H.messages(yield* Effect.promise(() => call.answer))
      assert.deepInclude(answer?.result, { structuredContent: { who: big } })
      yield* stopping.await
    }).pipe(quiet)
  )

  it.scopedLive("stopping does not wait for ever: what does not end is interrupted", () =>
    Effect.gen(function* () {
      const { interrupted, started, tool } = yield* H.gate
      const scope = yield* Scope.make()
      const server = yield* Scope.extend(H.server({ tools: [tool], drainMs: 20 }), scope)
      const session = yield* server.open()
      const call = server.start({ body: H.toolCall(1, "gate"), session })
      yield* Deferred.await(started)
      yield* Scope.close(scope, Exit.void)
      yield* Deferred.await(interrupted)
      yield* Effect.promise(() => call.answer.catch(() => undefined))
    }).pipe(quiet)
  )

  it.scopedLive("does not start on an address that other machines can reach without authentication", () =>
    Effect.gen(function* () {
      const started = yield* Effect.either(
        Effect.provide(
          Http.listen({ ...Http.defaults, host: "0.0.0.0", port: 0 }),
          H.layers({ auth: Auth.layerNone(Principal.make("local")) })
        )
      )
      assert.isTrue(Either.isLeft(started))
      if (Either.isLeft(started)) assert.match(started.left.message, /without authentication.*0\.0\.0\.0/)
    }).pipe(quiet)
  )

  it.scopedLive("is ready unless it says why not", () =>
    Effect.gen(function* () {
      const broken = Layer.succeed(Readiness.Readiness, {
        problem: Effect.succeed(Option.some("the quota store is out of reach"))
      })
      const options = { metrics: "open" as const }
      const server = yield* H.server({ ready: broken, options })
      const gauge = (server: H.Server) =>
        Effect.map(server.ask({ path: "/metrics" }), ({ body }) => /^snowguard_ready (\d)$/m.exec(body)?.[1])
      assert.strictEqual(yield* gauge(server), "0")
      const answer = yield* server.ask({ path: "/readyz" })
      assert.strictEqual(answer.status, 503)
      assert.deepInclude(JSON.parse(answer.body), { reason: "the quota store is out of reach" })
      assert.strictEqual((yield* server.ask({ path: "/healthz" })).status, 200)
      const other = yield* H.server({ options })
      assert.strictEqual(yield* gauge(other), "1")
      assert.strictEqual((yield* other.ask({ path: "/readyz" })).status, 200)
    }).pipe(quiet)
  )

  it.scopedLive("is ready while the settings that were read last are wrong, and names them", () =>
    Effect.gen(function* () {
      const server = yield* H.server()
      const answer = yield* server.ask({ path: "/readyz" })
      assert.strictEqual(answer.status, 200)
      assert.deepStrictEqual(JSON.parse(answer.body), {
        status: "ready",
        details: {
          config:
            "the settings that were read last are wrong, and those before stay in force: limits.burst, tiers.x.weight"
        }
      })
    }).pipe(
      quiet,
      Effect.provideService(Reloads, {
        reload: Effect.die("not asked for"),
        status: Effect.succeed({
          generation: 1,
          loadedAt: 0,
          faults: ["limits.burst", "tiers.x.weight"].map((key) => ({ key, text: `${key}: "not shown"` })),
          needRestart: []
        })
      })
    )
  )

  it.scopedLive("is ready while the warehouse is not called, and says so", () =>
    Effect.gen(function* () {
      const impaired = Layer.succeed(Readiness.Readiness, {
        problem: Effect.succeedNone,
        impaired: Effect.succeed(Option.some("the warehouse is failing: the circuit is open"))
      })
      const answer = yield* (yield* H.server({ ready: impaired })).ask({ path: "/readyz" })
      assert.strictEqual(answer.status, 200)
      assert.deepStrictEqual(JSON.parse(answer.body), {
        status: "ready",
        details: { warehouse: "the warehouse is failing: the circuit is open" }
      })
    }).pipe(quiet)
  )

  it.scopedLive(
    "what the end of the server cuts is told so, and that nothing was executed where nothing was",
    () =>
      Effect.gen(function* () {
        const { started, tool } = yield* H.gate
        const scope = yield* Scope.make()
        const server = yield* Scope.extend(H.server({ tools: [tool], drainMs: 20 }), scope)
        const session = yield* server.open()
        const call = server.start({ body: H.toolCall("a", "gate"), session })
        yield* Deferred.await(started)
        yield* Scope.close(scope, Exit.void)
        const [message] = H.messages(yield* Effect.promise(() => call.answer))
        assert.strictEqual(message?.id, "a")
        const { code, message: text, retryable, sideEffects } = report(message?.result as CallToolResult)
        assert.deepStrictEqual(
          { code, retryable, sideEffects },
          { code: "SHUTTING_DOWN", retryable: true, sideEffects: "none" }
        )
        assert.match(text, /Nothing was executed.*Open a new session\. Wait 10 seconds/)
      }).pipe(quiet)
  )
})
