import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { name, version } from "../../src/platform/package.js"
import * as Emulator from "../../src/emulator/Emulator.js"
import { childrenOf } from "../utils/children.js"
import * as Server from "../utils/server.js"
import { inLongForm } from "../utils/long.js"

/** Hours of work for DuckDB, and a statement that every gate accepts. */
const endless = `SELECT count(*) FROM SNOWGUARD_SAMPLE.WEB.EVENTS a, SNOWGUARD_SAMPLE.WEB.EVENTS b,
  SNOWGUARD_SAMPLE.WEB.EVENTS c WHERE a.EVENT_ID * 3 + b.EVENT_ID = c.EVENT_ID + 1`

const shop = { database: "SNOWGUARD_SAMPLE" }

/** Asks until it is so: what another process does is seen from outside only. */
const eventually = async (what: () => Promise<boolean> | boolean): Promise<void> => {
  for (;;) if (await what()) return
}

const statementsInUse = async (server: Server.RawServer, id: number): Promise<unknown> => {
  const limits = (await server.call(id, "get_limits")).result?.structuredContent as {
    readonly concurrency: ReadonlyArray<{ readonly pool: string; readonly in_use: number }>
  }
  return limits.concurrency.find(({ pool }) => pool === "statements")?.in_use
}

describe("the binary, spawned", () => {
  it("announces the name and version of package.json", () => {
    const pkg = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"))
    assert.deepStrictEqual({ name, version }, { name: pkg.name, version: pkg.version })
  })

  it.scopedLive("serves every tool from the sample warehouse, each result as its schema says", () =>
    Effect.gen(function* () {
      const { call } = yield* Server.client()
      const ask = (tool: string, args: Record<string, unknown> = {}) =>
        Effect.map(call(tool, args), Server.structured)
      assert.deepInclude(yield* ask("list_databases"), { count: 1 })
      assert.deepInclude(yield* ask("list_schemas", { ...shop, pattern: "we%" }), { count: 1 })
      assert.deepInclude(yield* ask("list_tables", { ...shop, schema: "PUBLIC", limit: 2 }), {
        count: 2,
        truncated: true
      })
      assert.isAtLeast((yield* ask("list_views", shop))["count"] as number, 2)
      const table = yield* ask("describe_table", { ...shop, schema: "web", table: "events" })
      assert.include(JSON.stringify(table["columns"]), '"VARIANT"')
      const views = (yield* ask("list_views", { ...shop, schema: "PUBLIC" }))["views"]
      const view_name = (views as ReadonlyArray<{ readonly name: string }>)[0]?.name ?? ""
      assert.match(
        JSON.stringify(yield* ask("describe_view", { ...shop, view_name })),
        /CREATE OR REPLACE VIEW/i
      )
      assert.deepInclude(yield* ask("query_view", { ...shop, view_name, limit: 2 }), {
        row_count: 2,
        truncated: true
      })
      assert.deepInclude(
        yield* ask("execute_query", { sql: "SELECT count(*) AS N FROM ORDERS", ...shop, schema: "PUBLIC" }),
        { row_count: 1, truncated: false }
      )
      assert.deepInclude(yield* ask("get_limits"), { client: "local", tier: "default" })
    })
  )

  inLongForm(() => {
    it.scopedLive("every refusal says what happened and whether to try again", () =>
      Effect.gen(function* () {
        const { call } = yield* Server.client({
          SNOWGUARD_TIERS_DEFAULT_REQUESTS_PER_HOUR: "7",
          SNOWGUARD_TIMEOUTS_STATEMENT_SECONDS: "1"
        })
        const refused = (tool: string, args: Record<string, unknown>) =>
          Effect.map(call(tool, args), Server.report)
        assert.deepInclude(yield* refused("execute_query", { sql: "DROP TABLE ORDERS" }), {
          code: "STATEMENT_REJECTED",
          retryable: false,
          sideEffects: "none"
        })
        assert.deepInclude(yield* refused("execute_query", { sql: "SELECT 1", limit: "ten" }), {
          code: "INVALID_INPUT",
          retryable: false
        })
        assert.deepInclude(
          yield* refused("execute_query", { sql: "SELECT NO_SUCH FROM ORDERS", ...shop, schema: "PUBLIC" }),
          {
            code: "WAREHOUSE_INVALID_STATEMENT",
            retryable: false
          }
        )
        const missing = yield* refused("describe_table", { ...shop, table: "CUSTOMER" })
        assert.strictEqual(missing.code, "WAREHOUSE_NOT_FOUND")
        assert.match(missing.message, /CUSTOMERS/)
        assert.strictEqual(
          (yield* refused("list_schemas", { database: "SNOWGUARD_SAMPEL" })).code,
          "WAREHOUSE_NOT_FOUND"
        )
        assert.strictEqual(
          (yield* refused("execute_query", { sql: endless })).code,
          "WAREHOUSE_STATEMENT_TIMEOUT"
        )
        for (let i = 0; i < 3; i++) Server.structured(yield* call("list_databases"))
        const quota = yield* refused("list_databases", {})
        assert.deepInclude(quota, {
          code: "QUOTA_EXCEEDED",
          scope: "client:requests_per_hour",
          used: 7,
          remaining: 0
        })
        assert.isDefined(quota.resetAt)
        Server.structured(yield* call("get_limits"))
      })
    )
  })

  it.scopedLive("a burst is refused by the rate limit, and the named wait is enough", () =>
    Effect.gen(function* () {
      const { call } = yield* Server.client({
        SNOWGUARD_TIERS_DEFAULT_BURST: "3",
        SNOWGUARD_TIERS_DEFAULT_INITIAL_TOKENS: "3",
        // Slow enough that no token comes back while a busy machine serves the burst.
        SNOWGUARD_TIERS_DEFAULT_REQUESTS_PER_SECOND: "0.4",
        SNOWGUARD_TIERS_DEFAULT_MAX_TOKEN_WAIT_SECONDS: "0"
      })
      const burst = yield* Effect.all(
        Array.from({ length: 8 }, () => call("list_databases")),
        { concurrency: "unbounded" }
      )
      const refused = burst.filter(({ isError }) => isError === true).map(Server.report)
      assert.strictEqual(refused.length, 5)
      for (const report of refused) {
        assert.deepInclude(report, {
          code: "RATE_LIMITED",
          scope: "client",
          retryable: true,
          sideEffects: "none"
        })
      }
      // The shortest wait that was named: the first to come back is admitted.
      yield* Effect.sleep(Math.min(...refused.map(({ retryAfterMs }) => retryAfterMs ?? Infinity)))
      Server.structured(yield* call("list_databases"))
    })
  )

  it.scopedLive("a full house is told, and the waiting call does not wait for ever", () =>
    Effect.gen(function* () {
      const { call } = yield* Server.client({
        SNOWGUARD_LIMITS_MAX_CONCURRENT_STATEMENTS: "1",
        SNOWGUARD_LIMITS_MAX_WAIT_SECONDS: "0.2",
        SNOWGUARD_TIMEOUTS_STATEMENT_SECONDS: "1"
      })
      yield* call("list_databases")
      const running = yield* Effect.fork(call("execute_query", { sql: endless }))
      const inUse = Effect.map(call("get_limits"), (limits) => {
        const { concurrency } = Server.structured(limits) as {
          readonly concurrency: ReadonlyArray<{ readonly pool: string; readonly in_use: number }>
        }
        return concurrency.find(({ pool }) => pool === "statements")?.in_use
      })
      yield* Effect.repeat(inUse, { until: (slots) => slots === 1 })
      const waiting = yield* call("execute_query", { sql: "SELECT 1" })
      const slow = yield* Fiber.join(running)
      assert.strictEqual(Server.report(slow).code, "WAREHOUSE_STATEMENT_TIMEOUT")
      assert.deepInclude(Server.report(waiting), {
        code: "OVERLOADED",
        scope: "statements",
        sideEffects: "none"
      })
    })
  )

  it.scopedLive(
    "a warehouse that does not answer is not called for a while, and callers are told until when",
    () =>
      Effect.gen(function* () {
        const emulator = yield* Emulator.start({ sample: false })
        const { call } = yield* Server.client({
          SNOWGUARD_WAREHOUSE: "snowflake",
          SNOWFLAKE_ACCOUNT: "emulator",
          SNOWFLAKE_ACCESS_URL: emulator.url,
          SNOWFLAKE_USER: Emulator.defaultUser,
          SNOWFLAKE_PASSWORD: Emulator.defaultPassword,
          SNOWGUARD_TIMEOUTS_METADATA_SECONDS: "1",
          SNOWGUARD_BREAKER_CONSECUTIVE_FAILURES: "1",
          // The login that hangs is not waited for at the end.
          SNOWGUARD_TIMEOUTS_SHUTDOWN_SECONDS: "0.1"
        })
        yield* call("list_databases")
        yield* emulator.setFaults({ faults: [{ kind: "hang", where: "query" }] })
        const codes: Array<string> = []
        // The ladder looks at the breaker ten times a second: until then the breaker answers for itself.
        while (codes.at(-1) !== "DEGRADED") {
          codes.push(Server.report(yield* call("list_schemas", { database: `DB${codes.length}` })).code)
        }
        assert.strictEqual(codes[0], "DEADLINE_EXCEEDED")
        const known = ["DEADLINE_EXCEEDED", "CIRCUIT_OPEN", "DEGRADED"]
        assert.deepStrictEqual(
          codes.map((code) => known.indexOf(code)),
          codes.map((code) => known.indexOf(code)).sort()
        )
        const refused = Server.report(yield* call("execute_query", { sql: "SELECT 1" }))
        assert.deepInclude(refused, {
          code: "DEGRADED",
          scope: "cache-only",
          retryable: true,
          sideEffects: "none"
        })
        const limits = Server.structured(yield* call("get_limits"))
        assert.deepInclude(limits["circuit"], { phase: "open" })
        assert.deepInclude(limits["mode"], { mode: "cache-only" })
      })
  )

  it.scopedLive("a cancelled call is stopped in the warehouse, gets no answer, and frees its slot", () =>
    Effect.gen(function* () {
      const server = yield* Server.raw({ env: { SNOWGUARD_LIMITS_MAX_CONCURRENT_STATEMENTS: "1" } })
      yield* Effect.promise(async () => {
        await server.initialize()
        void server.call(1, "execute_query", { sql: endless })
        let id = 100
        await eventually(async () => (await statementsInUse(server, id++)) === 1)
        server.send({ method: "notifications/cancelled", params: { requestId: 1 } })
        await eventually(async () => (await statementsInUse(server, id++)) === 0)
        const next = await server.call(2, "execute_query", { sql: "SELECT 42 AS ANSWER" })
        assert.deepInclude(next.result?.structuredContent ?? next.result, { rows: [[42]] })
        assert.isUndefined(server.messages.find((message) => message.id === 1))
        assert.deepStrictEqual(server.notJson, [])
      })
    })
  )

  it.scopedLive(
    "listing the tools begins no process for the warehouse, and its driver is never loaded into the server",
    () =>
      Effect.gen(function* () {
        if (!existsSync("/proc/self/maps")) {
          console.log("not checked: this system has no /proc/PID/maps to see what a process has loaded")
          return
        }
        const server = yield* Server.raw()
        yield* Effect.promise(async () => {
          await server.initialize()
          await server.request(1, "tools/list")
          await server.call(2, "get_limits")
          const maps = () => readFileSync(`/proc/${server.child.pid}/maps`, "utf8")
          const pid = server.child.pid
          assert.deepEqual(childrenOf(pid), [])
          await server.call(3, "list_databases")
          await server.call(4, "execute_query", { sql: "SELECT COUNT(*) FROM ORDERS" })
          const [embedded, ...more] = childrenOf(pid)
          assert.deepEqual(more, [])
          assert.match(readFileSync(`/proc/${embedded}/maps`, "utf8"), /duckdb/)
          assert.notMatch(maps(), /duckdb/)
        })
      })
  )

  it.scopedLive("the end of stdin ends the process with 0, after the call in flight is answered", () =>
    Effect.gen(function* () {
      const server = yield* Server.raw()
      const exit = yield* Effect.promise(async () => {
        await server.initialize()
        void server.call(1, "list_databases")
        server.child.stdin.end()
        return server.exited
      })
      assert.deepStrictEqual(exit, { code: 0, signal: null })
      assert.deepInclude(server.messages.find(({ id }) => id === 1)?.result?.structuredContent, { count: 1 })
      assert.deepStrictEqual(server.notJson, [])
    })
  )

  it.scopedLive("SIGTERM lets a short call answer and ends with 0", () =>
    Effect.gen(function* () {
      const server = yield* Server.raw()
      const exit = yield* Effect.promise(async () => {
        await server.initialize()
        // The first call also opens the warehouse: it is in flight for a while.
        void server.call(1, "list_databases")
        await server.call(2, "get_limits")
        server.child.kill("SIGTERM")
        return server.exited
      })
      assert.deepStrictEqual(exit, { code: 0, signal: null })
      assert.deepInclude(server.messages.find(({ id }) => id === 1)?.result?.structuredContent, { count: 1 })
    })
  )

  inLongForm(() => {
    it.scopedLive(
      "SIGTERM cancels a long call in the warehouse and ends with 0 within the shutdown time",
      () =>
        Effect.gen(function* () {
          const server = yield* Server.raw({ env: { SNOWGUARD_TIMEOUTS_SHUTDOWN_SECONDS: "0.5" } })
          const exit = yield* Effect.promise(async () => {
            await server.initialize()
            void server.call(1, "execute_query", { sql: endless, timeout_seconds: 300 })
            let id = 100
            await eventually(async () => (await statementsInUse(server, id++)) === 1)
            server.child.kill("SIGTERM")
            return server.exited
          })
          assert.deepStrictEqual(exit, { code: 0, signal: null })
          assert.deepStrictEqual(server.notJson, [])
        })
    )
  })

  it.scopedLive("a client that closes our stdout ends the process with 0, a running statement included", () =>
    Effect.gen(function* () {
      const server = yield* Server.raw()
      const exit = yield* Effect.promise(async () => {
        await server.initialize()
        void server.call(1, "execute_query", { sql: endless, timeout_seconds: 300 })
        let id = 100
        await eventually(async () => (await statementsInUse(server, id++)) === 1)
        server.child.stdout.destroy()
        // The next answer meets a closed pipe.
        server.send({ id: 2, method: "ping" })
        return server.exited
      })
      assert.deepStrictEqual(exit, { code: 0, signal: null })
    })
  )

  it.scopedLive("a bad configuration is told in full on stderr, with 78 and an empty stdout", () =>
    Effect.gen(function* () {
      const folder = mkdtempSync(join(tmpdir(), "snowguard-"))
      yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(folder, { recursive: true })))
      writeFileSync(join(folder, "bad.toml"), '[limits]\nbursts = 3\nqueries_per_second = "many"\n')
      const server = yield* Server.raw({
        args: ["--config", join(folder, "bad.toml")],
        env: { SNOWGUARD_RESULTS_MAX_BYTES: "-1" }
      })
      const exit = yield* Effect.promise(() => server.exited)
      assert.deepStrictEqual(exit, { code: 78, signal: null })
      assert.deepStrictEqual([server.messages, server.notJson], [[], []])
      assert.match(server.stderr, /limits\.bursts.*did you mean limits\.burst\?/)
      assert.match(server.stderr, /queries_per_second.*"many"/)
      assert.match(server.stderr, /SNOWGUARD_RESULTS_MAX_BYTES: expected .* got -1/)
    })
  )

  it.scopedLive("a bad command line is told on stderr, with 64 and an empty stdout", () =>
    Effect.gen(function* () {
      const server = yield* Server.raw({ args: ["--confg", "x"] })
      const exit = yield* Effect.promise(() => server.exited)
      assert.deepStrictEqual(exit, { code: 64, signal: null })
      assert.deepStrictEqual([server.messages, server.notJson], [[], []])
      assert.match(server.stderr, /did you mean --config\?/)
    })
  )

  it.scopedLive("stdout stays pure while the warehouse fails, and attacks on it are refused", () =>
    Effect.gen(function* () {
      const server = yield* Server.raw({ env: { SNOWGUARD_LOG_LEVEL: "trace" } })
      yield* Effect.promise(async () => {
        await server.initialize()
        const statements = [
          "PRAGMA enable_profiling",
          "SELECT * FROM read_csv('/etc/passwd')",
          "SELECT * FROM '/etc/passwd'",
          "SELECT error('boom')",
          "SELECT 1/0 FROM NO_SUCH_TABLE",
          "SELECT",
          "\0",
          "SELECT CAST('x' AS INTEGER)"
        ]
        for (const [i, sql] of statements.entries()) {
          const answer = await server.call(i + 1, "execute_query", { sql })
          assert.isTrue(answer.result?.isError, sql)
        }
        server.child.stdin.write("this is not JSON\n")
        const alive = await server.call(50, "execute_query", { sql: "SELECT 1 AS ONE" })
        assert.deepInclude(alive.result?.structuredContent, { rows: [[1]] })
        server.child.stdin.end()
        assert.deepStrictEqual(await server.exited, { code: 0, signal: null })
        assert.deepStrictEqual(server.notJson, [])
        for (const line of server.stderr.trim().split("\n")) JSON.parse(line)
      })
    })
  )

  it.scopedLive("leaves no file behind", () =>
    Effect.gen(function* () {
      const folder = mkdtempSync(join(tmpdir(), "snowguard-"))
      yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(folder, { recursive: true })))
      const { spawn } = yield* Effect.promise(() => import("node:child_process"))
      const server = new Server.RawServer(
        spawn(process.execPath, [Server.bin], {
          cwd: folder,
          env: Server.cleanEnv({ HOME: folder, TMPDIR: folder })
        })
      )
      yield* Effect.promise(async () => {
        await server.initialize()
        await server.call(1, "list_databases")
        server.child.stdin.end()
        await server.exited
        const late = await server.call(2, "list_databases").then(() => "answered", String)
        assert.include(late, "the server ended (code 0)")
      })
      assert.deepStrictEqual(readdirSync(folder), [])
    })
  )
})
