import { assert, describe, it } from "@effect/vitest"
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { chmodSync, existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { inLongForm } from "../utils/long.js"

const bin = fileURLToPath(new URL("../../dist/bin.js", import.meta.url))

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

  inLongForm(() => {
    it("says which dialect a statement was read in", () => {
      assert.match(run(["check-sql", "SELECT 1"]).stdout, /dialect: duckdb, of the configured warehouse/)
      assert.match(
        run(["check-sql", "--dialect", "snowflake", "DROP TABLE t"]).stdout,
        /dialect: snowflake\n/
      )
      const json = run(["check-sql", "--json", "--dialect", "snowflake", "SELECT 1"])
      assert.include(JSON.parse(json.stdout), { accepted: true, dialect: "snowflake" })
    })
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

/** What reads the first line and then goes, as `head -1` does. */
const readOneLine = async (args: ReadonlyArray<string>, input = "") => {
  const child = spawn(process.execPath, [bin, ...args], { env: { PATH: process.env["PATH"] } })
  let stderr = ""
  child.stderr.setEncoding("utf8").on("data", (text: string) => void (stderr += text))
  child.stdout.once("data", () => child.stdout.destroy())
  child.stdin.on("error", () => {})
  child.stdin.end(input)
  const [code] = (await once(child, "close")) as [number | null]
  return { code, stderr }
}

describe("a command whose reader goes away", () => {
  it("ends without a word, as a program that SIGPIPE ended", async () => {
    const many = `${JSON.stringify({ sql: `SELECT '${"x".repeat(10_000)}'` })}\n`.repeat(200)
    assert.deepStrictEqual(await readOneLine(["check-sql"], many), { code: 141, stderr: "" })
    assert.deepStrictEqual(await readOneLine(["check-sql", "--json"], many), { code: 141, stderr: "" })
  })

  it.skipIf(!existsSync("/dev/full"))("says what is wrong when the disk is full", () => {
    const { status, stderr } = spawnSync(
      "/bin/sh",
      ["-c", `"$0" "$1" --help > /dev/full`, process.execPath, bin],
      {
        encoding: "utf8"
      }
    )
    assert.deepInclude({ status, stderr }, { status: 74, stderr: "the output cannot be written: ENOSPC\n" })
  })
})

describe("--print-config --json", () => {
  it("is the configuration in effect, with where each value comes from, and no secret", () => {
    const { status, stdout } = run(["--print-config", "--json"], {
      SNOWGUARD_HTTP_PORT: "8123",
      SNOWFLAKE_PASSWORD: "hunter2"
    })
    assert.strictEqual(status, 0)
    assert.notInclude(stdout, "hunter2")
    const { settings } = JSON.parse(stdout) as {
      readonly settings: ReadonlyArray<{ readonly [name: string]: unknown }>
    }
    const one = (name: string) => settings.find((one) => one["setting"] === name) ?? {}
    assert.deepStrictEqual(one("http.port"), {
      setting: "http.port",
      value: 8123,
      source: "env",
      from: "SNOWGUARD_HTTP_PORT"
    })
    assert.deepInclude(one("log.level"), { value: "info", source: "default" })
    assert.deepInclude(one("tiers.default.burst"), { value: 100 })
    assert.deepInclude(one("audit.file"), { value: null, source: null })
  })
})

describe("snowguard keys", () => {
  const within = <A>(work: (env: { readonly [name: string]: string }) => A): A => {
    const directory = mkdtempSync(join(tmpdir(), "snowguard-keys-"))
    try {
      return work({ SNOWGUARD_STATE_DIR: directory })
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  }

  inLongForm(() => {
    it("prints a new key alone, so that a shell can keep it, and the rest on stderr", () =>
      within((env) => {
        const { status, stderr, stdout } = run(["keys", "create", "ada"], env)
        assert.strictEqual(status, 0)
        assert.match(stdout, /^sg_[0-9a-f]{12}_[A-Za-z0-9_-]{43}\n$/)
        assert.match(stderr, /^This is the key [0-9a-f]{12} of ada\. It is not shown again\.\n$/)
        assert.notInclude(stderr, stdout.trim())
        const json = run(["keys", "create", "ada", "--json"], env)
        assert.strictEqual(json.stderr, "")
        assert.strictEqual((JSON.parse(json.stdout) as { readonly client: string }).client, "ada")
      }))

    inLongForm(() => {
      it("lists what each column is, and which keys were revoked", () =>
        within((env) => {
          run(["keys", "create", "ada", "--tier", "default", "--admin"], env)
          run(["keys", "create", "bob"], env)
          run(["keys", "revoke", "bob"], env)
          const [header = "", ...rows] = run(["keys", "list"], env).stdout.trimEnd().split("\n")
          assert.match(header, /^id +client +tier +admin +created +state$/)
          assert.match(rows[0] ?? "", /^[0-9a-f]{12} +ada +default +yes +\S+Z +active$/)
          assert.match(rows[1] ?? "", /^[0-9a-f]{12} +bob +- +- +\S+Z +revoked \S+Z$/)
          for (const column of ["client", "tier", "admin", "created", "state"]) {
            const at = header.indexOf(column)
            for (const row of rows) assert.match(row.slice(at - 1, at + 1), /^ \S$/, column)
          }
        }))
    })
  })

  describe.skipIf(process.getuid === undefined)("a state directory that every user may write to", () => {
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
})
