import { assert, describe, it } from "@effect/vitest"
import type { CallToolResult } from "@modelcontextprotocol/sdk/types.js"
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { connect } from "node:net"
import { join } from "node:path"
import * as H from "../../utils/http.js"
import { endless, folder, serving, spawned, statements } from "../../utils/httpProcess.js"
import { report } from "../../utils/server.js"
import { inLongForm, someOrAll } from "../../utils/long.js"

const until = (server: H.Server, session: string, wanted: number) =>
  Effect.repeat(statements(server, session, `until-${wanted}`), { until: (count) => count === wanted })

/** What a connection was told until it was closed, after it sent so much. */
const held = (server: H.Server, text: string) => {
  const socket = connect(server.port, "127.0.0.1")
  socket.write(text)
  let got = ""
  socket.setEncoding("utf8").on("data", (chunk: string) => (got += chunk))
  socket.on("error", () => {})
  return new Promise<string>((resolve) => socket.on("close", () => resolve(got)))
}

describe("the shared server, spawned", () => {
  it.scopedLive("has no port where it cannot start: what it wrote is the reason", () =>
    Effect.gen(function* () {
      const server = yield* spawned({ SNOWGUARD_CONFIG: "/nowhere/snowguard.toml" })
      const cause = yield* Effect.flip(Effect.tryPromise(() => server.port))
      assert.match(
        String(cause.error),
        /the server ended \(code \d+\) and never listened:[^]*\/nowhere\/snowguard.toml/
      )
    })
  )

  it.scopedLive("serves the warehouse, and a client that hangs up frees its statement", () =>
    Effect.gen(function* () {
      const { server } = yield* serving()
      const session = yield* server.open()
      assert.include((yield* server.call(session, 1, "list_databases")).body, "SNOWGUARD_SAMPLE")
      const query = server.start({ body: H.toolCall(2, "execute_query", { sql: endless }), session })
      yield* until(server, session, 1)
      query.request.destroy()
      yield* until(server, session, 0)

      yield* server.call(session, 3, "execute_query", { sql: "DROP TABLE ORDERS" })
      const metrics = yield* server.ask({ path: "/metrics" })
      assert.match(
        metrics.body,
        /^mcp_server_operation_duration_seconds_count\{[^}]*gen_ai_tool_name="list_databases",mcp_method_name="tools\/call",[^}]*network_transport="tcp"\} 1$/m
      )
      assert.match(
        metrics.body,
        /^mcp_server_operation_duration_seconds_count\{error_type="tool_error"[^}]*gen_ai_tool_name="execute_query"/m
      )
      // Every metric of ours says what it is.
      for (const [, name, help] of metrics.body.matchAll(/^# HELP ((?:snowguard|mcp)_\w+) (.*)$/gm)) {
        assert.notStrictEqual(help, `${name?.replaceAll("_", " ")}.`)
      }
      assert.match(metrics.body, /^snowguard_calls_total\{.*tool="list_databases".*\} 1$/m)
      assert.strictEqual((yield* server.ask({ path: "/readyz" })).status, 200)
    })
  )

  it.scopedLive(
    "SIGTERM answers what ends in time, cancels what does not, and closes connections that clients keep open",
    () =>
      Effect.gen(function* () {
        const path = yield* folder
        const { process, server } = yield* serving({
          SNOWGUARD_TIMEOUTS_SHUTDOWN_SECONDS: "2",
          SNOWGUARD_AUDIT_FILE: join(path, "audit.log")
        })
        const session = yield* server.open()
        const other = yield* server.open()
        // None of these ends by itself.
        const watching = server.start({ path: "/status/events" })
        yield* Effect.promise(() => watching.began)
        const kept = held(server, "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
        const head = "POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        const slow = held(server, `${head}content-length: 100\r\n\r\n{`)
        const headers = held(server, head)
        const last = server.start({ body: H.toolCall(1, "execute_query", { sql: endless }), session: other })
        const sql = "SELECT count(*) AS N FROM SNOWGUARD_SAMPLE.PUBLIC.ORDERS"
        yield* until(server, session, 1)
        const short = server.start({ body: H.toolCall(2, "execute_query", { sql }), session })
        yield* Effect.promise(() => short.began)
        process.child.kill("SIGTERM")
        const answer = yield* Effect.promise(() => short.answer)
        assert.deepInclude(H.messages(answer)[0], { id: 2 })
        assert.isDefined(H.messages(answer)[0]?.result?.["structuredContent"], answer.body)
        assert.deepStrictEqual(yield* Effect.promise(() => process.exited), { code: 0, signal: null })
        // What was cut off was told so, before its stream ended.
        const [cut] = H.messages(yield* Effect.promise(() => last.answer))
        assert.deepInclude(cut, { id: 1 })
        assert.deepInclude(report(cut?.result as CallToolResult), {
          code: "SHUTTING_DOWN",
          retryable: true,
          retryAfterMs: 10_000,
          sideEffects: "unknown"
        })
        assert.match(yield* Effect.promise(() => kept), /alive/)
        assert.notMatch((yield* Effect.promise(() => slow)) + (yield* Effect.promise(() => headers)), / 200 /)
        yield* Effect.promise(() => watching.answer.catch(() => undefined))
        assert.strictEqual(process.stdout, "")
        const lines = process.stderr.trimEnd().split("\n")
        const logged = lines.map((line) => JSON.parse(line) as { message: string; annotations: object })
        const about = (text: string) => logged.find(({ message }) => message.startsWith(text))?.annotations
        assert.deepInclude(about("shutting down"), { sessions: 2 })
        assert.deepInclude(about("calls have ended"), { cut: 1, cancelled: 0 })
        const audited = readFileSync(join(path, "audit.log"), "utf8").trimEnd().split("\n")
        const decisions = audited.map((line) => (JSON.parse(line) as { decision: string }).decision)
        // What a cancelled call has used may be settled after its own line.
        assert.deepStrictEqual(
          decisions.filter((decision) => decision !== "ok" && decision !== "settled"),
          ["cancelled"]
        )
      })
  )

  it.scopedLive(
    "SIGHUP reads the settings again without a terminal, and SIGQUIT ends it with its statement cancelled",
    () =>
      Effect.gen(function* () {
        const { process, server } = yield* serving({ SNOWGUARD_TIMEOUTS_SHUTDOWN_SECONDS: "1" })
        const session = yield* server.open()
        const call = server.start({ body: H.toolCall(1, "execute_query", { sql: endless }), session })
        yield* until(server, session, 1)
        process.child.kill("SIGHUP")
        yield* Effect.repeat(Effect.sleep(5), {
          until: () => process.stderr.includes("settings were read again")
        })
        assert.strictEqual((yield* server.ask({ path: "/readyz" })).status, 200)
        process.child.kill("SIGQUIT")
        assert.deepStrictEqual(yield* Effect.promise(() => process.exited), { code: 0, signal: null })
        const [cut] = H.messages(yield* Effect.promise(() => call.answer))
        assert.strictEqual(report(cut?.result as CallToolResult).code, "SHUTTING_DOWN")
      })
  )

  for (const [first, second] of someOrAll(
    [
      ["SIGINT", "SIGTERM"],
      ["SIGTERM", "SIGINT"],
      ["SIGQUIT", "SIGQUIT"]
    ] as const,
    1
  )) {
    it.scopedLive(`a ${second} after a ${first} ends it at once`, () =>
      Effect.gen(function* () {
        const { process, server } = yield* serving({ SNOWGUARD_TIMEOUTS_SHUTDOWN_SECONDS: "8" })
        const session = yield* server.open()
        const call = server.start({ body: H.toolCall(1, "execute_query", { sql: endless }), session })
        yield* until(server, session, 1)
        process.child.kill(first)
        const ready = Effect.map(server.ask({ path: "/readyz" }), ({ status }) => status)
        yield* Effect.repeat(ready, { until: (status) => status === 503 })
        process.child.kill(second)
        // Nothing else would end it by a signal.
        assert.deepStrictEqual(yield* Effect.promise(() => process.exited), { code: null, signal: second })
        yield* Effect.promise(() => call.answer.catch(() => undefined))
      })
    )
  }

  inLongForm(() => {
    it.scopedLive("listens on IPv6, with and without brackets, and says so as a URL", () =>
      Effect.gen(function* () {
        for (const host of ["::1", "[::1]"]) {
          const process = yield* spawned({ SNOWGUARD_HTTP_HOST: host })
          const url = () => /"url":"(http:[^"]+)"/.exec(process.stderr)?.[1]
          yield* Effect.repeat(Effect.sleep(5), { until: () => url() !== undefined })
          assert.match(url() ?? "", /^http:\/\/\[::1\]:\d+\/mcp$/)
          const { status } = yield* Effect.promise(() => fetch(new URL("/healthz", url())))
          assert.strictEqual(status, 200)
        }
      })
    )
  })

  it.scopedLive("refuses to start where other machines could reach it without authentication", () =>
    Effect.gen(function* () {
      const process = yield* spawned({ SNOWGUARD_HTTP_HOST: "0.0.0.0" })
      assert.deepInclude(yield* Effect.promise(() => process.exited), { code: 78 })
      assert.match(process.stderr, /http\.host.*without authentication.*snowguard keys create/)
    })
  )

  inLongForm(() => {
    it.scopedLive("refuses a shutdown time that supervisors do not wait for", () =>
      Effect.gen(function* () {
        const process = yield* spawned({ SNOWGUARD_TIMEOUTS_SHUTDOWN_SECONDS: "30" })
        assert.deepInclude(yield* Effect.promise(() => process.exited), { code: 78 })
        assert.match(process.stderr, /SHUTDOWN_SECONDS: expected a number from 0 to 8/)
      })
    )
  })
})
