import { assert, describe, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import * as BucketLimits from "../../../src/guard/core/BucketLimits.js"
import type * as TokenBucket from "../../../src/guard/core/TokenBucket.js"
import { only, start, Tokens } from "./buckets.js"
import { shortOrLong } from "../../utils/long.js"

// Rates whose interval is a multiple of a power of two of a millisecond: the model can be compared exactly.
const rate = fc.constantFrom(1, 2, 5, 10, 16, 20, 50, 64, 100, 200)
const bucket = fc
  .tuple(rate, fc.integer({ min: 1, max: 12 }), fc.integer({ min: 0, max: 12 }))
  .map(([rate, burst, initial]) => ({ rate, burst, initial: Math.min(burst, initial) }))

const limits = fc.record({
  global: bucket,
  query: bucket,
  client: bucket,
  gold: bucket,
  total: bucket,
  // The bucket of a tool is full at first.
  tool: bucket.map(({ burst, rate }) => ({ burst, rate })),
  weight: fc.nat(3)
})

const command = fc.record({
  // Time also steps back, as a clock that is corrected does.
  advance: fc.oneof(fc.integer({ min: 0, max: 400 }), fc.constant(0), fc.integer({ min: -300, max: 3000 })),
  client: fc.constantFrom("a", "b", "g"),
  class: fc.constantFrom("query", "metadata"),
  tool: fc.constantFrom(undefined, "heavy", "narrow", "other"),
  cost: fc.oneof({ weight: 4, arbitrary: fc.constant(1) }, fc.integer({ min: 0, max: 14 })),
  patience: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.integer({ min: 1, max: 1500 })),
  refund: fc.option(fc.nat(20), { freq: 4 })
})

describe("TokenBucket", () => {
  it.prop(
    "decides as buckets of counted tokens: exact waits, all scopes charged or none, refunds within the burst",
    [limits, fc.array(command, { maxLength: 60 })],
    ([{ client, global, gold, query, tool, total, weight }, commands]) => {
      const weights = { a: Math.min(weight, client.burst), g: Math.min(weight, gold.burst) }
      const bench = start({
        global,
        classes: { query },
        tiers: {
          default: { client, tools: { heavy: { weight: weights.a }, narrow: { bucket: tool } } },
          gold: { client: gold, total, tools: { narrow: { bucket: tool, weight: weights.g } } }
        }
      })
      const model = new Map<string, Tokens>([
        ["global", new Tokens(global, 0)],
        ["query", new Tokens(query, 0)],
        ["total", new Tokens(total, 0)]
      ])
      const open: Array<() => void> = []
      let clock = 0
      let now = 0
      for (const { advance, client: name, cost, patience, refund, ...rest } of commands) {
        clock += advance
        now = Math.max(now, clock)
        if (refund !== null) open.splice(refund, 1)[0]?.()
        const tier = name === "g" ? "gold" : "default"
        if (!model.has(name)) {
          model.set(name, new Tokens(tier === "gold" ? gold : client, now))
          model.set(`${name} narrow`, new Tokens(tool, 0))
        }
        const times =
          rest.tool === "heavy" && tier === "default"
            ? weights.a
            : rest.tool === "narrow" && tier === "gold"
              ? weights.g
              : 1
        const met = [
          "global",
          name,
          ...(rest.class === "query" ? ["query"] : []),
          ...(rest.tool === "narrow" ? [`${name} narrow`] : []),
          ...(tier === "gold" ? ["total"] : [])
        ].flatMap((scope) => {
          const tokens = model.get(scope)
          return tokens === undefined ? [] : [{ tokens, taken: scope === name ? cost * times : cost }]
        })
        const wait = Math.max(...met.map(({ taken, tokens }) => tokens.wait(now, taken)))
        const call = { cost, tier, class: rest.class, tool: rest.tool }
        const before = bench.status(clock, name, tier)
        const decision = bench.decide(clock, name, call, patience)
        if (wait <= patience) {
          assert.deepStrictEqual(decision, {
            _tag: "Admitted",
            waitMs: Math.max(0, wait),
            clientScope: "client"
          })
          for (const { taken, tokens } of met) tokens.add(now, -taken)
          open.push(() => {
            for (const { taken, tokens } of met) tokens.add(now, taken)
            bench.refund(clock, name, "client", call)
          })
          continue
        }
        assert.deepStrictEqual(bench.status(clock, name, tier), before, "a refusal charges nothing")
        assert.ok(decision._tag === "Refused")
        if (wait === Infinity) {
          assert.isTrue(decision.never)
          assert.isAbove(Math.max(cost, cost * times), decision.binding.burst)
          assert.strictEqual(bench.peek(clock + 1e9, name, call)._tag, "Refused")
          continue
        }
        assert.isFalse(decision.never)
        assert.strictEqual(decision.retryAfterMs, Math.ceil(wait - patience))
        const { scope } = decision.binding
        const own = {
          client: name,
          tool: `${name} narrow`,
          tier: "total",
          class: "query",
          global: "global",
          overflow: ""
        }
        const binding = model.get(own[scope])
        const taken = scope === "client" ? cost * times : cost
        assert.strictEqual(binding?.wait(now, taken), wait, "the binding scope is the one that waits longest")
        assert.strictEqual(
          decision.binding.remaining,
          Math.max(0, Math.floor((binding?.at(now) ?? 0) / 1000))
        )
        // The clock may be behind the latest time seen: the wait counts from the latter.
        const again = now + decision.retryAfterMs
        assert.strictEqual(bench.peek(again, name, call, patience)._tag, "Admitted")
        assert.strictEqual(bench.peek(again - 1, name, call, patience)._tag, "Refused")
      }
    },
    { fastCheck: { numRuns: shortOrLong(120, 600) } }
  )

  const everyScope = ["client", "tool", "tier", "class", "global"] as const

  it.prop(
    "refuses nothing that is observed, and counts exactly what enforcing would have refused",
    [limits, fc.array(command, { maxLength: 60 })],
    ([{ client, global, gold, query, tool, total, weight }, commands]) => {
      const both = ([[], everyScope] as const).map((observe) =>
        start({
          global,
          classes: { query },
          tiers: {
            default: {
              client,
              observe,
              tools: { heavy: { weight: Math.min(weight, client.burst) }, narrow: { bucket: tool } }
            },
            gold: { client: gold, total, observe, tools: { narrow: { bucket: tool } } }
          },
          reserved: 0.25
        })
      )
      const [enforced, observed] = [both[0]!, both[1]!]
      const open: Array<() => void> = []
      let clock = 0
      for (const { advance, client: name, cost, patience, refund, ...rest } of commands) {
        clock += advance
        if (refund !== null) open.splice(refund, 1)[0]?.()
        const call = { cost, tier: name === "g" ? "gold" : "default", class: rest.class, tool: rest.tool }
        const one = enforced.decide(clock, name, call, patience)
        const other = observed.decide(clock, name, call, patience)
        assert.ok(other._tag === "Admitted")
        assert.strictEqual(other.waitMs, 0, "an observed wait is not waited for")
        if (one._tag === "Refused") {
          const { _tag, ...refusal } = one
          assert.deepStrictEqual(other.wouldRefuse, refusal)
        } else assert.isUndefined(other.wouldRefuse)
        open.push(() => {
          if (one._tag === "Admitted") enforced.refund(clock, name, "client", call)
          observed.refund(clock, name, "client", call, () => other.observed?.charged === true)
        })
        assert.deepStrictEqual<ReadonlyArray<TokenBucket.Reading>>(
          observed.status(clock, name, call.tier).map(({ observed, ...one }): TokenBucket.Reading => {
            assert.isTrue(observed)
            return one
          }),
          enforced.status(clock, name, call.tier),
          "a would-be refusal charges nothing"
        )
      }
    },
    { fastCheck: { numRuns: shortOrLong(80, 400) } }
  )

  it.prop(
    "decides by the scopes that are enforced as if there were no others",
    [limits, fc.array(command, { maxLength: 60 }), fc.subarray([...everyScope], { minLength: 1 })],
    ([{ client, global, gold, query, tool, total }, commands, observe]) => {
      const free = { rate: 1e6, burst: 1e9 }
      const of = (seen: ReadonlyArray<BucketLimits.Scope>, loose: boolean) => {
        const as = (scope: BucketLimits.Scope, bucket: BucketLimits.Bucket) =>
          loose && observe.some((one) => one === scope) ? free : bucket
        return start({
          global: as("global", global),
          classes: { query: as("class", query) },
          tiers: {
            default: {
              client: as("client", client),
              observe: seen,
              tools: { narrow: { bucket: as("tool", tool) } }
            },
            gold: { client: as("client", gold), total: as("tier", total), observe: seen }
          }
        })
      }
      const [mixed, without] = [of(observe, false), of([], true)]
      let clock = 0
      for (const { advance, client: name, cost, patience, ...rest } of commands) {
        clock += Math.max(0, advance)
        const call = { cost, tier: name === "g" ? "gold" : "default", class: rest.class, tool: rest.tool }
        const one = mixed.decide(clock, name, call, patience)
        const other = without.decide(clock, name, call, patience)
        if (one._tag === "Refused") assert.deepStrictEqual(other, one)
        else {
          const { observed, wouldRefuse, ...admitted } = one
          assert.deepStrictEqual(other, admitted)
          assert.strictEqual(observed?.charged, wouldRefuse === undefined)
        }
      }
    },
    { fastCheck: { numRuns: shortOrLong(60, 300) } }
  )

  const anyBucket = fc.record({
    rate: fc.double({ min: 0.01, max: 5000, noNaN: true }),
    burst: fc.double({ min: 1, max: 40, noNaN: true })
  })
  // In 64ths of a millisecond, mostly close together: the caller tries again and again.
  const moments = fc.array(
    fc.record({
      gap: fc.oneof({ weight: 5, arbitrary: fc.nat(64 * 20) }, fc.nat(64 * 5000)),
      cost: fc.oneof({ weight: 3, arbitrary: fc.constant(1) }, fc.double({ min: 0, max: 6, noNaN: true })),
      refund: fc.option(fc.nat(10), { freq: 5 })
    }),
    { maxLength: 70 }
  )
  // A burst that is no whole number is rounded up to the grid of times.
  const step = 2 ** -16
  const assertWindows = (
    events: ReadonlyArray<readonly [at: number, cost: number]>,
    limit: BucketLimits.Bucket
  ) => {
    for (let from = 0; from < events.length; from++) {
      let sum = 0
      for (let to = from; to < events.length; to++) {
        sum += events[to]?.[1] ?? 0
        const window = (events[to]?.[0] ?? 0) - (events[from]?.[0] ?? 0)
        assert.isAtMost(sum, limit.burst + (limit.rate * (window + step)) / 1000 + 1e-9)
      }
    }
  }

  it("never reports more tokens than the burst, although a fractional burst is rounded up to the grid", () => {
    const limit = { rate: 0.01, burst: 39.99999999984742 }
    assert.strictEqual(start(only(limit)).status(0, "a")[0]?.remaining, 39)
  })

  it.prop(
    "admits at most burst + rate * w in any window w, less the refunds in it",
    [anyBucket, moments],
    ([limit, calls]) => {
      const bench = start(only(limit))
      const events: Array<readonly [number, number]> = []
      const open: Array<number> = []
      let at = 0
      for (const { cost, gap, refund } of calls) {
        at += gap / 64
        const given = refund === null ? undefined : open.splice(refund, 1)[0]
        if (given !== undefined) {
          bench.refund(at, "a", "client", { cost: given })
          events.push([at, -given])
        }
        if (bench.decide(at, "a", { cost })._tag === "Admitted") {
          open.push(cost)
          events.push([at, cost])
        }
        const [own] = bench.status(at, "a")
        assert.isAtMost(own?.remaining ?? Infinity, limit.burst)
      }
      assertWindows(events, limit)
    },
    { fastCheck: { numRuns: shortOrLong(60, 300) } }
  )

  it.prop(
    "makes at most burst + rate * w reserved tokens due in any window w",
    [anyBucket, moments, fc.integer({ min: 1, max: 3000 })],
    ([limit, calls, patience]) => {
      const bench = start(only(limit))
      const due: Array<readonly [number, number]> = []
      let at = 0
      for (const { cost, gap } of calls) {
        at += gap / 64
        const decision = bench.decide(at, "a", { cost }, patience)
        if (decision._tag === "Refused") continue
        assert.isAtMost(decision.waitMs, patience)
        due.push([at + decision.waitMs, cost])
      }
      assertWindows(due, limit)
    },
    { fastCheck: { numRuns: shortOrLong(60, 300) } }
  )

  it.prop(
    "admits at most burst + rate * w calls of a tool in any window w, and of its weight from the client's bucket",
    [anyBucket, anyBucket, moments, fc.double({ min: 0, max: 1, noNaN: true })],
    ([client, tool, calls, part]) => {
      const weight = part * client.burst
      const bench = start(
        only(client, { tiers: { default: { client, tools: { t: { bucket: tool, weight } } } } })
      )
      const events: Array<readonly [number, number]> = []
      const own: Array<readonly [number, number]> = []
      let at = 0
      for (const { cost, gap, refund } of calls) {
        at += gap / 64
        const call = { cost, tool: refund === null ? "t" : "other" }
        if (bench.decide(at, "a", call)._tag === "Refused") continue
        own.push([at, call.tool === "t" ? cost * weight : cost])
        if (call.tool === "t") events.push([at, cost])
      }
      assertWindows(events, tool)
      assertWindows(own, client)
    },
    { fastCheck: { numRuns: shortOrLong(60, 300) } }
  )

  it("keeps what a client owes for a tool while the table of clients is full, and shares one bucket beyond it", () => {
    const slow = { rate: 0.001, burst: 1 }
    const bench = start(
      only(
        { rate: 1000, burst: 10 },
        {
          maxClients: 4,
          tiers: { default: { client: { rate: 1000, burst: 10 }, tools: { t: { bucket: slow } } } }
        }
      )
    )
    for (let i = 0; i < 50; i++) bench.decide(i * 100, `idle${i}`, { tool: "other" })
    assert.strictEqual(bench.decide(6000, "a", { tool: "t" })._tag, "Admitted")
    for (let i = 0; i < 50; i++) bench.decide(6100 + i * 100, `later${i}`, { tool: "other" })
    const again = bench.decide(20_000, "a", { tool: "t" })
    assert.ok(again._tag === "Refused" && again.binding.scope === "tool" && again.binding.name === "t")
    assert.strictEqual(again.retryAfterMs, 6000 + 1_000_000 - 20_000)
    // The table is full of clients that owe for the tool: the others are one.
    for (const name of ["b", "c", "d"]) bench.decide(20_000, name, { tool: "t" })
    assert.strictEqual(bench.decide(20_000, "e", { tool: "t" })._tag, "Admitted")
    const other = bench.decide(20_000, "f", { tool: "t" })
    assert.ok(other._tag === "Refused" && other.binding.scope === "tool")
  })

  it("names the tool that refuses, and says what its calls weigh", () => {
    const bench = start(
      only(
        { rate: 1, burst: 10 },
        {
          tiers: {
            default: {
              client: { rate: 1, burst: 10 },
              tools: { heavy: { weight: 4 }, narrow: { bucket: { rate: 0.5, burst: 1 } } }
            }
          }
        }
      )
    )
    bench.decide(0, "a", { tool: "heavy" })
    bench.decide(0, "a", { tool: "narrow" })
    const [own, narrow] = bench.status(0, "a")
    assert.strictEqual(own?.remaining, 5)
    assert.deepStrictEqual(own?.weights, { heavy: 4 })
    assert.deepInclude(narrow, { scope: "tool", name: "narrow", remaining: 0, burst: 1, resetMs: 2000 })
    const refused = bench.decide(0, "a", { tool: "narrow" })
    assert.ok(refused._tag === "Refused")
    assert.deepInclude(refused.binding, { scope: "tool", name: "narrow" })
    assert.strictEqual(refused.retryAfterMs, 2000)
    assert.strictEqual(bench.status(0, "a")[0]?.remaining, 5)
    assert.strictEqual(bench.decide(0, "a", { tool: "other" })._tag, "Admitted")
  })

  it("delivers the configured rate, also where its interval is no whole number of milliseconds", () => {
    for (const rate of [3, 1500, 3000, 4999]) {
      const bench = start(only({ rate, burst: 1 }))
      let admitted = 0
      for (let at = 0; at < 10_000; at += 0.125) if (bench.decide(at, "a")._tag === "Admitted") admitted += 1
      // A probe every 1/8 ms finds a token at most that late.
      assert.isAtMost(admitted, rate * 10 + 1)
      assert.isAtLeast(admitted, Math.floor((10_000 / (Math.ceil(8000 / rate) / 8)) * 0.999))
    }
  })

  it("keeps the longest of the waits and names its scope", () => {
    const bench = start({
      global: { rate: 1, burst: 1 },
      classes: { query: { rate: 0.5, burst: 1 } },
      tiers: { default: { client: { rate: 10, burst: 1 } } }
    })
    assert.strictEqual(bench.decide(0, "a")._tag, "Admitted")
    const refused = bench.decide(0, "a")
    assert.ok(refused._tag === "Refused")
    assert.strictEqual(refused.binding.scope, "class")
    assert.strictEqual(refused.binding.name, "query")
    assert.strictEqual(refused.retryAfterMs, 2000)
    const metadata = bench.decide(0, "b", { class: "metadata" })
    assert.ok(metadata._tag === "Refused" && metadata.binding.scope === "global")
    assert.strictEqual(metadata.retryAfterMs, 1000)
  })

  it("takes an earlier time for the latest one seen, and adds no tokens for it", () => {
    const bench = start(only({ rate: 1, burst: 1 }))
    assert.strictEqual(bench.decide(10_000, "a")._tag, "Admitted")
    const back = bench.decide(-50_000, "a")
    assert.ok(back._tag === "Refused")
    assert.strictEqual(back.retryAfterMs, 1000)
    assert.strictEqual(bench.decide(10_999, "a")._tag, "Refused")
    assert.strictEqual(bench.decide(11_000, "a")._tag, "Admitted")
  })

  it("fills the bucket of a new client from its first call on, also when that was refused", () => {
    const bench = start(only({ rate: 1, burst: 10, initial: 0 }))
    const first = bench.decide(500, "a")
    assert.ok(first._tag === "Refused")
    assert.strictEqual(first.retryAfterMs, 1000)
    assert.strictEqual(bench.decide(1499, "a")._tag, "Refused")
    assert.strictEqual(bench.decide(1500, "a")._tag, "Admitted")
  })

  it("refuses an unknown tier nothing that `default` has, and names like those of Object's prototype either", () => {
    const bench = start(only({ rate: 1, burst: 2 }))
    for (const tier of ["unknown", "constructor", "__proto__"])
      assert.strictEqual(bench.decide(0, tier, { tier, class: tier })._tag, "Admitted")
    assert.strictEqual(bench.status(0, "constructor", "constructor")[0]?.remaining, 1)
  })

  it.prop(
    "keeps a client's debt when its tier changes",
    [
      fc.record({ from: fc.constantFrom(1, 2, 4, 8), to: fc.constantFrom(1, 2, 4, 8) }),
      fc.integer({ min: 1, max: 10 }),
      fc.integer({ min: 1, max: 10 }),
      fc.integer({ min: 1, max: 10 })
    ],
    ([{ from, to }, burst, newBurst, spent]) => {
      const cost = Math.min(spent, burst)
      const bench = start(
        only(
          { rate: from, burst },
          {
            tiers: {
              default: { client: { rate: from, burst } },
              other: { client: { rate: to, burst: newBurst } }
            }
          }
        )
      )
      bench.decide(0, "a", { cost })
      const [own] = bench.status(0, "a", "other")
      assert.strictEqual(own?.resetMs, (cost * 1000) / from)
      const left = newBurst - (cost / from) * to
      assert.strictEqual(own?.remaining, Math.max(0, Math.floor(left)))
      const next = bench.peek(0, "a", { tier: "other" })
      if (left >= 1) assert.strictEqual(next._tag, "Admitted")
      else
        assert.strictEqual(next._tag === "Refused" && next.retryAfterMs, Math.ceil(((1 - left) * 1000) / to))
      // There and back again changes nothing.
      assert.strictEqual(bench.status(0, "a")[0]?.remaining, burst - cost)
    },
    { fastCheck: { numRuns: shortOrLong(50, 200) } }
  )

  it("adds no tokens for a negative cost", () => {
    const bench = start(only({ rate: 1, burst: 1 }))
    for (const cost of [-1, NaN, Infinity]) assert.throws(() => bench.decide(0, "a", { cost }), RangeError)
  })

  it("names every problem of the limits, and accepts valid ones", () => {
    const bad = BucketLimits.problems({
      global: { rate: 0, burst: 10 },
      classes: { query: { rate: Infinity, burst: 0.5 } },
      tiers: {
        gold: {
          client: { rate: 1, burst: 5, initial: 6 },
          total: { rate: NaN, burst: 1 },
          tools: { t: { bucket: { rate: 0, burst: 1 }, weight: 6 } }
        }
      },
      maxClients: 0
    })
    assert.deepStrictEqual(bad, [
      "global.rate must be a positive number, not 0",
      "classes.query.rate must be a positive number, not Infinity",
      "classes.query.burst must be at least 1, not 0.5",
      "tiers.gold.client.initial must be between 0 and burst (5), not 6",
      "tiers.gold.total.rate must be a positive number, not NaN",
      "tiers.gold.tools.t.bucket.rate must be a positive number, not 0",
      "tiers.gold.tools.t.weight must be between 0 and the burst of a client (5), not 6",
      "tiers must hold a tier named default",
      "maxClients must be a whole number of at least 1, not 0"
    ])
    assert.deepStrictEqual(BucketLimits.problems(only({ rate: 0.1, burst: 1, initial: 0 })), [])
  })
})
