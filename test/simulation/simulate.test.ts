import { assert, describe, it } from "@effect/vitest"
import * as Broken from "./broken.js"
import type { Report } from "./report.js"
import type { Options } from "./run.js"
import { simulate } from "./run.js"
import * as Scenarios from "./scenarios.js"
import * as Server from "./server.js"
import * as Table from "./table.js"

/** What a person needs to see it again. */
const inWords = ({ replay, violationCount, violations }: Report): string =>
  [
    `${violationCount} violations; see them again with: ${replay}`,
    ...violations.map(({ atMs, detail, rule }) => `  at ${atMs} ms: ${rule}: ${detail}`)
  ].join("\n")

const expectClean = (report: Report): void => assert.strictEqual(report.violationCount, 0, inWords(report))

const HOURS = 12
const SEEDS = Array.from({ length: 18 }, (_, i) => i + 1)

describe("the guarded server, simulated", () => {
  it("keeps every invariant in worlds made up from seeds: over 200 hours", { timeout: 60_000 }, () => {
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
      assert.isTrue(seen.has(code), `nobody was ever answered ${code}`)
  })

  it("does the same for the same seed, to the byte, and something else for another one", () => {
    const [first, again, other] = [7, 7, 8].map((seed) => JSON.stringify(simulate({ seed, hours: 6 })))
    assert.strictEqual(again, first)
    assert.notStrictEqual(other, first)
  })

  it("one more client does not change what the others want", () => {
    const scenario = Scenarios.generate(3, 6)
    const newcomer = { name: "newcomer", temperament: { ...Scenarios.temperaments.steady, name: "newcomer" } }
    const wantedBy = (clients: Scenarios.Scenario["clients"]): ReadonlyArray<number> =>
      simulate({ seed: 3, hours: 6, scenario: { ...scenario, clients } })
        .temperaments.filter(({ temperament }) => temperament === "steady" || temperament === "bursty")
        .map(({ wanted }) => wanted)
    assert.deepStrictEqual(wantedBy([newcomer, ...scenario.clients]), wantedBy(scenario.clients))
  })

  it.each(Server.layerNames)("keeps the other invariants without %s", (name) =>
    expectClean(simulate({ seed: 11, hours: 1, layers: { [name]: false } }))
  )
})

describe("an invariant that is broken is seen:", () => {
  const cases: ReadonlyArray<readonly [keyof typeof Broken, number, ReadonlyArray<string>]> = [
    [
      "limiterThatSlips",
      4,
      [
        "no call is admitted without a token in every bucket",
        "in any window w no scope admits more than burst + rate * w"
      ]
    ],
    ["limiterThatChargesRefusals", 4, ["a refused call charges nobody"]],
    ["limiterThatKeepsRefunds", 4, ["a refused call charges nobody"]],
    ["limiterThatGuesses", 4, ["waits are exact", "who waits for retryAfter is not refused again"]],
    [
      "bulkheadThatFreesAtTimeout",
      4,
      [
        "no more run than there are slots",
        "no more statements in the warehouse than max_concurrent_statements"
      ]
    ],
    ["bulkheadThatIsUnfair", 4, ["while a client waits, every other one gets one turn in a row"]],
    ["breakerThatStampedes", 4, ["half-open, only so many probes run at once"]],
    ["breakerThatLeaks", 4, ["nothing gets through an open circuit"]],
    ["breakerThatSleeps", 4, ["failures in a row open the circuit"]],
    [
      "quotaThatForgets",
      4,
      [
        "a quota counts what was settled and what is held",
        "at the end the quotas hold what was settled and nothing else"
      ]
    ],
    ["quotaThatHoards", 4, ["a quota counts what was settled and what is held"]]
  ]
  it.each(cases)("%s (seed %i): %o", (name, seed, rules) => {
    const { violations } = simulate({ seed, hours: 1, replaced: Broken[name] })
    const seen = new Set(violations.map(({ rule }) => rule))
    for (const rule of rules) assert.include([...seen], rule)
  })

  it("a failing simulation says how to see it again", () => {
    const report = simulate({ seed: 4, hours: 2, replaced: Broken.limiterThatGuesses })
    assert.include(inWords(report), "npm run simulate -- --seed 4 --hours 2")
    assert.isAbove(report.violationCount, 0)
  })
})

describe("what the layers are good for", () => {
  it("an outage sees a small part of the calls behind the breaker, and statements stay within their slots", () => {
    const rows = new Map(
      Table.compare({ seed: 1, hours: 0.4, scenario: Scenarios.badDay(0.4) }).map(({ report, title }) => [
        title,
        report
      ])
    )
    const row = (title: string): Report => {
      const report = rows.get(title)
      assert(report !== undefined, title)
      expectClean(report)
      return report
    }
    const all = row("everything")
    assert.isBelow(all.loadOutage, row("without circuit breaker").loadOutage / 20)
    assert.isBelow(all.amplification, row("without any of them").amplification / 5)
    assert.isAtMost(all.mostStatements, 20)
    assert.isAbove(row("without bulkhead").mostStatements, 40)
    assert.isBelow(all.loadBusiest, row("without rate limits").loadBusiest * 0.7)
    assert.isAbove(all.goodput, row("without degradation and cache").goodput)
  })
})
