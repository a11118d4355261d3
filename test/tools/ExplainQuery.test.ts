import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { read } from "../../src/tools/explainedPlan.js"
import * as Gate from "../../src/gate/Snowflake.js"
import * as ExplainQuery from "../../src/tools/ExplainQuery.js"
import * as Fakes from "../utils/fakeGuards.js"
import * as Fake from "../utils/fakeWarehouse.js"

const plan = JSON.stringify({
  GlobalStats: { partitionsTotal: 40, partitionsAssigned: 3, bytesAssigned: 1_234_567 },
  Operations: [
    [
      { id: 0, operation: "Result", expressions: ["STATUS", "COUNT(*)"] },
      { id: 1, operation: "Aggregate", parentOperators: [0] },
      {
        id: 2,
        operation: "TableScan",
        parentOperators: [1],
        objects: ["DB.S.ORDERS"],
        bytesAssigned: 1_234_567
      }
    ]
  ]
})
const answer = Fake.rows({ content: "VARCHAR" }, [[plan]])

const harness = (rules: ReadonlyArray<Fake.Rule>) =>
  Fakes.harness(ExplainQuery.make, { rules, readOnly: Gate.layer() })

describe("explain_query", () => {
  it.effect("tells what would be read, in the statement's namespace, as a look-up", () =>
    Effect.gen(function* () {
      const { call, guard, warehouse } = yield* harness([
        { when: /^EXPLAIN USING JSON SELECT/i, then: answer }
      ])
      const result = yield* call({ sql: "select status, count(*) from orders group by 1", database: "db" })
      expect(result).toMatchObject({
        count: 3,
        truncated: false,
        bytes_assigned: 1_234_567,
        partitions_assigned: 3,
        partitions_total: 40,
        tables: ["DB.S.ORDERS"],
        operations: [
          { depth: 0, operation: "Result", expressions: "STATUS, COUNT(*)" },
          { depth: 1, operation: "Aggregate" },
          { depth: 2, operation: "TableScan", objects: "DB.S.ORDERS", bytes: 1_234_567 }
        ]
      })
      expect((yield* warehouse.statements)[0]).toMatchObject({ database: "DB" })
      expect((yield* guard.seen).operations).toMatchObject([{ tool: "explain_query", class: "metadata" }])
    })
  )

  it.effect("sends nothing that the gate refuses, and only queries", () =>
    Effect.gen(function* () {
      const { call, warehouse } = yield* harness([{ when: /./, then: answer }])
      for (const sql of ["DROP TABLE t", "SELECT 1; DROP TABLE t", "CALL p()", "INSERT INTO t SELECT 1"]) {
        expect(yield* Effect.flip(call({ sql }))).toMatchObject({ _tag: "StatementRejected" })
      }
      for (const sql of ["SHOW TABLES", "DESCRIBE TABLE t", "EXPLAIN SELECT 1"]) {
        expect(yield* Effect.flip(call({ sql }))).toMatchObject({ code: "INVALID_INPUT" })
      }
      expect(yield* warehouse.sql).toEqual([])
    })
  )
})

describe("the plan of a view", () => {
  it.effect("does not name the tables behind it that the tier may not read", () =>
    Effect.gen(function* () {
      const steps = [
        { id: 0, operation: "TableScan", objects: ["SALES.PUBLIC.ORDERS"] },
        { id: 1, operation: "TableScan", objects: ["HR.PUBLIC.SALARIES"] },
        { id: 2, operation: "Join", objects: ["SALES.PUBLIC.ORDERS", "HR.PUBLIC.salaries"] }
      ]
      const plan = JSON.stringify({ GlobalStats: { bytesAssigned: 5 }, Operations: [steps] })
      const { call } = yield* Fakes.harness(ExplainQuery.make, {
        rules: [{ when: /./, then: Fake.rows({ plan: "VARCHAR" }, [[plan]]) }],
        readOnly: Gate.layer(),
        policy: { objects: { allow: ["SALES"], deny: [] } }
      })
      const result = yield* call({ sql: "SELECT * FROM SALES.PUBLIC.V" })
      expect(result).toMatchObject({ bytes_assigned: 5, tables: ["SALES.PUBLIC.ORDERS"], count: 3 })
      expect(JSON.stringify(result)).not.toMatch(/salaries/i)
    })
  )
})

describe("a plan", () => {
  it("that is not what it should be is empty, or as much as can be read", () => {
    for (const cell of [null, "", "nonsense", "[]", "{}", 7, '{"Operations":7}', '{"Operations":[[null]]}']) {
      expect(read(cell, () => true)).toMatchObject({
        bytesAssigned: 0,
        partitionsAssigned: 0,
        partitionsTotal: 0,
        tables: []
      })
    }
    const loop = {
      Operations: [
        [
          { id: 1, parentOperators: [2] },
          { id: 2, parentOperators: [1] }
        ]
      ]
    }
    expect(read(JSON.stringify(loop), () => true).operations).toHaveLength(2)
  })
})
