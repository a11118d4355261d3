import { describe, expect, it } from "@effect/vitest"
import { Effect, FastCheck as fc, Layer, Stream } from "effect"
import { CallNotes } from "../../src/tools/callNotes.js"
import { collect } from "../../src/tools/query.js"
import * as Quota from "../../src/quota/Quota.js"
import * as QuotaStore from "../../src/quota/QuotaStore.js"
import type { Row } from "../../src/warehouse/Warehouse.js"

const request = (client: string, estimatedBytes: number): Quota.Request => ({
  client,
  tier: "default",
  class: "query",
  estimatedBytes,
  deadlineMs: 60_000
})

interface Call {
  readonly estimate: number
  /** Bytes that its statement returns. */
  readonly want: number
}

const call: fc.Arbitrary<Call> = fc.record({
  estimate: fc.integer({ min: 1, max: 120 }),
  want: fc.integer({ min: 1, max: 400 })
})

const withLimit = (limit: number) =>
  Quota.layer({ tiers: { default: { bytes_per_day: limit } } }).pipe(Layer.provide(QuotaStore.layerMemory))

describe("result bytes", () => {
  it.effect.prop(
    "pass a limit by one result of each call at most, and then no more calls are admitted",
    [
      fc.array(call, { minLength: 1, maxLength: 12 }),
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 1, max: 1000 })
    ],
    ([calls, atOnce, limit]) =>
      Effect.gen(function* () {
        const quota = yield* Quota.Quota
        let total = 0
        for (let first = 0; first < calls.length; first += atOnce) {
          const before = total
          const admitted: Array<{ readonly reservation: Quota.Reservation; readonly want: number }> = []
          for (const { estimate, want } of calls.slice(first, first + atOnce)) {
            const granted = yield* Effect.option(quota.reserve(request("ada", estimate)))
            if (granted._tag === "Some") admitted.push({ reservation: granted.value, want })
          }
          if (before >= limit) expect(admitted).toEqual([])
          for (const { reservation, want } of admitted) {
            const bytes = Math.min(want, reservation.bytesLeft)
            expect(bytes).toBeLessThanOrEqual(limit - before)
            total += bytes
            yield* quota.submitted(reservation)
            yield* quota.settle(reservation, { bytes })
          }
          // Alone, a call never passes it.
          if (atOnce === 1) expect(total).toBeLessThanOrEqual(limit)
        }
        expect((yield* quota.status("ada", "default"))[0]?.used).toBe(total)
      }).pipe(Effect.provide(withLimit(limit)))
  )

  for (const [left, rows] of [
    [1000, 4],
    [50, 2]
  ] as const) {
    it.effect(`an answer that may have ${left} bytes has ${rows} of its 4 rows, and says so`, () =>
      Effect.gen(function* () {
        let counted = 0
        const arrived: ReadonlyArray<Row> = [["aaaa"], ["bbbb"], ["cccc"], ["dddd"]]
        const answer = yield* collect(
          {
            dialect: "duckdb",
            execute: () =>
              Effect.succeed({
                queryId: "q",
                columns: [{ name: "N", type: "VARCHAR", nullable: true }],
                rows: Stream.succeed(arrived)
              })
          },
          {
            requestId: "r",
            timeoutMs: 1000,
            bytesLeft: left,
            markSent: Effect.void,
            cancelled: Effect.void,
            addBytes: (bytes) => Effect.sync(() => void (counted += bytes)),
            holdScan: () => Effect.void,
            beginScan: Effect.void,
            addScan: () => Effect.void,
            addCredits: () => Effect.void
          },
          new CallNotes(),
          { statement: { sql: "SELECT 1" }, timeoutMs: 1000, maxRows: 10, maxBytes: 1000 }
        )
        expect([answer.rows.length, answer.columns.length]).toEqual([rows, 1])
        expect(answer.truncated?.reason).toBe(rows === 4 ? undefined : "quota")
        expect(counted).toBeLessThanOrEqual(left)
      })
    )
  }
})
