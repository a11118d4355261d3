/**
 * What the translation of one statement may cost. It runs beside the calls of all clients, and a text can be made so that
 * it is read, or written out, very often: functions whose arguments stand several times in what they become, windows that
 * are defined by each other, long chains of operators.
 *
 * Counted are characters that are put together and tokens that are looked at again, and not time: the same text has to
 * become the same statement wherever it is translated.
 *
 * @since 0.1.0
 */
import { refuse } from "./refusal.js"
import type { Source } from "./source.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Work {
  /** So many tokens or characters were looked at. */
  readonly look: (count: number) => void
  /** A part of so many characters was written. */
  readonly write: (characters: number) => void
  /** One part within another. */
  readonly within: <A>(part: () => A) => A
}

/** A statement, and what its translation may cost still. */
export interface Metered extends Source {
  readonly work: Work
}

const tooMuch = (): never =>
  refuse(
    "The statement is too much for the embedded warehouse: nest fewer functions, windows and operators in each other, or make shorter chains of them"
  )

/** A statement of the largest size that is not made for it costs a tenth. */
const MAX_LOOKED = 32_000_000

/** Longer than what the gate lets through of a translation. */
const MAX_WRITTEN = 1_000_000

/** Parts within each other: more than brackets that are nested as deep as they may be, two for each. */
const MAX_DEPTH = 450

/**
 * Refuses the statement where it is too much.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (): Work => {
  let looked = 0
  let depth = 0
  const look = (count: number): void => {
    looked += count
    if (looked > MAX_LOOKED) tooMuch()
  }
  return {
    look,
    write: (characters) => {
      if (characters > MAX_WRITTEN) tooMuch()
      look(characters)
    },
    within: (part) => {
      if (++depth > MAX_DEPTH) tooMuch()
      const result = part()
      depth--
      return result
    }
  }
}
