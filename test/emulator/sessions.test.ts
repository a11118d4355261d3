import { generateKeyPairSync } from "node:crypto"
import { existsSync, readdirSync } from "node:fs"
import { join } from "node:path"
import { expect } from "@effect/vitest"
import { Effect } from "effect"
import type { ConnectionOptions } from "snowflake-sdk"
import * as Driver from "./driver.js"
import * as Emulator from "../../src/emulator/Emulator.js"
import * as Shared from "./shared.js"
import { withLayer } from "../utils/withLayer.js"

const options: Parameters<typeof Shared.layer>[0] = {
  sample: true,
  roles: ["SYSADMIN", "ANALYST"],
  warehouses: ["COMPUTE_WH", "BIG_WH"],
  tokens: ["a-known-token"]
}

const privateKey = () =>
  generateKeyPairSync("rsa", { modulusLength: 2048 })
    .privateKey.export({ type: "pkcs8", format: "pem" })
    .toString()

withLayer(Shared.layer(options))("sessions of the emulator", (it) => {
  const whoAmI = (more: Partial<ConnectionOptions>) =>
    Effect.gen(function* () {
      const connection = yield* Driver.connect(yield* Shared.Shared, more)
      return (yield* Driver.rows(connection, "SELECT CURRENT_USER()"))[0]?.[0]
    })

  it.effect("are opened with a password, a key pair, OAuth and an access token", () =>
    Effect.gen(function* () {
      expect(yield* whoAmI({})).toBe("SNOWGUARD")
      expect(yield* whoAmI({ authenticator: "SNOWFLAKE_JWT", privateKey: privateKey() })).toBe("SNOWGUARD")
      expect(yield* whoAmI({ authenticator: "OAUTH", token: "a-known-token" })).toBe("SNOWGUARD")
      expect(yield* whoAmI({ authenticator: "PROGRAMMATIC_ACCESS_TOKEN", token: "a-known-token" })).toBe(
        "SNOWGUARD"
      )
      expect(yield* whoAmI({ password: "a-known-token" })).toBe("SNOWGUARD")
    })
  )

  it.effect("are refused with the code of what was wrong", () =>
    Effect.gen(function* () {
      const code = (more: Partial<ConnectionOptions>) =>
        Effect.map(Effect.flip(whoAmI(more)), (error) => ("code" in error ? error.code : undefined))
      expect(yield* code({ password: "guess" })).toBe("390100")
      expect(yield* code({ username: "NOBODY" })).toBe("390100")
      expect(yield* code({ authenticator: "OAUTH", token: "forged" })).toBe("390303")
      expect(yield* code({ authenticator: "PROGRAMMATIC_ACCESS_TOKEN", token: "forged" })).toBe("394400")
      expect(yield* code({ role: "NO_SUCH_ROLE" })).toBe("390189")
    })
  )

  it.effect("are refused to a user with any code, and cost a second factor where one is set", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const emulator = yield* Emulator.start({
          sample: false,
          users: { PLAIN: "p", BARRED: "p", PUSHED: "p", CODED: "p" },
          refusals: { barred: "394304" },
          secondFactors: {
            PUSHED: { push: { answer: "approve", afterMs: 10 } },
            CODED: { passcodes: ["111111"], push: { answer: "deny", afterMs: 10 } }
          }
        })
        const login = (username: string, more: Partial<ConnectionOptions> = {}) =>
          Driver.connect(emulator, { username, password: "p", ...more }).pipe(
            Effect.as("in"),
            Effect.catchAll((error) => Effect.succeed("code" in error ? String(error.code) : "?"))
          )
        expect(yield* login("PLAIN")).toBe("in")
        expect(yield* login("BARRED")).toBe("394304")
        expect(yield* login("PUSHED")).toBe("in")
        expect(yield* login("PUSHED", { password: "wrong" })).toBe("390100")
        const coded = (passcode: string) =>
          login("CODED", { authenticator: "USERNAME_PASSWORD_MFA", passcode })
        expect(yield* coded("222222")).toBe("390127")
        expect(yield* coded("111111")).toBe("in")
        expect(yield* coded("111111")).toBe("390127")
        expect(yield* login("CODED")).toBe("390120")
        expect((yield* emulator.state).requests).toMatchObject({ Push: 2 })
      })
    )
  )

  it.effect("are opened with tokens of the identity provider, which refuses as RFC 6749 has it", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const emulator = yield* Emulator.start({
          sample: false,
          tokens: [],
          clients: {
            app: { secret: "s", scopes: ["read"] },
            off: { secret: "s", refusedWith: "access_denied" }
          }
        })
        const ask = (form: Record<string, string>) =>
          Effect.promise(async () => {
            const response = await fetch(`${emulator.url}/oauth/token-request`, {
              method: "POST",
              body: new URLSearchParams({ grant_type: "client_credentials", ...form })
            })
            const body = (await response.json()) as { error?: string; access_token?: string }
            return [response.status, body.error, body.access_token] as const
          })
        const right = { client_id: "app", client_secret: "s" }
        expect((yield* ask({ ...right, client_secret: "x" })).slice(0, 2)).toEqual([401, "invalid_client"])
        expect((yield* ask({ client_id: "off", client_secret: "s" })).slice(0, 2)).toEqual([
          400,
          "access_denied"
        ])
        expect((yield* ask({ ...right, scope: "write" })).slice(0, 2)).toEqual([400, "invalid_scope"])
        expect((yield* ask({ ...right, grant_type: "password" })).slice(0, 2)).toEqual([
          400,
          "unsupported_grant_type"
        ])
        const [status, , token = ""] = yield* ask({ ...right, scope: "read" })
        expect(status).toBe(200)
        const login = (token: string) => Driver.connect(emulator, { authenticator: "OAUTH", token })
        expect(yield* Effect.flip(login("forged"))).toMatchObject({ code: "390303" })
        yield* login(token)
      })
    )
  )

  it.effect("know where they are and can be moved", () =>
    Effect.gen(function* () {
      const connection = yield* Driver.connect(yield* Shared.Shared, {
        role: "analyst",
        database: "snowguard_sample"
      })
      const { rows, statement } = yield* Driver.query(
        connection,
        "SELECT CURRENT_ACCOUNT(), CURRENT_ROLE(), CURRENT_WAREHOUSE() AS W, CURRENT_DATABASE(), current_schema(), CURRENT_VERSION()"
      )
      expect(rows).toEqual([
        ["EMULATOR", "ANALYST", "COMPUTE_WH", "SNOWGUARD_SAMPLE", "PUBLIC", expect.stringMatching(/^\d/)]
      ])
      expect(statement.getColumns()?.map((column) => column.getName())).toEqual([
        "CURRENT_ACCOUNT()",
        "CURRENT_ROLE()",
        "W",
        "CURRENT_DATABASE()",
        "CURRENT_SCHEMA()",
        "CURRENT_VERSION()"
      ])
      for (const sql of ["USE ROLE SYSADMIN", "USE WAREHOUSE BIG_WH", "USE SCHEMA WEB"])
        yield* Driver.rows(connection, sql)
      expect(
        yield* Driver.rows(connection, "SELECT CURRENT_ROLE(), CURRENT_WAREHOUSE(), CURRENT_SCHEMA()")
      ).toEqual([["SYSADMIN", "BIG_WH", "WEB"]])
      expect(yield* Driver.rows(connection, "SELECT count(*) FROM EVENTS")).toEqual([[100_000]])
      const error = yield* Effect.flip(Driver.rows(connection, "USE DATABASE NOWHERE"))
      expect(error).toMatchObject({ code: "002043", sqlState: "02000" })
    })
  )

  it.effect("have all secondary roles until they are told otherwise", () =>
    Effect.gen(function* () {
      const emulator = yield* Shared.Shared
      const connection = yield* Driver.connect(emulator, { role: "SYSADMIN" })
      const active = Effect.map(
        Driver.rows(connection, "SELECT CURRENT_SECONDARY_ROLES()"),
        (rows): unknown => JSON.parse(String(rows[0]?.[0]))
      )
      expect(yield* active).toMatchObject({ value: "ALL" })
      yield* Driver.rows(connection, "USE SECONDARY ROLES NONE")
      expect(yield* active).toEqual({ roles: "", value: "" })
      expect((yield* emulator.state).latest.at(-1)).toMatchObject({
        role: "SYSADMIN",
        secondaryRoles: "NONE"
      })
      yield* Driver.rows(connection, 'USE SECONDARY ROLES analyst, "SYSADMIN"')
      expect(yield* active).toEqual({ roles: "ANALYST,SYSADMIN", value: "ANALYST,SYSADMIN" })
      yield* Driver.rows(connection, "USE SECONDARY ROLES ALL")
      expect(yield* active).toMatchObject({ value: "ALL" })
    })
  )

  it.effect("read quoted names in upper case when they are told to", () =>
    Effect.gen(function* () {
      const connection = yield* Driver.connect(yield* Shared.Shared)
      const names = (parameters = {}) =>
        Effect.map(
          Driver.query(connection, `SELECT 1 AS "one", 'it''s "x"' AS "Two"`, { parameters }),
          ({ rows, statement }) => [statement.getColumns()?.map((column) => column.getName()), rows]
        )
      expect(yield* names()).toEqual([["one", "Two"], [[1, 'it\'s "x"']]])
      expect(yield* names({ QUOTED_IDENTIFIERS_IGNORE_CASE: true })).toEqual([
        ["ONE", "TWO"],
        [[1, 'it\'s "x"']]
      ])
      yield* Driver.rows(connection, "ALTER SESSION SET QUOTED_IDENTIFIERS_IGNORE_CASE = TRUE")
      expect((yield* names())[0]).toEqual(["ONE", "TWO"])
      expect((yield* names({ QUOTED_IDENTIFIERS_IGNORE_CASE: false }))[0]).toEqual(["one", "Two"])
      expect(
        yield* Effect.flip(Driver.rows(connection, "ALTER SESSION SET QUOTED_IDENTIFIERS_IGNORE_CASE = 3"))
      ).toMatchObject({ code: "001008" })
    })
  )

  it.effect("do not share where they are", () =>
    Effect.gen(function* () {
      const emulator = yield* Shared.Shared
      const one = yield* Driver.connect(emulator)
      const other = yield* Driver.connect(emulator)
      yield* Driver.rows(one, "USE SCHEMA WEB")
      expect(yield* Driver.rows(other, "SELECT CURRENT_SCHEMA()")).toEqual([["PUBLIC"]])
    })
  )

  it.effect("without a warehouse answer what needs none", () =>
    Effect.gen(function* () {
      const connection = yield* Driver.connect(yield* Shared.Shared, { warehouse: "NO_SUCH_WH" })
      expect(yield* Effect.flip(Driver.rows(connection, "SELECT 1"))).toMatchObject({
        code: "000606",
        sqlState: "57P03"
      })
      expect((yield* Driver.rows(connection, "SHOW DATABASES")).length).toBe(1)
    })
  )

  it.effect("keep parameters, show them and refuse what makes no sense", () =>
    Effect.gen(function* () {
      const connection = yield* Driver.connect(yield* Shared.Shared)
      yield* Driver.rows(connection, "ALTER SESSION SET STATEMENT_TIMEOUT_IN_SECONDS = 5, QUERY_TAG = 'mine'")
      const timeout = "SHOW PARAMETERS LIKE 'STATEMENT_TIMEOUT%' IN SESSION"
      const shown = Effect.map(Driver.rows(connection, timeout), (rows) => rows.map((row) => row.slice(0, 4)))
      expect(yield* shown).toEqual([["STATEMENT_TIMEOUT_IN_SECONDS", "5", "172800", "SESSION"]])
      yield* Driver.rows(connection, "ALTER SESSION UNSET STATEMENT_TIMEOUT_IN_SECONDS")
      expect(yield* shown).toEqual([["STATEMENT_TIMEOUT_IN_SECONDS", "172800", "172800", ""]])
      const zone = yield* Effect.flip(Driver.rows(connection, "ALTER SESSION SET TIMEZONE = 'Europe/Vienna'"))
      expect(zone).toMatchObject({ code: "000002", sqlState: "0A000" })
      const error = yield* Effect.flip(
        Driver.rows(connection, "ALTER SESSION SET STATEMENT_TIMEOUT_IN_SECONDS = -1")
      )
      expect(error).toMatchObject({ sqlState: "22023" })
    })
  )

  it.effect("are renewed when their token has expired, also for many requests at once", () =>
    Effect.gen(function* () {
      const emulator = yield* Shared.Shared
      const connection = yield* Driver.connect(emulator)
      const before = (yield* emulator.state).requests["Renew"] ?? 0
      yield* emulator.expireSessions
      const all = yield* Effect.all(
        Array.from({ length: 5 }, (_, n) => Driver.rows(connection, `SELECT ${n}`)),
        { concurrency: "unbounded" }
      )
      expect(all.map((rows) => rows[0]?.[0])).toEqual([0, 1, 2, 3, 4])
      expect((yield* emulator.state).requests["Renew"]).toBeGreaterThan(before)
      yield* emulator.expireSessions
      expect(yield* Effect.promise(() => connection.isValidAsync())).toBe(true)
    })
  )

  it.effect("end with a logout, or when the emulator is reset", () =>
    Effect.gen(function* () {
      const emulator = yield* Shared.Shared
      const alive = Effect.map(emulator.state, (state) => state.sessions.alive)
      const before = yield* alive
      const first = yield* Driver.connect(emulator)
      expect(yield* alive).toBe(before + 1)
      yield* Driver.destroy(first)
      expect(yield* alive).toBe(before)
      const second = yield* Driver.connect(emulator)
      yield* emulator.reset
      expect(yield* Effect.flip(Driver.rows(second, "SELECT 1"))).toMatchObject({
        code: 407002,
        isFatal: true
      })
    })
  )

  it.effect("leave no file behind: no credential cache, no log", () =>
    Effect.gen(function* () {
      yield* whoAmI({})
      const files = existsSync(Driver.home) ? readdirSync(Driver.home, { recursive: true }).map(String) : []
      expect(files.filter((name) => !name.startsWith("ocsp"))).toEqual([])
      expect(existsSync(join(process.cwd(), "snowflake.log"))).toBe(false)
    })
  )
})
