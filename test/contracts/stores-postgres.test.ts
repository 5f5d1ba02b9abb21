import { PGlite } from '@electric-sql/pglite'
import type { Clock } from '@haldir/core'
import { type PostgresClient, type PostgresStore, postgresStore } from '@haldir/postgres'
import { storeContract } from '@haldir/testing'
import pg from 'pg'
import { afterAll, beforeAll, describe } from 'vitest'
import { proves } from '../promises.ts'
import { emptied, lacking, type PostgresServer, startPostgres } from '../servers/postgres.ts'

proves('invariant-3', 'invariant-4', 'invariant-5', 'invariant-10')

/** A schema of its own for each client, emptied after each test: to make one anew takes much longer. */
function opener(client: () => PostgresClient) {
  const schema = `contract_${process.pid}`
  return async ({ clock }: { readonly clock: Clock }) => {
    const opened: PostgresStore[] = []
    const open = async (options: { readonly clock: Clock }) => {
      const store = postgresStore(client(), { schema, clock: options.clock })
      opened.push(store)
      // It learns what time it is in the store when it first asks.
      await store.meters.read([])
      return store
    }
    return {
      store: await open({ clock }),
      reopen: open,
      async close() {
        for (const store of opened) await store.close()
        await emptied(client(), schema)
      },
    }
  }
}

const lack = lacking()
if (lack !== undefined) console.info(`skipped: ${lack}`)

describe.skipIf(lack !== undefined)('on a server', () => {
  let server: PostgresServer
  let pool: pg.Pool

  beforeAll(async () => {
    server = await startPostgres()
    pool = new pg.Pool({ connectionString: server.url })
  })
  afterAll(async () => {
    await pool?.end()
    await server?.stop()
  })

  storeContract({ name: 'postgres', open: opener(() => pool) })
})

describe('embedded', () => {
  let database: PGlite

  beforeAll(() => {
    database = new PGlite()
  })
  afterAll(() => database.close())

  storeContract({ name: 'PGlite', open: opener(() => database) })
})
