import { assert, describe, it } from "@effect/vitest"
import type { CallToolResult } from "@modelcontextprotocol/sdk/types.js"
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { endless, folder } from "../../utils/httpProcess.js"
import * as Server from "../../utils/server.js"
import { someOrAll } from "../../utils/long.js"

describe("the server over stdio, spawned", () => {
  for (const signal of someOrAll(["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT"] as const, 2))
    it.scopedLive(`tells a call that ${signal} cuts that the server is shutting down`, () =>
      Effect.gen(function* () {
        const path = yield* folder
        const audit = join(path, "audit.log")
        const server = yield* Server.raw({
          env: { SNOWGUARD_TIMEOUTS_SHUTDOWN_SECONDS: "0.2", SNOWGUARD_AUDIT_FILE: audit }
        })
        yield* Effect.promise(async () => {
          await server.initialize()
          const cut = server.call(1, "execute_query", { sql: endless })
          for (let id = 2; ; id++) {
            const { result } = await server.call(id, "get_limits")
            const { concurrency } = result?.structuredContent as {
              readonly concurrency: ReadonlyArray<{ readonly pool: string; readonly in_use: number }>
            }
            if (concurrency.some(({ in_use, pool }) => pool === "statements" && in_use === 1)) break
          }
          server.child.kill(signal)
          assert.deepStrictEqual(await server.exited, { code: 0, signal: null })
          const { result } = await Promise.race([cut, Promise.reject(new Error("was not answered"))])
          assert.deepInclude(Server.report(result as CallToolResult), {
            code: "SHUTTING_DOWN",
            retryable: true,
            sideEffects: "unknown"
          })
        })
        assert.deepStrictEqual(server.notJson, [])
        assert.match(server.stderr, /shutting down.*"callsInFlight":1/)
        assert.match(server.stderr, /calls have ended.*"cut":1\b/)
        const lines = readFileSync(audit, "utf8").trimEnd().split("\n")
        assert.strictEqual(lines.filter((line) => line.includes('"decision":"cancelled"')).length, 1)
      })
    )
})
