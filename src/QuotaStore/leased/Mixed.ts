/**
 * Calls whose charges are of both kinds: some on leases, the others asked of the shared store each time. Such
 * a reservation is two, and its id is both of theirs.
 *
 * @since 0.1.0
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { Actual, Charge, Decision, QuotaStore, QuotaStoreError } from "../../QuotaStore.js"

type Refused = Extract<Decision, { readonly _tag: "Refused" }>

/**
 * How a reservation ends, or goes on.
 *
 * @since 0.1.0
 * @category models
 */
export type Operation = "submitted" | "settle" | "release"

/**
 * What is done on leases.
 *
 * @since 0.1.0
 * @category models
 */
export interface OnLeases {
  /** Whether the quotas of a key are leased. */
  readonly leases: (key: string) => boolean
  /** Without a time to live nothing is reserved. */
  readonly decide: (
    charges: ReadonlyArray<Charge>,
    ttlMs: number | undefined
  ) => Effect.Effect<Decision, QuotaStoreError>
  /** Whether leases gave this id to a reservation. */
  readonly isOwn: (id: string) => boolean
  /** Of a reservation that leases gave. */
  readonly finish: (operation: Operation, id: string, actual: ReadonlyArray<Actual>) => Effect.Effect<void>
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Mixed {
  readonly decide: OnLeases["decide"]
  readonly finish: (
    operation: Operation,
    id: string,
    actual: ReadonlyArray<Actual>
  ) => Effect.Effect<void, QuotaStoreError>
}

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (shared: Context.Tag.Service<QuotaStore>, leased: OnLeases): Mixed => {
  const { isOwn, leases } = leased

  const finishOne = (
    operation: Operation,
    id: string,
    actual: ReadonlyArray<Actual>
  ): Effect.Effect<void, QuotaStoreError> =>
    isOwn(id)
      ? leased.finish(operation, id, actual)
      : operation === "settle"
        ? shared.settle(id, actual)
        : shared[operation](id)

  const finish: Mixed["finish"] = (operation, id, actual) => {
    const [first = "", second] = isOwn(id) || id.includes(" ") ? id.split(" ") : [id]
    return second === undefined
      ? finishOne(operation, first, actual)
      : Effect.zipRight(
          finishOne(
            operation,
            first,
            actual.filter(({ key }) => leases(key))
          ),
          finishOne(
            operation,
            second,
            actual.filter(({ key }) => !leases(key))
          )
        )
  }

  /** First those on leases, since that can be undone without a trip. */
  const decide: Mixed["decide"] = (charges, ttlMs) => {
    const own = charges.filter(({ key }) => leases(key))
    const others = charges.filter(({ key }) => !leases(key))
    const ask = (direct: ReadonlyArray<Charge>) =>
      ttlMs === undefined ? shared.check(direct) : shared.reserve(direct, ttlMs)
    if (own.length === 0) return ask(others)
    if (others.length === 0) return leased.decide(own, ttlMs)
    return Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(restore(leased.decide(own, ttlMs)), (first) => {
        if (first._tag === "Refused") {
          // Which of all that are in the way takes longest to clear?
          const index = (refused: Refused) =>
            charges.findIndex(({ key, quota }) => key === refused.key && quota === refused.quota)
          return Effect.map(restore(shared.check(others)), (second) =>
            second._tag === "Refused" &&
            (second.resetAt > first.resetAt ||
              (second.resetAt === first.resetAt && index(second) < index(first)))
              ? second
              : first
          )
        }
        const undo =
          ttlMs === undefined ? Effect.void : Effect.ignore(finishOne("release", first.reservation, []))
        return Effect.flatMap(
          Effect.onError(restore(ask(others)), () => undo),
          (second) => {
            if (second._tag === "Refused") return Effect.as(undo, second)
            const usage = charges.flatMap(
              ({ key, quota }) =>
                [...first.usage, ...second.usage].find((seen) => seen.key === key && seen.quota === quota) ??
                []
            )
            const reservation = ttlMs === undefined ? "" : `${first.reservation} ${second.reservation}`
            return Effect.succeed<Decision>({ _tag: "Granted", reservation, usage })
          }
        )
      })
    )
  }

  return { decide, finish }
}
