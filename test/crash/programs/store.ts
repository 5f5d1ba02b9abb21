/** Opens the store that a test has chosen, whichever engine it is. */
import type { Store } from '@haldir/core'
import { sqliteStore } from '@haldir/core/stores/sqlite'

/** A path: SQLite. What else there is loads its driver only where it is used. */
export type StoreSpec =
  | string
  | { readonly redis: string; readonly prefix: string }
  | { readonly postgres: string; readonly schema: string }

export async function openStore(spec: StoreSpec): Promise<Store> {
  if (typeof spec === 'string') return sqliteStore(spec)
  if ('redis' in spec) {
    const [{ Redis }, { redisStore }] = await Promise.all([import('ioredis'), import('@haldir/redis')])
    // A server that reads its file says that this takes a second at least, and seldom needs it here.
    const client = new Redis(spec.redis, { maxLoadingRetryTime: 50 })
    // What it could not reach is told by the verbs; the client tries again by itself.
    client.on('error', () => {})
    return closing(redisStore(client, { prefix: spec.prefix }), () => client.disconnect())
  }
  const [{ Pool }, { postgresStore }] = await Promise.all([import('pg'), import('@haldir/postgres')])
  const pool = new Pool({ connectionString: spec.postgres, max: 4 })
  pool.on('error', () => {})
  return closing(postgresStore(pool, { schema: spec.schema }), () => pool.end())
}

/** The client is the program's own, and goes with its store. */
function closing(store: Store, close: () => unknown): Store {
  return {
    ...store,
    async close() {
      await store.close?.()
      await close()
    },
  }
}
