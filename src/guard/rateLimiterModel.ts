/** What a rate limiter is asked and what it answers. */
import * as Schema from "effect/Schema"
import type { OperationClass } from "../platform/Operation.js"

/**
 * Which bucket refused. `client` is the caller's own; `overflow` is shared by clients that are unknown
 * while the table of clients is full; all others are shared with everybody.
 *
 * @since 0.1.0
 * @category models
 */
export const Scope = Schema.Literal("client", "tier", "class", "global", "overflow")
/**
 * @since 0.1.0
 * @category models
 */
export type Scope = typeof Scope.Type

/**
 * @since 0.1.0
 * @category models
 */
export interface Bucket {
  /** Tokens per second, > 0. */
  readonly rate: number
  /** Most tokens the bucket holds, >= 1. */
  readonly burst: number
  /** Tokens a new bucket starts with; `burst` when absent. */
  readonly initial?: number | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** All calls of all clients. */
  readonly global: Bucket
  /** All calls of one class, by class; a class without an entry is not limited by class. */
  readonly classes: { readonly [K in OperationClass]?: Bucket | undefined }
  /** The bucket each client of a tier gets. Must hold `default`, used for unknown tiers. */
  readonly tiers: { readonly [tier: string]: TierBuckets }
  /** Clients tracked at most; 100,000 when absent. */
  readonly maxClients?: number | undefined
  /**
   * Part (0 to 0.9) of each shared bucket that is kept for clients who use less than their share of it,
   * while others want some too; a quarter when absent.
   */
  readonly reserved?: number | undefined
}

/** Of a shared bucket, for those who use less than their share of it; where nobody says. */
export const RESERVED = 0.25

/**
 * @since 0.1.0
 * @category models
 */
export interface TierBuckets {
  readonly client: Bucket
  /** Shared by all clients of the tier, where configured. */
  readonly total?: Bucket | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Request {
  readonly client: string
  readonly tier: string
  readonly class: OperationClass
  /** Tokens; 1 when absent. */
  readonly cost?: number | undefined
}

/**
 * Proof of admission; hand it to `refund` when nothing was sent.
 *
 * @since 0.1.0
 * @category models
 */
export interface Admission {
  readonly client: string
  readonly tier: string
  readonly class: OperationClass
  readonly cost: number
  /** The bucket that stood for the client: its own, or the shared overflow bucket. */
  readonly clientScope: "client" | "overflow"
  /** Whole milliseconds until the tokens are due; 0 unless the caller was willing to wait. */
  readonly waitMs: number
}

/**
 * One bucket as a caller may see it.
 *
 * @since 0.1.0
 * @category models
 */
export interface ScopeStatus {
  readonly scope: Scope
  /** The class or tier the bucket belongs to, where there are several of its scope. */
  readonly name?: string | undefined
  readonly ratePerSecond: number
  readonly burst: number
  readonly remaining: number
  /** Milliseconds until the bucket is full again. */
  readonly resetMs: number
  /** Tokens that a client who takes more than its share leaves to the others, where it has to. */
  readonly reserved?: number | undefined
}

/**
 * @since 0.1.0
 * @category errors
 */
export class RateLimited extends Schema.TaggedError<RateLimited>("snowguard/RateLimited")("RateLimited", {
  /** The scope that makes the caller wait longest. */
  scope: Scope,
  name: Schema.optional(Schema.String),
  ratePerSecond: Schema.Number,
  burst: Schema.Number,
  remaining: Schema.Number,
  /** Exact: the same call is admitted then and not one millisecond earlier, if nobody else calls. */
  retryAfterMs: Schema.Number,
  /** `retryAfterMs` plus a positive jitter, so that clients refused together do not return together. */
  retryHintMs: Schema.Number,
  /** The cost is larger than the bucket: waiting will never help. */
  never: Schema.Boolean
}) {
  override get message(): string {
    return this.never
      ? `the call costs more than the ${this.scope} bucket of ${this.burst} can ever hold`
      : `${this.scope} rate limit of ${this.ratePerSecond}/s (burst ${this.burst}) reached; retry in ${this.retryAfterMs} ms`
  }
}

/**
 * The limits make no sense; says everything that is wrong with them at once.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidLimits extends Schema.TaggedError<InvalidLimits>("snowguard/InvalidLimits")(
  "InvalidLimits",
  { problems: Schema.Array(Schema.String) }
) {
  override get message(): string {
    return `invalid rate limits: ${this.problems.join("; ")}`
  }
}
