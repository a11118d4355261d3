/**
 * Token buckets in Redis: the arithmetic of `guard/core/TokenBucket.ts` (GCRA, one number a bucket) and of
 * `guard/core/FairShare.ts` in whole microseconds on the server's time, over all buckets of a call in one step:
 * all are charged, or none.
 *
 * ```
 *   {tag}...          string      when the bucket will be full
 *   {tag}...:owing    sorted set  client -> when its debt is worked off
 *   {tag}...:asking   sorted set  client -> the tick at which it is a contender no more
 * ```
 *
 * Microseconds since 1970 are exact in a double until the year 2255, and sums of whole ones stay so.
 * A bucket that has been full for an hour is forgotten; clients in the sets when they are no contenders any
 * more, a few whenever another one stays, and the sets themselves when nobody has asked for longer than
 * anybody can owe something. They hold `maxClients` at most; the others are one client together, whose name
 * is empty.
 */
import { MEMORY_MS, PRESENT_MS, SLACK_MS, TICK_MS } from "./core/FairShare.js"
import * as Script from "../platform/redis/script.js"

const IDLE_MS = 3_600_000
/** Every contender has left by then. */
const SHARES_MS = SLACK_MS + MEMORY_MS + 5 * TICK_MS
const FORGOTTEN_PER_CALL = 8

/** `count`: how many of the keys are buckets, in Lua. */
const time = (count: string) => `
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
 * depth, debt at first sight, reserve. All in microseconds. `KEYS`: the buckets, then two for each that has
 * a reserve. Answers `wait` (0 or what is to be waited for: admitted; else negative and refused), the index
 * of the bucket that takes longest, and the debt of that bucket.
 */
export const acquire = Script.make(`${time("tonumber(ARGV[5])")}${contenders}
local patience, client, most, count = tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])

local function shareOf(first)
  local share = { owing = KEYS[first], asking = KEYS[first + 1], who = client }
  share.leaves = score(share.asking, client)
  if share.leaves == 0 and redis.call('ZCARD', share.asking) >= most then
    share.who = ''
    share.leaves = score(share.asking, '')
  end
  return share
end

local function stay(share, leaves)
  redis.call('ZADD', share.asking, text(leaves), share.who)
  local gone = redis.call('ZRANGEBYSCORE', share.asking, '-inf', text(now), 'LIMIT', 0, ${FORGOTTEN_PER_CALL})
  if #gone > 0 then
    redis.call('ZREM', share.asking, unpack(gone))
    redis.call('ZREM', share.owing, unpack(gone))
  end
  redis.call('PEXPIRE', share.asking, ${SHARES_MS})
  redis.call('PEXPIRE', share.owing, ${SHARES_MS})
end

local function note(share, price)
  local paid = share.paid or score(share.owing, share.who)
  if price > 0 then
    local all = present(share)
    if share.leaves <= now then all = all + 1 end
    if all > 1 then
      paid = math.min(math.max(paid, now) + price * all, now + ${(SLACK_MS + MEMORY_MS) * 1000})
      -- A set that is new lives as long as whoever has just been put into it.
      if redis.call('ZADD', share.owing, text(paid), share.who) == 1 then
        redis.call('PEXPIRE', share.owing, ${SHARES_MS})
      end
    end
  end
  local leaves = math.ceil(math.max(paid, now + ${PRESENT_MS * 1000}) / ${TICK_MS * 1000}) * ${TICK_MS * 1000}
  -- Several times in a tick, it is known already.
  if leaves ~= share.leaves then stay(share, leaves) end
end

local wait, binding, shares, key = -math.huge, 1, {}, count + 1
for i = 1, count do
  local price, depth, start, reserve = unpack(ARGV, 4 * i + 2, 4 * i + 5)
  price, depth, reserve = tonumber(price), tonumber(depth), tonumber(reserve)
  local tat = tonumber(tats[i] or now + start)
  local own = math.max(tat, now) + price - depth - now
  if reserve > 0 then
    local share = shareOf(key)
    shares[i], key = share, key + 2
    if own + reserve > 0 then
      share.paid = score(share.owing, share.who)
      local behind = share.paid - ${SLACK_MS * 1000} - now
      if behind > 0 then
        local beyond = price + reserve <= depth and own + reserve + patience or math.huge
        own = math.min(beyond, math.max(behind + patience, own))
      end
    end
  end
  if own > wait then wait = own; binding = i end
  tats[i] = tat
end
local debt = math.max(tats[binding] - now, 0)
if wait > patience then
  -- A client seen for the first time fills up from now on, or what it was told to wait for never comes.
  for i = 1, count do
    if tats[i] > now then keep(KEYS[i], tats[i]) end
  end
  -- It is told to wait here; whoever comes first at this bucket is to know that it wants some.
  if shares[binding] then note(shares[binding], 0) end
  return struct.pack('<ddd', -(wait - patience), binding, debt)
end
for i = 1, count do
  local price = tonumber(ARGV[4 * i + 2])
  keep(KEYS[i], math.max(tats[i], now) + price)
  if shares[i] then note(shares[i], price) end
end
return struct.pack('<ddd', math.max(wait, 0), binding, debt)
`)

/**
 * `ARGV`: time or nothing, client, number of buckets, then price and reserve of each bucket. A bucket that
 * was forgotten is full.
 */
export const refund = Script.make(`${time("tonumber(ARGV[3])")}${contenders}
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
export const status = Script.make(`${time("#KEYS")}
local debts = {}
for i = 1, #KEYS do debts[i] = math.max(tonumber(tats[i] or now + ARGV[i + 1]) - now, 0) end
return struct.pack('<' .. string.rep('d', #debts), unpack(debts))
`)
