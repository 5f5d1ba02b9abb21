/** The random commands of `store-model.test.ts`, on PostgreSQL. */
import { type PostgresStore, postgresStore } from '@haldir/postgres'
import type { FakeClock } from '@haldir/testing'
import pg from 'pg'
import { describe, it } from 'vitest'
import { skipped } from '../crash/process.ts'
import { proves } from '../promises.ts'
import { absent, anyPostgres, emptied } from '../servers/postgres.ts'
import { follows, type Opened } from './store-following.ts'
import { storeRuns } from './store-runs.ts'

proves('invariant-3', 'invariant-4', 'invariant-5', 'invariant-9', 'invariant-10')

describe('a store, against a naive reference', () => {
  it('postgres: every answer and every sum is the same, whenever the process dies', {
    timeout: 300_000,
  }, async (context) => {
    const lack = absent()
    if (lack !== undefined) return skipped(context, lack)
    const server = await anyPostgres()
    const pool = new pg.Pool({ connectionString: server.url })
    const schema = `model_${process.pid}`
    const open = (clock: FakeClock): Opened => {
      const stores: PostgresStore[] = []
      const reopen = () => {
        const store = postgresStore(pool, { schema, clock })
        stores.push(store)
        return store
      }
      return {
        store: reopen(),
        reopen,
        async close() {
          for (const store of stores) await store.close()
          await emptied(pool, schema)
        },
      }
    }
    try {
      await follows(storeRuns, open, 50)
    } finally {
      await pool.end()
      await server.stop()
    }
  })
})
