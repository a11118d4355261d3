import { assert, describe, it } from "@effect/vitest"
import * as Credits from "./credits.js"

describe("credits on virtual time, against the bill of the account", () => {
  it(
    "charge what the statements cost, each to its client, and no tier that may not wakes a warehouse",
    { timeout: 120_000 },
    () => {
      const report = Credits.day(1, 4)
      console.log(Credits.describe(report))
      assert.isAbove(report.charged, 1)
      assert.isAtMost(Math.abs(report.error), 0.001, Credits.describe(report))
      assert.isAtMost(Math.abs(report.worst.error), 0.01, Credits.describe(report))
      assert.strictEqual(report.wokenByGuests, 0)
      // What it is about has happened.
      assert.isAbove(report.answers["WarehouseSuspended"] ?? 0, 10)
      assert.isAbove(report.answers["QuotaExceeded"] ?? 0, 10)
      assert.isAbove(report.answers["StatementTimeout"] ?? 0, 0)
      assert.isAbove(report.resumes, 20)
      assert.isAtMost(report.loaderHour, 0.8)
    }
  )

  it("a wrong amount and a wrong state are seen", { timeout: 120_000 }, () => {
    assert.isAbove(Credits.day(1, 1, { factor: 1.1 }).error, 0.05)
    const blind = Credits.day(1, 1, { says: "running" })
    assert.isAbove(blind.wokenByGuests, 0)
    assert.isBelow(blind.error, -0.05)
  })
})
