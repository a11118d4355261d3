import { assert, describe, it } from "@effect/vitest"
import { Client } from "@modelcontextprotocol/sdk/client/index.js"
import { InMemoryTransport } from "@modelcontextprotocol/sdk/inMemory.js"
import { CallToolResultSchema } from "@modelcontextprotocol/sdk/types.js"
import {
  Chunk,
  Deferred,
  Effect,
  Exit,
  Fiber,
  Layer,
  Logger,
  LogLevel,
  Metric,
  Queue,
  Schema,
  Scope,
  Stream,
  TestClock
} from "effect"
import type { Entry } from "../../src/observe/Audit.js"
import * as RunningCalls from "../../src/observe/RunningCalls.js"
import { Audit } from "../../src/observe/Audit.js"
import { DeadlineExceeded } from "../../src/guard/Guard.js"
import * as McpServer from "../../src/mcp/McpServer.js"
import * as Principal from "../../src/platform/Principal.js"
import * as Quota from "../../src/quota/Quota.js"
import * as QuotaStore from "../../src/quota/QuotaStore.js"
import { QuotaStoreError } from "../../src/quota/QuotaStore.js"
import * as Testing from "../../src/server/Testing.js"
import * as Tool from "../../src/tools/Tool.js"
import * as Toolbox from "../../src/tools/Toolbox.js"
import * as ExecuteQuery from "../../src/tools/ExecuteQuery.js"
import { Warehouse, WarehouseError } from "../../src/warehouse/Warehouse.js"
import * as FakeGuards from "../utils/fakeGuards.js"
import * as CallPolicy from "../../src/tools/CallPolicy.js"

const columns = [{ name: "N", type: "NUMBER", nullable: true }]
const unreachable = new WarehouseError({
  reason: "Unreachable",
  description: "no route",
  sent: "unknown",
  queryId: "q-lost"
})

/** Two rows for what begins with SELECT 1; nothing ever for SELECT 2; no way there for SELECT 3. */
const warehouse = (started: Deferred.Deferred<void>) =>
  Layer.succeed(Warehouse, {
    dialect: "snowflake",
    execute: ({ sql }) =>
      sql.includes("SELECT 2")
        ? Effect.zipRight(Deferred.succeed(started, undefined), Effect.never)
        : sql.includes("SELECT 3")
          ? Effect.fail(unreachable)
          : Effect.succeed({ queryId: "q-1", columns, rows: Stream.make([[1], [2]]) })
  })

const buggy = Tool.make({
  name: "buggy",
  description: "buggy",
  class: "control",
  input: Schema.Struct({}),
  output: Schema.Struct({}),
  annotations: Tool.readOnly("buggy"),
  handler: () => Effect.die("a bug")
})

const storeless = Tool.make({
  ...buggy,
  name: "storeless",
  handler: () => Effect.fail(new QuotaStoreError({ operation: "reserve", description: "no route" }))
})

/** Out of time, before or after its statement was sent. */
const late = Tool.make({
  ...buggy,
  name: "late",
  input: Schema.Struct({ sent: Schema.Boolean }),
  handler: ({ sent }) => Effect.fail(new DeadlineExceeded({ limitMs: 1, sent, of: "call" }))
})

const throwing = Tool.make({
  ...buggy,
  name: "throwing",
  handler: () => {
    throw new Error("a bug")
  }
})

/** A client, and the entries in the order in which calls end. */
const connectTo = Effect.fnUntraced(function* (stack: ReturnType<typeof Testing.layer<{}>>) {
  const entries = yield* Queue.unbounded<Entry>()
  const started = yield* Deferred.make<void>()
  const tools = Layer.provide(
    Layer.orDie(
      Toolbox.layer([
        ExecuteQuery.make,
        Effect.succeed(buggy),
        Effect.succeed(storeless),
        Effect.succeed(late),
        Effect.succeed(throwing)
      ])
    ),
    // The later ones win.
    Layer.mergeAll(stack, warehouse(started), FakeGuards.readOnly())
  )
  const context = yield* Layer.build(
    Layer.provide(
      McpServer.layer({ name: "snowguard", version: "1", drainMs: 100 }),
      Layer.mergeAll(
        CallPolicy.layer(),
        RunningCalls.layer,
        Layer.succeed(Audit, { record: (entry) => Effect.asVoid(Queue.offer(entries, entry)) }),
        tools
      )
    )
  )
  const server = yield* Effect.provide(McpServer.McpServer, context)
  const [ours, theirs] = InMemoryTransport.createLinkedPair()
  yield* server.connect(theirs, Principal.make("ana", "gold"))
  const client = yield* Effect.acquireRelease(
    Effect.promise(async () => {
      const client = new Client({ name: "test", version: "1" })
      await client.connect(ours)
      return client
    }),
    (client) => Effect.promise(() => client.close())
  )
  const call = (name: string, args: Record<string, unknown> = {}, signal?: AbortSignal) =>
    Effect.promise(() =>
      client
        .callTool({ name, arguments: args }, undefined, signal === undefined ? {} : { signal })
        .catch(() => undefined)
    )
  /** As it is, past what the client would correct; the code and the text of the error. */
  const raw = (params: unknown) =>
    Effect.promise(async () => {
      const request = { method: "tools/call", params: params as Record<string, unknown> }
      const answer = await client.request(request, CallToolResultSchema).then(
        () => undefined,
        (error: unknown) => error as { readonly code: number; readonly message: string }
      )
      return { code: answer?.code, message: answer?.message ?? "" }
    })
  return { call, client, raw, next: Queue.take(entries), left: Queue.size(entries), started }
})

const connect = Effect.suspend(() => connectTo(Testing.layer()))

/** Quotas that settle when they are let. */
const slowToSettle = (gate: Effect.Effect<void>) =>
  Layer.effect(
    Quota.Quota,
    Effect.map(Quota.make({ tiers: { default: { requests_per_day: 9 } } }), (quota) => ({
      ...quota,
      settle: (...given: Parameters<typeof quota.settle>) => Effect.zipRight(gate, quota.settle(...given))
    }))
  ).pipe(Layer.provide(QuotaStore.layerMemory), Layer.orDie)

const stepsOf = ({ limits = [] }: Entry) =>
  limits.flatMap(({ operation, steps }) => steps.map(([n, , , what]) => [operation, n, what]))

/** Counted calls of the tool that were none. */
const strays = (tool: string): number =>
  counted(
    "snowguard_calls_total",
    (label) => label("tool") === tool && ["UNKNOWN_TOOL", "INVALID_PARAMS"].includes(label("outcome"))
  )

const counted = (metric: string, counts: (label: (name: string) => string) => boolean): number =>
  Metric.unsafeSnapshot()
    .filter(({ metricKey }) => metricKey.name === metric)
    .filter(({ metricKey: { tags } }) => counts((name) => tags.find(({ key }) => key === name)?.value ?? ""))
    .reduce((sum, { metricState }) => sum + Number(Reflect.get(metricState, "count")), 0)

const quiet = Effect.provide(Logger.minimumLogLevel(LogLevel.None))

describe("the audit of calls", () => {
  it.scopedLive("records the client, the call and its result", () =>
    Effect.gen(function* () {
      const { call, next } = yield* connect
      yield* call("execute_query", { sql: "SELECT 1" })
      const { limits = [], ms, ...entry } = yield* next
      assert.isAtLeast(ms, 0)
      // What it asked of the limits, and used: enough to take the decisions again.
      assert.strictEqual(limits.length, 1)
      assert.deepInclude(limits[0], { class: "query", operation: 1 })
      const steps = limits[0]?.steps ?? []
      assert.deepStrictEqual(
        steps.map(([n, , , what]) => [n, what]),
        [
          [1, "rate"],
          [2, "quota"],
          [3, "sent"],
          [4, "settled"]
        ]
      )
      assert.strictEqual(steps[3]?.[5], entry.bytes)
      assert.deepStrictEqual(entry, {
        client: "ana",
        tier: "gold",
        tool: "execute_query",
        // The statement that was sent, not the one that was asked for.
        statement: "/*canonical*/ SELECT 1\nLIMIT 101",
        decision: "ok",
        outcome: "ok",
        rows: 2,
        bytes: entry.bytes,
        queryId: "q-1"
      })
      assert.isAbove(entry.bytes ?? 0, 0)
    }).pipe(quiet)
  )

  it.scopedLive("one entry for every end: refused, mistaken, failed, broken, cancelled", () =>
    Effect.gen(function* () {
      const { call, left, next, started } = yield* connect
      yield* call("execute_query", { sql: "DROP TABLE x" })
      assert.deepInclude(yield* next, { decision: "STATEMENT_REJECTED", statement: "DROP TABLE x" })
      yield* call("execute_query", { sql: "SELECT 1", limt: 5 })
      assert.deepInclude(yield* next, { decision: "INVALID_INPUT", statement: undefined })
      yield* call("execute_query", { sql: "SELECT 3" })
      assert.deepInclude(yield* next, {
        decision: "WAREHOUSE_UNREACHABLE",
        statement: "/*canonical*/ SELECT 3\nLIMIT 101",
        queryId: "q-lost",
        rows: 0
      })
      yield* call("buggy")
      assert.deepInclude(yield* next, { tool: "buggy", decision: "INTERNAL", statement: undefined })
      yield* call("throwing")
      assert.deepInclude(yield* next, { tool: "throwing", decision: "INTERNAL" })
      const abort = new AbortController()
      const cancelled = yield* Effect.fork(call("execute_query", { sql: "SELECT 2" }, abort.signal))
      yield* Deferred.await(started)
      abort.abort()
      assert.deepInclude(yield* next, {
        decision: "cancelled",
        statement: "/*canonical*/ SELECT 2\nLIMIT 101"
      })
      yield* cancelled.await
      assert.strictEqual(yield* left, 0)
    }).pipe(quiet)
  )

  it.scoped(
    "waits a second for the store to settle the call; what is settled later is in a second line",
    () =>
      Effect.gen(function* () {
        // What closes waits for the clock: it is moved on then.
        const closing = yield* Deferred.make<void>()
        yield* Effect.forkScoped(
          Effect.zipRight(Deferred.await(closing), Effect.forever(TestClock.adjust("1 second")))
        )
        const gate = yield* Deferred.make<void>()
        const { call, left, next } = yield* connectTo(
          Testing.layer({}, { quota: slowToSettle(Deferred.await(gate)) })
        )
        yield* Effect.addFinalizer(() => Deferred.succeed(closing, undefined))
        yield* call("execute_query", { sql: "SELECT 1" })
        assert.strictEqual(yield* left, 0)
        const waits = Effect.map(TestClock.sleeps(), (all) => Chunk.contains(all, 1_000))
        yield* Effect.repeat(waits, { until: (itWaits) => itWaits })
        yield* TestClock.adjust("1 second")
        const first = yield* next
        assert.strictEqual(first.decision, "ok")
        assert.deepStrictEqual(stepsOf(first), [
          [1, 1, "rate"],
          [1, 2, "quota"],
          [1, 3, "sent"]
        ])
        yield* TestClock.adjust("3 seconds")
        assert.strictEqual(yield* left, 0)
        yield* Deferred.succeed(gate, undefined)
        const { limits, ...second } = yield* next
        assert.deepStrictEqual(second, {
          client: "ana",
          tier: "gold",
          tool: "execute_query",
          decision: "settled",
          ms: 4000
        })
        assert.deepStrictEqual(stepsOf({ ...second, limits }), [[1, 4, "settled"]])
        // One that settles in time has one line.
        yield* call("execute_query", { sql: "SELECT 1" })
        assert.strictEqual(stepsOf(yield* next).length, 4)
        assert.strictEqual(yield* left, 0)
      }).pipe(quiet)
  )

  it.scopedLive("a server that ends before a call is settled has its line, and what is settled then", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      const scope = yield* Scope.make()
      const { call, left, next } = yield* connectTo(
        Testing.layer({}, { quota: slowToSettle(Deferred.await(gate)) })
      ).pipe(Scope.extend(scope))
      yield* call("execute_query", { sql: "SELECT 1" })
      assert.strictEqual(yield* left, 0)
      const ending = yield* Effect.fork(Scope.close(scope, Exit.void))
      const first = yield* next
      assert.strictEqual(first.decision, "ok")
      assert.deepStrictEqual(stepsOf(first), [
        [1, 1, "rate"],
        [1, 2, "quota"],
        [1, 3, "sent"]
      ])
      // The guard still waits for the store.
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(ending)
      assert.strictEqual(yield* left, 1)
      const second = yield* next
      assert.deepInclude(second, { client: "ana", tool: "execute_query", decision: "settled" })
      assert.deepStrictEqual(stepsOf(second), [[1, 4, "settled"]])
    }).pipe(quiet)
  )

  it.scopedLive("a call without the quota store counts as refused", () =>
    Effect.gen(function* () {
      const { call, next } = yield* connect
      const refused = () =>
        counted("snowguard_refusals_total", (label) => label("reason") === "QUOTA_STORE_UNAVAILABLE")
      const before = refused()
      yield* call("storeless")
      assert.deepInclude(yield* next, { tool: "storeless", decision: "QUOTA_STORE_UNAVAILABLE" })
      assert.strictEqual(refused() - before, 1)
    }).pipe(quiet)
  )

  it.scopedLive(
    "a call that is out of time is refused while it waited, and has failed once it was sent",
    () =>
      Effect.gen(function* () {
        const { call, next } = yield* connect
        const ofKind = (metric: string, label: string, value: string) =>
          counted(
            metric,
            (of) => of(label) === value && [of("outcome"), of("reason")].includes("DEADLINE_EXCEEDED")
          )
        const before = ["failed", "refused"].map((kind) => ofKind("snowguard_calls_total", "kind", kind))
        const refusedBefore = ofKind("snowguard_refusals_total", "tier", "gold")
        yield* call("late", { sent: true })
        assert.deepInclude(yield* next, { decision: "DEADLINE_EXCEEDED", outcome: "failed" })
        yield* call("late", { sent: false })
        assert.deepInclude(yield* next, { decision: "DEADLINE_EXCEEDED", outcome: "refused" })
        assert.deepStrictEqual(
          ["failed", "refused"].map((kind) => ofKind("snowguard_calls_total", "kind", kind)),
          before.map((count) => count + 1)
        )
        assert.strictEqual(ofKind("snowguard_refusals_total", "tier", "gold"), refusedBefore + 1)
      }).pipe(quiet)
  )

  it.scopedLive("has a request for no tool, or that is none, and counts it under one name", () =>
    Effect.gen(function* () {
      const { left, next, raw } = yield* connect
      const before = { unknown: strays("(unknown)"), known: strays("execute_query") }
      const unknown = {
        client: "ana",
        tier: "gold",
        tool: "(unknown)",
        decision: "UNKNOWN_TOOL",
        outcome: "rejected" as const,
        ms: 0
      }
      const malformed = { ...unknown, decision: "INVALID_PARAMS" }

      const answer = yield* raw({ name: "operator:reset\u202e\n", arguments: {} })
      assert.strictEqual(answer.code, -32602)
      assert.match(answer.message, /There is no tool/)
      assert.deepStrictEqual(yield* next, { ...unknown, asked: "operator:reset??" })
      yield* raw({ name: "x".repeat(10_000) })
      assert.deepStrictEqual(yield* next, { ...unknown, asked: `${"x".repeat(64)}…` })

      const list = yield* raw({ name: "execute_query", arguments: [1] })
      assert.strictEqual(list.code, -32602)
      assert.match(list.message, /params\.arguments: .*expected an object/)
      assert.deepStrictEqual(yield* next, { ...malformed, tool: "execute_query", asked: undefined })
      assert.strictEqual((yield* raw({ arguments: {} })).code, -32602)
      assert.deepStrictEqual(yield* next, { ...malformed, asked: undefined })
      assert.strictEqual((yield* raw(undefined)).code, -32602)
      assert.deepStrictEqual(yield* next, { ...malformed, asked: undefined })
      const task = yield* raw({ name: "execute_query", arguments: { sql: "SELECT 1" }, task: { ttl: 1 } })
      assert.match(task.message, /makes no tasks/)
      assert.deepStrictEqual(yield* next, { ...malformed, tool: "execute_query", asked: undefined })

      assert.strictEqual(yield* left, 0)
      assert.strictEqual(strays("(unknown)") - before.unknown, 4)
      assert.strictEqual(strays("execute_query") - before.known, 2)
    }).pipe(quiet)
  )

  it.scopedLive("other methods that there are not are answered as such, and are no calls", () =>
    Effect.gen(function* () {
      const { client, left } = yield* connect
      const answer = yield* Effect.promise(() =>
        client.request({ method: "tools/made_up" }, CallToolResultSchema).catch((error: unknown) => error)
      )
      assert.deepInclude(answer, { code: -32601 })
      assert.match(String(answer), /Method not found/)
      assert.strictEqual(yield* left, 0)
    }).pipe(quiet)
  )
})
