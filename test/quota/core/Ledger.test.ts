import { describe, expect, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import * as Ledger from "../../../src/quota/core/Ledger.js"
import type { Actual, Charge, Decision } from "../../../src/quota/core/Ledger.js"
import * as Window from "../../../src/quota/core/Window.js"
import { shortOrLong } from "../../utils/long.js"

const HOUR = 3_600_000
const DAY = 24 * HOUR
const NOON = Date.UTC(2026, 0, 15, 12, 30)

const charge = (amount: number, overrides: Partial<Charge> = {}): Charge => ({
  key: "client:a",
  quota: "requests_per_hour",
  limit: 10,
  amount,
  ...overrides
})

const id = (decision: Decision): string => {
  if (decision._tag === "Refused") throw new Error("refused")
  return decision.reservation
}

describe("windows", () => {
  it("are the UTC hour and the UTC day", () => {
    const resetOf = (quota: string, now: number) => {
      const window = Window.windowOf(quota, "fixed")
      return Window.sliceEnd(window, Window.sliceAt(window, now))
    }
    expect(resetOf("requests_per_hour", NOON)).toBe(Date.UTC(2026, 0, 15, 13))
    expect(resetOf("requests_per_hour", Date.UTC(2026, 0, 15, 13))).toBe(Date.UTC(2026, 0, 15, 14))
    expect(resetOf("requests_per_hour", Date.UTC(2026, 0, 15, 13) - 1)).toBe(Date.UTC(2026, 0, 15, 13))
    expect(resetOf("bytes_per_day", NOON)).toBe(Date.UTC(2026, 0, 16))
    expect(resetOf("bytes_per_day", Date.UTC(2024, 1, 29, 23, 59))).toBe(Date.UTC(2024, 2, 1))
  })
})

describe("reserve", () => {
  it("admits exactly the limit, and names what is used when it refuses", () => {
    const ledger = Ledger.make("t-")
    for (let i = 0; i < 10; i++) {
      expect(Ledger.reserve(ledger, NOON, [charge(1)], 1000)._tag).toBe("Granted")
    }
    expect(Ledger.reserve(ledger, NOON, [charge(1)], 1000)).toEqual({
      _tag: "Refused",
      key: "client:a",
      quota: "requests_per_hour",
      limit: 10,
      used: 0,
      reserved: 10,
      resetAt: Date.UTC(2026, 0, 15, 13)
    })
  })

  it("charges nothing when one quota of several refuses", () => {
    const ledger = Ledger.make("t-")
    const decision = Ledger.reserve(
      ledger,
      NOON,
      [charge(1), charge(1, { key: "global", limit: 5 }), charge(11, { quota: "bytes_per_day" })],
      1000
    )
    expect(decision).toMatchObject({ _tag: "Refused", quota: "bytes_per_day" })
    expect(Ledger.list(ledger, NOON, undefined, 10).usage).toEqual([])
  })

  it("names the quota that takes longest to clear", () => {
    const ledger = Ledger.make("t-")
    const both = [charge(10), charge(10, { quota: "requests_per_day" })]
    Ledger.settle(ledger, NOON, id(Ledger.reserve(ledger, NOON, both, 1000)), [])
    expect(
      Ledger.reserve(ledger, NOON, [charge(1), charge(1, { quota: "requests_per_day" })], 1000)
    ).toMatchObject({ _tag: "Refused", quota: "requests_per_day", resetAt: Date.UTC(2026, 0, 16) })
  })

  it("admits a post-paid call while anything is left, even for more than that", () => {
    const ledger = Ledger.make("t-")
    const bytes = (amount: number) => [charge(amount, { quota: "bytes_per_day", limit: 100, postPaid: true })]
    const first = Ledger.reserve(ledger, NOON, bytes(99), 1000)
    expect(Ledger.reserve(ledger, NOON, bytes(5000), 1000)._tag).toBe("Granted")
    expect(Ledger.reserve(ledger, NOON, bytes(1), 1000)._tag).toBe("Refused")
    Ledger.settle(ledger, NOON, id(first), [])
    expect(Ledger.reserve(ledger, NOON, bytes(0), 1000)._tag).toBe("Refused")
  })

  it("asks with an amount of 0 whether anything is left", () => {
    const ledger = Ledger.make("t-")
    expect(Ledger.reserve(ledger, NOON, [charge(0)], 1000)._tag).toBe("Granted")
    Ledger.reserve(ledger, NOON, [charge(10)], 1000)
    expect(Ledger.reserve(ledger, NOON, [charge(0)], 1000)._tag).toBe("Refused")
  })

  it("counts what was used against a limit that has changed since", () => {
    const ledger = Ledger.make("t-")
    Ledger.reserve(ledger, NOON, [charge(8)], 1000)
    expect(Ledger.reserve(ledger, NOON, [charge(1, { limit: 8 })], 1000)._tag).toBe("Refused")
    expect(Ledger.reserve(ledger, NOON, [charge(1, { limit: 9 })], 1000)._tag).toBe("Granted")
  })

  it("does not change anything by checking", () => {
    const ledger = Ledger.make("t-")
    for (let i = 0; i < 30; i++) {
      expect(Ledger.check(ledger, NOON, [charge(10)])).toMatchObject({
        _tag: "Granted",
        reservation: ""
      })
    }
    expect(Ledger.usage(ledger, NOON, "client:a")).toEqual([])
  })

  it("refuses a charge that is not a number", () => {
    const ledger = Ledger.make("t-")
    expect(Ledger.reserve(ledger, NOON, [charge(Number.NaN)], 1000)._tag).toBe("Refused")
    expect(Ledger.reserve(ledger, NOON, [charge(-5)], 1000)._tag).toBe("Granted")
    expect(Ledger.reserve(ledger, NOON, [charge(11)], 1000)._tag).toBe("Refused")
  })
})

describe("settle, release and expiry", () => {
  const usedNow = (ledger: ReturnType<typeof Ledger.make>, now: number, key = "client:a") => {
    const usage = Ledger.usage(ledger, now, key)
    return { used: usage[0]?.used ?? 0, reserved: usage[0]?.reserved ?? 0 }
  }
  const amounts = (amount: number): ReadonlyArray<Actual> => [
    { key: "client:a", quota: "requests_per_hour", amount }
  ]

  it("replace the estimate by the actual amount, once", () => {
    const ledger = Ledger.make("t-")
    const reservation = id(Ledger.reserve(ledger, NOON, [charge(5)], 1000))
    expect(usedNow(ledger, NOON)).toEqual({ used: 0, reserved: 5 })
    Ledger.settle(ledger, NOON, reservation, amounts(3))
    Ledger.settle(ledger, NOON, reservation, amounts(9))
    Ledger.release(ledger, NOON, reservation)
    expect(usedNow(ledger, NOON)).toEqual({ used: 3, reserved: 0 })
  })

  it("charge nothing that was not reserved", () => {
    const ledger = Ledger.make("t-")
    const reservation = id(Ledger.reserve(ledger, NOON, [charge(5)], 1000))
    Ledger.settle(ledger, NOON, reservation, [{ key: "client:b", quota: "requests_per_hour", amount: 3 }])
    expect(usedNow(ledger, NOON)).toEqual({ used: 5, reserved: 0 })
    expect(usedNow(ledger, NOON, "client:b")).toEqual({ used: 0, reserved: 0 })
  })

  it("keep the estimate of what is not named, or named with no number", () => {
    for (const actual of [[], amounts(Number.NaN), amounts(-1)]) {
      const ledger = Ledger.make("t-")
      Ledger.settle(ledger, NOON, id(Ledger.reserve(ledger, NOON, [charge(5)], 1000)), actual)
      expect(usedNow(ledger, NOON)).toEqual({ used: 5, reserved: 0 })
    }
  })

  it("charge the window of the reservation: never the next one", () => {
    const ledger = Ledger.make("t-")
    const nextHour = Date.UTC(2026, 0, 15, 13)
    const reservation = id(Ledger.reserve(ledger, nextHour - 1, [charge(5)], HOUR))
    expect(usedNow(ledger, nextHour)).toEqual({ used: 0, reserved: 0 })
    Ledger.settle(ledger, nextHour, reservation, amounts(7))
    expect(usedNow(ledger, nextHour)).toEqual({ used: 0, reserved: 0 })
  })

  it("release an expired reservation of which nothing was submitted, at its exact time", () => {
    const ledger = Ledger.make("t-")
    Ledger.reserve(ledger, NOON, [charge(10)], 1000)
    expect(usedNow(ledger, NOON + 999)).toEqual({ used: 0, reserved: 10 })
    expect(usedNow(ledger, NOON + 1000)).toEqual({ used: 0, reserved: 0 })
  })

  it("charge an expired reservation that was submitted, as estimated", () => {
    const ledger = Ledger.make("t-")
    const reservation = id(Ledger.reserve(ledger, NOON, [charge(4)], 1000))
    Ledger.submitted(ledger, NOON, reservation)
    expect(usedNow(ledger, NOON + 1000)).toEqual({ used: 4, reserved: 0 })
  })

  it("accept a settlement after the expiry, whichever way it had gone", () => {
    for (const submitted of [true, false]) {
      for (const late of ["settle", "release"] as const) {
        const ledger = Ledger.make("t-")
        const reservation = id(Ledger.reserve(ledger, NOON, [charge(4)], 1000))
        if (submitted) Ledger.submitted(ledger, NOON, reservation)
        Ledger.usage(ledger, NOON + 5000, "client:a")
        if (late === "settle") Ledger.settle(ledger, NOON + 5000, reservation, amounts(6))
        else Ledger.release(ledger, NOON + 5000, reservation)
        Ledger.settle(ledger, NOON + 5000, reservation, amounts(9))
        expect(usedNow(ledger, NOON + 5000)).toEqual({ used: late === "settle" ? 6 : 0, reserved: 0 })
      }
    }
  })

  it("charge work that is sent after its reservation had expired", () => {
    const ledger = Ledger.make("t-")
    const reservation = id(Ledger.reserve(ledger, NOON, [charge(4)], 1000))
    Ledger.usage(ledger, NOON + 1000, "client:a")
    Ledger.submitted(ledger, NOON + 1001, reservation)
    Ledger.submitted(ledger, NOON + 1001, reservation)
    expect(usedNow(ledger, NOON + 1001)).toEqual({ used: 4, reserved: 0 })
  })

  it("charge the actual amounts of an unknown reservation, once", () => {
    const ledger = Ledger.make("t-")
    Ledger.settle(ledger, NOON, "of-another-process", amounts(3))
    Ledger.settle(ledger, NOON, "of-another-process", amounts(3))
    Ledger.release(ledger, NOON, "also-unknown")
    Ledger.settle(ledger, NOON, "also-unknown", amounts(3))
    expect(usedNow(ledger, NOON)).toEqual({ used: 3, reserved: 0 })
  })

  it("never leave a negative amount after a reset", () => {
    const ledger = Ledger.make("t-")
    const reservation = id(Ledger.reserve(ledger, NOON, [charge(4)], 1000))
    Ledger.submitted(ledger, NOON, reservation)
    Ledger.reset(ledger, NOON + 2000, "client:a")
    Ledger.release(ledger, NOON + 2000, reservation)
    expect(usedNow(ledger, NOON + 2000)).toEqual({ used: 0, reserved: 0 })
    expect(Ledger.reserve(ledger, NOON + 2000, [charge(11)], 1000)._tag).toBe("Refused")
  })
})

describe("time", () => {
  it("running backwards neither frees nor takes anything", () => {
    const ledger = Ledger.make("t-")
    const one = Date.UTC(2026, 0, 15, 13)
    Ledger.reserve(ledger, one, [charge(10)], DAY)
    // Back in the hour before, where nothing has been used: still the same window.
    expect(Ledger.reserve(ledger, one - 1, [charge(1)], DAY)).toMatchObject({
      _tag: "Refused",
      resetAt: one + HOUR
    })
    expect(Ledger.reserve(ledger, one + HOUR, [charge(1)], DAY)._tag).toBe("Granted")
  })

  it("running backwards does not book into a window that is over", () => {
    const ledger = Ledger.make("t-")
    const one = Date.UTC(2026, 0, 15, 13)
    Ledger.usage(ledger, one, "client:a")
    Ledger.reserve(ledger, one - 1, [charge(10)], DAY)
    expect(Ledger.usage(ledger, one, "client:a")).toMatchObject([{ reserved: 10, resetAt: one + HOUR }])
  })

  it("drops keys whose windows are over with the calls of others", () => {
    const ledger = Ledger.make("t-")
    for (let i = 0; i < 1000; i++) {
      Ledger.reserve(ledger, NOON, [charge(1, { key: `client:${i}` })], 1000)
    }
    expect(ledger.accounts.size).toBe(1000)
    for (let i = 0; i < 1000; i++) {
      Ledger.reserve(ledger, NOON + HOUR, [charge(0, { key: "client:live" })], 1000)
    }
    expect([...ledger.accounts.keys()]).toEqual(["client:live"])
    Ledger.usage(ledger, NOON + 2 * HOUR, "client:live")
    expect(ledger.open.size + ledger.expired.size).toBe(0)
  })

  it("stays small even when every call comes from a new client", () => {
    const ledger = Ledger.make("t-")
    let most = 0
    for (let i = 0; i < 60_000; i++) {
      const charges = [charge(1, { key: `client:${i}` }), charge(0, { key: "global", limit: 1e9 })]
      Ledger.reserve(ledger, NOON + i * 3600, charges, 1000)
      most = Math.max(most, ledger.accounts.size)
    }
    // A thousand an hour, for sixty hours.
    expect(most).toBeLessThan(4000)
    expect(ledger.open.size + ledger.expired.size).toBeLessThan(2000)
  })

  it("does not drop a key that holds a reservation", () => {
    const ledger = Ledger.make("t-")
    const held = Ledger.reserve(ledger, NOON, [charge(7, { quota: "requests_per_day" })], DAY)
    for (let i = 0; i < 100; i++) {
      Ledger.reserve(ledger, NOON + HOUR, [charge(0, { key: "client:live" })], 1000)
    }
    Ledger.settle(ledger, NOON + HOUR, id(held), [])
    expect(Ledger.usage(ledger, NOON + HOUR, "client:a")).toMatchObject([{ used: 7 }])
  })
})

// ------------------------------------------------------------------------------------------------
// any sequence of steps, under a clock that jumps both ways
// ------------------------------------------------------------------------------------------------

const keys = ["client:a", "client:b", "global"]
const quotas = ["requests_per_hour", "requests_per_day", "bytes_per_day"]
const charges: fc.Arbitrary<ReadonlyArray<Charge>> = fc.uniqueArray(
  fc.record({
    key: fc.constantFrom(...keys),
    quota: fc.constantFrom(...quotas),
    limit: fc.constantFrom(5, 8, 20),
    amount: fc.nat({ max: 6 }),
    postPaid: fc.boolean()
  }),
  { minLength: 1, maxLength: 4, selector: ({ key, quota }) => `${key} ${quota}` }
)
const actuals: fc.Arbitrary<ReadonlyArray<Actual>> = fc.uniqueArray(
  fc.record({
    key: fc.constantFrom(...keys),
    quota: fc.constantFrom(...quotas),
    amount: fc.nat({ max: 9 })
  }),
  { maxLength: 2, selector: ({ key, quota }) => `${key} ${quota}` }
)
const step = fc.oneof(
  fc.record({
    _tag: fc.constant("tick" as const),
    // Mostly forward, often back by a little: so that borders are crossed both ways.
    ms: fc.oneof(
      fc.integer({ min: -20 * 60_000, max: 30 * 60_000 }),
      fc.integer({ min: -1000, max: 40_000 }),
      fc.constantFrom(-2 * HOUR, HOUR, HOUR, DAY)
    )
  }),
  {
    weight: 3,
    arbitrary: fc.record({
      _tag: fc.constant("reserve" as const),
      charges,
      ttl: fc.integer({ min: 1, max: 100_000 })
    })
  },
  fc.record({ _tag: fc.constant("check" as const), charges }),
  fc.record({ _tag: fc.constant("submitted" as const), which: fc.nat({ max: 9 }) }),
  {
    weight: 2,
    arbitrary: fc.record({ _tag: fc.constant("settle" as const), which: fc.nat({ max: 9 }), actual: actuals })
  },
  fc.record({ _tag: fc.constant("release" as const), which: fc.nat({ max: 9 }) }),
  fc.record({
    _tag: fc.constant("reset" as const),
    key: fc.constantFrom(...keys),
    quota: fc.constantFrom(undefined, ...quotas)
  })
)
const script = fc.array(step, { minLength: 1, maxLength: 40 })

/** A journal of postings, added up from the beginning for every answer. */
const journal = (mode: Window.Mode) => {
  type Posting = { key: string; quota: string; slice: number; used: number; reserved: number; reset?: true }
  const postings: Array<Posting> = []
  const reservations = new Map<
    string,
    { charges: ReadonlyArray<Charge & { slice: number }>; until: number; state: string }
  >()
  let last = -Infinity
  const length = (quota: string) => (quota.endsWith("hour") ? HOUR : DAY) / (mode === "fixed" ? 1 : 60)
  const count = mode === "fixed" ? 1 : 61
  const sliceNow = (quota: string) => Math.floor(last / length(quota))
  const end = (quota: string, slice: number) => (slice + count) * length(quota)
  const post = (posting: Posting) => postings.push(posting)
  const buckets = (key: string, quota: string) => {
    const bySlice = new Map<number, { used: number; reserved: number }>()
    for (const p of postings) {
      if (p.key !== key || p.quota !== quota || end(quota, p.slice) <= last) continue
      const bucket = bySlice.get(p.slice) ?? { used: 0, reserved: 0 }
      bySlice.set(p.slice, {
        used: p.reset ? 0 : Math.max(0, bucket.used + p.used),
        reserved: Math.max(0, bucket.reserved + p.reserved)
      })
    }
    return bySlice
  }
  const total = (key: string, quota: string) => {
    let [used, reserved] = [0, 0]
    for (const bucket of buckets(key, quota).values()) {
      used += bucket.used
      reserved += bucket.reserved
    }
    return { used, reserved }
  }
  const pass = (now: number) => {
    last = Math.max(last, now)
    for (const r of reservations.values()) {
      if ((r.state === "held" || r.state === "submitted") && r.until <= last) {
        for (const { amount, key, quota, slice } of r.charges) {
          post({ key, quota, slice, used: r.state === "submitted" ? amount : 0, reserved: -amount })
        }
        r.state = r.state === "submitted" ? "charged" : "free"
      }
    }
  }
  const fits = ({ amount, key, limit, postPaid, quota }: Charge) => {
    const { reserved, used } = total(key, quota)
    return postPaid || amount === 0 ? used + reserved < limit : used + reserved + amount <= limit
  }
  return {
    total,
    pass,
    check: (asked: ReadonlyArray<Charge>) => asked.every(fits),
    reserve: (name: string, asked: ReadonlyArray<Charge>, ttl: number) => {
      const booked = asked.map((charge) => ({ ...charge, slice: sliceNow(charge.quota) }))
      for (const { amount, key, quota, slice } of booked)
        post({ key, quota, slice, used: 0, reserved: amount })
      reservations.set(name, { charges: booked, until: last + ttl, state: "held" })
    },
    submitted: (name: string) => {
      const r = reservations.get(name)!
      if (r.state === "held") r.state = "submitted"
      if (r.state === "free") {
        for (const { amount, key, quota, slice } of r.charges)
          post({ key, quota, slice, used: amount, reserved: 0 })
        r.state = "charged"
      }
    },
    finish: (name: string, actual: ReadonlyArray<Actual> | "release") => {
      const r = reservations.get(name)!
      if (r.state === "done") return
      const held = r.state === "held" || r.state === "submitted"
      for (const { amount, key, quota, slice } of r.charges) {
        const amounts =
          actual === "release"
            ? 0
            : (actual.find((a) => a.key === key && a.quota === quota)?.amount ?? amount)
        post({
          key,
          quota,
          slice,
          used: amounts - (r.state === "charged" ? amount : 0),
          reserved: held ? -amount : 0
        })
      }
      r.state = "done"
    },
    reset: (key: string, quota: string | undefined) => {
      for (const name of quotas) {
        if (quota !== undefined && name !== quota) continue
        for (const slice of buckets(key, name).keys()) {
          post({ key, quota: name, slice, used: 0, reserved: 0, reset: true })
        }
      }
    }
  }
}

describe.each(["fixed", "rolling"] as const)("any sequence of steps, %s windows", (mode) => {
  it.prop(
    "agrees with the sum of a journal",
    [script],
    ([steps]) => {
      const ledger = Ledger.make("t-", mode)
      const model = journal(mode)
      const names: Array<string> = []
      let now = NOON
      let latest = NOON
      for (const step of steps) {
        if (step._tag !== "tick") model.pass(now)
        switch (step._tag) {
          case "tick":
            // A clock that is set back further is followed: `QuotaClock.test.ts`.
            now = Math.max(now + step.ms, latest - 60_000)
            latest = Math.max(latest, now)
            break
          case "check":
            expect(Ledger.check(ledger, now, step.charges)._tag).toBe(
              model.check(step.charges) ? "Granted" : "Refused"
            )
            break
          case "reserve": {
            const decision = Ledger.reserve(ledger, now, step.charges, step.ttl)
            expect(decision._tag).toBe(model.check(step.charges) ? "Granted" : "Refused")
            if (decision._tag === "Granted") {
              names.push(decision.reservation)
              model.reserve(decision.reservation, step.charges, step.ttl)
              for (const usage of decision.usage) {
                expect(model.total(usage.key, usage.quota)).toEqual({
                  used: usage.used,
                  reserved: usage.reserved
                })
              }
            }
            break
          }
          case "reset":
            Ledger.reset(ledger, now, step.key, step.quota)
            model.reset(step.key, step.quota)
            break
          default: {
            const name = names[step.which % Math.max(1, names.length)]
            if (name === undefined) break
            if (step._tag === "submitted") {
              Ledger.submitted(ledger, now, name)
              model.submitted(name)
            } else if (step._tag === "release") {
              Ledger.release(ledger, now, name)
              model.finish(name, "release")
            } else {
              Ledger.settle(ledger, now, name, step.actual)
              model.finish(name, step.actual)
            }
          }
        }
        model.pass(now)
        for (const key of keys) {
          const usage = Ledger.usage(ledger, now, key)
          for (const quota of quotas) {
            const found = usage.find((entry) => entry.quota === quota)
            expect({ key, quota, used: found?.used ?? 0, reserved: found?.reserved ?? 0 }).toEqual({
              key,
              quota,
              ...model.total(key, quota)
            })
          }
        }
      }
    },
    { fastCheck: { numRuns: shortOrLong(80, 400) } }
  )

  it.prop(
    "a refusal says exactly when the same charge is admitted",
    [
      fc.array(fc.tuple(fc.integer({ min: 0, max: 20 * 60_000 }), fc.integer({ min: 1, max: 5 })), {
        minLength: 5,
        maxLength: 40
      })
    ],
    ([calls]) => {
      const ledger = Ledger.make("t-", mode)
      let now = NOON
      for (const [wait, amount] of calls) {
        now += wait
        const asked = [charge(amount), charge(amount, { quota: "bytes_per_day", limit: 60, postPaid: true })]
        const decision = Ledger.reserve(ledger, now, asked, 1000)
        if (decision._tag === "Granted") {
          Ledger.settle(ledger, now, decision.reservation, [])
          continue
        }
        expect(Ledger.check(ledger, decision.resetAt - 1, asked)._tag).toBe("Refused")
        expect(Ledger.check(ledger, decision.resetAt, asked)._tag).toBe("Granted")
        now = decision.resetAt
      }
    },
    { fastCheck: { numRuns: shortOrLong(60, 300) } }
  )
})

describe("rolling windows", () => {
  it.prop(
    "never admit more than the limit in any hour",
    [
      fc.array(fc.tuple(fc.integer({ min: 0, max: 15 * 60_000 }), fc.integer({ min: 1, max: 4 })), {
        minLength: 20,
        maxLength: 80
      })
    ],
    ([calls]) => {
      const ledger = Ledger.make("t-", "rolling")
      const admitted: Array<{ at: number; amount: number }> = []
      let now = NOON
      for (const [wait, amount] of calls) {
        now += wait
        const decision = Ledger.reserve(ledger, now, [charge(amount)], 1000)
        if (decision._tag === "Refused") continue
        Ledger.settle(ledger, now, decision.reservation, [])
        admitted.push({ at: now, amount })
      }
      for (const { at } of admitted) {
        const inHour = admitted.filter((call) => call.at > at - HOUR && call.at <= at)
        expect(inHour.reduce((sum, call) => sum + call.amount, 0)).toBeLessThanOrEqual(10)
      }
    },
    { fastCheck: { numRuns: shortOrLong(50, 200) } }
  )

  it("do not admit twice the limit around the full hour, as fixed ones do", () => {
    const around = (mode: Window.Mode) => {
      const ledger = Ledger.make("t-", mode)
      const border = Date.UTC(2026, 0, 15, 13)
      let granted = 0
      for (const now of [border - 1, border]) {
        for (let i = 0; i < 10; i++) {
          if (Ledger.reserve(ledger, now, [charge(1)], DAY)._tag === "Granted") granted += 1
        }
      }
      return granted
    }
    expect(around("fixed")).toBe(20)
    expect(around("rolling")).toBe(10)
  })
})
