import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Metric from "effect/Metric"

/**
 * What the process itself uses, under the names that dashboards for Node.js know. Set by `sample`, for
 * whoever is about to export the metrics.
 */
const resident = Metric.gauge("process_resident_memory_bytes", {
  description: "Resident memory of the process."
})
const heap = Metric.gauge("nodejs_heap_size_used_bytes", { description: "Heap of JavaScript that is used." })
const cpu = Metric.counter("process_cpu_seconds_total", {
  description: "User and system time of the process.",
  incremental: true
})
const fibers = Metric.gauge("snowguard_fibers", {
  description: "Fibers that no other fiber waits for: requests in flight, and background work."
})

const cpuSeconds = Effect.sync(() => {
  const { system, user } = process.cpuUsage()
  return (user + system) / 1e6
})

/** The counter is of the process, so what was counted of it is too. */
const counted = Effect.map(Metric.value(cpu), ({ count }) => count)

export const sample: Effect.Effect<void> = Effect.gen(function* () {
  const { heapUsed, rss } = yield* Effect.sync(() => process.memoryUsage())
  yield* Metric.set(resident, rss)
  yield* Metric.set(heap, heapUsed)
  yield* Metric.incrementBy(cpu, Math.max(0, (yield* cpuSeconds) - (yield* counted)))
  // The one that looks is no news.
  yield* Metric.set(fibers, Fiber.unsafeRoots().length)
})
