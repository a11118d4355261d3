import { expect, it } from "@effect/vitest"
import { Chunk, Effect, Either, Exit, Fiber, Redacted, Scope, Stream } from "effect"
import { randomUUID } from "node:crypto"
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Emulator from "../../src/emulator/Emulator.js"
import * as Principal from "../../src/platform/Principal.js"
import * as SignInSettings from "../../src/server/SignIn.js"
import { identityOf } from "../../src/server/SnowflakeAccount.js"
import type { WarehouseError } from "../../src/warehouse/Warehouse.js"
import * as SignIn from "../../src/warehouse/snowflake/signIn.js"
import * as Snowflake from "../../src/warehouse/Snowflake.js"
import type { RanAs } from "../../src/warehouse/Warehouse.js"
import { settingsOf } from "../config/samples.js"
import { authorizationServer, isInstalled } from "./started.js"

const temporary = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "snowguard-sign-in-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

const start = (more: Partial<SignIn.Options> = {}, given: { readonly [setting: string]: unknown } = {}) =>
  Effect.gen(function* () {
    let account = ""
    const server = yield* authorizationServer(() => account)
    const emulator = yield* Emulator.start({
      directory: {
        users: { ANN: { roles: ["READER"] } },
        roles: { READER: { reads: ["SNOWGUARD_SAMPLE"] } }
      },
      tokenUser: (token) => Effect.promise(() => server.userOf(token))
    })
    account = emulator.url
    const directory = yield* temporary
    const settings = settingsOf({
      document: {
        warehouse: "snowflake",
        snowflake: {
          access_url: emulator.url,
          account: "emulator",
          authenticator: "oauth_authorization_code",
          oauth_issuer: server.issuer,
          oauth_client_id: "person",
          oauth_redirect_uri: "http://127.0.0.1/back",
          role: "READER",
          warehouse: "WH",
          ...given
        }
      }
    })
    const shown: Array<string> = []
    const awaited = { count: 0, now: 0 }
    const options: SignIn.Options = {
      ...SignInSettings.options(
        settings,
        Either.right(directory),
        Effect.sync(() => {
          awaited.count += 1
          awaited.now += 1
          return Effect.sync(() => void (awaited.now -= 1))
        })
      ),
      scope: "session:role:READER",
      waitMs: 300,
      browse: (url) => Effect.sync(() => void shown.push(url)),
      ...more
    }
    const serve = Effect.gen(function* () {
      const signIn = yield* SignIn.make(options)
      const warehouse = yield* Snowflake.make({
        login: Effect.never,
        identityOf: identityOf(settings, { signIn }),
        database: "SNOWGUARD_SAMPLE"
      })
      const told: Array<RanAs> = []
      const call = Effect.scoped(
        Effect.flatMap(
          warehouse.execute({
            sql: "SELECT CURRENT_USER() AS U",
            timeoutMs: 20_000,
            requestId: randomUUID(),
            runsAs: (who) => void told.push(who)
          }),
          ({ rows }) => Effect.map(Stream.runCollect(rows), (chunks) => Chunk.toReadonlyArray(chunks).flat())
        )
      ).pipe(Effect.provideService(Principal.CurrentPrincipal, Principal.make("local")))
      return { signIn, call, told }
    })
    const get = (url: string) =>
      Effect.promise(() => fetch(url).then(async (it) => ({ status: it.status, text: await it.text() })))
    const asPerson = (user: string) =>
      Effect.flatMap(
        Effect.promise(() => server.comeBack(shown.at(-1)!, user)),
        get
      )
    return { server, emulator, directory, serve, shown, awaited, get, asPerson }
  })

/** What a call is told once the authorization server has been found, however long that takes. */
const toldWhere = <A>(call: Effect.Effect<A, WarehouseError>) =>
  Effect.repeat(Effect.flip(call), { until: ({ description }) => description.includes("open http") }).pipe(
    Effect.timeout("20 seconds")
  )

it.scopedLive.skipIf(!isInstalled)(
  "calls are told where to sign in, one sign-in is begun for all, and they run as the person when it is done",
  () =>
    Effect.gen(function* () {
      const { asPerson, awaited, emulator, get, serve, server, shown } = yield* start()
      const { call, signIn, told } = yield* serve
      const refused = yield* Effect.all([toldWhere(call), toldWhere(call), toldWhere(signIn.token)], {
        concurrency: "unbounded"
      })
      expect(shown.length).toBe(1)
      expect(awaited).toEqual({ count: 1, now: 1 })
      for (const { description, reason, retryAfterMs, sent } of refused) {
        expect([reason, sent, retryAfterMs]).toEqual(["LoginUnavailable", "no", 5_000])
        expect(description).toContain(shown[0])
      }
      const asked = new URL(shown[0]!)
      expect(asked.searchParams.get("code_challenge_method")).toBe("S256")
      expect(asked.searchParams.get("redirect_uri")).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/back$/)

      // Redirects that are not of this sign-in change nothing.
      const back = asked.searchParams.get("redirect_uri")!
      expect((yield* get(`${back}?code=stolen&state=another`)).status).toBe(400)
      expect((yield* get(`${back}?error=access_denied`)).status).toBe(400)
      expect((yield* get(new URL("/elsewhere", back).href)).status).toBe(404)
      expect((yield* Effect.flip(call)).description).toContain(shown[0])

      const landed = yield* asPerson("ann")
      expect(landed).toMatchObject({ status: 200, text: expect.stringContaining("You are signed in") })
      expect(yield* call).toEqual([["ANN"]])
      expect(told).toEqual([{ user: "ANN", role: "READER" }])
      expect(awaited.now).toBe(0)
      // Nothing listens there any more.
      const isClosed = yield* Effect.promise(() =>
        fetch(back).then(
          () => false,
          () => true
        )
      )
      expect(isClosed).toBe(true)

      // It is renewed without a person.
      const first = yield* signIn.token
      expect(Redacted.value(yield* signIn.token)).toBe(Redacted.value(first))
      yield* signIn.forget(first)
      const second = yield* signIn.token
      expect(Redacted.value(second)).not.toBe(Redacted.value(first))
      expect(yield* Effect.promise(() => server.userOf(Redacted.value(second)))).toMatchObject({
        user: "ANN"
      })
      yield* emulator.killSessions
      yield* Effect.retry(call, { times: 2 })
      expect(shown.length).toBe(1)
    })
)

it.scopedLive.skipIf(!isInstalled)(
  "a sign-in that is refused, or not finished in time, says so, and the next call begins another",
  () =>
    Effect.gen(function* () {
      const { asPerson, serve, shown } = yield* start({ approvalMs: 800 })
      const { signIn } = yield* serve
      yield* toldWhere(signIn.token)
      const waiting = yield* Effect.fork(Effect.flip(signIn.token))
      yield* Effect.yieldNow()
      expect((yield* asPerson("refuses")).status).toBe(403)
      const { description, reason } = yield* waiting.await.pipe(Effect.flatten)
      expect(reason).toBe("Authentication")
      expect(description).toContain("access_denied")

      yield* toldWhere(signIn.token)
      expect(shown.length).toBe(2)
      expect(new URL(shown[1]!).searchParams.get("state")).not.toBe(
        new URL(shown[0]!).searchParams.get("state")
      )
      const late = yield* Effect.repeat(Effect.flip(signIn.token), {
        until: ({ description }) => description.includes("was not finished within")
      }).pipe(Effect.timeout("5 seconds"))
      expect(late.reason).toBe("LoginUnavailable")
    })
)

it.scopedLive.skipIf(!isInstalled)(
  "the refresh token is on the disk only where that is asked for, for its owner alone, and saves a restart the browser",
  () =>
    Effect.gen(function* () {
      const { asPerson, directory, serve, shown } = yield* start({}, { oauth_keep: true })
      const before = yield* Scope.make()
      const { signIn } = yield* Scope.extend(serve, before)
      yield* toldWhere(signIn.token)
      yield* asPerson("ann")
      const token = Redacted.value(yield* signIn.token)
      yield* Scope.close(before, Exit.void)
      const [name, ...others] = readdirSync(directory)
      expect(others).toEqual([])
      const path = join(directory, name!)
      expect(statSync(path).mode & 0o777).toBe(0o600)
      expect(readFileSync(path, "utf8")).not.toContain(token)

      const after = yield* serve
      expect(yield* after.call).toEqual([["ANN"]])
      expect(shown.length).toBe(1)
      // The account does not take the person: it is not to be the same one again.
      yield* after.signIn.refused
      expect(readdirSync(directory)).toEqual([])
      yield* toldWhere(after.signIn.token)
      expect(shown.length).toBe(2)
    })
)

it.scopedLive.skipIf(!isInstalled)("without that nothing is written, and a restart asks again", () =>
  Effect.gen(function* () {
    const { asPerson, directory, serve, shown } = yield* start()
    const { signIn } = yield* serve
    yield* toldWhere(signIn.token)
    yield* asPerson("ann")
    yield* signIn.token
    expect(readdirSync(directory)).toEqual([])
    const again = yield* serve
    yield* toldWhere(again.signIn.token)
    expect(shown.length).toBe(2)
  })
)

it.scopedLive.skipIf(!isInstalled)(
  "a redirect that comes twice signs in once, and a call that is cancelled while the browser is open takes nothing from the next",
  () =>
    Effect.gen(function* () {
      const { awaited, serve, server, shown } = yield* start({ waitMs: 60_000 })
      const { call, signIn } = yield* serve
      const waiting = yield* Effect.fork(signIn.token)
      const other = yield* Effect.fork(call)
      yield* Effect.repeat(Effect.yieldNow(), { until: () => shown.length > 0 }).pipe(
        Effect.timeout("5 seconds")
      )
      // It ends at once, long before the person has come back.
      const ended = yield* Fiber.interrupt(waiting).pipe(Effect.timeout("5 seconds"))
      expect(Exit.isInterrupted(ended)).toBe(true)
      expect(awaited.now).toBe(1)

      const back = yield* Effect.promise(() => server.comeBack(shown[0]!, "ann"))
      const come = Effect.promise(() =>
        fetch(back).then(
          ({ status }) => status,
          () => "closed" as const
        )
      )
      const statuses = yield* Effect.all([come, come, come], { concurrency: "unbounded" })
      expect(statuses.filter((status) => status === 200)).toHaveLength(1)
      expect(statuses.every((status) => status === 200 || status === 400 || status === "closed")).toBe(true)
      expect(yield* other.await.pipe(Effect.flatten)).toEqual([["ANN"]])
      expect(yield* call).toEqual([["ANN"]])
      expect(shown.length).toBe(1)
      expect(awaited).toEqual({ count: 1, now: 0 })
    })
)
