/**
 * How fast: token buckets for the client, its use of one tool, its tier, the operation class and the whole server,
 * decided together in one atomic step. A refusal charges no bucket and says exactly how long to wait. The algorithm is GCRA (ITU-T I.371,
 * annex A).
 *
 * The state is one `Ref` and every operation one `Ref.modify` by a pure decision (`guard/core/TokenBucket`, which
 * states the algorithm and its invariants). There is no fiber and no timer per client.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Ref from "effect/Ref"
import * as Schema from "effect/Schema"
import * as BucketLimits from "./core/BucketLimits.js"
import * as TokenBucket from "./core/TokenBucket.js"
import * as Lru from "../platform/core/Lru.js"
import * as InvalidOptions from "../platform/InvalidOptions.js"
import * as Live from "../platform/Live.js"
import { monotonicMillis, steps } from "../platform/monotonic.js"
import type { OperationClass } from "../platform/Operation.js"
import { withoutStack } from "../platform/withoutStack.js"

/**
 * Which bucket refused. `client` is the caller's own, `tool` its own for one tool; `overflow` is shared by clients that are unknown
 * while the table of clients is full; the others are shared by all clients.
 *
 * @since 0.1.0
 * @category models
 */
export const Scope = Schema.Literal("client", "tool", "tier", "class", "global", "overflow")
/**
 * @since 0.1.0
 * @category models
 */
export type Scope = typeof Scope.Type

/**
 * A token bucket: how fast it fills, and how much it holds.
 *
 * @since 0.1.0
 * @category models
 */
export interface Bucket {
  /** Tokens per second, > 0. */
  readonly rate: number
  /** Most tokens the bucket holds, >= 1. */
  readonly burst: number
  /** Tokens a new bucket starts with; `burst` when absent. */
  readonly initial?: number | undefined
}

/**
 * The buckets of all scopes. See {@link problems} for what makes no sense.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** All calls of all clients. */
  readonly global: Bucket
  /** All calls of one class, by class; a class without an entry is not limited by class. */
  readonly classes: { readonly [K in OperationClass]?: Bucket | undefined }
  /** The bucket each client of a tier gets. Must hold `default`, used for unknown tiers. */
  readonly tiers: { readonly [tier: string]: TierBuckets }
  /** Clients tracked at most; {@link defaults} when absent. */
  readonly maxClients?: number | undefined
  /**
   * Part (0 to 0.9) of each shared bucket that only clients below their share of it may use, while several clients
   * call; {@link defaults} when absent.
   */
  readonly reserved?: number | undefined
}

/**
 * How many clients are tracked, and which part of a shared bucket is kept for those below their share.
 *
 * @since 0.1.0
 * @category models
 */
export const defaults = { maxClients: 100_000, reserved: 0.25 } as const

/**
 * The buckets of a tier's clients.
 *
 * @since 0.1.0
 * @category models
 */
export interface TierBuckets {
  readonly client: Bucket
  /** Shared by all clients of the tier, where configured. */
  readonly total?: Bucket | undefined
  /** What the calls of a tool take, by tool. */
  readonly tools?: { readonly [tool: string]: ToolLimit | undefined } | undefined
  /** Scopes that refuse nothing to the tier's callers, and make nothing wait: they decide, and are charged. */
  readonly observe?: ReadonlyArray<Scope> | undefined
}

/**
 * What the calls of one tool take, beside what every call takes.
 *
 * @since 0.1.0
 * @category models
 */
export interface ToolLimit {
  /** The bucket that each client has for this tool, full at first; none when absent. */
  readonly bucket?: Pick<Bucket, "rate" | "burst"> | undefined
  /** Tokens that a call takes from the client's own bucket, times its cost; 1 when absent. */
  readonly weight?: number | undefined
}

/**
 * A call that asks for tokens. A cost that is negative or not finite is a defect.
 *
 * @since 0.1.0
 * @category models
 */
export interface Request {
  readonly client: string
  readonly tier: string
  readonly class: OperationClass
  /** For the limits by tool; none apply when absent. */
  readonly tool?: string | undefined
  /** Tokens; 1 when absent. */
  readonly cost?: number | undefined
}

/**
 * Proof of admission; hand it to `refund` when nothing was sent.
 *
 * @since 0.1.0
 * @category models
 */
export interface Admission {
  readonly client: string
  readonly tier: string
  readonly class: OperationClass
  readonly tool?: string | undefined
  readonly cost: number
  /** The bucket that was charged for the client: its own, or the shared overflow bucket. */
  readonly clientScope: "client" | "overflow"
  /** Whole milliseconds until the tokens are due; 0 for `acquire`. */
  readonly waitMs: number
  /** The scopes that refused nothing, and whether they were charged; absent where the tier observes none. */
  readonly observed?: { readonly scopes: ReadonlySet<Scope>; readonly charged: boolean } | undefined
  /** Scopes that are observed would have refused the call, and were not charged. */
  readonly wouldRefuse?: WouldRefuse | undefined
  /** Milliseconds from when the limiter was made to the decision. */
  readonly decidedAt?: number | undefined
  /**
   * What a limiter of this module charged.
   *
   * @internal
   */
  readonly charge?: Charge | undefined
}

/**
 * What a refusal would have said.
 *
 * @since 0.1.0
 * @category models
 */
export interface WouldRefuse {
  readonly scope: Scope
  readonly name?: string | undefined
  readonly retryAfterMs: number
  readonly never: boolean
}

/**
 * One bucket as a caller may see it.
 *
 * @since 0.1.0
 * @category models
 */
export interface ScopeStatus {
  readonly scope: Scope
  /** The tool, class or tier the bucket belongs to, where there are several of its scope. */
  readonly name?: string | undefined
  readonly ratePerSecond: number
  readonly burst: number
  readonly remaining: number
  /** Milliseconds until the bucket is full again. */
  readonly resetMs: number
  /** Tokens that a client above its share may not use, where there is such a part. */
  readonly reserved?: number | undefined
  /** Of the client's own bucket: what a call of a tool takes from it, where that is not 1. */
  readonly weights?: { readonly [tool: string]: number } | undefined
  /** The client's tier only observes it: it refuses nothing. */
  readonly observed?: boolean | undefined
}

/**
 * A bucket had too few tokens: none was charged and nothing was sent. Waiting `retryAfterMs` helps, unless `never`.
 *
 * @since 0.1.0
 * @category errors
 */
export class RateLimited extends Schema.TaggedError<RateLimited>("snowguard/RateLimited")("RateLimited", {
  /** The scope that makes the caller wait longest. */
  scope: Scope,
  name: Schema.optional(Schema.String),
  ratePerSecond: Schema.Number,
  burst: Schema.Number,
  remaining: Schema.Number,
  /** Exact: the same call is admitted then and not one millisecond earlier, without calls of other clients. */
  retryAfterMs: Schema.Number,
  /**
   * What to tell the caller: `retryAfterMs`, and later by what the call takes of the bucket for each call that was refused
   * by the same bucket just before, so that calls refused together do not return together.
   */
  retryHintMs: Schema.Number,
  /** The cost is larger than the bucket: waiting will never help. */
  never: Schema.Boolean,
  /** Milliseconds from when the limiter was made to the decision. */
  decidedAt: Schema.optional(Schema.Number)
}) {
  override get message(): string {
    return this.never
      ? `the call costs more than the ${this.scope} bucket of ${this.burst} can ever hold`
      : `${this.scope} rate limit of ${this.ratePerSecond}/s (burst ${this.burst}) reached; retry in ${this.retryAfterMs} ms`
  }
}

/**
 * Token buckets, decided together. Operations fail with `RateLimited` alone; a limiter that cannot reach its buckets
 * decides by what it has.
 *
 * @since 0.1.0
 * @category context
 */
export class RateLimiter extends Context.Tag("snowguard/RateLimiter")<
  RateLimiter,
  {
    /**
     * Admit now, or fail with the scope that makes the caller wait longest. One atomic step over all scopes. Run it in
     * an uninterruptible region if the admission may be refunded, as with any acquisition.
     */
    readonly acquire: (request: Request) => Effect.Effect<Admission, RateLimited>
    /**
     * Take the tokens now for later: `waitMs` says how long to wait until they are due, at most `maxWaitMs`
     * milliseconds. A caller that does not wait, or does not use them, gives them back with `refund`.
     */
    readonly reserve: (request: Request, maxWaitMs: number) => Effect.Effect<Admission, RateLimited>
    /**
     * `reserve`, then the wait. The tokens are given back when the wait is interrupted. A refusal comes at once and
     * says when the same call with the same `maxWaitMs` would be admitted.
     */
    readonly acquireWithin: (request: Request, maxWaitMs: number) => Effect.Effect<Admission, RateLimited>
    /**
     * Give the tokens back: nothing was sent. Never lifts a bucket above its burst; the same admission
     * given back twice counts once. `only`: those of the scopes that are observed; the others can still be given back.
     * Says when, as `decidedAt`; undefined where there was nothing to give back.
     */
    readonly refund: (admission: Admission, only?: "observed") => Effect.Effect<number | undefined>
    /**
     * `acquire`, then the effect; never refunds. Put a circuit breaker outside of it, or every call that the breaker
     * refuses costs a token.
     *
     * @example
     * limiter.limit({ client: "team-a", tier: "default", class: "query" }, callTheApi)
     */
    readonly limit: <A, E, R>(
      request: Request,
      effect: Effect.Effect<A, E, R>
    ) => Effect.Effect<A, E | RateLimited, R>
    /** The buckets that calls of this client pass, its own first. Charges nothing. */
    readonly status: (client: string, tier: string) => Effect.Effect<ReadonlyArray<ScopeStatus>>
  }
>() {}

/** Buckets of which it is remembered what was told last. */
const TOLD = { maxEntries: 10_000, maxBytes: Number.MAX_SAFE_INTEGER }

/** Calls that the same bucket refuses within so many milliseconds of each other are refused together. */
const TOGETHER_MS = 1_000

/**
 * The latest moment that a refused call was told, and when it was refused, by the bucket that refused it; on the clock of
 * `decidedAt`. Updated in place, in the step of one refusal.
 *
 * @internal
 */
export type Told = Lru.Lru<{ readonly at: number; readonly refusedAt: number }>

/** @internal */
export const makeTold = (): Told => Lru.make(TOLD)

/**
 * The n-th of calls that are refused together is told the time at which the bucket holds enough for n of them, as many as
 * it can hold. A client that comes back early after a while is told the exact time again.
 */
const hintOf = (
  told: Told,
  { client }: Request,
  { binding: { burst, name = "", ratePerSecond, scope }, decidedAt, never, priceMs, retryAfterMs }: Decided
): number => {
  if (never) return retryAfterMs
  const isOwn = scope === "client" || scope === "tool"
  const key = JSON.stringify([scope, name, isOwn ? client : ""])
  const due = decidedAt + retryAfterMs
  const last = Lru.get(told, key)
  const isTogether = last !== undefined && decidedAt - last.refusedAt < TOGETHER_MS
  const at = isTogether
    ? Math.min(Math.max(due, last.at + priceMs), due + (burst * 1_000) / ratePerSecond)
    : due
  Lru.set(told, key, { at, refusedAt: decidedAt }, 1)
  return Math.ceil(at - decidedAt)
}

type Decided = TokenBucket.Refusal & { readonly decidedAt: number }

/** @internal */
export const refuse = (told: Told, request: Request, decided: Decided): Effect.Effect<never, RateLimited> =>
  Effect.suspend(() => {
    const {
      binding: { burst, name, ratePerSecond, remaining, scope },
      decidedAt,
      never,
      retryAfterMs
    } = decided
    const retryHintMs = hintOf(told, request, decided)
    const fields = {
      scope,
      name,
      ratePerSecond,
      burst,
      remaining,
      retryAfterMs,
      retryHintMs,
      never,
      decidedAt
    }
    return Effect.fail(withoutStack(() => new RateLimited(fields, { disableValidation: true })))
  })

const complete = (options: Options) => {
  const { maxClients = defaults.maxClients, reserved = defaults.reserved } = options
  return { ...options, maxClients, reserved }
}

/**
 * The limits in force, if those of now are right.
 *
 * @internal
 */
export const compile = (
  options: Live.Live<Options>
): Effect.Effect<Live.Live<BucketLimits.Config>, InvalidOptions.InvalidOptions> =>
  Effect.map(InvalidOptions.check("RateLimiter", problems(options.current())), () =>
    Live.map(options, (current) => BucketLimits.compile(complete(current)))
  )

/** Gives back what was charged at the scopes, and says when, as `decidedAt`. */
type GiveBack = (isGiven: (scope: Scope) => boolean) => Effect.Effect<number | undefined>

type Returned = "nothing" | "observed" | "all"

const unobserved: TokenBucket.Observed = { scopes: new Set(), charged: false }

/**
 * What was charged for an admission, and what of it was given back.
 *
 * @internal
 */
export class Charge {
  readonly #returned: Ref.Ref<Returned>
  readonly #giveBack: GiveBack

  constructor(returned: Ref.Ref<Returned>, giveBack: GiveBack) {
    this.#returned = returned
    this.#giveBack = giveBack
  }

  giveBack(
    { charged, scopes }: TokenBucket.Observed = unobserved,
    only: "observed" | undefined
  ): Effect.Effect<number | undefined> {
    const decided = Ref.modify(
      this.#returned,
      (before): readonly [Effect.Effect<number | undefined>, Returned] => {
        const owed = charged && before === "nothing"
        return before === "all" || (only !== undefined && !owed)
          ? [Effect.succeed(undefined), before]
          : [this.#giveBack((scope) => (scopes.has(scope) ? owed : only === undefined)), only ?? "all"]
      }
    )
    return Effect.uninterruptible(Effect.flatten(decided))
  }
}

const refund: RateLimiter["Type"]["refund"] = ({ charge, observed }, only) =>
  charge === undefined ? Effect.succeed(undefined) : charge.giveBack(observed, only)

/** @internal */
export const admission = (
  request: Request,
  decided: Pick<Admission, "clientScope" | "waitMs" | "observed" | "wouldRefuse" | "decidedAt">,
  giveBack: GiveBack
): Effect.Effect<Admission> =>
  Effect.map(Ref.make<Returned>("nothing"), (returned) => {
    const { clientScope, decidedAt, observed, waitMs, wouldRefuse } = decided
    return {
      client: request.client,
      tier: request.tier,
      class: request.class,
      ...(request.tool === undefined ? {} : { tool: request.tool }),
      cost: request.cost ?? 1,
      clientScope,
      waitMs: Math.ceil(waitMs),
      ...(observed === undefined ? {} : { observed }),
      ...(wouldRefuse === undefined ? {} : { wouldRefuse }),
      decidedAt,
      charge: new Charge(returned, giveBack)
    }
  })

const wouldRefuseOf = ({ binding, never, retryAfterMs }: TokenBucket.Refusal): WouldRefuse => ({
  scope: binding.scope,
  name: binding.name,
  retryAfterMs,
  never
})

/** @internal */
export type Primitives = Pick<RateLimiter["Type"], "reserve" | "status">

/**
 * The service over its two primitives.
 *
 * @internal
 */
export const fromPrimitives = ({ reserve, status }: Primitives): RateLimiter["Type"] => {
  const acquire = (request: Request) => reserve(request, 0)
  return {
    acquire,
    reserve,
    acquireWithin: (request, maxWaitMs) =>
      Effect.uninterruptibleMask((restore) =>
        Effect.tap(reserve(request, maxWaitMs), (given) =>
          given.waitMs === 0
            ? Effect.void
            : Effect.onInterrupt(restore(Effect.sleep(given.waitMs)), () => refund(given))
        )
      ),
    refund,
    limit: (request, effect) => Effect.zipRight(acquire(request), effect),
    status
  }
}

/**
 * What is wrong with the options.
 *
 * @since 0.1.0
 * @category predicates
 */
export const problems = (options: Options): ReadonlyArray<string> => BucketLimits.problems(complete(options))

/**
 * A limiter with a state of its own: every bucket starts with its `initial` tokens. Options that are replaced must have
 * no {@link problems}; the buckets keep what was used of them.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  options: Options | Live.Live<Options>
): Effect.Effect<Context.Tag.Service<typeof RateLimiter>, InvalidOptions.InvalidOptions> =>
  Effect.map(inMemory(options), fromPrimitives)

/**
 * `since`: what `decidedAt` counts from, monotonic milliseconds; from when it is made when absent.
 *
 * @internal
 */
export const inMemory = (
  options: Options | Live.Live<Options>,
  since?: number
): Effect.Effect<Primitives, InvalidOptions.InvalidOptions> =>
  Effect.gen(function* () {
    const { modifyAt } = yield* steps
    const configs = yield* compile(Live.from(options))
    const first = configs.current()
    const made = yield* monotonicMillis
    const laterMs = since === undefined ? 0 : made - since
    const told = makeTold()
    const state = yield* Ref.make<Based>({ config: first, buckets: TokenBucket.initial(first, made) })
    /** One step under the limits that are in force in it. */
    const step = <A>(
      f: (
        buckets: TokenBucket.State,
        now: number,
        config: BucketLimits.Config
      ) => readonly [A, TokenBucket.State]
    ) =>
      modifyAt(state, (based, now): readonly [A, Based] => {
        const config = configs.current()
        const before =
          config === based.config
            ? based.buckets
            : TokenBucket.rebase(based.buckets, now, based.config, config)
        const [answer, buckets] = f(before, now, config)
        return [answer, { config, buckets }]
      })
    const admitted = (
      request: Request,
      under: BucketLimits.Config,
      { wouldRefuse, ...decided }: TokenBucket.Admitted & { readonly decidedAt: number }
    ): Effect.Effect<Admission> =>
      admission(
        request,
        wouldRefuse === undefined ? decided : { ...decided, wouldRefuse: wouldRefuseOf(wouldRefuse) },
        (isGiven) =>
          step((current, now, config) => {
            const given = { ...request, clientScope: decided.clientScope }
            const next = TokenBucket.refund(current, now, config, given, isGiven, under)
            return [next.last + laterMs, next]
          })
      )
    return {
      reserve: (request, maxWaitMs) =>
        Effect.flatten(
          step(
            (current, now, config): readonly [Effect.Effect<Admission, RateLimited>, TokenBucket.State] => {
              const [decision, next] = TokenBucket.decide(current, now, config, request, maxWaitMs)
              const decidedAt = next.last + laterMs
              return [
                decision._tag === "Admitted"
                  ? admitted(request, config, { ...decision, decidedAt })
                  : refuse(told, request, { ...decision, decidedAt }),
                next
              ]
            }
          )
        ),
      status: (client, tier) =>
        step((current, now, config) => [TokenBucket.status(current, now, config, client, tier), current])
    }
  })

/**
 * Buckets in this process.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: Options | Live.Live<Options>
): Layer.Layer<RateLimiter, InvalidOptions.InvalidOptions> => Layer.effect(RateLimiter, make(options))

interface Based {
  readonly config: BucketLimits.Config
  readonly buckets: TokenBucket.State
}

const atOnce = { waitMs: 0, clientScope: "client", decidedAt: undefined } as const

/**
 * Admits everything and has no buckets.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerNoop: Layer.Layer<RateLimiter> = Layer.succeed(
  RateLimiter,
  fromPrimitives({
    reserve: (request) => admission(request, atOnce, () => Effect.succeed(undefined)),
    status: () => Effect.succeed([])
  })
)
