/** `@haldir/redis`: the store for more than one machine, on Redis or Valkey. */
export type { IoredisClient, RedisClient } from './client.ts'
export { type RedisStoreOptions, redisStore } from './store.ts'
