import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Layer, Logger, LogLevel, Ref, Scope } from "effect"
import type { IncomingMessage } from "node:http"
import * as Activity from "../../../src/observe/Activity.js"
import type { Entry } from "../../../src/observe/Audit.js"
import * as RunningCalls from "../../../src/observe/RunningCalls.js"
import { Audit } from "../../../src/observe/Audit.js"
import * as Bulkhead from "../../../src/guard/Bulkhead.js"
import * as CircuitBreaker from "../../../src/guard/CircuitBreaker.js"
import * as Page from "../../../src/dashboard/page.js"
import * as Degradation from "../../../src/guard/Degradation.js"
import * as LoopGuard from "../../../src/guard/LoopGuard.js"
import * as Operator from "../../../src/operate/Operator.js"
import * as Principal from "../../../src/platform/Principal.js"
import * as Quota from "../../../src/quota/Quota.js"
import * as QuotaStore from "../../../src/quota/QuotaStore.js"
import * as RateLimiter from "../../../src/guard/RateLimiter.js"
import * as ResultCache from "../../../src/tools/ResultCache.js"
import * as Retry from "../../../src/guard/Retry.js"
import * as Auth from "../../../src/mcp/auth/Auth.js"
import * as H from "../../utils/http.js"

const quiet = Effect.provide(Logger.minimumLogLevel(LogLevel.None))

/** `root` administers, `ana` does not; the key is the name. */
const auth = Layer.succeed(Auth.Authenticator, {
  mode: "keys",
  authenticate: (credentials) =>
    Effect.flatMap(Auth.bearer(credentials), (key) =>
      key === "root" || key === "ana"
        ? Effect.succeed({ principal: Principal.make(key), owner: key, admin: key === "root" })
        : new Auth.AuthRefused({ reason: "invalid", description: "Unknown key." })
    ),
  remembered: () => Effect.succeedNone,
  challenge: () => "Bearer",
  resourceMetadata: Effect.runSync(Effect.succeedNone)
})

/** A server whose breaker and ladder are real, and what was audited. */
const start = (
  mode: "keys" | "none" = "keys",
  options: H.ServerOptions["options"] = {},
  tools?: H.ServerOptions["tools"]
) =>
  Effect.gen(function* () {
    const written = yield* Ref.make<ReadonlyArray<Entry>>([])
    const record = (entry: Entry) => Ref.update(written, (all) => [...all, entry])
    const services = Layer.mergeAll(
      Layer.provideMerge(Activity.layer, Layer.succeed(Audit, { record })),
      Layer.provideMerge(Degradation.layer(), Layer.merge(Bulkhead.layerNoop, CircuitBreaker.layer())),
      QuotaStore.layerMemory,
      Quota.layerNoop,
      RateLimiter.layerNoop,
      LoopGuard.layerNoop,
      ResultCache.layerNoop,
      Retry.layerNoop,
      RunningCalls.layer
    )
    const context = yield* Layer.build(Layer.provideMerge(Operator.layer(), services))
    const server = yield* H.server({
      operator: Layer.succeedContext(context),
      audit: Layer.succeedContext(context),
      running: Layer.succeedContext(context),
      options,
      tools,
      ...(mode === "keys" ? { auth } : {})
    })
    return { server, context, written: Ref.get(written) }
  })

const phase = (server: H.Server) =>
  Effect.map(
    server.ask({ path: "/status/data", token: "root" }),
    ({ body }): string => JSON.parse(body).snapshot.circuit.phase
  )

/** The first events of a stream. */
const firstEvent = (response: IncomingMessage): Promise<string> =>
  new Promise((resolve, reject) => {
    let text = ""
    response.setEncoding("utf8")
    response.on("error", reject)
    response.on("data", (chunk: string) => {
      text += chunk
      if (text.includes("\n\n")) resolve(text.slice("data: ".length, text.indexOf("\n\n")))
    })
  })

describe("what operators see over HTTP", () => {
  it.scopedLive("the page needs no credential and allows its own script and style only", () =>
    Effect.gen(function* () {
      const { server } = yield* start()
      const { body, headers, status } = yield* server.ask({ path: "/status" })
      assert.strictEqual(status, 200)
      assert.strictEqual(body, Page.html)
      const policy = String(headers["content-security-policy"])
      assert.include(policy, "default-src 'self'")
      assert.include(policy, `script-src '${Page.scriptHash}'`)
      assert.include(policy, `style-src '${Page.styleHash}'`)
      assert.notInclude(policy, "unsafe")
      assert.strictEqual(headers["x-frame-options"], "DENY")
      const elsewhere = yield* server.ask({ path: "/status", headers: { host: "evil.example" } })
      assert.strictEqual(elsewhere.status, 403)
    }).pipe(quiet)
  )

  it.scopedLive("an operator may have no page: then there is nothing to see but for administrators", () =>
    Effect.gen(function* () {
      const { server } = yield* start("keys", { status: false })
      const status = (path: string, token?: string) =>
        Effect.map(server.ask({ path, token }), (got) => got.status)
      assert.strictEqual(yield* status("/status"), 404)
      assert.strictEqual(yield* status("/status/events", "root"), 404)
      assert.strictEqual(yield* status("/status/data"), 401)
      assert.strictEqual(yield* status("/status/data", "ana"), 403)
      assert.strictEqual(yield* status("/status/data", "root"), 200)
      const open = yield* server.ask({ path: "/admin/breaker/open", token: "root", body: {} })
      assert.strictEqual(open.status, 200)
    }).pipe(quiet)
  )

  it.scopedLive("administrators see clients, others see totals, strangers see nothing", () =>
    Effect.gen(function* () {
      const { server } = yield* start()
      const session = yield* server.open({ token: "ana" })
      assert.strictEqual((yield* server.call(session, 1, "who", {}, { token: "ana" })).status, 200)
      const asked = (token?: string) => server.ask({ path: "/status/data", token })
      assert.strictEqual((yield* asked()).status, 401)
      assert.strictEqual((yield* asked("guess")).status, 401)
      const all = JSON.parse((yield* asked("root")).body)
      assert.isTrue(all.admin)
      assert.deepInclude(all.snapshot.clients[0], { client: "ana", last_decision: "ok" })
      assert.deepInclude(all.snapshot.calls, { ok: 1 })
      const totals = yield* asked("ana")
      assert.deepInclude(JSON.parse(totals.body), { admin: false })
      assert.notInclude(totals.body, "clients")
      assert.notInclude(totals.body, '"ana"')
      const beyond = Object.keys(all.snapshot).filter((name) => !(name in JSON.parse(totals.body).snapshot))
      assert.sameMembers(beyond, ["actions", "clients", "observed", "queue", "running", "tiers", "unserved"])
      assert.deepInclude(JSON.parse(totals.body).snapshot.calls, { ok: 1 })
    }).pipe(quiet)
  )

  it.scopedLive("events come at once and go on; no caller gets more than its share of streams", () =>
    Effect.gen(function* () {
      const { server } = yield* start()
      assert.strictEqual((yield* server.ask({ path: "/status/events" })).status, 401)
      const watch = (token: string) => server.start({ path: "/status/events", token })
      const streams = Array.from({ length: 8 }, () => watch("ana"))
      const event = yield* Effect.promise(() =>
        Promise.race(streams.map(({ began }) => began.then(firstEvent)))
      )
      const answers = yield* Effect.promise(() => Promise.all(streams.map(({ began }) => began)))
      for (const answer of answers) assert.strictEqual(answer.statusCode, 200)
      assert.strictEqual(JSON.parse(event).snapshot.circuit.phase, "closed")
      assert.notInclude(event, "clients")
      const refused = yield* server.ask({ path: "/status/events", token: "ana" })
      assert.strictEqual(refused.status, 503)
      assert.isDefined(refused.headers["retry-after"])
      // Each caller has a share of its own; a stream that ends makes room.
      const other = watch("root")
      assert.strictEqual((yield* Effect.promise(() => other.began)).statusCode, 200)
      for (const { request } of [...streams, other]) request.destroy()
      yield* Effect.repeat(
        Effect.suspend(() => {
          const again = watch("ana")
          return Effect.map(
            Effect.promise(() => again.began),
            ({ statusCode }) => {
              again.request.destroy()
              return statusCode
            }
          )
        }),
        { until: (status) => status === 200 }
      )
    }).pipe(quiet)
  )

  it.live("a server that stops ends the streams of watchers", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { server } = yield* Scope.extend(start("none"), scope)
      const watching = server.start({ path: "/status/events" })
      const response = yield* Effect.promise(async () => {
        const began = await watching.began
        await firstEvent(began)
        return began
      })
      // Closed by the server, in order: the answer is complete.
      const ended = yield* Effect.fork(
        Effect.async<boolean>((resume) => {
          response.once("close", () => resume(Effect.succeed(response.complete)))
        })
      )
      yield* Effect.yieldNow()
      yield* Scope.close(scope, Exit.void)
      assert.isTrue(yield* ended.await.pipe(Effect.flatten))
    }).pipe(quiet)
  )
})

describe("what runs", () => {
  it.scopedLive("administrators see the calls under way and what was not served; others see counts", () =>
    Effect.gen(function* () {
      const gate = yield* H.gate
      const { server } = yield* start("keys", {}, [gate.tool])
      const session = yield* server.open({ token: "ana" })
      const call = server.start({ body: H.toolCall(1, "gate"), session, token: "ana" })
      yield* Deferred.await(gate.started)
      const asked = (token: string) =>
        Effect.map(server.ask({ path: "/status/data", token }), ({ body }) => JSON.parse(body).snapshot)
      const during = yield* asked("root")
      assert.strictEqual(during.running.length, 1)
      assert.deepInclude(during.running[0], { client: "ana", tool: "gate", sent: false })
      assert.isAtLeast(during.running[0].ms, 0)
      assert.deepStrictEqual([during.codes, during.unserved], [[], []])
      yield* Deferred.succeed(gate.go, undefined)
      yield* Effect.promise(() => call.answer)
      yield* server.call(session, 2, "gate", { text: 5 }, { token: "ana" })
      const after = yield* Effect.repeat(asked("root"), { until: ({ codes }) => codes.length > 0 })
      assert.deepStrictEqual(after.running, [])
      assert.deepInclude(after.codes[0], { code: "INVALID_INPUT", outcome: "rejected", count: 1 })
      assert.deepInclude(after.unserved[0], { client: "ana", tool: "gate", code: "INVALID_INPUT" })
      const totals = yield* asked("ana")
      assert.deepInclude(totals.codes[0], { code: "INVALID_INPUT", count: 1 })
      assert.notProperty(totals, "running")
      assert.notProperty(totals, "unserved")
    }).pipe(quiet)
  )
})

describe("what operators do over HTTP", () => {
  it.scopedLive(
    "cancel a call: its caller is answered with the reason, its work ends, and others go on",
    () =>
      Effect.gen(function* () {
        const gate = yield* H.gate
        const { context, server, written } = yield* start("keys", {}, [gate.tool])
        const session = yield* server.open({ token: "ana" })
        const call = server.start({ body: H.toolCall(1, "gate"), session, token: "ana" })
        yield* Deferred.await(gate.started)
        const seen = (token: string) =>
          Effect.map(server.ask({ path: "/status/data", token }), ({ body }) => JSON.parse(body).snapshot)
        const [{ id }] = (yield* seen("root")).running
        const cancel = (token: string, id: unknown) =>
          server.ask({ path: "/admin/call/cancel", token, body: { id } })
        assert.strictEqual((yield* cancel("ana", id)).status, 403)
        assert.strictEqual((yield* cancel("root", "no number")).status, 400)
        assert.deepInclude(JSON.parse((yield* cancel("root", "12345")).body), { changed: false })
        assert.isFalse(yield* Deferred.isDone(gate.interrupted))
        assert.deepStrictEqual(JSON.parse((yield* cancel("root", id)).body), {
          changed: true,
          result: "the call of gate by ana is cancelled",
          server: `process ${id.split("-")[0]}`
        })
        const { body } = yield* Effect.promise(() => call.answer)
        assert.include(body, "CANCELLED_BY_OPERATOR")
        assert.include(body, "Nothing was executed. Do not repeat it; tell the user.")
        yield* Deferred.await(gate.interrupted)
        assert.deepInclude(JSON.parse((yield* cancel("root", id)).body), { changed: false })
        assert.deepStrictEqual((yield* seen("root")).running, [])
        const lines = yield* Effect.repeat(written, {
          until: (lines) => lines.some(({ tool }) => tool === "gate")
        })
        assert.deepInclude(
          lines.find(({ tool }) => tool === "gate"),
          { client: "ana", decision: "cancelled" }
        )
        assert.deepStrictEqual(
          lines.flatMap(({ target, tool }) => (tool === "operator:call/cancel" ? [target] : [])),
          ["12345", id, id]
        )
        const { counts } = yield* Effect.flatMap(Activity.Activity, ({ totals }) => totals).pipe(
          Effect.provide(context)
        )
        assert.deepInclude(counts, { cancelled: 1, failed: 0 })
      }).pipe(quiet)
  )

  it.scopedLive("administrators act, and it is in the audit log; others do not", () =>
    Effect.gen(function* () {
      const { server, written } = yield* start()
      const open = (token?: string) => server.ask({ path: "/admin/breaker/open", token, body: {} })
      assert.strictEqual((yield* open()).status, 401)
      assert.strictEqual((yield* open("ana")).status, 403)
      assert.strictEqual(yield* phase(server), "closed")
      const done = yield* open("root")
      assert.deepInclude(JSON.parse(done.body), { changed: true })
      // Not a moment later: what was seen before the action is not shown after it.
      assert.strictEqual(yield* phase(server), "forced-open")
      assert.deepStrictEqual(
        (yield* written).map(({ client, tool }) => [client, tool]),
        [["root", "operator:breaker/open"]]
      )
      const metrics = yield* server.ask({ path: "/metrics", token: "root" })
      assert.match(metrics.body, /^snowguard_breaker_phase\{phase="forced-open"\} 1$/m)
      assert.match(metrics.body, /^# HELP snowguard_breaker_phase 1 for the phase/m)
    }).pipe(quiet)
  )

  it.scopedLive("takes what fits its schema and nothing else", () =>
    Effect.gen(function* () {
      const { server } = yield* start()
      const post = (path: string, body: string | object, headers = {}) =>
        Effect.map(
          server.ask({ path: `/admin/${path}`, token: "root", body, headers }),
          ({ status }) => status
        )
      assert.strictEqual(yield* post("ladder/pin", { mode: "emergency" }), 200)
      assert.strictEqual(yield* post("quota/reset", { client: "ben" }), 200)
      assert.strictEqual(yield* post("ladder/pin", { mode: "panic" }), 400)
      assert.strictEqual(yield* post("ladder/pin", {}), 400)
      assert.strictEqual(yield* post("quota/reset", { client: "" }), 400)
      assert.strictEqual(yield* post("breaker/reset", { action: "breaker/open" }), 400)
      assert.strictEqual(yield* post("breaker/reset", []), 400)
      assert.strictEqual(yield* post("breaker/reset", "{"), 400)
      assert.strictEqual(yield* post("breaker/reset", { surplus: 1 }), 400)
      assert.strictEqual(yield* post("breaker/reset", { x: "y".repeat(20_000) }), 413)
      assert.strictEqual(yield* post("breaker/destroy", {}), 404)
      assert.strictEqual(yield* post("breaker/reset", {}, { "content-type": "text/plain" }), 415)
      const got = yield* server.ask({ path: "/admin/breaker/open", token: "root" })
      assert.strictEqual(got.status, 404)
      assert.strictEqual(yield* phase(server), "closed")
    }).pipe(quiet)
  )

  it.scopedLive("a page of another origin cannot act, even where no key is required", () =>
    Effect.gen(function* () {
      const { server } = yield* start("none")
      const open = (headers: { readonly [name: string]: string }) =>
        Effect.map(server.ask({ path: "/admin/breaker/open", body: {}, headers }), ({ status }) => status)
      const own = `http://127.0.0.1:${server.port}`
      for (const origin of ["http://evil.example", "http://localhost:3000", "null", `${own}0`]) {
        assert.strictEqual(yield* open({ origin }), 403, origin)
      }
      assert.strictEqual(yield* open({ "sec-fetch-site": "cross-site" }), 403)
      assert.strictEqual(yield* open({ "sec-fetch-site": "same-site", origin: own }), 403)
      // What a form can send without asking.
      assert.strictEqual(yield* open({ "content-type": "text/plain" }), 415)
      assert.strictEqual(yield* phase(server), "closed")
      assert.strictEqual(yield* open({ origin: own, "sec-fetch-site": "same-origin" }), 200)
      assert.strictEqual(yield* phase(server), "forced-open")
    }).pipe(quiet)
  )
})
