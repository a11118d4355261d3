import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import * as LookUps from "../../src/tools/lookUps.js"
import type { Reason } from "../../src/warehouse/Warehouse.js"
import { WarehouseError } from "../../src/warehouse/Warehouse.js"

describe("look-ups", () => {
  const failing = (reason: Reason) =>
    Effect.either(
      LookUps.noneWhereUnknown<ReadonlyArray<string>, never, never>(
        new WarehouseError({ reason, description: "", sent: "yes" }),
        []
      )
    )

  it.effect("take a kind that the account does not know for none of it, and no other failure", () =>
    Effect.gen(function* () {
      expect(yield* failing("InvalidStatement")).toMatchObject({ _tag: "Right", right: [] })
      for (const reason of [
        "Permission",
        "Unreachable",
        "StatementTimeout",
        "Overloaded",
        "Unknown"
      ] as const)
        expect(yield* failing(reason)).toMatchObject({ _tag: "Left", left: { reason } })
    })
  )

  it("have numbers of their own beside those of a tool, each with an id", () => {
    const request = "2f1c0b7e-1111-4aaa-8bbb-0123456789ab"
    const numbers = Array.from({ length: 100 }, (_, nth) => LookUps.lookUpPart(nth)).filter(
      (part) => part !== undefined
    )
    const all = [0, 1, ...numbers, LookUps.OWN_PART, LookUps.OWN_PART + 1]
    expect(new Set(all).size).toBe(all.length)
    const ids = all.map((part) => LookUps.partId(request, part))
    expect(new Set(ids).size).toBe(all.length)
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
  })

  it("are whole when every row is, and all of it", () => {
    const whole = { cutCells: 0, partial: false, truncated: undefined }
    expect(LookUps.isWhole(whole)).toBe(true)
    for (const less of [
      { ...whole, cutCells: 1 },
      { ...whole, partial: true },
      { ...whole, truncated: { reason: "rows" } },
      { ...whole, truncated: { reason: "bytes" } },
      { ...whole, truncated: { reason: "quota" } }
    ])
      expect(LookUps.isWhole(less)).toBe(false)
  })

  it.effect("of one name keep it and not what its pattern matches as well", () =>
    Effect.gen(function* () {
      const one = yield* LookUps.showOne("SEMANTIC VIEWS", ["DB", "S", "A_B"], "snowflake")
      expect(one.sql).toBe(`SHOW SEMANTIC VIEWS LIKE 'A_B' IN SCHEMA "DB"."S"`)
      expect([["A_B"], ["AXB"], ["a_b"]].map(one.keep)).toEqual([true, false, false])
      const other = yield* LookUps.showOne("TABLES", ["DB", "S", "größe"], "duckdb")
      expect([["GRÖßE"], ["GROSSE"]].map(other.keep)).toEqual([true, false])
    })
  )
})
