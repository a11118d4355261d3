import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import type { DriverError } from "../../../src/warehouse/duckdb/connections.js"
import * as Pressure from "../../../src/warehouse/duckdb/pressure.js"
import * as DuckDb from "../../../src/warehouse/DuckDb.js"

describe("the watch over memory", () => {
  it.live("ends what runs when the process has grown too large, and counts anew when nothing does", () =>
    Effect.gen(function* () {
      let rss = 5000
      const { watch } = Pressure.make(1000, () => rss)
      const ended = yield* Deferred.make<void>()
      const endless: Effect.Effect<never, DriverError> = Effect.onInterrupt(Effect.never, () =>
        Deferred.succeed(ended, undefined)
      )
      const running = yield* Effect.fork(Effect.flip(watch(endless)))
      const other = yield* Effect.fork(watch(Effect.as(Effect.sleep("60 millis"), "done")))
      expect(yield* Fiber.join(other)).toBe("done")
      rss = 6001
      expect((yield* Fiber.join(running)).message).toMatch(/^Out of Memory Error/)
      yield* Deferred.await(ended)
      expect(yield* watch(Effect.as(Effect.sleep("60 millis"), "again"))).toBe("again")
    })
  )

  it.scopedLive("is not the only bound: texts that double from level to level fail, however it comes", () =>
    Effect.gen(function* () {
      const warehouse = yield* DuckDb.make({ sample: false, memoryLimit: "200MB" })
      const levels = Array.from({ length: 14 }, (_, n) => `t${n + 1} AS (SELECT x || x AS x FROM t${n})`)
      const sql =
        `WITH t0 AS (SELECT 'abcdefghijklmnopqrstuvwxyz' || i AS x FROM range(2000) r(i)), ` +
        `${levels.join(", ")} SELECT length(x) FROM t14`
      const error = yield* Effect.flip(
        Effect.scoped(warehouse.execute({ sql, timeoutMs: 60_000, requestId: "double" }))
      )
      expect([error.reason, error.code]).toEqual(["ResourcesExceeded", "000625"])
    })
  )
})
