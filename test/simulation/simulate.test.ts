import { assert, describe, it } from "@effect/vitest"
import * as Broken from "./broken.js"
import { estimate } from "./estimate.js"
import type { Report } from "./report.js"
import { simulate } from "./run.js"
import { inLongForm, shortOrLong, someOrAll } from "../utils/long.js"
import * as Scenarios from "./scenarios.js"
import * as Server from "./server.js"
import * as Temperaments from "./temperaments.js"
import * as Table from "./table.js"

/** What a person needs to see it again. */
const inWords = ({ replay, violationCount, violations }: Report): string =>
  [
    `${violationCount} violations; see them again with: ${replay}`,
    ...violations.map(({ atMs, detail, rule }) => `  at ${atMs} ms: ${rule}: ${detail}`)
  ].join("\n")

const expectClean = (report: Report): void => assert.strictEqual(report.violationCount, 0, inWords(report))

const HOURS = shortOrLong(1, 12)
/** Their worlds are rough enough that every refusal happens in one of them. */
const SEEDS = shortOrLong([4, 10, 21], [2, 4, 5, 6, 9, 10, 12, 19, 21, 22])

describe("the guarded server, simulated", () => {
  it("keeps every invariant in worlds made up from seeds", { timeout: 60_000 }, () => {
    const seen = new Set<string>()
    for (const seed of SEEDS) {
      const report = simulate({ seed, hours: HOURS })
      expectClean(report)
      for (const { answers } of report.temperaments) for (const code of Object.keys(answers)) seen.add(code)
    }
    // The worlds are rough enough: there is no refusal that did not happen.
    for (const code of [
      "ok",
      "stale",
      "cancelled",
      "RateLimited",
      "QuotaExceeded",
      "Overloaded",
      "CircuitOpen",
      "Degraded",
      "DeadlineExceeded",
      "ServerFault",
      "InvalidStatement"
    ])
      assert.isTrue(seen.has(code), `no call was answered ${code}`)
  })

  it("does the same for the same seed, to the byte, and something else for another one", () => {
    const [first, again, other] = [7, 7, 8].map((seed) =>
      JSON.stringify(simulate({ seed, hours: HOURS / 2 }))
    )
    assert.strictEqual(again, first)
    assert.notStrictEqual(other, first)
  })

  it("one more client does not change what the others want", () => {
    const hours = HOURS / 2
    const scenario = Scenarios.generate(3, hours)
    const newcomer = { name: "newcomer", temperament: { ...Temperaments.steady, name: "newcomer" } }
    const wantedBy = (clients: Scenarios.Scenario["clients"]): ReadonlyArray<number> =>
      simulate({ seed: 3, hours, scenario: { ...scenario, clients } })
        .temperaments.filter(({ temperament }) => temperament === "steady" || temperament === "bursty")
        .map(({ wanted }) => wanted)
    assert.deepStrictEqual(wantedBy([newcomer, ...scenario.clients]), wantedBy(scenario.clients))
  })

  it.each(someOrAll(Server.layerNames, 2))("keeps the other invariants without %s", (name) =>
    expectClean(simulate({ seed: 11, hours: shortOrLong(0.25, 1), layers: { [name]: false } }))
  )
})

describe("an invariant that is broken is seen:", () => {
  const seeds = [3, 4, 8, 6, 7, 2]
  /** Tried in this order, until each of the rules was found broken: most are in some minutes of some world. */
  const worlds = [
    ...[3, 4, 8].map((seed) => ({ seed, hours: 0.1 })),
    ...[6, 3, 7, 4, 8, 2].map((seed) => ({ seed, hours: 0.6 }))
  ]
  const expectFound = <World>(
    rules: ReadonlyArray<string>,
    worlds: ReadonlyArray<World>,
    run: (world: World) => Pick<Report, "violations">
  ): void => {
    const missing = new Set(rules)
    for (const world of worlds) {
      for (const { rule } of run(world).violations) missing.delete(rule)
      if (missing.size === 0) return
    }
    assert.fail(`not found broken: ${[...missing].join("; ")}`)
  }

  const cases: ReadonlyArray<readonly [keyof typeof Broken, ReadonlyArray<string>]> = [
    [
      "limiterThatSlips",
      [
        "no call is admitted without a token in every bucket",
        "in any window w no scope admits more than burst + rate * w"
      ]
    ],
    ["limiterThatChargesRefusals", ["a refused call charges no bucket and no quota"]],
    ["limiterThatKeepsRefunds", ["a refused call charges no bucket and no quota"]],
    ["limiterThatGuesses", ["waits are exact", "a client that waits for retryAfter is not refused again"]],
    [
      "bulkheadThatFreesAtTimeout",
      [
        "no more run than there are slots",
        "no more statements in the warehouse than max_concurrent_statements"
      ]
    ],
    ["bulkheadThatIsUnfair", ["while a client waits, every other one gets one turn in a row"]],
    ["bulkheadThatKeepsNoReserve", ["the slots in reserve go to clients that have none"]],
    ["bulkheadThatLeaks", ["when all calls have ended, nothing is left"]],
    ["breakerThatStampedes", ["half-open, only so many probes run at once"]],
    ["breakerThatLeaks", ["nothing gets through an open circuit"]],
    ["breakerThatSleeps", ["failures in a row open the circuit"]],
    ["breakerThatTrustsEveryReport", ["a circuit opens for enough witnesses"]],
    [
      "quotaThatForgets",
      [
        "a quota counts what was settled and what is held",
        "at the end the quotas hold what was settled and nothing else"
      ]
    ],
    ["quotaThatHoards", ["a quota counts what was settled and what is held"]]
  ]
  it.each(someOrAll(cases, 2))("%s", (name, rules) =>
    expectFound(rules, worlds, ({ hours, seed }) =>
      simulate({ seed, hours, scenario: Scenarios.roughHour(seed), replaced: Broken[name] })
    )
  )

  const unfair: ReadonlyArray<readonly [keyof typeof Broken, ReadonlyArray<string>]> = [
    ["limiterThatKeepsNoShares", ["a client ahead of its share leaves the reserve to the others"]],
    [
      "limiterThatServesTheGreedy",
      [
        "a client ahead of its share leaves the reserve to the others",
        "a client that uses less than its share is refused no token that is there"
      ]
    ],
    ["limiterThatNeverLetsGo", ["waits are exact"]],
    ["limiterThatGuesses", ["a client that comes back as told, before any other, is admitted"]],
    ["limiterThatExaggerates", ["no client is told to wait for longer than it takes"]],
    ["limiterThatStarves", ["no client starves"]]
  ]
  it.each(someOrAll(unfair, 1))("%s", (name, rules) =>
    expectFound(rules, seeds, (seed) => {
      // One crowd of a minute and a half: longer than a client that starves may be refused.
      const scenario = Scenarios.crowdedHour(seed, 90_000)
      return simulate({ seed, hours: 0.025, scenario, replaced: Broken[name] })
    })
  )

  it("none is broken by a crowd before the real services", () => {
    for (const seed of shortOrLong([3], seeds))
      expectClean(simulate({ seed, hours: 0.03, scenario: Scenarios.crowdedHour(seed) }))
  })

  it("a failing simulation says how to see it again", () => {
    const report = simulate({ seed: 4, hours: 1, replaced: Broken.limiterThatGuesses })
    assert.include(inWords(report), "npm run simulate -- --seed 4 --hours 1")
    assert.isAbove(report.violationCount, 0)
  })
})

describe("what is measured of the layers", () => {
  it("an interval is that of Student's t", () => {
    const { error, mean } = estimate([1, 2, 3, 4, 5])
    assert.strictEqual(mean, 3)
    // 2.776 times the standard error.
    assert.closeTo(error, 2.776 * Math.sqrt(2.5 / 5), 0.02)
    assert.closeTo(
      estimate(Array.from({ length: 20 }, (_, i) => i % 2)).error,
      2.093 * Math.sqrt(5 / 19 / 20),
      0.002
    )
    assert.strictEqual(estimate([7]).error, Number.POSITIVE_INFINITY)
  })

  inLongForm(() => {
    it("the table has a row for everything, for each layer that is left out, and for nothing", () => {
      const rows = Table.compare({ seed: 1, hours: 0.01, scenario: Scenarios.badDay(0.01) })
      const lines = Table.markdown(rows).split("\n")
      assert.strictEqual(lines.length, 2 + 3 + Server.layerNames.length)
      assert.match(lines[2] ?? "", /^\| everything \|( +[\d.]+( %| s)? \|)+$/)
      assert.match(lines.at(-1) ?? "", /^\| without any of them \|/)
    })
  })
})
