import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Repeats from "../platform/core/Repeats.js"

/**
 * The log of calls that got no result: the first of a kind at once, those like it together every ten
 * seconds. A client that goes on after it was refused would write the log full, and pay for nothing else:
 * a line costs about as much as the refusal. Each single call is in the metrics and in the audit log.
 */
export interface RefusalLog {
  readonly refused: (refusal: Refusal) => Effect.Effect<void>
}

export interface Refusal {
  readonly client: string
  readonly tool: string
  readonly code: string
  readonly scope: string | undefined
  readonly retryAfterMs: number | undefined
  /** For the operator; the client reads its description only. */
  readonly cause: string | undefined
}

const PERIOD = "10 seconds"

/** Kinds of refusals that are kept apart. */
const MAX_KINDS = 1_000

const MAX_CAUSE = 200

export const make: Effect.Effect<RefusalLog, never, Scope.Scope> = Effect.gen(function* () {
  const repeats = Repeats.make<Refusal>(MAX_KINDS)
  const tell = Effect.suspend(() => {
    const { others, repeated } = Repeats.take(repeats)
    const lines = repeated.map(({ about: { retryAfterMs: _, ...about }, times }) =>
      Effect.annotateLogs(Effect.logInfo("more calls were refused like this"), { ...about, times })
    )
    if (others > 0) {
      lines.push(Effect.annotateLogs(Effect.logInfo("more calls were refused"), { times: others }))
    }
    return Effect.all(lines, { discard: true })
  })
  yield* Effect.forkScoped(Effect.schedule(tell, Schedule.spaced(PERIOD)))
  // Nothing that was counted stays untold.
  yield* Effect.addFinalizer(() => tell)
  return {
    refused: (refusal) =>
      Effect.suspend(() => {
        const { client, code, scope, tool } = refusal
        const cause = refusal.cause?.slice(0, MAX_CAUSE)
        const key = JSON.stringify([client, tool, code, scope, cause])
        const about = { ...refusal, cause }
        return Repeats.isFirst(repeats, key, about)
          ? Effect.annotateLogs(Effect.logInfo("call refused"), about)
          : Effect.void
      })
  }
})
