/**
 * The `RateLimiter` of a fleet: its buckets are in Redis, so that one limit holds for all servers. One call is one
 * script over all its buckets, on the clock of the Redis server.
 *
 * ```
 *   acquire --> Redis answers --> admitted | RateLimited, exactly as with buckets in memory
 *                  | no answer
 *                  +--> this server's part: buckets in memory of rate / live replicas; never unlimited
 * ```
 *
 * The shares of a bucket (`guard/core/FairShare`) hold across servers. Differences from buckets in memory:
 *  - `maxClients` bounds the clients of all servers together, per shared bucket; a client's own bucket always exists;
 *  - the debt of clients beyond that bound is not given back by a refund;
 *  - a new client that was refused starts with its `initial` tokens again in another tier.
 *
 * In a Redis cluster the client's bucket and the shared ones are on different nodes: two steps, of which the first is
 * given back when the second refuses. A refusal by the client's own bucket does not look at the shared ones then,
 * even where those would ask for a longer wait; neither does what its own observed bucket would have refused.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as SynchronizedRef from "effect/SynchronizedRef"
import type * as BucketLimits from "./core/BucketLimits.js"
import { MEMORY_MS, PRESENT_MS, SLACK_MS, TICK_MS } from "./core/FairShare.js"
import * as TokenBucket from "./core/TokenBucket.js"
import type { Admission, Bucket, Options as Limits, Request, TierBuckets, ToolLimit } from "./RateLimiter.js"
import * as RateLimiter from "./RateLimiter.js"
import type { InvalidOptions } from "../platform/InvalidOptions.js"
import * as Live from "../platform/Live.js"
import { monotonicReader } from "../platform/monotonic.js"
import * as Redis from "../platform/Redis.js"
import * as Script from "../platform/redis/script.js"

/**
 * The limits of all servers together, and whose clock is believed.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends Limits {
  /** Whose time: the server's, or, for tests, this process's `Clock`. Default `server`. */
  readonly time?: "server" | "clock" | undefined
}

/** A bucket in Redis; times in whole microseconds. */
interface Line {
  readonly key: string
  readonly line: BucketLimits.Line
  readonly interval: number
  readonly depth: number
  readonly startDebt: number
  /** The part that only clients below their share may use; 0 where there are no shares. */
  readonly reserve: number
  /** What a call takes of it, in times of its cost. */
  readonly weight: number
  /** It refuses nothing. */
  readonly observed: boolean
}

/** Rounded up, as in memory: never faster than configured. */
const micros = (ms: number): number => Math.ceil(ms * 1000)

const inRedis = (key: string, line: BucketLimits.Line, weight = 1): Line => {
  const interval = micros(1000 / line.rate)
  const depth = micros((line.burst * interval) / 1000)
  const initial = line.burst - line.startDebt / line.interval
  const startDebt = Math.max(0, depth - Math.floor(initial * interval))
  return {
    key,
    line,
    interval,
    depth,
    startDebt,
    reserve: Math.floor(line.reserve * 1000),
    weight,
    observed: false
  }
}

const price = ({ interval, weight }: Line, cost: number): number => Math.ceil(cost * weight * interval)

/** The buckets, then for each bucket with shares its two sets: `owing` and `asking`. */
const keysOf = (lines: ReadonlyArray<Line>): ReadonlyArray<string> => [
  ...lines.map(({ key }) => key),
  ...lines.flatMap(({ key, reserve }) => (reserve > 0 ? [`${key}:owing`, `${key}:asking`] : []))
]

/** `least`: the tokens of one call, which every server's part must hold. */
const shareOf = (bucket: Bucket, replicas: number, least = 1): Bucket => {
  const burst = Math.max(least, bucket.burst / replicas)
  const { initial } = bucket
  return {
    rate: bucket.rate / replicas,
    burst,
    ...(initial === undefined ? {} : { initial: Math.min(burst, initial / replicas) })
  }
}

const shareOfTool = (tool: ToolLimit | undefined, replicas: number): ToolLimit => ({
  ...tool,
  ...(tool?.bucket === undefined ? {} : { bucket: shareOf(tool.bucket, replicas) })
})

const heaviest = (tools: TierBuckets["tools"] = {}): number =>
  Math.max(1, ...Object.values(tools).map((tool) => tool?.weight ?? 1))

/** The limits of one of `replicas` servers on its own. */
const shareOfAll = (limits: Limits, replicas: number): Limits => ({
  global: shareOf(limits.global, replicas),
  classes: Object.fromEntries(
    Object.entries(limits.classes).map(([name, bucket]) => [name, bucket && shareOf(bucket, replicas)])
  ),
  tiers: Object.fromEntries(
    Object.entries(limits.tiers).map(([name, { client, observe, tools, total }]) => [
      name,
      {
        client: shareOf(client, replicas, heaviest(tools)),
        ...(total === undefined ? {} : { total: shareOf(total, replicas) }),
        observe,
        tools: Object.fromEntries(
          Object.entries(tools ?? {}).map(([tool, limit]) => [tool, shareOfTool(limit, replicas)])
        )
      }
    ])
  ),
  maxClients: limits.maxClients,
  reserved: limits.reserved
})

const statusOf = ({ depth, interval, line }: Line, debt: number): TokenBucket.Reading =>
  TokenBucket.reading(line, (depth - debt) / interval, debt / 1000)

// The scripts compute what `guard/core/TokenBucket.ts` (GCRA, one number per bucket) and `guard/core/FairShare.ts` compute,
// in whole microseconds, over all buckets of a call in one step: all are charged, or none.
//
//   {tag}...          string      when the bucket will be full; {client:NAME} and {client:NAME}:tool:TOOL
//   {tag}...:owing    sorted set  client -> when its debt is worked off
//   {tag}...:asking   sorted set  client -> the tick at which it stops being a contender
//
// Microseconds since 1970 are exact in a double until the year 2255, and sums of whole ones stay so. A bucket that has
// been full for an hour expires; so do the sets when no client has asked for longer than a debt can last. Clients in
// the sets that are no contenders any more are removed a few at a time. The sets hold `maxClients`; all other clients
// share one entry, whose name is empty.

const IDLE_MS = 3_600_000
/** Every contender has left by then. */
const SHARES_MS = SLACK_MS + MEMORY_MS + 5 * TICK_MS
const FORGOTTEN_PER_CALL = 8

/** `count`: how many of the keys are buckets, in Lua. */
const prelude = (count: string) => `
local now
if ARGV[1] == '' then
  local t = redis.call('TIME')
  now = t[1] * 1000000 + t[2]
else
  now = tonumber(ARGV[1])
end
local function text(number) return string.format('%.0f', number) end
local function keep(key, tat)
  local ttl = math.ceil(math.max(tat - now, 0) / 1000) + ${IDLE_MS}
  redis.call('SET', key, text(tat), 'PX', text(ttl))
end
local tats = redis.call('MGET', unpack(KEYS, 1, ${count}))
`

const contenders = `
local function score(key, member) return tonumber(redis.call('ZSCORE', key, member) or 0) end
local function present(share) return redis.call('ZCOUNT', share.asking, '(' .. text(now), '+inf') end
`

/**
 * `ARGV`: time or nothing, patience, client, most clients, number of buckets, then for each bucket: price,
 * depth, debt at first sight, reserve, and whether the bucket is observed (1; 2 where
 * it can never hold so much). All in microseconds. `KEYS`: the buckets,
 * then two for each that has a reserve. Answers `wait` (0 or more: admitted after this wait; negative: refused), the
 * index of the bucket that takes longest, and the debt of that bucket; then the same of the observed buckets, which are
 * charged where they would have admitted the call.
 */
const acquireScript = Script.make(`${prelude("tonumber(ARGV[5])")}${contenders}
local patience, client, most, count = tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])

local function shareOf(first)
  local share = { owing = KEYS[first], asking = KEYS[first + 1], member = client }
  share.leaves = score(share.asking, client)
  if share.leaves == 0 and redis.call('ZCARD', share.asking) >= most then
    share.member = ''
    share.leaves = score(share.asking, '')
  end
  return share
end

local function stay(share, leaves)
  redis.call('ZADD', share.asking, text(leaves), share.member)
  local gone = redis.call('ZRANGEBYSCORE', share.asking, '-inf', text(now), 'LIMIT', 0, ${FORGOTTEN_PER_CALL})
  if #gone > 0 then
    redis.call('ZREM', share.asking, unpack(gone))
    redis.call('ZREM', share.owing, unpack(gone))
  end
  redis.call('PEXPIRE', share.asking, ${SHARES_MS})
  redis.call('PEXPIRE', share.owing, ${SHARES_MS})
end

local function note(share, price)
  local paid = share.paid or score(share.owing, share.member)
  if price > 0 then
    local all = present(share)
    if share.leaves <= now then all = all + 1 end
    if all > 1 then
      paid = math.min(math.max(paid, now) + price * all, now + ${(SLACK_MS + MEMORY_MS) * 1000})
      -- A new set expires after its only member.
      if redis.call('ZADD', share.owing, text(paid), share.member) == 1 then
        redis.call('PEXPIRE', share.owing, ${SHARES_MS})
      end
    end
  end
  local leaves = math.ceil(math.max(paid, now + ${PRESENT_MS * 1000}) / ${TICK_MS * 1000}) * ${TICK_MS * 1000}
  -- Nothing changes within a tick.
  if leaves ~= share.leaves then stay(share, leaves) end
end

local wait, binding, shares, key = -math.huge, 1, {}, count + 1
local would, seen, observed = -math.huge, 1, {}
for i = 1, count do
  local price, depth, start, reserve, only = unpack(ARGV, 5 * i + 1, 5 * i + 5)
  price, depth, reserve = tonumber(price), tonumber(depth), tonumber(reserve)
  local tat = tonumber(tats[i] or now + start)
  local own = math.max(tat, now) + price - depth - now
  if reserve > 0 then
    local share = shareOf(key)
    shares[i], key = share, key + 2
    if own + reserve > 0 then
      share.paid = score(share.owing, share.member)
      local behind = share.paid - ${SLACK_MS * 1000} - now
      if behind > 0 then
        local beyond = price + reserve <= depth and own + reserve + patience or math.huge
        own = math.min(beyond, math.max(behind + patience, own))
      end
    end
  end
  if only ~= '0' then
    observed[i] = true
    if only == '2' then own = math.huge end
    if own > would then would = own; seen = i end
  elseif own > wait then wait = own; binding = i end
  tats[i] = tat
end
local debt = math.max(tats[binding] - now, 0)
if wait > patience then
  -- The bucket of a new client starts to fill now, or the wait in the refusal would not be exact.
  for i = 1, count do
    if tats[i] > now then keep(KEYS[i], tats[i]) end
  end
  -- The refused client is a contender at the bucket that refused it.
  if shares[binding] then note(shares[binding], 0) end
  return struct.pack('<dddddd', -(wait - patience), binding, debt, 0, 1, 0)
end
local held = would > patience
local unpaid = math.max(tats[seen] - now, 0)
for i = 1, count do
  local price = tonumber(ARGV[5 * i + 1])
  if not (held and observed[i]) then
    keep(KEYS[i], math.max(tats[i], now) + price)
    if shares[i] then note(shares[i], price) end
  else
    if tats[i] > now then keep(KEYS[i], tats[i]) end
    if i == seen and would < math.huge and shares[i] then note(shares[i], 0) end
  end
end
return struct.pack('<dddddd', math.max(wait, 0), binding, debt, held and -(would - patience) or 0, seen, unpaid)
`)

/**
 * `ARGV`: time or nothing, client, number of buckets, then price and reserve of each bucket. A bucket that
 * has expired is full.
 */
const refundScript = Script.make(`${prelude("tonumber(ARGV[3])")}${contenders}
local count = tonumber(ARGV[3])
local key = count + 1
for i = 1, count do
  local price = tonumber(ARGV[2 * i + 2])
  if tats[i] then keep(KEYS[i], tats[i] - price) end
  if tonumber(ARGV[2 * i + 3]) > 0 then
    local share = { owing = KEYS[key], asking = KEYS[key + 1] }
    key = key + 2
    local paid = score(share.owing, ARGV[2])
    if paid > now then redis.call('ZADD', share.owing, text(paid - price * present(share)), ARGV[2]) end
  end
end
return '1'
`)

/** `ARGV`: time or nothing, then the debt at first sight of each bucket. Answers the debts. */
const statusScript = Script.make(`${prelude("#KEYS")}
local debts = {}
for i = 1, #KEYS do debts[i] = math.max(tonumber(tats[i] or now + ARGV[i + 1]) - now, 0) end
return struct.pack('<' .. string.rep('d', #debts), unpack(debts))
`)

const isTooSmall = ({ line, weight }: Line, cost: number): boolean => cost * weight > line.burst

const isEnforced = ({ observed }: Line): boolean => !observed

const wouldRefuse = ({ line: { name, scope } }: Line, ms: number): RateLimiter.WouldRefuse => ({
  scope,
  name,
  retryAfterMs: Number.isFinite(ms) ? Math.ceil(ms) : 0,
  never: !Number.isFinite(ms)
})

const doubleAt = (answer: Buffer, index: number): number => answer.readDoubleLE(8 * index)

type Service = Context.Tag.Service<RateLimiter.RateLimiter>

/** The buckets of calls under one generation of the limits. */
const bucketsOf = (prefix: string, config: BucketLimits.Config) => {
  const shared = new Map(
    config.shared.map((line) => [
      line,
      inRedis(
        `${prefix}{global}:${line.scope}${line.name === undefined ? "" : `:${encodeURIComponent(line.name)}`}`,
        line
      )
    ])
  )
  const sharedOf = (lines: ReadonlyArray<BucketLimits.Line>): ReadonlyArray<Line> =>
    lines.flatMap((line) => shared.get(line) ?? [])
  const tierOf = (name: string) => TokenBucket.tierOf(config, name)
  const observedBy = ({ observe }: BucketLimits.Tier, lines: ReadonlyArray<Line>): ReadonlyArray<Line> =>
    observe.size === 0
      ? lines
      : lines.map((one) => (observe.has(one.line.scope) ? { ...one, observed: true } : one))
  const keyOf = (client: string) => `${prefix}{client:${encodeURIComponent(client)}}`
  const ofTool = (client: string, tool: string, line: BucketLimits.Line): Line =>
    inRedis(`${keyOf(client)}:tool:${encodeURIComponent(tool)}`, line)
  /** The client's own bucket, and the one that it has for the tool. */
  const own = ({
    client,
    tier,
    tool = ""
  }: Pick<Request, "client" | "tier" | "tool">): ReadonlyArray<Line> => {
    const limits = tierOf(tier)
    const limit = limits.tools.get(tool)
    const first = inRedis(keyOf(client), limits.client, limit?.weight)
    return observedBy(limits, limit?.line === undefined ? [first] : [first, ofTool(client, tool, limit.line)])
  }
  return {
    maxClients: config.maxClients,
    tierOf,
    own,
    pathOf: ({ class: name, tier }: { readonly class: string; readonly tier: string }) =>
      observedBy(tierOf(tier), sharedOf(TokenBucket.pathOf(tierOf(tier), name))),
    /** Those that any call of the client may pass: its own, and the shared ones. */
    allOf: (client: string, tier: string): readonly [ReadonlyArray<Line>, ReadonlyArray<Line>] => [
      [
        ...own({ client, tier }),
        ...[...tierOf(tier).tools].flatMap(([tool, { line }]) =>
          line === undefined ? [] : [ofTool(client, tool, line)]
        )
      ],
      sharedOf(TokenBucket.sharedLines(tierOf(tier), config))
    ]
  }
}

/**
 * Options that are replaced must have no `RateLimiter.problems`. A bucket keeps the time at which it will be full again.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  options: Options | Live.Live<Options>
): Effect.Effect<Service, InvalidOptions, Redis.Redis> =>
  Effect.gen(function* () {
    const live = Live.from(options)
    const configs = yield* RateLimiter.compile(live)
    const redis = yield* Redis.Redis
    const buckets = Live.map(configs, (config) => bucketsOf(`${redis.prefix}b:`, config))
    const now = yield* monotonicReader
    const made = now()
    const elapsed = () => now() - made

    const at: Effect.Effect<string | number> =
      live.current().time === "clock"
        ? Effect.map(Clock.currentTimeMillis, (ms) => ms * 1000)
        : Effect.succeed("")

    /** The buckets in memory; kept for the next outage, or each outage would start with a fresh burst. */
    const fallback = yield* SynchronizedRef.make<
      { readonly replicas: number; readonly limiter: RateLimiter.Primitives } | undefined
    >(undefined)

    const local: Effect.Effect<RateLimiter.Primitives> = Effect.flatMap(redis.replicas, (replicas) =>
      SynchronizedRef.modifyEffect(fallback, (known) =>
        known?.replicas === replicas
          ? Effect.succeed([known.limiter, known])
          : Effect.map(
              Effect.orDie(
                RateLimiter.inMemory(
                  Live.map(live, (current) => shareOfAll(current, replicas)),
                  made
                )
              ),
              (limiter) => [limiter, { replicas, limiter }]
            )
      )
    )

    /** What was told from here: other servers are not known. */
    const told = RateLimiter.makeTold()
    const refused = (request: Request, binding: Line, debt: number, retryAfterMs: number, never: boolean) =>
      RateLimiter.refuse(told, request, {
        binding: statusOf(binding, debt),
        decidedAt: elapsed(),
        retryAfterMs,
        priceMs: price(binding, TokenBucket.costOf(request)) / 1000,
        never
      })

    const payBack = (lines: ReadonlyArray<Line>, client: string, cost: number): Effect.Effect<void> =>
      lines.length === 0
        ? Effect.void
        : Effect.flatMap(at, (now) =>
            Effect.ignore(
              redis.run(refundScript, keysOf(lines), [
                now,
                client,
                lines.length,
                ...lines.flatMap((line) => [price(line, cost), line.reserve])
              ])
            )
          )

    interface Answer {
      readonly wait: number
      readonly binding: Line
      readonly debt: number
      /** Of the observed buckets that would have refused the call. */
      readonly would?: RateLimiter.WouldRefuse | undefined
    }

    interface Asking {
      readonly client: string
      readonly cost: number
      readonly patience: number
      readonly maxClients: number
    }

    const ask = (lines: ReadonlyArray<Line>, { client, cost, maxClients, patience }: Asking) =>
      Effect.flatMap(at, (now) =>
        Effect.map(
          redis.run(acquireScript, keysOf(lines), [
            ...[now, patience, client, maxClients, lines.length],
            ...lines.flatMap((line) => [
              ...[price(line, cost), line.depth, line.startDebt, line.reserve],
              line.observed ? (isTooSmall(line, cost) ? 2 : 1) : 0
            ])
          ]),
          (answer): Answer | undefined => {
            const binding = lines[doubleAt(answer, 1) - 1]
            const late = -doubleAt(answer, 3)
            const seen = lines[doubleAt(answer, 4) - 1]
            const would = late > 0 && seen !== undefined ? wouldRefuse(seen, late / 1000) : undefined
            return binding && { wait: doubleAt(answer, 0), binding, debt: doubleAt(answer, 2), would }
          }
        )
      )

    /** All buckets, or none, and the same of those that are observed: the one that makes the caller wait longest. */
    const askAll = (
      [lines, ...others]: ReadonlyArray<ReadonlyArray<Line>>,
      asking: Asking
    ): Effect.Effect<Answer | undefined, Redis.RedisError> =>
      lines === undefined
        ? Effect.succeed(undefined)
        : Effect.flatMap(ask(lines, asking), (answer) => {
            const { client, cost } = asking
            if (answer === undefined || answer.wait < 0 || others.length === 0) return Effect.succeed(answer)
            const { would } = answer
            const rest = would === undefined ? others : others.map((group) => group.filter(isEnforced))
            const asked = rest.filter((group) => group.length > 0)
            if (asked.length === 0) return Effect.succeed(answer)
            const undo = payBack(would === undefined ? lines : lines.filter(isEnforced), client, cost)
            return askAll(asked, asking).pipe(
              Effect.onError(() => undo),
              Effect.tap((other) => {
                if (other === undefined || other.wait < 0) return undo
                if (would !== undefined || other.would === undefined) return Effect.void
                return payBack(
                  lines.filter(({ observed }) => observed),
                  client,
                  cost
                )
              }),
              Effect.map((other) =>
                other === undefined || other.wait < 0
                  ? other
                  : { ...(other.wait > answer.wait ? other : answer), would: would ?? other.would }
              )
            )
          })

    /** In a cluster the client's own buckets and the shared ones are on different nodes. */
    const grouped = (own: ReadonlyArray<Line>, path: ReadonlyArray<Line>) =>
      redis.cluster ? [own, path] : [[...own, ...path]]

    const reserve = (
      request: Request,
      maxWaitMs: number
    ): Effect.Effect<Admission, RateLimiter.RateLimited> =>
      Effect.suspend(() => {
        const { maxClients, own, pathOf, tierOf } = buckets.current()
        const { client, tier } = request
        const cost = TokenBucket.costOf(request)
        const groups = grouped(own(request), pathOf(request))
        const patience = TokenBucket.patienceOf(maxWaitMs) * 1000
        const tooSmall = groups.flat().find((line) => !line.observed && isTooSmall(line, cost))
        if (tooSmall !== undefined) return refused(request, tooSmall, 0, 0, true)
        const giveBack = (isGiven: (scope: RateLimiter.Scope) => boolean) =>
          Effect.forEach(
            groups,
            (lines) =>
              payBack(
                lines.filter(({ line }) => isGiven(line.scope)),
                client,
                cost
              ),
            { discard: true }
          ).pipe(Effect.map(elapsed))
        return Effect.matchEffect(askAll(groups, { client, cost, patience, maxClients }), {
          onFailure: () => Effect.flatMap(local, (limiter) => limiter.reserve(request, maxWaitMs)),
          onSuccess: (answer) =>
            answer === undefined
              ? Effect.die(new Error("a rate limiter without buckets"))
              : answer.wait < 0
                ? refused(request, answer.binding, answer.debt, Math.ceil(-answer.wait / 1000), false)
                : RateLimiter.admission(
                    request,
                    {
                      clientScope: "client",
                      waitMs: answer.wait / 1000,
                      decidedAt: elapsed(),
                      ...TokenBucket.observation(tierOf(tier), answer.would)
                    },
                    giveBack
                  )
        })
      })

    return RateLimiter.fromPrimitives({
      reserve,
      status: Effect.fnUntraced(function* (client: string, tier: string) {
        const { allOf, tierOf } = buckets.current()
        return yield* Effect.forEach(grouped(...allOf(client, tier)), (lines) =>
          Effect.flatMap(at, (now) =>
            Effect.map(
              redis.run(
                statusScript,
                lines.map(({ key }) => key),
                [now, ...lines.map(({ startDebt }) => startDebt)]
              ),
              (answer) => lines.map((line, i) => statusOf(line, doubleAt(answer, i)))
            )
          )
        ).pipe(
          Effect.map((found) =>
            found
              .flat()
              .map((one, i) => (i === 0 ? { ...one, ...TokenBucket.weightsOf(tierOf(tier)) } : one))
              .map((one) => TokenBucket.observable(tierOf(tier), one))
          ),
          Effect.catchAll(() => Effect.flatMap(local, (limiter) => limiter.status(client, tier)))
        )
      })
    })
  })

/**
 * Buckets in the Redis of the context, and a part of them in memory while it is away; fails with `InvalidOptions` where
 * the limits make no sense.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: Options | Live.Live<Options>
): Layer.Layer<RateLimiter.RateLimiter, InvalidOptions, Redis.Redis> =>
  Layer.effect(RateLimiter.RateLimiter, make(options))
