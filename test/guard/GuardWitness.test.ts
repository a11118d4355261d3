/** What a call says about the warehouse, with the parts and the numbers that the server ships with. */
import { assert, describe, it } from "@effect/vitest"
import type { Context } from "effect"
import { Effect, Fiber, Layer, Logger, Option, Ref, Stream, TestClock } from "effect"
import * as CircuitBreaker from "../../src/guard/CircuitBreaker.js"
import * as Bulkhead from "../../src/guard/Bulkhead.js"
import { DeadlineExceeded, Received } from "../../src/guard/Deadline.js"
import * as ErrorReport from "../../src/mcp/ErrorReport.js"
import * as Principal from "../../src/platform/Principal.js"
import * as Server from "../../src/server/Server.js"
import * as ServerConfig from "../../src/config/ServerConfig.js"
import * as Testing from "../../src/server/Testing.js"
import type { RequestError } from "../../src/tools/Tool.js"
import * as Toolbox from "../../src/tools/Toolbox.js"
import type { Reason, Statement } from "../../src/warehouse/Warehouse.js"
import { Warehouse, WarehouseError } from "../../src/warehouse/Warehouse.js"
import * as WarehouseHealth from "../../src/warehouse/WarehouseHealth.js"

const { circuitBreaker, guard, retry } = Server.parts(ServerConfig.defaults)

type Service = Context.Tag.Service<Warehouse>

/** The shipped breaker, retries and guard in front of this warehouse. */
const stack = (execute: Service["execute"], more: Partial<Service> = {}) =>
  Testing.layer(
    {},
    {
      circuitBreaker,
      guard,
      retry,
      warehouse: Layer.succeed(Warehouse, { dialect: "snowflake", execute, ...more })
    }
  ).pipe(Layer.merge(Logger.remove(Logger.defaultLogger)))

const failing = (reason: Reason, more: Partial<WarehouseError> = {}) =>
  Effect.fail(new WarehouseError({ reason, description: "It failed.", sent: "unknown", ...more }))

const ask = (client: string, sql: string) => use(client, "execute_query", { sql })

/** The failure that the client reads. */
const use = (client: string, name: string, input: object) =>
  Effect.gen(function* () {
    const tool = (yield* Toolbox.Toolbox).get(name)
    if (tool === undefined) return yield* Effect.die("no tool")
    return yield* Effect.flip(tool.handler(input, { progress: () => Effect.void }))
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
        const { error, ms } = yield* timed(ask("ana", "SELECT 1"))
        assert.strictEqual(error._tag, "DeadlineExceeded")
        assert.isAtMost(ms, 50_000)
      }
      const { error, ms } = yield* timed(ask("ana", "SELECT 1"))
      assert.strictEqual(error._tag, "CircuitOpen")
      assert.strictEqual(ms, 0)
    }).pipe(Effect.provide(stack(() => Effect.never)))
  )

  it.effect("counts the attempts of one call as one failure, and names the wait to the third call", () =>
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

  it.effect("counts a statement that one client repeats as one failure", () =>
    Effect.gen(function* () {
      for (const sql of ["SELECT 1/0", "select  1/0", "SELECT 1/0 -- again", "SELECT 1/0"]) {
        yield* timed(ask("eve", sql))
      }
      assert.strictEqual(yield* phase, "closed")
    }).pipe(Effect.provide(stack(() => failing("ServerFault", { sent: "yes" }))))
  )

  it.effect("is never opened by a defect of this program", () =>
    Effect.gen(function* () {
      for (let n = 0; n < 20; n++) yield* Effect.exit(ask("eve", `SELECT ${n}`))
      assert.strictEqual(yield* phase, "closed")
    }).pipe(Effect.provide(stack(() => Effect.die("a bug of the driver"))))
  )
})

const sent = ({ onSubmit = Effect.void }: Statement) => onSubmit

/** Takes every statement, and answers nothing but, after a while, that it is cancelled. */
const slow = (cancelMs: number) => (statement: Statement) =>
  Effect.zipRight(
    sent(statement),
    Effect.onInterrupt(Effect.never, () =>
      Effect.zipRight(Effect.sleep(cancelMs), statement.onCancelled ?? Effect.void)
    )
  )

describe("a statement that does not end in time", () => {
  it.effect(
    "does not count against a warehouse that confirms the cancellation, and the caller learns of it",
    () =>
      Effect.gen(function* () {
        for (let n = 0; n < 10; n++) {
          const { error } = yield* timed(ask("ana", `SELECT ${n}`))
          assert.deepInclude(error, { _tag: "DeadlineExceeded", cancelled: true })
          assert.include(ErrorReport.fromError(error, 0).message, "has been cancelled")
        }
        assert.strictEqual(yield* phase, "closed")
      }).pipe(Effect.provide(stack(slow(100))))
  )

  it.effect(
    "is told as the warehouse's silence where nothing is answered, and not as a statement to narrow",
    () =>
      Effect.gen(function* () {
        const { error } = yield* timed(ask("ana", "SELECT 1"))
        assert.deepInclude(error, { _tag: "DeadlineExceeded", cancelled: false })
        const report = ErrorReport.fromError(error, 0)
        assert.match(
          report.message,
          /The warehouse has answered no query for 4\d(?:\.\d)? seconds: it is slow or/
        )
        assert.notMatch(report.message, /[Nn]arrow|timeout_seconds/)
        assert.isTrue(report.retryable)
        const { error: listing } = yield* timed(use("ana", "list_tables", { database: "A", schema: "B" }))
        assert.match(ErrorReport.fromError(listing, 0).message, /The warehouse has answered no look-up for/)
      }).pipe(Effect.provide(stack((statement) => Effect.zipRight(sent(statement), Effect.never))))
  )

  /** What ana reads whose statement is never answered, while ben asks this once a second. */
  const beside = (sql: string) =>
    Effect.gen(function* () {
      const late = yield* Effect.fork(timed(ask("ana", "SELECT 1")))
      for (let n = 0; n < 60; n++) {
        yield* TestClock.adjust(1_000)
        yield* Effect.exit(ask("ben", sql))
      }
      const { error } = yield* Fiber.join(late)
      return ErrorReport.fromError(error, 0)
    })

  const answering: Service["execute"] = (statement) =>
    Effect.zipRight(
      sent(statement),
      statement.sql.includes("wrong")
        ? failing("InvalidStatement", { sent: "yes" })
        : statement.sql.includes("quick")
          ? Effect.succeed({ queryId: "q", columns: [], rows: Stream.empty })
          : Effect.never
    )

  it.effect("is told as too large where other statements of its kind are answered meanwhile", () =>
    Effect.gen(function* () {
      const report = yield* beside("SELECT quick")
      assert.include(report.message, "Other queries were answered meanwhile, so this one asks for too much")
      assert.isFalse(report.retryable)
    }).pipe(Effect.provide(stack(answering)))
  )

  it.effect("is not told as too large because the mistakes of others are found before they run", () =>
    Effect.gen(function* () {
      const report = yield* beside("SELECT wrong")
      assert.match(report.message, /The warehouse has answered no query for 4\d(?:\.\d)? seconds/)
      assert.isTrue(report.retryable)
    }).pipe(Effect.provide(stack(answering)))
  )

  it.effect("is not told as too large because another virtual warehouse answers", () =>
    Effect.gen(function* () {
      const report = yield* beside("SELECT quick")
      assert.match(report.message, /The warehouse has answered no query for 4\d(?:\.\d)? seconds/)
      assert.isTrue(report.retryable)
    }).pipe(
      Effect.provide(
        stack(answering, {
          actingAs: ({ client }) => ({
            key: "",
            mode: "shared",
            warehouse: client === "ben" ? "FAST_WH" : "SLOW_WH"
          })
        })
      )
    )
  )

  it.effect(
    "is told as the failure of others where the circuit is open, though some were just answered",
    () =>
      Effect.gen(function* () {
        const breaker = yield* CircuitBreaker.CircuitBreaker
        const late = yield* Effect.fork(timed(ask("ana", "SELECT 1")))
        yield* TestClock.adjust(40_000)
        yield* Effect.exit(ask("ben", "SELECT quick"))
        for (let n = 0; n < 20; n++) {
          yield* Effect.ignore(
            Effect.flatMap(breaker.acquire, (permit) =>
              breaker.settle(permit, "failure", { why: "no answer", call: `call ${n}`, silent: true })
            )
          )
        }
        assert.strictEqual(yield* phase, "open")
        yield* TestClock.adjust(60_000)
        const { error } = yield* Fiber.join(late)
        assert.instanceOf(error, DeadlineExceeded)
        const { message } = ErrorReport.fromError(
          new DeadlineExceeded({ ...error, retryAfterMs: undefined }),
          0
        )
        assert.include(message, "Calls fail at the warehouse now (CIRCUIT_OPEN)")
        assert.notInclude(message, "has answered no query")
      }).pipe(Effect.provide(stack(answering)))
  )

  it.effect("is told as waiting to be tried again where it had failed before its time was over", () =>
    Effect.gen(function* () {
      const tries = yield* Ref.make(0)
      const execute = (statement: Statement) =>
        Effect.flatMap(
          Ref.getAndUpdate(tries, (n) => n + 1),
          // The second try waits for a session.
          (before) =>
            before === 0
              ? Effect.zipRight(sent(statement), failing("SessionLost", { sent: "yes" }))
              : Effect.never
        )
      const { error } = yield* timed(
        use("ana", "execute_query", { sql: "SELECT 1", timeout_seconds: 3 })
      ).pipe(Effect.provide(stack(execute, { reportsSubmit: true })))
      assert.deepInclude(error, { _tag: "DeadlineExceeded", sent: true, retrying: true })
      const report = ErrorReport.fromError(error, 0)
      assert.include(
        report.message,
        "A try of it was sent and failed before. It was waiting to be tried again"
      )
      assert.notMatch(report.message, /[Nn]arrow|timeout_seconds|cancel/)
      assert.isTrue(report.retryable)
      assert.strictEqual(report.sideEffects, "unknown")
    })
  )

  it.effect("is told to be either where the warehouse answers its cancellation alone", () =>
    Effect.gen(function* () {
      const { error } = yield* timed(ask("ana", "SELECT 1"))
      const { message } = ErrorReport.fromError(error, 0)
      assert.match(message, /it is too large, or the warehouse slow/)
      assert.isAtMost(message.length, 300)
    }).pipe(Effect.provide(stack(slow(100))))
  )

  it.effect(
    "that the warehouse ended is told the same way, and is not remembered against the statement",
    () =>
      Effect.gen(function* () {
        for (let n = 0; n < 5; n++) {
          const { error } = yield* timed(ask("ana", "SELECT 1"))
          assert.strictEqual(error._tag, "WarehouseError")
          const report = ErrorReport.fromError(error, 0)
          assert.match(
            report.message,
            /Calls fail at the warehouse now \(WAREHOUSE_UNAVAILABLE\): it is slow/
          )
          assert.isTrue(report.retryable)
        }
      }).pipe(
        Effect.provide(
          Layer.provideMerge(
            stack((statement) =>
              Effect.zipRight(sent(statement), failing("StatementTimeout", { sent: "yes" }))
            ),
            Layer.succeed(WarehouseHealth.WarehouseHealth, {
              ...WarehouseHealth.silent,
              status: Effect.succeed({
                trouble: { reason: "Unavailable" as const, description: "It is suspended.", agoMs: 1_000 }
              })
            })
          )
        )
      )
  )

  it.effect("that had the most time there is tells nothing of longer times", () =>
    Effect.gen(function* () {
      for (const [timeout_seconds, longer] of [
        [299, true],
        [300, false],
        [3600, false]
      ] as const) {
        const asked = yield* Effect.fork(use("ana", "execute_query", { sql: "SELECT 1", timeout_seconds }))
        yield* TestClock.adjust(310_000)
        const { message } = ErrorReport.fromError(yield* Fiber.join(asked), 0)
        assert.include(message, `within ${Math.min(timeout_seconds, 300)} seconds`)
        assert.include(message, "arrow it")
        assert.strictEqual(message.includes("longer timeout_seconds"), longer)
      }
    }).pipe(Effect.provide(stack(slow(100))))
  )

  it.effect("does not delay the answer when its cancellation is slow", () =>
    Effect.gen(function* () {
      const { error, ms } = yield* timed(use("ana", "execute_query", { sql: "SELECT 1", timeout_seconds: 3 }))
      assert.deepInclude(error, { _tag: "DeadlineExceeded", cancelled: false })
      assert.isAtMost(ms, 5_000)
      const { message } = ErrorReport.fromError(error, 0)
      assert.include(message, "is not confirmed")
      // As it was asked for, and not with what is granted beside it.
      assert.include(message, "did not finish within 3 seconds")
      // The statement ends in its own time.
      yield* TestClock.adjust(60_000)
    }).pipe(Effect.provide(stack(slow(60_000))))
  )
})

describe("a client beside others", () => {
  /** Never answers statements that contain POISON, and all others at once. */
  const poisoned = Testing.layer(
    {},
    {
      circuitBreaker,
      guard,
      retry,
      warehouse: Layer.succeed(Warehouse, {
        dialect: "snowflake",
        execute: ({ sql }: Statement) =>
          sql.includes("POISON")
            ? Effect.never
            : Effect.succeed({ queryId: "q", columns: [], rows: Stream.empty })
      })
    }
  ).pipe(Layer.merge(Logger.remove(Logger.defaultLogger)))

  const answered = (client: string, input: object) =>
    Effect.gen(function* () {
      const tool = (yield* Toolbox.Toolbox).get("execute_query")
      if (tool === undefined) return yield* Effect.die("no tool")
      return yield* tool.handler(input, { progress: () => Effect.void })
    }).pipe(Effect.provideService(Principal.CurrentPrincipal, Principal.make(client)))

  for (const seconds of [1, 3, 30]) {
    it.effect(`does not open it for them by a burst of statements that hang for ${seconds} s`, () =>
      Effect.gen(function* () {
        const breaker = yield* CircuitBreaker.CircuitBreaker
        for (let round = 0; round < 3; round++) {
          yield* answered("ben", { sql: `SELECT ${round}` })
          const burst = yield* Effect.forkAll(
            Array.from({ length: 8 }, (_, n) =>
              Effect.exit(answered("ana", { sql: `SELECT 'POISON ${round} ${n}'`, timeout_seconds: seconds }))
            )
          )
          yield* TestClock.adjust((seconds + 3) * 1_000)
          yield* Fiber.join(burst)
          yield* answered("ben", { sql: `SELECT 'after ${round}'` })
        }
        assert.strictEqual((yield* breaker.status).phase, "closed")
      }).pipe(Effect.provide(poisoned))
    )
  }
})

describe("the time of a call", () => {
  const silent = stack(() => Effect.never)
  const bounds: ReadonlyArray<readonly [string, object, number]> = [
    ["execute_query", { sql: "SELECT 1" }, 50_000],
    ["execute_query", { sql: "SELECT 1", timeout_seconds: 1 }, 3_000],
    ["execute_query", { sql: "SELECT 1", timeout_seconds: 3 }, 5_000],
    ["execute_query", { sql: "SELECT 1", timeout_seconds: 120 }, 122_000],
    ["query_view", { database: "d", view_name: "v" }, 50_000],
    ["list_databases", {}, 50_000],
    ["list_tables", { database: "d" }, 50_000],
    ["describe_table", { database: "d", schema: "s", table: "t" }, 50_000],
    ["describe_view", { database: "d", view_name: "v" }, 50_000],
    ["explain_query", { sql: "SELECT 1" }, 50_000]
  ]
  for (const [tool, input, most] of bounds) {
    it.effect(`is bounded before a silent warehouse: ${tool} ${JSON.stringify(input)} in ${most} ms`, () =>
      Effect.gen(function* () {
        const { error, ms } = yield* timed(use("ana", tool, input))
        assert.strictEqual(error._tag, "DeadlineExceeded")
        assert.isAtMost(ms, most)
      }).pipe(Effect.provide(silent))
    )
  }

  it.effect("counts from the receipt of the request", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("20 seconds")
      const { ms } = yield* timed(ask("ana", "SELECT 1").pipe(Effect.provideService(Received, 0)))
      assert.isAtMost(ms, 30_000)
      const { ms: look } = yield* timed(
        use("ana", "list_databases", {}).pipe(Effect.provideService(Received, 30_000))
      )
      assert.isAtMost(look, 20_000)
    }).pipe(Effect.provide(silent))
  )

  it.effect("limits the statement too: it has less time after a wait", () =>
    Effect.gen(function* () {
      const limits: Array<number> = []
      const { guard } = Server.parts(ServerConfig.defaults)
      const one = { permits: 1, maxQueue: 10, maxQueuePerClient: 10 }
      const parts = {
        guard,
        bulkhead: Layer.orDie(Bulkhead.layer({ requests: one, statements: one })),
        warehouse: Layer.succeed(Warehouse, {
          dialect: "snowflake",
          execute: ({ timeoutMs }) =>
            Effect.suspend(() => {
              limits.push(timeoutMs)
              return Effect.zipRight(Effect.sleep("4 seconds"), failing("NotFound"))
            })
        })
      }
      const call = use("ana", "execute_query", { sql: "SELECT 1", timeout_seconds: 10 })
      const calls = yield* Effect.fork(
        Effect.all([call, call], { concurrency: 2 }).pipe(Effect.provide(Testing.layer({}, parts)))
      )
      yield* TestClock.adjust("20 seconds")
      yield* Fiber.join(calls)
      // The call has 11.5 s, of which it waited 4, and the warehouse a second to say that its time is over.
      assert.strictEqual(limits[0], 10_000)
      assert.closeTo(limits[1] ?? 0, 6_200, 10)
    })
  )
})
