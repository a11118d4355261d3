/**
 * Settings -> the plain options of each service. Seconds become milliseconds here and nowhere else.
 *
 * @since 0.1.0
 */
import * as LogLevel from "effect/LogLevel"
import type * as Bulkhead from "../guard/Bulkhead.js"
import type { TierPolicy } from "../tools/CallPolicy.js"
import type * as Guard from "../guard/Guard.js"
import type * as Quota from "../quota/Quota.js"
import type * as RateLimiter from "../guard/RateLimiter.js"
import type * as ResultCache from "../tools/ResultCache.js"
import type * as Http from "../mcp/http/Http.js"
import type { Settings } from "./Settings.js"

type Tier = Settings["tiers"][string]

const ms = (seconds: number): number => Math.round(seconds * 1000)

// No prototype: names are the operator's, and one may be `constructor`.
const mapValues = <A, B>(
  self: { readonly [name: string]: A },
  f: (value: A) => B
): { readonly [name: string]: B } => {
  const out: { [name: string]: B } = Object.create(null)
  for (const [name, value] of Object.entries(self)) out[name] = f(value)
  return out
}

/**
 * The tier whose limits apply to a client: its own, or `default`.
 *
 * @since 0.1.0
 * @category options
 */
export const tierOf = (settings: Settings, client: string): string =>
  settings.clients[client]?.tier ?? "default"

/**
 * @since 0.1.0
 * @category options
 */
export const rateLimiterOptions = (settings: Settings): RateLimiter.Options => ({
  global: { rate: settings.limits.requestsPerSecond, burst: settings.limits.burst },
  classes: { query: { rate: settings.limits.queriesPerSecond, burst: settings.limits.queryBurst } },
  tiers: mapValues(settings.tiers, (tier) => ({
    client: { rate: tier.requestsPerSecond, burst: tier.burst, initial: tier.initialTokens },
    ...(tier.totalRequestsPerSecond === undefined || tier.totalBurst === undefined
      ? {}
      : { total: { rate: tier.totalRequestsPerSecond, burst: tier.totalBurst } })
  })),
  maxClients: settings.limits.maxClients,
  reserved: settings.limits.reservedShare
})

/**
 * Statements at a time. In a Snowflake account each may need a session of its own, so that there are no more
 * than sessions: who has a slot never waits for a session that others keep busy.
 *
 * @since 0.1.0
 * @category options
 */
export const concurrentStatements = ({ limits, snowflake, warehouse }: Settings): number =>
  warehouse === "snowflake"
    ? Math.min(limits.maxConcurrentStatements, snowflake.maxSessions ?? Infinity)
    : limits.maxConcurrentStatements

/** Slots that only clients without one may take: a quarter, so that nobody has all of them alone. */
const reserveOf = (permits: number): number => (permits < 2 ? 0 : Math.max(1, Math.floor(permits / 4)))

/**
 * `shared`: for a server of several clients.
 *
 * @since 0.1.0
 * @category options
 */
export const bulkheadOptions = (
  settings: Settings,
  { shared = false }: { readonly shared?: boolean } = {}
): Bulkhead.Options => {
  const pool = (permits: number): Bulkhead.PoolOptions => ({
    permits,
    ...queue,
    ...(shared ? { reserve: reserveOf(permits) } : {})
  })
  const queue = { maxQueue: settings.limits.maxQueued, maxQueuePerClient: settings.limits.maxQueuedPerClient }
  return {
    requests: pool(settings.limits.maxConcurrentRequests),
    statements: pool(concurrentStatements(settings)),
    tierWeights: mapValues(settings.tiers, (tier) => tier.weight)
  }
}

// A quota that is not set has no key: limits are laid over one another, and an `undefined` would erase.
const limits = (from: Settings["globalQuota"]): Quota.Limits => ({
  ...(from.requestsPerHour === undefined ? {} : { requests_per_hour: from.requestsPerHour }),
  ...(from.requestsPerDay === undefined ? {} : { requests_per_day: from.requestsPerDay }),
  ...(from.queriesPerHour === undefined ? {} : { queries_per_hour: from.queriesPerHour }),
  ...(from.queriesPerDay === undefined ? {} : { queries_per_day: from.queriesPerDay }),
  ...(from.bytesPerDay === undefined ? {} : { bytes_per_day: from.bytesPerDay }),
  ...(from.scanBytesPerDay === undefined ? {} : { scan_bytes_per_day: from.scanBytesPerDay }),
  ...(from.statementSecondsPerDay === undefined
    ? {}
    : { statement_seconds_per_day: from.statementSecondsPerDay })
})

/**
 * @since 0.1.0
 * @category options
 */
export const quotaOptions = (settings: Settings): Quota.Options => ({
  tiers: mapValues(settings.tiers, limits),
  outage: mapValues(settings.tiers, (tier) => tier.onQuotaOutage),
  clients: mapValues(settings.clients, limits),
  global: limits(settings.globalQuota)
})

/**
 * What one call may ask for, by tier; for `CallPolicy.layer`.
 *
 * @since 0.1.0
 * @category options
 */
export const callPolicyTiers = (settings: Settings): { readonly [tier: string]: TierPolicy } =>
  mapValues(settings.tiers, (tier: Tier): TierPolicy => {
    const most = tier.maxStatementSeconds ?? settings.timeouts.maxStatementSeconds
    return {
      defaultRows: Math.min(settings.results.defaultRows, tier.maxRows),
      maxRows: tier.maxRows,
      maxResultBytes: tier.maxResultBytes ?? settings.results.maxBytes,
      metadataTimeoutMs: ms(settings.timeouts.metadataSeconds),
      statementTimeoutMs: ms(Math.min(settings.timeouts.statementSeconds, most)),
      maxStatementTimeoutMs: ms(most),
      // Unquoted names are upper case to Snowflake, and the guard compares them so.
      allowFunctions: tier.allowFunctions.map((name) => name.toUpperCase()),
      objects: { allow: tier.allowObjects, deny: tier.denyObjects },
      allowFlow: tier.allowFlow,
      allowStages: tier.allowStages,
      chargeScans: tier.scanBytesPerDay !== undefined || settings.globalQuota.scanBytesPerDay !== undefined,
      ...(tier.maxScanBytes === undefined ? {} : { maxScanBytes: tier.maxScanBytes })
    }
  })

/**
 * @since 0.1.0
 * @category models
 */
export interface BreakerOptions {
  readonly consecutiveFailures: number
  /** Share of calls, above 0 to 1. */
  readonly failureRate: number
  readonly minimumCalls: number
  readonly windowCalls: number
  readonly windowMs: number
  readonly slowCallMs: number
  readonly slowCallRate: number
  readonly openMs: number
  readonly openMaxMs: number
  readonly probes: number
}

/**
 * @since 0.1.0
 * @category options
 */
export const breakerOptions = ({ breaker }: Settings): BreakerOptions => ({
  consecutiveFailures: breaker.consecutiveFailures,
  failureRate: breaker.failureRate,
  minimumCalls: breaker.minimumCalls,
  windowCalls: breaker.windowCalls,
  windowMs: ms(breaker.windowSeconds),
  slowCallMs: ms(breaker.slowCallSeconds),
  slowCallRate: breaker.slowCallRate,
  openMs: ms(breaker.openSeconds),
  openMaxMs: ms(breaker.openMaxSeconds),
  probes: breaker.probes
})

/**
 * @since 0.1.0
 * @category options
 */
export const guardOptions = (settings: Settings): Partial<Guard.Options> => ({
  maxWaitMs: ms(settings.limits.maxWaitSeconds),
  tiers: mapValues(settings.tiers, (tier) => ({
    maxTokenWaitMs: ms(tier.maxTokenWaitSeconds),
    batch: tier.lowPriority
  }))
})

/**
 * @since 0.1.0
 * @category options
 */
export const cacheOptions = ({ cache }: Settings): Partial<ResultCache.Options> => ({
  maxBytes: cache.maxBytes,
  maxEntries: cache.maxEntries,
  freshMs: ms(cache.freshSeconds),
  maxAgeMs: ms(cache.maxAgeSeconds)
})

/**
 * For `Http.serve`.
 *
 * @since 0.1.0
 * @category options
 */
export const httpOptions = ({ http, timeouts }: Settings): Http.Options => ({
  host: http.host,
  port: http.port,
  allowedHosts: http.allowedHosts,
  allowedOrigins: http.allowedOrigins,
  trustedProxies: http.trustedProxies,
  maxBodyBytes: http.maxBodyBytes,
  maxConcurrentBodies: http.maxConcurrentBodies,
  requestTimeoutMs: ms(http.requestSeconds),
  maxConnections: http.maxConnections,
  maxSessions: http.maxSessions,
  maxSessionsPerClient: http.maxSessionsPerClient,
  sessionIdleMs: ms(http.sessionIdleSeconds),
  strictSessions: http.strictSessions,
  failedLogins: { burst: http.failedLoginBurst, ratePerSecond: http.failedLoginsPerSecond },
  clientRequests: { burst: http.clientRequestBurst, ratePerSecond: http.clientRequestsPerSecond },
  clientBytes: { burst: http.clientByteBurst, ratePerSecond: http.clientBytesPerSecond },
  cancelOnDisconnect: http.cancelOnDisconnect,
  metrics: http.metrics,
  status: http.status,
  stopMs: ms(timeouts.shutdownSeconds)
})

/**
 * How a credential's client and tier become those of the configuration.
 *
 * @since 0.1.0
 * @category options
 */
export const tiersOf = (settings: Settings) => ({
  tierOf: (client: string): string => tierOf(settings, client),
  isTier: (tier: string): boolean => Object.hasOwn(settings.tiers, tier)
})

const levels = {
  trace: LogLevel.Trace,
  debug: LogLevel.Debug,
  info: LogLevel.Info,
  warning: LogLevel.Warning,
  error: LogLevel.Error,
  none: LogLevel.None
}

/**
 * @since 0.1.0
 * @category options
 */
export const logLevel = (settings: Settings): LogLevel.LogLevel => levels[settings.log.level]
