/**
 * In front of any `QuotaStore`: takes parts of the shared limits in advance (`core/Lease.ts`), so that most
 * calls make no round trip. Nothing is ever admitted over a limit; a refusal is always the shared store's
 * own. What is leased here cannot be used elsewhere until the window ends or this scope closes; as the
 * limit comes near, leases shrink to single calls.
 *
 * ```
 *   reserve --> enough leased? --yes--> booked here
 *                  | no
 *                  +--> one fiber leases more for all who wait --> once again
 * ```
 *
 * A process that dies takes its leases with it: they count as spent until the window ends. The clocks of
 * servers and store may differ by `skewMs`: so close to the end of a window nothing is leased.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import * as Lease from "../core/Lease.js"
import * as QuotaWindow from "../core/QuotaWindow.js"
import type { Charge, Decision, QuotaName, QuotaStoreError } from "../QuotaStore.js"
import { QuotaStore } from "../QuotaStore.js"
import * as Mixed from "./leased/Mixed.js"
import * as Reports from "./leased/Reports.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Servers that share the limits, this one included. Default 4. */
  readonly workers?: number | Effect.Effect<number> | undefined
  /** Calls that one lease serves at most. Default 1024. */
  readonly calls?: number | undefined
  /** Milliseconds that one lease lasts. Default 25. */
  readonly lastsMs?: number | undefined
  /** Milliseconds that the clocks of servers and store may differ by. Default 1000. */
  readonly skewMs?: number | undefined
  /** Those of the store. Default `fixed`. */
  readonly windows?: QuotaWindow.Mode | undefined
  /** The keys whose quotas are leased; the others are always asked for. Default all. */
  readonly leases?: ((key: string) => boolean) | undefined
}

type Want = Lease.Want<QuotaName>
type Refused = Extract<Decision, { readonly _tag: "Refused" }>

/** One lease needs more than one answer only when others use it up in between. */
const ROUNDS = 64
const DAY_MS = 86_400_000

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  options: Options = {}
): Effect.Effect<Context.Tag.Service<QuotaStore>, never, QuotaStore | Scope.Scope> =>
  Effect.gen(function* () {
    const { calls = 1024, lastsMs = 25, leases = () => true, skewMs = 1000, windows = "fixed" } = options
    const { workers = 4 } = options
    const shared = yield* QuotaStore
    const unique = `l${(yield* Random.nextIntBetween(0, 2 ** 31)).toString(36)}-`
    const state = Lease.make<QuotaName>(unique, windows)
    const scope = yield* Effect.scope
    const now = Clock.currentTimeMillis
    const reports = yield* Reports.make({ shared, state, unique })

    /** One step on the leases, and what follows from it for the shared store. */
    const step = <A>(f: (now: number) => A): Effect.Effect<A> =>
      Effect.uninterruptible(
        Effect.flatMap(now, (at) => {
          const result = f(at)
          return state.closings.length === 0 ? Effect.succeed(result) : Effect.as(reports.send, result)
        })
      )

    const sizes: Effect.Effect<Lease.Sizes> = Effect.map(
      typeof workers === "number" ? Effect.succeed(workers) : workers,
      (known) => ({ calls, lastsMs, workers: known })
    )

    /** A lease lasts as long as its window: held until then, it is spent when nobody returns it. */
    const ask = (charges: ReadonlyArray<Charge>) => shared.reserve(charges, 2 * DAY_MS)

    const take = (granted: Extract<Decision, { readonly _tag: "Granted" }>, amounts: ReadonlyArray<number>) =>
      Effect.flatMap(
        step((at) => Lease.leased(state, at, granted.reservation, granted.usage, amounts)),
        (aligned) =>
          aligned
            ? Effect.succeed("leased" as const)
            : Effect.as(shared.release(granted.reservation), "elsewhere" as const)
      )

    /** Leases more, as much as is useful or what is needed; a refusal is of what is needed. */
    const refill = (wants: ReadonlyArray<Want>) =>
      Effect.gen(function* () {
        const needed = wants.map(({ charge }) => charge)
        const useful = wants.map(({ charge, chunk }) => ({ ...charge, amount: chunk }))
        if (wants.some(({ charge, chunk }) => chunk > charge.amount)) {
          const decision = yield* ask(useful.map((charge) => ({ ...charge, postPaid: false })))
          if (decision._tag === "Granted")
            return yield* take(
              decision,
              useful.map(({ amount }) => amount)
            )
        }
        const decision = yield* ask(needed)
        if (decision._tag === "Refused") return decision
        return yield* take(
          decision,
          needed.map(({ amount }) => amount)
        )
      })

    type Refilled = Effect.Effect.Success<ReturnType<typeof refill>>
    /** Who is leasing more of what. */
    const refilling = new Map<string, Deferred.Deferred<Refilled, QuotaStoreError>>()
    const nameOf = ({ charge }: Want): string => `${charge.key} ${charge.quota}`

    /** Whoever comes while more is being leased waits for that, and for nothing else. */
    const more = (wants: ReadonlyArray<Want>): Effect.Effect<Refilled | "again", QuotaStoreError> =>
      Effect.flatMap(
        Deferred.make<Refilled, QuotaStoreError>(),
        (deferred): Effect.Effect<Refilled | "again", QuotaStoreError> => {
          for (const want of wants) {
            const other = refilling.get(nameOf(want))
            if (other !== undefined) return Effect.as(Effect.exit(Deferred.await(other)), "again" as const)
          }
          for (const want of wants) refilling.set(nameOf(want), deferred)
          // In a fiber of its own: a lease is not lost with the caller who needed it.
          return Effect.zipRight(
            Effect.forkIn(
              Effect.onExit(Effect.uninterruptible(refill(wants)), (exit) => {
                for (const want of wants) refilling.delete(nameOf(want))
                return Deferred.done(deferred, exit)
              }),
              scope
            ),
            Deferred.await(deferred)
          )
        }
      )

    const nearTheEnd = (charges: ReadonlyArray<Charge>, at: number): boolean =>
      skewMs > 0 &&
      charges.some(({ quota }) => {
        const { sliceMs } = QuotaWindow.windowOf(quota, windows)
        const into = at % sliceMs
        return into < skewMs || sliceMs - into <= skewMs
      })

    const decide = (
      charges: ReadonlyArray<Charge>,
      ttlMs: number | undefined
    ): Effect.Effect<Decision, QuotaStoreError> =>
      Effect.gen(function* () {
        const direct = ttlMs === undefined ? shared.check(charges) : shared.reserve(charges, ttlMs)
        if (nearTheEnd(charges, yield* now)) return yield* direct
        const size = yield* sizes
        for (let round = 0; round < ROUNDS; round++) {
          const decided = yield* step((at) => Lease.attempt(state, at, charges, ttlMs, size))
          if (decided._tag === "Granted") return decided
          if (ttlMs === undefined) {
            const wants = decided.wants.map(({ charge }) => charge)
            const asked = yield* shared.check(wants)
            return yield* step((at) =>
              asked._tag === "Refused"
                ? refusedHere(asked, charges, at)
                : Lease.foreseen(state, at, charges, asked.usage, wants)
            )
          }
          const refilled = yield* more(decided.wants)
          if (refilled === "elsewhere") break
          if (typeof refilled !== "string") return yield* step((at) => refusedHere(refilled, charges, at))
        }
        return yield* direct
      })

    const refusedHere = (refused: Refused, charges: ReadonlyArray<Charge>, at: number): Decision => ({
      ...Lease.corrected(state, at, refused),
      limit:
        charges.find(({ key, quota }) => key === refused.key && quota === refused.quota)?.limit ??
        refused.limit
    })

    const mixed = Mixed.make(shared, {
      leases,
      decide,
      isOwn: (id) => Lease.isOwn(state, id),
      finish: (operation, id, actual) =>
        step((at) =>
          operation === "settle" ? Lease.settle(state, at, id, actual) : Lease[operation](state, at, id)
        )
    })

    yield* Effect.addFinalizer(() =>
      Effect.gen(function* () {
        Lease.close(state, yield* now)
        yield* reports.flush
        // Nothing is interruptible in a finalizer, and a time-out has to interrupt.
      }).pipe(Effect.disconnect, Effect.interruptible, Effect.timeoutOption("2 seconds"))
    )

    return QuotaStore.of({
      reserve: mixed.decide,
      check: (charges) => mixed.decide(charges, undefined),
      submitted: (id) => mixed.finish("submitted", id, []),
      settle: (id, actual) => mixed.finish("settle", id, actual),
      release: (id) => mixed.finish("release", id, []),
      usage: (key) =>
        Effect.flatMap(shared.usage(key), (usage) =>
          step((at) => usage.map((own) => Lease.corrected(state, at, own)))
        ),
      list: (cursor) =>
        Effect.flatMap(shared.list(cursor), ({ next, usage }) =>
          step((at) => ({ usage: usage.map((own) => Lease.corrected(state, at, own)), next }))
        ),
      reset: (key, quota) =>
        Effect.zipRight(
          shared.reset(key, quota),
          step((at) => Lease.reset(state, at, key, quota))
        )
    })
  })

/**
 * Leases from the store that is there.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options = {}): Layer.Layer<QuotaStore, never, QuotaStore> =>
  Layer.scoped(QuotaStore, make(options))
