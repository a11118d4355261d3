/**
 * Questions to the person at a terminal, on stderr: the one way in which commands ask.
 *
 * @since 0.1.0
 */
import * as Prompts from "@clack/prompts"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type { Readable, Writable } from "node:stream"

/**
 * The person at the terminal has ended it: Ctrl-D, Escape, or the terminal has gone.
 *
 * @since 0.1.0
 * @category errors
 */
export class Cancelled extends Data.TaggedError("Cancelled") {}

/**
 * Where a question is asked.
 *
 * @since 0.1.0
 * @category models
 */
export interface Place {
  readonly input: Readable
  readonly output: Writable
}

/** What each prompt of the package takes. */
export type Options = Place & { readonly signal: AbortSignal }

const usual: Place = { input: process.stdin, output: process.stderr }

interface Key {
  readonly name?: string | undefined
  readonly ctrl?: boolean | undefined
}

/**
 * Aborted when no answer can come any more, which the package does not notice by itself; and when Ctrl-C was typed,
 * which it does not tell from Escape.
 */
const ended = ({ input }: Place) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const [gone, interrupted] = [new AbortController(), new AbortController()]
      const end = () => gone.abort()
      const key = (_: unknown, { ctrl, name }: Key) => {
        if (ctrl === true && name === "d") end()
        if (ctrl === true && name === "c") interrupted.abort()
      }
      input.on("end", end).on("close", end).on("keypress", key)
      const leave = () => input.off("end", end).off("close", end).off("keypress", key)
      return { gone: gone.signal, interrupted: interrupted.signal, leave }
    }),
    ({ leave }) => Effect.sync(leave)
  )

/**
 * Asks, and waits for the answer. Ctrl-C interrupts, as it does where nothing is asked.
 *
 * @since 0.1.0
 * @category prompts
 */
export const answer = <A>(
  asked: (options: Options) => Promise<A>,
  place: Place = usual
): Effect.Effect<Exclude<A, symbol>, Cancelled> =>
  Effect.flatMap(ended(place), ({ gone, interrupted }) =>
    Effect.promise((left) => asked({ ...place, signal: AbortSignal.any([gone, left]) })).pipe(
      Effect.filterOrElse(
        (given): given is Exclude<A, symbol> => typeof given !== "symbol",
        () => (interrupted.aborted ? Effect.interrupt : new Cancelled())
      )
    )
  ).pipe(Effect.scoped)

/**
 * Asks whether to go on. What is not a yes is a no.
 *
 * @since 0.1.0
 * @category prompts
 */
export const confirmed = (message: string, place?: Place): Effect.Effect<boolean> =>
  answer((options) => Prompts.confirm({ message, initialValue: false, ...options }), place).pipe(
    Effect.catchTag("Cancelled", () => Effect.succeed(false))
  )
