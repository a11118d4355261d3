import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Logger, LogLevel, Metric, MetricState, Scope } from "effect"
import { once } from "node:events"
import * as NodeHttp from "node:http"
import { PassThrough } from "node:stream"
import * as Auth from "../../src/mcp/auth/Auth.js"
import * as Otlp from "../../src/observe/Otlp.js"
import * as Telemetry from "../../src/observe/Telemetry.js"
import * as Principal from "../../src/platform/Principal.js"
import * as Quota from "../../src/quota/Quota.js"
import * as Stdio from "../../src/mcp/stdio/Stdio.js"
import type { Lateness } from "../../src/warehouse/Warehouse.js"
import { WarehouseError } from "../../src/warehouse/Warehouse.js"
import * as H from "../utils/http.js"

const quiet = Effect.provide(Logger.minimumLogLevel(LogLevel.None))

/** How often each combination of a metric's labels was counted. */
const counts = (name: string) =>
  Effect.map(Metric.snapshot, (all) => {
    const found = new Map<string, number>()
    for (const { metricKey, metricState } of all) {
      if (metricKey.name !== name) continue
      const labels = [...metricKey.tags].map(({ key, value }) => `${key}=${value}`).sort()
      const count =
        MetricState.isHistogramState(metricState) || MetricState.isCounterState(metricState)
          ? Number(metricState.count)
          : 0
      found.set(labels.join(" "), count)
    }
    return found
  })

/** What was counted while the work was done. */
const counted = <A, E, R>(name: string, work: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const before = yield* counts(name)
    yield* work
    const after = yield* counts(name)
    const changed: { [labels: string]: number } = {}
    for (const [labels, count] of after) {
      const more = count - (before.get(labels) ?? 0)
      if (more > 0) changed[labels] = more
    }
    return changed
  })

const refusing = H.tool("refusing", () => Effect.die("broken"))
const who = H.tool("who", () => H.whoAmI)

/** A tool that says when it runs, and does not end. */
const endless = Effect.map(Deferred.make<void>(), (started) => ({
  started,
  tool: H.tool("endless", () => Effect.zipRight(Deferred.succeed(started, undefined), Effect.never))
}))

const spoken = [
  H.message(1, "ping"),
  H.message(2, "tools/list"),
  H.toolCall(3, "who"),
  H.toolCall(4, "refusing"),
  H.toolCall(5, "no-such-tool-1"),
  H.toolCall(6, "no-such-tool-2"),
  H.message(7, "made/up-1"),
  H.message(8, "made/up-2"),
  H.message(undefined, "notifications/initialized"),
  H.message(undefined, "notifications/made-up")
]

/** What is to be seen of that, over a transport. */
const seen = (transport: string) => {
  const all = `mcp.protocol.version=2025-11-25 network.transport=${transport} unit=s`
  const labels = (method: string, before = "", after = "") =>
    `${before}mcp.method.name=${method} mcp.protocol.version=2025-11-25 network.transport=${transport}${after} unit=s`
  const tool = (name: string) => `gen_ai.operation.name=execute_tool gen_ai.tool.name=${name} `
  return {
    session: { [all]: 1 },
    operations: {
      [labels("initialize")]: 1,
      [labels("ping")]: 1,
      [labels("tools/list")]: 1,
      [labels("tools/call", tool("who"))]: 1,
      [labels("tools/call", `error.type=tool_error ${tool("refusing")}`)]: 1,
      [labels("tools/call", `error.type=cancelled ${tool("endless")}`)]: 1,
      [labels("tools/call", "error.type=-32602 ", " rpc.response.status_code=-32602")]: 2,
      [labels("_OTHER", "error.type=-32601 ", " rpc.response.status_code=-32601")]: 2,
      [labels("_OTHER")]: 1,
      [labels("notifications/initialized")]: 1,
      [labels("notifications/cancelled")]: 1
    }
  }
}

describe("what is counted of the protocol", () => {
  it.scopedLive(
    "a client that is refused with little left of a quota is told of, and one with more is not",
    () =>
      Effect.gen(function* () {
        const refusedWith = (name: string, quota: "credits_per_day" | "bytes_per_day", remaining: number) =>
          H.tool(name, () =>
            Effect.fail(
              new Quota.QuotaExceeded({
                ...{ scope: "client", quota, limit: 10, used: 10 - remaining, remaining },
                ...{ resetAt: 0, retryAfterMs: 1_000 }
              })
            )
          )
        const server = yield* H.server({
          tools: [refusedWith("spent", "credits_per_day", 1), refusedWith("large", "bytes_per_day", 5)],
          auth: Auth.layerNone(Principal.make("ann", "refused-early"))
        })
        const session = yield* server.open()
        yield* server.call(session, 1, "spent")
        yield* server.call(session, 2, "large")
        const told = Telemetry.lowQuotas().filter(({ tier }) => tier === "refused-early")
        assert.deepStrictEqual(
          told.map(({ client, status }) => [client, status.quota, status.remaining]),
          [["ann", "credits_per_day", 1]]
        )
      }).pipe(quiet)
  )

  it.scopedLive("a timeout is a failure where the warehouse is slow, and else the caller's mistake", () =>
    Effect.gen(function* () {
      const late = (name: string, lateness: Lateness) =>
        H.tool(name, () =>
          Effect.fail(
            new WarehouseError({
              reason: "StatementTimeout",
              description: "It was cut.",
              sent: "yes",
              lateness
            })
          )
        )
      const server = yield* H.server({
        tools: [
          late("slow", { fault: "warehouse", why: "quiet", class: "query", quietMs: 45_000 }),
          late("large", { fault: "statement", class: "query", quietMs: 0 })
        ]
      })
      const session = yield* server.open()
      const calls = Effect.zipRight(server.call(session, 1, "slow"), server.call(session, 2, "large"))
      const kinds = Object.keys(yield* counted("snowguard_calls_total", calls)).map((labels) =>
        ["tool", "outcome", "kind"].map((name) => new RegExp(`(?:^| )${name}=(\\S+)`).exec(labels)?.[1])
      )
      assert.sameDeepMembers(kinds, [
        ["slow", "WAREHOUSE_STATEMENT_TIMEOUT", "failed"],
        ["large", "WAREHOUSE_STATEMENT_TIMEOUT", "rejected"]
      ])
    }).pipe(quiet)
  )

  it.scopedLive("over HTTP: every request, notification and session, by names that are bounded", () =>
    Effect.gen(function* () {
      const { started, tool } = yield* endless
      const work = Effect.gen(function* () {
        const server = yield* H.server({ tools: [who, refusing, tool] })
        const session = yield* server.open()
        for (const body of spoken) yield* server.ask({ body, session })
        const call = server.start({ body: H.toolCall("x", "endless"), session })
        yield* Deferred.await(started)
        const cancel = H.message(undefined, "notifications/cancelled", { requestId: "x" })
        yield* server.ask({ body: cancel, session })
        yield* Effect.promise(() => call.answer)
        yield* server.ask({ method: "DELETE", session })
      })
      let operations = {}
      const sessions = yield* counted(
        "mcp.server.session.duration",
        Effect.map(counted("mcp.server.operation.duration", work), (found) => void (operations = found))
      )
      const expected = seen("tcp")
      assert.deepStrictEqual(operations, expected.operations)
      assert.deepStrictEqual(sessions, expected.session)
    }).pipe(quiet)
  )

  it.scopedLive("over stdio: the same", () =>
    Effect.gen(function* () {
      const { started, tool } = yield* endless
      const work = Effect.gen(function* () {
        const stdin = new PassThrough()
        const stdout = new PassThrough()
        const answered = new Map<unknown, (answer: unknown) => void>()
        let rest = ""
        stdout.setEncoding("utf8").on("data", (text: string) => {
          const lines = (rest + text).split("\n")
          rest = lines.pop() ?? ""
          for (const line of lines) {
            const message = JSON.parse(line) as { readonly id?: unknown }
            answered.get(message.id)?.(message)
          }
        })
        const send = (message: object & { readonly id?: unknown }) =>
          new Promise((resolve) => {
            if (message.id === undefined) resolve(undefined)
            else answered.set(message.id, resolve)
            stdin.write(`${JSON.stringify(message)}\n`)
          })
        const served = yield* Effect.fork(
          Effect.provide(
            Stdio.serve({ stdin, stdout, principal: Principal.make("local") }),
            H.layers({ tools: [who, refusing, tool] })
          )
        )
        yield* Effect.promise(async () => {
          await send(H.initialize("init"))
          for (const message of spoken) await send(message)
          void send(H.toolCall("x", "endless"))
        })
        yield* Deferred.await(started)
        yield* Effect.promise(async () => {
          await send(H.message(undefined, "notifications/cancelled", { requestId: "x" }))
          stdin.end()
        })
        yield* served.await
      })
      let operations = {}
      const sessions = yield* counted(
        "mcp.server.session.duration",
        Effect.map(counted("mcp.server.operation.duration", work), (found) => void (operations = found))
      )
      const expected = seen("pipe")
      assert.deepStrictEqual(operations, expected.operations)
      assert.deepStrictEqual(sessions, expected.session)
    }).pipe(quiet)
  )
})

describe("what is counted at the edge", () => {
  const at = (name: string) => `snowguard_http_${name}`

  it.scopedLive("requests by method and status, and why some were refused", () =>
    Effect.gen(function* () {
      const server = yield* H.server({
        options: { maxBodyBytes: 2048, requestTimeoutMs: 150, strictSessions: true }
      })
      const session = yield* server.open()
      const requests = yield* counted(
        at("requests_total"),
        Effect.gen(function* () {
          yield* server.call(session, 1, "who")
          yield* server.ask({ path: "/healthz" })
          yield* server.ask({ path: "/nowhere" })
          yield* server.ask({ method: "PROPFIND" })
          yield* server.ask({ path: "/healthz", method: "HEAD" })
          const gone = server.start({
            body: "{",
            headers: { "content-length": "100" }
          })
          gone.request.on("error", () => {})
          gone.request.flushHeaders()
          yield* Effect.promise(() => gone.answer.catch(() => undefined))
        })
      )
      assert.deepInclude(requests, {
        "method=POST status=2xx": 1,
        "method=GET status=2xx": 1,
        "method=GET status=4xx": 1,
        "method=other status=4xx": 1
      })
      const refused = yield* counted(
        at("refusals_total"),
        Effect.gen(function* () {
          yield* server.ask({ body: "x".repeat(4096), session })
          yield* server.ask({ body: "{", session })
          yield* server.ask({ body: "[".repeat(1000), session })
          yield* server.ask({ body: H.message(1, "ping"), session: "other" })
          yield* server.ask({ headers: { "x-big": "y".repeat(20_000) } })
          yield* Effect.promise(() => server.raw("NOT HTTP AT ALL\r\n\r\n"))
          yield* Effect.promise(() => server.raw("POST /mcp HTTP/1.1\r\nhost: loc"))
          yield* Effect.promise(() =>
            server.raw("POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n{")
          )
        })
      )
      assert.deepStrictEqual(refused, {
        "reason=body-too-large": 1,
        "reason=body-not-json": 1,
        "reason=body-too-complex": 1,
        "reason=body-too-slow": 1,
        "reason=unknown-session": 1,
        "reason=headers-too-large": 1,
        "reason=malformed": 1,
        "reason=request-too-slow": 1
      })
      const passed = yield* counted(
        at("edge_seconds"),
        Effect.zipRight(
          server.call(session, 2, "who"),
          server.ask({ body: H.message(1, "ping"), session: "x" })
        )
      )
      assert.deepStrictEqual(passed, { "to=session": 1, "to=refused": 1 })
    }).pipe(quiet)
  )

  it.scopedLive("sessions and answers, and how they ended", () =>
    Effect.gen(function* () {
      const { started, tool } = yield* endless
      let streams: { readonly [labels: string]: number } = {}
      const sessions = yield* counted(
        at("sessions_total"),
        Effect.gen(function* () {
          const scope = yield* Scope.make()
          const server = yield* H.server({
            tools: [who, tool],
            options: { maxSessionsPerClient: 2 }
          }).pipe(Scope.extend(scope))
          const first = yield* server.open()
          yield* server.open()
          const last = yield* server.open()
          assert.strictEqual((yield* server.call(first, 1, "who")).status, 404)
          streams = yield* counted(
            at("streams_total"),
            Effect.gen(function* () {
              const left = server.start({ body: H.toolCall(1, "endless"), session: last })
              yield* Deferred.await(started)
              left.request.destroy()
              const cancelled = server.start({ body: H.toolCall(2, "endless"), session: last })
              yield* Effect.promise(() => cancelled.began)
              const cancel = H.message(undefined, "notifications/cancelled", { requestId: 2 })
              yield* server.ask({ body: cancel, session: last })
              yield* Effect.promise(() => cancelled.answer)
              yield* server.call(last, 3, "who")
            })
          )
          yield* server.ask({ method: "DELETE", session: last })
          yield* Scope.close(scope, Exit.void)
        })
      )
      assert.deepStrictEqual(sessions, { "event=opened": 3, "event=evicted": 1, "event=closed": 2 })
      assert.deepStrictEqual(streams, {
        "event=opened of=call": 3,
        "event=cancelled of=call": 1,
        "event=disconnected of=call": 1
      })
    }).pipe(quiet)
  )
})

interface Span {
  readonly traceId: string
  readonly parentSpanId?: string
  readonly name: string
}

/** Spans that a collector was sent of the calls, by the text each was made with. */
const traced = (work: (server: H.Server) => Effect.Effect<void>) =>
  Effect.gen(function* () {
    const spans: Array<Span> = []
    const collector = yield* Effect.acquireRelease(
      Effect.promise(async () => {
        const server = NodeHttp.createServer((request, response) => {
          let body = ""
          request.setEncoding("utf8").on("data", (chunk: string) => (body += chunk))
          request.on("end", () => {
            if (request.url === "/v1/traces")
              spans.push(...(JSON.parse(body).resourceSpans[0].scopeSpans[0].spans as ReadonlyArray<Span>))
            response.end("{}")
          })
        }).listen(0, "127.0.0.1")
        await once(server, "listening")
        return server
      }),
      (server) =>
        Effect.sync(() => {
          server.close()
          server.closeAllConnections()
        })
    )
    const address = collector.address()
    const port = typeof address === "object" ? (address?.port ?? 0) : 0
    const inner = H.tool("inner", () => Effect.withSpan(H.whoAmI, "inner", { captureStackTrace: false }))
    yield* Effect.flatMap(H.server({ tools: [inner] }), work).pipe(
      Effect.scoped,
      Effect.provide(Otlp.layer({ endpoint: `http://127.0.0.1:${port}`, service: "t", version: "1" }))
    )
    return spans
  })

describe("the trace that a caller is in", () => {
  const id = (of: string) => of.repeat(32)
  const span = (of: string) => of.repeat(16)
  const parent = (of: string, flags = "01") => `00-${id(of)}-${span(of)}-${flags}`
  const withMeta = (traceparent: unknown) =>
    H.message(1, "tools/call", { name: "inner", arguments: {}, _meta: { traceparent } })
  const plain = H.toolCall(1, "inner")

  const one = (body: object, headers: { readonly [name: string]: string } = {}) =>
    Effect.map(
      traced((server) =>
        Effect.gen(function* () {
          const session = yield* server.open()
          const answer = yield* server.ask({ body, session, headers })
          // Whatever it says, it decides nothing.
          assert.deepInclude(H.messages(answer)[0]?.result, { structuredContent: { who: "local/default" } })
        })
      ),
      (spans) => ({
        call: spans.find(({ name }) => name === "snowguard.call"),
        inner: spans.find(({ name }) => name === "inner")
      })
    )

  it.scopedLive("is the call's: of the message first, of the HTTP request otherwise", () =>
    Effect.gen(function* () {
      const header = yield* one(plain, { traceparent: parent("a") })
      assert.deepInclude(header.call, { traceId: id("a"), parentSpanId: span("a") })
      assert.strictEqual(header.inner?.traceId, id("a"))
      const meta = yield* one(withMeta(parent("b")), { traceparent: parent("a") })
      assert.deepInclude(meta.call, { traceId: id("b"), parentSpanId: span("b") })
      const broken = yield* one(withMeta("00-nonsense"), { traceparent: parent("a") })
      assert.strictEqual(broken.call?.traceId, id("a"))
    }).pipe(quiet)
  )

  it.scopedLive("that is malformed is ignored; one that is not recorded is not recorded here either", () =>
    Effect.gen(function* () {
      const broken = yield* one(withMeta({ deep: 1 }), { traceparent: `${parent("a")}-more` })
      assert.match(broken.call?.traceId ?? "", /^[0-9a-f]{32}$/)
      assert.isUndefined(broken.call?.parentSpanId)
      assert.deepStrictEqual(yield* one(plain, { traceparent: parent("a", "00") }), {
        call: undefined,
        inner: undefined
      })
    }).pipe(quiet)
  )
})
