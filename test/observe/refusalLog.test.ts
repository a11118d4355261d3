import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, HashMap, Layer, Logger, LogLevel, Scope, TestClock } from "effect"
import * as RefusalLog from "../../src/observe/refusalLog.js"

const recorded = () => {
  const lines: Array<readonly [message: unknown, annotations: { readonly [name: string]: unknown }]> = []
  const logger = Logger.make(({ annotations, message }) => {
    lines.push([message, Object.fromEntries(HashMap.toEntries(annotations))])
  })
  const layer = Layer.merge(
    Logger.replace(Logger.defaultLogger, logger),
    Logger.minimumLogLevel(LogLevel.All)
  )
  return { lines, layer }
}

const limited: RefusalLog.Refusal = {
  client: "alice",
  tool: "execute_query",
  code: "RATE_LIMITED",
  outcome: "refused",
  scope: "client",
  retryAfterMs: 1_200,
  cause: undefined
}

describe("the log of refusals", () => {
  it.scoped("tells the first at once, and how many more there were every ten seconds", () => {
    const { layer, lines } = recorded()
    return Effect.gen(function* () {
      const log = yield* RefusalLog.make
      yield* Effect.repeatN(log.refused(limited), 99)
      yield* log.refused({ ...limited, client: "bob" })
      assert.deepStrictEqual(
        lines.map(([message, { client }]) => [message, client]),
        [
          [["call refused"], "alice"],
          [["call refused"], "bob"]
        ]
      )
      assert.strictEqual(lines[0]?.[1]["retryAfterMs"], 1_200)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(lines.length, 3)
      assert.deepStrictEqual(lines[2]?.[0], ["more calls were refused like this"])
      assert.strictEqual(lines[2]?.[1]["times"], 99)
      assert.strictEqual(lines[2]?.[1]["client"], "alice")
      // Bob was quiet for a period: the next refusal is logged at once.
      yield* log.refused({ ...limited, client: "bob" })
      assert.strictEqual(lines.length, 4)
    }).pipe(Effect.provide(layer))
  })

  it.effect("tells causes apart, and leaves nothing untold when it closes", () => {
    const { layer, lines } = recorded()
    return Effect.gen(function* () {
      const scope = yield* Scope.make()
      const log = yield* Scope.extend(RefusalLog.make, scope)
      const failed = {
        ...limited,
        code: "WAREHOUSE_UNAVAILABLE",
        outcome: "failed" as const,
        scope: undefined
      }
      for (const cause of ["connection reset", "connection reset", "no such host", "x".repeat(10_000)]) {
        yield* log.refused({ ...failed, cause })
      }
      assert.strictEqual(lines.length, 3)
      assert.strictEqual(String(lines[2]?.[1]["cause"]).length, 200)
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(lines.length, 4)
      assert.strictEqual(lines[3]?.[1]["times"], 1)
    }).pipe(Effect.provide(layer))
  })
})
