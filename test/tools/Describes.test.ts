import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { partId } from "../../src/tools/lookUps.js"
import * as RequestId from "../../src/platform/requestId.js"
import * as DescribeTable from "../../src/tools/DescribeTable.js"
import * as DescribeView from "../../src/tools/DescribeView.js"
import * as Fakes from "../utils/fakeGuards.js"
import * as Fake from "../utils/fakeWarehouse.js"

const column = (name: string, more: { readonly [key: string]: string | null } = {}) => ({
  name,
  type: "NUMBER(38,0)",
  kind: "COLUMN",
  "null?": "Y",
  default: null,
  "primary key": "N",
  comment: null,
  ...more
})

describe("describe_table", () => {
  it.effect("gives the columns of a table in PUBLIC unless another schema is named", () =>
    Effect.gen(function* () {
      const { call, warehouse } = yield* Fakes.harness(DescribeTable.make, {
        rules: [
          {
            when: /./,
            then: Fake.records([
              column("ID", { "null?": "N", "primary key": "Y", comment: "key" }),
              column("STATE", { type: "VARCHAR(10)", default: "'new'" })
            ])
          }
        ]
      })
      const result = yield* call({ database: "sales", table: "orders" })
      yield* call({ database: "sales", schema: "raw", table: '"Orders"' })
      expect(yield* warehouse.sql).toEqual([
        `DESCRIBE TABLE "SALES"."PUBLIC"."ORDERS"`,
        `DESCRIBE TABLE "SALES"."RAW"."Orders"`
      ])
      expect(result).toMatchObject({ table: "SALES.PUBLIC.ORDERS", count: 2, truncated: false })
      expect(result.columns).toEqual([
        { name: "ID", type: "NUMBER(38,0)", nullable: false, primary_key: true, comment: "key" },
        { name: "STATE", type: "VARCHAR(10)", nullable: true, default: "'new'" }
      ])
    })
  )

  it.effect("keeps every part of the name inside its quotes", () =>
    Effect.gen(function* () {
      const { call, warehouse } = yield* Fakes.harness(DescribeTable.make, {
        rules: [{ when: /./, then: Fake.records([column("ID")]) }]
      })
      const evil = `x"; DROP TABLE t; --`
      yield* call({ database: evil, schema: evil, table: evil })
      const quoted = `"x""; DROP TABLE t; --"`
      expect(yield* warehouse.sql).toEqual([`DESCRIBE TABLE ${quoted}.${quoted}.${quoted}`])
    })
  )

  it.effect("refuses a name that lexers read differently, and sends nothing", () =>
    Effect.gen(function* () {
      const { call, guard } = yield* Fakes.harness(DescribeTable.make)
      expect(yield* Effect.flip(call({ database: "d", table: "a\\b" }))).toMatchObject({
        code: "INVALID_INPUT"
      })
      expect((yield* guard.seen).operations).toEqual([])
    })
  )

  it.effect("says where to look when there are more columns than fit", () =>
    Effect.gen(function* () {
      const wide = Array.from({ length: 200 }, (_, i) => column(`C${i}`, { comment: "c".repeat(100) }))
      const { call } = yield* Fakes.harness(DescribeTable.make, {
        rules: [{ when: /./, then: Fake.records(wide) }],
        policy: { maxResultBytes: 5000 }
      })
      const result = yield* call({ database: "d", table: "t" })
      expect(result).toMatchObject({ truncated: true, truncated_reason: "bytes" })
      expect(result.next_step).toContain("Narrow the columns with pattern")
    })
  )
})

const columns = Fake.records([
  { name: "ID", type: "NUMBER(38,0)", "null?": "Y", default: null, "primary key": "N", comment: null }
])
const ddl = (text: string): Fake.Rule => ({
  when: /GET_DDL/,
  then: Fake.rows({ GET_DDL: "VARCHAR" }, [[text]])
})
const described: Fake.Rule = { when: /^DESCRIBE VIEW/, then: columns }

describe("describe_view", () => {
  it.effect("gives columns and definition in one call of the guard", () =>
    Effect.gen(function* () {
      const { call, guard, warehouse } = yield* Fakes.harness(DescribeView.make, {
        rules: [described, ddl("create view V as select 1 as ID;")]
      })
      const result = yield* call({ database: "sales", view_name: "v" })
      expect(yield* warehouse.sql).toEqual([
        `DESCRIBE VIEW "SALES"."PUBLIC"."V"`,
        `SELECT GET_DDL('VIEW', '"SALES"."PUBLIC"."V"')`
      ])
      expect(result).toMatchObject({
        view: "SALES.PUBLIC.V",
        count: 1,
        columns: [{ name: "ID", type: "NUMBER(38,0)", nullable: true }],
        definition: "create view V as select 1 as ID;"
      })
      expect(result).not.toHaveProperty("definition_note")
      expect((yield* guard.seen).operations).toHaveLength(1)
    })
  )

  it.effect("gives its two statements two ids, the same ones at every attempt", () =>
    Effect.gen(function* () {
      const { call, warehouse } = yield* Fakes.harness(DescribeView.make, { rules: [described, ddl("x")] })
      yield* call({ database: "d", view_name: "v" })
      yield* call({ database: "d", view_name: "v" })
      const ids = (yield* warehouse.statements).map(({ requestId }) => requestId)
      expect(ids[0]).toBe(Fakes.requestId)
      expect(ids[1]).not.toBe(ids[0])
      expect(ids[1]).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
      expect(ids.slice(2)).toEqual(ids.slice(0, 2))
    })
  )

  it.effect("quotes a name that has both kinds of quotes", () =>
    Effect.gen(function* () {
      const { call, warehouse } = yield* Fakes.harness(DescribeView.make, { rules: [described, ddl("x")] })
      yield* call({ database: "d", view_name: `it's "v"` })
      expect((yield* warehouse.sql)[1]).toBe(`SELECT GET_DDL('VIEW', '"D"."PUBLIC"."it''s ""v"""')`)
    })
  )

  for (const reason of ["Permission", "NotFound", "InvalidStatement", "Unavailable"] as const) {
    it.effect(`gives the columns alone, and says why, when the definition fails with ${reason}`, () =>
      Effect.gen(function* () {
        const { call } = yield* Fakes.harness(DescribeView.make, {
          rules: [described, { when: /GET_DDL/, then: Fake.fails(reason) }]
        })
        const result = yield* call({ database: "d", view_name: "v" })
        expect(result.count).toBe(1)
        expect(result).not.toHaveProperty("definition")
        expect(result.definition_note).toContain(`scripted ${reason}`)
      })
    )
  }

  it.effect("fails when the warehouse does", () =>
    Effect.gen(function* () {
      const { call } = yield* Fakes.harness(DescribeView.make, {
        rules: [described, { when: /GET_DDL/, then: Fake.fails("Unreachable") }]
      })
      expect(yield* Effect.flip(call({ database: "d", view_name: "v" }))).toMatchObject({
        reason: "Unreachable"
      })
    })
  )

  it.effect("does not ask for the definition of a view that does not exist", () =>
    Effect.gen(function* () {
      const { call, warehouse } = yield* Fakes.harness(DescribeView.make, {
        rules: [{ when: /^DESCRIBE/, then: Fake.fails("NotFound", { suggestions: ["V2"] }) }]
      })
      expect(yield* Effect.flip(call({ database: "d", view_name: "v" }))).toMatchObject({
        suggestions: ["V2"]
      })
      expect(yield* warehouse.sql).toEqual([
        `DESCRIBE VIEW "D"."PUBLIC"."V"`,
        // The name may be that of a semantic view.
        `DESCRIBE SEMANTIC VIEW "D"."PUBLIC"."V"`
      ])
    })
  )

  it.effect("cuts a definition that is longer than an answer may be, and says so", () =>
    Effect.gen(function* () {
      const { call } = yield* Fakes.harness(DescribeView.make, {
        rules: [described, ddl("x".repeat(50_000))],
        policy: { maxResultBytes: 4000 }
      })
      const result = yield* call({ database: "d", view_name: "v" })
      expect(result.definition).toMatch(/^x+…\[truncated \d+ bytes\]$/)
      expect(JSON.stringify(result).length).toBeLessThan(4000)
      expect(result.definition_note).toContain("longer")
    })
  )

  it.effect("reports a definition that is empty", () =>
    Effect.gen(function* () {
      const { call } = yield* Fakes.harness(DescribeView.make, { rules: [described, ddl("")] })
      expect((yield* call({ database: "d", view_name: "v" })).definition_note).toContain("no definition")
    })
  )
})

describe("partId", () => {
  it.effect("is a UUID that no call and no other part has", () =>
    Effect.gen(function* () {
      const next = yield* RequestId.make
      const calls = [next(), next(), next()]
      const ids = calls.flatMap((id) => [0, 1, 2].map((part) => partId(id, part)))
      expect(new Set(ids).size).toBe(9)
      expect(ids.filter((id) => calls.includes(id))).toEqual(calls)
      for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
    })
  )

  it("is distinct for an id of another kind and for more parts than there are digits", () => {
    expect(partId("call-7", 0)).toBe("call-7")
    expect(partId("call-7", 1)).toBe("call-7-1")
    const id = "0f8fad5b-d9cb-469f-a165-708677289501"
    expect(new Set(Array.from({ length: 20 }, (_, part) => partId(id, part))).size).toBe(20)
  })
})

const property = (
  object_kind: string | null,
  object_name: string | null,
  parent_entity: string | null,
  property: string,
  property_value: string
) => ({ object_kind, object_name, parent_entity, property, property_value })

const semanticRows = [
  property(null, null, null, "COMMENT", "Sales"),
  property("TABLE", "ORDERS", null, "BASE_TABLE_DATABASE_NAME", "SALES"),
  property("TABLE", "ORDERS", null, "BASE_TABLE_SCHEMA_NAME", "RAW"),
  property("TABLE", "ORDERS", null, "BASE_TABLE_NAME", "T_ORDERS"),
  property("TABLE", "ORDERS", null, "PRIMARY_KEY", '["ID","LINE"]'),
  property("DIMENSION", "DAY", "ORDERS", "TABLE", "ORDERS"),
  property("DIMENSION", "DAY", "ORDERS", "EXPRESSION", "TO_DATE(placed_at)"),
  property("DIMENSION", "DAY", "ORDERS", "DATA_TYPE", "DATE"),
  property("DIMENSION", "DAY", "ORDERS", "ACCESS_MODIFIER", "PUBLIC"),
  property("FACT", "cost", "ORDERS", "EXPRESSION", "cost"),
  property("FACT", "cost", "ORDERS", "ACCESS_MODIFIER", "PRIVATE"),
  property("TABLE", "CUSTOMERS", null, "DEFINITION", "SELECT * FROM crm"),
  property("RELATIONSHIP", "R", "ORDERS", "TABLE", "ORDERS"),
  property("RELATIONSHIP", "R", "ORDERS", "REF_TABLE", "CUSTOMERS"),
  property("RELATIONSHIP", "R", "ORDERS", "FOREIGN_KEY", '["CID"]'),
  property("RELATIONSHIP", "R", "ORDERS", "REF_KEY", '["ID"]'),
  property("METRIC", "REVENUE", "ORDERS", "EXPRESSION", "SUM(amount)"),
  property("METRIC", "REVENUE", "ORDERS", "SYNONYMS", '["sales"]'),
  property("METRIC", "REVENUE", "ORDERS", "COMMENT", "In dollars"),
  property("DERIVED_METRIC", "SHARE", null, "EXPRESSION", "orders.revenue / 2"),
  property("AI_VERIFIED_QUERY", "Q1", null, "QUESTION", "How much?"),
  property("AI_VERIFIED_QUERY", "Q1", null, "SQL", "SELECT 1"),
  property("EXTENSION", "CA", null, "VALUE", '{"verified_queries":[{"question":"When?","sql":"SELECT 2"}]}')
]

describe("describe_view of a semantic view", () => {
  const rules: ReadonlyArray<Fake.Rule> = [
    { when: /^DESCRIBE VIEW/, then: Fake.fails("NotFound") },
    { when: /^DESCRIBE SEMANTIC VIEW/, then: Fake.records(semanticRows) }
  ]

  it.effect("gives tables, relationships, members, verified queries and a query to begin with", () =>
    Effect.gen(function* () {
      const { call, guard, warehouse } = yield* Fakes.harness(DescribeView.make, { rules })
      const result = yield* call({ database: "sales", view_name: "s" })
      expect(result).toMatchObject({ view: "SALES.PUBLIC.S", count: 4, truncated: false, columns: [] })
      expect(result.semantic).toEqual({
        comment: "Sales",
        tables: [
          { name: "ORDERS", base_table: "SALES.RAW.T_ORDERS", primary_key: ["ID", "LINE"] },
          { name: "CUSTOMERS", definition: "SELECT * FROM crm" }
        ],
        relationships: ["ORDERS (CID) REFERENCES CUSTOMERS (ID)"],
        dimensions: [{ name: "ORDERS.DAY", type: "DATE", expression: "TO_DATE(placed_at)" }],
        facts: [{ name: 'ORDERS."cost"', expression: "cost", private: true }],
        metrics: [
          { name: "ORDERS.REVENUE", expression: "SUM(amount)", synonyms: ["sales"], comment: "In dollars" },
          { name: "SHARE", expression: "orders.revenue / 2" }
        ],
        verified_queries: [
          { question: "How much?", sql: "SELECT 1" },
          { question: "When?", sql: "SELECT 2" }
        ],
        example: "SELECT * FROM SEMANTIC_VIEW(SALES.PUBLIC.S DIMENSIONS ORDERS.DAY METRICS ORDERS.REVENUE)"
      })
      expect(yield* warehouse.sql).toEqual([
        `DESCRIBE VIEW "SALES"."PUBLIC"."S"`,
        `DESCRIBE SEMANTIC VIEW "SALES"."PUBLIC"."S"`
      ])
      expect((yield* guard.seen).operations).toHaveLength(1)
    })
  )

  for (const [what, more] of [
    [
      "whose columns are told as dimensions and metrics",
      [{ when: /^DESCRIBE VIEW/, then: Fake.records([column("DAY", { kind: "DIMENSION" })]) }]
    ],
    [
      "whose definition makes a semantic view",
      [
        { when: /^DESCRIBE VIEW/, then: Fake.records([column("DAY")]) },
        ddl("create or replace semantic view S tables (t)")
      ]
    ]
  ] as const) {
    it.effect(`knows one ${what}`, () =>
      Effect.gen(function* () {
        const { call } = yield* Fakes.harness(DescribeView.make, { rules: [...more, ...rules] })
        expect((yield* call({ database: "d", view_name: "s" })).semantic?.metrics).toHaveLength(2)
      })
    )
  }

  it.effect("does not ask the embedded warehouse, which has none", () =>
    Effect.gen(function* () {
      const { call, warehouse } = yield* Fakes.harness(DescribeView.make, { rules, dialect: "duckdb" })
      expect(yield* Effect.flip(call({ database: "d", view_name: "s" }))).toMatchObject({
        reason: "NotFound"
      })
      expect(yield* warehouse.sql).toHaveLength(1)
    })
  )

  it.effect("says what else failed where the second question fails for another reason", () =>
    Effect.gen(function* () {
      const { call } = yield* Fakes.harness(DescribeView.make, {
        rules: [rules[0]!, { when: /SEMANTIC/, then: Fake.fails("Unreachable") }]
      })
      expect(yield* Effect.flip(call({ database: "d", view_name: "s" }))).toMatchObject({
        reason: "Unreachable"
      })
    })
  )

  it.effect("narrows its members by pattern and limit, and says that there are more", () =>
    Effect.gen(function* () {
      const { call } = yield* Fakes.harness(DescribeView.make, { rules })
      const one = yield* call({ database: "d", view_name: "s", pattern: "rev%" })
      expect(one).toMatchObject({ count: 1, truncated: false, semantic: { dimensions: [], facts: [] } })
      const two = yield* call({ database: "d", view_name: "s", limit: 2 })
      expect(two).toMatchObject({ count: 2, truncated: true, truncated_reason: "rows" })
      expect(two.next_step).toContain("pattern")
    })
  )

  it.effect("stays within the bytes of one answer, and keeps members and queries apart", () =>
    Effect.gen(function* () {
      const many = Array.from({ length: 600 }, (_, i) =>
        property("DIMENSION", `D${i}`, "ORDERS", "EXPRESSION", "x".repeat(300))
      )
      const { call } = yield* Fakes.harness(DescribeView.make, {
        rules: [rules[0]!, { when: /SEMANTIC/, then: Fake.records([...many, ...semanticRows]) }]
      })
      const result = yield* call({ database: "d", view_name: "s" })
      expect(result).toMatchObject({ truncated: true })
      expect(JSON.stringify(result.semantic).length).toBeLessThan(33_000)
      expect(result.semantic?.verified_queries).toHaveLength(2)
      expect(result.semantic?.dimensions.length).toBe(result.count)
    })
  )

  it.effect("does not name tables that the tier may not read", () =>
    Effect.gen(function* () {
      const policy = { objects: { allow: ["SALES"], deny: ["SALES.RAW"] } }
      const { call } = yield* Fakes.harness(DescribeView.make, { rules, policy })
      const { semantic } = yield* call({ database: "sales", view_name: "s" })
      expect(semantic?.tables[0]).toEqual({ name: "ORDERS", primary_key: ["ID", "LINE"] })
    })
  )
})

describe("an object that the tier may not read", () => {
  it.effect("is not described, and nothing is sent", () =>
    Effect.gen(function* () {
      const policy = { objects: { allow: ["D.PUBLIC"], deny: ["D.PUBLIC.SECRET"] } }
      const table = yield* Fakes.harness(DescribeTable.make, { policy })
      const view = yield* Fakes.harness(DescribeView.make, { policy })
      const failures = [
        yield* Effect.flip(table.call({ database: "d", table: "secret" })),
        yield* Effect.flip(table.call({ database: "d", table: "public.secret" })),
        yield* Effect.flip(table.call({ database: "d", schema: "other", table: "t" })),
        yield* Effect.flip(view.call({ database: "x", view_name: '"D".public.secret' })),
        yield* Effect.flip(view.call({ database: "x", view_name: "d.public.secret" }))
      ]
      for (const failure of failures) expect(failure).toMatchObject({ code: "OBJECT_NOT_ALLOWED" })
      expect([...(yield* table.warehouse.sql), ...(yield* view.warehouse.sql)]).toEqual([])
    })
  )
})
