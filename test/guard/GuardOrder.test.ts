/** In which order a call meets the guards: seen through the tools, with the real gate. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Logger, TestClock } from "effect"
import * as Bulkhead from "../../src/guard/Bulkhead.js"
import * as CircuitBreaker from "../../src/guard/CircuitBreaker.js"
import * as Degradation from "../../src/guard/Degradation.js"
import * as Quota from "../../src/quota/Quota.js"
import * as RateLimiter from "../../src/guard/RateLimiter.js"
import { ReadOnly } from "../../src/gate/ReadOnly.js"
import * as Snowflake from "../../src/gate/Snowflake.js"
import * as Retry from "../../src/guard/Retry.js"
import * as Testing from "../../src/server/Testing.js"
import * as Toolbox from "../../src/tools/Toolbox.js"
import { Warehouse, WarehouseError } from "../../src/warehouse/Warehouse.js"

const one = { permits: 1, maxQueue: 4, maxQueuePerClient: 4 }

/** One slot of each kind, in front of a warehouse that never answers. */
const stack = Testing.layer(
  {},
  {
    readOnly: Snowflake.layer(),
    bulkhead: Layer.orDie(Bulkhead.layer({ requests: one, statements: one })),
    degradation: Degradation.layer(),
    warehouse: Layer.succeed(Warehouse, { dialect: "snowflake", execute: () => Effect.never })
  }
).pipe(Layer.merge(Logger.remove(Logger.defaultLogger)))

const call = (name: string, input: object) =>
  Effect.gen(function* () {
    const tool = (yield* Toolbox.Toolbox).get(name)
    if (tool === undefined) return yield* Effect.dieMessage("no tool")
    return yield* tool.handler(input, { progress: () => Effect.void })
  })

const forbidden = [
  ["execute_query", { sql: "DROP TABLE t" }],
  ["execute_query", { sql: "SELECT 1; SELECT 2" }],
  ["explain_query", { sql: "DROP TABLE t" }]
] as const

/** What the current client has left: tokens, and what it used of its quotas. */
const accounts = Effect.gen(function* () {
  const scopes = yield* Effect.flatMap(RateLimiter.RateLimiter, (_) => _.status("local", "default"))
  const quotas = yield* Effect.flatMap(Quota.Quota, (_) => _.status("local", "default"))
  return {
    tokens: scopes.find(({ scope }) => scope === "client")?.remaining ?? Number.NaN,
    used: quotas.reduce((sum, { used }) => sum + used, 0)
  }
})

describe("a statement that may not run", () => {
  for (const [tool, input] of forbidden) {
    const asked = `${tool} ${JSON.stringify(input)}`

    it.effect(`is rejected without waiting for a slot: ${asked}`, () =>
      Effect.gen(function* () {
        const busy = yield* Effect.fork(call("execute_query", { sql: "SELECT 1" }))
        yield* Effect.yieldNow()
        assert.strictEqual((yield* Effect.flip(call(tool, input)))._tag, "StatementRejected")
        yield* Fiber.interrupt(busy)
      }).pipe(Effect.provide(stack))
    )

    it.effect(`is rejected although the circuit is open, while queries are served at all: ${asked}`, () =>
      Effect.gen(function* () {
        yield* Effect.flatMap(Degradation.Degradation, (_) => _.pin("normal", "test"))
        yield* Effect.flatMap(CircuitBreaker.CircuitBreaker, (_) => _.forceOpen("test"))
        assert.strictEqual((yield* Effect.flip(call(tool, input)))._tag, "StatementRejected")
        assert.strictEqual(
          (yield* Effect.flip(call("execute_query", { sql: "SELECT 1" })))._tag,
          "CircuitOpen"
        )
      }).pipe(Effect.scoped, Effect.provide(stack))
    )

    it.effect(`keeps its token and gives its quota back: ${asked}`, () =>
      Effect.gen(function* () {
        const before = yield* accounts
        yield* Effect.flip(call(tool, input))
        assert.deepStrictEqual(yield* accounts, { ...before, tokens: before.tokens - 1 })
      }).pipe(Effect.provide(stack))
    )
  }

  it.effect("is refused unread where no query is served", () =>
    Effect.gen(function* () {
      yield* Effect.flatMap(Degradation.Degradation, (_) => _.pin("cache-only", "test"))
      const before = yield* accounts
      assert.strictEqual(
        (yield* Effect.flip(call("execute_query", { sql: "DROP TABLE t" })))._tag,
        "Degraded"
      )
      assert.deepStrictEqual(yield* accounts, before)
    }).pipe(Effect.scoped, Effect.provide(stack))
  )

  it.effect("is refused by the rate limit first, so that checking it is not free", () =>
    Effect.gen(function* () {
      const tags = new Set<string>()
      for (let n = 0; n < 51; n++) {
        tags.add((yield* Effect.flip(call("execute_query", { sql: `DROP TABLE t${n}` })))._tag)
      }
      assert.deepStrictEqual([...tags], ["StatementRejected", "RateLimited"])
    }).pipe(Effect.provide(stack))
  )
})

describe("the gate", () => {
  it.effect(
    "that does not answer delays the caller no longer than its deadline, and nothing is charged",
    () =>
      Effect.gen(function* () {
        const before = yield* accounts
        const fiber = yield* Effect.fork(Effect.flip(call("execute_query", { sql: "SELECT 1" })))
        yield* TestClock.adjust("2 minutes")
        assert.strictEqual((yield* Fiber.join(fiber))._tag, "DeadlineExceeded")
        assert.strictEqual((yield* accounts).used, before.used)
      }).pipe(
        Effect.provide(
          Testing.layer(
            {},
            { readOnly: Layer.succeed(ReadOnly, { dialect: "snowflake", check: () => Effect.never }) }
          )
        )
      )
  )

  it.effect("runs once per call, however many attempts there are", () =>
    Effect.gen(function* () {
      const seen = { checks: 0, tries: 0 }
      const parts = {
        retry: Layer.orDie(Retry.layer()),
        readOnly: Layer.succeed(ReadOnly, {
          dialect: "snowflake" as const,
          check: (sql: string) => {
            seen.checks += 1
            return Effect.succeed({ canonical: sql, kind: "select" as const, tables: [], functions: [] })
          }
        }),
        warehouse: Layer.succeed(Warehouse, {
          dialect: "snowflake",
          execute: () => {
            seen.tries += 1
            return Effect.fail(new WarehouseError({ reason: "Unreachable", description: "no", sent: "no" }))
          }
        })
      }
      const fiber = yield* Effect.fork(
        Effect.provide(Effect.exit(call("execute_query", { sql: "SELECT 1" })), Testing.layer({}, parts))
      )
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(seen, { checks: 1, tries: 3 })
    })
  )
})
