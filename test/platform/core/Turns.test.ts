import { assert, describe, it } from "@effect/vitest"
import { FastCheck } from "effect"
import * as Turns from "../../../src/platform/core/Turns.js"

const always = () => true

/** Takes so many turns; each piece is worth what its number says. What each client has had. */
const served = (turns: Turns.Turns<number>, count: number, had = new Map<string, number>()) => {
  for (let turn = 0; turn < count; turn++) {
    const next = Turns.take(turns, always)
    if (next === undefined) break
    Turns.charge(turns, next.client, next.work)
    had.set(next.client, (had.get(next.client) ?? 0) + next.work)
  }
  return had
}

const sizes = FastCheck.array(FastCheck.integer({ min: 1, max: 50 }), { minLength: 300, maxLength: 300 })

describe("turns", () => {
  it.prop(
    "of clients that always have work never differ by more than a piece of each, whatever the pieces cost",
    [FastCheck.array(sizes, { minLength: 2, maxLength: 5 })],
    ([clients]) => {
      const turns = Turns.make<number>()
      clients.forEach((pieces, index) => pieces.forEach((size) => Turns.add(turns, `${index}`, size)))
      const had = new Map(clients.map((_, index) => [`${index}`, 0]))
      for (let turn = 0; turn < 300; turn++) {
        served(turns, 1, had)
        const all = [...had.values()]
        assert.isAtMost(Math.max(...all) - Math.min(...all), 50)
      }
    }
  )

  it("a new client is next, however much of another one waits, and has saved nothing while away", () => {
    const turns = Turns.make<number>()
    for (let i = 0; i < 10_000; i++) Turns.add(turns, "busy", 10)
    served(turns, 5_000)
    Turns.add(turns, "rare", 1)
    assert.strictEqual(Turns.take(turns, always)?.client, "rare")
    Turns.charge(turns, "rare", 1)
    for (let i = 0; i < 100; i++) Turns.add(turns, "rare", 10)
    const had = served(turns, 100)
    assert.isAtLeast(had.get("busy") ?? 0, 480)
  })

  it("a client that took long waits until others had as much", () => {
    const turns = Turns.make<number>()
    Turns.add(turns, "a", 100)
    Turns.add(turns, "a", 1)
    for (let i = 0; i < 30; i++) Turns.add(turns, "b", 10)
    served(turns, 1)
    const order: Array<string> = []
    for (let i = 0; i < 12; i++) {
      const next = Turns.take(turns, always)
      if (next === undefined) break
      Turns.charge(turns, next.client, next.work)
      order.push(next.client)
    }
    assert.strictEqual(order.indexOf("a"), 10)
  })

  it.prop(
    "keep the order of each client, and lose nothing",
    [FastCheck.array(FastCheck.nat(3))],
    ([clients]) => {
      const turns = Turns.make<number>()
      clients.forEach((client, nth) => Turns.add(turns, `${client}`, nth))
      const taken = new Map<string, Array<number>>()
      for (let next = Turns.take(turns, always); next !== undefined; next = Turns.take(turns, always)) {
        taken.set(next.client, [...(taken.get(next.client) ?? []), next.work])
        Turns.charge(turns, next.client, 1)
      }
      for (const client of new Set(clients)) {
        assert.deepStrictEqual(
          taken.get(`${client}`),
          clients.flatMap((other, nth) => (other === client ? [nth] : []))
        )
      }
      assert.isTrue(Turns.isEmpty(turns))
      assert.strictEqual(turns.flows.size, 0)
    }
  )

  it("pass over a client that may not go on, and come back to it", () => {
    const turns = Turns.make<number>()
    Turns.add(turns, "a", 1)
    Turns.add(turns, "b", 1)
    assert.strictEqual(Turns.take(turns, (client) => client !== "a")?.client, "b")
    Turns.charge(turns, "b", 1)
    assert.isUndefined(Turns.take(turns, () => false))
    assert.strictEqual(Turns.take(turns, always)?.client, "a")
  })
})
