/**
 * Sends spans and metrics to an OpenTelemetry collector, as OTLP over HTTP in JSON.
 *
 * ```
 *   span ends ──> a bounded queue ──> one fiber: batches, every 5 s ──> /v1/traces
 *                 (full: dropped)     another:   every 60 s         ──> /v1/metrics
 * ```
 *
 * A call never waits for it. What the collector does not take is dropped and counted
 * (`snowguard_otlp_dropped_total`); that it does not take anything is said once, not with every batch. Errors
 * travel as their kind alone, never with their text.
 *
 * Why not `@effect/opentelemetry` 0.63: it exports the messages and stacks of exceptions, which can quote SQL, and its
 * buffer of spans is unbounded while an export hangs.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as MetricKeyType from "effect/MetricKeyType"
import type * as MetricLabel from "effect/MetricLabel"
import type * as MetricPair from "effect/MetricPair"
import * as MetricState from "effect/MetricState"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Queue from "effect/Queue"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Tracer from "effect/Tracer"
import { begin, counter } from "../platform/metrics.js"
import * as Outbound from "../platform/outbound.js"

// Spans and metrics as OTLP/HTTP has them in JSON.

interface Resource {
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

const traces = (resource: Resource, spans: ReadonlyArray<Tracer.Span>) => ({
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

/** Points of one metric; undefined for kinds that this server does not use. */
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

const metrics = (
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

/**
 * The collector, and what is told of this server to it; milliseconds between two exports.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The collector; `/v1/traces` and `/v1/metrics` are appended. */
  readonly endpoint: string
  readonly headers?: { readonly [name: string]: string } | undefined
  readonly service: string
  readonly version: string
  /** Milliseconds between two batches of spans, and between two of metrics. */
  readonly tracesEveryMs?: number | undefined
  readonly metricsEveryMs?: number | undefined
}

class OtlpError extends Schema.TaggedError<OtlpError>("snowguard/OtlpError")("OtlpError", {
  description: Schema.String
}) {}

/** Spans that wait, and spans that are sent at once. */
const QUEUE = 4_096
const BATCH = 512

const TIMEOUT = "10 seconds"

/** For what is left when the server stops. */
const FLUSH_TIMEOUT = "2 seconds"

const dropped = counter("snowguard_otlp_dropped_total", "Spans that no collector took.")

/**
 * `key=value` pairs, separated by commas and percent-encoded, as `OTEL_EXPORTER_OTLP_HEADERS` has them.
 *
 * @since 0.1.0
 * @category parsing
 */
export const parseHeaders = (text: string): { readonly [name: string]: string } =>
  Object.fromEntries(
    text.split(",").flatMap((pair) => {
      const at = pair.indexOf("=")
      if (at < 1) return []
      try {
        return [[pair.slice(0, at).trim(), decodeURIComponent(pair.slice(at + 1).trim())] as const]
      } catch {
        return []
      }
    })
  )

/**
 * Exports until its scope closes, and then once more. A collector that does not answer is logged and costs no call
 * anything: what does not fit the queue is dropped.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<never> =>
  Layer.unwrapScoped(
    Effect.gen(function* () {
      const base = options.endpoint.replace(/\/+$/, "")
      const queue = yield* Queue.dropping<Tracer.Span>(QUEUE)
      let isFailing = false

      const post = (path: string, body: object) =>
        Effect.tryPromise({
          try: async (signal) => {
            const response = await Outbound.request(new URL(`${base}${path}`), {
              method: "POST",
              signal,
              headers: { ...options.headers, "content-type": "application/json" },
              body: JSON.stringify(body)
            })
            await response.arrayBuffer()
            if (!response.ok) throw new OtlpError({ description: `it answers ${response.status}` })
          },
          catch: (cause) =>
            cause instanceof OtlpError
              ? cause
              : new OtlpError({
                  description:
                    cause instanceof Outbound.ProxyFault
                      ? `it cannot be reached (${cause.message})`
                      : "it cannot be reached"
                })
        }).pipe(
          Effect.timeoutFail({
            duration: TIMEOUT,
            onTimeout: () => new OtlpError({ description: "it does not answer in time" })
          }),
          // The exporter does not trace its own requests.
          Effect.withTracerEnabled(false),
          Effect.matchEffect({
            onSuccess: () =>
              Effect.suspend(() => {
                const was = isFailing
                isFailing = false
                return Effect.as(
                  was ? Effect.logInfo("the collector takes telemetry again") : Effect.void,
                  true
                )
              }),
            onFailure: ({ description }) =>
              Effect.suspend(() => {
                const was = isFailing
                isFailing = true
                const told = was
                  ? Effect.void
                  : Effect.logWarning(`telemetry is lost: of the collector, ${description}`)
                return Effect.as(told, false)
              })
          })
        )

      const send = (spans: ReadonlyArray<Tracer.Span>) =>
        spans.length === 0
          ? Effect.void
          : Effect.flatMap(post("/v1/traces", traces(options, spans)), (taken) =>
              taken ? Effect.void : Effect.sync(() => dropped({}, spans.length))
            )

      /** Batch after batch, until the queue was empty. */
      const drain: Effect.Effect<void> = Effect.flatMap(Queue.takeUpTo(queue, BATCH), (spans) =>
        Effect.zipRight(send([...spans]), spans.length < BATCH ? Effect.void : Effect.suspend(() => drain))
      )

      begin(dropped)
      const startTimeUnixNano = String(yield* Clock.currentTimeNanos)
      const measure = Effect.gen(function* () {
        const timeUnixNano = String(yield* Clock.currentTimeNanos)
        const snapshot = yield* Metric.snapshot
        yield* post("/v1/metrics", metrics(options, snapshot, { startTimeUnixNano, timeUnixNano }))
      })

      // Added first, so it runs last: when the fibers below are gone.
      yield* Effect.addFinalizer(() =>
        Effect.zipRight(drain, measure).pipe(Effect.interruptible, Effect.timeoutOption(FLUSH_TIMEOUT))
      )
      const every = (ms: number, work: Effect.Effect<void>) =>
        Effect.forkScoped(Effect.schedule(work, Schedule.spaced(ms)))
      yield* every(options.tracesEveryMs ?? 5_000, drain)
      yield* every(options.metricsEveryMs ?? 60_000, measure)

      const native = yield* Effect.tracer
      const tracer = Tracer.make({
        context: native.context.bind(native),
        span: (...args) => {
          const span = native.span(...args)
          const end = span.end.bind(span)
          const [, parent] = args
          return Object.assign(span, {
            // The trace's origin decides whether it is recorded; a trace that begins here is.
            sampled: Option.match(parent, { onNone: () => true, onSome: ({ sampled }) => sampled }),
            end: (...ended: Parameters<typeof end>) => {
              end(...ended)
              if (span.sampled && !queue.unsafeOffer(span)) dropped({})
            }
          })
        }
      })
      return Layer.setTracer(tracer)
    })
  )

/**
 * As OpenTelemetry's own variables say: `OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_EXPORTER_OTLP_HEADERS`,
 * `OTEL_SERVICE_NAME` and `OTEL_SDK_DISABLED`. Without an endpoint nothing is sent.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (own: { readonly name: string; readonly version: string }): Layer.Layer<never> =>
  Layer.unwrapEffect(
    Config.all({
      endpoint: Config.withDefault(Config.string("OTEL_EXPORTER_OTLP_ENDPOINT"), ""),
      headers: Config.withDefault(Config.string("OTEL_EXPORTER_OTLP_HEADERS"), ""),
      service: Config.withDefault(Config.string("OTEL_SERVICE_NAME"), own.name),
      disabled: Config.withDefault(Config.string("OTEL_SDK_DISABLED"), "")
    }).pipe(
      Effect.map(({ disabled, endpoint, headers, service }) =>
        endpoint.trim() === "" || disabled.toLowerCase() === "true"
          ? Layer.empty
          : layer({
              endpoint: endpoint.trim(),
              headers: parseHeaders(headers),
              service,
              version: own.version
            })
      ),
      Effect.orElseSucceed(() => Layer.empty)
    )
  )
