/** Pays for small things on a session of its own, one after another, until it is killed or has made so many calls. */
import { createHaldir, governed, usd } from '@haldir/core'
import { fileSink } from '@haldir/core/sinks/file'
import { memoryStore } from '@haldir/core/stores/memory'
import { input, say } from './speak.ts'

const { audit, agent, calls } = input<{ audit: string; agent: string; calls: number }>()

const haldir = createHaldir({ store: memoryStore(), sinks: [fileSink(audit)] })
const session = await haldir.createSession({ agent, tenant: 'acme', scopes: ['spend:*'] })
const pay = governed(async () => 'paid', { name: 'pay', scope: 'spend', cost: usd('0.1') }, { haldir, session })
say('ready')
for (let n = 0; n < calls; n++) {
  await pay()
  // Others get their turn, as they would between calls of a model.
  if (n % 10 === 0) await new Promise((wake) => setTimeout(wake, 1))
}
await haldir.close()
say('done')
process.exit(0)
