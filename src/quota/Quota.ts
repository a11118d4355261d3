/**
 * How much: budgets of requests, queries and result bytes per hour and day, for each client and for
 * the server as a whole, on any {@link QuotaStore}. Reserved before the work, settled with the truth
 * after it.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import { sliceAt, sliceEnd, windowOf } from "./core/QuotaWindow.js"
import * as QuotaLimits from "./quotaLimits.js"
import { InvalidQuotas, QuotaExceeded } from "./quotaModel.js"
import type { Limits, Options, QuotaStatus, Request, Reservation, ScanRequest, Spent } from "./quotaModel.js"
import { actualOf, Granted, statusOf } from "./quotaReservation.js"
import { withoutStack } from "../platform/withoutStack.js"
import { QuotaStore } from "./QuotaStore.js"
import type { Charge, Decision, QuotaName, QuotaStoreError } from "./QuotaStore.js"

export { InvalidQuotas, QuotaExceeded }
export type { Limits, Options, QuotaStatus, Request, Reservation, ScanRequest, Spent }

/**
 * @since 0.1.0
 * @category context
 */
export class Quota extends Context.Tag("snowguard/Quota")<
  Quota,
  {
    /**
     * Holds one request, one query if it is one, and the estimated bytes, of every quota that the client and
     * the server have: all of them or none. Fails with `QuotaExceeded`, which names the quota that takes
     * longest to clear, and charges nothing then; with `QuotaStoreError` when the store does not answer, and
     * what it may have granted in that case expires. A caller that means to `settle` or `release` runs this in
     * an uninterruptible region, as with any acquisition: if it is interrupted, a grant on its way belongs to
     * nobody, and counts until it expires, `deadlineMs` and a grace of half a minute (`graceMs`) later.
     */
    readonly reserve: (request: Request) => Effect.Effect<Reservation, QuotaExceeded | QuotaStoreError>
    /**
     * Holds the bytes that a statement is expected to scan, beside the reservation of its call and before
     * it runs: all that are admitted stay within `scan_bytes_per_day` together. Settled or released like
     * any other; holds nothing where there is no such quota.
     */
    readonly reserveScan: (
      request: ScanRequest
    ) => Effect.Effect<Reservation, QuotaExceeded | QuotaStoreError>
    /** The work has reached the warehouse: from here on it is paid for. */
    readonly submitted: (reservation: Reservation) => Effect.Effect<void, QuotaStoreError>
    /** What was really used, in place of what was reserved. Once for each; a second time changes nothing. */
    readonly settle: (reservation: Reservation, actual: Spent) => Effect.Effect<void, QuotaStoreError>
    /** Nothing was used. Once for each, instead of `settle`. */
    readonly release: (reservation: Reservation) => Effect.Effect<void, QuotaStoreError>
    /**
     * Reserve, run, settle with what `bytes` says of the result; no bytes when there is none. Released
     * when the effect was interrupted before it began. Once it has begun, an unreachable store does not
     * cost the caller the result: the reservation is then charged at its estimate.
     */
    readonly enforce: <A, E, R>(
      request: Request,
      effect: Effect.Effect<A, E, R>,
      bytes: (result: A) => number
    ) => Effect.Effect<A, E | QuotaExceeded | QuotaStoreError, R>
    /** What is used and left of the client's quotas and of those of all clients; consumes nothing. */
    readonly status: (
      client: string,
      tier: string
    ) => Effect.Effect<ReadonlyArray<QuotaStatus>, QuotaStoreError>
    /**
     * From now on these limits stand over those of the client's tier and configuration; an empty record
     * takes them back. What has been used stays used.
     */
    readonly setLimits: (client: string, limits: Limits) => Effect.Effect<void, InvalidQuotas>
  }
>() {}

const check = (problems: ReadonlyArray<string>): Effect.Effect<void, InvalidQuotas> =>
  problems.length === 0 ? Effect.void : Effect.fail(new InvalidQuotas({ problems }))

const refuse = (
  refused: Extract<Decision, { readonly _tag: "Refused" }>,
  estimate?: number
): Effect.Effect<never, QuotaExceeded> =>
  Effect.flatMap(Clock.currentTimeMillis, (now) =>
    Effect.fail(
      withoutStack(
        () =>
          new QuotaExceeded(
            {
              ...statusOf(refused, QuotaLimits.scopeOf(refused.key), refused.quota, refused.limit),
              retryAfterMs: Math.max(0, refused.resetAt - now),
              ...(estimate === undefined ? {} : { estimate })
            },
            true
          )
      )
    )
  )

/** A quota of which nothing has been used: its fixed window, since it has no other yet. */
const unused = (quota: QuotaName, now: number) => {
  const window = windowOf(quota, "fixed")
  return { used: 0, reserved: 0, resetAt: sliceEnd(window, sliceAt(window, now)) }
}

const nothing: Reservation = {
  id: "",
  status: [],
  low: false,
  bytesLeft: Number.POSITIVE_INFINITY
}

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  options: Options
): Effect.Effect<Context.Tag.Service<Quota>, InvalidQuotas, QuotaStore> =>
  Effect.gen(function* () {
    yield* check(QuotaLimits.validate(options))
    const store = yield* QuotaStore
    /** Limits of single clients that were set while it runs. */
    const overrides = new Map<string, Limits>()
    const graceMs = options.graceMs ?? 30_000

    const table = QuotaLimits.makeTable(options)

    const hold = (
      charges: ReadonlyArray<Charge>,
      request: Request | ScanRequest,
      estimate?: number
    ): Effect.Effect<Reservation, QuotaExceeded | QuotaStoreError> =>
      charges.length === 0
        ? Effect.succeed(nothing)
        : Effect.flatMap(
            store.reserve(charges, request.deadlineMs + graceMs),
            (decision): Effect.Effect<Reservation, QuotaExceeded> =>
              decision._tag === "Granted"
                ? Effect.succeed(new Granted(decision, request))
                : refuse(decision, estimate)
          )

    const reserve = (request: Request) =>
      Effect.suspend(() => hold(table.chargesOf(request, overrides.get(request.client)), request))

    const reserveScan = (request: ScanRequest) =>
      Effect.suspend(() =>
        hold(table.scanChargesOf(request, overrides.get(request.client)), request, request.estimatedBytes)
      )

    const submitted = ({ id }: Reservation): Effect.Effect<void, QuotaStoreError> =>
      id === nothing.id ? Effect.void : store.submitted(id)

    const settle = (reservation: Reservation, actual: Spent): Effect.Effect<void, QuotaStoreError> =>
      reservation.id === nothing.id
        ? Effect.void
        : store.settle(reservation.id, actualOf(reservation, actual))

    const release = ({ id }: Reservation): Effect.Effect<void, QuotaStoreError> =>
      id === nothing.id ? Effect.void : store.release(id)

    return Quota.of({
      reserve,
      reserveScan,
      submitted,
      settle,
      release,
      enforce: (request, effect, bytes) =>
        Effect.uninterruptibleMask((restore) =>
          Effect.flatMap(reserve(request), (reservation) => {
            let begun = false
            const work = Effect.flatMap(submitted(reservation), () => {
              begun = true
              return effect
            })
            return Effect.onExit(restore(work), (exit) =>
              (begun
                ? settle(reservation, { bytes: Exit.isSuccess(exit) ? bytes(exit.value) : 0 })
                : release(reservation)
              ).pipe(Effect.catchAll((error) => Effect.logWarning("a quota could not be settled", error)))
            )
          })
        ),
      status: (client, tier) =>
        Effect.gen(function* () {
          const runtime = overrides.get(client)
          const now = yield* Clock.currentTimeMillis
          const anyOf = (limitOf: (quota: QuotaName) => number | undefined) =>
            QuotaLimits.names.some((quota) => limitOf(quota) !== undefined)
          const statusIn = (key: string, limitOf: (quota: QuotaName) => number | undefined) =>
            Effect.map(anyOf(limitOf) ? store.usage(key) : Effect.succeed([]), (usage) =>
              QuotaLimits.names.flatMap((quota) => {
                const limit = limitOf(quota)
                const found = usage.find((entry) => entry.quota === quota) ?? unused(quota, now)
                return limit === undefined ? [] : [statusOf(found, QuotaLimits.scopeOf(key), quota, limit)]
              })
            )
          return [
            ...(yield* statusIn(QuotaLimits.keyOf(client), (quota) =>
              table.limitOf(quota, client, tier, runtime)
            )),
            ...(yield* statusIn(QuotaLimits.GLOBAL, (quota) => table.global[quota]))
          ]
        }),
      setLimits: (client, limits) =>
        Effect.map(check(QuotaLimits.problemsOf(`client ${client}`, limits)), () => {
          if (Object.keys(limits).length === 0) overrides.delete(client)
          else overrides.set(client, { ...limits })
        })
    })
  })

/**
 * Quotas on the store that is provided. Fails when the options make no sense, with all that is wrong with them.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<Quota, InvalidQuotas, QuotaStore> =>
  Layer.effect(Quota, make(options))

/**
 * No quotas at all.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerNoop: Layer.Layer<Quota> = Layer.succeed(Quota, {
  reserve: () => Effect.succeed(nothing),
  reserveScan: () => Effect.succeed(nothing),
  submitted: () => Effect.void,
  settle: () => Effect.void,
  release: () => Effect.void,
  enforce: (_request, effect) => effect,
  status: () => Effect.succeed([]),
  setLimits: () => Effect.void
})
