/**
 * The server of a simulation: the real services, each behind its tap, and the real guard in front of the
 * model of a warehouse. Any layer can be switched off, or replaced by a broken one.
 */
import { Effect, Layer } from "effect"
import type { InvalidOptions } from "../../src/platform/InvalidOptions.js"
import * as Bulkhead from "../../src/guard/Bulkhead.js"
import * as CircuitBreaker from "../../src/guard/CircuitBreaker.js"
import * as Degradation from "../../src/guard/Degradation.js"
import * as Guard from "../../src/guard/Guard.js"
import * as LoopGuard from "../../src/guard/LoopGuard.js"
import * as Quota from "../../src/quota/Quota.js"
import * as QuotaStore from "../../src/quota/QuotaStore.js"
import * as RateLimiter from "../../src/guard/RateLimiter.js"
import * as ResultCache from "../../src/tools/ResultCache.js"
import * as Retry from "../../src/guard/Retry.js"
import { CurrentPrincipal } from "../../src/platform/Principal.js"
import { Caller } from "./calls.js"
import type { Call } from "./calls.js"
import type { CallNotes } from "../../src/tools/callNotes.js"
import type { Invariants } from "./invariants.js"
import type { VirtualClock } from "./VirtualClock.js"
import type { Model } from "./warehouse.js"

export interface Options {
  readonly limiter: RateLimiter.Options
  readonly quota: Quota.Options
  readonly bulkhead: Bulkhead.Options
  readonly breaker: Omit<CircuitBreaker.Options, "openTimes">
  readonly openTimes: Parameters<typeof CircuitBreaker.openTimes>[0]
  readonly guard: Partial<Guard.Options>
  readonly retry?: Retry.Options | undefined
  readonly degradation?: Parameters<typeof Degradation.layer>[0]
  readonly cache?: Partial<ResultCache.Options> | undefined
}

export const layerNames = ["limiter", "quota", "bulkhead", "breaker", "retry", "degradation"] as const
export type LayerName = (typeof layerNames)[number]

/** Which layers are on. */
export type Layers = { readonly [L in LayerName]: boolean }

export const everything: Layers = {
  limiter: true,
  quota: true,
  bulkhead: true,
  breaker: true,
  retry: true,
  degradation: true
}

export const nothing: Layers = {
  limiter: false,
  quota: false,
  bulkhead: false,
  breaker: false,
  retry: false,
  degradation: false
}

/** Layers to put in the place of the real ones. */
export interface Replacements {
  readonly limiter?: Layer.Layer<RateLimiter.RateLimiter, InvalidOptions> | undefined
  readonly bulkhead?: Layer.Layer<Bulkhead.Bulkhead, InvalidOptions> | undefined
  readonly breaker?: Layer.Layer<CircuitBreaker.CircuitBreaker> | undefined
  readonly quota?: Layer.Layer<Quota.Quota, InvalidOptions> | undefined
  readonly cache?: Layer.Layer<ResultCache.ResultCache> | undefined
  readonly loops?: Layer.Layer<LoopGuard.LoopGuard> | undefined
}

export const breakerLayer = (options: Options): Layer.Layer<CircuitBreaker.CircuitBreaker> =>
  CircuitBreaker.layer({ ...options.breaker, openTimes: CircuitBreaker.openTimes(options.openTimes) })

export const layer = (options: Options, layers: Layers, watch: Invariants, replaced: Replacements = {}) => {
  const limiter = Layer.effect(
    RateLimiter.RateLimiter,
    Effect.map(RateLimiter.RateLimiter, watch.tokens.tap)
  ).pipe(Layer.provide(replaced.limiter ?? RateLimiter.layer(options.limiter)))
  const quota = Layer.effect(Quota.Quota, Effect.map(Quota.Quota, watch.quotas.tap)).pipe(
    Layer.provide(replaced.quota ?? Layer.provide(Quota.layer(options.quota), QuotaStore.layerMemory))
  )
  const bulkhead = Layer.effect(Bulkhead.Bulkhead, Effect.map(Bulkhead.Bulkhead, watch.slots.tap)).pipe(
    Layer.provide(replaced.bulkhead ?? Bulkhead.layer(options.bulkhead))
  )
  const breaker = Layer.effect(
    CircuitBreaker.CircuitBreaker,
    Effect.map(CircuitBreaker.CircuitBreaker, watch.circuit.tap)
  ).pipe(Layer.provide(replaced.breaker ?? breakerLayer(options)))

  const guards = Layer.mergeAll(
    layers.limiter ? limiter : RateLimiter.layerNoop,
    layers.quota ? quota : Quota.layerNoop,
    layers.bulkhead ? bulkhead : Bulkhead.layerNoop,
    layers.breaker ? breaker : CircuitBreaker.layerNoop,
    layers.retry ? Retry.layer(options.retry) : Retry.layerNoop,
    layers.degradation ? (replaced.cache ?? ResultCache.layer(options.cache)) : ResultCache.layerNoop,
    replaced.loops ?? Layer.effect(LoopGuard.LoopGuard, LoopGuard.make("snowflake"))
  )
  const ladder = layers.degradation ? Degradation.layer(options.degradation) : Degradation.layerNoop
  return Guard.layer(options.guard).pipe(Layer.provideMerge(ladder), Layer.provideMerge(guards), Layer.orDie)
}

export interface Answer {
  readonly bytes: number
  /** Told from memory because the warehouse could not say. */
  readonly stale: boolean
}

/**
 * A call as a tool makes it: look-ups may be answered from memory, statements never are, and those that keep failing
 * are not tried again.
 */
export const toolOf = ({ asked }: Call): string =>
  asked.class === "query" ? "execute_query" : "describe_table"

export const answer = (time: VirtualClock, model: Model, layers: Layers, call: Call, notes?: CallNotes) => {
  const statement = `${call.asked.class} ${call.asked.question}${call.asked.mistaken ? " mistaken" : ""}`
  const operation: Guard.Operation = {
    tool: toolOf(call),
    class: call.asked.class,
    deadlineMs: call.asked.deadlineMs,
    timeoutMs: call.asked.timeoutMs,
    estimatedBytes: call.asked.estimatedBytes,
    statement: () => statement,
    ...(notes === undefined ? {} : { metered: notes.metered, observed: notes.observed })
  }
  const asked = Effect.flatMap(Guard.Guard, (guard) => {
    call.guardedAt = time.now()
    return Effect.map(
      guard.run(operation, (attempt) => model.execute(call, attempt)),
      ({ value }): Answer => ({ bytes: value, stale: false })
    )
  })
  const remembered = Effect.flatMap(ResultCache.ResultCache, (cache) =>
    Effect.map(
      // As in the server: calls with other limits of time do not share a question on its way.
      cache.serve(
        {
          key: `${call.asked.tier} ${call.asked.deadlineMs} ${call.asked.question}`,
          bytes: ({ bytes }) => bytes
        },
        asked
      ),
      ({ cached, value }): Answer => ({ bytes: value.bytes, stale: cached?.stale === true })
    )
  )
  const tried = Effect.flatMap(LoopGuard.LoopGuard, (loops) =>
    loops.protect({ client: call.asked.client, statement }, asked)
  )
  const lookUp = layers.degradation ? remembered : asked
  return Effect.provideService(
    Effect.suspend(
      (): Effect.Effect<
        Answer,
        Effect.Effect.Error<typeof tried>,
        Effect.Effect.Context<typeof tried | typeof remembered>
      > => (call.asked.class === "query" ? tried : call.asked.class === "metadata" ? lookUp : asked)
    ),
    CurrentPrincipal,
    new Caller(call.asked.client, call.asked.tier, call)
  )
}
