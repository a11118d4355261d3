/** What goes wrong in the first minutes: a line that says what to do, the right exit code, and no more. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import type { AddressInfo } from "node:net"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Server from "../utils/server.js"
import { inLongForm } from "../utils/long.js"

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
  it.scopedLive("says that the port is taken, and how to choose another", () =>
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
      assert.match(
        stderr,
        new RegExp(`^http\\.port: cannot listen on 127\\.0\\.0\\.1:${port}: .*--port`, "m")
      )
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

  inLongForm(() => {
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
  })

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
          assert.match(stderr, /^auth\.keys_file: .*move it away/m)
          assert.notInclude(stderr, "hunter2")
        }
      })
  )

  inLongForm(() => {
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
  })

  it.scopedLive("checking the account tells when the server would not use it", () =>
    Effect.gen(function* () {
      const { code, stdout } = yield* run(["check"], { HOME: yield* folder })
      assert.strictEqual(code, 78)
      for (const setting of ["account", "user", "password"]) {
        assert.match(
          stdout,
          new RegExp(`^wrong: snowflake\\.${setting} is needed[^\\n]*: set SNOWFLAKE_`, "m")
        )
      }
      assert.match(stdout, /^note: no account is set: snowguard init /m)
      assert.match(stdout, /embedded warehouse[^\n]*\nto do: [^\n]+$/)
    })
  )
})

/** Runs the binary in a directory, as a user, through a shell where one is given, with nothing to read. */
const started = (
  args: ReadonlyArray<string>,
  options: {
    readonly cwd?: string
    readonly env?: Server.Env
    readonly without?: ReadonlyArray<string>
    readonly uid?: number
    readonly shell?: string
    readonly input?: string
  }
) =>
  Effect.promise(async (signal) => {
    const { cwd, input = "", shell, uid, without = [] } = options
    const env = Object.fromEntries(
      Object.entries(Server.cleanEnv(options.env)).filter(([name]) => !without.includes(name))
    )
    const [command, ...rest] =
      shell === undefined
        ? [process.execPath, Server.bin, ...args]
        : ["sh", "-c", shell, "sh", process.execPath, Server.bin, ...args]
    const child = spawn(command ?? "", rest, {
      env,
      signal,
      ...(cwd === undefined ? {} : { cwd }),
      ...(uid === undefined ? {} : { uid, gid: uid })
    })
    let stdout = ""
    let stderr = ""
    child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text))
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text))
    child.stdin.on("error", () => {})
    child.stdin.end(input)
    const [code] = (await once(child, "close")) as [number | null]
    assert.notMatch(stderr, /uv_|^\s+at /m)
    return { code, stdout, stderr }
  })

const message = (id: number, method: string, params: object) =>
  `${JSON.stringify({ jsonrpc: "2.0", id, method, params })}\n`

/** A client that asks for one thing. */
const oneCall =
  message(0, "initialize", {
    protocolVersion: "2025-11-25",
    capabilities: {},
    clientInfo: { name: "first", version: "1" }
  }) + message(1, "tools/call", { name: "list_databases", arguments: {} })

describe("the binary, wherever it is started", () => {
  it.scopedLive(
    "takes no setting from the working directory, and sends no login where a file there says",
    () =>
      Effect.gen(function* () {
        let connections = 0
        const listener = yield* Effect.acquireRelease(
          Effect.async<ReturnType<typeof createServer>>((resume) => {
            const listening = createServer((socket) => {
              connections += 1
              socket.destroy()
            })
            listening.listen(0, "127.0.0.1", () => resume(Effect.succeed(listening)))
          }),
          (listening) => Effect.sync(() => listening.close())
        )
        const { port } = listener.address() as AddressInfo
        const cwd = yield* folder
        const access_url = `access_url = "http://127.0.0.1:${port}"`
        writeFileSync(
          join(cwd, "snowguard.toml"),
          `[snowflake]\n${access_url}\n[audit]\nfile = "audit.jsonl"\n`
        )
        writeFileSync(
          join(cwd, "connections.toml"),
          `[default]\nhost = "127.0.0.1"\nport = ${port}\nprotocol = "http"\n`
        )
        writeFileSync(join(cwd, ".env"), `SNOWFLAKE_ACCESS_URL=http://127.0.0.1:${port}\n`)
        mkdirSync(join(cwd, ".snowflake"))
        writeFileSync(
          join(cwd, ".snowflake", "connections.toml"),
          `[default]\n${access_url}\nhost = "127.0.0.1"\n`
        )
        const before = readdirSync(cwd)
        for (const env of [{}, { HOME: "." }, { SNOWFLAKE_HOME: "." }] as ReadonlyArray<Server.Env>) {
          const account = {
            SNOWGUARD_WAREHOUSE: "snowflake",
            SNOWFLAKE_USER: "u",
            SNOWFLAKE_PASSWORD: "hunter2"
          }
          const { code, stderr } = yield* started([], { cwd, env: { ...account, ...env }, input: oneCall })
          assert.strictEqual(code, 78)
          assert.match(stderr, /snowguard\.toml.{0,3} is not read.*--config/)
          assert.match(stderr, /^snowflake\.account: is needed/m)
        }
        assert.strictEqual(connections, 0)
        assert.deepStrictEqual(readdirSync(cwd), before)
      })
  )

  it.scopedLive("reads the user's own file, and says where that is and what is served", () =>
    Effect.gen(function* () {
      const own = yield* folder
      mkdirSync(join(own, "snowguard"))
      const path = join(own, "snowguard", "snowguard.toml")
      writeFileSync(path, `client = "own"\n`)
      const env = { XDG_CONFIG_HOME: own, APPDATA: own, SNOWGUARD_STATE_DIR: join(own, "state") }
      const { code, stderr } = yield* started([], { env })
      assert.strictEqual(code, 0)
      const line = JSON.parse(stderr.split("\n")[0] ?? "") as {
        readonly message: string
        readonly annotations: object
      }
      assert.strictEqual(line.message, "starting")
      assert.deepInclude(line.annotations, {
        warehouse: "the embedded sample warehouse",
        config: path,
        state: join(own, "state")
      })
      const printed = yield* started(["--print-config"], { env })
      assert.include(printed.stdout, `# State directory: ${join(own, "state")}\n`)
      assert.include(printed.stdout, `client = "own" # file\n`)
    })
  )

  inLongForm(() => {
    it.scopedLive("says that an account is configured and not used", () =>
      Effect.gen(function* () {
        const { code, stderr } = yield* started([], { env: { SNOWFLAKE_ACCOUNT: "my-account" } })
        assert.strictEqual(code, 0)
        assert.match(stderr, /"message":"the Snowflake account my-account is configured and not used/)
        assert.notInclude((yield* started([], {})).stderr, "not used")
      })
    )
  })

  inLongForm(() => {
    it.scopedLive("works in a directory that was removed", () =>
      Effect.gen(function* () {
        const gone = (env: Server.Env = {}, args: ReadonlyArray<string> = []) =>
          Effect.flatMap(folder, (parent) => {
            const cwd = join(parent, "gone")
            mkdirSync(cwd)
            return started(args, { cwd, env, shell: 'rmdir "$PWD"; exec "$@"', input: oneCall })
          })
        const { code, stdout } = yield* gone()
        assert.strictEqual(code, 0)
        assert.include(stdout, "SNOWGUARD_SAMPLE")
        const relative = yield* gone({ SNOWGUARD_STATE_DIR: "state" })
        assert.strictEqual(relative.code, 74)
        assert.match(
          relative.stderr,
          /SNOWGUARD_STATE_DIR is relative, and the working directory does not exist/
        )
        const config = yield* gone({}, ["--config", "snowguard.toml"])
        assert.strictEqual(config.code, 78)
        assert.match(config.stderr, /^--config: .*the working directory does not exist/m)
      })
    )

    it.scopedLive(
      "works for a user without a home directory, where it is told where to keep its state",
      (context) =>
        Effect.gen(function* () {
          if (process.getuid?.() !== 0) {
            context.skip("only root can start a process as a user that the system does not know")
            return
          }
          const uid = 54_321
          // Not in the tests' own directory for temporary files, which is closed to others.
          const state = yield* Effect.acquireRelease(
            Effect.sync(() => mkdtempSync("/tmp/snowguard-homeless-")),
            (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
          )
          chmodSync(state, 0o777)
          const homeless = (
            args: ReadonlyArray<string>,
            env: Server.Env,
            without: ReadonlyArray<string> = []
          ) =>
            started(args, {
              uid,
              cwd: "/",
              env,
              without: ["HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", ...without],
              input: oneCall
            })
          const { code, stderr, stdout } = yield* homeless([], { SNOWGUARD_STATE_DIR: state })
          assert.strictEqual(code, 0, stderr)
          assert.include(stdout, "SNOWGUARD_SAMPLE")
          const nowhere = yield* homeless([], {}, ["SNOWGUARD_STATE_DIR"])
          assert.strictEqual(nowhere.code, 74)
          assert.match(nowhere.stderr, /no home directory: set SNOWGUARD_STATE_DIR/)
          // The driver looks for the home directory while it is loaded.
          const account = {
            SNOWFLAKE_ACCESS_URL: "http://127.0.0.1:1",
            SNOWFLAKE_USER: "u",
            SNOWFLAKE_PASSWORD: "hunter2",
            SNOWGUARD_STATE_DIR: state
          }
          assert.match(
            (yield* homeless(["check"], account)).stdout,
            /nothing listens at the account's address/
          )
          const memory = yield* homeless([], { SNOWGUARD_QUOTA_STORE_KIND: "memory" }, [
            "SNOWGUARD_STATE_DIR"
          ])
          assert.strictEqual(memory.code, 0)
          for (const args of [
            ["keys", "list"],
            ["http", "--port", "0"]
          ]) {
            const { code, stderr } = yield* homeless(args, { SNOWGUARD_QUOTA_STORE_KIND: "memory" }, [
              "SNOWGUARD_STATE_DIR"
            ])
            assert.strictEqual(code, 78)
            assert.match(stderr, /^auth\.keys_file: .*set SNOWGUARD_STATE_DIR/m)
          }
        })
    )

    it.scopedLive("lists at the start what a login of the account lacks", () =>
      Effect.gen(function* () {
        const home = yield* folder
        const state = join(home, "state")
        const snowflake = { SNOWGUARD_WAREHOUSE: "snowflake", HOME: home, SNOWGUARD_STATE_DIR: state }
        for (const args of [[], ["http", "--port", "0"]]) {
          const { code, stderr } = yield* started(args, { env: snowflake })
          assert.strictEqual(code, 78)
          assert.match(stderr, /^snowflake\.account: .*SNOWFLAKE_ACCOUNT.*--connection/m)
          assert.match(stderr, /^snowflake\.user: .*SNOWFLAKE_USER/m)
          assert.match(stderr, /^snowflake\.password: .*SNOWFLAKE_PASSWORD.*SNOWFLAKE_PRIVATE_KEY_FILE/m)
          const left = existsSync(state) ? readdirSync(state) : []
          assert.deepStrictEqual(
            left.filter((name) => name.endsWith(".new")),
            []
          )
        }
        const named = yield* started(["--connection", "dev"], { env: { HOME: home } })
        assert.strictEqual(named.code, 78)
        assert.match(named.stderr, /^--connection: cannot read the connection "dev"/m)
        const complete = {
          ...snowflake,
          SNOWFLAKE_ACCOUNT: "a",
          SNOWFLAKE_USER: "u",
          SNOWFLAKE_PASSWORD: "hunter2"
        }
        const { code, stderr } = yield* started([], { env: complete })
        assert.strictEqual(code, 0)
        assert.include(stderr, "the Snowflake account a, user u")
        assert.notInclude(stderr, "hunter2")
      })
    )
  })

  it.scopedLive("says on a terminal what it waits for, and how to try it", (context) =>
    Effect.gen(function* () {
      if (spawnSync("script", ["--version"]).status !== 0) {
        context.skip("there is no script(1) of util-linux to make a terminal with")
        return
      }
      const command = `'${process.execPath}' '${Server.bin}'`
      const { stdout } = yield* Effect.promise(async (signal) => {
        const child = spawn("script", ["-qec", command, "/dev/null"], { env: Server.cleanEnv(), signal })
        let stdout = ""
        const seen = new Promise<void>((resolve) => {
          child.stdout.setEncoding("utf8").on("data", (text: string) => {
            stdout += text
            if (stdout.includes("Ctrl-C")) resolve()
          })
        })
        await seen
        child.stdin.write("\u0003")
        await once(child, "close")
        return { stdout }
      })
      assert.match(stdout, /waits on stdin[\s\S]*JSON-RPC[\s\S]*demo[\s\S]*--help/)
    })
  )
})
