import { assert, describe, it } from "@effect/vitest"
import { FastCheck } from "effect"
import * as JsonScan from "../../../src/mcp/core/JsonScan.js"

const depthOf = (value: unknown): number =>
  typeof value !== "object" || value === null
    ? 0
    : 1 + Math.max(0, ...Object.values(value).map((inner) => depthOf(inner)))

describe("the bounds of JSON", () => {
  it("counts nothing that stands in a text", () => {
    const text = JSON.stringify({ sql: 'select "[[[[{{{{" , \\ \\" [', more: ["\\"] })
    assert.isUndefined(JsonScan.check(text, { maxDepth: 2, maxParts: 4, maxMembers: 2 }))
    assert.strictEqual(JsonScan.check(text, { maxDepth: 1, maxParts: 4, maxMembers: 2 }), "depth")
    assert.strictEqual(JsonScan.check("[1,2,3,4]", { maxDepth: 1, maxParts: 3, maxMembers: 0 }), "parts")
  })

  it.prop("knows how deep a document is", [FastCheck.jsonValue({ maxDepth: 6 })], ([value]) => {
    const text = JSON.stringify(value)
    const depth = depthOf(value)
    const check = (maxDepth: number) =>
      JsonScan.check(text, { maxDepth, maxParts: Infinity, maxMembers: Infinity })
    assert.isUndefined(check(depth))
    if (depth > 0) assert.strictEqual(check(depth - 1), "depth")
  })

  it.prop("knows how many members its objects have", [FastCheck.jsonValue({ maxDepth: 6 })], ([value]) => {
    const members = (inner: unknown): number =>
      typeof inner !== "object" || inner === null
        ? 0
        : Object.values(inner).reduce(
            (sum: number, one) => sum + members(one),
            Array.isArray(inner) ? 0 : Object.keys(inner).length
          )
    const count = members(value)
    const check = (maxMembers: number) =>
      JsonScan.check(JSON.stringify(value), { maxDepth: 64, maxParts: Infinity, maxMembers })
    assert.isUndefined(check(count))
    if (count > 0) assert.strictEqual(check(count - 1), "members")
  })

  it.prop(
    "knows where a text ends, whatever is escaped in it",
    [FastCheck.string({ unit: FastCheck.constantFrom('"', "\\", "a", ":", "\n"), maxLength: 40 })],
    ([text]) => {
      const one = JSON.stringify([text, text])
      assert.isUndefined(JsonScan.check(one, { maxDepth: 1, maxParts: 2, maxMembers: 0 }))
      assert.strictEqual(JsonScan.check(one, { maxDepth: 1, maxParts: 1, maxMembers: 0 }), "parts")
    }
  )

  it.prop(
    "ends on any text",
    [FastCheck.string({ unit: FastCheck.constantFrom('"', "\\", "[", "{", "]", ",", "a") })],
    ([text]) => {
      JsonScan.check(text, { maxDepth: 3, maxParts: 5, maxMembers: 2 })
    }
  )
})
