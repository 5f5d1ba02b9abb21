import { readFileSync } from 'node:fs'
import { PGlite } from '@electric-sql/pglite'
import type { Clock } from '@haldir/core'
import { migrate, type PostgresClient, type PostgresStore, postgresStore } from '@haldir/postgres'
import { storeContract } from '@haldir/testing'
import pg from 'pg'
import { afterAll, beforeAll, describe } from 'vitest'
import { proves } from '../promises.ts'
import { absent, anyPostgres, emptied, lacking, type SharedPostgres } from '../servers/postgres.ts'

proves('invariant-3', 'invariant-4', 'invariant-5', 'invariant-10')

const schema = `contract_${process.pid}`

/** A schema of its own for each client, emptied after each test: to make one anew takes much longer. */
function opener(client: () => PostgresClient, owner = client) {
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
        await emptied(owner(), schema)
      },
    }
  }
}

/** The rights that the README says an application needs, and no others. */
function granted(role: string): string {
  const readme = readFileSync(new URL('../../packages/postgres/README.md', import.meta.url), 'utf8')
  const rights = readme.split('\n').filter((line) => /^(GRANT|REVOKE) .* app;$/.test(line))
  return rights.join('\n').replaceAll('haldir', schema).replaceAll(' app;', ` ${role};`)
}

const lack = absent()
if (lack !== undefined) console.info(`skipped: ${lack}`)

describe.skipIf(lack !== undefined)('on a server', () => {
  let server: SharedPostgres
  let owner: pg.Pool
  let pool: pg.Pool

  beforeAll(async () => {
    server = await anyPostgres()
    owner = new pg.Pool({ connectionString: server.url })
    pool = owner
    // Roles belong to a whole server, so one is made in our own alone.
    if (lacking() !== undefined) return
    await migrate(owner, { schema })
    await owner.query(`CREATE ROLE app LOGIN; ${granted('app')}`)
    pool = new pg.Pool({ connectionString: server.url.replace('haldir@', 'app@') })
  })
  afterAll(async () => {
    if (pool !== owner) await pool?.end()
    await owner?.end()
    await server?.stop()
  })

  storeContract({
    name: 'postgres',
    open: opener(
      () => pool,
      () => owner,
    ),
  })
})

describe('embedded', () => {
  let database: PGlite

  beforeAll(() => {
    database = new PGlite()
  })
  afterAll(() => database.close())

  storeContract({ name: 'PGlite', open: opener(() => database) })
})
