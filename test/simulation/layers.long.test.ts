import { assert, describe, it } from "@effect/vitest"
import * as Ablation from "./ablation.js"
import type { Report } from "./report.js"
import { simulate } from "./run.js"
import * as Scenarios from "./scenarios.js"
import * as Server from "./server.js"
import * as Worlds from "./worlds.js"

const expectClean = ({ replay, violationCount }: Report): void =>
  assert.strictEqual(violationCount, 0, replay)

describe("what the layers are good for, on a bad day", () => {
  const day = (layers: Partial<Server.Layers>): Report => {
    const scenario = Scenarios.badDay(0.32, { parallel: 8, slots: 3 })
    const report = simulate({ seed: 1, hours: 0.32, scenario, layers })
    expectClean(report)
    return report
  }

  it("without each of them some client or the warehouse is worse off", { timeout: 60_000 }, () => {
    const all = day({})
    assert.isAtMost(all.mostStatements, 20)
    assert.isAbove(day({ bulkhead: false }).mostStatements, 20)
    assert.isAbove(all.goodput, day({ degradation: false }).goodput)
    assert.isBelow(all.loadOutage, day({ breaker: false }).loadOutage / 20)
    assert.isBelow(all.amplification, day(Server.nothing).amplification / 5)
  })

  it("an overloaded warehouse gives more answers to pauses that grow with its pressure", () => {
    const served = (maxBackoffFactor: number): number => {
      const goodput = [1, 2].map((seed) => {
        const { server, ...rest } = Worlds.overload(seed)
        const scenario = { ...rest, server: { ...server, retry: { maxBackoffFactor } } }
        const report = simulate({ seed, hours: 0.08, scenario })
        expectClean(report)
        return report.goodput
      })
      return goodput.reduce((sum, each) => sum + each, 0) / goodput.length
    }
    assert.isAbove(served(5), served(1) + 0.01)
  })

  it("a mechanism's row has both means with their intervals, and says whether they are apart", () => {
    const of = Ablation.ablations.filter(({ world }) => world === "stuck")
    const [row] = Ablation.measure({ seed: 1, seeds: 2, of })
    assert.isTrue(row?.apart)
    assert.match(
      row === undefined ? "" : Ablation.line(row),
      /^\| loop guard \| stuck \| warehouse calls\/min \| \d+ ± \d+ \| \d+ ± \d+ \| yes \|$/
    )
  })
})
