/**
 * How fast the warehouse can be called at all: one gate for all clients together, whose rate gives way
 * when the warehouse says that it is overloaded and comes back by itself: additive increase, multiplicative
 * decrease, as TCP does (Chiu and Jain, 1989). The algorithm and its invariants are in `core/AdaptiveRate`.
 *
 * It stands in front of every attempt, retries included. While the warehouse is content it admits what
 * the base rate admits, and is not noticed. There is no timer and no fiber.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import * as Core from "./core/AdaptiveRate.js"
import { monotonicMillis, unsafeMonotonicMillis } from "./internal/monotonic.js"
import * as Step from "./internal/step.js"
import { withoutStack } from "./internal/withoutStack.js"

/**
 * The base rate, and how it gives way; see `core/AdaptiveRate` for the defaults and their reasons.
 *
 * @since 0.1.0
 * @category models
 */
export type Options = Partial<Core.Options>

/**
 * @since 0.1.0
 * @category models
 */
export interface Status {
  /** Part of the base rate that is in force: 1 while the warehouse is content. */
  readonly factor: number
  /** Calls per second and calls at once, at that factor. */
  readonly ratePerSecond: number
  readonly burst: number
  /** Calls that would be admitted right now. */
  readonly remaining: number
  /** Since the start: how often the rate was cut, and signals that were news of a rate already cut. */
  readonly cuts: number
  readonly staleSignals: number
  /** Calls turned away since the start. */
  readonly throttled: number
}

/**
 * More calls than the warehouse is given. Nothing was sent and nothing was charged.
 *
 * @since 0.1.0
 * @category errors
 */
export class Throttled extends Schema.TaggedError<Throttled>("snowguard/Throttled")("Throttled", {
  /** The rate in force; less than the base rate while the warehouse recovers from an overload. */
  ratePerSecond: Schema.Number,
  /** Calls at once at that rate. */
  burst: Schema.Number,
  /** Part of the base rate that is in force. */
  factor: Schema.Number,
  /** Exact: the same call is admitted then and not one millisecond earlier, if nothing else happens. */
  retryAfterMs: Schema.Number,
  /** `retryAfterMs` plus a positive jitter, so that clients refused together do not return together. */
  retryHintMs: Schema.Number
}) {
  override get message(): string {
    const slowed = this.factor < 1 ? `, slowed to ${Math.round(this.factor * 100)} % after an overload` : ""
    return `the warehouse is called ${this.ratePerSecond} times a second at most${slowed}; retry in ${this.retryAfterMs} ms`
  }
}

/**
 * The options make no sense; says everything that is wrong with them at once.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidAdaptiveRate extends Schema.TaggedError<InvalidAdaptiveRate>(
  "snowguard/InvalidAdaptiveRate"
)("InvalidAdaptiveRate", { problems: Schema.Array(Schema.String) }) {
  override get message(): string {
    return `invalid adaptive rate: ${this.problems.join("; ")}`
  }
}

/**
 * @since 0.1.0
 * @category context
 */
export class AdaptiveRate extends Context.Tag("snowguard/AdaptiveRate")<
  AdaptiveRate,
  {
    /** Admit one attempt now, or fail with how many milliseconds to wait; a refusal charges nothing. */
    readonly acquire: Effect.Effect<void, Throttled>
    /** Gives an admitted attempt back that was never sent. Once for each. */
    readonly refund: Effect.Effect<void>
    /**
     * The warehouse turned an attempt away as too much. `sentAt` is when it was sent, in monotonic
     * milliseconds: what was sent before the last cut is news of the old rate, and ignored.
     */
    readonly overloaded: (sentAt: number) => Effect.Effect<void>
    /** Part of the base rate that is in force, 0 to 1. */
    readonly factor: Effect.Effect<number>
    readonly status: Effect.Effect<Status>
  }
>() {}

const clamp = (value: number, { least, most }: { readonly least: number; readonly most: number }): number =>
  Math.min(most, Math.max(least, value))

/**
 * The nearest base rate that there can be.
 *
 * @since 0.1.0
 * @category models
 */
export const nearest = (base: { readonly ratePerSecond: number; readonly burst: number }) => ({
  ratePerSecond: clamp(base.ratePerSecond, Core.bounds.ratePerSecond),
  burst: clamp(base.burst, Core.bounds.burst)
})

/** The hint lies up to this part above the exact wait: never below, or it would be refused again. */
const HINT_JITTER = 0.2

/**
 * A gate with a state of its own, full and at factor 1.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  options: Options = {}
): Effect.Effect<Context.Tag.Service<typeof AdaptiveRate>, InvalidAdaptiveRate> =>
  Effect.gen(function* () {
    const base: Core.Options = { ...Core.defaults, ...options }
    const problems = Core.problems(base)
    if (problems.length > 0) return yield* new InvalidAdaptiveRate({ problems })
    const config = Core.compile(base)
    // Every step is synchronous, so that plain variables are as atomic as a Ref.
    let state = Core.initial(yield* monotonicMillis)
    let cuts = 0
    let staleSignals = 0
    let throttled = 0

    const inForce = (now: number) => {
      const reading = Core.read(state, now, config)
      return { ...reading, ratePerSecond: Math.round(base.ratePerSecond * reading.factor * 1000) / 1000 }
    }

    const refuse = (retryAfterMs: number, now: number): Effect.Effect<never, Throttled> =>
      Effect.flatMap(Random.next, (luck) => {
        const retryHintMs = retryAfterMs + Math.floor(retryAfterMs * HINT_JITTER * luck)
        const { burst, factor, ratePerSecond } = inForce(now)
        const fields = { ratePerSecond, burst, factor, retryAfterMs, retryHintMs }
        return Effect.fail(withoutStack(() => new Throttled(fields, { disableValidation: true })))
      })

    return {
      acquire: Step.make(({ now }) => {
        const [retryAfterMs, next] = Core.acquire(state, now, config)
        state = next
        if (retryAfterMs === 0) return Exit.void
        throttled++
        return refuse(retryAfterMs, now)
      }),
      refund: Step.make(({ now }) => {
        state = Core.refund(state, now, config)
        return Exit.void
      }),
      overloaded: (sentAt) =>
        Effect.clockWith((clock) => {
          const now = unsafeMonotonicMillis(clock)
          const [cut, next] = Core.overloaded(state, now, config, sentAt)
          state = next
          if (!cut) {
            staleSignals++
            return Effect.void
          }
          cuts++
          const { factor, ratePerSecond } = inForce(now)
          return Effect.logWarning(
            `the warehouse is overloaded: calling it ${ratePerSecond} times a second`
          ).pipe(Effect.annotateLogs({ factor }))
        }),
      factor: Effect.map(monotonicMillis, (now) => Core.read(state, now, config).factor),
      status: Effect.map(monotonicMillis, (now) => ({ ...inForce(now), cuts, staleSignals, throttled }))
    }
  })

/**
 * Fails when the options make no sense, with all that is wrong with them.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options?: Options): Layer.Layer<AdaptiveRate, InvalidAdaptiveRate> =>
  Layer.effect(AdaptiveRate, make(options))

/**
 * Admits everything and never gives way.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerNoop: Layer.Layer<AdaptiveRate> = Layer.succeed(AdaptiveRate, {
  acquire: Effect.void,
  refund: Effect.void,
  overloaded: () => Effect.void,
  factor: Effect.succeed(1),
  status: Effect.succeed({
    factor: 1,
    ratePerSecond: Infinity,
    burst: Infinity,
    remaining: Infinity,
    cuts: 0,
    staleSignals: 0,
    throttled: 0
  })
})
