/**
 * Small worlds of some minutes before a server with its default settings, each with one kind of trouble: enough for a
 * mechanism to matter, short enough for many seeds.
 */
import type { ClientOptions, Temperament } from "./clients.js"
import * as Random from "./Random.js"
import * as Scenarios from "./scenarios.js"
import type { Scenario } from "./scenarios.js"
import * as Temperaments from "./temperaments.js"
import type { Options as WarehouseOptions, Phase, Weather } from "./warehouse.js"

const SECOND = 1_000
const MINUTE = 60 * SECOND

const analyst: Temperament = {
  ...Temperaments.steady,
  name: "analyst",
  arrivals: { _tag: "steady", everyMs: 6 * SECOND },
  metadata: 0.3,
  afterFailure: { _tag: "waits", times: 1, earlyMs: 0 },
  deadlineMs: 30 * SECOND
}

const loop: Temperament = {
  ...analyst,
  name: "loop",
  wellBehaved: false,
  metadata: 0,
  mistakes: 0,
  arrivals: { _tag: "loops", parallel: 30, pauseMs: SECOND },
  afterFailure: { _tag: "gives up" }
}

const some = (count: number, temperament: Temperament): ReadonlyArray<ClientOptions> =>
  Array.from({ length: count }, (_, i) => ({ name: `${temperament.name} ${i + 1}`, temperament }))

const world = (
  clients: ReadonlyArray<ClientOptions>,
  warehouse: Partial<WarehouseOptions> = {}
): Scenario => ({
  server: Scenarios.defaultServer(),
  warehouse: {
    slots: 20,
    overloadAbove: 80,
    queryMs: 300,
    metadataMs: 60,
    spread: 0.5,
    faultRate: 0.25,
    phases: [],
    ...warehouse
  },
  clients,
  work: { everyMs: 60 * MINUTE, lastMs: 60 * MINUTE },
  maxOps: Scenarios.MANY_OPS
})

/** One client asks for long queries without end; ten others want one now and then. */
export const hog = (): Scenario =>
  world(
    [
      ...some(10, analyst),
      ...some(1, { ...loop, arrivals: { _tag: "loops", parallel: 60, pauseMs: SECOND } })
    ],
    { queryMs: 6 * SECOND }
  )

/** Ninety clients of a tier for batch work ask for long queries without end; sixteen others want one now and then. */
export const batch = (): Scenario => {
  const { server, ...rest } = world(
    [
      ...some(16, analyst),
      ...some(90, {
        ...loop,
        name: "batch",
        tier: "batch",
        arrivals: { _tag: "loops", parallel: 1, pauseMs: SECOND }
      })
    ],
    { queryMs: 6 * SECOND }
  )
  const tiers = { ...server.guard.tiers, batch: { maxTokenWaitMs: 2 * SECOND, batch: true } }
  return { ...rest, server: { ...server, guard: { ...server.guard, tiers } } }
}

/** Two clients of unlike weight ask for long queries without end, and it is the one with three turns that counts. */
export const weighted = (): Scenario => {
  const { server, ...rest } = world(
    [
      ...some(1, { ...loop, name: "gold", tier: "gold", wellBehaved: true }),
      ...some(1, { ...loop, name: "plain" })
    ],
    { queryMs: 6 * SECOND }
  )
  return {
    ...rest,
    server: { ...server, bulkhead: { ...server.bulkhead, tierWeights: { gold: 3 } } }
  }
}

/** One client with generous rates floods a warehouse that is slow to answer look-ups; the others want one each. */
export const flood = (): Scenario => {
  const { server, ...rest } = world(
    [
      ...some(8, { ...analyst, metadata: 1 }),
      ...some(1, {
        ...loop,
        name: "flood",
        metadata: 1,
        arrivals: { _tag: "loops", parallel: 300, pauseMs: 3 * SECOND }
      })
    ],
    { metadataMs: 3 * SECOND }
  )
  const plenty = { rate: 500, burst: 1_000 }
  return {
    ...rest,
    server: {
      ...server,
      limiter: { ...server.limiter, global: plenty, classes: {}, tiers: { default: { client: plenty } } }
    }
  }
}

/** Six clients ask for more queries than all together may send; ten others want little. */
export const rush = (): Scenario =>
  world([
    ...some(10, { ...analyst, metadata: 0 }),
    ...some(6, { ...loop, arrivals: { _tag: "loops", parallel: 5, pauseMs: 500 } })
  ])

/** Bursts that pass a client's own rate for a second or two. */
export const bursts = (): Scenario => {
  const arrivals = { _tag: "bursts", everyMs: 40 * SECOND, size: 125, withinMs: SECOND } as const
  return world(
    some(3, { ...analyst, name: "burst", metadata: 1, afterFailure: { _tag: "gives up" }, arrivals })
  )
}

/** Agents that send statements which cannot work, again and again, beside analysts. */
export const stuck = (): Scenario =>
  world([
    ...some(8, analyst),
    ...some(3, {
      ...loop,
      name: "stuck",
      mistakes: 1,
      questions: 3,
      arrivals: { _tag: "loops", parallel: 2, pauseMs: 500 }
    })
  ])

/** Twenty clients look at the same tables in the same seconds; `freshMs` as an operator sets it. */
export const herd = (): Scenario => {
  const reader: Temperament = {
    ...analyst,
    name: "reader",
    metadata: 1,
    mistakes: 0,
    questions: 4,
    arrivals: { _tag: "steady", everyMs: 300 },
    episodes: { everyMs: MINUTE, lastMs: 2 * SECOND, together: true }
  }
  const scenario = world(some(20, reader), { metadataMs: 1_500 })
  return {
    ...scenario,
    server: { ...scenario.server, cache: { ...scenario.server.cache, freshMs: 10 * SECOND } }
  }
}

/** Spans of the same weather, with times that differ from seed to seed. */
const spells = (
  seed: number,
  weather: Weather,
  { everyMs, hours, lastMs }: { readonly everyMs: number; readonly lastMs: number; readonly hours: number }
): ReadonlyArray<Phase> => {
  const random = Random.stream(seed, weather)
  const phases: Array<Phase> = []
  for (let at = everyMs / 2; at + lastMs * 1.5 < hours * 60 * MINUTE; at += everyMs) {
    const fromMs = Math.round(at + random.between(0, everyMs / 6))
    phases.push({ weather, fromMs, untilMs: Math.round(fromMs + lastMs * random.between(0.8, 1.2)) })
  }
  return phases
}

/** Hours of the worlds with weather. */
export const spellHours = 0.2

const crowd = [
  ...some(12, { ...analyst, arrivals: { _tag: "steady", everyMs: 4 * SECOND } }),
  ...some(3, {
    ...analyst,
    name: "agent",
    arrivals: { _tag: "bursts", everyMs: 20 * SECOND, size: 20, withinMs: 4 * SECOND }
  })
]

/**
 * Others overload the warehouse for some twenty seconds every minute and a half: it turns away what is more than it can
 * take, and that is work too. It recovers when the pressure falls.
 */
export const overload = (seed: number): Scenario =>
  world(crowd, {
    queryMs: 600,
    spare: 3,
    phases: spells(seed, "overloaded", { everyMs: 90 * SECOND, lastMs: 20 * SECOND, hours: spellHours })
  })

/** The same, with room for one statement and for a minute at a time. */
export const collapse = (seed: number): Scenario =>
  world(crowd, {
    queryMs: 600,
    spare: 1,
    phases: spells(seed, "overloaded", { everyMs: 150 * SECOND, lastMs: MINUTE, hours: spellHours })
  })

/** A quarter of the statements fails now and then, for reasons that have nothing to do with the load. */
export const faults = (seed: number): Scenario =>
  world(crowd, {
    phases: spells(seed, "brownout", { everyMs: 90 * SECOND, lastMs: 30 * SECOND, hours: spellHours })
  })

/** The warehouse cannot be reached for a minute and a half at a time; two clients storm when they fail. */
export const outage = (seed: number): Scenario =>
  world(
    [
      ...some(12, { ...analyst, metadata: 0.5 }),
      ...some(2, {
        ...analyst,
        name: "storm",
        wellBehaved: false,
        afterFailure: { _tag: "storms", times: 10, pauseMs: 50 }
      })
    ],
    {
      phases: spells(seed, "refusing", { everyMs: 240 * SECOND, lastMs: 90 * SECOND, hours: spellHours })
    }
  )
