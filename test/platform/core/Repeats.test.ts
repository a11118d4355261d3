import { assert, describe, it } from "@effect/vitest"
import { FastCheck } from "effect"
import * as Repeats from "../../../src/platform/core/Repeats.js"

describe("repeats", () => {
  it("tells the first, counts the rest, and tells anew after a quiet period", () => {
    const repeats = Repeats.make<string>(10)
    assert.isTrue(Repeats.isFirst(repeats, "a", "about a"))
    for (let i = 0; i < 4; i++) assert.isFalse(Repeats.isFirst(repeats, "a", "about a"))
    assert.deepStrictEqual(Repeats.take(repeats), {
      repeated: [{ about: "about a", times: 4 }],
      others: 0
    })
    // It went on: still the same story.
    assert.isFalse(Repeats.isFirst(repeats, "a", "about a"))
    assert.deepStrictEqual(Repeats.take(repeats).repeated, [{ about: "about a", times: 1 }])
    assert.deepStrictEqual(Repeats.take(repeats).repeated, [])
    assert.isTrue(Repeats.isFirst(repeats, "a", "about a"))
  })

  it("counts as many as one stands for", () => {
    const repeats = Repeats.make<string>(1)
    assert.isTrue(Repeats.isFirst(repeats, "a", "about a", 5))
    assert.isFalse(Repeats.isFirst(repeats, "a", "about a", 7))
    assert.isFalse(Repeats.isFirst(repeats, "b", "about b", 3))
    assert.deepStrictEqual(Repeats.take(repeats), { repeated: [{ about: "about a", times: 7 }], others: 3 })
  })

  it("keeps few apart, and counts the others together", () => {
    const repeats = Repeats.make<number>(3)
    const told = Array.from({ length: 1000 }, (_, i) => Repeats.isFirst(repeats, `key ${i}`, i))
    assert.strictEqual(told.filter((first) => first).length, 3)
    assert.strictEqual(repeats.counts.size, 3)
    assert.deepStrictEqual(Repeats.take(repeats), { repeated: [], others: 997 })
  })

  it("every occurrence is told or counted, exactly once", () => {
    FastCheck.assert(
      FastCheck.property(
        FastCheck.array(FastCheck.integer({ min: -1, max: 8 }), { maxLength: 200 }),
        (events) => {
          const repeats = Repeats.make<number>(4)
          let told = 0
          let counted = 0
          const count = () => {
            const { others, repeated } = Repeats.take(repeats)
            counted += others + repeated.reduce((sum, { times }) => sum + times, 0)
          }
          for (const event of events) {
            if (event < 0) count()
            else if (Repeats.isFirst(repeats, String(event), event)) told += 1
            assert.isAtMost(repeats.counts.size, 4)
          }
          count()
          assert.strictEqual(told + counted, events.filter((event) => event >= 0).length)
        }
      )
    )
  })
})
