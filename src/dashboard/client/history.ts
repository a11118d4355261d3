/** The last hour: what the server remembers of it, and what has come since. */
import type { Column } from "../../operate/Snapshot.js"
import type { Samples } from "../../operate/Operator.js"
import * as Charts from "./charts.js"
import { byId } from "./dom.js"
import * as Format from "./format.js"
import type { Snapshot } from "../../operate/Snapshot.js"
import type { Mood } from "./dom.js"
import * as Headline from "./headline.js"
import { SPAN_MS } from "./plot.js"
import * as Strips from "./strips.js"

/** The states of the moment, as the cards show them. */
interface Current {
  readonly at: number
  readonly breaker: number
  readonly mode: number
  readonly backoff_factor: number
}

let current: Current | undefined

let history: { at: Array<number>; values: { [C in Column]: Array<number> } } | undefined

const perSecond = (value: number) => `${Format.count(value)}/s`
const charts = {
  calls: Charts.makeChart({ title: "Calls", stacked: true, format: perSecond, atLeast: 1 }),
  time: Charts.makeChart({
    title: "Latency",
    stacked: false,
    format: (ms) => Format.duration(ms),
    atLeast: 10
  }),
  load: Charts.makeChart({ title: "Slots and queue", stacked: false, format: Format.count, atLeast: 5 }),
  states: Strips.makeStrips("Health")
}

export const mount = (): void =>
  byId("history").append(charts.calls.root, charts.time.root, charts.load.root, charts.states.root)

const draw = () => {
  if (history === undefined) return
  const { at, values } = history
  const series = (name: string, kind: string, column: Column) => ({ name, kind, values: values[column] })
  charts.calls.update({
    at,
    series: [
      series("answered", "k-ok", "ok"),
      series("refused", "k-refused", "refused"),
      series("failed", "k-failed", "failed"),
      series("client errors", "k-other", "rejected")
    ]
  })
  charts.time.update({
    at,
    series: [series("p95", "k-other", "p95_ms"), series("p50", "k-main", "p50_ms")]
  })
  charts.load.update({
    at,
    series: [
      series("calls", "k-main", "requests_in_use"),
      series("statements", "k-ok", "statements_in_use"),
      series("waiting", "k-refused", "queued")
    ]
  })
  // The samples are seconds old: what is true now is what the cards say.
  const news = current !== undefined && current.at > (at[at.length - 1] ?? 0) ? [current] : []
  const upToNow = (column: "breaker" | "mode" | "backoff_factor") => [
    ...values[column],
    ...news.map((one) => one[column])
  ]
  charts.states.update(
    [...at, ...news.map((one) => one.at)],
    [
      {
        name: "Circuit",
        values: upToNow("breaker"),
        states: [
          ["good", "closed"],
          ["warn", "half-open"],
          ["bad", "open"]
        ]
      },
      {
        name: "Service level",
        values: upToNow("mode"),
        states: [
          ["good", "normal"],
          ["warn", "constrained"],
          ["bad", "cache only"],
          ["bad", "emergency"]
        ]
      },
      {
        name: "Backoff",
        values: upToNow("backoff_factor").map((factor) => (factor > 1 ? 1 : 0)),
        states: [
          ["good", "as configured"],
          ["warn", "stretched"]
        ]
      }
    ]
  )
}

const levels: { readonly [M in Mood]: number } = { good: 0, warn: 1, bad: 2 }

const modes: ReadonlyArray<Snapshot["mode"]["mode"]> = ["normal", "constrained", "cache-only", "emergency"]

/** What is true now. */
export const now = (snapshot: Snapshot): void => {
  const before = current
  current = {
    at: snapshot.at,
    breaker: levels[Headline.circuit(snapshot)],
    mode: modes.indexOf(snapshot.mode.mode),
    backoff_factor: snapshot.backoff_factor
  }
  if (before?.breaker !== current.breaker || before.mode !== current.mode) draw()
}

export const replace = (samples: Samples): void => {
  history = {
    at: [...samples.at],
    values: Object.fromEntries(
      Object.entries(samples.values).map(([column, values]) => [column, [...values]])
    ) as { [C in Column]: Array<number> }
  }
  draw()
}

/** What is new of it, at the end; what is over an hour old goes. */
export const append = (samples: Samples): void => {
  if (history === undefined) return
  const { at, values } = history
  const last = at[at.length - 1] ?? 0
  let added = false
  samples.at.forEach((time, i) => {
    if (time <= last) return
    at.push(time)
    for (const [column, news] of Object.entries(samples.values)) values[column as Column].push(news[i] ?? 0)
    added = true
  })
  if (!added) return draw()
  const oldest = (at[at.length - 1] ?? 0) - SPAN_MS
  while ((at[0] ?? oldest) < oldest) {
    at.shift()
    for (const column of Object.values(values)) column.shift()
  }
  draw()
}
