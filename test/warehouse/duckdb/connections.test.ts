import { describe, expect, it } from "@effect/vitest"
import * as api from "@duckdb/node-api"
import * as Effect from "effect/Effect"
import * as Connections from "../../../src/warehouse/duckdb/connections.js"
import { STATEMENTS } from "../../../src/warehouse/duckdb/protocol.js"

describe("the connections of the embedded warehouse", () => {
  it.scopedLive("are opened once, however often as many statements as may run at a time do", () =>
    Effect.gen(function* () {
      const instance = yield* Effect.acquireRelease(
        Effect.promise(() => api.DuckDBInstance.create(":memory:")),
        (instance) => Effect.sync(() => instance.closeSync())
      )
      let opened = 0
      const connections = yield* Connections.make(() => {
        opened++
        return instance.connect()
      })
      // All of a round hold theirs until the last has one.
      const round = Effect.scoped(
        Effect.forEach(Array.from({ length: STATEMENTS }), () =>
          Effect.map(connections.acquire, (session) => {
            session.finished()
            return session
          })
        )
      )
      const first = yield* round
      const second = yield* round
      expect(opened).toBe(STATEMENTS)
      expect(new Set(second)).toEqual(new Set(first))
    })
  )
})
