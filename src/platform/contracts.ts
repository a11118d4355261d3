/** What the contracts of the ports have in common: a case is data, and any test runner can run it. */
import type * as Effect from "effect/Effect"
import { deepStrictEqual } from "node:assert"

/**
 * One thing that an implementation must do. `run` builds what it needs, succeeds if the contract is kept, and dies with
 * an `AssertionError` that holds both values if it is not.
 *
 * @since 0.1.0
 * @category models
 */
export interface Case<E, R = never> {
  /** A sentence about the implementation. */
  readonly name: string
  readonly run: Effect.Effect<void, E, R>
}

/** The named fields, and no other, are what they should be. */
export const matches = <T extends object>(actual: T | undefined, expected: Partial<T>): void => {
  const named = Object.keys(expected)
  const given = Object.fromEntries(Object.entries(actual ?? {}).filter(([name]) => named.includes(name)))
  deepStrictEqual(given, expected)
}
