/**
 * How much is still served when the warehouse or this server is in trouble: who is turned away first,
 * who is answered from memory, why, and when it will be better.
 *
 * The modes and their rules are in `core/DegradationLadder`. The signals are not watched: they are read
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
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as AdaptiveRate from "./AdaptiveRate.js"
import * as Bulkhead from "./Bulkhead.js"
import * as CircuitBreaker from "./CircuitBreaker.js"
import * as Ladder from "./core/DegradationLadder.js"
import { defaults, Degraded, Mode, Signal } from "./internal/degradationModel.js"
import type {
  Change,
  Config,
  Options,
  Outcome,
  ProtectOptions,
  Signals,
  Sources,
  Status,
  Steps
} from "./internal/degradationModel.js"
import * as Text from "./internal/degradationText.js"
import * as EventLoopDelay from "./internal/eventLoopDelay.js"
import * as LadderRef from "./internal/ladderRef.js"
import * as Step from "./internal/step.js"
import { withoutStack } from "./internal/withoutStack.js"
import type { Criticality } from "./Operation.js"
import { WarehouseError } from "./Warehouse.js"

export { defaults, Degraded, Mode, Signal }
export type { Change, Config, Options, Outcome, ProtectOptions, Signals, Sources, Status, Steps }

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
  if (error instanceof AdaptiveRate.Throttled) return error.factor < 1 ? "refused" : undefined
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

const admit = Exit.succeed("admit" as const)
const cacheOnly = Exit.succeed("cache-only" as const)

/** Tried once a second, a shed call gets through after this time over its chance, on average. */
const SHED_RETRY_MS = 1_000

const evidence = ({ pins, why }: Ladder.State): Pick<Status, "signal" | "value" | "threshold"> => {
  if (pins.length > 0) return { signal: "operator" }
  if (why === undefined) return {}
  return why.signal === "circuit"
    ? { signal: why.signal, value: why.phase }
    : { signal: why.signal, value: why.value, threshold: why.threshold }
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

    const ladder = yield* LadderRef.make(sources, config, ({ from, generation, to }, state) => {
      const why = Text.describe(state)
      const log = Ladder.indexOf(to) > Ladder.indexOf(from) ? Effect.logWarning : Effect.logInfo
      return Effect.zipRight(
        PubSub.publish(events, { from, to, generation, why }),
        Effect.annotateLogs(log(`degradation ${to}: ${why}`), { from, to, generation, ...evidence(state) })
      )
    })

    const refuse = (criticality: Criticality, shed: boolean, retryAfterMs: number | undefined) => {
      const state = ladder.current()
      const why = Text.describe(state)
      const signal = evidence(state).signal ?? "operator"
      const fields = { mode: state.mode, criticality, why, signal, shed, retryAfterMs }
      return Effect.fail(withoutStack(() => new Degraded(fields, true)))
    }

    const turnAway = (criticality: Criticality, now: number) =>
      refuse(criticality, false, Ladder.untilAdmitted(ladder.current(), now, criticality, config))

    const shed = (criticality: Criticality, now: number): Effect.Effect<"admit", Degraded> => {
      const probability = ladder.shedProbability(now)
      if (probability <= 0) return admit
      return Effect.flatMap(Random.next, (luck) => {
        if (luck >= probability) return admit
        ladder.count(now, "shed")
        const patience = Math.min(config.windowMs, SHED_RETRY_MS / (1 - probability))
        return refuse(criticality, true, Math.ceil(patience))
      })
    }

    const answer = (
      criticality: Criticality,
      now: number
    ): Effect.Effect<"admit" | "cache-only", Degraded> => {
      switch (Ladder.verdict(ladder.current().mode, criticality)) {
        case "admit":
          return admit
        case "cache-only":
          return cacheOnly
        case "shed":
          return shed(criticality, now)
        case "refuse":
          return turnAway(criticality, now)
      }
    }

    const decide = (criticality: Criticality) =>
      criticality === "control" ? admit : ladder.informed((now) => answer(criticality, now))

    const report = (outcome: Outcome): Effect.Effect<void> =>
      Step.make(({ now }) => {
        ladder.count(Math.floor(now), outcome)
        return Exit.void
      })

    const protect = <A, E, R>(
      criticality: Criticality,
      effect: Effect.Effect<A, E, R>,
      { outcome: outcomeOf = defaultOutcome }: ProtectOptions<A, E> = {}
    ): Effect.Effect<A, E | Degraded, R> =>
      // Nothing is held here that an interruption could leak, so the region needs no protection.
      Step.make((moment) =>
        Step.andThen(moment, decide(criticality), (decision): Effect.Effect<A, E | Degraded, R> => {
          if (decision === "cache-only") return turnAway(criticality, Math.floor(moment.now))
          return Step.onExit(moment, effect, (exit) => {
            const outcome = outcomeOf(exit)
            if (outcome !== undefined) ladder.count(Math.floor(moment.now), outcome)
            return exit
          })
        })
      )

    const status = ladder.informed((now) => {
      const state = ladder.current()
      const { generation, mode, since } = state
      const inMs = Ladder.untilStepDown(state, now, config)
      const next = Text.wayBack(state, config.holdMs, inMs)
      return Effect.succeed<Status>({
        mode,
        generation,
        sinceMs: now - since,
        why: Text.describe(state),
        ...evidence(state),
        ...(next === undefined ? {} : { wayBack: inMs === undefined ? next : { ...next, inMs } }),
        shedding: mode === "normal" ? 0 : mode === "constrained" ? ladder.shedProbability(now) : 1
      })
    })

    return Degradation.of({
      decide,
      protect,
      report,
      observe: ladder.tell,
      pin: ladder.pin,
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
  decide: () => admit,
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
