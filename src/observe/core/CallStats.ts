/**
 * Counts of calls by how they ended, since the start and since the last look, and of the clients that were
 * seen last.
 *
 * Invariants
 * 1. `total` is the sum of all intervals that were taken and of the one that is running.
 * 2. At most `maxClients` clients are known; the one that was silent longest is forgotten.
 * 3. At most `MAX_CODES` codes are counted one by one, and the latest `LATEST` calls that were not served are known.
 * 4. A percentile is at least the true one and less than twice it (within the range of the buckets).
 *
 * Updated in place: its owner must use it linearly.
 *
 * @since 0.1.0
 */

/** `refused`: by a limit or a guard. `rejected`: the caller's own mistake. `failed`: the warehouse or us. */
export type Outcome = "ok" | "refused" | "rejected" | "failed" | "cancelled"

export const outcomes: ReadonlyArray<Outcome> = ["ok", "refused", "rejected", "failed", "cancelled"]

export type Counts = { readonly [K in Outcome]: number }
type Counting = { [K in Outcome]: number }

export interface Call {
  readonly client: string
  readonly tier: string
  readonly tool: string
  readonly outcome: Outcome
  /** What exactly: `ok`, `cancelled`, or a code. */
  readonly decision: string
  readonly ms: number
  readonly bytes: number
  /** User and role in the warehouse, of a call that ran a statement. */
  readonly actsAs?: string | undefined
}

export interface Client {
  readonly client: string
  readonly tier: string
  readonly counts: Counts
  readonly bytes: number
  readonly lastAt: number
  readonly lastDecision: string
  /** User and role in the warehouse of the last call that ran a statement, and whether it had others before. */
  readonly actsAs?: string | undefined
}

/** How often calls ended with a code; one that was refused and one that failed are counted apart. */
export interface Code {
  readonly code: string
  readonly outcome: Outcome
  readonly count: number
  readonly lastAt: number
}

/** A call that was not served. */
export interface Ending {
  readonly at: number
  readonly client: string
  readonly tool: string
  readonly code: string
  readonly outcome: Outcome
}

interface Seen {
  tier: string
  readonly counts: Counting
  bytes: number
  lastAt: number
  lastDecision: string
  actsAs: string | undefined
  others: boolean
}

export interface Interval {
  readonly counts: Counts
  readonly bytes: number
  /** Milliseconds; undefined when no call ended. */
  readonly p50: number | undefined
  readonly p95: number | undefined
}

export interface CallStats {
  readonly maxClients: number
  readonly total: Counting
  totalBytes: number
  interval: Counting
  intervalBytes: number
  /** By the power of two above the milliseconds. */
  buckets: Array<number>
  /** In the order of their last call. */
  readonly clients: Map<string, Seen>
  /** By outcome and code. */
  readonly codes: Map<string, { -readonly [K in keyof Code]: Code[K] }>
  /** The newest last. */
  readonly latest: Array<Ending>
}

/** More than there are of our own; a tool may bring others. */
const MAX_CODES = 100

const LATEST = 20

/** 1 ms to 2^22 ms, which is more than an hour. */
const BUCKETS = 23

const none = (): Counting => ({ ok: 0, refused: 0, rejected: 0, failed: 0, cancelled: 0 })

const noBuckets = (): Array<number> => new Array<number>(BUCKETS).fill(0)

export const make = (maxClients: number): CallStats => ({
  maxClients,
  total: none(),
  totalBytes: 0,
  interval: none(),
  intervalBytes: 0,
  buckets: noBuckets(),
  clients: new Map(),
  codes: new Map(),
  latest: []
})

const bucketOf = (ms: number): number =>
  ms <= 1 ? 0 : Math.min(BUCKETS - 1, Math.ceil(Math.log2(Math.min(ms, Number.MAX_SAFE_INTEGER))))

const remember = (stats: CallStats, at: number, { client, decision: code, outcome, tool }: Call): void => {
  if (outcome === "ok" || outcome === "cancelled") return
  stats.latest.push({ at, client, tool, code, outcome })
  if (stats.latest.length > LATEST) stats.latest.shift()
  const key = `${outcome} ${code}`
  const known = stats.codes.get(key)
  if (known !== undefined) {
    known.count += 1
    known.lastAt = at
  } else if (stats.codes.size < MAX_CODES) stats.codes.set(key, { code, outcome, count: 1, lastAt: at })
}

export const record = (stats: CallStats, now: number, call: Call): void => {
  remember(stats, now, call)
  stats.total[call.outcome] += 1
  stats.interval[call.outcome] += 1
  stats.totalBytes += call.bytes
  stats.intervalBytes += call.bytes
  const bucket = bucketOf(call.ms)
  stats.buckets[bucket] = (stats.buckets[bucket] ?? 0) + 1
  if (stats.maxClients < 1) return
  let seen = stats.clients.get(call.client)
  if (seen === undefined) {
    seen = {
      tier: call.tier,
      counts: none(),
      bytes: 0,
      lastAt: now,
      lastDecision: call.decision,
      actsAs: undefined,
      others: false
    }
    if (stats.clients.size >= stats.maxClients) {
      for (const oldest of stats.clients.keys()) {
        stats.clients.delete(oldest)
        break
      }
    }
  } else stats.clients.delete(call.client)
  seen.tier = call.tier
  seen.counts[call.outcome] += 1
  seen.bytes += call.bytes
  seen.lastAt = now
  seen.lastDecision = call.decision
  if (call.actsAs !== undefined) {
    seen.others ||= seen.actsAs !== undefined && seen.actsAs !== call.actsAs
    seen.actsAs = call.actsAs
  }
  stats.clients.set(call.client, seen)
}

/** The upper end of the bucket in which that share of the calls lies. */
const percentile = (buckets: ReadonlyArray<number>, share: number): number | undefined => {
  const calls = buckets.reduce((sum, count) => sum + count, 0)
  if (calls === 0) return undefined
  const wanted = Math.ceil(calls * share)
  let passed = 0
  for (const [index, count] of buckets.entries()) {
    passed += count
    if (passed >= wanted) return 2 ** index
  }
  return 2 ** (BUCKETS - 1)
}

/** What has happened since this was asked last. */
export const take = (stats: CallStats): Interval => {
  const { buckets, interval, intervalBytes } = stats
  stats.interval = none()
  stats.intervalBytes = 0
  stats.buckets = noBuckets()
  return {
    counts: interval,
    bytes: intervalBytes,
    p50: percentile(buckets, 0.5),
    p95: percentile(buckets, 0.95)
  }
}

/** The latest caller first. */
export const clients = (stats: CallStats, atMost: number): ReadonlyArray<Client> =>
  [...stats.clients]
    .reverse()
    .slice(0, atMost)
    .map(([client, { actsAs, bytes, counts, lastAt, lastDecision, others, tier }]) => ({
      ...(actsAs === undefined ? {} : { actsAs: others ? `${actsAs}, and others` : actsAs }),
      client,
      tier,
      counts: { ...counts },
      bytes,
      lastAt,
      lastDecision
    }))

/** What was not served, by code: the most frequent first. */
export const codes = ({ codes }: CallStats): ReadonlyArray<Code> =>
  [...codes.values()]
    .map((counted) => ({ ...counted }))
    .sort((a, b) => b.count - a.count || (a.code < b.code ? -1 : 1))

/** The newest first. */
export const latest = ({ latest }: CallStats): ReadonlyArray<Ending> => [...latest].reverse()
