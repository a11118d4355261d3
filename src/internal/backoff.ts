import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as ScheduleDecision from "effect/ScheduleDecision"
import * as ScheduleInterval from "effect/ScheduleInterval"
import * as ScheduleIntervals from "effect/ScheduleIntervals"

export interface Exponential {
  readonly firstMs: number
  readonly factor: number
  readonly capMs: number
}

export interface Adaptive {
  readonly firstMs: number
  readonly capMs: number
}

/**
 * "Equal jitter": between half of the exponential delay and all of it (M. Brooker, "Exponential Backoff And
 * Jitter", 2015). Full jitter, from zero on, spreads callers a little wider, but a pause of nothing is no
 * pause: the tries of one call would all meet the same moment of a warehouse that restarts.
 */
export const exponential = ({
  capMs,
  factor,
  firstMs
}: Exponential): Schedule.Schedule<Duration.Duration> => {
  const cap = Duration.millis(capMs)
  return Schedule.exponential(Duration.millis(firstMs), factor).pipe(
    Schedule.modifyDelay((_, delay) => Duration.min(delay, cap)),
    Schedule.jitteredWith({ min: 0.5, max: 1 })
  )
}

/**
 * "Decorrelated jitter": anything between the first delay and three times the last one. It grows with
 * what was really waited, and never comes back before `firstMs`. The cap bounds the range and not the
 * result, or callers that have waited long would all wait exactly `capMs`.
 */
export const adaptive = ({ capMs, firstMs }: Adaptive): Schedule.Schedule<Duration.Duration> =>
  Schedule.makeWithState(firstMs, (now: number, _: unknown, last: number) =>
    Effect.map(Random.nextRange(firstMs, Math.max(firstMs, Math.min(capMs, last * 3))), (ms) => [
      ms,
      Duration.millis(ms),
      ScheduleDecision.continueWith(ScheduleInterval.after(now + ms))
    ])
  )

/**
 * The delays of a schedule one by one, in milliseconds; `undefined` when it has ended. Nothing is slept,
 * so that whoever asks can look at a delay before agreeing to it: `Schedule.driver`, and with it
 * `Effect.retry`, tells the delay only when it is over.
 */
export const delays = <In>(
  schedule: Schedule.Schedule<unknown, In>
): ((now: number, input: In) => Effect.Effect<number | undefined>) => {
  let state = schedule.initial
  return (now, input) =>
    Effect.map(
      Effect.suspend(() => schedule.step(now, input, state)),
      ([next, _, decision]) => {
        state = next
        return ScheduleDecision.isDone(decision)
          ? undefined
          : Math.max(0, ScheduleIntervals.start(decision.intervals) - now)
      }
    )
}
