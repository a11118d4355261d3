import { assert, describe, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import * as Deadlines from "../../../src/guard/core/Deadlines.js"

const always = () => true

describe("Deadlines", () => {
  it("gives out nothing before its time", () => {
    const deadlines = Deadlines.make<string>()
    Deadlines.add(deadlines, 10, "a")
    assert.strictEqual(Deadlines.takeDue(deadlines, 9.99, always), undefined)
    assert.strictEqual(Deadlines.takeDue(deadlines, 10, always), "a")
    assert.strictEqual(Deadlines.takeDue(deadlines, 10, always), undefined)
  })

  it.prop(
    "gives out what matters in the order of time, compacted in between or not",
    [fc.array(fc.tuple(fc.integer({ min: 0, max: 50 }), fc.boolean(), fc.nat(9)), { maxLength: 60 })],
    ([entries]) => {
      const deadlines = Deadlines.make<readonly [at: number, matters: boolean]>()
      const matters = ([, one]: readonly [number, boolean]) => one
      for (const [at, one, compact] of entries) {
        Deadlines.add(deadlines, at, [at, one])
        if (compact === 0) Deadlines.compact(deadlines, matters)
      }
      const expected = entries
        .filter(([, one]) => one)
        .map(([at]) => at)
        .sort((a, b) => a - b)
      assert.strictEqual(Deadlines.earliest(deadlines, matters), expected[0])
      const out: Array<number> = []
      for (let now = 0; now <= 50; now += 5)
        for (
          let due = Deadlines.takeDue(deadlines, now, matters);
          due;
          due = Deadlines.takeDue(deadlines, now, matters)
        ) {
          assert.isAtMost(due[0], now)
          out.push(due[0])
        }
      assert.deepStrictEqual(out, expected)
      assert.strictEqual(Deadlines.size(deadlines), 0)
    },
    { fastCheck: { numRuns: 300 } }
  )
})
