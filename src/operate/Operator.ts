/**
 * What an operator sees of a running server, and does to it: everything that limits calls as it is
 * now and as it was in the last hour; and holding the circuit open, starting it afresh, trying the next login,
 * pinning the degradation ladder, setting a client's quotas back, cancelling a call.
 *
 * ```
 *   one fiber, every 5 s ──> History (a ring of an hour)        actions ──> one at a time, audited, logged
 *                                                                  |
 *                              Holds: a scope for each hold that is in force; closed with the layer
 * ```
 *
 * A hold ends when it is released or when the server does; it never outlives the process. Looking costs a
 * look at each service; no call of a client waits for it.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Bulkhead from "../guard/Bulkhead.js"
import * as CircuitBreaker from "../guard/CircuitBreaker.js"
import * as Degradation from "../guard/Degradation.js"
import * as LoopGuard from "../guard/LoopGuard.js"
import * as RateLimiter from "../guard/RateLimiter.js"
import * as Retry from "../guard/Retry.js"
import * as Activity from "../observe/Activity.js"
import * as Audit from "../observe/Audit.js"
import * as RunningCalls from "../observe/RunningCalls.js"
import type { Principal } from "../platform/Principal.js"
import { monotonicMillis } from "../platform/monotonic.js"
import * as Quota from "../quota/Quota.js"
import * as QuotaStore from "../quota/QuotaStore.js"
import * as ResultCache from "../tools/ResultCache.js"
import { WarehouseHealth } from "../warehouse/WarehouseHealth.js"
import * as Gauges from "./Gauges.js"
import * as Snapshots from "./Snapshot.js"
import type { ActionRow, Column, Identity } from "./Snapshot.js"
import { columns, Snapshot } from "./Snapshot.js"
import { Reloads } from "./Reloads.js"
import * as History from "./core/History.js"

export { Snapshot }
export type { Column, Identity }

/**
 * The samples of the last hour, oldest first: times (wall clock, milliseconds) and numbers by column.
 *
 * @since 0.1.0
 * @category models
 */
export type Samples = History.Read<Column>

const oneOf = (words: ReadonlyArray<string>) => ({
  message: `expected one of ${words.join(", ")}`,
  override: true
})

/**
 * What an operator can do.
 *
 * @since 0.1.0
 * @category models
 */
export const Action = Schema.Union(
  Schema.Struct({
    action: Schema.Literal(
      "breaker/open",
      "breaker/release",
      "breaker/reset",
      "ladder/unpin",
      "config/reload"
    )
  }),
  Schema.Struct({
    action: Schema.Literal("call/cancel"),
    /** Of a call that is under way, as the snapshot names it. */
    id: Schema.String.pipe(
      Schema.pattern(/^[a-z0-9-]{1,32}$/, { message: () => "expected the id of a running call" })
    )
  }),
  Schema.Struct({
    action: Schema.Literal("warehouse/unlatch"),
    /** All when absent. */
    user: Schema.optionalWith(Schema.String.pipe(Schema.minLength(1), Schema.maxLength(512)), { exact: true })
  }),
  Schema.Struct({
    action: Schema.Literal("ladder/pin"),
    mode: Degradation.Mode.annotations({ message: () => oneOf(Degradation.Mode.literals) })
  }),
  Schema.Struct({
    action: Schema.Literal("quota/reset"),
    client: Schema.String.pipe(Schema.minLength(1), Schema.maxLength(512)),
    quota: Schema.optional(
      QuotaStore.QuotaName.annotations({ message: () => oneOf(QuotaStore.QuotaName.literals) })
    )
  })
)
/**
 * @since 0.1.0
 * @category models
 */
export type Action = typeof Action.Type

/**
 * What an action of an operator has changed.
 *
 * @since 0.1.0
 * @category models
 */
export const Done = Schema.Struct({
  /** False: it was so already. */
  changed: Schema.Boolean,
  /** In words. */
  result: Schema.String,
  /** Which server did it: of a fleet this one alone. */
  server: Schema.String,
  /** What was wrong with the settings that were read: nothing was changed. */
  faults: Schema.optionalWith(Schema.Array(Schema.String), { exact: true })
})
/**
 * @since 0.1.0
 * @category models
 */
export type Done = typeof Done.Type

/**
 * The state of everything that limits calls, and the actions on it. Each action is in the audit log with its operator.
 *
 * @since 0.1.0
 * @category context
 */
export class Operator extends Context.Tag("snowguard/Operator")<
  Operator,
  {
    /** `all`: with the names of clients and operators. */
    readonly snapshot: (see: "all" | "totals") => Effect.Effect<Snapshot>
    /** The latest `atMost` samples; all that there are when absent. */
    readonly history: (atMost?: number) => Effect.Effect<Samples>
    /**
     * Does it, as this operator. Waits for the actions before it. Fails when the quota store cannot be
     * reached; what was tried is in the audit log either way.
     */
    readonly act: (action: Action, by: Principal) => Effect.Effect<Done, QuotaStore.QuotaStoreError>
    /** Sets the gauges of the metrics to what is true now. */
    readonly sampleMetrics: Effect.Effect<void>
  }
>() {}

/**
 * How often the state is sampled for its history, and what of statements is shown.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Milliseconds between two samples of the history. */
  readonly sampleEveryMs?: number | undefined
  /** Samples that are kept. */
  readonly samples?: number | undefined
  /** Which server this is, among several. */
  readonly server?: Identity | undefined
  /** Statements of calls under way are shown; false when absent. */
  readonly showStatements?: boolean | undefined
}

/**
 * A sample every five seconds, for an hour.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaults = { sampleEveryMs: 5_000, samples: 720 } as const

/** Actions that are remembered for the page; the audit log has them all. */
const REMEMBERED = 20

const targetOf = (action: Action): string | undefined => {
  switch (action.action) {
    case "ladder/pin":
      return action.mode
    case "quota/reset":
      return action.quota === undefined ? action.client : `${action.client} ${action.quota}`
    case "warehouse/unlatch":
      return action.user
    case "call/cancel":
      return action.id
    default:
      return undefined
  }
}

/** At most one hold is in force; taking the next one releases it, without a moment between. */
const makeHold = Effect.gen(function* () {
  const outer = yield* Scope.Scope
  let current: Scope.CloseableScope | undefined
  const release = Effect.suspend(() => {
    const held = current
    current = undefined
    return held === undefined ? Effect.succeed(false) : Effect.as(Scope.close(held, Exit.void), true)
  })
  return {
    isHeld: () => current !== undefined,
    take: (acquire: Effect.Effect<void, never, Scope.Scope>) =>
      Effect.uninterruptible(
        Effect.gen(function* () {
          const scope = yield* Scope.fork(outer, outer.strategy)
          yield* Scope.extend(acquire, scope)
          yield* release
          current = scope
        })
      ),
    release: Effect.uninterruptible(release)
  }
})

/**
 * Sees and changes the services of the context; what of them is absent is left out.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = ({
  sampleEveryMs = defaults.sampleEveryMs,
  samples = defaults.samples,
  server,
  showStatements = false
}: Options = {}) =>
  Effect.gen(function* () {
    const audit = yield* Audit.Audit
    const breaker = yield* CircuitBreaker.CircuitBreaker
    const degradation = yield* Degradation.Degradation
    const store = yield* QuotaStore.QuotaStore
    const health = yield* Effect.serviceOption(WarehouseHealth)
    const reloads = yield* Reloads
    const calls = yield* RunningCalls.RunningCalls
    const view = yield* Snapshots.make({ showStatements })
    const sampleMetrics = Effect.provide(
      Gauges.sample,
      yield* Effect.context<Effect.Effect.Context<typeof Gauges.sample>>()
    )
    const circuit = yield* makeHold
    const ladder = yield* makeHold
    const oneAtATime = yield* Effect.makeSemaphore(1)
    const history = History.make(columns, samples)
    const actions: Array<typeof ActionRow.Type> = []

    let sampledAt = yield* monotonicMillis
    const sample = Effect.gen(function* () {
      const now = yield* monotonicMillis
      const elapsed = now - sampledAt
      sampledAt = now
      History.add(history, yield* Clock.currentTimeMillis, yield* view.sample(elapsed))
    })
    yield* sample.pipe(
      Effect.catchAllCause((cause) => Effect.logWarning("a sample of the history is missing", cause)),
      Effect.schedule(Schedule.spaced(sampleEveryMs)),
      Effect.forkScoped
    )

    const identity = { ...server, process: calls.processId }
    const here = Snapshots.serverName(identity)
    const done = (changed: boolean, result: string): Done => ({ changed, result, server: here })

    const perform = (action: Action): Effect.Effect<Done, QuotaStore.QuotaStoreError> => {
      switch (action.action) {
        case "breaker/open":
          return circuit.isHeld()
            ? Effect.succeed(done(false, "the circuit is held open already"))
            : Effect.as(
                circuit.take(breaker.forceOpen("an operator")),
                done(true, "the circuit is held open: no call reaches the warehouse")
              )
        case "breaker/release":
          return Effect.map(circuit.release, (released) =>
            done(released, released ? "the circuit is held no more" : "the circuit was not held from here")
          )
        case "breaker/reset":
          return Effect.as(breaker.reset, done(true, "the circuit starts afresh"))
        case "ladder/pin":
          return Effect.as(
            ladder.take(degradation.pin(action.mode, "with snowguard admin, or on /status")),
            done(true, `the mode is ${action.mode}, whatever the signals say`)
          )
        case "ladder/unpin":
          return Effect.map(ladder.release, (released) =>
            done(released, released ? "the signals decide again" : "the mode was not pinned from here")
          )
        case "config/reload":
          return Effect.map(reloads.reload, ({ changed, faults, result }) =>
            faults.length === 0 ? done(changed, result) : { ...done(changed, result), faults }
          )
        case "call/cancel":
          return Effect.map(calls.cancel(action.id), (call) =>
            call === undefined
              ? done(false, `no call with the id ${action.id} is under way on this server`)
              : done(true, `the call of ${call.tool} by ${call.client} is cancelled`)
          )
        case "warehouse/unlatch":
          return Option.match(health, {
            onNone: () => Effect.succeed(done(false, "this warehouse has no login")),
            onSome: ({ unlatch, unlatchUser }) =>
              action.user === undefined
                ? Effect.map(unlatch, (was) =>
                    done(
                      was,
                      was ? "the next call of this server logs in" : "no login is held back on this server"
                    )
                  )
                : Effect.map(unlatchUser(action.user), (was) =>
                    done(
                      was,
                      was
                        ? `the next call of ${action.user} on this server logs in`
                        : `no login of ${action.user} is held back on this server`
                    )
                  )
          })
        case "quota/reset": {
          const key = QuotaStore.clientKey(action.client)
          return Effect.gen(function* () {
            const { quota } = action
            const before = (yield* store.usage(key)).filter(
              (one) => one.used > 0 && (quota === undefined || one.quota === quota)
            )
            yield* store.reset(key, quota)
            return before.length === 0
              ? done(false, "nothing had been used")
              : done(
                  true,
                  `forgotten: ${before.map(({ quota, used }) => `${quota} ${QuotaStore.shownAmount(quota, used)}`).join(", ")}`
                )
          })
        }
      }
    }

    /** Written down and logged however it ends. */
    const recorded = (action: Action, by: Principal, decision: string, result: string, ms: number) =>
      Effect.gen(function* () {
        const at = yield* Clock.currentTimeMillis
        const target = targetOf(action)
        const targeted = target === undefined ? {} : { target }
        actions.unshift({ at, by: by.client, action: action.action, ...targeted, result })
        actions.splice(REMEMBERED)
        yield* audit.record({
          client: by.client,
          tier: by.tier,
          tool: `${Audit.operatorPrefix}${action.action}`,
          target,
          decision,
          ms
        })
        yield* Effect.logWarning(`operator: ${action.action}: ${result}`).pipe(
          Effect.annotateLogs({ by: by.client, ...targeted })
        )
      })

    const act = (action: Action, by: Principal) =>
      Effect.gen(function* () {
        const started = yield* monotonicMillis
        const elapsed = Effect.map(monotonicMillis, (now) => Math.round(now - started))
        return yield* perform(action).pipe(
          Effect.tap(({ result }) => Effect.flatMap(elapsed, (ms) => recorded(action, by, "ok", result, ms))),
          Effect.tapError((error) =>
            Effect.flatMap(elapsed, (ms) =>
              recorded(action, by, "QUOTA_STORE_UNAVAILABLE", error.description, ms)
            )
          )
        )
      }).pipe(
        // Once begun it is finished, and written down: the caller may be gone by then.
        Effect.uninterruptible,
        oneAtATime.withPermits(1)
      )

    const snapshot = (see: "all" | "totals"): Effect.Effect<Snapshot> =>
      Effect.gen(function* () {
        const shared = yield* view.shared
        const totals: Snapshot = {
          ...shared,
          ...(server === undefined ? {} : { server: { ...server, process: calls.processId } }),
          circuit: { ...shared.circuit, held: circuit.isHeld() },
          mode: { ...shared.mode, pinned: ladder.isHeld() }
        }
        return see === "totals"
          ? Snapshots.totals(totals)
          : {
              ...totals,
              ...(totals.config === undefined
                ? {}
                : { config: { ...totals.config, ...(yield* view.wrong) } }),
              ...(yield* view.told),
              ...(yield* view.refusedUsers),
              ...(yield* view.warehouses),
              ...(yield* view.accountBudgets),
              running: yield* view.running,
              queue: yield* view.queue,
              clients: yield* view.clients,
              tiers: yield* view.tiers,
              unserved: yield* view.unserved,
              observed: yield* view.observed,
              actions: [...actions]
            }
      })

    return Operator.of({
      snapshot,
      history: (atMost) => Effect.sync(() => History.read(history, atMost)),
      act,
      sampleMetrics
    })
  })

/**
 * Over the services that are provided; samples them while the scope is open.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options?: Options) => Layer.scoped(Operator, make(options))

/**
 * An operator of nothing: every service it asks lets everything through.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerNoop: Layer.Layer<Operator> = Layer.provide(
  layer(),
  Layer.mergeAll(
    Layer.provide(Activity.layer, Audit.layerNoop),
    Audit.layerNoop,
    Bulkhead.layerNoop,
    CircuitBreaker.layerNoop,
    Degradation.layerNoop,
    LoopGuard.layerNoop,
    Quota.layerNoop,
    QuotaStore.layerMemory,
    RateLimiter.layerNoop,
    ResultCache.layerNoop,
    Retry.layerNoop,
    RunningCalls.layer
  )
)
