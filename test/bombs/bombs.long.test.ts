import { describe, expect, it } from "vitest"
import { existsSync } from "node:fs"
import { bin } from "../utils/server.js"
import { run } from "./run.js"

const hasProc = existsSync("/proc/self/status")

describe("a shared server with the embedded warehouse, under attack", () => {
  it("goes on; the other client is answered, and notices nothing", { timeout: 180_000 }, async () => {
    const report = await run({
      bin: bin,
      rounds: 1,
      calls: 30,
      timeoutSeconds: 3,
      kinds: [
        "json_transform of a deep structure (SIGSEGV)",
        "20,000 nested brackets",
        "edit distance of long texts",
        "list of two thousand million",
        "stars that double",
        "cross join",
        "text of a gigabyte",
        "calls that are written out twice",
        "an INTERVAL that can be read in many ways"
      ]
    })
    expect(report.serverDied).toBe(false)
    expect(report.neighbour.failures).toEqual([])
    expect(report.noticed).toEqual([])
    // The machine of a test is busy; `npm run bombs` holds it to two seconds.
    expect(report.neighbour.slowestMs).toBeLessThan(5000)
    if (hasProc) expect(report.peakMb).toBeLessThan(3000)
    else console.log("not checked: this system does not tell the memory of a process")
    // The shutdown time and its grace.
    expect(report.stoppedMs).toBeLessThan(9500)
    expect(report.orphans).toBe(0)
  })
})
