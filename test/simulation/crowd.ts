/**
 * A crowd for any world: now and then one asks for all that there is, another too, one is willing to wait,
 * and some want no more than their share; and it is the shared buckets that are tight.
 */
import { bucket } from "./buckets.js"
import type { ClientOptions, Temperament } from "./clients.js"
import type * as Random from "./Random.js"
import type { Scenario } from "./scenarios.js"
import * as Temperaments from "./temperaments.js"

const MINUTE = 60_000

/** The same world with a crowd in it, all at the same time, so often and for so long. */
export const join = (
  { clients, server, warehouse, ...rest }: Scenario,
  random: Random.Stream,
  { everyMs, lastMs } = { everyMs: 30 * MINUTE, lastMs: 15_000 }
): Scenario => {
  const episodes = { everyMs, lastMs, together: true }
  const pauseMs = random.pick([70, 200])
  const greedy: Temperament = {
    ...Temperaments.all.abusive,
    name: "greedy",
    arrivals: { _tag: "loops", parallel: random.integer(2, 6), pauseMs },
    afterFailure: random.pick([{ _tag: "gives up" }, { _tag: "waits", times: 3, earlyMs: 0 }]),
    episodes
  }
  const rival: Temperament = { ...greedy, name: "rival", arrivals: { _tag: "loops", parallel: 1, pauseMs } }
  const patient: Temperament = { ...greedy, name: "patient", tier: "batch" }
  const modest: Temperament = {
    ...Temperaments.steady,
    name: "modest",
    wellBehaved: false,
    arrivals: { _tag: "steady", everyMs: random.pick([1_500, 3_000]) },
    episodes
  }
  const some = (count: number, temperament: Temperament): ReadonlyArray<ClientOptions> =>
    Array.from({ length: count }, (_, i) => ({ name: `${temperament.name} ${i + 1}`, temperament }))
  const intervalMs = random.pick([125, 250, 500])
  const own = bucket(50, 200)
  const plenty = { requests_per_hour: 100_000 }
  return {
    ...rest,
    // Quick answers: it is not the warehouse that they wait for.
    warehouse: { ...warehouse, queryMs: 40, metadataMs: 20 },
    server: {
      ...server,
      limiter: {
        ...server.limiter,
        global: bucket(random.pick([40, 100]), random.pick([16, 40])),
        classes: { query: bucket(intervalMs, random.pick([2, 4, 8, 16])) },
        tiers: {
          default: { client: own },
          gold: { client: own },
          batch: { client: own, total: bucket(random.pick([100, 1_000]), 8) }
        }
      },
      quota: { tiers: { default: plenty, gold: plenty, batch: plenty }, global: {} }
    },
    clients: [
      ...clients,
      ...some(1, greedy),
      ...some(random.integer(0, 1), rival),
      ...some(random.integer(0, 2), patient),
      ...some(random.integer(1, 4), modest)
    ]
  }
}
