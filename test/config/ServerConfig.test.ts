import { describe, expect, it } from "@effect/vitest"
import { Effect, Either } from "effect"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import * as ServerConfig from "../../src/config/ServerConfig.js"

const disk = (files: { readonly [path: string]: string }) => {
  const read: Array<string> = []
  const readFile = (path: string) => {
    read.push(path)
    const text = files[path]
    return text === undefined
      ? Promise.reject(Object.assign(new Error("not there"), { code: "ENOENT" }))
      : Promise.resolve(text)
  }
  return { read, readFile }
}

const user = { platform: "linux", home: "/home/ada", cwd: "/work" }

/** The user's own file. */
const own = "/home/ada/.config/snowguard/snowguard.toml"

const modes =
  (files: { readonly [path: string]: string }, mode = 0o600) =>
  (path: string) =>
    Object.keys(files).some((file) => file === path || file.startsWith(`${path}/`)) ? mode : undefined

const load = (files: { readonly [path: string]: string }, options: ServerConfig.LoadOptions = {}) =>
  ServerConfig.load({ env: {}, readFile: disk(files).readFile, mode: modes(files), user, ...options })

const report = (files: { readonly [path: string]: string }, options?: ServerConfig.LoadOptions) =>
  Effect.map(Effect.flip(load(files, options)), (faults) => faults.render().split("\n"))

const example = `
warehouse = "duckdb"            # duckdb | snowflake
[limits]
requests_per_second = 100
burst = 200
queries_per_second = 20
query_burst = 50
max_concurrent_requests = 50
max_concurrent_statements = 20
[tiers.default]
requests_per_second = 10
burst = 100
initial_tokens = 50
requests_per_hour = 3600
requests_per_day = 86400
queries_per_hour = 1800
queries_per_day = 43200
bytes_per_day = 1073741824
max_rows = 10000
[tiers.batch]
requests_per_second = 1
burst = 5
[clients.nightly-report]
tier = "batch"
`

describe("load", () => {
  it.effect("reads the example: its numbers are the defaults, and batch inherits from default", () =>
    Effect.gen(function* () {
      const { path, settings } = yield* load({ [own]: example })
      expect(path).toBe(own)
      expect(settings.limits).toEqual(ServerConfig.defaults.limits)
      expect(settings.tiers["default"]).toEqual(ServerConfig.defaults.tiers["default"])
      expect(settings.tiers["batch"]).toEqual({
        ...settings.tiers["default"],
        requestsPerSecond: 1,
        burst: 5,
        initialTokens: 5
      })
      expect(ServerConfig.tierOf(settings, "nightly-report")).toBe("batch")
    })
  )

  it.effect("lets the environment win over the file, and the file over the defaults", () =>
    Effect.gen(function* () {
      const { settings, sources } = yield* load(
        { [own]: "client = 'file'\nwarehouse = 'snowflake'" },
        { env: { SNOWGUARD_CLIENT: "env" } }
      )
      expect([settings.client, settings.warehouse, settings.log.level]).toEqual(["env", "snowflake", "info"])
      expect(["client", "warehouse", "log.level"].map((key) => sources.get(key)?.source)).toEqual([
        "env",
        "file",
        "default"
      ])
    })
  )

  it.effect("is content without a file when none is named", () =>
    Effect.gen(function* () {
      const { path, settings } = yield* load({})
      expect(path).toBeUndefined()
      expect(settings).toEqual(ServerConfig.defaults)
    })
  )

  it.effect("reads one file only: --config, or SNOWGUARD_CONFIG, or the user's own", () =>
    Effect.gen(function* () {
      const files = { "/a.toml": "client = 'a'", "/work/b.toml": "client = 'b'", [own]: "client = 'c'" }
      const { read, readFile } = disk(files)
      const client = (options: ServerConfig.LoadOptions) =>
        Effect.map(load(files, { readFile, ...options }), ({ settings }) => settings.client)
      const env = { SNOWGUARD_CONFIG: "/work/b.toml" }
      expect(yield* client({ configPath: "/a.toml", env })).toBe("a")
      expect(yield* client({ env })).toBe("b")
      expect(yield* client({})).toBe("c")
      expect(yield* client({ env: { SNOWGUARD_CONFIG: "" } })).toBe("c")
      expect(yield* client({ configPath: "b.toml" })).toBe("b")
      expect(yield* client({ env: { SNOWGUARD_CONFIG: "~/.config/snowguard/snowguard.toml" } })).toBe("c")
      expect(read).toEqual(["/a.toml", "/work/b.toml", own, own, "/work/b.toml", own])
    })
  )

  it.effect("takes nothing from the working directory, says so, and says how to use the file", () =>
    Effect.gen(function* () {
      const stray = "/work/snowguard.toml"
      const files = {
        [stray]: "client = 'stray'\n[snowflake]\naccess_url = 'http://127.0.0.1:1'",
        [own]: "client = 'own'"
      }
      const { read, readFile } = disk(files)
      for (const env of [{}, { HOME: "." }, { XDG_CONFIG_HOME: "." }, { HOME: "", XDG_CONFIG_HOME: "" }]) {
        const { notes, path, settings } = yield* load(files, { readFile, env })
        expect([path, settings.client, settings.snowflake.accessUrl]).toEqual([own, "own", undefined])
        expect(notes).toEqual([
          expect.stringMatching(/"\/work\/snowguard\.toml" is not read.*--config.*SNOWGUARD_CONFIG/)
        ])
      }
      expect(new Set(read)).toEqual(new Set([own]))
      const homeless = yield* load(files, { readFile, user: { ...user, home: undefined } })
      expect([homeless.path, homeless.settings.client]).toEqual([undefined, "local"])
      expect(homeless.notes).toHaveLength(1)
      // Whoever names it wants it.
      for (const options of [{ configPath: "snowguard.toml" }, { env: { SNOWGUARD_CONFIG: stray } }]) {
        const { notes, settings } = yield* load(files, options)
        expect([settings.client, notes]).toEqual(["stray", []])
      }
      expect((yield* load({ [own]: "" })).notes).toEqual([])
    })
  )

  it.effect("says which variables depend on the directory that the server is started in", () =>
    Effect.gen(function* () {
      const env = { SNOWGUARD_CONFIG: "b.toml", SNOWGUARD_STATE_DIR: "state" }
      const { notes, settings } = yield* load({ "/work/b.toml": "client = 'b'" }, { env })
      expect(settings.client).toBe("b")
      expect(notes).toEqual([
        expect.stringMatching(/^SNOWGUARD_CONFIG is "b\.toml".*absolute/),
        expect.stringMatching(/^SNOWGUARD_STATE_DIR is "state".*absolute/)
      ])
      const absolute = { SNOWGUARD_CONFIG: "/work/b.toml", SNOWGUARD_STATE_DIR: "~/state" }
      expect((yield* load({ "/work/b.toml": "" }, { env: absolute })).notes).toEqual([])
    })
  )

  it.effect("starts the paths of a file at that file, and those of a variable at the working directory", () =>
    Effect.gen(function* () {
      const text =
        "[audit]\nfile = 'log/audit.jsonl'\n[snowflake]\nprivate_key_file = '~/k.p8'\ntoken_file = '/t'"
      const env = { SNOWGUARD_AUTH_KEYS_FILE: "keys.json", SNOWGUARD_RESULTS_CURSOR_KEY_FILE: "~/cursor" }
      const { settings } = yield* load(
        { "/etc/snowguard/s.toml": text },
        { configPath: "/etc/snowguard/s.toml", env }
      )
      expect([settings.audit.file, settings.snowflake.privateKeyFile, settings.snowflake.tokenFile]).toEqual([
        "/etc/snowguard/log/audit.jsonl",
        "/home/ada/k.p8",
        "/t"
      ])
      expect([settings.auth.keysFile, settings.results.cursorKeyFile]).toEqual([
        "/work/keys.json",
        "/home/ada/cursor"
      ])
      const nowhere = { user: { ...user, home: undefined, cwd: undefined }, env }
      expect(yield* report({}, nowhere)).toEqual([
        expect.stringMatching(/^SNOWGUARD_AUTH_KEYS_FILE: "keys\.json" is relative/),
        expect.stringMatching(/^SNOWGUARD_RESULTS_CURSOR_KEY_FILE: "~\/cursor" starts at the home directory/)
      ])
    })
  )

  it.effect("starts each file that is to be loaded where it was said, and lets the command line decide", () =>
    Effect.gen(function* () {
      const files = {
        "/etc/s.toml": "[duckdb]\ndatabase = 'w.duckdb'\nload = ['exports/*.csv', '~/a.json', '/abs.parquet']"
      }
      const of = (options: ServerConfig.LoadOptions) =>
        Effect.map(load(files, { configPath: "/etc/s.toml", ...options }), ({ settings }) => settings.duckdb)
      expect(yield* of({})).toMatchObject({
        database: "/etc/w.duckdb",
        load: ["/etc/exports/*.csv", "/home/ada/a.json", "/abs.parquet"],
        sample: undefined
      })
      const env = { SNOWGUARD_DUCKDB_LOAD: "b.csv, c/*.csv", SNOWGUARD_DUCKDB_DATABASE: "x.duckdb" }
      expect(yield* of({ env })).toMatchObject({
        database: "/work/x.duckdb",
        load: ["/work/b.csv", "/work/c/*.csv"]
      })
      expect((yield* of({ env, load: ["d.csv", "/e.csv"] })).load).toEqual(["/work/d.csv", "/e.csv"])
      expect(
        yield* report(files, { load: ["d.csv"], env: { SNOWGUARD_WAREHOUSE: "snowflake" }, account: false })
      ).toEqual([
        "--load: loads files into the embedded warehouse, and SNOWGUARD_WAREHOUSE chooses a Snowflake account"
      ])
    })
  )

  it.effect("refuses a file that is named and cannot be read, and says what else is wrong", () =>
    Effect.gen(function* () {
      const files = { [own]: "client = 'not read'" }
      expect(yield* report(files, { configPath: "no.toml", env: { SNOWGUARD_LIMITS_BURST: "abc" } })).toEqual(
        [
          "--config: cannot read /work/no.toml: there is no such file",
          'SNOWGUARD_LIMITS_BURST: expected a whole number from 1 to 1000000, got "abc"'
        ]
      )
      expect(yield* report(files, { env: { SNOWGUARD_CONFIG: "/no.toml" } })).toEqual([
        "SNOWGUARD_CONFIG: cannot read /no.toml: there is no such file"
      ])
      expect(yield* report(files, { configPath: "" })).toEqual([
        '--config: expected the path of a configuration file, got ""'
      ])
      expect(yield* report(files, { configPath: "x.toml", user: { ...user, cwd: undefined } })).toEqual([
        '--config: "x.toml" is relative, and the working directory does not exist'
      ])
    })
  )

  it.effect("refuses the user's own file when it is there and cannot be read", () =>
    Effect.gen(function* () {
      const denied = () => Promise.reject(Object.assign(new Error("no"), { code: "EACCES" }))
      expect(yield* report({}, { readFile: denied })).toEqual([
        `${own}: cannot read ${own}: permission denied`
      ])
    })
  )

  it.effect("takes an empty variable for one that is not set", () =>
    Effect.gen(function* () {
      const env = Object.fromEntries(
        [
          "SNOWGUARD_CLIENT",
          "SNOWGUARD_LIMITS_BURST",
          "SNOWGUARD_HTTP_ALLOWED_HOSTS",
          "SNOWGUARD_SNOWFLAKE_PASSWORD",
          "SNOWGUARD_TIERS_BATCH_BURST",
          "SNOWGUARD_NO_SUCH_SETTING",
          "SNOWGUARD_CONFIG",
          "SNOWGUARD_STATE_DIR",
          "SNOWFLAKE_ACCOUNT",
          "SNOWFLAKE_PASSWORD"
        ].map((name) => [name, ""])
      )
      const files = { [own]: "client = 'file'\n[http]\nallowed_hosts = ['a.example']" }
      expect((yield* load(files, { env })).settings).toEqual((yield* load(files)).settings)
    })
  )

  it.effect("says where a syntax error is, and shows nothing of the file", () =>
    Effect.gen(function* () {
      const files = { "/x.toml": 'password = "hunter2"\npassword = "hunter3"\n' }
      const [syntax, other, ...rest] = yield* report(files, {
        configPath: "/x.toml",
        env: { SNOWGUARD_NOPE: "1", SNOWGUARD_CLIENTS_A_TIER: "perhaps-in-the-file" }
      })
      expect(syntax).toMatch(/^\/x\.toml:2:1: .*already defined/)
      expect(syntax).not.toContain("hunter")
      expect(other).toBe("SNOWGUARD_NOPE: unknown setting")
      expect(rest).toEqual([])
    })
  )

  it.effect("reports everything at once, each with its place", () =>
    Effect.gen(function* () {
      const faults = yield* Effect.flip(
        load(
          { [own]: "[limits]\nbursts = 1\nburst = '1'\n[clients.a]\ntier = 'x'" },
          { env: { SNOWGUARD_BREAKER_PROBES: "0", SNOWGUARD_LIMITS_BURSTS: "1" } }
        )
      )
      expect(faults._tag).toBe("ConfigFaults")
      expect(faults.faults).toEqual([
        { key: "limits.bursts", source: "file", message: "unknown key", nearest: "limits.burst" },
        {
          key: "limits.burst",
          source: "file",
          message: 'expected a whole number from 1 to 1000000, got "1"'
        },
        {
          key: "SNOWGUARD_BREAKER_PROBES",
          source: "env",
          message: "expected a whole number from 1 to 100, got 0"
        },
        {
          key: "SNOWGUARD_LIMITS_BURSTS",
          source: "env",
          message: "unknown setting",
          nearest: "SNOWGUARD_LIMITS_BURST"
        },
        { key: "clients.a.tier", source: "file", message: 'tiers has no "x"' }
      ])
      expect(faults.render().split("\n")[0]).toBe(
        `limits.bursts (${own}): unknown key; did you mean limits.burst?`
      )
      expect(faults.message).toBe(faults.render())
    })
  )

  it.effect("refuses dates and numbers that no setting can be", () =>
    Effect.gen(function* () {
      const text = "client = 2020-01-01\n[limits]\nburst = nan\nquery_burst = inf\nmax_queued = 1.5"
      expect(yield* report({ [own]: text })).toEqual([
        `client (${own}): expected a name of at most 128 letters, digits and . _ @ : -, beginning with a letter or a digit, and not with "snowguard:", got a date`,
        `limits.burst (${own}): expected a whole number from 1 to 1000000, got NaN`,
        `limits.query_burst (${own}): expected a whole number from 1 to 1000000, got Infinity`,
        `limits.max_queued (${own}): expected a whole number from 0 to 1000000, got 1.5`
      ])
    })
  )

  it.effect("reads the disk and the process's environment when nothing else is given", () =>
    Effect.gen(function* () {
      const path = fileURLToPath(new URL("../../package.json", import.meta.url))
      const faults = yield* Effect.flip(ServerConfig.load({ configPath: path }))
      // It is there, and it is not TOML.
      expect(faults.faults[0]).toMatchObject({ key: path, source: "file", line: 1, column: 1 })
      expect(readFileSync(path, "utf8")).toMatch(/^\{/)
    })
  )
})

describe("--print-config", () => {
  it.effect("prints a file that loads to the same settings", () =>
    Effect.gen(function* () {
      const first = yield* load({ [own]: example }, { env: { SNOWGUARD_DUCKDB_THREADS: "7" } })
      const second = yield* load({ [own]: ServerConfig.printConfig(first) })
      expect(second.settings).toEqual(first.settings)
      expect(second.settings.duckdb.threads).toBe(7)
    })
  )
})

describe("ServerConfig", () => {
  it.effect("is a service, made from settings or from the environment", () =>
    Effect.gen(function* () {
      const client = Effect.map(ServerConfig.ServerConfig, (settings) => settings.client)
      const env = { SNOWGUARD_CLIENT: "env" }
      const fromEnv = ServerConfig.layerFromEnv({ env, readFile: disk({}).readFile, user })
      expect(yield* Effect.provide(client, ServerConfig.layer(ServerConfig.defaults))).toBe("local")
      expect(yield* Effect.provide(client, fromEnv)).toBe("env")
    })
  )

  it("decodes a file that is already parsed", () => {
    const decoded = ServerConfig.decode({ document: { client: "x" }, path: "y.toml" })
    expect(Either.map(decoded, ({ path, settings }) => [path, settings.client])).toEqual(
      Either.right(["y.toml", "x"])
    )
  })
})

describe("which warehouse a command means", () => {
  it.each<readonly [said: string, config: string, connection: string | undefined, isEmbedded: boolean]>([
    ["nothing: an account", "", undefined, false],
    ["the embedded one", 'warehouse = "duckdb"', undefined, true],
    ["files of one's own", '[duckdb]\nload = ["/data/orders.csv"]', undefined, true],
    ["a connection beside files: its account", '[duckdb]\nload = ["/data/orders.csv"]', "dev", false]
  ])("%s", async (_, config, connection, isEmbedded) => {
    const loaded = await Effect.runPromise(load({ [own]: config }))
    expect(ServerConfig.meansEmbedded(loaded, connection)).toBe(isEmbedded)
  })
})
