import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { unsafeMonotonicMillis } from "../platform/monotonic.js"

const INTERVAL_MS = 500
const SAMPLES = 5

const median = (values: ReadonlyArray<number>): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0

/**
 * Milliseconds by which timers of this process are late, measured by a fiber that sleeps and looks at
 * the monotonic clock, for as long as the scope is open.
 *
 * The median of five samples: one long pause (a collection of garbage, a laptop that slept) says nothing
 * about the load, three out of five do. On a virtual clock it is always zero.
 */
export const make: Effect.Effect<Effect.Effect<number>, never, Scope.Scope> = Effect.gen(function* () {
  const samples: Array<number> = []
  let delayMs = 0
  const measure = Clock.clockWith((clock) =>
    Effect.suspend(() => {
      const before = unsafeMonotonicMillis(clock)
      return Effect.map(Effect.sleep(INTERVAL_MS), () => {
        samples.push(Math.max(0, unsafeMonotonicMillis(clock) - before - INTERVAL_MS))
        if (samples.length > SAMPLES) samples.shift()
        delayMs = samples.length < SAMPLES ? 0 : median(samples)
      })
    })
  )
  yield* Effect.forkScoped(Effect.forever(measure))
  return Effect.sync(() => delayMs)
})
