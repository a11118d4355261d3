import { assert, describe, it } from "@effect/vitest"
import * as Floods from "../../../src/mcp/core/Floods.js"

const options = { maxKeys: 10, burst: 3, ratePerSecond: 2 }

describe("floods", () => {
  it("allows a burst, then names the exact wait", () => {
    const floods = Floods.make(options)
    for (let left = 3; left > 0; left--) {
      assert.strictEqual(Floods.waitMs(floods, 1000, "a"), 0)
      assert.strictEqual(Floods.remaining(floods, 1000, "a"), left)
      Floods.charge(floods, 1000, "a")
    }
    assert.strictEqual(Floods.waitMs(floods, 1000, "a"), 500)
    assert.strictEqual(Floods.remaining(floods, 1000, "a"), 0)
    assert.strictEqual(Floods.waitMs(floods, 1499, "a"), 1)
    assert.strictEqual(Floods.waitMs(floods, 1500, "a"), 0)
    assert.strictEqual(Floods.waitMs(floods, 1000, "b"), 0)
  })

  it("does not lengthen the wait of a client that goes on", () => {
    const floods = Floods.make(options)
    for (let i = 0; i < 50; i++) Floods.charge(floods, 0, "a")
    assert.strictEqual(Floods.waitMs(floods, 0, "a"), 500)
  })

  it("lets what is a little too fast wait for its turn, one behind the other, and refuses what would wait long", () => {
    const floods = Floods.make({ maxKeys: 10, burst: 10, ratePerSecond: 10 })
    const reserve = (cost: number, key = "a") => Floods.reserve(floods, 0, key, cost, 1_000)
    assert.strictEqual(reserve(8), 0)
    assert.strictEqual(reserve(6), 400)
    assert.strictEqual(reserve(6), 1_000)
    // It is refused without being charged.
    assert.isUndefined(reserve(1))
    assert.isUndefined(reserve(1))
    assert.strictEqual(Floods.waitMs(floods, 0, "a", 1), 1_100)
    assert.strictEqual(Floods.reserve(floods, 100, "a", 1, 1_000), 1_000)
    assert.strictEqual(reserve(1, "b"), 0)
  })

  it("charges what is larger than a whole bucket as one, so that it gets through", () => {
    const floods = Floods.make({ maxKeys: 10, burst: 10, ratePerSecond: 10 })
    assert.strictEqual(Floods.reserve(floods, 0, "a", 1_000, 0), 0)
    assert.isUndefined(Floods.reserve(floods, 0, "a", 1_000, 999))
    assert.strictEqual(Floods.waitMs(floods, 0, "a", 1_000), 1_000)
  })

  it("stays bounded under any number of addresses, which then share one bucket", () => {
    const floods = Floods.make(options)
    for (let i = 0; i < 3; i++) Floods.charge(floods, 0, "old")
    for (let i = 0; i < 1000; i++) Floods.charge(floods, 0, `address-${i}`)
    assert.isAtMost(floods.fullAt.size, options.maxKeys)
    assert.isAbove(Floods.waitMs(floods, 0, "never seen"), 0)
    // A crowd pushes no client out of the table, to a new start.
    assert.isAbove(Floods.waitMs(floods, 0, "old"), 0)
    // Time heals all.
    assert.strictEqual(Floods.waitMs(floods, 60_000, "never seen"), 0)
    Floods.charge(floods, 60_000, "later")
    assert.isTrue(floods.fullAt.has("later"))
  })
})
