import { assert, describe, it } from "@effect/vitest"
import { Effect, Metric, MetricBoundaries, MetricKey, MetricLabel, MetricPair, MetricState } from "effect"
import * as Prometheus from "../../src/observe/prometheus.js"

const label = (key: string, value: string) => MetricLabel.make(key, value)

describe("metrics as Prometheus reads them", () => {
  it("counters end in _total, names and labels are valid, values are escaped", () => {
    const key = MetricKey.taggedWithLabels(
      MetricKey.counter("9 calls.of/it", { description: "Two\nlines \\ here.", incremental: true }),
      [label("tier", 'a"b\\c\nd'), label("__name__", "x"), label("1st", "y")]
    )
    const text = Prometheus.render([MetricPair.unsafeMake(key, MetricState.counter(3))])
    assert.strictEqual(
      text,
      [
        "# HELP _9_calls_of_it_total Two\\nlines \\\\ here.",
        "# TYPE _9_calls_of_it_total counter",
        '_9_calls_of_it_total{_1st="y",_name__="x",tier="a\\"b\\\\c\\nd"} 3',
        ""
      ].join("\n")
    )
  })

  it("what it is measured in belongs to the name", () => {
    const seconds = MetricKey.taggedWithLabels(MetricKey.gauge("mcp.age"), [
      label("unit", "s"),
      label("a", "b")
    ])
    const other = MetricKey.taggedWithLabels(MetricKey.gauge("size"), [label("unit", "elephants")])
    const text = Prometheus.render([
      MetricPair.unsafeMake(seconds, MetricState.gauge(2)),
      MetricPair.unsafeMake(other, MetricState.gauge(3))
    ])
    assert.deepStrictEqual(
      text.split("\n").filter((line) => line !== "" && !line.startsWith("#")),
      ['mcp_age_seconds{a="b"} 2', "size 3"]
    )
  })

  it("one metric is one block, whatever the order, and one name is one type", () => {
    const calls = MetricKey.counter("calls_total", { incremental: true })
    const gauge = MetricKey.gauge("load")
    const text = Prometheus.render([
      MetricPair.unsafeMake(MetricKey.taggedWithLabels(calls, [label("tool", "b")]), MetricState.counter(1)),
      MetricPair.unsafeMake(gauge, MetricState.gauge(-0.5)),
      MetricPair.unsafeMake(MetricKey.taggedWithLabels(calls, [label("tool", "a")]), MetricState.counter(2)),
      MetricPair.unsafeMake(MetricKey.gauge("calls_total"), MetricState.gauge(7))
    ])
    assert.deepStrictEqual(
      text.split("\n").map((line) => line.replace(/ HELP (\S+) .*/, " HELP $1")),
      [
        "# HELP calls_total",
        "# TYPE calls_total counter",
        'calls_total{tool="b"} 1',
        'calls_total{tool="a"} 2',
        "# HELP load",
        "# TYPE load gauge",
        "load -0.5",
        ""
      ]
    )
  })

  it.effect("histograms are cumulative and end in +Inf, with sum and count", () =>
    Effect.gen(function* () {
      const histogram = Metric.histogram("prometheus_test_seconds", MetricBoundaries.fromIterable([0.5, 1]))
      for (const value of [0.25, 0.5, 0.75, 3]) yield* Metric.update(histogram, value)
      const pairs = (yield* Metric.snapshot).filter(
        ({ metricKey }) => metricKey.name === "prometheus_test_seconds"
      )
      const lines = Prometheus.render(pairs).split("\n").slice(1, -1)
      assert.deepStrictEqual(lines, [
        "# TYPE prometheus_test_seconds histogram",
        'prometheus_test_seconds_bucket{le="0.5"} 2',
        'prometheus_test_seconds_bucket{le="1"} 3',
        'prometheus_test_seconds_bucket{le="+Inf"} 4',
        "prometheus_test_seconds_sum 4.5",
        "prometheus_test_seconds_count 4"
      ])
    })
  )

  it("a counter that may go down is a gauge to it, and no number is left out", () => {
    const text = Prometheus.render([
      MetricPair.unsafeMake(MetricKey.counter("level"), MetricState.counter(-1)),
      MetricPair.unsafeMake(MetricKey.gauge("far"), MetricState.gauge(Infinity)),
      MetricPair.unsafeMake(
        MetricKey.gauge("big", { bigint: true }),
        MetricState.gauge(12345678901234567890n)
      )
    ])
    assert.match(text, /^# TYPE level gauge\nlevel -1$/m)
    assert.match(text, /^far \+Inf$/m)
    assert.match(text, /^big 12345678901234567890$/m)
  })
})
