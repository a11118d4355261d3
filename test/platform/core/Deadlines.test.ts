import { assert, describe, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import * as Deadlines from "../../../src/platform/core/Deadlines.js"
import { shortOrLong } from "../../utils/long.js"

const always = () => true

describe("Deadlines", () => {
  it("takes out a value at its time and not before", () => {
    const deadlines = Deadlines.make<string>()
    Deadlines.add(deadlines, 10, "a")
    assert.deepStrictEqual(Deadlines.takeDue(deadlines, 9.99, always), [])
    assert.deepStrictEqual(Deadlines.takeDue(deadlines, 10, always), ["a"])
    assert.deepStrictEqual(Deadlines.takeDue(deadlines, 10, always), [])
  })

  it.prop(
    "a sweep drops the values that do not matter, and no other",
    [fc.array(fc.tuple(fc.integer({ min: 0, max: 50 }), fc.boolean()), { maxLength: 60 })],
    ([entries]) => {
      const deadlines = Deadlines.make<boolean>()
      for (const [at, matters] of entries) Deadlines.add(deadlines, at, matters)
      Deadlines.sweep(deadlines, (matters) => matters)
      const kept = entries.filter(([, matters]) => matters).length
      assert.strictEqual(deadlines.length, kept)
      assert.strictEqual(Deadlines.takeDue(deadlines, 50, always).length, kept)
    }
  )

  it.prop(
    "takes out the values that matter in the order of time",
    [fc.array(fc.tuple(fc.integer({ min: 0, max: 50 }), fc.boolean()), { maxLength: 60 })],
    ([entries]) => {
      const deadlines = Deadlines.make<readonly [at: number, matters: boolean]>()
      const matters = ([, one]: readonly [number, boolean]) => one
      for (const [at, one] of entries) Deadlines.add(deadlines, at, [at, one])
      const expected = entries
        .filter(([, one]) => one)
        .map(([at]) => at)
        .sort((a, b) => a - b)
      assert.strictEqual(Deadlines.earliest(deadlines, matters), expected[0])
      const out: Array<number> = []
      for (let now = 0; now <= 50; now += 5)
        for (const [at] of Deadlines.takeDue(deadlines, now, matters)) {
          assert.isAtMost(at, now)
          out.push(at)
        }
      assert.deepStrictEqual(out, expected)
      assert.strictEqual(Deadlines.earliest(deadlines, matters), undefined)
    },
    { fastCheck: { numRuns: shortOrLong(60, 300) } }
  )
})
