import { assert, describe, it } from "@effect/vitest"
import * as fc from "effect/FastCheck"
import { only, start, Tokens } from "./buckets.js"
import { shortOrLong } from "../../utils/long.js"

describe("with a table of clients that is full", () => {
  it("counts unknown clients together in one bucket of the default tier, and leaves known ones alone", () => {
    const bench = start(only({ rate: 1, burst: 3 }, { maxClients: 2 }))
    bench.decide(0, "a")
    bench.decide(0, "b")
    const strangers = ["c", "d", "e"].map((client) => bench.decide(1, client))
    assert.deepStrictEqual(
      strangers.map((one) => one._tag === "Admitted" && one.clientScope),
      ["overflow", "overflow", "overflow"]
    )
    const fourth = bench.decide(1, "f")
    assert.ok(fourth._tag === "Refused" && fourth.binding.scope === "overflow")
    assert.strictEqual(fourth.retryAfterMs, 1000)
    assert.strictEqual(bench.status(1, "a")[0]?.remaining, 2)
    assert.strictEqual(bench.status(1, "f")[0]?.scope, "overflow")
    bench.refund(1, "c", "overflow")
    assert.strictEqual(bench.decide(1, "f")._tag, "Admitted")
  })

  it("makes room by removing clients whose bucket is full again", () => {
    const bench = start(only({ rate: 1, burst: 1 }, { maxClients: 2 }))
    bench.decide(0, "a")
    bench.decide(0, "b")
    const late = bench.decide(1000, "c")
    assert.ok(late._tag === "Admitted" && late.clientScope === "client")
  })

  it("gives a removed client the full bucket that it had, and no more", () => {
    const bench = start(only({ rate: 1, burst: 4, initial: 1 }, { maxClients: 2 }))
    bench.decide(0, "a")
    bench.decide(0, "b")
    for (let i = 0; i < 10; i++) bench.decide(5000, `new${i}`)
    assert.isAtMost(bench.state.table.rows.size, 2)
    const [own] = bench.status(60_000, "a")
    assert.ok(own?.remaining === 4)
    bench.decide(60_000, "a")
    const [after] = bench.status(60_000, "a")
    assert.ok(after?.scope === "client" && after.remaining === 3)
  })

  it("gives nothing back for a removed client", () => {
    const bench = start(only({ rate: 1, burst: 2 }, { maxClients: 1 }))
    bench.decide(0, "a")
    bench.decide(5000, "b")
    assert.strictEqual(bench.state.table.rows.size, 1)
    bench.refund(5000, "a", "client")
    assert.strictEqual(bench.state.table.rows.size, 1)
  })

  it.prop(
    "never holds more than `maxClients` and never removes a client in debt",
    [
      fc.integer({ min: 1, max: 12 }),
      fc.integer({ min: 0, max: 3 }),
      fc.array(fc.tuple(fc.nat(400), fc.nat(30), fc.integer({ min: 0, max: 800 })), { maxLength: 120 })
    ],
    ([maxClients, initial, calls]) => {
      const limit = { rate: 5, burst: 3, initial }
      const bench = start(only(limit, { maxClients }))
      const model = new Map<string, Tokens>()
      let at = 0
      for (const [gap, name, patience] of calls) {
        at += gap
        const client = `c${name}`
        const full = bench.state.table.rows.size >= maxClients
        const decision = bench.decide(at, client, {}, patience)
        assert.isAtMost(bench.state.table.rows.size, maxClients)
        // A newcomer starts with `initial` tokens, or full once others had to be forgotten.
        if (!model.has(client) && bench.state.table.rows.has(client))
          model.set(client, new Tokens({ ...limit, initial: bench.state.table.forgetful ? 3 : initial }, at))
        if (decision._tag === "Admitted" && decision.clientScope === "client") model.get(client)?.add(at, -1)
        if (decision._tag === "Admitted" && decision.clientScope === "overflow")
          assert.isTrue(full, "the overflow bucket is for a full table")
        for (const [one, tokens] of model) {
          const left = tokens.at(at)
          const [own] = bench.status(at, one)
          if (left < limit.burst * 1000)
            assert.deepStrictEqual(
              [own?.scope, own?.remaining],
              ["client", Math.max(0, Math.floor(left / 1000))]
            )
        }
      }
    },
    { fastCheck: { numRuns: shortOrLong(50, 200) } }
  )
})
