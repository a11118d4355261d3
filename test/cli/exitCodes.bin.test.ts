/** What every command ends with, and what it prints where: a table over the built binary. */
import { assert, describe, it } from "@effect/vitest"
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll } from "vitest"
import { exitCodes } from "../../src/cli/Commands.js"
import * as Server from "../utils/server.js"
import * as Terminal from "../utils/terminal.js"
import { inLongForm, isLong, shortOrLong, someOrAll } from "../utils/long.js"

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
  { args: ["check"], code: 0, env: { SNOWGUARD_WAREHOUSE: "duckdb" } },

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
  usage(
    ["check-sql", "--tier", "none", "SELECT 1"],
    /^--tier: there is no tier none in the configuration, which has default\n/
  ),
  usage(["check", "--tier", "golden"], /^--tier: there is no tier golden in the configuration/),
  usage(["limits", "explain", "--client", "ada", "--tier", "golden"], /^--tier: there is no tier golden /),
  usage(["admin", "call"], /^admin call: expected cancel\n/),
  usage(["admin", "call", "cancel"], /^admin call cancel: expected ID\n/),
  usage(["admin", "call", "cncel", "5"], /did you mean admin call cancel\?\n/),
  // Before anything is said of a server that starts.
  usage(["http", "--port", "abc"], /^--port: expected a whole number from 0 to 65535\n/),
  usage(["demo", "--outage", "--speed", "0"], /^--speed: expected a whole number from 1 to 100\n/),
  usage(["quota", "reset"], /^quota reset: expected --client NAME, or --all /),
  usage(["quota", "reset", "--all", "--client", "ada"], /not both/),
  usage(
    ["quota", "reset", "--client", "ada"],
    /no terminal to ask at: --yes answers "Forget what ada has used\?"\n/
  ),
  usage(["quota", "reset", "--all"], /--yes answers "Forget what every client has used\?"\n/),
  usage(["quota", "show", "--yes"], /^--yes: an option of quota reset, not of quota show\n/),

  { args: ["check"], code: 69, env: account },
  { args: ["quota", "show"], code: 74, env: { SNOWGUARD_STATE_DIR: file }, told: /file/, silent: true },
  { args: ["check"], code: 78 },
  { args: ["--print-config", "--config", wrongConfig], code: 78, told: /log\.level/, silent: true }
]

describe("the exit code, and what is on stdout and on stderr", () => {
  // One row for each code, and some of the many of 64.
  const first = cases.filter((one, n) => cases.findIndex(({ code }) => code === one.code) === n)
  for (const { args, code, env, silent = false, told } of isLong
    ? cases
    : [
        ...new Set([
          ...first,
          ...someOrAll(
            cases.filter(({ args: [name] }) => name !== "keys"),
            4
          )
        ])
      ]) {
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
    for (const [args, code] of isLong
      ? printing
      : printing.filter(([[name]]) => name !== "keys" && name !== "help")) {
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
  const nowhere = ["--url", "http://127.0.0.1:1"]
  /** What is asked, and what a yes leads to. */
  const asking: ReadonlyArray<
    readonly [args: ReadonlyArray<string>, question: string, code: number, told: RegExp]
  > = [
    [["quota", "reset", "--client", "ada"], "Forget what ada has used?", 0, /nothing to forget of ada/],
    [["admin", "call", "cancel", "81", ...nowhere], "Cancel the call 81?", 1, /no server answers/],
    [["admin", "quota", "reset", "ada", ...nowhere], "Forget what ada has used?", 1, /no server answers/],
    [["admin", "breaker", "open", ...nowhere], "Stop the statements of all clients", 1, /no server answers/],
    [["admin", "ladder", "pin", "emergency", ...nowhere], "in the mode emergency", 1, /no server answers/]
  ]
  // Something has to be in the store that is asked about.
  beforeAll(() => {
    const message = (id: number, method: string, params: object) =>
      `${JSON.stringify({ jsonrpc: "2.0", id, method, params })}\n`
    const hello = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "t", version: "1" } }
    const call = { name: "list_databases", arguments: {} }
    run([], {}, message(0, "initialize", hello) + message(1, "tools/call", call))
  })

  for (const [args, question, code, told] of someOrAll(asking, 1)) {
    it(`${args.slice(0, 3).join(" ")} asks, does nothing without a yes, and does not ask with --yes`, async (context) => {
      Terminal.need(context)
      const answered = (typed: string) =>
        Terminal.run(args, { answers: [[question, typed]], columns: 60, env })
      for (const typed of shortOrLong(["n", "\u0003"], ["n", "\r", "\u0003", "\u0004"])) {
        const no = await answered(typed)
        assert.deepStrictEqual([no.code, no.unasked], [typed === "\u0003" ? 130 : 1, []], no.shown)
        assert.match(no.plain, /\nnothing was changed\n$/)
        assert.notMatch(no.plain, told)
      }
      const yes = await answered("y")
      assert.deepStrictEqual([yes.code, yes.unasked], [code, []], yes.shown)
      assert.match(yes.plain, told)
      const sure = await Terminal.run([...args, "--yes"], { env })
      assert.strictEqual(sure.code, code)
      assert.notInclude(sure.plain, question)
      // A script is not asked; one that forgets what was used has to say so.
      const script = run(args)
      if (args.includes("reset")) {
        assert.strictEqual(script.status, 64)
        assert.match(script.stderr, /reset: there is no terminal to ask at: --yes answers "Forget what ada/)
      } else assert.notMatch(script.stderr, /no terminal/)
    })
  }

  it("keys revoke asks, and revokes after a yes", async (context) => {
    Terminal.need(context)
    run(["keys", "create", "ida"])
    const revoke = (typed: string) =>
      Terminal.run(["keys", "revoke", "ida"], { answers: [["Revoke ida?", typed]], env })
    const no = await revoke("n")
    assert.deepStrictEqual([no.code, no.unasked], [1, []], no.shown)
    assert.match(no.plain, /\nnothing was changed\n$/)
    const yes = await revoke("y")
    assert.deepStrictEqual([yes.code, yes.unasked], [0, []], yes.shown)
    assert.match(yes.plain, /revoked: /)
  })

  inLongForm(() => {
    it("keys revoke asks nothing where there is no such key, or none that is not revoked", async (context) => {
      Terminal.need(context)
      run(["keys", "create", "gone"])
      run(["keys", "revoke", "gone"])
      for (const [name, told] of [
        ["nobody", /there is no key/],
        ["gone", /it was revoked before/]
      ] as const) {
        const ended = await Terminal.run(["keys", "revoke", name], { env })
        assert.strictEqual(ended.code, 1, ended.shown)
        assert.match(ended.plain, told)
        assert.notInclude(ended.plain, "Revoke")
      }
    })
  })

  it("what is long goes on below, behind what it is about, in the width of the terminal", async (context) => {
    Terminal.need(context)
    for (const args of someOrAll(
      [
        ["check-sql", "DROP TABLE t"],
        ["check"],
        ["limits", "explain", "--client", "ada"],
        ["keys", "list"],
        ["quota", "show"],
        ["quota", "reset", "--client", "n".repeat(20), "--all"],
        [
          "limits",
          "simulate",
          "--audit",
          join(folder, "none"),
          join(folder, "other"),
          join(folder, "one more")
        ],
        ["init", "--load", "none.csv", "--sample"],
        ["admin", "status", "--url", "http://127.0.0.1:1"]
      ],
      3
    )) {
      const { plain } = await Terminal.run(args, { columns: 60, env: { ...env, NO_COLOR: "1" } })
      const lines = plain.trimEnd().split("\n")
      assert.isAtLeast(lines.length, 2, plain)
      for (const line of lines) assert.isAtMost(line.length, 60, line)
    }
  })

  it("the help fits its width, with headings in bold", async (context) => {
    Terminal.need(context)
    const { code, shown } = await Terminal.run(["help", "quota"], { columns: 60, env })
    assert.strictEqual(code, 0)
    assert.include(shown, "\u001b[1mActions:\u001b[0m")
    for (const line of shown.replaceAll("\r", "").split("\n")) {
      const plain = line.replaceAll(/\u001b\[\d+m/g, "")
      if (!plain.startsWith("  snowguard ")) assert.isAtMost(plain.length, 60, plain)
    }
  })
})
