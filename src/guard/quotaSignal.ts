/**
 * Tells the degradation ladder how much of the quota of all clients together is used, every few seconds
 * while the layer is there. Without such a quota there is nothing to tell, and nothing runs.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import { Degradation } from "./Degradation.js"
import { Quota } from "../quota/Quota.js"

const SAMPLE_EVERY = "5 seconds"

/** The quota that is nearest to its end counts. */
const used = Effect.gen(function* () {
  const quota = yield* Quota
  const all = yield* quota.status("", "")
  const shares = all.filter(({ scope }) => scope === "global").map(({ limit, used }) => used / limit)
  return shares.length === 0 ? undefined : Math.min(1, Math.max(...shares))
})

export const layer: Layer.Layer<never, never, Degradation | Quota> = Layer.scopedDiscard(
  Effect.gen(function* () {
    const degradation = yield* Degradation
    const tell = used.pipe(
      Effect.tap((quotaUsed) => (quotaUsed === undefined ? Effect.void : degradation.observe({ quotaUsed }))),
      // What was told last holds while the store does not answer.
      Effect.catchAll((error) => Effect.as(Effect.logDebug("the quota signal is not known", error), 0)),
      Effect.map((quotaUsed) => quotaUsed !== undefined)
    )
    yield* Effect.repeat(tell, { schedule: Schedule.spaced(SAMPLE_EVERY), while: (goesOn) => goesOn }).pipe(
      // Not on the way of a start.
      Effect.delay(SAMPLE_EVERY),
      Effect.forkScoped
    )
  })
)
