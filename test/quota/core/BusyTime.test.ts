import { assert, describe, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import * as BusyTime from "../../../src/quota/core/BusyTime.js"

interface Statement {
  readonly from: number
  readonly ms: number
}

/** Charges by statement, in the order of their beginnings; the first of those that find no other has the minimum. */
const charged = (statements: ReadonlyArray<Statement>, minimumMs = 0) => {
  const events = statements
    .flatMap(({ from, ms }, i) => [
      { at: from, i, isEnd: false },
      { at: from + ms, i, isEnd: true }
    ])
    .sort((a, b) => a.at - b.at || Number(a.isEnd) - Number(b.isEnd))
  let time = BusyTime.empty
  const stints = new Map<number, BusyTime.Stint>()
  const shares = statements.map(() => 0)
  for (const { at, i, isEnd } of events) {
    if (isEnd) [shares[i], time] = BusyTime.end(time, at, stints.get(i)!)
    else {
      const [stint, next] = BusyTime.begin(time, at, time.running === 0 ? minimumMs : 0)
      stints.set(i, stint)
      time = next
    }
  }
  return { shares, time }
}

/** Milliseconds that any of the intervals covers. */
const covered = (intervals: ReadonlyArray<readonly [from: number, to: number]>): number => {
  let sum = 0
  let end = -Infinity
  for (const [from, to] of [...intervals].sort((a, b) => a[0] - b[0])) {
    sum += Math.max(0, to - Math.max(from, end))
    end = Math.max(end, to)
  }
  return sum
}

const total = (shares: ReadonlyArray<number>) => shares.reduce((sum, one) => sum + one, 0)

const statements = fc.array(
  fc.record({ from: fc.integer({ min: 0, max: 100_000 }), ms: fc.integer({ min: 0, max: 30_000 }) }),
  { minLength: 1, maxLength: 30 }
)

describe("BusyTime", () => {
  it("divides each moment equally among the statements that run in it", () => {
    const { shares } = charged([
      { from: 0, ms: 6_000 },
      { from: 4_000, ms: 6_000 }
    ])
    assert.deepStrictEqual(shares, [5_000, 5_000])
  })

  it.prop("shares add up to the time in which at least one statement ran", [statements], ([all]) => {
    const { shares, time } = charged(all)
    const busy = covered(all.map(({ from, ms }) => [from, from + ms] as const))
    assert.closeTo(total(shares), busy, 1e-3)
    assert.strictEqual(time.running, 0)
    for (const share of shares) assert.isAtLeast(share, -1e-9)
  })

  it.prop(
    "no statement is charged more than the time that it ran, where none resumed the warehouse",
    [statements],
    ([all]) => {
      const { shares } = charged(all)
      for (const [i, { ms }] of all.entries()) assert.isAtMost(shares[i]!, ms + 1e-6)
    }
  )

  it.prop(
    "with a minimum for each resume, shares add up to the busy time and the rest of each minimum",
    [statements],
    ([all]) => {
      const minimumMs = 60_000
      const { shares } = charged(all, minimumMs)
      // Periods without a pause between their statements, each resumed once.
      const periods: Array<{ from: number; to: number }> = []
      for (const { from, ms } of [...all].sort((a, b) => a.from - b.from)) {
        const last = periods[periods.length - 1]
        // A beginning at the end of another statement comes before that end.
        if (last === undefined || from > last.to) periods.push({ from, to: from + ms })
        else last.to = Math.max(last.to, from + ms)
      }
      // What has ended within its minimum is charged with all of it, what goes on longer with its time.
      const expected = periods.map(({ from, to }) => Math.max(minimumMs, to - from))
      assert.closeTo(total(shares), total(expected), 1e-3)
    }
  )

  it("charges the rest of the minimum to the statement that resumed the warehouse, and others run in it for nothing", () => {
    let time = BusyTime.empty
    const [first, afterFirst] = BusyTime.begin(time, 0, 60_000)
    let ms: number
    ;[ms, time] = BusyTime.end(afterFirst, 10_000, first)
    assert.strictEqual(ms, 60_000)
    const [second, afterSecond] = BusyTime.begin(time, 20_000)
    ;[ms, time] = BusyTime.end(afterSecond, 70_000, second)
    assert.strictEqual(ms, 10_000)
  })

  it("counts a time that runs backwards as the last one", () => {
    const [stint, time] = BusyTime.begin(BusyTime.empty, 1_000)
    const [ms, after] = BusyTime.end(time, 500, stint)
    assert.strictEqual(ms, 0)
    assert.strictEqual(after.at, 1_000)
  })
})
