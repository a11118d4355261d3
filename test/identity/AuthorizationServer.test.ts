import { expect, it } from "@effect/vitest"
import { Clock, Effect, Either, Layer, Logger, LogLevel, Metric, Schedule } from "effect"
import { generateKeyPairSync } from "node:crypto"
import * as Emulator from "../../src/emulator/Emulator.js"
import { Authenticator } from "../../src/mcp/auth/Auth.js"
import * as Principal from "../../src/platform/Principal.js"
import * as Authentication from "../../src/server/Authentication.js"
import * as Server from "../../src/server/Server.js"
import { Toolbox } from "../../src/tools/Toolbox.js"
import { settingsOf } from "../config/samples.js"
import { authorizationServer, isInstalled, resource } from "./started.js"
import { someOrAll } from "../utils/long.js"

const secret = { client_id: "snowguard", client_secret: "a secret of the exchange" }

/** As it is so many milliseconds from now. */
const later = (ms: number) => {
  const clock = Clock.make()
  return Effect.withClock({
    ...clock,
    [Clock.ClockTypeId]: Clock.ClockTypeId,
    unsafeCurrentTimeMillis: () => clock.unsafeCurrentTimeMillis() + ms,
    currentTimeMillis: Effect.map(clock.currentTimeMillis, (now) => now + ms)
  })
}

/** A server whose callers sign in at a real authorization server, and act as themselves in an emulated account. */
const start = (exchange: { readonly [setting: string]: unknown } = secret, clientKey?: object) =>
  Effect.gen(function* () {
    let account = ""
    const server = yield* authorizationServer(
      () => account,
      { ann: ["READER"], bob: ["READER"], dan: ["READER"], eve: [] },
      clientKey
    )
    const ran: Array<string> = []
    /** The tokens that have come to the account. */
    const exchanged = new Set<string>()
    const emulator = yield* Emulator.start({
      directory: {
        users: { ANN: { roles: ["READER"] }, BOB: { roles: ["READER"] }, DAN: { roles: ["READER"] } },
        roles: { READER: { reads: ["SNOWGUARD_SAMPLE"] } }
      },
      tokenUser: (token) => {
        exchanged.add(token)
        return Effect.promise(() => server.userOf(token))
      },
      onStatement: ({ role, secondaryRoles, session, sql }) =>
        void ran.push(`${session.user} ${role} ${String(secondaryRoles)}: ${sql}`)
    })
    account = emulator.url
    const settings = settingsOf({
      document: {
        warehouse: "snowflake",
        quota_store: { kind: "memory" },
        auth: { mode: "oauth", issuer: server.issuer, resource, scopes: ["snowguard:read"] },
        snowflake: {
          access_url: emulator.url,
          account: "emulator",
          identity: "exchange",
          role: "READER",
          warehouse: "WH"
        },
        exchange
      }
    })
    const context = yield* Layer.build(
      Layer.merge(
        Server.layer(settings),
        Authentication.layer(settings, { host: "127.0.0.1", keysPath: Effect.succeed("/nowhere") })
      )
    )
    const admit = (token: string) =>
      Effect.flatMap(Authenticator, ({ authenticate }) =>
        authenticate({ authorization: `Bearer ${token}`, address: "127.0.0.1" })
      ).pipe(Effect.provide(context))
    const call = (principal: Principal.Principal, sql = "SELECT CURRENT_USER() AS U") =>
      Effect.flatMap(Toolbox, ({ get }) =>
        Effect.provideService(
          get("execute_query")!.handler({ sql }, { progress: () => Effect.void }),
          Principal.CurrentPrincipal,
          principal
        )
      ).pipe(
        Effect.map((answer) => (answer as { readonly rows: ReadonlyArray<ReadonlyArray<unknown>> }).rows),
        Effect.provide(context)
      )
    const ask = (token: string) => Effect.flatMap(admit(token), ({ principal }) => call(principal))
    return {
      server,
      ran,
      exchanged,
      admit,
      call,
      ask,
      signIn: (...args: Parameters<typeof server.signIn>) => Effect.promise(() => server.signIn(...args)),
      logins: Effect.map(emulator.state, ({ requests }) => requests["Login"] ?? 0)
    }
  })

it.scopedLive.skipIf(!isInstalled)(
  "a caller signs in by PKCE, and its statements run as itself; its own token opens nothing in Snowflake",
  () =>
    Effect.gen(function* () {
      const { ask, ran, server, signIn } = yield* start()
      const ann = yield* signIn("ann")
      expect(yield* ask(ann)).toEqual([["ANN"]])
      expect(yield* ask(yield* signIn("bob"))).toEqual([["BOB"]])
      expect(yield* Effect.promise(() => server.userOf(ann))).toBeUndefined()
      expect(ran.filter((one) => one.includes("SELECT CURRENT_USER() AS U"))).toEqual([
        expect.stringMatching(/^ANN READER NONE: /),
        expect.stringMatching(/^BOB READER NONE: /)
      ])
    })
)

const withSecret = ["basic", "post"].map((client_auth) => ({
  client_auth,
  given: { ...secret, client_id: client_auth === "post" ? "snowguard-post" : "snowguard", client_auth },
  wrong: { client_secret: "another secret" }
}))

for (const { client_auth, given, wrong } of someOrAll(withSecret, 1)) {
  it.scopedLive.skipIf(!isInstalled)(
    `the server is the client of the exchange by its secret (${client_auth}), and no other secret is taken`,
    () =>
      Effect.gen(function* () {
        const { ask, signIn } = yield* start(given)
        expect(yield* ask(yield* signIn("ann"))).toEqual([["ANN"]])
        const other = yield* start({ ...given, ...wrong })
        expect(yield* Effect.flip(other.ask(yield* other.signIn("ann")))).toMatchObject({
          reason: "Configuration",
          code: "invalid_client",
          sent: "no"
        })
        expect(yield* other.logins).toBe(0)
      })
  )
}

const keys = (kind: "EC" | "RSA") => {
  const { privateKey, publicKey } =
    kind === "EC"
      ? generateKeyPairSync("ec", { namedCurve: "P-256" })
      : generateKeyPairSync("rsa", { modulusLength: 2048 })
  return {
    pem: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    jwk: {
      ...publicKey.export({ format: "jwk" }),
      kid: "k1",
      use: "sig",
      alg: kind === "EC" ? "ES256" : "RS256"
    }
  }
}

for (const kind of someOrAll(["EC", "RSA"] as const, 1)) {
  it.scopedLive.skipIf(!isInstalled)(
    `the server is the client of the exchange by a signed assertion (${kind}), and no other key is taken`,
    () =>
      Effect.gen(function* () {
        const { jwk, pem } = keys(kind)
        const given = {
          client_id: "snowguard-key",
          client_auth: "private_key_jwt",
          client_key: pem,
          client_key_id: "k1"
        }
        const { ask, signIn } = yield* start(given, jwk)
        expect(yield* ask(yield* signIn("ann"))).toEqual([["ANN"]])
        const other = yield* start({ ...given, client_key: keys(kind).pem }, jwk)
        const refused = yield* Effect.flip(other.ask(yield* other.signIn("ann")))
        expect(refused).toMatchObject({ reason: "Configuration", code: "invalid_client", sent: "no" })
        expect(yield* other.logins).toBe(0)
      })
  )
}

it.scopedLive.skipIf(!isInstalled)(
  "a token of another audience, without the scope, or that has expired, is refused before anything is asked for",
  () =>
    Effect.gen(function* () {
      const { admit, ask, logins, ran, signIn } = yield* start()
      const refused = (token: string) => Effect.flip(admit(token))
      expect(yield* refused(yield* signIn("ann", { wanted: `${resource}/other` }))).toMatchObject({
        _tag: "AuthRefused",
        reason: "invalid"
      })
      expect(yield* refused(yield* signIn("ann", { scope: "openid" }))).toMatchObject({
        _tag: "AuthRefused",
        reason: "insufficient-scope"
      })
      const token = yield* signIn("ann", { seconds: 60 })
      const expired = { _tag: "AuthRefused", reason: "expired" }
      expect(yield* later(600_000)(refused(token))).toMatchObject(expired)
      expect([yield* logins, ran]).toEqual([0, []])
      // Also one that was taken before.
      expect(yield* ask(token)).toEqual([["ANN"]])
      expect(yield* later(600_000)(refused(token))).toMatchObject(expired)
    })
)

it.scopedLive.skipIf(!isInstalled)(
  "a caller that the exchange refuses has no statement and holds no other caller back: revoked, expired, without the role",
  () =>
    Effect.gen(function* () {
      const { admit, ask, call, logins, ran, server, signIn } = yield* start()
      const refused = (token: string) => Effect.flip(ask(token))
      expect(yield* refused(yield* signIn("eve"))).toMatchObject({
        reason: "Authentication",
        code: "invalid_scope",
        sent: "no"
      })
      const revoked = yield* signIn("dan")
      server.revoke(revoked)
      const gone = { reason: "Authentication", code: "invalid_grant", sent: "no" }
      expect(yield* refused(revoked)).toMatchObject(gone)
      // It ends between the call and the exchange.
      const { principal } = yield* admit(yield* signIn("bob", { seconds: 60 }))
      server.ahead(600_000)
      expect(yield* Effect.flip(call(principal))).toMatchObject(gone)
      server.ahead(0)
      // There is no way to a user of the server's own.
      expect([yield* logins, ran]).toEqual([0, []])
      expect(yield* ask(yield* signIn("ann"))).toEqual([["ANN"]])
      // Another token of the caller's is tried, a second after the first.
      const another = yield* signIn("dan", { seconds: 900 })
      yield* Effect.repeat(Effect.either(ask(another)), {
        schedule: Schedule.spaced("100 millis"),
        until: Either.isRight
      }).pipe(Effect.timeout("10 seconds"))
    })
)

it.scopedLive.skipIf(!isInstalled)("no text that a refused caller is told holds a token or the secret", () =>
  Effect.gen(function* () {
    const { ask, server, signIn } = yield* start()
    const token = yield* signIn("dan")
    server.revoke(token)
    const error = yield* Effect.flip(ask(token))
    const told = `${JSON.stringify(error)} ${String(error)}`
    expect(told).not.toContain(token)
    expect(told).not.toContain(token.split(".")[2])
    expect(told).not.toContain(secret.client_secret)
  })
)

it.scopedLive.skipIf(!isInstalled)(
  "no line of the log and no metric holds a token of a caller, a token that it was exchanged for, or the secret",
  () => {
    const lines: Array<string> = []
    const logger = Logger.map(Logger.structuredLogger, (line) => void lines.push(JSON.stringify(line)))
    return Effect.gen(function* () {
      const { ask, exchanged, server, signIn } = yield* start()
      const ann = yield* signIn("ann")
      const dan = yield* signIn("dan")
      expect(yield* ask(ann)).toEqual([["ANN"]])
      server.revoke(dan)
      yield* Effect.flip(ask(dan))
      expect(exchanged.size).toBeGreaterThan(0)
      const metrics = yield* Metric.snapshot
      const told = `${lines.join("\n")}\n${JSON.stringify(metrics.map(({ metricKey }) => metricKey))}`
      expect(metrics.length).toBeGreaterThan(0)
      expect(lines.length).toBeGreaterThan(0)
      for (const secretText of [ann, dan, ...exchanged, secret.client_secret])
        expect(told.includes(secretText)).toBe(false)
    }).pipe(
      Effect.provide(
        Layer.mergeAll(Logger.replace(Logger.defaultLogger, logger), Logger.minimumLogLevel(LogLevel.All))
      )
    )
  }
)
