import { assert, describe, it } from "@effect/vitest"
import * as TraceParent from "../../../src/mcp/core/TraceParent.js"

const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
const span = "00f067aa0ba902b7"

describe("traceparent", () => {
  it("says the trace, the span, and whether it is recorded", () => {
    assert.deepStrictEqual(TraceParent.parse(`00-${trace}-${span}-01`), {
      traceId: trace,
      spanId: span,
      sampled: true
    })
    for (const [flags, sampled] of [
      ["00", false],
      ["02", false],
      ["03", true],
      ["ff", true]
    ] as const) {
      assert.deepInclude(TraceParent.parse(`00-${trace}-${span}-${flags}`), { sampled }, flags)
    }
  })

  it("of a later version says what is known of it", () => {
    assert.deepInclude(TraceParent.parse(`01-${trace}-${span}-01-what-comes`), { traceId: trace })
    assert.deepInclude(TraceParent.parse(`cc-${trace}-${span}-01`), { spanId: span })
    assert.isUndefined(TraceParent.parse(`cc-${trace}-${span}-01.what`))
  })

  it("that is malformed is none", () => {
    for (const value of [
      undefined,
      null,
      7,
      {},
      [],
      "",
      "00",
      `ff-${trace}-${span}-01`,
      `00-${trace}-${span}-01-more`,
      `00-${trace}-${span}-01-`,
      `00-${trace}-${span}`,
      `00-${trace.toUpperCase()}-${span}-01`,
      `00-${"0".repeat(32)}-${span}-01`,
      `00-${trace}-${"0".repeat(16)}-01`,
      `00-${trace}-${span}-0`,
      ` 00-${trace}-${span}-01`,
      `00-${trace}-${span}-01\n`,
      `00-${trace}-${span}-01, 00-${trace}-${span}-01`,
      `01-${trace}-${span}-01-${"x".repeat(1000)}`
    ]) {
      assert.isUndefined(TraceParent.parse(value), String(value))
    }
  })
})
