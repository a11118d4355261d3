import * as Effect from "effect/Effect"

/** For stores that keep their own time: somebody has to know why the windows are others than a moment ago. */
export const toldOfClock = (byMs: number): Effect.Effect<void> =>
  Effect.logWarning(
    `the clock was set back by ${Math.round(byMs / 1000)} seconds: what was used of quotas in windows that have ` +
      `not begun yet counts in the current ones`
  )
