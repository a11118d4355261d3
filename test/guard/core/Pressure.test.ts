import { describe, expect, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import * as Pressure from "../../../src/guard/core/Pressure.js"

const news = fc.array(fc.record({ ms: fc.integer({ min: 0, max: 60_000 }), failed: fc.boolean() }), {
  maxLength: 50
})

describe("pressure", () => {
  it.prop("stays within its bounds, and only falls without news", [news], ([all]) => {
    let now = 0
    let pressure = Pressure.initial(now)
    for (const { failed, ms } of all) {
      const before = Pressure.factor(pressure, now)
      now += ms
      expect(Pressure.factor(pressure, now)).toBeLessThanOrEqual(before)
      pressure = failed ? Pressure.failed(pressure, now) : Pressure.succeeded(pressure, now)
      expect(Pressure.factor(pressure, now)).toBeGreaterThanOrEqual(1)
      expect(Pressure.factor(pressure, now)).toBeLessThanOrEqual(5)
    }
  })

  it.prop("ignores a clock that steps back", [fc.integer({ min: 0, max: 100_000 })], ([back]) => {
    const pressure = Pressure.failed(Pressure.failed(Pressure.initial(100_000), 100_000), 100_000)
    expect(Pressure.factor(pressure, 100_000 - back)).toBe(2)
  })

  it("grows with failed calls, halves with a success and with ten seconds", () => {
    let pressure = Pressure.initial(0)
    for (let n = 1; n <= 4; n++) {
      pressure = Pressure.failed(pressure, 0)
      expect(Pressure.factor(pressure, 0)).toBe(n)
    }
    expect(Pressure.factor(pressure, 10_000)).toBe(2)
    expect(Pressure.factor(Pressure.succeeded(pressure, 0), 0)).toBe(2)
    expect(Pressure.factor(pressure, 60_000)).toBe(1)
  })
})
