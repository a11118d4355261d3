import { describe, expect, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import { Malformed, splitter } from "../../../src/warehouse/snowflake/parts.js"
import { shortOrLong } from "../../utils/long.js"

const rows = fc.array(
  fc.array(fc.option(fc.string({ unit: "grapheme", maxLength: 8 })), { minLength: 1, maxLength: 3 })
)
const hard = fc.array(fc.array(fc.stringMatching(/^[\\"[\]{},n ]{0,6}$/), { minLength: 1, maxLength: 3 }), {
  maxLength: 6
})

const split = (text: string, cuts: ReadonlyArray<number>) => {
  const { end, push } = splitter()
  const found: Array<unknown> = []
  let at = 0
  for (const cut of [...cuts].sort((a, b) => a - b)) {
    const to = Math.min(cut, text.length)
    found.push(...push(text.slice(at, to)))
    at = to
  }
  found.push(...push(text.slice(at)))
  end()
  return found
}

describe("the text of a part", () => {
  it.prop(
    "gives the same rows wherever it is cut, with brackets around it or without",
    [fc.oneof(rows, hard), fc.array(fc.nat(60), { maxLength: 8 }), fc.boolean(), fc.boolean()],
    ([all, cuts, enclosed, spaced]) => {
      const inner = JSON.stringify(all, null, spaced ? 1 : undefined).slice(1, -1)
      // Brackets around nothing are a row without cells.
      fc.pre(!enclosed || all.length > 0)
      expect(split(enclosed ? `[${inner}]` : inner, cuts)).toEqual(all)
    }
  )

  it.prop("that breaks off is never taken for whole", [hard, fc.nat()], ([all, seed]) => {
    fc.pre(all.length > 0)
    const text = JSON.stringify(all).slice(1, -1)
    const cut = text.slice(0, seed % text.length)
    let whole: ReadonlyArray<unknown> | undefined
    try {
      whole = split(cut, [])
    } catch (error) {
      expect(error).toBeInstanceOf(Malformed)
    }
    // Where it happens to end behind a row, rows are missing: that is what their number is for.
    if (whole !== undefined) expect(whole.length).toBeLessThan(all.length)
  })

  it("costs no more than its length, however it arrives", () => {
    const { end, push } = splitter()
    const cell = 'x\\\\\\"'.repeat(1_000)
    let seen = 0
    push('["')
    for (let piece = 0; piece < shortOrLong(4_000, 20_000); piece++) seen += push(cell).length
    seen += push('"]').length
    end()
    expect(seen).toBe(1)
  })
})
