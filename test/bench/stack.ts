/**
 * The stack that is measured: the guard on the services that `src/server/Server.ts` puts under it, with limits so
 * high that nothing is refused. A service that joins the guard joins here.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Runtime from "effect/Runtime"
import * as Scope from "effect/Scope"
import * as Bulkhead from "../../src/guard/Bulkhead.js"
import * as CircuitBreaker from "../../src/guard/CircuitBreaker.js"
import * as Degradation from "../../src/guard/Degradation.js"
import * as Guard from "../../src/guard/Guard.js"
import * as Quota from "../../src/quota/Quota.js"
import * as QuotaStore from "../../src/quota/QuotaStore.js"
import * as RateLimiter from "../../src/guard/RateLimiter.js"
import * as Retry from "../../src/guard/Retry.js"

const PLENTY = 1e9

const bucket: RateLimiter.Bucket = { rate: PLENTY, burst: PLENTY }
const pool: Bulkhead.PoolOptions = { permits: 1024, maxQueue: 20_000, maxQueuePerClient: 20_000 }
const quotas: Quota.Limits = {
  requests_per_hour: PLENTY,
  requests_per_day: PLENTY,
  queries_per_hour: PLENTY,
  queries_per_day: PLENTY,
  bytes_per_day: 1e15
}

export const parts = ["degradation", "limiter", "quota", "retry", "bulkhead", "breaker"] as const
export type Part = (typeof parts)[number]

export interface Options {
  /** Left out, to see what it costs. */
  readonly without?: Part | "all" | undefined
  /** Bucket of a client. */
  readonly client?: RateLimiter.Bucket | undefined
  readonly maxClients?: number | undefined
}

export type Services =
  | Guard.Guard
  | Degradation.Degradation
  | RateLimiter.RateLimiter
  | Quota.Quota
  | Retry.Retry
  | Bulkhead.Bulkhead
  | CircuitBreaker.CircuitBreaker

export const stack = (options: Options = {}): Layer.Layer<Services> => {
  const has = (part: Part) => options.without !== part && options.without !== "all"
  const health = Layer.merge(
    has("bulkhead") ? Bulkhead.layer({ requests: pool, statements: pool }) : Bulkhead.layerNoop,
    has("breaker") ? CircuitBreaker.layer() : CircuitBreaker.layerNoop
  )
  const guards = Layer.mergeAll(
    has("degradation")
      ? // Without the event loop's delay: a benchmark never lets go of it, which would be an emergency.
        Layer.provideMerge(Degradation.layer(), health)
      : Layer.merge(Degradation.layerNoop, health),
    has("limiter")
      ? RateLimiter.layer({
          global: bucket,
          classes: { metadata: bucket, query: bucket },
          tiers: { default: { client: options.client ?? bucket } },
          maxClients: options.maxClients
        })
      : RateLimiter.layerNoop,
    has("quota")
      ? Layer.provide(Quota.layer({ tiers: { default: quotas } }), QuotaStore.layerMemory)
      : Quota.layerNoop,
    has("retry") ? Retry.layer() : Retry.layerNoop
  )
  return Layer.orDie(Layer.provideMerge(Guard.layer(), guards))
}

/** A query as the tools ask for it. */
export const operation: Guard.Operation = {
  tool: "execute_query",
  class: "query",
  deadlineMs: 65_000,
  timeoutMs: 60_000,
  estimatedBytes: 4_096
}

/** A statement that was sent and answered without waiting: what is left is the guard. */
export const sent = (attempt: Guard.Attempt): Effect.Effect<void> => attempt.markSent

export interface Started {
  readonly runtime: Runtime.Runtime<Services>
  readonly guard: Guard.Guard["Type"]
  readonly stop: Effect.Effect<void>
}

export const start = async (options?: Options): Promise<Started> => {
  const scope = await Effect.runPromise(Scope.make())
  const runtime = await Effect.runPromise(Layer.toRuntime(stack(options)).pipe(Scope.extend(scope)))
  return {
    runtime,
    guard: await Runtime.runPromise(runtime)(Guard.Guard),
    stop: Scope.close(scope, Exit.void)
  }
}

/** `ops` times in this fiber, with as little around it as can be. */
export const times = <E, R>(
  ops: number,
  body: (i: number) => Effect.Effect<unknown, E, R>
): Effect.Effect<void, E, R> => {
  let i = 0
  return Effect.whileLoop({ while: () => i < ops, body: () => body(i), step: () => void i++ })
}

export const clients = (count: number): ReadonlyArray<string> =>
  Array.from({ length: count }, (_, i) => `client-${i.toString().padStart(7, "0")}`)
