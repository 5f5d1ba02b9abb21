/** One replica: an agent that buys a label for one order after the other, on a budget that all replicas share. */
import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { governed } from '@haldir/ai-sdk'
import { createHaldir, usd } from '@haldir/core'
import { fileSink } from '@haldir/core/sinks/file'
import { redisStore } from '@haldir/redis'
import { generateText, stepCountIs, tool } from 'ai'
import { Redis } from 'ioredis'
import { z } from 'zod'
import { modelFor } from '../worker/model.ts' // yours; here one that says what it was told to

const [url, prefix = '', audit = '', token = '', name = '', orders = '0'] = process.argv.slice(2)
if (!url) throw new Error('main.ts starts this, and says where Redis is') // without a URL ioredis takes localhost

/** All begin when the last of them is ready. */
async function started(): Promise<void> {
  process.send?.('ready')
  await once(process, 'message')
}

// #region readme
// Every replica opens the same store. Sessions, budgets and revokes are shared; each writes a chain of its own.
const redis = new Redis(url, { maxRetriesPerRequest: 2, retryStrategy: () => 200 })
redis.on('error', ({ message }) => console.error('Redis:', message))
const haldir = createHaldir({ store: redisStore(redis, { prefix }), sinks: [fileSink(audit)], holdFor: '1m' })
const session = await haldir.attach(token)

const buy_label = tool({
  description: 'Buys a shipping label',
  inputSchema: z.object({ order: z.string() }),
  execute: async ({ order }) => {
    await pause(5)
    process.send?.('bought')
    return { label: `label for ${order}` }
  },
})
const tools = governed({ buy_label }, { buy_label: { scope: 'spend', cost: usd(1) } }, { haldir })

await started()
for (let n = 1; n <= Number(orders) && !session.signal.aborted; n++) {
  const order = `${name}-${n}`
  const prompt = `Send order ${order} on its way.`
  const { steps } = await session.run(() =>
    generateText({ model: modelFor(order), tools, prompt, stopWhen: stepCountIs(3) }),
  )
  const denied = steps.some(({ content }) => content.some(({ type }) => type === 'tool-error'))
  if (denied) process.send?.('refused')
}
// #endregion
await haldir.close()
redis.disconnect()
process.disconnect?.()
