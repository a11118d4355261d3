import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll } from "vitest"
import * as Server from "../utils/server.js"

const folder = mkdtempSync(join(tmpdir(), "snowguard-audit-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe("the audit log of the binary", () => {
  it.scopedLive("has a line for every call, the last one included, when the client leaves", () =>
    Effect.gen(function* () {
      const file = join(folder, "calls.log")
      const server = yield* Server.raw({
        env: { SNOWGUARD_AUDIT_FILE: file, SNOWGUARD_AUDIT_STATEMENTS: "text" }
      })
      const exit = yield* Effect.promise(async () => {
        await server.initialize()
        await server.call(1, "execute_query", { sql: "select 1 as n" })
        await server.call(2, "execute_query", { sql: "drop table t" })
        server.child.stdin.end()
        return server.exited
      })
      assert.strictEqual(exit.code, 0, server.stderr)
      const lines = readFileSync(file, "utf8")
        .trimEnd()
        .split("\n")
        .map((line): Record<string, unknown> => JSON.parse(line))
      assert.deepStrictEqual(
        lines.map(({ decision, rows, tool }) => [tool, decision, rows]),
        [
          ["execute_query", "ok", 1],
          ["execute_query", "STATEMENT_REJECTED", undefined]
        ]
      )
      assert.match(String(lines[0]?.["statement"]), /^SELECT 1 AS N LIMIT 10001$/i)
      assert.strictEqual(lines[1]?.["statement"], "drop table t")
      assert.isString(lines[0]?.["queryId"])
    })
  )

  it.scopedLive(
    "has all that its calls did with their limits, when the client leaves with the last answer",
    () =>
      Effect.gen(function* () {
        const file = join(folder, "settled.log")
        const server = yield* Server.raw({ env: { SNOWGUARD_AUDIT_FILE: file } })
        const exit = yield* Effect.promise(async () => {
          await server.initialize()
          const calls = Array.from({ length: 20 }, (_, i) =>
            server.call(i + 1, "execute_query", { sql: `select ${i}` })
          )
          await Promise.all(calls)
          server.child.stdin.end()
          return server.exited
        })
        assert.strictEqual(exit.code, 0, server.stderr)
        const lines = readFileSync(file, "utf8")
          .trimEnd()
          .split("\n")
          .map((line): { decision: string; limits?: Array<{ steps: Array<Array<unknown>> }> } =>
            JSON.parse(line)
          )
        assert.strictEqual(lines.filter(({ decision }) => decision !== "settled").length, 20)
        const steps = lines.flatMap(({ limits = [] }) => limits.flatMap(({ steps }) => steps))
        const count = (what: string) => steps.filter((step) => step[3] === what).length
        assert.deepStrictEqual(
          { reserved: count("quota"), ended: count("settled") + count("released") },
          { reserved: count("quota"), ended: count("quota") }
        )
        assert.isAbove(count("settled"), 0)
      })
  )

  for (const command of ["stdio", "http"]) {
    it.scopedLive(`${command} does not start when it cannot be written`, () =>
      Effect.gen(function* () {
        const file = join(folder, `directory-${command}`)
        mkdirSync(file)
        const server = yield* Server.raw({
          args: [command],
          env: {
            SNOWGUARD_AUDIT_FILE: file,
            SNOWGUARD_HTTP_PORT: "0",
            SNOWGUARD_STATE_DIR: join(folder, "state")
          }
        })
        const { code } = yield* Effect.promise(() => server.exited)
        assert.strictEqual(code, 78)
        assert.include(server.stderr, "audit.file")
      })
    )
  }
})
