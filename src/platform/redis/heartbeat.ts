import * as Script from "./script.js"

/**
 * `KEYS[1]` the replicas, by the time of their last beat. `ARGV`: this replica, and the milliseconds after
 * which one that is silent is gone; 0 when this one leaves. Answers how many there are.
 */
export const heartbeat = Script.make(`
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
if ARGV[2] == '0' then
  redis.call('ZREM', KEYS[1], ARGV[1])
  return tostring(redis.call('ZCARD', KEYS[1]))
end
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[2] * 2)
return tostring(redis.call('ZCARD', KEYS[1]))
`)
