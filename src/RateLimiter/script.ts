/**
 * Token buckets in Redis: the arithmetic of `core/TokenBucket.ts` (GCRA, one number a bucket) in whole
 * microseconds on the server's time, over all buckets of a call in one step: all are charged, or none.
 *
 * Microseconds since 1970 are exact in a double until the year 2255, and sums of whole ones stay so.
 * A bucket that has been full for an hour is forgotten.
 */
import * as Script from "../internal/redis/script.js"

const IDLE_MS = 3_600_000

const time = `
local now
if ARGV[1] == '' then
  local t = redis.call('TIME')
  now = t[1] * 1000000 + t[2]
else
  now = tonumber(ARGV[1])
end
local function keep(key, tat)
  local ttl = math.ceil(math.max(tat - now, 0) / 1000) + ${IDLE_MS}
  redis.call('SET', key, string.format('%.0f', tat), 'PX', string.format('%.0f', ttl))
end
local tats = redis.call('MGET', unpack(KEYS))
`

/**
 * `ARGV`: time or nothing, patience, then for each bucket: price, depth, debt at first sight. All in
 * microseconds. Answers `wait` (0 or what is to be waited for: admitted; else negative and refused), the
 * index of the bucket that takes longest, and the debt of that bucket.
 */
export const acquire = Script.make(`${time}
local patience, wait, binding = tonumber(ARGV[2]), -math.huge, 1
for i = 1, #KEYS do
  local tat = tonumber(tats[i] or now + ARGV[3 * i + 2])
  local own = math.max(tat, now) + ARGV[3 * i] - ARGV[3 * i + 1] - now
  if own > wait then wait = own; binding = i end
  tats[i] = tat
end
local debt = math.max(tats[binding] - now, 0)
if wait > patience then
  -- A client seen for the first time fills up from now on, or what it was told to wait for never comes.
  for i = 1, #KEYS do
    if tats[i] > now then keep(KEYS[i], tats[i]) end
  end
  return struct.pack('<ddd', -(wait - patience), binding, debt)
end
for i = 1, #KEYS do keep(KEYS[i], math.max(tats[i], now) + ARGV[3 * i]) end
return struct.pack('<ddd', math.max(wait, 0), binding, debt)
`)

/** `ARGV`: time or nothing, then the price of each bucket. A bucket that was forgotten is full. */
export const refund = Script.make(`${time}
for i = 1, #KEYS do
  if tats[i] then keep(KEYS[i], tats[i] - ARGV[i + 1]) end
end
return '1'
`)

/** `ARGV`: time or nothing, then the debt at first sight of each bucket. Answers the debts. */
export const status = Script.make(`${time}
local debts = {}
for i = 1, #KEYS do debts[i] = math.max(tonumber(tats[i] or now + ARGV[i + 1]) - now, 0) end
return struct.pack('<' .. string.rep('d', #debts), unpack(debts))
`)
