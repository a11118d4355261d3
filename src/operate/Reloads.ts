/**
 * The settings of a running server, as those who look at it and operate it know them: how old they are, what is wrong
 * with what was read since, and how to have them read again. `server/Reload` is behind it.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"

/**
 * @since 0.1.0
 * @category models
 */
export interface Status {
  /** Counts the settings that came into force; 1 at the start. */
  readonly generation: number
  /** When those in force were read for the last time, milliseconds since 1970. */
  readonly loadedAt: number
  readonly path?: string | undefined
  /** What is wrong with those that were read last, and did not come into force. */
  readonly faults: ReadonlyArray<{ readonly key: string; readonly text: string }>
  readonly faultsAt?: number | undefined
  /** Settings that have changed since the start, and are only read there. */
  readonly needRestart: ReadonlyArray<string>
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Outcome {
  readonly changed: boolean
  /** In words. */
  readonly result: string
  /** Nothing has changed because of them. */
  readonly faults: ReadonlyArray<string>
}

/**
 * @since 0.1.0
 * @category context
 */
export class Reloads extends Context.Reference<Reloads>()("snowguard/Reloads", {
  defaultValue: (): {
    readonly reload: Effect.Effect<Outcome>
    /** Undefined where settings are read at the start alone. */
    readonly status: Effect.Effect<Status | undefined>
  } => ({
    reload: Effect.succeed({
      changed: false,
      result: "this server reads its settings at the start alone",
      faults: []
    }),
    status: Effect.succeed(undefined)
  })
}) {}
