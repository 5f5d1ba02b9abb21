/**
 * Budgets and quotas: one text for each row, `m:<window>|<key of the meter>`: its cap, what is used and what is held.
 * The row of a session's meter without a window's name carries the limit; the rows of its windows are copied from it.
 */

/** Reads rows, and writes those that changed, all at the end of a verb. */
export const ROWS: string = `
local rows = {}

local function row(name)
  if rows[name] == nil then
    local text = redis.call('GET', base .. 'm:' .. name)
    rows[name] = false
    if text then
      local cap, used, held = string.match(text, '^(%d+) (%d+) (%d+)$')
      if not cap then error('HALDIR a row is not one') end
      rows[name] = { cap = cap, used = used, held = held }
    end
  end
  return rows[name]
end

local function meterOf(name) return string.sub(name, string.find(name, '|', 1, true) + 1) end

-- The row of a session's meter; the first use of a window makes its row from the meter's.
local function own(name)
  local found = row(name)
  if found or string.sub(name, 1, 1) == '|' then return found end
  local total = row('|' .. meterOf(name))
  if not total then return false end
  rows[name] = { cap = total.cap, used = '0', held = '0', fresh = true }
  return rows[name]
end

local function flush()
  for name, one in pairs(rows) do
    if one and one.changed then
      local text = one.cap .. ' ' .. one.used .. ' ' .. one.held
      if not one.fresh then redis.call('SET', base .. 'm:' .. name, text, 'KEEPTTL')
      elseif one.lasts ~= '' then redis.call('SET', base .. 'm:' .. name, text, 'PX', one.lasts)
      else
        redis.call('SET', base .. 'm:' .. name, text)
        -- A standing meter that counts per session goes with its session, as the session's own do.
        local id = string.match(name, '|session:([^|]*)|')
        local found = id and redis.call('HMGET', base .. 's:' .. id, 'expires', 'meters')
        if found and found[1] then
          local names = cjson.decode(found[2])
          names[#names + 1] = meterOf(name)
          redis.call('HSET', base .. 's:' .. id, 'meters', cjson.encode(names))
          lapse(base .. 'm:' .. name, math.max(found[1], now) + KEEP)
        end
      end
    end
  end
end
`

/**
 * A charge: `own|standing|rate`, the amount, and then: nothing, or the limit; how long the row of a window is kept at
 * least; or of a rate its limit, period and burst; and the row.
 */
export const CHARGE: string = `
local function charge(index)
  local kind, micros, a, b, c, name = string.match(ARGV[index], '^(%a+) (%d+) (%d*) (%d*) (%d*) (.*)$')
  return kind, name, micros, a, b, c
end
`

export const TAKE: string = `
-- Why these charges can't be taken: the reason, the number of the charge, and of a rate the bucket as it is kept.
-- Nothing: then they are as good as taken; what the hold keeps of them is answered second, the buckets to fill third.
local function take(first, last)
  local parts, filled, sums = '', {}, {}
  for index = first, last do
    local kind, name, micros, limit, period, burst = charge(index)
    local number = index - first
    if kind == 'rate' then
      local bucket = bucketOf(name)
      local level, at = leaked(bucket.level, bucket.at, limit, period)
      sums[name] = add(sums[name] or '0', micros)
      local full = add(level, sums[name])
      if less(burst, full) then return { 'rate-exceeded', number, bucket.level, whole(bucket.at) } end
      filled[name] = { full, at, limit, period }
    else
      local one = kind == 'own' and own(name) or kind == 'standing' and (row(name) or { used = '0', held = '0', fresh = true })
      if not one then return { 'unavailable', number } end
      local cap = kind == 'own' and one.cap or limit
      -- Invariant: held + used never exceeds the limit: the check and the change are one script.
      local held = add(one.held, micros)
      if less(cap, add(one.used, held)) then return { 'budget-exceeded', number } end
      one.cap, one.held, one.changed, one.lasts = cap, held, true, period
      rows[name] = one
      parts = parts .. micros .. ' ' .. #name .. ' ' .. name
    end
  end
  return nil, parts, filled
end
`

/** What a hold keeps of each charge: how much, and on which row, which is so long. Read as rows and amounts in turn. */
export const PARTS: string = `
local function partsOf(hold)
  local parts, at = {}, 1
  while at <= #hold.parts do
    local micros, length, from = string.match(hold.parts, '^(%d+) (%d+) ()', at)
    at = from + length
    parts[#parts + 1] = string.sub(hold.parts, from, at - 1)
    parts[#parts + 1] = micros
  end
  return parts
end
`

/** What becomes of the parts of a hold that nothing was said of. */
export const MOVE: string = `
-- A row that is not there any more counts nothing.
local function move(name, change)
  local one = row(name)
  if not one then return end
  change(one)
  one.changed = true
end

local function giveBack(hold)
  local parts = partsOf(hold)
  for place = 1, #parts, 2 do
    move(parts[place], function(one) one.held = minus(one.held, parts[place + 1]) end)
  end
end

local function keep(hold)
  local parts = partsOf(hold)
  for place = 1, #parts, 2 do
    move(parts[place], function(one)
      one.held = minus(one.held, parts[place + 1])
      one.used = add(one.used, parts[place + 1])
    end)
  end
end
`

/** Replaces what a hold counts for by what was spent. */
export const COUNT: string = `
local function standing(name, limit)
  if not row(name) then rows[name] = { used = '0', held = '0', fresh = true } end
  rows[name].cap = limit
  return rows[name]
end

local function count(hold, spent, first)
  local over, moved, filled = false, {}, {}
  local parts = hold and partsOf(hold) or {}
  for place = 1, #parts, 2 do
    local name, micros = parts[place], parts[place + 1]
    local one = row(name)
    if one then
      if hold.state == 'orphaned' then one.used = minus(one.used, micros) else one.held = minus(one.held, micros) end
      if not spent then one.used = add(one.used, micros) end
      moved[name] = one
    elseif not spent and micros ~= '0' then over = true end
  end
  for index = first, #ARGV do
    local kind, name, micros, limit, period, burst = charge(index)
    if kind == 'rate' then
      -- What was admitted has been counted by its rates.
      if not hold then
        local bucket = bucketOf(name)
        local level, at = leaked(bucket.level, bucket.at, limit, period)
        bucket.level, bucket.at = add(level, micros), at
        filled[name] = { limit, period }
        if less(burst, bucket.level) then over = true end
      end
    else
      -- A hold settles in the window it was admitted in.
      for place = 1, #parts, 2 do
        if meterOf(parts[place]) == meterOf(name) then
          name = parts[place]
          break
        end
      end
      local one = kind == 'standing' and standing(name, limit) or kind == 'own' and own(name)
      if one then
        one.used, one.lasts = add(one.used, micros), period
        moved[name] = one
      -- What a missing meter can't count is beyond it.
      elseif micros ~= '0' then over = true end
    end
  end
  for _, one in pairs(moved) do
    one.changed = true
    if less(one.cap, add(one.used, one.held)) then over = true end
  end
  for name, by in pairs(filled) do fill(name, bucketOf(name).level, bucketOf(name).at, by[1], by[2]) end
  return over
end
`
