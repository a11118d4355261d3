/**
 * What a server says of its end: what it still waits for, and what became of that.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { monotonicMillis } from "../platform/monotonic.js"
import type { Tally } from "./requestRunner.js"

/**
 * Logs around what lets the calls in flight end.
 *
 * @since 0.1.0
 * @category logging
 */
export const logged =
  (calls: Readonly<Tally> | undefined, about: { readonly [name: string]: number } = {}) =>
  <A, E, R>(drain: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.gen(function* () {
      const began = yield* monotonicMillis
      const before = { answered: 0, cancelled: 0, cut: 0, inFlight: 0, ...calls }
      yield* Effect.logInfo("shutting down: no more calls are taken").pipe(
        Effect.annotateLogs({ callsInFlight: before.inFlight, ...about })
      )
      const result = yield* drain
      const after = { ...before, ...calls }
      yield* Effect.logInfo("calls have ended").pipe(
        Effect.annotateLogs({
          answered: after.answered - before.answered,
          cut: after.cut - before.cut,
          cancelled: after.cancelled - before.cancelled,
          ms: Math.round((yield* monotonicMillis) - began)
        })
      )
      return result
    })
