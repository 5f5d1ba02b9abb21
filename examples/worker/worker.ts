/** One worker process: takes jobs until it is told to stop, and acts in each as the session that came with it. */
import { setTimeout as pause } from 'node:timers/promises'
import { governed } from '@haldir/ai-sdk'
import { createHaldir, usd } from '@haldir/core'
import { fileSink } from '@haldir/core/sinks/file'
import { sqliteStore } from '@haldir/core/stores/sqlite'
import { generateText, stepCountIs, tool } from 'ai'
import { z } from 'zod'
import { modelFor } from './model.ts' // yours; here one that says what it was told to
import { type Job, Queue } from './queue.ts'

const [store = 'haldir.db', audit = 'audit', jobs = 'queue.db'] = process.argv.slice(2)
const queue = new Queue(jobs)

// #region readme
// Every worker opens the same store: sessions and budgets are shared, each writes a chain of its own into the trail.
const haldir = createHaldir({ store: sqliteStore(store), sinks: [fileSink(audit)], holdFor: '1m' })
// What workers that died have left behind: their calls count as spent, for nobody knows whether they went through.
const { orphaned } = await haldir.sweep()
if (orphaned.length > 0) console.warn(`${orphaned.length} calls of dead workers count as spent`)

let stopping = false
const stop = () => {
  stopping = true
}
process.once('SIGTERM', stop)
process.once('disconnect', stop) // whoever started it is gone

const buy_label = tool({
  description: 'Buys a shipping label',
  inputSchema: z.object({ order: z.string() }),
  execute: async ({ order }) => {
    await pause(20)
    return { label: `label for ${order}` }
  },
})
const tools = governed({ buy_label }, { buy_label: { scope: 'spend', cost: usd(1) } }, { haldir })

async function work(job: Job): Promise<'done' | 'refused'> {
  const session = await haldir.attach(job.token)
  try {
    const prompt = `Send order ${job.order} on its way.`
    const { steps } = await session.run(() =>
      generateText({ model: modelFor(job.order), tools, prompt, stopWhen: stepCountIs(3) }),
    )
    const denied = steps.some(({ content }) => content.some(({ type }) => type === 'tool-error'))
    return denied ? 'refused' : 'done'
  } finally {
    await session.revoke('the job is over')
  }
}

process.send?.({ ready: true })

// A job that has begun is finished: SIGTERM only means that no other is taken.
while (!stopping) {
  const job = queue.take()
  if (job) {
    queue.end(job, await work(job).catch(() => 'failed' as const))
    process.send?.({ ended: job.id })
  } else await pause(10)
}
await haldir.close()
// #endregion readme

queue.close()
process.disconnect?.()
