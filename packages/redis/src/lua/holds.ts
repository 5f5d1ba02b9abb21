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

/**
 * What is asked: the state, how long the lease is, from when to when the names of windows hold, and what few admits have,
 * as JSON or nothing: `once`, `memo`, a consent (`id`, `binding`, `grant`), and whether there are rates among the charges.
 */
export const ASKED: string = `
local state, lease, from, till, more = string.match(ARGV[2], '^(%a+) (%d+) (%d*) (%d*) (.*)$')
more = more == '' and {} or cjson.decode(more)
`

/** Until when a session lives, if it neither is revoked nor stands still: most admits need know no more. */
export const OPEN: string = `
local open = tonumber(redis.call('HGET', base .. 's:' .. ARGV[4], 'open') or 0)
`

export const EACH_OPEN: string = `
local known = {}
local function openOf(session)
  known[session] = known[session] or tonumber(redis.call('HGET', base .. 's:' .. session, 'open') or 0)
  return known[session]
end
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
if from ~= '' and (now < tonumber(from) or now >= tonumber(till)) then return { 'edge', whole(now) } end
`

/** The same, where they are an argument of their own. */
export function edge(place: number): string {
  return `\nlocal from, till = string.match(ARGV[${place}], '^(%d*) ?(%d*)$')\n${EDGE}`
}

/** Arguments: what is asked, call, session, charges. Admitted: the answer is the time alone. */
export const ADMIT: string = `
local call, session, over = ARGV[3], ARGV[4], whole(now + lease)

local function no(refusal)
  table.insert(refusal, 1, whole(now))
  table.insert(refusal, 1, 'no')
  return refusal
end

if now >= open then
  local closed = refusedBy(lifeOf(session))
  if closed then return no(closed) end
end
-- Invariant: an approval is used by one call, and only by one that is admitted: it is marked when nothing else refuses.
local consent
if state == 'running' and more.id then
  consent = approvalOf(more.id)
  local refused = consentRefusal(consent, more.binding, more.grant, call, session)
  if refused then return no({ refused }) end
  if more.grant or consent.usedBy then consent = nil end
end

local refusal, parts, filled
if more.once and taken(more.once) then refusal = { 'duplicate-call' }
else refusal, parts, filled = take(5, #ARGV) end
local key = base .. 'h:' .. call
-- Where there is nothing to hold, nothing is kept of the call.
local holds = state == 'reserved' or #ARGV > 4 or more.once
-- Invariant: a call takes from all its meters or from none: nothing is written before the last has room, and what is
-- written first says whether the call is here already.
if refusal or not holds
  or not redis.call('SET', key, holdText(state, over, session, more.once, more.memo, parts), 'NX') then
  -- A repeated verb is the same hold, whatever would be refused by now, and an admit lets a reserved one run.
  local before = holdOf(call)
  if before then
    local live = before.state == 'running' or (before.state == 'reserved' and before.lease > now)
    if not live or before.session ~= session then return no({ 'unavailable' }) end
    if before.state == 'reserved' and state == 'running' then
      redis.call('SET', key, holdText('running', over, session, before.once, before.memo, before.parts))
      redis.call('ZADD', base .. 'leases', over, call)
    end
  elseif refusal then return no(refusal) end
  if consent then mark(consent, call) end
  return now
end
flush()
for name, bucket in pairs(filled) do fill(name, bucket[1], bucket[2], bucket[3], bucket[4]) end
redis.call('ZADD', base .. 'leases', over, call)
if more.once then
  redis.call('SADD', base .. 'o:' .. more.once, call)
  redis.call('PERSIST', base .. 'o:' .. more.once)
end
if consent then mark(consent, call) end
return now
`

/**
 * Calls that came together and want nothing but amounts: all of them, or none when there is anything to say of one. Then
 * each is asked for alone. Arguments: from when to when the names of windows hold; and of each call how long its lease is
 * and how many charges it has, its id, its session, and the charges.
 */
export const ADMIT_MANY: string = `
local holds, leases, place = {}, {}, 3
while place <= #ARGV do
  local lease, count = string.match(ARGV[place], '^(%d+) (%d+)$')
  local call, session, last = ARGV[place + 1], ARGV[place + 2], place + 2 + count
  -- Invariant: a session that is over admits nothing, and no meter gives more than it has: what the calls before took in
  -- this script is counted in the rows that take has read.
  local sound, refusal, parts
  -- What fails for one call is for that one alone to hear.
  if now < openOf(session) then sound, refusal, parts = pcall(take, place + 3, last) end
  if not sound or refusal then return { 'each', whole(now) } end
  local over = whole(now + lease)
  holds[#holds + 1] = base .. 'h:' .. call
  holds[#holds + 1] = holdText('running', over, session, nil, nil, parts)
  leases[#leases + 1] = over
  leases[#leases + 1] = call
  place = last + 1
end
-- Invariant: nothing is written before all are known to fit, and nothing if one of the calls is here already.
if redis.call('MSETNX', unpack(holds)) == 0 then return { 'each', whole(now) } end
flush()
redis.call('ZADD', base .. 'leases', unpack(leases))
return now
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
