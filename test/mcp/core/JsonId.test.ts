import { assert, describe, it } from "@effect/vitest"
import * as fc from "effect/FastCheck"
import * as JsonScan from "../../../src/mcp/core/JsonScan.js"

const found = (text: string, pieces = 1): unknown => {
  const scan = JsonScan.make()
  const bytes = Buffer.from(text)
  const size = Math.max(1, Math.ceil(bytes.length / pieces))
  for (let at = 0; at < bytes.length; at += size) scan.push(bytes.subarray(at, at + size))
  const id = scan.id()
  return id === undefined ? undefined : JSON.parse(id)
}

describe("the id of a message, found in its bytes", () => {
  it("is what a parser finds, wherever it stands and however the bytes are cut", () => {
    const name = fc.oneof(fc.constantFrom("id", "i\\d", "ids", "method", "params"), fc.string())
    const id = fc.tuple(fc.constant("id"), fc.oneof(fc.string(), fc.integer()))
    const member = fc.oneof(id, fc.tuple(name, fc.jsonValue({ maxDepth: 3 })))
    let withId = 0
    fc.assert(
      fc.property(fc.array(member, { maxLength: 6 }), fc.nat(7), fc.nat(2), (members, pieces, indent) => {
        const text = JSON.stringify(
          Object.fromEntries(members.filter(([key]) => key !== "__proto__")),
          undefined,
          indent
        )
        const { id } = JSON.parse(text) as { readonly id?: unknown }
        const expected = typeof id === "string" || typeof id === "number" ? id : undefined
        if (expected !== undefined) withId += 1
        assert.deepStrictEqual(found(text, pieces + 1), expected, text)
      }),
      { numRuns: 500 }
    )
    assert.isAbove(withId, 20)
  })

  it("keeps every digit of a number", () => {
    assert.strictEqual(
      JsonScan.idOf(Buffer.from('{"id": 9007199254740993 ,"method":"ping"}')),
      "9007199254740993"
    )
  })

  it("is not taken from inside, from a list, or from a text that looks like it", () => {
    for (const text of [
      '{"params":{"id":1}}',
      '[{"id":1}]',
      '[{"id":1},"id",2]',
      '{"method":"\\",\\"id\\":1,"}',
      '"id"',
      '{"id":null}',
      '{"id":{"id":1}}',
      '{"id":[1]}',
      '{"xid":1}',
      ""
    ]) {
      assert.isUndefined(JsonScan.idOf(Buffer.from(text)), text)
    }
    assert.strictEqual(found('{"\\u0069d":"a","id":7}'), 7)
    assert.strictEqual(found('{"\\u0069d":"a"}'), "a")
    // What is cut off after the id still says whose answer is awaited.
    assert.strictEqual(found('{"id":7,"method":"tools/call","params":{"name":"x'), 7)
    assert.isUndefined(found(`{"id":"${"x".repeat(5_000)}"}`))
  })
})
