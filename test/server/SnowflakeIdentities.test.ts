import { describe, expect, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import * as Principal from "../../src/platform/Principal.js"
import { identityOf, startFaults } from "../../src/server/SnowflakeAccount.js"
import { settingsOf } from "../config/samples.js"

const account = { account: "org-acme", user: "SERVER", password: "server's secret", role: "READER" }

const clientMode = (more: { readonly [section: string]: unknown }) =>
  settingsOf({
    document: { warehouse: "snowflake", snowflake: { account: "org-acme", identity: "client" }, ...more }
  })

describe("as whom a caller acts", () => {
  it("is the server's user for all, in the role and the warehouse of the client or its tier", () => {
    const settings = settingsOf({
      document: {
        snowflake: { ...account, warehouse: "WH" },
        tiers: {
          default: { snowflake: { warehouse: "SMALL" } },
          gold: { snowflake: { role: "GOLD_READER" } }
        },
        clients: { finance: { tier: "gold", snowflake: { role: "FINANCE_READER" } } }
      }
    })
    const of = identityOf(settings)
    const shown = (client: string, tier: string) => {
      const { key, mode, role, user, warehouse } = of(Principal.make(client, tier))
      return [key, mode, user, role, warehouse]
    }
    expect(shown("anyone", "default")).toEqual(["", "shared", "SERVER", "READER", "SMALL"])
    expect(shown("anyone", "gold")).toEqual(["", "shared", "SERVER", "GOLD_READER", "SMALL"])
    expect(shown("finance", "gold")).toEqual(["", "shared", "SERVER", "FINANCE_READER", "SMALL"])
    expect(startFaults(settings)).toEqual([])
  })

  it.effect(
    "is the user of the client, else of its tier, else of all tiers, each with its whole credential",
    () =>
      Effect.gen(function* () {
        const settings = clientMode({
          tiers: {
            default: { snowflake: { user: "AGENTS", password: "of all", role: "AGENT" } },
            gold: {
              snowflake: { user: "GOLD", token: "a token", authenticator: "programmatic_access_token" }
            }
          },
          clients: {
            etl: { tier: "gold", snowflake: { user: "ETL", private_key: "a key", role: "ETL_READER" } },
            bi: { tier: "gold", snowflake: { role: "BI_READER" } }
          }
        })
        const of = identityOf(settings)
        const shown = (client: string, tier: string) =>
          Effect.gen(function* () {
            const { key, login, role } = of(Principal.make(client, tier))
            const { account, password, privateKey, token, user } = yield* login
            const secrets = [password, privateKey, token].map((it) =>
              it === undefined ? "" : Redacted.value(it)
            )
            return [key, role, account, user, ...secrets]
          })
        expect(yield* shown("etl", "gold")).toEqual([
          "clients.etl.snowflake",
          "ETL_READER",
          "org-acme",
          "ETL",
          "",
          "a key",
          ""
        ])
        // A role alone is no user: it is that of the tier.
        expect(yield* shown("bi", "gold")).toEqual([
          "tiers.gold.snowflake",
          "BI_READER",
          "org-acme",
          "GOLD",
          "",
          "",
          "a token"
        ])
        expect(yield* shown("else", "default")).toEqual([
          "tiers.default.snowflake",
          "AGENT",
          "org-acme",
          "AGENTS",
          "of all",
          "",
          ""
        ])
        // The one of `default` and not parts of both.
        expect((yield* of(Principal.make("x", "gold")).login).password).toBeUndefined()
      })
  )

  it.effect("is no one where nothing names a user: the user of the server never stands in", () =>
    Effect.gen(function* () {
      const settings = settingsOf({
        document: {
          snowflake: { ...account, identity: "client" },
          clients: { etl: { snowflake: { user: "ETL", password: "p" } } }
        }
      })
      const of = identityOf(settings)
      const refused = yield* Effect.flip(of(Principal.make("other")).login)
      expect(refused.reason).toBe("Configuration")
      expect(refused.description).toContain("clients.other.snowflake.user or tiers.default.snowflake.user")
      expect(of(Principal.make("other")).key).not.toBe(of(Principal.make("another")).key)
      expect(startFaults(settings)).toEqual([])
    })
  )

  it("is settled at the start: what cannot work, or would be ignored, is said then", () => {
    const said = (document: { readonly [section: string]: unknown }) =>
      startFaults(settingsOf({ document })).map(
        ({ message, setting }) => `${setting} ${message.split(":")[0]}`
      )
    expect(said({ snowflake: { account: "a-b", identity: "client" } })).toEqual([
      'snowflake.identity is "client", and no client or tier has a user'
    ])
    expect(
      said({
        snowflake: { identity: "client" },
        clients: { "e.tl": { snowflake: { user: "ETL" } } },
        tiers: { gold: { snowflake: { private_key_file: "/key" } } }
      })
    ).toEqual([
      "snowflake.account is needed",
      'clients."e.tl".snowflake.password is needed for the authenticator snowflake',
      "tiers.gold.snowflake.user is needed for the authenticator snowflake_jwt"
    ])
    expect(
      said({ snowflake: account, clients: { etl: { snowflake: { user: "ETL", password: "p" } } } })
    ).toEqual([
      'clients.etl.snowflake names a user, which only snowflake.identity = "client" makes use of; it is "shared"'
    ])
  })

  it("is one person at the browser for the whole server, and for no client alone", () => {
    const said = (snowflake: object, more: { readonly [section: string]: unknown } = {}) =>
      startFaults(settingsOf({ document: { snowflake: { account: "a-b", ...snowflake }, ...more } })).map(
        ({ message, setting }) => `${setting} ${message.split(":")[0]}`
      )
    const authenticator = "oauth_authorization_code"
    // The account is its own authorization server, and has a client for it.
    expect(said({ authenticator })).toEqual([])
    expect(said({ authenticator, oauth_issuer: "https://login.example.com" })).toEqual([
      "snowflake.oauth_client_id is needed for the authenticator oauth_authorization_code"
    ])
    expect(
      said({
        authenticator,
        oauth_client_id: "c",
        oauth_authorization_url: "http://login.example.com/authorize",
        oauth_redirect_uri: "https://elsewhere.example.com/"
      })
    ).toEqual([
      "snowflake.oauth_authorization_url expected an address such as https",
      "snowflake.oauth_redirect_uri expected an address of this machine, such as http",
      "snowflake.oauth_token_request_url (or oauth_issuer) is needed for the authenticator oauth_authorization_code"
    ])
    expect(said({ identity: "client" }, { clients: { etl: { snowflake: { authenticator } } } })).toEqual([
      'clients.etl.snowflake.authenticator is "oauth_authorization_code", by which one person signs in for all callers'
    ])
  })

  it("may be said in the environment", () => {
    const settings = settingsOf({
      document: { clients: { etl: {} }, snowflake: { identity: "client" } },
      env: { SNOWGUARD_CLIENTS_ETL_SNOWFLAKE_USER: "ETL", SNOWGUARD_TIERS_DEFAULT_SNOWFLAKE_ROLE: "R" }
    })
    expect(settings.clients["etl"]?.snowflake.user).toBe("ETL")
    expect(settings.tiers["default"]?.snowflake.role).toBe("R")
  })
})
