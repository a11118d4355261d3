import { describe, expect, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import * as OutcomeWindow from "../../../src/guard/core/OutcomeWindow.js"
import { shortOrLong } from "../../utils/long.js"

const WINDOW = 10_000

const history = fc.array(
  fc.record({
    after: fc.integer({ min: 0, max: 8_000 }),
    outcome: fc.constantFrom<OutcomeWindow.Outcome>("accepted", "refused", "shed")
  }),
  { maxLength: 60 }
)

const recorded = (
  list: ReadonlyArray<{ readonly after: number; readonly outcome: OutcomeWindow.Outcome }>
) => {
  let now = 0
  let window = OutcomeWindow.empty
  const events = list.map(({ after, outcome }) => {
    now += after
    window = OutcomeWindow.record(window, now, WINDOW, outcome)
    return { at: now, outcome }
  })
  return { now, window, events }
}

describe("the window of outcomes", () => {
  it("counts all of the current span, nothing older than two, and estimates the rest", () => {
    fc.assert(
      fc.property(history, fc.nat(30_000), (list, later) => {
        const { events, now: last, window } = recorded(list)
        const now = last + later
        const span = Math.floor(now / WINDOW)
        const found = OutcomeWindow.counts(window, now, WINDOW)
        for (const outcome of ["accepted", "refused", "shed"] as const) {
          const inSpan = (wanted: number) =>
            events.filter((e) => e.outcome === outcome && Math.floor(e.at / WINDOW) === wanted).length
          const left = 1 - (now - span * WINDOW) / WINDOW
          expect(found[outcome]).toBeCloseTo(inSpan(span) + left * inSpan(span - 1), 9)
        }
      }),
      { numRuns: shortOrLong(60, 300) }
    )
  })

  it("says nothing about few calls, and does not count shed calls", () => {
    const counts = { accepted: 4, refused: 5, shed: 1_000 }
    expect(OutcomeWindow.refusalRatio(counts, 10)).toBeUndefined()
    expect(OutcomeWindow.refusalRatio(counts, 9)).toBeCloseTo(5 / 9)
    expect(OutcomeWindow.refusalRatio({ accepted: 0, refused: 0, shed: 0 }, 0)).toBeUndefined()
  })

  it("sheds no call while half of the calls are accepted, and never all", () => {
    const shed = (accepted: number, refused: number, own = 0) =>
      OutcomeWindow.shedProbability({ accepted, refused, shed: own }, 2)
    expect(shed(0, 0)).toBe(0)
    expect(shed(10, 10)).toBe(0)
    expect(shed(10, 30)).toBeCloseTo(20 / 41)
    expect(shed(10, 0, 30)).toBeCloseTo(20 / 41)
    fc.assert(
      fc.property(fc.nat(1e6), fc.nat(1e6), fc.nat(1e6), (accepted, refused, own) => {
        const probability = shed(accepted, refused, own)
        expect(probability).toBeGreaterThanOrEqual(0)
        expect(probability).toBeLessThan(1)
      })
    )
  })
})
