import { describe, expect, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import * as Ledger from "../../../src/quota/core/Ledger.js"
import { shortOrLong } from "../../utils/long.js"

const HOUR = 3_600_000
const DAY = 24 * HOUR
/** Half past ten of some day. */
const NOW = Date.UTC(2031, 4, 5, 10, 30)

type Quota = "queries_per_hour" | "queries_per_day"
const charge = (amount = 1, quota: Quota = "queries_per_hour", key = "a") => ({
  key,
  quota,
  amount,
  limit: 5
})

/** A ledger, and `use`: one call that is admitted and settled, or refused with the time of the next. */
const makeLedger = (mostOpen?: number) => {
  const ledger = Ledger.make<Quota>("x-", "fixed", mostOpen)
  const use = (now: number, quota?: Quota, key?: string): "ok" | number => {
    const decision = Ledger.reserve(ledger, now, [charge(1, quota, key)], 60_000)
    if (decision._tag === "Refused") return decision.resetAt
    Ledger.settle(ledger, now, decision.reservation, [])
    return "ok"
  }
  const uses = (times: number, now: number, quota?: Quota, key?: string) =>
    Array.from({ length: times }, () => use(now, quota, key)).filter((outcome) => outcome === "ok").length
  return { ledger, use, uses }
}

describe("a clock that was far ahead and is set right", () => {
  it("does not make clients wait for windows that have not begun", () => {
    const { ledger, use, uses } = makeLedger()
    const ahead = NOW + 26 * HOUR
    expect([uses(9, ahead), uses(9, ahead, "queries_per_day")]).toEqual([5, 5])
    // No later than when the current hour and the current day are over.
    expect(use(NOW)).toBe(NOW + HOUR / 2)
    expect(use(NOW, "queries_per_day")).toBe(Date.UTC(2031, 4, 6))
    expect(uses(9, NOW + HOUR / 2)).toBe(5)
    expect(uses(9, Date.UTC(2031, 4, 6), "queries_per_day")).toBe(5)
    expect(ledger.setBackMs).toBe(26 * HOUR)
  })

  it("refills nothing: what was used by the wrong time stays used", () => {
    const { ledger, uses } = makeLedger()
    expect(uses(3, NOW + 26 * HOUR)).toBe(3)
    expect(uses(9, NOW)).toBe(2)
    expect(Ledger.usage(ledger, NOW, "a")).toMatchObject([{ used: 5, resetAt: NOW + HOUR / 2 }])
  })

  it("leaves what was used in a window that it has not left", () => {
    const { uses } = makeLedger()
    expect(uses(3, NOW, "queries_per_day")).toBe(3)
    expect(uses(1, NOW + 2 * HOUR, "queries_per_day")).toBe(1)
    expect(uses(9, NOW, "queries_per_day")).toBe(1)
  })

  it("applies to folded accounts", () => {
    const { ledger, use, uses } = makeLedger(1)
    for (const key of ["a", "b", "c", "d"]) expect(uses(9, NOW + 26 * HOUR, undefined, key)).toBe(5)
    expect(ledger.folded.rows.size).toBeGreaterThan(0)
    for (const key of ["a", "b", "c", "d"]) expect(use(NOW, undefined, key)).toBe(NOW + HOUR / 2)
  })

  it("keeps the remaining time of reservations, and books their settlement", () => {
    const { ledger, uses } = makeLedger()
    const ahead = NOW + 26 * HOUR
    const ids = [1, 2].map(() => {
      const decision = Ledger.reserve(ledger, ahead, [charge(2)], 60_000)
      return decision._tag === "Granted" ? decision.reservation : ""
    })
    expect(uses(9, NOW)).toBe(1)
    Ledger.settle(ledger, NOW + 1_000, ids[0] ?? "", [{ key: "a", quota: "queries_per_hour", amount: 1 }])
    expect(uses(9, NOW + 1_000)).toBe(1)
    // The other one is not settled: it is released a minute after it was made.
    expect(uses(9, NOW + 59_000)).toBe(0)
    expect(uses(9, NOW + 60_000)).toBe(2)
  })

  it("is not followed when it is late by a minute or less", () => {
    const { ledger, use, uses } = makeLedger()
    const border = NOW + HOUR / 2
    expect(uses(9, border)).toBe(5)
    expect(use(border - 60_000)).toBe(border + HOUR)
    expect(ledger.setBackMs).toBe(0)
    expect(use(border - 60_001)).toBe(border)
  })

  it.prop(
    "leaves no client more than it had the moment before, wherever the clock stands",
    [
      fc.constantFrom("fixed" as const, "rolling" as const),
      fc.array(
        fc.record({
          forwardMs: fc.oneof(fc.integer({ min: 0, max: 2 * DAY }), fc.integer({ min: 0, max: HOUR })),
          times: fc.integer({ min: 0, max: 4 }),
          key: fc.constantFrom("a", "b"),
          backMs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 2 * DAY }))
        }),
        { maxLength: 20 }
      )
    ],
    ([mode, steps]) => {
      const ledger = Ledger.make<Quota>("x-", mode, 1)
      let now = NOW
      const left = () =>
        ["a", "b"].flatMap((key) =>
          (["queries_per_hour", "queries_per_day"] as const).map((quota) => {
            const usage = Ledger.usage(ledger, now, key).find((each) => each.quota === quota)
            return 5 - (usage?.used ?? 0) - (usage?.reserved ?? 0)
          })
        )
      for (const { backMs, forwardMs, key, times } of steps) {
        now += forwardMs
        for (let n = 0; n < times; n++) {
          const charges = [charge(1, "queries_per_hour", key), charge(1, "queries_per_day", key)]
          const decision = Ledger.reserve(ledger, now, charges, 60_000)
          if (decision._tag === "Granted" && n % 2 === 0) {
            Ledger.settle(ledger, now, decision.reservation, [])
          }
        }
        const before = left()
        now -= backMs
        left().forEach((each, i) => expect(each).toBeLessThanOrEqual(before[i] ?? 0))
      }
    },
    { fastCheck: { numRuns: shortOrLong(50, 100) } }
  )
})
