import { describe, expect, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import * as Ladder from "../../../src/guard/core/DegradationLadder.js"
import { shortOrLong } from "../../utils/long.js"

const never = Number.POSITIVE_INFINITY
const HOLD = 30_000

const config: Ladder.Config = {
  holdMs: HOLD,
  circuitHoldMs: 0,
  eventLoopMs: { constrained: 1, cacheOnly: 2, emergency: 3 },
  slotWaitMs: { constrained: 2_000, cacheOnly: 60_000, emergency: never },
  refusalRatio: { constrained: 0.2, cacheOnly: never, emergency: never },
  quotaUsed: { constrained: 0.95, cacheOnly: never, emergency: never }
}

/** Observes at each time and gives back the state. */
const after = (
  observations: ReadonlyArray<readonly [at: number, signals: Ladder.Signals]>,
  settings = config
): Ladder.State =>
  observations.reduce(
    (state, [at, signals]) => Ladder.observe(state, at, signals, settings)[1],
    Ladder.initial(0)
  )

const open = (retryAfterMs: number): Ladder.Signals => ({ circuit: { phase: "open", retryAfterMs } })
const halfOpen: Ladder.Signals = { circuit: { phase: "half-open", retryAfterMs: 0 } }
const closed: Ladder.Signals = { circuit: { phase: "closed", retryAfterMs: 0 } }
/** Calls for exactly this mode, by a measurement. */
const calling = (mode: number): Ladder.Signals => ({ eventLoopMs: mode })

const step = fc.record({ waitMs: fc.integer({ min: 1, max: 40 }).map((n) => n * 1_000), mode: fc.nat(3) })
const steps = fc.array(step, { maxLength: 40 })

describe("the degradation ladder", () => {
  it("goes up at once, several modes if need be", () => {
    expect(after([[1, calling(3)]]).mode).toBe("emergency")
    expect(after([[1, open(30_000)]]).mode).toBe("cache-only")
    expect(after([[1, halfOpen]]).mode).toBe("constrained")
    expect(after([[1, { circuit: { phase: "forced-open", retryAfterMs: 0 } }]]).mode).toBe("cache-only")
    expect(after([[1, { circuit: { phase: "disabled", retryAfterMs: 0 } }]]).mode).toBe("normal")
    expect(after([[1, { slotWaitMs: 2_000 }]]).mode).toBe("constrained")
    expect(after([[1, { slotWaitMs: 1_999, refusalRatio: 0.19, quotaUsed: 0.94 }]]).mode).toBe("normal")
    expect(after([[1, { refusalRatio: 0.2 }]]).mode).toBe("constrained")
    expect(after([[1, { quotaUsed: 0.95 }]]).mode).toBe("constrained")
  })

  it("takes the worst of several signals and says which it was", () => {
    const state = after([[1, { slotWaitMs: 2_500, refusalRatio: 0.9, ...halfOpen, eventLoopMs: 2 }]])
    expect(state.why).toEqual({ signal: "event-loop", mode: "cache-only", value: 2, threshold: 2 })
  })

  it("goes down one mode after 30 clean seconds and not a millisecond sooner", () => {
    const start = after([[0, calling(3)]])
    const at = (now: number) => Ladder.observe(start, now, {}, config)[1].mode
    expect(at(HOLD - 1)).toBe("emergency")
    expect(at(HOLD)).toBe("cache-only")
    expect(at(2 * HOLD - 1)).toBe("cache-only")
    expect(at(2 * HOLD)).toBe("constrained")
    expect(at(3 * HOLD - 1)).toBe("constrained")
    expect(at(3 * HOLD)).toBe("normal")
  })

  it("starts to count again when the signals call for the mode once more", () => {
    const state = after([
      [0, calling(2)],
      [29_999, calling(2)],
      [30_000, {}]
    ])
    expect(state.mode).toBe("cache-only")
    expect(Ladder.observe(state, 59_998, {}, config)[1].mode).toBe("cache-only")
    expect(Ladder.observe(state, 59_999, {}, config)[1].mode).toBe("constrained")
  })

  it("does not move while signals flap faster than the hold", () => {
    const flapping = Array.from({ length: 200 }, (_, i) => [i * 1_000, calling(i % 2 === 0 ? 2 : 0)] as const)
    const state = after(flapping)
    expect(state.mode).toBe("cache-only")
    expect(state.generation).toBe(1)
  })

  it("leaves cache-only when the circuit lets probes through, and constrained 30 seconds after it closed", () => {
    const state = after([[0, open(30_000)]])
    expect(Ladder.observe(state, 29_999, open(1), config)[1].mode).toBe("cache-only")
    const probing = Ladder.observe(state, 30_000, open(0), config)[1]
    expect(probing.mode).toBe("constrained")
    const shut = [
      [40_000, halfOpen],
      [41_000, closed],
      [69_999, closed]
    ] as const
    const recovering = shut.reduce((s, [at, signals]) => Ladder.observe(s, at, signals, config)[1], probing)
    expect(recovering.mode).toBe("constrained")
    expect(Ladder.observe(recovering, 70_000, closed, config)[1].mode).toBe("normal")
  })

  it("holds cache-only for `circuitHoldMs` after an open circuit", () => {
    const slow = { ...config, circuitHoldMs: HOLD }
    const state = after([[0, open(10_000)]], slow)
    expect(Ladder.observe(state, 39_999, open(0), slow)[1].mode).toBe("cache-only")
    expect(Ladder.observe(state, 40_000, open(0), slow)[1].mode).toBe("constrained")
  })

  it("comes back when an operator resets an open circuit early", () => {
    const state = after([
      [0, open(300_000)],
      [1_000, closed]
    ])
    expect(state.mode).toBe("constrained")
  })

  it("agrees with a ladder that is observed every second", () => {
    /** Every second, from the definition: what called when, and when did the last step happen? */
    const watched = (list: ReadonlyArray<{ readonly waitMs: number; readonly mode: number }>) => {
      const calls = new Map<number, number>()
      let end = 0
      for (const { mode, waitMs } of list) calls.set((end += waitMs), mode)
      let mode = 0
      let steppedAt = Number.NEGATIVE_INFINITY
      const seen: Array<number> = []
      for (let now = 1_000; now <= end; now += 1_000) {
        const called = calls.get(now)
        const recent = [...calls].some(([at, m]) => at <= now && m >= mode && now - at < HOLD)
        if (mode > 0 && !recent && now - steppedAt >= HOLD) {
          mode -= 1
          steppedAt = now
        }
        if (called === undefined) continue
        mode = Math.max(mode, called)
        seen.push(mode)
      }
      return seen
    }
    const lazy = (list: ReadonlyArray<{ readonly waitMs: number; readonly mode: number }>) => {
      let state = Ladder.initial(0)
      let now = 0
      return list.map(({ mode, waitMs }) => {
        state = Ladder.observe(state, (now += waitMs), calling(mode), config)[1]
        return state.base
      })
    }
    fc.assert(
      fc.property(steps, (list) => {
        expect(lazy(list)).toEqual(watched(list))
      }),
      { numRuns: shortOrLong(60, 300) }
    )
  })

  it("is never below what the signals call for, and counts every change of the mode once", () => {
    fc.assert(
      fc.property(steps, (list) => {
        let state = Ladder.initial(0)
        let now = 0
        for (const { mode, waitMs } of list) {
          const [change, next] = Ladder.observe(state, (now += waitMs), calling(mode), config)
          expect(next.base).toBeGreaterThanOrEqual(mode)
          expect(next.generation - state.generation).toBe(next.mode === state.mode ? 0 : 1)
          expect(change).toEqual(
            next.mode === state.mode
              ? undefined
              : { from: state.mode, to: next.mode, generation: next.generation }
          )
          state = next
        }
      }),
      { numRuns: shortOrLong(50, 200) }
    )
  })

  it("names exactly when a refused call is admitted, if the signals get better at once", () => {
    const signals = fc.record({
      mode: fc.nat(3),
      openMs: fc.option(fc.integer({ min: 1, max: 90_000 }), { nil: undefined })
    })
    const history = fc.array(fc.tuple(fc.integer({ min: 1, max: 40_000 }), signals), {
      minLength: 1,
      maxLength: 15
    })
    const criticality = fc.constantFrom<Ladder.Criticality>("metadata", "query", "batch")
    const looks = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 5 })
    const served = (state: Ladder.State, work: Ladder.Criticality) =>
      ["admit", "shed"].includes(Ladder.verdict(state.mode, work))
    fc.assert(
      fc.property(history, criticality, looks, (list, work, between) => {
        let now = 0
        let state = Ladder.initial(0)
        let openUntil = 0
        for (const [waitMs, { mode, openMs }] of list) {
          now += waitMs
          openUntil = openMs === undefined ? 0 : now + openMs
          const circuit = openMs === undefined ? closed : open(openMs)
          state = Ladder.observe(state, now, { ...calling(mode), ...circuit }, config)[1]
        }
        fc.pre(!served(state, work))
        const better = (from: Ladder.State, at: number) =>
          Ladder.observe(from, at, at < openUntil ? open(openUntil - at) : closed, config)[1]
        const waitMs = Ladder.untilAdmitted(state, now, work, config) ?? 0
        expect(waitMs).toBeGreaterThan(0)
        // Observations in the meantime change nothing.
        let looked = state
        for (const share of [...between].sort((a, b) => a - b))
          looked = better(looked, now + Math.floor(share * (waitMs - 1)))
        expect(served(better(looked, now + waitMs - 1), work)).toBe(false)
        expect(served(better(looked, now + waitMs), work)).toBe(true)
        expect(served(better(state, now + waitMs), work)).toBe(true)
      }),
      { numRuns: shortOrLong(100, 500) }
    )
  })

  it("takes an earlier time for the latest one seen", () => {
    const state = after([
      [50_000, calling(1)],
      [0, calling(1)]
    ])
    expect(Ladder.observe(state, 79_999, {}, config)[1].mode).toBe("constrained")
    expect(Ladder.observe(state, 80_000, {}, config)[1].mode).toBe("normal")
  })
})

describe("a pin", () => {
  it("sets the mode, follows the signals beneath it, and has no end time", () => {
    const [token, change, pinned] = Ladder.pin(after([]), 1_000, "emergency", "maintenance")
    expect(change).toEqual({ from: "normal", to: "emergency", generation: 1 })
    const [silent, seen] = Ladder.observe(pinned, 2_000, calling(1), config)
    expect(silent).toBeUndefined()
    expect(seen.mode).toBe("emergency")
    expect(Ladder.untilAdmitted(seen, 2_000, "query", config)).toBeUndefined()
    expect(Ladder.unpin(seen, 3_000, token)[1].mode).toBe("constrained")
  })

  it("can also keep the mode low", () => {
    const [, , pinned] = Ladder.pin(after([[1, calling(3)]]), 2, "normal", "we know better")
    expect(pinned.mode).toBe("normal")
  })

  it("gives way to the latest one, and comes back when that is released, in any order", () => {
    const [first, , one] = Ladder.pin(after([]), 1, "emergency", "first")
    const [second, , two] = Ladder.pin(one, 2, "constrained", "second")
    expect(two.mode).toBe("constrained")
    expect(Ladder.unpin(two, 3, second)[1].mode).toBe("emergency")
    const [change, rest] = Ladder.unpin(two, 3, first)
    expect(change).toBeUndefined()
    expect(Ladder.unpin(rest, 4, second)[1].mode).toBe("normal")
  })
})

describe("the work that is served", () => {
  it("follows the table of modes and criticalities", () => {
    const row = (mode: Ladder.Mode) =>
      (["control", "metadata", "query", "batch"] as const).map((work) => Ladder.verdict(mode, work))
    expect(row("normal")).toEqual(["admit", "admit", "admit", "admit"])
    expect(row("constrained")).toEqual(["admit", "admit", "shed", "refuse"])
    expect(row("cache-only")).toEqual(["admit", "cache-only", "refuse", "refuse"])
    expect(row("emergency")).toEqual(["admit", "cache-only", "refuse", "refuse"])
  })
})
