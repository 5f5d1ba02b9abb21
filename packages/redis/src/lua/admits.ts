/** Admitting: who may, what has to fit, and the hold that is made. */

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
