import { it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { expect } from "vitest"
import * as Emulator from "../../../src/emulator/Emulator.js"
import { asJson, asText } from "../../../src/cli/commands/check.js"
import type { Options } from "../../../src/warehouse/Snowflake.js"
import { check } from "../../../src/warehouse/snowflake/check.js"
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
      /^0\naccount host: 127[^]*account: EMULATOR\nuser: SNOWGUARD\nrole: READER\nversion: \d/
    )
    expect(good).toMatch(/\nwarehouse: WH \(/)
    expect(good).not.toMatch(/wrong|warning/)
    expect(good).toMatch(/\nok$/)
    expect(yield* report({ role: "SYSADMIN" })).toMatch(
      /^0\n[^]*warning: SYSADMIN is a system role[^\n]*\nok$/
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
    const nobody = Effect.succeed(loginTo("http://127.0.0.1:1"))
    // Said once: not again in the driver's words.
    expect(yield* report({ login: nobody })).toMatch(
      /^69\n[^\n]*\nwrong: nothing listens at the account's address \[ECONNREFUSED\]\nto do: check [^\n]*access_url$/
    )
    yield* emulator.setFaults({ faults: [{ kind: "status", status: 403, where: "login" }] })
    expect(yield* report({})).toMatch(/^78\n[^]*wrong: [^\n]*network policy/)
  })
)
