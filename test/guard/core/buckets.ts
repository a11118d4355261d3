/** Token buckets for tests: the core with its state kept, and buckets that count what they hold. */
import * as BucketLimits from "../../../src/guard/core/BucketLimits.js"
import * as TokenBucket from "../../../src/guard/core/TokenBucket.js"

/** A clock that counts since 1970, as the live one does. */
export const EPOCH = 1_763_915_448_123.25

/** An independent state, for a decision that must not count. */
export const copyOf = (state: TokenBucket.State): TokenBucket.State =>
  structuredClone({ ...state, table: { ...state.table, cursor: undefined } })

/** The core with its state kept, at times given in milliseconds since its creation. */
export const start = (limits: BucketLimits.Limits) => {
  const config = BucketLimits.compile(limits)
  let state = TokenBucket.initial(config, EPOCH)
  const request = (client: string, rest?: Partial<TokenBucket.Request>) => ({
    client,
    tier: "default",
    class: "query",
    ...rest
  })
  return {
    config,
    get state() {
      return state
    },
    decide(at: number, client: string, rest: Partial<TokenBucket.Request> = {}, maxWaitMs = 0) {
      const [decision, next] = TokenBucket.decide(state, EPOCH + at, config, request(client, rest), maxWaitMs)
      state = next
      return decision
    },
    /** What would be decided, if this were asked. */
    peek(at: number, client: string, rest: Partial<TokenBucket.Request> = {}, maxWaitMs = 0) {
      return TokenBucket.decide(copyOf(state), EPOCH + at, config, request(client, rest), maxWaitMs)[0]
    },
    refund(
      at: number,
      client: string,
      clientScope: "client" | "overflow",
      rest: Partial<TokenBucket.Request> = {},
      isGiven: (scope: BucketLimits.Scope) => boolean = () => true
    ) {
      const given = { ...request(client, rest), clientScope }
      state = TokenBucket.refund(state, EPOCH + at, config, given, isGiven)
    },
    status: (at: number, client: string, tier = "default") =>
      TokenBucket.status(state, EPOCH + at, config, client, tier)
  }
}

export const wide = { rate: 1000, burst: 1_000_000 }
export const only = (
  client: BucketLimits.Bucket,
  more: Partial<BucketLimits.Limits> = {}
): BucketLimits.Limits => ({
  global: wide,
  classes: {},
  tiers: { default: { client } },
  ...more
})

/** A bucket that counts what it holds, in thousandths of a token: whole numbers, so exact. */
export class Tokens {
  private held: number
  private since: number
  constructor(
    readonly bucket: BucketLimits.Bucket,
    now: number
  ) {
    this.held = (bucket.initial ?? bucket.burst) * 1000
    this.since = now
  }
  at(now: number): number {
    this.held = Math.min(this.bucket.burst * 1000, this.held + this.bucket.rate * (now - this.since))
    this.since = now
    return this.held
  }
  wait(now: number, cost: number): number {
    return cost > this.bucket.burst ? Infinity : (cost * 1000 - this.at(now)) / this.bucket.rate
  }
  add(now: number, cost: number): void {
    this.held = Math.min(this.bucket.burst * 1000, this.at(now) + cost * 1000)
  }
}
