import { assert, describe, it } from "@effect/vitest"
import { Effect, TestClock } from "effect"
import { EventEmitter } from "node:events"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as HardEnd from "../../src/cli/hardEnd.js"
import * as Server from "../utils/server.js"
import { someOrAll } from "../utils/long.js"

describe("the end of a process that does not close", () => {
  it.effect("comes some seconds after the shutdown time, counted from the first sign", () =>
    Effect.gen(function* () {
      const process = new EventEmitter()
      const codes: Array<number> = []
      yield* HardEnd.arm([[process, "SIGTERM"] as const, [process, "SIGINT"] as const], {
        shutdownMs: 3_000,
        exit: (code) => void codes.push(code)
      })
      yield* TestClock.adjust(100_000)
      process.emit("SIGTERM")
      yield* TestClock.adjust(7_000)
      process.emit("SIGINT")
      yield* TestClock.adjust(999)
      assert.deepStrictEqual(codes, [])
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(codes, [1])
      yield* TestClock.adjust(100_000)
      assert.deepStrictEqual(codes, [1])
    })
  )

  it.effect("does not listen any more once it has begun, so that a second signal ends the process", () =>
    Effect.gen(function* () {
      const process = new EventEmitter()
      const events = ["SIGTERM", "SIGINT"]
      yield* HardEnd.arm(
        events.map((event) => [process, event] as const),
        { shutdownMs: 1_000, exit: () => {} }
      )
      assert.deepStrictEqual(process.eventNames(), events)
      process.emit("SIGINT")
      assert.deepStrictEqual(process.eventNames(), [])
    })
  )

  it.effect("comes within ten seconds, whatever the shutdown time", () =>
    Effect.gen(function* () {
      const process = new EventEmitter()
      const codes: Array<number> = []
      yield* HardEnd.arm([[process, "SIGTERM"] as const], {
        shutdownMs: 8_000,
        exit: (code) => void codes.push(code)
      })
      process.emit("SIGTERM")
      yield* TestClock.adjust(9_499)
      assert.deepStrictEqual(codes, [])
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(codes, [1])
    })
  )

  const directory = Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "snowguard-end-"))),
    (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
  )

  it.scopedLive("is said in the log, and is the exit code of a failure", () =>
    Effect.gen(function* () {
      const path = yield* directory
      // A disk that never closes this one file: the server starts, and answers, and cannot end.
      const hang = join(path, "hang.mjs")
      writeFileSync(
        hang,
        `import fs from "node:fs/promises"
import { syncBuiltinESMExports } from "node:module"
const { open } = fs
fs.open = async (...args) => {
  const file = await open(...args)
  return String(args[0]).endsWith("audit.log")
    ? Object.assign(file, { close: () => new Promise(() => {}) })
    : file
}
syncBuiltinESMExports()
`
      )
      const server = yield* Server.raw({
        env: {
          NODE_OPTIONS: `--import file://${hang}`,
          SNOWGUARD_AUDIT_FILE: join(path, "audit.log"),
          SNOWGUARD_TIMEOUTS_SHUTDOWN_SECONDS: "0.1",
          SNOWGUARD_LOG_LEVEL: "warning"
        }
      })
      const exit = yield* Effect.promise(async () => {
        await server.initialize()
        server.child.kill("SIGTERM")
        return server.exited
      })
      assert.deepStrictEqual(exit, { code: 1, signal: null })
      assert.match(server.stderr, /did not shut down in time/)
    })
  )

  for (const kind of someOrAll(["memory", "redis"], 1))
    it.scopedLive(`is not needed with limits in a Redis that is not there, and quotas in ${kind}`, () =>
      Effect.gen(function* () {
        const server = yield* Server.raw({
          env: {
            SNOWGUARD_QUOTA_STORE_KIND: kind,
            SNOWGUARD_QUOTA_STORE_ON_UNAVAILABLE: "memory",
            SNOWGUARD_QUOTA_STORE_REDIS_URL: "redis://127.0.0.1:1",
            SNOWGUARD_RATE_LIMITS: "shared",
            SNOWGUARD_TIMEOUTS_SHUTDOWN_SECONDS: "1"
          }
        })
        const exit = yield* Effect.promise(async () => {
          await server.initialize()
          const { result } = await server.call(1, "list_databases")
          assert.deepInclude(result?.structuredContent, { count: 1 })
          void server.call(2, "list_databases")
          server.child.kill("SIGTERM")
          return server.exited
        })
        assert.deepStrictEqual(exit, { code: 0, signal: null })
      })
    )
})
