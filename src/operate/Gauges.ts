/**
 * Sets the gauges: what the services say of themselves, for an exporter of Effect's metrics. Counts the transitions of
 * the circuit breaker and of the degradation mode as they happen. Names and labels are in {@link Telemetry}.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import * as Bulkhead from "../guard/Bulkhead.js"
import * as CircuitBreaker from "../guard/CircuitBreaker.js"
import * as Degradation from "../guard/Degradation.js"
import * as LoopGuard from "../guard/LoopGuard.js"
import * as RateLimiter from "../guard/RateLimiter.js"
import { Retry } from "../guard/Retry.js"
import { RejectionCode } from "../gate/ReadOnly.js"
import * as Activity from "../observe/Activity.js"
import * as EventLoop from "../platform/EventLoop.js"
import { begin as beginCounter, counter, gauge, total } from "../platform/metrics.js"
import * as Telemetry from "../observe/Telemetry.js"
import * as Quota from "../quota/Quota.js"
import * as QuotaStore from "../quota/QuotaStore.js"
import { CallPolicy, hasTool } from "../tools/CallPolicy.js"
import { ResultCache } from "../tools/ResultCache.js"
import * as WarehouseHealth from "../warehouse/WarehouseHealth.js"
import { Reloads } from "./Reloads.js"

const breakerPhase = gauge("snowguard_breaker_phase", "1 for the phase that the circuit breaker is in.")
const mode = gauge("snowguard_degradation_mode", "1 for the degradation mode in force.")
const slotsInUse = gauge("snowguard_slots_in_use", "Slots that are taken.")
const slots = gauge("snowguard_slots", "Slots that there are.")
const queueLength = gauge("snowguard_queue_length", "Calls that wait for a slot.")
const queueWait = gauge("snowguard_queue_wait_seconds", "Time a new call would expect to wait for a slot.")
const retryBudget = gauge("snowguard_retry_budget", "Retries that the budget has left.")
const retries = total("snowguard_retries_total", "Attempts that were retries.")
const retriesExhausted = total("snowguard_retries_exhausted_total", "Calls that were not retried any more.")
const backoffFactor = gauge(
  "snowguard_retry_backoff_factor",
  "What pauses before retries are multiplied by while the warehouse pushes calls back."
)
const loginLatched = gauge(
  "snowguard_warehouse_login_latched",
  "1 while no login is tried, because the last one was refused."
)
const usersLatched = gauge(
  "snowguard_warehouse_users_latched",
  "Users of callers of which no login is tried, because the last one was refused, while others are served."
)
const cacheEntries = gauge("snowguard_cache_entries", "Answers that are remembered.")
const cacheBytes = gauge("snowguard_cache_bytes", "Bytes of the answers that are remembered.")
const cacheHits = total("snowguard_cache_hits_total", "Calls answered from memory.")
const storeState = gauge("snowguard_quota_store_state", "1 for how the quota store is.")
const loopGuardRefused = total(
  "snowguard_loop_guard_refused_total",
  "Repeated failures answered from memory."
)
const configFaults = gauge("snowguard_config_faults", "What is wrong with the settings that were read last.")
const configNeedsRestart = gauge(
  "snowguard_config_needs_restart",
  "Settings that have changed and wait for a restart."
)
const configLoadedAt = gauge("snowguard_config_loaded_at_seconds", "When the settings in force were read.")
const transitions = counter("snowguard_breaker_transitions_total", "Changes of the circuit breaker's phase.")
const changes = counter("snowguard_degradation_changes_total", "Changes of the degradation mode.")

// Of the process, under the names that dashboards for Node.js know.
const resident = gauge("process_resident_memory_bytes", "Resident memory of the process.")
const heap = gauge("nodejs_heap_size_used_bytes", "Heap of JavaScript that is used.")
const cpu = total("process_cpu_seconds_total", "User and system time of the process.")
const loopP99 = gauge(
  "snowguard_event_loop_lag_p99_seconds",
  "By how much the event loop was late in the last one to two minutes: the 99th percentile."
)
const loopMax = gauge(
  "snowguard_event_loop_lag_max_seconds",
  "By how much the event loop was late in the last one to two minutes: the most."
)
const fibers = gauge(
  "snowguard_fibers",
  "Fibers that no other fiber waits for: requests in flight, and background work."
)

const sampleProcess = Effect.gen(function* () {
  const { heapUsed, rss } = process.memoryUsage()
  const { system, user } = process.cpuUsage()
  resident({}, rss)
  heap({}, heapUsed)
  cpu({}, (user + system) / 1e6)
  fibers({}, (yield* Fiber.roots).length)
  const late = yield* Effect.flatten(EventLoop.delayIfAny)
  if (late === undefined) return
  loopP99({}, late.p99Ms / 1000)
  loopMax({}, late.maxMs / 1000)
})

/** A scrape does not wait longer for a store: the gauge stays as it is. */
const STORE_MS = 500

const sampleLowQuotas = Effect.gen(function* () {
  const quota = yield* Quota.Quota
  for (const low of Telemetry.lowQuotas()) {
    const { quota: name, scope } = low.status
    const now = yield* quota.status(low.client, low.tier)
    Telemetry.updateLowQuota(
      low,
      now.find((one) => one.quota === name && one.scope === scope)
    )
  }
}).pipe(Effect.timeout(STORE_MS), Effect.ignore)

/**
 * Sets every gauge to what the services say now. To be run before an export.
 *
 * @since 0.1.0
 * @category recording
 */
export const sample = Effect.gen(function* () {
  const circuit = yield* Effect.flatMap(CircuitBreaker.CircuitBreaker, (_) => _.status)
  for (const phase of CircuitBreaker.Phase.literals) breakerPhase({ phase }, phase === circuit.phase ? 1 : 0)
  const ladder = yield* Effect.flatMap(Degradation.Degradation, (_) => _.status)
  for (const name of Degradation.Mode.literals) mode({ mode: name }, name === ladder.mode ? 1 : 0)
  for (const pool of yield* Effect.flatMap(Bulkhead.Bulkhead, (_) => _.status)) {
    slots({ pool: pool.pool }, pool.permits)
    slotsInUse({ pool: pool.pool }, pool.inUse)
    queueLength({ pool: pool.pool }, pool.queued)
    queueWait({ pool: pool.pool }, pool.estimatedWaitMs / 1000)
  }
  const retry = yield* Effect.flatMap(Retry, (_) => _.status)
  retryBudget({}, retry.budget)
  retries({}, retry.retries)
  for (const [reason, count] of Object.entries(retry.exhausted)) retriesExhausted({ reason }, count)
  backoffFactor({}, retry.backoffFactor)
  const { latched, latchedUsers = 0 } = yield* Effect.flatten(WarehouseHealth.statusIfAny)
  const isOfSome = latched?.onlySome === true
  loginLatched({}, latched === undefined || isOfSome ? 0 : 1)
  usersLatched({}, isOfSome ? latchedUsers : 0)
  const store = yield* Effect.flatMap(QuotaStore.StoreHealth, (_) => _.status)
  for (const state of QuotaStore.StoreMode.literals) storeState({ state }, state === store.mode ? 1 : 0)
  const cache = yield* Effect.flatMap(ResultCache, (_) => _.status)
  cacheEntries({}, cache.entries)
  cacheBytes({}, cache.bytes)
  cacheHits({ kind: "fresh" }, cache.freshHits)
  cacheHits({ kind: "stale" }, cache.staleHits)
  loopGuardRefused({}, (yield* Effect.flatMap(LoopGuard.LoopGuard, (_) => _.status)).refused)
  const config = yield* Effect.flatMap(Reloads, (_) => _.status)
  if (config !== undefined) {
    configFaults({}, config.faults.length)
    configNeedsRestart({}, config.needRestart.length)
    configLoadedAt({}, config.loadedAt / 1000)
  }
  yield* sampleLowQuotas
  yield* sampleProcess
})

const begin = Effect.sync(() => {
  beginCounter(transitions, { to: CircuitBreaker.Phase.literals })
  beginCounter(changes, { to: Degradation.Mode.literals })
  Telemetry.begin()
})

const ends = [
  { outcome: "ok", kind: "ok" as const },
  { outcome: "cancelled", kind: "cancelled" as const },
  ...Object.keys(Activity.codes).flatMap((outcome) =>
    [...new Set([Activity.outcomeOf(outcome), Activity.outcomeOf(outcome, true)])].map((kind) => ({
      outcome,
      kind
    }))
  ),
  // Blamed on the warehouse.
  { outcome: "WAREHOUSE_STATEMENT_TIMEOUT" satisfies Activity.Code, kind: "failed" as const }
]

const scoped = (reason: Activity.Code, scopes: ReadonlyArray<string>) =>
  scopes.map((scope) => ({ reason, scope }))

/** Refusals that a limit can be observed of. */
const ofLimits = [
  ...scoped("RATE_LIMITED", RateLimiter.Scope.literals),
  ...scoped(
    "QUOTA_EXCEEDED",
    ["client", "global"].flatMap((scope) =>
      QuotaStore.QuotaName.literals.map((quota) => Quota.limitName({ scope, quota }))
    )
  )
]

const ofGuards = [
  ...ofLimits,
  ...scoped("OVERLOADED", Bulkhead.Pool.literals),
  ...scoped("CIRCUIT_OPEN", ["warehouse"]),
  ...scoped(
    "DEGRADED",
    Degradation.Mode.literals.filter((mode) => mode !== "normal")
  ),
  ...scoped("DEADLINE_EXCEEDED", ["attempt", "call"]),
  ...scoped("QUOTA_STORE_UNAVAILABLE", ["quota_store"]),
  ...scoped("REPEATED_FAILURE", LoopGuard.codes),
  ...scoped("SCAN_BUDGET_EXCEEDED", ["max_scan_bytes"]),
  ...scoped("STATEMENT_REJECTED", RejectionCode.literals)
]

/** Not at the start: there are hundreds of them per tier, and a scrape comes later. */
const BEGIN_AFTER = "1 second"

/**
 * Begins the counters of calls at 0, for every tier that the policies know and each of these tools that it has, while
 * the scope is open. For a server whose counters are read.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerCalls = (tools: ReadonlyArray<string>): Layer.Layer<never, never, CallPolicy> =>
  Layer.scopedDiscard(
    Effect.gen(function* () {
      const { of, onChange, tiers = () => [] } = yield* CallPolicy
      const begun = Effect.sync(() => {
        for (const tier of new Set(["default", ...tiers()])) {
          const refusals = [
            ...ofGuards,
            ...scoped("TOOL_DENIED", [tier]),
            ...scoped("WAREHOUSE_SUSPENDED", [tier])
          ]
          Telemetry.beginCalls({
            tier,
            tools: tools.filter((tool) => hasTool(of(tier), tool)),
            ends,
            refusals,
            observed: ofLimits
          })
        }
      })
      if (onChange !== undefined) yield* onChange(begun)
      yield* Effect.forkScoped(Effect.delay(begun, BEGIN_AFTER))
    })
  )

const SAMPLE_EVERY = "10 seconds"

/**
 * Counts transitions as they happen and samples the gauges every ten seconds, while the scope is open.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<never, never, Effect.Effect.Context<typeof sample>> = Layer.scopedDiscard(
  Effect.gen(function* () {
    const breaker = yield* CircuitBreaker.CircuitBreaker
    const degradation = yield* Degradation.Degradation
    yield* begin
    yield* Effect.forkScoped(
      Stream.runForEach(breaker.transitions, ({ to }) => Effect.sync(() => transitions({ to })))
    )
    yield* Effect.forkScoped(
      Stream.runForEach(degradation.changes, ({ to }) => Effect.sync(() => changes({ to })))
    )
    yield* Effect.forkScoped(Effect.repeat(sample, Schedule.spaced(SAMPLE_EVERY)))
  })
)
