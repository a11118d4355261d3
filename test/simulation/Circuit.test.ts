import { assert, describe, it } from "@effect/vitest"
import { Effect, TestClock } from "effect"
import * as CircuitBreaker from "../../src/guard/CircuitBreaker.js"
import { CurrentPrincipal } from "../../src/platform/Principal.js"
import { Call, Caller } from "./calls.js"
import * as Circuit from "./invariants/Circuit.js"

/** The real breaker and the second books beside it, on the same clock. */
const world = Effect.gen(function* () {
  const reports: Array<string> = []
  let now = 0
  let ids = 0
  const circuit = Circuit.make(
    {
      report: (rule, detail) => void reports.push(`${rule}: ${detail}`),
      violations: [],
      count: () => reports.length,
      now: () => now,
      nowMicros: () => now * 1000,
      moment: () => now,
      orderly: true,
      atomically: (effect) => effect
    },
    {
      probes: 2,
      consecutiveFailures: 3,
      windowMs: 300_000,
      failureRate: 0.3,
      minimumCalls: 10,
      slowCallRate: 0.9,
      slowCallMs: 60_000
    }
  )
  const tap = (inner: CircuitBreaker.CircuitBreaker["Type"]) => circuit.tap(inner)
  const at = (ms: number) =>
    Effect.suspend(() => {
      const passed = ms - now
      now = ms
      return TestClock.adjust(passed)
    })
  /** A call of the client begins; the result ends it. */
  const begin = (breaker: CircuitBreaker.CircuitBreaker["Type"], client: string) => {
    const id = ids++
    const call = new Call({
      id,
      client,
      tier: "default",
      wanted: true,
      class: "query",
      question: id,
      mistaken: false,
      startedAt: now,
      deadlineMs: 30_000,
      timeoutMs: 30_000,
      estimatedBytes: 1
    })
    const caller = new Caller(client, "default", call)
    return Effect.map(
      Effect.provideService(breaker.acquire, CurrentPrincipal, caller),
      (permit) => (verdict: CircuitBreaker.Verdict, silent: boolean) =>
        breaker.settle(permit, verdict, { call: String(id), silent, statement: `statement ${id}` })
    )
  }
  return { at, begin, reports, tap }
})

describe("the second books of the circuit", () => {
  it.scoped("two silences that one client met at once are one, also with an answer in between", () =>
    Effect.gen(function* () {
      const { at, begin, reports, tap } = yield* world
      const breaker = tap(yield* CircuitBreaker.make())
      const [first, second] = [yield* begin(breaker, "a"), yield* begin(breaker, "a")]
      const good = yield* begin(breaker, "b")
      yield* at(10_000)
      yield* first("failure", true)
      yield* at(11_000)
      yield* good("success", false)
      yield* at(12_000)
      yield* second("failure", true)
      for (const client of ["b", "c"]) {
        const failing = yield* begin(breaker, client)
        yield* at(13_000)
        yield* failing("failure", false)
      }
      assert.strictEqual((yield* breaker.status).phase, "closed")
      yield* begin(breaker, "d")
      assert.deepStrictEqual(reports, [])
    })
  )

  it.scoped("a circuit that stays closed after three silences is reported", () =>
    Effect.gen(function* () {
      const { at, begin, reports, tap } = yield* world
      const real = yield* CircuitBreaker.make()
      const breaker = tap({ ...real, settle: (permit) => real.settle(permit, "ignored") })
      for (const [i, client] of ["a", "b", "c"].entries()) {
        const failing = yield* begin(breaker, client)
        yield* at((i + 1) * 10_000)
        yield* failing("failure", true)
      }
      yield* begin(breaker, "d")
      assert.deepStrictEqual(reports, ["failures in a row open the circuit: closed after 3 and 0 of them"])
    })
  )
})
