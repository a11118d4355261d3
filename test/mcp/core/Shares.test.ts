import { assert, describe, it } from "@effect/vitest"
import * as fc from "effect/FastCheck"
import * as Shares from "../../../src/mcp/core/Shares.js"

describe("shares", () => {
  it("say which bound there is no room under, and make room when one is released", () => {
    const shares = Shares.make(3, 2)
    assert.deepStrictEqual(
      ["a", "a", "a", "b", "c"].map((owner) => Shares.take(shares, owner)),
      ["taken", "taken", "own-full", "taken", "full"]
    )
    Shares.release(shares, "a")
    assert.strictEqual(Shares.take(shares, "c"), "taken")
  })

  it.prop(
    "keep their bounds and their sum, and forget owners that have none",
    [fc.array(fc.tuple(fc.boolean(), fc.constantFrom("a", "b", "c")))],
    ([steps]) => {
      const shares = Shares.make(4, 2)
      for (const [takes, owner] of steps) {
        if (takes) Shares.take(shares, owner)
        else Shares.release(shares, owner)
        const each = [...shares.each.values()]
        assert.strictEqual(
          each.reduce((sum, n) => sum + n, 0),
          shares.all
        )
        assert.isAtMost(shares.all, 4)
        assert.isTrue(each.every((n) => n >= 1 && n <= 2))
      }
    }
  )
})
