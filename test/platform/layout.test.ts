import { describe, expect, it } from "@effect/vitest"
import * as Layout from "../../src/platform/layout.js"

describe("text that fits a width", () => {
  const rows = [
    ["id", "client", "state"],
    ["a514d261be4e", "ada", "active"],
    ["f514d261be4e", "bob", "revoked 2026-11-30"]
  ]

  it("is a table where there is room", () => {
    expect(Layout.fittingTable(rows, 80)).toEqual([
      "id            client  state",
      "a514d261be4e  ada     active",
      "f514d261be4e  bob     revoked 2026-11-30"
    ])
  })

  it("is the rows one after the other where a table does not fit", () => {
    expect(Layout.fittingTable(rows, 30)).toEqual([
      "a514d261be4e",
      "  client: ada; state: active",
      "f514d261be4e",
      "  client: bob; state: revoked",
      "  2026-11-30"
    ])
  })

  it("has its numbers to the right in a table, and as they are in rows", () => {
    const numbers = [
      ["client", "used"],
      ["ada", "7"]
    ]
    expect(Layout.fittingTable(numbers, 80, new Set([1]))).toEqual(["client  used", "ada        7"])
    expect(Layout.fittingTable(numbers, 10, new Set([1]))).toEqual(["ada", "  used: 7"])
  })

  it("goes on below what it is about", () => {
    expect(Layout.hanging("circuit    closed: 0 of 98 calls failed", 11, 28)).toBe(
      "circuit    closed: 0 of 98\n           calls failed"
    )
    expect(Layout.hanging("short\n  long line of words here", 2, 16)).toBe(
      "short\n  long line of\n  words here"
    )
    expect(Layout.hanging("mode       normal", 11, 40)).toBe("mode       normal")
    // A word that ends where the rest begins keeps the blank behind it.
    expect(Layout.hanging("no server answers at this address", 2, 20)).toBe(
      "no server answers at\n  this address"
    )
  })
})
