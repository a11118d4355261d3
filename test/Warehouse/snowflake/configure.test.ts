import { describe, expect, it } from "@effect/vitest"
import { Effect, Logger, Redacted } from "effect"
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { defaults } from "../../../src/ServerConfig.js"
import { options } from "../../../src/Warehouse/snowflake/configure.js"

const home = (toml: string, mode = 0o600) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const path = mkdtempSync(join(tmpdir(), "snowguard-connections-"))
      mkdirSync(join(path, ".snowflake"))
      const file = join(path, ".snowflake", "connections.toml")
      writeFileSync(file, toml)
      chmodSync(file, mode)
      return path
    }),
    (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
  )

const none = defaults.snowflake
const resolved = (given: Partial<typeof none>, home: string, env: Record<string, string> = {}) =>
  Effect.gen(function* () {
    const { login, ...rest } = yield* options({ ...none, ...given }, { env, home })
    return { ...rest, login: yield* login }
  })

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

describe("connections.toml", () => {
  it.scoped("says everything when nothing else does, by its default or by a name", () =>
    Effect.gen(function* () {
      const path = yield* home(toml)
      const first = yield* resolved({}, path)
      expect(first).toMatchObject({ warehouse: "WH", login: { account: "org-acct", user: "reader" } })
      expect(Redacted.value(first.login.password!)).toBe("hunter2")
      writeFileSync(join(path, "key.pem"), "a key\n")
      const dev = yield* resolved({ connection: "dev", role: "OTHER" }, path)
      expect(dev).toMatchObject({ role: "OTHER", login: { account: "org-dev" } })
      expect(Redacted.value(dev.login.privateKey!)).toBe("a key")
      const moved = yield* resolved({}, "/nonexistent", { SNOWFLAKE_HOME: join(path, ".snowflake") })
      expect(moved.login.account).toBe("org-acct")
    })
  )

  it.scoped("is left alone when an account is set", () =>
    Effect.gen(function* () {
      const path = yield* home("not toml [")
      const { login } = yield* resolved({ account: "a", password: Redacted.make("p") }, path)
      expect(login).toMatchObject({ account: "a", user: undefined })
    })
  )

  it.scoped("is told what is wrong with it, and nothing that is in it", () =>
    Effect.gen(function* () {
      const path = yield* home(toml)
      const message = (given: Partial<typeof none>, where = path) =>
        Effect.map(
          Effect.flip(resolved(given, where)),
          ({ description, reason }) => `${reason}: ${description}`
        )
      expect(yield* message({ connection: "dve" })).toMatch(/no connection "dve"; did you mean "dev"\?/)
      expect(yield* message({ connection: "x" }, "/nonexistent")).toMatch(/there is no such file/)
      expect(yield* message({}, "/nonexistent")).toMatch(/no account is set/)
      expect(yield* message({ connection: "dev" })).toMatch(/private_key_file: .*there is no such file/)
      const broken = yield* home(`[default]\npassword = "hunter2" "hunter3"`)
      const said = yield* message({}, broken)
      expect(said).toMatch(/not valid TOML \(line 2\)/)
      expect(said).not.toContain("hunter")
    })
  )

  it.scoped("that others can read is warned about, in Snowflake's own words for it", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const logger = Logger.replace(
        Logger.defaultLogger,
        Logger.make(({ message }) => void lines.push(String(message)))
      )
      yield* Effect.provide(resolved({}, yield* home(toml)), logger)
      expect(lines).toEqual([])
      yield* Effect.provide(resolved({}, yield* home(toml, 0o644)), logger)
      expect(lines.join()).toMatch(/can be read by others.*chmod 600/)
      expect(lines.join()).not.toContain("hunter")
    })
  )
})
