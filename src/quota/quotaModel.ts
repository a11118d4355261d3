/** What a quota is asked and what it answers. */
import * as Schema from "effect/Schema"
import type { OperationClass } from "../platform/Operation.js"
import type { OutagePolicy } from "./QuotaStore.js"
import { QuotaName } from "./QuotaStore.js"
import type * as QuotaLimits from "./quotaLimits.js"

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
  /** What happens to calls of a tier while the store is out of reach; `closed` for those not named. */
  readonly outage?: { readonly [tier: string]: OutagePolicy } | undefined
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
 * What a statement is expected to scan.
 *
 * @since 0.1.0
 * @category models
 */
export interface ScanRequest extends Pick<Request, "client" | "tier" | "deadlineMs"> {
  readonly estimatedBytes: number
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
    retryAfterMs: Schema.Number,
    /** What it was asked for, where that is more than a unit; above the limit waiting does not help. */
    estimate: Schema.optional(Schema.Number)
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
