/** The unit for systemd: what it says to systemd, and a server that is started as it says. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { run } from "../utils/command.js"
import { folder } from "../utils/httpProcess.js"
import { available, eventually, ran, shipped } from "../utils/ops.js"
import { bin, cleanEnv } from "../utils/server.js"

/** `Key=value` lines of all sections, in their order. */
const unit = shipped("snowguard.service")
  .split("\n")
  .flatMap((line) => {
    const [, key, value] = /^([A-Za-z]+)=(.*)$/.exec(line) ?? []
    return key === undefined || value === undefined ? [] : [[key, value] as const]
  })

const valuesOf = (name: string): ReadonlyArray<string> =>
  unit.flatMap(([key, value]) => (key === name ? [value] : []))

/** The service's environment and command, with the directories that systemd would make below this one. */
const started = (home: string) => {
  const [state, credentials, config] = [join(home, "state"), join(home, "credentials"), join(home, "etc")]
  for (const path of [state, credentials, config]) mkdirSync(path)
  const named = (text: string) =>
    text.replaceAll("%S", state).replaceAll("%d", credentials).replaceAll("/etc/snowguard", config)
  for (const credential of valuesOf("LoadCredential")) {
    writeFileSync(join(credentials, credential.split(":")[0] ?? ""), "a key")
  }
  writeFileSync(
    join(config, "snowguard.toml"),
    shipped("snowguard.toml", [
      ["/var/log/snowguard", join(home, "log")],
      ["port = 8787", "port = 0"],
      ['warehouse = "snowflake"', 'warehouse = "duckdb"']
    ])
  )
  const [program, ...args] = named(valuesOf("ExecStart")[0] ?? "").split(" ")
  assert.strictEqual(program, "/usr/bin/snowguard")
  const environment = valuesOf("Environment").map((one) => {
    const [name = "", value = ""] = named(one).split("=")
    return [name, value] as const
  })
  return { args, env: cleanEnv(Object.fromEntries(environment)), credentials, config }
}

describe("the unit for systemd", () => {
  it.scopedLive(
    "starts a server that reads its settings again at its reload, and ends with 0 at its stop",
    () =>
      Effect.gen(function* () {
        const home = yield* folder
        const { args, env } = started(home)
        const server = yield* Effect.acquireRelease(
          Effect.sync(() => {
            const child = spawn(process.execPath, [bin, ...args], { cwd: home, env })
            const ended = once(child, "close").then(([code]) => code as number | null)
            const told = { child, stderr: "", ended }
            child.stderr.setEncoding("utf8").on("data", (text: string) => (told.stderr += text))
            return told
          }),
          ({ child, ended }) =>
            Effect.promise(() => {
              child.kill("SIGKILL")
              return ended
            })
        )
        const told = (text: string) => {
          if (server.child.exitCode !== null) throw new Error(server.stderr)
          return server.stderr.includes(text)
        }
        yield* eventually(() => told('"message":"listening"'))
        const [, signal] = /^\/bin\/kill -(\w+) \$MAINPID$/.exec(valuesOf("ExecReload")[0] ?? "") ?? []
        server.child.kill(`SIG${signal}` as NodeJS.Signals)
        yield* eventually(() => told("settings were read again"))
        server.child.kill("SIGTERM")
        assert.strictEqual(yield* Effect.promise(() => server.ended), 0)
      })
  )

  it.scopedLive("gives the server its credential, and names only variables that it knows", () =>
    Effect.gen(function* () {
      const home = yield* folder
      const { config, credentials, env } = started(home)
      const file = join(config, "snowguard.toml")
      const { status, stderr, stdout } = yield* Effect.promise(() =>
        run(process.execPath, [bin, "--config", file, "--print-config"], { env })
      )
      assert.strictEqual(status, 0, stderr)
      assert.include(stdout, join(credentials, "snowflake.p8"))
      assert.include(stdout, "SNOWGUARD_SNOWFLAKE_PRIVATE_KEY_FILE")
      // Of a variable that is no setting the server says so.
      assert.notMatch(stderr, /SNOWGUARD_\w+/)
    })
  )

  it.scopedLive("is not started again where a wrong configuration would end it again", () =>
    Effect.gen(function* () {
      const home = yield* folder
      const { args, config, env } = started(home)
      writeFileSync(join(config, "snowguard.toml"), "no_such_setting = 1\n")
      const { status } = yield* Effect.promise(() => run(process.execPath, [bin, ...args], { env }))
      assert.include((valuesOf("RestartPreventExitStatus")[0] ?? "").split(" "), String(status))
      const usage = yield* Effect.promise(() => run(process.execPath, [bin, "--no-such-option"], { env }))
      assert.include((valuesOf("RestartPreventExitStatus")[0] ?? "").split(" "), String(usage.status))
      // The server ends within ten seconds by itself.
      assert.isAtLeast(Number(valuesOf("TimeoutStopSec")[0]), 15)
    })
  )

  it.runIf(available("systemd-analyze"))("passes systemd's own checks, and is well confined", () =>
    Effect.gen(function* () {
      const home = yield* folder
      const program = join(home, "snowguard")
      writeFileSync(program, "#!/bin/sh\n", { mode: 0o755 })
      const path = join(home, "snowguard.service")
      writeFileSync(path, shipped("snowguard.service", [["/usr/bin/snowguard", program]]))
      const verified = yield* ran("systemd-analyze", ["verify", "--man=no", path])
      assert.strictEqual(`${verified.status}${verified.stdout}${verified.stderr}`.trim(), "0")
      const confined = yield* ran("systemd-analyze", ["security", "--offline=true", "--threshold=20", path])
      assert.strictEqual(confined.status, 0, confined.stdout)
    }).pipe(Effect.scoped, Effect.runPromise)
  )
})
