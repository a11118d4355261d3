/** The built binary as the shared server, whose callers sign in and act as themselves. */
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Emulator from "../../src/emulator/Emulator.js"
import * as H from "../utils/http.js"
import { run } from "../utils/command.js"
import { folder, serving } from "../utils/httpProcess.js"
import { bin, cleanEnv } from "../utils/server.js"
import { filesIn, holding } from "./secrets.js"
import { authorizationServer, isInstalled, resource } from "./started.js"
import { inLongForm } from "../utils/long.js"

const clientSecret = "a secret of the exchange"

const start = Effect.gen(function* () {
  let account = ""
  const server = yield* authorizationServer(() => account, { ann: ["READER"], bob: ["READER"], eve: [] })
  const ran: Array<string> = []
  const emulator = yield* Emulator.start({
    directory: {
      users: { ANN: { roles: ["READER"] }, BOB: { roles: ["READER"] } },
      roles: { READER: { reads: ["SNOWGUARD_SAMPLE"] } }
    },
    tokenUser: (token) => Effect.promise(() => server.userOf(token)),
    onStatement: ({ session, sql }) => void ran.push(`${session.user}: ${sql}`)
  })
  account = emulator.url
  const home = yield* folder
  const configuration = join(home, "snowguard.toml")
  writeFileSync(
    configuration,
    `warehouse = "snowflake"
[auth]
mode = "oauth"
issuer = "${server.issuer}"
resource = "${resource}"
scopes = ["snowguard:read"]
[audit]
file = "${join(home, "audit.jsonl")}"
statements = "text"
[log]
level = "trace"
[snowflake]
account = "emulator"
access_url = "${emulator.url}"
identity = "exchange"
role = "READER"
warehouse = "WH"
[exchange]
client_id = "snowguard"
client_secret = "${clientSecret}"
`,
    { mode: 0o600 }
  )
  const { process, server: served } = yield* serving({ HOME: home, SNOWGUARD_CONFIG: configuration })
  return { configuration, emulator, home, process, ran, served, server }
})

it.scopedLive.skipIf(!isInstalled)(
  "no token of a caller, none that it was exchanged for and no secret is in audit, log, status, metrics or answers",
  () =>
    Effect.gen(function* () {
      const { emulator, home, process, ran, served, server } = yield* start
      const heard: { [name: string]: string } = {}
      const ask = (name: string, asked: H.Ask) =>
        Effect.tap(served.ask(asked), ({ body, headers }) => {
          heard[name] = `${JSON.stringify(headers)}\n${body}`
          return Effect.void
        })
      const signIn = (...args: Parameters<typeof server.signIn>) =>
        Effect.promise(() => server.signIn(...args))
      const session = (token: string) => served.open({ token })
      const as = (name: string, token: string) =>
        Effect.map(session(token), (session) => {
          let id = 0
          return (tool: string, args: object = {}) =>
            ask(`answer ${name} ${++id}`, { body: H.toolCall(id, tool, args), session, token })
        })
      const sql = "SELECT CURRENT_USER() AS U"

      const tokens = {
        ann: yield* signIn("ann"),
        bob: yield* signIn("bob"),
        eve: yield* signIn("eve"),
        root: yield* signIn("root", { scope: "openid snowguard:read snowguard:admin" }),
        elsewhere: yield* signIn("ann", { wanted: `${resource}/other` })
      }
      const ann = yield* as("ann", tokens.ann)
      const bob = yield* as("bob", tokens.bob)
      const eve = yield* as("eve", tokens.eve)
      expect((yield* ann("execute_query", { sql })).body).toContain('[["ANN"]]')
      expect((yield* bob("execute_query", { sql })).body).toContain('[["BOB"]]')
      // Of each kind of end: refused by the exchange, by the gate, by the account, and not served at all.
      expect((yield* eve("execute_query", { sql })).body).toContain("invalid_scope")
      yield* ann("execute_query", { sql: `DROP TABLE ${tokens.ann.slice(0, 5)}` })
      yield* ann("execute_query", { sql: "SELECT * FROM SNOWGUARD_SAMPLE.PUBLIC.NO_SUCH" })
      yield* ann("list_tables", { database: "SNOWGUARD_SAMPLE" })
      yield* bob("get_limits")
      server.revoke(tokens.bob)
      yield* emulator.expireSessions
      yield* emulator.setFaults({ faults: [{ kind: "status", status: 503, where: "any" }] })
      yield* ann("execute_query", { sql: "SELECT 2" })
      yield* emulator.killSessions
      yield* emulator.setFaults({ faults: [{ kind: "refusal", where: "login", code: "390422" }] })
      yield* ann("execute_query", { sql: "SELECT 3" })
      yield* emulator.setFaults({ faults: [] })
      expect((yield* ask("refused", { body: H.initialize(), token: tokens.elsewhere })).status).toBe(401)

      const status = yield* ask("status data", { path: "/status/data", token: tokens.root })
      expect(status.status).toBe(200)
      expect(status.body).toContain('"acts_as"')
      expect((yield* ask("status", { path: "/status" })).status).toBe(200)
      expect((yield* ask("metrics", { path: "/metrics", token: tokens.root })).body).toContain(
        "snowguard_calls_total"
      )
      expect((yield* ask("ready", { path: "/readyz" })).status).toBe(200)
      process.child.kill("SIGTERM")
      yield* Effect.promise(() => process.exited)

      const files = { ...filesIn(home), ...filesIn(process.cwd) }
      const texts: { readonly [name: string]: string } = {
        ...heard,
        ...files,
        stdout: process.stdout,
        stderr: process.stderr
      }
      const audit = texts[join(home, "audit.jsonl")]
      expect(audit).toContain('"ANN"')
      expect(audit).toContain(sql)
      expect(process.stderr).toContain("invalid_scope")
      expect(process.stderr).toContain("390422")
      expect(ran.filter((one) => one.includes(sql)).map((one) => one.slice(0, 3))).toEqual(["ANN", "BOB"])

      const given = server.given()
      // Those of the five who signed in, and what the exchange gave for ann and bob.
      expect(given.length).toBeGreaterThanOrEqual(7)
      const isSetting = (name: string) => name.endsWith("snowguard.toml")
      expect(holding(texts, [...given, ...Object.values(tokens)]).filter((name) => !isSetting(name))).toEqual(
        []
      )
      expect(holding(texts, [clientSecret]).filter((name) => !isSetting(name))).toEqual([])
      // The search finds each of them where it is.
      for (const token of given) {
        expect(holding({ ...texts, planted: `{"line": "${token}"}` }, [token])).toEqual(["planted"])
      }
    }),
  120_000
)

inLongForm(() => {
  it.scopedLive.skipIf(!isInstalled)(
    "check says for whom tokens would be asked, that the endpoint knows this server, and what takes a caller's token",
    () =>
      Effect.gen(function* () {
        const { configuration, emulator, ran, server } = yield* start
        const { status, stdout } = yield* Effect.promise(() =>
          run(process.execPath, [bin, "check", "--client", "ann"], {
            env: cleanEnv({ SNOWGUARD_CONFIG: configuration })
          })
        )
        expect([status, stdout.trimEnd().split("\n")]).toEqual([
          0,
          [
            "client: ann",
            "tier: default",
            "identity: exchange",
            `account: ${emulator.url}`,
            `authorization server: ${server.issuer}`,
            "role: READER",
            "warehouse: WH",
            "client of the exchange: snowguard (known there: a token that is none was refused with invalid_grant)",
            expect.stringMatching(
              /^warning: whether callers get tokens, and may log in with them, was not tried/
            ),
            "ok"
          ]
        ])
        expect(ran).toEqual([])
      }),
    120_000
  )
})
