import type * as MetricLabel from "effect/MetricLabel"
import * as MetricKeyType from "effect/MetricKeyType"
import type * as MetricPair from "effect/MetricPair"
import * as MetricState from "effect/MetricState"
import * as Option from "effect/Option"

/**
 * Effect's metrics in Prometheus' text format 0.0.4. Pure.
 *
 * Names become valid ones, a label `unit` becomes part of them, counters end in `_total`, histograms are cumulative with `le`, `_sum` and
 * `_count`, and the lines of one metric stand together whatever the order of the snapshot.
 */
export const contentType = "text/plain; version=0.0.4; charset=utf-8"

/** What a metric is measured in is said by this label. */
const unitLabel = "unit"

const unitSuffixes: { readonly [unit: string]: string } = { s: "_seconds", By: "_bytes" }

const suffixOf = (tags: Iterable<MetricLabel.MetricLabel>): string => {
  for (const { key, value } of tags) if (key === unitLabel) return unitSuffixes[value] ?? ""
  return ""
}

type Type = "counter" | "gauge" | "histogram" | "summary"
type Labels = ReadonlyArray<readonly [string, string]>

const metricName = (name: string): string => {
  const valid = name.replace(/[^a-zA-Z0-9_:]/g, "_")
  return /^[a-zA-Z_:]/.test(valid) ? valid : `_${valid}`
}

const labelName = (name: string): string => {
  const valid = name.replace(/[^a-zA-Z0-9_]/g, "_").replace(/^__+/, "_")
  return /^[a-zA-Z_]/.test(valid) ? valid : `_${valid}`
}

const labelValue = (value: string): string =>
  value.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll('"', '\\"')

const helpText = (text: string): string => text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")

const number = (value: number | bigint): string =>
  value === Infinity ? "+Inf" : value === -Infinity ? "-Inf" : String(value)

const line = (name: string, labels: Labels, value: number | bigint): string => {
  const inside = labels.map(([label, text]) => `${label}="${labelValue(text)}"`).join(",")
  return `${name}${inside === "" ? "" : `{${inside}}`} ${number(value)}`
}

/** Two labels that become one name would make the line invalid: the first stays. */
const labelsOf = (tags: Iterable<MetricLabel.MetricLabel>): Labels => {
  const labels = new Map<string, string>()
  for (const { key, value } of tags) {
    if (key === unitLabel) continue
    const name = labelName(key)
    if (!labels.has(name)) labels.set(name, value)
  }
  return [...labels].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
}

interface Family {
  readonly type: Type
  readonly help: string
  readonly lines: Array<string>
}

const samples = (
  name: string,
  labels: Labels,
  state: MetricState.MetricState.Untyped
): ReadonlyArray<string> => {
  if (MetricState.isCounterState(state)) return [line(name, labels, state.count)]
  if (MetricState.isGaugeState(state)) return [line(name, labels, state.value)]
  if (MetricState.isFrequencyState(state)) {
    return [...state.occurrences].map(([key, count]) => line(name, [...labels, ["key", key]], count))
  }
  if (MetricState.isHistogramState(state)) {
    return [
      ...state.buckets
        .filter(([bound]) => Number.isFinite(bound))
        .map(([bound, count]) => line(`${name}_bucket`, [...labels, ["le", number(bound)]], count)),
      line(`${name}_bucket`, [...labels, ["le", "+Inf"]], state.count),
      line(`${name}_sum`, labels, state.sum),
      line(`${name}_count`, labels, state.count)
    ]
  }
  if (MetricState.isSummaryState(state)) {
    return [
      ...state.quantiles.map(([quantile, value]) =>
        line(
          name,
          [...labels, ["quantile", number(quantile)]],
          Option.getOrElse(value, () => Number.NaN)
        )
      ),
      line(`${name}_sum`, labels, state.sum),
      line(`${name}_count`, labels, state.count)
    ]
  }
  return []
}

const typeOf = (state: MetricState.MetricState.Untyped, keyType: unknown): Type => {
  if (MetricState.isHistogramState(state)) return "histogram"
  if (MetricState.isSummaryState(state)) return "summary"
  if (MetricState.isFrequencyState(state)) return "counter"
  // A counter that may go down is none to Prometheus.
  return MetricState.isCounterState(state) && MetricKeyType.isCounterKey(keyType) && keyType.incremental
    ? "counter"
    : "gauge"
}

export const render = (snapshot: ReadonlyArray<MetricPair.MetricPair.Untyped>): string => {
  const families = new Map<string, Family>()
  for (const { metricKey, metricState } of snapshot) {
    const type = typeOf(metricState, metricKey.keyType)
    const valid = `${metricName(metricKey.name)}${suffixOf(metricKey.tags)}`
    const name = type === "counter" && !valid.endsWith("_total") ? `${valid}_total` : valid
    let family = families.get(name)
    if (family === undefined) {
      const help = Option.getOrElse(metricKey.description, () => `${valid.replaceAll("_", " ")}.`)
      family = { type, help, lines: [] }
      families.set(name, family)
    }
    // One name is one type; another metric that sanitizes to the same name is left out.
    if (family.type === type) family.lines.push(...samples(name, labelsOf(metricKey.tags), metricState))
  }
  return [...families]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(
      ([name, { help, lines, type }]) =>
        `# HELP ${name} ${helpText(help)}\n# TYPE ${name} ${type}\n${[...new Set(lines)].join("\n")}\n`
    )
    .join("")
}
