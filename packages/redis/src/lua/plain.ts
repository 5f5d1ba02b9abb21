/** Scripts of one key outside of every tenant: the indexes, the tenants, the writers. */

/** Claims an index key, if nobody has it: answers who has. Arguments: value, how long it is kept. */
export const CLAIM: string = `
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return false end
return redis.call('GET', KEYS[1])
`

/** Writes an index key, whoever had it. Arguments: value, how long it is kept. */
export const WRITE: string = `
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return false
`

/** Keeps an index key at least so long. Arguments: value, how long. */
export const HOLD_ON: string = `
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) then redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) end
return false
`

export const LOOK: string = `
return redis.call('GET', KEYS[1])
`

/** Takes back a claim. Argument: value. */
export const UNCLAIM: string = `
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return false
`

/** Argument: tenant. */
export const TOUCH: string = `
redis.call('ZADD', KEYS[1], redis.call('TIME')[1], ARGV[1])
return false
`

/** The tenants there are, the last that did something first. */
export const TENANTS: string = `
return redis.call('ZREVRANGE', KEYS[1], 0, -1)
`

/** Arguments: id, row. */
export const PUT_WRITER: string = `
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return false
`

export const WRITERS: string = `
return redis.call('HGETALL', KEYS[1])
`

/**
 * What the server's clock says, in milliseconds; fails where nothing can be written, or where hints can't be published:
 * there a revoke would be done and then fail. It changes nothing, and the hint is of nobody.
 */
export const HELLO: string = `
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(0')
redis.call('PUBLISH', string.sub(KEYS[1], 1, -8) .. 'hints', '{"about":"sessions","ids":[]}')
local time = redis.call('TIME')
return string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
`
