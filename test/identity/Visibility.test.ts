import { expect, it } from "@effect/vitest"
import { Effect, Either, Layer } from "effect"
import * as Emulator from "../../src/emulator/Emulator.js"
import * as Principal from "../../src/platform/Principal.js"
import * as Server from "../../src/server/Server.js"
import { Toolbox } from "../../src/tools/Toolbox.js"
import { settingsOf } from "../config/samples.js"

/** A server for two clients, each a user of its own on an emulated account. Same tier, same limits. */
const start = Effect.gen(function* () {
  const emulator = yield* Emulator.start({
    directory: {
      users: {
        ANN: { password: "ann's", roles: ["SALES"] },
        BOB: { password: "bob's", roles: ["WEB"] }
      },
      roles: {
        SALES: { reads: ["SNOWGUARD_SAMPLE.PUBLIC"] },
        WEB: { reads: ["SNOWGUARD_SAMPLE.WEB"] }
      }
    }
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
