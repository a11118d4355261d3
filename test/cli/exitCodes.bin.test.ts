/** What every command ends with, and what it prints where: a table over the built binary. */
import { assert, describe, it } from "@effect/vitest"
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll } from "vitest"
import { exitCodes } from "../../src/cli/Commands.js"
import * as Server from "../utils/server.js"

const folder = mkdtempSync(join(tmpdir(), "snowguard-codes-"))
const file = join(folder, "file")
const wrongConfig = join(folder, "wrong.toml")
writeFileSync(file, "")
writeFileSync(wrongConfig, 'log = { level = "loud" }\n')
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const env = Server.cleanEnv({ SNOWGUARD_STATE_DIR: join(folder, "state"), HOME: folder })

const run = (args: ReadonlyArray<string>, extra: Server.Env = {}, input = "") =>
  spawnSync(process.execPath, [Server.bin, ...args], { env: { ...env, ...extra }, encoding: "utf8", input })

const account = {
  SNOWFLAKE_ACCOUNT: "a",
  SNOWFLAKE_USER: "u",
  SNOWFLAKE_PASSWORD: "hunter2",
  SNOWFLAKE_ACCESS_URL: "http://127.0.0.1:1"
}

interface Case {
  readonly args: ReadonlyArray<string>
  readonly code: number
  /** What stderr says; nothing when absent. */
  readonly told?: RegExp
  /** Nothing is on stdout. */
  readonly silent?: boolean
  readonly env?: Server.Env
}

const usage = (args: ReadonlyArray<string>, told: RegExp): Case => ({ args, code: 64, told, silent: true })

const cases: ReadonlyArray<Case> = [
  { args: ["--version"], code: 0 },
  { args: ["--help"], code: 0 },
  { args: ["help", "quota", "reset"], code: 0 },
  { args: ["--print-config"], code: 0 },
  { args: ["completion", "zsh"], code: 0 },
  { args: ["completion", "zsh", "--config", wrongConfig], code: 0 },
  { args: ["check-sql", "SELECT 1"], code: 0 },
  { args: ["keys", "create", "ada"], code: 0, told: /^This is the key [0-9a-f]{12} of ada\./ },
  { args: ["keys", "list"], code: 0 },
  { args: ["keys", "revoke", "ada"], code: 0 },
  { args: ["quota", "show"], code: 0 },
  { args: ["quota", "reset", "--client", "ada", "--yes"], code: 0 },
  { args: ["limits", "explain", "--client", "ada"], code: 0 },

  { args: ["check-sql", "DROP TABLE t"], code: 1 },
  { args: ["keys", "revoke", "nobody"], code: 1, told: /^there is no key/, silent: true },
  { args: ["keys", "revoke", "ada"], code: 1, told: /^ada: it was revoked before/, silent: true },
  {
    args: ["admin", "status", "--url", "http://127.0.0.1:1"],
    code: 1,
    told: /^no server answers/,
    silent: true
  },
  {
    args: ["limits", "simulate", "--audit", join(folder, "none")],
    code: 1,
    told: /no such file/,
    silent: true
  },

  usage(["frobnicate"], /^frobnicate: unknown command\n/),
  usage(["chek"], /^chek: unknown command; did you mean check\?\n/),
  usage(["keys"], /^keys: expected create, list or revoke\nsnowguard help keys /),
  usage(["keys", "crate", "ada"], /did you mean keys create\?\n/),
  usage(["keys", "create"], /^keys create: expected NAME\nsnowguard help keys create /),
  usage(["keys", "create", "bad name!"], /^keys: .*\nsnowguard help keys create /),
  usage(["keys", "create", "ada", "--tier", "defualt"], /^--tier: .*; did you mean default\?\n/),
  usage(["check-sql", "--tier", "none", "SELECT 1"], /^--tier: there is no tier none\n/),
  // Before anything is said of a server that starts.
  usage(["http", "--port", "abc"], /^--port: expected a whole number from 0 to 65535\n/),
  usage(["demo", "--outage", "--speed", "0"], /^--speed: expected a whole number from 1 to 100\n/),
  usage(["quota", "reset"], /^quota reset: expected --client NAME, or --all /),
  usage(["quota", "reset", "--all", "--client", "ada"], /not both/),
  usage(["quota", "reset", "--client", "ada"], /no terminal to ask at: --yes forgets what ada has used\n/),
  usage(["quota", "reset", "--all"], /--yes forgets what every client has used\n/),
  usage(["quota", "show", "--yes"], /^--yes: an option of quota reset, not of quota show\n/),

  { args: ["check"], code: 69, env: account },
  { args: ["quota", "show"], code: 74, env: { SNOWGUARD_STATE_DIR: file }, told: /file/, silent: true },
  { args: ["check"], code: 78 },
  { args: ["--print-config", "--config", wrongConfig], code: 78, told: /log\.level/, silent: true }
]

describe("the exit code, and what is on stdout and on stderr", () => {
  for (const { args, code, env, silent = false, told } of cases) {
    const line = args.map((arg) => arg.replace(`${folder}/`, "")).join(" ")
    it(`is ${code} for snowguard ${line}${env === undefined ? "" : ` (${Object.keys(env)[0] ?? ""})`}`, () => {
      const { status, stderr, stdout } = run(args, env)
      assert.strictEqual(status, code, stderr)
      if (told === undefined) assert.strictEqual(stderr, "")
      else assert.match(stderr, told)
      assert.strictEqual(stdout === "", silent, stdout)
      assert.notMatch(stdout + stderr, /\u001b|^\s+at /m)
    })
  }

  it("is one of those that the help and the documentation explain", () => {
    const page = readFileSync(new URL("../../docs/operating.md", import.meta.url), "utf8")
    for (const [code] of exitCodes) assert.match(page, new RegExp(`^\\| ${code} \\| \\S`, "m"))
    const explained = new Set(exitCodes.map(([code]) => code))
    for (const { code } of cases) assert.isTrue(explained.has(code), String(code))
    // An interruption, and a reader that goes away, have tests of their own.
    const others = [...explained].filter((code) => !cases.some((one) => one.code === code))
    assert.deepStrictEqual(others, [130, 141])
  })

  it("is 130 for a command that is interrupted, and 0 for a server", async () => {
    for (const [args, code] of [
      [["demo", "--outage", "--json"], 130],
      [["emulator", "--json"], 0]
    ] as const) {
      const child = spawn(process.execPath, [Server.bin, ...args], { env })
      let stderr = ""
      child.stderr.setEncoding("utf8").on("data", (text: string) => void (stderr += text))
      await once(child.stdout, "data")
      child.kill("SIGINT")
      child.stdout.resume()
      const [ended] = (await once(child, "close")) as [number | null]
      assert.deepStrictEqual([ended, stderr], [code, ""], args.join(" "))
    }
  })

  it("comes with no colours on a pipe, unless they are forced", () => {
    const bold = "\u001b[1mOptions:"
    assert.notInclude(run(["help", "keys"]).stdout, bold)
    assert.include(run(["help", "keys"], { FORCE_COLOR: "1" }).stdout, bold)
  })
})

describe("--json", () => {
  const printing: ReadonlyArray<readonly [args: ReadonlyArray<string>, code: number]> = [
    [["--version"], 0],
    [["--help"], 0],
    [["help", "keys"], 0],
    [["--print-config"], 0],
    [["keys", "create", "eve"], 0],
    [["keys", "list"], 0],
    [["keys", "revoke", "eve"], 0],
    [["keys", "revoke", "eve"], 1],
    [["quota", "show"], 0],
    [["quota", "reset", "--all", "--yes"], 0],
    [["limits", "explain", "--client", "eve"], 0],
    [["check"], 78],
    [["check-sql", "SELECT 1"], 0],
    [["check-sql", "DROP TABLE t"], 0]
  ]

  it("makes each line of what commands print one value of JSON", () => {
    for (const [args, code] of printing) {
      const { status, stdout } = run([...args, "--json"])
      assert.strictEqual(status, code, args.join(" "))
      const lines = stdout.trimEnd().split("\n")
      assert.strictEqual(lines.length, 1, args.join(" "))
      const value: unknown = JSON.parse(lines[0] ?? "")
      assert.isTrue(typeof value === "object" && value !== null, args.join(" "))
    }
  })
})

describe("at a terminal", () => {
  const hasScript = spawnSync("script", ["--version"]).status === 0
  const atTerminal = (args: ReadonlyArray<string>, typed: string, extra: Server.Env = {}) => {
    const command = [process.execPath, Server.bin, ...args].map((word) => `'${word}'`).join(" ")
    const { status, stdout } = spawnSync("script", ["-qec", `stty cols 60; ${command}`, "/dev/null"], {
      env: { ...env, TERM: "xterm", ...extra },
      encoding: "utf8",
      input: typed
    })
    return { status, shown: stdout.replaceAll("\r", "") }
  }

  it("quota reset asks, and anything but a yes resets nothing", (context) => {
    if (!hasScript) {
      console.error("skipped: there is no script(1) of util-linux to make a terminal with")
      context.skip()
    }
    const no = atTerminal(["quota", "reset", "--client", "ada"], "n\n")
    assert.strictEqual(no.status, 1)
    assert.match(no.shown, /Forget what ada has used\? \[y\/N\] [^]*nothing was reset/)
    const yes = atTerminal(["quota", "reset", "--client", "ada"], "y\n")
    assert.strictEqual(yes.status, 0)
    assert.match(yes.shown, /nothing to forget of ada/)
  })

  it("what is long goes on below, behind what it is about, in the width of the terminal", (context) => {
    if (!hasScript) {
      console.error("skipped: there is no script(1) of util-linux to make a terminal with")
      context.skip()
    }
    for (const args of [
      ["check-sql", "DROP TABLE t"],
      ["check"],
      ["limits", "explain", "--client", "ada"],
      ["keys", "list"]
    ]) {
      const { shown } = atTerminal(args, "", { NO_COLOR: "1" })
      const lines = shown.trimEnd().split("\n")
      assert.isAtLeast(lines.length, 3, shown)
      for (const line of lines) assert.isAtMost(line.length, 60, line)
    }
  })

  it("the help fits its width, with headings in bold", (context) => {
    if (!hasScript) {
      console.error("skipped: there is no script(1) of util-linux to make a terminal with")
      context.skip()
    }
    const { shown, status } = atTerminal(["help", "quota"], "")
    assert.strictEqual(status, 0)
    assert.include(shown, "\u001b[1mActions:\u001b[0m")
    for (const line of shown.split("\n")) {
      const plain = line.replaceAll(/\u001b\[\d+m/g, "")
      if (!plain.startsWith("  snowguard ")) assert.isAtMost(plain.length, 60, plain)
    }
  })
})
