import { expect } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { randomUUID } from "node:crypto"
import * as Emulator from "../../src/emulator/Emulator.js"
import * as DescribeTable from "../../src/tools/DescribeTable.js"
import * as ListTables from "../../src/tools/ListTables.js"
import { Warehouse } from "../../src/warehouse/Warehouse.js"
import * as Snowflake from "../../src/warehouse/Snowflake.js"
import * as Fakes from "../utils/fakeGuards.js"
import { withLayer } from "../utils/withLayer.js"
import { optionsFor } from "../warehouse/snowflakeServer.js"

const database = "SNOWGUARD_SAMPLE"

const snowflake = Layer.unwrapScoped(
  Effect.map(
    Emulator.start({
      tables: {
        [`${database}.PUBLIC.ORDERS`]: { kind: "dynamic" },
        [`${database}.PUBLIC.CUSTOMERS`]: { kind: "external", policies: { EMAIL: "MASK_EMAIL" } },
        [`${database}.WEB.EVENTS`]: { kind: "iceberg" }
      }
    }),
    ({ url }) => Snowflake.layer(optionsFor(url))
  )
)

withLayer(snowflake)("the catalog of Snowflake, over its protocol", (it) => {
  const options = Effect.map(Warehouse, (warehouse): Fakes.Options => ({
    nextId: randomUUID,
    warehouse: Layer.succeed(Warehouse, warehouse)
  }))

  it.effect("lists tables of every kind, each with its own", () =>
    Effect.gen(function* () {
      const { call } = yield* Fakes.harness(ListTables.make, yield* options)
      const kinds = (yield* call({ database })).tables.map(({ kind, name }) => [name, kind])
      expect(Object.fromEntries(kinds)).toMatchObject({
        ORDERS: "DYNAMIC TABLE",
        CUSTOMERS: "EXTERNAL TABLE",
        EVENTS: "ICEBERG TABLE",
        PRODUCTS: "TABLE"
      })
    })
  )

  it.effect("shows the masking policy of a column", () =>
    Effect.gen(function* () {
      const { call } = yield* Fakes.harness(DescribeTable.make, yield* options)
      const { columns } = yield* call({ database, table: "customers", pattern: "%mail" })
      expect(columns).toMatchObject([{ name: "EMAIL", masking_policy: "MASK_EMAIL" }])
      const { columns: others } = yield* call({ database, table: "customers", pattern: "city" })
      expect(others[0]).not.toHaveProperty("masking_policy")
    })
  )
})
