/**
 * Is the warehouse healthy? A state machine that stops calling a warehouse that fails, probes it after
 * a while with a few calls, and lets everybody back in when the probes succeed. The pattern is that of
 * Nygard's "Release It!"; the machine, with its invariants, is in `guard/core/BreakerState`.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as PubSub from "effect/PubSub"
import * as Ref from "effect/Ref"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type * as BreakerModel from "./core/BreakerModel.js"
import { make as makeState, withOpenDelays } from "./core/BreakerModel.js"
import * as BreakerOperator from "./core/BreakerOperator.js"
import * as BreakerState from "./core/BreakerState.js"
import { modifyAt } from "../platform/monotonic.js"
import { withoutStack } from "../platform/withoutStack.js"
import { CurrentPrincipal } from "../platform/Principal.js"

/**
 * What a finished call says about the health of the warehouse. `alive`: it answered, though with the
 * caller's own mistake; counts as a success. `ignored`: says nothing (cancelled, refused by ourselves).
 *
 * @since 0.1.0
 * @category models
 */
export type Verdict = BreakerModel.Verdict

/**
 * @since 0.1.0
 * @category models
 */
export const Phase = Schema.Literal("closed", "open", "half-open", "forced-open", "disabled")
/**
 * @since 0.1.0
 * @category models
 */
export type Phase = typeof Phase.Type

/**
 * The right to make one call, stamped with the generation it belongs to: a verdict of an older
 * generation never changes the state.
 *
 * @since 0.1.0
 * @category models
 */
export type Permit = BreakerModel.Permit

/**
 * What is known of a failure. Silence, where nothing answered at all, counts once a call. What was reported
 * counts once a client and statement, and opens the circuit when two clients have seen it or only one calls.
 *
 * @since 0.1.0
 * @category models
 */
export type Failure = BreakerModel.Failure

/**
 * @since 0.1.0
 * @category models
 */
export type Status = BreakerState.Status

/**
 * @since 0.1.0
 * @category models
 */
export type Transition = BreakerModel.Transition

/**
 * @since 0.1.0
 * @category errors
 */
export class CircuitOpen extends Schema.TaggedError<CircuitOpen>("snowguard/CircuitOpen")("CircuitOpen", {
  phase: Schema.Literal("open", "half-open", "forced-open"),
  /**
   * Milliseconds until a call may get through: exact while it is open, an estimate while it is tried; absent
   * when an operator holds it open.
   */
  retryAfterMs: Schema.optional(Schema.Number),
  failures: Schema.Number,
  calls: Schema.Number,
  cause: Schema.String
}) {
  override get message(): string {
    return `circuit ${this.phase}: ${this.cause}`
  }
}

/**
 * @since 0.1.0
 * @category context
 */
export class CircuitBreaker extends Context.Tag("snowguard/CircuitBreaker")<
  CircuitBreaker,
  {
    /** Fails when a call would be refused now; takes nothing. Lets callers turn away before queueing. */
    readonly peek: Effect.Effect<void, CircuitOpen>
    /**
     * For the current principal. Run it in an uninterruptible region, or a permit may be lost; {@link protect}
     * does.
     */
    readonly acquire: Effect.Effect<Permit, CircuitOpen>
    /**
     * What became of the call: once for each permit, whatever happened. Of a failure `failure` tells whether
     * anything answered and which call and statement it was; without it, it counts as a silence.
     */
    readonly settle: (permit: Permit, verdict: Verdict, failure?: Failure) => Effect.Effect<void>
    readonly status: Effect.Effect<Status>
    /** Holds the circuit open until the scope closes; several holders add up. */
    readonly forceOpen: (cause: string) => Effect.Effect<void, never, Scope.Scope>
    /** Lets every call through and counts nothing, until `reset`. */
    readonly disable: Effect.Effect<void>
    /** Back to closed with an empty window; releases nobody's `forceOpen`. */
    readonly reset: Effect.Effect<void>
    /** Transitions as they happen; a slow reader loses the oldest. */
    readonly transitions: Stream.Stream<Transition>
  }
>() {}

/**
 * Every one may be absent: {@link defaults}. Times are milliseconds, rates shares of the calls in the window;
 * options that make no sense are a defect of {@link make}.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** What it stands in front of, for the log lines: `orders` makes them "orders circuit open". */
  readonly name?: string | undefined
  /** Opens after this many failures in a row, >= 1; `Infinity` turns the trigger off. */
  readonly consecutiveFailures?: number | undefined
  /** Opens when this share of the calls in the window failed, > 0; more than 1 turns the trigger off. */
  readonly failureRate?: number | undefined
  /** Opens when this share of the calls in the window was slow, > 0; more than 1 turns the trigger off. */
  readonly slowCallRate?: number | undefined
  /** A call is slow when it took this many milliseconds or more. */
  readonly slowCallMs?: number | undefined
  /** No rate is judged over fewer calls than this. */
  readonly minimumCalls?: number | undefined
  /** The window holds this many calls at most ... */
  readonly windowCalls?: number | undefined
  /** ... and none that ended longer ago than this, milliseconds. */
  readonly windowMs?: number | undefined
  /** Probes that may run at once while half-open. */
  readonly probes?: number | undefined
  /** Probes that must succeed before it closes. */
  readonly probeSuccesses?: number | undefined
  /**
   * A probe that is not settled after this many milliseconds counts as failed. At least the longest
   * time an attempt may take, or healthy slow probes keep the circuit open.
   */
  readonly probeLeaseMs?: number | undefined
  /**
   * How long it stays open: the n-th delay of the schedule for the n-th trip in a row, the last one
   * again when the schedule has ended (or after 16). Only the delays are used, nothing is slept by it.
   */
  readonly openTimes?: Schedule.Schedule<unknown, unknown> | undefined
}

/**
 * Opens on 3 failures in a row, or 30 % failed of 10 to 100 calls of the last five minutes, or 90 % of them
 * slow; for 30 s, doubled with each trip in a row to at most 300 s. The settings of the server have these
 * values too: `config/Settings` takes them from here.
 *
 * The window spans five minutes, so that even calls one after another that each get no answer within the 50
 * seconds that a call may take add up to three in a row. Slow calls open it only when nearly all are slow, and
 * none is slow that ends within those 50 seconds: long queries are normal.
 *
 * @since 0.1.0
 * @category models
 */
export const defaults = {
  consecutiveFailures: 3,
  failureRate: 0.3,
  slowCallRate: 0.9,
  slowCallMs: 60_000,
  minimumCalls: 10,
  windowCalls: 100,
  windowMs: 300_000,
  probes: 2,
  probeSuccesses: 2,
  probeLeaseMs: 60_000,
  firstOpenMs: 30_000,
  openFactor: 2,
  maxOpenMs: 300_000
} as const

/** A number that makes no sense is a bug in the program that chose it. */
/** @internal */
export const resolve = (options: Options): Effect.Effect<BreakerModel.Config> => {
  const config: BreakerModel.Config = {
    consecutiveFailures: options.consecutiveFailures ?? defaults.consecutiveFailures,
    failureRate: options.failureRate ?? defaults.failureRate,
    slowCallRate: options.slowCallRate ?? defaults.slowCallRate,
    slowCallMs: options.slowCallMs ?? defaults.slowCallMs,
    minimumCalls: options.minimumCalls ?? defaults.minimumCalls,
    windowCalls: options.windowCalls ?? defaults.windowCalls,
    windowMs: options.windowMs ?? defaults.windowMs,
    probes: options.probes ?? defaults.probes,
    probeSuccesses: options.probeSuccesses ?? defaults.probeSuccesses,
    probeLeaseMs: options.probeLeaseMs ?? defaults.probeLeaseMs
  }
  const wrong = Object.entries(config).find(([, value]) => !(value > 0))
  if (wrong !== undefined) {
    return Effect.dieMessage(`CircuitBreaker: ${wrong[0]} must be positive, not ${wrong[1]}`)
  }
  // A trigger that needs more calls than the window holds would silently never fire.
  const needed = [config.minimumCalls, config.consecutiveFailures].filter(Number.isFinite)
  return Math.max(...needed, 0) > config.windowCalls
    ? Effect.dieMessage("CircuitBreaker: windowCalls is less than minimumCalls or consecutiveFailures")
    : Effect.succeed(config)
}

const JITTER = 0.2
const LONGEST_OPEN_MS = 86_400_000
/** Open times that are drawn in advance; the last one repeats. */
const DRAWN = 16

/**
 * Open times that start at `firstMs`, grow by `factor` to at most `capMs`, and are jittered by a fifth.
 *
 * `firstMs`, then `factor` times as long each time, jittered by a fifth either way. The base stops
 * growing where jitter would pass `capMs`: so the cap holds, and even breakers that have reached it
 * do not all probe at the same moment.
 *
 * @since 0.1.0
 * @category constructors
 */
export const openTimes = (options: {
  readonly firstMs: number
  readonly factor: number
  readonly capMs: number
}): Schedule.Schedule<Duration.Duration> => {
  const cap = Duration.millis(options.capMs / (1 + JITTER))
  return Schedule.exponential(Duration.millis(options.firstMs), options.factor).pipe(
    Schedule.modifyDelay((_, delay) => Duration.min(delay, cap)),
    Schedule.jitteredWith({ min: 1 - JITTER, max: 1 + JITTER })
  )
}

/**
 * The first delays of a schedule as whole milliseconds, each at most a day; nothing is slept. Draws
 * from `Random` anew each time it runs, if the schedule does.
 */
const drawOpenDelays = (
  schedule: Schedule.Schedule<unknown, unknown>
): Effect.Effect<ReadonlyArray<number>> =>
  Effect.flatMap(Clock.currentTimeMillis, (now) =>
    Effect.map(Schedule.run(Schedule.delays(schedule), now, Chunk.range(1, DRAWN)), (delays) =>
      Chunk.toReadonlyArray(delays)
        .map((delay) => Math.round(Math.min(Duration.toMillis(delay), LONGEST_OPEN_MS)))
        // A schedule that ends says so with a last delay of zero.
        .filter((delay) => delay > 0)
    )
  )

/**
 * Success counts, a typed failure counts against. An interruption says nothing, and neither does a defect: it
 * is the program's own.
 *
 * @since 0.1.0
 * @category combinators
 */
export const defaultVerdict = <A, E>(exit: Exit.Exit<A, E>): Verdict =>
  Exit.isSuccess(exit) ? "success" : Cause.isFailure(exit.cause) ? "failure" : "ignored"

const refuse = (refusal: BreakerModel.Refusal): Effect.Effect<never, CircuitOpen> =>
  Effect.fail(withoutStack(() => new CircuitOpen(refusal, true)))

const answer = (admission: BreakerModel.Admission): Effect.Effect<Permit, CircuitOpen> =>
  admission._tag === "Admitted" ? Effect.succeed(admission.permit) : refuse(admission.refusal)

/**
 * `acquire`, the effect, `settle`: interruption and defects included.
 *
 * @since 0.1.0
 * @category combinators
 */
export const protect = <A, E, R>(
  { acquire, settle }: Pick<CircuitBreaker["Type"], "acquire" | "settle">,
  effect: Effect.Effect<A, E, R>,
  options: { readonly verdict?: ((exit: Exit.Exit<A, E>) => Verdict) | undefined } = {}
): Effect.Effect<A, E | CircuitOpen, R> => {
  const verdictOf = options.verdict ?? defaultVerdict
  return Effect.acquireUseRelease(
    acquire,
    () => effect,
    (permit, exit) =>
      // A verdict that throws is a defect of the caller's; it does not cost a probe slot as well.
      Effect.flatMap(Effect.exit(Effect.sync(() => verdictOf(exit))), (verdict) =>
        Exit.isSuccess(verdict)
          ? settle(permit, verdict.value)
          : Effect.zipRight(settle(permit, "ignored"), verdict)
      )
  )
}

/**
 * A circuit breaker whose state is one `Ref` and whose every step is one `Ref.modify`, on the monotonic clock.
 * There is no timer and no fiber: a transition that is due happens with the next step.
 *
 * The open times are drawn from the schedule before they are needed, and drawn again after each trip. A trip is
 * therefore one atomic step that knows its exact end (a schedule is stepped by an effect, which could not run inside
 * of it), jitter is fresh for every trip, and `Random` is the virtual one under test.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  options: Options = {}
): Effect.Effect<Context.Tag.Service<CircuitBreaker>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const config = yield* resolve(options)
    const draw = drawOpenDelays(
      options.openTimes ??
        openTimes({ firstMs: defaults.firstOpenMs, factor: defaults.openFactor, capMs: defaults.maxOpenMs })
    )
    const openDelays = yield* draw
    if (openDelays.length === 0) {
      return yield* Effect.dieMessage("CircuitBreaker: openTimes has no positive delay")
    }
    const state = yield* Ref.make(makeState(openDelays))
    const events = yield* Effect.acquireRelease(PubSub.sliding<Transition>(64), PubSub.shutdown)
    const { name } = options
    const called = name === undefined ? "circuit" : `${name} circuit`

    const announce = ({ cause, from, generation, openMs, to }: Transition): Effect.Effect<void> =>
      (to === "open" || to === "forced-open" ? Effect.logWarning : Effect.logInfo)(
        `${called} ${to}: ${cause}`
      ).pipe(
        Effect.annotateLogs({
          ...(name === undefined ? {} : { circuit: name }),
          from,
          to,
          generation,
          ...(openMs === undefined ? {} : { openMs })
        })
      )

    const redraw = Effect.flatMap(draw, (delays) =>
      Ref.update(state, (current) => withOpenDelays(current, delays))
    )

    const changed = (transitions: BreakerModel.Transitions): Effect.Effect<void> =>
      transitions.length === 0
        ? Effect.void
        : Effect.forEach(
            transitions,
            (transition) => Effect.zipRight(PubSub.publish(events, transition), announce(transition)),
            { discard: true }
          ).pipe(Effect.zipRight(transitions.some(({ to }) => to === "open") ? redraw : Effect.void))

    /** One decision in whole milliseconds, and the announcement of its transitions: never the one without the other. */
    const step = <A, E>(
      f: (
        current: BreakerModel.State,
        now: number
      ) => readonly [Effect.Effect<A, E>, BreakerModel.Transitions, BreakerModel.State]
    ): Effect.Effect<A, E> =>
      Effect.uninterruptible(
        Effect.flatten(
          modifyAt(state, (current, now) => {
            const [answer, transitions, next] = f(current, Math.floor(now))
            return [transitions.length === 0 ? answer : Effect.zipRight(changed(transitions), answer), next]
          })
        )
      )

    return CircuitBreaker.of({
      peek: Effect.flatten(
        modifyAt(state, (current, now) => {
          const refusal = BreakerState.peek(current, Math.floor(now), config)
          return [refusal === undefined ? Effect.void : refuse(refusal), current]
        })
      ),
      acquire: Effect.flatMap(CurrentPrincipal, ({ client }) =>
        step((current, now) => {
          const [admission, next] = BreakerState.acquire(current, now, config, client)
          return [answer(admission), admission.transitions, next]
        })
      ),
      settle: (permit, verdict, failure) =>
        step((current, now) => [
          Effect.void,
          ...BreakerState.settle(current, now, config, permit, verdict, failure)
        ]),
      status: modifyAt(state, (current, now) => [
        BreakerState.status(current, Math.floor(now), config),
        current
      ]),
      forceOpen: (cause) =>
        Effect.asVoid(
          Effect.acquireRelease(
            step((current, now) => {
              const [held, next] = BreakerOperator.forceOpen(current, now, cause)
              return [Effect.succeed(held.token), held.transitions, next]
            }),
            (token) => step((current, now) => [Effect.void, ...BreakerOperator.release(current, now, token)])
          )
        ),
      disable: step((current, now) => [Effect.void, ...BreakerOperator.disable(current, now)]),
      reset: step((current, now) => [Effect.void, ...BreakerOperator.reset(current, now)]),
      transitions: Stream.fromPubSub(events)
    })
  })

/**
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options = {}): Layer.Layer<CircuitBreaker> =>
  Layer.scoped(CircuitBreaker, make(options))

/**
 * Always closed: lets every call through and remembers nothing.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerNoop: Layer.Layer<CircuitBreaker> = Layer.succeed(CircuitBreaker, {
  peek: Effect.void,
  acquire: Effect.succeed({ generation: 0, startedAt: 0 }),
  settle: () => Effect.void,
  status: Effect.succeed<Status>({
    phase: "closed",
    generation: 0,
    trips: 0,
    calls: 0,
    failures: 0,
    slow: 0,
    consecutiveFailures: 0,
    retryAfterMs: 0,
    stale: 0
  }),
  forceOpen: () => Effect.void,
  disable: Effect.void,
  reset: Effect.void,
  transitions: Stream.empty
})

/**
 * A breaker for a connection of the server's own, such as Redis: three failures in a row open it, for 250 ms to two
 * seconds. Latency does not count; the connection's own time limit bounds it.
 *
 * @example
 * Redis.layer({ url, circuit: CircuitBreaker.forConnection("redis") })
 *
 * @since 0.1.0
 * @category constructors
 */
export const forConnection = (
  name: string
): Effect.Effect<
  { readonly protect: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | CircuitOpen, R> },
  never,
  Scope.Scope
> =>
  Effect.map(
    make({
      name,
      consecutiveFailures: 3,
      failureRate: 0.5,
      slowCallRate: 2,
      minimumCalls: 20,
      windowMs: 10_000,
      probes: 1,
      probeSuccesses: 1,
      probeLeaseMs: 2000,
      openTimes: openTimes({ firstMs: 250, factor: 2, capMs: 2000 })
    }),
    (breaker) => ({ protect: (effect) => protect(breaker, effect) })
  )
