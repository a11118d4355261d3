/**
 * Is the warehouse healthy? A state machine that stops calling a warehouse that fails, probes it after
 * a while with a few calls, and lets everybody back in when the probes succeed. The pattern is that of
 * Nygard's "Release It!"; the machine, with its invariants, is in `core/BreakerState`.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as MutableRef from "effect/MutableRef"
import * as PubSub from "effect/PubSub"
import type * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type * as BreakerModel from "./core/BreakerModel.js"
import { make as makeState, withOpenDelays } from "./core/BreakerModel.js"
import * as BreakerOperator from "./core/BreakerOperator.js"
import * as BreakerState from "./core/BreakerState.js"
import * as BreakerOptions from "./internal/breakerOptions.js"
import { CircuitOpen, Phase } from "./internal/circuitModel.js"
import type { Failure, Permit, Status, Transition, Verdict } from "./internal/circuitModel.js"
import { unsafeMonotonicMillis } from "./internal/monotonic.js"
import * as Step from "./internal/step.js"
import { drawOpenDelays, exponentialOpenTimes } from "./internal/openDelays.js"
import { withoutStack } from "./internal/withoutStack.js"
import { CurrentPrincipal } from "./Principal.js"

export { CircuitOpen, Phase }
export type { Failure, Permit, Status, Transition, Verdict }

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
export type Options = BreakerOptions.Options

/**
 * Opens on 3 failures in a row, or 30 % failed of 10 to 100 calls of the last five minutes, or 90 % of them
 * slow; for 30 s, doubled with each trip in a row to at most 300 s. The settings of the server have these
 * values too: `config/Settings` takes them from here.
 *
 * @since 0.1.0
 * @category models
 */
export const defaults = BreakerOptions.defaults

/**
 * Open times that start at `firstMs`, grow by `factor` to at most `capMs`, and are jittered by a fifth.
 *
 * @since 0.1.0
 * @category constructors
 */
export const openTimes: (options: {
  readonly firstMs: number
  readonly factor: number
  readonly capMs: number
}) => Schedule.Schedule<unknown> = exponentialOpenTimes

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
  admission._tag === "Admitted" ? Exit.succeed(admission.permit) : refuse(admission.refusal)

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
  return Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(acquire, (permit) =>
      Effect.onExit(restore(effect), (exit) => {
        try {
          return settle(permit, verdictOf(exit))
        } catch (error) {
          // A verdict that throws is a bug of the caller's; it must not cost a probe slot as well.
          return Effect.zipRight(settle(permit, "ignored"), Effect.die(error))
        }
      })
    )
  )
}

/**
 * A circuit breaker whose state is one reference and whose every step is synchronous, on the monotonic
 * clock. There is no timer and no fiber: what is due happens when somebody looks.
 *
 * The open times are drawn from the schedule as a table BEFORE they are needed, and drawn again after
 * each trip. A trip therefore stays one atomic step that knows its exact end (a schedule is stepped by
 * an effect, which could not run inside it), jitter is fresh for every trip, and `Random` is the
 * virtual one under test.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  options: Options = {}
): Effect.Effect<Context.Tag.Service<CircuitBreaker>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const config = yield* BreakerOptions.resolve(options)
    const draw = drawOpenDelays(
      options.openTimes ??
        exponentialOpenTimes({
          firstMs: defaults.firstOpenMs,
          factor: defaults.openFactor,
          capMs: defaults.maxOpenMs
        })
    )
    const openDelays = yield* draw
    if (openDelays.length === 0) {
      return yield* Effect.dieMessage("CircuitBreaker: openTimes has no positive delay")
    }
    const state = MutableRef.make(makeState(openDelays))
    const events = yield* Effect.acquireRelease(PubSub.sliding<Transition>(64), PubSub.shutdown)
    const { name } = options
    const called = name === undefined ? "circuit" : `${name} circuit`
    const annotations = name === undefined ? {} : { circuit: name }

    const announce = (transition: Transition): Effect.Effect<void> =>
      Effect.zipRight(
        PubSub.publish(events, transition),
        (transition.to === "open" || transition.to === "forced-open" ? Effect.logWarning : Effect.logInfo)(
          `${called} ${transition.to}: ${transition.cause}`
        ).pipe(
          Effect.annotateLogs({
            ...annotations,
            from: transition.from,
            to: transition.to,
            generation: transition.generation,
            ...(transition.openMs === undefined ? {} : { openMs: transition.openMs })
          })
        )
      )

    const redraw = Effect.map(draw, (delays) => {
      state.current = withOpenDelays(state.current, delays)
    })

    const changed = (transitions: BreakerModel.Transitions): Effect.Effect<void> =>
      transitions.length === 0
        ? Effect.void
        : Effect.zipRight(
            transitions.some(({ to }) => to === "open") ? redraw : Effect.void,
            Effect.forEach(transitions, announce, { discard: true })
          )

    /** One step, then the news of it: never the one without the other. */
    const step = (
      f: (current: BreakerModel.State, now: number) => readonly [BreakerModel.Transitions, BreakerModel.State]
    ): Effect.Effect<void> =>
      Effect.uninterruptible(
        Effect.clockWith((clock) => {
          const [transitions, next] = f(state.current, nowOf(clock))
          state.current = next
          return changed(transitions)
        })
      )

    const acquireSlowly: Effect.Effect<Permit, CircuitOpen> = Effect.uninterruptible(
      Effect.flatMap(CurrentPrincipal, ({ client }) =>
        Effect.clockWith((clock) => {
          const [admission, next] = BreakerState.acquire(state.current, nowOf(clock), config, client)
          state.current = next
          return Effect.zipRight(changed(admission.transitions), answer(admission))
        })
      )
    )

    const settleSlowly = (permit: Permit, verdict: Verdict, failure?: Failure): Effect.Effect<void> =>
      step((current, now) => BreakerState.settle(current, now, config, permit, verdict, failure))

    // The usual step changes no phase, has no news, and so needs no protection from interruption: a
    // step with news is not committed here but taken again under it.
    const acquire: Effect.Effect<Permit, CircuitOpen> = Step.make((moment) => {
      const { client } = Context.get(moment.fiber.currentContext, CurrentPrincipal)
      const [admission, next] = BreakerState.acquire(state.current, Math.floor(moment.now), config, client)
      if (admission.transitions.length > 0) {
        return acquireSlowly
      }
      state.current = next
      return answer(admission)
    })

    const settle = (permit: Permit, verdict: Verdict, failure?: Failure): Effect.Effect<void> =>
      Step.make((moment) => {
        const now = Math.floor(moment.now)
        const [transitions, next] = BreakerState.settle(state.current, now, config, permit, verdict, failure)
        if (transitions.length > 0) {
          return settleSlowly(permit, verdict, failure)
        }
        state.current = next
        return Exit.void
      })

    const hold = (cause: string): Effect.Effect<number> =>
      Effect.clockWith((clock) => {
        const [held, next] = BreakerOperator.forceOpen(state.current, nowOf(clock), cause)
        state.current = next
        return Effect.as(changed(held.transitions), held.token)
      })

    return CircuitBreaker.of({
      peek: Step.make((moment) => {
        const refusal = BreakerState.peek(state.current, Math.floor(moment.now), config)
        return refusal === undefined ? Exit.void : refuse(refusal)
      }),
      acquire,
      settle,
      status: Effect.clockWith((clock) =>
        Effect.succeed(BreakerState.status(state.current, nowOf(clock), config))
      ),
      forceOpen: (cause) =>
        Effect.asVoid(
          Effect.acquireRelease(hold(cause), (token) =>
            step((current, now) => BreakerOperator.release(current, now, token))
          )
        ),
      disable: step(BreakerOperator.disable),
      reset: step(BreakerOperator.reset),
      transitions: Stream.fromPubSub(events)
    })
  })

/** Whole milliseconds: differences stay exact, and with them `retryAfterMs`. */
const nowOf = (clock: Clock.Clock): number => Math.floor(unsafeMonotonicMillis(clock))

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
