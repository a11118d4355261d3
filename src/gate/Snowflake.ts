/**
 * The read-only gate for Snowflake, behind the port. The decision is made in `gate/core/ReadOnly.ts`.
 *
 * It decides what a statement is, not what it costs or may see: rows, bytes and time are bounded where it
 * runs, and the role of the connection is what keeps it from writing if this gate is wrong.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as ReadOnly from "./ReadOnly.js"
import type { Limits } from "../sql/Lexer.js"
import type { Namespace } from "../sql/Namespace.js"
import { placeIn } from "../sql/Namespace.js"
import * as Masking from "./core/Masking.js"
import * as Gate from "./core/ReadOnly.js"

/**
 * How long a statement may be, and where names are looked up.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  readonly limits?: Limits | undefined
  /** Where the warehouse looks for names when the call does not say. */
  readonly namespace?: Namespace | undefined
}

/**
 * A gate that needs nothing but the text. A row limit that is not a whole number of 1 or more is a defect.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): ReadOnly.ReadOnly["Type"] => ({
  dialect: "snowflake",
  check: (sql, policy) =>
    Effect.suspend(() => {
      const limit = policy.appendLimit
      if (limit !== undefined && (!Number.isSafeInteger(limit) || limit < 0)) {
        return Effect.dieMessage(`appendLimit is ${limit}`)
      }
      const verdict = Gate.check(
        sql,
        { ...policy, ...placeIn(options.namespace ?? {}, policy) },
        options.limits
      )
      return Either.isRight(verdict)
        ? Effect.succeed(verdict.right)
        : Effect.fail(new ReadOnly.StatementRejected(verdict.left))
    }),
  readsOf: (text, view) =>
    Effect.suspend(() =>
      Effect.mapError(Masking.readsOf(text, view), (rejection) => new ReadOnly.StatementRejected(rejection))
    )
})

/**
 * A gate that needs nothing but the text.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options = {}): Layer.Layer<ReadOnly.ReadOnly> =>
  Layer.succeed(ReadOnly.ReadOnly, make(options))
