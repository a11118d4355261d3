import { describe, expect, it } from "vitest"
import * as Compute from "../../../src/warehouse/snowflake/compute.js"
import type { Named } from "../../../src/warehouse/snowflake/named.js"

const row = (more: Named = {}): Named => ({
  name: "WH",
  state: "STARTED",
  type: "STANDARD",
  size: "X-Small",
  started_clusters: "1",
  running: "0",
  is_current: "Y",
  auto_suspend: "600",
  auto_resume: "true",
  ...more
})

const rate = (more: Named) => Compute.fromRow(row(more)).creditsPerHour

describe("what SHOW WAREHOUSES says of cost", () => {
  it("doubles the credits of an hour with the size, however the size is written", () => {
    const sizes = [
      "X-Small",
      "Small",
      "Medium",
      "Large",
      "X-Large",
      "2X-Large",
      "3X-Large",
      "4X-Large",
      "5X-Large",
      "6X-Large"
    ]
    for (const [i, size] of sizes.entries()) expect(rate({ size }), size).toBe(2 ** i)
    for (const size of ["XXLARGE", "X2LARGE", "2X-LARGE"]) expect(rate({ size }), size).toBe(32)
    for (const size of ["XXXLARGE", "X3LARGE"]) expect(rate({ size }), size).toBe(64)
  })

  it("counts each cluster, the second generation and Snowpark-optimized warehouses", () => {
    expect(rate({ size: "Medium", started_clusters: "3" })).toBe(12)
    expect(rate({ resource_constraint: "STANDARD_GEN_2" })).toBe(1.35)
    expect(rate({ generation: "2" })).toBe(1.35)
    expect(rate({ type: "SNOWPARK-OPTIMIZED", size: "Medium" })).toBe(6)
    expect(rate({ type: "SNOWPARK-OPTIMIZED", size: "Medium", resource_constraint: "MEMORY_16X" })).toBe(6)
  })

  it("says of what is not known from the size that it is not known", () => {
    expect(rate({ type: "ADAPTIVE" })).toBeUndefined()
    expect(rate({ type: "INTERACTIVE" })).toBeUndefined()
    expect(rate({ type: "SNOWPARK-OPTIMIZED", resource_constraint: "MEMORY_64X" })).toBeUndefined()
    expect(rate({ size: "" })).toBeUndefined()
    expect(rate({ size: "Colossal" })).toBeUndefined()
  })

  it("tells a warehouse that a statement would resume from one that runs or is being resumed", () => {
    const state = (state: string) => Compute.fromRow(row({ state })).state
    expect(["STARTED", "RESUMING", "RESIZING", "SUSPENDED", "SUSPENDING", ""].map(state)).toEqual([
      "running",
      "running",
      "running",
      "suspended",
      "suspended",
      "unknown"
    ])
  })

  it("reads numbers and flags as texts and as values", () => {
    expect(Compute.fromRow(row({ auto_suspend: 60, auto_resume: true, running: 3 }))).toMatchObject({
      autoSuspendMs: 60_000,
      autoResume: true,
      running: 3
    })
    expect(Compute.fromRow(row({ auto_suspend: null, auto_resume: "false" }))).toMatchObject({
      autoSuspendMs: undefined,
      autoResume: false
    })
    expect(Compute.fromRow(row({ auto_suspend: "0" })).autoSuspendMs).toBeUndefined()
  })

  it("takes the warehouse of that name, whose pattern others may fit, or the current one", () => {
    const rows = [row({ name: "AXB", is_current: "N" }), row({ name: "A_B", is_current: "N", size: "Small" })]
    expect(Compute.chosen(rows, "A_B")?.creditsPerHour).toBe(2)
    expect(Compute.chosen(rows, "B")).toBeUndefined()
    expect(Compute.chosen(rows, undefined)).toBeUndefined()
    expect(Compute.chosen([...rows, row({ name: "MINE" })], undefined)?.name).toBe("MINE")
  })
})
