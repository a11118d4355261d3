/** Reading on in results that the account keeps, as the server sees it. */
import { describe, expect, it } from "@effect/vitest"
import { Chunk, Duration, Effect, Fiber, Option, Redacted, Stream } from "effect"
import { randomUUID } from "node:crypto"
import * as Emulator from "../../src/emulator/Emulator.js"
import * as Principal from "../../src/platform/Principal.js"
import * as Snowflake from "../../src/warehouse/Snowflake.js"
import type { DriverStatement } from "../../src/warehouse/snowflake/driver.js"
import * as StoredResults from "../../src/warehouse/snowflake/stored.js"
import type { Stored, Warehouse } from "../../src/warehouse/Warehouse.js"
import { loginTo, optionsFor } from "./snowflakeServer.js"

/** Ten rows in the answer, the others in parts of ten. */
const start = (options: Partial<Snowflake.Options> = {}, more: Emulator.Options = {}) =>
  Effect.gen(function* () {
    const emulator = yield* Emulator.start({ sample: false, inlineRows: 10, chunkRows: 10, ...more })
    const plain = { database: undefined, schema: undefined, ...options }
    const warehouse = yield* Snowflake.make(optionsFor(emulator.url, plain))
    return { emulator, warehouse, state: emulator.state }
  })

/** A statement of which only the first row is read, and a hundred are kept. */
const run = (warehouse: Warehouse["Type"], sql: string) =>
  Effect.scoped(
    Effect.flatMap(
      warehouse.execute({ sql, keepRows: 100, maxRows: 101, timeoutMs: 10_000, requestId: randomUUID() }),
      ({ queryId, rows }) => Effect.as(Stream.runHead(rows), queryId)
    )
  )

const page = (
  warehouse: Warehouse["Type"],
  queryId: string,
  offset: number,
  more: Partial<Stored> = { maxRows: 5 }
) =>
  Effect.scoped(
    Effect.flatMap(
      Option.getOrThrow(Option.fromNullable(warehouse.results)).fetch({
        queryId,
        offset,
        timeoutMs: 5_000,
        requestId: randomUUID(),
        ...more
      }),
      ({ rows }) =>
        Effect.map(Stream.runCollect(rows), (chunks) => Chunk.toReadonlyArray(chunks).flat(2).map(Number))
    )
  )

const as = (tier: string) => Effect.provideService(Principal.CurrentPrincipal, Principal.make("c", tier))

const numbers = "SELECT range AS N FROM range(1000) ORDER BY N"

describe("a result that is kept", () => {
  it.scopedLive("is read without a statement, and only in the parts that hold the rows", () =>
    Effect.gen(function* () {
      const { state, warehouse } = yield* start()
      const queryId = yield* run(warehouse, numbers)
      const { requests: before } = yield* state
      expect(yield* page(warehouse, queryId, 48)).toEqual([48, 49, 50, 51, 52])
      expect(yield* page(warehouse, queryId, 98)).toEqual([98, 99, 100])
      const { requests, statements } = yield* state
      // No row beyond those that were to be kept has been made, and nothing was cancelled.
      expect(yield* page(warehouse, queryId, 101)).toEqual([])
      expect(statements).toMatchObject({ executed: 2, cancelled: 0 })
      expect(requests).not.toHaveProperty("AbortQuery")
      expect({ ...requests, Chunk: (requests["Chunk"] ?? 0) - (before["Chunk"] ?? 0) }).toMatchObject({
        Submit: 2,
        Result: 2,
        Chunk: 4
      })
    })
  )

  it.scopedLive("outlives the session that made it, and a token that expires in between", () =>
    Effect.gen(function* () {
      const { emulator, state, warehouse } = yield* start({ idleMs: 600_000 })
      const queryId = yield* run(warehouse, numbers)
      yield* emulator.expireSessions
      expect(yield* page(warehouse, queryId, 3)).toEqual([3, 4, 5, 6, 7])
      yield* emulator.expireSessions
      yield* emulator.setFaults({ faults: [{ kind: "status", status: 503, where: "renew" }] })
      expect(yield* Effect.flip(page(warehouse, queryId, 3))).toMatchObject({ reason: "SessionLost" })
      yield* emulator.setFaults({ faults: [] })
      expect(yield* page(warehouse, queryId, 3)).toEqual([3, 4, 5, 6, 7])
      expect((yield* state).sessions.opened).toBe(2)
      expect((yield* state).statements.executed).toBe(3)
    })
  )

  it.scopedLive("is asked for in the role and the place that made it", () =>
    Effect.gen(function* () {
      const { state, warehouse } = yield* start({ roleOf: ({ tier }) => `${tier}_reader` })
      const queryId = yield* run(warehouse, numbers).pipe(as("gold"))
      expect(yield* page(warehouse, queryId, 0).pipe(as("gold"))).toHaveLength(5)
      expect((yield* state).sessions.opened).toBe(1)
      // Whether another role may read it, the account decides; it is asked in a session of its own.
      yield* Effect.exit(page(warehouse, queryId, 0).pipe(as("silver")))
      expect((yield* state).sessions.opened).toBe(2)
    })
  )

  it.scopedLive("is no other user's", () =>
    Effect.gen(function* () {
      const { emulator } = yield* start({}, { users: { ANN: "a", BEN: "b" } })
      const of = (user: string, password: string) =>
        Snowflake.make(
          optionsFor(emulator.url, {
            login: Effect.succeed(loginTo(emulator.url, { user, password: Redacted.make(password) })),
            database: undefined,
            schema: undefined
          })
        )
      const ann = yield* of("ANN", "a")
      const ben = yield* of("BEN", "b")
      const queryId = yield* run(ann, numbers)
      expect(yield* page(yield* of("ANN", "a"), queryId, 0)).toHaveLength(5)
      expect(yield* Effect.flip(page(ben, queryId, 0))).toMatchObject({ reason: "ResultExpired" })
    })
  )

  it.scopedLive("is gone once the account has dropped it, and says so without another attempt", () =>
    Effect.gen(function* () {
      const { state, warehouse } = yield* start({}, { keepStatements: 2 })
      const queryId = yield* run(warehouse, numbers)
      for (const n of [1, 2, 3]) yield* run(warehouse, `SELECT ${n}`)
      const error = yield* Effect.flip(page(warehouse, queryId, 5))
      expect(error).toMatchObject({ reason: "ResultExpired", queryId })
      expect((yield* state).requests["Result"]).toBe(1)
    })
  )

  it.scopedLive(
    "does not hold its reader: neither when it is not handed over, nor when the reader leaves",
    () =>
      Effect.gen(function* () {
        const { emulator, state, warehouse } = yield* start()
        const queryId = yield* run(warehouse, numbers)
        const { connections } = yield* state
        yield* emulator.setFaults({ faults: [{ kind: "hang", where: "query" }] })
        const error = yield* Effect.flip(page(warehouse, queryId, 5, { timeoutMs: 150 }))
        expect(error).toMatchObject({ reason: "Unreachable", queryId })
        const waiting = yield* Effect.fork(page(warehouse, queryId, 5, { timeoutMs: 60_000 }))
        yield* Effect.repeat(Effect.delay(state, "10 millis"), {
          until: ({ requests }) => requests["Result"] === 2
        })
        const [took] = yield* Effect.timed(Fiber.interrupt(waiting))
        expect(Duration.toMillis(took)).toBeLessThan(5_000)
        // Nobody waits for those answers any more.
        yield* Effect.repeat(Effect.delay(state, "10 millis"), {
          until: (now) => now.connections <= connections
        }).pipe(Effect.timeout("4 seconds"))
        yield* emulator.setFaults({ faults: [] })
        expect(yield* page(warehouse, queryId, 5)).toEqual([5, 6, 7, 8, 9])
        const { requests, statements } = yield* state
        expect(statements).toMatchObject({ executed: 2, cancelled: 0 })
        expect(requests).not.toHaveProperty("AbortQuery")
      })
  )

  it.scoped("is refused as a result, never as a statement that is wrong", () =>
    Effect.gen(function* () {
      const refusing = (code: string, sqlState: string) =>
        Effect.flip(
          StoredResults.fetch(
            {
              connect: () => undefined,
              execute: () => statement,
              destroy: () => undefined,
              heartbeat: () => undefined,
              isUp: () => true,
              fetchResult: ({ complete }) => {
                const error = { name: "OperationFailedError", code, sqlState, message: "Refused." }
                complete(error, statement)
                return statement
              }
            },
            { queryId: "q", offset: 0, maxRows: 1, requestId: "r", timeoutMs: 100, fetchMs: 100 },
            Effect.interruptible
          )
        )
      const statement: DriverStatement = {
        getQueryId: () => "q",
        cancel: () => undefined
      }
      const known: ReadonlyArray<readonly [string, string, string]> = [
        ["000709", "02000", "ResultExpired"],
        ["000710", "02000", "ResultExpired"],
        ["000612", "02000", "ResultExpired"],
        ["003001", "42501", "ResultExpired"],
        ["000604", "57014", "Cancelled"],
        ["390111", "08001", "SessionLost"]
      ]
      for (const [code, sqlState, reason] of known) {
        expect([code, (yield* refusing(code, sqlState)).reason]).toEqual([code, reason])
      }
    })
  )
})
