/**
 * Metrics that are updated synchronously, also from the callbacks of node, of an SDK and of a driver. A handle is made
 * once for each combination of labels and then only updated. The labels belong to the metric's key: `Metric.tagged`
 * would look the metric up anew for each update, at some microseconds.
 *
 * Handles are kept: labels come from the code and the configuration, never from a client.
 */
import * as Metric from "effect/Metric"
import * as MetricBoundaries from "effect/MetricBoundaries"
import * as MetricKey from "effect/MetricKey"
import type * as MetricKeyType from "effect/MetricKeyType"
import * as MetricLabel from "effect/MetricLabel"

export type Labels = { readonly [label: string]: string }

/** 1 ms to about two minutes, each bound twice the last. */
const seconds = MetricBoundaries.exponential({ start: 0.001, factor: 2, count: 18 })

type Update = (value: number) => void

const noTags: ReadonlyArray<never> = []

type Tags = ReadonlyArray<MetricLabel.MetricLabel>

/** The labels become part of the key. */
const keyed =
  <Type extends MetricKeyType.MetricKeyType.Untyped>(key: MetricKey.MetricKey<Type>) =>
  (tags: Tags) =>
    Metric.fromMetricKey(MetricKey.taggedWithLabels(key, tags))

const handles = <Type, Out>(metricOf: (tags: Tags) => Metric.Metric<Type, number, Out>) => {
  const made = new Map<string, Update>()
  return (labels: Labels): Update => {
    let id = ""
    for (const label in labels) id = `${id}\0${label}\0${labels[label]}`
    let update = made.get(id)
    if (update === undefined) {
      const metric = metricOf(Object.entries(labels).map(([label, value]) => MetricLabel.make(label, value)))
      update = (value) => metric.unsafeUpdate(value, noTags)
      made.set(id, update)
    }
    return update
  }
}

/**
 * A counter that begins with its first event hides it, since an increase is seen between two values only: it begins with
 * every combination of these values. They must be few, and known before the first event.
 */
export const begin = (
  count: (labels: Labels, by: number) => void,
  known: { readonly [label: string]: ReadonlyArray<string> } = {}
): void => {
  const all = Object.entries(known).reduce<ReadonlyArray<Labels>>(
    (sets, [label, values]) => sets.flatMap((set) => values.map((value) => ({ ...set, [label]: value }))),
    [{}]
  )
  for (const labels of all) count(labels, 0)
}

export const counter = (name: string, description: string) => {
  const of = handles(keyed(MetricKey.counter(name, { description, incremental: true })))
  return Object.assign((labels: Labels, by = 1): void => of(labels)(by), { of })
}

/**
 * A counter of what a service counts itself, given its total. A total that is less than the last one is that of
 * another service, which began at zero.
 */
export const total = (name: string, description: string) => {
  const of = handles(keyed(MetricKey.counter(name, { description, incremental: true })))
  const last = new Map<Update, number>()
  return (labels: Labels, count: number): void => {
    const update = of(labels)
    const before = last.get(update) ?? 0
    last.set(update, count)
    update(count < before ? count : count - before)
  }
}

export const gauge = (name: string, description: string) => {
  const of = handles(keyed(MetricKey.gauge(name, { description })))
  return (labels: Labels, value: number): void => of(labels)(value)
}

/** Of milliseconds, in seconds. */
export const histogram = (name: string, description: string, boundaries = seconds) => {
  const of = handles(keyed(MetricKey.histogram(name, boundaries, description)))
  return (labels: Labels, ms: number): void => of(labels)(ms / 1000)
}
