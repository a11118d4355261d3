/**
 * What stands under the server: seventeen services, each a layer, each replaceable. This file says which of
 * them a part may ask for, and puts them on each other; it chooses none of them.
 *
 * ```
 *   toolbox        may ask for all below
 *   guard          may ask for all below
 *   quota  degradation  loopGuard                            may ask for the ground
 *   audit  rateLimiter  bulkhead  circuitBreaker  retry  quotaStore
 *   resultCache  searchIndex  callPolicy  cursors  warehouse  readOnly    the ground: ask for none of these
 * ```
 *
 * What a part asks for beyond that (your database, say) is required of the builder of the stack.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Audit } from "../observe/Audit.js"
import type { Bulkhead } from "../guard/Bulkhead.js"
import type { CallPolicy } from "../tools/CallPolicy.js"
import type { CircuitBreaker } from "../guard/CircuitBreaker.js"
import type { Cursors } from "../tools/Cursors.js"
import type { Degradation } from "../guard/Degradation.js"
import type { Guard } from "../guard/Guard.js"
import type { LoopGuard } from "../guard/LoopGuard.js"
import type { Quota } from "../quota/Quota.js"
import type { QuotaStore } from "../quota/QuotaStore.js"
import type { RateLimiter } from "../guard/RateLimiter.js"
import { InvalidOptions } from "../platform/InvalidOptions.js"
import { ReadOnly } from "../gate/ReadOnly.js"
import type { ResultCache } from "../tools/ResultCache.js"
import type { Retry } from "../guard/Retry.js"
import type { SearchIndex } from "../tools/SearchIndex.js"
import type { Toolbox } from "../tools/Toolbox.js"
import { Warehouse } from "../warehouse/Warehouse.js"

interface Ground {
  readonly audit: Audit
  readonly rateLimiter: RateLimiter
  readonly bulkhead: Bulkhead
  readonly circuitBreaker: CircuitBreaker
  readonly retry: Retry
  readonly quotaStore: QuotaStore
  readonly resultCache: ResultCache
  readonly searchIndex: SearchIndex
  readonly callPolicy: CallPolicy
  readonly cursors: Cursors
  readonly warehouse: Warehouse
  /** Of the dialect of the warehouse: replace both together. */
  readonly readOnly: ReadOnly
}

interface Middle {
  readonly quota: Quota
  readonly degradation: Degradation
  readonly loopGuard: LoopGuard
}

/**
 * The parts by name, and the service that each is.
 *
 * @since 0.1.0
 * @category models
 */
export interface Services extends Ground, Middle {
  readonly guard: Guard
  readonly toolbox: Toolbox
}

/**
 * Everything that a stack gives.
 *
 * @since 0.1.0
 * @category models
 */
export type Service = Services[keyof Services]

/**
 * The services that a part may ask for without saying so.
 *
 * @since 0.1.0
 * @category models
 */
export type Below<K> = K extends "toolbox"
  ? Exclude<Service, Toolbox>
  : K extends "guard"
    ? Exclude<Service, Toolbox | Guard>
    : K extends keyof Middle
      ? Ground[keyof Ground]
      : never

/**
 * A complete set: the layer of each part, which may fail with `E` and ask for `R` beside what is below it.
 *
 * @since 0.1.0
 * @category models
 */
export type Parts<E = never, R = never> = {
  readonly [K in keyof Services]: Layer.Layer<Services[K], E, R | Below<K>>
}

/**
 * Parts in place of others; those that are absent stay as they are. A layer is to give the service of its name:
 * what else it gives may come to stand in front of another part.
 *
 * @since 0.1.0
 * @category models
 */
export type Overrides = {
  readonly [K in keyof Services]?: Layer.Layer<Services[K], unknown, unknown> | undefined
}

/**
 * `P`, if all its names are names of parts: a part that is misspelt would silently replace nothing.
 *
 * @since 0.1.0
 * @category models
 */
export type Only<P> = P & { readonly [K in Exclude<keyof P, keyof Services>]: never }

/**
 * What some of these parts may fail with.
 *
 * @since 0.1.0
 * @category models
 */
export type ErrorOf<P> = {
  [K in keyof P]-?: P[K] extends Layer.Layer<infer _A, infer E, infer _R> | undefined ? E : never
}[keyof P]

/**
 * What these parts ask for that no stack has.
 *
 * @since 0.1.0
 * @category models
 */
export type ContextOf<P> = {
  [K in keyof P]-?: P[K] extends Layer.Layer<infer _A, infer _E, infer R> | undefined
    ? Exclude<R, Below<K>>
    : never
}[keyof P]

/**
 * The parts, with others in place of some of them.
 *
 * @since 0.1.0
 * @category combinators
 */
export const replace = <E, R, P extends Overrides = {}>(
  parts: Parts<E, R>,
  overrides?: Only<P>
): Parts<E | ErrorOf<P>, R | ContextOf<P>> => {
  const given = Object.entries(overrides ?? {}).filter(([, part]) => part !== undefined)
  // The compiler does not see that each part is either the one or the other.
  return { ...parts, ...Object.fromEntries(given) } as Parts<E | ErrorOf<P>, R | ContextOf<P>>
}

/** A gate of another dialect would let through what it does not understand. */
const sameDialect = Layer.effectDiscard(
  Effect.zipWith(Warehouse, ReadOnly, (warehouse, gate) =>
    warehouse.dialect === gate.dialect
      ? Effect.void
      : Effect.die(
          new InvalidOptions({
            service: "Stack",
            problems: [
              `the warehouse speaks ${warehouse.dialect} and the read-only gate ${gate.dialect}: replace warehouse and ` +
                "readOnly together (ReadOnly/Snowflake, ReadOnly/DuckDb)"
            ]
          })
        )
  ).pipe(Effect.flatten)
)

/**
 * Puts the parts on each other. A part is built once, however many ask for it. A warehouse and a gate of different dialects
 * are a defect (`InvalidOptions`).
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = <E, R>(parts: Parts<E, R>): Layer.Layer<Service, E, R> => {
  const ground = Layer.mergeAll(
    parts.audit,
    parts.rateLimiter,
    parts.bulkhead,
    parts.circuitBreaker,
    parts.retry,
    parts.quotaStore,
    parts.resultCache,
    parts.searchIndex,
    parts.callPolicy,
    parts.cursors,
    parts.warehouse,
    parts.readOnly
  )
  const middle = Layer.mergeAll(parts.quota, parts.degradation, parts.loopGuard)
  return parts.toolbox.pipe(
    Layer.provideMerge(parts.guard),
    Layer.provideMerge(middle),
    Layer.provideMerge(Layer.provideMerge(sameDialect, ground))
  )
}
