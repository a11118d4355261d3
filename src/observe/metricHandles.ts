/**
 * Metrics whose handles are made once for each combination of labels and then only updated. The labels
 * belong to the metric's key: `Metric.tagged` would look the metric up anew for each update, at some
 * microseconds.
 *
 * A handle is kept for ever: labels come from the code and the configuration, never from a client.
 */
import * as Metric from "effect/Metric"
import * as MetricBoundaries from "effect/MetricBoundaries"
import * as MetricKey from "effect/MetricKey"
import type * as MetricKeyType from "effect/MetricKeyType"
import * as MetricLabel from "effect/MetricLabel"

export type Labels = { readonly [label: string]: string }

/** 1 ms to about two minutes, each bound twice the last. */
const seconds = MetricBoundaries.exponential({ start: 0.001, factor: 2, count: 18 })

const handles = <Type, In, Out>(
  handleOf: (tags: ReadonlyArray<MetricLabel.MetricLabel>) => Metric.Metric<Type, In, Out>
) => {
  const made = new Map<string, Metric.Metric<Type, In, Out>>()
  return (labels: Labels): Metric.Metric<Type, In, Out> => {
    let key = ""
    for (const label in labels) key = `${key}\0${label}\0${labels[label]}`
    let handle = made.get(key)
    if (handle === undefined) {
      handle = handleOf(Object.entries(labels).map(([label, value]) => MetricLabel.make(label, value)))
      made.set(key, handle)
    }
    return handle
  }
}

/** The labels become part of the key. */
const keyed =
  <Type extends MetricKeyType.MetricKeyType.Untyped>(key: MetricKey.MetricKey<Type>) =>
  (tags: ReadonlyArray<MetricLabel.MetricLabel>) =>
    Metric.fromMetricKey(MetricKey.taggedWithLabels(key, tags))

export const noTags: ReadonlyArray<never> = []

export const counter = (name: string, description: string) => {
  const of = handles(keyed(MetricKey.counter(name, { description, incremental: true })))
  const add = (labels: Labels, by = 1): void => of(labels).unsafeUpdate(by, noTags)
  return Object.assign(add, { of })
}

/**
 * A counter of what a service counts itself, given its total. A total that is less than the last one is that of
 * another service, which began at nothing.
 */
export const total = (name: string, description: string) => {
  const of = handles(keyed(MetricKey.counter(name, { description, incremental: true })))
  const last = new Map<object, number>()
  return (labels: Labels, count: number): void => {
    const handle = of(labels)
    const before = last.get(handle) ?? 0
    last.set(handle, count)
    handle.unsafeUpdate(count < before ? count : count - before, noTags)
  }
}

export const gauge = (name: string, description: string) => {
  const of = handles(keyed(MetricKey.gauge(name, { description })))
  return (labels: Labels, value: number): void => of(labels).unsafeUpdate(value, noTags)
}

/** Of milliseconds, in seconds. */
export const histogram = (name: string, description: string, boundaries = seconds) => {
  const of = handles(keyed(MetricKey.histogram(name, boundaries, description)))
  const add = (labels: Labels, ms: number): void => of(labels).unsafeUpdate(ms / 1000, noTags)
  return Object.assign(add, { of })
}
