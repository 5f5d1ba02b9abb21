/**
 * Holds: one hash for each call, `h:<call>`; `leases` has those that live, by when their lease is over. While a hold
 * lives, `lease` is that time; once it has ended or is orphaned, since when that is so.
 */

export const HOLDS: string = `
local function holdOf(call)
  local found = redis.call('HMGET', base .. 'h:' .. call, 'session', 'state', 'lease', 'parts', 'once')
  if not found[2] then return nil end
  return { session = found[1], state = found[2], lease = tonumber(found[3]), parts = found[4], once = found[5] }
end
`

export const ENDING: string = `
local function isEnded(state) return state == 'settled' or state == 'released' end

-- Ended holds are known for a day; orphans as long as a late settle may come.
local function finish(call, hold, state)
  local key = base .. 'h:' .. call
  redis.call('HSET', key, 'state', state, 'lease', whole(now))
  redis.call('ZREM', base .. 'leases', call)
  local gone = now + DAY + 3600000
  if state == 'orphaned' then gone = now + 30 * DAY end
  lapse(key, gone)
  if not hold.once then return end
  local calls = base .. 'o:' .. hold.once
  if state == 'released' then redis.call('SREM', calls, call)
  elseif redis.call('SCARD', calls) == 1 then lapse(calls, gone) end
end

-- What stands for a call that nobody held anything for: it has ended.
local function bury(call, state)
  redis.call('HSET', base .. 'h:' .. call, 'session', '', 'state', state, 'lease', whole(now), 'parts', '[]')
  lapse(base .. 'h:' .. call, now + DAY + 3600000)
end
`

/** `once` keys: a set of the calls that have, or had, each. */
export const ONCE: string = `
local function taken(once)
  local calls = base .. 'o:' .. once
  for _, call in ipairs(redis.call('SMEMBERS', calls)) do
    local hold = holdOf(call)
    if not hold or hold.state == 'released' then redis.call('SREM', calls, call)
    elseif hold.state == 'running' then return true
    elseif hold.state == 'reserved' then
      if hold.lease > now then return true end
    elseif hold.lease > now - DAY then return true end
  end
  return false
end
`

/** Until when a session lives, if it neither is revoked nor stands still: most admits need know no more. */
export const OPEN: string = `
local open = tonumber(redis.call('HGET', base .. 's:' .. ARGV[4], 'open') or 0)
`

/** Why a session admits nothing: the reason, and of one that is suspended the rule. */
export const LIFE: string = `
local function lifeOf(session)
  local found = redis.call('HMGET', base .. 's:' .. session, 'expires', 'revoked', 'by', 'rule')
  if not found[1] then return nil end
  return { expires = tonumber(found[1]), revoked = found[2], by = found[3], rule = found[4] }
end

local function refusedBy(life)
  if not life then return { 'no-session' } end
  -- Invariant: a revoked session admits nothing. Revoking marks the whole tree at once, and a child ends no later than
  -- its parent, so a session's own row speaks for its ancestors.
  if life.revoked then return { 'session-revoked' } end
  if now >= life.expires then return { 'session-expired' } end
  -- Invariant: a suspended session admits nothing; suspending marks the whole tree at once, too.
  if life.by then return { 'session-suspended', life.rule } end
  return nil
end
`

/** Windows' names hold from a time to another; outside, the verb has to be sent again. Nothing: there is no name. */
export const EDGE: string = `
local function outside(window)
  if window == '' then return false end
  local from, to = string.match(window, '^(%d+) (%d+)$')
  return now < tonumber(from) or now >= tonumber(to)
end
`

/**
 * What few admits have, as JSON or nothing: `once`, `memo`, a consent (`id`, `binding`, `grant`), and whether there are
 * rates among the charges.
 */
export const MORE: string = `
local more = ARGV[6] == '' and {} or cjson.decode(ARGV[6])
`

/** Arguments: state, call, session, lease, more, window, charges. Admitted: the answer is the time alone. */
export const ADMIT: string = `
if outside(ARGV[7]) then return { 'edge', whole(now) } end
local state, call, session, lease, once = ARGV[2], ARGV[3], ARGV[4], now + ARGV[5], more.once

local function no(refusal)
  table.insert(refusal, 1, whole(now))
  table.insert(refusal, 1, 'no')
  return refusal
end
local yes = now

if now >= open then
  local over = refusedBy(lifeOf(session))
  if over then return no(over) end
end
-- Invariant: an approval is used by one call, and only by one that is admitted: it is marked when nothing else refuses.
local consent
if state == 'running' and more.id then
  consent = approvalOf(more.id)
  local refused = consentRefusal(consent, more.binding, more.grant, call, session)
  if refused then return no({ refused }) end
  if more.grant or consent.usedBy then consent = nil end
end
local function use() if consent then mark(consent, call) end end

-- The same call again: a repeated verb is the same hold, and an admit lets a reserved one run.
local before = redis.call('EXISTS', base .. 'h:' .. call) == 1 and holdOf(call)
if before then
  local live = before.state == 'running' or (before.state == 'reserved' and before.lease > now)
  if not live or before.session ~= session then return no({ 'unavailable' }) end
  if before.state == 'reserved' and state == 'running' then
    redis.call('HSET', base .. 'h:' .. call, 'state', 'running', 'lease', whole(lease))
    redis.call('ZADD', base .. 'leases', whole(lease), call)
  end
  use()
  return yes
end

if once and taken(once) then return no({ 'duplicate-call' }) end
if state == 'running' and #ARGV < 8 and not once then
  use()
  return yes
end
-- Invariant: a call takes from all its meters or from none: nothing is written before the last has room.
local refusal, parts = take(8)
if refusal then return no(refusal) end
flush()
local key = base .. 'h:' .. call
local over = whole(lease)
redis.call('HSET', key, 'session', session, 'state', state, 'lease', over, 'parts', parts)
redis.call('ZADD', base .. 'leases', over, call)
if once then
  redis.call('HSET', key, 'once', once)
  redis.call('SADD', base .. 'o:' .. once, call)
  redis.call('PERSIST', base .. 'o:' .. once)
end
if more.memo then redis.call('HSET', key, 'memo', more.memo) end
use()
return yes
`

/** Whether there are rates among the charges. */
export const RATED: string = `
local rated = ARGV[4] == 'rates'
`

/**
 * Arguments: call, whether a call that is not known here is counted, what is said of what was spent (`nothing`, `all`, or
 * that there are `rates` in it), window, charges.
 */
export const SETTLE: string = `
if outside(ARGV[5]) then return { 'edge', whole(now) } end
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
    redis.call('HSET', base .. 'h:' .. ARGV[index], 'lease', whole(lease))
    redis.call('ZADD', base .. 'leases', whole(lease), ARGV[index])
    local parts = cjson.decode(hold.parts)
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
local found = redis.call('HMGET', base .. 'h:' .. ARGV[2], 'session', 'state', 'memo')
return { 'ok', whole(now), found[1], found[2], found[3] }
`

/** Arguments: window, meters. Of each: whether its row is here, its limit, what is used and held. */
export const READ: string = `
if outside(ARGV[2]) then return { 'edge', whole(now) } end
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
