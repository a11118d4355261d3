import { describe, expect, it } from "@effect/vitest"
import { FastCheck } from "effect"
import { distance, nearest } from "../../../src/platform/core/Nearest.js"

const word = FastCheck.string({ unit: FastCheck.constantFrom("A", "B", "C", "_"), maxLength: 8 })

describe("distance", () => {
  it("counts inserted, deleted, replaced and swapped letters as one edit each", () => {
    expect(distance("ORDERS", "ORDERS")).toBe(0)
    expect(distance("ORDES", "ORDERS")).toBe(1)
    expect(distance("ORDEERS", "ORDERS")).toBe(1)
    expect(distance("ORDERZ", "ORDERS")).toBe(1)
    expect(distance("ODRERS", "ORDERS")).toBe(1)
    expect(distance("", "ABC")).toBe(3)
  })

  it.prop("is symmetric, and zero for equal texts only", [word, word], ([a, b]) => {
    expect(distance(a, b)).toBe(distance(b, a))
    expect(distance(a, b) === 0).toBe(a === b)
  })

  it.prop(
    "is at most the longer length and at least the difference of the lengths",
    [word, word],
    ([a, b]) => {
      expect(distance(a, b)).toBeLessThanOrEqual(Math.max(a.length, b.length))
      expect(distance(a, b)).toBeGreaterThanOrEqual(Math.abs(a.length - b.length))
    }
  )
})

describe("nearest", () => {
  const tables = ["CUSTOMERS", "ORDERS", "ORDER_LINES", "PRODUCTS", "CUSTOMER_LIFETIME_VALUE"]

  it("finds what was mistyped, without regard to case", () => {
    expect(nearest("ordres", tables)).toEqual(["ORDERS"])
    expect(nearest("Product", tables)).toEqual(["PRODUCTS"])
  })

  it("finds what was cut short, the shortest rest first", () => {
    expect(nearest("CUSTOMER", tables)).toEqual(["CUSTOMERS", "CUSTOMER_LIFETIME_VALUE"])
    expect(nearest("ORDER", tables)).toEqual(["ORDERS", "ORDER_LINES"])
  })

  it("finds a name inside a longer one, after everything that is nearer", () => {
    expect(nearest("SALES_ORDERS", tables)).toEqual(["ORDERS"])
    expect(nearest("LIFETIME_VALUE", tables)).toEqual(["CUSTOMER_LIFETIME_VALUE"])
  })

  it("finds a name with marks by its letters without them, and by its other spelling", () => {
    const columns = ["GRÖSSE", "STRAßE", "NAME", "ÉTÉ"]
    expect(nearest("GROESSE", columns)).toEqual(["GRÖSSE"])
    expect(nearest("grosse", columns)).toEqual(["GRÖSSE"])
    expect(nearest("STRASSE", columns)).toEqual(["STRAßE"])
    expect(nearest("ete", columns)).toEqual(["ÉTÉ"])
  })

  it("offers nothing rather than something unlike", () => {
    expect(nearest("INVOICES", tables)).toEqual([])
    expect(nearest("", tables)).toEqual([])
    expect(nearest("X".repeat(1000), tables)).toEqual([])
  })

  it("offers no more than asked for, and nothing twice", () => {
    expect(nearest("A1", ["A2", "A3", "A4", "A5", "A2"])).toEqual(["A2", "A3", "A4"])
    expect(nearest("A1", ["A2", "A2", "A3"], 2)).toEqual(["A2", "A3"])
  })

  it.prop("puts an existing name first", [FastCheck.array(word, { minLength: 1 })], ([names]) => {
    const name = names.find((entry) => entry.length > 0)
    if (name !== undefined) expect(nearest(name, names)[0]).toBe(name)
  })
})
