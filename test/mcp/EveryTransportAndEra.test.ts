/**
 * The built binary as clients of both eras run it, over both transports: one conversation that holds every tool, every
 * kind of refusal, cancelling and progress, and what is written down and counted of it.
 */
import { assert, describe, it } from "@effect/vitest"
import {
  Client as ModernClient,
  StreamableHTTPClientTransport as ModernHttp
} from "@modelcontextprotocol/client"
import { StdioClientTransport as ModernStdio } from "@modelcontextprotocol/client/stdio"
import { Client } from "@modelcontextprotocol/sdk/client/index.js"
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js"
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js"
import type { CallToolResult } from "@modelcontextprotocol/sdk/types.js"
import { Effect } from "effect"
import type { Scope } from "effect"
import { spawnSync } from "node:child_process"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Emulator from "../../src/emulator/Emulator.js"
import * as FaultScript from "../../src/emulator/FaultScript.js"
import { metaKey } from "../../src/mcp/ErrorReport.js"
import type { Operation } from "../../src/observe/Metering.js"
import type { Collector } from "../utils/collector.js"
import { collector } from "../utils/collector.js"
import * as H from "../utils/http.js"
import { endless, folder, serving, spawned } from "../utils/httpProcess.js"
import { inLongForm, isLong } from "../utils/long.js"
import { bin, cleanEnv } from "../utils/server.js"
import type { Outcome } from "../utils/toolCalls.js"
import { converse, rows } from "../utils/toolCalls.js"

interface CallOptions {
  readonly signal?: AbortSignal
  readonly onprogress?: (told: { readonly message?: string | undefined }) => void
}

/** A client that has connected, and how it leaves: its server has ended then. */
interface Caller {
  readonly tools: () => Promise<ReadonlyArray<{ readonly name: string }>>
  readonly call: (
    name: string,
    args?: Record<string, unknown>,
    options?: CallOptions
  ) => Promise<CallToolResult>
  readonly leave: () => Promise<void>
}

interface Place {
  readonly env: { readonly [name: string]: string }
  readonly key: string
}

type Open = (place: Place) => Effect.Effect<Caller, never, Scope.Scope>

const of2025 = (client: Client): Omit<Caller, "leave"> => ({
  tools: async () => (await client.listTools()).tools,
  call: async (name, args = {}, options) =>
    (await client.callTool({ name, arguments: args }, undefined, options)) as CallToolResult
})

const of2026 = (client: ModernClient): Omit<Caller, "leave"> => ({
  tools: async () => (await client.listTools()).tools,
  call: async (name, args = {}, options) =>
    (await client.callTool({ name, arguments: args }, options)) as CallToolResult
})

const made2025 = () => new Client({ name: "test", version: "1" })
const made2026 = () =>
  new ModernClient({ name: "test", version: "1" }, { versionNegotiation: { mode: { pin: "2026-07-28" } } })

const connected = <C extends { close: () => Promise<void> }>(client: C, connect: () => Promise<void>) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      await connect()
      return client
    }),
    () => Effect.promise(() => client.close())
  )

const overStdio =
  (isModern: boolean): Open =>
  ({ env }) => {
    const process_ = { command: process.execPath, args: [bin], env: cleanEnv(env), stderr: "ignore" as const }
    if (isModern) {
      const client = made2026()
      return Effect.map(
        connected(client, () => client.connect(new ModernStdio(process_))),
        () => ({ ...of2026(client), leave: () => client.close() })
      )
    }
    const client = made2025()
    return Effect.map(
      connected(client, () => client.connect(new StdioClientTransport(process_))),
      () => ({ ...of2025(client), leave: () => client.close() })
    )
  }

const overHttp =
  (isModern: boolean): Open =>
  ({ env, key }) =>
    Effect.gen(function* () {
      // A shared server keeps a slot for other clients.
      const server = yield* spawned({ ...env, SNOWGUARD_LIMITS_MAX_CONCURRENT_STATEMENTS: "3" })
      const url = new URL(`http://127.0.0.1:${yield* Effect.promise(() => server.port)}/mcp`)
      const requestInit = { headers: { authorization: `Bearer ${key}` } }
      const leave = async () => {
        server.child.kill("SIGTERM")
        await server.exited
      }
      if (isModern) {
        const client = made2026()
        yield* connected(client, () => client.connect(new ModernHttp(url, { requestInit })))
        return { ...of2026(client), leave }
      }
      const client = made2025()
      yield* connected(client, () => client.connect(new StreamableHTTPClientTransport(url, { requestInit })))
      return { ...of2025(client), leave }
    })

const cells: ReadonlyArray<readonly [name: string, open: Open]> = [
  ["2025 over stdio", overStdio(false)],
  ["2026 over stdio", overStdio(true)],
  ["2025 over HTTP", overHttp(false)],
  ["2026 over HTTP", overHttp(true)]
]

/** Small enough that each of them is reached, and with nothing in it that depends on the hour or on chance. */
const settings = `
client = "erin"

[clients."erin"]
tier = "gold"

[tiers.gold]
requests_per_second = 0.001
burst = 40
initial_tokens = 40
max_token_wait_seconds = 0
queries_per_day = 16
deny_objects = ["SNOWGUARD_SAMPLE.PUBLIC.CUSTOMERS"]

[limits]
max_concurrent_statements = 2
max_queued = 1
max_queued_per_client = 1

[breaker]
consecutive_failures = 1
open_seconds = 3
probes = 1

[quota_store]
windows = "rolling"
`

const shop = { database: "SNOWGUARD_SAMPLE", schema: "PUBLIC" }

const checkRow = ({ report, row, structured, text }: Outcome): void => {
  if ("code" in row.expected) {
    assert.isUndefined(structured, row.name)
    assert.deepInclude(report, { ...row.expected, sideEffects: "none" }, row.name)
    assert.isNotEmpty(text, row.name)
  } else {
    assert.isUndefined(report, `${row.name}: ${text}`)
    assert.deepInclude(structured, row.expected.answer, row.name)
    // The text is the same, for clients that look at nothing else.
    const { notice, ...data } = structured ?? {}
    const json = notice === undefined ? text : text.split("\n").slice(1, -1).join("\n")
    assert.deepStrictEqual(JSON.parse(json), data, row.name)
  }
  for (const word of row.includes ?? []) assert.include(text, word, `${row.name}: ${text}`)
}

const passing = /^(age_seconds|degraded|elapsed_ms|query_id|queryId|next_cursor|.*_(at|on)|.*At|.*AtMs|.*Ms)$/

/** What is the same at every time and in every process. */
const stripped = (value: unknown): unknown =>
  Array.isArray(value)
    ? value.map(stripped)
    : typeof value === "object" && value !== null
      ? Object.fromEntries(
          Object.entries(value).flatMap(([key, inner]) => (passing.test(key) ? [] : [[key, stripped(inner)]]))
        )
      : value

/** Marks of data are drawn anew for each answer. */
const unmarked = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value).replaceAll(/data-[0-9a-f]{12}/g, "data-mark"))

const lasting = ({ report, row, structured }: Outcome) => {
  // A view has no order.
  if (row.tool === "query_view") return [row.name, stripped({ ...structured, rows: undefined })]
  return row.tool === "get_limits"
    ? row.name
    : [row.name, stripped(structured), unmarked(stripped(report ?? null))]
}

const reportOf = ({ _meta, isError }: CallToolResult) =>
  isError === true
    ? (_meta?.[metaKey] as { readonly code: string; readonly retryAfterMs?: number } | undefined)
    : undefined

const codeOf = (result: CallToolResult): string => reportOf(result)?.code ?? "ok"

/** What is left to the client by calls and queries; bytes and other scopes depend on times and orders. */
const leftIn = ({ structuredContent }: { readonly structuredContent?: unknown }) => {
  const { quotas, rate_limits } = structuredContent as {
    readonly [name: string]: ReadonlyArray<{ readonly [name: string]: unknown }>
  }
  return [
    ...(quotas ?? []).flatMap(({ quota, remaining, scope }) =>
      /^(requests|queries)/.test(String(quota))
        ? [`${String(scope)} ${String(quota)} ${String(remaining)}`]
        : []
    ),
    ...(rate_limits ?? []).flatMap(({ remaining, scope }) =>
      scope === "client" ? [`calls ${String(remaining)}`] : []
    )
  ]
}

/** Waits until the endless statements of this conversation are as they should be in the warehouse. */
const ofEndless = (emulator: Emulator.Emulator, are: (statuses: ReadonlyArray<string>) => boolean) =>
  Effect.map(emulator.state, ({ latest }) =>
    latest.flatMap(({ sql, status }) => (sql.includes("WEB.EVENTS c") ? [status] : []))
  ).pipe(
    Effect.tap(() => Effect.sleep(5)),
    Effect.repeat({ until: are })
  )

/** How many calls are answered until one is refused for that. */
const until = (code: string, call: () => Effect.Effect<CallToolResult>) =>
  Effect.gen(function* () {
    for (let answered = 0; answered < 100; answered++) {
      const found = codeOf(yield* call())
      if (found === code) return answered
      assert.strictEqual(found, "ok", `after ${answered} calls`)
    }
    return assert.fail(`no ${code}`)
  })

const refused: ReadonlyArray<
  readonly [what: string, tool: string, args: Record<string, unknown>, code: string]
> = [
  ["object of a look-up", "describe_table", { ...shop, table: "CUSTOMERS" }, "OBJECT_NOT_ALLOWED"],
  [
    "object of a statement",
    "execute_query",
    { ...shop, sql: "SELECT * FROM CUSTOMERS" },
    "STATEMENT_REJECTED"
  ],
  ["cursor", "get_query_results", { query_id: "none", cursor: "none" }, "RESULT_NOT_AVAILABLE"]
]

/** What has to have happened, by what the audit log says of it. */
const decisions: ReadonlyArray<string> = [
  ...["ok", "cancelled", "INVALID_INPUT", "UNKNOWN_TOOL", "STATEMENT_REJECTED", "OBJECT_NOT_ALLOWED"],
  ...["OVERLOADED", "DEADLINE_EXCEEDED", "QUOTA_EXCEEDED", "CIRCUIT_OPEN", "DEGRADED", "RATE_LIMITED"]
]

interface Audited {
  readonly decision: string
  readonly tool: string
  readonly [name: string]: unknown
}

interface Written extends Audited {
  readonly limits?: ReadonlyArray<Operation> | undefined
}

/** What a call did with its limits, without times, whatever its credential says of the tier. */
const limitsOf = (limits: ReadonlyArray<Operation> | undefined) =>
  limits?.map(
    ({ assigned: _assigned, operation: _, server: _server, started: _started, steps, ...asked }) => ({
      ...asked,
      steps: steps.map(([, , , what]) => what)
    })
  )

/** The lines of the audit log without times and ids; calls that ran at the same time have no order. */
const auditedIn = (path: string): ReadonlyArray<Audited> =>
  readFileSync(path, "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => {
      const { ms: _ms, queryId: _id, time: _time, limits, ...rest }: Written = JSON.parse(line)
      const entry: Audited = { ...rest, limits: limitsOf(limits) }
      // A view has no order: which of its rows come is not the same each time.
      return entry.tool === "query_view" ? { ...entry, bytes: 0 } : entry
    })
    .sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))

/** What depends on the connection and on which rows of a view came, and what is sampled every few seconds. */
const passingMetric = /^snowguard_(http_|config_|result_bytes_|retries_|cache_|loop_guard_|quota_store_)/

/** The server's counters and histograms with their labels, and how often; no durations. */
const countedIn = ({ points }: Collector): ReadonlyArray<string> =>
  points
    .flatMap(({ name, point: { asDouble, attributes, count } }) => {
      if (!name.startsWith("snowguard_") || passingMetric.test(name)) return []
      const labels = attributes.map(({ key, value }) => `${key}=${Object.values(value).join()}`).sort()
      return [`${name}{${labels.join()}} ${count ?? asDouble}`]
    })
    .sort()

/** The settings, and a key for the client that the pipe is by its settings. */
const configured = (home: string) => {
  const config = join(home, "snowguard.toml")
  const keys = join(home, "keys.json")
  writeFileSync(config, settings)
  const { stderr, stdout } = spawnSync(process.execPath, [bin, "keys", "create", "erin", "--tier", "gold"], {
    env: cleanEnv({ SNOWGUARD_CONFIG: config, SNOWGUARD_AUTH_KEYS_FILE: keys }),
    encoding: "utf8"
  })
  assert.notStrictEqual(stdout.trim(), "", stderr)
  return { config, key: stdout.trim(), keys }
}

const conversation = (open: Open, { config, key, keys }: ReturnType<typeof configured>) =>
  Effect.gen(function* () {
    const emulator = yield* Emulator.start()
    const state = yield* folder
    const audit = join(state, "audit.log")
    const telemetry = yield* collector()
    const caller = yield* open({
      key,
      env: {
        SNOWGUARD_CONFIG: config,
        SNOWGUARD_AUDIT_FILE: audit,
        SNOWGUARD_AUDIT_STATEMENTS: "text",
        SNOWGUARD_AUTH_KEYS_FILE: keys,
        OTEL_EXPORTER_OTLP_ENDPOINT: telemetry.endpoint,
        SNOWGUARD_WAREHOUSE: "snowflake",
        SNOWFLAKE_ACCOUNT: "emulator",
        SNOWFLAKE_ACCESS_URL: emulator.url,
        SNOWFLAKE_USERNAME: Emulator.defaultUser,
        SNOWFLAKE_PASSWORD: Emulator.defaultPassword,
        SNOWFLAKE_WAREHOUSE: "compute_wh"
      }
    })
    const call = (name: string, args?: Record<string, unknown>, options?: CallOptions) =>
      Effect.promise(() => caller.call(name, args, options))
    const code = (name: string, args?: Record<string, unknown>) => Effect.map(call(name, args), codeOf)
    const said: Array<unknown> = []
    const told = (what: string, value: unknown) => void said.push([what, value])

    const names = (yield* Effect.promise(caller.tools)).map(({ name }) => name)
    assert.deepStrictEqual(names, [...new Set(rows.map(({ tool }) => tool))].sort())
    const outcomes = yield* Effect.promise(() => converse((name, args) => caller.call(name, args)))
    for (const outcome of outcomes) checkRow(outcome)
    told("tools", outcomes.map(lasting))

    for (const [what, tool, args, expected] of refused) {
      const result = yield* call(tool, args)
      assert.strictEqual(codeOf(result), expected, what)
      told(what, unmarked([result.content, stripped(reportOf(result))]))
    }
    const unknown = yield* Effect.flip(
      Effect.tryPromise({ try: () => caller.call("nothing"), catch: (error) => error })
    )
    assert.strictEqual(Reflect.get(Object(unknown), "code"), -32602)
    assert.include(String(unknown), `There is no tool "nothing". Tools: ${names.join(", ")}.`)

    const notes: Array<string | undefined> = []
    const onprogress: CallOptions["onprogress"] = ({ message }) => void notes.push(message)
    const slow = { ...shop, sql: "SELECT COUNT(*) AS N FROM ORDERS" }
    assert.strictEqual(codeOf(yield* call("execute_query", slow, { onprogress })), "ok")
    assert.deepStrictEqual(notes, ["running"])

    // Two statements hold the slots, one waits for them, and there is no room for another one.
    const given = new AbortController()
    const held = [0, 1].map(() =>
      caller.call("execute_query", { sql: endless }, { signal: given.signal }).then(codeOf, () => "given up")
    )
    yield* ofEndless(emulator, (statuses) => statuses.filter((status) => status === "RUNNING").length === 2)
    const two = [0, 1].map(() => caller.call("execute_query", { sql: "SELECT 1 AS N" }).then(codeOf))
    assert.strictEqual(yield* Effect.promise(() => Promise.race(two)), "OVERLOADED")
    given.abort()
    assert.deepStrictEqual(yield* Effect.promise(() => Promise.all(held)), ["given up", "given up"])
    assert.deepStrictEqual((yield* Effect.promise(() => Promise.all(two))).sort(), ["OVERLOADED", "ok"])
    yield* ofEndless(emulator, (statuses) => statuses.every((status) => status === "ABORTED"))

    // An account that does not answer ...
    yield* emulator.setFaults({ faults: [{ kind: "hang" }] })
    assert.strictEqual(
      yield* code("execute_query", { sql: "SELECT 5 AS N", timeout_seconds: 1 }),
      "DEADLINE_EXCEEDED"
    )
    yield* emulator.setFaults(FaultScript.none)
    told(
      "until the quota",
      yield* until("QUOTA_EXCEEDED", () => call("execute_query", { sql: "SELECT 3 AS N" }))
    )

    // ... and one that is not there.
    yield* emulator.setFaults({ faults: [{ kind: "reset" }] })
    const schemas = (pattern: string) => call("list_schemas", { database: shop.database, pattern })
    // The first attempt opens the circuit, the second one is refused by it.
    const broken = yield* schemas("a%")
    assert.strictEqual(codeOf(broken), "CIRCUIT_OPEN")
    assert.strictEqual(yield* code("execute_query", { sql: "SELECT 4 AS N" }), "DEGRADED")
    told("remembered", yield* code("list_databases"))
    yield* emulator.setFaults(FaultScript.none)
    yield* Effect.sleep(reportOf(broken)?.retryAfterMs ?? 0)
    assert.strictEqual(codeOf(yield* schemas("b%")), "ok")

    told("until the rate", yield* until("RATE_LIMITED", () => call("list_databases")))
    told("limits", leftIn(yield* call("get_limits")))

    yield* Effect.promise(caller.leave)
    return { said, audited: auditedIn(audit), counted: countedIn(telemetry) }
  })

describe("the binary", () => {
  inLongForm(() => {
    it.scopedLive(
      "answers, refuses, limits, records and counts the same in both eras, over both transports",
      () =>
        Effect.gen(function* () {
          const home = configured(yield* folder)
          const [first, ...others] = yield* Effect.forEach(
            // Each era once, and each transport.
            cells.filter((_, i) => isLong || i === 0 || i === 3),
            ([name, open]) =>
              Effect.map(Effect.scoped(conversation(open, home)), (found) => ({ name, ...found })),
            { concurrency: 2 }
          )
          if (first === undefined) return assert.fail()
          for (const decision of decisions) {
            assert.isTrue(
              first.audited.some((entry) => entry.decision === decision),
              decision
            )
          }
          assert.isAtLeast(first.counted.length, 20)
          for (const { audited, counted, name, said } of others) {
            assert.deepStrictEqual(said, first.said, name)
            assert.deepStrictEqual(audited, first.audited, name)
            assert.deepStrictEqual(counted, first.counted, name)
          }
        }),
      120_000
    )
  })

  it.scopedLive("charges nothing for a call whose routing headers are not what its body says", () =>
    Effect.gen(function* () {
      const { server } = yield* serving({
        SNOWGUARD_TIERS_DEFAULT_REQUESTS_PER_SECOND: "0.001",
        SNOWGUARD_QUOTA_STORE_WINDOWS: "rolling"
      })
      const ask = (name: string, headers: { readonly [name: string]: string | undefined } = {}) => {
        const asked = H.modern(1, "tools/call", { name, arguments: {} })
        return server.ask({ ...asked, headers: { ...asked.headers, ...headers } })
      }
      const left = Effect.map(ask("get_limits"), (got) => leftIn(H.messages(got)[0]?.result ?? {}))
      const before = yield* left
      const wrong = [
        { "mcp-name": "get_limits" },
        { "mcp-name": undefined },
        { "mcp-method": "tools/list" },
        { "mcp-method": undefined },
        { "mcp-protocol-version": "2025-11-25" }
      ]
      for (const headers of wrong) {
        const got = yield* ask("list_databases", headers)
        assert.deepStrictEqual([got.status, H.messages(got)[0]?.error?.code], [400, -32020])
      }
      assert.deepStrictEqual(yield* left, before)
      // The call itself costs one of each.
      assert.strictEqual((yield* ask("list_databases")).status, 200)
      const after = yield* left
      for (const [i, text] of after.entries()) {
        if (/ queries/.test(text)) assert.strictEqual(text, before[i])
        else assert.notStrictEqual(text, before[i])
      }
      assert.isAtLeast(after.length, 3)
    })
  )
})
