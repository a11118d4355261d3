import { expect, it } from "@effect/vitest"
import { Chunk, Effect, Fiber, Redacted, Stream } from "effect"
import { randomUUID } from "node:crypto"
import * as Emulator from "../../src/emulator/Emulator.js"
import * as ErrorReport from "../../src/mcp/ErrorReport.js"
import * as Principal from "../../src/platform/Principal.js"
import * as Snowflake from "../../src/warehouse/Snowflake.js"
import type { Identity } from "../../src/warehouse/snowflake/identity.js"
import type { RanAs, Statement, Warehouse } from "../../src/warehouse/Warehouse.js"
import { loginTo, optionsFor } from "./snowflakeServer.js"

const directory = {
  users: {
    ANN: { password: "ann's", roles: ["SALES", "WEB"] },
    BOB: { password: "bob's", roles: ["WEB", "SALES"] },
    KEEPER: { password: "keeper's", roles: ["WEB", "SALES"], keepsSecondaryRoles: true }
  },
  roles: {
    SALES: { reads: ["SNOWGUARD_SAMPLE.PUBLIC"] },
    WEB: { reads: ["SNOWGUARD_SAMPLE.WEB"] }
  }
}

const start = (more: Partial<Snowflake.Options> = {}) =>
  Effect.gen(function* () {
    const ran: Array<{ readonly sql: string; readonly as: string }> = []
    const emulator = yield* Emulator.start({
      directory,
      onStatement: ({ role, secondaryRoles, session, sql }) =>
        void ran.push({ sql, as: `${session.user} ${role} ${String(secondaryRoles)}` })
    })
    const identity = (user: string, password = `${user}'s`): Identity => ({
      key: user,
      mode: "client",
      user: user.toUpperCase(),
      warehouse: "COMPUTE_WH",
      price: "none",
      login: Effect.succeed(loginTo(emulator.url, { user, password: Redacted.make(password) }))
    })
    const warehouse = yield* Snowflake.make(
      optionsFor(emulator.url, {
        identityOf: ({ client, tier }) => identity(client, tier === "wrong" ? "wrong" : undefined),
        ...more
      })
    )
    return { emulator, ran, warehouse }
  })

const read = (warehouse: Warehouse["Type"], client: string, sql: string, more: Partial<Statement> = {}) =>
  Effect.scoped(
    Effect.flatMap(
      warehouse.execute({ sql, timeoutMs: 20_000, requestId: randomUUID(), ...more }),
      ({ queryId, rows }) =>
        Effect.map(Stream.runCollect(rows), (chunks) => ({
          queryId,
          rows: Chunk.toReadonlyArray(chunks).flat()
        }))
    )
  ).pipe(Effect.provideService(Principal.CurrentPrincipal, Principal.make(client)))

it.scopedLive("each statement runs as the user of its caller, in its role alone", () =>
  Effect.gen(function* () {
    const { ran, warehouse } = yield* start()
    const told: Array<RanAs> = []
    const asked = (client: string) =>
      read(warehouse, client, "SELECT CURRENT_USER(), CURRENT_ROLE()", {
        runsAs: (who) => void told.push(who)
      })
    const answers = yield* Effect.forEach(["ann", "bob", "ann", "bob", "ann"], asked, {
      concurrency: "unbounded"
    })
    expect(answers.map(({ rows }) => rows[0])).toEqual([
      ["ANN", "SALES"],
      ["BOB", "WEB"],
      ["ANN", "SALES"],
      ["BOB", "WEB"],
      ["ANN", "SALES"]
    ])
    expect(told.map(({ user }) => user).sort()).toEqual(["ANN", "ANN", "ANN", "BOB", "BOB"])
    const queries = ran.filter(({ sql }) => sql.startsWith("SELECT"))
    expect(new Set(queries.map(({ as }) => as))).toEqual(new Set(["ANN SALES NONE", "BOB WEB NONE"]))
    // Both users have both roles.
    yield* read(warehouse, "ann", "SELECT COUNT(*) FROM PUBLIC.ORDERS")
    const error = yield* Effect.flip(read(warehouse, "bob", "SELECT COUNT(*) FROM PUBLIC.ORDERS"))
    expect(error).toMatchObject({ reason: "NotFound", code: "002003" })
  })
)

it.scopedLive(
  "a session that does not give up its secondary roles is closed before a statement runs in it",
  () =>
    Effect.gen(function* () {
      const { emulator, ran, warehouse } = yield* start()
      const error = yield* Effect.flip(read(warehouse, "keeper", "SELECT 1"))
      expect(error).toMatchObject({ reason: "Configuration", sent: "no" })
      expect(error.description).toContain('snowflake.secondary_roles = "all"')
      expect(ran.map(({ sql }) => sql)).toEqual(["USE SECONDARY ROLES NONE"])
      yield* Effect.repeat(Effect.delay(emulator.state, "10 millis"), {
        until: ({ sessions }) => sessions.alive === 0
      }).pipe(Effect.timeout("5 seconds"))
      // The others are not concerned.
      expect((yield* read(warehouse, "ann", "SELECT 1")).rows).toEqual([[1]])
    })
)

it.scopedLive("secondary roles stay as the user has them where that is allowed", () =>
  Effect.gen(function* () {
    const { ran, warehouse } = yield* start({ secondaryRoles: "all" })
    yield* read(warehouse, "bob", "SELECT COUNT(*) FROM PUBLIC.ORDERS")
    expect(ran.map(({ as }) => as)).toEqual(["BOB WEB ALL"])
  })
)

it.scopedLive("a result that is kept is read by the user that made it, and by no other", () =>
  Effect.gen(function* () {
    const { warehouse } = yield* start()
    const { queryId } = yield* read(warehouse, "ann", "SELECT 1 AS N FROM PUBLIC.ORDERS", { keepRows: 10 })
    const page = (client: string) =>
      Effect.scoped(
        Effect.flatMap(
          warehouse.results!.fetch({
            queryId,
            offset: 0,
            maxRows: 5,
            timeoutMs: 20_000,
            requestId: randomUUID()
          }),
          ({ rows }) => Stream.runCount(Stream.flattenIterables(rows))
        )
      ).pipe(Effect.provideService(Principal.CurrentPrincipal, Principal.make(client)))
    expect(yield* page("ann")).toBe(5)
    expect(yield* Effect.flip(page("bob"))).toMatchObject({ reason: "ResultExpired" })
  })
)

it.scopedLive("a login that is refused to one user holds no other back", () =>
  Effect.gen(function* () {
    const { emulator, warehouse } = yield* start()
    const wrong = Effect.provideService(
      Effect.scoped(warehouse.execute({ sql: "SELECT 1", timeoutMs: 20_000, requestId: randomUUID() })),
      Principal.CurrentPrincipal,
      Principal.make("ann", "wrong")
    )
    expect(yield* Effect.flip(wrong)).toMatchObject({ reason: "Authentication", code: "390100" })
    expect(yield* Effect.flip(wrong)).toMatchObject({ reason: "Authentication", code: "390100" })
    expect((yield* emulator.state).requests["Login"]).toBe(1)
    expect((yield* read(warehouse, "bob", "SELECT 1")).rows).toEqual([[1]])
  })
)

it.scopedLive("what one user alone has too many of is told apart from what the account has too many of", () =>
  Effect.gen(function* () {
    const refusing = (code: string) => [
      { kind: "refusal" as const, where: "query" as const, code, sql: "SELECT 1" }
    ]
    const { emulator, warehouse } = yield* start({ maxSessionsPerIdentity: 1, maxPerSession: 1 })
    const ask = (client: string) => Effect.flip(read(warehouse, client, "SELECT 1", { timeoutMs: 1_000 }))
    yield* read(warehouse, "ann", "SELECT 2")
    yield* emulator.setFaults({ faults: refusing("000610") })
    const isBusy = { reason: "Overloaded", ownBound: true }
    const tooMany = yield* ask("ann")
    expect(tooMany).toMatchObject({ ...isBusy, code: "000610" })
    expect(ErrorReport.fromError(tooMany, 0)).toMatchObject({
      code: "WAREHOUSE_OVERLOADED",
      retryable: true,
      message: expect.stringMatching(/^WAREHOUSE_OVERLOADED: Too much of your own is under way: /)
    })
    yield* emulator.setFaults({ faults: refusing("000625") })
    const { ownBound, reason } = yield* ask("ann")
    expect([reason, ownBound]).toEqual(["Overloaded", undefined])
    // All sessions that the user may have are busy here.
    yield* emulator.setFaults({ faults: [] })
    const holding = yield* Effect.fork(read(warehouse, "ann", "SELECT SYSTEM$WAIT(20)"))
    yield* Effect.repeat(Effect.delay(emulator.state, "10 millis"), {
      until: ({ statements }) => statements.running > 0
    })
    expect(yield* ask("ann")).toMatchObject({ ...isBusy, sent: "no" })
    expect((yield* read(warehouse, "bob", "SELECT 1")).rows).toEqual([[1]])
    yield* Fiber.interrupt(holding)

    // Where all callers are one user, its statements are those of all.
    const shared = yield* Snowflake.make(
      optionsFor(emulator.url, {
        login: Effect.succeed(loginTo(emulator.url, { user: "ANN", password: Redacted.make("ann's") }))
      })
    )
    yield* read(shared, "ann", "SELECT 2")
    yield* emulator.setFaults({ faults: refusing("000610") })
    const ofAll = yield* Effect.flip(read(shared, "ann", "SELECT 1"))
    expect([ofAll.reason, ofAll.ownBound]).toEqual(["Overloaded", undefined])
  })
)

it.scopedLive("what fails of our own before a caller's statement is an error by which nothing was sent", () =>
  Effect.gen(function* () {
    const emulator = yield* Emulator.start({ directory })
    const login = Effect.succeed(
      loginTo(emulator.url, { user: "ANN", password: Redacted.make("ann's"), passcode: undefined })
    )
    const warehouse = yield* Snowflake.make(
      optionsFor(emulator.url, {
        identityOf: ({ client }) =>
          client === "exchanged"
            ? { key: "exchanged", mode: "exchange", price: "none", login }
            : { key: "moved", mode: "client", price: "person", login }
      })
    )
    const failing = (sql: string) =>
      emulator.setFaults({ faults: [{ kind: "status", where: "query", status: 503, sql }] })
    // Snowflake may have done it: of a statement of the caller's it would not be known.
    yield* failing("SELECT CURRENT_USER(), CURRENT_ROLE()")
    const unknown = yield* Effect.flip(read(warehouse, "exchanged", "SELECT 1"))
    expect([unknown.reason, unknown.sent]).toEqual(["Unreachable", "no"])

    yield* emulator.setFaults({ faults: [] })
    yield* read(warehouse, "moved", "SELECT 1")
    yield* failing("USE SCHEMA")
    const unmoved = yield* Effect.flip(read(warehouse, "moved", "SELECT 1", { schema: "WEB" }))
    expect([unmoved.reason, unmoved.sent]).toEqual(["Unreachable", "no"])
    yield* failing("SELECT 1")
    const own = yield* Effect.flip(read(warehouse, "exchanged", "SELECT 1"))
    expect(own.sent).not.toBe("no")
  })
)

it.scopedLive("a session whose token has expired is renewed to be closed, and not left to the account", () =>
  Effect.gen(function* () {
    const { emulator, warehouse } = yield* start({ maxSessions: 1 })
    yield* read(warehouse, "ann", "SELECT 1")
    yield* emulator.expireSessions
    yield* read(warehouse, "bob", "SELECT 1")
    yield* Effect.repeat(Effect.delay(warehouse.sessions, "10 millis"), {
      times: 500,
      until: ({ leaving }) => leaving === 0
    })
    expect((yield* emulator.state).sessions).toEqual({ alive: 1, opened: 2 })
  })
)
