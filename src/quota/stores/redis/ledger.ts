/**
 * The rules of quotas (`quota/core/QuotaLedger.ts`) in Lua, where Redis can run them as one step: what is kept,
 * and what time does to it. `scripts.ts` has the steps themselves.
 *
 * ```
 * KEYS[1]  meta      string  version B, rolling B, last d, birth d, due d, till d
 * KEYS[2]  journal   zset    every reservation that is not finished or may still be corrected:
 *                            state c1, record; by the time at which something happens to it.
 *                            h held, s submitted: expires. f freed, c charged by expiry, x finished though
 *                            unknown: is forgotten
 * KEYS[3]..  counters  string  n H, soonest d, n x (code B, slice I4, used d, reserved d)
 *
 * record   since d, unique c16, bytes H, (length H, name) x keys, n H, n x (key H, code B, amount d)
 * ```
 *
 * There is one meta and one journal, which know all reservations; in a cluster, one for each hash tag. The
 * record is also what the id of the reservation says, so that whoever finishes it names the member of the
 * journal itself and brings along what was charged: a reservation costs one member, whatever it is over.
 *
 * Invariants
 *  - `last` is the latest time anything was changed: time never runs backwards;
 *  - `birth` is when meta was first written: what was reserved before has been lost (FLUSHALL);
 *  - nothing in the journal is due before `due`;
 *  - counters live until the last slice in them is over, meta and journal for days longer than any slice,
 *    and a member that is never due keeps the journal from being emptied, which would end its time to live;
 *  - counters whose slices are the same as before are overwritten in place;
 *  - numbers are doubles from end to end, packed as such: no text, no rounding, exact to 2^53;
 *  - expiry reaches counters that no key of the call names. One server, or one hash tag, has them all.
 *
 * `ARGV`: the time in milliseconds, or empty for the server's; 1 for rolling windows; the prefix; the steps.
 */
const GRACE_MS = 60_000
const META_MS = 3 * 86_400_000
/** More than a call makes: who comes after an idle night does not pay for it alone. */
const REAPED = 100

export const ledger = `
local floor, max, min, INF = math.floor, math.max, math.min, math.huge
local pack, unpack1, rep, sub, call = struct.pack, struct.unpack, string.rep, string.sub, redis.call
local JOURNAL, prefix, blob = KEYS[2], ARGV[3], ARGV[4]
local rolling = tonumber(ARGV[2])
local HOURS, DAYS, SLICES = 3600000, 86400000, 1
if rolling == 1 then HOURS, DAYS, SLICES = 60000, 1440000, 61 end
local now
if ARGV[1] == '' then
  local t = call('TIME')
  now = t[1] * 1000 + floor(t[2] / 1000)
else
  now = tonumber(ARGV[1])
end
local raws = call('MGET', unpack(KEYS))
local born, birth, due, till = INF, now, -INF, -INF
if raws[1] then
  local version, mode, last
  version, mode, last, birth, due, till = unpack1('<BBdddd', raws[1])
  if version ~= 1 then return redis.error_reply('SNOWGUARD newer') end
  if mode ~= rolling then return redis.error_reply('SNOWGUARD windows') end
  if last > now then now = last end
  born = birth
end
local hour, day = floor(now / HOURS), floor(now / DAYS)
local K, byKey, dirty, changed = {}, {}, {}, false
-- Most calls of a script look alike: their formats are put together once.
local formats = {}
local function format(unit, n)
  local all = formats[unit]
  if not all then all = {}; formats[unit] = all end
  local known = all[n]
  if not known then known = '<' .. rep(unit, n); all[n] = known end
  return known
end


local function ends(code, slice)
  if code < 64 then return (slice + SLICES) * HOURS end
  return (slice + SLICES) * DAYS
end

-- t is flat: code, slice, used, reserved of each bucket, oldest first.
local function load(key, raw)
  local k
  if raw then
    local n, soonest = unpack1('<Hd', raw)
    k = {key = key, t = {unpack1(format('BI4dd', n), raw, 11)}, n = 4 * n, soonest = soonest, length = #raw, dirty = false, grown = false}
    if soonest <= now then
      local t, kept, left = k.t, {}, 0
      soonest = INF
      for i = 1, k.n, 4 do
        local over = ends(t[i], t[i + 1])
        if now < over then
          kept[left + 1], kept[left + 2], kept[left + 3], kept[left + 4] = t[i], t[i + 1], t[i + 2], t[i + 3]
          left = left + 4
          soonest = min(soonest, over)
        end
      end
      k.t, k.n, k.soonest = kept, left, soonest
    end
  else
    k = {key = key, t = {}, n = 0, soonest = INF, length = 0, dirty = false, grown = false}
  end
  byKey[key] = k
  return k
end

local function touch(k)
  if not k.dirty then
    k.dirty = true
    dirty[#dirty + 1] = k
  end
end

local function append(k, code, slice)
  local t, i = k.t, k.n + 1
  t[i], t[i + 1], t[i + 2], t[i + 3] = code, slice, 0, 0
  k.n, k.grown = i + 3, true
  k.soonest = min(k.soonest, ends(code, slice))
  return i
end

local function book(k, code, slice, used, reserved)
  if now >= (slice + SLICES) * (code < 64 and HOURS or DAYS) then return end
  local t, i = k.t, 1
  while i <= k.n and not (t[i] == code and t[i + 1] == slice) do i = i + 4 end
  if i > k.n then i = append(k, code, slice) end
  t[i + 2] = max(0, t[i + 2] + used)
  t[i + 3] = max(0, t[i + 3] + reserved)
  if not k.dirty then touch(k) end
end

-- The entries of a record, flat: number of the key, code, amount; and the hour and day they are booked in.
local function entriesOf(record)
  local n, pos = unpack1('<H', record, unpack1('<H', record, 25) + 27)
  local since = unpack1('<d', record)
  return {unpack1(format('HBd', n), record, pos)}, 3 * n, since, floor(since / HOURS), floor(since / DAYS)
end

local function overOf(e, n, hours, days)
  local over = -INF
  for i = 2, n, 3 do over = max(over, ends(e[i], e[i] < 64 and hours or days)) end
  return n == 0 and INF or over
end

local function bookAll(keys, e, n, hours, days, used, reserved)
  for i = 1, n, 3 do
    local code, amount = e[i + 1], e[i + 2]
    book(keys[e[i]], code, code < 64 and hours or days, used * amount, reserved * amount)
  end
end

local function journal(score, state, record)
  call('ZADD', JOURNAL, score, state .. record)
  due = min(due, score)
  changed = true
end

for i = 3, #KEYS do K[i] = byKey[KEYS[i]] or load(KEYS[i], raws[i]) end

-- Frees or charges what has expired, and forgets what no longer matters.
if due <= now then
  local found = call('ZRANGEBYSCORE', JOURNAL, '-inf', now, 'LIMIT', 0, ${REAPED})
  for _, member in ipairs(found) do
    local state, record = sub(member, 1, 1), sub(member, 2)
    if state == 'h' or state == 's' then
      local keys, pos, stop = {}, 27, 27 + unpack1('<H', record, 25)
      while pos < stop do
        local name
        name, pos = unpack1('<Hc0', record, pos)
        local key = prefix .. 'q:{' .. name .. '}'
        keys[#keys + 1] = byKey[key] or load(key, call('GET', key))
      end
      local e, n, _, hours, days = entriesOf(record)
      local over = overOf(e, n, hours, days)
      bookAll(keys, e, n, hours, days, state == 's' and 1 or 0, -1)
      if now < over then journal(over, state == 's' and 'c' or 'f', record) end
    end
  end
  if #found > 0 then call('ZREM', JOURNAL, unpack(found)) end
  local first = call('ZRANGE', JOURNAL, 0, 0, 'WITHSCORES')[2]
  due = first and first ~= 'inf' and tonumber(first) or INF
  changed = true
end
`

/** Writes what has changed. */
export const save = `
for j = 1, #dirty do
  local k = dirty[j]
  local n = k.n / 4
  local raw = pack('<Hd', n, k.soonest) .. pack(format('BI4dd', n), unpack(k.t, 1, k.n))
  if k.length == #raw and not k.grown then
    call('SETRANGE', k.key, 0, raw)
  else
    local over = now
    for i = 1, k.n, 4 do over = max(over, ends(k.t[i], k.t[i + 1])) end
    call('SET', k.key, raw, 'PX', string.format('%.0f', over - now + ${GRACE_MS}))
  end
end
if changed or #dirty > 0 then
  if till - now < ${META_MS - 86_400_000} then
    till = now + ${META_MS}
    call('ZADD', JOURNAL, 'inf', '')
    call('PEXPIRE', JOURNAL, ${META_MS})
    call('SET', KEYS[1], pack('<BBdddd', 1, rolling, now, birth, due, till), 'PX', ${META_MS})
  else
    call('SETRANGE', KEYS[1], 0, pack('<BBdddd', 1, rolling, now, birth, due, till))
  end
end
`
