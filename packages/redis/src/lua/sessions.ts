/**
 * Sessions: one hash each, `s:<id>`; `d:<id>` has everything delegated from one. Those that were not revoked stand in
 * `sessions` and in `a:<agent>` by when they end, and their agents in `agents` by the last of these ends.
 */

/** Hints for those who watch, published in the step that they are of. */
export const TELL: string = `
local function tell(about, ids)
  if #ids == 0 then return end
  local prefix = string.sub(base, 1, string.find(base, '{', 1, true) - 1)
  redis.call('PUBLISH', prefix .. 'hints', cjson.encode({ about = about, ids = ids }))
end
`

export const TREE: string = `
local function rowOf(id)
  local found = redis.call('HMGET', base .. 's:' .. id, 'row', 'created', 'expires', 'revoked', 'by', 'rule')
  if not found[1] then return false end
  return found
end

-- A session and what was delegated from it.
local function treeOf(id)
  local ids = { id }
  for _, below in ipairs(redis.call('SMEMBERS', base .. 'd:' .. id)) do ids[#ids + 1] = below end
  return ids
end

-- Until when it admits, for those who need know no more.
local function open(id)
  local life = lifeOf(id)
  if life.revoked or life.by then redis.call('HDEL', base .. 's:' .. id, 'open')
  else redis.call('HSET', base .. 's:' .. id, 'open', whole(life.expires)) end
end

-- How long an agent has a live session.
local function recount(agent)
  local last = redis.call('ZREVRANGE', base .. 'a:' .. agent, 0, 0, 'WITHSCORES')
  if last[2] then redis.call('ZADD', base .. 'agents', last[2], agent)
  else redis.call('ZREM', base .. 'agents', agent) end
end

-- Files a session under its end. The keys go some time after it, with those of its meters.
local function file(id, agent, expires, live)
  open(id)
  local gone = math.max(expires, now) + KEEP
  lapse(base .. 's:' .. id, gone)
  lapse(base .. 'd:' .. id, gone)
  for _, key in ipairs(cjson.decode(redis.call('HGET', base .. 's:' .. id, 'meters'))) do
    lapse(base .. 'm:|' .. key, gone)
  end
  if not live then return end
  redis.call('ZADD', base .. 'sessions', whole(expires), id)
  redis.call('ZADD', base .. 'a:' .. agent, whole(expires), id)
  recount(agent)
end
`

/** Arguments: id, token, agent, time to live, row, chain, meters and caps, each of these three after its number. */
export const CREATE: string = `
local id, agent, expires = ARGV[2], ARGV[4], now + ARGV[5]
local place = 7
local function list(width)
  local found, count = {}, tonumber(ARGV[place])
  for index = place + 1, place + count * width do found[#found + 1] = ARGV[index] end
  place = place + 1 + count * width
  return found
end
local chain, meters, caps = list(1), list(2), list(3)

if redis.call('EXISTS', base .. 's:' .. id) == 1 then return { 'taken', whole(now) } end
local revoked, by, rule = false, false, false
for _, ancestor in ipairs(chain) do
  local life = lifeOf(ancestor)
  if not life then return { 'orphan', whole(now) } end
  expires = math.min(expires, life.expires)
  revoked = revoked or life.revoked
  if life.by then by, rule = life.by, life.rule end
end
for index = 1, #meters, 2 do
  if redis.call('EXISTS', base .. 'm:|' .. meters[index]) == 1 then return { 'taken', whole(now) } end
  for other = 1, index - 2, 2 do
    if meters[other] == meters[index] then return { 'taken', whole(now) } end
  end
end

-- What is over is not counted, and need not be kept for that.
for _, name in ipairs({ 'sessions', 'agents', 'a:' .. agent }) do
  redis.call('ZREMRANGEBYSCORE', base .. name, '-inf', whole(now))
end
local live = not revoked and expires > now
local function members(name) return redis.call('ZCARD', base .. name) end
for index = 1, #caps, 3 do
  local count = live and 1 or 0
  if caps[index + 1] == 'agent' then
    count = count + members('a:' .. agent)
    if caps[index] == 'agents' then count = math.min(count, 1) end
  elseif caps[index] == 'sessions' then count = count + members('sessions')
  else
    if redis.call('ZSCORE', base .. 'agents', agent) then count = 0 end
    count = count + members('agents')
  end
  if count > tonumber(caps[index + 2]) then return { 'cap', whole(now), (index - 1) / 3 } end
end

local key = base .. 's:' .. id
local names = {}
for index = 1, #meters, 2 do
  names[#names + 1] = meters[index]
  redis.call('SET', base .. 'm:|' .. meters[index], meters[index + 1] .. ' 0 0')
end
redis.call('HSET', key, 'row', ARGV[6], 'agent', agent, 'created', whole(now), 'expires', whole(expires),
  'meters', cjson.encode(names), 'chain', cjson.encode(chain))
if revoked then redis.call('HSET', key, 'revoked', revoked) end
if by then redis.call('HSET', key, 'by', by, 'rule', rule) end
for _, ancestor in ipairs(chain) do
  redis.call('SADD', base .. 'd:' .. ancestor, id)
  lapse(base .. 'd:' .. ancestor, math.max(lifeOf(ancestor).expires, now) + KEEP)
end
file(id, agent, expires, live)
return { 'ok', whole(now), rowOf(id) }
`

/** Argument: id. */
export const SESSION: string = `
return { 'ok', whole(now), rowOf(ARGV[2]) }
`

/** Arguments: id, time to live. */
export const EXTEND: string = `
local id = ARGV[2]
local life = lifeOf(id)
if not life then return { 'ok', whole(now), false } end
local found = redis.call('HMGET', base .. 's:' .. id, 'agent', 'chain')
-- Invariant: a session ends no later than those it was made from. One that is not known allows nothing.
local expires = now + ARGV[3]
for _, ancestor in ipairs(cjson.decode(found[2])) do
  local above = lifeOf(ancestor)
  expires = math.min(expires, above and above.expires or 0)
end
if not life.revoked and now < life.expires and expires > life.expires then
  redis.call('HSET', base .. 's:' .. id, 'expires', whole(expires))
  file(id, found[1], expires, true)
  tell('sessions', { id })
end
return { 'ok', whole(now), rowOf(id) }
`

/** Argument: id. */
export const REVOKE: string = `
local ended = {}
for _, id in ipairs(treeOf(ARGV[2])) do
  local key = base .. 's:' .. id
  local agent = redis.call('HGET', key, 'agent')
  if agent and redis.call('HSETNX', key, 'revoked', whole(now)) == 1 then
    ended[#ended + 1] = id
    open(id)
    redis.call('ZREM', base .. 'sessions', id)
    redis.call('ZREM', base .. 'a:' .. agent, id)
    recount(agent)
  end
end
tell('sessions', ended)
return { 'ok', whole(now), ended }
`

/** Arguments: id, rule. */
export const SUSPEND: string = `
local chain = redis.call('HGET', base .. 's:' .. ARGV[2], 'chain')
if not chain then return { 'ok', whole(now), {} } end
local above = {}
for _, ancestor in ipairs(cjson.decode(chain)) do above[ancestor] = true end
local still = {}
for _, id in ipairs(treeOf(ARGV[2])) do
  local life = lifeOf(id)
  -- Invariant: a session stands still for the nearest of itself and its ancestors that was suspended, so lifting one
  -- suspension never lifts another.
  if life and (not life.by or above[life.by]) then
    redis.call('HSET', base .. 's:' .. id, 'by', ARGV[2], 'rule', ARGV[3])
    open(id)
    if not life.by then still[#still + 1] = id end
  end
end
tell('sessions', still)
return { 'ok', whole(now), still }
`

/** Argument: id. */
export const RESUME: string = `
local chain = redis.call('HGET', base .. 's:' .. ARGV[2], 'chain')
if not chain then return { 'ok', whole(now), {} } end
chain = cjson.decode(chain)
-- The parent speaks for all ancestors; what it says holds for everything that was suspended with this session.
local parent = chain[#chain] and lifeOf(chain[#chain])
local free = {}
for _, id in ipairs(treeOf(ARGV[2])) do
  local life = lifeOf(id)
  if life and life.by == ARGV[2] then
    local key = base .. 's:' .. id
    if parent and parent.by then redis.call('HSET', key, 'by', parent.by, 'rule', parent.rule)
    else
      redis.call('HDEL', key, 'by', 'rule')
      free[#free + 1] = id
      open(id)
    end
  end
end
tell('sessions', free)
return { 'ok', whole(now), free }
`
