import { assert, describe, it } from "@effect/vitest"
import { Client } from "@modelcontextprotocol/sdk/client/index.js"
import { InMemoryTransport } from "@modelcontextprotocol/sdk/inMemory.js"
import type { CallToolResult } from "@modelcontextprotocol/sdk/types.js"
import { CallToolResultSchema } from "@modelcontextprotocol/sdk/types.js"
import { Deferred, Effect, Exit, Layer, Logger, LogLevel, Ref, Schema, Scope, TestClock } from "effect"
import { metaKey } from "../../src/mcp/ErrorReport.js"
import * as Audit from "../../src/observe/Audit.js"
import { CircuitOpen } from "../../src/guard/CircuitBreaker.js"
import { CurrentNotes } from "../../src/tools/callNotes.js"
import * as RunningCalls from "../../src/observe/RunningCalls.js"
import * as McpServer from "../../src/mcp/McpServer.js"
import * as Live from "../../src/platform/Live.js"
import * as Principal from "../../src/platform/Principal.js"
import type { RateLimited } from "../../src/guard/RateLimiter.js"
import * as Tool from "../../src/tools/Tool.js"
import { WarehouseError } from "../../src/warehouse/Warehouse.js"
import * as Toolbox from "../../src/tools/Toolbox.js"
import * as CallPolicy from "../../src/tools/CallPolicy.js"
import { refusal } from "./refusal.js"

const Input = Schema.Struct({ limit: Schema.optional(Schema.Number) })
const Out = Schema.Struct({ who: Schema.String })

const tool = (name: string, handler: Tool.Tool<typeof Input, typeof Out>["handler"]): Tool.Any =>
  Tool.make({
    name,
    description: name,
    class: "control",
    input: Input,
    output: Out,
    annotations: Tool.readOnly(name),
    handler
  })

const whoAmI = Effect.map(Principal.CurrentPrincipal, ({ client, tier }) => ({ who: `${client}/${tier}` }))

const serverOf = (
  tools: ReadonlyArray<Tool.Any>,
  drainMs = 1_000,
  policies: Parameters<typeof CallPolicy.layer>[0] = {}
) =>
  Layer.provide(
    McpServer.layer({ name: "snowguard", version: "1.2.3", drainMs }),
    Layer.mergeAll(
      Audit.layerNoop,
      RunningCalls.layer,
      CallPolicy.layer(policies),
      Layer.orDie(Toolbox.layer(tools.map((tool) => Effect.succeed(tool))))
    )
  )

const connect = (...of: Parameters<typeof serverOf>) =>
  Effect.gen(function* () {
    const server = yield* McpServer.McpServer
    const [ours, theirs] = InMemoryTransport.createLinkedPair()
    const scope = yield* Scope.make()
    const connection = yield* server
      .connect(theirs, Principal.make("alice", "gold"))
      .pipe(Scope.extend(scope))
    const client = yield* Effect.acquireRelease(
      Effect.promise(async () => {
        const client = new Client({ name: "test", version: "1" })
        await client.connect(ours)
        return client
      }),
      (client) => Effect.promise(() => client.close())
    )
    return { client, connection, close: Scope.close(scope, Exit.void) }
  }).pipe(Effect.provide(serverOf(...of)))

const call = (client: Client, name: string, args: Record<string, unknown> = {}) =>
  Effect.promise(() => client.callTool({ name, arguments: args }) as Promise<CallToolResult>)

const text = (result: CallToolResult) => (result.content[0]?.type === "text" ? result.content[0].text : "")

const quiet = Logger.minimumLogLevel(LogLevel.None)

describe("McpServer", () => {
  it.scopedLive("a refusal between two tries of a call does not say that nothing ran", () =>
    Effect.gen(function* () {
      const open = new CircuitOpen({
        phase: "open",
        failures: 3,
        calls: 3,
        cause: "3 failures",
        retryAfterMs: 5_000
      })
      const sent = Effect.map(CurrentNotes, (notes) => notes.submitted())
      const { client } = yield* connect([
        tool("tried", () => Effect.zipRight(sent, open)),
        tool("refused", () => open)
      ])
      const tried = yield* call(client, "tried")
      assert.deepInclude(tried._meta?.[metaKey], { code: "CIRCUIT_OPEN", sideEffects: "unknown" })
      assert.include(text(tried), "A try of this call was sent before; whether it ran is not known.")
      assert.notInclude(text(tried), "Nothing was executed")
      const refused = yield* call(client, "refused")
      assert.deepInclude(refused._meta?.[metaKey], { code: "CIRCUIT_OPEN", sideEffects: "none" })
      assert.include(text(refused), "Nothing was executed and nothing was charged.")
    }).pipe(Effect.provide(quiet))
  )

  it.scopedLive(
    "lists the tools that the caller's tier has, and refuses the others before their arguments are read",
    () =>
      Effect.gen(function* () {
        const ran = yield* Ref.make(0)
        const counted = Effect.zipRight(
          Ref.update(ran, (n) => n + 1),
          whoAmI
        )
        const { client } = yield* connect(
          ["a", "b", "c"].map((name) => tool(name, () => counted)),
          undefined,
          { gold: { tools: { allow: ["a", "b"], deny: ["b"] } } }
        )
        const { tools } = yield* Effect.promise(() => client.listTools())
        assert.deepStrictEqual(
          tools.map(({ name }) => name),
          ["a"]
        )
        for (const name of ["b", "c"]) {
          const refused = yield* call(client, name, { limit: "no number" })
          assert.isTrue(refused.isError)
          assert.deepInclude(refused._meta?.[metaKey], {
            code: "TOOL_DENIED",
            retryable: false,
            scope: "gold",
            sideEffects: "none"
          })
          assert.match(
            text(refused),
            new RegExp(`tier gold may not call ${name}.*listed tools.*tell the user`)
          )
        }
        assert.strictEqual(yield* Ref.get(ran), 0)
        assert.isUndefined((yield* call(client, "a")).isError)
        assert.strictEqual(yield* Ref.get(ran), 1)
      }).pipe(Effect.provide(quiet))
  )

  it.scopedLive("offers no resource of a tool that the caller's tier does not have", () =>
    Effect.gen(function* () {
      const listing = (deny: ReadonlyArray<string>) =>
        Effect.gen(function* () {
          const { client } = yield* connect(
            ["get_limits", "describe_table"].map((name) => tool(name, () => whoAmI)),
            undefined,
            { default: { tools: { allow: [], deny } } }
          )
          const { resources } = yield* Effect.promise(() => client.listResources())
          const { resourceTemplates } = yield* Effect.promise(() => client.listResourceTemplates())
          return [resources.length, resourceTemplates.length]
        })
      assert.deepStrictEqual(yield* listing([]), [1, 1])
      assert.deepStrictEqual(yield* listing(["get_limits"]), [0, 1])
      assert.deepStrictEqual(yield* listing(["describe_table"]), [1, 0])
    })
  )

  it.scopedLive("says who it is and lists its tools with both schemas", () =>
    Effect.gen(function* () {
      const { client } = yield* connect([tool("b", () => whoAmI), tool("a", () => whoAmI)])
      assert.deepStrictEqual(client.getServerVersion(), { name: "snowguard", version: "1.2.3" })
      const { tools } = yield* Effect.promise(() => client.listTools())
      assert.deepStrictEqual(
        tools.map(({ name }) => name),
        ["a", "b"]
      )
      for (const { annotations, inputSchema, outputSchema } of tools) {
        assert.strictEqual(inputSchema.type, "object")
        assert.strictEqual(outputSchema?.type, "object")
        assert.isTrue(annotations?.readOnlyHint)
      }
    })
  )

  it.scopedLive("a change of the policies does not wait until connections have taken its notice", () =>
    Effect.gen(function* () {
      const { live, set } = Live.make<{ readonly [tier: string]: Partial<CallPolicy.TierPolicy> }>({})
      const server = yield* Layer.build(serverOf([tool("a", () => whoAmI)], 1_000, live))
      const [ours, transport] = InMemoryTransport.createLinkedPair()
      yield* Effect.provide(
        Effect.flatMap(McpServer.McpServer, (one) => one.connect(transport, Principal.make("alice", "gold"))),
        server
      )
      yield* Effect.promise(() => new Client({ name: "test", version: "1" }).connect(ours))
      const asked = yield* Deferred.make<void>()
      // A client that does not read.
      transport.send = () => {
        Deferred.unsafeDone(asked, Effect.void)
        return new Promise(() => {})
      }
      yield* set({ default: { tools: { allow: [], deny: ["a"] } } })
      yield* Deferred.await(asked)
      yield* set({})
    })
  )

  it.scopedLive("a call runs as the principal of its connection, whatever the client calls itself", () =>
    Effect.gen(function* () {
      const { client } = yield* connect([tool("who", () => whoAmI)])
      const result = yield* call(client, "who")
      assert.deepStrictEqual(result.structuredContent, { who: "alice/gold" })
      assert.strictEqual(text(result), '{"who":"alice/gold"}')
    })
  )

  it.scopedLive("a refusal is a result with text and data, and without structured content", () =>
    Effect.gen(function* () {
      const { client } = yield* connect([tool("limited", () => Effect.fail(refusal))])
      const result = yield* call(client, "limited")
      assert.isTrue(result.isError)
      assert.isUndefined(result.structuredContent)
      assert.match(text(result), /^RATE_LIMITED: .* Wait 0.3 seconds/)
      assert.deepInclude(result._meta?.[metaKey], {
        code: "RATE_LIMITED",
        retryAfterMs: 260,
        sideEffects: "none"
      })
    }).pipe(Effect.provide(quiet))
  )

  it.scopedLive(
    "a refusal says how often the same call was refused, one after another, and counts no others",
    () =>
      Effect.gen(function* () {
        const arrived = yield* Ref.make(0)
        const all = yield* Deferred.make<void>()
        const together = Effect.flatMap(
          Ref.updateAndGet(arrived, (n) => n + 1),
          (n) => (n < 3 ? Deferred.await(all) : Deferred.succeed(all, undefined))
        )
        const { client } = yield* connect([
          tool("limited", ({ limit }) => Effect.zipRight(limit === 9 ? together : Effect.void, refusal))
        ])
        const refused = (limit: number) => Effect.map(call(client, "limited", { limit }), text)
        const counts = (told: string) => /Refused (\d+) times in a row/.exec(told)?.[1]
        assert.isUndefined(counts(yield* refused(1)))
        // Another call.
        assert.isUndefined(counts(yield* refused(2)))
        assert.strictEqual(counts(yield* refused(2)), "2")
        assert.strictEqual(counts(yield* refused(2)), "3")
        // Under way together.
        const told = yield* Effect.all([refused(9), refused(9), refused(9)], { concurrency: "unbounded" })
        assert.deepStrictEqual(told.map(counts), [undefined, undefined, undefined])
        assert.strictEqual(counts(yield* refused(9)), "2")
      }).pipe(Effect.provide(quiet))
  )

  it.scopedLive(
    "a refusal counts none before another end of a call, nor of a call whose arguments differ late",
    () =>
      Effect.gen(function* () {
        const failure = new WarehouseError({ reason: "Unreachable", description: "It is gone.", sent: "yes" })
        const ends = yield* Ref.make<ReadonlyArray<RateLimited | WarehouseError>>([])
        const Long = Schema.Struct({ sql: Schema.String })
        const long = Tool.make({
          name: "long",
          description: "long",
          class: "query",
          input: Long,
          output: Out,
          annotations: Tool.readOnly("long"),
          handler: () =>
            Effect.flatMap(
              Ref.modify(ends, ([first = refusal, ...rest]) => [first, rest]),
              Effect.fail
            )
        })
        const { client } = yield* connect([long])
        const refused = (sql: unknown) => Effect.map(call(client, "long", { sql }), text)
        const isRepeated = (told: string) => told.includes("times in a row")
        const filler = "x".repeat(20_000)
        assert.isFalse(isRepeated(yield* refused(`${filler} 1`)))
        assert.isFalse(isRepeated(yield* refused(`${filler} 2`)))
        assert.isTrue(isRepeated(yield* refused(`${filler} 2`)))
        yield* Ref.set(ends, [failure])
        assert.match(yield* refused(`${filler} 2`), /^WAREHOUSE_UNREACHABLE/)
        assert.isFalse(isRepeated(yield* refused(`${filler} 2`)))
        assert.match(yield* refused(5), /^INVALID_INPUT/)
        assert.isFalse(isRepeated(yield* refused(`${filler} 2`)))
      }).pipe(Effect.provide(quiet))
  )

  it.scopedLive("arguments that do not fit are the model's to correct: every problem is named", () =>
    Effect.gen(function* () {
      const { client } = yield* connect([tool("strict", () => whoAmI)])
      const result = yield* call(client, "strict", { limt: 5 })
      assert.isTrue(result.isError)
      assert.match(text(result), /^INVALID_INPUT: .*limt/)
    })
  )

  it.scopedLive("arguments that are null are none, and those that only the client knows are left out", () =>
    Effect.gen(function* () {
      const { client } = yield* connect([tool("plain", () => whoAmI)])
      const request = { method: "tools/call", params: { name: "plain", arguments: null } }
      const none = yield* Effect.promise(() => client.request(request as never, CallToolResultSchema))
      assert.isNotTrue(none.isError)
      const n8n = {
        sessionId: "s",
        action: "sendMessage",
        chatInput: "hi",
        tool: "plain",
        toolCallId: "call_1"
      }
      assert.isNotTrue((yield* call(client, "plain", n8n)).isError)
      assert.match(text(yield* call(client, "plain", { ...n8n, toolId: 1 })), /toolId: no such argument/)
    })
  )

  it.scopedLive("an unknown tool is a protocol error that names the nearest", () =>
    Effect.gen(function* () {
      const { client } = yield* connect([tool("list_tables", () => whoAmI)])
      const error = yield* Effect.flip(
        Effect.tryPromise({ try: () => client.callTool({ name: "list_table" }), catch: (error) => error })
      )
      assert.deepInclude(error, { code: -32602 })
      assert.match(String(error), /Did you mean list_tables\?/)
    })
  )

  it.scopedLive("a defect tells the client nothing but a reference, and the log everything", () =>
    Effect.gen(function* () {
      const lines = yield* Ref.make<ReadonlyArray<string>>([])
      const { client } = yield* connect([
        tool("buggy", () => Effect.die(new Error("password=hunter2")))
      ]).pipe(
        Effect.provide(
          Logger.replace(
            Logger.defaultLogger,
            Logger.map(Logger.logfmtLogger, (line) =>
              Effect.runSync(Ref.update(lines, (all) => [...all, line]))
            )
          )
        )
      )
      const result = yield* call(client, "buggy")
      assert.match(text(result), /^INTERNAL: /)
      assert.notMatch(JSON.stringify(result), /hunter2/)
      const reference = /reference ([0-9a-f-]+)/.exec(text(result))?.[1] ?? "none"
      const logged = (yield* Ref.get(lines)).join("\n")
      assert.include(logged, reference)
      assert.include(logged, "hunter2")
    })
  )

  it.scopedLive("a cancelled call is interrupted", () =>
    Effect.gen(function* () {
      const started = yield* Deferred.make<void>()
      const interrupted = yield* Deferred.make<void>()
      const { client } = yield* connect([
        tool("hang", () =>
          Deferred.succeed(started, undefined).pipe(
            Effect.zipRight(Effect.never),
            Effect.onInterrupt(() => Deferred.succeed(interrupted, undefined))
          )
        )
      ])
      const controller = new AbortController()
      const pending = client
        .callTool({ name: "hang" }, undefined, { signal: controller.signal })
        .then(() => "answered")
        .catch(() => "cancelled")
      yield* Deferred.await(started)
      controller.abort()
      yield* Deferred.await(interrupted)
      assert.strictEqual(yield* Effect.promise(() => pending), "cancelled")
    })
  )

  it.scopedLive("progress arrives before the result", () =>
    Effect.gen(function* () {
      const { client } = yield* connect([
        tool("slow", (_, { progress }) =>
          progress("queued").pipe(Effect.zipRight(progress("running")), Effect.zipRight(whoAmI))
        )
      ])
      const notes: Array<string | undefined> = []
      yield* Effect.promise(() =>
        client.callTool({ name: "slow" }, undefined, { onprogress: ({ message }) => notes.push(message) })
      )
      assert.deepStrictEqual(notes, ["queued", "running"])
    })
  )

  it.scoped(
    "says every ten seconds that a call goes on, whatever it waits for, and no more when it has ended",
    () =>
      Effect.gen(function* () {
        // What the SDK does takes turns of the event loop.
        const turns = Effect.promise(async () => {
          for (let n = 0; n < 20; n++) await new Promise((resolve) => setImmediate(resolve))
        })
        const { client } = yield* connect([
          tool("slow", (_, { progress }) =>
            Effect.sleep("25 seconds").pipe(
              Effect.zipRight(progress("running")),
              Effect.zipRight(Effect.sleep("20 seconds")),
              Effect.zipRight(whoAmI)
            )
          )
        ])
        const notes: Array<string | undefined> = []
        const pending = client.callTool({ name: "slow" }, undefined, {
          onprogress: ({ message }) => notes.push(message)
        })
        yield* turns
        for (let n = 0; n < 10; n++) {
          yield* TestClock.adjust("5 seconds")
          yield* turns
        }
        const { structuredContent } = yield* Effect.promise(() => pending)
        assert.deepStrictEqual(structuredContent, { who: "alice/gold" })
        const expected = ["waiting (10 s)", "waiting (20 s)", "running", "running (30 s)", "running (40 s)"]
        assert.deepStrictEqual(notes, expected)
        yield* TestClock.adjust("1 minute")
        yield* turns
        assert.deepStrictEqual(notes, expected)
      })
  )

  it.scopedLive("closing a connection lets a call in flight answer first", () =>
    Effect.gen(function* () {
      const started = yield* Deferred.make<void>()
      const go = yield* Deferred.make<void>()
      const { client, close } = yield* connect([
        tool("slow", () =>
          Deferred.succeed(started, undefined).pipe(
            Effect.zipRight(Deferred.await(go)),
            Effect.zipRight(whoAmI)
          )
        )
      ])
      const pending = client.callTool({ name: "slow" })
      yield* Deferred.await(started)
      const closing = yield* Effect.fork(close)
      yield* Effect.yieldNow()
      yield* Deferred.succeed(go, undefined)
      const result = yield* Effect.promise(() => pending)
      assert.deepStrictEqual(result.structuredContent, { who: "alice/gold" })
      yield* closing.await
    })
  )

  it.scopedLive("closing a connection interrupts what does not answer in time", () =>
    Effect.gen(function* () {
      const started = yield* Deferred.make<void>()
      const interrupted = yield* Deferred.make<void>()
      const { client, close } = yield* connect(
        [
          tool("hang", () =>
            Deferred.succeed(started, undefined).pipe(
              Effect.zipRight(Effect.never),
              Effect.onInterrupt(() => Deferred.succeed(interrupted, undefined))
            )
          )
        ],
        1
      )
      client.callTool({ name: "hang" }).catch(() => {})
      yield* Deferred.await(started)
      yield* close
      yield* Deferred.await(interrupted)
    })
  )
})
