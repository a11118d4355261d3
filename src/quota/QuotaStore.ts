/**
 * PORT: keeps the usage of quotas. One atomic `reserve` over any number of quotas, then `settle` with the actual usage or
 * `release` when nothing was used. There is no get and set, which would be a race.
 *
 * The contract of every store (as cases to run: `snowguard/testing/QuotaStoreContract`):
 *  - `reserve` is all or nothing over all its charges; a refusal changes nothing;
 *  - used plus reserved never exceeds a limit by an admission;
 *  - `settle` and `release` are idempotent by reservation id: the first one counts;
 *  - usage counts in the window in which it was reserved;
 *  - windows are fixed UTC hours and days, and time does not run backwards for a key; a store may follow a clock that
 *    was set back by more than a minute, and usage of later windows then counts in the current ones;
 *  - an unfinished reservation expires: released if nothing was submitted, charged at its estimate otherwise. The first
 *    `settle` or `release` after that still corrects it;
 *  - a `settle` charges nothing that was not reserved; for an unknown reservation it charges the given amounts to the
 *    current window, once;
 *  - every operation ends within a bounded time, with `QuotaStoreError` when there is no answer, also in an
 *    uninterruptible region: its time limit must not depend on interruption. An operation that failed so may have been
 *    carried out;
 *  - an interrupted operation was carried out as a whole or not at all. A reservation that was granted then expires;
 *  - of several quotas that refuse, the refusal names the one that takes longest to clear, the first of them if they
 *    take equally long;
 *  - what an operation other than `submitted` has acknowledged outlives the process, in a store that outlives it.
 *
 * What each operation answers, in which units, and what it does when it is repeated: at the operation. All fail with
 * `QuotaStoreError` alone, and for no other reason than that the store gave no answer: ids and keys that are not known
 * are no errors.
 *
 * ```ts
 * const decision = yield* store.reserve([{ key: "client:a", quota: "requests_per_hour", limit: 100, amount: 1 }], 60_000)
 * if (decision._tag === "Granted") yield* store.settle(decision.reservation, [])
 * ```
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Ref from "effect/Ref"
import * as Schema from "effect/Schema"
import * as Ledger from "./core/Ledger.js"
import type * as Window from "./core/Window.js"

/**
 * What is counted, and in which window: hours and days are those of UTC.
 *
 * @since 0.1.0
 * @category models
 */
export const QuotaName = Schema.Literal(
  "requests_per_hour",
  "requests_per_day",
  "queries_per_hour",
  "queries_per_day",
  "bytes_per_day",
  "scan_bytes_per_day",
  "statement_seconds_per_day",
  "credits_per_hour",
  "credits_per_day"
)
/**
 * @since 0.1.0
 * @category models
 */
export type QuotaName = typeof QuotaName.Type

/**
 * What a quota is counted in parts of. Credits have parts of 2^-20: sums of them are exact, so that what is held and given
 * back leaves nothing behind.
 *
 * @since 0.1.0
 * @category combinators
 */
export const partOf = (quota: string): number => (quota.startsWith("credits_per_") ? 2 ** -20 : 1)

/**
 * An amount for people: credits to a millionth, since a part of them has twenty digits.
 *
 * @internal
 */
export const shownAmount = (quota: string, amount: number): number =>
  partOf(quota) < 1 ? Math.round(amount * 1e6) / 1e6 : amount

/**
 * One amount against one quota of one key. `limit` travels with the charge, so that a limit can change at run time
 * without losing what was used.
 *
 * @since 0.1.0
 * @category models
 */
export interface Charge extends Ledger.Charge<QuotaName> {
  /** For a store decorated by `quota/stores/Outage`: what happens while the store is out of reach. */
  readonly onOutage?: OutagePolicy | undefined
}

/**
 * While the store is out of reach: `closed` refuses; `share` admits out of this process's share of what was left, then
 * refuses. Nothing is ever admitted without a count.
 *
 * @since 0.1.0
 * @category models
 */
export type OutagePolicy = "closed" | "share"

/**
 * What is used and held of one quota of one key in the current window, in the unit of the quota.
 *
 * @since 0.1.0
 * @category models
 */
export type Usage = Ledger.Usage<QuotaName>

/**
 * The answer to a reservation: granted with an id, or refused with the quota that takes longest to clear.
 *
 * @since 0.1.0
 * @category models
 */
export type Decision = Ledger.Decision<QuotaName>

/**
 * What was used in the end of one quota of one key; 0 or more, in the unit of the quota.
 *
 * @since 0.1.0
 * @category models
 */
export type Actual = Ledger.Actual<QuotaName>

/**
 * The key of the totals over all clients.
 *
 * @since 0.1.0
 * @category keys
 */
export const GLOBAL_KEY = "global"

/**
 * The key of a client's quotas.
 *
 * @since 0.1.0
 * @category keys
 */
export const clientKey = (client: string): string => `client:${client}`

/**
 * The client of a key; undefined for {@link GLOBAL_KEY}.
 *
 * @since 0.1.0
 * @category keys
 */
export const clientOf = (key: string): string | undefined =>
  key.startsWith("client:") ? key.slice("client:".length) : undefined

/**
 * The store cannot be reached, or did not answer in time: whether the operation took place is not known.
 *
 * @since 0.1.0
 * @category errors
 */
export class QuotaStoreError extends Schema.TaggedError<QuotaStoreError>("snowguard/QuotaStoreError")(
  "QuotaStoreError",
  {
    operation: Schema.String,
    /** What went wrong and what an operator can do, in a sentence. */
    description: Schema.String,
    /** Milliseconds until a retry makes sense, where known. */
    retryAfterMs: Schema.optional(Schema.Number),
    /** An operator has to correct it; waiting does not help. */
    lasting: Schema.optional(Schema.Boolean),
    cause: Schema.optional(Schema.Defect)
  }
) {
  override get message(): string {
    return `quota store ${this.operation}: ${this.description}`
  }
}

/**
 * Keeps usage, atomically. All operations fail with `QuotaStoreError` and nothing else.
 *
 * @since 0.1.0
 * @category context
 */
export class QuotaStore extends Context.Tag("snowguard/QuotaStore")<
  QuotaStore,
  {
    /**
     * Holds all charges or none, in one step.
     *
     * A charge is admitted if `used + reserved + amount <= limit` in the current window of its quota, the charges before
     * it in the list included. One that is `postPaid`, or whose `amount` is 0, is admitted if `used + reserved < limit`.
     * An `amount` below 0 counts as 0. Amounts are in the unit of the quota: requests, queries, bytes, seconds, credits.
     *
     * `Granted`: a new `reservation` id, which no other process of the store has given or gives, and for each charge, in
     * their order, its quota with this reservation in `reserved`. `Refused`: nothing has changed, and it names the quota
     * that takes longest to clear (the first of them, if they take equally long), with the charges before it in the list.
     * `resetAt`: milliseconds since 1970 at which the charge is admitted without further calls; the start of the next
     * window for fixed windows and for an amount above the limit.
     *
     * `ttlMs`: milliseconds (> 0) until an unfinished reservation expires, also one of a process that has crashed: at
     * `now + ttlMs` it no longer counts in `reserved`. Run it in an uninterruptible region: the grant of an interrupted
     * call counts until it expires.
     */
    readonly reserve: (
      charges: ReadonlyArray<Charge>,
      ttlMs: number
    ) => Effect.Effect<Decision, QuotaStoreError>
    /**
     * The work has been sent: from here on an unfinished reservation is charged at its estimates when it expires, not
     * released. Usage shows no difference before that.
     *
     * Idempotent. After the expiry it charges the estimates, once, to the window of the reservation. For a reservation
     * that was settled or released, and for an id that is not known, it does nothing and succeeds. A store may answer
     * before the note is durable: a process that dies in between leaves a reservation that is released when it expires.
     */
    readonly submitted: (reservation: string) => Effect.Effect<void, QuotaStoreError>
    /**
     * Replaces the estimates by the actual amounts, in the window of the reservation: nothing changes if that is over. A
     * charge that `actual` does not name, or names with an amount that is not 0 or more, keeps its estimate; an amount
     * for a quota that was not reserved is ignored. An actual amount may take `used` over the limit.
     *
     * The first `settle` or `release` of a reservation counts, every later one does nothing and succeeds, also several
     * at the same time. The first one after the expiry corrects what the expiry charged or released. For an id that is
     * not known (the store has lost it, or it is of another store) the amounts are charged to the current window, once
     * for each id.
     */
    readonly settle: (
      reservation: string,
      actual: ReadonlyArray<Actual>
    ) => Effect.Effect<void, QuotaStoreError>
    /**
     * Nothing was used: what is held is given back, and what the expiry has charged as well. Counts as the first one or
     * not at all, as `settle`. For an id that is not known it charges nothing, and a later `settle` of the id does
     * nothing.
     */
    readonly release: (reservation: string) => Effect.Effect<void, QuotaStoreError>
    /**
     * What `reserve` would answer now. Changes nothing: no usage, no reservation to finish. `Granted` has the empty
     * string as its `reservation`, and `reserved` of its usage includes the amounts asked for, as after a `reserve`.
     */
    readonly check: (charges: ReadonlyArray<Charge>) => Effect.Effect<Decision, QuotaStoreError>
    /**
     * The quotas of a key of which something is used or held now, one entry for each. Quotas of which nothing is may be
     * listed with zeros or left out; a key that is not known has none.
     */
    readonly usage: (key: string) => Effect.Effect<ReadonlyArray<Usage>, QuotaStoreError>
    /**
     * Pages over every key of which something is used or held, sorted by their characters: each key once, all its
     * quotas on one page. `cursor`: `next` of the page before; the first page when absent. `next` is absent on the last
     * page. Keys that come or go between two pages may be missed or listed.
     */
    readonly list: (
      cursor?: string
    ) => Effect.Effect<
      { readonly usage: ReadonlyArray<Usage>; readonly next?: string | undefined },
      QuotaStoreError
    >
    /**
     * Sets `used` to zero, of one quota of the key or of all. What is held stays held, and is charged when it is
     * settled; a settlement that corrects an amount from before the reset does not take `used` below zero. For a key that
     * is not known it does nothing.
     */
    readonly reset: (key: string, quota?: QuotaName) => Effect.Effect<void, QuotaStoreError>
  }
>() {}

/**
 * Where quotas are counted: see {@link Health}.
 *
 * @since 0.1.0
 * @category models
 */
export const StoreMode = Schema.Literal("normal", "outage", "memory")
/**
 * @since 0.1.0
 * @category models
 */
export type StoreMode = typeof StoreMode.Type

/**
 * Where quotas are counted now: in the store (`normal`), locally while the store is out of reach (`outage`), or in this
 * process's memory because the store could not be opened (`memory`).
 *
 * @since 0.1.0
 * @category models
 */
export interface Health {
  readonly mode: StoreMode
  /** Start of the mode, wall clock, milliseconds since 1970; absent while it has never changed. */
  readonly since?: number | undefined
  readonly reason?: string | undefined
  /** Calls are refused because of it: there is no share of what was left, or it is used up. */
  readonly refusing?: boolean | undefined
  /** An operator has to correct it; waiting does not help. */
  readonly lasting?: boolean | undefined
}

/**
 * The state of the store; `normal` for a store without a watch.
 *
 * @since 0.1.0
 * @category context
 */
export class StoreHealth extends Context.Reference<StoreHealth>()("snowguard/QuotaStore/StoreHealth", {
  defaultValue: (): {
    readonly status: Effect.Effect<Health>
    /** Milliseconds that an operation takes at most; absent where the store does not say. */
    readonly boundMs?: number | undefined
  } => ({ status: Effect.succeed({ mode: "normal" }) })
}) {}

/**
 * Logs that the clock was set back: it explains why the windows changed.
 *
 * @internal
 */
export const clockSetBack = (byMs: number): Effect.Effect<void> =>
  Effect.logWarning(
    `the clock was set back by ${Math.round(byMs / 1000)} seconds: what was used of quotas in windows that have ` +
      `not begun yet counts in the current ones`
  )

const PAGE_KEYS = 100

/** Accounts that are kept as objects; idle ones are folded to a tenth of the size. */
const BUSY_KEYS = 1_024

/**
 * A store in this process's memory, on the wall clock. `windows: "rolling"` never admits more than a limit in ANY hour
 * or day; its reset has no round time.
 *
 * The ledger is in a `Ref` and every operation is one `Ref.modify`. Keys whose windows have ended are dropped, a few per
 * reservation.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeMemory = (options?: {
  readonly windows?: Window.Mode | undefined
}): Effect.Effect<Context.Tag.Service<QuotaStore>> =>
  Effect.gen(function* () {
    // An id of an earlier process must not match one of this process.
    const prefix = `${(yield* Random.nextIntBetween(0, 2 ** 31)).toString(36)}-`
    const ref = yield* Ref.make(Ledger.make<QuotaName>(prefix, options?.windows ?? "fixed", BUSY_KEYS))
    /** The ledger is updated in place, each operation in one `Ref.modify`. */
    const step = <A>(f: (ledger: Ledger.Ledger<QuotaName>, now: number) => A): Effect.Effect<A> =>
      Effect.flatMap(Clock.currentTimeMillis, (now) =>
        Effect.flatten(
          Ref.modify(ref, (ledger) => {
            const answer = f(ledger, now)
            const byMs = ledger.setBackMs
            ledger.setBackMs = 0
            return [byMs === 0 ? Effect.succeed(answer) : Effect.as(clockSetBack(byMs), answer), ledger]
          })
        )
      )
    return QuotaStore.of({
      reserve: (charges, ttlMs) => step((ledger, now) => Ledger.reserve(ledger, now, charges, ttlMs)),
      submitted: (id) => step((ledger, now) => Ledger.submitted(ledger, now, id)),
      settle: (id, actual) => step((ledger, now) => Ledger.settle(ledger, now, id, actual)),
      release: (id) => step((ledger, now) => Ledger.release(ledger, now, id)),
      check: (charges) => step((ledger, now) => Ledger.check(ledger, now, charges)),
      usage: (key) => step((ledger, now) => Ledger.usage(ledger, now, key)),
      list: (cursor) => step((ledger, now) => Ledger.list(ledger, now, cursor, PAGE_KEYS)),
      reset: (key, quota) => step((ledger, now) => Ledger.reset(ledger, now, key, quota))
    })
  })

/**
 * In this process, with fixed windows: UTC hours and days. Gone with the process.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerMemory: Layer.Layer<QuotaStore> = Layer.effect(QuotaStore, makeMemory())

/**
 * In this process, with rolling windows. Gone with the process.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerMemoryRolling: Layer.Layer<QuotaStore> = Layer.effect(
  QuotaStore,
  makeMemory({ windows: "rolling" })
)
