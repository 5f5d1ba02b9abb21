/** Makes calls whose trail goes to a collector by way of a spool, until it is killed or told to stop. */
import { createHaldir, currentCall, governed } from '@haldir/core'
import { httpSink } from '@haldir/core/sinks/http'
import { input, pause, say, told } from './speak.ts'

const { url, spool, calls } = input<{ url: string; spool: string; calls: number }>()
const sink = httpSink({
  url,
  spool,
  privateHosts: [new URL(url).host],
  batch: { entries: 7, every: '3ms' },
  backoff: { first: 1, most: 20 },
  deadline: '20s',
})
const haldir = createHaldir({ sinks: [sink], deadline: '20s' })
const session = await haldir.createSession({ agent: 'worker', scopes: ['read'] })
const work = async () => {
  say(`begun ${currentCall().id}`)
  await pause(1)
  return currentCall().id
}
const read = governed(work, { name: 'work', scope: 'read' }, { haldir, session })
say('ready')
for (let count = 0; count < calls; count++) say(`done ${await read()}`)
say('worked')
await told('stop')
// Nothing else may keep it alive.
process.stdin.destroy()
await haldir.close()
say(`left ${sink.counts.queued}`)
