/** The built binary over stdio, at which one person signs in by the browser. */
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Emulator from "../../src/emulator/Emulator.js"
import * as Server from "../utils/server.js"
import { filesIn, holding } from "./secrets.js"
import { authorizationServer, isInstalled } from "./started.js"

const temporary = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "snowguard-sign-in-bin-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

const start = Effect.gen(function* () {
  let account = ""
  const server = yield* authorizationServer(() => account)
  const ran: Array<string> = []
  const emulator = yield* Emulator.start({
    directory: {
      users: { ANN: { roles: ["READER", "OTHER"] } },
      roles: { READER: { reads: ["SNOWGUARD_SAMPLE"] }, OTHER: { reads: [] } }
    },
    tokenUser: (token) => Effect.promise(() => server.userOf(token)),
    onStatement: ({ role, secondaryRoles, session, sql }) =>
      void ran.push(`${session.user} ${role} ${String(secondaryRoles)}: ${sql}`)
  })
  account = emulator.url
  const folder = yield* temporary
  const [state, home] = [join(folder, "state"), join(folder, "home")]
  mkdirSync(home)
  // What xdg-open starts where there is no desktop.
  const [browser, opened] = [join(folder, "browser"), join(folder, "opened")]
  writeFileSync(browser, `#!/bin/sh\nprintf '%s\\n' "$1" >> '${opened}'\n`)
  chmodSync(browser, 0o755)

  const serve = (more: Server.Env = {}) =>
    Effect.gen(function* () {
      const server = yield* Server.raw({
        env: {
          HOME: home,
          SNOWGUARD_STATE_DIR: state,
          BROWSER: browser,
          XDG_CURRENT_DESKTOP: "X-Generic",
          SNOWGUARD_WAREHOUSE: "snowflake",
          SNOWGUARD_LOG_LEVEL: "trace",
          SNOWFLAKE_ACCOUNT: "emulator",
          SNOWFLAKE_ACCESS_URL: emulator.url,
          SNOWFLAKE_AUTHENTICATOR: "oauth_authorization_code",
          SNOWGUARD_SNOWFLAKE_OAUTH_ISSUER: issuer,
          SNOWGUARD_SNOWFLAKE_OAUTH_CLIENT_ID: "person",
          SNOWGUARD_SNOWFLAKE_OAUTH_REDIRECT_URI: "http://127.0.0.1/back",
          SNOWFLAKE_ROLE: "READER",
          SNOWFLAKE_WAREHOUSE: "WH",
          ...more
        }
      })
      yield* Effect.promise(() => server.initialize())
      let id = 0
      const call = (sql = "SELECT CURRENT_USER() AS U") =>
        Effect.promise(async () => (await server.call(++id, "execute_query", { sql })).result!)
      /** What a call says until the person has signed in. */
      const address = call().pipe(
        Effect.map((result) => ({ told: Server.report(result), text: JSON.stringify(result.content) })),
        Effect.repeat({ until: ({ text }) => text.includes("open http") }),
        Effect.timeout("20 seconds"),
        Effect.map(({ text, told }) => ({ told, url: /open (http:\/\/[^\s"\\]+)/.exec(text)![1]! }))
      )
      const texts = () => ({
        stderr: server.stderr,
        stdout: `${server.messages.map((one) => JSON.stringify(one)).join("\n")}\n${server.notJson.join("\n")}`
      })
      return { server, call, address, texts }
    })
  const { issuer } = server
  const asAnn = (url: string) =>
    Effect.promise(async () => {
      const back = await fetch(await server.comeBack(url, "ann"))
      return { status: back.status, text: await back.text() }
    })
  return { asAnn, given: server.given, home, opened, ran, serve, state }
})

it.scopedLive.skipIf(!isInstalled)(
  "a person signs in, and queries run as the person; no token is in a file, a log or an answer, and a restart asks again",
  () =>
    Effect.gen(function* () {
      const { asAnn, given, home, opened, ran, serve, state } = yield* start
      const first = yield* serve()
      const { told, url } = yield* first.address
      expect(told).toMatchObject({ code: "WAREHOUSE_LOGIN_UNAVAILABLE", retryable: true })
      if (process.platform === "linux") {
        yield* Effect.repeat(
          Effect.delay(
            Effect.sync(() => existsSync(opened) && readFileSync(opened, "utf8").endsWith("\n")),
            "20 millis"
          ),
          { until: (isThere) => isThere }
        ).pipe(Effect.timeout("10 seconds"))
        expect(readFileSync(opened, "utf8")).toBe(`${url}\n`)
      }
      expect(ran).toEqual([])
      expect(yield* asAnn(url)).toMatchObject({ status: 200, text: expect.stringContaining("signed in") })
      expect(Server.structured(yield* first.call())["rows"]).toEqual([["ANN"]])
      expect(ran).toContainEqual(expect.stringMatching(/^ANN READER NONE: .*SELECT CURRENT_USER\(\) AS U/))
      expect(ran.filter((one) => !one.startsWith("ANN READER "))).toEqual([])
      expect(first.server.notJson).toEqual([])

      const secrets = given()
      expect(secrets.length).toBe(2)
      expect(holding({ ...filesIn(home), ...filesIn(state), ...first.texts() }, secrets)).toEqual([])
      // The search finds what is there.
      for (const [n, secret] of secrets.entries()) writeFileSync(join(state, `planted ${n}`), `a "${secret}"`)
      expect(holding(filesIn(state), secrets)).toEqual(secrets.map((_, n) => join(state, `planted ${n}`)))
      for (const n of secrets.keys()) rmSync(join(state, `planted ${n}`))

      first.server.child.stdin.end()
      expect(yield* Effect.promise(() => first.server.exited)).toMatchObject({ code: 0 })
      const again = yield* serve()
      expect((yield* again.address).url).not.toBe(url)
      expect(given()).toEqual(secrets)
    }),
  120_000
)

it.scopedLive.skipIf(!isInstalled)(
  "where the settings say so the refresh token is in one file of its owner alone, and saves a restart the browser",
  () =>
    Effect.gen(function* () {
      const { asAnn, given, home, serve, state } = yield* start
      const first = yield* serve({ SNOWGUARD_SNOWFLAKE_OAUTH_KEEP: "true" })
      yield* asAnn((yield* first.address).url)
      expect(Server.structured(yield* first.call())["rows"]).toEqual([["ANN"]])
      const [access, refresh, ...others] = given()
      expect(others).toEqual([])
      const where = () => ({ ...filesIn(home), ...filesIn(state), ...first.texts() })
      const [path, ...more] = holding(where(), [refresh!])
      expect(more).toEqual([])
      expect(path).toMatch(/sign-in-[0-9a-f]{16}\.token$/)
      if (process.platform !== "win32") expect(statSync(path!).mode & 0o777).toBe(0o600)
      expect(holding(where(), [access!])).toEqual([])

      first.server.child.stdin.end()
      yield* Effect.promise(() => first.server.exited)
      const again = yield* serve({ SNOWGUARD_SNOWFLAKE_OAUTH_KEEP: "true" })
      const answered = yield* Effect.repeat(again.call(), { until: ({ isError }) => isError !== true }).pipe(
        Effect.timeout("20 seconds")
      )
      expect(Server.structured(answered)["rows"]).toEqual([["ANN"]])
      expect(again.server.stderr).not.toContain("sign in to Snowflake")
    }),
  120_000
)
