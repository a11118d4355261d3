/** Spans and metrics as OTLP/HTTP has them in JSON. Pure. */
import * as Cause from "effect/Cause"
import type * as MetricLabel from "effect/MetricLabel"
import * as MetricKeyType from "effect/MetricKeyType"
import type * as MetricPair from "effect/MetricPair"
import * as MetricState from "effect/MetricState"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import type * as Tracer from "effect/Tracer"

export interface Resource {
  readonly service: string
  readonly version: string
}

const valueOf = (value: unknown) =>
  typeof value === "boolean"
    ? { boolValue: value }
    : typeof value === "bigint" || (typeof value === "number" && Number.isSafeInteger(value))
      ? { intValue: String(value) }
      : typeof value === "number"
        ? { doubleValue: value }
        : { stringValue: String(value) }

const attributesOf = (entries: Iterable<readonly [string, unknown]>) =>
  [...entries].map(([key, value]) => ({ key, value: valueOf(value) }))

const resourceOf = ({ service, version }: Resource) => ({
  attributes: attributesOf([
    ["service.name", service],
    ["service.version", version]
  ])
})

const scope = ({ version }: Resource) => ({ name: "snowguard", version })

const kinds: { readonly [K in Tracer.SpanKind]: number } = {
  internal: 1,
  server: 2,
  client: 3,
  producer: 4,
  consumer: 5
}

/** What an error is, and nothing of what it says: that may quote a statement. */
const errorType = (cause: Cause.Cause<unknown>): string => {
  if (Cause.isInterruptedOnly(cause)) return "interrupted"
  const failure = Option.getOrUndefined(Cause.failureOption(cause))
  return Predicate.hasProperty(failure, "_tag") ? String(failure._tag) : "defect"
}

const spanOf = (span: Tracer.Span) => {
  const { status } = span
  const ended = status._tag === "Ended" ? status : undefined
  const cause = ended !== undefined && ended.exit._tag === "Failure" ? ended.exit.cause : undefined
  const parent = Option.getOrUndefined(span.parent)
  return {
    traceId: span.traceId,
    spanId: span.spanId,
    ...(parent === undefined ? {} : { parentSpanId: parent.spanId }),
    name: span.name,
    kind: kinds[span.kind],
    startTimeUnixNano: String(status.startTime),
    endTimeUnixNano: String(ended?.endTime ?? status.startTime),
    attributes: attributesOf([
      ...span.attributes,
      ...(cause === undefined ? [] : [["error.type", errorType(cause)] as const])
    ]),
    status: { code: cause === undefined || Cause.isInterruptedOnly(cause) ? 0 : 2 }
  }
}

export const traces = (resource: Resource, spans: ReadonlyArray<Tracer.Span>) => ({
  resourceSpans: [
    { resource: resourceOf(resource), scopeSpans: [{ scope: scope(resource), spans: spans.map(spanOf) }] }
  ]
})

const CUMULATIVE = 2
const unitLabel = "unit"

interface Times {
  readonly startTimeUnixNano: string
  readonly timeUnixNano: string
}

const isMonotonic = (keyType: unknown): boolean => MetricKeyType.isCounterKey(keyType) && keyType.incremental

/** Points of one metric; undefined for kinds that nobody here counts with. */
const pointOf = (
  { metricKey, metricState: state }: MetricPair.MetricPair.Untyped,
  tags: ReadonlyArray<MetricLabel.MetricLabel>,
  times: Times
) => {
  const common = { ...times, attributes: attributesOf(tags.map(({ key, value }) => [key, value])) }
  if (MetricState.isGaugeState(state)) {
    return { gauge: { dataPoints: [{ ...common, asDouble: Number(state.value) }] } }
  }
  if (MetricState.isCounterState(state)) {
    return {
      sum: {
        aggregationTemporality: CUMULATIVE,
        isMonotonic: isMonotonic(metricKey.keyType),
        dataPoints: [{ ...common, asDouble: Number(state.count) }]
      }
    }
  }
  if (!MetricState.isHistogramState(state)) return undefined
  const finite = [...state.buckets].filter(([bound]) => Number.isFinite(bound))
  const counts = finite.map(([, count], i) => count - (finite[i - 1]?.[1] ?? 0))
  const last = state.count - (finite[finite.length - 1]?.[1] ?? 0)
  return {
    histogram: {
      aggregationTemporality: CUMULATIVE,
      dataPoints: [
        {
          ...common,
          count: String(state.count),
          sum: state.sum,
          bucketCounts: [...counts, last].map(String),
          explicitBounds: finite.map(([bound]) => bound)
        }
      ]
    }
  }
}

export const metrics = (
  resource: Resource,
  snapshot: ReadonlyArray<MetricPair.MetricPair.Untyped>,
  times: Times
) => ({
  resourceMetrics: [
    {
      resource: resourceOf(resource),
      scopeMetrics: [
        {
          scope: scope(resource),
          metrics: snapshot.flatMap((pair) => {
            const tags = [...pair.metricKey.tags]
            const unit = tags.find(({ key }) => key === unitLabel)?.value
            const point = pointOf(
              pair,
              tags.filter(({ key }) => key !== unitLabel),
              times
            )
            if (point === undefined) return []
            const description = Option.getOrUndefined(pair.metricKey.description)
            return [
              {
                name: pair.metricKey.name,
                ...(description === undefined ? {} : { description }),
                ...(unit === undefined ? {} : { unit }),
                ...point
              }
            ]
          })
        }
      ]
    }
  ]
})
