/** The store over node-redis, or over any other client: an object with one function is enough. */
import { type RedisClient, redisStore } from '@haldir/redis'

/** What is used of a connected client of node-redis, from 4 on. */
export interface NodeRedis {
  eval(script: string, options: { readonly keys: string[]; readonly arguments: string[] }): Promise<unknown>
  info(section: string): Promise<string>
  duplicate(): NodeRedis
  connect(): Promise<unknown>
  subscribe(channel: string, listener: (message: string) => void): Promise<unknown>
  destroy(): void
}

export function storeOver(redis: NodeRedis): ReturnType<typeof redisStore> {
  // #region wrapped
  const client: RedisClient = {
    eval: (script, keys, args) => redis.eval(script, { keys: [...keys], arguments: [...args] }),
    info: () => redis.info('memory'),
    async subscribe(channel, onMessage) {
      const own = await redis.duplicate()
      await own.connect()
      await own.subscribe(channel, onMessage)
      return () => own.destroy()
    },
  }
  const store = redisStore(client)
  // #endregion wrapped
  return store
}
