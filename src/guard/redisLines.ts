/**
 * The buckets of the rate limiter as Redis counts them, in whole microseconds; and what is left of them for
 * one of several servers that have to do without Redis.
 */
import type * as BucketLimits from "./core/BucketLimits.js"
import type { Bucket, Options as Limits, ScopeStatus } from "./RateLimiter.js"

/** A bucket in Redis; times in whole microseconds. */
export interface Line {
  readonly key: string
  readonly line: BucketLimits.Line
  readonly interval: number
  readonly depth: number
  readonly startDebt: number
  /** What a client that is ahead of its share leaves to the others; 0 where there are no shares. */
  readonly reserve: number
}

/** Rounded up, as in memory: never faster than configured. */
const micros = (ms: number): number => Math.ceil(ms * 1000)

export const inRedis = (key: string, line: BucketLimits.Line): Line => {
  const interval = micros(1000 / line.rate)
  const depth = micros((line.burst * interval) / 1000)
  const initial = line.burst - line.startDebt / line.interval
  const startDebt = Math.max(0, depth - Math.floor(initial * interval))
  return { key, line, interval, depth, startDebt, reserve: Math.floor(line.reserve * 1000) }
}

export const price = ({ interval }: Line, cost: number): number => Math.ceil(cost * interval)

/** The buckets, then of each that has shares who owes what and who asked. */
export const keysOf = (lines: ReadonlyArray<Line>): ReadonlyArray<string> => [
  ...lines.map(({ key }) => key),
  ...lines.flatMap(({ key, reserve }) => (reserve > 0 ? [`${key}:owing`, `${key}:asking`] : []))
]

export const encoded = (name: string): string => encodeURIComponent(name)

const shareOf = (bucket: Bucket, replicas: number): Bucket => {
  const burst = Math.max(1, bucket.burst / replicas)
  const { initial } = bucket
  return {
    rate: bucket.rate / replicas,
    burst,
    ...(initial === undefined ? {} : { initial: Math.min(burst, initial / replicas) })
  }
}

/** What one of `replicas` servers may let through on its own. */
export const shareOfAll = (limits: Limits, replicas: number): Limits => ({
  global: shareOf(limits.global, replicas),
  classes: Object.fromEntries(
    Object.entries(limits.classes).map(([name, bucket]) => [name, bucket && shareOf(bucket, replicas)])
  ),
  tiers: Object.fromEntries(
    Object.entries(limits.tiers).map(([name, { client, total }]) => [
      name,
      {
        client: shareOf(client, replicas),
        ...(total === undefined ? {} : { total: shareOf(total, replicas) })
      }
    ])
  ),
  maxClients: limits.maxClients,
  reserved: limits.reserved
})

export const statusOf = ({ depth, interval, line }: Line, debt: number): ScopeStatus => ({
  scope: line.scope,
  name: line.name,
  ratePerSecond: line.rate,
  burst: line.burst,
  remaining: Math.max(Math.floor(Math.min((depth - debt) / interval, line.burst)), 0),
  resetMs: Math.ceil(debt / 1000),
  ...(line.reserve > 0 ? { reserved: line.reserve / line.interval } : {})
})
