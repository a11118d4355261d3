import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Emulator from "../../src/emulator/Emulator.js"
import * as Driver from "./driver.js"
import * as Shared from "./shared.js"
import { withLayer } from "../utils/withLayer.js"

/** What callers' tokens stand for; a token that is not here is unknown, revoked or over. */
const subjects = new Map([
  ["token of ann", "ANN"],
  ["token of bob", "BOB"],
  ["token of eve", "EVE"]
])

const options: Emulator.Options = {
  directory: {
    users: {
      ANN: { password: "ann's", roles: ["SALES_READER", "WEB_READER"] },
      BOB: { password: "bob's", roles: ["WEB_READER"], defaultSecondaryRoles: "NONE", type: "SERVICE" },
      KEEPER: { password: "keeper's", roles: ["WEB_READER"], keepsSecondaryRoles: true },
      EVE: { roles: ["WEB_READER"], exchangeRefusedWith: "access_denied" },
      HEIR: { password: "heir's", roles: ["HEIR"], defaultSecondaryRoles: "NONE" },
      GONE: { password: "gone's", roles: ["WEB_READER"] }
    },
    roles: {
      SALES_READER: {
        reads: ["SNOWGUARD_SAMPLE.PUBLIC.ORDERS", "SNOWGUARD_SAMPLE.PUBLIC.CUSTOMERS"],
        also: [{ privilege: "INSERT", on: "TABLE", name: "SNOWGUARD_SAMPLE.PUBLIC.ORDERS" }]
      },
      WEB_READER: { reads: ["SNOWGUARD_SAMPLE.WEB"] },
      HEIR: {
        reads: [],
        also: [
          { privilege: "USAGE", on: "ROLE", name: "MIDDLE" },
          { privilege: "USAGE", on: "DATABASE_ROLE", name: "SNOWGUARD_SAMPLE.LOOKERS", grantable: true }
        ]
      },
      MIDDLE: { reads: [], also: [{ privilege: "USAGE", on: "ROLE", name: "WEB_READER" }] },
      "SNOWGUARD_SAMPLE.LOOKERS": { reads: ["SNOWGUARD_SAMPLE.PUBLIC.CUSTOMERS"] }
    }
  },
  refusals: { GONE: "390101" },
  clients: {
    snowguard: { secret: "it's a secret", exchanges: true, audience: "https://account" },
    machine: { secret: "m" }
  },
  subjectOf: (token) => {
    const user = subjects.get(token)
    return user === undefined ? undefined : { user }
  },
  tokenTtlMs: 60_000
}

const exchange = (url: string, change: { readonly [parameter: string]: string | undefined } = {}) =>
  Effect.promise(async () => {
    const form = {
      grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
      client_id: "snowguard",
      client_secret: "it's a secret",
      subject_token: "token of ann",
      subject_token_type: "urn:ietf:params:oauth:token-type:access_token",
      audience: "https://account",
      scope: "session:role:SALES_READER",
      ...change
    }
    const body = new URLSearchParams(
      Object.entries(form).flatMap(([name, value]) =>
        value === undefined ? [] : [[name, value] as [string, string]]
      )
    )
    const response = await fetch(`${url}/oauth/token-request`, { method: "POST", body })
    return { status: response.status, json: (await response.json()) as { readonly [name: string]: unknown } }
  })

const names = (rows: ReadonlyArray<ReadonlyArray<unknown>>) => rows.map((row) => row[1])

withLayer(Shared.layer(options))("the users of the emulator", (it) => {
  it.effect("have the roles that they were given, and no others", () =>
    Effect.gen(function* () {
      const emulator = yield* Shared.Shared
      const as = (username: string, password: string, role?: string) =>
        Driver.connect(emulator, { username, password, ...(role === undefined ? {} : { role }) })
      const ann = yield* as("ann", "ann's")
      expect(yield* Driver.rows(ann, "SELECT CURRENT_USER(), CURRENT_ROLE()")).toEqual([
        ["ANN", "SALES_READER"]
      ])
      expect(yield* Effect.flip(as("bob", "bob's", "SALES_READER"))).toMatchObject({ code: "390189" })
      expect(yield* Effect.flip(as("gone", "gone's"))).toMatchObject({ code: "390101" })
      const bob = yield* as("bob", "bob's")
      expect(yield* Effect.flip(Driver.rows(bob, "USE ROLE SALES_READER"))).toMatchObject({ code: "003013" })
      expect(yield* Effect.flip(Driver.rows(bob, "USE SECONDARY ROLES SALES_READER"))).toMatchObject({
        code: "003013"
      })
      const keeper = yield* as("keeper", "keeper's")
      expect(yield* Effect.flip(Driver.rows(keeper, "USE SECONDARY ROLES NONE"))).toMatchObject({
        code: "003001"
      })
    })
  )

  it.effect("see what their active roles may read: secondary ones count until they are given up", () =>
    Effect.gen(function* () {
      const emulator = yield* Shared.Shared
      const ann = yield* Driver.connect(emulator, {
        username: "ann",
        password: "ann's",
        database: "SNOWGUARD_SAMPLE"
      })
      const tables = Effect.map(Driver.rows(ann, "SHOW TABLES IN DATABASE SNOWGUARD_SAMPLE"), names)
      const both = yield* tables
      yield* Driver.rows(ann, "SELECT COUNT(*) FROM WEB.EVENTS")
      yield* Driver.rows(ann, "USE SECONDARY ROLES NONE")
      const own = yield* tables
      expect([...own].sort()).toEqual(["CUSTOMERS", "ORDERS"])
      expect(both.length).toBeGreaterThan(own.length)
      expect((yield* Driver.rows(ann, "SELECT COUNT(*) FROM ORDERS")).length).toBe(1)
      for (const sql of [
        "SELECT COUNT(*) FROM WEB.EVENTS",
        "SELECT * FROM ORDERS WHERE EXISTS (SELECT 1 FROM WEB.EVENTS)",
        "WITH E AS (SELECT 1 AS A FROM WEB.EVENTS) SELECT A FROM E",
        "DESCRIBE TABLE WEB.EVENTS"
      ]) {
        expect(yield* Effect.flip(Driver.rows(ann, sql)), sql).toMatchObject({ code: "002003" })
      }
      expect(
        yield* Effect.flip(Driver.rows(ann, "SHOW TABLES IN SCHEMA SNOWGUARD_SAMPLE.WEB"))
      ).toMatchObject({
        code: "002043"
      })
      yield* Driver.rows(ann, "USE ROLE WEB_READER")
      expect(yield* tables).not.toContain("ORDERS")
    })
  )

  it.effect("may read what roles may that are granted to theirs, also those of a database", () =>
    Effect.gen(function* () {
      const emulator = yield* Shared.Shared
      const heir = yield* Driver.connect(emulator, {
        username: "heir",
        password: "heir's",
        database: "SNOWGUARD_SAMPLE"
      })
      yield* Driver.rows(heir, "SELECT COUNT(*) FROM WEB.EVENTS")
      yield* Driver.rows(heir, "SELECT COUNT(*) FROM PUBLIC.CUSTOMERS")
      expect(yield* Effect.flip(Driver.rows(heir, "SELECT COUNT(*) FROM PUBLIC.ORDERS"))).toMatchObject({
        code: "002003"
      })
      const grants = (of: string) =>
        Effect.map(Driver.rows(heir, `SHOW GRANTS TO ${of}`), (rows) =>
          rows.map((row) => [row[1], row[2], row[3], row[6]])
        )
      expect(yield* grants("ROLE HEIR")).toEqual([
        ["USAGE", "ROLE", "MIDDLE", "false"],
        ["USAGE", "DATABASE_ROLE", "SNOWGUARD_SAMPLE.LOOKERS", "true"]
      ])
      expect(yield* grants('DATABASE ROLE "SNOWGUARD_SAMPLE"."LOOKERS"')).toEqual([
        ["SELECT", "TABLE", "SNOWGUARD_SAMPLE.PUBLIC.CUSTOMERS", "false"]
      ])
      expect(yield* grants("ROLE PUBLIC")).toEqual([])
      expect(yield* Effect.flip(grants("ROLE NO_SUCH"))).toMatchObject({ code: "002043" })
    })
  )

  it.effect("are described to themselves, with what a role may do", () =>
    Effect.gen(function* () {
      const emulator = yield* Shared.Shared
      const ann = yield* Driver.connect(emulator, { username: "ann", password: "ann's" })
      const grants = yield* Driver.rows(ann, "SHOW GRANTS TO ROLE SALES_READER")
      expect(grants.map((row) => [row[1], row[2]])).toEqual([
        ["SELECT", "TABLE"],
        ["SELECT", "TABLE"],
        ["INSERT", "TABLE"]
      ])
      expect(yield* Driver.rows(ann, "DESC USER ANN")).toContainEqual([
        "TYPE",
        null,
        null,
        expect.any(String)
      ])
      expect(yield* Effect.flip(Driver.rows(ann, "DESC USER BOB"))).toMatchObject({ code: "002043" })
    })
  )

  it.effect("get a token for that of a caller, which is theirs, has one role, and ends", () =>
    Effect.gen(function* () {
      const emulator = yield* Shared.Shared
      const { json, status } = yield* exchange(emulator.url)
      expect(status).toBe(200)
      expect(json).toMatchObject({ token_type: "Bearer", expires_in: 60 })
      const token = String(json["access_token"])
      const withToken = (more: { readonly role?: string; readonly username?: string } = {}) =>
        Driver.connect(emulator, { authenticator: "OAUTH", token, username: "ANN", ...more })
      const session = yield* withToken()
      expect(yield* Driver.rows(session, "SELECT CURRENT_USER(), CURRENT_ROLE()")).toEqual([
        ["ANN", "SALES_READER"]
      ])
      expect(yield* Effect.flip(withToken({ role: "WEB_READER" }))).toMatchObject({ code: "390317" })
      expect(yield* Effect.flip(withToken({ username: "BOB" }))).toMatchObject({ code: "390309" })
      // It is not a caller's own token.
      expect((yield* exchange(emulator.url, { subject_token: token })).json).toMatchObject({
        error: "invalid_grant"
      })
    })
  )

  const refusals: ReadonlyArray<
    readonly [error: string, change: { readonly [name: string]: string | undefined }]
  > = [
    ["unsupported_grant_type", { grant_type: "password" }],
    ["invalid_client", { client_secret: "wrong" }],
    ["invalid_client", { client_id: "unknown" }],
    ["unauthorized_client", { client_id: "machine", client_secret: "m" }],
    ["invalid_request", { subject_token: undefined }],
    ["invalid_request", { subject_token_type: "urn:ietf:params:oauth:token-type:saml2" }],
    ["invalid_target", { audience: "https://another" }],
    ["invalid_grant", { subject_token: "never seen" }],
    ["invalid_scope", { scope: "session:role:ACCOUNTADMIN" }],
    ["access_denied", { subject_token: "token of eve", scope: "session:role:WEB_READER" }]
  ]
  for (const [error, change] of refusals) {
    it.effect(`are refused a token with ${error}, given ${JSON.stringify(change)}`, () =>
      Effect.gen(function* () {
        const emulator = yield* Shared.Shared
        const { json, status } = yield* exchange(emulator.url, change)
        expect(json["error"]).toBe(error)
        expect(status).toBe(error === "invalid_client" ? 401 : 400)
      })
    )
  }
})

it.scopedLive("a session with a token ends with it, in the middle of a statement", () =>
  Effect.gen(function* () {
    const emulator = yield* Emulator.start({ ...options, tokenTtlMs: 1_500, holdMs: 300 })
    const { json } = yield* exchange(emulator.url)
    const login = { authenticator: "OAUTH", token: String(json["access_token"]), username: "ANN" }
    const session = yield* Driver.connect(emulator, login)
    const error = yield* Effect.flip(Driver.rows(session, "SELECT SYSTEM$WAIT(20)"))
    expect(error).toMatchObject({ code: "390318" })
    expect(yield* Effect.flip(Driver.connect(emulator, login))).toMatchObject({ code: "390318" })
  })
)
