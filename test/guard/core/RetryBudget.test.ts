import { describe, expect, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import * as RetryBudget from "../../../src/guard/core/RetryBudget.js"
import { shortOrLong } from "../../utils/long.js"

const { compile, defaults, deposit, initial, left, problems, refund, withdraw } = RetryBudget

type Event =
  | { readonly _tag: "first"; readonly after: number }
  | { readonly _tag: "retry"; readonly after: number; readonly afterTimeout: boolean }
  | { readonly _tag: "undone"; readonly after: number; readonly afterTimeout: boolean }

const after = fc.oneof(fc.constant(0), fc.nat(20), fc.nat(3_000))
const event: fc.Arbitrary<Event> = fc.oneof(
  { arbitrary: fc.record({ _tag: fc.constant("first" as const), after }), weight: 4 },
  {
    arbitrary: fc.record({ _tag: fc.constant("retry" as const), after, afterTimeout: fc.boolean() }),
    weight: 5
  },
  {
    arbitrary: fc.record({ _tag: fc.constant("undone" as const), after, afterTimeout: fc.boolean() }),
    weight: 1
  }
)
const events = fc.array(event, { maxLength: 120 })

const options: fc.Arbitrary<RetryBudget.Options> = fc
  .record({
    ratio: fc.constantFrom(0, 0.05, 0.1, 0.2, 1),
    floorPerSecond: fc.constantFrom(0, 0.1, 1, 10),
    cap: fc.constantFrom(2, 3, 10, 100),
    share: fc.constantFrom(0, 0.5, 1),
    timeoutCost: fc.constantFrom(1, 1.5, 2)
  })
  .map(({ share, ...rest }) => ({ ...rest, retryCost: 1, initial: rest.cap * share }))

/** The same, made slowly: millisecond by millisecond, in hundred-thousandths that need no rounding. */
const naive = (limits: RetryBudget.Options, history: ReadonlyArray<Event>): ReadonlyArray<boolean> => {
  const unit = (tokens: number) => Math.round(tokens * 100_000)
  const fill = (by: number) => {
    tokens = Math.min(unit(limits.cap), tokens + by)
  }
  let tokens = unit(limits.initial)
  return history.map((next) => {
    for (let ms = 0; ms < next.after; ms++) fill(unit(limits.floorPerSecond) / 1000)
    if (next._tag === "first") {
      fill(unit(limits.ratio))
      return true
    }
    const cost = unit(next.afterTimeout ? limits.timeoutCost : limits.retryCost)
    if (tokens < cost) return false
    tokens -= cost
    if (next._tag === "undone") fill(cost)
    return true
  })
}

const replay = (
  limits: RetryBudget.Options,
  history: ReadonlyArray<Event>,
  clock: (now: number, i: number) => number = (now) => now
) => {
  const config = compile(limits)
  let now = 1_700_000_000_000
  let state = initial(config, now)
  let spent = 0
  const answers = history.map((next, i) => {
    now += next.after
    if (next._tag === "first") {
      state = deposit(state, config)
      return true
    }
    const [admitted, paid] = withdraw(state, clock(now, i), config, next.afterTimeout)
    state = paid
    if (admitted && next._tag === "undone") state = refund(state, config, next.afterTimeout)
    if (admitted && next._tag === "retry") spent += next.afterTimeout ? limits.timeoutCost : limits.retryCost
    return admitted
  })
  return { answers, spent, left: left(state, now, config) }
}

const firsts = (history: ReadonlyArray<Event>) => history.filter(({ _tag }) => _tag === "first").length
const elapsed = (history: ReadonlyArray<Event>) => history.reduce((sum, next) => sum + next.after, 0)

describe("RetryBudget", () => {
  it("decides as a bucket that is filled millisecond by millisecond", () => {
    fc.assert(
      fc.property(options, events, (limits, history) => {
        expect(replay(limits, history).answers).toEqual(naive(limits, history))
      }),
      { numRuns: shortOrLong(60, 300) }
    )
  })

  it("never admits more than the start, the share of first attempts and the floor have earned", () => {
    fc.assert(
      fc.property(options, events, (limits, history) => {
        const earned =
          limits.initial + limits.ratio * firsts(history) + (limits.floorPerSecond * elapsed(history)) / 1000
        expect(replay(limits, history).spent).toBeLessThanOrEqual(earned + 1e-9)
      }),
      { numRuns: shortOrLong(60, 300) }
    )
  })

  it("never holds more than its cap nor less than 0", () => {
    fc.assert(
      fc.property(options, events, (limits, history) => {
        const held = replay(limits, history).left
        expect(held).toBeGreaterThanOrEqual(0)
        expect(held).toBeLessThanOrEqual(limits.cap)
      }),
      { numRuns: shortOrLong(50, 200) }
    )
  })

  it("earns nothing by a clock that steps back and forth", () => {
    fc.assert(
      fc.property(options, events, fc.array(fc.nat(5_000), { minLength: 1 }), (limits, history, steps) => {
        // Every reading but the latest so far is one of the past.
        let latest = 0
        const back = (now: number, i: number) => {
          const stepped = now - steps[i % steps.length]!
          latest = Math.max(latest, stepped)
          return stepped
        }
        const shaken = replay(limits, history, back)
        latest = 0
        const smooth = replay(limits, history, (now, i) => {
          latest = Math.max(latest, now - steps[i % steps.length]!)
          return latest
        })
        expect(shaken).toEqual(smooth)
      }),
      { numRuns: shortOrLong(50, 200) }
    )
  })

  it("keeps credit that a clock stepping back has already seen", () => {
    const config = compile({ ...defaults, initial: 0 })
    const [, paid] = withdraw(initial(config, 5_000), 6_000, config, false)
    expect(left(paid, 6_000, config)).toBe(0)
    expect(left(paid, 1_000, config)).toBe(0)
    const [again] = withdraw(paid, 1_000, config, false)
    expect(again).toBe(false)
    expect(left(paid, 6_500, config)).toBe(0.5)
  })

  it("lets five first attempts pay for one retry, exactly and again and again", () => {
    const config = compile({ ...defaults, initial: 0, floorPerSecond: 0 })
    let state = initial(config, 0)
    for (let round = 0; round < 1_000; round++) {
      for (let i = 0; i < 5; i++) {
        expect(withdraw(state, 0, config, false)[0]).toBe(false)
        state = deposit(state, config)
      }
      const [admitted, next] = withdraw(state, 0, config, false)
      expect(admitted).toBe(true)
      state = next
    }
    expect(left(state, 0, config)).toBe(0)
  })

  it("takes twice as much for a retry after a time-out", () => {
    const config = compile({ ...defaults, initial: 3 })
    const [first, paid] = withdraw(initial(config, 0), 0, config, true)
    expect([first, left(paid, 0, config)]).toEqual([true, 1])
    expect(withdraw(paid, 0, config, true)[0]).toBe(false)
    expect(withdraw(paid, 0, config, false)[0]).toBe(true)
  })

  it("loses no time between many small steps", () => {
    const config = compile({ ...defaults, initial: 0 })
    let state = initial(config, 0.25)
    for (let i = 1; i <= 4_000; i++) state = withdraw(state, 0.25 + i / 4, config, true)[1]
    expect(left(state, 1_000.25, config)).toBe(1)
  })

  it("names every problem of its options", () => {
    expect(problems(defaults)).toEqual([])
    expect(problems({ ...defaults, ratio: -1, cap: 0.5, initial: Number.NaN, retryCost: 0 })).toHaveLength(5)
  })
})
