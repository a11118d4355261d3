import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Metric } from "effect"
import { Phase } from "../src/CircuitBreaker.js"
import { Mode } from "../src/Degradation.js"
import * as Telemetry from "../src/Telemetry.js"
import * as Testing from "../src/Testing.js"

/** Label values of the metric's counters. */
const labels = (name: string): ReadonlyArray<string> =>
  Metric.unsafeSnapshot()
    .filter(({ metricKey }) => metricKey.name === name)
    .flatMap(({ metricKey }) => metricKey.tags.map(({ value }) => value))
    .sort()

describe("Telemetry", () => {
  it.scoped("has the counters of rare events before there is one", () =>
    Effect.gen(function* () {
      yield* Layer.build(Telemetry.layer)
      assert.deepStrictEqual(labels("snowguard_breaker_transitions_total"), [...Phase.literals].sort())
      assert.deepStrictEqual(labels("snowguard_degradation_changes_total"), [...Mode.literals].sort())
      assert.deepStrictEqual(labels("snowguard_quota_store_changes_total"), [
        "memory",
        "normal",
        "outage",
        "recovering"
      ])
      assert.deepStrictEqual(labels("snowguard_quota_store_outage_total"), ["admitted", "closed", "exceeded"])
    }).pipe(Effect.provide(Testing.layer()))
  )
})
