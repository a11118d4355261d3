/**
 * Options that may be replaced while a service lives. A service reads them inside of each of its steps and keeps them
 * across none: what it decides, it decides under one generation of them.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as MutableRef from "effect/MutableRef"

/**
 * @since 0.1.0
 * @category models
 */
export class Live<out A> {
  /** The same object until it is replaced. */
  readonly current: () => A
  constructor(current: () => A) {
    this.current = current
  }
}

/**
 * What is given as it is never changes.
 *
 * @since 0.1.0
 * @category constructors
 */
export const from = <A extends object>(given: A | Live<A>): Live<A> =>
  given instanceof Live ? given : new Live(() => given)

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = <A>(
  initial: A
): { readonly live: Live<A>; readonly set: (value: A) => Effect.Effect<void> } => {
  const ref = MutableRef.make(initial)
  return {
    live: new Live(() => MutableRef.get(ref)),
    set: (value) => Effect.sync(() => void MutableRef.set(ref, value))
  }
}

/**
 * Computed once for each value.
 *
 * @since 0.1.0
 * @category combinators
 */
export const map = <A, B>(self: Live<A>, f: (value: A) => B): Live<B> => {
  const first = self.current()
  const ref = MutableRef.make({ of: first, value: f(first) })
  return new Live(() => {
    const of = self.current()
    const known = MutableRef.get(ref)
    if (known.of === of) return known.value
    const value = f(of)
    MutableRef.set(ref, { of, value })
    return value
  })
}
