import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import * as DescribeTable from "../../src/tools/DescribeTable.js"
import * as DescribeView from "../../src/tools/DescribeView.js"
import * as ListDatabases from "../../src/tools/ListDatabases.js"
import * as ListSchemas from "../../src/tools/ListSchemas.js"
import * as ListTables from "../../src/tools/ListTables.js"
import * as ListViews from "../../src/tools/ListViews.js"
import { CAP, catalog, make, relation } from "../utils/catalogWarehouse.js"
import * as Fakes from "../utils/fakeGuards.js"
import * as Fake from "../utils/fakeWarehouse.js"

const KIB = 1024
const bytes = (value: unknown): number => Buffer.byteLength(JSON.stringify(value))

const long = "é".repeat(500)
const wide = (count: number) =>
  Array.from({ length: count }, (_, i) => ({
    name: `COLUMN_WITH_A_LONG_NAME_${i}`,
    type: "VARCHAR(16777216)",
    "null?": "Y",
    default: null,
    "primary key": "N",
    comment: "The meaning of this column, in a sentence or two."
  }))

describe("an answer without a limit", () => {
  it.effect("shows 200 columns of 3,000, small, and says how to see others", () =>
    Effect.gen(function* () {
      const { call } = yield* Fakes.harness(DescribeTable.make, {
        rules: [{ when: /./, then: Fake.records(wide(3000)) }]
      })
      const first = yield* call({ database: "d", table: "t" })
      expect(first).toMatchObject({ count: 200, truncated: true, truncated_reason: "rows" })
      expect(first.next_step).toBe(
        "Only the first 200 are here. Narrow the columns with pattern, or raise limit (at most 10000)."
      )
      expect(bytes(first)).toBeLessThan(33 * KIB)
      const found = yield* call({ database: "d", table: "t", pattern: "%name\\_29__" })
      expect(found).toMatchObject({ count: 100, truncated: false })
      const more = yield* call({ database: "d", table: "t", limit: 3000 })
      expect(more).toMatchObject({ truncated: true, truncated_reason: "bytes" })
      expect(more.count).toBeGreaterThan(1000)
      expect(bytes(more)).toBeLessThan(257 * KIB)
    })
  )

  it.effect("holds 32 KiB of any list, whatever is in the names and comments", () =>
    Effect.gen(function* () {
      const entries = Array.from({ length: 1000 }, (_, i) => ({
        name: `${'"'.repeat(100)}${i}`,
        schema_name: "né".repeat(100),
        comment: long,
        kind: "TABLE"
      }))
      const rules = [{ when: /./, then: Fake.records(entries) }]
      const answers = [
        yield* Effect.flatMap(Fakes.harness(ListDatabases.make, { rules }), ({ call }) => call({})),
        yield* Effect.flatMap(Fakes.harness(ListSchemas.make, { rules }), ({ call }) =>
          call({ database: "d" })
        ),
        yield* Effect.flatMap(Fakes.harness(ListTables.make, { rules }), ({ call }) =>
          call({ database: "d" })
        ),
        yield* Effect.flatMap(Fakes.harness(ListViews.make, { rules }), ({ call }) => call({ database: "d" }))
      ]
      for (const answer of answers) {
        expect(answer).toMatchObject({ truncated: true, truncated_reason: "bytes" })
        expect(answer.next_step).toMatch(/^One answer holds at most 32 KiB\. Narrow the list with /)
        expect(bytes(answer)).toBeLessThan(33 * KIB)
        expect(bytes(answer)).toBeGreaterThan(25 * KIB)
      }
    })
  )

  it.effect("cuts long comments and counts them, and is complete for all that", () =>
    Effect.gen(function* () {
      const { call } = yield* Fakes.harness(ListDatabases.make, {
        rules: [
          {
            when: /./,
            then: Fake.records([
              { name: "A", comment: long },
              { name: "B", comment: "short" }
            ])
          }
        ]
      })
      const result = yield* call({})
      expect(result).toMatchObject({ count: 2, truncated: false, truncated_cells: 1 })
      expect(result.databases[0]?.comment).toMatch(/^é+…\[truncated \d+ bytes\]$/)
      expect(bytes(result.databases[0]?.comment)).toBeLessThanOrEqual(240)
      expect(result.databases[1]).toEqual({ name: "B", comment: "short" })
    })
  )

  it.effect("never cuts a name, however long it is", () =>
    Effect.gen(function* () {
      const name = '"'.repeat(255)
      const { call } = yield* Fakes.harness(ListDatabases.make, {
        rules: [{ when: /./, then: Fake.records([{ name }]) }]
      })
      expect((yield* call({})).databases[0]?.name).toBe(`"${'""'.repeat(255)}"`)
    })
  )

  it.effect("holds 16 KiB of the definition of a view, and says how to see more of it", () =>
    Effect.gen(function* () {
      const rules: ReadonlyArray<Fake.Rule> = [
        { when: /^DESCRIBE/, then: Fake.records(wide(3000)) },
        { when: /GET_DDL/, then: Fake.rows({ DDL: "VARCHAR" }, [["select 1 -- \n".repeat(10_000)]]) }
      ]
      const { call } = yield* Fakes.harness(DescribeView.make, { rules })
      const result = yield* call({ database: "d", view_name: "v" })
      expect(bytes(result.definition)).toBeLessThanOrEqual(16 * KIB)
      expect(result.definition_note).toContain(`SELECT GET_DDL('VIEW', '"D"."PUBLIC"."V"')`)
      expect(bytes(result)).toBeLessThan(50 * KIB)
      const bound = yield* Fakes.harness(DescribeView.make, {
        rules,
        policy: { objects: { allow: [], deny: ["D.HR"] } }
      })
      // The gate would refuse it there.
      expect((yield* bound.call({ database: "d", view_name: "v" })).definition_note).not.toContain("GET_DDL")
    })
  )
})

describe("describe_table", () => {
  it.effect("shows which masking policy a column has", () =>
    Effect.gen(function* () {
      const { call } = yield* Fakes.harness(DescribeTable.make, {
        rules: [
          {
            when: /./,
            then: Fake.records([
              { name: "EMAIL", type: "VARCHAR(100)", "null?": "Y", "policy name": "GOV.POLICIES.MASK_EMAIL" },
              { name: "ID", type: "NUMBER(38,0)", "null?": "N", "policy name": null }
            ])
          }
        ]
      })
      expect((yield* call({ database: "d", table: "t" })).columns).toEqual([
        { name: "EMAIL", type: "VARCHAR(100)", nullable: true, masking_policy: "GOV.POLICIES.MASK_EMAIL" },
        { name: "ID", type: "NUMBER(38,0)", nullable: false }
      ])
    })
  )

  it.effect("finds columns by a pattern, in any case and with both wildcards", () =>
    Effect.gen(function* () {
      const { layer } = yield* make(
        catalog([
          relation("D", "PUBLIC", "T", "TABLE", ["ORDER_ID", "order_date", "ORDERID", "AMOUNT", "a%b"])
        ]),
        "duckdb"
      )
      const { call } = yield* Fakes.harness(DescribeTable.make, { warehouse: layer, dialect: "duckdb" })
      const names = (pattern: string) =>
        Effect.map(call({ database: "d", table: "t", pattern }), ({ columns }) =>
          columns.map(({ name }) => name)
        )
      expect(yield* names("order_%")).toEqual(["ORDER_ID", '"order_date"', "ORDERID"])
      expect(yield* names("order\\_%")).toEqual(["ORDER_ID", '"order_date"'])
      expect(yield* names("ORDER_ID")).toEqual(["ORDER_ID"])
      expect(yield* names("a\\%b")).toEqual(['"a%b"'])
      expect(yield* names("none%")).toEqual([])
      expect(yield* call({ database: "d", table: "t", pattern: "%", limit: 2 })).toMatchObject({
        count: 2,
        truncated: true
      })
    })
  )
})

describe("list_tables", () => {
  it.effect("tells the kind of tables that Snowflake calls tables like the others", () =>
    Effect.gen(function* () {
      const flags = ["is_external", "is_dynamic", "is_iceberg", "is_hybrid", "is_event"]
      const table = (name: string, ...set: ReadonlyArray<string>) => ({
        name,
        schema_name: "PUBLIC",
        kind: name === "TRANSIENT" ? "TRANSIENT" : "TABLE",
        ...Object.fromEntries(flags.map((flag) => [flag, set.includes(flag) ? "Y" : "N"]))
      })
      const { call } = yield* Fakes.harness(ListTables.make, {
        rules: [
          {
            when: /./,
            then: Fake.records([
              table("PLAIN"),
              table("TRANSIENT"),
              ...flags.map((flag) => table(flag.toUpperCase(), flag)),
              table("BOTH", "is_dynamic", "is_iceberg")
            ])
          }
        ]
      })
      expect((yield* call({ database: "d" })).tables.map(({ kind, name }) => [name, kind])).toEqual([
        ["PLAIN", "TABLE"],
        ["TRANSIENT", "TRANSIENT"],
        ["IS_EXTERNAL", "EXTERNAL TABLE"],
        ["IS_DYNAMIC", "DYNAMIC TABLE"],
        ["IS_ICEBERG", "ICEBERG TABLE"],
        ["IS_HYBRID", "HYBRID TABLE"],
        ["IS_EVENT", "EVENT TABLE"],
        ["BOTH", "DYNAMIC ICEBERG TABLE"]
      ])
    })
  )
})

describe("list_views", () => {
  it.effect("says to give a schema only where there is none yet", () =>
    Effect.gen(function* () {
      const many = Fake.records(
        Array.from({ length: 300 }, (_, i) => ({ name: `V${i}`, schema_name: "PUBLIC" }))
      )
      const { call } = yield* Fakes.harness(ListViews.make, { rules: [{ when: /./, then: many }] })
      expect((yield* call({ database: "d" })).next_step).toContain("Narrow the list with schema or pattern")
      const within = yield* call({ database: "d", schema: "public" })
      expect(within).toMatchObject({ count: 200, truncated: true })
      expect(within.next_step).toBe(
        "Only the first 200 are here. Narrow the list with pattern, or raise limit (at most 1000)."
      )
    })
  )
})

describe("a list that is longer than what Snowflake lists at a time", () => {
  const named = (index: number) => `T${String(index).padStart(6, "0")}`
  const many = (count: number, last = "Z") =>
    catalog([
      ...Array.from({ length: count }, (_, i) => relation("D", "PUBLIC", named(i))),
      relation("D", "PUBLIC", last),
      relation("D", "PUBLIC", "it's last")
    ])
  /** Nothing but the very last names may be seen. */
  const policy = { objects: { allow: ["D.PUBLIC.Z", 'D.PUBLIC."it\'s last"'], deny: [] } }

  it.effect("is read on after its last name until all that may be seen is seen", () =>
    Effect.gen(function* () {
      const { layer, sql } = yield* make(many(2 * CAP + 5), "snowflake")
      const { call } = yield* Fakes.harness(ListTables.make, { warehouse: layer, policy })
      const result = yield* call({ database: "d", schema: "public" })
      expect(result.tables.map(({ name }) => name)).toEqual(["Z", `"it's last"`])
      expect(result).toMatchObject({ count: 2, truncated: false })
      expect(yield* sql).toEqual([
        'SHOW TABLES IN SCHEMA "D"."PUBLIC"',
        `SHOW TABLES IN SCHEMA "D"."PUBLIC" LIMIT ${CAP} FROM '${named(CAP - 1)}'`,
        `SHOW TABLES IN SCHEMA "D"."PUBLIC" LIMIT ${CAP} FROM '${named(2 * CAP - 1)}'`
      ])
    })
  )

  it.effect("is read on after a name with a quote in it", () =>
    Effect.gen(function* () {
      const quotes = catalog([
        ...Array.from({ length: CAP }, (_, i) => relation("D", "PUBLIC", `it's ${named(i)}`)),
        relation("D", "PUBLIC", "kept")
      ])
      const { layer } = yield* make(quotes, "snowflake")
      const only = { objects: { allow: ['D.PUBLIC."kept"'], deny: [] } }
      const { call } = yield* Fakes.harness(ListTables.make, { warehouse: layer, policy: only })
      const result = yield* call({ database: "d", schema: "public" })
      expect(result).toMatchObject({ count: 1, truncated: false, tables: [{ name: '"kept"' }] })
    })
  )

  it.effect("stops at the limit, without further statements", () =>
    Effect.gen(function* () {
      const { layer, sql } = yield* make(many(3 * CAP), "snowflake")
      const all = { objects: { allow: ["D"], deny: ["D.PUBLIC.Z"] } }
      const { call } = yield* Fakes.harness(ListTables.make, { warehouse: layer, policy: all })
      expect(yield* call({ database: "d", schema: "public", limit: 5 })).toMatchObject({
        count: 5,
        truncated: true,
        truncated_reason: "rows"
      })
      expect(yield* sql).toHaveLength(1)
    })
  )

  it.effect("says that it is cut in a whole database, where names do not tell where to read on", () =>
    Effect.gen(function* () {
      const { layer, sql } = yield* make(many(CAP), "snowflake")
      const { call } = yield* Fakes.harness(ListTables.make, { warehouse: layer, policy })
      const result = yield* call({ database: "d" })
      expect(result).toMatchObject({ count: 0, truncated: true, truncated_reason: "rows" })
      expect(result.next_step).toBe(
        "The warehouse lists no more than 10000 at a time, and not all were seen. Narrow the list with schema or pattern."
      )
      expect(yield* sql).toHaveLength(1)
    })
  )

  it.effect("says that it is cut when it does not end", () =>
    Effect.gen(function* () {
      const endless = Array.from({ length: CAP }, (_, i) => ({ name: `D${i}` }))
      const { call, warehouse } = yield* Fakes.harness(ListDatabases.make, {
        // The same names again, whatever it is asked to read on from.
        rules: [{ when: /./, then: Fake.records(endless), chunkSize: CAP }],
        policy
      })
      const result = yield* call({})
      expect(result).toMatchObject({ count: 0, truncated: true, truncated_reason: "rows" })
      expect(yield* warehouse.sql).toHaveLength(2)
    })
  )

  it.effect("keeps to one answer's entries over all its parts", () =>
    Effect.gen(function* () {
      const page = (prefix: string) =>
        Fake.records([
          ...Array.from({ length: CAP - 3 }, (_, i) => ({ name: `HIDDEN_${i}` })),
          ...["A", "B", "C"].map((name) => ({ name: `${prefix}${name}` }))
        ])
      const { call } = yield* Fakes.harness(ListDatabases.make, {
        rules: [
          { when: "SHOW DATABASES", then: page("P"), chunkSize: CAP },
          { when: /FROM 'PC'/, then: page("Q"), chunkSize: CAP },
          { when: /FROM 'QC'/, then: Fake.records([{ name: "QC" }, { name: "R" }]) }
        ],
        policy: { objects: { allow: ["PA", "PB", "PC", "QA", "QB", "QC", "R"], deny: [] } }
      })
      expect((yield* call({})).databases.map(({ name }) => name)).toEqual([
        ...["PA", "PB", "PC", "QA", "QB", "QC", "R"]
      ])
      const some = yield* call({ limit: 4 })
      expect(some.databases.map(({ name }) => name)).toEqual(["PA", "PB", "PC", "QA"])
      expect(some).toMatchObject({ truncated: true, truncated_reason: "rows" })
    })
  )
})
