/**
 * What came of a simulation, as plain data.
 */
import type { Violation } from "./invariants/Court.js"
import type { Layers } from "./server.js"
import type { Tally } from "./statistics.js"
import type { Load, Weather } from "./warehouse.js"

export interface TemperamentReport {
  readonly temperament: string
  readonly wellBehaved: boolean
  readonly clients: number
  /** Things its clients wanted, and the part of them that they got. */
  readonly wanted: number
  readonly goodput: number
  readonly calls: number
  /** Answers by code; `ok`, `stale` and `cancelled` among them. */
  readonly answers: { readonly [code: string]: number }
  /** From wanting something to having it or giving up, milliseconds. */
  readonly wait: { readonly p50: number; readonly p99: number; readonly worst: number }
  /** From a call to its answer, whatever it was. */
  readonly answer: { readonly p50: number; readonly p99: number; readonly worst: number }
}

export interface Report {
  readonly seed: number
  readonly hours: number
  readonly layers: Layers
  readonly calls: number
  /** Of the well-behaved clients: the part of what they wanted that they got, and how much that is an hour. */
  readonly goodput: number
  readonly goodputPerHour: number
  /** Of the well-behaved clients, the one that waits longest for answers: p99 of its waits, milliseconds. */
  readonly worstWaitMs: number
  /** Attempts per minute to reach the warehouse: in healthy weather, in its busiest minute, in outages. */
  readonly loadNormal: number
  readonly loadBusiest: number
  readonly loadOutage: number
  /** During outages, attempts to reach the warehouse per thing that a client wanted. */
  readonly amplification: number
  readonly mostStatements: number
  /** Attempts per minute to reach the warehouse, over all weather, and per thing that a client wanted. */
  readonly attempts: number
  readonly attemptsPerWish: number
  /** Reservations of quota per minute: each is work of the store. */
  readonly reservations: number
  /** Part of the attempts that the warehouse turned away as too many. */
  readonly turnedAway: number
  /** After an overload of the warehouse: milliseconds to the last failure of a well-behaved client, on average. */
  readonly recoveryMs: number
  readonly temperaments: ReadonlyArray<TemperamentReport>
  readonly violations: ReadonlyArray<Violation>
  readonly violationCount: number
  /** Runs this very simulation again. */
  readonly replay: string
}

const round = (value: number, digits: number): number => Number(value.toFixed(digits))
const ratio = (part: number, whole: number): number => (whole === 0 ? 0 : part / whole)

const ofTally = (tally: Tally): TemperamentReport => ({
  temperament: tally.temperament.name,
  wellBehaved: tally.temperament.wellBehaved,
  clients: tally.clients,
  wanted: tally.wanted,
  goodput: round(ratio(tally.got, tally.wanted), 4),
  calls: tally.calls,
  answers: Object.fromEntries([...tally.codes].sort(([a], [b]) => (a < b ? -1 : 1))),
  wait: {
    p50: tally.wishes.quantile(0.5),
    p99: tally.wishes.quantile(0.99),
    worst: round(tally.wishes.worst, 3)
  },
  answer: {
    p50: tally.answers.quantile(0.5),
    p99: tally.answers.quantile(0.99),
    worst: round(tally.answers.worst, 3)
  }
})

export const make = (input: {
  readonly seed: number
  readonly hours: number
  readonly layers: Layers
  readonly statistics: ReadonlyArray<Tally>
  readonly load: { readonly [W in Weather]: Load }
  readonly mostInside: number
  readonly busiestMinute: number
  readonly turnedAway: number
  readonly reserved: number
  readonly recoveryMs: number
  readonly violations: ReadonlyArray<Violation>
  readonly violationCount: number
}): Report => {
  const { hours, load, seed, statistics } = input
  const temperaments = statistics.map(ofTally)
  const good = statistics.filter(({ temperament }) => temperament.wellBehaved)
  const wanted = good.reduce((sum, tally) => sum + tally.wanted, 0)
  const got = good.reduce((sum, tally) => sum + tally.got, 0)
  const outages = [load.refusing, load.hanging]
  const total = (of: (load: Load) => number): number =>
    Object.values(load).reduce((all, each) => all + of(each), 0)
  const sum = (of: (load: Load) => number): number => outages.reduce((total, each) => total + of(each), 0)
  return {
    seed,
    hours,
    layers: input.layers,
    calls: statistics.reduce((total, { calls }) => total + calls, 0),
    goodput: round(ratio(got, wanted), 4),
    goodputPerHour: round(ratio(got, hours), 1),
    worstWaitMs: Math.max(
      0,
      ...good.flatMap(({ byClient }) => [...byClient.values()].map((waits) => waits.quantile(0.99)))
    ),
    loadNormal: round(ratio(load.healthy.attempts, load.healthy.ms / 60_000), 2),
    loadBusiest: input.busiestMinute,
    loadOutage: round(
      ratio(
        sum((_) => _.attempts),
        sum((_) => _.ms) / 60_000
      ),
      2
    ),
    amplification: round(
      ratio(
        sum((_) => _.attemptsForWanted),
        sum((_) => _.wanted)
      ),
      3
    ),
    mostStatements: input.mostInside,
    attempts: round(
      ratio(
        total((_) => _.attempts),
        hours * 60
      ),
      2
    ),
    attemptsPerWish: round(
      ratio(
        total((_) => _.attemptsForWanted),
        total((_) => _.wanted)
      ),
      4
    ),
    reservations: round(ratio(input.reserved, hours * 60), 2),
    turnedAway: round(
      ratio(
        input.turnedAway,
        total((_) => _.attempts)
      ),
      4
    ),
    recoveryMs: round(input.recoveryMs, 0),
    temperaments,
    violations: input.violations,
    violationCount: input.violationCount,
    replay: `npm run simulate -- --seed ${seed} --hours ${hours}`
  }
}
