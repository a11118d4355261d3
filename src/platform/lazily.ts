import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Ref from "effect/Ref"
import * as Scope from "effect/Scope"

/**
 * A scoped resource that is acquired when it is first asked for, once, and released with the scope of
 * the caller.
 *
 * It is acquired in a fiber of that scope: a caller that is interrupted meanwhile does not take the
 * resource from the others (`Effect.cached` would hand the interruption to all later callers). A failure is
 * forgotten, so that the next caller tries again.
 */
export const lazily = <A, E, R>(
  acquire: Effect.Effect<A, E, R>
): Effect.Effect<Effect.Effect<A, E>, never, Exclude<R, Scope.Scope> | Scope.Scope> =>
  Effect.gen(function* () {
    // Others wait for it too, so it does not run on the scheduler of the first caller.
    const scheduler = yield* FiberRef.get(FiberRef.currentScheduler)
    const context = yield* Effect.context<Exclude<R, Scope.Scope>>()
    const resources = yield* Effect.acquireRelease(Scope.make(), Scope.close)
    // Added later, so closed earlier: an acquisition has ended before what it acquired is released.
    const acquisitions = yield* Effect.acquireRelease(Scope.make(), Scope.close)
    const state = yield* Ref.make<Deferred.Deferred<A, E> | undefined>(undefined)
    /** Once it has been acquired: nothing needs to be waited for any more. */
    const ready = yield* Ref.make(Option.none<A>())

    const start = (deferred: Deferred.Deferred<A, E>) =>
      acquire.pipe(
        Scope.extend(resources),
        Effect.provide(context),
        // Begun where its caller cannot be interrupted: the fibers that it forks would inherit that, and with them its
        // own would hold up the end of the scope.
        Effect.interruptible,
        Effect.tap((value) => Ref.set(ready, Option.some(value))),
        Effect.tapErrorCause(() =>
          Ref.update(state, (current) => (current === deferred ? undefined : current))
        ),
        Effect.intoDeferred(deferred),
        Effect.forkIn(acquisitions),
        Effect.withScheduler(scheduler)
      )

    const awaited = Effect.flatMap(Deferred.make<A, E>(), (fresh) =>
      Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(
          Ref.modify(state, (current) => (current === undefined ? [fresh, fresh] : [current, current])),
          (current) =>
            current === fresh
              ? Effect.zipRight(start(fresh), restore(Deferred.await(fresh)))
              : restore(Deferred.await(current))
        )
      )
    )
    return Effect.flatMap(Ref.get(ready), (value) =>
      Option.isSome(value) ? Effect.succeed(value.value) : awaited
    )
  })

/** The service of a layer that is built when it is first asked for, once, in the caller's scope. */
export const lazyService = <I, S, E>(
  tag: Context.Tag<I, S>,
  load: Effect.Effect<Layer.Layer<I, E>, E>
): Effect.Effect<Effect.Effect<S, E>, never, Scope.Scope> =>
  lazily(Effect.map(Effect.flatMap(load, Layer.build), (context) => Context.get(context, tag)))
