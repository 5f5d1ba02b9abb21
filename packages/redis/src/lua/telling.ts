/** Finding approvals, and telling channels of them. */

/** Arguments: session, by what (`ref`, `grant`, `binding`), and one or two values of that. */
export const FIND: string = `
local function fits(row)
  if ARGV[3] == 'ref' then return row.tool == ARGV[4] and row.ref == ARGV[5] end
  if ARGV[3] == 'grant' then
    return row.state == 'approved' and row.grant == ARGV[4] and row.till and now < row.till
  end
  if row.binding ~= ARGV[4] or row.ref or row.usedBy then return false end
  return row.state == 'denied' or ((row.state == 'pending' or row.state == 'approved') and now < row.expires)
end
for _, id in ipairs(redis.call('ZREVRANGE', base .. 'asked:' .. ARGV[2], 0, -1)) do
  local row = approvalOf(id)
  if row and fits(row) then return { 'ok', whole(now), all(id) } end
end
return { 'ok', whole(now), {} }
`

/** Arguments: session, tenant, agent, state (each after `=`, or empty), how many. */
export const LIST: string = `
local limit = tonumber(ARGV[6])
local found = {}
local function means(given, value) return given == '' or string.sub(given, 2) == value end
local function look(ids)
  for _, id in ipairs(ids) do
    if #found >= limit then return end
    local row = approvalOf(id)
    if row and means(ARGV[3], row.tenant) and means(ARGV[4], row.agent) and means(ARGV[5], row.state) then
      found[#found + 1] = all(id)
    end
  end
end
if ARGV[2] ~= '' then look(redis.call('ZREVRANGE', base .. 'asked:' .. string.sub(ARGV[2], 2), 0, -1))
elseif ARGV[5] == '=pending' then
  local names = redis.call('ZRANGE', base .. 'pending', 0, -1)
  table.sort(names, function(a, b) return tonumber(string.sub(a, 1, 16)) > tonumber(string.sub(b, 1, 16)) end)
  for place, name in ipairs(names) do names[place] = idIn(name) end
  look(names)
else
  local from = 0
  repeat
    local ids = redis.call('ZREVRANGE', base .. 'approvals', from, from + 255)
    look(ids)
    from = from + 256
  until #ids == 0 or #found >= limit
end
return { 'ok', whole(now), found }
`

/**
 * Arguments: how many, sets. Since when what is due now has been due, the longest first; and whether there are approvals
 * to be forgotten.
 */
export const SINCE: string = `
local since = {}
for index = 3, #ARGV do
  local found = redis.call('ZRANGEBYSCORE', base .. ARGV[index], '-inf', whole(now), 'WITHSCORES', 'LIMIT', 0, ARGV[2])
  for place = 2, #found, 2 do since[#since + 1] = found[place] end
end
table.sort(since, function(a, b) return tonumber(a) < tonumber(b) end)
return { 'ok', whole(now), since, redis.call('ZCOUNT', base .. 'forget', '-inf', '(' .. whole(now)) }
`

/** Arguments: how many, lease, channels. */
export const DUE: string = `
local due = {}
for index = 4, #ARGV do
  local key = base .. 'due:' .. ARGV[index]
  local found = redis.call('ZRANGEBYSCORE', key, '-inf', whole(now), 'WITHSCORES', 'LIMIT', 0, ARGV[2])
  for place = 1, #found, 2 do
    due[#due + 1] = { name = found[place], at = tonumber(found[place + 1]), index = index }
  end
end
table.sort(due, function(a, b)
  if a.at ~= b.at then return a.at < b.at end
  local left, right = tonumber(string.sub(a.name, 1, 16)), tonumber(string.sub(b.name, 1, 16))
  if left ~= right then return left < right end
  return a.index < b.index
end)
local handed = {}
for _, one in ipairs(due) do
  if #handed >= tonumber(ARGV[2]) then break end
  local id, channel = idIn(one.name), ARGV[one.index]
  local row = all(id)
  if #row == 0 then redis.call('ZREM', base .. 'due:' .. channel, one.name)
  else
    redis.call('ZADD', base .. 'due:' .. channel, whole(now + ARGV[3]), one.name)
    local attempt = redis.call('HINCRBY', base .. 'told:' .. id, 'a' .. channel, 1)
    local note = redis.call('HGET', base .. 'told:' .. id, 'n' .. channel)
    handed[#handed + 1] = { row, channel, attempt, whole(one.at), note }
  end
end
return { 'ok', whole(now), handed }
`

/** Arguments: id, channel, version, note. */
export const SHOWN: string = `
local row, told, channel = approvalOf(ARGV[2]), base .. 'told:' .. ARGV[2], ARGV[3]
if not row then return { 'ok', whole(now), 0 } end
if redis.call('HEXISTS', told, 'a' .. channel) == 1 then
  if row.version == tonumber(ARGV[4]) then redis.call('ZREM', base .. 'due:' .. channel, member(row))
  else redis.call('ZADD', base .. 'due:' .. channel, whole(now), member(row)) end
  if ARGV[5] ~= '' then redis.call('HSET', told, 'n' .. channel, ARGV[5]) end
end
return { 'ok', whole(now), 1 }
`

/** Arguments: id, channel, delay. What has changed since it was handed out is not put off: that is another delivery. */
export const LATER: string = `
local row = approvalOf(ARGV[2])
if not row then return { 'ok', whole(now), 0 } end
local key = base .. 'due:' .. ARGV[3]
local attempt = redis.call('HGET', base .. 'told:' .. ARGV[2], 'a' .. ARGV[3])
if attempt and attempt ~= '0' and redis.call('ZSCORE', key, member(row)) then
  redis.call('ZADD', key, whole(now + ARGV[4]), member(row))
end
return { 'ok', whole(now), 1 }
`

/** Arguments: id, channel. */
export const NOTE: string = `
local known = redis.call('EXISTS', base .. 'p:' .. ARGV[2])
return { 'ok', whole(now), redis.call('HGET', base .. 'told:' .. ARGV[2], 'n' .. ARGV[3]), known }
`
