import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { chmodSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const bin = fileURLToPath(new URL("../dist/bin.js", import.meta.url))

const run = (args: ReadonlyArray<string>, env: { readonly [name: string]: string } = {}, input = "") =>
  spawnSync(process.execPath, [bin, ...args], {
    env: { PATH: process.env["PATH"], ...env },
    encoding: "utf8",
    input
  })

const obeyed = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e]/

describe("what the commands print", () => {
  const sql = "SELECT '\u001b[2J\u009b31m\u202e' AS \"\u001b]0;x\u0007\""

  it("holds nothing of a statement that a terminal obeys", () => {
    for (const statement of [sql, `DROP TABLE "\u001b[2J"`, `SELECT * FROM \u001b[2J`]) {
      const text = run(["check-sql"], {}, statement)
      assert.match(text.stdout, /^(accepted|refused)/)
      assert.notMatch(text.stdout + text.stderr, obeyed)
    }
    const json = run(["check-sql", "--json"], {}, sql)
    assert.notMatch(json.stdout, obeyed)
    assert.include((JSON.parse(json.stdout) as { readonly canonical: string }).canonical, "\u001b[2J")
  })

  it("holds nothing of an argument or a setting that a terminal obeys", () => {
    const wrong = run(["\u001b[2Jx"])
    assert.notStrictEqual(wrong.status, 0)
    assert.notMatch(wrong.stderr, obeyed)
    const setting = run(["stdio"], { SNOWGUARD_WAREHOUSE: "\u001b[2Jx" })
    assert.strictEqual(setting.status, 78)
    assert.notMatch(setting.stderr, obeyed)
  })
})

describe.skipIf(process.getuid === undefined)("a state directory that everybody may write to", () => {
  it("holds no keys that are believed: the start is refused with the command that mends it", () => {
    const directory = mkdtempSync(join(tmpdir(), "snowguard-open-"))
    try {
      const env = { SNOWGUARD_STATE_DIR: directory, SNOWGUARD_HTTP_PORT: "0" }
      assert.strictEqual(run(["keys", "create", "alice"], env).status, 0)
      chmodSync(directory, 0o777)
      for (const args of [["http"], ["keys", "list"], ["keys", "create", "bob"]]) {
        const { status, stderr } = run(args, env)
        assert.strictEqual(status, 78, args.join(" "))
        assert.include(stderr, `chmod 700 ${directory}`)
      }
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  })
})
