/**
 * The same day with every layer, with other settings of the breaker, without each layer, and without any: what each of
 * them is good for.
 */
import { estimate, inWords } from "./estimate.js"
import type { Report } from "./report.js"
import { simulate } from "./run.js"
import type { Scenario } from "./scenarios.js"
import type { LayerName, Layers } from "./server.js"
import * as Server from "./server.js"

const titles: { readonly [L in LayerName]: string } = {
  limiter: "rate limits",
  quota: "quotas",
  bulkhead: "bulkhead",
  breaker: "circuit breaker",
  retry: "retries",
  degradation: "degradation and cache"
}

/** Opens later and tries again sooner than the default. */
const bold = ({ server, ...rest }: Scenario): Scenario => ({
  ...rest,
  server: {
    ...server,
    breaker: { ...server.breaker, consecutiveFailures: 5, failureRate: 0.5 },
    openTimes: { firstMs: 5_000, factor: 2, capMs: 60_000 }
  }
})

export interface Row {
  readonly title: string
  /** One for each seed. */
  readonly reports: ReadonlyArray<Report>
}

export const compare = (options: {
  readonly seed: number
  readonly seeds?: number | undefined
  readonly hours: number
  readonly scenario: Scenario
  readonly each?: ((report: Report) => void) | undefined
}): ReadonlyArray<Row> => {
  const { each, hours, scenario, seed, seeds = 1 } = options
  const row = (title: string, layers: Layers, day = scenario): Row => ({
    title,
    reports: Array.from({ length: seeds }, (_, i) => {
      const report = simulate({ seed: seed + i, hours, scenario: day, layers })
      each?.(report)
      return report
    })
  })
  return [
    row("everything", Server.everything),
    row("a bolder circuit breaker", Server.everything, bold(scenario)),
    ...Server.layerNames.map((name) =>
      row(`without ${titles[name]}`, { ...Server.everything, [name]: false })
    ),
    row("without any of them", Server.nothing)
  ]
}

const percent = (part: number): string => `${(part * 100).toFixed(1)} %`
const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`

const columns: ReadonlyArray<
  readonly [title: string, of: (report: Report) => number, print: (value: number) => string]
> = [
  ["well-behaved clients get", (_) => _.goodput, percent],
  ["worst of them waits (p99)", (_) => _.worstWaitMs, seconds],
  ["warehouse calls/min", (_) => _.loadNormal, (_) => _.toFixed(0)],
  ["in the busiest minute", (_) => _.loadBusiest, (_) => _.toFixed(0)],
  ["in an outage", (_) => _.loadOutage, (_) => _.toFixed(0)],
  ["attempts per request in an outage", (_) => _.amplification, (_) => _.toFixed(2)],
  ["most statements at once", (_) => _.mostStatements, (_) => _.toFixed(0)]
]

/** For docs/measured.md; of several seeds the mean, and of what is served its 95 % interval. */
export const markdown = (rows: ReadonlyArray<Row>): string => {
  const lines = rows.map(({ reports, title }) => [
    title,
    ...columns.map(([, of, print], i) => {
      const found = estimate(reports.map(of))
      return i === 0 ? inWords(found, print) : print(found.mean)
    })
  ])
  const line = (cells: ReadonlyArray<string>): string => `| ${cells.join(" | ")} |`
  const header = ["", ...columns.map(([title]) => title)]
  return [line(header), line(header.map((_, i) => (i === 0 ? "---" : "---:"))), ...lines.map(line)].join("\n")
}
