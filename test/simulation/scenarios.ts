/**
 * What is simulated: a server's limits, a warehouse's timetable, and clients. Made up from a seed, so that
 * no two are alike, or written by hand, for a table that can be compared from one version to the next.
 */
import * as ServerConfig from "../../src/config/ServerConfig.js"
import { bucket } from "./buckets.js"
import type { ClientOptions, Temperament } from "./clients.js"
import * as Crowd from "./crowd.js"
import * as Random from "./Random.js"
import * as Temperaments from "./temperaments.js"
import type { Options as ServerOptions } from "./server.js"
import type { Options as WarehouseOptions, Phase, Weather } from "./warehouse.js"

export interface Scenario {
  readonly server: ServerOptions
  readonly warehouse: WarehouseOptions
  readonly clients: ReadonlyArray<ClientOptions>
  /** No client wants anything outside of the working time: so long, and so often. */
  readonly work: { readonly everyMs: number; readonly lastMs: number }
  /** Steps that a fiber takes before it lets others go on; few of them make for many interleavings. */
  readonly maxOps: number
}

const MINUTE = 60_000
const HOUR = 60 * MINUTE

/** So seldom that it never happens. */
export const MANY_OPS = 1_000_000

/** Nothing is as busy as in a table of eight clients; bursts stay what they are, and come less often. */
const calmer = (temperament: Temperament, factor: number): Temperament => {
  const { arrivals, episodes } = temperament
  return {
    ...temperament,
    arrivals: arrivals._tag === "loops" ? arrivals : { ...arrivals, everyMs: arrivals.everyMs * factor },
    episodes: episodes === undefined ? undefined : { ...episodes, everyMs: episodes.everyMs * factor }
  }
}

/** Bad weather now and then; outages of some minutes, long enough for the breaker to open several times. */
const timetable = (random: Random.Stream, hours: number, everyMs: number): ReadonlyArray<Phase> => {
  const kinds: ReadonlyArray<Weather> = ["refusing", "hanging", "slow", "brownout", "throttling"]
  const phases: Array<Phase> = []
  let at = random.exponential(everyMs / 2)
  while (at < hours * HOUR) {
    const untilMs = Math.round(at + random.between(0.5 * MINUTE, 12 * MINUTE))
    phases.push({ weather: random.pick(kinds), fromMs: Math.round(at), untilMs })
    at = untilMs + random.exponential(everyMs)
  }
  return phases
}

/** A small world made up from the seed: tight limits, so that every one of them is reached. */
export const generate = (seed: number, hours: number): Scenario => {
  const random = Random.stream(seed, "crowd")
  const world = anyWorld(seed, hours)
  return random.chance(0.3) ? Crowd.join(world, random) : world
}

const anyWorld = (seed: number, hours: number): Scenario => {
  const random = Random.stream(seed, "scenario")
  const permits = random.integer(1, 5)
  const burst = random.pick([3, 5, 10, 20])
  const slots = random.integer(1, permits + 2)
  const hourly = random.pick([60, 150, 400])
  const reserve = permits > 1 && Random.stream(seed, "reserve").chance(0.5) ? 1 : 0
  const statements = {
    permits,
    reserve,
    maxQueue: random.integer(2, 20),
    maxQueuePerClient: random.integer(1, 8)
  }
  const calm = random.pick([2, 4])
  const clients: Array<ClientOptions> = []
  for (const [name, temperament] of Object.entries(Temperaments.all)) {
    const count = name === "steady" ? random.integer(1, 3) : random.integer(0, 1)
    for (let i = 1; i <= count; i++)
      clients.push({ name: `${name} ${i}`, temperament: calmer(temperament, calm) })
  }
  return {
    server: {
      limiter: {
        global: bucket(random.pick([50, 100, 250]), random.pick([10, 20, 40])),
        classes: random.chance(0.8)
          ? { query: bucket(random.pick([125, 250, 500]), random.pick([5, 10])) }
          : {},
        tiers: {
          default: { client: bucket(random.pick([250, 500, 1000, 2000]), burst, Math.ceil(burst / 2)) },
          gold: { client: bucket(200, 20) },
          batch: { client: bucket(500, 5), total: bucket(1000, 8) }
        }
      },
      quota: {
        tiers: {
          default: {
            requests_per_hour: hourly,
            requests_per_day: hourly * 20,
            queries_per_hour: Math.round(hourly * 0.7),
            bytes_per_day: hourly * 10_000
          },
          gold: { requests_per_hour: 500, bytes_per_day: 20_000_000 },
          batch: { queries_per_hour: 300, bytes_per_day: 1_000_000 }
        },
        global: random.chance(0.5) ? { requests_per_hour: hourly * 5, bytes_per_day: 50_000_000 } : {}
      },
      bulkhead: {
        requests: {
          permits: permits + random.integer(0, 4),
          reserve,
          maxQueue: random.integer(4, 30),
          maxQueuePerClient: random.integer(2, 10)
        },
        statements,
        tierWeights: { default: 1, gold: random.integer(1, 3), batch: 1 }
      },
      breaker: {
        consecutiveFailures: random.integer(2, 5),
        probes: random.integer(1, 3),
        probeSuccesses: random.integer(1, 3),
        probeLeaseMs: 60_000,
        windowMs: 300_000
      },
      openTimes: { firstMs: random.pick([5_000, 15_000, 30_000]), factor: 2, capMs: 300_000 },
      guard: {
        maxWaitMs: random.pick([500, 2_000, 5_000]),
        tiers: {
          default: { maxTokenWaitMs: 0, batch: false },
          gold: { maxTokenWaitMs: 1_500, batch: false },
          batch: { maxTokenWaitMs: 30_000, batch: true }
        }
      },
      cache: { freshMs: 30_000 }
    },
    warehouse: {
      slots,
      overloadAbove: slots + random.integer(1, 10),
      queryMs: random.pick([300, 1_000, 3_000]),
      metadataMs: random.pick([30, 120]),
      spread: random.between(0.2, 1),
      faultRate: random.between(0.1, 0.8),
      phases: timetable(random, hours, 2 * HOUR)
    },
    clients,
    work: { everyMs: random.pick([6, 12, 12]) * HOUR, lastMs: random.pick([1, 1.5, 3]) * HOUR },
    maxOps: random.pick([MANY_OPS, MANY_OPS, MANY_OPS, 41, 23])
  }
}

/** An hour with every kind of trouble in it, and steady traffic all the time. */
export const roughHour = (seed: number): Scenario => {
  const scenario = generate(seed, 1)
  const hour: ReadonlyArray<readonly [Weather, number, number]> = [
    ["refusing", 5, 15],
    ["hanging", 20, 28],
    ["brownout", 34, 46],
    ["throttling", 50, 55]
  ]
  return {
    ...scenario,
    warehouse: { ...scenario.warehouse, phases: phasesOf(hour, 1) },
    clients: Object.entries(Temperaments.all).map(([name, temperament]: [string, Temperament]) => ({
      name,
      temperament:
        temperament.episodes === undefined
          ? temperament
          : { ...temperament, episodes: { ...temperament.episodes, everyMs: 10 * MINUTE } }
    })),
    work: { everyMs: HOUR, lastMs: HOUR },
    maxOps: MANY_OPS
  }
}

/** An hour in which several ask for more than there is most of the time, in fair weather. */
export const crowdedHour = (seed: number, lastMs = 30_000): Scenario => {
  const scenario = roughHour(seed)
  const fair = { ...scenario, warehouse: { ...scenario.warehouse, phases: [] } }
  return Crowd.join(fair, Random.stream(seed, "crowd"), { everyMs: 3 * MINUTE, lastMs })
}

const phasesOf = (
  hourly: ReadonlyArray<readonly [Weather, number, number]>,
  hours: number
): ReadonlyArray<Phase> =>
  Array.from({ length: Math.ceil(hours) }, (_, hour) =>
    hourly.map(([weather, from, until]) => ({
      weather,
      fromMs: hour * HOUR + from * MINUTE,
      untilMs: hour * HOUR + until * MINUTE
    }))
  ).flat()

/** The HTTP server before Snowflake, with its default settings. */
export const defaultServer = (): ServerOptions => {
  const settings = { ...ServerConfig.defaults, warehouse: "snowflake" as const }
  const { openMaxMs, openMs, ...breaker } = ServerConfig.breakerOptions(settings)
  return {
    limiter: ServerConfig.rateLimiterOptions(settings),
    quota: ServerConfig.quotaOptions(settings),
    bulkhead: ServerConfig.bulkheadOptions(settings, { shared: true }),
    breaker: {
      ...breaker,
      probeSuccesses: breaker.probes,
      probeLeaseMs: settings.timeouts.maxStatementSeconds * 1000
    },
    openTimes: { firstMs: openMs, factor: 2, capMs: openMaxMs },
    guard: ServerConfig.guardOptions(settings),
    cache: ServerConfig.cacheOptions(settings)
  }
}

/**
 * An HTTP server with its default settings on a day when everything happens: two agents in a tight loop now and
 * then, two that storm when they fail, and every hour two outages, a slow and a faulty warehouse. Twelve
 * analysts and three busy agents only want their answers. `parallel`: calls that a loop makes at once;
 * `slots`: statements that the warehouse runs at once.
 */
export const badDay = (hours: number, { parallel = 30, slots = 16 } = {}): Scenario => {
  const analyst: Temperament = {
    ...Temperaments.steady,
    name: "analyst",
    arrivals: { _tag: "steady", everyMs: 8_000 },
    afterFailure: { _tag: "waits", times: 2, earlyMs: 0 },
    deadlineMs: 30_000
  }
  const agent: Temperament = {
    ...analyst,
    name: "agent",
    arrivals: { _tag: "bursts", everyMs: 2 * MINUTE, size: 20, withinMs: 4_000 }
  }
  const loop: Temperament = {
    ...analyst,
    name: "loop",
    wellBehaved: false,
    metadata: 0.1,
    arrivals: { _tag: "loops", parallel, pauseMs: 1_000 },
    afterFailure: { _tag: "gives up" },
    episodes: { everyMs: 20 * MINUTE, lastMs: 2 * MINUTE }
  }
  const storm: Temperament = {
    ...analyst,
    name: "storm",
    wellBehaved: false,
    arrivals: { _tag: "steady", everyMs: 10_000 },
    afterFailure: { _tag: "storms", times: 10, pauseMs: 50 }
  }
  const hourly: ReadonlyArray<readonly [Weather, number, number]> = [
    ["brownout", 5, 12],
    ["refusing", 18, 24],
    ["slow", 30, 34],
    ["hanging", 40, 46],
    ["throttling", 52, 56]
  ]
  const some = (count: number, temperament: Temperament): ReadonlyArray<ClientOptions> =>
    Array.from({ length: count }, (_, i) => ({ name: `${temperament.name} ${i + 1}`, temperament }))
  return {
    server: defaultServer(),
    warehouse: {
      slots,
      overloadAbove: 80,
      queryMs: 300,
      metadataMs: 60,
      spread: 0.6,
      faultRate: 0.25,
      phases: phasesOf(hourly, hours)
    },
    clients: [...some(12, analyst), ...some(3, agent), ...some(2, loop), ...some(2, storm)],
    work: { everyMs: HOUR, lastMs: HOUR },
    maxOps: MANY_OPS
  }
}
