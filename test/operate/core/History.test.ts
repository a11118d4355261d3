import { assert, describe, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import * as History from "../../../src/operate/core/History.js"
import { shortOrLong } from "../../utils/long.js"

describe("history", () => {
  it.prop(
    "keeps the latest samples in their order, as many as there is room for",
    [
      fc.array(fc.tuple(fc.integer(), fc.integer()), { maxLength: 40 }),
      fc.integer({ min: 1, max: 12 }),
      fc.nat(15)
    ],
    ([samples, capacity, atMost]) => {
      const history = History.make(["x", "y"], capacity)
      samples.forEach(([x, y], at) => History.add(history, at, { x, y }))
      const kept = samples.map(([x, y], at) => ({ at, x, y })).slice(-capacity)
      assert.strictEqual(History.size(history), kept.length)
      for (const wanted of [kept, atMost === 0 ? [] : kept.slice(-atMost)]) {
        const read = wanted === kept ? History.read(history) : History.read(history, atMost)
        assert.deepStrictEqual(read, {
          at: wanted.map(({ at }) => at),
          values: { x: wanted.map(({ x }) => x), y: wanted.map(({ y }) => y) }
        })
      }
    },
    { fastCheck: { numRuns: shortOrLong(50, 200) } }
  )
})
