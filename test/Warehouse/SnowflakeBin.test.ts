/** The built binary with a Snowflake account behind it, as an MCP client runs it. */
import { it } from "@effect/vitest"
import { Effect } from "effect"
import { mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect } from "vitest"
import * as Emulator from "../../src/emulator/Emulator.js"
import * as Server from "../utils/server.js"

const shop = { database: "snowguard_sample" }

const account = (url: string) => ({
  SNOWGUARD_WAREHOUSE: "snowflake",
  SNOWFLAKE_ACCOUNT: "emulator",
  SNOWFLAKE_ACCESS_URL: url,
  SNOWFLAKE_USERNAME: Emulator.defaultUser,
  SNOWFLAKE_PASSWORD: Emulator.defaultPassword,
  SNOWFLAKE_WAREHOUSE: "compute_wh"
})

const home = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "snowguard-home-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

it.scopedLive("serves every tool from a Snowflake account, each result as its schema says", () =>
  Effect.gen(function* () {
    const emulator = yield* Emulator.start()
    const { call } = yield* Server.client({ ...account(emulator.url), HOME: yield* home })
    const ask = (tool: string, args: Record<string, unknown> = {}) =>
      Effect.map(call(tool, args), Server.structured)
    expect(yield* ask("list_databases")).toMatchObject({ count: 1 })
    expect(yield* ask("list_schemas", { ...shop, pattern: "we%" })).toMatchObject({ count: 1 })
    expect(yield* ask("list_tables", { ...shop, schema: "PUBLIC", limit: 2 })).toMatchObject({
      count: 2,
      truncated: true
    })
    const views = (yield* ask("list_views", shop))["views"]
    expect(views).toHaveLength(3)
    const table = yield* ask("describe_table", { ...shop, schema: "web", table: "events" })
    expect(JSON.stringify(table["columns"])).toContain('"VARIANT"')
    expect(JSON.stringify(yield* ask("describe_view", { ...shop, view_name: "ORDER_SUMMARY" }))).toMatch(
      /CREATE OR REPLACE VIEW/i
    )
    expect(yield* ask("query_view", { ...shop, view_name: "ORDER_SUMMARY", limit: 2 })).toMatchObject({
      row_count: 2,
      truncated: true
    })
    expect(
      yield* ask("execute_query", { sql: "SELECT COUNT(*) AS N FROM ORDERS", ...shop, schema: "PUBLIC" })
    ).toMatchObject({ row_count: 1, truncated: false, rows: [[20_000]] })
    expect(
      yield* ask("explain_query", { sql: "SELECT STATUS, COUNT(*) FROM ORDERS GROUP BY 1", ...shop })
    ).toMatchObject({ truncated: false, tables: [expect.stringMatching(/ORDERS/)] })
    const wrong = Server.report(yield* call("execute_query", { sql: "SELECT * FROM ORDERZ", ...shop }))
    expect(wrong).toMatchObject({
      code: "WAREHOUSE_NOT_FOUND",
      suggestions: ["SNOWGUARD_SAMPLE.PUBLIC.ORDERS"]
    })
    const refused = Server.report(yield* call("explain_query", { sql: "DROP TABLE ORDERS" }))
    expect(refused.code).toBe("STATEMENT_REJECTED")
    const { tags } = yield* emulator.state
    expect(Object.keys(tags).some((tag) => tag.includes('"tool":"execute_query","client":"local"'))).toBe(
      true
    )
  })
)

it.scopedLive("reads on in a result of the account without running its statement again", () =>
  Effect.gen(function* () {
    const emulator = yield* Emulator.start()
    const env = { ...account(emulator.url), HOME: yield* home }
    const { call } = yield* Server.client(env)
    const ask = (args: Record<string, unknown>) =>
      Effect.map(call("get_query_results", args), Server.structured)
    const rowsOf = (page: Record<string, unknown>) => page["rows"] as ReadonlyArray<ReadonlyArray<unknown>>
    const used = Effect.map(
      call("get_limits"),
      (result) => JSON.stringify(Server.structured(result)).match(/"queries_per_hour"[^}]*?"used":(\d+)/)?.[1]
    )
    const first = Server.structured(
      yield* call("execute_query", {
        sql: "SELECT EVENT_ID, PAYLOAD FROM WEB.EVENTS WHERE EVENT_ID <= 1000 ORDER BY EVENT_ID DESC",
        ...shop,
        limit: 100
      })
    )
    expect(first).toMatchObject({ row_count: 100, truncated: true })
    const query_id = first["query_id"]
    const seen = [...rowsOf(first)]
    let cursor = first["next_cursor"]
    let pages = 1
    while (cursor !== undefined) {
      const page = yield* ask({ query_id, cursor, limit: 300 })
      expect(page).toMatchObject({ query_id, columns: first["columns"] })
      seen.push(...rowsOf(page))
      cursor = page["next_cursor"]
      pages += 1
    }
    expect(pages).toBe(4)
    expect(seen.map(([id]) => id)).toEqual(Array.from({ length: 1000 }, (_, n) => 1000 - n))
    expect(rowsOf(yield* ask({ query_id, limit: 1000 }))).toEqual(seen)
    expect(yield* used).toBe("1")
    const { requests, statements } = yield* emulator.state
    expect(statements).toMatchObject({ executed: 1, cancelled: 0 })
    expect(requests).toMatchObject({ Submit: 1, Result: 4 })

    const other = yield* Server.client(env)
    for (const foreign of [undefined, first["next_cursor"]]) {
      const refused = Server.report(yield* other.call("get_query_results", { query_id, cursor: foreign }))
      expect(refused.code).toBe("RESULT_NOT_AVAILABLE")
    }
    yield* emulator.reset
    const gone = yield* call("get_query_results", { query_id, cursor: first["next_cursor"] })
    expect(Server.report(gone)).toMatchObject({ code: "WAREHOUSE_RESULT_EXPIRED", retryable: false })
  })
)

it.scopedLive("explains on the embedded warehouse, too", () =>
  Effect.gen(function* () {
    const { call } = yield* Server.client()
    const plan = Server.structured(
      yield* call("explain_query", { sql: "SELECT STATUS, COUNT(*) FROM ORDERS GROUP BY 1", ...shop })
    )
    expect(plan).toMatchObject({ tables: [expect.stringMatching(/ORDERS/)] })
    expect(plan["bytes_assigned"]).toBeGreaterThan(0)
    expect(JSON.stringify(plan["operations"])).toMatch(/TableScan/)
    const refused = Server.report(yield* call("explain_query", { sql: "SHOW TABLES" }))
    expect(refused.code).toBe("INVALID_INPUT")
  })
)

it.scopedLive(
  "says that an operator must act when the password is wrong, logs in no more, and prints no secret",
  () =>
    Effect.gen(function* () {
      const emulator = yield* Emulator.start({ sample: false })
      const folder = yield* home
      const secret = "not-the-password-4711"
      const server = yield* Server.raw({
        env: {
          ...account(emulator.url),
          SNOWFLAKE_PASSWORD: secret,
          HOME: folder,
          SNOWGUARD_LOG_LEVEL: "trace"
        }
      })
      yield* Effect.promise(() => server.initialize())
      for (const id of [1, 2, 3]) {
        const { result } = yield* Effect.promise(() => server.call(id, "list_databases"))
        expect(Server.report(result!)).toMatchObject({ code: "WAREHOUSE_AUTHENTICATION", retryable: false })
      }
      expect((yield* emulator.state).requests).toEqual({ Login: 1 })
      server.child.stdin.end()
      yield* Effect.promise(() => server.exited)
      expect(server.notJson).toEqual([])
      expect(server.stderr + JSON.stringify(server.messages)).not.toContain(secret)
      expect(readdirSync(folder)).not.toContain("snowflake.log")
    })
)
