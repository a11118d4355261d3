/** The built binary with a Snowflake account behind it, as an MCP client runs it. */
import { it } from "@effect/vitest"
import { Effect } from "effect"
import { randomBytes } from "node:crypto"
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import type { AddressInfo, Server as NetServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect } from "vitest"
import * as Emulator from "../../src/emulator/Emulator.js"
import { sample as salesAnalysis } from "../../src/emulator/semantic.js"
import * as Server from "../utils/server.js"
import { inLongForm } from "../utils/long.js"

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

inLongForm(() => {
  it.scopedLive("lists, describes and queries semantic views by the names that it tells", () =>
    Effect.gen(function* () {
      const odd = 'Sales "by" day.v2'
      const emulator = yield* Emulator.start({
        semanticViews: [salesAnalysis, { ...salesAnalysis, name: odd }]
      })
      const { call } = yield* Server.client({ ...account(emulator.url), HOME: yield* home })
      const ask = (tool: string, args: Record<string, unknown> = {}) =>
        Effect.map(call(tool, args), Server.structured)
      const listed = (yield* ask("list_views", { ...shop, schema: "public" }))["views"] as ReadonlyArray<{
        readonly name: string
        readonly schema: string
        readonly kind?: string
      }>
      const semantic = listed.filter(({ kind }) => kind === "SEMANTIC VIEW")
      expect(semantic.map(({ name }) => name)).toEqual(["SALES_ANALYSIS", '"Sales ""by"" day.v2"'])
      expect(listed.filter(({ kind }) => kind === undefined).map(({ name }) => name)).toContain(
        "ORDER_SUMMARY"
      )
      const found = yield* ask("search_objects", { query: "sales revenue", kinds: ["semantic view"] })
      expect(found["objects"]).toEqual(
        expect.arrayContaining(
          semantic.map(({ name }) => ({
            name: `SNOWGUARD_SAMPLE.PUBLIC.${name}`,
            kind: "semantic view",
            comment: salesAnalysis.comment
          }))
        )
      )
      for (const { name, schema } of semantic) {
        const described = yield* ask("describe_view", { ...shop, schema, view_name: name })
        expect(described).toMatchObject({
          count: 13,
          truncated: false,
          semantic: {
            comment: salesAnalysis.comment,
            tables: [
              {
                name: "CUSTOMERS",
                base_table: "SNOWGUARD_SAMPLE.PUBLIC.CUSTOMERS",
                primary_key: ["CUSTOMER_ID"]
              },
              { name: "ORDERS" }
            ],
            relationships: ["ORDERS (CUSTOMER_ID) REFERENCES CUSTOMERS (CUSTOMER_ID)"],
            facts: [{ name: "ORDERS.ORDER_AMOUNT" }, { name: "ORDERS.DISCOUNT_CODE", private: true }],
            verified_queries: [{ question: "Which countries bring the most revenue?" }]
          }
        })
        const { dimensions, example, metrics, verified_queries } = described["semantic"] as {
          readonly dimensions: ReadonlyArray<{ readonly name: string }>
          readonly metrics: ReadonlyArray<{ readonly name: string }>
          readonly example: string
          readonly verified_queries: ReadonlyArray<{ readonly sql: string }>
        }
        expect(yield* ask("execute_query", { sql: example })).toMatchObject({
          truncated: false,
          columns: [{ name: "COUNTRY" }, { name: "CUSTOMER_COUNT" }]
        })
        // Without a database or a schema: the names say it all.
        const full = described["view"]
        const all = yield* ask("execute_query", {
          sql:
            `SELECT * FROM SEMANTIC_VIEW(${full} DIMENSIONS ${dimensions.map((one) => one.name).join(", ")} ` +
            `METRICS ${metrics
              .map((one) => one.name)
              .filter((name) => name.startsWith("ORDERS."))
              .join(", ")})`,
          limit: 3
        })
        expect(all).toMatchObject({ row_count: 3, truncated: true })
        expect(all["columns"]).toHaveLength(dimensions.length + 3)
        expect(
          yield* ask("execute_query", {
            sql: `SELECT COUNTRY, AGG(REVENUE) FROM ${full} WHERE COUNTRY = 'Germany' GROUP BY COUNTRY`
          })
        ).toMatchObject({ rows: [["Germany", expect.anything()]] })
        const facts = `SELECT * FROM SEMANTIC_VIEW(${full} FACTS ORDERS.ORDER_AMOUNT WHERE ORDERS.ORDER_AMOUNT > 1500)`
        expect(yield* ask("execute_query", { sql: facts })).toMatchObject({
          columns: [{ name: "ORDER_AMOUNT" }]
        })
        expect(yield* ask("execute_query", { sql: verified_queries[0]!.sql })).toMatchObject({
          columns: [{ name: "COUNTRY" }, { name: "REVENUE" }]
        })
        expect(yield* ask("execute_query", { sql: `DESCRIBE SEMANTIC VIEW ${full}` })).toMatchObject({
          truncated: false
        })
      }
      const finer = "DIMENSIONS orders.order_date METRICS customers.customer_count"
      const wrong = Server.report(
        yield* call("execute_query", { ...shop, sql: `SELECT * FROM SEMANTIC_VIEW(sales_analysis ${finer})` })
      )
      expect(wrong).toMatchObject({ code: "WAREHOUSE_INVALID_STATEMENT", retryable: false })
      expect(wrong.message).toContain("granularity")
      const refused = Server.report(
        yield* call("execute_query", {
          sql: `SELECT * FROM SEMANTIC_VIEW(sales_analysis METRICS revenue WHERE country IN (SELECT 1))`
        })
      )
      expect(refused.code).toBe("STATEMENT_REJECTED")
    })
  )
})

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
    expect(views).toHaveLength(4)
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

inLongForm(() => {
  it.scopedLive(
    "limits credits by the account's own bill, and wakes no warehouse for a tier that may not",
    () =>
      Effect.gen(function* () {
        const emulator = yield* Emulator.start({
          compute: { COMPUTE_WH: { size: "Large", autoSuspendSeconds: 600, suspended: true } },
          budgets: [{ BUDGET_NAME: "TEAM", CREDIT_LIMIT: "100" }]
        })
        const env = { ...account(emulator.url), HOME: yield* home }
        const sql = "SELECT COUNT(*) AS N FROM SNOWGUARD_SAMPLE.PUBLIC.ORDERS"
        const guest = yield* Server.client({ ...env, SNOWGUARD_TIERS_DEFAULT_WAKE_WAREHOUSE: "false" })
        expect(Server.report(yield* guest.call("execute_query", { sql }))).toMatchObject({
          code: "WAREHOUSE_SUSPENDED",
          sideEffects: "none"
        })
        expect(Server.structured(yield* guest.call("execute_query", { sql: "SHOW TABLES" }))).toHaveProperty(
          "rows"
        )
        expect((yield* emulator.bills)[0]).toMatchObject({ credits: 0, resumes: 0 })
        const { call } = yield* Server.client({
          ...env,
          SNOWGUARD_CLIENT: "ann",
          SNOWGUARD_QUOTA_STORE_KIND: "memory",
          SNOWGUARD_TIERS_DEFAULT_CREDITS_PER_DAY: "0.5"
        })
        // Two minutes at most, and the minute of the resume, at eight credits an hour.
        expect(Server.structured(yield* call("execute_query", { sql, timeout_seconds: 120 }))).toHaveProperty(
          "rows"
        )
        const limits = Server.structured(yield* call("get_limits"))
        const [bill] = yield* emulator.bills
        expect(bill?.by["ann"]).toBeCloseTo(8 / 60, 3)
        expect(limits["quotas"]).toContainEqual(
          expect.objectContaining({ quota: "credits_per_day", limit: 0.5, used: expect.closeTo(8 / 60, 3) })
        )
        expect(limits["credits"]).toMatchObject({
          warehouse: "COMPUTE_WH",
          state: "running",
          credits_per_hour: 8
        })
        expect(Server.report(yield* call("execute_query", { sql, timeout_seconds: 280 }))).toMatchObject({
          code: "QUOTA_EXCEEDED",
          scope: "client:credits_per_day",
          retryable: false
        })
        // It runs now, so that the guest is served.
        expect(Server.structured(yield* guest.call("execute_query", { sql }))).toHaveProperty("rows")
      })
  )
})

inLongForm(() => {
  it.scopedLive(
    "logs in by a connection of the command line tool's config.toml, at its host, port and protocol",
    () =>
      Effect.gen(function* () {
        const emulator = yield* Emulator.start({ sample: false })
        const { hostname, port } = new URL(emulator.url)
        const folder = yield* home
        const entries = {
          account: "emulator",
          host: hostname,
          port: Number(port),
          protocol: "http",
          user: Emulator.defaultUser,
          password: Emulator.defaultPassword
        }
        const toml = Object.entries(entries).map(([key, value]) => `${key} = ${JSON.stringify(value)}`)
        writeFileSync(
          join(folder, "config.toml"),
          `default_connection_name = "emu"\n[connections.emu]\n${toml.join("\n")}\n`,
          { mode: 0o600 }
        )
        for (const args of [[], ["--connection", "emu"]]) {
          const server = yield* Server.raw({ args: ["check", ...args], env: { SNOWFLAKE_HOME: folder } })
          yield* Effect.promise(() => server.exited)
          expect(server.notJson).toContain(`account host: ${hostname}:${port}`)
          expect(server.notJson).toContain(`user: ${Emulator.defaultUser}`)
        }
        expect((yield* emulator.state).requests).toMatchObject({ Login: 2 })
      })
  )
})

/** Accepts connections and never answers. */
const silence = Effect.acquireRelease(
  Effect.async<NetServer>((resume) => {
    const server = createServer((socket) => void socket.on("error", () => undefined))
    server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
  }),
  (server) => Effect.sync(() => server.close())
)

inLongForm(() => {
  it.scopedLive("answers in time while the account does not answer at all", () =>
    Effect.gen(function* () {
      const { port } = (yield* silence).address() as AddressInfo
      const { call } = yield* Server.client({
        ...account(`http://127.0.0.1:${port}`),
        HOME: yield* home,
        SNOWGUARD_TIMEOUTS_STATEMENT_SECONDS: "1",
        SNOWGUARD_TIMEOUTS_METADATA_SECONDS: "1"
      })
      // The driver is loaded by the first call: a busy machine takes its time for that.
      const slack = 1_000
      const told = (name: string, args: Record<string, unknown>, mostMs: number) =>
        Effect.gen(function* () {
          const since = performance.now()
          const result = yield* call(name, args)
          expect(performance.now() - since).toBeLessThan(mostMs)
          expect(Server.report(result)).toMatchObject({ code: "DEADLINE_EXCEEDED", sideEffects: "none" })
        })
      yield* told("execute_query", { sql: "SELECT 1", timeout_seconds: 2 }, 4_000 + slack)
      yield* told("execute_query", { sql: "SELECT 1" }, 3_000 + slack)
      yield* told("list_databases", {}, 2_000 + slack)
    })
  )
})

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
    // One for the session's roles, and the query.
    expect(statements).toMatchObject({ executed: 2, cancelled: 0 })
    expect(requests).toMatchObject({ Submit: 2, Result: 4 })

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

/** Two servers in front of one account, and one page of a result that the first of them gave. */
const twoServers = (one: Server.Env, other: Server.Env) =>
  Effect.gen(function* () {
    const emulator = yield* Emulator.start()
    const common = { ...account(emulator.url), HOME: yield* home }
    const first = yield* Server.client({ ...common, ...one })
    const second = yield* Server.client({ ...common, ...other })
    const { next_cursor, query_id } = Server.structured(
      yield* first.call("execute_query", { sql: "SELECT ORDER_ID FROM ORDERS ORDER BY 1", ...shop, limit: 5 })
    )
    const page = yield* second.call("get_query_results", { query_id, cursor: next_cursor, limit: 5 })
    return { emulator, page, byIdAlone: yield* second.call("get_query_results", { query_id }) }
  })

const cursorKey = () => randomBytes(32).toString("base64")

inLongForm(() => {
  it.scopedLive("a cursor is taken by another server with the same key, and gives the account's rows", () =>
    Effect.gen(function* () {
      const [old, fresh] = [cursorKey(), cursorKey()]
      const { byIdAlone, emulator, page } = yield* twoServers(
        { SNOWGUARD_RESULTS_CURSOR_KEY: old },
        { SNOWGUARD_RESULTS_CURSOR_KEY: `${fresh}, ${old}` }
      )
      expect(Server.structured(page)).toMatchObject({ row_count: 5, rows: [[6], [7], [8], [9], [10]] })
      expect((yield* emulator.state).statements).toMatchObject({ executed: 3 })
      expect(Server.report(byIdAlone).code).toBe("RESULT_NOT_AVAILABLE")
    })
  )
})

inLongForm(() => {
  it.scopedLive(
    "a cursor is refused by a server with another key, or for another client, with what to do",
    () =>
      Effect.gen(function* () {
        const key = cursorKey()
        const others = [
          { SNOWGUARD_RESULTS_CURSOR_KEY: cursorKey() },
          { SNOWGUARD_RESULTS_CURSOR_KEY: key, SNOWGUARD_CLIENT: "somebody-else" }
        ]
        for (const other of others) {
          const { page } = yield* twoServers({ SNOWGUARD_RESULTS_CURSOR_KEY: key }, other)
          const { code, message, retryable, sideEffects } = Server.report(page)
          expect([code, retryable, sideEffects]).toEqual(["RESULT_NOT_AVAILABLE", false, "none"])
          expect(message).toContain("Run the query again")
        }
      })
  )

  it.scopedLive("a cursor outlives its server, when the next one has the same state directory", () =>
    Effect.gen(function* () {
      const emulator = yield* Emulator.start()
      const env = { ...account(emulator.url), HOME: yield* home, SNOWGUARD_STATE_DIR: yield* home }
      const { next_cursor, query_id } = Server.structured(
        yield* Effect.scoped(
          Effect.flatMap(Server.client(env), ({ call }) =>
            call("execute_query", { sql: "SELECT ORDER_ID FROM ORDERS ORDER BY 1", ...shop, limit: 5 })
          )
        )
      )
      const { call } = yield* Server.client(env)
      const page = yield* call("get_query_results", { query_id, cursor: next_cursor, limit: 1 })
      expect(Server.structured(page)).toMatchObject({ rows: [[6]] })
    })
  )

  it.scopedLive(
    "the embedded warehouse's rows stay with the server that has them, which the other one says",
    () =>
      Effect.gen(function* () {
        const env = { SNOWGUARD_STATE_DIR: yield* home }
        const [one, other] = [yield* Server.client(env), yield* Server.client(env)]
        const { next_cursor, query_id } = Server.structured(
          yield* one.call("execute_query", {
            sql: "SELECT ORDER_ID FROM ORDERS ORDER BY 1",
            ...shop,
            limit: 5
          })
        )
        const page = { query_id, cursor: next_cursor, limit: 1 }
        const gone = Server.report(yield* other.call("get_query_results", page))
        expect(gone).toMatchObject({
          code: "WAREHOUSE_RESULT_EXPIRED",
          retryable: false,
          sideEffects: "none"
        })
        expect(gone.message).toMatch(/run the query again/i)
        expect(Server.structured(yield* one.call("get_query_results", page))).toMatchObject({ rows: [[6]] })
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
})

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
