/**
 * `get_limits`: what the caller may still do, and when more. It stands outside the guard: a client that has
 * been refused must be able to ask why.
 *
 * @since 0.1.0
 */
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Bulkhead from "../guard/Bulkhead.js"
import { CallPolicy } from "./CallPolicy.js"
import * as CircuitBreaker from "../guard/CircuitBreaker.js"
import * as Deadline from "../guard/Deadline.js"
import * as Degradation from "../guard/Degradation.js"
import * as Fields from "./schemas.js"
import { CurrentPrincipal } from "../platform/Principal.js"
import { withNow } from "../platform/monotonic.js"
import type { QuotaStatus } from "../quota/Quota.js"
import { Quota } from "../quota/Quota.js"
import { Credits } from "../quota/Credits.js"
import type { Budgets, Status as Compute } from "../quota/Credits.js"
import type { Health } from "../quota/QuotaStore.js"
import { StoreHealth, StoreMode } from "../quota/QuotaStore.js"
import * as RateLimiter from "../guard/RateLimiter.js"
import { Retry } from "../guard/Retry.js"
import type { Acting } from "../warehouse/Warehouse.js"
import { Warehouse } from "../warehouse/Warehouse.js"
import * as Tool from "./Tool.js"

/** Milliseconds. A store that does not answer must not take this answer with it. */
const QUOTA_PATIENCE_MS = 2_000

/** The same while the server stops. */
const WIND_DOWN_MS = 0

const silentStore = Effect.fail({ description: "the quota store did not answer in time" })

const input = Fields.closed(Schema.Struct({}))

/** Of a limit that the caller's tier does not enforce. */
const Observed = Schema.Boolean.annotations({ description: "Not enforced." })

const output = Schema.Struct({
  client: Schema.String,
  tier: Schema.String,
  /** As whom the caller's statements run in the warehouse: identity, user, role, warehouse. */
  acting_as: Schema.optional(Schema.Record({ key: Schema.String, value: Schema.String })),
  rate_limits: Schema.Array(
    Schema.Struct({
      scope: RateLimiter.Scope,
      name: Schema.optional(Schema.String),
      per_second: Fields.Num,
      burst: Fields.Num,
      remaining: Fields.Num.annotations({ description: "Calls possible right now." }),
      full_in_ms: Fields.Num,
      reserved: Schema.optional(
        Fields.Num.annotations({
          description: "Kept for clients below their share."
        })
      ),
      weights: Schema.optional(Schema.Record({ key: Schema.String, value: Fields.Num })),
      observed: Schema.optional(Observed)
    })
  ),
  quotas: Schema.Array(
    Schema.Struct({ ...Fields.QuotaWarning.fields, observed: Schema.optional(Observed) })
  ).annotations({
    description: "bytes_per_day counts the JSON of columns and rows once."
  }),
  /** Why quotas could not be read. */
  quotas_unavailable: Schema.optional(Schema.String),
  quota_store: Schema.optional(
    Schema.Struct({
      mode: StoreMode.annotations({
        description: "outage: out of reach; a share of what was left may be used."
      }),
      since: Schema.optional(Schema.String),
      reason: Schema.optional(Schema.String)
    }).annotations({ description: "Absent while normal." })
  ),
  /** Where credits count: the virtual warehouse, its rate and state, and limits of the account's own. */
  credits: Schema.optional(Schema.Record({ key: Schema.String, value: Schema.Unknown })),
  circuit: Schema.Struct({
    phase: CircuitBreaker.Phase.annotations({ description: "closed: the warehouse is being called." }),
    calls: Fields.Num,
    failures: Fields.Num,
    next_probe_in_ms: Schema.optional(
      Fields.Num.annotations({ description: "Until then no call reaches the warehouse." })
    ),
    cause: Schema.optional(Schema.String)
  }),
  mode: Schema.Struct({
    mode: Degradation.Mode.annotations({ description: "normal: everything is served." }),
    why: Schema.String,
    way_back: Schema.optional(Schema.String),
    back_in_ms: Schema.optional(
      Fields.Num.annotations({ description: "At least, until more is served again." })
    ),
    shedding: Fields.Num.annotations({ description: "Share of queries turned away, 0 to 1." })
  }),
  backoff_factor: Fields.Num.annotations({
    description: "Pauses before retries are so many times longer."
  }),
  concurrency: Schema.Array(
    Schema.Struct({
      pool: Bulkhead.Pool,
      slots: Fields.Num,
      in_use: Fields.Num,
      queued: Fields.Num,
      estimated_wait_ms: Fields.Num
    })
  ),
  caps: Schema.Struct({
    default_rows: Fields.Num,
    max_rows: Fields.Num,
    max_result_bytes: Fields.Num,
    query_timeout_seconds: Fields.Num,
    max_query_timeout_seconds: Fields.Num
  }).annotations({ description: "What one call may ask for." })
})

const rateLimit = (status: RateLimiter.ScopeStatus) => ({
  scope: status.scope,
  ...(status.name === undefined ? {} : { name: status.name }),
  per_second: Fields.finite(status.ratePerSecond),
  burst: Fields.finite(status.burst),
  remaining: Fields.finite(Math.floor(status.remaining)),
  full_in_ms: Fields.finite(Math.ceil(status.resetMs)),
  ...(status.reserved === undefined ? {} : { reserved: Fields.finite(Math.floor(status.reserved)) }),
  ...(status.weights === undefined ? {} : { weights: status.weights }),
  ...(status.observed === undefined ? {} : { observed: status.observed })
})

const quotaUse = (status: QuotaStatus) => ({
  ...Fields.quotaWarning(status),
  ...(status.observed === undefined ? {} : { observed: status.observed })
})

const instant = (ms: number): string =>
  Option.match(DateTime.make(ms), { onNone: () => "unknown", onSome: DateTime.formatIso })

const quotaStore = ({ mode, reason, since }: Health) =>
  mode === "normal" && since === undefined
    ? {}
    : {
        quota_store: {
          mode,
          ...(since === undefined ? {} : { since: instant(since) }),
          ...(reason === undefined ? {} : { reason })
        }
      }

const circuit = ({ calls, cause, failures, phase, retryAfterMs }: CircuitBreaker.Status) => ({
  phase,
  calls,
  failures,
  ...(retryAfterMs > 0 ? { next_probe_in_ms: Fields.finite(Math.ceil(retryAfterMs)) } : {}),
  ...(cause === undefined ? {} : { cause })
})

const mode = ({ mode, shedding, wayBack, why }: Degradation.Status) => ({
  mode,
  why,
  shedding: Math.round(shedding * 1000) / 1000,
  ...(wayBack === undefined ? {} : { way_back: wayBack.condition }),
  ...(wayBack?.inMs === undefined ? {} : { back_in_ms: Fields.finite(Math.ceil(wayBack.inMs)) })
})

const acting = (acting: Acting | undefined) => {
  if (acting === undefined) return {}
  const { mode, role, user, warehouse } = acting
  return {
    acting_as: {
      identity: mode,
      ...(user === undefined ? {} : { user }),
      ...(role === undefined ? {} : { role }),
      ...(warehouse === undefined ? {} : { warehouse })
    }
  }
}

const budgets = (budgets: Budgets | undefined) => {
  if (budgets === undefined) return {}
  return budgets.rows === undefined
    ? { account_budgets_note: "The account does not tell its own limits (MY_BUDGET_SUMMARY)." }
    : { account_budgets: budgets.rows }
}

const creditsOf = (compute: Compute | undefined, mayResume: boolean, told: Budgets | undefined) =>
  compute === undefined
    ? {}
    : {
        credits: {
          ...(compute.warehouse === undefined ? {} : { warehouse: compute.warehouse }),
          ...(compute.kind === undefined ? {} : { kind: compute.kind }),
          credits_per_hour: compute.creditsPerHour,
          ...(compute.isKnown ? {} : { assumed: true }),
          state: compute.state,
          age_seconds: Math.round(compute.ageMs / 1000),
          may_resume: mayResume,
          ...budgets(told)
        }
      }

const concurrency = (status: Bulkhead.PoolStatus) => ({
  pool: status.pool,
  slots: Fields.finite(status.permits),
  in_use: status.inUse,
  queued: status.queued,
  estimated_wait_ms: Fields.finite(Math.ceil(status.estimatedWaitMs))
})

/**
 * The tool, over the limits of the context; it charges nothing but its own request.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = Effect.gen(function* () {
  const limiter = yield* RateLimiter.RateLimiter
  const quota = yield* Quota
  const breaker = yield* CircuitBreaker.CircuitBreaker
  const bulkhead = yield* Bulkhead.Bulkhead
  const degradation = yield* Degradation.Degradation
  const retry = yield* Retry
  const policies = yield* CallPolicy
  const store = yield* StoreHealth
  const warehouse = yield* Warehouse
  const credits = Option.getOrUndefined(yield* Effect.serviceOption(Credits))

  const deadlines = yield* Deadline.make(WIND_DOWN_MS)

  // A store that says no bound is left behind in a fiber of its own, where it cannot be interrupted.
  const isBounded = store.boundMs !== undefined && store.boundMs <= QUOTA_PATIENCE_MS
  const quotas = (client: string, tier: string) =>
    (isBounded
      ? quota.status(client, tier)
      : withNow((now) =>
          deadlines.answerBy(now + QUOTA_PATIENCE_MS, silentStore, () => quota.status(client, tier))
        )
    ).pipe(
      Effect.match({
        onSuccess: (status) => ({ quotas: status.map(quotaUse) }),
        onFailure: ({ description }) => ({ quotas: [], quotas_unavailable: description })
      })
    )

  return Tool.make({
    name: "get_limits",
    description:
      "Shows what is left of your limits and quotas, when they reset, whether the warehouse is reachable, and what " +
      "one call may ask for. Always answers, costs nothing.",
    class: "control",
    input,
    output,
    unchecked: true,
    annotations: Tool.readOnly("Get limits"),
    handler: Effect.fnUntraced(function* () {
      const principal = yield* CurrentPrincipal
      const { client, tier } = principal
      const policy = policies.of(tier)
      return {
        client,
        tier,
        ...acting(warehouse.actingAs?.(principal)),
        rate_limits: (yield* limiter.status(client, tier)).map(rateLimit),
        ...(yield* quotas(client, tier)),
        ...quotaStore(yield* store.status),
        ...(credits !== undefined && (policy.chargeCredits || !policy.wakeWarehouse)
          ? creditsOf(
              yield* credits.status(principal),
              policy.wakeWarehouse,
              yield* credits.budgets(principal)
            )
          : {}),
        circuit: circuit(yield* breaker.status),
        mode: mode(yield* degradation.status),
        backoff_factor: Math.round((yield* retry.status).backoffFactor * 1000) / 1000,
        concurrency: (yield* bulkhead.status).map(concurrency),
        caps: {
          default_rows: policy.defaultRows,
          max_rows: policy.maxRows,
          max_result_bytes: policy.maxResultBytes,
          query_timeout_seconds: policy.statementTimeoutMs / 1000,
          max_query_timeout_seconds: policy.maxStatementTimeoutMs / 1000
        }
      }
    })
  })
})
