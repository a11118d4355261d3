/** `snowguard init`, as people and scripts run it: what it writes works, and a client starts the server with what it prints. */
import { assert, describe, it } from "@effect/vitest"
import { spawn, spawnSync } from "node:child_process"
import { generateKeyPairSync } from "node:crypto"
import { once } from "node:events"
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parse } from "smol-toml"
import { afterAll } from "vitest"
import { clients } from "../../src/cli/clients.js"
import * as Server from "../utils/server.js"
import * as Terminal from "../utils/terminal.js"
import { inLongForm, someOrAll } from "../utils/long.js"

const folder = mkdtempSync(join(tmpdir(), "snowguard-init-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const path = (name: string, text?: string): string => {
  const file = join(folder, name)
  if (text !== undefined) writeFileSync(file, text, { mode: 0o600 })
  return file
}

const key = (passphrase?: string): string =>
  generateKeyPairSync("rsa", {
    modulusLength: 2048,
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: {
      type: "pkcs8",
      format: "pem",
      ...(passphrase === undefined ? {} : { cipher: "aes-256-cbc", passphrase })
    }
  }).privateKey

const keyFile = path("agent.p8", key())
const lockedKeyFile = path("locked.p8", key("hunter2"))
const tokenFile = path("agent.token", "hunter2-token")
const csv = path("orders.csv", "ID,NAME\n1,ada\n")

let count = 0
/** A home of its own for each run. */
const home = (): string => {
  const directory = join(folder, `home-${++count}`)
  mkdirSync(directory)
  return directory
}

const envOf = (directory: string, extra: Server.Env = {}) =>
  Server.cleanEnv({ HOME: directory, XDG_CONFIG_HOME: join(directory, "config"), ...extra })

const init = (args: ReadonlyArray<string>, env = envOf(home())) => {
  const done = spawnSync(process.execPath, [Server.bin, "init", ...args], {
    env,
    encoding: "utf8",
    input: ""
  })
  assert.notMatch(done.stderr, /^\s+at /m)
  return { ...done, file: join(env["XDG_CONFIG_HOME"] ?? "", "snowguard", "snowguard.toml") }
}

const account = ["--account", "myorg-myaccount", "--user", "AGENT"]

const written: ReadonlyArray<
  readonly [args: ReadonlyArray<string>, document: object, env?: ReadonlyArray<string>]
> = [
  [["--sample"], { warehouse: "duckdb" }],
  [["--load", csv], { warehouse: "duckdb", duckdb: { load: [csv] } }],
  [
    [...account, "--key-file", keyFile, "--role", "READER", "--warehouse", "AGENTS"],
    {
      warehouse: "snowflake",
      snowflake: {
        account: "myorg-myaccount",
        user: "AGENT",
        authenticator: "snowflake_jwt",
        private_key_file: keyFile,
        role: "READER",
        warehouse: "AGENTS"
      }
    }
  ],
  [
    [...account, "--key-file", lockedKeyFile],
    {
      warehouse: "snowflake",
      snowflake: {
        account: "myorg-myaccount",
        user: "AGENT",
        authenticator: "snowflake_jwt",
        private_key_file: lockedKeyFile
      }
    },
    ["SNOWFLAKE_PRIVATE_KEY_PASSPHRASE"]
  ],
  [
    [...account, "--auth", "password"],
    {
      warehouse: "snowflake",
      snowflake: { account: "myorg-myaccount", user: "AGENT", authenticator: "snowflake" }
    },
    ["SNOWFLAKE_PASSWORD"]
  ],
  [
    [...account, "--token-file", tokenFile],
    {
      warehouse: "snowflake",
      snowflake: {
        account: "myorg-myaccount",
        user: "AGENT",
        authenticator: "programmatic_access_token",
        token_file: tokenFile
      }
    }
  ],
  [
    [...account, "--auth", "sso"],
    {
      warehouse: "snowflake",
      snowflake: { account: "myorg-myaccount", user: "AGENT", authenticator: "oauth_authorization_code" }
    }
  ]
]

describe("snowguard init, without a terminal", () => {
  for (const [args, document, secrets = []] of someOrAll(written, 2)) {
    it(`writes a file that is complete: ${args.map((arg) => arg.replace(`${folder}/`, "")).join(" ")}`, () => {
      // What this shell has of an account is not what a client has.
      const env = envOf(home(), { SNOWFLAKE_ACCOUNT: "other", SNOWFLAKE_ROLE: "ACCOUNTADMIN" })
      const { file, status, stderr, stdout } = init(args, env)
      assert.strictEqual(status, 0, stderr)
      assert.strictEqual(stdout, "")
      assert.include(stderr, `wrote ${file}`)
      const text = readFileSync(file, "utf8")
      assert.deepStrictEqual(parse(text) as object, document)
      assert.notInclude(text, "hunter2")
      if (process.getuid !== undefined) assert.strictEqual(statSync(file).mode & 0o777, 0o600)
      for (const name of secrets) {
        assert.include(stderr, `to do: set ${name} where the server starts`)
        assert.include(text, `# ${name} is read from the environment.`)
      }
      assert.strictEqual(stderr.includes("to do:"), secrets.length > 0, stderr)
      const shown = spawnSync(process.execPath, [Server.bin, "--print-config"], {
        env: envOf(join(file, "..", "..", "..")),
        encoding: "utf8"
      })
      assert.strictEqual(shown.status, 0, shown.stderr)
      assert.include(shown.stdout, file)
    })
  }

  it("takes a connection of Snowflake's own files, and names one that is not there", () => {
    const directory = home()
    mkdirSync(join(directory, ".snowflake"))
    writeFileSync(
      join(directory, ".snowflake", "connections.toml"),
      `[dev]\naccount = "myorg-dev"\nuser = "AGENT"\nauthenticator = "SNOWFLAKE_JWT"\nprivate_key_path = ${JSON.stringify(keyFile)}\n`,
      { mode: 0o600 }
    )
    const env = envOf(directory)
    const missing = init(["--connection", "prod"], env)
    assert.deepInclude(missing, { status: 78, stdout: "" })
    assert.include(missing.stderr, "prod")
    assert.isFalse(existsSync(missing.file))
    const { file, status, stderr } = init(["--connection", "dev"], env)
    assert.strictEqual(status, 0, stderr)
    assert.deepStrictEqual(parse(readFileSync(file, "utf8")) as object, {
      warehouse: "snowflake",
      snowflake: { connection: "dev" }
    })
  })

  inLongForm(() => {
    it("writes nothing that cannot work", () => {
      for (const [args, told] of [
        [[...account, "--key-file", path("none.p8")], /none\.p8 cannot be read/],
        [[...account, "--key-file", csv], /snowflake\.private_key/],
        [["--load", path("none.csv")], /none\.csv/],
        [["--account", "http://", "--user", "u", "--auth", "password"], /snowflake\.account/]
      ] as const) {
        const { file, status, stderr, stdout } = init(args)
        assert.deepStrictEqual([status, stdout], [78, ""], stderr)
        assert.match(stderr, told)
        assert.isFalse(existsSync(file))
      }
    })
  })

  const ragged = path("ragged.csv", "ID,NAME\n1,ada\n2\n")
  const twice = path("twice.csv", "id,ID,\n1,2,3\n")

  it("reads the files that it names, as the server will, and writes nothing where one of them cannot be served", () => {
    for (const [files, told] of someOrAll(
      [
        [[ragged], /wrong: \S+ragged\.csv:3: 1 value, and the first line has 2 names\n/],
        [[path("empty.csv", "")], /wrong: \S+empty\.csv:1: the first line is empty/],
        [[path("open.csv", 'ID\n"1\n')], /wrong: \S+open\.csv:2: a value in quotes does not end/],
        [[path("notes.docx", "x")], /wrong: \S+notes\.docx: its name should end in \.csv/],
        [[path("broken.parquet", "x")], /wrong: \S+broken\.parquet: /],
        [[path("none-*.csv")], /wrong: \S+none-\*\.csv: no file matches/],
        [[folder], /wrong: \S+: it is a directory/],
        // All that is wrong is told at once.
        [[ragged, csv, path("gone.json")], /gone\.json: there is no such file\n[^]*ragged\.csv:3: /]
      ] as const,
      3
    )) {
      const { file, status, stderr, stdout } = init(["--load", ...files])
      assert.deepStrictEqual([status, stdout], [78, ""], stderr)
      assert.match(stderr, told)
      assert.isFalse(existsSync(file))
    }
  })

  it("names a file that this user may not read", (context) => {
    if (process.getuid?.() === 0) {
      console.error("skipped: root may read every file")
      context.skip("root may read every file")
    }
    const secret = path("secret.csv", "ID\n1\n")
    chmodSync(secret, 0)
    const { file, status, stderr } = init(["--load", secret])
    assert.strictEqual(status, 78)
    assert.match(stderr, /wrong: \S+secret\.csv: cannot be read: /)
    assert.isFalse(existsSync(file))
  })

  inLongForm(() => {
    it("says under which names columns are served that have none of their own", () => {
      const { file, status, stderr } = init(["--load", twice])
      assert.strictEqual(status, 0, stderr)
      assert.match(
        stderr,
        /warning: \S+twice\.csv: column 2 has the name ID of another, and is called ID_2\n/
      )
      assert.match(stderr, /warning: \S+twice\.csv: column 3 has no name, and is called _\n/)
      assert.isTrue(existsSync(file))
      const { warnings } = JSON.parse(init(["--load", twice, "--json"]).stdout) as {
        readonly warnings: ReadonlyArray<string>
      }
      assert.lengthOf(warnings, 2)
    })
  })

  it("says which option is missing, or does not fit", () => {
    for (const [args, told] of someOrAll(
      [
        [[], /expected --account, --connection, --load or --sample/],
        [["--account", "a"], /expected --user/],
        [account, /expected --auth key, token, password or sso/],
        [[...account, "--auth", "key"], /expected --key-file/],
        [[...account, "--auth", "password", "--key-file", keyFile], /^--key-file: is of --auth key only/],
        [["--sample", "--load", csv], /one of --sample, --load/],
        [["--sample", "--role", "R"], /^--role: is of --account only/],
        [["--sample", "--for", "cursr"], /did you mean cursor/]
      ] as const,
      3
    )) {
      const { file, status, stderr, stdout } = init(args)
      assert.deepStrictEqual([status, stdout], [64, ""], args.join(" "))
      assert.match(stderr, told)
      assert.isFalse(existsSync(file))
    }
  })

  it("leaves a file that is there as it is, unless it is told to replace it", () => {
    const file = path("mine.toml", 'client = "mine"\n')
    const kept = init(["--sample", "--file", file])
    assert.deepInclude(kept, { status: 64, stdout: "" })
    assert.match(kept.stderr, /is there already: --yes replaces it/)
    assert.strictEqual(readFileSync(file, "utf8"), 'client = "mine"\n')
    assert.strictEqual(init(["--sample", "--file", file, "--yes"]).status, 0)
    assert.deepStrictEqual(parse(readFileSync(file, "utf8")) as object, { warehouse: "duckdb" })
  })

  it("prints what each client reads, alone on stdout, with the path of the file and no secret", () => {
    const directory = home()
    for (const { name } of someOrAll(clients, 2)) {
      const file = join(directory, `${name}.toml`)
      const env = envOf(directory, { SNOWFLAKE_PASSWORD: "hunter2" })
      const { status, stderr, stdout } = init(
        [...account, "--auth", "password", "--for", name, "--file", file],
        env
      )
      assert.strictEqual(status, 0, stderr)
      for (const part of [process.execPath, "bin.js", file, "SNOWFLAKE_PASSWORD"])
        assert.include(stdout, part)
      assert.notInclude(stdout + stderr, "hunter2")
    }
  })

  it("prints what starts the server", async () => {
    const { stdout } = init(["--load", csv, "--for", "claude-desktop"])
    const { mcpServers } = JSON.parse(stdout) as {
      readonly mcpServers: {
        readonly snowguard: {
          readonly command: string
          readonly args: Array<string>
          readonly env: Server.Env
        }
      }
    }
    const { args, command, env } = mcpServers.snowguard
    const child = spawn(command, args, { env: Server.cleanEnv(env), cwd: "/" })
    child.stderr.resume()
    let answers = ""
    const asked = (id: number, method: string, params: object) =>
      `${JSON.stringify({ jsonrpc: "2.0", id, method, params })}\n`
    child.stdin.write(
      asked(0, "initialize", {
        protocolVersion: "2025-11-25",
        capabilities: {},
        clientInfo: { name: "test", version: "1" }
      }) + asked(1, "tools/call", { name: "list_tables", arguments: { database: "LOCAL" } })
    )
    await new Promise<void>((resolve) =>
      child.stdout.setEncoding("utf8").on("data", (text: string) => {
        answers += text
        if (/"id":1\b/.test(answers)) resolve()
      })
    )
    child.stdin.end()
    const [code] = (await once(child, "close")) as [number | null]
    assert.strictEqual(code, 0)
    assert.include(answers, "ORDERS")
  })

  it("prints the same as one object with --json", () => {
    const { file, status, stdout } = init([...account, "--auth", "password", "--for", "codex", "--json"])
    assert.strictEqual(status, 0)
    const { client, ...rest } = JSON.parse(stdout) as {
      readonly client: { readonly name: string; readonly language: string; readonly text: string }
    }
    assert.deepStrictEqual(rest as object, { file, secrets: ["SNOWFLAKE_PASSWORD"], warnings: [] })
    assert.deepStrictEqual([client.name, client.language], ["codex", "toml"])
    assert.property(parse(client.text), "mcp_servers")
  })
})

describe("snowguard check, of what init has written", () => {
  const check = (env: Server.Env, ...args: ReadonlyArray<string>) =>
    spawnSync(process.execPath, [Server.bin, "check", ...args], {
      env: Server.cleanEnv(env),
      encoding: "utf8"
    })
  const linesOf = (text: string) => text.trimEnd().split("\n")

  it("opens the embedded warehouse, says what it looked at, and ends with ok", () => {
    const env = envOf(home())
    const { file } = init(["--load", csv], env)
    const done = check(env)
    assert.deepStrictEqual([done.status, done.stderr], [0, ""], done.stdout)
    assert.deepStrictEqual(linesOf(done.stdout), [
      `settings: ${file}`,
      "warehouse: the embedded warehouse, with files of your own",
      `files: ${csv}`,
      "databases: LOCAL",
      "tables: 1",
      "rows: 1",
      "ok"
    ])
    assert.deepInclude(JSON.parse(check(env, "--json").stdout), {
      ok: true,
      files: csv,
      tables: "1",
      notes: []
    })
    const sample = envOf(home())
    init(["--sample"], sample)
    const other = check(sample)
    assert.strictEqual(other.status, 0)
    assert.match(other.stdout, /with the sample\ndatabases: SNOWGUARD_SAMPLE\nok\n$/)
  })

  inLongForm(() => {
    it("tells what has become of the files since", () => {
      const env = envOf(home())
      const mine = path("mine.csv", "ID\n1\n")
      init(["--load", mine], env)
      writeFileSync(mine, "ID,NAME\n1\n")
      const { status, stdout } = check(env)
      assert.strictEqual(status, 78)
      assert.match(
        stdout,
        /\nwrong: \S+mine\.csv:2: 1 value, and the first line has 2 names\nto do: [^\n]+\n$/
      )
      rmSync(mine)
      assert.match(check(env).stdout, /\nwrong: \S+mine\.csv: there is no such file\n/)
    })

    it("does not log in to an account that this machine knows too, unless it is named", () => {
      const directory = home()
      const env = envOf(directory)
      init(["--load", csv], env)
      mkdirSync(join(directory, ".snowflake"))
      writeFileSync(
        join(directory, ".snowflake", "connections.toml"),
        '[default]\naccount = "a"\nuser = "u"\npassword = "hunter2"\nhost = "127.0.0.1"\nprotocol = "http"\nport = 1\n',
        { mode: 0o600 }
      )
      assert.match(check(env).stdout, /\nrows: 1\nok\n$/)
      const account = { ...env, SNOWFLAKE_ACCOUNT: "a", SNOWFLAKE_ACCESS_URL: "http://127.0.0.1:1" }
      const told = check(account)
      assert.strictEqual(told.status, 0)
      assert.match(told.stdout, /\nnote: a Snowflake account is set, and was not asked: [^\n]+\nok\n$/)
      assert.strictEqual(check(env, "--connection", "default").status, 69)
    })
  })
})

describe("snowguard init, at a terminal", () => {
  const asked = (answers: ReadonlyArray<readonly [question: string, typed: string]>, directory: string) =>
    Terminal.run(["init"], { answers, env: envOf(directory) })

  const test = (name: string, run: () => Promise<void>) =>
    it(name, async (context) => {
      Terminal.need(context)
      await run()
    })

  const DOWN = "\u001b[B"

  test("asks for an account, and writes what was answered", async () => {
    const directory = home()
    const { code, shown, unasked } = await asked(
      [
        ["What does it serve?", "\r"],
        ["Which account?", "myorg-myaccount\r"],
        ["As which user?", "AGENT\r"],
        ["How does it log in?", "\r"],
        ["Where is the private key?", `${keyFile}\r`],
        ["In which role?", "READER\r"],
        ["In which warehouse?", "\r"],
        ["Which client is to use it?", `${DOWN}${DOWN}\r`]
      ],
      directory
    )
    assert.deepStrictEqual([code, unasked], [0, []], shown)
    assert.deepStrictEqual(
      parse(readFileSync(join(directory, "config", "snowguard", "snowguard.toml"), "utf8")) as object,
      {
        warehouse: "snowflake",
        snowflake: {
          account: "myorg-myaccount",
          user: "AGENT",
          authenticator: "snowflake_jwt",
          private_key_file: keyFile,
          role: "READER"
        }
      }
    )
    assert.match(shown, /Cursor: ~\/\.cursor\/mcp\.json[^]*"mcpServers"/)
  })

  test("ends with nothing written at Ctrl-D, and without an answer", async () => {
    for (const key of ["\u0004", "\u001b"]) {
      const directory = home()
      const ended = await asked([["What does it serve?", key]], directory)
      assert.deepStrictEqual([ended.code, ended.unasked], [1, []], ended.shown)
      assert.include(ended.shown, "nothing was written")
      assert.isFalse(existsSync(join(directory, "config")))
    }
  })

  test("asks for a file, and tells what is wrong with it before anything is written", async () => {
    const directory = home()
    const { code, shown, unasked } = await asked(
      [
        ["What does it serve?", `${DOWN}\r`],
        ["Which file, or files?", `${path("torn.csv", "ID,NAME\n1\n")}\r`],
        ["Which other one?", "\r"],
        ["Which client is to use it?", "\r"]
      ],
      directory
    )
    assert.deepStrictEqual([code, unasked], [78, []], shown)
    assert.match(
      shown.replaceAll(/\s+/g, " "),
      /torn\.csv:2: 1 value, and the first line has 2 names nothing was written/
    )
  })

  test("asks for files and patterns one after another, until an answer is empty", async () => {
    const directory = home()
    const more = join(directory, "more")
    mkdirSync(more)
    for (const name of ["a.csv", "b.csv"]) writeFileSync(join(more, name), "ID\n1\n")
    const { code, shown, unasked } = await asked(
      [
        ["What does it serve?", `${DOWN}\r`],
        ["Which file, or files?", `${csv}\r`],
        // Corrected after it is told.
        ["1 so far", `${more}/*.csv\r`],
        ["2 so far", "\r"],
        ["Which client is to use it?", "\r"]
      ],
      directory
    )
    assert.deepStrictEqual([code, unasked], [0, []], shown)
    const written = readFileSync(join(directory, "config", "snowguard", "snowguard.toml"), "utf8")
    assert.deepStrictEqual(parse(written) as object, {
      warehouse: "duckdb",
      duckdb: { load: [csv, `${more}/*.csv`] }
    })
  })

  test("asks before it replaces a file, and Ctrl-C ends it with nothing written", async () => {
    const directory = home()
    const file = join(directory, "config", "snowguard", "snowguard.toml")
    assert.strictEqual(init(["--sample"], envOf(directory)).status, 0)
    const before = readFileSync(file, "utf8")
    const no = await asked([["Replace it?", "n"]], directory)
    assert.deepStrictEqual([no.code, no.unasked], [1, []], no.shown)
    const stopped = await asked(
      [
        ["Replace it?", "y"],
        ["What does it serve?", "\u0003"]
      ],
      directory
    )
    assert.deepStrictEqual([stopped.code, stopped.unasked], [130, []], stopped.shown)
    assert.include(stopped.shown, "nothing was written")
    assert.strictEqual(readFileSync(file, "utf8"), before)
  })
})
