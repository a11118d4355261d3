import { assert, describe, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import * as CallStats from "../../../src/observe/core/CallStats.js"
import { shortOrLong } from "../../utils/long.js"

const anyCall = fc.record({
  client: fc.constantFrom("a", "b", "c", "d", "e"),
  outcome: fc.constantFrom(...CallStats.outcomes),
  ms: fc.double({ min: 0, max: 4_000_000, noNaN: true }),
  bytes: fc.nat(1_000)
})

/** Calls, and between them looks at the interval. */
const anyCourse = fc.array(fc.oneof({ weight: 6, arbitrary: anyCall }, fc.constant("take" as const)), {
  maxLength: 60
})

const none = { ok: 0, refused: 0, rejected: 0, failed: 0, cancelled: 0 }
const sum = (counts: CallStats.Counts) =>
  CallStats.outcomes.reduce((all, outcome) => all + counts[outcome], 0)

describe("call statistics", () => {
  it.prop(
    "the total is the sum of the intervals, whenever it is read",
    [anyCourse],
    ([course]) => {
      const stats = CallStats.make(3)
      const added = { ...none }
      let bytes = 0
      const take = () => {
        const interval = CallStats.take(stats)
        bytes += interval.bytes
        for (const outcome of CallStats.outcomes) added[outcome] += interval.counts[outcome]
      }
      course.forEach((step, now) => {
        if (step === "take") take()
        else CallStats.record(stats, now, { ...step, tier: "t", tool: "x", decision: step.outcome })
      })
      take()
      assert.deepStrictEqual(added, { ...stats.total })
      assert.strictEqual(bytes, stats.totalBytes)
    },
    { fastCheck: { numRuns: shortOrLong(50, 200) } }
  )

  it.prop(
    "knows the clients that called last, latest first, and no more than it may",
    [fc.array(anyCall, { maxLength: 40 }), fc.integer({ min: 0, max: 4 })],
    ([calls, most]) => {
      const stats = CallStats.make(most)
      calls.forEach((call, now) =>
        CallStats.record(stats, now, { ...call, tier: "t", tool: "x", decision: call.outcome })
      )
      const latestFirst = [...new Set(calls.map(({ client }) => client).reverse())].slice(0, most)
      const seen = CallStats.clients(stats, 100)
      assert.deepStrictEqual(
        seen.map(({ client }) => client),
        latestFirst
      )
      for (const { client, lastAt } of seen) {
        assert.strictEqual(lastAt, calls.map((call) => call.client).lastIndexOf(client))
      }
    },
    { fastCheck: { numRuns: shortOrLong(50, 200) } }
  )

  it.prop(
    "a percentile is never below the true one and less than twice it",
    [fc.array(fc.double({ min: 1.01, max: 4_000_000, noNaN: true }), { minLength: 1, maxLength: 50 })],
    ([times]) => {
      const stats = CallStats.make(1)
      for (const ms of times) {
        CallStats.record(stats, 0, {
          client: "a",
          tier: "t",
          tool: "x",
          outcome: "ok",
          decision: "ok",
          ms,
          bytes: 0
        })
      }
      const { counts, p50 = 0, p95 = 0 } = CallStats.take(stats)
      const sorted = [...times].sort((a, b) => a - b)
      for (const [share, told] of [
        [0.5, p50],
        [0.95, p95]
      ] as const) {
        const exact = sorted[Math.ceil(sorted.length * share) - 1] ?? 0
        assert.isAtLeast(told, exact)
        assert.isBelow(told, exact * 2)
      }
      assert.strictEqual(sum(counts), times.length)
    },
    { fastCheck: { numRuns: shortOrLong(50, 200) } }
  )

  it.prop(
    "counts what was not served by code, and knows the latest, newest first",
    [fc.array(anyCall, { maxLength: 60 })],
    ([calls]) => {
      const stats = CallStats.make(1)
      calls.forEach((call, now) => {
        const decision = call.outcome.toUpperCase()
        CallStats.record(stats, now, { ...call, tier: "t", tool: "x", decision })
      })
      const unserved = calls.flatMap((call, at) =>
        call.outcome === "ok" || call.outcome === "cancelled" ? [] : [{ ...call, at }]
      )
      const codes = CallStats.codes(stats)
      assert.strictEqual(
        codes.reduce((all, { count }) => all + count, 0),
        unserved.length
      )
      for (const { code, count, lastAt, outcome } of codes) {
        const own = unserved.filter((call) => call.outcome === outcome)
        assert.deepStrictEqual([code, count, lastAt], [outcome.toUpperCase(), own.length, own.at(-1)?.at])
      }
      assert.deepStrictEqual(
        codes.map(({ count }) => count),
        codes.map(({ count }) => count).sort((a, b) => b - a)
      )
      assert.deepStrictEqual(
        CallStats.latest(stats).map(({ at, client }) => [at, client]),
        unserved
          .map(({ at, client }) => [at, client])
          .reverse()
          .slice(0, 20)
      )
    },
    { fastCheck: { numRuns: shortOrLong(50, 200) } }
  )

  it("says as whom a client acts, the last time, and that it has acted as others", () => {
    const stats = CallStats.make(2)
    const call = (client: string, actsAs?: string) =>
      CallStats.record(stats, 0, {
        client,
        tier: "t",
        tool: "x",
        outcome: "ok",
        decision: "ok",
        ms: 1,
        bytes: 0,
        actsAs
      })
    const acts = () => CallStats.clients(stats, 2).map(({ actsAs, client }) => [client, actsAs])
    call("a")
    assert.deepStrictEqual(acts(), [["a", undefined]])
    call("a", "ANN (R)")
    call("a", "ANN (R)")
    call("a")
    assert.deepStrictEqual(acts(), [["a", "ANN (R)"]])
    call("a", "BOB (R)")
    call("b", "ANN (R)")
    assert.deepStrictEqual(acts(), [
      ["b", "ANN (R)"],
      ["a", "BOB (R), and others"]
    ])
  })

  it("has no percentile of nothing", () => {
    const stats = CallStats.make(1)
    assert.deepStrictEqual(CallStats.take(stats), { counts: none, bytes: 0, p50: undefined, p95: undefined })
  })
})
