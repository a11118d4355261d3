/**
 * A simulated server writes its audit log, and the log is replayed under the limits that were in force: each decision must
 * be the one that was taken.
 */
import { Effect } from "effect"
import * as AuditLog from "../../src/operate/AuditLog.js"
import * as Replay from "../../src/operate/Replay.js"
import type { Scenario } from "./scenarios.js"
import * as Scenarios from "./scenarios.js"
import { simulate } from "./run.js"

export interface Replayed {
  readonly results: ReadonlyArray<Replay.Result>
  readonly differing: ReadonlyArray<Replay.Result>
  readonly log: AuditLog.Log
}

export const termsOf = ({ server }: Scenario): Replay.Terms => ({
  limiter: server.limiter,
  quota: server.quota,
  tokenWaits: server.guard.tiers ?? {},
  windows: "fixed",
  jointQuotas: true,
  jointBuckets: false,
  tierOf: (_client, tier) => tier,
  mayCall: () => true
})

/** A world of the seed, with limits by tool, and in every second one with limits that are observed. */
export const scenarioOf = (seed: number, hours: number): Scenario => {
  const scenario = seed % 4 === 0 ? Scenarios.crowdedHour(seed, 60_000) : Scenarios.generate(seed, hours)
  const { guard, limiter, quota } = scenario.server
  const { batch, default: usual, gold } = limiter.tiers
  if (batch === undefined || usual === undefined || gold === undefined) throw new Error("no such tier")
  const observing = seed % 2 === 1
  return {
    ...scenario,
    // A fiber that gives way between a decision and its record lets others come between.
    maxOps: Scenarios.MANY_OPS,
    server: {
      ...scenario.server,
      guard: {
        ...guard,
        tiers: { ...guard.tiers, default: { maxTokenWaitMs: seed % 3 === 0 ? 800 : 0, batch: false } }
      },
      limiter: {
        ...limiter,
        tiers: {
          ...limiter.tiers,
          default: {
            ...usual,
            tools: { execute_query: { bucket: { rate: 0.5, burst: 3 }, weight: 1.5 } },
            ...(observing ? { observe: ["tool", "global"] as const } : {})
          },
          gold: { ...gold, tools: { describe_table: { weight: 0.5 } } },
          batch: observing ? { ...batch, observe: ["client", "tier"] as const } : batch
        }
      },
      quota: observing
        ? {
            ...quota,
            tiers: {
              ...quota.tiers,
              default: { ...quota.tiers["default"], queries_per_hour: 20, statement_seconds_per_day: 400 },
              batch: { ...quota.tiers["batch"], bytes_per_day: 40_000 }
            },
            observe: { default: ["queries_per_hour"], batch: ["bytes_per_day"] }
          }
        : quota
    }
  }
}

const same = (a: Replay.Outcome, b: Replay.Outcome): boolean =>
  JSON.stringify(inOrder(a)) === JSON.stringify(inOrder(b))

const inOrder = ({ refused, waitMs, wouldRefuse }: Replay.Outcome) => [
  waitMs,
  refused?.code,
  refused?.scope,
  refused?.retryAfterMs,
  wouldRefuse.map(({ code, retryAfterMs, scope }) => [code, scope, retryAfterMs])
]

export const differingOf = (results: ReadonlyArray<Replay.Result>): ReadonlyArray<Replay.Result> =>
  results.filter(({ now, then }) => !same(now, then))

/** A crowd calls in a few minutes as much as the others in hours. */
export const hoursOf = (seed: number): number => (seed % 4 === 0 ? 0.1 : 6)

export const run = (seed: number, hours = hoursOf(seed)): Replayed => {
  const scenario = scenarioOf(seed, hours)
  const lines = AuditLog.make()
  let number = 0
  simulate({ seed, hours, scenario, audit: (line) => lines.add("audit.log", ++number, line) })
  const log = lines.log()
  const results = Effect.runSync(Replay.replay(log, termsOf(scenario)))
  return { results, differing: differingOf(results), log }
}
