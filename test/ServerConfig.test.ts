import { describe, expect, it } from "@effect/vitest"
import { Effect, Either } from "effect"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import * as ServerConfig from "../src/ServerConfig.js"

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

const load = (files: { readonly [path: string]: string }, options: ServerConfig.LoadOptions = {}) =>
  ServerConfig.load({ env: {}, readFile: disk(files).readFile, ...options })

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
      const { path, settings } = yield* load({ "snowguard.toml": example })
      expect(path).toBe("snowguard.toml")
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
        { "snowguard.toml": "client = 'file'\nwarehouse = 'snowflake'" },
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

  it.effect("reads one file only: --config, or SNOWGUARD_CONFIG, or ./snowguard.toml", () =>
    Effect.gen(function* () {
      const files = { "a.toml": "client = 'a'", "b.toml": "client = 'b'", "snowguard.toml": "client = 'c'" }
      const { read, readFile } = disk(files)
      const client = (options: ServerConfig.LoadOptions) =>
        Effect.map(ServerConfig.load({ env: {}, readFile, ...options }), ({ settings }) => settings.client)
      const env = { SNOWGUARD_CONFIG: "b.toml" }
      expect(yield* client({ configPath: "a.toml", env })).toBe("a")
      expect(yield* client({ env })).toBe("b")
      expect(yield* client({})).toBe("c")
      expect(read).toEqual(["a.toml", "b.toml", "snowguard.toml"])
    })
  )

  it.effect("refuses a file that is named and cannot be read, and says what else is wrong", () =>
    Effect.gen(function* () {
      const files = { "snowguard.toml": "client = 'not read'" }
      expect(yield* report(files, { configPath: "no.toml", env: { SNOWGUARD_LIMITS_BURST: "abc" } })).toEqual(
        [
          "--config: cannot read no.toml: there is no such file",
          'SNOWGUARD_LIMITS_BURST: expected a whole number from 1 to 1000000, got "abc"'
        ]
      )
      expect(yield* report(files, { env: { SNOWGUARD_CONFIG: "no.toml" } })).toEqual([
        "SNOWGUARD_CONFIG: cannot read no.toml: there is no such file"
      ])
      expect(yield* report(files, { env: { SNOWGUARD_CONFIG: "" } })).toEqual([
        'SNOWGUARD_CONFIG: expected the path of a configuration file, got ""'
      ])
      expect(yield* report(files, { configPath: "" })).toEqual([
        '--config: expected the path of a configuration file, got ""'
      ])
    })
  )

  it.effect("refuses ./snowguard.toml when it is there and cannot be read", () =>
    Effect.gen(function* () {
      const denied = () => Promise.reject(Object.assign(new Error("no"), { code: "EACCES" }))
      expect(yield* report({}, { readFile: denied })).toEqual([
        "snowguard.toml: cannot read snowguard.toml: permission denied"
      ])
    })
  )

  it.effect("says where a syntax error is, and shows nothing of the file", () =>
    Effect.gen(function* () {
      const files = { "x.toml": 'password = "hunter2"\npassword = "hunter3"\n' }
      const [syntax, other, ...rest] = yield* report(files, {
        configPath: "x.toml",
        env: { SNOWGUARD_NOPE: "1", SNOWGUARD_CLIENTS_A_TIER: "perhaps-in-the-file" }
      })
      expect(syntax).toMatch(/^x\.toml:2:1: .*already defined/)
      expect(syntax).not.toContain("hunter")
      expect(other).toBe("SNOWGUARD_NOPE: unknown setting")
      expect(rest).toEqual([])
    })
  )

  it.effect("reports everything at once, each with its place", () =>
    Effect.gen(function* () {
      const faults = yield* Effect.flip(
        load(
          { "snowguard.toml": "[limits]\nbursts = 1\nburst = '1'\n[clients.a]\ntier = 'x'" },
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
        "limits.bursts (snowguard.toml): unknown key; did you mean limits.burst?"
      )
      expect(faults.message).toBe(faults.render())
    })
  )

  it.effect("refuses dates and numbers that no setting can be", () =>
    Effect.gen(function* () {
      const text = "client = 2020-01-01\n[limits]\nburst = nan\nquery_burst = inf\nmax_queued = 1.5"
      expect(yield* report({ "snowguard.toml": text })).toEqual([
        "client (snowguard.toml): expected a name of letters, digits and . _ @ : - (128 at most), got a date",
        "limits.burst (snowguard.toml): expected a whole number from 1 to 1000000, got NaN",
        "limits.query_burst (snowguard.toml): expected a whole number from 1 to 1000000, got Infinity",
        "limits.max_queued (snowguard.toml): expected a whole number from 0 to 1000000, got 1.5"
      ])
    })
  )

  it.effect("reads the disk and the process's environment when nothing else is given", () =>
    Effect.gen(function* () {
      const path = fileURLToPath(new URL("../package.json", import.meta.url))
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
      const first = yield* load({ "snowguard.toml": example }, { env: { SNOWGUARD_DUCKDB_THREADS: "7" } })
      const second = yield* load({ "snowguard.toml": ServerConfig.printConfig(first) })
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
      const fromEnv = ServerConfig.layerFromEnv({ env, readFile: disk({}).readFile })
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
