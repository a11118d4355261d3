/**
 * DECORATOR of any `QuotaStore`: what happens while it is out of reach.
 *
 * ```
 *            an operation fails                   a probe succeeds
 *   normal ---------------------> lost, probing ---------------------> normal
 *                                   `closed`: refuse
 *                                   `share`:  count in memory, up to this server's share of what was left
 * ```
 *
 * Invariants
 * 1. Nothing is admitted without a count. A share is `floor(left / replicas)` by the last answer of the store; a key
 *    that the store has never answered for has none.
 * 2. What was counted in memory is charged to the store once, when it is back. A call that is still at work then is
 *    charged with what it holds.
 * 3. An operation on a reservation of the store that fails is not repeated: the reservation expires in the store,
 *    at its estimate if its statement was submitted.
 * 4. Memory is bounded: of the keys the latest `capacity` are remembered.
 *
 * Servers that still reach the store do not know of those that do not: until these are back, a limit can be passed by
 * their shares.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Ref from "effect/Ref"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Lru from "../../platform/core/Lru.js"
import * as Window from "../core/Window.js"
import type { Charge, Decision, OutagePolicy, Usage } from "../QuotaStore.js"
import { makeMemory, partOf, QuotaStore, QuotaStoreError, StoreHealth } from "../QuotaStore.js"
import * as Telemetry from "../../observe/Telemetry.js"

/**
 * What happens to charges while the store is lost, and how long an operation may take; milliseconds.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** For charges that do not say; `closed` when absent. */
  readonly policy?: OutagePolicy | undefined
  /** Servers that count in the same store now. Asked when the store is lost; 1 when absent. */
  readonly replicas?: Effect.Effect<number> | undefined
  /** As in the store. Default `fixed`. */
  readonly windows?: Window.Mode | undefined
  /** An answer that takes longer is lost; `Infinity` where the store bounds its waits. Default 1,000. */
  readonly timeoutMs?: number | undefined
  /** How the store bounds them, milliseconds, where that is known. */
  readonly boundMs?: number | undefined
  /** Milliseconds to the first probe of a lost store; then twice as long, up to `maxProbeMs`. 100 and 5,000. */
  readonly probeMs?: number | undefined
  readonly maxProbeMs?: number | undefined
  /** Keys of which the last answer is remembered. Default 10,000. */
  readonly capacity?: number | undefined
}

type Store = Context.Tag.Service<QuotaStore>

/** Rounded down to what the quota is counted in. */
const wholeParts = (quota: string, amount: number): number =>
  Math.floor(amount / partOf(quota)) * partOf(quota)

/** The store is out of reach. Times in milliseconds since 1970. */
interface Lost {
  readonly since: number
  readonly error: QuotaStoreError
  readonly replicas: number
  /** What is admitted meanwhile, with shares in place of limits. */
  readonly local: Store
  readonly admittedAt: number | undefined
  readonly refusedAt: number | undefined
}

type Known = ReadonlyMap<Usage["quota"], Usage>

/** Refusing: no call was admitted in this time before the last refusal. */
const REFUSING_MS = 10_000
/** Counting the replicas must not delay a call. */
const REPLICAS_MS = 100
/** Ids of reservations in memory; no store's begin with it. */
const LOCAL = "outage:"

/**
 * The decorated store, and its health. A lost store is probed in the background while the scope is open.
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
    const { capacity = 10_000, maxProbeMs = 5_000, policy = "closed", probeMs = 100 } = options
    const { replicas: countReplicas = Effect.succeed(1), timeoutMs = 1_000, windows = "fixed" } = options
    const scope = yield* Effect.scope
    const serial = yield* Ref.make(yield* Random.nextIntBetween(0, 2 ** 31))
    const lost = yield* Ref.make<Lost | undefined>(undefined)
    /** The last answer of the store by key and quota. */
    const known = Lru.make<Known>({ maxEntries: capacity, maxBytes: Number.POSITIVE_INFINITY })

    const remember = (usage: Usage) =>
      Lru.set(known, usage.key, new Map(Lru.get(known, usage.key)).set(usage.quota, usage), 0)

    const bounded = <A>(operation: string, effect: Effect.Effect<A, QuotaStoreError>) =>
      timeoutMs === Number.POSITIVE_INFINITY
        ? effect
        : // Run in uninterruptible regions, and the store may be uninterruptible itself.
          Effect.timeoutFail(Effect.interruptible(Effect.disconnect(effect)), {
            duration: timeoutMs,
            onTimeout: () =>
              new QuotaStoreError({
                operation,
                description: `no answer within ${timeoutMs} ms; it may have been counted`
              })
          })

    const nextId = (name: string) => Ref.modify(serial, (n) => [`${name}-${n.toString(36)}`, n + 1])

    /** Something that has to be written: a disk that is full can still be read. */
    const probe = Effect.flatMap(nextId("probe"), (id) =>
      bounded("probe", store.settle(id, [{ key: "probe", quota: "requests_per_hour", amount: 0 }]))
    )

    const usageOf = (local: Store, cursor?: string): Effect.Effect<ReadonlyArray<Usage>, QuotaStoreError> =>
      Effect.flatMap(local.list(cursor), ({ next, usage }) =>
        next === undefined
          ? Effect.succeed(usage)
          : Effect.map(usageOf(local, next), (more) => [...usage, ...more])
      )

    /** Charges the store with what was counted in memory beyond `reported`; returns what is reported now. */
    const report = Effect.fnUntraced(function* (local: Store, reported: ReadonlyMap<string, number>) {
      const usage = yield* usageOf(local)
      const now = new Map(
        usage.map(({ key, quota, reserved, used }) => [nameOf(key, quota), used + reserved])
      )
      for (const key of new Set(usage.map((each) => each.key))) {
        const actual = usage.flatMap(({ key: of, quota }) => {
          const amount = (now.get(nameOf(key, quota)) ?? 0) - (reported.get(nameOf(key, quota)) ?? 0)
          return of === key && amount > 0 ? [{ key, quota, amount }] : []
        })
        if (actual.length > 0) yield* bounded("settle", store.settle(yield* nextId("outage"), actual))
      }
      return now
    })

    const probes = Schedule.either(Schedule.exponential(probeMs), Schedule.spaced(maxProbeMs))

    const recover = (local: Store) =>
      Effect.gen(function* () {
        yield* Effect.retry(Effect.delay(probe, probeMs), probes)
        const before = yield* report(local, new Map())
        yield* Ref.set(lost, undefined)
        // Admitted while the first report was under way.
        yield* report(local, before)
      }).pipe(
        Effect.catchAll((error) =>
          Effect.zipRight(
            Ref.set(lost, undefined),
            Effect.logWarning(
              `what was admitted without the quota store is not charged: ${error.description}`
            )
          )
        ),
        Effect.zipRight(Effect.sync(() => Telemetry.recordStoreChange("normal"))),
        Effect.zipRight(Effect.logInfo("the quota store is back"))
      )

    const replicas = Effect.interruptible(Effect.disconnect(countReplicas)).pipe(
      Effect.timeoutOption(REPLICAS_MS),
      Effect.map(Option.match({ onNone: () => 1, onSome: (count) => Math.max(1, Math.ceil(count)) }))
    )
    const lastReplicas = yield* Ref.make(yield* replicas)

    /** From here on the store is not asked, until a probe finds it. */
    const lose = (error: QuotaStoreError): Effect.Effect<void> =>
      Effect.gen(function* () {
        const counted = yield* replicas
        const count = yield* Ref.updateAndGet(lastReplicas, (last) => Math.max(last, counted))
        const since = yield* Clock.currentTimeMillis
        const local = yield* makeMemory({ windows })
        const state: Lost = {
          since,
          error,
          replicas: count,
          local,
          admittedAt: undefined,
          refusedAt: undefined
        }
        const isFirst = yield* Ref.modify(lost, (now) => (now === undefined ? [true, state] : [false, now]))
        if (!isFirst) return
        Telemetry.recordStoreChange("outage")
        yield* Effect.logWarning(`the quota store is out of reach: ${error.description}`)
        yield* Effect.forkIn(Effect.interruptible(recover(local)), scope)
      }).pipe(Effect.uninterruptible)

    const refuse = (operation: string, why: string, { error }: Lost) =>
      Effect.suspend(() => {
        Telemetry.recordStoreOutage("closed")
        return new QuotaStoreError({
          operation,
          description: `the quota store is out of reach, and ${why} (${error.description})`,
          retryAfterMs: maxProbeMs,
          ...(error.lasting === true ? { lasting: true } : {})
        })
      })

    /** What this server may admit of a quota; undefined where the store has not said what is left. */
    const shareOf = ({ key, limit, quota }: Charge, { replicas, since }: Lost, now: number) => {
      const last = Lru.get(known, key)?.get(quota)
      const window = Window.windowOf(quota, windows)
      const begun = (Window.sliceAt(window, now) + 1 - window.slices) * window.sliceMs
      // A window that has begun since: nothing can have been used before.
      if (begun > since) return wholeParts(quota, limit / replicas)
      if (last === undefined || last.resetAt <= since) return undefined
      return Math.max(0, wholeParts(quota, (limit - last.used - last.reserved) / replicas))
    }

    const policyOf = (charges: ReadonlyArray<Charge>): OutagePolicy =>
      charges.every(({ onOutage = policy }) => onOutage === "share") ? "share" : "closed"

    /** Decides without the store. */
    const decideLocally = Effect.fnUntraced(function* (
      operation: "reserve" | "check",
      charges: ReadonlyArray<Charge>,
      ttlMs: number,
      state: Lost
    ): Effect.fn.Return<Decision, QuotaStoreError> {
      if (policyOf(charges) === "closed") {
        return yield* refuse(operation, "nothing is admitted without it", state)
      }
      const now = yield* Clock.currentTimeMillis
      const shares = new Map<string, number>()
      for (const charge of charges) {
        const share = shareOf(charge, state, now)
        if (share === undefined) {
          return yield* refuse(operation, `what is left of ${charge.quota} is not known`, state)
        }
        if (share === 0) {
          return yield* refuse(operation, `this server has no share of ${charge.quota}`, state)
        }
        shares.set(nameOf(charge.key, charge.quota), share)
      }
      const limited = charges.map((charge) => ({
        ...charge,
        limit: shares.get(nameOf(charge.key, charge.quota)) ?? charge.limit
      }))
      const decision = yield* operation === "reserve"
        ? state.local.reserve(limited, ttlMs)
        : state.local.check(limited)
      if (decision._tag === "Refused") {
        return yield* refuse(operation, `this server's share of ${decision.quota} is used up`, state)
      }
      if (operation === "reserve") Telemetry.recordStoreOutage("admitted")
      // What belongs to other servers counts as used: what remains is what remains here.
      const usage = decision.usage.map((usage) => {
        const limit = charges.find(({ key, quota }) => key === usage.key && quota === usage.quota)?.limit
        return limit === undefined ? usage : { ...usage, limit, used: usage.used + limit - usage.limit }
      })
      return { ...decision, reservation: LOCAL + decision.reservation, usage }
    })

    const decide = (
      operation: "reserve" | "check",
      charges: ReadonlyArray<Charge>,
      ttlMs: number,
      asked: Effect.Effect<Decision, QuotaStoreError>
    ): Effect.Effect<Decision, QuotaStoreError> => {
      const locally = (state: Lost) =>
        Effect.onExit(decideLocally(operation, charges, ttlMs, state), (exit) =>
          Effect.flatMap(Clock.currentTimeMillis, (now) =>
            Ref.update(
              lost,
              (state) => state && { ...state, [exit._tag === "Success" ? "admittedAt" : "refusedAt"]: now }
            )
          )
        )
      return Effect.flatMap(Ref.get(lost), (state) =>
        state === undefined
          ? asked.pipe(
              Effect.tap((decision) => {
                if (decision._tag === "Granted") decision.usage.forEach(remember)
                else remember(decision)
              }),
              Effect.catchAll((error) =>
                Effect.zipRight(
                  lose(error),
                  Effect.flatMap(Ref.get(lost), (state) =>
                    state === undefined ? Effect.fail(error) : locally(state)
                  )
                )
              )
            )
          : locally(state)
      )
    }

    /** Of a reservation: in memory, or of the store, which is not asked while it is lost. */
    const finish = (
      operation: "submitted" | "settle" | "release",
      id: string,
      f: (store: Store, id: string) => Effect.Effect<void, QuotaStoreError>
    ): Effect.Effect<void, QuotaStoreError> =>
      Effect.flatMap(Ref.get(lost), (state) => {
        // Of an outage that is over: it was charged with what it held.
        if (id.startsWith(LOCAL))
          return state === undefined ? Effect.void : f(state.local, id.slice(LOCAL.length))
        return state === undefined
          ? Effect.tapError(bounded(operation, f(store, id)), lose)
          : new QuotaStoreError({
              operation,
              description: "the quota store is out of reach; what the call reserved counts until it expires"
            })
      })

    const asked = <A>(operation: string, effect: Effect.Effect<A, QuotaStoreError>) =>
      Effect.tapError(bounded(operation, effect), lose)

    const usage = (key: string): Effect.Effect<ReadonlyArray<Usage>, QuotaStoreError> =>
      Effect.flatMap(Ref.get(lost), (state) => {
        if (state === undefined) return asked("usage", store.usage(key))
        return Effect.flatMap(Clock.currentTimeMillis, (now) => {
          const last = [...(Lru.get(known, key)?.values() ?? [])].filter(({ resetAt }) => now < resetAt)
          if (last.length === 0) return refuse("usage", "what is used is not known", state)
          return Effect.map(state.local.usage(key), (local) =>
            last.map((each) => {
              const here = local.find(({ quota }) => quota === each.quota)
              return {
                ...each,
                used: each.used + (here?.used ?? 0),
                reserved: each.reserved + (here?.reserved ?? 0)
              }
            })
          )
        })
      })

    const decorated = QuotaStore.of({
      reserve: (charges, ttlMs) =>
        decide("reserve", charges, ttlMs, bounded("reserve", store.reserve(charges, ttlMs))),
      check: (charges) => decide("check", charges, 0, bounded("check", store.check(charges))),
      submitted: (id) => finish("submitted", id, (store, id) => store.submitted(id)),
      settle: (id, actual) => finish("settle", id, (store, id) => store.settle(id, actual)),
      release: (id) => finish("release", id, (store, id) => store.release(id)),
      usage,
      list: (cursor) => asked("list", store.list(cursor)),
      reset: (key, quota) =>
        Effect.tap(asked("reset", store.reset(key, quota)), () => void Lru.remove(known, key))
    })

    const isRefusing = ({ admittedAt, refusedAt }: Lost): boolean =>
      refusedAt === undefined
        ? admittedAt === undefined && policy === "closed"
        : admittedAt === undefined || refusedAt - admittedAt > REFUSING_MS

    const status = Effect.map(Ref.get(lost), (state) =>
      state === undefined
        ? { mode: "normal" as const }
        : {
            mode: "outage" as const,
            since: state.since,
            reason: state.error.description,
            refusing: isRefusing(state),
            ...(state.error.lasting === true ? { lasting: true } : {})
          }
    )

    return { store: decorated, health: { status, boundMs: options.boundMs } }
  })

const nameOf = (key: string, quota: string): string => `${quota} ${key}`

/**
 * The store of `inner`, and its health; fails as `inner` does when it is built.
 *
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
