import { describe, expect, it } from "@effect/vitest"
import { FastCheck } from "effect"
import * as Attached from "../../../src/warehouse/duckdb/attached.js"

describe("names of the user's own files", () => {
  it("become names that need no quotes", () => {
    const names = ["orders", "Order Items", "2024", "a-b.c", "größe", "$x", "_y", " id "].map(
      Attached.identifier
    )
    expect(names).toEqual(["ORDERS", "ORDER_ITEMS", "_2024", "A_B_C", "GRÖßE", "_$X", "_Y", "ID"])
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
      "A_B_3",
      "A_B_4",
      "A_B_2",
      "_"
    ])
  })

  it("of columns keep letters apart that two spellings share, and join those that look the same", () => {
    // Measures and a mass; a letter with its mark in one character and in two.
    expect(Attached.columnNames(["Maße", "Masse", "MASSE"])).toEqual(["MAßE", "MASSE", "MASSE_2"])
    expect(Attached.columnNames(["\u00e9t\u00e9", "e\u0301te\u0301"])).toEqual(["ÉTÉ", "ÉTÉ_2"])
    expect(Attached.columnNames(["Straße", "STRAßE", "Стул", "стул"])).toEqual([
      "STRAßE",
      "STRAßE_2",
      "СТУЛ",
      "СТУЛ_2"
    ])
  })

  it.prop(
    "of columns are as many as there are headers, all different in any case, and none longer in the number of its words",
    [
      FastCheck.array(
        FastCheck.string({ unit: FastCheck.constantFrom("a", "A", "ß", "ö", "Ö", "K", "_", "2", " ") })
      )
    ],
    ([headers]) => {
      const names = Attached.columnNames(headers)
      expect(names).toHaveLength(headers.length)
      expect(new Set(names.map((name) => name.toLowerCase())).size).toBe(headers.length)
      // A name that nothing else is called is not numbered.
      for (const [at, header] of headers.entries()) {
        const wanted = Attached.identifier(header) || "_"
        const same = headers.filter(
          (other) => (Attached.identifier(other) || "_").toLowerCase() === wanted.toLowerCase()
        )
        if (same.length === 1) expect(names[at]).toBe(wanted)
      }
    }
  )

  it("are told in the comment, where the new name does not tell what the old one was", () => {
    const told = (header: string) => Attached.commentOf(header, Attached.identifier(header))
    expect(["orders", "ORDERS", "order_id", "", "  "].map(told)).toEqual(["", "", "", "", ""])
    expect(["Order Id", "OrderTotal", "Größe (cm)", "2024 Umsatz", "a\nb"].map(told)).toEqual([
      "Order Id",
      "OrderTotal",
      "Größe (cm)",
      "2024 Umsatz",
      "a b"
    ])
    expect(Attached.commentOf("name", "NAME_2")).toBe("name")
    expect(Attached.commentOf("Name", "NAME", "of the customer")).toBe("of the customer (Name)")
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
