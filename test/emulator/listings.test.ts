import { expect } from "@effect/vitest"
import { Effect } from "effect"
import { withLayer } from "../utils/withLayer.js"
import * as Driver from "./driver.js"
import * as Shared from "./shared.js"

const tables = {
  "SNOWGUARD_SAMPLE.PUBLIC.ORDERS": { kind: "dynamic" },
  "SNOWGUARD_SAMPLE.PUBLIC.CUSTOMERS": { policies: { EMAIL: "GOVERNANCE.PUBLIC.HIDE_EMAIL" } }
} as const

withLayer(Shared.layer({ tables, showRows: 3 }))("listings of the emulator", (it) => {
  const answer = (sql: string) =>
    Effect.gen(function* () {
      const connection = yield* Driver.connect(yield* Shared.Shared)
      const { rows, statement } = yield* Driver.query(connection, sql)
      const names = (statement.getColumns() ?? []).map((column) => column.getName())
      return rows.map((row): Record<string, unknown> =>
        Object.fromEntries(names.map((name, at) => [name, row[at]]))
      )
    })

  it.effect("do not name what does not exist", () =>
    Effect.gen(function* () {
      const connection = yield* Driver.connect(yield* Shared.Shared)
      for (const sql of [
        "SHOW SCHEMAS IN DATABASE NOWHERE",
        "SHOW TABLES IN SCHEMA SNOWGUARD_SAMPLE.NOWHERE",
        "SHOW COLUMNS IN TABLE NOWHERE",
        "USE SCHEMA NOWHERE"
      ]) {
        const error = yield* Effect.flip(Driver.rows(connection, sql))
        expect([sql, error.message]).toEqual([
          sql,
          "SQL compilation error:\nObject does not exist, or operation cannot be performed."
        ])
        expect(error).toMatchObject({ code: "002043", sqlState: "02000" })
      }
      expect(yield* Effect.flip(Driver.rows(connection, "DESCRIBE TABLE NOWHERE"))).toMatchObject({
        code: "002003",
        message: expect.stringContaining("NOWHERE")
      })
    })
  )

  it.effect("end after so many rows, and go on from a name", () =>
    Effect.gen(function* () {
      const names = (sql: string) => Effect.map(answer(sql), (rows) => rows.map((row) => row["name"]))
      const first = yield* names("SHOW TABLES IN SCHEMA SNOWGUARD_SAMPLE.PUBLIC")
      expect(first).toHaveLength(3)
      expect(yield* names("SHOW TABLES IN SCHEMA SNOWGUARD_SAMPLE.PUBLIC LIMIT 2")).toEqual(first.slice(0, 2))
      const next = yield* names(
        `SHOW TABLES IN SCHEMA SNOWGUARD_SAMPLE.PUBLIC LIMIT 10 FROM '${String(first[1])}'`
      )
      expect(next[0]).toBe(first[2])
      expect(next.length).toBeLessThanOrEqual(3)
    })
  )

  it.effect("tell of what kind a table is, and what masks a column", () =>
    Effect.gen(function* () {
      const flags = ["is_external", "is_event", "is_hybrid", "is_iceberg", "is_dynamic"] as const
      const kinds = (yield* answer("SHOW TABLES LIKE '%S' IN SCHEMA SNOWGUARD_SAMPLE.PUBLIC")).map((row) => [
        row["name"],
        row["kind"],
        flags.map((flag) => row[flag]).join("")
      ])
      expect(kinds).toContainEqual(["ORDERS", "TABLE", "NNNNY"])
      expect(kinds).toContainEqual(["CUSTOMERS", "TABLE", "NNNNN"])
      const policies = (yield* answer("DESCRIBE TABLE CUSTOMERS")).map((row) => [
        row["name"],
        row["policy name"]
      ])
      expect(policies).toContainEqual(["EMAIL", "GOVERNANCE.PUBLIC.HIDE_EMAIL"])
      expect(policies.filter(([, policy]) => policy !== null)).toHaveLength(1)
      expect((yield* answer("DESCRIBE TABLE ORDERS"))[0]).toHaveProperty("policy name", null)
    })
  )
})
