/** A start by hand, at a terminal, while something that it needs does not answer: it says what it waits for. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Scope } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import type { AddressInfo } from "node:net"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { TestContext } from "vitest"
import { cleanEnv } from "../utils/server.js"
import * as Terminal from "../utils/terminal.js"
import { someOrAll } from "../utils/long.js"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "snowguard-waiting-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

/** Takes connections, and says nothing. */
const silent = Effect.acquireRelease(
  Effect.async<{ readonly port: number; readonly connections: () => number; readonly close: () => void }>(
    (resume) => {
      let connections = 0
      const server = createServer((socket) => {
        connections += 1
        socket.on("error", () => {}).resume()
      })
      server.listen(0, "127.0.0.1", () => {
        const { port } = server.address() as AddressInfo
        resume(Effect.succeed({ port, connections: () => connections, close: () => void server.close() }))
      })
    }
  ),
  ({ close }) => Effect.sync(close)
)

const started = (
  args: ReadonlyArray<string>,
  env: { readonly [name: string]: string },
  answers: Terminal.Typed["answers"] = []
) => Effect.promise(() => Terminal.run(args, { answers, columns: 100, env: cleanEnv(env) }))

const test = (name: string, run: Effect.Effect<void, never, Scope.Scope>) =>
  it.scopedLive(name, (context: TestContext) =>
    Effect.zipRight(
      Effect.sync(() => Terminal.need(context)),
      run
    )
  )

const hint = "It waits on stdin"

describe("a start at a terminal", () => {
  for (const args of someOrAll([[], ["http", "--port", "0"]], 1)) {
    const name = args[0] ?? "stdio"

    test(
      `of ${name} says that it waits for Redis, and then that it is not there`,
      Effect.gen(function* () {
        const { port } = yield* silent
        const { code, plain } = yield* started(args, {
          SNOWGUARD_QUOTA_STORE_KIND: "redis",
          SNOWGUARD_QUOTA_STORE_REDIS_URL: `redis://127.0.0.1:${port}`
        })
        assert.strictEqual(code, 74, plain)
        assert.match(plain, /waiting for Redis[^]*quota store open: there is no connection to 127\.0\.0\.1/)
        assert.notInclude(plain, hint)
      })
    )

    test(
      `of ${name} says that it waits for a quota store that another process holds`,
      Effect.gen(function* () {
        const state = yield* folder
        const { DatabaseSync } = yield* Effect.promise(() => import("@photostructure/sqlite"))
        const held = yield* Effect.acquireRelease(
          Effect.sync(() => new DatabaseSync(join(state, "quota.db"))),
          (database) => Effect.sync(() => database.close())
        )
        held.exec("BEGIN EXCLUSIVE")
        const { code, plain } = yield* started(args, { SNOWGUARD_STATE_DIR: state })
        assert.strictEqual(code, 74, plain)
        assert.match(
          plain.replaceAll(/\s+/g, " "),
          /waiting for the quota store.*has been locked by another process/
        )
        assert.notInclude(plain, hint)
      })
    )

    test(
      `of ${name} does not wait for a warehouse, and says what it does wait for`,
      Effect.gen(function* () {
        const { connections, port } = yield* silent
        const ready = name === "stdio" ? "Ctrl-C ends it." : "listening"
        const { code, plain, unasked } = yield* started(
          args,
          {
            SNOWGUARD_WAREHOUSE: "snowflake",
            SNOWFLAKE_ACCOUNT: "a",
            SNOWFLAKE_ACCESS_URL: `http://127.0.0.1:${port}`,
            SNOWFLAKE_USER: "u",
            SNOWFLAKE_PASSWORD: "hunter2"
          },
          [[ready, "\u0003"]]
        )
        assert.deepStrictEqual([code, unasked], [0, []], plain)
        assert.strictEqual(plain.includes(hint), name === "stdio")
        assert.notInclude(plain, "waiting for")
        assert.strictEqual(connections(), 0)
      })
    )
  }

  test(
    "of a command says for how long it waits for the account",
    Effect.gen(function* () {
      const { port } = yield* silent
      const { code, plain, unasked } = yield* started(
        ["check"],
        {
          SNOWFLAKE_ACCOUNT: "a",
          SNOWFLAKE_ACCESS_URL: `http://127.0.0.1:${port}`,
          SNOWFLAKE_USER: "u",
          SNOWFLAKE_PASSWORD: "hunter2"
        },
        [["logging in to a (1 s)", "\u0003"]]
      )
      assert.deepStrictEqual([code, unasked], [130, []], plain)
    })
  )
})
