import { describe, expect, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import * as Lateness from "../../../src/guard/core/Lateness.js"

/** A statement that was sent at 0 and is out of time at 45 s. */
const facts = (more: Partial<Lateness.Facts & Lateness.Served> = {}): Lateness.Facts => {
  const { answeredAt, unservedSentAt, ...rest } = { ...Lateness.nothing(), ...more }
  return {
    now: 45_000,
    sentAt: 0,
    served: { answeredAt, unservedSentAt },
    cancelled: false,
    inTrouble: false,
    ...rest
  }
}

describe("why a statement has no result within its time", () => {
  const cases: ReadonlyArray<readonly [what: string, facts: Lateness.Facts, fault: Lateness.Fault]> = [
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
    ["nothing was answered since, nor its cancellation", facts({ answeredAt: -5_000 }), "warehouse"],
    ["nothing was answered ever", facts(), "warehouse"],
    ["the answers stopped just after it was sent", facts({ answeredAt: 100 }), "warehouse"],
    [
      "what was sent after the last answer is not answered either",
      facts({ answeredAt: 30_000, unservedSentAt: 31_000 }),
      "warehouse"
    ],
    [
      "the circuit is open although others were answered",
      facts({ answeredAt: 44_000, inTrouble: true }),
      "warehouse"
    ],
    ["only its cancellation is answered, as no other was sent", facts({ cancelled: true }), "unknown"],
    [
      "its cancellation is answered, and nothing else for long",
      facts({ answeredAt: 100, cancelled: true }),
      "unknown"
    ]
  ]

  it.each(cases)("%s", (_, known, fault) => {
    expect(Lateness.faultOf(known)).toBe(fault)
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
          const fault = Lateness.faultOf(known)
          if (answeredAt <= sentAt) expect(fault).not.toBe("statement")
          if (fault === "warehouse") expect(cancelled).toBe(false)
          expect(Lateness.quietMs(known)).toBeGreaterThanOrEqual(0)
          expect(Lateness.quietMs(known)).toBeLessThanOrEqual(ms)
        }
      )
    )
  })
})
