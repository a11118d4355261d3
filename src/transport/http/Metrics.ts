/**
 * What the HTTP edge counts. Labels are reasons and codes of our own; never an address, a session or
 * anything that a request says.
 *
 * @since 0.1.0
 */
import * as Metric from "effect/Metric"
import * as MetricKey from "effect/MetricKey"
import * as MetricLabel from "effect/MetricLabel"

const none: ReadonlyArray<never> = []

const refusalsKey = MetricKey.counter("snowguard_http_refusals_total", {
  description: "Requests that the HTTP edge refused before any tool ran.",
  incremental: true
})
const refusalsOf = new Map<string, Metric.Metric.Counter<number>>()

/** A request was refused at the edge. */
export const refused = (reason: string): void => {
  let metric = refusalsOf.get(reason)
  if (metric === undefined) {
    metric = Metric.fromMetricKey(
      MetricKey.taggedWithLabels(refusalsKey, [MetricLabel.make("reason", reason)])
    )
    refusalsOf.set(reason, metric)
  }
  metric.unsafeUpdate(1, none)
}

const sessionsGauge = Metric.fromMetricKey(
  MetricKey.gauge("snowguard_http_sessions", { description: "Sessions that are open." })
)
export const sessions = (count: number): void => sessionsGauge.unsafeUpdate(count, none)

const streamsGauge = Metric.fromMetricKey(
  MetricKey.gauge("snowguard_http_streams", { description: "Responses that are being sent." })
)
export const streams = (count: number): void => streamsGauge.unsafeUpdate(count, none)
