/** One budget on one database. Without `DATABASE_URL` the database is embedded. */
import './embedded.ts'
// #region readme
import { createHaldir, Denied, governed, usd } from '@haldir/core'
import { postgresSink, postgresStore } from '@haldir/postgres'
import pg from 'pg'

const { DATABASE_URL } = process.env
if (!DATABASE_URL) throw new Error('Set DATABASE_URL, such as postgres://app:secret@127.0.0.1:5432/app')
const pool = new pg.Pool({ connectionString: DATABASE_URL, max: 4, connectionTimeoutMillis: 5_000 })
const haldir = createHaldir({ store: postgresStore(pool), sinks: [postgresSink(pool)] }) // in every replica
const charge = governed(async ({ amount }: { amount: number }) => `charged ${amount}`, {
  name: 'charge',
  scope: 'spend',
  cost: ({ amount }) => usd(amount),
})

const session = await haldir.createSession({ agent: 'order-bot', scopes: ['spend:50'], ttl: '1h' })
console.log(await session.run(() => charge({ amount: 30 })))

const same = await haldir.attach(session.token) // so does another process that was given the token
await same
  .run(() => charge({ amount: 30 }))
  .catch((error) => console.log(Denied.isInstance(error) ? error.code : error))
const [budget] = await same.budget()
console.log(`left ${budget?.left}`)

await haldir.close()
await pool.end()
// #endregion readme
