/**
 * Sealed secrets: one hash for each name, `x:<name>`, with five fields for each version (key id, wrapped data key, what
 * is sealed, all the rest, and when it was put) and when the secret was used last; `secrets` has the names.
 */

export const VERSIONS: string = `
local function newest(key)
  local last
  for _, field in ipairs(redis.call('HKEYS', key)) do
    local version = string.sub(field, 1, 1) == 'k' and tonumber(string.sub(field, 2))
    if version and (not last or version > last) then last = version end
  end
  return last and whole(last)
end
`

/** Arguments: name, version, key id, wrapped, sealed, rest; and what it is to follow: `any`, `none` or `after` a version. */
export const PUT: string = `
local key, version = base .. 'x:' .. ARGV[2], ARGV[3]
if ARGV[8] ~= 'any' then
  local last = newest(key)
  if ARGV[8] == 'none' and last then return { 'ok', whole(now), 0 } end
  if ARGV[8] == 'after' and (last ~= ARGV[9] or redis.call('HGET', key, 's' .. last) ~= ARGV[10]) then
    return { 'ok', whole(now), 0 }
  end
end
if redis.call('HSETNX', key, 'k' .. version, ARGV[4]) == 0 then return { 'ok', whole(now), 0 } end
redis.call('HSET', key, 'w' .. version, ARGV[5], 's' .. version, ARGV[6], 'd' .. version, ARGV[7], 't' .. version, whole(now))
redis.call('SADD', base .. 'secrets', ARGV[2])
return { 'ok', whole(now), 1 }
`

/** Argument: name. */
export const NEWEST: string = `
local key = base .. 'x:' .. ARGV[2]
local last = newest(key)
if not last then return { 'ok', whole(now), false } end
return { 'ok', whole(now), last, redis.call('HMGET', key, 'k' .. last, 'w' .. last, 's' .. last, 'd' .. last) }
`

export const SECRETS: string = `
local all = {}
for _, name in ipairs(redis.call('SMEMBERS', base .. 'secrets')) do
  all[#all + 1] = { name, redis.call('HGETALL', base .. 'x:' .. name) }
end
return { 'ok', whole(now), all }
`

/** Arguments: name, version, key id, wrapped, and these two as they were. */
export const REWRAP: string = `
local key = base .. 'x:' .. ARGV[2]
local was = redis.call('HMGET', key, 'k' .. ARGV[3], 'w' .. ARGV[3])
if was[1] ~= ARGV[6] or was[2] ~= ARGV[7] then return { 'ok', whole(now), 0 } end
redis.call('HSET', key, 'k' .. ARGV[3], ARGV[4], 'w' .. ARGV[3], ARGV[5])
return { 'ok', whole(now), 1 }
`

/** Argument: name. */
export const USED: string = `
if redis.call('EXISTS', base .. 'x:' .. ARGV[2]) == 1 then redis.call('HSET', base .. 'x:' .. ARGV[2], 'used', whole(now)) end
return { 'ok', whole(now) }
`

/** Argument: name. */
export const DELETE: string = `
redis.call('SREM', base .. 'secrets', ARGV[2])
return { 'ok', whole(now), redis.call('DEL', base .. 'x:' .. ARGV[2]) }
`
