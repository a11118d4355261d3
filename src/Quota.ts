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
import * as Schema from "effect/Schema"
import { sliceAt, sliceEnd, windowOf } from "./core/QuotaWindow.js"
import * as QuotaLimits from "./internal/quotaLimits.js"
import * as Step from "./internal/step.js"
import { withoutStack } from "./internal/withoutStack.js"
import type { OperationClass } from "./Operation.js"
import { QuotaName, QuotaStore } from "./QuotaStore.js"
import type { Actual, Decision, QuotaStoreError } from "./QuotaStore.js"

/**
 * Limits by quota, at least 1 each; a quota without an entry is not limited.
 *
 * @since 0.1.0
 * @category models
 */
export type Limits = QuotaLimits.Limits

/**
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
   * Milliseconds that a reservation outlives the deadline of its call before it counts as abandoned;
   * 30,000 when absent.
   */
  readonly graceMs?: number | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Request {
  readonly client: string
  readonly tier: string
  readonly class: OperationClass
  /** Result bytes expected; settled with the real number. */
  readonly estimatedBytes: number
  /** Milliseconds the call may take at most: an unfinished reservation expires some time after. */
  readonly deadlineMs: number
}

/**
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
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Reservation {
  readonly id: string
  /** The state after the reservation, fullest first: what warnings are made of. */
  readonly status: ReadonlyArray<QuotaStatus>
  /** False: of every quota at least a fifth is left. */
  readonly low?: boolean | undefined
  /** Result bytes this call may still deliver before a bytes quota is used up; `Infinity` without one. */
  readonly bytesLeft: number
  /** Whose it is; absent when nothing is held. */
  readonly client?: string | undefined
}

/**
 * What a call really used. Bytes scanned and seconds in the warehouse count where they are known and a
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
}

/**
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
    retryAfterMs: Schema.Number
  }
) {
  override get message(): string {
    return `${this.scope} quota ${this.quota}: ${this.used} of ${this.limit} used`
  }
}

/**
 * Limits that make no sense: every problem at once.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidQuotas extends Schema.TaggedError<InvalidQuotas>("snowguard/InvalidQuotas")(
  "InvalidQuotas",
  { problems: Schema.Array(Schema.String) }
) {
  override get message(): string {
    return `quotas: ${this.problems.join("; ")}`
  }
}

/**
 * @since 0.1.0
 * @category context
 */
export class Quota extends Context.Tag("snowguard/Quota")<
  Quota,
  {
    readonly reserve: (request: Request) => Effect.Effect<Reservation, QuotaExceeded | QuotaStoreError>
    /** The work has reached the warehouse: from here on it is paid for. */
    readonly submitted: (reservation: Reservation) => Effect.Effect<void, QuotaStoreError>
    readonly settle: (reservation: Reservation, actual: Spent) => Effect.Effect<void, QuotaStoreError>
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

const statusOf = (
  usage: { readonly used: number; readonly reserved: number; readonly resetAt: number },
  scope: "client" | "global",
  quota: QuotaName,
  limit: number
): QuotaStatus => {
  const used = usage.used + usage.reserved
  return { scope, quota, limit, used, remaining: Math.max(0, limit - used), resetAt: usage.resetAt }
}

const byFullest = (a: QuotaStatus, b: QuotaStatus): number => a.remaining / a.limit - b.remaining / b.limit

type Granting = Extract<Decision, { readonly _tag: "Granted" }>

/** What was reserved, and what can be told of it: nobody reads the status of a call far from its limits. */
class Granted implements Reservation {
  private told: ReadonlyArray<QuotaStatus> | undefined
  readonly id: string
  readonly client: string
  readonly bytesLeft: number
  readonly low: boolean
  readonly usage: Granting["usage"]
  constructor({ reservation, usage }: Granting, { client, estimatedBytes }: Request) {
    let bytesLeft = Number.POSITIVE_INFINITY
    let low = false
    for (const { limit, quota, reserved, used } of usage) {
      const left = limit - used - reserved
      if (left < limit / 5) low = true
      // What it holds itself is its own to use.
      if (quota === "bytes_per_day") bytesLeft = Math.min(bytesLeft, Math.max(0, left + estimatedBytes))
    }
    this.id = reservation
    this.client = client
    this.bytesLeft = bytesLeft
    this.low = low
    this.usage = usage
  }
  get status(): ReadonlyArray<QuotaStatus> {
    return (this.told ??= this.usage
      .map((usage) => statusOf(usage, QuotaLimits.scopeOf(usage.key), usage.quota, usage.limit))
      .sort(byFullest))
  }
}

const refuse = (
  refused: Extract<Decision, { readonly _tag: "Refused" }>
): Effect.Effect<never, QuotaExceeded> =>
  Effect.flatMap(Clock.currentTimeMillis, (now) =>
    Effect.fail(
      withoutStack(
        () =>
          new QuotaExceeded(
            {
              ...statusOf(refused, QuotaLimits.scopeOf(refused.key), refused.quota, refused.limit),
              retryAfterMs: Math.max(0, refused.resetAt - now)
            },
            true
          )
      )
    )
  )

const amountOf = (quota: QuotaName, spent: Spent): number | undefined => {
  switch (quota) {
    case "bytes_per_day":
      return spent.bytes
    case "scan_bytes_per_day":
      return spent.scanBytes
    case "statement_seconds_per_day":
      return spent.statementSeconds
    default:
      return undefined
  }
}

const actualOf = (reservation: Reservation, spent: Spent): ReadonlyArray<Actual> => {
  const actual: Array<Actual> = []
  if (reservation instanceof Granted) {
    for (const { key, quota } of reservation.usage) {
      const amount = amountOf(quota, spent)
      if (amount !== undefined) actual.push({ key, quota, amount })
    }
    return actual
  }
  for (const { quota, scope } of reservation.status) {
    const amount = amountOf(quota, spent)
    const key = scope === "global" ? QuotaLimits.GLOBAL : QuotaLimits.keyOf(reservation.client ?? "")
    if (amount !== undefined) actual.push({ key, quota, amount })
  }
  return actual
}

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

    const reserve = (request: Request): Effect.Effect<Reservation, QuotaExceeded | QuotaStoreError> =>
      Step.make((moment) => {
        const charges = table.chargesOf(request, overrides.get(request.client))
        if (charges.length === 0) return Exit.succeed(nothing)
        return Step.andThen(
          moment,
          store.reserve(charges, request.deadlineMs + graceMs),
          (decision): Effect.Effect<Reservation, QuotaExceeded> =>
            decision._tag === "Granted" ? Exit.succeed(new Granted(decision, request)) : refuse(decision)
        )
      })

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
          const statusIn = (key: string, limitOf: (quota: QuotaName) => number | undefined) =>
            Effect.map(store.usage(key), (usage) =>
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
  submitted: () => Effect.void,
  settle: () => Effect.void,
  release: () => Effect.void,
  enforce: (_request, effect) => effect,
  status: () => Effect.succeed([]),
  setLimits: () => Effect.void
})
