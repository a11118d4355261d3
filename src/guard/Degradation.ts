/**
 * How much is still served when the warehouse or this server is in trouble: who is turned away first,
 * who is answered from memory, why, and when it will be better.
 *
 * The modes and their rules are in `guard/core/DegradationLadder`. The signals are not watched: they are read
 * when somebody asks, at most once in a while, so that an idle server does nothing and a busy one pays
 * for a comparison of two numbers.
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
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as PubSub from "effect/PubSub"
import * as Random from "effect/Random"
import * as Ref from "effect/Ref"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Bulkhead from "./Bulkhead.js"
import * as CircuitBreaker from "./CircuitBreaker.js"
import * as Ladder from "./core/DegradationLadder.js"
import * as OutcomeWindow from "./core/OutcomeWindow.js"
import * as EventLoopDelay from "./eventLoopDelay.js"
import { modifyAt, monotonicMillis, updateAt } from "../platform/monotonic.js"
import { withoutStack } from "../platform/withoutStack.js"
import { Criticality } from "../platform/Operation.js"
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
 * Which signal it was; `operator` for a pin.
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
 * What the ladder goes by, as far as it is known.
 *
 * @since 0.1.0
 * @category models
 */
export type Signals = Omit<Ladder.Signals, "refusalRatio">

/**
 * Where the signals are read. All are asked on the path of a call: they must answer at once.
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
 * From which value on a signal calls for a mode; `Infinity`: never.
 *
 * @since 0.1.0
 * @category models
 */
export type Steps = Ladder.Steps

/**
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
  /** Nothing is shed while one call in this many gets through. */
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
 * - `holdMs`: half a minute is longer than a burst of a few agents and shorter than a person's patience.
 * - `circuitHoldMs`: none. The breaker has waited already and lets a few probes through by itself; waiting
 *   on top of it would double every outage and keep the probes from being made.
 * - `eventLoopMs`: at 0.2 s callers notice; at 1 s time limits are no longer kept; at 3 s the process
 *   can do no more than say so.
 * - `slotWaitMs`: 2 s is before callers give up (5 s by default). A minute is a statement's whole time
 *   limit: slots that stand still for so long are stuck, not busy. Never emergency: a wait costs this
 *   process nothing.
 * - `refusalRatio`: at one in five, batch work makes room. Never cache-only: shedding by chance sends no
 *   more than gets through, whereas serving nobody would leave slots idle.
 * - `quotaUsed`: the last twentieth of the shared quota is not for batch work. When all is used, the
 *   quota refuses by itself and knows exactly until when.
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
 * @since 0.1.0
 * @category models
 */
export interface Change {
  readonly from: Mode
  readonly to: Mode
  readonly generation: number
  /** In words. */
  readonly why: string
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Status {
  readonly mode: Mode
  /** Counts the changes of the mode. */
  readonly generation: number
  /** For how long the mode has been in force, milliseconds. */
  readonly sinceMs: number
  /** In words. */
  readonly why: string
  /** The signal that called for it, what it read, and from where on that calls for the mode. */
  readonly signal?: Signal | undefined
  readonly value?: number | string | undefined
  readonly threshold?: number | undefined
  /** The next mode down, what must happen, and how long it takes at least (absent: nobody can say). */
  readonly wayBack?:
    { readonly to: Mode; readonly condition: string; readonly inMs?: number | undefined } | undefined
  /** Share of queries turned away, 0 to 1. */
  readonly shedding: number
}

/**
 * Turned away to keep the rest alive. `cache-only` work fails with it when the cache has nothing.
 *
 * @since 0.1.0
 * @category errors
 */
export class Degraded extends Schema.TaggedError<Degraded>("snowguard/Degraded")("Degraded", {
  mode: Mode,
  criticality: Criticality,
  /** In words. */
  why: Schema.String,
  signal: Signal,
  /** One of a share of calls turned away by chance: the next one may get through. */
  shed: Schema.Boolean,
  /** The earliest moment worth a new try, milliseconds; absent when an operator decides. */
  retryAfterMs: Schema.optional(Schema.Number)
}) {
  override get message(): string {
    return `${this.mode}: no ${this.criticality} work, because ${this.why}`
  }
}

/**
 * How a call that was let through ended, as far as overload goes.
 *
 * @since 0.1.0
 * @category models
 */
export type Outcome = "accepted" | "refused"

/**
 * @since 0.1.0
 * @category models
 */
export interface ProtectOptions<A, E> {
  /** What the end of the call says about overload; {@link defaultOutcome} when absent. */
  readonly outcome?: ((exit: Exit.Exit<A, E>) => Outcome | undefined) | undefined
}

/**
 * @since 0.1.0
 * @category context
 */
export class Degradation extends Context.Tag("snowguard/Degradation")<
  Degradation,
  {
    /** May work of this criticality be done now, or only be answered from memory? */
    readonly decide: (criticality: Criticality) => Effect.Effect<"admit" | "cache-only", Degraded>
    /**
     * `decide`, the effect when it is admitted, `report`. Fails with {@link Degraded} also when only the
     * cache may answer: who has a cache catches it.
     */
    readonly protect: <A, E, R>(
      criticality: Criticality,
      effect: Effect.Effect<A, E, R>,
      options?: ProtectOptions<A, E>
    ) => Effect.Effect<A, E | Degraded, R>
    /** A call got through, or was refused because everybody together asks too much. */
    readonly report: (outcome: Outcome) => Effect.Effect<void>
    /** Signals for which there is no source: they hold until they are told anew. */
    readonly observe: (signals: Signals) => Effect.Effect<void>
    /** Sets the mode until the scope closes, whatever the signals say; of several pins the latest counts. */
    readonly pin: (mode: Mode, cause: string) => Effect.Effect<void, never, Scope.Scope>
    readonly status: Effect.Effect<Status>
    /** Changes as they happen; a slow reader loses the oldest. */
    readonly changes: Stream.Stream<Change>
  }
>() {}

/**
 * Did the call find room? Only refusals that no single client can bring about alone count, or one
 * client's flood would degrade the others. `undefined`: says nothing.
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
    return error.reason === "Overloaded" ? "refused" : error.sent === "no" ? undefined : "accepted"
  }
  if (!Predicate.isTagged(error, "DeadlineExceeded") || !Predicate.hasProperty(error, "sent"))
    return undefined
  // An attempt has room: it waited for the warehouse, be it for a login. Else it waited for room.
  const hadRoom = error.sent === true || (Predicate.hasProperty(error, "of") && error.of === "attempt")
  return hadRoom ? "accepted" : "refused"
}

/**
 * Measures how late timers of this process are, while the scope is open: twice a second, the median of
 * the last five.
 *
 * @since 0.1.0
 * @category constructors
 */
export const measureEventLoop: Effect.Effect<Effect.Effect<number>, never, Scope.Scope> = EventLoopDelay.make

/** Tried once a second, a shed call gets through after this time over its chance, on average. */
const SHED_RETRY_MS = 1_000

const evidence = ({ pins, why }: Ladder.State): Pick<Status, "signal" | "value" | "threshold"> => {
  if (pins.length > 0) return { signal: "operator" }
  if (why === undefined) return {}
  return why.signal === "circuit"
    ? { signal: why.signal, value: why.phase }
    : { signal: why.signal, value: why.value, threshold: why.threshold }
}

/** A source that fails is a signal that is absent; the call that asked goes on. */
const reading = <A, B>(source: Effect.Effect<A> | undefined, f: (value: A) => B) =>
  source === undefined
    ? Effect.succeed(undefined)
    : Effect.catchAllDefect(Effect.map(source, f), (defect) =>
        Effect.as(Effect.logDebug("a signal of the degradation ladder failed", defect), undefined)
      )

const read = (sources: Sources): Effect.Effect<Signals> =>
  Effect.all({
    circuit: reading(sources.breaker, (status) => status),
    slotWaitMs: reading(sources.bulkhead, (pools) => Math.max(0, ...pools.map((_) => _.estimatedWaitMs))),
    eventLoopMs: reading(sources.eventLoopDelay, (delay) => delay),
    quotaUsed: reading(sources.quotaLeft, (left) => 1 - left)
  })

interface State {
  readonly ladder: Ladder.State
  readonly window: OutcomeWindow.OutcomeWindow
  /** Signals without a source, as they were told last. */
  readonly told: Signals
  /** When the sources were read last. */
  readonly readAt: number
}

/** The state at a moment, in whole monotonic milliseconds: the breaker counts them so, and times stay exact. */
interface Seen {
  readonly state: State
  readonly now: number
}

/**
 * The ladder over `sources`: effects that tell how the breaker, the bulkhead and the event loop are. What has
 * no source is told by `observe`, or stays unknown and calls for nothing.
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
    const start = Math.floor(yield* monotonicMillis)
    const ref = yield* Ref.make<State>({
      ladder: Ladder.initial(start),
      window: OutcomeWindow.empty,
      told: {},
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

    /** One step of the ladder and the announcement of its change: never the one without the other. */
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
        const { told } = state
        const observed: Ladder.Signals = {
          circuit: signals.circuit ?? told.circuit,
          slotWaitMs: signals.slotWaitMs ?? told.slotWaitMs,
          eventLoopMs: signals.eventLoopMs ?? told.eventLoopMs,
          quotaUsed: signals.quotaUsed ?? told.quotaUsed,
          refusalRatio: OutcomeWindow.refusalRatio(countsAt({ state, now }), config.minimumCalls)
        }
        return [undefined, ...Ladder.observe(state.ladder, now, observed, config)]
      })
    )

    const current: Effect.Effect<Seen> = modifyAt(ref, (state, now) => [
      { state, now: Math.floor(now) },
      state
    ])

    /** The state, after the signals were read if that is due: rarely, and whenever a step down is due. */
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
        ...(next === undefined ? {} : { wayBack: inMs === undefined ? next : { ...next, inMs } }),
        shedding: mode === "normal" ? 0 : mode === "constrained" ? shedProbability(seen) : 1
      }
    })

    return Degradation.of({
      decide,
      protect,
      report: count,
      observe: (signals) =>
        Effect.zipRight(
          Ref.update(ref, (state) => ({ ...state, told: { ...state.told, ...signals } })),
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

/**
 * The ladder that goes by the breaker and the bulkhead it is given, and by `sources`. With
 * `eventLoop: true` a fiber measures the delay of the event loop too.
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
        { breaker: breaker.status, bulkhead: bulkhead.status, ...measured, ...sources },
        options
      )
    })
  )

/**
 * Always normal: lets everything through and looks at nothing.
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
