import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Logger, TestClock } from "effect"
import { readdirSync, readFileSync } from "node:fs"
import * as CircuitBreaker from "../../src/guard/CircuitBreaker.js"
import * as RateLimiter from "../../src/guard/RateLimiter.js"
import * as Testing from "../../src/server/Testing.js"
import * as Toolbox from "../../src/tools/Toolbox.js"
import * as GuardAnything from "./guardAnything.js"
import * as OwnTool from "./ownTool.js"
import * as OwnToolTest from "./ownToolTest.js"
import * as OwnWarehouse from "./ownWarehouse.js"
import * as Warehouse from "../../src/warehouse/Warehouse.js"
import * as WarehouseContract from "../../src/warehouse/WarehouseContract.js"

describe("the examples of the documentation", () => {
  it("each is under 50 lines", () => {
    for (const file of readdirSync(import.meta.dirname).filter((name) => !name.endsWith(".test.ts"))) {
      const lines = readFileSync(`${import.meta.dirname}/${file}`, "utf8")
        .trimEnd()
        .split("\n").length
      assert.isBelow(lines, 50, file)
    }
  })

  it("a tool of your own stands beside ours and goes through the same guard", () =>
    Effect.runPromise(OwnToolTest.test))

  it.effect("... on any warehouse, with all other tools there", () =>
    Effect.gen(function* () {
      const toolbox = yield* Toolbox.Toolbox
      assert.strictEqual(toolbox.tools.length, Toolbox.builtin.length + 1)
    }).pipe(Effect.provide(Testing.layer({}, { toolbox: OwnTool.layer })))
  )

  it.effect("our breaker and limiter stand in front of somebody else's effect; a refusal costs nothing", () =>
    Effect.gen(function* () {
      const ok = GuardAnything.protect("ann", Effect.succeed("body"))
      const missing = GuardAnything.protect("bob", Effect.fail(new GuardAnything.ApiError(404)))
      const broken = GuardAnything.protect("cem", Effect.fail(new GuardAnything.ApiError(503)))
      for (let i = 0; i < 3; i++) assert.strictEqual(yield* ok, "body")
      const refused = yield* Effect.flip(ok)
      assert(refused._tag === "RateLimited")
      yield* TestClock.adjust(refused.retryAfterMs)
      assert.strictEqual(yield* ok, "body")
      for (let i = 0; i < 3; i++) assert.strictEqual((yield* Effect.flip(missing))._tag, "ApiError")
      for (let i = 0; i < 3; i++) assert.strictEqual((yield* Effect.flip(broken))._tag, "ApiError")
      yield* TestClock.adjust("10 seconds")
      // More refusals than there are tokens: the open circuit charges none of them ...
      for (let i = 0; i < 9; i++) assert.strictEqual((yield* Effect.flip(ok))._tag, "CircuitOpen")
      const limiter = yield* RateLimiter.RateLimiter
      const [bucket] = yield* limiter.status("ann", "default")
      assert.strictEqual(bucket?.remaining, 3)
      // ... and our own refusals say nothing of the API.
      yield* Effect.flatMap(CircuitBreaker.CircuitBreaker, ({ reset }) => reset)
      for (let i = 0; i < 3; i++) assert.strictEqual(yield* ok, "body")
      for (let i = 0; i < 9; i++) assert.strictEqual((yield* Effect.flip(ok))._tag, "RateLimited")
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* ok, "body")
    }).pipe(Effect.provide(GuardAnything.layer))
  )

  it.effect("... and the log names what the breaker stands in front of, which is no warehouse", () => {
    const lines: Array<string> = []
    const logger = Logger.make(({ message }) => void lines.push(String(message)))
    const broken = GuardAnything.protect("cem", Effect.fail(new GuardAnything.ApiError(503)))
    return Effect.gen(function* () {
      for (let i = 0; i < 3; i++) yield* Effect.flip(broken)
      assert.deepStrictEqual(lines, ["api circuit open: 3 consecutive failures"])
    }).pipe(Effect.provide(Layer.merge(GuardAnything.layer, Logger.replace(Logger.defaultLogger, logger))))
  })

  describe("a warehouse of your own keeps the contract of all", () => {
    let ids = 0
    /** Knows `rows N`, `echo N` and `endless`. */
    const client: OwnWarehouse.Client["Type"] = (sql, binds, signal) => {
      const [word, count] = sql.split(" ")
      const columns = [{ name: "N", type: "NUMBER(38,0)", nullable: true }]
      const id = String(++ids)
      if (word === "rows")
        return Promise.resolve({ id, columns, rows: Array.from({ length: Number(count) }, (_, n) => [n]) })
      if (word === "echo") return Promise.resolve({ id, columns, rows: [binds] })
      if (word === "fails") return Promise.reject(new Error(sql.slice("fails ".length)))
      if (word !== "endless")
        return Promise.reject(new Error(word === "missing" ? "no such table" : "syntax error"))
      return new Promise((_, reject) => {
        signal.addEventListener("abort", () => reject(new Error("aborted")))
      })
    }
    const layer = Layer.provide(OwnWarehouse.layer, Layer.succeed(OwnWarehouse.Client, client))
    const cases = WarehouseContract.cases({
      rows: (count) => `rows ${count}`,
      endless: "endless",
      echo: (count) => `echo ${count}`,
      missing: "missing"
    })
    it.live.each(cases)("$name", ({ run }) => Effect.provide(run, layer))

    const failure = (sql: string) =>
      Effect.flatMap(Warehouse.Warehouse, ({ execute }) =>
        Effect.flip(Effect.scoped(execute({ requestId: "r", sql, maxRows: 1, timeoutMs: 1_000 })))
      ).pipe(Effect.provide(layer))

    it.effect("only a fault of the network says that it cannot be reached", () =>
      Effect.gen(function* () {
        for (const [message, reason, sent] of [
          ["connect ECONNREFUSED 127.0.0.1:1", "Unreachable", "unknown"],
          ["read ECONNRESET", "Unreachable", "unknown"],
          ["division by zero", "Unknown", "yes"],
          ["syntax error at or near x", "InvalidStatement", "yes"]
        ] as const) {
          const error = yield* failure(`fails ${message}`)
          assert.deepStrictEqual([error.reason, error.sent], [reason, sent], message)
        }
      })
    )

    it.effect("what ran out of time is not told in the words of its statement", () =>
      Effect.gen(function* () {
        const fiber = yield* Effect.fork(failure("endless"))
        yield* TestClock.adjust("1 second")
        const error = yield* Fiber.join(fiber)
        assert.strictEqual(error.reason, "StatementTimeout")
        assert.notInclude(error.description, "endless")
      })
    )
  })
})
