/**
 * What an operator sees of a server, and how it is taken from the services. It is also the JSON of `/status/data`.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Struct from "effect/Struct"
import { Bulkhead } from "../guard/Bulkhead.js"
import * as CircuitBreaker from "../guard/CircuitBreaker.js"
import { Phase } from "../guard/CircuitBreaker.js"
import * as Degradation from "../guard/Degradation.js"
import { Mode, Signal } from "../guard/Degradation.js"
import { RateLimiter } from "../guard/RateLimiter.js"
import { Retry } from "../guard/Retry.js"
import { Activity } from "../observe/Activity.js"
import { RunningCalls } from "../observe/RunningCalls.js"
import { names as eventNames } from "../platform/core/Events.js"
import * as EventLoop from "../platform/EventLoop.js"
import { monotonicMillis } from "../platform/monotonic.js"
import * as Package from "../platform/package.js"
import { quoted } from "../platform/quoted.js"
import type { QuotaStatus } from "../quota/Quota.js"
import { Credits } from "../quota/Credits.js"
import { Quota } from "../quota/Quota.js"
import * as Store from "../quota/QuotaStore.js"
import { QuotaName, StoreMode } from "../quota/QuotaStore.js"
import { CallPolicy, hasTool, toolNames } from "../tools/CallPolicy.js"
import { ResultCache } from "../tools/ResultCache.js"
import { finite } from "../tools/schemas.js"
import * as WarehouseHealth from "../warehouse/WarehouseHealth.js"
import { Alerts } from "./Alerts.js"
import { Reloads } from "./Reloads.js"

const optional = <A, I>(schema: Schema.Schema<A, I>) => Schema.optionalWith(schema, { exact: true })

const Counts = Schema.Struct({
  ok: Schema.Number,
  refused: Schema.Number,
  rejected: Schema.Number,
  failed: Schema.Number,
  cancelled: Schema.Number
})

const QuotaUse = Schema.Struct({
  quota: QuotaName,
  used: Schema.Number,
  /** Absent: unknown, or there is none. */
  limit: optional(Schema.Number),
  resets_at: Schema.String,
  /** The client's tier only observes it: it refuses nothing. */
  observed: optional(Schema.Boolean)
})

/**
 * A client as an administrator sees it.
 *
 * @since 0.1.0
 * @category models
 */
export const ClientRow = Schema.Struct({
  client: Schema.String,
  tier: Schema.String,
  calls: Counts,
  bytes: Schema.Number,
  last_call_ms_ago: Schema.Number,
  last_decision: Schema.String,
  /** User and role in the warehouse of its last statement. */
  acts_as: optional(Schema.String),
  quotas: Schema.Array(QuotaUse)
})

/**
 * What is particular to a tier: the limits by tool, the tools that it does not have, and what it only observes.
 *
 * @since 0.1.0
 * @category models
 */
export const TierRow = Schema.Struct({
  tier: Schema.String,
  denied: Schema.Array(Schema.String),
  /** Rate limits by scope, and quotas by name. */
  observes: Schema.Array(Schema.String),
  tools: Schema.Array(
    Schema.Struct({
      tool: Schema.String,
      /** Calls that each client may make; absent where the tool has no limit of its own. */
      per_second: optional(Schema.Number),
      burst: optional(Schema.Number),
      /** Calls of the client's own rate that one call takes, where that is not 1. */
      weight: optional(Schema.Number),
      /** Of the clients that are shown the one that has least left. */
      lowest: optional(Schema.Struct({ client: Schema.String, remaining: Schema.Number }))
    })
  )
})

/**
 * An action of the last ones, as an administrator sees it.
 *
 * @since 0.1.0
 * @category models
 */
export const ActionRow = Schema.Struct({
  at: Schema.Number,
  by: Schema.String,
  action: Schema.String,
  target: optional(Schema.String),
  result: Schema.String
})

/**
 * Which server it is, as far as it is known.
 *
 * @since 0.1.0
 * @category models
 */
export const Identity = Schema.Struct({
  /** The machine. */
  host: Schema.String,
  /** Where it listens. */
  port: optional(Schema.Number),
  /** The process, by the word that its ids of calls begin with. */
  process: optional(Schema.String),
  warehouse: Schema.Literal("duckdb", "snowflake"),
  account: optional(Schema.String),
  user: optional(Schema.String),
  role: optional(Schema.String),
  /** As whom the statements of callers run, where not all are one user. */
  identity: optional(Schema.Literal("client", "exchange")),
  virtual_warehouse: optional(Schema.String)
})
/**
 * @since 0.1.0
 * @category models
 */
export type Identity = typeof Identity.Type

/**
 * A server by a name that no other one of a fleet has.
 *
 * @since 0.1.0
 * @category rendering
 */
export const serverName = ({ host, port, process }: Partial<Pick<Identity, "host" | "port" | "process">>) =>
  [
    ...(host === undefined ? [] : [port === undefined ? host : `${host}:${port}`]),
    ...(process === undefined ? [] : [`process ${process}`])
  ].join(", ")

/**
 * A call that is under way, as an administrator sees it.
 *
 * @since 0.1.0
 * @category models
 */
export const RunningRow = Schema.Struct({
  /** What it is cancelled by. */
  id: Schema.String,
  client: Schema.String,
  tool: Schema.String,
  ms: Schema.Number,
  /** Its statement is in the warehouse. */
  sent: Schema.Boolean,
  /** Rows that have arrived. */
  rows: Schema.Number,
  /** Where the audit log holds the text of statements, too. */
  statement: optional(Schema.String)
})

const Outcome = Schema.Literal("refused", "rejected", "failed")

/** A code, how often it was, and when for the last time. */
const CodeCount = { code: Schema.String, count: Schema.Number, last_ms_ago: Schema.Number }

/** One call. */
const Refused = { at: Schema.Number, client: Schema.String, tool: Schema.String, code: Schema.String }

/**
 * Everything at one moment. Times are milliseconds; `at` is the wall clock.
 *
 * @since 0.1.0
 * @category models
 */
export const Snapshot = Schema.Struct({
  at: Schema.Number,
  uptime_ms: Schema.Number,
  version: Schema.String,
  server: optional(Identity),
  circuit: Schema.Struct({
    phase: Phase,
    trips: Schema.Number,
    calls: Schema.Number,
    failures: Schema.Number,
    slow: Schema.Number,
    next_probe_in_ms: optional(Schema.Number),
    cause: optional(Schema.String),
    /** Held open from here; others may hold it too. */
    held: Schema.Boolean
  }),
  /** Absent where there is none to mend. */
  login: optional(
    Schema.Struct({
      latched: Schema.Boolean,
      /** It is of some users, and callers with others are served; why is in `refused_users`. */
      only_some: optional(Schema.Boolean),
      reason: optional(Schema.String),
      next_login_in_ms: optional(Schema.Number)
    })
  ),
  /** Users whose logins are held back, where callers have users of their own; for administrators. */
  refused_users: optional(
    Schema.Array(
      Schema.Struct({ user: Schema.String, reason: Schema.String, next_login_in_ms: Schema.Number })
    )
  ),
  /** What an operator has to mend, while it is fresh. */
  trouble: optional(
    Schema.Struct({
      reason: Schema.String,
      /** The warehouse's own: 000608. */
      code: optional(Schema.String),
      description: Schema.String,
      ms_ago: Schema.Number,
      /** How long ago a success showed that it is over; absent while it is not. */
      recovered_ms_ago: optional(Schema.Number),
      /** Whose it is, where callers have users of their own; for administrators, as the whole of it then is. */
      user: optional(Schema.String)
    })
  ),
  mode: Schema.Struct({
    mode: Mode,
    since_ms: Schema.Number,
    why: Schema.String,
    signal: optional(Signal),
    way_back: optional(Schema.String),
    back_in_ms: optional(Schema.Number),
    shedding: Schema.Number,
    /** Pinned from here. */
    pinned: Schema.Boolean
  }),
  pools: Schema.Array(
    Schema.Struct({
      pool: Schema.String,
      slots: Schema.Number,
      in_use: Schema.Number,
      queued: Schema.Number,
      estimated_wait_ms: Schema.Number
    })
  ),
  backoff_factor: Schema.Number,
  /** By how much the event loop was late in the last one to two minutes; absent where it is not measured. */
  event_loop: optional(Schema.Struct({ p99_ms: Schema.Number, max_ms: Schema.Number })),
  rate_limits: Schema.Array(
    Schema.Struct({
      scope: Schema.String,
      name: optional(Schema.String),
      per_second: Schema.Number,
      burst: Schema.Number,
      remaining: Schema.Number
    })
  ),
  /** Of all clients together. */
  quotas: Schema.Array(QuotaUse),
  quotas_unavailable: optional(Schema.String),
  /** Where they are counted. */
  quota_store: optional(
    Schema.Struct({
      mode: StoreMode,
      since: optional(Schema.String),
      reason: optional(Schema.String),
      /** Calls are refused because of it. */
      refusing: Schema.Boolean,
      /** Waiting does not mend it. */
      lasting: Schema.Boolean
    })
  ),
  /** The settings; absent where they are read at the start alone. */
  config: optional(
    Schema.Struct({
      generation: Schema.Number,
      /** Since the settings in force were read, without a fault, for the last time. */
      loaded_ms_ago: Schema.Number,
      /** What is wrong with those that were read last: how much, since when, and for administrators what. */
      faults: Schema.Number,
      faults_ms_ago: optional(Schema.Number),
      wrong: optional(Schema.Array(Schema.String)),
      /** Where they are read from, beside the environment; for administrators. */
      file: optional(Schema.String),
      /** Settings that have changed and wait for a restart. */
      needs_restart: optional(Schema.Array(Schema.String))
    })
  ),
  retries: Schema.Struct({ budget: Schema.Number, retries: Schema.Number }),
  cache: Schema.Struct({
    entries: Schema.Number,
    bytes: Schema.Number,
    fresh_hits: Schema.Number,
    stale_hits: Schema.Number
  }),
  calls: Schema.Struct({ ...Counts.fields, bytes: Schema.Number }),
  /** What was not served since the start, by code: the most frequent first. */
  codes: optional(Schema.Array(Schema.Struct({ ...CodeCount, outcome: Outcome }))),
  /** What limits that are observed would have refused since the start, by limit: the most frequent first. */
  would_refuse: optional(Schema.Array(Schema.Struct({ ...CodeCount, scope: Schema.String }))),
  /** For administrators, as all that follows: the calls under way, the oldest first. */
  running: optional(Schema.Array(RunningRow)),
  /** Who waits for slots, by pool, in the order of their turns. */
  queue: optional(
    Schema.Array(Schema.Struct({ pool: Schema.String, client: Schema.String, calls: Schema.Number }))
  ),
  /** The latest calls that were not served, the newest first. */
  unserved: optional(Schema.Array(Schema.Struct({ ...Refused, outcome: Outcome }))),
  /** The latest calls that a limit which is observed would have refused, the newest first. */
  observed: optional(Schema.Array(Schema.Struct({ ...Refused, scope: Schema.String }))),
  clients: optional(Schema.Array(ClientRow)),
  tiers: optional(Schema.Array(TierRow)),
  /** What receivers of alerts are told of, the newest first, and how it stands with them. */
  alerts: optional(
    Schema.Struct({
      latest: Schema.Array(
        Schema.Struct({
          at: Schema.Number,
          event: Schema.Literal(...eventNames),
          severity: Schema.Literal("critical", "warning", "info"),
          text: Schema.String
        })
      ),
      receivers: Schema.Array(
        Schema.Struct({
          name: Schema.String,
          host: Schema.String,
          delivered: Schema.Number,
          failed: Schema.Number,
          waiting: Schema.Number,
          dropped: Schema.Number,
          trouble: optional(Schema.String)
        })
      )
    })
  ),
  /** What statements cost since the start, by virtual warehouse; absent where none costs credits. */
  warehouses: optional(
    Schema.Array(
      Schema.Struct({
        warehouse: optional(Schema.String),
        kind: optional(Schema.String),
        credits_per_hour: Schema.Number,
        /** The rate is not known, and counted as this. */
        assumed: optional(Schema.Boolean),
        state: Schema.Literal("running", "suspended", "unknown"),
        asked_ms_ago: Schema.Number,
        running: Schema.Number,
        credits: Schema.Number
      })
    )
  ),
  /** What the account says of limits of its own (`MY_BUDGET_SUMMARY`), by user; without rows where it does not. */
  account_budgets: optional(
    Schema.Array(
      Schema.Struct({
        user: optional(Schema.String),
        asked_ms_ago: Schema.Number,
        rows: optional(Schema.Array(Schema.Record({ key: Schema.String, value: Schema.Unknown })))
      })
    )
  ),
  actions: optional(Schema.Array(ActionRow))
})
/**
 * @since 0.1.0
 * @category models
 */
export type Snapshot = typeof Snapshot.Type

/** A figure that is added is for administrators alone until it is listed here. */
const forAll = [
  "at",
  "uptime_ms",
  "version",
  "server",
  "circuit",
  "login",
  "mode",
  "pools",
  "backoff_factor",
  "event_loop",
  "rate_limits",
  "quotas",
  "quotas_unavailable",
  "quota_store",
  "retries",
  "cache",
  "calls",
  "codes",
  "would_refuse"
] as const

/**
 * What callers see that may not administer: no client, no user, no text that is about one of them.
 *
 * @since 0.1.0
 * @category combinators
 */
export const totals = (snapshot: Snapshot): Snapshot => {
  const { config, trouble } = snapshot
  return {
    ...Struct.pick(snapshot, ...forAll),
    ...(config === undefined
      ? {}
      : { config: Struct.pick(config, "generation", "loaded_ms_ago", "faults", "faults_ms_ago") }),
    ...(trouble === undefined || trouble.user !== undefined ? {} : { trouble })
  }
}

/**
 * What is remembered of the last hour. Rates are per second; `breaker` and `mode` are how bad it is: 0 is
 * good.
 *
 * @since 0.1.0
 * @category models
 */
export const columns = [
  "ok",
  "refused",
  "rejected",
  "failed",
  "cancelled",
  "p50_ms",
  "p95_ms",
  "requests_in_use",
  "statements_in_use",
  "queued",
  "breaker",
  "mode",
  "shedding",
  "backoff_factor",
  "quota_used"
] as const

/**
 * @since 0.1.0
 * @category models
 */
export type Column = (typeof columns)[number]

/** A store that does not answer must not take the rest with it. */
const STORE_PATIENCE = Duration.seconds(2)

/** Clients that are shown: what fits a page, and what a store can be asked for. */
const SHOWN_CLIENTS = 25

/** Of the calls under way, the oldest; and of the clients that wait, those whose turn is next. */
const SHOWN_CALLS = 50

/** Characters of a statement that are shown. */
const SHOWN_STATEMENT = 300

/** Clients whose rate limits are asked for at the same time, where they are not in this process. */
const AT_ONCE = 8

/** A client that does not exist: what is left in the answer is what all share. */
const noClient = { client: "", tier: "" } as const

const whole = (value: number): number => finite(Math.ceil(value))
const thousandths = (value: number): number => finite(Math.round(value * 1000) / 1000)

const iso = (ms: number): string =>
  Option.match(DateTime.make(ms), { onNone: () => "never", onSome: DateTime.formatIso })

/** Left behind, not waited for, when it takes too long. */
const patiently = <A, E extends { readonly description: string }>(asked: Effect.Effect<A, E>) =>
  asked.pipe(
    Effect.disconnect,
    Effect.interruptible,
    Effect.timeoutFail({
      duration: STORE_PATIENCE,
      onTimeout: () => ({ description: "the quota store did not answer in time" })
    }),
    Effect.mapError(({ description }) => description)
  )

const circuitOf = ({ calls, cause, failures, phase, retryAfterMs, slow, trips }: CircuitBreaker.Status) => ({
  phase,
  trips,
  calls,
  failures,
  slow,
  ...(retryAfterMs > 0 ? { next_probe_in_ms: whole(retryAfterMs) } : {}),
  ...(cause === undefined ? {} : { cause })
})

type Health = Pick<Snapshot, "login" | "trouble">

const healthOf = ({ latched, trouble }: WarehouseHealth.Status): Health => ({
  login:
    latched === undefined
      ? { latched: false }
      : {
          latched: true,
          ...(latched.onlySome === true ? { only_some: true } : { reason: latched.reason }),
          next_login_in_ms: whole(latched.nextLoginInMs)
        },
  ...(trouble === undefined
    ? {}
    : {
        trouble: {
          reason: trouble.reason,
          ...(trouble.code === undefined ? {} : { code: trouble.code }),
          description: trouble.description,
          ms_ago: whole(trouble.agoMs),
          ...(trouble.recoveredAgoMs === undefined
            ? {}
            : { recovered_ms_ago: whole(trouble.recoveredAgoMs) }),
          ...(trouble.user === undefined ? {} : { user: trouble.user })
        }
      })
})

const modeOf = ({ mode, shedding, signal, sinceMs, wayBack, why }: Degradation.Status) => ({
  mode,
  since_ms: whole(sinceMs),
  why,
  ...(signal === undefined ? {} : { signal }),
  ...(wayBack === undefined ? {} : { way_back: wayBack.condition }),
  ...(wayBack?.inMs === undefined ? {} : { back_in_ms: whole(wayBack.inMs) }),
  shedding: thousandths(shedding)
})

const quotaOf = ({ limit, observed, quota, resetAt, used }: QuotaStatus) => ({
  quota,
  used: finite(used),
  limit: finite(limit),
  resets_at: iso(resetAt),
  ...(observed === undefined ? {} : { observed })
})

const usageOf = ({ quota, reserved, resetAt, used }: Store.Usage) => ({
  quota,
  used: finite(used + reserved),
  resets_at: iso(resetAt)
})

const storeOf = ({ lasting = false, mode, reason, refusing = false, since }: Store.Health) => ({
  mode,
  ...(since === undefined ? {} : { since: iso(since) }),
  ...(reason === undefined ? {} : { reason }),
  refusing,
  lasting
})

type Globals = Pick<Snapshot, "quotas" | "quotas_unavailable">

/** How bad, as a number. */
const badness: { readonly [P in CircuitBreaker.Phase]: number } = {
  closed: 0,
  disabled: 0,
  "half-open": 1,
  open: 2,
  "forced-open": 2
}

/** Open and due for a probe, it is tried with the next call. */
const badnessOf = ({ phase, retryAfterMs }: CircuitBreaker.Status): number =>
  badness[phase === "open" && retryAfterMs <= 0 ? "half-open" : phase]

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Statements of calls under way are shown: the audit log holds their text, too. */
  readonly showStatements: boolean
}

export const make = Effect.fnUntraced(function* ({ showStatements }: Options) {
  const activity = yield* Activity
  const calls = yield* RunningCalls
  const breaker = yield* CircuitBreaker.CircuitBreaker
  const degradation = yield* Degradation.Degradation
  const bulkhead = yield* Bulkhead
  const limiter = yield* RateLimiter
  const quota = yield* Quota
  const store = yield* Store.QuotaStore
  const storeHealth = yield* Store.StoreHealth
  const reloads = yield* Reloads
  const alerts = yield* Effect.serviceOption(Alerts)
  const policies = yield* Effect.serviceOption(CallPolicy)
  const retry = yield* Retry
  const cache = yield* ResultCache
  const { health, status } = Option.match(yield* Effect.serviceOption(WarehouseHealth.WarehouseHealth), {
    onNone: (): {
      readonly health: Effect.Effect<Health>
      readonly status: Effect.Effect<WarehouseHealth.Status>
    } => ({
      health: Effect.succeed({}),
      status: Effect.succeed({})
    }),
    onSome: ({ status }) => ({ health: Effect.map(status, healthOf), status })
  })
  const credits = Option.getOrUndefined(yield* Effect.serviceOption(Credits))
  const loop = yield* EventLoop.delayIfAny
  const startedAt = yield* Clock.currentTimeMillis

  const globals: Effect.Effect<Globals> = patiently(quota.status(noClient.client, noClient.tier)).pipe(
    Effect.match({
      // Whether they are observed is each tier's own.
      onSuccess: (all) => ({
        quotas: all.flatMap(({ observed: _, ...one }) => (one.scope === "global" ? [quotaOf(one)] : []))
      }),
      onFailure: (description) => ({ quotas: [], quotas_unavailable: description })
    })
  )

  const pools = Effect.map(bulkhead.status, (all) =>
    all.map(({ estimatedWaitMs, inUse, permits, pool, queued }) => ({
      pool,
      slots: finite(permits),
      in_use: inUse,
      queued,
      estimated_wait_ms: whole(estimatedWaitMs)
    }))
  )

  /** Buckets that all clients share. */
  const rateLimits = Effect.map(limiter.status(noClient.client, noClient.tier), (all) =>
    all
      .filter(({ scope }) => scope === "global" || scope === "class")
      .map(({ burst, name, ratePerSecond, remaining, scope }) => ({
        scope,
        ...(name === undefined ? {} : { name }),
        per_second: finite(ratePerSecond),
        burst: finite(burst),
        remaining: finite(Math.floor(remaining))
      }))
  )

  const warehouses =
    credits === undefined
      ? Effect.succeed({})
      : Effect.map(credits.warehouses, (all) => ({
          warehouses: all.map(
            ({ ageMs, creditsPerHour, isKnown, kind, running, spent, state, warehouse }) => ({
              ...(warehouse === undefined ? {} : { warehouse }),
              ...(kind === undefined ? {} : { kind }),
              credits_per_hour: thousandths(creditsPerHour),
              ...(isKnown ? {} : { assumed: true }),
              state,
              asked_ms_ago: whole(ageMs),
              running,
              credits: thousandths(spent)
            })
          )
        }))

  const accountBudgets =
    credits === undefined
      ? Effect.succeed({})
      : Effect.map(credits.allBudgets, (all) => ({
          account_budgets: all.slice(0, SHOWN_CLIENTS).map(({ ageMs, rows, user }) => ({
            ...(user === undefined ? {} : { user }),
            asked_ms_ago: whole(ageMs),
            ...(rows === undefined ? {} : { rows })
          }))
        }))

  /** What all may see; `held` and `pinned` are the operator's to say. */
  const shared = Effect.gen(function* () {
    const at = yield* Clock.currentTimeMillis
    const { backoffFactor, budget, retries } = yield* retry.status
    const { bytes, entries, freshHits, staleHits } = yield* cache.status
    const totals = yield* activity.totals
    const { codes } = yield* activity.unserved
    const { limits } = yield* activity.observed
    const config = yield* reloads.status
    const late = yield* loop
    return {
      at,
      uptime_ms: at - startedAt,
      version: Package.version,
      circuit: circuitOf(yield* breaker.status),
      ...(yield* health),
      mode: modeOf(yield* degradation.status),
      pools: yield* pools,
      backoff_factor: thousandths(backoffFactor),
      ...(late === undefined ? {} : { event_loop: { p99_ms: whole(late.p99Ms), max_ms: whole(late.maxMs) } }),
      rate_limits: yield* rateLimits,
      ...(yield* globals),
      quota_store: storeOf(yield* storeHealth.status),
      ...(config === undefined
        ? {}
        : {
            config: {
              generation: config.generation,
              loaded_ms_ago: Math.max(0, at - config.loadedAt),
              faults: config.faults.length,
              ...(config.faults.length === 0 || config.faultsAt === undefined
                ? {}
                : { faults_ms_ago: Math.max(0, at - config.faultsAt) })
            }
          }),
      retries: { budget: thousandths(budget), retries },
      cache: { entries, bytes, fresh_hits: freshHits, stale_hits: staleHits },
      calls: { ...totals.counts, bytes: totals.bytes },
      codes: codes.flatMap(({ code, count, lastAt, outcome }) =>
        outcome === "ok" || outcome === "cancelled"
          ? []
          : [{ code, outcome, count, last_ms_ago: Math.max(0, at - lastAt) }]
      ),
      ...(limits.length === 0
        ? {}
        : {
            would_refuse: limits.map(({ code, count, lastAt, scope }) => ({
              code,
              scope,
              count,
              last_ms_ago: Math.max(0, at - lastAt)
            }))
          })
    }
  })

  /** What administrators see of the settings beside what all do. */
  const wrong = Effect.map(reloads.status, (config) =>
    config === undefined
      ? {}
      : {
          wrong: config.faults.map(({ text }) => text),
          needs_restart: config.needRestart,
          ...(config.path === undefined ? {} : { file: config.path })
        }
  )

  const told = Option.match(alerts, {
    onNone: () => Effect.succeed({}),
    onSome: ({ status }) =>
      Effect.map(status, ({ latest, receivers }) => ({
        alerts: {
          latest: latest.map(({ at, event: { event, severity, text } }) => ({ at, event, severity, text })),
          receivers: receivers.map(({ trouble, ...one }) =>
            trouble === undefined ? one : { ...one, trouble }
          )
        }
      }))
  })

  const refusedUsers = Effect.map(status, ({ refusedUsers = [] }) =>
    refusedUsers.length === 0
      ? {}
      : {
          refused_users: refusedUsers.map(({ nextLoginInMs, reason, user }) => ({
            user,
            reason,
            next_login_in_ms: whole(nextLoginInMs)
          }))
        }
  )

  const unserved = Effect.map(activity.unserved, ({ latest }) =>
    latest.flatMap(({ at, client, code, outcome, tool }) =>
      outcome === "ok" || outcome === "cancelled" ? [] : [{ at, client, tool, code, outcome }]
    )
  )

  const running = Effect.zipWith(calls.all, monotonicMillis, (all, now) =>
    all.slice(0, SHOWN_CALLS).map(([id, { client, progress, since, tool }]) => {
      const { rows, sent, statement } = progress()
      return {
        id,
        client,
        tool,
        ms: Math.max(0, Math.round(now - since)),
        sent,
        rows,
        ...(showStatements && statement !== undefined
          ? { statement: quoted(statement, SHOWN_STATEMENT) }
          : {})
      }
    })
  )

  const queue = Effect.map(bulkhead.status, (all) =>
    all.flatMap(({ pool, waiting = [] }) =>
      waiting.slice(0, SHOWN_CALLS).map(([client, calls]) => ({ pool, client, calls }))
    )
  )

  const observed = Effect.map(activity.observed, ({ latest }) => latest)

  const clients = Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    const seen = yield* activity.clients(SHOWN_CLIENTS)
    const quotas = yield* patiently(
      Effect.forEach(seen, ({ client, tier }) =>
        Effect.zipWith(store.usage(Store.clientKey(client)), quota.status(client, tier), (usage, limited) => {
          const known = limited.filter(({ scope }) => scope === "client")
          const others = usage.filter((one) => !known.some((other) => other.quota === one.quota))
          return [...known.map(quotaOf), ...others.map(usageOf)]
        }).pipe(
          // Of one that was not heard of before the store was lost nothing is known; of others it is.
          Effect.catchIf(
            ({ operation }) => operation === "usage",
            () => Effect.succeed([])
          )
        )
      )
    ).pipe(Effect.orElseSucceed(() => seen.map(() => [])))
    return seen.map(({ actsAs, bytes, client, counts, lastAt, lastDecision, tier }, i) => ({
      client,
      tier,
      calls: counts,
      bytes,
      last_call_ms_ago: Math.max(0, now - lastAt),
      last_decision: lastDecision,
      ...(actsAs === undefined ? {} : { acts_as: actsAs }),
      quotas: quotas[i] ?? []
    }))
  })

  const tier = (name: string, hasTool: (tool: string) => boolean) =>
    Effect.gen(function* () {
      const rates = yield* limiter.status(noClient.client, name)
      const kinds = yield* patiently(quota.status(noClient.client, name)).pipe(
        Effect.orElseSucceed((): ReadonlyArray<QuotaStatus> => [])
      )
      const buckets = new Map(
        rates.flatMap((one) => (one.scope === "tool" && one.name !== undefined ? [[one.name, one]] : []))
      )
      const weights = new Map(rates.flatMap(({ weights = {} }) => Object.entries(weights)))
      const limited = [...new Set([...buckets.keys(), ...weights.keys()])].filter(hasTool).sort()
      const mine =
        buckets.size === 0 ? [] : (yield* activity.clients(SHOWN_CLIENTS)).filter((one) => one.tier === name)
      const left = yield* Effect.forEach(
        mine,
        ({ client }) => Effect.map(limiter.status(client, name), (status) => ({ client, status })),
        { concurrency: AT_ONCE }
      )
      const lowest = (tool: string) =>
        left
          .flatMap(({ client, status }) =>
            status.flatMap(({ name, remaining, scope }) =>
              scope === "tool" && name === tool ? [{ client, remaining: finite(Math.floor(remaining)) }] : []
            )
          )
          .sort((a, b) => a.remaining - b.remaining)[0]
      return {
        tier: name,
        denied: toolNames.filter((tool) => !hasTool(tool)),
        observes: [
          ...new Set([
            ...rates.flatMap(({ observed, scope }) => (observed === true ? [scope] : [])),
            ...kinds.flatMap(({ observed, quota }) => (observed === true ? [quota] : []))
          ])
        ],
        tools: limited.map((tool) => {
          const bucket = buckets.get(tool)
          const weight = weights.get(tool)
          const least = bucket === undefined ? undefined : lowest(tool)
          return {
            tool,
            ...(bucket === undefined
              ? {}
              : { per_second: finite(bucket.ratePerSecond), burst: finite(bucket.burst) }),
            ...(weight === undefined ? {} : { weight }),
            ...(least === undefined ? {} : { lowest: least })
          }
        })
      }
    })

  /** Those that differ from a tier that has all tools, and no limit by tool, and enforces all. */
  const tiers = Option.match(policies, {
    onNone: () => Effect.succeed([]),
    onSome: ({ of, tiers = () => [] }) =>
      Effect.map(
        Effect.forEach(tiers(), (name) => tier(name, (tool) => hasTool(of(name), tool))),
        (all) =>
          all.filter(({ denied, observes, tools }) => denied.length + observes.length + tools.length > 0)
      )
  })

  /** One line of the history; the calls are those since the last one. */
  const sample = (elapsedMs: number): Effect.Effect<{ readonly [C in Column]: number }> =>
    Effect.gen(function* () {
      const { counts, p50, p95 } = yield* activity.take
      const perSecond = (count: number) => thousandths((count * 1000) / Math.max(1, elapsedMs))
      const { mode, shedding } = yield* degradation.status
      const inPools = yield* bulkhead.status
      const used = (name: string) => inPools.find(({ pool }) => pool === name)?.inUse ?? 0
      const { quotas } = yield* globals
      return {
        ok: perSecond(counts.ok),
        refused: perSecond(counts.refused),
        rejected: perSecond(counts.rejected),
        failed: perSecond(counts.failed),
        cancelled: perSecond(counts.cancelled),
        p50_ms: p50 ?? 0,
        p95_ms: p95 ?? 0,
        requests_in_use: used("requests"),
        statements_in_use: used("statements"),
        queued: inPools.reduce((sum, { queued }) => sum + queued, 0),
        breaker: badnessOf(yield* breaker.status),
        mode: Degradation.Mode.literals.indexOf(mode),
        shedding: thousandths(shedding),
        backoff_factor: thousandths((yield* retry.status).backoffFactor),
        quota_used: thousandths(Math.max(0, ...quotas.map(({ limit = Infinity, used }) => used / limit)))
      }
    })

  return {
    shared,
    clients,
    tiers,
    warehouses,
    accountBudgets,
    refusedUsers,
    running,
    queue,
    unserved,
    observed,
    wrong,
    told,
    sample
  }
})
