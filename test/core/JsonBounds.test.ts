import { assert, describe, it } from "@effect/vitest"
import { FastCheck } from "effect"
import * as JsonBounds from "../../src/core/JsonBounds.js"

const depthOf = (value: unknown): number =>
  typeof value !== "object" || value === null
    ? 0
    : 1 + Math.max(0, ...Object.values(value).map((inner) => depthOf(inner)))

describe("the bounds of JSON", () => {
  it("counts nothing that stands in a text", () => {
    const text = JSON.stringify({ sql: 'select "[[[[{{{{" , \\ \\" [', more: ["\\"] })
    assert.isUndefined(JsonBounds.check(text, { maxDepth: 2, maxParts: 4 }))
    assert.strictEqual(JsonBounds.check(text, { maxDepth: 1, maxParts: 4 }), "depth")
    assert.strictEqual(JsonBounds.check("[1,2,3,4]", { maxDepth: 1, maxParts: 3 }), "parts")
  })

  it.prop("knows how deep a document is", [FastCheck.jsonValue({ maxDepth: 6 })], ([value]) => {
    const text = JSON.stringify(value)
    const depth = depthOf(value)
    const check = (maxDepth: number) => JsonBounds.check(text, { maxDepth, maxParts: Infinity })
    assert.isUndefined(check(depth))
    if (depth > 0) assert.strictEqual(check(depth - 1), "depth")
  })

  it.prop(
    "ends on any text",
    [FastCheck.string({ unit: FastCheck.constantFrom('"', "\\", "[", "{", "]", ",", "a") })],
    ([text]) => {
      JsonBounds.check(text, { maxDepth: 3, maxParts: 5 })
    }
  )
})
