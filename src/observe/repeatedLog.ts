/**
 * The log of what may happen thousands of times a second: the first of a kind at once, those like it together every
 * ten seconds. A client that goes on after a refusal, or a full disk, would otherwise fill the log.
 */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Repeats from "../platform/core/Repeats.js"

const PERIOD = "10 seconds"

export interface Options<A> {
  /** Kinds that are kept apart. */
  readonly maxKinds: number
  /** What makes two the same kind; all of it when absent. */
  readonly keyOf?: (about: A) => string
  /** `about` is undefined for kinds that there was no room to keep apart. */
  readonly line: (about: A | undefined, times: number, isFirst: boolean) => Effect.Effect<void>
}

/** What was counted and not logged yet is logged when the scope closes. */
export const make = <A>({
  keyOf = (about) => JSON.stringify(about),
  line,
  maxKinds
}: Options<A>): Effect.Effect<(about: A, times?: number) => Effect.Effect<void>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const repeats = Repeats.make<A>(maxKinds)
    const flush = Effect.suspend(() => {
      const { others, repeated } = Repeats.take(repeats)
      const lines = repeated.map(({ about, times }) => line(about, times, false))
      if (others > 0) lines.push(line(undefined, others, false))
      return Effect.all(lines, { discard: true })
    })
    yield* Effect.forkScoped(Effect.schedule(flush, Schedule.spaced(PERIOD)))
    yield* Effect.addFinalizer(() => flush)
    return (about, times = 1) =>
      Effect.suspend(() =>
        Repeats.isFirst(repeats, keyOf(about), about, times) ? line(about, times, true) : Effect.void
      )
  })
