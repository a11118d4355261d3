/**
 * Options that may be replaced while a service lives. A service reads them inside of each of its steps and keeps them
 * across none: what it decides, it decides under one generation of them.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as MutableRef from "effect/MutableRef"
import type * as Scope from "effect/Scope"

/**
 * Runs an effect after each replacement, while the scope is open.
 *
 * @since 0.1.0
 * @category models
 */
export type OnChange = (listener: Effect.Effect<void>) => Effect.Effect<void, never, Scope.Scope>

/**
 * A value that may be replaced while its users live: they read it anew for each decision.
 *
 * @since 0.1.0
 * @category models
 */
export class Live<out A> {
  /** The same object until it is replaced. */
  readonly current: () => A
  /** Undefined where there are no replacements. */
  readonly onChange: OnChange | undefined
  constructor(current: () => A, onChange?: OnChange) {
    this.current = current
    this.onChange = onChange
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
 * A value and how it is replaced; listeners run before `set` returns.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <A>(
  initial: A
): { readonly live: Live<A>; readonly set: (value: A) => Effect.Effect<void> } => {
  const ref = MutableRef.make(initial)
  const listeners = new Set<Effect.Effect<void>>()
  const onChange: OnChange = (listener) =>
    Effect.asVoid(
      Effect.acquireRelease(
        Effect.sync(() => listeners.add(listener)),
        () => Effect.sync(() => listeners.delete(listener))
      )
    )
  return {
    live: new Live(() => MutableRef.get(ref), onChange),
    set: (value) =>
      Effect.suspend(() => {
        MutableRef.set(ref, value)
        return Effect.forEach([...listeners], (listener) => listener, { discard: true })
      })
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
  }, self.onChange)
}
