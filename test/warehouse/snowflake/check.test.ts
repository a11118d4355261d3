import { it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { expect } from "vitest"
import * as Emulator from "../../../src/emulator/Emulator.js"
import { asJson, asText } from "../../../src/cli/commands/check.js"
import type { Settings } from "../../../src/config/ServerConfig.js"
import { checkAccount } from "../../../src/server/main.js"
import type { Options } from "../../../src/warehouse/Snowflake.js"
import { check } from "../../../src/warehouse/snowflake/check.js"
import { settingsOf } from "../../config/samples.js"
import { loginTo, optionsFor } from "../snowflakeServer.js"

it.scopedLive("names the user and the account, and what is wrong in one line", () =>
  Effect.gen(function* () {
    const emulator = yield* Emulator.start({
      sample: false,
      roles: ["READER", "SYSADMIN"],
      warehouses: ["WH"]
    })
    const report = (more: Partial<Options>) =>
      Effect.map(
        check(
          Effect.succeed(
            optionsFor(emulator.url, {
              database: undefined,
              schema: undefined,
              warehouse: "wh",
              role: "reader",
              ...more
            })
          )
        ),
        (found) => {
          const json = JSON.parse(asJson(found)) as { readonly [name: string]: unknown }
          expect(json).toMatchObject({ ok: found.exitCode === 0, account_host: expect.any(String) })
          expect(Object.keys(json).includes("todo")).toBe(found.exitCode !== 0)
          return `${found.exitCode}\n${asText(found)}`
        }
      )
    const good = yield* report({})
    expect(good).toMatch(
      /^0\naccount host: 127[^]*account: EMULATOR\nuser: SNOWGUARD\nrole: READER\nsecondary roles: none[^\n]*\nversion: \d/
    )
    expect(good).toMatch(/\nwarehouse: WH \(X-Small, started\)/)
    expect(good).not.toMatch(/wrong|warning(?!: SNOWGUARD is a person)/)
    expect(good).toMatch(/\nok$/)
    expect(yield* report({ role: "SYSADMIN" })).toMatch(
      /^0\n[^]*warning: SYSADMIN is a system role[^\n]*\n(?:warning: [^\n]*\n)*ok$/
    )
    expect(yield* report({ role: "NOBODY" })).toMatch(
      /^78\n[^]*wrong: the role does not exist or is not granted/
    )
    const password = Effect.succeed(loginTo(emulator.url, { password: Redacted.make("hunter2") }))
    const refused = yield* report({ login: password })
    expect(refused).toMatch(/^78\n[^]*wrong: user or password is wrong[^\n]*\nto do: correct snowflake\.user/)
    expect(refused).not.toContain("hunter2")
    const key = Effect.succeed(loginTo(emulator.url, { privateKey: Redacted.make("no key") }))
    expect(yield* report({ login: key })).toMatch(/^78\n[^]*private_key expected a private key in PEM form/)
    const unreachable = Effect.succeed(loginTo("http://127.0.0.1:1"))
    // Said once: not again in the driver's words.
    expect(yield* report({ login: unreachable })).toMatch(
      /^69\n[^\n]*\nwrong: nothing listens at the account's address \[ECONNREFUSED\]\nto do: check [^\n]*access_url$/
    )
    yield* emulator.setFaults({ faults: [{ kind: "status", status: 403, where: "login" }] })
    expect(yield* report({})).toMatch(/^78\n[^]*wrong: [^\n]*network policy/)
  })
)

it.scopedLive("the check of a caller names its user, its roles, and all that it may do beyond reading", () =>
  Effect.gen(function* () {
    const emulator = yield* Emulator.start({
      sample: false,
      directory: {
        users: {
          SERVER: { password: "server's", roles: ["READER", "WRITER"], type: "LEGACY_SERVICE" },
          FINANCE: { password: "finance's", roles: ["FINANCE"], type: "SERVICE" }
        },
        roles: {
          READER: { reads: ["SALES"] },
          WRITER: { reads: [] },
          FINANCE: {
            reads: ["SALES.PUBLIC"],
            also: [
              { privilege: "INSERT", on: "TABLE", name: "SALES.PUBLIC.ORDERS" },
              { privilege: "OWNERSHIP", on: "SCHEMA", name: "SALES.STAGING" }
            ]
          }
        }
      }
    })
    const document = (snowflake: object, more: object = {}) => ({
      warehouse: "snowflake",
      snowflake: { access_url: emulator.url, account: "emulator", warehouse: "WH", ...snowflake },
      ...more
    })
    const report = (settings: Settings, caller?: { readonly client?: string; readonly tier?: string }) =>
      Effect.map(checkAccount(settings, caller), (found) => `${found.exitCode}\n${asText(found)}`)
    const shared = settingsOf({ document: document({ user: "SERVER", password: "server's" }) })
    const server = yield* report(shared)
    expect(server).toMatch(/\nsecondary roles: none \(the user also has WRITER; /)
    expect(server).toMatch(/\nwarning: SERVER is a legacy service user and logs in with a password alone/)
    const loose = settingsOf({
      document: document({ user: "SERVER", password: "server's", secondary_roles: "all" })
    })
    expect(yield* report(loose)).toMatch(/\nsecondary roles: WRITER\n[^]*warning: secondary roles are active/)

    const own = settingsOf({
      document: document(
        { identity: "client" },
        {
          tiers: { gold: { snowflake: { user: "SERVER", password: "server's", role: "READER" } } },
          clients: { finance: { snowflake: { user: "FINANCE", password: "finance's" } } }
        }
      )
    })
    const finance = yield* report(own, { client: "finance" })
    expect(finance).toMatch(/^0\nclient: finance\ntier: default\nidentity: client\n/)
    expect(finance).toMatch(/\nuser: FINANCE\nrole: FINANCE\nsecondary roles: none\n/)
    expect(finance).toContain(
      "warning: FINANCE has INSERT on TABLE SALES.PUBLIC.ORDERS, which is more than reading"
    )
    expect(finance).toContain(
      "warning: FINANCE has OWNERSHIP on SCHEMA SALES.STAGING, which is more than reading"
    )
    expect(finance).not.toMatch(/password|USAGE/)
    expect(yield* report(own, { tier: "gold" })).toMatch(/\nuser: SERVER\nrole: READER\n/)
    expect(yield* report(own, { client: "unknown" })).toMatch(/^78\n[^]*no user of its own in Snowflake/)
  })
)
