import type * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"

/**
 * Changes the context of the current fiber until it ends. For the first fiber of a call: `Effect.provide` puts the former
 * context back, which costs as much as several guards, and nothing runs in the fiber afterwards.
 */
export const extendContext = <R>(
  f: (context: Context.Context<never>) => Context.Context<R>
): Effect.Effect<void> => FiberRef.update(FiberRef.currentContext, f)
