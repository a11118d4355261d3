/**
 * Bounds how many calls and how many warehouse statements run at once. Slots are granted in the order of arrival within a
 * client and round robin between clients (weighted by tier). The queue and the wait are bounded, and the last slots can be
 * reserved for clients that have none. The hand-over of slots is in `platform/slotPool`, the order of the queue in
 * `platform/core/FairQueue`.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as InvalidOptions from "../platform/InvalidOptions.js"
import * as Live from "../platform/Live.js"
import * as SlotPool from "../platform/slotPool.js"
import { withoutStack } from "../platform/withoutStack.js"

/**
 * What a slot is for: a call as a whole, or one statement in the warehouse.
 *
 * @since 0.1.0
 * @category models
 */
export const Pool = Schema.Literal("requests", "statements")
/**
 * @since 0.1.0
 * @category models
 */
export type Pool = typeof Pool.Type

/**
 * How many slots a pool has, how many may wait for one, and what is kept for clients that have none.
 *
 * @since 0.1.0
 * @category models
 */
export interface PoolOptions {
  /** Slots, >= 1. */
  readonly permits: number
  /**
   * Slots that only a client without a slot may take, so that one client never has them all; 0 when absent. Less
   * than `permits`.
   */
  readonly reserve?: number | undefined
  /** Waiters at most, over all clients; 0 refuses at once. */
  readonly maxQueue: number
  /** Waiters of one client at most, so that no client fills the queue alone. */
  readonly maxQueuePerClient: number
}

/**
 * The two pools and the weights of tiers. Wrong ones fail the layer with `InvalidOptions`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  readonly requests: PoolOptions
  readonly statements: PoolOptions
  /** Slots in a row that a tier's client gets per round; 1 when absent. */
  readonly tierWeights?: { readonly [tier: string]: number } | undefined
}

/**
 * Who asks for a slot, and how long it waits for one.
 *
 * @since 0.1.0
 * @category models
 */
export interface Request {
  readonly client: string
  readonly tier: string
  /** Milliseconds to wait for a slot at most. */
  readonly maxWaitMs: number
}

/**
 * A slot that is held; whoever acquired it hands it to `release`, once.
 *
 * @since 0.1.0
 * @category models
 */
export interface Slot {
  readonly pool: Pool
  /** Monotonic milliseconds. */
  readonly takenAt: number
  readonly client: string
}

/**
 * Slots and waiting calls of a pool, counted now.
 *
 * @since 0.1.0
 * @category models
 */
export interface PoolStatus {
  readonly pool: Pool
  readonly permits: number
  readonly inUse: number
  readonly queued: number
  /** Who waits, in the order of their turns, and how many of its calls; absent where that is not known. */
  readonly waiting?: ReadonlyArray<readonly [client: string, calls: number]> | undefined
  /** Milliseconds a new waiter would expect to wait; 0 when a slot is free and no call waits. */
  readonly estimatedWaitMs: number
}

/**
 * No slot was given: the queue is full, or the wait was longer than the call would. Nothing was sent; waiting may help.
 *
 * @since 0.1.0
 * @category errors
 */
export class Overloaded extends Schema.TaggedError<Overloaded>("snowguard/Overloaded")("Overloaded", {
  pool: Pool,
  /** `queue-full`: refused at once. `client-queue-full`: this client alone has too many waiting. */
  why: Schema.Literal("queue-full", "client-queue-full", "wait-timeout"),
  permits: Schema.Number,
  queued: Schema.Number,
  /** Milliseconds waited before the refusal. */
  waitedMs: Schema.Number,
  /** Estimated milliseconds until a slot is free; an estimate, unlike a rate limit's. */
  retryAfterMs: Schema.Number,
  /** Slots that the client has, where the free ones are reserved for clients that have none. */
  held: Schema.optional(Schema.Number)
}) {
  override get message(): string {
    if (this.held !== undefined) {
      return `the client has ${this.held} of ${this.permits} ${this.pool} slots, and the free ones are kept for others (${this.why})`
    }
    return `all ${this.permits} ${this.pool} slots are busy and ${this.queued} calls wait (${this.why})`
  }
}

/**
 * Slots, granted fairly. Fails with `Overloaded` where none is free in time.
 *
 * @since 0.1.0
 * @category context
 */
export class Bulkhead extends Context.Tag("snowguard/Bulkhead")<
  Bulkhead,
  {
    /**
     * A slot, until it is released. Run it in an uninterruptible region, as any acquisition; the wait for a slot
     * stays interruptible. {@link withSlot} does both.
     */
    readonly acquire: (pool: Pool, request: Request) => Effect.Effect<Slot, Overloaded>
    /** Run it once for each slot, when its work has ended. */
    readonly release: (slot: Slot) => Effect.Effect<void>
    readonly status: Effect.Effect<ReadonlyArray<PoolStatus>>
  }
>() {}

/**
 * What is wrong with the options.
 *
 * @since 0.1.0
 * @category predicates
 */
export const problems = (options: Options): ReadonlyArray<string> => {
  const found: Array<string> = []
  const whole = (name: string, value: number, least: number): void => {
    if (!(Number.isSafeInteger(value) && value >= least))
      found.push(`${name} must be a whole number of at least ${least}, not ${value}`)
  }
  for (const pool of Pool.literals) {
    whole(`${pool}.permits`, options[pool].permits, 1)
    whole(`${pool}.maxQueue`, options[pool].maxQueue, 0)
    whole(`${pool}.maxQueuePerClient`, options[pool].maxQueuePerClient, 0)
    const { permits, reserve = 0 } = options[pool]
    whole(`${pool}.reserve`, reserve, 0)
    if (reserve >= permits && reserve > 0) found.push(`${pool}.reserve must be less than permits`)
  }
  for (const [tier, weight] of Object.entries(options.tierWeights ?? {}))
    whole(`tierWeights.${tier}`, weight, 1)
  return found
}

const makePool = (
  pool: Pool,
  options: Live.Live<PoolOptions>,
  weights: Live.Live<ReadonlyMap<string, number>>
) => {
  const refuse = (full: SlotPool.Full) =>
    withoutStack(
      () => new Overloaded({ pool, permits: options.current().permits, ...full }, { disableValidation: true })
    )
  return Effect.map(SlotPool.make(pool, options, refuse), (slots) => ({
    acquire: ({ client, maxWaitMs, tier }: Request) =>
      slots.acquire({ client, weight: weights.current().get(tier) ?? 1, maxWaitMs }),
    release: slots.release,
    status: slots.status
  }))
}

/**
 * A bulkhead with empty pools.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  options: Options | Live.Live<Options>
): Effect.Effect<Context.Tag.Service<typeof Bulkhead>, InvalidOptions.InvalidOptions> =>
  Effect.gen(function* () {
    const live = Live.from(options)
    yield* InvalidOptions.check("Bulkhead", problems(live.current()))
    const weights = Live.map(live, ({ tierWeights = {} }) => new Map(Object.entries(tierWeights)))
    const pools = {
      requests: yield* makePool(
        "requests",
        Live.map(live, ({ requests }) => requests),
        weights
      ),
      statements: yield* makePool(
        "statements",
        Live.map(live, ({ statements }) => statements),
        weights
      )
    }
    return {
      acquire: (pool, request) => pools[pool].acquire(request),
      release: (slot) => pools[slot.pool].release(slot),
      status: Effect.zipWith(pools.requests.status, pools.statements.status, (...both) => both)
    }
  })

/**
 * Two pools in this process.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: Options | Live.Live<Options>
): Layer.Layer<Bulkhead, InvalidOptions.InvalidOptions> => Layer.effect(Bulkhead, make(options))

/**
 * Runs the effect in a slot; the slot is freed when the effect has ended, its finalizers included.
 *
 * @example
 * Bulkhead.withSlot(bulkhead, "statements", { client, tier, maxWaitMs: 5_000 }, runStatement)
 *
 * @since 0.1.0
 * @category combinators
 */
export const withSlot = <A, E, R>(
  bulkhead: Bulkhead["Type"],
  pool: Pool,
  request: Request,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E | Overloaded, R> =>
  Effect.acquireUseRelease(bulkhead.acquire(pool, request), () => effect, bulkhead.release)

/**
 * Runs everything at once and has no pools.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerNoop: Layer.Layer<Bulkhead> = Layer.succeed(Bulkhead, {
  acquire: (pool, { client }) => Effect.succeed({ pool, takenAt: 0, client }),
  release: () => Effect.void,
  status: Effect.succeed([])
})
