/**
 * Load shedding: which calls are served, answered from the cache or refused while the warehouse or this server is in
 * trouble, why, and until when.
 *
 * The modes and their rules are in `guard/core/DegradationLadder`. The signals are read when a call asks, at most once
 * per `pullMs`: an idle server does nothing, and a busy one compares two numbers per call.
 *
 * | mode | control | metadata | query | batch |
 * |---|---|---|---|---|
 * | `normal` | yes | yes | yes | yes |
 * | `constrained` | yes | yes | shed by chance | no |
 * | `cache-only` | yes | from the cache | no | no |
 * | `emergency` | yes | from the cache | no | no |
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as PubSub from "effect/PubSub"
import * as Random from "effect/Random"
import * as Ref from "effect/Ref"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Bulkhead from "./Bulkhead.js"
import { DeadlineExceeded } from "./Deadline.js"
import * as CircuitBreaker from "./CircuitBreaker.js"
import * as Ladder from "./core/DegradationLadder.js"
import * as OutcomeWindow from "./core/OutcomeWindow.js"
import { monotonicMillis, steps } from "../platform/monotonic.js"
import { withoutStack } from "../platform/withoutStack.js"
import { Criticality } from "../platform/Operation.js"
import { Quota } from "../quota/Quota.js"
import { WarehouseError } from "../warehouse/Warehouse.js"

/**
 * From best to worst: `normal < constrained < cache-only < emergency`.
 *
 * @since 0.1.0
 * @category models
 */
export const Mode = Schema.Literal(...Ladder.modes)
/**
 * @since 0.1.0
 * @category models
 */
export type Mode = typeof Mode.Type

/**
 * The signal that called for a mode; `operator` for a pin.
 *
 * @since 0.1.0
 * @category models
 */
export const Signal = Schema.Literal(...Ladder.signalNames, "operator")
/**
 * @since 0.1.0
 * @category models
 */
export type Signal = typeof Signal.Type

/**
 * The signals of the ladder, as far as they are known.
 *
 * @since 0.1.0
 * @category models
 */
export type Signals = Omit<Ladder.Signals, "refusalRatio">

/**
 * Where the signals are read, on the path of a call: they must answer at once.
 *
 * @since 0.1.0
 * @category models
 */
export interface Sources {
  readonly breaker?: Effect.Effect<Ladder.Circuit> | undefined
  /** The pool with the longest wait counts. */
  readonly bulkhead?: Effect.Effect<ReadonlyArray<{ readonly estimatedWaitMs: number }>> | undefined
  /** Milliseconds by which timers of this process are late. */
  readonly eventLoopDelay?: Effect.Effect<number> | undefined
  /** Share of the quota of all clients together that is left, 0 to 1. */
  readonly quotaLeft?: Effect.Effect<number> | undefined
}

/**
 * The thresholds of a signal by mode; `Infinity`: never.
 *
 * @since 0.1.0
 * @category models
 */
export type Steps = Ladder.Steps

/**
 * When the mode changes and how fast it comes back; milliseconds, and shares from 0 to 1.
 *
 * @since 0.1.0
 * @category models
 */
export interface Config extends Ladder.Config {
  /** Signals are read at most once in this time, milliseconds. */
  readonly pullMs: number
  /** The span over which refusals are counted, milliseconds. */
  readonly windowMs: number
  /** Calls in the window below which the share of refusals is not judged. */
  readonly minimumCalls: number
  /** No call is shed while at least one call in `shedK` is accepted. */
  readonly shedK: number
}

/**
 * What differs from {@link defaults}.
 *
 * @since 0.1.0
 * @category models
 */
export type Options = Partial<Config>

const never = Number.POSITIVE_INFINITY

/**
 * - `holdMs`: half a minute is longer than a burst of a few agents and shorter than an operator's reaction.
 * - `circuitHoldMs`: none. The breaker has its own open time and probes; a hold on top would double every outage and
 *   prevent the probes.
 * - `eventLoopMs`: at 0.2 s callers notice; at 1 s time limits are no longer kept; at 3 s the process can only refuse.
 * - `slotWaitMs`: 2 s is before callers time out (5 s by default). A minute is longer than a statement may take: slots
 *   are stuck, not busy. Never emergency: a waiting call costs this process nothing.
 * - `refusalRatio`: from one in five on, batch work is refused. Never cache-only: shedding by chance sends no more than
 *   is accepted, whereas refusing all calls would leave slots idle.
 * - `quotaUsed`: the last twentieth of the shared quota is not for batch work. When all is used, the quota itself
 *   refuses with an exact time.
 *
 * @since 0.1.0
 * @category models
 */
export const defaults: Config = {
  holdMs: 30_000,
  circuitHoldMs: 0,
  eventLoopMs: { constrained: 200, cacheOnly: 1_000, emergency: 3_000 },
  slotWaitMs: { constrained: 2_000, cacheOnly: 60_000, emergency: never },
  refusalRatio: { constrained: 0.2, cacheOnly: never, emergency: never },
  quotaUsed: { constrained: 0.95, cacheOnly: never, emergency: never },
  pullMs: 100,
  windowMs: 15_000,
  minimumCalls: 10,
  shedK: 2
}

/**
 * A change of the mode, and why.
 *
 * @since 0.1.0
 * @category models
 */
export interface Change {
  readonly from: Mode
  readonly to: Mode
  readonly generation: number
  readonly why: string
}

/**
 * The mode that is in force, since when and why.
 *
 * @since 0.1.0
 * @category models
 */
export interface Status {
  readonly mode: Mode
  /** Counts the changes of the mode. */
  readonly generation: number
  /** For how long the mode has been in force, milliseconds. */
  readonly sinceMs: number
  readonly why: string
  /** The signal that called for the mode, its value, and the threshold of the mode. */
  readonly signal?: Signal | undefined
  readonly value?: number | string | undefined
  readonly threshold?: number | undefined
  /** The next mode down, its condition in words, and the least milliseconds until then (absent when not known). */
  readonly wayBack?:
    { readonly to: Mode; readonly condition: string; readonly inMs?: number | undefined } | undefined
  /** Share of queries that are refused, 0 to 1. */
  readonly shedding: number
}

/**
 * Refused to keep the server and the warehouse alive. Work that may only be answered from the cache fails with it when
 * the cache has no answer.
 *
 * @since 0.1.0
 * @category errors
 */
export class Degraded extends Schema.TaggedError<Degraded>("snowguard/Degraded")("Degraded", {
  mode: Mode,
  criticality: Criticality,
  why: Schema.String,
  signal: Signal,
  /** Refused by chance, one of a share of calls: the next call may be admitted. */
  shed: Schema.Boolean,
  /** Milliseconds until a retry may be admitted; absent when an operator decides. */
  retryAfterMs: Schema.optional(Schema.Number)
}) {
  override get message(): string {
    return `${this.mode}: no ${this.criticality} work, because ${this.why}`
  }
}

/**
 * Whether an admitted call met overload.
 *
 * @since 0.1.0
 * @category models
 */
export type Outcome = "accepted" | "refused"

/**
 * How {@link protect} judges the call.
 *
 * @since 0.1.0
 * @category models
 */
export interface ProtectOptions<A, E> {
  /** Whether the call met overload; {@link defaultOutcome} when absent. */
  readonly outcome?: ((exit: Exit.Exit<A, E>) => Outcome | undefined) | undefined
}

/**
 * What is served, answered from memory or refused now. Refusals are `Degraded`; nothing else fails.
 *
 * @since 0.1.0
 * @category context
 */
export class Degradation extends Context.Tag("snowguard/Degradation")<
  Degradation,
  {
    /** May work of this criticality be done now, or only be answered from the cache? */
    readonly decide: (criticality: Criticality) => Effect.Effect<"admit" | "cache-only", Degraded>
    /**
     * `decide`, the effect when it is admitted, `report`. Fails with {@link Degraded} also when only the cache may
     * answer; a caller with a cache catches it.
     *
     * @example
     * degradation.protect("batch", refreshReport)
     */
    readonly protect: <A, E, R>(
      criticality: Criticality,
      effect: Effect.Effect<A, E, R>,
      options?: ProtectOptions<A, E>
    ) => Effect.Effect<A, E | Degraded, R>
    /** Counts the outcome of a call that was admitted without `protect`. */
    readonly report: (outcome: Outcome) => Effect.Effect<void>
    /** Sets signals that have no source; they hold until the next observation. */
    readonly observe: (signals: Signals) => Effect.Effect<void>
    /** Sets the mode until the scope closes, whatever the signals say; the latest of several pins counts. */
    readonly pin: (mode: Mode, cause: string) => Effect.Effect<void, never, Scope.Scope>
    readonly status: Effect.Effect<Status>
    /** Changes as they happen; a slow reader loses the oldest. */
    readonly changes: Stream.Stream<Change>
  }
>() {}

/**
 * Did the call find room? Refusals that one client, or one identity at its own bound, alone can cause do not count,
 * or the flood of one would degrade the others. `undefined`: the end says nothing about overload.
 *
 * @since 0.1.0
 * @category combinators
 */
export const defaultOutcome = <A, E>(exit: Exit.Exit<A, E>): Outcome | undefined => {
  if (Exit.isSuccess(exit)) return "accepted"
  const error = Option.getOrUndefined(Cause.failureOption(exit.cause))
  if (error instanceof Bulkhead.Overloaded) {
    return error.why === "client-queue-full" || error.held !== undefined ? undefined : "refused"
  }
  if (error instanceof WarehouseError) {
    if (error.ownBound === true) return undefined
    return error.reason === "Overloaded" ? "refused" : error.sent === "no" ? undefined : "accepted"
  }
  if (!(error instanceof DeadlineExceeded)) return undefined
  // An attempt holds its slots; a call that timed out outside of an attempt waited for room.
  return error.sent || error.of === "attempt" ? "accepted" : "refused"
}

/**
 * The condition of the way back and the time until then in one text.
 *
 * @since 0.1.0
 * @category combinators
 */
export const inWords = Ladder.inWords

const SAMPLE_MS = 500
const SAMPLES = 5

const median = (values: ReadonlyArray<number>): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0

/**
 * Milliseconds by which timers of this process are late, while the scope is open: the median of five samples, two per
 * second. One long pause (garbage collection, a suspended laptop) says nothing about the load, three of five do. Always
 * 0 on a virtual clock.
 *
 * @since 0.1.0
 * @category constructors
 */
export const measureEventLoop: Effect.Effect<Effect.Effect<number>, never, Scope.Scope> = Effect.gen(
  function* () {
    const samples = yield* Ref.make<ReadonlyArray<number>>([])
    const measure = Effect.sleep(SAMPLE_MS).pipe(
      Effect.timedWith(Clock.currentTimeNanos),
      Effect.flatMap(([passed]) =>
        Ref.update(samples, (all) =>
          [...all, Math.max(0, Duration.toMillis(passed) - SAMPLE_MS)].slice(-SAMPLES)
        )
      )
    )
    yield* Effect.forkScoped(Effect.forever(measure))
    return Effect.map(Ref.get(samples), (all) => (all.length < SAMPLES ? 0 : median(all)))
  }
)

/** A call that is retried once per second is admitted after this time divided by its chance, on average. */
const SHED_RETRY_MS = 1_000

const evidence = ({ pins, why }: Ladder.State): Pick<Status, "signal" | "value" | "threshold"> => {
  if (pins.length > 0) return { signal: "operator" }
  if (why === undefined) return {}
  return why.signal === "circuit"
    ? { signal: why.signal, value: why.phase }
    : { signal: why.signal, value: why.value, threshold: why.threshold }
}

/** The signal of a source that fails is absent. */
const reading = <A, B>(source: Effect.Effect<A> | undefined, f: (value: A) => B) =>
  source === undefined
    ? Effect.succeed(undefined)
    : Effect.catchAllDefect(Effect.map(source, f), (defect) =>
        Effect.as(Effect.logDebug("a signal of the degradation ladder failed", defect), undefined)
      )

const read = (sources: Sources): Effect.Effect<Signals> => {
  const circuit = reading(sources.breaker, (status) => status)
  const slotWaitMs = reading(sources.bulkhead, (pools) => Math.max(0, ...pools.map((_) => _.estimatedWaitMs)))
  const eventLoopMs = reading(sources.eventLoopDelay, (delay) => delay)
  const quotaUsed = reading(sources.quotaLeft, (left) => 1 - left)
  return Effect.gen(function* () {
    return {
      circuit: yield* circuit,
      slotWaitMs: yield* slotWaitMs,
      eventLoopMs: yield* eventLoopMs,
      quotaUsed: yield* quotaUsed
    }
  })
}

interface State {
  readonly ladder: Ladder.State
  readonly window: OutcomeWindow.OutcomeWindow
  /** Signals without a source, as observed last. */
  readonly observed: Signals
  /** When the sources were read last. */
  readonly readAt: number
}

/** The state at a moment, in whole monotonic milliseconds, as in the breaker: waits stay exact. */
interface Seen {
  readonly state: State
  readonly now: number
}

/**
 * The ladder over `sources`. A signal without a source is set by `observe`; an unknown signal calls for nothing.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  sources: Sources = {},
  options: Options = {}
): Effect.Effect<Context.Tag.Service<Degradation>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const config: Config = { ...defaults, ...options }
    const events = yield* Effect.acquireRelease(PubSub.sliding<Change>(64), PubSub.shutdown)
    const { modifyAt, updateAt } = yield* steps
    const start = Math.floor(yield* monotonicMillis)
    const ref = yield* Ref.make<State>({
      ladder: Ladder.initial(start),
      window: OutcomeWindow.empty,
      observed: {},
      readAt: Number.NEGATIVE_INFINITY
    })

    const announce = ({ from, generation, to }: Ladder.Change, state: Ladder.State) => {
      const why = Ladder.describe(state)
      const log = Ladder.indexOf(to) > Ladder.indexOf(from) ? Effect.logWarning : Effect.logInfo
      return Effect.zipRight(
        PubSub.publish(events, { from, to, generation, why }),
        Effect.annotateLogs(log(`degradation ${to}: ${why}`), { from, to, generation, ...evidence(state) })
      )
    }

    /** One step of the ladder and the announcement of its change, in one uninterruptible step. */
    const step = <A>(
      f: (state: State, now: number) => readonly [A, Ladder.Change | undefined, Ladder.State]
    ): Effect.Effect<A> =>
      Effect.uninterruptible(
        Effect.flatten(
          modifyAt(ref, (state, now) => {
            const [value, change, ladder] = f(state, Math.floor(now))
            const announced = change === undefined ? Effect.void : announce(change, ladder)
            return [Effect.as(announced, value), { ...state, ladder }]
          })
        )
      )

    const countsAt = ({ now, state }: Seen) => OutcomeWindow.counts(state.window, now, config.windowMs)
    const shedProbability = (seen: Seen) => OutcomeWindow.shedProbability(countsAt(seen), config.shedK)

    const pull = Effect.flatMap(read(sources), (signals) =>
      step((state, now) => {
        const { observed } = state
        const known: Ladder.Signals = {
          circuit: signals.circuit ?? observed.circuit,
          slotWaitMs: signals.slotWaitMs ?? observed.slotWaitMs,
          eventLoopMs: signals.eventLoopMs ?? observed.eventLoopMs,
          quotaUsed: signals.quotaUsed ?? observed.quotaUsed,
          refusalRatio: OutcomeWindow.refusalRatio(countsAt({ state, now }), config.minimumCalls)
        }
        return [undefined, ...Ladder.observe(state.ladder, now, known, config)]
      })
    )

    const current: Effect.Effect<Seen> = modifyAt(ref, (state, now) => [
      { state, now: Math.floor(now) },
      state
    ])

    /** The state, after a read of the signals if it is due: every `pullMs`, and when a step down is due. */
    const informed: Effect.Effect<Seen> = Effect.flatten(
      modifyAt(ref, (state, at) => {
        const now = Math.floor(at)
        const fresh = now - state.readAt < config.pullMs && now < Ladder.dueAt(state.ladder, config)
        return fresh
          ? [Effect.succeed({ state, now }), state]
          : [Effect.zipRight(pull, current), { ...state, readAt: now }]
      })
    )

    const count = (outcome: OutcomeWindow.Outcome): Effect.Effect<void> =>
      updateAt(ref, (state, now) => ({
        ...state,
        window: OutcomeWindow.record(state.window, Math.floor(now), config.windowMs, outcome)
      }))

    const refuse = (
      { ladder }: State,
      criticality: Criticality,
      shed: boolean,
      retryAfterMs: number | undefined
    ) => {
      const { signal = "operator" } = evidence(ladder)
      const fields = {
        mode: ladder.mode,
        criticality,
        why: Ladder.describe(ladder),
        signal,
        shed,
        retryAfterMs
      }
      return Effect.fail(withoutStack(() => new Degraded(fields, true)))
    }

    const turnAway = ({ now, state }: Seen, criticality: Criticality) =>
      refuse(state, criticality, false, Ladder.untilAdmitted(state.ladder, now, criticality, config))

    const shed = (seen: Seen, criticality: Criticality): Effect.Effect<"admit", Degraded> => {
      const probability = shedProbability(seen)
      if (probability <= 0) return Effect.succeed("admit")
      return Effect.flatMap(Random.next, (luck) => {
        if (luck >= probability) return Effect.succeed("admit")
        const patience = Math.min(config.windowMs, SHED_RETRY_MS / (1 - probability))
        return Effect.zipRight(count("shed"), refuse(seen.state, criticality, true, Math.ceil(patience)))
      })
    }

    const decide = (criticality: Criticality): Effect.Effect<"admit" | "cache-only", Degraded> =>
      criticality === "control"
        ? Effect.succeed("admit")
        : Effect.flatMap(informed, (seen): Effect.Effect<"admit" | "cache-only", Degraded> => {
            const verdict = Ladder.verdict(seen.state.ladder.mode, criticality)
            switch (verdict) {
              case "shed":
                return shed(seen, criticality)
              case "refuse":
                return turnAway(seen, criticality)
              default:
                return Effect.succeed(verdict)
            }
          })

    const protect = <A, E, R>(
      criticality: Criticality,
      effect: Effect.Effect<A, E, R>,
      { outcome: outcomeOf = defaultOutcome }: ProtectOptions<A, E> = {}
    ): Effect.Effect<A, E | Degraded, R> =>
      Effect.flatMap(decide(criticality), (decision): Effect.Effect<A, E | Degraded, R> =>
        decision === "cache-only"
          ? Effect.flatMap(current, (seen) => turnAway(seen, criticality))
          : Effect.onExit(effect, (exit) => {
              const outcome = outcomeOf(exit)
              return outcome === undefined ? Effect.void : count(outcome)
            })
      )

    const status = Effect.map(informed, (seen): Status => {
      const { now } = seen
      const { ladder } = seen.state
      const { generation, mode, since } = ladder
      const inMs = Ladder.untilStepDown(ladder, now, config)
      const next = Ladder.wayBack(ladder, config.holdMs, inMs)
      return {
        mode,
        generation,
        sinceMs: now - since,
        why: Ladder.describe(ladder),
        ...evidence(ladder),
        ...(next === undefined ? {} : { wayBack: next }),
        shedding: mode === "normal" ? 0 : mode === "constrained" ? shedProbability(seen) : 1
      }
    })

    return Degradation.of({
      decide,
      protect,
      report: count,
      observe: (signals) =>
        Effect.zipRight(
          Ref.update(ref, (state) => ({ ...state, observed: { ...state.observed, ...signals } })),
          pull
        ),
      pin: (mode, cause) =>
        Effect.asVoid(
          Effect.acquireRelease(
            step(({ ladder }, now) => Ladder.pin(ladder, now, mode, cause)),
            (token) => step(({ ladder }, now) => [undefined, ...Ladder.unpin(ladder, now, token)])
          )
        ),
      status,
      changes: Stream.fromPubSub(events)
    })
  })

/** While a slot is free only a client with its share of them waits, which says nothing about the others. */
const fullPools = ({ status }: Bulkhead.Bulkhead["Type"]) =>
  Effect.map(status, (pools) => pools.filter(({ inUse, permits }) => inUse >= permits))

/**
 * The ladder over the breaker and the bulkhead that are provided, and over `sources`. With `eventLoop: true` a fiber
 * measures the delay of the event loop too.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = ({
  eventLoop = false,
  sources = {},
  ...options
}: Options & {
  readonly eventLoop?: boolean
  readonly sources?: Sources
} = {}): Layer.Layer<Degradation, never, CircuitBreaker.CircuitBreaker | Bulkhead.Bulkhead> =>
  Layer.scoped(
    Degradation,
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.CircuitBreaker
      const bulkhead = yield* Bulkhead.Bulkhead
      const measured = eventLoop ? { eventLoopDelay: yield* measureEventLoop } : {}
      return yield* make(
        { breaker: breaker.status, bulkhead: fullPools(bulkhead), ...measured, ...sources },
        options
      )
    })
  )

const QUOTA_SAMPLE_EVERY = "5 seconds"

/** The used share of the fullest quota of all clients; undefined when there is none. */
const quotaUsed = Effect.gen(function* () {
  const quota = yield* Quota
  const all = yield* quota.status("", "")
  const shares = all.filter(({ scope }) => scope === "global").map(({ limit, used }) => used / limit)
  return shares.length === 0 ? undefined : Math.min(1, Math.max(...shares))
})

/**
 * Observes how much of the quota of all clients together is used, every five seconds while the scope is open. Ends when
 * there is no such quota.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerQuotaSignal: Layer.Layer<never, never, Degradation | Quota> = Layer.scopedDiscard(
  Effect.gen(function* () {
    const degradation = yield* Degradation
    const observe = quotaUsed.pipe(
      Effect.tap((quotaUsed) => (quotaUsed === undefined ? Effect.void : degradation.observe({ quotaUsed }))),
      Effect.map((quotaUsed) => quotaUsed !== undefined),
      // The last observation holds while the store does not answer.
      Effect.catchAll((error) => Effect.as(Effect.logDebug("the quota signal is not known", error), true))
    )
    yield* Effect.repeat(observe, {
      schedule: Schedule.spaced(QUOTA_SAMPLE_EVERY),
      while: (hasQuota) => hasQuota
    }).pipe(
      // Delays no start.
      Effect.delay(QUOTA_SAMPLE_EVERY),
      Effect.forkScoped
    )
  })
)

/**
 * Always normal: admits everything.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerNoop: Layer.Layer<Degradation> = Layer.succeed(Degradation, {
  decide: () => Effect.succeed("admit"),
  protect: (_, effect) => effect,
  report: () => Effect.void,
  observe: () => Effect.void,
  pin: () => Effect.void,
  status: Effect.succeed<Status>({
    mode: "normal",
    generation: 0,
    sinceMs: 0,
    why: "degradation is switched off",
    shedding: 0
  }),
  changes: Stream.empty
})
