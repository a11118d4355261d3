import { assert, describe, it } from "@effect/vitest"
import * as fc from "effect/FastCheck"
import { roundDown } from "../../src/guard/core/BucketLimits.js"
import { decimal } from "../../src/observe/Metering.js"
import type { Operation, Step } from "../../src/observe/Metering.js"
import * as AuditLog from "../../src/operate/AuditLog.js"
import { unsafeMonotonicMillis } from "../../src/platform/monotonic.js"
import * as VirtualClock from "../../src/platform/virtualClock.js"
import { shortOrLong } from "../utils/long.js"

const operation = (number: number, ...steps: ReadonlyArray<Step>): Operation => ({
  server: "one",
  started: 1_000,
  operation: number,
  class: "query",
  deadline: 1_000,
  estimate: 10,
  steps
})

const line = (limits: ReadonlyArray<Operation>, more: object = {}): string =>
  JSON.stringify({
    time: "2026-11-30T10:00:00.000Z",
    v: 2,
    client: "ann",
    tier: "default",
    tool: "execute_query",
    decision: "ok",
    ms: 3,
    limits,
    ...more
  })

const read = (...lines: ReadonlyArray<string>): AuditLog.Log => {
  const { add, log } = AuditLog.make()
  lines.forEach((line, i) => add("audit.log", i + 1, line))
  return log()
}

describe("the audit log, read again", () => {
  it("puts the steps of a call together from all its lines, each of them once", () => {
    const first = line([operation(1, [2, 1, 0, "quota"], [1, 0, 0, "rate", 0])])
    const later = line([operation(1, [3, 5, 0, "settled", 0, 7, null, 0.5])], { decision: "settled" })
    const log = read(later, first, first)
    assert.deepStrictEqual(
      log.calls.map(({ steps }) => steps.map(([n]) => n)),
      [[1, 2, 3]]
    )
    assert.deepInclude(log, { headless: 0, missing: 0, begunBefore: 0, servers: 1 })
  })

  it("a line with a number or a time that there is not is none", () => {
    const good = line([operation(1, [1, 0, 0, "rate", 0])])
    const hostile = [
      operation(2, [2, 8e300, 0, "rate", 0]),
      operation(2, [2, -8e300, 0, "rate", 0]),
      operation(2, [2, 0, 8e300, "rate", 0]),
      { ...operation(2, [2, 0, 0, "rate", 0]), started: 8e300 },
      // Written as 1e999, which JSON reads as infinite.
      { ...operation(2, [2, 0, 0, "rate", 0]), estimate: 9e300 },
      { ...operation(2, [2, 0, 0, "rate", 0]), deadline: 9e300 },
      operation(2, [9e300, 0, 0, "rate", 0]),
      operation(2, [2, 0, 0, "rate", -9e300]),
      operation(2, [2, 0, 0, "settled", 0, 9e300, null, 1])
    ].map((one) => line([one]).replaceAll("9e+300", "1e999"))
    const log = read(good, ...hostile)
    assert.deepStrictEqual(
      log.faulty,
      hostile.map((_, i) => `audit.log:${i + 2}`)
    )
    assert.lengthOf(log.calls, 1)
  })

  it("says what is missing: older lines, beginnings, steps, and lines that are none", () => {
    const older = JSON.stringify({ ...JSON.parse(line([])), v: undefined, limits: undefined })
    const log = read(
      older,
      "no line",
      line([operation(3, [9, 0, 0, "rate", 0])]),
      line([operation(2, [6, 0, 0, "released", 0])]),
      line([operation(4, [10, 0, 0, "unheard of", 0] as unknown as Step)])
    )
    assert.deepInclude(log, {
      lines: 3,
      older: 1,
      faulty: ["audit.log:2", "audit.log:5"],
      headless: 1,
      begunBefore: 1,
      missing: 2
    })
    assert.strictEqual(log.calls.length, 1)
  })

  it("takes an operator's reset that was carried out", () => {
    const reset = { tool: "operator:quota/reset", limits: undefined }
    const log = read(
      line([], { ...reset, target: "bob" }),
      line([], { ...reset, target: "ann queries_per_hour" }),
      line([], { ...reset, target: "Ann  van den Berg" }),
      line([], { ...reset, target: "team a bytes_per_day" }),
      line([], { ...reset, target: "queries_per_hour" }),
      line([], { ...reset, target: "eve", decision: "STORE_LOST" })
    )
    const at = Date.UTC(2026, 10, 30, 10)
    assert.deepStrictEqual(log.resets, [
      { at, client: "bob" },
      { at, client: "ann", quota: "queries_per_hour" },
      { at, client: "Ann  van den Berg" },
      { at, client: "team a", quota: "bytes_per_day" },
      { at, client: "queries_per_hour" }
    ])
    assert.strictEqual(log.lines, 0)
  })

  it("a written time leads to the same place on the grid of the rate limits, also after a year", () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 3e10, noNaN: true }), (ms) => {
        const decided = roundDown(ms)
        const written = JSON.parse(JSON.stringify(decimal(decided))) as number
        const { clock } = VirtualClock.make({ monotonic: written, wall: 0 })
        assert.strictEqual(roundDown(unsafeMonotonicMillis(clock)), decided)
      }),
      { numRuns: shortOrLong(3_000, 20_000) }
    )
  })
})
