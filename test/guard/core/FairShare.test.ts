import { assert, describe, it } from "@effect/vitest"
import * as fc from "effect/FastCheck"
import * as BucketLimits from "../../../src/guard/core/BucketLimits.js"
import * as FairShare from "../../../src/guard/core/FairShare.js"
import * as TokenBucket from "../../../src/guard/core/TokenBucket.js"
import { copyOf } from "./buckets.js"
import { shortOrLong } from "../../utils/long.js"

const limits: BucketLimits.Limits = {
  global: { rate: 100, burst: 200 },
  classes: { query: { rate: 20, burst: 50 } },
  tiers: { default: { client: { rate: 10, burst: 100, initial: 50 } } },
  reserved: 0.25
}

const query = (client: string) => ({ client, tier: "default", class: "query" })

/** One client that asks every millisecond and nine that ask 1.5 times a second: the admissions of each in 30 s. */
const contest = (reserved: number, patience = 0) => {
  const config = BucketLimits.compile({ ...limits, reserved })
  let state = TokenBucket.initial(config, 0)
  const served = new Map<string, number>()
  let refused = 0
  let waited = 0
  const ask = (client: string, now: number) => {
    const [decision, next] = TokenBucket.decide(state, now, config, query(client), patience)
    state = next
    if (decision._tag === "Admitted" && client !== "abuser") waited = Math.max(waited, decision.waitMs)
    if (decision._tag === "Admitted") served.set(client, (served.get(client) ?? 0) + 1)
    else if (client !== "abuser") refused += 1
  }
  const everyMs = 666
  // After the first seconds, in which the initial tokens are used up.
  for (let now = 0; now < 40_000; now++) {
    if (now === 10_000) {
      served.clear()
      refused = 0
      waited = 0
    }
    for (let turn = 0; turn < 2; turn++) ask("abuser", now)
    for (let i = 0; i < 9; i++) if ((now + i * 71) % everyMs === 0) ask(`good${i}`, now)
  }
  return { served, refused, waited, ofAll: [...served.values()].reduce((sum, n) => sum + n, 0) }
}

const request = fc.record({
  advance: fc.integer({ min: 0, max: 400 }),
  client: fc.constantFrom("a", "b", "c"),
  cost: fc.constantFrom(1, 1, 1, 2),
  patience: fc.constantFrom(0, 0, 120)
})

const step = fc.record({
  advance: fc.constantFrom(0, 1, 5, 100, 256, 700, 3_000, 20_000),
  price: fc.constantFrom(0, 50, 100, 1_000),
  refund: fc.boolean(),
  row: fc.nat(4)
})

describe("a share of a bucket", () => {
  it("is left for clients below it, however fast another client asks", () => {
    const fair = contest(0.25)
    const race = contest(0)
    assert.isAbove(race.refused, 40, "without a reserve no client would be refused: the test shows nothing")
    assert.strictEqual(fair.refused, 0)
    // What the others leave is still served: 20 a second.
    assert.isAtLeast(fair.ofAll, 590)
    assert.isAtMost(fair.ofAll, 20 * 30 + 50)
  })

  it("is not delayed by reservations of patient clients", () => {
    assert.isAbove(contest(0, 2_000).waited, 1_000)
    assert.strictEqual(contest(0.25, 2_000).waited, 0)
  })

  it("does not bind a client that is alone: it has the whole burst", () => {
    const config = BucketLimits.compile({
      ...limits,
      tiers: { default: { client: { rate: 1e3, burst: 1e3 } } }
    })
    let state = TokenBucket.initial(config, 0)
    for (let i = 0; i < 50; i++) {
      const [decision, next] = TokenBucket.decide(state, 0, config, query("alone"))
      assert.strictEqual(decision._tag, "Admitted")
      state = next
    }
  })

  it("the wait of a client that is behind is exact, and no scope admits more than it may", () => {
    fc.assert(
      fc.property(fc.array(request, { minLength: 5, maxLength: 60 }), (requests) => {
        const config = BucketLimits.compile({
          global: { rate: 8, burst: 12 },
          classes: { query: { rate: 3, burst: 5 } },
          tiers: { default: { client: { rate: 4, burst: 8 } } },
          reserved: 0.4
        })
        let state = TokenBucket.initial(config, 0)
        let now = 0
        const due: Array<{ readonly at: number; readonly cost: number }> = []
        for (const { advance, client, cost, patience } of requests) {
          now += advance
          const asked = { ...query(client), cost }
          const [decision, next] = TokenBucket.decide(state, now, config, asked, patience)
          state = next
          if (decision._tag === "Admitted") {
            due.push({ at: now + decision.waitMs, cost })
            continue
          }
          const at = (ms: number) =>
            TokenBucket.decide(copyOf(state), now + ms, config, asked, patience)[0]._tag
          assert.isAbove(decision.retryAfterMs, 0)
          assert.strictEqual(at(decision.retryAfterMs), "Admitted")
          assert.strictEqual(at(decision.retryAfterMs - 1), "Refused")
        }
        for (const { at: from } of due) {
          for (const { at: to } of due) {
            if (to < from) continue
            const admitted = due.filter(({ at }) => at >= from && at <= to)
            const cost = admitted.reduce((sum, call) => sum + call.cost, 0)
            assert.isAtMost(cost, 5 + (3 * (to - from)) / 1000 + 1e-6)
          }
        }
      }),
      { numRuns: shortOrLong(50, 150) }
    )
  })

  it("is not delayed by reservations of a client that would wait longer than its debt can last", () => {
    assert.strictEqual(contest(0.25, 30_000).waited, 0)
  })

  it.prop(
    "counts clients that asked within a second or have debt, to the tick, and charges n times the price",
    [fc.array(step, { maxLength: 80 })],
    ([steps]) => {
      const shares = FairShare.make()
      const model = new Map<number, { paidAt: number; leavesAt: number }>()
      let now = 0
      for (const { advance, price, refund, row } of steps) {
        now += advance
        const here = () => [...model.values()].filter(({ leavesAt }) => leavesAt > now).length
        const own = model.get(row) ?? { paidAt: 0, leavesAt: 0 }
        model.set(row, own)
        if (refund) {
          FairShare.giveBack(shares, now, row, price)
          if (own.paidAt > now) own.paidAt -= price * here()
        } else {
          FairShare.note(shares, now, row, price)
          own.leavesAt = Infinity
          if (here() > 1 && price > 0)
            own.paidAt = Math.min(now + 10_000, Math.max(now, own.paidAt) + price * here())
          own.leavesAt = Math.ceil(Math.max(now + 1_000, own.paidAt) / 256) * 256
          assert.strictEqual(shares.present, here())
        }
        for (const [each, { leavesAt, paidAt }] of model) {
          assert.strictEqual(FairShare.behindMs(shares, now, each), Math.max(0, paidAt - 5_000 - now))
          assert.strictEqual(FairShare.idle(shares, now, each), leavesAt <= now)
        }
      }
    },
    { fastCheck: { numRuns: shortOrLong(50, 150) } }
  )

  it("is one share for all clients without room in the table", () => {
    const config = BucketLimits.compile({
      ...limits,
      global: { rate: 1e3, burst: 1e3 },
      tiers: { default: { client: { rate: 1e3, burst: 1e3 } } },
      maxClients: 2
    })
    let state = TokenBucket.initial(config, 0)
    const served = { known: 0, strangers: 0 }
    const ask = (client: string, now: number): number => {
      const [decision, next] = TokenBucket.decide(state, now, config, query(client))
      state = next
      return decision._tag === "Admitted" ? 1 : 0
    }
    for (const client of ["known", "other"]) ask(client, 0)
    for (let now = 1; now < 30_000; now++) {
      // Two clients fill the table, one of them asks little; every other call has a new name.
      if (now % 250 === 0) served.known += ask("known", now)
      if (now % 20 === 0) ask("other", now)
      served.strangers += ask(`stranger${now}`, now)
    }
    assert.strictEqual(served.known, 119)
    assert.isAbove(served.strangers, 100)
  })
})
