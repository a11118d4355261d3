/**
 * DECORATOR of any `QuotaStore`: what happens while it is out of reach.
 *
 * ```
 *            a call fails                      a probe succeeds
 *   normal ---------------> outage ----------------------------> recovering
 *      ^                      ^   admit from the share, or refuse     |  tell it what was admitted,
 *      |                      |_______________________________________|  settled and released meanwhile
 *      |________________________________________________________________ everything told
 * ```
 *
 * Invariants:
 *  - nothing is admitted without a count: a tier is refused (`closed`), or has this process's share of what
 *    was left when the store was last heard of (`share`), and is refused after that;
 *  - a reservation that was asked for and not answered counts as spent, and is never asked for again;
 *  - what is told to the store carries an id and is told until it is acknowledged: it counts once;
 *  - what was admitted locally is charged as a whole when the store is back, what unfinished calls hold
 *    included; less used than held is not given back, more is charged when it is known;
 *  - a store that comes back with less than it had said before (flushed, or restored from an old copy) is
 *    charged again with what this process had used, up to what is missing. Who resets a quota while a
 *    replica is cut off may have to do it again;
 *  - memory is bounded: beyond the bounds calls are refused, not forgotten.
 * Replicas that still reach the store do not know of those that do not: until
 * these are back, the limit can be passed by their shares.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import * as QuotaShare from "../core/QuotaShare.js"
import * as ShareModel from "../core/QuotaShareModel.js"
import type * as QuotaWindow from "../core/QuotaWindow.js"
import type { Charge, Decision, OutagePolicy, QuotaName } from "../QuotaStore.js"
import { QuotaStore, QuotaStoreError, StoreHealth } from "../QuotaStore.js"
import * as Local from "./outage/Local.js"
import * as Outbox from "./outage/Outbox.js"
import * as Recovery from "./outage/Recovery.js"
import * as Watch from "./outage/Watch.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** For charges that do not say; `closed` when absent. */
  readonly policy?: OutagePolicy | undefined
  /** Processes that count in the same store now. Asked when the store is lost; 1 when absent. */
  readonly replicas?: Effect.Effect<number> | undefined
  /** As in the store. Default `fixed`. */
  readonly windows?: QuotaWindow.Mode | undefined
  /** An answer that takes longer is lost; `Infinity` where the store bounds its waits. Default 1,000. */
  readonly timeoutMs?: number | undefined
  /** Milliseconds to the first probe of a lost store; then twice as long, up to `maxProbeMs`. 100 and 5,000. */
  readonly probeMs?: number | undefined
  readonly maxProbeMs?: number | undefined
  /** Keys, and unfinished reservations, remembered at most. Default 10,000. */
  readonly capacity?: number | undefined
}

type Store = Context.Tag.Service<QuotaStore>

/**
 * The decorated store, and how it is. Recovers in the background while the scope is open.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  store: Store,
  options: Options = {}
): Effect.Effect<
  { readonly store: Store; readonly health: Context.Tag.Service<StoreHealth> },
  never,
  Scope.Scope
> =>
  Effect.gen(function* () {
    const {
      capacity = 10_000,
      maxProbeMs = 5_000,
      policy = "closed",
      probeMs = 100,
      timeoutMs = 1_000
    } = options
    const random = (yield* Random.nextIntBetween(0, 2 ** 31)).toString(36)
    const share = ShareModel.make<QuotaName>({
      prefix: `share-${random}-`,
      mode: options.windows,
      maxKeys: capacity,
      maxOpen: capacity
    })
    const outbox = Outbox.make(`owed-${random}-`, capacity)
    const bounded = <A>(operation: string, effect: Effect.Effect<A, QuotaStoreError>) =>
      timeoutMs === Number.POSITIVE_INFINITY
        ? effect
        : // The callers are not interruptible, and what is left behind has to be.
          Effect.timeoutFail(Effect.interruptible(Effect.disconnect(effect)), {
            duration: timeoutMs,
            onTimeout: () =>
              new QuotaStoreError({
                operation,
                description: `no answer within ${timeoutMs} ms; it may have been counted`
              })
          })

    const recovery: Recovery.Recovery = yield* Recovery.make({
      store: {
        settle: (id, actual) => bounded("settle", store.settle(id, actual)),
        release: (id) => bounded("release", store.release(id)),
        submitted: (id) => bounded("submitted", store.submitted(id)),
        usage: (key) => bounded("usage", store.usage(key))
      },
      share,
      outbox,
      probe: { firstMs: probeMs, maxMs: maxProbeMs, id: `probe-${random}-` },
      watch: () => watch
    })
    const watch: Watch.Watch = yield* Watch.make({
      probeMs,
      policy,
      replicas: options.replicas ?? Effect.succeed(1),
      lost: (now, replicas) => {
        if (share.local === undefined) QuotaShare.enter(share, now, replicas)
      },
      wake: recovery.wake
    })
    yield* Effect.forkScoped(recovery.run)

    const decideLocally = Local.make(watch, policy, maxProbeMs)

    /** Asks the store; when that fails, or is known to, decides without it. */
    const decide = (
      operation: string,
      charges: ReadonlyArray<Charge>,
      asked: Effect.Effect<Decision, QuotaStoreError>,
      local: (now: number) => QuotaShare.Outcome<QuotaName>
    ): Effect.Effect<Decision, QuotaStoreError> =>
      Effect.suspend(() => {
        if (!watch.isNormal()) return decideLocally(operation, charges, local)
        const since = watch.epoch()
        return Effect.catchAll(bounded(operation, asked), (error) =>
          Effect.flatMap(Clock.currentTimeMillis, (now) => {
            if (operation === "reserve") ShareModel.doubtful(share, now, charges)
            return Effect.flatMap(watch.lose(since, error), () =>
              watch.isNormal() ? Effect.fail(error) : decideLocally(operation, charges, local)
            )
          })
        )
      })

    const granted = (charges: ReadonlyArray<Charge>) => (decision: Decision) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        if (decision._tag === "Granted") {
          ShareModel.granted(share, now, decision.reservation, charges, decision.usage)
        }
        return decision
      })

    /** Tells the store, or keeps it for later: whoever keeps something sees to it that it is told. */
    const tell = (
      effect: Effect.Effect<void, QuotaStoreError>,
      later: Effect.Effect<void, QuotaStoreError>
    ): Effect.Effect<void, QuotaStoreError> =>
      Effect.suspend(() =>
        watch.isNormal()
          ? Effect.catchAll(effect, (error) =>
              Effect.ensuring(
                later,
                Effect.suspend(() => watch.lose(watch.epoch(), error))
              )
            )
          : later
      )

    const tellWord = (word: Outbox.Word, effect: Effect.Effect<void, QuotaStoreError>) =>
      tell(bounded(word._tag, effect), Outbox.keep(outbox, word))

    /** Of a reservation that the share has granted: what it has used beyond what is charged for it. */
    const finishHere = (id: string, actual: Parameters<Store["settle"]>[1] | undefined) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        const more = Outbox.chargesOf(outbox, "truth", QuotaShare.finishLocal(share, now, id, actual))
        return Effect.forEach(
          more,
          (charge) =>
            tell(
              bounded("settle", store.settle(charge.id, charge.actual)),
              Effect.sync(() => Outbox.owe(outbox, [charge]))
            ),
          { discard: true }
        )
      })

    const decorated = QuotaStore.of({
      reserve: (charges, ttlMs) =>
        decide("reserve", charges, Effect.flatMap(store.reserve(charges, ttlMs), granted(charges)), (now) =>
          QuotaShare.reserve(share, now, charges, ttlMs)
        ),
      submitted: (id) =>
        QuotaShare.isLocal(share, id)
          ? Effect.map(Clock.currentTimeMillis, (now) => QuotaShare.submitted(share, now, id))
          : tellWord({ _tag: "submitted", id }, store.submitted(id)),
      settle: (id, actual) =>
        QuotaShare.isLocal(share, id)
          ? finishHere(id, actual)
          : Effect.flatMap(Clock.currentTimeMillis, (now) => {
              const all = ShareModel.finished(share, now, id, actual) ?? actual
              return tellWord({ _tag: "settle", id, actual: all }, store.settle(id, actual))
            }),
      release: (id) =>
        QuotaShare.isLocal(share, id)
          ? finishHere(id, undefined)
          : Effect.flatMap(Clock.currentTimeMillis, (now) => {
              ShareModel.finished(share, now, id, undefined)
              return tellWord({ _tag: "release", id }, store.release(id))
            }),
      check: (charges) =>
        decide("check", charges, store.check(charges), (now) => QuotaShare.check(share, now, charges)),
      usage: (key) =>
        Effect.suspend(() => {
          const known = Effect.flatMap(Clock.currentTimeMillis, (now) => {
            if (QuotaShare.isKnown(share, now, key)) return Effect.succeed(QuotaShare.usage(share, now, key))
            const { lasting, reason = "it does not answer" } = watch.health()
            const description = `the quota store is out of reach, and what is used is not known (${reason})`
            return Effect.fail(new QuotaStoreError({ operation: "usage", description, lasting }))
          })
          if (!watch.isNormal()) return known
          const since = watch.epoch()
          return Effect.catchAll(bounded("usage", store.usage(key)), (error) =>
            Effect.zipRight(watch.lose(since, error), known)
          )
        }),
      list: (cursor) =>
        Effect.suspend(() => {
          const since = watch.epoch()
          return Effect.tapError(bounded("list", store.list(cursor)), (error) => watch.lose(since, error))
        }),
      reset: (key, quota) =>
        Effect.suspend(() => {
          const since = watch.epoch()
          return bounded("reset", store.reset(key, quota)).pipe(
            Effect.tapBoth({
              onFailure: (error) => watch.lose(since, error),
              onSuccess: () => Effect.sync(() => QuotaShare.reset(share, key, quota))
            })
          )
        })
    })

    return { store: decorated, health: { status: Effect.sync(watch.health) } }
  })

/**
 * @since 0.1.0
 * @category layers
 */
export const layer = <E, R>(
  inner: Layer.Layer<QuotaStore, E, R>,
  options: Options = {}
): Layer.Layer<QuotaStore | StoreHealth, E, R> =>
  Layer.scopedContext(
    Effect.gen(function* () {
      const { health, store } = yield* make(yield* QuotaStore, options)
      return Context.make(QuotaStore, store).pipe(Context.add(StoreHealth, health))
    })
  ).pipe(Layer.provide(inner))
