/** What a call says about the warehouse, with the parts and the numbers that the server ships with. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Logger, Option, TestClock } from "effect"
import * as CircuitBreaker from "../src/CircuitBreaker.js"
import * as ErrorReport from "../src/ErrorReport.js"
import * as Principal from "../src/Principal.js"
import * as Server from "../src/Server.js"
import * as ServerConfig from "../src/ServerConfig.js"
import * as Testing from "../src/Testing.js"
import type { RequestError } from "../src/Tool.js"
import * as Toolbox from "../src/Toolbox.js"
import type { Reason, Statement } from "../src/Warehouse.js"
import { Warehouse, WarehouseError } from "../src/Warehouse.js"

const { circuitBreaker, guard, retry } = Server.parts(ServerConfig.defaults)

/** The shipped breaker, retries and guard in front of this warehouse. */
const stack = (execute: (statement: Statement) => Effect.Effect<never, WarehouseError>) =>
  Testing.layer(
    {},
    { circuitBreaker, guard, retry, warehouse: Layer.succeed(Warehouse, { dialect: "snowflake", execute }) }
  ).pipe(Layer.merge(Logger.remove(Logger.defaultLogger)))

const failing = (reason: Reason, more: Partial<WarehouseError> = {}) =>
  Effect.fail(new WarehouseError({ reason, description: "It failed.", sent: "unknown", ...more }))

const ask = (client: string, sql: string) =>
  Effect.gen(function* () {
    const tool = (yield* Toolbox.Toolbox).get("execute_query")
    if (tool === undefined) return yield* Effect.die("no tool")
    return yield* Effect.flip(tool.handler({ sql }, { progress: () => Effect.void }))
  }).pipe(Effect.provideService(Principal.CurrentPrincipal, Principal.make(client)))

/** Its answer, and the milliseconds until it came, in whole seconds: each step of a test's clock is slow. */
const timed = <R>(call: Effect.Effect<RequestError, unknown, R>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(call)
    yield* TestClock.adjust(0)
    for (let ms = 0; ms < 300_000; ms += 1_000) {
      if (Option.isSome(yield* Fiber.poll(fiber))) return { error: yield* Fiber.join(fiber), ms }
      yield* TestClock.adjust(1_000)
    }
    return yield* Effect.dieMessage("never answered")
  })

const phase = Effect.flatMap(CircuitBreaker.CircuitBreaker, ({ status }) =>
  Effect.map(status, (status) => status.phase)
)

describe("the shipped breaker", () => {
  it.effect("opens for one client that calls a silent warehouse, one call after another", () =>
    Effect.gen(function* () {
      for (let n = 0; n < 3; n++) {
        assert.strictEqual(yield* phase, "closed")
        assert.strictEqual((yield* timed(ask("ana", "SELECT 1"))).error._tag, "DeadlineExceeded")
      }
      const { error, ms } = yield* timed(ask("ana", "SELECT 1"))
      assert.strictEqual(error._tag, "CircuitOpen")
      assert.strictEqual(ms, 0)
    }).pipe(Effect.provide(stack(() => Effect.never)))
  )

  it.effect(
    "takes the tries of one refused call for one failure, and tells the third call when to come back",
    () =>
      Effect.gen(function* () {
        const refused = yield* timed(ask("ana", "SELECT 1"))
        assert.strictEqual(refused.error._tag, "WarehouseError")
        assert.strictEqual(yield* phase, "closed")
        yield* timed(ask("ana", "SELECT 1"))
        assert.strictEqual(yield* phase, "closed")
        const { error } = yield* timed(ask("ana", "SELECT 1"))
        assert.strictEqual(yield* phase, "open")
        const report = ErrorReport.fromError(error, 0)
        const { retryAfterMs = 0 } = yield* Effect.flatMap(CircuitBreaker.CircuitBreaker, (_) => _.status)
        assert.isAbove(retryAfterMs, 20_000)
        assert.closeTo(report.retryAfterMs ?? 0, retryAfterMs, 1_000)
        assert.isTrue(report.retryable)
      }).pipe(Effect.provide(stack(() => failing("Unreachable", { answered: true }))))
  )

  for (const reason of ["ServerFault", "Protocol", "Unknown"] as const) {
    it.effect(`is not opened for the others by one client whose statements end in ${reason}`, () =>
      Effect.gen(function* () {
        yield* timed(ask("bob", "SELECT 0"))
        for (let n = 0; n < 20; n++) yield* timed(ask("eve", `SELECT 1${n}`))
        assert.strictEqual(yield* phase, "closed")
        yield* timed(ask("bob", "SELECT 1"))
        assert.strictEqual(yield* phase, "open")
      }).pipe(
        Effect.provide(
          stack(({ sql }) =>
            sql === "SELECT 0"
              ? failing("NotFound", { sent: "yes" })
              : failing(reason, { sent: "yes", code: "000603" })
          )
        )
      )
    )
  }

  it.effect("takes a statement that one client repeats for one failure", () =>
    Effect.gen(function* () {
      for (const sql of ["SELECT 1/0", "select  1/0", "SELECT 1/0 -- again", "SELECT 1/0"]) {
        yield* timed(ask("eve", sql))
      }
      assert.strictEqual(yield* phase, "closed")
    }).pipe(Effect.provide(stack(() => failing("ServerFault", { sent: "yes" }))))
  )

  it.effect("is never opened by a defect of ours", () =>
    Effect.gen(function* () {
      for (let n = 0; n < 20; n++) yield* Effect.exit(ask("eve", `SELECT ${n}`))
      assert.strictEqual(yield* phase, "closed")
    }).pipe(Effect.provide(stack(() => Effect.die("a bug of the driver"))))
  )
})
