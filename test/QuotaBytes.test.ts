import { describe, expect, it } from "@effect/vitest"
import { Effect, FastCheck as fc, Layer, Stream } from "effect"
import { collect } from "../src/internal/collect.js"
import * as Quota from "../src/Quota.js"
import * as QuotaStore from "../src/QuotaStore.js"
import * as Leased from "../src/QuotaStore/Leased.js"
import type { Row } from "../src/Warehouse.js"

const request = (client: string, estimatedBytes: number): Quota.Request => ({
  client,
  tier: "default",
  class: "query",
  estimatedBytes,
  deadlineMs: 60_000
})

interface Call {
  readonly client: string
  readonly estimate: number
  /** What its statements return, one after the other. */
  readonly wants: ReadonlyArray<number>
}

const call: fc.Arbitrary<Call> = fc.record({
  client: fc.constantFrom("ada", "bob"),
  estimate: fc.integer({ min: 1, max: 120 }),
  wants: fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 3 })
})

/** One call as it passes the guard, cut into steps; `deliver` is told of what reaches the caller. */
const steps = function* (
  quota: Quota.Quota["Type"],
  { client, estimate, wants }: Call,
  deliver: (bytes: number) => void
): Generator<Effect.Effect<void, never>> {
  let reservation: Quota.Reservation | undefined
  let delivered = 0
  yield quota.reserve(request(client, estimate)).pipe(
    Effect.map((granted) => void (reservation = granted)),
    Effect.ignore
  )
  if (reservation === undefined) return
  const granted: Quota.Reservation = reservation
  yield Effect.ignore(quota.submitted(granted))
  for (const want of wants) {
    let may = 0
    yield Effect.map(quota.holdBytes?.(granted, delivered + want) ?? Effect.succeed(Infinity), (all) => {
      may = all - delivered
    })
    delivered += may
    deliver(may)
  }
  yield Effect.orDie(quota.settle(granted, { bytes: delivered }))
}

const run = (
  store: Layer.Layer<QuotaStore.QuotaStore>,
  calls: ReadonlyArray<Call>,
  order: ReadonlyArray<number>,
  limits: { readonly client: number; readonly global: number }
) =>
  Effect.gen(function* () {
    const quota = yield* Quota.Quota
    const delivered = new Map<string, number>()
    const waiting = calls.map((one) =>
      steps(quota, one, (bytes) => {
        expect(bytes).toBeGreaterThanOrEqual(0)
        delivered.set(one.client, (delivered.get(one.client) ?? 0) + bytes)
      })
    )
    for (let turn = 0; waiting.length > 0; turn++) {
      const at = (order[turn % order.length] ?? 0) % waiting.length
      const next = waiting[at]?.next()
      if (next === undefined || next.done === true) waiting.splice(at, 1)
      else yield* next.value
      const all = [...delivered.values()].reduce((sum, bytes) => sum + bytes, 0)
      for (const bytes of delivered.values()) expect(bytes).toBeLessThanOrEqual(limits.client)
      expect(all).toBeLessThanOrEqual(limits.global)
    }
    // Nothing stays held, and what was delivered is what is counted.
    for (const [client, bytes] of delivered) {
      const own = (yield* quota.status(client, "default")).find(({ scope }) => scope === "client")
      expect([client, own?.used]).toEqual([client, bytes])
    }
  }).pipe(
    Effect.provide(
      Quota.layer({
        tiers: { default: { bytes_per_day: limits.client } },
        global: { bytes_per_day: limits.global }
      }).pipe(Layer.provide(store))
    )
  )

describe("result bytes", () => {
  for (const [name, store] of [
    ["in memory", QuotaStore.layerMemory],
    [
      "with leases of the shared limits",
      Leased.layer({ leases: (key) => key === "global", skewMs: 0 }).pipe(
        Layer.provide(QuotaStore.layerMemory)
      )
    ]
  ] as const) {
    it(`never pass a limit, however the calls interleave: ${name}`, async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(call, { minLength: 1, maxLength: 8 }),
          fc.array(fc.nat(7), { minLength: 1, maxLength: 40 }),
          fc.integer({ min: 1, max: 1000 }),
          fc.integer({ min: 1, max: 1500 }),
          (calls, order, client, global) => Effect.runPromise(run(store, calls, order, { client, global }))
        ),
        { numRuns: 150 }
      )
    })
  }

  it.effect("a call may deliver all that is left, and only that", () =>
    Effect.gen(function* () {
      const quota = yield* Quota.Quota
      const first = yield* quota.reserve(request("ada", 100))
      const second = yield* quota.reserve(request("ada", 100))
      const hold = (reservation: Quota.Reservation, bytes: number) =>
        quota.holdBytes?.(reservation, bytes) ?? Effect.succeed(-1)
      expect(yield* hold(first, 50)).toBe(50)
      expect(yield* hold(first, 5000)).toBe(900)
      expect(yield* hold(second, 5000)).toBe(100)
      yield* quota.settle(first, { bytes: 300 })
      expect(yield* hold(second, 5000)).toBe(700)
      yield* quota.release(second)
      expect((yield* quota.status("ada", "default")).map(({ used }) => used)).toEqual([300])
    }).pipe(
      Effect.provide(
        Quota.layer({ tiers: { default: { bytes_per_day: 1000 } } }).pipe(
          Layer.provide(QuotaStore.layerMemory)
        )
      )
    )
  )

  for (const [may, rows, columns] of [
    [1000, 4, 1],
    [50, 2, 1],
    [10, 0, 0]
  ] as const) {
    it.effect(`an answer that may have ${may} bytes has ${rows} of its 4 rows, and says so`, () =>
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
            bytesLeft: 1000,
            markSent: Effect.void,
            addBytes: (bytes) => Effect.sync(() => void (counted += bytes)),
            holdBytes: (bytes) => Effect.succeed(Math.min(bytes, may))
          },
          { statement: { sql: "SELECT 1" }, timeoutMs: 1000, maxRows: 10, maxBytes: 1000 }
        )
        expect([answer.rows.length, answer.columns.length]).toEqual([rows, columns])
        expect(answer.truncated?.reason).toBe(rows === 4 ? undefined : "quota")
        expect(counted).toBeLessThanOrEqual(may)
      })
    )
  }
})
