/**
 * Metric and span names, in one place. Metrics are Effect's own: an exporter of its registry exports
 * these.
 *
 * Labels are bounded by the configuration and the code (tier, tool, class, reason); a client's name or a
 * statement never becomes one. Handles are made once for each combination and then only updated.
 *
 * | metric | labels | |
 * |---|---|---|
 * | `snowguard_calls_total` | tool, tier, outcome, kind | calls by how they ended: `ok`, `cancelled`, or an error code, and by what kind of end that is: `refused` (by a limit or a guard, before anything was sent), `rejected` (a mistake of the caller), `failed` (the warehouse or the server, or out of time after the statement was sent); `(unknown)` stands for every name that is no tool's |
 * | `snowguard_call_seconds` | tool | from the client's request to its answer |
 * | `snowguard_refusals_total` | tier, reason, scope | calls that a guard turned away |
 * | `snowguard_would_refuse_total` | tier, reason, scope | calls that went on, and that a limit which is observed would have turned away |
 * | `snowguard_attempts_total` | class, verdict | attempts in the warehouse, by what the breaker made of them |
 * | `snowguard_statement_seconds` | class | time of an attempt in the warehouse |
 * | `snowguard_result_bytes_total` | tier | bytes of results delivered |
 * | `snowguard_credits_total` | tier | credits that statements were charged, where a limit of credits is set |
 * | `snowguard_quota_left_ratio` | tier, quota | of the client that has the least, once that was less than a fifth; it rises again when the quota does |
 * | `snowguard_token_wait_seconds` | tier | waits for rate-limit tokens |
 * | `snowguard_breaker_transitions_total` | to | |
 * | `snowguard_degradation_changes_total` | to | |
 * | `snowguard_breaker_phase`, `snowguard_degradation_mode` | phase / mode | 1 for the one in force |
 * | `snowguard_slots`, `snowguard_slots_in_use`, `snowguard_queue_length`, `snowguard_queue_wait_seconds` | pool | |
 * | `snowguard_retry_budget`, `snowguard_retries_total`, `snowguard_retries_exhausted_total` | reason | |
 * | `snowguard_retry_backoff_factor` | | above 1 while the warehouse pushes calls back |
 * | `snowguard_warehouse_login_latched` | | 1 while no login is tried, because the last one was refused |
 * | `snowguard_warehouse_users_latched` | | users of callers of which no login is tried, while others are served |
 * | `snowguard_cache_entries`, `snowguard_cache_bytes`, `snowguard_cache_hits_total` | kind | |
 * | `snowguard_quota_store_changes_total` | to | the quota store was lost, or found again |
 * | `snowguard_quota_store_state` | state | 1 for the one in force: `normal`, `outage`, `memory` |
 * | `snowguard_quota_store_outage_total` | decision | calls decided without the quota store |
 * | `snowguard_otlp_dropped_total` | | spans that no collector took |
 * | `snowguard_audit_lost_total` | | lines of the audit log that could not be written |
 * | `snowguard_audit_rotated_away_total`, `snowguard_audit_rotated_away_bytes_total` | | files of it that were removed because so many are kept, and their bytes |
 * | `snowguard_loop_guard_refused_total` | | repeated failures answered from memory |
 * | `snowguard_config_reloads_total` | result | settings that were read again: `applied`, `same` or `refused` |
 * | `snowguard_config_faults`, `snowguard_config_needs_restart` | | what is wrong with the settings that were read last; what has changed and waits for a restart |
 * | `snowguard_config_loaded_at_seconds` | | when the settings in force were read |
 * | `snowguard_alerts_total` | event, result | events for the receivers of `[[alerts]]`: `delivered`, or `dropped` because one did not take them in time |
 * | `snowguard_alerts_failed_attempts_total` | | attempts that a receiver did not take |
 * | `snowguard_fibers` | | requests in flight and background work: a leak would grow it |
 * | `snowguard_event_loop_lag_p99_seconds`, `snowguard_event_loop_lag_max_seconds` | | by how much the event loop was late in the last one to two minutes: what every answer waits |
 * | `process_resident_memory_bytes`, `nodejs_heap_size_used_bytes`, `process_cpu_seconds_total` | | of the process |
 * | `snowguard_ready` | | 1 while the server can answer, as `/readyz` says |
 * | `snowguard_http_requests_total` | method, status | requests over HTTP by class of status: `2xx`, `4xx` |
 * | `snowguard_http_refusals_total` | reason | requests that the edge refused before any tool ran |
 * | `snowguard_http_auth_total` | result | credentials that held, and why others did not |
 * | `snowguard_http_edge_seconds` | to | from the headers until the call was handed on, or refused |
 * | `snowguard_http_sessions_total` | event | sessions that were opened, closed, expired, or made room |
 * | `snowguard_http_streams_total` | event, of | answers and streams that were begun, cancelled by the client, or left by it |
 * | `snowguard_http_unread_total` | reason | answers that were dropped because their clients did not read them |
 * | `snowguard_http_sessions`, `snowguard_http_streams` | | that are open now |
 * | `snowguard_http_remembered` | table | entries of the bounded tables at the edge |
 * | `mcp.server.operation.duration` | mcp.method.name, gen_ai.tool.name, error.type, rpc.response.status_code, mcp.protocol.version, network.transport | seconds of every request and notification, as OpenTelemetry names it |
 * | `mcp.server.session.duration` | mcp.protocol.version, network.transport | seconds that a session lasted |
 *
 * @since 0.1.0
 */
import { begin as beginCounter, counter, gauge, histogram } from "../platform/metrics.js"
import type { Outcome } from "./core/CallStats.js"

/**
 * Names of spans: one at the boundary, one around each statement, no others.
 *
 * @since 0.1.0
 * @category constants
 */
export const spans = { call: "snowguard.call", statement: "snowguard.statement" } as const

/** What the circuit breaker makes of an attempt. */
type Verdict = "success" | "alive" | "failure" | "ignored"

const calls = counter(
  "snowguard_calls_total",
  "Calls of tools by how they ended: ok, cancelled, or an error code."
)
const callSeconds = histogram("snowguard_call_seconds", "Time from a client's request to its answer.")
const refusals = counter("snowguard_refusals_total", "Calls that a guard turned away.")
const wouldRefusals = counter(
  "snowguard_would_refuse_total",
  "Calls that a limit which is observed would have turned away."
)
const attempts = counter(
  "snowguard_attempts_total",
  "Attempts in the warehouse by what the circuit breaker made of them."
)
const statementSeconds = histogram("snowguard_statement_seconds", "Time of an attempt in the warehouse.")
const resultBytes = counter("snowguard_result_bytes_total", "Bytes of results delivered.")
const credits = counter("snowguard_credits_total", "Credits that statements were charged.")
const quotaLeft = gauge(
  "snowguard_quota_left_ratio",
  "Part of a quota that is left to the client of the tier that has the least, once that was less than a fifth."
)
const tokenWait = histogram("snowguard_token_wait_seconds", "Waits for rate-limit tokens.")
const storeChanges = counter(
  "snowguard_quota_store_changes_total",
  "Changes of the quota store: lost, found again, counted in memory."
)
const storeOutage = counter(
  "snowguard_quota_store_outage_total",
  "Reservations decided while the quota store was lost."
)

/** How the quota store can be, as {@link recordStoreChange} counts it. */
const storeStates = ["normal", "outage", "memory"] as const
const storeDecisions = ["admitted", "closed"] as const

const verdicts: ReadonlyArray<Verdict> = ["success", "alive", "failure", "ignored"]

/** @internal The counters of what the code knows the labels of. */
export const begin = (): void => {
  beginCounter(storeChanges, { to: storeStates })
  beginCounter(storeOutage, { decision: storeDecisions })
  beginCounter(attempts, { class: ["query", "metadata"], verdict: verdicts })
}

/** @internal The counters of calls of a tier, whose labels the tools and the settings know. */
export const beginCalls = (known: {
  readonly tier: string
  readonly tools: ReadonlyArray<string>
  /** How calls end, each with its kind. */
  readonly ends: ReadonlyArray<{ readonly outcome: string; readonly kind: Outcome }>
  /** What turns them away. */
  readonly refusals: ReadonlyArray<{ readonly reason: string; readonly scope: string }>
  /** Of these, what may be observed only. */
  readonly observed: ReadonlyArray<{ readonly reason: string; readonly scope: string }>
}): void => {
  const { tier } = known
  for (const tool of known.tools) for (const end of known.ends) calls({ tool, tier, ...end }, 0)
  for (const refusal of known.refusals) refusals({ tier, ...refusal }, 0)
  for (const refusal of known.observed) wouldRefusals({ tier, ...refusal }, 0)
  resultBytes({ tier }, 0)
  credits({ tier }, 0)
}

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
  /** What kind of end that is. */
  readonly kind: Outcome
  readonly ms: number
}): void => {
  calls({ tool: call.tool, tier: call.tier, outcome: call.outcome, kind: call.kind })
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
 * A limit that is observed would have refused a call.
 *
 * @since 0.1.0
 * @category recording
 */
export const recordWouldRefuse = (tier: string, reason: string, scope: string): void =>
  wouldRefusals({ tier, reason, scope })

/**
 * An attempt in the warehouse has ended.
 *
 * @since 0.1.0
 * @category recording
 */
export const recordAttempt = (operation: string, verdict: Verdict, ms: number): void => {
  statementSeconds({ class: operation }, ms)
  attempts({ class: operation, verdict })
}

/**
 * Counts bytes of results of a tier.
 *
 * @since 0.1.0
 * @category recording
 */
export const recordBytes = (tier: string, bytes: number): void => {
  if (bytes > 0) resultBytes({ tier }, bytes)
}

/**
 * Counts credits of a tier.
 *
 * @since 0.1.0
 * @category recording
 */
export const recordCredits = (tier: string, amount: number): void => credits({ tier }, amount)

/** A quota of a client, as far as the gauge of what is left needs it. */
interface Left {
  readonly quota: string
  readonly scope: string
  readonly limit: number
  readonly remaining: number
}

interface Low {
  readonly tier: string
  readonly client: string
  readonly status: Left
}

/** The client of each tier that has the least left of a quota, while that is little. */
const low = new Map<string, Low>()

/** @internal Less than a fifth of it is left. */
export const isLowQuota = ({ limit, remaining }: Pick<Left, "limit" | "remaining">): boolean =>
  remaining < limit / 5

const leftOf = ({ limit, remaining }: Left): number => remaining / limit

/** @internal */
export const lowQuotas = (): ReadonlyArray<Low> => [...low.values()]

/** @internal What a low quota is now; it may have been reset since, by time or by an operator, without a call. */
export const updateLowQuota = ({ client, status, tier }: Low, found: Left | undefined): void => {
  quotaLeft({ tier, quota: status.quota }, found === undefined ? 1 : leftOf(found))
  const key = `${tier}\0${status.quota}`
  if (found !== undefined && isLowQuota(found)) low.set(key, { tier, client, status: found })
  else low.delete(key)
}

/**
 * Records a quota of a client, if less than a fifth of it is left.
 *
 * @since 0.1.0
 * @category recording
 */
export const recordLowQuota = (tier: string, client: string, status: Left): void => {
  if (!isLowQuota(status)) return
  const key = `${tier}\0${status.quota}`
  const known = low.get(key)
  if (known !== undefined && known.client !== client && leftOf(known.status) < leftOf(status)) return
  low.set(key, { tier, client, status })
  quotaLeft({ tier, quota: status.quota }, leftOf(status))
}

/**
 * Counts how long a call of a tier waited for its tokens, milliseconds.
 *
 * @since 0.1.0
 * @category recording
 */
export const recordTokenWait = (tier: string, ms: number): void => tokenWait({ tier }, ms)

/**
 * The quota store was lost, or is back.
 *
 * @since 0.1.0
 * @category recording
 */
export const recordStoreChange = (to: (typeof storeStates)[number]): void => storeChanges({ to })

/**
 * A call was decided without the quota store: admitted out of the local share, or refused.
 *
 * @since 0.1.0
 * @category recording
 */
export const recordStoreOutage = (decision: (typeof storeDecisions)[number]): void =>
  storeOutage({ decision })
