/**
 * How much: budgets of requests, queries, bytes, seconds and credits per hour and day, for each client and for the server as a
 * whole, on any {@link QuotaStore}. Reserved before the work, settled with the actual usage after it.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as HashMap from "effect/HashMap"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Ref from "effect/Ref"
import * as Schema from "effect/Schema"
import { sliceAt, sliceEnd, windowOf } from "./core/Window.js"
import { clientKey, GLOBAL_KEY, partOf, QuotaName, QuotaStore, shownAmount } from "./QuotaStore.js"
import type { Actual, Charge, Decision, OutagePolicy, QuotaStoreError } from "./QuotaStore.js"
import * as InvalidOptions from "../platform/InvalidOptions.js"
import * as Live from "../platform/Live.js"
import type { OperationClass } from "../platform/Operation.js"
import { withoutStack } from "../platform/withoutStack.js"

/**
 * Limits by quota, at least 1 each ({@link LEAST_CREDITS} of credits); a quota without an entry is not limited.
 *
 * @since 0.1.0
 * @category models
 */
export type Limits = { readonly [K in QuotaName]?: number | undefined }

/**
 * What clients and the whole server may use, by tier and by client; a limit that is absent does not exist.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Must hold `default`, used for unknown tiers. */
  readonly tiers: { readonly [tier: string]: Limits }
  /** Overrides of single clients, on top of their tier's limits. */
  readonly clients?: { readonly [client: string]: Limits } | undefined
  /** Totals over all clients. */
  readonly global?: Limits | undefined
  /**
   * Milliseconds after the deadline of its call until an unfinished reservation expires; {@link defaults} when absent.
   */
  readonly graceMs?: number | undefined
  /**
   * Quotas that refuse nothing to the callers of a tier, by tier: its calls are charged to them, those of the client and
   * those of all, for as long as they fit.
   */
  readonly observe?: { readonly [tier: string]: ReadonlyArray<QuotaName> } | undefined
  /** What happens to calls of a tier while the store is out of reach; `closed` when absent. */
  readonly outage?: { readonly [tier: string]: OutagePolicy } | undefined
}

/**
 * Milliseconds beyond its deadline for which a reservation is held.
 *
 * @since 0.1.0
 * @category models
 */
export const defaults = { graceMs: 30_000 } as const

/**
 * A call that asks to be counted: bytes, seconds and credits as they are estimated.
 *
 * @since 0.1.0
 * @category models
 */
export interface Request {
  readonly client: string
  readonly tier: string
  readonly class: OperationClass
  /** Result bytes expected; the bytes delivered are settled afterwards. */
  readonly estimatedBytes: number
  /** Credits that the call may cost at most; they have to fit in advance. None when absent. */
  readonly estimatedCredits?: number | undefined
  /** Milliseconds the call may take at most. */
  readonly deadlineMs: number
  /** False where the call would not have come this far: nothing is charged to quotas that are observed. */
  readonly observe?: boolean | undefined
}

/**
 * A statement and the bytes that it is expected to scan.
 *
 * @since 0.1.0
 * @category models
 */
export interface ScanRequest extends Pick<Request, "client" | "tier" | "deadlineMs" | "observe"> {
  readonly estimatedBytes: number
}

/**
 * One quota as its client may see it, in its own unit: requests, queries, bytes, seconds or credits.
 *
 * @since 0.1.0
 * @category models
 */
export interface QuotaStatus {
  readonly scope: "client" | "global"
  readonly quota: QuotaName
  readonly limit: number
  /** Settled, and held by calls that are not finished. */
  readonly used: number
  readonly remaining: number
  /** Wall clock, milliseconds since 1970. */
  readonly resetAt: number
  /** The client's tier only observes it: it refuses nothing. */
  readonly observed?: boolean | undefined
}

/**
 * What is held for a call until it is settled or released, or until it expires.
 *
 * @since 0.1.0
 * @category models
 */
export interface Reservation {
  readonly id: string
  /** The quotas after the reservation, fullest first. */
  readonly status: ReadonlyArray<QuotaStatus>
  /** Result bytes this call may still deliver before a bytes quota is used up; `Infinity` without one. */
  readonly bytesLeft: number
  /** Absent when nothing is held. */
  readonly client?: string | undefined
  /** What is held of quotas that are observed. */
  readonly observed?: Reservation | undefined
  /** A quota that is observed would have refused the call; nothing is held of those, then. */
  readonly wouldRefuse?: WouldRefuse | undefined
}

/**
 * What a refusal would have said.
 *
 * @since 0.1.0
 * @category models
 */
export interface WouldRefuse {
  readonly scope: "client" | "global"
  readonly quota: QuotaName
  readonly retryAfterMs: number
}

/**
 * What a call really used. Bytes scanned, seconds in the warehouse and credits count where they are known and a
 * quota for them is configured.
 *
 * @since 0.1.0
 * @category models
 */
export interface Spent {
  /** Result bytes delivered. */
  readonly bytes: number
  readonly scanBytes?: number | undefined
  readonly statementSeconds?: number | undefined
  readonly credits?: number | undefined
}

/**
 * How a quota of a client, or of all, is named where limits of several kinds stand beside each other: `client:rows_per_day`.
 *
 * @since 0.1.0
 * @category combinators
 */
export const limitName = ({ quota, scope }: { readonly quota: string; readonly scope: string }): string =>
  `${scope}:${quota}`

/**
 * A quota is used up: nothing was charged and nothing was sent. Waiting until `resetAt` helps.
 *
 * @since 0.1.0
 * @category errors
 */
export class QuotaExceeded extends Schema.TaggedError<QuotaExceeded>("snowguard/QuotaExceeded")(
  "QuotaExceeded",
  {
    scope: Schema.Literal("client", "global"),
    quota: QuotaName,
    limit: Schema.Number,
    used: Schema.Number,
    remaining: Schema.Number,
    /** Wall clock, milliseconds since 1970. */
    resetAt: Schema.Number,
    retryAfterMs: Schema.Number,
    /** Bytes or credits asked for, where they are estimated; an estimate above the limit never fits. */
    estimate: Schema.optional(Schema.Number),
    /** With an estimate: what of `used` is held by calls that have not ended, and may be given back before the reset. */
    held: Schema.optional(Schema.Number)
  }
) {
  override get message(): string {
    return `${this.scope} quota ${this.quota}: ${this.used} of ${this.limit} used`
  }
}

/**
 * Reserves before a call and settles after it. Fails with `QuotaExceeded`, or with the error of the store.
 *
 * @since 0.1.0
 * @category context
 */
export class Quota extends Context.Tag("snowguard/Quota")<
  Quota,
  {
    /**
     * Holds one request, one query if it is one, and the estimated bytes and credits, of every quota of the client and of the
     * server: all of them or none.
     *
     * Fails with `QuotaExceeded`, which names the quota that takes longest to clear; nothing is charged then. Fails with
     * `QuotaStoreError` when the store does not answer; a grant that the store made all the same expires. Run it in an
     * uninterruptible region, as any acquisition: the grant of an interrupted call counts until it expires,
     * `deadlineMs` and `graceMs` later.
     */
    readonly reserve: (request: Request) => Effect.Effect<Reservation, QuotaExceeded | QuotaStoreError>
    /**
     * Holds the bytes that a statement is expected to scan, before it runs: all admitted statements together stay within
     * `scan_bytes_per_day`. A reservation of its own, settled or released like that of the call; holds nothing where
     * there is no such quota.
     */
    readonly reserveScan: (
      request: ScanRequest
    ) => Effect.Effect<Reservation, QuotaExceeded | QuotaStoreError>
    /** The work has been sent to the warehouse: an unfinished reservation is now charged when it expires. */
    readonly submitted: (reservation: Reservation) => Effect.Effect<void, QuotaStoreError>
    /** Replaces what was reserved by what was used. Once for each; a second time changes nothing. */
    readonly settle: (reservation: Reservation, actual: Spent) => Effect.Effect<void, QuotaStoreError>
    /** Nothing was used. Once for each, instead of `settle`. */
    readonly release: (reservation: Reservation) => Effect.Effect<void, QuotaStoreError>
    /**
     * Reserve, run the effect, settle with the `bytes` of its result; 0 when it failed. Releases when the effect was
     * interrupted before it began. A store that fails after the effect does not cost the caller the result: the
     * reservation is charged at its estimate then.
     *
     * @example
     * quota.enforce({ client, tier, class: "query", estimatedBytes: 4_096, deadlineMs: 30_000 }, fetch, byteLength)
     */
    readonly enforce: <A, E, R>(
      request: Request,
      effect: Effect.Effect<A, E, R>,
      bytes: (result: A) => number
    ) => Effect.Effect<A, E | QuotaExceeded | QuotaStoreError, R>
    /** The client's quotas, then those of all clients. Charges nothing. */
    readonly status: (
      client: string,
      tier: string
    ) => Effect.Effect<ReadonlyArray<QuotaStatus>, QuotaStoreError>
    /**
     * Overrides the limits of the client's tier and configuration; an empty record removes the override. What has been
     * used stays used.
     */
    readonly setLimits: (client: string, limits: Limits) => Effect.Effect<void, InvalidOptions.InvalidOptions>
  }
>() {}

const names: ReadonlyArray<QuotaName> = QuotaName.literals

/** The quotas that each class of call is charged with. */
const charged: { readonly [K in OperationClass]: ReadonlyArray<QuotaName> } = {
  control: [],
  metadata: ["requests_per_hour", "requests_per_day", "bytes_per_day"],
  query: names
}

/** Amounts that are known only afterwards: a call is admitted while anything is left. */
const postPaid: ReadonlySet<QuotaName> = new Set<QuotaName>([
  "bytes_per_day",
  "scan_bytes_per_day",
  "statement_seconds_per_day"
])

/**
 * The least limit of credits.
 *
 * @since 0.1.0
 * @category constants
 */
export const LEAST_CREDITS = 0.001

const isCredits = (quota: string): boolean => partOf(quota) < 1

/** In whole parts of what they are counted in. */
const credit = (credits: number): number => {
  const part = partOf("credits_per_hour")
  return Math.ceil(credits / part) * part
}

const leastOf = (quota: string): number => (isCredits(quota) ? LEAST_CREDITS : 1)

const problemsOf = (where: string, limits: Limits): ReadonlyArray<string> =>
  Object.entries(limits).flatMap(([quota, limit]) =>
    !names.some((name) => name === quota)
      ? [`${where}: there is no quota ${quota}`]
      : limit !== undefined && !(limit >= leastOf(quota) && limit < Number.POSITIVE_INFINITY)
        ? [`${where}: ${quota} must be a number of at least ${leastOf(quota)}, not ${limit}`]
        : []
  )

/**
 * What is wrong with the options.
 *
 * @since 0.1.0
 * @category predicates
 */
export const problems = ({ clients = {}, global = {}, tiers }: Options): ReadonlyArray<string> => [
  ...(Object.hasOwn(tiers, "default") ? [] : ["tiers: there is no tier named default"]),
  ...Object.entries(tiers).flatMap(([tier, limits]) => problemsOf(`tier ${tier}`, limits)),
  ...Object.entries(clients).flatMap(([client, limits]) => problemsOf(`client ${client}`, limits)),
  ...problemsOf("global", global)
]

/**
 * The limits of the options by client. The most particular one wins: set at run time, configured for the client, of the
 * client's tier (`default` for an unknown tier).
 *
 * @internal
 */
export const limitTable = (options: Pick<Options, "tiers" | "clients" | "global" | "outage" | "observe">) => {
  // Maps, not records: a tier or client may have the name of a property of every object.
  const tiers = new Map(Object.entries(options.tiers))
  const clients = new Map(Object.entries(options.clients ?? {}))
  const outage = new Map(Object.entries(options.outage ?? {}))
  const observe = new Map(
    Object.entries(options.observe ?? {}).map(([tier, quotas]) => [tier, new Set(quotas)] as const)
  )
  const { global = {} } = options

  const isObserved = (tier: string, quota: QuotaName): boolean =>
    observe.size > 0 && observe.get(tiers.has(tier) ? tier : "default")?.has(quota) === true

  const limitOf = (
    quota: QuotaName,
    client: string,
    tier: string,
    runtime?: Limits | undefined
  ): number | undefined =>
    runtime?.[quota] ?? clients.get(client)?.[quota] ?? (tiers.get(tier) ?? tiers.get("default"))?.[quota]

  /** What is charged of the client's quotas, then of those of all clients. */
  const chargesOf = (
    { client, tier }: { readonly client: string; readonly tier: string },
    runtime: Limits | undefined,
    amounts: ReadonlyArray<{ readonly quota: QuotaName; readonly amount: number; readonly postPaid: boolean }>
  ): ReadonlyArray<Charge> => {
    const onOutage = outage.get(tiers.has(tier) ? tier : "default")
    const charges: Array<Charge> = []
    const add = (key: string, limitOf: (quota: QuotaName) => number | undefined): void => {
      for (const { amount, postPaid, quota } of amounts) {
        const limit = limitOf(quota)
        if (limit !== undefined) charges.push({ key, quota, limit, amount, postPaid, onOutage })
      }
    }
    add(clientKey(client), (quota) => limitOf(quota, client, tier, runtime))
    add(GLOBAL_KEY, (quota) => global[quota])
    return charges
  }

  return { global, limitOf, chargesOf, isObserved }
}

const amountOf = (quota: QuotaName, { estimatedBytes, estimatedCredits = 0 }: Request): number => {
  if (quota === "bytes_per_day") return estimatedBytes
  if (isCredits(quota)) return credit(estimatedCredits)
  return postPaid.has(quota) ? 0 : 1
}

const amountsOf = (request: Request) =>
  charged[request.class].map((quota) => ({
    quota,
    amount: amountOf(quota, request),
    postPaid: postPaid.has(quota)
  }))

/** What a call was refused for, where that is an estimate which has to fit. */
const estimateOf = (
  quota: QuotaName,
  amounts: ReadonlyArray<{ readonly quota: QuotaName; readonly amount: number }>
): number | undefined =>
  isCredits(quota) || quota === "scan_bytes_per_day"
    ? amounts.find((one) => one.quota === quota && one.amount > 0)?.amount
    : undefined

const scopeOf = (key: string): "client" | "global" => (key === GLOBAL_KEY ? "global" : "client")

const statusOf = (
  usage: { readonly used: number; readonly reserved: number; readonly resetAt: number },
  scope: "client" | "global",
  quota: QuotaName,
  limit: number
): QuotaStatus => {
  const shown = (amount: number): number => shownAmount(quota, amount)
  const used = usage.used + usage.reserved
  return {
    scope,
    quota,
    limit,
    used: shown(used),
    remaining: shown(Math.max(0, limit - used)),
    resetAt: usage.resetAt
  }
}

const byFullest = (a: QuotaStatus, b: QuotaStatus): number => a.remaining / a.limit - b.remaining / b.limit

const granted = (
  { reservation, usage }: Extract<Decision, { readonly _tag: "Granted" }>,
  { client, estimatedBytes }: Request | ScanRequest
): Reservation => ({
  id: reservation,
  client,
  status: usage.map((one) => statusOf(one, scopeOf(one.key), one.quota, one.limit)).sort(byFullest),
  bytesLeft: Math.min(
    ...usage.map(({ limit, quota, reserved, used }) =>
      // What the call holds itself is its own to use.
      quota === "bytes_per_day" ? Math.max(0, limit - used - reserved + estimatedBytes) : Infinity
    )
  )
})

const refuse = (
  refused: Extract<Decision, { readonly _tag: "Refused" }>,
  estimate: number | undefined
): Effect.Effect<never, QuotaExceeded> =>
  Effect.flatMap(Clock.currentTimeMillis, (now) =>
    Effect.fail(
      withoutStack(
        () =>
          new QuotaExceeded(
            {
              ...statusOf(refused, scopeOf(refused.key), refused.quota, refused.limit),
              retryAfterMs: Math.max(0, refused.resetAt - now),
              ...(estimate === undefined ? {} : { estimate, held: refused.reserved })
            },
            true
          )
      )
    )
  )

const creditsOf = ({ credits }: Spent): number | undefined =>
  credits === undefined ? undefined : credit(credits)

/** What a settled call has used of each quota; undefined where the amount that was reserved stands. */
const amounts: { readonly [Q in QuotaName]: ((spent: Spent) => number | undefined) | undefined } = {
  requests_per_hour: undefined,
  requests_per_day: undefined,
  queries_per_hour: undefined,
  queries_per_day: undefined,
  bytes_per_day: ({ bytes }) => bytes,
  scan_bytes_per_day: ({ scanBytes }) => scanBytes,
  statement_seconds_per_day: ({ statementSeconds }) => statementSeconds,
  credits_per_hour: creditsOf,
  credits_per_day: creditsOf
}

const actualOf = ({ client = "", status }: Reservation, spent: Spent): ReadonlyArray<Actual> =>
  status.flatMap(({ quota, scope }) => {
    const amount = amounts[quota]?.(spent)
    return amount === undefined
      ? []
      : [{ key: scope === "global" ? GLOBAL_KEY : clientKey(client), quota, amount }]
  })

/** A quota of which nothing has been used: its fixed window. */
const unused = (quota: QuotaName, now: number) => {
  const window = windowOf(quota, "fixed")
  return { used: 0, reserved: 0, resetAt: sliceEnd(window, sliceAt(window, now)) }
}

const nothing: Reservation = { id: "", status: [], bytesLeft: Number.POSITIVE_INFINITY }

/**
 * Counts in the store of the context; fails with `InvalidOptions` where the limits make no sense.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  options: Options | Live.Live<Options>
): Effect.Effect<Context.Tag.Service<Quota>, InvalidOptions.InvalidOptions, QuotaStore> =>
  Effect.gen(function* () {
    const live = Live.from(options)
    yield* InvalidOptions.check("Quota", problems(live.current()))
    const store = yield* QuotaStore
    const { graceMs = defaults.graceMs } = live.current()
    /** Read by each reservation: what was used is in the store, and stays used. */
    const tables = Live.map(live, limitTable)
    /** Limits of single clients that were set at run time. */
    const overrides = yield* Ref.make(HashMap.empty<string, Limits>())
    const overrideOf = (all: HashMap.HashMap<string, Limits>, client: string) =>
      Option.getOrUndefined(HashMap.get(all, client))

    const hold = (
      request: Request | ScanRequest,
      amounts: Parameters<ReturnType<typeof limitTable>["chargesOf"]>[2]
    ): Effect.Effect<Reservation, QuotaExceeded | QuotaStoreError> =>
      Effect.flatMap(Ref.get(overrides), (all) => {
        const table = tables.current()
        const charges = table.chargesOf(request, overrideOf(all, request.client), amounts)
        const observed = charges.filter(({ quota }) => table.isObserved(request.tier, quota))
        const enforced = observed.length === 0 ? charges : charges.filter((one) => !observed.includes(one))
        const held =
          enforced.length === 0
            ? Effect.succeed(nothing)
            : Effect.flatMap(
                store.reserve(enforced, request.deadlineMs + graceMs),
                (decision): Effect.Effect<Reservation, QuotaExceeded> =>
                  decision._tag === "Granted"
                    ? Effect.succeed(granted(decision, request))
                    : refuse(decision, estimateOf(decision.quota, amounts))
              )
        return observed.length === 0 || request.observe === false
          ? held
          : Effect.flatMap(held, (reservation) =>
              Effect.map(watch(observed, request), (seen) => ({ ...reservation, ...seen }))
            )
      })

    /** Charges quotas that are observed, where the call fits into all of them. A lost store refuses nothing either. */
    const watch = (
      charges: ReadonlyArray<Charge>,
      request: Request | ScanRequest
    ): Effect.Effect<Pick<Reservation, "observed" | "wouldRefuse">> =>
      Effect.flatMap(store.reserve(charges, request.deadlineMs + graceMs), (decision) =>
        Effect.map(Clock.currentTimeMillis, (now) =>
          decision._tag === "Granted"
            ? { observed: granted(decision, request) }
            : {
                wouldRefuse: {
                  scope: scopeOf(decision.key),
                  quota: decision.quota,
                  retryAfterMs: Math.max(0, decision.resetAt - now)
                }
              }
        )
      ).pipe(Effect.orElseSucceed(() => ({})))

    const reserve = (request: Request) => hold(request, amountsOf(request))

    const reserveScan = (request: ScanRequest) => {
      const { estimatedBytes: amount } = request
      // Not post-paid: the estimate itself has to fit.
      return hold(request, [{ quota: "scan_bytes_per_day", amount, postPaid: false }])
    }

    const both =
      (one: (reservation: Reservation) => Effect.Effect<void, QuotaStoreError>) =>
      (reservation: Reservation): Effect.Effect<void, QuotaStoreError> => {
        const { id, observed } = reservation
        const enforced = id === nothing.id ? Effect.void : one(reservation)
        return observed === undefined ? enforced : Effect.zipRight(Effect.ignore(one(observed)), enforced)
      }

    const submitted = both(({ id }) => store.submitted(id))

    const settle = (reservation: Reservation, actual: Spent): Effect.Effect<void, QuotaStoreError> =>
      both((one) => store.settle(one.id, actualOf(one, actual)))(reservation)

    const release = both(({ id }) => store.release(id))

    return Quota.of({
      reserve,
      reserveScan,
      submitted,
      settle,
      release,
      enforce: (request, effect, bytes) =>
        Effect.flatMap(Ref.make(false), (begun) =>
          Effect.acquireUseRelease(
            reserve(request),
            (reservation) =>
              submitted(reservation).pipe(Effect.zipRight(Ref.set(begun, true)), Effect.zipRight(effect)),
            (reservation, exit) =>
              Effect.flatMap(Ref.get(begun), (hasBegun) =>
                hasBegun
                  ? settle(reservation, { bytes: Exit.isSuccess(exit) ? bytes(exit.value) : 0 })
                  : release(reservation)
              ).pipe(Effect.catchAll((error) => Effect.logWarning("a quota could not be settled", error)))
          )
        ),
      status: Effect.fnUntraced(function* (client: string, tier: string) {
        const table = tables.current()
        const runtime = overrideOf(yield* Ref.get(overrides), client)
        const now = yield* Clock.currentTimeMillis
        const statusIn = (key: string, limitOf: (quota: QuotaName) => number | undefined) => {
          const limited = names.flatMap((quota) => {
            const limit = limitOf(quota)
            return limit === undefined ? [] : [{ quota, limit }]
          })
          if (limited.length === 0) return Effect.succeed([])
          return Effect.map(store.usage(key), (usage) =>
            limited.map(({ limit, quota }) => {
              const found = usage.find((entry) => entry.quota === quota) ?? unused(quota, now)
              const status = statusOf(found, scopeOf(key), quota, limit)
              return table.isObserved(tier, quota) ? { ...status, observed: true } : status
            })
          )
        }
        return [
          ...(yield* statusIn(clientKey(client), (quota) => table.limitOf(quota, client, tier, runtime))),
          ...(yield* statusIn(GLOBAL_KEY, (quota) => table.global[quota]))
        ]
      }),
      setLimits: (client, limits) =>
        Effect.zipRight(
          InvalidOptions.check("Quota", problemsOf(`client ${client}`, limits)),
          Ref.update(overrides, (all) =>
            Object.keys(limits).length === 0
              ? HashMap.remove(all, client)
              : HashMap.set(all, client, { ...limits })
          )
        )
    })
  })

/**
 * Quotas on the store that is provided.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: Options | Live.Live<Options>
): Layer.Layer<Quota, InvalidOptions.InvalidOptions, QuotaStore> => Layer.effect(Quota, make(options))

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
