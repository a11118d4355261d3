import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { lazily } from "./lazily.js"

/** The service of a layer that is built when it is first asked for, once, in the caller's scope. */
export const service = <I, S, E>(
  tag: Context.Tag<I, S>,
  load: Effect.Effect<Layer.Layer<I, E>, E>
): Effect.Effect<Effect.Effect<S, E>, never, Scope.Scope> =>
  lazily(Effect.map(Effect.flatMap(load, Layer.build), (context) => Context.get(context, tag)))
