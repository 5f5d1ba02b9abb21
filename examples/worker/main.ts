/** The producer, and three workers on one machine: twelve orders, and a budget for ten. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createHaldir } from '@haldir/core'
import { fileSink } from '@haldir/core/sinks/file'
import { sqliteStore } from '@haldir/core/stores/sqlite'
import { Queue } from './queue.ts'

const ORDERS = 12
const folder = mkdtempSync(join(tmpdir(), 'haldir-worker-'))
const [store, audit, jobs] = ['haldir.db', 'audit', 'queue.db'].map((name) => join(folder, name)) as [
  string,
  string,
  string,
]
const queue = new Queue(jobs)
const haldir = createHaldir({ store: sqliteStore(store), sinks: [fileSink(audit)] })

const workers = Array.from({ length: 3 }, () =>
  fork(new URL('worker.ts', import.meta.url), [store, audit, jobs], { execArgv: process.execArgv }),
)
const exits = workers.map((worker) => once(worker, 'exit'))
await Promise.all(workers.map((worker) => once(worker, 'message')))

// Whoever ends a job first is told to stop, as a deployment does; the others do the rest.
let first: ChildProcess | undefined
const ended = new Promise<void>((resolve, reject) => {
  let left = ORDERS
  for (const worker of workers) {
    worker.on('message', () => {
      if (!first) worker.kill('SIGTERM')
      first ??= worker
      if (--left === 0) resolve()
    })
    worker.once('exit', (code) => code !== 0 && reject(new Error('a worker has died')))
  }
})

// One session for the batch; each job gets one of its own, delegated from it: $2 at most, and what is left of the $10.
const batch = await haldir.createSession({ agent: 'dispatcher', scopes: ['spend:10'], ttl: '10m' })
for (let n = 1; n <= ORDERS; n++) {
  const { token } = await batch.delegate({ agent: 'shipper', scopes: ['spend:2'], ttl: '5m' })
  queue.put(`order ${n}`, token)
}
await ended

const [code] = (await exits[workers.indexOf(first as ChildProcess)]) ?? []
console.log(`one of ${workers.length} workers stopped on SIGTERM, after the job it had begun: exit code ${code}`)
for (const worker of workers) worker.kill('SIGTERM')
await Promise.all(exits)

console.log(`${queue.count('done')} jobs done, ${queue.count('refused')} refused, ${queue.count('failed')} failed`)
for (const { rule, used, limit } of await batch.budget()) console.log(rule, `${used.decimal} of ${limit}`)

const codes: Record<string, number> = {}
for await (const { code = '' } of haldir.trail.query({ type: 'refusal' })) codes[code] = (codes[code] ?? 0) + 1
console.log('refusals', codes)

await batch.revoke('the batch is done')
const { ok, writers } = await haldir.trail.verify()
const open = writers.filter(({ closed }) => !closed)
console.log(`trail ok ${ok}; chains that are still open: ${open.length}, the producer's own`)

queue.close()
await haldir.close()
rmSync(folder, { recursive: true })
