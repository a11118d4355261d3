import { describe, expect, it } from "@effect/vitest"
import { Effect, FastCheck as fc } from "effect"
import * as DescribeTable from "../../src/tools/DescribeTable.js"
import * as DescribeView from "../../src/tools/DescribeView.js"
import * as ListDatabases from "../../src/tools/ListDatabases.js"
import * as ListSchemas from "../../src/tools/ListSchemas.js"
import * as ListTables from "../../src/tools/ListTables.js"
import * as ListViews from "../../src/tools/ListViews.js"
import { catalog, make, relation } from "../utils/catalogWarehouse.js"
import * as Fakes from "../utils/fakeGuards.js"
import { shortOrLong } from "../utils/long.js"

const dialects = ["snowflake", "duckdb"] as const

/** Names that somebody has given to a table, and all that may be in one but control characters and backslashes. */
const name = fc.oneof(
  fc.constantFrom(
    "lower_db",
    "Mixed",
    "UPPER",
    "a.b.c",
    "A.B",
    "ORDER",
    "select",
    "1ST",
    "été",
    "ſ",
    "名前",
    "😀"
  ),
  fc.constantFrom('"quoted"', '"', "it's", "a b", " a", "%", "_", "A$1", "-- x", "x; DROP TABLE t", "null"),
  fc.string({
    unit: fc.constantFrom(
      "a",
      "A",
      "z",
      "_",
      "$",
      "0",
      ".",
      '"',
      "'",
      " ",
      "-",
      ";",
      "%",
      "é",
      "ß",
      "İ",
      "名",
      "😀"
    ),
    minLength: 1,
    maxLength: 12
  })
)

const tools = (layer: Parameters<typeof Fakes.services>[0]) =>
  Effect.all({
    databases: Fakes.harness(ListDatabases.make, layer),
    schemas: Fakes.harness(ListSchemas.make, layer),
    tables: Fakes.harness(ListTables.make, layer),
    views: Fakes.harness(ListViews.make, layer),
    table: Fakes.harness(DescribeTable.make, layer),
    view: Fakes.harness(DescribeView.make, layer)
  })

describe("a name that is listed", () => {
  for (const dialect of dialects) {
    it.effect.prop(
      `is found when it is copied into the next call, whatever is in it (${dialect})`,
      [
        fc.uniqueArray(fc.tuple(name, name, name, name), { minLength: 1, maxLength: 5, selector: ([d]) => d })
      ],
      ([names]) =>
        Effect.gen(function* () {
          const { layer } = yield* make(
            catalog(
              names.flatMap(([database, schema, table, column]) => [
                relation(database, schema, table, "TABLE", [column]),
                relation(database, schema, `${table} view`, "VIEW", [column])
              ])
            ),
            dialect
          )
          const call = yield* tools({ warehouse: layer, dialect })
          const found: Array<ReadonlyArray<string>> = []
          for (const database of (yield* call.databases.call({})).databases) {
            const schemas = (yield* call.schemas.call({ database: database.name })).schemas
            for (const schema of schemas.filter((one) => one.name !== "INFORMATION_SCHEMA")) {
              const here = { database: database.name, schema: schema.name }
              for (const { name: table, schema: its } of (yield* call.tables.call(here)).tables) {
                expect(its).toBe(schema.name)
                const { columns, table: full } = yield* call.table.call({ ...here, table })
                expect(columns).toHaveLength(1)
                // The full name that the answer tells, too, wherever else the call says to look.
                expect(yield* call.table.call({ database: "X", table: full })).toMatchObject({ columns })
                found.push([database.name, schema.name, table])
              }
              for (const { name: view_name } of (yield* call.views.call(here)).views) {
                const view = yield* call.view.call({ ...here, view_name })
                expect(view.count).toBe(1)
                expect(view.definition).toContain("VIEW")
                found.push([database.name, schema.name, view_name])
              }
            }
          }
          expect(found).toHaveLength(names.length * 2)
        }),
      { fastCheck: { numRuns: shortOrLong(6, 25) } }
    )
  }

  it.effect("is written as SQL reads it: in double quotes where it has to be", () =>
    Effect.gen(function* () {
      const odd = ["lower_db", "a.b.c", "ORDER", "PLAIN", "A$1", "A$$1", 'say "hi"']
      const { layer } = yield* make(
        catalog(odd.map((one) => relation(one, one, one, "TABLE", [one]))),
        "snowflake"
      )
      const { databases, table } = yield* tools({ warehouse: layer })
      expect((yield* databases.call({})).databases.map((one) => one.name).sort()).toEqual(
        ['"lower_db"', '"a.b.c"', '"ORDER"', "PLAIN", "A$1", '"A$$1"', '"say ""hi"""'].sort()
      )
      const described = yield* table.call({ database: '"a.b.c"', schema: '"a.b.c"', table: '"a.b.c"' })
      expect(described).toMatchObject({ table: '"a.b.c"."a.b.c"."a.b.c"', columns: [{ name: '"a.b.c"' }] })
    })
  )

  it.effect("is what the suggestion for a mistyped one says", () =>
    Effect.gen(function* () {
      const { layer } = yield* make(catalog([relation("lower_db", "Web", "order lines")]), "snowflake")
      const call = yield* tools({ warehouse: layer })
      const error = yield* Effect.flip(call.schemas.call({ database: "lower_db" }))
      expect(error).toMatchObject({ suggestions: ['"lower_db"'] })
      const wrong = { database: '"lower_db"', schema: '"Web"', table: "order_lines" }
      const meant = '"lower_db"."Web"."order lines"'
      expect(yield* Effect.flip(call.table.call(wrong))).toMatchObject({ suggestions: [meant] })
      expect((yield* call.table.call({ database: "any", table: meant })).count).toBe(1)
    })
  )
})
