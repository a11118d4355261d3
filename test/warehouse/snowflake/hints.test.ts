import { describe, expect, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import type { Identity } from "../../../src/warehouse/snowflake/identity.js"
import * as Hints from "../../../src/warehouse/snowflake/hints.js"
import { Warehouse, WarehouseError } from "../../../src/warehouse/Warehouse.js"
import { catalog, make, relation } from "../../utils/catalogWarehouse.js"

const as: Identity = { key: "", mode: "shared", price: "none", login: Effect.never }
const place = { as, role: "R", warehouse: "W", database: "SALES", schema: "PUBLIC" }

const known = catalog([
  relation("SALES", "PUBLIC", "ORDERS"),
  relation("SALES", "web", "Clicks"),
  relation("lower_db", "PUBLIC", "T"),
  relation("HR", "PAY", "STAFF")
])

/** What Snowflake says of a database or schema that SHOW does not find. */
const unnamed = {
  reason: "NotFound" as const,
  description: "SQL compilation error: Object does not exist, or operation cannot be performed.",
  code: "002043",
  sqlState: "02000"
}

const explained = (
  sql: string,
  error: Partial<ConstructorParameters<typeof WarehouseError>[0]> = {},
  more: { readonly deny?: ReadonlyArray<string>; readonly database?: string | undefined } = {}
) =>
  Effect.gen(function* () {
    const { layer } = yield* make(known, "snowflake")
    const { execute } = Context.get(yield* Layer.build(layer), Warehouse)
    const hints = yield* Hints.make({ run: (statement) => execute(statement) })
    const failed = new WarehouseError({ ...unnamed, sent: "yes", queryId: "q1", ...error })
    expect(Hints.isAboutNames(failed)).toBe(true)
    const statement = {
      sql,
      timeoutMs: 1000,
      requestId: "r",
      ...(more.deny === undefined ? {} : { objects: { allow: [], deny: more.deny } })
    }
    return yield* Effect.flip(
      hints.explain(failed, statement, {
        ...place,
        ...("database" in more ? { database: more.database } : {})
      })
    )
  }).pipe(Effect.scoped)

describe("an error of Snowflake's that names nothing", () => {
  const cases: ReadonlyArray<
    readonly [sql: string, description: string, suggestions: ReadonlyArray<string>]
  > = [
    ['SHOW SCHEMAS IN DATABASE "SALE" LIMIT 201', "Database 'SALE'", ["SALES"]],
    ['SHOW TABLES IN DATABASE "LOWER_DB"', `Database 'LOWER_DB'`, ['"lower_db"']],
    [`SHOW TABLES LIKE 'a in b' IN SCHEMA "SALES"."WEB"`, "Schema 'SALES.WEB'", ['SALES."web"']],
    ['SHOW VIEWS IN SCHEMA "SALE"."WEB"', "Database 'SALE'", ["SALES"]],
    ["show tables in sales.publik", "Schema 'SALES.PUBLIK'", ["SALES.PUBLIC"]],
    ['DESCRIBE TABLE "SALES"."PUBLIC"."ORDER"', `Object 'SALES.PUBLIC."ORDER"'`, ["SALES.PUBLIC.ORDERS"]],
    ["DESC VIEW ORDER_", "Object 'SALES.PUBLIC.ORDER_'", ["SALES.PUBLIC.ORDERS"]],
    ['SHOW TABLES IN DATABASE "ZZZZZZZZ"', "Database 'ZZZZZZZZ'", []]
  ]
  for (const [sql, description, suggestions] of cases) {
    it.effect(`says what is missing in ${sql}`, () =>
      Effect.gen(function* () {
        const error = yield* explained(sql)
        expect(error).toMatchObject({
          reason: "NotFound",
          description: `${description} does not exist or not authorized.`,
          code: "002043",
          queryId: "q1"
        })
        expect(error.suggestions ?? []).toEqual(suggestions)
      })
    )
  }

  it.effect("stays as it is where all that is named is there", () =>
    Effect.gen(function* () {
      for (const sql of ['SHOW TABLES IN SCHEMA "SALES"."PUBLIC"', "SHOW TABLES", "SHOW GRANTS TO ROLE X"]) {
        expect(yield* explained(sql)).toMatchObject({ description: unnamed.description })
      }
    })
  )

  it.effect("suggests nothing that the caller may not read", () =>
    Effect.gen(function* () {
      const sql = 'SHOW SCHEMAS IN DATABASE "SALE"'
      expect((yield* explained(sql)).suggestions).toEqual(["SALES"])
      expect((yield* explained(sql, {}, { deny: ["SALES"] })).suggestions).toBeUndefined()
      const table = 'DESCRIBE TABLE "SALES"."PUBLIC"."STAF"'
      expect((yield* explained(table, {}, { deny: ["SALES.PUBLIC.ORDERS"] })).suggestions).toBeUndefined()
    })
  )

  it.effect("is about the place of the call when the session has no database", () =>
    Effect.gen(function* () {
      const error = {
        reason: "InvalidStatement" as const,
        description: "Cannot perform SELECT. This session does not have a current database.",
        code: "090105",
        sqlState: "22000"
      }
      expect(yield* explained("SELECT 1 FROM T", error, { database: "SALE" })).toMatchObject({
        reason: "NotFound",
        description: "Database 'SALE' does not exist or not authorized.",
        suggestions: ["SALES"]
      })
      expect(yield* explained("SELECT 1 FROM T", error, { database: undefined })).toMatchObject(error)
    })
  )
})
