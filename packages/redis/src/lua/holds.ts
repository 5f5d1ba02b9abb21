/**
 * Holds: one text for each call, `h:<call>`; `leases` has those that live, by when their lease is over. While a hold
 * lives, `lease` is that time; once it has ended or is orphaned, since when that is so.
 *
 * A text and no hash: to make one costs half as much, and says in the same command whether there was one before.
 */

/** The text: state, lease, how long session, `once` and memo are (nothing: there is none), these three, and the parts. */
export const HOLDS: string = `
local function holdOf(call)
  local text = redis.call('GET', base .. 'h:' .. call)
  if not text then return nil end
  local state, lease, session, once, memo, at = string.match(text, '^(%a+) (%d+) (%d+) (%d*) (%d*) ()')
  if not state then error('HALDIR a hold is not one') end
  local function field(length)
    if length == '' then return nil end
    local from = at
    at = from + length
    return string.sub(text, from, at - 1)
  end
  return { state = state, lease = tonumber(lease), session = field(session), once = field(once), memo = field(memo),
    parts = string.sub(text, at) }
end
`

export const HOLD_TEXT: string = `
local function holdText(state, lease, session, once, memo, parts)
  return state .. ' ' .. lease .. ' ' .. #session .. ' ' .. (once and #once or '') .. ' ' .. (memo and #memo or '') .. ' '
    .. session .. (once or '') .. (memo or '') .. parts
end
`

export const WRITE_HOLD: string = `
local function writeHold(call, hold, state, lease)
  local text = holdText(state, whole(lease), hold.session, hold.once, hold.memo, hold.parts)
  redis.call('SET', base .. 'h:' .. call, text)
end
`

export const ENDING: string = `
local function isEnded(state) return state == 'settled' or state == 'released' end

-- Ended holds are known for a day; orphans as long as a late settle may come.
local function finish(call, hold, state)
  writeHold(call, hold, state, now)
  redis.call('ZREM', base .. 'leases', call)
  local gone = now + DAY + 3600000
  if state == 'orphaned' then gone = now + 30 * DAY end
  lapse(base .. 'h:' .. call, gone)
  if not hold.once then return end
  local calls = base .. 'o:' .. hold.once
  if state == 'released' then redis.call('SREM', calls, call)
  elseif redis.call('SCARD', calls) == 1 then lapse(calls, gone) end
end

-- What stands for a call that nobody held anything for: it has ended.
local function bury(call, state)
  writeHold(call, { session = '', parts = '' }, state, now)
  lapse(base .. 'h:' .. call, now + DAY + 3600000)
end
`

/** Windows' names hold from a time to another; outside, the verb has to be sent again. Nothing: there is no name. */
export const EDGE: string = `
if from ~= '' and (now < tonumber(from) or now >= tonumber(till)) then return { 'edge', whole(now) } end
`

/** The same, where they are an argument of their own. */
export function edge(place: number): string {
  return `\nlocal from, till = string.match(ARGV[${place}], '^(%d*) ?(%d*)$')\n${EDGE}`
}

/** Whether there are rates among the charges. */
export const RATED: string = `
local rated = ARGV[4] == 'rates'
`

/**
 * Arguments: call, whether a call that is not known here is counted, what is said of what was spent (`nothing`, `all`, or
 * that there are `rates` in it), window, charges.
 */
export const SETTLE: string = `
local call, spent = ARGV[2], ARGV[4] ~= 'nothing'
local hold = holdOf(call)
if not hold and (ARGV[3] == '0' or #ARGV < 6) then return { 'ok', whole(now), 'unknown', 0 } end
-- What has not begun to run has spent nothing.
if hold and (hold.state == 'reserved' or isEnded(hold.state)) then return { 'ok', whole(now), hold.state, 0 } end
local over = count(hold, spent, 6)
flush()
if hold then finish(call, hold, 'settled') else bury(call, 'settled') end
return { 'ok', whole(now), 'settled', over and 1 or 0 }
`

/** Argument: call. */
export const CANCEL: string = `
local call = ARGV[2]
local hold = holdOf(call)
local state = hold and hold.state or 'unknown'
if not hold then bury(call, 'released')
-- Invariant: an orphan stays counted; only a late settle may change it.
elseif state ~= 'orphaned' and not isEnded(state) then
  giveBack(hold)
  flush()
  finish(call, hold, 'released')
  state = 'released'
end
return { 'ok', whole(now), state }
`

/** Arguments: lease, calls. The rows that a hold counts on live on with it. */
export const RENEW: string = `
for index = 3, #ARGV do
  local hold = holdOf(ARGV[index])
  if hold and hold.state == 'running' then
    local lease = math.max(hold.lease, now + ARGV[2])
    writeHold(ARGV[index], hold, 'running', lease)
    redis.call('ZADD', base .. 'leases', whole(lease), ARGV[index])
    local parts = partsOf(hold)
    for place = 1, #parts, 2 do
      local key = base .. 'm:' .. parts[place]
      local left = redis.call('PTTL', key)
      if left >= 0 and left < lease - now + KEEP then redis.call('PEXPIRE', key, whole(lease - now + KEEP)) end
    end
  end
end
return { 'ok', whole(now) }
`

/** Argument: how many. */
export const EXPIRE: string = `
local released, orphaned = {}, {}
for _, call in ipairs(redis.call('ZRANGEBYSCORE', base .. 'leases', '-inf', whole(now), 'LIMIT', 0, ARGV[2])) do
  local hold = holdOf(call)
  if not hold then redis.call('ZREM', base .. 'leases', call)
  else
    -- Invariant: time never gives a running hold back. It may have been spent, so it is counted as spent.
    local running = hold.state == 'running'
    if running then keep(hold) else giveBack(hold) end
    finish(call, hold, running and 'orphaned' or 'released')
    local list = running and orphaned or released
    list[#list + 1] = call
  end
end
flush()
return { 'ok', whole(now), released, orphaned }
`

/** Argument: call. */
export const HOLD: string = `
local found = holdOf(ARGV[2])
if not found then return { 'ok', whole(now) } end
return { 'ok', whole(now), found.session, found.state, found.memo or false }
`

/** Arguments: window, meters. Of each: whether its row is here, its limit, what is used and held. */
export const READ: string = `
local states = {}
for index = 3, #ARGV do
  local kind, name, _, limit, period, burst = charge(index)
  local state = {}
  if kind == 'rate' then
    local bucket = bucketOf(name)
    local level = leaked(bucket.level, bucket.at, limit, period)
    state = { bucket.at > 0 and 1 or 0, burst, level, '0' }
  else
    local one = own(name)
    local cap = one and one.cap
    local here = cap and 1 or 0
    if kind == 'standing' then cap = limit end
    if cap then state = { here, cap, one and one.used or '0', one and one.held or '0' } end
  end
  states[#states + 1] = state
end
return { 'ok', whole(now), states }
`
