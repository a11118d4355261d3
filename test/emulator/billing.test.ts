import { describe, expect, it } from "vitest"
import * as Billing from "../../src/emulator/billing.js"

const minute = 60_000
const only = (billing: Billing.Billing, now: number): Billing.Bill => billing.bills(now)[0]!

/** A credit is a minute of a warehouse of this size. */
const traits = { size: "X-Small", autoSuspendSeconds: 60, suspended: true }
const minutes = (credits: number): number => Math.round(credits * 3_600 * 1e6) / 1e6 / 60

describe("the bill of a virtual warehouse", () => {
  it("is a minute at least for each resume, and by the second after it", () => {
    const billing = Billing.make({ WH: { ...traits, autoSuspendSeconds: 1 } })
    billing.end(billing.begin("WH", "ann", 0)!, 5_000)
    billing.end(billing.begin("WH", "ann", 10_000)!, 100_000)
    const { by, credits, idle, resumes } = only(billing, 10 * minute)
    expect([resumes, minutes(credits), minutes(idle), minutes(by["ann"]!)]).toEqual([
      2,
      1 + 91 / 60,
      1 / 60,
      2.5
    ])
  })

  it("goes on while nothing runs, until the warehouse is suspended", () => {
    const billing = Billing.make({ WH: traits })
    billing.end(billing.begin("WH", "ann", 0)!, 2 * minute)
    expect(billing.row("WH", 3 * minute - 1)).toMatchObject({ state: "STARTED" })
    expect(billing.row("WH", 3 * minute)).toMatchObject({ state: "SUSPENDED", started_clusters: "0" })
    const { credits, idle } = only(billing, 60 * minute)
    expect([minutes(credits), minutes(idle)]).toEqual([3, 1])
  })

  it("is divided among those that run, and the rest of the minute is the one's that resumed it", () => {
    const billing = Billing.make({ WH: traits })
    const ann = billing.begin("WH", "ann", 0)!
    const bob = billing.begin("WH", "bob", 10_000)!
    expect([ann.woke, bob.woke]).toEqual([true, false])
    billing.end(ann, 20_000)
    billing.end(bob, 90_000)
    const { by, credits, idle } = only(billing, 90_000)
    // 10 s alone, 10 s by two, 40 s of the minute; then bob alone.
    expect(minutes(by["ann"]!) * 60).toBeCloseTo(10 + 5 + 40, 3)
    expect(minutes(by["bob"]!) * 60).toBeCloseTo(5 + 30, 3)
    expect(minutes(credits)).toBe(1.5)
    expect(idle).toBe(0)
  })

  it("doubles with the size; a warehouse of the second generation costs 1.35 times as much", () => {
    const cost = (more: Billing.Traits) => {
      const billing = Billing.make({ WH: more })
      billing.end(billing.begin("WH", "ann", 0)!, 60 * minute)
      return only(billing, 60 * minute).credits
    }
    expect([cost({}), cost({ size: "Small" }), cost({ size: "4X-Large" })]).toEqual([1, 2, 128])
    expect(cost({ size: "Medium", resourceConstraint: "STANDARD_GEN_2" })).toBeCloseTo(5.4)
  })

  it("does not begin where a statement may not resume the warehouse, and runs on without auto-suspend", () => {
    const billing = Billing.make({ WH: { ...traits, autoResume: false } })
    expect(billing.begin("WH", "ann", 0)).toBeUndefined()
    expect(only(billing, minute).credits).toBe(0)
    const other = Billing.make()
    other.end(other.begin("WH", "ann", 0)!, 1_000)
    expect(other.row("WH", 1_000 * minute)).toMatchObject({ state: "STARTED", auto_suspend: null })
  })
})
