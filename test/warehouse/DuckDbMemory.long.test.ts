import { expect, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import * as DuckDb from "../../src/warehouse/DuckDb.js"

const collectGarbage = (() => {
  setFlagsFromString("--expose-gc")
  return runInNewContext("gc") as () => void
})()

it.scopedLive("keeps memory flat while a result of any length is read", () =>
  Effect.gen(function* () {
    const warehouse = yield* DuckDb.make({ sample: false })
    const result = yield* warehouse.execute({
      sql: "SELECT i, i::VARCHAR AS s FROM range(3000000) t(i)",
      timeoutMs: 600_000,
      requestId: "memory"
    })
    let peak = 0
    let chunks = 0
    collectGarbage()
    const before = process.memoryUsage().rss
    const count = yield* Stream.runFoldEffect(result.rows, 0, (sum, rows) =>
      Effect.sync(() => {
        // What only waits to be collected is not held; how long it waits depends on who shares the process.
        if (chunks++ % 200 === 0) collectGarbage()
        peak = Math.max(peak, process.memoryUsage().rss - before)
        return sum + rows.length
      })
    )
    expect(count).toBe(3_000_000)
    // The rows as JavaScript values would be more than 300 MB.
    expect(peak).toBeLessThan(200 * 1024 * 1024)
  })
)
