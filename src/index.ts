/**
 * The public modules. Import them by subpath (`snowguard/RateLimiter`) where start-up time matters: this
 * barrel loads them all.
 *
 * @since 0.1.0
 */
export * as AdaptiveRate from "./AdaptiveRate.js"
export * as Bulkhead from "./Bulkhead.js"
export * as CallPolicy from "./CallPolicy.js"
export * as CircuitBreaker from "./CircuitBreaker.js"
export * as Cursors from "./Cursors.js"
export * as Deadline from "./Deadline.js"
export * as Degradation from "./Degradation.js"
export * as ErrorReport from "./ErrorReport.js"
export * as Guard from "./Guard.js"
export * as LoopGuard from "./LoopGuard.js"
export * as McpServer from "./McpServer.js"
export * as Operation from "./Operation.js"
export * as Principal from "./Principal.js"
export * as Quota from "./Quota.js"
export * as QuotaAdmin from "./QuotaAdmin.js"
export * as QuotaStore from "./QuotaStore.js"
export * as RateLimiter from "./RateLimiter.js"
export * as ReadOnly from "./ReadOnly.js"
export * as ResultCache from "./ResultCache.js"
export * as Retry from "./Retry.js"
export * as RetryPolicy from "./RetryPolicy.js"
export * as ScanBudget from "./ScanBudget.js"
export * as ServerConfig from "./ServerConfig.js"
export * as Telemetry from "./Telemetry.js"
export * as Testing from "./Testing.js"
export * as Tool from "./Tool.js"
export * as Toolbox from "./Toolbox.js"
export * as Warehouse from "./Warehouse.js"
