/** Sessions, retries and cancellation as the server sees them. */
import { describe, expect, it } from "@effect/vitest"
import { Chunk, Duration, Effect, Exit, Fiber, Redacted, Scope, Stream } from "effect"
import { randomUUID } from "node:crypto"
import * as Emulator from "../../src/emulator/Emulator.js"
import * as Principal from "../../src/platform/Principal.js"
import * as Snowflake from "../../src/warehouse/Snowflake.js"
import type { Statement, Warehouse } from "../../src/warehouse/Warehouse.js"
import { loginTo, optionsFor } from "./snowflakeServer.js"

const read = (warehouse: Warehouse["Type"], sql: string, more: Partial<Statement> = {}) =>
  Effect.scoped(
    Effect.flatMap(
      warehouse.execute({ sql, timeoutMs: 10_000, requestId: randomUUID(), ...more }),
      ({ rows }) => Effect.map(Stream.runCollect(rows), (chunks) => Chunk.toReadonlyArray(chunks).flat())
    )
  )

const waits = "SELECT SYSTEM$WAIT(3600)"

const start = (options: Partial<Snowflake.Options> = {}) =>
  Effect.gen(function* () {
    const emulator = yield* Emulator.start({ sample: false })
    const plain = { database: undefined, schema: undefined, ...options }
    const warehouse = yield* Snowflake.make(optionsFor(emulator.url, plain))
    const state = emulator.state
    return { emulator, warehouse, state }
  })

/** Until the server has it running. */
const running = (state: Effect.Effect<{ readonly statements: { readonly running: number } }>) =>
  Effect.repeat(Effect.delay(state, "10 millis"), { until: ({ statements }) => statements.running > 0 })

describe("a session", () => {
  it.scopedLive("is opened once by many, and left when the warehouse closes", () =>
    Effect.gen(function* () {
      const emulator = yield* Emulator.start({ sample: false })
      const scope = yield* Scope.make()
      const warehouse = yield* Scope.extend(
        Snowflake.make(optionsFor(emulator.url, { database: undefined, schema: undefined })),
        scope
      )
      expect((yield* emulator.state).requests).toEqual({})
      yield* Effect.all(
        Array.from({ length: 8 }, (_, n) => read(warehouse, `SELECT ${n}`)),
        { concurrency: "unbounded" }
      )
      // Values that the driver itself would report on: too long for a double, and no JSON.
      yield* read(warehouse, "SELECT 12345678901234567890, '{\"a\":1}'::VARIANT")
      const { requests, sessions } = yield* emulator.state
      expect(sessions).toEqual({ alive: 1, opened: 1 })
      expect(Object.keys(requests).sort()).toEqual(["Login", "Submit"])
      const [took] = yield* Effect.timed(Scope.close(scope, Exit.void))
      expect(Duration.toMillis(took)).toBeLessThan(2_500)
      expect((yield* emulator.state).sessions).toEqual({ alive: 0, opened: 1 })
    })
  )

  it.scopedLive("is renewed when its token has expired, and no call fails", () =>
    Effect.gen(function* () {
      const { emulator, warehouse } = yield* start()
      yield* read(warehouse, "SELECT 1")
      yield* emulator.expireSessions
      const rows = yield* Effect.all([read(warehouse, "SELECT 2"), read(warehouse, "SELECT 3")], {
        concurrency: 2
      })
      expect(rows).toEqual([[[2]], [[3]]])
      expect((yield* emulator.state).sessions.opened).toBe(1)
    })
  )

  it.scopedLive("that cannot be renewed is lost, and the next attempt has another", () =>
    Effect.gen(function* () {
      const { emulator, warehouse } = yield* start()
      yield* read(warehouse, "SELECT 1")
      yield* emulator.expireSessions
      yield* emulator.setFaults({ faults: [{ kind: "status", status: 503, where: "renew" }] })
      const error = yield* Effect.flip(read(warehouse, "SELECT 2"))
      expect([error.reason, error.sent]).toEqual(["SessionLost", "no"])
      expect(yield* read(warehouse, "SELECT 3")).toEqual([[3]])
    })
  )

  it.scopedLive("whose renewal meets a broken network ends the statement instead of asking for ever", () =>
    Effect.gen(function* () {
      const { emulator, state, warehouse } = yield* start()
      yield* read(warehouse, "SELECT 1")
      yield* emulator.expireSessions
      yield* emulator.setFaults({ faults: [{ kind: "reset", where: "renew" }] })
      const before = (yield* state).requests
      const error = yield* Effect.flip(read(warehouse, "SELECT 2"))
      expect(error.reason).toBe("Unreachable")
      const after = (yield* state).requests
      expect((after["Submit"] ?? 0) - (before["Submit"] ?? 0)).toBeLessThan(8)
    })
  )

  it.scopedLive("is never shared between roles", () =>
    Effect.gen(function* () {
      const { state, warehouse } = yield* start({
        roleOf: ({ tier }) => (tier === "gold" ? "gold_reader" : "reader")
      })
      const as = (tier: string) =>
        Effect.provideService(
          read(warehouse, "SELECT CURRENT_ROLE()"),
          Principal.CurrentPrincipal,
          Principal.make("c", tier)
        )
      const roles = yield* Effect.all([as("gold"), as("default"), as("gold"), as("default")], {
        concurrency: "unbounded"
      })
      expect(roles.flat(2)).toEqual(["GOLD_READER", "READER", "GOLD_READER", "READER"])
      expect((yield* state).sessions.opened).toBe(2)
    })
  )
})

describe("a refused login", () => {
  it.scopedLive("is not tried again: all callers get the same error at once", () =>
    Effect.gen(function* () {
      const emulator = yield* Emulator.start({ sample: false })
      const warehouse = yield* Snowflake.make(
        optionsFor(emulator.url, {
          login: Effect.succeed(loginTo(emulator.url, { password: Redacted.make("hunter2") }))
        })
      )
      const errors = yield* Effect.all(
        Array.from({ length: 10 }, (_, n) =>
          Effect.flip(read(warehouse, "SELECT 1", { database: `D${n % 3}` }))
        ),
        { concurrency: "unbounded" }
      )
      expect(
        new Set(errors.map(({ description, reason, sent }) => `${reason} ${sent} ${description}`)).size
      ).toBe(1)
      expect(errors[0]).toMatchObject({ reason: "Authentication", sent: "no", code: "390100" })
      expect(JSON.stringify(errors) + String(errors)).not.toContain("hunter2")
      expect((yield* emulator.state).requests).toEqual({ Login: 1 })
    })
  )
})

describe("a statement", () => {
  it.scopedLive("whose answer was lost is not run a second time by its retry", () =>
    Effect.gen(function* () {
      const { emulator, state, warehouse } = yield* start()
      yield* read(warehouse, "SELECT 1")
      const requestId = randomUUID()
      yield* emulator.setFaults({ faults: [{ kind: "lostAnswer", where: "query", count: 1 }] })
      const error = yield* Effect.flip(read(warehouse, "SELECT 42", { requestId }))
      expect([error.reason, error.sent]).toEqual(["Unreachable", "unknown"])
      const before = (yield* state).statements.executed
      expect(yield* read(warehouse, "SELECT 42", { requestId })).toEqual([[42]])
      expect((yield* state).statements.executed).toBe(before)
    })
  )

  it.scopedLive("is gone at the server when its interruption has completed", () =>
    Effect.gen(function* () {
      const { state, warehouse } = yield* start()
      const fiber = yield* Effect.fork(read(warehouse, waits, { timeoutMs: 600_000 }))
      yield* running(state)
      const [took] = yield* Effect.timed(Fiber.interrupt(fiber))
      expect((yield* state).statements).toMatchObject({ running: 0, queued: 0, cancelled: 1 })
      expect(Duration.toMillis(took)).toBeLessThan(1_000)
    })
  )

  it.scopedLive("that was given up is run anew by its retry, not answered as cancelled", () =>
    Effect.gen(function* () {
      const { state, warehouse } = yield* start()
      const requestId = randomUUID()
      const fiber = yield* Effect.fork(read(warehouse, waits, { timeoutMs: 600_000, requestId }))
      yield* running(state)
      yield* Fiber.interrupt(fiber)
      expect(yield* read(warehouse, "SELECT 7", { requestId })).toEqual([[7]])
    })
  )

  it.scopedLive("lets its caller go in time when the server does not even take the cancellation", () =>
    Effect.gen(function* () {
      const { emulator, state, warehouse } = yield* start()
      const fiber = yield* Effect.fork(read(warehouse, waits, { timeoutMs: 600_000 }))
      yield* running(state)
      yield* emulator.setFaults({ faults: [{ kind: "hang", where: "abort" }] })
      const [took] = yield* Effect.timed(Fiber.interrupt(fiber))
      expect(Duration.toMillis(took)).toBeLessThan(4_500)
    })
  )

  it.scopedLive("carries its label, and no label carries a secret", () =>
    Effect.gen(function* () {
      const { state, warehouse } = yield* start()
      const requestId = randomUUID()
      yield* read(warehouse, "SELECT 1", {
        requestId,
        tag: { tool: "execute_query", client: `a"b`, tier: "gold" }
      })
      expect(Object.keys((yield* state).tags)).toEqual([
        JSON.stringify({ app: "snowguard" }),
        JSON.stringify({
          app: "snowguard",
          tool: "execute_query",
          client: `a"b`,
          tier: "gold",
          request_id: requestId
        })
      ])
    })
  )

  it.scopedLive("is one: the server refuses several, whatever the gate has let through", () =>
    Effect.gen(function* () {
      const { warehouse } = yield* start()
      const error = yield* Effect.flip(read(warehouse, "SELECT 1; SELECT 2"))
      expect([error.reason, error.code]).toEqual(["InvalidStatement", "000008"])
    })
  )
})
