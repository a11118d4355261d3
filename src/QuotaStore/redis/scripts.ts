/**
 * The steps of the store, each one script. See `ledger.ts` for the keys and what is in them.
 *
 * Answers are doubles in a row, little endian.
 */
import * as Script from "../../internal/redis/script.js"
import { ledger } from "./ledger.js"

const define = (body: string): Script.Script =>
  Script.make(
    `${ledger}\nlocal K, wrong = load()\nif not K then return redis.error_reply(wrong) end\n${body}`
  )

/**
 * `ARGV`: ..., id (empty to ask only), milliseconds to hold, then for each charge: number of its key, code,
 * limit, amount, 1 if post-paid. Granted: `1, now, end of the last slice`, then `used, reserved, resetAt`
 * of each charge. Refused: `0, now, index of the charge, used, reserved, resetAt`.
 */
export const reserve = define(`
local id, ttl = ARGV[3], tonumber(ARGV[4])
local answer, over, parts = {1, now, 0}, -INF, {}
local refused, undo = nil, {}
for c = 5, #ARGV, 5 do
  local ki = tonumber(ARGV[c])
  local k = K[ki]
  local code, limit = tonumber(ARGV[c + 1]), tonumber(ARGV[c + 2])
  local amount, later = max(0, tonumber(ARGV[c + 3])), ARGV[c + 4] == '1'
  local used, reserved, newest = sums(k, code)
  local taken = used + reserved
  local bare = later or amount == 0
  if bare and taken < limit or not bare and taken + amount <= limit then
    local slice = floor(now / width(code))
    local x = bucketOf(k, code, slice)
    x[4] = x[4] + amount
    undo[#undo + 1] = {x, amount}
    local resetAt = ends(code, slice)
    over = max(over, resetAt)
    k.over = max(k.over or 0, resetAt)
    local part = parts[ki]
    if not part then part = {''}; parts[ki] = part end
    part[#part + 1] = pack('<BI4d', code, slice, amount)
    local n = #answer
    answer[n + 1], answer[n + 2], answer[n + 3] = used, reserved + amount, resetAt
  else
    local resetAt
    for _, x in ipairs(k.b) do
      if x[1] == code then
        taken = taken - x[3] - x[4]
        if bare and taken < limit or not bare and taken + amount <= limit then
          resetAt = ends(code, x[2])
          break
        end
      end
    end
    resetAt = resetAt or ends(code, newest or floor(now / width(code)))
    if not refused or resetAt > refused[6] then
      refused = {0, now, (c - 5) / 5, used, reserved, resetAt}
    end
  end
end
if refused then return doubles(refused) end
if id ~= '' then
  local expiry = now + ttl
  for ki, part in pairs(parts) do
    local k = K[ki]
    part[1] = pack('<c1dB', 'h', expiry, #part - 1)
    redis.call('HSET', KEYS[2 * ki], id, table.concat(part))
    lives(k, k.over)
    k.due = min(k.due, expiry)
    save(k)
  end
end
answer[3] = over
return doubles(answer)
`)

/** `ARGV`: ..., id. What has expired meanwhile is charged after all. */
export const submitted = define(`
for i, k in ipairs(K) do
  local raw = redis.call('HGET', KEYS[2 * i], ARGV[3])
  if raw then
    local state, _, entries = entriesOf(raw)
    if state == 'h' then
      redis.call('HSET', KEYS[2 * i], ARGV[3], 's' .. string.sub(raw, 2))
    elseif state == 'f' then
      for _, e in ipairs(entries) do book(k, e[1], e[2], e[3], 0) end
      redis.call('HSET', KEYS[2 * i], ARGV[3], 'c' .. string.sub(raw, 2))
      save(k)
    end
  end
end
return doubles({1})
`)

/**
 * `ARGV`: ..., id, when it was reserved, when its last slice is over, how many of the keys (the first ones)
 * it is about, 1 to settle or 0 to release, then for each actual: number of its key, code, amount. An id
 * from before the birth of all its keys has been lost: what was used is charged now, once. Answers 1, or 0
 * when it was lost and this is the first we hear of it.
 */
export const finish = define(`
local id, since, over, own, settles = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7] == '1'
local function truth(ki, code)
  for c = 8, #ARGV, 3 do
    if tonumber(ARGV[c]) == ki and tonumber(ARGV[c + 1]) == code then
      local amount = tonumber(ARGV[c + 2])
      if amount >= 0 then return amount end
    end
  end
end
local known = now >= over
for i = 1, own do
  local k, r = K[i], KEYS[2 * i]
  local raw = redis.call('HGET', r, id)
  if k.born and k.born <= since then known = true end
  if raw then
    known = true
    local state, _, entries = entriesOf(raw)
    if state ~= 'x' then
      for _, e in ipairs(entries) do
        local amount = settles and (truth(i, e[1]) or e[3]) or 0
        if state == 'h' or state == 's' then book(k, e[1], e[2], amount, -e[3])
        elseif state == 'f' then book(k, e[1], e[2], amount, 0)
        else book(k, e[1], e[2], amount - e[3], 0) end
      end
      drop(k, id)
      save(k)
    end
  end
end
if known then return doubles({1}) end
local changed = {[1] = true}
if settles then
  for c = 8, #ARGV, 3 do
    local ki, code, amount = tonumber(ARGV[c]), tonumber(ARGV[c + 1]), tonumber(ARGV[c + 2])
    if amount >= 0 then
      book(K[ki], code, floor(now / width(code)), amount, 0)
      changed[ki] = true
    end
  end
end
local home = K[1]
local till = over < INF and over or ends(64, floor(now / DAYS))
redis.call('HSET', KEYS[2], id, pack('<c1dB', 'x', till, 0))
home.due = min(home.due, till)
lives(home, till)
for i in pairs(changed) do save(K[i]) end
return doubles({0})
`)

/** For each key: how many quotas of it something is used or held of, then `code, used, reserved, resetAt`. */
export const usage = define(`
local answer = {}
for _, k in ipairs(K) do
  local at, seen = #answer + 1, {}
  answer[at] = 0
  for _, x in ipairs(k.b) do
    local code = x[1]
    if not seen[code] then
      seen[code] = true
      local used, reserved, newest = sums(k, code)
      if used > 0 or reserved > 0 then
        local n = #answer
        answer[n + 1], answer[n + 2], answer[n + 3], answer[n + 4] = code, used, reserved, ends(code, newest)
        answer[at] = answer[at] + 1
      end
    end
  end
end
return doubles(answer)
`)

/** `ARGV`: ..., code of the quota, or empty for all. What is held stays held. */
export const reset = define(`
local code = tonumber(ARGV[3])
for _, k in ipairs(K) do
  for _, x in ipairs(k.b) do
    if not code or x[1] == code then x[3] = 0 end
  end
  if k.born then save(k) end
end
return doubles({1})
`)
