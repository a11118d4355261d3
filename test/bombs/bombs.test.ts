import { describe, expect, it } from "@effect/vitest"
import { Effect, Schedule } from "effect"
import { existsSync } from "node:fs"
import { childrenOf } from "../utils/children.js"
import * as Server from "../utils/server.js"
import { bombs, run } from "./run.js"

const hasProc = existsSync("/proc/self/status")

describe("a shared server with the embedded warehouse, under attack", () => {
  it("goes on; the other client is answered, and notices nothing", { timeout: 180_000 }, async () => {
    const report = await run({
      bin: Server.bin,
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
        "text of a gigabyte"
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

  it.scopedLive("leaves no process behind when it is killed while a statement is planned", () =>
    Effect.gen(function* () {
      if (!hasProc) {
        console.log("not checked: this system does not list the processes of another")
        return
      }
      const server = yield* Server.raw()
      yield* Effect.promise(() => server.initialize())
      yield* Effect.promise(() => server.call(1, "execute_query", { sql: "SELECT 1" }))
      const { pid } = server.child
      const begun = childrenOf(pid)
      expect(begun.length).toBe(1)
      void server.call(2, "execute_query", { sql: bombs["stars that double"]!(1) }).catch(() => undefined)
      yield* Effect.sleep("500 millis")
      server.child.kill("SIGKILL")
      const isAlive = (pid: number) => {
        try {
          process.kill(pid, 0)
          return true
        } catch {
          return false
        }
      }
      yield* Effect.repeat(
        Effect.sync(() => begun.some(isAlive)),
        { until: (alive) => !alive, schedule: Schedule.spaced("20 millis") }
      ).pipe(Effect.timeout("5 seconds"))
    })
  )
})
