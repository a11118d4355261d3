import * as Chunk from "effect/Chunk"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"

const JITTER = 0.2
const LONGEST_MS = 86_400_000
const ENTRIES = 16

/**
 * `firstMs`, then `factor` times as long each time, jittered by a fifth either way. The base stops
 * growing where jitter would pass `capMs`: so the cap holds, and even breakers that have reached it
 * do not all probe at the same moment.
 */
export const exponentialOpenTimes = (options: {
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
export const drawOpenDelays = (
  schedule: Schedule.Schedule<unknown, unknown>
): Effect.Effect<ReadonlyArray<number>> =>
  Effect.flatMap(Clock.currentTimeMillis, (now) =>
    Effect.map(Schedule.run(Schedule.delays(schedule), now, Chunk.range(1, ENTRIES)), (delays) =>
      Chunk.toReadonlyArray(delays)
        .map((delay) => Math.round(Math.min(Duration.toMillis(delay), LONGEST_MS)))
        // A schedule that ends says so with a last delay of zero.
        .filter((delay) => delay > 0)
    )
  )
