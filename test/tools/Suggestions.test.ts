import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { randomUUID } from "node:crypto"
import { functions, translate } from "../../src/warehouse/duckdb/dialect/snowflake.js"
import { columnsNear } from "../../src/warehouse/duckdb/suggest.js"
import { seenBy } from "../../src/warehouse/duckdb/catalog.js"
import * as Emulator from "../../src/emulator/Emulator.js"
import * as SnowflakeGate from "../../src/gate/Snowflake.js"
import { ReadOnly } from "../../src/gate/ReadOnly.js"
import { tokenize } from "../../src/sql/Lexer.js"
import { snowflake } from "../../src/sql/Dialect.js"
import * as ObjectRules from "../../src/sql/ObjectRules.js"
import * as DescribeTable from "../../src/tools/DescribeTable.js"
import * as DescribeView from "../../src/tools/DescribeView.js"
import * as ExecuteQuery from "../../src/tools/ExecuteQuery.js"
import * as ListSchemas from "../../src/tools/ListSchemas.js"
import * as ListTables from "../../src/tools/ListTables.js"
import * as DuckDb from "../../src/warehouse/DuckDb.js"
import * as Snowflake from "../../src/warehouse/Snowflake.js"
import { Warehouse } from "../../src/warehouse/Warehouse.js"
import * as Fakes from "../utils/fakeGuards.js"
import * as Fake from "../utils/fakeWarehouse.js"
import { catalog, relation } from "../utils/catalogWarehouse.js"
import { embeddedGate } from "../utils/embeddedGate.js"
import { withLayer } from "../utils/withLayer.js"
import { optionsFor } from "../warehouse/snowflakeServer.js"

const sample = "SNOWGUARD_SAMPLE"

interface Case {
  readonly what: string
  readonly call: (tools: Tools) => Effect.Effect<unknown, unknown>
  /** Offered where nothing is denied. */
  readonly offered: string
  readonly denies: string
}

const tools = (options: Fakes.Options) =>
  Effect.all({
    schemas: Fakes.harness(ListSchemas.make, options),
    tables: Fakes.harness(ListTables.make, options),
    table: Fakes.harness(DescribeTable.make, options),
    view: Fakes.harness(DescribeView.make, options),
    query: Fakes.harness(ExecuteQuery.make, options)
  })
type Tools = Effect.Effect.Success<ReturnType<typeof tools>>

const cases: ReadonlyArray<Case> = [
  {
    what: "a table, described",
    call: ({ table }) => table.call({ database: sample, table: "CUSTOMER" }),
    offered: "SNOWGUARD_SAMPLE.PUBLIC.CUSTOMERS",
    denies: "SNOWGUARD_SAMPLE.PUBLIC.CUSTOMERS"
  },
  {
    what: "a table of another schema, described",
    call: ({ table }) => table.call({ database: sample, table: "EVENTS" }),
    offered: "SNOWGUARD_SAMPLE.WEB.EVENTS",
    denies: "SNOWGUARD_SAMPLE.WEB"
  },
  {
    what: "a view, described",
    call: ({ view }) => view.call({ database: sample, view_name: "ORDER_SUMARY" }),
    offered: "SNOWGUARD_SAMPLE.PUBLIC.ORDER_SUMMARY",
    denies: "*.*.ORDER_SUMMARY"
  },
  {
    what: "a table in a statement",
    call: ({ query }) => query.call({ sql: "SELECT * FROM SNOWGUARD_SAMPLE.PUBLIC.CUSTOMER" }),
    offered: "SNOWGUARD_SAMPLE.PUBLIC.CUSTOMERS",
    denies: "SNOWGUARD_SAMPLE.PUBLIC.CUSTOMERS"
  },
  {
    what: "a table of another schema, in a statement",
    call: ({ query }) => query.call({ sql: "SELECT * FROM SNOWGUARD_SAMPLE.PUBLIC.EVENTS" }),
    offered: "SNOWGUARD_SAMPLE.WEB.EVENTS",
    denies: "SNOWGUARD_SAMPLE.WEB"
  },
  {
    what: "a schema in a statement",
    call: ({ query }) => query.call({ sql: "SELECT * FROM SNOWGUARD_SAMPLE.WEBB.EVENTS" }),
    offered: "SNOWGUARD_SAMPLE.WEB",
    denies: "SNOWGUARD_SAMPLE.WEB"
  },
  {
    what: "a schema that is listed",
    call: ({ tables }) => tables.call({ database: sample, schema: "WEBB" }),
    offered: "SNOWGUARD_SAMPLE.WEB",
    denies: "SNOWGUARD_SAMPLE.WEB"
  },
  {
    what: "a database that is listed",
    call: ({ schemas }) => schemas.call({ database: "SNOWGUARD_SAMPEL" }),
    offered: sample,
    denies: sample
  }
]

const warehouses = [
  {
    name: "the embedded warehouse",
    dialect: "duckdb" as const,
    gate: embeddedGate({ functions, translate }),
    layer: DuckDb.layer()
  },
  {
    name: "Snowflake, over its protocol",
    dialect: "snowflake" as const,
    gate: SnowflakeGate.layer(),
    layer: Layer.unwrapScoped(
      Effect.map(Emulator.start(), ({ url }) =>
        Snowflake.layer(optionsFor(url, { database: undefined, schema: undefined }))
      )
    )
  }
]

for (const { dialect, gate, layer, name } of warehouses) {
  withLayer(Layer.merge(layer, gate))(`what ${name} suggests`, (it) => {
    const withRules = (deny: ReadonlyArray<string>) =>
      Effect.flatMap(Effect.all([Warehouse, ReadOnly]), ([warehouse, readOnly]) =>
        tools({
          dialect,
          nextId: randomUUID,
          warehouse: Layer.succeed(Warehouse, warehouse),
          readOnly: Layer.succeed(ReadOnly, readOnly),
          policy: { objects: { allow: [], deny } }
        })
      )

    for (const { call, denies, offered, what } of cases) {
      it.effect(`for ${what} is the nearest name, but none that the tier may not read`, () =>
        Effect.gen(function* () {
          const free = yield* Effect.flip(call(yield* withRules([])))
          expect(free).toMatchObject({ reason: "NotFound" })
          expect((free as { readonly suggestions: ReadonlyArray<string> }).suggestions[0]).toBe(offered)
          const bound = yield* Effect.flip(call(yield* withRules([denies])))
          expect(JSON.stringify(bound)).not.toMatch(new RegExp(`${offered}(?!\\w)`.replaceAll(".", "\\.")))
        })
      )
    }

    it.effect("names the database or schema that is missing, also where the warehouse does not", () =>
      Effect.gen(function* () {
        const { schemas, tables } = yield* withRules([])
        expect(yield* Effect.flip(schemas.call({ database: "nope" }))).toMatchObject({
          reason: "NotFound",
          description: "Database 'NOPE' does not exist or not authorized."
        })
        expect(yield* Effect.flip(tables.call({ database: sample, schema: '"web"' }))).toMatchObject({
          reason: "NotFound",
          description: `Schema '${sample}."web"' does not exist or not authorized.`,
          suggestions: [`${sample}.WEB`]
        })
      })
    )
  })
}

describe("what is suggested for a column", () => {
  it("comes from the tables that the caller may read, not from their namesakes", () => {
    const whole = catalog([
      relation("SALES", "PUBLIC", "STAFF", "TABLE", ["NAME", "SHOP"]),
      relation("HR", "PUBLIC", "STAFF", "TABLE", ["NAME", "SALARY"])
    ])
    const tokens = tokenize("SELECT SALRY FROM SALES.PUBLIC.STAFF", snowflake)
    const failure = {
      reason: "InvalidStatement",
      code: "000904",
      sqlState: "42000",
      description: "invalid identifier 'SALRY'",
      missing: { kind: "Column", name: "SALRY", candidates: [] }
    } as const
    const near = (objects: ObjectRules.Rules) =>
      columnsNear(
        seenBy(whole, ObjectRules.compile(objects, false)),
        failure,
        tokens._tag === "Right" ? tokens.right : []
      )
    expect(near({ allow: [], deny: [] })).toEqual(["SALARY"])
    expect(near({ allow: [], deny: ["HR"] })).toEqual([])
  })

  const nearIn = (columns: ReadonlyArray<string>, name: string) => {
    const tokens = tokenize(`SELECT x FROM STAFF`, snowflake)
    const failure = {
      reason: "InvalidStatement",
      code: "000904",
      sqlState: "42000",
      description: "",
      missing: { kind: "Column", name, candidates: [] }
    } as const
    const whole = catalog([
      relation("HR", "PUBLIC", "STAFF", "TABLE", [...columns]),
      relation("HR", "PUBLIC", "OTHERS", "TABLE", [name])
    ])
    return columnsNear(whole, failure, tokens._tag === "Right" ? tokens.right : [])
  }

  it("is written as SQL needs it", () => {
    expect(nearIn(["GRÖSSE", "order_id", "ORDER", "NAME"], "GROESSE")).toEqual(['"GRÖSSE"'])
    expect(nearIn(["GRÖSSE", "order_id", "NAME"], "ORDERID")).toEqual(['"order_id"'])
    expect(nearIn(["ORDER", "NAME"], "ORDRE")).toEqual(['"ORDER"'])
  })

  it("shares a word with what was asked for where nothing is spelt alike, and is nothing else", () => {
    const columns = ["PRICE_OF_ORDER", "CREATED_AT", "CUSTOMER_REGION", "ID"]
    expect(nearIn(columns, "ORDER_PRICE")).toEqual(["PRICE_OF_ORDER"])
    expect(nearIn(columns, "SALES_REGIONS")).toEqual(["CUSTOMER_REGION"])
    expect(nearIn(columns, "WEATHER")).toEqual([])
    const others = "ALPHA_BRAVO_CHARLIE_DELTA_HOTEL_JULIETT_OSCAR"
    expect(nearIn(columns, `${others}_REGION`)).toEqual(["CUSTOMER_REGION"])
    // Of a long name the first words: each is compared with all that there are.
    expect(nearIn(columns, `${others}_PAPA_REGION`)).toEqual([])
  })
})

describe("what a warehouse says of an error", () => {
  const policy = { objects: { allow: ["SALES"], deny: ["SALES.PAY"] } }
  const failing = (description: string, suggestions?: ReadonlyArray<string>) =>
    Fakes.harness(DescribeTable.make, {
      policy,
      rules: [
        {
          when: /./,
          then: Fake.fails("InvalidStatement", { description, ...(suggestions && { suggestions }) })
        }
      ]
    })

  it.effect("does not name the tables behind a view that the caller may not read", () =>
    Effect.gen(function* () {
      const { call } = yield* failing(
        "Failure during expansion of view 'V': Object 'HR.PUBLIC.\"Pay roll\"' is gone; see SALES.PUBLIC.T."
      )
      expect(yield* Effect.flip(call({ database: "sales", table: "v" }))).toMatchObject({
        description:
          "Failure during expansion of view 'V': Object '(an object that this client may not read)' is gone; see SALES.PUBLIC.T."
      })
    })
  )

  it.effect("names what the caller has named itself", () =>
    Effect.gen(function* () {
      const own = `Object 'SALES.PUBLIC.T' does not exist; also "SALES"."PUBLIC"."T".`
      const { call } = yield* failing(own)
      expect(yield* Effect.flip(call({ database: "sales", table: "t" }))).toMatchObject({ description: own })
    })
  )

  it.effect("suggests nothing that is denied, whatever the warehouse thinks", () =>
    Effect.gen(function* () {
      const { call } = yield* failing("gone", ["SALES.PAY.JANUARY", "SALES.PUBLIC.T1", "HR.PUBLIC.T"])
      expect(yield* Effect.flip(call({ database: "sales", table: "t" }))).toMatchObject({
        suggestions: ["SALES.PUBLIC.T1"]
      })
    })
  )
})
