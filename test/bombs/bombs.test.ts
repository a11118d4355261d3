import { describe, expect, it } from "@effect/vitest"
import { Effect, Schedule } from "effect"
import { existsSync } from "node:fs"
import { childrenOf } from "../utils/children.js"
import * as Server from "../utils/server.js"
import { bombs } from "./run.js"

const hasProc = existsSync("/proc/self/status")

describe("a shared server with the embedded warehouse, under attack", () => {
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
