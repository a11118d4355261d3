import { expect, it } from "@effect/vitest"
import { Effect, Either, Layer, Logger, LogLevel, Redacted } from "effect"
import * as Emulator from "../../src/emulator/Emulator.js"
import { Authenticator, AuthRefused, bearer } from "../../src/mcp/auth/Auth.js"
import * as Http from "../../src/mcp/http/Http.js"
import * as Principal from "../../src/platform/Principal.js"
import * as Server from "../../src/server/Server.js"
import { Toolbox } from "../../src/tools/Toolbox.js"
import { settingsOf } from "../config/samples.js"
import * as H from "../utils/http.js"
import { isLong, shortOrLong, someOrAll } from "../utils/long.js"

/** Two users, each with a role that reads what the other's does not. */
const directory = {
  users: {
    ANN: { password: "ann's", roles: ["SALES"] },
    BOB: { password: "bob's", roles: ["WEB"] }
  },
  roles: {
    SALES: { reads: ["SNOWGUARD_SAMPLE.PUBLIC"] },
    WEB: { reads: ["SNOWGUARD_SAMPLE.WEB"] }
  }
}

/** A server for two clients, each a user of its own on an emulated account. Same tier, same limits. */
const start = Effect.gen(function* () {
  const emulator = yield* Emulator.start({
    directory
  })
  const settings = settingsOf({
    document: {
      warehouse: "snowflake",
      quota_store: { kind: "memory" },
      snowflake: { access_url: emulator.url, account: "emulator", identity: "client", warehouse: "WH" },
      clients: {
        ann: { snowflake: { user: "ANN", password: "ann's" } },
        bob: { snowflake: { user: "BOB", password: "bob's" } }
      }
    }
  })
  const context = yield* Layer.build(Server.layer(settings))
  const call = (client: string, tool: string, input: { readonly [name: string]: unknown }) =>
    Effect.gen(function* () {
      const { get } = yield* Toolbox
      const found = get(tool)!
      return (yield* found.handler(input, { progress: () => Effect.void })) as {
        readonly [name: string]: unknown
      }
    }).pipe(
      Effect.provide(context),
      Effect.provideService(Principal.CurrentPrincipal, Principal.make(client)),
      Effect.either
    )
  return { call, emulator }
})

const names = (answer: Either.Either<{ readonly [name: string]: unknown }, unknown>, list: string) =>
  (Either.getOrThrow(answer)[list] as ReadonlyArray<{ readonly name: string }>).map(({ name }) => name)

const database = "SNOWGUARD_SAMPLE"

it.scopedLive("two users see their own lists, fresh, remembered and while the account is out of reach", () =>
  Effect.gen(function* () {
    const { call, emulator } = yield* start
    const tables = (client: string) => call(client, "list_tables", { database })
    const ann = names(yield* tables("ann"), "tables")
    const bob = names(yield* tables("bob"), "tables")
    expect(ann).toContain("ORDERS")
    expect(bob).toContain("EVENTS")
    expect(ann.filter((name) => bob.includes(name))).toEqual([])
    // Remembered, for each.
    expect(names(yield* tables("ann"), "tables")).toEqual(ann)
    expect(names(yield* tables("bob"), "tables")).toEqual(bob)
    expect(names(yield* call("bob", "list_schemas", { database }), "schemas")).not.toContain("PUBLIC")
    expect((yield* emulator.state).sessions.opened).toBe(2)

    yield* emulator.setFaults({ faults: [{ kind: "status", status: 503, where: "any" }] })
    for (const [client, own] of [
      ["bob", bob],
      ["ann", ann]
    ] as const) {
      expect(names(yield* tables(client), "tables")).toEqual(own)
    }
    // What one has asked and the other has not is not there for the other.
    expect(Either.isLeft(yield* call("ann", "list_schemas", { database }))).toBe(true)
  })
)

it.scopedLive("no cursor, result, suggestion or remembered failure of one user is another's", () =>
  Effect.gen(function* () {
    const { call } = yield* start
    const sql = `SELECT * FROM ${database}.PUBLIC.ORDERS`
    const page = Either.getOrThrow(yield* call("ann", "execute_query", { sql, limit: 5 }))
    const { next_cursor: cursor, query_id } = page as {
      readonly next_cursor: string
      readonly query_id: string
    }
    expect(cursor).toEqual(expect.any(String))
    const readOn = (client: string) => call(client, "get_query_results", { query_id, cursor })
    expect(Either.isRight(yield* readOn("ann"))).toBe(true)
    expect(Either.getLeft(yield* readOn("bob"))).toMatchObject({ value: { code: "RESULT_NOT_AVAILABLE" } })

    // A wrong name: each is told what resembles it and may be seen.
    const wrong = (client: string) =>
      call(client, "execute_query", { sql: `SELECT * FROM ${database}.PUBLIC.ORDER` })
    for (let n = 0; n < 4; n++) yield* wrong("ann")
    expect(JSON.stringify(yield* wrong("ann"))).toContain("ORDERS")
    expect(JSON.stringify(yield* wrong("bob"))).not.toContain("ORDERS")

    // What fails for one, again and again, is tried for the other.
    for (let n = 0; n < 6; n++) yield* call("bob", "execute_query", { sql, limit: 5 })
    expect(Either.isRight(yield* call("ann", "execute_query", { sql, limit: 5 }))).toBe(true)

    const limits = Either.getOrThrow(yield* call("bob", "get_limits", {}))
    expect(limits["acting_as"]).toEqual({ identity: "client", user: "BOB", warehouse: "WH" })
  })
)

const issuer = "https://login.example.com"

/** Both ways in which callers have users of their own. With `exchange` all of them may come by one client. */
const identities = [
  {
    name: "two clients",
    given: (url: string) => ({
      snowflake: { access_url: url, account: "emulator", identity: "client", warehouse: "WH" },
      clients: {
        ann: { snowflake: { user: "ANN", password: "ann's" } },
        bob: { snowflake: { user: "BOB", password: "bob's" } }
      }
    }),
    principal: (user: string) => Principal.make(user)
  },
  {
    name: "two callers of one client",
    given: (url: string) => ({
      auth: { mode: "oauth", issuer, resource: "https://mcp.example.com/mcp" },
      snowflake: { access_url: url, account: "emulator", identity: "exchange", warehouse: "WH" },
      exchange: { client_id: "snowguard", client_secret: "secret", token_url: `${url}/oauth/token-request` }
    }),
    principal: (user: string) =>
      Principal.make("agent", "default", {
        id: `${issuer} ${user}`,
        name: user.toUpperCase(),
        token: Effect.succeed(Redacted.make(user))
      })
  }
]

/** The same over HTTP, in both eras of the protocol. */
const served = ({ given, principal }: (typeof identities)[number]) =>
  Effect.gen(function* () {
    const emulator = yield* Emulator.start({
      directory,
      clients: { snowguard: { secret: "secret", exchanges: true } },
      subjectOf: (token) => ({ user: token })
    })
    const settings = settingsOf({
      document: {
        warehouse: "snowflake",
        quota_store: { kind: "memory" },
        // No question stays unanswered for their number.
        limits: { requests_per_second: 1000, burst: 10_000, queries_per_second: 1000, query_burst: 10_000 },
        tiers: { default: { requests_per_second: 1000, burst: 10_000, initial_tokens: 10_000 } },
        ...given(emulator.url)
      }
    })
    const callers = Layer.succeed(Authenticator, {
      mode: "keys",
      authenticate: (credentials) =>
        Effect.flatMap(bearer(credentials), (user) =>
          ["ann", "bob", "root"].includes(user)
            ? Effect.succeed({ principal: principal(user), owner: user, admin: user === "root" })
            : new AuthRefused({ reason: "invalid", description: "Unknown." })
        ),
      remembered: () => Effect.succeedNone,
      challenge: () => "Bearer",
      resourceMetadata: Effect.runSync(Effect.succeedNone)
    })
    const context = yield* Layer.build(Layer.merge(Server.layerShared(settings), callers))
    const { port } = yield* Effect.provide(Http.listen({ ...Http.defaults, port: 0 }), context)
    const http = new H.Server(port)
    let id = 0
    const speak = (user: string, era: string) =>
      Effect.gen(function* () {
        const session = era === "2025" ? yield* http.open({ token: user }) : undefined
        return (method: string, params: { readonly [name: string]: unknown } = {}) => {
          const own = ++id
          const asked =
            session === undefined
              ? H.modern(own, method, params)
              : { body: H.message(own, method, params), session }
          return Effect.map(http.ask({ ...asked, token: user }), (answer) =>
            H.messages(answer).find((one) => one.id === own)!
          )
        }
      })
    return { emulator, http, speak }
  })

const templates = [
  "snowflake://{database}",
  "snowflake://{database}/{schema}",
  "snowflake://{database}/{schema}/{object}"
]

/** Everything that names of objects come by. What is asked names schemas of both, and no object but by a guess. */
const questions = ["PUBLIC", "WEB"].flatMap(
  (schema): ReadonlyArray<readonly [string, { readonly [name: string]: unknown }]> => {
    const context = { arguments: { database, schema } }
    const ref = { type: "ref/resource", uri: templates[2] }
    return [
      ["resources/list", {}],
      ["resources/templates/list", {}],
      ["resources/read", { uri: `snowflake://${database}` }],
      ["resources/read", { uri: `snowflake://${database}/${schema}` }],
      ["resources/read", { uri: `snowflake://${database}/${schema}/ORDER` }],
      ["resources/read", { uri: `snowflake://${database}/${schema}/EVENT` }],
      ...["database", "schema", "object"].map(
        (name) => ["completion/complete", { ref, argument: { name, value: "" }, context }] as const
      ),
      [
        "completion/complete",
        { ref: { type: "ref/prompt", name: "explore_database" }, argument: { name: "database", value: "" } }
      ],
      ["tools/call", { name: "search_objects", arguments: { query: `order event ${schema}` } }],
      ["tools/call", { name: "list_views", arguments: { database, schema } }],
      ["tools/call", { name: "describe_table", arguments: { database, schema, table: "ORDER" } }],
      ["tools/call", { name: "describe_table", arguments: { database, schema, table: "EVENT" } }],
      [
        "tools/call",
        { name: "execute_query", arguments: { sql: `SELECT * FROM ${database}.${schema}.EVENT` } }
      ],
      [
        "tools/call",
        { name: "execute_query", arguments: { sql: `SELECT * FROM ${database}.${schema}.ORDER` } }
      ],
      [
        "tools/call",
        { name: "explain_query", arguments: { sql: `SELECT * FROM ${database}.${schema}.ORDERZ` } }
      ],
      ["tools/call", { name: "get_limits", arguments: {} }]
    ]
  }
)

for (const identity of someOrAll(identities, 1)) {
  // Eras and identities do not meet: each identity is asked for in one era.
  const eras = shortOrLong([identity === identities[0] ? "2025" : "2026"], ["2025", "2026"])
  it.scopedLive(
    `resources, completions and suggestions of ${identity.name} name no object of the other's, in ${eras.length === 2 ? "both eras" : "one era"}, in an outage and from memory`,
    () =>
      Effect.gen(function* () {
        const { emulator, http, speak } = yield* served(identity)
        const voices = yield* Effect.forEach(
          ["ann", "bob"].flatMap((user) => eras.map((era) => ({ user, era }))),
          ({ era, user }) => Effect.map(speak(user, era), (ask) => ({ user, era, ask }))
        )
        const complete = (ask: (typeof voices)[number]["ask"], schema: string) =>
          Effect.map(
            ask("completion/complete", {
              ref: { type: "ref/resource", uri: templates[2] },
              argument: { name: "object", value: "" },
              context: { arguments: { database, schema } }
            }),
            ({ result }) => (result?.["completion"] as { readonly values: ReadonlyArray<string> }).values
          )
        // What each may see is what it is told, and the other is not.
        const own = {
          ann: yield* complete(voices[0]!.ask, "PUBLIC"),
          bob: yield* complete(voices.find(({ user }) => user === "bob")!.ask, "WEB")
        }
        expect(own.ann).toContain("ORDERS")
        expect(own.bob).toContain("EVENTS")
        expect(own.ann.filter((name) => own.bob.includes(name))).toEqual([])
        const isOf = (names: ReadonlyArray<string>, text: string) =>
          names.filter((name) => new RegExp(`(?<![A-Z_])${name}(?![A-Z_])`).test(text))

        const all = (when: string) =>
          Effect.forEach(
            voices,
            ({ ask, era, user }) =>
              Effect.gen(function* () {
                const answers = yield* Effect.forEach(questions, ([method, params]) => ask(method, params))
                const text = answers.map((one) => JSON.stringify(one)).join("\n")
                const [mine, other] = user === "ann" ? [own.ann, own.bob] : [own.bob, own.ann]
                expect([when, user, era, isOf(other, text)]).toEqual([when, user, era, []])
                // The same search finds what is the caller's own.
                expect([when, user, era, isOf(mine, text)]).toEqual([when, user, era, [...mine]])
                expect(text).not.toContain("RATE_LIMITED")
              }),
            // Together, so that an outage is one of both.
            { concurrency: "unbounded", discard: true }
          )
        yield* all("fresh")
        if (isLong) yield* all("remembered")
        yield* emulator.setFaults({ faults: [{ kind: "status", status: 503, where: "any" }] })
        yield* all("in an outage")
        yield* emulator.setFaults({ faults: [] })
        const pinned = yield* http.ask({
          path: "/admin/ladder/pin",
          body: { mode: "cache-only" },
          token: "root"
        })
        expect(pinned.status).toBe(200)
        yield* all("from memory alone")
      }).pipe(Effect.provide(Logger.minimumLogLevel(LogLevel.None))),
    // Hundreds of questions, and the retries of an outage.
    180_000
  )
}

it.scopedLive(
  "two users find what their own roles see, and nothing else, also while the account is down",
  () =>
    Effect.gen(function* () {
      const { call, emulator } = yield* start
      const find = (client: string, query: string) =>
        Effect.map(call(client, "search_objects", { query }), (answer) => Either.getOrThrow(answer))
      const found = (answer: { readonly [name: string]: unknown }) =>
        (answer["objects"] as ReadonlyArray<{ readonly name: string; readonly column?: string }>).map(
          ({ column, name }) => (column === undefined ? name : `${name}.${column}`)
        )
      const mistyped = found(yield* find("ann", "custmer emial"))
      expect(mistyped).toContain(`${database}.PUBLIC.CUSTOMERS.EMAIL`)
      const events = yield* find("bob", "events")
      expect(found(events)[0]).toBe(`${database}.WEB.EVENTS`)
      expect(JSON.stringify(yield* find("bob", "customers orders email"))).not.toMatch(/PUBLIC|EMAIL/)
      expect(JSON.stringify(yield* find("ann", "events"))).not.toMatch(/WEB\b|EVENT_ID/)

      yield* emulator.setFaults({ faults: [{ kind: "status", status: 503, where: "any" }] })
      const down = yield* find("bob", "events")
      expect(found(down)).toEqual(found(events))
      expect(down["age_seconds"]).toEqual(expect.any(Number))
    })
)
