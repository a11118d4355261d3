import { describe, expect, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import type { Charge, Usage } from "../../src/core/QuotaModel.js"
import * as QuotaShare from "../../src/core/QuotaShare.js"
import type { Share } from "../../src/core/QuotaShareModel.js"
import * as Model from "../../src/core/QuotaShareModel.js"
import * as Sync from "../../src/core/QuotaShareSync.js"

const HOUR = 3_600_000
const START = 100 * HOUR
const QUOTA = "requests_per_hour"
type Q = typeof QUOTA

const charge = (amount: number, limit: number, overrides: Partial<Charge<Q>> = {}): Charge<Q> => ({
  key: "a",
  quota: QUOTA,
  limit,
  amount,
  ...overrides
})
const word = (used: number, overrides: Partial<Usage<Q>> = {}): Usage<Q> => ({
  key: "a",
  quota: QUOTA,
  used,
  reserved: 0,
  resetAt: START + HOUR,
  ...overrides
})
const shareThatKnows = (used: number, id = "s"): Share<Q> => {
  const share = Model.make<Q>({ prefix: `${id}-` })
  Model.learn(share, START, word(used))
  return share
}
const admit = (share: Share<Q>, now: number, amount: number, limit: number): string | undefined => {
  const outcome = QuotaShare.reserve(share, now, [charge(amount, limit)], 60_000)
  return outcome._tag === "Granted" ? outcome.reservation : undefined
}

const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ _tag: fc.constant("reserve" as const), who: fc.nat(4), amount: fc.nat(7) })
  },
  {
    weight: 3,
    arbitrary: fc.record({ _tag: fc.constant("settle" as const), who: fc.nat(4), less: fc.nat(3) })
  },
  fc.record({ _tag: fc.constant("release" as const), who: fc.nat(4) }),
  { weight: 2, arbitrary: fc.record({ _tag: fc.constant("again" as const), who: fc.nat(4) }) },
  fc.record({ _tag: fc.constant("tick" as const), ms: fc.nat(90_000) })
)

describe("the shares of replicas that are cut off", () => {
  it("admit together no more than was left, in one outage or in many", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 60 }),
        fc.nat(70),
        fc.array(step, { maxLength: 60 }),
        (replicas, limit, taken, steps) => {
          const shares = Array.from({ length: replicas }, (_, i) => {
            const share = shareThatKnows(taken, `r${i}`)
            QuotaShare.enter(share, START + 1, replicas)
            return { share, open: new Map<string, number>(), owed: 0 }
          })
          let now = START + 1
          let admitted = 0
          for (const each of steps) {
            if (each._tag === "tick") {
              now = Math.min(START + HOUR - 1, now + each.ms)
              continue
            }
            const replica = shares[each.who % replicas]!
            const [id, amount] = [...replica.open][0] ?? ["", 0]
            switch (each._tag) {
              case "reserve": {
                const granted = admit(replica.share, now, each.amount, limit)
                if (granted === undefined) break
                QuotaShare.submitted(replica.share, now, granted)
                replica.open.set(granted, each.amount)
                admitted += each.amount
                break
              }
              case "settle": {
                const truth = Math.max(0, amount - each.less)
                const more = QuotaShare.finishLocal(replica.share, now, id, [
                  { key: "a", quota: QUOTA, amount: truth }
                ])
                expect(more).toEqual([])
                if (replica.open.delete(id)) admitted -= amount - truth
                break
              }
              case "release":
                QuotaShare.finishLocal(replica.share, now, id, undefined)
                if (replica.open.delete(id)) admitted -= amount
                break
              case "again":
                // It came back, was told, and was lost again before it said anything of this key.
                for (const { actual } of Sync.harvest(replica.share, now, true)) {
                  for (const told of actual) replica.owed += told.amount
                }
                QuotaShare.enter(replica.share, now, replicas)
            }
            // What was harvested with calls unfinished stays charged in full: `admitted` may only be less.
            expect(taken + admitted).toBeLessThanOrEqual(Math.max(limit, taken))
          }
          const owed = shares.reduce((sum, { owed, share }) => {
            const rest = Sync.harvest(share, now, true).flatMap(({ actual }) => actual)
            return rest.reduce((all, { amount }) => all + amount, sum + owed)
          }, 0)
          expect(owed).toBeGreaterThanOrEqual(admitted)
          expect(taken + owed).toBeLessThanOrEqual(Math.max(limit, taken))
        }
      ),
      { numRuns: 300 }
    )
  })

  it("are used to the last unit by one replica alone", () => {
    const share = shareThatKnows(40)
    QuotaShare.enter(share, START, 1)
    expect(Array.from({ length: 70 }, () => admit(share, START, 1, 100)).filter(Boolean)).toHaveLength(60)
    expect(QuotaShare.reserve(share, START, [charge(1, 100)], 1)).toMatchObject({
      _tag: "Closed",
      known: true
    })
  })

  it("are not renewed by an outage that ends before the store has said anything", () => {
    const share = shareThatKnows(0)
    let admitted = 0
    for (let outage = 0; outage < 5; outage++) {
      QuotaShare.enter(share, START, 2)
      while (admit(share, START, 1, 10) !== undefined) admitted += 1
      Sync.harvest(share, START, true)
    }
    expect(admitted).toBe(5)
  })

  it("show as remaining what remains here", () => {
    const share = shareThatKnows(40)
    QuotaShare.enter(share, START, 3)
    expect(QuotaShare.reserve(share, START, [charge(5, 100)], 60_000)).toMatchObject({
      _tag: "Granted",
      usage: [{ limit: 100, used: 80, reserved: 5, resetAt: START + HOUR }]
    })
    expect(QuotaShare.check(share, START, [charge(16, 100)])).toMatchObject({ _tag: "Closed" })
    expect(QuotaShare.check(share, START, [charge(15, 100)])).toMatchObject({ _tag: "Granted" })
  })

  it("charge all or nothing, and say so truly when a quota was used up before", () => {
    const share = shareThatKnows(0)
    Model.learn(share, START, word(10, { key: "b" }))
    QuotaShare.enter(share, START, 1)
    expect(QuotaShare.reserve(share, START, [charge(1, 10), charge(1, 10, { key: "b" })], 1)).toMatchObject({
      _tag: "Refused",
      key: "b",
      used: 10,
      resetAt: START + HOUR
    })
    expect(QuotaShare.reserve(share, START, [charge(1, 10), charge(1, 10, { key: "c" })], 1)).toMatchObject({
      _tag: "Closed",
      key: "c",
      known: false
    })
    expect(Sync.harvest(share, START, true)).toEqual([])
  })
})

describe("what nobody has heard of", () => {
  it("is admitted only in a window that began after the store was lost", () => {
    const share = shareThatKnows(0)
    const lost = START + HOUR + 600_000
    QuotaShare.enter(share, lost, 2)
    // Known once, but of the hour before.
    expect(QuotaShare.reserve(share, lost, [charge(1, 10)], 1)).toMatchObject({
      _tag: "Closed",
      known: false
    })
    const other = charge(1, 10, { key: "new" })
    expect(QuotaShare.reserve(share, START + 2 * HOUR - 1, [other], 1)).toMatchObject({ known: false })
    for (const key of ["a", "new"]) {
      const granted = Array.from({ length: 10 }, () =>
        QuotaShare.reserve(share, START + 2 * HOUR, [charge(1, 10, { key })], 60_000)
      )
      expect(granted.filter(({ _tag }) => _tag === "Granted")).toHaveLength(5)
    }
  })

  it("is not kept beyond the bound while shares are spent", () => {
    const share = Model.make<Q>({ prefix: "s-", maxKeys: 2 })
    for (const key of ["a", "b", "c"]) Model.learn(share, START, word(0, { key }))
    expect([...share.keys.keys()]).toEqual(["b", "c"])
    QuotaShare.enter(share, START, 1)
    const outcome = QuotaShare.reserve(share, START + HOUR, [charge(1, 10, { key: "d" })], 1)
    expect(outcome).toMatchObject({ _tag: "Closed", known: false })
    expect([...share.keys.keys()]).toEqual(["b", "c"])
  })
})

describe("what was asked and never answered", () => {
  it("counts as spent, until the store is heard of again", () => {
    const share = shareThatKnows(0)
    Model.doubtful(share, START, [charge(4, 10)])
    QuotaShare.enter(share, START, 1)
    expect(admit(share, START, 7, 10)).toBeUndefined()
    expect(admit(share, START, 6, 10)).toBeDefined()
    Sync.harvest(share, START, true)
    Sync.delivered(share, START, "a", [{ key: "a", quota: QUOTA, amount: 6 }], true, [word(6)])
    QuotaShare.enter(share, START, 1)
    expect(admit(share, START, 4, 10)).toBeDefined()
  })
})

describe("reservations over the end of an outage", () => {
  it("are charged with what they hold, and add what they use beyond", () => {
    const share = shareThatKnows(0)
    QuotaShare.enter(share, START, 1)
    const ids = [2, 3, 4].map((amount) => admit(share, START, amount, 100)!)
    expect(Sync.harvest(share, START, true)).toEqual([
      { key: "a", actual: [{ key: "a", quota: QUOTA, amount: 9, until: START + HOUR }] }
    ])
    const truth = (amount: number) => [{ key: "a", quota: QUOTA, amount } as const]
    expect(QuotaShare.finishLocal(share, START, ids[0]!, truth(7))).toMatchObject([{ amount: 5 }])
    expect(QuotaShare.finishLocal(share, START, ids[0]!, truth(7))).toEqual([])
    expect(QuotaShare.finishLocal(share, START, ids[1]!, truth(1))).toEqual([])
    expect(QuotaShare.finishLocal(share, START + HOUR, ids[2]!, truth(9))).toEqual([])
    expect(Sync.harvest(share, START, true)).toEqual([])
  })

  it("of the store keep their estimates where the truth names nothing", () => {
    const share = shareThatKnows(0)
    Model.granted(share, START, "id", [charge(2, 10), charge(3, 10, { key: "b" })], [word(0)])
    expect(Model.finished(share, START, "id", [{ key: "b", quota: QUOTA, amount: 1 }])).toEqual([
      { key: "a", quota: QUOTA, amount: 2 },
      { key: "b", quota: QUOTA, amount: 1 }
    ])
    expect(Model.finished(share, START, "id", [])).toBeUndefined()
  })
})

describe("a store that has lost what was used", () => {
  it("is charged again by each replica with its own part, and no more than is missing", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(50), { minLength: 1, maxLength: 5 }), fc.nat(60), (parts, kept) => {
        let stored = 0
        const shares = parts.map((part, i) => {
          const share = Model.make<Q>({ prefix: `r${i}-` })
          Model.granted(share, START, "id", [charge(part, 1000)], [word(stored, { reserved: part })])
          Model.finished(share, START, "id", [])
          stored += part
          return share
        })
        // All of them have heard of it last.
        for (const share of shares) Model.learn(share, START, word(stored))
        const before = stored
        stored = Math.min(kept, stored)
        for (const share of shares) {
          const usage = stored === 0 ? [] : [word(stored)]
          for (const { amount } of Sync.missing(share, START + 1, "a", usage)) stored += amount
        }
        expect(stored).toBe(before)
      }),
      { numRuns: 200 }
    )
  })

  it("owes nothing for a window that is over, nor where windows roll", () => {
    const share = shareThatKnows(0)
    Model.granted(share, START, "id", [charge(5, 10)], [word(0, { reserved: 5 })])
    Model.finished(share, START, "id", [])
    expect(Sync.ownKeys(share, START)).toEqual(["a"])
    expect(Sync.missing(share, START, "a", [])).toMatchObject([{ amount: 5 }])
    expect(Sync.missing(share, START, "a", [word(0, { resetAt: START + 2 * HOUR })])).toEqual([])
    expect(Sync.missing(share, START + HOUR, "a", [])).toEqual([])
    expect(Sync.ownKeys(share, START + HOUR)).toEqual([])
  })

  it("owes nothing after a reset", () => {
    const share = shareThatKnows(0)
    Model.granted(share, START, "id", [charge(5, 10)], [word(0, { reserved: 5 })])
    Model.finished(share, START, "id", [])
    QuotaShare.reset(share, "a", undefined)
    expect(Sync.missing(share, START, "a", [])).toEqual([])
  })
})
