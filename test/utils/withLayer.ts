import { afterAll, beforeAll, describe, it } from "@effect/vitest"
import type { Layer, Scope } from "effect"
import { Effect, ManagedRuntime } from "effect"

interface WithLayer<R> {
  readonly effect: <A, E>(
    name: string,
    test: () => Effect.Effect<A, E, R | Scope.Scope>,
    timeoutMs?: number
  ) => void
}

/**
 * Tests on the real clock that share one layer, built before the first of them and closed after the last.
 *
 * In place of `layer` of `@effect/vitest`, which changes the `it` of every other file in the process.
 */
export const withLayer =
  <R, E>(layer: Layer.Layer<R, E>) =>
  (name: string, tests: (it: WithLayer<R>) => void) => {
    describe(name, () => {
      const runtime = ManagedRuntime.make(layer)
      beforeAll(() => runtime.runtime().then(() => undefined))
      afterAll(() => runtime.dispose())
      tests({
        effect: (title, test, timeoutMs) => {
          it(title, () => runtime.runPromise(Effect.asVoid(Effect.scoped(Effect.suspend(test)))), timeoutMs)
        }
      })
    })
  }
