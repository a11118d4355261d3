/**
 * Stops calls to a warehouse that fails, probes it later with a few calls, and lets all calls through again when the
 * probes succeed (the circuit breaker of Nygard's "Release It!"). The state machine and its invariants are in
 * `guard/core/CircuitBreaker`.
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
import * as Core from "./core/CircuitBreaker.js"
import * as InvalidOptions from "../platform/InvalidOptions.js"
import * as Live from "../platform/Live.js"
import { steps } from "../platform/monotonic.js"
import { withoutStack } from "../platform/withoutStack.js"
import { CurrentPrincipal } from "../platform/Principal.js"

/**
 * What a finished call says about the health of the warehouse. `alive`: it answered, and the mistake was the caller's;
 * counts as a success. `ignored`: nothing (the call was cancelled, or refused by this server).
 *
 * @since 0.1.0
 * @category models
 */
export type Verdict = Core.Verdict

/**
 * `closed` lets calls through, `open` refuses them, `half-open` lets a few through as probes. `forced-open` and
 * `disabled` are an operator's, until that is taken back.
 *
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
export type Permit = Core.Permit

/**
 * What is known of a failure. A silence counts once per call. A reported failure counts once per client and statement,
 * and opens the circuit when two clients have seen failures or only one client calls.
 *
 * @since 0.1.0
 * @category models
 */
export type Failure = Core.Failure

/**
 * The phase, why and since when, and the calls that were counted for it; milliseconds of a monotonic clock.
 *
 * @since 0.1.0
 * @category models
 */
export type Status = Core.Status

/**
 * A change of the phase, with its reason.
 *
 * @since 0.1.0
 * @category models
 */
export type Transition = Core.Transition

/**
 * The circuit refused the call: nothing was sent, and nothing is known of how it would have ended.
 *
 * @since 0.1.0
 * @category errors
 */
export class CircuitOpen extends Schema.TaggedError<CircuitOpen>("snowguard/CircuitOpen")("CircuitOpen", {
  phase: Schema.Literal("open", "half-open", "forced-open"),
  /**
   * Milliseconds until a call may get through: exact while it is open, an estimate while it is half-open, absent while
   * an operator holds it open.
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
 * One circuit, for one thing that can fail. Operations fail with `CircuitOpen` alone, beside the errors of the work.
 *
 * @since 0.1.0
 * @category context
 */
export class CircuitBreaker extends Context.Tag("snowguard/CircuitBreaker")<
  CircuitBreaker,
  {
    /** Fails when a call would be refused now, and takes nothing. For callers that queue before `acquire`. */
    readonly peek: Effect.Effect<void, CircuitOpen>
    /**
     * For the current principal. Run it in an uninterruptible region, or a permit may be lost; {@link protect}
     * does.
     */
    readonly acquire: Effect.Effect<Permit, CircuitOpen>
    /**
     * Ends the call. Run it exactly once for each permit, however the call ended, and in an uninterruptible region, or
     * a transition may stay unannounced; {@link protect} does both. `failure` says whether anything answered, and
     * identifies the call and the statement; a failure without it counts as a silence.
     */
    readonly settle: (permit: Permit, verdict: Verdict, failure?: Failure) => Effect.Effect<void>
    readonly status: Effect.Effect<Status>
    /** Holds the circuit open until the scope closes; several holders add up. */
    readonly forceOpen: (cause: string) => Effect.Effect<void, never, Scope.Scope>
    /** Lets every call through and counts nothing, until `reset`. */
    readonly disable: Effect.Effect<void>
    /** Back to closed with an empty window; does not release a `forceOpen`. */
    readonly reset: Effect.Effect<void>
    /** Transitions as they happen; a slow reader loses the oldest. */
    readonly transitions: Stream.Stream<Transition>
  }
>() {}

/**
 * What differs from {@link defaults}. Times are milliseconds, rates shares of the calls in the window. With options
 * that make no sense {@link make} dies with `InvalidOptions`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Name of the callee in log lines: with `orders` they say "orders circuit open". */
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
   * again when the schedule has ended (or after 16). Only its delays are used.
   */
  readonly openTimes?: Schedule.Schedule<unknown, unknown> | undefined
}

/**
 * Opens on 3 failures in a row, or when 30 % of 10 to 100 calls of the last five minutes failed, or when 90 % of them
 * were slow; for 30 s, doubled with each trip in a row to at most 300 s. `config/Settings` has the same values, and a
 * test compares them.
 *
 * The window spans five minutes, so that three sequential calls without an answer, of up to 50 seconds each, fit into
 * it. Slow calls open it only when nearly all are slow, and a call of less than those 50 seconds is not slow: long
 * queries are normal.
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

const complete = (options: Options): Core.Config => ({
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
})

const problems = (config: Core.Config): ReadonlyArray<string> => {
  // A trigger that needs more calls than the window holds would never fire.
  const needed = [config.minimumCalls, config.consecutiveFailures].filter(Number.isFinite)
  return [
    ...Object.entries(config).flatMap(([name, value]) =>
      value > 0 ? [] : [`${name} must be positive, not ${value}`]
    ),
    ...(Math.max(...needed, 0) > config.windowCalls
      ? ["windowCalls must not be less than minimumCalls or consecutiveFailures"]
      : [])
  ]
}

const invalid = (problems: ReadonlyArray<string>): Effect.Effect<void> =>
  Effect.orDie(InvalidOptions.check("CircuitBreaker", problems))

const JITTER = 0.2
const LONGEST_OPEN_MS = 86_400_000
/** Number of open times that are drawn in advance; the last one repeats. */
const DRAWN = 16

/**
 * Open times of `firstMs` milliseconds, then `factor` times as long each time, jittered by a fifth either way. The base
 * stops growing where jitter would pass `capMs`: the cap holds, and breakers that have reached it still probe at
 * different moments.
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
 * A success counts as one, a typed failure as a failure. Interruptions and defects are ignored.
 *
 * @since 0.1.0
 * @category combinators
 */
export const defaultVerdict = <A, E>(exit: Exit.Exit<A, E>): Verdict =>
  Exit.isSuccess(exit) ? "success" : Cause.isFailure(exit.cause) ? "failure" : "ignored"

const refuse = (refusal: Core.Refusal): Effect.Effect<never, CircuitOpen> =>
  Effect.fail(withoutStack(() => new CircuitOpen(refusal, true)))

const answer = (admission: Core.Admission): Effect.Effect<Permit, CircuitOpen> =>
  admission._tag === "Admitted" ? Effect.succeed(admission.permit) : refuse(admission.refusal)

/**
 * `acquire`, the effect, `settle`: also after interruptions and defects.
 *
 * @example
 * Effect.flatMap(CircuitBreaker.make({ name: "orders" }), (breaker) => CircuitBreaker.protect(breaker, fetchOrders))
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
      // A verdict that throws is a defect of the caller; the probe slot comes back all the same.
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
  given: Options | Live.Live<Options> = {}
): Effect.Effect<Context.Tag.Service<CircuitBreaker>, never, Scope.Scope> =>
  build(given, ({ to }) => (to === "open" || to === "forced-open" ? Effect.logWarning : Effect.logInfo))

/** A breaker whose transitions are logged at the level that `levelOf` says. */
const build = (
  given: Options | Live.Live<Options>,
  levelOf: (transition: Transition) => (message: string) => Effect.Effect<void>
): Effect.Effect<Context.Tag.Service<CircuitBreaker>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { modifyAt } = yield* steps
    const live = Live.from(given)
    // Its name and open times are those of the start.
    const options = live.current()
    const config = Live.map(live, complete)
    yield* invalid(problems(config.current()))
    const draw = drawOpenDelays(
      options.openTimes ??
        openTimes({ firstMs: defaults.firstOpenMs, factor: defaults.openFactor, capMs: defaults.maxOpenMs })
    )
    const openDelays = yield* draw
    yield* invalid(openDelays.length === 0 ? ["openTimes must have a positive delay"] : [])
    const state = yield* Ref.make(Core.make(openDelays))
    const events = yield* Effect.acquireRelease(PubSub.sliding<Transition>(64), PubSub.shutdown)
    const { name } = options
    const called = name === undefined ? "circuit" : `${name} circuit`

    const announce = (transition: Transition): Effect.Effect<void> => {
      const { cause, from, generation, openMs, to } = transition
      return levelOf(transition)(`${called} ${to}: ${cause}`).pipe(
        Effect.annotateLogs({
          ...(name === undefined ? {} : { circuit: name }),
          from,
          to,
          generation,
          ...(openMs === undefined ? {} : { openMs })
        })
      )
    }

    const redraw = Effect.flatMap(draw, (delays) =>
      Ref.update(state, (current) => Core.withOpenDelays(current, delays))
    )

    const changed = (transitions: Core.Transitions): Effect.Effect<void> =>
      transitions.length === 0
        ? Effect.void
        : Effect.forEach(
            transitions,
            (transition) => Effect.zipRight(PubSub.publish(events, transition), announce(transition)),
            { discard: true }
          ).pipe(Effect.zipRight(transitions.some(({ to }) => to === "open") ? redraw : Effect.void))

    /** One decision in whole milliseconds and the announcement of its transitions. Run it where it is not interrupted. */
    const step = <A, E>(
      f: (current: Core.State, now: number) => readonly [Effect.Effect<A, E>, Core.Transitions, Core.State]
    ): Effect.Effect<A, E> =>
      Effect.flatten(
        modifyAt(state, (current, now) => {
          const [answer, transitions, next] = f(current, Math.floor(now))
          return [transitions.length === 0 ? answer : Effect.zipRight(changed(transitions), answer), next]
        })
      )

    return CircuitBreaker.of({
      peek: Effect.flatten(
        modifyAt(state, (current, now) => {
          const refusal = Core.peek(current, Math.floor(now), config.current())
          return [refusal === undefined ? Effect.void : refuse(refusal), current]
        })
      ),
      acquire: Effect.flatMap(CurrentPrincipal, ({ client, onBehalfOf = client }) =>
        step((current, now) => {
          const [admission, next] = Core.acquire(current, now, config.current(), onBehalfOf)
          return [answer(admission), admission.transitions, next]
        })
      ),
      settle: (permit, verdict, failure) =>
        step((current, now) => [
          Effect.void,
          ...Core.settle(current, now, config.current(), permit, verdict, failure)
        ]),
      status: modifyAt(state, (current, now) => [
        Core.status(current, Math.floor(now), config.current()),
        current
      ]),
      forceOpen: (cause) =>
        Effect.asVoid(
          Effect.acquireRelease(
            step((current, now) => {
              const [held, next] = Core.forceOpen(current, now, cause)
              return [Effect.succeed(held.token), held.transitions, next]
            }),
            (token) => step((current, now) => [Effect.void, ...Core.release(current, now, token)])
          )
        ),
      disable: Effect.uninterruptible(step((current, now) => [Effect.void, ...Core.disable(current, now)])),
      reset: Effect.uninterruptible(step((current, now) => [Effect.void, ...Core.reset(current, now)])),
      transitions: Stream.fromPubSub(events)
    })
  })

/**
 * A circuit of its own, closed at first; wrong options are a defect.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options | Live.Live<Options> = {}): Layer.Layer<CircuitBreaker> =>
  Layer.scoped(CircuitBreaker, make(options))

/**
 * Always closed: lets every call through and counts nothing.
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

const connectionOptions = (name: string): Options => ({
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
    build(connectionOptions(name), ({ from, to }) => {
      // It is probed every second or two: an outage has one line when it begins, and one when it is over.
      if (to === "half-open" || from === "half-open")
        return to === "closed" ? Effect.logInfo : Effect.logDebug
      return to === "open" ? Effect.logWarning : Effect.logInfo
    }),
    (breaker) => ({ protect: (effect) => protect(breaker, effect) })
  )
