import { describe, expect, it } from "@effect/vitest"
import { Effect, Ref, TestClock } from "effect"
import type { Policy } from "../../src/gate/ReadOnly.js"
import * as ExecuteQuery from "../../src/tools/ExecuteQuery.js"
import * as QueryView from "../../src/tools/QueryView.js"
import * as Fakes from "../utils/fakeGuards.js"
import * as Fake from "../utils/fakeWarehouse.js"

const numbers = Fake.endless({ N: "NUMBER(38,0)" }, (i) => [i])

describe("query_view", () => {
  it.effect("reads ten rows unless told otherwise, and one more to know whether there are more", () =>
    Effect.gen(function* () {
      const { call, warehouse } = yield* Fakes.harness(QueryView.make, {
        rules: [{ when: /./, then: numbers }]
      })
      const result = yield* call({ database: "sales", view_name: "top" })
      expect(yield* warehouse.sql).toEqual([`SELECT * FROM "SALES"."PUBLIC"."TOP" LIMIT 11`])
      expect(result).toMatchObject({
        row_count: 10,
        columns: [{ name: "N", type: "NUMBER(38,0)" }],
        truncated: true,
        truncated_reason: "rows"
      })
      expect(result.rows).toEqual(Array.from({ length: 10 }, (_, i) => [i]))
      expect((yield* warehouse.statements)[0]).toMatchObject({ maxRows: 11 })
    })
  )

  it.effect("gives at most what the tier allows, and does not offer more than that", () =>
    Effect.gen(function* () {
      const { call, warehouse } = yield* Fakes.harness(QueryView.make, {
        rules: [{ when: /./, then: numbers }],
        policy: { maxRows: 20 }
      })
      const result = yield* call({ database: "d", view_name: "v", limit: 100_000 })
      expect(yield* warehouse.sql).toEqual([`SELECT * FROM "D"."PUBLIC"."V" LIMIT 21`])
      expect(result.row_count).toBe(20)
      expect(result.next_step).not.toContain("larger limit")
    })
  )

  it.effect("cannot be made to leave the identifier", () =>
    Effect.gen(function* () {
      const { call, warehouse } = yield* Fakes.harness(QueryView.make, {
        rules: [{ when: /./, then: numbers }]
      })
      yield* call({ database: "d", schema: "s", view_name: `x"; DROP TABLE t; --` })
      expect(yield* warehouse.sql).toEqual([`SELECT * FROM "D"."S"."x""; DROP TABLE t; --" LIMIT 11`])
    })
  )

  it.effect("reads nothing that the tier may not, however it is written", () =>
    Effect.gen(function* () {
      const { call, warehouse } = yield* Fakes.harness(QueryView.make, {
        policy: { objects: { allow: [], deny: ["D.S.V"] } }
      })
      for (const [schema, view_name] of [
        ["s", "v"],
        ['"S"', '"V"'],
        ["x", "s.v"],
        ["x", "d.s.v"],
        ["information_schema", "tables"]
      ]) {
        expect(yield* Effect.flip(call({ database: "d", schema, view_name }))).toMatchObject({
          code: "OBJECT_NOT_ALLOWED"
        })
      }
      expect(yield* warehouse.sql).toEqual([])
    })
  )

  it.effect("is a query operation", () =>
    Effect.gen(function* () {
      const { call, guard } = yield* Fakes.harness(QueryView.make, { rules: [{ when: /./, then: numbers }] })
      yield* call({ database: "d", view_name: "v" })
      expect((yield* guard.seen).operations).toMatchObject([{ tool: "query_view", class: "query" }])
    })
  )
})

const two = Fake.rows({ ID: "NUMBER(38,0)", NAME: "VARCHAR(10)" }, [
  [1, "a"],
  [2, null]
])
const anything = (then: Fake.Answer): ReadonlyArray<Fake.Rule> => [{ when: /./, then }]

describe("execute_query", () => {
  it.effect("executes the canonical text, never the caller's", () =>
    Effect.gen(function* () {
      const policies = yield* Ref.make<ReadonlyArray<Policy>>([])
      const { call, warehouse } = yield* Fakes.harness(ExecuteQuery.make, {
        rules: anything(two),
        readOnly: Fakes.readOnly(policies),
        policy: { allowFunctions: ["DB.S.F"] }
      })
      const result = yield* call({ sql: "  select * from t  " })
      expect(yield* warehouse.sql).toEqual(["/*canonical*/ select * from t\nLIMIT 101"])
      expect(yield* Ref.get(policies)).toEqual([
        {
          allowFunctions: ["DB.S.F"],
          objects: { allow: [], deny: [] },
          allowFlow: true,
          allowStages: false,
          appendLimit: 101
        }
      ])
      expect(result).toMatchObject({
        query_id: "query-1",
        row_count: 2,
        truncated: false,
        columns: [
          { name: "ID", type: "NUMBER(38,0)" },
          { name: "NAME", type: "VARCHAR(10)" }
        ],
        rows: [
          [1, "a"],
          [2, null]
        ]
      })
      expect(result).not.toHaveProperty("truncated_reason")
      expect(result).not.toHaveProperty("quota_warnings")
    })
  )

  it.effect("rejects a write inside the guard, before anything is sent", () =>
    Effect.gen(function* () {
      const { call, guard, warehouse } = yield* Fakes.harness(ExecuteQuery.make, { rules: anything(two) })
      const error = yield* Effect.flip(call({ sql: "DROP TABLE t" }))
      expect(error).toMatchObject({ _tag: "StatementRejected", code: "NOT_A_READ" })
      expect(yield* warehouse.sql).toEqual([])
      const { operations, sent } = yield* guard.seen
      expect(operations).toHaveLength(1)
      expect(sent).toBe(0)
    })
  )

  it.effect("takes the statement under any of its three names", () =>
    Effect.gen(function* () {
      const { call, warehouse } = yield* Fakes.harness(ExecuteQuery.make, { rules: anything(two) })
      yield* call({ sql: "select 1" })
      yield* call({ query: "select 2", sql: "" })
      yield* call({ statement: "select 3" })
      expect((yield* warehouse.sql).map((sql) => /select \d/.exec(sql)?.[0])).toEqual([
        "select 1",
        "select 2",
        "select 3"
      ])
    })
  )

  it.effect("asks for exactly one statement", () =>
    Effect.gen(function* () {
      const { call, guard } = yield* Fakes.harness(ExecuteQuery.make)
      expect(yield* Effect.flip(call({}))).toMatchObject({
        _tag: "ToolError",
        code: "INVALID_INPUT",
        retryable: false,
        message: "sql: missing, it is required."
      })
      expect(yield* Effect.flip(call({ sql: " \n" }))).toMatchObject({ code: "INVALID_INPUT" })
      expect(yield* Effect.flip(call({ sql: "select 1", query: "select 2" }))).toMatchObject({
        code: "INVALID_INPUT",
        message: "sql and query are two names of sql and differ: give sql alone."
      })
      expect((yield* guard.seen).operations).toEqual([])
    })
  )

  it.effect("stops reading an endless result at the limit and cancels the rest", () =>
    Effect.gen(function* () {
      const { call, warehouse } = yield* Fakes.harness(ExecuteQuery.make, {
        rules: [{ when: /./, then: Fake.endless({ N: "NUMBER" }, (i) => [i]), chunkSize: 7 }]
      })
      const result = yield* call({ sql: "select 1", limit: 20 })
      expect(result).toMatchObject({ row_count: 20, truncated: true, truncated_reason: "rows" })
      expect(result.next_step).toContain("larger limit (at most 10000)")
      expect(yield* warehouse.counts).toMatchObject({ pulled: 21, cancelled: 1, finished: 0 })
    })
  )

  it.effect("stops at the bytes of the tier, exactly", () =>
    Effect.gen(function* () {
      const { call, guard } = yield* Fakes.harness(ExecuteQuery.make, {
        rules: anything(Fake.endless({ T: "VARCHAR" }, (i) => [`${i}`.padStart(100, "é")])),
        policy: { maxResultBytes: 10_000 }
      })
      const result = yield* call({ sql: "select 1", limit: 10_000 })
      expect(result).toMatchObject({ truncated: true, truncated_reason: "bytes" })
      const bytes = Buffer.byteLength(JSON.stringify(result.rows) + JSON.stringify(result.columns))
      expect(bytes).toBeLessThanOrEqual(10_000)
      expect(bytes).toBeGreaterThan(9_700)
      expect((yield* guard.seen).bytes).toBe(bytes)
    })
  )

  it.effect("stops where a quota of bytes ends, and says that it was the quota", () =>
    Effect.gen(function* () {
      const { call, guard } = yield* Fakes.harness(ExecuteQuery.make, {
        rules: anything(Fake.endless({ T: "VARCHAR" }, () => ["x".repeat(98)])),
        bytesLeft: 1000
      })
      const result = yield* call({ sql: "select 1", limit: 1000 })
      expect(result).toMatchObject({ truncated: true, truncated_reason: "quota" })
      expect(result.row_count).toBeGreaterThan(5)
      expect(result.next_step).toContain("get_limits")
      expect((yield* guard.seen).bytes).toBeLessThanOrEqual(1000)
    })
  )

  it.effect("cuts a huge value, says how many were cut, and keeps the other rows", () =>
    Effect.gen(function* () {
      const { call } = yield* Fakes.harness(ExecuteQuery.make, {
        rules: anything(Fake.rows({ T: "VARIANT" }, [["x".repeat(100_000)], ["short"]]))
      })
      const result = yield* call({ sql: "select 1" })
      expect(result).toMatchObject({
        row_count: 2,
        truncated: true,
        truncated_reason: "cells",
        truncated_cells: 1
      })
      expect(result.rows[0]?.[0]).toMatch(/^x{30000,}…\[truncated \d+ bytes\]$/)
      expect(result.rows[1]).toEqual(["short"])
    })
  )

  it.effect("resolves the namespace like any other name", () =>
    Effect.gen(function* () {
      const { call, warehouse } = yield* Fakes.harness(ExecuteQuery.make, { rules: anything(two) })
      yield* call({ sql: "select 1", database: "sales", schema: '"Raw"' })
      yield* call({ sql: "select 1" })
      const [named, plain] = yield* warehouse.statements
      expect(named).toMatchObject({ database: "SALES", schema: "Raw" })
      expect([plain?.database, plain?.schema]).toEqual([undefined, undefined])
    })
  )

  it.effect("refuses a namespace that cannot be quoted, and sends nothing", () =>
    Effect.gen(function* () {
      const { call, guard } = yield* Fakes.harness(ExecuteQuery.make)
      for (const input of [{ database: "a\\b" }, { schema: "a\nb" }]) {
        expect(yield* Effect.flip(call({ sql: "select 1", ...input }))).toMatchObject({
          code: "INVALID_INPUT"
        })
      }
      expect((yield* guard.seen).operations).toEqual([])
    })
  )

  it.effect("gives the statement the time that was asked for, at most what the tier allows", () =>
    Effect.gen(function* () {
      const { call, guard, warehouse } = yield* Fakes.harness(ExecuteQuery.make, { rules: anything(two) })
      yield* call({ sql: "select 1" })
      expect(yield* call({ sql: "select 1", timeout_seconds: 5 })).not.toHaveProperty("next_step")
      expect(yield* call({ sql: "select 1", timeout_seconds: 300 })).not.toHaveProperty("next_step")
      expect(yield* call({ sql: "select 1", timeout_seconds: 3600 })).toHaveProperty(
        "next_step",
        "timeout_seconds was cut to 300, the most that this tier has."
      )
      const cut = yield* call({ sql: "select 1", timeout_seconds: 301, limit: 1 })
      expect(cut).toHaveProperty(
        "next_step",
        expect.stringMatching(/^Only the first 1 rows.* was cut to 300/)
      )
      expect((yield* warehouse.statements).map(({ timeoutMs }) => timeoutMs)).toEqual([
        45_000, 5_000, 300_000, 300_000, 300_000
      ])
      // The guard waits longer than the warehouse: a slow statement is not a broken warehouse.
      expect((yield* guard.seen).operations).toMatchObject([
        { class: "query", timeoutMs: 46_000, deadlineMs: 46_500 },
        { timeoutMs: 6_000, deadlineMs: 6_500, asked: { ms: 5_000, isMost: false } },
        { timeoutMs: 301_000, deadlineMs: 301_500, asked: { ms: 300_000, isMost: true } },
        { timeoutMs: 301_000, deadlineMs: 301_500, asked: { ms: 300_000, isMost: true } },
        { timeoutMs: 301_000, deadlineMs: 301_500 }
      ])
    })
  )

  it.effect(
    "gives the statement a second less than the attempt has left, so that the warehouse can say that it is over",
    () =>
      Effect.gen(function* () {
        const { call, warehouse } = yield* Fakes.harness(ExecuteQuery.make, {
          rules: anything(two),
          attemptMs: 3234
        })
        yield* call({ sql: "select 1" })
        expect((yield* warehouse.statements)[0]?.timeoutMs).toBe(2234)
      })
  )

  it.effect("marks the attempt as sent even when the warehouse then fails", () =>
    Effect.gen(function* () {
      const { call, guard } = yield* Fakes.harness(ExecuteQuery.make, {
        rules: anything(Fake.fails("InvalidStatement", { suggestions: ["ID"] }))
      })
      expect(yield* Effect.flip(call({ sql: "select i" }))).toMatchObject({
        reason: "InvalidStatement",
        suggestions: ["ID"]
      })
      expect(yield* guard.seen).toMatchObject({ sent: 1, bytes: 0 })
    })
  )

  it.effect("counts the bytes of rows that came before the caller went away, and cancels the rest", () =>
    Effect.gen(function* () {
      const { call, guard, warehouse } = yield* Fakes.harness(ExecuteQuery.make, {
        rules: [{ when: /./, then: Fake.stalls({ N: "NUMBER" }, [[1], [2], [3], [4]]), chunkSize: 2 }]
      })
      const fiber = yield* Effect.fork(call({ sql: "select 1" }))
      yield* TestClock.adjust(1)
      const { bytes } = yield* guard.seen
      expect(bytes).toBe(JSON.stringify([{ name: "N", type: "NUMBER" }]).length + "[[1],[2],[3],[4]]".length)
      yield* fiber.interruptAsFork(fiber.id())
      yield* Effect.exit(fiber)
      expect(yield* warehouse.counts).toMatchObject({ pulled: 4, cancelled: 1 })
    })
  )

  it.effect("tells the client that the statement runs, but not when it was rejected", () =>
    Effect.gen(function* () {
      const told = yield* Ref.make<ReadonlyArray<string>>([])
      const context = { progress: (message: string) => Ref.update(told, (all) => [...all, message]) }
      const { call } = yield* Fakes.harness(ExecuteQuery.make, { rules: anything(two) })
      yield* Effect.exit(call({ sql: "drop table t" }, context))
      expect(yield* Ref.get(told)).toEqual([])
      yield* call({ sql: "select 1" }, context)
      expect(yield* Ref.get(told)).toHaveLength(1)
    })
  )

  it.effect("reads the principal of each call, not the one of its making", () =>
    Effect.gen(function* () {
      const { call, warehouse } = yield* Fakes.harness(ExecuteQuery.make, { rules: anything(two) })
      yield* call({ sql: "select 1" }).pipe(Fakes.as("team-a"))
      yield* call({ sql: "select 1" }).pipe(Fakes.as("team-b"))
      expect((yield* warehouse.statements).map(({ tag }) => tag?.client)).toEqual(["team-a", "team-b"])
    })
  )
})
