import { describe, expect, it } from "@effect/vitest"
import * as Attached from "../../../src/warehouse/duckdb/attached.js"

describe("names of the user's own files", () => {
  it("become names that need no quotes", () => {
    const names = ["orders", "Order Items", "2024", "a-b.c", "größe", "$x", "_y"].map(Attached.identifier)
    expect(names).toEqual(["ORDERS", "ORDER_ITEMS", "_2024", "A_B_C", "GRÖSSE", "_$X", "_Y"])
  })

  it("lose the folder and what says the format, and nothing else", () => {
    const files = [
      "/x/orders.csv",
      "a.b.parquet",
      "e.ndjson.gz",
      "t.TSV",
      "/x/shop.duckdb",
      "plain",
      "v1.2.csv"
    ]
    expect(files.map(Attached.stemOf)).toEqual(["orders", "a.b", "e", "t", "shop", "plain", "v1.2"])
  })

  it("of columns are never the same twice", () => {
    expect(Attached.columnNames(["a b", "A_B", "a-b", "a_b_2", ""])).toEqual([
      "A_B",
      "A_B_2",
      "A_B_3",
      "A_B_2_2",
      "_"
    ])
  })

  it("may not be those of DuckDB's own databases", () => {
    expect(["MEMORY", "SYSTEM", "TEMP", "_SNOWGUARD_FILE_1"].map(Attached.isTaken)).not.toContain(false)
    expect(["SALES", "LOCAL", "SNOWGUARD"].map(Attached.isTaken)).not.toContain(true)
  })
})

describe("types of the user's own columns", () => {
  it("become those that the dialect knows", () => {
    const types = Object.fromEntries(
      ["TINYINT", "UBIGINT", "FLOAT", "TIMESTAMP_S", "UUID", "ENUM('a')", "DECIMAL(4,1)", "DATE"].map(
        (type) => [type, Attached.converted(type, "c")]
      )
    )
    expect(types).toEqual({
      TINYINT: "c::BIGINT",
      UBIGINT: "c::HUGEINT",
      FLOAT: "c::DOUBLE",
      TIMESTAMP_S: "c::TIMESTAMP",
      UUID: "c::VARCHAR",
      "ENUM('a')": "c::VARCHAR",
      "DECIMAL(4,1)": "c",
      DATE: "c"
    })
    for (const nested of [
      "JSON",
      "INTEGER[]",
      "INTEGER[3]",
      "STRUCT(a INTEGER)",
      "MAP(VARCHAR, INTEGER)",
      "VARIANT"
    ])
      expect(Attached.converted(nested, "c")).toContain("sgj_variant")
  })
})
