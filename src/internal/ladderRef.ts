/**
 * The degradation ladder as a running thing: one `MutableRef` for its state and one for the outcomes of
 * calls, each changed in synchronous steps; no fiber, no timer.
 *
 * Signals are read when somebody asks, at most once in `pullMs`, and whenever a step down is due: that is
 * what makes the times in a refusal exact.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as MutableRef from "effect/MutableRef"
import type * as Scope from "effect/Scope"
import * as Ladder from "../core/DegradationLadder.js"
import * as OutcomeWindow from "../core/OutcomeWindow.js"
import { unsafeMonotonicMillis } from "./monotonic.js"
import * as Step from "./step.js"

/** Where the signals are read. All are asked on the path of a call: they must answer at once. */
export interface Sources {
  readonly breaker?: Effect.Effect<Ladder.Circuit> | undefined
  /** The pool with the longest wait counts. */
  readonly bulkhead?: Effect.Effect<ReadonlyArray<{ readonly estimatedWaitMs: number }>> | undefined
  /** Milliseconds by which timers of this process are late. */
  readonly eventLoopDelay?: Effect.Effect<number> | undefined
  /** Share of the quota of all clients together that is left, 0 to 1. */
  readonly quotaLeft?: Effect.Effect<number> | undefined
}

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

/** The share of refusals is counted here, all else is read or told. */
export type Signals = Omit<Ladder.Signals, "refusalRatio">

/** Whole milliseconds, as the breaker counts them: its times stay exact here. */
export const nowOf = (clock: Clock.Clock): number => Math.floor(unsafeMonotonicMillis(clock))

/** A source that breaks is a signal that is absent; it must not break the call that asked. */
const reading = <A, B>(source: Effect.Effect<A> | undefined, f: (value: A) => B) =>
  source === undefined
    ? Effect.succeed(undefined)
    : Effect.catchAllDefect(Effect.map(source, f), (defect) =>
        Effect.as(Effect.logDebug("a signal of the degradation ladder failed", defect), undefined)
      )

const readingsOf = (sources: Sources): Effect.Effect<Signals> =>
  Effect.all({
    circuit: reading(sources.breaker, (status) => status),
    slotWaitMs: reading(sources.bulkhead, (pools) => Math.max(0, ...pools.map((_) => _.estimatedWaitMs))),
    eventLoopMs: reading(sources.eventLoopDelay, (delay) => delay),
    quotaUsed: reading(sources.quotaLeft, (left) => 1 - left)
  })

export interface LadderRef {
  /** Without looking at the signals. */
  readonly current: () => Ladder.State
  /** Reads the signals where that is due, then answers. */
  readonly informed: <A, E>(answer: (now: number) => Effect.Effect<A, E>) => Effect.Effect<A, E>
  readonly tell: (signals: Signals) => Effect.Effect<void>
  readonly pin: (mode: Ladder.Mode, cause: string) => Effect.Effect<void, never, Scope.Scope>
  readonly count: (now: number, outcome: OutcomeWindow.Outcome) => void
  /** Share of the calls to turn away so that no more are tried than get through. */
  readonly shedProbability: (now: number) => number
}

export const make = (
  sources: Sources,
  config: Config,
  announce: (change: Ladder.Change, state: Ladder.State) => Effect.Effect<void>
): Effect.Effect<LadderRef> =>
  Effect.clockWith((clock) =>
    Effect.sync(() => {
      const ladder = MutableRef.make(Ladder.initial(nowOf(clock)))
      const window = MutableRef.make(OutcomeWindow.empty)
      const readings = readingsOf(sources)
      let told: Signals = {}
      let pulledAt = Number.NEGATIVE_INFINITY

      const counts = (now: number) => OutcomeWindow.counts(window.current, now, config.windowMs)

      /** One step, then the news of it: never the one without the other. */
      const step = <A>(
        f: (state: Ladder.State, now: number) => readonly [A, Ladder.Change | undefined, Ladder.State]
      ): Effect.Effect<A> =>
        Effect.uninterruptible(
          Effect.clockWith((clock) => {
            const [value, change, next] = f(ladder.current, nowOf(clock))
            ladder.current = next
            return change === undefined ? Effect.succeed(value) : Effect.as(announce(change, next), value)
          })
        )

      const observe = (read: Signals): Effect.Effect<void> =>
        step((state, now) => {
          const signals: Ladder.Signals = {
            circuit: read.circuit ?? told.circuit,
            slotWaitMs: read.slotWaitMs ?? told.slotWaitMs,
            eventLoopMs: read.eventLoopMs ?? told.eventLoopMs,
            quotaUsed: read.quotaUsed ?? told.quotaUsed,
            refusalRatio: OutcomeWindow.refusalRatio(counts(now), config.minimumCalls)
          }
          return [undefined, ...Ladder.observe(state, now, signals, config)]
        })

      const pull = Effect.flatMap(readings, observe)

      return {
        current: () => ladder.current,
        informed: (answer) =>
          Step.make((moment) => {
            const now = Math.floor(moment.now)
            const fresh = now - pulledAt < config.pullMs && now < Ladder.dueAt(ladder.current, config)
            if (fresh) return answer(now)
            // Set before it is done: whoever comes in the meantime does not read as well.
            pulledAt = now
            return Effect.flatMap(pull, () => answer(nowOf(clock)))
          }),
        tell: (signals) =>
          Effect.suspend(() => {
            told = { ...told, ...signals }
            return pull
          }),
        pin: (mode, cause) =>
          Effect.asVoid(
            Effect.acquireRelease(
              step((state, now) => Ladder.pin(state, now, mode, cause)),
              (token) => step((state, now) => [undefined, ...Ladder.unpin(state, now, token)])
            )
          ),
        count: (now, outcome) => {
          window.current = OutcomeWindow.record(window.current, now, config.windowMs, outcome)
        },
        shedProbability: (now) => OutcomeWindow.shedProbability(counts(now), config.shedK)
      }
    })
  )
