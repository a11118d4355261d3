/**
 * What each mechanism of the guard is worth: the same worlds with it and without it, over many seeds. A mechanism that
 * changes its column by less than the noise has no place in the guard.
 */
import { Effect, Layer } from "effect"
import * as Bulkhead from "../../src/guard/Bulkhead.js"
import * as LoopGuard from "../../src/guard/LoopGuard.js"
import * as ResultCache from "../../src/tools/ResultCache.js"
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
  statements: { title: "most statements at once", of: (_) => _.mostStatements, print: (_) => _.toFixed(0) }
} as const satisfies { readonly [name: string]: Column }

type ColumnName = keyof typeof columns

interface World {
  readonly hours: number
  readonly scenario: (seed: number) => Scenario
}

const worlds = {
  hog: { hours: 0.05, scenario: Worlds.hog },
  rush: { hours: 0.03, scenario: Worlds.rush },
  bursts: { hours: 0.05, scenario: Worlds.bursts },
  stuck: { hours: 0.05, scenario: Worlds.stuck },
  herd: { hours: 0.1, scenario: Worlds.herd },
  overload: { hours: Worlds.overloadHours, scenario: Worlds.overload },
  trouble: { hours: 0.2, scenario: Worlds.trouble }
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

export const ablations: ReadonlyArray<Ablation> = [
  {
    mechanism: "slots (bulkhead)",
    world: "hog",
    column: "statements",
    without: { layers: { bulkhead: false } }
  },
  {
    mechanism: "round robin between clients for slots",
    world: "hog",
    column: "served",
    with: { server: onlyQueue },
    without: { server: onlyQueue, replaced: firstComeFirstServed }
  },
  {
    mechanism: "slots in reserve for clients that have none",
    world: "hog",
    column: "p99",
    without: { server: pools((pool) => ({ ...pool, reserve: 0 })) }
  },
  {
    mechanism: "bound on the queue of one client",
    world: "hog",
    column: "served",
    without: { server: pools((pool) => ({ ...pool, maxQueuePerClient: pool.maxQueue })) }
  },
  {
    mechanism: "reserve of shared rates",
    world: "rush",
    column: "served",
    without: { server: (server) => ({ ...server, limiter: { ...server.limiter, reserved: 0 } }) }
  },
  {
    mechanism: "wait for rate tokens",
    world: "bursts",
    column: "served",
    without: {
      server: (server) => ({
        ...server,
        guard: { ...server.guard, tiers: { default: { maxTokenWaitMs: 0, batch: false } } }
      })
    }
  },
  {
    mechanism: "loop guard",
    world: "stuck",
    column: "attempts",
    without: {
      replaced: () => ({ loops: LoopGuard.layerNoop })
    }
  },
  {
    mechanism: "fresh answers from the cache",
    world: "herd",
    column: "attempts",
    without: { server: (server) => ({ ...server, cache: { ...server.cache, freshMs: 0 } }) }
  },
  {
    mechanism: "one question at a time (single flight)",
    world: "herd",
    column: "attempts",
    without: { replaced: withoutFollowers }
  },
  {
    mechanism: "old answers during an outage",
    world: "trouble",
    column: "served",
    without: { server: (server) => ({ ...server, cache: { ...server.cache, maxAgeMs: 0 } }) }
  },
  {
    mechanism: "retry budget",
    world: "overload",
    column: "perWish",
    without: {
      server: (server) => ({
        ...server,
        retry: { ...server.retry, budget: { ratio: 1_000, cap: 1_000_000, initial: 1_000_000 } }
      })
    }
  },
  {
    mechanism: "adaptive backoff: share served",
    world: "overload",
    column: "served",
    without: { server: (server) => ({ ...server, retry: { ...server.retry, maxBackoffFactor: 1 } }) }
  },
  {
    mechanism: "adaptive backoff: attempts",
    world: "overload",
    column: "perWish",
    without: { server: (server) => ({ ...server, retry: { ...server.retry, maxBackoffFactor: 1 } }) }
  },
  {
    mechanism: "adaptive backoff: recovery",
    world: "overload",
    column: "recovery",
    without: { server: (server) => ({ ...server, retry: { ...server.retry, maxBackoffFactor: 1 } }) }
  },
  {
    mechanism: "adaptive backoff in other trouble",
    world: "trouble",
    column: "p99",
    without: { server: (server) => ({ ...server, retry: { ...server.retry, maxBackoffFactor: 1 } }) }
  },
  {
    mechanism: "ladder: circuit signal",
    world: "trouble",
    column: "served",
    without: signal({ sources: { breaker: undefined } })
  },
  {
    mechanism: "ladder: wait for slots",
    world: "hog",
    column: "served",
    without: signal({ slotWaitMs: never })
  },
  {
    mechanism: "ladder: refusals for overload",
    world: "overload",
    column: "turnedAway",
    without: signal({ refusalRatio: never })
  }
]

/** Mean and half of its 95 % interval (Student's t). */
export interface Estimate {
  readonly mean: number
  readonly error: number
}

/** Two-sided 95 % quantile of Student's t; within 1 % from 4 degrees of freedom on. */
const student = (degrees: number): number => 1.96 + 2.4 / degrees + 3.1 / degrees ** 2

export const estimate = (values: ReadonlyArray<number>): Estimate => {
  const n = values.length
  const mean = values.reduce((sum, value) => sum + value, 0) / n
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / Math.max(1, n - 1)
  return { mean, error: n < 2 ? Number.POSITIVE_INFINITY : student(n - 1) * Math.sqrt(variance / n) }
}

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
  const reports = (world: WorldName, { layers, replaced, server }: Variant): ReadonlyArray<Report> =>
    Array.from({ length: options.seeds }, (_, i) => {
      const seed = options.seed + i
      const { hours, scenario } = worlds[world]
      const made = scenario(seed)
      const changed = server === undefined ? made : { ...made, server: server(made.server) }
      const report = simulate({ seed, hours, scenario: changed, layers, replaced })
      options.run?.(report)
      return report
    })
  const whole = (world: WorldName): ReadonlyArray<Report> => {
    const found = known.get(world) ?? reports(world, {})
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

const inWords = ({ error, mean }: Estimate, print: (value: number) => string): string =>
  `${print(mean)} ± ${print(error)}`

/** For a README. */
export const line = ({ apart, column, mechanism, print, with: one, without, world }: Row): string =>
  `| ${[mechanism, world, column, inWords(one, print), inWords(without, print), apart ? "yes" : "no"].join(" | ")} |`

export const head = [
  "| mechanism | world | column | with it | without it | intervals apart |",
  "| --- | --- | --- | ---: | ---: | --- |"
].join("\n")
