/** Waits until it is told to, and then opens a database that may be empty. */
import { postgresStore } from '@haldir/postgres'
import pg from 'pg'

const { url, n } = JSON.parse(process.argv[2] as string) as { url: string; n: number }
const pool = new pg.Pool({ connectionString: url })
await pool.query('SELECT 1')
console.log('ready')
process.stdin.once('data', async () => {
  const store = postgresStore(pool, { schema: 'eight' })
  const row = { id: `s${n}`, tokenHash: `s${n}`, tenant: 't', agent: 'a', scopes: [], attributes: {}, chain: [] }
  await store.session.create({ ...row, ttlMs: 60_000 }, [])
  console.log('opened')
  await pool.end()
  process.exit(0)
})
