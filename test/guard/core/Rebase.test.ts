import { assert, describe, expect, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import * as BucketLimits from "../../../src/guard/core/BucketLimits.js"
import * as TokenBucket from "../../../src/guard/core/TokenBucket.js"
import { shortOrLong } from "../../utils/long.js"

const bucket = fc.record({ rate: fc.integer({ min: 1, max: 50 }), burst: fc.integer({ min: 1, max: 40 }) })

const limits: fc.Arbitrary<BucketLimits.Limits> = fc.record({
  global: bucket,
  classes: fc.record({ query: bucket }, { requiredKeys: [] }),
  tiers: fc.record({
    default: fc.record(
      { client: bucket, total: bucket, tools: fc.record({ t: fc.record({ bucket }) }, { requiredKeys: [] }) },
      { requiredKeys: ["client"] }
    ),
    gold: fc.record({ client: bucket, total: bucket }, { requiredKeys: ["client"] })
  }),
  reserved: fc.constantFrom(0, 0.25)
})

const call = fc.record({
  client: fc.constantFrom("a", "b", "c"),
  tier: fc.constantFrom("default", "gold", "unknown"),
  class: fc.constantFrom("query", "metadata"),
  tool: fc.constantFrom("t", undefined),
  after: fc.constantFrom(0, 0, 0, 1, 20, 100, 400)
})

interface Call {
  readonly client: string
  readonly tier: string
  readonly class: string
  readonly tool: string | undefined
  readonly after: number
}

const home = (client: string) => (client === "a" ? "default" : client === "b" ? "gold" : "unknown")

const readings = (state: TokenBucket.State, now: number, config: BucketLimits.Config) =>
  ["a", "b", "c"].flatMap((client) =>
    TokenBucket.status(state, now, config, client, home(client)).map((one) => ({
      key: `${client} ${one.scope} ${one.name ?? ""}`,
      ...one
    }))
  )

/** The buckets that a call passes, and what they hold. */
const passed = (config: BucketLimits.Config, { class: name, client, tier, tool }: Call) => {
  const own = config.tiers.get(tier) ?? config.fallback
  return [
    { key: `client ${client}`, line: own.client },
    ...(own.tools.get(tool ?? "")?.line === undefined
      ? []
      : [{ key: `tool ${client}`, line: own.tools.get(tool ?? "")!.line! }]),
    ...(own.paths.get(name) ?? own.classless).map((line) => ({ key: `${line.scope} ${line.name}`, line }))
  ]
}

describe("limits that change while calls come", () => {
  it.prop(
    "hold in every window that begins after the change; no bucket gains or forgets by it",
    {
      generations: fc.array(fc.tuple(limits, fc.array(call, { maxLength: 60 })), {
        minLength: 2,
        maxLength: 6
      })
    },
    ({ generations }) => {
      const seen = new Set<string>()
      let now = 0
      let config = BucketLimits.compile(generations[0]![0])
      let state = TokenBucket.initial(config, now)
      for (const [next, calls] of generations) {
        const to = BucketLimits.compile(next)
        const before = new Map(readings(state, now, config).map((one) => [one.key, one]))
        state = TokenBucket.rebase(state, now, config, to)
        config = to
        for (const after of readings(state, now, config)) {
          const known = before.get(after.key)
          // A client that has not called has nothing to keep.
          const own = after.scope === "client" || after.scope === "tool"
          if (known === undefined || (own && !seen.has(after.key.slice(0, 1)))) continue
          assert.isAtMost(after.remaining, after.burst)
          assert.isAtMost(after.remaining, known.remaining)
          // Less than a token is lost by rounding.
          assert.isAtLeast(after.remaining, Math.min(known.remaining, Math.floor(after.burst)) - 1)
        }
        const admitted = new Map<string, Array<{ readonly at: number; readonly line: BucketLimits.Line }>>()
        for (const { after, ...one } of calls) {
          now += after
          const request = { ...one, tier: home(one.client) }
          const [decision, changed] = TokenBucket.decide(state, now, config, request)
          state = changed
          seen.add(one.client)
          if (decision._tag === "Refused") continue
          for (const { key, line } of passed(config, { ...request, after })) {
            const all = admitted.get(key) ?? []
            all.push({ at: now, line })
            admitted.set(key, all)
          }
        }
        for (const all of admitted.values()) {
          all.forEach((first, i) =>
            all.slice(i).forEach(({ at, line }, j) => {
              assert.isAtMost(j + 1, line.burst + (line.rate * (at - first.at)) / 1000 + 1e-6)
            })
          )
        }
      }
    }
  )

  const weighted = (all: BucketLimits.Limits, weight: number): BucketLimits.Limits => {
    const { default: base, ...rest } = all.tiers
    if (base === undefined) return all
    const tool = { ...base.tools?.["t"], weight: Math.min(weight, base.client.burst) }
    return { ...all, tiers: { ...rest, default: { ...base, tools: { t: tool } } } }
  }

  it.prop(
    "leave each bucket as if a call had never been, which was admitted before the change and is given back after it",
    {
      before: fc.tuple(limits, fc.integer({ min: 0, max: 5 })).map(([all, n]) => weighted(all, n)),
      after: fc.tuple(limits, fc.integer({ min: 0, max: 5 })).map(([all, n]) => weighted(all, n)),
      earlier: fc.array(call, { maxLength: 20 }),
      last: call
    },
    ({ after, before, earlier, last }) => {
      const [from, to] = [BucketLimits.compile(before), BucketLimits.compile(after)]
      const ends = [true, false].map((isMade) => {
        let now = 0
        let state = TokenBucket.initial(from, now)
        for (const { after, ...one } of earlier) {
          now += after
          state = TokenBucket.decide(state, now, from, { ...one, tier: home(one.client) })[1]
        }
        // One that costs nothing is no call, and makes the client known.
        const request = { ...last, tier: home(last.client), cost: isMade ? 1 : 0 }
        const [decision, changed] = TokenBucket.decide(state, now, from, request)
        state = changed
        state = TokenBucket.rebase(state, now, from, to)
        if (isMade && decision._tag === "Admitted")
          state = TokenBucket.refund(state, now, to, { ...request, clientScope: "client" }, () => true, from)
        return readings(state, now, to)
      })
      const [made, never] = ends
      made?.forEach((one, i) => {
        // Less than a token is lost by rounding.
        assert.approximately(one.remaining, never?.[i]?.remaining ?? NaN, 1, one.key)
      })
    },
    { fastCheck: { numRuns: shortOrLong(60, 300) } }
  )

  const of = (rate: number, burst: number): BucketLimits.Limits => ({
    global: { rate: 1000, burst: 1000 },
    classes: {},
    tiers: { default: { client: { rate, burst } } }
  })
  const request = { client: "a", tier: "default", class: "query" }

  it("keep a debt in tokens, which is paid at the new rate", () => {
    const slow = BucketLimits.compile(of(1, 2))
    const fast = BucketLimits.compile(of(10, 2))
    let state = TokenBucket.initial(slow, 0)
    // Two at once, and three that are due in one, two and three seconds.
    for (let n = 0; n < 5; n++) state = TokenBucket.decide(state, 0, slow, request, 10_000)[1]
    const [refused] = TokenBucket.decide(state, 0, slow, request)
    expect(refused).toMatchObject({ retryAfterMs: 4_000 })
    state = TokenBucket.rebase(state, 0, slow, fast)
    expect(TokenBucket.decide(state, 0, fast, request)[0]).toMatchObject({ retryAfterMs: 400 })
  })

  it("are the same after a thousand changes back and forth, to the grain", () => {
    const one = BucketLimits.compile(of(7, 30))
    const other = BucketLimits.compile(of(7, 30))
    let state = TokenBucket.initial(one, 0)
    for (let n = 0; n < 12; n++) state = TokenBucket.decide(state, 0, one, request)[1]
    for (let n = 0; n < 1_000; n++)
      state = TokenBucket.rebase(state, 0, n % 2 ? other : one, n % 2 ? one : other)
    expect(TokenBucket.status(state, 0, one, "a", "default")[0]?.remaining).toBe(18)
  })

  it("do not fill a bucket that has grown", () => {
    const small = BucketLimits.compile(of(1, 10))
    const large = BucketLimits.compile(of(1, 100))
    let state = TokenBucket.decide(TokenBucket.initial(small, 0), 0, small, request)[1]
    state = TokenBucket.rebase(state, 0, small, large)
    expect(TokenBucket.status(state, 0, large, "a", "default")[0]?.remaining).toBe(9)
  })
})
