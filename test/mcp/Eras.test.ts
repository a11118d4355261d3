/** One server, both eras of the protocol, both transports: the same answers, limits and audit. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Layer, Logger, LogLevel, Queue, Schema } from "effect"
import type { Scope } from "effect"
import { notice } from "../../src/mcp/core/Fence.js"
import * as Audit from "../../src/observe/Audit.js"
import { metaKey } from "../../src/mcp/ErrorReport.js"
import * as ToolNames from "../../src/tools/names.js"
import * as Tool from "../../src/tools/Tool.js"
import { WarehouseError } from "../../src/warehouse/Warehouse.js"
import * as H from "../utils/http.js"
import * as P from "../utils/pipe.js"
import { refusal } from "./refusal.js"

const quiet = Effect.provide(Logger.minimumLogLevel(LogLevel.None))

interface Exchange {
  /** What was told before the answer. */
  readonly notes: ReadonlyArray<P.Answer>
  readonly answer: P.Answer | undefined
}

interface Params {
  readonly _meta?: object
  readonly [name: string]: unknown
}

/** A client of one era over one transport. */
interface Speaker {
  readonly ask: (id: string | number, method: string, params?: Params) => Effect.Effect<Exchange>
  /** Begins a request, and how it is given up. */
  readonly begin: (id: string | number, method: string, params?: Params) => Effect.Effect<Effect.Effect<void>>
  readonly leave: Effect.Effect<void>
}

type Open = (of: H.ServerOptions) => Effect.Effect<Speaker, never, Scope.Scope>

const exchange = (messages: ReadonlyArray<P.Answer>, id: string | number): Exchange => ({
  notes: messages.filter(({ method }) => method !== undefined),
  answer: messages.find((one) => one.method === undefined && one.id === id)
})

const overStdio =
  (isModern: boolean): Open =>
  (of) =>
    Effect.gen(function* () {
      const pipe = yield* P.pipe(of)
      const said = (id: string | number | undefined, method: string, { _meta, ...params }: Params = {}) =>
        H.message(id, method, {
          ...params,
          ...(isModern || _meta !== undefined ? { _meta: { ...(isModern ? H.envelope : {}), ..._meta } } : {})
        })
      if (!isModern) {
        pipe.send(H.initialize("hello"))
        yield* pipe.until(1)
        pipe.send(H.message(undefined, "notifications/initialized"))
        pipe.answers.splice(0)
      }
      return {
        ask: (id, method, params) =>
          Effect.gen(function* () {
            pipe.send(said(id, method, params))
            const isThere = () => exchange(pipe.answers, id).answer !== undefined
            yield* Effect.repeat(Effect.sleep(1), { until: isThere })
            return exchange(pipe.answers.splice(0), id)
          }),
        begin: (id, method, params) =>
          Effect.sync(() => {
            pipe.send(said(id, method, params))
            return Effect.sync(() => pipe.send(said(undefined, "notifications/cancelled", { requestId: id })))
          }),
        leave: Effect.sync(() => pipe.leave())
      }
    })

const overHttp =
  (isModern: boolean): Open =>
  (of) =>
    Effect.gen(function* () {
      const server = yield* Effect.orDie(H.server(of))
      const session = isModern ? undefined : yield* server.open()
      const asked = (id: string | number, method: string, params?: Params): H.Ask =>
        isModern ? H.modern(id, method, params) : { body: H.message(id, method, params), session }
      const begun = new Set<() => void>()
      return {
        ask: (id, method, params) =>
          Effect.map(server.ask(asked(id, method, params)), (got) => exchange(H.messages(got), id)),
        begin: (id, method, params) =>
          Effect.sync(() => {
            const { request } = server.start(asked(id, method, params))
            request.on("error", () => {})
            begun.add(() => void request.destroy())
            return isModern
              ? Effect.sync(() => void request.destroy())
              : Effect.asVoid(
                  server.ask({
                    body: H.message(undefined, "notifications/cancelled", { requestId: id }),
                    session
                  })
                )
          }),
        leave: Effect.sync(() => {
          for (const end of begun) end()
        })
      }
    })

const eras: ReadonlyArray<readonly [name: string, isModern: boolean, open: Open]> = [
  ["2025 over stdio", false, overStdio(false)],
  ["2026 over stdio", true, overStdio(true)],
  ["2025 over HTTP", false, overHttp(false)],
  ["2026 over HTTP", true, overHttp(true)]
]

const Names = Schema.Struct({
  database: Schema.optional(Schema.String),
  schema: Schema.optional(Schema.String),
  table: Schema.optional(Schema.String),
  limit: Schema.optional(Schema.Number)
})

const listing = (
  name: string,
  member: string,
  handler: (input: typeof Names.Type) => Effect.Effect<ReadonlyArray<string>, Tool.RequestError>
): Tool.Any =>
  Tool.make({
    name,
    description: name,
    class: "metadata",
    input: Names,
    output: Schema.Record({
      key: Schema.String,
      value: Schema.Array(Schema.Struct({ name: Schema.String }))
    }),
    annotations: Tool.readOnly(name),
    handler: (input) => Effect.map(handler(input), (names) => ({ [member]: names.map((name) => ({ name })) }))
  })

const tools: ReadonlyArray<Tool.Any> = [
  H.tool("who", () => H.whoAmI),
  H.tool("limited", () => Effect.fail(refusal)),
  H.tool("broken", () => Effect.die("a defect")),
  H.tool("noisy", (_, { progress }) =>
    Effect.zipRight(
      Effect.forEach(["one", "two", "three"], (step) => Effect.delay(progress(step), 10)),
      H.whoAmI
    )
  ),
  listing("get_limits", "limits", () => Effect.succeed(["calls"])),
  listing("list_databases", "databases", () => Effect.succeed(["SALES", "SANDBOX", "OTHER"])),
  listing("list_tables", "tables", ({ database, schema }) =>
    Effect.succeed([`${database}.${schema}.ORDERS`, "ORDERS", "LINES"])
  ),
  listing("list_views", "views", () => Effect.fail(refusal)),
  listing("describe_table", "columns", ({ database, schema, table }) =>
    table === "NONE"
      ? Effect.fail(new WarehouseError({ reason: "NotFound", description: "There is none.", sent: "yes" }))
      : table === "LIMITED"
        ? Effect.fail(refusal)
        : Effect.succeed([`${database}|${schema}|${table}`])
  )
]

/** What is the same in both eras. */
const common = (result: { readonly [name: string]: unknown } | undefined) => {
  const all: { readonly [name: string]: unknown } = { ...result }
  const { _meta, cacheScope: _scope, resultType: _type, ttlMs: _ttl, ...rest } = all
  const { "io.modelcontextprotocol/serverInfo": _info, ...meta } = {
    ...(_meta as { readonly [name: string]: unknown } | undefined)
  }
  return { ...rest, meta }
}

/** What is asked, one after the other. */
const questions: ReadonlyArray<readonly [method: string, params: Params]> = [
  ["tools/list", {}],
  ["tools/call", { name: "who" }],
  ["tools/call", { name: "who", arguments: null }],
  ["tools/call", { name: "who", arguments: { surplus: 1, more: 2 } }],
  ["tools/call", { name: "limited", arguments: {} }],
  ["tools/call", { name: "nothing", arguments: {} }],
  ["tools/call", { name: "who", arguments: [1] }],
  ["tools/call", { name: "who", task: { ttl: 1 } }],
  ["tools/call", { arguments: {} }],
  ["nothing/here", {}],
  ["resources/list", {}],
  ["resources/templates/list", {}],
  ["resources/read", { uri: "snowguard://limits" }],
  ["resources/read", { uri: "snowflake://SALES/PUBLIC" }],
  ["resources/read", { uri: "snowflake://SALES/a%20b/%C3%A4%2F" }],
  ["resources/read", { uri: "snowflake://SALES/PUBLIC/LIMITED" }],
  ["resources/read", {}],
  ["prompts/list", {}],
  ["prompts/get", { name: "explain_refusal", arguments: { refusal: "RATE_LIMITED: wait" } }],
  ["prompts/get", { name: "explain_refusal" }],
  ["prompts/get", { name: "nothing" }],
  [
    "completion/complete",
    {
      ref: { type: "ref/resource", uri: "snowflake://{database}/{schema}/{object}" },
      argument: { name: "database", value: "sa" }
    }
  ],
  [
    "completion/complete",
    {
      ref: { type: "ref/resource", uri: "snowflake://{database}/{schema}/{object}" },
      argument: { name: "object", value: "or" },
      context: { arguments: { database: "SALES", schema: "PUBLIC" } }
    }
  ],
  [
    "completion/complete",
    { ref: { type: "ref/prompt", name: "explore_database" }, argument: { name: "database", value: "" } }
  ],
  ["completion/complete", { ref: { type: "ref/prompt", name: "x" }, argument: { name: "y", value: "" } }]
]

const recorder = Effect.map(Queue.unbounded<Audit.Entry>(), (entries) => ({
  entries,
  audit: Layer.succeed(Audit.Audit, {
    record: (entry: Audit.Entry) => Queue.offer(entries, entry)
  } as never)
}))

/** Everything that is asked, with what was answered and recorded. */
const conversation = (open: Open) =>
  Effect.gen(function* () {
    const { audit, entries } = yield* recorder
    const speaker = yield* open({ tools, audit })
    const said: Array<unknown> = []
    for (const [index, [method, params]] of questions.entries()) {
      const { answer } = yield* speaker.ask(index, method, params)
      said.push([method, common(answer?.result), answer?.error])
    }
    const recorded = yield* Queue.takeAll(entries)
    // What is an hour of the day is not the same in two conversations.
    const lasting: typeof said = JSON.parse(
      JSON.stringify(said).replace(/"retryAt":"[^"]*"/g, '"retryAt":""')
    )
    return { said: lasting, recorded: [...recorded].map((entry) => ({ ...entry, ms: 0 })) }
  })

describe("both eras", () => {
  it.scopedLive("answer, refuse and record everything in the same way, over both transports", () =>
    Effect.gen(function* () {
      const [[, , first]] = [eras[0] ?? assert.fail()]
      const expected = yield* conversation(first)
      const results = expected.said as ReadonlyArray<
        readonly [string, { readonly [name: string]: unknown }, { readonly code: number } | undefined]
      >
      assert.deepStrictEqual(results[1]?.[1]["structuredContent"], { who: "local/default" })
      assert.deepInclude((results[4]?.[1]["meta"] as Record<string, object>)[metaKey], {
        code: "RATE_LIMITED",
        retryAfterMs: 260
      })
      assert.deepStrictEqual(
        results.map(([, , error]) => error?.code),
        [
          ...[undefined, undefined, undefined, undefined, undefined, -32602, -32602, -32602, -32602, -32601],
          ...[undefined, undefined, undefined, undefined, undefined, -32603, -32602],
          ...[undefined, undefined, -32602, -32602, undefined, undefined, undefined, -32602]
        ]
      )
      assert.deepInclude(results[14]?.[1], {
        contents: [
          {
            uri: "snowflake://SALES/a%20b/%C3%A4%2F",
            mimeType: "application/json",
            text: JSON.stringify({ notice, columns: [{ name: "SALES|a b|ä/" }] })
          }
        ]
      })
      assert.deepInclude(results[21]?.[1], { completion: { values: ["SALES", "SANDBOX"], hasMore: false } })
      // A list that was refused has no names; the other one has.
      assert.deepInclude(results[22]?.[1], { completion: { values: ["ORDERS"], hasMore: false } })
      const decisions = expected.recorded.map(({ decision, tool }) => `${tool} ${decision}`)
      assert.deepStrictEqual(decisions, [
        ...["who ok", "who ok", "who INVALID_INPUT", "limited RATE_LIMITED", "(unknown) UNKNOWN_TOOL"],
        ...["who INVALID_PARAMS", "who INVALID_PARAMS", "(unknown) INVALID_PARAMS"],
        ...["get_limits ok", "list_tables ok", "describe_table ok", "describe_table RATE_LIMITED"],
        ...["list_databases ok", "list_tables ok", "list_views RATE_LIMITED", "list_databases ok"]
      ])
      for (const [name, , open] of eras.slice(1)) {
        const other = yield* conversation(open)
        assert.deepStrictEqual(other.said, expected.said, name)
        assert.deepStrictEqual(other.recorded, expected.recorded, name)
      }
    }).pipe(quiet)
  )

  for (const [name, isModern, open] of eras) {
    describe(name, () => {
      it.scopedLive("tells how far a call is, and then answers it", () =>
        Effect.gen(function* () {
          const speaker = yield* open({ tools })
          const { answer, notes } = yield* speaker.ask("n", "tools/call", {
            name: "noisy",
            _meta: { progressToken: "p" }
          })
          assert.deepStrictEqual(
            notes.map(({ method, params }) => [method, params?.["progressToken"], params?.["message"]]),
            ["one", "two", "three"].map((step) => ["notifications/progress", "p", step])
          )
          assert.deepInclude(answer?.result, { structuredContent: { who: "local/default" } })
        })
      )

      it.scopedLive("ends a call that its client gives up, and serves the next one", () =>
        Effect.gen(function* () {
          const { interrupted, started, tool } = yield* H.gate
          const speaker = yield* open({ tools: [...tools, tool] })
          const cancel = yield* speaker.begin("g", "tools/call", { name: "gate" })
          yield* Deferred.await(started)
          yield* cancel
          yield* Deferred.await(interrupted)
          const { answer } = yield* speaker.ask("next", "tools/call", { name: "who" })
          assert.deepInclude(answer?.result, { structuredContent: { who: "local/default" } })
        }).pipe(quiet)
      )

      it.scopedLive("ends a call whose client is gone", () =>
        Effect.gen(function* () {
          const { interrupted, started, tool } = yield* H.gate
          const speaker = yield* open({ tools: [tool] })
          yield* speaker.begin("g", "tools/call", { name: "gate" })
          yield* Deferred.await(started)
          yield* speaker.leave
          yield* Deferred.await(interrupted)
        }).pipe(quiet)
      )

      it.scopedLive(
        "has no resource of a name that is none, nor of one that the warehouse does not know",
        () =>
          Effect.gen(function* () {
            const speaker = yield* open({ tools })
            const code = isModern ? -32602 : -32002
            for (const uri of [
              "snowflake://SALES/PUBLIC/NONE",
              ...[
                "snowflake://",
                "snowflake://a/b/c/d",
                "snowflake://a//c",
                "snowflake://%zz",
                "snowguard://x"
              ]
            ]) {
              const { answer } = yield* speaker.ask("r", "resources/read", { uri })
              assert.strictEqual(answer?.error?.code, code, uri)
            }
          }).pipe(quiet)
      )

      it.scopedLive(
        "says of a resource that may not be read why, and that this is no fault of the server",
        () =>
          Effect.gen(function* () {
            const hidden = (tool: string, fails: Effect.Effect<void, Tool.ToolError>) =>
              listing(tool, "names", () => Effect.as(fails, ["it was read"]))
            const rules = ToolNames.rulesOf(
              { objects: { allow: ["SALES.PUBLIC.*"], deny: ["SALES.PUBLIC.PAY"] } },
              "snowflake"
            )
            const speaker = yield* open({
              tools: [
                hidden("list_schemas", ToolNames.mayLookInto(rules, ["HR"])),
                hidden("list_tables", Effect.fail(ToolNames.invalidInput("The name is none."))),
                hidden("describe_table", ToolNames.mayRead(rules, ["SALES", "PUBLIC", "PAY"]))
              ]
            })
            const none = isModern ? -32602 : -32002
            for (const [uri, code, report] of [
              ["snowflake://HR", none, "OBJECT_NOT_ALLOWED"],
              ["snowflake://SALES/A", -32602, "INVALID_INPUT"],
              ["snowflake://SALES/PUBLIC/PAY", none, "OBJECT_NOT_ALLOWED"]
            ] as const) {
              const { answer } = yield* speaker.ask("r", "resources/read", { uri })
              assert.strictEqual(answer?.error?.code, code, uri)
              assert.match(answer?.error?.message ?? "", new RegExp(`^${report}: .`))
              assert.deepInclude(answer?.error?.data, { uri })
              const given = (answer?.error?.data as Record<string, object>)[metaKey]
              assert.deepInclude(given, { code: report, retryable: false })
            }
          }).pipe(quiet)
      )

      if (!isModern) return

      it.scopedLive("says on every result what it is, who answers, and how long a list may be kept", () =>
        Effect.gen(function* () {
          const speaker = yield* open({ tools })
          const info = { "io.modelcontextprotocol/serverInfo": { name: "snowguard", version: "1.2.3" } }
          const discovered = yield* speaker.ask(1, "server/discover")
          assert.deepInclude(discovered.answer?.result, {
            supportedVersions: ["2026-07-28"],
            capabilities: { tools: {}, resources: {}, prompts: {}, completions: {} },
            resultType: "complete",
            _meta: info
          })
          for (const method of ["tools/list", "resources/list", "resources/templates/list", "prompts/list"]) {
            const { answer } = yield* speaker.ask(2, method)
            // A tier may have tools of its own, and resources are read with tools.
            const cacheScope = method === "prompts/list" ? "public" : "private"
            const kept = { resultType: "complete", ttlMs: 300_000, cacheScope, _meta: info }
            assert.deepInclude(answer?.result, kept, method)
          }
          const called = yield* speaker.ask(3, "tools/call", { name: "who" })
          assert.deepInclude(called.answer?.result, { resultType: "complete", _meta: info })
          assert.isUndefined(called.answer?.result?.["ttlMs"])
          const read = yield* speaker.ask(4, "resources/read", { uri: "snowguard://limits" })
          assert.deepInclude(read.answer?.result, { ttlMs: 0, cacheScope: "private" })
        })
      )

      it.scopedLive("serves no other revision and no request without an envelope, and has no ping", () =>
        Effect.gen(function* () {
          const speaker = yield* open({ tools })
          yield* speaker.ask(0, "tools/list")
          const gone = yield* speaker.ask(1, "ping")
          assert.strictEqual(gone.answer?.error?.code, -32601)
          const { "io.modelcontextprotocol/clientCapabilities": _, ...rest } = H.envelope
          const half = { ...rest, "io.modelcontextprotocol/clientCapabilities": undefined }
          const missing = yield* speaker.ask(2, "tools/list", { _meta: half })
          assert.strictEqual(missing.answer?.error?.code, -32602)
          const again = yield* speaker.ask(3, "tools/call", { name: "who" })
          assert.isDefined(again.answer?.result)
        }).pipe(quiet)
      )
    })
  }
})

describe("the 2026 era over HTTP", () => {
  const call = (headers: { readonly [name: string]: string | undefined }, version?: string) => {
    const { body, headers: own } = H.modern("a", "tools/call", {
      name: "who",
      ...(version === undefined ? {} : { _meta: { "io.modelcontextprotocol/protocolVersion": version } })
    })
    return { body: body ?? {}, headers: { ...own, ...headers } }
  }
  const half = (key: string, value: unknown) =>
    H.modern("a", "tools/call", { name: "who", _meta: { [key]: value } })
  const rows: ReadonlyArray<readonly [what: string, ask: H.Ask, status: number, code: number]> = [
    ["no revision in a header", call({ "mcp-protocol-version": undefined }), 400, -32020],
    ["another revision in the header", call({ "mcp-protocol-version": "2025-11-25" }), 400, -32020],
    ["no method in a header", call({ "mcp-method": undefined }), 400, -32020],
    ["another method in the header", call({ "mcp-method": "tools/list" }), 400, -32020],
    ["no name in a header", call({ "mcp-name": undefined }), 400, -32020],
    ["another name in the header", call({ "mcp-name": "other" }), 400, -32020],
    ["a name that is no Base64", call({ "mcp-name": "=?base64?%%?=" }), 400, -32020],
    ["a later revision", call({ "mcp-protocol-version": "2031-01-01" }, "2031-01-01"), 400, -32022],
    ["an earlier revision", call({ "mcp-protocol-version": "2025-11-25" }, "2025-11-25"), 400, -32022],
    ["an envelope of half", half("io.modelcontextprotocol/clientCapabilities", undefined), 400, -32602],
    ["capabilities that are a list", half("io.modelcontextprotocol/clientCapabilities", [1]), 400, -32602],
    ["a client without a name", half("io.modelcontextprotocol/clientInfo", { version: "1" }), 400, -32602],
    ["no envelope", { ...call({}), body: H.toolCall("a", "who") }, 400, -32602],
    ["ping", H.modern("a", "ping"), 404, -32601],
    ["initialize", H.modern("a", "initialize"), 404, -32601],
    ["a method that there is not", H.modern("a", "subscriptions/listen"), 404, -32601],
    [
      "initialize with a header of this era",
      { body: H.initialize("a"), headers: { "mcp-protocol-version": "2026-07-28" } },
      400,
      -32020
    ]
  ]

  it.scopedLive("refuses what headers and body do not agree on, before anything is counted as a call", () =>
    Effect.gen(function* () {
      const { audit, entries } = yield* recorder
      const server = yield* H.server({ tools, audit })
      for (const [what, ask, status, code] of rows) {
        const got = yield* server.ask(ask)
        const [answer] = H.messages(got)
        assert.deepStrictEqual([got.status, answer?.id, answer?.error?.code], [status, "a", code], what)
        if (code === -32022) assert.deepInclude(answer?.error?.data, { supported: ["2026-07-28"] }, what)
        assert.isUndefined(got.headers["mcp-session-id"], what)
      }
      assert.strictEqual(yield* Queue.size(entries), 0)
      const name = `=?base64?${Buffer.from("who").toString("base64")}?=`
      const encoded = yield* server.ask(call({ "mcp-name": name }))
      assert.strictEqual(encoded.status, 200)
      assert.isUndefined(encoded.headers["mcp-session-id"])
      assert.strictEqual(yield* Queue.size(entries), 1)
    }).pipe(quiet)
  )

  it.scopedLive("keeps requests of the same id apart, whoever asks, beside sessions", () =>
    Effect.gen(function* () {
      const server = yield* H.server({
        tools: [...tools, H.tool("echo", ({ text = "" }) => Effect.succeed({ who: text }))]
      })
      const session = yield* server.open()
      const texts = Array.from({ length: 20 }, (_, index) => `text ${index}`)
      const answers = yield* Effect.forEach(
        texts,
        (text) => server.ask(H.modern(7, "tools/call", { name: "echo", arguments: { text } })),
        { concurrency: "unbounded" }
      )
      for (const [index, got] of answers.entries()) {
        const [answer] = H.messages(got)
        assert.strictEqual(answer?.id, 7)
        assert.deepInclude(answer?.result, { structuredContent: { who: texts[index] } })
      }
      const legacy = yield* server.call(session, 7, "who")
      assert.deepInclude(H.messages(legacy)[0]?.result, { structuredContent: { who: "local/default" } })
    })
  )

  it.scopedLive("answers with JSON where a client takes no events", () =>
    Effect.gen(function* () {
      const server = yield* H.server({ tools })
      const { headers, ...ask } = H.modern(1, "tools/call", { name: "who" })
      const got = yield* server.ask({ ...ask, headers: { ...headers, accept: "application/json" } })
      assert.match(got.headers["content-type"] ?? "", /^application\/json/)
      assert.deepInclude(H.messages(got)[0]?.result, { resultType: "complete" })
    })
  )
})

describe("the era of a pipe", () => {
  const discover = H.message("d", "server/discover", { _meta: H.envelope })

  it.scopedLive("is still open after server/discover: a client that prefers to goes on with initialize", () =>
    Effect.gen(function* () {
      const pipe = yield* P.pipe({ tools })
      pipe.send(discover)
      yield* pipe.until(1)
      pipe.send(H.initialize("i"))
      yield* pipe.until(2)
      pipe.send(H.toolCall("c", "who"))
      const [discovered, initialized, called] = yield* pipe.until(3)
      assert.deepInclude(discovered?.result, { supportedVersions: ["2026-07-28"] })
      assert.deepInclude(initialized?.result, { protocolVersion: "2025-11-25" })
      assert.isUndefined(called?.result?.["resultType"])
    })
  )

  it.scopedLive("is 2026 from the first request with an envelope on, and initialize is told so", () =>
    Effect.gen(function* () {
      const pipe = yield* P.pipe({ tools })
      pipe.send(discover)
      pipe.send(H.message("l", "tools/list", { _meta: H.envelope }))
      yield* pipe.until(2)
      pipe.send(H.initialize("i"))
      const [, , refused] = yield* pipe.until(3)
      assert.strictEqual(refused?.error?.code, -32022)
      assert.deepInclude(refused?.error?.data, { supported: ["2026-07-28"], requested: "2025-11-25" })
    })
  )

  it.scopedLive("is asked for again where the revision is not served", () =>
    Effect.gen(function* () {
      const pipe = yield* P.pipe({ tools })
      const _meta = { ...H.envelope, "io.modelcontextprotocol/protocolVersion": "2031-01-01" }
      pipe.send(H.message("l", "tools/list", { _meta }))
      const [refused] = yield* pipe.until(1)
      assert.strictEqual(refused?.error?.code, -32022)
      pipe.send(H.initialize("i"))
      const [, initialized] = yield* pipe.until(2)
      assert.deepInclude(initialized?.result, { protocolVersion: "2025-11-25" })
    })
  )

  it.scopedLive("takes messages in their order while it is found out, and answers all before it ends", () =>
    Effect.gen(function* () {
      for (const _meta of [undefined, H.envelope]) {
        const pipe = yield* P.pipe({ tools })
        const calls = Array.from({ length: 10 }, (_, id) =>
          H.message(id, "tools/call", { name: "who", ...(_meta === undefined ? {} : { _meta }) })
        )
        pipe.write(calls.map((message) => `${JSON.stringify(message)}\n`).join(""))
        pipe.stdin.end()
        yield* pipe.ended
        const answers = yield* pipe.until(10)
        assert.deepStrictEqual(
          answers.map(({ id }) => id),
          calls.map((_, id) => id)
        )
        for (const { result } of answers)
          assert.deepInclude(result, { structuredContent: { who: "local/default" } })
      }
    })
  )
})
