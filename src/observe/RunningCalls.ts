/**
 * The calls of this process that are under way: who asked what, how far it is, and a way to end it. The server
 * adds a call when it is received and removes it when it has ended; operators look, and cancel.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"

/**
 * How far a call is.
 *
 * @since 0.1.0
 * @category models
 */
export interface Progress {
  /** Is its statement in the warehouse? */
  readonly sent: boolean
  /** Rows that have arrived, over all its statements. */
  readonly rows: number
  /** The statement, once it is known. */
  readonly statement: string | undefined
}

/**
 * A call that is under way.
 *
 * @since 0.1.0
 * @category models
 */
export interface Call {
  readonly client: string
  readonly tool: string
  /** Monotonic, milliseconds: when it was received. */
  readonly since: number
  readonly progress: () => Progress
  /** Answers the caller that an operator cancelled the call, and then ends the call and its statement. */
  readonly cancel: Effect.Effect<void>
}

/**
 * The calls under way in this process, and a way to end one. Nothing of it fails.
 *
 * @since 0.1.0
 * @category context
 */
export class RunningCalls extends Context.Tag("snowguard/RunningCalls")<
  RunningCalls,
  {
    /** Which process this is: a short word, drawn when it starts, that tells servers behind one address apart. */
    readonly processId: string
    /** Each call that is added must be removed when it has ended. */
    readonly add: (call: Call) => void
    readonly remove: (call: Call) => void
    /** The oldest first. The id is that of {@link cancel}: the process and a number, so that no other server has it. */
    readonly all: Effect.Effect<ReadonlyArray<readonly [id: string, call: Call]>>
    /** The call that was cancelled; undefined when no such call is under way. */
    readonly cancel: (id: string) => Effect.Effect<Call | undefined>
  }
>() {}

/** Letters and digits that are not taken for each other. */
const ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"

/** 31 ** 6 words: two servers of a fleet do not draw the same one. */
const DRAWN = 6

/**
 * No call is under way at first.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make: Effect.Effect<Context.Tag.Service<RunningCalls>> = Effect.gen(function* () {
  const drawn = yield* Effect.replicateEffect(Random.nextIntBetween(0, ALPHABET.length), DRAWN)
  const processId = drawn.map((index) => ALPHABET.charAt(index)).join("")
  // Changed in single synchronous steps: calls begin and end in callbacks of the SDKs, outside of any fiber.
  const calls = new Map<Call, string>()
  let last = 0
  return RunningCalls.of({
    processId,
    add: (call) => void calls.set(call, `${processId}-${++last}`),
    remove: (call) => void calls.delete(call),
    all: Effect.sync(() => [...calls].map(([call, id]) => [id, call] as const)),
    cancel: (wanted) =>
      Effect.suspend(() => {
        const [call] = [...calls].find(([, id]) => id === wanted) ?? []
        return call === undefined ? Effect.succeed(undefined) : Effect.as(call.cancel, call)
      })
  })
})

/**
 * No call is under way at first.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<RunningCalls> = Layer.effect(RunningCalls, make)
