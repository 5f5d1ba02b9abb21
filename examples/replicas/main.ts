/** Eight replicas of an agent on one Redis: they want 480 labels, and the budget they share is for 300. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createHaldir } from '@haldir/core'
import { fileSink } from '@haldir/core/sinks/file'
import { redisStore } from '@haldir/redis'
import { Redis } from 'ioredis'
import { startRedis } from './redis.ts'
import { type Row, Table } from './table.ts'

const REPLICAS = 8
const ORDERS = 60
const BUDGET = 300

const server = await startRedis()
if (!server) {
  console.error('no Redis: install `redis-server`, or set `REDIS_URL` to one that answers')
  process.exit(2)
}
const prefix = `haldir-replicas-${process.pid}`
const audit = mkdtempSync(join(tmpdir(), 'haldir-replicas-audit-'))
const redis = new Redis(server.url, { maxRetriesPerRequest: 2, retryStrategy: () => 200 })
redis.on('error', ({ message }) => console.error('Redis:', message))
const haldir = createHaldir({ store: redisStore(redis, { prefix }), sinks: [fileSink(audit)] })
const session = await haldir.createSession({ agent: 'shipper', scopes: [`spend:${BUDGET}`], ttl: '10m' })

const rows = Array.from(
  { length: REPLICAS },
  (_, n): Row => ({ name: `replica ${n + 1}`, bought: 0, refused: 0, over: false }),
)
const table = new Table(rows, BUDGET)
const drawing = setInterval(() => table.draw(), 100)
const workers = rows.map((_, n) => {
  const args = [server.url, prefix, audit, session.token, `r${n + 1}`, String(ORDERS)]
  return fork(new URL('worker.ts', import.meta.url), args, { execArgv: process.execArgv })
})
const exits = workers.map((worker) => once(worker, 'exit'))
await Promise.all(workers.map((worker) => once(worker, 'message')))
for (const [n, worker] of workers.entries()) {
  const row = rows[n] as Row
  worker.on('message', (said: 'bought' | 'refused') => row[said]++)
  worker.once('exit', () => {
    row.over = true
  })
  worker.send('go')
}
const codes = (await Promise.all(exits)).map(([code]) => code as number)
clearInterval(drawing)
table.draw()

const refused = rows.reduce((sum, row) => sum + row.refused, 0)
console.log(
  `${codes.filter((code) => code === 0).length} replicas have ended, and each of them bought: ${rows.every(({ bought }) => bought > 0)}`,
)
console.log(`${table.bought} labels bought, ${refused} calls refused`)
for (const { rule, used, held, limit } of await session.budget())
  console.log(rule, `used ${used} of ${limit}, held ${held}`)
const { ok, writers } = await haldir.trail.verify()
console.log(`trail ok ${ok}, ${writers.length} chains`)

await session.revoke('the batch is done')
await haldir.close()
redis.disconnect()
await server.stop()
rmSync(audit, { recursive: true })
