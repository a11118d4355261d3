import { describe, expect, it } from "@effect/vitest"
import { Exit } from "effect"
import * as Verdict from "../../src/guard/Verdict.js"
import type { Reason } from "../../src/warehouse/Warehouse.js"
import { WarehouseError } from "../../src/warehouse/Warehouse.js"

const why = (reason: Reason, description: string, code?: string) =>
  Verdict.whyOf(Exit.fail(new WarehouseError({ reason, description, sent: "unknown", code })), false, 1)

describe("why an attempt counts against the warehouse", () => {
  it("is a short text", () => {
    expect(why("Unreachable", "It answered HTTP 503.")).toBe("It answered HTTP 503")
    expect(why("Unreachable", "The connection was refused.", "ECONNREFUSED")).toBe(
      "The connection was refused [ECONNREFUSED]"
    )
    expect(Verdict.whyOf(Exit.fail("any"), true, 15_020)).toBe("no answer within 15 s")
    expect(why("Unreachable", "long ".repeat(200))?.length).toBeLessThanOrEqual(160)
  })

  it("quotes nothing of a statement", () => {
    const text = "syntax near 'SELECT salary FROM hr.people'"
    expect(why("ServerFault", text, "000603")).toBe("it reported an internal error [000603]")
    expect(why("Unknown", text, "009999")).toBe("it failed without an explanation [009999]")
  })
})
