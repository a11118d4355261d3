import { assert, describe, it } from "@effect/vitest"
import { FastCheck } from "effect"
import * as Table from "../../../src/mcp/core/SessionTable.js"

const bounds: Table.Bounds = { maxSessions: 4, maxPerOwner: 2, idleMs: 100 }

const open = (table: Table.SessionTable<number>, now: number, id: string, owner: string) =>
  Table.open(table, now, { id, owner, value: now })

describe("the table of sessions", () => {
  it("finds a session for its owner alone", () => {
    const table = Table.make<number>(bounds)
    open(table, 7, "a1", "a")
    assert.strictEqual(Table.find(table, "a1", "a")?.value, 7)
    assert.isUndefined(Table.find(table, "a1", "b"))
    assert.isUndefined(Table.find(table, "a2", "a"))
  })

  it("makes room by the owner's own idle session first, and never by a busy one", () => {
    const table = Table.make<number>(bounds)
    open(table, 0, "a1", "a")
    open(table, 1, "a2", "a")
    assert.deepStrictEqual(open(table, 2, "a3", "a"), { _tag: "Full", bound: "owner" })
    Table.end(table, 3, "a2")
    const opening = open(table, 4, "a3", "a")
    assert.strictEqual(opening._tag === "Opened" && opening.evicted?.id, "a2")
    assert.isDefined(Table.find(table, "a1", "a"))
  })

  it("when it is full a newcomer takes the place of the session unused longest", () => {
    const table = Table.make<number>(bounds)
    for (const [i, id] of ["a1", "b1", "c1", "d1"].entries()) {
      open(table, i, id, id.charAt(0))
      Table.end(table, i, id)
    }
    const used = Table.find(table, "a1", "a")
    if (used !== undefined) Table.begin(table, 5, used)
    const opening = open(table, 6, "e1", "e")
    assert.strictEqual(opening._tag === "Opened" && opening.evicted?.id, "b1")
    // An owner with an idle session loses that one.
    const again = open(table, 7, "d2", "d")
    assert.strictEqual(again._tag === "Opened" && again.evicted?.id, "d1")
  })

  it("sweeps what was idle for exactly as long as it may be, and nothing younger or busy", () => {
    const table = Table.make<number>(bounds)
    open(table, 0, "a1", "a")
    Table.end(table, 10, "a1")
    open(table, 0, "b1", "b")
    assert.deepStrictEqual(Table.sweep(table, 109), [])
    assert.deepStrictEqual(
      Table.sweep(table, 110).map(({ id }) => id),
      ["a1"]
    )
    assert.strictEqual(Table.size(table), 1)
    Table.end(table, 200, "a1")
    assert.deepStrictEqual(Table.sweep(table, 10_000), [])
  })

  const step = FastCheck.record({
    what: FastCheck.constantFrom("open", "begin", "end", "remove", "sweep"),
    owner: FastCheck.constantFrom("a", "b", "c"),
    pick: FastCheck.nat(20)
  })

  it.prop(
    "stays within its bounds, whatever happens",
    [FastCheck.array(step, { maxLength: 200 })],
    ([steps]) => {
      const table = Table.make<number>(bounds)
      let next = 0
      steps.forEach(({ owner, pick, what }, now) => {
        const session = [...table.all.values()][pick % Math.max(1, table.all.size)]
        const busy = [...table.all.values()].filter((one) => one.busy > 0)
        if (what === "open") {
          const hadIdle = [...table.all.values()].some((one) => one.owner === owner && one.busy === 0)
          const opening = open(table, now * 10, `s${next++}`, owner)
          if (opening._tag === "Opened" && opening.evicted !== undefined && hadIdle) {
            assert.strictEqual(opening.evicted.owner, owner)
          }
        } else if (what === "sweep") Table.sweep(table, now * 10)
        else if (session !== undefined) {
          if (what === "begin") Table.begin(table, now * 10, session)
          else if (what === "end") Table.end(table, now * 10, session.id)
          else Table.remove(table, session.id)
        }
        if (what === "open" || what === "sweep") for (const one of busy) assert.isTrue(table.all.has(one.id))
        assert.isAtMost(table.all.size, bounds.maxSessions)
        const owners = new Map<string, number>()
        for (const one of table.all.values()) owners.set(one.owner, (owners.get(one.owner) ?? 0) + 1)
        assert.deepStrictEqual(new Map([...table.owners].map(([name, { count }]) => [name, count])), owners)
        for (const count of owners.values()) assert.isAtMost(count, bounds.maxPerOwner)
        const idle = [...table.all.values()].filter((one) => one.busy === 0).map(({ id }) => id)
        assert.deepStrictEqual([...table.idle.keys()].sort(), idle.sort())
      })
    }
  )
})
