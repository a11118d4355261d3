/** What the built server tells its operators of the users that its callers act as. */
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Emulator from "../../src/emulator/Emulator.js"
import * as Keys from "../../src/mcp/auth/Keys.js"
import * as Chromium from "../dashboard/chromium.js"
import type * as H from "../utils/http.js"
import { folder, serving } from "../utils/httpProcess.js"
import { isLong } from "../utils/long.js"

const start = Effect.gen(function* () {
  const emulator = yield* Emulator.start({
    directory: {
      users: {
        ANN: { password: "ann's", roles: ["SALES"] },
        BOB: { password: "bob's", roles: ["WEB"] },
        CARL: { password: "carl's", roles: ["WEB"] }
      },
      roles: {
        SALES: { reads: ["SNOWGUARD_SAMPLE.PUBLIC"] },
        WEB: { reads: ["SNOWGUARD_SAMPLE.WEB"] }
      }
    }
  })
  const home = yield* folder
  const configuration = join(home, "snowguard.toml")
  writeFileSync(
    configuration,
    `warehouse = "snowflake"
[auth]
mode = "keys"
keys_file = "${join(home, "keys.json")}"
[snowflake]
account = "emulator"
access_url = "${emulator.url}"
identity = "client"
warehouse = "WH"
[clients.ann.snowflake]
user = "ANN"
password = "ann's"
role = "SALES"
[clients.bob.snowflake]
user = "BOB"
password = "bob's"
role = "WEB"
[clients.carl.snowflake]
user = "CARL"
password = "not carl's"
`,
    { mode: 0o600 }
  )
  const key = (client: string, admin = false) =>
    Effect.map(Keys.create(join(home, "keys.json"), { client, admin }), ({ key }) => key)
  const keys = {
    ann: yield* key("ann"),
    bob: yield* key("bob"),
    carl: yield* key("carl"),
    ops: yield* key("ops", true)
  }
  const { server } = yield* serving({ HOME: home, SNOWGUARD_CONFIG: configuration })
  const query = (token: string) =>
    Effect.flatMap(server.open({ token }), (session) =>
      server.call(session, 1, "execute_query", { sql: "SELECT CURRENT_USER() AS U" }, { token })
    )
  const json = (ask: H.Ask) =>
    Effect.map(server.ask(ask), ({ body, status }) => ({ status, body: JSON.parse(body), text: body }))
  return { keys, query, json, server }
})

it.scopedLive(
  "the status says as whom each client acts and whose login is refused, to administrators; the server stays ready and says so",
  () =>
    Effect.gen(function* () {
      const { json, keys, query, server } = yield* start
      expect((yield* json({ path: "/readyz" })).body).toEqual({ status: "ready" })
      expect((yield* query(keys.ann)).body).toContain('[["ANN"]]')
      expect((yield* query(keys.carl)).body).toContain("WAREHOUSE_AUTHENTICATION")
      expect((yield* query(keys.bob)).body).toContain('[["BOB"]]')

      const ready = yield* json({ path: "/readyz" })
      expect([ready.status, ready.body]).toEqual([
        200,
        {
          status: "ready",
          details: {
            logins: "the login of 1 user to the warehouse was refused; callers with other users are served"
          }
        }
      ])

      const all = yield* json({ path: "/status/data", token: keys.ops })
      const clients = all.body.snapshot.clients as ReadonlyArray<{ readonly [name: string]: unknown }>
      expect(Object.fromEntries(clients.map(({ acts_as, client }) => [client, acts_as]))).toMatchObject({
        ann: "ANN (SALES)",
        bob: "BOB (WEB)",
        carl: undefined
      })
      expect(all.body.snapshot.refused_users).toMatchObject([{ user: "CARL" }])
      const totals = yield* json({ path: "/status/data", token: keys.ann })
      expect(totals.status).toBe(200)
      for (const name of ["ANN", "BOB", "CARL", "Incorrect"]) expect(totals.text).not.toContain(name)
      expect(totals.body.snapshot.login).toMatchObject({ latched: true, only_some: true })
      const { body: metrics } = yield* server.ask({ path: "/metrics", token: keys.ops })
      expect(metrics).toMatch(/^snowguard_warehouse_login_latched(?:\{[^}]*\})? 0$/m)
      expect(metrics).toMatch(/^snowguard_warehouse_users_latched(?:\{[^}]*\})? 1$/m)

      if (!isLong || !Chromium.available()) return
      yield* Effect.gen(function* () {
        const { visit } = yield* Effect.map(Chromium.Chrome, (chrome) => ({
          visit: chrome.visit.bind(chrome)
        }))
        const { page } = yield* visit(`http://127.0.0.1:${server.port}/status`)
        yield* Effect.promise(async () => {
          await page.goto(`http://127.0.0.1:${server.port}/status`)
          await page.getByLabel("API key").fill(keys.ops)
          await page.getByRole("button", { name: "Show the status" }).click()
          for (const [client, as] of [
            ["ann", "as ANN (SALES)"],
            ["bob", "as BOB (WEB)"]
          ] as const) {
            const row = page.getByRole("row", { name: new RegExp(`^${client}`) })
            await row.waitFor()
            expect(await row.innerText()).toContain(as)
          }
          await page
            .getByText(/The login of CARL is refused/)
            .first()
            .waitFor()
        })
      }).pipe(Effect.provide(Chromium.layer))
    }),
  120_000
)
