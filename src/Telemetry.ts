/**
 * Metric and span names, in one place. Metrics are Effect's own: whoever exports its registry exports
 * these.
 *
 * Labels are bounded by the configuration and the code (tier, tool, class, reason); a client's name or a
 * statement never becomes one. Handles are made once for each combination and then only updated.
 *
 * | metric | labels | |
 * |---|---|---|
 * | `snowguard_calls_total` | tool, tier, outcome | calls by how they ended: `ok`, `cancelled`, or an error code; `(unknown)` stands for every name that is no tool's |
 * | `snowguard_call_seconds` | tool | from the client's request to its answer |
 * | `snowguard_refusals_total` | tier, reason, scope | calls that a guard turned away |
 * | `snowguard_attempts_total` | class, verdict | attempts in the warehouse, by what the breaker made of them |
 * | `snowguard_statement_seconds` | class | time of an attempt in the warehouse |
 * | `snowguard_result_bytes_total` | tier | bytes of results delivered |
 * | `snowguard_quota_left_ratio` | tier, quota | of the client that has the least, once that was less than a fifth; it rises again when the quota does |
 * | `snowguard_token_wait_seconds` | tier | waits for rate-limit tokens |
 * | `snowguard_breaker_transitions_total` | to | |
 * | `snowguard_degradation_changes_total` | to | |
 * | `snowguard_breaker_phase`, `snowguard_degradation_mode` | phase / mode | 1 for the one in force |
 * | `snowguard_slots_in_use`, `snowguard_queue_length`, `snowguard_queue_wait_seconds` | pool | |
 * | `snowguard_retry_budget`, `snowguard_retries_total`, `snowguard_retries_exhausted_total` | reason | |
 * | `snowguard_retry_backoff_factor` | | above 1 while the warehouse pushes calls back |
 * | `snowguard_warehouse_login_latched` | | 1 while no login is tried, because the last one was refused |
 * | `snowguard_cache_entries`, `snowguard_cache_bytes`, `snowguard_cache_hits_total` | kind | |
 * | `snowguard_quota_store_changes_total` | to | the quota store was lost, or found again |
 * | `snowguard_quota_store_state` | state | 1 for the one in force: `normal`, `outage`, `memory` |
 * | `snowguard_quota_store_outage_total` | decision | calls decided without the quota store |
 * | `snowguard_audit_lost_total` | | lines of the audit log that could not be written |
 * | `snowguard_audit_rotated_away_total`, `snowguard_audit_rotated_away_bytes_total` | | files of it that were removed because so many are kept, and their bytes |
 * | `snowguard_loop_guard_refused_total` | | repeated failures answered from memory |
 * | `snowguard_fibers` | | requests in flight and background work: a leak would grow it |
 * | `process_resident_memory_bytes`, `nodejs_heap_size_used_bytes`, `process_cpu_seconds_total` | | of the process |
 * | `snowguard_http_requests_total` | method, status | requests over HTTP by class of status: `2xx`, `4xx` |
 * | `snowguard_http_refusals_total` | reason | requests that the edge refused before any tool ran |
 * | `snowguard_http_auth_total` | result | credentials that held, and why others did not |
 * | `snowguard_http_edge_seconds` | to | from the headers until the call was handed on, or refused |
 * | `snowguard_http_sessions_total` | event | sessions that were opened, closed, expired, or made room |
 * | `snowguard_http_streams_total` | event | answers that were begun, sent, cancelled, or left by the client |
 * | `snowguard_http_sessions`, `snowguard_http_streams` | | that are open now |
 * | `snowguard_http_remembered` | table | entries of the bounded tables at the edge |
 * | `mcp.server.operation.duration` | mcp.method.name, gen_ai.tool.name, error.type, rpc.response.status_code, mcp.protocol.version, network.transport | seconds of every request and notification, as OpenTelemetry names it |
 * | `mcp.server.session.duration` | mcp.protocol.version, network.transport | seconds that a session lasted |
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import * as Bulkhead from "./Bulkhead.js"
import * as CircuitBreaker from "./CircuitBreaker.js"
import * as Degradation from "./Degradation.js"
import * as ProcessMetrics from "./internal/processMetrics.js"
import { counter, gauge, histogram, noTags, total } from "./internal/metricHandles.js"
import { LoopGuard } from "./LoopGuard.js"
import * as Quota from "./Quota.js"
import * as QuotaStore from "./QuotaStore.js"
import { ResultCache } from "./ResultCache.js"
import { Retry } from "./Retry.js"
import * as WarehouseHealth from "./WarehouseHealth.js"

/**
 * Names of spans: one at the boundary, one around each statement, no others.
 *
 * @since 0.1.0
 * @category constants
 */
export const spans = { call: "snowguard.call", statement: "snowguard.statement" } as const

const calls = counter(
  "snowguard_calls_total",
  "Calls of tools by how they ended: ok, cancelled, or an error code."
)
const callSeconds = histogram("snowguard_call_seconds", "Time from a client's request to its answer.")
const refusals = counter("snowguard_refusals_total", "Calls that a guard turned away.")
const attempts = counter(
  "snowguard_attempts_total",
  "Attempts in the warehouse by what the circuit breaker made of them."
)
const statementSeconds = histogram("snowguard_statement_seconds", "Time of an attempt in the warehouse.")
const resultBytes = counter("snowguard_result_bytes_total", "Bytes of results delivered.")
const quotaLeft = gauge(
  "snowguard_quota_left_ratio",
  "Part of a quota that is left to the client of the tier that has the least, once that was less than a fifth."
)
const tokenWait = histogram("snowguard_token_wait_seconds", "Waits for rate-limit tokens.")
const transitions = counter("snowguard_breaker_transitions_total", "Changes of the circuit breaker's phase.")
const changes = counter("snowguard_degradation_changes_total", "Changes of the degradation mode.")
const breakerPhase = gauge("snowguard_breaker_phase", "1 for the phase that the circuit breaker is in.")
const mode = gauge("snowguard_degradation_mode", "1 for the degradation mode in force.")
const slotsInUse = gauge("snowguard_slots_in_use", "Slots that are taken.")
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
const cacheEntries = gauge("snowguard_cache_entries", "Answers that are remembered.")
const cacheBytes = gauge("snowguard_cache_bytes", "Bytes of the answers that are remembered.")
const cacheHits = total("snowguard_cache_hits_total", "Calls answered from memory.")
const storeChanges = counter(
  "snowguard_quota_store_changes_total",
  "Changes of the quota store: lost, found again, counted in memory."
)
const storeState = gauge("snowguard_quota_store_state", "1 for how the quota store is.")
const storeOutage = counter(
  "snowguard_quota_store_outage_total",
  "Reservations decided while the quota store was lost."
)
const loopGuardRefused = total(
  "snowguard_loop_guard_refused_total",
  "Repeated failures answered from memory."
)

const storeStates = ["normal", "outage", "memory"] as const
const storeDecisions = ["admitted", "closed"] as const

/**
 * A call of a tool has ended.
 *
 * @since 0.1.0
 * @category recording
 */
export const recordCall = (call: {
  readonly tool: string
  readonly tier: string
  /** `ok`, `cancelled`, or the code of its error. */
  readonly outcome: string
  readonly ms: number
}): void => {
  calls({ tool: call.tool, tier: call.tier, outcome: call.outcome })
  callSeconds({ tool: call.tool }, call.ms)
}

/**
 * A guard has turned a call away.
 *
 * @since 0.1.0
 * @category recording
 */
export const recordRefusal = (tier: string, reason: string, scope: string): void =>
  refusals({ tier, reason, scope })

/**
 * An attempt in the warehouse has ended.
 *
 * @since 0.1.0
 * @category recording
 */
export const recordAttempt = (operation: string, verdict: CircuitBreaker.Verdict, ms: number): void => {
  let handles = attemptHandles.get(operation)
  if (handles === undefined) {
    handles = { seconds: statementSeconds.of({ class: operation }), verdicts: {} }
    attemptHandles.set(operation, handles)
  }
  const verdicts = (handles.verdicts[verdict] ??= attempts.of({ class: operation, verdict }))
  verdicts.unsafeUpdate(1, noTags)
  handles.seconds.unsafeUpdate(ms / 1000, noTags)
}

/** By the class of the operation: every call ends here, and making a key of its labels costs more. */
const attemptHandles = new Map<
  string,
  {
    readonly seconds: ReturnType<typeof statementSeconds.of>
    readonly verdicts: { [V in CircuitBreaker.Verdict]?: ReturnType<typeof attempts.of> }
  }
>()

/**
 * @since 0.1.0
 * @category recording
 */
export const recordBytes = (tier: string, bytes: number): void => {
  if (bytes > 0) resultBytes({ tier }, bytes)
}

/** The client of each tier that has the least left of a quota, while that is little. */
const low = new Map<
  string,
  { readonly tier: string; readonly client: string; readonly status: Quota.QuotaStatus }
>()

const LOW = 1 / 5

const leftOf = ({ limit, remaining }: Quota.QuotaStatus): number => remaining / limit

/**
 * A quota of which a client has little left.
 *
 * @since 0.1.0
 * @category recording
 */
export const recordLowQuota = (tier: string, client: string, status: Quota.QuotaStatus): void => {
  const key = `${tier}\0${status.quota}`
  const known = low.get(key)
  if (known !== undefined && known.client !== client && leftOf(known.status) < leftOf(status)) return
  low.set(key, { tier, client, status })
  quotaLeft({ tier, quota: status.quota }, leftOf(status))
}

/** A scrape does not wait longer for a store: the gauge stays as it is. */
const STORE_MS = 500

/** What was low may have been reset since, by time or by an operator, and nobody may have called. */
const sampleLowQuotas = Effect.gen(function* () {
  const quota = yield* Quota.Quota
  for (const [key, { client, status, tier }] of [...low]) {
    const now = yield* quota.status(client, tier)
    const found = now.find((one) => one.quota === status.quota && one.scope === status.scope)
    const left = found === undefined ? 1 : leftOf(found)
    quotaLeft({ tier, quota: status.quota }, left)
    if (found === undefined || left >= LOW) low.delete(key)
    else low.set(key, { tier, client, status: found })
  }
}).pipe(Effect.timeout(STORE_MS), Effect.ignore)

/**
 * @since 0.1.0
 * @category recording
 */
export const recordTokenWait = (tier: string, ms: number): void => tokenWait({ tier }, ms)

/**
 * The quota store was lost, is being brought up to date, or is back.
 *
 * @since 0.1.0
 * @category recording
 */
export const recordStoreChange = (to: QuotaStore.StoreMode): void => storeChanges({ to })

/**
 * A call was decided without the quota store: admitted out of the local share, or refused.
 *
 * @since 0.1.0
 * @category recording
 */
export const recordStoreOutage = (decision: (typeof storeDecisions)[number]): void =>
  storeOutage({ decision })

/**
 * Sets every gauge to what the services say now; for whoever is about to export them.
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
    slotsInUse({ pool: pool.pool }, pool.inUse)
    queueLength({ pool: pool.pool }, pool.queued)
    queueWait({ pool: pool.pool }, pool.estimatedWaitMs / 1000)
  }
  const retry = yield* Effect.flatMap(Retry, (_) => _.status)
  retryBudget({}, retry.budget)
  retries({}, retry.retries)
  for (const [reason, count] of Object.entries(retry.exhausted)) retriesExhausted({ reason }, count)
  backoffFactor({}, retry.backoffFactor)
  const { latched } = yield* Effect.flatten(WarehouseHealth.statusIfAny)
  loginLatched({}, latched === undefined ? 0 : 1)
  const store = yield* Effect.flatMap(QuotaStore.StoreHealth, (_) => _.status)
  for (const state of QuotaStore.StoreMode.literals) storeState({ state }, state === store.mode ? 1 : 0)
  const cache = yield* Effect.flatMap(ResultCache, (_) => _.status)
  cacheEntries({}, cache.entries)
  cacheBytes({}, cache.bytes)
  cacheHits({ kind: "fresh" }, cache.freshHits)
  cacheHits({ kind: "stale" }, cache.staleHits)
  loopGuardRefused({}, (yield* Effect.flatMap(LoopGuard, (_) => _.status)).refused)
  yield* sampleLowQuotas
  yield* ProcessMetrics.sample
})

/** A counter that begins with its first event hides it: an increase is seen between two values only. */
const begin = Effect.sync(() => {
  for (const to of CircuitBreaker.Phase.literals) transitions({ to }, 0)
  for (const to of Degradation.Mode.literals) changes({ to }, 0)
  for (const to of storeStates) storeChanges({ to }, 0)
  for (const decision of storeDecisions) storeOutage({ decision }, 0)
})

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
