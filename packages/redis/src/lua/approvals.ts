/**
 * Approvals: one hash each, `p:<id>`, numbered as they were made. `approvals` and `asked:<session>` have them by number;
 * those that are pending stand by their end in `pending`, and in a set of the session and of the agent; `forget` has
 * when the others go. What channels have been told is in `told:<id>`, when they are to be told in `due:<channel>`.
 */

/** Reading an approval, and what it lets pass. */
export const CONSENT: string = `
local function approvalOf(id)
  local found = redis.call('HMGET', base .. 'p:' .. id, 'state', 'session', 'binding', 'expires', 'usedBy', 'gb', 'gu',
    'version', 'number', 'tool', 'ref', 'decided', 'tenant', 'agent')
  if not found[1] then return nil end
  return { id = id, state = found[1], session = found[2], binding = found[3], expires = tonumber(found[4]),
    usedBy = found[5], grant = found[6], till = tonumber(found[7] or nil), version = tonumber(found[8]),
    number = tonumber(found[9]), tool = found[10], ref = found[11], decided = tonumber(found[12] or nil),
    tenant = found[13], agent = found[14] }
end

-- Why an approval does not let a call pass, if so. A call that has used it already is the same call again.
local function consentRefusal(row, binding, grant, call, session)
  -- Invariant: an approval is for one session and exactly one binding: digest, tool definition and asking rules.
  if not row or row.session ~= session then return 'approval-denied' end
  if grant and row.grant ~= binding or not grant and row.binding ~= binding then return 'approval-denied' end
  if row.state == 'denied' or row.state == 'withdrawn' then return 'approval-denied' end
  if row.state == 'expired' then return 'approval-expired' end
  if row.state == 'pending' then return now >= row.expires and 'approval-expired' or 'approval-pending' end
  if grant then return not (row.till and now < row.till) and 'approval-expired' or nil end
  if row.usedBy then return row.usedBy ~= call and 'approval-used' or nil end
  return now >= row.expires and 'approval-expired' or nil
end

local function mark(row, call)
  redis.call('HSET', base .. 'p:' .. row.id, 'usedBy', call, 'usedAt', whole(now))
  tell('approvals', { row.id })
end
`

export const APPROVALS: string = `
-- Sorts by number among those of one score.
local function member(row) return string.format('%016.0f', row.number) .. row.id end
local function idIn(name) return string.sub(name, 17) end
local function all(id) return redis.call('HGETALL', base .. 'p:' .. id) end

local function pendingSets(row)
  return { 'pending', 'pending:s:' .. row.session, 'pending:a:' .. row.tenant .. '|' .. row.agent }
end

local function channelsOf(id)
  local found = {}
  for _, field in ipairs(redis.call('HKEYS', base .. 'told:' .. id)) do
    if string.sub(field, 1, 1) == 'a' then found[#found + 1] = string.sub(field, 2) end
  end
  return found
end

-- Every channel is to be told again of what has changed.
local function tellAgain(row)
  for _, channel in ipairs(channelsOf(row.id)) do
    redis.call('HSET', base .. 'told:' .. row.id, 'a' .. channel, '0')
    redis.call('ZADD', base .. 'due:' .. channel, whole(now), member(row))
  end
end

-- It is decided: it counts no more, and may be forgotten when nobody could use it any longer.
local function decided(row, state)
  for _, name in ipairs(pendingSets(row)) do redis.call('ZREM', base .. name, member(row)) end
  local last = now
  if state == 'approved' then last = math.max(row.expires, now, row.till or 0) end
  local gone = last + 30 * DAY
  redis.call('ZADD', base .. 'forget', whole(gone), row.id)
  lapse(base .. 'p:' .. row.id, gone + DAY)
  lapse(base .. 'told:' .. row.id, gone + DAY)
end

-- Changes a row that may be changed like that, now; else false.
local function change(row, version, state, binding, grantMs, data)
  local over = now >= row.expires
  -- Invariant: what was decided stays, and of two who decide at once the second comes too late.
  if row.state ~= 'pending' or row.version ~= version then return false end
  -- A vote or a decision only while there is time; expired only when there is none; withdrawn always.
  if state ~= 'withdrawn' and (state == 'expired') ~= over then return false end
  local key = base .. 'p:' .. row.id
  redis.call('HSET', key, 'version', whole(version + 1))
  if binding ~= '' then redis.call('HSET', key, 'binding', string.sub(binding, 2)) end
  if data ~= '' then redis.call('HSET', key, 'data', data) end
  if grantMs ~= '' and row.grant then
    row.till = now + grantMs
    redis.call('HSET', key, 'gu', whole(row.till))
  end
  if state ~= '' then
    redis.call('HSET', key, 'state', state, 'decided', whole(now))
    decided(row, state)
  end
  tellAgain(row)
  return true
end
`

/** Arguments: id, session, tenant, agent, tool, ref, binding, grant, time to live, data, limits, channels. */
export const REQUEST: string = `
local id, session, tenant, agent, tool = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local life = lifeOf(session)
local over = refusedBy(life)
if over then return { 'no', whole(now), over[1], over[2] } end
local before = approvalOf(id)
if before then
  if before.session ~= session or before.tool ~= tool then return { 'taken', whole(now) } end
  return { 'ok', whole(now), all(id) }
end
local row = { id = id, session = session, tenant = tenant, agent = agent }
local sets = pendingSets(row)
for place, per in ipairs({ 'session', 'agent' }) do
  local count = redis.call('ZCOUNT', base .. sets[place + 1], '(' .. whole(now), '+inf')
  if count >= tonumber(ARGV[11 + place]) then return { 'no', whole(now), 'too-many', per } end
end
row.number = redis.call('INCR', base .. 'number')
-- Invariant: an approval ends no later than its session, so the session's end need not be looked up again.
local expires = math.min(now + ARGV[10], life.expires)
redis.call('HSET', base .. 'p:' .. id, 'id', id, 'version', '1', 'state', 'pending', 'tenant', tenant, 'session', session,
  'agent', agent, 'tool', tool, 'binding', ARGV[8], 'created', whole(now), 'expires', whole(expires), 'data', ARGV[11],
  'number', row.number)
if ARGV[7] ~= '' then redis.call('HSET', base .. 'p:' .. id, 'ref', string.sub(ARGV[7], 2)) end
if ARGV[9] ~= '' then redis.call('HSET', base .. 'p:' .. id, 'gb', string.sub(ARGV[9], 2)) end
redis.call('ZADD', base .. 'approvals', row.number, id)
redis.call('ZADD', base .. 'asked:' .. session, row.number, id)
lapse(base .. 'asked:' .. session, life.expires + 400 * DAY)
for _, name in ipairs(sets) do redis.call('ZADD', base .. name, whole(expires), member(row)) end
redis.call('DEL', base .. 'told:' .. id)
for index = 14, #ARGV do redis.call('HSET', base .. 'told:' .. id, 'a' .. ARGV[index], '0') end
tellAgain(row)
tell('approvals', { id })
return { 'ok', whole(now), all(id) }
`

/** Argument: id. */
export const APPROVAL: string = `
return { 'ok', whole(now), all(ARGV[2]) }
`

/** Arguments: id, version, state, binding, grant, data. */
export const CHANGE: string = `
local row = approvalOf(ARGV[2])
if not row then return { 'ok', whole(now), {}, 0 } end
if not change(row, tonumber(ARGV[3]), ARGV[4], ARGV[5], ARGV[6], ARGV[7]) then return { 'ok', whole(now), {}, 1 } end
tell('approvals', { row.id })
return { 'ok', whole(now), all(row.id), 1 }
`

/** Arguments: id, call. */
export const USE: string = `
local row = approvalOf(ARGV[2])
if not row then return { 'ok', whole(now), 0, 0 } end
if row.usedBy or row.state == 'pending' then return { 'ok', whole(now), 0, 1 } end
mark(row, ARGV[3])
return { 'ok', whole(now), 1, 1 }
`

/** Argument: how many. */
export const END: string = `
local ended, ids = {}, {}
for _, name in ipairs(redis.call('ZRANGEBYSCORE', base .. 'pending', '-inf', whole(now), 'LIMIT', 0, ARGV[2])) do
  local row = approvalOf(idIn(name))
  if not row then redis.call('ZREM', base .. 'pending', name)
  elseif change(row, row.version, 'expired', '', '', '') then
    ended[#ended + 1] = all(row.id)
    ids[#ids + 1] = row.id
  end
end
tell('approvals', ids)
for _, id in ipairs(redis.call('ZRANGEBYSCORE', base .. 'forget', '-inf', '(' .. whole(now), 'LIMIT', 0, 256)) do
  local row = approvalOf(id)
  if row then
    redis.call('ZREM', base .. 'asked:' .. row.session, id)
    for _, channel in ipairs(channelsOf(id)) do redis.call('ZREM', base .. 'due:' .. channel, member(row)) end
  end
  redis.call('ZREM', base .. 'approvals', id)
  redis.call('ZREM', base .. 'forget', id)
  redis.call('DEL', base .. 'p:' .. id, base .. 'told:' .. id)
end
return { 'ok', whole(now), ended }
`
