import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import * as P from "../../utils/httpProcess.js"

/** May these tests run? Says how they could, and fails if they must. */
const available = (): boolean => {
  if (spawnSync("promtool", ["--version"], { stdio: "ignore" }).status === 0) return true
  const how = "promtool is not in PATH; install it (apt-get install prometheus, brew install prometheus)"
  if (process.env["SNOWGUARD_TEST_REQUIRE_PROMTOOL"] === "1") throw new Error(how)
  console.log(`skipped: Prometheus' own check of the metrics. ${how}`)
  return false
}

describe.runIf(available())("the metrics of a server that was used", () => {
  it.scopedLive("pass Prometheus' own check", () =>
    Effect.gen(function* () {
      const { server } = yield* P.serving({ SNOWGUARD_HTTP_METRICS: "open" })
      const session = yield* server.open()
      yield* server.call(session, 1, "list_databases")
      yield* server.call(session, 2, "execute_query", { sql: "SELECT 1" })
      yield* server.call(session, 3, "execute_query", { sql: "DROP TABLE t" })
      yield* server.call(session, 4, "no_such_tool")
      yield* server.ask({ path: "/mcp", method: "PUT" })
      const { body, status } = yield* server.ask({ path: "/metrics" })
      assert.strictEqual(status, 200)
      assert.include(body, "snowguard_calls_total{")
      const check = spawnSync("promtool", ["check", "metrics"], { input: body, encoding: "utf8" })
      assert.strictEqual(`${check.status} ${check.stdout}${check.stderr}`.trim(), "0")
    })
  )
})
