/**
 * The same day with every layer, without each, and without any: what each of them is good for.
 */
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

export interface Row {
  readonly title: string
  readonly report: Report
}

export const compare = (options: {
  readonly seed: number
  readonly hours: number
  readonly scenario: Scenario
  readonly each?: ((row: Row) => void) | undefined
}): ReadonlyArray<Row> => {
  const { each, ...simulation } = options
  const row = (title: string, layers: Layers): Row => {
    const result = { title, report: simulate({ ...simulation, layers }) }
    each?.(result)
    return result
  }
  return [
    row("everything", Server.everything),
    ...Server.layerNames.map((name) =>
      row(`without ${titles[name]}`, { ...Server.everything, [name]: false })
    ),
    row("without any of them", Server.nothing)
  ]
}

const percent = (part: number): string => `${(part * 100).toFixed(1)} %`
const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`

/** For a README. */
export const markdown = (rows: ReadonlyArray<Row>): string => {
  const header = [
    "",
    "well-behaved clients get",
    "worst of them waits (p99)",
    "warehouse calls/min",
    "in the busiest minute",
    "in an outage",
    "attempts per request in an outage",
    "most statements at once"
  ]
  const lines = rows.map(({ report, title }) => [
    title,
    percent(report.goodput),
    seconds(report.worstWaitMs),
    report.loadNormal.toFixed(0),
    String(report.loadBusiest),
    report.loadOutage.toFixed(0),
    report.amplification.toFixed(2),
    String(report.mostStatements)
  ])
  const line = (cells: ReadonlyArray<string>): string => `| ${cells.join(" | ")} |`
  return [line(header), line(header.map((_, i) => (i === 0 ? "---" : "---:"))), ...lines.map(line)].join("\n")
}
