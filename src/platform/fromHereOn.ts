import type * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"

/**
 * Changes the context for the rest of the fiber. For a fiber that ends with what runs in it: `Effect.mapInputContext`
 * puts the context back in a bracket, which is a dozen of operations.
 */
export const fromHereOn = (
  change: (context: Context.Context<never>) => Context.Context<never>
): Effect.Effect<void> => FiberRef.update(FiberRef.currentContext, change)
