import { describe, expect, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import * as Lateness from "../../../src/guard/core/Lateness.js"

/** A statement that was sent at 0 and is out of time at 45 s. */
const facts = (more: Partial<Lateness.Facts & Lateness.Served> = {}): Lateness.Facts => {
  const { answeredAt, unservedSentAt, ...rest } = { ...Lateness.nothing, ...more }
  return {
    now: 45_000,
    sentAt: 0,
    served: { answeredAt, unservedSentAt },
    cancelled: false,
    ...rest
  }
}

describe("why a statement has no result within its time", () => {
  const cases: ReadonlyArray<readonly [what: string, facts: Lateness.Facts, blame: string]> = [
    ["others are answered meanwhile", facts({ answeredAt: 44_000 }), "statement"],
    [
      "others are answered, and so is its cancellation",
      facts({ answeredAt: 44_000, cancelled: true }),
      "statement"
    ],
    [
      "another large one was sent before the last answer",
      facts({ answeredAt: 44_000, unservedSentAt: 500 }),
      "statement"
    ],
    ["nothing was answered since, nor its cancellation", facts({ answeredAt: -5_000 }), "warehouse quiet"],
    ["nothing was answered ever", facts(), "warehouse quiet"],
    ["the answers stopped just after it was sent", facts({ answeredAt: 100 }), "warehouse quiet"],
    [
      "what was sent after the last answer is not answered either",
      facts({ answeredAt: 30_000, unservedSentAt: 31_000 }),
      "warehouse quiet"
    ],
    [
      "the circuit is open although others were answered",
      facts({ answeredAt: 44_000, known: "circuit" }),
      "warehouse circuit"
    ],
    [
      "it is not available although others were answered",
      facts({ answeredAt: 44_000, known: "trouble" }),
      "warehouse trouble"
    ],
    ["only its cancellation is answered, as no other was sent", facts({ cancelled: true }), "unknown"],
    [
      "its cancellation is answered, and nothing else for long",
      facts({ answeredAt: 100, cancelled: true }),
      "unknown"
    ]
  ]

  it.each(cases)("%s", (_, known, expected) => {
    const blame = Lateness.blameOf(known)
    expect(blame.fault === "warehouse" ? `warehouse ${blame.why}` : blame.fault).toBe(expected)
  })

  it("is what ended last of either kind, in whatever order that is told", () => {
    const ends: ReadonlyArray<Lateness.End> = [
      { of: "answered", sentAt: 1_000, now: 2_000 },
      { of: "unserved", sentAt: 3_000, now: 9_000 },
      { of: "answered", sentAt: 500, now: 1_500 },
      { of: "unserved", sentAt: 2_500, now: 9_500 }
    ]
    for (const told of [ends, [...ends].reverse()]) {
      expect(told.reduce(Lateness.ended, Lateness.nothing)).toEqual({
        answeredAt: 2_000,
        unservedSentAt: 3_000
      })
    }
  })

  it("never blames the statement without an answer to another one since it was sent", () => {
    const times = fc.integer({ min: 0, max: 100_000 })
    fc.assert(
      fc.property(
        times,
        times,
        times,
        times,
        fc.boolean(),
        (sentAt, ms, answeredAt, unservedSentAt, cancelled) => {
          const known = { ...facts({ answeredAt, unservedSentAt, cancelled }), sentAt, now: sentAt + ms }
          const { fault } = Lateness.blameOf(known)
          if (answeredAt <= sentAt) expect(fault).not.toBe("statement")
          if (fault === "warehouse") expect(cancelled).toBe(false)
          expect(Lateness.quietMs(known)).toBeGreaterThanOrEqual(0)
          expect(Lateness.quietMs(known)).toBeLessThanOrEqual(ms)
        }
      )
    )
  })
})
