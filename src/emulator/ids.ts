/**
 * Ids and tokens, from the Random service: the same seed gives the same ones.
 */
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"

/**
 * As many hexadecimal digits.
 */
export const hex = (digits: number): Effect.Effect<string> =>
  Effect.map(
    Effect.replicateEffect(Random.nextIntBetween(0, 0x1_0000_0000), Math.ceil(digits / 8)),
    (parts) =>
      parts
        .map((part) => part.toString(16).padStart(8, "0"))
        .join("")
        .slice(0, digits)
  )

/**
 * In the shape of a UUID, which clients check.
 */
export const queryId: Effect.Effect<string> = Effect.map(hex(30), (digits) =>
  `01${digits}`.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5")
)
