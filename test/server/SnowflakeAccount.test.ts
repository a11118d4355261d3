import { describe, expect, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { defaults } from "../../src/config/ServerConfig.js"
import { allFaults, faults, options } from "../../src/server/SnowflakeAccount.js"

const none = defaults.snowflake
const login = (given: Partial<typeof none>) =>
  Effect.flatMap(options({ ...none, ...given }), (made) => made.login)

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "snowguard-login-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

describe("the login of the settings", () => {
  it.scoped("reads keys and tokens from their files each time", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "key.pem")
      const again = yield* options({ ...none, account: "a", privateKeyFile: path })
      const missing = yield* Effect.flip(again.login)
      expect(missing.description).toBe(
        `snowflake.private_key_file: ${path} cannot be read: there is no such file.`
      )
      for (const key of ["a key", "another key"]) {
        writeFileSync(path, `${key}\n`)
        expect(Redacted.value((yield* again.login).privateKey!)).toBe(key)
      }
      const token = yield* login({ account: "a", tokenFile: path })
      expect(Redacted.value(token.token!)).toBe("another key")
    })
  )

  it.effect("needs to know which account", () =>
    Effect.gen(function* () {
      const { description, reason } = yield* Effect.flip(login({}))
      expect([reason, description]).toEqual(["Configuration", expect.stringMatching(/^no account is set/)])
      expect(yield* login({ accessUrl: "http://h" })).toMatchObject({ accessUrl: "http://h" })
    })
  )

  it("that can never work is known before the first one", () => {
    const missing = (given: Partial<typeof none>) =>
      faults({ ...none, ...given }).map(({ setting }) => setting)
    const password = Redacted.make("p")
    expect(missing({})).toEqual(["account", "user", "password"])
    expect(missing({ account: "a" })).toEqual(["user", "password"])
    expect(missing({ account: "a", user: "u", password })).toEqual([])
    expect(missing({ accessUrl: "http://h", user: "u", password })).toEqual([])
    expect(missing({ account: "a", user: "u", authenticator: "snowflake_jwt" })).toEqual(["private_key"])
    expect(missing({ account: "a", user: "u", privateKey: password })).toEqual(["private_key"])
    expect(missing({ account: "a", user: "u", authenticator: "oaut" })).toEqual(["authenticator", "token"])
    expect(missing({ account: "a", authenticator: "nothing like one" })).toEqual(["authenticator"])
    // What is in a file may come later.
    expect(missing({ account: "a", user: "u", privateKeyFile: "/nowhere" })).toEqual([])
    expect(missing({ account: "a", authenticator: "oauth", tokenFile: "/nowhere" })).toEqual([])
    expect(missing({ account: "a", tokenFile: "/nowhere" })).toEqual(["authenticator"])
  })

  it.scoped("is told with everything that is wrong with it at once, files included", () =>
    Effect.gen(function* () {
      const wrong = (given: Partial<typeof none>) =>
        Effect.map(allFaults({ ...none, ...given }), (found) => found.map(({ setting }) => setting))
      const path = join(yield* folder, "key.pem")
      expect(yield* wrong({})).toEqual(["account", "user", "password"])
      expect(yield* wrong({ privateKeyFile: path, tokenFile: path })).toEqual([
        "account",
        "user",
        "private_key_file",
        "token_file"
      ])
      writeFileSync(path, "no key")
      expect(yield* wrong({ privateKeyFile: path })).toEqual(["account", "user", "private_key"])
      expect(yield* wrong({ account: "a b", user: "u", authenticator: "snowflake_jw" })).toEqual([
        "account",
        "authenticator",
        "private_key"
      ])
      expect(yield* wrong({ account: "a", user: "u", password: Redacted.make("p") })).toEqual([])
    })
  )
})
