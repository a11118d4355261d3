/** What goes wrong in the first minutes: a line that says what to do, the right exit code, and no more. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import type { AddressInfo } from "node:net"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Server from "./utils/server.js"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "snowguard-first-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

/** Runs the binary to its end, with nothing to read. */
const run = (args: ReadonlyArray<string>, env: Server.Env = {}) =>
  Effect.gen(function* () {
    const server = yield* Server.raw({ args, env })
    server.child.stdin.end()
    const { code } = yield* Effect.promise(() => server.exited)
    assert.notMatch(server.stderr, /^\s+at /m)
    return { code, stderr: server.stderr, stdout: server.notJson.join("\n") }
  })

describe("the binary, when something is wrong from the start", () => {
  it.scopedLive("says who has the port, and how to choose another", () =>
    Effect.gen(function* () {
      const other = yield* Effect.acquireRelease(
        Effect.async<ReturnType<typeof createServer>>((resume) => {
          const listening = createServer()
          listening.listen(0, "127.0.0.1", () => resume(Effect.succeed(listening)))
        }),
        (listening) => Effect.sync(() => listening.close())
      )
      const { port } = other.address() as AddressInfo
      const { code, stderr } = yield* run(["http", "--port", String(port)])
      assert.strictEqual(code, 78)
      assert.match(stderr, new RegExp(`^http\\.port: cannot listen on 127\\.0\\.0\\.1:${port}: .*--port`))
    })
  )

  it.scopedLive("ends, and names the setting, when the state directory cannot be made", () =>
    Effect.gen(function* () {
      const file = join(yield* folder, "file")
      writeFileSync(file, "")
      // In /proc the system says that what is above does not exist, however often one asks.
      const others = process.platform === "linux" ? ["/proc/snowguard/state"] : []
      for (const path of [file, join(file, "below"), ...others]) {
        const { code, stderr } = yield* run([], { SNOWGUARD_STATE_DIR: path })
        assert.strictEqual(code, 74)
        assert.match(stderr, /SNOWGUARD_STATE_DIR|permission/)
        assert.include(stderr, path)
      }
    })
  )

  it.scopedLive("starts all the same in memory, when it is told that it may", () =>
    Effect.gen(function* () {
      const file = join(yield* folder, "file")
      writeFileSync(file, "")
      const env = { SNOWGUARD_STATE_DIR: file, SNOWGUARD_QUOTA_STORE_ON_UNAVAILABLE: "memory" }
      const { code, stderr } = yield* run([], env)
      assert.strictEqual(code, 0)
      assert.include(stderr, "QUOTAS ARE NOT KEPT")
      assert.include(stderr, "cursors are of this process alone")
    })
  )

  it.scopedLive(
    "a damaged file of keys is a fault of the configuration, for the server and the command",
    () =>
      Effect.gen(function* () {
        const state = yield* folder
        writeFileSync(join(state, "keys.json"), "{hunter2")
        for (const args of [
          ["http", "--port", "0"],
          ["keys", "list"]
        ]) {
          const { code, stderr } = yield* run(args, { SNOWGUARD_STATE_DIR: state })
          assert.strictEqual(code, 78)
          assert.match(stderr, /^auth\.keys_file: .*move it away/)
          assert.notInclude(stderr, "hunter2")
        }
      })
  )

  it.scopedLive("a weak key of the cursors is refused at the start, and not shown", () =>
    Effect.gen(function* () {
      for (const key of ["hunter2", "hunter2-".repeat(8)]) {
        const { code, stderr } = yield* run([], { SNOWGUARD_RESULTS_CURSOR_KEY: key })
        assert.strictEqual(code, 78)
        assert.match(stderr, /openssl rand -base64 32/)
        assert.notInclude(stderr, "hunter2")
      }
    })
  )

  it.scopedLive("checking the account tells when the server would not use it", () =>
    Effect.gen(function* () {
      const { code, stdout } = yield* run(["check"], { HOME: yield* folder })
      assert.strictEqual(code, 78)
      assert.match(stdout, /no account is set[\s\S]*embedded warehouse/)
    })
  )
})
