import { describe, expect, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { parse } from "smol-toml"
import { translate } from "../../src/config/Connections.js"
import * as ServerConfig from "../../src/config/ServerConfig.js"

const connections = "/home/ada/.snowflake/connections.toml"
const config = "/home/ada/.snowflake/config.toml"

const toml = `
[default]
account = "org-acct"
user = "reader"
password = "hunter2"
warehouse = "WH"
[dev]
account = "org-dev"
user = "dev"
private_key_file = "~/key.pem"
role = "analyst"
`

type Files = { readonly [path: string]: string }

const load = (files: Files, options: ServerConfig.LoadOptions = {}, mode = 0o600) =>
  ServerConfig.load({
    env: { SNOWGUARD_WAREHOUSE: "snowflake", ...options.env },
    user: { platform: "linux", home: "/home/ada", cwd: "/work" },
    readFile: (path) =>
      files[path] === undefined
        ? Promise.reject(Object.assign(new Error("not there"), { code: "ENOENT" }))
        : Promise.resolve(files[path]),
    mode: (path) =>
      Object.keys(files).some((file) => file === path || file.startsWith(`${path}/`)) ? mode : undefined,
    ...Object.fromEntries(Object.entries(options).filter(([name]) => name !== "env"))
  })

const account = (files: Files, options?: ServerConfig.LoadOptions) =>
  Effect.map(load(files, options), ({ settings }) => settings.snowflake)

const faults = (files: Files, options?: ServerConfig.LoadOptions) =>
  Effect.map(Effect.flip(load(files, options)), (found) => found.render().split("\n"))

describe("a connection of Snowflake's own files", () => {
  it.effect("says everything of the account when nothing else does, by its default or by a name", () =>
    Effect.gen(function* () {
      const first = yield* account({ [connections]: toml })
      expect(first).toMatchObject({ account: "org-acct", user: "reader", warehouse: "WH" })
      expect(Redacted.value(first.password!)).toBe("hunter2")
      const dev = { account: "org-dev", privateKeyFile: "/home/ada/key.pem", role: "analyst" }
      const byName = { SNOWFLAKE_DEFAULT_CONNECTION_NAME: "dev" }
      expect(yield* account({ [connections]: toml }, { env: byName })).toMatchObject(dev)
      expect(yield* account({ [connections]: toml }, { connection: "dev" })).toMatchObject(dev)
      const over = yield* account(
        { [connections]: toml },
        { connection: "dev", env: { SNOWFLAKE_ROLE: "R" } }
      )
      expect(over).toMatchObject({ ...dev, role: "R" })
      const moved = { env: { SNOWFLAKE_HOME: "/srv/snow" } }
      expect(yield* account({ "/srv/snow/connections.toml": toml }, moved)).toMatchObject({ user: "reader" })
      const platform = { "/home/ada/.config/snowflake/connections.toml": toml }
      expect(yield* account(platform)).toMatchObject({ user: "reader" })
    })
  )

  it.effect("may be in the command line tool's config.toml, which may say which one is the default", () =>
    Effect.gen(function* () {
      const cli = `default_connection_name = "prod"\n[connections.prod]\naccount = "org-prod"\nuser = "u"\n[cli.logs]\nlevel = "info"`
      expect(yield* account({ [config]: cli })).toMatchObject({ account: "org-prod" })
      expect(yield* account({ [config]: cli, [connections]: toml }, { connection: "dev" })).toMatchObject({
        account: "org-dev"
      })
      const both = { [config]: `${cli}\n[connections.dev]\naccount = "other"`, [connections]: toml }
      expect(yield* account(both, { connection: "dev" })).toMatchObject({ account: "org-dev" })
      expect(yield* account(both)).toMatchObject({ account: "org-prod" })
      expect(
        yield* faults({ [config]: `default_connection_name = "prd"\n[connections.prod]\nuser = "u"` })
      ).toEqual([`/home/ada/.snowflake: there is no connection "prd" in ${config}; did you mean prod?`])
    })
  )

  it.effect("is named by --connection, which then asks for the account unless another warehouse is set", () =>
    Effect.gen(function* () {
      const warehouse = (env: { readonly [name: string]: string }) =>
        Effect.map(
          load({ [connections]: toml }, { connection: "dev", env: { SNOWGUARD_WAREHOUSE: "", ...env } }),
          ({ settings }) => settings.warehouse
        )
      expect(yield* warehouse({})).toBe("snowflake")
      expect(yield* warehouse({ SNOWGUARD_WAREHOUSE: "duckdb" })).toBe("duckdb")
    })
  )

  it.effect("is left alone when an account is set, or is not needed", () =>
    Effect.gen(function* () {
      const broken = { [connections]: "not toml [" }
      const { settings } = yield* load(broken, { env: { SNOWFLAKE_ACCOUNT: "a" } })
      expect(settings.snowflake).toMatchObject({ account: "a", user: undefined })
      expect((yield* load(broken, { env: { SNOWGUARD_WAREHOUSE: "duckdb" } })).notes).toEqual([])
      expect((yield* load(broken, { account: false })).notes).toEqual([])
    })
  )

  it.effect("reports what is wrong with it and where it was named, and nothing of its content", () =>
    Effect.gen(function* () {
      const files = { [connections]: toml }
      expect(yield* faults(files, { connection: "dve" })).toEqual([
        `--connection: there is no connection "dve" in ${connections}; did you mean dev?`
      ])
      expect(yield* faults(files, { env: { SNOWFLAKE_DEFAULT_CONNECTION_NAME: "dve" } })).toEqual([
        expect.stringMatching(/^SNOWFLAKE_DEFAULT_CONNECTION_NAME: there is no connection "dve"/)
      ])
      expect(yield* faults({}, { connection: "x" })).toEqual([
        expect.stringMatching(
          /^--connection: .*no connections\.toml and no config\.toml in \/home\/ada\/\.snowflake$/
        )
      ])
      const homeless = { user: { platform: "linux", home: undefined, cwd: "/work" } }
      expect(yield* faults({}, { connection: "x", ...homeless })).toEqual([
        expect.stringMatching(/^--connection: .*SNOWFLAKE_HOME/)
      ])
      expect((yield* load({}, homeless)).settings.snowflake.account).toBeUndefined()
      expect((yield* load({})).settings.snowflake.account).toBeUndefined()
      const said = yield* faults({ [connections]: `[default]\npassword = "hunter2" "hunter3"` })
      expect(said).toEqual([`${connections}:2: is not valid TOML`])
      const types = yield* faults({
        [connections]: `[default]\naccount = 7\npassword = 4711\nport = "hunter2"\nprotocol = "ftp"`
      })
      expect(types).toEqual([
        `connection default (${connections}): protocol: expected "https" or "http"`,
        `connection default (${connections}): port: expected a whole number from 1 to 65535`
      ])
      expect(yield* faults({ [connections]: `[default]\naccount = 7\npassword = 4711` })).toEqual([
        `connection default (${connections}): account: expected a text on one line, got 7`,
        `connection default (${connections}): password: expected a text, got something else (not shown)`
      ])
    })
  )

  it.effect("is never taken from the working directory", () =>
    Effect.gen(function* () {
      const files = { "/work/.snowflake/connections.toml": toml, "/work/connections.toml": toml }
      for (const env of [{ SNOWFLAKE_HOME: ".snowflake" }, { SNOWFLAKE_HOME: "." }, { HOME: "." }, {}]) {
        const { notes, settings } = yield* load(files, { env })
        expect(settings.snowflake.account).toBeUndefined()
        expect(notes).toEqual(
          "SNOWFLAKE_HOME" in env ? [expect.stringMatching(/^SNOWFLAKE_HOME is not used.*absolute/)] : []
        )
      }
    })
  )

  it.effect("names the keys that it has no use for, and says that others can read it", () =>
    Effect.gen(function* () {
      const files = { [connections]: `${toml}acount = "hunter2"\n[dev.session_parameters]\nX = "hunter2"` }
      const { notes } = yield* load(files, { connection: "dev" }, 0o644)
      expect(notes).toEqual([
        `${connections} can be read by others on this machine; run: chmod 600 ${connections}`,
        `not used of the connection "dev" in ${connections}: acount (did you mean account?), session_parameters`
      ])
      expect((yield* load({ [connections]: toml })).notes).toEqual([])
    })
  )

  it.effect("is shown by --print-config with its source, without its secrets", () =>
    Effect.gen(function* () {
      const printed = ServerConfig.printConfig(
        yield* load({ [connections]: toml }, { env: { SNOWFLAKE_ROLE: "R" } }),
        ["State directory: /s"]
      )
      expect(printed).toContain("# State directory: /s\n")
      expect(printed).toContain(`account = "org-acct" # connection default (${connections})\n`)
      expect(printed).toContain(`password = "<redacted>" # connection default (${connections})\n`)
      expect(printed).toContain(`role = "R" # env SNOWFLAKE_ROLE\n`)
      expect(printed).not.toContain("hunter2")
      const named = ServerConfig.printConfig(yield* load({ [connections]: toml }, { connection: "dev" }))
      expect(named).toContain(`connection = "dev" # --connection\n`)
    })
  )
})

describe("the address of a connection", () => {
  const none = { account: undefined, accessUrl: undefined }
  const of = (text: string, told: Parameters<typeof translate>[1] = none) => {
    const { faults, values } = translate(parse(text), told)
    return faults.length > 0 ? faults.map(({ key }) => key) : [values["account"], values["access_url"]]
  }

  it("is the account's own, or what host, port and protocol say", () => {
    expect(of(`account = "a"`)).toEqual(["a", undefined])
    expect(of(`account = "a"\nport = 443\nprotocol = "HTTPS"`)).toEqual(["a", undefined])
    expect(of(`account = "a"\nregion = "eu-central-1"`)).toEqual(["a.eu-central-1", undefined])
    expect(of(`account = "a.b"\nregion = "c"`)).toEqual(["a.b", undefined])
    expect(of(`account = "a"\nhost = "h.example"`)).toEqual(["a", "https://h.example"])
    expect(of(`account = "a"\nhost = "h.example"\nport = 8443`)).toEqual(["a", "https://h.example:8443"])
    expect(of(`account = "a"\nhost = "h"\nport = "80"\nprotocol = "http"`)).toEqual(["a", "http://h"])
    expect(of(`account = "a"\nport = 8082\nprotocol = "http"`)).toEqual([
      "a",
      "http://a.snowflakecomputing.com:8082"
    ])
    expect(of(`host = "127.0.0.1"\nport = 8085\nprotocol = "http"`)).toEqual([
      undefined,
      "http://127.0.0.1:8085"
    ])
    expect(of(`account = "a"\nhost = ""\nport = ""\nprotocol = ""`)).toEqual(["a", undefined])
  })

  it("is refused when it is none", () => {
    for (const port of [`0`, `65536`, `1.5`, `-1`, `"x"`, `"80 "`, `true`]) {
      expect(of(`account = "a"\nport = ${port}`)).toEqual(["port"])
    }
    expect(of(`account = "a"\nprotocol = "ftp"`)).toEqual(["protocol"])
    expect(of(`account = "a"\nhost = "u:p@h"`)).toEqual(["host"])
    expect(of(`account = "a"\nhost = "h/path"`)).toEqual(["host"])
    expect(of(`account = "a"\nhost = 1`)).toEqual(["host"])
  })

  it("is not that of another account, or of an address, that is said elsewhere", () => {
    const text = `account = "a"\nhost = "h.example"\nport = 8443`
    expect(of(text, { ...none, account: "other" })).toEqual([undefined, undefined])
    expect(of(text, { ...none, accessUrl: "https://x" })).toEqual([undefined, undefined])
    expect(of(text, { ...none, account: "a" })).toEqual(["a", "https://h.example:8443"])
  })
})
