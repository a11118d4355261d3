/** Logins: what is refused and for how long, whom a person's effort serves, and who is asked on the way. */
import { describe, expect, it } from "@effect/vitest"
import { Chunk, Duration, Effect, Either, Fiber, Logger, Redacted, Stream } from "effect"
import { randomUUID } from "node:crypto"
import { createServer } from "node:http"
import * as Emulator from "../../src/emulator/Emulator.js"
import type { Fault } from "../../src/emulator/FaultScript.js"
import * as RetryPolicy from "../../src/guard/RetryPolicy.js"
import * as Snowflake from "../../src/warehouse/Snowflake.js"
import type { Login } from "../../src/warehouse/snowflake/auth.js"
import type { Statement, Warehouse } from "../../src/warehouse/Warehouse.js"
import { listening } from "../utils/listening.js"
import { loginTo, optionsFor } from "./snowflakeServer.js"
import { someOrAll } from "../utils/long.js"

type Service = Warehouse["Type"]

const read = (warehouse: Service, sql: string, more: Partial<Statement> = {}) =>
  Effect.scoped(
    Effect.flatMap(
      warehouse.execute({ sql, timeoutMs: 20_000, requestId: randomUUID(), ...more }),
      ({ rows }) => Effect.map(Stream.runCollect(rows), (chunks) => Chunk.toReadonlyArray(chunks).flat())
    )
  )

const one = (warehouse: Service, more: Partial<Statement> = {}) => read(warehouse, "SELECT 1", more)

const start = (emulator: Emulator.Options = {}) => Emulator.start({ sample: false, ...emulator })

const warehouseFor = (
  { url }: Emulator.Emulator,
  login: Partial<Login> = {},
  options: Partial<Snowflake.Options> = {}
) =>
  Snowflake.make(
    optionsFor(url, {
      login: Effect.succeed(loginTo(url, login)),
      database: undefined,
      schema: undefined,
      hints: false,
      ...options
    })
  )

const requests = (emulator: Emulator.Emulator) => Effect.map(emulator.state, (state) => state.requests)

const quiet = Effect.provide(Logger.remove(Logger.defaultLogger))

const refusedLogin = (code: string, more: Partial<Fault> = {}): Fault =>
  ({ kind: "refusal", code, where: "login", ...more }) as Fault

/** The call and what the guard would do with its failure. */
const verdictOf = (effect: Effect.Effect<unknown, Parameters<typeof RetryPolicy.decide>[0]>) =>
  Effect.map(Effect.either(effect), (outcome) =>
    Either.isRight(outcome) ? "fine" : RetryPolicy.decide(outcome.left)._tag
  )

describe("a refused login", () => {
  it.scopedLive("stops no session that lives", () =>
    quiet(
      Effect.gen(function* () {
        const emulator = yield* start()
        const warehouse = yield* warehouseFor(emulator)
        yield* one(warehouse)
        for (const code of ["390100", "394304", "390201", "390189", "399999"]) {
          yield* emulator.setFaults({ faults: [refusedLogin(code)] })
          const error = yield* Effect.flip(one(warehouse, { database: `D${code}` }))
          expect([code, error.sent]).toEqual([code, "no"])
          expect(yield* one(warehouse)).toEqual([[1]])
        }
      })
    )
  )

  it.scopedLive("is not tried again for each call, whatever it was refused with", () =>
    quiet(
      Effect.gen(function* () {
        const emulator = yield* start()
        const codes = [
          "390100 390101 390102 390106 390110 390112 390114 390115 390120 390122 390123 390127 390129 390132",
          "390144 390190 390191 390195 390197 390303 390318 390400 390420 390422 390429 390432 390511",
          "394300 394301 394302 394303 394304 394305 394306 394307 394400 394508 394633 395001 399999"
        ].flatMap((line) => line.split(" "))
        for (const code of codes) {
          const warehouse = yield* warehouseFor(emulator)
          yield* emulator.setFaults({ faults: [refusedLogin(code)] })
          const before = (yield* requests(emulator))["Login"] ?? 0
          const errors = yield* Effect.all(
            Array.from({ length: 3 }, (_, n) => Effect.flip(one(warehouse, { database: `D${n}` })))
          )
          expect([code, ((yield* requests(emulator))["Login"] ?? 0) - before]).toEqual([code, 1])
          expect(new Set(errors.map(({ description }) => description)).size).toBe(1)
          expect([code, errors[0]?.code]).toEqual([code, code])
        }
      })
    )
  )

  it.scopedLive("of a role or a database is remembered for that alone", () =>
    quiet(
      Effect.gen(function* () {
        const emulator = yield* start()
        const warehouse = yield* warehouseFor(emulator)
        yield* emulator.setFaults({ faults: [refusedLogin("390201", { count: 1 })] })
        const call = one(warehouse, { database: "GONE" })
        const error = yield* Effect.flip(call)
        expect([error.reason, error.code]).toEqual(["Configuration", "390201"])
        expect((yield* Effect.flip(call)).code).toBe("390201")
        expect(yield* one(warehouse, { database: "THERE" })).toEqual([[1]])
        expect((yield* requests(emulator))["Login"]).toBe(2)
      })
    )
  )

  it.scopedLive("is forgotten when the credential has changed", () =>
    quiet(
      Effect.gen(function* () {
        const emulator = yield* start({ tokens: ["second"] })
        let token = "first"
        const warehouse = yield* Snowflake.make(
          optionsFor(emulator.url, {
            hints: false,
            database: undefined,
            schema: undefined,
            login: Effect.sync(() =>
              loginTo(emulator.url, {
                authenticator: "oauth",
                password: undefined,
                token: Redacted.make(token)
              })
            )
          })
        )
        expect((yield* Effect.flip(one(warehouse))).code).toBe("390303")
        expect((yield* Effect.flip(one(warehouse))).code).toBe("390303")
        expect((yield* requests(emulator))["Login"]).toBe(1)
        token = "second"
        expect(yield* one(warehouse)).toEqual([[1]])
      })
    )
  )

  it.scopedLive("for a moment is no refusal: the next call logs in", () =>
    quiet(
      Effect.gen(function* () {
        const emulator = yield* start()
        const faults: ReadonlyArray<Fault> = [
          { kind: "status", status: 503, where: "login", count: 1 },
          { kind: "status", status: 429, where: "login", count: 1 },
          { kind: "status", status: 403, where: "login", count: 1 },
          { kind: "reset", where: "login", count: 1 },
          refusedLogin("300002", { count: 1 }),
          refusedLogin("370001", { count: 1 })
        ]
        for (const fault of someOrAll(faults, 4)) {
          const warehouse = yield* warehouseFor(emulator)
          yield* emulator.setFaults({ faults: [fault] })
          expect([fault, yield* verdictOf(one(warehouse))]).toEqual([fault, "Retry"])
          expect(yield* one(warehouse)).toEqual([[1]])
        }
      })
    )
  )
})

describe("a session", () => {
  it.scopedLive("that the server does not take any more is lost: another login, and the statement runs", () =>
    quiet(
      Effect.gen(function* () {
        const emulator = yield* start()
        const warehouse = yield* warehouseFor(emulator)
        yield* one(warehouse)
        for (const code of ["390104", "390110", "390111", "390113", "390114", "390115", "390195", "390400"]) {
          const before = (yield* requests(emulator))["Login"] ?? 0
          yield* emulator.setFaults({ faults: [{ kind: "refusal", code, where: "query", count: 1 }] })
          const error = yield* Effect.flip(one(warehouse))
          expect([code, error.reason, error.sent]).toEqual([code, "SessionLost", "no"])
          expect(RetryPolicy.decide(error)._tag).toBe("Retry")
          expect(yield* one(warehouse)).toEqual([[1]])
          expect([code, ((yield* requests(emulator))["Login"] ?? 0) - before]).toEqual([code, 1])
        }
      })
    )
  )

  it.scopedLive("that is lost while its statement runs does not say that nothing was sent", () =>
    quiet(
      Effect.gen(function* () {
        const emulator = yield* start({ holdMs: 50 })
        const warehouse = yield* warehouseFor(emulator)
        yield* one(warehouse)
        yield* emulator.setFaults({
          faults: [{ kind: "refusal", code: "390110", where: "poll", count: 1 }]
        })
        const error = yield* Effect.flip(read(warehouse, "SELECT SYSTEM$WAIT(3600)"))
        expect([error.reason, error.sent]).toEqual(["SessionLost", "yes"])
        expect(error.queryId).toMatch(/^[0-9a-f-]{36}$/)
      })
    )
  )

  it.scopedLive("has the parameters that answers depend on, whatever the user's are", () =>
    quiet(
      Effect.gen(function* () {
        const emulator = yield* start()
        const warehouse = yield* warehouseFor(emulator)
        const shown = yield* read(warehouse, "SHOW PARAMETERS IN SESSION")
        const session = new Map(
          shown.flatMap((row) => (row[3] === "SESSION" ? [[String(row[0]), String(row[1])] as const] : []))
        )
        expect(session.get("QUOTED_IDENTIFIERS_IGNORE_CASE")?.toLowerCase()).toBe("false")
        expect(session.get("ABORT_DETACHED_QUERY")?.toLowerCase()).toBe("true")
        expect(session.get("AUTOCOMMIT")?.toLowerCase()).toBe("true")
        expect(session.get("JSON_INDENT")).toBe("0")
      })
    )
  )
})

describe("statements that the server refuses for reasons of its own", () => {
  it.scopedLive("are not blamed, and are tried again", () =>
    quiet(
      Effect.gen(function* () {
        const emulator = yield* start()
        const warehouse = yield* warehouseFor(emulator)
        const expected = {
          "000610": "Overloaded",
          "000625": "Overloaded",
          "000607": "ServerFault",
          "000612": "ServerFault",
          "000613": "ServerFault",
          "000699": "ServerFault",
          "300002": "ServerFault",
          "370001": "ServerFault"
        }
        for (const [code, reason] of Object.entries(expected)) {
          for (const where of ["query", "poll"] as const) {
            yield* emulator.setFaults({
              faults: [
                { kind: "refusal", code, where, count: 1 },
                { kind: "inProgress", where: "query", count: 1 }
              ]
            })
            const error = yield* Effect.flip(one(warehouse))
            expect([code, where, error.reason]).toEqual([code, where, reason])
            expect(RetryPolicy.decide(error)._tag).toBe("Retry")
          }
        }
      })
    )
  )

  it.scopedLive("at once that they run are asked about with longer and longer pauses", () =>
    quiet(
      Effect.gen(function* () {
        const emulator = yield* start()
        const warehouse = yield* warehouseFor(emulator)
        yield* one(warehouse)
        const before = (yield* requests(emulator))["Result"] ?? 0
        yield* emulator.setFaults({ faults: [{ kind: "inProgress", where: "query", untilMs: 1_500 }] })
        expect(yield* one(warehouse)).toEqual([[1]])
        const polls = ((yield* requests(emulator))["Result"] ?? 0) - before
        expect(polls).toBeGreaterThan(2)
        expect(polls).toBeLessThan(10)
      })
    )
  )
})

describe("an identity provider", () => {
  const clients = {
    me: { secret: "s3cr3t-value", scopes: ["session:role:READER"] },
    barred: { secret: "s3cr3t-value", refusedWith: "unauthorized_client" }
  }
  const byClient = (emulator: Emulator.Emulator, more: Partial<Login> = {}) =>
    warehouseFor(
      emulator,
      {
        password: undefined,
        authenticator: "oauth_client_credentials",
        oauthClientId: "me",
        oauthClientSecret: Redacted.make("s3cr3t-value"),
        oauthTokenRequestUrl: `${emulator.url}/oauth/token-request`,
        ...more
      },
      { loginMs: 3_000 }
    )

  it.scopedLive("that answers, or does not, in any way but with a refusal is asked again", () =>
    quiet(
      Effect.gen(function* () {
        const emulator = yield* start({ clients })
        const faults: ReadonlyArray<Fault> = [
          { kind: "status", status: 503 },
          { kind: "status", status: 500, html: true },
          { kind: "status", status: 429, retryAfterSeconds: 1 },
          { kind: "status", status: 403, html: true },
          { kind: "html" },
          { kind: "malformedJson" },
          { kind: "reset" },
          { kind: "hang" },
          { kind: "midBodyReset" }
        ]
        for (const fault of faults) {
          const warehouse = yield* byClient(emulator)
          yield* emulator.setFaults({ faults: [{ ...fault, where: "token", count: 1 } as Fault] })
          const error = yield* Effect.flip(one(warehouse))
          expect([fault.kind, error.reason, error.sent]).toEqual([fault.kind, "LoginUnavailable", "no"])
          expect(RetryPolicy.decide(error)._tag).toBe("Retry")
          expect(error.description).toMatch(/identity provider/)
          if (fault.kind === "status" && fault.status === 429) expect(error.retryAfterMs).toBe(1_000)
          expect(yield* one(warehouse)).toEqual([[1]])
        }
      })
    )
  )

  it.scopedLive("that refuses is not asked again, and its own words are told, but no secret", () =>
    quiet(
      Effect.gen(function* () {
        const emulator = yield* start({ clients })
        const cases: ReadonlyArray<readonly [Partial<Login>, string]> = [
          [{ oauthClientSecret: Redacted.make("wr0ng-value") }, "invalid_client"],
          [{ oauthClientId: "nobody" }, "invalid_client"],
          [{ oauthClientId: "barred" }, "unauthorized_client"],
          [{ oauthScope: "session:role:s3cr3t-value" }, "invalid_scope"]
        ]
        for (const [login, code] of cases) {
          const warehouse = yield* byClient(emulator, login)
          const before = (yield* requests(emulator))["Token"] ?? 0
          const error = yield* Effect.flip(one(warehouse))
          expect([error.reason, error.code]).toEqual(["Authentication", code])
          expect(error.description).toContain(code)
          expect(error.description.length).toBeGreaterThan(60)
          expect(JSON.stringify(error)).not.toMatch(/s3cr3t-value|wr0ng-value/)
          yield* Effect.flip(one(warehouse, { database: "OTHER" }))
          expect(((yield* requests(emulator))["Token"] ?? 0) - before).toBe(1)
          expect((yield* requests(emulator))["Login"]).toBeUndefined()
        }
      })
    )
  )

  it.scopedLive("that is down stops no session that lives", () =>
    quiet(
      Effect.gen(function* () {
        const emulator = yield* start({ clients })
        const warehouse = yield* byClient(emulator)
        yield* one(warehouse)
        yield* emulator.setFaults({ faults: [{ kind: "status", status: 503, where: "token" }] })
        expect((yield* Effect.flip(one(warehouse, { database: "OTHER" }))).reason).toBe("LoginUnavailable")
        expect(yield* one(warehouse)).toEqual([[1]])
      })
    )
  )
})

describe("a second factor", () => {
  const user = Emulator.defaultUser
  const byPush: Partial<Login> = { authenticator: "username_password_mfa" }
  const home = { database: "SNOWGUARD_SAMPLE", schema: "PUBLIC" }
  const where = "SELECT CURRENT_DATABASE() || '.' || CURRENT_SCHEMA()"

  it.scopedLive("is asked for once, for all callers and all their databases", () =>
    quiet(
      Effect.gen(function* () {
        const emulator = yield* start({
          sample: true,
          secondFactors: { [user]: { push: { answer: "approve", afterMs: 300 } } }
        })
        const warehouse = yield* warehouseFor(emulator, byPush, { ...home, loginMs: 100 })
        const places = ["WEB", "PUBLIC", "WEB", "PUBLIC", "PUBLIC", "WEB"]
        const found = yield* Effect.all(
          places.map((schema) => read(warehouse, where, { database: "SNOWGUARD_SAMPLE", schema })),
          { concurrency: "unbounded" }
        )
        expect(found.flat(2)).toEqual(places.map((schema) => `SNOWGUARD_SAMPLE.${schema}`))
        expect(yield* requests(emulator)).toMatchObject({ Login: 1, Push: 1 })
        // A database that is not there costs neither the session nor the others.
        const error = yield* Effect.flip(one(warehouse, { database: "NOWHERE" }))
        expect([error.reason, error.code]).toEqual(["NotFound", "002043"])
        expect(yield* read(warehouse, where)).toEqual([["SNOWGUARD_SAMPLE.PUBLIC"]])
        expect(yield* requests(emulator)).toMatchObject({ Login: 1, Push: 1 })
      })
    )
  )

  it.scopedLive("may take longer than a call, which is told so; the login goes on for the next", () =>
    quiet(
      Effect.gen(function* () {
        const emulator = yield* start({
          secondFactors: { [user]: { push: { answer: "approve", afterMs: 2_500 } } }
        })
        const warehouse = yield* warehouseFor(emulator, byPush, { loginMs: 100 })
        const told: Array<string> = []
        const waiting = (message: string) => Effect.sync(() => void told.push(message))
        const [took, error] = yield* Effect.timed(Effect.flip(one(warehouse, { timeoutMs: 1_000, waiting })))
        expect([error.reason, error.sent, error.retryAfterMs]).toEqual(["LoginUnavailable", "no", 10_000])
        expect(error.description).toMatch(/person has to approve/)
        expect(Duration.toMillis(took)).toBeLessThan(1_000)
        expect(told).toEqual([expect.stringMatching(/person has approved/)])
        expect(yield* one(warehouse)).toEqual([[1]])
        expect(yield* requests(emulator)).toMatchObject({ Login: 1, Push: 1 })
      })
    )
  )

  it.scopedLive("that is not given is not asked for again by itself", () =>
    quiet(
      Effect.gen(function* () {
        const emulator = yield* start({ secondFactors: { [user]: {} } })
        const warehouse = yield* warehouseFor(emulator, byPush, { loginMs: 100, approvalMs: 400 })
        const error = yield* Effect.flip(one(warehouse))
        expect(error.reason).toBe("Authentication")
        expect(error.description).toMatch(/not approved within 0.4 seconds/)
        expect(RetryPolicy.decide(error)._tag).toBe("No")
        yield* Effect.flip(one(warehouse, { database: "OTHER" }))
        expect(yield* requests(emulator)).toMatchObject({ Login: 1, Push: 1 })
      })
    )
  )

  it.scopedLive("that is denied is not asked for again", () =>
    quiet(
      Effect.gen(function* () {
        const emulator = yield* start({
          secondFactors: { [user]: { push: { answer: "deny", afterMs: 50 } } }
        })
        const warehouse = yield* warehouseFor(emulator, byPush)
        expect((yield* Effect.flip(one(warehouse))).code).toBe("390120")
        expect((yield* Effect.flip(one(warehouse))).code).toBe("390120")
        expect(yield* requests(emulator)).toMatchObject({ Login: 1, Push: 1 })
      })
    )
  )

  it.scopedLive("as a code serves one session, which serves all databases, and is not sent twice", () =>
    quiet(
      Effect.gen(function* () {
        const emulator = yield* start({ sample: true, secondFactors: { [user]: { passcodes: ["123456"] } } })
        const warehouse = yield* warehouseFor(emulator, { passcode: Redacted.make("123456") }, home)
        for (const schema of ["WEB", "PUBLIC", "WEB"]) {
          expect(yield* read(warehouse, where, { database: "SNOWGUARD_SAMPLE", schema })).toEqual([
            [`SNOWGUARD_SAMPLE.${schema}`]
          ])
        }
        expect(yield* requests(emulator)).toMatchObject({ Login: 1 })
        yield* emulator.setFaults({ faults: [{ kind: "refusal", code: "390111", where: "query", count: 1 }] })
        expect((yield* Effect.flip(one(warehouse))).reason).toBe("SessionLost")
        const error = yield* Effect.flip(one(warehouse))
        expect([error.reason, error.description]).toEqual([
          "Authentication",
          expect.stringMatching(/passcode has been used.*snowflake\.passcode/)
        ])
        expect(yield* requests(emulator)).toMatchObject({ Login: 1 })
      })
    )
  )

  it.scopedLive("moves to no database that it could not come back from, and says so", () =>
    quiet(
      Effect.gen(function* () {
        const emulator = yield* start({ secondFactors: { [user]: { passcodes: ["123456"] } } })
        const warehouse = yield* warehouseFor(emulator, { passcode: Redacted.make("123456") })
        expect(yield* one(warehouse)).toEqual([[1]])
        const error = yield* Effect.flip(one(warehouse, { database: "OTHER" }))
        expect([error.reason, error.description]).toEqual([
          "Configuration",
          expect.stringMatching(/database\.schema\.table/)
        ])
        expect(yield* one(warehouse)).toEqual([[1]])
      })
    )
  )

  it.scopedLive("lets a database have its turn while another one is used without a pause", () =>
    quiet(
      Effect.gen(function* () {
        const emulator = yield* start({ sample: true, secondFactors: { [user]: { passcodes: ["123456"] } } })
        const warehouse = yield* warehouseFor(emulator, { passcode: Redacted.make("123456") }, home)
        const busy = Effect.forever(Effect.ignore(read(warehouse, "SELECT SYSTEM$WAIT(1)")))
        const others = yield* Effect.all([Effect.fork(busy), Effect.fork(Effect.delay(busy, 300))])
        yield* Effect.sleep(600)
        const rows = yield* read(warehouse, where, { database: "SNOWGUARD_SAMPLE", schema: "WEB" })
        expect(rows).toEqual([["SNOWGUARD_SAMPLE.WEB"]])
        yield* Fiber.interruptAll(others)
      })
    )
  )
})

describe("a proxy", () => {
  const through = <A, E, R>(value: string, effect: Effect.Effect<A, E, R>) =>
    Effect.acquireUseRelease(
      Effect.promise(async () => {
        // Other tests of the process may have told the driver to leave it alone.
        const { default: sdk } = await import("snowflake-sdk")
        sdk.configure({ useEnvProxy: true })
        const before = process.env["http_proxy"]
        process.env["http_proxy"] = value
        return before
      }),
      () => effect,
      (before) =>
        Effect.sync(() => {
          if (before === undefined) delete process.env["http_proxy"]
          else process.env["http_proxy"] = before
        })
    )

  it.scopedLive("that makes no sense is told at once, as a setting", () =>
    quiet(
      Effect.gen(function* () {
        const emulator = yield* start()
        const warehouse = yield* warehouseFor(emulator)
        const [took, error] = yield* Effect.timed(Effect.flip(through("http://no port:x", one(warehouse))))
        expect([error.reason, error.description]).toEqual([
          "Configuration",
          expect.stringMatching(/^http_proxy expected the address of a proxy/)
        ])
        expect(Duration.toMillis(took)).toBeLessThan(1_000)
      })
    )
  )

  it.scopedLive("that is dead, or asks for a password, is what is talked about", () =>
    quiet(
      Effect.gen(function* () {
        const emulator = yield* start()
        const dead = yield* Effect.flip(through("http://127.0.0.1:1", one(yield* warehouseFor(emulator))))
        expect([dead.reason, dead.description]).toEqual([
          "Unreachable",
          expect.stringMatching(/proxy that http_proxy names cannot be reached/)
        ])
        const asking = yield* listening(
          createServer((_, response) => {
            response.writeHead(407, { "proxy-authenticate": "Basic" }).end()
          })
        )
        const error = yield* Effect.flip(through(asking, one(yield* warehouseFor(emulator))))
        expect([error.reason, error.description]).toEqual([
          "Configuration",
          expect.stringMatching(/proxy on the way asks for a user and a password/)
        ])
      })
    )
  )
})
