import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { spawnSync } from "node:child_process"
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { PassThrough } from "node:stream"
import { confirmed } from "../../src/cli/prompts.js"
import * as Server from "../utils/server.js"
import { inLongForm } from "../utils/long.js"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "snowguard-quotas-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

const utcDay = Effect.clockWith((clock) =>
  Effect.map(clock.currentTimeMillis, (now) => Math.floor(now / 86_400_000))
)

/** Once more when midnight came in between: the window is a UTC day. */
const withinOneDay = <E, R>(test: Effect.Effect<void, E, R>): Effect.Effect<void, E, R> =>
  Effect.gen(function* () {
    const before = yield* utcDay
    const exit = yield* Effect.exit(test)
    return yield* (yield* utcDay) === before ? exit : test
  })

describe("quotas of the binary, spawned", () => {
  it.scopedLive("two servers of one user share one quota, and a restart forgets nothing", () =>
    withinOneDay(
      Effect.gen(function* () {
        const state = yield* folder
        const env = { SNOWGUARD_STATE_DIR: state, SNOWGUARD_TIERS_DEFAULT_REQUESTS_PER_DAY: "5" }
        const ask = (server: Effect.Effect.Success<ReturnType<typeof Server.client>>) =>
          server.call("list_databases")
        yield* Effect.scoped(
          Effect.gen(function* () {
            const [one, two] = yield* Effect.all([Server.client(env), Server.client(env)], {
              concurrency: "unbounded"
            })
            for (const server of [one, two, one, two, one]) Server.structured(yield* ask(server))
            for (const server of [one, two]) {
              const refusal = Server.report(yield* ask(server))
              assert.deepInclude(refusal, { code: "QUOTA_EXCEEDED", limit: 5, used: 5, remaining: 0 })
            }
          })
        )
        const again = yield* Server.client(env)
        assert.strictEqual(Server.report(yield* ask(again)).code, "QUOTA_EXCEEDED")
        if (process.platform !== "win32") {
          assert.strictEqual(statSync(join(state, "quota.db")).mode & 0o777, 0o600)
        }
      })
    )
  )

  it.scopedLive("a statement that would scan more than is left of the day does not run", () =>
    withinOneDay(
      Effect.gen(function* () {
        const { call } = yield* Server.client({
          SNOWGUARD_TIERS_DEFAULT_SCAN_BYTES_PER_DAY: "2000000"
        })
        const count = (table: string) =>
          call("execute_query", {
            sql: `SELECT SUM(TOTAL_AMOUNT) AS N FROM SNOWGUARD_SAMPLE.PUBLIC.${table}`
          })
        const left = Effect.map(call("get_limits"), (limits) =>
          /"quota":"scan_bytes_per_day"[^}]*"remaining":(\d+)/.exec(JSON.stringify(Server.structured(limits)))
        )
        Server.structured(yield* call("execute_query", { sql: "SELECT 1 AS N" }))
        Server.structured(yield* count("ORDERS"))
        const after = yield* left
        const refusal = Server.report(yield* count("ORDERS"))
        assert.deepInclude(refusal, {
          code: "QUOTA_EXCEEDED",
          scope: "client:scan_bytes_per_day",
          limit: 2_000_000
        })
        assert.match(
          refusal.message,
          /would scan about .* left of .*\. It did not run\. .* Or filter, say by date\./
        )
        assert.match(refusal.resetAt ?? "", /T00:00:00\.000Z$/)
        assert.deepStrictEqual(yield* left, after)
        // What scans nothing runs all the same.
        Server.structured(yield* call("execute_query", { sql: "SELECT 2 AS N" }))
      })
    )
  )

  it.scopedLive("`snowguard quota` shows, exports and resets what running servers count", () =>
    withinOneDay(
      Effect.gen(function* () {
        const env = { SNOWGUARD_STATE_DIR: yield* folder, SNOWGUARD_TIERS_DEFAULT_REQUESTS_PER_DAY: "2" }
        const quota = (...args: ReadonlyArray<string>) => {
          const done = spawnSync(process.execPath, [Server.bin, "quota", ...args], {
            env: Server.cleanEnv(env),
            encoding: "utf8"
          })
          assert.deepStrictEqual([done.status, done.stderr], [0, ""])
          return done.stdout
        }
        const server = yield* Server.client(env)
        for (const _ of [1, 2]) Server.structured(yield* server.call("list_databases"))
        assert.strictEqual(Server.report(yield* server.call("list_databases")).code, "QUOTA_EXCEEDED")

        const day = { client: "local", quota: "requests_per_day", used: 2, held: 0, limit: 2 }
        const { usage } = JSON.parse(quota("show", "--client", "local", "--json"))
        assert.deepInclude(
          usage.find(({ quota }: typeof day) => quota === day.quota),
          day
        )
        assert.match(quota("show"), /^local +requests_per_day +2 +0 +2 +\S+Z$/m)
        const exported = (...of: ReadonlyArray<string>): ReadonlyArray<unknown> =>
          quota("export", ...of)
            .trimEnd()
            .split("\n")
            .map((line): unknown => JSON.parse(line).client)
        // The server reads names in the background, as a client of its own, when it has the time.
        const own = exported("--client", "local")
        assert.isTrue(own.length > 0 && own.every((client) => client === "local"))
        assert.includeMembers([...exported()], ["local"])

        assert.include(
          quota("reset", "--client", "local", "--quota", "requests_per_day", "--yes"),
          "requests_per_day 2"
        )
        Server.structured(yield* server.call("list_databases"))

        // The usage of all clients is not reset by a slip.
        const refused = spawnSync(process.execPath, [Server.bin, "quota", "reset"], {
          env: Server.cleanEnv(env),
          encoding: "utf8"
        })
        assert.deepInclude(refused, { status: 64, stdout: "" })
        assert.match(refused.stderr, /^quota reset: expected --client NAME, or --all /)
        assert.match(quota("show"), /^local +requests_per_day +1 /m)
        assert.include(quota("reset", "--all", "--yes"), "requests_per_day 1")
        assert.match(quota("show"), /^(nothing has been used\n$|client )/)
      })
    )
  )

  const quota = (env: Server.Env, ...args: ReadonlyArray<string>) =>
    spawnSync(process.execPath, [Server.bin, "quota", ...args], {
      env: Server.cleanEnv(env),
      encoding: "utf8"
    })

  inLongForm(() => {
    it.scopedLive("where no server has counted yet the commands say so, and make no store", () =>
      Effect.gen(function* () {
        const home = yield* folder
        const state = join(home, "deep", "state")
        const env = { HOME: home, SNOWGUARD_STATE_DIR: state }
        const none = `no quota store at ${join(state, "quota.db")} yet: nothing has been used\n`
        assert.deepInclude(quota(env, "show"), { status: 0, stdout: none, stderr: "" })
        assert.deepInclude(quota(env, "show", "--client", "ada"), { status: 0, stdout: none, stderr: "" })
        assert.deepInclude(quota(env, "show", "--json"), {
          status: 0,
          stdout: '{"usage":[]}\n',
          stderr: none
        })
        assert.deepInclude(quota(env, "export"), { status: 0, stdout: "", stderr: none })
        assert.deepInclude(quota(env, "reset", "--all", "--yes"), { status: 0, stdout: none, stderr: "" })
        assert.deepStrictEqual(readdirSync(home), [])
        // A file without anything in it is not a store yet.
        mkdirSync(state, { recursive: true })
        writeFileSync(join(state, "quota.db"), "")
        assert.deepInclude(quota(env, "show"), { status: 0, stdout: none, stderr: "" })
        assert.deepStrictEqual(readdirSync(state), ["quota.db"])
        // Without a place for it there is no store to tell of.
        const nowhere = { ...env, SNOWGUARD_STATE_DIR: join(state, "quota.db") }
        assert.deepInclude(quota(nowhere, "show"), { status: 74, stdout: "" })
      })
    )

    it.scopedLive(
      "a store that is broken, locked or out of reach is an error, and not one that is empty",
      () =>
        Effect.gen(function* () {
          const state = yield* folder
          const env = {
            HOME: state,
            SNOWGUARD_STATE_DIR: state,
            SNOWGUARD_QUOTA_STORE_LOCK_WAIT_SECONDS: "0.1"
          }
          const path = join(state, "quota.db")
          for (const action of [["show"], ["show", "--json"], ["export"], ["reset", "--all", "--yes"]]) {
            writeFileSync(path, "this is no database, and it is longer than a header")
            const broken = quota(env, ...action)
            assert.deepInclude(broken, { status: 74, stdout: "" }, action.join(" "))
            assert.match(broken.stderr, /quota\.db is not a SQLite database; move it away/)
          }
          rmSync(path)
          yield* Effect.scoped(Server.client(env))
          assert.strictEqual(quota(env, "show").status, 0)
          const { DatabaseSync } = yield* Effect.promise(() => import("@photostructure/sqlite"))
          const held = yield* Effect.acquireRelease(
            Effect.sync(() => new DatabaseSync(path)),
            (database) => Effect.sync(() => database.close())
          )
          held.exec("BEGIN EXCLUSIVE")
          const locked = quota(env, "show")
          assert.deepInclude(locked, { status: 74, stdout: "" })
          assert.match(locked.stderr, /quota\.db has been locked by another process/)
          const away = {
            SNOWGUARD_QUOTA_STORE_KIND: "redis",
            SNOWGUARD_QUOTA_STORE_REDIS_URL: "redis://127.0.0.1:1"
          }
          assert.deepInclude(quota({ ...env, ...away }, "show"), { status: 74, stdout: "" })
        })
    )
  })

  it("what is asked at a terminal is answered by a yes; by anything else, and by no answer, with no", async () => {
    for (const [typed, expected] of [
      ["y", true],
      ["Y", true],
      ["\r", false],
      ["n", false],
      ["\u0003", "interrupted"],
      ["\u0004", false],
      ["\u001b", false],
      [undefined, false]
    ] as const) {
      const input = new PassThrough()
      const output = new PassThrough()
      const answer = Effect.runPromise(
        Effect.map(Effect.exit(confirmed("Forget it?", { input, output })), (exit) =>
          Exit.isSuccess(exit) ? exit.value : Exit.isInterrupted(exit) ? "interrupted" : exit
        )
      )
      if (typed === undefined) input.end()
      else input.write(typed)
      assert.strictEqual(await answer, expected, JSON.stringify(typed))
      assert.include(String(output.read()), "Forget it?")
    }
  })

  it.scopedLive("without its file the server does not start, and says what to do; or counts in memory", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "in-the-way")
      writeFileSync(path, "not a directory")
      const refused = yield* Server.raw({ env: { SNOWGUARD_STATE_DIR: path } })
      const { code } = yield* Effect.promise(() => refused.exited)
      assert.strictEqual(code, 74)
      assert.include(refused.stderr, path)
      assert.include(refused.stderr, 'quota_store.on_unavailable = "memory"')
      assert.deepStrictEqual([refused.messages, refused.notJson], [[], []])

      const server = yield* Server.raw({
        env: { SNOWGUARD_STATE_DIR: path, SNOWGUARD_QUOTA_STORE_ON_UNAVAILABLE: "memory" }
      })
      yield* Effect.promise(async () => {
        await server.initialize()
        const answer = await server.call(1, "list_databases")
        assert.notStrictEqual(answer.result?.isError, true)
        server.child.stdin.end()
        await server.exited
      })
      assert.include(server.stderr, "QUOTAS ARE NOT KEPT")
    })
  )
})
