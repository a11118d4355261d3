/**
 * The rules of quotas (`core/QuotaLedger.ts`) in Lua, where Redis can run them as one step. What every
 * script begins with; `scripts.ts` has the steps themselves.
 *
 * For each scope key two Redis keys with one hash tag: `KEYS[2i-1]` is a string, the counters; `KEYS[2i]`
 * is a hash, the reservations that are not finished or may still be corrected.
 *
 * ```
 * counters     version B, rolling B, last d, birth d, due d, until d, records I4, n H,
 *              n x (code B, slice I4, used d, reserved d)
 * reservation  state c (h held, s submitted, f expired and freed, c expired and charged, x finished),
 *              expiry d, n B, n x (code B, slice I4, amount d)
 * ```
 *
 * Invariants
 *  - a key knows all that concerns it, so that a reservation over several keys is as many parts, each of
 *    which expires by the same rule at the same time;
 *  - `last` is the latest time a key was changed: its time never runs backwards;
 *  - `birth` is when a key was first seen: what was reserved before has been lost (FLUSHALL), and `due` is
 *    a time before which no reservation of it expires or can be forgotten;
 *  - both Redis keys live until the last slice in them is over, and a little longer;
 *  - numbers are doubles from end to end, packed as such: no text, no rounding, exact to 2^53.
 *
 * `ARGV[1]` is the time in milliseconds, or empty for the server's; `ARGV[2]` is 1 for rolling windows.
 */
const GRACE_MS = 60_000

export const ledger = `
local floor, max, min, pack, unpack1 = math.floor, math.max, math.min, struct.pack, struct.unpack
local rolling = tonumber(ARGV[2])
local HOURS = rolling == 1 and 60000 or 3600000
local DAYS = rolling == 1 and 1440000 or 86400000
local SLICES = rolling == 1 and 61 or 1
local INF = math.huge
local now
if ARGV[1] == '' then
  local t = redis.call('TIME')
  now = t[1] * 1000 + floor(t[2] / 1000)
else
  now = tonumber(ARGV[1])
end

local function width(code) if code < 64 then return HOURS end return DAYS end
local function ends(code, slice) return (slice + SLICES) * width(code) end

local function bucketOf(k, code, slice)
  local b = k.b
  for i = #b, 1, -1 do
    local x = b[i]
    if x[1] == code and x[2] == slice then return x end
  end
  local x = {code, slice, 0, 0}
  b[#b + 1] = x
  return x
end

local function book(k, code, slice, used, reserved)
  if now < ends(code, slice) then
    local x = bucketOf(k, code, slice)
    x[3] = max(0, x[3] + used)
    x[4] = max(0, x[4] + reserved)
  end
end

-- A hash that becomes empty is gone, and with it the time it was to live: hence the count.
local function drop(k, id)
  k.count = k.count - redis.call('HDEL', KEYS[2 * k.i], id)
end

-- To be said of each reservation after it has been written.
local function lives(k, till)
  if till > k.till or k.count == 0 then
    k.till = max(till, k.till)
    redis.call('PEXPIRE', KEYS[2 * k.i], string.format('%.0f', max(k.till - now, 0) + ${GRACE_MS}))
  end
  k.count = k.count + 1
end

local function save(k)
  local parts, till = {''}, k.till
  for i, x in ipairs(k.b) do
    parts[i + 1] = pack('<BI4dd', x[1], x[2], x[3], x[4])
    till = max(till, ends(x[1], x[2]))
  end
  parts[1] = pack('<BBddddI4H', 1, rolling, now, k.birth, k.due, k.till, k.count, #k.b)
  local ttl = string.format('%.0f', max(till, now) - now + ${GRACE_MS})
  redis.call('SET', KEYS[2 * k.i - 1], table.concat(parts), 'PX', ttl)
end

local function entriesOf(raw)
  local state, expiry, n, pos = unpack1('<c1dB', raw)
  local entries, over = {}, -INF
  for i = 1, n do
    local code, slice, amount
    code, slice, amount, pos = unpack1('<BI4d', raw, pos)
    entries[i] = {code, slice, amount}
    over = max(over, ends(code, slice))
  end
  return state, expiry, entries, over
end

-- Frees or charges what has expired, and forgets what no longer matters.
local function expire(k)
  local all, due, r = redis.call('HGETALL', KEYS[2 * k.i]), INF, KEYS[2 * k.i]
  for i = 1, #all, 2 do
    local state, expiry, entries, over = entriesOf(all[i + 1])
    if (state == 'h' or state == 's') and expiry <= now then
      local charged = state == 's'
      for _, e in ipairs(entries) do book(k, e[1], e[2], charged and e[3] or 0, -e[3]) end
      state = charged and 'c' or 'f'
      redis.call('HSET', r, all[i], state .. string.sub(all[i + 1], 2))
    end
    local next = expiry
    if state == 'f' or state == 'c' then next = over end
    if next <= now then drop(k, all[i]) else due = min(due, next) end
  end
  k.due = due
  save(k)
end

local function prune(k)
  local kept = k.b
  for i = 1, #kept do
    if now >= ends(kept[i][1], kept[i][2]) then
      kept = {}
      for _, x in ipairs(k.b) do
        if now < ends(x[1], x[2]) then kept[#kept + 1] = x end
      end
      k.b = kept
      return
    end
  end
end

local function load()
  local keys = {}
  for i = 1, #KEYS / 2 do keys[i] = KEYS[2 * i - 1] end
  local raws = redis.call('MGET', unpack(keys))
  for i = 1, #keys do
    local raw = raws[i]
    local k = {i = i, b = {}, due = INF, till = -INF, count = 0, birth = false}
    if raw then
      local version, mode, last, n, pos
      version, mode, last, k.birth, k.due, k.till, k.count, n, pos = unpack1('<BBddddI4H', raw)
      if version ~= 1 then return nil, 'SNOWGUARD newer' end
      if mode ~= rolling then return nil, 'SNOWGUARD windows' end
      if last > now then now = last end
      for j = 1, n do
        local code, slice, used, reserved
        code, slice, used, reserved, pos = unpack1('<BI4dd', raw, pos)
        k.b[j] = {code, slice, used, reserved}
      end
    end
    keys[i] = k
  end
  for i = 1, #keys do
    local k = keys[i]
    k.born = k.birth
    if not k.birth then k.birth = now end
    prune(k)
    if k.due <= now then expire(k) end
  end
  return keys
end

local function sums(k, code)
  local used, reserved, newest = 0, 0, false
  for _, x in ipairs(k.b) do
    if x[1] == code then
      used = used + x[3]
      reserved = reserved + x[4]
      newest = x[2]
    end
  end
  return used, reserved, newest
end

local function doubles(values) return pack('<' .. string.rep('d', #values), unpack(values)) end
`
