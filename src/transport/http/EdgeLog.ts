/**
 * The log of what clients do that costs others: the first time at once, and what is like it together every
 * ten seconds, however often it happens.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Repeats from "../../core/Repeats.js"

/** What is the same for all that are told together. */
export interface Happening {
  readonly message: string
  readonly client: string | undefined
}

export interface EdgeLog {
  readonly told: (happening: Happening) => Effect.Effect<void>
}

const PERIOD = "10 seconds"

/** Kinds of happenings that are kept apart. */
const MAX_KINDS = 1_000

export const make: Effect.Effect<EdgeLog, never, Scope.Scope> = Effect.gen(function* () {
  const repeats = Repeats.make<Happening>(MAX_KINDS)
  const warn = ({ client, message }: Happening, times: number) =>
    Effect.annotateLogs(Effect.logWarning(message), { client, times })
  const tell = Effect.suspend(() => {
    const { others, repeated } = Repeats.take(repeats)
    const lines = repeated.map(({ about, times }) => warn(about, times))
    if (others > 0) lines.push(warn({ message: "more of the kind", client: undefined }, others))
    return Effect.all(lines, { discard: true })
  })
  yield* Effect.forkScoped(Effect.schedule(tell, Schedule.spaced(PERIOD)))
  // Nothing that was counted stays untold.
  yield* Effect.addFinalizer(() => tell)
  return {
    told: (happening) =>
      Effect.suspend(() =>
        Repeats.isFirst(repeats, JSON.stringify([happening.message, happening.client]), happening)
          ? warn(happening, 1)
          : Effect.void
      )
  }
})
