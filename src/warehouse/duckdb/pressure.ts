/**
 * Watches the memory of the process while DuckDB works: its own limit covers neither the rows that it is
 * computing nor those that wait to be read. What grows beyond the limit ends the statements that run.
 *
 * Growth is counted from where the process was when nothing ran, so that what others hold, and what the
 * allocator does not give back, is nobody's fault. Who of several statements takes it cannot be told.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { DriverError } from "./connections.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Pressure {
  readonly watch: <A>(call: Effect.Effect<A, DriverError>) => Effect.Effect<A, DriverError>
}

/** DuckDB stops between two operators, so that looking more often would not help. */
const period = "20 millis"

// Native code takes memory in real time, whatever clock the program has been given.
const realClock = Clock.make()

const tooMuch: DriverError = {
  _tag: "DriverError",
  message: "Out of Memory Error: the process grows too large.",
  cause: undefined
}

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (mostBytes: number, rss: () => number = () => process.memoryUsage.rss()): Pressure => {
  let running = 0
  let before = 0
  const over = Effect.suspend(() => (rss() - before > mostBytes ? Effect.fail(tooMuch) : Effect.void)).pipe(
    Effect.delay(period),
    Effect.forever,
    Effect.withClock(realClock)
  )
  return {
    watch: (call) =>
      Effect.suspend(() => {
        if (running++ === 0) before = rss()
        return Effect.ensuring(
          Effect.raceFirst(call, over),
          Effect.sync(() => {
            running--
          })
        )
      })
  }
}
