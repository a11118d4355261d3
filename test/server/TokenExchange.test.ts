import { describe, expect, it } from "@effect/vitest"
import { Chunk, Effect, Redacted, Ref, Stream } from "effect"
import { randomUUID } from "node:crypto"
import * as Emulator from "../../src/emulator/Emulator.js"
import * as Principal from "../../src/platform/Principal.js"
import { checkAccount } from "../../src/server/main.js"
import { identityOf, startFaults } from "../../src/server/SnowflakeAccount.js"
import { options, parametersFor } from "../../src/server/TokenExchange.js"
import * as Exchange from "../../src/warehouse/snowflake/exchange.js"
import * as Snowflake from "../../src/warehouse/Snowflake.js"
import { settingsOf } from "../config/samples.js"

const complete = {
  warehouse: "snowflake",
  auth: { mode: "oauth", issuer: "https://login.example.com", resource: "https://mcp.example.com/mcp" },
  snowflake: { account: "org-acme", identity: "exchange", role: "READER" },
  exchange: { client_id: "snowguard", client_secret: "secret" }
}

const said = (document: { readonly [section: string]: unknown }) =>
  startFaults(settingsOf({ document })).map(({ message, setting }) => `${setting} ${message}`)

describe("the settings of the exchange", () => {
  it("are complete, or the server does not start and says all that is missing", () => {
    expect(said(complete)).toEqual([])
    expect(
      said({ warehouse: "snowflake", snowflake: { identity: "exchange" } }).map((one) => one.split(" ")[0])
    ).toEqual([
      "snowflake.account",
      "auth.mode",
      "exchange.client_id",
      "exchange.client_secret",
      "exchange.issuer"
    ])
    const wrong = (exchange: { readonly [name: string]: unknown }) =>
      said({ ...complete, exchange: { ...complete.exchange, ...exchange } }).map((one) => one.split(" ")[0])
    expect(wrong({ token_url: "http://login.example.com/token" })).toEqual(["exchange.token_url"])
    expect(wrong({ token_url: "http://127.0.0.1:9/token" })).toEqual([])
    expect(wrong({ client_auth: "private_key_jwt" })).toEqual(["exchange.client_key"])
    expect(wrong({ preset: "entra" })).toEqual(["exchange.scope"])
    expect(wrong({ authorization_details: "[{" })).toEqual(["exchange.authorization_details"])
    expect(wrong({ parameters: ["subject_token=mine"] })).toEqual(["exchange.parameters"])
  })

  const asked = (
    exchange: { readonly [name: string]: unknown },
    more: { readonly [section: string]: unknown } = {}
  ) => {
    const settings = settingsOf({
      document: { ...complete, exchange: { ...complete.exchange, ...exchange }, ...more }
    })
    const { grantType, subjectParameter } = options(settings)
    return Effect.map(
      parametersFor(settings, Principal.make("ann", "gold"), { role: 'R"1', warehouse: "WH" }),
      (parameters) => ({ grantType, subjectParameter, ...parameters })
    )
  }
  const accessToken = "urn:ietf:params:oauth:token-type:access_token"
  const standard = {
    grantType: "urn:ietf:params:oauth:grant-type:token-exchange",
    subjectParameter: "subject_token",
    subject_token_type: accessToken,
    audience: "https://org-acme.snowflakecomputing.com",
    scope: 'session:role:R"1'
  }

  it.effect("are the parameters that each preset wants, for the role of the caller", () =>
    Effect.gen(function* () {
      expect(yield* asked({})).toEqual(standard)
      expect(yield* asked({ preset: "okta" })).toEqual(standard)
      expect(yield* asked({ preset: "keycloak" })).toEqual({ ...standard, requested_token_type: accessToken })
      expect(yield* asked({ preset: "entra", scope: "api://snowflake/session:role-any" })).toEqual({
        grantType: "urn:ietf:params:oauth:grant-type:jwt-bearer",
        subjectParameter: "assertion",
        requested_token_use: "on_behalf_of",
        scope: "api://snowflake/session:role-any"
      })
      expect(
        options(
          settingsOf({
            document: { ...complete, exchange: { ...complete.exchange, preset: "snowflake", client_id: "x" } }
          })
        ).tokenUrl
      ).toBe("https://org-acme.snowflakecomputing.com/oauth/token-request")
    })
  )

  it.effect("may say each parameter, some by the tier, with the caller's role in them", () =>
    Effect.gen(function* () {
      const parameters = yield* asked(
        {
          resource: "https://snowflake",
          scope: "of all",
          requested_token_type: "urn:x",
          actor_token: "the actor",
          parameters: ["prompt=none", "for={client}"]
        },
        {
          tiers: {
            gold: {
              snowflake: {
                scope: "session:role:{role} {tier}",
                authorization_details: '[{"type": "restriction", "role": "{role}"}]'
              }
            }
          }
        }
      )
      expect(parameters).toEqual({
        grantType: standard.grantType,
        subjectParameter: "subject_token",
        subject_token_type: accessToken,
        requested_token_type: "urn:x",
        resource: "https://snowflake",
        scope: 'session:role:R"1 gold',
        authorization_details: '[{"type":"restriction","role":"R\\"1"}]',
        prompt: "none",
        for: "ann",
        actor_token: "the actor",
        actor_token_type: accessToken
      })
    })
  )
})

describe("a caller with an access token", () => {
  const start = (tokenTtlMs: number) =>
    Effect.gen(function* () {
      const good = new Map([
        ["ann's token", "ANN"],
        ["bob's token", "BOB"],
        ["eve's token", "EVE"]
      ])
      const ran: Array<string> = []
      const emulator = yield* Emulator.start({
        directory: {
          users: {
            ANN: { roles: ["READER"] },
            BOB: { roles: ["READER", "OTHER"] },
            EVE: { roles: ["OTHER"] }
          },
          roles: { READER: { reads: ["SNOWGUARD_SAMPLE"] }, OTHER: { reads: [] } }
        },
        clients: { snowguard: { secret: "secret", exchanges: true } },
        subjectOf: (token) => {
          const user = good.get(token)
          return user === undefined ? undefined : { user }
        },
        tokenTtlMs,
        onStatement: ({ role, secondaryRoles, session, tag }) =>
          void ran.push(`${session.user} ${role} ${String(secondaryRoles)} ${tag}`)
      })
      const settings = settingsOf({
        document: {
          ...complete,
          snowflake: { ...complete.snowflake, access_url: emulator.url, warehouse: "WH" },
          exchange: { ...complete.exchange, token_url: `${emulator.url}/oauth/token-request` }
        }
      })
      const exchange = yield* Exchange.make(options(settings))
      const warehouse = yield* Snowflake.make({
        login: Effect.never,
        identityOf: identityOf(settings, { exchange })
      })
      const ask = (name: string, sql = "SELECT CURRENT_USER()", token = `${name}'s token`) =>
        Effect.scoped(
          Effect.flatMap(
            warehouse.execute({
              sql,
              timeoutMs: 20_000,
              requestId: randomUUID(),
              tag: { tool: "execute_query", client: name }
            }),
            ({ rows }) =>
              Effect.map(Stream.runCollect(rows), (chunks) => Chunk.toReadonlyArray(chunks).flat())
          )
        ).pipe(
          Effect.provideService(
            Principal.CurrentPrincipal,
            Principal.make("shared client", "default", {
              id: `https://login.example.com ${name}`,
              name,
              token: Effect.succeed(Redacted.make(token))
            })
          )
        )
      return { ask, emulator, exchange, good, ran, warehouse }
    })

  it.scopedLive("is itself in Snowflake, though several share a client of the server", () =>
    Effect.gen(function* () {
      const { ask, emulator, exchange, ran } = yield* start(600_000)
      const users = yield* Effect.forEach(["ann", "bob", "ann", "bob", "ann"], (name) => ask(name), {
        concurrency: "unbounded"
      })
      expect(users.flat(2)).toEqual(["ANN", "BOB", "ANN", "BOB", "ANN"])
      expect((yield* exchange.status).asked).toBe(2)
      expect((yield* emulator.state).sessions.opened).toBe(2)
      for (const statement of ran) {
        const client = /"client":"(\w+)"/.exec(statement)?.[1]
        if (client !== undefined) expect(statement).toContain(`${client.toUpperCase()} READER NONE`)
      }
    })
  )

  it.scopedLive(
    "is refused without one, and when its token is not good or its role is not there: never the server's user",
    () =>
      Effect.gen(function* () {
        const { ask, emulator, good, ran, warehouse } = yield* start(600_000)
        const none = warehouse.execute({ sql: "SELECT 1", timeoutMs: 20_000, requestId: randomUUID() })
        expect(yield* Effect.flip(Effect.scoped(none))).toMatchObject({
          reason: "Configuration",
          description: expect.stringContaining("no access token")
        })
        expect(yield* Effect.flip(ask("eve"))).toMatchObject({
          reason: "Authentication",
          code: "invalid_scope"
        })
        good.delete("ann's token")
        expect(yield* Effect.flip(ask("ann"))).toMatchObject({
          reason: "Authentication",
          code: "invalid_grant"
        })
        expect(ran).toEqual([])
        expect((yield* emulator.state).requests["Login"]).toBeUndefined()
        // Neither holds the other back.
        expect(yield* ask("bob")).toEqual([["BOB"]])
      })
  )

  it.scopedLive(
    "is not held back for a token that ends during its login: the next call asks for another",
    () =>
      Effect.gen(function* () {
        const { ask, emulator } = yield* start(1)
        for (const logins of [2, 4]) {
          const { code, reason, sent } = yield* Effect.flip(ask("ann"))
          expect({ code, reason, sent }).toEqual({ code: "390318", reason: "LoginUnavailable", sent: "no" })
          expect((yield* emulator.state).requests["Login"]).toBe(logins)
        }
      })
  )

  it.scopedLive(
    "gets another token and another session when its token ends, in the middle of a statement too",
    () =>
      Effect.gen(function* () {
        const { ask, emulator, exchange } = yield* start(2_500)
        expect(yield* ask("ann")).toEqual([["ANN"]])
        // Until the account says that the token has ended.
        const lost = yield* Effect.flip(Effect.forever(ask("ann", "SELECT SYSTEM$WAIT(0.2)")))
        expect(lost.reason).toBe("SessionLost")
        expect(yield* ask("ann")).toEqual([["ANN"]])
        expect((yield* exchange.status).asked).toBeGreaterThanOrEqual(2)
        expect((yield* emulator.state).sessions.opened).toBeGreaterThanOrEqual(2)
      })
  )
})

it.effect("who a caller is does not depend on its token: a new one finds the same sessions", () =>
  Effect.gen(function* () {
    const settings = settingsOf({ document: complete })
    const newest = yield* Ref.make("first")
    const subject = {
      id: "i s",
      name: "s",
      token: Effect.map(Ref.get(newest), (token) => Redacted.make(token))
    }
    const of = identityOf(settings)
    const before = of(Principal.make("c", "default", subject)).key
    yield* Ref.set(newest, "second")
    expect(of(Principal.make("c", "default", subject)).key).toBe(before)
    expect(of(Principal.make("c", "gold", subject)).key).not.toBe(before)
    expect(of(Principal.make("c", "default", { ...subject, id: "i t" })).key).not.toBe(before)
  })
)

it.scopedLive("check says what it could verify of the exchange without a caller's token, and what not", () =>
  Effect.gen(function* () {
    const emulator = yield* Emulator.start({
      clients: { snowguard: { secret: "secret", exchanges: true }, other: { secret: "secret" } },
      subjectOf: () => undefined
    })
    const checked = (exchange: object) =>
      checkAccount(
        settingsOf({
          document: {
            ...complete,
            snowflake: { ...complete.snowflake, access_url: emulator.url },
            exchange: { ...complete.exchange, ...exchange }
          }
        })
      )
    const at = { token_url: `${emulator.url}/oauth/token-request` }
    const good = yield* checked(at)
    expect(good).toMatchObject({
      exitCode: 0,
      facts: {
        identity: "exchange",
        "authorization server": `${emulator.url}/oauth/token-request`,
        "client of the exchange":
          "snowguard (known there: a token that is none was refused with invalid_grant)"
      },
      warnings: [expect.stringContaining("was not tried")]
    })
    // The endpoint is found by the issuer.
    expect((yield* checked({ issuer: emulator.url })).exitCode).toBe(0)
    const wrongSecret = yield* checked({ ...at, client_secret: "wrong" })
    expect(wrongSecret).toMatchObject({ exitCode: 78, wrong: [expect.stringContaining("invalid_client")] })
    const mayNot = yield* checked({ ...at, client_id: "other" })
    expect(mayNot).toMatchObject({ exitCode: 78, wrong: [expect.stringContaining("unauthorized_client")] })
    const nowhere = yield* checked({ token_url: "http://127.0.0.1:9/token" })
    expect(nowhere).toMatchObject({ exitCode: 69, wrong: [expect.stringContaining("cannot be reached")] })
    expect((yield* emulator.state).requests["Login"]).toBeUndefined()
  })
)
