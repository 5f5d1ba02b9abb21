/** The Redis store: every verb is one Lua script on the keys of one tenant. */
import { type Clock, check, checkKeys, type Store } from '@haldir/core/store'
import { redisApprovals } from './approvals.ts'
import { connectionOf, type IoredisClient, type RedisClient } from './client.ts'
import { Engine } from './engine.ts'
import { redisHolds } from './holds.ts'
import { checkPrefix, hintsChannel, PREFIX } from './keys.ts'
import { Moments } from './moments.ts'
import { redisSecrets, redisWriters } from './secrets.ts'
import { redisSessions } from './sessions.ts'
import { Tenants } from './tenants.ts'
import { hints } from './watch.ts'

export interface RedisStoreOptions {
  /** What all keys begin with; `haldir:` unless given. Stores with different ones share nothing. */
  readonly prefix?: string
  /** `true`: a server that may evict keys is used all the same. A meter that was evicted has forgotten what was spent. */
  readonly evictionOk?: boolean
  /** For tests: time is taken from this clock, and not from the server. */
  readonly clock?: Clock
}

/**
 * One budget, one revoke and one-use approvals for every process on a Redis (from 6.2) or Valkey server, or cluster of
 * them. The client stays yours: the store does not close it. Throws `ConfigError` for what is no client, and for
 * unknown options; its verbs reject with `Unavailable` when Redis fails, may evict, or can only be read.
 */
export function redisStore(client: IoredisClient | RedisClient, options: RedisStoreOptions = {}): Store {
  checkKeys(options, ['prefix', 'evictionOk', 'clock'], 'options of `redisStore`')
  const { prefix = PREFIX, evictionOk = false, clock } = options
  checkPrefix(prefix)
  check('evictionOk', typeof evictionOk === 'boolean', 'is true or false')
  const connection = connectionOf(client)
  const engine = new Engine(connection, prefix, new Moments(clock), evictionOk)
  const tenants = new Tenants(engine)
  const told = connection.listen && hints(connection.listen, hintsChannel(prefix))
  return {
    ...redisHolds(engine, tenants),
    session: redisSessions(engine, tenants),
    approval: redisApprovals(engine, tenants),
    secret: redisSecrets(engine, tenants),
    writer: redisWriters(engine),
    ...(told && { watch: told.watch }),
    close() {
      told?.close()
      engine.close()
    },
  }
}
