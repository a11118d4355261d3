import { assert, describe, it } from "@effect/vitest"
import { Effect, FastCheck as fc } from "effect"
import type { Operation, Step } from "../../src/observe/Metering.js"
import type { Call } from "../../src/operate/AuditLog.js"
import * as Replay from "../../src/operate/Replay.js"
import * as ReplayReport from "../../src/operate/ReplayReport.js"
import * as Simulated from "../simulation/replay.js"
import { isLong, shortOrLong, someOrAll } from "../utils/long.js"

describe("the replay of a simulated server's audit log", () => {
  it("takes the decisions that were taken, where the limits are those that were in force", () => {
    const seen = new Set<string>()
    for (const seed of shortOrLong([7], [1, 2, 3, 4, 5, 6, 7])) {
      const { differing, log, results } = Simulated.run(seed)
      assert.deepStrictEqual(differing.slice(0, 3), [], `seed ${seed}`)
      assert.deepStrictEqual([log.faulty.length, log.headless, log.begunBefore, log.missing], [0, 0, 0, 0])
      for (const { call, then } of results) {
        if (then.refused !== undefined) seen.add(then.refused.scope)
        if (then.waitMs > 0) seen.add("waited")
        for (const { scope } of then.wouldRefuse) seen.add(`observed ${scope}`)
        for (const [, , , what] of call.steps) seen.add(what)
      }
    }
    // What never happened was not replayed.
    assert.includeMembers(
      [...seen],
      [
        ...["rate", "rate_refused", "quota", "quota_refused", "sent", "settled", "released", "refunded"],
        ...["client", "client:requests_per_hour"],
        ...(isLong ? ["tool", "class", "waited"] : []),
        ...["observed tool", "observed client:queries_per_hour"]
      ]
    )
  })

  it("takes others under other limits", () => {
    const scenario = Simulated.scenarioOf(2, 6)
    const { log } = Simulated.run(2)
    const terms = Simulated.termsOf(scenario)
    const tight = { ...terms, quota: { tiers: { default: { requests_per_day: 1 }, gold: {}, batch: {} } } }
    const results = Effect.runSync(Replay.replay(log, tight))
    const admitted = new Map<string, number>()
    for (const { call, now } of results)
      if (call.tier === "default" && now.refused === undefined)
        admitted.set(call.client, (admitted.get(call.client) ?? 0) + 1)
    assert.isAbove(admitted.size, 0)
    // Calls that were refused then leave nothing behind; released ones give their request back.
    const sent = new Set(
      results
        .filter(
          ({ call, now }) => now.refused === undefined && call.steps.some(([, , , what]) => what === "sent")
        )
        .map(({ call }) => call)
    )
    for (const client of admitted.keys())
      assert.isAtMost([...sent].filter((call) => call.client === client && call.tier === "default").length, 1)
  })
})

/** Monday, so that hours and days begin with it. */
const started = Date.UTC(2026, 0, 5)

const terms: Replay.Terms = {
  limiter: {
    global: { rate: 1000, burst: 1000 },
    classes: {},
    tiers: { default: { client: { rate: 1, burst: 2 } } },
    reserved: 0
  },
  quota: { tiers: { default: {} } },
  tokenWaits: { default: { maxTokenWaitMs: 0, batch: false } },
  windows: "fixed",
  jointQuotas: true,
  jointBuckets: false,
  tierOf: (_client, tier) => tier,
  mayCall: () => true
}

/** Numbers the steps in the order of their times. */
const inOrder = (calls: ReadonlyArray<Call>): ReadonlyArray<Call> => {
  const times = calls
    .flatMap((call) => call.steps.map((step) => ({ call, step })))
    .sort((a, b) => Replay.wallOf(a.call, a.step) - Replay.wallOf(b.call, b.step))
  const numbers = new Map(times.map(({ step }, i) => [step, i + 1]))
  return calls.map((call) => ({
    ...call,
    steps: call.steps.map((step) => [numbers.get(step), ...step.slice(1)] as unknown as Step)
  }))
}

let operations = 0
const asked = (
  at: number,
  steps: ReadonlyArray<readonly [ms: number, what: string, ...rest: ReadonlyArray<unknown>]>,
  { client = "ann", tier = "default", ...head }: Partial<Operation & Call> = {}
): Call => {
  operations += 1
  return {
    client,
    tier,
    tool: "execute_query",
    wouldRefuse: [],
    asked: {
      server: "one",
      started,
      operation: operations,
      class: "query",
      deadline: 60_000,
      estimate: 1_000,
      ...head
    },
    steps: steps.map(([ms, ...rest]) => [0, at + ms, 0, ...rest] as unknown as Step)
  }
}

/** It was admitted at once, and used so many bytes in a tenth of a second. */
const ran = (at: number, bytes = 100, more: Partial<Operation & Call> = {}): Call =>
  asked(
    at,
    [
      [0, "rate", 0],
      [0, "quota"],
      [1, "sent", 0],
      [100, "settled", 0, bytes, null, 0.1]
    ],
    more
  )

const outcomes = (
  calls: ReadonlyArray<Call>,
  more: Partial<Replay.Terms> = {},
  resets: Parameters<typeof Replay.replay>[0]["resets"] = []
): ReadonlyArray<string> =>
  Effect.runSync(Replay.replay({ calls: inOrder(calls), resets }, { ...terms, ...more })).map(({ now }) =>
    now.refused === undefined
      ? now.wouldRefuse.length > 0
        ? `observed ${now.wouldRefuse.map(({ scope }) => scope).join()}`
        : now.waitMs > 0
          ? `waits ${now.waitMs}`
          : "ok"
      : `${now.refused.scope} in ${now.refused.retryAfterMs}`
  )

const quotas = (limits: object, more: object = {}) => ({ quota: { tiers: { default: limits }, ...more } })

describe("under other limits", () => {
  it("calls are refused by rate, or wait, as their tier is willing to", () => {
    const calls = [ran(0), ran(0), ran(0), ran(500)]
    assert.deepStrictEqual(outcomes(calls), ["ok", "ok", "client in 1000", "client in 500"])
    assert.deepStrictEqual(
      outcomes(calls, { tokenWaits: { default: { maxTokenWaitMs: 1_200, batch: false } } }),
      ["ok", "ok", "waits 1000", "client in 300"]
    )
  })

  it("a call that waits comes to the quotas later, in their next window too", () => {
    const hour = 3_600_000
    const calls = [ran(hour - 500), ran(hour - 500), ran(hour - 500)]
    const patient = { tokenWaits: { default: { maxTokenWaitMs: 2_000, batch: false } } }
    assert.deepStrictEqual(outcomes(calls, { ...patient, ...quotas({ requests_per_hour: 2 }) }), [
      "ok",
      "ok",
      "waits 1000"
    ])
  })

  it("what comes to the quotas while a call waits is served before it", () => {
    const calls = [ran(0), ran(0), ran(0), ran(500, 1, { client: "bob" })]
    const patient = { tokenWaits: { default: { maxTokenWaitMs: 2_000, batch: false } } }
    assert.deepStrictEqual(
      outcomes(calls, { ...patient, ...quotas({}, { global: { requests_per_day: 3 } }) }),
      ["ok", "ok", "global:requests_per_day in 86399000", "ok"]
    )
  })

  it("quotas are used by what was used, when it was used", () => {
    const calls = [ran(0, 900), ran(50), ran(200, 99), ran(2_000, 5), ran(4_000)]
    // While the first runs, its estimate is held.
    assert.deepStrictEqual(outcomes(calls, quotas({ bytes_per_day: 1_000 })), [
      "ok",
      "client:bytes_per_day in 86399950",
      "ok",
      "ok",
      "client:bytes_per_day in 86396000"
    ])
  })

  it("a call that was refused is charged at its estimate when it is admitted", () => {
    const refused = asked(0, [[0, "rate_refused", "client", 1000]])
    assert.deepStrictEqual(outcomes([refused, ran(1)], quotas({ bytes_per_day: 1_000 })), [
      "ok",
      "client:bytes_per_day in 86399999"
    ])
    const byQuota = asked(0, [
      [0, "rate", 0],
      [0, "quota_refused", "client:queries_per_day", 5],
      [1, "refunded"]
    ])
    // Its tokens are used as well.
    assert.deepStrictEqual(outcomes([byQuota, ran(2), ran(3)]), ["ok", "ok", "client in 997"])
  })

  it("a call that is refused now leaves tokens and quotas to the others", () => {
    const calls = [ran(0), ran(1, 100), ran(2, 100, { client: "bob" })]
    assert.deepStrictEqual(
      outcomes(calls, quotas({ queries_per_day: 1 }, { global: { requests_per_day: 2 } })),
      ["ok", "client:queries_per_day in 86399999", "ok"]
    )
  })

  it("observed limits refuse nothing, and tell", () => {
    const { limiter } = terms
    const observed = {
      limiter: {
        ...limiter,
        tiers: { default: { client: { rate: 1, burst: 1 }, observe: ["client"] as const } }
      },
      ...quotas({ requests_per_day: 2 }, { observe: { default: ["requests_per_day"] } })
    }
    assert.deepStrictEqual(outcomes([ran(0), ran(1), ran(2_000), ran(4_000)], observed), [
      "ok",
      "observed client",
      "ok",
      "observed client:requests_per_day"
    ])
  })

  it("tools that a tier has no more, and the tier that the settings now give, decide", () => {
    const { limiter } = terms
    const gold = { client: { rate: 1, burst: 1 } }
    const more = {
      limiter: { ...limiter, tiers: { ...limiter.tiers, gold } },
      quota: { tiers: { default: {}, gold: {} } },
      tierOf: (_client: string, tier: string, assigned: boolean) => (assigned ? "gold" : tier)
    }
    const calls = [
      ran(0),
      ran(0),
      ran(0, 1, { client: "bob", assigned: true }),
      ran(0, 1, { client: "bob", assigned: true })
    ]
    assert.deepStrictEqual(outcomes(calls, more), ["ok", "ok", "ok", "client in 1000"])
    assert.deepStrictEqual(outcomes(calls, { ...more, mayCall: (tier) => tier !== "gold" }), [
      "ok",
      "ok",
      "execute_query in null",
      "execute_query in null"
    ])
  })

  it("each start of a server has its own buckets, and its own quotas where they are in memory", () => {
    const next = { server: "two", started: started + 10 }
    const calls = [ran(0), ran(0), ran(0, 1, next), ran(0, 1, next), ran(0, 1, next)]
    assert.deepStrictEqual(outcomes(calls), ["ok", "ok", "ok", "ok", "client in 1000"])
    assert.deepStrictEqual(outcomes(calls, { jointBuckets: true }), [
      "ok",
      "ok",
      ...["client in 990", "client in 990", "client in 990"]
    ])
    const three = quotas({ requests_per_day: 2 })
    assert.deepStrictEqual(outcomes(calls.slice(0, 4), three).slice(2), [
      "client:requests_per_day in 86399990",
      "client:requests_per_day in 86399990"
    ])
    assert.deepStrictEqual(outcomes(calls.slice(0, 4), { ...three, jointQuotas: false }).slice(2), [
      "ok",
      "ok"
    ])
  })

  it("an operator's reset counts", () => {
    const calls = [ran(0), ran(1), ran(3_000)]
    const one = quotas({ requests_per_day: 1 })
    assert.deepStrictEqual(outcomes(calls, one, [{ at: started + 2_000, client: "ann" }]), [
      "ok",
      "client:requests_per_day in 86399999",
      "ok"
    ])
  })

  it("scans are held, settled and refused", () => {
    const scans = (at: number, estimate: number, scanned: number) =>
      asked(at, [
        [0, "rate", 0],
        [0, "quota"],
        [1, "sent", 0],
        [2, "scan", estimate],
        [3, "sent", 1],
        [50, "settled", 1, 0, scanned, null],
        [51, "settled", 0, 10, null, 0.05]
      ])
    const calls = [scans(0, 900, 100), scans(10, 200, 200), scans(1_000, 900, 900), scans(2_000, 1, 1)]
    assert.deepStrictEqual(outcomes(calls, quotas({ scan_bytes_per_day: 1_000 })), [
      "ok",
      "client:scan_bytes_per_day in 86399988",
      "ok",
      "client:scan_bytes_per_day in 86398000"
    ])
  })

  it("credits are held as estimated, settled as recorded, and charged at the estimate where nothing is recorded", () => {
    const costs = (at: number, credits: number, ...used: ReadonlyArray<number>) =>
      asked(
        at,
        [
          [0, "rate", 0],
          [0, "quota"],
          [1, "sent", 0],
          [50, "settled", 0, 10, null, 0.05, ...used]
        ],
        { credits }
      )
    const calls = [
      costs(0, 0.75, 0.25),
      costs(10, 0.5, 0.1),
      costs(2_000, 0.7, 0.7),
      costs(4_000, 0.25),
      ran(6_000)
    ]
    assert.deepStrictEqual(outcomes(calls, quotas({ credits_per_hour: 1 })), [
      "ok",
      "client:credits_per_hour in 3599990",
      "ok",
      "client:credits_per_hour in 3596000",
      "ok"
    ])
  })

  it("what a server that ended left open expires: charged where it was sent, free where it was not", () => {
    const left = (sent: boolean) =>
      asked(0, [[0, "rate", 0], [0, "quota"], ...(sent ? [[1, "sent", 0] as const] : [])])
    const later = ran(200_000)
    const one = quotas({ queries_per_day: 1 })
    assert.deepStrictEqual(outcomes([left(true), later], one)[1], "client:queries_per_day in 86200000")
    assert.deepStrictEqual(outcomes([left(false), later], one)[1], "ok")
  })
})

describe("a call of very many steps", () => {
  const many = shortOrLong(20_000, 100_000)
  /** Late from its first step on, so that every later one takes place at another time. */
  const late = (what: (i: number) => readonly [ms: number, what: string, ...rest: ReadonlyArray<unknown>]) =>
    asked(0, [[0, "rate", 7], ...Array.from({ length: many }, (_, i) => what(i + 1))])

  // Each took minutes where a step costs time for each of the others.
  it.each(
    someOrAll(
      [
        ["in their order", (i: number) => [i, "released", 0] as const],
        ["in the reverse order", (i: number) => [many - i, "released", 0] as const],
        ["all at once", () => [5, "released", 0] as const],
        ["that ask again", (i: number) => [i, "rate", i] as const],
        ["that reserve again", (i: number) => [i, "quota"] as const]
      ],
      2
    )
  )(
    "is replayed in a time that grows with their number: %s",
    (_, what) => {
      const call = late(what)
      const { replay } = Replay
      const [result] = Effect.runSync(replay({ calls: [call], resets: [] }, terms))
      assert.isUndefined(result?.now.refused)
    },
    15_000
  )

  it("takes steps that are moved in the order of their times, and those of one time in their order", () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 20 }), { minLength: 1, maxLength: 40 }), (waits) => {
        // Each waits for its tokens now, and reserves when they are due.
        const calls = waits.map((at) => asked(at, [[0, "rate_refused", "client", 1]], { client: "one" }))
        const slow = {
          ...terms,
          limiter: { ...terms.limiter, tiers: { default: { client: { rate: 100, burst: 1 } } } },
          quota: { tiers: { default: { requests_per_day: 3 } } },
          tokenWaits: { default: { maxTokenWaitMs: 60_000, batch: false } }
        }
        const results = Effect.runSync(Replay.replay({ calls: inOrder(calls), resets: [] }, slow))
        const byTurn = [...results].sort((a, b) => a.at + a.now.waitMs - b.at - b.now.waitMs)
        assert.deepStrictEqual(
          byTurn.map(({ now }) => now.refused === undefined),
          byTurn.map((_, i) => i < 3)
        )
      }),
      { numRuns: 50 }
    )
  })
})

describe("the report of a replay", () => {
  it("counts by client and limit, and fits a terminal", () => {
    const calls = inOrder([
      ...[0, 0, 0, 100].map((at) => ran(at)),
      ran(0, 1, { client: "a client with a name that is much too long for a table" })
    ])
    const log = {
      calls,
      resets: [],
      lines: 5,
      older: 2,
      faulty: ["audit.log:7"],
      headless: 0,
      servers: 1,
      begunBefore: 1,
      missing: 3
    }
    const results = Effect.runSync(Replay.replay(log, terms))
    const report = ReplayReport.make(results, log, terms, {})
    assert.deepInclude(report, {
      calls: 5,
      refused: { then: 0, now: 2 },
      newly_refused: 2,
      newly_admitted: 0
    })
    assert.deepInclude(report.clients[0], {
      client: "ann",
      calls: 4,
      by: [{ code: "RATE_LIMITED", scope: "client", observed: false, then: 0, now: 2 }],
      first_refused: {
        at: "2026-01-05T00:00:00.000Z",
        tool: "execute_query",
        code: "RATE_LIMITED",
        scope: "client",
        retry_after_ms: 1000
      }
    })
    assert.match(report.notes.join("\n"), /2 lines of an earlier version/)
    const lines = ReplayReport.render(report, 80).split("\n")
    for (const line of lines) assert.isAtMost(line.length, 80, line)
    for (const line of ReplayReport.render(report, 40).split("\n")) assert.isAtMost(line.length, 40, line)
    assert.match(lines.join("\n"), /ann +4 +0 +2 +- +- +01-05 00:00:00/)
    assert.match(lines.join("\n"), /1 line cannot be read: audit\.log:7/)
    const late = ReplayReport.make(results, log, terms, { from: started + 50, to: started + 101 })
    assert.deepInclude(late, { calls: 1, refused: { then: 0, now: 1 } })
  })
})
