/**
 * The rules of quotas (`quota/core/Ledger.ts`) in Lua: the steps of the store, any number of them in one script,
 * which Redis runs as one atomic step. `operations.ts` has what each step is told. Answers are doubles in a row,
 * little endian: the time, then the answer of each step.
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
 * record is also what the id of the reservation says, so that a call that finishes it names the member of the
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
import * as Script from "../../../platform/redis/script.js"

const GRACE_MS = 60_000
const META_MS = 3 * 86_400_000
/** More than a call makes; bounded, so that the first call after an idle night is not slow. */
const REAPED = 100

const ledger = `
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
const save = `
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

/** What a step starts with. */
export const Op = { reserve: 1, check: 2, submitted: 3, settle: 4, release: 5, usage: 6, reset: 7 } as const

/**
 * `reserve`, `check`: ttl d, n H, n x (key H, code B, amount d, limit d), then the record as Hc0;
 * `since` is put in here. The code of what is post-paid is 128 more. Granted: 1, then used and reserved of each charge. Refused: 0, number of the
 * charge, used, reserved, resetAt.
 */
const reserve = `
local members, z, undo, stamp = {}, 0, {}, 'h' .. pack('<d', now)
-- Numbers become text slowly, and calls of one moment mostly expire in one moment.
local scored, score = nil, nil
local function reserve(pos, held)
  local ttl, n, length
  ttl, n, pos = unpack1('<dH', blob, pos)
  local e = {unpack1(format('HBdd', n), blob, pos)}
  length, pos = unpack1('<H', blob, e[4 * n + 1])
  local first, u, refused, daily, last, hint = m, 0, INF, false, nil, 1
  m = m + 1
  for c = 1, 4 * n, 4 do
    local k, code, amount, limit = K[e[c]], e[c + 1], e[c + 2], e[c + 3]
    local bare = amount == 0
    if code >= 128 then code, bare = code - 128, true end
    local slice = code < 64 and hour or day
    local t, size, used, reserved, at = k.t, k.n, 0, 0, nil
    if k ~= last then last, hint = k, 1 end
    if SLICES == 1 then
      -- One bucket at most, and mostly in the order of the charges.
      local i = hint
      if i > size or t[i] ~= code then
        i = 1
        while i <= size and t[i] ~= code do i = i + 4 end
      end
      if i <= size then used, reserved, at, hint = t[i + 2], t[i + 3], i, i + 4 end
    else
      for i = 1, size, 4 do
        if t[i] == code then
          used = used + t[i + 2]
          reserved = reserved + t[i + 3]
          if t[i + 1] == slice then at = i end
        end
      end
    end
    local taken = used + reserved
    if bare and taken < limit or not bare and taken + amount <= limit then
      at = (at or append(k, code, slice)) + 3
      undo[u + 1], undo[u + 2], undo[u + 3] = k, at, t[at]
      u = u + 3
      t[at] = t[at] + amount
      if code >= 64 then daily = true end
      if refused == INF then
        out[m], out[m + 1] = used, reserved + amount
        m = m + 2
      end
    else
      local resetAt, newest
      for i = 1, k.n, 4 do
        if t[i] == code then
          newest = t[i + 1]
          taken = taken - t[i + 2] - t[i + 3]
          if not resetAt and (bare and taken < limit or not bare and taken + amount <= limit) then
            resetAt = ends(code, newest)
          end
        end
      end
      resetAt = resetAt or ends(code, newest or slice)
      if refused == INF or resetAt > refused then
        refused = resetAt
        out[first + 1], out[first + 2], out[first + 3], out[first + 4] = (c - 1) / 4, used, reserved, resetAt
      end
    end
  end
  if refused == INF and held then
    out[first] = 1
    for i = 1, u, 3 do
      if not undo[i].dirty then touch(undo[i]) end
    end
    local expiry = min(now + ttl, daily and ends(64, day) or ends(1, hour))
    if expiry ~= scored then scored, score = expiry, string.format('%.17g', expiry) end
    members[z + 1], members[z + 2] = score, stamp .. sub(blob, pos + 8, pos + length - 1)
    z = z + 2
    due = min(due, expiry)
  else
    for i = u, 1, -3 do undo[i - 2].t[undo[i - 1]] = undo[i] end
    if refused == INF then out[first] = 1 else out[first], m = 0, first + 5 end
  end
  return pos + length
end
`

/**
 * `submitted`, `settle`, `release`: the record as Hc0, n H, n x H its keys, n H, n x (key H, code B, amount d)
 * the truth. Answers 1, or 0 when the reservation was lost and is not in the journal: then what
 * was used is charged now, once.
 */
const finish = `
local function finish(pos, op)
  local record, n
  record, n, pos = unpack1('<Hc0H', blob, pos)
  local ids = {unpack1(format('H', n), blob, pos)}
  n, pos = unpack1('<H', blob, ids[n + 1])
  local truth = {unpack1(format('HBd', n), blob, pos)}
  local stop = 3 * n
  pos = truth[stop + 1]
  out[m] = 1
  m = m + 1
  local e, size, since, hours, days = entriesOf(record)
  local keys = {}
  for i = 1, #ids - 1 do keys[i] = K[ids[i]] end
  if op == ${Op.submitted} then
    local score = call('ZSCORE', JOURNAL, 'h' .. record)
    if score then
      call('ZREM', JOURNAL, 'h' .. record)
      journal(tonumber(score), 's', record)
    elseif call('ZREM', JOURNAL, 'f' .. record) == 1 then
      -- What has expired meanwhile is charged after all.
      bookAll(keys, e, size, hours, days, 1, 0)
      journal(overOf(e, size, hours, days), 'c', record)
    end
    return pos
  end
  local held, charged = 1, 0
  if call('ZREM', JOURNAL, 'h' .. record) == 0 and call('ZREM', JOURNAL, 's' .. record) == 0 then
    held = 0
    if call('ZREM', JOURNAL, 'c' .. record) == 1 then charged = 1
    elseif call('ZREM', JOURNAL, 'f' .. record) == 0 then
      local over = overOf(e, size, hours, days)
      if now >= over or born <= since or call('ZSCORE', JOURNAL, 'x' .. record) then return pos end
      out[m - 1] = 0
      if op == ${Op.settle} then
        for i = 1, stop, 3 do
          local code, amount = truth[i + 1], truth[i + 2]
          if amount >= 0 then book(K[truth[i]], code, code < 64 and hour or day, amount, 0) end
        end
      end
      journal(over < INF and over or ends(64, day), 'x', record)
      return pos
    end
  end
  changed = true
  for i = 1, size, 3 do
    local k, code, amount = keys[e[i]], e[i + 1], e[i + 2]
    local used = 0
    if op == ${Op.settle} then
      used = amount
      for j = 1, stop, 3 do
        if truth[j + 1] == code and truth[j + 2] >= 0 and K[truth[j]] == k then
          used = truth[j + 2]
          break
        end
      end
    end
    book(k, code, code < 64 and hours or days, used - charged * amount, -held * amount)
  end
  return pos
end
`

/** `usage`: key H. Answers how many quotas something is used or held of, then code, used, reserved, resetAt. */
const usage = `
local function usage(k)
  local t, first, seen = k.t, m, {}
  out[first] = 0
  m = m + 1
  for i = 1, k.n, 4 do
    local code = t[i]
    if not seen[code] then
      seen[code] = true
      local used, reserved, newest = 0, 0, 0
      for j = i, k.n, 4 do
        if t[j] == code then
          used, reserved, newest = used + t[j + 2], reserved + t[j + 3], max(newest, t[j + 1])
        end
      end
      if used > 0 or reserved > 0 then
        out[m], out[m + 1], out[m + 2], out[m + 3] = code, used, reserved, ends(code, newest)
        m = m + 4
        out[first] = out[first] + 1
      end
    end
  end
end
`

/** `reset`: key H, code B or 0 for all. What is held stays held. Answers 1. */
const reset = `
local function reset(k, code)
  local t = k.t
  for i = 1, k.n, 4 do
    if code == 0 or t[i] == code then
      t[i + 2] = 0
      touch(k)
    end
  end
  out[m] = 1
  m = m + 1
end
`

/** `unpack` takes no more than some thousands at a time. */
const answer = `
if m <= 4001 then return pack('<' .. rep('d', m - 1), unpack(out, 1, m - 1)) end
local parts = {}
for i = 1, m - 1, 4000 do
  local last = min(i + 3999, m - 1)
  parts[#parts + 1] = pack('<' .. rep('d', last - i + 1), unpack(out, i, last))
end
return table.concat(parts)
`

export const steps = Script.make(`${ledger}
local out, m = {now}, 2
${reserve}${finish}${usage}${reset}
local pos, stop = 1, #blob
while pos <= stop do
  local op
  op, pos = unpack1('B', blob, pos)
  if op <= ${Op.check} then pos = reserve(pos, op == ${Op.reserve})
  elseif op <= ${Op.release} then pos = finish(pos, op)
  elseif op == ${Op.usage} then
    local key
    key, pos = unpack1('<H', blob, pos)
    usage(K[key])
  else
    local key, code
    key, code, pos = unpack1('<HB', blob, pos)
    reset(K[key], code)
  end
end
if z > 0 then
  call('ZADD', JOURNAL, unpack(members, 1, z))
  changed = true
end
${save}
${answer}`)
