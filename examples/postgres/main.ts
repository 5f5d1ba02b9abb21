/** Two replicas on one database: one budget, one trail. Without `DATABASE_URL` the database is embedded. */
import { PGlite } from '@electric-sql/pglite'
import { createHaldir, governed, usd } from '@haldir/core'
import { postgresSink, postgresStore } from '@haldir/postgres'
import pg from 'pg'

const { DATABASE_URL } = process.env
const pool = DATABASE_URL ? new pg.Pool({ connectionString: DATABASE_URL, max: 10 }) : new PGlite()

// #region readme
const replica = () => createHaldir({ store: postgresStore(pool), sinks: [postgresSink(pool)] })
const [one, other] = [replica(), replica()]

const session = await one.createSession({ agent: 'order-bot', scopes: ['spend:50'], ttl: '1h' })
const same = await other.attach(session.token) // in another process of the fleet

const charge = async ({ amount }: { amount: number }) => `charged ${amount}`
const rule = { name: 'charge', scope: 'spend', cost: ({ amount }: { amount: number }) => usd(amount) }
const here = governed(charge, rule, { session })
const there = governed(charge, rule, { session: same })

for (const pay of [here, there]) console.log(await pay({ amount: 30 }).catch((denied) => denied.message))
const [budget] = await same.budget()
const { ok, writers } = await one.trail.verify()
console.log(`left ${budget?.left}, trail ok: ${ok}, of ${writers.length} writers`)
// #endregion readme

await one.close()
await other.close()
await (pool instanceof PGlite ? pool.close() : pool.end())
