import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { ChildProcess } from "node:child_process"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll } from "vitest"
import * as H from "../utils/http.js"
import { bin, cleanEnv } from "../utils/server.js"

/** Hours of work for DuckDB, and a statement that every gate accepts. */
const endless = `SELECT count(*) FROM SNOWGUARD_SAMPLE.WEB.EVENTS a, SNOWGUARD_SAMPLE.WEB.EVENTS b,
  SNOWGUARD_SAMPLE.WEB.EVENTS c WHERE a.EVENT_ID * 3 + b.EVENT_ID = c.EVENT_ID + 1`

const folder = mkdtempSync(join(tmpdir(), "snowguard-http-"))

afterAll(() => rmSync(folder, { recursive: true, force: true }))

class Process {
  stdout = ""
  stderr = ""
  readonly exited: Promise<number | null>
  readonly port: Promise<number>
  constructor(readonly child: ChildProcess) {
    this.exited = once(child, "close").then(([code]) => code as number | null)
    child.stdout?.setEncoding("utf8").on("data", (text: string) => (this.stdout += text))
    this.port = new Promise((resolve) => {
      child.stderr?.setEncoding("utf8").on("data", (text: string) => {
        this.stderr += text
        const port = /127\.0\.0\.1:(\d+)\/mcp/.exec(this.stderr)?.[1]
        if (port !== undefined) resolve(Number(port))
      })
    })
  }
}

const spawned = (env: { readonly [name: string]: string } = {}) =>
  Effect.acquireRelease(
    Effect.sync(
      () =>
        new Process(
          spawn(process.execPath, [bin, "http"], {
            cwd: folder,
            env: cleanEnv({ SNOWGUARD_HTTP_PORT: "0", SNOWGUARD_STATE_DIR: folder, ...env })
          })
        )
    ),
    ({ child, exited }) =>
      Effect.promise(() => {
        child.kill("SIGKILL")
        return exited
      })
  )

const inUse = (got: H.Answer): unknown => {
  const limits = H.messages(got)[0]?.result?.["structuredContent"] as {
    readonly concurrency: ReadonlyArray<{ readonly pool: string; readonly in_use: number }>
  }
  return limits.concurrency.find(({ pool }) => pool === "statements")?.in_use
}

describe("the shared server, spawned", () => {
  it.scopedLive("serves the warehouse; a client that hangs up frees its statement; SIGTERM ends it all", () =>
    Effect.gen(function* () {
      const process = yield* spawned({ SNOWGUARD_TIMEOUTS_SHUTDOWN_SECONDS: "1" })
      const server = new H.Server(yield* Effect.promise(() => process.port))
      const session = yield* server.open()
      const listed = yield* server.call(session, 1, "list_databases")
      assert.include(listed.body, "SNOWGUARD_SAMPLE")
      const statements = (id: string) => Effect.map(server.call(session, id, "get_limits"), inUse)
      const query = server.start({ body: H.toolCall(2, "execute_query", { sql: endless }), session })
      yield* Effect.repeat(statements("a"), { until: (count) => count === 1 })
      query.request.destroy()
      yield* Effect.repeat(statements("b"), { until: (count) => count === 0 })

      // Every tool, through the SDK's client, which holds each answer against the tool's schema.
      const client = yield* server.client()
      const { tools } = yield* Effect.promise(() => client.listTools())
      const shop = { database: "SNOWGUARD_SAMPLE" }
      const asked: { readonly [tool: string]: Record<string, unknown> } = {
        list_databases: {},
        list_schemas: shop,
        list_tables: shop,
        list_views: shop,
        describe_table: { ...shop, schema: "web", table: "events" },
        execute_query: { ...shop, schema: "PUBLIC", sql: "SELECT count(*) AS N FROM ORDERS" },
        get_limits: {}
      }
      for (const [name, args] of Object.entries(asked)) {
        assert.include(
          tools.map((tool) => tool.name),
          name
        )
        const result = yield* Effect.promise(() => client.callTool({ name, arguments: args }))
        assert.isDefined(result.structuredContent, JSON.stringify(result))
      }
      const refused = yield* Effect.promise(() =>
        client.callTool({ name: "execute_query", arguments: { sql: "DROP TABLE ORDERS" } })
      )
      assert.isTrue(refused.isError)

      const metrics = yield* server.ask({ path: "/metrics" })
      assert.match(
        metrics.body,
        /^mcp_server_operation_duration_seconds_count\{[^}]*gen_ai_tool_name="list_databases",mcp_method_name="tools\/call",[^}]*network_transport="tcp"\} 2$/m
      )
      assert.match(
        metrics.body,
        /^mcp_server_operation_duration_seconds_count\{error_type="tool_error"[^}]*gen_ai_tool_name="execute_query"/m
      )
      // Every metric of ours says what it is.
      for (const [, name, help] of metrics.body.matchAll(/^# HELP ((?:snowguard|mcp)_\w+) (.*)$/gm)) {
        assert.notStrictEqual(help, `${name?.replaceAll("_", " ")}.`)
      }
      assert.match(metrics.body, /^snowguard_calls_total\{.*tool="list_databases".*\} 2$/m)
      assert.strictEqual((yield* server.ask({ path: "/readyz" })).status, 200)

      const last = server.start({ body: H.toolCall(3, "execute_query", { sql: endless }), session })
      yield* Effect.repeat(statements("c"), { until: (count) => count === 1 })
      process.child.kill("SIGTERM")
      // With a stream open and a statement that never ends by itself.
      const code = yield* Effect.promise(() => process.exited).pipe(Effect.timeout("10 seconds"))
      assert.strictEqual(code, 0)
      yield* Effect.promise(() => last.answer.catch(() => undefined))
      assert.strictEqual(process.stdout, "")
      for (const line of process.stderr.trimEnd().split("\n")) JSON.parse(line)
    })
  )

  it.scopedLive("refuses to start where others could reach it and nobody is asked", () =>
    Effect.gen(function* () {
      const process = yield* spawned({ SNOWGUARD_HTTP_HOST: "0.0.0.0" })
      assert.strictEqual(yield* Effect.promise(() => process.exited), 78)
      assert.match(process.stderr, /http\.host.*without authentication.*snowguard keys create/)
    })
  )
})
