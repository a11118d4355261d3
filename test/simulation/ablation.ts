/**
 * What each mechanism of the guard is worth: the same worlds with it and without it, over many seeds. A mechanism that
 * changes its column by less than the noise has no place in the guard.
 */
import { Effect, Layer } from "effect"
import * as Bulkhead from "../../src/guard/Bulkhead.js"
import * as LoopGuard from "../../src/guard/LoopGuard.js"
import * as ResultCache from "../../src/tools/ResultCache.js"
import type { Estimate } from "./estimate.js"
import { estimate, inWords } from "./estimate.js"
import type { Report } from "./report.js"
import { simulate } from "./run.js"
import type { Scenario } from "./scenarios.js"
import type { Layers, Options as ServerOptions, Replacements } from "./server.js"
import * as Worlds from "./worlds.js"

interface Variant {
  readonly server?: ((server: ServerOptions) => ServerOptions) | undefined
  readonly layers?: Partial<Layers> | undefined
  readonly replaced?: ((scenario: Scenario) => Replacements) | undefined
}

const percent = (part: number): string => `${(part * 100).toFixed(1)} %`
const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`

interface Column {
  readonly title: string
  readonly of: (report: Report) => number
  readonly print: (value: number) => string
}

const columns = {
  served: { title: "well-behaved clients get", of: (_) => _.goodput, print: percent },
  p99: { title: "worst of them waits (p99)", of: (_) => _.worstWaitMs, print: seconds },
  attempts: { title: "warehouse calls/min", of: (_) => _.attempts, print: (_) => _.toFixed(0) },
  perWish: { title: "attempts per request", of: (_) => _.attemptsPerWish, print: (_) => _.toFixed(2) },
  outage: { title: "calls/min in an outage", of: (_) => _.loadOutage, print: (_) => _.toFixed(1) },
  turnedAway: { title: "turned away by the warehouse", of: (_) => _.turnedAway, print: percent },
  recovery: { title: "last failure after an overload", of: (_) => _.recoveryMs, print: seconds },
  perHour: { title: "they get in an hour", of: (_) => _.goodputPerHour, print: (_) => _.toFixed(0) },
  reservations: { title: "quota reservations/min", of: (_) => _.reservations, print: (_) => _.toFixed(0) },
  statements: { title: "most statements at once", of: (_) => _.mostStatements, print: (_) => _.toFixed(0) }
} as const satisfies { readonly [name: string]: Column }

type ColumnName = keyof typeof columns

interface World {
  readonly hours: number
  readonly scenario: (seed: number) => Scenario
}

const worlds = {
  hog: { hours: 0.04, scenario: Worlds.hog },
  batch: { hours: 0.04, scenario: Worlds.batch },
  weighted: { hours: 0.05, scenario: Worlds.weighted },
  flood: { hours: 0.01, scenario: Worlds.flood },
  rush: { hours: 0.02, scenario: Worlds.rush },
  bursts: { hours: 0.05, scenario: Worlds.bursts },
  stuck: { hours: 0.03, scenario: Worlds.stuck },
  herd: { hours: 0.05, scenario: Worlds.herd },
  overload: { hours: Worlds.spellHours, scenario: Worlds.overload },
  collapse: { hours: Worlds.spellHours, scenario: Worlds.collapse },
  faults: { hours: Worlds.spellHours, scenario: Worlds.faults },
  outage: { hours: Worlds.spellHours, scenario: Worlds.outage }
} as const satisfies { readonly [name: string]: World }

type WorldName = keyof typeof worlds

export interface Ablation {
  readonly mechanism: string
  readonly world: WorldName
  /** The column by which it is judged, chosen before it was measured. */
  readonly column: ColumnName
  readonly without: Variant
  /** What it is compared with, where that is not the whole server. */
  readonly with?: Variant | undefined
}

const pools =
  (change: (pool: Bulkhead.PoolOptions) => Bulkhead.PoolOptions) =>
  (server: ServerOptions): ServerOptions => ({
    ...server,
    bulkhead: {
      ...server.bulkhead,
      requests: change(server.bulkhead.requests),
      statements: change(server.bulkhead.statements)
    }
  })

/** One queue for all clients, without what depends on whose call it is. */
const onlyQueue = pools((pool) => ({ ...pool, reserve: 0, maxQueuePerClient: pool.maxQueue }))

const firstComeFirstServed = ({ server }: Scenario): Replacements => ({
  bulkhead: Layer.effect(
    Bulkhead.Bulkhead,
    Effect.map(Bulkhead.Bulkhead, (real) => ({
      ...real,
      acquire: (pool, request) => real.acquire(pool, { ...request, client: "all clients" })
    }))
  ).pipe(Layer.provide(Bulkhead.layer(server.bulkhead)))
})

/** Remembers answers, and each call asks for itself. */
const withoutFollowers = ({ server }: Scenario): Replacements => ({
  cache: Layer.effect(
    ResultCache.ResultCache,
    Effect.map(ResultCache.ResultCache, (real) => ({
      ...real,
      serve: (request, effect) => {
        const ask = Effect.map(
          Effect.tap(effect, (value) => real.store(request.key, value, 100)),
          (value) => ({ value })
        )
        return Effect.flatMap(real.lookup(request.key), (hit) =>
          hit._tag === "Some" && hit.value.fresh ? real.serve(request, effect) : ask
        )
      }
    }))
  ).pipe(Layer.provide(ResultCache.layer(server.cache)))
})

const signal = (degradation: ServerOptions["degradation"]): Variant => ({
  server: (server) => ({ ...server, degradation: { ...server.degradation, ...degradation } })
})

const never = {
  constrained: Number.POSITIVE_INFINITY,
  cacheOnly: Number.POSITIVE_INFINITY,
  emergency: Number.POSITIVE_INFINITY
}

const fixedBackoff: Variant = {
  server: (server) => ({ ...server, retry: { ...server.retry, maxBackoffFactor: 1 } })
}

const ablation = (
  mechanism: string,
  world: WorldName,
  column: ColumnName,
  without: Variant,
  whole?: Variant
): Ablation => ({ mechanism, world, column, without, with: whole })

export const ablations: ReadonlyArray<Ablation> = [
  ablation("slots (bulkhead)", "hog", "statements", { layers: { bulkhead: false } }),
  ablation(
    "round robin between clients",
    "hog",
    "served",
    { server: onlyQueue, replaced: firstComeFirstServed },
    { server: onlyQueue }
  ),
  ablation("slots in reserve", "hog", "served", { server: pools((pool) => ({ ...pool, reserve: 0 })) }),
  ablation("bound on the queue of one client", "flood", "served", {
    server: pools((pool) => ({ ...pool, maxQueuePerClient: pool.maxQueue }))
  }),
  ablation("slots for calls beside those for statements", "flood", "statements", {
    server: (server) => ({
      ...server,
      bulkhead: { ...server.bulkhead, requests: { ...server.bulkhead.requests, permits: 100_000 } }
    })
  }),
  ablation("weights of tiers", "weighted", "perHour", {
    server: (server) => ({ ...server, bulkhead: { ...server.bulkhead, tierWeights: {} } })
  }),
  ablation("reserve of shared rates", "rush", "p99", {
    server: (server) => ({ ...server, limiter: { ...server.limiter, reserved: 0 } })
  }),
  ablation("wait for rate tokens", "bursts", "served", {
    server: (server) => ({
      ...server,
      guard: { ...server.guard, tiers: { default: { maxTokenWaitMs: 0, batch: false } } }
    })
  }),
  ablation("loop guard", "stuck", "attempts", { replaced: () => ({ loops: LoopGuard.layerNoop }) }),
  ablation("fresh answers from the cache", "herd", "attempts", {
    server: (server) => ({ ...server, cache: { ...server.cache, freshMs: 0 } })
  }),
  ablation("one question at a time (single flight)", "herd", "attempts", { replaced: withoutFollowers }),
  ablation("old answers in an outage", "outage", "served", {
    server: (server) => ({ ...server, cache: { ...server.cache, maxAgeMs: 0 } })
  }),
  ablation("retry budget", "collapse", "perWish", {
    server: (server) => ({
      ...server,
      retry: { ...server.retry, budget: { ratio: 1_000, cap: 1_000_000, initial: 1_000_000 } }
    })
  }),
  ablation("adaptive backoff", "overload", "served", fixedBackoff),
  ablation("adaptive backoff", "overload", "perWish", fixedBackoff),
  ablation("adaptive backoff", "overload", "recovery", fixedBackoff),
  ablation("adaptive backoff", "collapse", "served", fixedBackoff),
  ablation("adaptive backoff", "faults", "served", fixedBackoff),
  ablation("adaptive backoff", "faults", "p99", fixedBackoff),
  ablation("ladder: circuit", "outage", "reservations", signal({ sources: { breaker: undefined } })),
  ablation("ladder: wait for slots", "batch", "served", signal({ slotWaitMs: never })),
  ablation("ladder: refusals for overload", "collapse", "turnedAway", signal({ refusalRatio: never }))
]

export interface Row extends Pick<Ablation, "mechanism" | "world"> {
  readonly column: string
  readonly with: Estimate
  readonly without: Estimate
  /** The intervals do not overlap. */
  readonly apart: boolean
  readonly print: (value: number) => string
  /** All columns, with and without it. */
  readonly all: { readonly [column: string]: readonly [Estimate, Estimate] }
}

export const measure = (options: {
  readonly seed: number
  readonly seeds: number
  readonly of?: ReadonlyArray<Ablation> | undefined
  readonly each?: ((row: Row) => void) | undefined
  readonly run?: ((report: Report) => void) | undefined
}): ReadonlyArray<Row> => {
  const known = new Map<string, ReadonlyArray<Report>>()
  const simulated = (world: WorldName, { layers, replaced, server }: Variant): ReadonlyArray<Report> =>
    Array.from({ length: options.seeds }, (_, i) => {
      const seed = options.seed + i
      const { hours, scenario } = worlds[world]
      const made = scenario(seed)
      const changed = server === undefined ? made : { ...made, server: server(made.server) }
      const report = simulate({ seed, hours, scenario: changed, layers, replaced })
      options.run?.(report)
      return report
    })
  /** Those of the last variant of a world, and those of the whole server, are made once. */
  const last = new Map<WorldName, readonly [Variant, ReadonlyArray<Report>]>()
  const reports = (world: WorldName, variant: Variant): ReadonlyArray<Report> => {
    const before = last.get(world)
    if (before?.[0] === variant) return before[1]
    const made = simulated(world, variant)
    last.set(world, [variant, made])
    return made
  }
  const whole = (world: WorldName): ReadonlyArray<Report> => {
    const found = known.get(world) ?? simulated(world, {})
    known.set(world, found)
    return found
  }
  return (options.of ?? ablations).map((ablation) => {
    const { mechanism, world } = ablation
    const own = ablation.with === undefined ? whole(world) : reports(world, ablation.with)
    const others = reports(world, ablation.without)
    const both = ({ of }: Column): readonly [Estimate, Estimate] => [
      estimate(own.map(of)),
      estimate(others.map(of))
    ]
    const column: Column = columns[ablation.column]
    const [one, other] = both(column)
    const row: Row = {
      mechanism,
      world,
      column: column.title,
      with: one,
      without: other,
      apart: Math.abs(one.mean - other.mean) > one.error + other.error,
      print: column.print,
      all: Object.fromEntries(Object.values(columns).map((each: Column) => [each.title, both(each)]))
    }
    options.each?.(row)
    return row
  })
}

/** For docs/architecture.md. */
export const line = ({ apart, column, mechanism, print, with: one, without, world }: Row): string =>
  `| ${[mechanism, world, column, inWords(one, print), inWords(without, print), apart ? "yes" : "no"].join(" | ")} |`

export const head = [
  "| mechanism | world | column | with it | without it | intervals apart |",
  "| --- | --- | --- | ---: | ---: | --- |"
].join("\n")
