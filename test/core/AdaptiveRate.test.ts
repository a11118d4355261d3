import { describe, expect, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import * as AdaptiveRate from "../../src/core/AdaptiveRate.js"

const { acquire, compile, defaults, initial, overloaded, problems, read, refund } = AdaptiveRate

type Event =
  | { readonly _tag: "call"; readonly after: number }
  | { readonly _tag: "unsent"; readonly after: number }
  /** `ago`: how long before the signal the call was sent. */
  | { readonly _tag: "overload"; readonly after: number; readonly ago: number }

const after = fc.oneof(fc.constant(0), fc.nat(60), fc.nat(2_500))
const event: fc.Arbitrary<Event> = fc.oneof(
  { arbitrary: fc.record({ _tag: fc.constant("call" as const), after }), weight: 8 },
  { arbitrary: fc.record({ _tag: fc.constant("unsent" as const), after }), weight: 1 },
  {
    arbitrary: fc.record({ _tag: fc.constant("overload" as const), after, ago: fc.nat(400) }),
    weight: 2
  }
)
const events = fc.array(event, { maxLength: 80 })
const calls = fc.array(fc.record({ _tag: fc.constant("call" as const), after }), { maxLength: 120 })

const options: fc.Arbitrary<AdaptiveRate.Options> = fc.record({
  ratePerSecond: fc.constantFrom(0.5, 3, 10, 20, 125),
  burst: fc.constantFrom(1, 1.5, 2, 5, 20),
  cut: fc.constantFrom(0.5, 0.7, 0.9),
  raisePerSecond: fc.constantFrom(0.05, 0.1, 1),
  floor: fc.constantFrom(0.1, 0.25, 1)
})

const START = 1_700_000_000_000.25

interface Step {
  readonly admitted: boolean
  readonly factor: number
}

const replay = (
  limits: AdaptiveRate.Options,
  history: ReadonlyArray<Event>,
  clock: (now: number, i: number) => number = (now) => now
) => {
  const config = compile(limits)
  let now = START
  let state = initial(now)
  let cuts = 0
  const admittedAt: Array<number> = []
  const steps = history.map((next, i): Step => {
    now += next.after
    const at = clock(now, i)
    let admitted = true
    if (next._tag === "overload") {
      const [cut, after] = overloaded(state, at, config, at - next.ago)
      state = after
      if (cut) cuts++
    } else {
      const [wait, after] = acquire(state, at, config)
      admitted = wait === 0
      state = admitted && next._tag === "unsent" ? refund(after, at, config) : after
      if (admitted && next._tag === "call") admittedAt.push(now)
    }
    return { admitted, factor: read(state, at, config).factor }
  })
  return { config, now, state, steps, admittedAt, cuts }
}

/** The same, made slowly: tokens that trickle in millisecond by millisecond; nothing is computed ahead. */
const naive = (limits: AdaptiveRate.Options, history: ReadonlyArray<Event>): ReadonlyArray<Step> => {
  // Ten-billionths of a token and thousandths of the rate: whole numbers for all rates used here.
  const TOKEN = 1e10
  let factor = 1_000
  let cutAt: number | undefined
  let now = 0
  // What has been sent and is not yet drained.
  let missing = 0
  const perMs = (limits.ratePerSecond * TOKEN) / 1_000 / 1_000
  return history.map((next): Step => {
    for (let ms = 0; ms < next.after; ms++) {
      missing = Math.max(0, missing - perMs * factor)
      now++
      if (cutAt !== undefined && (now - cutAt) % 1_000 === 0)
        factor = Math.min(1_000, factor + Math.round(limits.raisePerSecond * 1_000))
    }
    let admitted = true
    if (next._tag === "overload") {
      if (cutAt === undefined || now - next.ago > cutAt) {
        factor = Math.max(limits.floor * 1_000, Math.floor((factor * Math.round(limits.cut * 1_000)) / 1_000))
        cutAt = now
      }
    } else {
      const depth = Math.max(TOKEN, (limits.burst * TOKEN * factor) / 1_000)
      admitted = missing + TOKEN <= depth
      if (admitted && next._tag === "call") missing += TOKEN
    }
    return { admitted, factor: factor / 1_000 }
  })
}

/** Rates whose interval is a whole number of thousandths of a microsecond: the models agree exactly. */
const exact = options.filter(({ ratePerSecond }) => ratePerSecond !== 3)

describe("AdaptiveRate", () => {
  it("decides as a bucket does into which tokens trickle at the rate in force", () => {
    fc.assert(
      fc.property(exact, events, (limits, history) => {
        expect(replay(limits, history).steps).toEqual(naive(limits, history))
      }),
      { numRuns: 250 }
    )
  })

  it("is the plain token bucket of the base rate while there is no overload", () => {
    fc.assert(
      fc.property(options, calls, (limits, history) => {
        const config = compile(limits)
        let now = START
        let full = START
        let state = initial(now)
        for (const { after } of history) {
          now += after
          const interval = config.interval / 1e6
          // Virtual scheduling: full again at `full`, admits what ends no later than a burst from now.
          const wait = Math.max(full, now) + interval - limits.burst * interval - now
          const [retryAfterMs, next] = acquire(state, now, config)
          state = next
          if (Math.abs(wait) > 1e-3) expect(retryAfterMs === 0).toBe(wait < 0)
          if (retryAfterMs === 0) full = Math.max(full, now) + interval
        }
      }),
      { numRuns: 200 }
    )
  })

  it("admits no more than the burst and the base rate in any window", () => {
    fc.assert(
      fc.property(options, events, (limits, history) => {
        const { admittedAt } = replay(limits, history)
        for (let i = 0; i < admittedAt.length; i++)
          for (let j = i; j < admittedAt.length; j++) {
            const seconds = (admittedAt[j]! - admittedAt[i]!) / 1_000
            expect(j - i + 1).toBeLessThanOrEqual(limits.burst + limits.ratePerSecond * seconds + 1e-6)
          }
      }),
      { numRuns: 200 }
    )
  })

  it("says exactly how long to wait, whatever happened before and however the rate rises meanwhile", () => {
    fc.assert(
      fc.property(options, events, fc.nat(30), (limits, history, more) => {
        const replayed = replay(limits, history)
        const { config, now } = replayed
        let { state } = replayed
        let wait = 0
        for (let i = 0; i <= more && wait === 0; i++) [wait, state] = acquire(state, now, config)
        if (wait === 0) return
        expect(Number.isSafeInteger(wait)).toBe(true)
        expect(acquire(state, now + wait, config)[0]).toBe(0)
        expect(acquire(state, now + wait - 1, config)[0]).toBe(1)
      }),
      { numRuns: 400 }
    )
  })

  it("charges nothing for a refusal", () => {
    fc.assert(
      fc.property(options, events, fc.integer({ min: 1, max: 20 }), (limits, history, refusals) => {
        const { config, now, state } = replay(limits, history)
        const [wait] = acquire(state, now, config)
        fc.pre(wait > 0)
        let pushed = state
        for (let i = 0; i < refusals; i++) [, pushed] = acquire(pushed, now, config)
        expect(read(pushed, now, config)).toEqual(read(state, now, config))
        expect(acquire(pushed, now, config)[0]).toBe(wait)
      }),
      { numRuns: 100 }
    )
  })

  it("gives back what was never sent, and no more", () => {
    fc.assert(
      fc.property(options, events, (limits, history) => {
        const { config, now, state } = replay(limits, history)
        const before = read(state, now, config)
        const [wait, taken] = acquire(state, now, config)
        if (wait === 0) expect(read(refund(taken, now, config), now, config)).toEqual(before)
        expect(read(refund(state, now, config), now, config).remaining).toBeLessThanOrEqual(before.burst)
      }),
      { numRuns: 200 }
    )
  })

  it("keeps the factor between its floor and 1, and brings it back to 1", () => {
    fc.assert(
      fc.property(options, events, (limits, history) => {
        const { config, now, state, steps } = replay(limits, history)
        for (const { factor } of steps) {
          expect(factor).toBeGreaterThanOrEqual(limits.floor)
          expect(factor).toBeLessThanOrEqual(1)
        }
        const seconds = Math.ceil((1 - limits.floor) / limits.raisePerSecond)
        expect(read(state, now + seconds * 1_000, config).factor).toBe(1)
      }),
      { numRuns: 100 }
    )
  })

  it("cuts once for all the calls that were in flight at the cut", () => {
    const config = compile(defaults)
    let state = initial(0)
    let cuts = 0
    // A hundred calls sent within 100 ms are turned away between 150 and 250 ms.
    for (let i = 0; i < 100; i++) {
      const [cut, next] = overloaded(state, 150 + i, config, i)
      state = next
      if (cut) cuts++
    }
    expect([cuts, read(state, 249, config).factor]).toEqual([1, 0.7])
    // One that was sent at the very moment of the cut had not felt it; the next one had.
    expect(overloaded(state, 260, config, 150)[0]).toBe(false)
    const [cut, lower] = overloaded(state, 260, config, 150.5)
    expect([cut, read(lower, 260, config).factor]).toEqual([true, 0.49])
  })

  it("goes down to its floor and raises by a twentieth of the full rate with each clean second", () => {
    const config = compile(defaults)
    let state = initial(0)
    for (let i = 1; i <= 20; i++) [, state] = overloaded(state, i, config, i)
    const factors = [20, 1_019, 1_020, 2_020, 18_019, 18_020, 60_000].map(
      (now) => read(state, now, config).factor
    )
    expect(factors).toEqual([0.1, 0.1, 0.15, 0.2, 0.95, 1, 1])
  })

  it("gives less at once as well, and always leaves room for one call", () => {
    const config = compile({ ...defaults, ratePerSecond: 10, burst: 4 })
    let state = initial(0)
    expect(read(state, 0, config)).toEqual({ factor: 1, burst: 4, remaining: 4 })
    ;[, state] = overloaded(state, 1, config, 1)
    expect(read(state, 1, config)).toEqual({ factor: 0.7, burst: 2, remaining: 2 })
    for (let i = 2; i <= 20; i++) [, state] = overloaded(state, i, config, i)
    expect(read(state, 20, config)).toEqual({ factor: 0.1, burst: 1, remaining: 1 })
    ;[, state] = acquire(state, 20, config)
    // One call is owed, which is all that fits: 100 ms of the full rate are a second of a tenth of it.
    expect(acquire(state, 20, config)[0]).toBe(1_000)
  })

  it("takes a clock that steps back for one that stands still", () => {
    fc.assert(
      fc.property(options, events, fc.array(fc.nat(5_000), { minLength: 1 }), (limits, history, back) => {
        // A signal that is dated in the past says nothing new; the rest must not notice at all.
        const quiet = history.filter(({ _tag }) => _tag !== "overload")
        const stepped = (now: number, i: number) => now - back[i % back.length]!
        let latest = START
        const still = (now: number, i: number) => (latest = Math.max(latest, stepped(now, i)))
        expect(replay(limits, quiet, stepped).steps).toEqual(replay(limits, quiet, still).steps)
      }),
      { numRuns: 100 }
    )
    const config = compile(defaults)
    const [, cut] = overloaded(initial(0), 9_000, config, 8_000)
    expect(overloaded(cut, 2_000, config, 1_900)).toEqual([false, cut])
    expect(read(cut, 2_000, config)).toEqual(read(cut, 9_000, config))
  })

  it("says everything that is wrong with its options", () => {
    expect(problems(defaults)).toEqual([])
    const wrong = { ratePerSecond: 0, burst: 0.5, cut: 1, raisePerSecond: 0, floor: Number.NaN }
    expect(problems(wrong)).toHaveLength(5)
  })
})
