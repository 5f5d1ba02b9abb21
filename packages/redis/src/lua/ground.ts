/**
 * What every script begins with. A script is composed of these parts, in this order, and of one verb; each runs whole or
 * not at all as far as anybody else can see, and writes nothing before it knows that it will not refuse.
 *
 * `KEYS[1]` is the clock of a tenant. All other keys of the script are made from it, so they share its hash tag and its
 * slot. `ARGV[1]` is the time; empty: the server's own.
 */

/** The store's now, and how long a key is kept. */
export const TIME: string = `
local base = string.sub(KEYS[1], 1, -6)

-- Not %d: where a long has 32 bits it would cut off what a time is.
local function whole(number) return string.format('%.0f', number) end

-- Invariant: no script runs while its keys are on their way to another server of a cluster: those that are there already
-- would look as if the others had never been. A server of which one key is here and one is not refuses, in such a slot, to
-- read both at once; nothing is ever kept in the second.
-- Invariant: a clock going backwards never extends or refills anything. The highest time seen is kept with the tenant.
local seen = tonumber(redis.call('MGET', KEYS[1], base .. 'none')[1] or '0')
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
if now > seen then redis.call('SET', KEYS[1], whole(now)) else now = seen end

-- The key goes at that time of the store, never before. Under a clock of tests that is so long from now.
local function lapse(key, at)
  if ARGV[1] == '' then redis.call('PEXPIREAT', key, whole(at))
  else redis.call('PEXPIRE', key, whole(math.max(at - now, 1))) end
end

local DAY = 86400000
-- How long what has ended is kept for those who ask why, and for what still runs.
local KEEP = 7 * DAY
`

/** What a script fails with that would count further than it can. */
export const OVERFLOW = 'HALDIR an amount is out of bounds'

/**
 * Amounts are decimal strings without sign, since Lua counts in doubles. Up to 15 digits a double is exact; longer ones
 * are counted in two halves. What has more than 19 digits is refused, before anything is written.
 */
export const DECIMAL: string = `
local function halves(text)
  if #text <= 10 then return 0, tonumber(text) end
  return tonumber(string.sub(text, 1, -11)), tonumber(string.sub(text, -10))
end

local function joined(high, low)
  if high == 0 then return whole(low) end
  return string.format('%.0f%010.0f', high, low)
end

local function less(a, b)
  if #a ~= #b then return #a < #b end
  if #a < 16 then return tonumber(a) < tonumber(b) end
  local ah, al = halves(a)
  local bh, bl = halves(b)
  return ah < bh or (ah == bh and al < bl)
end

local function add(a, b)
  if #a < 16 and #b < 16 then return whole(a + b) end
  local ah, al = halves(a)
  local bh, bl = halves(b)
  local high, low = ah + bh, al + bl
  if low >= 1e10 then high, low = high + 1, low - 1e10 end
  local sum = joined(high, low)
  if #sum > 19 then error('${OVERFLOW}') end
  return sum
end
`

export const MINUS: string = `
-- Nothing is ever less than nothing.
local function minus(a, b)
  if not less(b, a) then return '0' end
  if #a < 16 then return whole(a - b) end
  local ah, al = halves(a)
  local bh, bl = halves(b)
  local high, low = ah - bh, al - bl
  if low < 0 then high, low = high - 1, low + 1e10 end
  return joined(high, low)
end
`

/** The arithmetic of rates, rounding as `stores/rate.ts` of core does. */
export const RATES: string = `
-- limit * ms / period, rounded down; exact for ms and period up to 4e12, which is 126 years.
local function leaks(limit, ms, period)
  if #limit + #whole(ms) < 16 then
    local product = limit * ms
    local quotient = math.floor(product / period)
    if quotient * period > product then quotient = quotient - 1 end
    return whole(quotient)
  end
  local limbs, carry = {}, 0
  for last = #limit, 1, -3 do
    local product = tonumber(string.sub(limit, math.max(last - 2, 1), last)) * ms + carry
    carry = math.floor(product / 1000)
    limbs[#limbs + 1] = product - carry * 1000
  end
  while carry > 0 do
    local rest = math.floor(carry / 1000)
    limbs[#limbs + 1] = carry - rest * 1000
    carry = rest
  end
  local digits, rest = {}, 0
  for place = #limbs, 1, -1 do
    rest = rest * 1000 + limbs[place]
    local digit = math.floor(rest / period)
    rest = rest - digit * period
    if rest < 0 then digit, rest = digit - 1, rest + period end
    digits[#digits + 1] = string.format('%03.0f', digit)
  end
  local text = string.gsub(table.concat(digits), '^0+', '')
  return text == '' and '0' or text
end

-- A bucket as it stands now.
local function leaked(level, at, limit, period)
  if now <= at then return level, at end
  if level == '0' then return level, now end
  return minus(level, leaks(limit, math.min(now - at, 4e12), tonumber(period))), now
end

local buckets = {}
local function bucketOf(key)
  if not buckets[key] then
    local row = redis.call('HMGET', base .. 'r:' .. key, 'level', 'at')
    buckets[key] = { level = row[1] or '0', at = tonumber(row[2] or '0') }
  end
  return buckets[key]
end

-- A bucket that is empty is the same as none: its key goes when twice the time that this takes is over, and a day.
local function fill(key, level, at, limit, period)
  local name = base .. 'r:' .. key
  redis.call('HSET', name, 'level', level, 'at', whole(at))
  if limit == '0' then redis.call('PERSIST', name)
  else lapse(name, at + DAY + math.min(math.ceil(level * period / limit) * 2, 4e12)) end
end
`
