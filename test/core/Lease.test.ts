import { describe, expect, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import * as Lease from "../../src/core/Lease.js"
import * as QuotaLedger from "../../src/core/QuotaLedger.js"
import { make as makeLedger } from "../../src/core/QuotaModel.js"

const HOUR = 3_600_000
const DAY = 24 * HOUR
const sizes: Lease.Sizes = { calls: 1024, lastsMs: 25, workers: 3 }
const quota = "requests_per_hour"

const command = fc.record({
  worker: fc.nat({ max: 2 }),
  do: fc.constantFrom(
    "reserve" as const,
    "reserve" as const,
    "reserve" as const,
    "finish" as const,
    "die" as const
  ),
  amount: fc.integer({ min: 1, max: 4 }),
  ms: fc.constantFrom(0, 0, 1, 7, 30_000, 5 * 60_000)
})

for (const mode of ["fixed", "rolling"] as const) {
  describe(`leases of ${mode} windows`, () => {
    it.prop(
      "never take more than the limit, all workers together, and lose nothing of what they return",
      [fc.array(command, { maxLength: 120 }), fc.integer({ min: 5, max: 200 })],
      ([commands, limit]) => {
        const shared = makeLedger<string>("s-", mode)
        const start = Date.UTC(2031, 4, 5, 12, 0)
        let now = start
        let names = 0
        const fresh = () => Lease.make<string>(`w${(names += 1)}-`, mode)
        const workers = [fresh(), fresh(), fresh()]
        const open: Array<Array<string>> = [[], [], []]
        /** What was admitted, by whom, when. */
        const admitted: Array<{ readonly at: number; readonly amount: number }> = []
        const tell = (state: Lease.State<string>) => {
          for (const { actual, id } of Lease.drain(state)) {
            QuotaLedger.settle(shared, now, id ?? `debt-${(names += 1)}`, actual)
          }
        }
        const reserve = (index: number, amount: number): boolean => {
          const state = workers[index]!
          for (let round = 0; round < 4; round++) {
            const charges = [{ key: "global", quota, limit, amount }]
            const attempt = Lease.attempt(state, now, charges, DAY, sizes)
            tell(state)
            if (attempt._tag === "Granted") {
              open[index]!.push(attempt.reservation)
              return true
            }
            for (const asked of [
              attempt.wants.map(({ charge, chunk }) => ({ ...charge, amount: chunk })),
              attempt.wants.map(({ charge }) => charge)
            ]) {
              const decision = QuotaLedger.reserve(shared, now, asked, 2 * DAY)
              if (decision._tag === "Refused") continue
              const amounts = asked.map((charge) => charge.amount)
              expect(Lease.leased(state, now, decision.reservation, decision.usage, amounts)).toBe(true)
              tell(state)
              break
            }
          }
          return false
        }
        for (const { amount, do: what, ms, worker } of commands) {
          now += ms
          if (what === "reserve") {
            if (reserve(worker, amount)) admitted.push({ at: now, amount })
          } else if (what === "finish") {
            const id = open[worker]!.shift()
            if (id !== undefined) Lease.settle(workers[worker]!, now, id, [])
            tell(workers[worker]!)
          } else {
            // Its leases are gone with it.
            workers[worker] = fresh()
            open[worker] = []
          }
          const since = mode === "fixed" ? Math.floor(now / HOUR) * HOUR : now - HOUR
          const inWindow = admitted.reduce(
            (sum, one) => sum + (one.at > since || (mode === "fixed" && one.at === since) ? one.amount : 0),
            0
          )
          expect(inWindow).toBeLessThanOrEqual(limit)
        }
        // Nobody has died: all that is left is returned, but what earlier leases had kept.
        for (const state of workers) {
          Lease.close(state, now)
          tell(state)
        }
        const [left] = QuotaLedger.usage(shared, now, "global")
        expect(left?.used ?? 0).toBeLessThanOrEqual(limit)
        if (!commands.some((one) => one.do === "die")) expect(left?.reserved ?? 0).toBe(0)
      },
      { fastCheck: { numRuns: 150 } }
    )
  })
}

describe("the size of a lease", () => {
  const granted = (state: Lease.State<string>, limit: number, now: number) => {
    const attempt = Lease.attempt(state, now, [{ key: "global", quota, limit, amount: 1 }], DAY, sizes)
    return attempt._tag === "Short" ? attempt.wants[0]! : undefined
  }

  it("starts with what is asked for, and is that again near the limit", () => {
    const state = Lease.make<string>("w-", "fixed")
    expect(granted(state, 100_000, 0)?.chunk).toBe(1)
    Lease.leased(state, 0, "s-1", [{ key: "global", quota, used: 99_990, reserved: 1, resetAt: HOUR }], [1])
    expect(granted(state, 100_000, 0)).toBeUndefined()
    expect(granted(state, 100_000, 0)).toMatchObject({ chunk: 1, charge: { amount: 1 } })
  })

  it("grows with the rate to what lasts for a while", () => {
    const state = Lease.make<string>("w-", "fixed")
    expect(granted(state, 1e9, 0)?.chunk).toBe(1)
    Lease.leased(state, 0, "s-1", [{ key: "global", quota, used: 0, reserved: 40, resetAt: HOUR }], [40])
    for (let i = 0; i < 40; i++) expect(granted(state, 1e9, 10)).toBeUndefined()
    expect(granted(state, 1e9, 10)?.chunk).toBe(100)
  })

  it("tells the store nothing of a lease that it granted in another window", () => {
    const state = Lease.make<string>("w-", "fixed")
    granted(state, 10, 0)
    expect(
      Lease.leased(state, 0, "s-1", [{ key: "global", quota, used: 0, reserved: 1, resetAt: 2 * HOUR }], [1])
    ).toBe(false)
    expect(granted(state, 10, 0)?.charge.amount).toBe(1)
  })
})
