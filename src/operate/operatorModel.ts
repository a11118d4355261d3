/** What an operator sees and does. These are also the JSON of `/status/data` and `/admin`. */
import * as Schema from "effect/Schema"
import { Mode, Signal } from "../guard/Degradation.js"
import { Phase } from "../guard/CircuitBreaker.js"
import { QuotaName, StoreMode } from "../quota/QuotaStore.js"

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
  /** Absent: nobody can say, or there is none. */
  limit: optional(Schema.Number),
  resets_at: Schema.String
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
  quotas: Schema.Array(QuotaUse)
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
  warehouse: Schema.Literal("duckdb", "snowflake"),
  account: optional(Schema.String),
  user: optional(Schema.String),
  role: optional(Schema.String),
  virtual_warehouse: optional(Schema.String)
})
/**
 * @since 0.1.0
 * @category models
 */
export type Identity = typeof Identity.Type

/**
 * A call that is under way, as an administrator sees it.
 *
 * @since 0.1.0
 * @category models
 */
export const RunningRow = Schema.Struct({
  client: Schema.String,
  tool: Schema.String,
  ms: Schema.Number,
  /** Its statement is in the warehouse. */
  sent: Schema.Boolean
})

const Outcome = Schema.Literal("refused", "rejected", "failed")

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
      reason: optional(Schema.String),
      next_login_in_ms: optional(Schema.Number)
    })
  ),
  /** What an operator has to mend, while it is fresh. */
  trouble: optional(
    Schema.Struct({ reason: Schema.String, description: Schema.String, ms_ago: Schema.Number })
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
  retries: Schema.Struct({ budget: Schema.Number, retries: Schema.Number }),
  cache: Schema.Struct({
    entries: Schema.Number,
    bytes: Schema.Number,
    fresh_hits: Schema.Number,
    stale_hits: Schema.Number
  }),
  calls: Schema.Struct({ ...Counts.fields, bytes: Schema.Number }),
  /** What was not served since the start, by code: the most frequent first. */
  codes: optional(
    Schema.Array(
      Schema.Struct({
        code: Schema.String,
        outcome: Outcome,
        count: Schema.Number,
        last_ms_ago: Schema.Number
      })
    )
  ),
  /** For administrators, as all that follows: the calls under way, the oldest first. */
  running: optional(Schema.Array(RunningRow)),
  /** The latest calls that were not served, the newest first. */
  unserved: optional(
    Schema.Array(
      Schema.Struct({
        at: Schema.Number,
        client: Schema.String,
        tool: Schema.String,
        code: Schema.String,
        outcome: Outcome
      })
    )
  ),
  clients: optional(Schema.Array(ClientRow)),
  actions: optional(Schema.Array(ActionRow))
})
/**
 * @since 0.1.0
 * @category models
 */
export type Snapshot = typeof Snapshot.Type

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
      "warehouse/unlatch"
    )
  }),
  Schema.Struct({
    action: Schema.Literal("ladder/pin"),
    mode: Mode.annotations({ message: () => oneOf(Mode.literals) })
  }),
  Schema.Struct({
    action: Schema.Literal("quota/reset"),
    client: Schema.String.pipe(Schema.minLength(1), Schema.maxLength(512)),
    quota: Schema.optional(QuotaName.annotations({ message: () => oneOf(QuotaName.literals) }))
  })
)
/**
 * @since 0.1.0
 * @category models
 */
export type Action = typeof Action.Type

/**
 * @since 0.1.0
 * @category models
 */
export const Done = Schema.Struct({
  /** False: it was so already. */
  changed: Schema.Boolean,
  /** In words. */
  result: Schema.String
})
/**
 * @since 0.1.0
 * @category models
 */
export type Done = typeof Done.Type
