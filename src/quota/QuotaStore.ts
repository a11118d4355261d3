/**
 * PORT: remembers what was spent. One atomic `reserve` over any number of quotas, then `settle` with
 * the truth or `release` when nothing was used. Get-then-set is a race; there is no such pair here.
 *
 * The contract every store keeps (`test/QuotaStore.contract.ts`):
 *  - `reserve` is all or nothing over all its charges; a refusal changes nothing;
 *  - used plus reserved never exceeds a limit by an admission;
 *  - `settle` and `release` are idempotent by reservation id, whichever comes first wins;
 *  - what is settled is counted in the window in which it was reserved;
 *  - windows are fixed UTC hours and days, and time does not run backwards for a key; a clock that was set back by
 *    more than a minute may be followed, and what was used by the wrong time then counts in the current windows;
 *  - a reservation nobody finished expires: released if nothing was submitted, charged at its estimate
 *    otherwise. The first `settle` or `release` after that still corrects it;
 *  - a `settle` charges nothing that was not reserved; but that of a reservation nobody knows charges
 *    what it names to the current window, once;
 *  - every operation ends within a bounded time, with `QuotaStoreError` when there is no answer, although it is
 *    run in uninterruptible regions: a time limit of its own must not depend on being interrupted there. What
 *    ends in that error may have been counted;
 *  - an operation that is interrupted all the same was carried out as a whole or not at all. A reservation
 *    that was granted then belongs to nobody and expires;
 *  - of several quotas in the way, a refusal names the one that takes longest to clear, the first of
 *    them if they take equally long.
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
import * as QuotaLedger from "./core/QuotaLedger.js"
import type { Ledger } from "./core/QuotaModel.js"
import { make as makeLedger } from "./core/QuotaModel.js"
import type * as QuotaWindow from "./core/QuotaWindow.js"
import { toldOfClock } from "./setBack.js"

/**
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
  "statement_seconds_per_day"
)
/**
 * @since 0.1.0
 * @category models
 */
export type QuotaName = typeof QuotaName.Type

/**
 * One amount against one quota of one key. `limit` travels with the charge, so that a limit can change
 * at run time without losing what was used.
 *
 * @since 0.1.0
 * @category models
 */
export interface Charge {
  /** Whose quota: `client:NAME` or `global`. */
  readonly key: string
  readonly quota: QuotaName
  /** > 0 */
  readonly limit: number
  /** >= 0; 0 asks only that the quota is not used up. */
  readonly amount: number
  /** A call is admitted while something is left, even if `amount` is more (post-paid, as for bytes). */
  readonly postPaid?: boolean | undefined
  /** For a store decorated by `quota/stores/Outage`: what happens while the store is out of reach. */
  readonly onOutage?: OutagePolicy | undefined
}

/**
 * While the store is out of reach: `closed` refuses; `share` admits out of this process's share of what was
 * left, then refuses. Nothing is ever admitted without a count.
 *
 * @since 0.1.0
 * @category models
 */
export type OutagePolicy = "closed" | "share"

/**
 * @since 0.1.0
 * @category models
 */
export interface Usage {
  readonly key: string
  readonly quota: QuotaName
  /** Settled in the current window. */
  readonly used: number
  /** Held by unfinished calls. */
  readonly reserved: number
  /** Wall clock, milliseconds since 1970: start of the next window. */
  readonly resetAt: number
}

/**
 * @since 0.1.0
 * @category models
 */
export type Decision =
  | {
      readonly _tag: "Granted"
      readonly reservation: string
      readonly usage: ReadonlyArray<Usage & { readonly limit: number }>
    }
  | {
      readonly _tag: "Refused"
      readonly key: string
      readonly quota: QuotaName
      readonly limit: number
      readonly used: number
      readonly reserved: number
      readonly resetAt: number
    }

/**
 * @since 0.1.0
 * @category models
 */
export interface Actual {
  readonly key: string
  readonly quota: QuotaName
  readonly amount: number
}

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
    /** Milliseconds after which a try makes sense, where known. */
    retryAfterMs: Schema.optional(Schema.Number),
    /** Waiting does not mend it: an operator has to. */
    lasting: Schema.optional(Schema.Boolean),
    cause: Schema.optional(Schema.Defect)
  }
) {
  override get message(): string {
    return `quota store ${this.operation}: ${this.description}`
  }
}

/**
 * @since 0.1.0
 * @category context
 */
export class QuotaStore extends Context.Tag("snowguard/QuotaStore")<
  QuotaStore,
  {
    /**
     * All charges or none, in one step. `ttlMs`: how long the holder may take before the reservation counts
     * as abandoned. Run it in an uninterruptible region, or a grant may be nobody's until then.
     */
    readonly reserve: (
      charges: ReadonlyArray<Charge>,
      ttlMs: number
    ) => Effect.Effect<Decision, QuotaStoreError>
    /** From here on an abandoned reservation is charged, not released. */
    readonly submitted: (reservation: string) => Effect.Effect<void, QuotaStoreError>
    /** Replace the estimates named here by the truth; charges not named keep their estimate. */
    readonly settle: (
      reservation: string,
      actual: ReadonlyArray<Actual>
    ) => Effect.Effect<void, QuotaStoreError>
    /** Nothing was used. */
    readonly release: (reservation: string) => Effect.Effect<void, QuotaStoreError>
    /** Would `reserve` grant this now? Consumes nothing. */
    readonly check: (charges: ReadonlyArray<Charge>) => Effect.Effect<Decision, QuotaStoreError>
    /** All quotas of a key of which something is used or held now. */
    readonly usage: (key: string) => Effect.Effect<ReadonlyArray<Usage>, QuotaStoreError>
    /** Pages over every key, in order; `next` is absent on the last page. */
    readonly list: (
      cursor?: string
    ) => Effect.Effect<
      { readonly usage: ReadonlyArray<Usage>; readonly next?: string | undefined },
      QuotaStoreError
    >
    /** Forget what was used, of one quota or of all. */
    readonly reset: (key: string, quota?: QuotaName) => Effect.Effect<void, QuotaStoreError>
  }
>() {}

/**
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
 * Where quotas are counted at the moment: in the store (`normal`), locally since the store is out of reach
 * (`outage`), or in this process's memory because the
 * store could not be opened (`memory`).
 *
 * @since 0.1.0
 * @category models
 */
export interface Health {
  readonly mode: StoreMode
  /** Wall clock, milliseconds since 1970; absent while it has never been otherwise. */
  readonly since?: number | undefined
  readonly reason?: string | undefined
  /** Calls are refused because of it: nobody has a share of what was left, or it is used up. */
  readonly refusing?: boolean | undefined
  /** It is not expected to come back before an operator has mended it. */
  readonly lasting?: boolean | undefined
}

/**
 * How the store is; `normal` where nobody watches it.
 *
 * @since 0.1.0
 * @category context
 */
export class StoreHealth extends Context.Reference<StoreHealth>()("snowguard/QuotaStore/StoreHealth", {
  defaultValue: (): { readonly status: Effect.Effect<Health> } => ({
    status: Effect.succeed({ mode: "normal" })
  })
}) {}

const PAGE_KEYS = 100

/** Keys that are kept ready to be charged; what is known of others is folded to a tenth of the size. */
const BUSY_KEYS = 1_024

/**
 * A store in this process's memory, on the wall clock. `windows: "rolling"` never lets more than a limit
 * pass in ANY hour or day, at the price of a reset that has no round time.
 *
 * The ledger stands in a `Ref` and every operation is one `Ref.modify` of it. Keys whose windows are over are
 * forgotten a few per reservation.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeMemory = (options?: {
  readonly windows?: QuotaWindow.Mode | undefined
}): Effect.Effect<Context.Tag.Service<QuotaStore>> =>
  Effect.gen(function* () {
    // Ids of an earlier process must not be taken for our own.
    const prefix = `${(yield* Random.nextIntBetween(0, 2 ** 31)).toString(36)}-`
    const ref = yield* Ref.make(makeLedger<QuotaName>(prefix, options?.windows ?? "fixed", BUSY_KEYS))
    /** The ledger is updated in place, each operation in one `Ref.modify`. */
    const step = <A>(f: (ledger: Ledger<QuotaName>, now: number) => A): Effect.Effect<A> =>
      Effect.flatMap(Clock.currentTimeMillis, (now) =>
        Effect.flatten(
          Ref.modify(ref, (ledger) => {
            const answer = f(ledger, now)
            const byMs = ledger.setBackMs
            ledger.setBackMs = 0
            return [byMs === 0 ? Effect.succeed(answer) : Effect.as(toldOfClock(byMs), answer), ledger]
          })
        )
      )
    return QuotaStore.of({
      reserve: (charges, ttlMs) => step((ledger, now) => QuotaLedger.reserve(ledger, now, charges, ttlMs)),
      submitted: (id) => step((ledger, now) => QuotaLedger.submitted(ledger, now, id)),
      settle: (id, actual) => step((ledger, now) => QuotaLedger.settle(ledger, now, id, actual)),
      release: (id) => step((ledger, now) => QuotaLedger.release(ledger, now, id)),
      check: (charges) => step((ledger, now) => QuotaLedger.check(ledger, now, charges)),
      usage: (key) => step((ledger, now) => QuotaLedger.usage(ledger, now, key)),
      list: (cursor) => step((ledger, now) => QuotaLedger.list(ledger, now, cursor, PAGE_KEYS)),
      reset: (key, quota) => step((ledger, now) => QuotaLedger.reset(ledger, now, key, quota))
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
